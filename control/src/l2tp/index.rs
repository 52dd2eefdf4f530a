//! Which tunnels there are, by what datagrams and limits ask for: no answer
//! takes longer because there are many.

use std::collections::btree_set::Iter;
use std::collections::{BTreeMap, BTreeSet};
use std::iter::Copied;
use std::net::IpAddr;

use dataplane::command::Prefix;

use super::TunnelId;
use super::tunnel::Path;
use crate::multimap::Multimap;

/// What a tunnel is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) local_id: u16,
    /// Where the peer is, with the id that it assigned, once it has.
    pub(super) peer: Option<(Path, u16)>,
    /// Incoming and never established: the source that it counts for.
    pub(super) half_open: Option<Prefix>,
    /// Incoming, and is or was established: the source that it counts for.
    pub(super) established: Option<Prefix>,
    /// Of those, one that is closed and kept to acknowledge again.
    pub(super) lingering: bool,
    /// Dialled, and the peer has not answered yet: between which ends.
    pub(super) dialling: Option<Ends>,
}

/// Table, our address and the peer's, whatever the ports.
pub(super) type Ends = (u32, IpAddr, IpAddr);

#[derive(Debug, Default)]
pub(super) struct TunnelIndex {
    facts: BTreeMap<TunnelId, Facts>,
    by_local_id: BTreeMap<u16, TunnelId>,
    by_peer: Multimap<(Path, u16), TunnelId>,
    half_open: BTreeSet<TunnelId>,
    half_open_by_source: Multimap<Prefix, TunnelId>,
    established: usize,
    established_by_source: Multimap<Prefix, TunnelId>,
    lingering: BTreeSet<TunnelId>,
    lingering_by_source: Multimap<Prefix, TunnelId>,
    dialling: Multimap<Ends, TunnelId>,
}

impl TunnelIndex {
    /// Brings a tunnel up to date: `None` when it is forgotten.
    pub(super) fn update(&mut self, tunnel: TunnelId, facts: Option<Facts>) {
        if self.facts.get(&tunnel) == facts.as_ref() {
            return;
        }
        if let Some(before) = self.facts.remove(&tunnel) {
            self.forget(tunnel, &before);
        }
        if let Some(facts) = facts {
            self.note(tunnel, &facts);
            self.facts.insert(tunnel, facts);
        }
    }

    fn note(&mut self, tunnel: TunnelId, facts: &Facts) {
        self.by_local_id.insert(facts.local_id, tunnel);
        if let Some(peer) = facts.peer {
            self.by_peer.insert(peer, tunnel);
        }
        if let Some(source) = facts.half_open {
            self.half_open.insert(tunnel);
            self.half_open_by_source.insert(source, tunnel);
        }
        if let Some(source) = facts.established {
            self.established += 1;
            self.established_by_source.insert(source, tunnel);
            if facts.lingering {
                self.lingering.insert(tunnel);
                self.lingering_by_source.insert(source, tunnel);
            }
        }
        if let Some(ends) = facts.dialling {
            self.dialling.insert(ends, tunnel);
        }
    }

    fn forget(&mut self, tunnel: TunnelId, facts: &Facts) {
        self.by_local_id.remove(&facts.local_id);
        if let Some(peer) = facts.peer {
            self.by_peer.remove(&peer, tunnel);
        }
        if let Some(source) = facts.half_open {
            self.half_open.remove(&tunnel);
            self.half_open_by_source.remove(&source, tunnel);
        }
        if let Some(source) = facts.established {
            self.established -= 1;
            self.established_by_source.remove(&source, tunnel);
            self.lingering.remove(&tunnel);
            self.lingering_by_source.remove(&source, tunnel);
        }
        if let Some(ends) = facts.dialling {
            self.dialling.remove(&ends, tunnel);
        }
    }

    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.facts.is_empty()
            && self.by_local_id.is_empty()
            && self.by_peer.is_empty()
            && self.half_open.is_empty()
            && self.half_open_by_source.is_empty()
            && self.established == 0
            && self.established_by_source.is_empty()
            && self.lingering.is_empty()
            && self.lingering_by_source.is_empty()
            && self.dialling.is_empty()
    }

    /// The tunnel that has this id in what we receive.
    #[must_use]
    pub(super) fn by_local_id(&self, id: u16) -> Option<TunnelId> {
        self.by_local_id.get(&id).copied()
    }

    /// Tunnels over a path for which the peer assigned this id.
    pub(super) fn assigned(&self, path: &Path, assigned_id: u16) -> Copied<Iter<'_, TunnelId>> {
        self.by_peer.of((*path, assigned_id))
    }

    /// Incoming tunnels that were never established, the oldest first.
    pub(super) fn half_open(&self) -> Copied<Iter<'_, TunnelId>> {
        self.half_open.iter().copied()
    }

    /// Those of one source.
    pub(super) fn half_open_from(&self, source: Prefix) -> Copied<Iter<'_, TunnelId>> {
        self.half_open_by_source.of(source)
    }

    /// Tunnels over a path for which the peer assigned any.
    pub(super) fn assigned_over(&self, path: &Path) -> impl Iterator<Item = TunnelId> {
        self.by_peer.within((*path, 0)..=(*path, u16::MAX))
    }

    /// Dialled tunnels between these ends whose peer has not answered yet.
    pub(super) fn dialling(&self, ends: Ends) -> Copied<Iter<'_, TunnelId>> {
        self.dialling.of(ends)
    }

    /// How many incoming tunnels are or were established.
    #[must_use]
    pub(super) const fn established(&self) -> usize {
        self.established
    }

    /// Those of one source.
    #[must_use]
    pub(super) fn established_from(&self, source: Prefix) -> usize {
        self.established_by_source.of(source).len()
    }

    /// Of the established ones those that are closed, the oldest first.
    pub(super) fn lingering(&self) -> Copied<Iter<'_, TunnelId>> {
        self.lingering.iter().copied()
    }

    /// Those of one source.
    pub(super) fn lingering_from(&self, source: Prefix) -> Copied<Iter<'_, TunnelId>> {
        self.lingering_by_source.of(source)
    }
}
