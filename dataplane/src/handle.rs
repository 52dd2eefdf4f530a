//! What the control thread holds of a running data plane.

mod retired;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dpdk::{Eal, Mbuf, Mempool, Port, tsc_hz};
use netdev::Claim;

use crate::Frame;
use crate::capture::CaptureSpec;
use crate::command::{Command, InterfaceId, PortId, TableId};
use crate::counters::{Drop, PortCounters, SessionCounters, SetCounters};
use crate::event::Event;
use crate::logical_port::RunningLogicalPort;
use crate::worker::run::Thread;
use crate::worker::{Channel, Order};

use retired::Retired;

/// Events handed out in one call, for each worker.
const EVENTS_PER_POLL: usize = 4096;
/// Orders that may wait for room in a ring before packets are refused.
const MAX_WAITING: usize = 4096;
/// The worker that sends the control thread's packets.
const SENDER: usize = 0;

/// A port as it was opened. Of a logical port, hardware address, queues and driver
/// are those of its carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortInfo {
    pub id: PortId,
    pub name: String,
    pub mac: [u8; 6],
    /// Largest IP packet, octets.
    pub mtu: u16,
    pub queues: u16,
    pub driver: String,
}

/// What a port's device counted itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceCounters {
    /// Dropped because the receive queues were full.
    pub receive_missed_packets: u64,
    pub receive_errors: u64,
    /// Not received because no buffer was left.
    pub receive_no_buffer: u64,
    pub send_errors: u64,
}

pub(crate) struct RunningPort {
    pub(crate) info: PortInfo,
    pub(crate) port: Port,
    pub(crate) counters: Vec<Arc<PortCounters>>,
    /// Restores the Linux interface, after the port is closed.
    pub(crate) claim: Option<Claim>,
}

/// A running data plane. Dropping it stops the workers, closes the ports and
/// restores the Linux interfaces, in this order.
pub struct Dataplane {
    /// First, so that they have ended before anything else goes.
    threads: Vec<Thread>,
    channels: Vec<Channel>,
    /// For each worker, orders that its ring had no room for.
    waiting: Vec<VecDeque<Order>>,
    /// Commands given so far.
    commanded: u64,
    retired: Retired,
    /// Buffers for what we send ourselves.
    pool: Mempool,
    /// What became of our own packets before they reached a worker.
    unsent: Arc<PortCounters>,
    ports: Vec<Port>,
    /// For each logical port, the place of the port that carries it in the end.
    devices: Vec<usize>,
    /// Of all ports, the logical ones last.
    infos: Vec<PortInfo>,
    counters: Vec<Vec<Arc<PortCounters>>>,
    /// For each port, its Linux interface if it has one.
    claims: Vec<Option<Claim>>,
    eal: Arc<Eal>,
}

impl Dataplane {
    pub(crate) fn new(
        eal: Arc<Eal>,
        (running, logical): (Vec<RunningPort>, Vec<RunningLogicalPort>),
        channels: Vec<Channel>,
        pool: Mempool,
        threads: Vec<Thread>,
    ) -> Self {
        let mut ports = Vec::new();
        let mut infos = Vec::new();
        let mut counters = Vec::new();
        let mut claims = Vec::new();
        for port in running {
            ports.push(port.port);
            infos.push(port.info);
            counters.push(port.counters);
            claims.push(port.claim);
        }
        let devices = logical.iter().map(|port| port.device).collect();
        for port in logical {
            infos.push(port.info);
            counters.push(port.counters);
        }
        Self {
            threads,
            waiting: channels.iter().map(|_| VecDeque::new()).collect(),
            channels,
            commanded: 0,
            retired: Retired::default(),
            pool,
            unsent: Arc::default(),
            ports,
            devices,
            infos,
            counters,
            claims,
            eal,
        }
    }

    /// All ports, the logical ones last.
    #[must_use]
    pub fn ports(&self) -> &[PortInfo] {
        &self.infos
    }

    #[must_use]
    pub fn workers(&self) -> usize {
        self.channels.len()
    }

    #[must_use]
    pub fn uses_hugepages(&self) -> bool {
        self.eal.uses_hugepages()
    }

    /// DPDK's name and version.
    #[must_use]
    pub fn dpdk_version(&self) -> String {
        self.eal.version()
    }

    /// Whether every worker still runs. A worker that panicked takes its
    /// queues with it: the process should end.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.threads.iter().all(Thread::is_running)
    }

    /// Has every worker change its tables, in the order of the calls, and
    /// gives the command's number for [`Self::applied`]. Never lost: what
    /// finds no room waits here and is tried again in [`Self::poll`].
    pub fn command(&mut self, command: Command) -> u64 {
        self.commanded += 1;
        self.retired.replace(&command, self.commanded);
        for worker in 0..self.channels.len() {
            self.order(worker, Order::Change(command.clone()));
        }
        self.commanded
    }

    /// Has every worker note the frames of these ports, and so many octets of each at
    /// most, from here on; all ports when none is named. A capture that is on ends.
    /// What was noted comes out of the taps.
    pub fn start_capture(&mut self, ports: &[PortId], snap_octets: u16) -> Arc<CaptureSpec> {
        let mut wanted = vec![ports.is_empty(); self.infos.len()];
        for &port in ports {
            if let Some(wanted) = wanted.get_mut(self.device(port)) {
                *wanted = true;
            }
        }
        let tsc_hz = tsc_hz(&self.eal);
        let spec = Arc::new(CaptureSpec::new(
            wanted,
            snap_octets,
            self.channels.len(),
            tsc_hz,
        ));
        self.command(Command::Capture(Some(Arc::clone(&spec))));
        spec
    }

    /// Ends the capture that is on.
    pub fn end_capture(&mut self) {
        self.command(Command::Capture(None));
    }

    /// Every worker has carried out all commands up to this number.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.channels
            .iter()
            // Acquire: what the workers did before is done.
            .map(|channel| channel.applied.load(Ordering::Acquire))
            .min()
            .unwrap_or(0)
    }

    /// Routes an IP packet of our own in a table, after all earlier commands.
    pub fn send_ip(&mut self, table: TableId, packet: &[u8]) {
        if let Some(packet) = self.buffer(packet) {
            self.order(SENDER, Order::SendIp { table, packet });
        }
    }

    /// Sends a whole Ethernet frame (without FCS) on a port. A logical port adds what
    /// stands around its frames, but one of PPPoE nothing to frames of PPPoE.
    pub fn send_frame(&mut self, port: PortId, frame: &[u8]) {
        if let Some(frame) = self.buffer(frame) {
            self.order(SENDER, Order::SendFrame { port, frame });
        }
    }

    /// Sends an IP packet to the neighbour with this hardware address.
    pub fn send_on_interface(&mut self, interface: InterfaceId, mac: [u8; 6], packet: &[u8]) {
        if let Some(packet) = self.buffer(packet) {
            let order = Order::SendOnInterface {
                interface,
                mac,
                packet,
            };
            self.order(SENDER, order);
        }
    }

    /// A buffer with these octets; `None`, counted, when it cannot be had.
    fn buffer(&self, octets: &[u8]) -> Option<Mbuf> {
        let refused = |reason| {
            self.unsent.received_packets.add(1);
            self.unsent.drops.add(reason, 1);
            None
        };
        if self.waiting[SENDER].len() >= MAX_WAITING {
            return refused(Drop::TxRingFull);
        }
        let filled = self
            .pool
            .alloc()
            .and_then(|mut buffer| buffer.extend_from_slice(octets).then_some(buffer));
        filled.or_else(|| refused(Drop::NoBuffer))
    }

    fn order(&mut self, worker: usize, order: Order) {
        let waiting = &mut self.waiting[worker];
        // Behind those that wait already.
        if !waiting.is_empty() {
            waiting.push_back(order);
        } else if let Err(order) = self.channels[worker].orders.push(order) {
            waiting.push_back(order);
        }
    }

    /// Hands out what the workers told since the last call, and does what is
    /// due: orders that waited, old values that may go. Returns the number of
    /// events.
    pub fn poll(&mut self, handler: &mut dyn FnMut(Event<Frame>)) -> usize {
        for (waiting, channel) in self.waiting.iter_mut().zip(&self.channels) {
            while let Some(order) = waiting.pop_front() {
                if let Err(order) = channel.orders.push(order) {
                    waiting.push_front(order);
                    break;
                }
            }
        }
        self.retired.release(self.applied());
        let mut count = 0;
        for channel in &self.channels {
            for _ in 0..EVENTS_PER_POLL {
                let Some(event) = channel.events.pop() else {
                    break;
                };
                handler(event);
                count += 1;
            }
        }
        count
    }

    /// Whether the port's link is up, of a logical port its carrier's; false when there is no such port. The
    /// workers take every port as up until [`Command::SetPortLink`] says
    /// otherwise. Linux says so up to a second after the carrier came.
    #[must_use]
    pub fn link_up(&self, port: PortId) -> bool {
        let index = self.device(port);
        let claim = self.claims.get(index).and_then(Option::as_ref);
        self.ports.get(index).is_some_and(Port::link_up) && claim.is_none_or(Claim::link_up)
    }

    /// The place of the port's device.
    fn device(&self, port: PortId) -> usize {
        let port = usize::from(port.0);
        let logical = port.checked_sub(self.ports.len());
        let device = logical.and_then(|place| self.devices.get(place));
        device.copied().unwrap_or(port)
    }

    /// A port's counters, one for each worker; none when there is no such port.
    #[must_use]
    pub fn port_counters(&self, port: PortId) -> &[Arc<PortCounters>] {
        self.counters
            .get(usize::from(port.0))
            .map_or(&[], Vec::as_slice)
    }

    /// What became of the packets that the control thread sent.
    #[must_use]
    pub fn control_counters(&self) -> Vec<Arc<PortCounters>> {
        self.channels
            .iter()
            .map(|channel| &channel.injected)
            .chain([&self.unsent])
            .cloned()
            .collect()
    }

    /// What the port's device counted; zeros when there is no such port, or it is a logical one.
    #[must_use]
    pub fn device_counters(&self, port: PortId) -> DeviceCounters {
        let Some(port) = self.ports.get(usize::from(port.0)) else {
            return DeviceCounters::default();
        };
        let stats = port.stats();
        DeviceCounters {
            receive_missed_packets: stats.rx_missed,
            receive_errors: stats.rx_errors,
            receive_no_buffer: stats.rx_no_mbuf,
            send_errors: stats.tx_errors,
        }
    }

    /// Counters for [`crate::command::SessionSpec`], one for each worker.
    #[must_use]
    pub fn new_session_counters(&self) -> Vec<Arc<SessionCounters>> {
        self.channels.iter().map(|_| Arc::default()).collect()
    }

    /// Counters for [`crate::command::SetSpec`], one for each worker.
    #[must_use]
    pub fn new_set_counters(&self) -> Vec<Arc<SetCounters>> {
        self.channels.iter().map(|_| Arc::default()).collect()
    }

    /// Stops the workers, closes the ports and restores the Linux interfaces.
    pub fn stop(mut self) {
        self.threads.clear();
        self.ports.clear();
        self.claims.clear();
    }
}
