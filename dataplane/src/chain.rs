//! Lists through numbered slots, with removal from anywhere.

const NONE: u32 = u32::MAX;

/// One list: its ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    oldest: u32,
    newest: u32,
}

impl Default for List {
    fn default() -> Self {
        Self {
            oldest: NONE,
            newest: NONE,
        }
    }
}

impl List {
    pub(crate) fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }
}

/// The links of any number of lists. A slot is in one of them at most.
#[derive(Debug)]
pub(crate) struct Chain {
    /// For each slot, the one before it and the one after it.
    links: Vec<(u32, u32)>,
}

impl Chain {
    pub(crate) fn new(slots: usize) -> Self {
        Self {
            links: vec![(NONE, NONE); slots],
        }
    }

    /// Adds a slot that is in no list as the newest of `list`.
    pub(crate) fn append(&mut self, list: &mut List, slot: u32) {
        self.links[slot as usize] = (list.newest, NONE);
        match self.links.get_mut(list.newest as usize) {
            Some(newest) => newest.1 = slot,
            None => list.oldest = slot,
        }
        list.newest = slot;
    }

    /// The slot that came into its list after this one.
    pub(crate) fn after(&self, slot: u32) -> Option<u32> {
        let after = self.links[slot as usize].1;
        (after != NONE).then_some(after)
    }

    /// Takes a slot out of `list`, in which it is.
    pub(crate) fn unlink(&mut self, list: &mut List, slot: u32) {
        let (before, after) = self.links[slot as usize];
        match self.links.get_mut(before as usize) {
            Some(link) => link.1 = after,
            None => list.oldest = after,
        }
        match self.links.get_mut(after as usize) {
            Some(link) => link.0 = before,
            None => list.newest = before,
        }
    }
}
