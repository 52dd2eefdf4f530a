//! Interfaces whose addresses come and go: what each has now, and what follows
//! from a change for routes, neighbours, tunnels and dialling.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dataplane::command::{
    Command, InterfaceId, InterfaceSpec, NextHop, Prefix, SessionId, TableId,
};
use dataplane::headers::ipv6;

use super::happening::Ending;
use super::link::Origin;
use super::path_mtu::overhead;
use super::rib::Source;
use super::uplink::{GivenBy, Uplink};
use super::{Engine, LINK_LOCAL_LENGTH};
use crate::addressing::{Assignment, delegated_address};
use crate::config::Config;
use crate::host::{self, link_local};
use crate::l2tp::TunnelId;

/// An own address, and who gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OwnAddress {
    pub(super) address: IpAddr,
    pub(super) prefix_length: u8,
    pub(super) given_by: GivenBy,
    pub(super) preferred_until: Option<Duration>,
    pub(super) valid_until: Option<Duration>,
}

impl OwnAddress {
    pub(super) fn network(&self) -> Prefix {
        Prefix::new(self.address, self.prefix_length)
    }
}

/// Where a default route of the table leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gateway {
    pub(super) address: IpAddr,
    pub(super) given_by: GivenBy,
    pub(super) valid_until: Option<Duration>,
}

/// An interface as it is now.
pub(super) struct InterfaceState {
    /// Place of its port among all ports, the logical ones included.
    pub(super) port: usize,
    /// Without the link-local one of IPv6.
    pub(super) addresses: Vec<OwnAddress>,
    /// At most one of each family.
    pub(super) gateways: Vec<Gateway>,
    /// Largest IP packet, octets.
    pub(super) mtu: u16,
    pub(super) uplink: Uplink,
    /// Packets of DHCP that nobody here waits for.
    pub(super) unasked: u64,
    /// What the uplink had been given when that was last looked at.
    pub(super) given: Vec<Assignment>,
    /// What the workers were told last.
    installed: Option<Arc<InterfaceSpec>>,
    /// Networks whose hosts are neighbours, besides those of the addresses.
    on_link: Vec<Prefix>,
    /// The routes that it offers.
    offered: BTreeMap<(Prefix, Source), NextHop>,
    /// Neighbours that are not asked for: the far end of a PPPoE line.
    far_end: BTreeMap<IpAddr, [u8; 6]>,
}

impl InterfaceState {
    fn new(port: usize) -> Self {
        Self {
            port,
            addresses: Vec::new(),
            gateways: Vec::new(),
            mtu: 0,
            uplink: Uplink::default(),
            unasked: 0,
            given: Vec::new(),
            installed: None,
            on_link: Vec::new(),
            offered: BTreeMap::new(),
            far_end: BTreeMap::new(),
        }
    }

    pub(super) fn has(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|own| own.address == address)
    }

    /// Whether the uplink has been given something else since that was last looked
    /// at, if only more time.
    pub(super) fn has_news(&self) -> bool {
        let given = self.uplink.assignments().map(|(_, assignment)| assignment);
        !given.eq(&self.given)
    }
}

impl Engine {
    pub(super) fn install_interfaces(&mut self, now: Duration) {
        for place in 0..self.interfaces.len() {
            self.refresh_interface(now, place);
        }
        for neighbour in self.config.neighbours.clone() {
            self.neighbours.set_static(
                now,
                interface_id(neighbour.interface),
                neighbour.address,
                neighbour.mac,
            );
        }
        self.settle_neighbours(now);
    }

    /// Brings everything in line with what the interface has been given, and so
    /// those that have networks out of what was delegated to it.
    pub(super) fn refresh_interface(&mut self, now: Duration, place: usize) {
        self.refresh(now, place);
        let places = 0..self.config.interfaces.len();
        let dependent: Vec<usize> = places
            .filter(|&other| {
                let delegated = self.config.interfaces[other].delegated;
                delegated.is_some_and(|delegated| delegated.from == place)
            })
            .collect();
        for other in dependent {
            self.refresh(now, other);
        }
        self.settle_neighbours(now);
    }

    fn refresh(&mut self, now: Duration, place: usize) {
        let before: Vec<IpAddr> = addresses(&self.interfaces[place].addresses);
        self.look_up(place);
        self.install(now, place);
        self.offer_routes(place);
        self.tell_lan(now, place);
        let state = &self.interfaces[place];
        let is_new = addresses(&state.addresses)
            .iter()
            .any(|own| !before.contains(own));
        // What ends here is to be dialled anew from what is new.
        if before.iter().any(|&old| !state.has(old)) {
            self.end_tunnels_without_address(now);
        }
        if is_new {
            self.hurry_dialers(now, self.config.interfaces[place].table);
        }
    }

    /// What the interface has, by the configuration and by what it was given.
    fn look_up(&mut self, place: usize) {
        let mut addresses = self.addresses_of(place);
        let mut seen = BTreeSet::new();
        addresses.retain(|own| seen.insert(own.address));
        let gateways = self.gateways_of(place, &addresses);
        let mtu = self.mtu_of(place);
        let state = &mut self.interfaces[place];
        let given = state.uplink.assignments();
        state.given = given.map(|(_, assignment)| assignment.clone()).collect();
        state.addresses = addresses;
        state.gateways = gateways;
        state.mtu = mtu;
    }

    fn addresses_of(&self, place: usize) -> Vec<OwnAddress> {
        let interface = &self.config.interfaces[place];
        let configured = interface.addresses.iter().map(|own| OwnAddress {
            address: own.address,
            prefix_length: own.prefix_length,
            given_by: GivenBy::Configuration,
            preferred_until: None,
            valid_until: None,
        });
        let uplink = &self.interfaces[place].uplink;
        let given = uplink.assignments().flat_map(|(given_by, assignment)| {
            assignment.addresses.iter().map(move |own| OwnAddress {
                address: own.address,
                prefix_length: own.prefix_length,
                given_by,
                preferred_until: own.preferred_until,
                valid_until: own.valid_until,
            })
        });
        let delegated = interface.delegated.and_then(|delegated| {
            let from = &self.interfaces[delegated.from].uplink;
            let network = from.delegated().next()?;
            let (address, prefix_length) =
                delegated_address(network.prefix, delegated.subnet, delegated.interface_id)?;
            Some(OwnAddress {
                address: address.into(),
                prefix_length,
                given_by: GivenBy::Delegation,
                preferred_until: network.preferred_until,
                valid_until: network.valid_until,
            })
        });
        configured.chain(given).chain(delegated).collect()
    }

    /// The file's, else what the network says.
    fn gateways_of(&self, place: usize, own: &[OwnAddress]) -> Vec<Gateway> {
        let interface = &self.config.interfaces[place];
        let mut gateways: Vec<Gateway> = interface
            .gateways
            .iter()
            .map(|&address| Gateway {
                address,
                given_by: GivenBy::Configuration,
                valid_until: None,
            })
            .collect();
        let uplink = &self.interfaces[place].uplink;
        let is_line = uplink.far_end().is_some();
        let is_neighbour = |address: IpAddr| {
            is_line
                || super::is_link_local(address)
                || own.iter().any(|own| own.network().contains(address))
        };
        for (given_by, assignment) in uplink.assignments() {
            for router in &assignment.routers {
                let of_family =
                    |other: &Gateway| other.address.is_ipv4() == router.address.is_ipv4();
                if is_neighbour(router.address) && !gateways.iter().any(of_family) {
                    gateways.push(Gateway {
                        address: router.address,
                        given_by,
                        valid_until: router.valid_until,
                    });
                }
            }
        }
        gateways
    }

    /// Of the file, the port and the network the smallest.
    fn mtu_of(&self, place: usize) -> u16 {
        let state = &self.interfaces[place];
        let config = &self.config.interfaces[place];
        // DHCP knows nothing of IPv6, which wants no less (RFC 8200, 5).
        let least = if config.may_have_ipv6() {
            ipv6::MIN_MTU
        } else {
            0
        };
        let said = state.uplink.assignments().filter_map(|(_, it)| it.mtu);
        said.map(|mtu| mtu.max(least))
            .chain(config.mtu)
            .chain([self.ports[state.port].mtu])
            .min()
            .unwrap_or_default()
    }

    /// Tells the workers and the neighbour tables, if anything is new.
    fn install(&mut self, now: Duration, place: usize) {
        let id = interface_id(place);
        let state = &self.interfaces[place];
        let port = &self.ports[state.port];
        let config = &self.config.interfaces[place];
        let own: Vec<(IpAddr, u8)> = state
            .addresses
            .iter()
            .map(|own| (own.address, own.prefix_length))
            .collect();
        let on_link: Vec<Prefix> = state
            .uplink
            .assignments()
            .flat_map(|(_, it)| it.on_link.iter().copied())
            .collect();
        let facts = host::Interface {
            id,
            port: port.id,
            table: TableId(config.table),
            mac: port.mac,
            addresses: own.clone(),
            forward: config.forward,
            on_link: on_link.clone(),
            point_to_point: config.pppoe.is_some(),
        };
        let spec = InterfaceSpec {
            id,
            port: port.id,
            table: TableId(config.table),
            addresses: self.interface_addresses(place),
            mtu: state.mtu,
            forward: config.forward,
        };
        let before = state.installed.clone();
        let spec = Arc::new(spec);
        if before.as_ref() != Some(&spec) {
            self.interfaces[place].installed = Some(Arc::clone(&spec));
            self.command(Command::SetInterface(Arc::clone(&spec)));
        }
        let before_on_link =
            std::mem::replace(&mut self.interfaces[place].on_link, on_link.clone());
        match before {
            None => self.neighbours.add_interface(now, facts),
            Some(before) => {
                if before.addresses != spec.addresses || before_on_link != on_link {
                    self.neighbours.set_addresses(now, id, own, on_link);
                }
                if before.forward != spec.forward {
                    self.neighbours.set_forward(now, id, spec.forward);
                }
                if before.mtu != spec.mtu {
                    self.fit_links(now, place);
                }
            }
        }
        self.install_far_end(now, place);
    }

    /// Nobody is asked for the hardware address of a line's far end.
    fn install_far_end(&mut self, now: Duration, place: usize) {
        let state = &self.interfaces[place];
        let far_end: BTreeMap<IpAddr, [u8; 6]> = match state.uplink.far_end() {
            Some(mac) => state.gateways.iter().map(|it| (it.address, mac)).collect(),
            None => BTreeMap::new(),
        };
        let id = interface_id(place);
        let before = std::mem::replace(&mut self.interfaces[place].far_end, far_end.clone());
        for (&address, _) in before.iter().filter(|(it, _)| !far_end.contains_key(it)) {
            self.neighbours.remove_static(id, address);
        }
        for (&address, &mac) in far_end
            .iter()
            .filter(|(it, mac)| before.get(it) != Some(mac))
        {
            self.neighbours.set_static(now, id, address, mac);
        }
    }

    /// Offers what is new before it takes back what is not, so that no packet
    /// finds no way in between.
    fn offer_routes(&mut self, place: usize) {
        let table = TableId(self.config.interfaces[place].table);
        let routes = self.interface_routes(place);
        let before = std::mem::replace(&mut self.interfaces[place].offered, routes.clone());
        for (&(prefix, source), &next_hop) in &routes {
            if before.get(&(prefix, source)) != Some(&next_hop) {
                self.offer(table, prefix, source, next_hop);
            }
        }
        for (prefix, source) in before.into_keys() {
            if !routes.contains_key(&(prefix, source)) {
                self.withdraw(table, prefix, source);
            }
        }
    }

    fn interface_routes(&self, place: usize) -> BTreeMap<(Prefix, Source), NextHop> {
        let state = &self.interfaces[place];
        let id = interface_id(place);
        let via = |via| NextHop::Interface { interface: id, via };
        let mut routes = BTreeMap::new();
        for own in &state.addresses {
            let network = own.network();
            if network != Prefix::host(own.address) {
                routes.insert((network, Source::Connected(id)), via(None));
            }
            if network.address.is_ipv4() && network.length < 31 {
                for broadcast in [network.address, network.last()] {
                    let host = Prefix::host(broadcast);
                    routes.insert((host, Source::Connected(id)), NextHop::Blackhole);
                }
            }
            let host = Prefix::host(own.address);
            routes.insert((host, Source::Own(id)), NextHop::Local);
        }
        for (_, assignment) in state.uplink.assignments() {
            for &network in &assignment.on_link {
                routes.insert((network, Source::Connected(id)), via(None));
            }
        }
        // What of it is on no interface must not go back and forth between the
        // ISP and us (RFC 7084, WPD-5).
        for network in state.uplink.delegated() {
            routes.insert((network.prefix, Source::Gateway(id)), NextHop::Blackhole);
        }
        for gateway in &state.gateways {
            let source = match gateway.given_by {
                GivenBy::Configuration => Source::Static,
                _ => Source::Gateway(id),
            };
            // Every destination of its family.
            let everything = Prefix::new(gateway.address, 0);
            routes.insert((everything, source), via(Some(gateway.address)));
        }
        routes
    }

    /// Own addresses of an interface, each with its prefix length, the
    /// link-local one last.
    pub(super) fn interface_addresses(&self, place: usize) -> Vec<(IpAddr, u8)> {
        let state = &self.interfaces[place];
        let link_local = link_local(self.ports[state.port].mac);
        let own = state.addresses.iter();
        own.map(|own| (own.address, own.prefix_length))
            .chain([(link_local.into(), LINK_LOCAL_LENGTH)])
            .collect()
    }

    /// Our address in a table, for packets that need one of the family of
    /// `towards`: the nearest to it, else one that is not on its way out.
    pub(super) fn own_address(&self, now: Duration, table: u32, towards: IpAddr) -> Option<IpAddr> {
        let own = || {
            self.interfaces
                .iter()
                .zip(&self.config.interfaces)
                .filter(move |(_, config)| config.table == table)
                .flat_map(|(state, _)| &state.addresses)
                .filter(move |own| own.address.is_ipv4() == towards.is_ipv4())
        };
        let is_preferred = |own: &&OwnAddress| own.preferred_until.is_none_or(|until| until > now);
        own()
            .find(|own| own.network().contains(towards))
            .or_else(|| own().find(is_preferred))
            .or_else(|| own().next())
            .map(|own| own.address)
    }

    /// Where a tunnel from this address travels, by its place.
    pub(super) fn interface_of(&self, table: u32, local: IpAddr) -> Option<usize> {
        (0..self.interfaces.len()).find(|&place| {
            self.config.interfaces[place].table == table && self.interfaces[place].has(local)
        })
    }

    /// A tunnel cannot go on from an address that is not ours any more: it is
    /// dialled anew from another.
    fn end_tunnels_without_address(&mut self, now: Duration) {
        let lost: Vec<(TunnelId, IpAddr)> = self
            .endpoint
            .tunnels()
            .filter_map(|tunnel| Some((tunnel, self.endpoint.tunnel(tunnel)?)))
            .map(|(tunnel, info)| (tunnel, info.table, info.local.ip()))
            .filter(|&(_, table, local)| self.interface_of(table, local).is_none())
            .map(|(tunnel, _, local)| (tunnel, local))
            .collect();
        for (tunnel, local) in lost {
            self.end_tunnel(now, tunnel, &Ending::AddressGone(local));
        }
        self.settle_endpoint(now);
    }

    /// What waits for its next attempt has a new address to try from.
    fn hurry_dialers(&mut self, now: Duration, table: u32) {
        for (index, outgoing) in self.config.l2tp.outgoing.iter().enumerate() {
            if outgoing.table == table && self.dialers[index].hurry(now) {
                self.attempts.insert((now, index));
            }
        }
    }

    /// The interface's MTU is another: so is what fits its links.
    fn fit_links(&mut self, now: Duration, place: usize) {
        let table = TableId(self.config.interfaces[place].table);
        let state = &self.interfaces[place];
        let path = state.mtu;
        let of_interface = |link: &&super::link::Link| {
            link.spec.table == table && state.has(link.spec.local.ip()) && !link.is_leaving()
        };
        let fits: Vec<(SessionId, u16)> = self
            .links
            .values()
            .filter(of_interface)
            .map(|link| {
                let (mtu, sequencing) = configured(&self.config, link.origin);
                let overhead = overhead(link.spec.local.ip(), link.set.is_some(), sequencing);
                let room = path.saturating_sub(overhead).min(link.ppp.peer_mru());
                (link.id, mtu.map_or(room, |mtu| mtu.min(room)))
            })
            .collect();
        for (id, mtu) in fits {
            self.set_whole_mtu(now, id, mtu);
            if let Some(link) = self.links.get_mut(&id) {
                let around = overhead(link.spec.local.ip(), true, false);
                link.path.set_ceiling(now, mtu.saturating_add(around));
            }
            self.reschedule(id);
        }
    }
}

/// A link's own `mtu`, and whether its data has sequence numbers.
fn configured(config: &Config, origin: Origin) -> (Option<u16>, bool) {
    match origin {
        Origin::Outgoing(index) => {
            let outgoing = &config.l2tp.outgoing[index];
            (outgoing.mtu, outgoing.peering.sequencing)
        }
        Origin::Incoming { incoming, .. } => {
            let incoming = &config.l2tp.incoming[incoming];
            (incoming.mtu, incoming.peering.sequencing)
        }
        Origin::Former => (None, false),
    }
}

fn addresses(own: &[OwnAddress]) -> Vec<IpAddr> {
    own.iter().map(|own| own.address).collect()
}

/// The states of all interfaces before anything is known of their networks.
pub(super) fn states(config: &Config) -> Vec<InterfaceState> {
    let ports = config.logical_ports().of_interface.into_iter();
    ports.map(InterfaceState::new).collect()
}

pub(super) fn interface_id(place: usize) -> InterfaceId {
    InterfaceId(
        u16::try_from(place).expect("the configuration is checked to have fewer interfaces"),
    )
}
