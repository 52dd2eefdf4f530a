//! A client and servers over a seeded network that loses, repeats, delays and
//! reorders, for hours of virtual time.

use std::collections::BTreeMap;

use dhcproto::v4::{DhcpOption, MessageType};
use rand::SeedableRng;

use super::tests::{Answer, MAC, Sent};
use super::*;
use crate::seeds::seeds;

mod server;

use server::Server;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What the network does to a packet.
#[derive(Clone, Debug)]
struct Weather {
    loss: f64,
    repeat: f64,
    delay_ms: std::ops::Range<u64>,
}

impl Weather {
    const FINE: Self = Self {
        loss: 0.0,
        repeat: 0.0,
        delay_ms: 1..20,
    };
    const STORM: Self = Self {
        loss: 0.3,
        repeat: 0.2,
        delay_ms: 1..6000,
    };
}

#[derive(Debug)]
enum Arrival {
    /// At all servers that are there.
    Request(Sent),
    Answer(Vec<u8>),
}

/// What the client has been seen doing: told of changes, given leases, given more time.
#[derive(Debug, Default)]
struct Seen {
    changes: u32,
    leases: u32,
    renewals: u32,
    naks: u64,
    expired: u64,
}

struct World {
    now: Duration,
    rng: StdRng,
    weather: Weather,
    link_is_up: bool,
    client: DhcpClient,
    servers: Vec<Server>,
    /// By time of arrival, then order of sending.
    network: BTreeMap<(Duration, u64), Arrival>,
    sent: u64,
    held: Option<Ipv4Addr>,
    until: Option<Duration>,
    seen: Seen,
}

impl World {
    fn new(seed: u64, weather: Weather, servers: Vec<Server>) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let now = s(rng.random_range(0..10_000));
        let client_rng = StdRng::seed_from_u64(rng.random());
        let mut client = DhcpClient::new(now, MAC, DhcpSettings::default(), client_rng);
        client.set_link(now, true);
        Self {
            now,
            rng,
            weather,
            link_is_up: true,
            client,
            servers,
            network: BTreeMap::new(),
            sent: 0,
            held: None,
            until: None,
            seen: Seen::default(),
        }
    }

    fn send(&mut self, arrival: impl Fn() -> Arrival, later: Duration) {
        let copies = 1 + u8::from(self.rng.random_bool(self.weather.repeat));
        for _ in 0..copies {
            if self.rng.random_bool(self.weather.loss) {
                continue;
            }
            let delay = self.rng.random_range(self.weather.delay_ms.clone());
            let at = self.now + later + Duration::from_millis(delay);
            self.network.insert((at, self.sent), arrival());
            self.sent += 1;
        }
    }

    /// Carries out what the client wants, and checks what it holds.
    fn settle(&mut self) {
        let mut is_told = false;
        while let Some(action) = self.client.poll_action() {
            if action == Action::Changed {
                is_told = true;
                self.seen.changes += 1;
                continue;
            }
            assert!(self.link_is_up, "sent on a link that is down");
            let sent = Sent::read(&action);
            assert!(
                sent.source.is_unspecified() || Some(sent.source) == self.client.held_address(),
                "from an address that is not held: {sent:?}"
            );
            self.send(|| Arrival::Request(Sent::read(&action)), Duration::ZERO);
        }
        let held = self.client.held_address();
        assert!(held == self.held || is_told, "changed without a word");
        self.held = held;
        let until = self.client.expiry();
        if until != self.until && held.is_some() {
            self.seen.leases += u32::from(is_told);
            self.seen.renewals += u32::from(!is_told);
        }
        self.until = until;
        self.check();
    }

    /// What is held is on some server's books, for at least as long as we think.
    fn check(&self) {
        let assignment = self.client.assignment();
        let Some(address) = self.held else {
            assert_eq!(*assignment, Assignment::default());
            return;
        };
        let until = assignment.addresses[0].valid_until;
        let booked = self
            .servers
            .iter()
            .filter_map(|server| server.lease_until(address))
            .max();
        assert!(until.is_none_or(|until| until > self.now), "used too long");
        assert!(booked >= until, "{address} until {until:?}, not {booked:?}");
    }

    fn step(&mut self, until: Duration) -> bool {
        self.settle();
        let arrival = self.network.first_key_value().map(|((at, _), _)| *at);
        let next = arrival.into_iter().chain(self.client.next_timeout()).min();
        let Some(at) = next.filter(|&at| at <= until) else {
            return false;
        };
        assert!(at >= self.now, "a time in the past");
        self.now = at;
        self.client.handle_timeout(at);
        let next = self.client.next_timeout();
        assert!(next.is_none_or(|next| next > at), "time stands still");
        self.settle();
        while let Some(entry) = self
            .network
            .first_entry()
            .filter(|entry| entry.key().0 <= at)
        {
            match entry.remove() {
                Arrival::Answer(packet) => {
                    // The network may be another one now; what is under way there is lost.
                    if self.link_is_up {
                        self.client.handle_packet(at, &packet);
                    }
                    self.settle();
                }
                Arrival::Request(sent) => {
                    let mut answers = Vec::new();
                    for server in &mut self.servers {
                        answers.extend(server.hear(at, &sent));
                    }
                    for (delay, answer) in answers {
                        self.send(|| Arrival::Answer(answer.packet()), delay);
                    }
                }
            }
        }
        true
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
        self.now = until;
        self.seen.naks = self.client.counters().naks;
        self.seen.expired = self.client.counters().expired;
    }

    fn set_link(&mut self, up: bool) {
        self.link_is_up = up;
        self.client.set_link(self.now, up);
        self.settle();
    }

    fn is_bound(&self) -> bool {
        self.held.is_some()
            && matches!(
                self.client.state(),
                DhcpState::Bound | DhcpState::Renewing | DhcpState::Rebinding
            )
    }

    /// When the servers and the network are well again, so is the client within three minutes.
    fn assert_recovers(&mut self) {
        self.weather = Weather::FINE;
        for server in &mut self.servers {
            server.is_up = true;
            server.delay = Duration::ZERO;
        }
        self.set_link(true);
        self.run(s(180));
        assert!(
            self.is_bound(),
            "{} {:?}",
            self.client.state(),
            self.client.counters()
        );
    }
}

/// Runs a scenario for many seeds; what they have seen together.
fn simulate(count: u64, scenario: impl Fn(u64) -> World) -> Seen {
    let mut all = Seen::default();
    for seed in seeds(count) {
        println!("seed {seed}");
        let seen = scenario(seed).seen;
        all.changes += seen.changes;
        all.leases += seen.leases;
        all.renewals += seen.renewals;
        all.naks += seen.naks;
        all.expired += seen.expired;
    }
    all
}

/// Whether one seed alone is looked at: it need not show everything.
fn is_replay() -> bool {
    std::env::var_os("HAL2TP_SEED").is_some()
}

#[test]
fn a_lease_is_kept_for_a_day_in_fine_weather() {
    for seed in seeds(10) {
        println!("seed {seed}");
        let server = Server::new(1, 120);
        let mut world = World::new(seed, Weather::FINE, vec![server]);
        world.run(s(86_400));
        assert!(world.is_bound());
        // Given once, renewed every minute.
        assert_eq!(world.seen.changes, 1);
        let counters = world.client.counters();
        assert_eq!((counters.sent_discover, counters.expired), (1, 0));
        assert!(
            (1430..=1442).contains(&counters.received_ack),
            "{counters:?}"
        );
    }
}

#[test]
fn in_a_storm_an_address_is_never_used_beyond_its_lease() {
    let seen = simulate(60, |seed| {
        let lease_s = [10, 20, 120, 600, 3600][seed as usize % 5];
        let servers = vec![Server::new(1, lease_s)];
        let mut world = World::new(seed, Weather::STORM, servers);
        world.run(s(2 * 3600));
        world.assert_recovers();
        world
    });
    if !is_replay() {
        assert!(seen.renewals > 1000 && seen.expired > 100, "{seen:?}");
    }
}

/// Servers vanish, forget, move to other addresses, become slow; the cable is pulled out and put into another network.
#[test]
fn whatever_happens_to_servers_and_cables_the_client_returns() {
    let seen = simulate(60, |seed| {
        let servers = vec![Server::new(1, 120), Server::new(2, 600)];
        let mut world = World::new(seed, Weather::STORM, servers);
        for _ in 0..100 {
            let time = s(world.rng.random_range(1..400));
            world.run(time);
            let which = world.rng.random_range(0..2);
            let server = &mut world.servers[which];
            match world.rng.random_range(0..10) {
                0 | 1 => server.is_up = !server.is_up,
                2 => server.is_silent_about_strangers ^= true,
                3 => server.forget(),
                4 => server.network ^= 4,
                5 => server.delay = s(world.rng.random_range(0..12)),
                6 => {
                    world.set_link(false);
                    let time = s(world.rng.random_range(0..100));
                    world.run(time);
                    // In another network there is another server.
                    if world.rng.random() {
                        world
                            .servers
                            .iter_mut()
                            .for_each(|server| server.is_up ^= true);
                    }
                    world.set_link(true);
                }
                7 => {
                    if let Some(address) = world.held {
                        world.client.handle_conflict(world.now, address);
                        world.settle();
                    }
                }
                8 => {
                    world.client.verify(world.now);
                    world.settle();
                }
                _ => {
                    let stormy = Weather::STORM;
                    let is_fine = world.weather.loss == 0.0;
                    world.weather = if is_fine { stormy } else { Weather::FINE };
                }
            }
        }
        world.assert_recovers();
        world
    });
    if !is_replay() {
        assert!(seen.naks > 100 && seen.expired > 100, "{seen:?}");
        assert!(seen.renewals > 100 && seen.leases > 100, "{seen:?}");
    }
}

#[test]
fn a_changed_range_moves_the_client_at_the_next_renewal() {
    for seed in seeds(20) {
        println!("seed {seed}");
        let mut world = World::new(seed, Weather::FINE, vec![Server::new(1, 120)]);
        world.run(s(30));
        let before = world.held.unwrap();
        world.servers[0].network ^= 4;
        world.run(s(40));
        let after = world.held.unwrap();
        assert_ne!(before, after);
        // Gone, and another.
        assert_eq!((world.seen.changes, world.seen.naks), (3, 1));
    }
}

#[test]
fn a_server_that_vanishes_is_missed_only_when_the_lease_ends() {
    for seed in seeds(20) {
        println!("seed {seed}");
        let mut world = World::new(seed, Weather::FINE, vec![Server::new(1, 120)]);
        world.run(s(30));
        world.servers[0].is_up = false;
        world.run(s(80));
        assert!(world.held.is_some());
        world.run(s(15));
        assert_eq!(world.held, None);
        world.run(s(3600));
        world.assert_recovers();
        assert_eq!(world.seen.expired, 1);
    }
}

#[test]
fn the_other_server_takes_over() {
    for seed in seeds(20) {
        println!("seed {seed}");
        let servers = vec![Server::new(1, 120), Server::new(2, 120)];
        let mut world = World::new(seed, Weather::FINE, servers);
        world.run(s(30));
        let first = world.client.assignment().server;
        for server in &mut world.servers {
            server.is_up = Some(server.address().into()) != first;
        }
        world.run(s(240));
        assert!(world.is_bound());
        assert_ne!(world.client.assignment().server, first);
    }
}

#[test]
fn a_server_of_ten_seconds_is_waited_for() {
    for seed in seeds(20) {
        println!("seed {seed}");
        let mut server = Server::new(1, 600);
        server.delay = s(10);
        let mut world = World::new(seed, Weather::FINE, vec![server]);
        world.run(s(30));
        assert!(world.is_bound(), "{:?}", world.client.counters());
        world.run(s(3600));
        assert_eq!(world.seen.changes, 1);
    }
}
