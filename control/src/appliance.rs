//! The running appliance: it carries the engine's outputs to the workers and
//! the workers' events to the engine, in one control thread.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dataplane::command::{PortId, TableId};
use dataplane::counters::{Drop, PortCounters};
use dataplane::{Dataplane, DeviceCounters, Encapsulation, PortInfo, StartError};

use crate::alarms::{Alarms, Teller};
use crate::capture::{Capturing, Lease, Names, Wanted, names};
use crate::config::{self, Config, Reloaded};
use crate::cores;
use crate::engine::{Engine, Happening, MaskRefusal, Output, PortFacts, What, display_mac};
use crate::management::reload::Wanted as Reload;
use crate::management::request::{self, Answer, Question, Request};
use crate::management::socket::{self, ServeError};
use crate::management::status::{self, LinkState, Status};
use crate::monitor::{Board, Events, Historian, History, Monitor};
use crate::resolver::Resolver;
use crate::web;

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
    let last = EndsWithIt;
    let ended = until_stopped(&stop, || {
        if !appliance.dataplane.is_running() {
            return Err(RunError::WorkerEnded);
        }
        if hang_up.swap(false, Ordering::Relaxed) {
            reloader.reload_in_background();
        }
        let busy = appliance.turn();
        for request in requests.try_iter() {
            appliance.answer(&request, &mut alarms);
        }
        Ok(busy)
    });
    drop(last);
    // Nobody is answered any longer: whoever asks learns that at once.
    drop(requests);
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

impl std::ops::Drop for EndsWithIt {
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

    fn answer(&mut self, request: &Request, alarms: &mut Alarms) {
        let answer = self.answer_to(&request.command, alarms);
        let began = match &answer {
            Answer::Capturing(capturing) => Some(capturing.id),
            _ => None,
        };
        if !request.answer(answer)
            && let Some(id) = began
        {
            // Nobody would end it.
            self.end_capture(id);
        }
    }

    fn answer_to(&mut self, question: &Question, alarms: &mut Alarms) -> Answer {
        match question {
            Question::Status => Answer::Status(Box::new(Status {
                events: alarms.counts(),
                alarms: alarms.notifiers(),
                ..self.status()
            })),
            Question::Capture(wanted) => match self.start_capture(wanted) {
                Ok(capturing) => Answer::Capturing(Box::new(capturing)),
                Err(why) => Answer::Refused(why),
            },
            Question::CaptureNames(id) => {
                if self.capture.renew(*id, self.started.elapsed()) {
                    Answer::CaptureNames(Box::new(self.names()))
                } else {
                    Answer::Refused("the capture has ended: it was not read".to_owned())
                }
            }
            Question::EndCapture(id) => {
                self.end_capture(*id);
                Answer::CaptureEnded
            }
            Question::Kick(name) => match self.engine.kick(self.started.elapsed(), name) {
                Ok(kicked) => Answer::Kicked(kicked),
                Err(why) => Answer::Refused(why),
            },
            Question::Mask { name, for_s } => {
                let (now, time) = (self.started.elapsed(), Duration::from_secs(*for_s));
                match self.engine.mask(now, name, time) {
                    Ok(masked) => Answer::Masked(masked),
                    Err(why @ MaskRefusal::NotNow(_)) => Answer::NotNow(why.to_string()),
                    Err(why) => Answer::Refused(why.to_string()),
                }
            }
            Question::Unmask(name) => match self.engine.unmask(self.started.elapsed(), name) {
                Ok(unmasked) => Answer::Unmasked(unmasked),
                Err(why) => Answer::Refused(why),
            },
            Question::Reload(wanted) => match self.reload(wanted, alarms) {
                Ok(reloaded) => Answer::Reloaded(Box::new(reloaded)),
                Err(why) => Answer::Refused(why),
            },
        }
    }

    /// Follows another configuration, and tells what came of it.
    fn reload(&mut self, wanted: &Reload, alarms: &mut Alarms) -> Result<Reloaded, String> {
        let done = self.follow(wanted, alarms);
        if !wanted.dry_run {
            self.teller.tell(Happening {
                link: None,
                set: None,
                what: match &done {
                    Ok(reloaded) => What::Reloaded(cut(reloaded.lines().join("; "))),
                    Err(why) => What::ReloadRefused(cut(first_error(why).to_owned())),
                },
            });
        }
        done
    }

    /// All of it or, if anything is in the way, nothing.
    fn follow(&mut self, wanted: &Reload, alarms: &mut Alarms) -> Result<Reloaded, String> {
        let read = wanted.read.as_ref().map_err(Clone::clone)?;
        let in_file = |why: String| format!("{}: {why}", read.file);
        let difference = self.engine.difference(&read.config).map_err(in_file)?;
        let reloaded = Reloaded {
            dry_run: wanted.dry_run,
            warnings: read.warnings.clone(),
            ..difference.reloaded.clone()
        };
        if !wanted.dry_run && !reloaded.unchanged {
            alarms
                .follow(&self.teller, &read.config)
                .map_err(|error| format!("the alarms cannot be changed: {error}"))?;
            let config = Config::clone(&read.config);
            self.engine
                .reload(self.started.elapsed(), config, &difference);
        }
        Ok(reloaded)
    }

    fn end_capture(&mut self, id: u64) {
        if self.capture.end(id) {
            self.dataplane.end_capture();
        }
    }

    /// Has the workers note what is wanted from now on.
    fn start_capture(&mut self, wanted: &Wanted) -> Result<Capturing, String> {
        self.engine.check_capture(wanted)?;
        let ports = wanted.ports.iter().map(|name| self.port_named(name));
        let ports: Vec<PortId> = ports.collect::<Result<_, _>>()?;
        let id = self
            .capture
            .take(self.started.elapsed())
            .ok_or("another capture is on, and there is one at a time")?;
        log::info!("a capture begins");
        Ok(Capturing {
            id,
            spec: self.dataplane.start_capture(&ports, wanted.snap_octets),
            names: self.names(),
        })
    }

    fn port_named(&self, name: &str) -> Result<PortId, String> {
        let port = self.ports.iter().find(|port| port.name == name);
        port.map(|port| port.id).ok_or_else(|| {
            let names: Vec<&str> = self.ports.iter().map(|port| port.name.as_str()).collect();
            format!(
                "no port is called {name:?}; there are: {}",
                names.join(", ")
            )
        })
    }

    /// The names of what a capture sees.
    fn names(&self) -> Names {
        let port = |link: &PortLink| names::Port {
            name: link.name.clone(),
            description: link.device.clone(),
        };
        Names {
            ports: self.ports.iter().map(port).collect(),
            ..self.engine.capture_names()
        }
    }

    fn status(&self) -> Status {
        let mut status = self.engine.status(self.started.elapsed());
        status.dataplane = status::Dataplane {
            dpdk_version: self
                .dataplane
                .dpdk_version()
                .trim_start_matches("DPDK ")
                .to_owned(),
            hugepages: self.dataplane.uses_hugepages(),
            workers: self
                .workers
                .iter()
                .map(|&core| status::Worker { core })
                .collect(),
            drops: drops_of(&self.dataplane.control_counters()),
        };
        status.ports = self
            .ports
            .iter()
            .zip(self.dataplane.ports())
            .map(|(link, port)| self.port(link, port))
            .collect();
        status.history = self.history.status();
        status
    }

    fn port(&self, link: &PortLink, port: &PortInfo) -> status::Port {
        let workers = self.dataplane.port_counters(port.id);
        let total =
            |read: fn(&PortCounters) -> u64| workers.iter().map(|counters| read(counters)).sum();
        let mut drops = drops_of(workers);
        drops.extend(device_drops(self.dataplane.device_counters(port.id)));
        status::Port {
            name: port.name.clone(),
            device: link.device.clone(),
            driver: port.driver.clone(),
            mac: display_mac(port.mac),
            link: if link.up == Some(true) {
                LinkState::Up
            } else {
                LinkState::Down
            },
            mtu: port.mtu,
            received_packets: total(|counters| counters.received_packets.read()),
            received_octets: total(|counters| counters.received_octets.read()),
            sent_packets: total(|counters| counters.sent_packets.read()),
            sent_octets: total(|counters| counters.sent_octets.read()),
            punted_packets: total(|counters| counters.punted_packets.read()),
            reassembled_packets: total(|counters| counters.reassembled_packets.read()),
            reassembled_fragments: total(|counters| counters.reassembled_fragments.read()),
            drops,
            per_worker: workers
                .iter()
                .map(|worker| status::PortWorker {
                    drops: drops_of(std::slice::from_ref(worker)),
                })
                .collect(),
        }
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

/// The first of what is wrong with a file, warnings left out; whoever asked is told all of it.
fn first_error(why: &str) -> &str {
    let error = why.lines().find(|line| line.contains(": error: "));
    error.or_else(|| why.lines().next()).unwrap_or_default()
}

/// What an event says, short enough for the smallest pipe and datagram.
fn cut(mut text: String) -> String {
    const LONGEST_OCTETS: usize = 800;
    if text.len() > LONGEST_OCTETS {
        let mut ends = (0..=LONGEST_OCTETS).rev();
        let end = ends.find(|&end| text.is_char_boundary(end));
        text.truncate(end.unwrap_or_default());
        text.push_str("...");
    }
    text
}

/// What all workers dropped, by reason; reasons with none are left out.
fn drops_of(workers: &[Arc<PortCounters>]) -> BTreeMap<String, u64> {
    let count = |reason| -> u64 {
        let counters = workers.iter();
        counters.map(|counters| counters.drops.read(reason)).sum()
    };
    let named = |&reason: &Drop| (reason.name().to_owned(), count(reason));
    let all = Drop::ALL.iter().map(named);
    all.filter(|&(_, count)| count > 0).collect()
}

/// What the device dropped before a worker saw it, or after.
fn device_drops(counters: DeviceCounters) -> impl Iterator<Item = (String, u64)> {
    [
        ("device-receive-missed", counters.receive_missed_packets),
        ("device-receive-errors", counters.receive_errors),
        ("device-no-buffer", counters.receive_no_buffer),
        ("device-send-errors", counters.send_errors),
    ]
    .into_iter()
    .filter(|&(_, count)| count > 0)
    .map(|(name, count)| (name.to_owned(), count))
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
    use crate::management::drops::reasons;

    #[test]
    fn what_an_event_says_is_cut_between_letters() {
        assert_eq!(cut("ä".repeat(400)), "ä".repeat(400));
        let cut = cut(format!("x{}", "ä".repeat(400)));
        assert_eq!(cut, format!("x{}...", "ä".repeat(399)));
    }

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
    fn of_a_file_that_is_refused_the_first_error_is_told() {
        let found = "x:1:2: warning: a: odd\n    b\nx:3:4: error: c: wrong\n    d\n1 error";
        assert_eq!(first_error(found), "x:3:4: error: c: wrong");
        assert_eq!(first_error("x: ports: changed"), "x: ports: changed");
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
    fn what_a_device_drops_has_a_name() {
        let counters = DeviceCounters {
            receive_missed_packets: 7,
            send_errors: 2,
            ..DeviceCounters::default()
        };
        let drops: Vec<_> = device_drops(counters).collect();
        let expected = [("device-receive-missed", 7), ("device-send-errors", 2)];
        assert_eq!(
            drops,
            expected.map(|(name, count)| (name.to_owned(), count))
        );
        let all = device_drops(DeviceCounters {
            receive_missed_packets: 1,
            receive_errors: 1,
            receive_no_buffer: 1,
            send_errors: 1,
        });
        let words: Vec<String> = all.map(|(word, _)| word).collect();
        assert_eq!(words, reasons::DEVICE.map(|(word, _)| word));
    }

    #[test]
    fn drops_of_all_workers_are_added_up() {
        let workers: Vec<Arc<PortCounters>> = vec![Arc::default(), Arc::default()];
        workers[0].drops.add(Drop::NoRoute, 1);
        workers[1].drops.add(Drop::NoRoute, 2);
        workers[1].drops.add(Drop::TxRingFull, 4);
        let expected = [("no-route", 3), ("tx-ring-full", 4)];
        let expected = expected.map(|(name, count)| (name.to_owned(), count));
        assert_eq!(drops_of(&workers), expected.into());
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
