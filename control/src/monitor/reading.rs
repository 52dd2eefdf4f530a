//! What a link or a set did between two looks at the status.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::hash::Hash;

use history::{Sample, Spread};

use crate::management::status::{RoundTrip, Session, Set, Status};

/// What one link or set did in a second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The `graph` of a link, or [`set_graph`] of a set.
    pub graph: String,
    pub sample: Sample,
}

/// How the names of sets' graphs begin, and no link's.
pub const SET_GRAPHS: &str = "set/";

/// The name of a set's graph.
#[must_use]
pub fn set_graph(name: &str, remote: &str) -> String {
    format!("{SET_GRAPHS}{name}/{remote}")
}

/// The lines of an earlier status, to be found by those of a later one.
struct Earlier<'s, T, N: Fn(&'s T) -> K, K> {
    lines: &'s [T],
    name: N,
    /// Made for the first line that is not in its place.
    by_name: OnceCell<HashMap<K, &'s T>>,
}

impl<'s, T, N: Fn(&'s T) -> K, K: Hash + Eq> Earlier<'s, T, N, K> {
    fn new(lines: &'s [T], name: N) -> Self {
        let by_name = OnceCell::new();
        Self {
            lines,
            name,
            by_name,
        }
    }

    /// The line with this name. It mostly is where it was: a set may come before it, or another configuration.
    fn line(&self, place: usize, name: &K) -> Option<&'s T> {
        let there = self.lines.get(place);
        there
            .filter(|&line| (self.name)(line) == *name)
            .or_else(|| {
                let lines = || self.lines.iter().map(|line| ((self.name)(line), line));
                let by_name = self.by_name.get_or_init(|| lines().collect());
                by_name.get(name).copied()
            })
    }
}

fn name_of_set(set: &Set) -> (&str, &str) {
    (&set.name, &set.remote)
}

/// What changed from one status to the next; links first, then sets. A link that was not there
/// before has done nothing yet: what it carried under this name long ago is not of this second.
pub(super) fn readings(before: &Status, now: &Status) -> Vec<Reading> {
    // At least one: a reading that comes early still stands for its second.
    let measured_s = now.uptime_s.saturating_sub(before.uptime_s).max(1);
    let measured_s = u32::try_from(measured_s).unwrap_or(u32::MAX);
    let sessions = Earlier::new(&before.sessions, |session: &Session| session.name.as_str());
    let sets = Earlier::new(&before.sets, name_of_set);
    let new_set = Set::default();
    let links = now.sessions.iter().enumerate().map(|(place, session)| {
        let before = sessions.line(place, &session.name.as_str());
        Reading {
            graph: session.name.clone(),
            sample: of_link(before.unwrap_or(session), session, measured_s),
        }
    });
    let of_sets = now.sets.iter().enumerate().map(|(place, set)| {
        let before = sets.line(place, &name_of_set(set));
        Reading {
            graph: set_graph(&set.name, &set.remote),
            sample: of_set(before.unwrap_or(&new_set), set, measured_s),
        }
    });
    links.chain(of_sets).collect()
}

fn of_link(before: &Session, now: &Session, measured_s: u32) -> Sample {
    let new = Session::default();
    let begun_anew = now.sent_packets < before.sent_packets
        || now.received_packets < before.received_packets
        || now.unique_packets < before.unique_packets;
    let before = if begun_anew { &new } else { before };
    let grown = |read: fn(&Session) -> u64| grown(read(before), read(now));
    let lost = |session: &Session| i128::from(session.lost_packets);
    let lost = lost(now) - lost(before);
    let unique = grown(|it| it.unique_packets);
    Sample {
        measured_s,
        offline_s: if now.is_open() { 0 } else { measured_s },
        echoes_sent: grown(|it| it.echo_sent),
        echoes_lost: grown(|it| it.echo_lost),
        latency: latency(&before.round_trip, &now.round_trip),
        sent_packets: grown(|it| it.sent_packets),
        sent_octets: grown(|it| it.sent_octets),
        received_packets: grown(|it| it.received_packets),
        received_octets: grown(|it| it.received_octets),
        settled_packets: settled(unique, lost),
        lost_packets: clamped(lost),
        wins: grown(|it| it.wins),
        saved_packets: 0,
        skew: now
            .skew
            .live_p99_us
            .filter(|_| now.skew.samples != before.skew.samples)
            .map(Spread::of),
    }
}

fn of_set(before: &Set, now: &Set, measured_s: u32) -> Sample {
    let new = Set::default();
    let begun_anew =
        now.sent_packets < before.sent_packets || now.delivered_packets < before.delivered_packets;
    let before = if begun_anew { &new } else { before };
    let grown = |read: fn(&Set) -> u64| grown(read(before), read(now));
    let lost = i128::from(now.lost_packets) - i128::from(before.lost_packets);
    let delivered = grown(|it| it.delivered_packets);
    Sample {
        measured_s,
        offline_s: if now.protection == Set::DOWN {
            measured_s
        } else {
            0
        },
        sent_packets: grown(|it| it.sent_packets),
        sent_octets: grown(|it| it.sent_octets),
        received_packets: delivered,
        received_octets: grown(|it| it.delivered_octets),
        settled_packets: settled(delivered, lost),
        lost_packets: clamped(lost),
        // It goes back when the best link delivers late what another one had saved: that is no new beginning.
        saved_packets: now.saved_packets.saturating_sub(before.saved_packets),
        ..Sample::default()
    }
}

/// Counters of a link that was away for a while may begin anew.
fn grown(before: u64, now: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

fn settled(arrived: u64, lost: i128) -> u64 {
    let settled = i128::from(arrived) + lost;
    u64::try_from(settled.max(0)).unwrap_or(u64::MAX)
}

fn clamped(lost: i128) -> i64 {
    i64::try_from(lost).unwrap_or(if lost < 0 { i64::MIN } else { i64::MAX })
}

/// Of the echoes that were answered in between. The last one is known by itself, of others their sum.
fn latency(before: &RoundTrip, now: &RoundTrip) -> Option<Spread> {
    let (last_us, count) = (now.last_us?, grown(before.answered, now.answered));
    let begun_anew = now.answered < before.answered;
    let total_us = if begun_anew {
        now.total_us
    } else {
        now.total_us.saturating_sub(before.total_us)
    };
    let last = Spread::of(last_us);
    match count {
        0 => None,
        1 => Some(last),
        _ => {
            let others_us = total_us.saturating_sub(last_us);
            let mean_us = others_us / (count - 1);
            Some(last.with(Spread {
                count: count - 1,
                total_us: others_us,
                least_us: mean_us,
                most_us: mean_us,
            }))
        }
    }
}

#[cfg(test)]
mod tests;
