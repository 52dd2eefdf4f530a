//! ffi/dpdk
