//! When the next reading is due.

use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_secs(1);

/// Once a second, and never when the uptime turns from one second to the next: it is told in whole ones, and of two readings that come a
/// little early and a little late one would see none pass, and the other two.
#[derive(Debug)]
pub(super) struct Pace {
    next: Instant,
    /// When the last answer came, and the uptime in it.
    last: Option<(Instant, u64)>,
}

impl Pace {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            next: now,
            last: None,
        }
    }

    /// How long there is nothing to do; none when a reading is due, which counts as begun.
    pub(super) fn pause(&mut self, now: Instant) -> Option<Duration> {
        if now < self.next {
            return Some(self.next - now);
        }
        // A machine that stood still does not catch up: the seconds in between are unknown.
        self.next = (self.next + PERIOD).max(now);
        None
    }

    /// An answer came.
    pub(super) fn answered(&mut self, now: Instant, uptime_s: u64) {
        if let Some((before, before_s)) = self.last.replace((now, uptime_s)) {
            let about_one = PERIOD / 2..PERIOD * 3 / 2;
            if about_one.contains(&(now - before)) && uptime_s != before_s + 1 {
                self.next += PERIOD / 2;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each reading sees pass, when the uptime began so many milliseconds after the pace, and each answer is so late.
    fn passed(begun_ms: u64, late_ms: impl Fn(u64) -> u64) -> Vec<u64> {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let (mut pace, mut now_ms) = (Pace::new(start), begun_ms);
        let mut uptimes = Vec::new();
        for number in 0..40 {
            while let Some(pause) = pace.pause(at(now_ms)) {
                now_ms += u64::try_from(pause.as_millis()).unwrap().max(1);
            }
            now_ms += late_ms(number);
            let uptime_s = (now_ms - begun_ms) / 1000;
            pace.answered(at(now_ms), uptime_s);
            uptimes.push(uptime_s);
        }
        uptimes.windows(2).map(|two| two[1] - two[0]).collect()
    }

    #[test]
    fn readings_do_not_fall_on_the_turn_of_a_second() {
        for begun_ms in (0..1000).step_by(10) {
            for (early, late) in [(0, 20), (20, 0), (5, 15)] {
                let passed = passed(
                    begun_ms,
                    |number| if number % 2 == 0 { early } else { late },
                );
                let odd = passed.iter().filter(|&&passed| passed != 1).count();
                // The first, by which it is seen, and the one that comes half a second later.
                assert!(odd <= 2, "{begun_ms} ms, {early} and {late}: {passed:?}");
            }
        }
    }

    #[test]
    fn a_machine_that_stood_still_does_not_catch_up() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert_eq!(pace.pause(start), None);
        pace.answered(start, 0);
        let later = start + Duration::from_secs(10);
        assert_eq!(pace.pause(later), None);
        pace.answered(later, 10);
        assert_eq!(pace.pause(later), None);
        assert_eq!(pace.pause(later), Some(PERIOD));
    }
}
