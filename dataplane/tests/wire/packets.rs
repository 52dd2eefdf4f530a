//! What the tests of headers and transforms share: octets from hexadecimal,
//! and a checksum written another way than the one under test.

use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) const SOURCE: Ipv4Addr = Ipv4Addr::new(192, 168, 2, 7);
pub(crate) const DESTINATION: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 9);

pub(crate) const SOURCE_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 7);
pub(crate) const DESTINATION_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 9);

/// Octets from pairs of hexadecimal digits with space between them.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace()
        .map(|pair| u8::from_str_radix(pair, 16).expect("two hexadecimal digits"))
        .collect()
}

/// The checksum of RFC 1071, word by word.
pub(crate) fn plain_checksum(data: &[u8]) -> u16 {
    let mut sum = 0u64;
    for word in data.chunks(2) {
        let low = word.get(1).copied().unwrap_or(0);
        sum += u64::from(word[0]) * 256 + u64::from(low);
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// An IPv4 packet from [`SOURCE`] to [`DESTINATION`]. `options` is a multiple
/// of four octets; `flags` is the word with DF, MF and offset.
pub(crate) fn ipv4(protocol: u8, options: &[u8], flags: u16, payload: &[u8]) -> Vec<u8> {
    let header_octets = 20 + options.len();
    let total_octets = (header_octets + payload.len()) as u16;
    let mut packet = vec![0x40 | (header_octets / 4) as u8, 0];
    packet.extend(total_octets.to_be_bytes());
    packet.extend([0x43, 0x21]);
    packet.extend(flags.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(SOURCE.octets());
    packet.extend(DESTINATION.octets());
    packet.extend(options);
    let checksum = plain_checksum(&packet);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.extend(payload);
    packet
}

/// An IPv6 packet from [`SOURCE_IPV6`] to [`DESTINATION_IPV6`]. `payload` starts
/// with what `next_header` says.
pub(crate) fn ipv6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next_header, 64]);
    packet.extend(SOURCE_IPV6.octets());
    packet.extend(DESTINATION_IPV6.octets());
    packet.extend(payload);
    packet
}

/// The checksum over pseudo-header and segment: 0 when the one inside is right.
/// An IPv6 packet has no extension headers.
pub(crate) fn transport_checksum(packet: &[u8]) -> u16 {
    if packet[0] >> 4 == 6 {
        return transport_checksum_behind(packet, 40, packet[6]);
    }
    let header_octets = usize::from(packet[0] & 15) * 4;
    let segment = &packet[header_octets..];
    let mut covered = packet[12..20].to_vec();
    covered.extend([0, packet[9]]);
    covered.extend((segment.len() as u16).to_be_bytes());
    covered.extend(segment);
    plain_checksum(&covered)
}

/// The same of an IPv6 packet whose upper layer starts at `offset`.
pub(crate) fn transport_checksum_behind(packet: &[u8], offset: usize, protocol: u8) -> u16 {
    let segment = &packet[offset..];
    let mut covered = packet[8..40].to_vec();
    covered.extend((segment.len() as u32).to_be_bytes());
    covered.extend([0, 0, 0, protocol]);
    covered.extend(segment);
    plain_checksum(&covered)
}
