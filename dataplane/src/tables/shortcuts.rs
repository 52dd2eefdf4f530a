//! Destinations whose packets need no decision any more: what was decided for
//! the last packet to each. A packet finds its way here by one comparison, in
//! one cache line, or it is decided anew.

use crate::command::SetId;
use crate::headers::ethernet;

use super::{Address, TableSlot};

/// Lines of each family; a power of two.
const LINES: usize = 8192;
/// Destinations that share a line.
const WAYS: usize = 2;

/// The way of the packets to one destination that need nothing unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shortcut {
    pub(crate) target: ShortTarget,
    /// Largest packet that leaves as it is, octets.
    pub(crate) whole_mtu: u16,
}

/// Where a shortcut leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShortTarget {
    /// Out of a port, to a neighbour that is known.
    Port {
        port: u16,
        ethernet: [u8; ethernet::HEADER_OCTETS],
    },
    /// Into a set with live members.
    Set(ShortSet),
}

/// A [`SetId`] without its alignment, which would make entries longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShortSet([u8; 4]);

impl From<SetId> for ShortSet {
    fn from(id: SetId) -> Self {
        Self(id.0.to_ne_bytes())
    }
}

impl From<ShortSet> for SetId {
    #[inline]
    fn from(id: ShortSet) -> Self {
        Self(u32::from_ne_bytes(id.0))
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry<A> {
    /// Of the tables, its low half; 0 is never one of theirs.
    generation: u32,
    destination: A,
    table: u16,
    shortcut: Shortcut,
}

#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line<A>([Entry<A>; WAYS]);

const _: () = assert!(size_of::<Line<std::net::Ipv4Addr>>() == 64);

/// The shortcuts of one family.
#[derive(Debug)]
pub(crate) struct Shortcuts<A> {
    /// Of the tables, as last told.
    generation: u32,
    lines: Box<[Line<A>]>,
}

impl<A: Address> Default for Shortcuts<A> {
    fn default() -> Self {
        Self {
            generation: 1,
            lines: Self::nothing(),
        }
    }
}

impl<A: Address> Shortcuts<A> {
    fn nothing() -> Box<[Line<A>]> {
        let nothing = Entry {
            generation: 0,
            destination: A::UNSPECIFIED,
            table: 0,
            shortcut: Shortcut {
                target: ShortTarget::Set(ShortSet([0; 4])),
                whole_mtu: 0,
            },
        };
        vec![Line([nothing; WAYS]); LINES].into()
    }

    /// Forgets everything: the tables have changed.
    pub(super) fn forget(&mut self, generation: u64) {
        self.generation = generation as u32;
        if self.generation == 0 {
            // The low half has come round: nothing may be left of the last time.
            self.lines = Self::nothing();
            self.generation = 1;
        }
    }

    #[inline(always)]
    pub(crate) fn get(&self, table: TableSlot, destination: A) -> Option<&Shortcut> {
        let Line(entries) = self.line(table, destination);
        let found = entries.iter().find(|entry| {
            (entry.destination == destination)
                & (entry.generation == self.generation)
                & (u32::from(entry.table) == table.number())
        });
        found.map(|entry| &entry.shortcut)
    }

    /// The last destination of its line but one is forgotten for it.
    pub(super) fn set(&mut self, table: TableSlot, destination: A, shortcut: Shortcut) {
        let Ok(number) = u16::try_from(table.number()) else {
            return;
        };
        if self.get(table, destination).is_some() {
            return;
        }
        let place = place(table, destination);
        let Line(entries) = &mut self.lines[place];
        entries.rotate_right(1);
        entries[0] = Entry {
            generation: self.generation,
            destination,
            table: number,
            shortcut,
        };
    }

    #[inline(always)]
    fn line(&self, table: TableSlot, destination: A) -> &Line<A> {
        &self.lines[place(table, destination)]
    }
}

/// Fibonacci hashing: the high bits of the product depend on all bits of the key.
#[inline(always)]
fn place<A: Address>(table: TableSlot, destination: A) -> usize {
    let key = destination.key() ^ table.number().wrapping_mul(0x85eb_ca6b);
    key.wrapping_mul(0x9e37_79b9) as usize >> (32 - LINES.ilog2())
}
