//! One worker: it polls its queues of every port and carries each packet all
//! the way, a burst at a time. It owns its tables; nothing here locks,
//! allocates per packet, logs or reads a clock.
//!
//! The walk of a packet: `receive` looks at the Ethernet and IP headers,
//! `l2tp` takes tunnels apart and `plain` the usual messages of single sessions, `elimination` finds the first copies, `receive_mixed` those of bursts of many sessions, `forward` routes
//! what no `shortcut` leads to,
//! `outgoing` collects what goes to sets, `send` numbers and replicates what is for one, `send_mixed` what is for many, with
//! the headers of `encapsulate` or prebuilt ones, `io` has the TX rings and
//! the way to the control thread. What only one worker can do for a set, its
//! `owner` does; the others hand it over by the `inbox` of that worker. `capture` looks
//! on, if anybody wants to know.

mod candidates;
mod capture;
mod dhcp;
mod echo;
mod elimination;
mod encapsulate;
mod family;
mod forward;
mod fragments;
mod inbox;
mod io;
mod l2tp;
mod logical;

mod order;
mod outgoing;
mod owner;
mod plain;
mod police;
mod prefetch;
mod receive;
mod receive_mixed;
pub(crate) mod run;
mod send;
mod send_mixed;
mod shortcut;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::queue::ArrayQueue;
use dpdk::{BURST, FragmentTable, Mbuf, Mempool, RxQueue};

use crate::Frame;
use crate::command::{Command, InterfaceId, PortId, TableId};
use crate::config::Encapsulation;
use crate::counters::{Drop, PortCounters};
use crate::event::Event;
use crate::headers::ethernet::{self, Ethernet};
use crate::headers::ha_frame::Identifications;
use crate::headers::routable::FrameStart;
use crate::headers::{ipv4, ipv6};
use crate::reassembly::{Limits, MAX_PIECES, Reassembly};
use crate::ring;
use crate::tables::{PortState, Tables};
use crate::tx_ring::TxRing;
use crate::window::Access;

use candidates::Candidates;
use forward::Origin;
use inbox::{Handed, Mail};
use io::Io;
use logical::WayIn;
use outgoing::Outgoing;
use owner::Piece;
use receive_mixed::Mixture;
use send::Common;

/// Orders carried out between two looks at the ports.
const ORDERS_PER_POLL: usize = 64;

/// How long a packet's pieces wait for each other, or its fragments, seconds:
/// above the worst difference in delay between two links.
const REASSEMBLY_TIMEOUT_S: u64 = 2;

pub use crate::tx_ring::{HandOver, Outlet};
pub(crate) use fragments::MAX_FRAGMENTS;
pub use fragments::fragment_table;
pub use inbox::Inbox;
pub use logical::LogicalPort;
pub(crate) use police::OfSession;

/// What the control thread asks of one worker.
#[derive(Debug)]
pub enum Order {
    /// A change to the tables. Only these are counted as applied.
    Change(Command),
    /// Route an IP packet of the control thread's own; its TTL or hop limit stays.
    SendIp { table: TableId, packet: Mbuf },
    /// Send a whole frame.
    SendFrame { port: PortId, frame: Mbuf },
    /// Send an IP packet to a neighbour.
    SendOnInterface {
        interface: InterfaceId,
        mac: [u8; 6],
        packet: Mbuf,
    },
}

/// The rings and numbers that a worker shares with the control thread.
#[derive(Clone, Debug)]
pub struct Channel {
    pub orders: Arc<ArrayQueue<Order>>,
    pub events: Arc<ArrayQueue<Event<Frame>>>,
    /// How many changes the worker has carried out.
    pub applied: Arc<AtomicU64>,
    /// What became of packets that the control thread sent.
    pub injected: Arc<PortCounters>,
}

impl Channel {
    #[must_use]
    pub fn new(orders: usize, events: usize) -> Self {
        Self {
            orders: Arc::new(ArrayQueue::new(orders)),
            events: Arc::new(ArrayQueue::new(events)),
            applied: Arc::default(),
            injected: Arc::default(),
        }
    }
}

/// A worker's part of one port.
pub struct WorkerPort {
    pub mac: [u8; 6],
    pub up: bool,
    pub receive: Vec<RxQueue>,
    pub send: Outlet,
    pub counters: Arc<PortCounters>,
    /// Frames of this length or more may have been cut by the driver.
    pub cut_octets: Option<u16>,
    /// The port fills in IPv4 header and UDP checksums of outgoing frames when asked.
    pub fills_in_checksums: bool,
}

/// What a worker is made of.
pub struct Parts {
    /// Which of the workers it is, from 0, and of how many.
    pub index: usize,
    pub workers: usize,
    pub ports: Vec<WorkerPort>,
    /// Behind the ports, in the order of their ids.
    pub logical_ports: Vec<LogicalPort>,
    /// Where copies and fragments are made. Its buffers bound the packets that are put together.
    pub copies: Mempool,
    /// What workers hand to each other; one for each, in their order.
    pub inboxes: Vec<Arc<Inbox>>,
    /// Where fragments of packets to us wait: see [`fragment_table`].
    pub fragments: FragmentTable,
    /// Pieces, each in a buffer of its own, that may wait for the others of their packets.
    pub reassembly_pieces: usize,
    /// Packets that may wait for those before them, where order is asked for.
    pub ordered_packets: usize,
    /// How fast the time stamp counter runs.
    pub tsc_hz: u64,
    pub channel: Channel,
}

/// A worker's part of a port's receiving side.
struct Receive {
    queues: Vec<RxQueue>,
    mac: [u8; 6],
    /// What frames with packets to route begin with.
    routable_start: FrameStart,
    cut_octets: Option<u16>,
    /// Its bursts are inspected first: there are logical ports on it, or somebody looks on.
    inspected: bool,
    /// Whether they are taken copy by copy.
    mixture: Mixture,
}

impl Receive {
    /// Of a logical port on this one: frames come from its carrier alone.
    fn of_logical(&self, encapsulation: Encapsulation, inspected: bool) -> Self {
        let octets = encapsulation.octets() as u16;
        Self {
            queues: Vec::new(),
            mac: self.mac,
            routable_start: self.routable_start,
            cut_octets: self.cut_octets.map(|cut| cut.saturating_sub(octets)),
            inspected,
            mixture: Mixture::Perhaps,
        }
    }
}

/// One worker, to be polled without end by one thread.
pub struct Worker {
    tables: Tables,
    /// Of all ports: those of devices, which are so many, then the logical ones.
    receive: Vec<Receive>,
    devices: usize,
    way_in: WayIn,
    io: Io,
    channel: Channel,
    applied: u64,
    copies: Mempool,
    /// Who marks numbers in the windows beside this worker.
    access: Access,
    /// HA data of the current burst that waits for its verdict.
    candidates: Candidates,
    mail: Mail,
    fragments: FragmentTable,
    /// What other workers had no room for.
    refused: Vec<Handed>,
    order: order::Order,
    reassembly: Reassembly<Piece>,
    /// The pieces of one packet, when they are all there.
    whole: Vec<Piece>,
    /// Packets of the current burst that wait for their numbers.
    outgoing: Outgoing,
    common: Box<Common>,
    identification: Identification,
}

impl Worker {
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let mut states: Vec<PortState> = parts.ports.iter().map(PortState::of_device).collect();
        let devices = parts.ports.len();
        let way_in = WayIn::new(devices, &parts.logical_ports);
        let mut receive: Vec<Receive> = Vec::with_capacity(devices + parts.logical_ports.len());
        let mut outlets = Vec::with_capacity(devices);
        for port in parts.ports {
            receive.push(Receive {
                queues: port.receive,
                mac: port.mac,
                routable_start: port.mac.into(),
                cut_octets: port.cut_octets,
                inspected: way_in.carries(receive.len()),
                mixture: Mixture::Perhaps,
            });
            outlets.push((TxRing::new(port.send, port.up), port.counters));
        }
        for port in &parts.logical_ports {
            let carries = way_in.carries(receive.len());
            let on_carrier = receive[port.carrier].of_logical(port.encapsulation, carries);
            receive.push(on_carrier);
            states.push(states[port.carrier].of_logical(port));
        }
        Self {
            tables: Tables::new(parts.index, states),
            receive,
            devices,
            way_in,
            io: Io::new(outlets, &parts.logical_ports, &parts.channel, parts.tsc_hz),
            channel: parts.channel,
            applied: 0,
            copies: parts.copies,
            access: if parts.workers == 1 {
                Access::Alone
            } else {
                Access::Shared
            },
            candidates: Candidates::new(),
            mail: Mail::new(parts.index, parts.inboxes),
            fragments: parts.fragments,
            refused: Vec::with_capacity(BURST * parts.workers),
            order: order::Order::new(parts.ordered_packets, parts.tsc_hz),
            reassembly: Reassembly::new(Limits {
                pieces: parts.reassembly_pieces,
                timeout_ticks: REASSEMBLY_TIMEOUT_S * parts.tsc_hz,
            }),
            whole: Vec::with_capacity(MAX_PIECES),
            outgoing: Outgoing::new(),
            common: Box::new(Common::new()),
            identification: Identification::new(parts.index, parts.workers),
        }
    }

    /// Carries out orders, takes one burst from each queue all the way, and
    /// sends. `now` is the time stamp counter. Returns how much there was to
    /// do: 0 when idle.
    // A name for profilers.
    #[inline(never)]
    pub fn poll_once(&mut self, now: u64) -> usize {
        simd::run(Poll { worker: self, now })
    }

    #[inline(always)]
    fn poll(&mut self, now: u64) -> usize {
        self.io.now = now;
        let mut work = self.carry_out_orders() + self.receive_mail();
        for port in 0..self.devices {
            work += self.receive_port(port);
        }
        if self.io.witness.is_on() {
            self.io.witness.settle(now, self.io.tsc_hz);
        }
        work + self.io.send_all()
    }

    fn carry_out_orders(&mut self) -> usize {
        let mut count = 0;
        while count < ORDERS_PER_POLL {
            let Some(order) = ring::pop(&self.channel.orders) else {
                break;
            };
            count += 1;
            match order {
                Order::Change(command) => self.change(command),
                Order::SendIp { table, packet } => self.send_ip(table, packet),
                Order::SendFrame { port, frame } => self.send_frame(port, frame),
                Order::SendOnInterface {
                    interface,
                    mac,
                    packet,
                } => self.send_on_interface(interface, mac, packet),
            }
        }
        if count > 0 {
            self.number_all();
        }
        count
    }

    fn change(&mut self, command: Command) {
        self.prepare_order(&command);
        // What was routed before the change goes by what was true then.
        self.number_all();
        match command {
            Command::SetPortLink { port, up } => self.io.set_port_up(port.0.into(), up),
            Command::SetPppoe { port, session } => {
                self.io.set_pppoe(port.0.into(), session);
                self.way_in.set_pppoe(port.0.into(), session);
            }
            Command::Capture(ref spec) => self.set_capture(spec.clone()),
            _ => {}
        }
        self.tables.apply(command);
        self.applied += 1;
        // Release: who sees the number sees the tables' old values let go.
        self.channel.applied.store(self.applied, Ordering::Release);
    }

    fn send_ip(&mut self, table: TableId, mut packet: Mbuf) {
        let origin = Origin::control(self.io.control());
        self.io.received(origin.source, packet.len());
        let table = self.tables.table_slot(table);
        let parsed = match ethernet::ether_type_of(&packet) {
            ethernet::ETHER_TYPE_IPV6 => ipv6::parse(&packet).map(|header| header.total_octets),
            _ => ipv4::parse(&packet).map(|header| header.total_octets),
        };
        match parsed {
            Err(reason) => self.io.drop(origin.source, reason),
            Ok(total_octets) => {
                keep(&mut packet, 0..total_octets);
                self.forward_checked(packet, table, &origin);
            }
        }
    }

    fn send_frame(&mut self, port: PortId, frame: Mbuf) {
        self.io.received(self.io.control(), frame.len());
        let port = usize::from(port.0);
        if port >= self.receive.len() {
            self.io.drop(self.io.control(), Drop::NoInterface);
            return;
        }
        self.io.push(port, frame);
    }

    fn send_on_interface(&mut self, interface: InterfaceId, mac: [u8; 6], mut packet: Mbuf) {
        self.io.received(self.io.control(), packet.len());
        let Some(port) = self.tables.interface_port(interface) else {
            self.io.drop(self.io.control(), Drop::NoInterface);
            return;
        };
        let port = usize::from(port.0);
        let header = Ethernet {
            destination: mac,
            source: self.receive[port].mac,
            ether_type: ethernet::ether_type_of(&packet),
        };
        let Some(octets) = packet.prepend(ethernet::HEADER_OCTETS) else {
            self.io.drop(self.io.control(), Drop::NoBuffer);
            return;
        };
        header.write(octets);
        self.io.push(port, packet);
    }
}

/// A worker's round, for the processor at hand: what is inlined into it is
/// compiled for each kind.
struct Poll<'a> {
    worker: &'a mut Worker,
    now: u64,
}

impl simd::Work for Poll<'_> {
    type Output = usize;

    #[inline(always)]
    fn run(self) -> usize {
        self.worker.poll(self.now)
    }
}

/// Keeps these octets of a packet, which are in it, and cuts the others off.
#[inline(always)]
fn keep(packet: &mut Mbuf, range: Range<usize>) {
    let kept = packet.keep(range);
    debug_assert!(kept, "the range was checked against the packet");
}

/// IPv4 identifications of outer packets: a series of its own for each worker,
/// so that no two packets at about the same time have the same one (RFC 6864).
struct Identification {
    next: u16,
    step: u16,
}

impl Identification {
    fn new(worker: usize, workers: usize) -> Self {
        Self {
            next: worker as u16,
            step: workers.max(1) as u16,
        }
    }

    #[inline]
    fn take(&mut self) -> u16 {
        let identification = self.next;
        self.next = identification.wrapping_add(self.step);
        identification
    }

    /// So many at once.
    #[inline(always)]
    fn take_many(&mut self, count: usize) -> Identifications {
        let (first, step) = (self.next, self.step);
        self.next = first.wrapping_add(step.wrapping_mul(count as u16));
        Identifications { first, step }
    }
}
