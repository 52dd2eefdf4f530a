//! Shared memory between two processes: what DPDK calls the two ends.
//!
//! An end that waits survives the restarts of the one that calls it; the other way about a wire stays down for good.
//! So appliances wait for the tester, and the appliance that is started first for the other.

use std::path::Path;

use super::addresses::{Mac, mac_text};

/// Which kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// net_memif at both ends.
    Memif,
    /// net_vhost at one end, which copies, and net_virtio_user at the other, in whose memory the rings are.
    Vhost,
}

/// Frames that a ring holds, as a power of two: memif has the caller say.
const RING_LOG2: u8 = 14;

impl Wire {
    /// The end of an appliance that waits to be called. `index` is that of the port in its process.
    pub(crate) fn waiting(self, index: usize, socket: &Path, mac: Mac) -> String {
        let (path, mac) = (socket.display(), mac_text(mac));
        match self {
            Self::Memif => format!(
                "net_memif{index},role=server,socket={path},socket-abstract=no,rsize={RING_LOG2},mac={mac}"
            ),
            Self::Vhost => {
                format!("net_virtio_user{index},path={path},server=1,queue_size=1024,mac={mac}")
            }
        }
    }

    /// The end that calls.
    pub(crate) fn calling(self, index: usize, socket: &Path, mac: Mac) -> String {
        let (path, mac) = (socket.display(), mac_text(mac));
        match self {
            Self::Memif => format!(
                "net_memif{index},role=client,socket={path},socket-abstract=no,rsize={RING_LOG2},mac={mac}"
            ),
            // It cannot be given an address: it takes every frame.
            Self::Vhost => format!("net_vhost{index},iface={path},client=1"),
        }
    }
}
