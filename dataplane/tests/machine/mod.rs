//! The workers of one data plane, their ports wired to the test: the test is
//! whatever is on the other ends, and says when a worker runs and what time it is.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use dataplane::command::{Command, InterfaceId, NextHop, Prefix, TableId};
use dataplane::counters::{Drop, PortCounters};
use dataplane::event::Event;
use dataplane::worker::{
    Channel, HandOver, Inbox, LogicalPort, Order, Outlet, Parts, Worker, WorkerPort, fragment_table,
};
use dataplane::{Encapsulation, Frame};
use dpdk::{Burst, Eal, EalConfig, HugePages, Mbuf, Mempool, Port, PortConfig, RxQueue, TxQueue};

/// A tick is a nanosecond.
pub(crate) const TSC_HZ: u64 = 1_000_000_000;

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
pub(crate) fn pool_of(count: u32, octets: u16) -> Mempool {
    let name = format!("pool{}", unique());
    Mempool::new(eal(), &name, count, 0, octets + dpdk::HEADROOM_OCTETS).expect("memory")
}

/// What a machine is made of.
pub(crate) struct Shape<'a> {
    pub(crate) workers: usize,
    /// Of its ports.
    pub(crate) macs: &'a [[u8; 6]],
    /// Of its logical ports: carrier and encapsulation.
    pub(crate) logical_ports: &'a [(usize, Encapsulation)],
    /// Frames that a queue of a wire holds.
    pub(crate) ring_depth: u32,
    /// Where frames come in, and where the test makes them.
    pub(crate) pool: Mempool,
    /// Where the workers make them.
    pub(crate) copies: Mempool,
    pub(crate) reassembly_pieces: usize,
    pub(crate) ordered_packets: usize,
    /// The ports are said to fill in checksums.
    pub(crate) fills_in_checksums: bool,
    /// No worker has a queue to send on: all goes into this ring.
    pub(crate) hand_over: Option<Arc<HandOver>>,
}

/// The test's end of a port: a queue pair for each worker.
pub(crate) struct Wire {
    receive: Vec<RxQueue>,
    send: Vec<TxQueue>,
    _ports: [Port; 2],
}

pub(crate) struct Machine {
    pub(crate) workers: Vec<Worker>,
    pub(crate) channels: Vec<Channel>,
    pub(crate) wires: Vec<Wire>,
    /// By port, then by worker; the logical ports last.
    pub(crate) counters: Vec<Vec<Arc<PortCounters>>>,
    pub(crate) pool: Mempool,
}

impl Machine {
    pub(crate) fn new(shape: &Shape<'_>) -> Self {
        let workers = shape.workers;
        let inboxes = Inbox::for_workers(workers);
        let channels: Vec<Channel> = (0..workers).map(|_| Channel::new(1024, 2048)).collect();
        let mut shares: Vec<Vec<WorkerPort>> = (0..workers).map(|_| Vec::new()).collect();
        let mut wires = Vec::new();
        let mut all_counters = Vec::new();
        for &mac in shape.macs {
            let (wire, ends) = wire(shape);
            let counters: Vec<Arc<PortCounters>> = (0..workers).map(|_| Arc::default()).collect();
            for (worker, (receive, send)) in ends.into_iter().enumerate() {
                shares[worker].push(WorkerPort {
                    mac,
                    up: true,
                    receive: vec![receive],
                    send: match &shape.hand_over {
                        Some(ring) => Outlet::HandOver(Arc::clone(ring)),
                        None => Outlet::Own {
                            queue: send,
                            handed_over: Arc::new(HandOver::new(2)),
                        },
                    },
                    counters: Arc::clone(&counters[worker]),
                    cut_octets: Some(1800),
                    fills_in_checksums: shape.fills_in_checksums,
                });
            }
            all_counters.push(counters);
            wires.push(wire);
        }
        for _ in shape.logical_ports {
            all_counters.push((0..workers).map(|_| Arc::default()).collect());
        }
        let logical_ports = |worker: usize| {
            let of_ports = &all_counters[shape.macs.len()..];
            let ports = shape.logical_ports.iter().zip(of_ports);
            let port = |(&(carrier, encapsulation), counters): (_, &Vec<_>)| LogicalPort {
                carrier,
                encapsulation,
                counters: Arc::clone(&counters[worker]),
            };
            ports.map(port).collect()
        };
        let made = shares.into_iter().enumerate().map(|(index, ports)| {
            Worker::new(Parts {
                index,
                workers,
                ports,
                logical_ports: logical_ports(index),
                copies: shape.copies.clone(),
                inboxes: inboxes.clone(),
                fragments: fragment_table(eal(), TSC_HZ).expect("memory"),
                reassembly_pieces: shape.reassembly_pieces,
                ordered_packets: shape.ordered_packets,
                tsc_hz: TSC_HZ,
                channel: channels[index].clone(),
            })
        });
        let workers = made.collect();
        Self {
            workers,
            channels,
            wires,
            counters: all_counters,
            pool: shape.pool.clone(),
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

    /// A buffer with these octets.
    pub(crate) fn buffer(&self, octets: &[u8]) -> Mbuf {
        let mut buffer = self.pool.alloc().expect("a buffer");
        assert!(buffer.extend_from_slice(octets));
        buffer
    }

    /// Puts a frame on the wire to a worker's queue of a port.
    pub(crate) fn offer(&mut self, port: usize, worker: usize, frame: &[u8]) {
        let frame = self.buffer(frame);
        self.offer_buffer(port, worker, frame);
    }

    /// The same of a frame in a buffer.
    pub(crate) fn offer_buffer(&mut self, port: usize, worker: usize, frame: Mbuf) {
        let mut burst = Burst::new();
        burst.push(frame).expect("room in a new burst");
        let sent = self.wires[port].send[worker].tx_burst(&mut burst);
        assert_eq!(sent, 1, "room on the wire");
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

    pub(crate) fn events(&mut self) -> Vec<Event<Frame>> {
        let pop = |channel: &Channel| std::iter::from_fn(|| channel.events.pop()).collect();
        self.channels
            .iter()
            .flat_map(|channel| -> Vec<_> { pop(channel) })
            .collect()
    }

    /// How often a port gave this reason.
    pub(crate) fn drops(&self, port: usize, reason: Drop) -> u64 {
        let of_port = self.counters[port].iter();
        of_port.map(|counters| counters.drops.read(reason)).sum()
    }
}

/// A wire, and the workers' ends of it.
fn wire(shape: &Shape<'_>) -> (Wire, Vec<(RxQueue, TxQueue)>) {
    let queues = shape.workers as u16;
    let name = format!("wire{}", unique());
    let (near, far) = eal()
        .ring_pair(&name, queues, shape.ring_depth)
        .expect("a ring pair");
    let config = PortConfig {
        rx_queues: queues,
        tx_queues: queues,
        rx_descriptors: 1024,
        tx_descriptors: 1024,
        mempool: shape.pool.clone(),
        mtu: None,
        promiscuous: false,
        rss: false,
    };
    let (near, near_receive, near_send) = Port::open(eal(), near, &config).expect("near");
    let (far, receive, send) = Port::open(eal(), far, &config).expect("far");
    let wire = Wire {
        receive,
        send,
        _ports: [near, far],
    };
    (wire, near_receive.into_iter().zip(near_send).collect())
}
