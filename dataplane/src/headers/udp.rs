//! UDP (RFC 768), over IPv6 with a checksum in every packet (RFC 8200, 8.1).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use crate::checksum;
use crate::counters::Drop;

use super::ipv4::{Ipv4, PROTOCOL_UDP};
use super::ipv6::Ipv6;

pub const HEADER_OCTETS: usize = 8;

/// The port of L2TP (RFC 2661, 8.1).
pub const PORT_L2TP: u16 = 1701;

/// The ports of DHCP (RFC 2131, 4.1) and DHCPv6 (RFC 8415, 7.2).
pub const PORT_DHCP_SERVER: u16 = 67;
pub const PORT_DHCP_CLIENT: u16 = 68;
pub const PORT_DHCPV6_SERVER: u16 = 547;

/// A header whose length, and checksum if it was looked at, were right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Udp {
    pub source_port: u16,
    pub destination_port: u16,
    /// Where the payload lies in the IP packet.
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
    let (udp, datagram) = split(ipv4.header_octets..ipv4.total_octets, packet)?;
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
    split(ipv4.header_octets..ipv4.total_octets, packet).map(|(udp, _)| udp)
}

/// Reads the UDP header at `offset` of the unfragmented `packet` that starts
/// with the header `ipv6`, and checks length and checksum.
///
/// # Errors
/// As [`parse`], and [`Drop::BadUdp`] when there is no checksum.
#[inline]
pub fn parse_over_ipv6(ipv6: &Ipv6, offset: usize, packet: &[u8]) -> Result<Udp, Drop> {
    let (udp, datagram) = split(offset..ipv6.total_octets, packet)?;
    let sum = pseudo_header_sum_ipv6(ipv6.source, ipv6.destination, datagram.len() as u16)
        + checksum::sum(datagram);
    if datagram[6..8] == [0, 0] || checksum::finish(sum) != 0 {
        return Err(Drop::BadUdp);
    }
    Ok(udp)
}

/// The same as [`parse_over_ipv6`] for a packet whose UDP checksum the port has
/// found right: it is not looked at again, but that it is there.
///
/// # Errors
/// As [`parse_over_ipv6`].
#[inline]
pub fn parse_over_ipv6_checked_by_port(
    ipv6: &Ipv6,
    offset: usize,
    packet: &[u8],
) -> Result<Udp, Drop> {
    let (udp, datagram) = split(offset..ipv6.total_octets, packet)?;
    if datagram[6..8] == [0, 0] {
        return Err(Drop::BadUdp);
    }
    Ok(udp)
}

fn pseudo_header_sum_ipv6(source: Ipv6Addr, destination: Ipv6Addr, length: u16) -> u32 {
    let (source, destination) = (source.octets(), destination.octets());
    checksum::pseudo_header_sum_ipv6(&source, &destination, PROTOCOL_UDP, length)
}

/// The sum of the pseudo-header of a datagram between two addresses of one
/// family; of two families there is none, and the sum is 0.
pub(super) fn pseudo_header_sum(source: IpAddr, destination: IpAddr, length: u16) -> u32 {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            checksum::pseudo_header_sum(source.octets(), destination.octets(), PROTOCOL_UDP, length)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            pseudo_header_sum_ipv6(source, destination, length)
        }
        _ => 0,
    }
}

/// Finds the datagram: its header's fields, and its octets (at least eight,
/// at most 65 535).
#[inline]
fn split(range: Range<usize>, packet: &[u8]) -> Result<(Udp, &[u8]), Drop> {
    let start = range.start;
    let datagram = packet.get(range).ok_or(Drop::Truncated)?;
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
        payload_range: start + HEADER_OCTETS..start + length,
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

/// The header of a datagram with this payload, which fits a packet between
/// these two, who are of one family.
pub(crate) fn header(
    source: SocketAddr,
    destination: SocketAddr,
    payload: &[u8],
) -> [u8; HEADER_OCTETS] {
    let length = (HEADER_OCTETS + payload.len()) as u16;
    let [s0, s1] = source.port().to_be_bytes();
    let [d0, d1] = destination.port().to_be_bytes();
    let [l0, l1] = length.to_be_bytes();
    let sum = pseudo_header_sum(source.ip(), destination.ip(), length)
        + checksum::sum(&[s0, s1, d0, d1, l0, l1])
        + checksum::sum(payload);
    let [c0, c1] = finish(sum).to_be_bytes();
    [s0, s1, d0, d1, l0, l1, c0, c1]
}
