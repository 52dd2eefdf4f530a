//! Bursts for many sets. What is usual of one is numbered and sent as a whole, whatever set
//! each packet is for; the others set by set.

use std::cmp::Reverse;
use std::{array, mem};

use dpdk::{BURST, Burst, Mbuf, Mempool};

use crate::command::SetId;
use crate::counters::Drop;
use crate::headers::decapsulation::HEADERS_OCTETS;
use crate::headers::ha_frame::{BurstFields, HaFrame};
use crate::tables::{Member, Set, Tables};
use crate::window::Access;

use super::io::Io;
use super::outgoing::{Outgoing, places};
use super::send::{Tally, count_absent, describe, take_numbers};
use super::{Identification, Worker};

impl Worker {
    /// Numbers and sends what waits, which is for many sets.
    // Cold, so that the usual burst takes the straight way.
    #[cold]
    #[inline(never)]
    pub(super) fn number_mixed(&mut self) {
        simd::run(Mixed(self));
    }

    #[inline(always)]
    fn number_sets(&mut self) {
        let sent = self.send_together();
        if !self.outgoing.packets.is_empty() {
            simd::run(Others {
                worker: self,
                first: sent,
            });
        }
    }

    /// Numbers and sends those packets that can go together, and leaves the others.
    /// Says how many went: the places of the others begin behind them.
    #[inline(always)]
    fn send_together(&mut self) -> usize {
        let mut sets = [(SetId(0), 0); BURST];
        let sets = self.find_sets(&mut sets);
        let usual = |&(set, _): &(SetId, u32)| self.tables.usual_set(set);
        let Some(first) = sets.iter().find_map(usual) else {
            return 0;
        };
        // A witness is told of each packet by itself.
        if self.io.witness.is_on() {
            return 0;
        }
        let (outgoing, fields) = (&mut self.outgoing, &mut self.common.fields);
        let count = outgoing.packets.len();
        let mut groups = Groups::new(first);
        groups.gather(&self.tables, sets.iter().copied(), outgoing.pieces());
        let together = groups.settle(&self.tables, &self.io, outgoing);
        let packets = &outgoing.packets.as_slice()[..together];
        let needs_sums = groups.needs_sums;
        let extent = describe(fields, packets, |_| needs_sums);
        if together == 0 || extent.longest > BurstFields::MOST_OCTETS {
            return 0;
        }
        let others = (together < count).then(|| split_off(&mut outgoing.packets, together));
        let mut sending = Together {
            groups: &mut groups,
            tables: &self.tables,
            io: &mut self.io,
            copies: &self.copies,
            identification: &mut self.identification,
            access: self.access,
            fields,
            packets: together,
            octets: extent.octets,
        };
        sending.run(&mut outgoing.packets);
        if let Some(others) = others {
            outgoing.packets = others;
        }
        together
    }

    /// The sets of what waits, each with its places as bits. Has what is at hand of them brought
    /// into the cache.
    #[inline(always)]
    fn find_sets<'a>(&self, sets: &'a mut [(SetId, u32); BURST]) -> &'a [(SetId, u32)] {
        let all = first_places(self.outgoing.packets.len());
        let mut count = 0;
        for group in by_set(&self.outgoing.sets, all) {
            self.tables.prefetch_set(group.0);
            sets[count % BURST] = group;
            count += 1;
        }
        &sets[..count.min(BURST)]
    }

    /// Numbers and sends what waits, whose places begin with this one, set by set.
    #[inline(always)]
    fn number_others(&mut self, first: usize) {
        let mut packets = mem::take(&mut self.outgoing.packets);
        let flags = self.outgoing.flags;
        let all = first_places(packets.len()) << first;
        let sets = self.outgoing.sets;
        self.prefetch_sets(by_set(&sets, all).map(|(set, _)| set));
        let mut drained = packets.drain(..);
        let mut packets: [_; BURST] = array::from_fn(|place| {
            let is_one = place >= first;
            is_one.then(|| drained.next()).flatten()
        });
        for (set, places) in by_set(&sets, all) {
            let (mut group, mut group_flags) = (Burst::new(), [0; BURST]);
            for place in Places(places) {
                let Some(packet) = packets[place].take() else {
                    continue;
                };
                group_flags[group.len() % BURST] = flags[place];
                // There is room for a burst.
                let _ = group.push(packet);
            }
            self.replicate(set, &mut group, &group_flags);
        }
    }
}

/// The numbering of a burst for many sets, for the processor at hand: a function by itself,
/// which leaves the usual burst's way short.
struct Mixed<'a>(&'a mut Worker);

impl simd::Work for Mixed<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.0.number_sets();
    }
}

/// The same of packets that do not go with others.
struct Others<'a> {
    worker: &'a mut Worker,
    /// The place of the first one.
    first: usize,
}

impl simd::Work for Others<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.worker.number_others(self.first);
    }
}

/// The first places, so many and at least one, as bits.
#[inline(always)]
fn first_places(count: usize) -> u32 {
    u32::MAX >> (BURST - count)
}

/// The places of these bits.
#[derive(Clone, Copy)]
struct Places(u32);

impl Iterator for Places {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let place = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(place)
    }
}

/// The sets in the places of these bits, in the order of their first ones, each with its places.
// No closure, which is not inlined everywhere.
#[derive(Clone)]
struct BySet<'a> {
    sets: &'a [SetId; BURST],
    left: u32,
}

#[inline(always)]
fn by_set(sets: &[SetId; BURST], left: u32) -> BySet<'_> {
    BySet { sets, left }
}

impl Iterator for BySet<'_> {
    type Item = (SetId, u32);

    #[inline(always)]
    fn next(&mut self) -> Option<(SetId, u32)> {
        if self.left == 0 {
            return None;
        }
        let set = self.sets[self.left.trailing_zeros() as usize];
        let places = places(self.sets, set) & self.left;
        self.left &= !places;
        Some((set, places))
    }
}

/// Takes the packets from this place on.
#[cold]
#[inline(never)]
fn split_off(packets: &mut Burst, place: usize) -> Burst {
    let mut others = Burst::new();
    for packet in packets.drain(place..) {
        // There is room for a burst.
        let _ = others.push(packet);
    }
    others
}

/// Those packets of a burst that go together: all for a set or none, so that they stay in order.
struct Groups<'a> {
    /// The first `count` sets, each with the places of its packets as bits and their octets.
    sets: [&'a Set; BURST],
    places: [u32; BURST],
    octets: [u64; BURST],
    count: usize,
    /// Places of packets that go another way.
    left_out: u32,
    /// The sets have not all the same number of members.
    differ: bool,
    /// The most members that a set has.
    most_members: usize,
    /// Those that members of any of the sets leave by, as bits.
    ports: u64,
    needs_sums: bool,
    /// Some set has members that get no copies.
    incomplete: bool,
}

/// The packets of a burst for one set.
#[derive(Clone, Copy)]
struct Group<'a> {
    set: &'a Set,
    /// Their places, as bits.
    places: u32,
    octets: u64,
}

impl Group<'_> {
    #[inline(always)]
    fn packets(self) -> u64 {
        self.places.count_ones().into()
    }
}

impl<'a> Groups<'a> {
    /// None, to which some may be added. It takes any set to have no group.
    #[inline(always)]
    fn new(any: &'a Set) -> Self {
        Self {
            sets: [any; BURST],
            places: [0; BURST],
            octets: [0; BURST],
            count: 0,
            left_out: 0,
            differ: false,
            most_members: 0,
            ports: 0,
            needs_sums: false,
            incomplete: false,
        }
    }

    #[inline(always)]
    fn all(&self) -> impl Iterator<Item = Group<'a>> {
        (0..self.count.min(BURST)).map(|index| Group {
            set: self.sets[index],
            places: self.places[index],
            octets: self.octets[index],
        })
    }

    /// Adds the packets for [usual](Tables::usual_set) sets of which there are no pieces. Has what
    /// sending takes of the sets brought into the cache.
    #[inline(always)]
    fn gather(
        &mut self,
        tables: &'a Tables,
        sets: impl Iterator<Item = (SetId, u32)>,
        pieces: u32,
    ) {
        let most = self.sets[0].members.len();
        // Apart from the groups, so that they stay in registers.
        let (mut count, mut left_out, mut ports) = (0, 0, 0);
        let (mut differ, mut needs_sums, mut incomplete) = (false, false, false);
        for (id, places) in sets {
            let Some(set) = tables.usual_set(id).filter(|_| places & pieces == 0) else {
                left_out |= places;
                continue;
            };
            set.prefetch_sending();
            self.sets[count % BURST] = set;
            self.places[count % BURST] = places;
            count += 1;
            differ |= set.members.len() != most;
            ports |= set.ports;
            needs_sums |= set.needs_sums;
            incomplete |= set.is_incomplete;
        }
        (self.count, self.left_out, self.ports) = (count, left_out, ports);
        (self.needs_sums, self.incomplete) = (needs_sums, incomplete);
        (self.differ, self.most_members) = (differ, most);
        if differ {
            self.find_most_members();
        }
    }

    #[cold]
    #[inline(never)]
    fn find_most_members(&mut self) {
        let members = self.all().map(|group| group.set.members.len());
        self.most_members = members.max().unwrap_or(0);
    }

    /// Leaves out what might find no room, and puts packets in the order in which they go
    /// together. Says how many do.
    #[inline(always)]
    fn settle(&mut self, tables: &'a Tables, io: &Io, outgoing: &mut Outgoing) -> usize {
        let count = outgoing.packets.len();
        let tight = self.tight_ports(io, count);
        if tight != 0 {
            self.leave_out(tight);
        }
        if self.left_out != 0 || self.differ {
            self.arrange(tables, outgoing)
        } else {
            count
        }
    }

    /// Ports that might not have room for all that goes there of so many packets.
    #[inline(always)]
    fn tight_ports(&self, io: &Io, packets: usize) -> u64 {
        let most = packets * self.most_members;
        let (mut ports, mut tight) = (self.ports, 0);
        while ports != 0 {
            let port = ports & ports.wrapping_neg();
            ports &= !port;
            if io.room(port.trailing_zeros() as usize) < most {
                tight |= port;
            }
        }
        tight
    }

    /// Leaves out sets that have members on these ports.
    #[cold]
    #[inline(never)]
    fn leave_out(&mut self, ports: u64) {
        for index in 0..self.count {
            if self.sets[index].ports & ports != 0 {
                self.left_out |= self.places[index];
            }
        }
    }

    /// Puts packets whose sets have more members before others, and those last that are left out; the
    /// packets of a set stay in order. Says how many go together.
    #[cold]
    #[inline(never)]
    fn arrange(&mut self, tables: &'a Tables, outgoing: &mut Outgoing) -> usize {
        let mut members = [0; BURST];
        for group in self.all() {
            for place in Places(group.places & !self.left_out) {
                members[place] = group.set.members.len();
            }
        }
        let mut order: [u8; BURST] = array::from_fn(|place| place as u8);
        let packets = &mut outgoing.packets;
        order[..packets.len()]
            .sort_unstable_by_key(|&place| (Reverse(members[usize::from(place)]), place));
        packets.arrange(&order);
        let order = order.map(usize::from);
        outgoing.sets = order.map(|place| outgoing.sets[place]);
        outgoing.flags = order.map(|place| outgoing.flags[place]);
        let together = members.iter().filter(|&&members| members > 0).count();
        let all = u32::MAX.checked_shr((BURST - together) as u32).unwrap_or(0);
        self.gather(tables, by_set(&outgoing.sets, all), 0);
        together
    }
}

/// Which member of each set gets something.
#[derive(Clone, Copy)]
enum Turn {
    /// The first, the second and so on of those that get copies: all but the last one.
    Copies(usize),
    /// The last one.
    Originals,
}

impl Turn {
    /// `None` when the set has not so many.
    #[inline(always)]
    fn member(self, set: &Set) -> Option<&Member> {
        match self {
            Self::Copies(number) if number < set.members.len() => set.members.get(number - 1),
            Self::Copies(_) => None,
            // Of its length: `last` would be compared with null once more.
            Self::Originals => set.members.get(set.members.len().wrapping_sub(1)),
        }
    }
}

/// What it takes to send packets of many sets together. Where sets have more members, their
/// packets come first.
struct Together<'w, 's> {
    groups: &'w mut Groups<'s>,
    tables: &'w Tables,
    io: &'w mut Io,
    copies: &'w Mempool,
    identification: &'w mut Identification,
    access: Access,
    fields: &'w mut BurstFields,
    packets: usize,
    /// Of all packets.
    octets: u64,
}

/// The copies that leave in one turn.
struct Leaving {
    /// How many they are: those of the first packets.
    count: usize,
    /// Of their packets.
    octets: u64,
    /// All leave by the same port: this one.
    port: Option<usize>,
}

/// Of each packet, the headers of the link that it leaves by.
type Frames<'a> = [&'a HaFrame; BURST];

impl<'s> Together<'_, 's> {
    #[inline(always)]
    fn run(&mut self, packets: &mut Burst) {
        let first = self.groups.sets[0].members.first();
        let Some(first) = first.and_then(|member| member.frame.as_ref()) else {
            return;
        };
        let mut frames = [first; BURST];
        self.number();
        for number in 1..self.groups.most_members {
            self.send_copies(Turn::Copies(number), packets.as_slice(), &mut frames);
        }
        self.send_originals(packets, &mut frames);
    }

    #[inline(always)]
    fn number(&mut self) {
        let fields = &mut *self.fields;
        let access = self.access;
        for index in 0..self.groups.count.min(BURST) {
            let (set, places) = (self.groups.sets[index], self.groups.places[index]);
            let packets = places.count_ones().into();
            let mut number = take_numbers(&set.next_number, access, packets);
            let mut octets = 0;
            for place in Places(places) {
                fields.set_number(place, number);
                number = number.wrapping_add(1);
                octets += u64::from(fields.octets(place));
            }
            self.groups.octets[index] = octets;
            let counters = &*set.counters;
            counters.sent_packets.add(packets);
            counters.sent_octets.add(octets);
        }
        fields.show_each(self.packets);
        if self.groups.incomplete {
            self.count_absent();
        }
    }

    #[cold]
    #[inline(never)]
    fn count_absent(&self) {
        for group in self.groups.all() {
            count_absent(self.io, self.tables, group.set, group.packets());
        }
    }

    /// How many copies leave in a turn, and the octets of their packets.
    #[cold]
    #[inline(never)]
    fn extent(&self, turn: Turn) -> (usize, u64) {
        let groups = self.groups.all();
        let groups = groups.filter(|group| turn.member(group.set).is_some());
        groups.fold((0, 0), |(count, octets), group| {
            (count + group.packets() as usize, octets + group.octets)
        })
    }

    /// Makes what the copies of a turn show.
    #[inline(always)]
    fn fill_in(&mut self, turn: Turn, frames: &mut Frames<'s>) -> Leaving {
        let (count, octets) = if self.groups.differ {
            self.extent(turn)
        } else {
            (self.packets, self.octets)
        };
        let fields = &mut *self.fields;
        // Where only some sets have a member, the first one is among them.
        let first = turn.member(self.groups.sets[0]);
        let port = first.map_or(0, |member| member.link.port);
        let mut other_ports = 0;
        for group in self.groups.all() {
            let Some(member) = turn.member(group.set) else {
                continue;
            };
            // As every member of a usual set has.
            let Some(frame) = &member.frame else {
                continue;
            };
            dpdk::prefetch(&*member.counters);
            for place in Places(group.places) {
                frames[place % BURST] = frame;
                fields.set_link(place, frame);
            }
            other_ports |= member.link.port ^ port;
        }
        fields.fill_in_each(count, self.identification.take_many(count));
        Leaving {
            count,
            octets,
            port: (other_ports == 0).then_some(port),
        }
    }

    #[inline(always)]
    fn send_copies(&mut self, turn: Turn, packets: &[Mbuf], frames: &mut Frames<'s>) {
        let leaving = self.fill_in(turn, frames);
        let packets = &packets[..leaving.count];
        let mut copies = Burst::new();
        let fields = &*self.fields;
        let write = |place: usize, header: &mut _| {
            frames[place % BURST].write(header, fields, place);
        };
        if self.copies.copy_bulk(packets, &mut copies, write) {
            self.send_all(turn, &mut copies, &leaving);
        } else {
            self.copy_each(turn, packets, frames);
        }
    }

    #[inline(always)]
    fn send_originals(&mut self, packets: &mut Burst, frames: &mut Frames<'s>) {
        let turn = Turn::Originals;
        let leaving = self.fill_in(turn, frames);
        let mut without_room = 0;
        for (place, packet) in packets.iter_mut().enumerate() {
            match packet.prepend_array() {
                Some(header) => frames[place % BURST].write(header, self.fields, place),
                None => without_room |= 1 << place,
            }
        }
        if without_room == 0 {
            self.send_all(turn, packets, &leaving);
        } else {
            self.send_but(turn, packets, without_room);
        }
    }

    /// Sends all frames of a turn.
    #[inline(always)]
    fn send_all(&mut self, turn: Turn, frames: &mut Burst, leaving: &Leaving) {
        let outer_octets = leaving.octets + (leaving.count * HEADERS_OCTETS) as u64;
        let sent = |port| self.io.append(port, frames, outer_octets);
        if !leaving.port.is_some_and(sent) {
            self.send_but(turn, frames, 0);
            return;
        }
        for group in self.groups.all() {
            if let Some(member) = turn.member(group.set) {
                let tally = Tally {
                    sent_packets: group.packets(),
                    sent_octets: group.octets,
                    dropped_packets: 0,
                };
                tally.count(member);
            }
        }
    }

    /// Sends frames of a turn but for those in these places, which had no room for headers.
    #[inline(never)]
    fn send_but(&mut self, turn: Turn, frames: &mut Burst, without_room: u32) {
        let mut drained = frames.drain(..);
        let frames = array::from_fn(|place| {
            let frame = drained.next();
            frame.filter(|_| without_room >> place & 1 == 0)
        });
        self.send_each(turn, frames);
    }

    /// Sends copies of as many packets as there are buffers for.
    #[cold]
    #[inline(never)]
    fn copy_each(&mut self, turn: Turn, packets: &[Mbuf], frames: &Frames<'_>) {
        let copy = |place: usize| {
            let packet = packets.get(place)?;
            let mut copy = self.copies.alloc()?;
            copy.extend_from_slice(packet).then_some(())?;
            frames[place].write(copy.prepend_array()?, self.fields, place);
            Some(copy)
        };
        self.send_each(turn, array::from_fn(copy));
    }

    /// Sends frames of a turn by whatever ports, and counts those that are not there as dropped.
    #[inline(always)]
    fn send_each(&mut self, turn: Turn, mut frames: [Option<Mbuf>; BURST]) {
        for group in self.groups.all() {
            let Some(member) = turn.member(group.set) else {
                continue;
            };
            let port = member.link.port;
            let mut tally = Tally::default();
            for place in Places(group.places) {
                let sent = match frames[place].take() {
                    Some(frame) => self.io.push(port, frame),
                    None => {
                        self.io.drop(port, Drop::NoBuffer);
                        false
                    }
                };
                tally.note(self.fields.octets(place) as usize, sent);
            }
            tally.count(member);
        }
    }
}
