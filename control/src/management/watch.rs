//! The status for people: aligned tables, once or every second.

mod interfaces;
mod links;
mod order;

use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::socket::{self, ClientError};
use super::status::{LinkState, Role, Route, Set, Status};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// What a cell means, for its colour on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Plain,
    Good,
    Uneasy,
    Bad,
}

impl Mood {
    /// SGR parameter (ECMA-48, 8.3.117).
    const fn code(self) -> Option<u8> {
        match self {
            Self::Plain => None,
            Self::Good => Some(32),
            Self::Uneasy => Some(33),
            Self::Bad => Some(31),
        }
    }
}

struct Cell {
    text: String,
    mood: Mood,
    right: bool,
}

impl Cell {
    fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            mood: Mood::Plain,
            right: false,
        }
    }

    fn number(number: u64) -> Self {
        Self {
            right: true,
            ..Self::text(grouped(number))
        }
    }

    fn right(text: impl Into<String>) -> Self {
        Self {
            right: true,
            ..Self::text(text)
        }
    }

    const fn mood(mut self, mood: Mood) -> Self {
        self.mood = mood;
        self
    }

    /// Marks a number that should be zero.
    const fn bad_unless_zero(mut self, number: u64) -> Self {
        if number > 0 {
            self.mood = Mood::Bad;
        }
        self
    }
}

/// `12345678` as `12 345 678`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// `3d 04:05:06`, without the days when there are none.
fn duration(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if days > 0 {
        format!("{days}d {clock}")
    } else {
        clock
    }
}

/// A time in microseconds, as milliseconds.
fn milliseconds(us: Option<u64>) -> String {
    us.map_or_else(
        || "-".to_owned(),
        |us| format!("{}.{:01}", us / 1000, us % 1000 / 100),
    )
}

struct Table {
    title: &'static str,
    head: &'static [&'static str],
    rows: Vec<Vec<Cell>>,
}

impl Table {
    fn write(&self, out: &mut String, colours: bool) {
        if self.rows.is_empty() {
            return;
        }
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let widest = cells.map(|cell| cell.text.chars().count()).max();
            widest.unwrap_or(0).max(self.head[column].len())
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        out.push('\n');
        out.push_str(self.title);
        out.push('\n');
        let head = self.head.iter().enumerate();
        let right = |column: usize| self.rows[0].get(column).is_some_and(|cell| cell.right);
        let titles: Vec<Cell> = head
            .map(|(column, title)| Cell {
                right: right(column),
                ..Cell::text(*title)
            })
            .collect();
        line(out, &titles, &widths, false);
        for row in &self.rows {
            line(out, row, &widths, colours);
        }
    }
}

fn line(out: &mut String, cells: &[Cell], widths: &[usize], colours: bool) {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let space = " ".repeat(width.saturating_sub(cell.text.chars().count()));
        let code = cell.mood.code().filter(|_| colours);
        let shown = code.map_or_else(
            || cell.text.clone(),
            |code| format!("\x1b[{code}m{}\x1b[0m", cell.text),
        );
        text.push_str("  ");
        if cell.right {
            text.push_str(&space);
            text.push_str(&shown);
        } else {
            text.push_str(&shown);
            text.push_str(&space);
        }
    }
    out.push_str(text.trim_end());
    out.push('\n');
}

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
    alone(&tunnel_table(status), colours)
}

/// The sessions alone.
#[must_use]
pub fn sessions(status: &Status, colours: bool) -> String {
    alone(&links::sessions(status), colours)
}

fn alone(table: &Table, colours: bool) -> String {
    let mut out = String::new();
    table.write(&mut out, colours);
    if out.is_empty() {
        return format!("{}: none\n", table.title);
    }
    out.trim_start().to_owned()
}

/// What somebody should see to, though everything still works.
fn alarms(status: &Status) -> String {
    let links = status.sessions.iter();
    let links = links.filter_map(|link| Some(("link", &link.name, link.alarm.as_ref()?)));
    let sets = status.sets.iter();
    let sets = sets.filter_map(|set| Some(("set", &set.name, set.alarm.as_ref()?)));
    links
        .chain(sets)
        .map(|(what, name, alarm)| {
            let lasts = duration(alarm.for_s);
            format!("\nALARM  {what} {name}: {}, for {lasts}\n", alarm.text)
        })
        .collect()
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
            Cell::text(&tunnel.state).mood(mood),
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
            Cell::text(&route.origin),
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

/// Shows the status once.
///
/// # Errors
/// When there is no answer. A closed standard output is no error.
pub fn show(path: &Path) -> Result<(), ClientError> {
    let status = socket::status(path)?;
    let mut out = io::stdout();
    let colours = out.is_terminal();
    let _ = out.write_all(render(&status, None, colours).as_bytes());
    Ok(())
}

/// Shows the status every second until the output is closed or the process
/// is stopped. An appliance that goes away is waited for.
///
/// # Errors
/// When the appliance does not answer the first time.
pub fn watch(path: &Path) -> Result<(), ClientError> {
    let mut out = io::stdout();
    let terminal = out.is_terminal();
    let mut earlier: Option<(Status, Instant)> = None;
    let mut first = true;
    loop {
        let text = match socket::status(path) {
            Ok(status) => {
                let now = Instant::now();
                let before = earlier.as_ref().map(|(status, at)| (status, now - *at));
                let text = render(&status, before, terminal);
                earlier = Some((status, now));
                text
            }
            Err(error) if first => return Err(error),
            Err(error) => format!("{error}\n"),
        };
        first = false;
        if draw(&mut out, &text, terminal).is_err() {
            return Ok(());
        }
        thread::sleep(INTERVAL);
    }
}

/// On a terminal the new view overwrites the old one in place, and what does not
/// fit is cut: scrolling would carry the sets and links, which stand first, away.
fn draw(out: &mut impl Write, text: &str, terminal: bool) -> io::Result<()> {
    if terminal {
        let rows = terminal_size::terminal_size().map(|(_, height)| usize::from(height.0));
        let text = first_rows(text, rows.unwrap_or(usize::MAX));
        // Home, no wrapping of long lines, each line erased to its end, then everything below.
        let text = text.replace('\n', "\x1b[K\r\n");
        write!(out, "\x1b[H\x1b[?7l{text}\x1b[K\x1b[J\x1b[?7h")?;
    } else {
        writeln!(out, "{text}")?;
    }
    out.flush()
}

/// As many lines as a screen of so many rows has, without a line feed behind the
/// last, which would scroll; one that says so when some are left out.
fn first_rows(text: &str, rows: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= rows {
        return lines.join("\n");
    }
    let shown = rows.saturating_sub(1);
    let rest = lines.len() - shown;
    let last = format!("({rest} more lines: enlarge the window, or leave out --watch)");
    let shown = lines.into_iter().take(shown);
    shown.chain([last.as_str()]).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
