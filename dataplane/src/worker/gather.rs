//! Bursts of many sets. What their copies are recognised by is found once and brought into the
//! cache for all of them together, and those of one set are put beside each other, as they came,
//! so that they are recognised, judged and sent on like a burst of few sets.

use std::ops::Range;

use dpdk::{BURST, Burst};

use crate::command::{SessionId, SetId};
use crate::headers::{decapsulation, decapsulation_ipv6, ethernet, ipv4, ipv6, l2tp, plain, udp};

use super::Worker;
use super::interleaved::LEAST_COPIES;

/// Places in the search for a set among those of a burst: a power of two, at least half free.
const PLACES: usize = 2 * BURST;
/// What is in a free one.
const FREE: u8 = u8::MAX;
/// The group of what is no copy.
const OTHERS: u8 = BURST as u8;
const NO_SESSION: SessionId = SessionId(u32::MAX);

/// Whether the bursts of a port are gathered, going by the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gathering {
    /// Those whose ends are of two sessions.
    Perhaps,
    /// All: they are for several sets.
    Needed,
    /// None: they are for one set, whatever sessions it has at the port.
    Needless,
}

impl Gathering {
    #[inline(always)]
    pub(super) fn is_for(self, burst: &Burst) -> bool {
        match self {
            Self::Perhaps => are_ends_of_two(burst),
            Self::Needed => true,
            Self::Needless => false,
        }
    }
}

/// Tunnel and session id of a frame that may be a copy or a plain data message.
#[inline(always)]
fn ids(frame: &[u8]) -> Option<u32> {
    decapsulation::ids(frame)
        .or_else(|| plain::ids(frame))
        .or_else(|| decapsulation_ipv6::ids(frame))
}

#[inline(always)]
fn are_ends_of_two(burst: &Burst) -> bool {
    match burst.as_slice() {
        [first, .., last] => ids(first) != ids(last),
        _ => false,
    }
}

/// A burst whose first frames are put in order by set.
pub(super) struct Gathered {
    /// Of each place.
    sessions: [SessionId; BURST],
    /// How many places are of sessions of sets.
    count: usize,
    /// The places from which on many copies are of one set, whose sessions take turns: a bit for each.
    turns: u32,
    /// What is to be expected of the next burst.
    pub(super) next_burst: Gathering,
}

impl Gathered {
    /// Notes that the places of a set are these, at least [`LEAST_COPIES`].
    #[inline(never)]
    fn note_turns(&mut self, places: Range<usize>) {
        let (start, end) = (places.start, places.end);
        if let Some(sessions @ [first, ..]) = self.sessions.get(places)
            && sessions.iter().any(|session| session != first)
        {
            let more = end - start - LEAST_COPIES;
            self.turns |= ((1 << (more + 1)) - 1) << start;
        }
    }

    /// Whether the copies from this place on are of a set that has its sessions take turns.
    #[inline(always)]
    pub(super) fn takes_turns(&self, place: usize) -> bool {
        self.turns >> place & 1 == 1
    }

    /// The session of the frame in this place, and the places from there on with the same.
    #[inline(always)]
    pub(super) fn next(&self, place: usize) -> Option<(SessionId, Range<usize>)> {
        let sessions = self.sessions.get(place..self.count)?;
        let &first = sessions.first()?;
        let same = sessions.iter().take_while(|&&session| session == first);
        Some((first, place..place + same.count()))
    }
}

/// The sets of a burst, in the order of their first frames.
struct Groups {
    sets: [SetId; BURST],
    frames: [u8; BURST],
    count: usize,
    /// Which of them is found from where.
    places: [u8; PLACES],
}

impl Groups {
    fn new() -> Self {
        Self {
            sets: [SetId(0); BURST],
            frames: [0; BURST],
            count: 0,
            places: [FREE; PLACES],
        }
    }

    /// Counts a frame of a set, and says which group that is.
    #[inline(always)]
    fn add(&mut self, set: SetId) -> u8 {
        let mut at = set.0 as usize;
        let group = loop {
            let group = &mut self.places[at % PLACES];
            if *group == FREE {
                *group = self.count as u8;
                self.sets[self.count % BURST] = set;
                self.count += 1;
                break *group;
            }
            if self.sets[usize::from(*group) % BURST] == set {
                break *group;
            }
            at += 1;
        };
        self.frames[usize::from(group) % BURST] += 1;
        group
    }

    /// What is to be expected after a burst of so many frames.
    #[inline(always)]
    fn next_burst(&self, frames: usize) -> Gathering {
        match self.count {
            0 => Gathering::Perhaps,
            1 if usize::from(self.frames[0]) == frames => Gathering::Needless,
            1 => Gathering::Perhaps,
            _ => Gathering::Needed,
        }
    }

    /// Those that are worth a look at whether sessions take turns: a bit for each.
    #[inline(always)]
    fn large(&self) -> u32 {
        let frames = self.frames.iter().enumerate();
        let large =
            frames.map(|(group, &frames)| u32::from(usize::from(frames) >= LEAST_COPIES) << group);
        large.fold(0, |large, group| large | group)
    }

    /// Where the first frame of each group goes, those of [`OTHERS`] last.
    #[inline(always)]
    fn starts(&self) -> [u8; PLACES] {
        let mut starts = [0; PLACES];
        let mut next = 0;
        for (start, frames) in starts.iter_mut().zip(&self.frames[..self.count % PLACES]) {
            *start = next;
            next += frames;
        }
        starts[usize::from(OTHERS)] = next;
        starts
    }
}

/// Tunnel and session ids of some frames of a burst.
struct Ids {
    ids: [u32; BURST],
    count: usize,
}

impl Ids {
    fn new() -> Self {
        Self {
            ids: [0; BURST],
            count: 0,
        }
    }

    #[inline(always)]
    fn push(&mut self, ids: u32) {
        self.ids[self.count % BURST] = ids;
        self.count += 1;
    }

    #[inline(always)]
    fn as_slice(&self) -> &[u32] {
        &self.ids[..self.count.min(BURST)]
    }
}

/// Whether a frame that has no usual form may yet turn out to be a copy: a message with an HA
/// header in another form, or a fragment of one, or one whose tag says no VLAN.
fn may_become_copy(frame: &[u8]) -> bool {
    let Some((ethernet, packet)) = frame.split_first_chunk::<{ ethernet::HEADER_OCTETS }>() else {
        return false;
    };
    match u16::from_be_bytes([ethernet[12], ethernet[13]]) {
        ethernet::ETHER_TYPE_IPV4 => ipv4::known(packet).is_some_and(|header| {
            let upper = packet.get(header.header_octets..).unwrap_or(&[]);
            header.protocol == ipv4::PROTOCOL_UDP && (header.is_fragment() || has_ha_header(upper))
        }),
        ethernet::ETHER_TYPE_IPV6 => ipv6::known(packet).is_some_and(|header| {
            let upper = packet.get(ipv6::HEADER_OCTETS..).unwrap_or(&[]);
            match header.next_header {
                ipv4::PROTOCOL_UDP => has_ha_header(upper),
                // An extension header, behind which anything may be but neighbours' matters.
                ipv6::NEXT_HOP_BY_HOP => upper.first() != Some(&ipv6::NEXT_ICMPV6),
                ipv6::NEXT_ROUTING | ipv6::NEXT_FRAGMENT | ipv6::NEXT_DESTINATION_OPTIONS => true,
                _ => false,
            }
        }),
        // A tag that says no VLAN. Not asked of `vlan`: so small a thing called from here too
        // changed what the compiler inlines elsewhere, which cost each packet 8 instructions.
        ethernet::ETHER_TYPE_VLAN => matches!(packet, [c0, 0, ..] if c0 & 0x0f == 0),
        _ => false,
    }
}

/// Whether this is UDP with an L2TP data message that has an offset, where HA headers stand.
fn has_ha_header(udp: &[u8]) -> bool {
    const OFFSET: u16 = l2tp::FLAG_OFFSET;
    matches!(*udp, [_, _, p0, p1, _, _, _, _, f0, f1, ..]
        if u16::from_be_bytes([p0, p1]) == udp::PORT_L2TP
            && u16::from_be_bytes([f0, f1]) & (l2tp::FLAG_CONTROL | OFFSET) == OFFSET)
}

impl Worker {
    /// Puts the frames of a burst in order: first those of sets, by set, then all others, each as
    /// they came. `None`, and no change, where copies may be among the others.
    #[inline(always)]
    pub(super) fn gather(&self, burst: &mut Burst) -> Option<Gathered> {
        let tables = &self.tables;
        let (mut copies, mut all_ids) = (0_u64, [0; BURST]);
        for (place, (ids, frame)) in all_ids.iter_mut().zip(&*burst).enumerate() {
            if let Some(found) = decapsulation::ids(frame) {
                copies |= 1 << place;
                *ids = found;
                tables.prefetch_wire(found);
            }
        }
        let mut came = [NO_SESSION; BURST];
        for (place, (session, &ids)) in came.iter_mut().zip(&all_ids[..burst.len()]).enumerate() {
            if copies >> place & 1 == 1 {
                *session = tables.prefetch_inbound(ids).unwrap_or(NO_SESSION);
            }
        }
        let are_all_copies = copies.count_ones() as usize == burst.len();
        if !are_all_copies && self.prefetch_others(burst) {
            return None;
        }
        Some(self.arrange(burst, &came))
    }

    /// Puts the frames whose sessions these are in order.
    #[inline(always)]
    fn arrange(&self, burst: &mut Burst, came: &[SessionId; BURST]) -> Gathered {
        let mut groups = Groups::new();
        let mut group_of = [OTHERS; BURST];
        for (group, &session) in group_of.iter_mut().zip(&came[..burst.len()]) {
            if let Some(set) = self.tables.set_of(session) {
                *group = groups.add(set);
            }
        }
        let mut next = groups.starts();
        let mut gathered = Gathered {
            sessions: [NO_SESSION; BURST],
            count: next[usize::from(OTHERS)].into(),
            turns: 0,
            next_burst: groups.next_burst(burst.len()),
        };
        let mut order = [0; BURST];
        for (from, (&group, &session)) in (0..).zip(group_of.iter().zip(came)).take(burst.len()) {
            let next = &mut next[usize::from(group) % PLACES];
            let place = usize::from(*next) % BURST;
            *next += 1;
            order[place] = from;
            gathered.sessions[place] = session;
        }
        let arranged = burst.arrange(&order);
        debug_assert!(arranged, "every frame has one place");
        let mut large = groups.large();
        while large != 0 {
            let group = large.trailing_zeros() as usize;
            large &= large - 1;
            let (end, frames) = (next[group], groups.frames[group]);
            gathered.note_turns((end - frames).into()..end.into());
        }
        gathered
    }

    /// For what has not the form of our copies over IPv4. Says whether some of it may become a copy.
    #[inline(never)]
    fn prefetch_others(&self, burst: &Burst) -> bool {
        let tables = &self.tables;
        let (mut plain, mut over_ipv6) = (Ids::new(), Ids::new());
        let mut may_become_copies = false;
        for frame in burst {
            if decapsulation::ids(frame).is_some() {
                continue;
            }
            if let Some(ids) = plain::ids(frame) {
                plain.push(ids);
                tables.prefetch_wire(ids);
            } else if let Some(ids) = decapsulation_ipv6::ids(frame) {
                over_ipv6.push(ids);
                tables.prefetch_wire(ids);
            } else {
                may_become_copies |= may_become_copy(frame);
            }
        }
        for &ids in plain.as_slice() {
            tables.prefetch_slot(ids);
        }
        for &ids in over_ipv6.as_slice() {
            may_become_copies |= tables.prefetch_inbound(ids).is_some();
        }
        for &ids in plain.as_slice() {
            tables.prefetch_session(ids);
        }
        for &ids in plain.as_slice() {
            if let Some(session) = tables.session_by_ids(ids) {
                dpdk::prefetch_all(&*session.spec);
                dpdk::prefetch_all(&*session.counters);
            }
        }
        may_become_copies
    }
}
