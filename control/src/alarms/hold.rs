//! Keeps back what may be taken back: a link that flaps is not told each time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::monitor::{Event, EventKind};

/// What an event is news of: of a link whether it is up, whether it has a fault; of a set how
/// it is protected, whether there is a conflict.
type Topic = (Option<String>, Option<String>, Option<String>, EventKind);

/// How topics are, of those that are not as they are at first: what is removed from a
/// configuration is down by then, and takes no room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct States(BTreeMap<Topic, EventKind>);

impl States {
    /// What an event says of its topic.
    pub(super) fn note(&mut self, event: &Event) {
        if let Some(topic) = topic(event) {
            self.set(topic, event.event);
        }
    }

    fn of(&self, topic: &Topic) -> EventKind {
        self.0.get(topic).copied().unwrap_or(topic.3)
    }

    fn set(&mut self, topic: Topic, state: EventKind) {
        if state == topic.3 {
            self.0.remove(&topic);
        } else {
            self.0.insert(topic, state);
        }
    }
}

/// The events of one alarm.
#[derive(Debug)]
pub(super) struct Hold {
    time: Duration,
    /// What was let through last.
    known: States,
    held: BTreeMap<Topic, (Instant, Event)>,
}

impl Hold {
    /// `known` is how everything is already: who is told from now on is told what differs.
    pub(super) fn new(time: Duration, known: States) -> Self {
        Self {
            time,
            known,
            held: BTreeMap::new(),
        }
    }

    /// Takes an event; gives what is to be told now. Of a topic that has changed, the newest
    /// event is told when the time is over, unless all is as it was.
    pub(super) fn take(&mut self, now: Instant, event: &Event) -> Vec<Event> {
        let topic = topic(event).filter(|_| !self.time.is_zero());
        let Some(topic) = topic else {
            return vec![event.clone()];
        };
        let known = self.known.of(&topic);
        let since = self.held.remove(&topic).map(|(due, _)| due);
        if event.event != known {
            let due = since.unwrap_or(now + self.time);
            self.held.insert(topic, (due, event.clone()));
        }
        Vec::new()
    }

    /// When [`Self::release`] has something.
    pub(super) fn due(&self) -> Option<Instant> {
        self.held.values().map(|&(due, _)| due).min()
    }

    /// What has stood long enough, in the order in which it happened.
    pub(super) fn release(&mut self, now: Instant) -> Vec<Event> {
        if self.due().is_none_or(|due| due > now) {
            return Vec::new();
        }
        let held = std::mem::take(&mut self.held).into_iter();
        let (due, later) = held.partition(|(_, (due, _))| *due <= now);
        self.held = later;
        self.let_through(due)
    }

    /// All of it: nothing more will come.
    pub(super) fn release_all(&mut self) -> Vec<Event> {
        let held = std::mem::take(&mut self.held);
        self.let_through(held)
    }

    fn let_through(&mut self, held: BTreeMap<Topic, (Instant, Event)>) -> Vec<Event> {
        let mut events = Vec::with_capacity(held.len());
        for (topic, (_, event)) in held {
            self.known.set(topic, event.event);
            events.push(event);
        }
        events.sort_by_key(|event| event.at_unix_ms);
        events
    }
}

/// None of what cannot be taken back.
fn topic(event: &Event) -> Option<Topic> {
    let first = match event.event {
        EventKind::LinkUp | EventKind::LinkDown => EventKind::LinkDown,
        EventKind::FaultBegan | EventKind::FaultEnded => EventKind::FaultEnded,
        EventKind::LinkMasked | EventKind::LinkUnmasked => EventKind::LinkUnmasked,
        EventKind::SetProtected
        | EventKind::SetOneLink
        | EventKind::SetUnprotected
        | EventKind::SetDown => EventKind::SetDown,
        EventKind::ConflictBegan | EventKind::ConflictEnded => EventKind::ConflictEnded,
        EventKind::Reloaded | EventKind::ReloadRefused => return None,
    };
    Some((
        event.link.clone(),
        event.set.clone(),
        event.remote.clone(),
        first,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(link: &str, event: EventKind, at_unix_ms: u64) -> Event {
        Event {
            at_unix_ms,
            event,
            link: Some(link.to_owned()),
            set: None,
            remote: None,
            reason: None,
            text: String::new(),
        }
    }

    /// What is told when, of events at so many seconds, with ten seconds of hold.
    fn told(events: &[(u64, &str, EventKind)]) -> Vec<(u64, String, EventKind)> {
        let start = Instant::now();
        let mut hold = Hold::new(Duration::from_secs(10), States::default());
        let mut told = Vec::new();
        for second in 0..100 {
            let now = start + Duration::from_secs(second);
            let mut out = hold.release(now);
            for &(_, link, kind) in events.iter().filter(|event| event.0 == second) {
                out.extend(hold.take(now, &event(link, kind, second)));
            }
            told.extend(
                out.into_iter()
                    .map(|it| (second, it.link.unwrap_or_default(), it.event)),
            );
        }
        assert_eq!(hold.due(), None);
        told
    }

    use EventKind::{FaultBegan, FaultEnded, LinkDown, LinkUp, SetDown, SetOneLink, SetProtected};

    #[test]
    fn what_is_taken_back_in_time_is_not_told() {
        let a = |second, kind| (second, "a", kind);
        let said = |second, kind| (second, "a".to_owned(), kind);
        let up = [a(0, LinkUp)];
        assert_eq!(told(&up), [said(10, LinkUp)]);
        // It flaps, and is up in the end.
        let flaps = [
            up[0],
            a(20, LinkDown),
            a(25, LinkUp),
            a(26, LinkDown),
            a(35, LinkUp),
        ];
        assert_eq!(told(&flaps), [said(10, LinkUp)]);
        // The second time it stays down: the time counts from then.
        let down = [up[0], a(20, LinkDown), a(25, LinkUp), a(26, LinkDown)];
        assert_eq!(told(&down), [said(10, LinkUp), said(36, LinkDown)]);
        // The start is not told of a link that never came up.
        assert_eq!(told(&[a(0, LinkUp), a(5, LinkDown)]), []);
    }

    #[test]
    fn a_set_that_goes_from_bad_to_worse_is_told_once_and_in_time() {
        let a = |second, kind| (second, "a", kind);
        let events = [a(0, SetProtected), a(20, SetOneLink), a(28, SetDown)];
        let said = |second, kind| (second, "a".to_owned(), kind);
        assert_eq!(told(&events), [said(10, SetProtected), said(30, SetDown)]);
    }

    #[test]
    fn links_and_topics_do_not_take_each_other_back() {
        let events = [
            (0, "a", LinkUp),
            (0, "b", LinkUp),
            (20, "a", LinkDown),
            (21, "a", FaultBegan),
            (22, "b", LinkDown),
            (23, "b", LinkUp),
            (24, "a", FaultEnded),
        ];
        let said = |second, link: &str, kind| (second, link.to_owned(), kind);
        let expected = [
            said(10, "a", LinkUp),
            said(10, "b", LinkUp),
            said(30, "a", LinkDown),
        ];
        assert_eq!(told(&events), expected);
    }

    #[test]
    fn each_event_has_a_time_of_its_own() {
        let events = [(0, "a", LinkUp), (2, "b", LinkUp)];
        let said = |second, link: &str| (second, link.to_owned(), LinkUp);
        assert_eq!(told(&events), [said(10, "a"), said(12, "b")]);
    }

    #[test]
    fn what_is_as_at_first_takes_no_room() {
        let mut states = States::default();
        for kind in [LinkUp, FaultBegan] {
            states.note(&event("a", kind, 0));
        }
        assert_eq!(states.0.len(), 2);
        let known = states.clone();
        for kind in [FaultEnded, LinkDown] {
            states.note(&event("a", kind, 1));
        }
        assert_eq!(states, States::default());
        // Who is told from then on knows how it was.
        let now = Instant::now();
        let mut hold = Hold::new(Duration::from_secs(1), known);
        assert_eq!(hold.take(now, &event("a", LinkUp, 2)), []);
        assert_eq!(hold.due(), None);
        let ended = event("a", FaultEnded, 3);
        assert_eq!(hold.take(now, &ended), []);
        assert_eq!(hold.release_all(), [ended]);
        assert_eq!(hold.known.0.len(), 1);
    }

    #[test]
    fn without_a_time_nothing_is_held_and_at_the_end_nothing_is_kept() {
        let now = Instant::now();
        let mut hold = Hold::new(Duration::ZERO, States::default());
        let down = event("a", LinkDown, 0);
        let told = hold.take(now, &down);
        assert_eq!(told, [down]);
        let mut hold = Hold::new(Duration::from_secs(1), States::default());
        let up = event("a", LinkUp, 0);
        assert_eq!(hold.take(now, &up), []);
        assert_eq!(hold.release_all(), [up]);
        assert_eq!(hold.due(), None);
    }
}
