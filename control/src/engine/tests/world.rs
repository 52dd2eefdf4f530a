//! A head end and its remotes over a seeded network, with make-believe workers
//! that obey commands at once and count whatever they would have had to refuse.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dataplane::command::{NextHop, PortId, Prefix, SessionSpec, TableId};
use dataplane::event::Event;
use dataplane::headers::ha::HaHeader;
use dataplane::window::{Group, Verdict};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::families::{datagram, host_ipv6, line_of};
use super::workers::{PPP_IPV4, PPP_IPV6, Workers, copy};
use crate::config::Config;
use crate::engine::{Engine, Output, PortFacts};

pub(super) const TICK: Duration = Duration::from_millis(5);
pub(super) const LINKS: usize = 3;
const DELAYS_MS: [u64; LINKS] = [5, 20, 60];
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
    started_at: Duration,
    /// Commands that the workers have carried out.
    commands: u64,
    pub(super) workers: Workers,
    /// Payload numbers that came out of a tunnel, and how often.
    pub(super) delivered: BTreeMap<u64, u32>,
    /// Copies for a session that was not ready, by reason.
    pub(super) refused: BTreeMap<&'static str, u64>,
}

impl Site {
    fn refuse(&mut self, why: &'static str) {
        *self.refused.entry(why).or_default() += 1;
    }

    fn deliver(&mut self, number: u64) {
        *self.delivered.entry(number).or_default() += 1;
    }
}

/// A datagram under way, ordered by arrival.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    at: Duration,
    order: u64,
    to: usize,
    link: usize,
    source: SocketAddr,
    destination: SocketAddr,
    payload: Vec<u8>,
}

/// What an ISP does to packets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Line {
    pub(super) cut: bool,
    /// What has an HA header vanishes, the rest passes.
    pub(super) ha_cut: bool,
    /// Only copies vanish.
    pub(super) data_cut: bool,
    pub(super) loss: f64,
    pub(super) duplication: f64,
    /// How many packets are held up, so that later ones overtake them.
    pub(super) reordering: f64,
}

pub(super) struct World {
    pub(super) now: Duration,
    pub(super) rng: StdRng,
    pub(super) sites: Vec<Site>,
    flights: BinaryHeap<Reverse<Flight>>,
    order: u64,
    pub(super) lines: [Line; LINKS],
    /// The UDP port that a NAT gives to an address's port 1701.
    pub(super) mappings: BTreeMap<IpAddr, u16>,
    /// Datagrams to a port that a NAT has given up.
    pub(super) to_old_mappings: u64,
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

/// What a line did to the copies of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) sent: u64,
    pub(super) lost: u64,
    pub(super) doubled: u64,
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
            started_at: Duration::ZERO,
            commands: 0,
            workers: Workers::default(),
            delivered: BTreeMap::new(),
            refused: BTreeMap::new(),
        };
        Self {
            now: Duration::ZERO,
            rng: StdRng::seed_from_u64(seed),
            sites: configs.into_iter().map(site).collect(),
            flights: BinaryHeap::new(),
            order: 0,
            lines: [Line::default(); LINKS],
            mappings: BTreeMap::new(),
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
        });
        let of = &mut self.sites[site];
        of.workers = Workers::default();
        of.started_at = self.now;
        of.commands = 0;
        of.engine = Some(Engine::new(
            self.now,
            of.config.clone(),
            ports.collect(),
            seed,
        ));
        self.carry_out(site);
    }

    pub(super) fn kill(&mut self, site: usize) {
        self.sites[site].engine = None;
        self.sites[site].workers = Workers::default();
    }

    pub(super) fn cut(&mut self, cut: [bool; LINKS]) {
        for (line, cut) in self.lines.iter_mut().zip(cut) {
            line.cut = cut;
        }
    }

    /// Goes from one thing that happens to the next.
    pub(super) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        let mut steps_at_once = 0;
        loop {
            let timers = self.sites.iter().filter_map(|site| {
                let engine = site.engine.as_ref()?;
                engine.next_timeout()
            });
            let flight = self.flights.peek().map(|Reverse(flight)| flight.at);
            let Some(next) = timers.chain(flight).min().filter(|&next| next <= end) else {
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
            for site in 0..self.sites.len() {
                let now = self.now;
                if let Some(engine) = &mut self.sites[site].engine
                    && engine.next_timeout().is_some_and(|due| due <= now)
                {
                    engine.handle_timeout(now);
                }
                self.carry_out(site);
            }
        }
        self.now = end;
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

    fn deliver(&mut self) {
        while self
            .flights
            .peek()
            .is_some_and(|Reverse(flight)| flight.at <= self.now)
        {
            let Some(Reverse(flight)) = self.flights.pop() else {
                break;
            };
            if !self.lines[flight.link].cut {
                self.arrive(flight);
            }
        }
    }

    fn arrive(&mut self, flight: Flight) {
        let now = self.now;
        let site = &mut self.sites[flight.to];
        let Some(engine) = &mut site.engine else {
            return;
        };
        let Flight {
            payload,
            source,
            destination,
            link,
            ..
        } = flight;
        if payload[0] & 0x80 != 0 {
            let event = Event::L2tpControl {
                table: TableId(u32::try_from(link).expect("small") + 1),
                source,
                destination,
                payload,
            };
            engine.handle_event(now, event);
            return self.carry_out(flight.to);
        }
        let word = |at: usize| u16::from_be_bytes([payload[at], payload[at + 1]]);
        let (flags, ids) = (word(0), (word(2), word(4)));
        let workers = &site.workers;
        let Some(spec) = workers.session_of(ids) else {
            let excused = workers.had_session(ids) || now < site.started_at + FORGIVEN_AFTER_START;
            if !excused {
                site.refuse("unknown session");
            }
            return;
        };
        let session = spec.id;
        let event = if flags & 0x0200 == 0 {
            let numbered = flags & 0x0800 != 0;
            spec.sequence.received(numbered);
            let at = if numbered { 10 } else { 6 };
            let at = at
                + if payload[at..at + 2] == [0xff, 0x03] {
                    2
                } else {
                    0
                };
            if [PPP_IPV4, PPP_IPV6].contains(&[payload[at], payload[at + 1]]) {
                return Self::receive_plain(site, &spec, &payload[at + 2..]);
            }
            let frame = payload[at..].to_vec();
            Some(Event::Ppp {
                session,
                source,
                frame,
            })
        } else {
            let padding = &payload[8..8 + usize::from(word(6))];
            if padding.len() > 12 {
                let frame = padding.to_vec();
                Some(Event::Report {
                    session,
                    source,
                    frame,
                })
            } else {
                let taken = Self::receive_copy(site, &spec, padding, &payload[22..]);
                (taken && source != spec.peer).then_some(Event::PeerMoved { session, source })
            }
        };
        if let (Some(event), Some(engine)) = (event, &mut self.sites[flight.to].engine) {
            engine.handle_event(now, event);
        }
        self.carry_out(flight.to);
    }

    fn receive_plain(site: &mut Site, spec: &SessionSpec, inner: &[u8]) {
        if !spec.receive || spec.set.is_some() {
            return site.refuse("plain");
        }
        site.deliver(u64::from_be_bytes(
            inner.try_into().expect("our own payload"),
        ));
    }

    /// Says whether the copy was good, first or not.
    fn receive_copy(site: &mut Site, spec: &SessionSpec, header: &[u8], inner: &[u8]) -> bool {
        let header = HaHeader::parse(header).expect("our own header");
        if !spec.receive {
            site.refuse("not authenticated");
            return false;
        }
        let Some(set) = spec.set.and_then(|set| site.workers.sets.get(&set)) else {
            site.refuse("no set");
            return false;
        };
        let Some(epoch) = set.epochs.iter().find(|epoch| epoch.epoch == header.epoch) else {
            site.refuse("unknown epoch");
            return false;
        };
        spec.counters[0].received_packets.add(1);
        let verdict = epoch.window.observe(header.number);
        if verdict != Verdict::TooLate {
            spec.arrivals[0].note(Group::of(header.number));
        }
        if verdict == Verdict::First {
            site.deliver(u64::from_be_bytes(
                inner.try_into().expect("our own payload"),
            ));
        }
        true
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
                let ns = session.sequence.take();
                let mut payload = vec![if ns.is_some() { 0x08 } else { 0 }, 0x02];
                payload.extend(session.peer_tunnel.to_be_bytes());
                payload.extend(session.peer_session.to_be_bytes());
                payload.extend(
                    ns.map(|ns| [ns.to_be_bytes(), [0, 0]])
                        .iter()
                        .flatten()
                        .flatten(),
                );
                payload.extend([0xff, 0x03]);
                payload.extend(protocol);
                payload.extend(number.to_be_bytes());
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

    fn carry_out(&mut self, from: usize) {
        loop {
            let now = self.now;
            let site = &mut self.sites[from];
            let Some(engine) = &mut site.engine else {
                return;
            };
            engine.handle_applied(now, site.commands);
            let Some(output) = engine.poll_output() else {
                return;
            };
            match output {
                Output::Command(command) => {
                    site.workers.apply(command);
                    site.commands += 1;
                }
                Output::Ip { packet, .. } => {
                    if let Some((source, destination, payload)) = datagram(&packet) {
                        self.transmit(source, destination, payload);
                    }
                }
                Output::Resolve { outgoing, name } => {
                    self.look_ups += 1;
                    let addresses = self.names.get(&name).cloned();
                    let answer = addresses.ok_or_else(|| "not found".to_owned());
                    engine.handle_resolved(now, outgoing, answer);
                }
                _ => (),
            }
        }
    }

    fn transmit(&mut self, mut source: SocketAddr, destination: SocketAddr, payload: Vec<u8>) {
        if let Some(&port) = self.mappings.get(&source.ip()) {
            source.set_port(port);
        }
        self.inject(source, destination, payload);
    }

    /// Puts a datagram on the line that its destination is on, behind any NAT.
    pub(super) fn inject(
        &mut self,
        source: SocketAddr,
        mut destination: SocketAddr,
        payload: Vec<u8>,
    ) {
        if let Some(&port) = self.mappings.get(&destination.ip()) {
            if destination.port() != port {
                self.to_old_mappings += 1;
                return;
            }
            destination.set_port(1701);
        }
        let Some(to) = self.site_of(destination.ip()) else {
            self.to_nobody += 1;
            return;
        };
        let link = line_of(destination.ip());
        let line = self.lines[link];
        let unwanted = self.dropped_message_type.is_some()
            && self.dropped_message_type == control_message_type(&payload);
        let (is_ha, is_data) = ha_frame(&payload);
        let vanishes = line.cut || (line.ha_cut && is_ha) || (line.data_cut && is_data);
        let lost = vanishes || unwanted || (line.loss > 0.0 && self.rng.random_bool(line.loss));
        let doubled = !lost && self.rng.random_bool(line.duplication);
        if is_data {
            let fate = self.fates.entry((to, link)).or_default();
            fate.sent += 1;
            fate.lost += u64::from(lost);
            fate.doubled += u64::from(doubled);
        }
        if lost {
            return;
        }
        let copies = 1 + usize::from(doubled);
        for _ in 0..copies {
            let held_up = self.rng.random_bool(line.reordering);
            let jitter_us = self
                .rng
                .random_range(0..if held_up { 100_000 } else { 3_000 });
            self.order += 1;
            self.flights.push(Reverse(Flight {
                at: self.now + milliseconds(DELAYS_MS[link]) + Duration::from_micros(jitter_us),
                order: self.order,
                to,
                link,
                source,
                destination,
                payload: payload.clone(),
            }));
        }
    }

    fn site_of(&self, address: IpAddr) -> Option<usize> {
        let has = |site: &Site| {
            let own = site.config.interfaces.iter().flat_map(|of| &of.addresses);
            own.clone().any(|own| own.address == address)
        };
        self.sites.iter().position(has)
    }

    pub(super) fn engine(&self, site: usize) -> &Engine {
        self.sites[site].engine.as_ref().expect("running")
    }

    pub(super) fn engine_mut(&mut self, site: usize) -> &mut Engine {
        self.sites[site].engine.as_mut().expect("running")
    }

    /// Stops a site in order, and carries out what that takes.
    pub(super) fn shut_down(&mut self, site: usize) {
        let now = self.now;
        self.engine_mut(site).shutdown(now);
        self.carry_out(site);
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

    pub(super) fn assert_all_delivered(&mut self, sent: &[Vec<u64>; 2]) {
        self.run_for(milliseconds(300));
        for (from, to) in [(HEAD, REMOTE), (REMOTE, HEAD)] {
            let delivered = &self.sites[to].delivered;
            let missing: Vec<_> = sent[from]
                .iter()
                .filter(|number| !delivered.contains_key(number))
                .collect();
            assert!(!sent[from].is_empty(), "traffic flowed");
            assert!(missing.is_empty(), "lost from site {from}: {missing:?}");
        }
        self.assert_none_twice();
    }

    pub(super) fn assert_none_twice(&self) {
        for (place, site) in self.sites.iter().enumerate() {
            let twice: Vec<_> = site.delivered.iter().filter(|&(_, &n)| n > 1).collect();
            assert!(twice.is_empty(), "delivered twice at {place}: {twice:?}");
        }
    }

    pub(super) fn assert_none_refused(&self) {
        for (place, site) in self.sites.iter().enumerate() {
            assert_eq!(site.refused, BTreeMap::new(), "refused at site {place}");
        }
    }

    /// After a quiet time, a site holds what its open links need and no more.
    pub(super) fn assert_nothing_leaked(&self, site: usize, links: usize, sets: usize) {
        let (engine, workers) = (self.engine(site), &self.sites[site].workers);
        assert_eq!(engine.links.keys().len(), links, "links at {site}");
        assert_eq!(engine.by_call.len(), links, "calls at {site}");
        assert_eq!(engine.deadlines.len(), links, "deadlines at {site}");
        let tunnels = engine.endpoint.tunnels();
        let in_use = |id| engine.endpoint.tunnel(id).is_some_and(|of| of.calls > 0);
        let tunnels = tunnels.filter(|&id| in_use(id)).count();
        assert_eq!(tunnels, links, "tunnels at {site}");
        let dialled = if site == HEAD { 0 } else { links };
        assert_eq!(engine.by_tunnel.len(), dialled, "dialled at {site}");
        assert_eq!(engine.sets.iter().count(), sets, "sets at {site}");
        assert_eq!(workers.sessions.len(), links, "workers' sessions at {site}");
        assert_eq!(workers.sets.len(), sets, "workers' sets at {site}");
        let epochs = workers.sets.values().map(|set| set.epochs.len());
        assert!(epochs.clone().all(|count| count == 1), "epochs at {site}");
        assert!(engine.connected.is_empty() && engine.outputs.is_empty());
        for link in engine.links.values() {
            assert_eq!(link.scheduled, link.next_timeout(), "timer at {site}");
        }
    }

    /// Routes of a site, wherever they lead.
    pub(super) fn prefixes(&self, site: usize) -> Vec<(TableId, Prefix)> {
        self.sites[site].workers.routes.keys().copied().collect()
    }
}

/// Whether a message has an HA header, and whether a packet follows it.
fn ha_frame(payload: &[u8]) -> (bool, bool) {
    let is_ha = payload.get(..2) == Some(&[0x02, 0x02]);
    (is_ha, is_ha && payload.get(6..8) == Some(&[0, 12]))
}

/// The value of the Message Type AVP, which comes first (RFC 2661, 4.4.1).
fn control_message_type(payload: &[u8]) -> Option<u16> {
    let is_control = payload[0] & 0x80 != 0;
    let value = payload.get(18..20).filter(|_| is_control)?;
    Some(u16::from_be_bytes([value[0], value[1]]))
}
