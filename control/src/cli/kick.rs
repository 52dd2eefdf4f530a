//! `kick`: ends tunnels or sessions by name.

use std::process::ExitCode;

use clap::Args;

use super::ask::ApplianceArguments;
use super::plural;
use crate::management::socket;

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

pub(super) fn kick(arguments: &Arguments) -> ExitCode {
    let Arguments {
        appliance,
        names,
        json,
    } = arguments;
    appliance.asked_of_each(names, *json, socket::kick, |kicked| {
        format!(
            "{}: {}, {}\n",
            kicked.name,
            plural(kicked.tunnels, "tunnel"),
            plural(kicked.sessions, "session"),
        )
    })
}
