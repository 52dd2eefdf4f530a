//! A set with `ordering`: what was sent in order leaves in order.

use std::time::Duration;

use benches::emulator::Direction;
use benches::lab::{Lab, LabConfig, Site};
use benches::status::Ordering;
use benches::traffic::FlowReport;

use super::{
    Traffic, assert_honest, assert_nothing_lost_nothing_twice, config, patient, running, sleep,
};
use super::{drops_of, status};

const PACKETS_PER_S: u32 = 2_000;
const SECONDS: f64 = 6.0;

/// Links of 10, 30 and 60 ms, the last of which loses nothing.
fn uneven(set_words: &str) -> LabConfig {
    let links = [
        "delay=10ms jitter=1ms",
        "delay=30ms jitter=1ms",
        "delay=60ms",
    ];
    LabConfig {
        links: links.map(|words| words.parse().expect("words")).to_vec(),
        are_lans_ordered: true,
        set_words: (!set_words.is_empty()).then(|| set_words.to_owned()),
        ..config()
    }
}

/// Traffic both ways on which the lines lose what is said once they have been quiet for a while: the skew is known then, and the
/// first packet, before which nothing can be waited for, has come. The last packets are not lost: nothing would come after them
/// by which a link shows that it has passed a gap.
fn traffic_with_losses(lab: &mut Lab, losses: &[(usize, &str)]) -> [FlowReport; 2] {
    let traffic = Traffic::start(lab, PACKETS_PER_S);
    sleep(3.0);
    for (link, words) in losses {
        lab.change_link(*link, Direction::Both, words).unwrap();
    }
    sleep(SECONDS);
    for (link, _) in losses {
        lab.change_link(*link, Direction::Both, "loss=0%").unwrap();
    }
    sleep(0.5);
    traffic.stop()
}

fn ordering(lab: &Lab, site: Site) -> Ordering {
    let ordering = status(lab, site).sets[0].ordering;
    ordering.expect("the set has ordering")
}

/// No packet after a later one, and no gap given up that was then filled.
fn assert_in_order(lab: &Lab, reports: &[FlowReport; 2]) {
    for (site, report) in Site::BOTH.into_iter().zip(reports) {
        let ordering = ordering(lab, site.other());
        println!("to {}: {ordering:?}", site.other().name());
        assert_eq!(report.out_of_order, 0, "{ordering:?}\n{}", drops_of(lab));
        assert_eq!(ordering.late_packets, 0, "{ordering:?}");
        assert_eq!(ordering.no_room_gaps, 0, "{ordering:?}");
        assert_eq!(ordering.waiting_packets, 0, "{ordering:?}");
        assert!(ordering.held_packets > 1_000, "{ordering:?}");
    }
}

/// The same lines disturb the order when nobody asks for it: what the tests below find is there.
#[test]
fn without_ordering_packets_overtake() {
    let mut lab = running(uneven(""));
    let reports = traffic_with_losses(&mut lab, &[(1, "loss=5%")]);
    assert_nothing_lost_nothing_twice(&lab, &reports);
    for report in reports {
        assert!(report.out_of_order > 200, "{}", report.out_of_order);
    }
    for site in Site::BOTH {
        assert_eq!(status(&lab, site).sets[0].ordering, None);
    }
}

/// What the first link loses comes 20 ms later over the second, and is waited for as long as such copies take in 99 of 100
/// cases, though the file allows much more.
#[test]
fn packets_wait_for_the_next_best_link_and_no_longer() {
    let mut lab = running(uneven("ordering: { max-delay: 500ms }"));
    let reports = traffic_with_losses(&mut lab, &[(1, "loss=5%")]);
    assert_nothing_lost_nothing_twice(&lab, &reports);
    for (site, report) in Site::BOTH.into_iter().zip(&reports) {
        let ordering = ordering(&lab, site.other());
        println!("to {}: {ordering:?}", site.other().name());
        // Of 600: one in 100 takes longer, and more on a machine that has other things to do.
        assert!(report.out_of_order <= 30, "{}", report.out_of_order);
        assert_eq!(report.out_of_order, ordering.late_packets);
        assert!((20_000..60_000).contains(&ordering.hold_us), "{ordering:?}");
        assert!(
            report.latency.p999 < Duration::from_millis(75),
            "{report:?}"
        );
    }
}

/// Some are lost by the first two links at once, and the third is waited for.
fn in_order_over_three(config: LabConfig) {
    let mut lab = running(config);
    let reports = traffic_with_losses(&mut lab, &[(1, "loss=10%"), (2, "loss=10%")]);
    assert_nothing_lost_nothing_twice(&lab, &reports);
    assert_in_order(&lab, &reports);
}

const PATIENT: &str = "ordering: { max-delay: 500ms, adaptive: false }";

#[test]
fn packets_leave_in_order_behind_the_copies_of_the_slowest_link() {
    in_order_over_three(uneven(PATIENT));
}

/// Copies arrive at either worker, and one puts them in order.
#[test]
fn packets_that_arrive_at_two_workers_leave_in_order() {
    in_order_over_three(LabConfig {
        workers: Some(2),
        queues: Some(2),
        ..uneven(PATIENT)
    });
}

/// A gap that no link fills is over when the slowest has passed it; the time that the file allows is not waited for.
#[test]
fn what_every_link_lost_is_not_waited_for() {
    // Of the echoes a third is lost.
    let mut lab = running(patient(uneven(PATIENT)));
    let lossy = lab.links().map(|link| (link, "loss=20%"));
    let reports = traffic_with_losses(&mut lab, &lossy.collect::<Vec<_>>());
    reports.iter().for_each(assert_honest);
    assert_in_order(&lab, &reports);
    for (site, report) in Site::BOTH.into_iter().zip(&reports) {
        let ordering = ordering(&lab, site.other());
        println!("lost {}, {:?}", report.lost(), report.latency);
        assert!(report.lost() > 40, "{}", report.lost());
        assert!(ordering.lost_gaps > 40, "{ordering:?}");
        assert_eq!(ordering.timed_out_gaps, 0, "{ordering:?}");
        assert!(
            report.latency.most < Duration::from_millis(200),
            "{report:?}"
        );
    }
}

/// Packets behind a gap that nobody fills leave when `max-delay` is over, not when the worker happens to wake up: it sleeps
/// between packets as rare as these.
#[test]
fn a_gap_is_given_up_on_time() {
    const MAX_DELAY_US: u64 = 20_000;
    let mut lab = running(LabConfig {
        // The links that stand still are not to be given up.
        edits: vec![("lcp-timeout: 5".to_owned(), "lcp-timeout: 60".to_owned())],
        ..uneven("ordering: { max-delay: 20ms, adaptive: false }")
    });
    let traffic = Traffic::start(&lab, 25);
    sleep(1.0);
    for (link, words) in [(2, "stall=on"), (3, "stall=on"), (1, "loss=30% jitter=0ms")] {
        lab.change_link(link, Direction::Both, words).unwrap();
    }
    sleep(16.0);
    for (site, report) in Site::BOTH.into_iter().zip(traffic.stop()) {
        assert_honest(&report);
        let ordering = ordering(&lab, site.other());
        println!("{:?}\n{ordering:?}", report.latency);
        assert!(ordering.timed_out_gaps > 40, "{ordering:?}");
        let late_us = ordering.mean_held_us.checked_sub(MAX_DELAY_US);
        let late_us = late_us.expect("nothing leaves before its time");
        println!("given up {late_us} us late in the mean");
        assert!(late_us < 1_000, "{late_us} us");
    }
}
