//! The recogniser: it takes what our far end writes, and nothing that the
//! parsers would not take for the same.

use std::sync::Arc;

use crate::packets::{SOURCE, ipv4};
use dataplane::checksum;
use dataplane::command::{SessionId, SessionSpec, SetId, TableId};
use dataplane::headers::decapsulation::{self, Expected, HEADERS_OCTETS};
use dataplane::headers::encapsulation::{Fields, HA_OCTETS, Template};
use dataplane::headers::ethernet::{self, Ethernet};
use dataplane::headers::ha::{HaHeader, Kind};
use dataplane::headers::l2tp::{self, L2tp};
use dataplane::headers::{ipv4, ppp, udp};
use proptest::prelude::*;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const EPOCH: u32 = 0xaabb_ccdd;
const NUMBER: u64 = 0x0102_0304_0506;

/// As the receiver has it.
fn session(udp_checksum: bool) -> SessionSpec {
    SessionSpec {
        id: SessionId(1),
        table: TableId(1),
        local: "198.51.100.2:1701".parse().unwrap(),
        peer: "203.0.113.1:40000".parse().unwrap(),
        local_tunnel: 0x1234,
        local_session: 0x5678,
        peer_tunnel: 1,
        peer_session: 2,
        payload_table: TableId(0),
        receive: true,
        tcp_mss_fix: false,
        mtu: 1450,
        udp_checksum,
        address_control: false,
        set: Some(SetId(0)),
        masked: false,
        sequence: Arc::default(),
        echo: None,
        speed: None,
        counters: vec![Arc::default()],
        arrivals: Vec::new(),
    }
}

fn expected() -> Expected {
    Expected::new(&session(true), MAC, EPOCH)
}

/// A frame as the far end sends it.
fn frame(inner: &[u8], udp_checksum: bool) -> Vec<u8> {
    numbered(NUMBER, inner, udp_checksum)
}

fn numbered(number: u64, inner: &[u8], udp_checksum: bool) -> Vec<u8> {
    let mut far = session(udp_checksum);
    std::mem::swap(&mut far.local, &mut far.peer);
    std::mem::swap(&mut far.local_tunnel, &mut far.peer_tunnel);
    std::mem::swap(&mut far.local_session, &mut far.peer_session);
    let ethernet = Ethernet {
        destination: MAC,
        source: [2, 9, 9, 9, 9, 9],
        ether_type: ethernet::ETHER_TYPE_IPV4,
    };
    let mut headers = vec![0; HA_OCTETS];
    let fields = Fields {
        inner_octets: inner.len(),
        inner_sum: checksum::sum(inner),
        protocol: ppp::PROTOCOL_IPV4,
        epoch: EPOCH,
        number,
        flags: 0,
        identification: 77,
    };
    let template = Template::new(&far).expect("both ends are of one family");
    assert!(template.write(&mut headers, &fields));
    [&ethernet.octets(), &headers[..], inner].concat()
}

fn inner(payload: &[u8]) -> Vec<u8> {
    ipv4(ipv4::PROTOCOL_UDP, &[], 0x4000, payload)
}

/// Makes the outer checksums right: damage gets to what they cover.
fn mend(frame: &mut [u8]) {
    frame[24..26].fill(0);
    let sum = checksum::finish(checksum::sum(&frame[14..34]));
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame[40..42].fill(0);
}

/// The number of a copy on the session, read field by field.
fn parsed(frame: &[u8]) -> Option<u64> {
    let ethernet = ethernet::parse(frame)?;
    let ours = ethernet.destination == MAC && ethernet.ether_type == ethernet::ETHER_TYPE_IPV4;
    let packet = &frame[ethernet::HEADER_OCTETS..];
    let outer = ipv4::parse(packet).ok().filter(|_| ours)?;
    let spec = session(true);
    let udp = udp::parse(&outer, packet).ok()?;
    let from = (outer.source.into(), udp.source_port);
    let to = (outer.destination.into(), udp.destination_port);
    let ends = [(spec.peer.ip(), spec.peer.port()), (spec.local.ip(), 1701)];
    if outer.protocol != ipv4::PROTOCOL_UDP || outer.is_fragment() || [from, to] != ends {
        return None;
    }
    let payload = &packet[udp.payload_range];
    let Ok(L2tp::Data(data)) = l2tp::parse(payload) else {
        return None;
    };
    let ha = HaHeader::parse(&payload[data.padding_range]).ok()?;
    let rest = &payload[data.payload_offset..data.end];
    let (protocol, octets) = ppp::protocol(rest)?;
    let inner = ipv4::parse(&rest[octets..]).ok()?;
    let right = (data.tunnel, data.session) == (spec.local_tunnel, spec.local_session)
        && (ha.kind, ha.flags, ha.epoch) == (Kind::Data, 0, EPOCH)
        && protocol == ppp::PROTOCOL_IPV4
        && !ipv4::is_martian_source(inner.source);
    right.then_some(ha.number)
}

#[test]
fn what_the_far_end_writes_is_recognised() {
    for udp_checksum in [true, false] {
        for octets in [0, 1, 8, 44, 511, 1380] {
            let frame = frame(&inner(&vec![0x5a; octets]), udp_checksum);
            assert_eq!(decapsulation::ids(&frame), Some(0x1234_5678));
            let number = expected().recognise(&frame, || false);
            assert_eq!(number, Some(NUMBER), "{octets} octets inside");
            assert_eq!(parsed(&frame), number);
            assert_eq!(frame.len(), HEADERS_OCTETS + 20 + octets);
        }
    }
}

/// Also those of which the sum is carried out of a word.
#[test]
fn every_number_is_recognised() {
    let highest = 0xffff_ffff_ffff_u64;
    let numbers = (0..48).flat_map(|bit| [highest >> bit, highest << bit & highest, 1 << bit]);
    for number in numbers.chain([0]) {
        let frame = numbered(number, &inner(&[0xff; 44]), true);
        assert_eq!(expected().recognise(&frame, || false), Some(number));
    }
}

#[test]
fn what_routers_change_does_not_matter() {
    let mut frame = frame(&inner(b"x"), true);
    frame[15] = 0xb8;
    frame[20] = 0x40;
    frame[22] = 3;
    frame[24..26].fill(0);
    let sum = checksum::finish(checksum::sum(&frame[14..34]));
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame[6..12].copy_from_slice(&[2, 7, 7, 7, 7, 7]);
    assert_eq!(expected().recognise(&frame, || false), Some(NUMBER));
}

#[test]
fn a_udp_checksum_that_the_port_found_right_is_not_looked_at_again() {
    let mut frame = frame(&inner(b"x"), true);
    frame[41] ^= 1;
    assert_eq!(expected().recognise(&frame, || false), None);
    assert_eq!(expected().recognise(&frame, || true), Some(NUMBER));
}

#[test]
fn an_inner_packet_that_is_not_plain_or_not_right_is_left_to_the_parsers() {
    let with_options = ipv4(ipv4::PROTOCOL_UDP, &[1, 1, 1, 0], 0, b"x");
    let mut martian = inner(b"x");
    martian[12..16].copy_from_slice(&[127, 0, 0, 1]);
    let mut wrong = inner(b"x");
    wrong[8] -= 1;
    let mut longer = inner(b"x");
    longer.push(0);
    let mut shorter = inner(b"xy");
    shorter.pop();
    for inner in [with_options, martian, wrong, longer, shorter] {
        assert_eq!(expected().recognise(&frame(&inner, true), || false), None);
    }
}

#[test]
fn other_sessions_and_nothing_at_all_recognise_nothing() {
    let frame = frame(&inner(b"x"), true);
    let other = |change: fn(&mut SessionSpec)| {
        let mut spec = session(true);
        change(&mut spec);
        Expected::new(&spec, MAC, EPOCH).recognise(&frame, || false)
    };
    assert_eq!(other(|_| {}), Some(NUMBER));
    assert_eq!(other(|spec| spec.local_tunnel = 1), None);
    assert_eq!(other(|spec| spec.local_session = 1), None);
    assert_eq!(other(|spec| spec.peer.set_port(1701)), None);
    assert_eq!(other(|spec| spec.peer.set_ip(SOURCE.into())), None);
    assert_eq!(other(|spec| spec.local.set_ip(SOURCE.into())), None);
    let spec = session(true);
    for (mac, epoch) in [([2; 6], EPOCH), (MAC, EPOCH + 1)] {
        let expected = Expected::new(&spec, mac, epoch);
        assert_eq!(expected.recognise(&frame, || false), None);
    }
    assert_eq!(Expected::NOTHING.recognise(&frame, || false), None);
    assert_eq!(Expected::NOTHING.recognise(&[0xff; 128], || false), None);
    for octets in 0..HEADERS_OCTETS + 20 {
        assert_eq!(decapsulation::ids(&frame[..octets]), None);
        assert_eq!(expected().recognise(&frame[..octets], || false), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn damage_is_never_recognised_that_the_parsers_refuse(
        payload in prop::collection::vec(any::<u8>(), 0..80),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in 0..3_usize,
        mended in any::<bool>(),
        udp_checksum in any::<bool>(),
    ) {
        let mut frame = frame(&inner(&payload), udp_checksum);
        for (at, octet) in damage {
            // Mostly the headers.
            let at = at.index(2 * (HEADERS_OCTETS + 20)) % frame.len();
            frame[at] = octet;
        }
        frame.truncate(frame.len() - cut);
        if mended {
            mend(&mut frame);
        }
        let recognised = expected().recognise(&frame, || false);
        if recognised.is_some() {
            prop_assert_eq!(recognised, parsed(&frame));
        }
    }
}
