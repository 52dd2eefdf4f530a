//! One worker with a LAN and three uplinks, all of them in-process wires, and its peers' side of the tunnels.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use dataplane::arrivals::Arrivals;
use dataplane::command::{
    Command, Epoch, InterfaceId, InterfaceSpec, NextHop, PortId, Prefix, SessionId, SessionSpec,
    SetId, SetSpec, TableId,
};
use dataplane::headers::encapsulation::Template;
use dataplane::worker::{Channel, Inbox, Order, Parts, Worker, fragment_table};
use dpdk::{Eal, Mempool, tsc, tsc_hz};

use crate::wire::Wire;

/// Uplinks of the worker.
pub(crate) const LINKS: usize = 3;

/// The LAN's port, and the interface on it. Uplink n has n + 1.
const LAN: u16 = 0;

const LAN_TABLE: TableId = TableId(0);
const EPOCH: u32 = 0x5eed_0001;
/// As a configuration has it by default.
const WINDOW_NUMBERS: u64 = 262_144;

const BUFFERS: u32 = 8192;
const BUFFER_CACHE: u32 = 512;
const BUFFER_OCTETS: u16 = 2048 + dpdk::HEADROOM_OCTETS;

/// Which set: over how many links, and whether its outer packets carry a UDP checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SetKind {
    pub(crate) links: usize,
    pub(crate) udp_checksum: bool,
}

impl SetKind {
    fn all() -> impl Iterator<Item = Self> {
        (1..=LINKS).flat_map(|links| {
            [true, false].map(|udp_checksum| Self {
                links,
                udp_checksum,
            })
        })
    }

    /// A number of its own, from 0.
    fn index(self) -> u32 {
        2 * (self.links as u32 - 1) + u32::from(self.udp_checksum)
    }

    fn set(self) -> SetId {
        SetId(self.index())
    }

    fn session(self, link: usize) -> SessionId {
        SessionId(self.index() * LINKS as u32 + link as u32)
    }

    /// A host behind the far end of this set.
    pub(crate) fn host(self, number: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 100 + self.index() as u8, 0, 1 + number)
    }
}

/// The worker, and what stands around it.
pub(crate) struct Bed {
    pub(crate) worker: Worker,
    /// The LAN first, then the uplinks.
    pub(crate) wires: Vec<Wire>,
    /// Where the tester's frames come from.
    pub(crate) frames: Mempool,
    /// Next number of the far end, in every set.
    pub(crate) number: u64,
    channel: Channel,
    changes: u64,
}

/// The worker's hardware address on a port.
pub(crate) fn mac(port: usize) -> [u8; 6] {
    [2, 0, 0, 0, 0, port as u8]
}

/// The hardware address of whoever is on the other end.
pub(crate) fn neighbour_mac(port: usize) -> [u8; 6] {
    [2, 0, 0, 0, 1, port as u8]
}

/// A host of our LAN.
pub(crate) fn lan_host(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 1, 2 + number)
}

/// A host that is reached over the first uplink without a tunnel.
pub(crate) fn plain_host(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 200, 0, 1 + number)
}

impl Bed {
    pub(crate) fn new(eal: &Arc<Eal>) -> Result<Self, Box<dyn Error>> {
        let pool = |name| Mempool::new(eal, name, BUFFERS, BUFFER_CACHE, BUFFER_OCTETS);
        let (frames, copies) = (pool("frames")?, pool("copies")?);
        let (mut wires, mut ports) = (Vec::new(), Vec::new());
        for port in 0..=LINKS {
            let (wire, end) = Wire::new(eal, &format!("wire{port}"), mac(port), &frames)?;
            wires.push(wire);
            ports.push(end);
        }
        let channel = Channel::new(256, 256);
        let worker = Worker::new(Parts {
            index: 0,
            workers: 1,
            ports,
            copies,
            inboxes: Inbox::for_workers(1),
            fragments: fragment_table(eal, tsc_hz(eal))?,
            reassembly_pieces: 256,
            ordered_packets: 256,
            tsc_hz: tsc_hz(eal),
            channel: channel.clone(),
        });
        let mut bed = Self {
            worker,
            wires,
            frames,
            number: 0,
            channel,
            changes: 0,
        };
        bed.configure()?;
        Ok(bed)
    }

    /// Events of the worker to the control thread, of which there should be none.
    pub(crate) fn events(&self) -> usize {
        self.channel.events.len()
    }

    fn configure(&mut self) -> Result<(), Box<dyn Error>> {
        self.interface(LAN, LAN_TABLE, Ipv4Addr::new(192, 168, 1, 1), true)?;
        for number in 0..32 {
            self.neighbour(LAN, lan_host(number))?;
        }
        for link in 0..LINKS {
            let port = link as u16 + 1;
            self.interface(port, link_table(link), local(link), false)?;
            self.neighbour(port, gateway(link))?;
            let default = Prefix::new(Ipv4Addr::UNSPECIFIED, 0);
            self.route(link_table(link), default, via(link))?;
        }
        let plain = Prefix::new(plain_host(0), 16);
        self.route(LAN_TABLE, plain, via(0))?;
        for kind in SetKind::all() {
            for link in 0..kind.links {
                let session = Arc::new(session(kind, link));
                self.change(Command::SetSession(session))?;
            }
            self.change(Command::SetSet(Arc::new(set(kind))))?;
            let prefix = Prefix::new(kind.host(0), 16);
            self.route(LAN_TABLE, prefix, NextHop::Set(kind.set()))?;
        }
        Ok(())
    }

    fn interface(
        &mut self,
        port: u16,
        table: TableId,
        address: Ipv4Addr,
        forward: bool,
    ) -> Result<(), Box<dyn Error>> {
        let spec = InterfaceSpec {
            id: InterfaceId(port),
            port: PortId(port),
            table,
            addresses: vec![(address.into(), 24)],
            mtu: 1500,
            forward,
        };
        self.change(Command::SetInterface(Arc::new(spec)))?;
        self.route(table, Prefix::host(address), NextHop::Local)?;
        let connected = NextHop::Interface {
            interface: InterfaceId(port),
            via: None,
        };
        self.route(table, Prefix::new(address, 24), connected)
    }

    fn route(
        &mut self,
        table: TableId,
        prefix: Prefix,
        next_hop: NextHop,
    ) -> Result<(), Box<dyn Error>> {
        self.change(Command::SetRoute {
            table,
            prefix,
            next_hop,
        })
    }

    fn neighbour(&mut self, port: u16, address: Ipv4Addr) -> Result<(), Box<dyn Error>> {
        self.change(Command::SetNeighbour {
            interface: InterfaceId(port),
            address: address.into(),
            mac: neighbour_mac(usize::from(port)),
        })
    }

    /// Has the worker carry out a change.
    fn change(&mut self, command: Command) -> Result<(), Box<dyn Error>> {
        let order = Order::Change(command);
        if self.channel.orders.push(order).is_err() {
            return Err("the worker's ring of orders is full".into());
        }
        self.worker.poll_once(tsc());
        self.changes += 1;
        // Acquire pairs with the worker's release; here both are one thread.
        let applied = self
            .channel
            .applied
            .load(std::sync::atomic::Ordering::Acquire);
        if applied != self.changes {
            return Err("the worker did not carry out a change".into());
        }
        Ok(())
    }
}

/// What the far end writes before its packets on this link of the set, and with which epoch.
pub(crate) fn far_end(kind: SetKind, link: usize) -> (Template, u32) {
    let mut spec = session(kind, link);
    std::mem::swap(&mut spec.local, &mut spec.peer);
    std::mem::swap(&mut spec.local_tunnel, &mut spec.peer_tunnel);
    std::mem::swap(&mut spec.local_session, &mut spec.peer_session);
    (Template::new(&spec).expect("both ends are IPv4"), EPOCH)
}

fn link_table(link: usize) -> TableId {
    TableId(1 + link as u32)
}

fn local(link: usize) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, link as u8, 2)
}

fn gateway(link: usize) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, link as u8, 1)
}

fn via(link: usize) -> NextHop {
    NextHop::Interface {
        interface: InterfaceId(link as u16 + 1),
        via: Some(gateway(link).into()),
    }
}

fn session(kind: SetKind, link: usize) -> SessionSpec {
    let id = kind.session(link);
    let number = id.0 as u16;
    SessionSpec {
        id,
        table: link_table(link),
        local: SocketAddr::new(local(link).into(), 1701),
        peer: SocketAddr::new(Ipv4Addr::new(203, 0, 113, 10).into(), 1701),
        local_tunnel: 0x1000 + number,
        local_session: 0x2000 + number,
        peer_tunnel: 0x3000 + number,
        peer_session: 0x4000 + number,
        payload_table: LAN_TABLE,
        receive: true,
        tcp_mss_fix: true,
        mtu: 1450,
        udp_checksum: kind.udp_checksum,
        address_control: false,
        set: Some(kind.set()),
        speed: None,
        counters: vec![Arc::default()],
        arrivals: vec![Arc::new(Arrivals::new(EPOCH))],
    }
}

fn set(kind: SetKind) -> SetSpec {
    SetSpec {
        id: kind.set(),
        send_epoch: EPOCH,
        next_number: Arc::new(AtomicU64::new(0)),
        owner: 0,
        payload_table: TableId(0),
        ordering: None,
        members: (0..kind.links).map(|link| kind.session(link)).collect(),
        epochs: vec![Epoch::new(EPOCH, WINDOW_NUMBERS)],
        mtu: 1450,
        tcp_mss_fix: true,
        next_best_skew_us: Arc::default(),
        counters: vec![Arc::default()],
    }
}
