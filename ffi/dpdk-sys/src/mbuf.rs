//! The layout of `struct rte_mbuf`, which every version since 22.11 shares
//! although the fields' names in the headers do not stay the same. The shim
//! asserts each offset when it is compiled.

use std::ffi::c_void;
use std::mem::{offset_of, size_of};

use crate::rte_mempool;

/// A packet buffer, or one segment of a chain.
#[allow(non_camel_case_types, reason = "DPDK's own name")]
#[repr(C, align(64))]
#[derive(Debug)]
pub struct rte_mbuf {
    pub buf_addr: *mut c_void,
    /// The buffer's address as devices see it.
    pub buf_iova: u64,
    /// Where the data starts, octets from `buf_addr`.
    pub data_off: u16,
    pub refcnt: u16,
    pub nb_segs: u16,
    /// The port that it was received on.
    pub port: u16,
    pub ol_flags: u64,
    pub packet_type: u32,
    /// Octets in all segments.
    pub pkt_len: u32,
    /// Octets in this segment.
    pub data_len: u16,
    pub vlan_tci: u16,
    pub hash_rss: u32,
    hash_rest: u32,
    pub vlan_tci_outer: u16,
    /// Octets of the buffer, headroom included.
    pub buf_len: u16,
    pub pool: *mut rte_mempool,
    pub next: *mut Self,
    /// Bits 0-6 the Ethernet header's octets, 7-15 the IP header's.
    pub tx_offload: u64,
    rest: [u64; 6],
}

const _: () = {
    assert!(offset_of!(rte_mbuf, data_off) == 16);
    assert!(offset_of!(rte_mbuf, refcnt) == 18);
    assert!(offset_of!(rte_mbuf, nb_segs) == 20);
    assert!(offset_of!(rte_mbuf, port) == 22);
    assert!(offset_of!(rte_mbuf, ol_flags) == 24);
    assert!(offset_of!(rte_mbuf, packet_type) == 32);
    assert!(offset_of!(rte_mbuf, pkt_len) == 36);
    assert!(offset_of!(rte_mbuf, data_len) == 40);
    assert!(offset_of!(rte_mbuf, vlan_tci) == 42);
    assert!(offset_of!(rte_mbuf, hash_rss) == 44);
    assert!(offset_of!(rte_mbuf, vlan_tci_outer) == 52);
    assert!(offset_of!(rte_mbuf, buf_len) == 54);
    assert!(offset_of!(rte_mbuf, pool) == 56);
    assert!(offset_of!(rte_mbuf, next) == 64);
    assert!(offset_of!(rte_mbuf, tx_offload) == 72);
    assert!(size_of::<rte_mbuf>() == 128);
};
