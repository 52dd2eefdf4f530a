//! What waits for one TX queue. Bounded: a port that takes nothing costs its
//! own frames and delays no other.

use std::collections::VecDeque;

use dpdk::{BURST, Burst, Mbuf, TxQueue};

use crate::counters::PortCounters;

/// Frames that may wait. Some milliseconds of a slow link; more would only
/// make late copies.
pub(crate) const TX_RING_FRAMES: usize = 1024;

/// Frames on their way to a TX queue, in order.
pub(crate) struct TxRing {
    queue: TxQueue,
    /// The next frames to go.
    next: Burst,
    /// Those behind them; in use only when the queue does not keep up.
    backlog: VecDeque<Mbuf>,
}

impl TxRing {
    pub(crate) fn new(queue: TxQueue) -> Self {
        Self {
            queue,
            next: Burst::new(),
            backlog: VecDeque::with_capacity(TX_RING_FRAMES - BURST),
        }
    }

    /// How many frames it takes.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        TX_RING_FRAMES - self.next.len() - self.backlog.len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.next.is_empty()
    }

    /// Adds a frame at the end, or gives it back when the ring is full.
    #[inline]
    pub(crate) fn push(&mut self, frame: Mbuf, counters: &PortCounters) -> Result<(), Mbuf> {
        if self.next.is_full() && self.backlog.is_empty() {
            self.flush(counters);
        }
        if self.backlog.is_empty() && !self.next.is_full() {
            return self.next.push(frame);
        }
        if self.room() == 0 {
            return Err(frame);
        }
        self.backlog.push_back(frame);
        Ok(())
    }

    /// Hands to the queue what it takes; the others keep their places.
    pub(crate) fn flush(&mut self, counters: &PortCounters) -> usize {
        let mut sent = 0;
        loop {
            while !self.next.is_full() {
                let Some(frame) = self.backlog.pop_front() else {
                    break;
                };
                // There is room, as just seen.
                let _ = self.next.push(frame);
            }
            if self.next.is_empty() {
                return sent;
            }
            let before = octets(&self.next);
            let taken = self.queue.tx_burst(&mut self.next);
            sent += taken;
            counters.sent_packets.add(taken as u64);
            counters.sent_octets.add(before - octets(&self.next));
            if !self.next.is_empty() {
                return sent;
            }
        }
    }

    /// Frees all that waits, and says how many that were.
    pub(crate) fn clear(&mut self) -> usize {
        let waiting = self.next.len() + self.backlog.len();
        self.next.clear();
        self.backlog.clear();
        waiting
    }
}

fn octets(burst: &Burst) -> u64 {
    burst.iter().map(|frame| frame.len() as u64).sum()
}
