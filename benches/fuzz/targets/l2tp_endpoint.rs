//! Two L2TP endpoints, one dialling the other, with the fuzzer on the wire
//! between them: it loses, repeats, damages and invents datagrams, turns the
//! clock, and decides what becomes of calls.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use control::l2tp::header::ControlHeader;
use control::l2tp::{
    CallClose, CallId, CallResult, Dial, Endpoint, EndpointConfig, ErrorCode, Event, Incoming,
    Output, Peering, StopResult, TunnelClose, TunnelId,
};
use control::secret::Secret;
use fuzz::Input;
use libfuzzer_sys::fuzz_target;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// One of each family: the endpoint does not care.
const ADDRESSES: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2)), 1701),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 1701),
];
/// Datagrams in one run: two endpoints that disagree may go on for long.
const MOST_DATAGRAMS: usize = 500;

struct World<'a> {
    input: Input<'a>,
    now: Duration,
    ends: [Endpoint; 2],
    tunnels: [Vec<TunnelId>; 2],
    calls: [Vec<CallId>; 2],
    datagrams: usize,
}

fuzz_target!(|octets: &[u8]| {
    let mut input = Input::new(octets);
    let choices = input.octet();
    let secret = (choices & 1 != 0).then(|| Secret::new("secret".to_owned()));
    let peering = Peering {
        hide_avps: choices & 16 != 0,
        sequencing: choices & 32 != 0,
        ..Peering::default()
    };
    let incoming = |name: &str| Incoming {
        name: name.to_owned(),
        remote_hostname: (choices & 2 != 0).then(|| "remote".to_owned()),
        local_hostname: "head".to_owned(),
        secret: secret.clone(),
        listen: vec![],
        table: None,
        allow: vec![],
        peering: peering.clone(),
    };
    let endpoint = |seed| {
        let config = EndpointConfig::new("fuzz".to_owned(), 1, vec![incoming("remote")]);
        Endpoint::new(config, StdRng::seed_from_u64(seed))
    };
    let mut world = World {
        input,
        now: Duration::ZERO,
        ends: [endpoint(1), endpoint(2)],
        tunnels: [vec![], vec![]],
        calls: [vec![], vec![]],
        datagrams: 0,
    };
    world.dial(0, secret.clone(), peering.clone(), choices & 4 != 0);
    if choices & 8 != 0 {
        world.dial(1, secret, peering.clone(), choices & 4 != 0);
    }
    while !world.input.is_empty() && world.datagrams < MOST_DATAGRAMS {
        world.step();
    }
});

impl World<'_> {
    fn dial(&mut self, end: usize, secret: Option<Secret>, peering: Peering, tie_breaker: bool) {
        let dial = Dial {
            hostname: "remote".to_owned(),
            secret,
            table: 0,
            source: ADDRESSES[end],
            server: ADDRESSES[1 - end],
            peering,
            tie_breaker,
        };
        let tunnel = self.ends[end].dial(self.now, dial);
        self.tunnels[end].push(tunnel);
        self.exchange();
    }

    fn step(&mut self) {
        let choice = self.input.octet();
        let end = usize::from(choice & 1);
        match choice >> 1 & 7 {
            0 | 1 => {
                let later = self.now + self.input.time();
                self.pass_to(later);
            }
            2 => {
                let octets = self.input.short();
                self.arrive(end, octets);
            }
            3 => self.invent(end),
            4 => self.place_call(end),
            5 => self.close_call(end),
            6 => {
                let close = TunnelClose::new(StopResult::SHUTTING_DOWN, ErrorCode::NONE, "fuzz");
                if let Some(&tunnel) = self.tunnels[end].last() {
                    self.ends[end].close_tunnel(self.now, tunnel, close);
                }
            }
            _ => {
                self.ends[end].handle_timeout(self.now);
                if let Some(next) = self.ends[end].next_timeout() {
                    assert!(next > self.now, "time stands still");
                    self.pass_to(next);
                }
            }
        }
        self.exchange();
    }

    fn pass_to(&mut self, later: Duration) {
        self.now = later;
        for end in &mut self.ends {
            end.handle_timeout(later);
        }
    }

    /// A datagram whose header is right but for its numbers.
    fn invent(&mut self, end: usize) {
        let info = self.tunnels[end]
            .last()
            .and_then(|&tunnel| self.ends[end].tunnel(tunnel));
        let session_id = self.calls[end]
            .last()
            .and_then(|&call| self.ends[end].call(call));
        let header = ControlHeader {
            tunnel_id: info.map_or(0, |info| info.local_id),
            session_id: session_id.map_or(0, |call| call.local_id),
            ns: self.input.octet().into(),
            nr: self.input.octet().into(),
        };
        let datagram = header.datagram(self.input.short());
        self.arrive(end, &datagram);
    }

    fn place_call(&mut self, end: usize) {
        if let Some(&tunnel) = self.tunnels[end].last() {
            let call = self.ends[end].place_call(self.now, tunnel, vec![]);
            self.calls[end].push(call);
        }
    }

    fn close_call(&mut self, end: usize) {
        let close = CallClose::new(CallResult::ADMINISTRATIVE, ErrorCode::NONE, "fuzz");
        if let Some(&call) = self.calls[end].last() {
            self.ends[end].close_call(self.now, call, close);
        }
    }

    fn arrive(&mut self, end: usize, octets: &[u8]) {
        let (own, peer) = (ADDRESSES[end], ADDRESSES[1 - end]);
        self.ends[end].handle_datagram(self.now, 0, peer, own, octets);
    }

    /// Carries datagrams to and fro until there are no more.
    fn exchange(&mut self) {
        while self.datagrams < MOST_DATAGRAMS {
            let outputs = [0, 1].map(|end| self.ends[end].poll_output());
            if outputs.iter().all(Option::is_none) {
                break;
            }
            for (end, output) in outputs.into_iter().enumerate() {
                match output {
                    Some(Output::Transmit { payload, .. }) => {
                        self.datagrams += 1;
                        for octets in self.input.deliver(payload) {
                            self.arrive(1 - end, &octets);
                        }
                    }
                    Some(Output::Event(event)) => self.handle_event(end, event),
                    None => {}
                }
            }
        }
    }

    fn handle_event(&mut self, end: usize, event: Event) {
        match event {
            Event::TunnelEstablished { tunnel, .. } => self.tunnels[end].push(tunnel),
            Event::TunnelClosed { cause, .. } => drop(cause.to_string()),
            Event::CallIncoming { call, .. } => {
                self.calls[end].push(call);
                if self.input.octet() % 8 == 7 {
                    self.close_call(end);
                } else {
                    self.ends[end].accept_call(self.now, call, vec![]);
                }
            }
            Event::CallAnswered { call, .. } => self.ends[end].connect_call(self.now, call),
            Event::CallConnected { .. } => {}
            Event::CallClosed { cause, .. } => drop(cause.to_string()),
        }
    }
}
