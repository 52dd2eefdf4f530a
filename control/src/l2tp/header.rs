//! The control message header (RFC 2661 section 3.1).

/// Octets of a control header: flags, length, tunnel id, session id, Ns, Nr.
pub const CONTROL_HEADER_OCTETS: usize = 12;

const TYPE: u16 = 0x8000;
const LENGTH: u16 = 0x4000;
const SEQUENCE: u16 = 0x0800;
const OFFSET: u16 = 0x0200;
const PRIORITY: u16 = 0x0100;
const VERSION_MASK: u16 = 0x000f;
const VERSION: u16 = 2;

/// A control header. The ids are the *recipient's*: what the recipient
/// assigned, or 0 when the sender does not know it yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlHeader {
    pub tunnel_id: u16,
    pub session_id: u16,
    /// Number of this message (RFC 2661 section 5.8).
    pub ns: u16,
    /// Number of the message expected next from the recipient.
    pub nr: u16,
}

/// Why octets are not an L2TPv2 control message. They are discarded without
/// an answer (RFC 2661 section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderError {
    /// Fewer octets than a control header has.
    TooShort,
    /// The T bit is clear: a data message.
    NotControl,
    /// Version 1 is L2F, version 3 is L2TPv3 (RFC 3931).
    Version(u8),
    /// L or S is clear, or O or P is set.
    Flags,
    /// The length is smaller than the header or larger than the datagram.
    Length,
}

impl core::fmt::Display for HeaderError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooShort => formatter.write_str("shorter than a control header"),
            Self::NotControl => formatter.write_str("not a control message"),
            Self::Version(version) => write!(formatter, "version {version} is not L2TPv2"),
            Self::Flags => formatter.write_str("the flags are not those of a control message"),
            Self::Length => formatter.write_str("the length does not fit the datagram"),
        }
    }
}

impl core::error::Error for HeaderError {}

fn be16(octets: &[u8], at: usize) -> Option<u16> {
    let pair = octets.get(at..at + 2)?;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}

impl ControlHeader {
    /// Splits a UDP payload into header and AVPs. Octets past the header's
    /// length are padding and left out; reserved bits are ignored.
    ///
    /// # Errors
    /// [`HeaderError`]; the version is looked at before the length.
    pub fn parse(payload: &[u8]) -> Result<(Self, &[u8]), HeaderError> {
        let flags = be16(payload, 0).ok_or(HeaderError::TooShort)?;
        if flags & TYPE == 0 {
            return Err(HeaderError::NotControl);
        }
        if flags & VERSION_MASK != VERSION {
            return Err(HeaderError::Version((flags & VERSION_MASK) as u8));
        }
        if flags & (LENGTH | SEQUENCE) != LENGTH | SEQUENCE || flags & (OFFSET | PRIORITY) != 0 {
            return Err(HeaderError::Flags);
        }
        let field = |at| be16(payload, at).ok_or(HeaderError::TooShort);
        let header = Self {
            tunnel_id: field(4)?,
            session_id: field(6)?,
            ns: field(8)?,
            nr: field(10)?,
        };
        let length = usize::from(field(2)?);
        let body = payload
            .get(CONTROL_HEADER_OCTETS..length)
            .ok_or(HeaderError::Length)?;
        Ok((header, body))
    }

    /// The datagram of this header and `body`; an empty body is a ZLB
    /// (RFC 2661 section 5.8). A body that does not fit the 16-bit length is cut.
    #[must_use]
    pub fn datagram(&self, body: &[u8]) -> Vec<u8> {
        let body = &body[..body
            .len()
            .min(usize::from(u16::MAX) - CONTROL_HEADER_OCTETS)];
        let octets = CONTROL_HEADER_OCTETS + body.len();
        let mut datagram = Vec::with_capacity(octets);
        for field in [
            TYPE | LENGTH | SEQUENCE | VERSION,
            octets as u16,
            self.tunnel_id,
            self.session_id,
            self.ns,
            self.nr,
        ] {
            datagram.extend_from_slice(&field.to_be_bytes());
        }
        datagram.extend_from_slice(body);
        datagram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZLB: [u8; 12] = [0xc8, 2, 0, 12, 0, 5, 0, 0, 0, 7, 0, 9];

    #[test]
    fn a_zlb_round_trips_and_padding_past_the_length_is_left_out() {
        let (header, body) = ControlHeader::parse(&ZLB).unwrap();
        let expected = ControlHeader {
            tunnel_id: 5,
            session_id: 0,
            ns: 7,
            nr: 9,
        };
        assert_eq!((header, body), (expected, &[][..]));
        assert_eq!(header.datagram(&[]), ZLB);
        let mut padded = ZLB.to_vec();
        padded.extend_from_slice(&[1, 2, 3]);
        assert_eq!(ControlHeader::parse(&padded), Ok((header, &[][..])));
    }

    #[test]
    fn every_bad_header_has_its_name() {
        let with = |at: usize, octet: u8| {
            let mut octets = ZLB;
            octets[at] = octet;
            ControlHeader::parse(&octets).map(|_| ()).unwrap_err()
        };
        assert_eq!(with(0, 0x48), HeaderError::NotControl);
        assert_eq!(with(1, 1), HeaderError::Version(1));
        assert_eq!(with(1, 3), HeaderError::Version(3));
        assert_eq!(with(0, 0x88), HeaderError::Flags, "L clear");
        assert_eq!(with(0, 0xc0), HeaderError::Flags, "S clear");
        assert_eq!(with(0, 0xca), HeaderError::Flags, "O set");
        assert_eq!(with(0, 0xc9), HeaderError::Flags, "P set");
        assert_eq!(with(3, 11), HeaderError::Length);
        assert_eq!(with(3, 13), HeaderError::Length);
        assert_eq!(with(2, 0xff), HeaderError::Length);
        for octets in 0..12 {
            let error = ControlHeader::parse(&ZLB[..octets])
                .map(|_| ())
                .unwrap_err();
            assert_eq!(error, HeaderError::TooShort, "{octets} octets");
        }
    }

    #[test]
    fn the_version_is_looked_at_before_the_length() {
        let l2f = [0xc8, 1, 0xff, 0xff];
        assert_eq!(ControlHeader::parse(&l2f), Err(HeaderError::Version(1)));
    }

    #[test]
    fn reserved_bits_are_ignored() {
        let mut octets = ZLB;
        octets[0] |= 0x34;
        octets[1] |= 0xf0;
        assert!(ControlHeader::parse(&octets).is_ok());
    }
}
