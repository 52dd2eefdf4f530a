//! One L2TP session over one link, and an end of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dataplane::arrivals::{Arrivals, GROUP_NUMBERS};
use dataplane::command::{SessionId, SessionSpec, SetId, TableId};
use dataplane::counters::{Counter, SessionCounters};
use dataplane::speed::SpeedLimit;

use crate::ledger::Takes;
use crate::plan;
use crate::scenario::{Scenario, Sizes};

/// A session between two processes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) id: u16,
    /// The first is 1.
    pub(crate) link: usize,
    /// Of both sites.
    pub(crate) incarnations: [u32; 2],
    /// In which they number.
    pub(crate) epochs: [u32; 2],
    /// Largest inner packet that goes whole, octets.
    pub(crate) mtu: u16,
}

impl Call {
    /// The tunnel and session ids that a site chose.
    fn ids(&self, site: usize) -> (u16, u16) {
        let base = [0x1000, 0x3000][site];
        (base + self.id, base + 0x1000 + self.id)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Admitted,
    Open,
    /// Receives until then.
    Leaving(Duration),
    /// Was removed just now.
    Gone,
}

/// A process's end of a call.
pub(crate) struct Link {
    pub(crate) call: Call,
    pub(crate) set: SetId,
    pub(crate) phase: Phase,
    /// Copies that left.
    pub(crate) left: u64,
    site: usize,
    counters: Vec<Arc<SessionCounters>>,
    arrivals: Vec<Arc<Arrivals>>,
    /// Copies that came and had to be taken, and that could be.
    came: [u64; 2],
    /// Their numbers.
    numbers: [BTreeSet<u64>; 2],
}

impl Link {
    pub(crate) fn new(scenario: &Scenario, site: usize, call: Call, set: SetId) -> Self {
        let workers = scenario.workers[site];
        let arrivals = || Arc::new(Arrivals::new(call.epochs[1 - site]));
        Self {
            call,
            set,
            phase: Phase::Admitted,
            left: 0,
            site,
            counters: (0..workers).map(|_| Arc::default()).collect(),
            arrivals: (0..workers).map(|_| arrivals()).collect(),
            came: [0; 2],
            numbers: [BTreeSet::new(), BTreeSet::new()],
        }
    }

    /// The ids in copies to us.
    pub(crate) fn local_ids(&self) -> (u16, u16) {
        self.call.ids(self.site)
    }

    /// The ids in copies from us.
    pub(crate) fn peer_ids(&self) -> (u16, u16) {
        self.call.ids(1 - self.site)
    }

    pub(crate) fn spec(&self, scenario: &Scenario) -> SessionSpec {
        let (local_tunnel, local_session) = self.local_ids();
        let (peer_tunnel, peer_session) = self.peer_ids();
        let end = |site| plan::tunnel_end(site, self.call.link, scenario.outer_ipv6);
        let is_slow = scenario.slow_link && self.call.link == scenario.links;
        SessionSpec {
            id: SessionId(self.call.id.into()),
            table: TableId(self.call.link as u32),
            local: end(self.site),
            peer: end(1 - self.site),
            local_tunnel,
            local_session,
            peer_tunnel,
            peer_session,
            payload_table: TableId(0),
            receive: true,
            tcp_mss_fix: true,
            mtu: self.call.mtu,
            udp_checksum: true,
            address_control: false,
            set: Some(self.set),
            masked: false,
            sequence: Arc::default(),
            echo: None,
            speed: is_slow.then(|| Arc::new(SpeedLimit::new(slow_bit_s(scenario)))),
            counters: self.counters.clone(),
            arrivals: self.arrivals.clone(),
        }
    }

    /// A copy came.
    pub(crate) fn came(&mut self, number: u64, takes: Takes) {
        let kind = match takes {
            Takes::Surely => 0,
            Takes::Perhaps => 1,
            Takes::No => return,
        };
        self.came[kind] += 1;
        self.numbers[kind].insert(number);
    }

    /// What the workers counted must be what happened.
    pub(crate) fn audit(&self, scenario: &Scenario) -> Result<(), String> {
        let sum = |counter: fn(&SessionCounters) -> &Counter| -> u64 {
            self.counters.iter().map(|it| counter(it).read()).sum()
        };
        let wrong = |what: &str| Err(format!("{what} of {:?} at site {}", self.call, self.site));
        if sum(|it| &it.sent_packets) != self.left {
            return wrong("sent packets");
        }
        let received = sum(|it| &it.received_packets);
        let [surely, perhaps] = self.came;
        if !(surely..=surely + perhaps).contains(&received) {
            return wrong("received packets");
        }
        let judged = [
            sum(|it| &it.wins),
            sum(|it| &it.duplicates),
            sum(|it| &it.too_late),
        ];
        if judged.iter().sum::<u64>() != received {
            return wrong("verdicts");
        }
        // What is too late is as good as lost, and is not noted.
        if scenario.number_gaps {
            return Ok(());
        }
        let noted = self.noted();
        let [surely, perhaps] = &self.numbers;
        if !surely.is_subset(&noted)
            || noted
                .iter()
                .any(|it| !surely.contains(it) && !perhaps.contains(it))
        {
            return wrong("noted numbers");
        }
        Ok(())
    }

    /// The numbers that the workers noted for the control thread's books.
    fn noted(&self) -> BTreeSet<u64> {
        let groups = self
            .numbers
            .iter()
            .flatten()
            .map(|number| number / GROUP_NUMBERS);
        let groups: BTreeSet<u64> = groups.collect();
        let of_group = |&group: &u64| {
            let bits = self.arrivals.iter().filter_map(|it| it.numbers(group));
            let bits = bits.fold(0, |all, bits| all | bits);
            (0..GROUP_NUMBERS)
                .filter(move |bit| bits >> bit & 1 == 1)
                .map(move |bit| group * GROUP_NUMBERS + bit)
        };
        groups.iter().flat_map(of_group).collect()
    }
}

/// About half of what there is to send, or less.
fn slow_bit_s(scenario: &Scenario) -> u64 {
    match scenario.sizes {
        Sizes::Small => 100_000,
        Sizes::Large | Sizes::Mixed => 1_000_000,
    }
}
