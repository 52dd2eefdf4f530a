//! Keeps readings and events, on disk or in memory, and answers from them.
//!
//! A thread of its own writes. The monitor hands it each moment and never waits: what does not fit the queue, because the disk is
//! slow or a large file is being checked, is dropped and counted. A disk that fails does not end the graphs: they go on in
//! memory, and the directory is tried again once a minute.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use history::{Counts, Opened, Reader, Recorder};

use super::STOP_INTERVAL;
use super::board::Moment;
use super::event::Events;
use crate::management::status;

/// Moments that wait while the disk is slow. Each holds a whole status.
const QUEUE: usize = 16;
/// How long a directory that failed is left alone.
const RETRY: Duration = Duration::from_secs(60);
/// How long the end waits for what is not written: a disk may stand still, and a large file being checked.
const FAREWELL: Duration = Duration::from_secs(3);
/// Events that are taken over from the process before.
const OLD_EVENTS: usize = 10_000;

/// The history, for everybody: what is known, how it fares, and where the monitor hands moments in.
#[derive(Clone, Debug)]
pub struct History {
    shared: Arc<Shared>,
    moments: Sender<Arc<Moment>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// None while a file is being checked.
    reader: Mutex<Option<Reader>>,
    status: Mutex<status::History>,
    dropped: AtomicU64,
}

/// The thread that writes. Dropping it writes what waits and ends it, if the disk does not stand still.
#[derive(Debug)]
pub struct Historian {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Historian {
    /// Keeps the history in a directory, or in memory. What happened to an earlier process is put into `events`.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(
        directory: Option<PathBuf>,
        events: Arc<Events>,
    ) -> std::io::Result<(Self, History)> {
        let (moments, queue) = bounded(QUEUE);
        let history = History {
            shared: Arc::default(),
            moments,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let keeper = Keeper {
            shared: Arc::clone(&history.shared),
            directory,
            events,
            restored: false,
            noted: 0,
            second: None,
            store: None,
            retry: None,
            error: None,
            past: Counts::default(),
        };
        let thread = thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || keeper.run(&queue, &stopped))?;
        let thread = Some(thread);
        Ok((Self { stop, thread }, history))
    }
}

impl Drop for Historian {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else {
            return;
        };
        let until = Instant::now() + FAREWELL;
        while !thread.is_finished() && Instant::now() < until {
            thread::sleep(STOP_INTERVAL / 10);
        }
        if thread.is_finished() {
            // A panic there was already printed; nothing is left to do about it.
            let _ = thread.join();
        } else {
            // It ends with the process, and the file is whole whenever that is.
            log::warn!("history: the disk is slow; the last seconds are not waited for");
        }
    }
}

impl History {
    /// Reads what was recorded; not while a file is being checked.
    #[must_use]
    pub fn reader(&self) -> Option<Reader> {
        held(&self.shared.reader).clone()
    }

    /// How it fares, as of the last second.
    #[must_use]
    pub fn status(&self) -> status::History {
        let dropped_seconds = self.shared.dropped.load(Ordering::Relaxed);
        status::History {
            dropped_seconds,
            ..held(&self.shared.status).clone()
        }
    }

    /// Hands a moment in. Never waits.
    pub(crate) fn keep(&self, moment: &Arc<Moment>) {
        if self.moments.try_send(Arc::clone(moment)).is_err()
            && self.shared.dropped.fetch_add(1, Ordering::Relaxed) == 0
        {
            log::warn!(
                "history: a second is not recorded: the disk is slow; `status --json` counts those that follow"
            );
        }
    }
}

/// Nothing is half done when a holder panics: what is held is replaced whole.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the thread does.
struct Keeper {
    shared: Arc<Shared>,
    directory: Option<PathBuf>,
    events: Arc<Events>,
    /// Whether the events of earlier processes were taken over.
    restored: bool,
    /// So many of the events are on disk.
    noted: u64,
    /// The second of the last moment.
    second: Option<u64>,
    store: Option<Store>,
    /// When to try the directory again.
    retry: Option<Instant>,
    /// What last went wrong.
    error: Option<String>,
    /// Of stores that were given up.
    past: Counts,
}

struct Store {
    recorder: Recorder,
    reader: Reader,
    on_disk: bool,
}

impl Keeper {
    fn run(mut self, moments: &Receiver<Arc<Moment>>, stop: &AtomicBool) {
        self.guarded(Self::open);
        while !stop.load(Ordering::Relaxed) {
            match moments.recv_timeout(STOP_INTERVAL) {
                Ok(moment) => self.guarded(|keeper| keeper.keep(&moment)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        for moment in moments.try_iter() {
            self.guarded(|keeper| keeper.keep(&moment));
        }
        self.guarded(Self::finish);
    }

    /// redb panics where the file was changed while it was open. That file is not touched any more, not even to close it.
    fn guarded(&mut self, work: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_ok() {
            return;
        }
        *held(&self.shared.reader) = None;
        std::mem::forget(self.store.take());
        self.fail("the file is not as it was written, and is checked at the next start".to_owned());
        self.retry = None;
        self.begin(in_memory());
        self.tell();
    }

    fn finish(&mut self) {
        self.note();
        let flushed = self.store.as_mut().map(|store| store.recorder.flush());
        if let Some(Err(error)) = flushed {
            log::error!("history: the last seconds are not written: {error}");
        }
    }

    /// Opens the directory, or begins in memory.
    fn open(&mut self) {
        let store = self.on_disk().or_else(in_memory);
        self.begin(store);
        self.restore();
        self.tell();
    }

    fn begin(&mut self, store: Option<Store>) {
        *held(&self.shared.reader) = store.as_ref().map(|store| store.reader.clone());
        self.store = store;
    }

    fn on_disk(&mut self) -> Option<Store> {
        let directory = self.directory.as_ref()?;
        match history::open(directory) {
            Ok(Opened {
                recorder,
                reader,
                set_aside,
            }) => {
                if let Some(set_aside) = set_aside {
                    let to = set_aside.to.display();
                    let text = format!("{}; it is now {to}, and a new one is begun", set_aside.why);
                    log::error!("history: the file cannot be used: {text}");
                    self.error = Some(text);
                }
                self.retry = None;
                Some(Store {
                    recorder,
                    reader,
                    on_disk: true,
                })
            }
            Err(error) => {
                self.fail(error.to_string());
                None
            }
        }
    }

    /// Takes the events of earlier processes over, once.
    fn restore(&mut self) {
        let Some(store) = self.store.as_ref().filter(|store| store.on_disk) else {
            return;
        };
        if std::mem::replace(&mut self.restored, true) {
            return;
        }
        match store.reader.notes(None, OLD_EVENTS) {
            Ok(notes) => {
                let notes = notes.iter().rev();
                let events = notes.filter_map(|note| serde_json::from_str(&note.payload).ok());
                self.events.restore(events.collect());
            }
            Err(error) => log::error!("history: earlier events cannot be read: {error}"),
        }
    }

    fn keep(&mut self, moment: &Moment) {
        if self.retry.is_some_and(|at| at <= Instant::now()) {
            self.try_again();
        }
        let second = following(self.second, moment.at);
        self.second = Some(second);
        let taken = self.note();
        let Some(store) = &mut self.store else {
            return;
        };
        let readings = moment.readings.iter();
        let samples = readings.map(|reading| (reading.graph.as_str(), reading.sample));
        match store.recorder.record(second, samples) {
            Ok(()) => self.noted = taken,
            Err(error) => self.give_up(&error.to_string()),
        }
        self.tell();
    }

    /// Hands new events to the recorder, and says how many there were in all then. In memory they are anyway.
    fn note(&mut self) -> u64 {
        let Some(store) = self.store.as_mut().filter(|store| store.on_disk) else {
            return self.noted;
        };
        let (events, taken) = self.events.since(self.noted);
        for event in events {
            let subject: Vec<_> = event.graphs().collect();
            let subject: Vec<&str> = subject.iter().map(|name| &**name).collect();
            match serde_json::to_string(&event) {
                Ok(json) => store.recorder.note(event.at_unix_ms, &subject, &json),
                Err(error) => log::error!("history: an event is not noted: {error}"),
            }
        }
        taken
    }

    /// The store cannot be written: graphs go on in memory until it is opened anew, which checks it.
    fn give_up(&mut self, error: &str) {
        self.fail(format!("it could not be written: {error}"));
        self.close();
        self.begin(in_memory());
    }

    /// The directory is left alone for a while. Said once for each reason, for it may last.
    fn fail(&mut self, why: String) {
        if self.error.as_ref() != Some(&why) {
            log::error!("history: {why}; graphs are kept in memory meanwhile");
        }
        self.error = Some(why);
        self.retry = Some(Instant::now() + RETRY);
    }

    /// From memory to the disk again, if it can be had. What was kept in memory goes.
    fn try_again(&mut self) {
        let Some(store) = self.on_disk() else {
            return;
        };
        log::info!("history: the directory can be used again");
        self.close();
        self.begin(Some(store));
        self.restore();
    }

    fn close(&mut self) {
        *held(&self.shared.reader) = None;
        if let Some(store) = self.store.take() {
            self.past = sum(self.past, store.reader.counts());
        }
    }

    /// Writes down how it fares.
    fn tell(&self) {
        let reader = self.store.as_ref().map(|store| &store.reader);
        let counts = reader.map_or_else(Counts::default, Reader::counts);
        let counts = sum(self.past, counts);
        *held(&self.shared.status) = status::History {
            directory: self.directory.as_ref().map(|it| it.display().to_string()),
            on_disk: self.store.as_ref().is_some_and(|store| store.on_disk),
            graphs: reader.map_or(0, Reader::count),
            file_octets: reader.and_then(Reader::file_octets),
            refused_samples: counts.refused_samples,
            refused_events: counts.refused_notes,
            lost_samples: counts.lost_samples,
            damaged_rows: counts.damaged_rows,
            error: self.error.clone(),
            ..status::History::default()
        };
    }
}

fn in_memory() -> Option<Store> {
    match history::in_memory() {
        Ok(Opened {
            recorder, reader, ..
        }) => Some(Store {
            recorder,
            reader,
            on_disk: false,
        }),
        Err(error) => {
            log::error!("history: there is none: {error}");
            None
        }
    }
}

fn sum(one: Counts, other: Counts) -> Counts {
    Counts {
        refused_samples: one.refused_samples + other.refused_samples,
        refused_notes: one.refused_notes + other.refused_notes,
        lost_samples: one.lost_samples + other.lost_samples,
        damaged_rows: one.damaged_rows + other.damaged_rows,
    }
}

/// The second that a moment stands for: the one after the last, as long as it is about then. Moments that come a little early or
/// late would else fall into one second twice, and into the next not at all.
fn following(last: Option<u64>, at: Duration) -> u64 {
    let next = last.map(|last| last.saturating_add(1));
    let near = |next: &u64| {
        let late_ms = at.as_millis().cast_signed() - i128::from(*next) * 1000;
        (-500..1500).contains(&late_ms)
    };
    next.filter(near).unwrap_or(at.as_secs())
}

#[cfg(test)]
mod tests;
