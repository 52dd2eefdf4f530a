//! What was measured of all peers, as tables and a picture.

use std::error::Error;
use std::time::Duration;

use benches::figure::Figure;
use benches::plot::{Axis, BarPlot, Bars, Legend};
use benches::report::{Cell, Column, Picture, Section, Table};
use benches::traffic::FlowReport;

use super::Entry;
use super::adapter::Links;
use super::bed::{BUFFER, DRAIN, Measured};
use super::situation::{SKEW, Situation};
use crate::run::Run;

const PICTURE: &str = "peers.svg";

pub(super) fn section(
    run: &Run,
    situations: &[Situation],
    entries: &[Entry],
    rounds: usize,
) -> Result<Section, Box<dyn Error>> {
    let mut tables = Vec::new();
    let (apart, together): (Vec<&Situation>, Vec<&Situation>) =
        situations.iter().partition(|it| it.table == SKEW);
    for situation in &together {
        tables.push(situation_table(situation, entries));
    }
    if !apart.is_empty() {
        tables.push(skew_table(&apart, entries));
    }
    let has_figures = entries.iter().any(|entry| !entry.measured.is_empty());
    let mut pictures = Vec::new();
    if has_figures {
        picture(&together, entries).write(&run.output().join(PICTURE))?;
        pictures.push(Picture {
            file: PICTURE.to_owned(),
            caption: "Lost packets by peer and by what happens to the links".to_owned(),
        });
    }
    Ok(Section {
        name: "peers".to_owned(),
        title: "Beside other tunnels".to_owned(),
        introduction: introduction(entries, rounds),
        tables,
        pictures,
        notes: notes(situations, entries),
        seconds: 0.0,
    })
}

fn introduction(entries: &[Entry], rounds: usize) -> String {
    let mut text = format!(
        "Two sites and two ISPs in network namespaces. Numbered UDP goes from a host in one site's LAN to a host in the \
         other's, one way, by each program in turn. The links take 10 and 25 ms, with 1 ms of jitter, if nothing else is \
         said; everybody gets emulators that were just started, of the same seed. Datagrams have 1 316 octets, in the table \
         `{SKEW}` 64. {rounds} round(s), the peers taking turns; counts are sums over the rounds. Programs that hold packets back may do so for {} ms. \
         Nothing is pinned: sender, receiver, emulators and both ends of the tunnel share all CPUs.\n\n",
        BUFFER.as_millis()
    );
    for entry in entries {
        let adapter = &entry.adapter;
        text.push_str(&format!("- **{}**: {}", adapter.name, adapter.what));
        if adapter.has_buffer() {
            text.push_str(&format!("; its buffer is {} ms", BUFFER.as_millis()));
        }
        text.push('\n');
    }
    text
}

fn situation_table(situation: &Situation, entries: &[Entry]) -> Table {
    let columns = vec![
        Column::new("offered packets/s", 0),
        Column::new("sent packets", 0),
        Column::new("lost packets", 0),
        Column::new("lost, %", 3),
        Column::new("delivered twice", 0),
        Column::new("out of order", 0),
        Column::new("p50, ms", 2),
        Column::new("p99, ms", 2),
        Column::new("longest gap, ms", 1),
        Column::new("CPU s per million packets", 1),
    ];
    let mut table = Table::new(situation.table, &situation.title, "peer", columns);
    for entry in entries {
        if !entry.adapter.is_in_table(situation.table) {
            continue;
        }
        let cells = match entry.measured(situation) {
            Ok(measured) => situation_cells(measured),
            Err(reason) => not_run(reason, table.columns.len()),
        };
        table.push(&entry.adapter.name, cells);
    }
    table
}

fn situation_cells(measured: &[Measured]) -> Vec<Cell> {
    let sum = |of: &dyn Fn(&FlowReport) -> u64| measured.iter().map(|it| of(&it.report)).sum();
    let count = |of: &dyn Fn(&FlowReport) -> u64| Cell::Count(sum(of));
    let gap_ms = |it: &Measured| it.report.longest_gap.as_secs_f64() * 1e3;
    vec![
        figure(measured, &|it| {
            it.report.sent as f64 / it.sending.as_secs_f64()
        }),
        count(&|it| it.sent),
        count(&FlowReport::lost),
        Cell::Value(100.0 * loss(measured)),
        count(&|it| it.delivered_twice),
        count(&|it| it.out_of_order),
        latency(measured, |it| it.latency.p50),
        latency(measured, |it| it.latency.p99),
        figure(measured, &gap_ms),
        cpu(measured),
    ]
}

/// Lost packets as a share of those sent.
fn loss(measured: &[Measured]) -> f64 {
    let lost: u64 = measured.iter().map(|it| it.report.lost()).sum();
    let sent: u64 = measured.iter().map(|it| it.report.sent).sum();
    lost as f64 / sent.max(1) as f64
}

fn cpu(measured: &[Measured]) -> Cell {
    if measured.iter().all(|it| it.cpu.is_empty()) {
        return Cell::Text("the kernel's, not counted".to_owned());
    }
    figure(measured, &|it| {
        let all: Duration = it.cpu.values().sum();
        all.as_secs_f64() * 1e6 / it.report.sent.max(1) as f64
    })
}

/// A latency, ms, of those rounds in which anything arrived; a dash when there is none.
fn latency(measured: &[Measured], of: fn(&FlowReport) -> Duration) -> Cell {
    let arrived = measured.iter().filter(|it| it.report.received > 0);
    let arrived: Vec<Measured> = arrived.cloned().collect();
    match arrived[..] {
        [] => Cell::Text("-".to_owned()),
        _ => figure(&arrived, &|it| of(&it.report).as_secs_f64() * 1e3),
    }
}

fn figure(measured: &[Measured], of: &dyn Fn(&Measured) -> f64) -> Cell {
    let values: Vec<f64> = measured.iter().map(of).collect();
    match values[..] {
        [value] => Cell::Value(value),
        _ => Cell::Figure(Figure::new(&values)),
    }
}

fn not_run(reason: &str, cells: usize) -> Vec<Cell> {
    let mut row = vec![Cell::Text(reason.to_owned())];
    row.resize(cells, Cell::Text("-".to_owned()));
    row
}

fn skew_table(situations: &[&Situation], entries: &[Entry]) -> Table {
    let mut columns = vec![
        Column::new("offered packets/s", 0),
        Column::new("sent packets, each skew", 0),
    ];
    for situation in situations {
        columns.push(Column::new(&format!("lost at {}", situation.title), 0));
    }
    columns.push(Column::new("delivered twice", 0));
    if let Some(last) = situations.last() {
        columns.push(Column::new(&format!("p99 at {}, ms", last.title), 2));
        let name = format!("CPU s per million packets at {}", last.title);
        columns.push(Column::new(&name, 1));
    }
    let title = "The second link is slower by this much, while the quicker one loses 10 %";
    let mut table = Table::new(SKEW, title, "peer", columns);
    for entry in entries {
        if !entry.adapter.is_in_table(SKEW) {
            continue;
        }
        let measured: Result<Vec<&[Measured]>, &str> =
            situations.iter().map(|it| entry.measured(it)).collect();
        let cells = match measured {
            Ok(measured) => skew_cells(&measured),
            Err(reason) => not_run(reason, table.columns.len()),
        };
        table.push(&entry.adapter.name, cells);
    }
    table
}

fn skew_cells(by_skew: &[&[Measured]]) -> Vec<Cell> {
    let all: Vec<Measured> = by_skew.concat();
    let sum = |measured: &[Measured], of: &dyn Fn(&FlowReport) -> u64| {
        Cell::Count(measured.iter().map(|it| of(&it.report)).sum())
    };
    let sent = by_skew.iter().map(|it| {
        let sent: u64 = it.iter().map(|it| it.report.sent).sum();
        sent as f64
    });
    let mut cells = vec![
        figure(&all, &|it| it.report.sent as f64 / it.sending.as_secs_f64()),
        Cell::Figure(Figure::new(&sent.collect::<Vec<_>>())),
    ];
    cells.extend(by_skew.iter().map(|it| sum(it, &FlowReport::lost)));
    cells.push(sum(&all, &|it| it.delivered_twice));
    if let Some(last) = by_skew.last() {
        cells.extend([latency(last, |it| it.latency.p99), cpu(last)]);
    }
    cells
}

/// Bars of those peers that went through all these situations.
fn picture(situations: &[&Situation], entries: &[Entry]) -> BarPlot {
    let series = entries.iter().filter_map(|entry| {
        let losses = situations.iter().map(|situation| {
            let measured = entry.measured(situation).ok()?;
            // What stands at the bar has no room for more.
            Some((1e4 * loss(measured)).round() / 100.0)
        });
        Some(Bars {
            name: entry.adapter.name.clone(),
            values: losses.collect::<Option<Vec<f64>>>()?,
            spreads: Vec::new(),
        })
    });
    BarPlot {
        title: "What of the traffic is lost".to_owned(),
        x_label: "what happens to the links, as the tables are named".to_owned(),
        y: Axis::linear("lost packets, %"),
        cases: situations.iter().map(|it| it.name.clone()).collect(),
        series: series.collect(),
        legend: Legend::UpperLeft,
    }
}

fn notes(situations: &[Situation], entries: &[Entry]) -> Vec<String> {
    let mut notes = vec![format!(
        "CPU: from the first packet until {} s after the last, the processes of both ends, all threads, system calls and the \
         interrupts they were interrupted by included, against the packets sent once each. What the kernel does for the peers \
         elsewhere, and all of plain forwarding, falls to whatever process is on the CPU then (the sender, the emulators): it is \
         not counted.",
        DRAIN.as_secs_f64()
    )];
    if situations.iter().any(|it| it.table.starts_with("loss")) {
        let text = "What both links lose nobody can deliver who does not ask for it again: 0.04 % at 2 %, 0.25 % at 5 %.";
        notes.push(text.to_owned());
    }
    for entry in entries {
        notes.extend(programs_note(situations, entry));
        notes.extend(drops_note(situations, entry));
        notes.extend(harness_note(situations, entry));
    }
    notes
}

/// Which program of a peer used what, where it was measured with the most octets.
fn programs_note(situations: &[Situation], entry: &Entry) -> Option<String> {
    let load = |it: &&Situation| u64::from(it.packets_per_s) * it.payload_octets as u64;
    let situation = situations.iter().max_by_key(load)?;
    let measured = entry.measured(situation).ok()?;
    let mut used = super::cpu::Used::new();
    for (name, time) in measured.iter().flat_map(|it| &it.cpu) {
        *used.entry(name.clone()).or_default() += *time;
    }
    if used.len() < 2 {
        return None;
    }
    let sent: u64 = measured.iter().map(|it| it.report.sent).sum();
    let parts = used.iter().map(|(name, time)| {
        let per_million = time.as_secs_f64() * 1e6 / sent.max(1) as f64;
        format!("`{name}` {per_million:.1}")
    });
    Some(format!(
        "CPU s per million packets of {} in `{}`, by program: {}.",
        entry.adapter.name,
        situation.name,
        parts.collect::<Vec<_>>().join(", ")
    ))
}

/// What makes a figure worthless.
fn harness_note(situations: &[Situation], entry: &Entry) -> Option<String> {
    let faults = counts(situations, entry, &|it| it.harness_losses)?;
    let name = &entry.adapter.name;
    Some(format!(
        "Frames of {name} that the emulators or the receiver had no room for, so that its losses are not all its own: {faults}."
    ))
}

/// What explains losses on links that lose nothing.
fn drops_note(situations: &[Situation], entry: &Entry) -> Option<String> {
    let drops = counts(situations, entry, &|it| it.own_drops)?;
    let name = &entry.adapter.name;
    Some(format!(
        "Packets, and copies, that found a socket or an interface of {name} full, since its programs got no CPU in time: {drops}."
    ))
}

/// In which situations there were how many, when there were any.
fn counts(
    situations: &[Situation],
    entry: &Entry,
    of: &dyn Fn(&Measured) -> u64,
) -> Option<String> {
    let counts = situations.iter().filter_map(|situation| {
        let measured = entry.measured(situation).ok()?;
        let count: u64 = measured.iter().map(of).sum();
        (count > 0).then(|| format!("{count} in `{}`", situation.name))
    });
    let counts: Vec<String> = counts.collect();
    (!counts.is_empty()).then(|| counts.join(", "))
}

impl Entry {
    /// What was measured in a situation, or why nothing was.
    fn measured(&self, situation: &Situation) -> Result<&[Measured], &str> {
        match (&self.not_run, self.measured.get(&situation.name)) {
            (_, Some(measured)) => Ok(measured),
            (Some(reason), None) => Err(reason),
            (None, None) if self.adapter.links == Links::One => Err("uses link 1 alone"),
            (None, None) => Err("not run"),
        }
    }
}
