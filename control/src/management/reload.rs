//! Has the configuration read again. The file is read and checked in the thread of whoever
//! asks: the control thread, which must not wait, is handed what came of it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::request::{Answer, Asker, Question, Unanswered};
use crate::config::{self, Config};

/// The file that the appliance was started with.
#[derive(Debug)]
pub(super) struct Source {
    file: PathBuf,
    /// One reads at a time: what was read later is never overtaken by what was read before.
    turn: Mutex<()>,
}

impl Source {
    pub(super) fn new(file: PathBuf) -> Self {
        Self {
            file,
            turn: Mutex::default(),
        }
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
        // Nothing is half done when a holder panics.
        let _turn = source.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let read = source.read();
        self.try_ask(Question::Reload(Wanted { read, dry_run }))
    }

    /// The same without waiting; what comes of it is logged.
    pub fn reload_in_background(&self) {
        let asker = self.clone();
        let started = thread::Builder::new()
            .name("reload".to_owned())
            .spawn(move || asker.reload_and_log());
        if let Err(error) = started {
            log::error!("the configuration is not read again: {error}");
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
            Ok(Answer::Refused(why)) => (log::Level::Error, why),
            Ok(_) => (log::Level::Error, "something else was answered".to_owned()),
            Err(unanswered) => (log::Level::Error, unanswered.to_string()),
        };
        for line in text.lines() {
            log::log!(level, "reload: {}", line.trim_start());
        }
    }
}
