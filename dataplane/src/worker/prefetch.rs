//! What the packets of a burst need is in many places when they belong to many
//! sessions or sets. It is brought into the cache in stages, each for the whole
//! burst, so that the waits for memory overlap; each stage finds at hand what the
//! one before it asked for.

use dpdk::Burst;

use crate::command::SetId;
use crate::headers::routable;
use crate::tables::{TableSlot, shortcuts};

use super::Worker;

impl Worker {
    /// For routing: the lines of the frames' destinations, unless those of the first
    /// and the last are in the same page, as nearly always where there are few.
    #[inline(always)]
    pub(super) fn prefetch_shortcuts(&self, table: TableSlot, burst: &Burst) {
        let [first, .., last] = burst.as_slice() else {
            return;
        };
        let page = |frame| routable::destination(frame).map(shortcuts::page);
        if page(first) != page(last) {
            self.prefetch_each_shortcut(table, burst);
        }
    }

    #[inline(never)]
    fn prefetch_each_shortcut(&self, table: TableSlot, burst: &Burst) {
        for destination in burst
            .iter()
            .filter_map(|frame| routable::destination(frame))
        {
            self.tables.prefetch_shortcut(table, destination);
        }
    }

    /// For sending set by set: all of the sets, whose start is on its way, their members and
    /// what they count.
    #[inline(always)]
    pub(super) fn prefetch_sets(&self, sets: impl Iterator<Item = SetId> + Clone) {
        let sets = sets.filter_map(|set| self.tables.set(set));
        for set in sets.clone() {
            dpdk::prefetch_all(set);
            dpdk::prefetch_all(set.members.as_slice());
            set.prefetch_sending();
        }
        sets.for_each(|set| set.prefetch_members());
    }
}
