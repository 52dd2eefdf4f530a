//! Counts the TSC cycles that one worker takes for a packet, beside DPDK's testpmd on the same core in the same run.
//!
//! The worker is polled by hand over in-process wires (net_ring). Each round runs testpmd and every case in turn, so that whatever
//! disturbs the machine disturbs all of them.

#![forbid(unsafe_code)]

mod bed;
mod latency;
mod report;
mod testpmd;
mod walk;
mod wire;

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::Parser;
use dpdk::{Eal, EalConfig, HugePages, lcore, tsc, tsc_hz};

use bed::{Bed, SetKind};
use report::{Figure, Line, Noise, Report};
use testpmd::{Device, Testpmd};
use walk::{Case, Walk, Way};

const MEMORY_MIB: u32 = 128;
/// Long enough that its start, with cold caches, does not count.
const TESTPMD_TIME: Duration = Duration::from_millis(50);
/// Of the inner packet, octets.
const SIZES: [usize; 2] = [64, 1400];

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
    /// CPU to measure on; the last one by default
    #[arg(long)]
    core: Option<u32>,
    /// Ordinary pages even when there are hugepages
    #[arg(long)]
    no_huge: bool,
    /// Only cases whose name holds this, and no testpmd; for profilers
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Measure how long packets take instead, with the worker on a core of its own; needs a second one for the tester
    #[arg(long)]
    latency: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match carry_out(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
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
    if arguments.latency {
        return measure_latency(&eal, arguments, core);
    }
    // Outlives the buffers, which go back to its caches.
    let _lcore = lcore::register(Some(core))?;
    let mut bed = Bed::new(&eal)?;
    match &arguments.only {
        Some(part) => profile(&mut bed, arguments, part),
        None => compare(&eal, &mut bed, arguments, core),
    }
}

fn measure_latency(eal: &Arc<Eal>, arguments: &Arguments, core: u32) -> Result<(), Box<dyn Error>> {
    let tester = core
        .checked_sub(1)
        .ok_or("the tester takes the CPU below")?;
    let results = latency::measure(eal, core, tester)?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&results)?);
    } else {
        print!("{}", latency::text(&results));
    }
    Ok(())
}

fn cases() -> Vec<Case> {
    let kinds = |udp_checksum| {
        (1..=bed::LINKS).map(move |links| SetKind {
            links,
            udp_checksum,
        })
    };
    let mut ways = vec![Way::Plain];
    for udp_checksum in [true, false] {
        ways.extend(kinds(udp_checksum).map(Way::Send));
        ways.extend(kinds(udp_checksum).map(Way::Receive));
    }
    SIZES
        .iter()
        .flat_map(|&inner_octets| ways.iter().map(move |&way| Case { way, inner_octets }))
        .collect()
}

/// Runs the chosen cases alone.
fn profile(bed: &mut Bed, arguments: &Arguments, part: &str) -> Result<(), Box<dyn Error>> {
    let clock_cycles = clock_cycles();
    for case in cases() {
        let name = format!("{case}, {} octets", case.inner_octets);
        if !name.contains(part) {
            continue;
        }
        let walk = Walk::new(case);
        let costs = (0..arguments.rounds)
            .map(|_| {
                let cost = walk.round(bed, arguments.bursts as usize, clock_cycles)?;
                Ok(cost.worker)
            })
            .collect::<Result<Vec<_>, Box<dyn Error>>>()?;
        let figure = Figure::new(&costs);
        println!(
            "{:.1} ({:.1}-{:.1}) {name}",
            figure.median, figure.least, figure.most
        );
    }
    Ok(())
}

/// What one case cost in each round.
struct Measured {
    walk: Walk,
    worker: Vec<f64>,
    equipment: Vec<f64>,
}

/// A testpmd with the frames that it forwards, and what they cost in each round.
struct Yardstick {
    device: Device,
    frame_octets: usize,
    cycles: Vec<f64>,
}

fn compare(
    eal: &Arc<Eal>,
    bed: &mut Bed,
    arguments: &Arguments,
    core: u32,
) -> Result<(), Box<dyn Error>> {
    let hugepages = eal.uses_hugepages();
    let mut measured: Vec<Measured> = cases()
        .into_iter()
        .map(|case| Measured {
            walk: Walk::new(case),
            worker: Vec::new(),
            equipment: Vec::new(),
        })
        .collect();
    let mut yardsticks = Vec::new();
    let mut testpmds = vec![Testpmd::start(Device::Ring, core, hugepages)?];
    for case in cases() {
        let frame_octets = case.outer_frame_octets();
        let null = Device::Null { frame_octets };
        if testpmds.iter().any(|testpmd| testpmd.device() == null) {
            continue;
        }
        testpmds.push(Testpmd::start(null, core, hugepages)?);
        for device in [Device::Ring, null] {
            yardsticks.push(Yardstick {
                device,
                frame_octets,
                cycles: Vec::new(),
            });
        }
    }
    let clock_cycles = clock_cycles();
    let (mut fixed_work, mut longest_gap) = (Vec::new(), 0);
    for round in 1..=arguments.rounds {
        if round % 10 == 1 {
            eprintln!("round {round} of {}", arguments.rounds);
        }
        let (cycles, gap) = work();
        fixed_work.push(cycles);
        longest_gap = gap.max(longest_gap);
        for yardstick in &mut yardsticks {
            let testpmd = testpmds
                .iter_mut()
                .find(|testpmd| testpmd.device() == yardstick.device)
                .ok_or("no testpmd for a device")?;
            let cycles = testpmd.round(yardstick.frame_octets, TESTPMD_TIME)?;
            yardstick.cycles.push(cycles);
        }
        for case in &mut measured {
            let cost = case
                .walk
                .round(bed, arguments.bursts as usize, clock_cycles)?;
            case.worker.push(cost.worker);
            case.equipment.push(cost.equipment);
        }
    }
    let lines = measured
        .iter()
        .map(|case| line(case, &yardsticks))
        .collect::<Option<Vec<_>>>()
        .ok_or("no testpmd for a case")?;
    let report = Report {
        dpdk: eal.version(),
        hugepages,
        core,
        tsc_mhz: tsc_hz(eal) / 1_000_000,
        rounds: usize::from(arguments.rounds),
        noise: Noise {
            fixed_work: Figure::new(&fixed_work),
            longest_gap,
        },
        lines,
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.text());
    }
    Ok(())
}

fn line(measured: &Measured, yardsticks: &[Yardstick]) -> Option<Line> {
    let case = measured.walk.case;
    let frame_octets = case.outer_frame_octets();
    let figure = |device| {
        yardsticks
            .iter()
            .find(|yardstick| yardstick.device == device && yardstick.frame_octets == frame_octets)
            .map(|yardstick| Figure::new(&yardstick.cycles))
    };
    Some(Line::new(
        case,
        Figure::new(&measured.worker),
        Figure::new(&measured.equipment),
        figure(Device::Ring)?,
        figure(Device::Null { frame_octets })?,
    ))
}

/// What reading the clock costs, which is in every burst once.
fn clock_cycles() -> u64 {
    (0..10_000)
        .map(|_| {
            let start = tsc();
            tsc() - start
        })
        .min()
        .unwrap_or(0)
}

/// The same computation, half a millisecond long or so: its cycles, and the longest time between two looks at the clock.
fn work() -> (f64, u64) {
    let start = tsc();
    let (mut last, mut gap) = (start, 0);
    let mut value = 1_u64;
    for _ in 0..1_000 {
        for _ in 0..200 {
            value = black_box(value.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1));
        }
        let now = tsc();
        gap = gap.max(now - last);
        last = now;
    }
    ((last - start) as f64, gap)
}
