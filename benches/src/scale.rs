//! What programs print, as JSON, that measure an appliance or a worker with thousands of tunnels and sets.

use serde::{Deserialize, Serialize};

use crate::usage::{CpuTime, Memory};

/// What `lacs --appliance` saw: LACs that log in to a running appliance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Logins {
    pub tunnels: u64,
    pub sessions: u64,
    /// Of these sessions, none when they are plain ones.
    pub sets: u64,
    /// From the first SCCRQ until the last session was open, seconds; not given when not all were.
    pub setup_s: Option<f64>,
    /// Open then.
    pub open: u64,
    /// Of one session, from its tunnel's SCCRQ to an open IPCP, ms: the middle one, and of 99 in 100.
    pub setup_p50_ms: f64,
    pub setup_p99_ms: f64,
    /// Attempts that failed meanwhile and were made again.
    pub failures: u64,
    /// What the appliance spent on it.
    pub setup_cpu: CpuTime,
    /// Of the appliance, before anybody came.
    pub before: Memory,
    /// With all of them, after `hold_s`.
    pub full: Memory,
    /// Once every ring of every link was written from one end to the other; not without sets.
    pub written: Option<Memory>,
    /// Links over which all came that was to do that.
    pub written_links: u64,
    /// How long all were held, echoes going both ways, seconds.
    pub hold_s: f64,
    pub hold_cpu: CpuTime,
    /// The fewest that were seen open meanwhile.
    pub least_open: u64,
    /// What `hal2tp status --json` took with all of them, seconds.
    pub status_s: f64,
    /// The appliance was killed and started again; not when nobody asked for it.
    pub restart: Option<Restart>,
}

/// What became of the sessions of an appliance that was killed and started again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Restart {
    /// From the kill until all were open again, seconds; not given when they were not in time.
    pub back_s: Option<f64>,
    /// Open in the end.
    pub open: u64,
}

impl Logins {
    /// Whether all came, stayed and came back.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let is_back = self.restart.is_none_or(|restart| restart.back_s.is_some());
        self.setup_s.is_some() && self.least_open == self.sessions && is_back
    }
}

/// What `cycles --crowds` counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crowds {
    pub core: u32,
    pub tsc_mhz: u64,
    /// Whether packet buffers were in hugepages.
    pub hugepages: bool,
    pub crowds: Vec<Crowd>,
}

/// Sets of two links and plain sessions of one worker, drawn at random for every packet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crowd {
    pub sets: usize,
    pub plain_sessions: usize,
    /// Those of the sets, too.
    pub sessions: usize,
    /// Windows and books by the code's own arithmetic, octets.
    pub window_octets: u64,
    /// What the process took more once the worker knew all this, octets.
    pub own_octets: u64,
    /// TSC cycles of the worker for one packet of 64 octets that is sent, one figure for each round.
    pub send_cycles: Vec<f64>,
    /// The same for one copy that is received.
    pub receive_cycles: Vec<f64>,
}
