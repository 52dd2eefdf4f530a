//! What happened to links and sets.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// How many of the newest events are kept at hand.
const KEPT: usize = 10_000;

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    LinkUp,
    LinkDown,
    /// A link that is up delivers nothing.
    FaultBegan,
    FaultEnded,
    /// Two links or more carry the set.
    SetProtected,
    /// One link carries the set: the next failure is felt.
    SetOneLink,
    /// The peer does not speak HA: one link carries, the others stand by.
    SetUnprotected,
    /// No link carries the set.
    SetDown,
    /// Two boxes use the same credentials.
    ConflictBegan,
    ConflictEnded,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Since 1970, by the system's clock.
    pub at_unix_ms: u64,
    pub event: EventKind,
    /// The link's `graph`; absent when it happened to a set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The set's name and remote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// Why, for people.
    pub text: String,
}

/// The newest events, for everybody.
#[derive(Debug, Default)]
pub struct Events(Mutex<VecDeque<Event>>);

impl Events {
    /// Adds what happened last; the oldest goes when there are too many.
    pub fn add(&self, event: Event) {
        let mut events = self.held();
        if events.len() == KEPT {
            events.pop_front();
        }
        events.push_back(event);
    }

    /// The newest events that are `wanted`, the newest first, at most `most` of them.
    #[must_use]
    pub fn newest(&self, most: usize, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        let events = self.held();
        let wanted = events.iter().rev().filter(|event| wanted(event));
        wanted.take(most).cloned().collect()
    }

    /// Nothing is half done when a holder panics.
    fn held(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at_unix_ms: u64) -> Event {
        Event {
            at_unix_ms,
            event: EventKind::LinkDown,
            link: Some("head1".to_owned()),
            set: None,
            remote: None,
            text: "the peer does not answer".to_owned(),
        }
    }

    #[test]
    fn the_newest_come_first_and_the_oldest_go() {
        let events = Events::default();
        for at in 0..KEPT as u64 + 3 {
            events.add(event(at));
        }
        let times = |events: Vec<Event>| events.iter().map(|e| e.at_unix_ms).collect::<Vec<_>>();
        let last = KEPT as u64 + 2;
        assert_eq!(times(events.newest(2, |_| true)), [last, last - 1]);
        assert_eq!(times(events.newest(9, |e| e.at_unix_ms < 5)), [4, 3]);
    }

    #[test]
    fn an_event_is_written_in_the_words_of_the_interface() {
        let json = serde_json::to_string(&event(7)).unwrap();
        let expected = r#"{"at_unix_ms":7,"event":"link-down","link":"head1","text":"the peer does not answer"}"#;
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event(7));
    }
}
