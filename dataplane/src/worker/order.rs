//! Order, where a set asks for it: its owner lets packets go in the order of
//! their numbers.

use dpdk::BURST;

use crate::command::{Command, Ordering, SetId, SetSpec};
use crate::reassembly::Key;
use crate::reorder::{Cause, Limits, Owner, Patience, Release, Reorder};

use super::Worker;
use super::candidates::Candidate;

/// Silence after which any number is the next one, seconds: above every `max-delay`.
const TAKE_ANY_S: u64 = 2;
/// How much later one worker may hand a number over than another one a higher
/// number of the same link, in parts of a second. Above what a worker sleeps.
const SETTLE_PARTS: u64 = 1000;

/// What is kept for order, once a set asks for it.
pub(super) struct Order {
    limits: Limits,
    reorder: Option<Box<Reorder<Candidate>>>,
}

impl Order {
    pub(super) fn new(packets: usize, tsc_hz: u64) -> Self {
        Self {
            limits: Limits {
                packets,
                take_any_ticks: TAKE_ANY_S * tsc_hz,
                settle_ticks: tsc_hz / SETTLE_PARTS,
            },
            reorder: None,
        }
    }
}

impl Worker {
    /// Lets packets go whose set a command takes away, gives to another owner
    /// or changes in what is received of it; to be called before the change.
    pub(super) fn prepare_order(&mut self, command: &Command) {
        match command {
            Command::SetSet(spec) => match spec.ordering {
                Some(_) if self.mail.is_own(spec.owner) => self.start_order(spec),
                _ => self.end_order(spec.id),
            },
            Command::RemoveSet(id) => self.end_order(*id),
            _ => {}
        }
    }

    fn start_order(&mut self, spec: &SetSpec) {
        let limits = self.order.limits;
        let mut reorder = self
            .order
            .reorder
            .take()
            .unwrap_or_else(|| Box::new(Reorder::new(limits)));
        let epochs: Vec<u32> = spec.epochs.iter().map(|epoch| epoch.epoch).collect();
        reorder.set_epochs(self.io.now, spec.id, &epochs, self);
        self.order.reorder = Some(reorder);
    }

    fn end_order(&mut self, id: SetId) {
        if let Some(mut reorder) = self.order.reorder.take() {
            reorder.remove(self.io.now, id, self);
            self.order.reorder = Some(reorder);
        }
    }

    /// Delivers a whole packet that had `count` numbers when it is its turn.
    pub(super) fn in_order(&mut self, copy: Candidate, count: u64) {
        let Some(mut reorder) = self.order.reorder.take() else {
            self.deliver(copy);
            return;
        };
        let set = copy.set;
        let key = Key {
            set,
            epoch: copy.epoch,
            number: copy.number,
        };
        let held = reorder.push(self.io.now, key, count, copy, self);
        self.order.reorder = Some(reorder);
        if let (1.., Some(set)) = (held, self.tables.set(set)) {
            let counters = &set.counters.ordering;
            counters.held_packets.add(1);
            counters.most_held_packets.raise(held as u64);
        }
    }

    /// Delivers what has waited long enough, and says how much that was.
    pub(super) fn check_order(&mut self) -> usize {
        let now = self.io.now;
        let Some(mut reorder) = self.order.reorder.take_if(|order| order.is_due(now)) else {
            return 0;
        };
        let before = reorder.len();
        reorder.check(now, self);
        let released = before - reorder.len();
        self.order.reorder = Some(reorder);
        released
    }

    fn ordering(&self, set: SetId) -> Option<(&SetSpec, Ordering)> {
        let spec = &self.tables.set(set)?.spec;
        Some((spec, spec.ordering?))
    }

    /// What every link of a set has brought, or something higher.
    fn passed(&self, spec: &SetSpec, epoch: u32) -> u64 {
        let of_link = |id| {
            let session = self.tables.session(id)?;
            let rings = session.spec.arrivals.iter();
            rings
                .filter(|ring| ring.epoch() == epoch)
                .filter_map(|ring| ring.highest())
                .max()
        };
        let links = spec.members.iter().map(|&id| of_link(id).unwrap_or(0));
        links.min().unwrap_or(0)
    }

    fn count_release(&self, copy: &Candidate, how: Release) {
        let Some(set) = self.tables.set(copy.set) else {
            return;
        };
        let counters = &set.counters.ordering;
        if let Some(waited_ticks) = how.waited_ticks {
            counters.released_packets.add(1);
            counters.held_us.add(self.io.us(waited_ticks));
        }
        match how.cause {
            Cause::TimedOut => counters.timed_out_gaps.add(1),
            Cause::Passed => counters.passed_gaps.add(1),
            Cause::NoRoom => counters.no_room_gaps.add(1),
            Cause::Late => counters.late_packets.add(1),
            Cause::InOrder | Cause::Closed => {}
        }
    }
}

impl Owner<Candidate> for Worker {
    fn patience(&self, set: SetId, epoch: u32) -> Patience {
        let Some((spec, ordering)) = self.ordering(set) else {
            // Not reached: what waits leaves before its set changes.
            return Patience {
                hold_ticks: 0,
                passed: 0,
            };
        };
        // Relaxed: a figure that is corrected every second.
        let skew_us = spec
            .next_best_skew_us
            .load(std::sync::atomic::Ordering::Relaxed);
        Patience {
            hold_ticks: self.io.ticks(ordering.hold_us(skew_us)),
            passed: self.passed(spec, epoch),
        }
    }

    fn has_room(&self, set: SetId) -> bool {
        let port = self.tables.set(set).and_then(|set| set.full_way_out);
        port.is_none_or(|port| self.io.room(port.into()) >= BURST)
    }

    fn release(&mut self, copy: Candidate, how: Release) -> bool {
        self.count_release(&copy, how);
        let set = copy.set;
        self.io.way_out = None;
        // One that waited is not the frame that lets it go.
        let looked_at = how.waited_ticks.map(|_| self.io.witness.look_away());
        self.deliver(copy);
        self.io.witness.look_back(looked_at.flatten());
        // Many leave at once when a gap ends: no more than the way out can take.
        let full = self
            .io
            .way_out
            .filter(|&port| self.io.room(port.into()) < BURST);
        if let Some(set) = self.tables.live_set(set) {
            set.full_way_out = full;
        }
        full.is_none()
    }
}
