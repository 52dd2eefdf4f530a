//! Into the tunnels: encapsulation, numbers, replication.

use dpdk::{BURST, Burst, Mbuf};

use std::sync::atomic::Ordering;

use crate::checksum;
use crate::command::{SessionId, SetId};
use crate::counters::{Drop, SessionCounters};
use crate::event::Event;
use crate::headers::encapsulation::{Fields, Template};
use crate::headers::ppp;
use crate::tables::{Link, Member, Tables};

use super::Worker;
use super::forward::Origin;
use super::io::Io;
use super::police::Class;

/// Packets of one burst that wait for the numbers of their set.
pub(super) struct Stage {
    set: SetId,
    packets: Vec<Mbuf>,
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            set: SetId(u32::MAX),
            packets: Vec::with_capacity(BURST),
        }
    }
}

/// What the headers of one copy say of its packet.
struct Copy {
    number: u64,
    epoch: u32,
    /// Sum of the inner packet.
    sum: u32,
    identification: u16,
}

impl Worker {
    /// Sends a packet into one session, without an HA header.
    pub(super) fn send_session(&mut self, id: SessionId, packet: Mbuf, origin: &Origin) {
        let found = self.tables.session(id);
        let Some((session, link)) = found.and_then(|session| Some((session, session.link()?)))
        else {
            self.io.drop(origin.source, Drop::NoRoute);
            return;
        };
        let copy = Copy {
            number: 0,
            epoch: 0,
            sum: inner_sum(session.plain.has_udp_checksum(), &packet),
            identification: self.identification.take(),
        };
        let octets = packet.len();
        if let Some(limit) = &session.spec.speed {
            let outer_octets = session.plain.octets() + octets;
            if limit.admit(self.io.now_ns(), std::iter::once(outer_octets)) == 0 {
                session.counters.over_speed_packets.add(1);
                self.io.drop(link.port, Drop::OverSpeed);
                return;
            }
        }
        let outer = encapsulate(&session.plain, link, packet, &copy);
        let sent = send_outer(&mut self.io, &self.tables, link, outer);
        count_sent(&session.counters, sent, octets);
    }

    /// Keeps a packet until its burst is through, so that all that go to one
    /// set take their numbers at once.
    pub(super) fn stage(&mut self, set: SetId, packet: Mbuf) {
        let of_set = |stage: &Stage| !stage.packets.is_empty() && stage.set == set;
        let place = self
            .stages
            .iter()
            .position(of_set)
            .or_else(|| {
                self.stages
                    .iter()
                    .position(|stage| stage.packets.is_empty())
            })
            .unwrap_or(0);
        if self.stages[place].packets.len() == BURST || !of_set(&self.stages[place]) {
            self.number(place);
        }
        let stage = &mut self.stages[place];
        stage.set = set;
        stage.packets.push(packet);
    }

    pub(super) fn number_all(&mut self) {
        for place in 0..self.stages.len() {
            self.number(place);
        }
    }

    fn number(&mut self, place: usize) {
        if self.stages[place].packets.is_empty() {
            return;
        }
        let set = self.stages[place].set;
        let mut packets = std::mem::take(&mut self.stages[place].packets);
        self.replicate(set, &mut packets);
        packets.clear();
        self.stages[place].packets = packets;
    }

    /// Numbers the packets of a set and sends a copy of each to every live
    /// member; the originals go to the last one.
    fn replicate(&mut self, id: SetId, packets: &mut Vec<Mbuf>) {
        let Some(set) = self.tables.live_set(id) else {
            return;
        };
        // Put back below: the tables stay free for other lookups.
        let members = std::mem::take(&mut set.members);
        self.refuse_surplus(&members, packets);
        if let (Some((last, others)), false) = (members.split_last(), packets.is_empty()) {
            let burst = self.take_numbers(id, &members, packets);
            for member in others {
                self.send_copies(member, packets, &burst);
            }
            let count = packets.len();
            self.send_originals(last, packets, &burst);
            self.count_absent(id, count);
        }
        if let Some(set) = self.tables.live_set(id) {
            set.members = members;
        }
    }

    /// Drops those packets for which no member has room, before they get
    /// numbers: a number that is never sent would look like a loss.
    fn refuse_surplus(&self, members: &[Member], packets: &mut Vec<Mbuf>) {
        let room = |member: &Member| match member.link.ethernet {
            Some(_) => self.io.room(member.link.port),
            None => usize::MAX,
        };
        let most = members.iter().map(room).max().unwrap_or(0);
        let surplus = packets.len().saturating_sub(most);
        if surplus == 0 {
            return;
        }
        packets.truncate(most);
        for member in members {
            let port = member.link.port;
            self.io.drop_many(port, Drop::TxRingFull, surplus as u64);
            self.count_dropped(member, surplus);
        }
    }

    fn take_numbers(&mut self, id: SetId, members: &[Member], packets: &[Mbuf]) -> Numbered {
        let mut numbered = Numbered {
            first: 0,
            epoch: 0,
            sums: [0; BURST],
        };
        let summed = members.iter().any(|member| {
            self.tables
                .session(member.session)
                .is_some_and(|session| session.template.has_udp_checksum())
        });
        let mut octets = 0;
        for (sum, packet) in numbered.sums.iter_mut().zip(packets) {
            *sum = inner_sum(summed, packet);
            octets += packet.len() as u64;
        }
        if let Some(set) = self.tables.set(id) {
            let count = packets.len() as u64;
            // Relaxed: the numbers need to be distinct, and order nothing else.
            numbered.first = set.spec.next_number.fetch_add(count, Ordering::Relaxed);
            numbered.epoch = set.spec.send_epoch;
            set.counters.sent_packets.add(count);
            set.counters.sent_octets.add(octets);
        }
        numbered
    }

    fn send_copies(&mut self, member: &Member, packets: &[Mbuf], burst: &Numbered) {
        let passing = self.within_speed(member, packets);
        let wanted = passing.count_ones() as usize;
        let room = match member.link.ethernet {
            Some(_) => self.io.room(member.link.port).min(wanted),
            None => wanted,
        };
        let mut fresh = Burst::new();
        if !self.copies.alloc_bulk(&mut fresh, room) {
            // Too few for all: as many as there are.
            while fresh.len() < room && self.copies.alloc_bulk(&mut fresh, 1) {}
        }
        let mut fresh = fresh.drain(..);
        let packets = packets.iter().enumerate();
        let passing = packets.filter(|&(index, _)| passes(passing, index));
        for (place, (index, packet)) in passing.enumerate() {
            let copy = fresh
                .next()
                .and_then(|mut copy| copy.extend_from_slice(packet).then_some(copy));
            if let Some(copy) = copy {
                self.send_copy(member, copy, burst, index);
                continue;
            }
            let reason = if place < room {
                Drop::NoBuffer
            } else {
                Drop::TxRingFull
            };
            self.io.drop(member.link.port, reason);
            self.count_dropped(member, 1);
        }
    }

    fn send_originals(&mut self, member: &Member, packets: &mut Vec<Mbuf>, burst: &Numbered) {
        let passing = self.within_speed(member, packets);
        for (index, packet) in packets.drain(..).enumerate() {
            if passes(passing, index) {
                self.send_copy(member, packet, burst, index);
            }
        }
    }

    /// Which packets of a burst the speed of a link lets pass, as bits. The
    /// others are counted here.
    fn within_speed(&self, member: &Member, packets: &[Mbuf]) -> u64 {
        // A burst has no more packets than there are bits.
        let unused = u64::BITS.saturating_sub(packets.len() as u32);
        let all = u64::MAX.checked_shr(unused).unwrap_or(0);
        let Some(session) = self.tables.session(member.session) else {
            return all;
        };
        let Some(limit) = &session.spec.speed else {
            return all;
        };
        let headers = session.template.octets();
        let octets = packets.iter().map(|packet| headers + packet.len());
        let passing = limit.admit(self.io.now_ns(), octets);
        let refused = packets.len() as u64 - u64::from(passing.count_ones());
        if refused > 0 {
            session.counters.over_speed_packets.add(refused);
            self.io
                .drop_many(member.link.port, Drop::OverSpeed, refused);
        }
        passing
    }

    /// Members that have no way now get no copies, which the far end must know
    /// from losses of the line.
    fn count_absent(&self, id: SetId, packets: usize) {
        let absent = self.tables.set(id).map_or(&[][..], |set| &set.absent);
        for &session in absent {
            if let Some(session) = self.tables.session(session) {
                let dropped = &session.counters.send_dropped_packets;
                dropped.add(packets as u64);
            }
        }
    }

    fn send_copy(&mut self, member: &Member, packet: Mbuf, burst: &Numbered, index: usize) {
        let Some(session) = self.tables.session(member.session) else {
            return;
        };
        let copy = Copy {
            number: burst.first + index as u64,
            epoch: burst.epoch,
            sum: burst.sums.get(index).copied().unwrap_or(0),
            identification: self.identification.take(),
        };
        let octets = packet.len();
        let outer = encapsulate(&session.template, &member.link, packet, &copy);
        let sent = send_outer(&mut self.io, &self.tables, &member.link, outer);
        count_sent(&session.counters, sent, octets);
    }

    fn count_dropped(&self, member: &Member, packets: usize) {
        if let Some(session) = self.tables.session(member.session) {
            let dropped = &session.counters.send_dropped_packets;
            dropped.add(packets as u64);
        }
    }
}

/// The numbers of one burst of a set.
struct Numbered {
    first: u64,
    epoch: u32,
    /// Sum of each packet.
    sums: [u32; BURST],
}

/// Whether the packet at this place of a burst is among those that pass.
#[inline]
fn passes(passing: u64, index: usize) -> bool {
    passing >> index & 1 == 1
}

#[inline]
fn count_sent(counters: &SessionCounters, sent: bool, octets: usize) {
    if sent {
        counters.sent_packets.add(1);
        counters.sent_octets.add(octets as u64);
    } else {
        counters.send_dropped_packets.add(1);
    }
}

/// What the outer UDP checksum needs of a packet, if there is to be one.
#[inline]
fn inner_sum(wanted: bool, packet: &[u8]) -> u32 {
    if wanted { checksum::sum(packet) } else { 0 }
}

/// Puts the session's headers before a packet, and the Ethernet header if the
/// neighbour is known. `None` when there is no room.
#[inline]
fn encapsulate(template: &Template, link: &Link, mut packet: Mbuf, copy: &Copy) -> Option<Mbuf> {
    let fields = Fields {
        inner_octets: packet.len(),
        inner_sum: copy.sum,
        protocol: ppp::protocol_of(&packet),
        epoch: copy.epoch,
        number: copy.number,
        identification: copy.identification,
    };
    let ethernet_octets = link.ethernet.map_or(0, |header| header.len());
    let header = packet.prepend(ethernet_octets + template.octets())?;
    let (ethernet, outer) = header.split_at_mut(ethernet_octets);
    if let Some(octets) = &link.ethernet {
        ethernet.copy_from_slice(octets);
    }
    template.write(outer, &fields).then_some(packet)
}

/// Sends an outer packet, or has the control thread find its neighbour. False
/// when it was dropped, which is counted.
#[inline]
fn send_outer(io: &mut Io, tables: &Tables, link: &Link, outer: Option<Mbuf>) -> bool {
    let Some(packet) = outer else {
        io.drop(link.port, Drop::NoBuffer);
        return false;
    };
    if link.ethernet.is_some() {
        return io.push(tables, link.port, packet);
    }
    let event = Event::NeighbourMissing {
        interface: link.interface,
        next_hop: link.next_hop,
        packet: packet.into(),
    };
    io.punt(link.port, Class::Neighbour, event)
}
