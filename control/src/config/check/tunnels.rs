//! Checks of the tunnels, their logins and their sets.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use dataplane::command::Prefix;
use dataplane::headers::{encapsulation, ipv6};

use super::{Checker, incoming, login, outgoing, show, top};
use crate::config::model::{Incoming, Interface, Match, Outgoing, Via};
use crate::config::tree::Path;
use crate::l2tp::Peering;

/// A link that takes longer to be known dead keeps its share of the copies,
/// and its set believes itself protected.
const SLOW_LCP_TIMEOUT: Duration = Duration::from_secs(10);

impl Checker<'_, '_, '_> {
    pub(super) fn tunnels(&mut self) {
        let l2tp = &self.config.l2tp;
        if l2tp.outgoing.is_empty() && l2tp.incoming.is_empty() && self.problems.sound(&top("l2tp"))
        {
            self.problems.warning(
                &top("l2tp"),
                "there are no tunnels",
                "add `l2tp:` with `outgoing:` or `incoming:` tunnels",
            );
        }
        for (index, tunnel) in l2tp.outgoing.iter().enumerate() {
            self.outgoing(index, tunnel);
        }
        for (index, tunnel) in l2tp.incoming.iter().enumerate() {
            self.incoming(index, tunnel);
        }
        self.incoming_names();
        for set in 0..self.config.ha_sets.len() {
            self.set(set);
        }
    }

    fn outgoing(&mut self, index: usize, tunnel: &Outgoing) {
        let path = outgoing(index);
        self.secret(&path, tunnel.secret.is_some());
        self.peering(
            &path,
            &tunnel.peering,
            tunnel.secret.is_some(),
            tunnel.ha_set.is_some(),
        );
        self.lcp(
            &path,
            tunnel.lcp_rate,
            tunnel.lcp_timeout,
            tunnel.ha_set.is_some(),
        );
        if !self.problems.sound(&path.key("table")) || !self.interfaces_sound() {
            return;
        }
        let config = self.config;
        let of_table = |interface: &&Interface| interface.table == tunnel.table;
        let interfaces: Vec<&Interface> = config.interfaces.iter().filter(of_table).collect();
        if interfaces.is_empty() {
            self.problems.error(
                &path.key("table"),
                format!(
                    "no interface is in table {}, in which this tunnel is to travel",
                    tunnel.table
                ),
                "write the table of the ISP's interface, or add an interface with that table",
            );
            return;
        }
        self.source(&path, tunnel);
        self.server(&path, tunnel, &interfaces);
        self.link_mtu(&path, tunnel, &interfaces);
    }

    fn secret(&mut self, path: &Path, given: bool) {
        if !given && self.problems.sound(&path.key("secret")) {
            self.problems.warning(
                &path.key("secret"),
                "there is no secret: anybody who can send from the peer's address can set up this tunnel",
                "add the same `secret: ` at both ends",
            );
        }
    }

    fn peering(&mut self, path: &Path, peering: &Peering, has_secret: bool, in_set: bool) {
        let wrong = [
            (
                "hide-avps",
                peering.hide_avps && !has_secret && self.problems.sound(&path.key("secret")),
                "AVPs are hidden with the secret, and there is none",
                "add `secret: `, or take the key away",
            ),
            (
                "vendor-avps",
                !peering.vendor_avps && in_set,
                "a set is agreed on in an AVP of a vendor",
                "take the key away, or `ha-set`",
            ),
            (
                "sequencing",
                peering.sequencing && in_set,
                "packets of a set have numbers of their own, and no others",
                "take the key away, or `ha-set`",
            ),
        ];
        for (key, is_wrong, message, remedy) in wrong {
            let key = path.key(key);
            if is_wrong && self.problems.sound(&key) {
                self.problems.error(&key, message, remedy);
            }
        }
    }

    fn lcp(&mut self, path: &Path, rate: Duration, timeout: Duration, in_set: bool) {
        let key = path.key("lcp-timeout");
        if !self.problems.sound(&key) || !self.problems.sound(&path.key("lcp-rate")) {
            return;
        }
        let (rate, timeout_s) = (rate.as_secs(), timeout.as_secs());
        if timeout_s <= rate {
            self.problems.error(
                &key,
                format!("a link would be dead after {timeout_s} s, before the answer to an echo every {rate} s is missed"),
                format!("write at least {}, better five times the `lcp-rate`", rate + 1),
            );
        } else if in_set && !self.says(&key) {
            self.problems.warning(
                &key,
                format!(
                    "there is no lcp-timeout: a dead link of the set is noticed after {timeout_s} s"
                ),
                "add `lcp-timeout: 5`",
            );
        } else if in_set && timeout > SLOW_LCP_TIMEOUT {
            self.problems.warning(
                &key,
                format!("a dead link of the set is noticed after {timeout_s} s only"),
                "write 10 or less; 5 is usual",
            );
        }
    }

    fn source(&mut self, path: &Path, tunnel: &Outgoing) {
        let key = &path.key("source");
        let Some(source) = tunnel.source.filter(|_| self.problems.sound(key)) else {
            return;
        };
        let server = tunnel.server.address();
        let other_family = server.filter(|server| source.is_ipv4() != server.is_ipv4());
        if let Some(server) = other_family.filter(|_| self.problems.sound(&path.key("server"))) {
            self.problems.error(
                key,
                format!("{source} and the server {server} are not of the same family"),
                "use an own address of the server's family, or take the key away",
            );
            return;
        }
        match self.is_own(source) {
            Some(interface) if interface.table == tunnel.table => {}
            Some(interface) => {
                let message = format!(
                    "{source} belongs to interface \"{}\" in table {}, and the tunnel travels in table {}",
                    interface.name, interface.table, tunnel.table
                );
                self.problems
                    .error(key, message, "use an own address of the tunnel's `table`");
            }
            None => self.problems.error(
                key,
                format!("{source} is not one of our addresses"),
                "use an address of an interface in the tunnel's `table`, or take the key away",
            ),
        }
    }

    fn server(&mut self, path: &Path, tunnel: &Outgoing, interfaces: &[&Interface]) {
        let key = path.key("server");
        // Of a name nothing is known before it is looked up.
        let Some(server) = tunnel
            .server
            .address()
            .filter(|_| self.problems.sound(&key))
        else {
            return;
        };
        if self.is_own(server).is_some() {
            self.problems.error(
                &key,
                format!("{server} is our own address"),
                "write the public address of the far end",
            );
            return;
        }
        let family = family(server);
        let has_family = |interface: &&Interface| match server {
            IpAddr::V4(_) => interface.may_have_ipv4(),
            IpAddr::V6(_) => interface.may_have_ipv6(),
        };
        if !interfaces.iter().any(has_family) {
            self.problems.error(
                &key,
                format!("{server} is of {family}, and table {} has no address of {family} to send from", tunnel.table),
                format!("add an address of {family} to the ISP's interface, or write a server of the other family"),
            );
            return;
        }
        let Some(length) = self.reach(tunnel.table, server) else {
            if self.problems.sound(&top("routes")) {
                self.problems.error(
                    &key,
                    format!("table {} has no route to {server}", tunnel.table),
                    "add a `gateway` to the interface of that table, or a route",
                );
            }
            return;
        };
        let swallows = |route: &&Prefix| route.contains(server) && route.length >= length;
        let routes_sound = self.problems.sound(&path.key("routes"));
        if tunnel.table == tunnel.payload_table
            && routes_sound
            && self.problems.sound(&path.key("payload-table"))
            && let Some(route) = tunnel.routes.iter().find(swallows)
        {
            self.problems.error(
                    &path.key("payload-table"),
                    format!(
                        "`table` and `payload-table` are both {}, and {} leads into the tunnel: the tunnel's own packets to {server} would too",
                        tunnel.table,
                        show(*route)
                    ),
                    "put the ISP's interface and `table` into a table of their own, or write `routes` that leave the server out",
                );
        }
    }

    /// Length of the longest route to an address that is not into a tunnel.
    fn reach(&self, table: u32, address: IpAddr) -> Option<u8> {
        let config = self.config;
        let interfaces = config
            .interfaces
            .iter()
            .filter(|interface| interface.table == table);
        let mut lengths: Vec<u8> = Vec::new();
        for interface in interfaces {
            let networks = interface.addresses.iter().map(|own| own.network());
            lengths.extend(networks.filter(|n| n.contains(address)).map(|n| n.length));
            let mut gateways = interface.gateways.iter();
            let by_gateway = gateways.any(|gateway| gateway.is_ipv4() == address.is_ipv4())
                || match address {
                    IpAddr::V4(_) => interface.asks_for_ipv4(),
                    IpAddr::V6(_) => interface.asks_for_ipv6(),
                };
            lengths.extend(by_gateway.then_some(0));
        }
        let routes = config.routes.iter().filter(|route| route.table == table);
        let routes = routes.filter(|route| route.to.contains(address));
        lengths.extend(routes.map(|route| route.to.length));
        lengths.into_iter().max()
    }

    fn link_mtu(&mut self, path: &Path, tunnel: &Outgoing, interfaces: &[&Interface]) {
        let key = path.key("mtu");
        let sound = self.problems.sound(&key) && self.problems.sound(&path.key("server"));
        let Some(mtu) = tunnel.mtu.filter(|_| sound) else {
            return;
        };
        // Address, UDP, L2TP with offset, HA header, PPP.
        let overhead = match tunnel.server.address() {
            Some(IpAddr::V6(_)) => encapsulation::HA_OCTETS + encapsulation::IPV6_EXTRA_OCTETS,
            _ => encapsulation::HA_OCTETS,
        };
        let room = interfaces
            .iter()
            .filter_map(|interface| interface.mtu)
            .map(usize::from)
            .max();
        if let Some(room) = room.filter(|room| usize::from(mtu) > room.saturating_sub(overhead)) {
            self.problems.error(
                &key,
                format!("packets of {mtu} octets, and {overhead} around them, do not fit the interface's mtu of {room}"),
                format!("write {} or less", room.saturating_sub(overhead)),
            );
        }
    }

    fn incoming(&mut self, index: usize, tunnel: &Incoming) {
        let path = incoming(index);
        self.secret(&path, tunnel.secret.is_some());
        self.ppp(index, tunnel);
        let in_set = tunnel.matches.iter().any(|link| link.ha_set.is_some());
        self.peering(&path, &tunnel.peering, tunnel.secret.is_some(), in_set);
        self.lcp(&path, tunnel.lcp_rate, tunnel.lcp_timeout, in_set);
        if self.interfaces_sound() {
            self.listen(&path, tunnel);
            self.local_ip(&path, tunnel);
        }
        let usernames: Vec<(String, Path)> = (tunnel.matches.iter().enumerate())
            .map(|(number, link)| (link.username.clone(), login(index, number).key("username")))
            .collect();
        self.unique(
            "the username",
            &usernames,
            "give each link a username of its own: the first `match` would take all",
        );
        for (number, link) in tunnel.matches.iter().enumerate() {
            self.remote_ip(&login(index, number).key("remote-ip"), tunnel, link);
        }
        self.remotes_of(index, tunnel);
    }

    fn listen(&mut self, path: &Path, tunnel: &Incoming) {
        let config = self.config;
        let table_key = path.key("table");
        if let Some(table) = tunnel.table.filter(|_| self.problems.sound(&table_key))
            && !config
                .interfaces
                .iter()
                .any(|interface| interface.table == table)
        {
            self.problems.error(
                    &table_key,
                    format!("no interface is in table {table}"),
                    "write the table of the interface that the tunnels come in by, or take the key away",
                );
        }
        for (place, address) in tunnel.listen.iter().enumerate() {
            let key = path.key("listen").index(place);
            if !self.problems.sound(&key) {
                continue;
            }
            let wrong = match (self.is_own(*address), tunnel.table) {
                (None, _) => Some(format!("{address} is not one of our addresses")),
                (Some(interface), Some(table)) if interface.table != table => Some(format!(
                    "{address} belongs to interface \"{}\" in table {}, not in table {table}",
                    interface.name, interface.table
                )),
                _ => None,
            };
            if let Some(wrong) = wrong {
                self.problems.error(
                    &key,
                    wrong,
                    "write an own address, or take `listen` away to listen on all",
                );
            }
        }
    }

    fn local_ip(&mut self, path: &Path, tunnel: &Incoming) {
        let table = tunnel.payload_table;
        if tunnel.local_ip.is_unspecified()
            && self.problems.sound(&path.key("local-ip"))
            && self.problems.sound(&path.key("payload-table"))
        {
            self.problems.error(
                &path.key("local-ip"),
                format!(
                    "payload table {table} has no own IPv4 address that could be ours inside the tunnel"
                ),
                "add `local-ip: ` and an address, or write the LAN's table as `payload-table`",
            );
        }
    }

    fn remote_ip(&mut self, key: &Path, tunnel: &Incoming, link: &Match) {
        if !self.problems.sound(key) || !self.interfaces_sound() {
            return;
        }
        if link.remote_ip == tunnel.local_ip || self.is_own(link.remote_ip.into()).is_some() {
            self.problems.error(
                key,
                format!("{} is our own address", link.remote_ip),
                "write an address that only the far end has",
            );
        }
    }

    /// Two `incoming` that accept the same host name on the same address.
    fn incoming_names(&mut self) {
        let tunnels = &self.config.l2tp.incoming;
        for (index, tunnel) in tunnels.iter().enumerate() {
            let key = incoming(index).key("remote-hostname");
            let same = tunnels[..index].iter().find(|other| {
                let tables = other
                    .table
                    .zip(tunnel.table)
                    .is_none_or(|(one, two)| one == two);
                let addresses = other.listen.is_empty()
                    || tunnel.listen.is_empty()
                    || other
                        .listen
                        .iter()
                        .any(|address| tunnel.listen.contains(address));
                other.remote_hostname == tunnel.remote_hostname && tables && addresses
            });
            if let Some(same) = same.filter(|_| self.problems.sound(&key)) {
                let who = tunnel.remote_hostname.as_ref().map_or_else(
                    || "any host name".to_owned(),
                    |name| format!("the host name \"{name}\""),
                );
                self.problems.error(
                    &key,
                    format!("incoming \"{}\" already accepts {who} there, so this one is never used", same.name),
                    "write another `remote-hostname`, other `listen` addresses, or put the `match` lines together",
                );
            }
        }
    }

    /// The links of one remote belong together; each remote should have several.
    fn remotes_of(&mut self, index: usize, tunnel: &Incoming) {
        let mut seen: Vec<(Option<usize>, Ipv4Addr)> = Vec::new();
        for (number, link) in tunnel.matches.iter().enumerate() {
            let path = login(index, number);
            let remote = (link.ha_set, link.remote_ip);
            let Some(set) = link
                .ha_set
                .filter(|_| self.problems.sound(&path.key("remote-ip")))
            else {
                continue;
            };
            self.routes_of_set(set, &path.key("routes"), &link.routes);
            if seen.contains(&remote) {
                continue;
            }
            seen.push(remote);
            let members = tunnel.matches.iter().enumerate();
            let members: Vec<(usize, &Match)> = members
                .filter(|(_, other)| (other.ha_set, other.remote_ip) == remote)
                .collect();
            let links: Vec<(Path, &[Prefix])> = members
                .iter()
                .map(|(number, link)| (login(index, *number).key("routes"), &link.routes[..]))
                .collect();
            self.routes_agree(&links);
            // A match that could not be read may be the second link.
            if members.len() == 1 && self.links_known() && self.remote_ips_known(index) {
                self.problems.warning(
                    &path,
                    format!(
                        "the remote {} has one link in set \"{}\": nothing protects its packets",
                        link.remote_ip, self.config.ha_sets[set].name
                    ),
                    "add a `match` with the same `remote-ip` and another username",
                );
            }
        }
    }

    fn remote_ips_known(&self, index: usize) -> bool {
        let matches = 0..self.config.l2tp.incoming[index].matches.len();
        let mut keys = matches.map(|number| login(index, number).key("remote-ip"));
        keys.all(|key| self.problems.sound(&key))
    }

    /// Routes that stand on the set and on a link must be the same.
    fn routes_of_set(&mut self, set: usize, key: &Path, routes: &[Prefix]) {
        let sound = self.problems.sound(key)
            && self
                .problems
                .sound(&top("ha-sets").index(set).key("routes"));
        let of_set = self.config.ha_sets[set].routes.as_deref();
        if sound && of_set.is_some_and(|of_set| !same(of_set, routes)) {
            self.problems.error(
                key,
                format!(
                    "these routes are not those of set \"{}\"",
                    self.config.ha_sets[set].name
                ),
                "let the routes stand on the set alone",
            );
        }
    }

    /// Every link of a set must lead to the same networks: each packet takes all of them.
    fn routes_agree(&mut self, links: &[(Path, &[Prefix])]) {
        let mut sound = links.iter().filter(|(key, _)| self.problems.sound(key));
        let Some((first, routes)) = sound.next() else {
            return;
        };
        let differing: Vec<Path> = sound
            .filter(|(_, others)| !same(routes, others))
            .map(|(key, _)| key.clone())
            .collect();
        let line = self.line(first);
        let list: Vec<String> = routes.iter().map(|route| show(*route)).collect();
        for key in differing {
            self.problems.error(
                &key,
                format!(
                    "the set's link of line {line} leads to {}, this one does not lead to the same",
                    if list.is_empty() {
                        "no network".to_owned()
                    } else {
                        list.join(", ")
                    }
                ),
                "write the same `routes` on every link of the set, or once on the set",
            );
        }
    }

    fn set(&mut self, set: usize) {
        let config = self.config;
        let links = config.l2tp.outgoing.iter().enumerate();
        let links: Vec<(usize, &Outgoing)> = links
            .filter(|(_, tunnel)| tunnel.ha_set == Some(set))
            .collect();
        self.number_of_links(set, links.len());
        self.set_mtu(set);
        for (index, tunnel) in &links {
            self.routes_of_set(set, &outgoing(*index).key("routes"), &tunnel.routes);
        }
        if config.ha_sets[set].routes.is_none() {
            let routes = links.iter();
            let routes: Vec<(Path, &[Prefix])> = routes
                .map(|(index, tunnel)| (outgoing(*index).key("routes"), &tunnel.routes[..]))
                .collect();
            self.routes_agree(&routes);
        }
        for (place, (index, tunnel)) in links.iter().enumerate() {
            for (other_index, other) in &links[..place] {
                self.pair_of_links((*index, tunnel), (*other_index, other));
            }
        }
    }

    /// RFC 8200, 5: what IPv6 is routed into carries packets of 1280 octets.
    fn set_mtu(&mut self, set: usize) {
        let (path, mtu) = (top("ha-sets").index(set), self.config.ha_sets[set].mtu);
        let sound = ["routes", "mtu"].map(|key| self.problems.sound(&path.key(key)));
        if mtu >= ipv6::MIN_MTU || sound.contains(&false) || !self.links_known() {
            return;
        }
        let routes = self.routes_into(set);
        if let Some(route) = routes.iter().find(|route| route.address.is_ipv6()) {
            self.problems.error(
                &path.key("mtu"),
                format!(
                    "{mtu} octets are too few for IPv6, and {} leads here",
                    show(*route)
                ),
                format!("write {} or more", ipv6::MIN_MTU),
            );
        }
    }

    /// Everything that is routed into a set.
    fn routes_into(&self, set: usize) -> Vec<Prefix> {
        let config = self.config;
        let outgoing = config.l2tp.outgoing.iter();
        let outgoing = outgoing
            .filter(|tunnel| tunnel.ha_set == Some(set))
            .flat_map(|tunnel| &tunnel.routes);
        let matches = config.l2tp.incoming.iter().flat_map(|it| &it.matches);
        let matches = matches
            .filter(|link| link.ha_set == Some(set))
            .flat_map(|link| &link.routes);
        let statics = config.routes.iter();
        let statics = statics
            .filter(|route| route.via == Via::HaSet(set))
            .map(|route| &route.to);
        outgoing.chain(matches).chain(statics).copied().collect()
    }

    fn number_of_links(&mut self, set: usize, outgoing: usize) {
        if !self.links_known() {
            return;
        }
        let path = top("ha-sets").index(set);
        let name = &self.config.ha_sets[set].name;
        let remotes = self.remotes(set);
        if remotes.is_empty() {
            self.problems.warning(
                &path,
                format!("no link is in set \"{name}\""),
                format!("write `ha-set: {name}` on the links that belong together"),
            );
        } else if outgoing == 1 {
            self.problems.warning(
                &path,
                format!("set \"{name}\" has one outgoing link: nothing protects its packets"),
                "add a second `outgoing` with this `ha-set`, over another ISP",
            );
        }
    }

    /// Two links of one set and the same end.
    fn pair_of_links(
        &mut self,
        (index, tunnel): (usize, &Outgoing),
        (other_index, other): (usize, &Outgoing),
    ) {
        let (path, earlier) = (outgoing(index), outgoing(other_index));
        let both = |checker: &Self, key: &str| {
            checker.problems.sound(&path.key(key)) && checker.problems.sound(&earlier.key(key))
        };
        // Not knowing the server, the same one is likely: both lead to one far end.
        let same_server = !both(self, "server") || tunnel.server == other.server;
        if both(self, "username") && tunnel.username == other.username && same_server {
            self.problems.error(
                &path.key("username"),
                format!(
                    "\"{}\" and \"{}\" of one set log in under one username: the far end takes the second for the first come back",
                    other.name, tunnel.name
                ),
                "give each link a username of its own, and the far end a `match` for each",
            );
        }
        if both(self, "payload-table") && tunnel.payload_table != other.payload_table {
            self.problems.error(
                &path.key("payload-table"),
                format!(
                    "links of one set have different payload tables, {} and {}",
                    other.payload_table, tunnel.payload_table
                ),
                "write the same `payload-table` on every link of the set",
            );
        }
        let same_way = both(self, "table")
            && tunnel.table == other.table
            && tunnel.server == other.server
            && tunnel.source == other.source;
        if same_way && both(self, "server") && both(self, "source") {
            self.problems.warning(
                &path.key("table"),
                format!("\"{}\" and \"{}\" travel by the same table to the same server: they die together", other.name, tunnel.name),
                "put each ISP's interface into a table of its own and each link into another table",
            );
        }
    }
}

fn family(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "IPv4",
        IpAddr::V6(_) => "IPv6",
    }
}

/// Whether two lists hold the same networks, in whatever order.
fn same(one: &[Prefix], two: &[Prefix]) -> bool {
    one.iter().all(|route| two.contains(route)) && two.iter().all(|route| one.contains(route))
}
