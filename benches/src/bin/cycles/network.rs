//! What a worker of the bed knows: a LAN, three uplinks, and remotes behind them. Each remote is a set or a plain session,
//! with a network of hosts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use dataplane::Encapsulation;
use dataplane::arrivals::Arrivals;
use dataplane::command::{
    Command, Epoch, InterfaceId, InterfaceSpec, NextHop, Ordering, PortId, Prefix, SessionId,
    SessionSpec, SetId, SetSpec, TableId,
};
use dataplane::headers::encapsulation::{HA_OCTETS, IPV6_EXTRA_OCTETS, PLAIN_OCTETS, Template};
use dataplane::headers::{ethernet, vlan};
use dataplane::worker::{Inbox, LogicalPort};

/// Uplinks of the worker.
pub(crate) const LINKS: usize = 3;
/// Its ports: the LAN's is the first, uplink n has n + 1.
pub(crate) const PORTS: usize = 1 + LINKS;

/// Of the uplinks that are on VLANs.
pub(crate) const VLAN: u16 = 7;

const LAN_TABLE: TableId = TableId(0);
const EPOCH: u32 = 0x5eed_0001;
/// As a configuration has it by default.
const WINDOW_NUMBERS: u64 = 262_144;
/// Of all ports.
const MTU: u16 = 1500;
/// Hosts of our LAN, and the most that one remote has.
pub(crate) const HOSTS: u8 = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Ipv4,
    Ipv6,
}

impl Family {
    pub(crate) fn ether_type(self) -> u16 {
        match self {
            Self::Ipv4 => ethernet::ETHER_TYPE_IPV4,
            Self::Ipv6 => ethernet::ETHER_TYPE_IPV6,
        }
    }
}

/// What a remote is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Sessions of the set; `None` for one plain session.
    pub(crate) links: Option<usize>,
    /// What the tunnels go over.
    pub(crate) outer: Family,
    /// Whether the outer packets carry a UDP checksum; over IPv6 they always do.
    pub(crate) udp_checksum: bool,
    /// Largest packet that the way to the peer takes, octets. Inner packets may have 1500 where this is less than a port's.
    pub(crate) path_mtu: u16,
    pub(crate) ordered: bool,
    /// The uplinks are VLANs on the ports: for all remotes of a bed or for none.
    pub(crate) on_vlans: bool,
    /// All links go by the first uplink, as where only the other site has several lines.
    pub(crate) by_one_port: bool,
}

impl Kind {
    /// A set as most are.
    pub(crate) fn set(links: usize) -> Self {
        Self {
            links: Some(links),
            ..Self::session()
        }
    }

    /// A plain session.
    pub(crate) fn session() -> Self {
        Self {
            links: None,
            outer: Family::Ipv4,
            udp_checksum: true,
            path_mtu: MTU,
            ordered: false,
            on_vlans: false,
            by_one_port: false,
        }
    }

    fn sessions(self) -> usize {
        self.links.unwrap_or(1)
    }

    /// Octets before an inner packet, from the outer IP header on.
    pub(crate) fn headers_octets(self) -> usize {
        let over_ipv4 = if self.links.is_some() {
            HA_OCTETS
        } else {
            PLAIN_OCTETS
        };
        match self.outer {
            Family::Ipv4 => over_ipv4,
            Family::Ipv6 => over_ipv4 + IPV6_EXTRA_OCTETS,
        }
    }

    /// Octets before an outer IP packet.
    pub(crate) fn ethernet_octets(self) -> usize {
        if self.on_vlans {
            vlan::HEADER_OCTETS
        } else {
            ethernet::HEADER_OCTETS
        }
    }

    /// Largest inner packet that a link takes whole, octets.
    pub(crate) fn whole_mtu(self) -> u16 {
        self.path_mtu - self.headers_octets() as u16
    }

    /// Largest inner packet, octets.
    fn set_mtu(self) -> u16 {
        if self.path_mtu < MTU {
            MTU
        } else {
            self.whole_mtu()
        }
    }
}

/// A far site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) kind: Kind,
    /// Its place among the remotes.
    index: usize,
    first_session: u32,
}

impl Remote {
    /// The set it is, if it is one.
    pub(crate) fn set(&self) -> Option<SetId> {
        self.kind.links.map(|_| SetId(self.index as u32))
    }

    /// Its links, of which each has a session. Plain sessions are spread over all uplinks.
    pub(crate) fn links(&self) -> std::ops::Range<usize> {
        match self.kind.links {
            Some(links) => 0..links,
            None => {
                let uplink = self.index % LINKS;
                uplink..uplink + 1
            }
        }
    }

    /// The uplink that a link goes by.
    pub(crate) fn uplink(&self, link: usize) -> usize {
        if self.kind.by_one_port { 0 } else { link }
    }

    /// A host behind it.
    pub(crate) fn host(&self, family: Family, number: u8) -> IpAddr {
        let [high, low] = (self.index as u16).to_be_bytes();
        match family {
            Family::Ipv4 => Ipv4Addr::new(10, high, low, 1 + number).into(),
            Family::Ipv6 => {
                let [host, index] = [1 + u16::from(number), self.index as u16];
                Ipv6Addr::new(0x2001, 0xdb8, 1, index, 0, 0, 0, host).into()
            }
        }
    }

    /// Its end of a tunnel.
    fn peer(&self, link: usize) -> IpAddr {
        let number = (self.index * LINKS + link) as u32;
        match self.kind.outer {
            // The shared address space (RFC 6598).
            Family::Ipv4 => Ipv4Addr::from_bits(0x6440_0001 + number).into(),
            Family::Ipv6 => {
                Ipv6Addr::from_bits((0x2001_0db8_ffff << 80) + 1 + u128::from(number)).into()
            }
        }
    }

    /// What it writes before its packets over this link, and with which epoch.
    pub(crate) fn far_end(&self, link: usize) -> (Template, u32) {
        let mut spec = self.session(link, 1);
        std::mem::swap(&mut spec.local, &mut spec.peer);
        std::mem::swap(&mut spec.local_tunnel, &mut spec.peer_tunnel);
        std::mem::swap(&mut spec.local_session, &mut spec.peer_session);
        let template = Template::new(&spec).expect("both ends are of one family");
        (template, EPOCH)
    }

    fn session_id(&self, link: usize) -> SessionId {
        SessionId(self.first_session + (link - self.links().start) as u32)
    }

    fn session(&self, link: usize, workers: usize) -> SessionSpec {
        let (id, uplink) = (self.session_id(link), self.uplink(link));
        let number = |base| wire_id(base, id);
        let arrivals = || Arc::new(Arrivals::new(EPOCH));
        SessionSpec {
            id,
            table: uplink_table(uplink),
            local: SocketAddr::new(local(self.kind.outer, uplink), 1701),
            peer: SocketAddr::new(self.peer(link), 1701),
            local_tunnel: number(0x1000),
            local_session: number(0x2000),
            peer_tunnel: number(0x3000),
            peer_session: number(0x4000),
            payload_table: LAN_TABLE,
            receive: true,
            tcp_mss_fix: true,
            mtu: self.kind.whole_mtu(),
            udp_checksum: self.kind.udp_checksum,
            address_control: false,
            set: self.set(),
            masked: false,
            sequence: Arc::default(),
            echo: None,
            speed: None,
            counters: (0..workers).map(|_| Arc::default()).collect(),
            arrivals: match self.set() {
                Some(_) => (0..workers).map(|_| arrivals()).collect(),
                None => Vec::new(),
            },
        }
    }

    fn set_spec(&self, workers: usize) -> Option<SetSpec> {
        Some(SetSpec {
            id: self.set()?,
            send_epoch: EPOCH,
            next_number: Arc::new(AtomicU64::new(0)),
            owner: 0,
            payload_table: LAN_TABLE,
            ordering: self.kind.ordered.then_some(Ordering {
                max_delay_us: 30_000,
                adaptive: true,
            }),
            members: self.links().map(|link| self.session_id(link)).collect(),
            epochs: vec![Epoch::new(EPOCH, WINDOW_NUMBERS)],
            mtu: self.kind.set_mtu(),
            tcp_mss_fix: true,
            next_best_skew_us: Arc::default(),
            counters: (0..workers).map(|_| Arc::default()).collect(),
        })
    }
}

/// The remotes of one bed, and what its workers share.
pub(crate) struct Network {
    pub(crate) remotes: Vec<Remote>,
    pub(crate) workers: usize,
    pub(crate) inboxes: Vec<Arc<Inbox>>,
    on_vlans: bool,
    sessions: Vec<Arc<SessionSpec>>,
    sets: Vec<Arc<SetSpec>>,
}

impl Network {
    pub(crate) fn new(kinds: impl IntoIterator<Item = Kind>, workers: usize) -> Self {
        let mut first_session = 0;
        let place = |(index, kind): (usize, Kind)| {
            let remote = Remote {
                kind,
                index,
                first_session,
            };
            first_session += kind.sessions() as u32;
            remote
        };
        let remotes: Vec<_> = kinds.into_iter().enumerate().map(place).collect();
        let sessions = remotes.iter().flat_map(|remote| {
            let links = remote.links();
            links.map(move |link| Arc::new(remote.session(link, workers)))
        });
        let sets = remotes.iter().filter_map(|remote| remote.set_spec(workers));
        Self {
            workers,
            inboxes: Inbox::for_workers(workers),
            on_vlans: remotes.iter().any(|remote| remote.kind.on_vlans),
            sessions: sessions.collect(),
            sets: sets.map(Arc::new).collect(),
            remotes,
        }
    }

    pub(crate) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn sets(&self) -> usize {
        self.sets.len()
    }

    /// What windows and books take in memory, octets.
    pub(crate) fn window_octets(&self) -> u64 {
        let rings = self.sessions.iter().map(|spec| spec.arrivals.len() as u64);
        let windows = self.sets.len() as u64 * Epoch::memory_octets(WINDOW_NUMBERS);
        windows + rings.sum::<u64>() * Arrivals::MEMORY_OCTETS
    }

    /// The worker's logical ports: one on each uplink, if its interface is to be there.
    pub(crate) fn logical_ports(&self) -> Vec<LogicalPort> {
        let uplinks = if self.on_vlans { 1..PORTS } else { 0..0 };
        let port = |carrier| LogicalPort {
            carrier,
            encapsulation: Encapsulation::Vlan(VLAN),
            counters: Arc::default(),
        };
        uplinks.map(port).collect()
    }

    /// Everything that a worker has to be told, in order.
    pub(crate) fn commands(&self) -> Vec<Command> {
        let mut commands = Vec::new();
        for port in 0..PORTS {
            let place = match port.checked_sub(1) {
                Some(uplink) if self.on_vlans => PORTS + uplink,
                _ => port,
            };
            commands.extend(interface(port, place));
        }
        for family in [Family::Ipv4, Family::Ipv6] {
            for number in 0..HOSTS {
                commands.push(neighbour(0, lan_host(family, number)));
            }
            for uplink in 0..LINKS {
                commands.push(neighbour(uplink + 1, gateway(family, uplink)));
                let default = Prefix::new(unspecified(family), 0);
                commands.push(route(uplink_table(uplink), default, via(family, uplink)));
            }
            let plain = Prefix::new(plain_host(family, 0), site_bits(family));
            commands.push(route(LAN_TABLE, plain, via(family, 0)));
        }
        let sessions = self.sessions.iter().cloned();
        commands.extend(sessions.map(Command::SetSession));
        commands.extend(self.sets.iter().cloned().map(Command::SetSet));
        for remote in &self.remotes {
            let next_hop = match remote.set() {
                Some(set) => NextHop::Set(set),
                None => NextHop::Session(SessionId(remote.first_session)),
            };
            for family in [Family::Ipv4, Family::Ipv6] {
                let network = Prefix::new(remote.host(family, 0), site_bits(family));
                commands.push(route(LAN_TABLE, network, next_hop));
            }
        }
        commands
    }
}

/// The worker's hardware address on a port.
pub(crate) fn mac(port: usize) -> [u8; 6] {
    [2, 0, 0, 0, 0, port as u8]
}

/// The hardware address of whoever is on the other end.
pub(crate) fn neighbour_mac(port: usize) -> [u8; 6] {
    [2, 0, 0, 0, 1, port as u8]
}

/// A host of our LAN.
pub(crate) fn lan_host(family: Family, number: u8) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::new(192, 168, 1, 2 + number).into(),
        Family::Ipv6 => Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 2 + u16::from(number)).into(),
    }
}

/// A host that is reached over the first uplink without a tunnel. From 51 200 remotes on one of them has this network.
pub(crate) fn plain_host(family: Family, number: u8) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::new(10, 200, 0, 1 + number).into(),
        Family::Ipv6 => Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, 1 + u16::from(number)).into(),
    }
}

/// Length of the prefix of one site.
fn site_bits(family: Family) -> u8 {
    match family {
        Family::Ipv4 => 24,
        Family::Ipv6 => 64,
    }
}

fn unspecified(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn local(family: Family, uplink: usize) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::new(198, 51, uplink as u8, 2).into(),
        Family::Ipv6 => Ipv6Addr::new(0x2001, 0xdb8, 0xf0, uplink as u16, 0, 0, 0, 2).into(),
    }
}

fn gateway(family: Family, uplink: usize) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::new(198, 51, uplink as u8, 1).into(),
        Family::Ipv6 => Ipv6Addr::new(0x2001, 0xdb8, 0xf0, uplink as u16, 0, 0, 0, 1).into(),
    }
}

/// A tunnel's or session's id on the wire: a series of their own from each base, and none is 0.
fn wire_id(base: u32, session: SessionId) -> u16 {
    const IDS: u32 = 0xffff;
    ((base + session.0 - 1) % IDS + 1) as u16
}

fn uplink_table(uplink: usize) -> TableId {
    TableId(1 + uplink as u32)
}

fn via(family: Family, uplink: usize) -> NextHop {
    NextHop::Interface {
        interface: InterfaceId(uplink as u16 + 1),
        via: Some(gateway(family, uplink)),
    }
}

/// A port's interface, which is in this place, and the routes to it and to the network on it.
fn interface(port: usize, place: usize) -> Vec<Command> {
    let id = port as u16;
    let (table, forward) = match port.checked_sub(1) {
        Some(uplink) => (uplink_table(uplink), false),
        None => (LAN_TABLE, true),
    };
    let own = |family| match (port.checked_sub(1), family) {
        (Some(uplink), family) => local(family, uplink),
        (None, Family::Ipv4) => Ipv4Addr::new(192, 168, 1, 1).into(),
        (None, Family::Ipv6) => Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 1).into(),
    };
    let addresses = [Family::Ipv4, Family::Ipv6].map(|family| (own(family), site_bits(family)));
    let spec = InterfaceSpec {
        id: InterfaceId(id),
        port: PortId(place as u16),
        table,
        addresses: addresses.to_vec(),
        mtu: MTU,
        forward,
    };
    let connected = NextHop::Interface {
        interface: InterfaceId(id),
        via: None,
    };
    let mut commands = vec![Command::SetInterface(Arc::new(spec))];
    for (address, bits) in addresses {
        commands.push(route(table, Prefix::host(address), NextHop::Local));
        commands.push(route(table, Prefix::new(address, bits), connected));
    }
    commands
}

fn route(table: TableId, prefix: Prefix, next_hop: NextHop) -> Command {
    Command::SetRoute {
        table,
        prefix,
        next_hop,
    }
}

fn neighbour(port: usize, address: IpAddr) -> Command {
    Command::SetNeighbour {
        interface: InterfaceId(port as u16),
        address,
        mac: neighbour_mac(port),
    }
}
