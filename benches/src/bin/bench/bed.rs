//! Appliances whose ports all end at a tester, or at each other: real processes over shared memory, without a kernel's
//! network between them.
//!
//! ```text
//! Alone     tester ── lan A link i ── tester ── link i B lan ── tester     B is stopped once the tunnels are up
//! Pair      tester ── lan A link i ───────────── link i B lan ── tester
//! Forward   tester ── lan A lan2 ── tester                                  no tunnels
//! Testpmd   the same with testpmd for A: what wire and machine take by themselves
//! ```
//!
//! Neighbours are static: a tester need not answer for any address. A bed is up when [`Bed::wait_until_set_up`] says so.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use benches::lab::Programs;
use benches::process::Process;
use benches::status::Status;
use nix::sys::signal::Signal;

pub(crate) use addresses::{Flow, Mac, Site};
pub(crate) use guard::Watched;
pub(crate) use wires::Wire;

use guard::Guard;
use site::PortLine;

mod addresses;
mod guard;
mod site;
mod testpmd;
#[cfg(test)]
mod tests;
mod wires;

/// What ends where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Every port of A ends at the tester, who forwards between A's links and B's until the tunnels are up.
    Alone,
    /// The links of A and B are wired to each other.
    Pair,
    /// A alone, with two LANs between which it routes.
    Forward,
    /// In A's place stands testpmd, with this forwarding mode.
    Testpmd(&'static str),
}

/// What a worker with nothing to do does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Poll {
    Busy,
    Adaptive,
}

/// What to build. Start from [`Plan::new`].
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) shape: Shape,
    pub(crate) wire: Wire,
    /// Of each set: a tunnel each, over an ISP port each.
    pub(crate) links: usize,
    /// All over the same ISP ports; 4000 at most.
    pub(crate) sets: usize,
    /// CPUs of A's workers.
    pub(crate) workers: Vec<u32>,
    /// CPUs of B's workers, when it is measured too.
    pub(crate) peer_workers: Vec<u32>,
    /// Of what is measured.
    pub(crate) poll: Poll,
    /// Whether what is measured has to have hugepages; if not, it does not use them.
    pub(crate) hugepages: bool,
    pub(crate) udp_checksum: bool,
    /// Packet numbers of each set's window.
    pub(crate) window: u64,
}

/// A wire that ends at the tester.
#[derive(Clone, Debug)]
pub(crate) struct TesterPort {
    /// `a-link1`, `b-link1`, `a-lan`, `b-lan` (which is A's second on a bed without tunnels).
    pub(crate) name: String,
    /// What the tester gives to DPDK for it; ports are numbered in the order of [`Bed::tester_ports`].
    pub(crate) vdev: String,
}

/// Appliances that run. Dropping it ends them and removes everything.
pub(crate) struct Bed {
    plan: Plan,
    appliances: Vec<Appliance>,
    tester_ports: Vec<TesterPort>,
    programs: Programs,
    // Last: fields are dropped in order, and it removes what the others used.
    guard: Guard,
}

struct Appliance {
    site: Site,
    process: Process,
    is_frozen: bool,
    _watched: Watched,
}

/// Until an appliance answers that has only its ports to open.
const START_LIMIT: Duration = Duration::from_secs(20);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// Asking takes an appliance with thousands of links a while: it is left alone so many times as long.
const REST: u32 = 4;

impl Poll {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Adaptive => "adaptive",
        }
    }
}

impl Plan {
    /// One set of two links, without hugepages, with workers on CPU 1 that never sleep.
    pub(crate) fn new(shape: Shape, wire: Wire) -> Self {
        Self {
            shape,
            wire,
            links: 2,
            sets: 1,
            workers: vec![1],
            peer_workers: vec![1],
            poll: Poll::Busy,
            hugepages: false,
            udp_checksum: true,
            window: 65_536,
        }
    }

    /// What each appliance has for packets and sets.
    pub(crate) fn memory_mib(&self) -> u64 {
        site::memory_mib(self)
    }

    /// Ports towards ISPs.
    fn links(&self) -> usize {
        match self.shape {
            Shape::Forward | Shape::Testpmd(_) => 0,
            Shape::Alone | Shape::Pair => self.links,
        }
    }

    /// Between A's link and whoever is at its other end. What virtio leaves for the far end to sum, vhost passes on as it
    /// is, so one appliance's does not go together with another's.
    pub(crate) fn link_wire(&self) -> Wire {
        match self.shape {
            Shape::Pair => Wire::Memif,
            _ => self.wire,
        }
    }

    /// Whose workers a packet passes.
    pub(crate) fn measured_sites(&self) -> &'static [Site] {
        match self.shape {
            Shape::Pair => &[Site::A, Site::B],
            Shape::Alone | Shape::Forward | Shape::Testpmd(_) => &[Site::A],
        }
    }

    fn sites(&self) -> &'static [Site] {
        match self.shape {
            Shape::Forward | Shape::Testpmd(_) => &[Site::A],
            Shape::Alone | Shape::Pair => &[Site::A, Site::B],
        }
    }

    /// The configuration's `workers`. A far end that will be stopped may run wherever there is room; it has as many,
    /// for a wire has as many queues at both ends.
    fn workers(&self, site: Site) -> String {
        match (site, self.shape) {
            (Site::A, _) => format!("{:?}", self.workers),
            (Site::B, Shape::Pair) => format!("{:?}", self.peer_workers),
            (Site::B, _) => self.workers.len().to_string(),
        }
    }

    fn poll(&self, site: Site) -> Poll {
        match (site, self.shape) {
            (Site::B, Shape::Alone) => Poll::Adaptive,
            _ => self.poll,
        }
    }
}

impl Bed {
    /// Starts the appliances; the tester may follow at once. The tunnels come up when it forwards, on a [`Shape::Pair`]
    /// without it.
    ///
    /// # Errors
    /// When an appliance does not start, with the end of its log.
    pub(crate) fn start(programs: &Programs, plan: &Plan) -> io::Result<Self> {
        static BEDS: AtomicU32 = AtomicU32::new(0);
        let count = BEDS.fetch_add(1, Ordering::Relaxed);
        let name = format!("hal2tp-bed-{}-{count}", std::process::id());
        let mut bed = Self {
            plan: plan.clone(),
            appliances: Vec::new(),
            tester_ports: Vec::new(),
            programs: programs.clone(),
            guard: Guard::start(std::env::temp_dir().join(name))?,
        };
        bed.tester_ports = bed.plan_tester_ports();
        for &site in plan.sites() {
            // Whoever calls a memif too early calls once and for all in vain. A virtio-user port keeps its appliance
            // waiting for the tester.
            let calls = site == Site::B && plan.shape == Shape::Pair;
            match plan.wire {
                Wire::Memif => {
                    bed.start_appliance(site)?;
                    bed.wait_until_started(site)?;
                }
                Wire::Vhost if calls => {}
                Wire::Vhost => bed.start_appliance(site)?,
            }
        }
        Ok(bed)
    }

    fn plan_tester_ports(&self) -> Vec<TesterPort> {
        let mut ports = Vec::new();
        if self.plan.shape == Shape::Alone {
            for link in 1..=self.plan.links() {
                for site in [Site::A, Site::B] {
                    let name = format!("{}-link{link}", site.name());
                    ports.push((name, site.other().link_mac(link)));
                }
            }
        }
        for site in [Site::A, Site::B] {
            let name = format!("{}-lan", site.name());
            ports.push((name, site.tester_mac()));
        }
        let wire = self.plan.wire;
        let port = |(index, (name, mac)): (usize, (String, Mac))| TesterPort {
            vdev: wire.calling(index, &self.socket(&name), mac),
            name,
        };
        ports.into_iter().enumerate().map(port).collect()
    }

    fn start_appliance(&mut self, site: Site) -> io::Result<()> {
        let ports = self.port_lines(site);
        let mut command = if let Shape::Testpmd(mode) = self.plan.shape {
            testpmd::command(&self.plan, mode, &ports).map_err(io::Error::other)?
        } else {
            let config = self.file(&format!("{}.yaml", site.name()));
            let socket = self.management(site);
            fs::write(&config, site::file(&self.plan, site, &ports, &socket))?;
            let mut command = Command::new(&self.programs.hal2tp);
            command.args(["run", "-c"]).arg(&config);
            command
        };
        let process = Process::start(&mut command, &self.file(&format!("{}.log", site.name())))?;
        let watched = self.guard.watch(process.pid())?;
        self.appliances.push(Appliance {
            site,
            process,
            is_frozen: false,
            _watched: watched,
        });
        Ok(())
    }

    fn port_lines(&self, site: Site) -> Vec<PortLine> {
        let wire = self.plan.wire;
        let mut lines = Vec::new();
        for link in 1..=self.plan.links() {
            let (index, mac) = (lines.len(), site.link_mac(link));
            let waits = site == Site::A || self.plan.shape == Shape::Alone;
            let of = if waits { site } else { site.other() };
            let socket = self.socket(&format!("{}-link{link}", of.name()));
            let wire = self.plan.link_wire();
            lines.push(PortLine {
                name: format!("link{link}"),
                device: if waits {
                    wire.waiting(index, &socket, mac)
                } else {
                    wire.calling(index, &socket, mac)
                },
            });
        }
        for (name, of) in site::lans(&self.plan, site) {
            let socket = self.socket(&format!("{}-lan", of.name()));
            lines.push(PortLine {
                name: name.to_owned(),
                device: wire.waiting(lines.len(), &socket, of.lan_mac()),
            });
        }
        lines
    }

    /// Waits until an appliance answers: its ports are open then. Over vhost that needs the tester.
    ///
    /// # Errors
    /// `TimedOut`, and when one has ended, with the end of its log.
    pub(crate) fn wait_until_started(&mut self, site: Site) -> io::Result<()> {
        self.wait(START_LIMIT, "answers", |bed| match bed.plan.shape {
            Shape::Testpmd(_) => testpmd::is_started(&bed.log(site)),
            _ => bed.status(site).is_ok(),
        })
    }

    /// Waits until all links of all sets are open at both ends, and says how long that took.
    ///
    /// # Errors
    /// As [`Bed::wait_until_started`].
    pub(crate) fn wait_until_set_up(&mut self, limit: Duration) -> io::Result<Duration> {
        let started = Instant::now();
        self.wait_until_started(Site::A)?;
        if self.plan.shape == Shape::Pair && self.pid(Site::B).is_none() {
            self.start_appliance(Site::B)?;
        }
        let (sets, links) = (self.plan.sets, self.plan.links());
        if links > 0 {
            self.wait(limit, "has all links", |bed| {
                bed.plan.sites().iter().all(|&site| {
                    bed.status(site).is_ok_and(|status| {
                        let whole = status.sets.iter().filter(|set| set.members.len() == links);
                        whole.count() == sets
                    })
                })
            })?;
        }
        Ok(started.elapsed())
    }

    fn wait(
        &mut self,
        limit: Duration,
        what: &str,
        is_met: impl Fn(&Self) -> bool,
    ) -> io::Result<()> {
        let started = Instant::now();
        loop {
            let asked = Instant::now();
            if is_met(self) {
                return Ok(());
            }
            let took = asked.elapsed();
            for appliance in &mut self.appliances {
                let ended = appliance.process.ended()?;
                if ended.is_some() || started.elapsed() > limit {
                    let (name, log) = (appliance.site.name(), appliance.process.tail());
                    let text = format!(
                        "not every appliance {what} after {limit:?}; {name} {ended:?}:\n{log}"
                    );
                    return Err(io::Error::new(ErrorKind::TimedOut, text));
                }
            }
            std::thread::sleep(LOOK_INTERVAL.max(took * REST));
        }
    }

    /// Stops B as a debugger would: it takes no CPU time, and its tunnels stay up for ten minutes.
    pub(crate) fn freeze_peer(&mut self) -> io::Result<()> {
        for appliance in &mut self.appliances {
            if appliance.site == Site::B && !appliance.is_frozen {
                appliance.process.signal(Signal::SIGSTOP)?;
                appliance.is_frozen = true;
            }
        }
        Ok(())
    }

    /// Stops everything for a while, so that another bed has the CPUs.
    pub(crate) fn pause(&self) -> io::Result<()> {
        self.signal_all(Signal::SIGSTOP)
    }

    /// Goes on, but for what is frozen.
    pub(crate) fn resume(&self) -> io::Result<()> {
        self.signal_all(Signal::SIGCONT)
    }

    fn signal_all(&self, signal: Signal) -> io::Result<()> {
        let mut running = self.appliances.iter().filter(|of| !of.is_frozen);
        running.try_for_each(|appliance| appliance.process.signal(signal))
    }

    /// What `hal2tp status --json` says. Not to be asked of a frozen one.
    pub(crate) fn status(&self, site: Site) -> io::Result<Status> {
        let output = Command::new(&self.programs.hal2tp)
            .args(["status", "--json", "--socket"])
            .arg(self.management(site))
            .output()?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(io::Error::other(text));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// The wires that end at the tester, in pairs between which he forwards: A's and B's end of each link, the two LANs.
    pub(crate) fn tester_ports(&self) -> &[TesterPort] {
        &self.tester_ports
    }

    /// The place of a wire among the tester's.
    pub(crate) fn tester_port(&self, name: &str) -> Option<usize> {
        self.tester_ports.iter().position(|port| port.name == name)
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// A running appliance.
    pub(crate) fn pid(&self, site: Site) -> Option<u32> {
        let appliance = self.appliances.iter().find(|of| of.site == site);
        appliance.map(|appliance| appliance.process.pid())
    }

    /// Its workers' threads, for what Linux knows of them below `/proc/PID/task`.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn worker_threads(&self, site: Site) -> io::Result<Vec<u32>> {
        let Some(pid) = self.pid(site) else {
            return Ok(Vec::new());
        };
        let mut threads = Vec::new();
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let task = task?;
            // A thread may end while this is read; a worker does not.
            let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            if name.starts_with("worker-") {
                let id = task.file_name().to_string_lossy().parse();
                threads.push(id.map_err(io::Error::other)?);
            }
        }
        threads.sort_unstable();
        Ok(threads)
    }

    /// What an appliance has written.
    pub(crate) fn log(&self, site: Site) -> String {
        let appliance = self.appliances.iter().find(|of| of.site == site);
        appliance.map_or_else(String::new, |appliance| appliance.process.output())
    }

    /// A process that ends with the bed, or with this one.
    pub(crate) fn watch(&self, pid: u32) -> io::Result<Watched> {
        self.guard.watch(pid)
    }

    /// A file in the bed's folder, which is removed with it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.guard.directory().join(name)
    }

    fn socket(&self, wire: &str) -> PathBuf {
        self.file(&format!("{wire}.sock"))
    }

    fn management(&self, site: Site) -> PathBuf {
        self.file(&format!("{}-management.sock", site.name()))
    }
}
