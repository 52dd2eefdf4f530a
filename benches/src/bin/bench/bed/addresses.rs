//! Who has which address on a bed.
//!
//! ```text
//! tester 192.168.1.10 ── lan .1.1  A  link i  10.0.i.1 ── 10.0.i.2  B  lan .2.1 ── 192.168.2.10 tester
//! ```
//!
//! Behind the tester at A's LAN there is a network `10.64+.x.0/24` for each set, and at B's LAN `10.128+.x.0/24`: what goes
//! from one to the other of set x goes through that set. On a bed without tunnels both are there, at A's two LANs.

use std::net::Ipv4Addr;

/// A hardware address.
pub(crate) type Mac = [u8; 6];

/// Which appliance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    A,
    B,
}

/// What a packet has for addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    /// Of the tester.
    pub(crate) source_mac: Mac,
    /// Of the appliance's LAN port.
    pub(crate) destination_mac: Mac,
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
}

impl Site {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// The appliance's in its LAN; what follows holds for A's second LAN too, as that of B.
    pub(crate) fn lan_address(self) -> Ipv4Addr {
        Ipv4Addr::new(192, 168, self.number(), 1)
    }

    /// The tester's in that LAN.
    pub(crate) fn tester_address(self) -> Ipv4Addr {
        Ipv4Addr::new(192, 168, self.number(), 10)
    }

    pub(crate) fn link_address(self, link: usize) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, link as u8, self.number())
    }

    pub(crate) fn lan_mac(self) -> Mac {
        mac(0x10 * self.number())
    }

    pub(crate) fn link_mac(self, link: usize) -> Mac {
        mac(0x10 * self.number() + link as u8)
    }

    pub(crate) fn tester_mac(self) -> Mac {
        mac(0xf0 + self.number())
    }

    /// All networks behind the tester at this LAN.
    pub(super) fn networks(self) -> &'static str {
        match self {
            Self::A => "10.64.0.0/10",
            Self::B => "10.128.0.0/10",
        }
    }

    /// That of a set.
    pub(super) fn network(self, set: usize) -> String {
        format!("{}/24", self.host(set, 0))
    }

    fn host(self, set: usize, number: u8) -> Ipv4Addr {
        let first: u8 = match self {
            Self::A => 64,
            Self::B => 128,
        };
        Ipv4Addr::new(10, first + (set >> 8) as u8, set as u8, number)
    }

    /// From a host behind this LAN to one behind the other, by way of a set.
    pub(crate) fn flow(self, set: usize) -> Flow {
        Flow {
            source_mac: self.tester_mac(),
            destination_mac: self.lan_mac(),
            source: self.host(set, 2),
            destination: self.other().host(set, 2),
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::A => 1,
            Self::B => 2,
        }
    }
}

/// B's own inside a set's tunnels.
pub(super) fn inner_address(set: usize) -> Ipv4Addr {
    Ipv4Addr::new(172, 16, (set >> 8) as u8, set as u8)
}

/// `02:00:00:00:00:11`.
pub(super) fn mac_text(mac: Mac) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}

fn mac(last: u8) -> Mac {
    [0x02, 0, 0, 0, 0, last]
}

impl Flow {
    /// A whole UDP packet in its frame of `octets` (without FCS), which ends in what is left of zeros; 42 octets at least.
    /// The UDP checksum is absent, so that the payload may be written over.
    pub(crate) fn frame(self, octets: usize) -> Vec<u8> {
        let length = (octets - ETHERNET_OCTETS) as u16;
        let mut frame = Vec::with_capacity(octets);
        frame.extend(self.destination_mac);
        frame.extend(self.source_mac);
        frame.extend([0x08, 0x00]);
        frame.extend([0x45, 0]);
        frame.extend(length.to_be_bytes());
        // No identification, no flags, TTL 64, UDP, no checksum yet.
        frame.extend([0, 0, 0, 0, 64, 17, 0, 0]);
        frame.extend(self.source.octets());
        frame.extend(self.destination.octets());
        frame.extend(PORTS.map(u16::to_be_bytes).concat());
        frame.extend((length - IPV4_OCTETS as u16).to_be_bytes());
        frame.resize(octets, 0);
        let header = &mut frame[ETHERNET_OCTETS..][..IPV4_OCTETS];
        let sum: u32 = header
            .chunks_exact(2)
            .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
            .sum();
        let folded = (sum & 0xffff) + (sum >> 16);
        let checksum = !(folded + (folded >> 16)) as u16;
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        frame
    }
}

const ETHERNET_OCTETS: usize = 14;
const IPV4_OCTETS: usize = 20;
/// Both mean nothing to anybody.
const PORTS: [u16; 2] = [5000, 5001];
