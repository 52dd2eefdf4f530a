//! The lab of this section, with everything dialled.

use std::io::{self, ErrorKind};
use std::thread;
use std::time::{Duration, Instant};

use benches::emulator::Direction;
use benches::lab::{Lab, LabConfig, Site};
use benches::netns::joined;
use benches::status::Status;
use benches::traffic::{Flow, FlowConfig, FlowReport, Host};

use wan_model::impairment::Impairments;

use super::sites::{self, LINKS, Tunnel};
use crate::run::Run;

/// Packets a second of each flow, each way.
pub(super) const PACKETS_PER_S: u32 = 1000;
/// Longer than a path takes when nothing is wrong with it.
const DRAIN: Duration = Duration::from_millis(500);
pub(super) const SET_UP_LIMIT: Duration = Duration::from_secs(30);

/// Two sites over three emulated ISPs, with every session of [`Tunnel`] dialled.
pub(super) struct Bed {
    pub(super) lab: Lab,
}

impl Bed {
    pub(super) fn start(run: &Run) -> io::Result<Self> {
        let mut lab = Lab::build(LabConfig {
            links: vec![Impairments::default(); LINKS],
            texts: Some(Site::BOTH.map(sites::text)),
            programs: run.programs.clone(),
            ..LabConfig::demo()?
        })?;
        for site in Site::BOTH {
            let host = lab.host(site);
            let addresses = Tunnel::ALL.map(|tunnel| tunnel.address(site));
            for address in addresses.iter().filter(|of| **of != host.address) {
                host.namespace
                    .ip(&format!("addr add {address}/24 dev eth0"))?;
            }
            lab.start(site)?;
        }
        let mut bed = Self { lab };
        bed.wait_until_up(SET_UP_LIMIT)?;
        Ok(bed)
    }

    /// What the ISPs do to frames from now on, each way.
    pub(super) fn set_links(&mut self, links: &[&str]) -> io::Result<()> {
        (1..)
            .zip(links)
            .try_for_each(|(link, words)| self.lab.change_link(link, Direction::Both, words))
    }

    /// Waits until every session is up at both sites, and no other is left there.
    ///
    /// # Errors
    /// `TimedOut` after `limit`; at once when an appliance ended by itself.
    pub(super) fn wait_until_up(&mut self, limit: Duration) -> io::Result<()> {
        let started = Instant::now();
        loop {
            let all = Site::BOTH.map(|site| self.lab.status(site));
            if all.iter().all(|status| status.as_ref().is_ok_and(is_up)) {
                return Ok(());
            }
            for site in Site::BOTH {
                self.lab.assert_running(site)?;
            }
            if started.elapsed() > limit {
                let text = format!("not up after {limit:?}: {}", described(&all));
                return Err(io::Error::new(ErrorKind::TimedOut, text));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Frames that the emulators' sockets had no room for, of all links since they began.
    pub(super) fn emulator_drops(&self) -> io::Result<u64> {
        let mut sum = 0;
        for link in self.lab.links() {
            let stats = self.lab.link_stats(link)?;
            sum += stats.a_b.kernel_drops + stats.b_a.kernel_drops;
        }
        Ok(sum)
    }

    /// A flow from a site to the host at the other by a tunnel.
    pub(super) fn flow(&self, from: Site, tunnel: Tunnel, port: u16) -> FlowConfig {
        let to = Host {
            address: tunnel.address(from.other()),
            ..self.lab.host(from.other()).clone()
        };
        FlowConfig::new(self.lab.host(from), &to, port, PACKETS_PER_S)
    }
}

fn is_up(status: &Status) -> bool {
    let is_up = |name: String| {
        let mut sessions = status
            .sessions
            .iter()
            .filter(|session| session.name == name);
        matches!((sessions.next(), sessions.next()), (Some(only), None) if only.state == "up")
    };
    Tunnel::ALL
        .into_iter()
        .flat_map(Tunnel::sessions)
        .all(is_up)
}

impl Drop for Bed {
    fn drop(&mut self) {
        for site in Site::BOTH {
            // Without farewells, which take seconds; one that does not run is what was wanted.
            let _ = self.lab.kill(site);
        }
    }
}

fn described(all: &[io::Result<Status>; 2]) -> String {
    let of_site = |status: &io::Result<Status>| match status {
        Ok(status) => {
            let sessions = status.sessions.iter();
            let states = sessions.map(|session| format!("{} {}", session.name, session.state));
            states.collect::<Vec<_>>().join(", ")
        }
        Err(problem) => problem.to_string(),
    };
    all.iter().map(of_site).collect::<Vec<_>>().join(" | ")
}

/// Ends flows together and gives their accounts.
pub(super) fn stop(flows: Vec<Flow>) -> io::Result<Vec<FlowReport>> {
    flows.iter().for_each(Flow::stop_sending);
    thread::sleep(DRAIN);
    // What was lost would be waited for.
    let stop = |flow: Flow| thread::spawn(move || flow.stop(Duration::ZERO));
    let ends: Vec<_> = flows.into_iter().map(stop).collect();
    ends.into_iter().map(joined).collect()
}
