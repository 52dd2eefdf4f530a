//! The packet path of hal2tp: frames, headers, sessions, HA sets, workers, counters.
//!
//! The control thread holds a [`Dataplane`] and knows nothing of DPDK: it asks
//! for changes with [`command::Command`]s and is told of things by
//! [`event::Event`]s. Behind it, one [`worker::Worker`] per thread polls its
//! queues of every port.
#![forbid(unsafe_code)]

pub mod arrivals;
pub mod capture;
mod chain;
pub mod checksum;
pub mod command;
pub mod config;
pub mod counters;
pub mod event;
mod frame;
mod handle;
pub mod headers;
mod logical_port;
mod port;
pub mod reassembly;
pub mod reorder;
mod ring;
pub mod sequence;
pub mod skew;
pub mod speed;
mod start;
mod sync;
pub mod tables;
pub mod transform;
mod tx_ring;
pub mod window;
pub mod worker;

pub use config::{Config, Device, Encapsulation, HugePages, LogicalPortSpec, Poll, PortSpec};
pub use frame::Frame;
pub use handle::{Dataplane, DeviceCounters, PortInfo};
pub use logical_port::LogicalPortProblem;
pub use port::DESCRIPTORS;
pub use start::StartError;
