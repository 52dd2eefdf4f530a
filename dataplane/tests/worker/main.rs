//! Whole workers, stepped by hand over in-process wires.

mod addresses;
mod books;
mod capture;
mod dhcp;
mod echo;
mod forwarding;
mod fragments;
mod ipv6;
mod ipv6_rig;
mod live;
mod logical_properties;
mod logical_rig;
#[path = "../machine/mod.rs"]
mod machine;
mod malformed;
mod masked;
mod mirror;
mod mixtures;
mod offload;
mod ordering;
mod oversized;
mod pieces;
mod pppoe;
mod receiving;
mod rig;
mod send_mixed;
mod sending;
mod shortcuts;
mod slow;
mod vlan;
