//! ARP frames and neighbour discovery to the neighbour tables, and packets that
//! ICMP answers.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use control::host::{Action, Cause, Icmp, Interface, Neighbours, too_big};
use dataplane::command::{InterfaceId, NextHop, PortId, Prefix, SetId, TableId};
use fuzz::{Input, neighbour_message};
use libfuzzer_sys::fuzz_target;

const LAN: InterfaceId = InterfaceId(0);
const PORT: PortId = PortId(0);
const OURS: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
const OURS_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

fuzz_target!(|octets: &[u8]| {
    icmp(octets);
    let mut input = Input::new(octets);
    let mut neighbours = Neighbours::new();
    let mut now = Duration::ZERO;
    let lan = Interface {
        id: LAN,
        port: PORT,
        table: TableId(0),
        mac: [2, 0, 0, 0, 0, 1],
        addresses: vec![
            (OURS.into(), 24),
            (Ipv4Addr::new(10, 0, 0, 0).into(), 31),
            (OURS_IPV6.into(), 64),
        ],
        forward: true,
        point_to_point: false,
        on_link: Vec::new(),
    };
    neighbours.add_interface(now, lan);
    let remote = Prefix::host(Ipv4Addr::new(192, 168, 1, 2));
    let tunnel = NextHop::Set(SetId(0));
    neighbours.proxy().set_route(TableId(0), remote, tunnel);
    let remote = Prefix::host(host_ipv6(2));
    neighbours.proxy().set_route(TableId(0), remote, tunnel);
    while !input.is_empty() {
        let choice = input.octet();
        let host = input.octet();
        let address: IpAddr = match choice & 0x80 {
            0 => Ipv4Addr::new(192, 168, 1, host).into(),
            _ => host_ipv6(host).into(),
        };
        let is_ours = address == OURS || address == OURS_IPV6;
        match choice % 8 {
            0 => neighbours.handle_arp(now, PORT, input.short()),
            1 => neighbours.handle_discovery(now, PORT, input.short()),
            2 => neighbours.handle_discovery(now, PORT, &discovery(&mut input)),
            3 => neighbours.handle_arp(now, PORT, &arp(&mut input)),
            4 if choice & 8 == 0 => neighbours.send(now, LAN, address, vec![0; 20]),
            4 => neighbours.handle_missing(now, LAN, address, vec![0; 20]),
            5 => neighbours.set_link(now, PORT, choice & 8 == 0),
            6 if choice & 8 == 0 && !is_ours => {
                neighbours.set_static(now, LAN, address, [2, 0, 0, 0, 0, 9]);
            }
            6 => neighbours.remove_static(LAN, address),
            _ => now += input.time(),
        }
        neighbours.handle_timeout(now);
        assert!(neighbours.next_timeout().is_none_or(|next| next > now));
        while let Some(action) = neighbours.poll_output() {
            if let Action::Install { address, mac, .. } = action {
                assert!(address != OURS && address != OURS_IPV6);
                assert!(mac[0] & 1 == 0 && mac != [0; 6]);
            }
        }
    }
});

/// A frame that is ARP for IPv4, with the fuzzer's contents.
fn arp(input: &mut Input<'_>) -> Vec<u8> {
    let mut frame = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 8, 6];
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1 + (input.octet() & 1)]);
    frame.extend([2, 0, 0, 0, 0, input.octet(), 192, 168, 1, input.octet()]);
    frame.extend([2, 0, 0, 0, 0, 1, 192, 168, 1, input.octet()]);
    frame
}

fn host_ipv6(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into())
}

/// A solicitation or advertisement with a right checksum and the fuzzer's contents.
fn discovery(input: &mut Input<'_>) -> Vec<u8> {
    let (kind, flags) = (135 + (input.octet() & 1), input.octet());
    let (source, target) = (host_ipv6(input.octet()), host_ipv6(input.octet()));
    let destination = match flags & 1 {
        0 => OURS_IPV6,
        _ => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
    };
    let mut message = vec![kind, 0, 0, 0, flags, 0, 0, 0];
    message.extend(target.octets());
    message.extend(input.short());
    let macs = [[2, 0, 0, 0, 0, 2], [0x33, 0x33, 0, 0, 0, 1]];
    neighbour_message(macs, [source, destination], message)
}

fn icmp(packet: &[u8]) {
    let mut icmp = Icmp::new();
    let now = Duration::ZERO;
    if let Some(told) = too_big(packet) {
        assert!(told.payload.len() < packet.len());
    }
    if let Some(answer) = icmp.handle_local(now, packet) {
        assert_eq!(icmp.handle_local(now, &answer), None);
    }
    let sources: [IpAddr; 2] = [OURS.into(), OURS_IPV6.into()];
    for (source, most_octets) in sources.into_iter().zip([576, 1280]) {
        if let Some(error) = icmp.handle_cause(now, Cause::TimeExceeded, packet, source) {
            assert!(error.len() <= most_octets);
            assert_eq!(icmp.handle_local(now, &error), None);
            let again = icmp.handle_cause(now, Cause::HostUnreachable, &error, source);
            assert_eq!(again, None);
        }
    }
}
