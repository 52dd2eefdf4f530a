//! An ISP that gives IPv6 by router advertisements and DHCPv6 (radvd and ISC's dhcpd), with a network for the LAN.

use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use benches::ipv6_isp::Ipv6Isp;
use benches::lab::{Lab, LabConfig, Site};

use super::{interface, peer, pull};
use crate::{
    SET_UP_LIMIT, Traffic, assert_nothing_lost_nothing_twice, config, sleep, wait_for_all,
};

/// radvd speaks every three or four seconds, and an address that is gone is missed at once.
const RENUMBERED_LIMIT: Duration = Duration::from_secs(20);

fn lab() -> LabConfig {
    let edit = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    LabConfig {
        // In the ISP's first network and in the one after it was renumbered.
        head_edits: vec![edit(
            "addresses: [10.1.0.1/24]",
            "addresses: [\"2001:db8:1::f/64\", \"2001:db8:2::f/64\"]",
        )],
        remote_edits: vec![
            edit(
                "addresses: [10.1.0.2/24]",
                "addresses: [ra, dhcpv6], prefix-delegation: 56",
            ),
            edit("server: 10.1.0.1\n", "server: \"2001:db8:1::f\"\n"),
            edit(
                "addresses: [192.168.2.1/24]",
                "addresses: [192.168.2.1/24], delegated: { from: ISP1, subnet: 1 }, \
                 router-advertisements: { interval: 4 }",
            ),
        ],
        ..config()
    }
}

/// The networks of 56 bits that were delegated to the remote, and the addresses that hosts of its LAN have.
fn of_lan(lab: &Lab) -> (Vec<String>, Vec<Ipv6Addr>) {
    let of = interface(lab, 1);
    let delegated = of["delegated"].as_array().cloned().unwrap_or_default();
    let delegated = delegated.iter().filter_map(|it| it["address"].as_str());
    let host = lab.host(Site::Remote).namespace.clone();
    let output = benches::netns::checked(
        host.command("ip")
            .args(["-6", "-j", "addr", "show", "dev", "eth0", "scope", "global"]),
    )
    .expect("ip");
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).expect("its JSON");
    let addresses = shown[0]["addr_info"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let preferred = addresses.iter().filter(|it| it["preferred_life_time"] != 0);
    let addresses = preferred.filter_map(|it| it["local"].as_str()?.parse().ok());
    (delegated.map(str::to_owned).collect(), addresses.collect())
}

/// Until a host of the LAN has an address of the ISP's network with this number.
fn wait_for_host(lab: &Lab, network: u16) -> Duration {
    let since = Instant::now();
    loop {
        let (delegated, addresses) = of_lan(lab);
        let is_of_network = |own: &Ipv6Addr| own.segments()[..3] == [0x2001, 0xdb8, network];
        if addresses.iter().any(is_of_network) {
            println!("delegated {delegated:?}, the host has {addresses:?}");
            return since.elapsed();
        }
        assert!(
            since.elapsed() < RENUMBERED_LIMIT,
            "{delegated:?} {addresses:?}\n{:#}",
            interface(lab, 1)
        );
        sleep(0.2);
    }
}

/// Until the kernel of the remote has an address of its own on the line, as on any line with a router.
fn wait_for_kernel(lab: &Lab) {
    let since = Instant::now();
    loop {
        let output = benches::netns::checked(
            lab.namespace(Site::Remote)
                .command("ip")
                .args(["-6", "addr", "show", "dev", "isp1", "scope", "global"]),
        )
        .expect("ip");
        if !output.stdout.is_empty() {
            return;
        }
        assert!(since.elapsed() < RENUMBERED_LIMIT, "no address");
        sleep(0.1);
    }
}

fn wait_for_network(lab: &Lab, network: u16) -> Duration {
    let since = Instant::now();
    loop {
        if let Some(IpAddr::V6(peer)) = peer(lab, 1)
            && peer.segments()[2] == network
        {
            return since.elapsed();
        }
        assert!(
            since.elapsed() < RENUMBERED_LIMIT,
            "{:?}\n{:#}",
            peer(lab, 1),
            interface(lab, 1)
        );
        sleep(0.1);
    }
}

#[test]
fn an_ipv6_line_and_its_delegated_network_are_renumbered_and_nothing_is_lost() {
    let mut lab = Lab::build(lab()).expect("the lab needs root");
    let host = lab.host(Site::Remote).namespace.clone();
    host.sysctl("ipv6/conf/eth0/accept_ra", "2").expect("root");
    host.sysctl("ipv6/conf/eth0/disable_ipv6", "0")
        .expect("root");
    let isp_namespace = lab.isp(1).clone();
    let mut isp = Ipv6Isp::in_lab(&isp_namespace, lab.directory()).expect("radvd and dhcpd");
    isp.start().expect("they start");
    wait_for_kernel(&lab);
    for site in Site::BOTH {
        lab.start(site).expect("the appliance starts");
    }
    let time = lab
        .wait_until_set_up(SET_UP_LIMIT)
        .expect("all links come up");
    println!("set up after {time:?}");
    wait_for_network(&lab, 1);
    println!("the host after {:?}", wait_for_host(&lab, 1));
    let of = interface(&lab, 1);
    let from: Vec<&str> = of["given"]
        .as_array()
        .expect("addresses")
        .iter()
        .filter_map(|it| it["from"].as_str())
        .collect();
    assert!(from.contains(&"ra") && from.contains(&"dhcpv6"), "{of:#}");
    assert_eq!(of["mtu"], 1480, "as radvd says");
    let others = [2, 3].map(|link| peer(&lab, link));

    let traffic = Traffic::start(&lab, 1_000);
    sleep(4.0);
    isp.renumber(2).expect("the servers start again");
    pull(&lab, 1);
    lab.carrier_up(1, Site::Remote).expect("and is back");
    let since = Instant::now();
    wait_for_network(&lab, 2);
    println!(
        "dialled from the new network {:?} after the line came back",
        since.elapsed()
    );
    println!("the host after {:?}", wait_for_host(&lab, 2));
    wait_for_all(&mut lab, RENUMBERED_LIMIT);
    assert_eq!(others, [2, 3].map(|link| peer(&lab, link)));
    let reports = traffic.stop();
    assert_nothing_lost_nothing_twice(&lab, &reports);
    lab.stop(Site::Remote).expect("the remote ends");
}
