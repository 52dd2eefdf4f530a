//! The recogniser of copies over IPv6: it takes what our far end writes, and nothing
//! that the parsers would not take for the same.

use std::sync::Arc;

use crate::packets::{ipv4, ipv6};
use dataplane::checksum;
use dataplane::command::{SessionId, SessionSpec, SetId, TableId};
use dataplane::headers::decapsulation::{self, Expected};
use dataplane::headers::decapsulation_ipv6::{self, ExpectedIpv6, HEADERS_OCTETS};
use dataplane::headers::encapsulation::{Fields, Template};
use dataplane::headers::ethernet::{self, Ethernet};
use dataplane::headers::ha::{HaHeader, Kind};
use dataplane::headers::l2tp::{self, L2tp};
use dataplane::headers::{ipv4, ipv6, ppp, udp};
use proptest::prelude::*;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const EPOCH: u32 = 0xaabb_ccdd;
const NUMBER: u64 = 0x0102_0304_0506;

/// As the receiver has it.
fn session() -> SessionSpec {
    SessionSpec {
        id: SessionId(1),
        table: TableId(1),
        local: "[2001:db8:ffff::2]:1701".parse().unwrap(),
        peer: "[2001:db8:eeee::1]:40000".parse().unwrap(),
        local_tunnel: 0x1234,
        local_session: 0x5678,
        peer_tunnel: 1,
        peer_session: 2,
        payload_table: TableId(0),
        receive: true,
        tcp_mss_fix: false,
        mtu: 1450,
        udp_checksum: true,
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

fn expected() -> ExpectedIpv6 {
    ExpectedIpv6::new(&session(), MAC, EPOCH)
}

/// A frame as the far end sends it.
fn frame(inner: &[u8]) -> Vec<u8> {
    let mut far = session();
    std::mem::swap(&mut far.local, &mut far.peer);
    std::mem::swap(&mut far.local_tunnel, &mut far.peer_tunnel);
    std::mem::swap(&mut far.local_session, &mut far.peer_session);
    let ethernet = Ethernet {
        destination: MAC,
        source: [2, 9, 9, 9, 9, 9],
        ether_type: ethernet::ETHER_TYPE_IPV6,
    };
    let template = Template::new(&far).expect("both ends are of one family");
    let mut headers = vec![0; template.octets()];
    let fields = Fields {
        inner_octets: inner.len(),
        inner_sum: checksum::sum(inner),
        protocol: ppp::protocol_of(inner),
        epoch: EPOCH,
        number: NUMBER,
        flags: 0,
        identification: 77,
    };
    assert!(template.write(&mut headers, &fields));
    [&ethernet.octets(), &headers[..], inner].concat()
}

fn inner(is_ipv6: bool, payload: &[u8]) -> Vec<u8> {
    if is_ipv6 {
        ipv6(ipv6::NEXT_UDP, payload)
    } else {
        ipv4(ipv4::PROTOCOL_UDP, &[], 0x4000, payload)
    }
}

/// Makes the UDP checksum right: damage gets to what it covers.
fn mend(frame: &mut [u8]) {
    frame[60..62].fill(0);
    let udp_octets = (frame.len() - 54) as u32;
    let sum = checksum::sum(&frame[22..54]) + 17 + udp_octets + checksum::sum(&frame[54..]);
    let checksum = checksum::finish(sum);
    let checksum = if checksum == 0 { 0xffff } else { checksum };
    frame[60..62].copy_from_slice(&checksum.to_be_bytes());
}

/// Whether a whole packet of this family is right.
fn inner_is_right(protocol: u16, packet: &[u8]) -> bool {
    match protocol {
        ppp::PROTOCOL_IPV4 => {
            ipv4::parse(packet).is_ok_and(|header| !ipv4::is_martian_source(header.source))
        }
        ppp::PROTOCOL_IPV6 => {
            ipv6::parse(packet).is_ok_and(|header| !ipv6::is_martian_source(header.source))
        }
        _ => false,
    }
}

/// The number of a copy on the session, read field by field.
fn parsed(frame: &[u8]) -> Option<u64> {
    let ethernet = ethernet::parse(frame)?;
    let ours = ethernet.destination == MAC && ethernet.ether_type == ethernet::ETHER_TYPE_IPV6;
    let packet = &frame[ethernet::HEADER_OCTETS..];
    let outer = ipv6::parse(packet).ok().filter(|_| ours)?;
    let upper = ipv6::upper_layer(&outer, packet).ok()?;
    if upper.protocol != ipv6::NEXT_UDP || upper.is_fragment() || upper.is_refused {
        return None;
    }
    let spec = session();
    let udp = udp::parse_over_ipv6(&outer, upper.offset, packet).ok()?;
    let from = (outer.source.into(), udp.source_port);
    let to = (outer.destination.into(), udp.destination_port);
    let ends = [(spec.peer.ip(), spec.peer.port()), (spec.local.ip(), 1701)];
    if [from, to] != ends {
        return None;
    }
    let payload = &packet[udp.payload_range];
    let Ok(L2tp::Data(data)) = l2tp::parse(payload) else {
        return None;
    };
    let ha = HaHeader::parse(&payload[data.padding_range]).ok()?;
    let rest = &payload[data.payload_offset..data.end];
    let (protocol, octets) = ppp::protocol(rest)?;
    let right = (data.tunnel, data.session) == (spec.local_tunnel, spec.local_session)
        && (ha.kind, ha.flags, ha.epoch) == (Kind::Data, 0, EPOCH)
        && inner_is_right(protocol, &rest[octets..]);
    right.then_some(ha.number)
}

#[test]
fn what_the_far_end_writes_is_recognised() {
    for is_ipv6 in [true, false] {
        for octets in [0, 1, 8, 44, 511, 1380] {
            let packet = inner(is_ipv6, &vec![0x5a; octets]);
            let frame = frame(&packet);
            assert_eq!(decapsulation_ipv6::ids(&frame), Some(0x1234_5678));
            let number = expected().recognise(&frame, || false);
            assert_eq!(number, Some(NUMBER), "{octets} octets inside");
            assert_eq!(parsed(&frame), number);
            assert_eq!(frame[HEADERS_OCTETS..], packet);
        }
    }
}

#[test]
fn what_routers_change_does_not_matter() {
    let mut frame = frame(&inner(true, b"x"));
    frame[14] = 0x6f;
    frame[15..18].copy_from_slice(&[0xff; 3]);
    frame[21] = 3;
    frame[6..12].copy_from_slice(&[2, 7, 7, 7, 7, 7]);
    assert_eq!(expected().recognise(&frame, || false), Some(NUMBER));
    assert_eq!(parsed(&frame), Some(NUMBER));
}

#[test]
fn there_must_be_a_udp_checksum_and_one_that_the_port_found_right_is_not_looked_at_again() {
    let mut frame = frame(&inner(true, b"x"));
    frame[61] ^= 1;
    assert_eq!(expected().recognise(&frame, || false), None);
    assert_eq!(expected().recognise(&frame, || true), Some(NUMBER));
    frame[60..62].fill(0);
    assert_eq!(expected().recognise(&frame, || true), None);
}

#[test]
fn an_inner_packet_that_does_not_fill_its_place_is_left_to_the_parsers() {
    for is_ipv6 in [true, false] {
        let mut longer = inner(is_ipv6, b"x");
        longer.push(0);
        let mut shorter = inner(is_ipv6, b"xy");
        shorter.pop();
        for inner in [longer, shorter] {
            assert_eq!(expected().recognise(&frame(&inner), || false), None);
        }
    }
}

#[test]
fn the_families_are_apart() {
    let frame = frame(&inner(true, b"x"));
    assert_eq!(decapsulation::ids(&frame), None);
    let over_ipv4 = Expected::new(&session(), MAC, EPOCH);
    assert_eq!(over_ipv4, Expected::NOTHING);
    let mut spec = session();
    spec.local = "198.51.100.2:1701".parse().unwrap();
    spec.peer = "203.0.113.1:40000".parse().unwrap();
    let over_ipv4 = ExpectedIpv6::new(&spec, MAC, EPOCH);
    assert_eq!(over_ipv4, ExpectedIpv6::NOTHING);
    assert_eq!(over_ipv4.recognise(&frame, || false), None);
    assert_eq!(over_ipv4.recognise(&[0xff; 128], || true), None);
}

#[test]
fn other_sessions_and_what_is_cut_short_are_not_recognised() {
    let frame = frame(&inner(false, b"x"));
    let other = |change: fn(&mut SessionSpec)| {
        let mut spec = session();
        change(&mut spec);
        ExpectedIpv6::new(&spec, MAC, EPOCH).recognise(&frame, || true)
    };
    assert_eq!(other(|_| {}), Some(NUMBER));
    assert_eq!(other(|spec| spec.local_tunnel = 1), None);
    assert_eq!(other(|spec| spec.local_session = 1), None);
    assert_eq!(other(|spec| spec.peer.set_port(1701)), None);
    let elsewhere = |spec: &mut SessionSpec| spec.peer.set_ip("2001:db8:eeee::2".parse().unwrap());
    assert_eq!(other(elsewhere), None);
    let elsewhere = |spec: &mut SessionSpec| spec.local.set_ip("2001:db8:ffff::3".parse().unwrap());
    assert_eq!(other(elsewhere), None);
    for (mac, epoch) in [([2; 6], EPOCH), (MAC, EPOCH + 1)] {
        let expected = ExpectedIpv6::new(&session(), mac, epoch);
        assert_eq!(expected.recognise(&frame, || true), None);
    }
    for octets in 0..frame.len() {
        assert_eq!(expected().recognise(&frame[..octets], || true), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn damage_is_never_recognised_that_the_parsers_refuse(
        is_ipv6 in any::<bool>(),
        payload in prop::collection::vec(any::<u8>(), 0..80),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in 0..3_usize,
        mended in any::<bool>(),
    ) {
        let mut frame = frame(&inner(is_ipv6, &payload));
        let undamaged = damage.is_empty() && cut == 0;
        for (at, octet) in damage {
            // Mostly the headers.
            let at = at.index(HEADERS_OCTETS + 40) % frame.len();
            frame[at] = octet;
        }
        frame.truncate(frame.len() - cut);
        if mended {
            mend(&mut frame);
        }
        let recognised = expected().recognise(&frame, || false);
        prop_assert!(recognised.is_some() || !undamaged);
        if recognised.is_some() {
            prop_assert_eq!(recognised, parsed(&frame));
        }
    }
}
