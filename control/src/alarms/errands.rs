//! What is to be told to one alarm, in order: a queue that is bounded, and the thread that
//! carries it out.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::command::Program;
use super::settings::Deed;
use super::webhook::Hook;
use crate::management::status::Notifier;
use crate::monitor::Event;

/// Events that wait for one alarm. When there are more, the oldest goes.
pub(super) const MOST_WAITING: usize = 256;
/// The first pause before an event is tried again; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What came of telling an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Told,
    /// It may go better later.
    TryAgain(String),
    /// It will not.
    GivenUp(String),
}

/// How events are told.
pub(super) trait Runner: Send {
    /// Tells one, and takes no longer than [`Errands::time_left`].
    fn tell(&mut self, event: &Event, errands: &Errands) -> Outcome;
}

pub(super) fn runner(appliance: &str, deed: &Deed) -> Box<dyn Runner> {
    match deed {
        Deed::Webhook(webhook) => Box::new(Hook::new(appliance, webhook)),
        Deed::Command(words) => Box::new(Program::new(appliance, words)),
    }
}

/// What became of the events of one alarm.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Notifier>);

impl Tally {
    pub(super) fn told(&self) {
        let mut counts = self.held();
        counts.sent += 1;
        counts.failing = false;
    }

    /// Says whether it had worked before, or failed for another reason.
    pub(super) fn failed(&self, why: &str) -> bool {
        let mut counts = self.held();
        counts.failed += 1;
        let before = counts.last_error.replace(why.to_owned());
        !std::mem::replace(&mut counts.failing, true) || before.as_deref() != Some(why)
    }

    pub(super) fn dropped(&self, count: u64) {
        self.held().dropped += count;
    }

    pub(super) fn notifier(&self, name: &str, waiting: usize) -> Notifier {
        Notifier {
            name: name.to_owned(),
            waiting: waiting as u64,
            ..self.held().clone()
        }
    }

    /// Nothing is half done when a holder panics.
    fn held(&self) -> MutexGuard<'_, Notifier> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The queue.
#[derive(Debug)]
pub(super) struct Errands {
    pub(super) name: String,
    pub(super) tally: Tally,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event>,
    /// Nothing is added any more.
    closed: bool,
    /// By then all must be over.
    until: Option<Instant>,
    /// How many were dropped: whoever is telling the oldest one sees by it whether that is still there.
    dropped: u64,
    /// Those of the alarm that has this one's name from now on.
    heir: Option<Arc<Errands>>,
}

impl Errands {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            tally: Tally::default(),
            queue: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    pub(super) fn add(&self, event: Event) {
        let mut queue = self.held();
        if queue.events.len() == MOST_WAITING {
            queue.events.pop_front();
            queue.dropped += 1;
            self.tally.dropped(1);
        }
        queue.events.push_back(event);
        drop(queue);
        self.changed.notify_all();
    }

    /// From now on there is no time but until then.
    pub(super) fn hurry(&self, until: Instant) {
        self.held().until = Some(until);
        self.changed.notify_all();
    }

    /// Nothing is added any more.
    pub(super) fn close(&self) {
        self.held().closed = true;
        self.changed.notify_all();
    }

    /// What is given up is counted there, where the name is shown.
    pub(super) fn set_heir(&self, heir: Option<Arc<Self>>) {
        self.held().heir = heir;
    }

    /// Nothing that waits is told any more.
    fn give_up(&self) {
        let mut queue = self.held();
        let count = queue.events.len() as u64;
        queue.events.clear();
        queue.dropped += count;
        let heir = queue.heir.take();
        drop(queue);
        if count > 0 {
            heir.as_deref().unwrap_or(self).tally.dropped(count);
            log::warn!(
                "alarm {}: {count} events did not reach whom they are for, and are given up",
                self.name
            );
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.held().events.len()
    }

    /// How much of `time` there is.
    pub(super) fn time_left(&self, time: Duration) -> Duration {
        match self.held().until {
            Some(until) => time.min(until.saturating_duration_since(Instant::now())),
            None => time,
        }
    }

    pub(super) fn notifier(&self) -> Notifier {
        self.tally.notifier(&self.name, self.waiting())
    }

    /// The oldest event, which stays in the queue, and how many were dropped before it; waits
    /// for one. None when there will be no more.
    fn first(&self) -> Option<(u64, Event)> {
        let mut queue = self.held();
        loop {
            let is_late = queue.until.is_some_and(|until| until <= Instant::now());
            if let Some(event) = queue.events.front().filter(|_| !is_late) {
                return Some((queue.dropped, event.clone()));
            }
            if queue.closed || is_late {
                return None;
            }
            let waited = self.changed.wait(queue);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The oldest event is done with, if it was not dropped meanwhile.
    fn done(&self, dropped_before: u64) {
        let mut queue = self.held();
        if queue.dropped == dropped_before {
            queue.events.pop_front();
        }
    }

    /// Waits for so long, or until there is no more time.
    fn pause(&self, time: Duration) {
        let queue = self.held();
        let not_in_a_hurry = |queue: &mut Queue| queue.until.is_none();
        let waited = self.changed.wait_timeout_while(queue, time, not_in_a_hurry);
        drop(waited);
    }

    fn held(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread that carries out an alarm's errands until they are closed.
pub(super) fn start(
    errands: Arc<Errands>,
    mut runner: Box<dyn Runner>,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name("alarm".to_owned())
        .spawn(move || carry_out(&errands, runner.as_mut()))
}

fn carry_out(errands: &Errands, runner: &mut dyn Runner) {
    let mut pause = FIRST_PAUSE;
    while let Some((dropped_before, event)) = errands.first() {
        match runner.tell(&event, errands) {
            Outcome::Told => {
                errands.tally.told();
                errands.done(dropped_before);
                pause = FIRST_PAUSE;
            }
            Outcome::TryAgain(why) => {
                errands.tally.failed(&why);
                let name = &errands.name;
                log::warn!("alarm {name}: {why}; again in {} s", pause.as_secs());
                errands.pause(pause);
                pause = longer(pause);
                if errands.time_left(pause) < pause {
                    // Nothing gets better in so short a time.
                    break;
                }
            }
            Outcome::GivenUp(why) => {
                errands.tally.failed(&why);
                log::warn!("alarm {}: {why}: {event}", errands.name);
                errands.done(dropped_before);
            }
        }
    }
    errands.give_up();
}

/// The pause after this one.
fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarms::tests::event;

    #[test]
    fn of_too_many_the_oldest_go_and_are_counted() {
        let errands = Errands::new("a".to_owned());
        for at in 0..MOST_WAITING as u64 + 3 {
            errands.add(event(at));
        }
        let (dropped, first) = errands.first().unwrap();
        assert_eq!((dropped, first.at_unix_ms), (3, 3));
        // It is dropped while it is being told: the next one is not done with.
        errands.add(event(900));
        errands.done(dropped);
        assert_eq!(errands.waiting(), MOST_WAITING);
        assert_eq!(errands.first().unwrap().1.at_unix_ms, 4);
        errands.done(4);
        assert_eq!(errands.waiting(), MOST_WAITING - 1);
        assert_eq!(errands.notifier().dropped, 4);
    }

    struct Script(Vec<Outcome>, Vec<u64>);

    impl Runner for Script {
        fn tell(&mut self, event: &Event, _: &Errands) -> Outcome {
            self.1.push(event.at_unix_ms);
            self.0.remove(0)
        }
    }

    #[test]
    fn what_failed_is_tried_again_and_what_is_given_up_is_not() {
        let errands = Errands::new("a".to_owned());
        for at in 1..=3 {
            errands.add(event(at));
        }
        errands.close();
        let (again, never) = ("no answer".to_owned(), "exit code 3".to_owned());
        let outcomes = vec![
            Outcome::TryAgain(again),
            Outcome::Told,
            Outcome::GivenUp(never.clone()),
            Outcome::Told,
        ];
        let mut script = Script(outcomes, Vec::new());
        let start = Instant::now();
        carry_out(&errands, &mut script);
        assert!(start.elapsed() >= FIRST_PAUSE);
        assert_eq!(script.1, [1, 1, 2, 3]);
        let notifier = errands.notifier();
        assert_eq!(
            (notifier.sent, notifier.failed, notifier.waiting),
            (2, 2, 0)
        );
        assert_eq!(
            (notifier.failing, notifier.last_error),
            (false, Some(never))
        );
    }

    #[test]
    fn pauses_grow_and_are_short_again_once_an_event_is_told() {
        let errands = Errands::new("a".to_owned());
        errands.add(event(1));
        errands.add(event(2));
        errands.close();
        let again = || Outcome::TryAgain(String::new());
        let outcomes = vec![again(), again(), Outcome::Told, again(), Outcome::Told];
        let start = Instant::now();
        carry_out(&errands, &mut Script(outcomes, Vec::new()));
        let range = FIRST_PAUSE * 4..FIRST_PAUSE * 6;
        assert!(range.contains(&start.elapsed()), "{:?}", start.elapsed());
        let pauses = std::iter::successors(Some(FIRST_PAUSE), |&pause| Some(longer(pause)));
        let pauses_s: Vec<u64> = pauses.take(9).map(|pause| pause.as_secs()).collect();
        assert_eq!(pauses_s, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn a_failure_that_goes_on_is_no_news() {
        let tally = Tally::default();
        assert!(tally.failed("no answer"));
        assert!(!tally.failed("no answer"));
        assert!(tally.failed("refused"));
        tally.told();
        assert!(tally.failed("refused"));
        assert_eq!(tally.notifier("a", 0).failed, 4);
    }

    #[test]
    fn a_pause_ends_when_there_is_no_more_time() {
        let errands = Errands::new("a".to_owned());
        errands.add(event(1));
        let start = Instant::now();
        errands.hurry(start + Duration::from_millis(50));
        let mut script = Script(vec![Outcome::TryAgain(String::new())], Vec::new());
        carry_out(&errands, &mut script);
        assert!(start.elapsed() < FIRST_PAUSE);
        let counts = errands.notifier();
        assert_eq!((counts.waiting, counts.dropped), (0, 1));
    }
}
