//! When the numbers of an epoch were new, as far as it can be seen here.

use std::collections::VecDeque;
use std::time::Duration;

/// Reports come at least once a second. Who hears nothing for longer hears
/// nothing because of an outage, and not because there was nothing to send.
const IDLE_AT_MOST: Duration = Duration::from_millis(1500);
/// Moments that are kept when nothing settles for long.
const MOMENTS_MAX: usize = 4096;

/// How far the numbering was at some moments.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// With the number that was next then.
    moments: VecDeque<(Duration, u64)>,
    last_look: Duration,
}

impl Timeline {
    /// Nothing new was seen.
    pub(super) fn look(&mut self, now: Duration) {
        self.last_look = now;
    }

    /// A number came, or a report, and `next` was the next number then.
    pub(super) fn note(&mut self, now: Duration, next: u64) {
        let looked = std::mem::replace(&mut self.last_look, now);
        let before_last = self.moments.len().checked_sub(2);
        let before_last = before_last.map(|place| self.moments[place].1);
        match self.moments.back_mut() {
            Some(last) if next <= last.1 => {
                // It stands still: the first and the last moment of that are enough.
                if before_last == Some(last.1) {
                    last.0 = now;
                } else {
                    let same = last.1;
                    self.moments.push_back((now, same));
                }
            }
            Some(&mut (at, old)) => {
                if looked > at && now < at + IDLE_AT_MOST {
                    self.moments.push_back((looked, old));
                }
                self.moments.push_back((now, next));
            }
            None => self.moments.push_back((now, next)),
        }
        if self.moments.len() > MOMENTS_MAX {
            self.moments.pop_front();
        }
    }

    /// About when a number was new: between two moments numbers are taken to
    /// have been evenly spaced.
    #[must_use]
    pub(super) fn time_of(&self, number: u64) -> Duration {
        let place = self.moments.partition_point(|&(_, next)| next <= number);
        let Some(&(after, next)) = self.moments.get(place) else {
            return self.moments.back().map_or(Duration::ZERO, |last| last.0);
        };
        let Some(&(before, first)) = place.checked_sub(1).and_then(|it| self.moments.get(it))
        else {
            return after;
        };
        let share = (number - first + 1) as f64 / (next - first) as f64;
        before + (after - before).mul_f64(share.clamp(0.0, 1.0))
    }

    /// Numbers below `number` will not be asked for any more.
    pub(super) fn forget_below(&mut self, number: u64) {
        while self.moments.get(1).is_some_and(|&(_, next)| next <= number) {
            self.moments.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn numbers_lie_evenly_between_two_looks() {
        let mut timeline = Timeline::default();
        for look in 0..=10 {
            timeline.note(ms(look * 100), look * 1000);
        }
        assert_eq!(timeline.time_of(4999), ms(500));
        assert_eq!(timeline.time_of(5499), ms(550));
        timeline.forget_below(5500);
        assert_eq!(timeline.time_of(5499), ms(550));
    }

    #[test]
    fn after_an_idle_time_numbers_are_new_in_the_last_look() {
        let mut timeline = Timeline::default();
        timeline.note(ms(0), 100);
        for look in 1..100 {
            timeline.note(ms(look * 100), 100);
        }
        timeline.note(ms(10_000), 110);
        assert!(timeline.time_of(100) >= ms(9900));
        assert_eq!(timeline.time_of(109), ms(10_000));
    }

    #[test]
    fn what_was_sent_while_nothing_was_heard_fills_that_time() {
        let mut timeline = Timeline::default();
        timeline.note(ms(1000), 100);
        timeline.note(ms(6000), 1100);
        assert!(timeline.time_of(100) < ms(1010));
        assert_eq!(timeline.time_of(599), ms(3500));
    }
}
