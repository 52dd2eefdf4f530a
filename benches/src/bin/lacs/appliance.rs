//! The fleet at one end of a line and a running appliance at the other: what it takes to have them all.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use benches::line::{Appliance, Line};
use benches::netns::joined;
use benches::scale::{Logins, Restart};
use benches::status::Status;
use benches::usage::{CpuTime, Memory};
use nix::sys::prctl;
use nix::sys::signal::Signal;

use crate::Arguments;
use crate::configuration::{LACS, Layout, SERVER};
use crate::fleet::{Fleet, Plan, Tally};
use crate::member::NUMBERS;
use crate::socket::{self, Teller};

/// Until a new appliance answers, with a file of 64 000 logins.
const START_MAX: Duration = Duration::from_secs(60);
/// So many set-ups a second is the least that is waited for, and so long whatever they are.
const SLOWEST_SETUPS: u64 = 200;
const SETUP_LEAST: Duration = Duration::from_secs(60);
/// Between two looks at the fleet.
const LOOK: Duration = Duration::from_millis(5);
/// Callers whose rings are written in one turn, and how often all of them are at most: a packet may be lost.
const WRITTEN_A_TURN: usize = 4;
const WRITINGS: usize = 8;
/// From the last packet until the appliance has taken all.
const SETTLE: Duration = Duration::from_millis(500);

/// What is seen of the fleet while it runs, and how it is told what to do.
#[derive(Default)]
struct Watch {
    open: AtomicUsize,
    setup: OnceLock<Setup>,
    /// Callers whose rings are to be written, and those that were, counted anew each time.
    to_write: AtomicUsize,
    written: AtomicUsize,
    ends: AtomicBool,
}

/// How all of them came to be open.
struct Setup {
    took: Duration,
    p50: Duration,
    p99: Duration,
    failures: u64,
}

impl Setup {
    fn of(tally: &Tally, took: Duration) -> Self {
        let mut times = tally.setup_times.clone();
        times.sort_unstable();
        let quantile = |percent: usize| {
            let last = times.len().saturating_sub(1);
            times.get(last * percent / 100).copied().unwrap_or_default()
        };
        Self {
            took,
            p50: quantile(50),
            p99: quantile(99),
            failures: tally.failures.values().sum(),
        }
    }
}

impl Watch {
    /// Is told of every turn of the fleet; false when it is to end.
    fn turn(&self, now: Duration, fleet: &mut Fleet, callers: usize) -> bool {
        let tally = fleet.tally();
        self.open.store(tally.open, Ordering::Relaxed);
        let took = tally.complete_at.unwrap_or(now);
        let is_over = tally.complete_at.is_some() || self.ends.load(Ordering::Relaxed);
        if is_over && self.setup.get().is_none() {
            let _ = self.setup.set(Setup::of(tally, took));
        }
        let first = self.written.load(Ordering::Relaxed);
        let last = (first + WRITTEN_A_TURN).min(self.to_write.load(Ordering::Relaxed));
        (first..last).for_each(|count| fleet.write_rings(count % callers));
        self.written.store(last, Ordering::Relaxed);
        !self.ends.load(Ordering::Relaxed)
    }

    fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Waits until so many are open; false when they are not after `limit`, or when the fleet has ended.
    fn wait_for(&self, count: usize, limit: Duration, fleet_ended: &dyn Fn() -> bool) -> bool {
        let deadline = Instant::now() + limit;
        while self.open() != count {
            if Instant::now() > deadline || fleet_ended() {
                return false;
            }
            thread::sleep(LOOK);
        }
        true
    }
}

/// Measures and prints; false when not all came, stayed and came back.
///
/// # Errors
/// When there is no such appliance, or a namespace or socket cannot be had.
pub(crate) fn run(arguments: &Arguments, program: &Path) -> Result<bool, Box<dyn Error>> {
    // Who started this for its figures has no use for it any more.
    prctl::set_pdeathsig(Signal::SIGTERM)?;
    let logins = measure(arguments, program)?;
    if arguments.json {
        println!("{}", serde_json::to_string(&logins)?);
    } else {
        print(&logins);
    }
    Ok(logins.is_sound())
}

fn measure(arguments: &Arguments, program: &Path) -> Result<Logins, Box<dyn Error>> {
    let line = Line::build("lacs", &format!("{LACS}/16"))?;
    let layout = Layout {
        socket: line.socket(),
        ..arguments.layout()
    };
    let config = line.directory().join("lns.yaml");
    std::fs::write(&config, layout.yaml())?;
    let appliance = line.start(program, &config, START_MAX)?;
    let (before, cpu_before) = (Memory::of(appliance.pid())?, CpuTime::of(appliance.pid())?);

    let watch = Arc::new(Watch::default());
    let fleet = {
        let server = SocketAddr::new(SERVER.into(), 1701);
        let plan = arguments.plan(server, vec![SocketAddr::new(LACS.into(), 1701)]);
        let (watch, seed) = (Arc::clone(&watch), arguments.seed);
        line.far().spawn(move || run_fleet(plan, seed, &watch))
    };
    let fleet_ended = || fleet.is_finished();
    let callers = layout.callers;
    let limit = SETUP_LEAST.max(Duration::from_secs(callers as u64 / SLOWEST_SETUPS));
    let is_complete = watch.wait_for(callers, limit, &fleet_ended);
    let setup_cpu = CpuTime::of(appliance.pid())?.since(cpu_before);
    let open = watch.open() as u64;

    let hold = hold(&appliance, &watch, Duration::from_secs(arguments.hold_s))?;
    let full = Memory::of(appliance.pid())?;
    let asked = Instant::now();
    appliance.status()?;
    let status_s = asked.elapsed().as_secs_f64();
    let (mut written, mut written_links) = (None, 0);
    if layout.links.is_some() {
        written_links = write_rings(&appliance, &watch, callers, &fleet_ended)?;
        written = Some(Memory::of(appliance.pid())?);
    }
    let restart = match arguments.back_s {
        Some(back_s) => {
            let killed = Instant::now();
            drop(appliance);
            let _appliance = line.start(program, &config, START_MAX)?;
            let back = Duration::from_secs(back_s);
            // They find out by their echoes.
            let noticed = Instant::now() + back;
            while watch.open() == callers && Instant::now() < noticed {
                thread::sleep(LOOK);
            }
            let is_back = watch.wait_for(callers, back, &fleet_ended);
            Some(Restart {
                back_s: is_back.then(|| killed.elapsed().as_secs_f64()),
                open: watch.open() as u64,
            })
        }
        None => None,
    };
    watch.ends.store(true, Ordering::Relaxed);
    joined(fleet)?;
    let setup = watch.setup.get().ok_or("the LACs did nothing")?;
    Ok(Logins {
        tunnels: u64::from(arguments.lacs),
        sessions: callers as u64,
        sets: layout.sets() as u64,
        setup_s: is_complete.then_some(setup.took.as_secs_f64()),
        open,
        setup_p50_ms: setup.p50.as_secs_f64() * 1e3,
        setup_p99_ms: setup.p99.as_secs_f64() * 1e3,
        failures: setup.failures,
        setup_cpu,
        before,
        full,
        written,
        written_links,
        hold_s: hold.time.as_secs_f64(),
        hold_cpu: hold.cpu,
        least_open: hold.least_open as u64,
        status_s,
        restart,
    })
}

fn run_fleet(plan: Plan, seed: u64, watch: &Watch) -> io::Result<()> {
    let (callers, mut teller) = (plan.callers, Teller::default());
    let tally = socket::run(plan, seed, |now, fleet| {
        teller.tell(now, fleet.tally().open);
        watch.turn(now, fleet, callers)
    })?;
    for (why, count) in &tally.failures {
        eprintln!("failed {count} times: {why}");
    }
    Ok(())
}

struct Hold {
    time: Duration,
    cpu: CpuTime,
    least_open: usize,
}

/// Has all stay for some time.
fn hold(appliance: &Appliance, watch: &Watch, time: Duration) -> io::Result<Hold> {
    let (start, before) = (Instant::now(), CpuTime::of(appliance.pid())?);
    let mut least_open = watch.open();
    while start.elapsed() < time {
        thread::sleep(LOOK);
        least_open = least_open.min(watch.open());
    }
    Ok(Hold {
        time: start.elapsed(),
        cpu: CpuTime::of(appliance.pid())?.since(before),
        least_open,
    })
}

/// Has packets go over all links that write to all that the appliance has for them; over how many all of them came.
fn write_rings(
    appliance: &Appliance,
    watch: &Watch,
    callers: usize,
    fleet_ended: &dyn Fn() -> bool,
) -> Result<u64, Box<dyn Error>> {
    let mut links = 0;
    for writing in 1..=WRITINGS {
        let target = writing * callers;
        watch.to_write.store(target, Ordering::Relaxed);
        while watch.written.load(Ordering::Relaxed) < target {
            if fleet_ended() {
                return Err("the LACs have ended".into());
            }
            thread::sleep(LOOK);
        }
        thread::sleep(SETTLE);
        links = links_written(appliance)?;
        if links == callers as u64 {
            break;
        }
    }
    Ok(links)
}

/// Links over which every one of the numbers came.
fn links_written(appliance: &Appliance) -> Result<u64, Box<dyn Error>> {
    let status: Status = serde_json::from_slice(&appliance.status()?)?;
    let numbers = NUMBERS.len() as u64;
    let links = status.sessions.iter();
    Ok(links.filter(|link| link.unique_packets >= numbers).count() as u64)
}

/// The same as a table of two columns.
fn print(logins: &Logins) {
    let row = |name: &str, value: String| println!("{name:<48} {value}");
    let mib = |octets: u64| octets >> 20;
    let Logins {
        sessions,
        open,
        before,
        full,
        setup_cpu,
        hold_s,
        hold_cpu,
        ..
    } = *logins;
    match logins.setup_s {
        Some(took) => row(
            "set-ups a second, SCCRQ to IPCP",
            format!("{:.0} ({open} in {took:.1} s)", open as f64 / took),
        ),
        None => row("not all were set up", format!("{open} of {sessions}")),
    }
    row(
        "CPU time of the appliance for each, µs",
        format!(
            "{:.0}",
            setup_cpu.all.as_micros() as f64 / open.max(1) as f64
        ),
    );
    row(
        "memory before, with all of them, MiB",
        format!("{}, {}", mib(before.own_octets), mib(full.own_octets)),
    );
    if let Some(written) = logins.written {
        row(
            "with every ring written, MiB",
            mib(written.own_octets).to_string(),
        );
    }
    row(
        &format!("least open in {hold_s:.0} s of echoes both ways"),
        logins.least_open.to_string(),
    );
    row(
        "CPU of the appliance meanwhile, %",
        format!(
            "{:.0}",
            hold_cpu.all.as_secs_f64() / hold_s.max(0.001) * 100.0
        ),
    );
    row("status of all, s", format!("{:.1}", logins.status_s));
    match logins.restart {
        Some(Restart {
            back_s: Some(back_s),
            ..
        }) => row(
            "all back after kill -9 and a new start, s",
            format!("{back_s:.1}"),
        ),
        Some(Restart { open, .. }) => row("back in the end", open.to_string()),
        None => {}
    }
}
