//! The rings between workers: what one worker has and another must carry on
//! with, by burst. Bursts travel in vectors that are made at the start and go
//! round, so that only what a burst holds crosses between the cores.

use std::sync::Arc;

use crossbeam::queue::ArrayQueue;
use dpdk::BURST;

use crate::ring;

use super::candidates::Candidate;
use super::fragments::Fragment;

/// Bursts that may wait for one worker.
const BURSTS: usize = 512;

/// What one worker has and another carries on with.
pub(super) enum Handed {
    /// A first copy of a set that the other one owns.
    Copy(Candidate),
    /// A fragment of a datagram that the other one puts together.
    Fragment(Fragment),
}

impl Handed {
    /// The port that it came in by.
    pub(super) fn port(&self) -> usize {
        match self {
            Self::Copy(copy) => copy.port.into(),
            Self::Fragment(fragment) => fragment.origin.source,
        }
    }
}

/// What other workers hand to one worker.
pub struct Inbox {
    full: ArrayQueue<Vec<Handed>>,
    empty: ArrayQueue<Vec<Handed>>,
}

impl Inbox {
    /// One for each worker.
    #[must_use]
    pub fn for_workers(workers: usize) -> Vec<Arc<Self>> {
        (0..workers).map(|_| Arc::new(Self::new())).collect()
    }

    fn new() -> Self {
        let empty = ArrayQueue::new(BURSTS);
        while empty.push(Vec::with_capacity(BURST)).is_ok() {}
        Self {
            full: ArrayQueue::new(BURSTS),
            empty,
        }
    }
}

/// One worker's end of all inboxes.
pub(super) struct Mail {
    own: usize,
    inboxes: Vec<Arc<Inbox>>,
    /// For each worker, what is to be handed to it.
    outgoing: Vec<Vec<Handed>>,
}

impl Mail {
    pub(super) fn new(own: usize, inboxes: Vec<Arc<Inbox>>) -> Self {
        let outgoing = inboxes.iter().map(|_| Vec::with_capacity(BURST)).collect();
        Self {
            own,
            inboxes,
            outgoing,
        }
    }

    /// Whether this worker is the one that `worker`, modulo their number, names.
    #[inline]
    pub(super) fn is_own(&self, worker: usize) -> bool {
        self.inboxes.is_empty() || worker % self.inboxes.len() == self.own
    }

    /// Keeps something for another worker until [`Self::send_all`]. What its
    /// inbox has no room for goes to `refuse`.
    pub(super) fn send(&mut self, worker: usize, handed: Handed, refuse: impl FnMut(Handed)) {
        let worker = worker % self.inboxes.len().max(1);
        self.outgoing[worker].push(handed);
        if self.outgoing[worker].len() == BURST {
            self.flush(worker, refuse);
        }
    }

    /// Hands over all that was kept.
    pub(super) fn send_all(&mut self, mut refuse: impl FnMut(Handed)) {
        for worker in 0..self.outgoing.len() {
            if !self.outgoing[worker].is_empty() {
                self.flush(worker, &mut refuse);
            }
        }
    }

    fn flush(&mut self, worker: usize, refuse: impl FnMut(Handed)) {
        let inbox = &self.inboxes[worker];
        let outgoing = &mut self.outgoing[worker];
        let Some(empty) = inbox.empty.pop() else {
            outgoing.drain(..).for_each(refuse);
            return;
        };
        let burst = std::mem::replace(outgoing, empty);
        // There are no more vectors than places.
        if let Err(mut burst) = inbox.full.push(burst) {
            burst.drain(..).for_each(refuse);
        }
    }

    /// The oldest burst that was handed to this worker; to be given back.
    pub(super) fn receive(&self) -> Option<Vec<Handed>> {
        ring::pop(&self.inboxes.get(self.own)?.full)
    }

    /// Takes the vector of a burst back, whose contents were taken out.
    pub(super) fn give_back(&self, burst: Vec<Handed>) {
        // There are no more vectors than places.
        let _ = self.inboxes[self.own].empty.push(burst);
    }
}
