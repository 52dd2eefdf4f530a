//! Logical ports: what stands around their frames is taken off and written here.

use std::mem;
use std::sync::Arc;

use dpdk::{Burst, Mbuf};

use crate::command::{PortId, PppoeSession};
use crate::config::Encapsulation;
use crate::counters::{Drop, PortCounters};
use crate::event::Event;
use crate::headers::{ethernet, pppoe, vlan};

use super::police::Class;
use super::{Worker, keep};

/// A worker's part of a logical port.
pub struct LogicalPort {
    /// Place of its carrier among all ports, before its own.
    pub carrier: usize,
    pub encapsulation: Encapsulation,
    pub counters: Arc<PortCounters>,
}

/// How the frames of a logical port leave.
pub(super) struct WayOut {
    /// Place of the port at the end of its carriers, which is no logical one.
    pub(super) device: usize,
    pub(super) carrier: usize,
    /// By how many octets a frame is longer on the carrier.
    pub(super) own_octets: u64,
    tags: Tags,
    session: Session,
    /// Its link is up.
    up: bool,
    /// So are those of all its carriers that are logical.
    open: bool,
}

/// What stands between addresses and EtherType on the device, outermost first.
#[derive(Clone, Copy)]
enum Tags {
    None,
    One([u8; vlan::TAG_OCTETS]),
    Two([u8; 2 * vlan::TAG_OCTETS]),
}

impl Tags {
    /// One more, inside of these. More than two are none that a logical port may have.
    fn and(self, [t0, t1, t2, t3]: [u8; vlan::TAG_OCTETS]) -> Self {
        match self {
            Self::None => Self::One([t0, t1, t2, t3]),
            Self::One([o0, o1, o2, o3]) | Self::Two([o0, o1, o2, o3, ..]) => {
                Self::Two([o0, o1, o2, o3, t0, t1, t2, t3])
            }
        }
    }

    fn octets(self) -> usize {
        match self {
            Self::None => 0,
            Self::One(tags) => tags.len(),
            Self::Two(tags) => tags.len(),
        }
    }

    #[inline(always)]
    fn write(self, frame: &mut Mbuf) -> Result<(), Drop> {
        const ONE: usize = ethernet::ADDRESSES_OCTETS + vlan::TAG_OCTETS;
        const TWO: usize = ONE + vlan::TAG_OCTETS;
        match self {
            Self::None => Ok(()),
            Self::One(tag) => put_behind_addresses::<ONE>(frame, &tag),
            Self::Two(tags) => put_behind_addresses::<TWO>(frame, &tags),
        }
    }
}

/// Puts octets into a frame, which has `N` with its addresses then.
#[inline(always)]
fn put_behind_addresses<const N: usize>(frame: &mut Mbuf, octets: &[u8]) -> Result<(), Drop> {
    const ADDRESSES_OCTETS: usize = ethernet::ADDRESSES_OCTETS;
    let &addresses: &[u8; ADDRESSES_OCTETS] = frame.first_chunk().ok_or(Drop::Truncated)?;
    let front: &mut [u8; N] = frame
        .replace_front(ADDRESSES_OCTETS)
        .ok_or(Drop::NoBuffer)?;
    front[..ADDRESSES_OCTETS].copy_from_slice(&addresses);
    front[ADDRESSES_OCTETS..].copy_from_slice(octets);
    Ok(())
}

/// The session of a logical port.
#[derive(Clone, Copy)]
enum Session {
    NotNeeded,
    Missing,
    Is(PppoeSession),
}

impl WayOut {
    /// Of all logical ports, which stand behind so many ports.
    pub(super) fn of_all(devices: usize, ports: &[LogicalPort]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::with_capacity(ports.len());
        for port in ports {
            let of_carrier = port.carrier.checked_sub(devices).map(|place| &all[place]);
            let mut tags = of_carrier.map_or(Tags::None, |way| way.tags);
            let session = match port.encapsulation {
                Encapsulation::Vlan(identifier) => {
                    tags = tags.and(vlan::tag(identifier));
                    Session::NotNeeded
                }
                Encapsulation::Pppoe => Session::Missing,
            };
            all.push(Self {
                device: of_carrier.map_or(port.carrier, |way| way.device),
                carrier: port.carrier,
                own_octets: port.encapsulation.octets() as u64,
                tags,
                session,
                up: true,
                open: true,
            });
        }
        all
    }

    /// Follows the link of one of all, which stand behind so many ports.
    pub(super) fn set_up(all: &mut [Self], devices: usize, port: usize, up: bool) {
        if let Some(way) = all.get_mut(port - devices) {
            way.up = up;
        }
        for place in 0..all.len() {
            let carrier = all[place].carrier.checked_sub(devices);
            all[place].open = all[place].up && carrier.is_none_or(|carrier| all[carrier].open);
        }
    }

    pub(super) fn set_session(&mut self, session: Option<PppoeSession>) {
        if !matches!(self.session, Session::NotNeeded) {
            self.session = session.map_or(Session::Missing, Session::Is);
        }
    }

    /// By how many octets all frames of a burst get longer by [`Self::wrap`]; `None`
    /// when it would not take one of them.
    #[inline]
    pub(super) fn added_octets(&self, frames: &Burst) -> Option<usize> {
        let (octets, session) = match self.session {
            _ if !self.open => return None,
            Session::NotNeeded => (self.tags.octets(), None),
            Session::Missing => return None,
            Session::Is(session) => {
                let octets = self.tags.octets() + pppoe::OVERHEAD_OCTETS;
                (octets, Some(session))
            }
        };
        let has_room =
            |frame: &Mbuf| (frame.headroom() >= octets) & (frame.len() >= ethernet::HEADER_OCTETS);
        let is_ip = |frame| session.is_none_or(|session| header(session, frame).is_some());
        let takes = frames.iter().all(|frame| has_room(frame) && is_ip(frame));
        takes.then_some(octets)
    }

    /// Puts around a frame what it has on the device.
    #[inline]
    pub(super) fn wrap(&self, frame: &mut Mbuf) -> Result<(), Drop> {
        if !self.open {
            return Err(Drop::PortDown);
        }
        match self.session {
            Session::NotNeeded => self.tags.write(frame),
            _ => self.wrap_pppoe(frame),
        }
    }

    fn wrap_pppoe(&self, frame: &mut Mbuf) -> Result<(), Drop> {
        let header = ethernet::parse(frame).ok_or(Drop::Truncated)?;
        match (header.ether_type, self.session) {
            // The control thread's own.
            (ethernet::ETHER_TYPE_PPPOE_DISCOVERY | ethernet::ETHER_TYPE_PPPOE_SESSION, _) => {}
            (_, Session::Is(session)) => {
                let pppoe = self::header(session, frame).ok_or(Drop::UnknownEtherType)?;
                const OCTETS: usize = ethernet::HEADER_OCTETS + pppoe::OVERHEAD_OCTETS;
                let front: &mut [u8; OCTETS] = frame
                    .replace_front(ethernet::HEADER_OCTETS)
                    .ok_or(Drop::NoBuffer)?;
                let (addresses, behind) = front.split_at_mut(ethernet::ADDRESSES_OCTETS);
                addresses[..6].copy_from_slice(&session.access_concentrator);
                addresses[6..].copy_from_slice(&header.source);
                behind.copy_from_slice(&pppoe);
            }
            _ => return Err(Drop::NoPppoeSession),
        }
        self.tags.write(frame)
    }
}

/// What stands behind the addresses of a frame with an IP packet in a session.
#[inline]
fn header(
    session: PppoeSession,
    frame: &[u8],
) -> Option<[u8; ethernet::TYPE_OCTETS + pppoe::OVERHEAD_OCTETS]> {
    let ether_type = ethernet::parse(frame)?.ether_type;
    pppoe::header(
        session.id,
        ether_type,
        frame.len() - ethernet::HEADER_OCTETS,
    )
}

/// The logical ports on a port.
#[derive(Default)]
struct Carried {
    /// By VLAN identifier, in order: places of ports.
    vlans: Vec<(u16, u16)>,
    /// Places of ports, and the sessions that they are in.
    pppoe: Vec<(u16, Option<PppoeSession>)>,
}

/// Frames that were received for logical ports. Those of one burst of a device
/// wait until it is through, and are then bursts of their own.
pub(super) struct WayIn {
    /// By the carrier's place.
    carried: Vec<Carried>,
    /// By port.
    bursts: Vec<Burst>,
    /// The ports whose bursts are not empty, behind [`WITNESS`] if that is there.
    waiting: Vec<u16>,
    /// The port of whose frames the witness has some.
    witnessed: usize,
    /// It is the witness's turn.
    is_its_turn: bool,
}

/// Stands for no port: frames wait with the witness.
const WITNESS: u16 = u16::MAX;

impl WayIn {
    pub(super) fn new(devices: usize, ports: &[LogicalPort]) -> Self {
        let all = devices + ports.len();
        let mut carried: Vec<Carried> = Vec::new();
        carried.resize_with(all, Carried::default);
        for (place, port) in (devices as u16..).zip(ports) {
            let carrier = &mut carried[port.carrier];
            match port.encapsulation {
                Encapsulation::Vlan(identifier) => carrier.vlans.push((identifier, place)),
                Encapsulation::Pppoe => carrier.pppoe.push((place, None)),
            }
            carrier.vlans.sort_unstable();
        }
        let mut bursts = Vec::new();
        bursts.resize_with(all, Burst::new);
        Self {
            carried,
            bursts,
            waiting: Vec::with_capacity(all + 1),
            witnessed: 0,
            is_its_turn: false,
        }
    }

    /// The logical port of this VLAN on a port.
    #[inline(always)]
    fn of_vlan(&self, port: usize, identifier: u16) -> Option<u16> {
        let vlans = &self.carried.get(port)?.vlans;
        let place = vlans.binary_search_by_key(&identifier, |&(identifier, _)| identifier);
        place.ok().map(|place| vlans[place].1)
    }

    /// The logical port that is in this session over a port.
    #[inline]
    fn of_session(&self, port: usize, session: PppoeSession) -> Option<u16> {
        let mut on_port = self.carried.get(port)?.pppoe.iter();
        let is = |&&(_, other): &&(u16, Option<PppoeSession>)| other == Some(session);
        on_port.find(is).map(|&(place, _)| place)
    }

    /// Whether there are logical ports on a port.
    pub(super) fn carries(&self, port: usize) -> bool {
        let carried = self.carried.get(port);
        carried.is_some_and(|on| !on.vlans.is_empty() || !on.pppoe.is_empty())
    }

    fn carries_pppoe(&self, port: usize) -> bool {
        self.carried
            .get(port)
            .is_some_and(|carried| !carried.pppoe.is_empty())
    }

    pub(super) fn set_pppoe(&mut self, port: usize, session: Option<PppoeSession>) {
        let all = self.carried.iter_mut().flat_map(|on| &mut on.pppoe);
        for (_, of_port) in all.filter(|(place, _)| usize::from(*place) == port) {
            *of_port = session;
        }
    }

    #[inline]
    fn push(&mut self, port: u16, frame: Mbuf) {
        let burst = &mut self.bursts[usize::from(port)];
        if burst.is_empty() {
            self.waiting.push(port);
        }
        // There is room for a burst, of which they all came.
        let _ = burst.push(frame);
    }

    /// The same for a frame that has its tag yet.
    #[inline(always)]
    fn push_untagged(&mut self, port: u16, mut frame: Mbuf) {
        remove_tag(&mut frame);
        self.push(port, frame);
    }

    /// The frames of one logical port in place of those of a burst that is through; or
    /// none, of a port of whose frames the witness has some, which is asked for them.
    #[inline(always)]
    pub(super) fn next(&mut self, burst: &mut Burst) -> Option<usize> {
        if self.waiting.is_empty() {
            return None;
        }
        self.take_next(burst)
    }

    #[inline(never)]
    fn take_next(&mut self, burst: &mut Burst) -> Option<usize> {
        let next = self.waiting.pop()?;
        if next == WITNESS {
            self.is_its_turn = true;
            return Some(self.witnessed);
        }
        *burst = mem::take(&mut self.bursts[usize::from(next)]);
        Some(next.into())
    }

    /// The witness has frames of a port: its turn comes once no logical port has any.
    pub(super) fn wait_for_witness(&mut self, port: usize) {
        self.witnessed = port;
        self.waiting.push(WITNESS);
    }

    /// Whether it is the witness's turn, which it has then had.
    pub(super) fn take_turn(&mut self) -> bool {
        mem::take(&mut self.is_its_turn)
    }
}

impl Worker {
    /// What comes before the frames of some bursts are looked at: the witness's part, if
    /// there is one, and what is for logical ports on the port.
    #[inline(never)]
    pub(super) fn inspect(&mut self, port: usize, burst: &mut Burst) {
        if self.io.witness.is_on() {
            self.witness(port, burst);
        }
        if self.way_in.carries(port) {
            self.take_tagged(port, burst);
        }
    }

    /// Takes the frames of a burst that are for logical ports on the port, before the
    /// others are looked at.
    fn take_tagged(&mut self, port: usize, burst: &mut Burst) {
        let (mut taken, mut taken_octets) = (0, 0);
        let mut others = Burst::new();
        for frame in burst.drain(..) {
            let octets = frame.len() as u64;
            match self.take_if_tagged(port, frame) {
                Ok(()) => {
                    taken += 1;
                    taken_octets += octets;
                }
                Err(other) => {
                    // There is room for a burst.
                    let _ = others.push(other);
                }
            }
        }
        *burst = others;
        self.io.received_burst(port, taken, taken_octets);
    }

    /// Gives back what is for no logical port, or wrong: all that keeps its order.
    #[inline(always)]
    fn take_if_tagged(&mut self, port: usize, frame: Mbuf) -> Result<(), Mbuf> {
        let Some(header) = ethernet::parse(&frame) else {
            return Err(frame);
        };
        let to_us = header.destination == self.receive[port].mac;
        let to_group = header.destination[0] & 1 != 0;
        match header.ether_type {
            ethernet::ETHER_TYPE_VLAN if to_us || to_group => {
                let identifier = vlan::identifier(&frame);
                match identifier.and_then(|identifier| self.way_in.of_vlan(port, identifier)) {
                    Some(logical) => self.way_in.push_untagged(logical, frame),
                    None => return Err(frame),
                }
            }
            ethernet::ETHER_TYPE_PPPOE_SESSION if to_us => self.receive_pppoe(port, frame),
            _ => return Err(frame),
        }
        Ok(())
    }

    /// A frame with a VLAN tag: without it, it is another port's. One whose tag is
    /// for priority alone is the port's own.
    #[inline(never)]
    pub(super) fn receive_tagged(&mut self, port: usize, mut frame: Mbuf) {
        let Some(identifier) = vlan::identifier(&frame) else {
            self.io.drop(port, Drop::Truncated);
            return;
        };
        if let Some(logical) = self.way_in.of_vlan(port, identifier) {
            self.way_in.push_untagged(logical, frame);
            return;
        }
        remove_tag(&mut frame);
        if identifier == vlan::NO_IDENTIFIER && !is_tagged(&frame) {
            self.take_frame(port, frame);
        } else {
            self.io.drop(port, Drop::UnknownVlan);
        }
    }

    /// A frame of PPPoE's session stage. IP packets go on as frames from the access
    /// concentrator to us.
    #[inline(never)]
    pub(super) fn receive_pppoe(&mut self, port: usize, mut frame: Mbuf) {
        let (Some(header), parsed) = (ethernet::parse(&frame), pppoe::parse(&frame)) else {
            self.io.drop(port, Drop::Truncated);
            return;
        };
        let pppoe = match parsed {
            Ok(pppoe) => pppoe,
            Err(_) if self.may_be_cut(port, frame.len()) => {
                self.io.drop(port, Drop::Oversized);
                return;
            }
            Err(reason) => {
                self.io.drop(port, reason);
                return;
            }
        };
        let session = PppoeSession {
            id: pppoe.session,
            access_concentrator: header.source,
        };
        let Some(logical) = self.way_in.of_session(port, session) else {
            self.io.drop(port, Drop::UnknownPppoeSession);
            return;
        };
        keep(&mut frame, 0..pppoe.information_range.end);
        let Some(ether_type) = pppoe::ether_type(pppoe.protocol) else {
            let source = usize::from(logical);
            self.io.received(source, frame.len());
            let event = Event::PppoeSession {
                port: PortId(logical),
                frame: frame.into(),
            };
            self.io.punt(source, Class::PppoeSession, event);
            return;
        };
        let plain = ethernet::Ethernet {
            ether_type,
            ..header
        };
        if let Some(front) = frame.replace_front(pppoe.information_range.start) {
            *front = plain.octets();
        }
        self.way_in.push(logical, frame);
    }

    /// A frame of PPPoE's discovery stage, which is the control thread's.
    pub(super) fn receive_pppoe_discovery(&mut self, port: usize, frame: Mbuf) {
        if !self.way_in.carries_pppoe(port) {
            self.io.drop(port, Drop::UnknownEtherType);
            return;
        }
        let event = Event::PppoeDiscovery {
            port: PortId(port as u16),
            frame: frame.into(),
        };
        self.io.punt(port, Class::PppoeDiscovery, event);
    }
}

/// Takes the tag off a frame that has one.
#[inline]
fn remove_tag(frame: &mut Mbuf) {
    let Some(&addresses) = frame.first_chunk::<{ ethernet::ADDRESSES_OCTETS }>() else {
        return;
    };
    let octets = frame.len();
    keep(frame, vlan::TAG_OCTETS..octets);
    if let Some(front) = frame.first_chunk_mut() {
        *front = addresses;
    }
}

fn is_tagged(frame: &[u8]) -> bool {
    ethernet::parse(frame).is_none_or(|header| header.ether_type == ethernet::ETHER_TYPE_VLAN)
}
