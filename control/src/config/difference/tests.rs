//! What is said of files that differ, and where everything is afterwards.

use proptest::prelude::*;

use super::*;
use crate::config::{Server, Via};
use crate::secret::Secret;

fn parsed(text: &str) -> Config {
    match Config::parse("x.yaml", text) {
        Ok((config, _)) => config,
        Err(problems) => panic!("{}", crate::config::report(&problems)),
    }
}

fn head() -> Config {
    parsed(include_str!("../../../../configs/demo/head.yaml"))
}

fn remote() -> Config {
    parsed(include_str!("../../../../configs/demo/remote.yaml"))
}

fn reference() -> Config {
    parsed(include_str!("../../../../configs/reference.yaml"))
}

/// The text of the demo's remote, something else in the place of something.
fn edited(edits: &[(&str, &str)]) -> Config {
    let mut text = include_str!("../../../../configs/demo/remote.yaml").to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    parsed(&text)
}

fn between(before: &Config, after: &Config) -> Difference {
    Difference::between(before, after, &WithoutIpv6::default())
}

#[test]
fn a_file_does_not_differ_from_itself() {
    for config in [head(), remote(), reference()] {
        let difference = between(&config, &config);
        assert_eq!(
            difference.reloaded,
            Reloaded {
                unchanged: true,
                ..Reloaded::default()
            }
        );
        assert!(difference.restarts.is_empty());
        let places = &difference.places;
        let kept = |places: &[Place]| (0..).zip(places).all(|(at, it)| *it == Place::Kept(at));
        assert!(kept(&places.outgoing) && kept(&places.incoming) && kept(&places.ha_sets));
        assert!(places.matches.iter().all(|places| kept(places)));
    }
}

/// An edit of the file, and what is said of it, line by line.
#[test]
fn an_edit_is_said_in_the_words_of_the_file() {
    let tunnel = "    - name: head2\n      hostname: remote\n      secret: demo-tunnel\n";
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("# The demo", "# Another demo")], "nothing has changed"),
        (&[("  memory: 256", "  memory: 257")], "restart: dataplane"),
        (&[("name: remote\n", "name: other\n")], "restart: name"),
        (
            &[("/run/hal2tp/remote.sock", "/run/x.sock")],
            "restart: management.socket",
        ),
        (&[("device: isp2", "device: isp9")], "restart: ports"),
        (&[("10.2.0.2/24", "10.2.0.3/24")], "restart: interfaces"),
        (
            &[("l2tp:\n", "l2tp:\n  vendor-id: 77\n")],
            "restart: l2tp.vendor-id",
        ),
        (
            &[("l2tp:\n", "l2tp:\n  limits: { half-open: 77 }\n")],
            "limits: changed",
        ),
        (
            &[("by way of ISP 2", "by way of another")],
            "outgoing: head2 adjusted in place",
        ),
        (
            &[("password: demo-two", "password: demo-2")],
            "outgoing: head2 changed, set up anew",
        ),
        (
            &[("server: 10.2.0.1", "server: 10.2.0.9")],
            "outgoing: head2 changed, set up anew",
        ),
        (
            &[("graph: L2TP-remote-2", "graph: L2TP-two")],
            "outgoing: head2 changed, set up anew",
        ),
        (
            &[("name: head2", "name: head9")],
            "outgoing: head9 added; head2 removed",
        ),
        (
            &[(tunnel, &format!("{tunnel}      speed: 5M\n"))],
            "outgoing: head2 changed, set up anew",
        ),
        (
            &[("window: 262144", "window: 524288")],
            "ha-sets: A changed, set up anew\noutgoing: head1, head2, head3 changed, set up anew",
        ),
        (
            &[("window: 262144", "window: 262144, grace-ms: 3000")],
            "ha-sets: A adjusted in place",
        ),
        (
            &[("window: 262144", "window: 262144 }\n  - { name: B")],
            "ha-sets: B added",
        ),
        (
            &[(
                "ha-sets:",
                "routes: [{ to: 10.99.0.0/16, via: blackhole }]\nha-sets:",
            )],
            "routes: 1 changed",
        ),
        (
            &[(
                "ha-sets:",
                "alarms: [{ command: [/bin/true] }]\nsyslog: true\nha-sets:",
            )],
            "alarms: true added\nsyslog: changed",
        ),
    ];
    for (edits, expected) in cases {
        let difference = between(&remote(), &edited(edits));
        let said = if difference.restarts.is_empty() {
            difference.reloaded.lines().join("\n")
        } else {
            format!("restart: {}", difference.restarts.join(", "))
        };
        assert_eq!(said, *expected, "{edits:?}");
        let back = between(&edited(edits), &remote());
        assert_eq!(back.restarts, difference.restarts);
        let (there, back) = (difference.reloaded, back.reloaded);
        assert_eq!(there.outgoing.added, back.outgoing.removed);
        assert_eq!(there.outgoing.changed, back.outgoing.changed);
    }
}

/// Where the file does not say whether an interface forwards, that follows from the tunnels.
#[test]
fn forward_that_follows_from_a_tunnel_takes_no_restart() {
    let mut after = remote();
    after.interfaces[0].forward = !after.interfaces[0].forward;
    let difference = between(&remote(), &after);
    assert!(difference.restarts.is_empty() && !difference.reloaded.unchanged);
}

/// Where the file does not say `local-ip`, the first match decides which LAN's address it is.
#[test]
fn a_match_that_comes_or_goes_ends_no_link_of_the_others() {
    let text = include_str!("../../../../configs/demo/head.yaml").replacen(
        "addresses: [192.168.1.1/24]",
        "addresses: [192.168.1.1/24] }\n  - { name: LAN2, port: lan2, table: 0, addresses: [192.168.77.1/24]",
        1,
    );
    let text = text.replacen("ports:\n", "ports:\n  - { name: lan2, device: lan2 }\n", 1);
    let (at, end) = (text.find("      match:\n"), text.find("\nha-sets:"));
    let (start, end) = (&text[..at.unwrap()], &text[end.unwrap()..]);
    let lans = |incoming: &str| parsed(&format!("{start}{incoming}{end}"));
    let of = |name: &str, remote: &str| {
        format!(
            "        - {{ graph: {name}, username: {name}, password: p, remote-ip: {remote} }}\n"
        )
    };
    let (a, b) = (of("a", "192.168.77.10"), of("b", "192.168.1.10"));
    let with = |matches: &[&str]| lans(&format!("      match:\n{}", matches.concat()));
    let said = |local_ip| format!("      local-ip: {local_ip}\n      match:\n{a}{b}");
    let both = with(&[&a, &b]);
    for (after, lines) in [
        (
            with(&[&b]),
            "incoming: remote adjusted in place; match: a removed",
        ),
        (with(&[&b, &a]), "incoming: remote adjusted in place"),
        (with(&[&a]), "match: b removed"),
        // It is the same, and now the file says so.
        (
            lans(&said("192.168.77.1")),
            "incoming: remote adjusted in place",
        ),
    ] {
        let difference = between(&both, &after);
        assert_eq!(difference.places.incoming, [Place::Kept(0)]);
        assert!(difference.reloaded.matches.changed.is_empty());
        assert_eq!(difference.reloaded.lines().join("; "), lines);
    }
    assert_ne!(
        both.l2tp.incoming[0].local_ip,
        with(&[&b]).l2tp.incoming[0].local_ip
    );
    // Whoever says another one wants it.
    let difference = between(&both, &lans(&said("192.168.1.1")));
    assert_eq!(difference.places.incoming, [Place::Changed(0)]);
    assert_eq!(difference.reloaded.matches.changed, ["a", "b"]);
}

#[test]
fn links_may_share_a_name() {
    let mut before = head();
    let logins = &mut before.l2tp.incoming[0].matches;
    for login in logins.iter_mut() {
        login.graph = "same".to_owned();
    }
    let mut after = before.clone();
    let logins = &mut after.l2tp.incoming[0].matches;
    logins.rotate_left(1);
    logins[0].password = Secret::new("another".to_owned());
    let places = between(&before, &after).places;
    let expected = [Place::Kept(2), Place::Changed(0), Place::Kept(1)];
    assert_eq!(places.matches, [expected]);
}

#[test]
fn alarms_with_one_name_are_told_apart() {
    let text = |alarms: &str| {
        let whole = include_str!("../../../../configs/demo/remote.yaml");
        parsed(&format!("{whole}\nalarms:\n{alarms}"))
    };
    let one = "  - { name: same, command: [/bin/one] }\n";
    let two = "  - { name: same, command: [/bin/two] }\n";
    let three = "  - { name: same, command: [/bin/three] }\n";
    let say = |before: &str, after: &str| {
        let difference = between(&text(before), &text(after));
        difference.reloaded.lines().join("\n")
    };
    let (both, others) = (&format!("{one}{two}"), &format!("{two}{three}"));
    assert_eq!(say(both, others), "alarms: same changed, set up anew");
    assert_eq!(say(both, two), "alarms: same removed");
    assert_eq!(
        say(both, &format!("{two}{one}")),
        "nothing has changed but the order"
    );
}

#[test]
fn long_lists_are_cut_for_people() {
    let changes = Changes {
        removed: (0..20).map(|it| format!("n{it}")).collect(),
        ..Changes::default()
    };
    let text = changes.text("match").unwrap();
    assert_eq!(
        text,
        "match: n0, n1, n2, n3, n4, n5, n6, n7 and 12 others removed"
    );
}

/// One thing that somebody does to a file.
#[derive(Clone, Copy, Debug)]
enum Edit {
    Remove(usize),
    Twin(usize),
    Reverse,
    Password(usize),
    Routes(usize),
    NewSet,
    RenameSet,
    LeaveSet(usize),
    Static(u8),
    Grace(u64),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (0..8usize).prop_map(Edit::Remove),
        (0..8usize).prop_map(Edit::Twin),
        Just(Edit::Reverse),
        (0..8usize).prop_map(Edit::Password),
        (0..8usize).prop_map(Edit::Routes),
        Just(Edit::NewSet),
        Just(Edit::RenameSet),
        (0..8usize).prop_map(Edit::LeaveSet),
        (0..4u8).prop_map(Edit::Static),
        (1..4u64).prop_map(Edit::Grace),
    ]
}

fn apply(config: &mut Config, edit: Edit) {
    let count = config.l2tp.outgoing.len();
    let outgoing = &mut config.l2tp.outgoing;
    match edit {
        Edit::Remove(at) if at < count => drop(outgoing.remove(at)),
        Edit::Twin(at) if at < count => {
            let mut twin = outgoing[at].clone();
            twin.name = format!("{}+", twin.name);
            twin.server = Server::Name("twin.example.net".to_owned());
            outgoing.insert(0, twin);
        }
        Edit::Reverse => outgoing.reverse(),
        Edit::Password(at) if at < count => outgoing[at].password = Secret::new("x".to_owned()),
        Edit::Routes(at) if at < count => outgoing[at].routes.clear(),
        Edit::LeaveSet(at) if at < count => outgoing[at].ha_set = None,
        Edit::NewSet => {
            let new = HaSet {
                name: format!("N{}", config.ha_sets.len()),
                ..config.ha_sets[0].clone()
            };
            config.ha_sets.insert(0, new);
            for outgoing in &mut config.l2tp.outgoing {
                outgoing.ha_set = outgoing.ha_set.map(|set| set + 1);
            }
        }
        Edit::RenameSet => config.ha_sets[0].name.push('z'),
        Edit::Static(last) => config.routes.push(crate::config::Route {
            to: dataplane::command::Prefix::host(std::net::Ipv4Addr::new(10, 0, 0, last)),
            via: Via::HaSet(0),
            table: 0,
        }),
        Edit::Grace(s) => config.ha_sets[0].grace = std::time::Duration::from_secs(s),
        _ => {}
    }
}

proptest! {
    #[test]
    fn there_and_back_again(edits in proptest::collection::vec(edit(), 0..12)) {
        let before = remote();
        let mut after = before.clone();
        for edit in edits {
            apply(&mut after, edit);
        }
        let there = between(&before, &after);
        let back = between(&after, &before);
        prop_assert_eq!(there.reloaded.unchanged, before == after);
        prop_assert_eq!(&there.reloaded.outgoing.added, &back.reloaded.outgoing.removed);
        prop_assert_eq!(there.reloaded.routes, back.reloaded.routes);
        prop_assert!(there.restarts.is_empty());
        // Each place is taken once, by what has the name and is as it was.
        let mut taken = BTreeSet::new();
        for (old, place) in before.l2tp.outgoing.iter().zip(&there.places.outgoing) {
            if let Some(at) = place.named() {
                prop_assert!(taken.insert(at));
                prop_assert_eq!(&old.name, &after.l2tp.outgoing[at].name);
            }
            if let Some(at) = place.kept() {
                let new = &after.l2tp.outgoing[at];
                prop_assert_eq!(&old.password, &new.password);
                let set = |config: &Config, of: Option<usize>| {
                    of.map(|set| config.ha_sets[set].name.clone())
                };
                prop_assert_eq!(set(&before, old.ha_set), set(&after, new.ha_set));
            }
        }
        // By way of the other file, everything is where it was.
        for (at, place) in there.places.outgoing.iter().enumerate() {
            if let Some(through) = place.kept() {
                prop_assert_eq!(back.places.outgoing[through].named(), Some(at));
            }
        }
        let same = between(&after, &after);
        prop_assert!(same.reloaded.unchanged && same.reloaded.routes == 0);
    }
}
