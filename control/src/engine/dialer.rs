//! When to dial an outgoing tunnel: at once, then with growing pauses, and at
//! once again after it was up.

use std::net::IpAddr;
use std::time::Duration;

use rand::Rng;

use crate::l2tp::{CallCause, CallResult, StopResult, TunnelCause};
use crate::ppp::CloseReason;

const FIRST_PAUSE_MS: u64 = 1_000;
/// A dead line is tried often: another attempt costs a few packets, a late one
/// leaves the set with a link less.
const PAUSE_MAX_MS: u64 = 8_000;
/// A peer that refused us is not asked more often than this.
const REFUSED_PAUSE_MAX_MS: u64 = 60_000;

/// Why an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing answered, or the link went silent.
    Silent,
    /// The peer said no: wrong secret, wrong password, no such tunnel.
    Refused,
    /// The operator here ended it, by hand or by another configuration.
    Kicked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Waiting until the next attempt.
    Waiting { until: Duration },
    /// The server's name is being looked up, for the so manieth time of all.
    Resolving { lookup: u64 },
    /// An attempt is under way, or the tunnel is up.
    Dialled,
}

/// The attempts of one `outgoing`.
#[derive(Debug)]
pub(super) struct Dialer {
    state: State,
    failures: u32,
    /// Of a server that has several addresses, the one that was dialled last.
    tried: Option<IpAddr>,
    /// PPP was open at that one.
    was_up: bool,
    /// What ended the last attempt or the last connection, for the operator.
    pub(super) last_result: Option<String>,
}

impl Dialer {
    #[must_use]
    pub(super) fn new(now: Duration) -> Self {
        Self {
            state: State::Waiting { until: now },
            failures: 0,
            tried: None,
            was_up: false,
            last_result: None,
        }
    }

    /// When to dial next; `None` while dialled.
    #[must_use]
    pub(super) fn next_attempt(&self) -> Option<Duration> {
        match self.state {
            State::Waiting { until } => Some(until),
            State::Resolving { .. } | State::Dialled => None,
        }
    }

    /// Ends a pause, as something has changed that may have been in the way. Says
    /// whether there was one.
    pub(super) fn hurry(&mut self, now: Duration) -> bool {
        let State::Waiting { until } = &mut self.state else {
            return false;
        };
        let waited = *until > now;
        *until = now.min(*until);
        waited
    }

    /// Nothing is due before the server's name is looked up.
    pub(super) fn resolving(&mut self, lookup: u64) {
        self.state = State::Resolving { lookup };
    }

    /// Whether it waits for what becomes of this.
    #[must_use]
    pub(super) fn awaits(&self, lookup: u64) -> bool {
        self.state == State::Resolving { lookup }
    }

    /// The address to dial of those that a server has now: the one that was up
    /// last, else the one behind the one that was tried last.
    pub(super) fn choose(&mut self, addresses: &[IpAddr]) -> Option<IpAddr> {
        let tried = self
            .tried
            .and_then(|tried| addresses.iter().position(|&address| address == tried));
        let place = match tried {
            Some(place) if self.was_up => place,
            Some(place) => (place + 1) % addresses.len(),
            None => 0,
        };
        self.was_up = false;
        let chosen = addresses.get(place).copied();
        self.tried = chosen.or(self.tried);
        chosen
    }

    pub(super) fn dialled(&mut self) {
        self.state = State::Dialled;
    }

    /// PPP opened: the next failure starts counting anew.
    pub(super) fn opened(&mut self) {
        self.failures = 0;
        self.was_up = true;
    }

    /// The attempt or the connection ended; the next one comes after a pause,
    /// at once when the tunnel had been up.
    pub(super) fn ended(
        &mut self,
        now: Duration,
        failure: Failure,
        result: String,
        rng: &mut impl Rng,
    ) {
        let pause_max_ms = match failure {
            Failure::Silent | Failure::Kicked => PAUSE_MAX_MS,
            Failure::Refused => REFUSED_PAUSE_MAX_MS,
        };
        let pause_ms = match self.failures {
            0 if failure != Failure::Refused => 0,
            failures => FIRST_PAUSE_MS
                .saturating_mul(1 << failures.saturating_sub(1).min(16))
                .min(pause_max_ms),
        };
        // A quarter of spread keeps many tunnels from knocking in step.
        let jittered_ms = pause_ms - rng.random_range(0..=pause_ms / 4);
        self.failures = self.failures.saturating_add(1);
        self.last_result = Some(result);
        self.state = State::Waiting {
            until: now + Duration::from_millis(jittered_ms),
        };
    }
}

/// Whether a peer said no, or merely nothing: an establishment that takes too
/// long is a fault of result 1 or 10. A peer that shuts down in order is
/// expected back.
pub(super) fn failure_of_tunnel(cause: &TunnelCause) -> Failure {
    match cause {
        TunnelCause::Peer(close) | TunnelCause::Fault(close) => match close.result {
            StopResult::GENERAL | StopResult::SHUTTING_DOWN => Failure::Silent,
            _ => Failure::Refused,
        },
        _ => Failure::Silent,
    }
}

pub(super) fn failure_of_call(cause: &CallCause) -> Failure {
    match cause {
        CallCause::Peer(close) | CallCause::Fault(close) => match close.result {
            CallResult::CARRIER_LOST | CallResult::TIMEOUT | CallResult::NO_FACILITIES_NOW => {
                Failure::Silent
            }
            _ => Failure::Refused,
        },
        _ => Failure::Silent,
    }
}

pub(super) fn failure_of_ppp(reason: &CloseReason) -> Failure {
    match reason {
        CloseReason::AuthenticationRefused
        | CloseReason::AuthenticationFailed { .. }
        | CloseReason::NoAddress => Failure::Refused,
        _ => Failure::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    fn pauses_ms(failure: Failure, count: usize) -> Vec<u128> {
        let (mut dialer, mut rng) = (Dialer::new(Duration::ZERO), StdRng::seed_from_u64(3));
        (0..count)
            .map(|_| {
                dialer.ended(Duration::ZERO, failure, "no answer".into(), &mut rng);
                dialer.next_attempt().expect("waiting").as_millis()
            })
            .collect()
    }

    #[test]
    fn a_silent_peer_is_redialled_at_once_and_then_at_most_every_eight_seconds() {
        let pauses = pauses_ms(Failure::Silent, 8);
        assert_eq!(pauses[0], 0);
        assert!((750..=1000).contains(&pauses[1]), "{pauses:?}");
        assert!((1500..=2000).contains(&pauses[2]), "{pauses:?}");
        assert!(pauses.iter().all(|&pause| pause <= 8000), "{pauses:?}");
        assert!(pauses[7] >= 6000, "{pauses:?}");
    }

    #[test]
    fn what_the_operator_kicked_is_redialled_at_once() {
        assert_eq!(pauses_ms(Failure::Kicked, 1), [0]);
    }

    #[test]
    fn a_refusal_is_respected() {
        let pauses = pauses_ms(Failure::Refused, 9);
        assert!(pauses[0] >= 750, "{pauses:?}");
        assert!((45_000..=60_000).contains(&pauses[8]), "{pauses:?}");
    }

    #[test]
    fn the_addresses_of_a_server_are_tried_in_turn_and_what_was_up_is_kept_to() {
        let (mut dialer, mut rng) = (Dialer::new(Duration::ZERO), StdRng::seed_from_u64(3));
        let [a, b, c] = [1, 2, 3].map(|host| IpAddr::from([192, 0, 2, host]));
        let mut attempt = |addresses: &[IpAddr], comes_up: bool| {
            let chosen = dialer.choose(addresses);
            if comes_up {
                dialer.opened();
            }
            dialer.ended(Duration::ZERO, Failure::Silent, String::new(), &mut rng);
            chosen
        };
        assert_eq!(attempt(&[], false), None);
        assert_eq!(attempt(&[a, b, c], false), Some(a));
        assert_eq!(attempt(&[a, b, c], false), Some(b));
        assert_eq!(attempt(&[a, b, c], true), Some(c));
        assert_eq!(
            attempt(&[b, c, a], false),
            Some(c),
            "up, so it is dialled again"
        );
        assert_eq!(attempt(&[b, c, a], false), Some(a));
        assert_eq!(attempt(&[b, c, a], false), Some(b), "round again");
        assert_eq!(
            attempt(&[a], false),
            Some(a),
            "the name has other addresses now"
        );
        assert_eq!(attempt(&[a], false), Some(a));
    }

    #[test]
    fn being_up_starts_the_count_anew() {
        let (mut dialer, mut rng) = (Dialer::new(Duration::ZERO), StdRng::seed_from_u64(3));
        for _ in 0..5 {
            dialer.ended(Duration::ZERO, Failure::Silent, String::new(), &mut rng);
        }
        let now = Duration::from_secs(1);
        dialer.opened();
        dialer.ended(now, Failure::Silent, String::new(), &mut rng);
        assert_eq!(dialer.next_attempt(), Some(now));
    }
}
