//! Fragmentation of IPv4 packets (RFC 791, 2.3 and 3.2).

use std::ops::Range;

use crate::headers::ipv4::{
    self, DONT_FRAGMENT, FRAGMENT_OFFSET, HEADER_OCTETS, MAX_HEADER_OCTETS, MORE_FRAGMENTS,
};

/// The smallest MTU: every module forwards 68 octets whole (RFC 791, 3.2).
pub const MIN_MTU: u16 = 68;

const OPTION_END: u8 = 0;
const OPTION_NOP: u8 = 1;
/// Of an option's type, the bit that asks for a copy in every fragment.
const OPTION_COPIED: u8 = 0x80;

/// Why a packet was not fragmented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FragmentError {
    /// It is larger than the MTU and has DF set.
    DontFragment,
    /// The MTU is below [`MIN_MTU`].
    MtuTooSmall,
    /// It has no whole header, one that cannot be taken, is shorter than its total length, or reaches
    /// past the end of the largest datagram.
    Malformed,
}

/// One fragment: a header of its own, and a part of the original's payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    header: [u8; MAX_HEADER_OCTETS],
    header_octets: usize,
    /// Where its payload lies in the original packet.
    pub payload_range: Range<usize>,
}

impl Fragment {
    /// One with these headers, of at most 60 octets.
    pub(super) fn new(headers: &[u8], payload_range: Range<usize>) -> Self {
        let mut header = [0; MAX_HEADER_OCTETS];
        header[..headers.len()].copy_from_slice(headers);
        Self {
            header,
            header_octets: headers.len(),
            payload_range,
        }
    }

    /// The header, checksum and all.
    #[inline]
    #[must_use]
    pub fn header(&self) -> &[u8] {
        &self.header[..self.header_octets]
    }
}

/// A header with its options, of a length of its own.
#[derive(Clone, Copy, Debug)]
struct Header {
    octets: [u8; MAX_HEADER_OCTETS],
    length: usize,
}

/// The fragments of one packet, in order.
#[derive(Clone, Debug)]
pub struct Fragments {
    mtu: usize,
    /// Header of the next fragment; its length, flags and checksum are yet to be set.
    header: Header,
    /// Header of those after the first: only the options that are copied.
    later_header: Header,
    flags: u16,
    /// Offset of the next payload octet in the datagram, in units of eight
    /// octets: not 0 at the start when the packet is a fragment itself.
    offset_units: u16,
    /// What is left of the payload; `None` when all fragments were given out.
    payload: Option<Range<usize>>,
}

/// Cuts the IPv4 `packet`, which was parsed before, into fragments that fit
/// `mtu`. One that fits gives one fragment, the same as itself. A fragment is
/// cut further.
///
/// # Errors
/// See [`FragmentError`].
pub fn fragment(packet: &[u8], mtu: u16) -> Result<Fragments, FragmentError> {
    if mtu < MIN_MTU {
        return Err(FragmentError::MtuTooSmall);
    }
    let (length, total_octets) = ipv4::extent(packet).ok_or(FragmentError::Malformed)?;
    let flags = u16::from_be_bytes([packet[6], packet[7]]);
    if total_octets > usize::from(mtu) && flags & DONT_FRAGMENT != 0 {
        return Err(FragmentError::DontFragment);
    }
    let offset_units = flags & FRAGMENT_OFFSET;
    if usize::from(offset_units) * 8 + total_octets > usize::from(u16::MAX) {
        return Err(FragmentError::Malformed);
    }
    let mut octets = [0; MAX_HEADER_OCTETS];
    octets[..length].copy_from_slice(&packet[..length]);
    let header = Header { octets, length };
    Ok(Fragments {
        mtu: usize::from(mtu),
        header,
        later_header: later_header(&header),
        flags: flags & !FRAGMENT_OFFSET,
        offset_units,
        payload: Some(length..total_octets),
    })
}

impl Iterator for Fragments {
    type Item = Fragment;

    fn next(&mut self) -> Option<Fragment> {
        let Range { start, end } = self.payload.take()?;
        let Header { mut octets, length } = self.header;
        let room = self.mtu - length;
        let mut flags = self.flags | self.offset_units;
        let mut cut = end;
        if end - start > room {
            // All but the last carry a multiple of eight octets.
            cut = start + (room & !7);
            flags |= MORE_FRAGMENTS;
            self.offset_units += ((cut - start) / 8) as u16;
            self.header = self.later_header;
            self.payload = Some(cut..end);
        }
        let total_octets = (length + cut - start) as u16;
        octets[2..4].copy_from_slice(&total_octets.to_be_bytes());
        octets[6..8].copy_from_slice(&flags.to_be_bytes());
        ipv4::write_checksum(&mut octets);
        Some(Fragment {
            header: octets,
            header_octets: length,
            payload_range: start..cut,
        })
    }
}

/// The header with the options that stand in every fragment (RFC 791, 3.1:
/// those with the copied flag), filled up with end-of-list to whole words.
/// Options behind a malformed one are left out.
fn later_header(first: &Header) -> Header {
    let mut octets = [OPTION_END; MAX_HEADER_OCTETS];
    octets[..HEADER_OCTETS].copy_from_slice(&first.octets[..HEADER_OCTETS]);
    let mut end = HEADER_OCTETS;
    let mut options = &first.octets[HEADER_OCTETS..first.length];
    while let Some((option, rest)) = split_option(options) {
        if option[0] & OPTION_COPIED != 0 {
            octets[end..end + option.len()].copy_from_slice(option);
            end += option.len();
        }
        options = rest;
    }
    let length = end.next_multiple_of(4);
    octets[0] = 0x40 | (length / 4) as u8;
    Header { octets, length }
}

/// The first option and what follows it; `None` at the end of the list.
fn split_option(options: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = match *options {
        [] | [OPTION_END, ..] => return None,
        [OPTION_NOP, ..] => 1,
        [_, length, ..] if length >= 2 => usize::from(length),
        _ => return None,
    };
    options.split_at_checked(length)
}
