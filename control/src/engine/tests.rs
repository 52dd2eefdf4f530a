//! Two engines over a seeded network with make-believe workers, which obey
//! commands at once and count whatever they would have had to refuse.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dataplane::command::{
    Command, NextHop, PortId, Prefix, SessionId, SessionSpec, SetId, SetSpec, TableId,
};
use dataplane::event::Event;
use dataplane::headers::ha::{HaHeader, Kind};
use dataplane::window::Verdict;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Engine, Output, PortFacts};
use crate::config::Config;

const TICK: Duration = Duration::from_millis(5);
const LINKS: usize = 3;
const DELAYS_MS: [u64; LINKS] = [5, 20, 60];

/// What the workers of one site would know.
#[derive(Default)]
struct Workers {
    routes: BTreeMap<(TableId, Prefix), NextHop>,
    sessions: HashMap<SessionId, Arc<SessionSpec>>,
    sets: HashMap<SetId, Arc<SetSpec>>,
}

impl Workers {
    fn apply(&mut self, command: Command) {
        match command {
            Command::SetRoute {
                table,
                prefix,
                next_hop,
            } => {
                self.routes.insert((table, prefix), next_hop);
            }
            Command::RemoveRoute { table, prefix } => {
                self.routes.remove(&(table, prefix));
            }
            Command::SetSession(spec) => {
                self.sessions.insert(spec.id, spec);
            }
            Command::RemoveSession(id) => {
                self.sessions.remove(&id);
            }
            Command::SetSet(spec) => {
                self.sets.insert(spec.id, spec);
            }
            Command::RemoveSet(id) => {
                self.sets.remove(&id);
            }
            _ => (),
        }
    }

    fn route(&self, address: Ipv4Addr) -> Option<NextHop> {
        self.routes
            .iter()
            .filter(|((table, prefix), _)| *table == TableId(0) && prefix.contains(address))
            .max_by_key(|((_, prefix), _)| prefix.length)
            .map(|(_, next_hop)| *next_hop)
    }
}

struct Site {
    config: Config,
    engine: Option<Engine>,
    workers: Workers,
    /// Payload numbers that came out of the tunnel, in order.
    delivered: Vec<u64>,
    seen: BTreeSet<u64>,
    twice: u64,
    /// Copies for a session that was not ready, by reason.
    refused: BTreeMap<&'static str, u64>,
}

/// A datagram under way, ordered by arrival.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    at: Duration,
    order: u64,
    to: usize,
    link: usize,
    source: SocketAddrV4,
    destination: SocketAddrV4,
    payload: Vec<u8>,
}

const HEAD: usize = 0;
const REMOTE: usize = 1;

struct World {
    now: Duration,
    rng: StdRng,
    sites: [Site; 2],
    flights: BinaryHeap<Reverse<Flight>>,
    order: u64,
    cut: [bool; LINKS],
    loss: f64,
    next_payload: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        Self::with(seed, |_| (), |_| ())
    }

    fn with(
        seed: u64,
        change_head: impl FnOnce(&mut Config),
        change_remote: impl FnOnce(&mut Config),
    ) -> Self {
        let (mut head, mut remote) = (config("head"), config("remote"));
        change_head(&mut head);
        change_remote(&mut remote);
        let site = |config| Site {
            config,
            engine: None,
            workers: Workers::default(),
            delivered: Vec::new(),
            seen: BTreeSet::new(),
            twice: 0,
            refused: BTreeMap::new(),
        };
        let mut world = Self {
            now: Duration::ZERO,
            rng: StdRng::seed_from_u64(seed),
            sites: [site(head), site(remote)],
            flights: BinaryHeap::new(),
            order: 0,
            cut: [false; LINKS],
            loss: 0.0,
            next_payload: 0,
        };
        world.start(HEAD);
        world.start(REMOTE);
        world
    }

    fn start(&mut self, site: usize) {
        let mut seed = [0; 32];
        self.rng.fill(&mut seed);
        let ports = (0..4u16).map(|id| PortFacts {
            id: PortId(id),
            mac: [2, 0, 0, 0, site as u8, id as u8],
            mtu: 1500,
        });
        let config = self.sites[site].config.clone();
        self.sites[site].workers = Workers::default();
        self.sites[site].engine = Some(Engine::new(self.now, config, ports.collect(), seed));
    }

    fn kill(&mut self, site: usize) {
        self.sites[site].engine = None;
        self.sites[site].workers = Workers::default();
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += TICK;
            self.deliver();
            for site in [HEAD, REMOTE] {
                let now = self.now;
                if let Some(engine) = &mut self.sites[site].engine
                    && engine.next_timeout().is_some_and(|due| due <= now)
                {
                    engine.handle_timeout(now);
                }
                self.carry_out(site);
            }
        }
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
            if self.cut[flight.link] {
                continue;
            }
            self.arrive(flight);
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
            let table = TableId(if flight.to == HEAD || flight.to == REMOTE {
                link as u32 + 1
            } else {
                0
            });
            engine.handle_event(
                now,
                Event::L2tpControl {
                    table,
                    source,
                    destination,
                    payload,
                },
            );
            self.carry_out(flight.to);
            return;
        }
        let word = |at: usize| u16::from_be_bytes([payload[at], payload[at + 1]]);
        let (flags, tunnel, session) = (word(0), word(2), word(4));
        let Some(spec) = site
            .workers
            .sessions
            .values()
            .find(|spec| (spec.local_tunnel, spec.local_session) == (tunnel, session))
            .cloned()
        else {
            *site.refused.entry("unknown session").or_default() += 1;
            return;
        };
        if flags & 0x0200 != 0 {
            let padding = &payload[8..8 + usize::from(word(6))];
            if padding.len() > 12 {
                engine.handle_event(
                    now,
                    Event::Report {
                        session: spec.id,
                        source,
                        frame: padding.to_vec(),
                    },
                );
            } else {
                let header = HaHeader::parse(padding).expect("our own header");
                Self::receive_copy(site, &spec, &header, &payload);
            }
        } else {
            let at = if payload[6..8] == [0xff, 0x03] { 8 } else { 6 };
            engine.handle_event(
                now,
                Event::Ppp {
                    session: spec.id,
                    source,
                    frame: payload[at..].to_vec(),
                },
            );
        }
        self.carry_out(flight.to);
    }

    fn receive_copy(site: &mut Site, spec: &SessionSpec, header: &HaHeader, payload: &[u8]) {
        let mut refuse = |why| *site.refused.entry(why).or_default() += 1;
        if !spec.receive {
            return refuse("not authenticated");
        }
        let Some(set) = spec.set.and_then(|set| site.workers.sets.get(&set)) else {
            return refuse("no set");
        };
        let Some(epoch) = set.epochs.iter().find(|epoch| epoch.epoch == header.epoch) else {
            return refuse("unknown epoch");
        };
        spec.counters[0].received_packets.add(1);
        if epoch.window.observe(header.number) == Verdict::First {
            let number = u64::from_be_bytes(payload[22..30].try_into().expect("our own payload"));
            site.twice += u64::from(!site.seen.insert(number));
            site.delivered.push(number);
        }
    }

    /// A LAN packet with a number of its own; says whether any copy was sent.
    fn send_payload(&mut self, from: usize) -> Option<u64> {
        let towards = [
            Ipv4Addr::new(192, 168, 2, 10),
            Ipv4Addr::new(192, 168, 1, 10),
        ][from];
        let number = self.next_payload;
        let workers = &self.sites[from].workers;
        let NextHop::Set(set) = workers.route(towards)? else {
            return None;
        };
        let set = workers.sets.get(&set)?.clone();
        let members: Vec<_> = set
            .members
            .iter()
            .filter_map(|id| workers.sessions.get(id).cloned())
            .collect();
        if members.is_empty() {
            return None;
        }
        self.next_payload += 1;
        let sequence = set.next_number.fetch_add(1, Ordering::Relaxed);
        for member in members {
            let mut payload = vec![0x02, 0x02];
            payload.extend(member.peer_tunnel.to_be_bytes());
            payload.extend(member.peer_session.to_be_bytes());
            payload.extend([0, 12]);
            let mut header = [0; 12];
            HaHeader {
                kind: Kind::Data,
                flags: 0,
                epoch: set.send_epoch,
                number: sequence,
            }
            .write(&mut header);
            payload.extend(header);
            payload.extend([0x00, 0x21]);
            payload.extend(number.to_be_bytes());
            member.counters[0].sent_packets.add(1);
            self.transmit(from, member.local, member.peer, payload);
        }
        Some(number)
    }

    fn carry_out(&mut self, from: usize) {
        loop {
            let site = &mut self.sites[from];
            let Some(output) = site.engine.as_mut().and_then(Engine::poll_output) else {
                return;
            };
            match output {
                Output::Command(command) => site.workers.apply(command),
                Output::Ipv4 { packet, .. } if packet[9] == 17 => {
                    let address = |at: usize| {
                        Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3])
                    };
                    let port = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
                    let source = SocketAddrV4::new(address(12), port(20));
                    let destination = SocketAddrV4::new(address(16), port(22));
                    self.transmit(from, source, destination, packet[28..].to_vec());
                }
                _ => (),
            }
        }
    }

    fn transmit(
        &mut self,
        from: usize,
        source: SocketAddrV4,
        destination: SocketAddrV4,
        payload: Vec<u8>,
    ) {
        let link = usize::from(destination.ip().octets()[1]) - 1;
        if self.cut[link] || self.rng.random_bool(self.loss) {
            return;
        }
        let jitter = Duration::from_micros(self.rng.random_range(0..3000));
        self.order += 1;
        self.flights.push(Reverse(Flight {
            at: self.now + Duration::from_millis(DELAYS_MS[link]) + jitter,
            order: self.order,
            to: 1 - from,
            link,
            source,
            destination,
            payload,
        }));
    }

    fn engine(&self, site: usize) -> &Engine {
        self.sites[site].engine.as_ref().expect("running")
    }

    fn members(&self, site: usize) -> usize {
        self.engine(site)
            .groups
            .iter()
            .map(|group| group.members().len())
            .sum()
    }

    /// Traffic both ways, one packet each per tick; the numbers that were sent.
    fn traffic_for(&mut self, time: Duration) -> [Vec<u64>; 2] {
        let (mut sent, end) = ([Vec::new(), Vec::new()], self.now + time);
        while self.now < end {
            for site in [HEAD, REMOTE] {
                sent[site].extend(self.send_payload(site));
            }
            self.run_for(TICK);
        }
        sent
    }

    fn assert_all_delivered(&mut self, sent: &[Vec<u64>; 2]) {
        self.run_for(Duration::from_millis(300));
        for from in [HEAD, REMOTE] {
            let to = &self.sites[1 - from];
            let missing: Vec<_> = sent[from]
                .iter()
                .filter(|number| !to.seen.contains(number))
                .collect();
            assert!(!sent[from].is_empty(), "traffic flowed");
            assert!(missing.is_empty(), "lost from site {from}: {missing:?}");
        }
        assert_eq!(
            self.sites.each_ref().map(|site| site.twice),
            [0, 0],
            "delivered twice"
        );
    }
}

fn config(name: &str) -> Config {
    let path = format!("{}/../configs/demo/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let (config, _) =
        Config::load(std::path::Path::new(&path)).expect("the demo's configuration is right");
    config
}

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

#[test]
fn three_links_come_up_and_carry_both_ways() {
    let mut world = World::new(1);
    world.run_for(seconds(5));
    assert_eq!((world.members(HEAD), world.members(REMOTE)), (3, 3));
    let sent = world.traffic_for(seconds(2));
    world.assert_all_delivered(&sent);
    assert_eq!(
        world.sites.each_ref().map(|site| site.refused.clone()),
        [BTreeMap::new(), BTreeMap::new()]
    );
}

/// The rule that what lets a peer send leaves only when we are ready: while
/// links come up one by one under traffic, no copy is ever refused.
#[test]
fn no_copy_meets_a_session_that_is_not_ready() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        world.loss = 0.1;
        world.traffic_for(seconds(20));
        assert_eq!(
            (world.members(HEAD), world.members(REMOTE)),
            (3, 3),
            "seed {seed}"
        );
        let refused = world.sites.each_ref().map(|site| site.refused.clone());
        assert_eq!(refused, [BTreeMap::new(), BTreeMap::new()], "seed {seed}");
    }
}

#[test]
fn cutting_each_link_in_turn_loses_nothing() {
    let mut world = World::new(3);
    world.run_for(seconds(5));
    let mut all = [Vec::new(), Vec::new()];
    for link in 0..LINKS {
        for cut in [true, false] {
            world.cut[link] = cut;
            let sent = world.traffic_for(seconds(12));
            for site in [HEAD, REMOTE] {
                all[site].extend(&sent[site]);
            }
            assert_eq!(
                world.members(HEAD),
                if cut { 2 } else { 3 },
                "link {link}, cut {cut}"
            );
            assert_eq!(
                world.members(REMOTE),
                if cut { 2 } else { 3 },
                "link {link}, cut {cut}"
            );
        }
    }
    world.assert_all_delivered(&all);
}

#[test]
fn the_last_link_alone_carries_all_and_all_links_down_withdraw_the_route() {
    let mut world = World::new(4);
    world.run_for(seconds(5));
    world.cut = [true, true, false];
    let sent = world.traffic_for(seconds(10));
    assert_eq!(world.members(HEAD), 1);
    world.assert_all_delivered(&sent);
    world.cut = [true; 3];
    world.run_for(seconds(10));
    let hosts = [
        Ipv4Addr::new(192, 168, 2, 10),
        Ipv4Addr::new(192, 168, 1, 10),
    ];
    for site in [HEAD, REMOTE] {
        assert_eq!(
            world.sites[site].workers.route(hosts[site]),
            None,
            "site {site}"
        );
    }
    let before = world
        .engine(REMOTE)
        .sets
        .iter()
        .map(|set| set.ours.clone())
        .collect::<Vec<_>>();
    world.cut = [false; 3];
    world.run_for(seconds(12));
    assert_eq!((world.members(HEAD), world.members(REMOTE)), (3, 3));
    let after = world
        .engine(REMOTE)
        .sets
        .iter()
        .map(|set| set.ours.clone())
        .collect::<Vec<_>>();
    assert_eq!(
        before, after,
        "a time with all links down keeps instance and epoch"
    );
    let sent = world.traffic_for(seconds(1));
    world.assert_all_delivered(&sent);
}

#[test]
fn a_restarted_remote_displaces_its_old_instance_within_five_seconds() {
    for seed in 0..10 {
        let mut world = World::new(seed);
        world.run_for(seconds(5));
        world.traffic_for(seconds(2));
        world.kill(REMOTE);
        world.traffic_for(Duration::from_millis(500));
        world.start(REMOTE);
        world.traffic_for(seconds(5));
        assert_eq!(
            (world.members(HEAD), world.members(REMOTE)),
            (3, 3),
            "seed {seed}"
        );
        let sent = world.traffic_for(seconds(1));
        world.assert_all_delivered(&sent);
        world.run_for(seconds(40));
        assert_eq!(
            world.engine(HEAD).sets.iter().count(),
            1,
            "seed {seed}: the old instance is forgotten"
        );
        assert_eq!(
            world.engine(HEAD).links.len(),
            3,
            "seed {seed}: the old links are gone"
        );
    }
}

#[test]
fn a_restarted_head_is_found_again_within_the_timeout_and_three_seconds() {
    for seed in 0..10 {
        let mut world = World::new(seed);
        world.run_for(seconds(5));
        world.traffic_for(seconds(2));
        world.kill(HEAD);
        world.traffic_for(Duration::from_millis(800));
        world.start(HEAD);
        world.traffic_for(seconds(8));
        assert_eq!(
            (world.members(HEAD), world.members(REMOTE)),
            (3, 3),
            "seed {seed}"
        );
        let sent = world.traffic_for(seconds(1));
        world.assert_all_delivered(&sent);
    }
}

#[test]
fn a_peer_without_ha_gets_one_plain_session_and_the_others_stand_by() {
    let mut world = World::with(
        7,
        |head| {
            head.l2tp.incoming[0]
                .matches
                .iter_mut()
                .for_each(|login| login.ha_set = None)
        },
        |_| (),
    );
    world.run_for(seconds(5));
    let route = world.sites[REMOTE]
        .workers
        .route(Ipv4Addr::new(192, 168, 1, 10));
    assert!(matches!(route, Some(NextHop::Session(_))), "{route:?}");
    let group = world
        .engine(REMOTE)
        .groups
        .iter()
        .next()
        .expect("one group");
    assert_eq!(group.protection(), "peer has no HA: no protection");
    assert_eq!(group.sessions().count(), 3);
}

#[test]
fn a_clean_stop_clears_the_tunnels_at_both_ends() {
    let mut world = World::new(8);
    world.run_for(seconds(5));
    let now = world.now;
    world.sites[REMOTE]
        .engine
        .as_mut()
        .expect("running")
        .shutdown(now);
    world.carry_out(REMOTE);
    world.run_for(seconds(1));
    assert!(world.engine(REMOTE).is_shut_down());
    assert_eq!(world.members(HEAD), 0);
}
