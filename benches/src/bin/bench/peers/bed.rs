//! A peer between the emulated ISPs.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::thread::sleep;
use std::time::{Duration, Instant};

use benches::emulator::Direction;
use benches::lab::{Lab, LabConfig, Site};
use benches::netns::checked;
use benches::process::{Process, tail};
use benches::snmp::queue_drops;
use benches::traffic::{Flow, FlowConfig, FlowReport};

use super::adapter::{Adapter, Links, Programs, Step, Stop, Traffic, fill};
use super::cpu::{self, Used};
use super::situation::Situation;
use crate::run::Run;

/// Where traffic comes from.
const NEAR: Site = Site::Head;
const FAR: Site = Site::Remote;

const SEED: u64 = 20_261_126;
/// What programs with a buffer may hold packets back for: an emulated round trip of 20 to 50 ms goes into it several
/// times, so that they can ask again for what was lost.
pub(super) const BUFFER: Duration = Duration::from_millis(300);
/// How long a step, one line of it, or a peer may take until it is ready.
const READY_LIMIT: Duration = Duration::from_secs(15);
/// Until what was lost is taken for lost: longer than the slowest link and the buffer together.
pub(super) const DRAIN: Duration = Duration::from_millis(900);
/// After a change of the links.
const SETTLE: Duration = Duration::from_millis(150);
const FIRST_PORT: u16 = 9000;
/// Until a peer's way is taken for ready, so many packets go by it, at so many a second.
const TRIAL_PACKETS: u64 = 40;
const TRIAL_PACKETS_PER_S: u32 = 400;

/// A running peer.
pub(super) struct Peer<'a> {
    adapter: &'a Adapter,
    /// Before the lab: they run in it.
    processes: Vec<Process>,
    lab: Lab,
    next_port: u16,
}

/// What one situation was like.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) report: FlowReport,
    /// How long packets were sent.
    pub(super) sending: Duration,
    /// Of both ends, by program; nothing runs in the kernel's.
    pub(super) cpu: Used,
    /// Packets that were lost to the harness: in an emulator's socket, or in the receiver's.
    pub(super) harness_losses: u64,
    /// Packets that found a full socket or interface of the peer's, which was too slow for them.
    pub(super) own_drops: u64,
}

impl<'a> Peer<'a> {
    /// Builds its network, starts it and waits until it carries packets by every link that it uses.
    pub(super) fn start(run: &Run, adapter: &'a Adapter) -> io::Result<Self> {
        let links = ["delay=10ms jitter=1ms", "delay=25ms jitter=1ms"];
        let links = links.map(|words| words.parse().map_err(io::Error::other));
        let window = adapter.appliance.map(|appliance| {
            let after = format!("window: {}", appliance.window);
            ("window: 262144".to_owned(), after)
        });
        let lab = Lab::build(LabConfig {
            programs: run.programs.clone(),
            configs: super::folder().join("hal2tp"),
            links: links.into_iter().collect::<io::Result<_>>()?,
            seed: SEED,
            edits: window.into_iter().collect(),
            ..LabConfig::demo()?
        })?;
        let mut peer = Self {
            adapter,
            processes: Vec::new(),
            lab,
            next_port: FIRST_PORT,
        };
        match &adapter.programs {
            None => peer.start_appliances()?,
            Some(programs) => peer.start_programs(programs)?,
        }
        peer.wait_for_packets()?;
        Ok(peer)
    }

    fn start_appliances(&mut self) -> io::Result<()> {
        for site in Site::BOTH {
            self.lab.start(site)?;
        }
        self.lab.wait_until_set_up(READY_LIMIT).map(drop)
    }

    fn start_programs(&mut self, programs: &Programs) -> io::Result<()> {
        for site in Site::BOTH {
            self.lab.hand_to_kernel(site)?;
        }
        for (site, steps) in [(FAR, &programs.far), (NEAR, &programs.near)] {
            for step in steps {
                self.carry_out(site, step)?;
            }
        }
        self.carry_out(NEAR, &Step::Wait(programs.ready.clone()))
    }

    fn carry_out(&mut self, site: Site, step: &Step) -> io::Result<()> {
        let line = fill(step.line(), |name| self.value(name)).map_err(io::Error::other)?;
        let namespace = self.lab.namespace(site);
        let mut limited = namespace.command("timeout");
        limited.arg("--kill-after=1");
        limited.arg(READY_LIMIT.as_secs().to_string());
        limited.args(["sh", "-c", &line]);
        match step {
            Step::Do(_) => checked(&mut limited).map(drop),
            Step::Run(_) => {
                let mut shell = namespace.command("sh");
                shell.args(["-c", &line]);
                let log = self.lab.directory().join(log_file(site));
                self.processes.push(Process::start(&mut shell, &log)?);
                Ok(())
            }
            Step::Wait(_) => {
                let begin = Instant::now();
                while let Err(problem) = checked(&mut limited) {
                    if begin.elapsed() > READY_LIMIT {
                        return Err(self.with_logs(&problem.to_string()));
                    }
                    sleep(Duration::from_millis(50));
                }
                Ok(())
            }
        }
    }

    /// What stands for a placeholder.
    fn value(&self, name: &str) -> Option<String> {
        let host = |site| self.lab.host(site).address;
        Some(match name {
            "folder" => self.lab.directory().display().to_string(),
            "bench" => std::env::current_exe().ok()?.display().to_string(),
            "entry" => entry().to_string(),
            "exit" => SocketAddr::new(host(FAR), FIRST_PORT).to_string(),
            "buffer_ms" => BUFFER.as_millis().to_string(),
            "near_link_1" => NEAR.link_address(1).to_string(),
            "near_link_2" => NEAR.link_address(2).to_string(),
            "far_link_1" => FAR.link_address(1).to_string(),
            "far_link_2" => FAR.link_address(2).to_string(),
            "near_lan" => NEAR.lan_gateway().to_string(),
            "far_lan" => FAR.lan_gateway().to_string(),
            "near_network" => network(NEAR),
            "far_network" => network(FAR),
            "near_host" => host(NEAR).to_string(),
            "far_host" => host(FAR).to_string(),
            _ => return None,
        })
    }

    /// Sends a little until all of it arrives, and every link that the peer uses has carried as many frames.
    fn wait_for_packets(&mut self) -> io::Result<()> {
        let begin = Instant::now();
        loop {
            let before = self.carried()?;
            let flow = Flow::start(self.flow(TRIAL_PACKETS_PER_S, 200))?;
            while flow.sent() < TRIAL_PACKETS && begin.elapsed() < READY_LIMIT {
                sleep(Duration::from_millis(2));
            }
            let report = flow.stop(DRAIN)?;
            let carried = self.carried()?;
            let used = match self.adapter.links {
                Links::One => 1,
                Links::All => carried.len(),
            };
            let grown = carried.iter().zip(&before).map(|(now, then)| now - then);
            let is_sent = report.sent >= TRIAL_PACKETS;
            if is_sent && report.lost() == 0 && grown.take(used).all(|frames| frames >= report.sent)
            {
                return Ok(());
            }
            if begin.elapsed() > READY_LIMIT {
                let (lost, sent) = (report.lost(), report.sent);
                let text = format!(
                    "of {sent} packets {lost} did not arrive; frames on the links {before:?}, {carried:?}"
                );
                return Err(self.with_logs(&text));
            }
        }
    }

    /// Frames that each link has carried away from the near site.
    fn carried(&self) -> io::Result<Vec<u64>> {
        let links = self.lab.links();
        let stats = links.map(|link| Ok(self.lab.link_stats(link)?.a_b.path.forwarded));
        stats.collect()
    }

    fn flow(&mut self, packets_per_s: u32, payload_octets: usize) -> FlowConfig {
        let (port, entry) = match self.adapter.traffic {
            // Whatever comes late must not be taken for the next flow's.
            Traffic::Ip => {
                self.next_port += 1;
                (self.next_port, None)
            }
            Traffic::Udp => (FIRST_PORT, Some(entry())),
        };
        FlowConfig {
            entry,
            payload_octets,
            ..FlowConfig::new(self.lab.host(NEAR), self.lab.host(FAR), port, packets_per_s)
        }
    }

    /// Every situation begins with emulators that were just started: the same chances for everybody.
    pub(super) fn measure(&mut self, situation: &Situation) -> io::Result<Measured> {
        for (link, words) in (1..).zip(&situation.links) {
            self.lab.kill_emulator(link)?;
            self.lab.change_link(link, Direction::Both, words)?;
            self.lab.start_emulator(link)?;
        }
        sleep(SETTLE);
        let sites = [
            self.lab.namespace(NEAR).clone(),
            self.lab.namespace(FAR).clone(),
        ];
        let sites = sites.each_ref();
        let drops_before = self.own_drops()?;
        let before = cpu::used(&sites)?;
        let config = self.flow(situation.packets_per_s, situation.payload_octets);
        let begin = Instant::now();
        let until = |at: Duration| sleep(at.saturating_sub(begin.elapsed()));
        let flow = Flow::start(config)?;
        if let Some(cut) = &situation.cut {
            until(cut.start);
            self.lab.set_outage(1, true)?;
            until(cut.end);
            self.lab.set_outage(1, false)?;
        }
        until(situation.duration);
        flow.stop_sending();
        let sending = begin.elapsed();
        // For everybody as long, whatever is lost.
        sleep(DRAIN);
        let cpu = cpu::between(&before, &cpu::used(&sites)?);
        let report = flow.stop(Duration::ZERO)?;
        let harness_losses = self.harness_losses()? + report.receiver_drops;
        let own_drops = self.own_drops()?.saturating_sub(drops_before);
        Ok(Measured {
            report,
            sending,
            cpu,
            harness_losses,
            own_drops,
        })
    }

    /// An error, with the end of its log, when a program has ended by itself.
    pub(super) fn assert_running(&mut self) -> io::Result<()> {
        for site in Site::BOTH {
            self.lab.assert_running(site)?;
        }
        for process in &mut self.processes {
            if let Some(status) = process.ended()? {
                return Err(self.with_logs(&format!("a program ended, {status}")));
            }
        }
        Ok(())
    }

    fn own_drops(&self) -> io::Result<u64> {
        let mut sum = 0;
        for site in Site::BOTH {
            let drops = queue_drops(self.lab.namespace(site))?;
            sum += drops.at_sockets + drops.at_interfaces;
        }
        Ok(sum)
    }

    fn harness_losses(&self) -> io::Result<u64> {
        let mut sum = 0;
        for link in self.lab.links() {
            let stats = self.lab.link_stats(link)?;
            for way in [stats.a_b, stats.b_a] {
                sum += way.kernel_drops + way.send_errors;
            }
        }
        Ok(sum)
    }

    fn with_logs(&self, problem: &str) -> io::Error {
        let logs = Site::BOTH.map(|site| {
            let last = tail(&self.lab.directory().join(log_file(site)), 10);
            format!("{} wrote last:\n{last}", site.name())
        });
        io::Error::other(format!("{problem}\n{}", logs.join("\n")))
    }
}

impl Drop for Peer<'_> {
    fn drop(&mut self) {
        let stop = self.adapter.programs.as_ref().map(|programs| programs.stop);
        let signal = stop.unwrap_or(Stop::Terminate).signal();
        for process in &self.processes {
            // It may have ended by itself.
            let _ = process.signal(signal);
        }
        for process in &mut self.processes {
            // One that does not end in time is killed.
            process.ends_within(Duration::from_secs(2));
        }
    }
}

/// Where `udp` traffic enters.
fn entry() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(NEAR.lan_gateway()), FIRST_PORT)
}

/// In the lab's folder, for what programs print.
fn log_file(site: Site) -> &'static str {
    match site {
        NEAR => "near.log",
        FAR => "far.log",
    }
}

/// A LAN, with its length.
fn network(site: Site) -> String {
    let [a, b, c, _] = site.lan_gateway().octets();
    format!("{a}.{b}.{c}.0/24")
}
