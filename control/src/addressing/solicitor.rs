//! When routers are asked for (RFC 4861, 6.3.7; RFC 7559).

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

/// RFC 4861, 10: MAX_RTR_SOLICITATION_DELAY.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// RFC 4861, 10: RTR_SOLICITATION_INTERVAL; RFC 7559, 2: IRT.
const INTERVAL: Duration = Duration::from_secs(4);
/// RFC 4861, 10: MAX_RTR_SOLICITATIONS. After so many the interval grows.
const AT_ONE_INTERVAL: u32 = 3;
/// RFC 7559, 2: MRT.
const LONGEST_INTERVAL: Duration = Duration::from_secs(3600);

#[derive(Debug, Default)]
pub(super) struct Solicitor {
    next_at: Option<Duration>,
    sent: u32,
    interval: Duration,
}

impl Solicitor {
    /// Asks from now on: at once, or with the delay that keeps the hosts of a
    /// link apart when it comes up for all of them.
    pub(super) fn start(&mut self, now: Duration, at_once: bool, rng: &mut StdRng) {
        let delay = if at_once {
            Duration::ZERO
        } else {
            rng.random_range(Duration::ZERO..=FIRST_DELAY)
        };
        *self = Self {
            next_at: Some(now + delay),
            sent: 0,
            interval: INTERVAL,
        };
    }

    pub(super) fn stop(&mut self) {
        self.next_at = None;
    }

    pub(super) fn is_running(&self) -> bool {
        self.next_at.is_some()
    }

    pub(super) fn next_timeout(&self) -> Option<Duration> {
        self.next_at
    }

    /// Whether to ask now.
    pub(super) fn handle_timeout(&mut self, now: Duration, rng: &mut StdRng) -> bool {
        if self.next_at.is_none_or(|at| now < at) {
            return false;
        }
        self.sent = self.sent.saturating_add(1);
        if self.sent >= AT_ONE_INTERVAL {
            self.interval = (self.interval * 2).min(LONGEST_INTERVAL);
        }
        let wait = if self.sent < AT_ONE_INTERVAL {
            INTERVAL
        } else {
            // RFC 8415, 15, to which RFC 7559 refers: a tenth more or less.
            self.interval.mul_f64(rng.random_range(0.9..=1.1))
        };
        self.next_at = Some(now + wait);
        true
    }
}
