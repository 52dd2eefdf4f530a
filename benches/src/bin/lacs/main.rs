//! Plays thousands of LACs that log in to one appliance, and says how quickly
//! they were all served.

#![forbid(unsafe_code)]

mod appliance;
mod configuration;
mod fleet;
mod in_process;
mod member;
mod socket;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use configuration::Layout;
use fleet::{Plan, Tally};
use socket::Teller;

/// Plays thousands of LACs, each with a tunnel, and a session or several with a PPP login by CHAP.
///
/// With --appliance they log in to an appliance that is started for it, over a veth between two network namespaces, and what
/// it took of memory and time is printed. Without --appliance and --server the appliance's control plane runs in this process,
/// its workers left out: what counts then is the time that it takes of one core.
#[derive(Parser)]
#[command(name = "lacs", version)]
struct Arguments {
    /// Address and port of the appliance, as `192.0.2.1:1701`
    #[arg(long, value_name = "ADDRESS:PORT")]
    server: Option<SocketAddr>,
    /// Own addresses and ports; several spread the LACs
    #[arg(long, value_name = "ADDRESS:PORT", requires = "server")]
    source: Vec<SocketAddr>,
    /// Start this program as the appliance
    #[arg(long, value_name = "HAL2TP", conflicts_with_all = ["server", "timeout_s", "print_config"])]
    appliance: Option<PathBuf>,
    /// Kill the appliance after the time of --hold-s, start it again, and give all so many seconds to come back
    #[arg(long, requires = "appliance")]
    back_s: Option<u64>,
    /// Print JSON instead of a table
    #[arg(long, requires = "appliance")]
    json: bool,
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    lacs: u32,
    /// Sessions of all LACs together, spread over them; as many as LACs if not given
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=65_000))]
    sessions: Option<u32>,
    /// So many LACs are the links of a set, the next ones of the next set; none is in a set if not given
    #[arg(long, requires = "appliance", conflicts_with = "sessions", value_parser = clap::value_parser!(u32).range(1..=16))]
    links: Option<u32>,
    /// Elimination window of every set, numbers
    #[arg(long, requires = "links", default_value_t = 262_144)]
    window: u32,
    /// Set-ups under way at a time
    #[arg(long, default_value_t = 100)]
    at_once: usize,
    /// Milliseconds between the LCP echoes of each session; 0 for none
    #[arg(long, default_value_t = 1000)]
    echo_ms: u64,
    /// Seconds without an answered echo after which a LAC dials anew
    #[arg(long, default_value_t = 30)]
    echo_timeout_s: u64,
    /// How long to go on once all are open, seconds
    #[arg(long, default_value_t = 10)]
    hold_s: u64,
    /// Give up after so many seconds
    #[arg(long, default_value_t = 120)]
    timeout_s: u64,
    /// The tunnel secret
    #[arg(long, default_value = "test")]
    secret: String,
    /// The password of every session; the names are lac-0, lac-1, …
    #[arg(long, default_value = "secret")]
    password: String,
    /// Write the configuration of an appliance that so many LACs can log in to, and end
    #[arg(long, conflicts_with_all = ["secret", "password"])]
    print_config: bool,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Arguments {
    /// No LAC is without one.
    fn callers(&self) -> usize {
        self.sessions.unwrap_or(self.lacs).max(self.lacs) as usize
    }

    fn layout(&self) -> Layout {
        Layout {
            callers: self.callers(),
            links: self.links.map(|links| links as usize),
            window: self.window,
            socket: "/run/hal2tp/lns.sock".into(),
        }
    }

    fn plan(&self, server: SocketAddr, sources: Vec<SocketAddr>) -> Plan {
        Plan {
            server,
            sources,
            lacs: self.lacs as usize,
            callers: self.callers(),
            links: self.links.map(|links| links as usize),
            window: self.window,
            at_once: self.at_once,
            hostname: "lacs".to_owned(),
            secret: Some(self.secret.clone()),
            password: self.password.clone(),
            echo_interval: Duration::from_millis(self.echo_ms),
            echo_timeout: Duration::from_secs(self.echo_timeout_s),
        }
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("lacs: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    if arguments.print_config {
        print!("{}", arguments.layout().yaml());
        return Ok(true);
    }
    if let Some(program) = &arguments.appliance {
        return appliance::run(arguments, program);
    }
    let tally = match arguments.server {
        Some(server) => {
            let tally = serve(arguments, server)?;
            report_times(&tally, arguments.callers());
            tally
        }
        None => in_process::run(arguments)?,
    };
    Ok(report(&tally, arguments.callers()))
}

/// Has all log in to somebody's appliance, and holds them.
fn serve(arguments: &Arguments, server: SocketAddr) -> Result<Tally, Box<dyn Error>> {
    let mut sources = arguments.source.clone();
    if sources.is_empty() {
        sources.push("0.0.0.0:0".parse()?);
    }
    let end = Duration::from_secs(arguments.timeout_s);
    let hold = Duration::from_secs(arguments.hold_s);
    let mut teller = Teller::default();
    let plan = arguments.plan(server, sources);
    let tally = socket::run(plan, arguments.seed, |now, fleet| {
        let Tally {
            open, complete_at, ..
        } = *fleet.tally();
        teller.tell(now, open);
        now < end && complete_at.is_none_or(|at| now < at + hold)
    })?;
    Ok(tally)
}

/// Prints how long set-ups took.
fn report_times(tally: &Tally, wanted: usize) {
    let mut times = tally.setup_times.clone();
    times.sort_unstable();
    let quantile = |per_mille: usize| times.get((times.len().max(1) - 1) * per_mille / 1000);
    if let Some(at) = tally.complete_at {
        let per_second = wanted as f64 / at.as_secs_f64();
        println!(
            "all open after {:.2} s: {per_second:.0} set-ups a second",
            at.as_secs_f64()
        );
    }
    if let (Some(median), Some(p99), Some(most)) = (quantile(500), quantile(990), times.last()) {
        println!("a set-up took {median:.1?} (median), {p99:.1?} (p99), {most:.1?} (longest)");
    }
}

/// Prints what became of the fleet; false when not all were open at the end.
fn report(tally: &Tally, wanted: usize) -> bool {
    println!("open: {} of {wanted}", tally.open);
    println!("data messages for nobody: {}", tally.strays);
    for (why, count) in &tally.failures {
        println!("failed {count} times: {why}");
    }
    tally.open == wanted
}
