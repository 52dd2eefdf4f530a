//! Addresses and networks as the file writes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dataplane::command::Prefix;

use super::decode::{Read, Wrong, scalar};
use super::model::{InterfaceAddress, Server};
use super::tree::{Node, printable};

const EXAMPLES: &str = "192.0.2.1 or 2001:db8::1";

fn parse(text: &str) -> Read<IpAddr> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if text.is_empty() {
        return Err(Wrong::new(
            "the address is empty",
            format!("write an address, as {EXAMPLES}"),
        ));
    }
    if text.contains('/') {
        return Err(Wrong::new(
            format!("\"{}\" is a network, not an address", printable(text)),
            "write the address alone, without /length",
        ));
    }
    if text.contains('%') {
        return Err(Wrong::new(
            format!("\"{}\" names an interface", printable(text)),
            "write the address alone; only `via` of `routes` takes %INTERFACE",
        ));
    }
    Err(Wrong::new(
        format!("\"{}\" is not an IP address", printable(text)),
        format!("write it as {EXAMPLES}"),
    ))
}

/// A network in its usual form, for error messages.
fn with_length(node: &Node, example: &str) -> Read<(IpAddr, u8)> {
    let (text, _) = scalar(node, example)?;
    let Some((address, length)) = text.split_once('/') else {
        let address = parse(text)?;
        let usual = if address.is_ipv4() { 24 } else { 64 };
        return Err(Wrong::new(
            format!("\"{address}\" has no prefix length"),
            format!("write {address}/{usual}, or whatever the length is"),
        ));
    };
    let address = parse(address)?;
    let longest = Prefix::host(address).length;
    let digits = (1..=3).contains(&length.len()) && length.bytes().all(|b| b.is_ascii_digit());
    let length = digits
        .then(|| length.parse::<u8>().ok())
        .flatten()
        .filter(|length| *length <= longest);
    length.map(|length| (address, length)).ok_or_else(|| {
        Wrong::new(
            format!(
                "\"{}\" has no prefix length from 0 to {longest}",
                printable(text)
            ),
            format!("write it as in {example}"),
        )
    })
}

/// A network: all host bits are zero.
pub(crate) fn prefix(node: &Node) -> Read<Prefix> {
    let (address, length) = with_length(node, "192.0.2.0/24 or 2001:db8::/64")?;
    let network = Prefix::new(address, length);
    if network.address != address {
        let host = Prefix::host(address);
        return Err(Wrong::new(
            format!("{address}/{length} is an address in a network, not a network"),
            format!("write {network}, or {host} for the one address"),
        ));
    }
    if is_link_local(address) {
        return Err(Wrong::new(
            format!("{network} is in use on every link, and routed to none"),
            "write a network of global or unique local addresses",
        ));
    }
    Ok(network)
}

/// An own address with the length of its network's prefix.
pub(crate) fn interface_address(node: &Node) -> Read<InterfaceAddress> {
    let (address, prefix_length) = with_length(node, "192.0.2.1/24 or 2001:db8::1/64")?;
    if is_link_local(address) {
        return Err(Wrong::new(
            format!("{address} is link-local, and every interface has such an address by itself"),
            "write a global or unique local address, or take this one away",
        ));
    }
    let own = InterfaceAddress {
        address,
        prefix_length,
    };
    let network = own.network();
    let has_hosts_only = prefix_length >= Prefix::host(address).length - 1;
    // Of IPv6 the first address is every router's (RFC 4291, 2.6.1), and the
    // last one is as good as any.
    let is_network = !has_hosts_only && address == network.address;
    let is_broadcast = !has_hosts_only && address.is_ipv4() && address == network.last();
    if prefix_length == 0 || is_network || is_broadcast || !is_host(address) {
        return Err(Wrong::new(
            format!("{address}/{prefix_length} is no address that an interface can have"),
            "write a host's address and its network's length, as in 192.0.2.1/24 or 2001:db8::1/64",
        ));
    }
    Ok(own)
}

/// An address that one host can have, wherever it is.
pub(crate) fn host(node: &Node) -> Read<IpAddr> {
    let address = neighbour(node)?;
    if is_link_local(address) {
        return Err(Wrong::new(
            format!("{address} is link-local: no packet to it leaves its link"),
            "write a global or unique local address",
        ));
    }
    Ok(address)
}

/// An address as [`host`] takes it, or a host name (RFC 1123, 2.1).
pub(crate) fn server(node: &Node) -> Read<Server> {
    const LONGEST_NAME: usize = 253;
    const LONGEST_LABEL: usize = 63;
    let (text, _) = scalar(node, &format!("an address, as {EXAMPLES}, or a host name"))?;
    let labels = text.strip_suffix('.').unwrap_or(text).split('.');
    // What ends in a number is an address, or one that went wrong.
    let is_address = text.contains([':', '/', '%'])
        || labels
            .clone()
            .next_back()
            .is_none_or(|last| last.is_empty() || last.bytes().all(|octet| octet.is_ascii_digit()));
    if is_address {
        return host(node).map(Server::Address);
    }
    let is_label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() > LONGEST_NAME || !labels.clone().all(is_label) {
        return Err(Wrong::new(
            format!(
                "\"{}\" is neither an address nor a host name",
                printable(text)
            ),
            format!("write an address, as {EXAMPLES}, or a host name, as lns.example.net"),
        ));
    }
    Ok(Server::Name(text.to_owned()))
}

/// An address that a host on the same link can have.
pub(crate) fn neighbour(node: &Node) -> Read<IpAddr> {
    let (text, _) = scalar(node, &format!("an address, as {EXAMPLES}"))?;
    let address = parse(text)?;
    if is_host(address) {
        return Ok(address);
    }
    Err(Wrong::new(
        format!("{address} is no address that a host can have"),
        "write a unicast address",
    ))
}

/// An address inside a tunnel: the ends of IPv6 agree on theirs by themselves.
pub(crate) fn host_ipv4(node: &Node) -> Read<Ipv4Addr> {
    match host(node)? {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(address) => Err(Wrong::new(
            format!("{address} is of IPv6, which needs no address inside the tunnel"),
            "write an IPv4 address; IPv6 networks belong into `routes`",
        )),
    }
}

/// `fe80::1%LAN`: a neighbour by its link-local address, and the interface's name.
pub(crate) fn with_interface(text: &str) -> Option<(Ipv6Addr, &str)> {
    let (address, interface) = text.split_once('%')?;
    let address: Ipv6Addr = address.parse().ok()?;
    address
        .is_unicast_link_local()
        .then_some((address, interface))
}

pub(crate) fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// RFC 1122, 3.2.1.3; RFC 4291, 2.4 and 2.5.
fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let first = address.octets()[0];
            first != 0 && !address.is_loopback() && first < 224
        }
        // Unspecified, loopback and those with an IPv4 address in them start with 80 zeros.
        IpAddr::V6(address) => !address.is_multicast() && address.to_bits() >> 48 != 0,
    }
}
