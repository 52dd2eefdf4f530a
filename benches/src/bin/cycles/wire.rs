//! One end of in-process wires: the tester's side of the worker's ports.

use std::error::Error;
use std::sync::Arc;

use dataplane::worker::{HandOver, Outlet, WorkerPort};
use dpdk::{Burst, Eal, Mempool, Port, PortConfig, RxQueue, TxQueue};

const RING_FRAMES: u32 = 1023;

/// The tester's end of one port of the worker.
pub(crate) struct Wire {
    receive: RxQueue,
    send: TxQueue,
    /// Both ends stay open as long as this.
    _ports: [Port; 2],
}

impl Wire {
    /// Makes a wire, and the worker's end of it.
    pub(crate) fn new(
        eal: &Arc<Eal>,
        name: &str,
        mac: [u8; 6],
        buffers: &Mempool,
    ) -> Result<(Self, WorkerPort), Box<dyn Error>> {
        let (near, far) = eal.ring_pair(name, 1, RING_FRAMES)?;
        let config = PortConfig {
            rx_queues: 1,
            tx_queues: 1,
            rx_descriptors: 1024,
            tx_descriptors: 1024,
            mempool: buffers.clone(),
            mtu: None,
            promiscuous: true,
            rss: false,
        };
        let (near, near_receive, near_send) = Port::open(eal, near, &config)?;
        let (far, far_receive, far_send) = Port::open(eal, far, &config)?;
        let port = WorkerPort {
            mac,
            up: true,
            receive: near_receive,
            send: Outlet::Own {
                queue: only(near_send)?,
                handed_over: Arc::new(HandOver::new(1)),
            },
            counters: Arc::default(),
            cut_octets: None,
            fills_in_checksums: false,
        };
        let wire = Self {
            receive: only(far_receive)?,
            send: only(far_send)?,
            _ports: [near, far],
        };
        Ok((wire, port))
    }

    /// Sends a burst to the worker. False when the ring did not take all.
    pub(crate) fn send(&mut self, burst: &mut Burst) -> bool {
        self.send.tx_burst(burst);
        burst.is_empty()
    }

    /// Frees what the worker has sent, and says how many frames and octets that was.
    pub(crate) fn drain(&mut self) -> (u64, u64) {
        let (mut frames, mut octets) = (0, 0);
        let mut burst = Burst::new();
        while self.receive.rx_burst(&mut burst) > 0 {
            frames += burst.len() as u64;
            octets += burst.iter().map(|frame| frame.len() as u64).sum::<u64>();
            burst.clear();
        }
        (frames, octets)
    }
}

fn only<T>(queues: Vec<T>) -> Result<T, &'static str> {
    queues.into_iter().next().ok_or("a port without a queue")
}
