//! Addresses of interfaces that come and go.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use dataplane::command::{Command, InterfaceSpec, NextHop, PortId, Prefix, SessionSpec, TableId};
use dataplane::counters::Drop;
use dataplane::event::Event;
use dataplane::headers::ipv4;

use crate::ipv6_rig::*;
use crate::rig::*;

const NEW: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 99);

/// Gives uplink 1 an address in place of its own.
fn readdress(rig: &mut Rig) {
    let spec = InterfaceSpec {
        addresses: vec![(NEW.into(), 24)],
        ..interface(1)
    };
    rig.command(Command::SetInterface(Arc::new(spec)));
    rig.route(1, NEW, 32, NextHop::Local);
    rig.command(Command::RemoveRoute {
        table: TableId(1),
        prefix: Prefix::host(own_address(1)),
    });
    rig.poll();
}

/// A copy to the address that uplink 1 has now.
fn copy_to_new(number: u64, packet: &[u8]) -> Vec<u8> {
    let message = ha_message(1, PEER_EPOCH, number, &ppp_ipv4(packet));
    let destination = SocketAddrV4::new(NEW, 1701);
    frame(1, &ipv4::udp_packet(PEER, destination, &message, 7))
}

#[test]
fn an_address_that_went_is_not_ours_from_the_command_on() {
    let mut rig = Rig::new();
    let packet = inner(b"x");
    // Known: the session is at hand, and that its address is ours.
    rig.send(1, &copy(1, 1, &packet));
    rig.send(1, &copy(1, 2, &packet));
    assert_eq!(rig.received(0).len(), 2);
    readdress(&mut rig);
    rig.send(1, &copy(1, 3, &packet));
    assert!(rig.received(0).is_empty());
    assert_eq!(rig.drops(1, Drop::NotForwarding), 1);
    rig.send(1, &frame(1, &udp(*PEER.ip(), own_address(1), b"x")));
    assert_eq!(rig.drops(1, Drop::NotForwarding), 2);

    // The new one is, but for the session, which still has the old one.
    rig.send(1, &frame(1, &udp(*PEER.ip(), NEW, b"x")));
    assert!(matches!(rig.one_event(), Event::Local { .. }));
    rig.send(1, &copy_to_new(4, &packet));
    assert_eq!(rig.drops(1, Drop::WrongPeer), 1);
    let spec = rig.session_spec(1);
    let spec = SessionSpec {
        local: (NEW, 1701).into(),
        ..spec
    };
    rig.command(Command::SetSession(Arc::new(spec)));
    rig.poll();
    for number in [5, 6] {
        rig.send(1, &copy_to_new(number, &packet));
        assert_eq!(rig.one(0), delivered(&packet));
    }
    rig.send(1, &copy(1, 7, &packet));
    assert!(rig.received(0).is_empty());
    assert_eq!(rig.all_drops(), 4);
    // The other links did not notice.
    rig.send(2, &copy(2, 8, &packet));
    assert_eq!(rig.one(0), delivered(&packet));
}

/// Commands come one by one: between them, too, no copy is taken at an address
/// that no interface has without a look at the routes.
#[test]
fn copies_at_an_address_that_no_interface_has_are_looked_at() {
    let mut rig = Rig::new();
    let packet = inner(b"x");
    rig.send(1, &copy(1, 1, &packet));
    assert_eq!(rig.one(0), delivered(&packet));
    let spec = InterfaceSpec {
        addresses: vec![(NEW.into(), 24)],
        ..interface(1)
    };
    rig.command(Command::SetInterface(Arc::new(spec)));
    rig.poll();
    rig.send(1, &copy(1, 2, &packet));
    assert_eq!(
        rig.one(0),
        delivered(&packet),
        "the route says that it is ours"
    );
    rig.command(Command::RemoveRoute {
        table: TableId(1),
        prefix: Prefix::host(own_address(1)),
    });
    rig.poll();
    rig.send(1, &copy(1, 3, &packet));
    assert!(rig.received(0).is_empty());
}

#[test]
fn an_interface_that_moves_to_another_port_takes_its_links_along() {
    let mut rig = Rig::new();
    let packet = inner(b"x");
    rig.send(1, &copy(1, 1, &packet));
    assert_eq!(rig.one(0), delivered(&packet));
    let spec = InterfaceSpec {
        port: PortId(2),
        ..interface(1)
    };
    rig.command(Command::SetInterface(Arc::new(spec)));
    rig.poll();
    rig.send(1, &copy(1, 2, &packet));
    assert_eq!(rig.drops(1, Drop::NoInterface), 1);
    let moved = [&port_mac(2), &copy(1, 3, &packet)[6..]].concat();
    rig.send(2, &moved);
    assert_eq!(rig.one(0), delivered(&packet));
    rig.send(0, &frame(0, &udp(LAN_HOST, FAR_HOST, b"x")));
    assert_eq!([1, 2, 3].map(|port| rig.received(port).len()), [0, 2, 1]);
}

#[test]
fn discovery_for_an_address_that_went_is_not_heard() {
    let mut rig = Rig::with_ipv6();
    let solicitation = frame(1, &discovery(135, gateway_ipv6(1), own_ipv6(1)));
    rig.send(1, &solicitation);
    assert!(matches!(rig.one_event(), Event::NeighbourDiscovery { .. }));
    rig.command(Command::SetInterface(Arc::new(interface(1))));
    rig.command(Command::RemoveRoute {
        table: TableId(1),
        prefix: Prefix::host(own_ipv6(1)),
    });
    rig.poll();
    rig.send(1, &solicitation);
    assert!(rig.events().is_empty());
    assert_eq!(rig.all_drops(), 1);
}
