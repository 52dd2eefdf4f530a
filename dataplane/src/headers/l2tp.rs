//! The L2TPv2 header (RFC 2661, 3.1).

use std::ops::Range;

use crate::counters::Drop;

use super::u16_at;

/// T: a control message.
pub const FLAG_CONTROL: u16 = 0x8000;
/// L: a length field follows.
pub const FLAG_LENGTH: u16 = 0x4000;
/// S: Ns and Nr follow.
pub const FLAG_SEQUENCE: u16 = 0x0800;
/// O: an offset size field and its padding follow.
pub const FLAG_OFFSET: u16 = 0x0200;
/// P: to be preferred in queues; nothing in the header depends on it.
pub const FLAG_PRIORITY: u16 = 0x0100;
/// Of the flags word, the bits that hold the version.
pub const VERSION_MASK: u16 = 0x000f;
/// L2TPv2. (1 is L2F, 3 is L2TPv3.)
pub const VERSION: u16 = 2;

/// What a UDP payload to the L2TP port holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum L2tp {
    /// A control message; its reader checks the rest of it.
    Control,
    Data(Data),
}

/// A data message. Offsets count from the start of the UDP payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    pub tunnel: u16,
    pub session: u16,
    /// Ns, with S. (Nr is reserved in data messages.)
    pub ns: Option<u16>,
    /// The offset padding; empty without O.
    pub padding_range: Range<usize>,
    /// Where the PPP frame starts.
    pub payload_offset: usize,
    /// Where it ends: what L says, else the end of the UDP payload.
    pub end: usize,
}

/// Reads an L2TP header in any of its forms.
///
/// # Errors
/// [`Drop::BadL2tp`] for another version and for a length field that is
/// shorter than the header, [`Drop::Truncated`] when the message ends before
/// its header, its offset padding or its length do.
#[inline]
pub fn parse(udp_payload: &[u8]) -> Result<L2tp, Drop> {
    let flags = u16_at(udp_payload, 0).ok_or(Drop::Truncated)?;
    // The version comes first: what another protocol says of its length means nothing here.
    if flags & VERSION_MASK != VERSION {
        return Err(Drop::BadL2tp);
    }
    if flags & FLAG_CONTROL != 0 {
        return Ok(L2tp::Control);
    }
    let mut at = 2;
    let mut message = udp_payload;
    if flags & FLAG_LENGTH != 0 {
        let length = usize::from(u16_at(udp_payload, at).ok_or(Drop::Truncated)?);
        message = udp_payload.get(..length).ok_or(Drop::Truncated)?;
        at += 2;
    }
    let short = if flags & FLAG_LENGTH != 0 {
        Drop::BadL2tp
    } else {
        Drop::Truncated
    };
    let tunnel = u16_at(message, at).ok_or(short)?;
    let session = u16_at(message, at + 2).ok_or(short)?;
    at += 4;
    let mut ns = None;
    if flags & FLAG_SEQUENCE != 0 {
        ns = Some(u16_at(message, at).ok_or(short)?);
        at += 4;
    }
    let mut padding_octets = 0;
    if flags & FLAG_OFFSET != 0 {
        padding_octets = usize::from(u16_at(message, at).ok_or(short)?);
        at += 2;
    }
    let payload_offset = at + padding_octets;
    if payload_offset > message.len() {
        return Err(short);
    }
    Ok(L2tp::Data(Data {
        tunnel,
        session,
        ns,
        padding_range: at..payload_offset,
        payload_offset,
        end: message.len(),
    }))
}
