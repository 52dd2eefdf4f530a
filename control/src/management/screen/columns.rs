//! The table of sets and links: as many columns as the terminal is wide.

use ratatui::layout::Constraint;
use ratatui::style::Color;
use ratatui::text::{Line, Span};

use super::Screen;
use super::look::{Look, word};
use super::picture::Row;
use super::trace::Point;
use crate::management::status::Set;
use crate::monitor::site::{Minute, Verdict};

/// Seconds in a column of the table's sparklines: eight columns are a minute, fifteen are two.
const COLUMN_S: usize = 8;
/// Part of the packets whose loss fills a column of a sparkline: a fifth. More makes no difference to anybody.
const MOST_LOSS: f32 = 0.2;
/// From here on a loss is a link's fault, and from there on a bad one; as the verdicts have it.
const SOME_LOSS: f64 = 0.001;
const BAD_LOSS: f64 = 0.02;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Sign,
    Verdict,
    Name,
    State,
    Loss,
    LossTrace,
    Latency,
    LatencyTrace,
    Received,
    Sent,
    Skew,
    Wins,
}

/// Columns and their widths. What a link is called gets what the others leave.
pub(super) fn columns(width: u16) -> Vec<(Column, Constraint)> {
    use Column::*;
    let columns: &[(Column, u16)] = match width {
        0..24 => &[(Sign, 1), (Name, 0)],
        24..48 => &[(Sign, 1), (Name, 0), (Loss, 6), (Latency, 6)],
        48..76 => &[
            (Verdict, 10),
            (Name, 0),
            (Loss, 6),
            (Latency, 6),
            (Received, 5),
            (Sent, 5),
        ],
        76..112 => &[
            (Verdict, 10),
            (Name, 0),
            (State, 8),
            (Loss, 6),
            (LossTrace, 8),
            (Latency, 6),
            (LatencyTrace, 8),
            (Received, 5),
            (Sent, 5),
        ],
        112.. => &[
            (Verdict, 10),
            (Name, 0),
            (State, 14),
            (Loss, 6),
            (LossTrace, 15),
            (Latency, 6),
            (LatencyTrace, 15),
            (Received, 5),
            (Sent, 5),
            (Skew, 6),
            (Wins, 5),
        ],
    };
    let constraint = |(column, width): &(Column, u16)| match width {
        0 => (*column, Constraint::Min(4)),
        width => (*column, Constraint::Length(*width)),
    };
    columns.iter().map(constraint).collect()
}

impl Column {
    pub(super) fn title(self, width: u16) -> Line<'static> {
        match self {
            Self::Sign => Line::default(),
            Self::Verdict => Line::from("VERDICT"),
            Self::Name => Line::from("NAME"),
            Self::State => Line::from("STATE"),
            Self::Loss => Line::from("LOSS").right_aligned(),
            Self::Latency => Line::from("RTT ms").right_aligned(),
            Self::LossTrace | Self::LatencyTrace => {
                let minutes = usize::from(width) * COLUMN_S / 60;
                Line::from(format!("{minutes} min"))
            }
            Self::Received => Line::from("IN").right_aligned(),
            Self::Sent => Line::from("OUT").right_aligned(),
            Self::Skew => Line::from("SKEW").right_aligned(),
            Self::Wins => Line::from("WINS").right_aligned(),
        }
    }
}

/// What rows have in their columns.
pub(super) struct Cells<'p> {
    pub(super) screen: &'p Screen,
    /// The latency that fills a column of a sparkline.
    pub(super) most_us: u32,
    /// Whether there are sparklines.
    pub(super) traced: bool,
}

impl<'p> Cells<'p> {
    pub(super) fn cell(&self, column: Column, row: Row<'p>, width: u16) -> Line<'p> {
        let look = self.screen.look;
        let minute = minute(row);
        match column {
            Column::Sign => verdict(look, row.verdict(), false),
            Column::Verdict => verdict(look, row.verdict(), true),
            Column::Name => name(row),
            Column::State => state(look, row),
            Column::Loss => loss(self.screen, row),
            Column::Latency => self.latency(row),
            Column::LossTrace => loss_trace(look, &points(self.screen, row, width)),
            Column::LatencyTrace => self.latency_trace(row, width),
            Column::Received => right(bits(rates(row).received_bit_s)),
            Column::Sent => right(bits(rates(row).sent_bit_s)),
            Column::Skew => {
                let skew = minute.and_then(|it| it.skew_us);
                right(skew.map_or_else(dash, |it| milliseconds(it.mean)))
            }
            Column::Wins => {
                let wins = minute.and_then(|it| it.win_ratio);
                right(wins.map_or_else(dash, |it| format!("{:.0} %", it * 100.0)))
            }
        }
    }

    /// Where a link has its latency stands what a set is for.
    fn latency(&self, row: Row<'_>) -> Line<'static> {
        match row {
            Row::Set(_) if self.traced => self.saved("saved".to_owned()).right_aligned(),
            Row::Set(set) => self
                .saved(format!("+{}", bits(set.saved_packets)))
                .right_aligned(),
            Row::Link(link, _) => {
                let latency = link.minute.latency_us;
                right(latency.map_or_else(dash, |it| milliseconds(it.mean)))
            }
        }
    }

    fn latency_trace(&self, row: Row<'_>, width: u16) -> Line<'static> {
        match row {
            Row::Set(set) => self.saved(bits(set.saved_packets)),
            Row::Link(..) => latency_trace(
                self.screen.look,
                &points(self.screen, row, width),
                self.most_us,
            ),
        }
    }

    fn saved(&self, text: String) -> Line<'static> {
        Line::styled(text, self.screen.look.in_colour(Color::Cyan))
    }
}

fn right(text: String) -> Line<'static> {
    Line::from(text).right_aligned()
}

fn dash() -> String {
    "-".to_owned()
}

fn verdict(look: Look, verdict: Verdict, in_words: bool) -> Line<'static> {
    let sign = look.sign(verdict);
    let text = match in_words {
        true => format!("{sign} {}", word(verdict)),
        false => sign.to_owned(),
    };
    Line::styled(text, look.of_verdict(verdict))
}

fn name(row: Row<'_>) -> Line<'_> {
    match row {
        Row::Set(set) => Line::from(vec![
            Span::raw(&set.name),
            " ".into(),
            Span::raw(&set.remote),
        ]),
        Row::Link(link, Some(_)) => Line::from(vec!["  ".into(), Span::raw(&link.graph)]),
        Row::Link(link, None) => Line::raw(&link.graph),
    }
}

fn state(look: Look, row: Row<'_>) -> Line<'_> {
    match row {
        Row::Set(set) => match set.protection.as_str() {
            Set::HA => Line::raw("ha"),
            Set::DOWN => Line::styled("down", look.of_verdict(Verdict::Down)),
            Set::ONE_LINK => Line::styled("one link", look.of_verdict(Verdict::Degraded)),
            Set::NO_HA => Line::styled("no HA", look.of_verdict(Verdict::Degraded)),
            other => Line::raw(other),
        },
        Row::Link(link, _) if link.masked_for_s.is_some() => {
            Line::styled("masked", look.of_verdict(Verdict::Degraded))
        }
        Row::Link(link, _) => Line::raw(&link.state),
    }
}

const fn minute<'p>(row: Row<'p>) -> Option<&'p Minute> {
    match row {
        Row::Set(_) => None,
        Row::Link(link, _) => Some(&link.minute),
    }
}

const fn rates(row: Row<'_>) -> crate::monitor::site::Rates {
    match row {
        Row::Set(set) => set.rates,
        Row::Link(link, _) => link.rates,
    }
}

/// A link's, of its copies or else of its echoes; a set's, of its packets in the seconds that are shown.
fn loss(screen: &Screen, row: Row<'_>) -> Line<'static> {
    let ratio = match row {
        Row::Link(link, _) => loss_of(&link.minute),
        Row::Set(set) => screen.picture.loss_of_set(&set.graph),
    };
    let Some(ratio) = ratio else {
        return right(dash());
    };
    Line::styled(percent(ratio), of_loss(screen.look, ratio)).right_aligned()
}

pub(super) fn loss_of(minute: &Minute) -> Option<f64> {
    let echoes = || {
        let sent = minute.echoes_sent;
        (sent > 0).then(|| minute.echoes_lost.min(sent) as f64 / sent as f64)
    };
    minute.loss_ratio.or_else(echoes)
}

fn of_loss(look: Look, ratio: f64) -> ratatui::style::Style {
    if ratio >= BAD_LOSS {
        look.of_verdict(Verdict::Bad)
    } else if ratio >= SOME_LOSS {
        look.of_verdict(Verdict::Degraded)
    } else {
        ratatui::style::Style::new()
    }
}

fn points(screen: &Screen, row: Row<'_>, columns: u16) -> Vec<Option<Point>> {
    let trace = screen.picture.trace(row.graph());
    trace.columns(usize::from(columns), COLUMN_S, screen.picture.number())
}

/// The latency that fills a column: the most that any of the rows has, so that they can be compared.
pub(super) fn most_latency_us(screen: &Screen, rows: &[Row<'_>], columns: u16) -> u32 {
    let rows = rows.iter();
    let most = rows.filter_map(|row| {
        let points = points(screen, *row, columns);
        points
            .into_iter()
            .flatten()
            .filter_map(|it| it.latency_us)
            .max()
    });
    most.max().unwrap_or(0)
}

/// The square root shows a thousandth beside a fifth.
pub(super) fn loss_trace(look: Look, points: &[Option<Point>]) -> Line<'static> {
    let spans = points.iter().map(|point| match point {
        Some(point) if point.offline => offline(look),
        Some(Point {
            loss: Some(loss), ..
        }) => {
            let style = match *loss {
                0.0 => look.faint(),
                loss => of_loss(look, f64::from(loss)),
            };
            Span::styled(look.block((loss / MOST_LOSS).sqrt()), style)
        }
        _ => Span::raw(" "),
    });
    Line::from_iter(spans)
}

pub(super) fn latency_trace(look: Look, points: &[Option<Point>], most_us: u32) -> Line<'static> {
    height_trace(look, points, f64::from(most_us), |point| {
        point.latency_us.map(f64::from)
    })
}

pub(super) fn height_trace(
    look: Look,
    points: &[Option<Point>],
    most: f64,
    height: impl Fn(&Point) -> Option<f64>,
) -> Line<'static> {
    let spans = points.iter().map(|point| match point {
        Some(point) if point.offline => offline(look),
        Some(point) => height(point).map_or_else(
            || Span::raw(" "),
            |height| {
                let block = look.block((height / most.max(1.0)) as f32);
                Span::styled(block, look.in_colour(Color::Cyan))
            },
        ),
        None => Span::raw(" "),
    });
    Line::from_iter(spans)
}

fn offline(look: Look) -> Span<'static> {
    Span::styled(look.offline(), look.of_verdict(Verdict::Down))
}

/// `0 %`, `0.03 %`, `3.1 %`, `100 %`.
pub(super) fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    match percent {
        0.0 => "0 %".to_owned(),
        ..0.1 => format!("{percent:.2} %"),
        ..99.95 => format!("{percent:.1} %"),
        _ => "100 %".to_owned(),
    }
}

/// A time in at most six signs.
pub(super) fn milliseconds(us: u64) -> String {
    match us {
        0..1_000_000 => format!("{}.{}", us / 1000, us % 1000 / 100),
        _ => format!("{}", us / 1000),
    }
}

/// A number in at most five signs: `999`, `1.2k`, `34k`, `5.6M`.
pub(super) fn bits(number: u64) -> String {
    let mut unit = 1_u64;
    for letter in ["", "k", "M", "G", "T", "P"] {
        let whole = number / unit;
        if whole < 1000 {
            let tenths = number / (unit / 10).max(1) % 10;
            return match (letter, whole) {
                ("", _) => whole.to_string(),
                (_, 0..10) => format!("{whole}.{tenths}{letter}"),
                _ => format!("{whole}{letter}"),
            };
        }
        unit *= 1000;
    }
    format!("{}E", number / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_to_their_columns() {
        let written = [0, 999, 1000, 1_250, 99_999, 999_999, 5_600_000, u64::MAX].map(bits);
        assert_eq!(
            written,
            ["0", "999", "1.0k", "1.2k", "99k", "999k", "5.6M", "18E"]
        );
        let written = [0.0, 0.0003, 0.031, 0.9996, 1.0].map(percent);
        assert_eq!(written, ["0 %", "0.03 %", "3.1 %", "100 %", "100 %"]);
        let written = [90, 80_449, 999_999, 4_000_000].map(milliseconds);
        assert_eq!(written, ["0.0", "80.4", "999.9", "4000"]);
    }

    #[test]
    fn every_width_has_room_for_its_columns() {
        for width in 0..400_u16 {
            let columns = columns(width);
            let fixed: u16 = columns
                .iter()
                .map(|(_, it)| match it {
                    Constraint::Length(length) => *length,
                    _ => 0,
                })
                .sum();
            let spaces = columns.len() as u16 - 1;
            let name = width.saturating_sub(fixed + spaces);
            assert!(name >= 8 || width < 24, "{width}: {name} for the name");
        }
    }
}
