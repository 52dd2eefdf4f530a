//! What one worker knows of the world: interfaces, routes, neighbours,
//! sessions and sets. Changed by command only, between bursts.
//!
//! What a lookup found is remembered together with the tables' generation,
//! which every command raises: a packet to a known destination costs one
//! comparison, and nothing that was resolved before a change is used after it.

mod inbound;
mod interfaces;
mod routes;
mod sessions;
mod sets;
mod wire_index;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use hashbrown::HashMap;

use crate::command::{Command, InterfaceId, NextHop, PortId, SessionId, SessionSpec, SetId};
use crate::command::{SetSpec, TableId};
use crate::headers::ethernet::{self, Ethernet};
use crate::transform::split::MIN_MEMBER_MTU;

pub(crate) use interfaces::Interface;
pub(crate) use routes::TableSlot;
pub(crate) use sessions::Session;
pub(crate) use sets::{Member, Set};

use inbound::Inbounds;
use interfaces::Interfaces;
use routes::Routes;
use sessions::Sessions;
use sets::Sets;

/// Destinations whose resolution is remembered. A power of two.
const REMEMBERED: usize = 1024;

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

#[derive(Clone, Copy, Debug)]
struct PortState {
    mac: [u8; 6],
    up: bool,
}

#[derive(Clone, Copy, Debug)]
struct Remembered {
    generation: u64,
    table: TableSlot,
    destination: Ipv4Addr,
    hop: Hop,
}

/// Where a resolved destination is kept until the next is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HopPlace(u16);

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
    remembered: Box<[Remembered]>,
}

impl Tables {
    /// Empty tables over ports with these addresses and link states.
    pub(crate) fn new(worker: usize, ports: impl Iterator<Item = ([u8; 6], bool)>) -> Self {
        let nothing = Remembered {
            generation: 0,
            table: TableSlot::default(),
            destination: Ipv4Addr::UNSPECIFIED,
            hop: Hop::NoRoute,
        };
        Self {
            worker,
            generation: 1,
            ports: ports.map(|(mac, up)| PortState { mac, up }).collect(),
            interfaces: Interfaces::default(),
            routes: Routes::default(),
            neighbours: HashMap::new(),
            sessions: Sessions::default(),
            inbounds: Inbounds::default(),
            sets: Sets::default(),
            remembered: vec![nothing; REMEMBERED].into(),
        }
    }

    /// Carries a command out. What names something that is not there (a port,
    /// an id beyond the tables) is ignored: control checks before it asks.
    pub(crate) fn apply(&mut self, command: Command) {
        self.generation += 1;
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
            Command::SetSession(spec) => self.set_session(spec),
            Command::RemoveSession(id) => self.remove_session(id),
            Command::SetSet(spec) => self.set_set(spec),
            Command::RemoveSet(id) => self.sets.remove(id),
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
        self.sets.set(Set::new(spec, self.worker));
    }

    pub(crate) fn port_up(&self, port: usize) -> bool {
        self.ports.get(port).is_some_and(|state| state.up)
    }

    pub(crate) fn table_slot(&mut self, table: TableId) -> TableSlot {
        self.routes.slot(table)
    }

    pub(crate) fn table_id(&self, slot: TableSlot) -> TableId {
        self.routes.id(slot)
    }

    /// The interface that a packet from `source` to `destination` came in on.
    #[inline]
    pub(crate) fn arrival(
        &self,
        port: usize,
        source: Ipv4Addr,
        destination: Ipv4Addr,
    ) -> Option<&Interface> {
        self.interfaces.arrival(port, source, destination)
    }

    pub(crate) fn interface_port(&self, id: InterfaceId) -> Option<PortId> {
        self.interfaces
            .get(id)
            .map(|interface| interface.spec.port)
            .filter(|port| usize::from(port.0) < self.ports.len())
    }

    /// Where packets to `destination` go from the table: see [`Self::hop`].
    #[inline]
    pub(crate) fn resolve(&mut self, table: TableSlot, destination: Ipv4Addr) -> HopPlace {
        let place = place(table, destination);
        let remembered = &self.remembered[place];
        if remembered.generation != self.generation
            || remembered.destination != destination
            || remembered.table != table
        {
            self.remembered[place] = Remembered {
                generation: self.generation,
                table,
                destination,
                hop: self.look_up(table, destination),
            };
        }
        // Below REMEMBERED.
        HopPlace(place as u16)
    }

    /// What was resolved last into this place.
    #[inline]
    pub(crate) fn hop(&self, place: HopPlace) -> &Hop {
        &self.remembered[usize::from(place.0)].hop
    }

    fn look_up(&self, table: TableSlot, destination: Ipv4Addr) -> Hop {
        match self.routes.longest_match(table, destination) {
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

    fn link(&self, id: InterfaceId, via: Option<IpAddr>, destination: Ipv4Addr) -> Option<Hop> {
        let interface = self.interfaces.get(id)?;
        if via.is_none() && interface.is_broadcast(destination) {
            return Some(Hop::Broadcast);
        }
        let port = usize::from(interface.spec.port.0);
        let source = self.ports.get(port)?.mac;
        let next_hop = via.unwrap_or(IpAddr::V4(destination));
        let header = |&destination: &[u8; 6]| {
            Ethernet {
                destination,
                source,
                ether_type: ethernet::ETHER_TYPE_IPV4,
            }
            .octets()
        };
        Some(Hop::Link(Link {
            port,
            interface: id,
            next_hop,
            mtu: interface.spec.mtu,
            ethernet: self.neighbours.get(&(id, next_hop)).map(header),
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
            IpAddr::V6(_) => Hop::NoRoute,
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
        set.members.clear();
        set.absent.clear();
        set.too_small.clear();
        set.mtu = set.spec.mtu;
        for &session in &set.spec.members {
            let link = self.session_link(session).copied();
            let Some(of_session) = self.sessions.get(session) else {
                continue;
            };
            match link.filter(|link| self.port_up(link.port)) {
                Some(link) if of_session.spec.set == Some(id) => {
                    let mtu = of_session.inner_mtu(&link);
                    let member = Member { session, link };
                    if mtu < MIN_MEMBER_MTU {
                        set.too_small.push(member);
                    } else {
                        set.mtu = set.mtu.min(mtu);
                        set.members.push(member);
                    }
                }
                _ => set.absent.push(session),
            }
        }
        self.sets.set(set);
    }
}

/// Where the resolution of a destination is remembered.
#[inline]
fn place(table: TableSlot, destination: Ipv4Addr) -> usize {
    let key = u32::from(destination) ^ table.number().wrapping_mul(0x85eb_ca6b);
    // Fibonacci hashing: the high bits of the product depend on all bits of the key.
    (key.wrapping_mul(0x9e37_79b9) >> 22) as usize & (REMEMBERED - 1)
}

#[cfg(test)]
mod tests;
