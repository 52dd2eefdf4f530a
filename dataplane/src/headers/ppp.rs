//! The start of a PPP frame as L2TP carries it (RFC 1661 2 and 6.5, RFC 1662 3.1).

/// IPv4 (RFC 1332, 2.2).
pub const PROTOCOL_IPV4: u16 = 0x0021;
/// IPv6 (RFC 5072, 2).
pub const PROTOCOL_IPV6: u16 = 0x0057;
/// LCP (RFC 1661, 5).
pub const PROTOCOL_LCP: u16 = 0xc021;

/// Octets of the protocol field, uncompressed.
pub const PROTOCOL_OCTETS: usize = 2;

/// Address and control of an uncompressed frame.
pub const ADDRESS_CONTROL: [u8; 2] = [0xff, 0x03];

/// The protocol of an IP packet, by its version.
#[inline]
#[must_use]
pub fn protocol_of(packet: &[u8]) -> u16 {
    match packet.first() {
        Some(octet) if octet >> 4 == 6 => PROTOCOL_IPV6,
        _ => PROTOCOL_IPV4,
    }
}

/// The protocol of a frame, and how many octets stood before its information
/// field. Address and control are skipped if they are there, and a protocol
/// compressed to one octet is taken: both may come whatever was negotiated.
/// `None` when there is no protocol that could be valid (its last octet is
/// odd, any other is even).
#[inline]
#[must_use]
pub fn protocol(frame: &[u8]) -> Option<(u16, usize)> {
    let (skipped, frame) = match frame.strip_prefix(&ADDRESS_CONTROL) {
        Some(rest) => (ADDRESS_CONTROL.len(), rest),
        None => (0, frame),
    };
    match *frame {
        [last, ..] if last & 1 == 1 => Some((u16::from(last), skipped + 1)),
        [first, last, ..] if last & 1 == 1 => {
            Some((u16::from_be_bytes([first, last]), skipped + 2))
        }
        _ => None,
    }
}
