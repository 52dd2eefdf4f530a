//! The IPv6 header, what may stand behind it, and UDP over it.

use std::net::SocketAddrV6;

use crate::packets::{
    self, DESTINATION_IPV6, SOURCE_IPV6, hex, transport_checksum, transport_checksum_behind,
};
use dataplane::counters::Drop;
use dataplane::headers::ipv6::{self, Fragment, MAX_EXTENSION_HEADERS, UpperLayer};
use dataplane::headers::{icmpv6, udp};
use proptest::prelude::*;
use proptest::test_runner::Config;

/// UDP from [`SOURCE_IPV6`] port 40 000 to [`DESTINATION_IPV6`] port 9, "hello".
const UDP_PACKET: &str = "60 00 00 00 00 0d 11 40 20 01 0d b8 00 02 00 00 00 00 00 00 00 00 00 07 \
    20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 09 9c 40 00 09 00 0d c4 33 68 65 6c 6c 6f";

/// Hop-by-hop options: router alert (RFC 2711), filled up.
const HOP_BY_HOP: [u8; 8] = [0, 0, 5, 2, 0, 0, 1, 0];

fn end(address: std::net::Ipv6Addr, port: u16) -> SocketAddrV6 {
    SocketAddrV6::new(address, port, 0, 0)
}

/// An extension header before a header of this kind.
fn extension(next_header: u8, octets: &[u8]) -> Vec<u8> {
    let mut extension = octets.to_vec();
    extension[0] = next_header;
    extension
}

fn walk(packet: &[u8]) -> Result<UpperLayer, Drop> {
    let header = ipv6::parse(packet).expect("a header");
    ipv6::upper_layer(&header, packet)
}

#[test]
fn golden() {
    let mut octets = hex(UDP_PACKET);
    // Traffic class and flow label mean nothing here; what follows is padding.
    octets[..4].copy_from_slice(&[0x6f, 0xff, 0xff, 0xff]);
    octets.extend([0xa5; 7]);
    let header = ipv6::parse(&octets).unwrap();
    let expected = ipv6::Ipv6 {
        total_octets: 53,
        next_header: ipv6::NEXT_UDP,
        hop_limit: 64,
        source: SOURCE_IPV6,
        destination: DESTINATION_IPV6,
    };
    assert_eq!(header, expected);
    assert_eq!(ipv6::known(&octets), Some(expected));
    let datagram = udp::parse_over_ipv6(&header, 40, &octets).unwrap();
    assert_eq!(
        (datagram.source_port, datagram.destination_port),
        (40_000, 9)
    );
    assert_eq!(&octets[datagram.payload_range], b"hello");
}

#[test]
fn udp_packet_golden() {
    let (source, destination) = (end(SOURCE_IPV6, 40_000), end(DESTINATION_IPV6, 9));
    let packet = ipv6::udp_packet(source, destination, b"hello");
    assert_eq!(packet, hex(UDP_PACKET));
    let largest = ipv6::udp_packet(source, destination, &[7; 65_527]);
    assert_eq!(largest.len(), 40 + 65_535);
    assert!(ipv6::udp_packet(source, destination, &[7; 65_528]).is_empty());
}

#[test]
fn refusals() {
    let good = hex(UDP_PACKET);
    for length in 0..good.len() {
        let error = ipv6::parse(&good[..length]);
        assert_eq!(error, Err(Drop::Truncated), "{length}");
    }
    for version in (0..16).filter(|&version| version != 6) {
        let mut packet = good.clone();
        packet[0] = version << 4;
        assert_eq!(ipv6::parse(&packet), Err(Drop::BadIpv6), "{version}");
    }
    let mut packet = good.clone();
    packet[5] += 1;
    assert_eq!(ipv6::parse(&packet), Err(Drop::Truncated));
    // A jumbogram (RFC 2675): no payload length, and an option that has it.
    let mut jumbogram = packets::ipv6(0, &[17, 0, 0xc2, 4, 0, 1, 0, 0]);
    jumbogram[4..6].fill(0);
    assert_eq!(ipv6::parse(&jumbogram), Err(Drop::BadIpv6));
    // No payload at all is lawful.
    assert!(ipv6::parse(&packets::ipv6(ipv6::NEXT_NONE, &[])).is_ok());
}

#[test]
fn a_checksum_is_required() {
    let mut packet = hex(UDP_PACKET);
    let header = ipv6::parse(&packet).unwrap();
    packet[46..48].fill(0);
    for parse in [udp::parse_over_ipv6, udp::parse_over_ipv6_checked_by_port] {
        assert_eq!(parse(&header, 40, &packet), Err(Drop::BadUdp));
    }
    let good = hex(UDP_PACKET);
    for at in 8..good.len() {
        let mut damaged = good.clone();
        damaged[at] ^= 0x10;
        let header = ipv6::parse(&damaged).unwrap();
        assert!(udp::parse_over_ipv6(&header, 40, &damaged).is_err(), "{at}");
    }
    // What the port has looked at is not looked at again.
    let mut damaged = good;
    damaged[52] ^= 1;
    assert!(udp::parse_over_ipv6_checked_by_port(&header, 40, &damaged).is_ok());
}

#[test]
fn extension_headers_are_walked() {
    let udp = &hex(UDP_PACKET)[40..];
    let routing = [0, 2, 4, 0, 0, 0, 0, 0].repeat(3);
    let authentication = [0, 4, 0, 0, 0, 0, 0, 1].repeat(3);
    let options = [0, 0, 1, 4, 0, 0, 0, 0];
    let atomic = [0, 0xff, 0, 0, 9, 8, 7, 6];
    let payload = [
        extension(ipv6::NEXT_DESTINATION_OPTIONS, &HOP_BY_HOP),
        extension(ipv6::NEXT_ROUTING, &options),
        extension(ipv6::NEXT_FRAGMENT, &routing),
        extension(ipv6::NEXT_AUTHENTICATION, &atomic),
        extension(ipv6::NEXT_UDP, &authentication),
        udp.to_vec(),
    ]
    .concat();
    let packet = packets::ipv6(ipv6::NEXT_HOP_BY_HOP, &payload);
    let upper = walk(&packet).unwrap();
    let fragment = Fragment {
        header_offset: 40 + 8 + 8 + 24,
        fragment_offset_octets: 0,
        more_fragments: false,
        identification: 0x0908_0706,
    };
    let expected = UpperLayer {
        protocol: ipv6::NEXT_UDP,
        named_at: 40 + 8 + 8 + 24 + 8,
        offset: 40 + 8 + 8 + 24 + 8 + 24,
        fragment: Some(fragment),
        is_refused: false,
    };
    assert_eq!(upper, expected);
    assert!(!upper.is_fragment());
    let header = ipv6::parse(&packet).unwrap();
    let datagram = udp::parse_over_ipv6(&header, upper.offset, &packet).unwrap();
    assert_eq!(&packet[datagram.payload_range], b"hello");
    let (offset, protocol) = (upper.offset, upper.protocol);
    assert_eq!(transport_checksum_behind(&packet, offset, protocol), 0);
    // Every packet that ends earlier is refused, by the one or the other.
    for length in 41..offset {
        let mut short = packet[..length].to_vec();
        short[4..6].copy_from_slice(&((length - 40) as u16).to_be_bytes());
        assert_eq!(walk(&short), Err(Drop::Truncated), "{length}");
    }
}

#[test]
fn fragments_have_a_place() {
    let fragment = |offset_and_flags: u16| {
        let [high, low] = offset_and_flags.to_be_bytes();
        let header = extension(
            ipv6::NEXT_DESTINATION_OPTIONS,
            &[0, 0, high, low, 0, 0, 0, 5],
        );
        let options = extension(ipv6::NEXT_UDP, &[0, 0, 1, 4, 0, 0, 0, 0]);
        let payload = [header, options, vec![0; 16]].concat();
        walk(&packets::ipv6(ipv6::NEXT_FRAGMENT, &payload)).unwrap()
    };
    let first = fragment(1);
    assert!(first.is_fragment());
    assert_eq!((first.protocol, first.offset), (ipv6::NEXT_UDP, 56));
    // Behind a later fragment's header nothing is a header.
    let later = fragment(1480 | 1);
    assert!(later.is_fragment());
    assert_eq!(later.protocol, ipv6::NEXT_DESTINATION_OPTIONS);
    assert_eq!(later.offset, 48);
    let place = later.fragment.unwrap();
    assert_eq!(place.header_offset, 40);
    assert_eq!(
        (
            place.fragment_offset_octets,
            place.more_fragments,
            place.identification
        ),
        (1480, true, 5)
    );
    assert!(fragment(8).is_fragment());
    // Two bits between offset and flag are reserved.
    assert!(!fragment(6).is_fragment());
}

#[test]
fn too_many_extension_headers_and_misplaced_ones() {
    let chain = |count: usize| {
        let options = [ipv6::NEXT_DESTINATION_OPTIONS, 0, 1, 4, 0, 0, 0, 0];
        let mut payload = options.repeat(count);
        let last = payload.len() - 8;
        payload[last] = ipv6::NEXT_NONE;
        walk(&packets::ipv6(ipv6::NEXT_DESTINATION_OPTIONS, &payload))
    };
    assert!(chain(1).is_ok());
    assert!(chain(MAX_EXTENSION_HEADERS).is_ok());
    assert_eq!(chain(MAX_EXTENSION_HEADERS + 1), Err(Drop::BadIpv6));
    let payload = [
        extension(ipv6::NEXT_HOP_BY_HOP, &[0, 0, 1, 4, 0, 0, 0, 0]),
        extension(ipv6::NEXT_NONE, &HOP_BY_HOP),
    ];
    let misplaced = packets::ipv6(ipv6::NEXT_DESTINATION_OPTIONS, &payload.concat());
    assert_eq!(walk(&misplaced), Err(Drop::BadIpv6));
}

#[test]
fn a_routing_header_that_leads_on_is_refused() {
    let is_refused = |kind: u8, segments_left: u8| {
        let mut header = extension(ipv6::NEXT_NONE, &[0, 2, kind, segments_left, 0, 0, 0, 0]);
        header.extend(SOURCE_IPV6.octets());
        let packet = packets::ipv6(ipv6::NEXT_ROUTING, &header);
        walk(&packet).unwrap().is_refused
    };
    for kind in [0, 2, 4] {
        assert!(!is_refused(kind, 0), "{kind}: it is at its end");
        assert!(is_refused(kind, 1), "{kind}");
    }
}

#[test]
fn options_that_must_be_known_are_not() {
    let is_refused = |options: [u8; 6]| {
        let header = [&[ipv6::NEXT_NONE, 0], &options[..]].concat();
        let both = [ipv6::NEXT_DESTINATION_OPTIONS, ipv6::NEXT_HOP_BY_HOP]
            .map(|kind| walk(&packets::ipv6(kind, &header)).unwrap().is_refused);
        assert_eq!(both[0], both[1]);
        both[0]
    };
    for fit in [
        [0; 6],
        [1, 4, 9, 9, 9, 9],
        // Router alert, and one that nobody knows, to be skipped.
        [5, 2, 0, 0, 1, 0],
        [0x3e, 1, 7, 0x1e, 1, 7],
    ] {
        assert!(!is_refused(fit), "{fit:x?}");
    }
    for unfit in [
        // To be discarded, with and without an answer.
        [0x5e, 4, 0, 0, 0, 0],
        [0x9e, 4, 0, 0, 0, 0],
        [0xde, 4, 0, 0, 0, 0],
        [0, 0, 0xc9, 2, 0, 0],
        // Past the header, or without a length.
        [1, 5, 0, 0, 0, 0],
        [1, 3, 0, 0, 0, 1],
    ] {
        assert!(is_refused(unfit), "{unfit:x?}");
    }
}

#[test]
fn martians() {
    for text in ["::", "::1", "::192.0.2.1", "::ffff:192.0.2.1"] {
        let address = text.parse().unwrap();
        assert!(ipv6::is_martian_source(address), "{text}");
        assert!(ipv6::is_martian_destination(address), "{text}");
    }
    for text in ["ff02::1", "ff0e::1"] {
        let address = text.parse().unwrap();
        assert!(ipv6::is_martian_source(address), "{text}");
        assert!(!ipv6::is_martian_destination(address), "{text}");
    }
    for text in ["2001:db8::1", "fe80::1", "fd00::1", "::1:0:0", "64:ff9b::1"] {
        let address = text.parse().unwrap();
        assert!(!ipv6::is_martian_source(address), "{text}");
        assert!(!ipv6::is_martian_destination(address), "{text}");
    }
}

#[test]
fn hop_limit() {
    for hop_limit in 0..=255 {
        let mut packet = hex(UDP_PACKET);
        packet[7] = hop_limit;
        let before = packet.clone();
        let decremented = ipv6::decrement_hop_limit(&mut packet);
        assert_eq!(decremented, hop_limit > 1);
        let expected = if decremented {
            hop_limit - 1
        } else {
            hop_limit
        };
        assert_eq!(packet[7], expected);
        packet[7] = before[7];
        assert_eq!(packet, before);
    }
    assert!(!ipv6::decrement_hop_limit(&mut hex(UDP_PACKET)[..39]));
}

#[test]
fn neighbour_discovery_is_told_apart() {
    let is = |packet: &[u8]| {
        icmpv6::is_neighbour_discovery(&ipv6::parse(packet).expect("a header"), packet)
    };
    for kind in 0..=255 {
        let packet = packets::ipv6(ipv6::NEXT_ICMPV6, &[kind, 0, 0, 0]);
        assert_eq!(is(&packet), (133..=137).contains(&kind), "{kind}");
        assert!(!is(&packets::ipv6(ipv6::NEXT_UDP, &[kind, 0, 0, 0])));
    }
    assert!(!is(&packets::ipv6(ipv6::NEXT_ICMPV6, &[])));
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn udp_packet_round_trip(
        (source, destination) in any::<([u16; 8], [u16; 8])>(),
        (source_port, destination_port) in any::<(u16, u16)>(),
        payload in prop::collection::vec(any::<u8>(), 0..1600),
    ) {
        let (source, destination) = (source.into(), destination.into());
        let ends = (end(source, source_port), end(destination, destination_port));
        let packet = ipv6::udp_packet(ends.0, ends.1, &payload);
        let header = ipv6::parse(&packet).unwrap();
        prop_assert_eq!((header.source, header.destination), (source, destination));
        prop_assert_eq!(header.total_octets, packet.len());
        prop_assert_eq!(transport_checksum(&packet), 0);
        let datagram = udp::parse_over_ipv6(&header, 40, &packet).unwrap();
        prop_assert_eq!((datagram.source_port, datagram.destination_port), (source_port, destination_port));
        prop_assert_eq!(&packet[datagram.payload_range], payload);
    }

    #[test]
    fn readers_never_panic(
        mut octets in prop::collection::vec(any::<u8>(), 0..400),
        kinds in prop::collection::vec(prop::sample::select(&[0_u8, 6, 17, 43, 44, 51, 58, 59, 60][..]), 3),
    ) {
        // Half of the walks get somewhere.
        if octets.len() >= 64 {
            let payload_octets = (octets.len() - 40) as u16;
            octets[0] = 0x60;
            octets[4..6].copy_from_slice(&payload_octets.to_be_bytes());
            (octets[6], octets[40], octets[41], octets[48]) = (kinds[0], kinds[1], 0, kinds[2]);
        }
        if let Ok(header) = ipv6::parse(&octets) {
            prop_assert!(header.total_octets <= octets.len());
            if let Ok(upper) = ipv6::upper_layer(&header, &octets) {
                prop_assert!((40..=header.total_octets).contains(&upper.offset));
                let _ = udp::parse_over_ipv6(&header, upper.offset, &octets);
            }
            let _ = icmpv6::is_neighbour_discovery(&header, &octets);
        }
        ipv6::decrement_hop_limit(&mut octets);
    }
}
