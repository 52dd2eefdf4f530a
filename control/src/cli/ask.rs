//! Which appliance a command is for, and how it is asked.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::document::{self, Named};
use super::{complain, say};
use crate::config::{Config, report};
use crate::management::socket::{self, ClientError};

/// Where appliances put their sockets when the configuration does not say.
const SOCKET_DIRECTORY: &str = "/run/hal2tp";

/// Which appliance is asked.
#[derive(Debug, Args)]
pub(super) struct ApplianceArguments {
    /// The configuration file, which names the socket.
    #[arg(short, long, value_name = "FILE", conflicts_with = "socket")]
    config: Option<PathBuf>,
    /// The socket itself; by default, the only one in /run/hal2tp.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl ApplianceArguments {
    /// Finds the appliance and asks it.
    pub(super) fn asked<E: Display>(&self, ask: impl FnOnce(&Path) -> Result<(), E>) -> ExitCode {
        let path = match self.socket_path() {
            Ok(path) => path,
            Err(text) => {
                complain(&text);
                return ExitCode::FAILURE;
            }
        };
        match ask(&path) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(&error.to_string());
                ExitCode::FAILURE
            }
        }
    }

    /// Asks for something with each name, and tells or prints what came of it. A name that
    /// the appliance refuses keeps nothing from the others.
    pub(super) fn asked_of_each<T: Serialize>(
        &self,
        names: &[String],
        json: bool,
        ask: impl Fn(&Path, &str) -> Result<T, ClientError>,
        text: impl Fn(&T) -> String,
    ) -> ExitCode {
        let mut done = Vec::new();
        let asked = self.asked(|path| {
            for name in names {
                let named = match ask(path, name) {
                    Ok(answer) => Named::Done(answer),
                    Err(ClientError::Refused(error)) => Named::refused(name, error),
                    Err(error) => return Err(error),
                };
                match &named {
                    _ if json => {}
                    Named::Done(answer) => say(&text(answer)),
                    Named::Refused { name, error } => complain(&format!("{name}: {error}")),
                }
                done.push(named);
            }
            Ok(())
        });
        if json {
            document::print(&done);
        }
        if done.iter().any(|it| matches!(it, Named::Refused { .. })) {
            return ExitCode::FAILURE;
        }
        asked
    }

    /// The socket that is meant.
    pub(super) fn socket_path(&self) -> Result<PathBuf, String> {
        if let Some(path) = &self.socket {
            return Ok(path.clone());
        }
        if let Some(file) = &self.config {
            return match Config::load(file) {
                Ok((config, _)) => Ok(config.management.socket),
                Err(problems) => Err(report(&problems)),
            };
        }
        let mut sockets = socket::sockets_in(Path::new(SOCKET_DIRECTORY));
        match (sockets.pop(), sockets.is_empty()) {
            (Some(path), true) => Ok(path),
            (None, _) => Err(format!(
                "no appliance has a socket in {SOCKET_DIRECTORY}\n    start one with `hal2tp run -c FILE`, or name its socket with -c FILE or --socket PATH"
            )),
            (Some(last), false) => {
                sockets.push(last);
                let names: Vec<String> = sockets
                    .iter()
                    .map(|path| format!("    --socket {}", path.display()))
                    .collect();
                Err(format!(
                    "several appliances have a socket in {SOCKET_DIRECTORY}; choose one:\n{}",
                    names.join("\n")
                ))
            }
        }
    }
}
