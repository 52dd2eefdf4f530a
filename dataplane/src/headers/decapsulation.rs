//! The mirror of [`super::encapsulation`]: recognises a copy in exactly the form
//! that our far end writes, by comparing its headers with what they must be on
//! its session. Nothing is parsed.
//!
//! ```text
//! Ethernet 14 | IPv4 20, no options | UDP 8 | L2TP with O 8 | HA header 12 | PPP protocol 2 | inner IPv4, no options
//! ```
//!
//! Every other form, and everything that is wrong, is left to the parsers,
//! which know the names of faults. What is recognised here they would take too.

use std::net::{Ipv4Addr, SocketAddr};

use crate::checksum;
use crate::command::SessionSpec;

use super::encapsulation::HA_OCTETS;
use super::ha::{HaHeader, Kind};
use super::{ethernet, ipv4, l2tp, ppp, udp};

/// Octets before the inner packet.
pub const HEADERS_OCTETS: usize = ethernet::HEADER_OCTETS + HA_OCTETS;

/// With the inner packet's header.
const LEAST_OCTETS: usize = HEADERS_OCTETS + ipv4::HEADER_OCTETS;

const IPV4: usize = ethernet::HEADER_OCTETS;
const TOTAL_LENGTH: usize = IPV4 + 2;
const ADDRESSES: usize = IPV4 + 12;
const UDP: usize = IPV4 + ipv4::HEADER_OCTETS;
const UDP_DESTINATION: usize = UDP + 2;
const UDP_LENGTH: usize = UDP + 4;
const L2TP: usize = UDP + udp::HEADER_OCTETS;
const IDS: usize = L2TP + 2;
const HA: usize = L2TP + 8;
const NUMBER: usize = HA + 6;
const PPP: usize = HA + 12;
const INNER: usize = HEADERS_OCTETS;
const INNER_SOURCE: usize = INNER + 12;

/// Of the inner header's first word the first octet and the total length.
const INNER_MASK: u32 = 0xff00_ffff;
const INNER_KIND: u32 = (ipv4::FIRST_OCTET as u32) << 24;

/// What varies between copies of one session and epoch: who sent the frame; of
/// the outer header what differs between packets or is changed on the way (type
/// of service, total length, identification, time to live, checksum); the UDP
/// length and checksum; the number.
const VARYING: [(usize, usize); 6] = [
    (6, 12),
    (IPV4 + 1, IPV4 + 6),
    (IPV4 + 8, IPV4 + 9),
    (IPV4 + 10, IPV4 + 12),
    (UDP_LENGTH, UDP_LENGTH + 4),
    (NUMBER, NUMBER + 6),
];

/// Of the fragment field, DF says nothing about a packet that has arrived.
const NOT_DF: u8 = !0x40;

type Headers = [u8; HEADERS_OCTETS];
type Words = [u64; HEADERS_OCTETS / 8];

/// The bits that do not vary.
const FIXED: Words = {
    let mut fixed: Headers = without(&VARYING);
    fixed[IPV4 + 6] = NOT_DF;
    words(&fixed)
};

/// Ones, and zeros in these ranges.
pub(super) const fn without<const OCTETS: usize>(varying: &[(usize, usize)]) -> [u8; OCTETS] {
    let mut fixed = [0xff; OCTETS];
    let mut range = 0;
    while range < varying.len() {
        let (mut at, end) = varying[range];
        while at < end {
            fixed[at] = 0;
            at += 1;
        }
        range += 1;
    }
    fixed
}

/// UDP destination port, and L2TP's flags: O and the version, nothing else.
pub(super) const L2TP_MASK: u64 = u64::from_ne_bytes([0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff]);
pub(super) const L2TP_DATA: u64 = {
    let [p0, p1] = udp::PORT_L2TP.to_be_bytes();
    let [f0, f1] = (l2tp::FLAG_OFFSET | l2tp::VERSION).to_be_bytes();
    u64::from_ne_bytes([p0, p1, 0, 0, 0, 0, f0, f1])
};

/// The same octets for comparison.
pub(super) const fn words<const OCTETS: usize, const WORDS: usize>(
    octets: &[u8; OCTETS],
) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    let mut at = 0;
    while at < words.len() {
        words[at] = u64::from_ne_bytes(*chunk(octets, 8 * at));
        at += 1;
    }
    words
}

/// Some octets from a place that is known to have them.
#[inline(always)]
pub(super) const fn chunk<const N: usize>(octets: &[u8], at: usize) -> &[u8; N] {
    match octets.split_at(at).1.first_chunk() {
        Some(chunk) => chunk,
        None => panic!("beyond the headers"),
    }
}

/// Whether the fixed bits at the start of a frame are as expected.
#[inline(always)]
pub(super) fn is_as_expected<const WORDS: usize>(
    head: &[u8],
    expected: &[u64; WORDS],
    fixed: &[u64; WORDS],
) -> bool {
    let mut different = 0;
    for (at, (expected, fixed)) in expected.iter().zip(fixed).enumerate() {
        let word = u64::from_ne_bytes(*chunk(head, 8 * at));
        different |= word & fixed ^ expected;
    }
    different == 0
}

/// A length field.
#[inline(always)]
fn length(head: &[u8; LEAST_OCTETS], at: usize) -> u16 {
    u16::from_be_bytes(*chunk(head, at))
}

/// Length and checksum of a UDP header, which stand one behind the other: as they lie
/// there, the length in the low half.
// Taken together: what is read alone the compiler picks out of a vector, which takes
// longer than to read it again.
#[derive(Clone, Copy)]
struct LengthAndChecksum(u32);

impl LengthAndChecksum {
    #[inline(always)]
    fn of(octets: &[u8; 4]) -> Self {
        Self(u32::from_le_bytes(*octets))
    }

    #[inline(always)]
    fn length(self) -> u16 {
        (self.0 as u16).swap_bytes()
    }

    #[inline(always)]
    fn has_checksum(self) -> bool {
        self.0 >> 16 != 0
    }

    /// Both summed in the machine's order, and the length once more, which stands in the
    /// pseudo-header too. A word is worth the sum of its halves.
    #[inline(always)]
    fn sum(self) -> u64 {
        let length = (self.0 as u16).to_le();
        u64::from(self.0.to_le()) + u64::from(length)
    }
}

/// Tunnel and session id of a frame that may be a copy, as one number; `None`
/// when it is not one in our form.
#[inline(always)]
#[must_use]
pub fn ids(frame: &[u8]) -> Option<u32> {
    let head: &[u8; LEAST_OCTETS] = frame.first_chunk()?;
    let word = u64::from_ne_bytes(*chunk(head, UDP_DESTINATION));
    (word & L2TP_MASK == L2TP_DATA).then_some(u32::from_be_bytes(*chunk(head, IDS)))
}

/// The number in a word of a recognised copy.
#[inline(always)]
pub(crate) fn number(word: u64) -> u64 {
    u64::from_be(word) & super::ha::NUMBER_MASK
}

/// The headers of one session's copies in one epoch, as they arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Expected {
    headers: Words,
    /// Sum of what the UDP checksum covers of them, pseudo-header included, in
    /// the machine's order.
    udp_sum: u64,
}

impl Expected {
    /// Expects what no frame has.
    pub const NOTHING: Self = Self {
        headers: [u64::MAX; HEADERS_OCTETS / 8],
        udp_sum: 0,
    };

    /// What arrives on a session, at a port with this hardware address.
    #[must_use]
    pub fn new(session: &SessionSpec, mac: [u8; 6], epoch: u32) -> Self {
        let (SocketAddr::V4(local), SocketAddr::V4(peer)) = (session.local, session.peer) else {
            return Self::NOTHING;
        };
        let mut headers: Headers = [0; HEADERS_OCTETS];
        let mut put = |at: usize, octets: &[u8]| {
            headers[at..at + octets.len()].copy_from_slice(octets);
        };
        put(0, &mac);
        put(12, &ethernet::ETHER_TYPE_IPV4.to_be_bytes());
        let ipv4 = ipv4::header(*peer.ip(), *local.ip(), ipv4::PROTOCOL_UDP, 0, 0);
        put(IPV4, &ipv4);
        put(UDP, &peer.port().to_be_bytes());
        put(UDP_DESTINATION, &local.port().to_be_bytes());
        put(L2TP, &(l2tp::FLAG_OFFSET | l2tp::VERSION).to_be_bytes());
        put(IDS, &session.local_tunnel.to_be_bytes());
        put(IDS + 2, &session.local_session.to_be_bytes());
        put(IDS + 4, &(super::ha::OCTETS as u16).to_be_bytes());
        let ha = HaHeader {
            kind: Kind::Data,
            flags: 0,
            epoch,
            number: 0,
        };
        put(HA, &ha.octets());
        put(PPP, &ppp::PROTOCOL_IPV4.to_be_bytes());
        // Of the epoch, two octets come with the number.
        let [e0, e1, ..] = epoch.to_be_bytes();
        let parts: [&[u8]; 5] = [
            &headers[ADDRESSES..UDP_LENGTH],
            &[0, ipv4::PROTOCOL_UDP],
            &headers[L2TP..HA + 2],
            &[e0, e1],
            &headers[PPP..],
        ];
        let udp_sum = parts.into_iter().map(simd::sum).sum();
        let mut headers = words(&headers);
        for (word, fixed) in headers.iter_mut().zip(FIXED) {
            *word &= fixed;
        }
        Self { headers, udp_sum }
    }

    /// The number of the copy in this frame, when it is as expected and
    /// everything about it is right: lengths, checksums, and the inner header
    /// without options. `udp_checked` says whether the port has found the UDP
    /// checksum right.
    #[inline(always)]
    #[must_use]
    pub fn recognise(&self, frame: &[u8], udp_checked: impl FnOnce() -> bool) -> Option<u64> {
        Some(number(self.recognise_word(frame, udp_checked)?))
    }

    /// The same, but the number as it stands in the frame, of which [`number`] makes one.
    #[inline(always)]
    pub(crate) fn recognise_word(
        &self,
        frame: &[u8],
        udp_checked: impl FnOnce() -> bool,
    ) -> Option<u64> {
        let head: &[u8; LEAST_OCTETS] = frame.first_chunk()?;
        let octets = u16::try_from(frame.len()).ok()?;
        if !is_as_expected(head, &self.headers, &FIXED) {
            return None;
        }
        let udp = LengthAndChecksum::of(chunk(head, UDP_LENGTH));
        let wrong_length = (length(head, TOTAL_LENGTH) ^ octets.wrapping_sub(IPV4 as u16))
            | (udp.length() ^ octets.wrapping_sub(UDP as u16));
        let inner = u32::from_be_bytes(*chunk(head, INNER)) & INNER_MASK;
        // All at once: hardly a copy of ours fails here.
        let is_right = (wrong_length == 0)
            & (inner == (INNER_KIND - INNER as u32) + u32::from(octets))
            & !ipv4::is_martian_source(Ipv4Addr::from(*chunk(head, INNER_SOURCE)))
            & ipv4::is_right(chunk(head, IPV4))
            & ipv4::is_right(chunk(head, INNER));
        if !is_right || !self.udp_is_right(frame, head, udp, udp_checked) {
            return None;
        }
        Some(u64::from_ne_bytes(*chunk(head, NUMBER - 2)))
    }

    /// Whether the UDP checksum is right, or absent, of a frame in which all
    /// else is right. The inner header need not be summed: its own checksum
    /// makes it 0.
    #[inline(always)]
    fn udp_is_right(
        &self,
        frame: &[u8],
        head: &[u8; LEAST_OCTETS],
        udp: LengthAndChecksum,
        checked: impl FnOnce() -> bool,
    ) -> bool {
        if !udp.has_checksum() || checked() {
            return true;
        }
        let number = u64::from_ne_bytes(*chunk(head, NUMBER - 2));
        let sum = self.udp_sum + udp.sum() + simd::sum_inline(&frame[LEAST_OCTETS..]);
        // What is carried out of 64 bits goes back in at the end (RFC 1071, 2 B).
        let (sum, carry) = sum.overflowing_add(number);
        checksum::is_right(sum + u64::from(carry))
    }
}
