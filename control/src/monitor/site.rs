//! The appliance at a glance, with a verdict on every link and set: what the page, the terminal and `/api/v1/site` show.

mod verdict;

use std::collections::HashMap;

use history::{Sample, Spread};
use serde::{Deserialize, Serialize};

pub use verdict::Verdict;

use super::board::Moment;
use super::reading::set_graph;
use crate::management::status::{Alarm, Port, Session, Set, Status, Tunnel};

/// The whole appliance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Site {
    pub name: String,
    /// Version of the running program.
    pub version: String,
    pub uptime_s: u64,
    /// Of the moment, counted from 1 since the appliance started.
    pub number: u64,
    /// Since 1970, by the system's clock.
    pub at_unix_ms: u64,
    /// The worst of the sets and of the links without a set.
    pub verdict: Verdict,
    pub sets: Vec<SiteSet>,
    /// Links that belong to no set.
    pub links: Vec<SiteLink>,
    pub tunnels: Vec<Tunnel>,
    pub ports: Vec<Port>,
}

/// A set with one remote, and its links.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SiteSet {
    /// The name of the set's graph.
    pub graph: String,
    pub name: String,
    pub remote: String,
    /// As in the status: `ha`, or why there is no protection.
    pub protection: String,
    pub verdict: Verdict,
    /// Why the verdict is not `good`, for people.
    pub reasons: Vec<String>,
    pub rates: Rates,
    /// Packets that no link delivered, since the appliance started.
    pub lost_packets: u64,
    /// Packets that the best single link alone would not have delivered, since the appliance started.
    pub saved_packets: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<Alarm>,
    pub links: Vec<SiteLink>,
}

/// A link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SiteLink {
    /// The link's name.
    pub graph: String,
    /// The name of its `outgoing` or `incoming`.
    pub tunnel: String,
    /// As in the status: `up`, `standby`, `dialling` and others.
    pub state: String,
    pub up_s: u64,
    pub verdict: Verdict,
    /// Why the verdict is not `good`, for people.
    pub reasons: Vec<String>,
    pub rates: Rates,
    pub minute: Minute,
    /// Copies that the peer handed over and that did not arrive, since the appliance started.
    pub lost_packets: u64,
    /// Copies that were the first of their number.
    pub wins: u64,
    /// Packets of which the only copy to arrive came over this link.
    pub sole_packets: u64,
    /// What ended the tunnel's last attempt or connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_result: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<Alarm>,
    /// How much longer it is masked for a drill: it is up, and carries nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masked_for_s: Option<u64>,
}

/// What was carried in the last second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Rates {
    pub sent_bit_s: u64,
    pub received_bit_s: u64,
    pub sent_packet_s: u64,
    pub received_packet_s: u64,
}

/// What a link did in the last 56 to 60 readings, or in those since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Minute {
    /// Seconds that the readings span.
    pub measured_s: u32,
    /// Of those, the seconds in which the link was down.
    pub offline_s: u32,
    /// Copies whose fate became known.
    pub settled_packets: u64,
    /// Of those, the lost ones. Less than nothing when more arrived after all than were lost.
    pub lost_packets: i64,
    /// Absent when nothing was settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_ratio: Option<f64>,
    /// LCP echoes.
    pub echoes_sent: u64,
    pub echoes_lost: u64,
    /// Round trips of LCP echoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<Times>,
    /// How far copies were behind the first ones, in 99 of 100 cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skew_us: Option<Times>,
    /// Of the packets that the set's links brought first, those that this one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub win_ratio: Option<f64>,
}

/// Of several times, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Times {
    pub least: u64,
    pub mean: u64,
    pub most: u64,
}

impl Site {
    /// What is to be shown of a moment.
    #[must_use]
    pub fn of(moment: &Moment) -> Self {
        let status = &moment.status;
        let parts = Parts::of(moment);
        let mut links = Vec::new();
        let mut of_sets: HashMap<String, Vec<&Session>> = HashMap::new();
        for session in &status.sessions {
            match graph_of_sets_link(session) {
                Some(graph) => of_sets.entry(graph).or_default().push(session),
                None => links.push(parts.link(session, None)),
            }
        }
        let known = status.sets.iter().map(|set| {
            let graph = set_graph(&set.name, &set.remote);
            let links = of_sets.remove(&graph).unwrap_or_default();
            parts.set(graph, set, &links)
        });
        let mut sets: Vec<SiteSet> = known.collect();
        sets.extend(parts.sets_without_a_link_yet(of_sets));
        let verdicts = sets.iter().map(|set| set.verdict);
        let verdicts = verdicts.chain(links.iter().map(|link| link.verdict));
        Self {
            name: status.name.clone(),
            version: status.version.clone(),
            uptime_s: status.uptime_s,
            number: moment.number,
            at_unix_ms: u64::try_from(moment.at.as_millis()).unwrap_or(u64::MAX),
            verdict: verdicts.max().unwrap_or(Verdict::Good),
            sets,
            links,
            tunnels: status.tunnels.clone(),
            ports: status.ports.clone(),
        }
    }
}

/// The graph of the set that a link is of.
fn graph_of_sets_link(session: &Session) -> Option<String> {
    let remote = session.set_remote.as_deref().unwrap_or_default();
    session.set.as_deref().map(|set| set_graph(set, remote))
}

/// What a moment says of each graph and tunnel, by name.
struct Parts<'m> {
    /// The last second, and the last minute.
    samples: HashMap<&'m str, (&'m Sample, &'m Sample)>,
    last_results: HashMap<&'m str, &'m str>,
}

impl<'m> Parts<'m> {
    fn of(moment: &'m Moment) -> Self {
        let readings = moment.readings.iter().zip(&moment.minutes);
        Self {
            samples: readings
                .map(|(reading, minute)| (reading.graph.as_str(), (&reading.sample, minute)))
                .collect(),
            last_results: last_results(&moment.status),
        }
    }

    fn second(&self, graph: &str) -> Sample {
        let samples = self.samples.get(graph);
        samples.map_or_else(Sample::default, |(second, _)| **second)
    }

    fn minute(&self, graph: &str) -> Sample {
        let samples = self.samples.get(graph);
        samples.map_or_else(Sample::default, |(_, minute)| **minute)
    }

    fn set(&self, graph: String, set: &Set, links: &[&Session]) -> SiteSet {
        let race = self.race(links);
        let links: Vec<SiteLink> = links
            .iter()
            .map(|session| self.link(session, Some(&race)))
            .collect();
        let (verdict, reasons) = verdict::of_set(set, &self.minute(&graph), &links);
        SiteSet {
            name: set.name.clone(),
            remote: set.remote.clone(),
            protection: set.protection.clone(),
            verdict,
            reasons,
            rates: Rates::of(&self.second(&graph)),
            lost_packets: set.lost_packets,
            saved_packets: set.saved_packets,
            alarm: set.alarm.clone(),
            links,
            graph,
        }
    }

    /// A set has no entry in the status before a link of it has come up once.
    fn sets_without_a_link_yet(&self, of_sets: HashMap<String, Vec<&Session>>) -> Vec<SiteSet> {
        let sets = of_sets.into_iter().map(|(graph, links)| {
            let set = Set {
                name: links[0].set.clone().unwrap_or_default(),
                remote: links[0].set_remote.clone().unwrap_or_default(),
                protection: Set::DOWN.to_owned(),
                ..Set::default()
            };
            self.set(graph, &set, &links)
        });
        let mut sets: Vec<SiteSet> = sets.collect();
        sets.sort_by(|one, other| one.graph.cmp(&other.graph));
        sets
    }

    /// What the links of a set came to together in the minute.
    fn race(&self, links: &[&Session]) -> Race {
        let minutes = links.iter().map(|session| self.minute(&session.name));
        minutes.fold(Race::default(), |race, minute| {
            let mean_us = minute.latency.map(|latency| latency.mean_us());
            Race {
                wins: race.wins + minute.wins,
                best_latency_us: race.best_latency_us.into_iter().chain(mean_us).min(),
            }
        })
    }

    fn link(&self, session: &Session, race: Option<&Race>) -> SiteLink {
        let minute = self.minute(&session.name);
        let (verdict, reasons) = verdict::of_link(session, &minute, race);
        let last_result = self.last_results.get(session.tunnel.as_str());
        SiteLink {
            graph: session.name.clone(),
            tunnel: session.tunnel.clone(),
            state: session.state.to_string(),
            up_s: session.up_s,
            verdict,
            reasons,
            rates: Rates::of(&self.second(&session.name)),
            minute: Minute::of(&minute, race.map_or(0, |race| race.wins)),
            lost_packets: session.lost_packets,
            wins: session.wins,
            sole_packets: session.sole_packets,
            last_result: last_result.map(|&text| text.to_owned()),
            alarm: session.alarm.clone(),
            masked_for_s: session.masked_for_s,
        }
    }
}

/// What the links of a set are compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Race {
    wins: u64,
    /// The least of the links' mean round trips.
    best_latency_us: Option<u64>,
}

fn last_results(status: &Status) -> HashMap<&str, &str> {
    let named = |tunnel: &'_ Tunnel| tunnel.last_result.is_some();
    let tunnels = status.tunnels.iter().filter(|tunnel| named(tunnel));
    tunnels
        .filter_map(|tunnel| Some((tunnel.name.as_str(), tunnel.last_result.as_deref()?)))
        .collect()
}

impl Rates {
    fn of(second: &Sample) -> Self {
        let per_s = |count: u64| count / u64::from(second.measured_s.max(1));
        Self {
            sent_bit_s: per_s(second.sent_octets.saturating_mul(8)),
            received_bit_s: per_s(second.received_octets.saturating_mul(8)),
            sent_packet_s: per_s(second.sent_packets),
            received_packet_s: per_s(second.received_packets),
        }
    }
}

impl Minute {
    fn of(minute: &Sample, wins_of_all: u64) -> Self {
        let ratio = |part: f64, of: u64| (of > 0).then(|| part / of as f64);
        Self {
            measured_s: minute.measured_s,
            offline_s: minute.offline_s,
            settled_packets: minute.settled_packets,
            lost_packets: minute.lost_packets,
            loss_ratio: ratio(minute.lost_packets.max(0) as f64, minute.settled_packets),
            echoes_sent: minute.echoes_sent,
            echoes_lost: minute.echoes_lost,
            latency_us: minute.latency.map(Times::of),
            skew_us: minute.skew.map(Times::of),
            win_ratio: ratio(minute.wins as f64, wins_of_all),
        }
    }
}

impl Times {
    const fn of(spread: Spread) -> Self {
        Self {
            least: spread.least_us,
            mean: spread.mean_us(),
            most: spread.most_us,
        }
    }
}

#[cfg(test)]
mod tests;
