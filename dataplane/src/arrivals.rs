//! What came in over one link: which numbers, for the control thread's books.
//!
//! Each worker keeps a ring of its own for each link that it writes with plain
//! loads and stores; the control thread reads it while it is written. Slots are
//! those of [`crate::window`], a bit for each of 32 consecutive numbers and the
//! turn of the ring that they belong to, with the turns counted from one so
//! that zero is a slot that was never written. The newest group is apart until a newer one comes,
//! so that nearly all copies are noted in one cache line.

use std::fmt;

#[cfg(not(loom))]
use zerocopy::FromZeros;

use crate::counters::Counter;
use crate::skew::Skew;
use crate::sync::{AtomicU64, Ordering};
use crate::window::Group;

/// Numbers that share a slot.
pub const GROUP_NUMBERS: u64 = 32;

// A model of a few numbers takes a few slots.
const SLOTS_LOG2: u32 = if cfg!(loom) { 1 } else { 11 };
const SLOTS: usize = 1 << SLOTS_LOG2;

/// The bits of a group that tell it from all others of its time: those it shares them with are 2^37 numbers away.
const LOW: u64 = u32::MAX as u64;

/// Which numbers of the peer's epoch came in over one link, written by one
/// worker and read by any thread.
///
/// The memory is asked for as zeros, so that the system gives it when a number
/// is first written to.
#[repr(C, align(64))] // What nearly every copy needs is in one cache line, which has nothing of other workers.
pub struct Arrivals {
    epoch: u32,
    /// `group:32 | bits:32` of the newest group, of which the low bits stand for all. Zero before the first number.
    newest: AtomicU64,
    /// The group behind the newest one that has a number.
    end_group: AtomicU64,
    /// Of the groups before the newest one.
    slots: Box<[AtomicU64; SLOTS]>,
    repeated: Counter,
    untraced: Counter,
    /// How far the copies were behind the first ones of their numbers.
    pub skew: Box<Skew>,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Arrivals>() == 64);

impl Arrivals {
    /// Groups that the ring holds.
    pub const GROUPS: u64 = SLOTS as u64;
    /// What one takes.
    pub const MEMORY_OCTETS: u64 =
        (SLOTS * size_of::<AtomicU64>() + size_of::<Self>() + size_of::<Skew>()) as u64;

    /// The ring of a link whose peer numbers in this epoch.
    ///
    /// # Panics
    /// When there is no memory.
    #[must_use]
    pub fn new(epoch: u32) -> Self {
        Self {
            epoch,
            newest: AtomicU64::new(0),
            end_group: AtomicU64::new(0),
            slots: ring(),
            repeated: Counter::default(),
            untraced: Counter::default(),
            skew: Box::default(),
        }
    }

    /// The epoch whose numbers are noted.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Notes that copies of a group's numbers came. Only the one writing thread
    /// may call this.
    #[inline]
    pub fn note(&self, group: Group) {
        // No read-modify-write: there is one writer, and a reader that sees a bit later will see it when it looks again.
        let newest = self.newest.load(Ordering::Relaxed);
        let is_newest = newest >> 32 == group.index & LOW;
        // Before the first number there is no newest group.
        if !is_newest || newest as u32 == 0 {
            self.note_other(group, newest as u32);
            return;
        }
        self.count_repeated(newest as u32 & group.bits);
        // Release, as where the group began: whoever sees this one sees the one before it in the ring.
        self.newest
            .store(newest | u64::from(group.bits), Ordering::Release);
    }

    /// The same for another group than the newest one, which has these numbers.
    #[inline(never)]
    fn note_other(&self, group: Group, newest_bits: u32) {
        let end = self.end_group.load(Ordering::Relaxed);
        if group.index < end {
            self.note_older(group, end - 1);
            return;
        }
        if let Some(newest) = end.checked_sub(1) {
            let word = tag(newest) << 32 | u64::from(newest_bits);
            self.slot(newest).store(word, Ordering::Relaxed);
        }
        let newest = (group.index & LOW) << 32 | u64::from(group.bits);
        self.newest.store(newest, Ordering::Release);
        self.end_group.store(group.index + 1, Ordering::Relaxed);
    }

    fn note_older(&self, group: Group, newest: u64) {
        let (tag, slot) = (tag(group.index), self.slot(group.index));
        let seen = slot.load(Ordering::Relaxed);
        if seen >> 32 > tag || share_slot(newest, group.index) {
            self.untraced.add(u64::from(group.bits.count_ones()));
            return;
        }
        let marked = if seen >> 32 == tag { seen as u32 } else { 0 };
        self.count_repeated(marked & group.bits);
        let word = tag << 32 | u64::from(marked | group.bits);
        slot.store(word, Ordering::Relaxed);
    }

    #[inline]
    fn count_repeated(&self, again: u32) {
        if again != 0 {
            self.repeated.add(u64::from(again.count_ones()));
        }
    }

    /// The group behind the newest one that has a number; 0 before the first.
    #[must_use]
    pub fn end_group(&self) -> u64 {
        self.end_group.load(Ordering::Relaxed)
    }

    /// The highest number that came; `None` before the first.
    #[must_use]
    pub fn highest(&self) -> Option<u64> {
        let group = self.end_group().checked_sub(1)?;
        let bits = self.numbers(group).filter(|&bits| bits != 0)?;
        Some(group * GROUP_NUMBERS + u64::from(bits.ilog2()))
    }

    /// Which numbers of a group came; `None` when newer ones took its place.
    #[must_use]
    pub fn numbers(&self, group: u64) -> Option<u32> {
        let newest = self.newest.load(Ordering::Acquire);
        if newest >> 32 == group & LOW {
            return Some(newest as u32);
        }
        let seen = self.slot(group).load(Ordering::Relaxed);
        match (seen >> 32).cmp(&tag(group)) {
            std::cmp::Ordering::Greater => None,
            _ if share_slot(self.end_group().saturating_sub(1), group) => None,
            std::cmp::Ordering::Less => Some(0),
            std::cmp::Ordering::Equal => Some(seen as u32),
        }
    }

    /// Copies of numbers that the worker had noted: the network made them.
    #[must_use]
    pub fn repeated(&self) -> u64 {
        self.repeated.read()
    }

    /// Copies that came when the ring had newer numbers in their place.
    #[must_use]
    pub fn untraced(&self) -> u64 {
        self.untraced.read()
    }

    #[inline]
    fn slot(&self, group: u64) -> &AtomicU64 {
        &self.slots[group as usize % SLOTS]
    }
}

/// Of slots that were never written.
#[cfg(not(loom))]
fn ring() -> Box<[AtomicU64; SLOTS]> {
    FromZeros::new_box_zeroed().expect("memory for a ring of numbers")
}

#[cfg(loom)]
fn ring() -> Box<[AtomicU64; SLOTS]> {
    Box::new(std::array::from_fn(|_| AtomicU64::new(0)))
}

/// Whether two groups have the same slot, of which one is newer than the other.
#[inline]
fn share_slot(newer: u64, group: u64) -> bool {
    newer > group && (newer ^ group).is_multiple_of(SLOTS as u64)
}

/// The turn of the ring that a group belongs to, from 1 on. A number has 48
/// bits, so that it fits 32 bits but for the last turn, which no epoch lives to
/// see.
#[inline]
fn tag(group: u64) -> u64 {
    (group >> SLOTS_LOG2) + 1
}

impl fmt::Debug for Arrivals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Arrivals")
            .field("epoch", &self.epoch)
            .field("end_group", &self.end_group.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_is_found_where_it_was_noted() {
        let arrivals = Arrivals::new(7);
        assert_eq!((arrivals.end_group(), arrivals.numbers(0)), (0, Some(0)));
        for number in [0, 31, 32, 1_000_000] {
            arrivals.note(Group::of(number));
        }
        assert_eq!(arrivals.numbers(0), Some(1 << 31 | 1));
        assert_eq!(arrivals.numbers(1), Some(1));
        assert_eq!(arrivals.numbers(1_000_000 / 32), Some(1));
        assert_eq!(arrivals.end_group(), 1_000_000 / 32 + 1);
        assert_eq!((arrivals.repeated(), arrivals.untraced()), (0, 0));
    }

    #[test]
    fn a_number_that_comes_twice_is_counted_and_one_of_an_older_turn_too() {
        let arrivals = Arrivals::new(7);
        let turn = Arrivals::GROUPS * GROUP_NUMBERS;
        arrivals.note(Group::of(turn + 5));
        arrivals.note(Group::of(turn + 5));
        assert_eq!(arrivals.repeated(), 1);
        arrivals.note(Group::of(5));
        assert_eq!(arrivals.untraced(), 1);
        assert_eq!(arrivals.numbers(0), None);
        assert_eq!(arrivals.numbers(Arrivals::GROUPS), Some(1 << 5));
    }

    #[test]
    fn the_highest_number_is_known() {
        let arrivals = Arrivals::new(7);
        assert_eq!(arrivals.highest(), None);
        for (number, highest) in [(5, 5), (3, 5), (64, 64), (70, 70), (66, 70), (40, 70)] {
            arrivals.note(Group::of(number));
            assert_eq!(arrivals.highest(), Some(highest));
        }
    }

    #[test]
    fn the_largest_numbers_are_taken_without_a_panic() {
        let arrivals = Arrivals::new(7);
        for number in [(1 << 48) - 1, 0, (1 << 48) - 1] {
            arrivals.note(Group::of(number));
        }
        assert_eq!(arrivals.end_group(), 1 << 43);
    }

    proptest! {
        /// What a reader finds is what a set of numbers holds, as far as the ring goes back.
        #[test]
        fn agrees_with_a_set(
            start in prop_oneof![Just(0_u64), 0..(1_u64 << 40)],
            steps in proptest::collection::vec(0_u64..3000, 1..500),
            back in proptest::collection::vec(0_u64..2000, 1..500),
        ) {
            let arrivals = Arrivals::new(1);
            let mut noted = std::collections::HashMap::<u64, u32>::new();
            let (mut newest, mut repeated) = (start, 0);
            for (step, back) in steps.iter().zip(&back) {
                newest += step;
                for number in [newest, newest.saturating_sub(*back).max(start)] {
                    arrivals.note(Group::of(number));
                    let bits = noted.entry(number / GROUP_NUMBERS).or_default();
                    repeated += u64::from(*bits >> (number % GROUP_NUMBERS) & 1);
                    *bits |= 1 << (number % GROUP_NUMBERS);
                }
            }
            let newest = newest / GROUP_NUMBERS;
            prop_assert_eq!(arrivals.end_group(), newest + 1);
            prop_assert_eq!(arrivals.repeated(), repeated);
            for group in newest.saturating_sub(Arrivals::GROUPS - 1)..=newest {
                let expected = noted.get(&group).copied().unwrap_or(0);
                prop_assert_eq!(arrivals.numbers(group), Some(expected));
            }
        }
    }
}
