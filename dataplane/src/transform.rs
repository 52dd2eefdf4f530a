//! What is done to packets on their way, besides their headers.

pub mod clamp_mss;
pub mod fragment;

pub use clamp_mss::clamp_mss;
pub use fragment::fragment;
