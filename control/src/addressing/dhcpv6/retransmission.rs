//! When a message is sent again, and how often (RFC 8415, 15 and 7.6).

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

/// Of one kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// IRT.
    pub(super) initial: Duration,
    /// MRT; `None` is no limit.
    pub(super) longest: Option<Duration>,
    /// MRC; `None` is no limit.
    pub(super) most_sent: Option<u32>,
    /// When there is nothing more to wait for: MRD after the first message.
    pub(super) ends_at: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Retransmission {
    limits: Limits,
    /// RT; zero before the first message.
    timeout: Duration,
    next_at: Duration,
    sent: u32,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Send,
    GiveUp,
}

impl Retransmission {
    pub(super) fn new(first_at: Duration, limits: Limits) -> Self {
        Self {
            limits,
            timeout: Duration::ZERO,
            next_at: first_at,
            sent: 0,
        }
    }

    pub(super) fn next_timeout(&self) -> Duration {
        let ends_at = self.limits.ends_at.unwrap_or(Duration::MAX);
        self.next_at.min(ends_at)
    }

    pub(super) fn sent(&self) -> u32 {
        self.sent
    }

    pub(super) fn set_longest(&mut self, longest: Duration) {
        self.limits.longest = Some(longest);
    }

    pub(super) fn due(&self, now: Duration) -> Due {
        let is_over = self.limits.ends_at.is_some_and(|at| at <= now);
        let is_last = self.limits.most_sent.is_some_and(|most| self.sent >= most);
        match self.next_at <= now {
            _ if is_over => Due::GiveUp,
            true if is_last => Due::GiveUp,
            true => Due::Send,
            false => Due::Nothing,
        }
    }

    /// The message was sent: the next time is another one.
    pub(super) fn note_sent(&mut self, now: Duration, is_solicit: bool, rng: &mut StdRng) {
        let about = |time: Duration, least: f64, rng: &mut StdRng| {
            time.mul_f64(rng.random_range(least..=1.1))
        };
        self.timeout = if self.sent == 0 {
            // RFC 8415, 18.2.1: the first wait for offers is never shorter.
            let least = if is_solicit { 1.0 } else { 0.9 };
            about(self.limits.initial, least, rng)
        } else {
            self.timeout + about(self.timeout, 0.9, rng)
        };
        if let Some(longest) = self.limits.longest
            && self.timeout > longest
        {
            self.timeout = about(longest, 0.9, rng);
        }
        self.sent = self.sent.saturating_add(1);
        self.next_at = now + self.timeout;
    }
}
