//! ffi/dpdk-sys
