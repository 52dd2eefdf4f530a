//! Recognises a plain data message with an IPv4 packet, of the forms that nearly
//! all have: over IPv4, with or without a length, with or without address and
//! control, nothing else. Every other form, and everything that is wrong, is left
//! to the parsers, which know the names of faults.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use crate::checksum;

use super::decapsulation::chunk;
use super::{ethernet, ipv4, l2tp, ppp, udp};

const IPV4: usize = ethernet::HEADER_OCTETS;
const UDP: usize = IPV4 + ipv4::HEADER_OCTETS;
const L2TP: usize = UDP + udp::HEADER_OCTETS;
/// Tunnel and session id, when there is no length before them.
const IDS: usize = L2TP + 2;
const PPP: usize = L2TP + 6;
const LENGTH_OCTETS: usize = 2;

/// With the shortest header and an inner header.
const LEAST_OCTETS: usize = PPP + ppp::PROTOCOL_OCTETS + ipv4::HEADER_OCTETS;

/// More fragments, and the fragment offset.
const FRAGMENT: u16 = 0x3fff;

/// Flags that are neither L nor P, and the version.
const FORM: u16 = l2tp::FLAG_CONTROL | l2tp::FLAG_SEQUENCE | l2tp::FLAG_OFFSET | l2tp::VERSION_MASK;

/// The protocol of IPv4 behind address and control, and without them before the
/// first octet of the packet.
const IPV4_BEHIND_ADDRESS: u32 = u32::from_be_bytes([0xff, 0x03, 0x00, 0x21]);

/// What a recognised message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain {
    /// Tunnel and session id, as one number.
    pub ids: u32,
    pub source: SocketAddr,
    pub destination: SocketAddr,
    /// Octets of the frame before the inner packet, which ends with the frame.
    pub headers_octets: usize,
    /// Of the inner packet.
    pub inner_destination: Ipv4Addr,
}

/// Tunnel and session id of a frame that may be such a message, as one number.
#[inline(always)]
#[must_use]
pub fn ids(frame: &[u8]) -> Option<u32> {
    let head: &[u8; LEAST_OCTETS] = frame.first_chunk()?;
    let flags = u16::from_be_bytes(*chunk(head, L2TP));
    let port = u16::from_be_bytes(*chunk(head, UDP + 2));
    let is_plain = (flags & FORM == l2tp::VERSION) & (port == udp::PORT_L2TP);
    is_plain.then_some(if flags & l2tp::FLAG_LENGTH == 0 {
        u32::from_be_bytes(*chunk(head, IDS))
    } else {
        u32::from_be_bytes(*chunk(head, IDS + LENGTH_OCTETS))
    })
}

/// Reads a frame whose IPv4 header was found right, has no options, and says that
/// the packet ends with the frame. `udp_checked` says whether the port has found
/// the UDP checksum right.
#[inline(always)]
#[must_use]
pub fn recognise(frame: &[u8], udp_checked: impl FnOnce() -> bool) -> Option<Plain> {
    let head: &[u8; LEAST_OCTETS] = frame.first_chunk()?;
    let ids = ids(frame)?;
    let has_length = u16::from_be_bytes(*chunk(head, L2TP)) & l2tp::FLAG_LENGTH != 0;
    let udp_octets = frame.len() - UDP;
    let length = usize::from(u16::from_be_bytes(*chunk(head, IDS)));
    let is_whole = (head[IPV4 + 9] == ipv4::PROTOCOL_UDP)
        & (u16::from_be_bytes(*chunk(head, IPV4 + 6)) & FRAGMENT == 0)
        & (usize::from(u16::from_be_bytes(*chunk(head, UDP + 4))) == udp_octets)
        & (!has_length | (length == udp_octets - udp::HEADER_OCTETS));
    if !is_whole {
        return None;
    }
    let ppp = PPP + usize::from(has_length) * LENGTH_OCTETS;
    let word = u32::from_be_bytes(*frame.get(ppp..)?.first_chunk()?);
    let headers_octets = if word == IPV4_BEHIND_ADDRESS {
        ppp + ppp::ADDRESS_CONTROL.len() + ppp::PROTOCOL_OCTETS
    } else if word >> 16 == u32::from(ppp::PROTOCOL_IPV4) {
        ppp + ppp::PROTOCOL_OCTETS
    } else {
        return None;
    };
    let packet = frame.get(headers_octets..)?;
    if !ipv4::is_whole_and_right(packet) || !udp_is_right(frame, head, udp_checked) {
        return None;
    }
    let (_, inner_destination) = ipv4::first_and_destination(packet)?;
    let end = |address: usize, port: usize| {
        let ip = Ipv4Addr::from(*chunk(head, address));
        let port = u16::from_be_bytes(*chunk(head, port));
        SocketAddr::V4(SocketAddrV4::new(ip, port))
    };
    Some(Plain {
        ids,
        source: end(IPV4 + 12, UDP),
        destination: end(IPV4 + 16, UDP + 2),
        headers_octets,
        inner_destination,
    })
}

/// Whether the UDP checksum is right, or absent.
#[inline(always)]
fn udp_is_right(frame: &[u8], head: &[u8; LEAST_OCTETS], checked: impl FnOnce() -> bool) -> bool {
    if *chunk(head, UDP + 6) == [0, 0] || checked() {
        return true;
    }
    let half = |at| u64::from(u32::from_ne_bytes(*chunk(head, at)));
    let length = u64::from(u16::from_ne_bytes(*chunk(head, UDP + 4)));
    let protocol = u64::from(u16::from_ne_bytes([0, ipv4::PROTOCOL_UDP]));
    let pseudo_header = half(IPV4 + 12) + half(IPV4 + 16) + length + protocol;
    checksum::is_right(pseudo_header + simd::sum(&frame[UDP..]))
}
