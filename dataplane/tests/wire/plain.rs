//! The recogniser of plain data messages: it takes the usual forms, and nothing that
//! the parsers would not take for the same.

use std::net::{Ipv4Addr, SocketAddr};

use crate::packets::ipv4;
use dataplane::checksum;
use dataplane::headers::l2tp::{self, L2tp};
use dataplane::headers::plain::{self, Plain};
use dataplane::headers::{ipv4, ppp, udp};
use proptest::prelude::*;

const BEFORE_IPV4: usize = 14;
/// Ethernet, IPv4, UDP.
const BEFORE_L2TP: usize = 42;

/// The four usual forms.
#[derive(Clone, Copy, Debug)]
struct Form {
    length: bool,
    address_control: bool,
}

const FORMS: [Form; 4] = {
    const fn form(length: bool, address_control: bool) -> Form {
        Form {
            length,
            address_control,
        }
    }
    [
        form(false, false),
        form(false, true),
        form(true, false),
        form(true, true),
    ]
};

impl Form {
    fn frame(self, inner: &[u8], udp_checksum: bool) -> Vec<u8> {
        let mut message = vec![if self.length { 0x40 } else { 0 }, 2];
        if self.length {
            let octets = 8 + if self.address_control { 4 } else { 2 } + inner.len() as u16;
            message.extend(octets.to_be_bytes());
        }
        message.extend([0x12, 0x34, 0x56, 0x78]);
        if self.address_control {
            message.extend(ppp::ADDRESS_CONTROL);
        }
        message.extend(ppp::PROTOCOL_IPV4.to_be_bytes());
        message.extend(inner);
        let octets = 8 + message.len() as u16;
        let mut datagram = [&40_000_u16.to_be_bytes()[..], &1701_u16.to_be_bytes()].concat();
        datagram.extend(octets.to_be_bytes());
        datagram.extend([0, 0]);
        datagram.extend(message);
        let mut packet = ipv4(ipv4::PROTOCOL_UDP, &[], 0x4000, &datagram);
        if udp_checksum {
            write_udp_checksum(&mut packet);
        }
        [&[2; 12][..], &[8, 0], &packet].concat()
    }
}

fn write_udp_checksum(packet: &mut [u8]) {
    packet[26..28].fill(0);
    let octets = (packet.len() - 20) as u32;
    let sum = checksum::sum(&packet[12..20]) + 17 + octets + checksum::sum(&packet[20..]);
    packet[26..28].copy_from_slice(&checksum::finish(sum).to_be_bytes());
}

fn inner(payload: &[u8]) -> Vec<u8> {
    ipv4(ipv4::PROTOCOL_UDP, &[], 0x4000, payload)
}

/// Whether the outer header is such as the recogniser is told.
fn outer_is_right(frame: &[u8]) -> bool {
    let packet = frame.get(14..).unwrap_or(&[]);
    ipv4::parse(packet)
        .is_ok_and(|outer| (outer.header_octets, outer.total_octets) == (20, packet.len()))
}

/// The same, read field by field.
fn parsed(frame: &[u8]) -> Option<Plain> {
    let packet = &frame[14..];
    let outer = ipv4::parse(packet).ok()?;
    let udp = udp::parse(&outer, packet).ok()?;
    if outer.protocol != ipv4::PROTOCOL_UDP
        || outer.is_fragment()
        || udp.destination_port != udp::PORT_L2TP
    {
        return None;
    }
    let payload = &packet[udp.payload_range.clone()];
    let Ok(L2tp::Data(data)) = l2tp::parse(payload) else {
        return None;
    };
    let rest = &payload[data.payload_offset..data.end];
    let (protocol, octets) = ppp::protocol(rest)?;
    let inner = ipv4::parse(&rest[octets..]).ok()?;
    let right = data.ns.is_none()
        && data.padding_range.is_empty()
        && protocol == ppp::PROTOCOL_IPV4
        && inner.total_octets == rest.len() - octets
        && !ipv4::is_martian_source(inner.source);
    right.then(|| Plain {
        ids: u32::from(data.tunnel) << 16 | u32::from(data.session),
        source: SocketAddr::new(outer.source.into(), udp.source_port),
        destination: SocketAddr::new(outer.destination.into(), udp.destination_port),
        headers_octets: 14 + udp.payload_range.start + data.payload_offset + octets,
        inner_destination: inner.destination,
    })
}

#[test]
fn the_usual_forms_are_recognised() {
    for form in FORMS {
        for udp_checksum in [true, false] {
            for octets in [0, 1, 8, 44, 511, 1400] {
                let packet = inner(&vec![0x5a; octets]);
                let frame = form.frame(&packet, udp_checksum);
                assert!(outer_is_right(&frame));
                let plain = plain::recognise(&frame, || false).expect("it is one");
                assert_eq!(Some(plain), parsed(&frame), "{form:?}");
                assert_eq!(plain::ids(&frame), Some(0x1234_5678));
                assert_eq!(frame[plain.headers_octets..], packet);
                let inner_destination: [u8; 4] = packet[16..20].try_into().unwrap();
                assert_eq!(plain.inner_destination, Ipv4Addr::from(inner_destination));
            }
        }
    }
}

#[test]
fn a_udp_checksum_that_the_port_found_right_is_not_looked_at_again() {
    let mut frame = FORMS[0].frame(&inner(b"x"), true);
    frame[41] ^= 1;
    assert_eq!(plain::recognise(&frame, || false), None);
    assert!(plain::recognise(&frame, || true).is_some());
}

#[test]
fn what_is_cut_short_is_not_recognised() {
    for form in FORMS {
        let frame = form.frame(&inner(b"x"), true);
        for octets in 0..frame.len() {
            assert_eq!(plain::recognise(&frame[..octets], || true), None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn damage_is_never_recognised_that_the_parsers_refuse(
        form in prop::sample::select(&FORMS[..]),
        payload in prop::collection::vec(any::<u8>(), 0..80),
        damage in prop::collection::vec(
            (any::<prop::sample::Index>(), prop_oneof![any::<u8>(), 0..3_u8]),
            0..4,
        ),
        mended in any::<bool>(),
        udp_checksum in any::<bool>(),
    ) {
        let mut frame = form.frame(&inner(&payload), udp_checksum);
        let undamaged = damage.is_empty();
        for (at, octet) in damage {
            // Mostly the headers.
            let at = BEFORE_IPV4 + at.index(BEFORE_L2TP + 20) % (frame.len() - BEFORE_IPV4);
            frame[at] = octet;
        }
        if mended {
            let sum = checksum::finish(checksum::sum(&[&frame[14..24], &frame[26..34]].concat()));
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
            write_udp_checksum(&mut frame[14..]);
        }
        if outer_is_right(&frame) {
            let recognised = plain::recognise(&frame, || false);
            prop_assert!(recognised.is_some() || !undamaged);
            if recognised.is_some() {
                prop_assert_eq!(recognised, parsed(&frame));
                prop_assert_eq!(recognised.map(|plain| plain.ids), plain::ids(&frame));
            }
        }
    }
}
