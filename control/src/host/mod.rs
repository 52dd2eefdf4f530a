//! What a host and router owes its networks: who is where (ARP, RFC 826; neighbour
//! discovery, RFC 4861), answers for those behind a tunnel (RFC 1027), answers to
//! ping and ICMP errors (RFC 792, RFC 1122, RFC 1812; RFC 4443).
//!
//! Everything here is sans-IO. [`Neighbours`] is polled for [`Action`]s,
//! [`Icmp`] answers one packet with at most one packet.

mod arp;
pub(crate) mod discovery;
mod icmp;
mod neighbours;
mod proxy;

pub use icmp::{Cause, Icmp, IcmpCounters, Refusal, TooBig, too_big};
pub use neighbours::{
    Action, Interface, Neighbour, NeighbourCounters, NeighbourState, Neighbours, link_local,
};
pub use proxy::Proxy;
