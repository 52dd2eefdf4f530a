//! The configuration file: one YAML file for one appliance.
//!
//! `tree` reads YAML into a tree that knows its lines, `sections` takes a
//! [`Config`] from it with the help of `decode`, `resolve` fills in defaults
//! that depend on other parts, `check` sees whether the parts fit together and
//! `pair` whether two files do, and `problem` says what is wrong where.

mod check;
mod decode;
mod load;
mod model;
mod pair;
mod problem;
mod resolve;
mod sections;
mod tree;

use std::net::Ipv4Addr;

use dataplane::command::Prefix;

pub use load::check_files;
pub use model::{
    Config, Dataplane, Device, HaSet, HugePages, Incoming, Interface, InterfaceAddress, L2tp,
    Management, Match, Neighbour, Outgoing, Poll, Port, Route, Via, network_mask,
};
pub use problem::{Problem, Severity, Warning};
pub use sections::{
    DEFAULT_GRACE, DEFAULT_HELLO_INTERVAL, DEFAULT_LCP_RATE, DEFAULT_LCP_TIMEOUT,
    DEFAULT_MEMORY_MIB, DEFAULT_VENDOR_ID, DEFAULT_WINDOW,
};

pub use crate::secret::Secret;

/// Whether an address is in a network.
#[must_use]
pub fn contains(network: Prefix, address: Ipv4Addr) -> bool {
    (address.to_bits() ^ network.address.to_bits()) & network_mask(network.length) == 0
}

#[cfg(test)]
mod tests;
