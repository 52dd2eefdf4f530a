//! Either appliance dies without a word and starts anew, under traffic.

use std::time::Duration;

use benches::lab::{Lab, Site};

use super::{Traffic, assert_honest, config, running, sleep, wait_for_all};

/// `lcp-timeout` in `configs/demo`.
const LCP_TIMEOUT: Duration = Duration::from_secs(5);

fn restart_under_traffic(site: Site, limit: Duration) {
    let mut lab: Lab = running(config());
    let traffic = Traffic::start(&lab, 2_000);
    sleep(2.0);
    let mut up_again = Vec::new();
    for round in 0..2 {
        lab.kill(site).unwrap();
        sleep(0.5);
        lab.start(site).unwrap();
        let time = wait_for_all(&mut lab, limit);
        println!(
            "round {round}: all links up {time:?} after {} started again",
            site.name()
        );
        up_again.push(traffic.sent());
        sleep(4.0);
    }
    for (way, report) in traffic.stop().into_iter().enumerate() {
        assert_honest(&report);
        assert_eq!(report.delivered_twice, 0, "never delivered twice");
        for from in up_again.iter().map(|sent| sent[way]) {
            // Three of the four seconds before the next blow.
            let settled = from..from + 6_000;
            assert!(
                report.sent > settled.end,
                "traffic went on: {} of {settled:?}",
                report.sent
            );
            assert_eq!(
                report.lost_in(settled.clone()),
                0,
                "lost once up again: {:?} in {settled:?}",
                report.missing
            );
        }
    }
}

#[test]
fn a_restarted_remote_is_back_within_five_seconds() {
    restart_under_traffic(Site::Remote, Duration::from_secs(5));
}

#[test]
fn a_restarted_head_is_back_within_the_timeout_and_three_seconds() {
    restart_under_traffic(Site::Head, LCP_TIMEOUT + Duration::from_secs(3));
}
