//! What the workers tell the control thread: the second half of the vocabulary
//! that `control` and `dataplane` share (the first is [`crate::command`]).

use std::net::{IpAddr, SocketAddr};

use crate::command::{InterfaceId, PortId, SessionId, TableId};

/// Why a packet that was to be forwarded could not be (RFC 792, RFC 1812 5.2.7
/// and 5.3.1; RFC 4443, 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpCause {
    /// TTL or hop limit used up.
    TimeExceeded,
    /// No route to the destination.
    NetUnreachable,
    /// The neighbour does not answer: over IPv6, address unreachable.
    HostUnreachable,
    /// Over IPv6: the destination is beyond the scope of the source address.
    BeyondScope,
    /// Larger than what fits the way out: over IPv6, packet too big.
    FragmentationNeeded { mtu: u16 },
}

/// One thing that a worker hands to the control thread. `F` holds octets: in
/// the running appliance a [`crate::Frame`] taken from a port, in tests a `Vec<u8>`.
#[derive(Debug)]
pub enum Event<F> {
    /// An ARP frame, from its Ethernet header on.
    Arp { port: PortId, frame: F },
    /// An ICMPv6 message of neighbour discovery (RFC 4861: router and neighbour
    /// solicitation and advertisement, redirect) to this port, from its Ethernet
    /// header on. Its hop limit was 255: it comes from a neighbour. Its ICMPv6
    /// checksum was not looked at.
    NeighbourDiscovery { port: PortId, frame: F },
    /// A packet of DHCP (RFC 2131) or DHCPv6 (RFC 8415) that is to no address of ours,
    /// from its IP header on: over IPv4 to UDP port 67 or 68 by broadcast, or to port
    /// 68 of another address where nothing is routed onwards; over IPv6 to port 547
    /// of ff02::1:2. IP header and lengths were right, and it was no fragment; the
    /// UDP checksum was not looked at.
    Dhcp { port: PortId, packet: F },
    /// A frame of PPPoE's discovery stage to our hardware address (RFC 2516, 5), from
    /// its Ethernet header on. `port` is the one that carries the logical port of
    /// PPPoE. Nothing behind the Ethernet header was looked at.
    PppoeDiscovery { port: PortId, frame: F },
    /// A frame of the session that a logical port of PPPoE is in, with a PPP frame that
    /// is not IP, from its Ethernet header on. Lengths were right, and it ends with
    /// the PPP frame.
    PppoeSession { port: PortId, frame: F },
    /// A packet to one of our own addresses that is not L2TP, from its IP header on.
    Local {
        table: TableId,
        /// Where it came in; `None` when that was a tunnel.
        interface: Option<InterfaceId>,
        packet: F,
    },
    /// An L2TP control message (T = 1): the UDP payload. Its UDP checksum was
    /// right or, over IPv4, absent.
    L2tpControl {
        table: TableId,
        source: SocketAddr,
        destination: SocketAddr,
        payload: F,
    },
    /// A PPP frame that is not IP, from the PPP protocol field on (FF 03 and
    /// field compression undone or absent: the first two octets are the protocol).
    Ppp {
        session: SessionId,
        source: SocketAddr,
        frame: F,
    },
    /// An HA report: its HA header and body (see [`crate::headers`]).
    Report {
        session: SessionId,
        source: SocketAddr,
        frame: F,
    },
    /// A packet whose next hop has no known hardware address: the IP packet,
    /// ready to leave `interface` unchanged once the address is known.
    NeighbourMissing {
        interface: InterfaceId,
        next_hop: IpAddr,
        packet: F,
    },
    /// A packet that was not forwarded, from its IP header on, and why. It
    /// was routed in `table`.
    Icmp {
        cause: IcmpCause,
        table: TableId,
        /// Where it came in; `None` when that was a tunnel.
        interface: Option<InterfaceId>,
        packet: F,
    },
    /// Good HA data came from an address that is not the session's peer (a NAT moved it).
    PeerMoved {
        session: SessionId,
        source: SocketAddr,
    },
}
