//! One link's side of the books: what came in over it, and what its peer says
//! that it handed over.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use dataplane::arrivals::{Arrivals, GROUP_NUMBERS};
use dataplane::counters::SessionCounters;
use dataplane::headers::ha::Report;

use super::excuses::Excuses;
use super::groups::{Groups, apart, common, count, group_of, groups_of, mask, members};
use super::outage::Outages;

/// So many groups behind its newest one are looked at each time; what comes
/// even later is found when the whole ring is looked at.
const LOOK_BACK_GROUPS: u64 = 128;
/// Numbers of a ring that was written on for longer than a turn are sure if
/// they were so many groups old when it was last looked at.
const SURE_AFTER_GROUPS: u64 = 64;
/// Groups that are kept at most: some seconds at millions of packets a second.
const GROUPS_MAX: u64 = 1 << 18;

/// What is known of one link's part in an epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkTotals {
    /// Numbers that came in.
    pub unique_packets: u64,
    /// Copies that came in besides: the network made them.
    pub duplicated_packets: u64,
    /// Numbers that the peer handed over and that did not come in.
    pub lost_packets: u64,
    /// Numbers of which it is not known whether they came in, or whether the
    /// peer handed them over.
    pub unknown_packets: u64,
    /// Numbers that came in over this link and no other, though another was there.
    pub sole_packets: u64,
    /// Settled numbers that came in.
    pub settled_packets: u64,
    /// Settled numbers that came in over others alone because the link was masked.
    pub excused_packets: u64,
    pub longest_outage: Duration,
    pub longest_outage_packets: u64,
}

impl LinkTotals {
    /// Adds what another session of the same link came to.
    pub fn add(&mut self, other: &Self) {
        self.unique_packets += other.unique_packets;
        self.duplicated_packets += other.duplicated_packets;
        self.lost_packets += other.lost_packets;
        self.unknown_packets += other.unknown_packets;
        self.sole_packets += other.sole_packets;
        self.settled_packets += other.settled_packets;
        self.excused_packets += other.excused_packets;
        self.longest_outage = self.longest_outage.max(other.longest_outage);
        self.longest_outage_packets = self
            .longest_outage_packets
            .max(other.longest_outage_packets);
    }
}

/// A report that has not settled yet.
#[derive(Clone, Copy, Debug)]
struct Told {
    at: Duration,
    joined: u64,
    next: u64,
    /// Numbers from `joined` on that the peer did not hand over.
    withheld: u64,
}

/// A time in which nothing of a link's was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    Lasts,
    /// The first report that comes then, or later, ends it.
    EndsFrom(Duration),
}

/// Where a link's numbers begin after a [`Pause`], in one of its memberships.
#[derive(Clone, Copy, Debug)]
struct Resumed {
    /// By the peer's reports the membership began here.
    joined: u64,
    from: u64,
    /// What the peer had withheld of the numbers before.
    withheld: u64,
}

#[derive(Debug)]
pub(super) struct LinkBooks {
    arrivals: Vec<Arc<Arrivals>>,
    counters: Vec<Arc<SessionCounters>>,
    /// Copies that had come when the rings were last looked at, and when last
    /// at all of them, and whether that was so twice: who has nothing new is
    /// left alone. Once is not enough, as a worker may have counted a copy that
    /// it has not noted yet.
    looked_at: [(u64, bool); 2],
    /// By worker, what came in.
    seen: Vec<Groups>,
    /// By worker, how far its ring was when last looked at.
    ends: Vec<u64>,
    /// Groups that were written over before they were looked at.
    unsure: Vec<Range<u64>>,
    /// What is below is forgotten, though a ring may still have it.
    first_group: u64,
    /// The numbers that the link was to be given; the last range is open.
    memberships: Vec<Range<u64>>,
    /// Our own end has given the link up.
    left: bool,
    pause: Option<Pause>,
    resumed: Option<Resumed>,
    told: VecDeque<Told>,
    /// The join and what was withheld, of the last report that settled.
    settled_withheld: (u64, u64),
    withheld_packets: u64,
    /// Numbers below are in the figures.
    pub(super) accounted: u64,
    missing_packets: u64,
    unique_packets: u64,
    overlapping_packets: u64,
    pub(super) unknown_packets: u64,
    pub(super) sole_packets: u64,
    pub(super) settled_packets: u64,
    pub(super) excuses: Excuses,
    pub(super) excused_packets: u64,
    pub(super) outages: Outages,
}

impl LinkBooks {
    pub(super) fn new(arrivals: Vec<Arc<Arrivals>>, counters: Vec<Arc<SessionCounters>>) -> Self {
        Self {
            seen: arrivals.iter().map(|_| Groups::default()).collect(),
            ends: vec![0; arrivals.len()],
            arrivals,
            counters,
            looked_at: [(0, false); 2],
            unsure: Vec::new(),
            first_group: 0,
            memberships: Vec::new(),
            left: false,
            pause: None,
            resumed: None,
            told: VecDeque::new(),
            settled_withheld: (0, 0),
            withheld_packets: 0,
            accounted: 0,
            missing_packets: 0,
            unique_packets: 0,
            overlapping_packets: 0,
            unknown_packets: 0,
            sole_packets: 0,
            settled_packets: 0,
            excuses: Excuses::default(),
            excused_packets: 0,
            outages: Outages::default(),
        }
    }

    #[must_use]
    pub(super) fn totals(&self) -> LinkTotals {
        let sum = |read: fn(&Arrivals) -> u64| self.arrivals.iter().map(|it| read(it)).sum::<u64>();
        // Which numbers came too late for the ring is not known, only how many.
        let untraced = sum(Arrivals::untraced);
        let withheld = self.withheld_packets + untraced;
        LinkTotals {
            unique_packets: self.unique_packets,
            duplicated_packets: self.overlapping_packets + sum(Arrivals::repeated),
            lost_packets: self.missing_packets.saturating_sub(withheld),
            unknown_packets: self.unknown_packets + untraced,
            sole_packets: self.sole_packets,
            settled_packets: self.settled_packets,
            excused_packets: self.excused_packets,
            longest_outage: self.outages.longest,
            longest_outage_packets: self.outages.longest_packets,
        }
    }

    /// The groups that came in, whichever worker had them.
    #[must_use]
    pub(super) fn numbers(&self, group: u64) -> u32 {
        self.seen.iter().fold(0, |all, seen| all | seen.get(group))
    }

    /// The groups that may have numbers.
    #[must_use]
    pub(super) fn stretch(&self) -> Option<Range<u64>> {
        let stretches = self.seen.iter().map(Groups::stretch);
        stretches
            .filter(|stretch| !stretch.is_empty())
            .reduce(|one, other| one.start.min(other.start)..one.end.max(other.end))
    }

    /// The number behind the newest one that came.
    #[must_use]
    pub(super) fn next(&self) -> u64 {
        let Some(stretch) = self.stretch() else {
            return 0;
        };
        let last = stretch.end - 1;
        let bits = u64::from(u32::BITS - self.numbers(last).leading_zeros());
        last * GROUP_NUMBERS + bits
    }

    #[must_use]
    pub(super) fn is_unsure(&self, group: u64) -> bool {
        self.unsure.iter().any(|groups| groups.contains(&group))
    }

    /// The numbers of a group that the link was to be given.
    #[must_use]
    pub(super) fn expected(&self, group: u64) -> u32 {
        members(&self.memberships, group)
    }

    /// The numbers that the link was to be given.
    #[must_use]
    pub(super) fn memberships(&self) -> &[Range<u64>] {
        &self.memberships
    }

    /// How many of these numbers the link was to be given.
    #[must_use]
    pub(super) fn expected_packets(&self, numbers: &Range<u64>) -> u64 {
        let ranges = self.memberships.iter().map(|it| common(it, numbers));
        ranges.map(|it| it.end - it.start).sum()
    }

    /// Where a link may have been a member first, as far as reports say.
    #[must_use]
    pub(super) fn first_joined(&self) -> Option<u64> {
        self.memberships.first().map(|numbers| numbers.start)
    }

    /// Takes what came in since the last time. Returns the groups with new
    /// numbers that are below `settled` or accounted for already.
    pub(super) fn harvest(
        &mut self,
        groups: &Range<u64>,
        settled: u64,
        all: bool,
    ) -> Vec<(u64, u32)> {
        let mut late = Vec::new();
        let counters = self.counters.iter();
        let came = counters.map(|it| it.received_packets.read()).sum();
        let (before, twice) = self.looked_at[usize::from(all)];
        if before == came && twice {
            return late;
        }
        let looked_at = (came, before == came);
        self.looked_at[usize::from(all)] = looked_at;
        let first = groups.start.max(self.first_group);
        for worker in 0..self.arrivals.len() {
            let arrivals = Arc::clone(&self.arrivals[worker]);
            let end = arrivals.end_group();
            let before = std::mem::replace(&mut self.ends[worker], end);
            let oldest = end.saturating_sub(Arrivals::GROUPS);
            let sure = before.saturating_sub(SURE_AFTER_GROUPS);
            if end > before && sure < oldest {
                self.doubt(sure.max(first)..oldest);
            }
            let back = if all {
                Arrivals::GROUPS
            } else {
                LOOK_BACK_GROUPS
            };
            let from = before.saturating_sub(back).max(oldest).max(first);
            for group in from..end {
                match arrivals.numbers(group) {
                    Some(0) => (),
                    Some(numbers) if groups.contains(&group) && self.has_room(worker, group) => {
                        let fresh = self.take(worker, group, numbers);
                        let old = settled.max(self.accounted) > group * GROUP_NUMBERS;
                        if fresh != 0 && old {
                            late.push((group, fresh));
                        }
                    }
                    // Written over just now, or too far ahead to be believed.
                    _ => self.doubt(group..group + 1),
                }
            }
        }
        late
    }

    /// Whether a group can be kept, if need be in place of much older ones.
    fn has_room(&mut self, worker: usize, group: u64) -> bool {
        let stretch = self.seen[worker].stretch();
        if stretch.is_empty() {
            return true;
        }
        let first = group.saturating_sub(GROUPS_MAX);
        if first > stretch.start {
            self.doubt(stretch.start..first);
            self.seen[worker].forget_below(first);
        }
        group + GROUPS_MAX > stretch.end
    }

    fn doubt(&mut self, groups: Range<u64>) {
        match self.unsure.last_mut() {
            Some(last) if last.end == groups.start => last.end = groups.end.max(last.end),
            _ if groups.is_empty() => (),
            _ => self.unsure.push(groups),
        }
    }

    /// Notes the numbers of a worker's group; those that no worker had before.
    fn take(&mut self, worker: usize, group: u64, numbers: u32) -> u32 {
        let new = numbers & !self.seen[worker].get(group);
        if new == 0 {
            return 0;
        }
        let known = self.numbers(group);
        self.overlapping_packets += count(new & known);
        self.unique_packets += count(new & !known);
        self.seen[worker].mark(group, new);
        new & !known
    }

    /// Takes numbers back that had been given up for this link.
    pub(super) fn take_back(&mut self, group: u64, fresh: u32) {
        let given_up = fresh & self.expected(group) & mask(group, &(0..self.accounted));
        let figure = if self.is_unsure(group) {
            &mut self.unknown_packets
        } else {
            &mut self.missing_packets
        };
        *figure = figure.saturating_sub(count(given_up));
    }

    /// A report came.
    pub(super) fn tell(&mut self, at: Duration, report: &Report) {
        // The peer gives it nothing from a drill's farewell to the next join.
        self.excuses.there.end(report.joined_number);
        if report.is_masked {
            self.excuses.there.begin(report.next_number);
        }
        if self.is_paused(at, report) {
            return;
        }
        let (joined, withheld) = self.counted(report);
        let known = self.told.back().map_or(0, |told| told.next);
        let known = known.max(self.accounted);
        match self.memberships.last_mut() {
            Some(last) if joined < last.start => return,
            Some(last) if last.start == joined && self.left => (),
            Some(last) if last.start == joined => last.end = u64::MAX,
            Some(last) => {
                // It had left, and was given nothing until it joined again.
                last.end = last.end.min(known.clamp(last.start, joined));
                self.memberships.push(joined..u64::MAX);
            }
            None => self.memberships.push(joined..u64::MAX),
        }
        if report.is_last {
            self.close(report.next_number);
        }
        self.told.push_back(Told {
            at,
            joined,
            next: report.next_number,
            withheld,
        });
    }

    /// Whether a report tells of numbers that are not this link's. The one that ends a
    /// pause is where they begin again.
    fn is_paused(&mut self, at: Duration, report: &Report) -> bool {
        match self.pause {
            None => return false,
            Some(Pause::EndsFrom(from)) if from <= at && !report.is_last => (),
            Some(_) => return true,
        }
        self.pause = None;
        self.excuses.here.end(report.next_number);
        self.resumed = Some(Resumed {
            joined: report.joined_number,
            from: report.next_number,
            withheld: report.withheld(),
        });
        false
    }

    /// The first of the numbers that a report tells of and that count, and how many of
    /// those that count were withheld.
    fn counted(&self, report: &Report) -> (u64, u64) {
        let (joined, withheld) = (report.joined_number, report.withheld());
        match self.resumed {
            Some(resumed) if joined == resumed.joined => {
                (resumed.from, withheld.saturating_sub(resumed.withheld))
            }
            _ => (joined, withheld),
        }
    }

    /// Nothing more is taken for a while. Copies that are under way come in vain: what
    /// was not settled is not known. What is `settled` of the set stays as it is.
    pub(super) fn pause(&mut self, next: u64, settled: u64) {
        self.told.clear();
        self.give_up_below(next);
        // What is behind the newest that came is no outage.
        self.close(self.next());
        self.excuses.here.begin(settled);
        self.pause = Some(Pause::Lasts);
    }

    /// The pause ends with the first report from then on.
    pub(super) fn resume(&mut self, from: Duration) {
        if self.pause.is_some() {
            self.pause = Some(Pause::EndsFrom(from));
        }
    }

    /// Numbers from here on are not this link's any more.
    pub(super) fn leave(&mut self, next: u64) {
        self.left = true;
        self.close(next);
        self.excuses.here.end(next);
        self.excuses.there.end(next);
    }

    fn close(&mut self, next: u64) {
        if let Some(last) = self.memberships.last_mut() {
            last.end = last.end.min(next).max(last.start);
        }
    }

    /// Settles the reports that came before `until`.
    pub(super) fn settle(&mut self, until: Duration) {
        while self.told.front().is_some_and(|told| told.at <= until) {
            if let Some(told) = self.told.pop_front() {
                self.settle_report(&told);
            }
        }
    }

    fn settle_report(&mut self, told: &Told) {
        let numbers = self.accounted.max(told.joined)..told.next;
        if !numbers.is_empty() {
            self.missing_packets += self.missing(&numbers);
            self.accounted = told.next;
        }
        let (joined, before) = self.settled_withheld;
        let before = if joined == told.joined { before } else { 0 };
        self.withheld_packets += told.withheld.saturating_sub(before);
        self.settled_withheld = (told.joined, told.withheld.max(before));
    }

    /// How many of these numbers did not come in. Those that are not sure
    /// count as unknown instead.
    fn missing(&mut self, numbers: &Range<u64>) -> u64 {
        let missing = self.not_come(numbers);
        let unsure = self.not_come_unsure(numbers);
        self.unknown_packets += unsure;
        missing - unsure
    }

    fn not_come(&self, numbers: &Range<u64>) -> u64 {
        let stretch = self.stretch().unwrap_or(0..0);
        let groups = common(&stretch, &groups_of(numbers));
        let came = groups.map(|group| count(self.numbers(group) & mask(group, numbers)));
        numbers.end - numbers.start - came.sum::<u64>()
    }

    fn not_come_unsure(&self, numbers: &Range<u64>) -> u64 {
        let unsure = apart(self.unsure.iter().cloned());
        let unsure = unsure.map(|groups| groups.start * GROUP_NUMBERS..groups.end * GROUP_NUMBERS);
        unsure
            .map(|unsure| self.not_come(&common(&unsure, numbers)))
            .sum()
    }

    #[must_use]
    pub(super) fn unsure_groups(&self) -> &[Range<u64>] {
        &self.unsure
    }

    /// Gives up what the peer has not vouched for below `number`: whether it
    /// was handed over is not known any more.
    pub(super) fn give_up_below(&mut self, number: u64) {
        let mut unknown = 0;
        for membership in self.memberships.clone() {
            let numbers = common(&membership, &(self.accounted..number));
            unknown += self.missing(&numbers);
        }
        self.unknown_packets += unknown;
        self.accounted = self.accounted.max(number);
    }

    /// Nothing below is of interest any more, but what is not yet accounted for.
    pub(super) fn forget_below(&mut self, group: u64) {
        let group = group.min(group_of(self.accounted));
        self.first_group = self.first_group.max(group);
        self.seen
            .iter_mut()
            .for_each(|seen| seen.forget_below(group));
        self.unsure.retain(|groups| groups.end > group);
        let number = group * GROUP_NUMBERS;
        self.memberships
            .retain(|numbers| numbers.end == u64::MAX || numbers.end > number);
        self.excuses.forget_below(number);
    }
}
