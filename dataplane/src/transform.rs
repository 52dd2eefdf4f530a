//! What is done to packets on their way, besides their headers.

pub mod clamp_mss;
pub mod fragment;
pub mod fragment_ipv6;
pub mod split;

pub use clamp_mss::{clamp_mss, may_be_syn, may_be_syn_ipv6};
pub use fragment::fragment;
pub use fragment_ipv6::fragment_ipv6;
pub use split::split;
