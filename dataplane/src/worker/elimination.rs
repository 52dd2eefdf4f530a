//! The elimination of copies. Candidates collect while a burst is taken apart;
//! then their numbers are looked at together, and the first copies go on.

use dpdk::{Burst, Mbuf};

use crate::command::{SessionId, SetId};
use crate::counters::Drop;
use crate::reassembly::Place;
use crate::skew::{FirstTimes, Skew};
use crate::transform::clamp_mss;
use crate::window::{Group, Verdict, Verdicts};

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

impl Candidate {
    /// Whether both came over one session, in one epoch.
    #[inline]
    fn is_beside(&self, other: &Self) -> bool {
        (self.session == other.session) & (self.epoch == other.epoch)
    }
}

/// The copies at the start of `candidates` that came over one session and whose
/// numbers share a slot of the window.
#[inline]
fn run(candidates: &[Candidate]) -> Option<(&[Candidate], Group)> {
    let first = candidates.first()?;
    let mut group = Group::of(first.number);
    let others = candidates[1..]
        .iter()
        .take_while(|other| other.is_beside(first) && group.add(other.number))
        .count();
    Some((&candidates[..=others], group))
}

/// What a run comes to: added to the counters at once.
struct Tally {
    /// Those that were the first copies, a bit for each place in the run.
    firsts: u32,
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
    #[inline]
    fn new(run: &[Candidate], verdicts: Verdicts) -> Self {
        let (mut firsts, mut octets) = (0, 0);
        let (mut delivered_packets, mut delivered_octets) = (0, 0);
        for (place, copy) in run.iter().enumerate() {
            let copy_octets = copy.packet.len() as u64;
            let first = verdicts.first() >> (copy.number % 32) & 1;
            firsts |= first << place;
            octets += copy_octets;
            let delivered = u64::from(first) & u64::from(copy.place.is_none());
            delivered_packets += delivered;
            delivered_octets += copy_octets * delivered;
        }
        let packets = run.len() as u64;
        let wins = u64::from(firsts.count_ones());
        let too_late = if verdicts.too_late() { packets } else { 0 };
        Self {
            firsts,
            received_packets: packets,
            received_octets: octets,
            wins,
            delivered_packets,
            delivered_octets,
            duplicates: packets - wins - too_late,
            too_late,
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
        let mut firsts = 0;
        let (mut duplicates, mut too_late) = (0, 0);
        let mut start = 0;
        while let Some((run, group)) = run(&candidates[start..]) {
            let tally = self.judge(run, group);
            firsts |= u64::from(tally.firsts) << start;
            duplicates += tally.duplicates;
            too_late += tally.too_late;
            start += run.len();
        }
        self.io.drop_many(port, Drop::Duplicate, duplicates);
        self.io.drop_many(port, Drop::TooLate, too_late);
        let mut eliminated = Burst::new();
        for (place, candidate) in candidates.drain(..).enumerate() {
            if firsts >> place & 1 == 1 {
                self.first_copy(candidate);
            } else {
                // A burst has no more candidates than packets: there is room.
                let _ = eliminated.push(candidate.packet);
            }
        }
        self.candidates = candidates;
    }

    /// Marks the numbers of a run, and counts every copy, whatever its verdict
    /// is: the one place that sees them all.
    fn judge(&mut self, run: &[Candidate], group: Group) -> Tally {
        let first = &run[0];
        let tables = self.tables.of_copy(first.session, first.set);
        let Some((epoch, session, set)) =
            tables.and_then(|(session, set)| Some((set.epoch(first.epoch)?, session, set)))
        else {
            // No command comes between the check of a copy and this.
            return Tally::new(run, Verdicts::TOO_LATE);
        };
        let verdicts = epoch.window.mark(group, self.access);
        let tally = Tally::new(run, verdicts);
        let counters = &session.counters;
        counters.received_packets.add(tally.received_packets);
        counters.received_octets.add(tally.received_octets);
        counters.wins.add(tally.wins);
        counters.duplicates.add(tally.duplicates);
        counters.too_late.add(tally.too_late);
        let counters = &set.counters;
        counters.delivered_packets.add(tally.delivered_packets);
        counters.delivered_octets.add(tally.delivered_octets);
        counters.duplicates.add(tally.duplicates);
        counters.too_late.add(tally.too_late);
        if let Some(arrivals) = &session.arrivals
            && arrivals.epoch() == first.epoch
            && !verdicts.too_late()
        {
            arrivals.note(group);
            if let Some(number) = FirstTimes::sampled(group) {
                let now_ns = self.io.now_ns();
                note_skew(number, verdicts, &epoch.first_times, &arrivals.skew, now_ns);
            }
        }
        tally
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
        let Some(session) = self.tables.inbound(copy.session) else {
            self.io.drop(port, Drop::UnknownSession);
            return;
        };
        let payload_table = session.payload_table;
        let Err(mut packet) = self.try_shortcut(copy.packet, payload_table, port) else {
            return;
        };
        let set = self.tables.live_set(copy.set);
        let clamp = set.and_then(|set| set.spec.tcp_mss_fix.then_some(set.mtu));
        if let Some(mtu) = clamp {
            clamp_mss(&mut packet, mtu);
        }
        self.forward_checked(packet, payload_table, &Origin::tunnel(port));
    }
}

/// Measures how far a sampled number's copy is behind the first one.
fn note_skew(number: u64, verdicts: Verdicts, times: &FirstTimes, skew: &Skew, now_ns: u64) {
    if verdicts.of(number) == Verdict::First {
        times.note(number, now_ns);
        skew.note(0);
    } else if let Some(skew_ns) = times.age_ns(number, now_ns) {
        skew.note(skew_ns);
    } else {
        skew.miss();
    }
}
