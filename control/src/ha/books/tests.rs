//! The books against an oracle that knows what became of every copy.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use dataplane::window::Group;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const EPOCH: u32 = 7;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn us(us: u64) -> Duration {
    Duration::from_micros(us)
}

/// What a line and its sender do to copies.
#[derive(Clone, Debug)]
struct Line {
    joins_at: Duration,
    leaves_at: Option<Duration>,
    delay: Duration,
    loss: f64,
    duplication: f64,
    /// Copies that are held up, and how long at most.
    reordering: f64,
    held_up: Duration,
    /// Copies that the sender keeps to itself.
    withheld: f64,
    outages: Vec<Range<Duration>>,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            joins_at: Duration::ZERO,
            leaves_at: None,
            delay: ms(10),
            loss: 0.0,
            duplication: 0.0,
            reordering: 0.0,
            held_up: Duration::ZERO,
            withheld: 0.0,
            outages: Vec::new(),
        }
    }
}

/// What happened to the copies of one line.
#[derive(Debug, Default)]
struct Truth {
    joined: Option<u64>,
    left: Option<u64>,
    handed_over: BTreeSet<u64>,
    withheld: u64,
    came: BTreeMap<u64, u64>,
    /// Its first report is on its way; the next one would come a second later.
    reported: bool,
    /// When its newest report was sent that came.
    told: u64,
}

impl Truth {
    fn was_given(&self, number: u64) -> bool {
        self.joined.is_some_and(|joined| joined <= number)
            && self.left.is_none_or(|left| number < left)
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Arrival {
    Copy {
        line: usize,
        number: u64,
    },
    Report {
        line: usize,
        fields: [u64; 6],
        is_last: bool,
    },
}

struct World {
    rng: StdRng,
    lines: Vec<Line>,
    truths: Vec<Truth>,
    /// Lines whose copies the receiver drops.
    masked: BTreeSet<usize>,
    workers: usize,
    arrivals: Vec<Vec<Arc<Arrivals>>>,
    counters: Vec<Vec<Arc<SessionCounters>>>,
    books: Books,
    now: Duration,
    next: u64,
    flights: BinaryHeap<Reverse<(Duration, u64, Arrival)>>,
    order: u64,
    next_tick: Duration,
    next_report: Duration,
}

impl World {
    fn new(seed: u64, start: u64, workers: usize, lines: Vec<Line>) -> Self {
        let rings = || {
            (0..workers)
                .map(|_| Arc::new(Arrivals::new(EPOCH)))
                .collect()
        };
        let arrivals: Vec<Vec<_>> = lines.iter().map(|_| rings()).collect();
        let counters = || (0..workers).map(|_| Arc::default()).collect();
        let counters: Vec<Vec<_>> = lines.iter().map(|_| counters()).collect();
        let mut books = Books::default();
        for (line, (rings, counters)) in arrivals.iter().zip(&counters).enumerate() {
            books.add(id(line), rings.clone(), counters.clone());
        }
        Self {
            rng: StdRng::seed_from_u64(seed),
            truths: lines.iter().map(|_| Truth::default()).collect(),
            lines,
            masked: BTreeSet::new(),
            workers,
            arrivals,
            counters,
            books,
            now: Duration::ZERO,
            next: start,
            flights: BinaryHeap::new(),
            order: 0,
            next_tick: Duration::ZERO,
            next_report: Duration::ZERO,
        }
    }

    fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.random_bool(probability)
    }

    fn fly(&mut self, line: usize, arrival: Arrival) {
        let Line {
            loss,
            reordering,
            held_up,
            delay,
            ..
        } = self.lines[line];
        let now = self.now;
        let out = self.lines[line].outages.iter().any(|it| it.contains(&now));
        let is_first = matches!(arrival, Arrival::Report { .. }) && !self.truths[line].reported;
        if !is_first && (out || self.chance(loss)) {
            return;
        }
        self.truths[line].reported |= is_first;
        let mut at = now + delay;
        if self.chance(reordering) {
            at += held_up.mul_f64(self.rng.random());
        }
        self.order += 1;
        self.flights.push(Reverse((at, self.order, arrival)));
    }

    /// The sender has a packet.
    fn send(&mut self) {
        // Without a member no number is taken.
        if !(0..self.lines.len()).any(|line| self.is_member(line)) {
            return;
        }
        let number = self.next;
        self.next += 1;
        for line in 0..self.lines.len() {
            if !self.is_member(line) {
                continue;
            }
            if self.chance(self.lines[line].withheld) {
                self.truths[line].withheld += 1;
                continue;
            }
            self.truths[line].handed_over.insert(number);
            self.fly(line, Arrival::Copy { line, number });
        }
    }

    fn is_member(&self, line: usize) -> bool {
        self.truths[line].joined.is_some() && self.truths[line].left.is_none()
    }

    fn report(&mut self, line: usize, is_last: bool) {
        let truth = &self.truths[line];
        let Some(joined) = truth.joined else { return };
        let over_speed = truth.withheld / 3;
        let fields = [
            self.next,
            joined,
            truth.handed_over.len() as u64,
            over_speed,
            truth.withheld - over_speed,
            self.order,
        ];
        self.fly(
            line,
            Arrival::Report {
                line,
                fields,
                is_last,
            },
        );
    }

    fn join_and_leave(&mut self) {
        for line in 0..self.lines.len() {
            if self.truths[line].joined.is_none() && self.now >= self.lines[line].joins_at {
                self.truths[line].joined = Some(self.next);
                self.report(line, false);
            }
            let leaves = self.lines[line].leaves_at.is_some_and(|at| self.now >= at);
            if leaves && self.is_member(line) {
                self.truths[line].left = Some(self.next);
                self.report(line, true);
            }
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Copy { line, .. } if self.masked.contains(&line) => (),
            Arrival::Copy { line, number } => {
                let copies = 1 + u64::from(self.chance(self.lines[line].duplication));
                for _ in 0..copies {
                    let worker = self.rng.random_range(0..self.workers);
                    *self.truths[line].came.entry(number).or_default() += 1;
                    self.arrivals[line][worker].note(Group::of(number));
                    self.counters[line][worker].received_packets.add(1);
                }
            }
            Arrival::Report {
                line,
                fields,
                is_last,
            } => {
                let [
                    next_number,
                    joined_number,
                    copies,
                    over_speed,
                    not_sent,
                    sent,
                ] = fields;
                // One that was overtaken on its way is not listened to.
                if sent < self.truths[line].told {
                    return;
                }
                self.truths[line].told = sent;
                let report = Report {
                    epoch: EPOCH,
                    next_number,
                    joined_number,
                    copies,
                    sent_at_us: 0,
                    echo_us: 0,
                    echo_delay_us: 0,
                    over_speed,
                    not_sent,
                    is_last,
                    is_probe: false,
                    heard_probe_us: None,
                    is_masked: false,
                    is_deaf: false,
                    is_needed: false,
                };
                self.books.tell(self.now, id(line), &report);
            }
        }
    }

    /// Runs for a time with a packet every `gap`; without, nothing is sent.
    fn run(&mut self, time: Duration, gap: Option<Duration>) {
        let end = self.now + time;
        let mut next_packet = self.now;
        while self.now < end {
            self.join_and_leave();
            if self.now >= self.next_report {
                self.next_report += ms(1000);
                for line in 0..self.lines.len() {
                    if self.is_member(line) {
                        self.report(line, false);
                    }
                }
            }
            while gap.is_some() && next_packet <= self.now {
                self.send();
                next_packet += gap.unwrap_or_default();
            }
            while let Some(Reverse((at, ..))) = self.flights.peek()
                && *at <= self.now
            {
                let Some(Reverse((.., arrival))) = self.flights.pop() else {
                    break;
                };
                self.arrive(arrival);
            }
            if self.now >= self.next_tick {
                self.next_tick += LOOK_PERIOD;
                self.books.tick(self.now);
            }
            let longest = ms(5);
            self.now += gap.map_or(longest, |gap| gap.min(longest));
        }
    }

    /// Everything arrives and settles, and reports get through.
    fn settle(&mut self) {
        for line in &mut self.lines {
            line.loss = 0.0;
            line.outages.clear();
        }
        self.run(ms(20_000), None);
    }

    fn assert_exact(&self) {
        let base = self.truths.iter().filter_map(|it| it.joined).min();
        let numbers = base.expect("a line joined")..self.next;
        let who = |number: u64| {
            let lines = self.truths.iter().enumerate();
            lines.filter(move |(_, truth)| truth.came.contains_key(&number))
        };
        let delivered = numbers.clone().filter(|&it| who(it).count() > 0).count() as u64;
        let expected = SetTotals {
            delivered_packets: delivered,
            lost_packets: numbers.end - numbers.start - delivered,
            unknown_packets: 0,
        };
        assert_eq!(self.books.totals(), expected);
        for (line, truth) in self.truths.iter().enumerate() {
            let totals = self.books.link_totals(id(line)).expect("it is there");
            let came = truth.came.keys().filter(|it| numbers.contains(it)).count() as u64;
            let sole = |number: &u64| {
                let others = self.truths.iter().enumerate().filter(|&(it, _)| it != line);
                who(*number).map(|(it, _)| it).eq([line])
                    && others.clone().any(|(_, other)| other.was_given(*number))
            };
            let sum: u64 = truth.came.values().sum();
            let expected = LinkTotals {
                unique_packets: truth.came.len() as u64,
                duplicated_packets: sum - truth.came.len() as u64,
                lost_packets: (truth.handed_over.len() - truth.came.len()) as u64,
                unknown_packets: 0,
                sole_packets: truth.came.keys().filter(|it| sole(it)).count() as u64,
                settled_packets: came,
                ..totals
            };
            assert_eq!(totals, expected, "line {line}: {:?}", self.lines[line]);
        }
    }
}

fn id(line: usize) -> SessionId {
    SessionId(line as u32)
}

#[test]
fn nothing_is_lost_before_it_is_settled_nor_what_comes_late_for_good() {
    let slow = Line {
        delay: ms(4000),
        ..Line::default()
    };
    let mut world = World::new(1, 0, 1, vec![Line::default(), slow]);
    world.run(ms(3500), Some(ms(1)));
    let lost = |world: &World| world.books.link_totals(id(1)).expect("there").lost_packets;
    assert_eq!(lost(&world), 0, "no report of it has come yet");
    world.settle();
    assert_eq!(lost(&world), 0);
    world.assert_exact();
}

/// Reports overtake the data: the loss is counted, and taken back.
#[test]
fn a_late_arrival_takes_its_count_back() {
    let mut world = World::new(1, 0, 1, vec![Line::default(), Line::default()]);
    world.run(ms(1000), Some(ms(1)));
    world.lines[0].reordering = 1.0;
    world.lines[0].held_up = ms(9000);
    world.lines[1].loss = 0.5;
    world.run(ms(2000), Some(ms(1)));
    world.lines[0].reordering = 0.0;
    world.lines[1].loss = 0.0;
    world.run(ms(3500), None);
    let of_set = world.books.totals().lost_packets;
    let of_link = world.books.link_totals(id(0)).expect("there").lost_packets;
    assert!(of_set > 100 && of_link > 500, "{of_set} {of_link}");
    world.settle();
    assert_eq!(world.books.totals().lost_packets, 0);
    world.assert_exact();
}

#[test]
fn what_the_sender_withheld_is_no_loss_of_the_line() {
    let line = Line {
        withheld: 0.3,
        loss: 0.1,
        ..Line::default()
    };
    let mut world = World::new(2, 1 << 40, 2, vec![line.clone(), line]);
    world.run(ms(5000), Some(us(500)));
    world.settle();
    world.assert_exact();
}

#[test]
fn an_outage_is_as_long_as_it_was() {
    let mut world = World::new(3, 500, 1, vec![Line::default(), Line::default()]);
    world.lines[1].outages = vec![ms(1000)..ms(1300), ms(4000)..ms(6000)];
    world.run(ms(5500), Some(ms(2)));
    let longest = |world: &World| {
        world
            .books
            .link_totals(id(1))
            .expect("there")
            .longest_outage
    };
    let so_far = longest(&world);
    assert!(so_far.abs_diff(ms(300)) < ms(20), "{so_far:?}");
    world.run(ms(8000), Some(ms(2)));
    assert!(
        longest(&world).abs_diff(ms(2000)) < ms(20),
        "{:?}",
        longest(&world)
    );
    world.settle();
    let totals = world.books.link_totals(id(1)).expect("there");
    assert_eq!(
        (totals.lost_packets, totals.longest_outage_packets),
        (1150, 1000)
    );
    assert_eq!(
        world
            .books
            .link_totals(id(0))
            .expect("there")
            .longest_outage,
        Duration::ZERO
    );
    world.assert_exact();
}

/// The outage of all links at once shows when they are back.
#[test]
fn an_outage_of_all_links_is_as_long_as_it_was() {
    let mut world = World::new(4, 0, 1, vec![Line::default(), Line::default()]);
    for line in &mut world.lines {
        line.outages = vec![ms(3000)..ms(7000)];
    }
    world.run(ms(12_000), Some(ms(2)));
    world.settle();
    for line in 0..2 {
        let longest = world
            .books
            .link_totals(id(line))
            .expect("there")
            .longest_outage;
        assert!(longest.abs_diff(ms(4000)) < ms(150), "{longest:?}");
    }
    assert_eq!(world.books.totals().lost_packets, 2000);
    world.assert_exact();
}

/// A lost packet before an idle hour is no outage of an hour.
#[test]
fn an_idle_time_is_no_outage() {
    let mut world = World::new(5, 0, 1, vec![Line::default(), Line::default()]);
    world.run(ms(2000), Some(ms(100)));
    world.lines[1].outages = vec![ms(1900)..ms(2150), ms(30_250)..ms(30_550)];
    world.run(ms(200), Some(ms(100)));
    world.run(ms(27_900), None);
    world.run(ms(1000), Some(ms(100)));
    world.settle();
    let longest = world
        .books
        .link_totals(id(1))
        .expect("there")
        .longest_outage;
    assert!(longest < ms(500), "{longest:?}");
    world.assert_exact();
}

#[test]
fn a_link_that_joins_later_did_not_lose_what_was_before() {
    let late = Line {
        joins_at: ms(3000),
        ..Line::default()
    };
    let mut world = World::new(6, 77, 1, vec![Line::default(), late]);
    world.run(ms(6000), Some(ms(1)));
    world.settle();
    assert_eq!(
        world.books.link_totals(id(0)).expect("there").sole_packets,
        0
    );
    world.assert_exact();
}

#[test]
fn a_link_that_leaves_loses_nothing_from_then_on() {
    let leaving = Line {
        leaves_at: Some(ms(3000)),
        ..Line::default()
    };
    let mut world = World::new(6, 77, 1, vec![Line::default(), leaving]);
    world.run(ms(6000), Some(ms(1)));
    world.settle();
    let left = world.books.remove(world.now, id(1)).expect("it was there");
    assert_eq!((left.lost_packets, left.unknown_packets), (0, 0));
    assert_eq!(left.unique_packets, 3000);
}

/// What was not settled when a link was masked is not known, what came meanwhile is not
/// missed, and from a report behind it on all counts as before.
#[test]
fn what_comes_while_a_link_is_masked_is_not_missed() {
    let lossy = Line {
        loss: 0.1,
        withheld: 0.2,
        ..Line::default()
    };
    let mut world = World::new(7, 0, 2, vec![Line::default(), lossy]);
    let totals = |world: &World| world.books.link_totals(id(1)).expect("it is there");
    world.run(ms(5000), Some(ms(1)));
    world.masked.insert(1);
    world.books.pause(world.now, id(1));
    let paused = totals(&world);
    assert!(
        paused.lost_packets > 100 && paused.unknown_packets > 200,
        "{paused:?}"
    );
    world.run(ms(3000), Some(ms(1)));
    let during = totals(&world);
    assert_eq!(paused.lost_packets, during.lost_packets);
    assert_eq!(paused.unknown_packets, during.unknown_packets);
    world.masked.clear();
    world.books.resume(world.now + ms(50), id(1));
    world.run(ms(990), Some(ms(1)));
    // The report of the second 9 gets through.
    world.lines[1].loss = 0.0;
    world.run(ms(30), Some(ms(1)));
    world.lines[1].loss = 0.1;
    world.run(ms(5000), Some(ms(1)));
    world.settle();
    let after = totals(&world);
    let handed_over = world.truths[1].handed_over.range(9000..);
    let lost = handed_over.filter(|it| !world.truths[1].came.contains_key(it));
    let lost = lost.count() as u64;
    assert!(lost > 200);
    assert_eq!(after.lost_packets - paused.lost_packets, lost);
    assert_eq!(after.unknown_packets, paused.unknown_packets);
    assert!(after.longest_outage_packets < 20, "{after:?}");
    let set = world.books.totals();
    assert_eq!((set.lost_packets, set.unknown_packets), (0, 0));
}

/// Of two links the one that joined first is heard of last.
#[test]
fn what_a_link_carried_before_its_first_report_counts() {
    let early = Line {
        reordering: 1.0,
        held_up: ms(9000),
        ..Line::default()
    };
    let other = Line {
        joins_at: ms(500),
        loss: 0.3,
        ..Line::default()
    };
    let mut late = 0;
    for seed in 0..8 {
        let mut world = World::new(seed, 40, 1, vec![early.clone(), other.clone()]);
        world.run(ms(3500), Some(ms(1)));
        let heard_of = world.books.links[&id(0)].first_joined().is_some();
        late += u32::from(!heard_of && world.books.totals().delivered_packets > 0);
        world.run(ms(3500), Some(ms(1)));
        world.settle();
        world.assert_exact();
    }
    assert!(
        late > 0,
        "what others carried was settled before it was heard of"
    );
}

/// Its last report is held up for longer than it takes to settle: by then what
/// the other link brought alone looks as if that link had lost it.
#[test]
fn a_link_that_left_is_not_counted_as_one_that_was_there() {
    let leaving = Line {
        leaves_at: Some(ms(3000)),
        reordering: 1.0,
        held_up: ms(9000),
        ..Line::default()
    };
    let mut world = World::new(6, 77, 1, vec![Line::default(), leaving]);
    world.run(ms(2900), Some(ms(1)));
    world.run(ms(4000), Some(ms(1)));
    let sole = |world: &World| world.books.link_totals(id(0)).expect("there").sole_packets;
    assert!(sole(&world) > 1000, "{}", sole(&world));
    world.settle();
    assert_eq!(sole(&world), 0);
    world.assert_exact();
}

/// What a dead link was given after its last report, nobody here can know.
#[test]
fn a_link_that_dies_has_lost_an_unknown_number() {
    let mut world = World::new(7, 0, 1, vec![Line::default(), Line::default()]);
    world.lines[1].outages = vec![ms(3500)..ms(60_000)];
    world.run(ms(6500), Some(ms(1)));
    world.books.leave(world.now, id(1));
    world.run(ms(2000), Some(ms(1)));
    let dead = world.books.remove(world.now, id(1)).expect("it was there");
    assert_eq!(dead.lost_packets, 0);
    assert!((2980..=3000).contains(&dead.unknown_packets), "{dead:?}");
    assert!(dead.longest_outage > ms(2400), "{dead:?}");
}

/// Six hundred thousand packets a second are exact; what is beyond is not
/// called lost.
#[test]
fn what_was_written_over_is_unknown_and_not_lost() {
    for (gap_numbers, exact) in [(60_000_u64, true), (200_000, false)] {
        let rings = vec![Arc::new(Arrivals::new(EPOCH))];
        let counters: Vec<Arc<SessionCounters>> = vec![Arc::default()];
        let mut books = Books::default();
        books.add(id(0), rings.clone(), counters.clone());
        let mut next = 1000;
        let tell = |books: &mut Books, now, next_number| {
            let report = Report {
                epoch: EPOCH,
                next_number,
                joined_number: 1000,
                copies: 0,
                sent_at_us: 0,
                echo_us: 0,
                echo_delay_us: 0,
                over_speed: 0,
                not_sent: 0,
                is_last: false,
                is_probe: false,
                heard_probe_us: None,
                is_masked: false,
                is_deaf: false,
                is_needed: false,
            };
            books.tell(now, id(0), &report);
        };
        tell(&mut books, Duration::ZERO, next);
        for tick in 1..100 {
            let now = LOOK_PERIOD * tick;
            for _ in 0..gap_numbers {
                // One in seven is lost.
                if !next.is_multiple_of(7) && tick < 70 {
                    rings[0].note(Group::of(next));
                    counters[0].received_packets.add(1);
                }
                next += u64::from(tick < 70);
            }
            books.tick(now);
            if tick % 10 == 0 {
                tell(&mut books, now, next);
            }
        }
        let sent = next - 1000;
        let lost = (1000..next).filter(|it| it.is_multiple_of(7)).count() as u64;
        let (totals, link) = (books.totals(), books.link_totals(id(0)).expect("there"));
        if exact {
            assert_eq!((totals.lost_packets, link.lost_packets), (lost, lost));
            assert_eq!((totals.unknown_packets, link.unknown_packets), (0, 0));
        } else {
            assert!(totals.unknown_packets > sent / 2, "{totals:?}");
            assert!(totals.lost_packets < lost, "{totals:?} of {lost}");
            assert_eq!(link.unknown_packets, totals.unknown_packets);
        }
        let all = totals.delivered_packets + totals.lost_packets + totals.unknown_packets;
        assert_eq!(all, sent);
    }
}

#[test]
fn forged_reports_and_numbers_neither_hang_nor_fill_the_memory() {
    let mut world = World::new(8, 0, 1, vec![Line::default(), Line::default()]);
    world.run(ms(3000), Some(ms(1)));
    for number in [(1 << 48) - 1, 1 << 47, 1 << 30] {
        world.arrivals[0][0].note(Group::of(number));
        world.counters[0][0].received_packets.add(1);
        world.run(ms(1500), Some(ms(1)));
    }
    for next in [(1 << 48) - 1, 1 << 47, 1 << 31] {
        let fields = [next, 0, 1, 0, 0, u64::MAX];
        let is_last = false;
        world.arrive(Arrival::Report {
            line: 0,
            fields,
            is_last,
        });
        world.run(ms(1500), Some(ms(1)));
    }
    world.run(ms(5000), Some(ms(1)));
    let held = world.books.links.values().filter_map(LinkBooks::stretch);
    let held: u64 = held.map(|stretch| stretch.end - stretch.start).sum();
    assert!(held < 1 << 19, "{held} groups");
}

fn line() -> impl Strategy<Value = Line> {
    let share = |most: f64| prop_oneof![2 => Just(0.0), 1 => 0.0..most];
    let lives = (
        0_u64..4000,
        prop_oneof![3 => Just(None), 1 => (4000_u64..9000).prop_map(Some)],
    );
    let chances = (share(0.6), share(0.3), share(0.2), share(0.4));
    let outages = proptest::collection::vec((0_u64..9000, 10_u64..4000), 0..3);
    (lives, 1_u64..450, chances, 0_u64..6000, outages).prop_map(
        |((joins, leaves), delay, (loss, duplication, reordering, withheld), held_up, outages)| {
            Line {
                joins_at: ms(joins),
                leaves_at: leaves.map(ms),
                delay: ms(delay),
                loss,
                duplication,
                reordering,
                held_up: ms(held_up),
                withheld,
                outages: outages
                    .into_iter()
                    .map(|(at, time)| ms(at)..ms(at + time))
                    .collect(),
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_books_agree_with_what_happened(
        seed in any::<u64>(),
        start in prop_oneof![Just(0_u64), 0..(1_u64 << 46)],
        workers in 1_usize..4,
        gap_us in 200_u64..20_000,
        mut lines in proptest::collection::vec(line(), 1..5),
    ) {
        // The set must have been there from the first report on.
        lines[0].joins_at = Duration::ZERO;
        for line in &mut lines {
            // A last report that is lost leaves the end unknown.
            line.loss *= f64::from(u8::from(line.leaves_at.is_none()));
            if line.leaves_at.is_some() {
                line.outages.clear();
            }
        }
        let mut world = World::new(seed, start, workers, lines);
        world.run(ms(10_000), Some(us(gap_us)));
        world.settle();
        world.assert_exact();
    }
}
