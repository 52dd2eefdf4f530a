//! The links' tables: how they are, and what came in over them.

use super::{Earlier, rate};
use crate::management::status::{Session, Status};
use crate::management::table::{Cell, Mood, Table, duration, milliseconds};

pub(super) fn links(status: &Status, earlier: Earlier<'_>) -> Table {
    let rows = status.sessions.iter().map(|session| {
        let same = |other: &&Session| other.name == session.name && other.tunnel == session.tunnel;
        let before = earlier
            .and_then(|(earlier, passed)| Some((earlier.sessions.iter().find(same)?, passed)));
        let past =
            |count: fn(&Session) -> u64| before.map(|(before, passed)| (count(before), passed));
        let address = session
            .remote_ip
            .map_or_else(|| "-".to_owned(), |ip| ip.to_string());
        vec![
            Cell::text(&session.name),
            Cell::text(session.set.as_deref().unwrap_or("-")),
            Cell::text(state(session)).mood(state_mood(session)),
            Cell::text(address),
            Cell::number(session.sent_packets),
            rate(session.sent_packets, past(|it| it.sent_packets)),
            Cell::number(session.received_packets),
            rate(session.received_packets, past(|it| it.received_packets)),
            Cell::number(session.send_dropped_packets)
                .bad_unless_zero(session.send_dropped_packets),
            Cell::number(session.over_speed_packets),
            Cell::right(milliseconds(session.round_trip.last_us)),
            Cell::right(milliseconds(session.round_trip.min_us)),
            Cell::right(milliseconds(session.round_trip.max_us)),
            Cell::right(format!("{}/{}", session.echo_lost, session.echo_sent)),
            Cell::text(duration(session.up_s)),
        ]
    });
    Table {
        title: "LINKS (round trip of LCP echoes in ms)",
        head: &[
            "link",
            "set",
            "state",
            "remote",
            "sent",
            "/s",
            "received",
            "/s",
            "not sent",
            "over speed",
            "rtt",
            "min",
            "max",
            "echoes lost",
            "up",
        ],
        rows: rows.collect(),
    }
}

/// Who and what each session is, with the ids that stand in its packets.
pub(super) fn sessions(status: &Status) -> Table {
    let rows = status.sessions.iter().map(|session| {
        let address =
            |ip: Option<std::net::Ipv4Addr>| ip.map_or_else(|| "-".to_owned(), |ip| ip.to_string());
        vec![
            Cell::text(&session.name),
            Cell::text(&session.tunnel),
            Cell::text(session.set.as_deref().unwrap_or("-")),
            Cell::text(state(session)).mood(state_mood(session)),
            Cell::text(if session.ha { "yes" } else { "no" }),
            Cell::text(&session.username),
            Cell::text(address(session.local_ip)),
            Cell::text(address(session.remote_ip)),
            Cell::text(session.networks.join(" ")),
            Cell::text(format!(
                "{}/{}",
                session.local_session_id, session.peer_session_id
            )),
            Cell::right(session.mtu.to_string()),
            Cell::number(session.sent_packets),
            Cell::number(session.received_packets),
            Cell::text(duration(session.up_s)),
        ]
    });
    Table {
        title: "SESSIONS",
        head: &[
            "session", "tunnel", "set", "state", "ha", "username", "local", "remote", "networks",
            "ids", "mtu", "sent", "received", "up",
        ],
        rows: rows.collect(),
    }
}

/// A masked link stands by, and takes nothing either.
fn state(session: &Session) -> &str {
    match session.masked_for_s {
        Some(_) => "masked",
        None => &session.state,
    }
}

fn state_mood(session: &Session) -> Mood {
    match &*session.state {
        "up" if session.alarm.is_some() => Mood::Bad,
        "up" => Mood::Good,
        "standby" => Mood::Uneasy,
        _ => Mood::Bad,
    }
}

/// What the far end handed over to each link of a set, and what became of it.
pub(super) fn arrivals(status: &Status) -> Table {
    let of_sets = status.sessions.iter().filter(|session| session.ha);
    let rows = of_sets.map(|session| {
        let peer = session.peer.clone().unwrap_or_default();
        let skew = &session.skew;
        vec![
            Cell::text(&session.name),
            Cell::number(session.unique_packets),
            Cell::number(session.wins),
            Cell::number(session.sole_packets),
            Cell::number(session.lost_packets).bad_unless_zero(session.lost_packets),
            Cell::number(session.unknown_packets),
            Cell::number(session.duplicated_packets),
            Cell::number(session.too_late).bad_unless_zero(session.too_late),
            Cell::number(peer.over_speed_packets),
            Cell::number(peer.not_sent_packets),
            Cell::right(milliseconds(skew.min_us)),
            Cell::right(milliseconds(skew.mean_us)),
            Cell::right(milliseconds(skew.p99_us)),
            Cell::right(milliseconds(skew.live_p99_us)),
            Cell::right(milliseconds(Some(session.longest_outage_ms * 1000))),
            Cell::number(session.longest_outage_packets),
        ]
    });
    Table {
        title: "WHAT ARRIVED (skew against the first copy, and longest outage, in ms)",
        head: &[
            "link",
            "packets",
            "won",
            "alone",
            "lost",
            "unknown",
            "doubled",
            "too late",
            "over speed",
            "not sent",
            "skew min",
            "mean",
            "p99",
            "now",
            "outage",
            "in a row",
        ],
        rows: rows.collect(),
    }
}
