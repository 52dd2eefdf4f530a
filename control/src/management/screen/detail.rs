//! All of the set or link that is chosen.

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::Screen;
use super::columns::{
    bits, height_trace, latency_trace, loss_of, loss_trace, milliseconds, percent,
};
use super::look::word;
use super::picture::{Row, why};
use super::trace::{KEPT, Point};
use crate::management::table::{duration, grouped};
use crate::monitor::site::{Minute, Rates, SiteLink, SiteSet, Times};

/// Lines that it takes: its name, the verdict, and what [`lines`] gives.
pub(super) const LINES: u16 = 1 + WHY_LINES + 6;
/// Lines for the verdict and its reasons.
pub(super) const WHY_LINES: u16 = 2;
/// Columns of what stands before a sparkline.
const BEFORE_TRACE: usize = 36;

/// The verdict and why; of an alarm, for how long.
pub(super) fn judged(screen: &Screen, row: Row<'_>) -> Line<'static> {
    let look = screen.look;
    let verdict = row.verdict();
    let (mut text, alarm) = match row {
        Row::Set(set) => (set.reasons.join(", "), &set.alarm),
        Row::Link(link, _) => (why(link), &link.alarm),
    };
    if let Some(alarm) = alarm {
        text = format!("ALARM for {}: {text}", duration(alarm.for_s));
    }
    Line::from(vec![
        Span::styled(
            format!("{} {}", look.sign(verdict), word(verdict)),
            look.of_verdict(verdict),
        ),
        Span::raw(if text.is_empty() { "" } else { ": " }),
        Span::raw(text),
    ])
}

pub(super) fn lines<'p>(screen: &'p Screen, row: Row<'p>, width: u16) -> Vec<Line<'p>> {
    let columns = usize::from(width).saturating_sub(BEFORE_TRACE).min(KEPT);
    let trace = screen.picture.trace(row.graph());
    let points = trace.columns(columns, 1, screen.picture.number());
    match row {
        Row::Set(set) => of_set(screen, set, &points),
        Row::Link(link, set) => of_link(screen, link, set, &points),
    }
}

fn of_link<'p>(
    screen: &'p Screen,
    link: &'p SiteLink,
    set: Option<&'p SiteSet>,
    points: &[Option<Point>],
) -> Vec<Line<'p>> {
    let minute = &link.minute;
    let of = set.map_or_else(
        || "in no set".to_owned(),
        |set| format!("of set {} {}", set.name, set.remote),
    );
    let skew_p99_us = screen.picture.skew(&link.graph).and_then(|it| it.p99_us);
    let most_us = points.iter().flatten().filter_map(|it| it.latency_us).max();
    let [received, sent] = throughput(screen, &link.rates, points);
    vec![
        Line::raw(format!(
            "{of}, tunnel {}, {} for {}",
            link.tunnel,
            link.state,
            duration(link.up_s)
        )),
        traced("loss", lost(minute), loss_trace(screen.look, points)),
        traced(
            "rtt",
            times(minute.latency_us),
            latency_trace(screen.look, points, most_us.unwrap_or(0)),
        ),
        received,
        sent,
        Line::raw(format!(
            "skew  {}, p99 {}; wins {}, alone {}, lost {} in all",
            times(minute.skew_us),
            skew_p99_us.map_or_else(|| "-".to_owned(), milliseconds),
            minute.win_ratio.map_or_else(|| "-".to_owned(), percent),
            grouped(link.sole_packets),
            grouped(link.lost_packets),
        )),
    ]
}

/// Of the last minute: how much, of how many packets, of how many echoes.
fn lost(minute: &Minute) -> String {
    format!(
        "{}  {}/{} echo {}/{}",
        loss_of(minute).map_or_else(|| "-".to_owned(), percent),
        minute.lost_packets,
        bits(minute.settled_packets),
        minute.echoes_lost,
        minute.echoes_sent
    )
}

fn of_set<'p>(screen: &'p Screen, set: &'p SiteSet, points: &[Option<Point>]) -> Vec<Line<'p>> {
    let ratio = screen.picture.loss_of_set(&set.graph);
    let [received, sent] = throughput(screen, &set.rates, points);
    vec![
        Line::raw(format!(
            "protection: {}; {} links",
            set.protection,
            set.links.len()
        )),
        traced(
            "loss",
            ratio.map_or_else(|| "-".to_owned(), percent),
            loss_trace(screen.look, points),
        ),
        received,
        sent,
        Line::raw(format!(
            "saved {} packets that the best link alone would have lost; lost {}",
            grouped(set.saved_packets),
            grouped(set.lost_packets)
        )),
    ]
}

/// What came in and what went out; both sparklines have the same scale.
fn throughput(screen: &Screen, rates: &Rates, points: &[Option<Point>]) -> [Line<'static>; 2] {
    let both = points.iter().flatten();
    let most = both.map(|it| it.received_bit_s.max(it.sent_bit_s)).max();
    let most = most.unwrap_or(0) as f64;
    let line = |word, bit_s, packet_s, of: fn(&Point) -> u64| {
        let trace = height_trace(screen.look, points, most, |point| Some(of(point) as f64));
        let text = format!("{}bit/s  {} packets/s", bits(bit_s), bits(packet_s));
        traced(word, text, trace)
    };
    [
        line("in", rates.received_bit_s, rates.received_packet_s, |it| {
            it.received_bit_s
        }),
        line("out", rates.sent_bit_s, rates.sent_packet_s, |it| {
            it.sent_bit_s
        }),
    ]
}

/// A word, what there is to say, and a sparkline where all of them begin.
fn traced(word: &'static str, text: String, trace: Line<'static>) -> Line<'static> {
    let room = BEFORE_TRACE - 6;
    let mut line = Line::from(vec![
        Span::styled(
            format!("{word:6}"),
            Style::new().add_modifier(Modifier::BOLD),
        ),
        Span::raw(format!("{text:<room$}")),
    ]);
    line.spans.extend(trace.spans);
    line
}

/// Least, mean and most.
fn times(times: Option<Times>) -> String {
    times.map_or_else(
        || "-".to_owned(),
        |it| {
            let [least, mean, most] = [it.least, it.mean, it.most].map(milliseconds);
            format!("{least} / {mean} / {most} ms")
        },
    )
}
