//! Bits for the numbers of one stretch of a numbering, 32 to a group.

use std::collections::VecDeque;
use std::ops::Range;

use dataplane::arrivals::GROUP_NUMBERS;

/// Which numbers of a stretch are marked; those outside of it are not.
#[derive(Debug, Default)]
pub(super) struct Groups {
    first: u64,
    bits: VecDeque<u32>,
}

impl Groups {
    #[must_use]
    pub(super) fn get(&self, group: u64) -> u32 {
        let place = group.checked_sub(self.first);
        let bits = place.and_then(|place| self.bits.get(usize::try_from(place).ok()?));
        bits.copied().unwrap_or(0)
    }

    /// Marks numbers of a group. The stretch grows to hold it; how far is the caller's affair.
    pub(super) fn mark(&mut self, group: u64, bits: u32) {
        if self.bits.is_empty() {
            self.first = group;
        }
        while group < self.first {
            self.bits.push_front(0);
            self.first -= 1;
        }
        let place = usize::try_from(group - self.first).expect("a stretch fits the memory");
        if place >= self.bits.len() {
            self.bits.resize(place + 1, 0);
        }
        self.bits[place] |= bits;
    }

    /// The groups that may have marks.
    #[must_use]
    pub(super) fn stretch(&self) -> Range<u64> {
        self.first..self.first + self.bits.len() as u64
    }

    pub(super) fn forget_below(&mut self, group: u64) {
        let gone = group.saturating_sub(self.first).min(self.bits.len() as u64);
        self.bits
            .drain(..usize::try_from(gone).unwrap_or(usize::MAX));
        self.first += gone;
        if self.bits.capacity() > 4 * self.bits.len() + 64 {
            self.bits.shrink_to(2 * self.bits.len());
        }
    }
}

/// The group of a number.
#[must_use]
pub(super) fn group_of(number: u64) -> u64 {
    number / GROUP_NUMBERS
}

/// The groups that some of these numbers are in.
#[must_use]
pub(super) fn groups_of(numbers: &Range<u64>) -> Range<u64> {
    if numbers.is_empty() {
        return 0..0;
    }
    group_of(numbers.start)..group_of(numbers.end - 1) + 1
}

/// The numbers of a group that are among these.
#[must_use]
pub(super) fn mask(group: u64, numbers: &Range<u64>) -> u32 {
    let start = group * GROUP_NUMBERS;
    let below = |number: u64| match number.saturating_sub(start) {
        count @ 0..GROUP_NUMBERS => (1_u32 << count) - 1,
        _ => u32::MAX,
    };
    below(numbers.end) & !below(numbers.start)
}

/// The numbers of a group that are in any of these ranges.
#[must_use]
pub(super) fn members(ranges: &[Range<u64>], group: u64) -> u32 {
    ranges
        .iter()
        .fold(0, |all, numbers| all | mask(group, numbers))
}

/// One range with all numbers that are in only one of these lists. Both are in order.
#[must_use]
pub(super) fn hull_of_changes(before: &[Range<u64>], after: &[Range<u64>]) -> Range<u64> {
    let same = before
        .iter()
        .zip(after)
        .take_while(|(one, other)| one == other);
    let same = same.count();
    let (before, after) = (&before[same..], &after[same..]);
    let start = match (before.first(), after.first()) {
        (None, None) => return 0..0,
        (Some(one), None) | (None, Some(one)) => one.start,
        (Some(one), Some(other)) if one.start == other.start => one.end.min(other.end),
        (Some(one), Some(other)) => one.start.min(other.start),
    };
    let ends = [before, after].into_iter().flatten().map(|range| range.end);
    start..ends.max().unwrap_or(start).max(start)
}

#[must_use]
pub(super) fn common(one: &Range<u64>, other: &Range<u64>) -> Range<u64> {
    let start = one.start.max(other.start);
    start..one.end.min(other.end).max(start)
}

/// The same ranges without what they have in common.
pub(super) fn apart(ranges: impl Iterator<Item = Range<u64>>) -> impl Iterator<Item = Range<u64>> {
    let mut ranges: Vec<Range<u64>> = ranges.collect();
    ranges.sort_unstable_by_key(|range| range.start);
    let mut next = 0;
    ranges.into_iter().map(move |range| {
        let start = range.start.max(next);
        next = next.max(range.end);
        start..range.end.max(start)
    })
}

#[must_use]
pub(super) fn count(bits: u32) -> u64 {
    u64::from(bits.count_ones())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn marks_are_found_and_forgotten() {
        let mut groups = Groups::default();
        groups.mark(10, 1);
        groups.mark(13, 2);
        groups.mark(8, 4);
        groups.mark(13, 1);
        let all: Vec<u32> = (7..15).map(|group| groups.get(group)).collect();
        assert_eq!(all, [0, 4, 0, 1, 0, 0, 3, 0]);
        assert_eq!(groups.stretch(), 8..14);
        groups.forget_below(11);
        assert_eq!(groups.stretch(), 11..14);
        assert_eq!((groups.get(10), groups.get(13)), (0, 3));
        groups.forget_below(100);
        assert_eq!(groups.get(13), 0);
        groups.mark(200, 1);
        assert_eq!(groups.stretch(), 200..201);
    }

    #[test]
    fn ranges_that_overlap_are_taken_apart() {
        let ranges = [10..20, 0..5, 12..15, 18..30];
        let apart: Vec<_> = apart(ranges.into_iter())
            .filter(|it| !it.is_empty())
            .collect();
        assert_eq!(apart, [0..5, 10..20, 20..30]);
    }

    proptest! {
        #[test]
        fn what_changed_is_within_the_hull(
            before in proptest::collection::vec(1_u64..20, 0..6),
            after in proptest::collection::vec(1_u64..20, 0..6),
        ) {
            let ranges = |steps: Vec<u64>| -> Vec<Range<u64>> {
                let ends: Vec<u64> = steps.iter().scan(0, |end, step| { *end += step; Some(*end) }).collect();
                ends.chunks_exact(2).map(|it| it[0]..it[1]).collect()
            };
            let (before, after) = (ranges(before), ranges(after));
            let hull = hull_of_changes(&before, &after);
            for group in 0..4 {
                let changed = members(&before, group) ^ members(&after, group);
                prop_assert_eq!(changed & !mask(group, &hull), 0);
            }
            prop_assert_eq!(hull_of_changes(&before, &before), 0..0);
        }

        #[test]
        fn a_mask_holds_the_numbers_of_its_range(group in 0_u64..4, from in 0_u64..150, to in 0_u64..150) {
            let bits = mask(group, &(from..to));
            for bit in 0..32 {
                let number = group * 32 + bit;
                prop_assert_eq!(bits >> bit & 1 == 1, (from..to).contains(&number), "{}", number);
            }
        }
    }
}
