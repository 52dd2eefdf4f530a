//! The segment, and who is on it.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::model::{CLIENT_MAC, DNS, Model, SERVER_IP, ServedSession};
use super::super::{PppoeAction, PppoeClient, PppoeSettings, PppoeState};
use crate::addressing::Assignment;

/// What the segment does to a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    pub(super) loss: f64,
    pub(super) duplication: f64,
    pub(super) max_delay_ms: u64,
}

pub(super) const CLEAR: Weather = Weather {
    loss: 0.0,
    duplication: 0.0,
    max_delay_ms: 1,
};

impl Weather {
    pub(super) fn of(rng: &mut StdRng) -> Self {
        Self {
            loss: rng.random_range(0.0..0.25),
            duplication: rng.random_range(0.0..0.2),
            max_delay_ms: rng.random_range(1..700),
        }
    }
}

/// The segment and who is on it.
pub(super) struct World {
    pub(super) now: Duration,
    pub(super) client: PppoeClient,
    pub(super) concentrators: Vec<Model>,
    /// Arrival, order of sending, what.
    pub(super) wire: Vec<(Duration, u64, Vec<u8>)>,
    pub(super) sent: u64,
    pub(super) weather: Weather,
    pub(super) rng: StdRng,
    pub(super) seed: u64,
    /// What the workers have been told.
    pub(super) session: Option<(u16, [u8; 6])>,
    /// Assignments in their order, as they were told.
    pub(super) assignments: Vec<Assignment>,
    /// PADIs, and when they left.
    pub(super) initiations: Vec<Duration>,
}

impl World {
    pub(super) fn new(seed: u64, settings: PppoeSettings, concentrators: u8) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let now = Duration::from_secs(7);
        let client = PppoeClient::new(now, CLIENT_MAC, settings, StdRng::from_rng(&mut rng));
        let concentrators =
            (1..=concentrators).map(|number| Model::new(number, StdRng::from_rng(&mut rng)));
        Self {
            now,
            client,
            concentrators: concentrators.collect(),
            wire: vec![],
            sent: 0,
            weather: CLEAR,
            rng,
            seed,
            session: None,
            assignments: vec![],
            initiations: vec![],
        }
    }

    /// One whose carrier has just come up.
    pub(super) fn started(seed: u64, settings: PppoeSettings, concentrators: u8) -> Self {
        let mut world = Self::new(seed, settings, concentrators);
        world.set_link(true);
        world
    }

    pub(super) fn set_link(&mut self, up: bool) {
        self.client.set_link(self.now, up);
        self.collect();
    }

    pub(super) fn put_on_wire(&mut self, frame: &[u8]) {
        let copies = 1 + u32::from(self.rng.random_bool(self.weather.duplication));
        for _ in 0..copies {
            if !self.rng.random_bool(self.weather.loss) {
                let delay_ms = self.rng.random_range(1..=self.weather.max_delay_ms);
                self.sent += 1;
                let at = self.now + Duration::from_millis(delay_ms);
                self.wire.push((at, self.sent, frame.to_vec()));
            }
        }
    }

    /// Takes what everybody wants sent, and watches the client's order.
    pub(super) fn collect(&mut self) {
        let seed = self.seed;
        while let Some(action) = self.client.poll_action() {
            match action {
                PppoeAction::Frame(frame) => {
                    if frame[12..14] == [0x88, 0x64] {
                        let session = u16::from_be_bytes([frame[16], frame[17]]);
                        let to: [u8; 6] = frame[..6].try_into().unwrap();
                        assert_eq!(self.session, Some((session, to)), "seed {seed}");
                    } else if frame[15] == 0x09 {
                        self.initiations.push(self.now);
                    }
                    self.put_on_wire(&frame);
                }
                PppoeAction::SessionUp {
                    id,
                    access_concentrator,
                } => {
                    let session = (id, access_concentrator);
                    assert_eq!(self.session.replace(session), None, "seed {seed}");
                }
                PppoeAction::SessionDown => {
                    assert!(self.session.take().is_some(), "seed {seed}");
                }
                PppoeAction::Changed => {
                    self.assignments.push(self.client.assignment().clone());
                }
            }
        }
        let is_open = self.client.state() == PppoeState::Open;
        let told = self.assignments.last().cloned().unwrap_or_default();
        assert_eq!(*self.client.assignment(), told, "seed {seed}");
        assert_eq!(is_open, told != Assignment::default(), "seed {seed}");
        let concentrator = self.client.concentrator();
        let known = concentrator.map(|known| (known.session, known.mac));
        assert_eq!(known, self.session, "seed {seed}");
        for index in 0..self.concentrators.len() {
            while let Some(frame) = self.concentrators[index].poll() {
                self.put_on_wire(&frame);
            }
        }
    }

    pub(super) fn next_at(&self) -> Option<Duration> {
        let arrival = self.wire.iter().map(|(at, ..)| *at).min();
        let concentrators = self.concentrators.iter().filter_map(Model::next_timeout);
        let timeouts = concentrators.chain(self.client.next_timeout());
        timeouts.chain(arrival).min()
    }

    /// Carries out everything that is due until then.
    pub(super) fn run_until(&mut self, until: Duration) {
        while let Some(at) = self.next_at().filter(|at| *at <= until) {
            assert!(at >= self.now, "seed {}: time went back", self.seed);
            self.now = at;
            self.wire.sort();
            while self.wire.first().is_some_and(|(at, ..)| *at <= self.now) {
                let (_, _, frame) = self.wire.remove(0);
                self.deliver(&frame);
                self.collect();
            }
            self.client.handle_timeout(self.now);
            let next = self.client.next_timeout();
            assert!(
                next.is_none_or(|next| next > self.now),
                "seed {}: a timer that never ends",
                self.seed
            );
            for concentrator in &mut self.concentrators {
                concentrator.handle_timeout(self.now);
            }
            self.collect();
        }
        self.now = until;
    }

    pub(super) fn deliver(&mut self, frame: &[u8]) {
        for concentrator in &mut self.concentrators {
            if frame[..6] == [0xff; 6] || frame[..6] == concentrator.mac {
                concentrator.handle(self.now, frame);
            }
        }
        if frame[..6] == CLIENT_MAC {
            match frame[13] {
                0x63 => self.client.handle_discovery(self.now, frame),
                _ => self.client.handle_session(self.now, frame),
            }
        }
    }

    pub(super) fn run_for(&mut self, seconds: u64) {
        self.run_until(self.now + Duration::from_secs(seconds));
    }

    pub(super) fn is_open(&self) -> bool {
        self.client.state() == PppoeState::Open
    }

    /// What the concentrator thinks of the client's session.
    pub(super) fn served(&self) -> Option<&ServedSession> {
        let (id, mac) = self.session?;
        let concentrator = self.concentrators.iter().find(|model| model.mac == mac)?;
        concentrator.sessions.get(&id)
    }

    /// Both ends have the session open, with the same addresses.
    pub(super) fn assert_agreed(&self) {
        let seed = self.seed;
        assert!(
            self.is_open(),
            "seed {seed}: {:?}",
            self.client.last_error()
        );
        let served = self.served().expect("the concentrator knows the session");
        assert!(served.ppp.is_open(), "seed {seed}");
        let assignment = self.client.assignment();
        let own = assignment.addresses[0];
        assert_eq!(own.address, served.address, "seed {seed}");
        assert_eq!(own.prefix_length, 32, "seed {seed}");
        assert_eq!(assignment.routers[0].address, SERVER_IP, "seed {seed}");
        assert_eq!(assignment.server, Some(SERVER_IP.into()), "seed {seed}");
        assert_eq!(assignment.name_servers, [DNS], "seed {seed}");
    }
}
