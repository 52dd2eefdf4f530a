//! The emulator between two kernel hosts: what it carries, what it loses and what it costs. Needs root.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use benches::emulator::{Direction, Emulator, EmulatorConfig};
use benches::netns::Namespace;
use benches::ping::Ping;
use benches::traffic::{Flow, FlowConfig, FlowReport, Host};
use wan_model::impairment::Impairments;

/// Two hosts joined by an emulator in a namespace of its own.
struct Wire {
    namespaces: [Namespace; 3],
    hosts: [Host; 2],
    emulator: Option<Emulator>,
    config: EmulatorConfig,
}

impl Wire {
    fn new(label: &str, words: &str) -> Self {
        let name = |role| Namespace::named(format!("wan-{}-{label}-{role}", std::process::id()));
        let namespaces = [name("a"), name("b"), name("isp")];
        let host = |side: usize| Host {
            namespace: namespaces[side].clone(),
            address: [10, 9, 0, side as u8 + 1].into(),
        };
        let control = format!("/tmp/wan-{}-{label}.sock", std::process::id());
        let mut wire = Self {
            hosts: [host(0), host(1)],
            config: EmulatorConfig {
                program: PathBuf::from(env!("CARGO_BIN_EXE_wan")),
                namespace: namespaces[2].clone(),
                interfaces: ["a".to_owned(), "b".to_owned()],
                control: PathBuf::from(control),
                seed: 7,
            },
            namespaces,
            emulator: None,
        };
        for namespace in &wire.namespaces {
            namespace.create().unwrap();
            namespace
                .sysctl("ipv6/conf/default/disable_ipv6", "1")
                .unwrap();
        }
        for (side, end) in ["a", "b"].into_iter().enumerate() {
            let isp = wire.namespaces[2].name();
            let host = &wire.namespaces[side];
            host.ip(&format!(
                "link add eth0 type veth peer name {end} netns {isp}"
            ))
            .unwrap();
            host.ip(&format!(
                "addr add {}/24 dev eth0",
                wire.hosts[side].address
            ))
            .unwrap();
            host.ip("link set dev eth0 up").unwrap();
            wire.namespaces[2]
                .ip(&format!("link set dev {end} up"))
                .unwrap();
            host.switch_offloads_off("eth0").unwrap();
        }
        let settings: Impairments = words.parse().unwrap();
        let both = [settings.clone(), settings];
        wire.emulator = Some(Emulator::start(&wire.config, &both).unwrap());
        wire
    }

    /// Both hosts learn each other's address: what a kernel queues for ARP is short.
    fn greet(&self) {
        let ping = Ping::run(&self.hosts[0], self.hosts[1].address, 1).unwrap();
        assert_eq!(ping.received, 1);
    }

    fn emulator(&self) -> &Emulator {
        self.emulator.as_ref().unwrap()
    }

    fn flows(&self, packets_per_s: u32, payload_octets: usize) -> [Flow; 2] {
        [(0, 1, 5001), (1, 0, 5002)].map(|(from, to, port)| {
            let mut config =
                FlowConfig::new(&self.hosts[from], &self.hosts[to], port, packets_per_s);
            config.payload_octets = payload_octets;
            Flow::start(config).unwrap()
        })
    }

    fn run(&self, packets_per_s: u32, octets: usize, time: Duration) -> [FlowReport; 2] {
        let flows = self.flows(packets_per_s, octets);
        std::thread::sleep(time);
        flows.iter().for_each(Flow::stop_sending);
        flows.map(|flow| flow.stop(Duration::from_secs(2)).unwrap())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.emulator = None;
        let _ = std::fs::remove_file(&self.config.control);
        for namespace in &self.namespaces {
            let _ = namespace.delete();
        }
    }
}

#[test]
fn carries_20_000_frames_a_second_each_way_without_loss_of_its_own() {
    let wire = Wire::new("load", "delay=20ms jitter=2ms");
    wire.greet();
    let time = Duration::from_secs(5);
    // 250 octets on the wire: Ethernet 14, IPv4 20, UDP 8.
    let started = Instant::now();
    let reports = wire.run(20_000, 250 - 42, time);
    let elapsed = started.elapsed();
    let stats = wire.emulator().stats().unwrap();
    let cpu = wire.emulator().cpu_time().unwrap();
    println!(
        "emulator: {:.1} % of one core; {:?}",
        100.0 * cpu.as_secs_f64() / elapsed.as_secs_f64(),
        stats
    );
    for (report, direction) in reports.iter().zip([stats.a_b, stats.b_a]) {
        println!("{report:?}");
        assert!(
            report.sent > 90_000,
            "the sender kept its pace: {}",
            report.sent
        );
        assert_eq!(report.receiver_drops, 0);
        assert_eq!(
            direction.kernel_drops + direction.send_errors + direction.oversized,
            0
        );
        assert_eq!(report.lost(), 0);
        assert_eq!(report.delivered_twice, 0);
        assert_eq!(report.out_of_order, 0);
        assert!(report.latency.least >= Duration::from_micros(17_900));
    }
}

#[test]
fn adds_little_to_the_delay_asked_for() {
    let wire = Wire::new("delay", "delay=10ms");
    for report in wire.run(1000, 200, Duration::from_secs(2)) {
        println!("{report:?}");
        assert!(report.latency.least >= Duration::from_millis(10));
        // Alone on a machine it is 0.2 ms; the bound leaves room for a busy one.
        assert!(
            report.latency.mean < Duration::from_millis(12),
            "{:?}",
            report.latency
        );
    }
}

#[test]
fn loses_duplicates_and_reorders_as_told() {
    let wire = Wire::new("impair", "");
    wire.greet();
    wire.emulator().change(Direction::AToB, "loss=5%").unwrap();
    wire.emulator()
        .change(Direction::BToA, "loss=0 duplicate=10% reorder=5%")
        .unwrap();
    let [a_b, b_a] = wire.run(5000, 200, Duration::from_secs(2));
    let stats = wire.emulator().stats().unwrap();
    assert!((0.03..0.07).contains(&a_b.loss()), "{}", a_b.loss());
    // The kernels' ARP may have lost a frame too.
    assert!(
        stats.a_b.path.lost.abs_diff(a_b.lost()) <= 2,
        "{stats:?} {a_b:?}"
    );
    assert_eq!(a_b.delivered_twice, 0);
    assert!((b_a.delivered_twice as f64 / b_a.sent as f64 - 0.1).abs() < 0.03);
    assert_eq!(b_a.lost(), 0);
    assert!(b_a.out_of_order > 100 && a_b.out_of_order == 0);
}

#[test]
fn an_outage_is_one_gap_and_a_killed_emulator_another() {
    let mut wire = Wire::new("outage", "delay=1ms");
    let ping = Ping::run(&wire.hosts[0], wire.hosts[1].address, 3).unwrap();
    assert_eq!((ping.sent, ping.received), (3, 3));
    assert!(ping.least_ms >= 2.0);
    let [flow, _other] = wire.flows(1000, 200);
    let pause = || std::thread::sleep(Duration::from_millis(300));
    pause();
    wire.emulator().ask("outage on").unwrap();
    pause();
    wire.emulator().ask("outage off").unwrap();
    pause();
    wire.emulator.take().unwrap().kill().unwrap();
    pause();
    let settings = Impairments::default();
    wire.emulator = Some(Emulator::start(&wire.config, &[settings.clone(), settings]).unwrap());
    pause();
    let report = flow.stop(Duration::from_millis(500)).unwrap();
    println!("{report:?}");
    assert_eq!(report.missing.len(), 2);
    for gap in &report.missing {
        assert!((250..600).contains(&(gap.end - gap.start)), "{gap:?}");
    }
    assert!(report.longest_gap >= Duration::from_millis(290));
}

#[test]
fn survives_an_interface_that_goes_down_and_comes_back() {
    let wire = Wire::new("down", "");
    let flows = wire.flows(1000, 200);
    let pause = || std::thread::sleep(Duration::from_millis(300));
    pause();
    wire.namespaces[2].ip("link set dev b down").unwrap();
    pause();
    wire.namespaces[2].ip("link set dev b up").unwrap();
    pause();
    wire.hosts[0]
        .namespace
        .ip("link set dev eth0 down")
        .unwrap();
    pause();
    wire.hosts[0].namespace.ip("link set dev eth0 up").unwrap();
    pause();
    let before = [flows[0].received(), flows[1].received()];
    pause();
    for (flow, before) in flows.into_iter().zip(before) {
        let report = flow.stop(Duration::from_millis(500)).unwrap();
        assert!(report.lost() >= 200, "the cuts were seen: {report:?}");
        assert!(
            report.received >= before + 250,
            "it carries again: {report:?}"
        );
    }
}

#[test]
fn refuses_nonsense_and_goes_on() {
    let wire = Wire::new("control", "");
    for line in [
        "",
        "set",
        "set c-d delay=1ms",
        "set a-b delay=1",
        "outage maybe",
        "reset",
    ] {
        let error = wire.emulator().ask(line).unwrap_err();
        assert!(error.to_string().contains("error: "), "{line}: {error}");
    }
    let settings = wire.emulator().ask("settings").unwrap();
    assert!(settings.contains("\"delay_us\":0"), "{settings}");
    assert_eq!(wire.emulator().ask("set both loss=1%").unwrap(), "ok");
    assert_eq!(wire.emulator().ask("reset both").unwrap(), "ok");
    assert_eq!(wire.emulator().ask("settings").unwrap(), settings);
    assert_eq!(wire.emulator().stats().unwrap().a_b.path.lost, 0);
}
