//! What the control thread is asked, and how its answers come back.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, bounded};
use serde_json::json;

use super::reload::{Source, Wanted as Reload};
use super::status::{Kicked, Masked, Status, Unmasked};
use crate::capture::{Capturing, Names, Wanted};
use crate::config::Reloaded;

/// The control thread answers within microseconds unless something is wrong.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// A status of a hundred thousand lines is written between its other work, behind one that was begun before.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);
/// Questions that wait at a time; who asks more waits before.
const MAX_WAITING: usize = 16;

/// What may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The whole [`Status`].
    Status,
    /// End what has this name.
    Kick(String),
    /// Have what has this name carry nothing for so long, for a drill.
    Mask {
        name: String,
        for_s: u64,
    },
    Unmask(String),
    /// Follow another configuration.
    Reload(Reload),
    /// Begin a capture.
    Capture(Wanted),
    /// The names that a capture needs, which is thereby known to be read.
    CaptureNames(u64),
    EndCapture(u64),
}

impl Question {
    /// How long an answer is waited for.
    #[must_use]
    pub const fn patience(&self) -> Duration {
        match self {
            Self::Status => STATUS_TIMEOUT,
            _ => ANSWER_TIMEOUT,
        }
    }
}

/// What the control thread says.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Status(Arc<Status>),
    Kicked(Kicked),
    Masked(Masked),
    Unmasked(Unmasked),
    Reloaded(Box<Reloaded>),
    Capturing(Box<Capturing>),
    CaptureNames(Box<Names>),
    CaptureEnded,
    /// It cannot be done, and why.
    Refused(String),
    /// It cannot be done as things are, and why.
    NotNow(String),
}

impl Answer {
    /// One JSON document without a line end.
    #[must_use]
    pub fn json(&self) -> String {
        let answer = match self {
            Self::Status(status) => serde_json::to_string(&**status),
            Self::Kicked(kicked) => serde_json::to_string(kicked),
            Self::Masked(masked) => serde_json::to_string(masked),
            Self::Unmasked(unmasked) => serde_json::to_string(unmasked),
            Self::Reloaded(reloaded) => serde_json::to_string(reloaded),
            Self::Capturing(capturing) => Ok(json!({ "capture": capturing.id }).to_string()),
            Self::CaptureNames(names) => serde_json::to_string(names),
            Self::CaptureEnded => Ok(json!({}).to_string()),
            Self::Refused(why) | Self::NotNow(why) => Ok(json!({ "error": why }).to_string()),
        };
        answer.unwrap_or_else(|error| json!({ "error": error.to_string() }).to_string())
    }
}

/// A question for the control thread.
#[derive(Debug)]
pub struct Request {
    pub command: Question,
    reply: Sender<Answer>,
    /// When the asker gives up.
    until: Instant,
}

impl Request {
    /// Whether the asker still waits.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        Instant::now() < self.until
    }

    /// Answers. Never blocks. False when the asker has gone away: nobody else wants the answer.
    pub fn answer(&self, answer: Answer) -> bool {
        self.reply.try_send(answer).is_ok()
    }
}

/// Asks the control thread, from any other.
#[derive(Clone, Debug)]
pub struct Asker {
    questions: Sender<Request>,
    /// What is read again by [`Asker::reload`].
    pub(super) source: Option<Arc<Source>>,
}

/// An asker, and where its questions come out.
#[must_use]
pub fn channel() -> (Asker, Receiver<Request>) {
    let (questions, receiver) = bounded(MAX_WAITING);
    let asker = Asker {
        questions,
        source: None,
    };
    (asker, receiver)
}

impl Asker {
    /// The same, of an appliance that was started with a file.
    #[must_use]
    pub fn of_file(self, file: PathBuf) -> Self {
        Self {
            source: Some(Arc::new(Source::new(file))),
            ..self
        }
    }

    /// Asks, and waits for the answer for [`Question::patience`] at most. No answer is a refusal.
    #[must_use]
    pub fn ask(&self, command: Question) -> Answer {
        let answered = self.try_ask(command);
        answered.unwrap_or_else(|unanswered| Answer::Refused(unanswered.to_string()))
    }

    /// As [`Asker::ask`].
    ///
    /// # Errors
    /// When there is no answer in time.
    pub fn try_ask(&self, command: Question) -> Result<Answer, Unanswered> {
        let patience = command.patience();
        self.try_ask_for(command, patience)
    }

    /// The same of what may take so long.
    pub(crate) fn try_ask_for(
        &self,
        command: Question,
        patience: Duration,
    ) -> Result<Answer, Unanswered> {
        let deadline = Instant::now() + patience;
        let (reply, answer) = bounded(1);
        let request = Request {
            command,
            reply,
            until: deadline,
        };
        let sent = self.questions.send_deadline(request, deadline);
        sent.map_err(|_| Unanswered::Busy)?;
        answer.recv_deadline(deadline).map_err(|_| Unanswered::Late)
    }
}

/// Why the control thread says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// It does not take the question.
    Busy,
    /// It does not answer in time.
    Late,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Busy => "the control thread is busy or has ended",
            Self::Late => "the control thread did not answer in time, and may still do it",
        })
    }
}

impl std::error::Error for Unanswered {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_comes_when_the_asker_is_gone_is_known_to_be_lost() {
        let (reply, answer) = bounded(1);
        let request = Request {
            command: Question::Status,
            reply,
            until: Instant::now(),
        };
        assert!(!request.is_awaited());
        drop(answer);
        assert!(!request.answer(Answer::CaptureEnded));

        let (asker, requests) = channel();
        let answering = std::thread::spawn(move || {
            let request = requests.recv().unwrap();
            assert!(request.is_awaited());
            request.answer(Answer::CaptureEnded)
        });
        assert_eq!(asker.ask(Question::EndCapture(1)), Answer::CaptureEnded);
        assert!(answering.join().unwrap());
    }
}
