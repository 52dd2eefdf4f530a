//! The books of one epoch of a peer's numbering: what each link delivered of
//! it, what it lost, and what that came to for the set.
//!
//! Nothing is called lost when it is missed: a copy may still be on its way,
//! on this link or another. What a report vouches for is settled
//! `SETTLE` later, and what comes after that takes its count back. Nothing
//! that the peer has not reported is ever counted as lost.

mod excuses;
mod groups;
mod link;
mod outage;
mod timeline;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use dataplane::arrivals::{Arrivals, GROUP_NUMBERS};
use dataplane::command::SessionId;
use dataplane::counters::SessionCounters;
use dataplane::headers::ha::Report;

pub use link::LinkTotals;

use excuses::Excuses;
use groups::{apart, common, count, group_of, groups_of, hull_of_changes, mask, members};
use link::LinkBooks;
use timeline::Timeline;

/// From a report to the figures: above the worst difference in delay.
const SETTLE: Duration = Duration::from_secs(2);
/// A copy that comes so long after its number was settled still takes its count back.
const RECALL: Duration = Duration::from_secs(10);
/// Between two looks at the workers' rings. A ring of 65 536 numbers is seen
/// whole up to 600 000 numbers a second.
pub const LOOK_PERIOD: Duration = Duration::from_millis(100);
/// Between two looks at all of a ring, for what comes very late.
const WHOLE_LOOK_PERIOD: Duration = Duration::from_secs(1);
/// Numbers that are kept, and that may be ahead of the last report.
const NUMBERS_MAX: u64 = 1 << 22;
/// A report that is so many numbers ahead of all that is known is not believed.
const REPORT_AHEAD_MAX: u64 = 1 << 32;

/// What is known of an epoch as a whole, of settled numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetTotals {
    /// Numbers that came in over some link.
    pub delivered_packets: u64,
    /// Numbers that came in over none.
    pub lost_packets: u64,
    /// Numbers that may have come in over a link that was too fast for its books.
    pub unknown_packets: u64,
}

impl SetTotals {
    /// Adds what another epoch came to.
    pub fn add(&mut self, other: &Self) {
        self.delivered_packets += other.delivered_packets;
        self.lost_packets += other.lost_packets;
        self.unknown_packets += other.unknown_packets;
    }
}

/// The books of one epoch.
#[derive(Debug, Default)]
pub struct Books {
    links: BTreeMap<SessionId, LinkBooks>,
    timeline: Timeline,
    /// The next number, as far as was seen or told.
    next: u64,
    /// The next number by the last report.
    told: Option<u64>,
    /// Reports' next numbers that are not settled yet, with when they came.
    unsettled: VecDeque<(Duration, u64)>,
    /// The numbers that are settled: from the first one that counts.
    settled: Option<Range<u64>>,
    /// When which numbers were settled, as long as they can be taken back.
    settlements: VecDeque<(Duration, u64)>,
    totals: SetTotals,
    next_whole_look: Duration,
}

impl Books {
    /// A link is a member from now on; its first report says from which number on.
    pub fn add(
        &mut self,
        id: SessionId,
        arrivals: Vec<Arc<Arrivals>>,
        counters: Vec<Arc<SessionCounters>>,
    ) {
        self.links
            .entry(id)
            .or_insert_with(|| LinkBooks::new(arrivals, counters));
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// The peer's report on a link came.
    pub fn tell(&mut self, now: Duration, id: SessionId, report: &Report) {
        let next = report.next_number;
        let known = match self.told {
            Some(_) => self.next,
            None => next,
        };
        if report.joined_number > next || next > known.saturating_add(REPORT_AHEAD_MAX) {
            return;
        }
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let before = link.memberships().to_vec();
        let excused = link.excuses.clone();
        link.tell(now, report);
        self.recount_sole(id, &before);
        self.recount_excused(id, &excused);
        self.told = self.told.max(Some(next));
        self.next = self.next.max(next);
        self.timeline.note(now, self.next);
        if self.unsettled.back().is_none_or(|&(_, last)| last < next) {
            self.unsettled.push_back((now, next));
        }
    }

    /// A link stops sending at our end: it is not missed from here on.
    pub fn leave(&mut self, now: Duration, id: SessionId) {
        self.look(now, false);
        let next = self.next;
        if let Some(link) = self.links.get_mut(&id) {
            let before = link.memberships().to_vec();
            link.leave(next);
            self.recount_sole(id, &before);
        }
    }

    /// A link is masked: what it brings is not taken, so it is not missed from here
    /// on. What it was given last is not known.
    pub fn pause(&mut self, now: Duration, id: SessionId) {
        self.look(now, false);
        let next = self.next;
        let settled = self.settled.as_ref().map_or(0, |settled| settled.end);
        if let Some(link) = self.links.get_mut(&id) {
            let before = link.memberships().to_vec();
            link.pause(next, settled);
            self.recount_sole(id, &before);
        }
    }

    /// What a link brings is taken again: its numbers count from the first report
    /// on that comes at `from` or later.
    pub fn resume(&mut self, from: Duration, id: SessionId) {
        if let Some(link) = self.links.get_mut(&id) {
            link.resume(from);
        }
    }

    /// A link is gone; its last figures. What it was given after the peer's
    /// last report is not known.
    pub fn remove(&mut self, now: Duration, id: SessionId) -> Option<LinkTotals> {
        self.look(now, true);
        let mut link = self.links.remove(&id)?;
        link.settle(Duration::MAX);
        link.leave(self.next);
        link.give_up_below(self.next);
        Some(link.totals())
    }

    /// Looks at the workers' rings and settles what is due. To be called every
    /// [`LOOK_PERIOD`] while links are there.
    pub fn tick(&mut self, now: Duration) {
        let whole = now >= self.next_whole_look;
        if whole {
            self.next_whole_look = now + WHOLE_LOOK_PERIOD;
        }
        self.look(now, whole);
        let until = now.checked_sub(SETTLE);
        let Some(until) = until else { return };
        for link in self.links.values_mut() {
            link.settle(until);
        }
        while self.unsettled.front().is_some_and(|&(at, _)| at <= until) {
            if let Some((_, next)) = self.unsettled.pop_front() {
                self.settle(now, next);
            }
        }
        self.forget(now);
    }

    #[must_use]
    pub fn totals(&self) -> SetTotals {
        self.totals
    }

    #[must_use]
    pub fn link_totals(&self, id: SessionId) -> Option<LinkTotals> {
        self.links.get(&id).map(LinkBooks::totals)
    }

    fn look(&mut self, now: Duration, whole: bool) {
        // Before the first report there is nothing to tell a number from a lie.
        let Some(told) = self.told else { return };
        let settled = self.settled.clone().unwrap_or(0..0);
        let first = settled.end.saturating_sub(NUMBERS_MAX);
        let believed = group_of(first)..group_of(told.saturating_add(NUMBERS_MAX));
        let before = self.next;
        let ids: Vec<SessionId> = self.links.keys().copied().collect();
        for id in ids {
            let Some(link) = self.links.get_mut(&id) else {
                continue;
            };
            let late = link.harvest(&believed, settled.end, whole);
            self.next = self.next.max(link.next());
            for (group, fresh) in late {
                self.take_back(id, group, fresh, &settled);
            }
        }
        if self.next > before {
            self.timeline.note(now, self.next);
        } else {
            self.timeline.look(now);
        }
    }

    /// Numbers came in over a link after they were given up.
    fn take_back(&mut self, id: SessionId, group: u64, fresh: u32, settled: &Range<u64>) {
        if let Some(link) = self.links.get_mut(&id) {
            link.take_back(group, fresh);
        }
        let fresh = fresh & mask(group, settled);
        if fresh == 0 {
            return;
        }
        let others = self.links.iter().filter(|&(&other, _)| other != id);
        let (any, several) = delivered(others.map(|(_, link)| link), group);
        let recalled = count(fresh & !any);
        self.totals.delivered_packets += recalled;
        let unsure = self.links.values().any(|link| link.is_unsure(group));
        let figure = if unsure {
            &mut self.totals.unknown_packets
        } else {
            &mut self.totals.lost_packets
        };
        *figure = figure.saturating_sub(recalled);
        let expected = Expected::of(self.links.values().map(|link| link.expected(group)));
        for (&other, link) in &mut self.links {
            let with_others = expected.of_others(link.expected(group));
            if other == id {
                link.settled_packets += count(fresh);
                link.sole_packets += count(fresh & !any & with_others);
                let was_excused = fresh & any & link.excuses.of(group);
                link.excused_packets = link.excused_packets.saturating_sub(count(was_excused));
            } else {
                link.excused_packets += count(fresh & !any & link.excuses.of(group));
                let was_alone = link.numbers(group) & fresh & any & !several & with_others;
                link.sole_packets = link.sole_packets.saturating_sub(count(was_alone));
            }
        }
    }

    /// What one link alone delivered depends on whether another one was there,
    /// and a report may say so when the numbers are settled already: counts
    /// again where a link's memberships are not what they were `before`.
    fn recount_sole(&mut self, id: SessionId, before: &[Range<u64>]) {
        let (Some(settled), Some(link)) = (&self.settled, self.links.get(&id)) else {
            return;
        };
        let numbers = common(&hull_of_changes(before, link.memberships()), settled);
        for group in common(&groups_of(&numbers), &self.stretch()) {
            let was_expected = members(before, group);
            let then = |other: SessionId, link: &LinkBooks| match other == id {
                true => was_expected,
                false => link.expected(group),
            };
            let links = || self.links.iter();
            let expected = Expected::of(links().map(|(_, link)| link.expected(group)));
            let before = Expected::of(links().map(|(&other, link)| then(other, link)));
            let (_, several) = delivered(self.links.values(), group);
            let settled = mask(group, &numbers);
            for (&other, link) in &mut self.links {
                let alone = link.numbers(group) & settled & !several;
                let was_sole = alone & before.of_others(then(other, link));
                let sole = alone & expected.of_others(link.expected(group));
                link.sole_packets += count(sole);
                link.sole_packets = link.sole_packets.saturating_sub(count(was_sole));
            }
        }
    }

    /// The same of what a link did not bring because it was masked.
    fn recount_excused(&mut self, id: SessionId, before: &Excuses) {
        let (Some(settled), Some(link)) = (&self.settled, self.links.get(&id)) else {
            return;
        };
        let numbers = common(&link.excuses.changes(before), settled);
        for group in common(&groups_of(&numbers), &self.stretch()) {
            let (any, _) = delivered(self.links.values(), group);
            let settled = mask(group, &numbers);
            if let Some(link) = self.links.get_mut(&id) {
                let others = any & settled & !link.numbers(group);
                link.excused_packets += count(others & link.excuses.of(group));
                let was_excused = count(others & before.of(group));
                link.excused_packets = link.excused_packets.saturating_sub(was_excused);
            }
        }
    }

    /// The groups that some link may have numbers of.
    fn stretch(&self) -> Range<u64> {
        let stretches = self.links.values().filter_map(LinkBooks::stretch);
        stretches
            .reduce(|one, other| one.start.min(other.start)..one.end.max(other.end))
            .unwrap_or(0..0)
    }

    /// Settles all numbers below `next`.
    fn settle(&mut self, now: Duration, next: u64) {
        let joined = self.links.values().filter_map(LinkBooks::first_joined);
        let joined = joined.min().unwrap_or(next).min(next);
        let settled = self.settled.clone().unwrap_or(joined..joined);
        if joined < settled.start {
            self.settle_before(&(joined..settled.start));
        }
        if next > settled.end {
            self.settle_numbers(&(settled.end..next));
        }
        self.settled = Some(joined.min(settled.start)..next.max(settled.end));
        self.settlements.push_back((now, next));
        for link in self.links.values_mut() {
            link.outages.measure(&self.timeline);
        }
    }

    /// Settles numbers that count after all: the first report of a link that
    /// was there before the others came late. Outages are measured in the
    /// order of the numbers, so these are in none.
    fn settle_before(&mut self, numbers: &Range<u64>) {
        let links = self.links.values_mut();
        let outages: Vec<_> = links.map(|link| mem::take(&mut link.outages)).collect();
        self.settle_numbers(numbers);
        for (link, outages) in self.links.values_mut().zip(outages) {
            link.outages = outages;
        }
    }

    fn settle_numbers(&mut self, numbers: &Range<u64>) {
        // Where no link has anything there may be very many.
        let groups = common(&self.stretch(), &groups_of(numbers));
        let (start, end) = (groups.start * GROUP_NUMBERS, groups.end * GROUP_NUMBERS);
        if groups.is_empty() {
            return self.settle_missing(numbers);
        }
        self.settle_missing(&common(numbers, &(0..start)));
        for group in groups {
            self.settle_group(group, mask(group, numbers));
        }
        self.settle_missing(&common(numbers, &(end..u64::MAX)));
    }

    /// Settles numbers of which no link has any.
    fn settle_missing(&mut self, numbers: &Range<u64>) {
        if numbers.is_empty() {
            return;
        }
        let unsure = self.links.values().flat_map(LinkBooks::unsure_groups);
        let unsure = apart(unsure.cloned())
            .map(|groups| groups.start * GROUP_NUMBERS..groups.end * GROUP_NUMBERS)
            .map(|unsure| common(&unsure, numbers))
            .map(|unsure| unsure.end - unsure.start);
        let unknown: u64 = unsure.sum();
        self.totals.unknown_packets += unknown;
        self.totals.lost_packets += numbers.end - numbers.start - unknown;
        for link in self.links.values_mut() {
            let expected = link.expected_packets(numbers);
            if expected > 0 {
                link.outages.miss(numbers.start, numbers.end - 1, expected);
            }
        }
    }

    fn settle_group(&mut self, group: u64, settling: u32) {
        let (any, several) = delivered(self.links.values(), group);
        let unsure = self.links.values().any(|link| link.is_unsure(group));
        self.totals.delivered_packets += count(any & settling);
        let missing = count(settling & !any);
        if unsure {
            self.totals.unknown_packets += missing;
        } else {
            self.totals.lost_packets += missing;
        }
        let expected = Expected::of(self.links.values().map(|link| link.expected(group)));
        for link in self.links.values_mut() {
            let numbers = link.numbers(group) & settling;
            let own = link.expected(group) & settling;
            link.settled_packets += count(numbers);
            link.excused_packets += count(any & settling & !numbers & link.excuses.of(group));
            link.sole_packets += count(numbers & !several & expected.of_others(own));
            if !link.is_unsure(group) {
                let first = group * GROUP_NUMBERS;
                link.outages.group(first, own, numbers, &self.timeline);
            }
        }
    }

    /// Lets go what no copy can take back any more.
    fn forget(&mut self, now: Duration) {
        let Some(settled) = self.settled.clone() else {
            return;
        };
        let mut from = settled.end.saturating_sub(NUMBERS_MAX);
        let old = |&(at, _): &(Duration, u64)| at + RECALL <= now;
        while self.settlements.front().is_some_and(old) {
            if let Some((_, next)) = self.settlements.pop_front() {
                from = from.max(next);
            }
        }
        let give_up = settled.end.saturating_sub(NUMBERS_MAX);
        for link in self.links.values_mut() {
            link.give_up_below(give_up);
            link.forget_below(group_of(from));
        }
        self.timeline.forget_below(settled.end);
    }
}

/// The numbers of a group that links were to be given.
struct Expected {
    any: u32,
    several: u32,
}

impl Expected {
    /// From what each link was to be given.
    fn of(links: impl Iterator<Item = u32>) -> Self {
        let (any, several) = any_and_several(links);
        Self { any, several }
    }

    /// Those that some link but the one with these was to be given.
    fn of_others(&self, own: u32) -> u32 {
        self.several | (self.any & !own)
    }
}

/// The numbers of a group that came in over any of these links, and over more than one.
fn delivered<'a>(links: impl Iterator<Item = &'a LinkBooks>, group: u64) -> (u32, u32) {
    any_and_several(links.map(|link| link.numbers(group)))
}

/// The bits that are set in any of these, and in more than one.
fn any_and_several(all: impl Iterator<Item = u32>) -> (u32, u32) {
    all.fold((0, 0), |(any, several), bits| {
        (any | bits, several | any & bits)
    })
}
