//! Frames that a driver delivers in several buffers and that fit no single one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dataplane::counters::{Drop, PortCounters};
use dataplane::worker::{
    Channel, HandOver, Inbox, Outlet, Parts, Worker, WorkerPort, fragment_table,
};
use dpdk::{Burst, Mempool, Port, PortConfig};

use crate::machine::{TSC_HZ, eal, pool, pool_of};
use crate::rig::port_mac;

fn config(mempool: &Mempool) -> PortConfig {
    PortConfig {
        rx_queues: 1,
        tx_queues: 1,
        rx_descriptors: 256,
        tx_descriptors: 256,
        mempool: mempool.clone(),
        mtu: None,
        promiscuous: false,
        rss: false,
    }
}

/// memif copies long frames into as many buffers of the receiver's pool as it takes.
#[test]
fn a_frame_in_several_buffers_is_counted_and_dropped_when_it_comes_alone() {
    let (small, large) = (pool(1023), pool_of(1023, 4096));
    let socket = format!("socket=@worker-oversized-{}", std::process::id());
    let [(server, receive, mut send), (client, _, mut far)] =
        [("server", &small), ("client", &large)].map(|(role, mempool)| {
            let words = format!("role={role},{socket},rsize=8");
            let id = eal().attach_vdev(&format!("net_memif_{role}"), &words);
            Port::open(eal(), id.expect("a device"), &config(mempool)).expect("a port")
        });
    let counters = Arc::<PortCounters>::default();
    let mut worker = Worker::new(Parts {
        index: 0,
        workers: 1,
        ports: vec![WorkerPort {
            mac: port_mac(0),
            up: true,
            receive,
            send: Outlet::Own {
                queue: send.remove(0),
                handed_over: Arc::new(HandOver::new(1)),
            },
            counters: Arc::clone(&counters),
            cut_octets: None,
            fills_in_checksums: false,
        }],
        logical_ports: Vec::new(),
        copies: small,
        inboxes: Inbox::for_workers(1),
        fragments: fragment_table(eal(), TSC_HZ).expect("memory"),
        reassembly_pieces: 8,
        ordered_packets: 8,
        tsc_hz: TSC_HZ,
        channel: Channel::new(8, 8),
    });
    let deadline = Instant::now() + Duration::from_secs(10);
    let wait = || {
        assert!(Instant::now() < deadline, "{counters:?}");
        std::thread::sleep(Duration::from_millis(5));
    };
    while !(server.link_up() && client.link_up()) {
        wait();
    }
    let mut frame = large.alloc().expect("a buffer");
    assert!(frame.extend_from_slice(&[0; 4000]));
    let mut burst = Burst::new();
    burst.push(frame).expect("room in a new burst");
    assert_eq!(far[0].tx_burst(&mut burst), 1);
    while counters.received_packets.read() == 0 {
        wait();
        worker.poll_once(0);
    }
    assert_eq!(counters.received_packets.read(), 1);
    assert_eq!(counters.drops.read(Drop::Oversized), 1);
    // Once.
    worker.poll_once(0);
    assert_eq!(counters.received_packets.read(), 1);
    assert_eq!(counters.drops.read(Drop::Oversized), 1);
}
