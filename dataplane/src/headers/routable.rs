//! Recognises a frame with an IPv4 packet for a router, of the form that nearly
//! all have. Every other form, and everything that is wrong, is left to the
//! parsers, which know the names of faults.

use std::net::Ipv4Addr;

use super::decapsulation::chunk;
use super::{ethernet, ipv4};

const HEADERS_OCTETS: usize = IPV4 + ipv4::HEADER_OCTETS;
const ETHER_TYPE: usize = 12;
const IPV4: usize = ethernet::HEADER_OCTETS;
const DESTINATION: usize = IPV4 + 16;

/// EtherType and the first octet of IPv4, with anything behind.
const KIND_MASK: u32 = u32::from_ne_bytes([0xff, 0xff, 0xff, 0]);
const KIND: u32 = {
    let [t0, t1] = ethernet::ETHER_TYPE_IPV4.to_be_bytes();
    u32::from_ne_bytes([t0, t1, ipv4::FIRST_OCTET, 0])
};

/// A hardware address as frames begin with it, in a word for comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacWord(u64);

impl MacWord {
    #[inline(always)]
    fn of(octets: &[u8; 8]) -> Self {
        // Without the two octets behind.
        Self(u64::from_le_bytes(*octets) << 16)
    }
}

impl From<[u8; 6]> for MacWord {
    fn from([m0, m1, m2, m3, m4, m5]: [u8; 6]) -> Self {
        Self::of(&[m0, m1, m2, m3, m4, m5, 0, 0])
    }
}

/// What stands where an IPv4 packet in a frame has its destination.
#[inline(always)]
#[must_use]
pub fn destination(frame: &[u8]) -> Option<Ipv4Addr> {
    let head: &[u8; HEADERS_OCTETS] = frame.first_chunk()?;
    Some(Ipv4Addr::from(*chunk(head, DESTINATION)))
}

/// The destination of the packet in a frame to this hardware address, and where
/// the packet ends. Its header is right, without options, and its source may be
/// forwarded from.
#[inline(always)]
#[must_use]
pub fn recognise(frame: &[u8], mac: MacWord) -> Option<(Ipv4Addr, usize)> {
    let head: &[u8; HEADERS_OCTETS] = frame.first_chunk()?;
    let kind = u32::from_ne_bytes(*chunk(head, ETHER_TYPE));
    let total_octets = usize::from(u16::from_be_bytes(*chunk(head, IPV4 + 2)));
    // All at once: hardly a frame fails here.
    let is_right = (MacWord::of(chunk(head, 0)) == mac)
        & (kind & KIND_MASK == KIND)
        & (total_octets >= ipv4::HEADER_OCTETS)
        & (total_octets <= frame.len() - IPV4)
        & !ipv4::is_martian_source(Ipv4Addr::from(*chunk(head, IPV4 + 12)))
        & ipv4::is_right(chunk(head, IPV4));
    if !is_right {
        return None;
    }
    let destination = Ipv4Addr::from(*chunk(head, DESTINATION));
    Some((destination, IPV4 + total_octets))
}
