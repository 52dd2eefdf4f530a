//! The lab without appliances: plain kernel routers stand in for them, so nothing protects the traffic. Needs root.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use benches::emulator::Direction;
use benches::iperf::{Iperf, IperfConfig, Protocol, Tcp};
use benches::lab::{Lab, LabConfig, Site};
use benches::ping::Ping;
use benches::snmp::too_large;
use benches::traffic::{Flow, FlowConfig, Host};
use benches::transfer::{Transfer, TransferConfig};

fn config(links: usize) -> LabConfig {
    let mut config = LabConfig::demo().unwrap();
    config.links.truncate(links);
    config.configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/does-not-exist");
    config
}

fn lab(links: usize) -> Lab {
    Lab::build(config(links)).unwrap()
}

/// One link of 5 ms, routed by the kernels.
fn routed_lab() -> Lab {
    routed(lab(1))
}

fn routed(lab: Lab) -> Lab {
    for site in Site::BOTH {
        let namespace = lab.namespace(site);
        namespace.sysctl("ipv4/ip_forward", "1").unwrap();
        namespace
            .ip(&format!("addr add {}/24 dev lan", site.lan_gateway()))
            .unwrap();
        route(&lab, site);
        // A kernel forwards what its LAN host left to offload; the ends must be honest.
        namespace.switch_offloads_off("isp1").unwrap();
    }
    let (from, to) = (lab.host(Site::Head), lab.host(Site::Remote));
    assert_eq!(Ping::run(from, to.address, 2).unwrap().received, 2);
    lab
}

/// The uplink's address and route, which a kernel forgets when the interface goes down.
fn route(lab: &Lab, site: Site) {
    let (own, other) = match site {
        Site::Head => (1, 2),
        Site::Remote => (2, 1),
    };
    let namespace = lab.namespace(site);
    namespace
        .ip(&format!("addr replace 10.1.0.{own}/24 dev isp1"))
        .unwrap();
    namespace
        .ip(&format!(
            "route replace 192.168.{other}.0/24 via 10.1.0.{other}"
        ))
        .unwrap();
}

fn namespaces_with(prefix: &str) -> usize {
    let output = Command::new("ip").args(["netns", "list"]).output().unwrap();
    let list = String::from_utf8(output.stdout).unwrap();
    list.lines().filter(|line| line.starts_with(prefix)).count()
}

#[test]
fn every_kind_of_cut_is_seen_and_ends() {
    let mut lab = routed_lab();
    let [from, to] = Site::BOTH.map(|site| lab.host(site).clone());
    let flow = Flow::start(FlowConfig::new(&from, &to, 5001, 5000)).unwrap();
    let pause = || std::thread::sleep(Duration::from_millis(300));
    let mut marks = Vec::new();
    type Cut = fn(&mut Lab, bool);
    let cuts: [(&str, Cut); 4] = [
        ("outage", |lab, is_cut| lab.set_outage(1, is_cut).unwrap()),
        ("interface", |lab, is_cut| match is_cut {
            true => lab.interface_down(1, Site::Head).unwrap(),
            false => {
                lab.interface_up(1, Site::Head).unwrap();
                route(lab, Site::Head);
            }
        }),
        ("carrier", |lab, is_cut| match is_cut {
            true => lab.carrier_down(1, Site::Remote).unwrap(),
            false => lab.carrier_up(1, Site::Remote).unwrap(),
        }),
        ("emulator", |lab, is_cut| match is_cut {
            true => lab.kill_emulator(1).unwrap(),
            false => lab.start_emulator(1).unwrap(),
        }),
    ];
    pause();
    for (name, cut) in cuts {
        let before = flow.sent();
        cut(&mut lab, true);
        pause();
        cut(&mut lab, false);
        pause();
        pause();
        marks.push((name, before..flow.sent()));
    }
    let report = flow.stop(Duration::from_secs(1)).unwrap();
    println!("{report:?}");
    assert_eq!(report.receiver_drops, 0);
    assert_eq!(report.delivered_twice, 0);
    for (name, numbers) in marks {
        let lost = report.lost_in(numbers.clone());
        let sent = numbers.end - numbers.start;
        println!("{name}: {lost} of {sent} lost");
        assert!(
            lost >= 1000,
            "{name}: a cut of 300 ms at 5000/s loses: {lost}"
        );
        assert!(
            lost <= sent - 1000,
            "{name}: and then it carries again: {lost} of {sent}"
        );
    }
    // The restarted emulator kept its delay.
    let ping = Ping::run(&from, to.address, 2).unwrap();
    assert!(ping.least_ms >= 8.0, "{ping:?}");
}

#[test]
fn both_ways_at_full_rate_nothing_is_lost_by_the_lab_itself() {
    let lab = routed_lab();
    let [head, remote] = Site::BOTH.map(|site| lab.host(site).clone());
    let transfer = Transfer::start(TransferConfig {
        from: remote.clone(),
        to: head.clone(),
        port: 5003,
        octets: 5_000_000,
        octets_per_s: Some(2_000_000),
    });
    let transfer = transfer.unwrap();
    let ping = Ping::start(&head, remote.address).unwrap();
    let flows = [(&head, &remote, 5001), (&remote, &head, 5002)]
        .map(|(from, to, port)| Flow::start(FlowConfig::new(from, to, port, 5000)).unwrap());
    std::thread::sleep(Duration::from_secs(3));
    flows.iter().for_each(Flow::stop_sending);
    for flow in flows {
        let report = flow.stop(Duration::from_secs(1)).unwrap();
        println!("{report:?}");
        assert!(report.sent >= 14_000, "paced: {}", report.sent);
        assert_eq!(
            report.lost() + report.delivered_twice + report.receiver_drops,
            0
        );
        assert!(report.latency.least >= Duration::from_millis(4));
    }
    let ping = ping.stop().unwrap();
    assert!(ping.sent >= 10 && ping.lost() <= 1, "{ping:?}");
    let transfer = transfer.finish().unwrap();
    assert!(transfer.is_intact && transfer.octets == 5_000_000);
    assert!(
        (2.4..8.0).contains(&transfer.elapsed.as_secs_f64()),
        "{transfer:?}"
    );
    let stats = lab.link_stats(1).unwrap();
    for direction in [stats.a_b, stats.b_a] {
        assert!(direction.path.forwarded > 15_000);
        assert_eq!(direction.kernel_drops + direction.send_errors, 0);
    }
}

#[test]
fn lossy_links_lose_their_share_in_one_direction_only() {
    let mut lab = routed_lab();
    lab.change_link(1, Site::Head.outbound(), "loss=2%")
        .unwrap();
    let [head, remote] = Site::BOTH.map(|site| lab.host(site).clone());
    let flows = [(&head, &remote, 5001), (&remote, &head, 5002)]
        .map(|(from, to, port)| Flow::start(FlowConfig::new(from, to, port, 5000)).unwrap());
    std::thread::sleep(Duration::from_secs(3));
    let [out, back] = flows.map(|flow| flow.stop(Duration::from_secs(1)).unwrap());
    assert!((0.013..0.027).contains(&out.loss()), "{}", out.loss());
    assert_eq!(back.lost(), 0);
    let stats = lab.link_stats(1).unwrap();
    // A frame of the kernels' ARP may be among those lost.
    let others = stats.a_b.path.lost - out.lost();
    assert!(others <= 3, "{stats:?} {out:?}");
    lab.change_link(1, Direction::Both, "loss=0").unwrap();
}

/// Routes IPv6 as well.
fn add_ipv6(lab: &Lab) {
    for site in Site::BOTH {
        let namespace = lab.namespace(site);
        namespace.sysctl("ipv6/conf/all/forwarding", "1").unwrap();
        let (own, other) = match site {
            Site::Head => (1, 2),
            Site::Remote => (2, 1),
        };
        let gateway = site.lan_gateway_ipv6();
        for words in [
            format!("addr add {gateway}/64 dev lan nodad"),
            format!("addr add fd10:1::{own}/64 dev isp1 nodad"),
            format!("route add 2001:db8:{other}::/64 via fd10:1::{other}"),
        ] {
            namespace.ip(&words).unwrap();
        }
    }
}

#[test]
fn wires_have_their_mtu_and_hosts_both_families() {
    let lab = Lab::build(LabConfig {
        mtus_octets: vec![1400],
        has_ipv6_lans: true,
        ..config(1)
    });
    let lab = routed(lab.unwrap());
    add_ipv6(&lab);
    for site in Site::BOTH {
        let features = Command::new("ip")
            .args(["netns", "exec", lab.host(site).namespace.name()])
            .args(["ethtool", "-k", "eth0"])
            .output()
            .unwrap();
        let features = String::from_utf8(features.stdout).unwrap();
        for feature in [
            "tx-checksumming",
            "tcp-segmentation-offload",
            "generic-segmentation-offload",
        ] {
            assert!(features.contains(&format!("{feature}: off")), "{features}");
        }
    }
    let families: [fn(&Lab, Site) -> Host; 2] = [
        |lab, site| lab.host(site).clone(),
        |lab, site| lab.host_ipv6(site).clone(),
    ];
    for host in families {
        let [head, remote] = Site::BOTH.map(|site| host(&lab, site));
        assert_eq!(Ping::run(&head, remote.address, 3).unwrap().received, 3);
        for is_reversed in [false, true] {
            let tcp = IperfConfig {
                client: head.clone(),
                server: remote.clone(),
                port: 5201,
                seconds: 1,
                is_reversed,
                protocol: Protocol::Tcp,
                tcp: Tcp::default(),
            };
            let report = Iperf::start(&tcp).unwrap().finish().unwrap();
            println!("{} {report:?}", remote.address);
            assert!(report.received_octets > 1 << 20, "{report:?}");
        }
    }
    // The head's TCP found the MTU of 1400 by its router's answers, and these counters show such a thing.
    let counters = too_large(lab.host(Site::Head)).unwrap();
    assert!(counters.refusals_received > 0, "{counters:?}");
    let (head, remote) = (lab.host(Site::Head).clone(), lab.host(Site::Remote).clone());
    let udp = IperfConfig {
        client: head,
        server: remote,
        port: 5201,
        seconds: 2,
        is_reversed: false,
        protocol: Protocol::Udp {
            payload_octets: 1372,
            bits_per_s: 5_000_000,
        },
        tcp: Tcp::default(),
    };
    let report = Iperf::start(&udp).unwrap().finish().unwrap();
    println!("{report:?}");
    assert!(
        report.packets > 500 && report.lost_packets == 0,
        "{report:?}"
    );
}

#[test]
fn a_stalled_link_delivers_late_what_it_was_given() {
    let mut lab = routed_lab();
    let [head, remote] = Site::BOTH.map(|site| lab.host(site).clone());
    let flow = Flow::start(FlowConfig::new(&head, &remote, 5001, 2000)).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    lab.change_link(1, Direction::Both, "stall=on").unwrap();
    std::thread::sleep(Duration::from_millis(500));
    lab.change_link(1, Direction::Both, "stall=off").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let report = flow.stop(Duration::from_secs(1)).unwrap();
    assert_eq!((report.lost(), report.receiver_drops), (0, 0));
    assert_eq!((report.delivered_twice, report.out_of_order), (0, 0));
    let gap = report.longest_gap.as_millis();
    assert!((450..700).contains(&gap), "{gap} ms");
    let late = report
        .timeline
        .steps()
        .filter(|(_, step)| step.longest_latency > Duration::from_millis(100));
    let late: Vec<_> = late.collect();
    assert!((4..=6).contains(&late.len()), "steps of 100 ms: {late:?}");
}

#[test]
fn a_missing_appliance_is_said_at_once_and_everything_is_removed() {
    let mut lab = lab(2);
    let prefix = lab
        .namespace(Site::Head)
        .name()
        .trim_end_matches("head")
        .to_owned();
    let directory = lab.directory().to_owned();
    assert_eq!(namespaces_with(&prefix), 6);
    assert!(lab.start(Site::Head).is_err(), "its file does not exist");
    assert!(lab.stop(Site::Head).is_err());
    assert!(lab.status(Site::Head).is_err());
    let started = Instant::now();
    let error = lab
        .wait_until_set_up(Duration::from_millis(200))
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert!(started.elapsed() < Duration::from_secs(2));
    drop(lab);
    assert_eq!(namespaces_with(&prefix), 0);
    assert!(!directory.exists());
}

/// Run again as a child by the test below; alone it does nothing.
#[test]
fn child_that_is_killed_with_a_lab_standing() {
    if std::env::var_os("LAB_CHILD").is_some() {
        let lab = lab(1);
        println!("ready {}", lab.namespace(Site::Head).name());
        std::thread::sleep(Duration::from_secs(60));
    }
}

#[test]
fn even_a_killed_process_leaves_nothing_behind() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "child_that_is_killed_with_a_lab_standing",
            "--nocapture",
        ])
        .env("LAB_CHILD", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let directory = std::env::temp_dir().join(format!("hal2tp-{}-0", child.id()));
    let prefix = format!("hal2tp-{}-0-", child.id());
    wait_until(|| directory.join("isp1.sock").exists());
    assert_eq!(namespaces_with(&prefix), 5);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until(|| namespaces_with(&prefix) == 0);
    wait_until(|| !directory.exists());
}

fn wait_until(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < deadline, "it did not come to be");
        std::thread::sleep(Duration::from_millis(20));
    }
}
