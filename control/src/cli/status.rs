//! `status`, `tunnels` and `sessions`: what an appliance does.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::ask::ApplianceArguments;
use super::{document, say};
use crate::management::request::Question;
use crate::management::screen;
use crate::management::socket::{self, ClientError};
use crate::management::status::Status;
use crate::management::watch;

#[derive(Debug, Args)]
pub(super) struct ViewArguments {
    #[command(flatten)]
    appliance: ApplianceArguments,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct StatusArguments {
    #[command(flatten)]
    view: ViewArguments,
    /// Show it again every second: on a terminal the whole screen, `?` there tells its keys; with --json a document in each line.
    #[arg(long)]
    watch: bool,
}

pub(super) fn status(arguments: &StatusArguments, colours: bool) -> ExitCode {
    let appliance = &arguments.view.appliance;
    match (arguments.view.json, arguments.watch) {
        (true, true) => appliance.asked(watch::documents),
        (true, false) => appliance.asked(|path| {
            say(&format!("{}\n", socket::request(path, &Question::Status)?));
            Ok::<_, ClientError>(())
        }),
        (false, true) if std::io::stdout().is_terminal() => {
            appliance.asked(|path| screen::show(path, colours))
        }
        (false, true) => appliance.asked(|path| watch::watch(path, colours)),
        (false, false) => appliance.asked(|path| {
            say(&watch::render(&socket::status(path)?, None, colours));
            Ok::<_, ClientError>(())
        }),
    }
}

pub(super) fn tunnels(arguments: &ViewArguments, colours: bool) -> ExitCode {
    view(
        arguments,
        |it| &it.tunnels,
        |it| watch::tunnels(it, colours),
    )
}

pub(super) fn sessions(arguments: &ViewArguments, colours: bool) -> ExitCode {
    view(
        arguments,
        |it| &it.sessions,
        |it| watch::sessions(it, colours),
    )
}

/// Shows a part of the status: its JSON, or as a table.
fn view<T: Serialize>(
    arguments: &ViewArguments,
    part: fn(&Status) -> &Vec<T>,
    table: impl Fn(&Status) -> String,
) -> ExitCode {
    arguments.appliance.asked(|path| {
        let status = socket::status(path)?;
        if arguments.json {
            document::print(part(&status));
        } else {
            say(&table(&status));
        }
        Ok::<_, ClientError>(())
    })
}
