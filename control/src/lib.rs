//! The control plane of hal2tp: L2TP, PPP, HA membership, configuration, management.
//!
//! Protocol code is sans-IO: it takes `now` (a [`core::time::Duration`] since
//! the process started) and octets, and is polled for what it wants sent.
#![forbid(unsafe_code)]

pub mod addressing;
pub mod alarms;
pub mod appliance;
pub mod capture;
pub mod cli;
pub mod config;
mod cores;
pub mod engine;
pub mod ha;
pub mod host;
pub mod l2tp;
mod logging;
pub mod management;
pub mod monitor;
mod multimap;
pub mod ppp;
pub mod pppoe;
mod resolver;
pub mod secret;
#[cfg(test)]
mod seeds;
mod slots;
pub mod web;
