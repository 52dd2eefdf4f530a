//! Readers and writers of headers: golden octets, every wrong length, and
//! properties over any octets.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::packets::{self, DESTINATION, SOURCE, hex, plain_checksum};
use dataplane::checksum;
use dataplane::counters::Drop;
use dataplane::headers::ethernet::{self, Ethernet};
use dataplane::headers::ha::{self, HaHeader, Kind, Report};
use dataplane::headers::l2tp::{self, Data, L2tp};
use dataplane::headers::{ipv4, ppp, udp};
use proptest::prelude::*;
use proptest::test_runner::Config;

/// UDP from [`SOURCE`] port 40 000 to [`DESTINATION`] port 9, "hello".
const UDP_PACKET: &str = "45 00 00 21 00 07 00 00 40 11 f6 64 c0 a8 02 07 c0 a8 01 09 \
    9c 40 00 09 00 0d 9b 57 68 65 6c 6c 6f";

#[test]
fn ethernet_golden() {
    let octets = hex("02 00 00 00 00 01 02 00 00 00 00 02 08 00 45");
    let header = ethernet::parse(&octets).unwrap();
    assert_eq!(header.destination, [2, 0, 0, 0, 0, 1]);
    assert_eq!(header.source, [2, 0, 0, 0, 0, 2]);
    assert_eq!(header.ether_type, ethernet::ETHER_TYPE_IPV4);
    let mut frame = [0xa5; 16];
    assert!(header.write(&mut frame));
    assert_eq!(frame[..14], octets[..14]);
    assert_eq!(frame[14..], [0xa5; 2]);
    assert_eq!(ethernet::parse(&octets[..13]), None);
    assert!(!header.write(&mut frame[..13]));
}

#[test]
fn ipv4_golden() {
    let mut octets = hex(UDP_PACKET);
    octets.extend([0xa5; 13]); // an Ethernet frame is filled up to 60
    let header = ipv4::parse(&octets).unwrap();
    assert_eq!(
        header,
        ipv4::Ipv4 {
            header_octets: 20,
            total_octets: 33,
            identification: 7,
            dont_fragment: false,
            more_fragments: false,
            fragment_offset_octets: 0,
            ttl: 64,
            protocol: ipv4::PROTOCOL_UDP,
            source: SOURCE,
            destination: DESTINATION,
        }
    );
    assert!(!header.is_fragment());
}

#[test]
fn ipv4_flags_and_options() {
    let packet = packets::ipv4(6, &[7, 7, 4, 1, 2, 3, 4, 0], 0x6000 | 100, &[1; 5]);
    let header = ipv4::parse(&packet).unwrap();
    assert_eq!((header.header_octets, header.total_octets), (28, 33));
    assert!(header.dont_fragment && header.more_fragments && header.is_fragment());
    assert_eq!(header.fragment_offset_octets, 800);
    let mut damaged = packet;
    damaged[24] ^= 1; // in the options
    assert_eq!(ipv4::parse(&damaged), Err(Drop::BadIpv4));
}

#[test]
fn ipv4_refusals() {
    let good = hex(UDP_PACKET);
    for length in 0..good.len() {
        assert_eq!(
            ipv4::parse(&good[..length]),
            Err(Drop::Truncated),
            "{length}"
        );
    }
    let with = |at: usize, value: u8| {
        let mut packet = good.clone();
        packet[at] = value;
        packet[10..12].fill(0);
        let checksum = plain_checksum(&packet[..20]).to_be_bytes();
        packet[10..12].copy_from_slice(&checksum);
        ipv4::parse(&packet)
    };
    assert!(with(8, 1).is_ok());
    assert_eq!(with(0, 0x65), Err(Drop::BadIpv4)); // version 6
    assert_eq!(with(0, 0x44), Err(Drop::BadIpv4)); // header of 16 octets
    assert_eq!(with(3, 19), Err(Drop::BadIpv4)); // total below the header
    assert_eq!(with(3, 34), Err(Drop::Truncated)); // total past the end
    assert_eq!(with(0, 0x4f), Err(Drop::BadIpv4)); // header past the total
    for at in 0..20 {
        for bit in 0..8 {
            let mut packet = good.clone();
            packet[at] ^= 1 << bit;
            assert!(ipv4::parse(&packet).is_err(), "bit {bit} of octet {at}");
        }
    }
}

#[test]
fn martian_sources() {
    for martian in [
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
    ] {
        assert!(
            ipv4::is_martian_source(martian.parse().unwrap()),
            "{martian}"
        );
    }
    for lawful in [
        "1.0.0.1",
        "10.0.0.1",
        "126.1.1.1",
        "128.0.0.1",
        "223.255.255.255",
    ] {
        assert!(
            !ipv4::is_martian_source(lawful.parse().unwrap()),
            "{lawful}"
        );
    }
}

/// Also where the words that are added up at once carry out of their sum.
#[test]
fn a_right_checksum_is_right_whatever_is_carried() {
    let mut packet = hex(UDP_PACKET);
    for step in 0..=u16::MAX {
        let [s0, s1] = step.to_be_bytes();
        // The first two words of eight octets have together all ones in their upper halves,
        // or one less; the last decides.
        let identification = step.to_le_bytes();
        packet[4..6].copy_from_slice(&identification);
        packet[6..8].copy_from_slice(&[0x40, 0]);
        let upper = u32::from_le_bytes([identification[0], identification[1], 0x40, 0]);
        let source = u32::MAX - upper - u32::from(s0 & 1);
        packet[12..16].copy_from_slice(&source.to_le_bytes());
        packet[16..20].copy_from_slice(&[s1, s0, s1, 0xfe]);
        packet[10..12].fill(0);
        let checksum = plain_checksum(&packet[..20]);
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        assert!(ipv4::parse(&packet).is_ok(), "{step}");
        packet[10..12].copy_from_slice(&checksum.wrapping_add(1).to_be_bytes());
        let zeros = [checksum, checksum.wrapping_add(1)] == [0xffff, 0];
        assert!(zeros || ipv4::parse(&packet).is_err(), "{step}");
    }
}

/// A packet whose header checksum is right.
fn with_ttl(ttl: u8, identification: u16) -> Vec<u8> {
    let mut packet = hex(UDP_PACKET);
    packet[4..6].copy_from_slice(&identification.to_be_bytes());
    packet[8] = ttl;
    packet[10..12].fill(0);
    let checksum = plain_checksum(&packet[..20]).to_be_bytes();
    packet[10..12].copy_from_slice(&checksum);
    packet
}

#[test]
fn ttl() {
    for ttl in 0..=255u8 {
        for identification in [0u16, 1, 0x7654, 0xfeff, 0xffff] {
            let mut packet = with_ttl(ttl, identification);
            let before = packet.clone();
            if ipv4::decrement_ttl(&mut packet) {
                assert!(ttl > 1);
                assert_eq!(ipv4::parse(&packet).unwrap().ttl, ttl - 1);
            } else {
                assert!(ttl <= 1);
                assert_eq!(packet, before);
            }
        }
    }
    assert!(!ipv4::decrement_ttl(&mut [0x45; 19]));
}

/// As if the checksum were made anew, whatever it was.
#[test]
fn the_checksum_goes_with_the_ttl() {
    for identification in 0..=u16::MAX {
        let mut packet = with_ttl(64, identification);
        assert!(ipv4::decrement_ttl(&mut packet));
        assert_eq!(packet, with_ttl(63, identification));
    }
}

#[test]
fn udp_golden() {
    let mut octets = hex(UDP_PACKET);
    let header = ipv4::parse(&octets).unwrap();
    let datagram = udp::parse(&header, &octets).unwrap();
    assert_eq!(
        (datagram.source_port, datagram.destination_port),
        (40_000, 9)
    );
    assert_eq!(octets[datagram.payload_range.clone()], *b"hello");
    assert_eq!(
        udp::parse_checked_by_port(&header, &octets),
        Ok(datagram.clone())
    );
    octets[30] ^= 0x10;
    assert_eq!(udp::parse(&header, &octets), Err(Drop::BadUdp));
    assert_eq!(
        udp::parse_checked_by_port(&header, &octets),
        Ok(datagram.clone())
    );
    octets[26..28].fill(0); // no checksum
    assert_eq!(udp::parse(&header, &octets), Ok(datagram));
}

#[test]
fn udp_lengths() {
    let good = hex(UDP_PACKET);
    for length in 0..=16u8 {
        let mut packet = good.clone();
        packet[25] = length;
        packet[26..28].fill(0);
        let header = ipv4::parse(&packet).unwrap();
        let datagram = udp::parse(&header, &packet);
        match length {
            8..=13 => assert_eq!(
                datagram.unwrap().payload_range,
                28..20 + usize::from(length)
            ),
            _ => assert_eq!(datagram, Err(Drop::BadUdp), "{length}"),
        }
    }
    // An IPv4 payload that is shorter than the UDP header.
    for length in 0..8 {
        let packet = packets::ipv4(17, &[], 0, &good[20..20 + length]);
        let header = ipv4::parse(&packet).unwrap();
        assert_eq!(udp::parse(&header, &packet), Err(Drop::Truncated));
    }
    // A header that belongs to a longer packet.
    let header = ipv4::parse(&good).unwrap();
    assert_eq!(udp::parse(&header, &good[..25]), Err(Drop::Truncated));
}

#[test]
fn udp_packet_golden() {
    let source = "198.51.100.2:1701".parse().unwrap();
    let destination = "203.0.113.1:1701".parse().unwrap();
    assert_eq!(
        ipv4::udp_packet(source, destination, b"abc", 0x0102),
        hex(
            "45 00 00 1f 01 02 00 00 40 11 13 95 c6 33 64 02 cb 00 71 01 \
             06 a5 06 a5 00 0b c7 f3 61 62 63"
        )
    );
    assert_eq!(
        ipv4::udp_packet(source, destination, &[0; 65_507], 0).len(),
        65_535
    );
    assert!(ipv4::udp_packet(source, destination, &[0; 65_508], 0).is_empty());
}

#[test]
fn udp_checksum_zero_goes_as_ffff() {
    let source = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 1701);
    let destination = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 1701);
    // The checksum of this packet, added to its payload, leaves nothing.
    let packet = ipv4::udp_packet(source, destination, &[0, 0], 0);
    let packet = ipv4::udp_packet(source, destination, &[packet[26], packet[27]], 0);
    assert_eq!(packet[26..28], [0xff, 0xff]);
    assert!(udp::parse(&ipv4::parse(&packet).unwrap(), &packet).is_ok());
}

/// A data message of the given form: payload `ff 03 c0 21`, padding of three.
fn message(flags: u16) -> (Vec<u8>, usize) {
    let mut message = (flags | 2).to_be_bytes().to_vec();
    let has = |flag: u16| flags & flag != 0;
    if has(l2tp::FLAG_LENGTH) {
        message.extend([0, 0]);
    }
    message.extend([0x12, 0x34, 0x56, 0x78]);
    if has(l2tp::FLAG_SEQUENCE) {
        message.extend([0, 1, 0, 2]);
    }
    if has(l2tp::FLAG_OFFSET) {
        message.extend([0, 3, 0xaa, 0xbb, 0xcc]);
    }
    let header_octets = message.len();
    message.extend([0xff, 0x03, 0xc0, 0x21]);
    if has(l2tp::FLAG_LENGTH) {
        message[3] = message.len() as u8;
        message.extend([0xee; 5]); // past the length: not part of it
    }
    (message, header_octets)
}

#[test]
fn l2tp_every_form() {
    for form in 0..16u16 {
        let flag = |bit: u16, flag: u16| if form >> bit & 1 == 1 { flag } else { 0 };
        let flags = flag(0, l2tp::FLAG_LENGTH)
            | flag(1, l2tp::FLAG_SEQUENCE)
            | flag(2, l2tp::FLAG_OFFSET)
            | flag(3, l2tp::FLAG_PRIORITY);
        let (octets, header_octets) = message(flags);
        let padding_octets = if flags & l2tp::FLAG_OFFSET != 0 { 3 } else { 0 };
        assert_eq!(
            l2tp::parse(&octets),
            Ok(L2tp::Data(Data {
                tunnel: 0x1234,
                session: 0x5678,
                ns: (flags & l2tp::FLAG_SEQUENCE != 0).then_some(1),
                padding_range: header_octets - padding_octets..header_octets,
                payload_offset: header_octets,
                end: header_octets + 4,
            })),
            "{flags:04x}"
        );
        // Cut anywhere in the header, and with L anywhere at all.
        let whole = if flags & l2tp::FLAG_LENGTH != 0 {
            header_octets + 4
        } else {
            header_octets
        };
        for length in 0..whole {
            assert_eq!(
                l2tp::parse(&octets[..length]),
                Err(Drop::Truncated),
                "{flags:04x} {length}"
            );
        }
        // A length that says less than the header takes.
        if flags & l2tp::FLAG_LENGTH != 0 {
            for length in 0..header_octets as u8 {
                let mut octets = octets.clone();
                octets[3] = length;
                assert_eq!(
                    l2tp::parse(&octets),
                    Err(Drop::BadL2tp),
                    "{flags:04x} {length}"
                );
            }
        }
    }
}

#[test]
fn l2tp_version_comes_first() {
    for version in (0..16u16).filter(|&version| version != 2) {
        // Control and data, with a length that is wrong as well.
        for flags in [0xc800, 0x4000, 0] {
            let [high, low] = (flags | version).to_be_bytes();
            assert_eq!(l2tp::parse(&[high, low]), Err(Drop::BadL2tp));
        }
    }
    assert_eq!(l2tp::parse(&[0xc8, 0x02]), Ok(L2tp::Control));
    assert_eq!(l2tp::parse(&[0xc8]), Err(Drop::Truncated));
    // Reserved bits are ignored on receipt (RFC 2661, 3.1).
    assert!(matches!(
        l2tp::parse(&[0x34, 0xf2, 0, 1, 0, 2]),
        Ok(L2tp::Data(_))
    ));
}

#[test]
fn ha_golden() {
    let octets = hex("10 00 de ad be ef 01 23 45 67 89 ab");
    let header = HaHeader {
        kind: Kind::Data,
        flags: 0,
        epoch: 0xdead_beef,
        number: 0x0123_4567_89ab,
    };
    assert_eq!(HaHeader::parse(&octets), Ok(header));
    let mut padding = [0xa5; 13];
    assert!(header.write(&mut padding));
    assert_eq!(padding[..12], octets);
    assert_eq!(padding[12], 0xa5);
    assert!(!header.write(&mut padding[..11]));
}

#[test]
fn ha_refusals() {
    let good = hex("10 00 de ad be ef 01 23 45 67 89 ab");
    for length in 0..12 {
        assert_eq!(HaHeader::parse(&good[..length]), Err(Drop::BadHaHeader));
    }
    let mut longer = good.clone();
    longer.push(0);
    assert_eq!(HaHeader::parse(&longer), Err(Drop::BadHaHeader));
    for first in (0..=255u8).filter(|first| ![0x10, 0x11].contains(first)) {
        let mut padding = good.clone();
        padding[0] = first;
        assert_eq!(
            HaHeader::parse(&padding),
            Err(Drop::BadHaHeader),
            "{first:02x}"
        );
    }
    for (kind, flags) in [0x10, 0x11]
        .iter()
        .flat_map(|k| (0..=255u8).map(move |f| (k, f)))
    {
        let mut padding = good.clone();
        padding[..2].copy_from_slice(&[*kind, flags]);
        let pieces = *kind == 0x10 && flags & !3 == 0;
        assert_eq!(
            HaHeader::parse(&padding).is_ok(),
            flags == 0 || pieces,
            "{kind:02x} {flags:02x}"
        );
    }
}

const REPORT: Report = Report {
    epoch: 0xdead_beef,
    next_number: 0x0123_4567_89ab,
    joined_number: 0x11,
    copies: 0x2222_0000_0000_0022,
    sent_at_us: 0x33,
    echo_us: 0x44,
    echo_delay_us: 0x55,
    over_speed: 0x66,
    not_sent: 0x77,
    is_last: true,
    is_probe: false,
    heard_probe_us: Some(0x88),
    is_masked: false,
    is_deaf: false,
    is_needed: false,
};

#[test]
fn report_golden() {
    let padding = hex("11 00 de ad be ef 01 23 45 67 89 ab \
        00 00 00 00 00 00 00 11 22 22 00 00 00 00 00 22 00 00 00 00 00 00 00 33 \
        00 00 00 00 00 00 00 44 00 00 00 55 00 00 00 00 00 00 00 66 00 00 00 00 00 00 00 77 01 \
        00 00 00 00 00 00 00 88");
    assert_eq!(REPORT.encode()[..], padding);
    assert_eq!(Report::parse(&padding), Ok(REPORT));
    for length in 0..48 {
        assert_eq!(Report::parse(&padding[..length]), Err(Drop::BadHaHeader));
    }
    let mut short = padding.clone();
    short[20..28].copy_from_slice(&0x1000_u64.to_be_bytes());
    for length in 48..65 {
        let report = Report::parse(&short[..length]).expect("a report as it was first");
        // What was numbered since the link joined, and is not among the copies.
        assert_eq!(report.withheld(), REPORT.next_number - 0x11 - 0x1000);
        assert!(!report.is_last && report.echo_delay_us == 0x55);
    }
    for length in 65..padding.len() {
        let report = Report::parse(&padding[..length]).expect("a report of who tells of no probes");
        assert_eq!((report.heard_probe_us, report.is_last), (None, true));
    }
    let mut probe = padding.clone();
    probe[64] = 2;
    let probe = Report::parse(&probe).expect("a probe");
    assert!(probe.is_probe && !probe.is_last);
    assert_eq!(Report::parse(&probe.encode()), Ok(probe));
    for octet in [4, 8, 16] {
        let mut told = padding.clone();
        told[64] = octet;
        let told = Report::parse(&told).expect("a report");
        let flags = (told.is_masked, told.is_deaf, told.is_needed);
        assert_eq!(flags, (octet == 4, octet == 8, octet == 16));
        assert!(!told.is_last && !told.is_probe);
        assert_eq!(Report::parse(&told.encode()), Ok(told));
    }
    let mut longer = padding.clone();
    longer.extend([1, 2, 3]);
    assert_eq!(Report::parse(&longer), Ok(REPORT));
    let mut data = padding;
    data[0] = 0x10;
    assert_eq!(Report::parse(&data), Err(Drop::BadHaHeader));
    assert_eq!(Report::parse(&data[..12]), Err(Drop::BadHaHeader));
}

#[test]
fn report_travels_as_a_data_message_with_a_discard_request() {
    let message = REPORT.message(0x1234, 0x5678, 0xcafe_f00d, 2);
    assert_eq!(message[..8], hex("02 02 12 34 56 78 00 49"));
    assert_eq!(
        message[81..],
        hex("ff 03 c0 21 0b 00 00 0a ca fe f0 0d 00 00")
    );
    let Ok(L2tp::Data(data)) = l2tp::parse(&message) else {
        panic!("a data message");
    };
    assert_eq!((data.tunnel, data.session), (0x1234, 0x5678));
    assert_eq!(Report::parse(&message[data.padding_range]), Ok(REPORT));
    let frame = &message[data.payload_offset..data.end];
    assert_eq!(ppp::protocol(frame), Some((ppp::PROTOCOL_LCP, 4)));
    let largest = REPORT.message(1, 2, 3, usize::MAX);
    assert!(largest.len() < 65_507);
    let length = u16::from_be_bytes([largest[87], largest[88]]);
    assert_eq!(usize::from(length), largest.len() - 85);
}

#[test]
fn ppp_forms() {
    assert_eq!(
        ppp::protocol(&[0xff, 0x03, 0x00, 0x21, 0x45]),
        Some((0x0021, 4))
    );
    assert_eq!(ppp::protocol(&[0x00, 0x21]), Some((0x0021, 2)));
    assert_eq!(ppp::protocol(&[0x21, 0x45]), Some((0x0021, 1)));
    assert_eq!(ppp::protocol(&[0xff, 0x03, 0x57]), Some((0x0057, 3)));
    assert_eq!(ppp::protocol(&[0xc0, 0x21, 1]), Some((0xc021, 2)));
    for none in [
        &[][..],
        &[0xff, 0x03],
        &[0xc0],
        &[0xff, 0x03, 0xc0],
        &[0xc0, 0x20],
    ] {
        assert_eq!(ppp::protocol(none), None, "{none:02x?}");
    }
}

#[test]
fn checksum_golden() {
    // The example of RFC 1071, 3.
    let data = hex("00 01 f2 03 f4 f5 f6 f7");
    assert_eq!(checksum::sum(&data), 0xddf2);
    assert_eq!(checksum::finish(checksum::sum(&data)), 0x220d);
    assert_eq!(checksum::sum(&[]), 0);
    assert_eq!(checksum::sum(&[0x12]), 0x1200);
    assert_eq!(checksum::fold(u32::MAX), 0xffff);
    // The example of RFC 1624, 4: no -0 comes of it.
    assert_eq!(checksum::update(0xdd2f, 0x5555, 0x3285), 0x0000);
}

fn config() -> Config {
    Config {
        failure_persistence: None,
        ..Config::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn checksum_equals_word_by_word(data in prop::collection::vec(any::<u8>(), 0..3000)) {
        prop_assert_eq!(checksum::finish(checksum::sum(&data)), plain_checksum(&data));
        prop_assert!(checksum::sum(&data) <= 0xffff);
    }

    #[test]
    fn sums_of_parts_add_up(data in prop::collection::vec(any::<u8>(), 2..300), cut in any::<prop::sample::Index>()) {
        let (first, second) = data.split_at(cut.index(data.len()) & !1);
        let sum = checksum::sum(first) + checksum::sum(second);
        prop_assert_eq!(checksum::finish(sum), plain_checksum(&data));
    }

    #[test]
    fn update_equals_full(mut data in prop::collection::vec(any::<u8>(), 4..100), at in any::<prop::sample::Index>(), new: u16) {
        data.extend([0x5a, 1]); // the sum of nothing but zeros has two forms
        let before = plain_checksum(&data);
        let at = at.index(data.len() - 3);
        let old = u16::from_be_bytes([data[at], data[at + 1]]);
        data[at..at + 2].copy_from_slice(&new.to_be_bytes());
        let updated = match at % 2 {
            0 => checksum::update(before, old, new),
            _ => checksum::update(before, old.swap_bytes(), new.swap_bytes()),
        };
        prop_assert_eq!(updated, plain_checksum(&data));
    }

    #[test]
    fn readers_never_panic(octets in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = ethernet::parse(&octets);
        let _ = HaHeader::parse(&octets);
        let _ = Report::parse(&octets);
        if let Some((_, skipped)) = ppp::protocol(&octets) {
            prop_assert!(skipped <= octets.len());
        }
        if let Ok(L2tp::Data(data)) = l2tp::parse(&octets) {
            prop_assert!(data.padding_range.end == data.payload_offset);
            prop_assert!(data.payload_offset <= data.end && data.end <= octets.len());
        }
    }

    /// Octets that look enough like a packet to get past the first checks.
    #[test]
    fn ip_and_udp_readers_never_panic(mut octets in prop::collection::vec(any::<u8>(), 20..100), words in 5..16u8, total in 0..110u16, length in 0..100u16) {
        octets[0] = 0x40 | words;
        octets[2..4].copy_from_slice(&total.to_be_bytes());
        octets[10..12].fill(0);
        let header_octets = usize::from(words) * 4;
        let checksum = plain_checksum(&octets[..header_octets.min(octets.len())]);
        octets[10..12].copy_from_slice(&checksum.to_be_bytes());
        if let Some(field) = octets.get_mut(header_octets + 4..header_octets + 6) {
            field.copy_from_slice(&length.to_be_bytes());
        }
        let whole = header_octets <= usize::from(total) && usize::from(total) <= octets.len();
        let header = ipv4::parse(&octets);
        prop_assert_eq!(header.is_ok(), whole);
        if let Ok(header) = header {
            if let Ok(datagram) = udp::parse_checked_by_port(&header, &octets) {
                prop_assert!(datagram.payload_range.end <= header.total_octets);
                prop_assert!(octets.get(datagram.payload_range).is_some());
            }
            let _ = udp::parse(&header, &octets);
            let _ = udp::parse(&header, &octets[..20]);
        }
    }

    #[test]
    fn udp_packet_round_trip(payload in prop::collection::vec(any::<u8>(), 0..2000), source: u32, destination: u32, ports: (u16, u16), identification: u16) {
        let source = SocketAddrV4::new(source.into(), ports.0);
        let destination = SocketAddrV4::new(destination.into(), ports.1);
        let packet = ipv4::udp_packet(source, destination, &payload, identification);
        let header = ipv4::parse(&packet).unwrap();
        prop_assert_eq!((header.source, header.destination), (*source.ip(), *destination.ip()));
        prop_assert_eq!(header.identification, identification);
        prop_assert_ne!(&packet[26..28], &[0, 0]);
        prop_assert_eq!(packets::transport_checksum(&packet), 0);
        let datagram = udp::parse(&header, &packet).unwrap();
        prop_assert_eq!((datagram.source_port, datagram.destination_port), ports);
        prop_assert_eq!(&packet[datagram.payload_range], payload);
    }

    #[test]
    fn ha_round_trip(epoch: u32, number in 0..=ha::NUMBER_MASK, flags in 0..=3_u8) {
        let header = HaHeader { kind: Kind::Data, flags, epoch, number };
        prop_assert_eq!(HaHeader::parse(&header.octets()), Ok(header));
    }

    #[test]
    fn ethernet_round_trip(destination: [u8; 6], source: [u8; 6], ether_type: u16) {
        let header = Ethernet { destination, source, ether_type };
        prop_assert_eq!(ethernet::parse(&header.octets()), Some(header));
    }
}
