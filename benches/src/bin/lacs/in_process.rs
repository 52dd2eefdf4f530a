//! The fleet and the appliance's control plane in one process. Workers are
//! left out: commands count as carried out, and packets go across at once.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use control::config::Config;
use control::engine::{Engine, Output, PortFacts};
use dataplane::command::{Command, PortId, SessionId, TableId};
use dataplane::event::Event;

use crate::Arguments;
use crate::configuration::{LACS, Layout, SERVER};
use crate::fleet::{Datagram, Fleet, Tally};

const TABLE: TableId = TableId(1);
/// IPv4 without options, and UDP.
const IP_UDP_OCTETS: usize = 28;
const SEED: [u8; 32] = [7; 32];
/// In virtual time: the engine waits for nobody.
const STEP: Duration = Duration::from_millis(1);

/// An engine whose workers are a table of sessions.
struct Appliance {
    engine: Engine,
    commands: u64,
    sessions: HashMap<(u16, u16), SessionId>,
    /// Time spent in the engine.
    busy: Duration,
}

impl Appliance {
    fn new(config: Config) -> Self {
        let port = PortFacts {
            id: PortId(0),
            mac: [2, 0, 0, 0, 0, 1],
            mtu: 1500,
            carrier: None,
        };
        Self {
            engine: Engine::new(Duration::ZERO, config, vec![port], SEED),
            commands: 0,
            sessions: HashMap::new(),
            busy: Duration::ZERO,
        }
    }

    fn timed<T>(&mut self, work: impl FnOnce(&mut Engine) -> T) -> T {
        let started = Instant::now();
        let done = work(&mut self.engine);
        self.busy += started.elapsed();
        done
    }

    fn handle(&mut self, now: Duration, datagram: &Datagram) {
        let Datagram {
            source,
            destination,
            payload,
        } = datagram;
        if payload[0] & 0x80 != 0 {
            let event: Event<Vec<u8>> = Event::L2tpControl {
                table: TABLE,
                source: *source,
                destination: *destination,
                payload: payload.clone(),
            };
            self.timed(|engine| engine.handle_event(now, event));
            return;
        }
        let word = |at: usize| u16::from_be_bytes([payload[at], payload[at + 1]]);
        let Some(&session) = self.sessions.get(&(word(2), word(4))) else {
            return;
        };
        let event: Event<Vec<u8>> = Event::Ppp {
            session,
            source: *source,
            frame: payload[8..].to_vec(),
        };
        self.timed(|engine| engine.handle_event(now, event));
    }

    /// Carries out what the engine wants; gives what goes to the LACs.
    fn outputs(&mut self, now: Duration, to_lacs: &mut Vec<Vec<u8>>) {
        while let Some(output) = self.timed(Engine::poll_output) {
            match output {
                Output::Command(command) => {
                    self.commands += 1;
                    self.take_command(&command);
                    let commands = self.commands;
                    self.timed(|engine| engine.handle_applied(now, commands));
                }
                Output::Ip { packet, .. } => to_lacs.push(packet[IP_UDP_OCTETS..].to_vec()),
                Output::Frame { .. }
                | Output::LineFrame { .. }
                | Output::Neighbour { .. }
                | Output::Resolve { .. }
                | Output::Happened(_) => {}
            }
        }
    }

    fn take_command(&mut self, command: &Command) {
        if let Command::SetSession(spec) = command {
            let ids = (spec.local_tunnel, spec.local_session);
            self.sessions.insert(ids, spec.id);
        }
    }
}

/// Has all LACs log in, and holds them for `hold_s` of virtual time.
///
/// # Errors
/// When the configuration is refused.
pub(crate) fn run(arguments: &Arguments) -> Result<Tally, Box<dyn Error>> {
    let before_kib = resident_kib()?;
    let config = load(&arguments.layout())?;
    let mut appliance = Appliance::new(config);
    let server = SocketAddr::new(SERVER.into(), 1701);
    let source = SocketAddr::new(LACS.into(), 1701);
    let mut fleet = Fleet::new(arguments.plan(server, vec![source]), arguments.seed);
    let mut now = Duration::ZERO;
    let mut until_open = None;
    let end = Duration::from_secs(arguments.timeout_s);
    let hold = Duration::from_secs(arguments.hold_s);
    while now < end && until_open.is_none_or(|(at, _)| now < at + hold) {
        turn(now, &mut fleet, &mut appliance);
        if fleet.tally().complete_at.is_some() && until_open.is_none() {
            until_open = Some((now, appliance.busy));
        }
        now += STEP;
    }
    if let Some((_, busy)) = until_open {
        let rate = arguments.callers() as f64 / busy.as_secs_f64();
        println!("in the engine: {busy:.2?} for all set-ups, {rate:.0} a second of its time");
    }
    if let Some((at, busy)) = until_open
        && now > at + STEP
    {
        let load = (appliance.busy - busy).as_secs_f64() / (now - at).as_secs_f64();
        println!(
            "then {:.1} % of a core; echoes of the LACs every {} ms, of the appliance every second",
            load * 100.0,
            arguments.echo_ms
        );
    }
    println!(
        "resident: {} MiB, LACs included",
        (resident_kib()? - before_kib) / 1024
    );
    Ok(fleet.tally().clone())
}

/// Everything that is due now, until nothing more is said.
fn turn(now: Duration, fleet: &mut Fleet, appliance: &mut Appliance) {
    fleet.handle_timeout(now);
    if appliance
        .engine
        .next_timeout()
        .is_some_and(|due| due <= now)
    {
        appliance.timed(|engine| engine.handle_timeout(now));
    }
    let mut to_lacs = Vec::new();
    loop {
        appliance.outputs(now, &mut to_lacs);
        let mut idle = to_lacs.is_empty();
        for payload in to_lacs.drain(..) {
            fleet.handle_datagram(now, SocketAddr::new(LACS.into(), 1701), &payload);
        }
        while let Some(datagram) = fleet.poll_output() {
            idle = false;
            appliance.handle(now, &datagram);
        }
        if idle {
            return;
        }
    }
}

fn load(layout: &Layout) -> Result<Config, Box<dyn Error>> {
    let loaded = Config::parse("the LACs' configuration", &layout.yaml());
    loaded.map(|(config, _)| config).map_err(|problems| {
        let lines: Vec<String> = problems.iter().take(5).map(ToString::to_string).collect();
        lines.join("\n").into()
    })
}

/// Memory of this process (proc(5), `VmRSS`), KiB.
fn resident_kib() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no VmRSS in /proc/self/status")?.parse()?)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn all_log_in_and_stay() {
        let arguments = ["lacs", "--lacs", "150", "--hold-s", "3"];
        let tally = run(&Arguments::parse_from(arguments)).unwrap();
        assert_eq!((tally.open, tally.strays), (150, 0));
        assert!(tally.failures.is_empty(), "{:?}", tally.failures);
        assert_eq!(tally.setup_times.len(), 150);
    }

    #[test]
    fn a_lac_may_have_several_sessions() {
        let arguments = ["lacs", "--lacs", "40", "--sessions", "130", "--hold-s", "3"];
        let tally = run(&Arguments::parse_from(arguments)).unwrap();
        assert_eq!((tally.open, tally.strays), (130, 0));
        assert!(tally.failures.is_empty(), "{:?}", tally.failures);
    }

    #[test]
    fn a_wrong_password_opens_nothing_and_says_why() {
        let arguments = [
            "lacs",
            "--lacs",
            "3",
            "--hold-s",
            "1",
            "--timeout-s",
            "3",
            "--password",
            "wrong",
        ];
        let tally = run(&Arguments::parse_from(arguments)).unwrap();
        assert_eq!(tally.open, 0);
        let why: Vec<_> = tally.failures.keys().collect();
        assert!(
            why.iter().any(|why| why.contains("authentication of")),
            "{why:?}"
        );
    }
}
