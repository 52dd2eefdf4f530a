//! The two sites of this section, over three ISPs: a set over the first two, a set over all, and a plain session over each.
//!
//! The LAN host of either site has an address for each way into the tunnels; what goes to it is routed there.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use benches::lab::Site;

/// ISPs, numbered from 1.
pub(super) const LINKS: usize = 3;
/// The words of all links, those of the sets and the plain ones.
pub(super) const LCP_WORDS: &str = "lcp-rate: 1, lcp-timeout: 10";

/// A way from one LAN into the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tunnel {
    /// A set over the first two ISPs.
    Pair,
    /// A set over all of them.
    Three,
    /// A plain session over one.
    Plain(usize),
}

impl Tunnel {
    pub(super) const ALL: [Self; 5] = [
        Self::Pair,
        Self::Three,
        Self::Plain(1),
        Self::Plain(2),
        Self::Plain(3),
    ];

    /// The last octet of the LAN host's address that is routed into it.
    fn host(self) -> u8 {
        match self {
            Self::Pair => 10,
            Self::Three => 11,
            Self::Plain(link) => 20 + link as u8,
        }
    }

    /// The address of the host at a site that is reached by it.
    pub(super) fn address(self, site: Site) -> IpAddr {
        let [a, b, c, _] = site.lan_gateway().octets();
        Ipv4Addr::new(a, b, c, self.host()).into()
    }

    fn links(self) -> Vec<usize> {
        match self {
            Self::Pair => vec![1, 2],
            Self::Three => (1..=LINKS).collect(),
            Self::Plain(link) => vec![link],
        }
    }

    /// What ends call themselves.
    fn hostname(self) -> &'static str {
        match self {
            Self::Pair => "pair",
            Self::Three => "three",
            Self::Plain(_) => "plain",
        }
    }

    /// The `graph` of its session over a link, and its login.
    pub(super) fn session(self, link: usize) -> String {
        format!("{}.{link}", self.hostname())
    }

    pub(super) fn sessions(self) -> impl Iterator<Item = String> {
        self.links().into_iter().map(move |link| self.session(link))
    }

    fn set_words(self) -> &'static str {
        match self {
            Self::Pair => ", ha-set: A",
            Self::Three => ", ha-set: B",
            Self::Plain(_) => "",
        }
    }
}

/// A site's file.
pub(super) fn text(site: Site) -> String {
    let tunnels = match site {
        Site::Head => incoming(),
        Site::Remote => outgoing(),
    };
    let name = site.name();
    let (ports, interfaces) = (ports(), interfaces(site));
    format!(
        "name: {name}\n\
         dataplane: {{ workers: 1, poll: adaptive, memory: 256 }}\n\
         management: {{ socket: /run/hal2tp/{name}.sock }}\n\
         ports:\n{ports}interfaces:\n{interfaces}l2tp:\n{tunnels}\
         ha-sets:\n  - {{ name: A, window: 262144 }}\n  - {{ name: B, window: 262144 }}\n"
    )
}

fn ports() -> String {
    let isps = (1..=LINKS).map(|link| format!("isp{link}"));
    let names = std::iter::once("lan".to_owned()).chain(isps);
    names
        .map(|name| format!("  - {{ name: {name}, device: {name} }}\n"))
        .collect()
}

fn interfaces(site: Site) -> String {
    let gateway = site.lan_gateway();
    let mut text = format!("  - {{ name: LAN, port: lan, table: 0, addresses: [{gateway}/24] }}\n");
    let host = match site {
        Site::Head => 1,
        Site::Remote => 2,
    };
    for link in 1..=LINKS {
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "  - {{ name: ISP{link}, port: isp{link}, table: {link}, addresses: [10.{link}.0.{host}/24] }}"
        );
    }
    text
}

const COMMON_WORDS: &str = "secret: bench-tunnel, payload-table: 0";

/// One entry for each hostname.
fn incoming() -> String {
    let mut text = "  incoming:\n".to_owned();
    for hostname in ["pair", "three", "plain"] {
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "    - {{ name: {hostname}, remote-hostname: {hostname}, {COMMON_WORDS}, {LCP_WORDS}, match: ["
        );
        let tunnels = Tunnel::ALL.into_iter();
        for tunnel in tunnels.filter(|tunnel| tunnel.hostname() == hostname) {
            // Sessions with one address at the far end lead to one remote. Here each tunnel's lead to one of its own.
            let (remote_ip, to) = (100 + tunnel.host(), tunnel.address(Site::Remote));
            let set = tunnel.set_words();
            for login in tunnel.sessions() {
                let _ = writeln!(
                    text,
                    "        {{ graph: {login}, username: {login}, password: bench-link, \
                     remote-ip: 192.168.1.{remote_ip}, routes: [{to}/32]{set} }},"
                );
            }
        }
        text += "      ] }\n";
    }
    text
}

fn outgoing() -> String {
    let mut text = "  outgoing:\n".to_owned();
    for tunnel in Tunnel::ALL {
        let (hostname, set) = (tunnel.hostname(), tunnel.set_words());
        let to = tunnel.address(Site::Head);
        for link in tunnel.links() {
            let login = tunnel.session(link);
            // Writing to a text cannot fail.
            let _ = writeln!(
                text,
                "    - {{ name: {login}, hostname: {hostname}, {COMMON_WORDS}, {LCP_WORDS}{set}, \
                 server: 10.{link}.0.1, table: {link}, username: {login}, password: bench-link, routes: [{to}/32] }}"
            );
        }
    }
    text
}
