//! Every header of a data frame, one after the other as a worker reads them,
//! and what is then done to the inner packet.
#![no_main]

use dataplane::checksum;
use dataplane::headers::l2tp::L2tp;
use dataplane::headers::udp::Udp;
use dataplane::headers::{ethernet, ha, icmpv6, ipv4, ipv6, l2tp, ppp, pppoe, udp, vlan};
use dataplane::transform::{clamp_mss, fragment};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    // Each alone, wherever it might start.
    let _ = ethernet::parse(octets);
    let _ = l2tp::parse(octets);
    let _ = ppp::protocol(octets);
    inner(octets);

    let mut frame = unwrapped(octets.to_vec());
    if ethernet::parse(&frame).is_none() {
        return;
    }
    let packet = &mut frame[ethernet::HEADER_OCTETS..];
    repair(packet);
    outer(packet);
});

/// A frame without what logical ports take off it: its tags, and PPPoE.
fn unwrapped(mut frame: Vec<u8>) -> Vec<u8> {
    const ADDRESSES_OCTETS: usize = ethernet::ADDRESSES_OCTETS;
    let ether_type = |frame: &[u8]| ethernet::parse(frame).map(|header| header.ether_type);
    while ether_type(&frame) == Some(ethernet::ETHER_TYPE_VLAN) {
        let Some(identifier) = vlan::identifier(&frame) else {
            return frame;
        };
        assert_eq!(
            vlan::identifier(
                &[&frame[..ADDRESSES_OCTETS], &vlan::tag(identifier), &[0; 2]].concat()
            ),
            Some(identifier)
        );
        frame.drain(ADDRESSES_OCTETS..ADDRESSES_OCTETS + vlan::TAG_OCTETS);
    }
    let parsed = pppoe::parse(&frame);
    if ether_type(&frame) != Some(ethernet::ETHER_TYPE_PPPOE_SESSION) {
        return frame;
    }
    let Ok(found) = parsed else {
        return frame;
    };
    let information = &frame[found.information_range.clone()];
    let Some(ether_type) = pppoe::ether_type(found.protocol) else {
        return frame;
    };
    let addresses = &frame[..ADDRESSES_OCTETS];
    // Written again, in the form that we give it, it says the same.
    let header = pppoe::header(found.session, ether_type, information.len())
        .expect("it is no longer than before");
    let again = [addresses, &header, information].concat();
    let same = pppoe::parse(&again).expect("a sound frame");
    assert_eq!(
        (same.session, same.protocol),
        (found.session, found.protocol)
    );
    assert_eq!(&again[same.information_range], information);
    [addresses, &ether_type.to_be_bytes(), information].concat()
}

/// Makes the header's checksum right, which the fuzzer would not find out.
fn repair(packet: &mut [u8]) {
    let header_octets = usize::from(packet.first().copied().unwrap_or(0) & 0xf) * 4;
    if header_octets >= 20 && packet.len() >= header_octets {
        packet[10..12].fill(0);
        let sum = checksum::finish(checksum::sum(&packet[..header_octets]));
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}

fn outer(packet: &mut [u8]) {
    let Some(datagram) = datagram_over_ipv6(packet).or_else(|| datagram(packet)) else {
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
    if let Some((ppp::PROTOCOL_IPV4 | ppp::PROTOCOL_IPV6, octets)) = ppp::protocol(frame) {
        inner(&frame[octets..]);
    }
}

fn datagram(packet: &[u8]) -> Option<Udp> {
    let header = ipv4::parse(packet).ok()?;
    assert!(header.header_octets <= header.total_octets && header.total_octets <= packet.len());
    udp::parse(&header, packet).ok()
}

fn datagram_over_ipv6(packet: &mut [u8]) -> Option<Udp> {
    let header = ipv6::parse(packet).ok()?;
    assert!(header.total_octets <= packet.len());
    let _ = icmpv6::is_neighbour_discovery(&header, packet);
    let upper = ipv6::upper_layer(&header, packet).ok()?;
    assert!((ipv6::HEADER_OCTETS..=header.total_octets).contains(&upper.offset));
    if upper.protocol != ipv6::NEXT_UDP || upper.is_fragment() {
        return None;
    }
    // The checksum is required, and the fuzzer would not find it out.
    let checked = udp::parse_over_ipv6(&header, upper.offset, packet);
    let length = u16::from_be_bytes([
        *packet.get(upper.offset + 4)?,
        *packet.get(upper.offset + 5)?,
    ]);
    let end = upper.offset + usize::from(length);
    if checked.is_err() && length >= 8 && end <= header.total_octets {
        let sum = upper.offset + 6;
        packet[sum..sum + 2].fill(0);
        let pseudo_header = checksum::pseudo_header_sum_ipv6(
            &header.source.octets(),
            &header.destination.octets(),
            ipv6::NEXT_UDP,
            length,
        );
        let covered = checksum::sum(&packet[upper.offset..end]);
        let right = match checksum::finish(pseudo_header + covered) {
            0 => 0xffff,
            right => right,
        };
        packet[sum..sum + 2].copy_from_slice(&right.to_be_bytes());
        let repaired = udp::parse_over_ipv6(&header, upper.offset, packet);
        return Some(repaired.expect("length and checksum are right"));
    }
    checked.ok()
}

fn inner(octets: &[u8]) {
    let mut packet = octets.to_vec();
    if ipv6::parse(&packet).is_ok() {
        inner_ipv6(&mut packet);
    }
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

fn inner_ipv6(packet: &mut [u8]) {
    let before = ipv6::known(packet).expect("it was parsed");
    for mtu in [68, 1430] {
        clamp_mss(packet, mtu);
        assert_eq!(ipv6::known(packet), Some(before), "the header stays");
    }
    if ipv6::decrement_hop_limit(packet) {
        let after = ipv6::parse(packet).expect("as sound as before");
        assert_eq!(after.hop_limit, before.hop_limit - 1);
    }
}
