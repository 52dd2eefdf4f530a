//! Addresses. Site 0 dials, site 1 is dialled. Port 0 is the LAN; port N, in
//! table N, is the link N, which joins the sites without a router in between.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const L2TP_PORT: u16 = 1701;

/// The site that is dialled.
pub(crate) const DIALLED: usize = 1;

pub(crate) fn mac(site: usize, port: usize) -> [u8; 6] {
    [2, 0, 0, 0, 1 + site as u8, port as u8]
}

pub(crate) fn host_mac(site: usize) -> [u8; 6] {
    [2, 0, 0, 1, 1 + site as u8, 0]
}

pub(crate) fn host(site: usize) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 1 + site as u8, 10)
}

pub(crate) fn host_ipv6(site: usize) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 1 + site as u16, 0, 0, 0, 0, 10)
}

pub(crate) fn host_addresses(site: usize) -> [IpAddr; 2] {
    [host(site).into(), host_ipv6(site).into()]
}

/// A site's own addresses on a port, with the lengths of their prefixes.
pub(crate) fn own(site: usize, port: usize) -> [(IpAddr, u8); 2] {
    let (octet, group) = (1 + site as u8, 1 + site as u16);
    match port as u16 {
        0 => [
            (Ipv4Addr::new(192, 168, octet, 1).into(), 24),
            (
                Ipv6Addr::new(0x2001, 0xdb8, group, 0, 0, 0, 0, 1).into(),
                64,
            ),
        ],
        link => [
            (Ipv4Addr::new(10, 0, link as u8, octet).into(), 24),
            (
                Ipv6Addr::new(0x2001, 0xdb8, 0xf0 + link, 0, 0, 0, 0, group).into(),
                64,
            ),
        ],
    }
}

/// The end of a tunnel over this link.
pub(crate) fn tunnel_end(site: usize, link: usize, ipv6: bool) -> SocketAddr {
    let (address, _) = own(site, link)[usize::from(ipv6)];
    SocketAddr::new(address, L2TP_PORT)
}
