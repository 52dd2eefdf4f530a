//! The `interfaces` of the file.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::{DEFAULT_LCP_RATE, DEFAULT_LCP_TIMEOUT, Names, mtu, ppp, table};
use crate::addressing::{DhcpSettings, Dhcpv6Settings};
use crate::config::addresses::{self, interface_address};
use crate::config::decode::{
    Read, Section, Wrong, boolean, name, number, reference, scalar, seconds, secret, suggest, text,
};
use crate::config::model::{Advertisements, Asked, Delegated, Interface, InterfaceAddress, Pppoe};
use crate::config::problem::Problems;
use crate::config::tree::{Node, Value};
use crate::secret::Secret;

/// What a PPPoE frame of 1500 octets has room for (RFC 2516, 7).
const PPPOE_MTU: u16 = 1492;
/// RFC 4861, 6.2.1: MaxRtrAdvInterval.
const ADVERTISEMENT_INTERVAL: Duration = Duration::from_secs(600);

pub(super) fn interface(
    section: &mut Section<'_>,
    problems: &mut Problems<'_>,
    names: &Names,
) -> Interface {
    let pppoe = pppoe(section, problems);
    let delegated = delegated(section, problems, names);
    let may_be_left_out = pppoe.is_some() || delegated.is_some();
    let (addresses, words) = own_addresses(section, problems, may_be_left_out);
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
        // IEEE 802.1Q: 0 is no VLAN, 4095 is reserved.
        vlan: section.optional(problems, "vlan", number(1..=4094)),
        table: section.or(problems, "table", table, 0),
        addresses,
        asked: asked(section, problems, &words),
        pppoe,
        delegated,
        gateways: gateways(section, problems),
        mtu: section.optional(problems, "mtu", mtu),
        // Settled in `resolve` when the file does not say.
        forward: section.or(problems, "forward", boolean, true),
        advertisements: advertisements(section, problems),
        dhcp_relay: section
            .list(problems, "dhcp-relay", addresses::host_ipv4)
            .unwrap_or_default(),
    }
}

/// Who else gives addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Dhcp,
    RouterAdvertisements,
    Dhcpv6,
}

const WORDS: [(&str, Word); 3] = [
    ("dhcp", Word::Dhcp),
    ("ra", Word::RouterAdvertisements),
    ("dhcpv6", Word::Dhcpv6),
];

/// One of the `addresses`.
enum Given {
    Own(InterfaceAddress),
    Asked(Word),
}

fn given(node: &Node) -> Read<Given> {
    let (text, _) = scalar(node, "an address, as 192.0.2.1/24, or dhcp, ra or dhcpv6")?;
    if let Some((_, word)) = WORDS.iter().find(|(word, _)| *word == text) {
        return Ok(Given::Asked(*word));
    }
    if text.is_empty() || text.contains([':', '.', '/']) {
        return interface_address(node).map(Given::Own);
    }
    Err(Wrong::new(
        format!("\"{text}\" is neither an address nor one of the words that can stand here"),
        suggest(
            text,
            &WORDS.map(|(word, _)| word),
            "write an address, as 192.0.2.1/24, or one of",
        ),
    ))
}

/// One address or word, or a list of them.
fn own_addresses(
    section: &mut Section<'_>,
    problems: &mut Problems<'_>,
    may_be_left_out: bool,
) -> (Vec<InterfaceAddress>, Vec<Word>) {
    let node = section.node("addresses");
    if node.is_none() && !may_be_left_out {
        problems.missing(
            &section.path.key("addresses"),
            "add `addresses: [192.0.2.1/24]` with this interface's own addresses, or `addresses: dhcp`",
        );
    }
    let (mut own, mut words) = (Vec::new(), Vec::new());
    for one in one_or_several(section, problems, "addresses", given) {
        match one {
            Given::Own(address) => own.push(address),
            Given::Asked(word) if words.contains(&word) => problems.error(
                &section.path.key("addresses"),
                "a word stands here twice",
                "keep one of the two",
            ),
            Given::Asked(word) => words.push(word),
        }
    }
    (own, words)
}

/// A value, or a list of such.
fn one_or_several<T>(
    section: &mut Section<'_>,
    problems: &mut Problems<'_>,
    key: &'static str,
    read: impl Fn(&Node) -> Read<T>,
) -> Vec<T> {
    let is_one = |node: &Node| matches!(node.value, Value::Scalar { .. });
    if section.node(key).is_some_and(is_one) {
        let one = section.optional(problems, key, read);
        one.into_iter().collect()
    } else {
        section.list(problems, key, read).unwrap_or_default()
    }
}

fn gateways(section: &mut Section<'_>, problems: &mut Problems<'_>) -> Vec<IpAddr> {
    one_or_several(section, problems, "gateway", addresses::neighbour)
}

fn asked(section: &mut Section<'_>, problems: &mut Problems<'_>, words: &[Word]) -> Asked {
    let dhcp = dhcp(section, problems);
    let asks = |word| words.contains(&word);
    let addresses_sound = problems.sound(&section.path.key("addresses"));
    if dhcp.is_some() && !asks(Word::Dhcp) && addresses_sound {
        problems.error(
            &section.path.key("dhcp"),
            "no address is asked for by DHCP here",
            "write `addresses: dhcp`, or take the key away",
        );
    }
    // Longer than a LAN's network would be of no use.
    let prefix: Option<u8> = section.optional(problems, "prefix-delegation", number(16..=64));
    let dhcpv6 = Dhcpv6Settings {
        address: asks(Word::Dhcpv6),
        prefix,
    };
    let needs_dhcpv6 = dhcpv6.address || dhcpv6.prefix.is_some();
    Asked {
        dhcp: asks(Word::Dhcp).then(|| dhcp.unwrap_or_default()),
        // Routers are told by advertisements alone (RFC 8415, 1).
        router_advertisements: asks(Word::RouterAdvertisements) || needs_dhcpv6,
        dhcpv6: needs_dhcpv6.then_some(dhcpv6),
    }
}

fn dhcp(interface: &mut Section<'_>, problems: &mut Problems<'_>) -> Option<DhcpSettings> {
    let node = interface.node("dhcp")?;
    let mut section = Section::open(problems, interface.path.key("dhcp"), Some(node));
    let settings = DhcpSettings {
        hostname: section.optional(problems, "hostname", name),
        client_id: section
            .optional(problems, "client-id", option_text)
            .map(String::into_bytes),
        vendor_class: section.optional(problems, "vendor-class", option_text),
    };
    section.close(problems);
    Some(settings)
}

/// What fits a DHCP option (RFC 2132, 2).
fn option_text(node: &Node) -> Read<String> {
    const LONGEST: usize = 255;
    let text = text(node)?;
    if text.len() < 2 || text.len() > LONGEST {
        return Err(Wrong::new(
            format!("the text has {} octets", text.len()),
            format!("write from 2 to {LONGEST} octets"),
        ));
    }
    Ok(text)
}

fn pppoe(interface: &mut Section<'_>, problems: &mut Problems<'_>) -> Option<Pppoe> {
    let node = interface.node("pppoe")?;
    let mut section = Section::open(problems, interface.path.key("pppoe"), Some(node));
    let line = Pppoe {
        username: section.required(
            problems,
            "username",
            text,
            "add `username: ` and the login that the ISP gave you",
            String::new(),
        ),
        password: section.required(
            problems,
            "password",
            secret,
            "add `password: ` and the password that the ISP gave you",
            Secret::new(String::new()),
        ),
        service_name: section.optional(problems, "service-name", text),
        access_concentrator: section.optional(problems, "access-concentrator", text),
        mtu: section.or(problems, "mtu", mtu, PPPOE_MTU),
        lcp_rate: section.or(problems, "lcp-rate", seconds(1..=60), DEFAULT_LCP_RATE),
        lcp_timeout: section.or(
            problems,
            "lcp-timeout",
            seconds(2..=300),
            DEFAULT_LCP_TIMEOUT,
        ),
        ppp: ppp::line(&mut section, problems),
    };
    section.close(problems);
    Some(line)
}

fn delegated(
    interface: &mut Section<'_>,
    problems: &mut Problems<'_>,
    names: &Names,
) -> Option<Delegated> {
    let node = interface.node("delegated")?;
    let mut section = Section::open(problems, interface.path.key("delegated"), Some(node));
    let delegated = Delegated {
        from: section.required(
            problems,
            "from",
            reference("interface", &names.interfaces),
            "add `from: ` and the name of the interface that has `prefix-delegation`",
            0,
        ),
        subnet: section.or(problems, "subnet", number(0..=0xffff_ffff), 0),
        interface_id: section.or(problems, "interface-id", interface_id, 1),
    };
    section.close(problems);
    Some(delegated)
}

/// The last 64 bits of an address, as `::1`.
fn interface_id(node: &Node) -> Read<u64> {
    let (text, _) = scalar(node, "the end of an address, as ::1")?;
    let address: Option<Ipv6Addr> = text.parse().ok();
    // The first address is every router's (RFC 4291, 2.6.1).
    address
        .map(|address| address.to_bits())
        .filter(|&bits| bits != 0 && bits >> 64 == 0)
        .map(|bits| bits as u64)
        .ok_or_else(|| {
            Wrong::new(
                format!("\"{text}\" is not the last 64 bits of an address"),
                "write them as in ::1",
            )
        })
}

/// `true`, or what is to be said.
fn advertisements(
    interface: &mut Section<'_>,
    problems: &mut Problems<'_>,
) -> Option<Advertisements> {
    const KEY: &str = "router-advertisements";
    let node = interface.node(KEY)?;
    let is_word = matches!(node.value, Value::Scalar { .. });
    let wanted = !is_word || interface.or(problems, KEY, boolean, false);
    let path = interface.path.key(KEY);
    let mut section = Section::open(problems, path, (!is_word).then_some(node));
    let advertisements = Advertisements {
        default_router: section.or(problems, "default-router", boolean, true),
        // RFC 4861, 6.2.1.
        interval: section.or(
            problems,
            "interval",
            seconds(4..=1800),
            ADVERTISEMENT_INTERVAL,
        ),
        dns: section.list(problems, "dns", dns).unwrap_or_default(),
        managed: section.or(problems, "managed", boolean, false),
        other: section.or(problems, "other", boolean, false),
    };
    section.close(problems);
    wanted.then_some(advertisements)
}

fn dns(node: &Node) -> Read<Ipv6Addr> {
    match addresses::host(node)? {
        IpAddr::V6(address) => Ok(address),
        IpAddr::V4(address) => Err(Wrong::new(
            format!("{address} is of IPv4, and router advertisements are of IPv6"),
            "write a name server's IPv6 address",
        )),
    }
}
