//! The HA header, version 1, that stands in the offset padding of a data
//! message, and the report that travels the same way.
//!
//! ```text
//! octet  0      version (high nibble, 1) and kind (low nibble): 0 data, 1 report
//!        1      flags
//!        2-5    epoch: the sender's incarnation of the set
//!        6-11   number, one series for each set and direction
//! ```

use crate::counters::Drop;

use super::{l2tp, ppp};

/// Octets of the header, which is all of the padding of a data packet.
pub const OCTETS: usize = 12;

/// Numbers of an epoch: 48 bits.
pub const NUMBER_MASK: u64 = (1 << 48) - 1;

/// More pieces of the packet follow.
pub const FLAG_MORE_PIECES: u8 = 0x01;
/// Not the first piece of the packet. The PPP protocol stands in the first one
/// alone; those that follow are the packet's octets and nothing else.
pub const FLAG_NOT_FIRST_PIECE: u8 = 0x02;
/// Encrypted.
pub const FLAG_SEALED: u8 = 0x80;

/// Flags of data that are understood. A packet with another one is refused: to
/// read a sealed packet as a plain one would deliver garbage.
pub const SUPPORTED_FLAGS: u8 = FLAG_MORE_PIECES | FLAG_NOT_FIRST_PIECE;

const VERSION: u8 = 1;

/// What follows the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A PPP frame with the inner packet, or a piece of it: see [`FLAG_NOT_FIRST_PIECE`].
    Data = 0,
    /// A [`Report`].
    Report = 1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HaHeader {
    pub kind: Kind,
    pub flags: u8,
    /// The sender's incarnation of the set.
    pub epoch: u32,
    /// 48 bits.
    pub number: u64,
}

impl HaHeader {
    /// Reads the header at the start of an offset padding.
    ///
    /// # Errors
    /// [`Drop::BadHaHeader`] for another version, kind or flag, and for a
    /// padding that is shorter, or longer when it is data.
    #[inline]
    pub fn parse(padding: &[u8]) -> Result<Self, Drop> {
        let &[first, flags, e0, e1, e2, e3, n0, n1, n2, n3, n4, n5] =
            padding.first_chunk().ok_or(Drop::BadHaHeader)?;
        let kind = match (first >> 4, first & 0xf) {
            (VERSION, 0) if padding.len() == OCTETS => Kind::Data,
            (VERSION, 1) => Kind::Report,
            _ => return Err(Drop::BadHaHeader),
        };
        let supported = match kind {
            Kind::Data => SUPPORTED_FLAGS,
            Kind::Report => 0,
        };
        if flags & !supported != 0 {
            return Err(Drop::BadHaHeader);
        }
        Ok(Self {
            kind,
            flags,
            epoch: u32::from_be_bytes([e0, e1, e2, e3]),
            number: u64::from_be_bytes([0, 0, n0, n1, n2, n3, n4, n5]),
        })
    }

    /// The header as it stands on the wire; of the number, the low 48 bits.
    #[inline]
    #[must_use]
    pub fn octets(&self) -> [u8; OCTETS] {
        let [e0, e1, e2, e3] = self.epoch.to_be_bytes();
        let [_, _, n0, n1, n2, n3, n4, n5] = self.number.to_be_bytes();
        let first = VERSION << 4 | self.kind as u8;
        [first, self.flags, e0, e1, e2, e3, n0, n1, n2, n3, n4, n5]
    }

    /// Writes the header to the start of `padding`. Returns false, with
    /// nothing written, when there is no room for it.
    #[inline]
    pub fn write(&self, padding: &mut [u8]) -> bool {
        let Some(header) = padding.first_chunk_mut() else {
            return false;
        };
        *header = self.octets();
        true
    }
}

/// What one end says of one link, once a second and when a link joins or
/// leaves. Times are the sender's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    pub epoch: u32,
    /// The number that the set's next packet will have (in the HA header's field).
    pub next_number: u64,
    /// The first number from which on every one was this link's to carry.
    pub joined_number: u64,
    /// Copies handed to this link since then.
    pub copies: u64,
    pub sent_at_us: u64,
    /// `sent_at_us` of the peer's last report on this link; 0 before the first.
    pub echo_us: u64,
    /// Time from the arrival of that report to the sending of this one.
    pub echo_delay_us: u32,
    /// Copies since `joined_number` that the link's `speed` had no room for.
    pub over_speed: u64,
    /// Copies since then that did not leave for another reason: a full ring, a port that is down.
    pub not_sent: u64,
    /// This link is given nothing from `next_number` on.
    pub is_last: bool,
    /// This report was brought to a wanted length, to see whether it arrives.
    pub is_probe: bool,
    /// `sent_at_us` of the last such report that came from the peer on this link; 0 before the first, not
    /// given by who does not tell.
    pub heard_probe_us: Option<u64>,
    /// The sender has masked the link for a drill: it neither sends nor takes copies on it.
    pub is_masked: bool,
    /// Nothing of what is sent to the sender over the link arrives there.
    pub is_deaf: bool,
    /// The receiver has masked the link, and the sender has no other that it could rely on.
    pub is_needed: bool,
}

impl Report {
    /// Octets of the offset padding: the HA header, then eight fields.
    pub const OCTETS: usize = Self::FIRST_OCTETS + 25;

    /// What stands in an IP packet with a report besides the IP header and what
    /// fills it: UDP, L2TP, the report, PPP with the Discard-Request's header.
    pub const PACKET_OCTETS: usize = 8 + 8 + Self::OCTETS + 4 + 8;

    const IS_LAST: u8 = 0x01;
    const IS_PROBE: u8 = 0x02;
    const IS_MASKED: u8 = 0x04;
    const IS_DEAF: u8 = 0x08;
    const IS_NEEDED: u8 = 0x10;

    /// The same of those that end with `echo_delay_us`.
    const FIRST_OCTETS: usize = OCTETS + 36;

    /// Reads a report from an offset padding. Octets past the report are
    /// skipped, so that a later version may say more. One that ends with
    /// `echo_delay_us` says in all what was withheld, and not why.
    ///
    /// # Errors
    /// [`Drop::BadHaHeader`] when it is not a whole report.
    pub fn parse(padding: &[u8]) -> Result<Self, Drop> {
        let header = HaHeader::parse(padding)?;
        if header.kind != Kind::Report {
            return Err(Drop::BadHaHeader);
        }
        let field = |at: usize| {
            let octets = padding.get(at..)?.first_chunk();
            octets.map(|&octets| u64::from_be_bytes(octets))
        };
        let first = |at| field(at).ok_or(Drop::BadHaHeader);
        let delay = padding.get(44..).and_then(|octets| octets.first_chunk());
        let (joined_number, copies) = (first(12)?, first(20)?);
        let given = header.number.saturating_sub(joined_number);
        let more = padding
            .get(64)
            .and_then(|&last| Some((field(48)?, field(56)?, last)));
        let (over_speed, not_sent, last) =
            more.unwrap_or_else(|| (0, given.saturating_sub(copies), 0));
        Ok(Self {
            epoch: header.epoch,
            next_number: header.number,
            joined_number,
            copies,
            sent_at_us: first(28)?,
            echo_us: first(36)?,
            echo_delay_us: u32::from_be_bytes(*delay.ok_or(Drop::BadHaHeader)?),
            over_speed,
            not_sent,
            is_last: last & Self::IS_LAST != 0,
            is_probe: last & Self::IS_PROBE != 0,
            heard_probe_us: field(65),
            is_masked: last & Self::IS_MASKED != 0,
            is_deaf: last & Self::IS_DEAF != 0,
            is_needed: last & Self::IS_NEEDED != 0,
        })
    }

    /// Copies since `joined_number` that the peer kept to itself.
    #[must_use]
    pub fn withheld(&self) -> u64 {
        self.over_speed.saturating_add(self.not_sent)
    }

    /// The offset padding: HA header and body.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::OCTETS] {
        let header = HaHeader {
            kind: Kind::Report,
            flags: 0,
            epoch: self.epoch,
            number: self.next_number,
        };
        let mut padding = [0; Self::OCTETS];
        padding[..12].copy_from_slice(&header.octets());
        padding[12..20].copy_from_slice(&self.joined_number.to_be_bytes());
        padding[20..28].copy_from_slice(&self.copies.to_be_bytes());
        padding[28..36].copy_from_slice(&self.sent_at_us.to_be_bytes());
        padding[36..44].copy_from_slice(&self.echo_us.to_be_bytes());
        padding[44..48].copy_from_slice(&self.echo_delay_us.to_be_bytes());
        padding[48..56].copy_from_slice(&self.over_speed.to_be_bytes());
        padding[56..64].copy_from_slice(&self.not_sent.to_be_bytes());
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        padding[64] = flag(self.is_last, Self::IS_LAST)
            | flag(self.is_probe, Self::IS_PROBE)
            | flag(self.is_masked, Self::IS_MASKED)
            | flag(self.is_deaf, Self::IS_DEAF)
            | flag(self.is_needed, Self::IS_NEEDED);
        padding[65..73].copy_from_slice(&self.heard_probe_us.unwrap_or(0).to_be_bytes());
        padding
    }

    /// The whole L2TP message (a UDP payload) that carries the report. Its
    /// payload is an LCP Discard-Request (RFC 1661, 5.9) with our magic
    /// number, which every PPP receiver silently drops, and `filling_octets`
    /// of data in it, to bring the packet to a wanted length (at most 65 000,
    /// more is cut).
    #[must_use]
    pub fn message(
        &self,
        peer_tunnel: u16,
        peer_session: u16,
        magic: u32,
        filling_octets: usize,
    ) -> Vec<u8> {
        const DISCARD_REQUEST: u8 = 11;
        const DISCARD_HEADER_OCTETS: usize = 8;
        let discard_octets = DISCARD_HEADER_OCTETS + filling_octets.min(65_000);
        let mut message = Vec::with_capacity(8 + Self::OCTETS + 4 + discard_octets);
        message.extend((l2tp::FLAG_OFFSET | l2tp::VERSION).to_be_bytes());
        message.extend(peer_tunnel.to_be_bytes());
        message.extend(peer_session.to_be_bytes());
        message.extend((Self::OCTETS as u16).to_be_bytes());
        message.extend(self.encode());
        // LCP always goes with address and control (RFC 1661, 6.6).
        message.extend(ppp::ADDRESS_CONTROL);
        message.extend(ppp::PROTOCOL_LCP.to_be_bytes());
        // Nothing answers it, so its identifier says nothing.
        message.extend([DISCARD_REQUEST, 0]);
        message.extend((discard_octets as u16).to_be_bytes());
        message.extend(magic.to_be_bytes());
        message.resize(8 + Self::OCTETS + 4 + discard_octets, 0);
        message
    }
}
