//! What a link or a set did between two looks at the status.

use std::collections::HashMap;

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

/// What changed from one status to the next; links first, then sets. A link that was not there
/// before has done nothing yet: what it carried under this name long ago is not of this second.
pub(super) fn readings(before: &Status, now: &Status) -> Vec<Reading> {
    // At least one: a reading that comes early still stands for its second.
    let measured_s = now.uptime_s.saturating_sub(before.uptime_s).max(1);
    let measured_s = u32::try_from(measured_s).unwrap_or(u32::MAX);
    let sessions = before.sessions.iter();
    let sessions: HashMap<&str, &Session> = sessions.map(|it| (it.name.as_str(), it)).collect();
    let sets = before.sets.iter();
    let sets: HashMap<(&str, &str), &Set> = sets
        .map(|it| ((it.name.as_str(), it.remote.as_str()), it))
        .collect();
    let new_set = Set::default();
    let links = now.sessions.iter().map(|session| Reading {
        graph: session.name.clone(),
        sample: of_link(
            sessions.get(session.name.as_str()).unwrap_or(&session),
            session,
            measured_s,
        ),
    });
    let of_sets = now.sets.iter().map(|set| Reading {
        graph: set_graph(&set.name, &set.remote),
        sample: of_set(
            sets.get(&(set.name.as_str(), set.remote.as_str()))
                .unwrap_or(&&new_set),
            set,
            measured_s,
        ),
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
        offline_s: if matches!(now.state.as_str(), "up" | "standby") {
            0
        } else {
            measured_s
        },
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
