//! The demonstration: two sites over three emulated ISPs, links that die one after another, and an account of every
//! packet. Exit code 0 only if act 1 lost nothing and delivered nothing twice; 130 after Ctrl-C.

#![forbid(unsafe_code)]

mod acts;
mod interrupt;
mod ledger;
mod screen;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use benches::lab::{Lab, LabConfig, Site};
use clap::Parser;

use crate::acts::{Failure, Stage};
use crate::interrupt::Interrupt;
use crate::screen::Screen;

/// Two sites over three emulated ISPs: kills links while traffic flows, and accounts for every packet.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Leave the two sites up at the end, until Ctrl-C
    #[arg(long)]
    stay: bool,
    /// Which acts to show: 1 (links die), 2 (links lose packets); "none" only makes sense with --stay
    #[arg(long, default_value = "1,2", value_name = "LIST")]
    acts: String,
    /// Numbered UDP packets a second, each way
    #[arg(long, default_value_t = 3000, value_name = "PACKETS")]
    rate: u32,
    /// Seed of the emulated ISPs
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Directory of head.yaml and remote.yaml
    #[arg(long, value_name = "DIRECTORY")]
    configs: Option<PathBuf>,
    /// Workers of each appliance, instead of what the files say
    #[arg(long)]
    workers: Option<u16>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let screen = Screen::new();
    let interrupt = match Interrupt::catch() {
        Ok(interrupt) => interrupt,
        Err(error) => return failed(&screen, &Failure::Io(error)),
    };
    match show(&arguments, &screen, &interrupt) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => failed(&screen, &failure),
    }
}

fn failed(screen: &Screen, failure: &Failure) -> ExitCode {
    match failure {
        Failure::Interrupted => {
            screen.line("interrupted; everything is taken down");
            ExitCode::from(130)
        }
        Failure::Io(error) => {
            screen.failure(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn show(arguments: &Arguments, screen: &Screen, interrupt: &Interrupt) -> Result<bool, Failure> {
    let mut config = LabConfig::demo()?;
    config.seed = arguments.seed;
    config.workers = arguments.workers;
    if let Some(configs) = &arguments.configs {
        config.configs.clone_from(configs);
    }
    screen.title("hal2tp: two sites, three ISPs, and nothing is lost when a link dies");
    screen.picture();
    let lab = Lab::build(config)?;
    let mut stage = Stage::new(lab, screen, interrupt, arguments.rate);
    let is_good = match play(&mut stage, &arguments.acts) {
        Err(Failure::Io(error)) => {
            stage.show_logs();
            return Err(Failure::Io(error));
        }
        result => result?,
    };
    if arguments.stay {
        stage.stay()?;
    }
    Ok(is_good)
}

fn play(stage: &mut Stage<'_>, acts: &str) -> Result<bool, Failure> {
    stage.set_up()?;
    let mut is_good = true;
    if acts.contains('1') {
        is_good = stage.links_die()?;
    }
    if acts.contains('2') {
        stage.links_lose()?;
    }
    Ok(is_good)
}

/// How long a set-up, or the return of a link, may take.
const SET_UP_LIMIT: Duration = Duration::from_secs(30);

/// How a flow away from a site is called.
fn way(from: Site) -> String {
    format!("{} -> {}", from.name(), from.other().name())
}
