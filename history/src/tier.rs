//! How finely, and for how long.

use std::ops::Range;

/// Of what size the pieces are in which the past is kept. The numbers stand in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// For an hour.
    Seconds = 0,
    /// 100 seconds each, for 28 hours.
    Hundreds = 1,
    /// For a year.
    Hours = 2,
}

impl Tier {
    /// Finest first.
    pub const ALL: [Self; 3] = [Self::Seconds, Self::Hundreds, Self::Hours];

    /// The time that one sample covers, seconds.
    #[must_use]
    pub const fn step_s(self) -> u64 {
        match self {
            Self::Seconds => 1,
            Self::Hundreds => 100,
            Self::Hours => 3600,
        }
    }

    /// How long a sample is kept at least while the appliance runs, seconds.
    #[must_use]
    pub const fn kept_s(self) -> u64 {
        match self {
            Self::Seconds => 3600,
            Self::Hundreds => 28 * 3600,
            Self::Hours => 365 * 86_400,
        }
    }

    /// The finest tier that still has what happened from the beginning of the range on, and shows it in `most` samples or fewer.
    #[must_use]
    pub fn for_range(range_s: &Range<u64>, now_s: u64, most: u64) -> Self {
        let age_s = now_s.saturating_sub(range_s.start);
        let length_s = range_s.end.saturating_sub(range_s.start);
        let fits = |tier: &Self| age_s <= tier.kept_s() && length_s.div_ceil(tier.step_s()) <= most;
        Self::ALL.into_iter().find(fits).unwrap_or(Self::Hours)
    }

    /// The time that one row of the store covers, seconds: a multiple of the step, and a part of the next tier's step or block.
    pub(crate) const fn block_s(self) -> u64 {
        match self {
            Self::Seconds => 10,
            Self::Hundreds => 3600,
            Self::Hours => 86_400,
        }
    }

    /// Beginning of the step that a time belongs to.
    pub(crate) const fn start_of(self, at_s: u64) -> u64 {
        at_s - at_s % self.step_s()
    }

    /// Beginning of the block that a time belongs to.
    pub(crate) const fn block_of(self, at_s: u64) -> u64 {
        at_s - at_s % self.block_s()
    }

    /// Place in its block of the step that a time belongs to; a block has at most 36.
    pub(crate) const fn place_of(self, at_s: u64) -> u8 {
        (at_s % self.block_s() / self.step_s()) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finest_that_reaches_back_and_fits() {
        const NOW: u64 = 1_764_215_000;
        let tier = |ago_s: u64, length_s: u64, most| {
            let from_s = NOW - ago_s;
            Tier::for_range(&(from_s..from_s + length_s), NOW, most)
        };
        assert_eq!(tier(3600, 3600, 3600), Tier::Seconds);
        assert_eq!(tier(3600, 3600, 3599), Tier::Hundreds);
        assert_eq!(tier(3601, 60, 3600), Tier::Hundreds);
        assert_eq!(tier(28 * 3600, 28 * 3600, 1008), Tier::Hundreds);
        assert_eq!(tier(29 * 3600, 3600, 1008), Tier::Hours);
        assert_eq!(tier(900 * 86_400, 3600, 1008), Tier::Hours);
        // What lies ahead, and what is turned round.
        assert_eq!(
            Tier::for_range(&(NOW + 5..NOW + 9), NOW, 100),
            Tier::Seconds
        );
        let turned_round = Range {
            start: NOW,
            end: NOW - 5,
        };
        assert_eq!(Tier::for_range(&turned_round, NOW, 100), Tier::Seconds);
        assert_eq!(Tier::for_range(&(0..u64::MAX), NOW, 100), Tier::Hours);
    }

    #[test]
    fn blocks_hold_whole_steps_and_the_next_tier_holds_whole_blocks() {
        for tier in Tier::ALL {
            assert_eq!(tier.block_s() % tier.step_s(), 0);
            assert!(tier.block_s() / tier.step_s() <= 36);
            let last_s = tier.block_s() * 1000 - 1;
            assert_eq!(
                tier.block_of(last_s) + u64::from(tier.place_of(last_s)) * tier.step_s(),
                tier.start_of(last_s)
            );
        }
        assert_eq!(Tier::Hundreds.step_s() % Tier::Seconds.block_s(), 0);
        assert_eq!(Tier::Hours.step_s() % Tier::Hundreds.block_s(), 0);
    }
}
