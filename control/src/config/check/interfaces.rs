//! Checks of the interfaces and their neighbours.

use std::net::IpAddr;

use dataplane::headers::ipv6;

use super::{Checker, overlap, show, top};
use crate::config::addresses::is_link_local;
use crate::config::model::{Interface, InterfaceAddress};
use crate::config::tree::Path;

/// As many as one port has VLANs; the workers number them and their ports with 16 bits.
const MOST_INTERFACES: usize = 4096;

/// What two interfaces cannot share: a PPPoE line is beside what else is there.
fn place(interface: &Interface) -> (usize, Option<u16>, bool) {
    (interface.port, interface.vlan, interface.pppoe.is_some())
}

impl Checker<'_, '_, '_> {
    pub(super) fn interfaces(&mut self) {
        let config = self.config;
        if config.interfaces.len() > MOST_INTERFACES {
            self.problems.error(
                &top("interfaces"),
                format!("{} interfaces stand here", config.interfaces.len()),
                format!("write {MOST_INTERFACES} at most"),
            );
        }
        for (index, interface) in config.interfaces.iter().enumerate() {
            let path = top("interfaces").index(index);
            let earlier = &config.interfaces[..index];
            let port = path.key("port");
            let shared = earlier
                .iter()
                .position(|other| place(other) == place(interface));
            if let Some(shared) = shared.filter(|_| self.problems.sound(&port))
                && self.problems.sound(&path.key("vlan"))
                && self.problems.sound(&top("interfaces").index(shared))
            {
                let name = &earlier[shared].name;
                let on = match interface.vlan {
                    None => "the port".to_owned(),
                    Some(vlan) => format!("VLAN {vlan} of the port"),
                };
                self.problems.error(
                    &port,
                    format!("{on} already has the interface \"{name}\""),
                    format!("add the addresses to \"{name}\", or use another port or `vlan`"),
                );
            }
            self.pppoe(&path, interface);
            self.delegated(&path, interface);
            self.lan(&path, interface);
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
        if interface.pppoe.is_some() && !interface.gateways.is_empty() {
            self.problems.error(
                &key,
                "the concentrator is the only way out of a PPPoE line",
                "take the key away",
            );
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
            } else if !is_link_local(gateway)
                && !asks_for_family(interface, gateway)
                && !networks.any(|it| it.contains(gateway))
            {
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

    /// What a PPPoE line cannot have besides.
    fn pppoe(&mut self, path: &Path, interface: &Interface) {
        let Some(line) = &interface.pppoe else { return };
        let key = path.key("pppoe");
        let (rate, timeout) = (line.lcp_rate, line.lcp_timeout);
        if timeout <= rate && self.problems.sound(&key) {
            self.problems.error(
                &key.key("lcp-timeout"),
                "the line would be dead before the answer to an echo is missed",
                format!("write {} or more", rate.as_secs() + 1),
            );
        }
        let wrong = [
            (
                "addresses",
                !interface.addresses.is_empty(),
                "PPP agrees on the address of a PPPoE line",
            ),
            (
                "addresses",
                interface.asked.dhcp.is_some(),
                "PPP agrees on the IPv4 address of a PPPoE line",
            ),
            (
                "delegated",
                interface.delegated.is_some(),
                "a PPPoE line is no network for hosts",
            ),
            (
                "router-advertisements",
                interface.advertisements.is_some(),
                "a PPPoE line has no hosts to tell",
            ),
            (
                "dhcp-relay",
                !interface.dhcp_relay.is_empty(),
                "a PPPoE line has no hosts that ask",
            ),
        ];
        for (key, is_wrong, message) in wrong {
            let key = path.key(key);
            if is_wrong && self.problems.sound(&key) {
                self.problems
                    .error(&key, message, "take the key away, or `pppoe`");
            }
        }
    }

    /// A delegated network needs somebody to whom it is delegated.
    fn delegated(&mut self, path: &Path, interface: &Interface) {
        let key = path.key("delegated");
        let Some(delegated) = interface.delegated.filter(|_| self.problems.sound(&key)) else {
            return;
        };
        let from = &self.config.interfaces[delegated.from];
        if from.name == interface.name {
            self.problems.error(
                &key.key("from"),
                "an interface gives no network to itself",
                "name the interface towards the ISP",
            );
            return;
        }
        let length = from.asked.dhcpv6.and_then(|asked| asked.prefix);
        let from_path = top("interfaces").index(delegated.from);
        match length {
            None if self.problems.sound(&from_path.key("prefix-delegation")) => {
                self.problems.error(
                    &key.key("from"),
                    format!("interface \"{}\" asks for no network", from.name),
                    "add `prefix-delegation: 56` there, or name another interface",
                )
            }
            Some(length) if delegated.subnet >> (64 - length) != 0 => self.problems.error(
                &key.key("subnet"),
                format!(
                    "a network of {length} bits has no network {} of 64 bits",
                    delegated.subnet
                ),
                format!("write {} or less", (1_u64 << (64 - length)) - 1),
            ),
            _ => {}
        }
        let same = |other: &&Interface| {
            other.delegated.is_some_and(|other| {
                (other.from, other.subnet) == (delegated.from, delegated.subnet)
            })
        };
        let others = self.config.interfaces.iter().filter(same);
        let mut earlier = others.take_while(|other| other.name != interface.name);
        if let Some(earlier) = earlier.next() {
            let message = format!("interface \"{}\" has this network already", earlier.name);
            self.problems.error(&key, message, "write another `subnet`");
        }
    }

    /// What is there for hosts needs addresses for them.
    fn lan(&mut self, path: &Path, interface: &Interface) {
        let key = path.key("router-advertisements");
        let has_network = interface.delegated.is_some()
            || interface.addresses.iter().any(|own| own.address.is_ipv6());
        if interface.advertisements.is_some()
            && !has_network
            && self.problems.sound(&path.key("addresses"))
            && self.problems.sound(&path.key("delegated"))
        {
            self.problems.error(
                &key,
                "there is no IPv6 network to tell hosts of",
                "add an IPv6 address to `addresses`, or `delegated`",
            );
        }
        if interface.advertisements.is_some() && interface.asks_for_ipv6() {
            self.problems.error(
                &key,
                "an interface is either told by routers or tells hosts",
                "take the key away, or `ra` and `dhcpv6`",
            );
        }
        let relay = path.key("dhcp-relay");
        let has_ipv4 = interface.addresses.iter().any(|own| own.address.is_ipv4());
        if !interface.dhcp_relay.is_empty()
            && !has_ipv4
            && self.problems.sound(&path.key("addresses"))
        {
            self.problems.error(
                &relay,
                "servers answer to the relay's IPv4 address on the hosts' network, and there is none",
                "add an IPv4 address to `addresses`",
            );
        }
    }

    /// RFC 8200, 5: a link carries packets of 1280 octets, or no IPv6.
    fn interface_mtu(&mut self, path: &Path, interface: &Interface) {
        let ipv6 = interface.may_have_ipv6();
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
                && !asks_for_family(interface, neighbour.address)
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

/// Whether the interface may get addresses of this one's family, so that nobody
/// knows yet which networks it is on.
fn asks_for_family(interface: &Interface, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => interface.asks_for_ipv4(),
        IpAddr::V6(_) => interface.asks_for_ipv6(),
    }
}
