//! Debian's dnsmasq as the DHCP server of our client, which is driven over a packet socket here: no appliance, but a real
//! server and its real clock.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use benches::dhcp_server::{DhcpServer, DhcpServerConfig};
use benches::frame_socket::FrameSocket;
use benches::lab::{Lab, LabConfig, Site};
use control::addressing::{Action, Assignment, DhcpClient, DhcpCounters, DhcpSettings, DhcpState};
use crossbeam::channel::{Receiver, Sender, unbounded};
use rand::SeedableRng;
use rand::rngs::StdRng;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x68];
const INTERFACE: &str = "isp1";
/// For what a client does within seconds.
const LIMIT: Duration = Duration::from_secs(20);

/// What the client last said of itself.
#[derive(Clone, Debug)]
struct Seen {
    state: DhcpState,
    assignment: Assignment,
    counters: DhcpCounters,
    /// How often it said that its assignment is another.
    changes: u32,
}

impl Seen {
    fn address(&self) -> Option<Ipv4Addr> {
        match self.assignment.addresses.first()?.address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(address) => panic!("{address}"),
        }
    }

    /// Bound to an address of the range.
    fn is_bound_to(&self, range: (Ipv4Addr, Ipv4Addr)) -> bool {
        let is_in_range = |address| (range.0..=range.1).contains(&address);
        self.state == DhcpState::Bound && self.address().is_some_and(is_in_range)
    }
}

enum Order {
    Link(bool),
    Conflict(Ipv4Addr),
    Release,
}

/// The client, driven by a thread in its namespace until it is released.
struct Client {
    seen: Arc<Mutex<Option<Seen>>>,
    orders: Sender<Order>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl Client {
    fn start(lab: &Lab) -> Self {
        let seen = Arc::new(Mutex::new(None));
        let (orders, received) = unbounded();
        let shared = Arc::clone(&seen);
        let work = move || Driver::new(shared)?.run(&received);
        Self {
            seen,
            orders,
            thread: Some(lab.namespace(Site::Remote).spawn(work)),
        }
    }

    fn wait_until(&self, what: &str, limit: Duration, is_met: impl Fn(&Seen) -> bool) -> Seen {
        let started = Instant::now();
        loop {
            let seen = self.seen.lock().unwrap().clone();
            if let Some(seen) = seen.clone().filter(&is_met) {
                println!("{what} after {:?}", started.elapsed());
                return seen;
            }
            assert!(started.elapsed() < limit, "not {what}: {seen:#?}");
            super::sleep(0.01);
        }
    }

    fn order(&self, order: Order) {
        self.orders.send(order).unwrap();
    }

    fn release(&mut self) {
        self.order(Order::Release);
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

/// In its thread.
struct Driver {
    client: DhcpClient,
    socket: FrameSocket,
    started: Instant,
    /// Where answers came from.
    server: [u8; 6],
    changes: u32,
    shared: Arc<Mutex<Option<Seen>>>,
}

impl Driver {
    fn new(shared: Arc<Mutex<Option<Seen>>>) -> std::io::Result<Self> {
        let rng = StdRng::seed_from_u64(std::process::id().into());
        let settings = DhcpSettings {
            hostname: Some("remote".to_owned()),
            ..DhcpSettings::default()
        };
        let mut client = DhcpClient::new(Duration::ZERO, MAC, settings, rng);
        client.set_link(Duration::ZERO, true);
        Ok(Self {
            client,
            socket: FrameSocket::open(INTERFACE)?,
            started: Instant::now(),
            server: [0xff; 6],
            changes: 0,
            shared,
        })
    }

    fn run(mut self, orders: &Receiver<Order>) -> std::io::Result<()> {
        loop {
            let now = self.started.elapsed();
            let mut frames: Vec<Vec<u8>> = Vec::new();
            self.socket
                .receive(&mut |frame| frames.push(frame.to_vec()))?;
            for frame in &frames {
                self.receive(now, frame)?;
            }
            self.client.handle_timeout(now);
            let mut is_over = false;
            for order in orders.try_iter() {
                match order {
                    Order::Link(up) => self.client.set_link(now, up),
                    Order::Conflict(address) => self.client.handle_conflict(now, address),
                    Order::Release => {
                        self.client.release(now);
                        is_over = true;
                    }
                }
            }
            self.act()?;
            self.show();
            if is_over {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// As an appliance does: ARP is answered, DHCP goes to the client, the rest is not for it.
    fn receive(&mut self, now: Duration, frame: &[u8]) -> std::io::Result<()> {
        let held = self.client.assignment().addresses.first();
        match frame.get(12..14) {
            Some([0x08, 0x06]) => {
                let is_ours = |target: &[u8]| {
                    let target: Option<[u8; 4]> = target.try_into().ok();
                    held.is_some_and(|held| Some(held.address) == target.map(IpAddr::from))
                };
                // A request for the address that is held.
                if frame.get(20..22) == Some(&[0, 1]) && frame.get(38..42).is_some_and(is_ours) {
                    let mut reply = [&frame[6..12], &MAC, &frame[12..20], &[0, 2]].concat();
                    reply.extend([&MAC, &frame[38..42], &frame[22..32]].concat());
                    self.send(reply)?;
                }
            }
            // IPv4 without options, UDP, to port 68.
            Some([0x08, 0x00])
                if frame.get(23) == Some(&17) && frame.get(36..38) == Some(&[0, 68]) =>
            {
                self.server.copy_from_slice(&frame[6..12]);
                self.client.handle_packet(now, &frame[14..]);
            }
            _ => {}
        }
        Ok(())
    }

    fn act(&mut self) -> std::io::Result<()> {
        while let Some(action) = self.client.poll_action() {
            match action {
                Action::Frame(frame) => self.send(frame)?,
                Action::Packet(packet) => {
                    let header = [&self.server[..], &MAC, &[0x08, 0x00]].concat();
                    self.send([header, packet].concat())?;
                }
                Action::Changed => self.changes += 1,
            }
        }
        Ok(())
    }

    fn send(&mut self, frame: Vec<u8>) -> std::io::Result<()> {
        assert_eq!(self.socket.send(&[frame])?, 1);
        Ok(())
    }

    fn show(&self) {
        let seen = Seen {
            state: self.client.state(),
            assignment: self.client.assignment().clone(),
            counters: *self.client.counters(),
            changes: self.changes,
        };
        *self.shared.lock().unwrap() = Some(seen);
    }
}

/// One link, whose ISP has a server that wants to be asked again every three seconds.
fn build() -> (Lab, DhcpServerConfig) {
    let mut config = LabConfig::demo().expect("the workspace is built");
    config.links = vec!["delay=2ms".parse().unwrap()];
    let lab = Lab::build(config).expect("the lab needs root");
    let mut server = DhcpServerConfig::of_isp(1, lab.isp(1), lab.directory());
    server.renewal_s = Some(3);
    server.rebinding_s = Some(8);
    (lab, server)
}

/// Another ISP's addresses, in the same network, so that the server keeps its own.
fn elsewhere(config: &mut DhcpServerConfig) -> (Ipv4Addr, Ipv4Addr) {
    config.range = (Ipv4Addr::new(10, 1, 0, 120), Ipv4Addr::new(10, 1, 0, 129));
    config.range
}

/// Found, given with all that goes with it, renewed by packets to the server alone, taken back.
#[test]
fn dnsmasq_gives_renews_and_takes_back() {
    for always_broadcast in [false, true] {
        let (lab, mut config) = build();
        config.mtu = Some(1400);
        config.always_broadcast = always_broadcast;
        let range = config.range;
        let server = DhcpServer::start(config).unwrap();
        let mut client = Client::start(&lab);
        let seen = client.wait_until("bound", LIMIT, |seen| seen.is_bound_to(range));
        let Assignment {
            addresses,
            routers,
            mtu,
            server: server_address,
            ..
        } = &seen.assignment;
        assert_eq!(addresses[0].prefix_length, 24);
        assert!(addresses[0].valid_until > Some(Duration::from_secs(100)));
        assert_eq!(routers[0].address, IpAddr::from([10, 1, 0, 1]));
        assert_eq!(*mtu, Some(1400));
        assert_eq!(*server_address, Some(IpAddr::from([10, 1, 0, 254])));
        assert_eq!(server.leases().unwrap(), [seen.address().unwrap()]);

        let seen = client.wait_until("renewed three times", LIMIT, |seen| {
            seen.counters.received_ack >= 4 && seen.state == DhcpState::Bound
        });
        assert_eq!((seen.changes, seen.counters.sent_discover), (1, 1));
        assert!(seen.is_bound_to(range));
        assert!(server.count("DHCPACK") >= 4, "{}", server.log());
        client.release();
        let started = Instant::now();
        while !server.leases().unwrap().is_empty() {
            assert!(started.elapsed() < LIMIT, "{}", server.log());
            super::sleep(0.05);
        }
        assert_eq!(server.count("DHCPRELEASE"), 1);
    }
}

/// The cable is out for a moment: the same address. It is put into another ISP's socket, whose server refuses the old
/// address or keeps silent about it: another one within seconds.
#[test]
fn dnsmasq_is_asked_again_after_a_cut_and_another_isp_too() {
    let (lab, config) = build();
    let range = config.range;
    let server = DhcpServer::start(config).unwrap();
    let mut client = Client::start(&lab);
    let seen = client.wait_until("bound", LIMIT, |seen| seen.is_bound_to(range));
    let (before, discovers) = (seen.address(), seen.counters.sent_discover);
    client.order(Order::Link(false));
    client.wait_until("cut", LIMIT, |seen| seen.state == DhcpState::Init);
    client.order(Order::Link(true));
    let seen = client.wait_until("back", LIMIT, |seen| seen.state == DhcpState::Bound);
    assert_eq!((seen.address(), seen.changes), (before, 1));
    assert_eq!(seen.counters.sent_discover, discovers);

    let mut server = server;
    let mut there = range;
    for authoritative in [true, false] {
        client.order(Order::Link(false));
        client.wait_until("cut", LIMIT, |seen| seen.state == DhcpState::Init);
        server = server
            .restart(|config| {
                config.forget().unwrap();
                config.authoritative = authoritative;
                there = if there == range {
                    elsewhere(config)
                } else {
                    range
                };
                config.range = there;
            })
            .unwrap();
        client.order(Order::Link(true));
        let limit = Duration::from_secs(10);
        client.wait_until("elsewhere", limit, |seen| seen.is_bound_to(there));
    }
    client.release();
}

/// Somebody else has the address: the server is told, and gives another.
#[test]
fn dnsmasq_is_told_of_a_conflict() {
    let (lab, config) = build();
    let range = config.range;
    let server = DhcpServer::start(config).unwrap();
    let mut client = Client::start(&lab);
    let before = client
        .wait_until("bound", LIMIT, |seen| seen.is_bound_to(range))
        .address()
        .unwrap();
    client.order(Order::Conflict(before));
    client.wait_until("given back", LIMIT, |seen| seen.address().is_none());
    let seen = client.wait_until("another", LIMIT, |seen| seen.is_bound_to(range));
    assert_ne!(seen.address(), Some(before));
    assert_eq!((seen.changes, seen.counters.declined), (3, 1));
    assert_eq!(server.count("DHCPDECLINE"), 1);
    client.release();
}
