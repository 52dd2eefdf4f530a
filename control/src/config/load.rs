//! From the file's tree to a [`Config`].

use std::fs;
use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;

use dataplane::command::Prefix;

use super::decode::{
    Read, Section, Wrong, boolean, choice, comment, host, interface_address, ipv4, mac,
    milliseconds, name, not_yet, number, prefix, reference, seconds, secret, text,
};
use super::model::{
    Config, Dataplane, Device, HaSet, HugePages, Incoming, Interface, L2tp, Management, Match,
    Neighbour, Outgoing, Poll, Port, Route, Via,
};
use super::problem::{Problem, Problems, Severity, Warning};
use super::tree::{self, Node, Path, Value};
use super::{check, pair};
use crate::secret::Secret;

/// The enterprise number that is reserved for documentation (RFC 5612).
pub const DEFAULT_VENDOR_ID: u32 = 32473;
/// Numbers of an elimination window when the file does not say.
pub const DEFAULT_WINDOW: u64 = 1 << 18;
/// How long replaced epochs are received when the file does not say.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(2);
/// Time between LCP echo requests when the file does not say.
pub const DEFAULT_LCP_RATE: Duration = Duration::from_secs(1);
/// Time without an LCP echo reply that ends a link when the file does not say.
pub const DEFAULT_LCP_TIMEOUT: Duration = Duration::from_secs(10);
/// Silence before a HELLO when the file does not say (RFC 2661, 5.5).
pub const DEFAULT_HELLO_INTERVAL: Duration = Duration::from_secs(60);
/// MiB for packet buffers when the file does not say.
pub const DEFAULT_MEMORY_MIB: u32 = 512;

/// Every destination.
pub(crate) const DEFAULT_ROUTE: Prefix = Prefix {
    address: std::net::Ipv4Addr::UNSPECIFIED,
    length: 0,
};
const UNSPECIFIED: std::net::Ipv4Addr = std::net::Ipv4Addr::UNSPECIFIED;

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the file's order, warnings included.
    pub fn load(path: &FilePath) -> Result<(Self, Vec<Warning>), Vec<Problem>> {
        let text = read_text(path).map_err(|problem| vec![problem])?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads and checks the text of a file; `file` is its name in problems.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(file: &str, text: &str) -> Result<(Self, Vec<Warning>), Vec<Problem>> {
        let source = Source::new(file.to_owned(), text);
        let (config, problems) = source.decode();
        let list = problems.into_sorted();
        let errors = list
            .iter()
            .any(|problem| problem.severity == Severity::Error);
        match config {
            Some(config) if !errors => Ok((config, list)),
            _ => Err(list),
        }
    }
}

/// Checks files, each alone and all against each other. Gives everything that
/// was found, file by file.
#[must_use]
pub fn check_files(files: &[PathBuf]) -> Vec<Problem> {
    let sources: Vec<Result<Source, Problem>> = files
        .iter()
        .map(|path| Ok(Source::new(path.display().to_string(), &read_text(path)?)))
        .collect();
    let mut found = Vec::new();
    let mut readable = Vec::new();
    for source in &sources {
        let source = match source {
            Ok(source) => source,
            Err(problem) => {
                found.push(problem.clone());
                continue;
            }
        };
        let (config, problems) = source.decode();
        match config.zip(source.root.as_ref()) {
            Some((config, root)) => readable.push(pair::File {
                name: &source.file,
                root,
                config,
                problems,
            }),
            None => found.extend(problems.into_sorted()),
        }
    }
    pair::check(&mut readable);
    for file in readable {
        found.extend(file.problems.into_sorted());
    }
    found
}

/// A file's name and tree, which problems and values are read from.
struct Source {
    file: String,
    root: Option<Node>,
    faults: Vec<tree::Fault>,
}

impl Source {
    fn new(file: String, text: &str) -> Self {
        let (root, faults) = tree::read(text);
        Self { file, root, faults }
    }

    /// What the file says and what is wrong with it. With errors, the
    /// configuration is only good for looking at what is sound.
    fn decode(&self) -> (Option<Config>, Problems<'_>) {
        let mut problems = Problems::new(&self.file, self.root.as_ref());
        for fault in &self.faults {
            problems.fault(fault);
        }
        let config = self.root.as_ref().map(|root| decode(root, &mut problems));
        if config.is_none() && self.faults.is_empty() {
            problems.fault(&tree::Fault {
                at: tree::Position::START,
                message: "the file is empty".to_owned(),
                remedy: EXAMPLE.to_owned(),
            });
        }
        (config, problems)
    }
}

const EXAMPLE: &str = "configs/reference.yaml is a file that works, with every key explained";

fn read_text(path: &FilePath) -> Result<String, Problem> {
    let file = path.display().to_string();
    let octets =
        fs::read(path).map_err(|error| unreadable(&file, 0, format!("cannot be read: {error}")))?;
    String::from_utf8(octets).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let lines = error.as_bytes()[..valid]
            .iter()
            .filter(|octet| **octet == b'\n');
        unreadable(
            &file,
            1 + lines.count(),
            "this is not UTF-8 text".to_owned(),
        )
    })
}

fn unreadable(file: &str, line: usize, message: String) -> Problem {
    Problem {
        severity: Severity::Error,
        file: file.to_owned(),
        line,
        column: line.min(1),
        key: String::new(),
        message,
        remedy: EXAMPLE.to_owned(),
    }
}

/// Names of the things in a list, by place, to resolve references with.
struct Names {
    ports: Vec<Option<String>>,
    interfaces: Vec<Option<String>>,
    ha_sets: Vec<Option<String>>,
}

impl Names {
    fn of(root: &Node) -> Self {
        let names = |key: &str| -> Vec<Option<String>> {
            let items = root.get(key).map_or(&[][..], Node::items);
            let name = |item: &Node| item.get("name")?.text().map(str::to_owned);
            items.iter().map(name).collect()
        };
        Self {
            ports: names("ports"),
            interfaces: names("interfaces"),
            ha_sets: names("ha-sets"),
        }
    }
}

/// Reads the whole file and checks it.
pub(crate) fn decode(root: &Node, problems: &mut Problems<'_>) -> Config {
    let names = Names::of(root);
    let mut top = Section::open(problems, Path::default(), Some(root));
    let mut config = Config {
        name: top.required(
            problems,
            "name",
            name,
            "add `name: ` and what this appliance is to be called",
            String::new(),
        ),
        dataplane: dataplane(&mut top, problems),
        management: Management {
            socket: PathBuf::new(),
        },
        ports: top.each(problems, "ports", port),
        interfaces: top.each(problems, "interfaces", |section, problems| {
            interface(section, problems, &names)
        }),
        ha_sets: top.each(problems, "ha-sets", ha_set),
        l2tp: l2tp(&mut top, problems, &names),
        routes: top.each(problems, "routes", |section, problems| {
            route(section, problems, &names)
        }),
        neighbours: top.each(problems, "neighbours", |section, problems| {
            neighbour(section, problems, &names)
        }),
    };
    config.management = management(&mut top, problems, &config.name);
    top.close(problems);
    resolve(&mut config, root);
    check::check(&config, root, problems);
    config
}

fn dataplane(top: &mut Section<'_>, problems: &mut Problems<'_>) -> Dataplane {
    let node = top.node("dataplane");
    let path = top.path.key("dataplane");
    let mut section = Section::open(problems, path, node);
    let dataplane = Dataplane {
        workers: section.or(problems, "workers", workers, vec![None]),
        poll: section.or(
            problems,
            "poll",
            choice(&[("adaptive", Poll::Adaptive), ("busy", Poll::Busy)]),
            Poll::Adaptive,
        ),
        hugepages: section.or(
            problems,
            "hugepages",
            choice(&[
                ("auto", HugePages::Auto),
                ("true", HugePages::Yes),
                ("false", HugePages::No),
            ]),
            HugePages::Auto,
        ),
        memory_mib: section.or(
            problems,
            "memory",
            number(64..=1_048_576),
            DEFAULT_MEMORY_MIB,
        ),
    };
    section.close(problems);
    dataplane
}

/// A number of workers, or the cores to pin them to.
fn workers(node: &Node) -> Read<Vec<Option<u32>>> {
    const MOST: u64 = 64;
    let Value::Sequence(items) = &node.value else {
        let count: usize = number(1..=MOST)(node).map_err(|wrong| {
            Wrong::new(
                wrong.message,
                format!("{}, or a list of cores", wrong.remedy),
            )
        })?;
        return Ok(vec![None; count]);
    };
    let mut cores = Vec::new();
    for item in items {
        let core: u32 = number(0..=1023)(item)?;
        if cores.contains(&Some(core)) {
            return Err(Wrong::new(
                format!("core {core} stands there twice"),
                "give every worker a core of its own",
            ));
        }
        cores.push(Some(core));
    }
    if cores.is_empty() || cores.len() as u64 > MOST {
        return Err(Wrong::new(
            format!("{} cores are listed", cores.len()),
            format!("list from 1 to {MOST} cores"),
        ));
    }
    Ok(cores)
}

fn management(top: &mut Section<'_>, problems: &mut Problems<'_>, name: &str) -> Management {
    let node = top.node("management");
    let path = top.path.key("management");
    let mut section = Section::open(problems, path, node);
    let default = PathBuf::from(format!("/run/hal2tp/{name}.sock"));
    let socket = section.or(problems, "socket", socket, default);
    section.optional(
        problems,
        "http",
        not_yet(
            "the HTTP interface is not served yet",
            "take the key away; `hal2tp status` asks over the socket",
        ),
    );
    section.close(problems);
    Management { socket }
}

fn socket(node: &Node) -> Read<PathBuf> {
    // sockaddr_un holds 108 octets, one of them the closing zero (unix(7)).
    const LONGEST: usize = 107;
    let path = text(node)?;
    if !path.starts_with('/') || path.len() > LONGEST || path.contains('\0') {
        return Err(Wrong::new(
            "the socket needs a whole path",
            format!("write a path that begins with / and has at most {LONGEST} octets"),
        ));
    }
    Ok(PathBuf::from(path))
}

fn port(section: &mut Section<'_>, problems: &mut Problems<'_>) -> Port {
    Port {
        name: section.required(
            problems,
            "name",
            name,
            "add `name: ` and a name for the port",
            String::new(),
        ),
        device: section.required(
            problems,
            "device",
            device,
            "add `device: ` and a PCI address, a Linux interface or a DPDK vdev",
            Device::Interface(String::new()),
        ),
        queues: section.optional(problems, "queues", number(1..=64)),
    }
}

/// Tells the three kinds of device by their form.
fn device(node: &Node) -> Read<Device> {
    // Linux: IFNAMSIZ, with the closing zero.
    const LONGEST_INTERFACE: usize = 15;
    let text = text(node)?;
    if is_pci_address(&text) {
        return Ok(Device::Pci(text));
    }
    if text.starts_with("net_") {
        return Ok(Device::Vdev(text));
    }
    let forbidden = |c: char| c == '/' || c.is_whitespace() || c.is_control() || c == ',';
    if text.len() > LONGEST_INTERFACE || text.contains(forbidden) {
        return Err(Wrong::new(
            format!(
                "\"{}\" is neither a PCI address nor a Linux interface nor a DPDK vdev",
                tree::printable(&text)
            ),
            "write 0000:03:00.0, or eth0, or net_...,...",
        ));
    }
    Ok(Device::Interface(text))
}

/// `0000:03:00.0`, or without the domain, `03:00.0`.
fn is_pci_address(text: &str) -> bool {
    let hexadecimal = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let bus = match text.split_once(':') {
        Some((domain, rest)) if rest.contains(':') => {
            if !hexadecimal(domain, 4) {
                return false;
            }
            rest
        }
        _ => text,
    };
    let Some((bus, rest)) = bus.split_once(':') else {
        return false;
    };
    let Some((slot, function)) = rest.split_once('.') else {
        return false;
    };
    hexadecimal(bus, 2) && hexadecimal(slot, 2) && hexadecimal(function, 1)
}

fn interface(section: &mut Section<'_>, problems: &mut Problems<'_>, names: &Names) -> Interface {
    section.optional(
        problems,
        "vlan",
        not_yet(
            "VLANs are not carried yet",
            "take the key away and use a port of its own",
        ),
    );
    let dhcp = section.node("addresses").and_then(Node::text) == Some("dhcp");
    let addresses = if dhcp {
        problems.error(
            &section.path.key("addresses"),
            "addresses by DHCP: not yet",
            "write the addresses, as in [192.0.2.1/24]",
        );
        None
    } else {
        section.list(problems, "addresses", interface_address)
    };
    if addresses.is_none() && !section.has("addresses") {
        problems.missing(
            &section.path.key("addresses"),
            "add `addresses: [192.0.2.1/24]` with this interface's own address",
        );
    }
    Interface {
        name: section.required(
            problems,
            "name",
            name,
            "add `name: ` and a name for the interface",
            String::new(),
        ),
        port: section.required(
            problems,
            "port",
            reference("port", &names.ports),
            "add `port: ` and the name of one of the `ports`",
            0,
        ),
        table: section.or(problems, "table", table, 0),
        addresses: addresses.unwrap_or_default(),
        gateway: section.optional(problems, "gateway", host),
        mtu: section.optional(problems, "mtu", mtu),
        // Settled in `resolve` when the file does not say.
        forward: section.or(problems, "forward", boolean, true),
    }
}

fn table(node: &Node) -> Read<u32> {
    number(0..=u64::from(u16::MAX))(node)
}

/// RFC 791, 3.1: every host takes 576 octets; below that little works.
fn mtu(node: &Node) -> Read<u16> {
    number(576..=9_600)(node)
}

fn l2tp(top: &mut Section<'_>, problems: &mut Problems<'_>, names: &Names) -> L2tp {
    let node = top.node("l2tp");
    let path = top.path.key("l2tp");
    let mut section = Section::open(problems, path, node);
    let l2tp = L2tp {
        // The AVP's Vendor ID has 16 bits, and 0 is the IETF (RFC 2661, 4.1).
        vendor_id: section.or(problems, "vendor-id", number(1..=0xffff), DEFAULT_VENDOR_ID),
        outgoing: section.each(problems, "outgoing", |section, problems| {
            outgoing(section, problems, names)
        }),
        incoming: section.each(problems, "incoming", |section, problems| {
            incoming(section, problems, names)
        }),
    };
    section.close(problems);
    l2tp
}

/// The words that `outgoing` and `incoming` share.
struct Link {
    secret: Option<Secret>,
    payload_table: u32,
    lcp_rate: Duration,
    lcp_timeout: Duration,
    tcp_mss_fix: bool,
    ha_set: Option<usize>,
    hello_interval: Duration,
    udp_checksum: bool,
    comment: Option<String>,
    mtu: Option<u16>,
}

fn link(section: &mut Section<'_>, problems: &mut Problems<'_>, names: &Names) -> Link {
    Link {
        secret: section.optional(problems, "secret", secret),
        payload_table: section.or(problems, "payload-table", table, 0),
        lcp_rate: section.or(problems, "lcp-rate", seconds(1..=60), DEFAULT_LCP_RATE),
        lcp_timeout: section.or(
            problems,
            "lcp-timeout",
            seconds(1..=600),
            DEFAULT_LCP_TIMEOUT,
        ),
        tcp_mss_fix: section.or(problems, "tcp-mss-fix", boolean, false),
        ha_set: section.optional(problems, "ha-set", reference("ha-set", &names.ha_sets)),
        hello_interval: section.or(
            problems,
            "hello-interval",
            seconds(1..=3600),
            DEFAULT_HELLO_INTERVAL,
        ),
        udp_checksum: section.or(problems, "udp-checksum", boolean, true),
        comment: section.optional(problems, "comment", comment),
        mtu: section.optional(problems, "mtu", mtu),
    }
}

fn outgoing(section: &mut Section<'_>, problems: &mut Problems<'_>, names: &Names) -> Outgoing {
    let link = link(section, problems, names);
    let tunnel = section.required(
        problems,
        "name",
        name,
        "add `name: ` and a name for the tunnel",
        String::new(),
    );
    Outgoing {
        graph: section.or(problems, "graph", name, tunnel.clone()),
        name: tunnel,
        hostname: section.required(
            problems,
            "hostname",
            name,
            "add `hostname: ` and what the far end has as `remote-hostname`",
            String::new(),
        ),
        secret: link.secret,
        server: section.required(
            problems,
            "server",
            host,
            "add `server: ` and the public address of the far end",
            UNSPECIFIED,
        ),
        table: section.or(problems, "table", table, 0),
        payload_table: link.payload_table,
        username: section.required(
            problems,
            "username",
            text,
            "add `username: ` and what a `match` of the far end has",
            String::new(),
        ),
        password: section.required(
            problems,
            "password",
            secret,
            "add `password: ` and what the `match` of the far end has",
            Secret::new(String::new()),
        ),
        lcp_rate: link.lcp_rate,
        lcp_timeout: link.lcp_timeout,
        tcp_mss_fix: link.tcp_mss_fix,
        ha_set: link.ha_set,
        routes: section.list(problems, "routes", prefix).unwrap_or_default(),
        comment: link.comment,
        source: section.optional(problems, "source", host),
        local_ip: section.optional(problems, "local-ip", host),
        hello_interval: link.hello_interval,
        udp_checksum: link.udp_checksum,
        mtu: link.mtu,
    }
}

fn incoming(section: &mut Section<'_>, problems: &mut Problems<'_>, names: &Names) -> Incoming {
    let link = link(section, problems, names);
    let matches = section.each(problems, "match", |section, problems| {
        login(section, problems, names, link.ha_set)
    });
    if matches.is_empty() && !section.has("match") {
        problems.missing(
            &section.path.key("match"),
            "add `match:` with a { username, password, remote-ip } for every link",
        );
    }
    Incoming {
        name: section.required(
            problems,
            "name",
            name,
            "add `name: ` and a name for the far end",
            String::new(),
        ),
        listen: section.list(problems, "listen", host).unwrap_or_default(),
        table: section.optional(problems, "table", table),
        // Settled in `resolve` when the file does not say.
        local_ip: section.or(problems, "local-ip", host, UNSPECIFIED),
        remote_hostname: section.optional(problems, "remote-hostname", name),
        local_hostname: section.or(problems, "local-hostname", name, String::new()),
        secret: link.secret,
        payload_table: link.payload_table,
        lcp_rate: link.lcp_rate,
        lcp_timeout: link.lcp_timeout,
        tcp_mss_fix: link.tcp_mss_fix,
        matches,
        hello_interval: link.hello_interval,
        udp_checksum: link.udp_checksum,
        comment: link.comment,
        mtu: link.mtu,
    }
}

fn login(
    section: &mut Section<'_>,
    problems: &mut Problems<'_>,
    names: &Names,
    set_of_incoming: Option<usize>,
) -> Match {
    let username = section.required(
        problems,
        "username",
        text,
        "add `username: ` and what the far end logs in with",
        String::new(),
    );
    Match {
        graph: section.or(problems, "graph", name, username.clone()),
        username,
        password: section.required(
            problems,
            "password",
            secret,
            "add `password: ` and what the far end logs in with",
            Secret::new(String::new()),
        ),
        remote_ip: section.required(
            problems,
            "remote-ip",
            host,
            "add `remote-ip: ` and the address that the far end is to have inside the tunnel",
            UNSPECIFIED,
        ),
        routes: section.list(problems, "routes", prefix).unwrap_or_default(),
        ha_set: section
            .optional(problems, "ha-set", reference("ha-set", &names.ha_sets))
            .or(set_of_incoming),
        comment: section.optional(problems, "comment", comment),
    }
}

fn ha_set(section: &mut Section<'_>, problems: &mut Problems<'_>) -> HaSet {
    HaSet {
        name: section.required(
            problems,
            "name",
            name,
            "add `name: ` and a name for the set",
            String::new(),
        ),
        window: section.or(problems, "window", window, DEFAULT_WINDOW),
        grace: section.or(
            problems,
            "grace-ms",
            milliseconds(100..=60_000),
            DEFAULT_GRACE,
        ),
        mtu: section.or(problems, "mtu", mtu, 1500),
        routes: section.list(problems, "routes", prefix),
    }
}

/// A power of two that the elimination ring can have.
fn window(node: &Node) -> Read<u64> {
    const LEAST: u64 = 1 << 16;
    const MOST: u64 = 1 << 24;
    let wanted = "write a power of two from 65536 to 16777216, as 262144";
    let numbers: u64 =
        number(0..=u64::MAX)(node).map_err(|wrong| Wrong::new(wrong.message, wanted))?;
    if numbers.is_power_of_two() && (LEAST..=MOST).contains(&numbers) {
        return Ok(numbers);
    }
    let what = if numbers.is_power_of_two() {
        "a window of a size that can be used"
    } else {
        "a power of two"
    };
    Err(Wrong::new(format!("{numbers} is not {what}"), wanted))
}

fn route(section: &mut Section<'_>, problems: &mut Problems<'_>, names: &Names) -> Route {
    Route {
        to: section.required(
            problems,
            "to",
            prefix,
            "add `to: ` and a network, as 192.0.2.0/24",
            DEFAULT_ROUTE,
        ),
        via: section.required(
            problems,
            "via",
            |node| via(node, names),
            "add `via: ` and an address, an interface, a set, or blackhole",
            Via::Blackhole,
        ),
        table: section.or(problems, "table", table, 0),
    }
}

fn via(node: &Node, names: &Names) -> Read<Via> {
    let given = text(node)?;
    if given == "blackhole" {
        return Ok(Via::Blackhole);
    }
    let place = |names: &[Option<String>]| names.iter().position(|n| n.as_deref() == Some(&given));
    match (place(&names.interfaces), place(&names.ha_sets)) {
        (Some(_), Some(_)) => Err(Wrong::new(
            format!("\"{given}\" is the name of an interface and of a set"),
            "give one of the two another name",
        )),
        (Some(interface), None) => Ok(Via::Interface(interface)),
        (None, Some(set)) => Ok(Via::HaSet(set)),
        // The interface is found in `resolve`.
        (None, None) => match host(node) {
            Ok(address) => Ok(Via::Gateway {
                interface: usize::MAX,
                address,
            }),
            Err(wrong) if given.starts_with(|c: char| c.is_ascii_digit()) => Err(wrong),
            Err(_) => Err(Wrong::new(
                format!(
                    "there is no interface or set \"{}\"",
                    tree::printable(&given)
                ),
                "write an address, the name of an interface or of a set, or blackhole",
            )),
        },
    }
}

fn neighbour(section: &mut Section<'_>, problems: &mut Problems<'_>, names: &Names) -> Neighbour {
    Neighbour {
        interface: section.required(
            problems,
            "interface",
            reference("interface", &names.interfaces),
            "add `interface: ` and the name of one of the `interfaces`",
            0,
        ),
        address: section.required(
            problems,
            "address",
            ipv4,
            "add `address: ` and the neighbour's IPv4 address",
            UNSPECIFIED,
        ),
        mac: section.required(
            problems,
            "mac",
            mac,
            "add `mac: ` and the neighbour's hardware address",
            [0; 6],
        ),
    }
}

/// Fills in what depends on other parts of the file.
fn resolve(config: &mut Config, root: &Node) {
    resolve_forward(config, root);
    resolve_routes(config, root);
    resolve_incoming(config);
    let interfaces = &config.interfaces;
    for route in &mut config.routes {
        if let Via::Gateway { interface, address } = &mut route.via {
            // `check` reports an address that is on no connected network.
            *interface = connected(interfaces, route.table, *address).unwrap_or(usize::MAX);
        }
    }
}

/// The interface of `table` on whose network an address is.
pub(crate) fn connected(
    interfaces: &[Interface],
    table: u32,
    address: std::net::Ipv4Addr,
) -> Option<usize> {
    interfaces.iter().position(|interface| {
        let mut networks = interface
            .addresses
            .iter()
            .map(super::InterfaceAddress::network);
        interface.table == table && networks.any(|network| super::contains(network, address))
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
    for (tunnel, item) in config.l2tp.outgoing.iter_mut().zip(list("outgoing")) {
        if item.get("routes").is_none() {
            tunnel.routes = of_set(tunnel.ha_set).unwrap_or_else(|| vec![DEFAULT_ROUTE]);
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

fn resolve_incoming(config: &mut Config) {
    for tunnel in &mut config.l2tp.incoming {
        if tunnel.local_hostname.is_empty() {
            tunnel.local_hostname.clone_from(&config.name);
        }
        if tunnel.local_ip.is_unspecified() {
            let table = tunnel.payload_table;
            let mut remotes = tunnel.matches.iter().map(|login| login.remote_ip);
            let near = remotes.find_map(|remote| connected(&config.interfaces, table, remote));
            let first = || config.interfaces.iter().position(|i| i.table == table);
            let interface = near.or_else(first).and_then(|i| config.interfaces.get(i));
            if let Some(own) = interface.and_then(|interface| interface.addresses.first()) {
                tunnel.local_ip = own.address;
            }
        }
    }
}
