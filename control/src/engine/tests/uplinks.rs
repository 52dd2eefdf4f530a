//! A site whose ISPs give it its addresses, against a head end.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use dataplane::command::{InterfaceId, NextHop, PortId, Prefix, SessionId, TableId};
use dataplane::event::Event;
use dataplane::headers::ipv4;

use super::world::{HEAD, LINKS, REMOTE, World, config, milliseconds, seconds};

const SECOND: PortId = PortId(2);

fn on_line(line: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, line, 0, host)
}

/// The demo's sites, where the remote asks its three ISPs for addresses.
fn stopped(seed: u64) -> World {
    let mut world = World::stopped(seed, vec![config("head"), config("remote")]);
    world.ask_isps(REMOTE);
    world
}

fn started(seed: u64) -> World {
    let mut world = stopped(seed);
    start(&mut world);
    world
}

fn start(world: &mut World) {
    world.start(HEAD);
    world.start(REMOTE);
    let took = world.run_until(seconds(3), World::all_up);
    assert!(took.is_some(), "{} links", world.members(REMOTE));
}

fn route(world: &World, line: u8, prefix: Prefix) -> Option<NextHop> {
    let routes = &world.sites[REMOTE].workers.routes;
    routes.get(&(TableId(line.into()), prefix)).copied()
}

/// Whether the workers know the address as the interface's.
fn is_installed(world: &World, line: u8, address: Ipv4Addr) -> bool {
    let interface = &world.sites[REMOTE].workers.interfaces[&InterfaceId(line.into())];
    interface.addresses.contains(&(address.into(), 24))
}

/// The links by their own addresses.
fn links(world: &World) -> Vec<(IpAddr, SessionId)> {
    let links = world.engine(REMOTE).links.values();
    let open = links.filter(|link| link.is_open());
    let mut links: Vec<_> = open.map(|link| (link.spec.local.ip(), link.id)).collect();
    links.sort();
    links
}

fn mtu_on(world: &World, line: u8) -> u16 {
    let mut sessions = world.sites[REMOTE].workers.sessions.values();
    let of_line = sessions.find(|spec| spec.table == TableId(line.into()));
    of_line.expect("one link on each line").mtu
}

#[test]
fn a_lease_brings_address_and_routes_and_its_link_is_dialled_at_once() {
    let mut world = started(1);
    for line in 1..=3 {
        let [own, gateway] = [2, 254].map(|host| on_line(line, host));
        assert!(is_installed(&world, line, own));
        let to = |host, length| route(&world, line, Prefix::new(on_line(line, host), length));
        let via = |via| {
            let interface = InterfaceId(line.into());
            Some(NextHop::Interface { interface, via })
        };
        assert_eq!(to(2, 32), Some(NextHop::Local));
        assert_eq!(to(0, 24), via(None));
        assert_eq!(to(0, 0), via(Some(gateway.into())));
        assert_eq!(to(0, 32), Some(NextHop::Blackhole));
        assert_eq!(to(255, 32), Some(NextHop::Blackhole));
    }
    let sent = world.traffic_for(seconds(1));
    world.assert_all_delivered(&sent);
    world.assert_mirrored(REMOTE);
}

#[test]
fn another_address_moves_its_link_and_the_others_lose_nothing() {
    let mut world = started(2);
    let before = links(&world);
    let mut sent = world.traffic_for(seconds(1));
    world.renumber(REMOTE, SECOND, on_line(2, 77));
    assert!(is_installed(&world, 2, on_line(2, 77)));
    assert!(!is_installed(&world, 2, on_line(2, 2)));
    for (all, more) in sent.iter_mut().zip(world.traffic_for(seconds(3))) {
        all.extend(more);
    }
    let after = links(&world);
    assert_eq!(after.len(), LINKS);
    assert_eq!(after[1].0, on_line(2, 77));
    assert_eq!((after[0], after[2]), (before[0], before[2]), "they went on");
    assert_eq!(route(&world, 2, Prefix::host(on_line(2, 2))), None);
    world.assert_all_delivered(&sent);
    world.assert_none_refused();
    world.run_for(seconds(120));
    world.assert_nothing_leaked(REMOTE, LINKS, 1);
    world.assert_nothing_leaked(HEAD, LINKS, 1);
}

/// An attempt from the old address is in vain, however long its pause would be.
#[test]
fn what_was_being_dialled_from_the_old_address_is_dialled_from_the_new_one_at_once() {
    let mut world = World::new(3);
    world.run_for(seconds(3));
    world.lines[1].cut = true;
    // Several attempts have failed, and one is under way.
    let is_dialling = |world: &World| world.engine(REMOTE).dialers[1].next_attempt().is_none();
    world.run_for(seconds(60));
    let took = world.run_until(seconds(20), |world| !is_dialling(world));
    assert!(took.is_some(), "a pause");
    let took = world.run_until(seconds(20), is_dialling);
    assert!(took.is_some(), "an attempt");
    world.lines[1].cut = false;
    assert!(world.readdress(REMOTE, 2, |_| on_line(2, 77).into()));
    let took = world.run_until(seconds(1), World::all_up);
    assert!(took.is_some(), "{} links", world.members(REMOTE));
    assert_eq!(links(&world)[1].0, on_line(2, 77));
}

#[test]
fn without_a_lease_there_is_no_address_and_the_next_one_is_dialled_from_at_once() {
    let mut world = stopped(4);
    for isp in world.isps.values_mut() {
        isp.lease_s = 60;
    }
    world.start(HEAD);
    world.start(REMOTE);
    world.run_for(seconds(300));
    assert!(world.all_up(), "the leases are renewed");
    let answers = |world: &mut World, address| {
        let isp = world.isps.get_mut(&(REMOTE, SECOND));
        isp.expect("it has one").address = address;
    };
    answers(&mut world, None);
    world.run_for(seconds(70));
    assert!(!is_installed(&world, 2, on_line(2, 2)));
    for length in [0, 24, 32] {
        assert_eq!(route(&world, 2, Prefix::new(on_line(2, 2), length)), None);
    }
    assert_eq!(world.members(REMOTE), 2);
    world.run_for(seconds(300));
    answers(&mut world, Some(on_line(2, 9)));
    let found = world.run_until(seconds(80), |world| is_installed(world, 2, on_line(2, 9)));
    assert!(found.is_some(), "no lease");
    let took = world.run_until(seconds(1), World::all_up);
    assert!(took.is_some(), "{} links", world.members(REMOTE));
}

/// A lease that is renewed changes nothing but how long it is valid.
#[test]
fn a_renewed_lease_is_shown_with_its_new_end() {
    let mut world = stopped(5);
    for isp in world.isps.values_mut() {
        isp.lease_s = 60;
    }
    world.start(HEAD);
    world.start(REMOTE);
    world.run_for(seconds(3));
    let commands = world.engine(REMOTE).commands;
    world.run_for(seconds(200));
    let now = world.clock(REMOTE);
    let state = &world.engine(REMOTE).interfaces[2];
    let until = state.addresses[0].valid_until.expect("it is a lease");
    assert!(until > now, "{until:?}, and it is {now:?}");
    let router = state.gateways[0].valid_until.expect("so is its router");
    assert!(router > now, "{router:?}");
    assert_eq!(world.engine(REMOTE).commands, commands, "nothing is new");
}

/// RFC 826.
fn arp_reply(sender: Ipv4Addr, target: Ipv4Addr, target_mac: [u8; 6]) -> Vec<u8> {
    const GATEWAY: [u8; 6] = [2, 0, 0, 0, 9, 9];
    let mut frame = [target_mac, GATEWAY].concat();
    frame.extend([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 2]);
    frame.extend(GATEWAY);
    frame.extend(sender.octets());
    frame.extend(target_mac);
    frame.extend(target.octets());
    frame
}

#[test]
fn a_silent_gateway_is_a_reason_to_ask_and_none_to_give_the_address_up() {
    let mut world = started(6);
    let (own, gateway) = (on_line(2, 2), on_line(2, 254));
    let before = links(&world);
    let now = world.clock(REMOTE);
    let missing = Event::NeighbourMissing {
        interface: InterfaceId(2),
        next_hop: gateway.into(),
        packet: vec![0; 40],
    };
    world.engine_mut(REMOTE).handle_event(now, missing);
    let mac = [2, 0, 0, 0, REMOTE as u8, 2];
    let answer = Event::Arp {
        port: SECOND,
        frame: arp_reply(gateway, own, mac),
    };
    world.engine_mut(REMOTE).handle_event(now, answer);
    let requests = |world: &World| world.isps[&(REMOTE, SECOND)].requests;
    let asked = requests(&world);
    world.run_for(seconds(29));
    assert_eq!(requests(&world), asked, "it may still be there");
    world.run_for(seconds(6));
    assert_eq!(requests(&world), asked + 1, "the lease is looked at");
    world.run_for(seconds(60));
    assert_eq!(requests(&world), asked + 1, "once");
    assert!(is_installed(&world, 2, own));
    assert_eq!(links(&world), before);
}

/// The second ISP says that its network carries so much, at the next look.
fn says(world: &mut World, mtu: Option<u16>) {
    let isp = world.isps.get_mut(&(REMOTE, SECOND));
    isp.expect("it has one").mtu = mtu;
    for up in [false, true] {
        world.set_link(REMOTE, SECOND, up);
    }
    world.run_for(milliseconds(100));
}

/// DHCP says what IPv4 needs: where IPv6 is asked for too, no less than that needs.
#[test]
fn what_dhcp_says_of_the_network_leaves_room_for_ipv6() {
    for (with_ipv6, expected) in [(false, 900), (true, 1280)] {
        let mut world = stopped(9);
        let config = &mut world.sites[REMOTE].config;
        config.interfaces[2].asked.router_advertisements = with_ipv6;
        start(&mut world);
        says(&mut world, Some(900));
        let interfaces = &world.sites[REMOTE].workers.interfaces;
        assert_eq!(interfaces[&InterfaceId(2)].mtu, expected);
    }
}

#[test]
fn dhcp_that_nobody_waits_for_is_counted() {
    let mut world = started(8);
    let hosts = ipv4::udp_packet(
        SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68),
        SocketAddrV4::new(Ipv4Addr::BROADCAST, 67),
        &[1; 240],
        1,
    );
    let now = world.now;
    for port in [0, 1] {
        let event = Event::Dhcp {
            port: PortId(port),
            packet: hosts.clone(),
        };
        world.engine_mut(REMOTE).handle_event(now, event);
    }
    let unasked = |world: &World| -> Vec<u64> {
        let status = world.engine(REMOTE).status(now);
        let interfaces = status.interfaces.iter();
        interfaces.map(|it| it.unasked_packets).collect()
    };
    assert_eq!(unasked(&world), [1, 1, 0, 0], "no relay, and no server");
}

#[test]
fn what_the_network_says_it_carries_is_what_its_link_carries() {
    let mut world = started(7);
    let before = links(&world);
    assert_eq!([1, 2, 3].map(|line| mtu_on(&world, line)), [1450; 3]);
    says(&mut world, Some(1400));
    assert_eq!(
        [1, 2, 3].map(|line| mtu_on(&world, line)),
        [1450, 1350, 1450]
    );
    let interfaces = &world.sites[REMOTE].workers.interfaces;
    assert_eq!(interfaces[&InterfaceId(2)].mtu, 1400);
    says(&mut world, None);
    world.run_for(seconds(60));
    assert_eq!([1, 2, 3].map(|line| mtu_on(&world, line)), [1450; 3]);
    assert_eq!(links(&world), before, "no link was dialled anew");
    let sent = world.traffic_for(seconds(1));
    world.assert_all_delivered(&sent);
}
