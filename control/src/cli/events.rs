//! `events`: what happened to links and sets.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::ask::ApplianceArguments;
use crate::management::events::{self, EventsWanted};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    appliance: ApplianceArguments,
    /// Print each event as a JSON document in a line.
    #[arg(long)]
    json: bool,
    /// The newest events, so many.
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 50)]
    most: usize,
    /// Only those of this link (its `graph`).
    #[arg(long, value_name = "NAME")]
    link: Option<String>,
    /// Only those of this set and its links.
    #[arg(long, value_name = "NAME")]
    set: Option<String>,
    /// Go on as things happen.
    #[arg(short, long)]
    follow: bool,
}

pub(super) fn events(arguments: &Arguments) -> ExitCode {
    let wanted = EventsWanted {
        most: arguments.most,
        after: 0,
        link: arguments.link.clone(),
        set: arguments.set.clone(),
    };
    arguments.appliance.asked(|path| {
        events::show(path, wanted, arguments.follow, |event| {
            let line = if arguments.json {
                serde_json::to_string(event)?
            } else {
                events::line(event)
            };
            writeln!(std::io::stdout(), "{line}")
        })
    })
}
