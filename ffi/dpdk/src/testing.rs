//! One EAL for all tests of a process: without hugepages, so that they run anywhere.

use std::sync::{Arc, OnceLock};

use crate::{Eal, EalConfig, HugePages, Mempool};

pub(crate) fn eal() -> &'static Arc<Eal> {
    static EAL: OnceLock<Arc<Eal>> = OnceLock::new();
    EAL.get_or_init(|| {
        let config = EalConfig {
            program: "dpdk-tests".to_owned(),
            memory_mib: 128,
            hugepages: HugePages::No,
            ..EalConfig::default()
        };
        Eal::init(&config).expect("the EAL starts without hugepages")
    })
}

/// A small pool without caches: what is available is exact.
pub(crate) fn pool(name: &str, count: u32) -> Mempool {
    Mempool::new(eal(), name, count, 0, 2048 + crate::HEADROOM_OCTETS).expect("memory for a pool")
}
