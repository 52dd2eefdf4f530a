//! Looks up names beside the control thread: the system's resolver may take
//! its time, and tunnels that are up cannot wait for it.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Names that are looked up at the same time.
const THREADS: usize = 4;
/// Addresses of one name that are looked at.
const MOST_ADDRESSES: usize = 16;

/// The addresses of a name, in the resolver's order, or what went wrong.
pub(crate) type Addresses = Result<Vec<IpAddr>, String>;

/// The number that the answer is to have, and a name.
type Question = (u64, String);
type Answer = (u64, Addresses);

/// Threads that look names up; there are none before the first question.
pub(crate) struct Resolver {
    questions: Option<Sender<Question>>,
    answers: (Sender<Answer>, Receiver<Answer>),
}

impl Resolver {
    #[must_use]
    pub(crate) fn new() -> Self {
        Self {
            questions: None,
            answers: channel(),
        }
    }

    /// Has a name looked up. Every question is answered once.
    pub(crate) fn ask(&mut self, lookup: u64, name: String) {
        let answers = &self.answers.0;
        let questions = self.questions.get_or_insert_with(|| start(answers));
        if let Err(lost) = questions.send((lookup, name)) {
            let (lookup, _) = lost.0;
            // Threads are tried for again with the next question.
            self.questions = None;
            let why = "there is no thread to look names up with; the log says why";
            // The other end of this channel is in `self`.
            let _ = answers.send((lookup, Err(why.to_owned())));
        }
    }

    /// The next answer, if there is one.
    pub(crate) fn answer(&self) -> Option<Answer> {
        self.answers.1.try_recv().ok()
    }
}

fn start(answers: &Sender<Answer>) -> Sender<Question> {
    let (sender, receiver) = channel();
    let receiver = Arc::new(Mutex::new(receiver));
    for _ in 0..THREADS {
        let (receiver, answers) = (Arc::clone(&receiver), answers.clone());
        let work = move || serve(&receiver, &answers);
        if let Err(error) = std::thread::Builder::new()
            .name("resolver".to_owned())
            .spawn(work)
        {
            log::warn!("no thread to look names up with: {error}");
        }
    }
    sender
}

/// Ends when nobody can ask any more.
fn serve(questions: &Mutex<Receiver<Question>>, answers: &Sender<Answer>) {
    loop {
        let question = questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok((lookup, name)) = question else {
            return;
        };
        if answers.send((lookup, look_up(&name))).is_err() {
            return;
        }
    }
}

fn look_up(name: &str) -> Addresses {
    let found = (name, crate::l2tp::PORT)
        .to_socket_addrs()
        .map_err(|error| error.to_string())?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found.map(|found| found.ip()) {
        if addresses.len() < MOST_ADDRESSES && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn answers(resolver: &Resolver, count: usize) -> Vec<Answer> {
        let until = Instant::now() + Duration::from_secs(30);
        let mut answers = Vec::new();
        while answers.len() < count && Instant::now() < until {
            answers.extend(resolver.answer());
            std::thread::sleep(Duration::from_millis(1));
        }
        answers.sort_by_key(|(lookup, _)| *lookup);
        answers
    }

    #[test]
    fn every_question_is_answered_and_asking_does_not_wait() {
        let mut resolver = Resolver::new();
        // No such name can be asked for, so none leaves this machine.
        let impossible = format!("{}.invalid", "x".repeat(64));
        for lookup in 0..20 {
            let name = match lookup % 2 {
                0 => "127.0.0.1".to_owned(),
                _ => impossible.clone(),
            };
            resolver.ask(lookup, name);
        }
        let answers = answers(&resolver, 20);
        let numbers: Vec<u64> = answers.iter().map(|(lookup, _)| *lookup).collect();
        assert_eq!(numbers, (0..20).collect::<Vec<_>>());
        for (lookup, addresses) in answers {
            match addresses {
                Ok(addresses) => {
                    assert_eq!(lookup % 2, 0);
                    assert_eq!(addresses, [IpAddr::from([127, 0, 0, 1])], "once each");
                }
                Err(error) => assert!(lookup % 2 == 1 && !error.is_empty()),
            }
        }
    }
}
