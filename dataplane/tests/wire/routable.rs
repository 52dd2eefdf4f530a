//! Frames that are routed without being parsed.

use dataplane::headers::ethernet::{self, Ethernet};
use dataplane::headers::ipv4;
use dataplane::headers::routable::{self, FrameStart};

use crate::packets::{self, DESTINATION, plain_checksum};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn frame(packet: &[u8]) -> Vec<u8> {
    let ethernet = Ethernet {
        destination: MAC,
        source: [2, 9, 9, 9, 9, 9],
        ether_type: ethernet::ETHER_TYPE_IPV4,
    };
    [&ethernet.octets(), packet].concat()
}

fn packet(options: &[u8]) -> Vec<u8> {
    packets::ipv4(ipv4::PROTOCOL_UDP, options, 0x4000, &[0x5a; 30])
}

fn recognised(frame: &[u8]) -> Option<usize> {
    let (destination, end) = routable::recognise(frame, &FrameStart::from(MAC))?;
    assert_eq!(destination, DESTINATION);
    Some(end)
}

/// Makes the header checksum right again.
fn mend(frame: &mut [u8]) {
    frame[24..26].fill(0);
    let checksum = plain_checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
}

#[test]
fn a_packet_of_the_usual_form_is_recognised() {
    let frame = frame(&packet(&[]));
    assert_eq!(recognised(&frame), Some(frame.len()));
    let padded = [&frame[..], &[0; 9]].concat();
    assert_eq!(recognised(&padded), Some(frame.len()));
    // Who sent it and the type of service are nobody's business.
    let mut other = frame;
    other[6..12].fill(0xee);
    other[15] = 0xb8;
    mend(&mut other);
    assert!(recognised(&other).is_some());
}

#[test]
fn any_other_form_is_left_to_the_parsers() {
    let good = frame(&packet(&[]));
    for at in [0, 1, 2, 3, 4, 5, 12, 13, 14] {
        let mut other = good.clone();
        other[at] ^= 2;
        mend(&mut other);
        assert_eq!(recognised(&other), None, "octet {at}");
    }
    assert_eq!(recognised(&frame(&packet(&[0; 4]))), None, "options");
    for total_octets in [0, 19, good.len() as u16 - 13, u16::MAX] {
        let mut other = good.clone();
        other[16..18].copy_from_slice(&total_octets.to_be_bytes());
        mend(&mut other);
        assert_eq!(recognised(&other), None, "{total_octets} octets");
    }
    for source in [0, 127, 224, 255] {
        let mut other = good.clone();
        other[26] = source;
        mend(&mut other);
        assert_eq!(recognised(&other), None, "from {source}");
    }
    let mut wrong = good.clone();
    wrong[24] ^= 1;
    assert_eq!(recognised(&wrong), None);
    assert_eq!(recognised(&good[..33]), None);
}
