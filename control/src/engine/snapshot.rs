//! What the engine tells the operator: its part of `status`.

use std::time::Duration;

use dataplane::command::{NextHop, SessionId};
use dataplane::counters::{SessionCounters, SetCounters};

use super::group::{Group, GroupKey};
use super::link::{Link, Origin, Phase};
use super::rib::Source;
use super::{Engine, display_mac};
use crate::host::NeighbourState;
use crate::l2tp::{TunnelId, TunnelState};
use crate::management::status::{
    Interface, Neighbour, Role, RoundTrip, Route, Session, SessionWorker, Set, Status, Tunnel,
};

/// What the sessions of one link carried, over all workers.
#[derive(Clone, Debug, Default)]
pub(super) struct Carried {
    sent_packets: u64,
    sent_octets: u64,
    send_dropped_packets: u64,
    received_packets: u64,
    received_octets: u64,
    lost_packets: u64,
    wins: u64,
    duplicates: u64,
    too_late: u64,
    unknown_epoch: u64,
    per_worker: Vec<SessionWorker>,
    echo_sent: u64,
    echo_lost: u64,
}

impl Carried {
    pub(super) fn of(link: &Link) -> Self {
        let total = |read: fn(&SessionCounters) -> u64| link.total(read);
        let echo = link.ppp.echo_statistics();
        Self {
            sent_packets: total(|counters| counters.sent_packets.read()),
            sent_octets: total(|counters| counters.sent_octets.read()),
            send_dropped_packets: total(|counters| counters.send_dropped_packets.read()),
            received_packets: total(|counters| counters.received_packets.read()),
            received_octets: total(|counters| counters.received_octets.read()),
            lost_packets: link.lost_packets(),
            wins: total(|counters| counters.wins.read()),
            duplicates: total(|counters| counters.duplicates.read()),
            too_late: total(|counters| counters.too_late.read()),
            unknown_epoch: total(|counters| counters.unknown_epoch.read()),
            per_worker: link
                .counters()
                .iter()
                .map(|counters| SessionWorker {
                    received_packets: counters.received_packets.read(),
                    wins: counters.wins.read(),
                    duplicates: counters.duplicates.read(),
                })
                .collect(),
            echo_sent: echo.sent,
            echo_lost: echo.lost,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.sent_packets += other.sent_packets;
        self.sent_octets += other.sent_octets;
        self.send_dropped_packets += other.send_dropped_packets;
        self.received_packets += other.received_packets;
        self.received_octets += other.received_octets;
        self.lost_packets += other.lost_packets;
        self.wins += other.wins;
        self.duplicates += other.duplicates;
        self.too_late += other.too_late;
        self.unknown_epoch += other.unknown_epoch;
        self.echo_sent += other.echo_sent;
        self.echo_lost += other.echo_lost;
        self.per_worker.resize_with(
            self.per_worker.len().max(other.per_worker.len()),
            SessionWorker::default,
        );
        for (mine, theirs) in self.per_worker.iter_mut().zip(&other.per_worker) {
            mine.received_packets += theirs.received_packets;
            mine.wins += theirs.wins;
            mine.duplicates += theirs.duplicates;
        }
    }
}

/// A link of the configuration, whether it is up or not.
struct ConfiguredLink<'a> {
    graph: &'a str,
    tunnel: &'a str,
    username: &'a str,
    ha_set: Option<usize>,
    origin: Origin,
}

impl Engine {
    /// Fills in everything of `status` but the ports and the workers.
    #[must_use]
    pub fn status(&self, now: Duration) -> Status {
        Status {
            name: self.config.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: now.as_secs(),
            interfaces: self.interfaces(),
            tunnels: self.tunnels(now),
            sessions: self
                .configured_links()
                .iter()
                .map(|link| self.session(now, link))
                .collect(),
            sets: self
                .groups
                .iter()
                .filter_map(|group| self.set(group))
                .collect(),
            routes: self.route_lines(),
            neighbours: self.neighbour_lines(),
            ..Status::default()
        }
    }

    fn interfaces(&self) -> Vec<Interface> {
        self.config
            .interfaces
            .iter()
            .enumerate()
            .map(|(place, interface)| Interface {
                name: interface.name.clone(),
                port: self.config.ports[interface.port].name.clone(),
                table: interface.table,
                addresses: interface
                    .addresses
                    .iter()
                    .map(|own| format!("{}/{}", own.address, own.prefix_length))
                    .collect(),
                gateway: interface.gateway,
                mtu: self.interface_mtu(place),
                forward: interface.forward,
            })
            .collect()
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
        let outgoing = self
            .config
            .l2tp
            .outgoing
            .iter()
            .enumerate()
            .map(|(index, outgoing)| ConfiguredLink {
                graph: &outgoing.graph,
                tunnel: &outgoing.name,
                username: &outgoing.username,
                ha_set: outgoing.ha_set,
                origin: Origin::Outgoing(index),
            });
        let incoming =
            self.config
                .l2tp
                .incoming
                .iter()
                .enumerate()
                .flat_map(|(index, incoming)| {
                    incoming
                        .matches
                        .iter()
                        .enumerate()
                        .map(move |(login, entry)| ConfiguredLink {
                            graph: &entry.graph,
                            tunnel: &incoming.name,
                            username: &entry.username,
                            ha_set: entry.ha_set,
                            origin: Origin::Incoming {
                                incoming: index,
                                login: Some(login),
                            },
                        })
                });
        outgoing.chain(incoming).collect()
    }

    /// One link: its newest session, and all that its sessions carried.
    fn session(&self, now: Duration, of: &ConfiguredLink<'_>) -> Session {
        let mut carried = self.history.get(of.graph).cloned().unwrap_or_default();
        let live: Vec<&Link> = self
            .links
            .values()
            .filter(|link| link.origin == of.origin)
            .collect();
        for link in &live {
            carried.add(&Carried::of(link));
        }
        let newest = live.iter().rev().find(|link| !link.is_leaving());
        let mut session = Session {
            name: of.graph.to_owned(),
            tunnel: of.tunnel.to_owned(),
            set: of.ha_set.map(|set| self.config.ha_sets[set].name.clone()),
            state: self.session_state(newest.copied(), of.origin),
            username: of.username.to_owned(),
            sent_packets: carried.sent_packets,
            sent_octets: carried.sent_octets,
            send_dropped_packets: carried.send_dropped_packets,
            received_packets: carried.received_packets,
            received_octets: carried.received_octets,
            lost_packets: carried.lost_packets,
            wins: carried.wins,
            duplicates: carried.duplicates,
            too_late: carried.too_late,
            unknown_epoch: carried.unknown_epoch,
            per_worker: carried.per_worker,
            echo_sent: carried.echo_sent,
            echo_lost: carried.echo_lost,
            ..Session::default()
        };
        let Some(link) = newest else { return session };
        session.ha = link.set.is_some();
        session.local_session_id = link.spec.local_session;
        session.peer_session_id = link.spec.peer_session;
        session.mtu = link.spec.mtu;
        session.round_trip = round_trip(link);
        if let Phase::Open { networks, since } = link.phase {
            session.local_ip = networks.ipv4.map(|ends| ends.local);
            session.remote_ip = networks.ipv4.map(|ends| ends.remote);
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

    fn set(&self, group: &Group) -> Option<Set> {
        let (set, remote) = match group.key {
            GroupKey::Set { set } => {
                let server = self
                    .config
                    .l2tp
                    .outgoing
                    .iter()
                    .find(|outgoing| outgoing.ha_set == Some(set));
                (
                    set,
                    server
                        .map(|outgoing| outgoing.server.to_string())
                        .unwrap_or_default(),
                )
            }
            GroupKey::Remote {
                set: Some(set),
                remote_ip,
                ..
            } => (set, remote_ip.to_string()),
            _ => return None,
        };
        let instance = group.current.and_then(|current| self.sets.get(current));
        let total = |read: fn(&SetCounters) -> u64| {
            instance.map_or(0, |instance| {
                instance
                    .counters
                    .iter()
                    .map(|counters| read(counters))
                    .sum()
            })
        };
        Some(Set {
            name: self.config.ha_sets[set].name.clone(),
            remote,
            protection: group.protection().to_owned(),
            members: group
                .members()
                .into_iter()
                .map(|id| self.link_name(id))
                .collect(),
            sent_packets: total(|counters| counters.sent_packets.read()),
            sent_octets: total(|counters| counters.sent_octets.read()),
            split_packets: total(|counters| counters.split_packets.read()),
            split_pieces: total(|counters| counters.split_pieces.read()),
            delivered_packets: total(|counters| counters.delivered_packets.read()),
            delivered_octets: total(|counters| counters.delivered_octets.read()),
            reassembled_packets: total(|counters| counters.reassembled_packets.read()),
            reassembled_pieces: total(|counters| counters.reassembled_pieces.read()),
            duplicates: total(|counters| counters.duplicates.read()),
            too_late: total(|counters| counters.too_late.read()),
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
        })
    }

    fn route_lines(&self) -> Vec<Route> {
        self.rib
            .routes()
            .map(|(table, prefix, source, next_hop)| Route {
                table: table.0,
                to: prefix.to_string(),
                via: self.via(next_hop),
                origin: match source {
                    Source::Own | Source::PppAddress(_) => "own",
                    Source::Connected => "connected",
                    Source::StaticInto(_) | Source::Static => "static",
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
                |instance| format!("set {}", self.config.ha_sets[instance.set].name),
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

/// The states of RFC 2661, 7.2.1.
fn tunnel_state(state: TunnelState) -> &'static str {
    match state {
        TunnelState::WaitReply => "wait-ctl-reply",
        TunnelState::WaitConnect => "wait-ctl-conn",
        TunnelState::Established => "established",
        TunnelState::Closed => "idle",
    }
}

fn round_trip(link: &Link) -> RoundTrip {
    let echo = link.ppp.echo_statistics();
    if echo.answered == 0 {
        return RoundTrip::default();
    }
    RoundTrip {
        last_us: Some(echo.last_us),
        min_us: Some(echo.min_us),
        mean_us: Some(echo.mean_us),
        max_us: Some(echo.max_us),
    }
}
