//! What the workers tell the control thread: the second half of the vocabulary
//! that `control` and `dataplane` share (the first is [`crate::command`]).

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::command::{InterfaceId, PortId, SessionId, TableId};

/// Why a packet that was to be forwarded could not be (RFC 792, RFC 1812 5.2.7, 5.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpCause {
    TimeExceeded,
    NetUnreachable,
    HostUnreachable,
    FragmentationNeeded { mtu: u16 },
}

/// One thing that a worker hands to the control thread. `F` holds octets: in
/// the running appliance a [`crate::Frame`] taken from a port, in tests a `Vec<u8>`.
#[derive(Debug)]
pub enum Event<F> {
    /// An ARP frame, from its Ethernet header on.
    Arp { port: PortId, frame: F },
    /// An IPv4 packet to one of our own addresses that is not L2TP, from its IPv4 header on.
    Local { table: TableId, packet: F },
    /// An L2TP control message (T = 1): the UDP payload. Its UDP checksum was right or absent.
    L2tpControl {
        table: TableId,
        source: SocketAddrV4,
        destination: SocketAddrV4,
        payload: F,
    },
    /// A PPP frame that is not IP, from the PPP protocol field on (FF 03 and
    /// field compression undone or absent: the first two octets are the protocol).
    Ppp {
        session: SessionId,
        source: SocketAddrV4,
        frame: F,
    },
    /// An HA report: its HA header and body (see [`crate::headers`]).
    Report {
        session: SessionId,
        source: SocketAddrV4,
        frame: F,
    },
    /// A packet whose next hop has no known hardware address: the IPv4 packet,
    /// ready to leave `interface` unchanged once the address is known.
    NeighbourMissing {
        interface: InterfaceId,
        next_hop: Ipv4Addr,
        packet: F,
    },
    /// A packet that was not forwarded, from its IPv4 header on, and why. It
    /// was routed in `table`.
    Icmp {
        cause: IcmpCause,
        table: TableId,
        packet: F,
    },
    /// Good HA data came from an address that is not the session's peer (a NAT moved it).
    PeerMoved {
        session: SessionId,
        source: SocketAddrV4,
    },
}
