//! The `hal2tp` command.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser as _;
use tikv_jemallocator::Jemalloc;

// What it is told is in .cargo/config.toml.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    control::cli::main(&control::cli::Cli::parse())
}
