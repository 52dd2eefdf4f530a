//! One appliance, and a peer of others' making at the other end of the tunnel. Needs root, and the peers' Debian packages;
//! build the workspace first, with the same profile.
//!
//! A peer that is not there makes its tests fail with the words NOT TESTED: a test that did not happen has not passed.
//! `scripts/test` installs the peers, and leaves out, and names, the tests of those that cannot run on the machine.

mod dhcp;
mod ipv6;
mod l2tpns;
mod pppoe;
mod radius;
mod xl2tpd;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use benches::lab::{Lab, LabConfig, Site};
use benches::status::{Session, Status};
use benches::traffic::Host;
use benches::transfer::{Transfer, TransferConfig};

const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];
const SET_UP_LIMIT: Duration = Duration::from_secs(20);
/// Until a peer's end has come to us, or is found out: `lcp-timeout` is 4 s.
const END_LIMIT: Duration = Duration::from_secs(8);
const PATH_LIMIT: Duration = Duration::from_secs(5);
/// Times that three packets are sent through a guest.
const PING_CHANCES: usize = 5;
/// Intervals of LCP echoes, a second each, that are watched.
const ECHOES: u64 = 3;
const TRANSFER_OCTETS: u64 = 2 << 20;

/// One link of 2 ms, LANs of both families. `edits` are texts to replace in the file of `ours`.
fn build(ours: Site, edits: &[(&str, &str)]) -> Lab {
    let mut config = LabConfig::demo().expect("the workspace is built");
    config.configs = configs();
    config.links = vec!["delay=2ms".parse().unwrap()];
    config.has_ipv6_lans = true;
    let edits = edits.iter().map(|&(from, to)| (from.into(), to.into()));
    match ours {
        Site::Head => config.head_edits.extend(edits),
        Site::Remote => config.remote_edits.extend(edits),
    }
    Lab::build(config).expect("the lab needs root")
}

fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/configs")
}

/// A peer's file, with words in capitals to be replaced.
fn template(name: &str) -> String {
    fs::read_to_string(configs().join(name)).unwrap()
}

fn sleep(seconds: f64) {
    std::thread::sleep(Duration::from_secs_f64(seconds));
}

fn status(lab: &Lab, site: Site) -> Status {
    lab.status(site).expect("the appliance answers")
}

/// The one link.
fn session(lab: &Lab, site: Site) -> Session {
    let status = status(lab, site);
    status.sessions.into_iter().next().expect("a link")
}

/// Waits until the link carries exactly these families.
fn wait_until_up(lab: &mut Lab, ours: Site, families: &[&str]) {
    let started = Instant::now();
    loop {
        lab.assert_running(ours).unwrap();
        if let Ok(status) = lab.status(ours) {
            let is_up = |session: &Session| session.state == "up" && session.networks == families;
            if status.sessions.iter().any(is_up) {
                println!("up after {:?}", started.elapsed());
                return;
            }
            assert!(started.elapsed() < SET_UP_LIMIT, "not up: {status:#?}");
        }
        sleep(0.05);
    }
}

/// Waits until the link is found to be dead.
fn wait_until_down(lab: &Lab, ours: Site) {
    let started = Instant::now();
    while session(lab, ours).state == "up" {
        assert!(started.elapsed() < END_LIMIT, "still up");
        sleep(0.05);
    }
}

/// Pings of all sizes and a TCP transfer, both ways.
fn assert_carries(lab: &Lab, families: &[&str]) {
    let ends = Site::BOTH;
    for family in families {
        let host = |site| match *family {
            "IPv4" => lab.host(site).clone(),
            _ => lab.host_ipv6(site).clone(),
        };
        for (from, to) in ends.map(|site| (host(site), host(site.other()))) {
            wait_for_path(&from, &to);
            for packet_octets in [64, 1400, 1450] {
                assert_pings(&from, &to, packet_octets);
            }
            let transfer = TransferConfig {
                from,
                to,
                port: 6000,
                octets: TRANSFER_OCTETS,
                octets_per_s: None,
            };
            let report = Transfer::start(transfer).unwrap().finish().unwrap();
            println!("{family}: {} octets in {:?}", report.octets, report.elapsed);
            assert!(report.is_intact);
        }
    }
}

/// Waits until the peer, which has its own pace, has its routes.
fn wait_for_path(from: &Host, to: &Host) {
    let started = Instant::now();
    while !is_pinged(from, to, &["-c", "1", "-W", "1"]) {
        assert!(
            started.elapsed() < PATH_LIMIT,
            "{} reaches nobody",
            from.address
        );
        sleep(0.1);
    }
}

fn is_pinged(from: &Host, to: &Host, words: &[&str]) -> bool {
    let mut ping = from.namespace.command("ping");
    let output = ping.args(words).arg(to.address.to_string()).output();
    output.unwrap().status.success()
}

/// Three of three, none twice, in packets of that size which nobody may cut. What is too large never passes; but a guest's kernel, whose one
/// processor the host stops now and then, may lose what comes meanwhile, and so has more than one chance.
fn assert_pings(from: &Host, to: &Host, packet_octets: usize) {
    let headers = if to.address.is_ipv4() { 28 } else { 48 };
    let size = (packet_octets - headers).to_string();
    let address = to.address.to_string();
    let words = [
        "-n", "-c", "3", "-i", "0.02", "-W", "2", "-M", "do", "-s", &size, &address,
    ];
    let mut said = String::new();
    for _ in 0..PING_CHANCES {
        let output = from.namespace.command("ping").args(words).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(!text.contains("DUP"), "{packet_octets} octets: {text}");
        if text.contains(" 3 received") {
            return;
        }
        said.push_str(&text);
    }
    panic!("{packet_octets} octets: {said}");
}

/// Over some intervals every echo has its answer.
fn assert_echoes_are_answered(lab: &Lab, ours: Site) {
    let before = session(lab, ours);
    sleep(ECHOES as f64 + 0.5);
    let after = session(lab, ours);
    assert!(after.echo_sent >= before.echo_sent + ECHOES, "{after:?}");
    assert_eq!(after.echo_lost, before.echo_lost, "{after:?}");
    assert!(after.up_s >= before.up_s + ECHOES, "{after:?}");
}

/// Waits until our tunnel has ended, for a reason that has this text in it.
fn wait_for_result(lab: &Lab, text: &str) {
    let started = Instant::now();
    loop {
        let tunnels = status(lab, Site::Remote).tunnels;
        let results = tunnels.iter().filter_map(|it| it.last_result.as_ref());
        if results.clone().any(|result| result.contains(text)) {
            return;
        }
        assert!(started.elapsed() < END_LIMIT, "no {text:?}: {tunnels:?}");
        sleep(0.02);
    }
}
