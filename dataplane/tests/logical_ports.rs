//! Logical ports over real Linux interfaces. The appliance routes between two kernel
//! hosts by way of a cable between two of its own ports, so that what it sends
//! there it must understand again when the kernel and the driver have had it.

mod hosts;

use std::net::Ipv4Addr;
use std::process::Command as Process;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dataplane::capture::{CaptureSpec, Note, Way};
use dataplane::command::{
    Command, InterfaceId, InterfaceSpec, NextHop, PortId, PppoeSession, Prefix, TableId,
};
use dataplane::counters::{Drop, PortCounters};
use dataplane::event::Event;
use dataplane::{
    Config, Dataplane, Device, Encapsulation, HugePages, LogicalPortProblem, LogicalPortSpec, Poll,
    PortSpec, StartError,
};

use hosts::{Hosts, carried_out, ip, setup};

/// The ends of the cable.
const TRUNKS: [u16; 2] = [2, 3];
const VLAN: u16 = 7;
/// On each, VLAN 7 and PPPoE on that.
const ON_VLAN: [u16; 2] = [4, 5];
const IN_SESSION: [u16; 2] = [6, 7];

fn config() -> Config {
    let port = |name: &str| PortSpec {
        name: name.to_owned(),
        device: Device::Interface(name.to_owned()),
        // On one end a worker has no queue of its own.
        queues: (name == "trunk1").then_some(1),
    };
    let logical = |carrier, encapsulation| LogicalPortSpec {
        name: format!("{encapsulation} on {carrier}"),
        carrier: PortId(carrier),
        encapsulation,
    };
    let vlans = TRUNKS.map(|trunk| logical(trunk, Encapsulation::Vlan(VLAN)));
    let lines = ON_VLAN.map(|vlan| logical(vlan, Encapsulation::Pppoe));
    Config {
        program: "logical-ports-test".to_owned(),
        workers: vec![None, None],
        poll: Poll::Adaptive,
        hugepages: HugePages::No,
        memory_mib: 384,
        largest_packet_octets: 1500,
        ordering: false,
        ports: ["port0", "port1", "trunk0", "trunk1"].map(port).to_vec(),
        logical_ports: [vlans, lines].concat(),
    }
}

/// Interfaces 2 and 3 on these ports, with a route from each host to the other.
fn join(dataplane: &mut Dataplane, ports: [u16; 2], mtu: u16) {
    for (side, port) in (0..).zip(ports) {
        let address = |side: u8| Ipv4Addr::new(10, 9, 0, 1 + side);
        let (own, next_hop) = (address(side), address(1 - side));
        let (id, table) = (InterfaceId(2 + u16::from(side)), TableId(side.into()));
        dataplane.command(Command::SetInterface(Arc::new(InterfaceSpec {
            id,
            port: PortId(port),
            table,
            addresses: vec![(own.into(), 30)],
            mtu,
            forward: true,
        })));
        dataplane.command(Command::SetNeighbour {
            interface: id,
            address: next_hop.into(),
            mac: dataplane.ports()[usize::from(TRUNKS[usize::from(1 - side)])].mac,
        });
        dataplane.command(Command::SetRoute {
            table,
            prefix: Prefix::new(Ipv4Addr::new(10, 7, 1 - side, 0), 24),
            next_hop: NextHop::Interface {
                interface: id,
                via: Some(next_hop.into()),
            },
        });
    }
}

fn total(dataplane: &Dataplane, port: u16, counter: fn(&PortCounters) -> u64) -> u64 {
    let counters = dataplane.port_counters(PortId(port)).iter();
    counters.map(|counters| counter(counters)).sum()
}

/// Whether a device takes all frames: one that sorts by VLAN must.
fn hears_everything(interface: &str) -> bool {
    let output = Process::new("ip")
        .args(["-d", "link", "show", interface])
        .output();
    let output = output.expect("iproute2").stdout;
    String::from_utf8_lossy(&output).contains("promiscuity 1")
}

/// 200 pings, and the largest that fits, pass by these ports and no more.
fn pings_pass(dataplane: &Dataplane, hosts: &Hosts, ports: [u16; 2], mtu: u16) {
    let received = |port| total(dataplane, port, |counters| counters.received_packets.read());
    let sent = |port| total(dataplane, port, |counters| counters.sent_packets.read());
    let before = ports.map(|port| [received(port), sent(port)]);
    let result = hosts.ping("-c 200 -i 0.005 -s 1000 -q -W 2");
    assert!(result.contains(" 200 received"), "{result}");
    let largest = mtu - 28;
    let result = hosts.ping(&format!("-c 1 -s {largest} -M do -q -W 2"));
    assert!(result.contains(" 1 received"), "{result}");
    for (port, [received_before, sent_before]) in ports.into_iter().zip(before) {
        assert_eq!(received(port) - received_before, 201, "port {port}");
        assert_eq!(sent(port) - sent_before, 201, "port {port}");
    }
}

/// An ARP request for nobody, as it leaves a port.
fn arp_request(dataplane: &Dataplane, port: u16) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend(dataplane.ports()[usize::from(port)].mac);
    frame.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend([0; 20]);
    frame
}

/// The ports at which ARP is heard within ten seconds, `count` of them.
fn arp_heard(dataplane: &mut Dataplane, count: usize) -> Vec<u16> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut heard = Vec::new();
    while heard.len() < count && Instant::now() < deadline {
        dataplane.poll(&mut |event| {
            if let Event::Arp { port, frame } = event
                && frame.get(12..18) == Some(&[0x08, 0x06, 0, 1, 8, 0])
            {
                heard.push(port.0);
            }
        });
        sleep(Duration::from_millis(5));
    }
    heard.sort_unstable();
    heard
}

/// The frames of a logical port are captured on the wire of its carrier, and on no
/// other, whichever workers heard them.
fn was_captured(dataplane: &mut Dataplane, capture: &CaptureSpec) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !capture.taps().iter().all(|tap| tap.is_closed()) {
        assert!(Instant::now() < deadline, "the workers end it");
        dataplane.poll(&mut |_| {});
        sleep(Duration::from_millis(1));
    }
    let clock = capture.clock();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("later");
    let mut arps = Vec::new();
    for tap in capture.taps() {
        while let Some(batch) = tap.take() {
            for frame in batch.frames() {
                assert_eq!(frame.record.device, PortId(TRUNKS[1]));
                let age_ns = now.as_nanos() as u64 - clock.unix_ns(frame.record.ticks);
                assert!(Duration::from_nanos(age_ns) < Duration::from_secs(60));
                if frame.record.way == Way::Received && frame.notes == [Note::Punted("ARP")] {
                    arps.push(frame.record.port.0);
                }
            }
            tap.give_back(batch);
        }
    }
    arps.sort_unstable();
    assert_eq!(arps, [TRUNKS[1], ON_VLAN[1]]);
}

#[test]
fn packets_pass_a_cable_on_a_vlan_and_in_a_session_on_it() {
    let hosts = Hosts::new();
    ip("link add trunk0 type veth peer name trunk1");
    let mut wrong = config();
    wrong.logical_ports[2].encapsulation = Encapsulation::Vlan(4095);
    assert!(matches!(
        Dataplane::start(wrong),
        Err(StartError::LogicalPort {
            problem: LogicalPortProblem::Vlan(4095),
            ..
        })
    ));

    let mut dataplane = Dataplane::start(config()).expect("a data plane");
    assert!(hears_everything("trunk0") && !hears_everything("port0"));
    let infos = dataplane.ports().to_vec();
    for (place, info) in infos.iter().enumerate() {
        assert_eq!(usize::from(info.id.0), place);
        let device = [0, 1, 2, 3, 2, 3, 2, 3][place];
        assert_eq!(info.mac, infos[device].mac);
        assert_eq!(info.mtu, if place < 6 { 1500 } else { 1492 });
    }
    for (side, info) in infos.iter().take(2).enumerate() {
        hosts.knows_gateway(side, info.mac);
    }
    setup(&mut dataplane, [0, 1]);
    join(&mut dataplane, ON_VLAN, 1500);
    let sessions = [1, 0].map(|other| PppoeSession {
        id: 0x1234,
        access_concentrator: infos[usize::from(TRUNKS[other])].mac,
    });
    let mut last = 0;
    for (port, session) in IN_SESSION.into_iter().zip(sessions) {
        let (port, session) = (PortId(port), Some(session));
        last = dataplane.command(Command::SetPppoe { port, session });
    }
    carried_out(&mut dataplane, last);
    // The tag is besides the MTU.
    pings_pass(&dataplane, &hosts, ON_VLAN, 1500);

    join(&mut dataplane, IN_SESSION, 1492);
    let last = dataplane.command(Command::RemoveInterface(InterfaceId(99)));
    carried_out(&mut dataplane, last);
    pings_pass(&dataplane, &hosts, IN_SESSION, 1492);

    // With its tag, without, and on a VLAN that is nobody's.
    dataplane.poll(&mut |_| {});
    let capture = dataplane.start_capture(&[PortId(ON_VLAN[1])], 64);
    let arp = arp_request(&dataplane, TRUNKS[0]);
    dataplane.send_frame(PortId(ON_VLAN[0]), &arp);
    dataplane.send_frame(PortId(TRUNKS[0]), &arp);
    let of_vlan_8 = [&arp[..12], &[0x81, 0, 0, 8], &arp[12..]].concat();
    dataplane.send_frame(PortId(TRUNKS[0]), &of_vlan_8);
    assert_eq!(arp_heard(&mut dataplane, 2), [TRUNKS[1], ON_VLAN[1]]);
    let deadline = Instant::now() + Duration::from_secs(10);
    let unknown = |port| {
        total(&dataplane, port, |counters| {
            counters.drops.read(Drop::UnknownVlan)
        })
    };
    while unknown(TRUNKS[1]) == 0 && Instant::now() < deadline {
        sleep(Duration::from_millis(5));
    }
    assert_eq!(TRUNKS.map(unknown), [0, 1]);
    dataplane.end_capture();
    was_captured(&mut dataplane, &capture);

    // A logical port's link is its cable.
    assert!(dataplane.link_up(PortId(IN_SESSION[0])));
    ip("link set trunk1 down");
    let deadline = Instant::now() + Duration::from_secs(5);
    while dataplane.link_up(PortId(IN_SESSION[0])) {
        assert!(Instant::now() < deadline, "the link is down");
        sleep(Duration::from_millis(10));
    }
    assert!(!dataplane.link_up(PortId(ON_VLAN[0])));
    assert!(!dataplane.link_up(PortId(99)));
    assert!(dataplane.is_running());
    dataplane.stop();
}
