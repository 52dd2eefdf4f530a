//! Into the tunnels: numbers and replication.

use std::sync::atomic::{AtomicU64, Ordering};

use dpdk::{BURST, Burst, Mbuf, Mempool};

use crate::capture::Note;
use crate::checksum;
use crate::command::{SessionId, SetId};
use crate::counters::Drop;
use crate::headers::decapsulation::HEADERS_OCTETS;
use crate::headers::ha::{FLAG_MORE_PIECES, FLAG_NOT_FIRST_PIECE};
use crate::headers::ha_frame::{BurstFields, HaFrame};
use crate::headers::{ipv4, ppp};
use crate::tables::{Link, Member, Set, Tables};
use crate::window::Access;

use super::encapsulate::{Copy, encapsulate, needs_sum, send_cut, send_outer, without_protocol};
use super::io::Io;
use super::{Identification, Worker};

impl Worker {
    /// Sends a packet into one session, without an HA header.
    #[inline(never)]
    pub(super) fn send_session(&mut self, id: SessionId, packet: Mbuf, source: usize) {
        let found = self.tables.session(id);
        let Some((session, link)) = found.and_then(|session| Some((session, session.link()?)))
        else {
            self.io.drop(source, Drop::NoRoute);
            return;
        };
        self.io.witness.sends_over(Some(id));
        let ns = session.spec.sequence.take();
        let template = match ns {
            Some(_) => &session.sequenced,
            None => &session.plain,
        };
        let summed = needs_sum(template, link);
        let copy = Copy {
            number: ns.unwrap_or(0).into(),
            epoch: 0,
            flags: 0,
            sum: if summed { checksum::sum(&packet) } else { 0 },
            identification: self.identification.take(),
        };
        let octets = packet.len();
        if let Some(limit) = &session.spec.speed {
            let outer_octets = template.octets() + octets;
            if limit.admit(self.io.now_ns(), std::iter::once(outer_octets)) == 0 {
                session.counters.over_speed_packets.add(1);
                self.io.drop(link.port, Drop::OverSpeed);
                self.io.witness.sends_over(None);
                return;
            }
        }
        let whole_mtu = session.inner_mtu_with(template, link);
        let sent = if octets <= usize::from(whole_mtu) {
            let outer = encapsulate(template, link, packet, &copy);
            send_outer(&mut self.io, link, outer)
        } else {
            let copy = Copy {
                sum: checksum::sum(&packet),
                ..copy
            };
            let mtu = template.octets() + usize::from(whole_mtu);
            let make = |bare: &Link| encapsulate(template, bare, packet, &copy);
            let identification = copy.identification;
            send_cut(&mut self.io, &self.copies, link, mtu, identification, make)
        };
        self.io.witness.sends_over(None);
        let counters = &session.counters;
        if sent {
            counters.sent_packets.add(1);
            counters.sent_octets.add(octets as u64);
        } else {
            counters.send_dropped_packets.add(1);
        }
    }

    /// Numbers the packets of a set and sends a copy of each to every live
    /// member; the originals go to the last one.
    ///
    /// `flags` say of each packet what the HA header says of pieces.
    #[inline(always)]
    pub(super) fn replicate(&mut self, set: SetId, packets: &mut Burst, flags: &[u8; BURST]) {
        if self.tables.live_set(set).is_none() {
            return;
        }
        let Some(set) = self.tables.set(set) else {
            return;
        };
        let mut replication = Replication {
            tables: &self.tables,
            set,
            io: &mut self.io,
            copies: &self.copies,
            identification: &mut self.identification,
            access: self.access,
            common: &mut self.common,
            first_number: 0,
            octets: 0,
            framed: false,
        };
        replication.run(packets, flags);
    }
}

/// What it takes to send a group of packets.
struct Replication<'a> {
    tables: &'a Tables,
    set: &'a Set,
    io: &'a mut Io,
    copies: &'a Mempool,
    identification: &'a mut Identification,
    access: Access,
    common: &'a mut Common,
    first_number: u64,
    /// Of all packets.
    octets: u64,
    /// The packets are for members with a prebuilt frame.
    framed: bool,
}

/// What all copies of a packet have in common, for each packet of a group. The
/// place is kept from one to the next: it is too large to be made empty for each.
pub(super) struct Common {
    /// What the HA header says of pieces.
    flags: [u8; BURST],
    /// Sums of the packets, and what prebuilt frames show of them.
    pub(super) fields: BurstFields,
}

impl Common {
    pub(super) fn new() -> Self {
        Self {
            flags: [0; BURST],
            fields: BurstFields::default(),
        }
    }
}

/// What became of a member's copies.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) sent_packets: u64,
    pub(super) sent_octets: u64,
    pub(super) dropped_packets: u64,
}

impl Replication<'_> {
    #[inline(always)]
    fn run(&mut self, packets: &mut Burst, flags: &[u8; BURST]) {
        self.refuse_surplus(packets, flags);
        let (Some((last, others)), false) = (self.set.members.split_last(), packets.is_empty())
        else {
            return;
        };
        self.common.flags = *flags;
        self.number(packets);
        let count = packets.len();
        for member in others {
            self.send_copies(member, packets);
        }
        self.send_originals(last, packets);
        count_absent(self.io, self.tables, self.set, count as u64);
    }

    /// Drops those packets for which no member has room, before they get
    /// numbers: a number that is never sent would look like a loss. A packet
    /// goes with all its pieces or not at all.
    #[inline(always)]
    fn refuse_surplus(&self, packets: &mut Burst, flags: &[u8; BURST]) {
        let rooms = self.set.members.iter().map(|member| self.room(member));
        // Read once: another worker may be making room meanwhile.
        let most = rooms.max().unwrap_or(0);
        if most < packets.len() {
            self.drop_surplus(packets, flags, most);
        }
    }

    /// Keeps at most `most` packets, fewer than there are.
    #[cold]
    fn drop_surplus(&self, packets: &mut Burst, flags: &[u8; BURST], mut most: usize) {
        while most > 0 && flags[most] & FLAG_NOT_FIRST_PIECE != 0 {
            most -= 1;
        }
        let surplus = packets.len() - most;
        packets.drain(most..);
        for member in &self.set.members {
            drop_copies(self.io, member, Drop::TxRingFull, surplus as u64);
            member.counters.send_dropped_packets.add(surplus as u64);
        }
    }

    /// How many copies a member's port takes now. What waits for a neighbour
    /// needs no room there.
    #[inline(always)]
    fn room(&self, member: &Member) -> usize {
        match member.link.ethernet {
            Some(_) => self.io.room(member.link.port),
            None => usize::MAX,
        }
    }

    #[inline(always)]
    fn number(&mut self, packets: &Burst) {
        let count = packets.len() as u64;
        self.first_number = take_numbers(&self.set.next_number, self.access, count);
        let flags = &self.common.flags[..packets.len()];
        let whole = flags.iter().fold(0, |all, flags| all | flags) == 0;
        self.framed = whole && self.set.has_frames;
        if self.framed {
            self.show(packets);
        } else {
            self.measure(packets, whole);
        }
        let flags = &self.common.flags[..packets.len()];
        self.count_numbered(flags, whole);
    }

    /// Tells the witness that what follows is a member's, and before the first one
    /// which numbers there are. No member's copies go directly while it is on.
    fn begin_member(&self, member: &Member, count: usize) {
        let witness = &self.io.witness;
        witness.sends_over(Some(member.session));
        let first = self.set.members.first();
        if witness.is_on() && first.is_some_and(|first| first.session == member.session) {
            for place in 0..count as u64 {
                witness.note(|_| Note::Numbered {
                    set: self.set.spec.id,
                    epoch: self.set.spec.send_epoch,
                    number: self.first_number.wrapping_add(place),
                });
            }
        }
    }

    /// Makes what the prebuilt frames show of the packets.
    #[inline(always)]
    fn show(&mut self, packets: &Burst) {
        let needs_sums = self.set.needs_sums;
        let fields = &mut self.common.fields;
        let extent = describe(fields, packets.as_slice(), |_| needs_sums);
        fields.show(packets.len(), self.first_number);
        self.octets = extent.octets;
        self.framed = extent.longest <= BurstFields::MOST_OCTETS;
    }

    /// Finds out what headers of any form need of the packets, which are `whole` or
    /// pieces.
    #[inline(always)]
    fn measure(&mut self, packets: &Burst, whole: bool) {
        let needs_sums = self.set.needs_sums;
        let Common { fields, flags } = &mut *self.common;
        self.octets = packets.iter().map(|packet| packet.len() as u64).sum();
        for (place, (packet, &flags)) in packets.iter().zip(&*flags).enumerate() {
            if !needs_sums {
                break;
            }
            let sum = if whole {
                simd::sum_inline(usual_payload(packet).unwrap_or(packet))
            } else {
                simd::sum(without_protocol(packet, flags))
            };
            fields.set_sum(place, sum);
        }
    }

    #[inline(always)]
    fn count_numbered(&self, flags: &[u8], whole: bool) {
        let count = flags.len() as u64;
        let counters = &self.set.counters;
        counters.sent_octets.add(self.octets);
        if whole {
            counters.sent_packets.add(count);
            return;
        }
        let later = count_flagged(flags, FLAG_NOT_FIRST_PIECE);
        let pieces = count_flagged(flags, FLAG_NOT_FIRST_PIECE | FLAG_MORE_PIECES);
        counters.sent_packets.add(count - later);
        counters.split_packets.add(pieces - later);
        counters.split_pieces.add(pieces);
    }

    #[inline(always)]
    fn send_copies(&mut self, member: &Member, packets: &Burst) {
        let passing = self.within_speed(member, packets);
        let mut copies = Burst::new();
        match self.frame_for_all(member, packets, passing) {
            Some(frame) if self.copy_framed(frame, packets, &mut copies) => {
                self.send_all(member, &mut copies);
            }
            _ => self.copy_each(member, packets, passing),
        }
    }

    /// Makes copies of all packets with a member's headers. False when there are
    /// too few buffers or one is too small.
    #[inline(always)]
    fn copy_framed(&self, frame: &HaFrame, packets: &Burst, copies: &mut Burst) -> bool {
        let fields = &self.common.fields;
        self.copies
            .copy_bulk(packets.as_slice(), copies, |place, header| {
                frame.write(header, fields, place);
            })
    }

    #[inline(always)]
    fn send_originals(&mut self, member: &Member, packets: &mut Burst) {
        let passing = self.within_speed(member, packets);
        // A witness is told of each packet by itself.
        let frame = self
            .frame_for_all(member, packets, passing)
            .filter(|_| !self.io.witness.is_on());
        let Some(frame) = frame else {
            self.send_each(member, packets, passing);
            return;
        };
        let fields = &self.common.fields;
        let mut without_room = 0;
        for (place, packet) in packets.iter_mut().enumerate() {
            match packet.prepend_array() {
                Some(header) => frame.write(header, fields, place),
                None => without_room |= 1 << place,
            }
        }
        if without_room != 0 {
            self.drop_without_room(member, packets, without_room);
        }
        self.send_all(member, packets);
    }

    /// Drops the packets in these places, which have no room for headers.
    #[cold]
    #[inline(never)]
    fn drop_without_room(&mut self, member: &Member, packets: &mut Burst, places: u64) {
        let dropped = u64::from(places.count_ones());
        drop_copies(self.io, member, Drop::NoBuffer, dropped);
        member.counters.send_dropped_packets.add(dropped);
        let mut others = Burst::new();
        for (place, packet) in packets.drain(..).enumerate() {
            if passes(places, place) {
                self.octets -= packet.len() as u64;
            } else {
                // There is room for a burst.
                let _ = others.push(packet);
            }
        }
        *packets = others;
    }

    /// The prebuilt frame of a member, filled in, when it is for all packets and
    /// nothing keeps one of them back.
    #[inline(always)]
    fn frame_for_all<'m>(
        &mut self,
        member: &'m Member,
        packets: &Burst,
        passing: u64,
    ) -> Option<&'m HaFrame> {
        let frame = member.frame.as_ref().filter(|_| self.framed)?;
        let identifications = self.identification.take_many(packets.len());
        frame.fill_in(&mut self.common.fields, identifications);
        let for_all = passing == places(packets) && packets.len() <= self.room(member);
        for_all.then_some(frame)
    }

    /// Sends a member's frames of all packets.
    #[inline(always)]
    fn send_all(&mut self, member: &Member, frames: &mut Burst) {
        let port = member.link.port;
        let mut tally = Tally {
            sent_packets: frames.len() as u64,
            sent_octets: self.octets,
            dropped_packets: 0,
        };
        let outer_octets = self.octets + (frames.len() * HEADERS_OCTETS) as u64;
        if !self.io.append(port, frames, outer_octets) {
            tally = self.push_each(member, frames);
        }
        tally.count(member);
    }

    /// Sends frames to a member's port at which they may have to wait.
    #[cold]
    fn push_each(&mut self, member: &Member, frames: &mut Burst) -> Tally {
        let mut tally = Tally::default();
        self.begin_member(member, frames.len());
        for frame in frames.drain(..) {
            let octets = frame.len() - HEADERS_OCTETS;
            tally.note(octets, self.io.push(member.link.port, frame));
        }
        self.io.witness.sends_over(None);
        tally
    }

    /// Copies of those that pass, as many as there are buffers and room for.
    #[inline(never)]
    fn copy_each(&mut self, member: &Member, packets: &Burst, passing: u64) {
        let wanted = passing.count_ones() as usize;
        let room = self.room(member).min(wanted);
        let mut fresh = Burst::new();
        if !self.copies.alloc_bulk(&mut fresh, room) {
            // Too few for all: as many as there are.
            while fresh.len() < room && self.copies.alloc_bulk(&mut fresh, 1) {}
        }
        let mut tally = Tally::default();
        self.begin_member(member, packets.len());
        let no_buffer = room - fresh.len();
        let mut fresh = fresh.drain(..);
        for (place, packet) in packets.iter().enumerate() {
            if !passes(passing, place) {
                continue;
            }
            let Some(mut copy) = fresh.next() else {
                break;
            };
            if copy.extend_from_slice(packet) {
                self.send_one(member, copy, place, &mut tally);
            } else {
                self.io.drop(member.link.port, Drop::NoBuffer);
                tally.dropped_packets += 1;
            }
        }
        let no_room = wanted - room;
        if no_buffer + no_room > 0 {
            let port = member.link.port;
            self.io.drop_many(port, Drop::NoBuffer, no_buffer as u64);
            self.io.drop_many(port, Drop::TxRingFull, no_room as u64);
            tally.dropped_packets += (no_buffer + no_room) as u64;
        }
        self.io.witness.sends_over(None);
        tally.count(member);
    }

    #[inline(never)]
    fn send_each(&mut self, member: &Member, packets: &mut Burst, passing: u64) {
        let mut tally = Tally::default();
        self.begin_member(member, packets.len());
        for (place, packet) in packets.drain(..).enumerate() {
            if passes(passing, place) {
                self.send_one(member, packet, place, &mut tally);
            }
        }
        self.io.witness.sends_over(None);
        tally.count(member);
    }

    /// Puts a member's headers before a copy, and sends it.
    fn send_one(&mut self, member: &Member, packet: Mbuf, place: usize, tally: &mut Tally) {
        let octets = packet.len();
        let sent = match &member.frame {
            Some(frame) if self.framed => self.send_framed(member, frame, packet, place),
            _ => self.send_unusual(member, packet, place),
        };
        tally.note(octets, sent);
    }

    fn send_framed(
        &mut self,
        member: &Member,
        frame: &HaFrame,
        mut packet: Mbuf,
        place: usize,
    ) -> bool {
        let Some(header) = packet.prepend_array() else {
            self.io.drop(member.link.port, Drop::NoBuffer);
            return false;
        };
        frame.write(header, &self.common.fields, place);
        self.io.push(member.link.port, packet)
    }

    /// Of any form, to any neighbour.
    fn send_unusual(&mut self, member: &Member, packet: Mbuf, place: usize) -> bool {
        let Some(session) = self.tables.session(member.session) else {
            return false;
        };
        let copy = Copy {
            number: self.first_number.wrapping_add(place as u64),
            epoch: self.set.spec.send_epoch,
            flags: self.common.flags[place],
            sum: checksum::in_network_order(self.common.fields.sum(place)),
            identification: self.identification.take(),
        };
        let outer = encapsulate(&session.template, &member.link, packet, &copy);
        send_outer(self.io, &member.link, outer)
    }

    /// Which packets of a burst the speed of a link lets pass, as bits. The
    /// others are counted here.
    #[inline(always)]
    fn within_speed(&self, member: &Member, packets: &Burst) -> u64 {
        let all = places(packets);
        let Some(limit) = &member.speed else {
            return all;
        };
        let headers = usize::from(member.headers_octets);
        let octets = packets.iter().map(|packet| headers + packet.len());
        let passing = limit.admit(self.io.now_ns(), octets);
        let refused = u64::from((all & !passing).count_ones());
        if refused > 0 {
            member.counters.over_speed_packets.add(refused);
            drop_copies(self.io, member, Drop::OverSpeed, refused);
        }
        passing
    }
}

/// Drops copies for a member.
#[cold]
#[inline(never)]
fn drop_copies(io: &Io, member: &Member, reason: Drop, copies: u64) {
    io.witness.sends_over(Some(member.session));
    io.drop_many(member.link.port, reason, copies);
    io.witness.sends_over(None);
}

/// Members that have no way now, or one that is too small, get no copies,
/// which the far end must know from losses of the line.
pub(super) fn count_absent(io: &Io, tables: &Tables, set: &Set, packets: u64) {
    for member in &set.too_small {
        drop_copies(io, member, Drop::LinkTooSmall, packets);
        member.counters.send_dropped_packets.add(packets);
    }
    for &session in &set.absent {
        if let Some(session) = tables.session(session) {
            session.counters.send_dropped_packets.add(packets);
        }
    }
}

/// How much there is in packets, octets.
pub(super) struct Extent {
    /// All together.
    pub(super) octets: u64,
    pub(super) longest: usize,
}

/// Says what prebuilt frames show of packets, but for their numbers. Of each it is asked
/// whether anybody needs its sum.
#[inline(always)]
pub(super) fn describe(
    fields: &mut BurstFields,
    packets: &[Mbuf],
    needs_sum: impl Fn(usize) -> bool,
) -> Extent {
    let (mut octets, mut longest, mut usual) = (0, 0, true);
    for (place, packet) in packets.iter().enumerate() {
        let packet_octets = packet.len();
        octets += packet_octets as u64;
        longest = longest.max(packet_octets);
        let payload = usual_payload(packet);
        usual &= payload.is_some();
        let sum = match payload {
            Some(payload) if needs_sum(place) => simd::sum_inline(payload),
            None if needs_sum(place) => simd::sum(packet),
            _ => 0,
        };
        fields.describe(place, packet_octets, sum);
    }
    if usual {
        fields.set_protocols(ppp::PROTOCOL_IPV4);
    } else {
        for (place, packet) in packets.iter().enumerate() {
            fields.set_protocol(place, ppp::protocol_of(packet));
        }
    }
    Extent { octets, longest }
}

/// Takes so many consecutive numbers; the first one.
#[inline(always)]
pub(super) fn take_numbers(next_number: &AtomicU64, access: Access, count: u64) -> u64 {
    // Relaxed: the numbers need to be distinct, and order nothing else.
    match access {
        Access::Shared => next_number.fetch_add(count, Ordering::Relaxed),
        Access::Alone => {
            let first = next_number.load(Ordering::Relaxed);
            next_number.store(first.wrapping_add(count), Ordering::Relaxed);
            first
        }
    }
}

impl Tally {
    pub(super) fn note(&mut self, octets: usize, sent: bool) {
        if sent {
            self.sent_packets += 1;
            self.sent_octets += octets as u64;
        } else {
            self.dropped_packets += 1;
        }
    }

    #[inline(always)]
    pub(super) fn count(&self, member: &Member) {
        let counters = &member.counters;
        counters.sent_packets.add(self.sent_packets);
        counters.sent_octets.add(self.sent_octets);
        if self.dropped_packets > 0 {
            counters.send_dropped_packets.add(self.dropped_packets);
        }
    }
}

/// What follows an IPv4 header without options. That need not be summed: its own
/// checksum makes it 0.
#[inline(always)]
fn usual_payload(packet: &[u8]) -> Option<&[u8]> {
    match packet.split_first_chunk::<{ ipv4::HEADER_OCTETS }>() {
        Some((&[ipv4::FIRST_OCTET, ..], payload)) => Some(payload),
        _ => None,
    }
}

/// The places of a burst that is not empty, as bits.
#[inline(always)]
fn places(packets: &Burst) -> u64 {
    u64::MAX >> (u64::BITS as usize - packets.len())
}

/// Whether the packet at this place of a burst is among those that pass.
#[inline(always)]
fn passes(passing: u64, place: usize) -> bool {
    passing >> place & 1 == 1
}

/// How many have one of these flags.
fn count_flagged(flags: &[u8], wanted: u8) -> u64 {
    flags.iter().filter(|&flags| flags & wanted != 0).count() as u64
}
