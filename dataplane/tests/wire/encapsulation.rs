//! The prebuilt headers: golden frames worked out apart from this code, and
//! packets that the readers find right.

use std::sync::Arc;

use crate::packets::{hex, transport_checksum};
use dataplane::checksum;
use dataplane::command::{SessionId, SessionSpec, SetId, TableId};
use dataplane::headers::encapsulation::{HA_OCTETS, PLAIN_MAX_OCTETS, PLAIN_OCTETS, Template};
use dataplane::headers::ha::{self, HaHeader, Kind};
use dataplane::headers::l2tp::{self, L2tp};
use dataplane::headers::{ipv4, ppp, udp};
use proptest::prelude::*;
use proptest::test_runner::Config;

const INNER: &str = "45 00 00 21 00 07 00 00 40 11 f6 64 c0 a8 02 07 c0 a8 01 09 \
    9c 40 00 09 00 0d 9b 57 68 65 6c 6c 6f";

fn session(ha: bool, peer: &str) -> SessionSpec {
    SessionSpec {
        id: SessionId(1),
        table: TableId(1),
        local: "198.51.100.2:1701".parse().unwrap(),
        peer: peer.parse().unwrap(),
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
        counters: vec![Arc::default()],
    }
}

fn template_of(session: &SessionSpec) -> Template {
    Template::new(session).expect("both ends are of one family")
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
    let sum = checksum::sum(inner);
    assert!(template.write(&mut packet, inner.len(), number, epoch, sum, identification));
    packet
}

#[test]
fn ha_golden() {
    let template = template_of(&session(true, "203.0.113.1:1701"));
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
    let mut session = session(true, "203.0.113.1:1701");
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
fn octets_of_each_form() {
    let mut session = session(true, "203.0.113.1:1701");
    assert_eq!(template_of(&session).octets(), HA_OCTETS);
    // The HA form never has address and control.
    session.address_control = true;
    assert_eq!(template_of(&session).octets(), HA_OCTETS);
    session.set = None;
    assert_eq!(template_of(&session).octets(), PLAIN_MAX_OCTETS);
    session.address_control = false;
    assert_eq!(template_of(&session).octets(), PLAIN_OCTETS);
}

#[test]
fn writes_nothing_when_it_does_not_fit() {
    for ha in [true, false] {
        let template = template_of(&session(ha, "203.0.113.1:1701"));
        let octets = template.octets();
        let mut header = vec![0xa5; octets];
        for length in 0..octets {
            assert!(!template.write(&mut header[..length], 0, 0, 0, 0, 0));
        }
        assert!(!template.write(&mut header, 65_536 - octets, 0, 0, 0, 0));
        assert!(!template.write(&mut header, usize::MAX, 0, 0, 0, 0));
        assert_eq!(header, vec![0xa5; octets]);
        assert!(template.write(&mut header, 65_535 - octets, 0, 0, u32::MAX, 0));
        assert_eq!(header[2..4], [0xff, 0xff]);
    }
}

#[test]
fn udp_checksum_zero_goes_as_ffff() {
    for ha in [true, false] {
        let template = template_of(&session(ha, "203.0.113.1:1701"));
        let first = packet(&template, &[0, 0], 0, 0, 0);
        // An inner packet that is this checksum leaves nothing of it.
        let packet = packet(&template, &[first[26], first[27]], 0, 0, 0);
        assert_eq!(packet[26..28], [0xff, 0xff]);
        assert_eq!(transport_checksum(&packet), 0);
    }
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    /// Readers and a full checksum agree with every packet that is written.
    #[test]
    fn packets_read_right(
        inner in prop::collection::vec(any::<u8>(), 0..1600),
        (local, local_port) in any::<(u32, u16)>(),
        (peer, peer_port) in any::<(u32, u16)>(),
        (peer_tunnel, peer_session) in any::<(u16, u16)>(),
        number in 0..=ha::NUMBER_MASK,
        (epoch, identification) in any::<(u32, u16)>(),
        (in_set, address_control, udp_checksum) in any::<(bool, bool, bool)>(),
    ) {
        let mut session = session(in_set, "203.0.113.1:1701");
        session.local = std::net::SocketAddrV4::new(local.into(), local_port).into();
        session.peer = std::net::SocketAddrV4::new(peer.into(), peer_port).into();
        (session.peer_tunnel, session.peer_session) = (peer_tunnel, peer_session);
        (session.address_control, session.udp_checksum) = (address_control, udp_checksum);
        let packet = packet(&template_of(&session), &inner, number, epoch, identification);

        let ipv4 = ipv4::parse(&packet).unwrap();
        prop_assert_eq!(ipv4.total_octets, packet.len());
        prop_assert_eq!((ipv4.source, ipv4.destination), (local.into(), peer.into()));
        prop_assert_eq!(ipv4.identification, identification);
        prop_assert!(!ipv4.dont_fragment && !ipv4.is_fragment());
        let udp = udp::parse(&ipv4, &packet).unwrap();
        prop_assert_eq!((udp.source_port, udp.destination_port), (local_port, peer_port));
        if udp_checksum {
            prop_assert_ne!(&packet[26..28], &[0, 0]);
            prop_assert_eq!(transport_checksum(&packet), 0);
        } else {
            prop_assert_eq!(&packet[26..28], &[0, 0]);
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
        prop_assert_eq!(protocol, ppp::PROTOCOL_IPV4);
        prop_assert_eq!(skipped, if address_control && !in_set { 4 } else { 2 });
        prop_assert_eq!(&frame[skipped..], inner);
    }
}
