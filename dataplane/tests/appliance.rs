//! A whole data plane over real Linux interfaces: two kernel hosts in network
//! namespaces of their own, and the appliance between them routes their pings.

use std::fs;
use std::net::Ipv4Addr;
use std::process::{self, Command as Process};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use dataplane::command::{Command, InterfaceId, InterfaceSpec, NextHop, PortId, Prefix, TableId};
use dataplane::event::Event;
use dataplane::{Config, Dataplane, Device, HugePages, Poll, PortSpec};
use nix::sched::{CloneFlags, unshare};

const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x77];

/// Hosts in namespaces that go away with this.
struct Hosts([String; 2]);

impl Hosts {
    /// The appliance's ends of their cables are `port0` and `port1` in our own
    /// namespace, which is made here too.
    fn new() -> Self {
        unshare(CloneFlags::CLONE_NEWNET).expect("root, for a network namespace");
        let names = [0, 1].map(|side| format!("hal2tp-test-{}-{side}", process::id()));
        let hosts = Self(names);
        for (side, name) in hosts.0.iter().enumerate() {
            ip(&format!("netns add {name}"));
            ip(&format!(
                "link add port{side} type veth peer name host netns {name}"
            ));
            for command in [
                "link set host address 02:00:00:00:00:77 up".to_owned(),
                format!("addr add 10.7.{side}.2/24 dev host"),
                format!("route add default via 10.7.{side}.1"),
            ] {
                ip(&format!("-n {name} {command}"));
            }
        }
        hosts
    }

    fn knows_gateway(&self, side: usize, mac: [u8; 6]) {
        let mac = mac.map(|octet| format!("{octet:02x}")).join(":");
        let name = &self.0[side];
        ip(&format!(
            "-n {name} neigh replace 10.7.{side}.1 lladdr {mac} dev host"
        ));
    }

    /// Pings the other host, and gives the lines that ping ends with.
    fn ping(&self, options: &str) -> String {
        let name = &self.0[0];
        let output = Process::new("ip")
            .args(["netns", "exec", name, "ping"])
            .args(options.split(' '))
            .arg("10.7.1.2")
            .output()
            .expect("ping");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for name in &self.0 {
            let _ = Process::new("ip").args(["netns", "del", name]).status();
        }
    }
}

fn ip(arguments: &str) {
    let status = Process::new("ip").args(arguments.split(' ')).status();
    assert!(status.expect("iproute2").success(), "ip {arguments}");
}

fn setup(dataplane: &mut Dataplane) {
    for side in 0..2_u16 {
        let own = Ipv4Addr::new(10, 7, side as u8, 1);
        let spec = InterfaceSpec {
            id: InterfaceId(side),
            port: PortId(side),
            table: TableId(0),
            addresses: vec![(own.into(), 24)],
            mtu: 1500,
            forward: true,
        };
        dataplane.command(Command::SetInterface(Arc::new(spec)));
        let connected = NextHop::Interface {
            interface: InterfaceId(side),
            via: None,
        };
        for (length, next_hop) in [(32, NextHop::Local), (24, connected)] {
            let table = TableId(0);
            let prefix = Prefix {
                address: own.into(),
                length,
            };
            dataplane.command(Command::SetRoute {
                table,
                prefix,
                next_hop,
            });
        }
        dataplane.command(Command::SetNeighbour {
            interface: InterfaceId(side),
            address: Ipv4Addr::new(10, 7, side as u8, 2).into(),
            mac: HOST_MAC,
        });
    }
    let last = dataplane.command(Command::SetPortLink {
        port: PortId(2),
        up: true,
    });
    carried_out(dataplane, last);
}

/// Waits until every worker has done all up to this command.
fn carried_out(dataplane: &mut Dataplane, last: u64) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while dataplane.applied() < last {
        assert!(Instant::now() < deadline, "commands are carried out");
        dataplane.poll(&mut |_| {});
        sleep(Duration::from_millis(1));
    }
}

/// More commands at once than a worker's ring holds: none is lost, and the
/// last one counts.
fn more_commands_than_fit(dataplane: &mut Dataplane) {
    let mut last = 0;
    for round in (0..20_000_u32).rev() {
        let [.., high, low] = round.to_be_bytes();
        last = dataplane.command(Command::SetNeighbour {
            interface: InterfaceId(1),
            address: Ipv4Addr::new(10, 7, 1, 2).into(),
            mac: [2, 0, 0, 0, high, low],
        });
    }
    assert!(dataplane.applied() < last, "they cannot all be done yet");
    last = dataplane.command(Command::SetNeighbour {
        interface: InterfaceId(1),
        address: Ipv4Addr::new(10, 7, 1, 2).into(),
        mac: HOST_MAC,
    });
    carried_out(dataplane, last);
}

fn link_becomes(dataplane: &Dataplane, port: u16, up: bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while dataplane.link_up(PortId(port)) != up {
        assert!(Instant::now() < deadline, "port {port}: link up is {up}");
        sleep(Duration::from_millis(10));
    }
}

/// After a link was down: the kernel's host has forgotten its routes then.
fn works_again(dataplane: &mut Dataplane, hosts: &Hosts) {
    let name = &hosts.0[0];
    let route = "route replace default via 10.7.0.1";
    ip(&format!("-n {name} {route} dev host"));
    hosts.knows_gateway(0, dataplane.ports()[0].mac);
    dataplane.poll(&mut |_| {});
    let result = hosts.ping("-c 100 -i 0.005 -q -W 2");
    assert!(result.contains(" 100 received"), "{result}");
}

/// Time on a CPU of this process's workers so far, by the kernel's account.
fn worker_time() -> Duration {
    let mut time = Duration::ZERO;
    for task in fs::read_dir("/proc/self/task").expect("procfs").flatten() {
        let path = task.path();
        let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
        if !name.starts_with("worker-") {
            continue;
        }
        let account = fs::read_to_string(path.join("schedstat")).expect("schedstat");
        let nanoseconds = account
            .split(' ')
            .next()
            .and_then(|field| field.parse().ok());
        time += Duration::from_nanos(nanoseconds.expect("a number"));
    }
    time
}

#[test]
fn two_hosts_ping_each_other_through_the_appliance() {
    let hosts = Hosts::new();
    let port = |name: &str, word: &str| PortSpec {
        name: name.to_owned(),
        device: Device::from_word(word),
        queues: None,
    };
    let mut dataplane = Dataplane::start(Config {
        program: "appliance-test".to_owned(),
        workers: vec![None, None],
        poll: Poll::Adaptive,
        hugepages: HugePages::No,
        memory_mib: 256,
        largest_packet_octets: 1500,
        ordering: false,
        ports: vec![
            port("a", "port0"),
            port("b", "port1"),
            port("loop", "net_ring0"),
        ],
        logical_ports: Vec::new(),
    })
    .expect("a data plane");
    let infos = dataplane.ports().to_vec();
    assert_eq!(infos[0].mtu, 1500);
    assert_eq!([0, 1].map(|side| infos[side].queues), [2, 2]);
    for (side, info) in infos.iter().take(2).enumerate() {
        hosts.knows_gateway(side, info.mac);
    }
    setup(&mut dataplane);
    more_commands_than_fit(&mut dataplane);

    let result = hosts.ping("-c 200 -i 0.005 -s 1000 -q -W 2");
    assert!(result.contains(" 200 received"), "{result}");
    let largest = hosts.ping("-c 1 -s 1472 -M do -q -W 2");
    assert!(largest.contains(" 1 received"), "{largest}");
    let forwarded: u64 = dataplane
        .port_counters(PortId(1))
        .iter()
        .map(|counters| counters.sent_packets.read())
        .sum();
    assert!(forwarded >= 201, "{forwarded}");

    // An own address is the control thread's.
    let name = &hosts.0[0];
    let _ = Process::new("ip")
        .args([
            "netns", "exec", name, "ping", "-c", "1", "-W", "1", "10.7.0.1",
        ])
        .output();
    let mut local = 0;
    dataplane.poll(&mut |event| {
        if let Event::Local { packet, .. } = event {
            local += usize::from(packet[9] == 1);
        }
    });
    assert_eq!(local, 1);

    // Idle, the workers sleep. The bar is loose: the machine may be busy.
    let (start, before) = (Instant::now(), worker_time());
    sleep(Duration::from_secs(2));
    let share = (worker_time() - before).as_secs_f64() / start.elapsed().as_secs_f64() / 2.0;
    println!("an idle worker takes {:.2} % of a core", share * 100.0);
    assert!(share < 0.05, "{share}");

    // A cable that is pulled is seen.
    link_becomes(&dataplane, 0, true);
    ip(&format!("-n {} link set host down", hosts.0[0]));
    link_becomes(&dataplane, 0, false);
    link_becomes(&dataplane, 1, true);
    ip(&format!("-n {} link set host up", hosts.0[0]));
    link_becomes(&dataplane, 0, true);
    works_again(&mut dataplane, &hosts);

    // So is an interface that is set down under us, with packets on their way.
    ip("link set port0 down");
    let name = &hosts.0[1];
    let _ = Process::new("ip")
        .args(["netns", "exec", name, "ping", "-i", "0.002", "-w", "2"])
        .args(["-q", "10.7.0.2"])
        .output();
    link_becomes(&dataplane, 0, false);
    ip("link set port0 up");
    link_becomes(&dataplane, 0, true);
    works_again(&mut dataplane, &hosts);

    assert!(dataplane.is_running());
    dataplane.stop();
    let restored = fs::read_to_string("/proc/thread-self/net/dev").expect("procfs");
    assert!(
        restored.contains("port0:"),
        "the interface is the kernel's again"
    );
}
