//! Has the configuration read again. It is read and checked in a thread of its own, one at a
//! time: the control thread, which must not wait, is handed what came of it, and whoever asks
//! waits no longer than said here, whatever the file is on.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::request::{Answer, Asker, Question, Unanswered};
use crate::config::{self, Config};

/// How long a file may take to be read and checked, and how long one asker waits for another.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the control thread may take to follow it: tens of thousands of links may end.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(10);

/// The file that the appliance was started with.
#[derive(Debug)]
pub(super) struct Source {
    file: PathBuf,
    /// There is one turn: what was read later is never overtaken by what was read before.
    turn: (Sender<()>, Receiver<()>),
    hang_ups: Mutex<HangUps>,
}

/// What became of the signals so far.
#[derive(Debug, Default)]
struct HangUps {
    /// One is being followed.
    followed: bool,
    /// Another one came meanwhile.
    another: bool,
}

/// Whoever has it reads, and has it followed. Another one can when it is dropped.
struct Turn(Arc<Source>);

impl Drop for Turn {
    fn drop(&mut self) {
        // There is room for the one that there is.
        let _ = self.0.turn.0.try_send(());
    }
}

impl Source {
    pub(super) fn new(file: PathBuf) -> Self {
        let turn = bounded(1);
        // It is empty.
        let _ = turn.0.try_send(());
        Self {
            file,
            turn,
            hang_ups: Mutex::default(),
        }
    }

    fn turn(self: &Arc<Self>, patience: Duration) -> Option<Turn> {
        let turn = self.turn.1.recv_timeout(patience);
        turn.ok().map(|()| Turn(Arc::clone(self)))
    }

    fn read(&self) -> Result<Read, String> {
        let (config, warnings) =
            Config::load(&self.file).map_err(|problems| config::report(&problems))?;
        Ok(Read {
            file: self.file.display().to_string(),
            config: Arc::new(config),
            warnings: warnings.iter().map(ToString::to_string).collect(),
        })
    }

    /// Has it read in another thread, which keeps the turn if that takes too long.
    fn in_time(
        &self,
        turn: Turn,
        patience: Duration,
        read: impl FnOnce() -> Result<Read, String> + Send + 'static,
    ) -> (Result<Read, String>, Option<Turn>) {
        let (done, answer) = bounded(1);
        let started = thread::Builder::new()
            .name("reader".to_owned())
            .spawn(move || {
                // Perhaps nobody waits for it any more.
                let _ = done.send((read(), turn));
            });
        let file = self.file.display();
        if let Err(error) = started {
            return (Err(format!("{file}: cannot be read: {error}")), None);
        }
        match answer.recv_timeout(patience) {
            Ok((read, turn)) => (read, Some(turn)),
            Err(RecvTimeoutError::Timeout) => {
                let seconds = patience.as_secs();
                let why = format!("{file}: cannot be read: it took more than {seconds} s");
                (Err(why), None)
            }
            Err(RecvTimeoutError::Disconnected) => {
                let why = format!("{file}: cannot be read: whoever did so panicked");
                (Err(why), None)
            }
        }
    }

    fn hang_ups(&self) -> MutexGuard<'_, HangUps> {
        // Nothing is half done when a holder panics.
        self.hang_ups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether whoever is told of a signal is to follow it: nobody does yet.
    fn begin_hang_up(&self) -> bool {
        let mut hang_ups = self.hang_ups();
        hang_ups.another = hang_ups.followed;
        !std::mem::replace(&mut hang_ups.followed, true)
    }

    /// One was followed; whether there is another.
    fn end_hang_up(&self) -> bool {
        let mut hang_ups = self.hang_ups();
        hang_ups.followed = std::mem::take(&mut hang_ups.another);
        hang_ups.followed
    }
}

/// A configuration that is to be followed, or what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub read: Result<Read, String>,
    /// Only what would be done is to be said.
    pub dry_run: bool,
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pub file: String,
    pub config: Arc<Config>,
    /// What is not as good in it as it could be, each as `hal2tp check` has it.
    pub warnings: Vec<String>,
}

impl Asker {
    /// Has the configuration read again and followed, all of it or nothing.
    ///
    /// # Errors
    /// When there is no answer in time.
    pub fn reload(&self, dry_run: bool) -> Result<Answer, Unanswered> {
        let Some(source) = &self.source else {
            let why = "the appliance was not started with a file";
            return Ok(Answer::Refused(why.to_owned()));
        };
        self.reload_from(source, dry_run, READ_TIMEOUT)
    }

    fn reload_from(
        &self,
        source: &Arc<Source>,
        dry_run: bool,
        patience: Duration,
    ) -> Result<Answer, Unanswered> {
        let Some(turn) = source.turn(patience) else {
            let file = source.file.display();
            let why = format!("{file}: is being read for somebody else, which takes long");
            return Ok(Answer::NotNow(why));
        };
        let reader = Arc::clone(source);
        let (read, _turn) = source.in_time(turn, patience, move || reader.read());
        let question = Question::Reload(Wanted { read, dry_run });
        self.try_ask_for(question, FOLLOW_TIMEOUT)
    }

    /// The same without waiting; what comes of it is logged. What is asked meanwhile, however
    /// often, is done once afterwards.
    pub fn reload_in_background(&self) {
        let source = self.source.clone();
        if source.is_some_and(|source| !source.begin_hang_up()) {
            return;
        }
        let asker = self.clone();
        let started = thread::Builder::new()
            .name("reload".to_owned())
            .spawn(move || {
                asker.reload_and_log();
                while asker.source.as_ref().is_some_and(|it| it.end_hang_up()) {
                    asker.reload_and_log();
                }
            });
        if let Err(error) = started {
            log::error!("the configuration is not read again: {error}");
            if let Some(source) = &self.source {
                *source.hang_ups() = HangUps::default();
            }
        }
    }

    fn reload_and_log(&self) {
        let (level, text) = match self.reload(false) {
            Ok(Answer::Reloaded(reloaded)) => {
                for warning in &reloaded.warnings {
                    log::warn!("{warning}");
                }
                (log::Level::Info, reloaded.lines().join("\n"))
            }
            Ok(Answer::Refused(why) | Answer::NotNow(why)) => (log::Level::Error, why),
            Ok(_) => (log::Level::Error, "something else was answered".to_owned()),
            Err(unanswered) => (log::Level::Error, unanswered.to_string()),
        };
        for line in text.lines() {
            log::log!(level, "reload: {}", line.trim_start());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::{Request, channel};
    use super::*;

    const A_MOMENT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(20);

    fn demo() -> PathBuf {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/demo/head.yaml").into()
    }

    fn answer(request: &Request) {
        let Question::Reload(wanted) = &request.command else {
            panic!("{request:?}");
        };
        request.answer(match &wanted.read {
            Ok(_) => Answer::Reloaded(Box::default()),
            Err(why) => Answer::Refused(why.clone()),
        });
    }

    /// Somebody reads, and does not come to an end.
    #[test]
    fn who_cannot_have_a_turn_is_told_so() {
        let (asker, questions) = channel();
        let asker = asker.of_file(demo());
        let source = Arc::clone(asker.source.as_ref().unwrap());
        let turn = source.turn(A_MOMENT).unwrap();
        let Ok(Answer::NotNow(why)) = asker.reload_from(&source, false, A_MOMENT) else {
            panic!("there is one turn");
        };
        assert!(why.contains("head.yaml: is being read for"), "{why}");
        drop(turn);
        let answering = thread::spawn(move || answer(&questions.recv().unwrap()));
        let done = asker.reload_from(&source, false, A_MOMENT);
        assert_eq!(done, Ok(Answer::Reloaded(Box::default())));
        answering.join().unwrap();
        assert!(source.turn(A_MOMENT).is_some(), "it is given back");
    }

    #[test]
    fn what_takes_too_long_to_be_read_is_refused_and_keeps_the_turn_till_then() {
        let source = Arc::new(Source::new(demo()));
        let turn = source.turn(A_MOMENT).unwrap();
        let (end, ended) = bounded::<()>(0);
        let (read, kept) = source.in_time(turn, A_MOMENT, move || {
            ended.recv().unwrap();
            Err("too late".to_owned())
        });
        let why = read.unwrap_err();
        assert!(why.ends_with("it took more than 0 s"), "{why}");
        assert!(kept.is_none() && source.turn(A_MOMENT).is_none());
        end.send(()).unwrap();
        assert!(source.turn(LONG).is_some(), "when it has been read");
    }

    #[test]
    fn signals_are_followed_one_at_a_time_and_the_rest_of_them_once() {
        let (asker, questions) = channel();
        let asker = asker.of_file(demo());
        asker.reload_in_background();
        let first = questions.recv_timeout(LONG).unwrap();
        for _ in 0..50 {
            asker.reload_in_background();
        }
        assert!(questions.recv_timeout(A_MOMENT).is_err(), "one at a time");
        answer(&first);
        answer(&questions.recv_timeout(LONG).unwrap());
        assert!(questions.recv_timeout(A_MOMENT).is_err(), "once");
        asker.reload_in_background();
        answer(&questions.recv_timeout(LONG).unwrap());
    }
}
