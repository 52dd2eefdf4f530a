//! Ports that are not Linux interfaces.

use std::time::{Duration, Instant};

use benches::lab::{Lab, LabConfig, Site};
use benches::netns::checked;

use super::{
    SET_UP_LIMIT, Traffic, assert_nothing_lost_nothing_twice, config, drops_of, output, sleep,
    status, wait_for_all,
};

/// `lcp-timeout` in `configs/demo`, with the time to dial.
const BACK: Duration = Duration::from_secs(10);

fn device(port: &str, device: &str) -> (String, String) {
    (
        format!("device: {port} }}"),
        format!("device: \"{device}\" }}"),
    )
}

/// Link 1 is shared memory between the two processes.
fn memif() -> LabConfig {
    let of = |role| {
        let socket = "socket=/run/hal2tp/memif.sock,socket-abstract=no";
        vec![device("isp1", &format!("net_memif0,role={role},{socket}"))]
    };
    LabConfig {
        head_edits: of("server"),
        remote_edits: of("client"),
        ..config()
    }
}

/// Starts an appliance, and waits until its ports are open.
fn start(lab: &mut Lab, site: Site) {
    lab.start(site).unwrap();
    let started = Instant::now();
    while lab.status(site).is_err() {
        lab.assert_running(site).unwrap();
        assert!(started.elapsed() < SET_UP_LIMIT, "{} starts", site.name());
        sleep(0.05);
    }
}

/// The server of a memif before its client.
fn running(config: LabConfig) -> Lab {
    let mut lab = Lab::build(config).expect("the lab needs root");
    for site in Site::BOTH {
        start(&mut lab, site);
    }
    wait_for_all(&mut lab, SET_UP_LIMIT);
    lab
}

fn assert_link_1_carries(lab: &Lab, least: u64) {
    for site in Site::BOTH {
        let status = status(lab, site);
        let received = status.link(1).map_or(0, |link| link.received_packets);
        assert!(
            received > least,
            "{received} packets over link 1 to {}\n{}",
            site.name(),
            drops_of(lab)
        );
    }
}

#[test]
fn a_link_over_memif_carries_and_its_client_comes_back() {
    let mut lab = running(memif());
    let traffic = Traffic::start(&lab, 2_000);
    sleep(4.0);
    assert_link_1_carries(&lab, 6_000);
    assert_nothing_lost_nothing_twice(&lab, &traffic.stop());

    lab.kill(Site::Remote).unwrap();
    sleep(0.5);
    start(&mut lab, Site::Remote);
    let time = wait_for_all(&mut lab, BACK);
    println!("all links up {time:?} after the client's start");
    let traffic = Traffic::start(&lab, 2_000);
    sleep(3.0);
    assert_link_1_carries(&lab, 4_000);
    assert_nothing_lost_nothing_twice(&lab, &traffic.stop());
}

/// DPDK's memif client does not connect to a new server by itself: its link stays down until its process restarts.
/// The other links are not concerned.
#[test]
fn when_a_memif_server_restarts_the_other_links_come_back() {
    let mut lab = running(memif());
    lab.kill(Site::Head).unwrap();
    sleep(0.5);
    start(&mut lab, Site::Head);
    let time = lab.wait_for_links(&[2, 3], BACK).unwrap();
    println!("links 2 and 3 up {time:?} after the server's start");
    sleep(3.0);
    for site in Site::BOTH {
        println!("{:?}", status(&lab, site).live_links());
    }
    let traffic = Traffic::start(&lab, 2_000);
    sleep(2.0);
    assert_nothing_lost_nothing_twice(&lab, &traffic.stop());
    lab.kill(Site::Remote).unwrap();
    start(&mut lab, Site::Remote);
    wait_for_all(&mut lab, BACK);
}

/// The appliance's own machine as a host in its LAN.
#[test]
fn a_lan_port_may_be_a_tap() {
    let config = LabConfig {
        remote_edits: vec![device("lan", "net_tap0,iface=dtap0")],
        ..config()
    };
    let mut lab = Lab::build(config).expect("the lab needs root");
    for site in Site::BOTH {
        start(&mut lab, site);
    }
    let remote = lab.namespace(Site::Remote).clone();
    for words in [
        // DPDK gives the kernel's side the port's own hardware address.
        "link set dev dtap0 address 02:00:00:00:00:10",
        "addr add 192.168.2.10/24 dev dtap0",
        "link set dev dtap0 up",
        "route add 192.168.1.0/24 via 192.168.2.1",
    ] {
        remote.ip(words).unwrap();
    }
    wait_for_all(&mut lab, SET_UP_LIMIT);
    let mut ping = remote.command("ping");
    ping.args(["-c", "20", "-i", "0.05", "-W", "2", "192.168.1.10"]);
    let answered = output(&mut ping);
    assert!(answered.contains("20 received"), "{answered}");
    let mut back = lab.host(Site::Head).namespace.command("ping");
    checked(back.args(["-c", "3", "-i", "0.2", "-W", "2", "192.168.2.10"])).unwrap();
}

/// Two ISPs behind one cable, each in a VLAN of its own, and one by itself.
#[test]
fn two_isps_in_vlans_of_one_port_carry_and_stay_apart() {
    let in_vlan = |link: u8, vlan: u8| {
        (
            format!("port: isp{link}, table: {link}"),
            format!("port: isp1, vlan: {vlan}, table: {link}"),
        )
    };
    let LabConfig {
        head_edits,
        remote_edits,
        ..
    } = memif();
    let mut lab = running(LabConfig {
        edits: vec![in_vlan(1, 7), in_vlan(2, 8)],
        head_edits,
        remote_edits,
        ..config()
    });
    let traffic = Traffic::start(&lab, 2_000);
    sleep(4.0);
    for site in Site::BOTH {
        let status = lab.status_json(site).expect("the status");
        let received = |name: &str| {
            let ports = status["ports"].as_array().expect("ports");
            let port = ports.iter().find(|port| port["name"] == name);
            let port = port.unwrap_or_else(|| panic!("no port {name}"));
            port["received_packets"].as_u64().expect("a number")
        };
        let (first, second, both) = (received("isp1.7"), received("isp1.8"), received("isp1"));
        assert!(first > 6_000 && second > 6_000, "{first} and {second}");
        assert!(both >= first + second, "{both} of {first} and {second}");
    }
    assert_nothing_lost_nothing_twice(&lab, &traffic.stop());
    lab.stop(Site::Remote).unwrap();
}
