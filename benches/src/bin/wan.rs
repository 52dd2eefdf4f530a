//! WAN emulator: carries Ethernet frames between two interfaces with delay, jitter, loss and worse.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use benches::wan::{Config, Wan};
use clap::Parser;

/// Carries Ethernet frames between two Linux interfaces with delay, jitter, loss, reordering, duplication, a limited
/// rate, corruption and outages, all drawn from a seed. Needs root (CAP_NET_RAW, CAP_NET_ADMIN). Both interfaces must
/// be in this network namespace and carry no addresses. Until told otherwise it is a perfect wire.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Interface of side a
    #[arg(long, value_name = "INTERFACE")]
    a: String,
    /// Interface of side b
    #[arg(long, value_name = "INTERFACE")]
    b: String,
    /// Unix socket for commands while it runs: "set a-b delay=20ms loss=2%", "outage on", "stats", "settings", "reset both"
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// All chances follow from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A command carried out at the start, as on the control socket; may be repeated
    #[arg(long = "do", value_name = "COMMAND")]
    initial: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = Config {
        interfaces: [arguments.a, arguments.b],
        control: arguments.control,
        seed: arguments.seed,
        initial: arguments.initial,
    };
    match Wan::new(config).and_then(|mut wan| wan.run().map(|()| wan.stats())) {
        Ok(stats) => {
            println!("{}", serde_json::json!(stats));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("wan: {error}");
            ExitCode::FAILURE
        }
    }
}
