//! The rings behind a pair of crossed net_ring ports.

use std::ptr::NonNull;

use dpdk_sys::{RING_F_SC_DEQ, RING_F_SP_ENQ, rte_ring};

use crate::eal::c_name;
use crate::error::Error;
use crate::port::PortId;

/// The rings of both directions; freed, with the frames in them, after both ports are closed.
pub(crate) struct RingPair {
    /// One ring per queue: those that side 0 sends into, then those that side 1 sends into.
    directions: [Vec<NonNull<rte_ring>>; 2],
}

// SAFETY: rings may be used by any thread; they are only handed out to ports,
// whose queues are owned values, and emptied when no port is left.
unsafe impl Send for RingPair {}
// SAFETY: as above; `&RingPair` gives no access to the rings' contents.
unsafe impl Sync for RingPair {}

impl RingPair {
    pub(crate) fn new(name: &str, queues: u16, depth: u32) -> Result<Self, Error> {
        let mut pair = Self {
            directions: [Vec::new(), Vec::new()],
        };
        for (side, rings) in pair.directions.iter_mut().enumerate() {
            for queue in 0..queues {
                rings.push(new_ring(&format!("{name}_{side}_{queue}"), depth)?);
            }
        }
        Ok(pair)
    }

    /// Makes the port of one side; gives its number and the name of its device.
    /// The caller holds the control lock.
    pub(crate) fn port(&self, name: &str, side: usize) -> Result<(PortId, String), Error> {
        let port_name = format!("{name}_{side}");
        let c_port_name = c_name(&port_name)?;
        let send = raw(&self.directions[side]);
        let receive = raw(&self.directions[1 - side]);
        let count = u32::try_from(send.len()).map_err(|_| Error::Name(port_name.clone()))?;
        // SAFETY: both arrays hold `count` rings, which live until the port's
        // attachment is dropped, after the port was closed.
        let result = unsafe {
            dpdk_sys::rte_eth_from_rings(
                c_port_name.as_ptr(),
                receive.as_ptr(),
                count,
                send.as_ptr(),
                count,
                0,
            )
        };
        if result < 0 {
            return Err(Error::last("rte_eth_from_rings", port_name));
        }
        // The driver's own rule for names.
        let device = format!("net_ring_{port_name}");
        Ok((PortId(result as u16), device))
    }
}

impl Drop for RingPair {
    fn drop(&mut self) {
        for ring in self.directions.iter().flatten() {
            loop {
                // SAFETY: the ring is alive, and no port uses it any more.
                let mbuf = unsafe { dpdk_sys::shim_ring_dequeue(ring.as_ptr()) };
                if mbuf.is_null() {
                    break;
                }
                // SAFETY: only buffers were sent into the ring, and the ring owned them.
                unsafe { dpdk_sys::shim_pktmbuf_free(mbuf.cast()) };
            }
            // SAFETY: made by rte_ring_create, freed once.
            unsafe { dpdk_sys::rte_ring_free(ring.as_ptr()) };
        }
    }
}

fn new_ring(name: &str, depth: u32) -> Result<NonNull<rte_ring>, Error> {
    let c_ring_name = c_name(name)?;
    // A ring of 2^n holds 2^n - 1.
    let count = depth.saturating_add(1).checked_next_power_of_two();
    let count = count.ok_or_else(|| Error::Name(name.to_owned()))?;
    // One producer and one consumer: each end is a queue, which has one owner.
    let flags = RING_F_SP_ENQ | RING_F_SC_DEQ;
    // SAFETY: the name lives through the call, which copies it.
    let ring = unsafe {
        dpdk_sys::rte_ring_create(
            c_ring_name.as_ptr(),
            count,
            dpdk_sys::SHIM_SOCKET_ID_ANY,
            flags,
        )
    };
    NonNull::new(ring).ok_or_else(|| Error::last("rte_ring_create", name))
}

fn raw(rings: &[NonNull<rte_ring>]) -> Vec<*mut rte_ring> {
    rings.iter().map(|ring| ring.as_ptr()).collect()
}
