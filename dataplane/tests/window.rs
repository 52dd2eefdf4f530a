//! The elimination window against a set as oracle, and under real threads.
#![cfg(not(loom))]

mod elimination;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};

use dataplane::window::{Access, Group, Verdict, Verdicts, Window};
use elimination::{
    Alone, Broken, Elimination, FETCH_OR, KEEPS_BITS, NO_BLOCK_CHECK, PLAIN_STORE, TAKES_OLDER,
    check_unordered,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};

const NUMBERS: u64 = Window::MIN_NUMBERS;
const LAST: u64 = (1 << 48) - 1;

/// The law in the order of events, for one thread: what each verdict may be
/// after those before it.
struct Oracle {
    numbers: u64,
    newest: u64,
    delivered: HashSet<u64>,
}

impl Oracle {
    fn new(numbers: u64) -> Self {
        Self {
            numbers,
            newest: 0,
            delivered: HashSet::new(),
        }
    }

    fn check(&mut self, number: u64, verdict: Verdict) -> Result<(), String> {
        self.newest = self.newest.max(number);
        let age = self.newest - number;
        let delivered = self.delivered.contains(&number);
        let lawful = match verdict {
            Verdict::First => !delivered,
            Verdict::Duplicate => delivered,
            Verdict::TooLate => age > self.numbers - 32,
        };
        if !lawful {
            let history = if delivered { "delivered" } else { "never seen" };
            return Err(format!(
                "{number} is {verdict:?}, but was {history} and is {age} old"
            ));
        }
        self.delivered.insert(number);
        Ok(())
    }
}

/// The next number offered, in relation to the newest so far.
#[derive(Clone, Debug)]
enum Step {
    Ahead(u64),
    Behind(u64),
    /// Whole turns of the ring ahead: the same slot and bit again.
    Turns(u64),
    /// A jump to anywhere.
    Absolute(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..4u64).prop_map(Step::Ahead),
        4 => (0..80u64).prop_map(Step::Behind),
        2 => (NUMBERS - 70..NUMBERS + 70).prop_map(Step::Behind),
        2 => (0..3 * NUMBERS).prop_map(Step::Behind),
        2 => (0..3 * NUMBERS).prop_map(Step::Ahead),
        2 => (1..4u64).prop_map(Step::Turns),
        1 => (0..2 * NUMBERS).prop_map(Step::Absolute),
        1 => (LAST - 3 * NUMBERS..=LAST).prop_map(Step::Absolute),
    ]
}

/// Where the numbering starts: at the beginning, anywhere, close to the end.
fn base() -> impl Strategy<Value = u64> {
    prop_oneof![0..100u64, 0..=LAST, LAST - 2 * NUMBERS..=LAST]
}

fn steps() -> impl Strategy<Value = (u64, Vec<Step>)> {
    (base(), prop::collection::vec(step(), 1..200))
}

/// The numbers that the steps lead to, all of at most 48 bits.
fn numbers(base: u64, steps: &[Step]) -> Vec<u64> {
    let mut newest = base;
    let mut numbers = vec![base];
    for step in steps {
        let number = match *step {
            Step::Ahead(by) => newest + by,
            Step::Behind(by) => newest.saturating_sub(by),
            Step::Turns(turns) => newest + turns * NUMBERS,
            Step::Absolute(number) => number,
        };
        numbers.push(number.min(LAST));
        newest = newest.max(number.min(LAST));
    }
    numbers
}

/// The property: every verdict of a run of numbers is lawful.
fn obeys_the_law<W: Elimination>(base: u64, steps: &[Step]) -> Result<(), TestCaseError> {
    let window = W::new(NUMBERS);
    let mut oracle = Oracle::new(NUMBERS);
    for number in numbers(base, steps) {
        oracle
            .check(number, window.observe(number))
            .map_err(TestCaseError::fail)?;
    }
    Ok(())
}

fn search<W: Elimination>(mut runner: TestRunner) -> Result<(), TestError<(u64, Vec<Step>)>> {
    runner.run(&steps(), |(base, steps)| obeys_the_law::<W>(base, &steps))
}

fn config() -> Config {
    Config {
        cases: 500,
        failure_persistence: None,
        ..Config::default()
    }
}

#[test]
fn agrees_with_a_set() {
    search::<Window>(TestRunner::new(config())).unwrap();
    search::<Alone>(TestRunner::new(config())).unwrap();
}

#[test]
fn the_property_finds_faults() {
    fn found<W: Elimination>() -> bool {
        let runner = TestRunner::deterministic();
        matches!(search::<W>(runner), Err(TestError::Fail(..)))
    }
    assert!(found::<Broken<NO_BLOCK_CHECK>>());
    assert!(found::<Broken<KEEPS_BITS>>());
    assert!(found::<Broken<TAKES_OLDER>>());
    // These are right as long as there is one thread; loom finds them.
    assert!(!found::<Broken<FETCH_OR>>());
    assert!(!found::<Broken<PLAIN_STORE>>());
}

proptest! {
    #![proptest_config(config())]

    /// A burst says what the same numbers one by one say.
    #[test]
    fn burst_equals_single((base, steps) in steps(), burst in 1..70usize) {
        let (single, bursts) = (Window::new(NUMBERS), Window::new(NUMBERS));
        let alone = <Alone as Elimination>::new(NUMBERS);
        for numbers in numbers(base, &steps).chunks(burst) {
            let expected: Vec<_> = numbers.iter().map(|&number| single.observe(number)).collect();
            prop_assert_eq!(&Elimination::observe_burst(&bursts, numbers), &expected);
            prop_assert_eq!(alone.observe_burst(numbers), expected);
        }
    }

    /// Numbers that are taken together are those that can be added one by one.
    #[test]
    fn first_numbers_are_grouped_as_one_by_one((base, steps) in steps()) {
        let numbers = numbers(base, &steps);
        let mut rest = &numbers[..];
        while let [first, others @ ..] = rest {
            let (group, count) = Group::of_first(rest);
            let mut expected = Group::of(*first);
            prop_assert!(others[..count - 1].iter().all(|&number| expected.add(number)));
            prop_assert_eq!(group, expected);
            if let Some(&next) = rest.get(count) {
                // More would do so only behind the end of the slot.
                prop_assert!(!expected.add(next) || rest[count - 1] % 32 == 31);
            }
            rest = &rest[count..];
        }
    }

    /// Two epochs have the same numbers and nothing to do with each other.
    #[test]
    fn epochs_are_apart((base, steps) in steps(), turns in prop::collection::vec(any::<bool>(), 200)) {
        let windows = [Window::new(NUMBERS), Window::new(2 * NUMBERS)];
        let mut oracles = [Oracle::new(NUMBERS), Oracle::new(2 * NUMBERS)];
        for (number, turn) in numbers(base, &steps).into_iter().zip(turns) {
            let epoch = usize::from(turn);
            let verdict = windows[epoch].observe(number);
            oracles[epoch].check(number, verdict).map_err(TestCaseError::fail)?;
        }
    }
}

#[test]
fn number_zero_is_delivered_once() {
    let window = Window::new(NUMBERS);
    assert_eq!(window.observe(0), Verdict::First);
    assert_eq!(window.observe(0), Verdict::Duplicate);
    assert_eq!(window.observe(31), Verdict::First);
}

#[test]
fn edge_of_the_window() {
    let window = Window::new(NUMBERS);
    let newest = 10 * NUMBERS + 31;
    assert_eq!(window.observe(newest), Verdict::First);
    // The slot of the newest holds its 32 numbers and no older ones.
    assert_eq!(window.observe(newest - 31), Verdict::First);
    assert_eq!(window.observe(newest - NUMBERS), Verdict::TooLate);
    assert_eq!(window.observe(newest - NUMBERS + 1), Verdict::First);
    assert_eq!(window.observe(newest - NUMBERS + 32), Verdict::First);
    assert_eq!(window.observe(newest - NUMBERS + 32), Verdict::Duplicate);
}

#[test]
fn last_number_of_an_epoch() {
    for size in [Window::MIN_NUMBERS, Window::MAX_NUMBERS] {
        let window = Window::new(size);
        assert_eq!(window.observe(LAST), Verdict::First);
        assert_eq!(window.observe(LAST), Verdict::Duplicate);
        assert_eq!(window.observe(LAST - (size - 32)), Verdict::First);
        assert_eq!(window.observe(LAST + 1), Verdict::TooLate);
        assert_eq!(window.observe(u64::MAX), Verdict::TooLate);
        assert_eq!(window.observe(LAST), Verdict::Duplicate);
    }
}

#[test]
fn sizes() {
    assert_eq!(Window::new(1 << 18).numbers(), 1 << 18);
    assert_eq!(Window::new(0).numbers(), Window::MIN_NUMBERS);
    assert_eq!(Window::new((1 << 18) + 1).numbers(), 1 << 19);
    assert_eq!(Window::new(u64::MAX).numbers(), Window::MAX_NUMBERS);
    assert_eq!(Window::memory_octets(1 << 18), 1 << 16);
    assert_eq!(Window::memory_octets(u64::MAX), 1 << 22);
    assert!(format!("{:?}", Window::new(1 << 18)).len() < 50);
}

#[test]
fn a_group_takes_its_own_numbers_once() {
    let mut group = Group::of(40);
    assert!(group.add(63) && group.add(32));
    assert!(!group.add(40), "in it already");
    assert!(!group.add(64) && !group.add(31), "of another group");
    let (index, bits) = (1, 1 << 8 | 1 << 31 | 1);
    assert_eq!(group, Group { index, bits });
    let window = Window::new(NUMBERS);
    assert_eq!(window.observe(63), Verdict::First);
    let verdicts = window.mark(group, Access::Shared);
    assert_eq!(verdicts.first(), 1 << 8 | 1);
    assert_eq!(
        [32, 40, 63].map(|number| verdicts.of(number)),
        [Verdict::First, Verdict::First, Verdict::Duplicate]
    );
    window.observe(63 + 4 * NUMBERS);
    assert_eq!(window.mark(group, Access::Shared), Verdicts::TOO_LATE);
    assert!(Verdicts::TOO_LATE.too_late() && Verdicts::TOO_LATE.of(63) == Verdict::TooLate);
}

#[test]
fn consecutive_numbers_are_grouped_up_to_the_end_of_their_slot() {
    for first in (0..70).chain(LAST - 40..=LAST) {
        let numbers: Vec<u64> = (first..first + 40).collect();
        for most in 1..=numbers.len() {
            let count = most.min(32 - first as usize % 32);
            let index = first / 32;
            let bits = numbers[..count]
                .iter()
                .fold(0, |bits, number| bits | 1 << (number % 32));
            assert_eq!(
                Group::of_first(&numbers[..most]),
                (Group { index, bits }, count),
                "{most} from {first} on"
            );
        }
    }
    assert_eq!(Group::of_first(&[]).1, 0);
}

/// Four threads offer the same numbers, singly and in bursts. The one that is
/// ahead has offered all numbers below, so each is delivered once, whatever
/// the scheduler does.
#[test]
fn threads_deliver_each_number_once() {
    const COUNT: usize = 300_000;
    let window = Window::new(NUMBERS);
    let delivered: Vec<AtomicU32> = (0..COUNT).map(|_| AtomicU32::new(0)).collect();
    let count = |number: u64, verdict| {
        if verdict == Verdict::First {
            delivered[number as usize].fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        for burst in [1, 7, 32, 32] {
            let (window, count) = (&window, &count);
            scope.spawn(move || {
                let numbers: Vec<u64> = (0..COUNT as u64).collect();
                for numbers in numbers.chunks(burst) {
                    let verdicts = Elimination::observe_burst(window, numbers);
                    for (&number, verdict) in numbers.iter().zip(verdicts) {
                        count(number, verdict);
                    }
                }
            });
        }
    });
    for (number, times) in delivered.iter().enumerate() {
        assert_eq!(times.load(Ordering::Relaxed), 1, "number {number}");
    }
}

#[test]
fn the_unordered_law_finds_faults() {
    let found = |log: &'static [(u64, Verdict)]| {
        std::panic::catch_unwind(|| check_unordered(log, NUMBERS)).is_err()
    };
    assert!(!found(&[(1, Verdict::First), (1, Verdict::Duplicate)]));
    assert!(found(&[(1, Verdict::First), (1, Verdict::First)]));
    assert!(found(&[(1, Verdict::Duplicate)]));
    assert!(found(&[(1, Verdict::First), (1, Verdict::TooLate)]));
}
