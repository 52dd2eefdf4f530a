//! What a link brought, read while it is written, over all interleavings:
//! `RUSTFLAGS="--cfg loom" cargo test -p dataplane --release --test loom_arrivals`.
#![cfg(loom)]

use std::collections::BTreeMap;

use dataplane::arrivals::{Arrivals, GROUP_NUMBERS};
use dataplane::window::Group;
use loom::sync::Arc;
use loom::thread;

/// Notes these numbers before, and then the others while they are read twice: never does the reader find what did not
/// come, nor miss what came before or what it found before, unless it is told that newer numbers took its place.
fn model(before: &'static [u64], meanwhile: &'static [u64]) {
    loom::model(move || {
        let arrivals = Arc::new(Arrivals::new(7));
        let note = |arrivals: &Arrivals, numbers: &[u64]| {
            for &number in numbers {
                arrivals.note(Group::of(number));
            }
        };
        note(&arrivals, before);
        let reader = thread::spawn({
            let arrivals = Arc::clone(&arrivals);
            move || {
                let mut sure = noted(before);
                for _ in 0..2 {
                    check(&arrivals, &mut sure, before, meanwhile);
                }
            }
        });
        note(&arrivals, meanwhile);
        reader.join().expect("the reader does not panic");
        let mut sure = noted(&[before, meanwhile].concat());
        check(&arrivals, &mut sure, before, meanwhile);
    });
}

fn noted(numbers: &[u64]) -> BTreeMap<u64, u32> {
    let mut groups = BTreeMap::new();
    for &number in numbers {
        *groups.entry(number / GROUP_NUMBERS).or_default() |= 1 << (number % GROUP_NUMBERS);
    }
    groups
}

/// Reads once. What is in `sure` came for sure, and so does what this finds from now on.
fn check(arrivals: &Arrivals, sure: &mut BTreeMap<u64, u32>, before: &[u64], meanwhile: &[u64]) {
    let all = noted(&[before, meanwhile].concat());
    let end = arrivals.end_group();
    for group in end.saturating_sub(Arrivals::GROUPS)..end {
        let Some(found) = arrivals.numbers(group) else {
            continue;
        };
        let came = all.get(&group).copied().unwrap_or(0);
        assert_eq!(found & !came, 0, "group {group}");
        let known = sure.get(&group).copied().unwrap_or(0);
        assert_eq!(known & !found, 0, "group {group} of {end}");
        *sure.entry(group).or_default() |= found;
    }
}

#[test]
fn the_next_group() {
    model(&[1], &[2, 33]);
}

#[test]
fn a_group_after_a_gap() {
    model(&[1, 33], &[34, 97]);
}

#[test]
fn the_same_slot_again() {
    model(&[1, 33], &[65, 66]);
}

#[test]
fn numbers_before_the_newest_group() {
    model(&[33], &[2, 34, 3]);
}

#[test]
fn the_first_numbers() {
    model(&[], &[0, 1, 32]);
}
