//! Two ISPs that give addresses by DHCP (dnsmasq), and one that gives a fixed one.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use benches::dhcp_server::{DhcpServer, DhcpServerConfig};
use benches::lab::{Lab, LabConfig, Site};

use super::{interface, peer, pull, wait_for_peer};
use crate::{
    SET_UP_LIMIT, Traffic, assert_nothing_lost_nothing_twice, config, sleep, wait_for_all,
};

/// From a new address until the link is in use again: the tunnel's set-up, PPP and the joining.
const REDIAL_LIMIT: Duration = Duration::from_secs(5);
/// dnsmasq says no less.
const RENEWAL_S: u32 = 3;

fn address(link: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, link, 0, host)
}

/// Links 1 and 2 by DHCP.
fn lab() -> LabConfig {
    let by_dhcp = |link: u8| {
        (
            format!("addresses: [10.{link}.0.2/24]"),
            "addresses: dhcp, dhcp: { hostname: remote }".to_owned(),
        )
    };
    LabConfig {
        remote_edits: vec![by_dhcp(1), by_dhcp(2)],
        ..config()
    }
}

/// Both appliances up, with all links, and the servers of links 1 and 2.
fn running(config: LabConfig) -> (Lab, [DhcpServer; 2]) {
    let mut lab = Lab::build(config).expect("the lab needs root");
    let servers = [1, 2].map(|link: u8| {
        let config = DhcpServerConfig {
            renewal_s: Some(RENEWAL_S),
            rebinding_s: Some(2 * RENEWAL_S),
            ..DhcpServerConfig::of_isp(link, lab.isp(usize::from(link)), lab.directory())
        };
        DhcpServer::start(config).expect("dnsmasq starts")
    });
    for site in Site::BOTH {
        lab.start(site).expect("the appliance starts");
    }
    let time = lab
        .wait_until_set_up(SET_UP_LIMIT)
        .expect("all links come up");
    println!("set up after {time:?}");
    (lab, servers)
}

#[test]
fn leases_are_renewed_changed_and_lost_and_no_other_link_notices() {
    let (mut lab, [first, second]) = running(lab());
    for link in [1_u8, 2] {
        let of = interface(&lab, link);
        let given = &of["given"][0];
        assert_eq!(given["from"], "dhcp", "{of:#}");
        assert!(
            given["valid_s"].as_u64().is_some_and(|left| left <= 120),
            "{of:#}"
        );
        assert_eq!(of["clients"]["dhcp"]["state"], "bound", "{of:#}");
        assert_eq!(of["gateways"][0], address(link, 1).to_string(), "{of:#}");
        assert_eq!(
            of["clients"]["dhcp"]["server"],
            address(link, 254).to_string(),
            "{of:#}"
        );
    }
    let before = [1, 2, 3].map(|link| peer(&lab, link));
    let traffic = Traffic::start(&lab, 1_000);
    sleep(f64::from(2 * RENEWAL_S));
    assert!(first.count("DHCPACK") >= 2, "renewed: {}", first.log());
    assert_eq!(
        before,
        [1, 2, 3].map(|link| peer(&lab, link)),
        "a renewal moves nothing"
    );

    // The ISP renumbers: what was given is refused at the next renewal.
    let changed = Instant::now();
    let config = first.kill();
    config.forget().expect("the books are there");
    let first = DhcpServer::start(DhcpServerConfig {
        range: (address(1, 200), address(1, 209)),
        ..config
    })
    .expect("dnsmasq starts again");
    wait_for_peer(&lab, 1, |peer| peer.octets()[3] >= 200);
    wait_for_all(&mut lab, REDIAL_LIMIT);
    println!("on the new address after {:?}", changed.elapsed());
    assert_eq!(before[1..], [2, 3].map(|link| peer(&lab, link)));
    assert!(
        first
            .leases()
            .expect("its books")
            .iter()
            .all(|it| it.octets()[3] >= 200)
    );

    // A server that is gone takes nothing before the lease is over.
    let config = second.kill();
    sleep(f64::from(3 * RENEWAL_S));
    assert_eq!(before[1], peer(&lab, 2), "the lease holds");
    let state = interface(&lab, 2)["clients"]["dhcp"]["state"].clone();
    assert_eq!(state, "rebinding");
    let _second = DhcpServer::start(config).expect("dnsmasq starts again");
    let reports = traffic.stop();
    assert_nothing_lost_nothing_twice(&lab, &reports);
    lab.stop(Site::Remote).expect("the remote ends");
    assert_eq!(first.count("DHCPRELEASE"), 1, "given back: {}", first.log());
}

/// The cable of link 1 goes into another ISP's socket: another network, another server.
#[test]
fn a_cable_that_is_moved_to_another_network_is_followed() {
    let (mut lab, [first, _second]) = running(lab());
    let traffic = Traffic::start(&lab, 1_000);
    sleep(1.0);
    pull(&lab, 1);
    let config = first.kill();
    config.forget().expect("the books are there");
    let _first = DhcpServer::start(DhcpServerConfig {
        address: address(1, 250),
        range: (address(1, 30), address(1, 39)),
        ..config
    })
    .expect("the other ISP's starts");
    lab.carrier_up(1, Site::Remote)
        .expect("the carrier is back");
    let up = Instant::now();
    wait_for_peer(&lab, 1, |peer| (30..40).contains(&peer.octets()[3]));
    wait_for_all(&mut lab, REDIAL_LIMIT);
    println!("in use {:?} after the carrier came back", up.elapsed());
    assert!(up.elapsed() < Duration::from_secs(12));
    let reports = traffic.stop();
    assert_nothing_lost_nothing_twice(&lab, &reports);
}
