//! The ends of a port: where bursts come from and go to.

use std::mem::{self, ManuallyDrop};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use crate::burst::{BURST, Burst};
use crate::mbuf::{Mbuf, into_one_segment, is_plain};
use crate::port::OpenPort;

/// One receive queue of a port; keeps the port open.
#[derive(Debug)]
pub struct RxQueue {
    port: Arc<OpenPort>,
    port_id: u16,
    queue: u16,
    /// The driver hands the sender's buffers over, with what the sender knew about them.
    passes_buffers: bool,
    oversized: u64,
}

impl RxQueue {
    pub(crate) fn new(port: &Arc<OpenPort>, queue: u16) -> Self {
        Self {
            port: Arc::clone(port),
            port_id: port.id(),
            queue,
            passes_buffers: port.passes_buffers(),
            oversized: 0,
        }
    }

    /// Receives what is there, up to the room in the burst, and says how many
    /// packets it added. A packet that the driver delivers in several segments is
    /// put into one; if that has no room for it, it is dropped and counted.
    #[inline(always)]
    pub fn rx_burst(&mut self, burst: &mut Burst) -> usize {
        let start = burst.len();
        let room = (BURST - start) as u16;
        if room == 0 {
            return 0;
        }
        // SAFETY: the port is open with this queue, `&mut self` makes this its only
        // reader, and the burst has room for so many pointers.
        let received =
            unsafe { dpdk_sys::shim_eth_rx_burst(self.port_id, self.queue, burst.spare(), room) };
        let received = usize::from(received);
        if received == 0 {
            return 0;
        }
        let fresh = burst.spare();
        let (port, passes_buffers) = (self.port_id, self.passes_buffers);
        for index in 0..received {
            // SAFETY: the driver wrote so many pointers to valid buffers, which are ours now.
            let mbuf = unsafe { *fresh.add(index) };
            // SAFETY: as above.
            if !unsafe { is_plain(mbuf) } {
                self.accept(burst, received);
                return burst.len() - start;
            }
            // SAFETY: as `Mbuf` wants them, and nobody else's.
            let mut mbuf =
                ManuallyDrop::new(unsafe { Mbuf::from_raw(NonNull::new_unchecked(mbuf)) });
            if passes_buffers {
                mbuf.forget_sender(port);
            }
            mbuf.prefetch();
        }
        // SAFETY: written by the driver, and all found to be as `Mbuf` wants them.
        unsafe { burst.grow(received) };
        received
    }

    /// Packets dropped since the last call because they came in several segments and fit no
    /// single one.
    #[inline(always)]
    #[must_use]
    pub fn take_oversized(&mut self) -> u64 {
        // Asked after each burst, and nearly always none.
        if self.oversized == 0 {
            return 0;
        }
        mem::take(&mut self.oversized)
    }

    /// The queue's number at its port.
    #[must_use]
    pub fn index(&self) -> u16 {
        self.queue
    }

    /// Takes over the buffers in the burst's spare places one by one.
    #[cold]
    fn accept(&mut self, burst: &mut Burst, received: usize) {
        let mut raw = [ptr::null_mut(); BURST];
        // SAFETY: the driver wrote `received` pointers there.
        unsafe { ptr::copy_nonoverlapping(burst.spare(), raw.as_mut_ptr(), received) };
        for &mbuf in &raw[..received] {
            // What is shared, or has no tailroom, is copied into the queue's own buffers.
            //
            // SAFETY: valid and ours since the driver handed it over, and the pool is
            // alive as long as the port.
            let mbuf = NonNull::new(mbuf)
                .and_then(|mbuf| unsafe { into_one_segment(mbuf, self.port.mempool()) });
            let Some(mbuf) = mbuf else {
                self.oversized += 1;
                continue;
            };
            // SAFETY: one segment, one owner: see `into_one_segment`.
            let mut mbuf = unsafe { Mbuf::from_raw(mbuf) };
            if self.passes_buffers {
                mbuf.forget_sender(self.port_id);
            }
            let full = burst.push(mbuf);
            debug_assert!(full.is_ok(), "no more were received than there was room");
        }
    }
}

/// One transmit queue of a port; keeps the port open.
#[derive(Debug)]
pub struct TxQueue {
    port: Arc<OpenPort>,
    queue: u16,
}

impl TxQueue {
    pub(crate) fn new(port: &Arc<OpenPort>, queue: u16) -> Self {
        Self {
            port: Arc::clone(port),
            queue,
        }
    }

    /// Hands packets to the port, from the front, and says how many it took. The
    /// others stay in the burst, in order.
    #[inline]
    pub fn tx_burst(&mut self, burst: &mut Burst) -> usize {
        let count = burst.len() as u16;
        if count == 0 {
            return 0;
        }
        // SAFETY: the port is open with this queue, `&mut self` makes this its only
        // writer, and the burst holds so many buffers.
        let sent = unsafe {
            dpdk_sys::shim_eth_tx_burst(self.port.id(), self.queue, burst.as_raw(), count)
        };
        let sent = usize::from(sent);
        // SAFETY: the driver owns those that it took, and frees them.
        unsafe { burst.forget_front(sent) };
        sent
    }

    /// Whether the port fills in IPv4 header and UDP checksums when asked
    /// ([`Mbuf::request_checksums`]).
    #[must_use]
    pub fn offloads_checksums(&self) -> bool {
        self.port.tx_checksums()
    }

    /// The queue's number at its port.
    #[must_use]
    pub fn index(&self) -> u16 {
        self.queue
    }
}

#[cfg(test)]
mod tests;
