//! What receiving and sending a packet costs, in cycles of the time stamp counter:
//! bursts from one net_null port to another, and single buffers from a pool.
//!
//!     cargo run --release -p dpdk --example cycles [octets of a frame]

use std::error::Error;
use std::hint::black_box;

use dpdk::{BURST, Burst, Eal, EalConfig, Mempool, Port, PortConfig, lcore, tsc, tsc_hz};

const ROUNDS: usize = 21;
const BURSTS: u64 = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    let octets: u16 = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => 64,
    };
    let eal = Eal::init(&EalConfig::default())?;
    let _lcore = lcore::register(None)?;
    let mempool = Mempool::new(&eal, "packets", 8191, 256, 2176)?;
    let config = PortConfig {
        rx_queues: 1,
        tx_queues: 1,
        rx_descriptors: 512,
        tx_descriptors: 512,
        mempool: mempool.clone(),
        mtu: None,
        promiscuous: true,
        rss: false,
    };
    let open = |name: &str| {
        let id = eal.attach_vdev(name, &format!("size={octets},copy=1"))?;
        Port::open(&eal, id, &config)
    };
    let (_port, mut rx, _) = open("net_null0")?;
    let (_other, _, mut tx) = open("net_null1")?;
    let (rx, tx) = (&mut rx[0], &mut tx[0]);
    let mut burst = Burst::new();
    println!(
        "{}, hugepages: {}, {} MHz, frames of {octets} octets",
        eal.version(),
        eal.uses_hugepages(),
        tsc_hz(&eal) / 1_000_000
    );
    measure("receive and send", || {
        rx.rx_burst(&mut burst);
        tx.tx_burst(&mut burst);
    });
    measure("the same, 50 octets put in front", || {
        rx.rx_burst(&mut burst);
        for mbuf in &mut burst {
            if let Some(header) = mbuf.prepend(50) {
                header.copy_from_slice(black_box(&[0xa5; 50]));
            }
        }
        tx.tx_burst(&mut burst);
    });
    measure("take from the pool and free", || {
        let _ = mempool.alloc_bulk(&mut burst, BURST);
        burst.clear();
    });
    Ok(())
}

/// Prints the least and the median cost per packet of a step that handles one burst.
fn measure(what: &str, mut step: impl FnMut()) {
    let mut cycles: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = tsc();
            for _ in 0..BURSTS {
                step();
            }
            (tsc() - start) as f64 / (BURSTS * BURST as u64) as f64
        })
        .collect();
    cycles.sort_by(f64::total_cmp);
    println!(
        "{what}: {:.1} / {:.1} cycles per packet",
        cycles[0],
        cycles[ROUNDS / 2]
    );
}
