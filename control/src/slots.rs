//! Slot numbers that the workers know sessions and sets by: small ones, used
//! again once they are free, since the workers keep dense tables.

use std::collections::BTreeSet;

/// Hands out the lowest free number.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    free: BTreeSet<u32>,
    next: u32,
}

impl Slots {
    pub(crate) fn take(&mut self) -> u32 {
        self.free.pop_first().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }

    /// Gives a number back. The workers' commands are in order, so it may name
    /// something else at once.
    pub(crate) fn give_back(&mut self, slot: u32) {
        self.free.insert(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_number_is_used_again() {
        let mut slots = Slots::default();
        assert_eq!([slots.take(), slots.take(), slots.take()], [0, 1, 2]);
        slots.give_back(1);
        slots.give_back(0);
        assert_eq!([slots.take(), slots.take(), slots.take()], [0, 1, 3]);
    }
}
