//! IPv6 inside the tunnels and around them, and on the interfaces beside them.

use std::net::{IpAddr, Ipv6Addr};

use dataplane::command::{Command, InterfaceId, NextHop, PortId, Prefix, TableId};
use dataplane::event::{Event, IcmpCause};
use dataplane::headers::ipv6;

use super::families::{self, host_ipv6, on_line, sites};
use super::world::{HEAD, LINKS, REMOTE, World, config, host, seconds};
use crate::config::Config;
use crate::engine::{Engine, Output};

const MAIN: TableId = TableId(0);
const LAN: InterfaceId = InterfaceId(0);
const HOST_MAC: [u8; 6] = [2, 9, 9, 9, 9, 9];

#[test]
fn links_over_ipv6_come_up_and_carry_both_families() {
    for over_ipv6 in [[true; LINKS], [true, false, true], [false; LINKS]] {
        let mut world = World::of(41, sites(over_ipv6));
        world.ipv6_traffic = true;
        world.run_for(seconds(5));
        assert_eq!((world.members(HEAD), world.members(REMOTE)), (3, 3));
        let sent = world.traffic_for(seconds(2));
        world.assert_all_delivered(&sent);
        world.assert_none_refused();
        for site in [HEAD, REMOTE] {
            for link in world.engine(site).links.values() {
                let line = families::line_of(link.spec.peer.ip());
                let is_ipv6 = link.spec.peer.is_ipv6();
                assert_eq!(is_ipv6, over_ipv6[line], "{:?}", link.spec.peer);
                // 50 octets around a packet over IPv4, 70 over IPv6.
                let expected = if is_ipv6 { 1430 } else { 1450 };
                assert_eq!(link.spec.mtu, expected);
                assert_eq!(link.spec.local.is_ipv6(), is_ipv6);
            }
        }
    }
}

#[test]
fn cutting_lines_of_either_family_loses_nothing() {
    let mut world = families::world(0b101);
    world.run_for(seconds(5));
    let mut all = [Vec::new(), Vec::new()];
    for link in 0..LINKS {
        for cut in [true, false] {
            world.lines[link].cut = cut;
            for (all, sent) in all.iter_mut().zip(world.traffic_for(seconds(12))) {
                all.extend(sent);
            }
        }
    }
    world.assert_all_delivered(&all);
    world.cut([true; LINKS]);
    world.run_for(seconds(10));
    for (site, lan) in [(HEAD, 2), (REMOTE, 1)] {
        let workers = &world.sites[site].workers;
        assert_eq!(workers.route(host_ipv6(lan)), None, "{site}");
        assert_eq!(workers.route(host(lan)), None, "{site}");
    }
}

/// A remote with IPv6 and a head without, or the other way round: IPv4 is
/// carried as ever, and nothing leads into the tunnel for IPv6.
#[test]
fn an_end_without_ipv6_harms_nobody() {
    for with_ipv6 in [HEAD, REMOTE] {
        let mut configs = vec![config("head"), config("remote")];
        let (lan, far_lan) = [(1, 2), (2, 1)][with_ipv6];
        families::inside(&mut configs[with_ipv6], lan, far_lan);
        let mut world = World::of(42, configs);
        world.run_for(seconds(60));
        assert!(world.all_up());
        let sent = world.traffic_for(seconds(1));
        world.assert_all_delivered(&sent);
        let route = world.sites[with_ipv6].workers.route(host_ipv6(far_lan));
        assert_eq!(route, None);
        // Its own LAN is there.
        let route = world.sites[with_ipv6].workers.route(host_ipv6(lan));
        assert!(matches!(route, Some(NextHop::Interface { .. })));
    }
}

#[test]
fn a_peer_without_ha_gets_ipv6_over_one_link() {
    let mut configs = sites([true; LINKS]);
    for login in &mut configs[HEAD].l2tp.incoming[0].matches {
        login.ha_set = None;
    }
    let mut world = World::of(43, configs);
    world.ipv6_traffic = true;
    world.run_for(seconds(5));
    for lan in [IpAddr::from(host(1)), host_ipv6(1).into()] {
        let route = world.sites[REMOTE].workers.route(lan);
        assert!(matches!(route, Some(NextHop::Session(_))), "{route:?}");
    }
    world.copies = 0;
    let sent = world.traffic_for(seconds(2));
    world.assert_all_delivered(&sent);
    assert_eq!(
        world.copies,
        sent.iter().map(Vec::len).sum::<usize>() as u64
    );
    // 38 octets around a packet over IPv4, 58 over IPv6.
    let mut links = world.engine(REMOTE).links.values();
    assert!(links.all(|link| link.spec.mtu == 1442));
}

#[test]
fn status_says_what_each_link_carries() {
    let mut world = World::of(44, sites([true, false, false]));
    world.run_for(seconds(5));
    let status = world.engine(REMOTE).status(world.now);
    for session in &status.sessions {
        assert_eq!(session.networks, ["IPv4", "IPv6"]);
    }
    let peer = status.tunnels[0].peer_address.map(|peer| peer.to_string());
    assert_eq!(peer.as_deref(), Some("[2001:db8:f001::1]:1701"));
    assert_eq!(
        status.interfaces[0].addresses,
        ["192.168.2.1/24", "2001:db8:2::1/64", "fe80::ff:fe00:100/64"]
    );
    let mut routes = status.routes.iter();
    assert!(routes.any(|route| route.to == "2001:db8:1::/64" && route.via == "set A"));
}

/// One site that has done what there is to do at the start.
fn started(config: Config) -> World {
    let mut world = World::stopped(45, vec![config]);
    world.start(0);
    world
}

fn outputs(world: &mut World) -> Vec<Output> {
    let engine = world.engine_mut(0);
    std::iter::from_fn(|| engine.poll_output()).collect()
}

/// A neighbour solicitation of a host that we then know.
fn introduce(engine: &mut Engine, host: Ipv6Addr, target: Ipv6Addr) {
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend(target.octets());
    message.extend([1, 1]);
    message.extend(HOST_MAC);
    let packet = icmp(host, target, 255, message);
    let mut frame = vec![2, 0, 0, 0, 0, 0];
    frame.extend(HOST_MAC);
    frame.extend([0x86, 0xdd]);
    frame.extend(packet);
    let event = Event::NeighbourDiscovery {
        port: PortId(0),
        frame,
    };
    engine.handle_event(seconds(10), event);
}

/// An ICMPv6 packet with its checksum.
pub(super) fn icmp(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    hop_limit: u8,
    mut message: Vec<u8>,
) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("short");
    let mut pseudo = source.octets().to_vec();
    pseudo.extend(destination.octets());
    pseudo.extend([0, 0]);
    pseudo.extend(length.to_be_bytes());
    pseudo.extend([0, 0, 0, 58]);
    pseudo.extend(&message);
    let words = pseudo.chunks(2);
    let mut sum: u32 = words
        .map(|word| u32::from(word[0]) << 8 | word.get(1).map_or(0, |&low| u32::from(low)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    message[2..4].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    let mut packet = ipv6::header(source, destination, 58, length).to_vec();
    packet[7] = hop_limit;
    packet.extend(message);
    packet
}

#[test]
fn link_local_addresses_are_answered_over_their_own_interface() {
    let mut world = started(sites([false; LINKS]).remove(HEAD));
    let ours: Ipv6Addr = "fe80::ff:fe00:0".parse().expect("an address");
    let host: Ipv6Addr = "fe80::99".parse().expect("an address");
    introduce(world.engine_mut(0), host, ours);
    let seen = outputs(&mut world);
    let [
        Output::Command(Command::SetNeighbour { address, mac, .. }),
        Output::Frame { frame, .. },
    ] = &seen[..]
    else {
        panic!("{seen:?}");
    };
    assert_eq!((*address, *mac), (host.into(), HOST_MAC));
    assert_eq!((&frame[..6], frame[54]), (&HOST_MAC[..], 136));

    let ping = icmp(host, ours, 64, vec![128, 0, 0, 0, 0, 1, 0, 1]);
    let events = [
        Event::Local {
            table: MAIN,
            interface: Some(LAN),
            packet: ping,
        },
        // What cannot leave its link, and is told so by an address of that link.
        Event::Icmp {
            cause: IcmpCause::BeyondScope,
            table: MAIN,
            interface: Some(LAN),
            packet: icmp(host, host_ipv6(2), 64, vec![128, 0, 0, 0]),
        },
    ];
    for (event, kind) in events.into_iter().zip([129, 1]) {
        world.engine_mut(0).handle_event(seconds(10), event);
        let seen = outputs(&mut world);
        let [
            Output::Neighbour {
                interface,
                mac,
                packet,
            },
        ] = &seen[..]
        else {
            panic!("{seen:?}");
        };
        assert_eq!((*interface, *mac, packet[40]), (LAN, HOST_MAC, kind));
        let header = ipv6::parse(packet).expect("a packet");
        assert_eq!((header.source, header.destination), (ours, host));
    }
}

#[test]
fn errors_come_from_our_own_nearest_address() {
    let mut world = started(sites([false; LINKS]).remove(HEAD));
    let event = Event::Icmp {
        cause: IcmpCause::FragmentationNeeded { mtu: 1430 },
        table: MAIN,
        interface: Some(LAN),
        packet: icmp(host_ipv6(1), host_ipv6(2), 64, vec![128, 0, 0, 0]),
    };
    world.engine_mut(0).handle_event(seconds(10), event);
    let seen = outputs(&mut world);
    let [Output::Ip { table, packet }] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert_eq!((*table, packet[40]), (MAIN, 2));
    let header = ipv6::parse(packet).expect("a packet");
    let ours: Ipv6Addr = "2001:db8:1::1".parse().expect("an address");
    assert_eq!((header.source, header.destination), (ours, host_ipv6(1)));
}

#[test]
fn gateways_of_both_families_are_default_routes() {
    let mut config = sites([true; LINKS]).remove(REMOTE);
    let link_local: Ipv6Addr = "fe80::1".parse().expect("an address");
    config.interfaces[1].gateways = vec!["10.1.0.1".parse().expect("v4"), link_local.into()];
    let world = started(config);
    let routes: Vec<(Prefix, NextHop)> = world.sites[0]
        .workers
        .routes
        .iter()
        .filter(|((table, _), _)| *table == TableId(1))
        .map(|((_, prefix), next_hop)| (*prefix, *next_hop))
        .collect();
    let via = |address| NextHop::Interface {
        interface: InterfaceId(1),
        via: Some(address),
    };
    let everything = Prefix::new(Ipv6Addr::UNSPECIFIED, 0);
    assert!(routes.contains(&(everything, via(link_local.into()))));
    let own = on_line(0, 2);
    assert!(routes.contains(&(Prefix::host(own), NextHop::Local)));
    // No address of an IPv6 network is a broadcast, and no table knows link-local ones.
    let is_blackhole = |hop: &NextHop| *hop == NextHop::Blackhole;
    assert!(
        !routes
            .iter()
            .any(|(to, hop)| to.address.is_ipv6() && is_blackhole(hop))
    );
    assert!(
        !routes
            .iter()
            .any(|(to, _)| to.contains(link_local) && to.length > 0)
    );
    assert_eq!(routes.iter().filter(|(to, _)| to.length == 0).count(), 2);
}

#[test]
fn a_tunnel_to_a_link_local_address_is_not_set_up() {
    let mut world = started(sites([true; LINKS]).remove(HEAD));
    let event = |destination: &str| Event::L2tpControl {
        table: TableId(1),
        source: "[fe80::99]:1701".parse().expect("an address"),
        destination: destination.parse().expect("an address"),
        payload: vec![0xc8, 2, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0],
    };
    let malformed = |world: &World| world.engine(0).endpoint.statistics().malformed;
    world
        .engine_mut(0)
        .handle_event(seconds(1), event("[fe80::ff:fe00:1]:1701"));
    assert_eq!(malformed(&world), 0, "it is not even looked at");
    world
        .engine_mut(0)
        .handle_event(seconds(1), event("[2001:db8:f001::1]:1701"));
    assert_eq!(malformed(&world), 1);
}
