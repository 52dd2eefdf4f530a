//! Whether the sets fit the memory.

use dataplane::arrivals::Arrivals;
use dataplane::command::Epoch;

use super::{Checker, top};

impl Checker<'_, '_, '_> {
    /// Two epochs of every remote have a window at a time (during a change),
    /// and every link the rings of its books.
    pub(super) fn memory(&mut self) {
        const EPOCHS: u64 = 2;
        const MIB: u64 = 1 << 20;
        let config = self.config;
        let memory = top("dataplane").key("memory");
        if !self.problems.sound(&memory)
            || !self.problems.sound(&top("ha-sets"))
            || !self.links_known()
        {
            return;
        }
        let windows = config.ha_sets.iter().enumerate().map(|(index, set)| {
            let remotes = self.remotes(index).len() as u64;
            let workers = config.dataplane.workers.len() as u64;
            let books = self.links_of(index) * workers * Arrivals::MEMORY_OCTETS;
            EPOCHS * (remotes * Epoch::memory_octets(set.window) + books)
        });
        let octets: u64 = windows.sum();
        // The packet buffers need the other half.
        let room = u64::from(config.dataplane.memory_mib) * MIB / 2;
        if octets > room {
            let needed = octets.div_ceil(MIB);
            self.problems.error(
                &memory,
                format!(
                    "the windows and books of the sets take {needed} MiB, more than half of the {} MiB",
                    config.dataplane.memory_mib
                ),
                format!("write {} or more, or smaller windows", 2 * needed),
            );
        }
    }

    /// The links that may be in a set, of all its remotes.
    fn links_of(&self, set: usize) -> u64 {
        let l2tp = &self.config.l2tp;
        let outgoing = l2tp.outgoing.iter().map(|tunnel| tunnel.ha_set);
        let matches = l2tp.incoming.iter().flat_map(|tunnel| &tunnel.matches);
        let sets = outgoing.chain(matches.map(|link| link.ha_set));
        sets.filter(|&of| of == Some(set)).count() as u64
    }
}
