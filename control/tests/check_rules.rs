//! What `check` says of good files with one thing changed: this, at this line, and nothing else.

mod common;

use common::{HEAD, REMOTE, changed};
use control::config::{Config, Severity};

/// One change to a good file, and what must be said of it: severity, the line
/// that holds this text, and words of the message. Nothing else may be said.
struct Change<'a> {
    file: &'a str,
    edits: &'a [(&'a str, &'a str)],
    severity: Severity,
    key: &'a str,
    at: &'a str,
    message: &'a str,
}

fn told(change: &Change<'_>) {
    let text = changed(change.file, change.edits);
    let problems = match Config::parse("f", &text) {
        Ok((_, warnings)) => warnings,
        Err(problems) => problems,
    };
    let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let all = all.join("\n");
    assert_eq!(problems.len(), 1, "{:?} gives\n{all}", change.edits);
    let problem = &problems[0];
    assert_eq!(problem.severity, change.severity, "{all}");
    assert_eq!(problem.key, change.key, "{all}");
    assert!(problem.message.contains(change.message), "{all}");
    let line = text.lines().nth(problem.line - 1).unwrap();
    assert!(
        line.contains(change.at),
        "{all}\nis told of the line {line:?}"
    );
}

fn error(file: &str, edits: &[(&str, &str)], key: &str, at: &str, message: &str) {
    told(&Change {
        file,
        edits,
        severity: Severity::Error,
        key,
        at,
        message,
    });
}

fn warning(file: &str, edits: &[(&str, &str)], key: &str, at: &str, message: &str) {
    told(&Change {
        file,
        edits,
        severity: Severity::Warning,
        key,
        at,
        message,
    });
}

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
        "VLANs are not carried yet",
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
    error(
        REMOTE,
        &[("[203.0.113.66/28]", "dhcp")],
        "interfaces[ISP2].addresses",
        "ISP2",
        "not yet",
    );
    error(
        REMOTE,
        &[("[203.0.113.66/28]", "[\"2001:db8::1/64\"]")],
        "interfaces[ISP2].addresses[1]",
        "ISP2",
        "IPv6",
    );
    error(
        REMOTE,
        &[("port: isp2,", "port: isp2, vlan: 7,")],
        "interfaces[ISP2].vlan",
        "ISP2",
        "not carried yet",
    );
    error(
        REMOTE,
        &[("remote.sock }", "remote.sock, http: \"127.0.0.1:8080\" }")],
        "management.http",
        "http",
        "not served yet",
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
        "payload table 7 has no own address",
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
