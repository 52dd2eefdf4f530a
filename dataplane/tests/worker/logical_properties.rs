//! What a logical port puts around a frame, one takes off; and whatever is wrong
//! with it ends in a counter.

use std::sync::Arc;

use proptest::prelude::*;

use dataplane::Encapsulation::{self, Pppoe, Vlan};
use dataplane::command::{Command, PortId};
use dataplane::event::Event;
use dataplane::headers::ipv4;

use crate::logical_rig::*;
use crate::malformed::{OVER_IPV6, accounts_balance, mend, seeds};
use crate::rig::*;

/// VLAN 7 of port 1, VLAN 9 of that, and sessions on port 1, VLAN 7 and both.
const STACKS: [(usize, Encapsulation); 5] = [
    (1, Vlan(7)),
    (FIRST as usize, Vlan(9)),
    (1, Pppoe),
    (FIRST as usize, Pppoe),
    (FIRST as usize + 1, Pppoe),
];
const SESSIONS: [u16; 3] = [FIRST + 2, FIRST + 3, FIRST + 4];

/// A rig with all of them, uplink 2 on one.
fn with_stacks(port: u16) -> Rig {
    let mut rig = Rig::with_logical(&STACKS);
    place(&mut rig, 2, port);
    for session in SESSIONS {
        connect(&mut rig, session, Some(SESSION));
    }
    rig
}

/// What a frame is on the wire when it is sent by a logical port.
fn wrapped(rig: &mut Rig, port: u16, octets: &[u8]) -> Vec<u8> {
    send_frame(rig, port, octets);
    rig.one(1)
}

/// The same frame as its receiver would send it back to us.
fn turned(mut wire: Vec<u8>) -> Vec<u8> {
    wire[..6].copy_from_slice(&port_mac(1));
    wire[6..12].copy_from_slice(&SESSION.access_concentrator);
    wire
}

/// How a frame of the seeds is wrapped.
fn in_wrapping(which: u8, frame: Vec<u8>) -> Vec<u8> {
    let frame = to_port_1(frame);
    match which {
        0 => frame,
        1 => tagged(8, &frame),
        2 => in_pppoe(SESSION, &frame),
        3 => tagged(8, &in_pppoe(NESTED, &frame)),
        4 => tagged(0, &frame),
        _ => tagged(9, &frame),
    }
}

/// Link 1 in the session on port 1, link 2 on the VLAN, link 3, over IPv6, in the
/// session on that.
fn damaged_rig() -> Rig {
    let mut rig = connected().and_ipv6();
    for (uplink, port) in [(1, SESSION_PORT), (2, VLAN_PORT), (3, NESTED_PORT)] {
        place_ipv6(&mut rig, uplink, port);
    }
    let spec = rig.session_over_ipv6(OVER_IPV6);
    rig.command(Command::SetSession(Arc::new(spec)));
    rig.poll();
    rig
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any frame on VLANs: seen by ARP, which is handed over as it is.
    #[test]
    fn tags_come_off_as_they_went_on(
        port in FIRST..FIRST + 2,
        payload in prop::collection::vec(any::<u8>(), 0..1600),
    ) {
        let mut rig = with_stacks(port);
        let mut frame = port_mac(1).to_vec();
        frame.extend(SESSION.access_concentrator);
        frame.extend([0x08, 0x06]);
        frame.extend(&payload);
        let wire = wrapped(&mut rig, port, &frame);
        prop_assert_eq!(wire.len(), frame.len() + if port == FIRST { 4 } else { 8 });
        rig.send(1, &wire);
        match rig.one_event() {
            Event::Arp { port: at, frame: heard } => {
                prop_assert_eq!(at, PortId(port));
                prop_assert_eq!(&heard[..], &frame[..]);
            }
            other => prop_assert!(false, "{:?}", other),
        }
        prop_assert_eq!(rig.all_drops(), 0);
    }

    /// Any IP packet in sessions: seen by what is to us.
    #[test]
    fn sessions_give_back_the_packets_that_they_carry(
        session in 0..3_usize,
        payload in prop::collection::vec(any::<u8>(), 0..1460),
    ) {
        let port = SESSIONS[session];
        let mut rig = with_stacks(port);
        let packet = udp(gateway(2), own_address(2), &payload);
        let wire = wrapped(&mut rig, port, &frame(1, &packet));
        prop_assert_eq!(wire.len(), packet.len() + 14 + 8 + 4 * session);
        prop_assert_eq!(&wire[..6], &SESSION.access_concentrator);
        rig.send(1, &turned(wire));
        match rig.one_event() {
            Event::Local { interface, packet: heard, .. } => {
                prop_assert_eq!(interface.map(|id| id.0), Some(2));
                prop_assert_eq!(&heard[..], &packet[..]);
                prop_assert!(ipv4::parse(&heard).is_ok());
            }
            other => prop_assert!(false, "{:?}", other),
        }
        prop_assert_eq!(rig.all_drops(), 0);
    }

    #[test]
    fn damaged_frames_on_logical_ports_are_accounted_for(
        damages in prop::collection::vec(
            (any::<prop::sample::Index>(), 0..6_u8, any::<prop::sample::Index>(), any::<u8>(), 0..4_u8, any::<prop::sample::Index>()),
            1..200,
        ),
    ) {
        let mut rig = damaged_rig();
        let seeds = seeds();
        let offered = damages.len() as u64;
        for (which, wrapping, place, octet, kind, length) in damages {
            let (port, mut frame) = seeds[which.index(seeds.len())].clone();
            if port == 0 {
                rig.send(0, &frame);
                rig.events();
                continue;
            }
            if kind == 0 {
                // Inside, with checksums that are right again.
                let at = place.index(frame.len());
                frame[at] = octet;
                mend(&mut frame);
            }
            let mut frame = in_wrapping(wrapping, frame);
            match kind {
                1 => frame.truncate(1 + length.index(frame.len())),
                2 => {
                    // In front.
                    let front = frame.len().min(30);
                    frame[place.index(front)] = octet;
                }
                _ => {}
            }
            rig.send(1, &frame);
            rig.events();
        }
        accounts_balance(&mut rig, offered)?;
    }
}
