//! The IPv6 header and the extension headers behind it (RFC 8200).

use std::net::{Ipv6Addr, SocketAddrV6};

use crate::counters::Drop;

use super::udp;

/// Octets of the header, without extension headers.
pub const HEADER_OCTETS: usize = 40;

/// Every link carries packets of this size whole (RFC 8200, 5).
pub const MIN_MTU: u16 = 1280;

pub const NEXT_HOP_BY_HOP: u8 = 0;
pub const NEXT_TCP: u8 = 6;
pub const NEXT_UDP: u8 = 17;
pub const NEXT_ROUTING: u8 = 43;
pub const NEXT_FRAGMENT: u8 = 44;
pub const NEXT_ESP: u8 = 50;
pub const NEXT_AUTHENTICATION: u8 = 51;
pub const NEXT_ICMPV6: u8 = 58;
/// Nothing follows.
pub const NEXT_NONE: u8 = 59;
pub const NEXT_DESTINATION_OPTIONS: u8 = 60;

/// Hop limit of the packets that start here (RFC 1700's TTL, which hosts use for both).
pub const DEFAULT_HOP_LIMIT: u8 = 64;

/// Extension headers that are walked; a packet with more is refused (RFC 8504, 5.3).
pub const MAX_EXTENSION_HEADERS: usize = 8;

pub(crate) const PAYLOAD_LENGTH: usize = 4;
pub(crate) const NEXT_HEADER: usize = 6;
const HOP_LIMIT: usize = 7;
/// In a routing header.
const SEGMENTS_LEFT: usize = 3;

/// A header whose lengths were right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6 {
    /// Header and payload; what follows in the frame is padding.
    pub total_octets: usize,
    /// What follows the header: an extension header, or the upper layer.
    pub next_header: u8,
    pub hop_limit: u8,
    pub source: Ipv6Addr,
    pub destination: Ipv6Addr,
}

/// Where the extension headers end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpperLayer {
    /// The last next header field: the upper layer's protocol.
    pub protocol: u8,
    /// Where that field stands in the packet (RFC 4443, 3.4 points to it).
    pub named_at: usize,
    /// Where it starts in the packet; behind the fragment header of a piece
    /// that is not the first, where there is no header.
    pub offset: usize,
    pub fragment: Option<Fragment>,
    /// Whom the packet is for must discard it: an option asks that of who does
    /// not know it (RFC 8200, 4.2), or a routing header sends it on to other
    /// places (4.4, RFC 5095).
    pub is_refused: bool,
}

/// A fragment header (RFC 8200, 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Where it stands in the packet.
    pub header_offset: usize,
    pub fragment_offset_octets: usize,
    pub more_fragments: bool,
    pub identification: u32,
}

impl UpperLayer {
    /// Whether the packet is a piece and not a whole one. A fragment header
    /// alone makes no piece (RFC 6946).
    #[inline]
    #[must_use]
    pub fn is_fragment(&self) -> bool {
        self.fragment
            .is_some_and(|fragment| fragment.more_fragments || fragment.fragment_offset_octets != 0)
    }
}

/// Reads the header at the start of `packet`. Jumbograms (RFC 2675) are not taken.
///
/// # Errors
/// [`Drop::Truncated`] when the packet is shorter than its header or its
/// payload length, [`Drop::BadIpv6`] for another version and for a jumbogram.
// Always: see `ipv4::parse`.
#[inline(always)]
pub fn parse(packet: &[u8]) -> Result<Ipv6, Drop> {
    read(packet, packet.len())
}

/// The same as [`parse`] for the first octets of a packet whose end is elsewhere.
///
/// # Errors
/// As [`parse`], but for the payload length.
#[inline]
pub fn parse_start(packet: &[u8]) -> Result<Ipv6, Drop> {
    read(packet, usize::MAX)
}

/// Reads the header; the whole packet may have so many octets.
#[inline(always)]
fn read(packet: &[u8], most_octets: usize) -> Result<Ipv6, Drop> {
    let header = known(packet).ok_or(Drop::Truncated)?;
    if packet[0] >> 4 != 6 {
        return Err(Drop::BadIpv6);
    }
    if header.total_octets > most_octets {
        return Err(Drop::Truncated);
    }
    if header.total_octets == HEADER_OCTETS && header.next_header == NEXT_HOP_BY_HOP {
        return Err(Drop::BadIpv6);
    }
    Ok(header)
}

/// The header of a packet that was parsed before; nothing is checked again.
/// `None` when there is none.
#[inline(always)]
#[must_use]
pub fn known(packet: &[u8]) -> Option<Ipv6> {
    let fixed: &[u8; HEADER_OCTETS] = packet.first_chunk()?;
    let payload_octets = u16::from_be_bytes([fixed[PAYLOAD_LENGTH], fixed[PAYLOAD_LENGTH + 1]]);
    let &source = fixed[8..].first_chunk()?;
    let &destination = fixed[24..].first_chunk()?;
    Some(Ipv6 {
        total_octets: HEADER_OCTETS + usize::from(payload_octets),
        next_header: fixed[NEXT_HEADER],
        hop_limit: fixed[HOP_LIMIT],
        source: Ipv6Addr::from(source),
        destination: Ipv6Addr::from(destination),
    })
}

/// Walks the extension headers of a `packet` with this header to the upper
/// layer, or to where a fragment's own octets start.
///
/// # Errors
/// [`Drop::Truncated`] when the packet ends before an extension header does,
/// [`Drop::BadIpv6`] when there are more than [`MAX_EXTENSION_HEADERS`], or
/// hop-by-hop options stand elsewhere than first (RFC 8200, 4.1).
pub fn upper_layer(header: &Ipv6, packet: &[u8]) -> Result<UpperLayer, Drop> {
    let packet = packet.get(..header.total_octets).ok_or(Drop::Truncated)?;
    let mut upper = UpperLayer {
        protocol: header.next_header,
        named_at: NEXT_HEADER,
        offset: HEADER_OCTETS,
        fragment: None,
        is_refused: false,
    };
    for place in 0..=MAX_EXTENSION_HEADERS {
        let extension = match upper.protocol {
            NEXT_HOP_BY_HOP if place > 0 => return Err(Drop::BadIpv6),
            NEXT_HOP_BY_HOP
            | NEXT_ROUTING
            | NEXT_FRAGMENT
            | NEXT_AUTHENTICATION
            | NEXT_DESTINATION_OPTIONS => packet.get(upper.offset..),
            _ => return Ok(upper),
        };
        // Each is at least eight octets long.
        let fixed: &[u8; 8] = extension
            .and_then(<[u8]>::first_chunk)
            .ok_or(Drop::Truncated)?;
        let octets = match upper.protocol {
            NEXT_FRAGMENT => {
                upper.fragment = Some(fragment(fixed, upper.offset));
                fixed.len()
            }
            // In units of four octets, two less than there are (RFC 4302, 2.2).
            NEXT_AUTHENTICATION => (usize::from(fixed[1]) + 2) * 4,
            // In units of eight octets, without the first (RFC 8200, 4.3).
            _ => (usize::from(fixed[1]) + 1) * 8,
        };
        let end = upper.offset + octets;
        let extension = packet.get(upper.offset..end).ok_or(Drop::Truncated)?;
        upper.is_refused |= match upper.protocol {
            NEXT_ROUTING => fixed[SEGMENTS_LEFT] != 0,
            NEXT_HOP_BY_HOP | NEXT_DESTINATION_OPTIONS => !options_are_fit(&extension[2..]),
            _ => false,
        };
        upper.protocol = fixed[0];
        upper.named_at = upper.offset;
        upper.offset = end;
        // Nothing behind it is a header.
        if upper
            .fragment
            .is_some_and(|fragment| fragment.fragment_offset_octets != 0)
        {
            return Ok(upper);
        }
    }
    Err(Drop::BadIpv6)
}

/// Whether options are well formed and none asks who does not know it to
/// discard the packet, by the high bits of its type (RFC 8200, 4.2). Padding is
/// all that is known.
fn options_are_fit(mut options: &[u8]) -> bool {
    const PAD1: u8 = 0;
    while let [kind, rest @ ..] = options {
        if *kind == PAD1 {
            options = rest;
            continue;
        }
        match rest {
            [length, rest @ ..] if kind >> 6 == 0 && usize::from(*length) <= rest.len() => {
                options = &rest[usize::from(*length)..];
            }
            _ => return false,
        }
    }
    true
}

fn fragment(octets: &[u8; 8], header_offset: usize) -> Fragment {
    let &[_, _, o0, o1, i0, i1, i2, i3] = octets;
    let word = u16::from_be_bytes([o0, o1]);
    Fragment {
        header_offset,
        fragment_offset_octets: usize::from(word & 0xfff8),
        more_fragments: word & 1 != 0,
        identification: u32::from_be_bytes([i0, i1, i2, i3]),
    }
}

/// Whether no packet may have this source (RFC 4291): multicast, or one of
/// [`is_martian_destination`].
#[inline]
#[must_use]
pub fn is_martian_source(source: Ipv6Addr) -> bool {
    source.is_multicast() || is_martian_destination(source)
}

/// Whether no packet may be sent to this address (RFC 4291, 2.5.2, 2.5.3 and
/// 2.5.5): unspecified, loopback, or with an IPv4 address in it, compatible or mapped.
#[inline]
#[must_use]
pub fn is_martian_destination(destination: Ipv6Addr) -> bool {
    let high = destination.to_bits() >> 32;
    high == 0 || high == 0xffff
}

/// Takes one from the hop limit of a packet that is forwarded (RFC 8200, 3).
/// Returns false, with nothing changed, when it is used up (0 or 1) or there
/// is no header.
#[inline]
pub fn decrement_hop_limit(packet: &mut [u8]) -> bool {
    match packet.first_chunk_mut::<HEADER_OCTETS>() {
        Some(header) if header[HOP_LIMIT] > 1 => {
            header[HOP_LIMIT] -= 1;
            true
        }
        _ => false,
    }
}

/// A header of a packet that starts here: [`DEFAULT_HOP_LIMIT`], no flow label.
#[must_use]
pub fn header(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    next_header: u8,
    payload_octets: u16,
) -> [u8; HEADER_OCTETS] {
    let mut header = [0; HEADER_OCTETS];
    header[0] = 0x60;
    header[PAYLOAD_LENGTH..NEXT_HEADER].copy_from_slice(&payload_octets.to_be_bytes());
    header[NEXT_HEADER] = next_header;
    header[HOP_LIMIT] = DEFAULT_HOP_LIMIT;
    header[8..24].copy_from_slice(&source.octets());
    header[24..].copy_from_slice(&destination.octets());
    header
}

/// A whole UDP packet for the control thread to send, checksum right. A payload
/// of more than 65 527 octets fits no packet: the result is empty.
#[must_use]
pub fn udp_packet(source: SocketAddrV6, destination: SocketAddrV6, payload: &[u8]) -> Vec<u8> {
    let Ok(payload_octets) = u16::try_from(udp::HEADER_OCTETS + payload.len()) else {
        return Vec::new();
    };
    let mut packet = Vec::with_capacity(HEADER_OCTETS + usize::from(payload_octets));
    packet.extend(header(
        *source.ip(),
        *destination.ip(),
        NEXT_UDP,
        payload_octets,
    ));
    packet.extend(udp::header(source.into(), destination.into(), payload));
    packet.extend(payload);
    packet
}
