//! Pools of packet buffers.

use std::ptr::NonNull;
use std::sync::Arc;

use dpdk_sys::rte_mempool;

use crate::burst::{BURST, Burst};
use crate::control;
use crate::eal::{Eal, c_name};
use crate::error::Error;
use crate::mbuf::Mbuf;

/// Octets in front of a received frame, for headers that are put before it.
pub const HEADROOM_OCTETS: u16 = dpdk_sys::RTE_PKTMBUF_HEADROOM as u16;

/// A handle to a pool of buffers. When the last handle is gone and the last
/// buffer has come home, the memory is given back, in whichever order that happens.
#[derive(Clone, Debug)]
pub struct Mempool(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    pool: Pool,
    data_room: u16,
    _eal: Arc<Eal>,
}

impl Mempool {
    /// Makes a pool of `count` buffers of `data_room` octets each,
    /// [`HEADROOM_OCTETS`] included. Every lcore keeps up to `cache` of them at hand.
    ///
    /// # Errors
    /// When there is too little memory, the name is taken, or the cache is above
    /// 512 or above two thirds of the pool.
    pub fn new(
        eal: &Arc<Eal>,
        name: &str,
        count: u32,
        cache: u32,
        data_room: u16,
    ) -> Result<Self, Error> {
        let pool_name = c_name(name)?;
        let mut control = control::lock();
        control.reclaim();
        // SAFETY: the name lives through the call, which copies it.
        let pool = unsafe {
            dpdk_sys::rte_pktmbuf_pool_create(
                pool_name.as_ptr(),
                count,
                cache,
                0,
                data_room,
                dpdk_sys::SHIM_SOCKET_ID_ANY,
            )
        };
        let pool = NonNull::new(pool)
            .map(|pointer| Pool { pointer, count })
            .ok_or_else(|| Error::last("rte_pktmbuf_pool_create", name))?;
        control.pools.push(pool);
        Ok(Self(Arc::new(Handle {
            pool,
            data_room,
            _eal: Arc::clone(eal),
        })))
    }

    /// Takes one empty buffer.
    #[must_use]
    pub fn alloc(&self) -> Option<Mbuf> {
        // SAFETY: the pool is alive as long as this handle.
        let mbuf = NonNull::new(unsafe { dpdk_sys::shim_pktmbuf_alloc(self.as_ptr()) })?;
        // SAFETY: a fresh buffer has one segment and no other owner.
        Some(unsafe { Mbuf::from_raw(mbuf) })
    }

    /// Appends `count` empty buffers to the burst, or none when the pool or the
    /// burst has too little left.
    #[inline]
    #[must_use]
    pub fn alloc_bulk(&self, burst: &mut Burst, count: usize) -> bool {
        let start = burst.len();
        let taken = self.take_bulk(burst, count);
        for mbuf in &mut burst.as_mut_slice()[start..] {
            mbuf.make_empty();
        }
        taken
    }

    /// Appends copies of all packets to the burst, each behind `N` octets that
    /// `write_header` is given with the packet's place among the others. None, when the pool or the burst has too
    /// little left, or a packet is too large for the pool's buffers.
    #[inline(always)]
    #[must_use]
    pub fn copy_bulk<const N: usize>(
        &self,
        packets: &[Mbuf],
        burst: &mut Burst,
        mut write_header: impl FnMut(usize, &mut [u8; N]),
    ) -> bool {
        let start = burst.len();
        let Some(room) = self.0.data_room.checked_sub(HEADROOM_OCTETS) else {
            return false;
        };
        if !self.take_bulk(burst, packets.len()) {
            return false;
        }
        let mut fit = true;
        let copies = burst.as_mut_slice()[start..].iter_mut();
        for (place, (copy, packet)) in copies.zip(packets).enumerate() {
            // SAFETY: all buffers of the pool have the headroom, and so much behind it.
            match unsafe { copy.become_copy(packet, room.into()) } {
                Some(header) => write_header(place, header),
                None => fit = false,
            }
        }
        if !fit {
            drop(burst.drain(start..));
        }
        fit
    }

    /// Appends `count` buffers as they lie in the pool, or none.
    #[inline]
    fn take_bulk(&self, burst: &mut Burst, count: usize) -> bool {
        if count > BURST - burst.len() {
            return false;
        }
        // SAFETY: the burst has room for `count` pointers, and the pool is alive.
        let result =
            unsafe { dpdk_sys::shim_mempool_get_bulk(self.as_ptr(), burst.spare(), count as u32) };
        if result != 0 {
            return false;
        }
        // SAFETY: success means that `count` buffers were written, which lie in a
        // pool with one segment and without a second owner.
        unsafe { burst.grow(count) };
        true
    }

    /// Buffers that are in the pool or in the caches, about.
    #[must_use]
    pub fn available(&self) -> u32 {
        // SAFETY: the pool is alive; the count is a snapshot.
        unsafe { dpdk_sys::rte_mempool_avail_count(self.as_ptr()) }
    }

    /// Octets of each buffer, headroom included.
    #[must_use]
    pub fn data_room(&self) -> u16 {
        self.0.data_room
    }

    pub(crate) fn as_ptr(&self) -> *mut rte_mempool {
        self.0.pool.pointer.as_ptr()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut control = control::lock();
        control.pools.retain(|pool| *pool != self.pool);
        control.orphans.push(self.pool);
        control.reclaim();
    }
}

/// A pool without an owner: what the list of pools holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pool {
    pointer: NonNull<rte_mempool>,
    count: u32,
}

// SAFETY: a pool is made for use by all threads; the pointer is valid while it
// is in one of the lists of `Control`.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

impl Pool {
    /// Puts what the calling lcore's cache holds back into the pool. The caller
    /// holds the control lock.
    pub(crate) fn flush_cache(&self) {
        // SAFETY: the pool is in a list, so it was not freed; a cache is used by
        // its own lcore's thread only, which is this one.
        unsafe { dpdk_sys::shim_mempool_cache_flush(self.pointer.as_ptr()) }
    }

    /// Frees an orphaned pool if every buffer is in the pool itself. The caller
    /// holds the control lock and forgets the pool when the answer is true.
    pub(crate) fn free_if_whole(&self) -> bool {
        self.flush_cache();
        // Buffers in the caches of other lcores do not count as being at home: their
        // threads may be writing there right now. They count once that lcore
        // flushed its cache, which it does under the lock when it goes.
        //
        // SAFETY: the pool is in a list, so it was not freed.
        let home = unsafe { dpdk_sys::shim_mempool_home_count(self.pointer.as_ptr()) };
        if home < self.count {
            return false;
        }
        // SAFETY: no handle is left (it is an orphan), no buffer is out, and putting a
        // buffer into the pool's ring is the last thing that a free does with the pool.
        unsafe { dpdk_sys::rte_mempool_free(self.pointer.as_ptr()) };
        true
    }
}

#[cfg(test)]
mod tests;
