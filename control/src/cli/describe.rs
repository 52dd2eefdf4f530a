//! What the command tells of itself: its version, its completions, its manual.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::document::{self, Version};
use super::{Cli, complain, say};

#[derive(Debug, Args)]
pub(super) struct VersionArguments {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// The shell that is to read it.
    shell: Shell,
}

pub(super) fn version(arguments: &VersionArguments) -> ExitCode {
    let version = Version::default();
    if arguments.json {
        document::print(&version);
    } else {
        say(&format!("{} {}\n", version.name, version.version));
    }
    ExitCode::SUCCESS
}

pub(super) fn completions(arguments: &CompletionsArguments) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "hal2tp", &mut script);
    say(&String::from_utf8_lossy(&script));
    ExitCode::SUCCESS
}

pub(super) fn man() -> ExitCode {
    let mut page = Vec::new();
    match write_manual(&mut page) {
        Ok(()) => {
            say(&String::from_utf8_lossy(&page));
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&format!("no manual page: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// One page for all: the usual sections, then each command with its options.
fn write_manual(page: &mut Vec<u8>) -> std::io::Result<()> {
    let mut command = Cli::command();
    command.build();
    let manual = clap_mangen::Man::new(command.clone());
    manual.render_title(page)?;
    manual.render_name_section(page)?;
    manual.render_synopsis_section(page)?;
    manual.render_description_section(page)?;
    manual.render_options_section(page)?;
    for command in command
        .get_subcommands()
        .filter(|it| it.get_name() != "help")
    {
        page.extend(format!(".SH {}\n", command.get_name().to_uppercase()).bytes());
        let of_command = clap_mangen::Man::new(command.clone());
        let mut part = Vec::new();
        of_command.render_synopsis_section(&mut part)?;
        of_command.render_description_section(&mut part)?;
        of_command.render_options_section(&mut part)?;
        page.extend(
            String::from_utf8_lossy(&part)
                .replace(".SH ", ".SS ")
                .bytes(),
        );
    }
    manual.render_version_section(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_names_every_command_and_option() {
        let mut page = Vec::new();
        write_manual(&mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        // roff writes a hyphen that is to stay one with a backslash.
        let plain = page.replace('\\', "");
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let heading = format!(".SH {}\n", name.to_uppercase());
            let from = plain.find(&heading).expect(name) + heading.len();
            let section = plain[from..].split(".SH ").next().unwrap();
            for long in command.get_arguments().filter_map(|it| it.get_long()) {
                assert!(section.contains(&format!("--{long}")), "{name} --{long}");
            }
        }
    }

    #[test]
    fn every_shell_learns_every_command() {
        for shell in [
            Shell::Bash,
            Shell::Elvish,
            Shell::Fish,
            Shell::PowerShell,
            Shell::Zsh,
        ] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "hal2tp", &mut script);
            let script = String::from_utf8(script).unwrap();
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}");
            }
        }
    }
}
