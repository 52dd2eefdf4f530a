//! `check`: what is wrong with configuration files.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::document::{self, Checked};
use super::{plural, say};
use crate::config::{self, Problem, Severity};

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

pub(super) fn count(problems: &[Problem], severity: Severity) -> usize {
    let severities = problems.iter().map(|problem| problem.severity);
    severities.filter(|it| *it == severity).count()
}

/// All problems and a last line that counts them.
pub(super) fn report(problems: &[Problem]) -> String {
    let count = |severity| count(problems, severity);
    let mut lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.push(match (count(Severity::Error), count(Severity::Warning)) {
        (0, 0) => "ok".to_owned(),
        (0, warnings) => format!("ok, with {}", plural(warnings, "warning")),
        (errors, 0) => plural(errors, "error"),
        (errors, warnings) => format!(
            "{}, {}",
            plural(errors, "error"),
            plural(warnings, "warning")
        ),
    });
    lines.join("\n")
}
