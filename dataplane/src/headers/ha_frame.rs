//! The headers of a set's copies on one link in the form that nearly all have:
//! Ethernet and IPv4 in front, no pieces, 64 octets that are kept and written at once.
//! [`super::decapsulation`] is what reads them at the other end.
//!
//! What differs between the packets of a burst is made for all of them at once
//! ([`BurstFields`]), field by field so that the processor does several packets with
//! one instruction; what differs between links was made before.

use dpdk::BURST;

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

/// A value for each packet of a burst.
type Each<T> = [T; BURST];

/// What differs between the headers of a burst's copies: octets in their places in
/// a word, and sums in the machine's order (RFC 1071, 2 B).
#[derive(Clone, Debug, Default)]
pub struct BurstFields {
    /// How many packets there are.
    count: usize,
    octets: Each<u32>,
    sums: Each<u64>,
    protocols: Each<u32>,
    /// Of all links: IPv4's total length, before the identification.
    total_length: Each<u32>,
    /// UDP's length, before the checksum.
    udp_length: Each<u32>,
    /// Of what the UDP checksum covers and differs between packets.
    udp_sum: Each<u32>,
    /// The number, and the PPP protocol behind it.
    numbers: Each<u64>,
    /// Of one link: total length and identification.
    ipv4_length: Each<u32>,
    ipv4_checksum: Each<u32>,
    /// UDP's length and checksum.
    udp: Each<u32>,
}

impl BurstFields {
    /// What fits IPv4 at most, octets.
    pub const MOST_OCTETS: usize = u16::MAX as usize - HA_OCTETS;

    /// Says of the packet in this place of the burst how long it is (at most
    /// [`MOST_OCTETS`](Self::MOST_OCTETS), or it has no such headers) and its sum in the
    /// machine's order ([`simd::sum`]).
    #[inline(always)]
    pub fn describe(&mut self, place: usize, octets: usize, sum: u64) {
        *at_mut(&mut self.octets, place) = octets as u32;
        self.set_sum(place, sum);
    }

    /// Says which sum the packet in this place has, in the machine's order ([`simd::sum`]).
    #[inline(always)]
    pub fn set_sum(&mut self, place: usize, sum: u64) {
        *at_mut(&mut self.sums, place) = sum;
    }

    /// Says which PPP protocol the packet in this place is of.
    #[inline(always)]
    pub fn set_protocol(&mut self, place: usize, protocol: u16) {
        *at_mut(&mut self.protocols, place) = protocol.into();
    }

    /// Says that all packets are of one PPP protocol.
    #[inline(always)]
    pub fn set_protocols(&mut self, protocol: u16) {
        self.protocols = [protocol.into(); BURST];
    }

    /// What was said last to be the sum of the packet in this place.
    #[inline]
    #[must_use]
    pub fn sum(&self, place: usize) -> u64 {
        *at(&self.sums, place)
    }

    /// Makes what the headers show of the first `count` packets, which were
    /// described and are numbered from `first_number` on.
    #[inline(always)]
    pub fn show(&mut self, count: usize, first_number: u64) {
        self.count = count;
        for_each(
            count,
            Showing {
                fields: self,
                first_number,
            },
        );
    }
}

/// Work on the packets in the first places of a burst.
trait OnPlaces {
    /// Does it in so many places.
    fn on(self, places: usize);
}

/// [`BurstFields::show`].
struct Showing<'a> {
    fields: &'a mut BurstFields,
    first_number: u64,
}

impl OnPlaces for Showing<'_> {
    #[inline(always)]
    fn on(self, places: usize) {
        let Self {
            fields,
            first_number,
        } = self;
        let (first_high, first_low) = ((first_number >> 16) as u32, first_number as u32 & 0xffff);
        for place in 0..places {
            let total_length = fields.octets[place] + HA_OCTETS as u32;
            let udp_length = first_of_word(total_length - ipv4::HEADER_OCTETS as u32);
            let low = first_low + place as u32;
            let high = first_high.wrapping_add(low >> 16).to_be();
            let low = (low << 16 | fields.protocols[place]).to_be();
            fields.total_length[place] = first_of_word(total_length);
            fields.udp_length[place] = udp_length;
            fields.numbers[place] = word_of_two(high, low);
            // The length stands in the pseudo-header too.
            fields.udp_sum[place] = 2 * udp_length + halves(high) + halves(low);
        }
        for place in 0..places {
            let sum = fields.sums[place];
            let sum = (sum >> 32) + (sum & 0xffff_ffff);
            fields.udp_sum[place] += ((sum >> 16) + (sum & 0xffff)) as u32;
        }
    }
}

/// Does work on the first `count` packets: on a few one by one. For more it is done in half
/// of a burst's places or in all, whatever is in the others, each in a function of its own:
/// of loops of known length, with all registers, the compiler makes the best of vectors.
#[inline(always)]
fn for_each(count: usize, work: impl OnPlaces) {
    const FEW: usize = 4;
    const HALF: usize = BURST / 2;
    if count < FEW {
        work.on(count);
    } else if count <= HALF {
        simd::run(InPlaces::<_, HALF>(work));
    } else {
        simd::run(InPlaces::<_, BURST>(work));
    }
}

/// Work in so many places, for the processor at hand.
struct InPlaces<W, const PLACES: usize>(W);

impl<W: OnPlaces, const PLACES: usize> simd::Work for InPlaces<W, PLACES> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.0.on(PLACES);
    }
}

/// Both halves of a word together.
#[inline(always)]
fn halves(word: u32) -> u32 {
    (word >> 16) + (word & 0xffff)
}

#[inline(always)]
fn at<T>(each: &Each<T>, place: usize) -> &T {
    &each[place % BURST]
}

#[inline(always)]
fn at_mut<T>(each: &mut Each<T>, place: usize) -> &mut T {
    &mut each[place % BURST]
}

/// Two words as they lie behind each other.
#[inline(always)]
fn word_of_two(first: u32, second: u32) -> u64 {
    u64::from_le(u64::from(first.to_le()) | u64::from(second.to_le()) << 32)
}

/// A word whose first two octets are this field of 16 bits.
#[inline(always)]
fn first_of_word(field: u32) -> u32 {
    (field << 16).to_be()
}

/// A word whose last two octets are this field.
#[inline(always)]
fn second_of_word(field: u16) -> u32 {
    u32::from(field).to_be()
}

/// IPv4 identifications of a link's copies: the first, and how far the next is.
#[derive(Clone, Copy, Debug)]
pub struct Identifications {
    pub first: u16,
    pub step: u16,
}

/// Headers of one link, zero where packets differ.
#[derive(Clone, Copy, Debug)]
pub struct HaFrame {
    headers: [u8; HEADERS_OCTETS],
    /// Sums in the machine's order.
    ipv4_sum: u32,
    udp_sum: u32,
    /// The UDP checksum's place in a word with the length, or nothing to send none.
    udp_checksum_mask: u32,
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
            udp_sum: udp_sum as u32,
            udp_checksum_mask: if template.has_udp_checksum() {
                u32::from_ne_bytes([0, 0, 0xff, 0xff])
            } else {
                0
            },
        })
    }

    /// Makes what differs between the copies of a burst that was
    /// [shown](BurstFields::show) on this link.
    #[inline(always)]
    pub fn fill_in(&self, fields: &mut BurstFields, identifications: Identifications) {
        for_each(
            fields.count,
            Filling {
                frame: self,
                fields,
                identifications,
            },
        );
    }

    /// Writes the headers of the copy in this place of a burst, which were
    /// [filled in](Self::fill_in).
    #[inline(always)]
    pub fn write(&self, header: &mut [u8; HEADERS_OCTETS], fields: &BurstFields, place: usize) {
        let ipv4_checksum = *at(&fields.ipv4_checksum, place) as u16;
        *header = self.headers;
        put(
            header,
            TOTAL_LENGTH,
            at(&fields.ipv4_length, place).to_ne_bytes(),
        );
        put(header, IPV4_CHECKSUM, ipv4_checksum.to_ne_bytes());
        put(header, UDP_LENGTH, at(&fields.udp, place).to_ne_bytes());
        put(header, NUMBER, at(&fields.numbers, place).to_ne_bytes());
    }
}

/// [`HaFrame::fill_in`].
struct Filling<'a> {
    frame: &'a HaFrame,
    fields: &'a mut BurstFields,
    identifications: Identifications,
}

impl OnPlaces for Filling<'_> {
    #[inline(always)]
    fn on(self, places: usize) {
        let Self { frame, fields, .. } = self;
        let Identifications { first, step } = self.identifications;
        for place in 0..places {
            let identification = first.wrapping_add(step.wrapping_mul(place as u16));
            let length = fields.total_length[place] | second_of_word(identification);
            // A word is worth the sum of its halves, as is what is carried out of it.
            let (sum, carry) = frame.ipv4_sum.overflowing_add(length);
            fields.ipv4_length[place] = length;
            fields.ipv4_checksum[place] = checksum::finish(sum + u32::from(carry)).into();
            let sum = frame.udp_sum + fields.udp_sum[place];
            // In the machine's order it may stand in either half.
            let checksum = u32::from(udp::finish(sum)) * 0x1_0001;
            let length = fields.udp_length[place];
            fields.udp[place] = length | checksum & frame.udp_checksum_mask;
        }
    }
}

/// Writes octets at a place that is in the header.
#[inline(always)]
fn put<const N: usize>(header: &mut [u8; HEADERS_OCTETS], at: usize, octets: [u8; N]) {
    header[at..at + N].copy_from_slice(&octets);
}
