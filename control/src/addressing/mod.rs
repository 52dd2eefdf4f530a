//! Where an interface's addresses come from when they do not stand in the
//! configuration: DHCP (RFC 2131), router advertisements (RFC 4861, 4862),
//! DHCPv6 with prefix delegation (RFC 8415).
//!
//! Everything here is sans-IO. Each client is told what came in and the time,
//! is polled for [`Action`]s, and holds an [`Assignment`].

mod advertiser;
mod delegation;
mod dhcp;
mod dhcpv6;
mod known;
mod relay;
mod router_discovery;
mod router_message;
mod shape;
mod solicitor;

use std::net::IpAddr;
use std::time::Duration;

use dataplane::command::Prefix;

pub use advertiser::{AdvertisedPrefix, Advertiser, AdvertiserCounters, AdvertiserSettings};
pub use delegation::delegated_address;
pub use dhcp::{DhcpClient, DhcpCounters, DhcpSettings, DhcpState};
pub use dhcpv6::{Dhcpv6Client, Dhcpv6Counters, Dhcpv6Settings, Dhcpv6State};
pub use relay::{Relay, RelayCounters};
pub use router_discovery::{RouterDiscovery, RouterDiscoveryCounters};

/// What an interface has been given, and until when. Times are on the caller's
/// clock; `None` is for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    pub addresses: Vec<Address>,
    /// Networks whose hosts are neighbours, besides those of the addresses (RFC
    /// 4861, 4.6.2: the L flag).
    pub on_link: Vec<Prefix>,
    /// Default routers, the best first.
    pub routers: Vec<Router>,
    /// Largest IP packet that the network is said to carry, octets.
    pub mtu: Option<u16>,
    pub name_servers: Vec<IpAddr>,
    /// Networks that were delegated to us, for other interfaces (RFC 8415, 6.3).
    pub delegated: Vec<DelegatedPrefix>,
    /// Who gave it: the server's or router's address.
    pub server: Option<IpAddr>,
}

/// An own address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    pub address: IpAddr,
    /// Of the network that it is in; that of the address alone (32 or 128) when
    /// no neighbour is known by it.
    pub prefix_length: u8,
    /// Until when new tunnels may be set up from it (RFC 4862, 5.5.4).
    pub preferred_until: Option<Duration>,
    pub valid_until: Option<Duration>,
}

/// A default router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Router {
    pub address: IpAddr,
    pub valid_until: Option<Duration>,
}

/// A network for other interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DelegatedPrefix {
    pub prefix: Prefix,
    pub preferred_until: Option<Duration>,
    pub valid_until: Option<Duration>,
}

/// What a client wants done, strictly in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a whole Ethernet frame out of the interface, without a VLAN tag.
    Frame(Vec<u8>),
    /// Send an IP packet of ours, routed in the interface's table.
    Packet(Vec<u8>),
    /// The [`Assignment`] is another one.
    Changed,
}
