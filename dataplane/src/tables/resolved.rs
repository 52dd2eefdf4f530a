//! What was found for the last destinations of one family.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::command::NextHop;
use crate::headers::{ethernet, ipv6};

use super::routes::{Routes, TableSlot};
use super::shortcuts::Shortcuts;
use super::{Hop, Tables};

/// Destinations whose resolution is remembered, of each family. A power of two.
const REMEMBERED: usize = 1024;

/// Where a resolved destination of a family is kept until the next is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HopPlace<A>(u16, PhantomData<A>);

/// An address of either family, and what the tables keep for its family. Each
/// has its own, so that a lookup costs IPv4 nothing for there being IPv6.
pub(crate) trait Address: Copy + Eq + Debug + Into<IpAddr> + 'static {
    const UNSPECIFIED: Self;
    const ETHER_TYPE: u16;
    /// Octets of a packet that is carried everywhere, if need be in parts that
    /// its sender knows nothing of.
    const LEAST_MTU: u16;

    /// All bits, mixed into fewer.
    fn key(self) -> u32;
    fn longest_match(self, routes: &Routes, table: TableSlot) -> Option<NextHop>;
    fn resolved(tables: &Tables) -> &Resolved<Self>;
    fn resolved_mut(tables: &mut Tables) -> &mut Resolved<Self>;
    fn shortcuts(tables: &Tables) -> &Shortcuts<Self>;
    fn shortcuts_mut(tables: &mut Tables) -> &mut Shortcuts<Self>;
}

impl Address for Ipv4Addr {
    const UNSPECIFIED: Self = Self::UNSPECIFIED;
    const ETHER_TYPE: u16 = ethernet::ETHER_TYPE_IPV4;
    // Routers cut packets of any size.
    const LEAST_MTU: u16 = 0;

    #[inline]
    fn key(self) -> u32 {
        self.to_bits()
    }

    fn longest_match(self, routes: &Routes, table: TableSlot) -> Option<NextHop> {
        routes.longest_match(table, self)
    }

    #[inline]
    fn resolved(tables: &Tables) -> &Resolved<Self> {
        &tables.resolved
    }

    #[inline]
    fn resolved_mut(tables: &mut Tables) -> &mut Resolved<Self> {
        &mut tables.resolved
    }

    #[inline(always)]
    fn shortcuts(tables: &Tables) -> &Shortcuts<Self> {
        &tables.shortcuts
    }

    fn shortcuts_mut(tables: &mut Tables) -> &mut Shortcuts<Self> {
        &mut tables.shortcuts
    }
}

impl Address for Ipv6Addr {
    const UNSPECIFIED: Self = Self::UNSPECIFIED;
    const ETHER_TYPE: u16 = ethernet::ETHER_TYPE_IPV6;
    const LEAST_MTU: u16 = ipv6::MIN_MTU;

    #[inline]
    fn key(self) -> u32 {
        let bits = self.to_bits();
        let half = (bits >> 64) as u64 ^ bits as u64;
        (half >> 32) as u32 ^ half as u32
    }

    fn longest_match(self, routes: &Routes, table: TableSlot) -> Option<NextHop> {
        routes.longest_match_ipv6(table, self)
    }

    #[inline]
    fn resolved(tables: &Tables) -> &Resolved<Self> {
        &tables.resolved_ipv6
    }

    #[inline]
    fn resolved_mut(tables: &mut Tables) -> &mut Resolved<Self> {
        &mut tables.resolved_ipv6
    }

    #[inline(always)]
    fn shortcuts(tables: &Tables) -> &Shortcuts<Self> {
        &tables.shortcuts_ipv6
    }

    fn shortcuts_mut(tables: &mut Tables) -> &mut Shortcuts<Self> {
        &mut tables.shortcuts_ipv6
    }
}

#[derive(Clone, Copy, Debug)]
struct Remembered<A> {
    generation: u64,
    table: TableSlot,
    destination: A,
    hop: Hop,
}

#[derive(Debug)]
pub(crate) struct Resolved<A>(Box<[Remembered<A>]>);

impl<A: Address> Default for Resolved<A> {
    fn default() -> Self {
        let nothing = Remembered {
            generation: 0,
            table: TableSlot::default(),
            destination: A::UNSPECIFIED,
            hop: Hop::NoRoute,
        };
        Self(vec![nothing; REMEMBERED].into())
    }
}

impl<A: Address> Resolved<A> {
    /// What was resolved last into this place.
    #[inline]
    pub(super) fn hop(&self, place: HopPlace<A>) -> &Hop {
        &self.0[usize::from(place.0)].hop
    }

    /// Where the destination is remembered, and whether it is.
    #[inline]
    pub(super) fn find(
        &self,
        generation: u64,
        table: TableSlot,
        destination: A,
    ) -> (HopPlace<A>, bool) {
        let key = destination.key() ^ table.number().wrapping_mul(0x85eb_ca6b);
        // Fibonacci hashing: the high bits of the product depend on all bits of the key.
        let place = (key.wrapping_mul(0x9e37_79b9) >> 22) as usize & (REMEMBERED - 1);
        let remembered = &self.0[place];
        let found = remembered.generation == generation
            && remembered.destination == destination
            && remembered.table == table;
        // Below REMEMBERED.
        (HopPlace(place as u16, PhantomData), found)
    }

    pub(super) fn remember(
        &mut self,
        place: HopPlace<A>,
        generation: u64,
        table: TableSlot,
        destination: A,
        hop: Hop,
    ) {
        self.0[usize::from(place.0)] = Remembered {
            generation,
            table,
            destination,
            hop,
        };
    }
}
