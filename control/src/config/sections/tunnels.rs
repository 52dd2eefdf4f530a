//! The `l2tp` part of the file.

use std::time::Duration;

use super::{
    DEFAULT_LCP_RATE, DEFAULT_LCP_TIMEOUT, DEFAULT_VENDOR_ID, Names, UNSPECIFIED, link_mtu, ppp,
    table,
};
use crate::config::addresses::{host, host_ipv4, prefix, server};
use crate::config::decode::{
    Section, boolean, comment, name, number, reference, seconds, secret, speed, text,
};
use crate::config::model::{Incoming, L2tp, Match, Outgoing, Server};
use crate::config::problem::Problems;
use crate::l2tp::{Limits, Peering};
use crate::secret::Secret;

pub(super) fn l2tp(top: &mut Section<'_>, problems: &mut Problems<'_>, names: &Names) -> L2tp {
    let node = top.node("l2tp");
    let path = top.path.key("l2tp");
    let mut section = Section::open(problems, path, node);
    let l2tp = L2tp {
        // The AVP's Vendor ID has 16 bits, and 0 is the IETF (RFC 2661, 4.1).
        vendor_id: section.or(problems, "vendor-id", number(1..=0xffff), DEFAULT_VENDOR_ID),
        limits: limits(&mut section, problems),
        outgoing: section.each(problems, "outgoing", |section, problems| {
            outgoing(section, problems, names)
        }),
        incoming: section.each(problems, "incoming", |section, problems| {
            incoming(section, problems, names)
        }),
    };
    section.close(problems);
    l2tp
}

fn limits(l2tp: &mut Section<'_>, problems: &mut Problems<'_>) -> Limits {
    let node = l2tp.node("limits");
    let path = l2tp.path.key("limits");
    let mut section = Section::open(problems, path, node);
    let usual = Limits::default();
    // A tunnel id, and a session id within its tunnel, has 16 bits (RFC 2661, 3.1).
    const IDS: u64 = 0xffff;
    let mut most = |key: &'static str, most: u64, usual: usize| -> usize {
        section.or(problems, key, number(1..=most), usual)
    };
    let limits = Limits {
        incoming_tunnels: most("tunnels", IDS, usual.incoming_tunnels),
        incoming_tunnels_per_source: most(
            "tunnels-per-source",
            IDS,
            usual.incoming_tunnels_per_source,
        ),
        half_open: most("half-open", IDS, usual.half_open),
        half_open_per_source: most("half-open-per-source", IDS, usual.half_open_per_source),
        calls: most("sessions", 1_000_000, usual.calls),
        calls_per_tunnel: most("sessions-per-tunnel", IDS, usual.calls_per_tunnel),
        ..usual
    };
    section.close(problems);
    limits
}

/// How a far end is treated where implementations differ.
fn peering(section: &mut Section<'_>, problems: &mut Problems<'_>) -> Peering {
    let usual = Peering::default();
    Peering {
        hello_interval: section.or(
            problems,
            "hello-interval",
            seconds(0..=3600),
            usual.hello_interval,
        ),
        receive_window: section.or(
            problems,
            "receive-window",
            number(1..=1024),
            usual.receive_window,
        ),
        retries: section.or(problems, "retries", number(1..=30), usual.retries),
        hide_avps: section.or(problems, "hide-avps", boolean, usual.hide_avps),
        vendor_avps: section.or(problems, "vendor-avps", boolean, usual.vendor_avps),
        fixed_port: section.or(problems, "fixed-port", boolean, usual.fixed_port),
        sequencing: section.or(problems, "sequencing", boolean, usual.sequencing),
    }
}

/// The words that `outgoing` and `incoming` share.
struct Link {
    secret: Option<Secret>,
    payload_table: u32,
    lcp_rate: Duration,
    lcp_timeout: Duration,
    tcp_mss_fix: bool,
    ha_set: Option<usize>,
    peering: Peering,
    udp_checksum: bool,
    comment: Option<String>,
    mtu: Option<u16>,
    speed: Option<u64>,
}

fn link(section: &mut Section<'_>, problems: &mut Problems<'_>, names: &Names) -> Link {
    Link {
        secret: section.optional(problems, "secret", secret),
        payload_table: section.or(problems, "payload-table", table, 0),
        lcp_rate: section.or(problems, "lcp-rate", seconds(1..=60), DEFAULT_LCP_RATE),
        lcp_timeout: section.or(
            problems,
            "lcp-timeout",
            seconds(1..=600),
            DEFAULT_LCP_TIMEOUT,
        ),
        tcp_mss_fix: section.or(problems, "tcp-mss-fix", boolean, false),
        ha_set: section.optional(problems, "ha-set", reference("ha-set", &names.ha_sets)),
        peering: peering(section, problems),
        udp_checksum: section.or(problems, "udp-checksum", boolean, true),
        comment: section.optional(problems, "comment", comment),
        mtu: section.optional(problems, "mtu", link_mtu),
        speed: section.optional(problems, "speed", speed),
    }
}

fn outgoing(section: &mut Section<'_>, problems: &mut Problems<'_>, names: &Names) -> Outgoing {
    let link = link(section, problems, names);
    let tunnel = section.required(
        problems,
        "name",
        name,
        "add `name: ` and a name for the tunnel",
        String::new(),
    );
    Outgoing {
        graph: section.or(problems, "graph", name, tunnel.clone()),
        name: tunnel,
        hostname: section.required(
            problems,
            "hostname",
            name,
            "add `hostname: ` and what the far end has as `remote-hostname`",
            String::new(),
        ),
        secret: link.secret,
        server: section.required(
            problems,
            "server",
            server,
            "add `server: ` and the public address of the far end",
            Server::from(UNSPECIFIED),
        ),
        table: section.or(problems, "table", table, 0),
        payload_table: link.payload_table,
        username: section.required(
            problems,
            "username",
            text,
            "add `username: ` and what a `match` of the far end has",
            String::new(),
        ),
        password: section.required(
            problems,
            "password",
            secret,
            "add `password: ` and what the `match` of the far end has",
            Secret::new(String::new()),
        ),
        lcp_rate: link.lcp_rate,
        lcp_timeout: link.lcp_timeout,
        tcp_mss_fix: link.tcp_mss_fix,
        ha_set: link.ha_set,
        routes: section.list(problems, "routes", prefix).unwrap_or_default(),
        comment: link.comment,
        source: section.optional(problems, "source", host),
        local_ip: section.optional(problems, "local-ip", host_ipv4),
        peering: link.peering,
        tie_breaker: section.or(problems, "tie-breaker", boolean, false),
        udp_checksum: link.udp_checksum,
        mtu: link.mtu,
        speed: link.speed,
        ppp: ppp::client(section, problems),
    }
}

fn incoming(section: &mut Section<'_>, problems: &mut Problems<'_>, names: &Names) -> Incoming {
    let link = link(section, problems, names);
    let matches = section.each(problems, "match", |section, problems| {
        login(section, problems, names, &link)
    });
    if matches.is_empty() && !section.has("match") {
        problems.missing(
            &section.path.key("match"),
            "add `match:` with a { username, password, remote-ip } for every link",
        );
    }
    let local_ip = section.optional(problems, "local-ip", host_ipv4);
    Incoming {
        name: section.required(
            problems,
            "name",
            name,
            "add `name: ` and a name for the far end",
            String::new(),
        ),
        listen: section.list(problems, "listen", host).unwrap_or_default(),
        allow: section.list(problems, "allow", prefix).unwrap_or_default(),
        table: section.optional(problems, "table", table),
        // Settled in `resolve` when the file does not say.
        local_ip: local_ip.unwrap_or(UNSPECIFIED),
        local_ip_given: local_ip.is_some(),
        remote_hostname: section.optional(problems, "remote-hostname", name),
        local_hostname: section.or(problems, "local-hostname", name, String::new()),
        secret: link.secret,
        payload_table: link.payload_table,
        lcp_rate: link.lcp_rate,
        lcp_timeout: link.lcp_timeout,
        tcp_mss_fix: link.tcp_mss_fix,
        matches,
        peering: link.peering,
        udp_checksum: link.udp_checksum,
        comment: link.comment,
        mtu: link.mtu,
        speed: link.speed,
        ppp: ppp::server(section, problems),
    }
}

fn login(
    section: &mut Section<'_>,
    problems: &mut Problems<'_>,
    names: &Names,
    of_incoming: &Link,
) -> Match {
    let username = section.required(
        problems,
        "username",
        text,
        "add `username: ` and what the far end logs in with",
        String::new(),
    );
    Match {
        graph: section.or(problems, "graph", name, username.clone()),
        username,
        password: section.required(
            problems,
            "password",
            secret,
            "add `password: ` and what the far end logs in with",
            Secret::new(String::new()),
        ),
        remote_ip: section.required(
            problems,
            "remote-ip",
            host_ipv4,
            "add `remote-ip: ` and the address that the far end is to have inside the tunnel",
            UNSPECIFIED,
        ),
        routes: section.list(problems, "routes", prefix).unwrap_or_default(),
        ha_set: section
            .optional(problems, "ha-set", reference("ha-set", &names.ha_sets))
            .or(of_incoming.ha_set),
        comment: section.optional(problems, "comment", comment),
        speed: section
            .optional(problems, "speed", speed)
            .or(of_incoming.speed),
    }
}
