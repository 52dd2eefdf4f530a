//! The constants of the shim, asked of the library by value. None of it needs an EAL.

use std::ffi::{CStr, c_char};

use super::*;

fn text(pointer: *const c_char) -> &'static str {
    assert!(!pointer.is_null());
    // SAFETY: the library's name functions return static strings.
    unsafe { CStr::from_ptr(pointer) }.to_str().unwrap()
}

#[test]
fn port_offloads_have_their_values() {
    for (flag, name) in [
        (SHIM_RX_OFFLOAD_IPV4_CKSUM, "IPV4_CKSUM"),
        (SHIM_RX_OFFLOAD_UDP_CKSUM, "UDP_CKSUM"),
        (SHIM_RX_OFFLOAD_TCP_CKSUM, "TCP_CKSUM"),
        (SHIM_RX_OFFLOAD_SCATTER, "SCATTER"),
        (SHIM_RX_OFFLOAD_RSS_HASH, "RSS_HASH"),
    ] {
        // SAFETY: takes any number.
        assert_eq!(text(unsafe { rte_eth_dev_rx_offload_name(flag) }), name);
    }
    for (flag, name) in [
        (SHIM_TX_OFFLOAD_IPV4_CKSUM, "IPV4_CKSUM"),
        (SHIM_TX_OFFLOAD_UDP_CKSUM, "UDP_CKSUM"),
    ] {
        // SAFETY: takes any number.
        assert_eq!(text(unsafe { rte_eth_dev_tx_offload_name(flag) }), name);
    }
}

#[test]
fn buffer_flags_have_their_values() {
    for (flag, name) in [
        (SHIM_MBUF_RX_RSS_HASH, "RTE_MBUF_F_RX_RSS_HASH"),
        (SHIM_MBUF_RX_IP_CKSUM_BAD, "RTE_MBUF_F_RX_IP_CKSUM_BAD"),
        (SHIM_MBUF_RX_IP_CKSUM_GOOD, "RTE_MBUF_F_RX_IP_CKSUM_GOOD"),
        (SHIM_MBUF_RX_L4_CKSUM_BAD, "RTE_MBUF_F_RX_L4_CKSUM_BAD"),
        (SHIM_MBUF_RX_L4_CKSUM_GOOD, "RTE_MBUF_F_RX_L4_CKSUM_GOOD"),
    ] {
        // SAFETY: takes any number.
        assert_eq!(text(unsafe { rte_get_rx_ol_flag_name(flag) }), name);
    }
    for (flag, name) in [
        (SHIM_MBUF_TX_IPV4, "RTE_MBUF_F_TX_IPV4"),
        (SHIM_MBUF_TX_IPV6, "RTE_MBUF_F_TX_IPV6"),
        (SHIM_MBUF_TX_IP_CKSUM, "RTE_MBUF_F_TX_IP_CKSUM"),
        (SHIM_MBUF_TX_UDP_CKSUM, "RTE_MBUF_F_TX_UDP_CKSUM"),
    ] {
        // SAFETY: takes any number.
        assert_eq!(text(unsafe { rte_get_tx_ol_flag_name(flag) }), name);
    }
    // Both bits stand for the absence of a checksum, and are all there is to look at.
    let ip = SHIM_MBUF_RX_IP_CKSUM_BAD | SHIM_MBUF_RX_IP_CKSUM_GOOD;
    assert_eq!(
        (SHIM_MBUF_RX_IP_CKSUM_MASK, SHIM_MBUF_RX_IP_CKSUM_NONE),
        (ip, ip)
    );
    let l4 = SHIM_MBUF_RX_L4_CKSUM_BAD | SHIM_MBUF_RX_L4_CKSUM_GOOD;
    assert_eq!(
        (SHIM_MBUF_RX_L4_CKSUM_MASK, SHIM_MBUF_RX_L4_CKSUM_NONE),
        (l4, l4)
    );
    assert_eq!(SHIM_MBUF_INDIRECT, 1 << 62);
}

#[test]
fn a_thread_outside_the_eal_has_no_lcore() {
    // SAFETY: reads a thread-local variable.
    assert_eq!(unsafe { shim_lcore_id() }, SHIM_LCORE_ID_ANY);
}

#[test]
fn the_time_stamp_counter_counts() {
    // SAFETY: reads a register.
    let before = unsafe { shim_rdtsc() };
    std::thread::sleep(std::time::Duration::from_millis(1));
    // SAFETY: as above.
    assert!(unsafe { shim_rdtsc() } > before);
}
