//! HA sets and their live members.

use std::sync::Arc;

use crate::command::{Epoch, SessionId, SetId, SetSpec};
use crate::counters::SetCounters;

use super::{Link, TableSlot};

/// Slots are dense: an id beyond this is refused rather than made room for.
const MAX_SLOTS: usize = 1 << 20;

/// A session that gets a copy, and how it leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) session: SessionId,
    pub(crate) link: Link,
}

#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) spec: Arc<SetSpec>,
    pub(crate) counters: Arc<SetCounters>,
    /// Those of the specification: at hand.
    epochs: [Option<Epoch>; 2],
    pub(crate) payload_table: TableSlot,
    /// Packets leave in the order of their numbers.
    pub(crate) ordered: bool,
    /// Members whose session is there, whose peer has a route and whose port is up.
    pub(crate) members: Vec<Member>,
    /// Those that would be, but carry less than a member must.
    pub(crate) too_small: Vec<Member>,
    /// The other members.
    pub(crate) absent: Vec<SessionId>,
    /// Largest inner packet that every live member carries whole, octets.
    /// Larger ones, up to the set's own MTU, are cut into pieces.
    pub(crate) mtu: u16,
    /// The port by which packets in order left last, when it had no room for more.
    pub(crate) full_way_out: Option<u16>,
    pub(super) generation: u64,
}

impl Set {
    pub(super) fn new(spec: Arc<SetSpec>, worker: usize, payload_table: TableSlot) -> Self {
        Self {
            epochs: [0, 1].map(|place| spec.epochs.get(place).cloned()),
            counters: spec.counters.get(worker).cloned().unwrap_or_default(),
            members: Vec::with_capacity(spec.members.len()),
            absent: Vec::new(),
            too_small: Vec::with_capacity(spec.members.len()),
            mtu: spec.mtu,
            payload_table,
            ordered: spec.ordering.is_some(),
            full_way_out: None,
            spec,
            generation: 0,
        }
    }

    /// What is received of this epoch.
    #[inline]
    pub(crate) fn epoch(&self, epoch: u32) -> Option<&Epoch> {
        self.epochs
            .iter()
            .flatten()
            .find(|known| known.epoch == epoch)
    }
}

#[derive(Debug, Default)]
pub(super) struct Sets {
    slots: Vec<Option<Set>>,
}

impl Sets {
    pub(super) fn set(&mut self, set: Set) {
        let slot = set.spec.id.0 as usize;
        if slot >= MAX_SLOTS {
            return;
        }
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        self.slots[slot] = Some(set);
    }

    pub(super) fn remove(&mut self, id: SetId) {
        drop(self.take(id));
    }

    pub(super) fn take(&mut self, id: SetId) -> Option<Set> {
        self.slots.get_mut(id.0 as usize)?.take()
    }

    #[inline]
    pub(super) fn get(&self, id: SetId) -> Option<&Set> {
        self.slots.get(id.0 as usize)?.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: SetId) -> Option<&mut Set> {
        self.slots.get_mut(id.0 as usize)?.as_mut()
    }
}
