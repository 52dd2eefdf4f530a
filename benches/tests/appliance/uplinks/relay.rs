//! A host in the remote's LAN whose DHCP server is at the head office: the appliance relays, the set carries.

use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use benches::dhcp_server::{DhcpServer, DhcpServerConfig};
use benches::lab::{Lab, LabConfig, Site};
use benches::process::Process;
use nix::sys::signal::Signal;

use crate::{config, running};

const BUSYBOX: &str = "/usr/bin/busybox";
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 10);
const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 2, 1);
/// Of the last octet.
const RANGE: [u8; 2] = [100, 120];
const LIMIT: Duration = Duration::from_secs(10);

/// What udhcpc calls with what it was given.
const SCRIPT: &str = r#"#!/bin/sh
case $1 in
bound | renew) ip address replace "$ip/24" dev "$interface" ;;
esac
echo "told: $1 $ip $subnet $router $serverid $lease"
"#;

/// The server, in the head's LAN.
fn server(lab: &Lab) -> DhcpServer {
    let of_remote = |host| Ipv4Addr::new(192, 168, 2, host);
    let namespace = &lab.host(Site::Head).namespace;
    DhcpServer::start(DhcpServerConfig {
        interface: "eth0".to_owned(),
        address: SERVER,
        range: (of_remote(RANGE[0]), of_remote(RANGE[1])),
        router: Some(ROUTER),
        ..DhcpServerConfig::of_isp(0, namespace, lab.directory())
    })
    .expect("dnsmasq starts")
}

/// The client, in the remote's LAN.
fn client(lab: &Lab) -> Process {
    assert!(
        Path::new(BUSYBOX).is_file(),
        "NOT TESTED: no {BUSYBOX} here (Debian's package busybox-static)"
    );
    let script = lab.directory().join("udhcpc-script");
    fs::write(&script, SCRIPT).expect("the directory is there");
    fs::set_permissions(&script, Permissions::from_mode(0o755)).expect("it is ours");
    let mut command = lab.host(Site::Remote).namespace.command(BUSYBOX);
    // In the foreground; what it has is given back at the end.
    command.args(["udhcpc", "-f", "-R", "-i", "eth0", "-s"]);
    let log = lab.directory().join("udhcpc.log");
    Process::start(command.arg(&script), &log).expect("busybox starts")
}

/// What the remote's relay has counted.
fn relayed(lab: &Lab) -> serde_json::Value {
    let status = lab.status_json(Site::Remote).expect("the status");
    let mut interfaces = status["interfaces"].as_array().expect("a list").iter();
    let lan = interfaces.find(|it| it["name"] == "LAN");
    lan.expect("the LAN is there")["dhcp_relay"].clone()
}

#[test]
fn a_host_gets_its_lease_from_the_head_office_and_keeps_it_there() {
    let lab = running(LabConfig {
        remote_edits: vec![(
            format!("addresses: [{ROUTER}/24]"),
            format!("addresses: [{ROUTER}/24], dhcp-relay: [{SERVER}]"),
        )],
        ..config()
    });
    let server = server(&lab);
    let mut client = client(&lab);
    client
        .wait_for(LIMIT, |log| log.contains("told: bound"))
        .unwrap_or_else(|error| panic!("{error}\n{}\n{}", relayed(&lab), server.log()));
    let log = client.output();
    let told = log
        .lines()
        .find_map(|line| line.strip_prefix("told: bound "));
    let told: Vec<&str> = told.expect("a lease").split(' ').collect();
    let [address, rest @ ..] = &told[..] else {
        panic!("{told:?}");
    };
    let expected = [
        "255.255.255.0",
        &ROUTER.to_string(),
        &SERVER.to_string(),
        "120",
    ];
    assert_eq!(rest, expected);
    let address: Ipv4Addr = address.parse().expect("an address");
    assert_eq!(address.octets()[..3], [192, 168, 2]);
    assert!(
        (RANGE[0]..=RANGE[1]).contains(&address.octets()[3]),
        "{address}"
    );
    assert_eq!(server.leases().expect("its books"), [address]);
    // Once each, however many links there are, and however often the client asked.
    let counts = |kinds: [&str; 2]| {
        kinds
            .map(|kind| server.count(kind) as u64)
            .iter()
            .sum::<u64>()
    };
    let (requests, replies) = (
        counts(["DHCPDISCOVER", "DHCPREQUEST"]),
        counts(["DHCPOFFER", "DHCPACK"]),
    );
    let relay = relayed(&lab);
    println!("{address}: {relay}");
    assert!(requests >= 2 && replies >= 2, "{}", server.log());
    assert_eq!(relay["requests_relayed"], requests, "{}", server.log());
    assert_eq!(relay["replies_relayed"], replies, "{}", server.log());
    assert_eq!(relay.as_object().map(|all| all.len()), Some(2), "{relay}");

    // Renewed and given back by the host itself, from its new address, through the set.
    client.signal(Signal::SIGUSR1).expect("it runs");
    client
        .wait_for(LIMIT, |log| log.contains("told: renew"))
        .unwrap_or_else(|error| panic!("{error}\n{}", server.log()));
    client.signal(Signal::SIGTERM).expect("it runs");
    assert!(client.ends_within(LIMIT));
    let since = std::time::Instant::now();
    while server.count("DHCPRELEASE") == 0 {
        assert!(since.elapsed() < LIMIT, "{}", server.log());
        crate::sleep(0.02);
    }
    assert!(server.leases().expect("its books").is_empty());
    assert_eq!(relayed(&lab), relay, "that needs no relay");
}
