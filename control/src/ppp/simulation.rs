//! Two sessions over a network of a seed's making: loss, duplicates, delay,
//! reordering, all in simulated time.
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const SERVER_IP: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
const ASSIGNED_IP: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 2);
const CLIENT: usize = 0;
const SERVER: usize = 1;

/// What the network does to a frame.
#[derive(Debug, Clone, Copy)]
struct Weather {
    loss: f64,
    duplication: f64,
    min_delay_ms: u64,
    /// Above the spacing of the frames, so that they overtake one another.
    max_delay_ms: u64,
}

const CLEAR: Weather = Weather {
    loss: 0.0,
    duplication: 0.0,
    min_delay_ms: 10,
    max_delay_ms: 10,
};

impl Weather {
    fn of(rng: &mut StdRng) -> Self {
        let min_delay_ms = rng.random_range(0..100);
        Self {
            loss: rng.random_range(0.0..0.3),
            duplication: rng.random_range(0.0..0.2),
            min_delay_ms,
            max_delay_ms: min_delay_ms + rng.random_range(0..800),
        }
    }
}

/// Two ends and the frames on their way.
struct World {
    now: Duration,
    ends: [Session; 2],
    events: [Vec<Event>; 2],
    /// Arrival, order of sending, to whom, what.
    wire: Vec<(Duration, u64, usize, Vec<u8>)>,
    sent: u64,
    weather: Weather,
    rng: StdRng,
}

impl World {
    fn new(seed: u64, weather: Weather, configs: [Config; 2]) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let ends = configs.map(|config| Session::new(config, StdRng::from_rng(&mut rng)));
        Self {
            now: Duration::ZERO,
            ends,
            events: [vec![], vec![]],
            wire: vec![],
            sent: 0,
            weather,
            rng,
        }
    }

    fn start(&mut self) {
        for end in [CLIENT, SERVER] {
            self.ends[end].start(self.now);
            self.collect(end);
        }
    }

    /// Takes what an end wants sent, and puts it on the wire.
    fn collect(&mut self, end: usize) {
        while let Some(output) = self.ends[end].poll_output() {
            match output {
                Output::Event(event) => self.events[end].push(event),
                Output::Frame(frame) => {
                    let copies = 1 + u32::from(self.rng.random_bool(self.weather.duplication));
                    for _ in 0..copies {
                        if self.rng.random_bool(self.weather.loss) {
                            continue;
                        }
                        let delay = self
                            .rng
                            .random_range(self.weather.min_delay_ms..=self.weather.max_delay_ms);
                        self.sent += 1;
                        let at = self.now + Duration::from_millis(delay);
                        self.wire.push((at, self.sent, 1 - end, frame.clone()));
                    }
                }
            }
        }
    }

    fn next_at(&self) -> Option<Duration> {
        let arrival = self.wire.iter().map(|(at, ..)| *at).min();
        self.ends
            .iter()
            .filter_map(Session::next_timeout)
            .chain(arrival)
            .min()
    }

    /// Carries out everything that is due until `end`.
    fn run_until(&mut self, until: Duration) {
        while let Some(at) = self.next_at().filter(|at| *at <= until) {
            assert!(at >= self.now, "time went back");
            self.now = at;
            self.deliver();
            for end in [CLIENT, SERVER] {
                if self.ends[end]
                    .next_timeout()
                    .is_some_and(|timeout| timeout <= self.now)
                {
                    self.ends[end].handle_timeout(self.now);
                    let next = self.ends[end].next_timeout();
                    assert!(
                        next.is_none_or(|next| next > self.now),
                        "end {end} has a timer that never ends"
                    );
                    self.collect(end);
                }
            }
        }
        self.now = until;
    }

    fn deliver(&mut self) {
        self.wire.sort();
        while self.wire.first().is_some_and(|(at, ..)| *at <= self.now) {
            let (_, _, to, frame) = self.wire.remove(0);
            self.ends[to].handle_frame(self.now, &frame);
            self.collect(to);
        }
    }

    fn run_for(&mut self, seconds: u64) {
        self.run_until(self.now + Duration::from_secs(seconds));
    }

    fn both_open(&self) -> bool {
        self.ends.iter().all(Session::is_open)
    }

    fn closed(&self, end: usize) -> Option<&CloseReason> {
        match self.events[end].last() {
            Some(Event::Closed { reason }) => Some(reason),
            _ => None,
        }
    }
}

fn client(password: &str) -> Config {
    Config {
        role: Role::Client {
            username: "remote.1".into(),
            password: password.into(),
            local_ip: None,
        },
        mru: 1500,
        lcp_rate: Duration::from_secs(1),
        lcp_timeout: Duration::from_secs(60),
        timers: Timers::default(),
    }
}

fn server(protocols: &[AuthProtocol]) -> Config {
    let login = |username: &str, password: &str, remote_ip| Login {
        username: username.into(),
        password: password.into(),
        remote_ip,
    };
    let logins: Arc<[Login]> = Arc::new([
        login("other", "secret", Ipv4Addr::new(10, 9, 9, 9)),
        login("remote.1", "secret", ASSIGNED_IP),
    ]);
    Config {
        role: Role::Server {
            name: "head".into(),
            logins,
            local_ip: SERVER_IP,
            protocols: protocols.to_vec(),
        },
        ..client("")
    }
}

const OPENED: [Event; 2] = [
    Event::Opened {
        local: ASSIGNED_IP,
        remote: SERVER_IP,
    },
    Event::Opened {
        local: SERVER_IP,
        remote: ASSIGNED_IP,
    },
];

#[test]
fn two_sessions_open_within_a_few_round_trips() {
    for protocol in [AuthProtocol::Chap, AuthProtocol::Pap] {
        let mut world = World::new(1, CLEAR, [client("secret"), server(&[protocol])]);
        world.start();
        world.run_until(Duration::from_millis(100));
        let authenticated = |login| Event::Authenticated {
            username: "remote.1".into(),
            login,
        };
        assert_eq!(
            world.events[CLIENT],
            [authenticated(None), OPENED[CLIENT].clone()]
        );
        assert_eq!(
            world.events[SERVER],
            [authenticated(Some(1)), OPENED[SERVER].clone()]
        );
    }
}

/// Patient enough for three frames in ten to be lost: with the RFC's ten
/// requests a link gives up about once in a thousand times.
fn patient() -> Timers {
    Timers {
        max_configure: 40,
        login: Duration::from_secs(600),
        ..Timers::default()
    }
}

fn last_opened(events: &[Event]) -> Option<&Event> {
    events
        .last()
        .filter(|event| matches!(event, Event::Opened { .. }))
}

#[test]
fn probe() {
    for (name, timers) in [("default", Timers::default()), ("patient", patient())] {
        let mut failed = 0;
        let mut worst = 0;
        for seed in 0..2000 {
            let mut rng = StdRng::seed_from_u64(seed);
            let weather = Weather::of(&mut rng);
            let protocol = if seed % 2 == 0 {
                AuthProtocol::Chap
            } else {
                AuthProtocol::Pap
            };
            let mut configs = [client("secret"), server(&[protocol])];
            for config in &mut configs {
                config.timers = timers;
            }
            let mut world = World::new(seed, weather, configs);
            world.start();
            let mut seconds = 0;
            while seconds < 600 && !world.both_open() && world.closed(0).is_none() {
                world.run_for(1);
                seconds += 1;
            }
            if !world.both_open() {
                failed += 1;
                println!("{name} {seed} {weather:?} {:?}", world.events);
            } else {
                worst = worst.max(seconds);
            }
        }
        println!("{name}: {failed} failed, worst {worst} s");
    }
}
