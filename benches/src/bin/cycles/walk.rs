//! What is measured: ways of packets through the worker, and what one round of them costs.

use std::error::Error;
use std::fmt;

use dataplane::headers::ethernet;
use dpdk::{BURST, Burst, tsc};

use crate::bed::{Bed, Feed};
use crate::flows::{Arrival, Party, Traffic};
use crate::network::{Family, HOSTS, Kind, LINKS, Remote};

/// Bursts before the clock counts, in every round. Where parties are drawn, each one comes about three times.
const WARM_UP: usize = 200;
const WARM_UP_PARTIES: usize = BURST / 3;

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the LAN.
    Send,
    /// To the LAN. Every link's copies come, one link's after the other's; mixed, where they come by one port.
    Receive,
}

/// Who is on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Far {
    /// Hosts behind the first uplink, without a tunnel.
    NoTunnel,
    /// The first remote of the kind, with 32 hosts.
    One(Kind),
    /// So many remotes of the kind, one host each, drawn anew for every packet.
    Many(Kind, usize),
    /// So many sets of two links and so many plain sessions, drawn in the same way.
    Mixed { sets: usize, sessions: usize },
}

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) direction: Direction,
    pub(crate) far: Far,
    pub(crate) inner: Family,
    /// Of the inner packet.
    pub(crate) inner_octets: usize,
}

impl Case {
    /// IPv4 without a tunnel.
    pub(crate) fn plain(inner_octets: usize) -> Self {
        Self {
            direction: Direction::Send,
            far: Far::NoTunnel,
            inner: Family::Ipv4,
            inner_octets,
        }
    }

    /// IPv4 to or from one remote.
    pub(crate) fn new(direction: Direction, kind: Kind, inner_octets: usize) -> Self {
        Self {
            direction,
            far: Far::One(kind),
            inner: Family::Ipv4,
            inner_octets,
        }
    }

    /// Length of the frames of whole packets in the tunnels, octets without FCS; testpmd gets the same.
    pub(crate) fn outer_frame_octets(self) -> usize {
        let headers = match self.far {
            Far::One(kind) | Far::Many(kind, _) => kind.ethernet_octets() + kind.headers_octets(),
            Far::NoTunnel | Far::Mixed { .. } => ethernet::HEADER_OCTETS,
        };
        headers + self.inner_octets
    }

    /// What the cycles are counted per.
    pub(crate) fn unit(self) -> &'static str {
        match (self.far, self.direction) {
            (Far::NoTunnel, _) => "packet",
            (_, Direction::Send) => "inner packet",
            (_, Direction::Receive) => "copy",
        }
    }

    fn is_cut(self) -> bool {
        matches!(self.far, Far::One(kind) if self.inner_octets > kind.whole_mtu().into())
    }

    fn parties(self, remotes: &[Remote]) -> Vec<Party> {
        let Self {
            inner,
            inner_octets,
            ..
        } = self;
        let party = |(index, remote): (usize, &Remote), flows| match self.direction {
            Direction::Send => Party::outwards(index, remote, inner, inner_octets, flows),
            Direction::Receive => Party::inwards(index, remote, inner, inner_octets, flows),
        };
        let of_kind = |kind, count, flows| {
            let remotes = remotes.iter().enumerate();
            let of_kind = remotes.filter(move |(_, remote)| remote.kind == kind);
            of_kind.take(count).map(move |remote| party(remote, flows))
        };
        match self.far {
            Far::NoTunnel => vec![Party::plain(inner, inner_octets)],
            Far::One(kind) => of_kind(kind, 1, HOSTS).collect(),
            Far::Many(kind, count) => of_kind(kind, count, 1).collect(),
            Far::Mixed { sets, sessions } => of_kind(Kind::set(2), sets, 1)
                .chain(of_kind(Kind::session(), sessions, 1))
                .collect(),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.far == Far::NoTunnel {
            let family = match self.inner {
                Family::Ipv4 => "",
                Family::Ipv6 => ", IPv6",
            };
            return write!(f, "forward, no tunnel{family}");
        }
        write!(
            f,
            "{}",
            match self.direction {
                Direction::Send => "send",
                Direction::Receive => "receive",
            }
        )?;
        let kind = match self.far {
            Far::NoTunnel => return Ok(()),
            Far::One(kind) | Far::Many(kind, _) => kind,
            Far::Mixed { sets, sessions } => {
                return write!(f, ", {sets} sets and {sessions} plain sessions at random");
            }
        };
        match kind.links {
            None => write!(f, ", plain session")?,
            Some(1) => write!(f, ", 1 link")?,
            Some(links) => write!(f, ", {links} links")?,
        }
        match (kind.outer, self.inner, kind.udp_checksum) {
            (Family::Ipv6, Family::Ipv6, _) => write!(f, ", IPv6 over IPv6")?,
            (Family::Ipv6, Family::Ipv4, _) => write!(f, ", IPv4 over IPv6")?,
            (Family::Ipv4, Family::Ipv6, _) => write!(f, ", IPv6 over IPv4")?,
            (Family::Ipv4, Family::Ipv4, true) => write!(f, ", UDP checksum")?,
            (Family::Ipv4, Family::Ipv4, false) => {}
        }
        if self.is_cut() {
            write!(f, ", in pieces over {}", kind.path_mtu)?;
        }
        if kind.ordered {
            write!(f, ", ordering")?;
        }
        if kind.on_vlans {
            write!(f, ", on VLANs")?;
        }
        if kind.by_one_port {
            write!(f, ", by one port")?;
        }
        if let Far::Many(_, sets) = self.far {
            write!(f, ", {sets} sets at random")?;
        }
        Ok(())
    }
}

/// What one round cost, TSC cycles per packet in the case's unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// The worker alone.
    pub(crate) worker: f64,
    /// Making the frames and freeing what came out, which is not the worker's.
    pub(crate) equipment: f64,
}

/// What was done in one round, warm-up included, and what it took without.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) worker_cycles: u64,
    pub(crate) equipment_cycles: u64,
    /// Packets in the case's unit.
    pub(crate) units: u64,
    /// What should have come out, if every packet goes where it should.
    pub(crate) expected: Traffic,
    pub(crate) drained: Traffic,
}

impl Tally {
    /// Adds what was done elsewhere.
    pub(crate) fn add(&mut self, other: &Self) {
        self.worker_cycles += other.worker_cycles;
        self.equipment_cycles += other.equipment_cycles;
        self.units += other.units;
        add(&mut self.expected, &other.expected);
        add(&mut self.drained, &other.drained);
    }

    /// Whether what came out is right.
    pub(crate) fn check(&self, case: Case) -> Result<(), Box<dyn Error>> {
        let Self {
            expected, drained, ..
        } = self;
        if drained == expected {
            return Ok(());
        }
        Err(
            format!("{case}: the wires delivered {drained:?} frames and octets, not {expected:?}")
                .into(),
        )
    }
}

/// One case, with the frames that it sends.
pub(crate) struct Walk {
    pub(crate) case: Case,
    parties: Vec<Party>,
}

/// What was made of one burst.
struct Made {
    units: u64,
    expected: Traffic,
}

impl Walk {
    /// To or from remotes of a bed.
    pub(crate) fn new(case: Case, remotes: &[Remote]) -> Result<Self, Box<dyn Error>> {
        let parties = case.parties(remotes);
        if parties.is_empty() {
            return Err(format!("{case}: there is no such remote").into());
        }
        Ok(Self { case, parties })
    }

    /// As [`new`](Self::new), but the packets come by this uplink alone.
    pub(crate) fn of_uplink(
        case: Case,
        remotes: &[Remote],
        uplink: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let mut walk = Self::new(case, remotes)?;
        for party in &mut walk.parties {
            party.arrivals.retain(|arrival| arrival.wire == uplink + 1);
        }
        Ok(walk)
    }

    /// Sends this many bursts through the worker and says what one packet cost.
    pub(crate) fn round(
        &self,
        bed: &mut Bed,
        bursts: usize,
        clock_cycles: u64,
    ) -> Result<Cost, Box<dyn Error>> {
        let tally = self.run(bed, bursts, clock_cycles, || {})?;
        tally.check(self.case)?;
        let units = tally.units as f64;
        Ok(Cost {
            worker: tally.worker_cycles as f64 / units,
            equipment: tally.equipment_cycles as f64 / units,
        })
    }

    /// The same, with `ready` called before each time that the worker is polled.
    pub(crate) fn run(
        &self,
        bed: &mut Bed,
        bursts: usize,
        clock_cycles: u64,
        mut ready: impl FnMut(),
    ) -> Result<Tally, Box<dyn Error>> {
        let mut tally = Tally::default();
        let warm_up = WARM_UP.max(self.parties.len() / WARM_UP_PARTIES);
        for burst in 0..warm_up + bursts {
            let start = tsc();
            let made = self.refill(&mut bed.feed)?;
            let refilled = tsc();
            ready();
            let polling = tsc();
            bed.worker.poll_once(polling);
            let polled = tsc();
            drain(&mut bed.feed, &mut tally.drained);
            let end = tsc();
            add(&mut tally.expected, &made.expected);
            if burst >= warm_up {
                tally.worker_cycles += (polled - polling).saturating_sub(clock_cycles);
                tally.equipment_cycles += (refilled - start) + (end - polled);
                tally.units += made.units;
            }
        }
        if bed.events() > 0 {
            return Err(format!("{}: the worker asks the control thread", self.case).into());
        }
        Ok(tally)
    }

    /// Sends this many bursts through the worker, which is told these times.
    pub(crate) fn run_at(
        &self,
        bed: &mut Bed,
        bursts: usize,
        mut now: impl FnMut() -> u64,
    ) -> Result<Tally, Box<dyn Error>> {
        let mut tally = Tally::default();
        for _ in 0..bursts {
            let made = self.refill(&mut bed.feed)?;
            bed.worker.poll_once(now());
            drain(&mut bed.feed, &mut tally.drained);
            add(&mut tally.expected, &made.expected);
            tally.units += made.units;
        }
        Ok(tally)
    }

    /// Sends a burst: on every wire no more frames than the worker takes at a time.
    fn refill(&self, feed: &mut Feed) -> Result<Made, &'static str> {
        let picks: Vec<_> = (0..BURST / self.parties[0].frames_by_one_wire())
            .map(|place| self.pick(feed, place))
            .collect();
        let mut made = Made {
            units: 0,
            expected: Traffic::default(),
        };
        for (party, _, _) in &picks {
            made.units += party.arrivals.len() as u64;
            add(&mut made.expected, &party.leaving);
        }
        for wire in 0..feed.wires.len() {
            let mut burst = Burst::new();
            for ((party, packet, first), arrival) in in_turn(feed, &picks, wire) {
                for (cut, number) in party.cuts.iter().zip(*first..) {
                    let place = burst.len();
                    if !feed.frames.alloc_bulk(&mut burst, 1) {
                        return Err("no buffers for frames");
                    }
                    arrival
                        .fill(&mut burst[place], packet, cut, number)
                        .ok_or("frames do not fit their buffers")?;
                }
            }
            if !feed.wires[wire].send(&mut burst) {
                return Err("a wire is full");
            }
        }
        Ok(made)
    }

    /// A packet, whose it is, and its first number: each flow of one party in turn, or one party drawn from many.
    fn pick(&self, feed: &mut Feed, place: usize) -> Pick<'_> {
        let party = match &*self.parties {
            [only] => only,
            many => &many[feed.draw(many.len())],
        };
        let packet = &party.packets[place % party.packets.len()];
        let first = feed.take_numbers(party.remote, party.cuts.len() as u64);
        (party, packet, first)
    }
}

/// A packet, whose it is, and its first number.
type Pick<'a> = (&'a Party, &'a [u8], u64);

/// The packets that come by a wire, and how: each link's in order, and which link's is the next is drawn.
fn in_turn<'a>(
    feed: &mut Feed,
    picks: &'a [Pick<'a>],
    wire: usize,
) -> Vec<(&'a Pick<'a>, &'a Arrival)> {
    let of_link = |link: usize| {
        let arrivals = picks.iter().filter_map(move |pick| {
            let mut by_wire = pick.0.arrivals.iter().filter(|by| by.wire == wire);
            Some((pick, by_wire.nth(link)?))
        });
        arrivals.peekable()
    };
    let mut links: Vec<_> = (0..LINKS).map(of_link).collect();
    let mut in_turn = Vec::new();
    loop {
        links.retain_mut(|link| link.peek().is_some());
        let next = match links.len() {
            0 => return in_turn,
            1 => 0,
            several => feed.draw(several),
        };
        in_turn.extend(links[next].next());
    }
}

/// Frees what the worker has sent.
fn drain(feed: &mut Feed, drained: &mut Traffic) {
    let mut traffic = Traffic::default();
    for (sum, wire) in traffic.iter_mut().zip(&mut feed.wires) {
        *sum = wire.drain();
    }
    add(drained, &traffic);
}

fn add(sum: &mut Traffic, more: &Traffic) {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum = (sum.0 + more.0, sum.1 + more.1);
    }
}
