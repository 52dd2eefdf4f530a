//! Two data planes, each with one or two workers stepped by hand, joined by
//! links that lose, delay, double, damage and reorder, in virtual time. The
//! law is in `ledger`: a packet that any link delivered is delivered once.
//!
//! A sample of the matrix runs unless HAL2TP_MATRIX is set. All of it, in about a
//! minute on two idle cores:
//!
//! ```sh
//! HAL2TP_MATRIX=1 cargo nextest run --release -p dataplane --test simulation
//! ```
//!
//! HAL2TP_SEEDS multiplies the seeds. A failure says its cell and seed, and
//! `HAL2TP_REPLAY=CELL:SEED cargo test -p dataplane --test simulation -- --ignored`
//! does that again.

mod instance;
mod ledger;
mod link;
#[path = "../machine/mod.rs"]
mod machine;
mod packets;
mod plan;
mod process;
mod scenario;
mod world;

use instance::Fault;
use ledger::Summary;
use scenario::{Loss, Outage, Restart, Scenario};
use world::World;

/// `count` seeds, or as many times more as HAL2TP_SEEDS says.
fn seeds(count: u64) -> std::ops::Range<u64> {
    let times = std::env::var("HAL2TP_SEEDS").map_or(1, |times| {
        times.parse().expect("HAL2TP_SEEDS is a whole number")
    });
    0..count * times
}

fn scenario_passes(scenario: Scenario) -> [Summary; 2] {
    let summaries = World::run(scenario, Fault::None).unwrap_or_else(|problem| {
        let Scenario { cell, seed, .. } = scenario;
        panic!("HAL2TP_REPLAY={cell}:{seed}: {problem}\n{scenario:?}");
    });
    for summary in summaries {
        assert!(summary.delivered > 100, "{summary:?} in {scenario:?}");
    }
    summaries
}

/// The part of the matrix with these restarts; of that a sample, spread over
/// all of it, unless HAL2TP_MATRIX is set.
fn matrix(restart: Restart) {
    let whole = std::env::var_os("HAL2TP_MATRIX").is_some();
    let (stride, count) = if whole { (1, 2) } else { (149, 1) };
    for seed in seeds(count) {
        let scenarios = (0..Scenario::CELLS).map(|cell| Scenario::new(cell, seed));
        let part = scenarios.filter(|it| it.restart == restart);
        for scenario in part.step_by(stride) {
            scenario_passes(scenario);
        }
    }
}

#[test]
fn nobody_restarts() {
    matrix(Restart::None);
}

#[test]
fn the_end_that_dials_restarts() {
    matrix(Restart::Dialling);
}

#[test]
fn the_end_that_is_dialled_restarts() {
    matrix(Restart::Dialled);
}

#[test]
fn both_ends_restart() {
    matrix(Restart::Both);
}

#[test]
fn copies_beyond_the_edge_of_the_window() {
    for seed in seeds(2) {
        let scenario = Scenario {
            skew_ms: 450,
            loss: Loss::Percent(10),
            outage: Outage::None,
            number_gaps: true,
            ..Scenario::new(0, seed)
        };
        let summaries = scenario_passes(scenario);
        assert!(summaries.iter().all(|it| it.too_late > 0), "{summaries:?}");
    }
}

#[test]
#[ignore = "needs HAL2TP_REPLAY=CELL:SEED"]
fn replay() {
    let which = std::env::var("HAL2TP_REPLAY").expect("HAL2TP_REPLAY is set");
    let (cell, seed) = which.split_once(':').expect("CELL:SEED");
    let (cell, seed) = (cell.parse(), seed.parse());
    let scenario = Scenario::new(cell.expect("a cell"), seed.expect("a seed"));
    println!("{scenario:?}: {:?}", scenario_passes(scenario));
}

/// The law is worth what it finds.
mod faults_are_found {
    use super::*;

    /// Enough skew that copies are on their way whatever happens.
    fn quiet(seed: u64) -> Scenario {
        Scenario {
            skew_ms: 450,
            links: 3,
            loss: Loss::Percent(50),
            outage: Outage::None,
            restart: Restart::None,
            noise: false,
            quick_restart: true,
            number_gaps: false,
            ..Scenario::new(0, seed)
        }
    }

    /// With one of some seeds, by these words.
    fn is_found(fault: Fault, words: &str, scenario: impl Fn(u64) -> Scenario) {
        let found = (0..8).map(scenario).find(|&scenario| {
            let found = World::run(scenario, fault).err();
            found.is_some_and(|problem| problem.contains(words))
        });
        scenario_passes(found.expect("a scenario that finds it"));
    }

    #[test]
    fn an_epoch_forgotten_too_soon() {
        is_found(Fault::ForgetsOldEpoch, "never delivered", |seed| Scenario {
            restart: Restart::Dialled,
            ..quiet(seed)
        });
    }

    #[test]
    fn sessions_forgotten_too_soon() {
        is_found(Fault::ForgetsOldSessions, "never delivered", |seed| {
            Scenario {
                restart: Restart::Both,
                ..quiet(seed)
            }
        });
    }

    #[test]
    fn one_window_for_two_epochs() {
        is_found(Fault::OneWindow, "never delivered", |seed| Scenario {
            restart: Restart::Dialled,
            ..quiet(seed)
        });
    }

    #[test]
    fn a_window_emptied_when_its_set_changes() {
        is_found(Fault::FreshWindows, "delivered at [", |seed| Scenario {
            outage: Outage::One,
            ..quiet(seed)
        });
    }

    #[test]
    fn numbers_marked_before_the_copy_is_checked() {
        is_found(Fault::MarksBeforeChecking, "never delivered", |seed| {
            Scenario {
                noise: true,
                ..quiet(seed)
            }
        });
    }
}
