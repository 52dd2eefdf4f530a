//! Putting packets together that the far end sent in pieces.
//!
//! The pieces of a packet have consecutive numbers: the first begins with the
//! packet's own header, all but the last say that more follow. Elimination let
//! each of them through once, in any order. What is kept is bounded in pieces,
//! and so in octets, and in time; whatever does not fit together waits until
//! it is too old and harms no other packet.
//!
//! How much one set may keep follows what is free (Choudhury and Hahne,
//! "Dynamic queue length thresholds", 1998): one that loses many pieces
//! replaces its own oldest ones, and there is always room for the others.

use hashbrown::HashMap;

use crate::chain::{Chain, List};
use crate::command::SetId;
use crate::counters::Drop;
use crate::headers::ha::{FLAG_MORE_PIECES, FLAG_NOT_FIRST_PIECE};
use crate::headers::packet_octets;

/// The most pieces of one packet.
pub const MAX_PIECES: usize = 32;

/// One set may keep this many times what is free.
const SHARE: usize = 4;

/// Where in its packet a piece belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    First,
    Middle,
    Last,
}

impl Place {
    /// What the flags of an HA header say; `None` for a whole packet.
    #[inline]
    #[must_use]
    pub const fn from_flags(flags: u8) -> Option<Self> {
        match (flags & FLAG_NOT_FIRST_PIECE, flags & FLAG_MORE_PIECES) {
            (0, 0) => None,
            (0, _) => Some(Self::First),
            (_, 0) => Some(Self::Last),
            _ => Some(Self::Middle),
        }
    }

    /// The flags of the HA header that say so.
    #[must_use]
    pub const fn flags(self) -> u8 {
        match self {
            Self::First => FLAG_MORE_PIECES,
            Self::Middle => FLAG_MORE_PIECES | FLAG_NOT_FIRST_PIECE,
            Self::Last => FLAG_NOT_FIRST_PIECE,
        }
    }

    const fn is_first(self) -> bool {
        matches!(self, Self::First)
    }

    const fn is_last(self) -> bool {
        matches!(self, Self::Last)
    }
}

/// What names a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub set: SetId,
    pub epoch: u32,
    pub number: u64,
}

impl Key {
    fn with(self, number: u64) -> Self {
        Self { number, ..self }
    }
}

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Pieces of all sets.
    pub pieces: usize,
    /// From the arrival of a packet's first piece to that of its last one, in ticks of the caller's clock.
    pub timeout_ticks: u64,
}

struct Held<T> {
    key: Key,
    place: Place,
    arrived: u64,
    item: T,
}

/// What one set keeps.
#[derive(Default)]
struct Share {
    pieces: usize,
    by_age: List,
}

/// The numbers that a packet's pieces have: first and last.
type Run = (u64, u64);

/// Pieces that wait for the others of their packets. `T` is a piece, whatever
/// the caller keeps with it; it dereferences to the piece's octets.
pub struct Reassembly<T> {
    limits: Limits,
    slots: Vec<Option<Held<T>>>,
    free: Vec<u32>,
    index: HashMap<Key, u32>,
    sets: HashMap<SetId, Share>,
    /// All slots in use, oldest first; likewise those of each set.
    by_age: List,
    ages: Chain,
    ages_of_sets: Chain,
}

impl<T: AsRef<[u8]>> Reassembly<T> {
    /// One that keeps nothing yet. All memory is taken here.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let pieces = limits.pieces;
        Self {
            limits,
            slots: (0..pieces).map(|_| None).collect(),
            free: (0..pieces as u32).rev().collect(),
            index: HashMap::with_capacity(pieces),
            sets: HashMap::with_capacity(pieces),
            by_age: List::default(),
            ages: Chain::new(pieces),
            ages_of_sets: Chain::new(pieces),
        }
    }

    /// How many pieces wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Takes a piece at the time `now`. Once it completes a packet whose own
    /// length is what the pieces add up to, they are appended to `whole` in
    /// order, and the answer is true. Pieces that are given up go to `refuse` with their reason:
    /// [`Drop::BadReassembly`] for a number that is there already and for
    /// pieces that make no packet, [`Drop::ReassemblyFull`] for those that had
    /// to make room.
    pub fn insert(
        &mut self,
        now: u64,
        key: Key,
        place: Place,
        item: T,
        whole: &mut Vec<T>,
        refuse: &mut impl FnMut(T, Drop),
    ) -> bool {
        if self.index.contains_key(&key) {
            refuse(item, Drop::BadReassembly);
            return false;
        }
        let Some(run) = self.complete(key, place) else {
            self.keep(now, key, place, item, refuse);
            return false;
        };
        let before = whole.len();
        let mut item = Some(item);
        for number in run.0..=run.1 {
            let part = if number == key.number {
                item.take()
            } else {
                self.take(key.with(number))
            };
            whole.extend(part);
        }
        let octets: usize = whole[before..].iter().map(|part| part.as_ref().len()).sum();
        let first = whole.get(before).map_or(&[][..], |part| part.as_ref());
        if packet_octets(first) == Some(octets) {
            return true;
        }
        for part in whole.drain(before..) {
            refuse(part, Drop::BadReassembly);
        }
        false
    }

    /// Gives up packets that are not complete `timeout_ticks` after the first
    /// of their pieces came, with [`Drop::ReassemblyTimeout`].
    pub fn expire(&mut self, now: u64, refuse: &mut impl FnMut(T, Drop)) {
        while let Some(oldest) = self.by_age.oldest() {
            let Some(held) = &self.slots[oldest as usize] else {
                return;
            };
            if now.saturating_sub(held.arrived) < self.limits.timeout_ticks {
                return;
            }
            let (key, place) = (held.key, held.place);
            self.give_up(key, place, Drop::ReassemblyTimeout, refuse);
        }
    }

    fn place(&self, key: Key) -> Option<Place> {
        let slot = *self.index.get(&key)?;
        Some(self.slots[slot as usize].as_ref()?.place)
    }

    /// The first and the last number of the packet that a piece would complete.
    fn complete(&self, key: Key, place: Place) -> Option<Run> {
        let (first, start) = self.lowest(key, place);
        if !start.is_first() {
            return None;
        }
        let (last, end) = self.highest(key, place);
        let complete = end.is_last() && last - first < MAX_PIECES as u64;
        complete.then_some((first, last))
    }

    /// The lowest of the numbers that go with this piece, and its place.
    fn lowest(&self, key: Key, mut place: Place) -> (u64, Place) {
        let mut number = key.number;
        while !place.is_first() && key.number - number < MAX_PIECES as u64 {
            let before = number.checked_sub(1).and_then(|number| {
                let place = self.place(key.with(number))?;
                (!place.is_last()).then_some((number, place))
            });
            let Some(found) = before else { break };
            (number, place) = found;
        }
        (number, place)
    }

    /// The highest of the numbers that go with this piece, and its place.
    fn highest(&self, key: Key, mut place: Place) -> (u64, Place) {
        let mut number = key.number;
        while !place.is_last() && number - key.number < MAX_PIECES as u64 {
            let after = number.checked_add(1).and_then(|number| {
                let place = self.place(key.with(number))?;
                (!place.is_first()).then_some((number, place))
            });
            let Some(found) = after else { break };
            (number, place) = found;
        }
        (number, place)
    }

    fn keep(
        &mut self,
        now: u64,
        key: Key,
        place: Place,
        item: T,
        refuse: &mut impl FnMut(T, Drop),
    ) {
        self.make_room(key.set, refuse);
        let Some(slot) = self.free.pop() else {
            refuse(item, Drop::ReassemblyFull);
            return;
        };
        self.index.insert(key, slot);
        self.slots[slot as usize] = Some(Held {
            key,
            place,
            arrived: now,
            item,
        });
        self.ages.append(&mut self.by_age, slot);
        let share = self.sets.entry(key.set).or_default();
        share.pieces += 1;
        self.ages_of_sets.append(&mut share.by_age, slot);
    }

    /// Gives up a set's oldest packets while it keeps its share.
    fn make_room(&mut self, set: SetId, refuse: &mut impl FnMut(T, Drop)) {
        while let Some(share) = self.sets.get(&set) {
            if share.pieces < SHARE * self.free.len() {
                return;
            }
            let oldest = share.by_age.oldest();
            let Some(held) = oldest.and_then(|slot| self.slots[slot as usize].as_ref()) else {
                return;
            };
            let (key, place) = (held.key, held.place);
            self.give_up(key, place, Drop::ReassemblyFull, refuse);
        }
    }

    /// Lets a piece go, and those that belong to the same packet.
    fn give_up(&mut self, key: Key, place: Place, reason: Drop, refuse: &mut impl FnMut(T, Drop)) {
        let (first, last) = (self.lowest(key, place).0, self.highest(key, place).0);
        for number in first..=last {
            if let Some(item) = self.take(key.with(number)) {
                refuse(item, reason);
            }
        }
    }

    fn take(&mut self, key: Key) -> Option<T> {
        let slot = self.index.remove(&key)?;
        self.ages.unlink(&mut self.by_age, slot);
        if let Some(share) = self.sets.get_mut(&key.set) {
            self.ages_of_sets.unlink(&mut share.by_age, slot);
            share.pieces -= 1;
            if share.pieces == 0 {
                self.sets.remove(&key.set);
            }
        }
        self.free.push(slot);
        Some(self.slots[slot as usize].take()?.item)
    }
}
