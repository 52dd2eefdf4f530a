//! The way out of a worker: TX rings, the ring to the control thread, and the
//! counters of what was refused there.

use std::sync::Arc;

use crossbeam::queue::ArrayQueue;
use dpdk::{BURST, Mbuf};

use crate::Frame;
use crate::counters::{Drop, PortCounters};
use crate::event::Event;
use crate::tables::Tables;
use crate::tx_ring::TxRing;

use super::police::{Class, Policers};
use super::{Channel, Outlet};

enum Out {
    Own {
        ring: Box<TxRing>,
        handed_over: Arc<ArrayQueue<Mbuf>>,
    },
    HandOver(Arc<ArrayQueue<Mbuf>>),
}

/// Where packets come from: a port, or the control thread.
struct Source {
    counters: Arc<PortCounters>,
    policers: Policers,
}

/// Everything by which packets leave a worker.
pub(super) struct Io {
    ports: Vec<Out>,
    /// One for each port, then the control thread.
    sources: Vec<Source>,
    events: Arc<ArrayQueue<Event<Frame>>>,
    pub(super) tsc_hz: u64,
    /// Nanoseconds in a tick of the time stamp counter, times 2^32.
    tick_ns_32: u64,
    /// The time stamp counter at the start of this round.
    pub(super) now: u64,
}

impl Io {
    pub(super) fn new(
        outlets: Vec<(Outlet, Arc<PortCounters>)>,
        channel: &Channel,
        tsc_hz: u64,
    ) -> Self {
        let mut ports = Vec::with_capacity(outlets.len());
        let mut sources = Vec::with_capacity(outlets.len() + 1);
        let source = |counters| Source {
            counters,
            policers: Policers::new(tsc_hz),
        };
        for (outlet, counters) in outlets {
            ports.push(match outlet {
                Outlet::Own { queue, handed_over } => Out::Own {
                    ring: Box::new(TxRing::new(queue)),
                    handed_over,
                },
                Outlet::HandOver(ring) => Out::HandOver(ring),
            });
            sources.push(source(counters));
        }
        sources.push(source(Arc::clone(&channel.injected)));
        Self {
            ports,
            sources,
            events: Arc::clone(&channel.events),
            tsc_hz,
            tick_ns_32: (1_000_000_000 << 32) / tsc_hz.max(1),
            now: 0,
        }
    }

    /// The start of this round on a clock that all workers share, in nanoseconds.
    pub(super) fn now_ns(&self) -> u64 {
        ((u128::from(self.now) * u128::from(self.tick_ns_32)) >> 32) as u64
    }

    /// The control thread as a source.
    pub(super) fn control(&self) -> usize {
        self.ports.len()
    }

    pub(super) fn received(&self, source: usize, octets: usize) {
        self.received_burst(source, 1, octets as u64);
    }

    pub(super) fn received_burst(&self, source: usize, packets: u64, octets: u64) {
        let counters = &self.sources[source].counters;
        counters.received_packets.add(packets);
        counters.received_octets.add(octets);
    }

    #[inline]
    pub(super) fn drop(&self, source: usize, reason: Drop) {
        self.drop_many(source, reason, 1);
    }

    pub(super) fn drop_many(&self, source: usize, reason: Drop, packets: u64) {
        self.sources[source].counters.drops.add(reason, packets);
    }

    /// How many frames the port's ring takes now.
    #[inline]
    pub(super) fn room(&self, port: usize) -> usize {
        match &self.ports[port] {
            Out::Own { ring, .. } => ring.room(),
            Out::HandOver(ring) => ring.capacity() - ring.len().min(ring.capacity()),
        }
    }

    /// Puts a frame into the port's ring. False when it was dropped, which is counted.
    #[inline]
    pub(super) fn push(&mut self, tables: &Tables, port: usize, frame: Mbuf) -> bool {
        let counters = &self.sources[port].counters;
        if !tables.port_up(port) {
            counters.drops.add(Drop::PortDown, 1);
            return false;
        }
        let refused = match &mut self.ports[port] {
            Out::Own { ring, .. } => ring.push(frame, counters),
            Out::HandOver(ring) => ring.push(frame),
        };
        if refused.is_err() {
            counters.drops.add(Drop::TxRingFull, 1);
        }
        refused.is_ok()
    }

    /// Takes what other workers handed over and gives all rings to their queues.
    pub(super) fn send_all(&mut self, tables: &Tables) -> usize {
        let mut work = 0;
        for (port, out) in self.ports.iter_mut().enumerate() {
            let Out::Own { ring, handed_over } = out else {
                continue;
            };
            let counters = &self.sources[port].counters;
            let up = tables.port_up(port);
            // A few bursts at most: the owner has packets of its own to receive.
            for _ in 0..4 * BURST {
                if ring.room() == 0 {
                    break;
                }
                let Some(frame) = handed_over.pop() else {
                    break;
                };
                work += 1;
                if !up {
                    counters.drops.add(Drop::PortDown, 1);
                } else if ring.push(frame, counters).is_err() {
                    counters.drops.add(Drop::TxRingFull, 1);
                }
            }
            if !ring.is_empty() {
                work += ring.flush(counters);
            }
        }
        work
    }

    /// Frees what waits for a port whose link went down: it would be stale
    /// when the link comes back.
    pub(super) fn flush_dead(&mut self, port: usize) {
        let Some(Out::Own { ring, handed_over }) = self.ports.get_mut(port) else {
            return;
        };
        let mut freed = ring.clear();
        while handed_over.pop().is_some() {
            freed += 1;
        }
        self.drop_many(port, Drop::PortDown, freed as u64);
    }

    /// Hands a packet to the control thread, or drops it with a name. `source`
    /// is whose allowance it uses and whose counters say what became of it.
    pub(super) fn punt(&mut self, source: usize, class: Class, event: Event<Frame>) -> bool {
        let reason = match self.offer(source, class, event) {
            Ok(()) => {
                self.sources[source].counters.punted_packets.add(1);
                return true;
            }
            Err(reason) => reason,
        };
        self.drop(source, reason);
        false
    }

    /// The same without counting: for events about packets whose fate is
    /// counted elsewhere.
    pub(super) fn offer(
        &mut self,
        source: usize,
        class: Class,
        event: Event<Frame>,
    ) -> Result<(), Drop> {
        if !self.sources[source].policers.allow(class, self.now) {
            return Err(Drop::PuntPoliced);
        }
        self.tell(event)
    }

    /// An event that is limited by who makes it.
    pub(super) fn tell(&self, event: Event<Frame>) -> Result<(), Drop> {
        self.events.push(event).map_err(|_| Drop::PuntRingFull)
    }
}
