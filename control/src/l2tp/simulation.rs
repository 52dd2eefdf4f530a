//! Two endpoints over a seeded network that loses, repeats, delays and
//! reorders: the main test of the control connection.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

mod admission;
mod coverage;
mod fsm;
mod life;
mod peering;
mod script;
mod storm;

pub(super) const LAC: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2)), PORT);
pub(super) const LNS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)), PORT);
pub(super) const TABLE: u32 = 1;

pub(super) fn secret(text: &str) -> Option<Secret> {
    (!text.is_empty()).then(|| Secret::new(text.to_owned()))
}

pub(super) fn incoming(secret_text: &str) -> Incoming {
    Incoming {
        name: "remotes".to_owned(),
        remote_hostname: Some("remote".to_owned()),
        local_hostname: "head".to_owned(),
        secret: secret(secret_text),
        listen: vec![LNS.ip()],
        table: Some(TABLE),
        allow: Vec::new(),
        peering: Peering::default(),
    }
}

pub(super) fn dial(secret_text: &str) -> Dial {
    Dial {
        hostname: "remote".to_owned(),
        secret: secret(secret_text),
        table: TABLE,
        source: LAC,
        server: LNS,
        peering: Peering::default(),
        tie_breaker: false,
    }
}

pub(super) fn vendor_avp(octet: u8) -> VendorAvp {
    VendorAvp {
        vendor: 32473,
        kind: 1,
        value: vec![octet; 9],
    }
}

pub(super) fn shutdown() -> TunnelClose {
    TunnelClose::new(StopResult::SHUTTING_DOWN, ErrorCode::NONE, "test")
}

pub(super) fn hang_up() -> CallClose {
    CallClose::new(CallResult::ADMINISTRATIVE, ErrorCode::NONE, "test")
}

/// What the network does to a datagram.
#[derive(Debug, Clone)]
pub(super) struct Weather {
    pub(super) loss: f64,
    pub(super) repeat: f64,
    /// Of what arrives, the part with one octet changed.
    pub(super) damage: f64,
    pub(super) delay_ms: core::ops::Range<u64>,
}

impl Weather {
    pub(super) const FINE: Self = Self {
        loss: 0.0,
        repeat: 0.0,
        damage: 0.0,
        delay_ms: 10..11,
    };
    pub(super) const STORM: Self = Self {
        loss: 0.3,
        repeat: 0.2,
        damage: 0.0,
        delay_ms: 5..400,
    };
    pub(super) const DAMAGE: Self = Self {
        loss: 0.1,
        repeat: 0.2,
        damage: 0.5,
        delay_ms: 5..100,
    };
    pub(super) const CUT: Self = Self {
        loss: 1.0,
        repeat: 0.0,
        damage: 0.0,
        delay_ms: 1..2,
    };
}

/// A datagram on its way.
#[derive(Debug, Clone)]
pub(super) struct Datagram {
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) payload: Vec<u8>,
}

/// An appliance: an endpoint and what its owner does with the events.
pub(super) struct Site {
    pub(super) address: IpAddr,
    pub(super) endpoint: Endpoint,
    /// Everything that happened, for assertions.
    pub(super) events: Vec<Event>,
    /// Answer calls by itself.
    pub(super) answers: bool,
}

impl Site {
    pub(super) fn new(address: SocketAddr, incoming: Vec<Incoming>, seed: u64) -> Self {
        let config = EndpointConfig::new("hal2tp".to_owned(), 1, incoming);
        Self {
            address: address.ip(),
            endpoint: Endpoint::new(config, StdRng::seed_from_u64(seed)),
            events: Vec::new(),
            answers: true,
        }
    }

    fn act(&mut self, now: Duration, event: &Event) {
        if !self.answers {
            return;
        }
        match event {
            Event::CallIncoming { call, .. } => {
                self.endpoint.accept_call(now, *call, vec![vendor_avp(2)]);
            }
            Event::CallAnswered { call, .. } => self.endpoint.connect_call(now, *call),
            _ => {}
        }
    }

    pub(super) fn is_connected(&self, call: CallId) -> bool {
        let state = self.endpoint.call(call).map(|call| call.state);
        state == Some(CallState::Established)
    }

    pub(super) fn tunnel_causes(&self) -> Vec<TunnelCause> {
        let closed = |event: &Event| match event {
            Event::TunnelClosed { cause, .. } => Some(cause.clone()),
            _ => None,
        };
        self.events.iter().filter_map(closed).collect()
    }

    pub(super) fn call_causes(&self) -> Vec<CallCause> {
        let closed = |event: &Event| match event {
            Event::CallClosed { cause, .. } => Some(cause.clone()),
            _ => None,
        };
        self.events.iter().filter_map(closed).collect()
    }
}

/// Two sites and the network between them.
pub(super) struct World {
    pub(super) now: Duration,
    pub(super) lac: Site,
    pub(super) lns: Site,
    pub(super) weather: Weather,
    rng: StdRng,
    /// By time of arrival, then order of sending.
    network: BTreeMap<(Duration, u64), Datagram>,
    sent: u64,
}

impl World {
    pub(super) fn new(seed: u64, weather: Weather, lns: Vec<Incoming>) -> Self {
        Self {
            now: Duration::from_secs(1000),
            lac: Site::new(LAC, Vec::new(), seed ^ 1),
            lns: Site::new(LNS, lns, seed ^ 2),
            weather,
            rng: StdRng::seed_from_u64(seed),
            network: BTreeMap::new(),
            sent: 0,
        }
    }

    pub(super) fn send(&mut self, datagram: Datagram) {
        let copies = 1 + u8::from(self.rng.random_bool(self.weather.repeat));
        for _ in 0..copies {
            if self.rng.random_bool(self.weather.loss) {
                continue;
            }
            let delay = Duration::from_millis(self.rng.random_range(self.weather.delay_ms.clone()));
            let mut datagram = datagram.clone();
            if self.rng.random_bool(self.weather.damage) {
                let at = self.rng.random_range(0..datagram.payload.len());
                datagram.payload[at] = self.rng.random();
            }
            self.network.insert((self.now + delay, self.sent), datagram);
            self.sent += 1;
        }
    }

    /// Carries out what the endpoints want until they want nothing more.
    pub(super) fn settle(&mut self) {
        loop {
            let output = self.lac.endpoint.poll_output().map(|output| (true, output));
            let output = output.or_else(|| {
                self.lns
                    .endpoint
                    .poll_output()
                    .map(|output| (false, output))
            });
            match output {
                Some((
                    _,
                    Output::Transmit {
                        source,
                        destination,
                        payload,
                        ..
                    },
                )) => self.send(Datagram {
                    source,
                    destination,
                    payload,
                }),
                Some((of_lac, Output::Event(event))) => {
                    let site = if of_lac { &mut self.lac } else { &mut self.lns };
                    site.act(self.now, &event);
                    site.events.push(event);
                }
                None => return,
            }
        }
    }

    pub(super) fn next_event_at(&self) -> Option<Duration> {
        let arrival = self.network.first_key_value().map(|((at, _), _)| *at);
        let timers = [
            self.lac.endpoint.next_timeout(),
            self.lns.endpoint.next_timeout(),
        ];
        timers.into_iter().chain([arrival]).flatten().min()
    }

    /// One arrival or timeout; `false` when nothing is left to happen before `until`.
    fn step(&mut self, until: Duration) -> bool {
        self.settle();
        let Some(at) = self.next_event_at().filter(|&at| at <= until) else {
            return false;
        };
        assert!(
            at >= self.now || self.network.is_empty(),
            "a timer in the past"
        );
        self.now = self.now.max(at);
        while let Some(entry) = self
            .network
            .first_entry()
            .filter(|entry| entry.key().0 <= self.now)
        {
            let Datagram {
                source,
                destination,
                payload,
            } = entry.remove();
            let to_lac = destination.ip() == self.lac.address;
            let site = if to_lac { &mut self.lac } else { &mut self.lns };
            site.endpoint
                .handle_datagram(self.now, TABLE, source, destination, &payload);
            self.settle();
        }
        self.lac.endpoint.handle_timeout(self.now);
        self.lns.endpoint.handle_timeout(self.now);
        self.settle();
        true
    }

    /// Runs for `time`.
    pub(super) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
        self.now = until;
    }

    /// Runs until `done` or for `time`; whether `done`.
    pub(super) fn run_until(
        &mut self,
        time: Duration,
        mut done: impl FnMut(&Self) -> bool,
    ) -> bool {
        let until = self.now + time;
        loop {
            self.settle();
            if done(self) {
                return true;
            }
            if !self.step(until) {
                return false;
            }
        }
    }

    /// Tunnel and call as the LAC has them, established.
    pub(super) fn connect(&mut self, dial: Dial) -> (TunnelId, CallId) {
        let tunnel = self.lac.endpoint.dial(self.now, dial);
        let call = self
            .lac
            .endpoint
            .place_call(self.now, tunnel, vec![vendor_avp(1)]);
        let connected =
            self.run_until(Duration::from_secs(5), |world| world.lac.is_connected(call));
        assert!(connected, "{:?}", self.lac.events);
        self.run(Duration::from_secs(1));
        (tunnel, call)
    }
}

#[test]
fn a_call_is_set_up_and_both_sides_are_empty_after_the_linger() {
    let mut world = World::new(1, Weather::FINE, vec![incoming("test")]);
    let (tunnel, call) = world.connect(dial("test"));
    let lac = world.lac.endpoint.tunnel(tunnel).unwrap();
    let [
        Event::TunnelEstablished {
            tunnel: lns_tunnel,
            incoming: Some(0),
        },
        Event::CallIncoming {
            call: lns_call,
            vendor_avps,
            ..
        },
        Event::CallConnected { .. },
    ] = &world.lns.events[..]
    else {
        panic!("{:?}", world.lns.events);
    };
    assert_eq!(vendor_avps, &[vendor_avp(1)]);
    let lns = world.lns.endpoint.tunnel(*lns_tunnel).unwrap();
    assert_eq!((lac.local_id, lac.peer_id), (lns.peer_id, lns.local_id));
    assert_eq!(
        (&lac.peer_hostname[..], &lns.peer_hostname[..]),
        ("head", "remote")
    );
    let (lac, lns) = (
        world.lac.endpoint.call(call).unwrap(),
        world.lns.endpoint.call(*lns_call).unwrap(),
    );
    assert_eq!((lac.local_id, lac.peer_id), (lns.peer_id, lns.local_id));
    let answered = Event::CallAnswered {
        call,
        vendor_avps: vec![vendor_avp(2)],
    };
    assert!(world.lac.events.contains(&answered));

    world
        .lac
        .endpoint
        .close_tunnel(world.now, tunnel, shutdown());
    world.run(Duration::from_secs(2));
    assert_eq!(
        world.lac.tunnel_causes(),
        [TunnelCause::Requested(shutdown())]
    );
    assert_eq!(world.lns.tunnel_causes(), [TunnelCause::Peer(shutdown())]);
    assert_eq!(world.lns.call_causes(), [CallCause::Tunnel]);
    assert!(
        !world.lns.endpoint.is_empty(),
        "state is kept to acknowledge again"
    );
    world.run(Duration::from_secs(32));
    assert!(world.lac.endpoint.is_empty() && world.lns.endpoint.is_empty());
}
