//! The configuration file: one YAML file for one appliance.
//!
//! `tree` reads YAML into a tree that knows its lines, `sections` takes a
//! [`Config`] from it with the help of `decode` and `addresses`, `resolve` fills in defaults
//! that depend on other parts, `check` sees whether the parts fit together and
//! `pair` whether two files do, and `problem` says what is wrong where. `difference` says
//! what a running appliance can follow when the file has changed.

mod addresses;
mod check;
mod decode;
mod difference;
mod load;
mod logical_ports;
mod model;
mod pair;
mod problem;
mod resolve;
mod sections;
mod tree;

pub(crate) use decode::parse_duration;
pub use difference::{Changes, Difference, Place, Places, Reloaded, WithoutIpv6};
pub use load::check_files;
pub use logical_ports::Ports;
pub use model::{
    Advertisements, Asked, Config, Dataplane, Delegated, Device, HaSet, Http, HugePages, Incoming,
    Interface, InterfaceAddress, L2tp, Management, Match, Neighbour, Ordering, Outgoing, Poll,
    Port, Ppp, PppClient, PppServer, Pppoe, Route, Server, Via,
};
pub(crate) use problem::plural;
pub use problem::{Problem, Severity, Warning, count, report};
pub(crate) use sections::DEFAULT_ROUTE_IPV6;
pub use sections::{
    DEFAULT_GRACE, DEFAULT_LCP_RATE, DEFAULT_LCP_TIMEOUT, DEFAULT_MEMORY_MIB, DEFAULT_VENDOR_ID,
    DEFAULT_WINDOW,
};

pub use crate::secret::Secret;

#[cfg(test)]
mod tests;
