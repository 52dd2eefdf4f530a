//! Links die and come back, or damage what they carry: nothing is lost.

use std::time::{Duration, Instant};

use benches::emulator::Direction;
use benches::lab::{Lab, LabConfig, Site};

use super::{
    Traffic, assert_nothing_lost_nothing_twice, config, dropped, running, sleep, status,
    wait_for_all,
};

const PACKETS_PER_S: u32 = 5_000;
/// Shorter than `lcp-timeout`: the sessions live through it.
const SHORT_S: f64 = 2.0;
/// Longer than `lcp-timeout`: the link is given up and dialled again.
const LONG_S: f64 = 7.0;
/// Between two cuts all links carry.
const PAUSE_S: f64 = 0.5;
const BACK: Duration = Duration::from_secs(15);

/// Each link in turn: frames dropped, cable pulled at either end, emulator killed; then once for long.
fn cut_every_link_in_turn(lab: &mut Lab) {
    for link in lab.links() {
        lab.set_outage(link, true).unwrap();
        sleep(SHORT_S);
        lab.set_outage(link, false).unwrap();
        wait_for_all(lab, BACK);
        sleep(PAUSE_S);

        lab.interface_down(link, Site::Remote).unwrap();
        sleep(SHORT_S);
        lab.interface_up(link, Site::Remote).unwrap();
        wait_for_all(lab, BACK);
        sleep(PAUSE_S);

        lab.kill_emulator(link).unwrap();
        sleep(if link == 2 { LONG_S } else { SHORT_S });
        lab.start_emulator(link).unwrap();
        wait_for_all(lab, BACK);
        sleep(PAUSE_S);
    }
    lab.carrier_down(1, Site::Head).unwrap();
    sleep(LONG_S);
    assert_eq!(
        status(lab, Site::Head).live_links(),
        [2, 3],
        "the dead link is given up"
    );
    lab.carrier_up(1, Site::Head).unwrap();
    wait_for_all(lab, BACK);
}

fn cuts_cost_nothing(config: LabConfig) -> Lab {
    let mut lab = running(config);
    let (traffic, started) = (Traffic::start(&lab, PACKETS_PER_S), Instant::now());
    cut_every_link_in_turn(&mut lab);
    assert!(started.elapsed() >= Duration::from_secs(30));
    let reports = traffic.stop();
    assert_nothing_lost_nothing_twice(&lab, &reports);
    for report in &reports {
        let least = (started.elapsed().as_secs_f64() - 5.0) * f64::from(PACKETS_PER_S) * 0.9;
        assert!(
            report.sent as f64 > least,
            "the traffic kept its pace: {} packets",
            report.sent
        );
    }
    lab
}

#[test]
fn cutting_each_link_in_turn_costs_nothing_with_one_worker() {
    cuts_cost_nothing(config());
}

/// With one queue a port, port number p belongs to worker p mod 2: the second link to one worker, the first and third
/// to the other.
#[test]
fn cutting_each_link_in_turn_costs_nothing_with_two_workers() {
    let lab = cuts_cost_nothing(LabConfig {
        workers: Some(2),
        queues: Some(1),
        ..config()
    });
    for site in Site::BOTH {
        let status = status(&lab, site);
        let worker = |of: usize| {
            status
                .sessions
                .iter()
                .filter_map(|session| session.per_worker.get(of))
                .fold((0, 0), |sum, worker| {
                    (sum.0 + worker.wins, sum.1 + worker.duplicates)
                })
        };
        let [first, second] = [worker(0), worker(1)];
        println!(
            "{}: wins and duplicates by worker: {first:?} {second:?}",
            site.name()
        );
        // A number that was won on one worker and arrived on the other was eliminated there.
        assert!(
            first.0 > 1000 && first.1 > 1000,
            "worker 0 of {}: {first:?}",
            site.name()
        );
        assert!(
            second.0 > 1000 && second.1 > 1000,
            "worker 1 of {}: {second:?}",
            site.name()
        );
    }
}

/// The same with the flows spread over both workers' queues by the kernel.
#[test]
fn two_workers_share_every_port() {
    let lab = running(LabConfig {
        workers: Some(2),
        queues: Some(2),
        ..config()
    });
    let traffic = Traffic::start(&lab, PACKETS_PER_S);
    sleep(10.0);
    let reports = traffic.stop();
    assert_nothing_lost_nothing_twice(&lab, &reports);
    // No link lost anything either, and the books of both ends agree to the packet.
    let [head, remote] = Site::BOTH.map(|site| status(&lab, site));
    for (from, to, report) in [(&head, &remote, &reports[0]), (&remote, &head, &reports[1])] {
        for link in lab.links() {
            let (sender, receiver) = (from.link(link).unwrap(), to.link(link).unwrap());
            assert!(
                sender.sent_packets >= report.sent,
                "link {link}: {sender:?}"
            );
            assert_eq!(
                sender.sent_packets, receiver.received_packets,
                "link {link}"
            );
            assert_eq!(
                receiver.wins + receiver.duplicates,
                receiver.received_packets,
                "link {link}: {receiver:?}"
            );
            assert_eq!(
                (receiver.lost_packets, receiver.too_late),
                (0, 0),
                "link {link}"
            );
        }
        let wins: u64 = to.sessions.iter().map(|session| session.wins).sum();
        assert_eq!(wins, to.sets[0].delivered_packets);
        assert_eq!(to.sets[0].delivered_packets, from.sets[0].sent_packets);
    }
}

/// At the end one link carries all, and it is the slowest.
#[test]
fn the_last_link_carries_all() {
    let mut lab = running(config());
    let traffic = Traffic::start(&lab, PACKETS_PER_S);
    sleep(1.0);
    lab.set_outage(1, true).unwrap();
    sleep(1.0);
    lab.interface_down(2, Site::Head).unwrap();
    sleep(8.0);
    for site in Site::BOTH {
        let status = status(&lab, site);
        assert_eq!(status.live_links(), [3]);
        assert_eq!(status.sets[0].protection, "one link: no protection");
    }
    assert_nothing_lost_nothing_twice(&lab, &traffic.stop());
}

/// The first copy to arrive is damaged: it must not mark the window, so the later, good copy is delivered.
#[test]
fn a_damaged_first_copy_does_not_cost_the_packet() {
    let mut lab = running(config());
    let traffic = Traffic::start(&lab, 2_000);
    sleep(1.0);
    lab.change_link(1, Direction::Both, "corrupt=30%").unwrap();
    sleep(10.0);
    lab.change_link(1, Direction::Both, "corrupt=0%").unwrap();
    assert_nothing_lost_nothing_twice(&lab, &traffic.stop());
    for site in Site::BOTH {
        let refused = dropped(&status(&lab, site), "isp1", "bad-udp");
        assert!(
            refused > 1_000,
            "damaged copies were refused by name: {refused}"
        );
    }
}

/// What is lost after elimination is what every link lost at once.
#[test]
fn lossy_links_lose_little_together() {
    let mut lab = running(config());
    lab.change_link(1, Direction::Both, "loss=5%").unwrap();
    lab.change_link(2, Direction::Both, "loss=5%").unwrap();
    lab.set_outage(3, true).unwrap();
    sleep(7.0);
    let traffic = Traffic::start(&lab, PACKETS_PER_S);
    sleep(10.0);
    for report in traffic.stop() {
        super::assert_honest(&report);
        assert_eq!(report.delivered_twice, 0);
        // 5 % of 5 % is 0.25 %.
        assert!(
            report.loss() > 0.0005 && report.loss() < 0.006,
            "{} of {}",
            report.lost(),
            report.sent
        );
    }
}
