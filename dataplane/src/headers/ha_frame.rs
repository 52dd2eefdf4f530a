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
    /// The number, and the PPP protocol behind it; until they are shown, what was
    /// said to be the number.
    numbers: Each<u64>,
    /// What the link of each adds, where that is not the same for all.
    links: Each<LinkSums>,
    /// Of one link, or of each one's: total length and identification.
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

    /// Octets of the packet in this place, as was said.
    #[inline(always)]
    #[must_use]
    pub fn octets(&self, place: usize) -> u32 {
        *at(&self.octets, place)
    }

    /// Says which number the packet in this place has.
    #[inline(always)]
    pub fn set_number(&mut self, place: usize, number: u64) {
        *at_mut(&mut self.numbers, place) = number;
    }

    /// Says by which link the copy in this place leaves.
    #[inline(always)]
    pub fn set_link(&mut self, place: usize, frame: &HaFrame) {
        *at_mut(&mut self.links, place) = frame.sums;
    }

    /// Makes what the headers show of the first `count` packets, which were
    /// described and are numbered from `first_number` on.
    #[inline(always)]
    pub fn show(&mut self, count: usize, first_number: u64) {
        let (first_high, first_low) = halves_of_number(first_number);
        self.show_numbers(count, move |_, place| {
            let low = first_low + place as u32;
            (first_high.wrapping_add(low >> 16), low)
        });
    }

    /// The same for packets which have a number each.
    #[inline(always)]
    pub fn show_each(&mut self, count: usize) {
        self.show_numbers(count, |fields, place| {
            halves_of_number(fields.numbers[place])
        });
    }

    #[inline(always)]
    fn show_numbers(&mut self, count: usize, number: impl Fn(&Self, usize) -> (u32, u32)) {
        self.count = count;
        for_each(
            count,
            Showing {
                fields: self,
                number,
            },
        );
    }

    /// Makes what differs between the copies of the first `count` packets, which were
    /// [shown](Self::show_each), each on the [link](Self::set_link) that was said to be its own.
    #[inline(always)]
    pub fn fill_in_each(&mut self, count: usize, identifications: Identifications) {
        for_each(
            count,
            Filling {
                fields: self,
                identifications,
                sums: |fields: &Self, place: usize| fields.links[place],
            },
        );
    }
}

/// The upper 32 bits of a number, and the lower 16.
#[inline(always)]
fn halves_of_number(number: u64) -> (u32, u32) {
    ((number >> 16) as u32, number as u32 & 0xffff)
}

/// Work on the packets in the first places of a burst.
trait OnPlaces {
    /// Does it in so many places.
    fn on(self, places: usize);
}

/// [`BurstFields::show`].
struct Showing<'a, N> {
    fields: &'a mut BurstFields,
    /// Of a place: the number's upper 32 bits, and its lower 16 below anything.
    number: N,
}

impl<N: Fn(&BurstFields, usize) -> (u32, u32)> OnPlaces for Showing<'_, N> {
    #[inline(always)]
    fn on(self, places: usize) {
        let Self { fields, number } = self;
        for place in 0..places {
            let total_length = fields.octets[place] + HA_OCTETS as u32;
            let udp_length = first_of_word(total_length - ipv4::HEADER_OCTETS as u32);
            let (high, low) = number(fields, place);
            let high = high.to_be();
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
    sums: LinkSums,
}

/// What the checksums of a copy need of its link's headers, in one word: it is gathered for
/// each packet of a burst. The sum of IPv4's header is in the lower half, that of what UDP
/// covers in the upper one, both in the machine's order.
#[derive(Clone, Copy, Debug, Default)]
struct LinkSums(u32);

impl LinkSums {
    /// In the place of the second sum, which is a remainder and below: no UDP checksum is sent.
    const NONE: u32 = 0xffff;

    fn new(ipv4: u64, udp: Option<u64>) -> Self {
        const MODULUS: u64 = 0xffff;
        let udp = udp.map_or(Self::NONE, |sum| (sum % MODULUS) as u32);
        Self((ipv4 % MODULUS) as u32 | udp << 16)
    }

    #[inline(always)]
    fn ipv4(self) -> u32 {
        self.0 & 0xffff
    }

    #[inline(always)]
    fn udp(self) -> u32 {
        self.0 >> 16
    }

    /// The UDP checksum's place in a word with the length, or nothing to send none.
    #[inline(always)]
    fn udp_checksum_mask(self) -> u32 {
        if self.udp() == Self::NONE {
            0
        } else {
            u32::from_ne_bytes([0, 0, 0xff, 0xff])
        }
    }
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
        let udp_sum = pseudo_header + simd::sum(&headers[UDP..]);
        let ipv4_sum = simd::sum(&headers[IPV4..UDP]);
        Some(Self {
            headers,
            sums: LinkSums::new(ipv4_sum, template.has_udp_checksum().then_some(udp_sum)),
        })
    }

    /// Makes what differs between the copies of a burst that was
    /// [shown](BurstFields::show) on this link.
    #[inline(always)]
    pub fn fill_in(&self, fields: &mut BurstFields, identifications: Identifications) {
        let sums = self.sums;
        for_each(
            fields.count,
            Filling {
                fields,
                identifications,
                sums: move |_: &BurstFields, _| sums,
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
struct Filling<'a, S> {
    fields: &'a mut BurstFields,
    identifications: Identifications,
    /// Of a place.
    sums: S,
}

impl<S: Fn(&BurstFields, usize) -> LinkSums> OnPlaces for Filling<'_, S> {
    #[inline(always)]
    fn on(self, places: usize) {
        let Self { fields, sums, .. } = self;
        let Identifications { first, step } = self.identifications;
        for place in 0..places {
            let identification = first.wrapping_add(step.wrapping_mul(place as u16));
            let length = fields.total_length[place] | second_of_word(identification);
            let link = sums(fields, place);
            // A word is worth the sum of its halves, as is what is carried out of it.
            let (sum, carry) = link.ipv4().overflowing_add(length);
            fields.ipv4_length[place] = length;
            fields.ipv4_checksum[place] = checksum::finish(sum + u32::from(carry)).into();
            let sum = link.udp() + fields.udp_sum[place];
            // In the machine's order it may stand in either half.
            let checksum = u32::from(udp::finish(sum)) * 0x1_0001;
            let length = fields.udp_length[place];
            fields.udp[place] = length | checksum & link.udp_checksum_mask();
        }
    }
}

/// Writes octets at a place that is in the header.
#[inline(always)]
fn put<const N: usize>(header: &mut [u8; HEADERS_OCTETS], at: usize, octets: [u8; N]) {
    header[at..at + N].copy_from_slice(&octets);
}
