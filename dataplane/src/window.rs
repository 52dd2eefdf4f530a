//! Elimination of copies: which numbers of one epoch were delivered.
//!
//! A ring of slots, each one `AtomicU64` that holds `block:32 | bits:32`: a bit
//! for each of 32 consecutive numbers, and which turn of the ring they belong
//! to. The low five bits of a number choose the bit, the next ones the slot,
//! the rest is the block. There is no head, no sweep and no lock: a slot is
//! recycled by the first number of a newer block that falls into it.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::fmt;
use std::sync::Arc;

use crate::sync::{AtomicU64, Ordering};

/// Numbers that share a slot.
const SLOT_NUMBERS_LOG2: u32 = 5;
const SLOT_NUMBERS: u64 = 1 << SLOT_NUMBERS_LOG2;

/// Numbers of one epoch: the header carries 48 bits, and an epoch ends before
/// they wrap. With the smallest ring a block has 48 - 16 = 32 bits, so that
/// every block fits its half of the slot.
const NUMBER_BITS: u32 = 48;

/// What became of one copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The first copy of its number: deliver it.
    First,
    /// A copy of its number was delivered.
    Duplicate,
    /// Older than the window: whether it was delivered is no longer known.
    TooLate,
}

/// Numbers that share a slot: of 32 consecutive ones those that are looked at together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// The numbers without their low five bits.
    pub index: u64,
    /// A bit for each of the 32.
    pub bits: u32,
}

impl Group {
    /// One number.
    #[inline]
    #[must_use]
    pub fn of(number: u64) -> Self {
        Self {
            index: number >> SLOT_NUMBERS_LOG2,
            bits: bit(number),
        }
    }

    /// The first of some numbers that are looked at together, and how many they are: those
    /// without a gap as far as their slot goes, or else as many as can be
    /// [added](Self::add) to the first.
    #[inline(always)]
    #[must_use]
    pub fn of_first(numbers: &[u64]) -> (Self, usize) {
        let Some(&first) = numbers.first() else {
            return (Self { index: 0, bits: 0 }, 0);
        };
        let left = (SLOT_NUMBERS - first % SLOT_NUMBERS) as usize;
        let most = numbers.len().min(left);
        // Nearly always there is no gap.
        let places = (0..).zip(&numbers[..most]);
        let gaps = places.fold(0, |gaps, (place, &number)| {
            gaps | (first.wrapping_add(place) ^ number)
        });
        if gaps == 0 {
            let bits = u32::MAX >> (SLOT_NUMBERS as usize - most) << (first % SLOT_NUMBERS);
            let index = first >> SLOT_NUMBERS_LOG2;
            return (Self { index, bits }, most);
        }
        let mut group = Self::of(first);
        let added = numbers[1..].iter().take_while(|&&number| group.add(number));
        let count = 1 + added.count();
        (group, count)
    }

    /// Adds a number. False, and no change, when it belongs to another group or
    /// is in this one already: then it takes a look of its own.
    #[inline]
    pub fn add(&mut self, number: u64) -> bool {
        let bit = bit(number);
        let other = number >> SLOT_NUMBERS_LOG2 != self.index || self.bits & bit != 0;
        if !other {
            self.bits |= bit;
        }
        !other
    }
}

/// What became of the numbers of a [`Group`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdicts {
    /// Numbers that were not delivered before; `None` when all are too late.
    first: Option<u32>,
}

impl Verdicts {
    /// All of them are too late.
    pub const TOO_LATE: Self = Self { first: None };

    /// What became of a number of the group.
    #[inline]
    #[must_use]
    pub fn of(self, number: u64) -> Verdict {
        match self.first {
            None => Verdict::TooLate,
            Some(first) if first & bit(number) != 0 => Verdict::First,
            Some(_) => Verdict::Duplicate,
        }
    }

    /// The numbers of which these are the first copies, a bit for each.
    #[inline]
    #[must_use]
    pub fn first(self) -> u32 {
        self.first.unwrap_or(0)
    }

    /// The same of some of the numbers: of the others these are not the first copies.
    #[inline]
    #[must_use]
    pub fn of_some(self, numbers: u32) -> Self {
        Self {
            first: self.first.map(|first| first & numbers),
        }
    }

    /// Whether the whole group is older than the window.
    #[inline]
    #[must_use]
    pub fn too_late(self) -> bool {
        self.first.is_none()
    }
}

/// Who marks numbers in a window while this thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nobody: plain loads and stores suffice.
    Alone,
    Shared,
}

/// Which numbers of one epoch were delivered, for any number of threads.
///
/// `First` is answered at most once for each number, and every number that is
/// offered while it is no more than `numbers() - 32` below the newest one gets it.
///
/// Clones are the same window.
#[derive(Clone)]
pub struct Window {
    /// Zero at the start, that is "block 0, no bits": nothing delivered yet
    /// for the numbers of block 0, and an older block for all the others.
    slots: Arc<[AtomicU64]>,
}

impl Window {
    /// The smallest ring. Models of a few numbers take a few slots.
    pub const MIN_NUMBERS: u64 = if cfg!(loom) { 32 } else { 1 << 16 };
    /// The largest ring.
    pub const MAX_NUMBERS: u64 = 1 << 24;

    /// A window in which nothing was delivered. `numbers` is a power of two
    /// from [`Self::MIN_NUMBERS`] to [`Self::MAX_NUMBERS`]; another value is
    /// taken as the next larger one that is.
    #[must_use]
    pub fn new(numbers: u64) -> Self {
        let slots = Self::ring_numbers(numbers) >> SLOT_NUMBERS_LOG2;
        Self {
            slots: (0..slots).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// How many numbers the ring holds.
    #[must_use]
    pub fn numbers(&self) -> u64 {
        (self.slots.len() as u64) << SLOT_NUMBERS_LOG2
    }

    /// What a window of `numbers` takes.
    #[must_use]
    pub fn memory_octets(numbers: u64) -> u64 {
        let slots = Self::ring_numbers(numbers) >> SLOT_NUMBERS_LOG2;
        slots * size_of::<u64>() as u64
    }

    /// Has the slot of a group brought into the cache.
    #[inline]
    pub fn prefetch(&self, group: Group) {
        if let Some(slot) = self
            .slots
            .get(group.index as usize & (self.slots.len() - 1))
        {
            dpdk::prefetch(slot);
        }
    }

    /// Marks `number` and says whether it was the first copy. A number of more
    /// than 48 bits is no number of the wire and is `TooLate`.
    #[inline]
    pub fn observe(&self, number: u64) -> Verdict {
        self.mark(Group::of(number), Access::Shared).of(number)
    }

    /// The same for the numbers of a group, by one access to their slot.
    ///
    /// The verdicts hang on one atomic alone, whose changes have one order
    /// that all threads agree on, so relaxed accesses suffice: a load that is
    /// out of date lacks bits or names an older block, and then the
    /// compare-and-swap fails and shows what is true. It has to be a
    /// compare-and-swap: a `fetch_or` could set the bit in a block that
    /// another thread put there since the load, and so refuse a number that
    /// was never delivered.
    #[inline]
    pub fn mark(&self, group: Group, access: Access) -> Verdicts {
        let block = group.index >> self.slots.len().trailing_zeros();
        let slot = self
            .slots
            .get(group.index as usize & (self.slots.len() - 1))
            .filter(|_| group.index >> (NUMBER_BITS - SLOT_NUMBERS_LOG2) == 0);
        let Some(slot) = slot else {
            return Verdicts::TOO_LATE;
        };
        let mut seen = slot.load(Ordering::Relaxed);
        loop {
            let marked = match (seen >> 32).cmp(&block) {
                Greater => return Verdicts::TOO_LATE,
                Equal => seen as u32,
                Less => 0,
            };
            let first = group.bits & !marked;
            let verdicts = Verdicts { first: Some(first) };
            if first == 0 {
                return verdicts;
            }
            let next = block << 32 | u64::from(marked | group.bits);
            if access == Access::Alone {
                slot.store(next, Ordering::Relaxed);
                return verdicts;
            }
            match slot.compare_exchange(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return verdicts,
                Err(now) => seen = now,
            }
        }
    }

    fn ring_numbers(numbers: u64) -> u64 {
        numbers
            .clamp(Self::MIN_NUMBERS, Self::MAX_NUMBERS)
            .next_power_of_two()
    }
}

#[cfg(test)]
impl Window {
    /// How many clones there are.
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.slots)
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.slots, &other.slots)
    }
}

impl fmt::Debug for Window {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Window")
            .field("numbers", &self.numbers())
            .finish_non_exhaustive()
    }
}

#[inline]
fn bit(number: u64) -> u32 {
    1 << (number & 31)
}
