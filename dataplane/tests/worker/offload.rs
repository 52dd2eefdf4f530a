//! Ports that fill in the checksums of what the worker encapsulates.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use dataplane::checksum;
use dataplane::command::{Command, InterfaceId, NextHop, SessionId};
use dataplane::event::Event;

use crate::ipv6_rig::*;
use crate::rig::*;

/// Where the UDP header of an outer packet starts.
fn udp_at(packet: &[u8]) -> usize {
    if packet[0] >> 4 == 6 { 40 } else { 20 }
}

/// The pseudo-header of an outer packet, as the port does not sum it.
fn pseudo_header(packet: &[u8]) -> Vec<u8> {
    let addresses = if packet[0] >> 4 == 6 { 8..40 } else { 12..20 };
    let length = &packet[udp_at(packet) + 4..][..2];
    [&packet[addresses], &[0, 17], length].concat()
}

/// What the port does to a frame (`rte_ethdev.h`, TX offloads).
fn fill_in(frame: &mut [u8]) {
    let packet = &mut frame[14..];
    if packet[0] >> 4 == 4 {
        assert_eq!(packet[10..12], [0, 0]);
        let sum = checksum::finish(checksum::sum(&packet[..20])).to_be_bytes();
        packet[10..12].copy_from_slice(&sum);
    }
    let udp = udp_at(packet);
    let given = u32::from(u16::from_be_bytes([packet[udp + 6], packet[udp + 7]]));
    assert_eq!(given, checksum::sum(&pseudo_header(packet)));
    let sum = checksum::finish(checksum::sum(&packet[udp..])).to_be_bytes();
    packet[udp + 6..udp + 8].copy_from_slice(&sum);
}

/// Everything that a rig sends for these packets on uplink 1.
fn sent(rig: &mut Rig, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    for packet in packets {
        rig.send(0, &frame(0, packet));
    }
    assert_eq!(rig.all_drops(), 0);
    rig.received(1)
}

fn packets() -> Vec<Vec<u8>> {
    let payloads = [&b""[..], b"x", &[0xff; 1000], &[0x5a; 1400]];
    payloads
        .iter()
        .flat_map(|payload| {
            [
                udp(LAN_HOST, FAR_HOST, payload),
                udp_ipv6(LAN_HOST_IPV6, FAR_HOST_IPV6, payload),
            ]
        })
        .collect()
}

#[test]
fn a_port_makes_of_the_frames_what_the_worker_makes_itself() {
    type Change = fn(&mut Rig);
    let over_ipv6: Change = Rig::go_over_ipv6;
    let plain: Change = |rig| {
        let mut spec = rig.session_spec(1);
        spec.set = None;
        rig.command(Command::SetSession(Arc::new(spec)));
        let session = NextHop::Session(SessionId(1));
        rig.route(0, FAR_NETWORK_IPV6, 48, session);
        rig.route(0, Ipv4Addr::new(192, 168, 1, 0), 24, session);
    };
    for change in [|_: &mut Rig| {}, over_ipv6, plain] {
        let (mut ordinary, mut filling) = (Rig::with_ipv6(), Rig::on_filling_ports().and_ipv6());
        change(&mut ordinary);
        change(&mut filling);
        let expected = sent(&mut ordinary, &packets());
        let mut frames = sent(&mut filling, &packets());
        assert!(frames.len() >= 8);
        for frame in &mut frames {
            fill_in(frame);
        }
        assert_eq!(frames, expected);
    }
}

#[test]
fn without_a_udp_checksum_the_worker_makes_the_one_of_ipv4() {
    let (mut ordinary, mut filling) = (Rig::new(), Rig::on_filling_ports());
    for rig in [&mut ordinary, &mut filling] {
        for uplink in 1..PORTS as u16 {
            let mut spec = rig.session_spec(uplink);
            spec.udp_checksum = false;
            rig.command(Command::SetSession(Arc::new(spec)));
        }
    }
    let packets = [udp(LAN_HOST, FAR_HOST, b"x")];
    assert_eq!(sent(&mut filling, &packets), sent(&mut ordinary, &packets));
}

#[test]
fn a_copy_that_waits_for_its_neighbour_is_complete() {
    let mut rig = Rig::on_filling_ports().and_ipv6();
    for over_ipv6 in [false, true] {
        let address: IpAddr = if over_ipv6 {
            rig.go_over_ipv6();
            gateway_ipv6(2).into()
        } else {
            gateway(2).into()
        };
        let interface = InterfaceId(2);
        rig.command(Command::RemoveNeighbour { interface, address });
        rig.send(0, &frame(0, &udp(LAN_HOST, FAR_HOST, b"payload")));
        let Event::NeighbourMissing { packet, .. } = rig.one_event() else {
            panic!("another event");
        };
        let udp = [&pseudo_header(&packet), &packet[udp_at(&packet)..]].concat();
        assert_eq!(checksum::finish(checksum::sum(&udp)), 0);
        rig.neighbour(2, address, gateway_mac(2));
    }
}
