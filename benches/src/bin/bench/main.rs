//! Measures everything that hal2tp is held to, section by section, and writes a report: tables, JSON and pictures.
//!
//! Each section is a module with one function `measure`. A section starts its own appliances, testpmds, namespaces and
//! emulators, and leaves none of them behind. Needs root, and a machine that does nothing else.

#![forbid(unsafe_code)]

mod again;
mod bed;
mod cycles;
mod duplicate;
mod headline;
mod latency;
mod peers;
mod resilience;
mod run;
mod scale;
mod throughput;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use benches::machine::{self, Machine};
use benches::report::{Report, Section};
use clap::{Parser, Subcommand};

use run::{Effort, Run};

type Measure = fn(&Run) -> Result<Section, Box<dyn Error>>;

/// Every section by its name, in the order of the report.
const SECTIONS: &[(&str, Measure)] = &[
    ("throughput", throughput::measure),
    ("cycles", cycles::measure),
    ("latency", latency::measure),
    (resilience::NAME, resilience::measure),
    ("peers", peers::measure),
    (scale::NAME, scale::measure),
];

/// Measures hal2tp beside DPDK's testpmd and other programs, and writes a report.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Folder for report.md, report.json and the pictures
    #[arg(long, default_value = "target/bench-report")]
    output: PathBuf,
    /// Put the report into benches/report below the current directory, and its headline into README.md
    #[arg(long, conflicts_with_all = ["output", "quick", "only"])]
    write: bool,
    /// Fewer points and rounds, in 3 minutes on two cores
    #[arg(long)]
    quick: bool,
    /// One point of everything, to see that it works; the figures are no good
    #[arg(long, hide = true, conflicts_with = "quick")]
    smoke: bool,
    /// Compare the ratios with those of an earlier run's report.json, in a section of its own
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Only these sections
    #[arg(long, value_delimiter = ',', value_name = "SECTION")]
    only: Vec<String>,
    /// Folder of adapters for the section `peers`; without it, benches/peers
    #[arg(long, value_name = "FOLDER")]
    peers: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What runs in a process of its own: the program starts itself so.
#[derive(Subcommand)]
enum Part {
    #[command(hide = true)]
    Duplicate(duplicate::Arguments),
    /// DPDK's EAL is started once in a process.
    #[command(hide = true)]
    LatencyTester(latency::TesterArguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match &arguments.part {
        Some(Part::Duplicate(arguments)) => duplicate::run(arguments).map_err(Into::into),
        Some(Part::LatencyTester(arguments)) => latency::serve(arguments),
        None => carry_out(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let unknown = |name: &&String| SECTIONS.iter().all(|(known, _)| known != name);
    if let Some(name) = arguments.only.iter().find(unknown) {
        let known: Vec<&str> = SECTIONS.iter().map(|(name, _)| *name).collect();
        return Err(format!("no section {name:?}; there are: {}", known.join(", ")).into());
    }
    let earlier = arguments.against.as_deref().map(Report::read).transpose()?;
    let output = if arguments.write {
        PathBuf::from(headline::FOLDER)
    } else {
        arguments.output.clone()
    };
    std::fs::create_dir_all(&output)?;
    let effort = match (arguments.smoke, arguments.quick) {
        (true, _) => Effort::Smoke,
        (_, true) => Effort::Quick,
        _ => Effort::Full,
    };
    let run = Run::new(effort, output.clone(), arguments.peers.clone())?;
    // Now, for it may be changed while this runs.
    let mut report = Report {
        command: command(),
        effort: effort.name().to_owned(),
        machine: Machine::read(&machine::commit(Path::new("."))),
        sections: Vec::new(),
    };
    let measured = measure_all(&run, &arguments.only, &mut report.sections);
    if let Err(problem) = &measured {
        eprintln!("{problem}; the report has what was measured before");
    }
    if let Some(earlier) = earlier {
        let section = again::section(&earlier, &report);
        report.sections.push(section);
    }
    report.write(&output)?;
    println!("{}", output.join("report.md").display());
    measured?;
    if arguments.write {
        headline::write(Path::new("."), &report)?;
    }
    Ok(())
}

/// The sections, or those of them that are wanted. An error ends it and leaves what was measured before.
fn measure_all(
    run: &Run,
    only: &[String],
    sections: &mut Vec<Section>,
) -> Result<(), Box<dyn Error>> {
    for (name, measure) in SECTIONS {
        if !only.is_empty() && !only.iter().any(|only| only == name) {
            continue;
        }
        run.say(name, "begins");
        let start = Instant::now();
        let mut section = measure(run).map_err(|problem| format!("{name}: {problem}"))?;
        section.seconds = start.elapsed().as_secs_f64();
        run.say(name, &format!("took {:.0} s", section.seconds));
        sections.push(section);
    }
    Ok(())
}

/// As a user types it.
fn command() -> String {
    let arguments = std::env::args().skip(1);
    std::iter::once("sudo scripts/bench".to_owned())
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}
