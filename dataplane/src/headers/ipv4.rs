//! IPv4 (RFC 791), as a router sees it (RFC 1812).

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::checksum;
use crate::counters::Drop;

use super::{u16_at, udp};

/// Octets of a header without options.
pub const HEADER_OCTETS: usize = 20;
/// Octets of the longest header.
pub const MAX_HEADER_OCTETS: usize = 60;

/// Version 4, and a header without options.
pub(crate) const FIRST_OCTET: u8 = 0x45;

/// Where the time to live stands; protocol and checksum follow.
const TTL: usize = 8;

pub const PROTOCOL_ICMP: u8 = 1;
pub const PROTOCOL_TCP: u8 = 6;
pub const PROTOCOL_UDP: u8 = 17;

/// TTL of the packets that start here (RFC 1700).
pub const DEFAULT_TTL: u8 = 64;

pub(crate) const DONT_FRAGMENT: u16 = 0x4000;
pub(crate) const MORE_FRAGMENTS: u16 = 0x2000;
pub(crate) const FRAGMENT_OFFSET: u16 = 0x1fff;

/// A header whose checksum was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4 {
    /// Header with its options, 20 to 60.
    pub header_octets: usize,
    /// Header and payload; what follows in the frame is padding.
    pub total_octets: usize,
    pub identification: u16,
    pub dont_fragment: bool,
    pub more_fragments: bool,
    pub fragment_offset_octets: usize,
    pub ttl: u8,
    pub protocol: u8,
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
}

impl Ipv4 {
    /// Whether this is a piece of a packet and not a whole one.
    #[inline]
    #[must_use]
    pub fn is_fragment(&self) -> bool {
        self.more_fragments || self.fragment_offset_octets != 0
    }
}

/// Reads the header at the start of `packet` and checks what RFC 1812, 5.2.2
/// asks for.
///
/// # Errors
/// [`Drop::Truncated`] when the packet is shorter than its header or its total
/// length, [`Drop::BadIpv4`] for anything else that is wrong.
// Always: returned through memory, the fields are written singly and read in
// wide pieces at once, which stalls for longer than the parsing takes.
#[inline(always)]
pub fn parse(packet: &[u8]) -> Result<Ipv4, Drop> {
    read(packet, packet.len())
}

/// The same as [`parse`] for the first octets of a packet whose end is elsewhere.
///
/// # Errors
/// As [`parse`], but for the total length.
#[inline]
pub fn parse_start(packet: &[u8]) -> Result<Ipv4, Drop> {
    read(packet, usize::MAX)
}

/// Reads the header; the whole packet may have so many octets.
#[inline(always)]
fn read(packet: &[u8], most_octets: usize) -> Result<Ipv4, Drop> {
    let fixed: &[u8; HEADER_OCTETS] = packet.first_chunk().ok_or(Drop::Truncated)?;
    let word = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
    let header_octets = usize::from(fixed[0] & 0xf) * 4;
    if fixed[0] >> 4 != 4 || header_octets < HEADER_OCTETS {
        return Err(Drop::BadIpv4);
    }
    let total_octets = usize::from(word(2));
    if total_octets < header_octets {
        return Err(Drop::BadIpv4);
    }
    let options = packet
        .get(HEADER_OCTETS..header_octets)
        .filter(|_| total_octets <= most_octets)
        .ok_or(Drop::Truncated)?;
    let right = if options.is_empty() {
        is_right(fixed)
    } else {
        checksum::finish(checksum::sum(fixed) + checksum::sum(options)) == 0
    };
    if !right {
        return Err(Drop::BadIpv4);
    }
    Ok(fields(fixed))
}

/// Whether the checksum of a header without options is right. The first octet
/// is known not to be zero.
#[inline(always)]
pub(crate) fn is_right(header: &[u8; HEADER_OCTETS]) -> bool {
    let (&low, rest) = header.split_first_chunk().unwrap_or((&[0; 8], &[]));
    let (&high, rest) = rest.split_first_chunk().unwrap_or((&[0; 8], &[]));
    let &last = rest.first_chunk().unwrap_or(&[0; 4]);
    let (low, high) = (u64::from_ne_bytes(low), u64::from_ne_bytes(high));
    let last = u64::from(u32::from_ne_bytes(last));
    // What is carried out of 64 bits goes back in at the end (RFC 1071, 2 B).
    let (sum, carry) = low.overflowing_add(high);
    let (sum, carried) = sum.overflowing_add(last);
    let (sum, carry) = sum.overflowing_add(u64::from(carry));
    checksum::is_right(sum + u64::from(carried | carry))
}

/// The header of a packet that was parsed before; nothing is checked again.
/// `None` when there is none.
#[inline(always)]
#[must_use]
pub fn known(packet: &[u8]) -> Option<Ipv4> {
    packet.first_chunk().map(fields)
}

/// The first octet and the destination of a packet that was parsed before.
#[inline(always)]
pub(crate) fn first_and_destination(packet: &[u8]) -> Option<(u8, Ipv4Addr)> {
    let header: &[u8; HEADER_OCTETS] = packet.first_chunk()?;
    let destination: &[u8; 4] = header.last_chunk()?;
    Some((header[0], Ipv4Addr::from(*destination)))
}

#[inline(always)]
fn fields(fixed: &[u8; HEADER_OCTETS]) -> Ipv4 {
    let word = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
    let fragment = word(6);
    Ipv4 {
        header_octets: usize::from(fixed[0] & 0xf) * 4,
        total_octets: usize::from(word(2)),
        identification: word(4),
        dont_fragment: fragment & DONT_FRAGMENT != 0,
        more_fragments: fragment & MORE_FRAGMENTS != 0,
        fragment_offset_octets: usize::from(fragment & FRAGMENT_OFFSET) * 8,
        ttl: fixed[8],
        protocol: fixed[9],
        source: Ipv4Addr::new(fixed[12], fixed[13], fixed[14], fixed[15]),
        destination: Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19]),
    }
}

/// Whether no packet that is forwarded may have this source (RFC 1812, 5.3.7
/// and 4.2.2.11): this network, loopback, multicast, reserved, broadcast.
#[inline(always)]
#[must_use]
pub fn is_martian_source(source: Ipv4Addr) -> bool {
    let first = source.octets()[0];
    // 0 is above all others here.
    first.wrapping_sub(1) >= 223 || first == 127
}

/// Whether an IPv4 packet without options fills these octets, has a right header,
/// and may come from its source.
#[inline(always)]
#[must_use]
pub(crate) fn is_whole_and_right(packet: &[u8]) -> bool {
    let Some(header) = packet.first_chunk::<HEADER_OCTETS>() else {
        return false;
    };
    let [first, _, l0, l1, _, _, _, _, _, _, _, _, s0, s1, s2, s3, ..] = *header;
    (first == FIRST_OCTET)
        & (usize::from(u16::from_be_bytes([l0, l1])) == packet.len())
        & !is_martian_source(Ipv4Addr::new(s0, s1, s2, s3))
        & is_right(header)
}

/// Takes one from the TTL of a packet that is forwarded, and mends the header
/// checksum (RFC 1812 5.3.1, RFC 1624). Returns false, with nothing changed,
/// when the TTL is used up (0 or 1) or there is no header.
#[inline(always)]
pub fn decrement_ttl(packet: &mut [u8]) -> bool {
    // TTL, protocol and checksum as one number. The word of TTL and protocol loses 0x0100,
    // so the checksum gains it, which is 1 where its octets are swapped (RFC 1071, 2 B).
    const CHECKSUM: u32 = 1 << 16;
    let Some(word) = packet
        .first_chunk_mut::<HEADER_OCTETS>()
        .and_then(|header| header[TTL..].first_chunk_mut())
    else {
        return false;
    };
    let before = u32::from_le_bytes(*word);
    if before & 0xff <= 1 {
        return false;
    }
    let mut after = (before - 1).wrapping_add(CHECKSUM);
    if before / CHECKSUM >= 0xfffe {
        // The carry is added back in; 0xffff becomes 0, as it does in RFC 1624, 3, equation 3.
        after = after.wrapping_add(CHECKSUM);
    }
    *word = after.to_le_bytes();
    true
}

/// Writes the checksum of the header at the start of `packet`, options
/// included. Does nothing when the header is not whole.
pub(crate) fn write_checksum(packet: &mut [u8]) {
    let header_octets = packet
        .first()
        .map_or(0, |octet| usize::from(octet & 0xf) * 4);
    if header_octets < HEADER_OCTETS {
        return;
    }
    if let Some(header) = packet.get_mut(..header_octets) {
        header[10..12].fill(0);
        let checksum = checksum::finish(checksum::sum(header)).to_be_bytes();
        header[10..12].copy_from_slice(&checksum);
    }
}

/// A header without options of a packet that starts here: DF clear,
/// [`DEFAULT_TTL`], checksum right.
#[must_use]
pub fn header(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: u8,
    total_octets: u16,
    identification: u16,
) -> [u8; HEADER_OCTETS] {
    let mut header = [0; HEADER_OCTETS];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&total_octets.to_be_bytes());
    header[4..6].copy_from_slice(&identification.to_be_bytes());
    header[8] = DEFAULT_TTL;
    header[9] = protocol;
    header[12..16].copy_from_slice(&source.octets());
    header[16..].copy_from_slice(&destination.octets());
    write_checksum(&mut header);
    header
}

/// A whole UDP packet for the control thread to send, both checksums right, DF
/// clear. A payload of more than 65 507 octets fits no packet: the result is
/// empty.
#[must_use]
pub fn udp_packet(
    source: SocketAddrV4,
    destination: SocketAddrV4,
    payload: &[u8],
    identification: u16,
) -> Vec<u8> {
    let Ok(total_octets) = u16::try_from(HEADER_OCTETS + udp::HEADER_OCTETS + payload.len()) else {
        return Vec::new();
    };
    let mut packet = Vec::with_capacity(usize::from(total_octets));
    packet.extend(header(
        *source.ip(),
        *destination.ip(),
        PROTOCOL_UDP,
        total_octets,
        identification,
    ));
    packet.extend(udp::header(source.into(), destination.into(), payload));
    packet.extend(payload);
    packet
}

/// Sets DF in a packet of ours: whoever cannot forward it whole drops it.
pub fn forbid_fragmentation(packet: &mut [u8]) {
    const DONT_FRAGMENT: u8 = 0x40;
    if let Some(flags) = packet.get_mut(6) {
        *flags |= DONT_FRAGMENT;
        write_checksum(packet);
    }
}

/// The total length that the header at the start of `packet` gives, when the
/// header and that many octets are there. Checks no checksum: for packets that
/// were parsed before.
#[inline]
pub(crate) fn extent(packet: &[u8]) -> Option<(usize, usize)> {
    let header_octets = usize::from(packet.first()? & 0xf) * 4;
    let total_octets = usize::from(u16_at(packet, 2)?);
    let whole = header_octets >= HEADER_OCTETS
        && header_octets <= total_octets
        && total_octets <= packet.len();
    whole.then_some((header_octets, total_octets))
}
