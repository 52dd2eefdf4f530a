//! UDP (RFC 768).

use std::net::SocketAddrV4;
use std::ops::Range;

use crate::checksum;
use crate::counters::Drop;

use super::ipv4::{Ipv4, PROTOCOL_UDP};

pub const HEADER_OCTETS: usize = 8;

/// The port of L2TP (RFC 2661, 8.1).
pub const PORT_L2TP: u16 = 1701;

/// A header whose length, and checksum if it was looked at, were right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Udp {
    pub source_port: u16,
    pub destination_port: u16,
    /// Where the payload lies in the IPv4 packet.
    pub payload_range: Range<usize>,
}

/// Reads the UDP header of the unfragmented `packet` that starts with the
/// header `ipv4`, and checks length and checksum (when there is one).
///
/// # Errors
/// [`Drop::Truncated`] when the packet ends before the UDP header does,
/// [`Drop::BadUdp`] when the length or the checksum is wrong.
#[inline]
pub fn parse(ipv4: &Ipv4, packet: &[u8]) -> Result<Udp, Drop> {
    let (udp, datagram) = split(ipv4, packet)?;
    if datagram[6..8] != [0, 0] {
        let sum = checksum::pseudo_header_sum(
            ipv4.source.octets(),
            ipv4.destination.octets(),
            PROTOCOL_UDP,
            datagram.len() as u16,
        ) + checksum::sum(datagram);
        if checksum::finish(sum) != 0 {
            return Err(Drop::BadUdp);
        }
    }
    Ok(udp)
}

/// The same as [`parse`] for a packet whose UDP checksum the port has found
/// right: it is not looked at again.
///
/// # Errors
/// As [`parse`].
#[inline]
pub fn parse_checked_by_port(ipv4: &Ipv4, packet: &[u8]) -> Result<Udp, Drop> {
    split(ipv4, packet).map(|(udp, _)| udp)
}

/// Finds the datagram: its header's fields, and its octets (at least eight,
/// at most 65 515).
#[inline]
fn split<'a>(ipv4: &Ipv4, packet: &'a [u8]) -> Result<(Udp, &'a [u8]), Drop> {
    let datagram = packet
        .get(ipv4.header_octets..ipv4.total_octets)
        .ok_or(Drop::Truncated)?;
    let &[s0, s1, d0, d1, l0, l1, _, _] = datagram.first_chunk().ok_or(Drop::Truncated)?;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    if length < HEADER_OCTETS {
        return Err(Drop::BadUdp);
    }
    // Octets past the UDP length belong to nobody; RFC 768 allows them.
    let datagram = datagram.get(..length).ok_or(Drop::BadUdp)?;
    let udp = Udp {
        source_port: u16::from_be_bytes([s0, s1]),
        destination_port: u16::from_be_bytes([d0, d1]),
        payload_range: ipv4.header_octets + HEADER_OCTETS..ipv4.header_octets + length,
    };
    Ok((udp, datagram))
}

/// A checksum as it is sent: one that comes out as 0 goes as ffff, since 0
/// says that there is none (RFC 768).
#[inline]
pub(super) fn finish(sum: u32) -> u16 {
    match checksum::finish(sum) {
        0 => 0xffff,
        checksum => checksum,
    }
}

/// The header of a datagram with this payload, which fits an IPv4 packet.
pub(super) fn header(
    source: SocketAddrV4,
    destination: SocketAddrV4,
    payload: &[u8],
) -> [u8; HEADER_OCTETS] {
    let length = (HEADER_OCTETS + payload.len()) as u16;
    let [s0, s1] = source.port().to_be_bytes();
    let [d0, d1] = destination.port().to_be_bytes();
    let [l0, l1] = length.to_be_bytes();
    let sum = checksum::pseudo_header_sum(
        source.ip().octets(),
        destination.ip().octets(),
        PROTOCOL_UDP,
        length,
    ) + checksum::sum(&[s0, s1, d0, d1, l0, l1])
        + checksum::sum(payload);
    let [c0, c1] = finish(sum).to_be_bytes();
    [s0, s1, d0, d1, l0, l1, c0, c1]
}
