//! The links in `status`, one line each, whether they are up or not.

use std::collections::HashMap;
use std::time::Duration;

use dataplane::command::SessionId;

use super::round_trip;
use crate::engine::Engine;
use crate::engine::carried::Carried;
use crate::engine::link::{Link, Origin, Phase};
use crate::management::status::{Alarm, Peer, Session, Skew};
use crate::ppp::Family;

/// Links that are not in the configuration any more and leave, by their graph.
pub(super) type Former = HashMap<String, Vec<SessionId>>;

/// A link of the configuration.
#[derive(Clone, Copy)]
struct ConfiguredLink<'a> {
    graph: &'a str,
    tunnel: &'a str,
    /// None where the configuration leaves it to the peer.
    table: Option<u32>,
    username: &'a str,
    ha_set: Option<usize>,
}

impl Engine {
    /// Those whose graph another link of the configuration has.
    pub(super) fn former(&self) -> Former {
        let mut former = Former::new();
        for link in self.links.of_origin(Origin::Former) {
            if let Some(names) = link.former.as_ref().filter(|names| names.is_graph_known) {
                former.entry(names.graph.clone()).or_default().push(link.id);
            }
        }
        former
    }

    /// What all sessions of a link of the configuration carried.
    pub(super) fn carried(&self, origin: Origin, former: &Former) -> Option<Carried> {
        let graph = self.configured_link(origin)?.graph;
        Some(self.carried_by(graph, self.links.of_origin(origin), former))
    }

    /// What was carried under a name, by these sessions and by those that have ended.
    fn carried_by<'a>(
        &'a self,
        graph: &str,
        sessions: impl Iterator<Item = &'a Link>,
        former: &Former,
    ) -> Carried {
        let mut carried = self.history.get(graph).cloned().unwrap_or_default();
        let former = former.get(graph).into_iter().flatten();
        // What one carried that is gone stands in the history, and its id may be another link's.
        let former = former.filter_map(|id| self.links.get(id));
        let former = former.filter(|link| link.origin == Origin::Former);
        for link in sessions.chain(former) {
            carried.add(&Carried::of(link, self.link_totals(link)));
        }
        carried
    }

    fn configured_link(&self, origin: Origin) -> Option<ConfiguredLink<'_>> {
        let tunnels = &self.config.l2tp;
        match origin {
            Origin::Outgoing(index) => {
                let outgoing = tunnels.outgoing.get(index)?;
                Some(ConfiguredLink {
                    graph: &outgoing.graph,
                    tunnel: &outgoing.name,
                    table: Some(outgoing.table),
                    username: &outgoing.username,
                    ha_set: outgoing.ha_set,
                })
            }
            Origin::Incoming { incoming, login } => {
                let incoming = tunnels.incoming.get(incoming)?;
                let entry = incoming.matches.get(login?)?;
                Some(ConfiguredLink {
                    graph: &entry.graph,
                    tunnel: &incoming.name,
                    table: incoming.table,
                    username: &entry.username,
                    ha_set: entry.ha_set,
                })
            }
            Origin::Former => None,
        }
    }

    /// One link of the configuration: its newest session, and all that its sessions carried.
    pub(super) fn session_line(
        &self,
        now: Duration,
        origin: Origin,
        former: &Former,
    ) -> Option<Session> {
        let of = self.configured_link(origin)?;
        let sessions = self.links.of_origin(origin);
        let carried = self.carried_by(of.graph, sessions.clone(), former);
        let alive = sessions.filter(|link| !link.is_leaving());
        // Who comes with the credentials of one that carries traffic is not shown in its place.
        let newest = alive.max_by_key(|link| (link.is_open(), link.call));
        let mut session = Session {
            name: of.graph.to_owned(),
            tunnel: of.tunnel.to_owned(),
            table: of.table,
            set: of.ha_set.map(|set| self.config.ha_sets[set].name.clone()),
            set_remote: self
                .key_of(origin)
                .and_then(|(key, _)| Some(self.set_and_remote(key)?.1)),
            state: self.session_state(newest, origin).into(),
            username: of.username.to_owned(),
            sent_packets: carried.sent_packets,
            sent_octets: carried.sent_octets,
            send_dropped_packets: carried.send_dropped_packets,
            received_packets: carried.received_packets,
            received_octets: carried.received_octets,
            over_speed_packets: carried.over_speed_packets,
            unique_packets: carried.books.unique_packets,
            lost_packets: carried.books.lost_packets,
            duplicated_packets: carried.books.duplicated_packets,
            unknown_packets: carried.books.unknown_packets,
            sole_packets: carried.books.sole_packets,
            longest_outage_ms: millis(carried.books.longest_outage),
            longest_outage_packets: carried.books.longest_outage_packets,
            wins: carried.wins,
            duplicates: carried.duplicates,
            too_late: carried.too_late,
            unknown_epoch: carried.unknown_epoch,
            per_worker: carried.per_worker,
            echo_sent: carried.echo_sent,
            echo_lost: carried.echo_lost,
            ..Session::default()
        };
        let Some(link) = newest else {
            return Some(session);
        };
        session.ha = link.set.is_some();
        session.local_session_id = link.spec.local_session;
        session.peer_session_id = link.spec.peer_session;
        session.mtu = link.spec.mtu;
        session.path_mtu = link.path.confirmed();
        session.sequence_restarts = link.total(|counters| counters.sequence_restarts.read());
        session.echo_answered = link.total(|counters| counters.echoes_answered.read());
        session.round_trip = round_trip(&link.ppp.echo_statistics());
        session.skew = skew(link);
        session.speed_bit_s = link.spec.speed.as_ref().map(|it| it.speed_bit_s());
        session.peer = link.peer_report.map(|report| Peer {
            sent_packets: report.copies,
            over_speed_packets: report.over_speed,
            not_sent_packets: report.not_sent,
        });
        session.masked_for_s = link.mask.map(|mask| {
            let left = mask.until.saturating_sub(now);
            left.as_secs() + u64::from(left.subsec_nanos() > 0)
        });
        session.alarm = link.hearing.fault().map(|(fault, since)| Alarm {
            text: fault.text().to_owned(),
            for_s: now.saturating_sub(since).as_secs(),
        });
        if let Phase::Open { networks, since } = link.phase {
            session.local_ip = networks.ipv4.map(|ends| ends.local);
            session.remote_ip = networks.ipv4.map(|ends| ends.remote);
            session.networks = [Family::Ipv4, Family::Ipv6]
                .into_iter()
                .filter(|&family| networks.has(family))
                .map(|family| family.name().into())
                .collect();
            session.up_s = now.saturating_sub(since).as_secs();
        }
        Some(session)
    }

    fn session_state(&self, link: Option<&Link>, origin: Origin) -> &'static str {
        let Some(link) = link else {
            return match origin {
                Origin::Outgoing(_) => "dialling",
                Origin::Incoming { .. } | Origin::Former => "down",
            };
        };
        match link.phase {
            Phase::Calling => "dialling",
            Phase::Negotiating => "authenticating",
            Phase::Held { .. } => "held",
            Phase::Authenticated => "ipcp",
            Phase::Open { .. } if self.carries(link.id, link.group) => "up",
            Phase::Open { .. } => "standby",
            Phase::Leaving { .. } => "closing",
        }
    }

    fn carries(&self, id: SessionId, group: Option<u32>) -> bool {
        group.is_some_and(|group| self.groups.get(group).carries(id))
    }
}

fn skew(link: &Link) -> Skew {
    let arrivals = link.spec.arrivals.iter();
    let missed_samples = arrivals.map(|it| it.skew.missed()).sum();
    let Some(measured) = &link.skew else {
        return Skew {
            missed_samples,
            ..Skew::default()
        };
    };
    let (total, live) = (measured.total(), measured.live());
    let us = |ns: Option<u64>| ns.map(|ns| ns / 1000);
    Skew {
        min_us: us(total.min_ns()),
        mean_us: us(total.mean_ns()),
        p99_us: us(total.p99_ns()),
        live_p99_us: us(live.p99_ns()),
        samples: total.count(),
        missed_samples,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
