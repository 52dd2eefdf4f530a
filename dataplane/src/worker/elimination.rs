//! The elimination of copies. Candidates collect while a burst is taken apart;
//! then their numbers are looked at together, and the first copies go on.

use dpdk::{Burst, Mbuf};

use crate::command::SessionId;
use crate::counters::{Drop, SetCounters};
use crate::headers::ipv4::Ipv4;
use crate::headers::ipv6::Ipv6;
use crate::skew::FirstTimes;
use crate::tables::{Inbound, TableSlot};
use crate::transform::clamp_mss;
use crate::window::{Group, Verdict, Verdicts};

use super::candidates::{Candidate, Judged, Run};
use super::forward::Origin;
use super::shortcut::Departure;
use super::{Worker, keep};

impl Worker {
    /// Looks at the numbers of the burst's copies, and lets the first of each go on.
    #[inline(always)]
    pub(super) fn eliminate(&mut self, port: usize) {
        if self.candidates.is_empty() {
            return;
        }
        let (mut firsts, mut too_late) = (0, 0);
        let mut start = 0;
        for index in 0..self.candidates.runs() {
            let run = *self.candidates.run(index);
            let verdicts = self.judge(&run, start);
            if verdicts.too_late() {
                too_late += run.packets as u64;
            }
            firsts |= self.candidates.places(&run, start, verdicts.first());
            start += run.packets;
        }
        self.candidates.judged = Some(Judged { firsts, too_late });
        let eliminated = start as u64 - u64::from(firsts.count_ones());
        if eliminated > 0 {
            self.io
                .drop_many(port, Drop::Duplicate, eliminated - too_late);
            self.io.drop_many(port, Drop::TooLate, too_late);
        }
        if firsts == 0 {
            self.candidates.clear();
        } else {
            simd::run(CarryOn {
                worker: self,
                firsts,
            });
        }
    }

    /// Marks the numbers of a run, and counts every copy, whatever its verdict is.
    #[inline(always)]
    fn judge(&mut self, run: &Run, start: usize) -> Verdicts {
        let origin = &run.origin;
        let of_copy = self
            .tables
            .of_copy(origin.session, origin.set, origin.epoch);
        let Some((session, of_set)) = of_copy else {
            // No command comes between the check of a copy and this.
            return Verdicts::TOO_LATE;
        };
        let verdicts = of_set.window.mark(run.group, self.access);
        let books = Books {
            session,
            set: of_set.counters,
        };
        let packets = run.packets as u64;
        books.received(packets, run.octets);
        if verdicts.too_late() {
            books.too_late(packets);
            return verdicts;
        }
        let wins = u64::from(verdicts.first().count_ones());
        if wins < packets {
            books.duplicates(packets - wins);
        }
        if wins > 0 && origin.place.is_some() {
            books.first_pieces(wins);
        } else if wins > 0 {
            let octets = if wins == packets {
                run.octets
            } else {
                self.candidates.octets_of(run, start, verdicts.first())
            };
            books.firsts(wins, octets);
        }
        if let Some(number) = books.note(origin.epoch, run.group) {
            self.note_skew(origin.session, origin.epoch, number, verdicts);
        }
        verdicts
    }

    /// Measures how far a sampled number's copy is behind the first one.
    pub(super) fn note_skew(
        &self,
        session: SessionId,
        epoch: u32,
        number: u64,
        verdicts: Verdicts,
    ) {
        let Some((times, skew)) = self.tables.skew_of(session, epoch) else {
            return;
        };
        let now_ns = self.io.now_ns();
        if verdicts.of(number) == Verdict::First {
            times.note(number, now_ns);
            skew.note(0);
        } else if let Some(skew_ns) = times.age_ns(number, now_ns) {
            skew.note(skew_ns);
        } else {
            skew.miss();
        }
    }

    /// Lets the packets in these places go on, and frees the others.
    #[inline(always)]
    fn carry_on(&mut self, mut firsts: u64) {
        let runs = self.candidates.runs();
        let mut packets = self.candidates.take_packets();
        let (mut duplicates, mut departure) = (Burst::new(), Departure::new());
        let mut packets = packets.drain(..).enumerate();
        for run in 0..runs {
            let &Run {
                packets: count,
                headers_octets,
                ..
            } = self.candidates.run(run);
            let way = self.direct_way(run);
            for (place, mut packet) in packets.by_ref().take(count) {
                let first = firsts & 1 != 0;
                firsts >>= 1;
                if !first {
                    // There is room for a burst.
                    let _ = duplicates.push(packet);
                    continue;
                }
                if let Some((table, port)) = way
                    && let Some(way) = self.shorten::<Ipv4>(&mut packet, headers_octets, table)
                {
                    self.take_shortcut(packet, way, port, &mut departure);
                    continue;
                }
                self.depart(&mut departure);
                self.take_first(packet, run, place);
            }
        }
        self.depart(&mut departure);
    }

    /// The table in which the packets of a run are routed, and the port that
    /// they came in by, when nothing comes before that.
    #[inline(always)]
    fn direct_way(&mut self, run: usize) -> Option<(TableSlot, usize)> {
        let origin = self.candidates.run(run).origin;
        let session = self.tables.inbound(origin.session)?;
        let direct = origin.place.is_none() && !session.ordered;
        direct.then_some((session.payload_table, origin.port.into()))
    }

    /// The first copy of its number, in this place, which does not go the shortest way.
    #[cold]
    #[inline(never)]
    fn take_first(&mut self, mut packet: Mbuf, run: usize, place: usize) {
        let number = self.candidates.number(place);
        let &Run {
            origin,
            headers_octets,
            ..
        } = self.candidates.run(run);
        let octets = packet.len();
        keep(&mut packet, headers_octets..octets);
        self.first_copy(origin.candidate(packet, number));
    }

    /// The first copy of its number. Nothing from here on may differ between copies.
    pub(super) fn first_copy(&mut self, copy: Candidate) {
        let ordered = self.tables.set(copy.set).is_some_and(|set| set.ordered);
        if ordered || copy.place.is_some() {
            self.hand_to_owner(copy);
        } else {
            self.deliver(copy);
        }
    }

    /// Sends a whole inner packet on its way.
    pub(super) fn deliver(&mut self, copy: Candidate) {
        let port = usize::from(copy.port);
        // While it waited its link may have left.
        let session = self.tables.inbound(copy.session);
        let payload_table = match session.map(|session| session.payload_table) {
            Some(table) => table,
            None => match self.tables.set(copy.set) {
                Some(set) => set.payload_table,
                None => {
                    self.io.drop(port, Drop::UnknownSession);
                    return;
                }
            },
        };
        let packet = copy.packet;
        let left = if packet.first().is_some_and(|octet| octet >> 4 == 6) {
            self.try_shortcut::<Ipv6>(packet, payload_table, port)
        } else {
            self.try_shortcut::<Ipv4>(packet, payload_table, port)
        };
        let Err(mut packet) = left else {
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

/// What is done with the first copies of a burst, for the processor at hand: a function by itself.
struct CarryOn<'a> {
    worker: &'a mut Worker,
    firsts: u64,
}

impl simd::Work for CarryOn<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.worker.carry_on(self.firsts);
    }
}

/// What copies of one session are counted in: every copy that is judged is
/// [received](Self::received), then of one verdict, and [noted](Self::note) unless it is too late.
#[derive(Clone, Copy)]
pub(super) struct Books<'a> {
    pub(super) session: &'a Inbound,
    pub(super) set: &'a SetCounters,
}

impl Books<'_> {
    /// `octets` are those of the inner packets.
    #[inline(always)]
    pub(super) fn received(self, copies: u64, octets: u64) {
        self.session.counters.received_packets.add(copies);
        self.session.counters.received_octets.add(octets);
    }

    #[inline(always)]
    pub(super) fn too_late(self, copies: u64) {
        self.session.counters.too_late.add(copies);
        self.set.too_late.add(copies);
    }

    #[inline(always)]
    pub(super) fn duplicates(self, copies: u64) {
        self.session.counters.duplicates.add(copies);
        self.set.duplicates.add(copies);
    }

    /// First copies of whole packets, which have so many octets.
    #[inline(always)]
    pub(super) fn firsts(self, copies: u64, octets: u64) {
        self.session.counters.wins.add(copies);
        self.set.delivered_packets.add(copies);
        self.set.delivered_octets.add(octets);
    }

    /// First copies of pieces, which are delivered later, as the packet that they make.
    #[inline(always)]
    fn first_pieces(self, copies: u64) {
        self.session.counters.wins.add(copies);
    }

    /// Notes that numbers of an epoch came. Says which one's skew is to be noted, if one of them is sampled.
    #[inline(always)]
    pub(super) fn note(self, epoch: u32, numbers: Group) -> Option<u64> {
        let arrivals = self.session.arrivals.as_ref()?;
        if arrivals.epoch() != epoch {
            return None;
        }
        arrivals.note(numbers);
        FirstTimes::sampled(numbers)
    }
}
