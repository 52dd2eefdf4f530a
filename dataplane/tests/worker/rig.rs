//! A worker with its ports wired to the test: the test is the LAN host and
//! the peer behind every uplink, and says when the worker runs and what time it is.
//!
//! Port 0 is the LAN, 192.168.2.1/24 in table 0; ports 1 to 3 are uplinks,
//! 10.0.N.2/24 in table N with the gateway 10.0.N.1. Sessions 1 to 3, one on
//! each uplink, make set 0, which is the route to 192.168.1.0/24.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use dataplane::arrivals::Arrivals;
use dataplane::checksum;
use dataplane::command::{
    Command, Epoch, InterfaceId, InterfaceSpec, NextHop, PortId, SessionId, SessionSpec, SetId,
    SetSpec, TableId,
};
use dataplane::counters::{Drop, PortCounters, SessionCounters, SetCounters};
use dataplane::event::Event;
use dataplane::headers::ha::{HaHeader, Kind, Report};
use dataplane::headers::{ethernet, ipv4, ipv6};
use dataplane::reassembly::Place;
use dataplane::skew::FirstTimes;
use dataplane::transform::split;
use dataplane::window::Window;
use dataplane::worker::{HandOver, Order};
use dataplane::{Encapsulation, Frame};
use dpdk::{Mbuf, Mempool};

pub(crate) use crate::machine::{Machine, Shape, TSC_HZ, eal, pool, pool_of};

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

/// A machine, and what it was told.
pub(crate) struct Rig {
    machine: Machine,
    pub(crate) copies: Mempool,
    /// By session id - 1, then by worker.
    pub(crate) sessions: Vec<Vec<Arc<SessionCounters>>>,
    pub(crate) set: Vec<Arc<SetCounters>>,
    pub(crate) window: Window,
    pub(crate) first_times: Arc<FirstTimes>,
    /// By session id - 1, then by worker.
    pub(crate) arrivals: Vec<Vec<Arc<Arrivals>>>,
    pub(crate) now: u64,
}

impl Deref for Rig {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl DerefMut for Rig {
    fn deref_mut(&mut self) -> &mut Machine {
        &mut self.machine
    }
}

impl Rig {
    /// Everything as the module says, with one worker.
    pub(crate) fn new() -> Self {
        Self::with(1, 1024, 4096)
    }

    pub(crate) fn with(workers: usize, ring_depth: u32, buffers: u32) -> Self {
        let pool = pool(buffers);
        Self::bare(workers, ring_depth, (pool.clone(), pool), false, None, &[]).configured()
    }

    /// The same with buffers of so many octets, and of their own, for copies.
    pub(crate) fn with_copies_of(octets: u16) -> Self {
        let copies = pool_of(1024, octets);
        Self::bare(1, 1024, (pool(4096), copies), false, None, &[]).configured()
    }

    /// The same with ports that are said to fill in checksums.
    pub(crate) fn on_filling_ports() -> Self {
        let pool = pool(4096);
        Self::bare(1, 1024, (pool.clone(), pool), true, None, &[]).configured()
    }

    /// The same with a ring in the place of every TX queue: another thread sends.
    pub(crate) fn handing_over(ring: Arc<HandOver>) -> Self {
        let pool = pool(4096);
        Self::bare(1, 1024, (pool.clone(), pool), false, Some(ring), &[]).configured()
    }

    /// The same with logical ports, from port 4 on: carrier and encapsulation of each.
    /// The ports are said to fill in checksums: the logical ones must not.
    pub(crate) fn with_logical(ports: &[(usize, Encapsulation)]) -> Self {
        let pool = pool(4096);
        Self::bare(1, 1024, (pool.clone(), pool), true, None, ports).configured()
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
        hand_over: Option<Arc<HandOver>>,
        logical_ports: &[(usize, Encapsulation)],
    ) -> Self {
        let machine = Machine::new(&Shape {
            workers,
            macs: &std::array::from_fn::<_, PORTS, _>(|port| port_mac(port as u16)),
            logical_ports,
            ring_depth,
            pool,
            copies: copies.clone(),
            reassembly_pieces: REASSEMBLY_PIECES,
            ordered_packets: ORDERED_PACKETS,
            fills_in_checksums,
            hand_over,
        });
        let arrivals = || {
            (0..workers)
                .map(|_| Arc::new(Arrivals::new(PEER_EPOCH)))
                .collect()
        };
        let of_session = || (0..workers).map(|_| Arc::default()).collect();
        Self {
            machine,
            copies,
            sessions: (1..PORTS).map(|_| of_session()).collect(),
            set: (0..workers).map(|_| Arc::default()).collect(),
            window: Window::new(Window::MIN_NUMBERS),
            first_times: Arc::default(),
            arrivals: (1..PORTS).map(|_| arrivals()).collect(),
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
            masked: false,
            sequence: Arc::default(),
            echo: None,
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
                window: self.window.clone(),
                first_times: Arc::clone(&self.first_times),
            }],
            mtu: 1450,
            tcp_mss_fix: false,
            next_best_skew_us: Arc::default(),
            counters: self.set.clone(),
        }
    }

    /// Every worker runs until it is idle.
    pub(crate) fn poll(&mut self) {
        loop {
            let now = self.now;
            let work: usize = self
                .machine
                .workers
                .iter_mut()
                .map(|worker| worker.poll_once(now))
                .sum();
            if work == 0 {
                return;
            }
        }
    }

    /// Sends a frame to a port and lets worker 0 deal with it.
    pub(crate) fn send(&mut self, port: usize, frame: &[u8]) {
        self.offer(port, 0, frame);
        self.poll();
    }

    /// Octets in a buffer with only the headroom that they left.
    pub(crate) fn narrow_buffer(&self, octets: &[u8]) -> Mbuf {
        let mut buffer = self.pool.alloc().expect("a buffer");
        let room = buffer.prepend(octets.len()).expect("so much headroom");
        room.copy_from_slice(octets);
        buffer
    }

    /// Has the first worker carry out what the control thread asks for.
    pub(crate) fn order(&mut self, order: Order) {
        assert!(self.channels[0].orders.push(order).is_ok());
        self.poll();
    }

    /// The one frame that came out of a port.
    pub(crate) fn one(&mut self, port: usize) -> Vec<u8> {
        let mut frames = self.received(port);
        assert_eq!(frames.len(), 1, "frames out of port {port}");
        frames.remove(0)
    }

    pub(crate) fn one_event(&mut self) -> Event<Frame> {
        let mut events = self.events();
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
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

/// One of the peer's.
pub(crate) const REPORT: Report = Report {
    epoch: PEER_EPOCH,
    next_number: 1000,
    joined_number: 10,
    copies: 990,
    sent_at_us: 1,
    echo_us: 2,
    echo_delay_us: 3,
    over_speed: 4,
    not_sent: 5,
    is_last: false,
    is_probe: true,
    heard_probe_us: Some(6),
    is_masked: false,
    is_deaf: false,
    is_needed: false,
};

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
