//! Bursts of many sessions, as where thousands of sets end. Each copy is recognised, judged and
//! sent on by itself, in stages that go through the whole burst: each has brought into the cache what the
//! next one needs, so that the waits for memory overlap.

use dpdk::{BURST, Burst, Mbuf};

use crate::command::SessionId;
use crate::counters::Drop;
use crate::headers::ipv4::Ipv4;
use crate::headers::{decapsulation, decapsulation_ipv6, ethernet, ipv4, ipv6, l2tp, plain, udp};
use crate::tables::{Inbound, InboundSlot, Judge, TableSlot, Tables};
use crate::window::{Group, Verdict};

use super::elimination::Books;
use super::receive::origin;
use super::shortcut::Departure;
use super::{Worker, keep};

const HEADERS_OCTETS: usize = decapsulation::HEADERS_OCTETS;

/// Sessions that change so often in a burst are few.
pub(super) const FEW_CHANGES: usize = 2;

/// Whether the next burst of a port is of many sessions, going by the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mixture {
    /// If its ends are of two.
    Perhaps,
    Expected,
}

impl Mixture {
    #[inline(always)]
    pub(super) fn is_for(self, burst: &Burst) -> bool {
        match burst.as_slice() {
            [first, .., last] => self == Self::Expected || ids(first) != ids(last),
            _ => false,
        }
    }

    /// After a burst in which the session changed so often.
    #[inline(always)]
    pub(super) fn after(changes: usize) -> Self {
        if changes > FEW_CHANGES {
            Self::Expected
        } else {
            Self::Perhaps
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

/// The ids in the frames of a burst that have the usual form of copies.
struct Looks {
    ids: [u32; BURST],
    /// A bit for each of these frames.
    copies: u32,
}

impl Looks {
    /// Has the start of the search for each brought into the cache.
    #[inline(always)]
    fn at(frames: &[Mbuf], tables: &Tables) -> Self {
        let (mut ids, mut copies) = ([0; BURST], 0);
        for (place, (ids, frame)) in ids.iter_mut().zip(frames).enumerate() {
            if let Some(found) = decapsulation::ids(frame) {
                copies |= 1 << place;
                *ids = found;
                tables.prefetch_wire(found);
            }
        }
        Self { ids, copies }
    }

    /// How often the ids change.
    #[inline(always)]
    fn changes(&self, frames: usize) -> usize {
        let pairs = self.ids.iter().zip(&self.ids[1..]).take(frames - 1);
        pairs.map(|(ids, next)| usize::from(ids != next)).sum()
    }
}

/// A copy that was recognised, and what it is judged by and counted in.
#[derive(Clone, Copy)]
struct Arrival<'a> {
    inbound: &'a Inbound,
    judge: Judge<'a>,
    number: u64,
    /// Of the inner packet.
    octets: u32,
    /// In the burst.
    place: u8,
}

/// The copies of a burst, in their order.
struct Arrivals<'a> {
    arrivals: [Option<Arrival<'a>>; BURST],
    count: usize,
    /// Of the inner packets.
    octets: u64,
}

impl<'a> Arrivals<'a> {
    fn new() -> Self {
        Self {
            arrivals: [const { None }; BURST],
            count: 0,
            octets: 0,
        }
    }

    #[inline(always)]
    fn push(&mut self, arrival: Arrival<'a>) {
        self.octets += u64::from(arrival.octets);
        self.arrivals[self.count % BURST] = Some(arrival);
        self.count += 1;
    }

    /// A bit for each place.
    fn places(&self) -> u32 {
        let copies = self.as_slice().iter().flatten();
        copies.fold(0, |places, copy| places | 1 << copy.place)
    }

    #[inline(always)]
    fn as_slice(&self) -> &[Option<Arrival<'a>>] {
        &self.arrivals[..self.count.min(BURST)]
    }

    /// Recognises the copies among the frames of a burst, as long as every frame that may be one is.
    #[inline(always)]
    fn recognise(
        &mut self,
        tables: &'a Tables,
        port: usize,
        frames: &[Mbuf],
        looks: &Looks,
        slots: &[Option<&'a InboundSlot>; BURST],
    ) {
        for (place, (frame, &slot)) in frames.iter().zip(slots).enumerate() {
            let Some(inbound) = tables.known(slot) else {
                if looks.copies >> place & 1 == 1 && tables.is_of_set(looks.ids[place % BURST]) {
                    break;
                }
                continue;
            };
            if usize::from(inbound.port) != port {
                break;
            }
            let Some(judge) = tables.judge(inbound.set, inbound.epoch) else {
                break;
            };
            let expected = &inbound.expected;
            let Some(word) = expected.recognise_word(frame, || frame.l4_checksum_good()) else {
                break;
            };
            let number = decapsulation::number(word);
            judge.window.prefetch(Group::of(number));
            dpdk::prefetch(judge.counters);
            self.push(Arrival {
                inbound,
                judge,
                number,
                octets: (frame.len() - HEADERS_OCTETS) as u32,
                place: place as u8,
            });
        }
    }
}

/// What the window said of copies, and how the first ones go on.
struct Judged {
    count: usize,
    /// A bit for each first copy.
    firsts: u32,
    /// Of each first copy.
    ways: [Way; BURST],
}

/// How the packet of a first copy goes on.
#[derive(Clone, Copy)]
struct Way {
    /// Where it is routed; `None` where something comes before that.
    table: Option<TableSlot>,
    session: SessionId,
    number: u64,
}

impl Way {
    const NONE: Self = Self {
        table: None,
        session: SessionId(0),
        number: 0,
    };
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
    /// Carries the copies of a burst of many sessions all the way, and leaves the other frames. Says how many octets the
    /// frames of the copies had. `None`, and no change, where the burst is of few sessions, or where copies may be
    /// among the others.
    #[inline(always)]
    fn take_each(&mut self, port: usize, burst: &mut Burst) -> Option<u64> {
        let tables = &self.tables;
        let looks = Looks::at(burst.as_slice(), tables);
        let changes = looks.changes(burst.len());
        self.receive[port].mixture = Mixture::after(changes);
        let are_all_copies = looks.copies.count_ones() as usize == burst.len();
        if are_all_copies && changes <= FEW_CHANGES {
            return None;
        }
        let mut slots = [None; BURST];
        for (place, (slot, &ids)) in slots.iter_mut().zip(&looks.ids).enumerate() {
            if looks.copies >> place & 1 == 1 {
                *slot = tables.prefetch_inbound(ids);
            }
        }
        if !are_all_copies && self.prefetch_others(burst) {
            return None;
        }
        for &slot in &slots[..burst.len()] {
            tables.prefetch_books(slot);
        }
        let mut arrivals = Arrivals::new();
        arrivals.recognise(tables, port, burst.as_slice(), &looks, &slots);
        let octets = arrivals.octets + (arrivals.count * HEADERS_OCTETS) as u64;
        let judged = self.judge_each(port, burst.as_slice(), arrivals.as_slice());
        if arrivals.count < burst.len() {
            put_first(burst, arrivals.places());
        }
        self.send_firsts(port, burst, &judged);
        Some(octets)
    }

    /// Marks the numbers of copies, and counts each copy, whatever its verdict is.
    #[inline(always)]
    fn judge_each(&self, port: usize, frames: &[Mbuf], arrivals: &[Option<Arrival<'_>>]) -> Judged {
        let mut judged = Judged {
            count: arrivals.len(),
            firsts: 0,
            ways: [Way::NONE; BURST],
        };
        let mut too_late = 0;
        for (which, arrival) in arrivals.iter().flatten().enumerate() {
            let &Arrival {
                inbound,
                judge,
                number,
                octets,
                place,
            } = arrival;
            let group = Group::of(number);
            let verdicts = judge.window.mark(group, self.access);
            let books = Books {
                session: inbound,
                set: judge.counters,
            };
            books.received(1, octets.into());
            match verdicts.of(number) {
                Verdict::TooLate => {
                    books.too_late(1);
                    too_late += 1;
                    continue;
                }
                Verdict::Duplicate => books.duplicates(1),
                Verdict::First => {
                    books.firsts(1, octets.into());
                    judged.firsts |= 1 << which;
                    judged.ways[which % BURST] = Way {
                        table: (!inbound.ordered).then_some(inbound.payload_table),
                        session: inbound.session,
                        number,
                    };
                    let frame = frames.get(usize::from(place));
                    let packet = frame.and_then(|frame| frame.get(HEADERS_OCTETS..));
                    if let Some((_, destination)) = packet.and_then(ipv4::first_and_destination) {
                        self.tables
                            .prefetch_shortcut(inbound.payload_table, destination);
                    }
                }
            }
            if let Some(number) = books.note(inbound.epoch, group) {
                self.note_skew(inbound.session, inbound.epoch, number, verdicts);
            }
        }
        let eliminated = arrivals.len() as u64 - u64::from(judged.firsts.count_ones());
        if eliminated > 0 {
            self.io
                .drop_many(port, Drop::Duplicate, eliminated - too_late);
            self.io.drop_many(port, Drop::TooLate, too_late);
        }
        judged
    }

    /// Lets the first ones of the copies at the start of a burst go on, and frees the others.
    #[inline(always)]
    fn send_firsts(&mut self, port: usize, burst: &mut Burst, judged: &Judged) {
        let (mut duplicates, mut departure) = (Burst::new(), Departure::new());
        for (which, mut packet) in burst.drain(..judged.count).enumerate() {
            if judged.firsts >> which & 1 == 0 {
                // There is room for a burst.
                let _ = duplicates.push(packet);
                continue;
            }
            let way = judged.ways[which % BURST];
            if let Some(table) = way.table
                && let Some(way) = self.shorten::<Ipv4>(&mut packet, HEADERS_OCTETS, table)
            {
                self.take_shortcut(packet, way, port, &mut departure);
                continue;
            }
            self.depart(&mut departure);
            self.send_first(port, packet, way.session, way.number);
        }
        self.depart(&mut departure);
    }

    /// The same for one that does not go the shortest way.
    #[cold]
    #[inline(never)]
    fn send_first(&mut self, port: usize, mut packet: Mbuf, session: SessionId, number: u64) {
        let Some(inbound) = self.tables.inbound(session) else {
            // No command comes between the check of a copy and this.
            self.io.drop(port, Drop::UnknownSession);
            return;
        };
        let origin = origin(inbound);
        let octets = packet.len();
        keep(&mut packet, HEADERS_OCTETS..octets);
        self.first_copy(origin.candidate(packet, number));
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

/// Puts the frames in these places first, and the others behind them, each as they came.
#[cold]
#[inline(never)]
fn put_first(burst: &mut Burst, first: u32) {
    let all = 0..burst.len() as u8;
    let is_first = |&place: &u8| first >> place & 1 == 1;
    let (first, others) = (
        all.clone().filter(is_first),
        all.filter(|place| !is_first(place)),
    );
    let mut order = [0; BURST];
    for (from, place) in order.iter_mut().zip(first.chain(others)) {
        *from = place;
    }
    let arranged = burst.arrange(&order);
    debug_assert!(arranged, "every frame has one place");
}

/// What is done with a burst of many sessions, for the processor at hand: a function by itself,
/// which leaves the usual burst's way short.
pub(super) struct Mixed<'a> {
    pub(super) worker: &'a mut Worker,
    pub(super) port: usize,
    pub(super) burst: &'a mut Burst,
}

impl simd::Work for Mixed<'_> {
    type Output = Option<u64>;

    #[inline(always)]
    fn run(self) -> Option<u64> {
        self.worker.take_each(self.port, self.burst)
    }
}
