//! The status for people and programs that read along: aligned tables or JSON, once or every second.

mod interfaces;
mod links;
mod order;

use std::io::{self, Write as _};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::request::Question;
use super::socket::{self, ClientError};
use super::status::{LinkState, Notifier, Role, Route, Set, Status};
use super::table::{Cell, Mood, Table, duration, grouped};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// A status from before, and how long before.
pub type Earlier<'s> = Option<(&'s Status, Duration)>;

/// The whole view. With an `earlier` status of the same appliance, rates are
/// shown too.
#[must_use]
pub fn render(status: &Status, earlier: Earlier<'_>, colours: bool) -> String {
    let pages = if status.dataplane.hugepages {
        "hugepages"
    } else {
        "no hugepages"
    };
    let mut out = format!(
        "{}  hal2tp {}  up {}  {}, {pages}, {} worker{}\n",
        status.name,
        status.version,
        duration(status.uptime_s),
        status.dataplane.dpdk_version,
        status.dataplane.workers.len(),
        if status.dataplane.workers.len() == 1 {
            ""
        } else {
            "s"
        },
    );
    let tables = [
        sets(status, earlier),
        order::order(status),
        links::links(status, earlier),
        links::arrivals(status),
        tunnel_table(status),
        ports(status),
        interfaces::interfaces(status),
        routes(status),
        neighbours(status),
    ];
    out.push_str(&alarms(status));
    for table in &tables {
        table.write(&mut out, colours);
    }
    out.push_str(&drops(status));
    out
}

/// The tunnels alone.
#[must_use]
pub fn tunnels(status: &Status, colours: bool) -> String {
    tunnel_table(status).alone(colours)
}

/// The sessions alone.
#[must_use]
pub fn sessions(status: &Status, colours: bool) -> String {
    links::sessions(status).alone(colours)
}

/// What somebody should see to, though everything still works.
fn alarms(status: &Status) -> String {
    let links = status.sessions.iter();
    let links = links.filter_map(|link| Some(("link", &link.name, link.alarm.as_ref()?)));
    let sets = status.sets.iter();
    let sets = sets.filter_map(|set| Some(("set", &set.name, set.alarm.as_ref()?)));
    let standing = links.chain(sets).map(|(what, name, alarm)| {
        let lasts = duration(alarm.for_s);
        format!("\nALARM  {what} {name}: {}, for {lasts}\n", alarm.text)
    });
    let drills = status.sessions.iter().filter_map(|link| {
        let left_s = link.masked_for_s?;
        let name = &link.name;
        Some(format!("\nDRILL  link {name}: masked, {left_s} s left\n"))
    });
    standing.chain(drills).chain(untold(status)).collect()
}

/// Events that did not reach whom they are for.
fn untold(status: &Status) -> impl Iterator<Item = String> {
    let lost = Some(status.events.lost).filter(|&lost| lost > 0);
    let lost = lost.map(|lost| format!("\nALARM  {} events were lost\n", grouped(lost)));
    let short = |it: &&Notifier| it.failing || it.dropped > 0;
    let short = status.alarms.iter().filter(short).map(|it| {
        let error = it.last_error.as_deref().unwrap_or("too many events");
        format!(
            "\nALARM  alarm {}: {error} ({} told, {} attempts failed, {} events dropped, {} wait)\n",
            it.name,
            grouped(it.sent),
            grouped(it.failed),
            grouped(it.dropped),
            grouped(it.waiting)
        )
    });
    lost.into_iter().chain(short)
}

/// Packets per second between two looks, from a growing counter.
fn rate(now: u64, before: Option<(u64, Duration)>) -> Cell {
    let rate = before.and_then(|(before, passed)| {
        let difference = u128::from(now.checked_sub(before)?) * 1000;
        u64::try_from(difference.checked_div(passed.as_millis())?).ok()
    });
    Cell::right(rate.map_or_else(|| "-".to_owned(), grouped))
}

fn sets(status: &Status, earlier: Earlier<'_>) -> Table {
    let rows = status.sets.iter().map(|set| {
        let same = |other: &&Set| other.name == set.name && other.remote == set.remote;
        let before =
            earlier.and_then(|(earlier, passed)| Some((earlier.sets.iter().find(same)?, passed)));
        let past = |count: fn(&Set) -> u64| before.map(|(before, passed)| (count(before), passed));
        let mood = match set.protection.as_str() {
            Set::HA => Mood::Good,
            Set::DOWN => Mood::Bad,
            _ => Mood::Uneasy,
        };
        vec![
            Cell::text(&set.name),
            Cell::text(&set.remote),
            Cell::text(&set.protection).mood(mood),
            Cell::text(set.members.join(" ")),
            Cell::number(set.sent_packets),
            rate(set.sent_packets, past(|it| it.sent_packets)),
            Cell::number(set.split_packets),
            Cell::number(set.delivered_packets),
            rate(set.delivered_packets, past(|it| it.delivered_packets)),
            Cell::number(set.reassembled_packets),
            Cell::number(set.saved_packets),
            Cell::number(set.lost_packets).bad_unless_zero(set.lost_packets),
            Cell::number(set.unknown_packets),
            Cell::number(set.duplicates),
            Cell::number(set.too_late).bad_unless_zero(set.too_late),
            Cell::text(&set.send_epoch),
            Cell::text(set.receive_epochs.join(" ")),
        ]
    });
    Table {
        title: "HA SETS",
        head: &[
            "set",
            "remote",
            "protection",
            "links",
            "sent",
            "/s",
            "split",
            "delivered",
            "/s",
            "reassembled",
            "saved",
            "lost",
            "unknown",
            "duplicates",
            "too late",
            "our epoch",
            "peer's epochs",
        ],
        rows: rows.collect(),
    }
}

fn tunnel_table(status: &Status) -> Table {
    let rows = status.tunnels.iter().map(|tunnel| {
        let mood = if tunnel.state == "established" {
            Mood::Good
        } else {
            Mood::Bad
        };
        let address = |address: Option<std::net::SocketAddr>| {
            address.map_or_else(|| "-".to_owned(), |address| address.to_string())
        };
        let mut remark = tunnel.last_result.clone().unwrap_or_default();
        if let Some(wait) = tunnel.next_attempt_s {
            remark = format!("again in {wait} s  {remark}");
        }
        vec![
            Cell::text(&tunnel.name),
            Cell::text(match tunnel.role {
                Role::Outgoing => "outgoing",
                Role::Incoming => "incoming",
            }),
            Cell::text(&*tunnel.state).mood(mood),
            Cell::right(tunnel.table.to_string()),
            Cell::text(address(tunnel.local_address)),
            Cell::text(address(tunnel.peer_address)),
            Cell::text(format!(
                "{}/{}",
                tunnel.local_tunnel_id, tunnel.peer_tunnel_id
            )),
            Cell::text(duration(tunnel.up_s)),
            Cell::text(remark.trim()),
        ]
    });
    Table {
        title: "TUNNELS",
        head: &[
            "tunnel", "role", "state", "table", "local", "peer", "ids", "up", "",
        ],
        rows: rows.collect(),
    }
}

fn ports(status: &Status) -> Table {
    let rows = status.ports.iter().map(|port| {
        let (link, mood) = match port.link {
            LinkState::Up => ("up", Mood::Good),
            LinkState::Down => ("down", Mood::Bad),
        };
        vec![
            Cell::text(&port.name),
            Cell::text(&port.device),
            Cell::text(&port.driver),
            Cell::text(&port.mac),
            Cell::text(link).mood(mood),
            Cell::right(port.mtu.to_string()),
            Cell::number(port.received_packets),
            Cell::number(port.sent_packets),
            Cell::number(port.drops.values().sum()),
        ]
    });
    Table {
        title: "PORTS",
        head: &[
            "port", "device", "driver", "mac", "link", "mtu", "received", "sent", "drops",
        ],
        rows: rows.collect(),
    }
}

fn routes(status: &Status) -> Table {
    // What every connected subnet brings along says nothing new.
    let told = |route: &&Route| route.via != "blackhole" || route.origin != "connected";
    let rows = status.routes.iter().filter(told).map(|route| {
        vec![
            Cell::right(route.table.to_string()),
            Cell::text(&route.to),
            Cell::text(&route.via),
            Cell::text(&*route.origin),
        ]
    });
    Table {
        title: "ROUTES",
        head: &["table", "to", "via", "origin"],
        rows: rows.collect(),
    }
}

fn neighbours(status: &Status) -> Table {
    let rows = status.neighbours.iter().map(|neighbour| {
        vec![
            Cell::text(&neighbour.interface),
            Cell::text(&neighbour.address),
            Cell::text(neighbour.mac.as_deref().unwrap_or("-")),
            Cell::text(&neighbour.state),
        ]
    });
    Table {
        title: "NEIGHBOURS",
        head: &["interface", "address", "mac", "state"],
        rows: rows.collect(),
    }
}

/// The reasons for what was dropped: a line for each port that has some, and one for L2TP.
fn drops(status: &Status) -> String {
    let mut out = String::new();
    let ports = status
        .ports
        .iter()
        .map(|port| (port.name.as_str(), &port.drops));
    let all = ports.chain([("L2TP", &status.l2tp_drops)]);
    for (name, drops) in all.filter(|(_, drops)| !drops.is_empty()) {
        if out.is_empty() {
            out.push_str("\nDROPS\n");
        }
        let reasons = drops.iter();
        let reasons: Vec<String> = reasons
            .map(|(reason, count)| format!("{reason} {}", grouped(*count)))
            .collect();
        out.push_str(&format!("  {name}: {}\n", reasons.join(", ")));
    }
    out
}

/// Shows the status every second until the output is closed or the process is stopped, one view after
/// the other. An appliance that goes away is waited for.
///
/// # Errors
/// When the appliance does not answer the first time.
pub fn watch(path: &Path, colours: bool) -> Result<(), ClientError> {
    let mut earlier: Option<(Status, Instant)> = None;
    every_second(|first| {
        let text = match socket::status(path) {
            Ok(status) => {
                let now = Instant::now();
                let before = earlier.as_ref().map(|(status, at)| (status, now - *at));
                let text = render(&status, before, colours);
                earlier = Some((status, now));
                text
            }
            Err(error) if first => return Err(error),
            Err(error) => format!("{error}\n"),
        };
        Ok(text)
    })
}

/// A line of [`documents`] for a second without an answer.
#[derive(Debug, Serialize)]
pub struct Failed {
    error: String,
}

/// Prints the status as it comes from the appliance every second, each in a line of its own, until the output is closed.
///
/// # Errors
/// When the appliance does not answer the first time.
pub fn documents(path: &Path) -> Result<(), ClientError> {
    every_second(|first| match socket::request(path, &Question::Status) {
        Ok(json) => Ok(json),
        Err(error) if first => Err(error),
        Err(error) => {
            let error = error.to_string();
            serde_json::to_string(&Failed { error }).map_err(ClientError::NotUnderstood)
        }
    })
}

/// Prints what `text` gives, and a line end, until the output is closed. It is told whether it is asked for the first time.
fn every_second(
    mut text: impl FnMut(bool) -> Result<String, ClientError>,
) -> Result<(), ClientError> {
    let mut out = io::stdout();
    let mut first = true;
    loop {
        let text = text(first)?;
        first = false;
        if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
            return Ok(());
        }
        thread::sleep(INTERVAL);
    }
}

#[cfg(test)]
mod tests;
