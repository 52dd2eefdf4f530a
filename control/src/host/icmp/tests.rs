use proptest::prelude::*;

use super::*;

mod ipv6;

const US: [u8; 4] = [192, 168, 1, 1];
const HOST: [u8; 4] = [192, 168, 1, 16];
const FAR: [u8; 4] = [10, 9, 8, 7];
const NOW: Duration = Duration::from_secs(1);

/// The ones-complement sum of octets, straight from RFC 1071.
fn internet_checksum(octets: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in octets.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn ipv4(protocol: u8, source: [u8; 4], destination: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + payload.len()).unwrap();
    let mut packet = vec![0x45, 0, 0, 0, 0x12, 0x34, 0, 0, 9, protocol, 0, 0];
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    packet.extend(source);
    packet.extend(destination);
    fix_header(&mut packet);
    packet.extend(payload);
    packet
}

fn fix_header(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let checksum = internet_checksum(&packet[..20]);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
}

fn icmp(kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0];
    message.extend(rest);
    let checksum = internet_checksum(&message);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}

fn udp(payload: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0x30, 0x39, 0x82, 0x9a, 0, 0, 0, 0];
    datagram[5] = u8::try_from(8 + payload.len()).unwrap();
    datagram.extend(payload);
    datagram
}

fn ping() -> Vec<u8> {
    ipv4(1, HOST, US, &icmp(8, 0, b"\x12\x34\x00\x07abcde"))
}

#[test]
fn a_ping_is_answered() {
    let mut engine = Icmp::new();
    let mut asked = ping();
    asked[1] = 0xbb;
    fix_header(&mut asked);
    let answer = engine.handle_local(NOW, &asked).unwrap();
    let mut expected = vec![0x45, 0xb8, 0, 33, 0, 1, 0, 0, 64, 1, 0, 0];
    expected.extend(US);
    expected.extend(HOST);
    fix_header(&mut expected);
    expected.extend(icmp(0, 0, b"\x12\x34\x00\x07abcde"));
    assert_eq!(answer, expected);
    assert_eq!(engine.counters().echo_replies_sent, 1);
}

#[test]
fn what_is_no_ping_to_us_is_left_alone() {
    let mut damaged = ping();
    *damaged.last_mut().unwrap() ^= 1;
    let mut damaged_header = ping();
    damaged_header[8] ^= 1;
    let mut fragment = ping();
    fragment[6] = 0x20;
    fix_header(&mut fragment);
    let echo = icmp(8, 0, &[0; 8]);
    let cases = [
        (damaged, Refusal::Malformed),
        (damaged_header, Refusal::Malformed),
        (ping()[..30].to_vec(), Refusal::Malformed),
        (fragment, Refusal::Fragment),
        (ipv4(1, HOST, US, &icmp(0, 0, &[0; 8])), Refusal::NoRequest),
        (ipv4(1, HOST, US, &icmp(3, 1, &[0; 36])), Refusal::NoRequest),
        (
            ipv4(1, HOST, US, &icmp(13, 0, &[0; 16])),
            Refusal::NoRequest,
        ),
        (ipv4(1, [0, 0, 0, 0], US, &echo), Refusal::Source),
        (ipv4(1, [0, 1, 2, 3], US, &echo), Refusal::Source),
        (ipv4(1, [127, 0, 0, 1], US, &echo), Refusal::Source),
        (ipv4(1, [224, 0, 0, 5], US, &echo), Refusal::Source),
        (ipv4(1, [255; 4], US, &echo), Refusal::Source),
        (ipv4(1, US, US, &echo), Refusal::Source),
        (ipv4(1, HOST, [255; 4], &echo), Refusal::Destination),
        (ipv4(1, HOST, [224, 0, 0, 1], &echo), Refusal::Destination),
    ];
    for (packet, refusal) in cases {
        let mut engine = Icmp::new();
        assert_eq!(engine.handle_local(NOW, &packet), None, "{packet:x?}");
        assert_eq!(engine.counters().refused(refusal), 1, "{packet:x?}");
    }
}

#[test]
fn closed_ports_and_unknown_protocols() {
    let mut engine = Icmp::new();
    let asked = ipv4(17, HOST, US, &udp(b"hello"));
    let answer = engine.handle_local(NOW, &asked).unwrap();
    assert_eq!(answer[20..22], [3, 3]);
    assert_eq!(answer[28..], asked);
    // TCP too: nothing here speaks it.
    for protocol in [6, 47, 132] {
        let asked = ipv4(protocol, HOST, US, &[0; 20]);
        let answer = engine.handle_local(NOW, &asked).unwrap();
        assert_eq!(answer[20..22], [3, 2], "{protocol}");
        assert_eq!(answer[12..20], [US, HOST].concat());
    }
    // A damaged datagram.
    let mut bad = udp(b"hello");
    bad[6..8].copy_from_slice(&[0xde, 0xad]);
    let answer = engine.handle_local(NOW, &ipv4(17, HOST, US, &bad));
    assert_eq!(answer, None);
    let answer = engine.handle_local(NOW, &ipv4(17, HOST, US, &bad[..7]));
    assert_eq!(answer, None);
    assert_eq!(engine.counters().refused(Refusal::Malformed), 2);
}

#[test]
fn every_cause_has_its_type_and_code() {
    let about = ipv4(17, HOST, FAR, &udp(b"hello"));
    let cases = [
        (IcmpCause::TimeExceeded, [11, 0], [0; 4]),
        (IcmpCause::NetUnreachable, [3, 0], [0; 4]),
        (IcmpCause::HostUnreachable, [3, 1], [0; 4]),
        (
            IcmpCause::FragmentationNeeded { mtu: 1450 },
            [3, 4],
            [0, 0, 5, 0xaa],
        ),
    ];
    for (cause, kind, second_word) in cases {
        let mut engine = Icmp::new();
        let error = engine.handle_cause(NOW, cause, &about, US.into()).unwrap();
        let mut message = second_word.to_vec();
        message.extend(&about);
        let mut expected = ipv4(1, US, HOST, &icmp(kind[0], kind[1], &message));
        expected[1] = 0xc0;
        expected[4..6].copy_from_slice(&[0, 1]);
        expected[8] = 64;
        fix_header(&mut expected);
        assert_eq!(error, expected, "{cause:?}");
        let sent = engine.counters().errors_sent;
        assert_eq!(sent[Cause::from(cause).index()], 1, "{cause:?}");
    }
}

#[test]
fn a_large_packet_is_quoted_up_to_576_octets() {
    let mut engine = Icmp::new();
    let about = ipv4(17, HOST, FAR, &[7; 1400]);
    let cause = Cause::FragmentationNeeded { mtu: 1000 };
    let error = engine.handle_cause(NOW, cause, &about, US.into()).unwrap();
    assert_eq!(error.len(), 576);
    assert_eq!(error[28..], about[..548]);
    // What follows the packet in its frame is not quoted.
    let mut padded = ipv4(17, HOST, FAR, &[7; 4]);
    padded.resize(46, 0xee);
    let error = engine.handle_cause(NOW, cause, &padded, US.into()).unwrap();
    assert_eq!(error[28..], padded[..24]);
}

#[test]
fn no_errors_about_errors_fragments_and_crowds() {
    let payload = udp(b"hello");
    let mut later_fragment = ipv4(17, HOST, FAR, &payload);
    later_fragment[6..8].copy_from_slice(&[0x20, 0x10]);
    let about_error = |kind| {
        (
            ipv4(1, HOST, FAR, &icmp(kind, 0, &[0; 36])),
            Refusal::AboutError,
        )
    };
    let cases = [
        about_error(3),
        about_error(4),
        about_error(5),
        about_error(11),
        about_error(12),
        about_error(200),
        (ipv4(1, HOST, FAR, &[]), Refusal::AboutError),
        (later_fragment, Refusal::Fragment),
        (
            ipv4(17, HOST, [239, 1, 1, 1], &payload),
            Refusal::Destination,
        ),
        (ipv4(17, HOST, [255; 4], &payload), Refusal::Destination),
        (ipv4(17, [0; 4], FAR, &payload), Refusal::Source),
        (ipv4(17, [127, 0, 0, 1], FAR, &payload), Refusal::Source),
        (ipv4(17, [224, 0, 0, 9], FAR, &payload), Refusal::Source),
        (ipv4(17, [240, 0, 0, 9], FAR, &payload), Refusal::Source),
        (ipv4(17, US, FAR, &payload), Refusal::Source),
        (vec![], Refusal::Malformed),
        (vec![0x65; 60], Refusal::Malformed),
    ];
    for (about, refusal) in cases {
        let mut engine = Icmp::new();
        let error = engine.handle_cause(NOW, Cause::TimeExceeded, &about, US.into());
        assert_eq!(error, None, "{about:x?}");
        assert_eq!(engine.counters().refused(refusal), 1, "{about:x?}");
    }
    // But traceroute by ping works, and the first fragment has its error.
    let mut engine = Icmp::new();
    let echo = ipv4(1, HOST, FAR, &icmp(8, 0, &[0; 8]));
    let mut first_fragment = ipv4(17, HOST, FAR, &payload);
    first_fragment[6] = 0x20;
    for about in [echo, first_fragment] {
        let error = engine.handle_cause(NOW, Cause::TimeExceeded, &about, US.into());
        assert!(error.is_some(), "{about:x?}");
    }
}

#[test]
fn each_cause_has_a_limit_of_its_own() {
    let mut engine = Icmp::new();
    let about = ipv4(17, HOST, FAR, &udp(b"hello"));
    for _ in 0..60 {
        engine.handle_cause(NOW, Cause::TimeExceeded, &about, US.into());
    }
    engine.handle_cause(NOW, Cause::NetUnreachable, &about, US.into());
    let counters = engine.counters();
    assert_eq!(counters.errors_sent, [50, 1, 0, 0, 0, 0, 0]);
    assert_eq!(counters.errors_limited, [10, 0, 0, 0, 0, 0, 0]);
    assert_eq!(counters.refused(Refusal::Limited), 10);
}

#[test]
fn names_are_in_the_order_of_the_counters() {
    for (index, refusal) in Refusal::ALL.into_iter().enumerate() {
        assert_eq!(refusal as usize, index, "{}", refusal.name());
    }
}

fn packet() -> impl Strategy<Value = Vec<u8>> {
    let address = prop_oneof![Just(HOST), Just(US), Just([255; 4]), any::<[u8; 4]>(),];
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..100),
        (
            any::<u8>(),
            any::<u8>(),
            prop::collection::vec(any::<u8>(), 4..100)
        )
            .prop_map(|(kind, code, rest)| icmp(kind % 20, code % 3, &rest)),
        prop::collection::vec(any::<u8>(), 0..100).prop_map(|payload| udp(&payload)),
    ];
    let protocol = prop_oneof![Just(1_u8), Just(17), Just(6), any::<u8>()];
    let whole = (protocol, address.clone(), address, payload).prop_map(
        |(protocol, source, destination, payload)| ipv4(protocol, source, destination, &payload),
    );
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..100),
        4 => whole.clone(),
        2 => (whole, any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut packet, at, octet)| {
            let at = at.index(packet.len());
            packet[at] = octet;
            packet
        }),
    ]
}

/// A sound IPv4 packet with a sound ICMP message.
fn assert_sound(answer: &[u8]) -> Result<(), TestCaseError> {
    prop_assert_eq!(internet_checksum(&answer[..20]), 0);
    prop_assert_eq!(internet_checksum(&answer[20..]), 0);
    let total = u16::from_be_bytes([answer[2], answer[3]]);
    prop_assert_eq!(usize::from(total), answer.len());
    Ok(())
}

proptest! {
    /// Nothing makes us panic, every answer is sound, and an answer to an
    /// answer does not exist: no two of us can keep each other busy.
    #[test]
    fn answers_are_sound_and_never_answered(packet in packet()) {
        let mut engine = Icmp::new();
        if let Some(answer) = engine.handle_local(NOW, &packet) {
            assert_sound(&answer)?;
            prop_assert_eq!(engine.handle_local(NOW, &answer), None);
        }
        let error = engine.handle_cause(NOW, Cause::HostUnreachable, &packet, FAR.into());
        if let Some(error) = error {
            assert_sound(&error)?;
            prop_assert!(error.len() <= 576);
            prop_assert_eq!(engine.handle_local(NOW, &error), None);
            let again = engine.handle_cause(NOW, Cause::TimeExceeded, &error, US.into());
            prop_assert_eq!(again, None);
        }
    }
}
