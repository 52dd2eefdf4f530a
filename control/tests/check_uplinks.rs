//! What `check` says of interfaces that get their addresses from the network, of
//! VLANs and PPPoE lines, and of what a LAN is told.

mod common;
mod told;

use common::{HEAD, REMOTE, changed};
use control::config::Config;
use told::{error, warning};

const ISP2: &str = "port: isp2, table: 2, addresses: [203.0.113.66/28], gateway: 203.0.113.65";

fn isp2(words: &str, key: &str, message: &str) {
    error(
        REMOTE,
        &[(ISP2, words)],
        &format!("interfaces[ISP2].{key}"),
        "ISP2",
        message,
    );
}

fn good(file: &str, edits: &[(&str, &str)]) {
    let text = changed(file, edits);
    let (_, warnings) = Config::parse("f", &text).unwrap_or_else(|problems| {
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}", all.join("\n"))
    });
    assert_eq!(warnings, []);
}

#[test]
fn tunnels_may_travel_where_the_network_gives_the_addresses() {
    for words in [
        "port: isp2, table: 2, addresses: dhcp",
        "port: isp2, table: 2, addresses: [dhcp, ra, dhcpv6]",
        "port: isp2, vlan: 7, table: 2, addresses: dhcp, dhcp: { hostname: van }",
        "port: isp2, table: 2, addresses: dhcp, gateway: 192.0.2.1",
        "port: isp2, table: 2, pppoe: { username: u, password: p }",
    ] {
        good(REMOTE, &[(ISP2, words)]);
    }
    // Two on one port; nothing is on the other.
    warning(
        REMOTE,
        &[(ISP2, "port: isp1, vlan: 7, table: 2, addresses: dhcp")],
        "ports[isp2]",
        "isp2",
        "no interface uses port",
    );
}

#[test]
fn words_among_the_addresses() {
    isp2(
        "port: isp2, table: 2, addresses: dchp, gateway: 203.0.113.65",
        "addresses",
        "neither an address nor one of the words",
    );
    isp2(
        "port: isp2, table: 2, addresses: [dhcp, dhcp]",
        "addresses",
        "a word stands here twice",
    );
    isp2(
        "port: isp2, table: 2, addresses: [203.0.113.66/28], gateway: 203.0.113.65, dhcp: { hostname: van }",
        "dhcp",
        "no address is asked for by DHCP",
    );
    isp2(
        "port: isp2, table: 2, addresses: ra, gateway: 203.0.113.65",
        "gateway",
        "is in no network of this interface",
    );
}

#[test]
fn vlans_and_lines() {
    isp2(
        "port: isp2, vlan: 4095, table: 2, addresses: dhcp",
        "vlan",
        "4095",
    );
    isp2(
        "port: isp2, table: 2, pppoe: { username: u, password: p }, addresses: [203.0.113.66/28]",
        "addresses",
        "PPP agrees on the address",
    );
    isp2(
        "port: isp2, table: 2, pppoe: { username: u, password: p }, gateway: 203.0.113.65",
        "gateway",
        "the only way out of a PPPoE line",
    );
    isp2(
        "port: isp2, table: 2, pppoe: { username: u }",
        "pppoe.password",
        "is missing",
    );
    isp2(
        "port: isp2, table: 2, pppoe: { username: u, password: p, ppp: { address-control: true } }",
        "pppoe.ppp.address-control",
        "this key is unknown",
    );
    isp2(
        "port: isp2, table: 2, pppoe: { username: u, password: p, lcp-rate: 5, lcp-timeout: 5 }",
        "pppoe.lcp-timeout",
        "before the answer to an echo is missed",
    );
}

#[test]
fn there_are_no_more_interfaces_than_can_be_numbered() {
    let several = |from: u32, to: u32| -> String {
        let line = |vlan: u32| {
            let port = if vlan <= 4094 { "isp1" } else { "isp2" };
            let vlan = (vlan - 1) % 4094 + 1;
            format!(
                "\n  - {{ name: {port}-{vlan}, port: {port}, vlan: {vlan}, table: 9, addresses: dhcp }}"
            )
        };
        (from..=to).map(line).collect()
    };
    // The file has three.
    let interfaces = |count: u32| format!("interfaces:{}", several(1, count - 3));
    good(REMOTE, &[("interfaces:", &interfaces(4096))]);
    error(
        REMOTE,
        &[("interfaces:", &interfaces(4097))],
        "interfaces",
        "interfaces:",
        "4097 interfaces stand here",
    );
}

#[test]
fn delegated_networks_and_what_a_lan_is_told() {
    const LAN: &str = "port: lan, ";
    let lan = |words: &str, isp2: &str, key: &str, message: &str| {
        error(
            REMOTE,
            &[(LAN, &format!("{LAN}{words}, ")), (ISP2, isp2)],
            &format!("interfaces[LAN].{key}"),
            "LAN",
            message,
        );
    };
    let asks = "port: isp2, table: 2, addresses: [dhcp, ra], prefix-delegation: 56";
    let asks_not = "port: isp2, table: 2, addresses: [dhcp, ra]";
    lan(
        "delegated: { from: ISP2 }",
        asks_not,
        "delegated.from",
        "asks for no network",
    );
    isp2(
        "port: isp2, table: 2, addresses: [dhcp, ra], prefix-delegation: 56, delegated: { from: ISP2 }",
        "delegated.from",
        "gives no network to itself",
    );
    lan(
        "delegated: { from: ISP2, subnet: 256 }",
        asks,
        "delegated.subnet",
        "has no network 256",
    );
    lan(
        "delegated: { from: ISP2, interface-id: \"::\" }",
        asks,
        "delegated.interface-id",
        "is not the last 64 bits",
    );
    lan(
        "router-advertisements: true",
        asks,
        "router-advertisements",
        "no IPv6 network",
    );
    lan(
        "delegated: { from: ISP2 }, router-advertisements: { dns: [192.0.2.1] }",
        asks,
        "router-advertisements.dns[1]",
        "is of IPv4",
    );
    good(
        HEAD,
        &[("port: wan, table: 1", "port: wan, vlan: 7, table: 1")],
    );
    good(
        REMOTE,
        &[
            (
                LAN,
                "port: lan, delegated: { from: ISP2, subnet: 255 }, router-advertisements: true, dhcp-relay: [192.0.2.9], ",
            ),
            (ISP2, asks),
        ],
    );
}
