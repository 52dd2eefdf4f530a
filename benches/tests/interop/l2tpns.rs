//! Debian's l2tpns as the LNS of our LAC. It moves packets in user space, between its socket and a tun device.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use benches::lab::{Lab, Site};
use benches::process::Process;
use nix::sys::signal::Signal;

use super::radius::{Radius, User};
use super::{
    FAMILIES, assert_carries, assert_echoes_are_answered, build, template, wait_for_result,
    wait_until_up,
};

const PROGRAM: &str = "/usr/sbin/l2tpns";
const START_LIMIT: Duration = Duration::from_secs(10);

/// The daemon, and the server that tells it who may log in.
struct L2tpns {
    directory: PathBuf,
    process: Process,
    _radius: Radius,
}

impl L2tpns {
    /// Starts it in the head's place, which is a kernel router besides. `edits` are texts to replace in its file.
    fn start(lab: &Lab, edits: &[(&str, &str)]) -> Self {
        assert!(
            Path::new(PROGRAM).is_file(),
            "NOT TESTED: no {PROGRAM} here (Debian's package l2tpns)"
        );
        let directory = lab.directory().join("l2tpns");
        fs::create_dir_all(&directory).unwrap();
        let mut config = template("l2tpns").replace("DIRECTORY", &directory.display().to_string());
        for (from, to) in edits {
            assert!(config.contains(from), "no {from:?} in its file");
            config = config.replace(from, to);
        }
        for (file, text) in [
            ("startup-config", config.as_str()),
            ("users", ""),
            ("ip_pool", ""),
        ] {
            fs::write(directory.join(file), text).unwrap();
        }
        let namespace = lab.namespace(Site::Head);
        let radius = Radius::start(
            namespace,
            User {
                secret: "radius-secret",
                name: "remote.1",
                password: "link-secret",
                address: [10, 77, 0, 2],
                route: "192.168.2.0/24 10.77.0.2 1",
                ipv6_route: "2001:db8:2::/64 :: 1",
            },
        );
        // Two of its files have their place below /etc. `ip netns exec` has given it mounts of its own.
        let mut command = namespace.command("sh");
        command
            .args(["-c", "mount --bind \"$1\" /etc/l2tpns && exec \"$2\"", "sh"])
            .arg(&directory)
            .arg(PROGRAM);
        let mut process = Process::start(&mut command, &directory.join("output")).unwrap();
        let log = directory.join("l2tpns.log");
        let has_started = |_: &str| {
            let log = fs::read_to_string(&log).unwrap_or_default();
            log.contains("IP address pool is")
        };
        process.wait_for(START_LIMIT, has_started).unwrap();
        Self {
            directory,
            process,
            _radius: radius,
        }
    }

    /// What it wrote of its doings.
    fn log(&self) -> String {
        let log = fs::read(self.directory.join("l2tpns.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Has it clear its tunnels. It ends by itself some time later, or when it is dropped.
    fn clear(&self) {
        self.process.signal(Signal::SIGQUIT).unwrap();
    }
}

/// Kernel addresses where the head would have its own, and its LAN behind it.
fn kernel_router(lab: &Lab) {
    let head = lab.namespace(Site::Head);
    for address in ["10.1.0.1/24 dev isp1", "192.168.1.1/24 dev lan"] {
        head.ip(&format!("addr add {address}")).unwrap();
    }
    head.ip("addr add 2001:db8:1::1/64 dev lan nodad").unwrap();
    for (file, value) in [("ipv4/ip_forward", "1"), ("ipv6/conf/all/forwarding", "1")] {
        head.sysctl(file, value).unwrap();
    }
    for interface in ["isp1", "lan"] {
        head.switch_offloads_off(interface).unwrap();
    }
}

fn lab(edits: &[(&str, &str)]) -> Lab {
    let lab = build(Site::Remote, edits);
    kernel_router(&lab);
    lab
}

/// CHAP, a tunnel secret, both families, echoes both ways; then each end goes away in its own manner, and comes back.
#[test]
fn l2tpns_as_lns_carries_data_and_comes_back() {
    let mut lab = lab(&[]);
    let lns = L2tpns::start(&lab, &[]);
    lab.start(Site::Remote).unwrap();
    wait_until_up(&mut lab, Site::Remote, &FAMILIES);
    assert_carries(&lab, &FAMILIES);
    assert_echoes_are_answered(&lab, Site::Remote);

    // We end it.
    assert!(lab.stop(Site::Remote).unwrap().success());
    assert!(lns.log().contains("Received StopCCN"), "{}", lns.log());
    lab.start(Site::Remote).unwrap();
    wait_until_up(&mut lab, Site::Remote, &FAMILIES);

    // It ends it.
    lns.clear();
    wait_for_result(&lab, "result 6");
    drop(lns);
    let lns = L2tpns::start(&lab, &[]);
    wait_until_up(&mut lab, Site::Remote, &FAMILIES);

    // It dies.
    drop(lns);
    let _lns = L2tpns::start(&lab, &[]);
    wait_for_result(&lab, "LCP echoes are not answered");
    wait_until_up(&mut lab, Site::Remote, &FAMILIES);
    assert_carries(&lab, &FAMILIES);
}

/// The second way to log in, and packets with numbers on our side. It asks for none, and takes them.
#[test]
fn l2tpns_as_lns_takes_pap_and_numbered_packets() {
    let mut lab = lab(&[("lcp-rate: 1", "sequencing: true\n      lcp-rate: 1")]);
    let _lns = L2tpns::start(&lab, &[("chap,pap", "pap")]);
    lab.start(Site::Remote).unwrap();
    wait_until_up(&mut lab, Site::Remote, &FAMILIES);
    assert_carries(&lab, &FAMILIES);
}
