//! `drops`: what was dropped, and why.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::ask::ApplianceArguments;
use super::{document, say};
use crate::config::parse_duration;
use crate::management::drops;
use crate::management::socket::ClientError;

/// The longest time between two looks.
const MAX_LOOK: Duration = Duration::from_secs(1000);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    appliance: ApplianceArguments,
    /// How long to look for what is dropped each second, as 10s or 500ms.
    #[arg(long = "for", value_name = "TIME", default_value = "1s", value_parser = look)]
    between: Duration,
    /// Show the reasons that have not been met, too.
    #[arg(long)]
    all: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

fn look(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .filter(|it| (Duration::from_millis(1)..=MAX_LOOK).contains(it))
        .ok_or_else(|| "write a time with its unit, from 1ms to 1000s, as 10s".to_owned())
}

pub(super) fn drops(arguments: &Arguments, colours: bool) -> ExitCode {
    arguments.appliance.asked(|path| {
        let dropped = drops::look(path, arguments.between, arguments.all)?;
        if arguments.json {
            document::print(&dropped);
        } else {
            say(&dropped.text(colours));
        }
        Ok::<_, ClientError>(())
    })
}
