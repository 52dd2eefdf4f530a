//! The control planes of a whole head and a whole remote, with the fuzzer as
//! their workers and on the wire: it loses, repeats, damages and invents what
//! goes across, tells them anything in any order, and turns the clock.
#![no_main]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use control::config::Config;
use control::engine::{Engine, Output, PortFacts};
use dataplane::command::{Command, InterfaceId, PortId, SessionId, TableId};
use dataplane::event::{Event, IcmpCause};
use dataplane::headers::l2tp::{self, L2tp};
use dataplane::headers::{ipv4, ppp, udp};
use fuzz::Input;
use libfuzzer_sys::fuzz_target;

const CONFIGS: [&str; 2] = [
    include_str!("../../../configs/demo/head.yaml"),
    include_str!("../../../configs/demo/remote.yaml"),
];
const PORTS: u16 = 4;
/// Datagrams in one run: two engines that disagree may go on for long.
const MOST_DATAGRAMS: usize = 400;
/// What one thing that happens may make an engine ask for, at the very most: a
/// start, with all addresses and routes, and every link ended at once.
const MOST_OUTPUTS: usize = 1000;
/// Rounds of timers at one moment.
const MOST_ROUNDS: usize = 50;
/// Sessions of the demo's three links at a time, those that are being ended too.
const MOST_SESSIONS: usize = 64;

fn config(end: usize) -> Config {
    static PARSED: OnceLock<[Config; 2]> = OnceLock::new();
    let parsed = PARSED.get_or_init(|| {
        CONFIGS.map(|text| {
            Config::parse("demo", text)
                .expect("the demo's files are right")
                .0
        })
    });
    parsed[end].clone()
}

struct End {
    engine: Engine,
    commands: u64,
    /// By the wire's ids.
    sessions: HashMap<(u16, u16), SessionId>,
    peers: HashMap<SessionId, SocketAddr>,
}

impl End {
    fn new(now: Duration, end: usize, seed: u8) -> Self {
        let ports = (0..PORTS).map(|port| PortFacts {
            id: PortId(port),
            mac: [2, 0, 0, 0, end as u8, port as u8],
            mtu: 1500,
            carrier: None,
        });
        Self {
            engine: Engine::new(now, config(end), ports.collect(), [seed; 32]),
            commands: 0,
            sessions: HashMap::new(),
            peers: HashMap::new(),
        }
    }

    /// What workers do with it.
    fn take(&mut self, command: &Command) {
        self.commands += 1;
        match command {
            Command::SetSession(spec) => {
                let ids = (spec.local_tunnel, spec.local_session);
                self.sessions.insert(ids, spec.id);
                self.peers.insert(spec.id, spec.peer);
            }
            Command::RemoveSession(id) => {
                self.sessions.retain(|_, of| of != id);
                self.peers.remove(id).expect("it was there");
            }
            _ => {}
        }
        assert!(self.sessions.len() <= MOST_SESSIONS);
    }
}

struct World<'a> {
    input: Input<'a>,
    now: Duration,
    ends: [End; 2],
    datagrams: usize,
    starts: u8,
}

fuzz_target!(|octets: &[u8]| {
    let now = Duration::ZERO;
    let mut world = World {
        input: Input::new(octets),
        now,
        ends: [0, 1].map(|end| End::new(now, end, end as u8)),
        datagrams: 0,
        starts: 2,
    };
    world.pass_to(now);
    while !world.input.is_empty() && world.datagrams < MOST_DATAGRAMS {
        world.step();
    }
});

impl World<'_> {
    fn step(&mut self) {
        let choice = self.input.octet();
        let end = usize::from(choice & 1);
        match choice >> 1 & 15 {
            0..=2 => {
                let later = self.now + self.input.time();
                self.pass_to(later);
            }
            3..=5 => {
                let next = [0, 1].map(|end| self.ends[end].engine.next_timeout());
                if let Some(next) = next.into_iter().flatten().min() {
                    self.pass_to(next.max(self.now));
                }
            }
            6 => {
                let octets = self.input.short().to_vec();
                let event = self.control(octets);
                self.tell(end, event);
            }
            7 => {
                let event = self.ppp(end);
                self.tell(end, event);
            }
            8 => {
                let event = self.report(end);
                self.tell(end, event);
            }
            9 => {
                let frame = self.input.short().to_vec();
                let port = self.port();
                let event = match choice & 0x20 {
                    0 => Event::Arp { port, frame },
                    _ => Event::NeighbourDiscovery { port, frame },
                };
                self.tell(end, event);
            }
            10 => {
                let event = self.packet(choice & 0x20 == 0);
                self.tell(end, event);
            }
            11 => {
                let (session, source) = (self.session(end), self.address());
                self.tell(end, Event::PeerMoved { session, source });
            }
            12 => {
                let (port, up) = (self.port(), choice & 0x20 == 0);
                self.ends[end].engine.handle_port_link(self.now, port, up);
            }
            13 => {
                let addresses = match choice & 0x20 {
                    0 => vec![self.address().ip()],
                    _ => vec![],
                };
                // The remote alone dials. Lookups are numbered from the first on.
                let lookup = u64::from(self.input.octet() % 8);
                let answer = Some(addresses).filter(|addresses| !addresses.is_empty());
                let answer = answer.ok_or_else(|| "no such name".to_owned());
                self.ends[1]
                    .engine
                    .handle_resolved(self.now, lookup, answer);
            }
            14 => {
                let names = ["remote", "remote.1", "head2", "L2TP-remote-3", "A", ""];
                let name = names[usize::from(self.input.octet()) % names.len()];
                let engine = &mut self.ends[end].engine;
                // There may be none of that name.
                if choice & 0x20 == 0 {
                    let _ = engine.kick(self.now, name);
                } else {
                    let _ = engine.mask(self.now, name, Duration::from_secs(5));
                }
            }
            _ => self.end_or_start(end, choice & 0x20 == 0),
        }
        self.exchange();
        let status = self.ends[end].engine.status(self.now);
        assert!(status.sessions.len() <= 2 * MOST_SESSIONS);
    }

    /// A process ends, in order or not, and another one begins.
    fn end_or_start(&mut self, end: usize, in_order: bool) {
        if in_order {
            self.ends[end].engine.shutdown(self.now);
            self.exchange();
        }
        self.starts += 1;
        self.ends[end] = End::new(self.now, end, self.starts);
    }

    fn pass_to(&mut self, later: Duration) {
        self.now = later;
        for end in 0..2 {
            let mut rounds = 0;
            loop {
                let engine = &mut self.ends[end].engine;
                engine.handle_timeout(later);
                self.exchange();
                let next = self.ends[end].engine.next_timeout();
                if next.is_none_or(|next| next > later) {
                    break;
                }
                rounds += 1;
                assert!(rounds < MOST_ROUNDS, "time stands still");
            }
        }
    }

    fn tell(&mut self, end: usize, event: Event<Vec<u8>>) {
        self.ends[end].engine.handle_event(self.now, event);
    }

    fn port(&mut self) -> PortId {
        PortId(u16::from(self.input.octet()) % PORTS)
    }

    /// A link's end, or somebody.
    fn address(&mut self) -> SocketAddr {
        let choice = self.input.octet();
        let ip = Ipv4Addr::new(10, choice >> 6, 0, choice & 3);
        let port = if choice & 4 == 0 { 1701 } else { 4500 };
        SocketAddr::new(ip.into(), port)
    }

    /// A live one most of the time.
    fn session(&mut self, end: usize) -> SessionId {
        let choice = self.input.octet();
        let mut live: Vec<SessionId> = self.ends[end].peers.keys().copied().collect();
        live.sort_unstable_by_key(|id| id.0);
        match live.get(usize::from(choice & 7)) {
            Some(&session) => session,
            None => SessionId(choice.into()),
        }
    }

    fn source(&mut self, end: usize, session: SessionId) -> SocketAddr {
        let peer = self.ends[end].peers.get(&session).copied();
        match peer {
            Some(peer) if self.input.octet() & 7 != 0 => peer,
            _ => self.address(),
        }
    }

    fn control(&mut self, payload: Vec<u8>) -> Event<Vec<u8>> {
        let (source, destination) = (self.address(), self.address());
        let table = TableId(u32::from(self.input.octet() & 3));
        Event::L2tpControl {
            table,
            source,
            destination,
            payload,
        }
    }

    fn ppp(&mut self, end: usize) -> Event<Vec<u8>> {
        const PROTOCOLS: [[u8; 2]; 8] = [
            [0xc0, 0x21],
            [0xc0, 0x23],
            [0xc2, 0x23],
            [0x80, 0x21],
            [0x80, 0x57],
            [0x80, 0xfd],
            [0x00, 0x2d],
            [0xc0, 0x25],
        ];
        let session = self.session(end);
        let source = self.source(end, session);
        let protocol = PROTOCOLS[usize::from(self.input.octet() & 7)];
        let mut frame = protocol.to_vec();
        frame.extend(self.input.short());
        Event::Ppp {
            session,
            source,
            frame,
        }
    }

    fn report(&mut self, end: usize) -> Event<Vec<u8>> {
        let session = self.session(end);
        let source = self.source(end, session);
        // Version 1, a report.
        let mut frame = vec![0x11, 0];
        frame.extend(self.input.short());
        Event::Report {
            session,
            source,
            frame,
        }
    }

    fn packet(&mut self, is_local: bool) -> Event<Vec<u8>> {
        let interface = InterfaceId(self.port().0);
        let table = TableId(u32::from(self.input.octet() & 3));
        let (source, destination) = (self.address(), self.address());
        let (SocketAddr::V4(source), SocketAddr::V4(destination)) = (source, destination) else {
            unreachable!("they are IPv4");
        };
        let mut packet = ipv4::udp_packet(source, destination, self.input.short(), 1);
        // ICMP as well.
        packet[9] = if self.input.octet() & 1 == 0 { 17 } else { 1 };
        if is_local {
            let interface = Some(interface);
            return Event::Local {
                table,
                interface,
                packet,
            };
        }
        if self.input.octet() & 1 == 0 {
            return Event::NeighbourMissing {
                interface,
                next_hop: IpAddr::V4(*destination.ip()),
                packet,
            };
        }
        Event::Icmp {
            cause: IcmpCause::FragmentationNeeded { mtu: 1400 },
            table,
            interface: None,
            packet,
        }
    }

    /// Carries out what the engines want until they want no more.
    fn exchange(&mut self) {
        loop {
            let mut idle = true;
            for end in 0..2 {
                let mut outputs = 0;
                while let Some(output) = self.ends[end].engine.poll_output() {
                    outputs += 1;
                    assert!(outputs <= MOST_OUTPUTS, "it never ends");
                    idle = false;
                    match output {
                        Output::Command(command) => self.ends[end].take(&command),
                        Output::Ip { packet, .. } | Output::Neighbour { packet, .. } => {
                            self.carry(end, &packet);
                        }
                        Output::Frame { .. }
                        | Output::LineFrame { .. }
                        | Output::Resolve { .. }
                        | Output::Happened(_) => {}
                    }
                }
                // Now or later.
                if self.input.octet() & 7 != 7 {
                    let commands = self.ends[end].commands;
                    self.ends[end].engine.handle_applied(self.now, commands);
                }
            }
            if idle {
                return;
            }
        }
    }

    /// A datagram of ours, to the other end.
    fn carry(&mut self, end: usize, packet: &[u8]) {
        if self.datagrams >= MOST_DATAGRAMS {
            return;
        }
        self.datagrams += 1;
        let Ok(header) = ipv4::parse(packet) else {
            return;
        };
        let Ok(datagram) = udp::parse(&header, packet) else {
            return;
        };
        let source = SocketAddr::new(header.source.into(), datagram.source_port);
        let destination = SocketAddr::new(header.destination.into(), datagram.destination_port);
        let payload = packet[datagram.payload_range].to_vec();
        for payload in self.input.deliver(payload) {
            self.arrive(1 - end, source, destination, &payload);
        }
    }

    /// As the workers hand it on.
    fn arrive(&mut self, end: usize, source: SocketAddr, destination: SocketAddr, payload: &[u8]) {
        let table = match destination.ip() {
            IpAddr::V4(address) => TableId(address.octets()[1].into()),
            IpAddr::V6(_) => TableId(0),
        };
        match l2tp::parse(payload) {
            Ok(L2tp::Control) => {
                let payload = payload.to_vec();
                self.tell(
                    end,
                    Event::L2tpControl {
                        table,
                        source,
                        destination,
                        payload,
                    },
                );
            }
            Ok(L2tp::Data(data)) => {
                let ids = (data.tunnel, data.session);
                let Some(&session) = self.ends[end].sessions.get(&ids) else {
                    return;
                };
                if !data.padding_range.is_empty() {
                    let frame = payload[data.padding_range].to_vec();
                    self.tell(
                        end,
                        Event::Report {
                            session,
                            source,
                            frame,
                        },
                    );
                } else if let Some((protocol, octets)) =
                    ppp::protocol(&payload[data.payload_offset..data.end])
                {
                    let mut frame = protocol.to_be_bytes().to_vec();
                    frame.extend(&payload[data.payload_offset + octets..data.end]);
                    self.tell(
                        end,
                        Event::Ppp {
                            session,
                            source,
                            frame,
                        },
                    );
                }
            }
            Err(_) => {}
        }
    }
}
