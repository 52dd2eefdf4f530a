//! The command line. Each family of commands has a file in `cli/`; what they print with `--json` is in `cli/document.rs`.

mod ask;
mod capture;
mod check;
mod describe;
mod document;
mod drops;
mod events;
mod graph;
mod kick;
mod mask;
mod reload;
mod run;
mod status;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ColorChoice, Parser, Subcommand};

use crate::config::plural;

/// RAID 1 for packets: every packet over several L2TP tunnels, the first copy wins.
#[derive(Debug, Parser)]
#[command(name = "hal2tp", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// When to use colours; `auto`: on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the appliance that a file describes, until SIGTERM or SIGINT; on SIGHUP the file is read again.
    Run {
        /// The configuration file.
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Report everything that is wrong with a file; of several files, also
    /// whether the ends of each tunnel fit together.
    Check(check::Arguments),
    /// Show what a running appliance does.
    Status(status::StatusArguments),
    /// Show the tunnels, and of each that is not up, why.
    Tunnels(status::ViewArguments),
    /// Show the sessions: the links, whether up or not.
    Sessions(status::ViewArguments),
    /// Show what was dropped, how much of it now, and what each reason means.
    Drops(drops::Arguments),
    /// Show what happened to links and sets, and why.
    Events(events::Arguments),
    /// Draw what a link or a set did, up to a year back.
    Graph(graph::Arguments),
    /// End tunnels or sessions; what was dialled here is dialled again at once.
    Kick(kick::Arguments),
    /// Have links carry nothing for a while, though they are up: a drill that undoes itself.
    #[command(after_help = mask::HELP)]
    Mask(mask::Arguments),
    /// Have the configuration read again. What has not changed is not touched; with an
    /// error in it, or a change that takes a restart, nothing is.
    Reload(reload::Arguments),
    /// Write frames of a running appliance into a file for Wireshark, each with what
    /// became of it as its comment. Nothing is stopped meanwhile.
    #[command(after_help = capture::HELP)]
    Capture(capture::Arguments),
    /// Print the version.
    Version(describe::VersionArguments),
    /// Print what a shell must know to complete this command line.
    Completions(describe::CompletionsArguments),
    /// Print the manual page, as roff for `man -l -`.
    Man,
}

/// Carries out a command line.
#[must_use]
pub fn main(cli: &Cli) -> ExitCode {
    let colours = cli.colours();
    match &cli.command {
        Command::Run { config } => run::run(config),
        Command::Check(arguments) => check::check(arguments),
        Command::Status(arguments) => status::status(arguments, colours),
        Command::Tunnels(arguments) => status::tunnels(arguments, colours),
        Command::Sessions(arguments) => status::sessions(arguments, colours),
        Command::Drops(arguments) => drops::drops(arguments, colours),
        Command::Events(arguments) => events::events(arguments),
        Command::Graph(arguments) => graph::graph(arguments, colours),
        Command::Kick(arguments) => kick::kick(arguments),
        Command::Mask(arguments) => mask::mask(arguments),
        Command::Reload(arguments) => reload::reload(arguments),
        Command::Capture(arguments) => capture::capture(arguments),
        Command::Version(arguments) => describe::version(arguments),
        Command::Completions(arguments) => describe::completions(arguments),
        Command::Man => describe::man(),
    }
}

impl Cli {
    /// Whether what goes to standard output may be coloured (no-color.org: any value but an empty one forbids it).
    fn colours(&self) -> bool {
        match self.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                let forbidden = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
                !forbidden && std::io::stdout().is_terminal()
            }
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

#[cfg(test)]
mod tests;
