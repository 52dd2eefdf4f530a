//! The session stage of PPPoE (RFC 2516, 4 and 6).

use std::ops::Range;

use crate::counters::Drop;

use super::{ethernet, ppp};

/// Octets of a header, which follows Ethernet's.
pub const HEADER_OCTETS: usize = 6;

/// By how many octets a frame is longer than one with the same IP packet in
/// Ethernet: the header, and the PPP protocol.
pub const OVERHEAD_OCTETS: usize = HEADER_OCTETS + ppp::PROTOCOL_OCTETS;

/// Version 1, type 1.
const VERSION_AND_TYPE: u8 = 0x11;
/// The code of a frame with a PPP frame in it.
const CODE_SESSION: u8 = 0;

/// A frame of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pppoe {
    pub session: u16,
    /// Of the PPP frame.
    pub protocol: u16,
    /// Where the PPP frame's information field lies in the Ethernet frame. What
    /// follows is padding.
    pub information_range: Range<usize>,
}

/// Reads a frame with [`ethernet::ETHER_TYPE_PPPOE_SESSION`], from its Ethernet header on.
///
/// # Errors
/// [`Drop::Truncated`] when it ends before the header does, [`Drop::BadPppoe`] when
/// version, type, code or length is wrong or the PPP frame has no protocol.
pub fn parse(frame: &[u8]) -> Result<Pppoe, Drop> {
    const START: usize = ethernet::HEADER_OCTETS + HEADER_OCTETS;
    let header = frame
        .get(ethernet::HEADER_OCTETS..START)
        .ok_or(Drop::Truncated)?;
    let &[version_and_type, code, s0, s1, l0, l1] = header.first_chunk().ok_or(Drop::Truncated)?;
    if version_and_type != VERSION_AND_TYPE || code != CODE_SESSION {
        return Err(Drop::BadPppoe);
    }
    let end = START + usize::from(u16::from_be_bytes([l0, l1]));
    let ppp = frame.get(START..end).ok_or(Drop::BadPppoe)?;
    let (protocol, octets) = ppp::protocol(ppp).ok_or(Drop::BadPppoe)?;
    Ok(Pppoe {
        session: u16::from_be_bytes([s0, s1]),
        protocol,
        information_range: START + octets..end,
    })
}

/// EtherType, header and PPP protocol, as they stand before an IP packet with this
/// EtherType and of so many octets; `None` for anything else and for what is too long.
#[inline]
#[must_use]
pub fn header(
    session: u16,
    ether_type: u16,
    packet_octets: usize,
) -> Option<[u8; ethernet::TYPE_OCTETS + OVERHEAD_OCTETS]> {
    let protocol = match ether_type {
        ethernet::ETHER_TYPE_IPV4 => ppp::PROTOCOL_IPV4,
        ethernet::ETHER_TYPE_IPV6 => ppp::PROTOCOL_IPV6,
        _ => return None,
    };
    let length = u16::try_from(ppp::PROTOCOL_OCTETS + packet_octets).ok()?;
    let [t0, t1] = ethernet::ETHER_TYPE_PPPOE_SESSION.to_be_bytes();
    let [s0, s1] = session.to_be_bytes();
    let [l0, l1] = length.to_be_bytes();
    let [p0, p1] = protocol.to_be_bytes();
    Some([
        t0,
        t1,
        VERSION_AND_TYPE,
        CODE_SESSION,
        s0,
        s1,
        l0,
        l1,
        p0,
        p1,
    ])
}

/// The EtherType that an IP packet has outside of PPP; `None` of other protocols.
#[must_use]
pub fn ether_type(protocol: u16) -> Option<u16> {
    match protocol {
        ppp::PROTOCOL_IPV4 => Some(ethernet::ETHER_TYPE_IPV4),
        ppp::PROTOCOL_IPV6 => Some(ethernet::ETHER_TYPE_IPV6),
        _ => None,
    }
}
