//! Recognises a frame with an IPv4 packet for a router, of the form that nearly
//! all have. Every other form, and everything that is wrong, is left to the
//! parsers, which know the names of faults.

use std::net::Ipv4Addr;

use super::decapsulation::{chunk, is_as_expected, without, words};
use super::{ethernet, ipv4};

const HEADERS_OCTETS: usize = IPV4 + ipv4::HEADER_OCTETS;
const ETHER_TYPE: usize = 12;
const IPV4: usize = ethernet::HEADER_OCTETS;
const DESTINATION: usize = IPV4 + 16;

/// Up to IPv4's type of service.
const START_OCTETS: usize = IPV4 + 2;
type Start = [u64; START_OCTETS / 8];

/// The bits that do not vary: not who sent the frame, and not the type of service.
const FIXED: Start = words(&without::<START_OCTETS>(&[
    (6, ETHER_TYPE),
    (IPV4 + 1, START_OCTETS),
]));

/// What a frame with such a packet begins with, for comparison: the hardware address that
/// it is to, EtherType and IPv4's first octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameStart(Start);

impl From<[u8; 6]> for FrameStart {
    fn from(mac: [u8; 6]) -> Self {
        let mut start = [0; START_OCTETS];
        start[..mac.len()].copy_from_slice(&mac);
        start[ETHER_TYPE..IPV4].copy_from_slice(&ethernet::ETHER_TYPE_IPV4.to_be_bytes());
        start[IPV4] = ipv4::FIRST_OCTET;
        Self(words(&start))
    }
}

/// What stands where an IPv4 packet in a frame has its destination.
#[inline(always)]
#[must_use]
pub fn destination(frame: &[u8]) -> Option<Ipv4Addr> {
    let head: &[u8; HEADERS_OCTETS] = frame.first_chunk()?;
    Some(Ipv4Addr::from(*chunk(head, DESTINATION)))
}

/// The destination of the packet in a frame that starts like this, and where
/// the packet ends. Its header is right, without options, and its source may be
/// forwarded from.
#[inline(always)]
#[must_use]
pub fn recognise(frame: &[u8], start: &FrameStart) -> Option<(Ipv4Addr, usize)> {
    const LEAST_OCTETS: usize = ipv4::HEADER_OCTETS;
    let head: &[u8; HEADERS_OCTETS] = frame.first_chunk()?;
    let total_octets = usize::from(u16::from_be_bytes(*chunk(head, IPV4 + 2)));
    // All at once: hardly a frame fails here. A packet that is too short is above all others.
    let is_right = is_as_expected(head, &start.0, &FIXED)
        & (total_octets.wrapping_sub(LEAST_OCTETS) <= frame.len() - IPV4 - LEAST_OCTETS)
        & !ipv4::is_martian_source(Ipv4Addr::from(*chunk(head, IPV4 + 12)))
        & ipv4::is_right(chunk(head, IPV4));
    if !is_right {
        return None;
    }
    let destination = Ipv4Addr::from(*chunk(head, DESTINATION));
    Some((destination, IPV4 + total_octets))
}
