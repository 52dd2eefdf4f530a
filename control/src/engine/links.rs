//! All links, and which of them belong to a tunnel, a set, a group: no event of
//! one link takes longer because there are many.

use std::collections::BTreeMap;
use std::collections::btree_map::{Keys, Values, ValuesMut};
use std::ops::Index;

use dataplane::command::{SessionId, SetId};

use super::link::Link;
use crate::l2tp::TunnelId;
use crate::multimap::Multimap;

#[derive(Default)]
pub(super) struct Links {
    links: BTreeMap<SessionId, Link>,
    /// By the tunnel and session id in what we receive.
    by_ids: Multimap<(u16, u16), SessionId>,
    /// By those in what we send.
    by_peer_ids: Multimap<(u16, u16), SessionId>,
    by_tunnel: Multimap<TunnelId, SessionId>,
    by_set: Multimap<SetId, SessionId>,
    by_group: Multimap<u32, SessionId>,
}

fn ids(link: &Link) -> (u16, u16) {
    (link.spec.local_tunnel, link.spec.local_session)
}

fn peer_ids(link: &Link) -> (u16, u16) {
    (link.spec.peer_tunnel, link.spec.peer_session)
}

impl Links {
    /// Adds a link. Its tunnel, ids and set stay what they are.
    pub(super) fn insert(&mut self, link: Link) {
        let id = link.id;
        self.by_ids.insert(ids(&link), id);
        self.by_peer_ids.insert(peer_ids(&link), id);
        self.by_tunnel.insert(link.tunnel, id);
        if let Some(set) = link.set {
            self.by_set.insert(set, id);
        }
        if let Some(group) = link.group {
            self.by_group.insert(group, id);
        }
        self.links.insert(id, link);
    }

    pub(super) fn remove(&mut self, id: SessionId) -> Option<Link> {
        let link = self.links.remove(&id)?;
        self.by_ids.remove(&ids(&link), id);
        self.by_peer_ids.remove(&peer_ids(&link), id);
        self.by_tunnel.remove(&link.tunnel, id);
        if let Some(set) = link.set {
            self.by_set.remove(&set, id);
        }
        if let Some(group) = link.group {
            self.by_group.remove(&group, id);
        }
        Some(link)
    }

    /// A link finds its group, or another one.
    pub(super) fn set_group(&mut self, id: SessionId, group: u32) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if let Some(before) = link.group.replace(group) {
            self.by_group.remove(&before, id);
        }
        self.by_group.insert(group, id);
    }

    pub(super) fn get(&self, id: &SessionId) -> Option<&Link> {
        self.links.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &SessionId) -> Option<&mut Link> {
        self.links.get_mut(id)
    }

    pub(super) fn keys(&self) -> Keys<'_, SessionId, Link> {
        self.links.keys()
    }

    pub(super) fn values(&self) -> Values<'_, SessionId, Link> {
        self.links.values()
    }

    pub(super) fn values_mut(&mut self) -> ValuesMut<'_, SessionId, Link> {
        self.links.values_mut()
    }

    pub(super) fn of_ids(&self, ids: (u16, u16)) -> impl Iterator<Item = &Link> {
        self.by_ids.of(ids).map(|id| &self.links[&id])
    }

    pub(super) fn of_peer_ids(&self, ids: (u16, u16)) -> impl Iterator<Item = &Link> {
        self.by_peer_ids.of(ids).map(|id| &self.links[&id])
    }

    pub(super) fn of_tunnel(&self, tunnel: TunnelId) -> impl Iterator<Item = &Link> {
        self.by_tunnel.of(tunnel).map(|id| &self.links[&id])
    }

    /// Whether the workers have heard anything over a tunnel's links since last asked.
    pub(super) fn take_heard(&mut self, tunnel: TunnelId) -> bool {
        let mut heard = false;
        for id in self.by_tunnel.of(tunnel) {
            heard |= self.links.get_mut(&id).is_some_and(Link::take_heard);
        }
        heard
    }

    pub(super) fn of_group(&self, group: u32) -> impl Iterator<Item = &Link> {
        self.by_group.of(group).map(|id| &self.links[&id])
    }

    /// Whether no link is left, nor anything that one was found by.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
            && self.by_ids.is_empty()
            && self.by_peer_ids.is_empty()
            && self.by_tunnel.is_empty()
            && self.by_set.is_empty()
            && self.by_group.is_empty()
    }

    /// Whether any link is there for a set.
    pub(super) fn use_set(&self, set: SetId) -> bool {
        self.by_set.of(set).len() > 0
    }
}

impl Index<&SessionId> for Links {
    type Output = Link;

    fn index(&self, id: &SessionId) -> &Link {
        &self.links[id]
    }
}
