//! DHCP to nobody's address, for the control thread.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::sync::Arc;

use dataplane::Encapsulation::Vlan;
use dataplane::checksum;
use dataplane::command::{Command, InterfaceId, InterfaceSpec, PortId, Prefix, TableId};
use dataplane::counters::Drop;
use dataplane::event::Event;
use dataplane::headers::{ethernet, ipv4, ipv6};

use crate::ipv6_rig::*;
use crate::logical_rig::*;
use crate::rig::*;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 1);
const OFFERED: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 77);
const MESSAGE: [u8; 300] = [0x5a; 300];

fn dhcp(source: Ipv4Addr, from: u16, destination: Ipv4Addr, to: u16) -> Vec<u8> {
    let source = SocketAddrV4::new(source, from);
    ipv4::udp_packet(source, SocketAddrV4::new(destination, to), &MESSAGE, 1)
}

fn dhcpv6(destination: Ipv6Addr, to: u16) -> Vec<u8> {
    let source = SocketAddrV6::new(gateway_ipv6(1), 546, 0, 0);
    let destination = SocketAddrV6::new(destination, to, 0, 0);
    ipv6::udp_packet(source, destination, &MESSAGE)
}

/// A frame to a station, or a group of them.
fn frame_to(mac: [u8; 6], packet: &[u8]) -> Vec<u8> {
    let mut frame = mac.to_vec();
    frame.extend(gateway_mac(1));
    frame.extend(ethernet::ether_type_of(packet).to_be_bytes());
    frame.extend(packet);
    frame
}

fn broadcast(packet: &[u8]) -> Vec<u8> {
    frame_to(ethernet::BROADCAST, packet)
}

/// What the one event says, which is of DHCP.
fn heard(rig: &mut Rig) -> (PortId, Vec<u8>) {
    match rig.one_event() {
        Event::Dhcp { port, packet } => (port, packet.to_vec()),
        other => panic!("{other:?}"),
    }
}

/// The interface of uplink 1 with no more than these addresses.
fn address(rig: &mut Rig, addresses: &[(Ipv6Addr, u8)]) {
    let addresses = addresses.iter();
    let spec = InterfaceSpec {
        addresses: addresses.map(|&(own, bits)| (own.into(), bits)).collect(),
        ..interface(1)
    };
    rig.command(Command::SetInterface(Arc::new(spec)));
    for bits in [32, 24] {
        let prefix = Prefix::new(own_address(1), bits);
        let table = TableId(1);
        rig.command(Command::RemoveRoute { table, prefix });
    }
    rig.poll();
}

#[test]
fn broadcast_to_clients_and_servers_is_handed_over() {
    let mut rig = Rig::new();
    let everybody = Ipv4Addr::BROADCAST;
    let network = Ipv4Addr::new(10, 0, 1, 255);
    for packet in [
        dhcp(SERVER, 67, everybody, 68),
        dhcp(SERVER, 67, network, 68),
        dhcp(Ipv4Addr::UNSPECIFIED, 68, everybody, 67),
    ] {
        let mut frame = broadcast(&packet);
        // Padding does not go with it.
        frame.extend([0; 6]);
        rig.send(1, &frame);
        assert_eq!(heard(&mut rig), (PortId(1), packet));
    }
    // Sent to us alone, but to all by its address.
    let packet = dhcp(SERVER, 67, everybody, 68);
    rig.send(1, &frame(1, &packet));
    assert_eq!(heard(&mut rig), (PortId(1), packet));
    assert_eq!(rig.all_drops(), 0);
    assert_eq!(rig.counters[1][0].punted_packets.read(), 4);
}

#[test]
fn other_broadcasts_are_dropped_by_name() {
    let mut rig = Rig::new();
    let everybody = Ipv4Addr::BROADCAST;
    let good = dhcp(SERVER, 67, everybody, 68);
    let changed = |at: usize, octet: u8| {
        let mut packet = good.clone();
        packet[at] = octet;
        packet
    };
    let loopback = Ipv4Addr::LOCALHOST;
    for (packet, reason) in [
        (dhcp(SERVER, 67, everybody, 69), Drop::Multicast),
        (
            dhcp(SERVER, 67, Ipv4Addr::new(10, 0, 2, 255), 68),
            Drop::Multicast,
        ),
        (dhcp(SERVER, 67, OFFERED, 68), Drop::Multicast),
        (
            dhcp(SERVER, 67, Ipv4Addr::new(224, 0, 0, 1), 68),
            Drop::Multicast,
        ),
        (dhcp(loopback, 67, everybody, 68), Drop::MartianSource),
        (changed(10, 0xee), Drop::BadIpv4),
        (changed(24, 0xff), Drop::BadUdp),
        (good[..27].to_vec(), Drop::Truncated),
    ] {
        let (before, all) = (rig.drops(1, reason), rig.all_drops());
        rig.send(1, &broadcast(&packet));
        assert_eq!(rig.drops(1, reason), before + 1, "{reason:?}");
        assert_eq!(rig.all_drops(), all + 1);
    }
    // A fragment is no whole message.
    let mut fragment = good.clone();
    fragment[6] = 0x20;
    fragment[10..12].fill(0);
    let sum = checksum::finish(checksum::sum(&fragment[..20]));
    fragment[10..12].copy_from_slice(&sum.to_be_bytes());
    let before = rig.drops(1, Drop::Multicast);
    rig.send(1, &broadcast(&fragment));
    assert_eq!(rig.drops(1, Drop::Multicast), before + 1);
    assert!(rig.events().is_empty());
}

#[test]
fn an_offer_to_the_address_that_it_offers_is_heard_where_nothing_is_routed_on() {
    let mut rig = Rig::new();
    let packet = dhcp(SERVER, 67, OFFERED, 68);
    rig.send(1, &frame(1, &packet));
    assert_eq!(heard(&mut rig), (PortId(1), packet));
    // What is to our address is as ever.
    let renewal = dhcp(SERVER, 67, own_address(1), 68);
    rig.send(1, &frame(1, &renewal));
    assert!(matches!(rig.one_event(), Event::Local { .. }));
    // To a server, or where packets are routed on, it is somebody else's.
    rig.send(1, &frame(1, &dhcp(SERVER, 68, OFFERED, 67)));
    assert_eq!(rig.drops(1, Drop::NotForwarding), 1);
    rig.send(0, &frame(0, &dhcp(LAN_HOST, 67, FAR_HOST, 68)));
    assert_eq!([1, 2, 3].map(|port| rig.received(port).len()), [1; 3]);
    assert!(rig.events().is_empty());
    assert_eq!(rig.all_drops(), 1);
}

/// No station of a LAN broadcasts into a tunnel.
#[test]
fn broadcast_out_of_a_tunnel_is_no_clients() {
    let mut rig = Rig::new();
    let packet = dhcp(FAR_HOST, 68, Ipv4Addr::BROADCAST, 67);
    rig.send(1, &copy(1, 1, &packet));
    assert!(rig.events().is_empty());
    assert_eq!(rig.drops(1, Drop::Multicast), 1);
}

#[test]
fn an_interface_without_addresses_hears_its_server() {
    let mut rig = Rig::new();
    let to_all = dhcp(SERVER, 67, Ipv4Addr::BROADCAST, 68);
    let to_offered = dhcp(SERVER, 67, OFFERED, 68);
    for addresses in [&[][..], &[(own_link_local(1), 64)]] {
        address(&mut rig, addresses);
        rig.send(1, &broadcast(&to_all));
        assert_eq!(heard(&mut rig), (PortId(1), to_all.clone()));
        rig.send(1, &frame(1, &to_offered));
        assert_eq!(heard(&mut rig), (PortId(1), to_offered.clone()));
    }
    assert_eq!(rig.all_drops(), 0);
    // A port without an interface hears nothing.
    rig.command(Command::RemoveInterface(InterfaceId(1)));
    rig.poll();
    rig.send(1, &broadcast(&to_all));
    assert_eq!(rig.drops(1, Drop::Multicast), 1);
    rig.send(1, &frame(1, &to_offered));
    assert_eq!(rig.drops(1, Drop::NoInterface), 1);
    assert!(rig.events().is_empty());
}

#[test]
fn requests_to_servers_of_dhcpv6_are_handed_over() {
    let mut rig = Rig::with_ipv6();
    let servers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
    let group_mac = [0x33, 0x33, 0, 1, 0, 2];
    let packet = dhcpv6(servers, 547);
    for mac in [group_mac, port_mac(1)] {
        rig.send(1, &frame_to(mac, &packet));
        assert_eq!(heard(&mut rig), (PortId(1), packet.clone()));
    }
    // To a link-local address of ours, as to a client.
    let reply = dhcpv6(own_link_local(1), 546);
    rig.send(1, &frame(1, &reply));
    assert!(matches!(rig.one_event(), Event::Local { .. }));
    for (other, reason) in [
        (dhcpv6(servers, 546), Drop::Multicast),
        (
            dhcpv6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 3), 547),
            Drop::Multicast,
        ),
        (packet[..packet.len() - 1].to_vec(), Drop::Truncated),
    ] {
        let before = rig.drops(1, reason);
        rig.send(1, &frame_to(group_mac, &other));
        assert_eq!(rig.drops(1, reason), before + 1);
    }
    // Nor without an interface.
    rig.command(Command::RemoveInterface(InterfaceId(1)));
    rig.poll();
    let before = rig.drops(1, Drop::Multicast);
    rig.send(1, &frame_to(group_mac, &packet));
    assert_eq!(rig.drops(1, Drop::Multicast), before + 1);
    assert!(rig.events().is_empty());
}

#[test]
fn dhcp_on_a_vlan_is_that_ports() {
    let mut rig = on_vlans();
    let packet = dhcp(SERVER, 67, Ipv4Addr::BROADCAST, 68);
    rig.send(1, &tagged(8, &broadcast(&packet)));
    assert_eq!(heard(&mut rig), (PortId(FIRST + 1), packet.clone()));
    rig.send(1, &broadcast(&packet));
    assert_eq!(heard(&mut rig), (PortId(1), packet));
    assert_eq!(rig.all_drops(), 0);
}

#[test]
fn router_discovery_on_a_vlan_is_that_ports() {
    let mut rig = rig(&[(1, Vlan(7)), (1, Vlan(8))], [FIRST, FIRST + 1]).and_ipv6();
    for (uplink, port) in [(2, FIRST), (3, FIRST + 1)] {
        place_ipv6(&mut rig, uplink, port);
    }
    rig.poll();
    for (kind, last) in [(134, 1), (133, 2)] {
        let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, last);
        let packet = discovery(kind, gateway_ipv6(2), group);
        let frame = frame_to([0x33, 0x33, 0, 0, 0, last as u8], &packet);
        rig.send(1, &tagged(7, &frame));
        match rig.one_event() {
            Event::NeighbourDiscovery { port, frame: heard } => {
                assert_eq!((port, &heard[..]), (PortId(FIRST), &frame[..]));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(rig.all_drops(), 0);
}

#[test]
fn a_flood_of_dhcp_costs_arp_nothing() {
    let mut rig = Rig::new();
    let mut arp = broadcast(&[0; 28]);
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    let flood = broadcast(&dhcp(SERVER, 67, Ipv4Addr::BROADCAST, 68));
    for _ in 0..10 {
        for _ in 0..30 {
            rig.offer(1, 0, &flood);
        }
        rig.send(1, &arp);
    }
    let events = rig.events();
    let arps = events
        .iter()
        .filter(|event| matches!(event, Event::Arp { .. }));
    assert_eq!(arps.count(), 10);
    assert_eq!(events.len(), 10 + 64);
    assert_eq!(rig.drops(1, Drop::PuntPoliced), 300 - 64);
}
