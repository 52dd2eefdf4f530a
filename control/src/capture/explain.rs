//! What became of a frame, in words.

use std::collections::{HashMap, VecDeque};

use dataplane::capture::{Clock, Note, Record, Way};
use dataplane::command::{SessionId, SetId};
use dataplane::counters::Drop;
use dataplane::window::Verdict;

use super::filter::Outcome;
use super::names::{Choice, Index, Link, Set};
use super::packet::Packet;

/// First copies whose times are known: more than come within any link's delay.
const FIRST_COPIES: usize = 1 << 16;

/// A captured frame that was taken out of its batch.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) record: Record,
    /// Its first octets.
    pub(super) octets: Vec<u8>,
    pub(super) notes: Vec<Note>,
}

/// A frame, and what there is to say about it.
pub(super) struct Explained<'a> {
    pub(super) comment: String,
    pub(super) packet: Packet,
    /// What became of it, if that is one of what filters ask for.
    pub(super) outcome: Option<Outcome>,
    /// The links and sets that it has to do with.
    links: Vec<&'a Link>,
    sets: Vec<&'a Set>,
    ports: [&'a str; 2],
}

impl Explained<'_> {
    pub(super) fn is_of(&self, choice: &Choice) -> bool {
        choice.has_port(self.ports.iter().copied())
            && choice.has_link(self.links.iter().copied())
            && choice.has_set(self.sets.iter().copied())
    }
}

/// A number of a set's epoch.
type Number = (SetId, u32, u64);

/// When first copies came, and over which link; the oldest are forgotten.
#[derive(Default)]
pub(super) struct FirstCopies {
    of: HashMap<Number, (u64, SessionId)>,
    order: VecDeque<Number>,
}

impl FirstCopies {
    fn note(&mut self, number: Number, ticks: u64, session: SessionId) {
        if self.of.insert(number, (ticks, session)).is_some() {
            return;
        }
        self.order.push_back(number);
        if self.order.len() > FIRST_COPIES
            && let Some(oldest) = self.order.pop_front()
        {
            self.of.remove(&oldest);
        }
    }
}

/// Says what became of a frame. Frames come in the order of their times.
pub(super) fn explain<'a>(
    frame: &Frame,
    names: &'a Index,
    clock: &Clock,
    firsts: &mut FirstCopies,
) -> Explained<'a> {
    let record = &frame.record;
    let packet = Packet::read(&frame.octets, record.octets);
    let mut telling = Telling {
        names,
        words: Vec::new(),
        links: Vec::new(),
        sets: Vec::new(),
        outcome: None,
    };
    match record.way {
        Way::Received => telling.received(frame, &packet, clock, firsts),
        Way::Sent => telling.sent(record, &packet),
    }
    if record.more {
        telling.say("and more");
    }
    if record.port != record.device {
        telling.say(format!("logical port {}", names.port(record.port)));
    }
    Explained {
        comment: telling.words.join("; "),
        packet,
        outcome: telling.outcome,
        links: telling.links,
        sets: telling.sets,
        ports: [names.port(record.device), names.port(record.port)],
    }
}

struct Telling<'a> {
    names: &'a Index,
    words: Vec<String>,
    links: Vec<&'a Link>,
    sets: Vec<&'a Set>,
    outcome: Option<Outcome>,
}

impl<'a> Telling<'a> {
    fn say(&mut self, words: impl Into<String>) {
        self.words.push(words.into());
    }

    /// The name of a link, which the frame has to do with.
    fn link(&mut self, id: SessionId) -> &'a str {
        let Some(link) = self.names.link(id) else {
            return "a link that is gone";
        };
        self.concerns(link);
        &link.name
    }

    fn concerns(&mut self, link: &'a Link) {
        self.links.push(link);
        if let Some(set) = link.set.and_then(|set| self.names.set(SetId(set))) {
            self.sets.push(set);
        }
    }

    fn set(&mut self, id: SetId) -> &'a str {
        let Some(set) = self.names.set(id) else {
            return "that is gone";
        };
        self.sets.push(set);
        &set.name
    }

    fn received(
        &mut self,
        frame: &Frame,
        packet: &Packet,
        clock: &Clock,
        firsts: &mut FirstCopies,
    ) {
        let mut notes = &frame.notes[..];
        let mut judged = false;
        while let Some((&note, rest)) = notes.split_first() {
            // Those alike are told together.
            let alike = rest.iter().take_while(|&&other| other == note).count();
            notes = &rest[alike..];
            match note {
                Note::Judged { .. } => {
                    judged = true;
                    self.judged(note, frame.record.ticks, clock, firsts);
                }
                Note::Numbered { set, number, .. } => {
                    let set = self.set(set);
                    self.say(format!("into set {set} as number {number}"));
                }
                Note::Left { port, session } => {
                    let port = self.names.port(port);
                    let mut words = match session {
                        Some(session) => {
                            let link = self.link(session);
                            format!("sent over link {link} by port {port}")
                        }
                        None => format!("forwarded to port {port}"),
                    };
                    if alike > 0 {
                        words += &format!(" ({} frames)", alike + 1);
                    }
                    self.say(words);
                }
                Note::Dropped {
                    reason: Drop::Duplicate | Drop::TooLate,
                    session: None,
                    ..
                } if judged => {}
                Note::Dropped {
                    port,
                    session,
                    reason,
                } => self.dropped(self.names.port(port), session, reason),
                Note::Punted(what) => self.say(format!("to the control thread: {what}")),
            }
        }
        if self.outcome.is_none() && is_lost(&frame.notes) {
            self.outcome = Some(Outcome::Dropped);
        }
        if !judged
            && let Some(tunnelled) = &packet.tunnelled
            && let Some(link) = self.names.link_of(Way::Received, tunnelled)
        {
            self.concerns(link);
            self.say(format!("link {}", link.name));
        }
        match frame.notes[..] {
            [] => self.say("waits for other fragments, or for another worker"),
            [
                Note::Judged {
                    verdict: Verdict::First,
                    ..
                },
            ] => self.say("waits for its turn, or for other pieces"),
            _ => {}
        }
    }

    fn judged(&mut self, note: Note, ticks: u64, clock: &Clock, firsts: &mut FirstCopies) {
        let Note::Judged {
            verdict,
            set,
            session,
            epoch,
            number,
        } = note
        else {
            return;
        };
        let (outcome, words) = match verdict {
            Verdict::First => {
                firsts.note((set, epoch, number), ticks, session);
                (Outcome::First, "first copy".to_owned())
            }
            Verdict::Duplicate => {
                let first = firsts.of.get(&(set, epoch, number)).copied();
                let words = self.duplicate(first, session, ticks, clock);
                (Outcome::Duplicate, words)
            }
            Verdict::TooLate => {
                let words = "too late: its number is older than the window";
                (Outcome::TooLate, words.to_owned())
            }
        };
        self.outcome = Some(outcome);
        self.say(words);
        let (link, set) = (self.link(session), self.set(set));
        self.say(format!("link {link}, set {set}, number {number}"));
    }

    fn duplicate(
        &self,
        first: Option<(u64, SessionId)>,
        session: SessionId,
        ticks: u64,
        clock: &Clock,
    ) -> String {
        let Some((first_ticks, first_session)) = first else {
            return "duplicate; its first copy was not captured".to_owned();
        };
        let way = match self.names.link(first_session) {
            _ if first_session == session => "which the same link brought".to_owned(),
            Some(link) => format!("which link {} brought", link.name),
            None => "whose link is gone".to_owned(),
        };
        match clock.ns(ticks.saturating_sub(first_ticks)) / 1000 {
            0 => format!("duplicate, taken in the same poll as the first copy, {way}"),
            us => format!("duplicate, {us} µs behind the first copy, {way}"),
        }
    }

    fn dropped(&mut self, port: &str, session: Option<SessionId>, reason: Drop) {
        let reason = reason.name();
        match session {
            // The others of its copies may well have left.
            Some(session) => {
                let link = self.link(session);
                self.say(format!(
                    "not sent over link {link} by port {port}: {reason}"
                ));
            }
            None => {
                self.outcome.get_or_insert(Outcome::Dropped);
                self.say(format!("dropped: {reason}"));
            }
        }
    }

    fn sent(&mut self, record: &Record, packet: &Packet) {
        let tunnelled = packet.tunnelled.as_ref();
        let by_ids = || self.names.link_of(Way::Sent, tunnelled?);
        let link = record.session.and_then(|id| self.names.link(id));
        let Some(link) = link.or_else(by_ids) else {
            self.say(format!("sent by port {}", self.names.port(record.port)));
            return;
        };
        self.concerns(link);
        let mut words = format!("sent over link {}", link.name);
        if let Some(ha) = tunnelled.and_then(|tunnelled| tunnelled.ha) {
            if let Some(set) = self.sets.first() {
                words += &format!(", set {}", set.name);
            }
            words += &format!(", number {}", ha.number);
        }
        self.say(words);
    }
}

/// Whether something of a frame was dropped, and nothing went anywhere.
fn is_lost(notes: &[Note]) -> bool {
    let went = |note: &Note| matches!(note, Note::Left { .. } | Note::Punted(_));
    let was_dropped = |note: &Note| matches!(note, Note::Dropped { .. });
    notes.iter().any(was_dropped) && !notes.iter().any(went)
}

#[cfg(test)]
pub(super) mod tests;
