//! Set instances: one incarnation of one HA set between us and one peer
//! process, with its own numbering towards the peer and its own elimination
//! windows for what the peer numbers.
//!
//! The outgoing end has one instance for each configured set, for as long as
//! the process lives. The incoming end cannot know who calls until PPP has
//! authenticated it, so it answers for a provisional instance keyed by the
//! `incoming` and the peer's own instance id; authentication then ties the
//! instance to a remote, and the first member that opens makes it that
//! remote's current one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dataplane::command::{self, Epoch, SessionId, SetId, SetSpec, TableId};
use dataplane::counters::SetCounters;
use rand::Rng;

use super::Agreement;
use crate::multimap::Multimap;
use crate::slots::Slots;

/// Windows of the two newest epochs live side by side.
const EPOCHS_MAX: usize = 2;
/// From authentication to an open session takes no longer than this, or fails.
const PROVISIONAL: Duration = Duration::from_secs(65);

/// What an instance is found by when a call comes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Our end dials: the set, by its place in the configuration.
    Outgoing { set: usize },
    /// The peer dials: which `incoming` took the call, and the peer's instance id.
    Incoming {
        incoming: usize,
        set: usize,
        peer_instance: u64,
    },
}

/// An epoch of the peer that we receive.
#[derive(Debug)]
struct Received {
    epoch: Epoch,
    /// When an epoch stops being received; `None` for the one of the open links.
    retires_at: Option<Duration>,
}

/// One incarnation of a set between us and one peer process.
#[derive(Debug)]
pub struct SetInstance {
    pub id: SetId,
    /// None of a former one, for which the configuration has no place any more.
    pub key: Option<Key>,
    /// Place of the set in the configuration; of a former one the place that it had.
    pub set: usize,
    /// What we say of ourselves in ICRQ or ICRP.
    pub ours: Agreement,
    /// The peer process whose members are current.
    pub peer_instance: Option<u64>,
    /// The group of sessions (the remote) that this instance was authenticated as: [`Sets::tie`].
    pub group: Option<u32>,
    /// Sessions that get a copy of every packet, in the file's order.
    pub members: Vec<SessionId>,
    /// Largest inner packet that the set presents, octets, whatever its links carry.
    pub mtu: u16,
    pub tcp_mss_fix: bool,
    /// Table in which the traffic inside is routed.
    pub payload_table: TableId,
    pub ordering: Option<command::Ordering>,
    /// How long what is under way is received of links that leave.
    pub grace: Duration,
    pub counters: Vec<Arc<SetCounters>>,
    next_number: Arc<AtomicU64>,
    /// 0 while it is not known.
    next_best_skew_us: Arc<AtomicU64>,
    received: Vec<Received>,
}

impl SetInstance {
    /// The next number that will be sent.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        // Relaxed: a report wants a recent value; the workers order nothing by it.
        self.next_number.load(Ordering::Relaxed)
    }

    /// Tells the workers how far the second quickest link is behind.
    pub fn publish_next_best_skew(&self, skew_us: Option<u64>) {
        // Relaxed: the workers order nothing by it.
        self.next_best_skew_us
            .store(skew_us.unwrap_or(0), Ordering::Relaxed);
    }

    /// The same as it was last told.
    #[must_use]
    pub fn next_best_skew_us(&self) -> Option<u64> {
        let skew_us = self.next_best_skew_us.load(Ordering::Relaxed);
        (skew_us > 0).then_some(skew_us)
    }

    /// The peer's epochs that are received, first the one of the open links.
    pub fn received_epochs(&self) -> impl Iterator<Item = u32> + '_ {
        self.received.iter().map(|received| received.epoch.epoch)
    }

    /// Receives `epoch` too, for as long as a link may take from its
    /// authentication to its opening: who only authenticated takes nothing
    /// from those that are open. Says whether anything changed.
    pub fn receive_epoch(&mut self, now: Duration, epoch: u32) -> bool {
        let known = |received: &&mut Received| received.epoch.epoch == epoch;
        if let Some(received) = self.received.iter_mut().find(known) {
            received.retires_at = received.retires_at.map(|at| at.max(now + PROVISIONAL));
            return false;
        }
        self.received.truncate(EPOCHS_MAX - 1);
        let retires_at = (!self.received.is_empty()).then_some(now + PROVISIONAL);
        self.received.push(self.new_epoch(epoch, retires_at));
        true
    }

    /// A link of `epoch` has opened: the others are received until the grace
    /// time ends. Says whether anything changed.
    pub fn prefer_epoch(&mut self, now: Duration, epoch: u32, grace: Duration) -> bool {
        let is_newest = |newest: &Received| newest.epoch.epoch == epoch;
        if self.received.first().is_some_and(is_newest) {
            return false;
        }
        // An epoch that returns keeps its window: its numbers were delivered.
        let preferred = match self.received.iter().position(is_newest) {
            Some(place) => self.received.remove(place),
            None => self.new_epoch(epoch, None),
        };
        for older in &mut self.received {
            older.retires_at = Some(now + grace);
        }
        self.received.insert(
            0,
            Received {
                retires_at: None,
                ..preferred
            },
        );
        self.received.truncate(EPOCHS_MAX);
        true
    }

    fn new_epoch(&self, epoch: u32, retires_at: Option<Duration>) -> Received {
        Received {
            epoch: Epoch::new(epoch, u64::from(self.ours.window)),
            retires_at,
        }
    }

    /// Gives up epochs whose grace time has ended. Says whether anything changed.
    pub fn retire_epochs(&mut self, now: Duration) -> bool {
        let before = self.received.len();
        self.received
            .retain(|received| received.retires_at.is_none_or(|at| now < at));
        before != self.received.len()
    }

    /// When the next epoch's grace time ends.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        self.received
            .iter()
            .filter_map(|received| received.retires_at)
            .min()
    }

    /// The instance as the workers see it.
    #[must_use]
    pub fn spec(&self) -> Arc<SetSpec> {
        Arc::new(SetSpec {
            id: self.id,
            send_epoch: self.ours.epoch,
            next_number: Arc::clone(&self.next_number),
            owner: self.id.0 as usize,
            payload_table: self.payload_table,
            ordering: self.ordering,
            members: self.members.clone(),
            epochs: self
                .received
                .iter()
                .map(|received| received.epoch.clone())
                .collect(),
            mtu: self.mtu,
            tcp_mss_fix: self.tcp_mss_fix,
            next_best_skew_us: Arc::clone(&self.next_best_skew_us),
            counters: self.counters.clone(),
        })
    }
}

/// What a new instance is made from.
#[derive(Clone, Debug)]
pub struct SetParameters {
    /// The set's name in the file: the label.
    pub label: String,
    /// Numbers that the elimination window holds.
    pub window: u32,
    pub mtu: u16,
    pub payload_table: TableId,
    pub ordering: Option<command::Ordering>,
    pub grace: Duration,
    pub workers: usize,
}

/// All set instances of this appliance.
#[derive(Debug, Default)]
pub struct Sets {
    instances: BTreeMap<SetId, SetInstance>,
    by_key: BTreeMap<Key, SetId>,
    by_group: Multimap<u32, SetId>,
    slots: Slots,
    /// When instances give up epochs, and some times that they no longer have.
    retiring: BTreeSet<(Duration, SetId)>,
}

impl Sets {
    /// The instance of `key`, made new (with a random instance id and epoch)
    /// when there is none.
    pub fn instance_for(
        &mut self,
        key: Key,
        parameters: &SetParameters,
        rng: &mut impl Rng,
    ) -> &mut SetInstance {
        let id = *self
            .by_key
            .entry(key)
            .or_insert_with(|| SetId(self.slots.take()));
        self.instances.entry(id).or_insert_with(|| SetInstance {
            id,
            key: Some(key),
            set: match key {
                Key::Outgoing { set } | Key::Incoming { set, .. } => set,
            },
            ours: Agreement {
                features: 0,
                epoch: rng.random(),
                instance: rng.random(),
                window: parameters.window,
                label: parameters.label.clone(),
            },
            peer_instance: None,
            group: None,
            members: Vec::new(),
            mtu: parameters.mtu,
            tcp_mss_fix: false,
            payload_table: parameters.payload_table,
            ordering: parameters.ordering,
            grace: parameters.grace,
            counters: (0..parameters.workers).map(|_| Arc::default()).collect(),
            next_number: Arc::default(),
            next_best_skew_us: Arc::default(),
            received: Vec::new(),
        })
    }

    #[must_use]
    pub fn get(&self, id: SetId) -> Option<&SetInstance> {
        self.instances.get(&id)
    }

    pub fn get_mut(&mut self, id: SetId) -> Option<&mut SetInstance> {
        self.instances.get_mut(&id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &SetInstance> {
        self.instances.values()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut SetInstance> {
        self.instances.values_mut()
    }

    /// An instance that is of no group yet is of this one from now on. The group that it is of.
    pub fn tie(&mut self, id: SetId, group: u32) -> Option<u32> {
        let instance = self.instances.get_mut(&id)?;
        let group = *instance.group.get_or_insert(group);
        self.by_group.insert(group, id);
        Some(group)
    }

    /// The instances of a group, those of before too.
    pub fn of_group(&self, group: u32) -> impl Iterator<Item = &SetInstance> {
        self.by_group.of(group).map(|id| &self.instances[&id])
    }

    /// An instance's epochs have changed: it has its turn when one of them is given up.
    pub fn reschedule(&mut self, id: SetId) {
        let due = self.instances.get(&id).and_then(SetInstance::next_timeout);
        self.retiring.extend(due.map(|at| (at, id)));
    }

    /// When the first epoch of all is given up, or earlier.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        self.retiring.first().map(|&(at, _)| at)
    }

    /// Gives up all epochs whose grace time has ended; the instances that changed.
    pub fn retire_epochs(&mut self, now: Duration) -> Vec<SetId> {
        let mut changed = Vec::new();
        while let Some(&(at, id)) = self.retiring.first()
            && at <= now
        {
            self.retiring.pop_first();
            let instance = self.instances.get_mut(&id);
            if instance.is_some_and(|instance| instance.retire_epochs(now)) {
                changed.push(id);
            }
            self.reschedule(id);
        }
        changed
    }

    /// Gives all instances the keys and sets that they have in another configuration;
    /// those that get none are former ones, and are not found by a key again.
    pub fn rekey(&mut self, now: impl Fn(&SetInstance) -> Option<(Key, usize)>) {
        self.by_key.clear();
        for instance in self.instances.values_mut() {
            let now = now(instance);
            instance.key = now.map(|(key, _)| key);
            if let Some((key, set)) = now {
                instance.set = set;
                self.by_key.insert(key, instance.id);
            }
        }
    }

    /// Forgets an instance; its slot may name another one from then on.
    pub fn remove(&mut self, id: SetId) -> Option<SetInstance> {
        let instance = self.instances.remove(&id)?;
        if let Some(key) = instance.key {
            self.by_key.remove(&key);
        }
        if let Some(group) = instance.group {
            self.by_group.remove(&group, id);
        }
        self.slots.give_back(id.0);
        Some(instance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    const GRACE: Duration = Duration::from_secs(2);

    fn parameters() -> SetParameters {
        SetParameters {
            label: "A".into(),
            window: 65_536,
            mtu: 1450,
            payload_table: TableId(0),
            ordering: None,
            grace: GRACE,
            workers: 2,
        }
    }

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn a_key_keeps_its_instance_epoch_and_numbering() {
        let (mut sets, mut rng) = (Sets::default(), StdRng::seed_from_u64(1));
        let key = Key::Outgoing { set: 0 };
        let first = sets.instance_for(key, &parameters(), &mut rng).ours.clone();
        let again = sets.instance_for(key, &parameters(), &mut rng).ours.clone();
        assert_eq!(first, again);
        let other = Key::Incoming {
            incoming: 0,
            set: 0,
            peer_instance: 7,
        };
        assert_ne!(
            sets.instance_for(other, &parameters(), &mut rng)
                .ours
                .instance,
            first.instance
        );
    }

    #[test]
    fn the_older_epoch_is_received_until_the_grace_time_ends() {
        let (mut sets, mut rng) = (Sets::default(), StdRng::seed_from_u64(1));
        let set = sets.instance_for(Key::Outgoing { set: 0 }, &parameters(), &mut rng);
        assert!(set.receive_epoch(seconds(0), 10));
        assert!(!set.receive_epoch(seconds(1), 10));
        assert_eq!(set.next_timeout(), None);
        assert!(set.receive_epoch(seconds(4), 11));
        assert_eq!(set.received_epochs().collect::<Vec<_>>(), [10, 11]);
        assert!(set.prefer_epoch(seconds(5), 11, GRACE));
        assert!(!set.prefer_epoch(seconds(5), 11, GRACE));
        assert_eq!(set.received_epochs().collect::<Vec<_>>(), [11, 10]);
        assert_eq!(set.next_timeout(), Some(seconds(7)));
        assert!(!set.retire_epochs(seconds(6)));
        assert!(set.retire_epochs(seconds(7)));
        assert_eq!(set.received_epochs().collect::<Vec<_>>(), [11]);
    }

    #[test]
    fn an_epoch_that_returns_keeps_its_window_and_a_third_displaces_the_oldest() {
        let (mut sets, mut rng) = (Sets::default(), StdRng::seed_from_u64(1));
        let set = sets.instance_for(Key::Outgoing { set: 0 }, &parameters(), &mut rng);
        set.receive_epoch(seconds(0), 10);
        set.spec().epochs[0].window.observe(5);
        set.prefer_epoch(seconds(1), 11, GRACE);
        set.prefer_epoch(seconds(1), 10, GRACE);
        let spec = set.spec();
        assert_eq!(
            spec.epochs
                .iter()
                .map(|epoch| epoch.epoch)
                .collect::<Vec<_>>(),
            [10, 11]
        );
        assert_eq!(
            spec.epochs[0].window.observe(5),
            dataplane::window::Verdict::Duplicate
        );
        set.prefer_epoch(seconds(1), 12, GRACE);
        assert_eq!(set.received_epochs().collect::<Vec<_>>(), [12, 10]);
    }

    #[test]
    fn epochs_of_links_that_never_open_do_not_displace_the_open_ones() {
        let (mut sets, mut rng) = (Sets::default(), StdRng::seed_from_u64(1));
        let set = sets.instance_for(Key::Outgoing { set: 0 }, &parameters(), &mut rng);
        for epoch in [10, 11, 12, 13] {
            set.receive_epoch(seconds(1), epoch);
        }
        assert_eq!(set.received_epochs().collect::<Vec<_>>(), [10, 13]);
        set.retire_epochs(seconds(1000));
        assert_eq!(set.received_epochs().collect::<Vec<_>>(), [10]);
    }

    #[test]
    fn each_instance_has_its_turn_when_it_is_due() {
        let (mut sets, mut rng) = (Sets::default(), StdRng::seed_from_u64(1));
        let ids = [0, 1, 2].map(|set| {
            let key = Key::Outgoing { set };
            sets.instance_for(key, &parameters(), &mut rng).id
        });
        for (id, at) in ids.into_iter().zip([5, 3, 4]) {
            let set = sets.get_mut(id).unwrap();
            set.receive_epoch(seconds(at), 10);
            set.prefer_epoch(seconds(at), 11, GRACE);
            sets.reschedule(id);
        }
        assert_eq!(sets.next_timeout(), Some(seconds(5)));
        assert_eq!(sets.retire_epochs(seconds(4)), []);
        // Its older epoch has come back meanwhile.
        sets.get_mut(ids[2])
            .unwrap()
            .prefer_epoch(seconds(5), 10, GRACE);
        sets.reschedule(ids[2]);
        assert_eq!(sets.retire_epochs(seconds(6)), [ids[1]]);
        assert_eq!(sets.next_timeout(), Some(seconds(7)));
        assert_eq!(sets.retire_epochs(seconds(7)), [ids[0], ids[2]]);
        assert_eq!(sets.next_timeout(), None);
        sets.remove(ids[0]);
        assert_eq!(sets.retire_epochs(seconds(100)), []);
    }

    #[test]
    fn a_removed_instance_is_forgotten() {
        let (mut sets, mut rng) = (Sets::default(), StdRng::seed_from_u64(1));
        let key = Key::Incoming {
            incoming: 0,
            set: 0,
            peer_instance: 7,
        };
        let before = sets.instance_for(key, &parameters(), &mut rng);
        let (id, instance) = (before.id, before.ours.instance);
        assert_eq!((sets.tie(id, 4), sets.tie(id, 5)), (Some(4), Some(4)));
        assert_eq!(sets.of_group(4).count(), 1);
        assert!(sets.remove(id).is_some());
        assert!(sets.get(id).is_none() && sets.by_group.is_empty());
        assert_eq!(sets.tie(id, 4), None);
        let after = sets.instance_for(key, &parameters(), &mut rng);
        assert_eq!(after.id, id, "its slot is used again");
        assert_ne!(after.ours.instance, instance);
    }
}
