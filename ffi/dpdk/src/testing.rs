//! What the tests share: one EAL per process, without hugepages so that it starts anywhere.

use std::sync::{Arc, OnceLock};

use crate::{Eal, EalConfig, HEADROOM_OCTETS, HugePages, Mempool, PortConfig};

pub(crate) fn eal() -> &'static Arc<Eal> {
    static EAL: OnceLock<Arc<Eal>> = OnceLock::new();
    EAL.get_or_init(|| {
        let config = EalConfig {
            program: "dpdk-tests".to_owned(),
            memory_mib: 192,
            hugepages: HugePages::No,
            ..EalConfig::default()
        };
        Eal::init(&config).expect("the EAL starts without hugepages")
    })
}

/// A pool without caches, so that what is available is exact. Names must differ
/// between tests, which share the process.
pub(crate) fn pool(name: &str, count: u32) -> Mempool {
    Mempool::new(eal(), name, count, 0, 2048 + HEADROOM_OCTETS).expect("memory for a pool")
}

pub(crate) fn port_config(mempool: &Mempool, queues: u16) -> PortConfig {
    PortConfig {
        rx_queues: queues,
        tx_queues: queues,
        rx_descriptors: 512,
        tx_descriptors: 512,
        mempool: mempool.clone(),
        mtu: None,
        promiscuous: true,
        rss: false,
    }
}

/// The CPUs that the calling thread may run on.
pub(crate) fn affinity() -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("proc is mounted");
    let line = status
        .lines()
        .find(|line| line.starts_with("Cpus_allowed_list:"));
    line.expect("every kernel says it").to_owned()
}
