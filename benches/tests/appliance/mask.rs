//! Drills: a link that is masked costs nothing, and is back by itself, or when it is needed.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use benches::lab::{Lab, Site};

use super::{
    Traffic, assert_honest, assert_nothing_lost_nothing_twice, config, dropped, running, sleep,
    status,
};

const PACKETS_PER_S: u32 = 1_000;
const DRILL_S: f64 = 3.0;
/// A line that vanishes is missed after 2.5 s without a word, looked at ten times a second.
const MISSED_AFTER_S: f64 = 3.0;

fn mask(lab: &Lab, site: Site, arguments: &[&str]) -> Output {
    let mut command = Command::new(&lab.config().programs.hal2tp);
    command.arg("mask").arg("--socket").arg(lab.socket(site));
    command.args(arguments).output().expect("it is built")
}

fn masked(lab: &Lab, site: Site, arguments: &[&str]) {
    let output = mask(lab, site, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// From either end, for three seconds, under traffic both ways.
#[test]
fn a_drill_costs_nothing_and_undoes_itself() {
    let lab = running(config());
    let traffic = Traffic::start(&lab, PACKETS_PER_S);
    for (site, name) in [(Site::Remote, "head2"), (Site::Head, "remote.2")] {
        sleep(1.0);
        masked(&lab, site, &[name, "--for", "3s"]);
        let began = Instant::now();
        sleep(0.3);
        let sent_before = status(&lab, site).link(2).unwrap().sent_packets;
        sleep(0.7);
        let (here, there) = (status(&lab, site), status(&lab, site.other()));
        let (ours, theirs) = (here.link(2).unwrap(), there.link(2).unwrap());
        assert!(matches!(ours.masked_for_s, Some(1..=3)), "{ours:?}");
        assert_eq!((ours.state.as_str(), &ours.alarm), ("standby", &None));
        assert_eq!(ours.sent_packets, sent_before);
        assert_eq!(here.live_links(), [1, 3]);
        let alarm = theirs.alarm.as_ref().expect("it delivers nothing there");
        assert_eq!(alarm.text, "masked at the other end, for a drill");
        assert_eq!(here.sets[0].members.len(), 2);
        sleep((DRILL_S + 0.5 - began.elapsed().as_secs_f64()).max(0.0));
        let here = status(&lab, site);
        assert_eq!(here.live_links(), [1, 2, 3], "it is back by itself");
        let refused = dropped(&here, "isp2", "masked");
        assert!((2_000..3_500).contains(&refused), "{refused}");
        sleep(1.0);
        let alarms = Site::BOTH.map(|site| status(&lab, site).link(2).unwrap().alarm.clone());
        assert_eq!(alarms, [None, None]);
    }
    sleep(3.0);
    assert_nothing_lost_nothing_twice(&lab, &traffic.stop());
    for site in Site::BOTH {
        let status = status(&lab, site);
        for link in lab.links() {
            let link = status.link(link).unwrap();
            let lost = (link.lost_packets, link.longest_outage_ms);
            assert_eq!(lost, (0, 0), "{}: {link:?}", site.name());
        }
    }
}

/// The one link that is left is cut: what is masked carries as soon as that is noticed, and
/// nothing is lost besides.
#[test]
fn a_masked_link_is_back_when_the_others_fail() {
    let mut lab = running(config());
    lab.set_outage(3, true).unwrap();
    lab.wait_for_links(&[1, 2], Duration::from_secs(15))
        .unwrap();
    let traffic = Traffic::start(&lab, PACKETS_PER_S);
    sleep(2.0);
    masked(&lab, Site::Remote, &["L2TP-remote-2", "--for", "60s"]);
    let refused = mask(&lab, Site::Remote, &["head1"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("the only link"),
        "{said}"
    );
    let refused = mask(&lab, Site::Head, &["remote.1"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("remote.2: masked at the other end"), "{said}");
    sleep(2.0);
    let before = traffic.sent();
    lab.set_outage(1, true).unwrap();
    sleep(MISSED_AFTER_S);
    assert_eq!(
        status(&lab, Site::Remote).link(2).unwrap().masked_for_s,
        None
    );
    let after = traffic.sent();
    sleep(8.0);
    for ((site, report), (before, after)) in Site::BOTH
        .into_iter()
        .zip(traffic.stop())
        .zip(before.into_iter().zip(after))
    {
        assert_honest(&report);
        let lost = report.lost();
        println!(
            "from {}: lost {lost} between {before} and {after}",
            site.name()
        );
        assert!(lost > 0, "both links were away");
        // What was on the line when it was cut is lost, too.
        let away = before.saturating_sub(u64::from(PACKETS_PER_S) / 10)..after;
        assert_eq!(report.lost_in(away), lost, "{:?}", report.missing);
        assert_eq!((report.delivered_twice, report.foreign), (0, 0));
    }
}
