//! The configuration file of an appliance on a bed.

use std::fmt::Write as _;
use std::path::Path;

use dataplane::arrivals::Arrivals;
use dataplane::command::Epoch;

use super::addresses::{Site, inner_address, mac_text};
use super::{Plan, Shape};

/// For frames, without any set.
const PACKETS_MIB: u64 = 256;
/// For many minutes, during which a frozen far end is not missed: the longest that the configuration knows.
const PATIENCE_S: u32 = 600;

/// A port, and the interface on it.
pub(super) struct PortLine {
    pub(super) name: String,
    pub(super) device: String,
}

/// The whole file. `ports` are in the order of the site's ports: the links, then the LANs.
pub(super) fn file(plan: &Plan, site: Site, ports: &[PortLine], socket: &Path) -> String {
    let mut text = String::new();
    let name = site.name();
    let workers = plan.workers(site);
    let (poll, memory) = (plan.poll(site).word(), memory_mib(plan));
    let hugepages = plan.hugepages && !(plan.shape == Shape::Alone && site == Site::B);
    // Writing to a text cannot fail.
    let _ = writeln!(
        text,
        "name: {name}\n\
         dataplane: {{ workers: {workers}, poll: {poll}, hugepages: {hugepages}, memory: {memory} }}\n\
         management: {{ socket: {} }}\n\
         ports:",
        socket.display()
    );
    for PortLine { name, device } in ports {
        let _ = writeln!(text, "  - {{ name: {name}, device: \"{device}\" }}");
    }
    text += "interfaces:\n";
    for link in 1..=plan.links() {
        let address = site.link_address(link);
        let _ = writeln!(
            text,
            "  - {{ name: LINK{link}, port: link{link}, table: {link}, addresses: [{address}/24] }}"
        );
    }
    for (lan, of) in lans(plan, site) {
        let address = of.lan_address();
        let upper = lan.to_uppercase();
        let _ = writeln!(
            text,
            "  - {{ name: {upper}, port: {lan}, addresses: [{address}/24] }}"
        );
    }
    if plan.shape != Shape::Forward {
        write_l2tp(&mut text, plan, site);
    }
    text += "routes:\n";
    for (_, of) in lans(plan, site) {
        let (to, via) = (of.networks(), of.tester_address());
        let _ = writeln!(text, "  - {{ to: {to}, via: {via} }}");
    }
    text += "neighbours:\n";
    for (lan, of) in lans(plan, site) {
        let (lan, address) = (lan.to_uppercase(), of.tester_address());
        let mac = mac_text(of.tester_mac());
        let _ = writeln!(
            text,
            "  - {{ interface: {lan}, address: {address}, mac: \"{mac}\" }}"
        );
    }
    for link in 1..=plan.links() {
        let address = site.other().link_address(link);
        let mac = mac_text(site.other().link_mac(link));
        let _ = writeln!(
            text,
            "  - {{ interface: LINK{link}, address: {address}, mac: \"{mac}\" }}"
        );
    }
    text
}

/// Ports in LANs, and whose LAN each is.
pub(super) fn lans(plan: &Plan, site: Site) -> Vec<(&'static str, Site)> {
    match plan.shape {
        Shape::Forward | Shape::Testpmd(_) => vec![("lan", Site::A), ("lan2", Site::B)],
        Shape::Alone | Shape::Pair => vec![("lan", site)],
    }
}

/// A is called, B calls.
fn write_l2tp(text: &mut String, plan: &Plan, site: Site) {
    let tunnels = plan.sets * plan.links;
    let link_words = [
        "lcp-rate: 60".to_owned(),
        format!("lcp-timeout: {PATIENCE_S}"),
        "hello-interval: 0".to_owned(),
        format!("udp-checksum: {}", plan.udp_checksum),
    ];
    match site {
        Site::A => {
            let most = (tunnels + 64).max(1024);
            let _ = writeln!(
                text,
                "l2tp:\n  \
                 limits: {{ tunnels-per-source: {most}, half-open: {most}, half-open-per-source: {most} }}\n  \
                 incoming:\n    \
                 - name: b\n      remote-hostname: b\n      secret: tunnel\n      {}\n      match:",
                link_words.join("\n      ")
            );
            for set in 1..=plan.sets {
                let address = inner_address(set);
                for link in 1..=plan.links {
                    let _ = writeln!(
                        text,
                        "        - {{ username: s{set}.{link}, password: link, remote-ip: {address}, ha-set: S{set} }}"
                    );
                }
            }
        }
        Site::B => {
            text.push_str("l2tp:\n  outgoing:\n");
            let link_words = link_words.join(", ");
            for set in 1..=plan.sets {
                for link in 1..=plan.links {
                    let server = site.other().link_address(link);
                    let _ = writeln!(
                        text,
                        "    - {{ name: s{set}.{link}, hostname: b, secret: tunnel, server: {server}, table: {link}, \
                         username: s{set}.{link}, password: link, ha-set: S{set}, {link_words} }}"
                    );
                }
            }
        }
    }
    text.push_str("ha-sets:\n");
    for set in 1..=plan.sets {
        let network = site.other().network(set);
        let _ = writeln!(
            text,
            "  - {{ name: S{set}, window: {}, routes: [{network}] }}",
            plan.window
        );
    }
}

/// What the sets' windows and books may take is half of it, at two epochs of each.
pub(super) fn memory_mib(plan: &Plan) -> u64 {
    let (sets, links) = (plan.sets as u64, plan.links as u64);
    let workers = plan.workers.len().max(plan.peer_workers.len()) as u64;
    let window = Epoch::memory_octets(plan.window);
    let octets = 2 * sets * (window + links * workers * Arrivals::MEMORY_OCTETS);
    let of_sets = octets.div_ceil(1 << 20) * 2 + 2;
    match plan.shape {
        Shape::Forward | Shape::Testpmd(_) => PACKETS_MIB,
        Shape::Alone | Shape::Pair => of_sets.max(PACKETS_MIB),
    }
}
