//! Defaults that depend on other parts of the file.

use std::net::IpAddr;

use dataplane::command::Prefix;

use super::model::{Config, Interface, InterfaceAddress, Via};
use super::sections::{DEFAULT_ROUTE, DEFAULT_ROUTE_IPV6};
use super::tree::Node;

/// Fills in what depends on other parts of the file.
pub(crate) fn resolve(config: &mut Config, root: &Node) {
    resolve_forward(config, root);
    resolve_routes(config, root);
    resolve_incoming(config);
    let interfaces = &config.interfaces;
    for route in &mut config.routes {
        if let Via::Gateway { interface, address } = &mut route.via
            && *interface == usize::MAX
        {
            // `check` reports an address that is on no connected network.
            *interface = connected(interfaces, route.table, *address).unwrap_or(usize::MAX);
        }
    }
}

/// The interface of `table` on whose network an address is.
pub(crate) fn connected(interfaces: &[Interface], table: u32, address: IpAddr) -> Option<usize> {
    interfaces.iter().position(|interface| {
        let mut networks = interface.addresses.iter().map(InterfaceAddress::network);
        interface.table == table && networks.any(|network| network.contains(address))
    })
}

fn resolve_forward(config: &mut Config, root: &Node) {
    let items = root.get("interfaces").map_or(&[][..], Node::items);
    let tables: Vec<u32> = config.interfaces.iter().map(|i| i.table).collect();
    let l2tp = &config.l2tp;
    let outgoing = l2tp.outgoing.iter().map(|tunnel| tunnel.payload_table);
    let incoming = l2tp.incoming.iter().map(|tunnel| tunnel.payload_table);
    let payload: Vec<u32> = outgoing.chain(incoming).collect();
    for (interface, item) in config.interfaces.iter_mut().zip(items) {
        if item.get("forward").is_none() {
            let alone = tables.iter().filter(|t| **t == interface.table).count() == 1;
            interface.forward = !alone || payload.contains(&interface.table);
        }
    }
}

fn resolve_routes(config: &mut Config, root: &Node) {
    let sets = &config.ha_sets;
    let of_set = |set: Option<usize>| set.and_then(|set| sets.get(set)?.routes.clone());
    let l2tp = root.get("l2tp");
    let list = |key: &str| {
        l2tp.and_then(|node| node.get(key))
            .map_or(&[][..], Node::items)
    };
    let interfaces = &config.interfaces;
    for (tunnel, item) in config.l2tp.outgoing.iter_mut().zip(list("outgoing")) {
        if item.get("routes").is_none() {
            tunnel.routes = of_set(tunnel.ha_set)
                .unwrap_or_else(|| default_routes(interfaces, tunnel.payload_table));
        }
    }
    for (tunnel, item) in config.l2tp.incoming.iter_mut().zip(list("incoming")) {
        let items = item.get("match").map_or(&[][..], Node::items);
        for (login, item) in tunnel.matches.iter_mut().zip(items) {
            if item.get("routes").is_none() {
                login.routes = of_set(login.ha_set).unwrap_or_default();
            }
        }
    }
}

/// The default route of each family that a table has own addresses of, or may get.
fn default_routes(interfaces: &[Interface], table: u32) -> Vec<Prefix> {
    let mut of_table = interfaces
        .iter()
        .filter(|interface| interface.table == table);
    match (
        of_table.clone().any(Interface::may_have_ipv4),
        of_table.any(Interface::may_have_ipv6),
    ) {
        (true, true) => vec![DEFAULT_ROUTE, DEFAULT_ROUTE_IPV6],
        (false, true) => vec![DEFAULT_ROUTE_IPV6],
        (_, false) => vec![DEFAULT_ROUTE],
    }
}

fn resolve_incoming(config: &mut Config) {
    for tunnel in &mut config.l2tp.incoming {
        if tunnel.local_hostname.is_empty() {
            tunnel.local_hostname.clone_from(&config.name);
        }
        if !tunnel.local_ip_given {
            let table = tunnel.payload_table;
            let mut remotes = tunnel.matches.iter().map(|login| login.remote_ip.into());
            let near = remotes.find_map(|remote| connected(&config.interfaces, table, remote));
            let of_table = |interface: &&Interface| interface.table == table;
            let near = near.and_then(|place| config.interfaces.get(place));
            let interfaces = near
                .into_iter()
                .chain(config.interfaces.iter().filter(of_table));
            let own = interfaces.flat_map(|interface| &interface.addresses);
            if let Some(IpAddr::V4(own)) = own.map(|own| own.address).find(IpAddr::is_ipv4) {
                tunnel.local_ip = own;
            }
        }
    }
}
