//! `graph`: what a link or a set did, as a picture or a table.

use std::io::{IsTerminal as _, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use ratatui::crossterm::terminal;

use super::ask::ApplianceArguments;
use super::{complain, document, say};
use crate::management::drawing::{self, Form};
use crate::management::history::{Part, unix_time_s};
use crate::management::socket::{self, ClientError};
use crate::management::span;

/// Where the width of the terminal is not known.
const USUAL_COLUMNS: usize = 100;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    appliance: ApplianceArguments,
    /// The `graph` of a link, or set/NAME/REMOTE; without it, the names that there are.
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The time up to now: 10m, 1h, 28h, 7d, 365d.
    #[arg(long, value_name = "TIME", default_value = "1h")]
    last: String,
    /// A day of UTC instead, as 2026-11-27.
    #[arg(long, value_name = "DAY", conflicts_with = "last")]
    day: Option<String>,
    /// Write it to a file, as its ending says: .svg, .png, .csv or .json.
    #[arg(short, long, value_name = "FILE", requires = "name")]
    output: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, conflicts_with = "output")]
    json: bool,
}

pub(super) fn graph(arguments: &Arguments, colours: bool) -> ExitCode {
    let Some(name) = &arguments.name else {
        return names(arguments);
    };
    let now_s = unix_time_s();
    let range_s = match &arguments.day {
        Some(day) => span::day(day, now_s),
        None => span::last(&arguments.last, now_s),
    };
    let form = arguments.output.as_deref().map(form_of).transpose();
    let (range_s, form) = match range_s.and_then(|range_s| Ok((range_s, form?))) {
        Ok(wanted) => wanted,
        Err(text) => {
            complain(&text);
            return ExitCode::FAILURE;
        }
    };
    arguments.appliance.asked(|path| {
        let part = part(path, name, &range_s).map_err(|error| error.to_string())?;
        let graph = drawing::graph(name, &range_s, &part);
        match (&arguments.output, form) {
            (Some(file), Some(form)) => {
                let written = std::fs::write(file, drawing::drawn(&graph, form));
                written.map_err(|error| format!("{}: {error}", file.display()))?;
            }
            _ if arguments.json => say(&format!("{}\n", graph::json(&graph))),
            _ => say(&graph::text(&graph, columns(), colours)),
        }
        Ok::<_, String>(())
    })
}

fn names(arguments: &Arguments) -> ExitCode {
    arguments.appliance.asked(|path| {
        let graphs = socket::graphs(path)?;
        if arguments.json {
            document::print(&graphs);
        } else {
            let mut output = std::io::stdout().lock();
            for name in graphs.graphs {
                // A reader that has gone away is no error.
                let _ = writeln!(output, "{name}");
            }
        }
        Ok::<_, ClientError>(())
    })
}

fn part(path: &Path, name: &str, range_s: &Range<u64>) -> Result<Part, ClientError> {
    let answer = socket::graph(path, name, range_s.clone())?;
    let rows = answer.rows.iter();
    Ok(Part {
        step_s: u32::try_from(answer.step_s).unwrap_or(u32::MAX),
        rows: rows.map(|row| (row.at_unix_s, row.sample())).collect(),
    })
}

fn form_of(file: &Path) -> Result<Form, String> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let form = Form::of_file(&name).map(|(_, form)| form);
    form.ok_or_else(|| {
        let endings = Form::ENDINGS.map(|(ending, _)| format!(".{ending}"));
        format!(
            "{}: what is it to be? End its name in one of {}",
            file.display(),
            endings.join(", ")
        )
    })
}

fn columns() -> usize {
    let size = std::io::stdout().is_terminal().then(terminal::size);
    size.and_then(Result::ok)
        .map_or(USUAL_COLUMNS, |(columns, _)| usize::from(columns))
}
