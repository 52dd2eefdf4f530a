//! Two appliances, kernel hosts in both LANs, three emulated ISPs. Needs root;
//! build the workspace first, with the same profile.

mod alarms;
mod around;
mod books;
mod capture;
mod cuts;
mod families;
mod mask;
mod messages;
mod nat;
mod ordering;
mod ports;
mod reload;
mod restart;
mod sizes;
mod slow;
mod stall;
mod strangers;
mod uplinks;
mod wire;

use std::process::Command;
use std::time::{Duration, Instant};

use benches::lab::{Lab, LabConfig, Site};
use benches::ping::Ping;
use benches::status::Status;
use benches::traffic::{Flow, FlowConfig, FlowReport, Host};

/// Longer than any path takes.
const DRAIN: Duration = Duration::from_secs(2);
const SET_UP_LIMIT: Duration = Duration::from_secs(20);

fn config() -> LabConfig {
    LabConfig::demo().expect("the workspace is built")
}

/// Links are not given up and dialled anew while they are counted or watched, or lose much.
fn patient(config: LabConfig) -> LabConfig {
    let edit = ("lcp-timeout: 5".to_owned(), "lcp-timeout: 60".to_owned());
    LabConfig {
        edits: config.edits.into_iter().chain([edit]).collect(),
        ..config
    }
}

/// Both appliances up on all links.
fn running(config: LabConfig) -> Lab {
    let mut lab = Lab::build(config).expect("the lab needs root");
    for site in Site::BOTH {
        lab.start(site).expect("the appliance starts");
    }
    let time = lab
        .wait_until_set_up(SET_UP_LIMIT)
        .expect("all links come up");
    println!("set up after {time:?}");
    lab
}

fn sleep(seconds: f64) {
    std::thread::sleep(Duration::from_secs_f64(seconds));
}

/// Appliances and hosts know each other's hardware addresses. Without that the first packets to a host wait for it: its
/// session counts them, and the port that they came in by hands them to the control thread.
fn make_neighbours(lab: &Lab) {
    for site in Site::BOTH {
        let ping = Ping::run(lab.host(site), site.lan_gateway().into(), 1).expect("ping is there");
        assert_eq!(ping.received, 1, "the LAN of {}", site.name());
    }
}

/// Numbered traffic both ways.
struct Traffic {
    flows: [Flow; 2],
}

impl Traffic {
    fn start(lab: &Lab, packets_per_s: u32) -> Self {
        Self::sized(lab, packets_per_s, 200)
    }

    fn sized(lab: &Lab, packets_per_s: u32, payload_octets: usize) -> Self {
        Self::on_port(lab, 5000, packets_per_s, payload_octets)
    }

    /// For several at a time.
    fn on_port(lab: &Lab, port: u16, packets_per_s: u32, payload_octets: usize) -> Self {
        let hosts = Site::BOTH.map(|site| lab.host(site));
        Self::between(hosts, port, packets_per_s, payload_octets)
    }

    fn ipv6(lab: &Lab, port: u16, packets_per_s: u32, payload_octets: usize) -> Self {
        let hosts = Site::BOTH.map(|site| lab.host_ipv6(site));
        Self::between(hosts, port, packets_per_s, payload_octets)
    }

    fn between(hosts: [&Host; 2], port: u16, packets_per_s: u32, payload_octets: usize) -> Self {
        let [head, remote] = hosts;
        let flows = [(head, remote), (remote, head)].map(|(from, to)| {
            let flow = FlowConfig {
                payload_octets,
                ..FlowConfig::new(from, to, port, packets_per_s)
            };
            Flow::start(flow).expect("the hosts have sockets")
        });
        Self { flows }
    }

    /// Packets sent so far, from the head and from the remote.
    fn sent(&self) -> [u64; 2] {
        self.flows.each_ref().map(Flow::sent)
    }

    fn stop(self) -> [FlowReport; 2] {
        for flow in &self.flows {
            flow.stop_sending();
        }
        self.flows
            .map(|flow| flow.stop(DRAIN).expect("the flow reports"))
    }
}

/// What the hosts themselves lost is no verdict on the appliances.
fn assert_honest(report: &FlowReport) {
    assert_eq!(
        (report.receiver_drops, report.send_errors),
        (0, 0),
        "the traffic hosts kept up"
    );
}

fn assert_nothing_lost_nothing_twice(lab: &Lab, reports: &[FlowReport; 2]) {
    for (site, report) in Site::BOTH.into_iter().zip(reports) {
        println!(
            "from {}: sent {}, received {}, twice {}, out of order {}, longest gap {:?}, latency {:?}",
            site.name(),
            report.sent,
            report.received,
            report.delivered_twice,
            report.out_of_order,
            report.longest_gap,
            report.latency
        );
        assert_honest(report);
        let context = || drops_of(lab);
        assert_eq!(
            report.lost(),
            0,
            "lost from {}: {:?}\n{}",
            site.name(),
            report.missing,
            context()
        );
        assert_eq!(
            report.delivered_twice,
            0,
            "delivered twice from {}",
            site.name()
        );
        assert_eq!(report.foreign, 0, "damaged payload from {}", site.name());
    }
}

/// The named drops of both appliances, for a failure's text.
fn drops_of(lab: &Lab) -> String {
    let mut text = String::new();
    for site in Site::BOTH {
        if let Ok(status) = lab.status(site) {
            for port in &status.ports {
                text += &format!("{} {}: {:?}\n", site.name(), port.name, port.drops);
            }
            for session in &status.sessions {
                text += &format!("{} {session:?}\n", site.name());
            }
        }
    }
    text
}

fn status(lab: &Lab, site: Site) -> Status {
    lab.status(site).expect("the appliance answers")
}

fn dropped(status: &Status, port: &str, reason: &str) -> u64 {
    let port = status
        .ports
        .iter()
        .find(|of| of.name == port)
        .expect("the port is there");
    port.drops.get(reason).copied().unwrap_or(0)
}

/// Waits until all links are up at both ends.
fn wait_for_all(lab: &mut Lab, limit: Duration) -> Duration {
    let started = Instant::now();
    lab.wait_until_set_up(limit)
        .unwrap_or_else(|error| panic!("{error}\n{}", drops_of(lab)));
    started.elapsed()
}

/// What a command in a LAN host's namespace prints, whatever its exit code.
fn at_host(lab: &Lab, site: Site, program: &str, arguments: &[&str]) -> String {
    output(lab.host(site).namespace.command(program).args(arguments))
}

fn output(command: &mut Command) -> String {
    let output = command.output().expect("the program is installed");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
