//! ffi/netdev
