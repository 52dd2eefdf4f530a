//! What the control thread asks of the workers: the first half of the small
//! vocabulary that `control` and `dataplane` share (the other is [`crate::event`]).
//!
//! Every worker receives every command, in order, over a ring of its own, and
//! owns the tables that the command changes. A command is a whole new value
//! for the thing it names, so that applying one twice changes nothing.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::counters::{SessionCounters, SetCounters};
use crate::window::Window;

/// A port, by its place in the configuration's list.
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

/// An IPv4 network: host bits are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    pub address: Ipv4Addr,
    pub length: u8,
}

impl Prefix {
    /// The network of `length` bits that `address` is in. A length above 32 is taken as 32.
    #[must_use]
    pub fn new(address: Ipv4Addr, length: u8) -> Self {
        let length = length.min(32);
        Self {
            address: Ipv4Addr::from_bits(address.to_bits() & mask(length)),
            length,
        }
    }

    /// One address.
    #[must_use]
    pub const fn host(address: Ipv4Addr) -> Self {
        Self {
            address,
            length: 32,
        }
    }

    #[must_use]
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.length) == self.address.to_bits()
    }

    /// The last address: the directed broadcast of a network of 30 bits or fewer.
    #[must_use]
    pub fn last(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() | !mask(self.length))
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.address, self.length)
    }
}

fn mask(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
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
        via: Option<Ipv4Addr>,
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
    /// Own addresses, each with its prefix length.
    pub addresses: Vec<(Ipv4Addr, u8)>,
    /// Largest IP packet that may leave here, octets.
    pub mtu: u16,
    /// Whether packets that arrive here may be routed onwards (false on an ISP side).
    pub forward: bool,
}

/// One L2TP session as the workers see it (RFC 2661, 3.1).
#[derive(Clone, Debug)]
pub struct SessionSpec {
    pub id: SessionId,
    /// Table in which the tunnel's own packets travel.
    pub table: TableId,
    /// Our end of the tunnel: address and UDP port.
    pub local: SocketAddrV4,
    /// The peer's end: where our packets go, and where its packets come from.
    pub peer: SocketAddrV4,
    /// Ids that the peer writes into packets to us.
    pub local_tunnel: u16,
    pub local_session: u16,
    /// Ids that we write into packets to the peer.
    pub peer_tunnel: u16,
    pub peer_session: u16,
    /// Table in which the traffic inside is routed.
    pub payload_table: TableId,
    /// Whether IP packets from this session are taken (PPP is authenticated).
    /// PPP's own frames are always handed to the control thread.
    pub receive: bool,
    /// Lower the MSS option of TCP SYNs to what fits `mtu`, both ways.
    pub tcp_mss_fix: bool,
    /// Largest inner IP packet that fits this link's path, octets.
    pub mtu: u16,
    /// Send the outer UDP checksum (RFC 2661, 8.1: on by default).
    pub udp_checksum: bool,
    /// Write FF 03 before the PPP protocol field of plain sessions.
    pub address_control: bool,
    /// The set this session is a member of: data with an HA header is taken
    /// from it, and only such data.
    pub set: Option<SetId>,
    /// One for each worker, written by that worker alone.
    pub counters: Vec<Arc<SessionCounters>>,
}

/// One incarnation of the far end's numbering, with its elimination window.
#[derive(Clone, Debug)]
pub struct Epoch {
    pub epoch: u32,
    pub window: Arc<Window>,
}

/// One set instance as the workers see it.
#[derive(Clone, Debug)]
pub struct SetSpec {
    pub id: SetId,
    /// Epoch that we write into the HA header.
    pub send_epoch: u32,
    /// Next number to send, shared by all workers.
    pub next_number: Arc<AtomicU64>,
    /// Sessions that get a copy of every packet, in the file's order.
    pub members: Vec<SessionId>,
    /// Epochs that are received, newest first; at most two.
    pub epochs: Vec<Epoch>,
    /// Largest inner IP packet, octets; packets above it are answered with
    /// "fragmentation needed" or fragmented.
    pub mtu: u16,
    pub tcp_mss_fix: bool,
    /// One for each worker, written by that worker alone.
    pub counters: Vec<Arc<SetCounters>>,
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
        address: Ipv4Addr,
        mac: [u8; 6],
    },
    RemoveNeighbour {
        interface: InterfaceId,
        address: Ipv4Addr,
    },
    SetPortLink {
        port: PortId,
        up: bool,
    },
    SetSession(Arc<SessionSpec>),
    RemoveSession(SessionId),
    SetSet(Arc<SetSpec>),
    RemoveSet(SetId),
}
