use super::*;
use crate::burst::{BURST, Burst};
use crate::testing::{eal, pool, port_config};

#[test]
fn a_ring_pair_carries_frames_both_ways_on_every_queue() {
    let eal = eal();
    let pool = pool("port_ring", 63);
    let (a, b) = eal.ring_pair("port_ring", 2, 31).unwrap();
    let (first, mut rx_a, mut tx_a) = Port::open(eal, a, &port_config(&pool, 2)).unwrap();
    let (second, mut rx_b, mut tx_b) = Port::open(eal, b, &port_config(&pool, 2)).unwrap();
    assert_eq!(
        (first.driver(), first.id(), second.id()),
        ("net_ring", a, b)
    );
    assert!(first.link_up() && second.link_up());
    let mut burst = Burst::new();
    let directions = [(&mut tx_a, &mut rx_b, b), (&mut tx_b, &mut rx_a, a)];
    for (side, (tx, rx, to)) in directions.into_iter().enumerate() {
        for queue in 0..2 {
            let octet = (10 * side + queue) as u8;
            assert!(pool.alloc_bulk(&mut burst, 1));
            assert!(burst[0].extend_from_slice(&[octet; 60]));
            assert_eq!(tx[queue].tx_burst(&mut burst), 1);
            assert!(burst.is_empty());
            assert_eq!(rx[1 - queue].rx_burst(&mut burst), 0);
            assert_eq!(rx[queue].rx_burst(&mut burst), 1);
            assert_eq!(&burst[0][..], &[octet; 60]);
            assert_eq!(burst[0].port(), to.0);
            burst.clear();
        }
    }
    let stats = (first.stats(), second.stats());
    assert_eq!((stats.0.tx_packets, stats.0.rx_packets), (2, 2));
    assert_eq!((stats.1.tx_packets, stats.1.rx_packets), (2, 2));
}

#[test]
fn null_receives_frames_of_its_size_and_swallows_what_is_sent() {
    let eal = eal();
    let pool = pool("port_null", 127);
    let id = eal.attach_vdev("net_null_port", "size=100,copy=1").unwrap();
    let limits = Port::limits(eal, id).unwrap();
    assert_eq!(limits.driver, "net_null");
    assert!(limits.max_rx_queues >= 2 && limits.rss);
    assert!(!limits.rx_checksums && !limits.tx_checksums);
    let config = PortConfig {
        mtu: Some(1400),
        rss: true,
        ..port_config(&pool, 2)
    };
    let (port, mut rx, mut tx) = Port::open(eal, id, &config).unwrap();
    assert_eq!(port.mtu(), Some(1400));
    assert!(port.spreads_flows() && !port.offloads_tx_checksums());
    assert_eq!((rx.len(), tx.len()), (2, 2));
    let mut burst = Burst::new();
    assert_eq!(rx[1].rx_burst(&mut burst), BURST);
    assert!(
        burst
            .iter()
            .all(|mbuf| mbuf.len() == 100 && mbuf.port() == id.0)
    );
    assert_eq!(pool.available(), 127 - BURST as u32);
    assert_eq!(tx[0].tx_burst(&mut burst), BURST);
    assert_eq!(pool.available(), 127);
    let stats = port.stats();
    assert_eq!(
        (stats.rx_packets, stats.tx_packets),
        (BURST as u64, BURST as u64)
    );
}

#[test]
fn a_port_opens_once_and_again_after_closing() {
    let eal = eal();
    let pool = pool("port_again", 63);
    let id = eal.attach_vdev("net_null_again", "").unwrap();
    let (port, rx, tx) = Port::open(eal, id, &port_config(&pool, 1)).unwrap();
    let second = Port::open(eal, id, &port_config(&pool, 1)).unwrap_err();
    assert_eq!(second, Error::PortInUse(id.0));
    drop((port, tx));
    // A queue alone keeps it open.
    let mut rx = rx.into_iter().next().unwrap();
    assert!(Port::limits(eal, id).is_ok());
    let mut burst = Burst::new();
    assert_eq!(rx.rx_burst(&mut burst), BURST);
    assert!(eal.attach_vdev("net_null_again", "").is_err());
    drop(rx);
    let id = eal.attach_vdev("net_null_again", "").unwrap();
    Port::open(eal, id, &port_config(&pool, 1)).unwrap();
}

#[test]
fn closing_the_ports_gives_back_what_was_on_the_wire() {
    let eal = eal();
    let pool = pool("port_wire", 63);
    let (a, b) = eal.ring_pair("port_wire", 1, 31).unwrap();
    let (first, _, mut tx) = Port::open(eal, a, &port_config(&pool, 1)).unwrap();
    let second = Port::open(eal, b, &port_config(&pool, 1)).unwrap();
    let mut burst = Burst::new();
    assert!(pool.alloc_bulk(&mut burst, 8));
    assert_eq!(tx[0].tx_burst(&mut burst), 8);
    drop((first, tx));
    assert_eq!(pool.available(), 55);
    drop(second);
    assert_eq!(pool.available(), 63);
    // The rings are gone too: their names are free.
    eal.ring_pair("port_wire", 1, 31).unwrap();
}

#[test]
fn a_port_keeps_its_pool() {
    let eal = eal();
    let pool = pool("port_pool", 63);
    let id = eal.attach_vdev("net_null_pool", "").unwrap();
    let open = Port::open(eal, id, &port_config(&pool, 1)).unwrap();
    drop(pool);
    assert!(Mempool::new(eal, "port_pool", 7, 0, 2176).is_err());
    drop(open);
    assert!(Mempool::new(eal, "port_pool", 7, 0, 2176).is_ok());
}

#[test]
fn what_a_device_cannot_do_is_an_error() {
    let eal = eal();
    let none = PortId(31);
    let missing = Error::NoSuchPort("31".to_owned());
    assert_eq!(Port::limits(eal, none).unwrap_err(), missing);
    let pool = pool("port_errors", 63);
    assert_eq!(
        Port::open(eal, none, &port_config(&pool, 1)).unwrap_err(),
        missing
    );
    assert!(Port::limits(eal, PortId(u16::MAX)).is_err());

    let id = eal.attach_vdev("net_null_errors", "size=4000").unwrap();
    let most = Port::limits(eal, id).unwrap().max_rx_queues;
    let error = Port::open(eal, id, &port_config(&pool, most + 1)).unwrap_err();
    let direction = "receive";
    let asked = most + 1;
    assert_eq!(
        error,
        Error::TooManyQueues {
            direction,
            asked,
            most
        }
    );
    // The driver would write beyond the buffers.
    let error = Port::open(eal, id, &port_config(&pool, 1)).unwrap_err();
    assert_eq!(
        error,
        Error::DataRoomTooSmall {
            octets: 2176,
            least: 4128
        }
    );
    assert!(Port::limits(eal, id).is_ok());
    let id = eal.attach_vdev("net_null_tiny", "").unwrap();
    let tiny = Mempool::new(eal, "port_tiny", 7, 0, 100).unwrap();
    let error = Port::open(eal, id, &port_config(&tiny, 1)).unwrap_err();
    assert_eq!(
        error,
        Error::DataRoomTooSmall {
            octets: 100,
            least: 192
        }
    );
}
