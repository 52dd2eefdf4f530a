//! hal2tp beside other tunnel programs, between the same emulated ISPs.

mod adapter;
mod bed;
mod cpu;
mod situation;
mod tables;

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use benches::report::Section;

use crate::run::Run;
use adapter::{Adapter, Links};
use bed::{Measured, Peer};
use situation::{SKEW, Situation};

/// Where our adapters are.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// A peer, and what was measured of it.
struct Entry {
    adapter: Adapter,
    /// Why there is nothing, when there is nothing.
    not_run: Option<String>,
    /// By the situations' names, one for each round.
    measured: BTreeMap<String, Vec<Measured>>,
}

/// Why a turn has no figures.
enum Failure {
    /// What a program of the peer's did.
    Peer(&'static str, io::Error),
    Harness(io::Error),
}

pub(crate) fn measure(run: &Run) -> Result<Section, Box<dyn Error>> {
    let situations = situation::all(run.effort);
    let adapters = run.peers.clone().unwrap_or_else(folder);
    let mut entries: Vec<Entry> = Adapter::read_all(&adapters)?
        .into_iter()
        .filter(|adapter| adapter.least_effort <= run.effort)
        .filter(|adapter| situations.iter().any(|it| adapter.is_in_table(it.table)))
        .map(Entry::new)
        .collect();
    let rounds = run.effort.pick(1, 1, 2);
    for round in 1..=rounds {
        for entry in &mut entries {
            let name = &entry.adapter.name;
            if let Some(problem) = &entry.not_run {
                run.say("peers", &format!("{name}: {problem}"));
                continue;
            }
            run.say("peers", &format!("round {round} of {rounds}: {name}"));
            entry.take_turn(run, &situations)?;
        }
    }
    tables::section(run, &situations, &entries, rounds)
}

impl Entry {
    fn new(adapter: Adapter) -> Self {
        let missing = adapter.missing_packages(is_installed);
        let not_run = match missing[..] {
            [] => None,
            [package] => Some(format!("not run: no package {package}")),
            _ => Some(format!("not run: no packages {}", missing.join(", "))),
        };
        Self {
            adapter,
            not_run,
            measured: BTreeMap::new(),
        }
    }

    /// One round: the peer is started, goes through the situations and is stopped.
    ///
    /// A program of somebody else's that does not start, or ends by itself, is told of in its row; of ours, it is the end of
    /// the run.
    fn take_turn(&mut self, run: &Run, situations: &[Situation]) -> Result<(), Box<dyn Error>> {
        match self.go_through(run, situations) {
            Ok(measured) => {
                for (name, measured) in measured {
                    self.measured.entry(name).or_default().push(measured);
                }
                Ok(())
            }
            Err(Failure::Peer(what, problem)) if self.adapter.appliance.is_none() => {
                let text = format!("{}: {what}: {problem}", self.adapter.name);
                run.say("peers", &text);
                self.not_run = Some(what.to_owned());
                // A row is of all rounds or of none.
                self.measured.clear();
                Ok(())
            }
            Err(Failure::Peer(_, problem) | Failure::Harness(problem)) => Err(problem.into()),
        }
    }

    /// What was measured, by the situations' names.
    fn go_through(
        &self,
        run: &Run,
        situations: &[Situation],
    ) -> Result<Vec<(String, Measured)>, Failure> {
        let mut peer = Peer::start(run, &self.adapter)
            .map_err(|problem| Failure::Peer("not run: did not start", problem))?;
        let mut all = Vec::new();
        for situation in situations.iter().filter(|it| self.takes_part_in(it)) {
            let measured = peer.measure(situation).map_err(Failure::Harness)?;
            peer.assert_running()
                .map_err(|problem| Failure::Peer("ended by itself", problem))?;
            all.push((situation.name.clone(), measured));
        }
        Ok(all)
    }

    /// What uses one link is no subject for links that are apart.
    fn takes_part_in(&self, situation: &Situation) -> bool {
        let is_apart = situation.table == SKEW && self.adapter.links == Links::One;
        self.adapter.is_in_table(situation.table) && !is_apart
    }
}

/// Whether a shell would find a program.
fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
