//! Ethernet II frames.

/// Octets of a header without a VLAN tag.
pub const HEADER_OCTETS: usize = 14;

/// Octets of both addresses, which a header begins with.
pub const ADDRESSES_OCTETS: usize = 12;

/// Octets of an EtherType.
pub const TYPE_OCTETS: usize = 2;

pub const ETHER_TYPE_IPV4: u16 = 0x0800;
pub const ETHER_TYPE_ARP: u16 = 0x0806;
pub const ETHER_TYPE_VLAN: u16 = 0x8100;
pub const ETHER_TYPE_IPV6: u16 = 0x86dd;
pub const ETHER_TYPE_PPPOE_DISCOVERY: u16 = 0x8863;
pub const ETHER_TYPE_PPPOE_SESSION: u16 = 0x8864;

/// The address of every station.
pub const BROADCAST: [u8; 6] = [0xff; 6];

/// How the group addresses of IPv6 start (RFC 2464, 7).
pub const IPV6_MULTICAST: [u8; 2] = [0x33, 0x33];

/// The EtherType of an IP packet, by its version.
#[inline]
#[must_use]
pub fn ether_type_of(packet: &[u8]) -> u16 {
    match packet.first() {
        Some(octet) if octet >> 4 == 6 => ETHER_TYPE_IPV6,
        _ => ETHER_TYPE_IPV4,
    }
}

/// A header without a VLAN tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet {
    pub destination: [u8; 6],
    pub source: [u8; 6],
    pub ether_type: u16,
}

/// Reads the header at the start of `frame`; `None` when the frame is shorter.
#[inline]
#[must_use]
pub fn parse(frame: &[u8]) -> Option<Ethernet> {
    let &[d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] =
        frame.first_chunk::<HEADER_OCTETS>()?;
    Some(Ethernet {
        destination: [d0, d1, d2, d3, d4, d5],
        source: [s0, s1, s2, s3, s4, s5],
        ether_type: u16::from_be_bytes([t0, t1]),
    })
}

impl Ethernet {
    /// The header as it stands on the wire.
    #[inline]
    #[must_use]
    pub fn octets(&self) -> [u8; HEADER_OCTETS] {
        let mut octets = [0; HEADER_OCTETS];
        octets[..6].copy_from_slice(&self.destination);
        octets[6..12].copy_from_slice(&self.source);
        octets[12..].copy_from_slice(&self.ether_type.to_be_bytes());
        octets
    }

    /// Writes the header to the start of `frame`. Returns false, with nothing
    /// written, when there is no room for it.
    #[inline]
    pub fn write(&self, frame: &mut [u8]) -> bool {
        let Some(header) = frame.first_chunk_mut() else {
            return false;
        };
        *header = self.octets();
        true
    }
}
