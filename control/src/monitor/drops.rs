//! What was dropped, why, and how quickly it grows.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::management::drops::{Place, places_once};
use crate::management::status::Status;

/// Counts that are kept: those of a minute, and the ones that it began with.
const KEPT: usize = 61;

/// Where something is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DropPlace {
    /// Frames that came in by a port, or were to leave by it.
    Port,
    /// Packets of our own (ARP, L2TP, PPP, ICMP) that did not leave.
    Own,
    /// L2TP control messages without effect.
    L2tp,
}

/// What was dropped at one place for one reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Dropped {
    pub place: DropPlace,
    /// The port's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    pub reason: String,
    /// Since the appliance started.
    pub packets: u64,
    /// Packets per second over the last second.
    pub packet_s: f64,
    /// The same over the last minute.
    pub minute_packet_s: f64,
    /// What the reason means.
    pub meaning: String,
}

type Counts = BTreeMap<(DropPlace, Option<String>, String), (u64, &'static str)>;

/// Keeps the counts of the last minute.
#[derive(Debug, Default)]
pub(super) struct Drops {
    /// With the uptime in seconds, the newest last.
    counts: VecDeque<(u64, Counts)>,
}

impl Drops {
    /// Takes the counts of a status, and gives all of them with their rates. Reasons with none are left out.
    pub(super) fn add(&mut self, status: &Status) -> Vec<Dropped> {
        if self.counts.len() == KEPT {
            self.counts.pop_front();
        }
        let now = counts(status);
        let rate = |before: Option<&(u64, Counts)>, key, count: u64| {
            before.map_or(0.0, |(uptime_s, before)| {
                let grown = count.saturating_sub(before.get(key).map_or(0, |it| it.0));
                // At least one: a reading that comes early still stands for its second.
                let passed_s = status.uptime_s.saturating_sub(*uptime_s).max(1);
                grown as f64 / passed_s as f64
            })
        };
        let all = now.iter().map(|(key, &(packets, meaning))| {
            let (place, port, reason) = key.clone();
            Dropped {
                place,
                port,
                reason,
                packets,
                packet_s: rate(self.counts.back(), key, packets),
                minute_packet_s: rate(self.counts.front(), key, packets),
                meaning: meaning.to_owned(),
            }
        });
        let all = all.collect();
        self.counts.push_back((status.uptime_s, now));
        all
    }
}

fn counts(status: &Status) -> Counts {
    let all = places_once(status).filter_map(|(place, counts)| {
        let (place, port) = match place {
            Place::Port { port } => (DropPlace::Port, Some(port)),
            Place::Own => (DropPlace::Own, None),
            Place::L2tp => (DropPlace::L2tp, None),
            // The same again.
            Place::Worker { .. } | Place::Set { .. } | Place::Link { .. } => return None,
        };
        let counts = counts.into_iter().filter(|(_, (count, _))| *count > 0);
        Some(counts.map(move |(reason, count)| ((place, port.clone(), reason), count)))
    });
    all.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::management::status::Port;

    fn status(uptime_s: u64, no_route: u64) -> Status {
        Status {
            uptime_s,
            ports: vec![Port {
                name: "isp1".to_owned(),
                drops: BTreeMap::from([("no-route".to_owned(), no_route), ("crc".to_owned(), 0)]),
                ..Port::default()
            }],
            l2tp_drops: BTreeMap::from([("bad-avp".to_owned(), 2)]),
            ..Status::default()
        }
    }

    #[test]
    fn every_reason_has_its_place_and_its_rates() {
        let mut drops = Drops::default();
        let first = drops.add(&status(10, 5));
        let told = first.iter().map(|it| (it.place, it.reason.as_str()));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [(DropPlace::Port, "no-route"), (DropPlace::L2tp, "bad-avp")]
        );
        assert_eq!((first[0].packet_s, first[0].minute_packet_s), (0.0, 0.0));
        assert_eq!(first[0].port.as_deref(), Some("isp1"));
        assert_eq!(first[0].meaning, "No route leads to the destination.");
        for passed in 1..=100 {
            let dropped = &drops.add(&status(10 + passed, 5 + 3 * passed))[0];
            assert_eq!((dropped.packet_s, dropped.minute_packet_s), (3.0, 3.0));
        }
        // Sixty readings ago the last 59 steps of three, and this one, had not been.
        let burst = &drops.add(&status(111, 305 + 600 - 177))[0];
        assert_eq!(burst.packets, 728);
        assert_eq!((burst.packet_s, burst.minute_packet_s), (423.0, 10.0));
    }
}
