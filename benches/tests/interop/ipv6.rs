//! Debian's radvd and ISC's dhcpd, and our clients of router discovery and DHCPv6, which are driven over a packet socket
//! here: no appliance, but real servers and their real clocks.

use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use benches::frame_socket::FrameSocket;
use benches::ipv6_isp::{CUSTOMER_INTERFACE, Ipv6Isp, MTU};
use benches::netns::joined;
use control::addressing::{
    Action, Assignment, Dhcpv6Client, Dhcpv6Settings, Dhcpv6State, RouterDiscovery,
};
use control::host::{self, Interface, Neighbours, link_local};
use dataplane::command::{InterfaceId, PortId, Prefix, TableId};
use rand::SeedableRng;
use rand::rngs::StdRng;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x86];
const PORT: PortId = PortId(0);
/// For what a client does within seconds.
const LIMIT: Duration = Duration::from_secs(20);
/// From the cable in another socket to addresses of the new network, and of that alone.
const MOVE_LIMIT: Duration = Duration::from_secs(10);

/// An uplink: both clients, and neighbour discovery for the servers' answers.
struct Uplink {
    routers: RouterDiscovery,
    dhcp: Dhcpv6Client,
    neighbours: Neighbours,
    socket: FrameSocket,
    started: Instant,
    /// How often each said that its assignment is another one.
    router_changes: u32,
    dhcp_changes: u32,
}

impl Uplink {
    /// In the customer's namespace.
    fn new() -> std::io::Result<Self> {
        let rng = || StdRng::seed_from_u64(std::process::id().into());
        let settings = Dhcpv6Settings {
            address: true,
            prefix: Some(56),
        };
        let mut neighbours = Neighbours::new();
        let interface = Interface {
            id: InterfaceId(0),
            port: PORT,
            table: TableId(0),
            mac: MAC,
            addresses: Vec::new(),
            forward: false,
            point_to_point: false,
            on_link: Vec::new(),
        };
        neighbours.add_interface(Duration::ZERO, interface);
        let mut uplink = Self {
            routers: RouterDiscovery::new(Duration::ZERO, MAC, rng()),
            dhcp: Dhcpv6Client::new(Duration::ZERO, MAC, settings, rng()),
            neighbours,
            socket: FrameSocket::open(CUSTOMER_INTERFACE)?,
            started: Instant::now(),
            router_changes: 0,
            dhcp_changes: 0,
        };
        uplink.set_link(true);
        Ok(uplink)
    }

    fn set_link(&mut self, up: bool) {
        let now = self.started.elapsed();
        self.routers.set_link(now, up);
        self.dhcp.set_link(now, up);
    }

    fn step(&mut self) -> std::io::Result<()> {
        let now = self.started.elapsed();
        let mut frames: Vec<Vec<u8>> = Vec::new();
        self.socket
            .receive(&mut |frame| frames.push(frame.to_vec()))?;
        for frame in frames {
            // IPv6 without extension headers, to us: ICMPv6, or UDP to port 546.
            match (frame.get(20), frame.get(56..58)) {
                _ if frame.get(12..14) != Some(&[0x86, 0xdd]) => {}
                (Some(58), _) => {
                    self.routers.handle_frame(now, &frame);
                    self.neighbours.handle_discovery(now, PORT, &frame);
                }
                (Some(17), Some([2, 34])) => self.dhcp.handle_packet(now, &frame[14..]),
                _ => {}
            }
        }
        self.routers.handle_timeout(now);
        self.dhcp.handle_timeout(now);
        let mut frames = Vec::new();
        while let Some(action) = self.routers.poll_action() {
            take(action, &mut frames, &mut self.router_changes);
        }
        while let Some(action) = self.dhcp.poll_action() {
            take(action, &mut frames, &mut self.dhcp_changes);
        }
        while let Some(action) = self.neighbours.poll_output() {
            if let host::Action::SendFrame { frame, .. } = action {
                frames.push(frame);
            }
        }
        for frame in frames {
            assert_eq!(self.socket.send(&[frame])?, 1);
        }
        Ok(())
    }

    fn run_until(
        &mut self,
        what: &str,
        limit: Duration,
        is_met: impl Fn(&Self) -> bool,
    ) -> std::io::Result<()> {
        let started = Instant::now();
        while !is_met(self) {
            assert!(started.elapsed() < limit, "not {what}: {self:#?}");
            self.step()?;
            std::thread::sleep(Duration::from_millis(1));
        }
        println!("{what} after {:?}", started.elapsed());
        Ok(())
    }

    fn is_bound(&self) -> bool {
        self.dhcp.state() == Dhcpv6State::Bound
    }

    /// Both have addresses of the network, and of no other; a prefix is delegated.
    fn is_of(&self, network: Ipv6Addr) -> bool {
        let line = Prefix::new(network, 64);
        let site = Prefix::new(network, 48);
        let advertised = &self.routers.assignment().addresses;
        let Assignment {
            addresses,
            delegated,
            ..
        } = self.dhcp.assignment();
        let is_of_line = |address: IpAddr| line.contains(address);
        let [lent] = addresses[..] else {
            return false;
        };
        let [network] = delegated[..] else {
            return false;
        };
        let [own] = advertised[..] else {
            return false;
        };
        is_of_line(own.address)
            && is_of_line(lent.address)
            && site.contains(network.prefix.address)
            && network.prefix.length == 56
    }
}

impl std::fmt::Debug for Uplink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uplink")
            .field("routers", self.routers.assignment())
            .field("router_counters", self.routers.counters())
            .field("dhcp", self.dhcp.assignment())
            .field("dhcp_state", &self.dhcp.state())
            .field("dhcp_counters", self.dhcp.counters())
            .finish()
    }
}

fn take(action: Action, frames: &mut Vec<Vec<u8>>, changes: &mut u32) {
    match action {
        Action::Frame(frame) => frames.push(frame),
        Action::Changed => *changes += 1,
        Action::Packet(packet) => panic!("{packet:?}"),
    }
}

fn isp(name: &str) -> Ipv6Isp {
    let name = format!("h2v6{name}{}", std::process::id());
    let directory = std::env::temp_dir().join(&name);
    let mut isp = Ipv6Isp::build(&name, &directory).unwrap();
    isp.start().unwrap();
    isp
}

/// All that is advertised and lent; renewed without a word; the server away and back; given back.
#[test]
fn radvd_and_dhcpd_give_renew_and_take_back() {
    let mut isp = isp("a");
    let customer = isp.customer.clone().expect("the line is its own");
    joined(customer.spawn(move || {
        let mut uplink = Uplink::new()?;
        let network = isp.network();
        uplink.run_until("given", LIMIT, |uplink| uplink.is_of(network))?;
        let advertised = uplink.routers.assignment();
        assert_eq!(advertised.addresses[0].prefix_length, 64);
        let own = Ipv6Addr::from_bits(
            network.to_bits() | link_local(MAC).to_bits() & u128::from(u64::MAX),
        );
        assert_eq!(advertised.addresses[0].address, IpAddr::from(own));
        assert_eq!(advertised.routers.len(), 1);
        assert_eq!(advertised.mtu, Some(MTU));
        let dns = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        assert_eq!(advertised.name_servers, [dns(0x53)]);
        assert!(uplink.routers.managed() && !uplink.routers.other());
        assert_eq!(uplink.dhcp.assignment().name_servers, [dns(0x54)]);
        let lent = uplink.dhcp.assignment().clone();
        assert_eq!(lent.server, Some(advertised.routers[0].address));

        let received = uplink.dhcp.counters().received;
        uplink.run_until("renewed three times", LIMIT, |uplink| {
            uplink.dhcp.counters().received >= received + 3 && uplink.is_bound()
        })?;
        assert_eq!((uplink.router_changes, uplink.dhcp_changes), (1, 1));
        isp.kill_dhcpd();
        uplink.run_until("rebinding", LIMIT, |uplink| {
            uplink.dhcp.state() == Dhcpv6State::Rebinding
        })?;
        isp.start_dhcpd()?;
        uplink.run_until("bound again", LIMIT, Uplink::is_bound)?;
        assert_eq!(uplink.dhcp_changes, 1);
        let counters = uplink.dhcp.counters();
        assert_eq!(
            (counters.malformed, counters.refusals),
            (0, 0),
            "{counters:?}"
        );
        let counters = uplink.routers.counters();
        assert_eq!((counters.malformed, counters.options_refused), (0, 0));

        uplink.dhcp.release(uplink.started.elapsed());
        uplink.run_until("given back", LIMIT, |uplink| {
            uplink.dhcp.state() == Dhcpv6State::Idle
        })?;
        let log = isp.dhcpd_log();
        assert!(log.contains("Release message from"), "{log}");
        // A router that goes says so.
        assert!(uplink.dhcp.assignment().addresses.is_empty());
        Ok(())
    }))
    .unwrap();
}

/// The cable is out for a moment: nothing changes. It is put into another ISP's socket: other networks within seconds, and
/// nothing of the old ones.
#[test]
fn a_cable_in_another_socket_has_other_networks_within_seconds() {
    let mut isp = isp("b");
    let customer = isp.customer.clone().expect("the line is its own");
    joined(customer.spawn(move || {
        let mut uplink = Uplink::new()?;
        let network = isp.network();
        uplink.run_until("given", LIMIT, |uplink| uplink.is_of(network))?;
        let before = uplink.dhcp.assignment().addresses[0].address;
        uplink.set_link(false);
        uplink.set_link(true);
        uplink.run_until("confirmed", LIMIT, Uplink::is_bound)?;
        assert_eq!(uplink.dhcp.assignment().addresses[0].address, before);
        assert_eq!((uplink.router_changes, uplink.dhcp_changes), (1, 1));

        uplink.set_link(false);
        isp.renumber(2)?;
        let network = isp.network();
        uplink.set_link(true);
        uplink.run_until("elsewhere", MOVE_LIMIT, |uplink| {
            uplink.is_of(network) && uplink.is_bound()
        })
    }))
    .unwrap();
}

/// Somebody else has the address: the server is told, and lends another one.
#[test]
fn dhcpd_is_told_of_a_conflict() {
    let isp = isp("c");
    let customer = isp.customer.clone().expect("the line is its own");
    joined(customer.spawn(move || {
        let mut uplink = Uplink::new()?;
        let network = isp.network();
        uplink.run_until("given", LIMIT, |uplink| uplink.is_of(network))?;
        let IpAddr::V6(before) = uplink.dhcp.assignment().addresses[0].address else {
            panic!("{uplink:?}");
        };
        uplink
            .dhcp
            .handle_conflict(uplink.started.elapsed(), before);
        uplink.run_until("another", LIMIT, |uplink| {
            uplink.is_of(network) && uplink.is_bound()
        })?;
        assert_ne!(
            uplink.dhcp.assignment().addresses[0].address,
            IpAddr::from(before)
        );
        let log = isp.dhcpd_log();
        assert!(log.contains("Decline message from"), "{log}");
        Ok(())
    }))
    .unwrap();
}
