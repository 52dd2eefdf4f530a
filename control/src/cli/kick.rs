//! `kick`: ends tunnels or sessions by name.

use std::process::ExitCode;

use clap::Args;

use super::ask::ApplianceArguments;
use super::document::{self, Kick};
use super::{complain, plural, say};
use crate::management::socket::{self, ClientError};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    appliance: ApplianceArguments,
    /// Name of an `outgoing` or `incoming`, or the `graph` of a session.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// A name that the appliance refuses does not keep the others from being ended.
pub(super) fn kick(arguments: &Arguments) -> ExitCode {
    let mut done = Vec::new();
    let asked = arguments.appliance.asked(|path| {
        for name in &arguments.names {
            let kick = match socket::kick(path, name) {
                Ok(kicked) => Kick::Ended(kicked),
                Err(ClientError::Refused(error)) => Kick::refused(name, error),
                Err(error) => return Err(error),
            };
            if !arguments.json {
                tell(&kick);
            }
            done.push(kick);
        }
        Ok(())
    });
    if arguments.json {
        document::print(&done);
    }
    if done.iter().any(|kick| matches!(kick, Kick::Refused { .. })) {
        return ExitCode::FAILURE;
    }
    asked
}

fn tell(kick: &Kick) {
    match kick {
        Kick::Ended(kicked) => say(&format!(
            "{}: {}, {}\n",
            kicked.name,
            plural(kicked.tunnels, "tunnel"),
            plural(kicked.sessions, "session"),
        )),
        Kick::Refused { name, error } => complain(&format!("{name}: {error}")),
    }
}
