//! Leases of a few seconds, which run out (ISC's dhcpd; dnsmasq gives none so short).

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use benches::lab::{Lab, LabConfig, Site};
use benches::netns::Namespace;
use benches::process::Process;

use super::{interface, peer, wait_for_peer};
use crate::{
    SET_UP_LIMIT, Traffic, assert_nothing_lost_nothing_twice, config, sleep, status, wait_for_all,
};

const DHCPD: &str = "/usr/sbin/dhcpd";
const LEASE_S: u64 = 8;
const START_LIMIT: Duration = Duration::from_secs(10);
/// From the server's return until the link is in use: it is looked for every few seconds.
const RETURN_LIMIT: Duration = Duration::from_secs(20);

/// Serves the remote site in the ISP's namespace of link 1.
fn start(isp: &Namespace, directory: &Path) -> io::Result<Process> {
    let [configuration, leases, log] =
        ["dhcpd4.conf", "dhcpd4.leases", "dhcpd4.log"].map(|name| directory.join(name));
    std::fs::write(
        &configuration,
        format!(
            "authoritative; ping-check false;
            default-lease-time {LEASE_S}; max-lease-time {LEASE_S}; min-lease-time {LEASE_S};
            subnet 10.1.0.0 netmask 255.255.255.0 {{
                range 10.1.0.100 10.1.0.109;
                option routers 10.1.0.1;
            }}\n"
        ),
    )?;
    if !leases.exists() {
        std::fs::write(&leases, "")?;
    }
    std::fs::write(&log, "")?;
    isp.ip("addr replace 10.1.0.254/24 dev remote")?;
    isp.switch_offloads_off("remote")?;
    let mut command = isp.command(DHCPD);
    command.args(["-4", "-f", "-d", "--no-pid"]);
    command.arg("-cf").arg(configuration);
    command.arg("-lf").arg(leases).arg("remote");
    let mut dhcpd = Process::start(&mut command, &log)?;
    dhcpd.wait_for(START_LIMIT, |log| log.contains("Server starting service"))?;
    Ok(dhcpd)
}

#[test]
fn a_lease_that_runs_out_takes_its_link_and_no_other() {
    let mut lab = Lab::build(LabConfig {
        remote_edits: vec![(
            "addresses: [10.1.0.2/24]".to_owned(),
            "addresses: dhcp".to_owned(),
        )],
        ..config()
    })
    .expect("the lab needs root");
    let isp = lab.isp(1).clone();
    let server = start(&isp, lab.directory()).expect("dhcpd starts (package isc-dhcp-server)");
    for site in Site::BOTH {
        lab.start(site).expect("the appliance starts");
    }
    lab.wait_until_set_up(SET_UP_LIMIT)
        .expect("all links come up");
    let others = [2, 3].map(|link| peer(&lab, link));
    let traffic = Traffic::start(&lab, 1_000);
    sleep(LEASE_S as f64);
    assert!(server.output().matches("DHCPACK").count() >= 2, "renewed");

    drop(server);
    let since = Instant::now();
    while !interface(&lab, 1)["given"]
        .as_array()
        .is_some_and(Vec::is_empty)
    {
        let limit = Duration::from_secs(LEASE_S + 1);
        assert!(since.elapsed() < limit, "{:#}", interface(&lab, 1));
        sleep(0.1);
    }
    println!("the address is gone {:?} after the server", since.elapsed());
    let tunnels = status(&lab, Site::Remote).tunnels;
    let mut of_link = tunnels.iter().filter(|tunnel| tunnel.table == 1);
    assert!(
        of_link.all(|tunnel| tunnel.state != "established"),
        "the tunnel goes with it"
    );
    assert_eq!(others, [2, 3].map(|link| peer(&lab, link)));

    let _server = start(&isp, lab.directory()).expect("dhcpd starts again");
    let since = Instant::now();
    wait_for_peer(&lab, 1, |peer| (100..110).contains(&peer.octets()[3]));
    wait_for_all(&mut lab, RETURN_LIMIT);
    println!("in use {:?} after the server's return", since.elapsed());
    let reports = traffic.stop();
    assert_nothing_lost_nothing_twice(&lab, &reports);
}
