//! Where packets of all flows wait: slots that are found by number.

use hashbrown::HashMap;

use crate::chain::{Chain, List};
use crate::reassembly::Key;

/// A packet that waits.
pub(super) struct Held<T> {
    pub(super) number: u64,
    /// The number behind its own.
    pub(super) end: u64,
    pub(super) arrived: u64,
    pub(super) packet: T,
}

pub(super) struct Store<T> {
    slots: Vec<Option<Held<T>>>,
    free: Vec<u32>,
    index: HashMap<Key, u32>,
    ages: Chain,
}

impl<T> Store<T> {
    pub(super) fn new(packets: usize) -> Self {
        Self {
            slots: (0..packets).map(|_| None).collect(),
            free: (0..packets as u32).rev().collect(),
            index: HashMap::with_capacity(packets),
            ages: Chain::new(packets),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn free(&self) -> usize {
        self.free.len()
    }

    #[inline]
    pub(super) fn contains(&self, key: &Key) -> bool {
        self.index.contains_key(key)
    }

    /// Keeps a packet as the youngest of its flow; gives it back when nothing is free.
    pub(super) fn insert(&mut self, key: Key, by_age: &mut List, held: Held<T>) -> Result<(), T> {
        let Some(slot) = self.free.pop() else {
            return Err(held.packet);
        };
        self.index.insert(key, slot);
        self.slots[slot as usize] = Some(held);
        self.ages.append(by_age, slot);
        Ok(())
    }

    pub(super) fn take(&mut self, key: &Key, by_age: &mut List) -> Option<Held<T>> {
        let slot = self.index.remove(key)?;
        self.ages.unlink(by_age, slot);
        self.free.push(slot);
        self.slots[slot as usize].take()
    }

    /// When the oldest of a flow came.
    pub(super) fn oldest(&self, by_age: &List) -> Option<u64> {
        let slot = by_age.oldest()?;
        self.slots[slot as usize].as_ref().map(|held| held.arrived)
    }

    /// The lowest number of a flow.
    pub(super) fn lowest(&self, by_age: &List) -> Option<u64> {
        let all = std::iter::successors(by_age.oldest(), |&slot| self.ages.after(slot));
        all.filter_map(|slot| self.slots[slot as usize].as_ref())
            .map(|held| held.number)
            .min()
    }
}
