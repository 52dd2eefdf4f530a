//! Workers with their ends of in-process wires, and the tester's side of them.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dataplane::command::Command;
use dataplane::worker::{Channel, Order, Parts, Worker, fragment_table};
use dpdk::{Eal, Mempool, tsc, tsc_hz};

use crate::network::{Network, PORTS, Remote, mac};
use crate::wire::Wire;

const BUFFERS: u32 = 8192;
const BUFFER_CACHE: u32 = 512;
const BUFFER_OCTETS: u16 = 2048 + dpdk::HEADROOM_OCTETS;

/// Where frames are made: all beds take turns with the same.
#[derive(Clone)]
pub(crate) struct Pools {
    /// The tester's.
    pub(crate) frames: Mempool,
    /// The workers'.
    pub(crate) copies: Mempool,
}

impl Pools {
    pub(crate) fn new(eal: &Arc<Eal>) -> Result<Self, Box<dyn Error>> {
        let pool = |name| Mempool::new(eal, name, BUFFERS, BUFFER_CACHE, BUFFER_OCTETS);
        Ok(Self {
            frames: pool("frames")?,
            copies: pool("copies")?,
        })
    }
}

/// One worker, and what stands around it.
pub(crate) struct Bed {
    pub(crate) worker: Worker,
    pub(crate) feed: Feed,
    pub(crate) remotes: Vec<Remote>,
    channel: Channel,
}

/// The tester's side: what it makes frames with, and where it sends them.
pub(crate) struct Feed {
    pub(crate) frames: Mempool,
    /// The LAN first, then the uplinks.
    pub(crate) wires: Vec<Wire>,
    /// The far ends' next numbers, for each remote.
    numbers: Vec<u64>,
    dice: u64,
}

impl Feed {
    pub(crate) fn new(frames: Mempool, wires: Vec<Wire>, remotes: usize) -> Self {
        Self {
            frames,
            wires,
            numbers: vec![0; remotes],
            dice: 1,
        }
    }

    /// So many consecutive numbers of a remote: the first of them.
    pub(crate) fn take_numbers(&mut self, remote: usize, count: u64) -> u64 {
        let Some(next) = self.numbers.get_mut(remote) else {
            return 0;
        };
        *next += count;
        *next - count
    }

    /// A number below `count`, by xorshift: the same series in every run.
    pub(crate) fn draw(&mut self, count: usize) -> usize {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        ((u128::from(self.dice) * count as u128) >> 64) as usize
    }
}

impl Bed {
    /// Makes the worker of this index of a network's workers, and tells it everything. The name is for DPDK.
    pub(crate) fn new(
        eal: &Arc<Eal>,
        name: &str,
        pools: &Pools,
        network: &Network,
        index: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let (mut wires, mut ports) = (Vec::new(), Vec::new());
        for port in 0..PORTS {
            let (wire, end) = Wire::new(eal, &format!("{name}{port}"), mac(port), &pools.frames)?;
            wires.push(wire);
            ports.push(end);
        }
        let channel = Channel::new(256, 256);
        let worker = Worker::new(Parts {
            index,
            workers: network.workers,
            ports,
            logical_ports: network.logical_ports(),
            copies: pools.copies.clone(),
            inboxes: network.inboxes.clone(),
            fragments: fragment_table(eal, tsc_hz(eal))?,
            reassembly_pieces: 256,
            ordered_packets: 256,
            tsc_hz: tsc_hz(eal),
            channel: channel.clone(),
        });
        let mut bed = Self {
            worker,
            feed: Feed::new(pools.frames.clone(), wires, network.remotes.len()),
            remotes: network.remotes.clone(),
            channel,
        };
        bed.tell(network.commands())?;
        Ok(bed)
    }

    /// Events of the worker to the control thread, of which there should be none.
    pub(crate) fn events(&self) -> usize {
        self.channel.events.len()
    }

    /// Has the worker carry out commands.
    fn tell(&mut self, commands: Vec<Command>) -> Result<(), Box<dyn Error>> {
        let count = commands.len() as u64;
        for command in commands {
            let order = Order::Change(command);
            if self.channel.orders.push(order).is_err() {
                return Err("the worker's ring of orders is full".into());
            }
            self.worker.poll_once(tsc());
        }
        // Acquire pairs with the worker's release; here both are one thread.
        if self.channel.applied.load(Ordering::Acquire) != count {
            return Err("the worker did not carry out all changes".into());
        }
        Ok(())
    }
}
