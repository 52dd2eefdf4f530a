//! Counts the TSC cycles that one worker takes for a packet, beside DPDK's testpmd on the same core in the same run.
//!
//! The worker is polled by hand over in-process wires (net_ring). Each round runs testpmd and every case in turn, so that whatever
//! disturbs the machine disturbs all of them.

#![forbid(unsafe_code)]

mod bed;
mod compare;
mod copying;
mod crowds;
mod flows;
mod instructions;
mod network;
mod plan;
mod report;
mod sharing;
mod testpmd;
mod walk;
mod wire;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use benches::figure::Figure;
use clap::Parser;
use dpdk::{Eal, EalConfig, HugePages, lcore};

use compare::{Effort, clock_cycles, compare};
use plan::Beds;
use tikv_jemallocator::Jemalloc;
use walk::Walk;

// As the appliance has it.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

const MEMORY_MIB: u32 = 192;

/// Counts TSC cycles per packet of one worker, beside testpmd 5tswap on the same core.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Rounds; every figure is measured as often
    #[arg(long, default_value_t = 21, value_parser = clap::value_parser!(u16).range(7..))]
    rounds: u16,
    /// Bursts of 32 packets on each link in a round: few, so that most rounds are over before anything disturbs them
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    bursts: u32,
    /// CPU to measure on; the last one by default. Two workers take the CPU below too
    #[arg(long)]
    core: Option<u32>,
    /// Ordinary pages even when there are hugepages
    #[arg(long)]
    no_huge: bool,
    /// Only cases whose name holds this, and no testpmd; for profilers
    #[arg(long, value_name = "TEXT", conflicts_with = "json")]
    only: Option<String>,
    /// Count instructions under callgrind instead, and compare with those in the file: more are an error
    #[arg(long, value_name = "FILE", conflicts_with_all = ["only", "json", "core", "rounds", "bursts", "no_huge"])]
    instructions: Option<PathBuf>,
    /// Keep the instructions in that file
    #[arg(long, requires = "instructions")]
    write: bool,
    /// Only these crowds instead, at most four, and JSON: so many sets of two links and so many plain sessions each
    #[arg(long, value_name = "SETS+SESSIONS", value_delimiter = ',', num_args = 1..=crowds::MOST, conflicts_with_all = ["only", "instructions", "write"])]
    crowds: Vec<crowds::Size>,
    /// What is counted
    #[arg(long, hide = true)]
    count: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match carry_out(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// False when there is something to fail for that was told.
fn carry_out(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    match &arguments.instructions {
        None => measure(arguments).map(|()| true),
        Some(file) if arguments.write => instructions::write(file).map(|()| true),
        Some(file) => instructions::check(file),
    }
}

fn measure(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let core = match arguments.core {
        Some(core) => core,
        None => u32::try_from(thread::available_parallelism()?.get() - 1)?,
    };
    let eal = Eal::init(&EalConfig {
        program: "cycles".to_owned(),
        memory_mib: MEMORY_MIB,
        hugepages: if arguments.no_huge {
            HugePages::No
        } else {
            HugePages::Auto
        },
        main_core: Some(core),
        ..EalConfig::default()
    })?;
    // Outlives the buffers, which go back to its caches.
    let _lcore = lcore::register(Some(core))?;
    if arguments.count {
        return instructions::count(&eal);
    }
    let effort = Effort {
        rounds: arguments.rounds,
        bursts: arguments.bursts as usize,
    };
    if let Some(part) = &arguments.only {
        return profile(&eal, effort, part);
    }
    if !arguments.crowds.is_empty() {
        let crowds = crowds::measure(&eal, effort, &arguments.crowds, core)?;
        println!("{}", serde_json::to_string(&crowds)?);
        return Ok(());
    }
    let section = compare(&eal, effort, core, core.checked_sub(1))?.section();
    if arguments.json {
        println!("{}", serde_json::to_string(&section)?);
    } else {
        print!("{}", section.markdown());
    }
    Ok(())
}

/// Runs the chosen cases alone.
fn profile(eal: &Arc<Eal>, effort: Effort, part: &str) -> Result<(), Box<dyn Error>> {
    let clock_cycles = clock_cycles();
    let mut beds = Beds::new(eal)?;
    let mut chosen = plan::all()
        .into_iter()
        .filter(|place| place.name().contains(part))
        .peekable();
    if chosen.peek().is_none() {
        return Err(format!("no case has {part:?} in its name; `scripts/bench` lists them").into());
    }
    for place in chosen {
        let name = place.name();
        let bed = beds.bed(place.setting)?;
        let walk = Walk::new(place.case, &bed.remotes)?;
        let costs = (0..effort.rounds)
            .map(|_| Ok(walk.round(bed, effort.bursts, clock_cycles)?.worker))
            .collect::<Result<Vec<_>, Box<dyn Error>>>()?;
        println!("{} {name}", Figure::new(&costs).text());
    }
    Ok(())
}
