//! LCP echoes as keepalive, and the round trips they measure.
use std::collections::VecDeque;
use std::time::Duration;

/// Identifiers have eight bits; more echoes than this cannot be told apart.
const MAX_OUTSTANDING: usize = 255;

/// What the echoes of a session have shown since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EchoStatistics {
    /// Echo-Requests sent.
    pub sent: u64,
    /// Echo-Replies that answered one of them.
    pub answered: u64,
    /// Echo-Requests not answered within `lcp_timeout`, or when the link went down.
    pub lost: u64,
    /// Round trip of the last answered echo, in microseconds.
    pub last_us: u64,
    /// Shortest round trip, in microseconds.
    pub min_us: u64,
    /// Longest round trip, in microseconds.
    pub max_us: u64,
    /// Mean round trip, in microseconds.
    pub mean_us: u64,
    /// All round trips together, in microseconds.
    pub total_us: u64,
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// An Echo-Request is to be sent.
    Send,
    /// Nothing was answered for `lcp_timeout`.
    Dead,
}

/// The keepalive of one session; stopped until LCP opens.
pub(super) struct Echo {
    rate: Duration,
    timeout: Duration,
    next_at: Option<Duration>,
    answered_at: Duration,
    /// When the first echo since the last answer was sent.
    unanswered_since: Option<Duration>,
    outstanding: VecDeque<(u8, Duration)>,
    statistics: EchoStatistics,
}

impl Echo {
    /// An Echo-Request every `rate`; 0 sends none.
    pub(super) fn new(rate: Duration, timeout: Duration) -> Self {
        Self {
            rate,
            timeout,
            next_at: None,
            answered_at: Duration::ZERO,
            unanswered_since: None,
            outstanding: VecDeque::new(),
            statistics: EchoStatistics::default(),
        }
    }

    pub(super) fn statistics(&self) -> EchoStatistics {
        self.statistics
    }

    pub(super) fn start(&mut self, now: Duration) {
        self.stop();
        self.answered_at = now;
        self.next_at = Some(now + self.rate).filter(|_| !self.rate.is_zero());
    }

    pub(super) fn stop(&mut self) {
        self.next_at = None;
        self.unanswered_since = None;
        self.statistics.lost += self.outstanding.len() as u64;
        self.outstanding.clear();
    }

    /// When [`Echo::due`] has something to say.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.next_at
            .map(|next| self.dead_at().map_or(next, |dead| next.min(dead)))
    }

    /// Only an echo can show that the peer is gone: with a rate slower than
    /// the timeout, the first one gets as long as the timeout.
    fn dead_at(&self) -> Option<Duration> {
        let asked = self.unanswered_since?;
        Some((self.answered_at + self.timeout).max(asked + self.timeout.min(self.rate)))
    }

    pub(super) fn due(&self, now: Duration) -> Due {
        if self.dead_at().is_some_and(|at| at <= now) {
            Due::Dead
        } else if self.next_at.is_some_and(|at| at <= now) {
            Due::Send
        } else {
            Due::Nothing
        }
    }

    /// An Echo-Request was sent.
    pub(super) fn sent(&mut self, now: Duration, id: u8) {
        self.statistics.sent += 1;
        self.unanswered_since.get_or_insert(now);
        while self.outstanding.front().is_some_and(|(_, at)| {
            *at + self.timeout <= now || self.outstanding.len() >= MAX_OUTSTANDING
        }) {
            self.outstanding.pop_front();
            self.statistics.lost += 1;
        }
        self.outstanding.push_back((id, now));
        // A caller that was late does not catch up with a burst.
        self.next_at = self
            .next_at
            .map(|at| (at + self.rate).max(now + self.rate / 2));
    }

    /// An Echo-Reply came; a second copy, or one that nobody asked for, says nothing.
    pub(super) fn answered(&mut self, now: Duration, id: u8) {
        let Some(at) = self.outstanding.iter().position(|(sent, _)| *sent == id) else {
            return;
        };
        let Some((_, sent_at)) = self.outstanding.remove(at) else {
            return;
        };
        self.alive(now);
        let round_trip = now.saturating_sub(sent_at).as_micros();
        let us = u64::try_from(round_trip).unwrap_or(u64::MAX);
        let statistics = &mut self.statistics;
        statistics.min_us = if statistics.answered == 0 {
            us
        } else {
            statistics.min_us.min(us)
        };
        statistics.max_us = statistics.max_us.max(us);
        statistics.last_us = us;
        statistics.answered += 1;
        statistics.total_us = statistics.total_us.saturating_add(us);
        statistics.mean_us = statistics.total_us / statistics.answered;
    }

    /// The peer has answered in some way.
    pub(super) fn alive(&mut self, now: Duration) {
        self.answered_at = now;
        self.unanswered_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn started(rate_ms: u64, timeout_ms: u64) -> Echo {
        let mut echo = Echo::new(ms(rate_ms), ms(timeout_ms));
        assert_eq!(echo.deadline(), None);
        echo.start(ms(0));
        echo
    }

    /// Sends what is due, unanswered, until the link is declared dead.
    fn dead_at_ms(echo: &mut Echo) -> u128 {
        let mut id = 0;
        loop {
            let at = echo.deadline().unwrap();
            match echo.due(at) {
                Due::Send => echo.sent(at, id),
                Due::Dead => return at.as_millis(),
                Due::Nothing => panic!("woken for nothing at {at:?}"),
            }
            id = id.wrapping_add(1);
        }
    }

    #[test]
    fn a_link_is_dead_after_the_timeout_but_never_unasked() {
        assert_eq!(dead_at_ms(&mut started(1000, 5000)), 5000);
        assert_eq!(dead_at_ms(&mut started(5000, 5000)), 10_000);
        assert_eq!(dead_at_ms(&mut started(10_000, 5000)), 15_000);
        let mut fast = started(10, 60_000);
        assert_eq!(dead_at_ms(&mut fast), 60_000);
        assert!(fast.outstanding.len() <= MAX_OUTSTANDING);
        assert_eq!(started(0, 5000).deadline(), None, "no echoes, no death");
    }

    #[test]
    fn round_trips_are_measured_also_out_of_order() {
        let mut echo = started(1000, 5000);
        for (at, id) in [(1000, 7), (2000, 8), (3000, 9)] {
            assert_eq!(echo.due(ms(at)), Due::Send);
            echo.sent(ms(at), id);
        }
        echo.answered(ms(3050), 9);
        echo.answered(ms(3060), 7);
        echo.answered(ms(3070), 7);
        echo.answered(ms(3080), 99);
        let expected = EchoStatistics {
            sent: 3,
            answered: 2,
            lost: 0,
            last_us: 2_060_000,
            min_us: 50_000,
            max_us: 2_060_000,
            mean_us: 1_055_000,
            total_us: 2_110_000,
        };
        assert_eq!(echo.statistics(), expected);
        echo.sent(ms(7000), 10);
        assert_eq!(echo.statistics().lost, 1, "number 8 has had its time");
        echo.stop();
        assert_eq!((echo.statistics().lost, echo.deadline()), (2, None));
    }

    #[test]
    fn a_late_caller_does_not_catch_up_with_a_burst() {
        let mut echo = started(1000, 5000);
        echo.sent(ms(4300), 1);
        assert_eq!(echo.due(ms(4300)), Due::Nothing);
        assert_eq!(echo.next_at, Some(ms(4800)));
    }
}
