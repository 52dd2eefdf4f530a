//! The rows as a table: one kind of row for CSV and JSON.

use history::Sample;
use serde::Serialize;

use crate::{Graph, cells, clock, measures};

/// What a row says. Units are the last word of a name.
#[derive(Serialize)]
struct Row<'a> {
    graph: &'a str,
    start_utc: Option<String>,
    start_unix_s: u64,
    length_s: u32,
    measured_s: u32,
    offline_s: u32,
    echoes_sent: u64,
    echoes_lost: u64,
    latency_least_us: Option<u64>,
    latency_mean_us: Option<u64>,
    latency_most_us: Option<u64>,
    sent_packets: u64,
    sent_octets: u64,
    sent_bit_s: Option<u64>,
    received_packets: u64,
    received_octets: u64,
    received_bit_s: Option<u64>,
    settled_packets: u64,
    lost_packets: i64,
    /// Of the settled packets, 0 to 1.
    loss_ratio: Option<f64>,
    wins: u64,
    saved_packets: u64,
    skew_least_us: Option<u64>,
    skew_mean_us: Option<u64>,
    skew_most_us: Option<u64>,
}

impl<'a> Row<'a> {
    fn new(graph: &'a str, start_s: u64, length_s: u32, sample: &Sample) -> Self {
        let (latency, skew) = (sample.latency, sample.skew);
        Self {
            graph,
            start_utc: clock::iso_8601(start_s),
            start_unix_s: start_s,
            length_s,
            measured_s: sample.measured_s,
            offline_s: sample.offline_s,
            echoes_sent: sample.echoes_sent,
            echoes_lost: sample.echoes_lost,
            latency_least_us: latency.map(|spread| spread.least_us),
            latency_mean_us: latency.map(|spread| spread.mean_us()),
            latency_most_us: latency.map(|spread| spread.most_us),
            sent_packets: sample.sent_packets,
            sent_octets: sample.sent_octets,
            sent_bit_s: measures::sent_bit_s(sample),
            received_packets: sample.received_packets,
            received_octets: sample.received_octets,
            received_bit_s: measures::received_bit_s(sample),
            settled_packets: sample.settled_packets,
            lost_packets: sample.lost_packets,
            loss_ratio: measures::loss(sample),
            wins: sample.wins,
            saved_packets: sample.saved_packets,
            skew_least_us: skew.map(|spread| spread.least_us),
            skew_mean_us: skew.map(|spread| spread.mean_us()),
            skew_most_us: skew.map(|spread| spread.most_us),
        }
    }
}

/// The names of the columns: what serde makes of `Row`. Written here too, for a table without rows.
const COLUMNS: [&str; 25] = [
    "graph",
    "start_utc",
    "start_unix_s",
    "length_s",
    "measured_s",
    "offline_s",
    "echoes_sent",
    "echoes_lost",
    "latency_least_us",
    "latency_mean_us",
    "latency_most_us",
    "sent_packets",
    "sent_octets",
    "sent_bit_s",
    "received_packets",
    "received_octets",
    "received_bit_s",
    "settled_packets",
    "lost_packets",
    "loss_ratio",
    "wins",
    "saved_packets",
    "skew_least_us",
    "skew_mean_us",
    "skew_most_us",
];

fn rows<'a>(graph: &Graph<'_>, name: &'a str) -> impl Iterator<Item = Row<'a>> {
    let length_s = graph.step_s;
    cells::rows(graph).map(move |(start_s, sample)| Row::new(name, *start_s, length_s, sample))
}

pub(crate) fn csv(graph: &Graph<'_>) -> String {
    let name = without_formula(graph.title);
    let mut builder = csv::WriterBuilder::new();
    builder.has_headers(false).terminator(csv::Terminator::CRLF);
    let mut writer = builder.from_writer(Vec::new());
    writer.write_record(COLUMNS).expect("memory takes it");
    for row in rows(graph, &name) {
        writer
            .serialize(row)
            .expect("memory takes it, and rows are flat");
    }
    let octets = writer.into_inner().expect("memory takes it");
    String::from_utf8(octets).expect("made of strings")
}

/// Spreadsheets take a cell that begins so for a formula, also in quotes.
fn without_formula(name: &str) -> String {
    if name.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{name}")
    } else {
        name.to_owned()
    }
}

pub(crate) fn json(graph: &Graph<'_>) -> String {
    let rows: Vec<_> = rows(graph, graph.title).collect();
    serde_json::to_string(&rows).expect("its keys are strings, and ratios are finite")
}

#[cfg(test)]
mod tests;
