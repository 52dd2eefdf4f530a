//! Set instances and their epochs, as the control plane keeps them.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use dataplane::command::{Epoch, Ordering, SessionId, SetId, SetSpec, TableId};
use dataplane::counters::SetCounters;
use rand::Rng;

use crate::ledger::WINDOW_NUMBERS;
use crate::scenario::Scenario;

/// How long what was replaced is received.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// What a broken control plane or worker would do: each must be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The old epoch is given up when the new one begins.
    ForgetsOldEpoch,
    /// Both epochs share a window.
    OneWindow,
    /// A set that changes gets empty windows.
    FreshWindows,
    /// Displaced sessions are given up at once.
    ForgetsOldSessions,
    /// A copy's number is marked before its checksum is tested.
    MarksBeforeChecking,
}

struct Received {
    epoch: Epoch,
    retires_at: Option<Duration>,
}

pub(crate) struct Instance {
    pub(crate) id: SetId,
    /// Whose process it was made for: the end that is dialled has one for each.
    pub(crate) peer: Option<u32>,
    /// In which it numbers.
    pub(crate) epoch: u32,
    pub(crate) next_number: Arc<AtomicU64>,
    /// Newest first.
    received: Vec<Received>,
    ordering: Option<Ordering>,
    counters: Vec<Arc<SetCounters>>,
    fault: Fault,
}

impl Instance {
    pub(crate) fn new(
        id: SetId,
        peer: Option<u32>,
        scenario: &Scenario,
        workers: usize,
        fault: Fault,
        rng: &mut impl Rng,
    ) -> Self {
        // An appliance starts at zero, and comes to large numbers in time.
        let first = if rng.random() {
            0
        } else {
            rng.random_range(0..1 << 40)
        };
        Self {
            id,
            peer,
            epoch: rng.random(),
            next_number: Arc::new(AtomicU64::new(first)),
            received: Vec::new(),
            ordering: scenario.ordering_ms.map(|ms| Ordering {
                max_delay_us: 1000 * ms,
                adaptive: true,
            }),
            counters: (0..workers).map(|_| Arc::default()).collect(),
            fault,
        }
    }

    /// Receives an epoch of the peer's beside what is received already.
    pub(crate) fn receive(&mut self, epoch: u32) {
        if self.receives(epoch) {
            return;
        }
        let mut received = Epoch::new(epoch, WINDOW_NUMBERS);
        if let (Fault::OneWindow, Some(other)) = (self.fault, self.received.first()) {
            received.window = other.epoch.window.clone();
        }
        self.received.truncate(1);
        self.received.push(Received {
            epoch: received,
            retires_at: None,
        });
    }

    /// A link of an epoch is open: the other epoch is received for the grace time.
    pub(crate) fn prefer(&mut self, now: Duration, epoch: u32) {
        let is_preferred = |it: &Received| it.epoch.epoch == epoch;
        if self.received.first().is_some_and(is_preferred) {
            return;
        }
        self.received.sort_by_key(|it| !is_preferred(it));
        for older in self.received.iter_mut().skip(1) {
            older.retires_at = Some(now + GRACE);
        }
    }

    pub(crate) fn receives(&self, epoch: u32) -> bool {
        self.received.iter().any(|it| it.epoch.epoch == epoch)
    }

    /// Gives up the epochs whose time has come, and says which.
    pub(crate) fn retire(&mut self, now: Duration) -> Vec<u32> {
        let over = |it: &Received| it.retires_at.is_some_and(|at| at <= now);
        let gone = self.received.iter().filter(|it| over(it));
        let gone = gone.map(|it| it.epoch.epoch).collect();
        self.received.retain(|it| !over(it));
        gone
    }

    /// Marks a number, as nobody but a worker may.
    pub(crate) fn mark(&self, epoch: u32, number: u64) {
        let known = self.received.iter().find(|it| it.epoch.epoch == epoch);
        if let Some(known) = known {
            known.epoch.window.observe(number);
        }
    }

    pub(crate) fn spec(&self, members: Vec<SessionId>) -> SetSpec {
        let epoch = |it: &Received| match self.fault {
            Fault::FreshWindows => Epoch::new(it.epoch.epoch, WINDOW_NUMBERS),
            _ => it.epoch.clone(),
        };
        let forgotten =
            |it: &&Received| self.fault == Fault::ForgetsOldEpoch && it.retires_at.is_some();
        let received = self.received.iter().filter(|it| !forgotten(it));
        SetSpec {
            id: self.id,
            send_epoch: self.epoch,
            next_number: Arc::clone(&self.next_number),
            owner: self.id.0 as usize,
            payload_table: TableId(0),
            ordering: self.ordering,
            members,
            epochs: received.map(epoch).collect(),
            mtu: 1500,
            tcp_mss_fix: false,
            next_best_skew_us: Arc::default(),
            counters: self.counters.clone(),
        }
    }
}
