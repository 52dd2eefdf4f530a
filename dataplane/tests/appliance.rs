//! A whole data plane over real Linux interfaces: two kernel hosts in network
//! namespaces of their own, and the appliance between them routes their pings.

mod hosts;

use std::fs;
use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use dataplane::command::{Command, InterfaceId, PortId};
use dataplane::event::Event;
use dataplane::{Config, Dataplane, Device, HugePages, Poll, PortSpec};

use hosts::{HOST_MAC, Hosts, carried_out, ip, setup};

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
    hosts.ip(0, "route replace default via 10.7.0.1 dev host");
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
    setup(&mut dataplane, [0, 0]);
    let last = dataplane.command(Command::SetPortLink {
        port: PortId(2),
        up: true,
    });
    carried_out(&mut dataplane, last);
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
    hosts.ping_from(0, "-c 1 -W 1 10.7.0.1");
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
    hosts.ip(0, "link set host down");
    link_becomes(&dataplane, 0, false);
    link_becomes(&dataplane, 1, true);
    hosts.ip(0, "link set host up");
    link_becomes(&dataplane, 0, true);
    works_again(&mut dataplane, &hosts);

    // So is an interface that is set down under us, with packets on their way.
    ip("link set port0 down");
    hosts.ping_from(1, "-i 0.002 -w 2 -q 10.7.0.2");
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
