//! A link's `speed`.

use benches::emulator::Direction;
use benches::lab::{LabConfig, Site};

use super::{
    Traffic, assert_honest, assert_nothing_lost_nothing_twice, config, dropped, running, sleep,
    status,
};

/// What the first link is told to be at the remote: 1000 octets with all headers from IP on, 250 times a second.
const SPEED: &str = "2M";
const SPEED_BIT_S: f64 = 2_000_000.0;

fn with_speed() -> LabConfig {
    let mut config = config();
    let login = "username: remote.1\n";
    config
        .remote_edits
        .push((login.to_owned(), format!("{login}      speed: {SPEED}\n")));
    config
}

/// Four times what the link carries: it gets its share, the far end knows what it did not get, and nothing is lost.
#[test]
fn a_links_speed_is_kept_and_told() {
    let lab = running(with_speed());
    let before = lab.link_stats(1).unwrap().b_a.path;
    let seconds = 10.0;
    let traffic = Traffic::sized(&lab, 1000, 1000 - 50 - 28);
    sleep(seconds);
    let reports = traffic.stop();
    assert_nothing_lost_nothing_twice(&lab, &reports);
    sleep(4.5);
    let line = lab.link_stats(1).unwrap().b_a.path;
    let (remote, head) = (status(&lab, Site::Remote), status(&lab, Site::Head));
    let (ours, theirs) = (remote.link(1).unwrap(), head.link(1).unwrap());
    println!("{ours:?}\n{theirs:?}");
    // Ethernet's header is not counted, nor what the appliances say to each other.
    let copies = line.ha_data.received - before.ha_data.received;
    let carried_bit_s = copies as f64 * 1000.0 * 8.0 / seconds;
    println!("{carried_bit_s} bit/s");
    assert!(
        (0.97..1.05).contains(&(carried_bit_s / SPEED_BIT_S)),
        "{carried_bit_s}"
    );
    assert!(ours.over_speed_packets > 6000, "{ours:?}");
    assert_eq!(
        dropped(&remote, "isp1", "over-speed"),
        ours.over_speed_packets
    );
    assert_eq!(
        ours.sent_packets + ours.over_speed_packets,
        remote.sets[0].sent_packets
    );
    assert_eq!(theirs.peer.over_speed_packets, ours.over_speed_packets);
    // What was never sent is no loss of the line.
    assert_eq!((theirs.lost_packets, theirs.unknown_packets), (0, 0));
    assert_eq!(theirs.unique_packets, ours.sent_packets);
    for link in [2, 3] {
        assert_eq!(remote.link(link).unwrap().over_speed_packets, 0);
    }
}

/// Of more than the link carries the small packets pass, all of them: the other links bring nothing.
#[test]
fn small_packets_survive_on_a_link_that_is_full() {
    let mut lab = running(with_speed());
    for link in [2, 3] {
        lab.change_link(link, Direction::Both, "ha-outage=on")
            .unwrap();
    }
    let large = Traffic::sized(&lab, 1000, 1000 - 50 - 28);
    let small = Traffic::on_port(&lab, 5001, 100, 60);
    sleep(6.0);
    let [[_, large], [_, small]] = [large, small].map(Traffic::stop);
    for report in [&large, &small] {
        assert_honest(report);
        println!("lost {} of {}", report.lost(), report.sent);
    }
    assert!(large.loss() > 0.6, "{}", large.loss());
    assert_eq!(small.lost(), 0, "of {}", small.sent);
    assert!(small.sent > 500);
}
