//! Hours with a server that goes away, forgets and renumbers, over a link that
//! loses, repeats and reorders, and is plugged elsewhere.

use rand::Rng;

use super::super::super::shape::is_ahead;
use super::*;
use crate::seeds::seeds;

const STEP: Duration = Duration::from_millis(500);

struct World {
    host: Host,
    rng: StdRng,
    server: Server,
    loss: f64,
    /// Packets to the client, and when each arrives.
    on_the_way: Vec<(Duration, Vec<u8>)>,
    last: Shape,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let settings = Dhcpv6Settings {
            address: rng.random_bool(0.8),
            prefix: rng.random_bool(0.8).then_some(56),
        };
        let mut server = Server::new(1);
        server.preferred_s = rng.random_range(60..2000);
        server.valid_s = server.preferred_s * 2;
        Self {
            host: Host::new(settings),
            server,
            loss: rng.random_range(0.0..0.4),
            on_the_way: Vec::new(),
            rng,
            last: Shape::default(),
        }
    }

    fn step(&mut self) {
        let now = self.host.now;
        self.on_the_way.sort_by_key(|(at, _)| *at);
        while self.on_the_way.first().is_some_and(|(at, _)| *at <= now) {
            let (_, packet) = self.on_the_way.remove(0);
            if self.host.client.link_up {
                self.host.receive(&packet);
            }
        }
        for (_, message) in std::mem::take(&mut self.host.sent) {
            for _ in 0..self.rng.random_range(1..=2) {
                if self.rng.random_bool(self.loss) {
                    continue;
                }
                let answer = self.server.answer(now, &message);
                let delay = Duration::from_millis(self.rng.random_range(0..1500));
                let arrival = answer.map(|packet| (now + delay, packet));
                self.on_the_way.extend(arrival);
            }
        }
        self.host.pass(STEP);
        self.check();
    }

    fn disturb(&mut self) {
        match self.rng.random_range(0..6) {
            0 => self.server.is_silent = !self.server.is_silent,
            1 => self.server.knows_us = false,
            2 => self.server.network = self.rng.random_range(0..50),
            3 => self.host.set_link(false),
            4 => self.host.set_link(true),
            // The cable is moved to another network.
            _ => {
                self.host.set_link(false);
                self.server.number = self.server.number.wrapping_add(1);
                self.server.network = self.rng.random_range(50..100);
                self.server.knows_us = false;
                self.on_the_way.clear();
                self.host.set_link(true);
            }
        }
    }

    /// Nothing changes without a word, and nothing outlives its time.
    fn check(&mut self) {
        let now = self.host.now;
        let assignment = self.host.client.assignment();
        let shape = Shape::of(assignment, now);
        let changed = std::mem::take(&mut self.host.changes) > 0;
        assert!(changed || shape == self.last, "changed without a word");
        self.last = shape;
        let addresses = assignment.addresses.iter().map(|own| own.valid_until);
        let delegated = assignment.delegated.iter().map(|it| it.valid_until);
        let mut ends = addresses.chain(delegated);
        assert!(ends.all(|until| is_ahead(until, now)), "{assignment:?}");
        let sent = self.host.sent.len();
        assert!(sent <= 4, "{sent} messages in half a second");
    }

    /// Left alone for long enough, the client has what the server lends and
    /// nothing else.
    fn settle(&mut self) {
        self.host.set_link(true);
        self.server.is_silent = false;
        self.loss = 0.0;
        // Once an hour a server is looked for; what was is valid for as long as that.
        let end = self.host.now + seconds(3 * 3600);
        while self.host.now < end {
            self.step();
        }
        let settings = self.host.client.settings;
        let address = IpAddr::from(self.server.address());
        let addresses: Vec<_> = settings.address.then_some(address).into_iter().collect();
        let prefix = self.server.prefix();
        let delegated: Vec<_> = settings.prefix.map(|_| prefix).into_iter().collect();
        assert_eq!(self.host.addresses(), addresses);
        assert_eq!(self.host.delegated(), delegated);
        let wants_any = settings.address || settings.prefix.is_some();
        let state = self.host.client.state();
        let is_settled = !matches!(state, Dhcpv6State::Idle | Dhcpv6State::Soliciting);
        assert_eq!(is_settled, wants_any, "{state}");
    }
}

#[test]
fn the_client_comes_to_have_what_is_lent() {
    for seed in seeds(30) {
        println!("HAL2TP_SEED={seed}");
        let mut world = World::new(seed);
        for _ in 0..6 {
            for _ in 0..world.rng.random_range(10..4000) {
                world.step();
            }
            world.disturb();
        }
        world.settle();
    }
}
