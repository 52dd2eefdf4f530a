//! The prebuilt headers: golden frames worked out apart from this code, and
//! packets that the readers find right.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crate::packets::{hex, transport_checksum};
use dataplane::checksum;
use dataplane::command::{SessionId, SessionSpec, SetId, TableId};
use dataplane::headers::encapsulation::{
    Fields, HA_OCTETS, IPV6_EXTRA_OCTETS, PLAIN_MAX_OCTETS, PLAIN_OCTETS, Template,
};
use dataplane::headers::ha::{self, HaHeader, Kind};
use dataplane::headers::ha_frame::{BurstFields, HaFrame, Identifications};
use dataplane::headers::l2tp::{self, L2tp};
use dataplane::headers::{ipv4, ipv6, ppp, udp};
use proptest::prelude::*;
use proptest::test_runner::Config;

const INNER: &str = "45 00 00 21 00 07 00 00 40 11 f6 64 c0 a8 02 07 c0 a8 01 09 \
    9c 40 00 09 00 0d 9b 57 68 65 6c 6c 6f";

/// The same over IPv6.
const INNER_IPV6: &str = "60 00 00 00 00 0d 11 40 20 01 0d b8 00 02 00 00 00 00 00 00 00 00 00 07 \
    20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 09 9c 40 00 09 00 0d c4 33 68 65 6c 6c 6f";

const IPV4_PEER: &str = "203.0.113.1:1701";
const IPV6_PEER: &str = "[2001:db8:b::1]:1701";

fn session(ha: bool, peer: &str) -> SessionSpec {
    let peer: SocketAddr = peer.parse().unwrap();
    let local = match peer {
        SocketAddr::V4(_) => "198.51.100.2:1701",
        SocketAddr::V6(_) => "[2001:db8:a::2]:1701",
    };
    SessionSpec {
        id: SessionId(1),
        table: TableId(1),
        local: local.parse().unwrap(),
        peer,
        local_tunnel: 1,
        local_session: 2,
        peer_tunnel: 0x1234,
        peer_session: 0x5678,
        payload_table: TableId(0),
        receive: true,
        tcp_mss_fix: true,
        mtu: 1450,
        udp_checksum: true,
        address_control: false,
        set: ha.then_some(SetId(0)),
        masked: false,
        sequence: Arc::default(),
        echo: None,
        speed: None,
        counters: vec![Arc::default()],
        arrivals: Vec::new(),
    }
}

fn template_of(session: &SessionSpec) -> Template {
    Template::new(session).expect("both ends are of one family")
}

fn fields(inner: &[u8], number: u64, epoch: u32, identification: u16) -> Fields {
    Fields {
        inner_octets: inner.len(),
        inner_sum: checksum::sum(inner),
        protocol: ppp::protocol_of(inner),
        flags: 0,
        epoch,
        number,
        identification,
    }
}

/// One copy of `inner`, written into a buffer that was full of something else.
fn packet(
    template: &Template,
    inner: &[u8],
    number: u64,
    epoch: u32,
    identification: u16,
) -> Vec<u8> {
    let mut packet = vec![0xa5; template.octets()];
    packet.extend(inner);
    let fields = fields(inner, number, epoch, identification);
    assert!(template.write(&mut packet, &fields));
    packet
}

#[test]
fn ha_golden() {
    let template = template_of(&session(true, IPV4_PEER));
    assert!(template.is_ha());
    let mut expected = hex(
        "45 00 00 53 ab cd 00 00 40 11 68 95 c6 33 64 02 cb 00 71 01 \
        06 a5 06 a5 00 3f 27 bf 02 02 12 34 56 78 00 0c 10 00 de ad be ef 01 23 45 67 89 ab 00 21",
    );
    expected.extend(hex(INNER));
    assert_eq!(
        packet(
            &template,
            &hex(INNER),
            0x0123_4567_89ab,
            0xdead_beef,
            0xabcd
        ),
        expected
    );
}

#[test]
fn ha_golden_without_udp_checksum() {
    let mut session = session(true, IPV4_PEER);
    session.udp_checksum = false;
    let mut expected = hex(
        "45 00 00 53 ab cd 00 00 40 11 68 95 c6 33 64 02 cb 00 71 01 \
        06 a5 06 a5 00 3f 00 00 02 02 12 34 56 78 00 0c 10 00 de ad be ef 01 23 45 67 89 ab 00 21",
    );
    expected.extend(hex(INNER));
    let template = template_of(&session);
    assert_eq!(
        packet(
            &template,
            &hex(INNER),
            0x0123_4567_89ab,
            0xdead_beef,
            0xabcd
        ),
        expected
    );
}

#[test]
fn plain_golden() {
    let mut session = session(false, "203.0.113.1:50000");
    let mut expected = hex(
        "45 00 00 45 00 01 00 00 40 11 14 70 c6 33 64 02 cb 00 71 01 \
        06 a5 c3 50 00 31 eb 0e 00 02 12 34 56 78 00 21",
    );
    expected.extend(hex(INNER));
    let template = template_of(&session);
    assert!(!template.is_ha());
    assert_eq!(packet(&template, &hex(INNER), 5, 6, 1), expected);

    session.address_control = true;
    let mut expected = hex(
        "45 00 00 47 ff ff 00 00 40 11 14 6f c6 33 64 02 cb 00 71 01 \
        06 a5 c3 50 00 33 ec 06 00 02 12 34 56 78 ff 03 00 21",
    );
    expected.extend(hex(INNER));
    assert_eq!(
        packet(&template_of(&session), &hex(INNER), 5, 6, 0xffff),
        expected
    );
}

#[test]
fn ha_golden_of_each_family() {
    let cases = [
        (
            IPV4_PEER,
            INNER_IPV6,
            "45 00 00 67 ab cd 00 00 40 11 68 81 c6 33 64 02 cb 00 71 01 06 a5 06 a5 00 53 1e e0 \
            02 02 12 34 56 78 00 0c 10 00 aa bb cc dd 01 02 03 04 05 06 00 57",
        ),
        (
            IPV6_PEER,
            INNER,
            "60 00 00 00 00 3f 11 40 20 01 0d b8 00 0a 00 00 00 00 00 00 00 00 00 02 \
            20 01 0d b8 00 0b 00 00 00 00 00 00 00 00 00 01 06 a5 06 a5 00 3f 1f 9b \
            02 02 12 34 56 78 00 0c 10 00 aa bb cc dd 01 02 03 04 05 06 00 21",
        ),
        (
            IPV6_PEER,
            INNER_IPV6,
            "60 00 00 00 00 53 11 40 20 01 0d b8 00 0a 00 00 00 00 00 00 00 00 00 02 \
            20 01 0d b8 00 0b 00 00 00 00 00 00 00 00 00 01 06 a5 06 a5 00 53 29 8e \
            02 02 12 34 56 78 00 0c 10 00 aa bb cc dd 01 02 03 04 05 06 00 57",
        ),
    ];
    for (peer, inner, headers) in cases {
        for udp_checksum in [true, false] {
            let mut session = session(true, peer);
            session.udp_checksum = udp_checksum;
            let template = template_of(&session);
            assert!(template.is_ha());
            let mut expected = [hex(headers), hex(inner)].concat();
            if peer == IPV4_PEER && !udp_checksum {
                expected[26..28].fill(0);
            }
            let number = 0x0102_0304_0506;
            let packet = packet(&template, &hex(inner), number, 0xaabb_ccdd, 0xabcd);
            assert_eq!(packet, expected, "{peer}, checksum {udp_checksum}");
        }
    }
}

#[test]
fn plain_golden_over_ipv6() {
    let mut session = session(false, "[2001:db8:b::1]:50000");
    let mut expected = hex(
        "60 00 00 00 00 45 11 40 20 01 0d b8 00 0a 00 00 00 00 00 00 00 00 00 02 \
        20 01 0d b8 00 0b 00 00 00 00 00 00 00 00 00 01 06 a5 c3 50 00 45 ff af \
        00 02 12 34 56 78 00 57",
    );
    expected.extend(hex(INNER_IPV6));
    let template = template_of(&session);
    assert!(!template.is_ha());
    assert_eq!(packet(&template, &hex(INNER_IPV6), 5, 6, 1), expected);

    session.address_control = true;
    let mut expected = hex(
        "60 00 00 00 00 47 11 40 20 01 0d b8 00 0a 00 00 00 00 00 00 00 00 00 02 \
        20 01 0d b8 00 0b 00 00 00 00 00 00 00 00 00 01 06 a5 c3 50 00 47 00 a8 \
        00 02 12 34 56 78 ff 03 00 57",
    );
    expected.extend(hex(INNER_IPV6));
    let template = template_of(&session);
    assert_eq!(packet(&template, &hex(INNER_IPV6), 5, 6, 1), expected);
}

#[test]
fn sequenced_golden() {
    let cases = [
        (
            "203.0.113.1:50000",
            false,
            "45 00 00 49 00 01 00 00 40 11 14 6c c6 33 64 02 cb 00 71 01 06 a5 c3 50 00 35 e4 00 \
            08 02 12 34 56 78 ff 05 00 00 00 21",
        ),
        (
            "203.0.113.1:50000",
            true,
            "45 00 00 4b 00 01 00 00 40 11 14 6a c6 33 64 02 cb 00 71 01 06 a5 c3 50 00 37 e4 f8 \
            08 02 12 34 56 78 ff 05 00 00 ff 03 00 21",
        ),
        (
            "[2001:db8:b::1]:50000",
            false,
            "60 00 00 00 00 49 11 40 20 01 0d b8 00 0a 00 00 00 00 00 00 00 00 00 02 \
            20 01 0d b8 00 0b 00 00 00 00 00 00 00 00 00 01 06 a5 c3 50 00 49 f8 a1 \
            08 02 12 34 56 78 ff 05 00 00 00 57",
        ),
        (
            "[2001:db8:b::1]:50000",
            true,
            "60 00 00 00 00 4b 11 40 20 01 0d b8 00 0a 00 00 00 00 00 00 00 00 00 02 \
            20 01 0d b8 00 0b 00 00 00 00 00 00 00 00 00 01 06 a5 c3 50 00 4b f9 99 \
            08 02 12 34 56 78 ff 05 00 00 ff 03 00 57",
        ),
    ];
    for (peer, address_control, headers) in cases {
        let mut session = session(false, peer);
        session.address_control = address_control;
        let inner = hex(match session.peer {
            SocketAddr::V4(_) => INNER,
            SocketAddr::V6(_) => INNER_IPV6,
        });
        let template = Template::sequenced(&session).expect("both ends are of one family");
        let expected = [hex(headers), inner.clone()].concat();
        // Of the number, Ns has the low 16 bits.
        let packet = packet(&template, &inner, 0x0001_ff05, 6, 1);
        assert_eq!(packet, expected, "{peer} {address_control}");
        assert_eq!(template.octets(), expected.len() - inner.len());
        assert_eq!(template.is_over_ipv6(), session.peer.is_ipv6());
    }
}

#[test]
fn ends_of_two_families_have_no_headers() {
    let mut session = session(true, IPV4_PEER);
    session.local = IPV6_PEER.parse().unwrap();
    assert!(Template::new(&session).is_none());
    (session.local, session.peer) = (session.peer, session.local);
    assert!(Template::new(&session).is_none());
}

#[test]
fn octets_of_each_form() {
    for (peer, extra) in [(IPV4_PEER, 0), (IPV6_PEER, IPV6_EXTRA_OCTETS)] {
        let mut session = session(true, peer);
        assert_eq!(template_of(&session).octets(), HA_OCTETS + extra);
        // The HA form never has address and control.
        session.address_control = true;
        assert_eq!(template_of(&session).octets(), HA_OCTETS + extra);
        session.set = None;
        assert_eq!(template_of(&session).octets(), PLAIN_MAX_OCTETS + extra);
        session.address_control = false;
        assert_eq!(template_of(&session).octets(), PLAIN_OCTETS + extra);
    }
    assert_eq!(HA_OCTETS + IPV6_EXTRA_OCTETS, 70);
}

#[test]
fn writes_nothing_when_it_does_not_fit() {
    // The largest packet of IPv4, and of IPv6, whose length does not count the header.
    for (peer, most, length_at) in [(IPV4_PEER, 65_535, 2), (IPV6_PEER, 65_575, 4)] {
        for ha in [true, false] {
            let template = template_of(&session(ha, peer));
            let octets = template.octets();
            let of = |inner_octets| Fields {
                inner_octets,
                inner_sum: u32::MAX,
                ..fields(&[], 0, 0, 0)
            };
            let mut header = vec![0xa5; octets];
            for length in 0..octets {
                assert!(!template.write(&mut header[..length], &of(0)));
            }
            assert!(!template.write(&mut header, &of(most + 1 - octets)));
            assert!(!template.write(&mut header, &of(usize::MAX)));
            assert_eq!(header, vec![0xa5; octets]);
            let largest = of(most - octets);
            assert!(template.write(&mut header, &largest));
            assert_eq!(header[length_at..length_at + 2], [0xff, 0xff]);
        }
    }
}

#[test]
fn udp_checksum_zero_goes_as_ffff() {
    for (peer, at) in [(IPV4_PEER, 26), (IPV6_PEER, 46)] {
        for ha in [true, false] {
            let template = template_of(&session(ha, peer));
            let packet = |inner: [u8; 2]| {
                let fields = Fields {
                    protocol: ppp::PROTOCOL_IPV4,
                    ..fields(&inner, 0, 0, 0)
                };
                let mut packet = vec![0; template.octets()];
                assert!(template.write(&mut packet, &fields));
                packet.extend(inner);
                packet
            };
            let first = packet([0, 0]);
            // An inner packet that is this checksum leaves nothing of it.
            let packet = packet([first[at], first[at + 1]]);
            assert_eq!(packet[at..at + 2], [0xff, 0xff]);
            assert_eq!(transport_checksum(&packet), 0);
        }
    }
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    /// Readers and a full checksum agree with every packet that is written.
    #[test]
    fn packets_read_right(
        inner in prop::collection::vec(any::<u8>(), 0..1600),
        (local, local_port) in any::<(u128, u16)>(),
        (peer, peer_port) in any::<(u128, u16)>(),
        over_ipv6: bool,
        (peer_tunnel, peer_session) in any::<(u16, u16)>(),
        number in 0..=ha::NUMBER_MASK,
        (epoch, identification) in any::<(u32, u16)>(),
        (in_set, address_control, udp_checksum) in any::<(bool, bool, bool)>(),
    ) {
        let mut session = session(in_set, IPV4_PEER);
        let end = |address: u128, port| {
            let ip: IpAddr = if over_ipv6 {
                Ipv6Addr::from_bits(address).into()
            } else {
                Ipv4Addr::from_bits(address as u32).into()
            };
            SocketAddr::new(ip, port)
        };
        (session.local, session.peer) = (end(local, local_port), end(peer, peer_port));
        (session.peer_tunnel, session.peer_session) = (peer_tunnel, peer_session);
        (session.address_control, session.udp_checksum) = (address_control, udp_checksum);
        let packet = packet(&template_of(&session), &inner, number, epoch, identification);

        let udp = if over_ipv6 {
            let ipv6 = ipv6::parse(&packet).unwrap();
            prop_assert_eq!(ipv6.total_octets, packet.len());
            prop_assert_eq!((ipv6.source, ipv6.destination), (local.into(), peer.into()));
            let upper = ipv6::upper_layer(&ipv6, &packet).unwrap();
            prop_assert_eq!((upper.protocol, upper.fragment), (ipv6::NEXT_UDP, None));
            udp::parse_over_ipv6(&ipv6, upper.offset, &packet).unwrap()
        } else {
            let ipv4 = ipv4::parse(&packet).unwrap();
            prop_assert_eq!(ipv4.total_octets, packet.len());
            let ends = ((local as u32).into(), (peer as u32).into());
            prop_assert_eq!((ipv4.source, ipv4.destination), ends);
            prop_assert_eq!(ipv4.identification, identification);
            prop_assert!(!ipv4.dont_fragment && !ipv4.is_fragment());
            udp::parse(&ipv4, &packet).unwrap()
        };
        prop_assert_eq!((udp.source_port, udp.destination_port), (local_port, peer_port));
        let at = udp.payload_range.start - 2;
        if udp_checksum || over_ipv6 {
            prop_assert_ne!(&packet[at..at + 2], &[0, 0]);
            prop_assert_eq!(transport_checksum(&packet), 0);
        } else {
            prop_assert_eq!(&packet[at..at + 2], &[0, 0]);
        }
        let payload = &packet[udp.payload_range];
        let Ok(L2tp::Data(data)) = l2tp::parse(payload) else {
            panic!("a data message");
        };
        prop_assert_eq!((data.tunnel, data.session), (peer_tunnel, peer_session));
        let padding = &payload[data.padding_range.clone()];
        if in_set {
            let expected = HaHeader { kind: Kind::Data, flags: 0, epoch, number };
            prop_assert_eq!(HaHeader::parse(padding), Ok(expected));
        } else {
            prop_assert!(padding.is_empty());
        }
        let frame = &payload[data.payload_offset..data.end];
        let (protocol, skipped) = ppp::protocol(frame).unwrap();
        let ipv6_inside = inner.first().is_some_and(|octet| octet >> 4 == 6);
        let expected = if ipv6_inside { ppp::PROTOCOL_IPV6 } else { ppp::PROTOCOL_IPV4 };
        prop_assert_eq!(protocol, expected);
        prop_assert_eq!(skipped, if address_control && !in_set { 4 } else { 2 });
        prop_assert_eq!(&frame[skipped..], inner);
    }
}

proptest! {
    /// The prebuilt frame writes what the template writes behind the Ethernet header,
    /// for every packet of a burst of any length.
    #[test]
    fn a_frame_has_the_templates_headers(
        packets in prop::collection::vec(
            (
                prop_oneof![0..1600_usize, 65_480..=BurstFields::MOST_OCTETS],
                any::<u32>(),
                any::<bool>(),
            ),
            1..=32,
        ),
        first_number in prop_oneof![0..1_u64 << 48, (1_u64 << 16) - 32..1 << 16, (1_u64 << 48) - 64..(1 << 48) - 32],
        epoch in any::<u32>(),
        first in any::<u16>(),
        step in 1..5_u16,
        udp_checksum in any::<bool>(),
    ) {
        let mut spec = session(true, IPV4_PEER);
        spec.udp_checksum = udp_checksum;
        let template = template_of(&spec);
        let ethernet = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        let protocol = |ipv6| if ipv6 { ppp::PROTOCOL_IPV6 } else { ppp::PROTOCOL_IPV4 };
        let mut shown = BurstFields::default();
        for (place, &(octets, sum, ipv6)) in packets.iter().enumerate() {
            // In the machine's order.
            let sum = u64::from(checksum::fold(sum).to_be());
            shown.describe(place, octets, sum);
            shown.set_protocol(place, protocol(ipv6));
        }
        shown.show(packets.len(), first_number);
        let frame = HaFrame::new(&template, &ethernet, epoch).expect("of this form");
        frame.fill_in(&mut shown, Identifications { first, step });
        for (place, &(octets, sum, ipv6)) in packets.iter().enumerate() {
            let fields = Fields {
                inner_octets: octets,
                inner_sum: sum,
                protocol: protocol(ipv6),
                flags: 0,
                epoch,
                number: first_number + place as u64,
                identification: first.wrapping_add(step.wrapping_mul(place as u16)),
            };
            let mut expected = [0; 64];
            expected[..14].copy_from_slice(&ethernet);
            prop_assert!(template.write(&mut expected[14..], &fields), "it fits");
            let mut header = [0xff; 64];
            frame.write(&mut header, &shown, place);
            prop_assert_eq!(header, expected, "packet {}", place);
        }
    }

    /// So it does where each packet has a number and a link of its own.
    #[test]
    fn frames_of_many_links_have_their_templates_headers(
        packets in prop::collection::vec(
            (0..1600_usize, any::<u32>(), 0..1_u64 << 48, any::<bool>()),
            1..=32,
        ),
        first in any::<u16>(),
        step in 1..5_u16,
    ) {
        let ethernet = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        let links = [false, true].map(|udp_checksum| {
            let mut spec = session(true, IPV4_PEER);
            spec.udp_checksum = udp_checksum;
            spec.peer_tunnel += u16::from(udp_checksum);
            let template = template_of(&spec);
            let frame = HaFrame::new(&template, &ethernet, 7).expect("of this form");
            (template, frame)
        });
        let mut fields = BurstFields::default();
        for (place, &(octets, sum, number, second)) in packets.iter().enumerate() {
            // In the machine's order.
            fields.describe(place, octets, u64::from(checksum::fold(sum).to_be()));
            fields.set_protocol(place, ppp::PROTOCOL_IPV4);
            fields.set_number(place, number);
            fields.set_link(place, &links[usize::from(second)].1);
        }
        fields.show_each(packets.len());
        fields.fill_in_each(packets.len(), Identifications { first, step });
        for (place, &(octets, sum, number, second)) in packets.iter().enumerate() {
            let shown = Fields {
                inner_octets: octets,
                inner_sum: sum,
                protocol: ppp::PROTOCOL_IPV4,
                flags: 0,
                epoch: 7,
                number,
                identification: first.wrapping_add(step.wrapping_mul(place as u16)),
            };
            let (template, frame) = &links[usize::from(second)];
            let mut expected = [0; 64];
            expected[..14].copy_from_slice(&ethernet);
            prop_assert!(template.write(&mut expected[14..], &shown), "it fits");
            let mut header = [0xff; 64];
            frame.write(&mut header, &fields, place);
            prop_assert_eq!(header, expected, "packet {}", place);
        }
    }

    /// What is longer than prebuilt frames may be fits no template either.
    #[test]
    fn a_frame_takes_what_a_template_takes(octets in 65_400..65_600_usize) {
        let template = template_of(&session(true, IPV4_PEER));
        let fields = Fields {
            inner_octets: octets,
            inner_sum: 0,
            protocol: ppp::PROTOCOL_IPV4,
            flags: 0,
            epoch: 1,
            number: 1,
            identification: 1,
        };
        let fits = template.write(&mut [0; 50], &fields);
        prop_assert_eq!(fits, octets <= BurstFields::MOST_OCTETS);
    }
}

#[test]
fn other_forms_have_no_frame() {
    for spec in [session(false, IPV4_PEER), session(true, IPV6_PEER)] {
        assert!(HaFrame::new(&template_of(&spec), &[0; 14], 1).is_none());
    }
}
