//! Safe wrappers around DPDK: the EAL, buffers and their pools, ports and
//! their queues, lcores and the time stamp counter.
//!
//! What it promises: no safe code can cause undefined behaviour. A [`Mbuf`] has
//! one owner and one segment; a queue is an owned value, used by one thread at
//! a time; a port is closed after its last queue is gone, and a pool's memory is
//! given back after its last buffer came home, whoever held it.
//!
//! What it does not do: protocols, threads, polling policy.

mod af_packet;
mod burst;
mod cache;
mod control;
mod eal;
mod error;
mod ip_frag;
pub mod lcore;
mod mbuf;
mod mempool;
mod port;
mod queue;
mod ring;
#[cfg(test)]
mod testing;

pub use af_packet::{AfPacket, af_packet};
pub use burst::{BURST, Burst, Drain};
pub use cache::{prefetch, prefetch_all, prefetch_start};
pub use eal::{Eal, EalConfig, HugePages, tsc, tsc_hz};
pub use error::{EalError, Error};
pub use ip_frag::{Datagram, FragmentTable, Refusal};
pub use mbuf::{Checksum, Mbuf};
pub use mempool::{HEADROOM_OCTETS, Mempool};
pub use port::{Limits, Port, PortConfig, PortId, PortStats};
pub use queue::{RxQueue, TxQueue};
