//! Copies of one set whose sessions take turns at a port, as where only the other site has several
//! lines. They are judged together, slot by slot of the window, and counted session by session, but
//! stay in the order in which they came: of each number the first one wins.

use std::ops::Range;

use dpdk::{BURST, Mbuf};

use crate::headers::decapsulation::{self, Expected};
use crate::tables::{Inbound, Tables};
use crate::window::{Group, Verdicts};

use super::Worker;
use super::candidates::{Judged, Origin, Run};
use super::elimination::count;
use super::receive::awaited;

/// Where so many frames are left of a burst, or of a set's in one that is put in order, copies of several
/// sessions are worth being taken together.
pub(super) const LEAST_COPIES: usize = 12;
/// So many sessions take turns in one run; with more, a set has more than one.
const SESSIONS: usize = 4;
/// Of a session that has none yet.
const NO_PART: u8 = u8::MAX;

/// Copies that came from several sessions of a set, by turns.
pub(super) struct Interleaved {
    /// Of each place in the burst, where among `origins` it came from.
    origin_of: [u8; BURST],
    /// Those of a run are from the place of its first packet on.
    origins: [Origin; BURST],
    /// Of the run that is being judged. Kept from one to the next: they are too large to be made
    /// empty for each.
    parts: Parts,
}

impl Interleaved {
    pub(super) fn new() -> Self {
        Self {
            origin_of: [0; BURST],
            origins: [Origin::NOWHERE; BURST],
            parts: Parts::new(),
        }
    }

    /// Sorts the copies in these places, whose numbers and octets these are.
    #[inline(always)]
    pub(super) fn part(
        &mut self,
        places: Range<usize>,
        numbers: &[u64; BURST],
        octets: &[u32; BURST],
    ) {
        self.parts.clear();
        for place in places {
            let place = place % BURST;
            let origin = self.origin_of[place];
            self.parts.add(origin, place, numbers[place], octets[place]);
        }
    }

    /// Where the copy in this place came from.
    #[inline(always)]
    pub(super) fn origin(&self, place: usize) -> &Origin {
        &self.origins[usize::from(self.origin_of[place % BURST]) % BURST]
    }
}

/// What is counted together: copies of one session whose numbers share a slot of the window.
#[derive(Clone, Copy)]
struct Part {
    /// Which of the origins.
    origin: u8,
    /// Which of the slots.
    slot: u8,
    places: u32,
    /// Of the inner packets.
    octets: u32,
    /// The numbers that no earlier copy of the run has.
    claims: u32,
    group: Group,
}

impl Part {
    const NONE: Self = Self {
        origin: 0,
        slot: 0,
        places: 0,
        octets: 0,
        claims: 0,
        group: Group { index: 0, bits: 0 },
    };
}

/// The numbers of all parts that share a slot, and what the window says of them.
#[derive(Clone, Copy)]
struct Slot {
    group: Group,
    verdicts: Verdicts,
}

impl Slot {
    const NONE: Self = Self {
        group: Group { index: 0, bits: 0 },
        verdicts: Verdicts::TOO_LATE,
    };
}

/// The parts of a run, and the slots of their numbers, both in the order of their first copies.
struct Parts {
    parts: [Part; BURST],
    count: usize,
    slots: [Slot; BURST],
    slot_count: usize,
    /// Of each origin the last part.
    last: [u8; BURST],
}

impl Parts {
    fn new() -> Self {
        Self {
            parts: [Part::NONE; BURST],
            count: 0,
            slots: [Slot::NONE; BURST],
            slot_count: 0,
            last: [NO_PART; BURST],
        }
    }

    fn clear(&mut self) {
        (self.count, self.slot_count) = (0, 0);
        self.last = [NO_PART; BURST];
    }

    /// Adds a copy to the last part of its session, if there is one and it fits.
    #[inline(always)]
    fn add(&mut self, origin: u8, place: usize, number: u64, octets: u32) {
        let at = usize::from(origin) % BURST;
        let is_added = match self.parts.get_mut(usize::from(self.last[at])) {
            Some(part) => part.group.add(number),
            None => false,
        };
        if !is_added {
            self.last[at] = self.begin(origin, Group::of(number));
        }
        let part = &mut self.parts[usize::from(self.last[at]) % BURST];
        let slot = &mut self.slots[usize::from(part.slot) % BURST];
        let bit = Group::of(number).bits;
        part.claims |= bit & !slot.group.bits;
        slot.group.bits |= bit;
        part.places |= 1 << place;
        part.octets += octets;
    }

    #[inline(always)]
    fn begin(&mut self, origin: u8, group: Group) -> u8 {
        let slots = self.slots.iter().take(self.slot_count);
        let known = slots.rev().position(|slot| slot.group.index == group.index);
        let slot = match known {
            Some(back) => self.slot_count - 1 - back,
            None => {
                self.slots[self.slot_count % BURST].group = Group { bits: 0, ..group };
                self.slot_count += 1;
                self.slot_count - 1
            }
        };
        let at = self.count;
        self.parts[at % BURST] = Part {
            origin,
            slot: slot as u8,
            group,
            ..Part::NONE
        };
        self.count += 1;
        at as u8
    }
}

/// The recognition of copies from one place of a burst on, as long as they are of one set. Says how
/// many they are, and of how many sessions.
pub(super) struct Turns<'a> {
    pub(super) tables: &'a Tables,
    pub(super) port: usize,
    pub(super) frames: &'a [Mbuf],
    pub(super) start: usize,
    pub(super) interleaved: &'a mut Interleaved,
    /// Of each place.
    pub(super) numbers: &'a mut [u64; BURST],
    pub(super) octets: &'a mut [u32; BURST],
}

impl simd::Work for Turns<'_> {
    type Output = (usize, usize);

    #[inline(always)]
    fn run(self) -> (usize, usize) {
        let Self {
            start, interleaved, ..
        } = self;
        let mut known = Known::new(self.tables, self.port);
        let frames = self.frames.get(start..).unwrap_or(&[]);
        let count = frames.len().min(BURST - start);
        let places = start..start + count;
        let (numbers, octets, origin_of) = (
            &mut self.numbers[places.clone()],
            &mut self.octets[places.clone()],
            &mut interleaved.origin_of[places],
        );
        let mut recognised = 0;
        // By one index, as where there is one session.
        while recognised < count {
            let frame = &frames[recognised];
            let Some(which) = decapsulation::ids(frame).and_then(|ids| known.find(ids)) else {
                break;
            };
            let expected = known.expected[which % SESSIONS];
            let Some(word) = expected.recognise_word(frame, || frame.l4_checksum_good()) else {
                break;
            };
            numbers[recognised] = word;
            octets[recognised] = (frame.len() - decapsulation::HEADERS_OCTETS) as u32;
            origin_of[recognised] = (start + which) as u8;
            recognised += 1;
        }
        for word in &mut numbers[..recognised] {
            *word = decapsulation::number(*word);
        }
        let origins = interleaved.origins.iter_mut().skip(start);
        for (origin, &known) in origins.zip(&known.origins[..known.count]) {
            *origin = known;
        }
        (recognised, known.count)
    }
}

/// The sessions whose copies came so far.
struct Known<'a> {
    tables: &'a Tables,
    port: usize,
    first: Option<&'a Inbound>,
    ids: [u32; SESSIONS],
    expected: [&'a Expected; SESSIONS],
    origins: [Origin; SESSIONS],
    count: usize,
}

impl<'a> Known<'a> {
    fn new(tables: &'a Tables, port: usize) -> Self {
        Self {
            tables,
            port,
            first: None,
            ids: [0; SESSIONS],
            expected: [&Expected::NOTHING; SESSIONS],
            origins: [Origin::NOWHERE; SESSIONS],
            count: 0,
        }
    }

    /// Which of them has these ids. `None` when that is none of the set, or one too many.
    #[inline(always)]
    fn find(&mut self, ids: u32) -> Option<usize> {
        // All are compared: which it is nobody can foresee.
        let places = self.ids.iter().enumerate();
        let same = places.fold(1 << self.count, |same, (which, &known)| {
            same | u32::from(known == ids) << which
        });
        let which = same.trailing_zeros() as usize;
        if which < self.count {
            Some(which)
        } else {
            self.add(ids)
        }
    }

    // Not inlined: once for a session, and it stays out of the loop over copies.
    #[inline(never)]
    fn add(&mut self, ids: u32) -> Option<usize> {
        let which = self.count;
        let (inbound, origin) = awaited(self.tables, ids, self.port)?;
        if !goes_with(self.first.get_or_insert(inbound), inbound) {
            return None;
        }
        *self.ids.get_mut(which)? = ids;
        self.expected[which] = &inbound.expected;
        self.origins[which] = origin;
        self.count += 1;
        Some(which)
    }
}

/// Whether copies of two sessions are judged by the same, and go the same way.
#[inline(always)]
fn goes_with(first: &Inbound, other: &Inbound) -> bool {
    // One set has one newest epoch.
    first.set == other.set && first.payload_table == other.payload_table
}

/// What [`Worker::judge_interleaved`] does, for the processor at hand: a function by itself.
pub(super) struct Judging<'a> {
    pub(super) worker: &'a mut Worker,
    pub(super) run: &'a Run,
    pub(super) start: usize,
}

impl simd::Work for Judging<'_> {
    type Output = Judged;

    #[inline(always)]
    fn run(self) -> Judged {
        self.worker.judge_interleaved(self.run, self.start)
    }
}

impl Worker {
    /// Judges and counts the copies of a run from several sessions, of which the first is at `start`.
    #[inline(always)]
    fn judge_interleaved(&mut self, run: &Run, start: usize) -> Judged {
        self.candidates.part(start..start + run.packets);
        let Parts {
            slots, slot_count, ..
        } = &mut self.candidates.interleaved.parts;
        let Origin {
            session,
            set,
            epoch,
            ..
        } = run.origin;
        for slot in slots.iter_mut().take(*slot_count) {
            let of_copy = self.tables.of_copy(session, set, epoch);
            slot.verdicts = match of_copy {
                Some((_, of_set)) => of_set.window.mark(slot.group, self.access),
                // No command comes between the check of a copy and this.
                None => Verdicts::TOO_LATE,
            };
        }
        let mut judged = Judged {
            firsts: 0,
            too_late: 0,
        };
        for index in 0..self.candidates.interleaved.parts.count {
            let Parts { parts, slots, .. } = &self.candidates.interleaved.parts;
            let part = parts[index % BURST];
            let of_slot = slots[usize::from(part.slot) % BURST].verdicts;
            judged.firsts |= u64::from(self.count_part(run, &part, of_slot));
            if of_slot.too_late() {
                judged.too_late += u64::from(part.places.count_ones());
            }
        }
        judged
    }

    /// Counts the copies of a part. Says which places have first copies.
    #[inline(always)]
    fn count_part(&mut self, run: &Run, part: &Part, of_slot: Verdicts) -> u32 {
        let run = Run {
            origin: self.candidates.interleaved.origins[usize::from(part.origin) % BURST],
            packets: part.places.count_ones() as usize,
            octets: part.octets.into(),
            group: part.group,
            ..*run
        };
        let verdicts = of_slot.of_some(part.claims);
        let firsts = self.firsts(part, verdicts.first());
        let origin = &run.origin;
        let of_copy = self
            .tables
            .of_copy(origin.session, origin.set, origin.epoch);
        let Some((session, of_set)) = of_copy else {
            return 0;
        };
        let octets = || self.candidates.inner_octets(firsts);
        if let Some(number) = count(session, of_set, &run, verdicts, octets) {
            // Whichever part has the first copy, it came in this burst, and its own session may note no times.
            self.note_skew(origin.session, origin.epoch, number, of_slot);
        }
        firsts
    }

    /// The places of those copies of a part that are the first of these numbers.
    #[inline(always)]
    fn firsts(&self, part: &Part, numbers: u32) -> u32 {
        if numbers == part.group.bits {
            return part.places;
        }
        let (mut firsts, mut places) = (0, if numbers == 0 { 0 } else { part.places });
        while places != 0 {
            let place = places.trailing_zeros();
            places &= places - 1;
            let number = self.candidates.number(place as usize);
            firsts |= u32::from(numbers & Group::of(number).bits != 0) << place;
        }
        firsts
    }
}
