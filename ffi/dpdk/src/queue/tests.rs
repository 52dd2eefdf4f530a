use std::time::{Duration, Instant};

use dpdk_sys::rte_mbuf;

use super::*;
use crate::mempool::Mempool;
use crate::port::Port;
use crate::testing::{eal, pool, port_config};

/// A wire inside the process: what is sent into the first comes out of the second.
fn wire(name: &str, mempool: &Mempool, depth: u32) -> (Vec<Port>, TxQueue, RxQueue) {
    let (a, b) = eal().ring_pair(name, 1, depth).unwrap();
    let config = port_config(mempool, 1);
    let (first, _, mut tx) = Port::open(eal(), a, &config).unwrap();
    let (second, mut rx, _) = Port::open(eal(), b, &config).unwrap();
    (vec![first, second], tx.remove(0), rx.remove(0))
}

fn packet(pool: &Mempool, octets: &[u8]) -> Mbuf {
    let mut mbuf = pool.alloc().unwrap();
    assert!(mbuf.extend_from_slice(octets));
    mbuf
}

/// Chains the second buffer behind the first, as drivers do with long frames.
fn chain(first: Mbuf, second: Mbuf) -> Mbuf {
    let pointers = [first, second].map(|mbuf| {
        let pointer: NonNull<rte_mbuf> = mbuf.as_raw();
        mem::forget(mbuf);
        pointer
    });
    // SAFETY: both are owned here, and the chain is handed to a driver only.
    unsafe {
        let second = pointers[1].as_ref();
        let first = &mut *pointers[0].as_ptr();
        first.next = pointers[1].as_ptr();
        first.nb_segs = 2;
        first.pkt_len += u32::from(second.data_len);
        Mbuf::from_raw(pointers[0])
    }
}

fn send(tx: &mut TxQueue, mbuf: Mbuf) {
    let mut burst = Burst::new();
    burst.push(mbuf).unwrap();
    assert_eq!(tx.tx_burst(&mut burst), 1);
}

#[test]
fn what_is_not_sent_stays_in_order() {
    let pool = pool("queue_tail", 127);
    let (_ports, mut tx, mut rx) = wire("queue_tail", &pool, 31);
    let mut burst = Burst::new();
    for number in 0..20 {
        burst.push(packet(&pool, &[number])).unwrap();
    }
    assert_eq!(tx.tx_burst(&mut burst), 20);
    for number in 20..40 {
        burst.push(packet(&pool, &[number])).unwrap();
    }
    assert_eq!(tx.tx_burst(&mut burst), 11);
    assert_eq!(tx.tx_burst(&mut burst), 0);
    let left: Vec<u8> = burst.iter().map(|mbuf| mbuf[0]).collect();
    assert_eq!(left, (31..40).collect::<Vec<_>>());
    // The receiver's burst has room for so many only.
    let mut received = Burst::new();
    assert!(pool.alloc_bulk(&mut received, 30));
    assert_eq!(rx.rx_burst(&mut received), 2);
    assert_eq!((received[30][0], received[31][0]), (0, 1));
    assert_eq!(rx.rx_burst(&mut received), 0);
    received.clear();
    assert_eq!(rx.rx_burst(&mut received), 29);
    assert_eq!(received[28][0], 30);
    assert_eq!(rx.rx_burst(&mut burst), 0);
    drop((burst, received));
    assert_eq!(pool.available(), 127);
}

#[test]
fn segments_become_one_where_they_fit() {
    let pool = pool("queue_chain", 31);
    let (_ports, mut tx, mut rx) = wire("queue_chain", &pool, 31);
    send(&mut tx, packet(&pool, b"before"));
    send(
        &mut tx,
        chain(packet(&pool, b"one, "), packet(&pool, b"two")),
    );
    send(&mut tx, packet(&pool, b"after"));
    let mut burst = Burst::new();
    assert_eq!(rx.rx_burst(&mut burst), 3);
    assert_eq!(&burst[0][..], b"before");
    assert_eq!(&burst[1][..], b"one, two");
    assert_eq!(&burst[2][..], b"after");
    assert_eq!(rx.take_oversized(), 0);
    // The second segment is free again.
    assert_eq!(pool.available(), 28);
}

#[test]
fn segments_that_fit_no_buffer_are_dropped_and_counted() {
    let pool = pool("queue_long", 31);
    let (_ports, mut tx, mut rx) = wire("queue_long", &pool, 31);
    send(&mut tx, packet(&pool, b"before"));
    send(
        &mut tx,
        chain(packet(&pool, &[1; 2000]), packet(&pool, &[2; 49])),
    );
    send(&mut tx, packet(&pool, b"after"));
    let mut burst = Burst::new();
    assert_eq!(rx.rx_burst(&mut burst), 2);
    assert_eq!(&burst[0][..], b"before");
    assert_eq!(&burst[1][..], b"after");
    assert_eq!(rx.take_oversized(), 1);
    assert_eq!(rx.take_oversized(), 0, "since the last call");
    burst.clear();
    // It is counted also when there is nothing else.
    send(
        &mut tx,
        chain(packet(&pool, &[1; 2000]), packet(&pool, &[2; 49])),
    );
    assert_eq!(rx.rx_burst(&mut burst), 0);
    assert_eq!(rx.take_oversized(), 1);
    assert_eq!(pool.available(), 31);
}

#[test]
fn a_long_frame_goes_into_a_larger_buffer_of_the_port() {
    let small = pool("queue_small", 31);
    let large = Mempool::new(eal(), "queue_large", 31, 0, 4096 + 128).unwrap();
    let (_ports, mut tx, mut rx) = wire("queue_larger", &large, 31);
    send(
        &mut tx,
        chain(packet(&small, &[1; 2000]), packet(&small, &[2; 2000])),
    );
    let mut burst = Burst::new();
    assert_eq!(rx.rx_burst(&mut burst), 1);
    assert_eq!(burst[0].len(), 4000);
    assert_eq!((burst[0][1999], burst[0][2000]), (1, 2));
    assert_eq!((small.available(), large.available()), (31, 30));
}

#[test]
fn a_shared_buffer_is_copied() {
    let pool = pool("queue_shared", 31);
    let (_ports, mut tx, mut rx) = wire("queue_shared", &pool, 31);
    let mbuf = packet(&pool, b"shared");
    let pointer = mbuf.as_raw();
    // SAFETY: owned here; the second reference is given up below.
    unsafe { (*pointer.as_ptr()).refcnt = 2 };
    send(&mut tx, mbuf);
    let mut burst = Burst::new();
    assert_eq!(rx.rx_burst(&mut burst), 1);
    assert_eq!(&burst[0][..], b"shared");
    assert_ne!(burst[0].as_raw(), pointer);
    assert_eq!(pool.available(), 29);
    // SAFETY: the second reference.
    drop(unsafe { Mbuf::from_raw(pointer) });
    assert_eq!(pool.available(), 30);
}

#[test]
fn what_the_sender_knew_about_a_packet_is_forgotten() {
    let pool = pool("queue_flags", 31);
    let (ports, mut tx, mut rx) = wire("queue_flags", &pool, 31);
    let mut mbuf = packet(&pool, &[0; 60]);
    // SAFETY: owned.
    unsafe { (*mbuf.as_raw().as_ptr()).ol_flags = dpdk_sys::SHIM_MBUF_RX_L4_CKSUM_GOOD };
    assert!(mbuf.l4_checksum_good());
    assert!(mbuf.request_checksums(14, 20));
    send(&mut tx, mbuf);
    let mut burst = Burst::new();
    assert_eq!(rx.rx_burst(&mut burst), 1);
    assert!(!burst[0].l4_checksum_good());
    assert_eq!(burst[0].port(), ports[1].id().0);
    assert_eq!(
        (tx.index(), rx.index(), tx.offloads_checksums()),
        (0, 0, false)
    );
}

#[test]
fn queues_are_for_one_thread_at_a_time_and_may_move() {
    fn is_send<T: Send>() {}
    is_send::<RxQueue>();
    is_send::<TxQueue>();
    is_send::<Port>();
    is_send::<Burst>();
    let pool = pool("queue_threads", 31);
    let (_ports, mut tx, mut rx) = wire("queue_threads", &pool, 31);
    let mbuf = packet(&pool, b"from there");
    std::thread::spawn(move || send(&mut tx, mbuf))
        .join()
        .unwrap();
    let mut burst = Burst::new();
    assert_eq!(rx.rx_burst(&mut burst), 1);
    assert_eq!(&burst[0][..], b"from there");
}

/// memif copies long frames into as many buffers of the receiver's pool as it takes.
#[test]
fn a_driver_that_chains_buffers_loses_only_what_fits_no_buffer() {
    let small = pool("memif_small", 1023);
    let large = Mempool::new(eal(), "memif_large", 1023, 0, 4096 + 128).unwrap();
    let socket = format!("socket=@dpdk-queue-test-{}", std::process::id());
    let [(server, mut rx, _), (client, _, mut tx)] =
        [("server", &small), ("client", &large)].map(|(role, mempool)| {
            let args = format!("role={role},{socket},rsize=8");
            let id = eal().attach_vdev(&format!("net_memif_{role}"), &args);
            Port::open(eal(), id.unwrap(), &port_config(mempool, 1)).unwrap()
        });
    let deadline = Instant::now() + Duration::from_secs(10);
    while !(server.link_up() && client.link_up()) {
        assert!(Instant::now() < deadline, "memif does not connect");
        std::thread::sleep(Duration::from_millis(5));
    }
    send(&mut tx[0], packet(&large, &[1; 2000]));
    send(&mut tx[0], packet(&large, &[2; 4000]));
    send(&mut tx[0], packet(&large, &[3; 60]));
    let mut burst = Burst::new();
    while burst.len() < 2 {
        assert!(Instant::now() < deadline, "{burst:?}");
        rx[0].rx_burst(&mut burst);
    }
    assert_eq!(&burst[0][..], &[1; 2000]);
    assert_eq!(&burst[1][..], &[3; 60]);
    assert_eq!(rx[0].take_oversized(), 1);
}
