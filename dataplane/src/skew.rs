//! How far copies are behind the first ones of their numbers, sampled: of the
//! numbers that [`FirstTimes::sampled`] picks, the time of the first copy is
//! kept, and each later copy is measured against it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use zerocopy::FromZeros;

use crate::arrivals::GROUP_NUMBERS;
use crate::counters::Counter;
use crate::window::Group;

/// One number in so many is measured: the first of each group.
const SAMPLED: u64 = GROUP_NUMBERS;

/// Times of first copies that are kept: those of the last 65 536 numbers.
const SLOTS_LOG2: u32 = 11;
const SLOTS: usize = 1 << SLOTS_LOG2;

/// A slot is `turn:20 | time:44`, zero as long as nothing was written; time is
/// in units of 64 ns, of which 44 bits last for 13 days.
const TIME_BITS: u32 = 44;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
const UNIT_LOG2: u32 = 6;

/// When the first copies of one epoch's numbers came, for any number of
/// threads: only who has the first copy of a number writes its time.
pub struct FirstTimes {
    slots: Box<[AtomicU64; SLOTS]>,
}

impl FirstTimes {
    /// What one takes.
    pub const MEMORY_OCTETS: u64 = (SLOTS * size_of::<AtomicU64>()) as u64;

    /// The number of a group that is measured, if it is among those looked at.
    #[inline]
    #[must_use]
    pub fn sampled(group: Group) -> Option<u64> {
        (group.bits & 1 == 1).then_some(group.index * SAMPLED)
    }

    /// The first copy of a sampled number came.
    pub fn note(&self, number: u64, now_ns: u64) {
        let (slot, turn) = self.place(number);
        let time = now_ns >> UNIT_LOG2 & TIME_MASK;
        // Relaxed: a reader that is too early finds another turn and measures nothing.
        slot.store(turn << TIME_BITS | time, Ordering::Relaxed);
    }

    /// How long ago the first copy of a sampled number came, in nanoseconds;
    /// `None` when that is not known (any more).
    #[must_use]
    pub fn age_ns(&self, number: u64, now_ns: u64) -> Option<u64> {
        let (slot, turn) = self.place(number);
        let noted = slot.load(Ordering::Relaxed);
        if noted >> TIME_BITS != turn {
            return None;
        }
        let age = (now_ns >> UNIT_LOG2).wrapping_sub(noted) & TIME_MASK;
        // Workers read their clocks once a burst: a copy may seem older than the first.
        let ahead = age > TIME_MASK / 2;
        Some(if ahead { 0 } else { age << UNIT_LOG2 })
    }

    #[inline]
    fn place(&self, number: u64) -> (&AtomicU64, u64) {
        let sample = number / SAMPLED;
        // From 1 on; in 2^20 turns a slot is written anew long before.
        let turn = ((sample >> SLOTS_LOG2) % ((1 << (64 - TIME_BITS)) - 1)) + 1;
        (&self.slots[sample as usize % SLOTS], turn)
    }
}

impl Default for FirstTimes {
    /// # Panics
    /// When there is no memory.
    fn default() -> Self {
        Self {
            slots: FromZeros::new_box_zeroed().expect("memory for a ring of times"),
        }
    }
}

impl fmt::Debug for FirstTimes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FirstTimes").finish_non_exhaustive()
    }
}

/// Buckets to each doubling: a figure is off by a sixteenth at most.
const PARTS_LOG2: u32 = 3;
const PARTS: u64 = 1 << PARTS_LOG2;
/// Skews from here on, some 137 s, are taken for this.
const LONGEST_UNITS: u64 = (1 << 31) - 1;
const BUCKETS: usize = bucket(LONGEST_UNITS) + 1;

/// How many copies were how far behind: a histogram in logarithmic steps, each
/// divided evenly. Written by one thread and read by any.
pub struct Skew {
    buckets: [Counter; BUCKETS],
    sum_ns: Counter,
    /// All bits turned over, so that nothing measured is zero.
    least_ns: Counter,
    missed: Counter,
}

impl Skew {
    /// Notes how far behind a copy was. Only the one writing thread may call this.
    pub fn note(&self, skew_ns: u64) {
        let units = (skew_ns >> UNIT_LOG2).min(LONGEST_UNITS);
        self.buckets[bucket(units)].add(1);
        self.sum_ns.add(skew_ns);
        self.least_ns.raise(!skew_ns);
    }

    /// Notes that a copy could not be measured: it was behind by more numbers
    /// than times are kept for.
    pub fn miss(&self) {
        self.missed.add(1);
    }

    /// Copies that could not be measured.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.read()
    }

    /// Adds what was measured to a histogram of the reader's own.
    pub fn add_to(&self, total: &mut Histogram) {
        for (sum, bucket) in total.buckets.iter_mut().zip(&self.buckets) {
            *sum += bucket.read();
        }
        total.sum_ns += self.sum_ns.read();
        total.least_ns = total.least_ns.min(!self.least_ns.read());
    }
}

impl Default for Skew {
    fn default() -> Self {
        Self {
            buckets: std::array::from_fn(|_| Counter::default()),
            sum_ns: Counter::default(),
            least_ns: Counter::default(),
            missed: Counter::default(),
        }
    }
}

impl fmt::Debug for Skew {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut total = Histogram::default();
        self.add_to(&mut total);
        total.fmt(formatter)
    }
}

/// A reader's sum of [`Skew`]s.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    buckets: [u64; BUCKETS],
    sum_ns: u64,
    least_ns: u64,
}

impl Histogram {
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The least that was measured.
    #[must_use]
    pub fn min_ns(&self) -> Option<u64> {
        (self.count() > 0).then_some(self.least_ns)
    }

    #[must_use]
    pub fn mean_ns(&self) -> Option<u64> {
        self.sum_ns.checked_div(self.count())
    }

    /// What 99 of 100 do not exceed, to a sixteenth.
    #[must_use]
    pub fn p99_ns(&self) -> Option<u64> {
        let count = self.count();
        let mut left = count - count / 100;
        let holds = |&(_, &bucket): &(usize, &u64)| {
            let found = bucket >= left;
            left = left.saturating_sub(bucket);
            found
        };
        let found = self.buckets.iter().enumerate().find(holds);
        found
            .filter(|_| count > 0)
            .map(|(index, _)| middle_units(index) << UNIT_LOG2)
    }

    /// Adds what another one holds.
    pub fn add(&mut self, other: &Self) {
        for (sum, bucket) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum += bucket;
        }
        self.sum_ns += other.sum_ns;
        self.least_ns = self.least_ns.min(other.least_ns);
    }

    /// What came since `earlier`, an older state of the same. The least of it
    /// is not known, and stays that of the whole time.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let pairs = self.buckets.iter().zip(&earlier.buckets);
        let mut buckets = [0; BUCKETS];
        for (difference, (now, before)) in buckets.iter_mut().zip(pairs) {
            *difference = now.saturating_sub(*before);
        }
        Self {
            buckets,
            sum_ns: self.sum_ns.saturating_sub(earlier.sum_ns),
            least_ns: self.least_ns,
        }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: [0; BUCKETS],
            sum_ns: 0,
            least_ns: u64::MAX,
        }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Histogram")
            .field("count", &self.count())
            .field("min_ns", &self.min_ns())
            .field("mean_ns", &self.mean_ns())
            .field("p99_ns", &self.p99_ns())
            .finish()
    }
}

const fn bucket(units: u64) -> usize {
    if units < PARTS {
        return units as usize;
    }
    let octave = units.ilog2() - PARTS_LOG2;
    let part = (units >> octave) & (PARTS - 1);
    ((octave as u64 + 1) * PARTS + part) as usize
}

/// The middle of what falls into a bucket.
fn middle_units(bucket: usize) -> u64 {
    let (step, part) = (bucket as u64 / PARTS, bucket as u64 % PARTS);
    let Some(octave) = step.checked_sub(1) else {
        return part;
    };
    ((PARTS + part) << octave) + (1 << octave) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn measured(skews_ns: impl IntoIterator<Item = u64>) -> Histogram {
        let skew = Skew::default();
        skews_ns.into_iter().for_each(|it| skew.note(it));
        let mut total = Histogram::default();
        skew.add_to(&mut total);
        total
    }

    #[test]
    fn a_copy_is_measured_against_the_first_of_its_number() {
        let times = FirstTimes::default();
        assert_eq!(times.age_ns(0, 1_000_000), None, "nothing was noted");
        times.note(0, 1_000_000);
        times.note(64, 2_000_000);
        assert_eq!(times.age_ns(0, 51_000_000), Some(50_000_000));
        assert_eq!(times.age_ns(64, 2_000_000), Some(0));
        assert_eq!(times.age_ns(32, 2_000_000), None);
        assert_eq!(times.age_ns(64, 1_999_000), Some(0), "a worker behind");
    }

    #[test]
    fn a_time_of_another_turn_is_none() {
        let times = FirstTimes::default();
        let turn = SLOTS as u64 * SAMPLED;
        times.note(32, 1);
        assert_eq!(times.age_ns(32 + turn, 2), None);
        times.note(32 + turn, 2);
        assert_eq!(times.age_ns(32, 2), None);
        assert_eq!(times.age_ns(32 + turn, 2 + 6400), Some(6400));
        let last = (1 << 48) - SAMPLED;
        times.note(last, 5);
        assert_eq!(times.age_ns(last, 69), Some(64));
    }

    #[test]
    fn clocks_that_pass_what_a_slot_holds_still_measure() {
        let times = FirstTimes::default();
        let late = (TIME_MASK << UNIT_LOG2) - 64;
        times.note(0, late);
        assert_eq!(times.age_ns(0, late + 6_400), Some(6_400));
    }

    #[test]
    fn figures_are_right_to_a_sixteenth() {
        let all = measured((1..=1000).map(|ms| ms * 1_000_000));
        assert_eq!(all.count(), 1000);
        assert_eq!(all.min_ns(), Some(1_000_000));
        assert_eq!(all.mean_ns(), Some(500_500_000));
        let p99 = all.p99_ns().expect("there are some") as f64;
        assert!((p99 / 990e6 - 1.0).abs() < 0.0625, "{p99}");
    }

    #[test]
    fn of_nothing_there_is_no_figure() {
        let none = measured([]);
        assert_eq!(
            (none.min_ns(), none.mean_ns(), none.p99_ns()),
            (None, None, None)
        );
    }

    #[test]
    fn what_is_new_is_told_apart() {
        let (old, new) = (measured([1_000_000; 50]), measured([9_000_000; 100]));
        let mut both = old.clone();
        both.add(&new);
        assert_eq!(both.count(), 150);
        let since = both.since(&old);
        assert_eq!(since.count(), 100);
        assert_eq!(since.mean_ns(), Some(9_000_000));
        assert_eq!(since.p99_ns(), new.p99_ns());
    }

    proptest! {
        #[test]
        fn a_bucket_holds_what_is_near_its_middle(skew_ns in 0_u64..137_000_000_000) {
            let units = skew_ns >> UNIT_LOG2;
            let middle = middle_units(bucket(units));
            prop_assert!(middle.abs_diff(units) <= units / 16, "{units} {middle}");
        }

        #[test]
        fn any_skew_is_taken(skew_ns in any::<u64>()) {
            prop_assert_eq!(measured([skew_ns]).count(), 1);
        }
    }
}
