//! WAN emulator: carries Ethernet frames between two interfaces with delay, jitter, loss and worse.

#![forbid(unsafe_code)]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use benches::emulator;
use benches::wan::{Config, Wan};
use clap::{Parser, Subcommand};

/// Emulates an ISP between two Linux interfaces.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Carry Ethernet frames between two interfaces with delay, jitter, loss, reordering, duplication, a limited rate,
    /// corruption and outages, all drawn from a seed. Needs root. Both interfaces must be in this network namespace
    /// and carry no addresses. Until told otherwise it is a perfect wire. Prints its counters at the end, as JSON.
    Run {
        /// Interface of side a
        #[arg(long, value_name = "INTERFACE")]
        a: String,
        /// Interface of side b
        #[arg(long, value_name = "INTERFACE")]
        b: String,
        /// Unix socket on which it takes commands while it runs
        #[arg(long, value_name = "PATH")]
        control: Option<PathBuf>,
        /// All chances follow from it
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// A command carried out at the start; may be repeated
        #[arg(long = "do", value_name = "COMMAND")]
        initial: Vec<String>,
    },
    /// Send a command to a running emulator and print its answer.
    ///
    /// set a-b|b-a|both KEY=VALUE ..., with the keys delay, jitter, loss, burst-loss, burst-length, burst-density,
    /// reorder, reorder-by, duplicate, corrupt, corrupt-from, rate, queue and outage; outage on|off [a-b|b-a];
    /// reset a-b|b-a|both; settings; stats.
    Tell {
        /// Its control socket
        control: PathBuf,
        /// For example: set both delay=20ms jitter=2ms loss=2%
        #[arg(required = true)]
        command: Vec<String>,
    },
}

fn main() -> ExitCode {
    match carry_out(Arguments::parse().verb) {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("wan: {error}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(verb: Verb) -> Result<String, Box<dyn Error>> {
    match verb {
        Verb::Run {
            a,
            b,
            control,
            seed,
            initial,
        } => {
            let mut wan = Wan::new(Config {
                interfaces: [a, b],
                control,
                seed,
                initial,
            })?;
            wan.run()?;
            Ok(serde_json::to_string(&wan.stats())?)
        }
        Verb::Tell { control, command } => Ok(emulator::ask(&control, &command.join(" "))?),
    }
}
