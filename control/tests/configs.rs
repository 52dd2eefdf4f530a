//! The files in `configs/` load, and say what they are meant to say.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use control::config::{Config, Interface, Problem, check_files};

fn path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../configs")).join(name)
}

fn load(name: &str) -> Config {
    let show = |problems: Vec<Problem>| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        lines.join("\n")
    };
    let (config, warnings) = Config::load(&path(name)).map_err(show).unwrap();
    assert!(warnings.is_empty(), "{}", show(warnings));
    config
}

#[test]
fn the_demo_has_three_links_in_one_set_at_both_ends() {
    let head = load("demo/head.yaml");
    let remote = load("demo/remote.yaml");
    let logins = &head.l2tp.incoming[0].matches;
    assert_eq!(logins.len(), 3);
    assert_eq!(remote.l2tp.outgoing.len(), 3);
    for (number, (login, tunnel)) in (1u8..).zip(logins.iter().zip(&remote.l2tp.outgoing)) {
        assert_eq!(login.username, tunnel.username);
        assert_eq!(login.password, tunnel.password);
        assert_eq!((login.ha_set, tunnel.ha_set), (Some(0), Some(0)));
        assert_eq!(tunnel.server, Ipv4Addr::new(10, number, 0, 1).into());
        assert_eq!(tunnel.table, u32::from(number));
        assert_eq!(tunnel.lcp_timeout, Duration::from_secs(5));
    }
    assert_eq!(
        head.l2tp.incoming[0].local_ip,
        Ipv4Addr::new(192, 168, 1, 1)
    );
    let forward = |config: &Config| -> Vec<bool> {
        config
            .interfaces
            .iter()
            .map(|interface| interface.forward)
            .collect()
    };
    assert_eq!(forward(&head), [true, false, false, false]);
    assert_eq!(forward(&remote), [true, false, false, false]);
}

#[test]
fn the_two_sites_load() {
    let head = load("head.yaml");
    let remote = load("remote.yaml");
    assert_eq!(head.l2tp.incoming[0].secret, remote.l2tp.outgoing[0].secret);
    assert_eq!(
        remote.interfaces[1].gateways,
        [Ipv4Addr::new(198, 51, 100, 1)]
    );
}

#[test]
fn the_van_gets_all_its_addresses_and_the_office_has_several_far_ends() {
    let van = load("van.yaml");
    let given = |name: &str| {
        let of_name = |interface: &&Interface| interface.name == name;
        van.interfaces.iter().find(of_name).expect("it is there")
    };
    for modem in ["MODEM1", "MODEM2"] {
        assert!(given(modem).asked.dhcp.is_some() && given(modem).addresses.is_empty());
    }
    let venue = given("VENUE");
    assert!(venue.pppoe.is_some() && venue.vlan == Some(7));
    let office = load("head-office.yaml");
    let mut remotes: Vec<Ipv4Addr> = office
        .l2tp
        .incoming
        .iter()
        .flat_map(|incoming| &incoming.matches)
        .map(|login| login.remote_ip)
        .collect();
    remotes.dedup();
    assert_eq!(
        remotes,
        [10, 11, 12].map(|host| Ipv4Addr::new(192, 168, 1, host))
    );
    let files = ["van.yaml", "head-office.yaml"].map(path);
    assert_eq!(check_files(&files), [], "they fit together");
}
