//! The command line.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::appliance;
use crate::config::{self, Config, Problem, Severity};
use crate::logging;
use crate::management::request::Question;
use crate::management::socket::{self, ClientError};
use crate::management::status::Status;
use crate::management::watch;

/// Where appliances put their sockets when the configuration does not say.
const SOCKET_DIRECTORY: &str = "/run/hal2tp";

/// RAID 1 for packets: every packet over several L2TP tunnels, the first copy wins.
#[derive(Debug, Parser)]
#[command(name = "hal2tp", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the appliance that a file describes, until SIGTERM or SIGINT.
    Run {
        /// The configuration file.
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Report everything that is wrong with a file; of several files, also
    /// whether the ends of each tunnel fit together.
    Check {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Show what a running appliance does.
    Status(StatusArguments),
    /// Show the tunnels, and of each that is not up, why.
    Tunnels(ViewArguments),
    /// Show the sessions: the links, whether up or not.
    Sessions(ViewArguments),
    /// End tunnels or sessions; what was dialled here is dialled again at once.
    Kick {
        #[command(flatten)]
        appliance: ApplianceArguments,
        /// Name of an `outgoing` or `incoming`, or the `graph` of a session.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Print the version.
    Version,
}

/// Which appliance is asked.
#[derive(Debug, Args)]
struct ApplianceArguments {
    /// The configuration file, which names the socket.
    #[arg(short, long, value_name = "FILE", conflicts_with = "socket")]
    config: Option<PathBuf>,
    /// The socket itself; by default, the only one in /run/hal2tp.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ViewArguments {
    #[command(flatten)]
    appliance: ApplianceArguments,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct StatusArguments {
    #[command(flatten)]
    view: ViewArguments,
    /// Show it again every second.
    #[arg(long, conflicts_with = "json")]
    watch: bool,
}

/// Carries out a command line.
#[must_use]
pub fn main(cli: &Cli) -> ExitCode {
    match &cli.command {
        Command::Run { config } => run(config),
        Command::Check { files } => check(files),
        Command::Status(arguments) => status(arguments),
        Command::Tunnels(arguments) => view(arguments, |status| &status.tunnels, watch::tunnels),
        Command::Sessions(arguments) => view(arguments, |status| &status.sessions, watch::sessions),
        Command::Kick { appliance, names } => kick(appliance, names),
        Command::Version => {
            say(&format!("hal2tp {}\n", env!("CARGO_PKG_VERSION")));
            ExitCode::SUCCESS
        }
    }
}

/// Writes to standard output. A reader that has gone away is no error.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn run(file: &Path) -> ExitCode {
    if let Err(error) = logging::start() {
        complain(&format!("no log: {error}"));
    }
    let config = match Config::load(file) {
        Ok((config, warnings)) => {
            for warning in &warnings {
                log::warn!("{warning}");
            }
            config
        }
        Err(problems) => {
            complain(&report(&problems));
            return ExitCode::FAILURE;
        }
    };
    match appliance::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn check(files: &[PathBuf]) -> ExitCode {
    let problems = config::check_files(files);
    say(&report(&problems));
    say("\n");
    if has_errors(&problems) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn has_errors(problems: &[Problem]) -> bool {
    let mut severities = problems.iter().map(|problem| problem.severity);
    severities.any(|severity| severity == Severity::Error)
}

fn plural(count: usize, word: &str) -> String {
    match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    }
}

/// All problems and a last line that counts them.
fn report(problems: &[Problem]) -> String {
    let count = |severity| problems.iter().filter(|p| p.severity == severity).count();
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

fn status(arguments: &StatusArguments) -> ExitCode {
    asked(&arguments.view.appliance, |path| {
        if arguments.view.json {
            let json = socket::request(path, &Question::Status)?;
            say(&format!("{json}\n"));
            Ok(())
        } else if arguments.watch {
            watch::watch(path)
        } else {
            watch::show(path)
        }
    })
}

/// Shows a part of the status: its JSON, or as a table.
fn view<T: serde::Serialize>(
    arguments: &ViewArguments,
    part: fn(&Status) -> &Vec<T>,
    table: fn(&Status, bool) -> String,
) -> ExitCode {
    asked(&arguments.appliance, |path| {
        let status = socket::status(path)?;
        if arguments.json {
            let json = serde_json::to_string(part(&status)).map_err(ClientError::NotUnderstood)?;
            say(&format!("{json}\n"));
        } else {
            say(&table(&status, std::io::stdout().is_terminal()));
        }
        Ok(())
    })
}

fn kick(appliance: &ApplianceArguments, names: &[String]) -> ExitCode {
    asked(appliance, |path| {
        for name in names {
            let kicked = socket::kick(path, name)?;
            say(&format!(
                "{}: {}, {}\n",
                kicked.name,
                plural(kicked.tunnels, "tunnel"),
                plural(kicked.sessions, "session"),
            ));
        }
        Ok(())
    })
}

/// Finds the appliance and asks it.
fn asked(
    appliance: &ApplianceArguments,
    ask: impl FnOnce(&Path) -> Result<(), ClientError>,
) -> ExitCode {
    let path = match socket_path(appliance) {
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

/// The socket that the arguments mean.
fn socket_path(arguments: &ApplianceArguments) -> Result<PathBuf, String> {
    if let Some(path) = &arguments.socket {
        return Ok(path.clone());
    }
    if let Some(file) = &arguments.config {
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_forms_of_the_design_are_accepted() {
        for line in [
            "hal2tp run -c f.yaml",
            "hal2tp check f.yaml",
            "hal2tp check a.yaml b.yaml",
            "hal2tp status",
            "hal2tp status -c f.yaml --json",
            "hal2tp status --socket /run/x --watch",
            "hal2tp tunnels",
            "hal2tp tunnels -c f.yaml --json",
            "hal2tp sessions --socket /run/x",
            "hal2tp kick isp1 head2 -c f.yaml",
            "hal2tp version",
        ] {
            Cli::try_parse_from(line.split(' ')).unwrap();
        }
        assert!(Cli::try_parse_from(["hal2tp", "check"]).is_err());
        assert!(Cli::try_parse_from(["hal2tp", "run"]).is_err());
        assert!(Cli::try_parse_from(["hal2tp", "kick"]).is_err());
    }
}
