//! What `status` says of links and sets, against the emulators' own books.

use std::time::{Duration, Instant};

use benches::emulator::Direction;
use benches::lab::{Lab, LabConfig, Site};
use benches::wan::DirectionStats;

use super::{Traffic, assert_honest, config, patient, running, sleep, status};

/// From a packet to settled figures: a report, and what settles after it.
const SETTLE_S: f64 = 4.5;

/// What an emulator did to frames towards a site.
fn towards(lab: &Lab, site: Site, link: usize) -> DirectionStats {
    let stats = lab.link_stats(link).expect("the emulator answers");
    match site.other().outbound() {
        Direction::AToB => stats.a_b,
        _ => stats.b_a,
    }
}

/// Every figure of every link and set, both ways.
fn assert_books_agree(lab: &Lab, [from_head, from_remote]: [u64; 2]) {
    for (site, lost_by_flow) in Site::BOTH.into_iter().zip([from_remote, from_head]) {
        let (ours, theirs) = (status(lab, site), status(lab, site.other()));
        let mut most = 0;
        for link in lab.links() {
            let (of, peer) = (ours.link(link).unwrap(), theirs.link(link).unwrap());
            let stats = towards(lab, site, link);
            assert_eq!(stats.kernel_drops, 0, "the measurement is worthless");
            let line = stats.path.ha_data;
            println!("{} link {link}: {line:?}\n{of:?}", site.name());
            assert_eq!(peer.sent_packets, line.received, "handed over");
            assert_eq!(of.peer.sent_packets, line.received, "as the peer reports");
            assert_eq!(of.lost_packets, line.lost, "lost");
            assert_eq!(of.duplicated_packets, line.duplicated, "doubled");
            assert_eq!(of.unique_packets, line.received - line.lost, "arrived");
            assert_eq!(of.received_packets, line.forwarded, "with those doubled");
            assert_eq!((of.unknown_packets, of.too_late), (0, 0));
            assert_eq!(of.wins + of.duplicates, of.received_packets);
            most = most.max(of.unique_packets);
        }
        let (set, sender) = (&ours.sets[0], &theirs.sets[0]);
        assert_eq!(
            set.delivered_packets + set.lost_packets,
            sender.sent_packets
        );
        assert_eq!(set.saved_packets, set.delivered_packets - most);
        assert_eq!(set.unknown_packets, 0);
        assert_eq!(set.lost_packets, lost_by_flow, "lost by all links at once");
    }
}

fn the_books_agree(config: LabConfig) {
    let mut lab = running(patient(config));
    for (link, words) in [
        (1, "loss=3% duplicate=2% reorder=5% reorder-by=20ms"),
        (2, "burst-loss=8% burst-length=12 duplicate=5%"),
        (3, "loss=20% jitter=4ms reorder=10% reorder-by=30ms"),
    ] {
        lab.change_link(link, Direction::Both, words).unwrap();
    }
    let traffic = Traffic::start(&lab, 1500);
    sleep(12.0);
    for link in lab.links() {
        lab.change_link(link, Direction::Both, "loss=0% burst-loss=0% duplicate=0%")
            .unwrap();
    }
    let reports = traffic.stop();
    reports.iter().for_each(assert_honest);
    sleep(SETTLE_S);
    let [from_head, from_remote] = reports.map(|report| report.lost());
    assert!(from_head + from_remote > 0, "some were lost by all links");
    assert_books_agree(&lab, [from_head, from_remote]);
}

#[test]
fn the_books_agree_with_the_emulators_to_the_packet() {
    the_books_agree(config());
}

#[test]
fn the_books_of_two_workers_agree_with_the_emulators_to_the_packet() {
    the_books_agree(LabConfig {
        workers: Some(2),
        queues: Some(2),
        ..config()
    });
}

/// A cut that the sessions live through: every copy of it is counted, and how long it was.
#[test]
fn an_outage_is_counted_to_the_packet_and_measured() {
    let mut lab = running(patient(config()));
    let traffic = Traffic::start(&lab, 1000);
    sleep(2.0);
    lab.set_outage(2, true).unwrap();
    let began = Instant::now();
    sleep(6.0);
    lab.set_outage(2, false).unwrap();
    let lasted = began.elapsed();
    sleep(2.0);
    let reports = traffic.stop();
    sleep(SETTLE_S);
    assert_books_agree(&lab, reports.map(|report| report.lost()));
    for site in Site::BOTH {
        let measured = status(&lab, site).link(2).unwrap().longest_outage_ms;
        let error = Duration::from_millis(measured).abs_diff(lasted);
        println!("{}: {measured} ms of {lasted:?}", site.name());
        assert!(
            error < Duration::from_millis(250),
            "{measured} ms of {lasted:?}"
        );
    }
}

/// The skew of each link is the difference of the delays.
#[test]
fn skew_is_the_difference_in_delay() {
    let mut lab = running(patient(config()));
    for (link, delay_ms) in [(1, 10), (2, 35), (3, 90)] {
        let words = format!("delay={delay_ms}ms jitter=0ms");
        lab.change_link(link, Direction::Both, &words).unwrap();
    }
    let traffic = Traffic::start(&lab, 2000);
    sleep(8.0);
    traffic.stop();
    sleep(1.5);
    for site in Site::BOTH {
        let status = status(&lab, site);
        for (link, expected_ms) in [(1, 0), (2, 25), (3, 80)] {
            let skew = status.link(link).unwrap().skew;
            println!("{} link {link}: {skew:?}", site.name());
            let mean_ms = skew.mean_us.expect("it was measured") as f64 / 1000.0;
            assert!(
                (mean_ms - f64::from(expected_ms)).abs() < 4.0,
                "link {link}: {skew:?}"
            );
        }
    }
}

/// Both ends' links with an alarm.
fn alarmed(lab: &Lab) -> [Vec<usize>; 2] {
    Site::BOTH.map(|site| {
        let status = status(lab, site);
        let alarm = |&link: &usize| status.link(link).is_some_and(|it| it.alarm.is_some());
        lab.links().filter(alarm).collect()
    })
}

fn wait_for_alarms(lab: &Lab, expected: &[usize], limit: Duration) -> Duration {
    let began = Instant::now();
    while alarmed(lab).iter().any(|links| links != expected) {
        assert!(
            began.elapsed() < limit,
            "{:?} after {limit:?}",
            alarmed(lab)
        );
        sleep(0.02);
    }
    began.elapsed()
}

/// LCP echoes are answered and the copies vanish: known at both ends within three seconds, and over by itself.
#[test]
fn a_link_that_is_up_and_delivers_nothing_raises_an_alarm() {
    let mut lab = running(config());
    for packets_per_s in [None, Some(500)] {
        let traffic = packets_per_s.map(|rate| Traffic::start(&lab, rate));
        sleep(4.0);
        assert!(alarmed(&lab).iter().all(Vec::is_empty));
        lab.change_link(2, Direction::Both, "ha-outage=on").unwrap();
        let raised = wait_for_alarms(&lab, &[2], Duration::from_secs(3));
        println!("with {packets_per_s:?} packets a second: alarm after {raised:?}");
        sleep(8.0);
        for site in Site::BOTH {
            assert_eq!(status(&lab, site).live_links(), [1, 2, 3], "it stays up");
        }
        lab.change_link(2, Direction::Both, "ha-outage=off")
            .unwrap();
        let over = wait_for_alarms(&lab, &[], Duration::from_millis(1500));
        println!("with {packets_per_s:?} packets a second: over after {over:?}");
        for report in traffic.into_iter().flat_map(Traffic::stop) {
            assert_eq!(report.lost(), 0);
        }
    }
}
