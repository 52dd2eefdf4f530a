//! The names of what workers know by numbers.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;

use dataplane::capture::Way;
use dataplane::command::{PortId, SessionId, SetId};
use serde::Serialize;

use super::packet::Tunnelled;

/// All names of an appliance at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Names {
    /// In the order of their ids.
    pub ports: Vec<Port>,
    /// Those that have a session.
    pub links: Vec<Link>,
    pub sets: Vec<Set>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Port {
    pub name: String,
    /// Its device.
    pub description: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Link {
    /// The workers' slot.
    pub id: u32,
    /// The configuration's `graph`.
    pub name: String,
    /// The configuration's `name` of the `outgoing` or `incoming`.
    pub tunnel: String,
    /// The workers' slot of the set instance that it is a member of.
    pub set: Option<u32>,
    pub peer: SocketAddr,
    /// Tunnel and session id of what is received.
    pub local_ids: (u16, u16),
    /// The same of what is sent.
    pub peer_ids: (u16, u16),
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Set {
    /// The workers' slot.
    pub id: u32,
    /// The configuration's name of the HA set.
    pub name: String,
}

/// Names, to be found quickly.
pub(super) struct Index {
    names: Names,
    links: HashMap<SessionId, usize>,
    sets: HashMap<SetId, usize>,
    /// Links by what stands in received data.
    received: HashMap<(u16, u16), usize>,
    /// The same for sent data, by whom it goes to, too: those ids are the peers' own.
    sent: HashMap<(SocketAddr, u16, u16), usize>,
}

impl Index {
    pub(super) fn new(names: Names) -> Self {
        let places = || names.links.iter().enumerate();
        Self {
            links: places()
                .map(|(place, it)| (SessionId(it.id), place))
                .collect(),
            sets: (0..)
                .zip(&names.sets)
                .map(|(place, it)| (SetId(it.id), place))
                .collect(),
            received: places().map(|(place, it)| (it.local_ids, place)).collect(),
            sent: places()
                .map(|(place, it)| ((it.peer, it.peer_ids.0, it.peer_ids.1), place))
                .collect(),
            names,
        }
    }

    pub(super) fn port(&self, id: PortId) -> &str {
        let port = self.names.ports.get(usize::from(id.0));
        port.map_or("the control thread", |port| &port.name)
    }

    pub(super) fn link(&self, id: SessionId) -> Option<&Link> {
        self.links.get(&id).map(|&place| &self.names.links[place])
    }

    pub(super) fn set(&self, id: SetId) -> Option<&Set> {
        self.sets.get(&id).map(|&place| &self.names.sets[place])
    }

    /// The link whose ids a frame has.
    pub(super) fn link_of(&self, way: Way, tunnelled: &Tunnelled) -> Option<&Link> {
        let (tunnel, session) = (tunnelled.tunnel, tunnelled.session);
        let place = match way {
            Way::Received => self.received.get(&(tunnel, session)),
            Way::Sent => self.sent.get(&(tunnelled.destination, tunnel, session)),
        };
        place.map(|&place| &self.names.links[place])
    }
}

/// What was asked for by name.
#[derive(Debug, Default)]
pub(super) struct Choice {
    sets: BTreeSet<String>,
    links: BTreeSet<String>,
    ports: BTreeSet<String>,
}

impl Choice {
    pub(super) fn new(wanted: &super::Wanted) -> Self {
        let all = |names: &[String]| names.iter().cloned().collect();
        Self {
            sets: all(&wanted.sets),
            links: all(&wanted.links),
            ports: all(&wanted.ports),
        }
    }

    pub(super) fn has_port<'a>(&self, mut ports: impl Iterator<Item = &'a str>) -> bool {
        self.ports.is_empty() || ports.any(|port| self.ports.contains(port))
    }

    pub(super) fn has_link<'a>(&self, mut links: impl Iterator<Item = &'a Link>) -> bool {
        self.links.is_empty()
            || links.any(|it| self.links.contains(&it.name) || self.links.contains(&it.tunnel))
    }

    pub(super) fn has_set<'a>(&self, mut sets: impl Iterator<Item = &'a Set>) -> bool {
        self.sets.is_empty() || sets.any(|set| self.sets.contains(&set.name))
    }
}
