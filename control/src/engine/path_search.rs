//! What a link's path carries, found by padded reports that no router may
//! fragment: packetization layer path MTU discovery for datagrams (RFC 8899).
//! It needs no ICMP. A size is taken for lost when the peer has heard a later
//! report and not this one: silence of the whole path says nothing.
//!
//! Sizes are those of the whole outer IP packet, in octets.

use std::time::Duration;

/// Probes of one size that must be lost before it counts as too large (RFC
/// 8899, 5.1.2: MAX_PROBES).
const TRIES: u8 = 3;
/// Without a word of what became of it, a probe is sent again after this.
const REPEAT: Duration = Duration::from_secs(5);
/// Between two looks at whether the size in use still passes (RFC 8899, 5.1.1:
/// CONFIRMATION_TIMER).
const CONFIRM: Duration = Duration::from_secs(20);
/// What was too large is tried again after this (PMTU_RAISE_TIMER).
const RAISE: Duration = Duration::from_secs(600);
/// The search ends when what passes and what does not are so near.
const NEAR_ENOUGH: u16 = 8;
/// What lines of this world carry, the largest first.
const USUAL: [u16; 21] = [
    9000, 1500, 1492, 1480, 1472, 1460, 1450, 1440, 1430, 1420, 1400, 1380, 1360, 1340, 1320, 1300,
    1280, 1200, 1000, 800, 576,
];

/// A probe that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Probe {
    octets: u16,
    /// When it was sent, on our clock: the peer names it by that.
    sent_at_us: u64,
}

/// The search of one link, in our direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PathSearch {
    /// Every path carries it, if the interface does.
    base: u16,
    /// What the interface carries: more cannot be asked of the path.
    ceiling: u16,
    /// The largest that has passed.
    good: Option<u16>,
    /// The smallest above it that has not.
    bad: Option<u16>,
    probe: Option<Probe>,
    /// How many of one size were lost in a row.
    lost: (u16, u8),
    /// When the next probe is due; `None` until the peer has shown that it tells.
    due: Option<Duration>,
    raise_at: Duration,
}

impl PathSearch {
    /// Nothing is known; as much as the interface carries is taken for granted.
    pub(super) fn new(base: u16, ceiling: u16) -> Self {
        Self {
            base,
            ceiling,
            good: None,
            bad: None,
            probe: None,
            lost: (0, 0),
            due: None,
            raise_at: Duration::ZERO,
        }
    }

    /// The interface carries another size.
    pub(super) fn set_ceiling(&mut self, now: Duration, ceiling: u16) {
        let due = self.due;
        *self = Self::new(self.base, ceiling);
        self.due = due.map(|_| now);
    }

    /// The peer tells what it has heard.
    pub(super) fn begin(&mut self, now: Duration) {
        if self.due.is_none() {
            self.due = Some(now);
        }
    }

    /// Largest packet that is to be sent whole.
    pub(super) fn usable(&self) -> u16 {
        match (self.good, self.bad) {
            (Some(good), _) => good,
            (None, Some(_)) => self.floor(),
            (None, None) => self.ceiling,
        }
    }

    /// Whether the path is known to carry what it is used for.
    pub(super) fn confirmed(&self) -> Option<u16> {
        self.good
    }

    pub(super) fn next_timeout(&self) -> Option<Duration> {
        self.due
    }

    /// The size of a probe that is to be sent now.
    pub(super) fn poll(&mut self, now: Duration) -> Option<u16> {
        if self.due? > now {
            return None;
        }
        if self.good != Some(self.ceiling) && self.raise_at <= now {
            // What did not pass may do now.
            self.raise_at = now + RAISE;
            if self.good.is_some() {
                self.bad = None;
            }
        }
        Some(self.wanted())
    }

    /// Such a probe was sent.
    pub(super) fn sent(&mut self, now: Duration, octets: u16, sent_at_us: u64) {
        self.probe = Some(Probe { octets, sent_at_us });
        self.due = Some(now + REPEAT);
    }

    /// The peer has last heard a probe of `probe_us` and a report of
    /// `report_us`. Says whether [`Self::usable`] may be another now.
    pub(super) fn told(&mut self, now: Duration, probe_us: u64, report_us: u64) -> bool {
        let Some(probe) = self.probe else {
            return false;
        };
        let before = self.usable();
        if probe_us == probe.sent_at_us {
            self.passed(now, probe.octets);
        } else if report_us > probe.sent_at_us {
            self.was_lost(now, probe.octets);
        }
        self.usable() != before
    }

    fn passed(&mut self, now: Duration, octets: u16) {
        self.probe = None;
        self.lost = (0, 0);
        self.good = self.good.max(Some(octets));
        let next = if self.is_settled() {
            now + CONFIRM
        } else {
            now
        };
        self.due = Some(next);
    }

    fn was_lost(&mut self, now: Duration, octets: u16) {
        self.probe = None;
        self.due = Some(now);
        let (of, before) = self.lost;
        let lost = if of == octets { before + 1 } else { 1 };
        self.lost = (octets, lost);
        if lost < TRIES {
            return;
        }
        self.lost = (0, 0);
        if self.good.is_some_and(|good| good >= octets) {
            // The path has become another.
            self.good = None;
        }
        self.bad = Some(octets);
        if self.is_settled() {
            self.due = Some(now + CONFIRM);
        }
    }

    /// Nothing between what passes and what does not is left to try.
    fn is_settled(&self) -> bool {
        match self.bad {
            None => self.good == Some(self.ceiling),
            Some(bad) => bad.saturating_sub(self.low()) <= NEAR_ENOUGH,
        }
    }

    fn low(&self) -> u16 {
        self.good.unwrap_or_else(|| self.floor())
    }

    fn floor(&self) -> u16 {
        self.base.min(self.ceiling)
    }

    /// The size that says most.
    fn wanted(&self) -> u16 {
        let low = self.low();
        match self.bad {
            None => self.ceiling,
            Some(_) if self.is_settled() => low,
            Some(bad) => {
                let between: Vec<u16> = USUAL
                    .into_iter()
                    .filter(|&size| low < size && size < bad)
                    .collect();
                let middle = low + (bad - low) / 2;
                between.get(between.len() / 2).copied().unwrap_or(middle)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A search over a path that carries so much, until `until`; a report
    /// follows each probe. Every one of `lost` in turn is lost whatever its size.
    fn search(
        search: &mut PathSearch,
        from: Duration,
        until: Duration,
        path: u16,
        mut is_lost: impl FnMut() -> bool,
    ) {
        let mut now = from;
        let mut heard = 0;
        let step = Duration::from_millis(500);
        search.begin(now);
        while now < until {
            if let Some(octets) = search.poll(now) {
                let stamp = 1 + now.as_micros() as u64;
                search.sent(now, octets, stamp);
                if octets <= path && !is_lost() {
                    heard = stamp;
                }
            }
            now += step;
            search.told(now, heard, now.as_micros() as u64);
        }
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_the_interface_carries_is_believed_until_it_is_lost() {
        let mut path = PathSearch::new(576, 1500);
        assert_eq!((path.usable(), path.confirmed()), (1500, None));
        assert_eq!(path.poll(s(0)), None, "the peer may not tell");
        path.begin(s(0));
        assert_eq!(path.poll(s(0)), Some(1500));
        path.sent(s(0), 1500, 7);
        assert_eq!(path.poll(s(1)), None);
        assert!(!path.told(s(1), 7, 8));
        assert_eq!((path.usable(), path.confirmed()), (1500, Some(1500)));
        assert_eq!(path.next_timeout(), Some(s(21)));
    }

    #[test]
    fn three_lost_ones_are_too_large_and_silence_is_not() {
        let mut path = PathSearch::new(576, 1500);
        path.begin(s(0));
        for lost in 1..=3 {
            path.sent(s(lost), 1500, lost * 10);
            assert!(!path.told(s(lost), 0, lost * 10 - 1), "no word yet");
            assert_eq!(path.told(s(lost), 0, lost * 10 + 1), lost == 3);
        }
        assert_eq!(path.usable(), 576, "nothing else is known to pass");
        assert_eq!(path.poll(s(4)), Some(1380), "the middle of what is usual");
    }

    #[test]
    fn a_path_that_becomes_another_is_followed_both_ways() {
        let mut path = PathSearch::new(576, 1500);
        search(&mut path, s(0), s(60), 1500, || false);
        assert_eq!(path.usable(), 1500);
        search(&mut path, s(60), s(120), 1400, || false);
        assert_eq!(path.usable(), 1400);
        search(&mut path, s(120), s(800), 1492, || false);
        assert_eq!(path.usable(), 1492, "tried again after ten minutes");
        path.set_ceiling(s(800), 1480);
        assert_eq!(path.usable(), 1480);
        search(&mut path, s(800), s(860), 1492, || false);
        assert_eq!(path.confirmed(), Some(1480));
        path.set_ceiling(s(860), 500);
        path.set_ceiling(s(860), 1500);
        search(&mut path, s(860), s(861), 560, || false);
        assert_eq!(path.usable(), 1500, "nothing is lost yet");
        search(&mut path, s(861), s(862), 560, || false);
        assert_eq!(path.usable(), 576, "what was once less is no less for it");
    }

    proptest! {
        #[test]
        fn every_size_is_found(path in 576_u16..=1500, ceiling in 576_u16..=1500) {
            let mut found = PathSearch::new(576, ceiling);
            search(&mut found, s(0), s(120), path, || false);
            let best = path.min(ceiling);
            prop_assert!(found.usable() <= best);
            prop_assert!(found.usable() + NEAR_ENOUGH >= best, "{} of {best}", found.usable());
        }

        /// Loss makes the search slower and at worst too careful for a while, never too bold.
        #[test]
        fn nothing_is_found_to_pass_that_does_not(path in 576_u16..=1500, lost in proptest::collection::vec(any::<bool>(), 1..50)) {
            let mut found = PathSearch::new(576, 1500);
            let mut lost = lost.into_iter().cycle();
            search(&mut found, s(0), s(300), path, || lost.next() == Some(true));
            prop_assert!(found.confirmed().is_none_or(|good| good <= path));
        }
    }
}
