//! What the control thread asks of the workers: the first half of the small
//! vocabulary that `control` and `dataplane` share (the other is [`crate::event`]).
//!
//! Every worker receives every command, in order, over a ring of its own, and
//! owns the tables that the command changes. A command is a whole new value
//! for the thing it names, so that applying one twice changes nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::arrivals::Arrivals;
use crate::capture::CaptureSpec;
use crate::counters::{SessionCounters, SetCounters};
use crate::sequence::Sequence;
use crate::skew::FirstTimes;
use crate::speed::SpeedLimit;
use crate::window::Window;

/// A port, by its place in the configuration's list of ports, or behind them in
/// that of logical ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub u16);

/// An interface (addresses on a port, in a routing table).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterfaceId(pub u16);

/// A numbered routing table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub u32);

/// The workers' slot for one L2TP session, chosen by the control thread. It is
/// not an id of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u32);

/// The workers' slot for one set instance (one remote's HA set).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetId(pub u32);

/// An IPv4 or IPv6 network: host bits are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    pub address: IpAddr,
    pub length: u8,
}

impl Prefix {
    /// The network of `length` bits that `address` is in. A length above that
    /// of the address (32 or 128 bits) is taken as that.
    #[must_use]
    pub fn new(address: impl Into<IpAddr>, length: u8) -> Self {
        let address = address.into();
        let length = length.min(address_bits(address));
        Self {
            address: with_host_bits(address, length, false),
            length,
        }
    }

    /// One address.
    #[must_use]
    pub fn host(address: impl Into<IpAddr>) -> Self {
        Self::new(address, u8::MAX)
    }

    /// Whether the address is in it; one of the other family is not.
    #[must_use]
    pub fn contains(&self, address: impl Into<IpAddr>) -> bool {
        let address = address.into();
        address.is_ipv4() == self.address.is_ipv4()
            && with_host_bits(address, self.length, false) == self.address
    }

    /// The last address: of an IPv4 network of 30 bits or fewer, the directed broadcast.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        with_host_bits(self.address, self.length, true)
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.address, self.length)
    }
}

fn address_bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address with all bits after the first `length` set or cleared.
fn with_host_bits(address: IpAddr, length: u8, set: bool) -> IpAddr {
    let length = u32::from(length);
    match address {
        IpAddr::V4(address) => {
            let hosts = u32::MAX.checked_shr(length).unwrap_or(0);
            let network = address.to_bits() & !hosts;
            Ipv4Addr::from_bits(if set { network | hosts } else { network }).into()
        }
        IpAddr::V6(address) => {
            let hosts = u128::MAX.checked_shr(length).unwrap_or(0);
            let network = address.to_bits() & !hosts;
            Ipv6Addr::from_bits(if set { network | hosts } else { network }).into()
        }
    }
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextHop {
    /// Dropped without an answer.
    Blackhole,
    /// An address of our own: L2TP is received, the rest goes to the control thread.
    Local,
    /// Out of an interface, to `via` or, on a connected network, to the destination itself.
    Interface {
        interface: InterfaceId,
        via: Option<IpAddr>,
    },
    /// Into one L2TP session, without an HA header.
    Session(SessionId),
    /// Into every live member of an HA set.
    Set(SetId),
}

/// One interface as the workers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceSpec {
    pub id: InterfaceId,
    pub port: PortId,
    pub table: TableId,
    /// Own addresses, each with its prefix length; of IPv6 the link-local ones, too.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Largest IP packet that may leave here, octets.
    pub mtu: u16,
    /// Whether packets that arrive here may be routed onwards (false on an ISP side).
    pub forward: bool,
}

/// What a worker must know to answer the peer's LCP Echo-Requests (RFC 1661, 5.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoAnswer {
    /// Our magic number; 0 when the peer has rejected it.
    pub magic: u32,
    /// The longest information field that the peer takes, octets.
    pub mru: u16,
}

/// One L2TP session as the workers see it (RFC 2661, 3.1).
#[derive(Clone, Debug)]
pub struct SessionSpec {
    pub id: SessionId,
    /// Table in which the tunnel's own packets travel.
    pub table: TableId,
    /// Our end of the tunnel: address and UDP port, of the same family as the peer's.
    pub local: SocketAddr,
    /// The peer's end: where our packets go, and where its packets come from.
    pub peer: SocketAddr,
    /// Ids that the peer writes into packets to us.
    pub local_tunnel: u16,
    pub local_session: u16,
    /// Ids that we write into packets to the peer.
    pub peer_tunnel: u16,
    pub peer_session: u16,
    /// Table in which the traffic inside is routed.
    pub payload_table: TableId,
    /// Whether IP packets from this session are taken (PPP is authenticated).
    /// PPP's own frames are handed to the control thread, but for [`Self::echo`].
    pub receive: bool,
    /// Lower the MSS option of TCP SYNs to what fits `mtu`, both ways.
    pub tcp_mss_fix: bool,
    /// Largest inner IP packet that fits this link's path whole, octets.
    pub mtu: u16,
    /// Send the outer UDP checksum (RFC 2661, 8.1: on by default). Over IPv6 it
    /// is always sent (RFC 8200, 8.1).
    pub udp_checksum: bool,
    /// Write FF 03 before the PPP protocol field of plain sessions.
    pub address_control: bool,
    /// The set this session is a member of: data with an HA header is taken
    /// from it, and only such data.
    pub set: Option<SetId>,
    /// Copies are not taken from it, for a drill: they are dropped as masked before
    /// they touch the window. Its reports and PPP go on. Of a member of a set.
    pub masked: bool,
    /// Sequence numbers of data without an HA header.
    pub sequence: Arc<Sequence>,
    /// How the peer's LCP Echo-Requests are answered; while it is not given, the
    /// control thread is handed them like all of LCP.
    pub echo: Option<EchoAnswer>,
    /// What may be sent on this link at most; no limit when not given.
    pub speed: Option<Arc<SpeedLimit>>,
    /// One for each worker, written by that worker alone.
    pub counters: Vec<Arc<SessionCounters>>,
    /// The same of what comes in, for a member of a set.
    pub arrivals: Vec<Arc<Arrivals>>,
}

/// One incarnation of the far end's numbering, with its elimination window.
#[derive(Clone, Debug)]
pub struct Epoch {
    pub epoch: u32,
    pub window: Window,
    pub first_times: Arc<FirstTimes>,
}

impl Epoch {
    /// What an epoch takes in memory, with a window of so many numbers.
    #[must_use]
    pub fn memory_octets(window_numbers: u64) -> u64 {
        Window::memory_octets(window_numbers) + FirstTimes::MEMORY_OCTETS
    }

    /// An epoch of which nothing was received.
    #[must_use]
    pub fn new(epoch: u32, window_numbers: u64) -> Self {
        Self {
            epoch,
            window: Window::new(window_numbers),
            first_times: Arc::default(),
        }
    }
}

/// The epochs of a set that are received, as every worker has them at hand:
/// each its own copy, all with the same windows.
#[derive(Clone, Debug, Default)]
pub struct Epochs([Option<Epoch>; 2]);

impl Epochs {
    /// The newest of these, which come first.
    #[must_use]
    pub fn newest(epochs: &[Epoch]) -> Self {
        Self([0, 1].map(|place| epochs.get(place).cloned()))
    }

    /// What is known of this one; `None` when nothing is received of it.
    #[inline]
    #[must_use]
    pub fn get(&self, epoch: u32) -> Option<&Epoch> {
        self.0.iter().flatten().find(|known| known.epoch == epoch)
    }
}

/// How a set's packets are put back into order (RFC 9550).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ordering {
    /// No gap in the numbers is waited for longer than this, µs.
    pub max_delay_us: u32,
    /// Nor longer than the second quickest link is behind, once that is known.
    pub adaptive: bool,
}

impl Ordering {
    /// How long a gap is waited for, µs, when the second quickest link is so
    /// far behind the first copies (of 99 in 100; 0 when it is not known).
    #[must_use]
    pub fn hold_us(&self, next_best_skew_us: u64) -> u64 {
        // The figure is right to a sixteenth, and one copy in 100 takes longer.
        const MARGIN_US: u64 = 1000;
        let most = u64::from(self.max_delay_us);
        if !self.adaptive || next_best_skew_us == 0 {
            return most;
        }
        let skew = next_best_skew_us.saturating_add(next_best_skew_us / 8);
        skew.saturating_add(MARGIN_US).min(most)
    }
}

/// One set instance as the workers see it.
#[derive(Clone, Debug)]
pub struct SetSpec {
    pub id: SetId,
    /// Epoch that we write into the HA header.
    pub send_epoch: u32,
    /// Next number to send, shared by all workers.
    pub next_number: Arc<AtomicU64>,
    /// The worker that puts the set's packets together and into order, by its
    /// place among all; taken modulo their number.
    pub owner: usize,
    /// Table in which the traffic inside is routed: that of all its sessions.
    pub payload_table: TableId,
    /// Whether packets leave in the order of their numbers; when not given, as they come.
    pub ordering: Option<Ordering>,
    /// Sessions that get a copy of every packet, in the file's order.
    pub members: Vec<SessionId>,
    /// Epochs that are received, newest first; at most two.
    pub epochs: Vec<Epoch>,
    /// Largest inner IP packet, octets; packets above it are answered with
    /// "fragmentation needed" or fragmented. Packets up to it that are too
    /// large for a member are cut into pieces.
    pub mtu: u16,
    pub tcp_mss_fix: bool,
    /// How far the second quickest link is behind the first copies, of 99 in
    /// 100, over the last seconds, µs; 0 while it is not known. The control
    /// thread writes it once a second.
    pub next_best_skew_us: Arc<AtomicU64>,
    /// One for each worker, written by that worker alone.
    pub counters: Vec<Arc<SetCounters>>,
}

/// A session between us and an access concentrator (RFC 2516).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PppoeSession {
    /// SESSION_ID, as the concentrator chose it.
    pub id: u16,
    /// Where our frames go, and where those that are taken come from.
    pub access_concentrator: [u8; 6],
}

/// A change to a worker's tables.
#[derive(Clone, Debug)]
pub enum Command {
    SetInterface(Arc<InterfaceSpec>),
    RemoveInterface(InterfaceId),
    SetRoute {
        table: TableId,
        prefix: Prefix,
        next_hop: NextHop,
    },
    RemoveRoute {
        table: TableId,
        prefix: Prefix,
    },
    SetNeighbour {
        interface: InterfaceId,
        address: IpAddr,
        mac: [u8; 6],
    },
    RemoveNeighbour {
        interface: InterfaceId,
        address: IpAddr,
    },
    SetPortLink {
        port: PortId,
        up: bool,
    },
    /// The session that a logical port of PPPoE is in. Without one it has no way
    /// out, and takes nothing. What is no logical port of PPPoE is left as it is.
    SetPppoe {
        port: PortId,
        session: Option<PppoeSession>,
    },
    SetSession(Arc<SessionSpec>),
    RemoveSession(SessionId),
    SetSet(Arc<SetSpec>),
    RemoveSet(SetId),
    /// Notes frames and what becomes of them from here on, or no longer. One capture at
    /// a time: a new one ends the one before.
    Capture(Option<Arc<CaptureSpec>>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_waited_for_as_long_as_the_next_best_link_is_behind() {
        let ordering = Ordering {
            max_delay_us: 30_000,
            adaptive: true,
        };
        assert_eq!(ordering.hold_us(0), 30_000, "not known");
        assert_eq!(ordering.hold_us(16_000), 19_000);
        assert_eq!(ordering.hold_us(40_000), 30_000);
        assert_eq!(ordering.hold_us(u64::MAX), 30_000);
        let fixed = Ordering {
            adaptive: false,
            ..ordering
        };
        assert_eq!(fixed.hold_us(16_000), 30_000);
    }

    fn prefix(address: &str, length: u8) -> Prefix {
        let address: IpAddr = address.parse().expect("an address");
        Prefix::new(address, length)
    }

    #[test]
    fn host_bits_go_and_lengths_end_with_the_address() {
        assert_eq!(prefix("192.168.1.77", 24).to_string(), "192.168.1.0/24");
        assert_eq!(prefix("192.168.1.77", 33).to_string(), "192.168.1.77/32");
        assert_eq!(prefix("192.168.1.77", 0).to_string(), "0.0.0.0/0");
        assert_eq!(
            prefix("2001:db8::77:1", 112).to_string(),
            "2001:db8::77:0/112"
        );
        assert_eq!(prefix("2001:db8::77", 200).to_string(), "2001:db8::77/128");
        assert_eq!(prefix("2001:db8::77", 0).to_string(), "::/0");
        let host = Prefix::host(Ipv6Addr::LOCALHOST);
        assert_eq!(
            (host.address, host.length),
            (Ipv6Addr::LOCALHOST.into(), 128)
        );
    }

    #[test]
    fn a_network_contains_its_own_family_only() {
        let contains = |network: Prefix, address: &str| {
            let address: IpAddr = address.parse().expect("an address");
            network.contains(address)
        };
        assert!(contains(prefix("10.0.0.0", 8), "10.255.0.1"));
        assert!(!contains(prefix("10.0.0.0", 8), "11.0.0.1"));
        assert!(contains(prefix("2001:db8::", 33), "2001:db8:7fff::1"));
        assert!(!contains(prefix("2001:db8::", 33), "2001:db8:8000::1"));
        assert!(!contains(prefix("0.0.0.0", 0), "::"));
        assert!(!contains(prefix("::", 0), "0.0.0.0"));
        assert!(contains(prefix("::", 0), "ffff::"));
    }

    #[test]
    fn the_last_address_has_all_host_bits_set() {
        assert_eq!(prefix("10.1.0.0", 16).last().to_string(), "10.1.255.255");
        assert_eq!(prefix("10.1.0.0", 32).last().to_string(), "10.1.0.0");
        let last = prefix("2001:db8::", 126).last();
        assert_eq!(last.to_string(), "2001:db8::3");
    }
}
