//! From the file's tree to a [`Config`]: one function for each mapping of the file.

mod alarms;
mod http;
mod interfaces;
mod ppp;
mod tunnels;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use dataplane::command::Prefix;
use dataplane::transform::split::{MAX_SET_MTU, MIN_MEMBER_MTU};

use super::addresses::{self, is_link_local, prefix, with_interface};
use super::decode::{
    Read, Section, Wrong, boolean, choice, duration, mac, milliseconds, name, number, reference,
    suggest, text,
};
use super::model::{
    Config, Dataplane, Device, HaSet, HugePages, Management, Neighbour, Ordering, Poll, Port,
    Route, Via,
};
use super::problem::Problems;
use super::tree::{Node, Path, Value, printable};
use super::{check, resolve};

/// The enterprise number that is reserved for documentation (RFC 5612).
pub const DEFAULT_VENDOR_ID: u32 = 32473;
/// Numbers of an elimination window when the file does not say.
pub const DEFAULT_WINDOW: u64 = 1 << 18;
/// How long replaced epochs are received when the file does not say.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(2);
/// Default of a set's `mtu`: what hosts take for granted.
pub(crate) const DEFAULT_SET_MTU: u16 = 1500;
/// Time between LCP echo requests when the file does not say.
pub const DEFAULT_LCP_RATE: Duration = Duration::from_secs(1);
/// Time without an LCP echo reply that ends a link when the file does not say.
pub const DEFAULT_LCP_TIMEOUT: Duration = Duration::from_secs(10);
/// MiB for packet buffers when the file does not say.
pub const DEFAULT_MEMORY_MIB: u32 = 512;

/// Every destination of IPv4.
pub(crate) const DEFAULT_ROUTE: Prefix = Prefix {
    address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    length: 0,
};
/// Every destination of IPv6.
pub(crate) const DEFAULT_ROUTE_IPV6: Prefix = Prefix {
    address: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    length: 0,
};
/// Stands for an address that could not be read, or is settled later.
const UNSPECIFIED: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
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
            history: None,
            http: None,
        },
        ports: top.each(problems, "ports", port),
        interfaces: top.each(problems, "interfaces", |section, problems| {
            interfaces::interface(section, problems, &names)
        }),
        ha_sets: top.each(problems, "ha-sets", ha_set),
        l2tp: tunnels::l2tp(&mut top, problems, &names),
        routes: top.each(problems, "routes", |section, problems| {
            route(section, problems, &names)
        }),
        neighbours: top.each(problems, "neighbours", |section, problems| {
            neighbour(section, problems, &names)
        }),
        alarms: top.each(problems, "alarms", |section, problems| {
            alarms::alarm(section, problems, &names)
        }),
        syslog: alarms::syslog(&mut top, problems),
    };
    config.management = management(&mut top, problems, &config.name);
    top.close(problems);
    resolve::resolve(&mut config, root);
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
    let http = http::http(&mut section, problems);
    let history = history(&mut section, problems);
    section.close(problems);
    Management {
        socket,
        history,
        http,
    }
}

fn history(management: &mut Section<'_>, problems: &mut Problems<'_>) -> Option<PathBuf> {
    let node = management.node("history")?;
    let mut section = Section::open(problems, management.path.key("history"), Some(node));
    let directory = section.required(
        problems,
        "directory",
        directory,
        "add `directory: ` and where the graphs' history is to be kept, such as /var/lib/hal2tp",
        PathBuf::new(),
    );
    section.close(problems);
    Some(directory)
}

fn directory(node: &Node) -> Read<PathBuf> {
    let path = text(node)?;
    if !path.starts_with('/') || path.contains('\0') {
        return Err(Wrong::new(
            "the directory needs a whole path",
            "write a path that begins with /",
        ));
    }
    Ok(PathBuf::from(path))
}

fn socket(node: &Node) -> Read<PathBuf> {
    // sockaddr_un holds 108 octets (unix(7)), and the server binds under the
    // name with its process id behind it before it takes the name.
    const LONGEST: usize = 96;
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
                printable(&text)
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
        mtu: section.or(problems, "mtu", mtu, DEFAULT_SET_MTU),
        routes: section.list(problems, "routes", prefix),
        ordering: ordering(section, problems),
    }
}

fn ordering(set: &mut Section<'_>, problems: &mut Problems<'_>) -> Option<Ordering> {
    let node = set.node("ordering")?;
    let mut section = Section::open(problems, set.path.key("ordering"), Some(node));
    let ordering = Ordering {
        max_delay: section.required(
            problems,
            "max-delay",
            // Below the silence after which the workers take any number as the next.
            duration("1ms", "1s"),
            "add `max-delay: ` and how long a missing packet is waited for, as 30ms",
            Duration::ZERO,
        ),
        adaptive: section.or(problems, "adaptive", boolean, true),
    };
    section.close(problems);
    Some(ordering)
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
            "add `to: ` and a network, as 192.0.2.0/24 or 2001:db8::/64",
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
        (None, None) => via_address(node, &given, names),
    }
}

/// A neighbour's address; a link-local one says on which interface.
fn via_address(node: &Node, given: &str, names: &Names) -> Read<Via> {
    if let Some((address, name)) = with_interface(given) {
        let place = names
            .interfaces
            .iter()
            .position(|n| n.as_deref() == Some(name));
        return place.map_or_else(
            || {
                let all: Vec<&str> = names
                    .interfaces
                    .iter()
                    .flatten()
                    .map(String::as_str)
                    .collect();
                Err(Wrong::new(
                    format!("there is no interface \"{}\"", printable(name)),
                    suggest(name, &all, "the file has"),
                ))
            },
            |interface| {
                Ok(Via::Gateway {
                    interface,
                    address: address.into(),
                })
            },
        );
    }
    match addresses::neighbour(node) {
        Ok(address) if is_link_local(address) => Err(Wrong::new(
            format!("{address} may be on any interface"),
            format!("write the interface's name, too: {address}%LAN"),
        )),
        // The interface is found in `resolve`.
        Ok(address) => Ok(Via::Gateway {
            interface: usize::MAX,
            address,
        }),
        Err(wrong) if given.contains(':') || given.starts_with(|c: char| c.is_ascii_digit()) => {
            Err(wrong)
        }
        Err(_) => Err(Wrong::new(
            format!("there is no interface or set \"{}\"", printable(given)),
            "write an address, the name of an interface or of a set, or blackhole",
        )),
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
            addresses::neighbour,
            "add `address: ` and the neighbour's address",
            UNSPECIFIED.into(),
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

fn table(node: &Node) -> Read<u32> {
    number(0..=u64::from(u16::MAX))(node)
}

/// RFC 791, 3.1: every host takes 576 octets; below that little works.
fn mtu(node: &Node) -> Read<u16> {
    number(576..=u64::from(MAX_SET_MTU))(node)
}

/// What is left of such a packet beside our headers.
fn link_mtu(node: &Node) -> Read<u16> {
    number(u64::from(MIN_MEMBER_MTU)..=u64::from(MAX_SET_MTU))(node)
}
