//! Links join and leave, change their addresses, lose their ports and get them
//! back, while packets go over the others: two sites with one steady link, and
//! no packet is lost and none comes twice.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use proptest::prelude::*;

use dataplane::arrivals::Arrivals;
use dataplane::command::{
    Command, InterfaceId, InterfaceSpec, NextHop, Ordering, PortId, Prefix, SessionId, SessionSpec,
    SetSpec, TableId,
};
use dataplane::counters::Drop;

use crate::rig::*;

/// The link that nothing happens to.
const STEADY: u16 = 1;
const OTHERS: [u16; 2] = [2, 3];
const MS: u64 = TSC_HZ / 1000;

/// What may happen to a link, at one end or both.
#[derive(Clone, Copy, Debug)]
enum Event {
    Join,
    Leave,
    /// The near end has another address.
    Move,
    /// Its path carries 700 octets inside, or 1450.
    Shrink,
    Grow,
    PortDown,
    PortUp,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A packet from the near LAN, to a worker.
    Send {
        worker: usize,
        large: bool,
    },
    PollNear {
        worker: usize,
    },
    PollFar {
        worker: usize,
    },
    /// What the near end sent arrives at one of the far workers; of the
    /// unsteady links, every other packet is lost if so said.
    Carry {
        seed: u64,
        lossy: bool,
    },
    Happens {
        near: bool,
        far: bool,
        link: u16,
        event: Event,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    use Event::{Grow, Join, Leave, Move, PortDown, PortUp, Shrink};
    let event = prop::sample::select(vec![Join, Leave, Move, Shrink, Grow, PortDown, PortUp]);
    let ends = prop::sample::select(vec![(true, true), (true, false), (false, true)]);
    let happens = (ends, prop::sample::select(OTHERS.to_vec()), event);
    let step = prop_oneof![
        8 => (0..2_usize, 0..10_u8).prop_map(|(worker, large)| Step::Send { worker, large: large == 0 }),
        4 => (0..2_usize).prop_map(|worker| Step::PollNear { worker }),
        4 => (0..2_usize).prop_map(|worker| Step::PollFar { worker }),
        3 => any::<(u64, bool)>().prop_map(|(seed, lossy)| Step::Carry { seed, lossy }),
        1 => happens.prop_map(|((near, far), link, event)| Step::Happens { near, far, link, event }),
    ];
    prop::collection::vec(step, 1..1500)
}

/// One end: its rig, and how its unsteady links stand.
struct End {
    rig: Rig,
    sessions: Vec<SessionSpec>,
    members: BTreeSet<u16>,
    set: SetSpec,
}

impl End {
    fn new(rig: Rig, sessions: Vec<SessionSpec>, set: SetSpec) -> Self {
        let mut end = Self {
            rig,
            sessions,
            members: (1..PORTS as u16).collect(),
            set,
        };
        for link in 1..PORTS as u16 {
            end.set_session(link);
        }
        end.set_members();
        end.rig.poll();
        end
    }

    fn session(&mut self, link: u16) -> &mut SessionSpec {
        &mut self.sessions[usize::from(link) - 1]
    }

    fn set_session(&mut self, link: u16) {
        let spec = Arc::new(self.session(link).clone());
        self.rig.command(Command::SetSession(spec));
    }

    fn set_members(&mut self) {
        self.set.members = self
            .members
            .iter()
            .map(|&link| SessionId(link.into()))
            .collect();
        self.rig
            .command(Command::SetSet(Arc::new(self.set.clone())));
    }

    /// What control asks for, in its order.
    fn happens(&mut self, link: u16, event: Event) {
        match event {
            Event::Join => {
                self.set_session(link);
                self.members.insert(link);
                self.set_members();
            }
            Event::Leave => {
                self.members.remove(&link);
                self.set_members();
                self.rig
                    .command(Command::RemoveSession(SessionId(link.into())));
            }
            Event::Shrink => self.change_session(link, |session| session.mtu = 700),
            Event::Grow => self.change_session(link, |session| session.mtu = 1450),
            Event::PortDown => self.rig.command(port_link(link, false)),
            Event::PortUp => self.rig.command(port_link(link, true)),
            // Both ends take part: see `Sites`.
            Event::Move => {}
        }
    }

    fn change_session(&mut self, link: u16, change: impl Fn(&mut SessionSpec)) {
        change(self.session(link));
        if self.members.contains(&link) {
            self.set_session(link);
        }
    }
}

fn port_link(link: u16, up: bool) -> Command {
    let port = PortId(link);
    Command::SetPortLink { port, up }
}

/// Both ends, and what went in and came out.
struct Sites {
    near: End,
    far: End,
    sent: u32,
    received: Vec<u32>,
    moves: u8,
}

impl Sites {
    fn new(workers: usize, ordering: Option<Ordering>) -> Self {
        let near = Rig::with(workers, 2048, 16_384);
        let sessions: Vec<_> = (1..PORTS as u16)
            .map(|link| near.session_spec(link))
            .collect();
        let set = SetSpec {
            mtu: 1500,
            ..near.set_spec()
        };
        let near = End::new(near, sessions.clone(), set);
        let mut far = far(workers);
        let sessions = sessions.into_iter().zip(&far.arrivals);
        let sessions = sessions
            .map(|(near, arrivals)| mirrored(near, arrivals))
            .collect();
        let mut set = SetSpec {
            mtu: 1500,
            ordering,
            owner: workers - 1,
            ..far.set_spec()
        };
        set.epochs[0].epoch = SEND_EPOCH;
        far.now = 10 * TSC_HZ;
        let far = End::new(far, sessions, set);
        Self {
            near,
            far,
            sent: 0,
            received: Vec::new(),
            moves: 0,
        }
    }

    fn step(&mut self, step: Step) {
        let workers = self.near.rig.workers.len();
        self.far.rig.now += MS / 100;
        match step {
            Step::Send { worker, large } => {
                let packet = packet(self.sent, large);
                self.sent += 1;
                self.near.rig.offer(0, worker % workers, &frame(0, &packet));
            }
            Step::PollNear { worker } => poll(&mut self.near.rig, worker % workers),
            Step::PollFar { worker } => poll(&mut self.far.rig, worker % workers),
            Step::Carry { seed, lossy } => self.carry(seed, lossy),
            Step::Happens {
                link,
                event: Event::Move,
                ..
            } => self.move_near(link),
            Step::Happens {
                near,
                far,
                link,
                event,
            } => {
                let ends = [(near, &mut self.near), (far, &mut self.far)];
                for (_, end) in ends.into_iter().filter(|(takes_part, _)| *takes_part) {
                    end.happens(link, event);
                }
            }
        }
        let came_out = self.far.rig.received(0);
        self.received
            .extend(came_out.iter().map(|frame| number(frame)));
    }

    /// Everything on the way arrives.
    fn finish(&mut self) {
        for _ in 0..4 {
            self.near.rig.poll();
            self.carry(0, false);
            self.far.rig.poll();
            self.far.rig.now += 100 * MS;
            let came_out = self.far.rig.received(0);
            self.received
                .extend(came_out.iter().map(|frame| number(frame)));
        }
    }

    fn carry(&mut self, mut seed: u64, lossy: bool) {
        let workers = self.far.rig.workers.len();
        for link in 1..PORTS as u16 {
            for mut frame in self.near.rig.received(link.into()) {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                if lossy && link != STEADY && seed >> 40 & 1 == 1 {
                    continue;
                }
                frame[..6].copy_from_slice(&port_mac(link));
                let worker = (seed >> 33) as usize % workers;
                self.far.rig.offer(link.into(), worker, &frame);
            }
        }
    }

    /// An ISP gives the near end another address: its interface and its end of
    /// the tunnel, and what the far end takes for its peer.
    fn move_near(&mut self, link: u16) {
        self.moves = self.moves % 200 + 1;
        let address = Ipv4Addr::new(10, 0, link as u8, 2 + self.moves);
        let rig = &mut self.near.rig;
        rig.command(Command::SetInterface(Arc::new(InterfaceSpec {
            addresses: vec![(address.into(), 24)],
            ..interface(link)
        })));
        rig.route(link.into(), address, 32, NextHop::Local);
        let set_ip = |end: &mut std::net::SocketAddr| end.set_ip(address.into());
        self.near
            .change_session(link, |session| set_ip(&mut session.local));
        self.far
            .change_session(link, |session| set_ip(&mut session.peer));
    }
}

fn poll(rig: &mut Rig, worker: usize) {
    let now = rig.now;
    rig.workers[worker].poll_once(now);
}

/// The peer: its address on every uplink, and on its LAN the far host.
fn far(workers: usize) -> Rig {
    let mut rig = Rig::with(workers, 2048, 16_384);
    let address = *PEER.ip();
    for link in 1..PORTS as u16 {
        rig.command(Command::SetInterface(Arc::new(InterfaceSpec {
            addresses: vec![(address.into(), 32)],
            ..interface(link)
        })));
        for length in [24, 32] {
            rig.command(Command::RemoveRoute {
                table: TableId(link.into()),
                prefix: Prefix::new(own_address(link), length),
            });
        }
        rig.route(link.into(), address, 32, NextHop::Local);
    }
    let lan = NextHop::Interface {
        interface: InterfaceId(0),
        via: None,
    };
    rig.route(0, FAR_HOST, 24, lan);
    rig.neighbour(0, FAR_HOST, LAN_HOST_MAC);
    for of_link in &mut rig.arrivals {
        of_link.fill_with(|| Arc::new(Arrivals::new(SEND_EPOCH)));
    }
    rig
}

fn mirrored(near: SessionSpec, arrivals: &[Arc<Arrivals>]) -> SessionSpec {
    SessionSpec {
        local: near.peer,
        peer: near.local,
        local_tunnel: near.peer_tunnel,
        local_session: near.peer_session,
        peer_tunnel: near.local_tunnel,
        peer_session: near.local_session,
        arrivals: arrivals.to_vec(),
        ..near
    }
}

/// A packet that is told by its number; a large one fits no small link whole.
fn packet(number: u32, large: bool) -> Vec<u8> {
    let octets = if large { 1400 } else { 40 };
    let payload: Vec<u8> = number
        .to_be_bytes()
        .into_iter()
        .cycle()
        .take(octets)
        .collect();
    udp(LAN_HOST, FAR_HOST, &payload)
}

/// The number of a packet that came out, which is whole.
fn number(frame: &[u8]) -> u32 {
    let number = u32::from_be_bytes(frame[42..46].try_into().expect("four octets"));
    let sent = packet(number, frame.len() > 1000);
    // One hop at each end.
    assert_eq!(frame, delivered(&delivered(&sent)[14..]));
    number
}

/// What the steady link's ports and the LANs dropped, but for other links' duplicates.
fn dropped_where_nothing_happens(sites: &Sites) -> u64 {
    let steady = [0, usize::from(STEADY)];
    let reasons = Drop::ALL
        .iter()
        .filter(|&&reason| reason != Drop::Duplicate);
    let of_rig = |rig: &Rig| -> u64 {
        let pairs = reasons
            .clone()
            .flat_map(|&reason| steady.map(|port| (port, reason)));
        pairs.map(|(port, reason)| rig.drops(port, reason)).sum()
    };
    of_rig(&sites.near.rig) + of_rig(&sites.far.rig)
}

fn carry_out(steps: &[Step], workers: usize, ordering: Option<Ordering>) -> Sites {
    let mut sites = Sites::new(workers, ordering);
    for &step in steps {
        sites.step(step);
    }
    sites.finish();
    sites
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_happens_to_links_is_not_felt_on_another(
        steps in steps(),
        workers in 1..=2_usize,
        ordered in any::<bool>(),
    ) {
        let ordering = ordered.then_some(Ordering { max_delay_us: 50_000, adaptive: true });
        let mut sites = carry_out(&steps, workers, ordering);
        prop_assert_eq!(dropped_where_nothing_happens(&sites), 0);
        sites.received.sort_unstable();
        prop_assert!(sites.received.iter().copied().eq(0..sites.sent), "{:?}", sites.received);
    }
}
