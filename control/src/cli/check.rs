//! `check`: what is wrong with configuration files.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::document::{self, Checked};
use super::say;
use crate::config::{self, Severity, count, report};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) fn check(arguments: &Arguments) -> ExitCode {
    let problems = config::check_files(&arguments.files);
    if arguments.json {
        document::print(&Checked::new(&problems));
    } else {
        say(&format!("{}\n", report(&problems)));
    }
    if count(&problems, Severity::Error) > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
