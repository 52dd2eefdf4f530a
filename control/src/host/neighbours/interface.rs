//! An interface and its subnets.

use std::net::Ipv4Addr;

use dataplane::command::{InterfaceId, PortId, TableId};

/// An interface as ARP sees it. There is at most one on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    pub id: InterfaceId,
    pub port: PortId,
    pub table: TableId,
    pub mac: [u8; 6],
    /// Own addresses, each with its prefix length.
    pub addresses: Vec<(Ipv4Addr, u8)>,
    /// Whether packets that arrive here may be routed onwards. Where they may
    /// not, no address of others is answered for.
    pub forward: bool,
}

impl Interface {
    pub(super) fn owns(&self, address: Ipv4Addr) -> bool {
        self.addresses.iter().any(|&(own, _)| own == address)
    }

    /// Our address in the connected subnet that `address` is a host of:
    /// neither its network nor its broadcast address (RFC 3021 has neither).
    pub(super) fn own_address_towards(&self, address: Ipv4Addr) -> Option<Ipv4Addr> {
        let is_host = |own: Ipv4Addr, length: u8| {
            let host_mask = u32::MAX.checked_shr(u32::from(length)).unwrap_or(0);
            let host = address.to_bits() & host_mask;
            own.to_bits() | host_mask == address.to_bits() | host_mask
                && (length >= 31 || (host != 0 && host != host_mask))
        };
        self.addresses
            .iter()
            .find(|&&(own, length)| is_host(own, length))
            .map(|&(own, _)| own)
    }
}
