//! What the path of a tunnel carries: what a router on the way says of one over
//! IPv6, and what padded reports find out where nobody says anything.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use dataplane::command::{InterfaceId, SessionId, TableId};
use dataplane::event::Event;
use dataplane::headers::ipv6;

use super::families::{line_of, on_line, sites};
use super::ipv6::icmp;
use super::world::{HEAD, REMOTE, World, seconds};
use crate::engine::link::Link;

const ROUTER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 1);

/// The link over line 0, which is IPv6; the others are not.
fn world() -> (World, SessionId) {
    let mut world = World::of(51, sites([true, false, false]));
    world.run_for(seconds(5));
    assert!(world.all_up());
    let mut links = world.engine(REMOTE).links.values();
    let link = links
        .find(|link| link.spec.local.is_ipv6())
        .expect("one is");
    let id = link.id;
    (world, id)
}

/// What a router says about the first octets of a copy of the link.
fn tells(world: &mut World, id: SessionId, mtu: u32, spoil: impl Fn(&mut Vec<u8>)) {
    let spec = &world.engine(REMOTE).links[&id].spec;
    let (SocketAddr::V6(source), SocketAddr::V6(destination)) = (spec.local, spec.peer) else {
        panic!("the link is over IPv6");
    };
    let mut payload = vec![0x02, 0x02];
    payload.extend(spec.peer_tunnel.to_be_bytes());
    payload.extend(spec.peer_session.to_be_bytes());
    payload.extend([0, 12]);
    payload.extend([0; 1400]);
    let mut quoted = ipv6::udp_packet(source, destination, &payload);
    quoted.truncate(1232);
    spoil(&mut quoted);
    let mut message = vec![2, 0, 0, 0];
    message.extend(mtu.to_be_bytes());
    message.extend(quoted);
    let event = Event::Local {
        table: TableId(1),
        interface: Some(InterfaceId(1)),
        packet: icmp(ROUTER, *source.ip(), 64, message),
    };
    let now = world.now;
    world.engine_mut(REMOTE).handle_event(now, event);
    world.run_for(Duration::ZERO);
}

fn mtus(world: &World) -> Vec<u16> {
    let mut sessions: Vec<_> = world.sites[REMOTE].workers.sessions.values().collect();
    sessions.sort_by_key(|spec| spec.id);
    sessions.iter().map(|spec| spec.mtu).collect()
}

#[test]
fn a_path_over_ipv6_that_carries_less_lowers_its_link_for_ten_minutes() {
    let (mut world, id) = world();
    let before = mtus(&world);
    assert_eq!(before.iter().max(), Some(&1450));
    assert_eq!(before[id.0 as usize], 1430);
    tells(&mut world, id, 1400, |_| ());
    let lowered = mtus(&world);
    assert_eq!(lowered[id.0 as usize], 1330, "1400 less 70");
    let others = |mtus: &[u16]| [&mtus[..id.0 as usize], &mtus[id.0 as usize + 1..]].concat();
    assert_eq!(others(&lowered), others(&before));
    // One that was under way says nothing new, a smaller one does.
    tells(&mut world, id, 1450, |_| ());
    assert_eq!(mtus(&world), lowered);
    tells(&mut world, id, 1280, |_| ());
    assert_eq!(mtus(&world)[id.0 as usize], 1210);
    world.assert_mirrored(REMOTE);
    world.run_for(seconds(595));
    assert_eq!(mtus(&world)[id.0 as usize], 1210);
    world.run_for(seconds(10));
    assert_eq!(mtus(&world), before);
    assert!(world.all_up());
    assert_eq!(world.engine(HEAD).links.values().count(), 3);
}

#[test]
fn what_is_not_about_a_packet_of_ours_lowers_nothing() {
    let (mut world, id) = world();
    let before = mtus(&world);
    for mtu in [0, 1279, 1500, 9000, u32::MAX] {
        tells(&mut world, id, mtu, |_| ());
    }
    // Source, destination, next header, ports, flags and ids, one octet of each.
    for place in [23, 39, 6, 41, 43, 48, 50, 53] {
        tells(&mut world, id, 1400, |quoted| quoted[place] ^= 0x80);
    }
    for octets in [0, 39, 40, 47, 48, 53] {
        tells(&mut world, id, 1400, |quoted| quoted.truncate(octets));
    }
    assert_eq!(mtus(&world), before);
    assert_eq!(
        world.engine(REMOTE).links[&id].spec.local.ip(),
        IpAddr::from(on_line(0, 2))
    );
}

/// The path MTU that each end has found for the link over a line.
fn found(world: &World, line: usize) -> [(u16, Option<u16>); 2] {
    [HEAD, REMOTE].map(|site| {
        let of_line = |link: &&Link| line_of(link.spec.peer.ip()) == line;
        let link = world.engine(site).links.values().find(of_line);
        let link = link.expect("the line has a link");
        (link.spec.mtu, link.path.confirmed())
    })
}

#[test]
fn what_a_path_carries_is_found_without_a_word_from_it_and_followed() {
    let mut world = World::new(53);
    world.run_for(seconds(5));
    assert!(world.all_up());
    for line in 0..3 {
        assert_eq!(found(&world, line), [(1450, Some(1500)); 2], "line {line}");
    }
    // Behind the line's own ports nobody sends more than this.
    world.lines[1].mtu = Some(1400);
    world.run_for(seconds(60));
    assert!(world.all_up(), "keepalives are small");
    assert_eq!(found(&world, 1), [(1350, Some(1400)); 2]);
    world.assert_mirrored(HEAD);
    world.assert_mirrored(REMOTE);
    world.lines[1].mtu = Some(600);
    world.run_for(seconds(60));
    for (mtu, confirmed) in found(&world, 1) {
        let confirmed = confirmed.expect("something passes");
        assert!((592..=600).contains(&confirmed), "{confirmed}");
        assert_eq!(mtu, confirmed - 50);
    }
    world.lines[1].mtu = None;
    world.run_for(seconds(630));
    assert_eq!(found(&world, 1), [(1450, Some(1500)); 2], "tried again");
    assert_eq!(found(&world, 0), [(1450, Some(1500)); 2]);
}

#[test]
fn loss_alone_makes_no_path_small() {
    let mut world = World::new(57);
    for line in &mut world.lines {
        line.loss = 0.05;
    }
    world.run_for(seconds(120));
    for line in 0..3 {
        for (mtu, confirmed) in found(&world, line) {
            assert_eq!((mtu, confirmed), (1450, Some(1500)), "line {line}");
        }
    }
}
