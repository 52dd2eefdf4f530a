//! What the engine tells the operator: its part of `status`. There may be a hundred thousand lines, and nobody else is heard while
//! one is written: they are written a few at a time.

mod interfaces;
mod links;
mod sets;
mod tunnels;

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use dataplane::command::{NextHop, Prefix, TableId};

use super::group::GroupKey;
use super::link::Origin;
use super::rib::Source;
use super::{Engine, display_mac};
use crate::host::NeighbourState;
use crate::l2tp::{Statistics, TunnelId};
use crate::management::status::{Neighbour, RoundTrip, Route, Status};
use crate::ppp::EchoStatistics;
use links::Former;

/// A status in the making. Each line is of the moment in which it was written, with all that a set's line says of its links. The
/// uptime is that of the last line.
#[derive(Debug, Default)]
pub struct Snapshot {
    status: Status,
    next: Next,
    /// The configuration that it is of.
    configuration: u64,
    /// The links of each set, as far as they are written.
    of_sets: BTreeMap<GroupKey, Vec<Origin>>,
    /// Of the links that leave because another configuration does not have them, those whose graph it has. They only become fewer.
    former: Former,
}

/// The line that is written next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Head,
    /// The link of an `outgoing`, by its place.
    DialledLink(usize),
    /// The link of a `match`, by the places of its `incoming` and its own.
    AdmittedLink(usize, usize),
    /// The set of the group with this id, or the next one.
    Set(u32),
    DialledTunnel(usize),
    /// The one after this.
    AdmittedTunnel(Option<TunnelId>),
    Route(Option<(TableId, Prefix)>),
    End,
}

impl Engine {
    /// Fills in everything of `status` but the ports and the workers.
    #[must_use]
    pub fn status(&self, now: Duration) -> Status {
        let mut snapshot = Snapshot::default();
        while !self.continue_snapshot(now, &mut snapshot, || true) {}
        snapshot.into_status()
    }

    /// Goes on with a snapshot as long as `goes_on` says so, at least by a line. Says whether it is whole. It begins anew
    /// when the configuration was changed.
    pub fn continue_snapshot(
        &self,
        now: Duration,
        snapshot: &mut Snapshot,
        mut goes_on: impl FnMut() -> bool,
    ) -> bool {
        if snapshot.configuration != self.reloads {
            *snapshot = Snapshot {
                configuration: self.reloads,
                ..Snapshot::default()
            };
        }
        let dialled = OnceCell::new();
        while snapshot.next != Next::End {
            snapshot.next = self.write_line(now, snapshot, &dialled);
            if !goes_on() {
                break;
            }
        }
        snapshot.next == Next::End
    }

    /// Writes a line, and says which is next.
    fn write_line(
        &self,
        now: Duration,
        snapshot: &mut Snapshot,
        dialled: &OnceCell<HashMap<usize, TunnelId>>,
    ) -> Next {
        match snapshot.next {
            Next::Head => {
                snapshot.status = self.head(now);
                snapshot.former = self.former();
                Next::DialledLink(0)
            }
            Next::DialledLink(place) => {
                let origin = Origin::Outgoing(place);
                if self.write_link(now, snapshot, origin) {
                    Next::DialledLink(place + 1)
                } else {
                    Next::AdmittedLink(0, 0)
                }
            }
            Next::AdmittedLink(incoming, login) => {
                let origin = Origin::Incoming {
                    incoming,
                    login: Some(login),
                };
                if self.write_link(now, snapshot, origin) {
                    Next::AdmittedLink(incoming, login + 1)
                } else if incoming + 1 < self.config.l2tp.incoming.len() {
                    Next::AdmittedLink(incoming + 1, 0)
                } else {
                    Next::Set(0)
                }
            }
            Next::Set(from) => {
                let Some(group) = self.groups.at_or_after(from) else {
                    return Next::DialledTunnel(0);
                };
                let links = snapshot.of_sets.get(&group.key);
                let links = links.map_or(&[][..], Vec::as_slice);
                let line = self.line_of_set(now, group, links, &snapshot.former);
                snapshot.status.sets.extend(line);
                Next::Set(group.id + 1)
            }
            Next::DialledTunnel(place) => {
                let dialled = dialled.get_or_init(|| self.dialled_tunnels());
                let tunnel = dialled.get(&place).copied();
                match self.outgoing_line(now, place, tunnel) {
                    Some(line) => {
                        snapshot.status.tunnels.push(line);
                        Next::DialledTunnel(place + 1)
                    }
                    None => Next::AdmittedTunnel(None),
                }
            }
            Next::AdmittedTunnel(before) => match self.endpoint.tunnel_after(before) {
                Some(tunnel) => {
                    let line = self.incoming_line(now, tunnel);
                    snapshot.status.tunnels.extend(line);
                    Next::AdmittedTunnel(Some(tunnel))
                }
                None => Next::Route(None),
            },
            Next::Route(before) => match self.rib.route_after(before) {
                Some((table, prefix, source, next_hop)) => {
                    let line = self.route_line(table, prefix, source, next_hop);
                    snapshot.status.routes.push(line);
                    Next::Route(Some((table, prefix)))
                }
                None => {
                    snapshot.status.uptime_s = now.as_secs();
                    Next::End
                }
            },
            Next::End => Next::End,
        }
    }

    /// Everything that there is little of: of neighbours at most some thousands.
    fn head(&self, now: Duration) -> Status {
        let admitted = self.config.l2tp.incoming.iter();
        let admitted: usize = admitted.map(|incoming| incoming.matches.len()).sum();
        Status {
            name: self.config.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            interfaces: self.interface_lines(now),
            l2tp_drops: l2tp_drops(&self.endpoint.statistics()),
            neighbours: self.neighbour_lines(),
            neighbour_counters: interfaces::counters(self.neighbours.counters()),
            // Room that is made later has the lines copied each time.
            sessions: Vec::with_capacity(self.config.l2tp.outgoing.len() + admitted),
            routes: Vec::with_capacity(self.rib.len()),
            ..Status::default()
        }
    }

    /// Says whether the configuration has such a link.
    fn write_link(&self, now: Duration, snapshot: &mut Snapshot, origin: Origin) -> bool {
        let Some(line) = self.session_line(now, origin, &snapshot.former) else {
            return false;
        };
        if line.set.is_some()
            && let Some((key, _)) = self.key_of(origin)
        {
            snapshot.of_sets.entry(key).or_default().push(origin);
        }
        snapshot.status.sessions.push(line);
        true
    }

    fn route_line(
        &self,
        table: TableId,
        prefix: Prefix,
        source: Source,
        next_hop: NextHop,
    ) -> Route {
        Route {
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
            .into(),
        }
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

impl Snapshot {
    /// What is written so far: all of it, once the engine has said that it is whole.
    #[must_use]
    pub fn into_status(self) -> Status {
        self.status
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
