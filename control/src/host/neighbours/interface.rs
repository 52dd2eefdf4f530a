//! An interface and its subnets.

use std::net::{IpAddr, Ipv6Addr};

use dataplane::command::{InterfaceId, PortId, Prefix, TableId};

/// An interface as its neighbours see it. There is at most one on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    pub id: InterfaceId,
    pub port: PortId,
    pub table: TableId,
    pub mac: [u8; 6],
    /// Own addresses, each with its prefix length; without the link-local one
    /// of IPv6, which every interface has.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Networks whose hosts are neighbours although no own address is in them (RFC
    /// 4861, 6.3.4).
    pub on_link: Vec<Prefix>,
    /// Whether packets that arrive here may be routed onwards. Where they may
    /// not, no address of others is answered for.
    pub forward: bool,
    /// There is one neighbour, who is known: nobody is asked or told anything.
    pub point_to_point: bool,
}

/// The link-local address of the interface with this hardware address (RFC
/// 4291, 2.5.6 and appendix A).
#[must_use]
pub fn link_local([a, b, c, d, e, f]: [u8; 6]) -> Ipv6Addr {
    let octets = [
        0xfe,
        0x80,
        0,
        0,
        0,
        0,
        0,
        0,
        a ^ 2,
        b,
        c,
        0xff,
        0xfe,
        d,
        e,
        f,
    ];
    Ipv6Addr::from(octets)
}

impl Interface {
    pub(super) fn link_local(&self) -> Ipv6Addr {
        link_local(self.mac)
    }

    pub(super) fn owns(&self, address: IpAddr) -> bool {
        address == self.link_local() || self.addresses.iter().any(|&(own, _)| own == address)
    }

    /// Our address towards `address`, a host of a connected subnet.
    pub(super) fn own_address_towards(&self, address: IpAddr) -> Option<IpAddr> {
        match address {
            IpAddr::V6(address) if address.is_unicast_link_local() => {
                Some(self.link_local().into())
            }
            _ => self
                .addresses
                .iter()
                .find(|&&(own, length)| is_host(Prefix::new(own, length), address))
                .or_else(|| self.own_address_beside(address))
                .map(|&(own, _)| own),
        }
    }

    /// Our address, for a host of a network in which we have none.
    fn own_address_beside(&self, address: IpAddr) -> Option<&(IpAddr, u8)> {
        let mut on_link = self.on_link.iter();
        if !on_link.any(|&network| is_host(network, address)) {
            return None;
        }
        let of_family = |&&(own, _): &&(IpAddr, u8)| own.is_ipv4() == address.is_ipv4();
        self.addresses.iter().find(of_family)
    }

    /// Whether it speaks IPv6 of its own accord.
    pub(super) fn has_ipv6(&self) -> bool {
        self.addresses.iter().any(|(own, _)| own.is_ipv6())
    }
}

/// Whether a host of the subnet may have the address: of IPv4 neither its
/// network nor its broadcast address (RFC 3021 has neither).
fn is_host(subnet: Prefix, address: IpAddr) -> bool {
    let is_special = match address {
        IpAddr::V4(_) => {
            subnet.length < 31 && (address == subnet.address || address == subnet.last())
        }
        IpAddr::V6(address) => address.is_multicast() || address.is_unspecified(),
    };
    subnet.contains(address) && !is_special
}
