//! The packet path of hal2tp: frames, headers, sessions, HA sets, workers, counters.
#![forbid(unsafe_code)]

pub mod checksum;
pub mod command;
pub mod counters;
pub mod event;
pub mod headers;
pub mod transform;
pub mod window;
