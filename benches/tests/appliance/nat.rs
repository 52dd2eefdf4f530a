//! The remote's first link passes a kernel router with NAT.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use benches::lab::{Lab, LabConfig, Site};

use super::{
    Traffic, assert_nothing_lost_nothing_twice, config, drops_of, running, sleep, status,
    wait_for_all,
};

/// What the lab's routers begin with.
const FIRST_PORTS: RangeInclusive<u16> = 20_000..=20_100;
const SECOND_PORTS: RangeInclusive<u16> = 30_000..=30_100;
const THIRD_PORTS: RangeInclusive<u16> = 40_000..=40_100;
/// A few times `lcp-rate`, and less than `lcp-timeout`, after which the link would be dialled anew.
const FOLLOW_LIMIT: Duration = Duration::from_millis(3_500);

fn behind_a_router() -> LabConfig {
    LabConfig {
        routers: vec![1],
        ..config()
    }
}

/// The remote as the head sees it on link 1, and for how long the tunnel has been up.
fn peer(lab: &Lab) -> (SocketAddr, u64) {
    let status = status(lab, Site::Head);
    let mut tunnels = status.tunnels.iter().filter(|tunnel| tunnel.table == 1);
    let tunnel = tunnels.next().expect("a tunnel on link 1");
    (
        tunnel.peer_address.expect("the peer has an address"),
        tunnel.up_s,
    )
}

fn assert_peer_port(lab: &Lab, ports: &RangeInclusive<u16>) {
    let (peer, _) = peer(lab);
    let router = Ipv4Addr::new(10, 1, 0, 2);
    assert_eq!(peer.ip(), router, "the router's address");
    assert!(ports.contains(&peer.port()), "{peer}, not in {ports:?}");
}

/// Changes the mapping, and waits until the head has followed.
fn remap_and_follow(lab: &Lab, ports: &RangeInclusive<u16>) -> Duration {
    lab.remap(1, ports).unwrap();
    let changed = Instant::now();
    while !ports.contains(&peer(lab).0.port()) {
        assert!(
            changed.elapsed() < FOLLOW_LIMIT,
            "the head still sends to {} after {:?}\n{}",
            peer(lab).0,
            changed.elapsed(),
            drops_of(lab)
        );
        sleep(0.05);
    }
    changed.elapsed()
}

/// Packets that link 1 has brought to both sites.
fn received(lab: &Lab) -> [u64; 2] {
    Site::BOTH.map(|site| {
        status(lab, site)
            .link(1)
            .map_or(0, |of| of.received_packets)
    })
}

#[test]
fn a_changed_mapping_is_followed_under_traffic() {
    let mut lab = running(behind_a_router());
    assert_peer_port(&lab, &FIRST_PORTS);
    let traffic = Traffic::start(&lab, 2_000);
    sleep(3.0);
    for ports in [SECOND_PORTS, THIRD_PORTS] {
        let time = remap_and_follow(&lab, &ports);
        println!("followed to {} after {time:?}", peer(&lab).0);
        wait_for_all(&mut lab, FOLLOW_LIMIT);
        // In use again, both ways.
        let before = received(&lab);
        sleep(2.0);
        for (site, (before, after)) in Site::BOTH
            .into_iter()
            .zip(before.into_iter().zip(received(&lab)))
        {
            assert!(
                after > before + 2_000,
                "link 1 brought {} packets to {} in 2 s\n{}",
                after.saturating_sub(before),
                site.name(),
                drops_of(&lab)
            );
        }
    }
    let (_, up_s) = peer(&lab);
    assert!(
        up_s >= 6,
        "the tunnel lived through it, it was not dialled anew: up for {up_s} s"
    );
    assert_nothing_lost_nothing_twice(&lab, &traffic.stop());
}

/// Without any traffic, what the links themselves say is enough.
#[test]
fn a_changed_mapping_is_followed_when_idle() {
    let mut lab = running(behind_a_router());
    sleep(2.0);
    let time = remap_and_follow(&lab, &SECOND_PORTS);
    println!("followed to {} after {time:?}", peer(&lab).0);
    sleep(6.0);
    let (_, up_s) = peer(&lab);
    assert!(up_s >= 7, "the tunnel lives: up for {up_s} s");
    wait_for_all(&mut lab, FOLLOW_LIMIT);
    let traffic = Traffic::start(&lab, 1_000);
    sleep(2.0);
    assert_nothing_lost_nothing_twice(&lab, &traffic.stop());
}
