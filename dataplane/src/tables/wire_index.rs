//! Sessions by the ids that stand in packets: open addressing with linear
//! probing, eight entries to a cache line.

use crate::command::SessionId;

/// Of the ids, as one number, and the session. `FREE` is no session's.
#[derive(Clone, Copy, Debug)]
struct Entry {
    ids: u32,
    session: u32,
}

const FREE: Entry = Entry {
    ids: 0,
    session: u32::MAX,
};

const LEAST_ENTRIES: usize = 64;

/// Finds sessions by tunnel and session id, as one number.
#[derive(Debug)]
pub struct WireIndex {
    /// A power of two, at most half of them in use: a search ends.
    entries: Box<[Entry]>,
    used: usize,
}

impl Default for WireIndex {
    fn default() -> Self {
        Self::with_entries(LEAST_ENTRIES)
    }
}

impl WireIndex {
    fn with_entries(count: usize) -> Self {
        Self {
            entries: vec![FREE; count].into(),
            used: 0,
        }
    }

    #[inline]
    pub(super) fn prefetch(&self, ids: u32) {
        dpdk::prefetch(self.entry(self.home(ids)));
    }

    /// The session that has these ids.
    #[inline]
    #[must_use]
    pub fn get(&self, ids: u32) -> Option<SessionId> {
        let mut at = self.home(ids);
        loop {
            let entry = self.entry(at);
            if entry.session == FREE.session {
                return None;
            }
            if entry.ids == ids {
                return Some(SessionId(entry.session));
            }
            at += 1;
        }
    }

    /// The session that has these ids from now on.
    pub fn insert(&mut self, ids: u32, session: SessionId) {
        if 2 * (self.used + 1) > self.entries.len() {
            self.grow();
        }
        let mut at = self.home(ids);
        while self.entry(at).session != FREE.session && self.entry(at).ids != ids {
            at += 1;
        }
        if self.entry(at).session == FREE.session {
            self.used += 1;
        }
        *self.entry_mut(at) = Entry {
            ids,
            session: session.0,
        };
    }

    /// Takes the ids from this session, unless another has them by now.
    pub(super) fn remove(&mut self, ids: u32, session: SessionId) {
        if self.get(ids) != Some(session) {
            return;
        }
        let mut hole = self.home(ids);
        while self.entry(hole).ids != ids || self.entry(hole).session == FREE.session {
            hole += 1;
        }
        // Entries behind the hole that a search would not find across it move up.
        let mut at = hole + 1;
        while self.entry(at).session != FREE.session {
            let entry = *self.entry(at);
            let from_home = at.wrapping_sub(self.home(entry.ids)) & self.mask();
            if from_home >= at - hole {
                *self.entry_mut(hole) = entry;
                hole = at;
            }
            at += 1;
        }
        *self.entry_mut(hole) = FREE;
        self.used -= 1;
    }

    fn grow(&mut self) {
        let larger = Self::with_entries(2 * self.entries.len());
        let before = std::mem::replace(self, larger);
        for entry in before.entries {
            if entry.session != FREE.session {
                self.insert(entry.ids, SessionId(entry.session));
            }
        }
    }

    fn mask(&self) -> usize {
        self.entries.len() - 1
    }

    /// Fibonacci hashing: the high bits of the product depend on all bits of the ids.
    #[inline]
    fn home(&self, ids: u32) -> usize {
        let hash = u64::from(ids).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (hash >> 32) as usize & self.mask()
    }

    #[inline]
    fn entry(&self, at: usize) -> &Entry {
        &self.entries[at & (self.entries.len() - 1)]
    }

    fn entry_mut(&mut self, at: usize) -> &mut Entry {
        &mut self.entries[at & (self.entries.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Few different ids, so that they meet again; many, so that it grows.
        #[test]
        fn finds_what_a_map_finds(
            changes in prop::collection::vec((0..3_u8, 0..200_u32, 0..4_u32), 0..400),
        ) {
            let mut index = WireIndex::default();
            let mut map = HashMap::new();
            for (what, ids, session) in changes {
                // Many of them at home in the same places.
                let ids = ids % 8 * 0x0100_0000 + ids / 8;
                let session = SessionId(session);
                if what == 0 {
                    index.remove(ids, session);
                    if map.get(&ids) == Some(&session) {
                        map.remove(&ids);
                    }
                } else {
                    index.insert(ids, session);
                    map.insert(ids, session);
                }
                prop_assert_eq!(index.used, map.len());
            }
            for ids in (0..8 * 0x0100_0000).step_by(0x0100_0000).flat_map(|high| high..high + 25) {
                prop_assert_eq!(index.get(ids), map.get(&ids).copied(), "{:x}", ids);
            }
        }
    }
}
