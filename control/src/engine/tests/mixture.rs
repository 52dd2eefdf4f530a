//! Sites whose tunnels differ in everything that peers may differ in: a head end
//! and any number of remotes with two or three links each.

use std::net::Ipv4Addr;
use std::time::Duration;

use dataplane::command::Prefix;
use rand::Rng;
use rand::rngs::StdRng;

use super::families::{around, host_ipv6};
use super::world::{LINKS, config, remote_at};
use crate::config::{Config, Incoming, InterfaceAddress, Match, Outgoing};
use crate::l2tp::Peering;
use crate::ppp::{AuthProtocol, ProxyLcp, ProxyPolicy};
use crate::secret::Secret;

/// The head's LAN.
pub(super) const HEAD_LAN: u8 = 1;

/// What one `incoming` and the remotes that dial it agree on.
struct Terms {
    secret: Option<Secret>,
    authentication: AuthProtocol,
    ha: Ha,
    ipv6: bool,
    tie_breaker: bool,
    rechallenge: Option<Duration>,
    proxy: ProxyPolicy,
    address_control: bool,
    peering: Peering,
}

/// Who has HA.
#[derive(Clone, Copy, PartialEq)]
enum Ha {
    Both,
    /// Neither, or one end alone: plain sessions.
    Neither,
    Head,
    Remote,
}

impl Terms {
    fn of(rng: &mut StdRng) -> Self {
        let has_secret = rng.random_bool(0.7);
        let ha = [
            Ha::Both,
            Ha::Both,
            Ha::Both,
            Ha::Neither,
            Ha::Head,
            Ha::Remote,
        ];
        let lcp = [
            ProxyLcp::Renegotiate,
            ProxyLcp::OnMismatch,
            ProxyLcp::Accept,
        ];
        let ha = ha[rng.random_range(0..ha.len())];
        Self {
            secret: has_secret.then(|| Secret::new("simulated".to_owned())),
            authentication: AuthProtocol::ALL[rng.random_range(0..AuthProtocol::ALL.len())],
            ha,
            ipv6: rng.random_bool(0.5),
            tie_breaker: rng.random_bool(0.3),
            rechallenge: rng.random_bool(0.3).then_some(Duration::from_secs(7)),
            proxy: ProxyPolicy {
                lcp: lcp[rng.random_range(0..lcp.len())],
                authentication: has_secret && rng.random_bool(0.5),
            },
            address_control: rng.random_bool(0.5),
            peering: Peering {
                hello_interval: Duration::from_secs([0, 5, 60][rng.random_range(0..3)]),
                receive_window: [1, 4, 16][rng.random_range(0..3)],
                hide_avps: has_secret && rng.random_bool(0.5),
                // A set has numbers of its own, and its agreement is such an AVP.
                vendor_avps: ha == Ha::Both || rng.random_bool(0.5),
                sequencing: ha != Ha::Both && rng.random_bool(0.5),
                ..Peering::default()
            },
        }
    }
}

/// A remote: its links, and the terms that it dials by.
#[derive(Clone, Copy)]
struct Remote {
    /// The last number of its addresses, and that of its LAN.
    host: u8,
    links: usize,
    terms: usize,
}

fn username(remote: &Remote, link: usize) -> String {
    format!("remote{}.{link}", remote.host)
}

fn lan(number: u8) -> Prefix {
    Prefix::new(Ipv4Addr::new(192, 168, number, 0), 24)
}

/// What is routed to a LAN.
fn routes(number: u8, ipv6: bool) -> Vec<Prefix> {
    let ipv6 = ipv6.then(|| Prefix::new(host_ipv6(number), 64));
    [lan(number)].into_iter().chain(ipv6).collect()
}

fn with_ipv6_lan(config: &mut Config, number: u8) {
    let mut address = host_ipv6(number).octets();
    address[15] = 1;
    config.interfaces[0].addresses.push(InterfaceAddress {
        address: std::net::Ipv6Addr::from(address).into(),
        prefix_length: 64,
    });
}

fn login(template: &Match, terms: &Terms, remote: &Remote, link: usize) -> Match {
    Match {
        graph: username(remote, link),
        username: username(remote, link),
        password: Secret::new(format!("password {link}")),
        remote_ip: Ipv4Addr::new(192, 168, HEAD_LAN, remote.host),
        routes: routes(remote.host, terms.ipv6),
        ha_set: matches!(terms.ha, Ha::Both | Ha::Head).then_some(0),
        ..template.clone()
    }
}

fn incoming(template: &Incoming, number: usize, terms: &Terms, remotes: &[Remote]) -> Incoming {
    let mut incoming = template.clone();
    incoming.name = format!("terms{number}");
    incoming.remote_hostname = Some(incoming.name.clone());
    incoming.secret.clone_from(&terms.secret);
    incoming.peering = terms.peering.clone();
    incoming.ppp.link.authentication = vec![terms.authentication];
    incoming.ppp.link.address_control = terms.address_control;
    incoming.ppp.rechallenge = terms.rechallenge;
    incoming.ppp.proxy = terms.proxy;
    let of_these = remotes.iter().filter(|remote| remote.terms == number);
    incoming.matches = of_these
        .flat_map(|remote| {
            (0..remote.links).map(|link| login(&template.matches[0], terms, remote, link))
        })
        .collect();
    incoming
}

fn outgoing(template: &Outgoing, terms: &Terms, remote: &Remote, link: usize) -> Outgoing {
    let mut outgoing = template.clone();
    outgoing.hostname = format!("terms{}", remote.terms);
    outgoing.secret.clone_from(&terms.secret);
    outgoing.username = username(remote, link);
    outgoing.password = Secret::new(format!("password {link}"));
    outgoing.ha_set = matches!(terms.ha, Ha::Both | Ha::Remote).then_some(0);
    outgoing.routes = routes(HEAD_LAN, terms.ipv6);
    outgoing.tie_breaker = terms.tie_breaker;
    outgoing.peering = terms.peering.clone();
    outgoing.ppp.link.authentication = AuthProtocol::ALL.to_vec();
    outgoing.ppp.link.address_control = terms.address_control;
    outgoing
}

/// A head and its remotes, as a seed has them.
pub(super) fn sites(rng: &mut StdRng, remotes: usize) -> Vec<Config> {
    let terms: Vec<_> = (0..remotes.min(8)).map(|_| Terms::of(rng)).collect();
    let hosts = 2..=u8::try_from(remotes + 1).expect("at most 253 remotes");
    let remotes: Vec<_> = hosts
        .map(|host| Remote {
            host,
            links: rng.random_range(2..=LINKS),
            terms: rng.random_range(0..terms.len()),
        })
        .collect();
    let mut head = config("head");
    around(&mut head, 1, [false; LINKS]);
    with_ipv6_lan(&mut head, HEAD_LAN);
    let template = head.l2tp.incoming[0].clone();
    let all = terms.iter().enumerate();
    head.l2tp.incoming = all
        .map(|(number, terms)| incoming(&template, number, terms, &remotes))
        .collect();
    let mut sites = vec![head];
    for remote in &remotes {
        let terms = &terms[remote.terms];
        let mut config = remote_at(remote.host, remote.host);
        config.l2tp.outgoing.truncate(remote.links);
        let over_ipv6 = std::array::from_fn(|_| rng.random_bool(0.3));
        around(&mut config, remote.host, over_ipv6);
        if terms.ipv6 {
            with_ipv6_lan(&mut config, remote.host);
        }
        for (link, tunnel) in config.l2tp.outgoing.iter_mut().enumerate() {
            *tunnel = outgoing(tunnel, terms, remote, link);
        }
        sites.push(config);
    }
    sites
}
