//! VLAN tags (IEEE 802.1Q, 9).

use super::{ethernet, u16_at};

/// Octets of a tag, which stands before the EtherType.
pub const TAG_OCTETS: usize = 4;

/// Octets of an Ethernet header with one tag.
pub const HEADER_OCTETS: usize = ethernet::HEADER_OCTETS + TAG_OCTETS;

/// No VLAN: the tag is for its priority.
pub const NO_IDENTIFIER: u16 = 0;

/// Identifiers that a VLAN may have.
pub const IDENTIFIERS: std::ops::RangeInclusive<u16> = 1..=4094;

/// The VLAN identifier of a frame with [`ethernet::ETHER_TYPE_VLAN`]; `None` when it
/// ends before the EtherType behind the tag.
#[inline]
#[must_use]
pub fn identifier(frame: &[u8]) -> Option<u16> {
    let header: &[u8; HEADER_OCTETS] = frame.first_chunk()?;
    u16_at(header, ethernet::HEADER_OCTETS).map(|control| control & 0x0fff)
}

/// A tag without priority.
#[must_use]
pub fn tag(identifier: u16) -> [u8; TAG_OCTETS] {
    let [t0, t1] = ethernet::ETHER_TYPE_VLAN.to_be_bytes();
    let [c0, c1] = (identifier & 0x0fff).to_be_bytes();
    [t0, t1, c0, c1]
}
