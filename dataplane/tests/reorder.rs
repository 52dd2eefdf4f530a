//! Ordering beside an oracle that follows the rules of RFC 9550 in the most
//! obvious way, and the promises that hold whatever comes.
#![cfg(not(loom))]

use std::collections::BTreeMap;

use dataplane::command::SetId;
use dataplane::reassembly::Key;
use dataplane::reorder::{Cause, Limits, Owner, Patience, Release, Reorder};
use proptest::prelude::*;

const SET: SetId = SetId(3);
const HOLD: u64 = 30;
const TAKE_ANY: u64 = 2000;
const SETTLE: u64 = 1;

const LIMITS: Limits = Limits {
    packets: 4096,
    take_any_ticks: TAKE_ANY,
    settle_ticks: SETTLE,
};

/// Takes down what leaves.
struct Log {
    now: u64,
    patience: Patience,
    /// Packets that leave before there is no room for more, each time.
    room: usize,
    sent: Vec<(u64, usize, Release)>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            now: 0,
            patience: Patience {
                hold_ticks: HOLD,
                passed: 0,
            },
            room: usize::MAX,
            sent: Vec::new(),
        }
    }
}

impl Owner<usize> for Log {
    fn patience(&self, set: SetId, _: u32) -> Patience {
        assert_eq!(set, SET);
        self.patience
    }

    fn has_room(&self, _: SetId) -> bool {
        self.room > 0
    }

    fn release(&mut self, packet: usize, how: Release) -> bool {
        self.sent.push((self.now, packet, how));
        self.room = self.room.saturating_sub(1);
        self.room > 0
    }
}

impl Log {
    fn ids(&self) -> Vec<usize> {
        self.sent.iter().map(|sent| sent.1).collect()
    }

    fn causes(&self, cause: Cause) -> Vec<usize> {
        let of_cause = self.sent.iter().filter(|sent| sent.2.cause == cause);
        of_cause.map(|sent| sent.1).collect()
    }
}

fn key(number: u64) -> Key {
    Key {
        set: SET,
        epoch: 7,
        number,
    }
}

/// One that orders epoch 7 of the set, and its owner.
fn started(limits: Limits) -> (Reorder<usize>, Log) {
    let (mut reorder, mut log) = (Reorder::new(limits), Log::default());
    reorder.set_epochs(0, SET, &[7], &mut log);
    (reorder, log)
}

/// At the time `now`, numbers come that name their packets.
fn come(reorder: &mut Reorder<usize>, log: &mut Log, now: u64, numbers: &[u64]) {
    log.now = now;
    for &number in numbers {
        reorder.push(now, key(number), 1, number as usize, log);
    }
    if reorder.is_due(now) {
        reorder.check(now, log);
    }
}

#[test]
fn a_gap_that_is_filled_in_time_is_not_seen() {
    let (mut reorder, mut log) = started(LIMITS);
    come(&mut reorder, &mut log, 10, &[5, 6, 8, 9]);
    come(&mut reorder, &mut log, 39, &[7, 10]);
    assert_eq!(log.ids(), [5, 6, 7, 8, 9, 10]);
    assert!(log.sent.iter().all(|sent| sent.2.cause == Cause::InOrder));
    let waited: Vec<_> = log.sent.iter().map(|sent| sent.2.waited_ticks).collect();
    assert_eq!(waited, [None, None, None, Some(29), Some(29), None]);
    assert!(reorder.is_empty());
}

#[test]
fn when_time_is_up_the_lowest_leaves_first_and_what_is_late_at_once() {
    let (mut reorder, mut log) = started(LIMITS);
    // The one that waits longest is not the lowest.
    come(&mut reorder, &mut log, 1, &[1, 6]);
    come(&mut reorder, &mut log, 5, &[3, 4]);
    come(&mut reorder, &mut log, 30, &[]);
    assert_eq!(log.ids(), [1]);
    come(&mut reorder, &mut log, 31, &[]);
    assert_eq!(log.ids(), [1, 3, 4, 6]);
    assert_eq!(log.causes(Cause::TimedOut), [3, 6]);
    // What was sent last does not go backwards.
    come(&mut reorder, &mut log, 32, &[2, 5, 7]);
    assert_eq!(log.ids(), [1, 3, 4, 6, 2, 5, 7]);
    assert_eq!(log.causes(Cause::Late), [2, 5]);
}

#[test]
fn after_a_silence_any_number_is_taken() {
    let (mut reorder, mut log) = started(LIMITS);
    come(&mut reorder, &mut log, 1, &[100]);
    come(&mut reorder, &mut log, TAKE_ANY, &[105]);
    assert_eq!(log.ids(), [100], "not yet");
    come(&mut reorder, &mut log, TAKE_ANY + HOLD, &[]);
    come(&mut reorder, &mut log, 2 * TAKE_ANY, &[200, 150, 201]);
    assert_eq!(log.ids(), [100, 105, 200, 150, 201]);
    assert_eq!(log.causes(Cause::Late), [150]);
    // A lower one after another silence does not take it back.
    come(&mut reorder, &mut log, 5 * TAKE_ANY, &[10, 202, 204]);
    assert_eq!(log.ids(), [100, 105, 200, 150, 201, 10, 202]);
}

#[test]
fn a_new_epoch_starts_anywhere_and_an_old_one_lets_go() {
    let (mut reorder, mut log) = started(LIMITS);
    come(&mut reorder, &mut log, 1, &[100, 102]);
    reorder.set_epochs(1, SET, &[8, 7], &mut log);
    let new = Key {
        epoch: 8,
        ..key(50)
    };
    reorder.push(2, new, 1, 1050, &mut log);
    assert_eq!(log.ids(), [100, 1050]);
    reorder.set_epochs(3, SET, &[8], &mut log);
    assert_eq!(log.ids(), [100, 1050, 102]);
    assert_eq!(log.causes(Cause::Closed), [102]);
    reorder.push(4, Key { number: 52, ..new }, 1, 1052, &mut log);
    assert_eq!(reorder.len(), 1);
    reorder.remove(5, SET, &mut log);
    assert_eq!(log.ids(), [100, 1050, 102, 1052]);
    // Nobody orders it any more.
    reorder.push(6, Key { number: 90, ..new }, 1, 1090, &mut log);
    assert_eq!(log.ids().last(), Some(&1090));
    assert!(reorder.is_empty());
    reorder.check(7, &mut log);
    assert!(!reorder.is_due(u64::MAX - 1));
}

#[test]
fn what_no_link_will_bring_is_not_waited_for() {
    let (mut reorder, mut log) = started(LIMITS);
    come(&mut reorder, &mut log, 1, &[1, 3, 4, 8]);
    log.patience.passed = 3;
    come(&mut reorder, &mut log, 5, &[]);
    assert_eq!(log.ids(), [1], "another worker may have it still");
    come(&mut reorder, &mut log, 5 + SETTLE, &[]);
    assert_eq!(log.ids(), [1, 3, 4]);
    assert_eq!(log.causes(Cause::Passed), [3]);
    // Part of a gap was passed: its last number is in order.
    log.patience.passed = 7;
    come(&mut reorder, &mut log, 7, &[]);
    come(&mut reorder, &mut log, 8, &[]);
    come(&mut reorder, &mut log, 9, &[]);
    assert_eq!(log.ids(), [1, 3, 4]);
    come(&mut reorder, &mut log, 9, &[7]);
    assert_eq!(log.ids(), [1, 3, 4, 7, 8]);
}

#[test]
fn what_finds_no_room_outside_waits_in_order() {
    let (mut reorder, mut log) = started(LIMITS);
    come(&mut reorder, &mut log, 1, &[1, 3, 4, 5, 6, 7]);
    log.room = 2;
    reorder.push(2, key(2), 1, 2, &mut log);
    assert_eq!(log.ids(), [1, 2, 3]);
    log.room = 2;
    come(&mut reorder, &mut log, 2, &[8]);
    assert_eq!(log.ids(), [1, 2, 3, 4, 5], "they go before it");
    assert!(reorder.is_due(2));
    come(&mut reorder, &mut log, 2 * HOLD, &[]);
    assert_eq!(log.ids(), [1, 2, 3, 4, 5]);
    // It is waited for room as long again as for a gap, and no longer.
    come(&mut reorder, &mut log, 2 * HOLD + 1, &[]);
    assert_eq!(log.ids(), [1, 2, 3, 4, 5, 6, 7]);
    log.room = usize::MAX;
    come(&mut reorder, &mut log, 2 * HOLD + 1, &[]);
    assert_eq!(log.ids(), [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn without_memory_everything_leaves_at_once() {
    let (mut reorder, mut log) = started(Limits {
        packets: 0,
        ..LIMITS
    });
    come(&mut reorder, &mut log, 1, &[1, 3, 2, 4]);
    assert_eq!(log.ids(), [1, 3, 2, 4]);
    assert_eq!(log.causes(Cause::NoRoom), [3]);
}

/// A packet on its way.
#[derive(Clone, Debug)]
struct Arrival {
    number: u64,
    count: u64,
    /// Since the one before it.
    ticks: u64,
}

/// What the rules say, with a map and no limits.
#[derive(Default)]
struct Oracle {
    next: Option<u64>,
    heard: u64,
    waiting: BTreeMap<u64, (u64, u64, usize)>,
    sent: Vec<(u64, usize)>,
}

impl Oracle {
    fn push(&mut self, now: u64, arrival: &Arrival, id: usize) {
        let silence = now - std::mem::replace(&mut self.heard, now);
        let start = arrival.number;
        let next = match self.next {
            Some(next) if silence < TAKE_ANY || !self.waiting.is_empty() => next,
            next => next.unwrap_or(0).max(start),
        };
        self.next = Some(next);
        if start > next {
            let end = start + arrival.count;
            self.waiting.insert(start, (end, now, id));
            return;
        }
        self.sent.push((now, id));
        self.next = Some(next.max(start + arrival.count));
        self.drain(now);
    }

    fn drain(&mut self, now: u64) {
        while let Some(entry) = self.waiting.first_entry() {
            if Some(*entry.key()) > self.next {
                return;
            }
            let (end, _, id) = entry.remove();
            self.sent.push((now, id));
            self.next = self.next.max(Some(end));
        }
    }

    fn check(&mut self, now: u64) {
        // RFC 9550: when the time of any of them is up, the lowest leaves.
        while self
            .waiting
            .values()
            .any(|&(_, came, _)| now >= came + HOLD)
        {
            let (start, _) = self.waiting.first_key_value().expect("one waits");
            self.next = Some(*start);
            self.drain(now);
        }
    }
}

/// Packets of a sender in some order, each once: by links that lose some and
/// deliver others late.
fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    let packet = (1..4_u64, 0..3_u64, 0..60_u64, 0..20_u8, 0..30_u8);
    (
        0..1_u64 << 40,
        prop::collection::vec(packet, 1..200),
        0..3_u64,
    )
        .prop_map(|(first, packets, pace)| {
            let (mut number, mut sent_at, mut on_the_way) = (first, 0, Vec::new());
            for (count, gap, delay, slow, silent) in packets {
                // Now and then a number is lost, or the sender has nothing to say.
                number += if gap == 2 { 1 } else { 0 };
                sent_at += pace + if silent == 0 { TAKE_ANY } else { 0 };
                let delay = if slow < 5 { delay } else { 0 };
                let count = if count == 3 { 3 } else { 1 };
                on_the_way.push((sent_at + delay, number, count));
                number += count;
            }
            on_the_way.sort_unstable();
            let mut last = 0;
            on_the_way
                .into_iter()
                .map(|(at, number, count)| Arrival {
                    number,
                    count,
                    ticks: at - std::mem::replace(&mut last, at),
                })
                .collect()
        })
}

/// Lets time pass tick by tick, as a worker that polls.
fn pass(reorder: &mut Reorder<usize>, log: &mut Log, until: u64) {
    while log.now < until {
        // No packet waits longer than this: nothing happens in between.
        log.now = if until - log.now > 2 * HOLD && reorder.is_empty() {
            until
        } else {
            log.now + 1
        };
        if reorder.is_due(log.now) {
            reorder.check(log.now, log);
        }
    }
}

fn carry_out(arrivals: &[Arrival], limits: Limits, room: usize) -> Log {
    let (mut reorder, mut log) = started(limits);
    let mut at = 0;
    for (id, arrival) in arrivals.iter().enumerate() {
        at += arrival.ticks;
        pass(&mut reorder, &mut log, at);
        log.room = room;
        reorder.push(at, key(arrival.number), arrival.count, id, &mut log);
        while reorder.is_due(at) {
            log.room = room;
            reorder.check(at, &mut log);
        }
        log.room = usize::MAX;
        assert!(reorder.len() <= limits.packets);
    }
    pass(&mut reorder, &mut log, at + HOLD + 1);
    assert!(reorder.is_empty(), "everything leaves");
    log
}

fn assert_each_once(log: &Log, arrivals: usize) {
    let mut ids = log.ids();
    ids.sort_unstable();
    assert!(ids.into_iter().eq(0..arrivals), "each leaves once");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn does_what_the_oracle_does(arrivals in arrivals()) {
        let log = carry_out(&arrivals, LIMITS, usize::MAX);
        let mut oracle = Oracle::default();
        let mut now = 0;
        for (id, arrival) in arrivals.iter().enumerate() {
            for tick in (now + 1..=now + arrival.ticks).take(2 * HOLD as usize) {
                oracle.check(tick);
            }
            now += arrival.ticks;
            oracle.check(now);
            oracle.push(now, arrival, id);
            oracle.check(now);
        }
        for tick in now..=now + HOLD {
            oracle.check(tick);
        }
        let sent: Vec<_> = log.sent.iter().map(|sent| (sent.0, sent.1)).collect();
        prop_assert_eq!(sent, oracle.sent);
    }

    /// Whatever the room is: each packet leaves once, none waits too long, and
    /// one that leaves before a lower one had waited or was the first.
    #[test]
    fn keeps_its_promises(arrivals in arrivals(), packets in 0..60_usize, room in 1..5_usize) {
        let log = carry_out(&arrivals, Limits { packets, ..LIMITS }, room);
        assert_each_once(&log, arrivals.len());
        let mut highest = 0;
        for (_, id, how) in &log.sent {
            prop_assert!(how.waited_ticks.unwrap_or(0) <= HOLD);
            let number = arrivals[*id].number;
            if how.cause == Cause::Late {
                prop_assert!(number < highest);
            } else {
                prop_assert!(number >= highest, "{} after {}", number, highest);
            }
            highest = highest.max(number + arrivals[*id].count);
        }
    }

    #[test]
    fn nothing_is_out_of_order_that_comes_in_time(
        arrivals in prop::collection::vec((0..HOLD - 1, 0..4_u64), 1..300),
    ) {
        // As many links, each with its delay; every number comes by one of them.
        let mut on_the_way: Vec<(u64, u64)> = (0..)
            .zip(&arrivals)
            .map(|(number, (delay, link))| (number + 1 + delay * link / 3, number))
            .collect();
        on_the_way[0].0 = 1;
        on_the_way.sort_unstable();
        let mut last = 0;
        let arrivals: Vec<_> = on_the_way
            .into_iter()
            .map(|(at, number)| Arrival { number, count: 1, ticks: at - std::mem::replace(&mut last, at) })
            .collect();
        let log = carry_out(&arrivals, LIMITS, usize::MAX);
        let numbers: Vec<_> = log.ids().into_iter().map(|id| arrivals[id].number).collect();
        prop_assert!(numbers.is_sorted());
        prop_assert_eq!(numbers.len(), arrivals.len());
    }

    /// Numbers of anybody's choice: repeated, overlapping, backwards, at the end of what there is.
    #[test]
    fn junk_does_no_harm(
        junk in prop::collection::vec(
            (prop_oneof![0..40_u64, Just(u64::MAX), any::<u64>()], 1..40_u64, 0..40_u64),
            0..200,
        ),
        packets in 0..40_usize,
        passed in prop_oneof![Just(0), 0..40_u64, any::<u64>()],
    ) {
        let limits = Limits { packets, ..LIMITS };
        let (mut reorder, mut log) = started(limits);
        log.patience.passed = passed;
        let mut at = 0;
        for (id, &(number, count, ticks)) in junk.iter().enumerate() {
            at += ticks;
            pass(&mut reorder, &mut log, at);
            reorder.push(at, key(number), count, id, &mut log);
            prop_assert!(reorder.len() <= packets);
        }
        pass(&mut reorder, &mut log, at + HOLD + 1);
        prop_assert!(reorder.is_empty());
        assert_each_once(&log, junk.len());
        for (_, _, how) in &log.sent {
            prop_assert!(how.waited_ticks.unwrap_or(0) <= HOLD);
        }
    }
}

/// A set that waits for much leaves room for the others.
#[test]
fn a_set_that_fills_its_share_does_not_hinder_another() {
    struct Any(Vec<(u32, u64)>);
    impl Owner<(u32, u64)> for Any {
        fn patience(&self, _: SetId, _: u32) -> Patience {
            Patience {
                hold_ticks: HOLD,
                passed: 0,
            }
        }
        fn has_room(&self, _: SetId) -> bool {
            true
        }
        fn release(&mut self, packet: (u32, u64), _: Release) -> bool {
            self.0.push(packet);
            true
        }
    }
    let mut sent = Any(Vec::new());
    let mut reorder = Reorder::new(Limits {
        packets: 100,
        ..LIMITS
    });
    let mut push = |reorder: &mut Reorder<_>, set: u32, number: u64| {
        let set_id = SetId(set);
        let key = Key {
            set: set_id,
            epoch: 1,
            number,
        };
        reorder.push(1, key, 1, (set, number), &mut sent);
    };
    for set in 0..2 {
        let mut nobody = Any(Vec::new());
        reorder.set_epochs(0, SetId(set), &[1], &mut nobody);
        push(&mut reorder, set, 0);
    }
    for number in 1..1000 {
        push(&mut reorder, 0, 2 * number);
    }
    assert!((70..=80).contains(&reorder.len()), "{}", reorder.len());
    for number in (2..16).rev().chain([1]) {
        push(&mut reorder, 1, number);
    }
    let other: Vec<u64> = sent
        .0
        .iter()
        .filter(|it| it.0 == 1)
        .map(|it| it.1)
        .collect();
    assert!(other.into_iter().eq(0..16));
}
