//! The elimination window over all interleavings of its atomics:
//! `RUSTFLAGS="--cfg loom" cargo test -p dataplane --release --test loom_window`.
#![cfg(loom)]

mod elimination;
mod hand_over;

use dataplane::window::{Verdict, Window};
use elimination::{
    Alone, Broken, Elimination, FETCH_OR, KEEPS_BITS, NO_BLOCK_CHECK, PLAIN_STORE, TAKES_OLDER,
    check_unordered,
};
use hand_over::Fault;
use loom::sync::Arc;
use loom::thread;

/// Two slots: the same slot comes round every 64 numbers.
const NUMBERS: u64 = 64;

type Log = Vec<(u64, Verdict)>;

/// What one thread does.
#[derive(Clone, Copy)]
enum Step {
    One(u64),
    Burst(&'static [u64]),
}
use Step::{Burst, One};

fn run<W: Elimination>(window: &W, steps: &[Step]) -> Log {
    let mut log = Vec::new();
    for step in steps {
        match *step {
            One(number) => log.push((number, window.observe(number))),
            Burst(numbers) => {
                let verdicts = window.observe_burst(numbers);
                log.extend(numbers.iter().copied().zip(verdicts));
            }
        }
    }
    log
}

/// Runs `before`, then `threads` at once, then `after`, in every interleaving,
/// and holds what was seen after each part to the law.
fn model<W: Elimination>(
    before: &'static [Step],
    threads: &'static [&'static [Step]],
    after: &'static [Step],
) {
    loom::model(move || {
        let window = Arc::new(W::new(NUMBERS));
        let mut log = run(&*window, before);
        check_unordered(&log, NUMBERS);
        let (own, others) = threads.split_first().expect("a model has threads");
        let others: Vec<_> = others
            .iter()
            .map(|steps| {
                let window = Arc::clone(&window);
                thread::spawn(move || run(&*window, steps))
            })
            .collect();
        log.extend(run(&*window, own));
        for thread in others {
            log.extend(thread.join().expect("the thread does not panic"));
        }
        check_unordered(&log, NUMBERS);
        log.extend(run(&*window, after));
        check_unordered(&log, NUMBERS);
    });
}

/// Copies of one number arrive at once on three workers.
fn same_number<W: Elimination>() {
    model::<W>(&[], &[&[One(7)], &[One(7)], &[One(7)]], &[One(7)]);
}

/// A worker recycles a slot while another marks an older number in it. The
/// older number has the bit of a number that comes later.
fn recycling<W: Elimination>() {
    model::<W>(
        &[One(1)],
        &[&[One(2)], &[One(65)]],
        &[One(66), One(65), One(67)],
    );
}

/// Three turns of the ring meet in one bit of one slot.
fn three_blocks<W: Elimination>() {
    model::<W>(
        &[],
        &[&[One(2)], &[One(66)], &[One(130)]],
        &[One(130), One(131)],
    );
}

/// Both workers jump, to different places, and go on there.
fn jumps<W: Elimination>() {
    model::<W>(
        &[One(0), One(33)],
        &[
            &[One(3), One(64_003), One(64_004)],
            &[One(323), One(64_003)],
        ],
        &[One(64_005), One(63_975), One(64_004)],
    );
}

/// A burst across two slots, of numbers that arrive one by one elsewhere.
fn burst_and_single<W: Elimination>() {
    model::<W>(
        &[],
        &[
            &[Burst(&[30, 31, 32, 31, 33])],
            &[One(33), One(31), One(30)],
        ],
        &[One(32), One(34)],
    );
}

/// Two bursts that overlap, one of which recycles the slot of the other's end.
fn two_bursts<W: Elimination>() {
    model::<W>(
        &[],
        &[&[Burst(&[62, 63, 64, 65])], &[Burst(&[1, 62, 63, 64])]],
        &[Burst(&[65, 66, 67])],
    );
}

#[test]
fn same_number_at_once() {
    same_number::<Window>();
}

#[test]
fn recycling_races_with_an_older_number() {
    recycling::<Window>();
}

#[test]
fn three_blocks_in_one_bit() {
    three_blocks::<Window>();
}

#[test]
fn jumps_of_two_workers() {
    jumps::<Window>();
}

#[test]
fn burst_against_single_numbers() {
    burst_and_single::<Window>();
}

#[test]
fn burst_against_burst() {
    two_bursts::<Window>();
}

/// The same numbers in two epochs, each with a window of its own.
#[test]
fn two_epochs_side_by_side() {
    loom::model(|| {
        let windows = Arc::new([Window::new(NUMBERS), Window::new(NUMBERS)]);
        let both =
            |windows: &[Window; 2], number| windows.each_ref().map(|window| window.observe(number));
        let other = {
            let windows = Arc::clone(&windows);
            thread::spawn(move || [both(&windows, 5), both(&windows, 69)])
        };
        let mine = both(&windows, 5);
        let [others, newer] = other.join().expect("the thread does not panic");
        for epoch in 0..2 {
            let log = [(5, mine[epoch]), (5, others[epoch]), (69, newer[epoch])];
            check_unordered(&log, NUMBERS);
            // The other thread offered 5 before its own 69.
            assert!(mine[epoch] == Verdict::First || others[epoch] == Verdict::First);
        }
    });
}

/// A sender restarts while copies of its old epoch arrive.
#[test]
fn an_epoch_is_handed_over() {
    hand_over::model(Fault::None);
}

mod faults_are_found {
    use super::*;

    #[test]
    #[should_panic(expected = "was delivered twice")]
    fn each_worker_with_a_window_of_its_own() {
        hand_over::model(Fault::WindowOfEachWorker);
    }

    #[test]
    #[should_panic(expected = "was delivered twice")]
    fn fresh_window_for_the_old_epoch() {
        hand_over::model(Fault::FreshWindow);
    }

    #[test]
    #[should_panic(expected = "was refused but never delivered")]
    fn one_window_for_both_epochs() {
        hand_over::model(Fault::OneWindow);
    }

    #[test]
    #[should_panic(expected = "was refused but never delivered")]
    fn old_epoch_forgotten_at_once() {
        hand_over::model(Fault::OldForgotten);
    }

    #[test]
    #[should_panic(expected = "is inside the window and was called too late")]
    fn peer_released_before_all_workers_know() {
        hand_over::model(Fault::ReleasedEarly);
    }

    /// What one worker may do, two may not.
    #[test]
    #[should_panic(expected = "was delivered twice")]
    fn not_alone() {
        same_number::<Alone>();
    }

    #[test]
    #[should_panic(expected = "was delivered twice")]
    fn plain_store() {
        same_number::<Broken<PLAIN_STORE>>();
    }

    #[test]
    #[should_panic(expected = "was refused but never delivered")]
    fn fetch_or() {
        recycling::<Broken<FETCH_OR>>();
    }

    #[test]
    #[should_panic(expected = "was refused but never delivered")]
    fn no_block_check() {
        three_blocks::<Broken<NO_BLOCK_CHECK>>();
    }

    #[test]
    #[should_panic(expected = "was refused but never delivered")]
    fn bits_kept() {
        recycling::<Broken<KEEPS_BITS>>();
    }

    #[test]
    #[should_panic(expected = "was delivered twice")]
    fn older_block_taken() {
        jumps::<Broken<TAKES_OLDER>>();
    }
}
