//! For which addresses besides our own we answer who asks on a LAN (RFC 1027;
//! RFC 4861, 7.2.8).

use std::collections::HashMap;
use std::net::IpAddr;

use dataplane::command::{NextHop, Prefix, TableId};

/// The routes as a proxy needs them: where does an address lead? Told of
/// every route that the workers are told of.
///
/// An address inside a subnet that is connected to the asking interface is
/// answered for when the longest matching route leads into a tunnel: the
/// `remote-ip` of a link, or a route to the far end, that lies in the LAN's own
/// subnet. A default route into a tunnel never makes us answer, since the
/// connected subnet is longer.
#[derive(Debug, Default)]
pub struct Proxy {
    routes: HashMap<(TableId, Prefix), NextHop>,
}

impl Proxy {
    /// Adds a route or changes where it leads.
    pub fn set_route(&mut self, table: TableId, prefix: Prefix, next_hop: NextHop) {
        self.routes.insert((table, prefix), next_hop);
    }

    pub fn remove_route(&mut self, table: TableId, prefix: Prefix) {
        self.routes.remove(&(table, prefix));
    }

    /// Whether packets for `address` in `table` go into a tunnel.
    #[must_use]
    pub fn leads_into_tunnel(&self, table: TableId, address: IpAddr) -> bool {
        let longest = (0..=Prefix::host(address).length)
            .rev()
            .find_map(|length| self.routes.get(&(table, Prefix::new(address, length))));
        matches!(longest, Some(NextHop::Session(_) | NextHop::Set(_)))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use dataplane::command::{InterfaceId, SetId};

    use super::*;

    const MAIN: TableId = TableId(0);
    const LAN: NextHop = NextHop::Interface {
        interface: InterfaceId(0),
        via: None,
    };
    const TUNNEL: NextHop = NextHop::Set(SetId(0));

    fn prefix(address: [u8; 4], length: u8) -> Prefix {
        Prefix::new(Ipv4Addr::from(address), length)
    }

    fn leads(proxy: &Proxy, address: [u8; 4]) -> bool {
        proxy.leads_into_tunnel(MAIN, address.into())
    }

    #[test]
    fn the_longest_route_decides() {
        let mut proxy = Proxy::default();
        proxy.set_route(MAIN, prefix([0, 0, 0, 0], 0), TUNNEL);
        proxy.set_route(MAIN, prefix([192, 168, 1, 0], 24), LAN);
        proxy.set_route(MAIN, prefix([192, 168, 1, 2], 32), TUNNEL);
        proxy.set_route(MAIN, prefix([192, 168, 1, 64], 28), TUNNEL);
        proxy.set_route(MAIN, prefix([192, 168, 1, 65], 32), NextHop::Blackhole);

        assert!(leads(&proxy, [192, 168, 1, 2]), "the remote-ip");
        assert!(leads(&proxy, [192, 168, 1, 70]), "a route to the far end");
        assert!(!leads(&proxy, [192, 168, 1, 3]), "a host of the LAN");
        assert!(!leads(&proxy, [192, 168, 1, 80]), "just past the route");
        assert!(!leads(&proxy, [192, 168, 1, 65]), "a blackhole inside it");
        assert!(leads(&proxy, [8, 8, 8, 8]), "the default route");
    }

    #[test]
    fn the_families_are_apart() {
        let mut proxy = Proxy::default();
        let address: Ipv6Addr = "2001:db8::5".parse().expect("an address");
        proxy.set_route(MAIN, prefix([0, 0, 0, 0], 0), TUNNEL);
        assert!(!proxy.leads_into_tunnel(MAIN, address.into()));
        proxy.set_route(MAIN, Prefix::new(address, 64), LAN);
        proxy.set_route(MAIN, Prefix::new(address, 126), TUNNEL);
        assert!(proxy.leads_into_tunnel(MAIN, address.into()));
        let next = Ipv6Addr::from_bits(address.to_bits() + 4);
        assert!(!proxy.leads_into_tunnel(MAIN, next.into()));
    }

    #[test]
    fn tables_are_apart_and_removal_withdraws() {
        let mut proxy = Proxy::default();
        let remote = prefix([192, 168, 1, 2], 32);
        proxy.set_route(TableId(7), remote, TUNNEL);
        assert!(!leads(&proxy, [192, 168, 1, 2]));
        proxy.set_route(MAIN, remote, TUNNEL);
        assert!(leads(&proxy, [192, 168, 1, 2]));
        proxy.remove_route(MAIN, remote);
        assert!(!leads(&proxy, [192, 168, 1, 2]));
    }
}
