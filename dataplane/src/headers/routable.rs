//! Recognises a frame with an IPv4 packet for a router, of the form that nearly
//! all have. Every other form, and everything that is wrong, is left to the
//! parsers, which know the names of faults.

use std::net::Ipv4Addr;
use std::ops::Range;

use super::{ethernet, ipv4};

/// Where the packet lies in a frame to this hardware address. Its header is
/// right, without options, and its source may be forwarded from.
#[inline(always)]
#[must_use]
pub fn recognise(frame: &[u8], mac: [u8; 6]) -> Option<Range<usize>> {
    let (ethernet, packet) = frame.split_first_chunk::<{ ethernet::HEADER_OCTETS }>()?;
    let header: &[u8; ipv4::HEADER_OCTETS] = packet.first_chunk()?;
    let [d0, d1, d2, d3, d4, d5, _, _, _, _, _, _, t0, t1] = *ethernet;
    let [first, _, l0, l1, ..] = *header;
    let [.., s0, s1, s2, s3, _, _, _, _] = *header;
    let total_octets = usize::from(u16::from_be_bytes([l0, l1]));
    let expected = ([d0, d1, d2, d3, d4, d5] == mac)
        & (u16::from_be_bytes([t0, t1]) == ethernet::ETHER_TYPE_IPV4)
        & (first == ipv4::FIRST_OCTET)
        & (ipv4::HEADER_OCTETS..=packet.len()).contains(&total_octets)
        & ipv4::is_right(header)
        & !ipv4::is_martian_source(Ipv4Addr::new(s0, s1, s2, s3));
    expected.then_some(ethernet::HEADER_OCTETS..ethernet::HEADER_OCTETS + total_octets)
}
