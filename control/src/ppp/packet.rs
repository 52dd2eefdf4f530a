//! PPP frames and the packet form that LCP, the NCPs, PAP and CHAP share.
use std::borrow::Cow;

/// PPP protocol numbers (IANA "PPP DLL Protocol Numbers").
pub(super) mod protocol {
    pub(in crate::ppp) const IPV4: u16 = 0x0021;
    pub(in crate::ppp) const IPV6: u16 = 0x0057;
    pub(in crate::ppp) const IPCP: u16 = 0x8021;
    pub(in crate::ppp) const IPV6CP: u16 = 0x8057;
    pub(in crate::ppp) const LCP: u16 = 0xc021;
    pub(in crate::ppp) const PAP: u16 = 0xc023;
    pub(in crate::ppp) const CHAP: u16 = 0xc223;
}

/// Codes of LCP and the NCPs (RFC 1661 5, RFC 1570 2).
pub(super) mod code {
    pub(in crate::ppp) const CONFIGURE_REQUEST: u8 = 1;
    pub(in crate::ppp) const CONFIGURE_ACK: u8 = 2;
    pub(in crate::ppp) const CONFIGURE_NAK: u8 = 3;
    pub(in crate::ppp) const CONFIGURE_REJECT: u8 = 4;
    pub(in crate::ppp) const TERMINATE_REQUEST: u8 = 5;
    pub(in crate::ppp) const TERMINATE_ACK: u8 = 6;
    pub(in crate::ppp) const CODE_REJECT: u8 = 7;
    pub(in crate::ppp) const PROTOCOL_REJECT: u8 = 8;
    pub(in crate::ppp) const ECHO_REQUEST: u8 = 9;
    pub(in crate::ppp) const ECHO_REPLY: u8 = 10;
    /// Time-Remaining (RFC 1570 2.2), the last code we know; Discard-Request
    /// and Identification lie before it.
    pub(in crate::ppp) const TIME_REMAINING: u8 = 13;
}

/// Octets of code, identifier and length.
pub(super) const HEADER_OCTETS: usize = 4;

/// Splits a frame into its protocol and its information field.
///
/// Address and control (FF 03) may be there or not, the protocol may be
/// compressed to one octet (RFC 1661 6.5, 6.6): both forms are always received.
pub(super) fn split(frame: &[u8]) -> Option<(u16, &[u8])> {
    let frame = frame.strip_prefix(&[0xff, 0x03]).unwrap_or(frame);
    match frame {
        [low, rest @ ..] if low & 1 == 1 => Some((u16::from(*low), rest)),
        [high, low, rest @ ..] => Some((u16::from_be_bytes([*high, *low]), rest)),
        _ => None,
    }
}

/// Why an information field is not a packet; such frames are silently discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PacketError {
    /// Fewer than four octets.
    Short,
    /// The Length field is below four or goes past the end of the frame.
    Length(u16),
}

/// One packet of LCP, an NCP, PAP or CHAP (RFC 1661 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) code: u8,
    pub(super) id: u8,
    pub(super) data: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a packet; octets past its Length are padding (RFC 1661 5).
    pub(super) fn parse(information: &'a [u8]) -> Result<Self, PacketError> {
        let [code, id, high, low, rest @ ..] = information else {
            return Err(PacketError::Short);
        };
        let length = u16::from_be_bytes([*high, *low]);
        let data = usize::from(length)
            .checked_sub(HEADER_OCTETS)
            .and_then(|octets| rest.get(..octets))
            .ok_or(PacketError::Length(length))?;
        Ok(Self {
            code: *code,
            id: *id,
            data,
        })
    }

    /// The packet as octets, with a Length that says what is there.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let most = usize::from(u16::MAX) - HEADER_OCTETS;
        let data = &self.data[..self.data.len().min(most)];
        let length = u16::try_from(HEADER_OCTETS + data.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&[self.code, self.id]);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(data);
    }
}

/// A frame from the PPP protocol field on, never compressed.
pub(super) fn frame(protocol: u16, code: u8, id: u8, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + HEADER_OCTETS + data.len());
    out.extend_from_slice(&protocol.to_be_bytes());
    Packet { code, id, data }.write(&mut out);
    out
}

/// Text of a peer, fit for a log line: control characters are replaced.
pub(crate) fn text(octets: &[u8]) -> String {
    let text: Cow<'_, str> = String::from_utf8_lossy(octets);
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_bad_length_is_refused() {
        for octets in 0..4 {
            assert_eq!(Packet::parse(&[1; 4][..octets]), Err(PacketError::Short));
        }
        for length in 0..4u8 {
            assert_eq!(
                Packet::parse(&[1, 2, 0, length, 9]),
                Err(PacketError::Length(length.into()))
            );
        }
        assert_eq!(Packet::parse(&[1, 2, 0, 6, 9]), Err(PacketError::Length(6)));
        assert_eq!(
            Packet::parse(&[1, 2, 0xff, 0xff, 9]),
            Err(PacketError::Length(0xffff))
        );
    }

    #[test]
    fn octets_past_the_length_are_padding() {
        let packet = Packet::parse(&[9, 7, 0, 5, 0xaa, 0xbb]).unwrap();
        assert_eq!(
            packet,
            Packet {
                code: 9,
                id: 7,
                data: &[0xaa]
            }
        );
    }

    #[test]
    fn both_forms_of_address_control_and_protocol() {
        for frame in [&[0xff, 3, 0xc0, 0x21, 1][..], &[0xc0, 0x21, 1]] {
            assert_eq!(split(frame), Some((protocol::LCP, &[1][..])));
        }
        for frame in [
            &[0xff, 3, 0x00, 0x21, 1][..],
            &[0x00, 0x21, 1],
            &[0x21, 1],
            &[0xff, 3, 0x21, 1],
        ] {
            assert_eq!(split(frame), Some((protocol::IPV4, &[1][..])));
        }
        for frame in [&[][..], &[0xc0], &[0xff, 3], &[0xff, 3, 0xc0]] {
            assert_eq!(split(frame), None);
        }
    }

    #[test]
    fn text_of_a_peer_cannot_forge_a_log_line() {
        assert_eq!(text(b"a\nb\x1b[\xff"), "a\u{fffd}b\u{fffd}[\u{fffd}");
    }

    proptest! {
        #[test]
        fn written_packets_read_back(code: u8, id: u8, data: Vec<u8>, padding: Vec<u8>) {
            let mut octets = frame(protocol::IPCP, code, id, &data);
            octets.extend(padding);
            let (protocol, information) = split(&octets).unwrap();
            prop_assert_eq!(protocol, protocol::IPCP);
            prop_assert_eq!(Packet::parse(information), Ok(Packet { code, id, data: &data }));
        }

        #[test]
        fn any_octets_are_split_and_parsed_without_panic(octets: Vec<u8>) {
            if let Some((_, information)) = split(&octets) {
                let _ = Packet::parse(information);
            }
        }
    }
}
