//! What the engine tells the operator: its part of `status`.

mod interfaces;

use std::collections::BTreeMap;
use std::time::Duration;

use dataplane::command::{NextHop, SessionId};
use dataplane::counters::SetCounters;

use super::carried::Carried;
use super::group::{Conflict, Group, GroupKey};
use super::link::{Link, Origin, Phase};
use super::membership::CONFLICT_FORGOTTEN;
use super::rib::Source;
use super::{Engine, display_mac};
use crate::ha::SetInstance;
use crate::host::NeighbourState;
use crate::l2tp::{Statistics, TunnelId, TunnelState};
use crate::management::status::{
    Alarm, Neighbour, Ordering, Peer, Role, RoundTrip, Route, Session, Set, Skew, Status, Tunnel,
};
use crate::ppp::{EchoStatistics, Family};

/// A link of the configuration, whether it is up or not.
struct ConfiguredLink<'a> {
    graph: &'a str,
    tunnel: &'a str,
    table: Option<u32>,
    username: &'a str,
    ha_set: Option<usize>,
    origin: Origin,
    /// Its sessions, the oldest first.
    live: Vec<&'a Link>,
    /// What all its sessions carried.
    carried: Carried,
}

/// What the links of one group come to together.
#[derive(Default)]
struct LinksOfGroup {
    /// Packets that the best single link delivered.
    best_packets: u64,
    unknown_epoch: u64,
}

impl Engine {
    /// Fills in everything of `status` but the ports and the workers.
    #[must_use]
    pub fn status(&self, now: Duration) -> Status {
        let links = self.configured_links();
        Status {
            name: self.config.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: now.as_secs(),
            interfaces: self.interface_lines(now),
            tunnels: self.tunnels(now),
            l2tp_drops: l2tp_drops(&self.endpoint.statistics()),
            sessions: links.iter().map(|link| self.session(now, link)).collect(),
            sets: self.set_lines(now, &links),
            routes: self.route_lines(),
            neighbours: self.neighbour_lines(),
            neighbour_counters: interfaces::counters(self.neighbours.counters()),
            ..Status::default()
        }
    }

    fn tunnels(&self, now: Duration) -> Vec<Tunnel> {
        let dialled = |index: usize| {
            self.by_tunnel
                .iter()
                .find(|(_, dialled)| dialled.outgoing == index)
                .map(|(tunnel, _)| *tunnel)
        };
        let mut tunnels: Vec<Tunnel> = self
            .config
            .l2tp
            .outgoing
            .iter()
            .zip(&self.dialers)
            .enumerate()
            .map(|(index, (outgoing, dialer))| Tunnel {
                name: outgoing.name.clone(),
                role: Role::Outgoing,
                table: outgoing.table,
                last_result: dialer.last_result.clone(),
                next_attempt_s: dialer
                    .next_attempt()
                    .map(|at| at.saturating_sub(now).as_secs()),
                ..self.tunnel_line(now, dialled(index))
            })
            .collect();
        let incoming = self.endpoint.tunnels().filter_map(|tunnel| {
            let info = self.endpoint.tunnel(tunnel)?;
            let config = &self.config.l2tp.incoming[info.incoming?];
            (info.state != TunnelState::Closed).then(|| Tunnel {
                name: config.name.clone(),
                role: Role::Incoming,
                ..self.tunnel_line(now, Some(tunnel))
            })
        });
        tunnels.extend(incoming);
        tunnels
    }

    fn tunnel_line(&self, now: Duration, tunnel: Option<TunnelId>) -> Tunnel {
        let Some(info) = tunnel.and_then(|tunnel| self.endpoint.tunnel(tunnel)) else {
            return Tunnel {
                state: "waiting".to_owned(),
                ..Tunnel::default()
            };
        };
        Tunnel {
            state: tunnel_state(info.state).to_owned(),
            table: info.table,
            local_address: Some(info.local),
            peer_address: Some(info.peer),
            local_tunnel_id: info.local_id,
            peer_tunnel_id: info.peer_id,
            peer_hostname: Some(info.peer_hostname).filter(|name| !name.is_empty()),
            up_s: match (info.state, info.established_at) {
                (TunnelState::Established, Some(at)) => now.saturating_sub(at).as_secs(),
                _ => 0,
            },
            ..Tunnel::default()
        }
    }

    fn configured_links(&self) -> Vec<ConfiguredLink<'_>> {
        let mut live: BTreeMap<Origin, Vec<&Link>> = BTreeMap::new();
        for link in self.links.values() {
            live.entry(link.origin).or_default().push(link);
        }
        let mut former: BTreeMap<&str, Carried> = BTreeMap::new();
        for link in live.remove(&Origin::Former).unwrap_or_default() {
            if let Some(names) = &link.former {
                let carried = former.entry(&names.graph).or_default();
                carried.add(&Carried::of(link, self.link_totals(link)));
            }
        }
        let mut named = |graph, tunnel, table, username, ha_set, origin| {
            let live = live.remove(&origin).unwrap_or_default();
            let mut carried = self.history.get(graph).cloned().unwrap_or_default();
            for &link in &live {
                carried.add(&Carried::of(link, self.link_totals(link)));
            }
            if let Some(former) = former.get(graph) {
                carried.add(former);
            }
            ConfiguredLink {
                graph,
                tunnel,
                table,
                username,
                ha_set,
                origin,
                live,
                carried,
            }
        };
        let mut links = Vec::new();
        for (index, outgoing) in self.config.l2tp.outgoing.iter().enumerate() {
            let (graph, tunnel, username) = (&outgoing.graph, &outgoing.name, &outgoing.username);
            let (table, origin) = (Some(outgoing.table), Origin::Outgoing(index));
            links.push(named(
                graph,
                tunnel,
                table,
                username,
                outgoing.ha_set,
                origin,
            ));
        }
        for (index, incoming) in self.config.l2tp.incoming.iter().enumerate() {
            for (login, entry) in incoming.matches.iter().enumerate() {
                let origin = Origin::Incoming {
                    incoming: index,
                    login: Some(login),
                };
                let (graph, username) = (&entry.graph, &entry.username);
                let (tunnel, table) = (&incoming.name, incoming.table);
                links.push(named(graph, tunnel, table, username, entry.ha_set, origin));
            }
        }
        links
    }

    /// One link: its newest session, and all that its sessions carried.
    fn session(&self, now: Duration, of: &ConfiguredLink<'_>) -> Session {
        let carried = &of.carried;
        let newest = of.live.iter().rev().find(|link| !link.is_leaving());
        let mut session = Session {
            name: of.graph.to_owned(),
            tunnel: of.tunnel.to_owned(),
            table: of.table,
            set: of.ha_set.map(|set| self.config.ha_sets[set].name.clone()),
            set_remote: self
                .key_of(of.origin)
                .and_then(|(key, _)| Some(self.set_and_remote(key)?.1)),
            state: self.session_state(newest.copied(), of.origin),
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
            per_worker: carried.per_worker.clone(),
            echo_sent: carried.echo_sent,
            echo_lost: carried.echo_lost,
            ..Session::default()
        };
        let Some(link) = newest else { return session };
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
                .map(|family| family.to_string())
                .collect();
            session.up_s = now.saturating_sub(since).as_secs();
        }
        session
    }

    fn session_state(&self, link: Option<&Link>, origin: Origin) -> String {
        let Some(link) = link else {
            return if matches!(origin, Origin::Outgoing(_)) {
                "dialling"
            } else {
                "down"
            }
            .to_owned();
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
        .to_owned()
    }

    fn carries(&self, id: SessionId, group: Option<u32>) -> bool {
        group.is_some_and(|group| self.groups.get(group).carries(id))
    }

    fn set_lines(&self, now: Duration, links: &[ConfiguredLink<'_>]) -> Vec<Set> {
        let mut of_groups: BTreeMap<GroupKey, LinksOfGroup> = BTreeMap::new();
        for link in links {
            let Some((key, _)) = self.key_of(link.origin) else {
                continue;
            };
            let of_group = of_groups.entry(key).or_default();
            let books = &link.carried.books;
            // A drill of the best link is nothing that the others saved.
            let packets = books.settled_packets + books.excused_packets;
            of_group.best_packets = of_group.best_packets.max(packets);
            of_group.unknown_epoch += link.carried.unknown_epoch;
        }
        let none = LinksOfGroup::default();
        let groups = self.groups.iter();
        groups
            .filter_map(|group| {
                let links = of_groups.get(&group.key).unwrap_or(&none);
                self.set(now, group, links)
            })
            .collect()
    }

    fn set(&self, now: Duration, group: &Group, links: &LinksOfGroup) -> Option<Set> {
        let (set, remote) = self.set_and_remote(group.key)?;
        let instance = group.current.and_then(|current| self.sets.get(current));
        let carried = self.set_carried(group);
        let present = |conflict: &Conflict| now < conflict.seen + CONFLICT_FORGOTTEN;
        let conflict = group.conflict.filter(present);
        Some(Set {
            name: self.config.ha_sets[set].name.clone(),
            remote,
            protection: group.protection().text().to_owned(),
            members: group
                .members()
                .into_iter()
                .map(|id| self.link_name(id))
                .collect(),
            sent_packets: carried.sent_packets,
            sent_octets: carried.sent_octets,
            split_packets: carried.split_packets,
            split_pieces: carried.split_pieces,
            delivered_packets: carried.delivered_packets,
            delivered_octets: carried.delivered_octets,
            reassembled_packets: carried.reassembled_packets,
            reassembled_pieces: carried.reassembled_pieces,
            duplicates: carried.duplicates,
            too_late: carried.too_late,
            saved_packets: carried
                .books
                .delivered_packets
                .saturating_sub(links.best_packets),
            lost_packets: carried.books.lost_packets,
            unknown_packets: carried.books.unknown_packets,
            unknown_epoch: links.unknown_epoch,
            next_best_skew_us: instance.and_then(SetInstance::next_best_skew_us),
            alarm: conflict.map(|conflict| Alarm {
                text: "two boxes use the same credentials".to_owned(),
                for_s: now.saturating_sub(conflict.since).as_secs(),
            }),
            send_epoch: instance
                .map(|instance| format!("{:08x}", instance.ours.epoch))
                .unwrap_or_default(),
            receive_epochs: instance
                .map(|instance| {
                    instance
                        .received_epochs()
                        .map(|epoch| format!("{epoch:08x}"))
                        .collect()
                })
                .unwrap_or_default(),
            mtu: instance.map_or(self.config.ha_sets[set].mtu, |instance| instance.mtu),
            ordering: instance.and_then(ordering),
        })
    }

    /// The set of a group, and who its links lead to; none of a group without a set.
    pub(super) fn set_and_remote(&self, key: GroupKey) -> Option<(usize, String)> {
        match key {
            GroupKey::Set { set } => {
                let known = self.groups.of_key(key);
                if let Some(remote) = known.and_then(|group| group.remote.clone()) {
                    return Some((set, remote));
                }
                let outgoing = &self.config.l2tp.outgoing;
                let first = outgoing.iter().find(|it| it.ha_set == Some(set));
                let server = first.map(|outgoing| outgoing.server.to_string());
                Some((set, server.unwrap_or_default()))
            }
            GroupKey::Remote {
                set: Some(set),
                remote_ip,
                ..
            } => Some((set, remote_ip.to_string())),
            GroupKey::Outgoing { .. } | GroupKey::Remote { set: None, .. } | GroupKey::Former => {
                None
            }
        }
    }

    fn route_lines(&self) -> Vec<Route> {
        self.rib
            .routes()
            .map(|(table, prefix, source, next_hop)| Route {
                table: table.0,
                to: prefix.to_string(),
                via: self.via(next_hop),
                origin: match source {
                    Source::Own(_) | Source::PppAddress(_) => "own",
                    Source::Connected(_) => "connected",
                    Source::StaticInto(_) | Source::Static => "static",
                    Source::Gateway(_) => "assigned",
                    Source::Sessions(_) => "tunnel",
                }
                .to_owned(),
            })
            .collect()
    }

    fn via(&self, next_hop: NextHop) -> String {
        match next_hop {
            NextHop::Blackhole => "blackhole".to_owned(),
            NextHop::Local => "local".to_owned(),
            NextHop::Interface { interface, via } => {
                let name = &self.config.interfaces[usize::from(interface.0)].name;
                via.map_or_else(|| name.clone(), |via| format!("{via} on {name}"))
            }
            NextHop::Session(id) => format!("session {}", self.link_name(id)),
            NextHop::Set(id) => self.sets.get(id).map_or_else(
                || "set".to_owned(),
                |instance| format!("set {}", self.set_of(instance)),
            ),
        }
    }

    fn neighbour_lines(&self) -> Vec<Neighbour> {
        self.neighbours
            .neighbours()
            .map(|neighbour| Neighbour {
                interface: self.config.interfaces[usize::from(neighbour.interface.0)]
                    .name
                    .clone(),
                address: neighbour.address.to_string(),
                mac: neighbour.mac.map(display_mac),
                state: match neighbour.state {
                    NeighbourState::Incomplete => "incomplete",
                    NeighbourState::Reachable => "reachable",
                    NeighbourState::Probe => "stale",
                    NeighbourState::Static => "static",
                }
                .to_owned(),
            })
            .collect()
    }
}

/// Control messages without effect.
fn l2tp_drops(statistics: &Statistics) -> BTreeMap<String, u64> {
    let reasons = [
        ("malformed", statistics.malformed),
        ("unknown-tunnel", statistics.unknown_tunnel),
        ("wrong-peer", statistics.wrong_peer),
        ("not-allowed", statistics.not_allowed),
        ("refused", statistics.refused),
        ("limited", statistics.limited),
    ];
    let some = reasons.into_iter().filter(|&(_, count)| count > 0);
    some.map(|(reason, count)| (reason.to_owned(), count))
        .collect()
}

/// The states of RFC 2661, 7.2.1.
fn tunnel_state(state: TunnelState) -> &'static str {
    match state {
        TunnelState::WaitReply => "wait-ctl-reply",
        TunnelState::WaitConnect => "wait-ctl-conn",
        TunnelState::Established => "established",
        TunnelState::Closed => "idle",
    }
}

fn skew(link: &Link) -> Skew {
    let (total, live) = (link.skew.total(), link.skew.live());
    let us = |ns: Option<u64>| ns.map(|ns| ns / 1000);
    let arrivals = link.spec.arrivals.iter();
    Skew {
        min_us: us(total.min_ns()),
        mean_us: us(total.mean_ns()),
        p99_us: us(total.p99_ns()),
        live_p99_us: us(live.p99_ns()),
        samples: total.count(),
        missed_samples: arrivals.map(|it| it.skew.missed()).sum(),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What the owner of a set did for its order.
fn ordering(instance: &SetInstance) -> Option<Ordering> {
    let ordering = instance.ordering?;
    let total = |read: fn(&SetCounters) -> u64| -> u64 {
        let counters = instance.counters.iter();
        counters.map(|counters| read(counters)).sum()
    };
    // Before those that it is more than: workers count on while this reads.
    let released = total(|counters| counters.ordering.released_packets.read());
    let held = total(|counters| counters.ordering.held_packets.read());
    let held_us = total(|counters| counters.ordering.held_us.read());
    let delivered = total(|counters| counters.delivered_packets.read());
    Some(Ordering {
        max_delay_us: ordering.max_delay_us.into(),
        hold_us: ordering.hold_us(instance.next_best_skew_us().unwrap_or(0)),
        waiting_packets: held.saturating_sub(released),
        most_waiting_packets: total(|counters| counters.ordering.most_held_packets.read()),
        held_packets: held,
        mean_held_us: held_us.checked_div(released).unwrap_or(0),
        mean_delay_us: held_us.checked_div(delivered).unwrap_or(0),
        timed_out_gaps: total(|counters| counters.ordering.timed_out_gaps.read()),
        lost_gaps: total(|counters| counters.ordering.passed_gaps.read()),
        no_room_gaps: total(|counters| counters.ordering.no_room_gaps.read()),
        late_packets: total(|counters| counters.ordering.late_packets.read()),
    })
}

fn round_trip(echo: &EchoStatistics) -> RoundTrip {
    if echo.answered == 0 {
        return RoundTrip::default();
    }
    RoundTrip {
        last_us: Some(echo.last_us),
        min_us: Some(echo.min_us),
        mean_us: Some(echo.mean_us),
        max_us: Some(echo.max_us),
        answered: echo.answered,
        total_us: echo.total_us,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::management::drops::reasons;

    #[test]
    fn every_reason_of_a_control_message_is_explained() {
        let counted = l2tp_drops(&Statistics {
            malformed: 1,
            unknown_tunnel: 1,
            wrong_peer: 1,
            not_allowed: 1,
            refused: 1,
            limited: 1,
        });
        let explained: BTreeMap<String, u64> = reasons::L2TP
            .into_iter()
            .map(|(word, _)| (word.to_owned(), 1))
            .collect();
        assert_eq!(counted, explained);
    }
}
