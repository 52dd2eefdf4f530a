//! Into the tunnels: cutting, encapsulation, numbers, replication.

use dpdk::{BURST, Burst, Mbuf, Mempool};

use std::sync::atomic::Ordering;

use crate::checksum;
use crate::command::{SessionId, SetId};
use crate::counters::{Drop, SessionCounters};
use crate::event::Event;
use crate::headers::encapsulation::{Fields, Template};
use crate::headers::ha::{FLAG_MORE_PIECES, FLAG_NOT_FIRST_PIECE};
use crate::headers::ppp::{self, PROTOCOL_OCTETS};
use crate::headers::{ethernet, ipv4, ipv6};
use crate::tables::{Link, Member};
use crate::transform::fragment::Fragment;
use crate::transform::{fragment, fragment_ipv6, split};

use super::forward::Origin;
use super::io::Io;
use super::police::Class;
use super::{Worker, keep};

/// Packets of one burst that wait for the numbers of their set.
pub(super) struct Stage {
    set: SetId,
    packets: Vec<Mbuf>,
    /// Of each packet, what the HA header says of pieces.
    flags: [u8; BURST],
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            set: SetId(u32::MAX),
            packets: Vec::with_capacity(BURST),
            flags: [0; BURST],
        }
    }
}

impl Stage {
    /// Adds a packet or a piece; there is room for it.
    fn push(&mut self, packet: Mbuf, flags: u8) {
        if let Some(place) = self.flags.get_mut(self.packets.len()) {
            *place = flags;
            self.packets.push(packet);
        }
    }
}

/// What the headers of one copy say of its packet.
struct Copy {
    number: u64,
    epoch: u32,
    /// Of the HA header: which piece it is, if it is one.
    flags: u8,
    /// Sum of the inner packet, or of the piece.
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
            flags: 0,
            sum: inner_sum(needs_sum(&session.plain, link), &packet),
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
        let whole_mtu = session.inner_mtu(link);
        let sent = if octets <= usize::from(whole_mtu) {
            let outer = encapsulate(&session.plain, link, packet, &copy);
            send_outer(&mut self.io, link, outer)
        } else {
            let copy = Copy {
                sum: checksum::sum(&packet),
                ..copy
            };
            let mtu = session.plain.octets() + usize::from(whole_mtu);
            let make = |bare: &Link| encapsulate(&session.plain, bare, packet, &copy);
            let identification = copy.identification;
            send_cut(&mut self.io, &self.copies, link, mtu, identification, make)
        };
        count_sent(&session.counters, sent, octets);
    }

    /// Keeps a packet until its burst is through, so that all that go to one
    /// set take their numbers at once. One that is larger than `whole_mtu` is
    /// cut first.
    #[inline]
    pub(super) fn stage(&mut self, set: SetId, packet: Mbuf, whole_mtu: u16, source: usize) {
        if packet.len() <= usize::from(whole_mtu) {
            self.stage_with_room(set, 1).push(packet, 0);
        } else if let Err(reason) = self.stage_pieces(set, packet, whole_mtu) {
            self.io.drop(source, reason);
        }
    }

    /// Cuts a packet. The first piece keeps its buffer, the others get copies.
    fn stage_pieces(&mut self, set: SetId, mut packet: Mbuf, mtu: u16) -> Result<(), Drop> {
        let mut cut = split(packet.len(), mtu).ok_or(Drop::FragmentationNeeded)?;
        let first = cut.next().ok_or(Drop::FragmentationNeeded)?;
        let mut later = Burst::new();
        let count = cut.len();
        if !self.copies.alloc_bulk(&mut later, count) {
            return Err(Drop::NoBuffer);
        }
        for (buffer, piece) in later.iter_mut().zip(cut.clone()) {
            if !buffer.extend_from_slice(&packet[piece.range]) {
                return Err(Drop::NoBuffer);
            }
        }
        keep(&mut packet, first.range);
        let stage = self.stage_with_room(set, 1 + count);
        stage.push(packet, first.place.flags());
        for (buffer, piece) in later.drain(..).zip(cut) {
            stage.push(buffer, piece.place.flags());
        }
        Ok(())
    }

    /// Where packets of this set wait, with room for some more.
    fn stage_with_room(&mut self, set: SetId, room: usize) -> &mut Stage {
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
        if self.stages[place].packets.len() + room > BURST || !of_set(&self.stages[place]) {
            self.number(place);
        }
        let stage = &mut self.stages[place];
        stage.set = set;
        stage
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
        let Stage { set, flags, .. } = self.stages[place];
        let mut packets = std::mem::take(&mut self.stages[place].packets);
        self.replicate(set, &mut packets, flags);
        packets.clear();
        self.stages[place].packets = packets;
    }

    /// Numbers the packets of a set and sends a copy of each to every live
    /// member; the originals go to the last one.
    fn replicate(&mut self, id: SetId, packets: &mut Vec<Mbuf>, flags: [u8; BURST]) {
        let Some(set) = self.tables.live_set(id) else {
            return;
        };
        // Put back below: the tables stay free for other lookups.
        let members = std::mem::take(&mut set.members);
        self.refuse_surplus(&members, packets, &flags);
        if let (Some((last, others)), false) = (members.split_last(), packets.is_empty()) {
            let burst = self.take_numbers(id, &members, packets, flags);
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
    /// numbers: a number that is never sent would look like a loss. A packet
    /// goes with all its pieces or not at all.
    fn refuse_surplus(&self, members: &[Member], packets: &mut Vec<Mbuf>, flags: &[u8; BURST]) {
        let room = |member: &Member| match member.link.ethernet {
            Some(_) => self.io.room(member.link.port),
            None => usize::MAX,
        };
        let mut most = members.iter().map(room).max().unwrap_or(0);
        if most >= packets.len() {
            return;
        }
        while flags[most] & FLAG_NOT_FIRST_PIECE != 0 {
            most -= 1;
        }
        let surplus = packets.len() - most;
        packets.truncate(most);
        for member in members {
            let port = member.link.port;
            self.io.drop_many(port, Drop::TxRingFull, surplus as u64);
            self.count_dropped(member, surplus);
        }
    }

    fn take_numbers(
        &mut self,
        id: SetId,
        members: &[Member],
        packets: &[Mbuf],
        flags: [u8; BURST],
    ) -> Numbered {
        let mut numbered = Numbered {
            first: 0,
            epoch: 0,
            flags,
            sums: [0; BURST],
        };
        let summed = members.iter().any(|member| {
            self.tables
                .session(member.session)
                .is_some_and(|session| needs_sum(&session.template, &member.link))
        });
        let mut octets = 0;
        let places = numbered.sums.iter_mut().zip(flags);
        for ((sum, flags), packet) in places.zip(packets) {
            *sum = inner_sum(summed, without_protocol(packet, flags));
            octets += packet.len() as u64;
        }
        if let Some(set) = self.tables.set(id) {
            let count = packets.len() as u64;
            // Relaxed: the numbers need to be distinct, and order nothing else.
            numbered.first = set.spec.next_number.fetch_add(count, Ordering::Relaxed);
            numbered.epoch = set.spec.send_epoch;
            let later = count_flagged(&flags[..packets.len()], FLAG_NOT_FIRST_PIECE);
            set.counters.sent_packets.add(count - later);
            set.counters.sent_octets.add(octets);
            if later > 0 {
                let pieces = FLAG_NOT_FIRST_PIECE | FLAG_MORE_PIECES;
                let pieces = count_flagged(&flags[..packets.len()], pieces);
                set.counters.split_packets.add(pieces - later);
                set.counters.split_pieces.add(pieces);
            }
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

    /// Members that have no way now, or one that is too small, get no copies,
    /// which the far end must know from losses of the line.
    fn count_absent(&self, id: SetId, packets: usize) {
        let Some(set) = self.tables.set(id) else {
            return;
        };
        for member in &set.too_small {
            let port = member.link.port;
            self.io.drop_many(port, Drop::LinkTooSmall, packets as u64);
            self.count_dropped(member, packets);
        }
        for &session in &set.absent {
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
            flags: burst.flags.get(index).copied().unwrap_or(0),
            sum: burst.sums.get(index).copied().unwrap_or(0),
            identification: self.identification.take(),
        };
        let octets = packet.len();
        let outer = encapsulate(&session.template, &member.link, packet, &copy);
        let sent = send_outer(&mut self.io, &member.link, outer);
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
    /// See [`Stage`].
    flags: [u8; BURST],
    /// Sum of each packet.
    sums: [u32; BURST],
}

/// Whether the packet at this place of a burst is among those that pass.
#[inline]
fn passes(passing: u64, index: usize) -> bool {
    passing >> index & 1 == 1
}

/// How many have one of these flags.
fn count_flagged(flags: &[u8], wanted: u8) -> u64 {
    flags.iter().filter(|&flags| flags & wanted != 0).count() as u64
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

/// Whether the UDP checksum of what goes out here is ours to make.
#[inline]
fn needs_sum(template: &Template, link: &Link) -> bool {
    template.has_udp_checksum() && !link.fills_in_checksums
}

/// What the outer UDP checksum needs of a packet, if there is to be one.
#[inline]
fn inner_sum(wanted: bool, packet: &[u8]) -> u32 {
    if wanted { checksum::sum(packet) } else { 0 }
}

/// What follows the PPP protocol, or what stands in its place in a later piece.
#[inline]
fn without_protocol(packet: &[u8], flags: u8) -> &[u8] {
    match packet.split_at_checked(PROTOCOL_OCTETS) {
        Some((_, rest)) if flags & FLAG_NOT_FIRST_PIECE != 0 => rest,
        _ => packet,
    }
}

/// Puts the session's headers before a packet, and the Ethernet header if the
/// neighbour is known. `None` when there is no room.
#[inline]
fn encapsulate(template: &Template, link: &Link, mut packet: Mbuf, copy: &Copy) -> Option<Mbuf> {
    let later_piece = copy.flags & FLAG_NOT_FIRST_PIECE != 0;
    // A later piece has no PPP protocol: its own first octets stand there.
    let (protocol, in_place_octets) = match packet.first_chunk() {
        Some(&octets) if later_piece => (u16::from_be_bytes(octets), octets.len()),
        _ => (ppp::protocol_of(&packet), 0),
    };
    let fields = Fields {
        inner_octets: packet.len() - in_place_octets,
        inner_sum: copy.sum,
        protocol,
        flags: copy.flags,
        epoch: copy.epoch,
        number: copy.number,
        identification: copy.identification,
    };
    let ethernet_octets = link.ethernet.map_or(0, |header| header.len());
    let header_octets = ethernet_octets + template.octets();
    packet.prepend(header_octets - in_place_octets)?;
    let (ethernet, outer) = packet.split_at_mut_checked(ethernet_octets)?;
    if let Some(octets) = &link.ethernet {
        ethernet.copy_from_slice(octets);
    }
    if !template.write(outer, &fields) {
        return None;
    }
    if link.fills_in_checksums && template.has_udp_checksum() {
        template.leave_checksums(outer);
        request_checksums(&mut packet, template).then_some(())?;
    }
    Some(packet)
}

/// Has the port fill in the checksums of a frame.
fn request_checksums(frame: &mut Mbuf, template: &Template) -> bool {
    const ETHERNET_OCTETS: u8 = ethernet::HEADER_OCTETS as u8;
    if template.is_over_ipv6() {
        frame.request_checksum_ipv6(ETHERNET_OCTETS, ipv6::HEADER_OCTETS as u16)
    } else {
        frame.request_checksums(ETHERNET_OCTETS, ipv4::HEADER_OCTETS as u16)
    }
}

/// Sends the outer packet that is made for a link without Ethernet header in
/// fragments that fit `mtu`. False when one was dropped, which is counted.
#[cold]
fn send_cut(
    io: &mut Io,
    copies: &Mempool,
    link: &Link,
    mtu: usize,
    identification: u16,
    make: impl FnOnce(&Link) -> Option<Mbuf>,
) -> bool {
    let bare = Link {
        ethernet: None,
        fills_in_checksums: false,
        ..*link
    };
    let Some(outer) = make(&bare) else {
        io.drop(link.port, Drop::NoBuffer);
        return false;
    };
    // What fits no link is not so long.
    let mtu = u16::try_from(mtu).unwrap_or(u16::MAX);
    // No two packets at about the same time have the same one (RFC 8200, 4.5).
    let identification = (io.now as u32) << 16 | u32::from(identification);
    let mut send = |parts: &mut dyn Iterator<Item = Fragment>| {
        let mut sent = true;
        for part in parts {
            sent &= send_outer(io, link, part_of(copies, link, &outer, &part));
        }
        sent
    };
    let sent = match ethernet::ether_type_of(&outer) {
        ethernet::ETHER_TYPE_IPV6 => {
            fragment_ipv6(&outer, mtu, identification).map(|mut parts| send(&mut parts))
        }
        _ => fragment(&outer, mtu).map(|mut parts| send(&mut parts)),
    };
    sent.unwrap_or_else(|_| {
        io.drop(link.port, Drop::FragmentationNeeded);
        false
    })
}

/// One fragment of a packet in a buffer of its own.
fn part_of(copies: &Mempool, link: &Link, packet: &[u8], part: &Fragment) -> Option<Mbuf> {
    let mut copy = copies.alloc()?;
    let ethernet = link.ethernet.as_ref().map_or(&[][..], |header| header);
    let payload = packet.get(part.payload_range.clone())?;
    let octets = [ethernet, part.header(), payload];
    let whole = octets.iter().all(|octets| copy.extend_from_slice(octets));
    whole.then_some(copy)
}

/// Sends an outer packet, or has the control thread find its neighbour. False
/// when it was dropped, which is counted.
#[inline]
fn send_outer(io: &mut Io, link: &Link, outer: Option<Mbuf>) -> bool {
    let Some(packet) = outer else {
        io.drop(link.port, Drop::NoBuffer);
        return false;
    };
    if link.ethernet.is_some() {
        return io.push(link.port, packet);
    }
    let event = Event::NeighbourMissing {
        interface: link.interface,
        next_hop: link.next_hop,
        packet: packet.into(),
    };
    io.punt(link.port, Class::Neighbour, event)
}
