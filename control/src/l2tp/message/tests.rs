use proptest::prelude::*;

use super::*;
use crate::l2tp::avp::tests::any_attribute;
use crate::l2tp::avp::{NonEmpty, ProtocolVersion, ResultCode};
use crate::l2tp::header::ControlHeader;

/// The smallest legal SCCRQ.
const SCCRQ: &str = "c8020035000000000000000080080000000000018008000000020100\
                     80070000000761800a00000003000000038008000000090001";
/// ICRQ with hidden Calling Number, secret "secret".
const HIDDEN_ICRQ: &str = "c802004f0005000000020001800800000000000a80160000002400112233445566778899aabbccddeeff\
                           80080000000e0007800a0000000f00000001c01300000016366861bb22d1b11b85317a0e41";

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .filter_map(|digit| digit.to_digit(16).map(|digit| digit as u8))
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn sccrq() -> Message {
    let attributes = vec![
        Attribute::ProtocolVersion(ProtocolVersion {
            version: 1,
            revision: 0,
        }),
        Attribute::HostName(NonEmpty::new(b"a".to_vec()).unwrap()),
        Attribute::FramingCapabilities(3),
        Attribute::AssignedTunnelId(1),
    ];
    Message::new(MessageType::Sccrq, attributes, Vec::new())
}

fn error_of(body: &[u8]) -> MessageError {
    Message::decode(body, None).unwrap_err().error
}

fn body_of(attributes: &[Attribute]) -> Vec<u8> {
    let mut body = Vec::new();
    for attribute in attributes {
        attribute.encode(&mut body);
    }
    body
}

#[test]
fn the_smallest_sccrq_has_53_octets() {
    let golden = octets(SCCRQ);
    assert_eq!(golden.len(), 53);
    let (header, body) = ControlHeader::parse(&golden).unwrap();
    assert_eq!(Message::decode(body, None), Ok(sccrq()));
    assert_eq!(header.datagram(&sccrq().encode()), golden);
    assert_eq!(host_name_of_sccrq(body), Some(&b"a"[..]));
}

#[test]
fn a_hidden_calling_number_is_read_with_the_secret_only() {
    let golden = octets(HIDDEN_ICRQ);
    let (header, body) = ControlHeader::parse(&golden).unwrap();
    assert_eq!((header.tunnel_id, header.ns, header.nr), (5, 2, 1));
    let expected = [
        Attribute::AssignedSessionId(7),
        Attribute::CallSerialNumber(1),
        Attribute::CallingNumber(b"01234567890".to_vec()),
    ];
    let message = Message::decode(body, Some(b"secret")).unwrap();
    assert_eq!(
        (message.kind(), message.attributes()),
        (MessageType::Icrq, &expected[..])
    );
    for secret in [None, Some(&b"wrong"[..])] {
        let bad = Message::decode(body, secret).unwrap_err();
        assert_eq!(
            bad.error,
            MessageError::Avp(AvpError::Unreadable { kind: 22 })
        );
        assert_eq!(
            bad.readable,
            expected[..2],
            "what is readable identifies the call"
        );
    }
}

#[test]
fn hiding_makes_the_golden_octets() {
    let golden = octets(HIDDEN_ICRQ);
    let vector = &golden[26..42];
    let mut body = body_of(&[
        Attribute::MessageType(10),
        Attribute::RandomVector(vector.to_vec()),
        Attribute::AssignedSessionId(7),
        Attribute::CallSerialNumber(1),
    ]);
    let unhiding = Unhiding {
        secret: b"secret",
        random_vector: vector,
    };
    Attribute::CallingNumber(b"01234567890".to_vec()).encode_hidden(0, unhiding, &mut body);
    assert_eq!(body, golden[12..]);
}

#[test]
fn the_last_random_vector_before_an_avp_applies() {
    let mut body = body_of(&[
        Attribute::MessageType(11),
        Attribute::RandomVector(b"first".to_vec()),
        Attribute::RandomVector(b"second".to_vec()),
    ]);
    let unhiding = Unhiding {
        secret: b"s",
        random_vector: b"second",
    };
    Attribute::AssignedSessionId(77).encode_hidden(14, unhiding, &mut body);
    let message = Message::decode(&body, Some(b"s")).unwrap();
    assert_eq!(message.attributes(), [Attribute::AssignedSessionId(77)]);
}

#[test]
fn every_mandatory_avp_is_missed() {
    for &kind in MessageType::ALL {
        let whole = whole_message(kind);
        assert!(
            Message::decode(&whole.encode(), None).is_ok(),
            "{}",
            kind.name()
        );
        for &missing in kind.required() {
            let attributes = whole.attributes().to_vec();
            let attributes = attributes
                .into_iter()
                .filter(|attribute| attribute.kind() != missing);
            let lacking = Message::new(kind, attributes.collect(), Vec::new());
            let message = kind.name();
            let expected = MessageError::Missing {
                message,
                kind: missing,
            };
            assert_eq!(error_of(&lacking.encode()), expected);
        }
    }
}

/// A message of `kind` with all its AVPs.
pub(in crate::l2tp) fn whole_message(kind: MessageType) -> Message {
    let every = [
        sccrq().attributes().to_vec(),
        vec![
            Attribute::ResultCode(ResultCode {
                result: 1,
                error: 0,
                message: Vec::new(),
            }),
            Attribute::AssignedSessionId(1),
            Attribute::CallSerialNumber(1),
            Attribute::MinimumBps(1),
            Attribute::MaximumBps(1),
            Attribute::BearerType(1),
            Attribute::FramingType(1),
            Attribute::CalledNumber(Vec::new()),
            Attribute::TxConnectSpeed(1),
            Attribute::CallErrors(crate::l2tp::avp::Reserved2([0; 6])),
            Attribute::Accm(crate::l2tp::avp::Reserved2([0; 2])),
        ],
    ]
    .concat();
    let needed = every
        .into_iter()
        .filter(|attribute| kind.required().contains(&attribute.kind()));
    Message::new(kind, needed.collect(), Vec::new())
}

#[test]
fn the_required_avps_are_those_of_the_rfc() {
    let rows: Vec<(u16, Vec<u16>)> = MessageType::ALL
        .iter()
        .map(|kind| {
            let mut required = kind.required().to_vec();
            required.sort_unstable();
            (kind.code(), required)
        })
        .collect();
    let expected = [
        (1, vec![2, 3, 7, 9]),
        (2, vec![2, 3, 7, 9]),
        (3, vec![]),
        (4, vec![1, 9]),
        (6, vec![]),
        (7, vec![14, 15, 16, 17, 18, 19, 21]),
        (8, vec![14]),
        (9, vec![19, 24]),
        (10, vec![14, 15]),
        (11, vec![14]),
        (12, vec![19, 24]),
        (14, vec![1, 14]),
        (15, vec![34]),
        (16, vec![35]),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn an_assigned_id_of_zero_is_refused_where_it_would_be_used() {
    for kind in [
        MessageType::Sccrq,
        MessageType::Sccrp,
        MessageType::Icrq,
        MessageType::Icrp,
    ] {
        let zero =
            whole_message(kind).attributes().to_vec().into_iter().map(
                |attribute| match attribute {
                    Attribute::AssignedTunnelId(_) => Attribute::AssignedTunnelId(0),
                    Attribute::AssignedSessionId(_) => Attribute::AssignedSessionId(0),
                    other => other,
                },
            );
        let message = Message::new(kind, zero.collect(), Vec::new());
        let error = error_of(&message.encode());
        assert!(
            matches!(error, MessageError::Avp(AvpError::ValueRange { .. })),
            "{error}"
        );
        assert_eq!(error.error_code(), ErrorCode::VALUE);
    }
    let cdn = vec![
        Attribute::ResultCode(ResultCode {
            result: 1,
            error: 0,
            message: Vec::new(),
        }),
        Attribute::AssignedSessionId(0),
    ];
    let cdn = Message::new(MessageType::Cdn, cdn, Vec::new());
    assert!(
        Message::decode(&cdn.encode(), None).is_ok(),
        "CDN without a session"
    );
}

#[test]
fn the_m_bit_decides_what_a_bad_avp_costs() {
    let unknown = [0x80, 6, 0, 0, 0x77, 0x77];
    let bad_length = [0x80, 7, 0, 0, 0, 9, 1];
    let bad_value = [0x80, 8, 0, 0, 0, 10, 0, 0];
    let foreign = [0x80, 6, 0x0d, 0xe9, 0, 2];
    let reserved = [0xa0, 8, 0, 0, 0, 6, 0, 0];
    let cases = [
        (&unknown[..], ErrorCode::UNKNOWN_AVP),
        (&bad_length, ErrorCode::LENGTH),
        (&bad_value, ErrorCode::VALUE),
        (&foreign, ErrorCode::UNKNOWN_AVP),
        (&reserved, ErrorCode::UNKNOWN_AVP),
    ];
    for (avp, code) in cases {
        let mut body = sccrq().encode();
        let at = body.len();
        body.extend_from_slice(avp);
        let error = error_of(&body);
        assert_eq!(error.error_code(), code, "{error}");
        assert_eq!(
            (error.stop().result, error.stop().error),
            (StopResult::ERROR, code)
        );
        body[at] &= 0x7f;
        let message = Message::decode(&body, None).unwrap();
        assert_eq!(
            message.attributes(),
            sccrq().attributes(),
            "without M it is passed over"
        );
    }
}

#[test]
fn the_message_of_a_close_names_the_attribute() {
    let mut body = sccrq().encode();
    body.extend_from_slice(&[0x80, 6, 0x0d, 0xe9, 0, 2]);
    assert_eq!(
        error_of(&body).stop().message,
        "unknown AVP vendor 3561 type 2"
    );
}

#[test]
fn a_broken_frame_is_an_error_whatever_its_m_bit() {
    for broken in [
        &[0, 5, 0, 0, 0, 1][..],
        &[0, 0, 0, 0, 0, 0],
        &[0, 60, 0, 0, 0, 1],
        &[0x80],
    ] {
        let mut body = sccrq().encode();
        body.extend_from_slice(broken);
        assert_eq!(
            error_of(&body).error_code(),
            ErrorCode::LENGTH,
            "{broken:?}"
        );
    }
}

#[test]
fn message_type_comes_first_in_the_clear() {
    assert_eq!(error_of(&[]), MessageError::NoMessageType);
    let mut body = body_of(&[Attribute::HostName(NonEmpty::new(b"a".to_vec()).unwrap())]);
    body.extend_from_slice(&sccrq().encode());
    assert_eq!(error_of(&body), MessageError::NoMessageType);
    let mut hidden = sccrq().encode();
    hidden[0] |= 0x40;
    assert_eq!(error_of(&hidden), MessageError::NoMessageType);
    assert_eq!(host_name_of_sccrq(&hidden), None);
}

#[test]
fn the_m_bit_of_an_unknown_message_type_is_kept() {
    for (first, mandatory) in [(0x80, true), (0, false)] {
        for code in [0, 5, 13, 17, 0xffff] {
            let mut body = body_of(&[Attribute::MessageType(code)]);
            body[0] = first;
            assert_eq!(
                error_of(&body),
                MessageError::UnknownType { code, mandatory }
            );
        }
    }
}

#[test]
fn known_avps_in_the_wrong_message_and_repeated_ones_are_accepted() {
    // l2tpns puts these in SCCCN.
    let message = Message::new(
        MessageType::Scccn,
        sccrq().attributes().to_vec(),
        Vec::new(),
    );
    assert_eq!(Message::decode(&message.encode(), None), Ok(message));
    let mut body = whole_message(MessageType::Icrp).encode();
    Attribute::AssignedSessionId(99).encode(&mut body);
    let message = Message::decode(&body, None).unwrap();
    assert_eq!(
        value_of!(message.attributes(), AssignedSessionId),
        Some(&1),
        "the first counts"
    );
}

#[test]
fn vendor_avps_without_m_pass_through() {
    let avp = VendorAvp {
        vendor: 32473,
        kind: 7,
        value: vec![1, 2, 3],
    };
    let attributes = whole_message(MessageType::Icrq).attributes().to_vec();
    let message = Message::new(MessageType::Icrq, attributes, vec![avp.clone()]);
    let decoded = Message::decode(&message.encode(), None).unwrap();
    assert_eq!(decoded.vendor_avps(), [avp]);
    assert_eq!(decoded, message);
}

#[test]
fn the_number_of_avps_is_bounded() {
    let avps = vec![Attribute::FirmwareRevision(1); MAX_AVPS];
    let fits = Message::new(MessageType::Hello, avps.clone(), Vec::new());
    assert!(Message::decode(&fits.encode(), None).is_ok());
    let mut avps = avps;
    avps.push(Attribute::FirmwareRevision(1));
    let over = Message::new(MessageType::Hello, avps, Vec::new());
    assert_eq!(error_of(&over.encode()), MessageError::TooManyAvps);
}

#[test]
fn which_messages_are_of_a_session() {
    let of_session: Vec<u16> = MessageType::ALL
        .iter()
        .filter(|kind| kind.is_of_session())
        .map(|kind| kind.code())
        .collect();
    assert_eq!(of_session, [7, 8, 9, 10, 11, 12, 14, 15, 16]);
}

fn any_message() -> impl Strategy<Value = Message> {
    let vendor_avp = (
        1..=u16::MAX,
        any::<u16>(),
        proptest::collection::vec(any::<u8>(), 0..40),
    );
    let vendor_avp = vendor_avp.prop_map(|(vendor, kind, value)| VendorAvp {
        vendor,
        kind,
        value,
    });
    let attributes = proptest::collection::vec(any_attribute(), 0..12);
    let kind = proptest::sample::select(MessageType::ALL);
    (
        kind,
        attributes,
        proptest::collection::vec(vendor_avp, 0..3),
    )
        .prop_map(|(kind, more, vendor_avps)| {
            let mut attributes = whole_message(kind).attributes().to_vec();
            attributes.extend(more);
            Message::new(kind, attributes, vendor_avps)
        })
}

proptest! {
    #[test]
    fn messages_round_trip(message in any_message()) {
        prop_assert_eq!(Message::decode(&message.encode(), Some(b"s")), Ok(message));
    }

    #[test]
    fn mutated_messages_never_panic(
        message in any_message(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let header = ControlHeader { tunnel_id: 1, session_id: 0, ns: 0, nr: 0 };
        let mut datagram = header.datagram(&message.encode());
        for (at, octet) in changes {
            let at = at.index(datagram.len());
            datagram[at] = octet;
        }
        datagram.truncate(cut.index(datagram.len()) + 1);
        if let Ok((_, body)) = ControlHeader::parse(&datagram) {
            let _ = host_name_of_sccrq(body);
            if let Err(bad) = Message::decode(body, Some(b"s")) {
                prop_assert!(bad.error.stop().message.len() < 100);
            }
        }
    }
}
