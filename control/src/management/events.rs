//! What happened, as the socket is asked for it: `hal2tp events`.

use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::socket::{self, ClientError};
use crate::monitor::{Event, Events};

/// Events in one answer at most.
const MOST: usize = 10_000;
/// Between two looks at whether something happened.
const LOOK: Duration = Duration::from_millis(500);

/// Which events are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventsWanted {
    /// The newest of them, so many.
    pub most: usize,
    /// Only those after this number.
    pub after: u64,
    /// Only those of this link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Only those of this set and its links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
}

impl Default for EventsWanted {
    fn default() -> Self {
        Self {
            most: 50,
            after: 0,
            link: None,
            set: None,
        }
    }
}

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    /// The number of the newest event that there is, wanted or not.
    pub last: u64,
    /// The oldest first.
    pub events: Vec<Event>,
}

impl EventsWanted {
    pub(super) fn json(&self) -> String {
        // Names and numbers alone: there is nothing that JSON has not.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn of(&self, events: &Events) -> Happened {
        let is =
            |wanted: &Option<String>, name: &Option<String>| wanted.is_none() || wanted == name;
        let wanted = |event: &Event| is(&self.link, &event.link) && is(&self.set, &event.set);
        let (last, mut events) = events.after(self.after, self.most.min(MOST), wanted);
        events.reverse();
        Happened { last, events }
    }
}

impl Happened {
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Shows what happened, and goes on as things happen if it is to `follow`.
///
/// # Errors
/// As [`socket::request`]; an appliance that is followed has ended.
pub fn show(
    path: &Path,
    mut wanted: EventsWanted,
    follow: bool,
    mut say: impl FnMut(&Event) -> io::Result<()>,
) -> Result<(), ClientError> {
    loop {
        let happened = socket::events(path, &wanted)?;
        let said = happened.events.iter().try_for_each(&mut say);
        // A reader that has gone away is no error.
        if said.is_err() || !follow {
            return Ok(());
        }
        // Whatever happens from now on is shown, however much it is.
        (wanted.after, wanted.most) = (happened.last, MOST);
        thread::sleep(LOOK);
    }
}

/// A line for people: when, in UTC (RFC 3339), and what.
#[must_use]
pub fn line(event: &Event) -> String {
    let at_ms = i64::try_from(event.at_unix_ms).unwrap_or(i64::MAX);
    let at = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::MAX);
    format!("{at:.3} {event}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::EventKind;

    fn event(at_unix_ms: u64, link: &str, set: &str) -> Event {
        Event {
            at_unix_ms,
            event: EventKind::LinkUp,
            link: Some(link.to_owned()),
            set: Some(set.to_owned()),
            remote: None,
            reason: None,
            text: "IPv4, HA".to_owned(),
        }
    }

    #[test]
    fn those_that_are_asked_for_come_oldest_first() {
        let events = Events::default();
        for at in 0..6 {
            let link = if at % 2 == 0 { "a" } else { "b" };
            events.add(event(at, link, if at < 3 { "A" } else { "B" }));
        }
        let times = |wanted: &EventsWanted| {
            let happened = wanted.of(&events);
            assert_eq!(happened.last, 6);
            let times = happened.events.iter().map(|event| event.at_unix_ms);
            times.collect::<Vec<_>>()
        };
        let all = EventsWanted::default();
        assert_eq!(times(&all), [0, 1, 2, 3, 4, 5]);
        let (link, set) = (Some("a".to_owned()), Some("B".to_owned()));
        assert_eq!(
            times(&EventsWanted {
                most: 2,
                ..all.clone()
            }),
            [4, 5]
        );
        assert_eq!(
            times(&EventsWanted {
                after: 5,
                ..all.clone()
            }),
            [5]
        );
        assert_eq!(
            times(&EventsWanted {
                link: link.clone(),
                ..all.clone()
            }),
            [0, 2, 4]
        );
        assert_eq!(
            times(&EventsWanted {
                set: set.clone(),
                ..all.clone()
            }),
            [3, 4, 5]
        );
        assert_eq!(times(&EventsWanted { link, set, ..all }), [4]);
    }

    #[test]
    fn a_line_has_its_time_first() {
        let expected = "2026-11-27T04:05:06.007Z event=link-up link=a set=A text=\"IPv4, HA\"";
        assert_eq!(line(&event(1_795_752_306_007, "a", "A")), expected);
        assert!(line(&event(u64::MAX, "a", "A")).contains("event=link-up"));
    }
}
