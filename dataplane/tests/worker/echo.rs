//! LCP Echo-Requests that the worker answers.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use dataplane::command::{Command, EchoAnswer, InterfaceId, SessionSpec};
use dataplane::event::Event;
use dataplane::headers::{ipv4, ipv6, udp};
use dataplane::sequence::Sequence;

use crate::ipv6_rig::*;
use crate::rig::*;

const MAGIC: u32 = 0xc0ff_ee01;
const REQUEST: [u8; 13] = [
    0xc0, 0x21, 9, 55, 0, 11, 0xaa, 0xbb, 0xcc, 0xdd, b'a', b'b', b'c',
];
const REPLY: [u8; 13] = [
    0xc0, 0x21, 10, 55, 0, 11, 0xc0, 0xff, 0xee, 0x01, b'a', b'b', b'c',
];

/// Gives session 1 what it takes to answer, and whatever else a test wants of it.
fn answering(rig: &mut Rig, change: impl FnOnce(&mut SessionSpec)) {
    let mut spec = rig.session_spec(1);
    spec.echo = Some(EchoAnswer {
        magic: MAGIC,
        mru: 1500,
    });
    change(&mut spec);
    rig.command(Command::SetSession(Arc::new(spec)));
}

fn answered(rig: &Rig) -> u64 {
    rig.sessions[0][0].echoes_answered.read()
}

/// The L2TP message in a frame that left over IPv4, all of whose checksums are right.
fn message_in(frame: &[u8]) -> Vec<u8> {
    assert_eq!(frame[..6], gateway_mac(1));
    let packet = &frame[14..];
    let header = ipv4::parse(packet).expect("an IPv4 header");
    assert_eq!(
        (header.source, header.destination),
        (own_address(1), *PEER.ip())
    );
    let datagram = udp::parse(&header, packet).expect("UDP");
    assert_eq!(
        (datagram.source_port, datagram.destination_port),
        (1701, 1701)
    );
    packet[datagram.payload_range].to_vec()
}

/// The headers of a reply: P, and the ids that the peer assigned.
fn header(flags: u8) -> Vec<u8> {
    vec![flags, 0x02, 0x03, 0x01, 0x04, 0x01]
}

/// A data message to session 1 with these fields of the header.
fn message(length: bool, ns: Option<u16>, offset: Option<u8>, ppp: &[u8]) -> Vec<u8> {
    let flags =
        u8::from(length) << 6 | u8::from(ns.is_some()) << 3 | u8::from(offset.is_some()) << 1;
    let mut rest = vec![0x01, 0x01, 0x02, 0x01];
    if let Some(ns) = ns {
        rest.extend(ns.to_be_bytes());
        rest.extend([0, 0]);
    }
    if let Some(octets) = offset {
        rest.extend([0, octets]);
        rest.extend(vec![0xee; octets.into()]);
    }
    rest.extend(ppp);
    let mut message = vec![flags, 0x02];
    if length {
        message.extend((4 + rest.len() as u16).to_be_bytes());
    }
    [message, rest].concat()
}

#[test]
fn every_form_of_a_request_brings_the_reply() {
    let with_address_control = [&[0xff, 0x03], &REQUEST[..]].concat();
    for (set, offsets) in [
        (false, &[None, Some(0), Some(5)][..]),
        (true, &[None, Some(0)]),
    ] {
        let mut rig = Rig::new();
        answering(&mut rig, |spec| {
            if !set {
                spec.set = None;
            }
        });
        let mut ns = 0;
        for ppp in [&REQUEST[..], &with_address_control] {
            for length in [false, true] {
                for numbered in [false, true] {
                    for &offset in offsets {
                        ns += 1;
                        let message = message(length, numbered.then_some(ns), offset, ppp);
                        rig.send(1, &l2tp_frame(1, &message));
                        let reply = message_in(&rig.one(1));
                        assert_eq!(reply, [header(0x01), REPLY.to_vec()].concat());
                    }
                }
            }
        }
        assert_eq!(answered(&rig), ns.into(), "each");
        assert!(rig.events().is_empty());
        assert_eq!(rig.all_drops(), 0);
    }
}

#[test]
fn the_reply_has_the_sessions_own_encapsulation() {
    let mut rig = Rig::new();
    let sequence = Arc::new(Sequence::always());
    answering(&mut rig, |spec| {
        spec.set = None;
        spec.address_control = true;
        spec.sequence = Arc::clone(&sequence);
    });
    for ns in [0, 1] {
        rig.send(
            1,
            &l2tp_frame(1, &message(false, Some(40 + ns), None, &REQUEST)),
        );
        let expected = [
            header(0x09),
            vec![0, ns as u8, 0, 0, 0xff, 0x03],
            REPLY.to_vec(),
        ];
        assert_eq!(message_in(&rig.one(1)), expected.concat());
    }
    assert_eq!(sequence.take(), Some(2));
}

#[test]
fn over_ipv6_too() {
    let mut rig = Rig::with_ipv6();
    let mut spec = rig.session_over_ipv6(1);
    spec.echo = Some(EchoAnswer {
        magic: 0,
        mru: 1500,
    });
    rig.command(Command::SetSession(Arc::new(spec)));
    rig.send(1, &l2tp_frame_ipv6(1, &plain_message(1, &REQUEST)));
    let frame = rig.one(1);
    let packet = &frame[14..];
    assert!(upper_checksum_is_right(packet));
    let header_ipv6 = ipv6::parse(packet).expect("an IPv6 header");
    assert_eq!(header_ipv6.destination, *PEER_IPV6.ip());
    let mut reply = REPLY;
    reply[6..10].fill(0);
    assert_eq!(
        packet[48..],
        [header(0x01), reply.to_vec()].concat(),
        "a rejected magic number"
    );
}

#[test]
fn a_port_that_fills_in_checksums_gets_them_right() {
    let mut rig = Rig::on_filling_ports();
    answering(&mut rig, |_| {});
    rig.send(1, &l2tp_frame(1, &plain_message(1, &REQUEST)));
    let reply = message_in(&rig.one(1));
    assert_eq!(reply, [header(0x01), REPLY.to_vec()].concat());
}

#[test]
fn a_long_request_is_answered_as_far_as_the_peers_mru() {
    let mut rig = Rig::new();
    answering(&mut rig, |spec| {
        spec.echo = Some(EchoAnswer {
            magic: MAGIC,
            mru: 200,
        })
    });
    let mut request = vec![0xc0, 0x21, 9, 1, 0x04, 0x00, 1, 2, 3, 4];
    request.resize(2 + 1024, 0x77);
    // Padding behind it comes back to nobody.
    request.extend([0; 40]);
    rig.send(1, &l2tp_frame(1, &plain_message(1, &request)));
    let reply = message_in(&rig.one(1));
    let [head, data] = [&reply[6..16], &reply[16..]];
    assert_eq!(head, [0xc0, 0x21, 10, 1, 0, 200, 0xc0, 0xff, 0xee, 0x01]);
    assert_eq!(data, [0x77; 192]);
}

/// What the control thread gets is the frame as it came.
#[track_caller]
fn assert_handed_over(rig: &mut Rig, request: &[u8]) {
    let Event::Ppp { frame, .. } = rig.one_event() else {
        panic!("another event");
    };
    assert_eq!(frame[..], *request);
    assert!(rig.received(1).is_empty());
    assert_eq!(answered(rig), 0);
}

#[test]
fn what_is_special_is_the_control_threads() {
    let mut rig = Rig::new();
    answering(&mut rig, |_| {});
    let mut looped = REQUEST;
    looped[6..10].copy_from_slice(&MAGIC.to_be_bytes());
    let mut long = REQUEST;
    long[5] = 12;
    let mut short = REQUEST;
    short[5] = 7;
    for request in [looped, long, short, REPLY] {
        rig.send(1, &l2tp_frame(1, &plain_message(1, &request)));
        assert_handed_over(&mut rig, &request);
    }
    // From where a NAT may have moved the peer.
    let moved = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 77), 40_000);
    rig.send(1, &l2tp_frame_from(moved, 1, &plain_message(1, &REQUEST)));
    assert_handed_over(&mut rig, &REQUEST);
    // A reply that would not fit the way in one packet.
    let mut large = vec![0xc0, 0x21, 9, 1, 0x05, 0xb6, 1, 2, 3, 4];
    large.resize(2 + 1462, 0x77);
    rig.send(1, &l2tp_frame(1, &plain_message(1, &large)));
    assert_handed_over(&mut rig, &large);
    rig.command(Command::RemoveNeighbour {
        interface: InterfaceId(1),
        address: gateway(1).into(),
    });
    rig.send(1, &l2tp_frame(1, &plain_message(1, &REQUEST)));
    assert_handed_over(&mut rig, &REQUEST);
    rig.neighbour(1, gateway(1), gateway_mac(1));
    answering(&mut rig, |spec| spec.echo = None);
    rig.send(1, &l2tp_frame(1, &plain_message(1, &REQUEST)));
    assert_handed_over(&mut rig, &REQUEST);
    assert_eq!(rig.all_drops(), 0);
}

#[test]
fn echoes_of_sessions_that_live_are_not_policed() {
    let mut rig = Rig::new();
    answering(&mut rig, |_| {});
    let request = l2tp_frame(1, &plain_message(1, &REQUEST));
    for _ in 0..10_000 {
        rig.send(1, &request);
        assert_eq!(rig.received(1).len(), 1, "one for each");
    }
    assert_eq!(answered(&rig), 10_000);
    assert_eq!(rig.all_drops(), 0);
}
