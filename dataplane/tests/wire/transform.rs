//! MSS clamp and fragmentation.

use crate::packets::{ipv4, ipv6, transport_checksum, transport_checksum_behind};
use dataplane::headers::{ipv4 as header, ipv6 as ipv6_header};
use dataplane::transform::fragment::{FragmentError, fragment};
use dataplane::transform::{clamp_mss, fragment_ipv6};
use proptest::prelude::*;
use proptest::test_runner::Config;

const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;
const ACK: u8 = 0x10;
const MORE: u16 = 0x2000;
const DONT: u16 = 0x4000;

/// A TCP packet with a right checksum. `options` is a multiple of four octets.
fn tcp(flags: u8, options: &[u8], data: &[u8], ip_options: &[u8], fragment: u16) -> Vec<u8> {
    let mut segment = vec![0x9c, 0x40, 0, 80, 1, 2, 3, 4, 5, 6, 7, 8];
    segment.push(((5 + options.len() / 4) << 4) as u8);
    segment.extend([flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend(options);
    segment.extend(data);
    let mut packet = ipv4(6, ip_options, fragment, &segment);
    let checksum = transport_checksum(&packet).to_be_bytes();
    let at = 20 + ip_options.len() + 16;
    packet[at..at + 2].copy_from_slice(&checksum);
    packet
}

/// The options of a TCP packet without IP options, after the clamp.
fn clamped(mut packet: Vec<u8>, mtu: u16) -> (bool, Vec<u8>) {
    let changed = clamp_mss(&mut packet, mtu);
    assert_eq!(transport_checksum(&packet), 0);
    (changed, packet[40..].to_vec())
}

#[test]
fn mss_is_lowered_and_never_raised() {
    // 1450 - 40 = 1410 = 0x0582
    let syn = |mss: [u8; 2]| tcp(SYN, &[2, 4, mss[0], mss[1]], &[], &[], DONT);
    assert_eq!(
        clamped(syn([0x05, 0xb4]), 1450),
        (true, vec![2, 4, 0x05, 0x82])
    );
    assert_eq!(
        clamped(syn([0x05, 0x83]), 1450),
        (true, vec![2, 4, 0x05, 0x82])
    );
    assert_eq!(
        clamped(syn([0x05, 0x82]), 1450),
        (false, vec![2, 4, 0x05, 0x82])
    );
    assert_eq!(
        clamped(syn([0x02, 0x18]), 1450),
        (false, vec![2, 4, 0x02, 0x18])
    );
    let syn_ack = tcp(SYN_ACK, &[2, 4, 0x05, 0xb4], &[], &[], DONT);
    assert_eq!(clamped(syn_ack, 1450), (true, vec![2, 4, 0x05, 0x82]));
}

#[test]
fn mss_at_an_odd_offset_and_among_options() {
    let odd = tcp(SYN, &[1, 2, 4, 0xff, 0xfe, 1, 1, 0], b"fast open", &[], 0);
    let (changed, rest) = clamped(odd, 1450);
    assert!(changed);
    assert_eq!(
        rest,
        [&[1, 2, 4, 0x05, 0x82, 1, 1, 0][..], b"fast open"].concat()
    );
    let late = [
        4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 3, 3, 7, 2, 4, 0x23, 0x28, 0,
    ];
    let (changed, rest) = clamped(tcp(SYN, &late, &[], &[], 0), 576);
    assert!(changed);
    assert_eq!(rest[15..19], [2, 4, 0x02, 0x18]);
    let twice = [2, 4, 0x05, 0xb4, 2, 4, 0x05, 0xb4];
    assert_eq!(
        clamped(tcp(SYN, &twice, &[], &[], 0), 1240).1,
        [2, 4, 4, 0xb0, 2, 4, 4, 0xb0]
    );
}

#[test]
fn mss_behind_ip_options() {
    let mut packet = tcp(SYN, &[2, 4, 0x05, 0xb4], &[], &[7, 7, 4, 0, 0, 0, 0, 0], 0);
    assert!(clamp_mss(&mut packet, 1450));
    assert_eq!(packet[48..], [2, 4, 0x05, 0x82]);
    assert_eq!(transport_checksum(&packet), 0);
}

/// A TCP packet over IPv6 with a right checksum, and these octets of extension
/// headers, which start with `next_header`, before it.
fn tcp_ipv6(flags: u8, options: &[u8], next_header: u8, extensions: &[u8]) -> Vec<u8> {
    let segment = &tcp(flags, options, &[], &[], 0)[20..];
    let mut packet = ipv6(next_header, &[extensions, segment].concat());
    let offset = 40 + extensions.len();
    packet[offset + 16..offset + 18].fill(0);
    let checksum = transport_checksum_behind(&packet, offset, 6).to_be_bytes();
    packet[offset + 16..offset + 18].copy_from_slice(&checksum);
    packet
}

#[test]
fn mss_over_ipv6() {
    let mss = [2, 4, 0x05, 0xb4];
    // 1430 - 60 = 1370 = 0x055a
    let mut packet = tcp_ipv6(SYN, &mss, 6, &[]);
    assert!(clamp_mss(&mut packet, 1430));
    assert_eq!(packet[60..], [2, 4, 0x05, 0x5a]);
    assert_eq!(transport_checksum_behind(&packet, 40, 6), 0);
    assert!(!clamp_mss(&mut packet, 1430));
    let mut packet = tcp_ipv6(SYN_ACK, &[1, 2, 4, 0xff, 0xff, 1, 1, 1], 6, &[]);
    assert!(clamp_mss(&mut packet, 1280));
    assert_eq!(packet[60..], [1, 2, 4, 0x04, 0xc4, 1, 1, 1]);
    assert_eq!(transport_checksum_behind(&packet, 40, 6), 0);
    // Behind destination options and a fragment header that makes no piece.
    let extensions = [44, 0, 1, 4, 0, 0, 0, 0, 6, 0, 0, 0, 1, 2, 3, 4];
    let mut packet = tcp_ipv6(SYN, &mss, 60, &extensions);
    assert!(clamp_mss(&mut packet, 1430));
    assert_eq!(packet[76..], [2, 4, 0x05, 0x5a]);
    assert_eq!(transport_checksum_behind(&packet, 56, 6), 0);
}

#[test]
fn mss_over_ipv6_left_alone() {
    let mss = [2, 4, 0x05, 0xb4];
    let syn = || tcp_ipv6(SYN, &mss, 6, &[]);
    let fragment = |flags| tcp_ipv6(SYN, &mss, 44, &[6, 0, 0, flags, 1, 2, 3, 4]);
    let cases = [
        ("no SYN", tcp_ipv6(ACK, &mss, 6, &[])),
        ("not TCP", tcp_ipv6(SYN, &mss, 17, &[])),
        (
            "not TCP behind options",
            tcp_ipv6(SYN, &mss, 60, &[17, 0, 1, 4, 0, 0, 0, 0]),
        ),
        (
            "options past the end",
            tcp_ipv6(SYN, &mss, 60, &[6, 9, 1, 4, 0, 0, 0, 0]),
        ),
        ("first fragment", fragment(1)),
        ("later fragment", fragment(8)),
        ("no option", tcp_ipv6(SYN, &[1, 1, 1, 1], 6, &[])),
    ];
    for (name, packet) in cases {
        let mut after = packet.clone();
        assert!(!clamp_mss(&mut after, 1430), "{name}");
        assert_eq!(after, packet, "{name}");
    }
    let whole = syn();
    for length in 0..whole.len() {
        assert!(!clamp_mss(&mut whole[..length].to_vec(), 1430), "{length}");
    }
    for mtu in 0..=60 {
        assert!(!clamp_mss(&mut syn(), mtu));
    }
}

#[test]
fn mss_left_alone() {
    let mss = [2, 4, 0x05, 0xb4];
    let udp = |mut packet: Vec<u8>| {
        packet[9] = 17;
        packet
    };
    let tcp_octets = |mut packet: Vec<u8>, words: u8| {
        packet[32] = words << 4;
        packet
    };
    let syn = || tcp(SYN, &mss, &[], &[], 0);
    let cases = [
        ("no SYN", tcp(ACK, &mss, &[], &[], 0)),
        ("first fragment", tcp(SYN, &mss, &[], &[], MORE)),
        ("later fragment", tcp(SYN, &mss, &[], &[], 1)),
        ("not TCP", udp(syn())),
        ("no option", tcp(SYN, &[1, 1, 1, 1], &[], &[], 0)),
        (
            "behind the end of the list",
            tcp(SYN, &[1, 1, 1, 0, 2, 4, 0x05, 0xb4], &[], &[], 0),
        ),
        ("in the data", tcp(SYN, &[], &mss, &[], 0)),
        (
            "option of length 0",
            tcp(SYN, &[8, 0, 1, 1, 2, 4, 0x05, 0xb4], &[], &[], 0),
        ),
        (
            "option of length 1",
            tcp(SYN, &[8, 1, 2, 4, 0x05, 0xb4, 1, 1], &[], &[], 0),
        ),
        ("MSS of length 3", tcp(SYN, &[2, 3, 0x05, 0], &[], &[], 0)),
        (
            "MSS past the header",
            tcp(SYN, &[1, 2, 4, 0x05], &[0xb4, 0], &[], 0),
        ),
        ("TCP header of 16 octets", tcp_octets(syn(), 4)),
        ("TCP header past the packet", tcp_octets(syn(), 7)),
        ("another IP length", {
            let mut packet = syn();
            packet[0] = 0x44;
            packet
        }),
    ];
    for (name, packet) in cases {
        let mut after = packet.clone();
        assert!(!clamp_mss(&mut after, 1450), "{name}");
        assert_eq!(after, packet, "{name}");
    }
    let whole = syn();
    for length in 0..whole.len() {
        assert!(!clamp_mss(&mut whole[..length].to_vec(), 1450), "{length}");
    }
    for mtu in 0..=40 {
        assert!(!clamp_mss(&mut syn(), mtu));
    }
}

/// The packets that the fragments are, headers checked.
fn fragments(packet: &[u8], mtu: u16) -> Vec<Vec<u8>> {
    let fragments: Vec<_> = fragment(packet, mtu)
        .unwrap()
        .map(|piece| [piece.header(), &packet[piece.payload_range.clone()]].concat())
        .collect();
    for piece in &fragments {
        let parsed = header::parse(piece).unwrap();
        assert_eq!(parsed.total_octets, piece.len());
        assert!(piece.len() <= usize::from(mtu));
    }
    fragments
}

/// Puts fragments together again: the first one's header and the payload.
fn reassemble(pieces: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
    let mut payload = Vec::new();
    let first = header::parse(&pieces[0]).unwrap();
    for piece in pieces {
        let parsed = header::parse(piece).unwrap();
        assert_eq!(
            parsed.fragment_offset_octets - first.fragment_offset_octets,
            payload.len()
        );
        payload.extend(&piece[parsed.header_octets..]);
    }
    (pieces[0][..first.header_octets].to_vec(), payload)
}

#[test]
fn fragment_golden() {
    // RFC 791's own sums: 1500 on 1450 is 1424 and 56 octets of payload.
    let payload: Vec<u8> = (0..1480u32).map(|at| at as u8).collect();
    let pieces = fragments(&ipv4(17, &[], 0, &payload), 1450);
    assert_eq!(pieces.len(), 2);
    // Identification 4321; MF with offset 0, then offset 1424 / 8 = 0xb2.
    assert_eq!(
        pieces[0][..10],
        [0x45, 0, 0x05, 0xa4, 0x43, 0x21, 0x20, 0x00, 64, 17]
    );
    assert_eq!(
        pieces[1][..10],
        [0x45, 0, 0x00, 0x4c, 0x43, 0x21, 0x00, 0xb2, 64, 17]
    );
    assert_eq!(pieces[0][20..], payload[..1424]);
    assert_eq!(pieces[1][20..], payload[1424..]);
}

#[test]
fn only_copied_options_are_in_later_fragments() {
    // NOP, loose source route (copied) of 7, record route of 7, NOP, security (copied) of 4.
    let options = [
        1, 0x83, 7, 4, 10, 0, 0, 1, 7, 7, 4, 0, 0, 0, 0, 1, 0x82, 4, 9, 9,
    ];
    let pieces = fragments(&ipv4(17, &options, 0, &[7; 400]), 100);
    assert_eq!(pieces[0][20..40], options);
    for piece in &pieces[1..] {
        assert_eq!(piece[0], 0x48);
        assert_eq!(piece[20..32], [0x83, 7, 4, 10, 0, 0, 1, 0x82, 4, 9, 9, 0]);
    }
    // Malformed options end the list.
    for options in [
        [0x83, 9, 1, 1],
        [0x83, 1, 1, 1],
        [0x83, 0, 1, 1],
        [0, 0x88, 2, 0],
        [1, 1, 1, 0x88],
    ] {
        let pieces = fragments(&ipv4(17, &options, 0, &[7; 400]), 100);
        assert_eq!(pieces[0][20..24], options);
        assert!(
            pieces[1..].iter().all(|piece| piece[0] == 0x45),
            "{options:?}"
        );
    }
}

#[test]
fn fragments_of_a_fragment() {
    let middle = fragments(&ipv4(17, &[], MORE | 100, &[7; 160]), 100);
    let last = fragments(&ipv4(17, &[], 100, &[7; 157]), 100);
    let words = |pieces: &[Vec<u8>]| -> Vec<u16> {
        pieces
            .iter()
            .map(|piece| u16::from_be_bytes([piece[6], piece[7]]))
            .collect()
    };
    assert_eq!(words(&middle), [MORE | 100, MORE | 110]);
    assert_eq!(words(&last), [MORE | 100, 110]);
}

/// The IPv6 packets that the fragments are, put together again by their offsets.
fn reassembled_ipv6(packet: &[u8], mtu: u16, identification: u32) -> Vec<u8> {
    let mut payload = vec![0xee; packet.len() - 40];
    let mut octets = 0;
    let parts: Vec<_> = fragment_ipv6(packet, mtu, identification)
        .unwrap()
        .collect();
    for (number, part) in parts.iter().enumerate() {
        let whole = [part.header(), &packet[part.payload_range.clone()]].concat();
        assert!(whole.len() <= mtu.into());
        let header = ipv6_header::parse(&whole).unwrap();
        assert_eq!(header.total_octets, whole.len());
        let upper = ipv6_header::upper_layer(&header, &whole).unwrap();
        assert_eq!(upper.offset, 48);
        let place = upper.fragment.unwrap();
        assert_eq!(place.identification, identification);
        assert_eq!(place.more_fragments, number + 1 < parts.len());
        let at = place.fragment_offset_octets;
        assert!(!place.more_fragments || (whole.len() - 48) % 8 == 0);
        payload[at..at + whole.len() - 48].copy_from_slice(&whole[48..]);
        octets += whole.len() - 48;
    }
    assert_eq!(octets, payload.len(), "nothing twice");
    [&packet[..40], &payload].concat()
}

#[test]
fn fragment_ipv6_golden() {
    let payload: Vec<u8> = (0..1290u32).map(|at| at as u8).collect();
    let packet = ipv6(17, &payload);
    let parts: Vec<_> = fragment_ipv6(&packet, 1280, 0x0102_0304).unwrap().collect();
    assert_eq!(parts.len(), 2);
    // 1280 less 48 is 1232, a multiple of eight; 1232 + 8 = 0x4d8; 58 + 8 = 0x42.
    let addresses = &packet[8..40];
    let first = [
        &[0x60, 0, 0, 0, 0x04, 0xd8, 44, 64][..],
        addresses,
        &[17, 0, 0, 1, 1, 2, 3, 4],
    ];
    let second = [
        &[0x60, 0, 0, 0, 0, 0x42, 44, 64][..],
        addresses,
        &[17, 0, 0x04, 0xd0, 1, 2, 3, 4],
    ];
    assert_eq!(parts[0].header(), first.concat());
    assert_eq!(parts[1].header(), second.concat());
    assert_eq!(parts[0].payload_range, 40..40 + 1232);
    assert_eq!(parts[1].payload_range, 40 + 1232..40 + 1290);
}

#[test]
fn fragment_ipv6_refusals() {
    let packet = ipv6(17, &[7; 100]);
    let error = |packet: &[u8], mtu| fragment_ipv6(packet, mtu, 1).unwrap_err();
    assert_eq!(error(&packet, 55), FragmentError::MtuTooSmall);
    assert!(fragment_ipv6(&packet, 56, 1).is_ok());
    for length in 0..packet.len() {
        assert_eq!(error(&packet[..length], 1280), FragmentError::Malformed);
    }
    for next_header in [0, 43, 44] {
        let packet = ipv6(next_header, &[0; 16]);
        assert_eq!(error(&packet, 1280), FragmentError::Malformed);
    }
}

#[test]
fn what_fits_stays_whole() {
    for flags in [0, DONT, MORE | 3, 77] {
        let packet = ipv4(17, &[1, 1, 1, 1], flags, &[7; 76]);
        assert_eq!(fragments(&packet, 100), [packet]);
    }
    assert_eq!(fragments(&ipv4(17, &[], 0, &[]), 68).len(), 1);
}

#[test]
fn fragment_refusals() {
    let packet = ipv4(17, &[], 0, &[7; 81]);
    let error = |packet: &[u8], mtu| fragment(packet, mtu).unwrap_err();
    assert_eq!(error(&packet, 67), FragmentError::MtuTooSmall);
    assert_eq!(
        error(&ipv4(17, &[], DONT, &[7; 81]), 100),
        FragmentError::DontFragment
    );
    for length in 0..packet.len() {
        assert_eq!(error(&packet[..length], 100), FragmentError::Malformed);
    }
    // Past the end of the largest datagram.
    assert_eq!(
        error(&ipv4(17, &[], 0x1fff, &[7; 81]), 100),
        FragmentError::Malformed
    );
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn reassembly_gives_the_original(
        payload in prop::collection::vec(any::<u8>(), 0..4000),
        options in prop::collection::vec(any::<[u8; 4]>(), 0..=10),
        mtu in 68..1600u16,
        (offset, more) in any::<(u16, bool)>(),
    ) {
        let flags = (offset % 7000) | if more { MORE } else { 0 };
        let packet = ipv4(6, &options.concat(), flags, &payload);
        let pieces = fragments(&packet, mtu);
        let (first, together) = reassemble(&pieces);
        prop_assert_eq!(together, payload);
        prop_assert_eq!(&first[20..], options.concat());
        let (last, others) = pieces.split_last().unwrap();
        prop_assert_eq!(header::parse(last).unwrap().more_fragments, more);
        for piece in others {
            let parsed = header::parse(piece).unwrap();
            prop_assert!(parsed.more_fragments);
            prop_assert_eq!((piece.len() - parsed.header_octets) % 8, 0);
        }
    }

    #[test]
    fn reassembly_gives_the_original_of_ipv6(
        payload in prop::collection::vec(any::<u8>(), 0..4000),
        mtu in 56..1600u16,
        identification: u32,
    ) {
        let packet = ipv6(17, &payload);
        prop_assert_eq!(reassembled_ipv6(&packet, mtu, identification), packet);
    }

    #[test]
    fn fragment_never_panics(mut octets in prop::collection::vec(any::<u8>(), 0..300), words in 5..16u8, mtu: u16, small in 60..200u16) {
        if let Some(first) = octets.first_mut() {
            *first = 0x40 | words;
        }
        if octets.len() > 3 {
            octets[2] = 0;
        }
        for mtu in [mtu, small] {
            if let Ok(pieces) = fragment(&octets, mtu) {
                for piece in pieces {
                    prop_assert!(octets.get(piece.payload_range.clone()).is_some());
                    prop_assert!(piece.header().len() + piece.payload_range.len() <= usize::from(mtu));
                }
            }
        }
    }

    #[test]
    fn clamp_keeps_the_checksum_right(
        options in prop::collection::vec(any::<[u8; 4]>(), 0..=9),
        nops in 0..8usize,
        mss: u16,
        data in prop::collection::vec(any::<u8>(), 0..50),
        mtu: u16,
    ) {
        let mut octets = vec![1; nops];
        octets.extend([2, 4]);
        octets.extend(mss.to_be_bytes());
        octets.extend(options.concat());
        octets.resize(octets.len().min(40).next_multiple_of(4), 0);
        let mut packet = tcp(SYN, &octets, &data, &[], 0);
        let changed = clamp_mss(&mut packet, mtu);
        prop_assert_eq!(transport_checksum(&packet), 0);
        let after = u16::from_be_bytes([packet[42 + nops], packet[43 + nops]]);
        if mtu > 40 {
            prop_assert_eq!(after, mss.min(mtu - 40));
            prop_assert!(changed || mss <= mtu - 40);
        } else {
            prop_assert!(!changed && after == mss);
        }
    }

    #[test]
    fn clamp_over_ipv6_never_panics(
        mut octets in prop::collection::vec(any::<u8>(), 62..160),
        next_header in prop::sample::select(&[0_u8, 6, 43, 44, 51, 60][..]),
        mtu: u16,
    ) {
        octets[0] = 0x60;
        let payload_octets = octets.len() as u8 - 40;
        octets[4..6].copy_from_slice(&[0, payload_octets]);
        octets[6] = next_header;
        if next_header != 6 {
            (octets[40], octets[41]) = (6, 0);
        }
        octets[if next_header == 6 { 53 } else { 61 }] |= SYN;
        let before = octets.clone();
        let changed = clamp_mss(&mut octets, mtu);
        prop_assert_eq!(changed, octets != before);
    }

    #[test]
    fn clamp_never_panics(mut octets in prop::collection::vec(any::<u8>(), 34..120), words in 5..16u8, mtu: u16) {
        octets[0] = 0x40 | words;
        let total_octets = octets.len() as u8;
        octets[2..4].copy_from_slice(&[0, total_octets]);
        octets[6..8].fill(0);
        octets[9] = 6;
        let at = usize::from(words) * 4 + 13;
        if let Some(flags) = octets.get_mut(at) {
            *flags |= SYN;
        }
        let before = octets.clone();
        let changed = clamp_mss(&mut octets, mtu);
        prop_assert_eq!(changed, octets != before);
    }
}
