//! Raw bindings to libdpdk: functions, structures and constants by bindgen over
//! the installed headers, and a shim (`csrc/shim.c`) for what DPDK offers only
//! as static inlines or macros.
//!
//! Nothing here is safe to use by itself: the crate `dpdk` wraps it.

// Generated code needs lints allowed that older compilers do not know.
#![allow(unknown_lints)]

pub mod mbuf;

pub use bindings::*;
pub use mbuf::rte_mbuf;

#[allow(
    dead_code,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unnecessary_transmutes,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unused_qualifications,
    clippy::all,
    clippy::missing_safety_doc,
    clippy::undocumented_unsafe_blocks,
    clippy::use_self
)]
mod bindings {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

#[cfg(test)]
mod tests;
