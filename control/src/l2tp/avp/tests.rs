use proptest::prelude::*;

use super::*;

const SECRET: &[u8] = b"secret";
const VECTOR: &[u8] = b"0123456789abcdef";
const UNHIDING: Unhiding<'_> = Unhiding {
    secret: SECRET,
    random_vector: VECTOR,
};

/// Any attribute with a value it may have.
pub(in crate::l2tp) fn any_attribute() -> impl Strategy<Value = Attribute> {
    use Attribute::*;
    let octets = || proptest::collection::vec(any::<u8>(), 0..60);
    let some_octets = || {
        let octets = proptest::collection::vec(any::<u8>(), 1..60);
        octets.prop_map(|octets| NonEmpty::new(octets).unwrap())
    };
    let result_code =
        (any::<u16>(), any::<u16>(), octets()).prop_map(|(result, error, message)| {
            ResultCode(super::ResultCode {
                result,
                error,
                message,
            })
        });
    let cause =
        (any::<u16>(), any::<u8>(), octets()).prop_map(|(cause, message_type, advisory)| {
            Q931Cause(super::Q931Cause {
                cause,
                message_type,
                advisory,
            })
        });
    prop_oneof![
        result_code,
        cause,
        any::<[u8; 2]>().prop_map(
            |[version, revision]| ProtocolVersion(super::ProtocolVersion { version, revision })
        ),
        any::<u32>().prop_map(FramingCapabilities),
        any::<u32>().prop_map(BearerCapabilities),
        any::<u64>().prop_map(TieBreaker),
        any::<u16>().prop_map(FirmwareRevision),
        some_octets().prop_map(HostName),
        octets().prop_map(VendorName),
        (1..=u16::MAX).prop_map(AssignedTunnelId),
        (1..=u16::MAX).prop_map(|window| ReceiveWindowSize(NonZeroU16::new(window).unwrap())),
        some_octets().prop_map(Challenge),
        any::<[u8; 16]>().prop_map(ChallengeResponse),
        (1..=u16::MAX).prop_map(AssignedSessionId),
        any::<u32>().prop_map(CallSerialNumber),
        any::<u32>().prop_map(MinimumBps),
        any::<u32>().prop_map(MaximumBps),
        any::<u32>().prop_map(BearerType),
        any::<u32>().prop_map(FramingType),
        octets().prop_map(CalledNumber),
        octets().prop_map(CallingNumber),
        octets().prop_map(SubAddress),
        any::<u32>().prop_map(TxConnectSpeed),
        any::<u32>().prop_map(PhysicalChannelId),
        octets().prop_map(InitialReceivedLcpConfReq),
        octets().prop_map(LastSentLcpConfReq),
        octets().prop_map(LastReceivedLcpConfReq),
        any::<u16>().prop_map(ProxyAuthenType),
        octets().prop_map(ProxyAuthenName),
        octets().prop_map(ProxyAuthenChallenge),
        any::<u16>().prop_map(ProxyAuthenId),
        octets().prop_map(ProxyAuthenResponse),
        any::<[u32; 6]>().prop_map(|errors| CallErrors(Reserved2(errors))),
        any::<[u32; 2]>().prop_map(|maps| Accm(Reserved2(maps))),
        octets().prop_map(PrivateGroupId),
        any::<u32>().prop_map(RxConnectSpeed),
        Just(SequencingRequired(())),
    ]
}

fn raw(octets: &[u8]) -> Vec<Result<RawAvp<'_>, AvpError>> {
    RawAvps::new(octets).collect()
}

fn avp(kind: u16, value: &[u8]) -> RawAvp<'_> {
    RawAvp {
        mandatory: true,
        hidden: false,
        reserved: false,
        vendor: IETF,
        kind,
        value,
    }
}

#[test]
fn lengths_below_six_and_past_the_end_are_errors_and_end_the_list() {
    for length in 0..6 {
        let octets = [0x80, length, 0, 0, 0, 0, 0, 1];
        let error = AvpError::Length {
            octets: usize::from(length),
            remaining: 8,
        };
        assert_eq!(raw(&octets), [Err(error)], "length {length}");
    }
    let past = AvpError::Length {
        octets: 9,
        remaining: 8,
    };
    assert_eq!(raw(&[0x80, 9, 0, 0, 0, 0, 0, 1]), [Err(past)]);
    for octets in 1..6 {
        assert_eq!(
            raw(&[0x80, 6, 0, 0, 0][..octets]),
            [Err(AvpError::Truncated)]
        );
    }
    assert_eq!(raw(&[]), []);
}

#[test]
fn the_length_has_ten_bits() {
    let mut octets = vec![0x83, 0xff, 0, 0, 0, 22];
    octets.resize(1023, b'1');
    let [Ok(avp)] = raw(&octets)[..] else {
        panic!("one AVP expected");
    };
    assert_eq!((avp.value.len(), avp.reserved), (MAX_VALUE_OCTETS, false));
    let number = Attribute::decode(&avp, None).unwrap();
    let mut encoded = Vec::new();
    number.encode(&mut encoded);
    assert_eq!(encoded, octets, "1017 octets of number are whole");
}

#[test]
fn a_value_that_is_too_long_is_cut_when_sent() {
    let mut octets = Vec::new();
    Attribute::VendorName(vec![b'x'; 2000]).encode(&mut octets);
    assert_eq!(octets.len(), 1023);
    assert!(raw(&octets)[0].is_ok());
}

#[test]
fn vendor_and_reserved_bits_make_an_avp_unrecognised() {
    // BBF (3561) AVP 2 is not Protocol Version.
    let foreign = RawAvp {
        vendor: 3561,
        ..avp(2, &[1, 0])
    };
    let unrecognised = |vendor, kind| Err(AvpError::Unrecognised { vendor, kind });
    assert_eq!(Attribute::decode(&foreign, None), unrecognised(3561, 2));
    let reserved = RawAvp {
        reserved: true,
        ..avp(2, &[1, 0])
    };
    assert_eq!(Attribute::decode(&reserved, None), unrecognised(0, 2));
    for kind in [20, 40, 0xffff] {
        assert_eq!(
            Attribute::decode(&avp(kind, &[]), None),
            unrecognised(0, kind)
        );
    }
    for bit in [0x04, 0x08, 0x10, 0x20] {
        assert!(raw(&[0x80 | bit, 6, 0, 0, 0, 39])[0].unwrap().reserved);
    }
}

#[test]
fn every_fixed_length_is_exact() {
    let fixed = [
        (0, 2),
        (2, 2),
        (3, 4),
        (4, 4),
        (5, 8),
        (6, 2),
        (9, 2),
        (10, 2),
        (13, 16),
        (14, 2),
        (15, 4),
        (16, 4),
        (17, 4),
        (18, 4),
        (19, 4),
        (24, 4),
        (25, 4),
        (29, 2),
        (32, 2),
        (34, 26),
        (35, 10),
        (38, 4),
        (39, 0),
    ];
    for (kind, octets) in fixed {
        let value = [1; 40];
        assert!(
            Attribute::decode(&avp(kind, &value[..octets]), None).is_ok(),
            "{kind}"
        );
        for wrong in (0..40).filter(|&wrong| wrong != octets) {
            let error = Attribute::decode(&avp(kind, &value[..wrong]), None).unwrap_err();
            let attribute = attribute_name(kind);
            let expected = AvpError::ValueLength {
                attribute,
                octets: wrong,
            };
            assert_eq!(error, expected, "{kind}");
        }
    }
}

#[test]
fn result_code_may_end_after_the_result_or_the_error() {
    let decode = |value: &[u8]| Attribute::decode(&avp(1, value), None);
    let code = |error, message: &[u8]| {
        Ok(Attribute::ResultCode(ResultCode {
            result: 2,
            error,
            message: message.to_vec(),
        }))
    };
    assert_eq!(decode(&[0, 2]), code(0, b""), "AVP length 8 is legal");
    assert_eq!(decode(&[0, 2, 0, 8]), code(8, b""));
    assert_eq!(decode(&[0, 2, 0, 8, b'x']), code(8, b"x"));
    for bad in [&[][..], &[0], &[0, 2, 0]] {
        assert!(decode(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_receive_window_of_zero_and_an_empty_challenge_or_name_are_refused() {
    let decode = |kind, value: &'static [u8]| Attribute::decode(&avp(kind, value), None);
    let attribute = attribute_name(10);
    assert_eq!(decode(10, &[0, 0]), Err(AvpError::ValueRange { attribute }));
    assert!(decode(10, &[0, 1]).is_ok());
    assert!(decode(11, &[]).is_err(), "Challenge");
    assert!(decode(7, &[]).is_err(), "Host Name");
}

#[test]
fn which_attributes_may_be_hidden_is_pinned() {
    let forbidden: Vec<u16> = (0..=39)
        .filter(|&kind| attribute_row(kind).is_some_and(|(_, hideable)| !hideable))
        .collect();
    assert_eq!(forbidden, [0, 1, 2, 5, 7, 10, 12, 36, 39]);
    let hidden = RawAvp {
        hidden: true,
        ..avp(7, b"0123456789abcdef")
    };
    let attribute = attribute_name(7);
    assert_eq!(
        Attribute::decode(&hidden, Some(UNHIDING)),
        Err(AvpError::HiddenForbidden { attribute })
    );
}

#[test]
fn which_attributes_are_sent_mandatory_is_pinned() {
    let optional = [
        Attribute::TieBreaker(1),
        Attribute::FirmwareRevision(1),
        Attribute::VendorName(vec![]),
        Attribute::PhysicalChannelId(1),
        Attribute::RxConnectSpeed(1),
        Attribute::PrivateGroupId(vec![]),
        Attribute::ProxyAuthenType(1),
    ];
    let mandatory = [
        Attribute::MessageType(1),
        Attribute::AssignedTunnelId(1),
        Attribute::ReceiveWindowSize(NonZeroU16::MIN),
        Attribute::ChallengeResponse([0; 16]),
        Attribute::TxConnectSpeed(1),
        Attribute::SequencingRequired(()),
    ];
    let flag = |attribute: &Attribute| {
        let mut octets = Vec::new();
        attribute.encode(&mut octets);
        raw(&octets)[0].unwrap().mandatory
    };
    assert!(!optional.iter().any(flag));
    assert!(mandatory.iter().all(flag));
}

#[test]
fn a_hidden_avp_needs_a_vector_a_secret_and_the_right_one() {
    let mut octets = Vec::new();
    assert!(Attribute::AssignedTunnelId(9).encode_hidden(5, UNHIDING, &mut octets));
    let hidden = raw(&octets)[0].unwrap();
    assert!(hidden.hidden && hidden.mandatory);
    let unreadable = Err(AvpError::Unreadable { kind: 9 });
    assert_eq!(Attribute::decode(&hidden, None), unreadable);
    assert_eq!(
        Attribute::decode(&hidden, Some(UNHIDING)),
        Ok(Attribute::AssignedTunnelId(9))
    );
    let wrong = Unhiding {
        secret: b"Secret",
        ..UNHIDING
    };
    assert!(Attribute::decode(&hidden, Some(wrong)).is_err());
    assert!(!Attribute::TieBreaker(1).encode_hidden(0, UNHIDING, &mut octets));
    assert!(!Attribute::CalledNumber(vec![0; 1000]).encode_hidden(16, UNHIDING, &mut octets));
}

proptest! {
    #[test]
    fn attributes_round_trip(attribute in any_attribute(), padding in 0_usize..40) {
        let mut octets = Vec::new();
        attribute.encode(&mut octets);
        if attribute.encode_hidden(padding, UNHIDING, &mut octets) {
            octets.extend_from_slice(&[0, 6, 0, 0, 0, 39]);
        }
        let decoded: Vec<_> = RawAvps::new(&octets)
            .map(|avp| Attribute::decode(&avp.unwrap(), Some(UNHIDING)).unwrap())
            .collect();
        prop_assert!(decoded.len() == 1 || decoded.len() == 3);
        for copy in decoded.iter().take(2) {
            prop_assert_eq!(copy, &attribute);
        }
    }

    #[test]
    fn any_octets_end_and_cover_no_more_than_there_is(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut covered = 0;
        for avp in RawAvps::new(&octets).flatten() {
            covered += AVP_HEADER_OCTETS + avp.value.len();
            let _ = Attribute::decode(&avp, Some(UNHIDING));
        }
        prop_assert!(covered <= octets.len());
    }
}
