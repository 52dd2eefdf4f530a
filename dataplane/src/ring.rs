//! Rings between threads.

use crossbeam::queue::ArrayQueue;

/// Takes the oldest from a ring that is mostly empty: to find that out takes two
/// loads, where `pop` pays for a fence. What is pushed meanwhile is found the next time.
#[inline(always)]
pub(crate) fn pop<T>(ring: &ArrayQueue<T>) -> Option<T> {
    if ring.is_empty() {
        return None;
    }
    ring.pop()
}
