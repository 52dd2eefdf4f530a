//! Tells the frames with an HA header from all others: what the numbers of a link are about.

/// What follows the HA header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HaFrame {
    /// A copy of a packet, or of a piece of one.
    Data,
    Report,
}

pub const ETHERNET_OCTETS: usize = 14;
const UDP_OCTETS: usize = 8;
const PROTOCOL_UDP: u8 = 17;
const IPV6_OCTETS: usize = 40;

impl HaFrame {
    /// Looks at an Ethernet frame: IPv4 or IPv6 without extension headers, UDP, L2TPv2 data with the O bit and nothing
    /// else, HA version 1.
    pub fn of(frame: &[u8]) -> Option<Self> {
        let packet = frame.get(ETHERNET_OCTETS..)?;
        let (header_octets, protocol) = match (&frame[12..14], packet.first()? >> 4) {
            ([0x08, 0x00], 4) => (usize::from(packet[0] & 0xf) * 4, *packet.get(9)?),
            ([0x86, 0xdd], 6) => (IPV6_OCTETS, *packet.get(6)?),
            _ => return None,
        };
        let l2tp = packet.get(header_octets + UDP_OCTETS..)?;
        if protocol != PROTOCOL_UDP || l2tp.get(..2)? != [0x02, 0x02] {
            return None;
        }
        match l2tp.get(8)? {
            0x10 => Some(Self::Data),
            0x11 => Some(Self::Report),
            _ => None,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An Ethernet frame with an L2TP message that begins with these octets.
    pub(crate) fn frame(ipv6: bool, message: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 12];
        if ipv6 {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 17]);
            frame.resize(14 + 40 + 8, 0);
        } else {
            frame.extend([0x08, 0x00, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17]);
            frame[14 + 8..].copy_from_slice(&[64, 17]);
            frame.resize(14 + 20 + 8, 0);
        }
        frame.extend(message);
        frame
    }

    pub(crate) const DATA: [u8; 9] = [0x02, 0x02, 0, 1, 0, 2, 0, 12, 0x10];
    pub(crate) const REPORT: [u8; 9] = [0x02, 0x02, 0, 1, 0, 2, 0, 48, 0x11];

    #[test]
    fn data_and_reports_are_told_from_the_rest() {
        for ipv6 in [false, true] {
            assert_eq!(HaFrame::of(&frame(ipv6, &DATA)), Some(HaFrame::Data));
            assert_eq!(HaFrame::of(&frame(ipv6, &REPORT)), Some(HaFrame::Report));
            // An LCP echo, a control message, another version.
            for other in [
                &[0x00, 0x02, 0, 1, 0, 2, 0xff, 0x03, 0xc0, 0x21][..],
                &[0xc8, 0x02, 0, 20, 0, 1, 0, 0, 0, 0, 0, 0],
                &[0x02, 0x02, 0, 1, 0, 2, 0, 12, 0x20],
                &[],
            ] {
                assert_eq!(HaFrame::of(&frame(ipv6, other)), None, "{other:?}");
            }
        }
        assert_eq!(HaFrame::of(&[]), None);
    }
}
