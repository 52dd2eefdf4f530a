//! The lines between the sites of a [`World`]: what they lose, double, delay and
//! reorder, the NATs on them, and what arrives in the end.

use std::cmp::Reverse;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dataplane::command::{SessionSpec, TableId};
use dataplane::event::Event;
use dataplane::headers::ha::HaHeader;
use dataplane::window::{Group, Verdict};
use rand::Rng;

use super::families::line_of;
use super::workers::{PPP_IPV4, PPP_IPV6, echo_reply};
use super::world::{LINKS, Site, World, milliseconds};
use crate::l2tp;

const DELAYS_MS: [u64; LINKS] = [5, 20, 60];
/// What waits for a site that does not run: as much as a port's queue holds.
const INBOX_DATAGRAMS: usize = 512;

/// A datagram under way, ordered by arrival.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flight {
    pub(super) at: Duration,
    order: u64,
    to: usize,
    link: usize,
    /// The ends' own addresses, whatever a NAT makes of them.
    ends: [IpAddr; 2],
    source: SocketAddr,
    destination: SocketAddr,
    payload: Vec<u8>,
}

/// What an ISP does to packets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Line {
    pub(super) cut: bool,
    /// What has an HA header vanishes, the rest passes.
    pub(super) ha_cut: bool,
    /// Only copies vanish.
    pub(super) data_cut: bool,
    /// Those to this address alone.
    pub(super) data_cut_to: Option<IpAddr>,
    pub(super) loss: f64,
    pub(super) duplication: f64,
    /// How many packets are held up, so that later ones overtake them.
    pub(super) reordering: f64,
    /// More than the line takes by itself.
    pub(super) delay: Duration,
    /// Larger packets vanish, and nobody says so.
    pub(super) mtu: Option<u16>,
}

impl Line {
    /// One behind the other.
    fn and(self, other: Self) -> Self {
        Self {
            cut: self.cut || other.cut,
            ha_cut: self.ha_cut || other.ha_cut,
            data_cut: self.data_cut || other.data_cut,
            data_cut_to: self.data_cut_to.or(other.data_cut_to),
            loss: 1.0 - (1.0 - self.loss) * (1.0 - other.loss),
            duplication: self.duplication.max(other.duplication),
            reordering: self.reordering.max(other.reordering),
            delay: self.delay + other.delay,
            mtu: [self.mtu, other.mtu].into_iter().flatten().min(),
        }
    }
}

/// What a line did to the copies of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) sent: u64,
    pub(super) lost: u64,
    pub(super) doubled: u64,
}

impl World {
    /// What is between two ends.
    fn line_between(&self, ends: [IpAddr; 2]) -> Line {
        let line = self.lines[line_of(ends[1])];
        let access = ends.iter().find_map(|end| self.access.get(end));
        access.map_or(line, |&access| line.and(access))
    }

    /// A NAT gives an address's port 1701 another outside, and forgets the one before.
    pub(super) fn map(&mut self, inside: IpAddr, outside: SocketAddr) {
        self.mappings.insert(inside, outside);
        self.outsides.insert(outside, inside);
        self.outsides
            .retain(|before, of| *of != inside || *before == outside);
        self.outside_addresses.insert(outside.ip());
    }

    pub(super) fn deliver(&mut self) {
        while self
            .flights
            .peek()
            .is_some_and(|Reverse(flight)| flight.at <= self.now)
        {
            let Some(Reverse(flight)) = self.flights.pop() else {
                break;
            };
            if self.line_between(flight.ends).cut {
                continue;
            }
            match &mut self.sites[flight.to].asleep {
                Some(asleep) if asleep.inbox.len() < INBOX_DATAGRAMS => asleep.inbox.push(flight),
                Some(_) => (),
                None => self.arrive(flight),
            }
        }
    }

    pub(super) fn arrive(&mut self, flight: Flight) {
        let now = self.clock(flight.to);
        (self.now, flight.to, &flight.payload).hash(&mut self.trace);
        let world_now = self.now;
        let site = &mut self.sites[flight.to];
        let Some(engine) = &mut site.engine else {
            return;
        };
        let Flight {
            payload,
            source,
            destination,
            link,
            ..
        } = flight;
        if payload[0] & 0x80 != 0 {
            let event = Event::L2tpControl {
                table: TableId(u32::try_from(link).expect("small") + 1),
                source,
                destination,
                payload,
            };
            engine.handle_event(now, event);
            return self.carry_out(flight.to);
        }
        let word = |at: usize| u16::from_be_bytes([payload[at], payload[at + 1]]);
        let (flags, ids) = (word(0), (word(2), word(4)));
        let workers = &site.workers;
        let Some(spec) = workers.session_of(ids) else {
            let excused = workers.had_session(ids) || world_now < site.forgiven_until;
            if !excused {
                site.refuse("unknown session");
            }
            return;
        };
        let session = spec.id;
        let event = if flags & 0x0200 == 0 {
            spec.sequence.received(flags & 0x0800 != 0);
            if is_plain_packet(&payload) {
                return Self::receive_plain(site, &spec, &ppp_frame(&payload)[2..]);
            }
            let frame = ppp_frame(&payload).to_vec();
            if source == spec.peer
                && let Some(reply) = echo_reply(&spec, &frame)
            {
                return self.transmit(spec.local, spec.peer, reply);
            }
            Some(Event::Ppp {
                session,
                source,
                frame,
            })
        } else {
            let padding = &payload[8..8 + usize::from(word(6))];
            if padding.len() > 12 {
                let frame = padding.to_vec();
                Some(Event::Report {
                    session,
                    source,
                    frame,
                })
            } else {
                let taken = Self::receive_copy(site, world_now, &spec, padding, &payload[22..]);
                (taken && source != spec.peer).then_some(Event::PeerMoved { session, source })
            }
        };
        if let (Some(event), Some(engine)) = (event, &mut self.sites[flight.to].engine) {
            engine.handle_event(now, event);
        }
        self.carry_out(flight.to);
    }

    fn receive_plain(site: &mut Site, spec: &SessionSpec, inner: &[u8]) {
        if !spec.receive || spec.set.is_some() {
            return site.refuse("plain");
        }
        site.deliver(u64::from_be_bytes(
            inner.try_into().expect("our own payload"),
        ));
    }

    /// Says whether the copy was good, first or not.
    fn receive_copy(
        site: &mut Site,
        now: Duration,
        spec: &SessionSpec,
        header: &[u8],
        inner: &[u8],
    ) -> bool {
        let header = HaHeader::parse(header).expect("our own header");
        if !spec.receive {
            site.refuse("not authenticated");
            return false;
        }
        let Some(set) = spec.set.and_then(|set| site.workers.sets.get(&set)) else {
            site.refuse("no set");
            return false;
        };
        let Some(epoch) = set.epochs.iter().find(|epoch| epoch.epoch == header.epoch) else {
            // Who wakes up may have closed the link by its timers before it is told
            // what came meanwhile.
            if now >= site.forgiven_until {
                site.refuse("unknown epoch");
            }
            return false;
        };
        if spec.masked {
            site.masked_copies += 1;
            return false;
        }
        spec.counters[0].received_packets.add(1);
        let verdict = epoch.window.observe(header.number);
        if verdict != Verdict::TooLate {
            spec.arrivals[0].note(Group::of(header.number));
        }
        if verdict == Verdict::First {
            site.deliver(u64::from_be_bytes(
                inner.try_into().expect("our own payload"),
            ));
        }
        true
    }

    /// Sends a datagram of a site, through its NAT if it has one.
    pub(super) fn transmit(
        &mut self,
        source: SocketAddr,
        destination: SocketAddr,
        payload: Vec<u8>,
    ) {
        let outside = self.mappings.get(&source.ip());
        let seen_as = outside.copied().unwrap_or(source);
        self.carry(source.ip(), seen_as, destination, payload);
    }

    /// Puts a datagram of nobody's on the line that its destination is on.
    pub(super) fn inject(&mut self, source: SocketAddr, destination: SocketAddr, payload: Vec<u8>) {
        self.carry(source.ip(), source, destination, payload);
    }

    fn carry(
        &mut self,
        from: IpAddr,
        source: SocketAddr,
        mut destination: SocketAddr,
        payload: Vec<u8>,
    ) {
        if let Some(&inside) = self.outsides.get(&destination) {
            destination = SocketAddr::new(inside, l2tp::PORT);
        } else if self.outside_addresses.contains(&destination.ip()) {
            self.to_old_mappings += 1;
            return;
        }
        let Some(&to) = self.site_of.get(&destination.ip()) else {
            self.to_nobody += 1;
            return;
        };
        let ends = [from, destination.ip()];
        let (link, line) = (line_of(destination.ip()), self.line_between(ends));
        let unwanted = self.dropped_message_type.is_some()
            && self.dropped_message_type == control_message_type(&payload);
        let (is_ha, is_data) = ha_frame(&payload);
        let header_octets = if source.is_ipv4() { 28 } else { 48 };
        let too_large = line
            .mtu
            .is_some_and(|mtu| header_octets + payload.len() > usize::from(mtu));
        let data_cut = line.data_cut || line.data_cut_to == Some(destination.ip());
        let vanishes = line.cut || too_large || (line.ha_cut && is_ha) || (data_cut && is_data);
        let lost = vanishes || unwanted || (line.loss > 0.0 && self.rng.random_bool(line.loss));
        // Nobody can tell the copies of a plain session's packet: it is not doubled.
        let doubled = !lost && self.rng.random_bool(line.duplication) && !is_plain_packet(&payload);
        if is_data {
            let fate = self.fates.entry((to, link)).or_default();
            fate.sent += 1;
            fate.lost += u64::from(lost);
            fate.doubled += u64::from(doubled);
        }
        if lost {
            return;
        }
        let copies = 1 + usize::from(doubled);
        for _ in 0..copies {
            let held_up = self.rng.random_bool(line.reordering);
            let jitter_us = self
                .rng
                .random_range(0..if held_up { 100_000 } else { 3_000 });
            let delay = milliseconds(DELAYS_MS[link]) + line.delay;
            self.order += 1;
            self.flights.push(Reverse(Flight {
                at: self.now + delay + Duration::from_micros(jitter_us),
                order: self.order,
                to,
                link,
                ends,
                source,
                destination,
                payload: payload.clone(),
            }));
        }
    }
}

/// Whether a message has an HA header, and whether a packet follows it.
fn ha_frame(payload: &[u8]) -> (bool, bool) {
    let is_ha = payload.get(..2) == Some(&[0x02, 0x02]);
    (is_ha, is_ha && payload.get(6..8) == Some(&[0, 12]))
}

/// What a data message without an HA header carries.
fn ppp_frame(payload: &[u8]) -> &[u8] {
    let numbered = payload[0] & 0x08 != 0;
    let frame = &payload[if numbered { 10 } else { 6 }..];
    frame.strip_prefix(&[0xff, 0x03]).unwrap_or(frame)
}

fn is_plain_packet(payload: &[u8]) -> bool {
    let is_plain = payload[0] & 0x82 == 0;
    is_plain
        && [PPP_IPV4, PPP_IPV6]
            .iter()
            .any(|protocol| ppp_frame(payload).starts_with(protocol))
}

/// The value of the Message Type AVP, which comes first (RFC 2661, 4.4.1).
fn control_message_type(payload: &[u8]) -> Option<u16> {
    let is_control = payload[0] & 0x80 != 0;
    let value = payload.get(18..20).filter(|_| is_control)?;
    Some(u16::from_be_bytes([value[0], value[1]]))
}
