//! Frames out of the workers' taps, in the order of their times.

use std::collections::BTreeMap;
use std::sync::Arc;

use dataplane::capture::{CaptureSpec, Clock};

use super::explain::Frame;

/// Frames that wait for their turn; more stay in the taps.
const MOST_WAITING: usize = 1 << 15;
/// A frame waits for this part of a second: longer than a worker keeps one that is
/// earlier to itself.
const SETTLED_PARTS: u64 = 50;

pub(super) struct Sweep {
    spec: Arc<CaptureSpec>,
    /// By time, and then as they came.
    waiting: BTreeMap<(u64, u64), Frame>,
    taken: u64,
}

impl Sweep {
    pub(super) fn new(spec: Arc<CaptureSpec>) -> Self {
        Self {
            spec,
            waiting: BTreeMap::new(),
            taken: 0,
        }
    }

    /// Takes what is in the taps. False when that was nothing.
    pub(super) fn take(&mut self) -> bool {
        let before = self.taken;
        for tap in self.spec.taps() {
            while self.waiting.len() < MOST_WAITING
                && let Some(batch) = tap.take()
            {
                for frame in batch.frames() {
                    self.taken += 1;
                    let kept = Frame {
                        record: frame.record.clone(),
                        octets: frame.octets.to_vec(),
                        notes: frame.notes.to_vec(),
                    };
                    self.waiting.insert((frame.record.ticks, self.taken), kept);
                }
                tap.give_back(batch);
            }
        }
        self.taken > before
    }

    /// The clock by which frames are noted.
    pub(super) fn clock(&self) -> Clock {
        self.spec.clock()
    }

    /// Up to when nothing earlier can come any more, in ticks.
    pub(super) fn settled_until(&self) -> u64 {
        let (now, settling) = self.spec.now_and_part(SETTLED_PARTS);
        now.saturating_sub(settling)
    }

    /// The next frame, if it is of before then.
    pub(super) fn next(&mut self, until: u64) -> Option<Frame> {
        let first = self.waiting.first_entry()?;
        (first.key().0 <= until).then(|| first.remove())
    }

    /// The workers add nothing more.
    pub(super) fn has_ended(&self) -> bool {
        self.spec.taps().iter().all(|tap| tap.is_closed())
    }

    /// Frames that there was no room for.
    pub(super) fn missed(&self) -> u64 {
        self.spec.taps().iter().map(|tap| tap.missed()).sum()
    }
}
