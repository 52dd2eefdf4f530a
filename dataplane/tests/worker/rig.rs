//! A worker with its ports wired to the test: the test is the LAN host and
//! the peer behind every uplink, and says when the worker runs and what time it is.
//!
//! Port 0 is the LAN, 192.168.2.1/24 in table 0; ports 1 to 3 are uplinks,
//! 10.0.N.2/24 in table N with the gateway 10.0.N.1. Sessions 1 to 3, one on
//! each uplink, make set 0, which is the route to 192.168.1.0/24.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use dataplane::Frame;
use dataplane::arrivals::Arrivals;
use dataplane::checksum;
use dataplane::command::{
    Command, Epoch, InterfaceId, InterfaceSpec, NextHop, PortId, Prefix, SessionId, SessionSpec,
    SetId, SetSpec, TableId,
};
use dataplane::counters::{Drop, PortCounters, SessionCounters, SetCounters};
use dataplane::event::Event;
use dataplane::headers::ha::{HaHeader, Kind};
use dataplane::headers::{ethernet, ipv4, ipv6};
use dataplane::reassembly::Place;
use dataplane::skew::FirstTimes;
use dataplane::transform::split;
use dataplane::window::Window;
use dataplane::worker::{
    Channel, HandOver, Inbox, Order, Outlet, Parts, Worker, WorkerPort, fragment_table,
};
use dpdk::{Burst, Eal, EalConfig, HugePages, Mempool, Port, PortConfig, RxQueue, TxQueue};

pub(crate) const TSC_HZ: u64 = 1_000_000_000;
pub(crate) const PORTS: usize = 4;
pub(crate) const SEND_EPOCH: u32 = 0xaabb_ccdd;
pub(crate) const PEER_EPOCH: u32 = 0x1122_3344;
pub(crate) const FIRST_NUMBER: u64 = 0x0102_0304_0506;
pub(crate) const PEER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 1), 1701);
pub(crate) const LAN_HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 2, 10);
pub(crate) const FAR_HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 20);
/// Packets that each worker may keep for ordering.
pub(crate) const ORDERED_PACKETS: usize = 512;
pub(crate) const REASSEMBLY_PIECES: usize = 256;
pub(crate) const SET: SetId = SetId(0);

pub(crate) fn eal() -> &'static Arc<Eal> {
    static EAL: OnceLock<Arc<Eal>> = OnceLock::new();
    EAL.get_or_init(|| {
        Eal::init(&EalConfig {
            program: "worker-tests".to_owned(),
            memory_mib: 512,
            hugepages: HugePages::No,
            ..EalConfig::default()
        })
        .expect("the EAL starts without hugepages")
    })
}

fn unique() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub(crate) fn pool(count: u32) -> Mempool {
    pool_of(count, 2048)
}

/// Buffers for packets of so many octets.
fn pool_of(count: u32, octets: u16) -> Mempool {
    let name = format!("pool{}", unique());
    Mempool::new(eal(), &name, count, 0, octets + dpdk::HEADROOM_OCTETS).expect("memory")
}

/// The test's end of a port: a queue pair for each worker.
pub(crate) struct Wire {
    receive: Vec<RxQueue>,
    send: Vec<TxQueue>,
    _ports: [Port; 2],
}

pub(crate) struct Rig {
    pub(crate) workers: Vec<Worker>,
    pub(crate) channels: Vec<Channel>,
    pub(crate) wires: Vec<Wire>,
    /// By port, then by worker.
    pub(crate) counters: Vec<Vec<Arc<PortCounters>>>,
    /// By session id - 1, then by worker.
    pub(crate) sessions: Vec<Vec<Arc<SessionCounters>>>,
    pub(crate) set: Vec<Arc<SetCounters>>,
    pub(crate) window: Arc<Window>,
    pub(crate) first_times: Arc<FirstTimes>,
    /// By session id - 1, then by worker.
    pub(crate) arrivals: Vec<Vec<Arc<Arrivals>>>,
    pub(crate) pool: Mempool,
    pub(crate) copies: Mempool,
    pub(crate) now: u64,
}

impl Rig {
    /// Everything as the module says, with one worker.
    pub(crate) fn new() -> Self {
        Self::with(1, 1024, 4096)
    }

    pub(crate) fn with(workers: usize, ring_depth: u32, buffers: u32) -> Self {
        let pool = pool(buffers);
        Self::bare(workers, ring_depth, (pool.clone(), pool), false).configured()
    }

    /// The same with buffers of so many octets, and of their own, for copies.
    pub(crate) fn with_copies_of(octets: u16) -> Self {
        let copies = pool_of(1024, octets);
        Self::bare(1, 1024, (pool(4096), copies), false).configured()
    }

    /// The same with ports that are said to fill in checksums.
    pub(crate) fn on_filling_ports() -> Self {
        let pool = pool(4096);
        Self::bare(1, 1024, (pool.clone(), pool), true).configured()
    }

    fn configured(self) -> Self {
        let mut rig = self;
        for port in 0..PORTS as u16 {
            rig.command(Command::SetInterface(Arc::new(interface(port))));
            rig.route(port.into(), own_address(port), 32, NextHop::Local);
            let connected = NextHop::Interface {
                interface: InterfaceId(port),
                via: None,
            };
            rig.route(port.into(), own_address(port), 24, connected);
        }
        for uplink in 1..PORTS as u16 {
            let via = NextHop::Interface {
                interface: InterfaceId(uplink),
                via: Some(gateway(uplink).into()),
            };
            rig.route(uplink.into(), Ipv4Addr::UNSPECIFIED, 0, via);
            rig.neighbour(uplink, gateway(uplink), gateway_mac(uplink));
            let spec = rig.session_spec(uplink);
            rig.command(Command::SetSession(Arc::new(spec)));
        }
        rig.neighbour(0, LAN_HOST, LAN_HOST_MAC);
        let spec = rig.set_spec();
        rig.command(Command::SetSet(Arc::new(spec)));
        rig.route(0, Ipv4Addr::new(192, 168, 1, 0), 24, NextHop::Set(SET));
        rig.poll();
        rig
    }

    fn bare(
        workers: usize,
        ring_depth: u32,
        (pool, copies): (Mempool, Mempool),
        fills_in_checksums: bool,
    ) -> Self {
        let inboxes = Inbox::for_workers(workers);
        let channels: Vec<Channel> = (0..workers).map(|_| Channel::new(1024, 8192)).collect();
        let mut shares: Vec<Vec<WorkerPort>> = (0..workers).map(|_| Vec::new()).collect();
        let mut wires = Vec::new();
        let mut all_counters = Vec::new();
        for port in 0..PORTS as u16 {
            let name = format!("wire{}", unique());
            let (near, far) = eal()
                .ring_pair(&name, workers as u16, ring_depth)
                .expect("a ring pair");
            let config = PortConfig {
                rx_queues: workers as u16,
                tx_queues: workers as u16,
                rx_descriptors: 1024,
                tx_descriptors: 1024,
                mempool: pool.clone(),
                mtu: None,
                promiscuous: false,
                rss: false,
            };
            let (near, near_receive, near_send) = Port::open(eal(), near, &config).expect("near");
            let (far, receive, send) = Port::open(eal(), far, &config).expect("far");
            let counters: Vec<Arc<PortCounters>> = (0..workers).map(|_| Arc::default()).collect();
            let queues = near_receive.into_iter().zip(near_send);
            for (worker, (receive, send)) in queues.enumerate() {
                shares[worker].push(WorkerPort {
                    mac: port_mac(port),
                    up: true,
                    receive: vec![receive],
                    send: Outlet::Own {
                        queue: send,
                        handed_over: Arc::new(HandOver::new(2)),
                    },
                    counters: Arc::clone(&counters[worker]),
                    cut_octets: Some(1800),
                    fills_in_checksums,
                });
            }
            all_counters.push(counters);
            wires.push(Wire {
                receive,
                send,
                _ports: [near, far],
            });
        }
        let made = shares.into_iter().enumerate().map(|(index, ports)| {
            Worker::new(Parts {
                index,
                workers,
                ports,
                copies: copies.clone(),
                inboxes: inboxes.clone(),
                fragments: fragment_table(eal(), TSC_HZ).expect("memory"),
                reassembly_pieces: REASSEMBLY_PIECES,
                ordered_packets: ORDERED_PACKETS,
                tsc_hz: TSC_HZ,
                channel: channels[index].clone(),
            })
        });
        let workers_made = made.collect();
        let arrivals = || {
            (0..workers)
                .map(|_| Arc::new(Arrivals::new(PEER_EPOCH)))
                .collect()
        };
        let of_session = || (0..workers).map(|_| Arc::default()).collect();
        Self {
            workers: workers_made,
            channels,
            wires,
            counters: all_counters,
            sessions: (1..PORTS).map(|_| of_session()).collect(),
            set: (0..workers).map(|_| Arc::default()).collect(),
            window: Arc::new(Window::new(Window::MIN_NUMBERS)),
            first_times: Arc::default(),
            arrivals: (1..PORTS).map(|_| arrivals()).collect(),
            pool,
            copies,
            now: 1,
        }
    }

    pub(crate) fn session_spec(&self, uplink: u16) -> SessionSpec {
        SessionSpec {
            id: SessionId(uplink.into()),
            table: TableId(uplink.into()),
            local: SocketAddr::new(own_address(uplink).into(), 1701),
            peer: PEER.into(),
            local_tunnel: 0x100 + uplink,
            local_session: 0x200 + uplink,
            peer_tunnel: 0x300 + uplink,
            peer_session: 0x400 + uplink,
            payload_table: TableId(0),
            receive: true,
            tcp_mss_fix: false,
            mtu: 1450,
            udp_checksum: true,
            address_control: false,
            set: Some(SET),
            speed: None,
            counters: self.sessions[usize::from(uplink) - 1].clone(),
            arrivals: self.arrivals[usize::from(uplink) - 1].clone(),
        }
    }

    pub(crate) fn set_spec(&self) -> SetSpec {
        SetSpec {
            id: SET,
            send_epoch: SEND_EPOCH,
            next_number: Arc::new(FIRST_NUMBER.into()),
            owner: 0,
            payload_table: TableId(0),
            ordering: None,
            members: (1..PORTS as u32).map(SessionId).collect(),
            epochs: vec![Epoch {
                epoch: PEER_EPOCH,
                window: Arc::clone(&self.window),
                first_times: Arc::clone(&self.first_times),
            }],
            mtu: 1450,
            tcp_mss_fix: false,
            next_best_skew_us: Arc::default(),
            counters: self.set.clone(),
        }
    }

    pub(crate) fn command(&mut self, command: Command) {
        for channel in &self.channels {
            let pushed = channel.orders.push(Order::Change(command.clone()));
            assert!(pushed.is_ok(), "the ring holds what a test asks for");
        }
    }

    pub(crate) fn route(
        &mut self,
        table: u32,
        address: impl Into<IpAddr>,
        length: u8,
        next_hop: NextHop,
    ) {
        self.command(Command::SetRoute {
            table: TableId(table),
            prefix: Prefix::new(address, length),
            next_hop,
        });
    }

    pub(crate) fn neighbour(&mut self, interface: u16, address: impl Into<IpAddr>, mac: [u8; 6]) {
        self.command(Command::SetNeighbour {
            interface: InterfaceId(interface),
            address: address.into(),
            mac,
        });
    }

    /// Every worker runs until it is idle.
    pub(crate) fn poll(&mut self) {
        loop {
            let now = self.now;
            let work: usize = self
                .workers
                .iter_mut()
                .map(|worker| worker.poll_once(now))
                .sum();
            if work == 0 {
                return;
            }
        }
    }

    /// Puts a frame on the wire to a worker's queue of a port.
    pub(crate) fn offer(&mut self, port: usize, worker: usize, frame: &[u8]) {
        let mut mbuf = self.pool.alloc().expect("a buffer");
        assert!(mbuf.extend_from_slice(frame));
        let mut burst = Burst::new();
        burst.push(mbuf).expect("room in a new burst");
        let sent = self.wires[port].send[worker].tx_burst(&mut burst);
        assert_eq!(sent, 1, "room on the wire");
    }

    /// Sends a frame to a port and lets worker 0 deal with it.
    pub(crate) fn send(&mut self, port: usize, frame: &[u8]) {
        self.offer(port, 0, frame);
        self.poll();
    }

    /// Everything that came out of a port.
    pub(crate) fn received(&mut self, port: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        for queue in &mut self.wires[port].receive {
            let mut burst = Burst::new();
            while queue.rx_burst(&mut burst) > 0 {
                frames.extend(burst.iter().map(|frame| frame.to_vec()));
                burst.clear();
            }
        }
        frames
    }

    /// The one frame that came out of a port.
    pub(crate) fn one(&mut self, port: usize) -> Vec<u8> {
        let mut frames = self.received(port);
        assert_eq!(frames.len(), 1, "frames out of port {port}");
        frames.remove(0)
    }

    pub(crate) fn events(&mut self) -> Vec<Event<Frame>> {
        let pop = |channel: &Channel| std::iter::from_fn(|| channel.events.pop()).collect();
        self.channels
            .iter()
            .flat_map(|channel| -> Vec<_> { pop(channel) })
            .collect()
    }

    pub(crate) fn one_event(&mut self) -> Event<Frame> {
        let mut events = self.events();
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }

    /// How often a port gave this reason.
    pub(crate) fn drops(&self, port: usize, reason: Drop) -> u64 {
        let of_port = self.counters[port].iter();
        of_port.map(|counters| counters.drops.read(reason)).sum()
    }

    pub(crate) fn all_drops(&self) -> u64 {
        let ports = 0..self.counters.len();
        let all = ports.flat_map(|port| Drop::ALL.iter().map(move |&reason| (port, reason)));
        all.map(|(port, reason)| self.drops(port, reason)).sum()
    }

    /// Sum of a counter over all ports and workers.
    pub(crate) fn total(&self, counter: fn(&PortCounters) -> u64) -> u64 {
        self.counters
            .iter()
            .flatten()
            .map(|counters| counter(counters))
            .sum()
    }
}

pub(crate) const LAN_HOST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x10];

pub(crate) fn port_mac(port: u16) -> [u8; 6] {
    [2, 0, 0, 0, 1, port as u8]
}

pub(crate) fn gateway_mac(uplink: u16) -> [u8; 6] {
    [2, 0, 0, 0, 0xff, uplink as u8]
}

pub(crate) fn own_address(port: u16) -> Ipv4Addr {
    match port {
        0 => Ipv4Addr::new(192, 168, 2, 1),
        uplink => Ipv4Addr::new(10, 0, uplink as u8, 2),
    }
}

pub(crate) fn gateway(uplink: u16) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, uplink as u8, 1)
}

pub(crate) fn interface(port: u16) -> InterfaceSpec {
    InterfaceSpec {
        id: InterfaceId(port),
        port: PortId(port),
        table: TableId(port.into()),
        addresses: vec![(own_address(port).into(), 24)],
        mtu: 1500,
        forward: port == 0,
    }
}

/// The frame that the LAN host gets for an inner packet: TTL one less.
pub(crate) fn delivered(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let decremented = match packet[0] >> 4 {
        6 => ipv6::decrement_hop_limit(&mut packet),
        _ => ipv4::decrement_ttl(&mut packet),
    };
    assert!(decremented);
    let mut frame = LAN_HOST_MAC.to_vec();
    frame.extend(port_mac(0));
    frame.extend(ethernet::ether_type_of(&packet).to_be_bytes());
    frame.extend(packet);
    frame
}

/// A frame to a port from somebody there.
pub(crate) fn frame(port: u16, packet: &[u8]) -> Vec<u8> {
    let mut frame = port_mac(port).to_vec();
    let source = if port == 0 {
        LAN_HOST_MAC
    } else {
        gateway_mac(port)
    };
    frame.extend(source);
    frame.extend(ethernet::ether_type_of(packet).to_be_bytes());
    frame.extend(packet);
    frame
}

/// A UDP packet from one site's host to the other's.
pub(crate) fn udp(source: Ipv4Addr, destination: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let source = SocketAddrV4::new(source, 5000);
    let destination = SocketAddrV4::new(destination, 6000);
    ipv4::udp_packet(source, destination, payload, 0x1234)
}

/// A packet for the LAN host that came from the far site, told apart by its payload.
pub(crate) fn inner(payload: &[u8]) -> Vec<u8> {
    udp(FAR_HOST, LAN_HOST, payload)
}

/// The octets of an HA data message to session `uplink`, from L2TP's flags on.
pub(crate) fn ha_message(uplink: u16, epoch: u32, number: u64, ppp: &[u8]) -> Vec<u8> {
    flagged_message(uplink, 0, epoch, number, ppp)
}

/// The same with flags in the HA header.
pub(crate) fn flagged_message(
    uplink: u16,
    flags: u8,
    epoch: u32,
    number: u64,
    ppp: &[u8],
) -> Vec<u8> {
    let header = HaHeader {
        kind: Kind::Data,
        flags,
        epoch,
        number,
    };
    let mut message = vec![0x02, 0x02];
    message.extend((0x100 + uplink).to_be_bytes());
    message.extend((0x200 + uplink).to_be_bytes());
    message.extend([0, 12]);
    message.extend(header.octets());
    message.extend(ppp);
    message
}

/// A data message without an HA header.
pub(crate) fn plain_message(uplink: u16, ppp: &[u8]) -> Vec<u8> {
    let mut message = vec![0x00, 0x02];
    message.extend((0x100 + uplink).to_be_bytes());
    message.extend((0x200 + uplink).to_be_bytes());
    message.extend(ppp);
    message
}

pub(crate) fn ppp_ipv6(packet: &[u8]) -> Vec<u8> {
    [&[0x00, 0x57], packet].concat()
}

pub(crate) fn ppp_ipv4(packet: &[u8]) -> Vec<u8> {
    [&[0x00, 0x21], packet].concat()
}

/// A frame with an L2TP message to us on an uplink.
pub(crate) fn l2tp_frame_from(source: SocketAddrV4, uplink: u16, message: &[u8]) -> Vec<u8> {
    let destination = SocketAddrV4::new(own_address(uplink), 1701);
    frame(uplink, &ipv4::udp_packet(source, destination, message, 7))
}

pub(crate) fn l2tp_frame(uplink: u16, message: &[u8]) -> Vec<u8> {
    l2tp_frame_from(PEER, uplink, message)
}

/// One copy of a packet as the peer sends it over an uplink.
pub(crate) fn copy(uplink: u16, number: u64, packet: &[u8]) -> Vec<u8> {
    let message = ha_message(uplink, PEER_EPOCH, number, &ppp_ipv4(packet));
    l2tp_frame(uplink, &message)
}

/// The messages by which the peer sends a packet in pieces over an uplink of
/// this MTU inside, from `number` on.
pub(crate) fn pieces(
    uplink: u16,
    epoch: u32,
    number: u64,
    packet: &[u8],
    mtu: u16,
) -> Vec<Vec<u8>> {
    let cut = split(packet.len(), mtu).expect("larger than the link");
    (number..)
        .zip(cut)
        .map(|(number, piece)| {
            let octets = &packet[piece.range];
            let ppp = match piece.place {
                Place::First => ppp_ipv4(octets),
                _ => octets.to_vec(),
            };
            flagged_message(uplink, piece.place.flags(), epoch, number, &ppp)
        })
        .collect()
}

/// The number in an outer frame that the worker sent.
pub(crate) fn number_of(frame: &[u8]) -> u64 {
    let octets = frame[56..62].try_into().expect("six octets");
    let [n0, n1, n2, n3, n4, n5]: [u8; 6] = octets;
    u64::from_be_bytes([0, 0, n0, n1, n2, n3, n4, n5])
}

/// A TCP SYN with this MSS, checksum right.
pub(crate) fn syn(source: Ipv4Addr, destination: Ipv4Addr, mss: u16) -> Vec<u8> {
    let mut tcp = vec![
        0x13, 0x88, 0x17, 0x70, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 0x02, 0xff, 0xff,
    ];
    tcp.extend([0, 0, 0, 0, 2, 4]);
    tcp.extend(mss.to_be_bytes());
    let checksum = checksum::finish(tcp_sum(source, destination, &tcp));
    tcp[16..18].copy_from_slice(&checksum.to_be_bytes());
    let mut packet = ipv4::header(source, destination, 6, 44, 1).to_vec();
    packet.extend(tcp);
    packet
}

fn tcp_sum(source: Ipv4Addr, destination: Ipv4Addr, tcp: &[u8]) -> u32 {
    let length = tcp.len() as u16;
    checksum::pseudo_header_sum(source.octets(), destination.octets(), 6, length)
        + checksum::sum(tcp)
}

/// The MSS option of a packet made by [`syn`].
pub(crate) fn mss(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[42], packet[43]])
}

pub(crate) fn tcp_checksum_is_right(packet: &[u8]) -> bool {
    let header = ipv4::parse(packet).expect("an IPv4 header");
    let tcp = &packet[header.header_octets..];
    checksum::finish(tcp_sum(header.source, header.destination, tcp)) == 0
}
