//! The headers of a set's copies on one link in the form that nearly all have:
//! Ethernet and IPv4 in front, 64 octets, kept and written as eight words.
//! [`super::decapsulation`] is what reads them at the other end.
//!
//! What differs between the packets of a burst is made once for all links
//! ([`Inner`]), and what differs between links was made before: a few additions
//! are left for each copy.

use crate::checksum;

use super::decapsulation::HEADERS_OCTETS;
use super::encapsulation::{HA_OCTETS, Template};
use super::{ethernet, ha, ipv4, udp};

const WORDS: usize = HEADERS_OCTETS / 8;

const IPV4: usize = ethernet::HEADER_OCTETS;
const UDP: usize = IPV4 + ipv4::HEADER_OCTETS;
const HA: usize = UDP + udp::HEADER_OCTETS + 8;
const EPOCH: usize = HA + 2;

/// One inner packet, as the headers of all its copies show it: octets in their
/// places in a word, and sums in the machine's order (RFC 1071, 2 B).
#[derive(Clone, Copy, Debug, Default)]
pub struct Inner {
    total_length: u64,
    udp_length: u64,
    flags: u64,
    /// Number and PPP protocol.
    number: u64,
    /// Of what the IPv4 header checksum covers.
    ipv4_sum: u32,
    /// Of what the UDP checksum covers.
    udp_sum: u32,
}

impl Inner {
    /// `sum` is [`simd::sum`] of the packet; 0 when no copy has a UDP checksum.
    /// `None` for a packet that is too long for IPv4.
    #[inline(always)]
    #[must_use]
    pub fn new(octets: usize, sum: u64, protocol: u16, flags: u8, number: u64) -> Option<Self> {
        let total_length = u16::try_from(HA_OCTETS.checked_add(octets)?).ok()?;
        let [t0, t1] = total_length.to_be_bytes();
        let [l0, l1] = (total_length - ipv4::HEADER_OCTETS as u16).to_be_bytes();
        let protocol = u64::from(protocol);
        let number = ((number & ha::NUMBER_MASK) << 16 | protocol).to_be();
        let udp_length = u64::from(u16::from_ne_bytes([l0, l1]));
        let flags_word = u64::from(u16::from_ne_bytes([0, flags]));
        // The length stands in the pseudo-header too.
        let sum = sum + 2 * udp_length + flags_word + (number >> 32) + (number & 0xffff_ffff);
        let sum = (sum >> 32) + (sum & 0xffff_ffff);
        let sum = (sum >> 16) + (sum & 0xffff);
        Some(Self {
            total_length: u64::from_ne_bytes([t0, t1, 0, 0, 0, 0, 0, 0]),
            udp_length: u64::from_ne_bytes([0, 0, 0, 0, 0, 0, l0, l1]),
            flags: u64::from_ne_bytes([0, 0, 0, flags, 0, 0, 0, 0]),
            number,
            ipv4_sum: u32::from(u16::from_ne_bytes([t0, t1])),
            udp_sum: sum as u32,
        })
    }
}

/// Headers of one link, zero where packets differ.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct HaFrame {
    words: [u64; WORDS],
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
        headers[EPOCH..EPOCH + 4].copy_from_slice(&epoch.to_be_bytes());
        let addresses = &headers[IPV4 + 12..UDP];
        let pseudo_header = simd::sum(addresses) + simd::sum(&[0, ipv4::PROTOCOL_UDP]);
        // Short enough for 32 bits.
        let udp_sum = (pseudo_header + simd::sum(&headers[UDP..])) % 0xffff;
        let ipv4_sum = simd::sum(&headers[IPV4..UDP]) % 0xffff;
        let mut words = [0; WORDS];
        for (word, octets) in words.iter_mut().zip(headers.as_chunks().0) {
            *word = u64::from_ne_bytes(*octets);
        }
        Some(Self {
            words,
            ipv4_sum: ipv4_sum as u32,
            udp_sum: template.has_udp_checksum().then_some(udp_sum as u32),
        })
    }

    /// Writes the headers of one copy.
    #[inline(always)]
    pub fn write(&self, header: &mut [u8; HEADERS_OCTETS], inner: &Inner, identification: u16) {
        let [i0, i1] = identification.to_be_bytes();
        let identification = u32::from(u16::from_ne_bytes([i0, i1]));
        let ipv4_checksum = checksum::finish(self.ipv4_sum + inner.ipv4_sum + identification);
        let [c0, c1] = ipv4_checksum.to_ne_bytes();
        let udp_checksum = self
            .udp_sum
            .map_or(0, |sum| udp::finish(sum + inner.udp_sum));
        let [u0, u1] = udp_checksum.to_ne_bytes();
        let [w0, w1, w2, w3, w4, w5, w6, _] = self.words;
        let words = [
            w0,
            w1,
            w2 | inner.total_length | u64::from_ne_bytes([0, 0, i0, i1, 0, 0, 0, 0]),
            w3 | u64::from_ne_bytes([c0, c1, 0, 0, 0, 0, 0, 0]),
            w4 | inner.udp_length,
            w5 | u64::from_ne_bytes([u0, u1, 0, 0, 0, 0, 0, 0]),
            w6 | inner.flags,
            inner.number,
        ];
        let (chunks, _) = header.as_chunks_mut();
        for (chunk, word) in chunks.iter_mut().zip(words) {
            *chunk = word.to_ne_bytes();
        }
    }
}
