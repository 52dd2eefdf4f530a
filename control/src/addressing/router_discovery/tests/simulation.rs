//! Hours with routers that come, go and renumber, over a link that loses,
//! repeats and reorders.

use rand::Rng;

use super::*;
use crate::seeds::seeds;

/// How long a router waits between two advertisements.
const INTERVAL_S: u64 = 200;
const LIFETIME_S: u16 = 600;
const STEP: Duration = Duration::from_millis(250);

/// A router as it is, whatever the host knows of it.
struct Peer {
    number: u8,
    is_up: bool,
    network: u16,
    next_at: Duration,
}

struct World {
    host: Host,
    rng: StdRng,
    peers: Vec<Peer>,
    loss: f64,
    /// Messages, and when each arrives.
    on_the_way: Vec<(Duration, u8, RouterAdvertisement)>,
    last: Shape,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let peers = (0..rng.random_range(1..=3))
            .map(|number| Peer {
                number,
                is_up: rng.random_bool(0.7),
                network: u16::from(number) * 100,
                next_at: Duration::ZERO,
            })
            .collect();
        Self {
            host: Host::new(),
            peers,
            loss: rng.random_range(0.0..0.4),
            on_the_way: Vec::new(),
            rng,
            last: Shape::default(),
        }
    }

    fn step(&mut self) {
        self.advertise();
        self.arrive();
        let asked = !std::mem::take(&mut self.host.solicited).is_empty();
        if asked && !self.rng.random_bool(self.loss) {
            let answer_at = self.host.now + Duration::from_millis(500);
            for peer in &mut self.peers {
                peer.next_at = peer.next_at.min(answer_at);
            }
        }
        self.host.pass(STEP);
        self.check();
    }

    fn advertise(&mut self) {
        let now = self.host.now;
        for peer in &mut self.peers {
            if !peer.is_up || peer.next_at > now {
                continue;
            }
            peer.next_at = now + seconds(INTERVAL_S);
            let told = RouterAdvertisement {
                lifetime_s: LIFETIME_S,
                ..advertisement(&[lasting(peer.network, 600, 1200)])
            };
            for _ in 0..self.rng.random_range(1..=2) {
                if !self.rng.random_bool(self.loss) {
                    let delay = Duration::from_millis(self.rng.random_range(0..2000));
                    let arrival = (now + delay, peer.number, told.clone());
                    self.on_the_way.push(arrival);
                }
            }
        }
    }

    fn arrive(&mut self) {
        self.on_the_way.sort_by_key(|(at, ..)| *at);
        let now = self.host.now;
        while self.on_the_way.first().is_some_and(|(at, ..)| *at <= now) {
            let (_, from, told) = self.on_the_way.remove(0);
            self.host.hear(from, &told);
        }
    }

    fn disturb(&mut self) {
        let chosen = self.rng.random_range(0..self.peers.len());
        let peer = &mut self.peers[chosen];
        match self.rng.random_range(0..4) {
            0 => peer.is_up = !peer.is_up,
            1 => peer.network = u16::from(peer.number) * 100 + self.rng.random_range(0..50),
            2 => self.host.set_link(false),
            _ => self.host.set_link(true),
        }
    }

    /// Nothing changes without a word, and nothing outlives its time.
    fn check(&mut self) {
        let now = self.host.now;
        let assignment = self.host.discovery.assignment();
        let shape = Shape::of(assignment, now);
        let changed = std::mem::take(&mut self.host.changes) > 0;
        assert!(changed || shape == self.last, "changed without a word");
        self.last = shape;
        let mut ends = assignment.addresses.iter().map(|own| own.valid_until);
        assert!(ends.all(|until| is_ahead(until, now)), "{assignment:?}");
        let mut ends = assignment.routers.iter().map(|known| known.valid_until);
        assert!(ends.all(|until| is_ahead(until, now)), "{assignment:?}");
        assert!(assignment.addresses.len() <= LIMIT && assignment.routers.len() <= LIMIT);
    }

    /// Left alone for long enough, the host knows what there is and nothing else.
    fn settle(&mut self) {
        self.host.set_link(true);
        self.loss = 0.0;
        // It may be asking once an hour by now; what was is valid for two hours at most.
        let end = self.host.now + seconds(3 * 3600);
        while self.host.now < end {
            self.step();
        }
        let up = || self.peers.iter().filter(|peer| peer.is_up);
        let routers: Vec<_> = up().map(|peer| router(peer.number)).collect();
        let addresses: Vec<_> = up().map(|peer| own(peer.network)).collect();
        let sorted = |mut all: Vec<IpAddr>| {
            all.sort();
            all
        };
        assert_eq!(sorted(self.host.routers()), routers);
        assert_eq!(sorted(self.host.preferred()), addresses);
        assert_eq!(sorted(self.host.addresses()), addresses);
    }
}

#[test]
fn the_host_comes_to_know_what_there_is() {
    for seed in seeds(20) {
        println!("HAL2TP_SEED={seed}");
        let mut world = World::new(seed);
        for _ in 0..6 {
            for _ in 0..world.rng.random_range(10..6000) {
                world.step();
            }
            world.disturb();
        }
        world.settle();
    }
}
