//! Every header of a data frame, one after the other as a worker reads them,
//! and what is then done to the inner packet.
#![no_main]

use dataplane::checksum;
use dataplane::headers::l2tp::L2tp;
use dataplane::headers::{ethernet, ha, ipv4, l2tp, ppp, udp};
use dataplane::transform::{clamp_mss, fragment};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    // Each alone, wherever it might start.
    let _ = ethernet::parse(octets);
    let _ = l2tp::parse(octets);
    let _ = ppp::protocol(octets);
    inner(octets);

    let mut frame = octets.to_vec();
    if ethernet::parse(&frame).is_none() {
        return;
    }
    let packet = &mut frame[ethernet::HEADER_OCTETS..];
    repair(packet);
    outer(packet);
});

/// Makes the header's checksum right, which the fuzzer would not find out.
fn repair(packet: &mut [u8]) {
    let header_octets = usize::from(packet.first().copied().unwrap_or(0) & 0xf) * 4;
    if header_octets >= 20 && packet.len() >= header_octets {
        packet[10..12].fill(0);
        let sum = checksum::finish(checksum::sum(&packet[..header_octets]));
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}

fn outer(packet: &[u8]) {
    let Ok(header) = ipv4::parse(packet) else {
        return;
    };
    assert!(header.header_octets <= header.total_octets && header.total_octets <= packet.len());
    let Ok(datagram) = udp::parse(&header, packet) else {
        return;
    };
    let payload = &packet[datagram.payload_range];
    let Ok(L2tp::Data(data)) = l2tp::parse(payload) else {
        return;
    };
    let padding = &payload[data.padding_range];
    let _ = ha::HaHeader::parse(padding);
    let _ = ha::Report::parse(padding);
    let frame = &payload[data.payload_offset..data.end];
    if let Some((ppp::PROTOCOL_IPV4, octets)) = ppp::protocol(frame) {
        inner(&frame[octets..]);
    }
}

fn inner(octets: &[u8]) {
    let mut packet = octets.to_vec();
    repair(&mut packet);
    let Ok(before) = ipv4::parse(&packet) else {
        // What is no packet must do no harm here either.
        clamp_mss(&mut packet, 1450);
        let _ = fragment(&packet, 576).map(Iterator::count);
        return;
    };
    for mtu in [68, 1450] {
        let length = packet.len();
        clamp_mss(&mut packet, mtu);
        assert_eq!(packet.len(), length);
        let Ok(fragments) = fragment(&packet, mtu) else {
            continue;
        };
        let mut end = before.header_octets;
        for piece in fragments {
            assert_eq!(piece.payload_range.start, end, "a hole");
            end = piece.payload_range.end;
            let payload = &packet[piece.payload_range.clone()];
            let whole = [piece.header(), payload].concat();
            assert!(whole.len() <= mtu.into());
            let header = ipv4::parse(&whole).expect("a fragment is a sound packet");
            assert_eq!(header.total_octets, whole.len());
        }
        assert_eq!(end, before.total_octets, "the whole packet");
    }
    if ipv4::decrement_ttl(&mut packet) {
        let after = ipv4::parse(&packet).expect("the checksum is kept right");
        assert_eq!(after.ttl, before.ttl - 1);
    }
}
