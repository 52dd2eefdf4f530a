//! What each value alone cannot show: whether the parts of a file fit together.
//!
//! A check looks only at what was read without error, so that one mistake is
//! not reported again as its consequences.

mod alarms;
mod interfaces;
mod management;
mod memory;
mod ppp;
mod tunnels;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use dataplane::command::Prefix;

use super::addresses::is_link_local;
use super::model::{Config, Device, Interface, Via};
use super::problem::Problems;
use super::resolve::connected;
use super::sections::{DEFAULT_ROUTE, DEFAULT_ROUTE_IPV6};
use super::tree::{Node, Path};

/// Reports everything that does not fit together.
pub(crate) fn check(config: &Config, root: &Node, problems: &mut Problems<'_>) {
    let mut checker = Checker {
        config,
        root,
        problems,
    };
    checker.names();
    checker.ports();
    checker.interfaces();
    checker.tunnels();
    checker.static_routes();
    checker.route_owners();
    checker.neighbours();
    checker.memory();
    checker.alarms();
    checker.http();
}

/// Who a route leads to. Two different ones cannot share a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Connected(usize),
    Gateway(usize),
    Static(usize),
    /// An outgoing tunnel that is in no set.
    Outgoing(usize),
    /// The outgoing links of a set.
    OutgoingSet(usize),
    /// A remote of an incoming: its number, its set and its address.
    Remote(usize, Option<usize>, Ipv4Addr),
}

/// A route with what it depends on.
struct OwnedRoute {
    /// Table and prefix.
    network: (u32, Prefix),
    owner: Owner,
    /// Where it stands.
    place: Path,
    /// Keys that must have been read for the owner and table to be true.
    depends: Vec<Path>,
}

struct Checker<'c, 'p, 't> {
    config: &'c Config,
    root: &'c Node,
    problems: &'p mut Problems<'t>,
}

fn top(key: &str) -> Path {
    Path::default().key(key)
}

fn outgoing(index: usize) -> Path {
    top("l2tp").key("outgoing").index(index)
}

fn incoming(index: usize) -> Path {
    top("l2tp").key("incoming").index(index)
}

fn login(index: usize, login: usize) -> Path {
    incoming(index).key("match").index(login)
}

fn show(prefix: Prefix) -> String {
    format!("{}/{}", prefix.address, prefix.length)
}

/// Whether two networks have addresses in common.
fn overlap(one: Prefix, two: Prefix) -> bool {
    one.contains(two.address) || two.contains(one.address)
}

impl Checker<'_, '_, '_> {
    fn line(&self, path: &Path) -> usize {
        self.root.locate(path).line
    }

    /// Whether the file has something at this path.
    fn says(&self, path: &Path) -> bool {
        self.root.find(path).is_some()
    }

    /// Reports the later of two things that share what they must not share.
    fn unique(&mut self, what: &str, things: &[(String, Path)], remedy: &str) {
        let mut first: BTreeMap<&str, &Path> = BTreeMap::new();
        for (text, path) in things {
            if text.is_empty() || !self.problems.sound(path) {
                continue;
            }
            match first.get(text.as_str()) {
                Some(other) => {
                    let line = self.line(other);
                    self.problems.error(
                        path,
                        format!("{what} \"{text}\" is taken by line {line}"),
                        remedy,
                    );
                }
                None => {
                    first.insert(text, path);
                }
            }
        }
    }

    fn names(&mut self) {
        let config = self.config;
        let list = |key: &str, names: Vec<&String>| -> Vec<(String, Path)> {
            let names = names.into_iter().cloned().enumerate();
            names
                .map(|(index, name)| (name, top(key).index(index).key("name")))
                .collect()
        };
        let another = "give each a name of its own";
        let ports = list(
            "ports",
            config.ports.iter().map(|port| &port.name).collect(),
        );
        self.unique("the port name", &ports, another);
        let interfaces = config.interfaces.iter().map(|interface| &interface.name);
        self.unique(
            "the interface name",
            &list("interfaces", interfaces.collect()),
            another,
        );
        let sets = config.ha_sets.iter().map(|set| &set.name);
        self.unique("the set name", &list("ha-sets", sets.collect()), another);
        self.tunnel_names(another);
    }

    /// Tunnels have names, links have graphs; a graph defaults to another key.
    fn tunnel_names(&mut self, another: &str) {
        let l2tp = &self.config.l2tp;
        let mut names = Vec::new();
        let mut graphs = Vec::new();
        for (index, tunnel) in l2tp.outgoing.iter().enumerate() {
            names.push((tunnel.name.clone(), outgoing(index).key("name")));
            let graph = outgoing(index).key("graph");
            // A default that repeats a name is reported as the name's.
            if self.says(&graph) || self.problems.sound(&outgoing(index).key("name")) {
                graphs.push((tunnel.graph.clone(), graph));
            }
        }
        for (index, tunnel) in l2tp.incoming.iter().enumerate() {
            names.push((tunnel.name.clone(), incoming(index).key("name")));
            for (number, link) in tunnel.matches.iter().enumerate() {
                let graph = login(index, number).key("graph");
                if self.says(&graph) {
                    graphs.push((link.graph.clone(), graph));
                }
            }
        }
        self.unique("the tunnel name", &names, another);
        self.unique("the graph", &graphs, "give each link a graph of its own");
    }

    fn ports(&mut self) {
        let config = self.config;
        if !self.says(&top("ports")) {
            self.problems.missing(
                &top("ports"),
                "add `ports:` with a { name, device } for each NIC",
            );
        }
        let devices: Vec<(String, Path)> = (config.ports.iter().enumerate())
            .map(|(index, port)| {
                let (Device::Pci(text) | Device::Interface(text) | Device::Vdev(text)) =
                    &port.device;
                (text.clone(), top("ports").index(index).key("device"))
            })
            .collect();
        self.unique("the device", &devices, "give each port a device of its own");
        if !self.problems.sound(&top("interfaces")) {
            return;
        }
        for (index, port) in config.ports.iter().enumerate() {
            if !config
                .interfaces
                .iter()
                .any(|interface| interface.port == index)
            {
                self.problems.warning(
                    &top("ports").index(index),
                    format!(
                        "no interface uses port \"{}\": all its frames are dropped",
                        port.name
                    ),
                    "add an interface on it, or take the port away",
                );
            }
        }
    }

    /// Whether what is known of a table's interfaces is all true.
    fn interfaces_sound(&self) -> bool {
        self.problems.sound(&top("interfaces"))
    }

    fn is_own(&self, address: IpAddr) -> Option<&Interface> {
        let has =
            |interface: &&Interface| interface.addresses.iter().any(|own| own.address == address);
        self.config.interfaces.iter().find(has)
    }

    fn static_routes(&mut self) {
        let config = self.config;
        for (index, route) in config.routes.iter().enumerate() {
            let path = top("routes").index(index);
            let via = path.key("via");
            if !self.problems.sound(&via) || !self.problems.sound(&path.key("table")) {
                continue;
            }
            match route.via {
                Via::Gateway { address, .. } if address.is_ipv4() != route.to.address.is_ipv4() => {
                    self.problems.error(
                        &via,
                        format!(
                            "{} and {address} are not of the same family",
                            show(route.to)
                        ),
                        "write a neighbour's address of the network's own family",
                    );
                }
                Via::Gateway { interface, address } if is_link_local(address) => {
                    self.route_via_interface(&via, interface, route.table);
                }
                Via::Gateway { address, .. } => {
                    let found = connected(&config.interfaces, route.table, address);
                    if found.is_none() && self.interfaces_sound() {
                        self.problems.error(
                            &via,
                            format!(
                                "no interface of table {} is connected to {address}",
                                route.table
                            ),
                            "write a neighbour's address, or the table that its interface is in",
                        );
                    }
                }
                Via::Interface(interface) => {
                    self.route_via_interface(&via, interface, route.table);
                }
                Via::HaSet(set) => self.route_via_set(&via, set),
                Via::Blackhole => {}
            }
        }
    }

    fn route_via_interface(&mut self, via: &Path, interface: usize, table: u32) {
        let interface = &self.config.interfaces[interface];
        if interface.table != table && self.interfaces_sound() {
            self.problems.error(
                via,
                format!(
                    "interface \"{}\" is in table {}, the route in table {table}",
                    interface.name, interface.table
                ),
                "use an interface of the route's own table",
            );
        }
    }

    /// Whether it is known of every link which set it is in.
    fn links_known(&self) -> bool {
        let l2tp = &self.config.l2tp;
        let sound = |path: Path| self.problems.sound(&path.key("ha-set"));
        let matches = (l2tp.incoming.iter().enumerate()).flat_map(|(index, tunnel)| {
            (0..tunnel.matches.len()).map(move |number| login(index, number))
        });
        self.problems.readable(&top("l2tp").key("outgoing"))
            && self.problems.readable(&top("l2tp").key("incoming"))
            && (0..l2tp.outgoing.len()).map(outgoing).all(sound)
            && (0..l2tp.incoming.len()).map(incoming).all(|path| {
                self.problems.readable(&path.key("match"))
                    && self.problems.sound(&path.key("ha-set"))
            })
            && matches
                .map(|path| path.key("ha-set"))
                .all(|path| self.problems.sound(&path))
    }

    fn route_via_set(&mut self, via: &Path, set: usize) {
        if !self.links_known() {
            return;
        }
        let name = &self.config.ha_sets[set].name;
        match self.remotes(set).len() {
            0 => self.problems.error(
                via,
                format!("no link is in set \"{name}\""),
                "name a set that an `outgoing`, `incoming` or `match` has as its `ha-set`",
            ),
            1 => {}
            count => self.problems.error(
                via,
                format!(
                    "set \"{name}\" has {count} remotes, so that it is not clear which is meant"
                ),
                "put the network into the `routes` of that remote's `match` lines",
            ),
        }
    }

    /// Everybody that a set leads to.
    fn remotes(&self, set: usize) -> Vec<Owner> {
        let mut remotes = Vec::new();
        let l2tp = &self.config.l2tp;
        if l2tp
            .outgoing
            .iter()
            .any(|tunnel| tunnel.ha_set == Some(set))
        {
            remotes.push(Owner::OutgoingSet(set));
        }
        for (index, tunnel) in l2tp.incoming.iter().enumerate() {
            for link in tunnel
                .matches
                .iter()
                .filter(|link| link.ha_set == Some(set))
            {
                let remote = Owner::Remote(index, Some(set), link.remote_ip);
                if !remotes.contains(&remote) {
                    remotes.push(remote);
                }
            }
        }
        remotes
    }

    /// All routes of the file with who they lead to and where they stand.
    fn owned_routes(&self) -> Vec<OwnedRoute> {
        let mut routes = Vec::new();
        self.routes_of_interfaces(&mut routes);
        self.routes_of_tunnels(&mut routes);
        for (index, route) in self.config.routes.iter().enumerate() {
            let path = top("routes").index(index);
            let owner = match route.via {
                Via::HaSet(set) => self.remotes(set).pop().unwrap_or(Owner::Static(index)),
                _ => Owner::Static(index),
            };
            routes.push(OwnedRoute {
                network: (route.table, route.to),
                owner,
                place: path.key("to"),
                depends: vec![path.key("table"), path.key("via")],
            });
        }
        routes
    }

    fn routes_of_interfaces(&self, routes: &mut Vec<OwnedRoute>) {
        for (index, interface) in self.config.interfaces.iter().enumerate() {
            let path = top("interfaces").index(index);
            let mut push = |prefix, owner, place| {
                routes.push(OwnedRoute {
                    network: (interface.table, prefix),
                    owner,
                    place: path.key(place),
                    depends: vec![path.key("table")],
                });
            };
            for own in &interface.addresses {
                push(own.network(), Owner::Connected(index), "addresses");
            }
            for gateway in &interface.gateways {
                let everything = if gateway.is_ipv4() {
                    DEFAULT_ROUTE
                } else {
                    DEFAULT_ROUTE_IPV6
                };
                push(everything, Owner::Gateway(index), "gateway");
            }
        }
    }

    fn routes_of_tunnels(&self, routes: &mut Vec<OwnedRoute>) {
        let l2tp = &self.config.l2tp;
        for (index, tunnel) in l2tp.outgoing.iter().enumerate() {
            let path = outgoing(index);
            let owner = tunnel
                .ha_set
                .map_or(Owner::Outgoing(index), Owner::OutgoingSet);
            routes.extend(tunnel.routes.iter().map(|prefix| OwnedRoute {
                network: (tunnel.payload_table, *prefix),
                owner,
                place: path.key("routes"),
                depends: vec![path.key("payload-table"), path.key("ha-set")],
            }));
        }
        for (index, tunnel) in l2tp.incoming.iter().enumerate() {
            for (number, link) in tunnel.matches.iter().enumerate() {
                let path = login(index, number);
                let address = Prefix::host(link.remote_ip);
                let places = std::iter::once((address, "remote-ip"))
                    .chain(link.routes.iter().map(|prefix| (*prefix, "routes")));
                routes.extend(places.map(|(prefix, place)| OwnedRoute {
                    network: (tunnel.payload_table, prefix),
                    owner: Owner::Remote(index, link.ha_set, link.remote_ip),
                    place: path.key(place),
                    depends: vec![
                        incoming(index).key("payload-table"),
                        incoming(index).key("ha-set"),
                        path.key("ha-set"),
                        path.key("remote-ip"),
                    ],
                }));
            }
        }
    }

    /// One network of one table cannot lead to two places.
    fn route_owners(&mut self) {
        let mut first: BTreeMap<(u32, Prefix), (Owner, Path)> = BTreeMap::new();
        for route in self.owned_routes() {
            let sound = |path: &Path| self.problems.sound(path);
            if !sound(&route.place) || !route.depends.iter().all(sound) {
                continue;
            }
            let Some((other, place)) = first.get(&route.network) else {
                first.insert(route.network, (route.owner, route.place));
                continue;
            };
            // Overlapping interfaces are reported as such.
            let connected = |owner| matches!(owner, Owner::Connected(_));
            if *other == route.owner || (connected(*other) && connected(route.owner)) {
                continue;
            }
            let line = self.line(place);
            let (table, prefix) = route.network;
            let remedy = if connected(*other) {
                "that network is connected here; route the far end's networks"
            } else {
                "keep one of the two; links that carry the same packets belong in one `ha-set`"
            };
            let message = format!(
                "{} of table {table} already leads elsewhere by line {line}",
                show(prefix)
            );
            self.problems.error(&route.place, message, remedy);
        }
    }
}
