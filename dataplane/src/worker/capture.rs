//! A capture, as far as it is the worker's affair.
//!
//! While one is on, the frames of a wanted port go through the worker one at a
//! time, each as a burst of its own and by the code that all bursts take. So
//! whatever is decided between one frame and the next is the fate of that frame.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use dpdk::{Burst, Mbuf};

use crate::capture::{Batch, CaptureSpec, Note, Record, Tap, Way};
use crate::command::{PortId, SessionId};
use crate::window::Verdict;

use super::Worker;
use super::candidates::Judged;

/// So many bursts of a port were full one after the other: the worker does not keep up. It goes on as if nobody looked, until
/// one is not full.
const CROWDED_BURSTS: u32 = 16;
/// A batch that is not full is handed over after this part of a second.
const HAND_OVER_PARTS: u64 = 1000;

/// Who notes what becomes of frames, if anybody wants to know.
pub(super) struct Witness {
    /// A capture is on.
    on: bool,
    /// The session that something is being sent over.
    session: Cell<Option<SessionId>>,
    notebook: RefCell<Option<Box<Notebook>>>,
}

/// A capture that is on.
struct Notebook {
    spec: Arc<CaptureSpec>,
    tap: Arc<Tap>,
    /// What is not handed over yet; the last one is being filled.
    batches: Vec<Batch>,
    /// When the first of them was begun.
    since: u64,
    /// The frame that is on its way: its batch, and its place there.
    open: Option<(usize, usize)>,
    /// The other frames of its burst, the next one last.
    rest: Burst,
    /// For each port, how many of its last bursts were full.
    full_bursts: Vec<u32>,
}

/// The frame that was on its way when the witness looked away.
pub(super) struct LookedAt((usize, usize));

impl Witness {
    pub(super) fn new() -> Self {
        Self {
            on: false,
            session: Cell::new(None),
            notebook: RefCell::new(None),
        }
    }

    #[inline(always)]
    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    /// Whatever is sent or dropped from now on is one session's.
    #[inline(always)]
    pub(super) fn sends_over(&self, session: Option<SessionId>) {
        self.session.set(session);
    }

    /// Begins a capture, or ends the one that is on. Says whether one is on.
    pub(super) fn set(&mut self, spec: Option<Arc<CaptureSpec>>, worker: usize) -> bool {
        if let Some(mut notebook) = self.notebook.get_mut().take() {
            notebook.hand_over();
            notebook.tap.close();
        }
        let notebook = spec.and_then(|spec| {
            let tap = spec.tap(worker)?;
            Some(Box::new(Notebook {
                batches: Vec::with_capacity(tap.batches()),
                full_bursts: vec![0; spec.ports()],
                spec,
                tap,
                since: 0,
                open: None,
                rest: Burst::new(),
            }))
        });
        self.on = notebook.is_some();
        *self.notebook.get_mut() = notebook;
        self.on
    }

    /// Notes something about the frame that is on its way, if one is.
    #[cold]
    #[inline(never)]
    pub(super) fn note(&self, make: impl FnOnce(Option<SessionId>) -> Note) {
        if let Some(notebook) = &mut *self.notebook.borrow_mut()
            && let Some((batch, place)) = notebook.open
        {
            notebook.batches[batch].note(place, make(self.session.get()));
        }
    }

    /// Notes why all that follows was decided: before what is noted already of the frame
    /// that is on its way, if one is.
    #[cold]
    #[inline(never)]
    pub(super) fn note_cause(&self, note: Note) {
        if let Some(notebook) = &mut *self.notebook.borrow_mut()
            && let Some((batch, place)) = notebook.open
        {
            notebook.batches[batch].note_first(place, note);
        }
    }

    /// What follows is not the fate of the frame that is on its way: until [`Self::look_back`], to
    /// which this is to be given.
    #[inline(always)]
    pub(super) fn look_away(&self) -> Option<LookedAt> {
        if self.on { self.put_aside() } else { None }
    }

    #[cold]
    #[inline(never)]
    fn put_aside(&self) -> Option<LookedAt> {
        let mut notebook = self.notebook.borrow_mut();
        notebook.as_mut()?.open.take().map(LookedAt)
    }

    #[inline(always)]
    pub(super) fn look_back(&self, looked_at: Option<LookedAt>) {
        if let Some(LookedAt(open)) = looked_at {
            self.reopen(open);
        }
    }

    #[cold]
    #[inline(never)]
    fn reopen(&self, open: (usize, usize)) {
        if let Some(notebook) = &mut *self.notebook.borrow_mut() {
            notebook.open = Some(open);
        }
    }

    /// Begins with the first frame of a burst, if its port is wanted: the others wait.
    fn begin(&mut self, now: u64, port: usize, burst: &mut Burst) -> bool {
        let Some(notebook) = self.notebook.get_mut() else {
            return false;
        };
        if !notebook.spec.wants(port) {
            return false;
        }
        if notebook.is_crowded(port, burst) {
            notebook.tap.miss(burst.len());
            return false;
        }
        while let Some(frame) = burst.pop() {
            // There is room for a burst.
            let _ = notebook.rest.push(frame);
        }
        notebook.next(now, port, burst)
    }

    /// Ends a frame and goes on with the next one of its burst. False when there is none.
    fn next(&mut self, now: u64, port: usize, burst: &mut Burst) -> bool {
        match self.notebook.get_mut() {
            Some(notebook) => notebook.next(now, port, burst),
            None => false,
        }
    }

    /// The frame on its way belongs to a logical port.
    #[cold]
    #[inline(never)]
    pub(super) fn came_by(&mut self, port: usize) {
        if let Some(notebook) = self.notebook.get_mut()
            && let Some((batch, place)) = notebook.open
            && let Some(record) = notebook.batches[batch].record_mut(place)
        {
            record.port = PortId(port as u16);
        }
    }

    /// Notes a frame that goes into the TX ring of a port, which is one of the
    /// device or the device itself. `send` puts it there.
    #[cold]
    #[inline(never)]
    pub(super) fn leave<E>(
        &mut self,
        now: u64,
        (device, port): (usize, usize),
        frame: Mbuf,
        send: impl FnOnce(Mbuf) -> Result<(), E>,
    ) -> Result<(), E> {
        let session = self.session.get();
        let Some(notebook) = self.notebook.get_mut() else {
            return send(frame);
        };
        let place = notebook.sent(now, (device, port), &frame, session);
        let sent = send(frame);
        match (&sent, place) {
            (Ok(()), _) => notebook.note(Note::Left {
                port: PortId(port as u16),
                session,
            }),
            (Err(_), true) => notebook.forget_last(),
            (Err(_), false) => {}
        }
        sent
    }

    /// Hands over what is full, or old enough.
    #[cold]
    #[inline(never)]
    pub(super) fn settle(&mut self, now: u64, tsc_hz: u64) {
        if let Some(notebook) = self.notebook.get_mut()
            && !notebook.batches.is_empty()
            && (notebook.batches.len() > 1
                || now.wrapping_sub(notebook.since) >= tsc_hz / HAND_OVER_PARTS)
        {
            notebook.hand_over();
        }
    }
}

impl Notebook {
    fn is_crowded(&mut self, port: usize, burst: &Burst) -> bool {
        let Some(full) = self.full_bursts.get_mut(port) else {
            return false;
        };
        *full = if burst.is_full() {
            full.saturating_add(1)
        } else {
            0
        };
        *full > CROWDED_BURSTS
    }

    fn next(&mut self, now: u64, port: usize, burst: &mut Burst) -> bool {
        self.open = None;
        let Some(frame) = self.rest.pop() else {
            return false;
        };
        let record = Record {
            ticks: now,
            way: Way::Received,
            device: PortId(port as u16),
            port: PortId(port as u16),
            session: None,
            octets: frame.len(),
            more: false,
        };
        self.open = self.add(record, &frame);
        // There is room for a burst.
        let _ = burst.push(frame);
        if self.open.is_none() {
            // The rest goes as if nobody looked.
            while let Some(frame) = self.rest.pop() {
                let _ = burst.push(frame);
            }
            self.tap.miss(burst.len());
        }
        true
    }

    /// Notes a frame that leaves. False when it is not wanted, or there was no room.
    fn sent(
        &mut self,
        now: u64,
        (device, port): (usize, usize),
        frame: &[u8],
        session: Option<SessionId>,
    ) -> bool {
        if !self.spec.wants(device) {
            return false;
        }
        let record = Record {
            ticks: now,
            way: Way::Sent,
            device: PortId(device as u16),
            port: PortId(port as u16),
            session,
            octets: frame.len(),
            more: false,
        };
        let added = self.add(record, frame).is_some();
        if !added {
            self.tap.miss(1);
        }
        added
    }

    /// Copies the first octets of a frame. Says where to; `None` without room.
    fn add(&mut self, record: Record, frame: &[u8]) -> Option<(usize, usize)> {
        if !self.batches.last().is_some_and(|batch| batch.has_room()) {
            if self.batches.is_empty() {
                self.since = record.ticks;
            }
            self.batches.push(self.tap.empty()?);
        }
        let place = self.batches.len() - 1;
        let kept = &frame[..frame.len().min(self.tap.snap_octets())];
        Some((place, self.batches[place].push(record, kept)))
    }

    fn note(&mut self, note: Note) {
        if let Some((batch, place)) = self.open {
            self.batches[batch].note(place, note);
        }
    }

    fn forget_last(&mut self) {
        if let Some(batch) = self.batches.last_mut() {
            batch.pop();
        }
    }

    fn hand_over(&mut self) {
        for batch in self.batches.drain(..) {
            if batch.is_empty() {
                self.tap.give_back(batch);
            } else {
                self.tap.hand_over(batch);
            }
        }
    }
}

impl Worker {
    /// Begins a capture, or ends the one that is on. Every burst is inspected meanwhile.
    pub(super) fn set_capture(&mut self, spec: Option<Arc<CaptureSpec>>) {
        let is_on = self.io.set_capture(spec, self.tables.worker());
        for (port, receive) in self.receive.iter_mut().enumerate() {
            receive.inspected = is_on || self.way_in.carries(port);
        }
    }

    /// Has the frames of a port's burst go through one at a time, if they are wanted.
    #[cold]
    #[inline(never)]
    pub(super) fn witness(&mut self, port: usize, burst: &mut Burst) {
        if port >= self.devices {
            self.io.witness.came_by(port);
            return;
        }
        let now = self.io.now;
        let waits = if self.way_in.take_turn() {
            if let Some(judged) = self.candidates.judged.take() {
                self.note_verdict(judged);
            }
            self.io.witness.next(now, port, burst)
        } else {
            self.candidates.judged = None;
            self.io.witness.begin(now, port, burst)
        };
        if waits {
            self.way_in.wait_for_witness(port);
        }
    }

    /// Notes what the window said of the copy that is on its way, which is the only one.
    fn note_verdict(&self, judged: Judged) {
        let verdict = match judged {
            Judged {
                firsts: 0,
                too_late: 0,
            } => Verdict::Duplicate,
            Judged { firsts: 0, .. } => Verdict::TooLate,
            Judged { .. } => Verdict::First,
        };
        let origin = self.candidates.run(0).origin;
        self.io.witness.note_cause(Note::Judged {
            verdict,
            set: origin.set,
            session: origin.session,
            epoch: origin.epoch,
            number: self.candidates.number(0),
        });
    }
}
