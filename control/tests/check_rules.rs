//! What `check` says of good files with one thing changed: this, at this line, and nothing else.

mod common;
mod told;

use common::{HEAD, REMOTE, changed};
use control::config::Config;
use told::{error, warning};

#[test]
fn one_username_for_two_links_of_a_set() {
    error(
        REMOTE,
        &[("username: remote.2", "username: remote.1")],
        "l2tp.outgoing[head2].username",
        "username: remote.1",
        "log in under one username",
    );
    error(
        HEAD,
        &[("username: remote.2", "username: remote.1")],
        "l2tp.incoming[remote].match[remote.2].username",
        "graph: remote.2",
        "is taken by line",
    );
}

#[test]
fn a_tunnel_that_would_swallow_itself() {
    let no_set = [
        ("      ha-set: A\n", ""),
        ("      ha-set: A\n", ""),
        ("ha-sets:\n  - { name: A, window: 262144 }", ""),
    ];
    let shared = ("payload-table: 0          #", "payload-table: 1          #");
    let default = ("      routes: [192.168.1.0/24]  #", "      #");
    let around = (
        "      routes: [192.168.1.0/24]  #",
        "      routes: [203.0.113.0/24]  #",
    );
    for routes in [default, around] {
        let edits = [&no_set[..], &[shared, routes]].concat();
        error(
            REMOTE,
            &edits,
            "l2tp.outgoing[head1].payload-table",
            "payload-table: 1",
            "leads into the tunnel",
        );
    }
    // A longer route to the server keeps the tunnel's own packets out of it.
    let edits = [&no_set[..], &[shared, around]].concat();
    let text =
        changed(REMOTE, &edits) + "routes: [{ to: 203.0.113.1/32, via: 198.51.100.1, table: 1 }]\n";
    assert_eq!(
        Config::parse("f", &text).map(|(_, warnings)| warnings),
        Ok(vec![])
    );
}

#[test]
fn links_of_one_set_that_disagree() {
    error(
        REMOTE,
        &[("routes: [192.168.1.0/24]\n", "routes: [192.168.3.0/24]\n")],
        "l2tp.outgoing[head2].routes",
        "routes: [192.168.3.0/24]",
        "does not lead to the same",
    );
    error(
        REMOTE,
        &[("      routes: [192.168.1.0/24]\n", "")],
        "l2tp.outgoing[head2].routes",
        "name: head2",
        "does not lead to the same",
    );
    error(
        HEAD,
        &[(
            "routes: [192.168.2.0/24] }\n        - ",
            "routes: [192.168.3.0/24] }\n        - ",
        )],
        "l2tp.incoming[remote].match[remote.2].routes",
        "graph: remote.2",
        "does not lead to the same",
    );
    error(
        REMOTE,
        &[
            (
                "{ name: A, window: 262144 }",
                "{ name: A, routes: [192.168.1.0/24] }",
            ),
            ("      routes: [192.168.1.0/24]  #", "      #"),
            (
                "      routes: [192.168.1.0/24]\n",
                "      routes: [192.168.1.0/25]\n",
            ),
        ],
        "l2tp.outgoing[head2].routes",
        "192.168.1.0/25",
        "are not those of set",
    );
}

#[test]
fn references_and_names() {
    error(
        REMOTE,
        &[("port: isp2", "port: isp4")],
        "interfaces[ISP2].port",
        "ISP2",
        "there is no port \"isp4\"",
    );
    error(
        REMOTE,
        &[("name: ISP2", "name: ISP1")],
        "interfaces[ISP1].name",
        "isp2",
        "is taken by line",
    );
    error(
        REMOTE,
        &[("name: head2", "name: head1")],
        "l2tp.outgoing[head1].name",
        "name: head1",
        "is taken by line",
    );
    error(
        REMOTE,
        &[("L2TP-remote-2", "L2TP-remote-1")],
        "l2tp.outgoing[head2].graph",
        "L2TP-remote-1",
        "is taken by line",
    );
    error(
        REMOTE,
        &[("device: eth2", "device: eth1")],
        "ports[isp2].device",
        "isp2",
        "is taken by line",
    );
    error(
        REMOTE,
        &[
            ("port: isp2", "port: isp1"),
            ("  - { name: isp2, device: eth2 }\n", ""),
        ],
        "interfaces[ISP2].port",
        "ISP2",
        "already has the interface",
    );
}

#[test]
fn where_tunnels_travel() {
    error(
        REMOTE,
        &[("      table: 2\n", "      table: 4\n")],
        "l2tp.outgoing[head2].table",
        "table: 4",
        "no interface is in table 4",
    );
    error(
        REMOTE,
        &[(
            "      table: 2\n",
            "      table: 2\n      source: 198.51.100.2\n",
        )],
        "l2tp.outgoing[head2].source",
        "source",
        "belongs to interface \"ISP1\"",
    );
    error(
        REMOTE,
        &[(
            "      table: 2\n",
            "      table: 2\n      source: 198.51.100.7\n",
        )],
        "l2tp.outgoing[head2].source",
        "source",
        "not one of our addresses",
    );
    error(
        REMOTE,
        &[(", gateway: 203.0.113.65", "")],
        "l2tp.outgoing[head2].server",
        "server",
        "table 2 has no route to 203.0.113.1",
    );
    error(
        REMOTE,
        &[("server: 203.0.113.1\n", "server: 203.0.113.66\n")],
        "l2tp.outgoing[head2].server",
        "203.0.113.66",
        "is our own address",
    );
    error(
        REMOTE,
        &[("      server: 203.0.113.1\n", "")],
        "l2tp.outgoing[head2].server",
        "name: head2",
        "is missing",
    );
    error(
        REMOTE,
        &[(
            "      password: secret\n      lcp-rate: 1\n      lcp-timeout: 5\n      tcp-mss-fix: true\n      ha-set: A\n      routes: [192.168.1.0/24]\n",
            "      lcp-timeout: 5\n      ha-set: A\n      routes: [192.168.1.0/24]\n",
        )],
        "l2tp.outgoing[head2].password",
        "name: head2",
        "is missing",
    );
    warning(
        REMOTE,
        &[("      table: 2\n", "      table: 1\n")],
        "l2tp.outgoing[head2].table",
        "table: 1",
        "die together",
    );
}

#[test]
fn networks_and_gateways() {
    error(
        REMOTE,
        &[
            ("table: 2, addresses", "table: 1, addresses"),
            ("203.0.113.66/28", "198.51.100.66/28"),
            ("gateway: 203.0.113.65 }", "}"),
            (
                "      table: 2\n",
                "      table: 1\n      source: 198.51.100.66\n",
            ),
        ],
        "interfaces[ISP2].addresses[1]",
        "ISP2",
        "overlaps 198.51.100.0/24 of interface \"ISP1\"",
    );
    error(
        REMOTE,
        &[("gateway: 203.0.113.65", "gateway: 203.0.113.1")],
        "interfaces[ISP2].gateway",
        "ISP2",
        "in no network of this interface",
    );
    error(
        REMOTE,
        &[("gateway: 203.0.113.65", "gateway: 203.0.113.66")],
        "interfaces[ISP2].gateway",
        "ISP2",
        "own address",
    );
    error(
        REMOTE,
        &[("[203.0.113.66/28]", "[203.0.113.64/28]")],
        "interfaces[ISP2].addresses[1]",
        "ISP2",
        "no address that an interface can have",
    );
}

#[test]
fn the_http_interface() {
    let http = |edit: &'static str| ("remote.sock }", edit);
    let cases = [
        (
            "remote.sock, http: \"127.0.0.1\" }",
            "",
            "not an address with its port",
        ),
        (
            "remote.sock, http: \"127.0.0.1:0\" }",
            "",
            "not an address with its port",
        ),
        (
            "remote.sock, http: \"0.0.0.0:8080\" }",
            "",
            "reached from other machines, and there is no token",
        ),
        (
            "remote.sock, http: { listen: [\"[::1]:80\", \"[2001:db8::1]:80\"] } }",
            ".listen",
            "[2001:db8::1]:80 is reached from other machines",
        ),
        (
            "remote.sock, http: { listen: [\"[::1]:80\", \"[::1]:80\"] } }",
            ".listen",
            "twice",
        ),
        (
            "remote.sock, http: { listen: [] } }",
            ".listen",
            "listens nowhere",
        ),
        (
            "remote.sock, http: { names: [a.example] } }",
            ".listen",
            "this key is missing",
        ),
        (
            "remote.sock, http: { listen: \"[::1]:80\", token-file: token } }",
            ".token-file",
            "needs a whole path",
        ),
        (
            "remote.sock, http: { listen: \"[::1]:80\", names: [192.0.2.1] } }",
            ".names[1]",
            "is not a name",
        ),
    ];
    for (edit, key, message) in cases {
        let key = format!("management.http{key}");
        error(REMOTE, &[http(edit)], &key, "remote.sock", message);
    }
    let text = changed(
        REMOTE,
        &[http(
            "remote.sock, http: { listen: [\"0.0.0.0:80\", \"[::1]:80\"], token-file: /etc/token, names: [Box.Example.] } }",
        )],
    );
    let (config, _) = Config::parse("f", &text).unwrap();
    let http = config.management.http.unwrap();
    assert_eq!(http.names, ["box.example"]);
    assert_eq!(http.listen.len(), 2);
    let text = changed(
        REMOTE,
        &[("remote.sock }", "remote.sock, http: 127.0.0.1:80 }")],
    );
    let (config, _) = Config::parse("f", &text).unwrap();
    assert_eq!(config.management.http.unwrap().token_file, None);
}

#[test]
fn a_history_needs_a_directory() {
    let history = |told: &'static str| [("remote.sock }", told)];
    error(
        REMOTE,
        &history("remote.sock, history: { directroy: /var/lib/hal2tp } }"),
        "management.history.directroy",
        "directroy",
        "this key is unknown",
    );
    error(
        REMOTE,
        &history("remote.sock, history: {} }"),
        "management.history.directory",
        "history",
        "this key is missing",
    );
    error(
        REMOTE,
        &history("remote.sock, history: { directory: lib/hal2tp } }"),
        "management.history.directory",
        "directory",
        "needs a whole path",
    );
}

#[test]
fn static_routes_and_neighbours() {
    let routes = |line: &'static str| [("ha-sets:", line)];
    error(
        REMOTE,
        &routes("routes:\n  - { to: 10.0.0.0/8, via: 10.0.0.1 }\nha-sets:"),
        "routes[1].via",
        "to: 10.0.0.0/8",
        "no interface of table 0 is connected to 10.0.0.1",
    );
    error(
        REMOTE,
        &routes("routes:\n  - { to: 10.0.0.0/8, via: ISP1 }\nha-sets:"),
        "routes[1].via",
        "ISP1",
        "in table 1",
    );
    error(
        REMOTE,
        &routes("routes:\n  - { to: 10.0.0.0/8, via: nowhere }\nha-sets:"),
        "routes[1].via",
        "nowhere",
        "no interface or set \"nowhere\"",
    );
    error(
        REMOTE,
        &routes("routes:\n  - { to: 192.168.1.0/24, via: blackhole }\nha-sets:"),
        "routes[1].to",
        "blackhole",
        "already leads elsewhere",
    );
    error(
        REMOTE,
        &[
            ("routes: [192.168.1.0/24]  #", "routes: [192.168.2.0/24]  #"),
            (
                "routes: [192.168.1.0/24]\n",
                "routes: [192.168.1.0/24, 192.168.2.0/24]\n",
            ),
            ("routes: [192.168.2.0/24]  #", "routes: [192.168.1.0/24]  #"),
            ("      ha-set: A\n", ""),
            ("ha-set: A\n", "\n"),
            ("routes: [192.168.1.0/24, ", "routes: ["),
            ("ha-sets:\n  - { name: A, window: 262144 }", ""),
        ],
        "l2tp.outgoing[head2].routes",
        "routes: [192.168.2.0/24]",
        "192.168.2.0/24 of table 0 already leads elsewhere",
    );
    error(
        REMOTE,
        &routes(
            "neighbours:\n  - { interface: LAN, address: 192.168.3.1, mac: \"02:00:00:00:00:01\" }\nha-sets:",
        ),
        "neighbours[1].address",
        "192.168.3.1",
        "in no network of interface \"LAN\"",
    );
    error(
        REMOTE,
        &routes(
            "neighbours:\n  - { interface: LAN, address: 192.168.2.9, mac: \"03:00:00:00:00:01\" }\nha-sets:",
        ),
        "neighbours[1].mac",
        "192.168.2.9",
        "hardware address",
    );
}

#[test]
fn speeds() {
    for (speed, message) in [
        ("fast", "is not a speed"),
        ("0", "is not a speed"),
        ("20 M", "is not a speed"),
        ("-1M", "is not a speed"),
        ("99999G", "is not a speed"),
        ("20m", "is not a speed"),
    ] {
        let tunnel = format!("lcp-timeout: 5\n      speed: {speed}");
        error(
            REMOTE,
            &[("lcp-timeout: 5", &tunnel)],
            "l2tp.outgoing[head1].speed",
            speed,
            message,
        );
    }
}

#[test]
fn how_long_a_missing_packet_is_waited_for() {
    for (ordering, key, message) in [
        ("{ max-delay: 30 }", "max-delay", "not a time with its unit"),
        ("{ max-delay: 0ms }", "max-delay", "from 1ms to 1s"),
        ("{ max-delay: 1001ms }", "max-delay", "from 1ms to 1s"),
        ("{ max-delay: -1ms }", "max-delay", "\"-1ms\" is not"),
        ("{ max-delay: 1.5ms }", "max-delay", "\"1.5ms\" is not"),
        ("{ max-delay: ms }", "max-delay", "\"ms\" is not"),
        (
            "{ max-delay: 99999999999999999999s }",
            "max-delay",
            "is not",
        ),
        ("{ max-delay: }", "max-delay", "is not a time"),
        ("{ adaptive: true }", "max-delay", "missing"),
        ("{ max-delay: 30ms, adaptive: no }", "adaptive", "not true"),
        ("{ max-delay: 30ms, window: 3 }", "window", "unknown"),
        ("30ms", "", "where keys with values belong"),
    ] {
        let path = format!("ha-sets[A].ordering.{key}");
        error(
            REMOTE,
            &[(
                "name: A, window: 262144",
                &format!("name: A, ordering: {ordering}"),
            )],
            path.trim_end_matches('.'),
            "name: A",
            message,
        );
    }
    for (written, max_delay_us) in [("1ms", 1000), ("1s", 1_000_000), ("2500us", 2500)] {
        let set = format!("ordering: {{ max-delay: {written} }}");
        let text = changed(REMOTE, &[("window: 262144", &set)]);
        let (config, warnings) = Config::parse("f", &text).unwrap();
        assert_eq!(warnings, []);
        let ordering = config.ha_sets[0].ordering.unwrap();
        assert_eq!(ordering.max_delay.as_micros(), max_delay_us);
        assert!(ordering.adaptive);
    }
}

#[test]
fn windows_and_memory() {
    for (window, message) in [
        ("100000", "not a power of two"),
        ("32768", "not a window of a size"),
        ("33554432", "not a window of a size"),
        ("-1", "not a whole number"),
        ("2e5", "not a whole number"),
    ] {
        error(
            REMOTE,
            &[("262144", window)],
            "ha-sets[A].window",
            window,
            message,
        );
    }
    // 2 epochs of 2^24 numbers take 8 MiB for each of six remotes: more than half of 64 MiB.
    let mut matches = String::new();
    for remote in 10..15 {
        for link in 1..3 {
            matches.push_str(&format!(
                "        - {{ username: u{remote}.{link}, password: p, remote-ip: 192.168.1.{remote} }}\n"
            ));
        }
    }
    let edits = [
        ("ha-sets:", &*format!("{matches}\nha-sets:")),
        ("workers: 1", "memory: 64"),
        ("262144", "16777216"),
    ];
    error(
        HEAD,
        &edits,
        "dataplane.memory",
        "memory: 64",
        "take 49 MiB, more than half",
    );
}

#[test]
fn incoming_tunnels() {
    error(
        HEAD,
        &[
            ("remote-ip: 192.168.1.2", "remote-ip: 192.168.1.1"),
            ("remote-ip: 192.168.1.2", "remote-ip: 192.168.1.3"),
            ("      ha-set: A\n", ""),
            ("ha-sets:\n  - { name: A, window: 262144 }", ""),
            (", routes: [192.168.2.0/24] }", " }"),
        ],
        "l2tp.incoming[remote].match[remote.1].remote-ip",
        "remote-ip: 192.168.1.1 ",
        "is our own address",
    );
    error(
        HEAD,
        &[("payload-table: 0\n", "payload-table: 7\n")],
        "l2tp.incoming[remote].local-ip",
        "name: remote",
        "payload table 7 has no own IPv4 address",
    );
    error(
        HEAD,
        &[(
            "      local-hostname",
            "      listen: [203.0.113.9]\n      local-hostname",
        )],
        "l2tp.incoming[remote].listen[1]",
        "203.0.113.9",
        "not one of our addresses",
    );
    error(
        HEAD,
        &[(
            "      local-hostname",
            "      table: 9\n      local-hostname",
        )],
        "l2tp.incoming[remote].table",
        "table: 9",
        "no interface is in table 9",
    );
    error(
        HEAD,
        &[(
            "ha-sets:",
            "    - { name: other, remote-hostname: remote, secret: s, match: [{ username: a, password: b, remote-ip: 192.168.1.9 }] }\nha-sets:",
        )],
        "l2tp.incoming[other].remote-hostname",
        "name: other",
        "already accepts the host name \"remote\"",
    );
}

#[test]
fn what_is_only_a_warning() {
    warning(
        REMOTE,
        &[("      lcp-timeout: 5\n", "")],
        "l2tp.outgoing[head1].lcp-timeout",
        "name: head1",
        "no lcp-timeout",
    );
    warning(
        REMOTE,
        &[("lcp-timeout: 5\n", "lcp-timeout: 11\n")],
        "l2tp.outgoing[head1].lcp-timeout",
        "lcp-timeout: 11",
        "after 11 s only",
    );
    error(
        REMOTE,
        &[("lcp-timeout: 5\n", "lcp-timeout: 1\n")],
        "l2tp.outgoing[head1].lcp-timeout",
        "lcp-timeout: 1",
        "before the answer",
    );
    warning(
        HEAD,
        &[(
            "      secret: test              # the same `secret` at both ends\n",
            "",
        )],
        "l2tp.incoming[remote].secret",
        "name: remote",
        "no secret",
    );
    let second = REMOTE.find("    - name: head2").unwrap()..REMOTE.find("ha-sets:").unwrap();
    warning(
        REMOTE,
        &[(&REMOTE[second], "")],
        "ha-sets[A]",
        "name: A",
        "one outgoing link",
    );
    let second = HEAD.lines().find(|line| line.contains("remote.2")).unwrap();
    warning(
        HEAD,
        &[(second, "")],
        "l2tp.incoming[remote].match[remote.1]",
        "remote.1",
        "has one link in set \"A\"",
    );
    warning(
        REMOTE,
        &[("ha-sets:\n", "ha-sets:\n  - { name: idle }\n")],
        "ha-sets[idle]",
        "idle",
        "no link is in set \"idle\"",
    );
    warning(
        REMOTE,
        &[("ports:\n", "ports:\n  - { name: spare, device: eth9 }\n")],
        "ports[spare]",
        "spare",
        "no interface uses port",
    );
}

#[test]
fn a_link_of_a_set_carries_what_576_octets_leave() {
    let with = |mtu: &str| {
        changed(
            REMOTE,
            &[(
                "      ha-set: A\n",
                &format!("      ha-set: A\n      mtu: {mtu}\n"),
            )],
        )
    };
    let (config, _) = Config::parse("f", &with("526")).expect("the least");
    assert_eq!(config.l2tp.outgoing[0].mtu, Some(526));
    error(
        REMOTE,
        &[("      ha-set: A\n", "      ha-set: A\n      mtu: 525\n")],
        "l2tp.outgoing[head1].mtu",
        "mtu: 525",
        "525",
    );
    error(
        REMOTE,
        &[("{ name: A, window", "{ name: A, mtu: 9601, window")],
        "ha-sets[A].mtu",
        "mtu: 9601",
        "9601",
    );
}

/// ISP 2 with both families, and head 2 over IPv6.
const DUAL_STACK: [(&str, &str); 3] = [
    (
        "[203.0.113.66/28], gateway: 203.0.113.65",
        "[203.0.113.66/28, 2001:db8:2::2/64], gateway: [203.0.113.65, fe80::1]",
    ),
    ("server: 203.0.113.1\n", "server: 2001:db8:1::1\n"),
    ("[192.168.2.1/24]", "[192.168.2.1/24, 2001:db8:22::1/64]"),
];

/// A good file of both families.
fn dual_stack() -> String {
    changed(REMOTE, &DUAL_STACK)
}

#[test]
fn both_families_are_fine_together() {
    let routes = "ha-sets:\n";
    let more = "routes:
  - { to: 2001:db8:5::/48, via: 2001:db8:22::9 }
  - { to: 2001:db8:6::/48, via: fe80::9%LAN }
  - { to: 2001:db8:7::/48, via: blackhole }
  - { to: 2001:db8:8::/48, via: A }
neighbours:
  - { interface: LAN, address: fe80::9, mac: \"02:00:00:00:00:01\" }
  - { interface: LAN, address: \"2001:db8:22::9\", mac: \"02:00:00:00:00:01\" }
ha-sets:
";
    let text = changed(&dual_stack(), &[(routes, more)]);
    let (config, warnings) = Config::parse("f", &text).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(config.interfaces[2].gateways.len(), 2);
    let server = config.l2tp.outgoing[1].server.address();
    assert!(server.is_some_and(|server| server.is_ipv6()));
    // Without `routes`, the default route of each family that is there.
    let without = [
        ("      routes: [192.168.1.0/24]  #", "      #"),
        ("      routes: [192.168.1.0/24]\n", ""),
    ];
    let text = changed(&dual_stack(), &without);
    let (config, _) = Config::parse("f", &text).unwrap();
    let routes: Vec<String> = config.l2tp.outgoing[0]
        .routes
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(routes, ["0.0.0.0/0", "::/0"]);
}

#[test]
fn ipv6_addresses_and_gateways() {
    for (address, message) in [
        ("fe80::5/64", "every interface has such an address"),
        ("2001:db8:2::/64", "no address that an interface can have"),
        ("ff02::1/64", "no address that an interface can have"),
        ("::1/128", "no address that an interface can have"),
        (
            "::ffff:192.0.2.1/96",
            "no address that an interface can have",
        ),
        ("2001:db8:2::2/129", "no prefix length from 0 to 128"),
        ("2001:db8:2::2", "has no prefix length"),
        ("2001:db8:2:::2/64", "is not an IP address"),
    ] {
        error(
            &dual_stack(),
            &[("2001:db8:2::2/64", address)],
            "interfaces[ISP2].addresses[2]",
            "ISP2",
            message,
        );
    }
    for (gateways, at, message) in [
        (
            "[203.0.113.65, 2001:db8:9::1]",
            "[2]",
            "in no network of this interface",
        ),
        (
            "[203.0.113.65, 203.0.113.67]",
            "[2]",
            "the default route of this family already",
        ),
        ("[203.0.113.65, 2001:db8:2::2]", "[2]", "own address"),
        (
            "[203.0.113.65, ff02::2]",
            "[2]",
            "no address that a host can have",
        ),
        ("[203.0.113.65, fe80::1%ISP2]", "[2]", "names an interface"),
        ("203.0.113.1", "", "in no network of this interface"),
    ] {
        let edits = [("[203.0.113.65, fe80::1]", gateways)];
        let key = format!("interfaces[ISP2].gateway{at}");
        // Head 2 is left without a way over IPv6, which is said only of sound gateways.
        error(&dual_stack(), &edits, &key, "ISP2", message);
    }
    error(
        &dual_stack(),
        &[(
            "gateway: [203.0.113.65, fe80::1]",
            "mtu: 1200, gateway: [203.0.113.65, fe80::1]",
        )],
        "interfaces[ISP2].mtu",
        "ISP2",
        "too few for IPv6",
    );
}

#[test]
fn families_of_a_tunnel_match() {
    error(
        &dual_stack(),
        &[(
            ", 2001:db8:2::2/64], gateway: [203.0.113.65, fe80::1]",
            "], gateway: 203.0.113.65",
        )],
        "l2tp.outgoing[head2].server",
        "server",
        "table 2 has no address of IPv6 to send from",
    );
    error(
        &dual_stack(),
        &[("[203.0.113.65, fe80::1]", "203.0.113.65")],
        "l2tp.outgoing[head2].server",
        "server",
        "table 2 has no route to 2001:db8:1::1",
    );
    error(
        &dual_stack(),
        &[(
            "server: 2001:db8:1::1\n",
            "server: 2001:db8:1::1\n      source: 203.0.113.66\n",
        )],
        "l2tp.outgoing[head2].source",
        "source",
        "are not of the same family",
    );
    error(
        &dual_stack(),
        &[("server: 2001:db8:1::1\n", "server: fe80::1\n")],
        "l2tp.outgoing[head2].server",
        "server",
        "no packet to it leaves its link",
    );
    error(
        &dual_stack(),
        &[("server: 2001:db8:1::1\n", "server: 2001:db8:2::2\n")],
        "l2tp.outgoing[head2].server",
        "server",
        "is our own address",
    );
    // 70 octets around a packet, where IPv4 has 50.
    let path = ("gateway: [203", "mtu: 1500, gateway: [203");
    let link = |server| [path, ("server: 2001:db8:1::1\n", server)];
    error(
        &dual_stack(),
        &link("server: 2001:db8:1::1\n      mtu: 1431\n"),
        "l2tp.outgoing[head2].mtu",
        "mtu: 1431",
        "and 70 around them",
    );
    let fits = link("server: 2001:db8:1::1\n      mtu: 1430\n");
    assert_eq!(
        Config::parse("f", &changed(&dual_stack(), &fits)).map(|(_, warnings)| warnings),
        Ok(vec![])
    );
}

#[test]
fn families_of_routes_match() {
    for (line, key, message) in [
        (
            "routes:\n  - { to: 2001:db8:5::/48, via: 192.168.2.9 }\nha-sets:\n",
            "routes[1].via",
            "are not of the same family",
        ),
        (
            "routes:\n  - { to: 2001:db8:5::/48, via: 2001:db8:23::9 }\nha-sets:\n",
            "routes[1].via",
            "is connected to 2001:db8:23::9",
        ),
        (
            "routes:\n  - { to: 2001:db8:5::/48, via: fe80::9 }\nha-sets:\n",
            "routes[1].via",
            "may be on any interface",
        ),
        (
            "routes:\n  - { to: 2001:db8:5::/48, via: fe80::9%WAN }\nha-sets:\n",
            "routes[1].via",
            "no interface \"WAN\"",
        ),
        (
            "routes:\n  - { to: 2001:db8:5::/48, via: fe80::9%ISP1 }\nha-sets:\n",
            "routes[1].via",
            "in table 1",
        ),
        (
            "routes:\n  - { to: fe80::/64, via: LAN }\nha-sets:\n",
            "routes[1].to",
            "routed to none",
        ),
        (
            "routes:\n  - { to: 2001:db8:5::1/48, via: LAN }\nha-sets:\n",
            "routes[1].to",
            "an address in a network",
        ),
        (
            "routes:\n  - { to: 2001:db8:22::/64, via: blackhole }\nha-sets:\n",
            "routes[1].to",
            "already leads elsewhere",
        ),
        (
            "neighbours:\n  - { interface: LAN, address: 2001:db8:23::9, mac: \"02:00:00:00:00:01\" }\nha-sets:\n",
            "neighbours[1].address",
            "in no network of interface \"LAN\"",
        ),
    ] {
        error(&dual_stack(), &[("ha-sets:\n", line)], key, "{", message);
    }
}

#[test]
fn inside_a_tunnel_addresses_are_ipv4_and_networks_of_either_family() {
    error(
        HEAD,
        &[("remote-ip: 192.168.1.2", "remote-ip: 2001:db8::2")],
        "l2tp.incoming[remote].match[remote.1].remote-ip",
        "2001:db8::2",
        "needs no address inside the tunnel",
    );
    // Links of one set agree on both families.
    error(
        REMOTE,
        &[(
            "routes: [192.168.1.0/24]\n",
            "routes: [192.168.1.0/24, 2001:db8:1::/64]\n",
        )],
        "l2tp.outgoing[head2].routes",
        "2001:db8:1::/64",
        "does not lead to the same",
    );
    let both = [
        (
            "routes: [192.168.1.0/24]  #",
            "routes: [192.168.1.0/24, 2001:db8:1::/64]  #",
        ),
        (
            "routes: [192.168.1.0/24]\n",
            "routes: [192.168.1.0/24, 2001:db8:1::/64]\n",
        ),
    ];
    let small = ("{ name: A, window: 262144 }", "{ name: A, mtu: 1279 }");
    error(
        REMOTE,
        &[&both[..], &[small]].concat(),
        "ha-sets[A].mtu",
        "1279",
        "too few for IPv6",
    );
}

#[test]
fn what_is_set_for_a_peer_fits_together() {
    let change = |line: &str| format!("      table: 2\n      {line}\n");
    for (line, key, message) in [
        ("vendor-avps: false", "vendor-avps", "in an AVP of a vendor"),
        ("sequencing: true", "sequencing", "numbers of their own"),
        ("retries: 0", "retries", "from 1 to 30"),
        ("receive-window: 0", "receive-window", "from 1 to 1024"),
        ("hello-interval: 3601", "hello-interval", "from 0 to 3600"),
        ("hide-avps: yes", "hide-avps", "true or false"),
        ("fixed-port: 1701", "fixed-port", "true or false"),
        ("tie-breaker: 7", "tie-breaker", "true or false"),
    ] {
        error(
            REMOTE,
            &[("      table: 2\n", &change(line))],
            &format!("l2tp.outgoing[head2].{key}"),
            line,
            message,
        );
    }
    // There is a warning that the secret is missing, too.
    let text = changed(
        REMOTE,
        &[
            ("      secret: test\n", ""),
            ("      table: 1 ", "      hide-avps: true\n      table: 1 "),
        ],
    );
    let problems = Config::parse("f", &text).unwrap_err();
    let key = "l2tp.outgoing[head1].hide-avps";
    assert!(
        problems.iter().any(|problem| problem.key == key),
        "{problems:?}"
    );
}

#[test]
fn limits_and_allowed_networks() {
    let text = changed(
        HEAD,
        &[(
            "l2tp:\n",
            "l2tp:\n  limits: { tunnels: 7, tunnels-per-source: 6, half-open: 5, half-open-per-source: 4, sessions: 3, sessions-per-tunnel: 2 }\n",
        )],
    );
    let (config, _) = Config::parse("f", &text).unwrap();
    let limits = config.l2tp.limits;
    let in_order = [
        limits.incoming_tunnels,
        limits.incoming_tunnels_per_source,
        limits.half_open,
        limits.half_open_per_source,
        limits.calls,
        limits.calls_per_tunnel,
    ];
    assert_eq!(in_order, [7, 6, 5, 4, 3, 2]);
    error(
        HEAD,
        &[("l2tp:\n", "l2tp:\n  limits: { sessions: 0 }\n")],
        "l2tp.limits.sessions",
        "sessions: 0",
        "from 1 to 1000000",
    );
    error(
        HEAD,
        &[(
            "  incoming:\n    - ",
            "  incoming:\n    - allow: [192.0.2.1/24]\n      ",
        )],
        "l2tp.incoming[remote].allow[1]",
        "allow",
        "an address in a network",
    );
}
