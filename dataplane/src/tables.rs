//! What one worker knows of the world: interfaces, routes, neighbours,
//! sessions and sets. Changed by command only, between bursts.
//!
//! What a lookup found is remembered together with the tables' generation,
//! which every command raises: a packet to a known destination costs one
//! comparison, and nothing that was resolved before a change is used after it.

mod inbound;
mod interfaces;
mod resolved;
mod routes;
mod sessions;
mod sets;
pub(crate) mod shortcuts;
mod wire_index;

use std::iter::successors;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use hashbrown::HashMap;

use crate::command::{Command, InterfaceId, NextHop, PortId, SessionId, SessionSpec, SetId};
use crate::command::{SetSpec, TableId};
use crate::config::Encapsulation;
use crate::headers::ethernet::{self, Ethernet};
use crate::transform::split::MIN_MEMBER_MTU;
use crate::worker::{LogicalPort, WorkerPort};

pub(crate) use interfaces::Interface;
pub(crate) use resolved::{Address, HopPlace};
pub use routes::{Routes, TableSlot};
pub(crate) use sessions::Session;
pub(crate) use sets::{Judge, Member, Set};
pub(crate) use shortcuts::{ShortTarget, Shortcut};
pub use wire_index::WireIndex;

use inbound::Inbounds;
pub(crate) use inbound::{Inbound, InboundSlot};
use interfaces::Interfaces;
use resolved::Resolved;
use sessions::Sessions;
use sets::Sets;
use shortcuts::Shortcuts;

/// The way out of an interface to one next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// Place of the port in the worker's list.
    pub(crate) port: usize,
    pub(crate) interface: InterfaceId,
    pub(crate) next_hop: IpAddr,
    /// Largest IP packet, octets.
    pub(crate) mtu: u16,
    /// The Ethernet header; `None` while the neighbour's address is unknown.
    pub(crate) ethernet: Option<[u8; ethernet::HEADER_OCTETS]>,
    /// The port fills in the IPv4 header checksum and the UDP checksum of what is
    /// encapsulated here.
    pub(crate) fills_in_checksums: bool,
}

/// What became of a destination in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hop {
    NoRoute,
    Blackhole,
    /// The broadcast address of a connected network.
    Broadcast,
    Local,
    Link(Link),
    Session(SessionId),
    Set(SetId),
}

/// A port, as far as lookups depend on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PortState {
    mac: [u8; 6],
    up: bool,
    fills_in_checksums: bool,
    /// Of a logical port: the one that it is on.
    carrier: Option<usize>,
    /// It has no way out without a session of PPPoE.
    needs_session: bool,
    in_session: bool,
}

impl PortState {
    pub(crate) fn of_device(port: &WorkerPort) -> Self {
        Self {
            mac: port.mac,
            up: port.up,
            fills_in_checksums: port.fills_in_checksums,
            carrier: None,
            needs_session: false,
            in_session: false,
        }
    }

    /// Of a logical port on this one. Its device would look for the headers where
    /// they are without a tag, so it fills in nothing.
    pub(crate) fn of_logical(&self, port: &LogicalPort) -> Self {
        Self {
            mac: self.mac,
            up: true,
            fills_in_checksums: false,
            carrier: Some(port.carrier),
            needs_session: port.encapsulation == Encapsulation::Pppoe,
            in_session: false,
        }
    }
}

/// All tables of one worker.
#[derive(Debug)]
pub(crate) struct Tables {
    /// Of this worker among all: chooses its counters.
    worker: usize,
    generation: u64,
    ports: Vec<PortState>,
    interfaces: Interfaces,
    routes: Routes,
    neighbours: HashMap<(InterfaceId, IpAddr), [u8; 6]>,
    sessions: Sessions,
    inbounds: Inbounds,
    sets: Sets,
    resolved: Resolved<Ipv4Addr>,
    resolved_ipv6: Resolved<Ipv6Addr>,
    shortcuts: Shortcuts<Ipv4Addr>,
    shortcuts_ipv6: Shortcuts<Ipv6Addr>,
}

impl Tables {
    /// Empty tables over these ports.
    pub(crate) fn new(worker: usize, ports: Vec<PortState>) -> Self {
        Self {
            worker,
            generation: 1,
            ports,
            interfaces: Interfaces::default(),
            routes: Routes::default(),
            neighbours: HashMap::new(),
            sessions: Sessions::default(),
            inbounds: Inbounds::default(),
            sets: Sets::default(),
            resolved: Resolved::default(),
            resolved_ipv6: Resolved::default(),
            shortcuts: Shortcuts::default(),
            shortcuts_ipv6: Shortcuts::default(),
        }
    }

    /// Which worker's they are.
    pub(crate) fn worker(&self) -> usize {
        self.worker
    }

    /// Carries a command out. What names something that is not there (a port,
    /// an id beyond the tables) is ignored: control checks before it asks.
    pub(crate) fn apply(&mut self, command: Command) {
        self.generation += 1;
        self.shortcuts.forget(self.routes.count());
        self.shortcuts_ipv6.forget(self.routes.count());
        match command {
            Command::SetInterface(spec) => {
                let table = self.routes.slot(spec.table);
                self.interfaces.set(spec, table);
            }
            Command::RemoveInterface(id) => self.interfaces.remove(id),
            Command::SetRoute {
                table,
                prefix,
                next_hop,
            } => self.routes.set(table, prefix, next_hop),
            Command::RemoveRoute { table, prefix } => self.routes.remove(table, prefix),
            Command::SetNeighbour {
                interface,
                address,
                mac,
            } => {
                self.neighbours.insert((interface, address), mac);
            }
            Command::RemoveNeighbour { interface, address } => {
                self.neighbours.remove(&(interface, address));
            }
            Command::SetPortLink { port, up } => {
                if let Some(state) = self.ports.get_mut(usize::from(port.0)) {
                    state.up = up;
                }
            }
            Command::SetPppoe { port, session } => {
                if let Some(state) = self.ports.get_mut(usize::from(port.0)) {
                    state.in_session = session.is_some();
                }
            }
            Command::SetSession(spec) => self.set_session(spec),
            Command::RemoveSession(id) => self.remove_session(id),
            Command::SetSet(spec) => self.set_set(spec),
            Command::RemoveSet(id) => self.sets.remove(id),
            Command::Capture(_) => {}
        }
    }

    fn set_session(&mut self, spec: Arc<SessionSpec>) {
        let table = self.routes.slot(spec.table);
        let payload_table = self.routes.slot(spec.payload_table);
        let id = spec.id;
        match Session::new(spec, self.worker, table, payload_table) {
            Some(session) => {
                self.inbounds.remove(id);
                self.sessions.set(session);
            }
            None => self.remove_session(id),
        }
    }

    fn remove_session(&mut self, id: SessionId) {
        self.inbounds.remove(id);
        self.sessions.remove(id);
    }

    fn set_set(&mut self, spec: Arc<SetSpec>) {
        let payload_table = self.routes.slot(spec.payload_table);
        self.sets.set(Set::new(spec, self.worker, payload_table));
    }

    /// Whether frames can leave by the port, as far as is known: its link and those
    /// of all that carry it are up, and it is in a session if it needs one.
    pub(crate) fn port_up(&self, port: usize) -> bool {
        let first = self.ports.get(port);
        let mut carriers = successors(first, |state| self.ports.get(state.carrier?));
        first.is_some()
            && carriers.all(|state| state.up && (state.in_session || !state.needs_session))
    }

    pub(crate) fn table_slot(&mut self, table: TableId) -> TableSlot {
        self.routes.slot(table)
    }

    pub(crate) fn table_id(&self, slot: TableSlot) -> TableId {
        self.routes.id(slot)
    }

    /// The interface that a packet from `source` to `destination` came in on.
    #[inline]
    pub(crate) fn arrival<A: Address>(
        &self,
        port: usize,
        source: A,
        destination: A,
    ) -> Option<&Interface> {
        self.interfaces.arrival(port, source, destination)
    }

    pub(crate) fn interface(&self, id: InterfaceId) -> Option<&Interface> {
        self.interfaces.get(id)
    }

    /// Whether neighbour discovery that comes in on the port for this address is for us.
    pub(crate) fn hears_discovery(&self, port: usize, destination: Ipv6Addr) -> bool {
        self.interfaces.hears_discovery(port, destination)
    }

    /// Whether DHCP that comes in on the port for this group of stations is for us.
    pub(crate) fn hears_dhcp(&self, port: usize, destination: IpAddr) -> bool {
        self.interfaces.hears_dhcp(port, destination)
    }

    pub(crate) fn interface_port(&self, id: InterfaceId) -> Option<PortId> {
        self.interfaces
            .get(id)
            .map(|interface| interface.spec.port)
            .filter(|port| usize::from(port.0) < self.ports.len())
    }

    /// Where packets to `destination` go from the table: see [`Self::hop`].
    #[inline]
    pub(crate) fn resolve<A: Address>(&mut self, table: TableSlot, destination: A) -> HopPlace<A> {
        let (place, found) = A::resolved(self).find(self.generation, table, destination);
        if !found {
            let generation = self.generation;
            let hop = self.look_up(table, destination);
            A::resolved_mut(self).remember(place, generation, table, destination, hop);
        }
        place
    }

    /// What was resolved last into this place of a family.
    #[inline]
    pub(crate) fn hop<A: Address>(&self, place: HopPlace<A>) -> &Hop {
        A::resolved(self).hop(place)
    }

    /// Has the place where the way of the last packet to this destination is remembered
    /// brought into the cache.
    #[inline(always)]
    pub(crate) fn prefetch_shortcut<A: Address>(&self, table: TableSlot, destination: A) {
        A::shortcuts(self).prefetch(table, destination);
    }

    /// The way of the last packet to this destination, if the next may go the
    /// same without being decided about.
    #[inline(always)]
    pub(crate) fn shortcut<A: Address>(
        &self,
        table: TableSlot,
        destination: A,
    ) -> Option<&Shortcut> {
        A::shortcuts(self).get(table, destination)
    }

    pub(crate) fn set_shortcut<A: Address>(
        &mut self,
        table: TableSlot,
        destination: A,
        shortcut: Shortcut,
    ) {
        A::shortcuts_mut(self).set(table, destination, shortcut);
    }

    /// The table in which whatever comes in by the port is routed, when that is
    /// the same for all of it and it may be routed onwards.
    #[inline]
    pub(crate) fn forwarding_table(&self, port: usize) -> Option<TableSlot> {
        let (table, forwards) = self.only_table(port)?;
        forwards.then_some(table)
    }

    /// The table in which whatever comes in by the port is looked up, when that is the
    /// same for all of it, and whether it may be routed onwards.
    #[inline]
    pub(crate) fn only_table(&self, port: usize) -> Option<(TableSlot, bool)> {
        self.interfaces.only_table(port)
    }

    /// Whether packets to this destination are known to be for us.
    #[inline]
    pub(crate) fn leads_here<A: Address>(&self, table: TableSlot, destination: A) -> bool {
        self.shortcut(table, destination)
            .is_some_and(|shortcut| *shortcut == Shortcut::LOCAL)
    }

    fn look_up<A: Address>(&self, table: TableSlot, destination: A) -> Hop {
        match destination.longest_match(&self.routes, table) {
            None => Hop::NoRoute,
            Some(NextHop::Blackhole) => Hop::Blackhole,
            Some(NextHop::Local) => Hop::Local,
            Some(NextHop::Session(id)) => Hop::Session(id),
            Some(NextHop::Set(id)) => Hop::Set(id),
            Some(NextHop::Interface { interface, via }) => self
                .link(interface, via, destination)
                .unwrap_or(Hop::NoRoute),
        }
    }

    fn link<A: Address>(
        &self,
        id: InterfaceId,
        via: Option<IpAddr>,
        destination: A,
    ) -> Option<Hop> {
        let interface = self.interfaces.get(id)?;
        let destination = destination.into();
        if via.is_none() && interface.is_broadcast(destination) {
            return Some(Hop::Broadcast);
        }
        let port = usize::from(interface.spec.port.0);
        let state = self.ports.get(port)?;
        let next_hop = via.unwrap_or(destination);
        let header = |&destination: &[u8; 6]| {
            Ethernet {
                destination,
                source: state.mac,
                ether_type: A::ETHER_TYPE,
            }
            .octets()
        };
        let ethernet = self.neighbours.get(&(id, next_hop)).map(header);
        Some(Hop::Link(Link {
            port,
            interface: id,
            next_hop,
            mtu: interface.spec.mtu,
            ethernet,
            // What waits for its neighbour leaves another way.
            fills_in_checksums: state.fills_in_checksums && ethernet.is_some(),
        }))
    }

    pub(crate) fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(id)
    }

    pub(crate) fn session_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.sessions.get_mut(id)
    }

    /// The session that the peer addresses by these ids.
    #[inline]
    pub(crate) fn session_by_wire(&self, tunnel: u16, session: u16) -> Option<&Session> {
        self.sessions.by_wire(tunnel, session)
    }

    /// The same by both ids as one number, tunnel first.
    #[inline]
    pub(crate) fn session_by_ids(&self, ids: u32) -> Option<&Session> {
        self.sessions.get(self.sessions.wire_index().get(ids)?)
    }

    /// Has the place of the session with these ids brought into the cache, and
    /// [then](Self::prefetch_session) the session.
    #[inline]
    pub(crate) fn prefetch_slot(&self, ids: u32) {
        if let Some(id) = self.sessions.wire_index().get(ids) {
            self.sessions.prefetch_slot(id);
        }
    }

    #[inline]
    pub(crate) fn prefetch_session(&self, ids: u32) {
        if let Some(session) = self.session_by_ids(ids) {
            dpdk::prefetch_all(session);
        }
    }

    /// Whether a session's peer sends from this address to this tunnel.
    pub(crate) fn is_peer(&self, tunnel: u16, address: IpAddr) -> bool {
        self.sessions.is_peer(tunnel, address)
    }

    /// The way to a session's peer, looked up once for each state of the tables.
    #[inline]
    pub(crate) fn session_link(&mut self, id: SessionId) -> Option<&Link> {
        if self.sessions.get(id)?.link_generation != self.generation {
            self.refresh_session(id);
        }
        self.sessions.get(id)?.link.as_ref()
    }

    fn refresh_session(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        let hop = match session.spec.peer.ip() {
            IpAddr::V4(peer) => self.look_up(session.table, peer),
            IpAddr::V6(peer) => self.look_up(session.table, peer),
        };
        let link = match hop {
            Hop::Link(link) => Some(link),
            // A tunnel's own packets do not travel in tunnels.
            _ => None,
        };
        if let Some(session) = self.sessions.get_mut(id) {
            session.link = link;
            session.link_generation = self.generation;
        }
    }

    pub(crate) fn set(&self, id: SetId) -> Option<&Set> {
        self.sets.get(id)
    }

    /// The set whose live members, as the tables are now, are all usual ones; `None` also
    /// when they have to be found again.
    #[inline(always)]
    pub(crate) fn usual_set(&self, id: SetId) -> Option<&Set> {
        let set = self.sets.get(id)?;
        (set.is_usual && set.generation == self.generation).then_some(set)
    }

    /// Has what sending takes of a set brought into the cache, but for what it refers to.
    #[inline]
    pub(crate) fn prefetch_set(&self, id: SetId) {
        self.sets.prefetch(id);
    }

    /// The set with its live members as the tables are now.
    #[inline]
    pub(crate) fn live_set(&mut self, id: SetId) -> Option<&mut Set> {
        let generation = self.generation;
        if self.sets.get(id)?.generation != generation {
            self.refresh_set(id);
        }
        self.sets.get_mut(id)
    }

    fn refresh_set(&mut self, id: SetId) {
        let Some(mut set) = self.sets.take(id) else {
            return;
        };
        set.generation = self.generation;
        set.clear_members();
        let spec = Arc::clone(&set.spec);
        for &session in &spec.members {
            let link = self.session_link(session).copied();
            let Some(of_session) = self.sessions.get(session) else {
                continue;
            };
            match link.filter(|link| self.port_up(link.port)) {
                Some(link) if of_session.spec.set == Some(id) => {
                    let mtu = of_session.inner_mtu(&link);
                    let member = Member::new(of_session, link, spec.send_epoch);
                    if mtu < MIN_MEMBER_MTU {
                        set.too_small.push(member);
                    } else {
                        set.push_member(member, mtu);
                    }
                }
                _ => set.absent.push(session),
            }
        }
        set.is_usual &= !set.members.is_empty();
        set.is_incomplete = !(set.absent.is_empty() && set.too_small.is_empty());
        self.sets.give_back(set);
    }
}

#[cfg(test)]
mod tests;
