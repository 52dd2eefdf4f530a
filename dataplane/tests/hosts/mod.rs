//! Two kernel hosts in network namespaces of their own, 10.7.0.2 and 10.7.1.2, with
//! a data plane to be between them.

use std::net::Ipv4Addr;
use std::process::{self, Command as Process};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use dataplane::Dataplane;
use dataplane::command::{Command, InterfaceId, InterfaceSpec, NextHop, PortId, Prefix, TableId};
use nix::sched::{CloneFlags, unshare};

pub(crate) const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x77];

/// Hosts in namespaces that go away with this.
pub(crate) struct Hosts([String; 2]);

impl Hosts {
    /// The appliance's ends of their cables are `port0` and `port1` in our own
    /// namespace, which is made here too.
    pub(crate) fn new() -> Self {
        unshare(CloneFlags::CLONE_NEWNET).expect("root, for a network namespace");
        let names = [0, 1].map(|side| format!("hal2tp-test-{}-{side}", process::id()));
        let hosts = Self(names);
        for (side, name) in hosts.0.iter().enumerate() {
            ip(&format!("netns add {name}"));
            ip(&format!(
                "link add port{side} type veth peer name host netns {name}"
            ));
            hosts.ip(side, "link set host address 02:00:00:00:00:77 up");
            hosts.ip(side, &format!("addr add 10.7.{side}.2/24 dev host"));
            hosts.ip(side, &format!("route add default via 10.7.{side}.1"));
        }
        hosts
    }

    /// Runs `ip` in a host's namespace.
    pub(crate) fn ip(&self, side: usize, arguments: &str) {
        ip(&format!("-n {} {arguments}", self.0[side]));
    }

    pub(crate) fn knows_gateway(&self, side: usize, mac: [u8; 6]) {
        let mac = mac.map(|octet| format!("{octet:02x}")).join(":");
        self.ip(
            side,
            &format!("neigh replace 10.7.{side}.1 lladdr {mac} dev host"),
        );
    }

    /// Pings the other host, and gives the lines that ping ends with.
    pub(crate) fn ping(&self, options: &str) -> String {
        self.ping_from(0, &format!("{options} 10.7.1.2"))
    }

    /// The same from either host, to any address, which stands last.
    pub(crate) fn ping_from(&self, side: usize, options: &str) -> String {
        let output = Process::new("ip")
            .args(["netns", "exec", &self.0[side], "ping"])
            .args(options.split(' '))
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

pub(crate) fn ip(arguments: &str) {
    let status = Process::new("ip").args(arguments.split(' ')).status();
    assert!(status.expect("iproute2").success(), "ip {arguments}");
}

/// Gives ports 0 and 1 interfaces to the hosts, in these tables.
pub(crate) fn setup(dataplane: &mut Dataplane, tables: [u32; 2]) {
    for (side, table) in (0..).zip(tables.map(TableId)) {
        let own = Ipv4Addr::new(10, 7, side as u8, 1);
        let spec = InterfaceSpec {
            id: InterfaceId(side),
            port: PortId(side),
            table,
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
}

/// Waits until every worker has done all up to this command.
pub(crate) fn carried_out(dataplane: &mut Dataplane, last: u64) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while dataplane.applied() < last {
        assert!(Instant::now() < deadline, "commands are carried out");
        dataplane.poll(&mut |_| {});
        sleep(Duration::from_millis(1));
    }
}
