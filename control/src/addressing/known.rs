//! Bounded lists of what was advertised.

use std::time::Duration;

use super::shape::is_ahead;

/// Entries that a list may have, so that a flood ends in a counter.
pub(super) const LIMIT: usize = 8;

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<T> {
    pub(super) what: T,
    pub(super) valid_until: Option<Duration>,
    /// It was advertised since the link came up last.
    pub(super) is_confirmed: bool,
}

/// What was advertised, the oldest first.
#[derive(Clone, Debug)]
pub(super) struct Known<T>(Vec<Entry<T>>);

impl<T> Known<T> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry<T>> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry<T>> {
        self.0.iter_mut()
    }

    pub(super) fn find(&mut self, is_it: impl Fn(&T) -> bool) -> Option<&mut Entry<T>> {
        self.0.iter_mut().find(|entry| is_it(&entry.what))
    }

    /// Takes what is advertised now, in the place of the entry that is the same
    /// thing. A full list gives up an entry that was not confirmed; when there is
    /// none, nothing is added and false returned.
    pub(super) fn tell(
        &mut self,
        what: T,
        valid_until: Option<Duration>,
        is_same: impl Fn(&T) -> bool,
    ) -> bool {
        let entry = Entry {
            what,
            valid_until,
            is_confirmed: true,
        };
        if let Some(known) = self.find(is_same) {
            *known = entry;
            return true;
        }
        if self.0.len() >= LIMIT {
            match self.0.iter().position(|entry| !entry.is_confirmed) {
                Some(place) => drop(self.0.remove(place)),
                None => return false,
            }
        }
        self.0.push(entry);
        true
    }

    pub(super) fn remove(&mut self, is_it: impl Fn(&T) -> bool) {
        self.0.retain(|entry| !is_it(&entry.what));
    }

    pub(super) fn remove_expired(&mut self, now: Duration) {
        self.0.retain(|entry| is_ahead(entry.valid_until, now));
    }

    /// From now on everything is to be confirmed.
    pub(super) fn doubt(&mut self) {
        for entry in &mut self.0 {
            entry.is_confirmed = false;
        }
    }

    /// Removes what was not confirmed, and says how much that was.
    pub(super) fn remove_doubted(&mut self) -> u64 {
        let before = self.0.len();
        self.0.retain(|entry| entry.is_confirmed);
        (before - self.0.len()) as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn has_doubted(&self) -> bool {
        self.0.iter().any(|entry| !entry.is_confirmed)
    }

    /// When the first of them runs out.
    pub(super) fn next_end(&self) -> Option<Duration> {
        self.0.iter().filter_map(|entry| entry.valid_until).min()
    }
}
