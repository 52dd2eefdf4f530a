//! Debian's pppoe-server (rp-pppoe) with its pppd, as the concentrator of our PPPoE client, which is driven over a packet
//! socket here: no appliance, but real discovery, PPP and packets.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use benches::concentrator::{AccessConcentrator, ConcentratorConfig, DataPath};
use benches::frame_socket::FrameSocket;
use benches::lab::{Lab, LabConfig, Site};
use control::addressing::Assignment;
use control::ppp::{AuthProtocol, EchoStatistics, Timers, Wanted};
use control::pppoe::{
    Concentrator, PppoeAction, PppoeClient, PppoeCounters, PppoeSettings, PppoeState,
};
use crossbeam::channel::{Receiver, Sender, unbounded};
use rand::SeedableRng;
use rand::rngs::StdRng;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x77];
const INTERFACE: &str = "isp1";
const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const OPEN_LIMIT: Duration = Duration::from_secs(20);
const PING_LIMIT: Duration = Duration::from_secs(5);

fn settings() -> PppoeSettings {
    PppoeSettings {
        username: "site@isp.example".to_owned(),
        password: "line-secret".into(),
        service_name: None,
        ac_name: None,
        mtu: 1492,
        ipv6: true,
        lcp_rate: Duration::from_millis(500),
        lcp_timeout: Duration::from_secs(3),
        authentication: AuthProtocol::ALL.to_vec(),
        timers: Timers {
            restart: Duration::from_secs(1),
            ..Timers::default()
        },
        ignore_magic: false,
        wanted: Wanted {
            dns: true,
            nbns: false,
        },
    }
}

/// What the client last said of itself.
#[derive(Clone, Debug)]
struct Seen {
    state: PppoeState,
    assignment: Assignment,
    concentrator: Option<Concentrator>,
    last_error: Option<String>,
    counters: PppoeCounters,
    echoes: Option<EchoStatistics>,
    /// Identifiers of the pings that were answered.
    pongs: Vec<u16>,
}

enum Order {
    Ping { id: u16, packet_octets: usize },
    Close,
}

/// The client, driven by a thread in its namespace until it is closed.
struct Subscriber {
    seen: Arc<Mutex<Option<Seen>>>,
    orders: Sender<Order>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
    pings: u16,
}

impl Subscriber {
    fn start(lab: &Lab, settings: PppoeSettings) -> Self {
        let seen = Arc::new(Mutex::new(None));
        let (orders, received) = unbounded();
        let shared = Arc::clone(&seen);
        let work = move || Driver::new(settings, shared)?.run(&received);
        Self {
            seen,
            orders,
            thread: Some(lab.namespace(Site::Remote).spawn(work)),
            pings: 0,
        }
    }

    fn seen(&self) -> Seen {
        let started = Instant::now();
        loop {
            if let Some(seen) = self.seen.lock().unwrap().clone() {
                return seen;
            }
            assert!(started.elapsed() < OPEN_LIMIT, "the driver does not run");
            super::sleep(0.005);
        }
    }

    fn wait_until(&self, what: &str, is_met: impl Fn(&Seen) -> bool) -> Seen {
        let started = Instant::now();
        loop {
            let seen = self.seen();
            if is_met(&seen) {
                println!("{what} after {:?}", started.elapsed());
                return seen;
            }
            assert!(started.elapsed() < OPEN_LIMIT, "not {what}: {seen:#?}");
            super::sleep(0.01);
        }
    }

    /// Waits until both families are open.
    fn wait_until_open(&self) -> Seen {
        self.wait_until("open", |seen| {
            seen.state == PppoeState::Open && seen.assignment.routers.len() == 2
        })
    }

    /// The concentrator answers a ping of that size, which nobody may cut.
    fn assert_pings(&mut self, packet_octets: usize) {
        self.pings += 1;
        let id = self.pings;
        let ping = Order::Ping { id, packet_octets };
        self.orders.send(ping).unwrap();
        let started = Instant::now();
        while !self.seen().pongs.contains(&id) {
            assert!(
                started.elapsed() < PING_LIMIT,
                "{packet_octets} octets: no answer"
            );
            super::sleep(0.01);
        }
    }

    fn close(&mut self) {
        self.orders.send(Order::Close).unwrap();
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

/// In its thread.
struct Driver {
    client: PppoeClient,
    socket: FrameSocket,
    started: Instant,
    session: Option<(u16, [u8; 6])>,
    pongs: Vec<u16>,
    shared: Arc<Mutex<Option<Seen>>>,
}

impl Driver {
    fn new(settings: PppoeSettings, shared: Arc<Mutex<Option<Seen>>>) -> std::io::Result<Self> {
        let rng = StdRng::seed_from_u64(std::process::id().into());
        let mut client = PppoeClient::new(Duration::ZERO, MAC, settings, rng);
        client.set_link(Duration::ZERO, true);
        Ok(Self {
            client,
            socket: FrameSocket::open(INTERFACE)?,
            started: Instant::now(),
            session: None,
            pongs: Vec::new(),
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
                self.receive(now, frame);
            }
            self.client.handle_timeout(now);
            let mut is_over = false;
            for order in orders.try_iter() {
                match order {
                    Order::Ping { id, packet_octets } => self.ping(id, packet_octets)?,
                    Order::Close => {
                        self.client.close(now);
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

    /// As the workers do: IP is theirs.
    fn receive(&mut self, now: Duration, frame: &[u8]) {
        match frame.get(12..14) {
            Some([0x88, 0x63]) => self.client.handle_discovery(now, frame),
            Some([0x88, 0x64]) => match frame.get(20..) {
                // IPv4 without options, ICMP, Echo-Reply.
                Some([0x00, 0x21, 0x45, rest @ ..]) if rest.get(8) == Some(&1) => {
                    if let Some([0, _, _, _, high, low, ..]) = rest.get(19..) {
                        self.pongs.push(u16::from_be_bytes([*high, *low]));
                    }
                }
                Some([0x00, 0x21 | 0x57, ..]) => {}
                _ => self.client.handle_session(now, frame),
            },
            _ => {}
        }
    }

    fn act(&mut self) -> std::io::Result<()> {
        while let Some(action) = self.client.poll_action() {
            match action {
                PppoeAction::Frame(frame) => self.send(frame)?,
                PppoeAction::SessionUp {
                    id,
                    access_concentrator,
                } => self.session = Some((id, access_concentrator)),
                PppoeAction::SessionDown => self.session = None,
                PppoeAction::Changed => {}
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
            concentrator: self.client.concentrator().cloned(),
            last_error: self.client.last_error().map(str::to_owned),
            counters: *self.client.counters(),
            echoes: self.client.echo_statistics(),
            pongs: self.pongs.clone(),
        };
        *self.shared.lock().unwrap() = Some(seen);
    }

    fn ping(&mut self, id: u16, packet_octets: usize) -> std::io::Result<()> {
        let (session, concentrator) = self.session.expect("a ping needs a session");
        let IpAddr::V4(own) = self.client.assignment().addresses[0].address else {
            panic!("IPv4 comes first")
        };
        let packet = echo_request(own, LOCAL, id, packet_octets);
        let length = u16::try_from(2 + packet.len()).unwrap().to_be_bytes();
        let mut frame = [&concentrator[..], &MAC, &[0x88, 0x64, 0x11, 0]].concat();
        frame.extend(session.to_be_bytes());
        frame.extend(length);
        frame.extend([0x00, 0x21]);
        frame.extend(packet);
        self.send(frame)
    }
}

/// An ICMP Echo-Request that may not be cut.
fn echo_request(from: Ipv4Addr, to: Ipv4Addr, id: u16, packet_octets: usize) -> Vec<u8> {
    let [high, low] = u16::try_from(packet_octets).unwrap().to_be_bytes();
    let mut packet = vec![0x45, 0, high, low, 0, 0, 0x40, 0, 64, 1, 0, 0];
    packet.extend(from.octets());
    packet.extend(to.octets());
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum);
    packet.extend([8, 0, 0, 0]);
    packet.extend(id.to_be_bytes());
    packet.resize(packet_octets, 0x55);
    let sum = checksum(&packet[20..]);
    packet[22..24].copy_from_slice(&sum);
    packet
}

fn checksum(octets: &[u8]) -> [u8; 2] {
    let words = octets.chunks(2);
    let words = words.map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

/// The wire, with the guest at the head's end.
struct Bed {
    concentrator: AccessConcentrator,
    // Last: it takes the others' namespaces with it.
    lab: Lab,
}

fn build(data_path: DataPath, wire_mtu: u16) -> Bed {
    let mut config = LabConfig::demo().expect("the workspace is built");
    config.links = vec!["delay=2ms".parse().unwrap()];
    config.mtus_octets = vec![wire_mtu];
    let lab = Lab::build(config).expect("the lab needs root");
    let concentrator = AccessConcentrator::boot(&ConcentratorConfig {
        namespace: lab.namespace(Site::Head),
        directory: lab.directory().join("concentrator"),
        access: INTERFACE,
        access_mtu: wire_mtu,
        uplink: None,
        data_path,
        name: "bras-1",
        service: "internet",
        local: LOCAL,
        logins: &[("site@isp.example", "line-secret")],
        pppd: "+ipv6\nms-dns 10.1.0.53",
    });
    Bed {
        concentrator: concentrator.unwrap(),
        lab,
    }
}

fn own(seen: &Seen) -> IpAddr {
    seen.assignment.addresses[0].address
}

fn assert_echoes_are_answered(subscriber: &Subscriber) {
    let echoes = |seen: &Seen| seen.echoes.map_or(0, |echoes| echoes.answered);
    let before = echoes(&subscriber.seen());
    let seen = subscriber.wait_until("echoes answered", |seen| echoes(seen) >= before + 4);
    assert_eq!(seen.echoes.unwrap().lost, 0);
}

/// Everything the line gives; then each end goes away in its own manner, and comes back with another address.
#[test]
fn pppoe_server_in_the_kernel_gives_a_line_that_comes_back() {
    let mut bed = build(DataPath::Kernel, 1500);
    bed.concentrator.start([10, 1, 0, 100].into()).unwrap();
    let mut subscriber = Subscriber::start(&bed.lab, settings());
    let seen = subscriber.wait_until_open();
    assert_eq!(own(&seen), IpAddr::from([10, 1, 0, 100]));
    assert_eq!(seen.assignment.routers[0].address, LOCAL);
    assert_eq!(seen.assignment.name_servers, [IpAddr::from([10, 1, 0, 53])]);
    assert_eq!(seen.assignment.mtu, Some(1492));
    assert_eq!(seen.concentrator.unwrap().name, "bras-1");
    assert_echoes_are_answered(&subscriber);
    for octets in [64, 1400, 1492] {
        subscriber.assert_pings(octets);
    }

    // The concentrator hangs up.
    bed.concentrator.hang_up().unwrap();
    subscriber.wait_until("hung up", |seen| seen.counters.sessions_opened == 2);
    let seen = subscriber.wait_until_open();
    let error = seen.last_error.as_deref().unwrap_or_default();
    assert!(
        error.contains("terminated") || error.contains("ended"),
        "{error}"
    );
    subscriber.assert_pings(1492);

    // It dies, and another one with other addresses takes its place.
    bed.concentrator.kill().unwrap();
    let seen = subscriber.wait_until("dead", |seen| seen.state != PppoeState::Open);
    let error = seen.last_error.as_deref().unwrap_or_default();
    assert!(error.contains("echoes"), "{error}");
    assert_eq!(seen.assignment, Assignment::default());
    bed.concentrator.start([10, 1, 0, 180].into()).unwrap();
    let seen = subscriber.wait_until_open();
    assert_eq!(own(&seen), IpAddr::from([10, 1, 0, 180]));
    subscriber.assert_pings(64);
    let malformed = seen.counters.malformed;
    assert_eq!(malformed, 0, "{:?}", seen.counters);

    // We end it: the concentrator knows at once.
    subscriber.close();
    let started = Instant::now();
    while !bed
        .concentrator
        .log()
        .contains("closed by the administrator")
    {
        assert!(started.elapsed() < PING_LIMIT, "it was not told");
        super::sleep(0.05);
    }
}

/// RFC 4638.
#[test]
fn pppoe_server_grants_packets_of_1500_octets_where_the_wire_has_room() {
    for (wire_mtu, mtu) in [(1508, 1500), (1500, 1492)] {
        let mut bed = build(DataPath::Kernel, wire_mtu);
        bed.concentrator.start([10, 1, 0, 100].into()).unwrap();
        let wanted = PppoeSettings {
            mtu: 1500,
            ..settings()
        };
        let mut subscriber = Subscriber::start(&bed.lab, wanted);
        let seen = subscriber.wait_until_open();
        assert_eq!(seen.assignment.mtu, Some(mtu));
        subscriber.assert_pings(mtu.into());
        subscriber.close();
    }
}

/// Through a terminal, with nothing but PPP's line discipline in the kernel.
#[test]
fn pppoe_server_by_itself_gives_a_line_and_refuses_a_wrong_password() {
    let mut bed = build(DataPath::UserSpace, 1500);
    bed.concentrator.start([10, 1, 0, 100].into()).unwrap();
    let stranger = PppoeSettings {
        password: "guess".into(),
        service_name: Some("internet".to_owned()),
        ..settings()
    };
    let mut subscriber = Subscriber::start(&bed.lab, stranger);
    let seen = subscriber.wait_until("refused", |seen| {
        let error = seen.last_error.as_deref().unwrap_or_default();
        error.contains("authentication of \"site@isp.example\" failed")
    });
    assert_eq!(seen.assignment, Assignment::default());
    subscriber.close();

    let named = PppoeSettings {
        ac_name: Some("bras-1".to_owned()),
        service_name: Some("internet".to_owned()),
        ..settings()
    };
    let mut subscriber = Subscriber::start(&bed.lab, named);
    subscriber.wait_until_open();
    assert_echoes_are_answered(&subscriber);
    for octets in [64, 1400, 1492] {
        subscriber.assert_pings(octets);
    }
    subscriber.close();
}

/// The guest is woken while it sleeps and before that, by what it must not take for a line.
#[test]
fn each_line_of_a_guest_has_its_own_result() {
    let mut bed = build(DataPath::UserSpace, 1500);
    let guest = bed.concentrator.guest();
    for (line, goes_well) in [
        ("true", true),
        ("sleep 2; false", false),
        ("true", true),
        ("false", false),
    ] {
        assert_eq!(guest.run(line).unwrap(), goes_well, "{line}");
    }
}
