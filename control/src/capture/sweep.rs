//! Frames out of the workers' taps, in the order of their times.

use std::collections::BTreeMap;
use std::sync::Arc;

use dataplane::capture::{CaptureSpec, Clock, Tap};

use super::explain::Frame;

/// Frames that wait for their turn; more stay in the taps.
const MOST_WAITING: usize = 1 << 15;
/// A frame waits for this part of a second: longer than a worker keeps one that is
/// earlier to itself.
const SETTLED_PARTS: u64 = 50;

pub(super) struct Sweep {
    spec: Arc<CaptureSpec>,
    /// For each tap, what it may still have: nothing, or frames from this time on.
    behind: Vec<Option<u64>>,
    /// By time, and then as they came.
    waiting: BTreeMap<(u64, u64), Frame>,
    taken: u64,
}

impl Sweep {
    pub(super) fn new(spec: Arc<CaptureSpec>) -> Self {
        Self {
            behind: vec![None; spec.taps().len()],
            spec,
            waiting: BTreeMap::new(),
            taken: 0,
        }
    }

    /// Takes what is in the taps, by turns, so that none is left behind. False when that was nothing.
    pub(super) fn take(&mut self) -> bool {
        let before = self.taken;
        let spec = Arc::clone(&self.spec);
        while self.waiting.len() < MOST_WAITING {
            let earlier = self.taken;
            for (place, tap) in spec.taps().iter().enumerate() {
                self.take_from(place, tap);
            }
            if self.taken == earlier {
                break;
            }
        }
        self.taken > before
    }

    /// Takes a batch from a tap.
    fn take_from(&mut self, place: usize, tap: &Tap) {
        let Some(batch) = tap.take() else {
            self.behind[place] = None;
            return;
        };
        for frame in batch.frames() {
            self.taken += 1;
            self.behind[place] = Some(frame.record.ticks);
            let kept = Frame {
                record: frame.record.clone(),
                octets: frame.octets.to_vec(),
                notes: frame.notes.to_vec(),
            };
            self.waiting.insert((frame.record.ticks, self.taken), kept);
        }
        tap.give_back(batch);
    }

    /// The clock by which frames are noted.
    pub(super) fn clock(&self) -> Clock {
        self.spec.clock()
    }

    /// Up to when nothing earlier can come any more, in ticks.
    pub(super) fn settled_until(&self) -> u64 {
        let (now, settling) = self.spec.now_and_part(SETTLED_PARTS);
        let of_taps = self.behind.iter().flatten().copied().min();
        let settled = now.saturating_sub(settling);
        of_taps.map_or(settled, |behind| settled.min(behind))
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

#[cfg(test)]
mod tests {
    use dataplane::capture::Note;

    use super::super::explain::tests::received;
    use super::super::packet::tests::on_lan;
    use super::*;

    fn play(sweep: &Sweep, tap: usize, us: u64) {
        let frame = received(0, us, on_lan(), &[Note::Punted("ARP")]);
        let tap = &sweep.spec.taps()[tap];
        assert!(tap.play(frame.record, &frame.octets, &frame.notes));
    }

    fn sweep(taps: usize) -> Sweep {
        Sweep::new(Arc::new(CaptureSpec::new(
            vec![true],
            64,
            taps,
            1_000_000_000,
        )))
    }

    /// One tap that is never empty leaves the others their turns, and what they may still have is waited for.
    #[test]
    fn no_tap_is_left_behind_and_none_is_overtaken() {
        let mut sweep = sweep(2);
        let mut us = 0;
        while sweep.waiting.len() < MOST_WAITING - 2 {
            us += 1;
            play(&sweep, 0, us);
            play(&sweep, 1, us);
            sweep.take();
        }
        // There is room for one round more, and both have more than that.
        for _ in 0..2 {
            us += 1;
            play(&sweep, 0, us);
            play(&sweep, 1, us);
        }
        sweep.take();
        let last = us * 1000;
        assert!(sweep.waiting.len() >= MOST_WAITING);
        assert_eq!(sweep.settled_until(), last - 1000);
        while sweep.next(sweep.settled_until()).is_some() {}
        assert!(sweep.waiting.is_empty());
        sweep.take();
        assert!(sweep.settled_until() > last, "the taps are empty");
        assert_eq!(sweep.waiting.len(), 2);
    }
}
