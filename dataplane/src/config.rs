//! What a data plane is started with.

use std::fmt;

use crate::command::PortId;
use crate::headers::{pppoe, vlan};

/// How workers wait for packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Poll {
    /// They poll without end.
    Busy,
    /// They sleep when there is nothing to do, for at most half a millisecond.
    #[default]
    Adaptive,
}

/// Where packet memory comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HugePages {
    /// Hugepages when enough of them are free, else ordinary pages.
    #[default]
    Auto,
    Yes,
    No,
}

impl From<HugePages> for dpdk::HugePages {
    fn from(pages: HugePages) -> Self {
        match pages {
            HugePages::Auto => Self::Auto,
            HugePages::Yes => Self::Yes,
            HugePages::No => Self::No,
        }
    }
}

/// What a port is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// A PCI address, as "0000:03:00.0".
    Pci(String),
    /// A Linux interface, by AF_PACKET.
    Interface(String),
    /// A DPDK virtual device with its arguments, as "net_null0,size=64".
    Vdev(String),
}

impl Device {
    /// Reads the configuration's word: a PCI address, a virtual device (its
    /// name starts with `net_` or `eth_`), else a Linux interface.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        if is_pci_address(word) {
            Self::Pci(word.to_owned())
        } else if word.starts_with("net_") || word.starts_with("eth_") {
            Self::Vdev(word.to_owned())
        } else {
            Self::Interface(word.to_owned())
        }
    }
}

/// `[domain:]bus:device.function`, hexadecimal.
fn is_pci_address(word: &str) -> bool {
    let Some((address, function)) = word.rsplit_once('.') else {
        return false;
    };
    let hexadecimal = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|octet| octet.is_ascii_hexdigit())
    };
    let parts: Vec<&str> = address.split(':').collect();
    let placed = match parts.as_slice() {
        [bus, device] => hexadecimal(bus, 2) && hexadecimal(device, 2),
        [domain, bus, device] => {
            hexadecimal(domain, 4) && hexadecimal(bus, 2) && hexadecimal(device, 2)
        }
        _ => false,
    };
    placed && hexadecimal(function, 1)
}

/// One port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSpec {
    pub name: String,
    pub device: Device,
    /// Queue pairs; by default one for each worker, as far as the device has them.
    pub queues: Option<u16>,
}

/// What stands around the frames of a logical port on its carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encapsulation {
    /// A VLAN tag (IEEE 802.1Q, TPID 0x8100) with this identifier, 1 to 4094.
    Vlan(u16),
    /// PPPoE's session stage (RFC 2516): IP packets alone, in the session that
    /// [`Command::SetPppoe`](crate::command::Command::SetPppoe) names.
    Pppoe,
}

impl Encapsulation {
    /// By how many octets a frame is longer on the carrier.
    #[must_use]
    pub fn octets(self) -> usize {
        match self {
            Self::Vlan(_) => vlan::TAG_OCTETS,
            Self::Pppoe => pppoe::OVERHEAD_OCTETS,
        }
    }
}

impl fmt::Display for Encapsulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vlan(identifier) => write!(f, "VLAN {identifier}"),
            Self::Pppoe => f.write_str("PPPoE"),
        }
    }
}

/// A port on a port. It has its carrier's hardware address and link, and counters of
/// its own; what it receives and sends its carriers count, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogicalPortSpec {
    pub name: String,
    /// A port, or a logical port that comes before this one.
    pub carrier: PortId,
    pub encapsulation: Encapsulation,
}

/// Everything that is chosen before the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Name in DPDK's log.
    pub program: String,
    /// One for each worker: the core that it is pinned to, if any.
    pub workers: Vec<Option<u32>>,
    pub poll: Poll,
    pub hugepages: HugePages,
    /// Memory for packets, MiB.
    pub memory_mib: u32,
    /// The largest inner packet that is put together of its pieces: the
    /// largest MTU of a set.
    pub largest_packet_octets: u16,
    /// Whether any set's packets are to be put into order, which takes buffers.
    pub ordering: bool,
    pub ports: Vec<PortSpec>,
    /// Their ids follow those of the ports.
    pub logical_ports: Vec<LogicalPortSpec>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_words_are_told_apart() {
        for word in ["0000:03:00.0", "03:00.1", "abcd:fe:1f.7"] {
            assert_eq!(Device::from_word(word), Device::Pci(word.to_owned()));
        }
        for word in [
            "net_null0",
            "net_ring0,nodeaction=x",
            "eth_af_packet0,iface=x",
        ] {
            assert_eq!(Device::from_word(word), Device::Vdev(word.to_owned()));
        }
        for word in [
            "eth0",
            "enp3s0",
            "eth0.100",
            "03:00",
            "lan:1.0",
            "0:03:00.0",
            "veth-a",
        ] {
            assert_eq!(Device::from_word(word), Device::Interface(word.to_owned()));
        }
    }
}
