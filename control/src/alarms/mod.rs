//! Who is told what happened. The control thread hands each happening to a channel that never
//! holds it up; a thread of its own stamps it into an [`Event`], keeps it for whoever asks,
//! writes it to the log and to syslog, and passes it to the alarms. Each alarm has a queue and a
//! thread of its own: what is dead or slow delays nobody else.

mod command;
mod errands;
mod hold;
mod settings;
mod syslog;
mod webhook;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use serde::Serialize;

pub use settings::{Alarm, Deed, FACILITIES, Syslog, Url, Webhook};

use crate::config::Config;
use crate::engine::Happening;
use crate::management::status::{EventCounts, Notifier};
use crate::monitor::{Event, Events};
use errands::{Errands, Tally};
use hold::Hold;

/// Happenings that wait for their thread, which takes microseconds for one: all links of the
/// largest appliance may go down at once. Room for them is only made when they come: it is 9 MiB.
const MOST_WAITING: usize = 1 << 16;
/// How long the last events have to reach whom they are for when the appliance stops.
pub const FAREWELL: Duration = Duration::from_secs(3);

/// What the control thread tells.
#[derive(Debug)]
pub struct Teller {
    happenings: Sender<(Duration, Happening)>,
    most_waiting: usize,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    told: AtomicU64,
    lost: AtomicU64,
}

impl Teller {
    /// Tells everybody, and never waits: when nobody takes it, it is lost and counted.
    pub fn tell(&self, happening: Happening) {
        let stamped = (unix_time(), happening);
        let is_room = self.happenings.len() < self.most_waiting;
        let count = if is_room && self.happenings.send(stamped).is_ok() {
            &self.counts.told
        } else {
            &self.counts.lost
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// The threads that tell. They end when the [`Teller`] is gone and [`Alarms::finish`] is called.
#[derive(Debug)]
pub struct Alarms {
    counts: Arc<Counts>,
    syslog: Option<Arc<Tally>>,
    errands: Vec<Arc<Errands>>,
    threads: Vec<JoinHandle<()>>,
}

impl Alarms {
    /// Starts them; what happens is added to `events`.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(config: &Config, events: Arc<Events>) -> io::Result<(Teller, Self)> {
        let (happenings, receiver) = unbounded();
        let counts = Arc::<Counts>::default();
        let mut threads = Vec::new();
        let mut posts = Vec::new();
        for alarm in &config.alarms {
            let errands = Arc::new(Errands::new(alarm.name.clone()));
            threads.push(errands::start(
                Arc::clone(&errands),
                errands::runner(&config.name, &alarm.deed),
            )?);
            posts.push(Post {
                hold: Hold::new(alarm.hold),
                alarm: alarm.clone(),
                errands,
            });
        }
        let errands = posts.iter().map(|post| Arc::clone(&post.errands));
        let errands = errands.collect();
        let syslog = config
            .syslog
            .as_ref()
            .map(|settings| syslog::Local::new(settings, &config.name));
        let tally = syslog.as_ref().map(syslog::Local::tally);
        let desk = Desk {
            events,
            syslog,
            posts,
            counts: Arc::clone(&counts),
            lost_said: 0,
        };
        threads.push(
            thread::Builder::new()
                .name("events".to_owned())
                .spawn(move || desk.work(&receiver))?,
        );
        let teller = Teller {
            happenings,
            most_waiting: MOST_WAITING,
            counts: Arc::clone(&counts),
        };
        let alarms = Self {
            counts,
            syslog: tally,
            errands,
            threads,
        };
        Ok((teller, alarms))
    }

    /// How many events there were.
    #[must_use]
    pub fn counts(&self) -> EventCounts {
        EventCounts {
            told: self.counts.told.load(Ordering::Relaxed),
            lost: self.counts.lost.load(Ordering::Relaxed),
        }
    }

    /// What became of them, alarm by alarm as in the file, syslog last.
    #[must_use]
    pub fn notifiers(&self) -> Vec<Notifier> {
        let errands = self.errands.iter().map(|errands| errands.notifier());
        let syslog = self.syslog.iter().map(|tally| tally.notifier("syslog", 0));
        errands.chain(syslog).collect()
    }

    /// Lets what waits be told for [`FAREWELL`] at most. The [`Teller`] must be gone.
    pub fn finish(self) {
        let until = Instant::now() + FAREWELL;
        // The desk hands on what it has, and what it holds back; then nothing is added.
        for errands in &self.errands {
            errands.hurry(until);
        }
        let (mut alarms, mut desk) = (self.threads, Vec::new());
        desk.extend(alarms.pop());
        wait_for(&mut desk, until);
        for errands in &self.errands {
            errands.close();
        }
        wait_for(&mut alarms, until);
        let waiting: usize = self.errands.iter().map(|errands| errands.waiting()).sum();
        if waiting > 0 {
            log::warn!("{waiting} alarms did not reach whom they are for before the end");
        }
    }
}

fn wait_for(threads: &mut Vec<JoinHandle<()>>, until: Instant) {
    const LOOK: Duration = Duration::from_millis(5);
    loop {
        threads.retain(|thread| !thread.is_finished());
        if threads.is_empty() || Instant::now() >= until {
            return;
        }
        thread::sleep(LOOK);
    }
}

/// One alarm, and what is on its way to it.
struct Post {
    alarm: Alarm,
    hold: Hold,
    errands: Arc<Errands>,
}

impl Post {
    fn take(&mut self, now: Instant, event: &Event) {
        if self.alarm.is_about(event) {
            let released = self.hold.take(now, event);
            self.send(released);
        }
    }

    fn send(&self, events: Vec<Event>) {
        let wanted = events
            .into_iter()
            .filter(|event| self.alarm.on.contains(&event.event));
        for event in wanted {
            self.errands.add(event);
        }
    }
}

/// The thread that has all happenings first.
struct Desk {
    events: Arc<Events>,
    syslog: Option<syslog::Local>,
    posts: Vec<Post>,
    counts: Arc<Counts>,
    lost_said: u64,
}

impl Desk {
    fn work(mut self, happenings: &Receiver<(Duration, Happening)>) {
        loop {
            let due = self.posts.iter().filter_map(|post| post.hold.due()).min();
            let received = match due {
                Some(due) => happenings.recv_deadline(due),
                None => happenings.recv().map_err(Into::into),
            };
            match received {
                Ok((at, happening)) => self.take(at, happening),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = Instant::now();
            for post in &mut self.posts {
                let released = post.hold.release(now);
                post.send(released);
            }
            self.say_what_is_lost();
        }
        for post in &mut self.posts {
            let released = post.hold.release_all();
            post.send(released);
        }
    }

    fn take(&mut self, at: Duration, happening: Happening) {
        let at_unix_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        let event = Event::new(at_unix_ms, happening);
        log::log!(target: "control::event", event.event.severity(), "{event}");
        if let Some(syslog) = &mut self.syslog {
            syslog.tell(&event);
        }
        let now = Instant::now();
        for post in &mut self.posts {
            post.take(now, &event);
        }
        self.events.add(event);
    }

    fn say_what_is_lost(&mut self) {
        let lost = self.counts.lost.load(Ordering::Relaxed);
        if lost != self.lost_said {
            log::error!(
                "{} events were lost: they came faster than they can be told",
                lost - self.lost_said
            );
            self.lost_said = lost;
        }
    }
}

/// An event as others get it: one JSON document, which is the [`Event`] and who says it.
fn document(appliance: &str, event: &Event) -> String {
    #[derive(Serialize)]
    struct Document<'a> {
        appliance: &'a str,
        #[serde(flatten)]
        event: &'a Event,
    }
    let document = serde_json::to_string(&Document { appliance, event });
    // Words and numbers alone: there is nothing that JSON has not.
    document.unwrap_or_default()
}

/// Since 1970, by the system's clock.
fn unix_time() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO)
}

#[cfg(test)]
pub(crate) mod tests;
