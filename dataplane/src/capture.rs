//! What workers saw of frames while a capture is on, on its way to whoever asked.
//!
//! Each worker has a [`Tap`]: batches of records that are all made at the start
//! and go round. A worker that finds no empty one counts what it missed, and
//! goes on as without a capture.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crossbeam::queue::ArrayQueue;

use crate::command::{PortId, SessionId, SetId};
use crate::counters::{Counter, Drop};
use crate::ring;
use crate::window::Verdict;

/// The most octets of a frame that are kept.
pub const MOST_SNAP_OCTETS: u16 = 2048;
/// Frames in a batch.
const BATCH_RECORDS: usize = 32;
/// A few for each frame: a packet into a set of three links has seven.
const BATCH_NOTES: usize = 8 * BATCH_RECORDS;
/// What the fate of one frame is sure to have room for.
const LEAST_NOTES: usize = 24;
/// What the batches of one worker take together, about.
const TAP_OCTETS: usize = 16 << 20;
/// Batches of a tap: enough for the time that its reader may be away, and no more than that takes.
const BATCHES: Range<usize> = 64..1024;

/// Which frames are captured, and where they are put.
#[derive(Debug)]
pub struct CaptureSpec {
    /// By port: whether its frames are wanted. Those of logical ports are seen on
    /// their carriers.
    wanted: Vec<bool>,
    /// One for each worker.
    taps: Vec<Arc<Tap>>,
    /// Of the time stamp counter.
    tsc_hz: u64,
}

impl CaptureSpec {
    /// A capture on these ports, of so many octets of each frame at most, by so many workers.
    #[must_use]
    pub fn new(wanted: Vec<bool>, snap_octets: u16, workers: usize, tsc_hz: u64) -> Self {
        let snap_octets = usize::from(snap_octets.min(MOST_SNAP_OCTETS));
        Self {
            wanted,
            taps: (0..workers)
                .map(|_| Arc::new(Tap::new(snap_octets)))
                .collect(),
            tsc_hz,
        }
    }

    #[must_use]
    pub fn taps(&self) -> &[Arc<Tap>] {
        &self.taps
    }

    pub(crate) fn tap(&self, worker: usize) -> Option<Arc<Tap>> {
        self.taps.get(worker).cloned()
    }

    /// Ports that there are.
    pub(crate) fn ports(&self) -> usize {
        self.wanted.len()
    }

    pub(crate) fn wants(&self, device: usize) -> bool {
        self.wanted.get(device).copied().unwrap_or(false)
    }

    /// The clock by which frames are noted.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock::at(self.tsc_hz, dpdk::tsc(), SystemTime::now())
    }

    /// The time stamp counter as it is now, and so many ticks as one of `parts` of a second has.
    #[must_use]
    pub fn now_and_part(&self, parts: u64) -> (u64, u64) {
        (dpdk::tsc(), self.tsc_hz / parts.max(1))
    }
}

/// Ticks of the time stamp counter as time of day. How fast the counter runs is
/// known to some parts in a thousand only: to be made anew every second.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    tsc_hz: u64,
    ticks: u64,
    unix_ns: u64,
}

impl Clock {
    fn at(tsc_hz: u64, ticks: u64, now: SystemTime) -> Self {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            tsc_hz: tsc_hz.max(1),
            ticks,
            unix_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
        }
    }

    /// So many ticks as nanoseconds.
    #[must_use]
    pub fn ns(&self, ticks: u64) -> u64 {
        (u128::from(ticks) * 1_000_000_000 / u128::from(self.tsc_hz)) as u64
    }

    /// When it was so many ticks: nanoseconds since 1970.
    #[must_use]
    pub fn unix_ns(&self, ticks: u64) -> u64 {
        match ticks.checked_sub(self.ticks) {
            Some(later) => self.unix_ns.saturating_add(self.ns(later)),
            None => self.unix_ns.saturating_sub(self.ns(self.ticks - ticks)),
        }
    }
}

/// Which way a frame went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Received,
    /// Put into the port's TX ring.
    Sent,
}

/// One frame.
#[derive(Clone, Debug)]
pub struct Record {
    /// Time stamp counter at the start of the worker's round.
    pub ticks: u64,
    pub way: Way,
    /// The port on whose wire it was.
    pub device: PortId,
    /// The logical port on it that it belongs to, or the same.
    pub port: PortId,
    /// Of what was sent: the session that it was sent over.
    pub session: Option<SessionId>,
    /// Of the whole frame.
    pub octets: usize,
    /// More was noted than there was room for.
    pub more: bool,
}

/// One thing that was decided about a received frame, or about what was made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// A copy's number was looked at.
    Judged {
        verdict: Verdict,
        set: SetId,
        session: SessionId,
        epoch: u32,
        number: u64,
    },
    /// It takes this number on its way into a set.
    Numbered { set: SetId, epoch: u32, number: u64 },
    /// It, or a copy for a session, went into a port's TX ring.
    Left {
        port: PortId,
        session: Option<SessionId>,
    },
    /// It, or a copy for a session, ended here. It is counted at this port, or at
    /// the control thread, which stands behind all ports.
    Dropped {
        port: PortId,
        session: Option<SessionId>,
        reason: Drop,
    },
    /// It went to the control thread, as what is said here.
    Punted(&'static str),
}

/// What was captured of one frame.
#[derive(Clone, Copy, Debug)]
pub struct Captured<'a> {
    pub record: &'a Record,
    /// Its first octets.
    pub octets: &'a [u8],
    /// In the order in which it was decided. Nothing was when the frame waits: for
    /// other pieces or fragments, for its turn, or for another worker.
    pub notes: &'a [Note],
}

/// A frame's part of a batch.
#[derive(Debug)]
struct Entry {
    record: Record,
    /// Its first octets.
    kept: Range<usize>,
    notes: Range<usize>,
}

/// Some frames.
#[derive(Debug)]
pub struct Batch {
    entries: Vec<Entry>,
    octets: Vec<u8>,
    notes: Vec<Note>,
}

impl Batch {
    fn new(snap_octets: usize) -> Self {
        Self {
            entries: Vec::with_capacity(BATCH_RECORDS),
            octets: Vec::with_capacity(BATCH_RECORDS * snap_octets),
            notes: Vec::with_capacity(BATCH_NOTES),
        }
    }

    fn memory_octets(snap_octets: usize) -> usize {
        BATCH_RECORDS * (snap_octets + size_of::<Entry>()) + BATCH_NOTES * size_of::<Note>()
    }

    /// The frames, in the order in which they came and left.
    pub fn frames(&self) -> impl Iterator<Item = Captured<'_>> {
        self.entries.iter().map(|entry| Captured {
            record: &entry.record,
            octets: &self.octets[entry.kept.clone()],
            notes: &self.notes[entry.notes.clone()],
        })
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.octets.clear();
        self.notes.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Has room for one more frame.
    pub(crate) fn has_room(&self) -> bool {
        self.entries.len() < BATCH_RECORDS && self.notes.len() + LEAST_NOTES <= BATCH_NOTES
    }

    /// Adds a frame, for which there is room, with its first octets, and says where it is.
    pub(crate) fn push(&mut self, record: Record, octets: &[u8]) -> usize {
        let (kept, noted) = (self.octets.len(), self.notes.len());
        self.octets.extend_from_slice(octets);
        self.entries.push(Entry {
            record,
            kept: kept..self.octets.len(),
            notes: noted..noted,
        });
        self.entries.len() - 1
    }

    /// Takes the last frame away again.
    pub(crate) fn pop(&mut self) {
        if let Some(entry) = self.entries.pop() {
            self.octets.truncate(entry.kept.start);
        }
    }

    pub(crate) fn record_mut(&mut self, place: usize) -> Option<&mut Record> {
        self.entries.get_mut(place).map(|entry| &mut entry.record)
    }

    /// Adds a note to a frame, behind which no other one has notes yet.
    pub(crate) fn note(&mut self, place: usize, note: Note) {
        self.note_before(place, 0, note);
    }

    /// Adds a note before all that the frame has.
    pub(crate) fn note_first(&mut self, place: usize, note: Note) {
        self.note_before(place, usize::MAX, note);
    }

    /// Adds a note before the last so many of the frame.
    fn note_before(&mut self, place: usize, last: usize, note: Note) {
        let Some(entry) = self.entries.get_mut(place) else {
            return;
        };
        if self.notes.len() == BATCH_NOTES {
            entry.record.more = true;
            return;
        }
        let at = self.notes.len() - last.min(entry.notes.len());
        self.notes.insert(at, note);
        entry.notes.end = self.notes.len();
    }
}

/// The way of one worker's records to their reader.
#[derive(Debug)]
pub struct Tap {
    full: ArrayQueue<Batch>,
    empty: ArrayQueue<Batch>,
    snap_octets: usize,
    missed: Counter,
    closed: AtomicBool,
}

impl Tap {
    fn new(snap_octets: usize) -> Self {
        let batches = TAP_OCTETS / Batch::memory_octets(snap_octets);
        Self::of(batches.clamp(BATCHES.start, BATCHES.end), snap_octets)
    }

    fn of(batches: usize, snap_octets: usize) -> Self {
        let empty = ArrayQueue::new(batches);
        while empty.push(Batch::new(snap_octets)).is_ok() {}
        Self {
            full: ArrayQueue::new(batches),
            empty,
            snap_octets,
            missed: Counter::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// The oldest batch that is there; to be given [back](Self::give_back).
    #[must_use]
    pub fn take(&self) -> Option<Batch> {
        ring::pop(&self.full)
    }

    pub fn give_back(&self, mut batch: Batch) {
        batch.clear();
        // There are no more batches than places.
        let _ = self.empty.push(batch);
    }

    /// Hands over one frame in a batch of its own: for who plays a worker. False,
    /// and it is missed, when there is no room.
    pub fn play(&self, record: Record, octets: &[u8], notes: &[Note]) -> bool {
        let Some(mut batch) = self.empty() else {
            self.miss(1);
            return false;
        };
        let kept = &octets[..octets.len().min(self.snap_octets)];
        let place = batch.push(record, kept);
        for &note in notes {
            batch.note(place, note);
        }
        self.hand_over(batch);
        true
    }

    /// Frames that were wanted, and for which there was no room, or no time.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.read()
    }

    /// The worker adds nothing more; what it added before can be taken.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn snap_octets(&self) -> usize {
        self.snap_octets
    }

    pub(crate) fn empty(&self) -> Option<Batch> {
        ring::pop(&self.empty)
    }

    pub(crate) fn hand_over(&self, batch: Batch) {
        // There are no more batches than places.
        let _ = self.full.push(batch);
    }

    /// How many batches there are.
    pub(crate) fn batches(&self) -> usize {
        self.full.capacity()
    }

    pub(crate) fn miss(&self, frames: usize) {
        self.missed.add(frames as u64);
    }

    /// Nothing more comes.
    pub fn close(&self) {
        // Release: who sees it sees all that was handed over.
        self.closed.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn record(octets: usize) -> Record {
        Record {
            ticks: 7,
            way: Way::Received,
            device: PortId(1),
            port: PortId(2),
            session: None,
            octets,
            more: false,
        }
    }

    #[test]
    fn each_frame_has_its_own_octets_and_notes() {
        let mut batch = Batch::new(4);
        let first = batch.push(record(100), &[1, 2, 3, 4]);
        batch.note(first, Note::Punted("one"));
        // What left meanwhile.
        batch.push(record(9), &[9]);
        batch.note_first(first, Note::Punted("two"));
        let second = batch.push(record(2), &[5, 6]);
        batch.note(second, Note::Punted("three"));
        batch.push(record(3), &[7]);
        batch.pop();
        let frames: Vec<_> = batch
            .frames()
            .map(|frame| (frame.record.octets, frame.octets, frame.notes))
            .collect();
        let [one, two, three] = ["one", "two", "three"].map(Note::Punted);
        let expected: [(usize, &[u8], &[Note]); 3] = [
            (100, &[1, 2, 3, 4], &[two, one]),
            (9, &[9], &[]),
            (2, &[5, 6], &[three]),
        ];
        assert_eq!(frames, expected);
    }

    #[test]
    fn a_batch_takes_so_many_frames_and_notes_and_never_grows() {
        let mut batch = Batch::new(8);
        let octets = batch.octets.capacity();
        while batch.has_room() {
            batch.push(record(8), &[0; 8]);
        }
        assert_eq!(batch.entries.len(), BATCH_RECORDS);
        assert_eq!(batch.octets.capacity(), octets);
        for _ in 0..BATCH_NOTES + 1 {
            batch.note(BATCH_RECORDS - 1, Note::Punted("all"));
        }
        let last = batch.frames().last().expect("a frame");
        assert_eq!(last.notes.len(), BATCH_NOTES);
        assert!(last.record.more);
    }

    #[test]
    fn batches_go_round_and_none_is_made() {
        let tap = Tap::of(2, 16);
        let (first, second) = (tap.empty().expect("one"), tap.empty().expect("another"));
        assert!(tap.empty().is_none());
        tap.hand_over(first);
        tap.hand_over(second);
        let taken = tap.take().expect("the first");
        assert!(tap.empty().is_none(), "it is being read");
        tap.give_back(taken);
        assert!(tap.empty().is_some());
    }

    #[test]
    fn memory_is_bounded_whatever_is_kept_of_a_frame() {
        for snap_octets in [1, 256, MOST_SNAP_OCTETS.into()] {
            let tap = Tap::new(snap_octets);
            let octets = tap.batches() * Batch::memory_octets(snap_octets);
            assert!(octets <= TAP_OCTETS, "{octets} for {snap_octets}");
            assert!(tap.batches() >= BATCHES.start);
        }
    }

    #[test]
    fn ticks_are_times_before_and_after_the_clock_was_made() {
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        let clock = Clock::at(2_000_000_000, 5_000, now);
        assert_eq!(clock.unix_ns(5_000), 1_000_000_000_000);
        assert_eq!(clock.unix_ns(5_020), 1_000_000_000_010);
        assert_eq!(clock.unix_ns(4_980), 999_999_999_990);
    }
}
