//! The `hal2tp` command.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    control::cli::main(&control::cli::Cli::parse())
}
