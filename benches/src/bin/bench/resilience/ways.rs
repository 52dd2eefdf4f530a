//! Four ways of using the same two ISPs.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use benches::lab::{Management, Site};
use benches::status::Status;
use benches::traffic::{Choice, Flow, FlowConfig, FlowReport, Spread};

use super::bed::{self, Bed};
use super::sites::Tunnel;

/// How packets are brought to the two links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A set of hal2tp: each packet on both.
    Set,
    /// A plain session over the first.
    OneLink,
    /// A plain session over each, and packets take them in turn.
    Balanced,
    /// A plain session over each; all packets take the first for as long as it is up.
    Standby,
}

impl Way {
    pub(super) const ALL: [Self; 4] = [Self::Set, Self::OneLink, Self::Balanced, Self::Standby];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Set => "hal2tp",
            Self::OneLink => "one link",
            Self::Balanced => "balanced pair",
            Self::Standby => "standby pair",
        }
    }

    /// UDP port of its flows.
    fn port(self) -> u16 {
        5000 + self as u16
    }

    fn flow(self, bed: &Bed, from: Site, standby: &Arc<AtomicUsize>) -> FlowConfig {
        let plain = [1, 2].map(|link| Tunnel::Plain(link).address(from.other()));
        let spread = |choice| {
            Some(Spread {
                addresses: plain.to_vec(),
                choice,
            })
        };
        let (tunnel, spread) = match self {
            Self::Set => (Tunnel::Pair, None),
            Self::OneLink => (Tunnel::Plain(1), None),
            Self::Balanced => (Tunnel::Plain(1), spread(Choice::InTurn)),
            Self::Standby => {
                let choice = Choice::Selected(Arc::clone(standby));
                (Tunnel::Plain(1), spread(choice))
            }
        };
        FlowConfig {
            spread,
            ..bed.flow(from, tunnel, self.port())
        }
    }
}

/// Traffic of all ways at once, both ways each.
pub(super) struct Ways {
    flows: Vec<Flow>,
    watchers: [Watcher; 2],
}

/// The accounts of one way: what the head sent, and what the remote sent.
pub(super) type Reports = [FlowReport; 2];

impl Ways {
    pub(super) fn start(bed: &Bed) -> io::Result<Self> {
        let watchers = Site::BOTH.map(|site| Watcher::start(bed.lab.management(site)));
        let mut flows = Vec::new();
        for way in Way::ALL {
            for (from, watcher) in Site::BOTH.into_iter().zip(&watchers) {
                flows.push(Flow::start(way.flow(bed, from, &watcher.chosen))?);
            }
        }
        Ok(Self { flows, watchers })
    }

    /// Waits until the standby pair uses its first link at both sites.
    ///
    /// # Errors
    /// `TimedOut` after `limit`.
    pub(super) fn wait_for_the_first(&self, limit: Duration) -> io::Result<()> {
        let deadline = Instant::now() + limit;
        let chosen = |watcher: &Watcher| watcher.chosen.load(Ordering::Relaxed);
        while self.watchers.iter().any(|watcher| chosen(watcher) != 0) {
            if Instant::now() > deadline {
                let text = "the standby pair does not go back to its first link";
                return Err(io::Error::new(ErrorKind::TimedOut, text));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// In the order of [`Way::ALL`].
    pub(super) fn stop(self) -> io::Result<Vec<Reports>> {
        let reports = bed::stop(self.flows)?;
        let pairs = reports.chunks_exact(2);
        Ok(pairs
            .map(|pair| [pair[0].clone(), pair[1].clone()])
            .collect())
    }
}

/// Follows the state of the plain sessions at one site, as a router follows its links': the first when it is up, else the
/// second when that is.
struct Watcher {
    /// 0 or 1.
    chosen: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// How often a watcher looks.
pub(super) const WATCH_INTERVAL: Duration = Duration::from_millis(100);

impl Watcher {
    fn start(management: Management) -> Self {
        let (chosen, is_over) = (Arc::default(), Arc::default());
        let (choice, end) = (Arc::clone(&chosen), Arc::clone(&is_over));
        let thread = thread::spawn(move || watch(&management, &choice, &end));
        Self {
            chosen,
            is_over,
            thread: Some(thread),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // A panic there has been told already.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn watch(management: &Management, chosen: &AtomicUsize, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        // One that does not answer is dead: there is nothing to choose then.
        if let Ok(status) = management.status() {
            choose(&status, chosen);
        }
        thread::sleep(WATCH_INTERVAL);
    }
}

fn choose(status: &Status, chosen: &AtomicUsize) {
    let is_up = |link| {
        let name = Tunnel::Plain(link).session(link);
        let mut sessions = status.sessions.iter();
        sessions.any(|session| session.name == name && session.state == "up")
    };
    let choice = usize::from(!is_up(1) && is_up(2));
    chosen.store(choice, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watcher_follows_the_first_session_that_is_up() {
        let chosen = |first: &str, second: &str| {
            let json = format!(
                r#"{{"sessions":[{{"name":"pair.1","state":"up"}},{{"name":"plain.1","state":"{first}"}},
                    {{"name":"plain.2","state":"{second}"}}]}}"#
            );
            let place = AtomicUsize::new(0);
            choose(&serde_json::from_str(&json).unwrap(), &place);
            place.into_inner()
        };
        assert_eq!(chosen("up", "up"), 0);
        assert_eq!(chosen("up", "down"), 0);
        assert_eq!(chosen("dialling", "up"), 1);
        // Nowhere to go.
        assert_eq!(chosen("down", "dialling"), 0);
    }
}
