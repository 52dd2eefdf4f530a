//! Experiments: what the appliances do to traffic, as a table and a plot each.
//!
//! An experiment builds a laboratory, measures, and writes NAME.md and its pictures into a folder; the committed ones
//! are in `benches/experiments`. Needs root, and a machine that does nothing else.

#![forbid(unsafe_code)]

mod ordering;
mod setting;
mod stalled_link;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs one experiment and writes its table and plots.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Folder for the results
    #[arg(long, default_value_os_t = results())]
    output: PathBuf,
    #[command(subcommand)]
    experiment: Experiment,
}

#[derive(Subcommand)]
enum Experiment {
    /// What a link that stands still costs the others
    StalledLink(stalled_link::Arguments),
    /// What `ordering` does to TCP when the quick link loses packets
    Ordering(ordering::Arguments),
}

fn results() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments")
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match carry_out(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(&arguments.output)?;
    match &arguments.experiment {
        Experiment::StalledLink(of) => stalled_link::run(of, &arguments.output),
        Experiment::Ordering(of) => ordering::run(of, &arguments.output),
    }
}
