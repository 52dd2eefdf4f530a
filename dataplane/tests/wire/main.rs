//! Octets in, octets out: headers, prebuilt headers, and what is done to
//! packets on their way.
#![cfg(not(loom))]

mod decapsulation;
mod decapsulation_ipv6;
mod encapsulation;
mod headers;
mod ipv6;
mod packets;
mod plain;
mod routable;
mod transform;
