//! What a configuration says, word for word as in the file (hyphens become
//! underscores), with defaults filled in and names resolved to places in the
//! lists here. `configs/reference.yaml` explains every word.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use dataplane::command::Prefix;

use crate::addressing::{DhcpSettings, Dhcpv6Settings};
use crate::alarms::{Alarm, Syslog};
use crate::l2tp::{Limits, Peering};
use crate::ppp::{AuthProtocol, NameServers, ProxyPolicy, Timers, Wanted};
use crate::secret::Secret;

/// One appliance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The appliance's name: in the log, in status, and the default of `local-hostname`.
    pub name: String,
    pub dataplane: Dataplane,
    pub management: Management,
    pub ports: Vec<Port>,
    pub interfaces: Vec<Interface>,
    pub l2tp: L2tp,
    pub ha_sets: Vec<HaSet>,
    pub routes: Vec<Route>,
    pub neighbours: Vec<Neighbour>,
    /// Who is told what happens to links and sets.
    pub alarms: Vec<Alarm>,
    pub syslog: Option<Syslog>,
}

impl Config {
    /// Largest inner IP packet that any set presents, octets.
    #[must_use]
    pub fn largest_packet_octets(&self) -> u16 {
        self.ha_sets.iter().map(|set| set.mtu).max().unwrap_or(0)
    }

    /// Whether any set puts packets into order.
    #[must_use]
    pub fn puts_into_order(&self) -> bool {
        self.ha_sets.iter().any(|set| set.ordering.is_some())
    }

    /// Whether anything of IPv6 may be routed into a link with these routes, of
    /// this set: when it or a static route is there, or hosts that may use it.
    #[must_use]
    pub fn carries_ipv6<'r>(
        &self,
        payload_table: u32,
        set: Option<usize>,
        mut routes: impl Iterator<Item = &'r Prefix>,
    ) -> bool {
        let into_set = |route: &&Route| set.is_some_and(|set| route.via == Via::HaSet(set));
        let statics = self.routes.iter().filter(into_set);
        let mut of_table = self
            .interfaces
            .iter()
            .filter(|interface| interface.table == payload_table);
        routes.any(|route| route.address.is_ipv6())
            || statics.into_iter().any(|route| route.to.address.is_ipv6())
            || of_table.any(Interface::may_have_ipv6)
    }
}

/// Threads and memory of the packet path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataplane {
    /// One worker for each entry, and the core it is pinned to, if any.
    pub workers: Vec<Option<u32>>,
    pub poll: Poll,
    pub hugepages: HugePages,
    /// Memory of the packet buffers and the windows, MiB.
    pub memory_mib: u32,
}

/// What a worker does when there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// Sleeps a little.
    Adaptive,
    /// Polls on.
    Busy,
}

/// Where the packet buffers live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HugePages {
    /// In hugepages when there are some.
    Auto,
    Yes,
    No,
}

/// How the running appliance is asked things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Management {
    /// The Unix socket of `hal2tp status`.
    pub socket: PathBuf,
    /// Directory of what is kept for graphs; in memory when there is none.
    pub history: Option<PathBuf>,
    /// The HTTP interface; none when not given.
    pub http: Option<Http>,
}

/// Where the appliance is asked by HTTP, and who may do what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Own addresses with their ports.
    pub listen: Vec<SocketAddr>,
    /// Holds the token that actions need; there are none without it.
    pub token_file: Option<PathBuf>,
    /// Names that this host is called by, besides its addresses and `localhost`.
    pub names: Vec<String>,
}

/// A place where frames come and go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    pub name: String,
    pub device: Device,
    /// Queue pairs; one for each worker when not given.
    pub queues: Option<u16>,
}

/// What stands behind a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// A PCI address, `0000:03:00.0`.
    Pci(String),
    /// A Linux interface, taken over through AF_PACKET.
    Interface(String),
    /// A DPDK virtual device with its arguments, `net_memif0,role=client`.
    Vdev(String),
}

impl std::fmt::Display for Device {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Pci(device) | Self::Interface(device) | Self::Vdev(device)) = self;
        formatter.write_str(device)
    }
}

/// Addresses on a port, in a routing table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    pub name: String,
    /// Place in [`Config::ports`].
    pub port: usize,
    /// The VLAN of the port that it is on (IEEE 802.1Q); when not given, what
    /// has no tag.
    pub vlan: Option<u16>,
    pub table: u32,
    /// Those that stand in the file.
    pub addresses: Vec<InterfaceAddress>,
    /// Who is asked for others.
    pub asked: Asked,
    /// The interface is a PPPoE line (RFC 2516), whose addresses PPP agrees on.
    pub pppoe: Option<Pppoe>,
    /// An address out of a network that was delegated to another interface.
    pub delegated: Option<Delegated>,
    /// What the hosts here are told of IPv6.
    pub advertisements: Option<Advertisements>,
    /// DHCP servers that the hosts' requests go to.
    pub dhcp_relay: Vec<Ipv4Addr>,
    /// Where the default routes of the table lead, `gateway` in the file: at most
    /// one of each family.
    pub gateways: Vec<IpAddr>,
    /// Largest IP packet that leaves here, octets; the port's own MTU when not given.
    pub mtu: Option<u16>,
    /// Whether packets that arrive here may be routed onwards. When the file
    /// does not say, this is false for an interface that is alone in a table
    /// which is no tunnel's payload table (an ISP side).
    pub forward: bool,
}

impl Interface {
    /// Whether it may get IPv4 addresses and a default route from the network.
    #[must_use]
    pub fn asks_for_ipv4(&self) -> bool {
        self.asked.dhcp.is_some() || self.pppoe.is_some()
    }

    /// The same of IPv6.
    #[must_use]
    pub fn asks_for_ipv6(&self) -> bool {
        self.asked.router_advertisements || self.asked.dhcpv6.is_some()
    }

    /// Whether it has addresses of IPv6, or may get some.
    #[must_use]
    pub fn may_have_ipv6(&self) -> bool {
        self.asks_for_ipv6()
            || self.delegated.is_some()
            || self.addresses.iter().any(|own| own.address.is_ipv6())
    }

    /// Whether it has addresses of IPv4, or may get some.
    #[must_use]
    pub fn may_have_ipv4(&self) -> bool {
        self.asks_for_ipv4() || self.addresses.iter().any(|own| own.address.is_ipv4())
    }
}

/// What an interface asks its network for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// An IPv4 address (RFC 2131), `dhcp` among the `addresses`.
    pub dhcp: Option<DhcpSettings>,
    /// Addresses and routers of IPv6 (RFC 4862), `ra` among the `addresses`.
    pub router_advertisements: bool,
    /// An IPv6 address or a network for others (RFC 8415), `dhcpv6` among the
    /// `addresses`, and `prefix-delegation`.
    pub dhcpv6: Option<Dhcpv6Settings>,
}

/// A PPPoE line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pppoe {
    pub username: String,
    pub password: Secret,
    /// Service-Name; any when not given.
    pub service_name: Option<String>,
    /// AC-Name of the concentrator, `access-concentrator` in the file; any when not given.
    pub access_concentrator: Option<String>,
    /// Largest IP packet that is asked for, octets: above 1492 by RFC 4638.
    pub mtu: u16,
    pub lcp_rate: Duration,
    pub lcp_timeout: Duration,
    pub ppp: PppClient,
}

/// A network of 64 bits out of a delegated one, and our address in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delegated {
    /// Place in [`Config::interfaces`]: where it is delegated to.
    pub from: usize,
    /// Which of the networks of 64 bits.
    pub subnet: u64,
    /// The last 64 bits of our address.
    pub interface_id: u64,
}

/// What the hosts of a LAN are told by router advertisements (RFC 4861, 6.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertisements {
    /// Whether we are a default router while there is a default route.
    pub default_router: bool,
    /// MaxRtrAdvInterval.
    pub interval: Duration,
    /// RFC 8106.
    pub dns: Vec<Ipv6Addr>,
    /// Addresses come from a DHCPv6 server (the M flag).
    pub managed: bool,
    /// Other settings do (the O flag).
    pub other: bool,
}

/// An own address and the network it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    pub address: IpAddr,
    pub prefix_length: u8,
}

impl InterfaceAddress {
    /// The network that the address is in.
    #[must_use]
    pub fn network(&self) -> Prefix {
        Prefix::new(self.address, self.prefix_length)
    }
}

/// The tunnels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct L2tp {
    /// SMI private enterprise number of the vendor AVP (RFC 2661, 4.1).
    pub vendor_id: u32,
    /// What peers may take up.
    pub limits: Limits,
    pub outgoing: Vec<Outgoing>,
    pub incoming: Vec<Incoming>,
}

/// Where the far end of a tunnel is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    Address(IpAddr),
    /// A host name, looked up before each attempt.
    Name(String),
}

impl Server {
    /// `None` when it has yet to be looked up.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Name(_) => None,
        }
    }
}

impl<A: Into<IpAddr>> From<A> for Server {
    fn from(address: A) -> Self {
        Self::Address(address.into())
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => address.fmt(formatter),
            Self::Name(name) => formatter.write_str(name),
        }
    }
}

/// A tunnel with one session that we set up and keep up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    pub name: String,
    /// Our Host Name AVP (RFC 2661, 4.4.3).
    pub hostname: String,
    /// Shared secret of tunnel authentication (RFC 2661, 5.1.1).
    pub secret: Option<Secret>,
    pub server: Server,
    /// The link's name in status and graphs; the tunnel's `name` when not given.
    pub graph: String,
    /// Table in which the tunnel's own packets travel.
    pub table: u32,
    /// Table in which the traffic inside is routed.
    pub payload_table: u32,
    /// PPP login.
    pub username: String,
    pub password: Secret,
    /// Time between LCP echo requests.
    pub lcp_rate: Duration,
    /// Time without an answer after which the link is dead.
    pub lcp_timeout: Duration,
    pub tcp_mss_fix: bool,
    /// Place in [`Config::ha_sets`].
    pub ha_set: Option<usize>,
    /// What is routed into the tunnel: its own `routes`, else the set's, else
    /// the default route of each family that the payload table has addresses of.
    pub routes: Vec<Prefix>,
    pub comment: Option<String>,
    /// Our end of the tunnel; the table's own address nearest to the server when not given.
    pub source: Option<IpAddr>,
    /// PPP address to ask for; the peer's choice when not given.
    pub local_ip: Option<Ipv4Addr>,
    /// How the far end is treated where implementations of L2TP differ.
    pub peering: Peering,
    /// Ask for a single tunnel between the two addresses (RFC 2661, 4.4.3, Tie Breaker).
    pub tie_breaker: bool,
    /// Send the outer UDP checksum (RFC 2661, 8.1).
    pub udp_checksum: bool,
    /// Largest inner IP packet, octets; what fits the interface when not given.
    pub mtu: Option<u16>,
    /// What is sent at most, bits per second of outer IP packets; all when not given.
    pub speed: Option<u64>,
    pub ppp: PppClient,
}

/// Who may set up tunnels to us, and what they get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    pub name: String,
    /// Own addresses that are listened on; empty means all.
    pub listen: Vec<IpAddr>,
    /// Networks that tunnels are taken from; empty means all.
    pub allow: Vec<Prefix>,
    /// Table in which the tunnel's own packets travel; the table that the
    /// peer's first message came in by when not given.
    pub table: Option<u32>,
    /// Our PPP address; when the file does not say, an own address of the
    /// payload table, that of the `remote-ip`'s network if there is one.
    pub local_ip: Ipv4Addr,
    /// Whether the file says it.
    pub local_ip_given: bool,
    /// The peer's Host Name AVP; any when not given.
    pub remote_hostname: Option<String>,
    /// Our Host Name AVP; the appliance's name when not given.
    pub local_hostname: String,
    pub secret: Option<Secret>,
    pub payload_table: u32,
    pub lcp_rate: Duration,
    pub lcp_timeout: Duration,
    pub tcp_mss_fix: bool,
    /// The links that may come in, `match` in the file. Each has its set resolved.
    pub matches: Vec<Match>,
    pub peering: Peering,
    pub udp_checksum: bool,
    pub comment: Option<String>,
    pub mtu: Option<u16>,
    /// What is sent at most on a link whose match does not say, bits per second
    /// of outer IP packets.
    pub speed: Option<u64>,
    pub ppp: PppServer,
}

/// How PPP is talked, at either end of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ppp {
    /// How the client proves who it is, best first: what a client agrees to,
    /// what a server asks for.
    pub authentication: Vec<AuthProtocol>,
    /// Send FF 03 before the PPP protocol (RFC 1661, 6.6); received are both forms.
    pub address_control: bool,
    /// Do not look at the peer's magic numbers.
    pub ignore_magic: bool,
    pub timers: Timers,
}

/// PPP of an `outgoing`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PppClient {
    pub link: Ppp,
    /// What is asked for besides an address, `request` in the file.
    pub wanted: Wanted,
}

/// PPP of an `incoming`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PppServer {
    pub link: Ppp,
    /// Time after which a peer on an open link has to prove again who it is.
    pub rechallenge: Option<Duration>,
    /// What peers are told that ask, `dns` and `nbns` in the file.
    pub name_servers: NameServers,
    /// How far a LAC is believed that negotiated before us, `proxy-lcp` and
    /// `proxy-authentication` in the file.
    pub proxy: ProxyPolicy,
}

/// One login, and the address and routes that come with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The link's name in status and graphs; the `username` when not given.
    pub graph: String,
    pub username: String,
    pub password: Secret,
    /// PPP address of the peer. With the `incoming` and the set it names a *remote*.
    pub remote_ip: Ipv4Addr,
    /// What is routed to the peer besides `remote_ip`: its own `routes`, else the set's.
    pub routes: Vec<Prefix>,
    /// Place in [`Config::ha_sets`]: the match's own, else that of the `incoming`.
    pub ha_set: Option<usize>,
    pub comment: Option<String>,
    /// What is sent at most, bits per second of outer IP packets: the match's
    /// own, else that of the `incoming`.
    pub speed: Option<u64>,
}

/// A set of links that carry the same packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HaSet {
    pub name: String,
    /// Numbers that the elimination window spans, a power of two.
    pub window: u64,
    /// How long replaced epochs and leaving links are still received.
    pub grace: Duration,
    /// Largest inner IP packet that the set presents, octets.
    pub mtu: u16,
    /// The routes of all links, when they stand here once.
    pub routes: Option<Vec<Prefix>>,
    /// What comes out of the set leaves in order; when not given, as it comes.
    pub ordering: Option<Ordering>,
}

/// How what comes out of a set is put into order (RFC 9550).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ordering {
    /// The longest that a missing packet is waited for.
    pub max_delay: Duration,
    /// Wait no longer than the second quickest link is behind.
    pub adaptive: bool,
}

/// A static route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    pub to: Prefix,
    pub via: Via,
    pub table: u32,
}

/// Where a static route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// A neighbour on a connected network: `interface` is a place in [`Config::interfaces`].
    Gateway {
        interface: usize,
        address: IpAddr,
    },
    /// Straight out of an interface: a place in [`Config::interfaces`].
    Interface(usize),
    /// Into an HA set: a place in [`Config::ha_sets`].
    HaSet(usize),
    Blackhole,
}

/// A neighbour whose hardware address is not asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Place in [`Config::interfaces`].
    pub interface: usize,
    pub address: IpAddr,
    pub mac: [u8; 6],
}
