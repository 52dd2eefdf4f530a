//! A token bucket.

use std::time::Duration;

/// Lets `burst` through at once and, in the long run, a fixed number a second.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    interval: Duration,
    /// How far `full_at` may lie ahead while there still is a token.
    tolerance: Duration,
    /// When the bucket will be full again: each token taken puts it off by one interval.
    full_at: Duration,
}

impl Limit {
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second;
        Self {
            interval,
            tolerance: interval * (burst - 1),
            full_at: Duration::ZERO,
        }
    }

    /// Takes a token if there is one.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let full_at = self.full_at.max(now);
        if full_at - now > self.tolerance {
            return false;
        }
        self.full_at = full_at + self.interval;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(limit: &mut Limit, now: Duration, attempts: u32) -> u32 {
        (0..attempts).map(|_| u32::from(limit.take(now))).sum()
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut limit = Limit::new(100, 50);
        let start = Duration::from_secs(7);
        assert_eq!(taken(&mut limit, start, 1000), 50);
        let later = start + Duration::from_millis(100);
        assert_eq!(taken(&mut limit, later, 1000), 10);
        let much_later = start + Duration::from_secs(60);
        assert_eq!(taken(&mut limit, much_later, 1000), 50, "no more than full");
    }

    #[test]
    fn a_steady_stream_gets_the_rate() {
        let mut limit = Limit::new(100, 50);
        let passed: u32 = (0..10_000)
            .map(|ms| taken(&mut limit, Duration::from_millis(ms), 1))
            .sum();
        // Ten seconds at 100, and the burst.
        assert!((1040..=1051).contains(&passed), "{passed}");
    }
}
