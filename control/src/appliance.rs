//! The running appliance: it carries the engine's outputs to the workers and
//! the workers' events to the engine, in one control thread.

mod answers;
mod status;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dataplane::command::{PortId, TableId};
use dataplane::{Dataplane, Encapsulation, StartError};

use crate::alarms::{Alarms, Teller};
use crate::capture::Lease;
use crate::config::{self, Config};
use crate::cores;
use crate::engine::{Engine, Output, PortFacts};
use crate::management::request;
use crate::management::socket::{self, ServeError};
use crate::monitor::{Board, Events, Historian, History, Monitor};
use crate::resolver::Resolver;
use crate::web;
use status::Askers;

/// The control thread sleeps so long when nothing happened: short against any
/// protocol timer, long enough to cost nothing.
const IDLE_SLEEP: Duration = Duration::from_millis(1);
/// How often the ports' links are looked at. Asking may be a system call.
const LINK_PERIOD: Duration = Duration::from_millis(100);
/// How long the workers have to send the last packets.
const FAREWELL: Duration = Duration::from_millis(20);
/// How long a clean stop waits for the peers to acknowledge.
const SHUTDOWN_MAX: Duration = Duration::from_secs(2);

/// Why the appliance did not start or did not go on.
#[derive(Debug)]
pub enum RunError {
    Dataplane(StartError),
    Management(ServeError),
    Http(web::StartError),
    Signals(std::io::Error),
    /// There is no thread for the readings.
    Monitor(std::io::Error),
    /// There are no threads for events and alarms.
    Alarms(std::io::Error),
    /// The system's source of randomness failed: ids would be predictable.
    Randomness(String),
    /// A worker ended by itself: its queues are served by nobody.
    WorkerEnded,
}

impl std::fmt::Display for RunError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dataplane(error) => write!(formatter, "{error}"),
            Self::Management(error) => write!(formatter, "{error}"),
            Self::Http(error) => write!(formatter, "{error}"),
            Self::Signals(error) => write!(formatter, "cannot watch for signals: {error}"),
            Self::Monitor(error) => write!(formatter, "cannot watch the links: {error}"),
            Self::Alarms(error) => write!(formatter, "cannot tell what happens: {error}"),
            Self::Randomness(error) => {
                write!(formatter, "no random numbers from the system: {error}")
            }
            Self::WorkerEnded => write!(formatter, "a worker has died: nothing serves its queues"),
        }
    }
}

impl std::error::Error for RunError {}

/// Runs the appliance until SIGTERM or SIGINT. On SIGHUP and when asked to it reads `file`
/// again, from which `config` came.
///
/// # Errors
/// When a port, the memory, the management socket or an address for HTTP cannot
/// be had, and when a worker dies.
pub fn run(config: Config, file: &Path) -> Result<(), RunError> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(RunError::Signals)?;
    }
    let hang_up = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::clone(&hang_up))
        .map_err(RunError::Signals)?;
    let seed = random_seed()?;
    // Before there are other threads. The workers pin themselves.
    if let Err(error) = cores::leave_to(&config.dataplane.workers) {
        log::warn!("other threads may run on the workers' cores: {error}");
    }
    // First, because it is quick to say no: whoever asks meanwhile waits a moment.
    let (asker, requests) = request::channel();
    let asker = asker.of_file(file.to_owned());
    let reloader = asker.clone();
    let events = Arc::<Events>::default();
    let directory = config.management.history.clone();
    let (historian, history) =
        Historian::start(directory, Arc::clone(&events)).map_err(RunError::Monitor)?;
    let known = socket::Known {
        asker: asker.clone(),
        events: Arc::clone(&events),
        history: history.clone(),
    };
    let _server =
        socket::Server::start(&config.management.socket, known).map_err(RunError::Management)?;
    let board = Arc::new(Board::default());
    let sources = web::Sources {
        board: Arc::clone(&board),
        events: Arc::clone(&events),
        history: history.clone(),
        asker: asker.clone(),
    };
    let http = config.management.http.as_ref();
    let http = http.map(|http| web::Server::start(http, sources));
    let http = http.transpose().map_err(RunError::Http)?;
    let dataplane = Dataplane::start(dataplane_config(&config)).map_err(RunError::Dataplane)?;
    log_start(&config, &dataplane);
    let _monitor = Monitor::start(asker, board, history.clone()).map_err(RunError::Monitor)?;
    let (teller, mut alarms) = Alarms::start(&config, events).map_err(RunError::Alarms)?;
    let mut appliance = Appliance::new(config, dataplane, seed, teller, history);
    let mut askers = Askers::default();
    let last = EndsWithIt;
    let ended = until_stopped(&stop, || {
        if !appliance.dataplane.is_running() {
            return Err(RunError::WorkerEnded);
        }
        if hang_up.swap(false, Ordering::Relaxed) {
            reloader.reload_in_background();
        }
        let began = Instant::now();
        let busy = appliance.turn();
        let took = began.elapsed();
        for request in requests.try_iter() {
            appliance.answer(request, &mut askers, &mut alarms);
        }
        let wrote = appliance.write_status(&mut askers, &alarms, took);
        Ok(busy || wrote)
    });
    drop(last);
    // Nobody is answered any longer: whoever asks, or has asked, learns that at once.
    drop((requests, askers));
    if ended.is_ok() {
        log::info!("stopping: clearing the tunnels");
        appliance.shut_down();
        alarms.finish();
    } else {
        // Their threads end with the process: neither browsers nor the disk are waited for now.
        std::mem::forget((http, historian));
    }
    // A dead worker carries nothing out: the peers see the silence soonest
    // when the process ends at once, and its supervisor starts it anew.
    ended
}

/// A panic of the control thread ends the process there and then: other threads would first be waited for, which takes seconds, and the
/// supervisor starts it anew only after that.
struct EndsWithIt;

impl Drop for EndsWithIt {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// Turns until told to stop or until a turn fails; sleeps when a turn had nothing to do.
fn until_stopped(
    stop: &AtomicBool,
    mut turn: impl FnMut() -> Result<bool, RunError>,
) -> Result<(), RunError> {
    while !stop.load(Ordering::Relaxed) {
        if !turn()? {
            std::thread::sleep(IDLE_SLEEP);
        }
    }
    Ok(())
}

struct Appliance {
    started: Instant,
    dataplane: Dataplane,
    engine: Engine,
    resolver: Resolver,
    teller: Teller,
    history: History,
    outbox: Outbox,
    last_command: u64,
    ports: Vec<PortLink>,
    /// The core of each worker.
    workers: Vec<Option<u32>>,
    next_link_check: Duration,
    capture: Lease,
}

/// Packets that wait until every worker has applied the command before them.
#[derive(Default)]
struct Outbox {
    held: VecDeque<Held>,
}

impl Outbox {
    /// The next packet that may leave; one that waits holds those behind it.
    fn next(&mut self, applied: u64) -> Option<Held> {
        let first = self.held.front()?;
        if first.behind > applied {
            return None;
        }
        self.held.pop_front()
    }
}

struct Held {
    behind: u64,
    what: Packet,
}

enum Packet {
    /// To be routed in a table.
    Ip { table: TableId, packet: Vec<u8> },
    /// A whole Ethernet frame.
    Frame { port: PortId, frame: Vec<u8> },
}

struct PortLink {
    id: PortId,
    name: String,
    /// As the configuration has it.
    device: String,
    up: Option<bool>,
}

impl Appliance {
    fn new(
        config: Config,
        dataplane: Dataplane,
        seed: [u8; 32],
        teller: Teller,
        history: History,
    ) -> Self {
        let logical = config.logical_ports().logical;
        let carriers = config.ports.iter().map(|_| None);
        let carriers = carriers.chain(logical.iter().map(|port| Some(port.carrier)));
        let facts: Vec<PortFacts> = dataplane
            .ports()
            .iter()
            .zip(carriers)
            .map(|(port, carrier)| PortFacts {
                id: port.id,
                mac: port.mac,
                mtu: port.mtu,
                carrier,
            })
            .collect();
        let devices = config.ports.iter().map(|port| port.device.to_string());
        let devices = devices.chain(logical.iter().map(|port| {
            let carrier = &dataplane.ports()[usize::from(port.carrier.0)].name;
            match port.encapsulation {
                Encapsulation::Vlan(vlan) => format!("VLAN {vlan} of {carrier}"),
                Encapsulation::Pppoe => format!("PPPoE on {carrier}"),
            }
        }));
        let ports = dataplane
            .ports()
            .iter()
            .zip(devices)
            .map(|(port, device)| PortLink {
                id: port.id,
                name: port.name.clone(),
                device,
                up: None,
            })
            .collect();
        let workers = config.dataplane.workers.clone();
        Self {
            started: Instant::now(),
            engine: Engine::new(Duration::ZERO, config, facts, seed),
            dataplane,
            resolver: Resolver::new(),
            teller,
            history,
            outbox: Outbox::default(),
            last_command: 0,
            ports,
            workers,
            next_link_check: Duration::ZERO,
            capture: Lease::default(),
        }
    }

    /// One turn of the control thread. Says whether anything happened.
    fn turn(&mut self) -> bool {
        let now = self.started.elapsed();
        if now >= self.next_link_check {
            self.next_link_check = now + LINK_PERIOD;
            self.follow_links(now);
            if self.capture.expire(now) {
                log::warn!("a capture ends: it is not read");
                self.dataplane.end_capture();
            }
            // What was withheld is said though nobody says more.
            log::logger().flush();
        }
        let engine = &mut self.engine;
        let events = self
            .dataplane
            .poll(&mut |event| engine.handle_event(now, event));
        if self.engine.next_timeout().is_some_and(|due| due <= now) {
            self.engine.handle_timeout(now);
        }
        let mut answers = 0;
        while let Some((lookup, addresses)) = self.resolver.answer() {
            answers += 1;
            self.engine.handle_resolved(now, lookup, addresses);
        }
        let outputs = self.carry_out();
        self.engine.handle_applied(now, self.dataplane.applied());
        let released = self.release();
        events + answers + outputs + released > 0
    }

    fn follow_links(&mut self, now: Duration) {
        for port in &mut self.ports {
            let up = self.dataplane.link_up(port.id);
            if port.up.replace(up) != Some(up) {
                log::info!(
                    "port {}: link {}",
                    port.name,
                    if up { "up" } else { "down" }
                );
                self.engine.handle_port_link(now, port.id, up);
            }
        }
    }

    fn carry_out(&mut self) -> usize {
        let mut count = 0;
        while let Some(output) = self.engine.poll_output() {
            count += 1;
            match output {
                Output::Command(command) => self.last_command = self.dataplane.command(command),
                Output::Ip { table, packet } => self.hold(Packet::Ip { table, packet }),
                Output::LineFrame { port, frame } => self.hold(Packet::Frame { port, frame }),
                Output::Resolve { lookup, name } => self.resolver.ask(lookup, name),
                Output::Frame { port, frame } => self.dataplane.send_frame(port, &frame),
                Output::Happened(happening) => self.teller.tell(*happening),
                Output::Neighbour {
                    interface,
                    mac,
                    packet,
                } => {
                    self.dataplane.send_on_interface(interface, mac, &packet);
                }
            }
        }
        count
    }

    fn hold(&mut self, what: Packet) {
        let behind = self.last_command;
        self.outbox.held.push_back(Held { behind, what });
    }

    /// Lets the packets go whose commands every worker has applied.
    fn release(&mut self) -> usize {
        let applied = self.dataplane.applied();
        let mut count = 0;
        while let Some(held) = self.outbox.next(applied) {
            match held.what {
                Packet::Ip { table, packet } => self.dataplane.send_ip(table, &packet),
                Packet::Frame { port, frame } => self.dataplane.send_frame(port, &frame),
            }
            count += 1;
        }
        count
    }

    fn shut_down(mut self) {
        let began = self.started.elapsed();
        self.engine.shutdown(began);
        while !self.engine.is_shut_down() && self.started.elapsed() < began + SHUTDOWN_MAX {
            if !self.turn() {
                std::thread::sleep(IDLE_SLEEP);
            }
        }
        let farewell = self.started.elapsed();
        self.engine.release(farewell);
        while self.started.elapsed() < farewell + FAREWELL {
            self.turn();
            std::thread::sleep(IDLE_SLEEP);
        }
        self.dataplane.stop();
    }
}

fn random_seed() -> Result<[u8; 32], RunError> {
    let mut seed = [0; 32];
    rand::TryRngCore::try_fill_bytes(&mut rand::rngs::OsRng, &mut seed)
        .map_err(|error| RunError::Randomness(error.to_string()))?;
    Ok(seed)
}

fn log_start(config: &Config, dataplane: &Dataplane) {
    log::info!(
        "{}: {} workers, {}",
        config.name,
        config.dataplane.workers.len(),
        if dataplane.uses_hugepages() {
            "hugepages"
        } else {
            "no hugepages (--no-huge)"
        }
    );
}

fn dataplane_config(config: &Config) -> dataplane::Config {
    dataplane::Config {
        program: format!("hal2tp-{}", config.name),
        workers: config.dataplane.workers.clone(),
        poll: match config.dataplane.poll {
            config::Poll::Adaptive => dataplane::Poll::Adaptive,
            config::Poll::Busy => dataplane::Poll::Busy,
        },
        hugepages: match config.dataplane.hugepages {
            config::HugePages::Auto => dataplane::HugePages::Auto,
            config::HugePages::Yes => dataplane::HugePages::Yes,
            config::HugePages::No => dataplane::HugePages::No,
        },
        memory_mib: config.dataplane.memory_mib,
        largest_packet_octets: config.largest_packet_octets(),
        ordering: config.puts_into_order(),
        ports: config
            .ports
            .iter()
            .map(|port| dataplane::PortSpec {
                name: port.name.clone(),
                device: match &port.device {
                    config::Device::Pci(address) => dataplane::Device::Pci(address.clone()),
                    config::Device::Interface(name) => dataplane::Device::Interface(name.clone()),
                    config::Device::Vdev(arguments) => dataplane::Device::Vdev(arguments.clone()),
                },
                queues: port.queues,
            })
            .collect(),
        logical_ports: config.logical_ports().logical,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What lets a peer send leaves not before every worker is ready, and in order.
    #[test]
    fn a_packet_waits_for_the_commands_before_it() {
        let held = |behind| Held {
            behind,
            what: Packet::Ip {
                table: TableId(0),
                packet: vec![behind as u8],
            },
        };
        let mut outbox = Outbox {
            held: [held(5), held(5), held(9), held(9)].into(),
        };
        let mut leave = |applied| {
            std::iter::from_fn(|| outbox.next(applied))
                .map(|held| held.behind)
                .collect::<Vec<_>>()
        };
        assert!(leave(4).is_empty());
        assert_eq!(leave(5), [5, 5]);
        assert!(leave(8).is_empty());
        assert_eq!(leave(9), [9, 9]);
    }

    #[test]
    fn a_dead_worker_ends_the_appliance() {
        let stop = AtomicBool::new(false);
        let mut turns = 0;
        let ended = until_stopped(&stop, || {
            turns += 1;
            match turns {
                3 => Err(RunError::WorkerEnded),
                _ => Ok(true),
            }
        });
        assert!(matches!(ended, Err(RunError::WorkerEnded)), "{ended:?}");
        assert_eq!(turns, 3);
    }

    /// In a process of its own, which is this test again.
    #[test]
    fn a_panic_of_the_control_thread_ends_the_process_at_once() {
        use std::os::unix::process::ExitStatusExt as _;
        const INNER: &str = "HAL2TP_TEST_PANIC";
        const NAME: &str =
            "appliance::tests::a_panic_of_the_control_thread_ends_the_process_at_once";
        if std::env::var_os(INNER).is_some() {
            let _last = EndsWithIt;
            panic!("as a bug would");
        }
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        let again = again.args(["--exact", NAME]).env(INNER, "1").output();
        let status = again.unwrap().status;
        assert_eq!(
            status.signal(),
            Some(signal_hook::consts::SIGABRT),
            "{status}"
        );
    }

    #[test]
    fn a_signal_ends_it_without_an_error() {
        let stop = AtomicBool::new(false);
        let ended = until_stopped(&stop, || {
            stop.store(true, Ordering::Relaxed);
            Ok(false)
        });
        assert!(ended.is_ok(), "{ended:?}");
    }
}
