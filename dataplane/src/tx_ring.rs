//! What waits for one TX queue. Bounded: a port that takes nothing costs its
//! own frames and delays no other.

use std::collections::VecDeque;

use dpdk::{Burst, Mbuf, TxQueue};

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
            // Nearly all may wait here: a queue can take most of `next` and then stop.
            backlog: VecDeque::with_capacity(TX_RING_FRAMES),
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

#[cfg(test)]
mod tests {
    use dpdk::{Eal, EalConfig, HugePages, Mempool, Port, PortConfig};

    use super::*;

    #[test]
    fn a_queue_that_takes_part_of_a_burst_makes_the_ring_neither_grow_nor_lose_order() {
        let eal = Eal::init(&EalConfig {
            hugepages: HugePages::No,
            ..EalConfig::default()
        })
        .expect("the EAL starts without hugepages");
        let pool = Mempool::new(&eal, "tx-ring", 4096, 0, 2048).expect("memory");
        let (near, far) = eal.ring_pair("tx-ring", 1, 63).expect("a ring pair");
        let config = PortConfig {
            rx_queues: 1,
            tx_queues: 1,
            rx_descriptors: 64,
            tx_descriptors: 64,
            mempool: pool.clone(),
            mtu: None,
            promiscuous: false,
            rss: false,
        };
        let (_near, _receive, mut send) = Port::open(&eal, near, &config).expect("near");
        let (_far, mut receive, _send) = Port::open(&eal, far, &config).expect("far");
        let counters = PortCounters::default();
        let mut ring = TxRing::new(send.remove(0));
        let capacity = ring.backlog.capacity();
        let mut number = 0_u32;
        let mut fill = |ring: &mut TxRing| loop {
            let mut frame = pool.alloc().expect("a buffer");
            assert!(frame.extend_from_slice(&number.to_be_bytes()));
            if ring.push(frame, &counters).is_err() {
                return number;
            }
            number += 1;
        };
        fill(&mut ring);
        let mut numbers = Vec::new();
        let mut take =
            |most: usize| {
                let mut burst = Burst::new();
                while numbers.len() < most && receive[0].rx_burst(&mut burst) > 0 {
                    numbers.extend(burst.drain(..).map(|frame| {
                        u32::from_be_bytes(*frame.first_chunk().expect("four octets"))
                    }));
                }
                numbers.clone()
            };
        // The wire is empty and has room for 63: the ring gives it a whole
        // burst and all but one of the next.
        take(usize::MAX);
        ring.flush(&counters);
        let offered = fill(&mut ring);
        assert_eq!(ring.room(), 0);
        assert_eq!(
            ring.backlog.capacity(),
            capacity,
            "it was made large enough"
        );
        loop {
            let before = take(usize::MAX).len();
            ring.flush(&counters);
            if take(usize::MAX).len() == before && ring.is_empty() {
                break;
            }
        }
        assert_eq!(take(0), (0..offered).collect::<Vec<_>>());
        assert_eq!(counters.sent_packets.read(), u64::from(offered));
    }
}
