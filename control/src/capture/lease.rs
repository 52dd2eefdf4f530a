//! One capture at a time, and none that nobody reads.

use std::time::Duration;

/// Who reads a capture asks for names every second. Who does not for so long takes
/// nothing any more.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The capture that is on, if one is.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    taken: u64,
    /// Which one, and when its reader was heard last.
    on: Option<(u64, Duration)>,
}

impl Lease {
    /// Begins one. `None` when one is on.
    pub(crate) fn take(&mut self, now: Duration) -> Option<u64> {
        if self.on.is_some() {
            return None;
        }
        self.taken += 1;
        self.on = Some((self.taken, now));
        Some(self.taken)
    }

    /// Its reader is there. False when it is not on.
    pub(crate) fn renew(&mut self, id: u64, now: Duration) -> bool {
        match &mut self.on {
            Some((on, heard)) if *on == id => {
                *heard = now;
                true
            }
            _ => false,
        }
    }

    /// Ends it. False when it was not on.
    pub(crate) fn end(&mut self, id: u64) -> bool {
        self.on.take_if(|(on, _)| *on == id).is_some()
    }

    /// Ends one that nobody reads. False when there is none.
    pub(crate) fn expire(&mut self, now: Duration) -> bool {
        self.on
            .take_if(|(_, heard)| now.saturating_sub(*heard) > PATIENCE)
            .is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_only_its_own_reader_ends_it() {
        let mut lease = Lease::default();
        let first = lease.take(Duration::ZERO).expect("none is on");
        assert_eq!(lease.take(Duration::ZERO), None);
        assert!(!lease.end(first + 1));
        assert!(lease.end(first));
        let second = lease.take(Duration::ZERO).expect("it has ended");
        assert!(!lease.end(first), "which is long over");
        assert!(!lease.renew(first, Duration::ZERO));
        assert!(lease.renew(second, Duration::ZERO));
    }

    #[test]
    fn whoever_asks_nothing_any_more_is_given_up() {
        let mut lease = Lease::default();
        let id = lease.take(Duration::ZERO).expect("none is on");
        assert!(!lease.expire(PATIENCE));
        assert!(lease.renew(id, PATIENCE));
        assert!(!lease.expire(2 * PATIENCE));
        assert!(lease.expire(2 * PATIENCE + Duration::from_secs(1)));
        assert!(!lease.renew(id, 3 * PATIENCE));
    }
}
