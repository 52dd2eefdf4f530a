//! Numbered routing tables with longest-prefix match.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hashbrown::HashMap;
use ip_network_table_deps_treebitmap::IpLookupTable;

use crate::command::{NextHop, Prefix, TableId};

/// Place of a table in this worker's list; the numbers of tables are any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableSlot(u32);

impl TableSlot {
    pub(super) fn number(self) -> u32 {
        self.0
    }
}

/// The routes of one table.
struct Table {
    id: TableId,
    ipv4: IpLookupTable<Ipv4Addr, NextHop>,
    ipv6: IpLookupTable<Ipv6Addr, NextHop>,
}

/// Tables come into being when they are first named, and stay.
#[derive(Default)]
pub struct Routes {
    slots: HashMap<TableId, TableSlot>,
    tables: Vec<Table>,
}

impl Routes {
    /// The table of this number.
    pub fn slot(&mut self, id: TableId) -> TableSlot {
        *self.slots.entry(id).or_insert_with(|| {
            self.tables.push(Table {
                id,
                ipv4: IpLookupTable::new(),
                ipv6: IpLookupTable::new(),
            });
            TableSlot(self.tables.len() as u32 - 1)
        })
    }

    /// How many tables there are.
    pub(super) fn count(&self) -> usize {
        self.tables.len()
    }

    pub(super) fn id(&self, slot: TableSlot) -> TableId {
        self.tables
            .get(slot.0 as usize)
            .map_or(TableId(0), |table| table.id)
    }

    /// Adds a route, or replaces the one to the same prefix.
    pub fn set(&mut self, table: TableId, prefix: Prefix, next_hop: NextHop) {
        let slot = self.slot(table);
        let table = &mut self.tables[slot.0 as usize];
        match network(prefix) {
            Some((IpAddr::V4(address), length)) => table.ipv4.insert(address, length, next_hop),
            Some((IpAddr::V6(address), length)) => table.ipv6.insert(address, length, next_hop),
            None => None,
        };
    }

    pub(super) fn remove(&mut self, table: TableId, prefix: Prefix) {
        let slot = self.slot(table);
        let table = &mut self.tables[slot.0 as usize];
        match network(prefix) {
            Some((IpAddr::V4(address), length)) => table.ipv4.remove(address, length),
            Some((IpAddr::V6(address), length)) => table.ipv6.remove(address, length),
            None => None,
        };
    }

    /// Where packets to `destination` go.
    #[must_use]
    pub fn longest_match(&self, table: TableSlot, destination: Ipv4Addr) -> Option<NextHop> {
        let routes = &self.tables.get(table.0 as usize)?.ipv4;
        let (_, _, &next_hop) = routes.longest_match(destination)?;
        Some(next_hop)
    }

    /// The same for IPv6.
    #[must_use]
    pub fn longest_match_ipv6(&self, table: TableSlot, destination: Ipv6Addr) -> Option<NextHop> {
        let routes = &self.tables.get(table.0 as usize)?.ipv6;
        let (_, _, &next_hop) = routes.longest_match(destination)?;
        Some(next_hop)
    }
}

/// What the tries take: no host bits, and no length that they would panic on.
fn network(prefix: Prefix) -> Option<(IpAddr, u32)> {
    let network = Prefix::new(prefix.address, prefix.length);
    let whole = network.length == prefix.length;
    whole.then_some((network.address, u32::from(network.length)))
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tables = self.tables.iter();
        let lengths = tables.map(|table| (table.id, (table.ipv4.len(), table.ipv6.len())));
        formatter.debug_map().entries(lengths).finish()
    }
}
