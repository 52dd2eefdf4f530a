//! What the window's tests share: the thing under test as a trait, copies of
//! it with a fault each, and the law that all of them are held to.

use std::collections::HashMap;

use dataplane::window::{Access, Group, Verdict, Window};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) trait Elimination: Send + Sync + 'static {
    fn new(numbers: u64) -> Self;
    fn observe(&self, number: u64) -> Verdict;
    fn observe_burst(&self, numbers: &[u64]) -> Vec<Verdict>;
}

impl Elimination for Window {
    fn new(numbers: u64) -> Self {
        Self::new(numbers)
    }

    fn observe(&self, number: u64) -> Verdict {
        self.observe(number)
    }

    fn observe_burst(&self, numbers: &[u64]) -> Vec<Verdict> {
        by_groups(self, numbers, Access::Shared)
    }
}

/// The window as the only worker of a process uses it.
pub(crate) struct Alone(Window);

impl Elimination for Alone {
    fn new(numbers: u64) -> Self {
        Self(Window::new(numbers))
    }

    fn observe(&self, number: u64) -> Verdict {
        self.0.mark(Group::of(number), Access::Alone).of(number)
    }

    fn observe_burst(&self, numbers: &[u64]) -> Vec<Verdict> {
        by_groups(&self.0, numbers, Access::Alone)
    }
}

/// Neighbours that fall into one slot share one access to it, as in a worker.
fn by_groups(window: &Window, numbers: &[u64], access: Access) -> Vec<Verdict> {
    let mut verdicts = Vec::with_capacity(numbers.len());
    while verdicts.len() < numbers.len() {
        let rest = &numbers[verdicts.len()..];
        let (group, count) = Group::of_first(rest);
        let of_group = window.mark(group, access);
        assert_eq!(of_group.first() & !group.bits, 0);
        verdicts.extend(rest[..count].iter().map(|&number| of_group.of(number)));
    }
    verdicts
}

/// Sets the bit whatever the slot holds by then: only a race shows it.
pub(crate) const FETCH_OR: u8 = 0;
/// Stores what it worked out from a load: only a race shows it.
pub(crate) const PLAIN_STORE: u8 = 1;
/// Takes the bits of a slot for its own, whichever block they belong to.
pub(crate) const NO_BLOCK_CHECK: u8 = 2;
/// Recycles a slot for an older block too.
pub(crate) const TAKES_OLDER: u8 = 3;
/// Keeps the old block's bits when it recycles a slot.
pub(crate) const KEEPS_BITS: u8 = 4;

/// The window with one of the faults above.
pub(crate) struct Broken<const FAULT: u8> {
    slots: Vec<AtomicU64>,
}

impl<const FAULT: u8> Elimination for Broken<FAULT> {
    fn new(numbers: u64) -> Self {
        Self {
            slots: (0..numbers / 32).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn observe(&self, number: u64) -> Verdict {
        let slots = self.slots.len() as u64;
        let slot = &self.slots[(number / 32 % slots) as usize];
        let block = number / 32 / slots;
        let bit = 1u64 << (number % 32);
        let mut seen = slot.load(Ordering::Relaxed);
        loop {
            let seen_block = seen >> 32;
            let same = FAULT == NO_BLOCK_CHECK || seen_block == block;
            if !same && FAULT != TAKES_OLDER && seen_block > block {
                return Verdict::TooLate;
            }
            if same && seen & bit != 0 {
                return Verdict::Duplicate;
            }
            if same && FAULT == FETCH_OR {
                let was_set = slot.fetch_or(bit, Ordering::Relaxed) & bit != 0;
                return if was_set {
                    Verdict::Duplicate
                } else {
                    Verdict::First
                };
            }
            let bits = if same || FAULT == KEEPS_BITS {
                seen & 0xffff_ffff
            } else {
                0
            };
            let next = block << 32 | bits | bit;
            if FAULT == PLAIN_STORE {
                slot.store(next, Ordering::Relaxed);
                return Verdict::First;
            }
            match slot.compare_exchange(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Verdict::First,
                Err(now) => seen = now,
            }
        }
    }

    fn observe_burst(&self, numbers: &[u64]) -> Vec<Verdict> {
        numbers.iter().map(|&number| self.observe(number)).collect()
    }
}

/// The law without an order, for what several threads saw at once: `log` has
/// every number offered so far and its verdict.
pub(crate) fn check_unordered(log: &[(u64, Verdict)], numbers: u64) {
    let newest = log.iter().map(|entry| entry.0).max().unwrap_or(0);
    let mut firsts: HashMap<u64, usize> = HashMap::new();
    for &(number, verdict) in log {
        *firsts.entry(number).or_default() += usize::from(verdict == Verdict::First);
    }
    for &(number, verdict) in log {
        let inside = newest - number <= numbers - 32;
        assert!(
            firsts[&number] <= 1,
            "{number} was delivered twice: {log:?}"
        );
        assert!(
            firsts[&number] == 1 || !inside && verdict == Verdict::TooLate,
            "{number} was refused but never delivered: {log:?}"
        );
        assert!(
            verdict != Verdict::TooLate || !inside,
            "{number} is inside the window and was called too late: {log:?}"
        );
    }
}
