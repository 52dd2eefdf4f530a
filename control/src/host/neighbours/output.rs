//! What the neighbour tables want done, and what they show of themselves.

use std::net::IpAddr;

use dataplane::command::{InterfaceId, PortId};
use serde::Serialize;

/// What is to be done, strictly in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a whole Ethernet frame.
    SendFrame { port: PortId, frame: Vec<u8> },
    /// Tell the workers a neighbour's hardware address, new or changed.
    Install {
        interface: InterfaceId,
        address: IpAddr,
        mac: [u8; 6],
    },
    /// Take a neighbour away from the workers.
    Remove {
        interface: InterfaceId,
        address: IpAddr,
    },
    /// Send an IP packet to this neighbour.
    SendPacket {
        interface: InterfaceId,
        mac: [u8; 6],
        packet: Vec<u8>,
    },
    /// The neighbour did not answer: the packet is due a "host unreachable"
    /// (RFC 1812, 3.3.2; RFC 4861, 7.2.2).
    Unreachable {
        interface: InterfaceId,
        packet: Vec<u8>,
    },
    /// Somebody else uses our address (RFC 5227, 2.4; RFC 4862, 5.4.4). To be
    /// logged; said at most once in ten seconds for one address.
    Conflict {
        interface: InterfaceId,
        address: IpAddr,
        mac: [u8; 6],
    },
}

/// What has been counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NeighbourCounters {
    /// Frames that are not whole, not ARP for IPv4 over Ethernet, or not
    /// neighbour discovery as RFC 4861, 7.1 wants it.
    pub malformed: u64,
    /// Not sent to us, from ourselves, with a sender that cannot be, or what
    /// routers and hosts have to say to each other.
    pub ignored: u64,
    pub requests_sent: u64,
    pub replies_sent: u64,
    /// Those of `replies_sent` that were for addresses behind a tunnel.
    pub proxy_replies_sent: u64,
    pub announcements_sent: u64,
    /// Known neighbours that turned up with another hardware address.
    pub mac_changes: u64,
    /// Neighbours that stopped answering.
    pub expired: u64,
    /// Addresses that were asked for and never answered.
    pub unanswered: u64,
    /// Packets pushed out of a full queue, the oldest first, or whose neighbour was
    /// forgotten while they waited.
    pub queue_dropped: u64,
    /// Packets to an address that is no host of a connected subnet.
    pub no_host_dropped: u64,
    /// Neighbours not learned, or pushed out, because the table was full.
    pub table_full: u64,
    pub conflicts: u64,
}

/// Where a neighbour stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighbourState {
    /// Asked for, no answer yet.
    Incomplete,
    Reachable,
    /// Still used, and being asked again.
    Probe,
    /// From the configuration.
    Static,
}

/// One line of the neighbour table, for `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    pub interface: InterfaceId,
    pub address: IpAddr,
    pub mac: Option<[u8; 6]>,
    pub state: NeighbourState,
}
