//! A path that carries less than its interface, and says so to nobody.

use std::time::{Duration, Instant};

use benches::emulator::Direction;
use benches::lab::{Lab, Site};

use crate::{Traffic, assert_nothing_lost_nothing_twice, config, running, sleep};

/// What both ends have seen to pass over link 2.
fn path_mtus(lab: &Lab) -> [Option<u64>; 2] {
    Site::BOTH.map(|site| {
        let status = lab.status_json(site).expect("the status");
        let sessions = status["sessions"].as_array().cloned().unwrap_or_default();
        let of_link = |session: &&serde_json::Value| {
            session["name"]
                .as_str()
                .is_some_and(|name| name.ends_with('2'))
        };
        sessions.iter().find(of_link)?["path_mtu"].as_u64()
    })
}

fn wait_for(lab: &Lab, octets: u64, limit: Duration) -> Duration {
    let since = Instant::now();
    while path_mtus(lab) != [Some(octets); 2] {
        assert!(since.elapsed() < limit, "{:?}", path_mtus(lab));
        sleep(0.1);
    }
    since.elapsed()
}

/// Copies that the link has brought to both sites.
fn received(lab: &Lab) -> [u64; 2] {
    Site::BOTH.map(|site| {
        let status = crate::status(lab, site);
        status.link(2).map_or(0, |of| of.received_packets)
    })
}

#[test]
fn a_path_that_swallows_large_packets_is_found_and_followed() {
    let mut lab = running(config());
    let traffic = Traffic::sized(&lab, 200, 1_400);
    wait_for(&lab, 1_500, Duration::from_secs(10));
    for direction in [Direction::AToB, Direction::BToA] {
        lab.change_link(2, direction, "mtu=1400")
            .expect("the emulator");
    }
    // It is looked at every 20 s.
    let followed = wait_for(&lab, 1_400, Duration::from_secs(70));
    println!("followed after {followed:?}");
    // From now on its copies arrive, in pieces that it carries.
    let before = received(&lab);
    sleep(2.0);
    for (before, after) in before.into_iter().zip(received(&lab)) {
        assert!(after > before + 500, "{before} to {after}");
    }
    let reports = traffic.stop();
    assert_nothing_lost_nothing_twice(&lab, &reports);
}
