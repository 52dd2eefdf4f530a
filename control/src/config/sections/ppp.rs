//! The `ppp` part of a tunnel.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::config::addresses::host_ipv4;
use crate::config::decode::{Section, boolean, choice, number, seconds};
use crate::config::model::{Ppp, PppClient, PppServer};
use crate::config::problem::Problems;
use crate::ppp::{AuthProtocol, NameServers, ProxyLcp, ProxyPolicy, Timers, Wanted};

/// Shorter than RFC 1661's three seconds: a lost packet must not keep a link
/// out of its set for long, and an early repetition does no harm.
const DEFAULT_RESTART: Duration = Duration::from_secs(1);
/// A list of name servers has a first and a second one (RFC 1877 1).
const MAX_NAME_SERVERS: usize = 2;

const AUTHENTICATION: &[(&str, AuthProtocol)] = &[
    ("chap", AuthProtocol::Chap),
    ("ms-chap-v2", AuthProtocol::MsChapV2),
    ("pap", AuthProtocol::Pap),
];

/// What a client can ask for.
#[derive(Clone, Copy)]
enum Request {
    Dns,
    Nbns,
}

/// PPP of a tunnel that we dial.
pub(super) fn client(of: &mut Section<'_>, problems: &mut Problems<'_>) -> PppClient {
    let mut section = open(of, problems);
    let address_control = address_control(&mut section, problems);
    close_client(section, problems, address_control)
}

/// PPP of a PPPoE line, where FF 03 is never sent (RFC 2516, 7).
pub(super) fn line(of: &mut Section<'_>, problems: &mut Problems<'_>) -> PppClient {
    let section = open(of, problems);
    close_client(section, problems, false)
}

fn close_client(
    mut section: Section<'_>,
    problems: &mut Problems<'_>,
    address_control: bool,
) -> PppClient {
    let requests = section.list(
        problems,
        "request",
        choice(&[("dns", Request::Dns), ("nbns", Request::Nbns)]),
    );
    let requests = requests.unwrap_or_default();
    let client = PppClient {
        link: link(&mut section, problems, address_control),
        wanted: Wanted {
            dns: requests.iter().any(|it| matches!(it, Request::Dns)),
            nbns: requests.iter().any(|it| matches!(it, Request::Nbns)),
        },
    };
    section.close(problems);
    client
}

pub(super) fn server(of: &mut Section<'_>, problems: &mut Problems<'_>) -> PppServer {
    let mut section = open(of, problems);
    let address_control = address_control(&mut section, problems);
    let server = PppServer {
        link: link(&mut section, problems, address_control),
        rechallenge: section.optional(problems, "rechallenge", seconds(10..=86_400)),
        name_servers: NameServers {
            dns: name_servers(&mut section, problems, "dns"),
            nbns: name_servers(&mut section, problems, "nbns"),
        },
        proxy: ProxyPolicy {
            lcp: section.or(
                problems,
                "proxy-lcp",
                choice(&[
                    ("renegotiate", ProxyLcp::Renegotiate),
                    ("on-mismatch", ProxyLcp::OnMismatch),
                    ("accept", ProxyLcp::Accept),
                ]),
                ProxyLcp::Renegotiate,
            ),
            authentication: section.or(problems, "proxy-authentication", boolean, false),
        },
    };
    section.close(problems);
    server
}

fn open<'t>(of: &mut Section<'t>, problems: &mut Problems<'_>) -> Section<'t> {
    let node = of.node("ppp");
    let path = of.path.key("ppp");
    Section::open(problems, path, node)
}

fn address_control(section: &mut Section<'_>, problems: &mut Problems<'_>) -> bool {
    section.or(problems, "address-control", boolean, true)
}

/// The words that all ends have.
fn link(section: &mut Section<'_>, problems: &mut Problems<'_>, address_control: bool) -> Ppp {
    let defaults = Timers::default();
    let counter = |most| number::<u32>(1..=most);
    Ppp {
        authentication: authentication(section, problems),
        address_control,
        ignore_magic: section.or(problems, "ignore-magic", boolean, false),
        timers: Timers {
            restart: section.or(problems, "restart", seconds(1..=30), DEFAULT_RESTART),
            max_configure: section.or(
                problems,
                "max-configure",
                counter(255),
                defaults.max_configure,
            ),
            max_terminate: section.or(
                problems,
                "max-terminate",
                counter(255),
                defaults.max_terminate,
            ),
            max_failure: section.or(problems, "max-failure", counter(255), defaults.max_failure),
            login: section.or(problems, "login-timeout", seconds(5..=600), defaults.login),
        },
    }
}

/// A list without repetitions, which stands for a preference.
fn authentication(section: &mut Section<'_>, problems: &mut Problems<'_>) -> Vec<AuthProtocol> {
    let path = section.path.key("authentication");
    let Some(list) = section.list(problems, "authentication", choice(AUTHENTICATION)) else {
        return AuthProtocol::ALL.to_vec();
    };
    let names: BTreeSet<String> = list.iter().map(ToString::to_string).collect();
    if !problems.sound(&path) {
        return list;
    }
    if list.is_empty() {
        problems.error(
            &path,
            "no way to log in is left",
            "write some of chap, ms-chap-v2 and pap, or take the key away for all",
        );
    } else if names.len() < list.len() {
        problems.error(
            &path,
            "a word stands here twice",
            "write each of chap, ms-chap-v2 and pap once at most, the best first",
        );
    }
    list
}

fn name_servers(
    section: &mut Section<'_>,
    problems: &mut Problems<'_>,
    key: &'static str,
) -> Vec<Ipv4Addr> {
    let path = section.path.key(key);
    let servers = section.list(problems, key, host_ipv4).unwrap_or_default();
    if servers.len() > MAX_NAME_SERVERS {
        problems.error(
            &path,
            format!(
                "{} servers stand here, and a peer can be told two",
                servers.len()
            ),
            "write the first and the second one",
        );
    }
    servers
}
