//! Numbered routing tables with longest-prefix match.

use std::net::{IpAddr, Ipv4Addr};

use hashbrown::HashMap;
use ip_network_table_deps_treebitmap::IpLookupTable;

use crate::command::{NextHop, Prefix, TableId};

/// Place of a table in this worker's list; the numbers of tables are any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableSlot(u32);

impl TableSlot {
    pub(super) fn number(self) -> u32 {
        self.0
    }
}

/// Tables come into being when they are first named, and stay.
#[derive(Default)]
pub(super) struct Routes {
    slots: HashMap<TableId, TableSlot>,
    tables: Vec<(TableId, IpLookupTable<Ipv4Addr, NextHop>)>,
}

impl Routes {
    pub(super) fn slot(&mut self, id: TableId) -> TableSlot {
        *self.slots.entry(id).or_insert_with(|| {
            self.tables.push((id, IpLookupTable::new()));
            TableSlot(self.tables.len() as u32 - 1)
        })
    }

    pub(super) fn id(&self, slot: TableSlot) -> TableId {
        self.tables
            .get(slot.0 as usize)
            .map_or(TableId(0), |&(id, _)| id)
    }

    pub(super) fn set(&mut self, table: TableId, prefix: Prefix, next_hop: NextHop) {
        let slot = self.slot(table);
        let Some((address, length)) = network(prefix) else {
            return;
        };
        self.tables[slot.0 as usize]
            .1
            .insert(address, length, next_hop);
    }

    pub(super) fn remove(&mut self, table: TableId, prefix: Prefix) {
        let slot = self.slot(table);
        if let Some((address, length)) = network(prefix) {
            self.tables[slot.0 as usize].1.remove(address, length);
        }
    }

    pub(super) fn longest_match(&self, table: TableSlot, destination: Ipv4Addr) -> Option<NextHop> {
        let (_, routes) = self.tables.get(table.0 as usize)?;
        routes
            .longest_match(destination)
            .map(|(_, _, &next_hop)| next_hop)
    }
}

/// What the trie takes: IPv4, no host bits, and no length that it would panic on.
fn network(prefix: Prefix) -> Option<(Ipv4Addr, u32)> {
    let IpAddr::V4(address) = prefix.address else {
        return None;
    };
    let length = u32::from(prefix.length);
    let host_bits = 32_u32.checked_sub(length)?;
    let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
    Some((Ipv4Addr::from(u32::from(address) & mask), length))
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lengths = self.tables.iter().map(|(id, routes)| (id, routes.len()));
        formatter.debug_map().entries(lengths).finish()
    }
}
