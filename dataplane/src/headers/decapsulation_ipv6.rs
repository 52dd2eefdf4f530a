//! The same as [`super::decapsulation`] for copies that come over IPv6, with a
//! packet of either family inside.
//!
//! ```text
//! Ethernet 14 | IPv6 40 | UDP 8 | L2TP with O 8 | HA header 12 | PPP protocol 2 | inner packet
//! ```

use std::net::SocketAddr;

use crate::checksum;
use crate::command::SessionSpec;

use super::decapsulation::{self, L2TP_DATA, L2TP_MASK, chunk, is_as_expected, without, words};
use super::ha::{self, HaHeader, Kind};
use super::{ethernet, ipv4, ipv6, l2tp, ppp, udp};

/// Octets before the inner packet.
pub const HEADERS_OCTETS: usize =
    decapsulation::HEADERS_OCTETS + ipv6::HEADER_OCTETS - ipv4::HEADER_OCTETS;

/// With the shorter of the inner headers.
const LEAST_OCTETS: usize = HEADERS_OCTETS + ipv4::HEADER_OCTETS;

const IPV6: usize = ethernet::HEADER_OCTETS;
const PAYLOAD_LENGTH: usize = IPV6 + 4;
const NEXT_HEADER: usize = IPV6 + 6;
const ADDRESSES: usize = IPV6 + 8;
const UDP: usize = IPV6 + ipv6::HEADER_OCTETS;
const UDP_DESTINATION: usize = UDP + 2;
const UDP_LENGTH: usize = UDP + 4;
const UDP_CHECKSUM: usize = UDP + 6;
const L2TP: usize = UDP + udp::HEADER_OCTETS;
const IDS: usize = L2TP + 2;
const HA: usize = L2TP + 8;
const NUMBER: usize = HA + 6;
const PPP: usize = HA + 12;

/// The headers and a little of the inner packet, in whole words.
const COMPARED_OCTETS: usize = HEADERS_OCTETS.next_multiple_of(8);

/// What varies between copies of one session and epoch: who sent the frame; of
/// the outer header traffic class, flow label, payload length and hop limit; the UDP
/// length and checksum; the number; the PPP protocol and what is inside.
const VARYING: [(usize, usize); 6] = [
    (6, 12),
    (IPV6 + 1, IPV6 + 6),
    (IPV6 + 7, IPV6 + 8),
    (UDP_LENGTH, UDP_LENGTH + 4),
    (NUMBER, NUMBER + 6),
    (PPP, COMPARED_OCTETS),
];

/// Of the octet that traffic class and version share.
const VERSION_ONLY: u8 = 0xf0;

type Headers = [u8; COMPARED_OCTETS];
type Words = [u64; COMPARED_OCTETS / 8];

/// The bits that do not vary.
const FIXED: Words = {
    let mut fixed: Headers = without(&VARYING);
    fixed[IPV6] = VERSION_ONLY;
    words(&fixed)
};

/// Tunnel and session id of a frame that may be a copy over IPv6, as one number;
/// `None` when it is not one in our form.
#[inline(always)]
#[must_use]
pub fn ids(frame: &[u8]) -> Option<u32> {
    let head: &[u8; LEAST_OCTETS] = frame.first_chunk()?;
    let word = u64::from_ne_bytes(*chunk(head, UDP_DESTINATION));
    let over_ipv6 = u16::from_be_bytes(*chunk(head, 12)) == ethernet::ETHER_TYPE_IPV6;
    let may_be = over_ipv6 & (word & L2TP_MASK == L2TP_DATA);
    may_be.then_some(u32::from_be_bytes(*chunk(head, IDS)))
}

/// The headers of one session's copies in one epoch, as they arrive over IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedIpv6 {
    headers: Words,
    /// Sum of what the UDP checksum covers of them, pseudo-header included, in
    /// the machine's order.
    udp_sum: u64,
}

impl ExpectedIpv6 {
    /// Expects what no frame has.
    pub const NOTHING: Self = Self {
        headers: [u64::MAX; COMPARED_OCTETS / 8],
        udp_sum: 0,
    };

    /// What arrives on a session, at a port with this hardware address.
    #[must_use]
    pub fn new(session: &SessionSpec, mac: [u8; 6], epoch: u32) -> Self {
        let (SocketAddr::V6(local), SocketAddr::V6(peer)) = (session.local, session.peer) else {
            return Self::NOTHING;
        };
        let mut headers: Headers = [0; COMPARED_OCTETS];
        let mut put = |at: usize, octets: &[u8]| {
            headers[at..at + octets.len()].copy_from_slice(octets);
        };
        put(0, &mac);
        put(12, &ethernet::ETHER_TYPE_IPV6.to_be_bytes());
        put(IPV6, &[6 << 4]);
        put(NEXT_HEADER, &[ipv6::NEXT_UDP]);
        put(ADDRESSES, &peer.ip().octets());
        put(ADDRESSES + 16, &local.ip().octets());
        put(UDP, &peer.port().to_be_bytes());
        put(UDP_DESTINATION, &local.port().to_be_bytes());
        put(L2TP, &(l2tp::FLAG_OFFSET | l2tp::VERSION).to_be_bytes());
        put(IDS, &session.local_tunnel.to_be_bytes());
        put(IDS + 2, &session.local_session.to_be_bytes());
        put(IDS + 4, &(ha::OCTETS as u16).to_be_bytes());
        let ha = HaHeader {
            kind: Kind::Data,
            flags: 0,
            epoch,
            number: 0,
        };
        put(HA, &ha.octets());
        let parts: [&[u8]; 3] = [
            &headers[ADDRESSES..UDP_LENGTH],
            &[0, ipv6::NEXT_UDP],
            &headers[L2TP..NUMBER],
        ];
        let udp_sum = parts.into_iter().map(simd::sum).sum();
        let mut headers = words(&headers);
        for (word, fixed) in headers.iter_mut().zip(FIXED) {
            *word &= fixed;
        }
        Self { headers, udp_sum }
    }

    /// The number of the copy in this frame, when it is as expected and
    /// everything about it is right: lengths, checksums, and the inner header, of
    /// IPv4 without options. `udp_checked` says whether the port has found the UDP
    /// checksum right.
    #[inline]
    #[must_use]
    pub fn recognise(&self, frame: &[u8], udp_checked: impl FnOnce() -> bool) -> Option<u64> {
        let head: &[u8; LEAST_OCTETS] = frame.first_chunk()?;
        let octets = u16::try_from(frame.len()).ok()?;
        let length = |at| u16::from_be_bytes(*chunk(head, at));
        let udp_octets = octets.wrapping_sub(UDP as u16);
        let wrong_length =
            (length(PAYLOAD_LENGTH) ^ udp_octets) | (length(UDP_LENGTH) ^ udp_octets);
        if !is_as_expected(head, &self.headers, &FIXED) || wrong_length != 0 {
            return None;
        }
        let inner = frame.get(HEADERS_OCTETS..)?;
        let is_right = match length(PPP) {
            ppp::PROTOCOL_IPV4 => ipv4::is_whole_and_right(inner),
            ppp::PROTOCOL_IPV6 => is_right_ipv6(inner),
            _ => false,
        };
        if !is_right || !self.udp_is_right(frame, head, udp_checked) {
            return None;
        }
        let word = u64::from_be_bytes(*chunk(head, NUMBER - 2));
        Some(word & ha::NUMBER_MASK)
    }

    /// Whether the UDP checksum, which there must be (RFC 8200, 8.1), is right.
    #[inline]
    fn udp_is_right(
        &self,
        frame: &[u8],
        head: &[u8; LEAST_OCTETS],
        checked: impl FnOnce() -> bool,
    ) -> bool {
        let checksum = u64::from(u16::from_ne_bytes(*chunk(head, UDP_CHECKSUM)));
        if checksum == 0 {
            return false;
        }
        if checked() {
            return true;
        }
        let length = u64::from(u16::from_ne_bytes(*chunk(head, UDP_LENGTH)));
        // The length stands in the pseudo-header too. The number has even octets, so
        // that what follows is summed in its place.
        let headers = self.udp_sum + checksum + 2 * length;
        checksum::is_right(headers + simd::sum(&frame[NUMBER..]))
    }
}

/// Whether an IPv6 packet fills this and may come from its source.
#[inline]
fn is_right_ipv6(packet: &[u8]) -> bool {
    ipv6::parse(packet).is_ok_and(|header| {
        header.total_octets == packet.len() && !ipv6::is_martian_source(header.source)
    })
}
