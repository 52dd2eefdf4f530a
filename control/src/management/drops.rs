//! What was dropped, why, and how fast that grows: the answer of `hal2tp drops`.

pub mod reasons;

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::socket::{self, ClientError};
use super::status::{Port, Session, Set, Status};
use super::table::{Cell, Table, grouped};

/// Everything that was dropped, by place and reason.
///
/// Each frame that was not forwarded is counted once with its port (without `worker`), with `own` or with `l2tp`. What
/// workers, sets and links have is the same again, seen from there: it must not be added to the ports'.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Drops {
    /// Time between the two looks.
    pub measured_ms: u64,
    pub drops: Vec<Line>,
}

/// What one place dropped for one reason.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Line {
    #[serde(flatten)]
    pub place: Place,
    pub reason: String,
    /// Since the appliance started.
    pub count: u64,
    /// Between the two looks; absent when the appliance was restarted meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_s: Option<f64>,
    /// What the reason means; empty when the appliance is of another version, and has more reasons than this one knows.
    pub meaning: String,
}

/// Where something is dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case", tag = "place")]
pub enum Place {
    /// Frames that a port received, or was to send.
    Port {
        port: String,
    },
    /// Of those, the ones that one worker dropped.
    Worker {
        port: String,
        worker: usize,
    },
    /// Packets of our own: ARP, L2TP, PPP, ICMP.
    #[default]
    Own,
    /// L2TP control messages without effect.
    L2tp,
    /// What the links of a set brought, together.
    Set {
        set: String,
        remote: String,
    },
    Link {
        link: String,
    },
}

/// The tables for people, in their order.
const TITLES: [&str; 3] = ["DROPS", "THE SAME, BY WORKER", "THE SAME, BY SET AND LINK"];

impl Place {
    /// The table that it stands in.
    const fn title(&self) -> &'static str {
        match self {
            Self::Port { .. } | Self::Own | Self::L2tp => TITLES[0],
            Self::Worker { .. } => TITLES[1],
            Self::Set { .. } | Self::Link { .. } => TITLES[2],
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Port { port } => format!("port {port}"),
            Self::Worker { port, worker } => format!("port {port} worker {worker}"),
            Self::Own => "own packets".to_owned(),
            Self::L2tp => "L2TP".to_owned(),
            Self::Set { set, remote } => format!("set {set} {remote}"),
            Self::Link { link } => format!("link {link}"),
        }
    }
}

/// The counts of one place by reason, with what each reason means.
pub type Counts = BTreeMap<String, (u64, &'static str)>;

impl Drops {
    /// What `after` has that is not 0, or `all`, and how it grew since `before`.
    #[must_use]
    pub fn new(before: &Status, after: &Status, passed: Duration, all: bool) -> Self {
        let before: BTreeMap<Place, Counts> = places(before).into_iter().collect();
        let mut drops = Vec::new();
        for (place, counts) in places(after) {
            let earlier = before.get(&place);
            for (reason, (count, meaning)) in counts {
                if count == 0 && !all {
                    continue;
                }
                // A link that is new has dropped nothing before.
                let was = earlier.and_then(|it| it.get(&reason)).map_or(0, |it| it.0);
                drops.push(Line {
                    place: place.clone(),
                    reason,
                    count,
                    per_s: per_second(was, count, passed),
                    meaning: meaning.to_owned(),
                });
            }
        }
        Self {
            measured_ms: u64::try_from(passed.as_millis()).unwrap_or(u64::MAX),
            drops,
        }
    }

    /// As tables, one for each kind of place.
    #[must_use]
    pub fn text(&self, colours: bool) -> String {
        let mut out = String::new();
        for title in TITLES {
            let lines = self.drops.iter();
            let lines = lines.filter(|line| line.place.title() == title);
            table(title, lines).write(&mut out, colours);
        }
        match out.trim_start() {
            "" => "nothing was dropped\n".to_owned(),
            text => text.to_owned(),
        }
    }
}

/// Looks twice, `between` apart.
///
/// # Errors
/// When there is no answer to one of the looks.
pub fn look(path: &Path, between: Duration, all: bool) -> Result<Drops, ClientError> {
    let before = socket::status(path)?;
    let began = Instant::now();
    thread::sleep(between);
    let after = socket::status(path)?;
    Ok(Drops::new(&before, &after, began.elapsed(), all))
}

fn per_second(before: u64, now: u64, passed: Duration) -> Option<f64> {
    let grown = now.checked_sub(before)?;
    // Counts that a second brings are far below the 53 bits that are exact here.
    #[allow(clippy::cast_precision_loss)]
    let per_s = grown as f64 / passed.as_secs_f64().max(f64::MIN_POSITIVE);
    Some((per_s * 10.0).round() / 10.0)
}

fn table<'l>(title: &'static str, lines: impl Iterator<Item = &'l Line>) -> Table {
    let rows = lines.map(|line| {
        let rate = line.per_s.map_or_else(|| "-".to_owned(), shown_rate);
        vec![
            Cell::text(line.place.text()),
            Cell::text(&line.reason),
            Cell::number(line.count),
            Cell::right(rate).uneasy_if(line.per_s.is_some_and(|it| it > 0.0)),
            Cell::text(&line.meaning),
        ]
    });
    Table {
        title,
        head: &["where", "reason", "count", "/s", "meaning"],
        rows: rows.collect(),
    }
}

/// With a decimal only where it tells something.
fn shown_rate(per_s: f64) -> String {
    if per_s > 0.0 && per_s < 10.0 {
        return format!("{per_s:.1}");
    }
    // What does not fit is shown as the most that does.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    grouped(per_s.round() as u64)
}

/// The places that count each frame once, and what they count, zeros too.
pub fn places_once(status: &Status) -> impl Iterator<Item = (Place, Counts)> {
    let ports = status.ports.iter().map(of_port);
    let own = counts(reasons::of_workers(), &status.dataplane.drops);
    let l2tp = counts(reasons::L2TP.into_iter(), &status.l2tp_drops);
    ports.chain([(Place::Own, own), (Place::L2tp, l2tp)])
}

/// Every place of the appliance and what it counts, zeros too; the ports first, their workers behind each.
fn places(status: &Status) -> Vec<(Place, Counts)> {
    let mut places = Vec::new();
    let mut ports = status.ports.iter();
    for place in places_once(status) {
        places.push(place);
        places.extend(ports.next().into_iter().flat_map(of_workers));
    }
    places.extend(status.sets.iter().map(of_set));
    places.extend(status.sessions.iter().map(of_link));
    places
}

/// All `known` reasons with what was counted, and what was counted besides.
fn counts(
    known: impl Iterator<Item = (&'static str, &'static str)>,
    counted: &BTreeMap<String, u64>,
) -> Counts {
    let mut counts: Counts = known
        .map(|(reason, meaning)| (reason.to_owned(), (0, meaning)))
        .collect();
    for (reason, count) in counted {
        counts.entry(reason.clone()).or_default().0 = *count;
    }
    counts
}

fn of_port(port: &Port) -> (Place, Counts) {
    let place = Place::Port {
        port: port.name.clone(),
    };
    (place, counts(reasons::of_ports(), &port.drops))
}

/// None when there is one: it has what the port has.
fn of_workers(port: &Port) -> impl Iterator<Item = (Place, Counts)> {
    let several = port.per_worker.len() > 1;
    let workers = port.per_worker.iter().enumerate().filter(move |_| several);
    workers.map(|(worker, of)| {
        let place = Place::Worker {
            port: port.name.clone(),
            worker,
        };
        (place, counts(reasons::of_workers(), &of.drops))
    })
}

fn of_set(set: &Set) -> (Place, Counts) {
    let place = Place::Set {
        set: set.name.clone(),
        remote: set.remote.clone(),
    };
    let counted = [set.duplicates, set.too_late, set.unknown_epoch];
    (place, zipped(reasons::SET, counted))
}

fn of_link(link: &Session) -> (Place, Counts) {
    let place = Place::Link {
        link: link.name.clone(),
    };
    let counted = [
        link.send_dropped_packets,
        link.over_speed_packets,
        link.duplicates,
        link.too_late,
        link.unknown_epoch,
    ];
    (place, zipped(reasons::LINK, counted))
}

fn zipped<const N: usize>(reasons: [(&'static str, &'static str); N], counted: [u64; N]) -> Counts {
    let pairs = reasons.into_iter().zip(counted);
    pairs
        .map(|((reason, meaning), count)| (reason.to_owned(), (count, meaning)))
        .collect()
}

#[cfg(test)]
mod tests;
