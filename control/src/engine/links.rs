//! All links, and which of them belong to a tunnel, a set, a group: no event of
//! one link takes longer because there are many.

use std::iter::{Flatten, Map};
use std::ops::Index;
use std::slice;

use dataplane::command::{SessionId, SetId};

use super::link::{Link, Origin};
use crate::l2tp::TunnelId;
use crate::multimap::Multimap;

#[derive(Default)]
pub(super) struct Links {
    /// By their ids, which are the lowest that are free.
    links: Vec<Option<Box<Link>>>,
    by_origin: Multimap<Origin, SessionId>,
    /// By the tunnel and session id in what we receive.
    by_ids: Multimap<(u16, u16), SessionId>,
    /// By those in what we send.
    by_peer_ids: Multimap<(u16, u16), SessionId>,
    by_tunnel: Multimap<TunnelId, SessionId>,
    by_set: Multimap<SetId, SessionId>,
    by_group: Multimap<u32, SessionId>,
}

/// By a named type, of which nobody fears that it looks at links when it is dropped.
type All<'a> = Map<Flatten<slice::Iter<'a, Option<Box<Link>>>>, fn(&'a Box<Link>) -> &'a Link>;

fn place(id: SessionId) -> usize {
    id.0 as usize
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
        self.by_origin.insert(link.origin, id);
        self.by_ids.insert(ids(&link), id);
        self.by_peer_ids.insert(peer_ids(&link), id);
        self.by_tunnel.insert(link.tunnel, id);
        if let Some(set) = link.set {
            self.by_set.insert(set, id);
        }
        if let Some(group) = link.group {
            self.by_group.insert(group, id);
        }
        let place = place(id);
        if place >= self.links.len() {
            self.links.resize_with(place + 1, || None);
        }
        self.links[place] = Some(Box::new(link));
    }

    pub(super) fn remove(&mut self, id: SessionId) -> Option<Box<Link>> {
        let link = self.links.get_mut(place(id))?.take()?;
        self.by_origin.remove(&link.origin, id);
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

    /// A link is known to be another one of the configuration, or none of it any more.
    pub(super) fn set_origin(&mut self, id: SessionId, origin: Origin) {
        let Some(link) = self.get_mut(&id) else {
            return;
        };
        let before = std::mem::replace(&mut link.origin, origin);
        if before == origin {
            return;
        }
        self.by_origin.remove(&before, id);
        self.by_origin.insert(origin, id);
    }

    /// A link finds its group, or another one.
    pub(super) fn set_group(&mut self, id: SessionId, group: u32) {
        let Some(link) = self.get_mut(&id) else {
            return;
        };
        if let Some(before) = link.group.replace(group) {
            self.by_group.remove(&before, id);
        }
        self.by_group.insert(group, id);
    }

    pub(super) fn get(&self, id: &SessionId) -> Option<&Link> {
        self.links.get(place(*id))?.as_deref()
    }

    pub(super) fn get_mut(&mut self, id: &SessionId) -> Option<&mut Link> {
        self.links.get_mut(place(*id))?.as_deref_mut()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = SessionId> {
        self.values().map(|link| link.id)
    }

    pub(super) fn values(&self) -> All<'_> {
        self.links.iter().flatten().map(Box::as_ref)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Link> {
        self.links.iter_mut().flatten().map(Box::as_mut)
    }

    /// Those of one of the configuration's links, or all that are none of it any more.
    pub(super) fn of_origin(&self, origin: Origin) -> impl Iterator<Item = &Link> + Clone {
        self.by_origin.of(origin).map(|id| &self[&id])
    }

    pub(super) fn of_ids(&self, ids: (u16, u16)) -> impl Iterator<Item = &Link> {
        self.by_ids.of(ids).map(|id| &self[&id])
    }

    pub(super) fn of_peer_ids(&self, ids: (u16, u16)) -> impl Iterator<Item = &Link> {
        self.by_peer_ids.of(ids).map(|id| &self[&id])
    }

    pub(super) fn of_tunnel(&self, tunnel: TunnelId) -> impl Iterator<Item = &Link> {
        self.by_tunnel.of(tunnel).map(|id| &self[&id])
    }

    /// Whether the workers have heard anything over a tunnel's links since last asked.
    pub(super) fn take_heard(&mut self, tunnel: TunnelId) -> bool {
        let mut heard = false;
        for id in self.by_tunnel.of(tunnel) {
            let link = self.links.get_mut(place(id)).and_then(Option::as_mut);
            heard |= link.is_some_and(|link| link.take_heard());
        }
        heard
    }

    pub(super) fn of_group(&self, group: u32) -> impl Iterator<Item = &Link> {
        self.by_group.of(group).map(|id| &self[&id])
    }

    /// Whether no link is left, nor anything that one was found by.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.values().next().is_none()
            && self.by_origin.is_empty()
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
        self.get(id)
            .expect("a link that is known by its id is there")
    }
}
