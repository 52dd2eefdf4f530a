//! Somebody on the ISPs' wires who plays the provider: forged DHCP, router advertisements and PPPoE, thousands of frames a
//! second, beside the servers that are really there.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use benches::dhcp_server::{DhcpServer, DhcpServerConfig};
use benches::flood::{Flood, FloodConfig, FloodReport, Wire};
use benches::junk::provider::{Customer, Line, ProviderJunk};
use benches::lab::{Lab, LabConfig, Site};
use benches::status::Status;
use serde_json::Value;

use super::interface;
use crate::strangers::{
    ANSWER_LIMIT, GROWTH_KIB, RING_FULL, accounted, connections, cut_all, hardware_address,
    kernel_counter, moment, port, resident_kib,
};
use crate::{
    SET_UP_LIMIT, Traffic, assert_nothing_lost_nothing_twice, config, dropped, make_neighbours,
    sleep, status,
};

const SEED: u64 = 1;
/// Different frames for each link.
const FRAMES: usize = 10_000;
/// On each link.
const FRAMES_PER_S: u64 = 5_000;
const FLOOD_S: f64 = 6.0;
/// So that the lease is renewed under the flood, too.
const RENEWAL_S: u32 = 3;
/// What the log may grow by, however much strangers say.
const LOG_LINES: usize = 300;

/// What the networks have given, which strangers are not to change.
#[derive(Debug, PartialEq)]
struct Held {
    lease: Vec<String>,
    line: Vec<String>,
    session: Value,
    tunnels: [Vec<[u16; 4]>; 2],
}

fn held(lab: &Lab) -> Held {
    Held {
        lease: given(lab, 1, "dhcp"),
        line: given(lab, 2, "pppoe"),
        session: interface(lab, 2)["pppoe"]["session_id"].clone(),
        tunnels: Site::BOTH.map(|site| connections(&status(lab, site))),
    }
}

/// The addresses of an interface that were given in this way.
fn given(lab: &Lab, link: u8, from: &str) -> Vec<String> {
    let interface = interface(lab, link);
    let all = interface["given"].as_array().expect("a list").iter();
    let of_it = all.filter(|given| given["from"] == from);
    of_it
        .map(|given| given["address"].as_str().expect("a text").to_owned())
        .collect()
}

fn host_address(of: &[String]) -> Ipv4Addr {
    let address = of.first().and_then(|text| text.split('/').next());
    let address = address.and_then(|text| text.parse().ok());
    address.expect("an address was given")
}

fn customers(lab: &Lab, held: &Held) -> [Customer; 2] {
    let pppoe = &interface(lab, 2)["pppoe"];
    let line = Line {
        access_concentrator: hardware_address(pppoe["mac"].as_str().expect("it has one")),
        session: pppoe["session_id"].as_u64().expect("a session") as u16,
    };
    [(1, &held.lease, 254), (2, &held.line, 2)].map(|(link, given, server)| {
        let file = format!("/sys/class/net/isp{link}/address");
        let mac = crate::output(lab.namespace(Site::Remote).command("cat").arg(file));
        Customer {
            mac: hardware_address(&mac),
            address: host_address(given),
            server: Ipv4Addr::new(10, link, 0, server),
            line,
        }
    })
}

/// Where the strangers are.
fn wires(lab: &Lab) -> [Wire; 2] {
    let access = lab.access(2).expect("link 2 has a concentrator");
    [(lab.isp(1), "remote"), (access, "lan")].map(|(namespace, interface)| Wire {
        namespace: namespace.clone(),
        interface: interface.to_owned(),
    })
}

/// Floods both links at once and says what went over each.
fn flood(lab: &Lab, customers: [Customer; 2]) -> [FloodReport; 2] {
    let floods: Vec<Flood> = wires(lab)
        .into_iter()
        .zip(customers)
        .zip(SEED..)
        .map(|((wire, customer), seed)| {
            Flood::start(FloodConfig {
                wire,
                frames: Arc::new(ProviderJunk::new(seed, customer).frames(FRAMES)),
                frames_per_s: FRAMES_PER_S,
            })
        })
        .collect();
    sleep(FLOOD_S / 2.0);
    let asked = Instant::now();
    assert_eq!(status(lab, Site::Remote).live_links(), [1, 2, 3]);
    assert!(asked.elapsed() < ANSWER_LIMIT, "{:?}", asked.elapsed());
    sleep(FLOOD_S / 2.0);
    let reports: Vec<FloodReport> = floods
        .into_iter()
        .map(|flood| flood.stop().expect("the flood goes on to its end"))
        .collect();
    reports.try_into().expect("two floods")
}

/// Counters by name, 0 when they are not there.
struct Counters(BTreeMap<String, u64>);

impl Counters {
    fn of(counters: &Value) -> Self {
        Self(serde_json::from_value(counters.clone()).expect("counters"))
    }

    fn of_dhcp(lab: &Lab) -> Self {
        Self::of(&interface(lab, 1)["clients"]["dhcp"]["counters"])
    }

    fn of_routers(lab: &Lab) -> Self {
        Self::of(&interface(lab, 1)["clients"]["ra"]["counters"])
    }

    fn of_line(lab: &Lab) -> Self {
        Self::of(&interface(lab, 2)["pppoe"]["counters"])
    }

    fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    fn assert_all_counted(&self, names: &[&str]) {
        for name in names {
            assert!(self.get(name) > 0, "{name}: {:?}", self.0);
        }
    }
}

/// Everything that the strangers sent, less what the wire lost, arrived, and every frame that arrived became
/// something.
fn assert_accounted(lab: &Lab, before: &Status, now: &Status, reports: &[FloodReport; 2]) {
    for ((link, report), wire) in (1..).zip(reports).zip(wires(lab)) {
        let (port_before, port_now) = (port(before, link), port(now, link));
        println!(
            "link {link}: {} sent; {:?}, {} punted",
            report.sent_frames, port_now.drops, port_now.punted_packets
        );
        // The line of PPPoE is a port of its own.
        let name = format!("isp{link}.pppoe");
        let line = now.ports.iter().find(|port| port.name == name);
        let session = now.link(link);
        match line {
            Some(line) => {
                assert_eq!(line.received_packets, accounted(line, session), "{line:?}");
                let became = accounted(port_now, None) + line.received_packets;
                assert_eq!(port_now.received_packets, became, "{port_now:?}");
            }
            None => {
                let became = accounted(port_now, session);
                assert_eq!(port_now.received_packets, became, "{port_now:?}");
            }
        }
        let received = port_now.received_packets - port_before.received_packets;
        let missed = dropped(now, &port_now.name, RING_FULL)
            + kernel_counter(&wire.namespace, &wire.interface, "tx_dropped");
        assert!(received + missed >= report.sent_frames, "{port_now:?}");
        let policed = dropped(now, &port_now.name, "punt-policed");
        assert!(policed > 0, "{port_now:?}");
    }
}

fn log_lines(lab: &Lab) -> usize {
    let log = std::fs::read_to_string(lab.log(Site::Remote)).expect("the log is there");
    assert!(!log.contains("panicked"), "{log}");
    log.lines().count()
}

#[test]
fn forged_dhcp_router_advertisements_and_pppoe_disturb_nothing() {
    println!("seed {SEED}");
    let mut lab = Lab::build(LabConfig {
        remote_edits: vec![(
            "addresses: [10.1.0.2/24]".to_owned(),
            "addresses: [dhcp, ra]".to_owned(),
        )],
        concentrators: vec![2],
        ..config()
    })
    .expect("the lab needs root");
    let server = DhcpServer::start(DhcpServerConfig {
        renewal_s: Some(RENEWAL_S),
        rebinding_s: Some(2 * RENEWAL_S),
        ..DhcpServerConfig::of_isp(1, lab.isp(1), lab.directory())
    })
    .expect("dnsmasq starts");
    for site in Site::BOTH {
        lab.start(site).expect("the appliance starts");
    }
    lab.wait_until_set_up(SET_UP_LIMIT)
        .expect("all links come up");
    let before = held(&lab);
    let dhcp = Counters::of_dhcp(&lab);
    let line = Counters::of_line(&lab);
    make_neighbours(&lab);
    let traffic = Traffic::start(&lab, 1_000);
    sleep(1.0);
    let started = status(&lab, Site::Remote);
    let (memory, lines) = (resident_kib(&lab, Site::Remote), log_lines(&lab));
    let acks = server.count("DHCPACK");

    let reports = flood(&lab, customers(&lab, &before));
    let grown_kib = resident_kib(&lab, Site::Remote).saturating_sub(memory);
    let acks = server.count("DHCPACK") - acks;
    let reports_of_traffic = traffic.stop();
    for (link, report) in (1..).zip(&reports) {
        println!(
            "link {link}: {} frames in {:?}, {} answers, {} ICMP errors",
            report.sent_frames, report.elapsed, report.answer_frames, report.icmp_errors
        );
        assert!(report.sent_frames as f64 > 1_000.0 * FLOOD_S, "{report:?}");
    }
    let said = log_lines(&lab) - lines;
    println!("{grown_kib} KiB more, {said} lines, {acks} DHCPACK meanwhile");
    assert_nothing_lost_nothing_twice(&lab, &reports_of_traffic);
    assert_eq!(held(&lab), before);
    assert!(grown_kib <= GROWTH_KIB);
    assert!(said <= LOG_LINES);

    let now = [
        Counters::of_dhcp(&lab),
        Counters::of_routers(&lab),
        Counters::of_line(&lab),
    ];
    for counters in &now {
        println!("{:?}", counters.0);
    }
    let [dhcp_now, routers, line_now] = now;
    dhcp_now.assert_all_counted(&[
        "malformed",
        "other_hardware",
        "other_transaction",
        "no_server_id",
    ]);
    routers.assert_all_counted(&[
        "advertisements",
        "malformed",
        "options_refused",
        "table_full",
    ]);
    line_now.assert_all_counted(&["malformed", "wrong_source", "unexpected"]);
    for name in [
        "received_offer",
        "received_nak",
        "naks",
        "declined",
        "expired",
    ] {
        assert_eq!(dhcp_now.get(name), dhcp.get(name), "{name}");
    }
    for name in [
        "sessions_opened",
        "terminations_received",
        "offers_received",
    ] {
        assert_eq!(line_now.get(name), line.get(name), "{name}");
    }
    assert!(acks > 0 && dhcp_now.get("received_ack") > dhcp.get("received_ack"));
    let now = status(&lab, Site::Remote);
    assert!(dropped(&now, "isp2", "unknown-pppoe-session") > 0);
    assert!(dropped(&now, "isp2", "bad-pppoe") > 0);

    cut_all(&mut lab);
    let now = moment(&lab, Site::Remote).status;
    assert_accounted(&lab, &started, &now, &reports);
}
