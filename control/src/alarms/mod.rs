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
use hold::{Hold, States};

/// Happenings that wait for their thread, which takes microseconds for one: all links of the
/// largest appliance may go down at once. Room for them is only made when they come: it is 9 MiB.
const MOST_WAITING: usize = 1 << 16;
/// How long the last events have to reach whom they are for when the appliance stops.
pub const FAREWELL: Duration = Duration::from_secs(3);

/// What the control thread tells.
#[derive(Debug)]
pub struct Teller {
    happenings: Sender<Said>,
    most_waiting: usize,
    counts: Arc<Counts>,
}

/// What goes to the thread that has all happenings first, in order.
enum Said {
    /// Since 1970, by the system's clock.
    Happened(Duration, Happening),
    /// From here on others are told.
    Audience(Box<Audience>),
}

/// Who is told.
struct Audience {
    alarms: Vec<(Alarm, Arc<Errands>)>,
    /// None: as before.
    syslog: Option<Option<syslog::Local>>,
}

#[derive(Debug, Default)]
struct Counts {
    told: AtomicU64,
    lost: AtomicU64,
}

impl Teller {
    /// Tells everybody, and never waits: when nobody takes it, it is lost and counted.
    pub fn tell(&self, happening: Happening) {
        let said = Said::Happened(unix_time(), happening);
        let is_room = self.happenings.len() < self.most_waiting;
        let count = if is_room && self.happenings.send(said).is_ok() {
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
    appliance: String,
    counts: Arc<Counts>,
    syslog: Option<(Syslog, Arc<Tally>)>,
    alarms: Vec<(Alarm, Arc<Errands>)>,
    /// Of each alarm, and of those that were there before and are not done yet.
    threads: Vec<JoinHandle<()>>,
    desk: JoinHandle<()>,
}

impl Alarms {
    /// Starts them; what happens is added to `events`.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(config: &Config, events: Arc<Events>) -> io::Result<(Teller, Self)> {
        let (happenings, receiver) = unbounded();
        let counts = Arc::<Counts>::default();
        let desk = Desk {
            events,
            syslog: None,
            posts: Vec::new(),
            states: States::default(),
            counts: Arc::clone(&counts),
            lost_said: 0,
        };
        let desk = thread::Builder::new()
            .name("events".to_owned())
            .spawn(move || desk.work(&receiver))?;
        let teller = Teller {
            happenings,
            most_waiting: MOST_WAITING,
            counts: Arc::clone(&counts),
        };
        let mut alarms = Self {
            appliance: config.name.clone(),
            counts,
            syslog: None,
            alarms: Vec::new(),
            threads: Vec::new(),
            desk,
        };
        alarms.follow(&teller, config)?;
        Ok((teller, alarms))
    }

    /// Others are told from now on. What waits for those that are still told stays; those
    /// that are told no more get what waits for them, for [`FAREWELL`] at most.
    ///
    /// # Errors
    /// When there is no thread to be had, or too much waits to be told: nothing changes then.
    pub fn follow(&mut self, teller: &Teller, config: &Config) -> io::Result<()> {
        let mut before = self.alarms.clone();
        let (mut alarms, mut new) = (Vec::new(), Vec::new());
        for alarm in &config.alarms {
            let same = before.iter().position(|(old, _)| old == alarm);
            alarms.push(same.map_or_else(
                || {
                    let errands = Arc::new(Errands::new(alarm.name.clone()));
                    new.push((alarm.clone(), Arc::clone(&errands)));
                    (alarm.clone(), errands)
                },
                |place| before.remove(place),
            ));
        }
        let start = |(alarm, errands): &(Alarm, Arc<Errands>)| {
            let runner = errands::runner(&self.appliance, &alarm.deed);
            errands::start(Arc::clone(errands), runner)
        };
        let threads = new.iter().map(start).collect::<io::Result<Vec<_>>>();
        for (old, errands) in &before {
            let heir = new.iter().find(|(alarm, _)| alarm.name == old.name);
            errands.set_heir(heir.map(|(_, errands)| Arc::clone(errands)));
        }
        let followed = threads.and_then(|threads| {
            let syslog = self.send(teller, config.syslog, alarms.clone())?;
            Ok((threads, syslog))
        });
        // Threads that were started for nothing end.
        let followed = followed.inspect_err(|_| {
            new.iter().for_each(|(_, it)| it.close());
            before.iter().for_each(|(_, it)| it.set_heir(None));
        });
        let (threads, syslog) = followed?;
        self.threads.retain(|thread| !thread.is_finished());
        self.threads.extend(threads);
        (self.alarms, self.syslog) = (alarms, syslog);
        Ok(())
    }

    /// Sends the desk those who are told, behind what has happened so far.
    fn send(
        &self,
        teller: &Teller,
        settings: Option<Syslog>,
        alarms: Vec<(Alarm, Arc<Errands>)>,
    ) -> io::Result<Option<(Syslog, Arc<Tally>)>> {
        let is_same = settings == self.syslog.as_ref().map(|(settings, _)| *settings);
        let local = settings.map(|settings| syslog::Local::new(&settings, &self.appliance));
        let tally = match is_same {
            true => self.syslog.clone(),
            false => settings.zip(local.as_ref().map(syslog::Local::tally)),
        };
        let syslog = (!is_same).then_some(local);
        let audience = Said::Audience(Box::new(Audience { alarms, syslog }));
        teller.happenings.try_send(audience).map_err(|_| {
            io::Error::other("too much has happened that is still to be told; try again")
        })?;
        Ok(tally)
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
        let errands = self.alarms.iter().map(|(_, errands)| errands.notifier());
        let syslog = self.syslog.iter();
        let syslog = syslog.map(|(_, tally)| tally.notifier("syslog", 0));
        errands.chain(syslog).collect()
    }

    /// Lets what waits be told for [`FAREWELL`] at most. The [`Teller`] must be gone.
    pub fn finish(self) {
        let until = Instant::now() + FAREWELL;
        // The desk hands on what it has, and what it holds back; then nothing is added.
        let errands = || self.alarms.iter().map(|(_, errands)| errands);
        for errands in errands() {
            errands.hurry(until);
        }
        wait_for(&mut vec![self.desk], until);
        for errands in errands() {
            errands.close();
        }
        let mut threads = self.threads;
        wait_for(&mut threads, until);
        let waiting: usize = errands().map(|errands| errands.waiting()).sum();
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
    /// How everything is: those who are told later begin with it.
    states: States,
    counts: Arc<Counts>,
    lost_said: u64,
}

impl Desk {
    fn work(mut self, happenings: &Receiver<Said>) {
        loop {
            let due = self.posts.iter().filter_map(|post| post.hold.due()).min();
            let received = match due {
                Some(due) => happenings.recv_deadline(due),
                None => happenings.recv().map_err(Into::into),
            };
            match received {
                Ok(Said::Happened(at, happening)) => self.take(at, happening),
                Ok(Said::Audience(audience)) => self.face(*audience),
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

    /// Turns to others. Those who are told no more are told what was held back from them.
    fn face(&mut self, audience: Audience) {
        let mut before = std::mem::take(&mut self.posts);
        for (alarm, errands) in audience.alarms {
            let same = |post: &Post| Arc::ptr_eq(&post.errands, &errands);
            let post = match before.iter().position(same) {
                Some(place) => before.remove(place),
                None => Post {
                    hold: Hold::new(alarm.hold, self.states.clone()),
                    alarm,
                    errands,
                },
            };
            self.posts.push(post);
        }
        for mut post in before {
            let released = post.hold.release_all();
            post.send(released);
            post.errands.hurry(Instant::now() + FAREWELL);
            post.errands.close();
        }
        if let Some(syslog) = audience.syslog {
            self.syslog = syslog;
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
        self.states.note(&event);
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
