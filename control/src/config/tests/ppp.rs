//! The words of `ppp`.

use std::time::Duration;

use crate::config::{Config, Ppp, PppClient, PppServer, Problem};
use crate::ppp::{AuthProtocol, NameServers, ProxyLcp, ProxyPolicy, Timers, Wanted};

const HEAD: &str = include_str!("../../../../configs/head.yaml");
const REMOTE: &str = include_str!("../../../../configs/remote.yaml");

/// The head end or the remote with a `ppp`, on its first tunnel.
fn with(file: &str, ppp: &str) -> Result<Config, Vec<Problem>> {
    let place = if file == HEAD {
        "incoming:\n    - "
    } else {
        "outgoing:\n    - "
    };
    assert!(file.contains(place));
    let text = file.replacen(place, &format!("{place}ppp: {ppp}\n      "), 1);
    let (config, warnings) = Config::parse("f", &text)?;
    assert_eq!(warnings, []);
    Ok(config)
}

fn server(ppp: &str) -> PppServer {
    with(HEAD, ppp).unwrap().l2tp.incoming[0].ppp.clone()
}

fn client(ppp: &str) -> PppClient {
    with(REMOTE, ppp).unwrap().l2tp.outgoing[0].ppp.clone()
}

fn defaults() -> Ppp {
    Ppp {
        authentication: AuthProtocol::ALL.to_vec(),
        address_control: true,
        ignore_magic: false,
        timers: Timers {
            restart: Duration::from_secs(1),
            max_configure: 10,
            max_terminate: 2,
            max_failure: 5,
            login: Duration::from_secs(60),
        },
    }
}

#[test]
fn what_holds_when_nothing_is_said() {
    let expected = PppServer {
        link: defaults(),
        rechallenge: None,
        name_servers: NameServers::default(),
        proxy: ProxyPolicy {
            lcp: ProxyLcp::Renegotiate,
            authentication: false,
        },
    };
    assert_eq!(server("{ }"), expected);
    let without = Config::parse("f", HEAD).unwrap().0;
    assert_eq!(without.l2tp.incoming[0].ppp, expected);
    let expected = PppClient {
        link: defaults(),
        wanted: Wanted::default(),
    };
    assert_eq!(client("{ }"), expected);
}

#[test]
fn every_word_is_taken() {
    let link = "authentication: [pap, ms-chap-v2], address-control: false, ignore-magic: true, \
        restart: 3, max-configure: 20, max-terminate: 4, max-failure: 6, login-timeout: 90";
    let expected = Ppp {
        authentication: vec![AuthProtocol::Pap, AuthProtocol::MsChapV2],
        address_control: false,
        ignore_magic: true,
        timers: Timers {
            restart: Duration::from_secs(3),
            max_configure: 20,
            max_terminate: 4,
            max_failure: 6,
            login: Duration::from_secs(90),
        },
    };
    let of_client = client(&format!("{{ {link}, request: [nbns] }}"));
    assert_eq!(
        of_client,
        PppClient {
            link: expected.clone(),
            wanted: Wanted {
                dns: false,
                nbns: true
            },
        }
    );
    assert!(client("{ request: [dns, nbns] }").wanted.dns);
    let of_server = server(&format!(
        "{{ {link}, rechallenge: 600, dns: [10.0.0.1, 10.0.0.2], nbns: [10.0.0.3], \
         proxy-lcp: accept, proxy-authentication: true }}"
    ));
    assert_eq!(
        of_server,
        PppServer {
            link: expected,
            rechallenge: Some(Duration::from_secs(600)),
            name_servers: NameServers {
                dns: vec![[10, 0, 0, 1].into(), [10, 0, 0, 2].into()],
                nbns: vec![[10, 0, 0, 3].into()],
            },
            proxy: ProxyPolicy {
                lcp: ProxyLcp::Accept,
                authentication: true,
            },
        }
    );
    let on_mismatch = server("{ proxy-lcp: on-mismatch }").proxy.lcp;
    assert_eq!(on_mismatch, ProxyLcp::OnMismatch);
}

#[test]
fn what_cannot_be_is_told() {
    for (file, ppp, key, message) in [
        (
            HEAD,
            "{ authentication: [] }",
            "authentication",
            "no way to log in",
        ),
        (
            HEAD,
            "{ authentication: [chap, chap] }",
            "authentication",
            "stands here twice",
        ),
        (
            HEAD,
            "{ authentication: [mschap] }",
            "authentication",
            "not one of the words",
        ),
        (
            HEAD,
            "{ authentication: chap }",
            "authentication",
            "where a list belongs",
        ),
        (
            HEAD,
            "{ authentication: [pap], rechallenge: 60 }",
            "rechallenge",
            "it asks once",
        ),
        (HEAD, "{ rechallenge: 9 }", "rechallenge", "10 to 86400"),
        (
            HEAD,
            "{ dns: [10.0.0.1, 10.0.0.2, 10.0.0.3] }",
            "dns",
            "3 servers",
        ),
        (HEAD, "{ nbns: [\"2001:db8::1\"] }", "nbns", "is of IPv6"),
        (
            HEAD,
            "{ proxy-lcp: always }",
            "proxy-lcp",
            "not one of the words",
        ),
        (
            HEAD,
            "{ proxy-authentication: false }",
            "proxy-authentication",
            "always negotiated anew",
        ),
        (HEAD, "{ request: [dns] }", "request", "unknown"),
        (
            HEAD,
            "{ address-control: 1 }",
            "address-control",
            "true or false",
        ),
        (
            HEAD,
            "{ ignore-magic: maybe }",
            "ignore-magic",
            "true or false",
        ),
        (HEAD, "{ restart: 0 }", "restart", "1 to 30"),
        (HEAD, "{ max-configure: 0 }", "max-configure", "1 to 255"),
        (HEAD, "{ max-terminate: 256 }", "max-terminate", "1 to 255"),
        (HEAD, "{ max-failure: -1 }", "max-failure", "1 to 255"),
        (HEAD, "{ login-timeout: 4 }", "login-timeout", "5 to 600"),
        (REMOTE, "{ rechallenge: 60 }", "rechallenge", "unknown"),
        (
            REMOTE,
            "{ request: [wins] }",
            "request",
            "not one of the words",
        ),
    ] {
        let problems = with(file, ppp).unwrap_err();
        assert_eq!(problems.len(), 1, "{ppp}: {problems:?}");
        let problem = &problems[0];
        assert!(
            problem.key.contains(&format!("].ppp.{key}")),
            "{ppp}: {problem}"
        );
        let said = format!("{} {}", problem.message, problem.remedy);
        assert!(said.contains(message), "{ppp}: {problem}");
    }
}

/// What a LAC tells can be repeated by whoever has seen it.
#[test]
fn proxy_authentication_wants_a_secret() {
    let open = HEAD.replace(
        "      secret: test              # the same `secret` at both ends\n",
        "",
    );
    assert_ne!(open, HEAD);
    let with_proxy = |ppp: &str| {
        let place = "incoming:\n    - ";
        Config::parse(
            "f",
            &open.replacen(place, &format!("{place}ppp: {ppp}\n      "), 1),
        )
    };
    let problems = with_proxy("{ proxy-lcp: accept, proxy-authentication: true }").unwrap_err();
    let told = |problem: &&Problem| problem.message.contains("there is no `secret`: whoever");
    assert_eq!(problems.iter().filter(told).count(), 1, "{problems:?}");
    with_proxy("{ proxy-lcp: accept }").expect("asked anew, nothing can be repeated");
}
