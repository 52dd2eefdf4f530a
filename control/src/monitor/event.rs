//! What happened to links and sets, as everybody is told it.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::reading::set_graph;
use crate::engine::{Happening, What};

/// How many of the newest events are kept at hand.
const KEPT: usize = 10_000;

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    LinkUp,
    LinkDown,
    /// A link that is up delivers nothing.
    FaultBegan,
    FaultEnded,
    /// A link that is up carries nothing, for a drill.
    LinkMasked,
    LinkUnmasked,
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
    /// The configuration was read again, and is followed.
    Reloaded,
    /// It was read again, and is not followed.
    ReloadRefused,
}

impl EventKind {
    /// All of them, each with its word in the configuration and in JSON.
    pub const WORDS: [(&'static str, Self); 14] = [
        ("link-up", Self::LinkUp),
        ("link-down", Self::LinkDown),
        ("fault-began", Self::FaultBegan),
        ("fault-ended", Self::FaultEnded),
        ("link-masked", Self::LinkMasked),
        ("link-unmasked", Self::LinkUnmasked),
        ("set-protected", Self::SetProtected),
        ("set-one-link", Self::SetOneLink),
        ("set-unprotected", Self::SetUnprotected),
        ("set-down", Self::SetDown),
        ("conflict-began", Self::ConflictBegan),
        ("conflict-ended", Self::ConflictEnded),
        ("reloaded", Self::Reloaded),
        ("reload-refused", Self::ReloadRefused),
    ];

    #[must_use]
    pub fn word(self) -> &'static str {
        let mut words = Self::WORDS.iter();
        let found = words.find(|(_, kind)| *kind == self);
        found.map_or("unknown", |(word, _)| word)
    }

    /// How much it matters: as the levels of the log, and of syslog.
    #[must_use]
    pub const fn severity(self) -> log::Level {
        match self {
            Self::SetDown | Self::ConflictBegan => log::Level::Error,
            Self::LinkDown
            | Self::FaultBegan
            | Self::SetOneLink
            | Self::SetUnprotected
            | Self::ReloadRefused => log::Level::Warn,
            Self::LinkUp
            | Self::FaultEnded
            | Self::LinkMasked
            | Self::LinkUnmasked
            | Self::SetProtected
            | Self::ConflictEnded
            | Self::Reloaded => log::Level::Info,
        }
    }
}

impl From<&What> for EventKind {
    fn from(what: &What) -> Self {
        match what {
            What::LinkUp { .. } => Self::LinkUp,
            What::LinkDown(_) => Self::LinkDown,
            What::FaultBegan(_) => Self::FaultBegan,
            What::FaultEnded { .. } => Self::FaultEnded,
            What::LinkMasked { .. } => Self::LinkMasked,
            What::LinkUnmasked(_) => Self::LinkUnmasked,
            What::SetProtected { .. } => Self::SetProtected,
            What::SetOneLink { .. } => Self::SetOneLink,
            What::SetUnprotected => Self::SetUnprotected,
            What::SetDown { .. } => Self::SetDown,
            What::ConflictBegan => Self::ConflictBegan,
            What::ConflictEnded { .. } => Self::ConflictEnded,
            What::Reloaded(_) => Self::Reloaded,
            What::ReloadRefused(_) => Self::ReloadRefused,
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Event {
    /// Since 1970, by the system's clock.
    pub at_unix_ms: u64,
    pub event: EventKind,
    /// The link's `graph`; absent when it happened to a set or the appliance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The set's name and remote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// Why, in a word for programs; absent where there is nothing to tell apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why, for people.
    pub text: String,
}

impl Event {
    #[must_use]
    pub fn new(at_unix_ms: u64, happening: Happening) -> Self {
        let Happening { link, set, what } = happening;
        let (set, remote) = set.map(|set| (set.name, set.remote)).unzip();
        Self {
            at_unix_ms,
            event: EventKind::from(&what),
            link,
            set,
            remote,
            reason: what.reason().map(str::to_owned),
            text: what.to_string(),
        }
    }

    /// The names of the graphs that it concerns: the link's, then the set's.
    pub fn graphs(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let set = self.set.as_deref().map(|set| {
            let remote = self.remote.as_deref().unwrap_or_default();
            Cow::Owned(set_graph(set, remote))
        });
        let link = self.link.as_deref().map(Cow::Borrowed);
        link.into_iter().chain(set)
    }

    /// Of those, the one that it shows in: the link's, or the set's when it happened to that. Of the appliance there is none.
    #[must_use]
    pub fn graph(&self) -> Cow<'_, str> {
        self.graphs().next().unwrap_or_default()
    }

    /// What it says besides when: words and their values, those that are there.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, &str)> {
        let optional = [
            ("link", &self.link),
            ("set", &self.set),
            ("remote", &self.remote),
            ("reason", &self.reason),
        ];
        let optional = optional
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.as_deref()?)));
        std::iter::once(("event", self.event.word()))
            .chain(optional)
            .chain([("text", self.text.as_str())])
            .collect()
    }
}

/// One line of `key=value`, as logs are searched; when is not in it. Values with spaces or
/// quotes stand in quotes, as in Rust: a peer's text cannot look like another key, nor begin a line.
impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\');
        for (place, (key, value)) in self.fields().into_iter().enumerate() {
            let space = if place == 0 { "" } else { " " };
            if !value.is_empty() && value.chars().all(is_plain) {
                write!(formatter, "{space}{key}={value}")?;
            } else {
                write!(formatter, "{space}{key}={value:?}")?;
            }
        }
        Ok(())
    }
}

/// The newest events, for everybody. Those of this process are numbered from 1.
#[derive(Debug, Default)]
pub struct Events(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// The newest last. Those of earlier processes stand first.
    newest: VecDeque<Event>,
    /// Events that were added.
    count: u64,
}

impl Events {
    /// Adds what happened last; the oldest goes when there are too many.
    pub fn add(&self, event: Event) {
        let mut kept = self.held();
        if kept.newest.len() == KEPT {
            kept.newest.pop_front();
        }
        kept.newest.push_back(event);
        kept.count += 1;
    }

    /// Puts what happened to an earlier process, oldest first, before everything that was added, as far as there is room.
    pub fn restore(&self, earlier: Vec<Event>) {
        let mut kept = self.held();
        let room = KEPT - kept.newest.len();
        for event in earlier.into_iter().rev().take(room) {
            kept.newest.push_front(event);
        }
    }

    /// What was added after the first `seen` events, the oldest first, as far as it is still at hand; and how many were added in all.
    #[must_use]
    pub fn since(&self, seen: u64) -> (Vec<Event>, u64) {
        let kept = self.held();
        let new = usize::try_from(kept.count.saturating_sub(seen)).unwrap_or(usize::MAX);
        let known = kept.newest.len().saturating_sub(new);
        let news = kept.newest.iter().skip(known);
        (news.cloned().collect(), kept.count)
    }

    /// The newest events that are `wanted`, the newest first, at most `most` of them.
    #[must_use]
    pub fn newest(&self, most: usize, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        let kept = self.held();
        let wanted = kept.newest.iter().rev().filter(|event| wanted(event));
        wanted.take(most).cloned().collect()
    }

    /// The same of those after number `seen`, and the number of the last event there is. All that are at hand
    /// are after 0, and after a number that none has yet: it is of the process before.
    #[must_use]
    pub fn after(
        &self,
        seen: u64,
        most: usize,
        wanted: impl Fn(&Event) -> bool,
    ) -> (u64, Vec<Event>) {
        let kept = self.held();
        let last = kept.count;
        let fresh = match last.checked_sub(seen) {
            Some(fresh) if seen > 0 => usize::try_from(fresh).unwrap_or(usize::MAX),
            _ => KEPT,
        };
        let fresh = kept.newest.iter().rev().take(fresh);
        let wanted = fresh.filter(|event| wanted(event));
        (last, wanted.take(most).cloned().collect())
    }

    /// Nothing is half done when a holder panics.
    fn held(&self) -> MutexGuard<'_, Kept> {
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
            reason: Some("no-answer".to_owned()),
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
        let after = |seen, most| {
            let (newest, events) = events.after(seen, most, |_| true);
            (newest, times(events))
        };
        let number = last + 1;
        assert_eq!(after(number - 2, 9), (number, vec![last, last - 1]));
        assert_eq!(after(number - 2, 1), (number, vec![last]));
        assert_eq!(after(number, 9), (number, vec![]));
        assert_eq!(
            after(number + 1, 1),
            (number, vec![last]),
            "of another process"
        );
        assert_eq!(after(0, KEPT + 9).1.len(), KEPT);

        let (news, seen) = events.since(last - 1);
        assert_eq!((times(news), seen), (vec![last - 1, last], last + 1));
        assert_eq!(events.since(seen), (Vec::new(), seen));
        assert_eq!(events.since(0).0.len(), KEPT);
    }

    #[test]
    fn earlier_events_stand_before_those_that_came_meanwhile() {
        let events = Events::default();
        events.add(event(20));
        events.restore((0..KEPT as u64 + 5).map(event).collect());
        events.add(event(21));
        let newest = events.newest(KEPT, |_| true);
        let times: Vec<u64> = newest.iter().map(|event| event.at_unix_ms).collect();
        assert_eq!(times[..3], [21, 20, KEPT as u64 + 4]);
        // There was room for all but the oldest.
        assert_eq!((times.len(), times.last()), (KEPT, Some(&7)));
        // They are not new.
        assert_eq!(events.since(0), (vec![event(20), event(21)], 2));
    }

    #[test]
    fn an_event_belongs_to_a_graph() {
        assert_eq!(event(1).graph(), "head1");
        let of_set = Event {
            link: None,
            set: Some("A".to_owned()),
            remote: Some("192.0.2.1".to_owned()),
            ..event(1)
        };
        assert_eq!(of_set.graph(), "set/A/192.0.2.1");
        let of_both = Event {
            link: Some("head1".to_owned()),
            ..of_set
        };
        let graphs: Vec<_> = of_both.graphs().collect();
        assert_eq!(graphs, ["head1", "set/A/192.0.2.1"]);
        assert_eq!(of_both.graph(), "head1");
    }

    #[test]
    fn an_event_is_written_in_the_words_of_the_interface() {
        let json = serde_json::to_string(&event(7)).unwrap();
        let expected = r#"{"at_unix_ms":7,"event":"link-down","link":"head1","reason":"no-answer","text":"the peer does not answer"}"#;
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event(7));
    }

    #[test]
    fn words_are_those_of_json() {
        for (word, kind) in EventKind::WORDS {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("{word:?}"));
            assert_eq!(kind.word(), word);
        }
    }

    #[test]
    fn a_line_can_be_taken_apart_whatever_a_peer_says() {
        let said = event(7).to_string();
        assert_eq!(
            said,
            r#"event=link-down link=head1 reason=no-answer text="the peer does not answer""#
        );
        let text = "a\n\" link=x \u{1b}[2J".to_owned();
        let said = Event { text, ..event(7) }.to_string();
        assert!(
            said.ends_with(r#" text="a\n\" link=x \u{1b}[2J""#),
            "{said}"
        );
    }

    #[test]
    fn a_happening_is_an_event_word_for_word() {
        use crate::engine::{Ending, SetName};
        let happening = Happening {
            link: Some("L1".to_owned()),
            set: Some(SetName {
                name: "A".to_owned(),
                remote: "192.0.2.1".to_owned(),
            }),
            what: What::LinkDown(Ending::Kicked),
        };
        let expected = Event {
            at_unix_ms: 5,
            event: EventKind::LinkDown,
            link: Some("L1".to_owned()),
            set: Some("A".to_owned()),
            remote: Some("192.0.2.1".to_owned()),
            reason: Some("kicked".to_owned()),
            text: "kicked by the operator".to_owned(),
        };
        assert_eq!(Event::new(5, happening), expected);
    }
}
