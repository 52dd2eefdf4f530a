//! Numbers that a link did not bring because it was masked: no merit of the others.

use std::ops::Range;

use super::groups::{hull_of_changes, members};

/// A link's drills by the numbers that they took from it; the last one may be open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Drills(Vec<Range<u64>>);

impl Drills {
    /// A drill begins, if none lasts.
    pub(super) fn begin(&mut self, from: u64) {
        if self.0.last().is_none_or(|last| last.end != u64::MAX) {
            self.0.push(from..u64::MAX);
        }
    }

    /// From this number on the link carries again, if it is behind where the drill began.
    pub(super) fn end(&mut self, number: u64) {
        let last = self.0.last_mut().filter(|last| last.end == u64::MAX);
        if let Some(last) = last.filter(|last| last.start < number) {
            last.end = number;
        }
    }
}

/// What a link is excused for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Excuses {
    /// Masked at our end.
    pub(super) here: Drills,
    /// Masked at the peer's.
    pub(super) there: Drills,
}

impl Excuses {
    /// The numbers of a group that are among them.
    #[must_use]
    pub(super) fn of(&self, group: u64) -> u32 {
        members(&self.here.0, group) | members(&self.there.0, group)
    }

    /// A range with all numbers of which that is not what it was `before`.
    #[must_use]
    pub(super) fn changes(&self, before: &Self) -> Range<u64> {
        let here = hull_of_changes(&before.here.0, &self.here.0);
        let there = hull_of_changes(&before.there.0, &self.there.0);
        match (here.is_empty(), there.is_empty()) {
            (true, _) => there,
            (_, true) => here,
            _ => here.start.min(there.start)..here.end.max(there.end),
        }
    }

    pub(super) fn forget_below(&mut self, number: u64) {
        for drills in [&mut self.here, &mut self.there] {
            drills.0.retain(|numbers| numbers.end > number);
        }
    }
}
