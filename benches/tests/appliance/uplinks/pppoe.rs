//! An ISP whose line is PPPoE (rp-pppoe's server with pppd, in a guest kernel), beside two that give a fixed address.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use benches::lab::{LabConfig, Site};

use super::{interface, peer, wait_for_peer};
use crate::{Traffic, assert_nothing_lost_nothing_twice, config, running, sleep, wait_for_all};

/// From the concentrator's answer until the link is in use again.
const REDIAL_LIMIT: Duration = Duration::from_secs(10);

#[test]
fn a_line_that_hangs_up_dies_and_comes_back_elsewhere_is_redialled_and_nothing_is_lost() {
    let mut lab = running(LabConfig {
        concentrators: vec![1],
        ..config()
    });
    let of = interface(&lab, 1);
    assert_eq!(of["pppoe"]["state"], "open", "{of:#}");
    assert_eq!(of["pppoe"]["access_concentrator"], "bras", "{of:#}");
    assert_eq!(of["given"][0]["from"], "pppoe", "{of:#}");
    assert_eq!(of["mtu"], 1492, "{of:#}");
    assert_eq!(of["routers"][0]["answers"], true, "{of:#}");
    let others = [2, 3].map(|link| peer(&lab, link));
    let traffic = Traffic::sized(&lab, 500, 1_400);
    sleep(2.0);

    // PADT: dialled anew at once.
    let line = lab.concentrator(1).expect("link 1 has one");
    line.hang_up().expect("it hangs up");
    let since = Instant::now();
    sleep(0.5);
    wait_for_all(&mut lab, REDIAL_LIMIT);
    println!("in use again {:?} after it hung up", since.elapsed());

    // Silence, and then another address.
    let line = lab.concentrator(1).expect("link 1 has one");
    line.kill().expect("it dies");
    sleep(6.0);
    assert_ne!(
        interface(&lab, 1)["pppoe"]["state"],
        "open",
        "its echoes are not answered"
    );
    let line = lab.concentrator(1).expect("link 1 has one");
    line.start(Ipv4Addr::new(10, 1, 0, 150))
        .expect("it is back");
    let since = Instant::now();
    wait_for_peer(&lab, 1, |peer| peer.octets()[3] >= 150);
    wait_for_all(&mut lab, REDIAL_LIMIT);
    println!("in use again {:?} after it came back", since.elapsed());
    assert_eq!(others, [2, 3].map(|link| peer(&lab, link)));
    assert!(matches!(peer(&lab, 1), Some(IpAddr::V4(_))));
    let reports = traffic.stop();
    assert_nothing_lost_nothing_twice(&lab, &reports);
    lab.stop(Site::Remote).expect("the remote ends");
}
