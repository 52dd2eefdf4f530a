//! What a link that stands still, wanders or takes nothing more costs the others: latency of the set over time.
//!
//! Three links of 20, 40 and 60 ms. Each case runs as often, in turns, so that the runs in which nothing happens show how much
//! they differ by themselves.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use benches::emulator::Direction;
use benches::figure::Figure;
use benches::lab::{Lab, LabConfig, Site};
use benches::plot::{Axis, Legend, LinePlot, Series, Span};
use benches::traffic::{Flow, FlowConfig, FlowReport};
use clap::Args;

use crate::setting;

#[derive(Args)]
pub(crate) struct Arguments {
    /// How often each case is run
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Packets of 200 octets a second, each way
    #[arg(long, default_value_t = 2000)]
    packets_per_s: u32,
}

const SET_UP_LIMIT: Duration = Duration::from_secs(20);
const DRAIN: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(50);
/// A disturbance lasts so long, and comes as often in a run. It is shorter than `lcp-timeout`: the link stays in its set.
const PHASE: Duration = Duration::from_secs(3);
const DISTURBANCES: usize = 2;

/// What happens to which link.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Nothing,
    /// The second link's ISP takes frames and delivers none until it is over.
    SlowerStands,
    /// The second link's interface takes no frames any more: its TX ring fills.
    SlowerTakesNothing,
    /// The second link's delay goes up and down.
    SlowerWanders,
    /// The first link's ISP takes frames and delivers none until it is over.
    FastestStands,
}

impl Case {
    const ALL: [Self; 5] = [
        Self::Nothing,
        Self::SlowerStands,
        Self::SlowerTakesNothing,
        Self::SlowerWanders,
        Self::FastestStands,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing happens",
            Self::SlowerStands => "the 40 ms link stands still",
            Self::SlowerTakesNothing => "the 40 ms link's interface takes nothing",
            Self::SlowerWanders => "the 40 ms link wanders from 40 to 440 ms",
            Self::FastestStands => "the 20 ms link stands still",
        }
    }

    fn set(self, lab: &mut Lab, is_on: bool) -> io::Result<()> {
        let stall = if is_on { "stall=on" } else { "stall=off" };
        let wandering = if is_on {
            "delay=240ms jitter=200ms"
        } else {
            "delay=40ms jitter=0ms"
        };
        match self {
            Self::Nothing => Ok(()),
            Self::SlowerStands => lab.change_link(2, Direction::Both, stall),
            Self::SlowerTakesNothing => Site::BOTH
                .into_iter()
                .try_for_each(|site| lab.set_transmit_blocked(2, site, is_on)),
            Self::SlowerWanders => lab.change_link(2, Direction::Both, wandering),
            Self::FastestStands => lab.change_link(1, Direction::Both, stall),
        }
    }
}

/// One run of a case, from the head to the remote and back.
struct Run {
    case: Case,
    reports: [FlowReport; 2],
    disturbed: Vec<Range<Duration>>,
}

pub(crate) fn run(arguments: &Arguments, output: &Path) -> Result<(), Box<dyn Error>> {
    let links = ["delay=20ms", "delay=40ms", "delay=60ms"].map(str::parse);
    let mut lab = Lab::build(LabConfig {
        links: links.into_iter().collect::<Result<_, _>>()?,
        ..LabConfig::demo()?
    })?;
    for site in Site::BOTH {
        lab.start(site)?;
    }
    lab.wait_until_set_up(SET_UP_LIMIT)?;
    let mut runs = Vec::new();
    for round in 1..=arguments.rounds {
        for case in Case::ALL {
            eprintln!("round {round} of {}: {}", arguments.rounds, case.name());
            runs.push(measure(&mut lab, case, arguments.packets_per_s)?);
        }
    }
    let command = format!(
        "scripts/experiment stalled-link --rounds {} --packets-per-s {}",
        arguments.rounds, arguments.packets_per_s
    );
    let mut text = table(&runs, arguments);
    text += &setting::text(&lab.config().programs.hal2tp, &command);
    std::fs::write(output.join("stalled-link.md"), text)?;
    plot(&runs).write(&output.join("stalled-link.svg"))?;
    Ok(())
}

fn measure(lab: &mut Lab, case: Case, packets_per_s: u32) -> io::Result<Run> {
    lab.wait_until_set_up(SET_UP_LIMIT)?;
    let [head, remote] = Site::BOTH.map(|site| lab.host(site));
    let start = |from, to| {
        Flow::start(FlowConfig {
            timeline_step: STEP,
            ..FlowConfig::new(from, to, 5000, packets_per_s)
        })
    };
    let flows = [start(head, remote)?, start(remote, head)?];
    let started = Instant::now();
    let mut disturbed = Vec::new();
    for _ in 0..DISTURBANCES {
        std::thread::sleep(PHASE);
        let from = started.elapsed();
        case.set(lab, true)?;
        std::thread::sleep(PHASE);
        case.set(lab, false)?;
        disturbed.push(from..started.elapsed());
    }
    std::thread::sleep(PHASE);
    flows.iter().for_each(Flow::stop_sending);
    let [out, back] = flows.map(|flow| flow.stop(DRAIN));
    Ok(Run {
        case,
        reports: [out?, back?],
        disturbed,
    })
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Of all runs of a case, ms.
fn measured_in(runs: &[Run], case: Case, measured: Measured) -> Figure {
    let of_case = runs.iter().filter(|run| run.case == case);
    let reports = of_case.flat_map(|run| &run.reports);
    let values: Vec<f64> = reports.map(|report| ms(measured(report))).collect();
    Figure::new(&values)
}

type Measured = fn(&FlowReport) -> Duration;

const FIGURES: [(&str, Measured); 4] = [
    ("p50", |report| report.latency.p50),
    ("p99", |report| report.latency.p99),
    ("p99.9", |report| report.latency.p999),
    ("longest", |report| report.latency.most),
];

/// Whether what happens to a slower link shows in any figure.
fn verdict(runs: &[Run]) -> String {
    let slower = [
        Case::SlowerStands,
        Case::SlowerTakesNothing,
        Case::SlowerWanders,
    ];
    let mut above = Vec::new();
    for case in slower {
        for (name, figure) in FIGURES {
            let median = measured_in(runs, case, figure).median;
            if median > measured_in(runs, Case::Nothing, figure).most {
                above.push(format!("{name} while {}", case.name()));
            }
        }
    }
    if above.is_empty() {
        "Whatever happens to the 40 ms link, no median of a latency is above the spread of the runs in which nothing happens."
            .to_owned()
    } else {
        format!(
            "Above the spread of the runs in which nothing happens: {}.",
            above.join("; ")
        )
    }
}

fn table(runs: &[Run], arguments: &Arguments) -> String {
    let mut text = format!(
        "# A link that stands still\n\n\
         Three links of 20, 40 and 60 ms in one set; {} packets a second of 200 octets, each way. Twice in each run something \
         happens to one link for {} s. Latency from host to host in ms: median of {} runs each way (least-most of them).\n\n\
         | case | packets | lost | twice | p50 | p99 | p99.9 | longest |\n\
         |---|---|---|---|---|---|---|---|\n",
        arguments.packets_per_s,
        PHASE.as_secs(),
        arguments.rounds,
    );
    for case in Case::ALL {
        let of_case: Vec<&Run> = runs.iter().filter(|run| run.case == case).collect();
        let total = |of: fn(&FlowReport) -> u64| -> u64 {
            of_case.iter().flat_map(|run| &run.reports).map(of).sum()
        };
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            case.name(),
            total(|report| report.sent),
            total(FlowReport::lost),
            total(|report| report.delivered_twice),
            FIGURES
                .map(|(_, figure)| measured_in(runs, case, figure).text())
                .join(" | "),
        );
    }
    let _ = writeln!(text, "\n{}\n", verdict(runs));
    text += "![Latency over time](stalled-link.svg)\n\n";
    text
}

/// The last round, from head to remote: the longest latency of every step.
fn plot(runs: &[Run]) -> LinePlot {
    let last = |case| runs.iter().rev().find(|run| run.case == case);
    let shown = [Case::Nothing, Case::SlowerStands, Case::FastestStands];
    let series = shown.into_iter().filter_map(last).map(|run| {
        let steps = run.reports[0].timeline.steps();
        let points = steps
            .filter(|(_, step)| step.packets > 0)
            .map(|(at, step)| (at.as_secs_f64(), ms(step.longest_latency)));
        Series {
            name: run.case.name().to_owned(),
            points: points.collect(),
        }
    });
    let spans = last(Case::SlowerStands).map(|run| run.disturbed.as_slice());
    let spans = spans.unwrap_or_default().iter().map(|range| Span {
        name: "while it stands still".to_owned(),
        range: range.start.as_secs_f64()..range.end.as_secs_f64(),
    });
    LinePlot {
        title: "Latency of a set over links of 20, 40 and 60 ms".to_owned(),
        x: Axis::linear("time, s"),
        y: Axis::linear(&format!(
            "longest latency of each {} ms, ms",
            STEP.as_millis()
        ))
        .over(0.0..70.0),
        spans: spans.collect(),
        series: series.collect(),
        legend: Legend::UpperRight,
    }
}
