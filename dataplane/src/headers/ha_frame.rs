//! The headers of a set's copies on one link in the form that nearly all have:
//! Ethernet and IPv4 in front, no pieces, 64 octets that are kept and written at once.
//! [`super::decapsulation`] is what reads them at the other end.
//!
//! What differs between the packets of a burst is made once for all links
//! ([`Inner`]), and what differs between links was made before: a few additions
//! are left for each copy.

use crate::checksum;

use super::decapsulation::HEADERS_OCTETS;
use super::encapsulation::{HA_OCTETS, Template};
use super::{ethernet, ipv4, udp};

const IPV4: usize = ethernet::HEADER_OCTETS;
const TOTAL_LENGTH: usize = IPV4 + 2;
const IPV4_CHECKSUM: usize = IPV4 + 10;
const ADDRESSES: usize = IPV4 + 12;
const UDP: usize = IPV4 + ipv4::HEADER_OCTETS;
const UDP_LENGTH: usize = UDP + 4;
const HA: usize = UDP + udp::HEADER_OCTETS + 8;
const EPOCH: usize = HA + 2;
const NUMBER: usize = HA + 6;

/// One inner packet, as the headers of all its copies show it: octets in their
/// places in a word, and sums in the machine's order (RFC 1071, 2 B).
#[derive(Clone, Copy, Debug, Default)]
pub struct Inner {
    /// IPv4's total length, before the identification.
    total_length: u32,
    /// UDP's length, before the checksum.
    udp_length: u32,
    /// Of what the UDP checksum covers and differs between packets.
    udp_sum: u32,
    /// Number and PPP protocol.
    number: [u8; 8],
}

impl Inner {
    /// A packet of so many octets and its sum in the machine's order ([`simd::sum`]).
    /// `None` for a packet that is too long for IPv4.
    #[inline(always)]
    #[must_use]
    pub fn new(octets: usize, sum: u64, protocol: u16, number: u64) -> Option<Self> {
        const MOST: usize = u16::MAX as usize - HA_OCTETS;
        if octets > MOST {
            return None;
        }
        let total_length = (HA_OCTETS + octets) as u32;
        let udp_length = first_of_word(total_length - ipv4::HEADER_OCTETS as u32);
        let number = (number << 16 | u64::from(protocol)).to_be();
        // The length stands in the pseudo-header too.
        let sum = sum + 2 * u64::from(udp_length) + (number >> 32) + (number & 0xffff_ffff);
        let sum = (sum >> 32) + (sum & 0xffff_ffff);
        let sum = (sum >> 16) + (sum & 0xffff);
        Some(Self {
            total_length: first_of_word(total_length),
            udp_length,
            udp_sum: sum as u32,
            number: number.to_ne_bytes(),
        })
    }
}

/// A word whose first two octets are this field of 16 bits.
#[inline(always)]
fn first_of_word(field: u32) -> u32 {
    (field << 16).to_be()
}

/// Headers of one link, zero where packets differ.
#[derive(Clone, Copy, Debug)]
pub struct HaFrame {
    headers: [u8; HEADERS_OCTETS],
    /// Sums in the machine's order.
    ipv4_sum: u32,
    /// `None` to send no checksum.
    udp_sum: Option<u32>,
}

impl HaFrame {
    /// The headers of a template behind this Ethernet header. `None` for another
    /// form: plain, or over IPv6.
    #[must_use]
    pub fn new(
        template: &Template,
        ethernet: &[u8; ethernet::HEADER_OCTETS],
        epoch: u32,
    ) -> Option<Self> {
        let mut headers = [0; HEADERS_OCTETS];
        headers[..IPV4].copy_from_slice(ethernet);
        headers[IPV4..].copy_from_slice(template.ha_over_ipv4()?);
        headers[EPOCH..NUMBER].copy_from_slice(&epoch.to_be_bytes());
        let pseudo_header =
            simd::sum(&headers[ADDRESSES..UDP]) + simd::sum(&[0, ipv4::PROTOCOL_UDP]);
        // Short enough to be added to.
        let udp_sum = (pseudo_header + simd::sum(&headers[UDP..])) % 0xffff;
        let ipv4_sum = simd::sum(&headers[IPV4..UDP]) % 0xffff;
        Some(Self {
            headers,
            ipv4_sum: ipv4_sum as u32,
            udp_sum: template.has_udp_checksum().then_some(udp_sum as u32),
        })
    }

    /// Writes the headers of one copy.
    #[inline(always)]
    pub fn write(&self, header: &mut [u8; HEADERS_OCTETS], inner: &Inner, identification: u16) {
        let total_length = inner.total_length | u32::from(identification).to_be();
        // A word is worth the sum of its halves, as is what is carried out of it.
        let (ipv4_sum, carry) = self.ipv4_sum.overflowing_add(total_length);
        let ipv4_checksum = checksum::finish(ipv4_sum + u32::from(carry));
        let udp_sum = self.udp_sum.map(|sum| sum + inner.udp_sum);
        let [c0, c1] = udp_sum.map_or(0, udp::finish).to_ne_bytes();
        let udp_length = inner.udp_length | u32::from_ne_bytes([0, 0, c0, c1]);
        *header = self.headers;
        put(header, TOTAL_LENGTH, total_length.to_ne_bytes());
        put(header, IPV4_CHECKSUM, ipv4_checksum.to_ne_bytes());
        put(header, UDP_LENGTH, udp_length.to_ne_bytes());
        put(header, NUMBER, inner.number);
    }
}

/// Writes octets at a place that is in the header.
#[inline(always)]
fn put<const N: usize>(header: &mut [u8; HEADERS_OCTETS], at: usize, octets: [u8; N]) {
    header[at..at + N].copy_from_slice(&octets);
}
