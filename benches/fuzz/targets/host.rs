//! ARP frames to the neighbour tables, and packets that ICMP answers.
#![no_main]

use std::net::Ipv4Addr;
use std::time::Duration;

use control::host::{Action, Cause, Icmp, Interface, Neighbours};
use dataplane::command::{InterfaceId, NextHop, PortId, Prefix, SetId, TableId};
use fuzz::Input;
use libfuzzer_sys::fuzz_target;

const LAN: InterfaceId = InterfaceId(0);
const PORT: PortId = PortId(0);
const OURS: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

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
        addresses: vec![(OURS, 24), (Ipv4Addr::new(10, 0, 0, 0), 31)],
        forward: true,
    };
    neighbours.add_interface(now, lan);
    let remote = Prefix::host(Ipv4Addr::new(192, 168, 1, 2));
    let tunnel = NextHop::Set(SetId(0));
    neighbours.proxy_arp().set_route(TableId(0), remote, tunnel);
    while !input.is_empty() {
        let choice = input.octet();
        let address = Ipv4Addr::new(192, 168, 1, input.octet());
        match choice % 8 {
            0..=2 => neighbours.handle_arp(now, PORT, input.short()),
            3 => neighbours.handle_arp(now, PORT, &arp(&mut input)),
            4 => neighbours.handle_missing(now, LAN, address, vec![0; 20]),
            5 => neighbours.set_link(now, PORT, choice & 8 == 0),
            6 if choice & 8 == 0 && address != OURS => {
                neighbours.set_static(now, LAN, address, [2, 0, 0, 0, 0, 9]);
            }
            6 => neighbours.remove_static(LAN, address),
            _ => now += input.time(),
        }
        neighbours.handle_timeout(now);
        assert!(neighbours.next_timeout().is_none_or(|next| next > now));
        while let Some(action) = neighbours.poll_output() {
            if let Action::Install { address, mac, .. } = action {
                assert!(address != OURS && mac[0] & 1 == 0 && mac != [0; 6]);
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

fn icmp(packet: &[u8]) {
    let mut icmp = Icmp::new();
    let now = Duration::ZERO;
    if let Some(answer) = icmp.handle_local(now, packet) {
        assert_eq!(icmp.handle_local(now, &answer), None);
    }
    if let Some(error) = icmp.handle_cause(now, Cause::TimeExceeded, packet, OURS) {
        assert!(error.len() <= 576);
        assert_eq!(icmp.handle_local(now, &error), None);
        let again = icmp.handle_cause(now, Cause::HostUnreachable, &error, OURS);
        assert_eq!(again, None);
    }
}
