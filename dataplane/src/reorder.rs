//! Putting packets back into the order in which the far end numbered them: the
//! packet ordering function of RFC 9550.
//!
//! A packet that continues the sequence leaves at once. One that comes early
//! waits for those before it, but no longer than the owner's [`Patience`] says;
//! when time is up the lowest number leaves first, and what follows it. A
//! packet that comes after a higher number has left leaves at once: nothing is
//! ever dropped here, and what was sent last never goes backwards.
//!
//! Two things end a wait before its time. Every link has brought a higher
//! number, so that what is missing is lost (links keep the order of what they
//! carry); or there is no room, and then too the lowest number leaves.

mod flow;
mod store;

use hashbrown::HashMap;

use crate::command::SetId;
use crate::reassembly::Key;

use flow::{Context, Flow};
use store::Store;

/// Epochs of a set that are received at a time.
const EPOCHS: usize = 2;

/// How much is kept, and what the clock's ticks mean.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Packets of all sets.
    pub packets: usize,
    /// Silence after which any number is taken as the next one (RFC 9550's
    /// POFTakeAnyTime). Above every hold time.
    pub take_any_ticks: u64,
    /// How much later a number may be handed over here than a higher one of
    /// the same link: two workers may have received them.
    pub settle_ticks: u64,
}

/// How long a gap in a set's numbers is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// From the arrival of the first packet behind the gap (POFMaxDelay).
    pub hold_ticks: u64,
    /// Every live link has brought this number or a higher one; 0 when that
    /// cannot be said.
    pub passed: u64,
}

/// Why a packet leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It continues the sequence, or is the first of one.
    InOrder,
    /// A higher number has left before it.
    Late,
    /// What is missing before it did not come in time.
    TimedOut,
    /// What is missing before it did not come over any link.
    Passed,
    /// There was no room for more.
    NoRoom,
    /// Its flow ends.
    Closed,
}

/// How a packet left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    pub cause: Cause,
    /// How long it waited; `None` when it left at once.
    pub waited_ticks: Option<u64>,
}

/// Who orders packets.
pub trait Owner<T> {
    /// How long gaps are waited for now.
    fn patience(&self, set: SetId, epoch: u32) -> Patience;

    /// Whether the way out that a set's packets took last has room again.
    fn has_room(&self, set: SetId) -> bool;

    /// Sends a packet on. False when there is no room for more behind it: what
    /// may leave then waits for room, at most for as long again as for a gap.
    fn release(&mut self, packet: T, how: Release) -> bool;
}

/// The packets of any number of sets that wait for those before them.
pub struct Reorder<T> {
    limits: Limits,
    store: Store<T>,
    flows: Flows,
    /// Flows that have packets waiting, and some that had when last looked at.
    waiting: Vec<(SetId, u32)>,
    /// Not before this moment is there anything to do.
    next_check: u64,
}

impl<T> Reorder<T> {
    /// One that keeps nothing yet. The memory for packets is taken here.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            store: Store::new(limits.packets),
            flows: HashMap::new(),
            waiting: Vec::new(),
            next_check: u64::MAX,
        }
    }

    /// How many packets wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Orders a set's packets of these epochs from now on, at most two. What
    /// waits of others leaves.
    pub fn set_epochs(&mut self, now: u64, set: SetId, epochs: &[u32], owner: &mut impl Owner<T>) {
        let flows = self.flows.entry(set).or_default();
        for place in &mut *flows {
            let gone = place.take_if(|flow| !epochs.contains(&flow.epoch()));
            if let Some(mut flow) = gone {
                self.waiting.retain(|it| *it != (set, flow.epoch()));
                flow.close(&mut Context {
                    now,
                    limits: self.limits,
                    store: &mut self.store,
                    owner,
                });
            }
        }
        for &epoch in epochs {
            if flows.iter().flatten().any(|flow| flow.epoch() == epoch) {
                continue;
            }
            if let Some(place) = flows.iter_mut().find(|place| place.is_none()) {
                *place = Some(Flow::new(set, epoch));
            }
        }
        // No packet makes this list grow.
        let most = EPOCHS * self.flows.len();
        self.waiting.reserve(most);
    }

    /// Orders a set no more: what waits leaves.
    pub fn remove(&mut self, now: u64, set: SetId, owner: &mut impl Owner<T>) {
        let flows = self.flows.remove(&set).unwrap_or_default();
        self.waiting.retain(|it| it.0 != set);
        for mut flow in flows.into_iter().flatten() {
            flow.close(&mut Context {
                now,
                limits: self.limits,
                store: &mut self.store,
                owner,
            });
        }
    }

    /// Takes a packet that has `count` numbers from `key.number` on, at the
    /// time `now`. Says how many of its flow wait when it does too, else 0.
    pub fn push(
        &mut self,
        now: u64,
        key: Key,
        count: u64,
        packet: T,
        owner: &mut impl Owner<T>,
    ) -> usize {
        let Some(flow) = find(&mut self.flows, key.set, key.epoch) else {
            let how = Release {
                cause: Cause::InOrder,
                waited_ticks: None,
            };
            owner.release(packet, how);
            return 0;
        };
        let numbers = key.number..key.number.saturating_add(count);
        let mut cx = Context {
            now,
            limits: self.limits,
            store: &mut self.store,
            owner,
        };
        let waits = flow.push(&mut cx, numbers, packet);
        if flow.held() == 0 {
            return 0;
        }
        if !std::mem::replace(&mut flow.listed, true) {
            self.waiting.push((key.set, key.epoch));
        }
        // What waits longest is another one than before, or waits for room.
        if !waits || flow.held() == 1 {
            self.next_check = now;
        }
        if waits { flow.held() } else { 0 }
    }

    /// Whether there may be something to do. False as long as nothing waits.
    #[inline]
    #[must_use]
    pub fn is_due(&self, now: u64) -> bool {
        now >= self.next_check
    }

    /// Lets go what has waited long enough.
    pub fn check(&mut self, now: u64, owner: &mut impl Owner<T>) {
        let mut next_check = u64::MAX;
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|&(set, epoch)| {
            let Some(flow) = find(&mut self.flows, set, epoch) else {
                return false;
            };
            if flow.held() > 0 {
                let patience = owner.patience(set, epoch);
                let mut cx = Context {
                    now,
                    limits: self.limits,
                    store: &mut self.store,
                    owner,
                };
                next_check = next_check.min(flow.check(&mut cx, patience));
            }
            flow.listed = flow.held() > 0;
            flow.listed
        });
        self.waiting = waiting;
        self.next_check = next_check;
    }
}

type Flows = HashMap<SetId, [Option<Flow>; EPOCHS]>;

#[inline]
fn find(flows: &mut Flows, set: SetId, epoch: u32) -> Option<&mut Flow> {
    let mut flows = flows.get_mut(&set)?.iter_mut().flatten();
    flows.find(|flow| flow.epoch() == epoch)
}
