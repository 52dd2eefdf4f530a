//! What an IPv4 host owes its networks: ARP (RFC 826), proxy ARP (RFC 1027),
//! answers to ping and ICMP errors (RFC 792, RFC 1122, RFC 1812).
//!
//! Everything here is sans-IO. [`Neighbours`] is polled for [`Action`]s,
//! [`Icmp`] answers one packet with at most one packet.

mod arp;
mod icmp;
mod neighbours;
mod proxy_arp;

pub use icmp::{Cause, Icmp, IcmpCounters, Refusal};
pub use neighbours::{Action, Interface, Neighbour, NeighbourCounters, NeighbourState, Neighbours};
pub use proxy_arp::ProxyArp;
