//! `reload`: has the configuration read again.

use std::process::ExitCode;

use clap::Args;

use super::ask::ApplianceArguments;
use super::{complain, document, say};
use crate::management::socket::{self, ClientError};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    appliance: ApplianceArguments,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) fn reload(arguments: &Arguments) -> ExitCode {
    let path = match arguments.appliance.socket_path() {
        Ok(path) => path,
        Err(text) => {
            complain(&text);
            return ExitCode::FAILURE;
        }
    };
    match socket::reload(&path, arguments.dry_run) {
        Ok(reloaded) if arguments.json => document::print(&reloaded),
        Ok(reloaded) => {
            for warning in &reloaded.warnings {
                complain(warning);
            }
            if reloaded.dry_run && !reloaded.unchanged {
                say("nothing was done; it would be:\n");
            }
            say(&format!("{}\n", reloaded.lines().join("\n")));
        }
        Err(error) => {
            // As `check` says it: the file is at fault, not the appliance.
            let text = match error {
                ClientError::Refused(text) => text,
                other => other.to_string(),
            };
            complain(&text);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
