use super::*;
use crate::burst::Burst;
use crate::testing::{eal, pool};

fn config(mempool: &Mempool) -> PortConfig {
    PortConfig {
        rx_queues: 1,
        tx_queues: 1,
        rx_descriptors: 512,
        tx_descriptors: 512,
        mempool: mempool.clone(),
        mtu: None,
        promiscuous: true,
        rss: false,
    }
}

#[test]
fn a_ring_pair_carries_frames_both_ways() {
    let eal = eal();
    let pool = pool("ring_pair", 511);
    let (a, b) = eal.ring_pair("both_ways", 1, 64).unwrap();
    let (port, mut rx_a, mut tx_a) = Port::open(eal, a, &config(&pool)).unwrap();
    let (_other, mut rx_b, mut tx_b) = Port::open(eal, b, &config(&pool)).unwrap();
    assert_eq!(port.driver(), "net_ring");
    for (tx, rx, octet, to) in [
        (&mut tx_a[0], &mut rx_b[0], 1, b),
        (&mut tx_b[0], &mut rx_a[0], 2, a),
    ] {
        let mut burst = Burst::new();
        let mut mbuf = pool.alloc().unwrap();
        assert!(mbuf.extend_from_slice(&[octet; 60]));
        burst.push(mbuf).unwrap();
        assert_eq!(tx.tx_burst(&mut burst), 1);
        assert!(burst.is_empty());
        assert_eq!(rx.rx_burst(&mut burst), 1);
        assert_eq!(&burst[0][..], &[octet; 60]);
        assert_eq!(burst[0].port(), to.0);
    }
}
