//! The books of the sets' epochs: links enter and leave them, the clock turns
//! their pages, and what they say about faults and skew is passed on.

use std::time::Duration;

use dataplane::command::{SessionId, SetId};

use super::Engine;
use super::happening::FaultEnd;
use super::hearing::Change;
use super::link::Link;
use super::skew::next_best_us;
use crate::ha::books::{LOOK_PERIOD, LinkTotals};

/// Between two looks at the skews.
const SKEW_PERIOD: Duration = Duration::from_secs(1);

impl Engine {
    /// A link is admitted to its set: what comes in over it is booked.
    pub(super) fn enter_books(&mut self, now: Duration, id: SessionId) {
        let Some(link) = self.links.get(&id) else {
            return;
        };
        let Some(key) = link.books_key() else { return };
        let books = self.books.entry(key).or_default();
        let (arrivals, counters) = (link.spec.arrivals.clone(), link.spec.counters.clone());
        books.add(id, arrivals, counters);
        if self.next_look.is_none() {
            self.next_look = Some(now + LOOK_PERIOD);
        }
    }

    /// A link stops sending at our end.
    pub(super) fn leave_books(&mut self, now: Duration, id: SessionId) {
        let key = self.links.get(&id).and_then(Link::books_key);
        if let Some(books) = key.and_then(|key| self.books.get_mut(&key)) {
            books.leave(now, id);
        }
    }

    /// A link is gone; what the books had of it.
    pub(super) fn close_books(&mut self, now: Duration, link: &Link) -> LinkTotals {
        let books = link.books_key().and_then(|key| self.books.get_mut(&key));
        books
            .and_then(|books| books.remove(now, link.id))
            .unwrap_or_default()
    }

    /// Does what is due every tenth of a second, and every second.
    pub(super) fn keep_books(&mut self, now: Duration) {
        if self.next_look.is_none_or(|due| now < due) {
            return;
        }
        for books in self.books.values_mut() {
            books.tick(now);
        }
        self.listen(now);
        if now >= self.next_skew_look {
            self.next_skew_look = now + SKEW_PERIOD;
            self.look_at_skews(now);
            self.drop_old_books();
        }
        self.next_look = (!self.books.is_empty()).then_some(now + LOOK_PERIOD);
    }

    /// Looks for links that are up and deliver nothing.
    fn listen(&mut self, now: Duration) {
        let mut changes = Vec::new();
        for link in self.links.values_mut() {
            if !link.is_open() || link.set.is_none() || link.mask.is_some() {
                continue;
            }
            let received = link.total(|counters| counters.received_packets.read());
            if let Some(change) = link.hearing.look(now, received) {
                changes.push((link.id, change));
            }
        }
        for (id, change) in changes {
            match change {
                Change::Began(fault) => self.tell_fault(id, fault),
                Change::Became(fault) => {
                    log::warn!("{}: {} now", self.link_name(id), fault.text());
                }
                Change::Ended { lasted } => {
                    self.tell_fault_ended(id, lasted, FaultEnd::Delivers);
                }
            }
            // The peer may have masked another link because it relies on this one.
            self.report_now(now, id);
            self.guard_masks_of(now, id);
        }
    }

    fn look_at_skews(&mut self, now: Duration) {
        for link in self.links.values_mut() {
            if link.is_open() && link.set.is_some() {
                link.update_skew(now);
            }
        }
        for set in self.sets.iter() {
            let members = set.members.iter().filter_map(|id| self.links.get(id));
            set.publish_next_best_skew(next_best_us(members));
        }
    }

    /// An epoch that is not received any more, and whose links are gone, is
    /// history.
    fn drop_old_books(&mut self) {
        let is_old = |&(set, epoch): &(SetId, u32)| {
            let set = self.sets.get(set);
            set.is_none_or(|set| set.received_epochs().all(|it| it != epoch))
        };
        let old: Vec<_> = self
            .books
            .iter()
            .filter(|(key, books)| books.is_empty() && is_old(key))
            .map(|(&key, _)| key)
            .collect();
        for key in old {
            self.drop_books(key);
        }
    }

    fn drop_books(&mut self, key: (SetId, u32)) {
        let Some(books) = self.books.remove(&key) else {
            return;
        };
        let group = self.sets.get(key.0).and_then(|set| set.group);
        if let Some(group) = group {
            self.groups
                .get_mut(group)
                .carried
                .books
                .add(&books.totals());
        }
    }

    /// An instance is forgotten: what it carried becomes its group's.
    pub(super) fn drop_instance_books(&mut self, set: SetId) {
        let keys: Vec<_> = self
            .books
            .range((set, u32::MIN)..=(set, u32::MAX))
            .map(|(&key, _)| key)
            .collect();
        for key in keys {
            self.drop_books(key);
        }
        let Some(instance) = self.sets.get(set) else {
            return;
        };
        if let Some(group) = instance.group {
            self.groups.get_mut(group).carried.add_instance(instance);
        }
    }
}
