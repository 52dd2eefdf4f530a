//! Fragmentation of IPv6 packets where they start (RFC 8200, 4.5): no router does it.

use std::ops::Range;

use crate::headers::ipv6::{
    self, HEADER_OCTETS, NEXT_FRAGMENT, NEXT_HOP_BY_HOP, NEXT_ROUTING, PAYLOAD_LENGTH,
};

use super::fragment::{Fragment, FragmentError};

const FRAGMENT_HEADER_OCTETS: usize = 8;
const HEADERS_OCTETS: usize = HEADER_OCTETS + FRAGMENT_HEADER_OCTETS;
const NEXT_HEADER: usize = 6;
const OFFSET: usize = HEADER_OCTETS + 2;
const IDENTIFICATION: usize = HEADER_OCTETS + 4;
const MORE_FRAGMENTS: u16 = 1;

/// The fragments of one packet, in order.
#[derive(Clone, Debug)]
pub struct FragmentsIpv6 {
    /// Largest payload of one, a multiple of eight octets.
    room: usize,
    /// Headers of the next fragment; lengths and offset are yet to be set.
    headers: [u8; HEADERS_OCTETS],
    /// What is left of the payload; `None` when all fragments were given out.
    payload: Option<Range<usize>>,
}

/// Cuts a `packet` of our own, which starts with its IPv6 header and has no
/// extension header that every fragment needs, into fragments that fit `mtu`.
/// One that fits gives one fragment.
///
/// # Errors
/// [`FragmentError::MtuTooSmall`] when the headers and eight octets do not fit,
/// [`FragmentError::Malformed`] when it is no such packet.
pub fn fragment_ipv6(
    packet: &[u8],
    mtu: u16,
    identification: u32,
) -> Result<FragmentsIpv6, FragmentError> {
    let room = usize::from(mtu).saturating_sub(HEADERS_OCTETS) & !7;
    if room == 0 {
        return Err(FragmentError::MtuTooSmall);
    }
    let header = ipv6::parse(packet).map_err(|_| FragmentError::Malformed)?;
    if matches!(
        header.next_header,
        NEXT_HOP_BY_HOP | NEXT_ROUTING | NEXT_FRAGMENT
    ) {
        return Err(FragmentError::Malformed);
    }
    let mut headers = [0; HEADERS_OCTETS];
    headers[..HEADER_OCTETS].copy_from_slice(&packet[..HEADER_OCTETS]);
    headers[NEXT_HEADER] = NEXT_FRAGMENT;
    headers[HEADER_OCTETS] = header.next_header;
    headers[IDENTIFICATION..].copy_from_slice(&identification.to_be_bytes());
    Ok(FragmentsIpv6 {
        room,
        headers,
        payload: Some(HEADER_OCTETS..header.total_octets),
    })
}

impl Iterator for FragmentsIpv6 {
    type Item = Fragment;

    fn next(&mut self) -> Option<Fragment> {
        let Range { start, end } = self.payload.take()?;
        // A multiple of eight, below 2^16.
        let offset = (start - HEADER_OCTETS) as u16;
        let cut = end.min(start + self.room);
        let mut word = offset;
        if cut < end {
            word |= MORE_FRAGMENTS;
            self.payload = Some(cut..end);
        }
        let payload_octets = (FRAGMENT_HEADER_OCTETS + cut - start) as u16;
        let mut headers = self.headers;
        headers[PAYLOAD_LENGTH..NEXT_HEADER].copy_from_slice(&payload_octets.to_be_bytes());
        headers[OFFSET..IDENTIFICATION].copy_from_slice(&word.to_be_bytes());
        Some(Fragment::new(&headers, start..cut))
    }
}
