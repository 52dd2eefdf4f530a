//! What the packets of a burst need is in many places when they belong to many
//! sessions or sets. It is brought into the cache in stages, each for the whole
//! burst, so that the waits for memory overlap; each stage finds at hand what the
//! one before it asked for.

use dpdk::Burst;

use crate::command::SetId;
use crate::headers::{decapsulation, decapsulation_ipv6, ipv4, plain, routable};
use crate::tables::{TableSlot, shortcuts};

use super::Worker;

/// So many runs, or more, are of many sessions.
const MANY_RUNS: usize = 4;

/// Tunnel and session id of a frame that may be a copy or a plain data message.
#[inline(always)]
fn ids(frame: &[u8]) -> Option<u32> {
    decapsulation::ids(frame)
        .or_else(|| plain::ids(frame))
        .or_else(|| decapsulation_ipv6::ids(frame))
}

impl Worker {
    /// For the recognition of copies and plain messages: the sessions whose ids the
    /// frames have, unless the first and the last have the same, as nearly always where
    /// there are few. Says whether they differ.
    #[inline(always)]
    pub(super) fn prefetch_sessions(&self, burst: &Burst) -> bool {
        let [first, .., last] = burst.as_slice() else {
            return false;
        };
        let many = ids(first) != ids(last);
        if many {
            self.prefetch_each_session(burst);
        }
        many
    }

    #[inline(never)]
    fn prefetch_each_session(&self, burst: &Burst) {
        for ids in burst.iter().filter_map(|frame| ids(frame)) {
            self.tables.prefetch_wire(ids);
        }
        let mut all_copies = true;
        for frame in burst {
            if let Some(ids) = decapsulation::ids(frame) {
                self.tables.prefetch_inbound(ids);
            } else if let Some(ids) = plain::ids(frame) {
                self.tables.prefetch_slot(ids);
                all_copies = false;
            } else if let Some(ids) = decapsulation_ipv6::ids(frame) {
                self.tables.prefetch_inbound(ids);
            }
        }
        if !all_copies {
            self.prefetch_each_plain(burst);
        }
    }

    /// What plain sessions have elsewhere.
    fn prefetch_each_plain(&self, burst: &Burst) {
        let plain = || burst.iter().filter_map(|frame| plain::ids(frame));
        for ids in plain() {
            self.tables.prefetch_session(ids);
        }
        for session in plain().filter_map(|ids| self.tables.session_by_ids(ids)) {
            dpdk::prefetch_all(&*session.spec);
            dpdk::prefetch_all(&*session.counters);
        }
    }

    /// For routing: the lines of the frames' destinations, unless those of the first
    /// and the last are in the same page, as nearly always where there are few.
    #[inline(always)]
    pub(super) fn prefetch_shortcuts(&self, table: TableSlot, burst: &Burst) {
        let [first, .., last] = burst.as_slice() else {
            return;
        };
        let page = |frame| routable::destination(frame).map(shortcuts::page);
        if page(first) != page(last) {
            self.prefetch_each_shortcut(table, burst);
        }
    }

    #[inline(never)]
    fn prefetch_each_shortcut(&self, table: TableSlot, burst: &Burst) {
        for destination in burst
            .iter()
            .filter_map(|frame| routable::destination(frame))
        {
            self.tables.prefetch_shortcut(table, destination);
        }
    }

    /// For the elimination: what the copies that wait for their verdict are judged
    /// by and counted in, and where the first ones will go.
    #[inline(always)]
    pub(super) fn prefetch_verdicts(&mut self) {
        if self.candidates.runs() >= MANY_RUNS {
            self.prefetch_each_verdict();
        }
    }

    #[inline(never)]
    fn prefetch_each_verdict(&mut self) {
        for index in 0..self.candidates.runs() {
            let origin = self.candidates.run(index).origin;
            self.tables.prefetch_set(origin.set);
            if let Some(session) = self.tables.inbound(origin.session) {
                dpdk::prefetch_all(&*session.counters);
                if let Some(arrivals) = &session.arrivals {
                    dpdk::prefetch(&**arrivals);
                }
            }
        }
        for index in 0..self.candidates.runs() {
            let origin = self.candidates.run(index).origin;
            if let Some(set) = self.tables.set(origin.set) {
                dpdk::prefetch_all(&*set.counters);
                if let Some(epoch) = set.epoch(origin.epoch) {
                    dpdk::prefetch(&*epoch.window);
                }
            }
        }
        let mut start = 0;
        for index in 0..self.candidates.runs() {
            let run = self.candidates.run(index);
            let tables = self.tables.of_copy(run.origin.session, run.origin.set);
            let Some((session, set)) = tables else {
                continue;
            };
            if let Some(epoch) = set.epoch(run.origin.epoch) {
                epoch.window.prefetch(run.group);
            }
            if let Some(arrivals) = &session.arrivals {
                arrivals.prefetch(run.group);
            }
            let table = session.payload_table;
            for packet in self.candidates.packets(start..start + run.packets) {
                let packet = packet.get(run.headers_octets..);
                if let Some((_, destination)) = packet.and_then(ipv4::first_and_destination) {
                    self.tables.prefetch_shortcut(table, destination);
                }
            }
            start += run.packets;
        }
    }

    /// For sending: sets, their members and what they count.
    pub(super) fn prefetch_sets(&self, sets: &[SetId]) {
        for &set in sets {
            self.tables.prefetch_set(set);
        }
        let sets = || sets.iter().filter_map(|&set| self.tables.set(set));
        sets().for_each(|set| set.prefetch_sending());
        sets().for_each(|set| set.prefetch_members());
    }
}
