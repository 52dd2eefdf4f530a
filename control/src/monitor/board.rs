//! Where the newest reading hangs.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use history::Sample;

use super::drops::{Dropped, Drops};
use super::minutes::Minutes;
use super::reading::{Reading, readings};
use crate::management::status::Status;

/// The appliance at one moment, and what it did since the one before.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    /// Counted from 1 since the appliance started.
    pub number: u64,
    /// Since 1970, by the system's clock.
    pub at: Duration,
    pub status: Arc<Status>,
    /// One for each link and set, in the status' order, links first; none in the first moment.
    pub readings: Vec<Reading>,
    /// The last minute of each reading's graph, in the same order; filled in when the moment is pinned.
    pub minutes: Vec<Sample>,
    /// Everything that was dropped; filled in likewise.
    pub drops: Vec<Dropped>,
}

impl Moment {
    /// What follows on `before`.
    #[must_use]
    pub fn new(at: Duration, status: impl Into<Arc<Status>>, before: Option<&Self>) -> Self {
        let status = status.into();
        Self {
            number: before.map_or(0, |before| before.number) + 1,
            at,
            readings: before.map_or_else(Vec::new, |before| readings(&before.status, &status)),
            status,
            ..Self::default()
        }
    }
}

/// Holds the newest [`Moment`] for everybody.
#[derive(Debug, Default)]
pub struct Board {
    latest: Mutex<Option<Arc<Moment>>>,
    pinned: Condvar,
    past: Mutex<Past>,
}

/// What the next moment is compared with.
#[derive(Debug, Default)]
struct Past {
    minutes: Minutes,
    drops: Drops,
}

impl Board {
    /// The newest moment; none before the first reading.
    #[must_use]
    pub fn latest(&self) -> Option<Arc<Moment>> {
        self.held().clone()
    }

    /// The newest moment when it is later than number `seen`, or when that comes within `patience`.
    #[must_use]
    pub fn after(&self, seen: u64, patience: Duration) -> Option<Arc<Moment>> {
        let newer = |moment: &Option<Arc<Moment>>| {
            let newer = moment.as_ref().is_some_and(|moment| moment.number > seen);
            !newer
        };
        let waited = self
            .pinned
            .wait_timeout_while(self.held(), patience, |latest| newer(latest));
        let (latest, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        latest.clone().filter(|_| !timeout.timed_out())
    }

    /// Shows a moment to everybody from now on.
    pub fn pin(&self, mut moment: Moment) -> Arc<Moment> {
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        moment.minutes = past.minutes.add(&moment.readings);
        moment.drops = past.drops.add(&moment.status);
        drop(past);
        let moment = Arc::new(moment);
        *self.held() = Some(Arc::clone(&moment));
        self.pinned.notify_all();
        moment
    }

    /// Nothing is half done when a holder panics: what hangs there is whole.
    fn held(&self) -> MutexGuard<'_, Option<Arc<Moment>>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_sees_the_next_moment() {
        let board = Arc::new(Board::default());
        assert!(board.latest().is_none());
        assert!(board.after(0, Duration::ZERO).is_none());
        let waiting = {
            let board = Arc::clone(&board);
            std::thread::spawn(move || board.after(1, Duration::from_secs(60)))
        };
        let first = board.pin(Moment::new(Duration::from_secs(5), Status::default(), None));
        assert_eq!(first.number, 1);
        assert!(first.readings.is_empty());
        let second = Moment::new(Duration::from_secs(6), Status::default(), Some(&first));
        board.pin(second);
        assert_eq!(waiting.join().unwrap().unwrap().number, 2);
        assert_eq!(board.after(1, Duration::ZERO).unwrap().number, 2);
        assert!(board.after(2, Duration::from_millis(1)).is_none());
    }
}
