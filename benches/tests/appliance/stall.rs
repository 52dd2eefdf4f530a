//! A link that stands still, is slow or takes nothing more costs the others nothing, not even time.

use std::ops::Range;
use std::time::{Duration, Instant};

use benches::emulator::Direction;
use benches::lab::{Lab, LabConfig, Site};
use benches::traffic::FlowReport;

use super::{Traffic, assert_nothing_lost_nothing_twice, config, dropped, running, sleep, status};

const PACKETS_PER_S: u32 = 2_000;
const CYCLES: u32 = 3;
const PHASE_S: f64 = 2.0;
/// What a stall may add: far less than one that is felt would, more than the machine's own unrest.
const MARGIN: Duration = Duration::from_micros(500);

/// The first link is the fastest, without jitter; what happens to the others must not show.
fn steady() -> LabConfig {
    let links = ["delay=20ms", "delay=40ms", "delay=60ms"];
    LabConfig {
        links: links.map(|words| words.parse().expect("words")).to_vec(),
        ..config()
    }
}

/// Lets a disturbance come and go; says when it was there, counted from the start of the traffic.
fn disturb(
    lab: &mut Lab,
    disturb: impl Fn(&mut Lab, bool),
) -> ([FlowReport; 2], Vec<Range<Duration>>) {
    let traffic = Traffic::start(lab, PACKETS_PER_S);
    let started = Instant::now();
    let mut disturbed = Vec::new();
    for _ in 0..CYCLES {
        sleep(PHASE_S);
        let from = started.elapsed();
        disturb(lab, true);
        sleep(PHASE_S);
        disturb(lab, false);
        disturbed.push(from..started.elapsed());
    }
    (traffic.stop(), disturbed)
}

/// The longest latency in each tenth of a second, apart for those that were disturbed, ascending.
fn longest(report: &FlowReport, disturbed: &[Range<Duration>]) -> [Vec<Duration>; 2] {
    let mut longest = [Vec::new(), Vec::new()];
    let step_length = Duration::from_millis(100);
    for (at, step) in report.timeline.steps().filter(|(_, step)| step.packets > 0) {
        let is_disturbed = disturbed
            .iter()
            .any(|range| range.start < at + step_length && at < range.end + step_length);
        longest[usize::from(is_disturbed)].push(step.longest_latency);
    }
    longest.each_mut().map(|values| {
        values.sort_unstable();
        std::mem::take(values)
    })
}

/// Most of what was disturbed took no longer than the slower of what was not.
fn assert_not_felt(reports: &[FlowReport; 2], disturbed: &[Range<Duration>]) {
    for report in reports {
        let [calm, disturbed] = longest(report, disturbed);
        let at = |values: &[Duration], tenths: usize| values[values.len() * tenths / 10];
        println!(
            "longest of each 100 ms, median and 90 %: {:?} {:?} undisturbed, {:?} {:?} disturbed",
            at(&calm, 5),
            at(&calm, 9),
            at(&disturbed, 5),
            at(&disturbed, 9)
        );
        assert!(disturbed.len() >= 50 && calm.len() >= 50);
        assert!(at(&disturbed, 5) <= at(&calm, 9) + MARGIN);
    }
}

#[test]
fn a_link_that_stands_still_is_not_felt() {
    let mut lab = running(steady());
    let (reports, disturbed) = disturb(&mut lab, |lab, is_stalled| {
        let words = if is_stalled { "stall=on" } else { "stall=off" };
        lab.change_link(2, Direction::Both, words).unwrap();
    });
    assert_nothing_lost_nothing_twice(&lab, &reports);
    assert_not_felt(&reports, &disturbed);
    // What had waited came at last, and was known to be late.
    for site in Site::BOTH {
        let status = status(&lab, site);
        let link = status.link(2).expect("the link lived through it");
        assert!(link.received_packets > 15_000, "{link:?}");
        assert!(link.wins < link.received_packets / 20, "{link:?}");
    }
}

#[test]
fn a_link_whose_interface_takes_no_more_is_not_felt() {
    let mut lab = running(steady());
    let (reports, disturbed) = disturb(&mut lab, |lab, is_blocked| {
        for site in Site::BOTH {
            lab.set_transmit_blocked(2, site, is_blocked).unwrap();
        }
    });
    assert_nothing_lost_nothing_twice(&lab, &reports);
    assert_not_felt(&reports, &disturbed);
    for site in Site::BOTH {
        let status = status(&lab, site);
        let refused = dropped(&status, "isp2", "tx-ring-full");
        assert!(refused > 1_000, "the TX ring was full: {refused}");
        for port in ["isp1", "isp3"] {
            assert_eq!(dropped(&status, port, "tx-ring-full"), 0, "{port}");
        }
    }
}

#[test]
fn a_link_of_unsteady_delay_is_not_felt() {
    let mut lab = running(steady());
    let (reports, disturbed) = disturb(&mut lab, |lab, is_unsteady| {
        let words = if is_unsteady {
            "delay=240ms jitter=200ms"
        } else {
            "delay=40ms jitter=0ms"
        };
        lab.change_link(2, Direction::Both, words).unwrap();
    });
    assert_nothing_lost_nothing_twice(&lab, &reports);
    assert_not_felt(&reports, &disturbed);
}

/// When it is the fastest that stands still, its packets take the time of the next best, and no more.
#[test]
fn when_the_fastest_stands_still_the_next_best_counts() {
    let mut lab = running(steady());
    let (reports, disturbed) = disturb(&mut lab, |lab, is_stalled| {
        let words = if is_stalled { "stall=on" } else { "stall=off" };
        lab.change_link(1, Direction::Both, words).unwrap();
    });
    assert_nothing_lost_nothing_twice(&lab, &reports);
    for report in &reports {
        let [calm, stalled] = longest(report, &disturbed);
        let median = |values: &[Duration]| values[values.len() / 2].as_millis();
        println!(
            "median of the longest of 100 ms: {} ms, {} ms",
            median(&calm),
            median(&stalled)
        );
        // 20 ms on a machine that does nothing else.
        let added = median(&stalled).saturating_sub(median(&calm));
        assert!((5..=30).contains(&added), "{added} ms");
    }
}
