//! Latency of a set against its links' own, while they jitter and stand still by turns.

use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use benches::emulator::Direction;
use benches::lab::Site;
use benches::plot::{Axis, Legend, LinePlot, PlotError, Series};
use benches::report::{Cell, Column, Picture, Table};
use benches::traffic::{Flow, FlowReport};

use super::bed::{self, Bed};
use super::figures;
use super::sites::{self, Tunnel};
use crate::run::{Effort, Run};

const LINKS: [&str; sites::LINKS] = [
    "delay=20ms jitter=10ms",
    "delay=22ms jitter=10ms",
    "delay=25ms jitter=10ms",
];
const FIRST_PORT: u16 = 5100;

/// What the links do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    /// Their delay wanders.
    Jitter,
    /// And each stands still by turns.
    Stalls,
}

impl Condition {
    const ALL: [Self; 2] = [Self::Jitter, Self::Stalls];

    fn name(self) -> &'static str {
        match self {
            Self::Jitter => "jitter",
            Self::Stalls => "jitter and stalls",
        }
    }

    fn carry_out(self, bed: &mut Bed, effort: Effort) -> io::Result<()> {
        let calm = Duration::from_millis(effort.pick(500, 1000, 3000));
        match self {
            Self::Jitter => thread::sleep(calm),
            Self::Stalls => {
                for (index, stall_ms) in stalls(effort).iter().enumerate() {
                    let link = index % LINKS.len() + 1;
                    thread::sleep(BETWEEN_STALLS);
                    bed.lab.change_link(link, Direction::Both, "stall=on")?;
                    thread::sleep(Duration::from_millis(*stall_ms));
                    bed.lab.change_link(link, Direction::Both, "stall=off")?;
                }
                thread::sleep(BETWEEN_STALLS);
            }
        }
        Ok(())
    }
}

const BETWEEN_STALLS: Duration = Duration::from_millis(100);

/// Of the links in turn, ms.
fn stalls(effort: Effort) -> &'static [u64] {
    match effort {
        Effort::Smoke => &[200, 200, 200],
        Effort::Quick | Effort::Full => &[200, 500, 1000, 500, 1000, 200],
    }
}

/// One run under one condition.
pub(super) struct Outcome {
    condition: Condition,
    /// The set's, then each link's; of each what the head sent and what the remote sent.
    reports: Vec<[FlowReport; 2]>,
}

impl Outcome {
    /// Every account of every flow.
    pub(super) fn all_reports(&self) -> impl Iterator<Item = &FlowReport> {
        self.reports.iter().flatten()
    }
}

pub(super) fn measure(run: &Run, bed: &mut Bed, rounds: u32) -> io::Result<Vec<Outcome>> {
    bed.set_links(&LINKS)?;
    let mut outcomes = Vec::new();
    for round in 1..=rounds {
        for condition in Condition::ALL {
            let text = format!("round {round} of {rounds}: {}", condition.name());
            run.say(super::NAME, &text);
            let flows = start_flows(bed)?;
            condition.carry_out(bed, run.effort)?;
            let reports = bed::stop(flows)?;
            let pairs = reports.chunks_exact(2);
            outcomes.push(Outcome {
                condition,
                reports: pairs
                    .map(|pair| [pair[0].clone(), pair[1].clone()])
                    .collect(),
            });
        }
    }
    Ok(outcomes)
}

fn start_flows(bed: &Bed) -> io::Result<Vec<Flow>> {
    let mut flows = Vec::new();
    let links = (1..=LINKS.len()).map(Tunnel::Plain);
    let tunnels = std::iter::once(Tunnel::Three).chain(links);
    for (port, tunnel) in (FIRST_PORT..).zip(tunnels) {
        for from in Site::BOTH {
            flows.push(Flow::start(bed.flow(from, tunnel, port))?);
        }
    }
    Ok(flows)
}

/// Of the set, and of each link.
fn names() -> Vec<String> {
    let links = (1..).zip(LINKS).map(|(number, words)| {
        let delay = words.split_whitespace().next().unwrap_or_default();
        let delay = delay.trim_start_matches("delay=").trim_end_matches("ms");
        format!("link {number}, {delay} ms")
    });
    std::iter::once("set".to_owned()).chain(links).collect()
}

type Measured = fn(&FlowReport) -> Duration;

const FIGURES: [(&str, Measured); 4] = [
    ("p50", |report| report.latency.p50),
    ("p99", |report| report.latency.p99),
    ("p99.9", |report| report.latency.p999),
    ("max", |report| report.latency.most),
];

pub(super) fn table(outcomes: &[Outcome]) -> Table {
    let mut columns = vec![
        Column::new("sent packets, all rounds", 0),
        Column::new("lost packets, all rounds", 0),
    ];
    columns.extend(FIGURES.map(|(name, _)| Column::new(&format!("{name}, ms"), 1)));
    columns.extend(FIGURES.map(|(name, _)| Column::ratio(&format!("{name} to the best link's"))));
    let mut table = Table::new(
        "fastest-wins",
        "Latency of the set and of a plain session over each of its links, at the same time",
        "what the links do, and what carries",
        columns,
    );
    for condition in Condition::ALL {
        for (index, name) in names().iter().enumerate() {
            let cells = cells(outcomes, condition, index);
            table.push(&format!("{}, {name}", condition.name()), cells);
        }
    }
    table
}

fn cells(outcomes: &[Outcome], condition: Condition, index: usize) -> Vec<Cell> {
    let runs = || outcomes.iter().filter(|of| of.condition == condition);
    let reports = || runs().flat_map(|run| &run.reports[index]);
    let mut cells = vec![
        Cell::Count(reports().map(|report| report.sent).sum()),
        Cell::Count(reports().map(FlowReport::lost).sum()),
    ];
    cells.extend(FIGURES.map(|(_, measured)| {
        let values = reports().filter_map(|report| latency_ms(report, measured));
        figures::measured(&values.collect::<Vec<_>>())
    }));
    cells.extend(FIGURES.map(|(_, measured)| {
        let ratios =
            runs().flat_map(|run| [0, 1].map(|way| to_the_best(run, index, way, measured)));
        figures::measured(&ratios.flatten().collect::<Vec<_>>())
    }));
    cells
}

/// A figure as a multiple of the same of the link that has the least of it, in the same run and direction.
fn to_the_best(run: &Outcome, index: usize, way: usize, measured: Measured) -> Option<f64> {
    let of = |reports: &[FlowReport; 2]| latency_ms(&reports[way], measured);
    let best = run.reports[1..].iter().filter_map(of).reduce(f64::min)?;
    Some(of(&run.reports[index])? / best)
}

/// `None` when nothing arrived.
fn latency_ms(report: &FlowReport, measured: Measured) -> Option<f64> {
    (report.received > 0).then(|| measured(report).as_secs_f64() * 1e3)
}

pub(super) fn notes(effort: Effort) -> Vec<String> {
    let stalls: Vec<String> = stalls(effort).iter().map(u64::to_string).collect();
    let links: Vec<String> = LINKS.iter().map(|words| format!("`{words}`")).collect();
    vec![format!(
        "`fastest-wins`: links of {}, each way; the delay wanders within the jitter and keeps the order of packets. Stalls, of \
         the links in turn, one at a time, with {} ms between them: {} ms. Packets sent and lost are those of all rounds and \
         both directions; the other figures are taken in each round and direction, as median (least-most). The best link is the \
         one with the least of that figure, in the same round and direction. Latencies are those of the packets that arrived. \
         Percentiles are known to 1 %.",
        links.join(", "),
        BETWEEN_STALLS.as_millis(),
        stalls.join(", ")
    )]
}

pub(super) fn pictures(outcomes: &[Outcome], folder: &Path) -> Result<Vec<Picture>, PlotError> {
    let mut pictures = Vec::new();
    for (condition, file, x) in [
        (
            Condition::Jitter,
            "resilience-fastest-jitter.svg",
            Axis::linear("latency, ms"),
        ),
        (
            Condition::Stalls,
            "resilience-fastest-stalls.svg",
            Axis::logarithmic("latency, ms"),
        ),
    ] {
        let last = outcomes.iter().rev().find(|of| of.condition == condition);
        let Some(outcome) = last else { continue };
        plot(outcome, x).write(&folder.join(file))?;
        pictures.push(Picture {
            file: file.to_owned(),
            caption: format!(
                "The share of packets that took no longer, from the head to the remote (last round): {}.",
                condition.name()
            ),
        });
    }
    Ok(pictures)
}

fn plot(outcome: &Outcome, x: Axis) -> LinePlot {
    let series = names()
        .into_iter()
        .zip(&outcome.reports)
        .map(|(name, [out, _])| {
            let points = out.latencies.cumulative().into_iter();
            Series {
                name,
                points: points
                    .map(|(ns, share)| (ns as f64 / 1e6, share * 100.0))
                    .collect(),
            }
        });
    LinePlot {
        title: format!("A set and its links: {}", outcome.condition.name()),
        x,
        y: Axis::linear("packets that took no longer, %").over(0.0..105.0),
        series: series.collect(),
        spans: Vec::new(),
        legend: Legend::LowerRight,
    }
}
