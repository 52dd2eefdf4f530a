//! The packets of one epoch of one set.

use std::ops::Range;

use crate::chain::List;
use crate::command::SetId;
use crate::reassembly::Key;

use super::store::{Held, Store};
use super::{Cause, Limits, Owner, Patience, Release};

/// One flow may keep this many times what is free: others always have room
/// (Choudhury and Hahne, "Dynamic queue length thresholds", 1998).
const SHARE: usize = 4;

pub(super) struct Flow {
    set: SetId,
    epoch: u32,
    /// The number behind the last one that left (RFC 9550's POFLastSent + 1).
    next: u64,
    /// Whether one has left.
    started: bool,
    /// When a packet came last.
    heard_at: u64,
    held: usize,
    by_age: List,
    passing: Passing,
    /// It is in the list of flows that have packets waiting.
    pub(super) listed: bool,
}

/// What all links have passed, believed once it has been so for a while.
#[derive(Default)]
struct Passing {
    seen: u64,
    seen_at: u64,
    settled: u64,
}

impl Passing {
    fn update(&mut self, now: u64, passed: u64, settle_ticks: u64) {
        if now.saturating_sub(self.seen_at) >= settle_ticks {
            self.settled = self.settled.max(self.seen);
            self.seen = passed;
            self.seen_at = now;
        }
    }
}

/// What a call is about: the moment, where packets wait, and who sends them.
pub(super) struct Context<'a, T, O> {
    pub(super) now: u64,
    pub(super) limits: Limits,
    pub(super) store: &'a mut Store<T>,
    pub(super) owner: &'a mut O,
}

impl Flow {
    pub(super) fn new(set: SetId, epoch: u32) -> Self {
        Self {
            set,
            epoch,
            next: 0,
            started: false,
            heard_at: 0,
            held: 0,
            by_age: List::default(),
            passing: Passing::default(),
            listed: false,
        }
    }

    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// How many packets wait.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    fn key(&self, number: u64) -> Key {
        Key {
            set: self.set,
            epoch: self.epoch,
            number,
        }
    }

    /// Takes a packet with these numbers; true when it has to wait.
    pub(super) fn push<T, O: Owner<T>>(
        &mut self,
        cx: &mut Context<'_, T, O>,
        numbers: Range<u64>,
        mut packet: T,
    ) -> bool {
        let silence_ticks = cx.now.saturating_sub(self.heard_at);
        self.heard_at = cx.now;
        let take_any = self.held == 0 && silence_ticks >= cx.limits.take_any_ticks;
        if take_any || !self.started {
            self.started = true;
            self.next = self.next.max(numbers.start);
        }
        let made_room = self.make_room(cx, numbers.start);
        let repeated = cx.store.contains(&self.key(numbers.start));
        if numbers.start > self.next && !repeated {
            match self.hold(cx, &numbers, packet) {
                Ok(()) => return true,
                Err(refused) => packet = refused,
            }
        }
        let cause = match self.next {
            next if numbers.start < next || repeated => Cause::Late,
            _ if made_room => Cause::NoRoom,
            _ => Cause::InOrder,
        };
        let how = Release {
            cause,
            waited_ticks: None,
        };
        let room = cx.owner.release(packet, how);
        if !repeated {
            self.advance(cx, numbers.end);
        }
        if room {
            self.drain(cx);
        }
        false
    }

    fn hold<T, O>(
        &mut self,
        cx: &mut Context<'_, T, O>,
        numbers: &Range<u64>,
        packet: T,
    ) -> Result<(), T> {
        let held = Held {
            number: numbers.start,
            end: numbers.end,
            arrived: cx.now,
            packet,
        };
        let key = self.key(numbers.start);
        cx.store.insert(key, &mut self.by_age, held)?;
        self.held += 1;
        Ok(())
    }

    /// Lets the lowest numbers go while the flow keeps more than its share and
    /// `number` is not the next one; it is so when none is lower.
    fn make_room<T, O: Owner<T>>(&mut self, cx: &mut Context<'_, T, O>, number: u64) -> bool {
        let mut made_room = false;
        while number > self.next && self.held >= SHARE * cx.store.free() {
            made_room = true;
            match self.lowest(cx.store, number - 1) {
                Some(lowest) => {
                    self.let_go(cx, lowest, Cause::NoRoom);
                    self.drain(cx);
                }
                None => self.next = number,
            }
        }
        made_room
    }

    /// Lets go what has waited long enough; says when to look again.
    pub(super) fn check<T, O: Owner<T>>(
        &mut self,
        cx: &mut Context<'_, T, O>,
        patience: Patience,
    ) -> u64 {
        let settle_ticks = cx.limits.settle_ticks;
        self.passing.update(cx.now, patience.passed, settle_ticks);
        let mut room = cx.owner.has_room(self.set);
        loop {
            let oldest = cx.store.oldest(&self.by_age);
            let lowest = self.lowest(cx.store, u64::MAX);
            let (Some(oldest), Some(lowest)) = (oldest, lowest) else {
                return u64::MAX;
            };
            let due = oldest.saturating_add(patience.hold_ticks);
            let cause = if lowest == self.next {
                Cause::InOrder
            } else if lowest <= self.passing.settled {
                Cause::Passed
            } else if cx.now >= due {
                Cause::TimedOut
            } else {
                // Numbers in the gap that were passed are not waited for.
                self.next = self.next.max(self.passing.settled);
                return due.min(cx.now.saturating_add(settle_ticks));
            };
            if !room && cx.now < due.saturating_add(patience.hold_ticks) {
                return cx.now;
            }
            room = self.let_go(cx, lowest, cause);
        }
    }

    /// Lets everything go, lowest first.
    pub(super) fn close<T, O: Owner<T>>(&mut self, cx: &mut Context<'_, T, O>) {
        while let Some(lowest) = self.lowest(cx.store, u64::MAX) {
            self.let_go(cx, lowest, Cause::Closed);
        }
    }

    /// Lets go what continues the sequence, as long as there is room for it.
    fn drain<T, O: Owner<T>>(&mut self, cx: &mut Context<'_, T, O>) {
        while self.held > 0 && self.let_go(cx, self.next, Cause::InOrder) {}
    }

    /// Lets a packet go before which none waits, and so gives up what is
    /// missing before it. False when there is no room for more, or no packet.
    fn let_go<T, O: Owner<T>>(
        &mut self,
        cx: &mut Context<'_, T, O>,
        number: u64,
        cause: Cause,
    ) -> bool {
        let Some(held) = self.take(cx.store, number) else {
            return false;
        };
        let end = held.end;
        let room = release(cx, held, cause);
        self.advance(cx, end);
        room
    }

    /// Goes on with `next`. Packets that have numbers before it come late, which
    /// is so only when the far end gave a number to two packets.
    fn advance<T, O: Owner<T>>(&mut self, cx: &mut Context<'_, T, O>, next: u64) {
        while self.held > 0 && next > self.next.saturating_add(1) {
            let Some(held) = self
                .lowest(cx.store, next - 1)
                .and_then(|number| self.take(cx.store, number))
            else {
                break;
            };
            release(cx, held, Cause::Late);
        }
        self.next = self.next.max(next);
    }

    fn take<T>(&mut self, store: &mut Store<T>, number: u64) -> Option<Held<T>> {
        let held = store.take(&self.key(number), &mut self.by_age)?;
        self.held -= 1;
        Some(held)
    }

    /// The lowest number that waits, if it is at most `most`.
    fn lowest<T>(&self, store: &Store<T>, most: u64) -> Option<u64> {
        if self.held == 0 {
            return None;
        }
        // A gap is mostly small. One that is larger than what waits behind it
        // is found from there: either way it costs less than the packets it is of.
        let near = self.next.saturating_add(self.held as u64);
        let lowest = (self.next..near)
            .find(|&number| store.contains(&self.key(number)))
            .or_else(|| store.lowest(&self.by_age));
        lowest.filter(|&lowest| lowest <= most)
    }
}

fn release<T, O: Owner<T>>(cx: &mut Context<'_, T, O>, held: Held<T>, cause: Cause) -> bool {
    let how = Release {
        cause,
        waited_ticks: Some(cx.now.saturating_sub(held.arrived)),
    };
    cx.owner.release(held.packet, how)
}
