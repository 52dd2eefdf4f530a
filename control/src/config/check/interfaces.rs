//! Checks of the interfaces and their neighbours.

use std::net::IpAddr;

use dataplane::headers::ipv6;

use super::{Checker, overlap, show, top};
use crate::config::addresses::is_link_local;
use crate::config::model::{Interface, InterfaceAddress};
use crate::config::tree::Path;

impl Checker<'_, '_, '_> {
    pub(super) fn interfaces(&mut self) {
        let config = self.config;
        for (index, interface) in config.interfaces.iter().enumerate() {
            let path = top("interfaces").index(index);
            let earlier = &config.interfaces[..index];
            let port = path.key("port");
            let shared = earlier
                .iter()
                .position(|other| other.port == interface.port);
            if let Some(shared) = shared.filter(|_| self.problems.sound(&port))
                && self
                    .problems
                    .sound(&top("interfaces").index(shared).key("port"))
            {
                let name = &earlier[shared].name;
                self.problems.error(
                        &port,
                        format!("the port already has the interface \"{name}\", and VLANs are not carried yet"),
                        format!("add the addresses to \"{name}\", or use another port"),
                    );
            }
            self.networks(index, interface);
            self.gateways(&path, interface);
            self.interface_mtu(&path, interface);
        }
    }

    /// Networks of one table must not overlap, or replies would go astray.
    fn networks(&mut self, index: usize, interface: &Interface) {
        let config = self.config;
        let path = top("interfaces").index(index);
        if !self.problems.sound(&path.key("table")) {
            return;
        }
        let mut earlier: Vec<(&Interface, InterfaceAddress)> = Vec::new();
        let others = config.interfaces[..index].iter();
        for other in others.filter(|other| other.table == interface.table) {
            earlier.extend(other.addresses.iter().map(|address| (other, *address)));
        }
        for (place, own) in interface.addresses.iter().enumerate() {
            let hit = earlier
                .iter()
                .find(|(_, other)| overlap(own.network(), other.network()));
            if let Some((other, address)) = hit {
                let message = format!(
                    "{} overlaps {} of interface \"{}\" in table {}",
                    show(own.network()),
                    show(address.network()),
                    other.name,
                    interface.table
                );
                self.problems.error(
                    &path.key("addresses").index(place),
                    message,
                    "put one of the two interfaces into another table, or renumber it",
                );
            }
            // Several addresses of one network on one interface are fine.
        }
    }

    /// At most one of each family, each a neighbour.
    fn gateways(&mut self, path: &Path, interface: &Interface) {
        let key = path.key("gateway");
        if !self.problems.sound(&path.key("addresses")) || !self.problems.sound(&key) {
            return;
        }
        for (place, &gateway) in interface.gateways.iter().enumerate() {
            let key = match interface.gateways.len() {
                1 => key.clone(),
                _ => key.index(place),
            };
            let of_family = |other: &&IpAddr| other.is_ipv4() == gateway.is_ipv4();
            let earlier = interface.gateways[..place].iter().find(of_family);
            let mut networks = interface.addresses.iter().map(InterfaceAddress::network);
            if let Some(earlier) = earlier {
                self.problems.error(
                    &key,
                    format!("{earlier} is the default route of this family already"),
                    "write one gateway of IPv4 and one of IPv6 at most",
                );
            } else if interface.addresses.iter().any(|own| own.address == gateway) {
                self.problems.error(
                    &key,
                    format!("{gateway} is this interface's own address"),
                    "write the address of the ISP's router",
                );
            } else if !is_link_local(gateway) && !networks.any(|it| it.contains(gateway)) {
                let networks = interface.addresses.iter().map(|own| show(own.network()));
                let networks: Vec<String> = networks.collect();
                let or = if gateway.is_ipv6() {
                    ", or a link-local one"
                } else {
                    ""
                };
                self.problems.error(
                    &key,
                    format!("{gateway} is in no network of this interface"),
                    format!("write an address in {}{or}", networks.join(" or ")),
                );
            }
        }
    }

    /// RFC 8200, 5: a link carries packets of 1280 octets, or no IPv6.
    fn interface_mtu(&mut self, path: &Path, interface: &Interface) {
        let ipv6 = interface.addresses.iter().any(|own| own.address.is_ipv6());
        let key = path.key("mtu");
        if let Some(mtu) = interface.mtu.filter(|mtu| *mtu < ipv6::MIN_MTU)
            && ipv6
            && self.problems.sound(&key)
        {
            self.problems.error(
                &key,
                format!(
                    "{mtu} octets are too few for IPv6, of which this interface has an address"
                ),
                format!("write {} or more", ipv6::MIN_MTU),
            );
        }
    }

    pub(super) fn neighbours(&mut self) {
        let config = self.config;
        let mut seen = Vec::new();
        for (index, neighbour) in config.neighbours.iter().enumerate() {
            let path = top("neighbours").index(index);
            if !self.problems.sound(&path) || !self.interfaces_sound() {
                continue;
            }
            let address = path.key("address");
            let interface = &config.interfaces[neighbour.interface];
            let mut networks = interface.addresses.iter().map(InterfaceAddress::network);
            if self.is_own(neighbour.address).is_some() {
                self.problems.error(
                    &address,
                    format!("{} is our own address", neighbour.address),
                    "write the address of another host",
                );
            } else if !is_link_local(neighbour.address)
                && !networks.any(|network| network.contains(neighbour.address))
            {
                self.problems.error(
                    &address,
                    format!(
                        "{} is in no network of interface \"{}\"",
                        neighbour.address, interface.name
                    ),
                    "write an address of one of its networks, or another interface",
                );
            } else if seen.contains(&(neighbour.interface, neighbour.address)) {
                self.problems.error(
                    &address,
                    format!("{} stands here a second time", neighbour.address),
                    "keep one of the two",
                );
            }
            seen.push((neighbour.interface, neighbour.address));
        }
    }
}
