//! What the workers need to know of ICMPv6: which messages are neighbour
//! discovery (RFC 4861, 4).

use std::ops::RangeInclusive;

use super::ipv6::{self, Ipv6};

/// Router and neighbour solicitation and advertisement, and redirect.
pub const NEIGHBOUR_DISCOVERY: RangeInclusive<u8> = 133..=137;

/// Hop limit of a message from a neighbour, which no router has forwarded (RFC 4861, 7.1).
pub const NEIGHBOUR_DISCOVERY_HOP_LIMIT: u8 = 255;

/// Whether the `packet` with this header is a message of neighbour discovery.
/// None has extension headers: nobody sends them, and with a fragment header
/// they are refused (RFC 6980).
#[inline]
#[must_use]
pub fn is_neighbour_discovery(header: &Ipv6, packet: &[u8]) -> bool {
    header.next_header == ipv6::NEXT_ICMPV6
        && packet
            .get(ipv6::HEADER_OCTETS)
            .is_some_and(|kind| NEIGHBOUR_DISCOVERY.contains(kind))
}
