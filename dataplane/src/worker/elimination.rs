//! The elimination of copies. Candidates collect while a burst is taken apart;
//! then their numbers are looked at together, and the first copies go on.

use dpdk::{BURST, Mbuf};

use crate::command::{SessionId, SetId};
use crate::counters::Drop;
use crate::reassembly::Place;
use crate::skew::{FirstTimes, Skew};
use crate::transform::clamp_mss;
use crate::window::Verdict;

use super::Worker;
use super::forward::Origin;

/// A copy with everything right, whose number is not yet looked at.
pub(super) struct Candidate {
    /// The inner packet, its header right and nothing behind its end; or a
    /// piece of it.
    pub(super) packet: Mbuf,
    /// Of a piece, where it belongs; `None` for a whole packet.
    pub(super) place: Option<Place>,
    /// The port that it came in by.
    pub(super) port: u16,
    /// The session that it came over.
    pub(super) session: SessionId,
    pub(super) set: SetId,
    /// One of the two that are received.
    pub(super) epoch: u32,
    pub(super) number: u64,
}

/// What a run of copies of one session comes to: added to its counters at once.
#[derive(Default)]
struct Tally {
    received_packets: u64,
    received_octets: u64,
    wins: u64,
    /// Pieces are delivered later, as the packet that they make.
    delivered_packets: u64,
    delivered_octets: u64,
    duplicates: u64,
    too_late: u64,
}

impl Tally {
    fn add(&mut self, copy: &Candidate, verdict: Verdict) {
        let octets = copy.packet.len() as u64;
        self.received_packets += 1;
        self.received_octets += octets;
        match verdict {
            Verdict::First => {
                self.wins += 1;
                if copy.place.is_none() {
                    self.delivered_packets += 1;
                    self.delivered_octets += octets;
                }
            }
            Verdict::Duplicate => self.duplicates += 1,
            Verdict::TooLate => self.too_late += 1,
        }
    }
}

impl Worker {
    /// Looks at the numbers of the burst's copies, and lets the first of each go on.
    pub(super) fn eliminate(&mut self, port: usize) {
        if self.candidates.is_empty() {
            return;
        }
        let mut candidates = std::mem::take(&mut self.candidates);
        let mut verdicts = [Verdict::TooLate; BURST];
        let mut start = 0;
        while let Some(first) = candidates.get(start) {
            let same = |other: &&Candidate| (other.set, other.epoch) == (first.set, first.epoch);
            let run = candidates[start..].iter().take_while(same).count();
            let end = (start + run).min(BURST);
            self.judge(&candidates[start..end], &mut verdicts[start..end]);
            start = end;
        }
        self.count(&candidates, &verdicts, port);
        for (candidate, verdict) in candidates.drain(..).zip(verdicts) {
            if verdict == Verdict::First {
                self.first_copy(candidate);
            }
        }
        self.candidates = candidates;
    }

    /// Marks the numbers of copies of one set and epoch.
    fn judge(&self, copies: &[Candidate], verdicts: &mut [Verdict]) {
        let Some(first) = copies.first() else {
            return;
        };
        let epoch = self
            .tables
            .set(first.set)
            .and_then(|set| set.epoch(first.epoch));
        let mut numbers = [0; BURST];
        for (number, copy) in numbers.iter_mut().zip(copies) {
            *number = copy.number;
        }
        if let Some(epoch) = epoch {
            let window = &epoch.window;
            window.observe_burst(&numbers[..copies.len()], verdicts);
        }
    }

    /// Counts every copy, whatever its verdict is: the one place that sees them all.
    fn count(&mut self, copies: &[Candidate], verdicts: &[Verdict], port: usize) {
        let (mut duplicates, mut too_late) = (0, 0);
        let mut start = 0;
        while let Some(first) = copies.get(start) {
            let mut tally = Tally::default();
            let rest = copies[start..].iter().zip(&verdicts[start..]);
            for (copy, &verdict) in rest.take_while(|(copy, _)| copy.session == first.session) {
                tally.add(copy, verdict);
            }
            let end = start + tally.received_packets as usize;
            duplicates += tally.duplicates;
            too_late += tally.too_late;
            self.add(&tally, first);
            self.note(&copies[start..end], &verdicts[start..end]);
            start = end;
        }
        self.io.drop_many(port, Drop::Duplicate, duplicates);
        self.io.drop_many(port, Drop::TooLate, too_late);
    }

    fn add(&mut self, tally: &Tally, copy: &Candidate) {
        if let Some(session) = self.tables.inbound(copy.session) {
            let counters = &session.counters;
            counters.received_packets.add(tally.received_packets);
            counters.received_octets.add(tally.received_octets);
            counters.wins.add(tally.wins);
            counters.duplicates.add(tally.duplicates);
            counters.too_late.add(tally.too_late);
        }
        if let Some(set) = self.tables.set(copy.set) {
            let counters = &set.counters;
            counters.delivered_packets.add(tally.delivered_packets);
            counters.delivered_octets.add(tally.delivered_octets);
            counters.duplicates.add(tally.duplicates);
            counters.too_late.add(tally.too_late);
        }
    }

    /// Notes for the control thread's books which numbers came over a link,
    /// and how far behind their first copies.
    fn note(&self, copies: &[Candidate], verdicts: &[Verdict]) {
        let session = copies
            .first()
            .and_then(|copy| self.tables.known_inbound(copy.session));
        let Some(arrivals) = session.and_then(|session| session.arrivals.as_deref()) else {
            return;
        };
        for (copy, &verdict) in copies.iter().zip(verdicts) {
            // What is too late is as good as lost.
            if verdict == Verdict::TooLate || copy.epoch != arrivals.epoch() {
                continue;
            }
            arrivals.note(copy.number);
            if FirstTimes::is_sampled(copy.number) {
                self.note_skew(copy, verdict, &arrivals.skew);
            }
        }
    }

    fn note_skew(&self, copy: &Candidate, verdict: Verdict, skew: &Skew) {
        let set = self.tables.set(copy.set);
        let Some(epoch) = set.and_then(|set| set.epoch(copy.epoch)) else {
            return;
        };
        let now_ns = self.io.now_ns();
        if verdict == Verdict::First {
            epoch.first_times.note(copy.number, now_ns);
            skew.note(0);
        } else if let Some(skew_ns) = epoch.first_times.age_ns(copy.number, now_ns) {
            skew.note(skew_ns);
        } else {
            skew.miss();
        }
    }

    /// The first copy of its number. Nothing from here on may differ between copies.
    fn first_copy(&mut self, copy: Candidate) {
        match copy.place {
            None => self.deliver(copy),
            Some(_) => self.hand_to_owner(copy),
        }
    }

    /// Sends a whole inner packet on its way.
    pub(super) fn deliver(&mut self, copy: Candidate) {
        let port = usize::from(copy.port);
        // On its way to the owner a command may have come before it.
        let clamp = match self.tables.live_set(copy.set) {
            Some(set) => set.spec.tcp_mss_fix.then_some(set.mtu),
            None => None,
        };
        let Some(session) = self.tables.session(copy.session) else {
            self.io.drop(port, Drop::UnknownSession);
            return;
        };
        let mut packet = copy.packet;
        let payload_table = session.payload_table;
        if let Some(mtu) = clamp {
            clamp_mss(&mut packet, mtu);
        }
        self.forward_checked(packet, payload_table, &Origin::tunnel(port));
    }
}
