//! Destinations whose packets need no decision any more: what was decided for
//! the last packet to each. A packet finds its way here by one comparison, in
//! one cache line, or it is decided anew.

use crate::headers::ethernet;

use super::{Address, TableSlot};

/// Lines of each family; a power of two.
const LINES: usize = 32_768;
/// Destinations that share a line.
const WAYS: usize = 2;

/// The way of the packets to one destination that need nothing unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shortcut {
    pub(crate) target: ShortTarget,
    /// Largest packet that leaves as it is, octets.
    pub(crate) whole_mtu: u16,
}

impl Shortcut {
    /// For packets to ourselves, none of which leave as they are.
    pub(crate) const LOCAL: Self = Self {
        target: ShortTarget::Local,
        whole_mtu: 0,
    };
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
    Set(ShortId),
    /// Into a session with a route to its peer.
    Session(ShortId),
    /// To ourselves.
    Local,
}

/// An id without its alignment, which would make entries longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShortId([u8; 4]);

impl From<u32> for ShortId {
    fn from(id: u32) -> Self {
        Self(id.to_ne_bytes())
    }
}

impl From<ShortId> for u32 {
    #[inline(always)]
    fn from(ShortId(id): ShortId) -> Self {
        Self::from_ne_bytes(id)
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry<A> {
    /// Of the table, as long as the tables do not change; 0 is none's.
    tag: u32,
    destination: A,
    shortcut: Shortcut,
}

#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line<A>([Entry<A>; WAYS]);

const _: () = assert!(size_of::<Line<std::net::Ipv4Addr>>() == 64);

/// The shortcuts of one family.
#[derive(Debug)]
pub(crate) struct Shortcuts<A> {
    /// Of the first table.
    first_tag: u32,
    lines: Box<[Line<A>; LINES]>,
}

impl<A: Address> Default for Shortcuts<A> {
    fn default() -> Self {
        let lines = vec![Self::empty_line(); LINES].into_boxed_slice();
        Self {
            first_tag: 1,
            lines: lines.try_into().expect("so many lines were made"),
        }
    }
}

impl<A: Address> Shortcuts<A> {
    const fn empty_line() -> Line<A> {
        let nothing = Entry {
            tag: 0,
            destination: A::UNSPECIFIED,
            shortcut: Shortcut {
                target: ShortTarget::Set(ShortId([0; 4])),
                whole_mtu: 0,
            },
        };
        Line([nothing; WAYS])
    }

    /// Forgets everything: there are so many tables, and they have changed.
    pub(super) fn forget(&mut self, tables: usize) {
        // From now on all tables have other tags.
        self.first_tag += tables as u32;
        if self.first_tag > u32::MAX / 2 {
            // Long before they come round: then nothing may be left of the last time.
            // In place, as a worker allocates nothing.
            self.first_tag = 1;
            self.lines.fill(Self::empty_line());
        }
    }

    /// Has the line in which a destination would be found brought into the cache.
    #[inline(always)]
    pub(super) fn prefetch(&self, table: TableSlot, destination: A) {
        dpdk::prefetch(&self.lines[place(table, destination) % LINES]);
    }

    #[inline(always)]
    pub(super) fn get(&self, table: TableSlot, destination: A) -> Option<&Shortcut> {
        let tag = self.tag(table);
        let Line(entries) = &self.lines[place(table, destination) % LINES];
        let found = entries
            .iter()
            .find(|entry| (entry.destination == destination) & (entry.tag == tag));
        found.map(|entry| &entry.shortcut)
    }

    /// The last destination of its line but one is forgotten for it.
    pub(super) fn set(&mut self, table: TableSlot, destination: A, shortcut: Shortcut) {
        if self.get(table, destination).is_some() {
            return;
        }
        let tag = self.tag(table);
        let Line(entries) = &mut self.lines[place(table, destination)];
        entries.rotate_right(1);
        entries[0] = Entry {
            tag,
            destination,
            shortcut,
        };
    }

    /// What the entries of a table are known by as long as nothing changes.
    #[inline(always)]
    fn tag(&self, table: TableSlot) -> u32 {
        self.first_tag.wrapping_add(table.number())
    }
}

/// Lines in a page of memory; a power of two.
const IN_PAGE: u32 = 64;

/// Destinations of a table for which this is the same have lines in one page.
#[inline(always)]
pub(crate) fn page<A: Address>(destination: A) -> u32 {
    destination.key() / IN_PAGE
}

/// Destinations beside each other have lines in the same page of memory, so that
/// the hosts of a network take few; which page, and in which order, is up to all other bits.
#[inline(always)]
fn place<A: Address>(table: TableSlot, destination: A) -> usize {
    let key = destination.key();
    let others = (key / IN_PAGE) ^ table.number().wrapping_mul(0x85eb_ca6b);
    // Fibonacci hashing: the high bits of the product depend on all bits of the key.
    let hash = others.wrapping_mul(0x9e37_79b9) >> (32 - LINES.ilog2());
    (hash ^ (key % IN_PAGE)) as usize
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::command::TableId;
    use crate::tables::routes::Routes;

    fn shortcut(set: u32) -> Shortcut {
        Shortcut {
            target: ShortTarget::Set(set.into()),
            whole_mtu: 1450,
        }
    }

    #[test]
    fn what_was_remembered_goes_with_a_change_and_tables_are_apart() {
        let mut routes = Routes::default();
        let [one, other] = [TableId(7), TableId(8)].map(|id| routes.slot(id));
        let mut shortcuts = Shortcuts::<Ipv4Addr>::default();
        let destination = Ipv4Addr::new(10, 1, 2, 3);
        shortcuts.set(one, destination, shortcut(1));
        assert_eq!(shortcuts.get(one, destination), Some(&shortcut(1)));
        assert_eq!(shortcuts.get(other, destination), None);
        shortcuts.set(other, destination, shortcut(2));
        for _ in 0..5 {
            shortcuts.forget(2);
            assert_eq!(shortcuts.get(one, destination), None);
            assert_eq!(shortcuts.get(other, destination), None);
        }
        shortcuts.set(one, destination, shortcut(3));
        shortcuts.first_tag = u32::MAX / 2;
        shortcuts.set(other, destination, shortcut(4));
        shortcuts.forget(2);
        assert_eq!(shortcuts.first_tag, 1, "they begin again");
        assert_eq!(shortcuts.get(one, destination), None);
        assert_eq!(shortcuts.get(other, destination), None);
    }

    #[test]
    fn a_line_keeps_the_last_two_destinations() {
        let table = Routes::default().slot(TableId(1));
        let mut shortcuts = Shortcuts::<Ipv4Addr>::default();
        let line = place(table, Ipv4Addr::from_bits(1));
        let all = (1..u32::MAX).map(Ipv4Addr::from_bits);
        let mut together = all.filter(|&destination| place(table, destination) == line);
        let mut next = || {
            together
                .next()
                .expect("as many as there are addresses for a line")
        };
        let three = [next(), next(), next()];
        for (number, &destination) in (0..).zip(&three) {
            shortcuts.set(table, destination, shortcut(number));
        }
        let left = three.map(|destination| shortcuts.get(table, destination).is_some());
        assert_eq!(left, [false, true, true]);
    }
}
