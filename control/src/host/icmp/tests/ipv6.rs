//! ICMP for IPv6 (RFC 4443).

use std::net::Ipv6Addr;

use super::*;

const US: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const HOST: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);
const FAR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, 1);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

const ICMPV6: u8 = 58;
const UDP: u8 = 17;
const FRAGMENT: u8 = 44;

fn ipv6(next_header: u8, source: Ipv6Addr, destination: Ipv6Addr, payload: &[u8]) -> Vec<u8> {
    let octets = u16::try_from(payload.len()).unwrap();
    let mut packet = vec![0x60, 0, 0, 0, 0, 0, next_header, 9];
    packet[4..6].copy_from_slice(&octets.to_be_bytes());
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(payload);
    packet
}

/// The sum over an upper layer and its pseudo-header (RFC 8200, 8.1): zero
/// when the checksum in it is right.
fn checksum(protocol: u8, source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let mut octets = source.octets().to_vec();
    octets.extend(destination.octets());
    octets.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    octets.extend([0, 0, 0, protocol]);
    octets.extend(message);
    internet_checksum(&octets)
}

/// A packet with an ICMP message in it.
fn icmp(source: Ipv6Addr, destination: Ipv6Addr, kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0];
    message.extend(rest);
    let sum = checksum(ICMPV6, source, destination, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    ipv6(ICMPV6, source, destination, &message)
}

fn udp(source: Ipv6Addr, destination: Ipv6Addr, payload: &[u8]) -> Vec<u8> {
    let mut datagram = super::udp(payload);
    let sum = checksum(UDP, source, destination, &datagram);
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    ipv6(UDP, source, destination, &datagram)
}

fn ping() -> Vec<u8> {
    icmp(HOST, US, 128, 0, b"\x12\x34\x00\x07abcde")
}

/// A packet with a fragment header in front of its payload.
fn fragment(word: u16, next_header: u8, payload: &[u8]) -> Vec<u8> {
    let mut fragment = vec![next_header, 0, 0, 0, 0, 0, 0, 1];
    fragment[2..4].copy_from_slice(&word.to_be_bytes());
    fragment.extend(payload);
    ipv6(FRAGMENT, HOST, FAR, &fragment)
}

#[test]
fn a_ping_is_answered() {
    let mut engine = Icmp::new();
    let mut asked = ping();
    // Traffic class 0xbb, with two bits of ECN, and a flow label.
    asked[..4].copy_from_slice(&[0x6b, 0xb1, 0x23, 0x45]);
    let answer = engine.handle_local(NOW, &asked).unwrap();
    let mut expected = icmp(US, HOST, 129, 0, b"\x12\x34\x00\x07abcde");
    expected[..4].copy_from_slice(&[0x6b, 0x80, 0, 0]);
    expected[7] = 64;
    assert_eq!(answer, expected);
    assert_eq!(engine.counters().echo_replies_sent, 1);
}

#[test]
fn what_is_no_ping_to_us_is_left_alone() {
    let mut damaged = ping();
    *damaged.last_mut().unwrap() ^= 1;
    let echo = [0; 8];
    let piece = {
        let mut packet = fragment(1, ICMPV6, &ping()[40..]);
        packet[24..40].copy_from_slice(&US.octets());
        packet
    };
    let cases = [
        (damaged, Refusal::Malformed),
        (ping()[..46].to_vec(), Refusal::Malformed),
        (ipv6(ICMPV6, HOST, US, &[128, 0, 0]), Refusal::Malformed),
        (piece, Refusal::Fragment),
        (icmp(HOST, US, 129, 0, &echo), Refusal::NoRequest),
        (icmp(HOST, US, 1, 3, &echo), Refusal::NoRequest),
        (icmp(HOST, US, 128, 1, &echo), Refusal::NoRequest),
        (icmp(HOST, US, 133, 0, &echo), Refusal::NoRequest),
        (icmp(HOST, US, 200, 0, &echo), Refusal::NoRequest),
        (ipv6(59, HOST, US, &[]), Refusal::NoRequest),
        (
            icmp(Ipv6Addr::UNSPECIFIED, US, 128, 0, &echo),
            Refusal::Source,
        ),
        (
            icmp(Ipv6Addr::LOCALHOST, US, 128, 0, &echo),
            Refusal::Source,
        ),
        (icmp(ALL_NODES, US, 128, 0, &echo), Refusal::Source),
        (icmp(US, US, 128, 0, &echo), Refusal::Source),
        (icmp(HOST, ALL_NODES, 128, 0, &echo), Refusal::Destination),
    ];
    for (packet, refusal) in cases {
        let mut engine = Icmp::new();
        assert_eq!(engine.handle_local(NOW, &packet), None, "{packet:x?}");
        assert_eq!(engine.counters().refused(refusal), 1, "{packet:x?}");
    }
}

#[test]
fn closed_ports_and_unknown_next_headers() {
    let mut engine = Icmp::new();
    let asked = udp(HOST, US, b"hello");
    let answer = engine.handle_local(NOW, &asked).unwrap();
    assert_eq!(answer[40..42], [1, 4]);
    assert_eq!(answer[48..], asked);
    assert_eq!(answer[8..40], [US.octets(), HOST.octets()].concat());
    // The pointer says where the next header is named: in the header, or in
    // the last extension header.
    for (packet, pointer) in [
        (ipv6(6, HOST, US, &[0; 20]), 6),
        (ipv6(60, HOST, US, &[132, 0, 1, 4, 0, 0, 0, 0, 9]), 40),
    ] {
        let answer = engine.handle_local(NOW, &packet).unwrap();
        assert_eq!(answer[40..42], [4, 1]);
        assert_eq!(answer[44..48], [0, 0, 0, pointer]);
    }
    let mut without_checksum = udp(HOST, US, b"hello");
    without_checksum[46..48].fill(0);
    let mut damaged = udp(HOST, US, b"hello");
    damaged[50] ^= 1;
    for packet in [without_checksum, damaged] {
        assert_eq!(engine.handle_local(NOW, &packet), None);
    }
    assert_eq!(engine.counters().refused(Refusal::Malformed), 2);
}

#[test]
fn every_cause_has_its_type_and_code() {
    let about = udp(HOST, FAR, b"hello");
    let cases = [
        (IcmpCause::TimeExceeded, [3, 0], [0; 4]),
        (IcmpCause::NetUnreachable, [1, 0], [0; 4]),
        (IcmpCause::HostUnreachable, [1, 3], [0; 4]),
        (IcmpCause::BeyondScope, [1, 2], [0; 4]),
        (
            IcmpCause::FragmentationNeeded { mtu: 1430 },
            [2, 0],
            [0, 0, 5, 0x96],
        ),
    ];
    for (cause, [kind, code], second_word) in cases {
        let mut engine = Icmp::new();
        let error = engine.handle_cause(NOW, cause, &about, US.into()).unwrap();
        let mut expected = icmp(US, HOST, kind, code, &[&second_word[..], &about].concat());
        expected[..2].copy_from_slice(&[0x6c, 0]);
        expected[7] = 64;
        assert_eq!(error, expected, "{cause:?}");
    }
}

#[test]
fn a_large_packet_is_quoted_up_to_1280_octets() {
    let mut engine = Icmp::new();
    let about = ipv6(UDP, HOST, FAR, &[7; 1460]);
    let cause = Cause::FragmentationNeeded { mtu: 1280 };
    let error = engine.handle_cause(NOW, cause, &about, US.into()).unwrap();
    assert_eq!(error.len(), 1280);
    assert_eq!(error[48..], about[..1232]);
    // What follows the packet in its frame is not quoted.
    let mut padded = ipv6(59, HOST, FAR, &[]);
    padded.resize(46, 0xee);
    let error = engine.handle_cause(NOW, cause, &padded, US.into()).unwrap();
    assert_eq!(error[48..], padded[..40]);
}

#[test]
fn no_errors_about_errors_later_fragments_and_crowds() {
    let refused = |about: Vec<u8>, refusal| {
        let mut engine = Icmp::new();
        let error = engine.handle_cause(NOW, Cause::TimeExceeded, &about, US.into());
        assert_eq!(error, None, "{about:x?}");
        assert_eq!(engine.counters().refused(refusal), 1, "{about:x?}");
    };
    for kind in [0, 1, 2, 3, 4, 100, 127, 137] {
        refused(icmp(HOST, FAR, kind, 0, &[0; 48]), Refusal::AboutError);
    }
    refused(ipv6(ICMPV6, HOST, FAR, &[]), Refusal::AboutError);
    let hidden = [ICMPV6, 0, 1, 4, 0, 0, 0, 0, 1, 0, 0, 0];
    refused(ipv6(60, HOST, FAR, &hidden), Refusal::AboutError);
    refused(fragment(0x00b9, ICMPV6, &[0; 8]), Refusal::Fragment);
    refused(fragment(0x00b8, UDP, &[0; 8]), Refusal::Fragment);
    refused(udp(HOST, ALL_NODES, b"x"), Refusal::Destination);
    for source in [Ipv6Addr::UNSPECIFIED, Ipv6Addr::LOCALHOST, ALL_NODES, US] {
        refused(udp(source, FAR, b"x"), Refusal::Source);
    }
    refused(vec![0x60; 39], Refusal::Malformed);
    refused(ipv6(60, HOST, FAR, &[17, 9]), Refusal::Malformed);
    refused(
        ipv4(17, super::HOST, super::FAR, &super::udp(b"x")),
        Refusal::Malformed,
    );
    // But traceroute by ping works, and the first fragment has its error.
    for about in [icmp(HOST, FAR, 128, 0, &[0; 8]), fragment(1, UDP, &[0; 8])] {
        let mut engine = Icmp::new();
        let error = engine.handle_cause(NOW, Cause::TimeExceeded, &about, US.into());
        assert!(error.is_some(), "{about:x?}");
    }
}

#[test]
fn both_families_share_the_limit_of_a_cause() {
    let mut engine = Icmp::new();
    let of_ipv4 = ipv4(17, super::HOST, super::FAR, &super::udp(b"hello"));
    let of_ipv6 = udp(HOST, FAR, b"hello");
    for _ in 0..30 {
        engine.handle_cause(NOW, Cause::TimeExceeded, &of_ipv4, super::US.into());
        engine.handle_cause(NOW, Cause::TimeExceeded, &of_ipv6, US.into());
    }
    assert_eq!(engine.counters().errors_sent[0], 50);
}

fn packet() -> impl Strategy<Value = Vec<u8>> {
    let address = prop_oneof![
        Just(HOST),
        Just(US),
        Just(ALL_NODES),
        any::<[u8; 16]>().prop_map(Ipv6Addr::from)
    ];
    let payload = prop::collection::vec(any::<u8>(), 0..100);
    let next_header = prop_oneof![
        Just(ICMPV6),
        Just(UDP),
        Just(FRAGMENT),
        Just(60),
        any::<u8>()
    ];
    let whole = (
        next_header,
        address.clone(),
        address,
        payload,
        any::<bool>(),
    )
        .prop_map(|(next_header, source, destination, payload, sound)| {
            match payload.as_slice() {
                [kind, code, rest @ ..] if sound => {
                    icmp(source, destination, 120 + kind % 20, code % 2, rest)
                }
                _ => ipv6(next_header, source, destination, &payload),
            }
        });
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

/// A sound IPv6 packet with a sound ICMP message.
fn assert_sound(answer: &[u8]) -> Result<(), TestCaseError> {
    let header = dataplane::headers::ipv6::parse(answer).expect("a header");
    prop_assert_eq!(header.total_octets, answer.len());
    let sum = checksum(ICMPV6, header.source, header.destination, &answer[40..]);
    prop_assert_eq!(sum, 0);
    Ok(())
}

proptest! {
    /// As of IPv4: nothing makes us panic, and no answer is answered.
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
            prop_assert!(error.len() <= 1280);
            prop_assert_eq!(engine.handle_local(NOW, &error), None);
            let again = engine.handle_cause(NOW, Cause::TimeExceeded, &error, US.into());
            prop_assert_eq!(again, None);
        }
    }

    /// Whatever a router quotes: it is ours or nothing.
    #[test]
    fn a_packet_too_big_is_read_no_further_than_it_goes(mtu: u32, quoted in packet()) {
        let told = icmp(FAR, US, 2, 0, &[&mtu.to_be_bytes()[..], &quoted].concat());
        if let Some(read) = too_big(&told) {
            prop_assert_eq!(read.mtu, mtu);
            prop_assert_eq!(read.source.ip(), IpAddr::from(US));
            prop_assert!(told.ends_with(read.payload));
            prop_assert!(quoted.len() >= 48 + read.payload.len());
        }
    }
}
