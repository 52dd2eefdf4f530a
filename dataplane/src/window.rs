//! Elimination of copies: which numbers of one epoch were delivered.
//!
//! A ring of slots, each one `AtomicU64` that holds `block:32 | bits:32`: a bit
//! for each of 32 consecutive numbers, and which turn of the ring they belong
//! to. The low five bits of a number choose the bit, the next ones the slot,
//! the rest is the block. There is no head, no sweep and no lock: a slot is
//! recycled by the first number of a newer block that falls into it.

mod sync;

use std::cmp::Ordering::{Equal, Greater, Less};
use std::fmt;

use sync::{AtomicU64, Ordering};

/// Numbers that share a slot.
const SLOT_NUMBERS_LOG2: u32 = 5;

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

/// Which numbers of one epoch were delivered, for any number of threads.
///
/// `First` is answered at most once for each number, and every number that is
/// offered while it is no more than `numbers() - 32` below the newest one gets it.
pub struct Window {
    /// Zero at the start, that is "block 0, no bits": nothing delivered yet
    /// for the numbers of block 0, and an older block for all the others.
    slots: Box<[AtomicU64]>,
    slots_log2: u32,
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
            slots_log2: slots.trailing_zeros(),
        }
    }

    /// How many numbers the ring holds.
    #[must_use]
    pub fn numbers(&self) -> u64 {
        1 << (self.slots_log2 + SLOT_NUMBERS_LOG2)
    }

    /// What a window of `numbers` takes.
    #[must_use]
    pub fn memory_octets(numbers: u64) -> u64 {
        let slots = Self::ring_numbers(numbers) >> SLOT_NUMBERS_LOG2;
        slots * size_of::<u64>() as u64
    }

    /// Marks `number` and says whether it was the first copy. A number of more
    /// than 48 bits is no number of the wire and is `TooLate`.
    #[inline]
    pub fn observe(&self, number: u64) -> Verdict {
        match self.mark(group(number), bit(number)) {
            None => Verdict::TooLate,
            Some(0) => Verdict::Duplicate,
            Some(_) => Verdict::First,
        }
    }

    /// The same as [`Self::observe`] on each of `numbers` in turn, with the
    /// verdict written to the same place of `verdicts`. Neighbours that fall
    /// into one slot share one access to it. Ends with the shorter slice.
    #[inline]
    pub fn observe_burst(&self, numbers: &[u64], verdicts: &mut [Verdict]) {
        let count = numbers.len().min(verdicts.len());
        let (mut numbers, mut verdicts) = (&numbers[..count], &mut verdicts[..count]);
        while let Some(&first) = numbers.first() {
            let mut bits = 0;
            let mut run = 0;
            for &number in numbers {
                if group(number) != group(first) {
                    break;
                }
                bits |= bit(number);
                run += 1;
            }
            let marked = self.mark(group(first), bits);
            let (these, later) = numbers.split_at(run);
            let (answers, later_answers) = verdicts.split_at_mut(run);
            answer(these, marked, answers);
            (numbers, verdicts) = (later, later_answers);
        }
    }

    /// Marks `bits` of a group of 32 numbers. Returns those that were not
    /// marked before, or `None` when the slot belongs to a newer block.
    ///
    /// The verdicts hang on one atomic alone, whose changes have one order
    /// that all threads agree on, so relaxed accesses suffice: a load that is
    /// out of date lacks bits or names an older block, and then the
    /// compare-and-swap fails and shows what is true. It has to be a
    /// compare-and-swap: a `fetch_or` could set the bit in a block that
    /// another thread put there since the load, and so refuse a number that
    /// was never delivered.
    #[inline]
    fn mark(&self, group: u64, bits: u32) -> Option<u32> {
        let block = group >> self.slots_log2;
        let slot = self
            .slots
            .get(group as usize & (self.slots.len() - 1))
            .filter(|_| group >> (NUMBER_BITS - SLOT_NUMBERS_LOG2) == 0)?;
        let mut seen = slot.load(Ordering::Relaxed);
        loop {
            let marked = match (seen >> 32).cmp(&block) {
                Greater => return None,
                Equal => seen as u32,
                Less => 0,
            };
            let fresh = bits & !marked;
            if fresh == 0 {
                return Some(0);
            }
            let next = block << 32 | u64::from(marked | bits);
            match slot.compare_exchange(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(fresh),
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

impl fmt::Debug for Window {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Window")
            .field("numbers", &self.numbers())
            .finish_non_exhaustive()
    }
}

/// The 32 numbers that share a slot and a block with this one.
#[inline]
fn group(number: u64) -> u64 {
    number >> SLOT_NUMBERS_LOG2
}

#[inline]
fn bit(number: u64) -> u32 {
    1 << (number & 31)
}

/// Hands out what [`Window::mark`] said of a run of numbers of one group: a
/// number that stands in the run twice is the first copy once.
#[inline]
fn answer(numbers: &[u64], marked: Option<u32>, verdicts: &mut [Verdict]) {
    let Some(mut fresh) = marked else {
        verdicts.fill(Verdict::TooLate);
        return;
    };
    for (verdict, &number) in verdicts.iter_mut().zip(numbers) {
        *verdict = if fresh & bit(number) == 0 {
            Verdict::Duplicate
        } else {
            Verdict::First
        };
        fresh &= !bit(number);
    }
}
