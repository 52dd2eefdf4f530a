//! One run of an appliance's process: a data plane, and as much of a control
//! plane as gives it commands in the order in which the real one does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dataplane::Frame;
use dataplane::command::{
    Command, InterfaceId, InterfaceSpec, NextHop, PortId, SessionId, SetId, TableId,
};
use dataplane::counters::Drop;
use dataplane::event::{Event, IcmpCause};
use dpdk::Mempool;
use rand::Rng;
use rand::rngs::StdRng;

use crate::instance::{Fault, GRACE, Instance};
use crate::ledger::Takes;
use crate::link::{Call, Link, Phase};
use crate::machine::{Machine, Shape};
use crate::packets::Copy;
use crate::plan::{self, DIALLED};
use crate::scenario::Scenario;

/// What may wait for the rest of its packet: more than ever does.
const REASSEMBLY_PIECES: usize = 4096;

/// What may wait for those before it.
const ORDERED_PACKETS: usize = 512;

/// No frame ends so here, whatever the links do to it.
const NEVER: [Drop; 9] = [
    Drop::Oversized,
    Drop::NotAuthenticated,
    Drop::HaMismatch,
    Drop::BadPiece,
    Drop::BadReassembly,
    Drop::ReassemblyFull,
    Drop::HandOverFull,
    Drop::TxRingFull,
    Drop::NoBuffer,
];

pub(crate) struct Process {
    pub(crate) incarnation: u32,
    site: usize,
    scenario: Scenario,
    fault: Fault,
    machine: Machine,
    links: BTreeMap<u16, Link>,
    instances: Vec<Instance>,
    current: Option<SetId>,
    /// Epochs that were given up just now.
    retired: Vec<(SetId, u32)>,
}

impl Process {
    /// Starts with interfaces and routes, and without tunnels.
    pub(crate) fn new(
        scenario: Scenario,
        fault: Fault,
        site: usize,
        incarnation: u32,
        pool: Mempool,
    ) -> Self {
        let macs: Vec<_> = (0..=scenario.links)
            .map(|port| plan::mac(site, port))
            .collect();
        let mut process = Self {
            incarnation,
            site,
            scenario,
            fault,
            machine: Machine::new(&Shape {
                workers: scenario.workers[site],
                macs: &macs,
                ring_depth: 1024,
                copies: pool.clone(),
                pool,
                reassembly_pieces: REASSEMBLY_PIECES,
                ordered_packets: ORDERED_PACKETS,
                hand_over: None,
                logical_ports: &[],
                fills_in_checksums: false,
            }),
            links: BTreeMap::new(),
            instances: Vec::new(),
            current: None,
            retired: Vec::new(),
        };
        for port in 0..macs.len() {
            process.interface(port);
        }
        process
    }

    fn interface(&mut self, port: usize) {
        let id = InterfaceId(port as u16);
        let addresses = plan::own(self.site, port);
        let spec = InterfaceSpec {
            id,
            port: PortId(port as u16),
            table: TableId(port as u32),
            addresses: addresses.to_vec(),
            mtu: 1500,
            forward: port == 0,
        };
        let machine = &mut self.machine;
        machine.command(Command::SetInterface(Arc::new(spec)));
        for (address, length) in addresses {
            machine.route(port as u32, address, u8::MAX, NextHop::Local);
            let connected = NextHop::Interface {
                interface: id,
                via: None,
            };
            machine.route(port as u32, address, length, connected);
        }
        let neighbours = match port {
            0 => plan::host_addresses(self.site),
            link => plan::own(1 - self.site, link).map(|(address, _)| address),
        };
        let mac = match port {
            0 => plan::host_mac(self.site),
            link => plan::mac(1 - self.site, link),
        };
        for address in neighbours {
            machine.neighbour(id.0, address, mac);
        }
    }

    /// The epoch in which it numbers what it sends to a process of the other site.
    pub(crate) fn epoch_for(&mut self, peer: u32, rng: &mut StdRng) -> u32 {
        let place = self.instance(peer).unwrap_or_else(|| {
            self.instances.push(Instance::new(
                SetId(self.instances.len() as u32),
                self.key(peer),
                &self.scenario,
                self.scenario.workers[self.site],
                self.fault,
                rng,
            ));
            self.instances.len() - 1
        });
        self.instances[place].epoch
    }

    /// What an instance is found by.
    fn key(&self, peer: u32) -> Option<u32> {
        (self.site == DIALLED).then_some(peer)
    }

    fn instance(&self, peer: u32) -> Option<usize> {
        let key = self.key(peer);
        self.instances.iter().position(|it| it.peer == key)
    }

    /// The call has authenticated its peer: it is received from now on.
    pub(crate) fn admit(&mut self, call: Call) {
        let peer = 1 - self.site;
        let Some(place) = self.instance(call.incarnations[peer]) else {
            return;
        };
        let instance = &mut self.instances[place];
        instance.receive(call.epochs[peer]);
        let set = instance.id;
        let link = Link::new(&self.scenario, self.site, call, set);
        let spec = link.spec(&self.scenario);
        self.links.insert(call.id, link);
        self.set_set(set);
        self.machine.command(Command::SetSession(Arc::new(spec)));
    }

    /// The call is open: it sends, too, and takes the place of others.
    pub(crate) fn open(&mut self, now: Duration, call: u16) {
        let peer = 1 - self.site;
        let Some(link) = self.links.get_mut(&call) else {
            return;
        };
        if link.phase != Phase::Admitted {
            return;
        }
        link.phase = Phase::Open;
        let (opened, set) = (link.call, link.set);
        let mut old = Vec::new();
        for other in self.links.values_mut() {
            let displaced = other.call.incarnations[peer] != opened.incarnations[peer];
            let replaced = other.call.link == opened.link && other.call.id < opened.id;
            if (displaced || replaced) && matches!(other.phase, Phase::Admitted | Phase::Open) {
                other.phase = Phase::Leaving(now + GRACE);
                old.push(SessionId(other.call.id.into()));
            }
        }
        if self.fault == Fault::ForgetsOldSessions {
            for id in old {
                self.machine.command(Command::RemoveSession(id));
            }
        }
        let mut instances = self.instances.iter_mut();
        if let Some(instance) = instances.find(|it| it.id == set) {
            instance.prefer(now, opened.epochs[peer]);
        }
        let before = self.current.replace(set);
        self.set_set(set);
        if before == Some(set) {
            return;
        }
        for (address, length) in plan::own(peer, 0) {
            self.machine.route(0, address, length, NextHop::Set(set));
        }
        if let Some(before) = before {
            self.set_set(before);
        }
    }

    /// The call's link seems dead: it sends no more.
    pub(crate) fn leave(&mut self, now: Duration, call: u16) {
        let Some(link) = self.links.get_mut(&call) else {
            return;
        };
        if link.phase == Phase::Open {
            link.phase = Phase::Leaving(now + GRACE);
            let set = link.set;
            self.set_set(set);
        }
    }

    /// The open call of a link.
    pub(crate) fn call_on(&self, link: usize) -> Option<u16> {
        let mut open = self.links.values().filter(|it| it.phase == Phase::Open);
        open.find(|it| it.call.link == link).map(|it| it.call.id)
    }

    /// Gives up what was received for its grace time.
    pub(crate) fn retire(&mut self, now: Duration) {
        for link in self.links.values_mut() {
            if matches!(link.phase, Phase::Leaving(until) if until <= now) {
                link.phase = Phase::Gone;
                let id = SessionId(link.call.id.into());
                self.machine.command(Command::RemoveSession(id));
            }
        }
        let mut changed = Vec::new();
        for instance in &mut self.instances {
            let gone = instance.retire(now);
            if !gone.is_empty() {
                changed.push(instance.id);
            }
            self.retired
                .extend(gone.into_iter().map(|epoch| (instance.id, epoch)));
        }
        changed.into_iter().for_each(|set| self.set_set(set));
    }

    fn set_set(&mut self, set: SetId) {
        let open = self.links.values().filter(|link| {
            link.set == set && link.phase == Phase::Open && self.current == Some(set)
        });
        let members = open.map(|link| SessionId(link.call.id.into())).collect();
        let Some(instance) = self.instances.iter().find(|it| it.id == set) else {
            return;
        };
        let spec = instance.spec(members);
        self.machine.command(Command::SetSet(Arc::new(spec)));
    }

    /// Numbers that nothing is sent under.
    pub(crate) fn skip_numbers(&mut self, count: u64) {
        for instance in &self.instances {
            instance.next_number.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// A copy comes over a link now: whether it has to be taken. `whole` is
    /// whether it is as it was sent.
    pub(crate) fn take_in(&mut self, copy: &Copy<'_>, whole: bool) -> Takes {
        let mut links = self.links.values_mut();
        let Some(link) = links.find(|it| it.local_ids() == copy.ids) else {
            return Takes::No;
        };
        let known = |it: &Instance| it.id == link.set && it.receives(copy.epoch);
        let retired = || self.retired.contains(&(link.set, copy.epoch));
        let takes = match (self.instances.iter().any(known), link.phase) {
            (true, Phase::Gone) => Takes::Perhaps,
            (true, _) if whole => Takes::Surely,
            (true, _) => Takes::Perhaps,
            (false, _) if retired() => Takes::Perhaps,
            (false, _) => Takes::No,
        };
        link.came(copy.number, takes);
        takes
    }

    /// A copy leaves.
    pub(crate) fn left(&mut self, copy: &Copy<'_>) {
        let mut links = self.links.values_mut();
        if let Some(link) = links.find(|it| it.peer_ids() == copy.ids) {
            link.left += 1;
        }
    }

    /// A damaged copy came, and this process is broken.
    pub(crate) fn mark(&self, copy: &Copy<'_>) {
        self.instances
            .iter()
            .for_each(|it| it.mark(copy.epoch, copy.number));
    }

    /// A frame comes in by a port, to a queue of chance.
    pub(crate) fn offer(&mut self, port: usize, frame: &[u8], rng: &mut StdRng) {
        let worker = rng.random_range(0..self.machine.workers.len());
        self.machine.offer(port, worker, frame);
    }

    /// One worker has a turn.
    pub(crate) fn poll_one(&mut self, now: Duration, rng: &mut StdRng) {
        let worker = rng.random_range(0..self.machine.workers.len());
        self.machine.workers[worker].poll_once(ticks(now));
    }

    /// The workers have turns until there is nothing to do.
    pub(crate) fn poll(&mut self, now: Duration, rng: &mut StdRng) {
        loop {
            let mut work = 0;
            let workers = &mut self.machine.workers;
            let first = rng.random_range(0..workers.len());
            let (before, from) = workers.split_at_mut(first);
            for worker in from.iter_mut().chain(before) {
                work += worker.poll_once(ticks(now));
            }
            if work == 0 {
                return;
            }
        }
    }

    /// What came out of a port.
    pub(crate) fn take(&mut self, port: usize) -> Vec<Vec<u8>> {
        self.machine.received(port)
    }

    /// The end: what the workers counted must be what happened.
    pub(crate) fn audit(&self) -> Result<(), String> {
        let unexpected = NEVER.iter().find(|&&reason| {
            let ports = 0..=self.scenario.links;
            ports
                .map(|port| self.machine.drops(port, reason))
                .sum::<u64>()
                > 0
        });
        match unexpected {
            None => audit(&self.links, &self.scenario),
            Some(reason) => Err(format!("dropped as {}", reason.name())),
        }
    }

    /// Everything commanded was carried out: what is gone is gone, and must have
    /// been counted as it was.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        let (gone, links) = std::mem::take(&mut self.links)
            .into_iter()
            .partition(|(_, link)| link.phase == Phase::Gone);
        self.links = links;
        self.retired.clear();
        let expected = |event: &Event<Frame>| match event {
            // Between a start and the first tunnel there is no way to the other site.
            Event::Icmp { cause, .. } => *cause == IcmpCause::NetUnreachable,
            // A flipped bit makes another UDP port.
            Event::Local { .. } => self.scenario.noise,
            _ => false,
        };
        match self.machine.events().iter().find(|event| !expected(event)) {
            None => audit(&gone, &self.scenario),
            Some(event) => Err(format!("the control plane was told {event:?}")),
        }
    }
}

fn audit(links: &BTreeMap<u16, Link>, scenario: &Scenario) -> Result<(), String> {
    links.values().try_for_each(|link| link.audit(scenario))
}

fn ticks(now: Duration) -> u64 {
    // The machine was on for a while.
    1_000_000_000 + now.as_nanos() as u64
}
