//! A head end and its remotes over a seeded network, with make-believe workers
//! that obey commands at once and count whatever they would have had to refuse.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::hash::{DefaultHasher, Hash};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dataplane::command::{Command, NextHop, PortId, Prefix, SessionSpec, TableId};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::families::{datagram, host_ipv6};
use super::happenings::Told;
use super::isp::{DHCP_SERVER, Isp};
use super::network::{Fate, Flight, Line};
use super::workers::{PPP_IPV4, PPP_IPV6, Workers, copy, digest, plain};
use crate::config::Config;
use crate::engine::{Engine, Output, PortFacts};

pub(super) const TICK: Duration = Duration::from_millis(5);
pub(super) const LINKS: usize = 3;
/// A copy may come for a session of the process before for so long: until the
/// sender misses its echoes.
const FORGIVEN_AFTER_START: Duration = Duration::from_secs(10);

pub(super) const HEAD: usize = 0;
pub(super) const REMOTE: usize = 1;

pub(super) fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

pub(super) fn milliseconds(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn config(name: &str) -> Config {
    let path = format!("{}/../configs/demo/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let (config, _) =
        Config::load(std::path::Path::new(&path)).expect("the demo's configuration is right");
    config
}

/// The demo's remote with other addresses: 10.x.0.`host` on its lines and
/// 192.168.`lan`.1 on its LAN.
pub(super) fn remote_at(host: u8, lan: u8) -> Config {
    let mut config = config("remote");
    for interface in &mut config.interfaces {
        for own in &mut interface.addresses {
            let IpAddr::V4(address) = own.address else {
                panic!("the demo is IPv4");
            };
            let [a, b, c, _] = address.octets();
            own.address = match a {
                10 => Ipv4Addr::new(a, b, c, host).into(),
                _ => Ipv4Addr::new(a, b, lan, 1).into(),
            };
        }
    }
    config
}

/// A host on the LAN 192.168.`lan`.0/24.
pub(super) fn host(lan: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, lan, 10)
}

pub(super) struct Site {
    pub(super) config: Config,
    pub(super) engine: Option<Engine>,
    pub(super) clock: Clock,
    /// The whole process does not run.
    pub(super) asleep: Option<Asleep>,
    /// Copies for unknown sessions are the process before's until then.
    pub(super) forgiven_until: Duration,
    /// Commands that the workers have been given, and that they have carried out.
    pub(super) given: u64,
    pub(super) commands: u64,
    /// What the workers have yet to carry out, and when they do.
    applying: VecDeque<(Duration, Command)>,
    /// Packets that wait for the commands before them.
    held: VecDeque<(u64, Vec<u8>)>,
    pub(super) workers: Workers,
    /// What the engine has said since it was started.
    pub(super) told: Told,
    /// Payload numbers that came out of a tunnel, and how often.
    pub(super) delivered: BTreeMap<u64, u32>,
    /// Copies for a session that was not ready, by reason.
    pub(super) refused: BTreeMap<&'static str, u64>,
    /// Copies that came over a link that is masked.
    pub(super) masked_copies: u64,
}

/// What an engine takes for the time, against the world's.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    ahead: Duration,
    behind: Duration,
}

impl Clock {
    fn read(self, world: Duration) -> Duration {
        world + self.ahead - self.behind
    }

    /// The world's time when the clock shows `due`.
    fn reaches(self, due: Duration) -> Duration {
        (due + self.behind).saturating_sub(self.ahead)
    }
}

/// A process that was stopped for a while.
pub(super) struct Asleep {
    since: Duration,
    until: Duration,
    /// Its clock stands meanwhile, as that of a suspended machine does.
    clock_stands: bool,
    pub(super) inbox: Vec<Flight>,
}

impl Site {
    pub(super) fn refuse(&mut self, why: &'static str) {
        *self.refused.entry(why).or_default() += 1;
    }

    pub(super) fn deliver(&mut self, number: u64) {
        *self.delivered.entry(number).or_default() += 1;
    }
}

pub(super) struct World {
    pub(super) now: Duration,
    pub(super) rng: StdRng,
    pub(super) sites: Vec<Site>,
    pub(super) flights: BinaryHeap<Reverse<Flight>>,
    pub(super) order: u64,
    /// Who has an address.
    pub(super) site_of: BTreeMap<IpAddr, usize>,
    /// When each site is to be turned to, and what `due` has of it.
    due: BTreeSet<(Duration, usize)>,
    scheduled: Vec<Option<Duration>>,
    /// Each engine's clock begins with it, as the appliance's does.
    pub(super) own_clocks: bool,
    /// The workers take up to so long to carry out a command.
    pub(super) lag: Duration,
    /// What was commanded and what arrived, in order.
    pub(super) trace: DefaultHasher,
    pub(super) lines: [Line; LINKS],
    /// What is between an address and its line, for itself.
    pub(super) access: BTreeMap<IpAddr, Line>,
    /// What a NAT makes of an address's port 1701, there and back.
    pub(super) mappings: BTreeMap<IpAddr, SocketAddr>,
    pub(super) outsides: BTreeMap<SocketAddr, IpAddr>,
    /// Every address that a NAT has ever used.
    pub(super) outside_addresses: BTreeSet<IpAddr>,
    /// Datagrams to a port that a NAT has given up.
    pub(super) to_old_mappings: u64,
    /// The ISPs that give the sites their addresses, by site and port.
    pub(super) isps: BTreeMap<(usize, PortId), Isp>,
    /// Datagrams to an address that nobody has.
    pub(super) to_nobody: u64,
    /// Control messages of this type are dropped.
    pub(super) dropped_message_type: Option<u16>,
    /// What each name has for addresses; a name that is not here is not found.
    pub(super) names: BTreeMap<String, Vec<IpAddr>>,
    /// Names that were looked up.
    pub(super) look_ups: u64,
    next_payload: u64,
    pub(super) copies: u64,
    /// Every other packet of the traffic is IPv6.
    pub(super) ipv6_traffic: bool,
    /// What became of copies, by the site that they were for and their line.
    pub(super) fates: BTreeMap<(usize, usize), Fate>,
}

impl World {
    /// The demo's two sites.
    pub(super) fn new(seed: u64) -> Self {
        Self::of(seed, vec![config("head"), config("remote")])
    }

    pub(super) fn of(seed: u64, configs: Vec<Config>) -> Self {
        let count = configs.len();
        let mut world = Self::stopped(seed, configs);
        for site in 0..count {
            world.start(site);
        }
        world
    }

    /// Sites that are not started yet.
    pub(super) fn stopped(seed: u64, configs: Vec<Config>) -> Self {
        let site = |config| Site {
            config,
            engine: None,
            clock: Clock::default(),
            asleep: None,
            forgiven_until: Duration::ZERO,
            given: 0,
            commands: 0,
            applying: VecDeque::new(),
            held: VecDeque::new(),
            workers: Workers::default(),
            told: Told::default(),
            delivered: BTreeMap::new(),
            refused: BTreeMap::new(),
            masked_copies: 0,
        };
        let mut site_of = BTreeMap::new();
        for (site, config) in configs.iter().enumerate() {
            for own in config.interfaces.iter().flat_map(|of| &of.addresses) {
                site_of.entry(own.address).or_insert(site);
            }
        }
        Self {
            now: Duration::ZERO,
            site_of,
            due: BTreeSet::new(),
            scheduled: vec![None; configs.len()],
            own_clocks: false,
            lag: Duration::ZERO,
            trace: DefaultHasher::new(),
            access: BTreeMap::new(),
            outsides: BTreeMap::new(),
            outside_addresses: BTreeSet::new(),
            rng: StdRng::seed_from_u64(seed),
            sites: configs.into_iter().map(site).collect(),
            flights: BinaryHeap::new(),
            order: 0,
            lines: [Line::default(); LINKS],
            mappings: BTreeMap::new(),
            isps: BTreeMap::new(),
            to_old_mappings: 0,
            to_nobody: 0,
            dropped_message_type: None,
            names: BTreeMap::new(),
            look_ups: 0,
            next_payload: 0,
            copies: 0,
            fates: BTreeMap::new(),
            ipv6_traffic: false,
        }
    }

    pub(super) fn start(&mut self, site: usize) {
        let mut seed = [0; 32];
        self.rng.fill(&mut seed);
        let ports = (0..4u16).map(|id| PortFacts {
            id: PortId(id),
            mac: [2, 0, 0, 0, site as u8, id as u8],
            mtu: 1500,
            carrier: None,
        });
        let clock = Clock {
            behind: if self.own_clocks {
                self.now
            } else {
                Duration::ZERO
            },
            ..Clock::default()
        };
        self.stop(site);
        let of = &mut self.sites[site];
        of.clock = clock;
        of.forgiven_until = self.now + FORGIVEN_AFTER_START;
        let now = clock.read(self.now);
        of.engine = Some(Engine::new(now, of.config.clone(), ports.collect(), seed));
        let asking: Vec<PortId> = self
            .isps
            .keys()
            .filter(|it| it.0 == site)
            .map(|it| it.1)
            .collect();
        for port in asking {
            self.set_link(site, port, true);
        }
        self.carry_out(site);
    }

    /// The process is gone, and everything that it knew.
    fn stop(&mut self, site: usize) {
        let of = &mut self.sites[site];
        of.engine = None;
        of.asleep = None;
        of.workers = Workers::default();
        of.told = Told::default();
        (of.given, of.commands) = (0, 0);
        of.applying.clear();
        of.held.clear();
        self.reschedule(site);
    }

    pub(super) fn kill(&mut self, site: usize) {
        self.stop(site);
    }

    /// The time as a site's engine has it.
    pub(super) fn clock(&self, site: usize) -> Duration {
        self.sites[site].clock.read(self.now)
    }

    /// A site's clock jumps: time has passed that nobody else noticed.
    pub(super) fn leap(&mut self, site: usize, by: Duration) {
        self.sites[site].clock.ahead += by;
        self.reschedule(site);
    }

    /// A site does not run for a while, and its clock goes on or stands.
    pub(super) fn put_to_sleep(&mut self, site: usize, time: Duration, clock_stands: bool) {
        let of = &mut self.sites[site];
        if of.engine.is_none() || of.asleep.is_some() {
            return;
        }
        of.asleep = Some(Asleep {
            since: self.now,
            until: self.now + time,
            clock_stands,
            inbox: Vec::new(),
        });
        self.reschedule(site);
    }

    /// Turns to what has come meanwhile, as the control thread does: events
    /// before timers.
    pub(super) fn wake(&mut self, site: usize) {
        let of = &mut self.sites[site];
        let Some(asleep) = of.asleep.take() else {
            return;
        };
        if asleep.clock_stands {
            of.clock.behind += self.now - asleep.since;
        }
        // It goes on with what it knew before, and its peers may be others by now.
        for peer in &mut self.sites {
            peer.forgiven_until = peer.forgiven_until.max(self.now + FORGIVEN_AFTER_START);
        }
        for flight in asleep.inbox {
            self.arrive(flight);
        }
        self.reschedule(site);
    }

    pub(super) fn cut(&mut self, cut: [bool; LINKS]) {
        for (line, cut) in self.lines.iter_mut().zip(cut) {
            line.cut = cut;
        }
    }

    /// Notes when a site is to be turned to next.
    fn reschedule(&mut self, site: usize) {
        let of = &self.sites[site];
        let engine = of.engine.as_ref();
        let due = match &of.asleep {
            Some(asleep) => Some(asleep.until),
            None => [
                engine
                    .and_then(Engine::next_timeout)
                    .map(|due| of.clock.reaches(due)),
                of.applying.front().map(|&(due, _)| due),
            ]
            .into_iter()
            .flatten()
            .min(),
        };
        if self.scheduled[site] != due {
            if let Some(before) = std::mem::replace(&mut self.scheduled[site], due) {
                self.due.remove(&(before, site));
            }
            self.due.extend(due.map(|due| (due, site)));
        }
    }

    /// Goes from one thing that happens to the next.
    pub(super) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        let mut steps_at_once = 0;
        // A test may have turned to an engine by itself.
        for site in 0..self.sites.len() {
            self.carry_out(site);
        }
        loop {
            let timer = self.due.first().map(|&(due, _)| due);
            let flight = self.flights.peek().map(|Reverse(flight)| flight.at);
            let next = timer.into_iter().chain(flight).min();
            let Some(next) = next.filter(|&next| next <= end) else {
                break;
            };
            steps_at_once = if next <= self.now {
                steps_at_once + 1
            } else {
                0
            };
            assert!(steps_at_once < 10_000, "time stands still at {next:?}");
            self.now = self.now.max(next);
            self.deliver();
            let due = self.due.iter().take_while(|&&(due, _)| due <= self.now);
            let due: Vec<usize> = due.map(|&(_, site)| site).collect();
            for site in due {
                self.turn_to(site);
            }
        }
        self.now = end;
    }

    /// Does what is due at a site.
    fn turn_to(&mut self, site: usize) {
        self.wake(site);
        self.apply(site);
        let now = self.clock(site);
        if let Some(engine) = &mut self.sites[site].engine
            && engine.next_timeout().is_some_and(|due| due <= now)
        {
            engine.handle_timeout(now);
        }
        self.carry_out(site);
    }

    /// The workers carry out what they had no time for before.
    fn apply(&mut self, site: usize) {
        let now = self.now;
        let of = &mut self.sites[site];
        while of.applying.front().is_some_and(|&(due, _)| due <= now) {
            let command = of.applying.pop_front();
            of.workers.apply(command.expect("it was just looked at").1);
            of.commands += 1;
        }
    }

    /// Runs until a condition holds; how long that took, `None` when it took too long.
    pub(super) fn run_until(
        &mut self,
        longest: Duration,
        holds: impl Fn(&Self) -> bool,
    ) -> Option<Duration> {
        let start = self.now;
        while !holds(self) {
            if self.now >= start + longest {
                return None;
            }
            self.run_for(milliseconds(50));
        }
        Some(self.now - start)
    }

    /// A LAN packet with a number of its own, which is answered if it was routed
    /// into a tunnel.
    pub(super) fn send_payload(&mut self, from: usize, towards: impl Into<IpAddr>) -> Option<u64> {
        let towards = towards.into();
        let protocol = match towards {
            IpAddr::V4(_) => PPP_IPV4,
            IpAddr::V6(_) => PPP_IPV6,
        };
        let workers = &self.sites[from].workers;
        let number = self.next_payload;
        match workers.route(towards)? {
            NextHop::Set(set) => {
                let set = Arc::clone(&workers.sets[&set]);
                assert!(!set.members.is_empty(), "routed into an empty set");
                let sequence = set.next_number.fetch_add(1, Ordering::Relaxed);
                for id in &set.members {
                    let member = Arc::clone(&self.sites[from].workers.sessions[id]);
                    let payload = copy(&set, &member, sequence, protocol, number);
                    self.send_copy(&member, payload);
                }
            }
            NextHop::Session(id) => {
                let session = Arc::clone(&workers.sessions[&id]);
                assert!(session.set.is_none(), "plain packets for a member");
                let payload = plain(&session, protocol, &number.to_be_bytes());
                self.send_copy(&session, payload);
            }
            _ => return None,
        }
        self.next_payload += 1;
        Some(number)
    }

    fn send_copy(&mut self, session: &SessionSpec, payload: Vec<u8>) {
        session.counters[0].sent_packets.add(1);
        self.copies += 1;
        self.transmit(session.local, session.peer, payload);
    }

    /// Carries out what an engine wants, in its order.
    pub(super) fn carry_out(&mut self, from: usize) {
        loop {
            self.release(from);
            let now = self.clock(from);
            let site = &mut self.sites[from];
            if site.asleep.is_some() {
                break;
            }
            let Some(engine) = &mut site.engine else {
                break;
            };
            engine.handle_applied(now, site.commands);
            let Some(output) = engine.poll_output() else {
                break;
            };
            match output {
                Output::Command(command) => self.command(from, command),
                Output::Ip { packet, .. } => site.held.push_back((site.given, packet)),
                Output::Resolve { lookup, name } => {
                    self.look_ups += 1;
                    let addresses = self.names.get(&name).cloned();
                    let answer = addresses.ok_or_else(|| "not found".to_owned());
                    engine.handle_resolved(now, lookup, answer);
                }
                Output::Frame { port, frame } => self.ask_isp(from, port, &frame),
                Output::Happened(happening) => {
                    log::info!("{from}: {happening:?}");
                    format!("{happening:?}").hash(&mut self.trace);
                    site.told.take(now, *happening);
                }
                _ => (),
            }
        }
        let now = self.clock(from);
        let site = &mut self.sites[from];
        if let Some(engine) = &site.engine {
            site.told.assert_agrees(now, engine);
        }
        self.reschedule(from);
    }

    fn command(&mut self, from: usize, command: Command) {
        digest(&command).hash(&mut self.trace);
        let site = &mut self.sites[from];
        site.given += 1;
        if self.lag.is_zero() {
            site.workers.apply(command);
            site.commands += 1;
            return;
        }
        let lag = self.lag.mul_f64(self.rng.random());
        let after = site.applying.back().map_or(self.now, |&(due, _)| due);
        site.applying
            .push_back((after.max(self.now + lag), command));
    }

    /// Sends the packets whose commands every worker has carried out.
    fn release(&mut self, from: usize) {
        let applied = self.sites[from].commands;
        while let Some(&(behind, _)) = self.sites[from].held.front()
            && behind <= applied
        {
            let (_, packet) = self.sites[from]
                .held
                .pop_front()
                .expect("it was just looked at");
            if let Some((source, destination, payload)) = datagram(&packet) {
                if destination.port() == DHCP_SERVER {
                    self.ask_server(from, destination.ip(), &packet);
                    continue;
                }
                self.transmit(source, destination, payload);
            }
        }
    }

    pub(super) fn engine(&self, site: usize) -> &Engine {
        self.sites[site].engine.as_ref().expect("running")
    }

    pub(super) fn engine_mut(&mut self, site: usize) -> &mut Engine {
        self.sites[site].engine.as_mut().expect("running")
    }

    /// Stops a site in order, and carries out what that takes.
    pub(super) fn shut_down(&mut self, site: usize) {
        let now = self.clock(site);
        let said = self.sites[site].told.all().len();
        self.engine_mut(site).shutdown(now);
        self.carry_out(site);
        if self.sites[site].asleep.is_none() {
            self.sites[site].told.assert_stopped(said);
        }
    }

    /// Links that carry copies, of all remotes.
    pub(super) fn members(&self, site: usize) -> usize {
        let Some(engine) = &self.sites[site].engine else {
            return 0;
        };
        engine
            .groups
            .iter()
            .map(|group| group.members().len())
            .sum()
    }

    pub(super) fn all_up(&self) -> bool {
        (0..self.sites.len()).all(|site| self.members(site) == LINKS)
    }

    /// Traffic both ways between the demo's sites, one packet each per
    /// `period`; the numbers that were sent.
    pub(super) fn traffic_every(&mut self, period: Duration, time: Duration) -> [Vec<u64>; 2] {
        let (mut sent, end) = ([Vec::new(), Vec::new()], self.now + time);
        while self.now < end {
            for (site, lan) in [(HEAD, 2), (REMOTE, 1)] {
                let number = if self.ipv6_traffic && self.next_payload % 2 == 1 {
                    self.send_payload(site, host_ipv6(lan))
                } else {
                    self.send_payload(site, host(lan))
                };
                sent[site].extend(number);
            }
            self.run_for(period.min(end - self.now));
        }
        sent
    }

    pub(super) fn traffic_for(&mut self, time: Duration) -> [Vec<u64>; 2] {
        self.traffic_every(TICK, time)
    }

    /// Routes of a site, wherever they lead.
    pub(super) fn prefixes(&self, site: usize) -> Vec<(TableId, Prefix)> {
        self.sites[site].workers.routes.keys().copied().collect()
    }
}

/// Adds what was sent later, from each site.
pub(super) fn extend(all: &mut [Vec<u64>; 2], more: [Vec<u64>; 2]) {
    all.iter_mut()
        .zip(more)
        .for_each(|(all, more)| all.extend(more));
}
