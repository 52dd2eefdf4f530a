//! DPDK's control functions are not made for several threads at once: they all
//! run under one lock, which also keeps the list of what is alive.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use crate::af_packet::Missed;
use crate::mempool::Pool;
use crate::ring::RingPair;

/// What exists in this process outside the EAL.
#[derive(Default)]
pub(crate) struct Control {
    /// Pools with a handle.
    pub(crate) pools: Vec<Pool>,
    /// Pools whose last handle is gone while buffers of theirs are still out.
    pub(crate) orphans: Vec<Pool>,
    /// How each virtual port came to be, for taking it away again.
    pub(crate) attachments: HashMap<u16, Attachment>,
    pub(crate) open_ports: HashSet<u16>,
}

/// What goes when a virtual port is closed.
pub(crate) struct Attachment {
    pub(crate) device: String,
    /// Octets that the driver writes into buffers without looking at their size.
    pub(crate) blind_octets: u16,
    /// What the kernel could not put into the rings of an AF_PACKET port.
    pub(crate) missed: Missed,
    /// Held for its destructor only.
    pub(crate) _rings: Option<Arc<RingPair>>,
}

static CONTROL: LazyLock<Mutex<Control>> = LazyLock::new(Mutex::default);

/// Takes the lock. Nothing in the packet loop may call this.
pub(crate) fn lock() -> MutexGuard<'static, Control> {
    // A panic elsewhere leaves the lists whole: they are changed by single pushes and removals.
    CONTROL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Control {
    /// Gives the memory of orphaned pools back whose buffers have all come home.
    pub(crate) fn reclaim(&mut self) {
        self.orphans.retain(|pool| !pool.free_if_whole());
    }

    /// Empties the calling lcore's cache of every pool.
    pub(crate) fn flush_caches(&self) {
        for pool in self.pools.iter().chain(&self.orphans) {
            pool.flush_cache();
        }
    }
}
