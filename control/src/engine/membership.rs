//! Who carries the traffic: sessions join and leave their groups, a restarted
//! peer's new instance displaces its old one, and routes follow.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use dataplane::command::{Command, NextHop, Prefix, SessionId, SetId, TableId};

use super::dialer::Failure;
use super::group::{GroupKey, OpenSession};
use super::link::{Candidate, Origin, Phase};
use super::rib::Source;
use super::{Engine, report, snapshot};
use crate::config::Via;
use crate::ha::instance::Key;

/// How long a remote's present instance has to answer an echo when a new one
/// wants its place: longer than the round trip of any terrestrial line, short
/// enough that a restarted box is back within seconds.
const HOLD: Duration = Duration::from_millis(1000);
/// How long a second box with the same credentials is refused while the first
/// one answers.
const CONFLICT: Duration = Duration::from_secs(60);
/// How long a leaving session of no set still receives.
const GRACE_WITHOUT_SET: Duration = Duration::from_secs(2);
/// An address that HA data comes from is asked again at most this often.
const CANDIDATE_RETRY: Duration = Duration::from_secs(1);

/// Whether an authenticated link may join its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Now,
    /// Another instance of the same remote has open links: it is asked first.
    AskPresent,
    Refused(&'static str),
}

impl Engine {
    pub(super) fn admission(&mut self, now: Duration, id: SessionId) -> Admission {
        let Some((key, table)) = self.group_key(id) else {
            return Admission::Refused("no login matches");
        };
        let group = self.groups.group_for(key, table);
        let group_id = group.id;
        let (current, conflict_since) = (group.current, group.conflict_since);
        let link = self.links.get_mut(&id).expect("the caller has it");
        link.group = Some(group_id);
        let Some(set) = link.set else {
            return Admission::Now;
        };
        if matches!(key, GroupKey::Remote { set: None, .. }) {
            return Admission::Refused("this login has no ha-set");
        }
        let instance = self
            .sets
            .get_mut(set)
            .expect("a link's set lives as long as the link");
        if *instance.group.get_or_insert(group_id) != group_id {
            return Admission::Refused("this set instance belongs to another remote");
        }
        let Some(present) = current.filter(|&present| present != set) else {
            return Admission::Now;
        };
        let occupied = self
            .groups
            .get(group_id)
            .sessions()
            .any(|open| open.set == Some(present));
        let waited = conflict_since.is_some_and(|since| now >= since + CONFLICT);
        if occupied && !waited {
            Admission::AskPresent
        } else {
            Admission::Now
        }
    }

    /// The group that an authenticated link belongs to, and its payload table.
    fn group_key(&self, id: SessionId) -> Option<(GroupKey, TableId)> {
        let link = self.links.get(&id)?;
        match link.origin {
            Origin::Outgoing(outgoing) => {
                let config = &self.config.l2tp.outgoing[outgoing];
                let key = match config.ha_set {
                    Some(set) => GroupKey::Set { set },
                    None => GroupKey::Outgoing { outgoing },
                };
                Some((key, TableId(config.payload_table)))
            }
            Origin::Incoming { incoming, login } => {
                let config = &self.config.l2tp.incoming[incoming];
                let login = config.matches.get(login?)?;
                let key = GroupKey::Remote {
                    incoming,
                    set: login.ha_set,
                    remote_ip: login.remote_ip,
                };
                Some((key, TableId(config.payload_table)))
            }
        }
    }

    /// Asks the present instance's links for an echo, and lets the newcomer wait.
    pub(super) fn hold(&mut self, now: Duration, id: SessionId) {
        for present in self.present_links(id) {
            if let Some(link) = self.links.get_mut(&present) {
                link.echoes_when_probed = link.ppp.echo_statistics().answered;
                link.ppp.send_echo(now);
            }
            self.settle_link(now, present);
        }
        log::info!(
            "{}: another instance of this remote is up; asking whether it still lives",
            self.link_name(id)
        );
        if let Some(link) = self.links.get_mut(&id) {
            link.phase = Phase::Held { until: now + HOLD };
        }
    }

    fn present_links(&self, newcomer: SessionId) -> Vec<SessionId> {
        let Some(link) = self.links.get(&newcomer) else {
            return Vec::new();
        };
        let Some(group) = link.group.map(|group| self.groups.get(group)) else {
            return Vec::new();
        };
        group
            .sessions()
            .filter(|open| open.set.is_some() && open.set != link.set)
            .map(|open| open.id)
            .collect()
    }

    fn hold_ended(&mut self, now: Duration, id: SessionId) {
        let alive = self.present_links(id).into_iter().any(|present| {
            self.links
                .get(&present)
                .is_some_and(|link| link.ppp.echo_statistics().answered > link.echoes_when_probed)
        });
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.phase = Phase::Negotiating;
        let Some(group) = link.group else { return };
        if alive {
            let since = *self.groups.get_mut(group).conflict_since.get_or_insert(now);
            if now < since + CONFLICT {
                log::error!(
                    "{}: ALARM: two boxes use the same credentials; the newcomer waits",
                    self.link_name(id)
                );
                self.end_link(
                    now,
                    id,
                    Failure::Refused,
                    "another box with these credentials is up",
                );
                return;
            }
        }
        self.admit(now, id);
    }

    /// The link is authenticated as a member of its group: its IP packets are
    /// taken from now on.
    pub(super) fn admit(&mut self, now: Duration, id: SessionId) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.phase = Phase::Authenticated;
        link.spec.receive = true;
        link.spec.set = link.set;
        let spec = Arc::new(link.spec.clone());
        if let (Some(set), Some(agreement)) = (link.set, link.peer_agreement.clone()) {
            let grace = self.grace(id);
            let instance = self
                .sets
                .get_mut(set)
                .expect("a link's set lives as long as the link");
            instance.tcp_mss_fix |= spec.tcp_mss_fix;
            instance.receive_epoch(now, agreement.epoch, grace);
            let spec = instance.spec();
            self.command(Command::SetSet(spec));
        }
        self.command(Command::SetSession(spec));
        self.settle_link(now, id);
    }

    /// IPCP is open: the link sends, too.
    pub(super) fn opened(
        &mut self,
        now: Duration,
        id: SessionId,
        local: Ipv4Addr,
        remote: Ipv4Addr,
    ) {
        let rank = self.rank(id);
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let Some(group) = link.group else { return };
        link.phase = Phase::Open {
            local,
            remote,
            since: now,
        };
        let (set, agreement, table) = (
            link.set,
            link.peer_agreement.clone(),
            link.spec.payload_table,
        );
        if link.ppp.peer_mru() < link.spec.mtu {
            link.spec.mtu = link.ppp.peer_mru();
            let spec = Arc::new(link.spec.clone());
            self.command(Command::SetSession(spec));
        }
        if let Origin::Outgoing(index) = self.links[&id].origin {
            self.dialers[index].opened();
        }
        log::info!(
            "{}: up, {local} to {remote}{}",
            self.link_name(id),
            if set.is_some() { ", HA" } else { ", no HA" }
        );
        let mut replaced = self.replaced_by(id);
        if let (Some(set), Some(agreement)) = (set, agreement) {
            replaced.extend(self.make_current(group, set, agreement.instance));
            let instance = self
                .sets
                .get(set)
                .expect("a link's set lives as long as the link");
            let joined = instance.next_number();
            if let Some(link) = self.links.get_mut(&id) {
                link.joined_number = joined;
                link.next_report = Some(now + report::FIRST_AFTER);
            }
        }
        let known_local = self
            .config
            .interfaces
            .iter()
            .flat_map(|interface| &interface.addresses)
            .any(|own| own.address == local);
        let routes = self.routes_of(id, remote);
        let group = self.groups.get_mut(group);
        group.open(OpenSession { id, rank, set });
        group.routes = routes;
        let group_id = group.id;
        if !known_local {
            group.local = Some(local);
            self.offer(table, Prefix::host(local), Source::Own, NextHop::Local);
        }
        // One step: the workers switch to the new members before the old ones go.
        for old in &replaced {
            self.groups.get_mut(group_id).close(*old);
        }
        self.refresh_group(group_id);
        for old in replaced {
            self.end_link(
                now,
                old,
                Failure::Silent,
                "replaced by the peer's new session",
            );
        }
    }

    /// Open links that this one takes the place of: the same login or tunnel again.
    fn replaced_by(&self, id: SessionId) -> Vec<SessionId> {
        let link = &self.links[&id];
        self.links
            .values()
            .filter(|other| {
                other.id != id
                    && !other.is_leaving()
                    && other.origin == link.origin
                    && other.group == link.group
            })
            .filter(|other| other.is_open() || other.id < id)
            .map(|other| other.id)
            .collect()
    }

    /// Makes `set` the group's current instance, met as the peer's process
    /// `peer_instance`; the answer is the links of what it displaces.
    fn make_current(&mut self, group: u32, set: SetId, peer_instance: u64) -> Vec<SessionId> {
        let instance = self
            .sets
            .get_mut(set)
            .expect("a link's set lives as long as the link");
        let new_peer = instance.peer_instance.replace(peer_instance) != Some(peer_instance);
        let group = self.groups.get_mut(group);
        group.conflict_since = None;
        let displaced = group
            .current
            .replace(set)
            .is_some_and(|before| before != set);
        if !new_peer && !displaced {
            return Vec::new();
        }
        let group_id = group.id;
        let old: Vec<SessionId> = self
            .links
            .values()
            .filter(|link| link.group == Some(group_id) && !link.is_leaving())
            .filter(|link| {
                link.peer_agreement
                    .as_ref()
                    .is_some_and(|theirs| theirs.instance != peer_instance)
            })
            .map(|link| link.id)
            .collect();
        if !old.is_empty() {
            log::warn!(
                "the peer restarted: its new instance displaces {} links of the old one",
                old.len()
            );
        }
        old
    }

    fn rank(&self, id: SessionId) -> usize {
        match self.links.get(&id).map(|link| link.origin) {
            Some(Origin::Outgoing(index)) => index,
            Some(Origin::Incoming { login, .. }) => login.unwrap_or(usize::MAX),
            None => usize::MAX,
        }
    }

    /// What is routed into the group of an open link: what the file says, and
    /// the peer's own address.
    fn routes_of(&self, id: SessionId, remote: Ipv4Addr) -> Vec<Prefix> {
        let link = &self.links[&id];
        let mut routes = match link.origin {
            Origin::Outgoing(index) => self.config.l2tp.outgoing[index].routes.clone(),
            Origin::Incoming { incoming, login } => login
                .map(|login| {
                    self.config.l2tp.incoming[incoming].matches[login]
                        .routes
                        .clone()
                })
                .unwrap_or_default(),
        };
        let host = Prefix::host(remote);
        if !routes.contains(&host) {
            routes.push(host);
        }
        routes
    }

    /// Brings the workers' set and routes in line with a group's sessions.
    pub(super) fn refresh_group(&mut self, id: u32) {
        let group = self.groups.get(id);
        let (table, routes, current) = (group.table, group.routes.clone(), group.current);
        let (members, next_hop, local) = (group.members(), group.next_hop(), group.local);
        if next_hop.is_none() {
            self.withdraw_routes(id, table, &routes);
            if let Some(local) = local {
                self.groups.get_mut(id).local = None;
                self.withdraw(table, Prefix::host(local), Source::Own);
            }
        }
        if let Some(set) = current {
            self.set_members(set, members);
        }
        if let Some(next_hop) = next_hop {
            for prefix in routes {
                self.offer(table, prefix, Source::Sessions(id), next_hop);
            }
            for (table, prefix) in self.static_routes_into(id) {
                self.offer(table, prefix, Source::Static, next_hop);
            }
        }
    }

    fn withdraw_routes(&mut self, id: u32, table: TableId, routes: &[Prefix]) {
        for &prefix in routes {
            self.withdraw(table, prefix, Source::Sessions(id));
        }
        for (table, prefix) in self.static_routes_into(id) {
            self.withdraw(table, prefix, Source::Static);
        }
    }

    /// `routes:` of the file that lead into a group's set.
    fn static_routes_into(&self, id: u32) -> Vec<(TableId, Prefix)> {
        let (GroupKey::Set { set } | GroupKey::Remote { set: Some(set), .. }) =
            self.groups.get(id).key
        else {
            return Vec::new();
        };
        self.config
            .routes
            .iter()
            .filter(|route| route.via == Via::HaSet(set))
            .map(|route| (TableId(route.table), route.to))
            .collect()
    }

    fn set_members(&mut self, set: SetId, members: Vec<SessionId>) {
        let mtu = members
            .iter()
            .filter_map(|id| self.links.get(id))
            .map(|link| link.spec.mtu)
            .min();
        let Some(instance) = self.sets.get_mut(set) else {
            return;
        };
        if instance.members == members {
            return;
        }
        let configured = self.config.ha_sets[instance.set].mtu;
        instance.mtu = mtu.map_or(configured, |mtu| mtu.min(configured));
        instance.members = members;
        let spec = instance.spec();
        self.command(Command::SetSet(spec));
    }

    /// The link stops sending now, and receives until its grace time ends.
    pub(super) fn leave(&mut self, now: Duration, id: SessionId) {
        let grace = self.grace(id);
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if link.is_leaving() {
            return;
        }
        link.phase = Phase::Leaving { until: now + grace };
        let group = link.group;
        self.by_call.remove(&link.call);
        if let Some(group) = group {
            self.groups.get_mut(group).close(id);
            self.refresh_group(group);
        }
        self.reschedule(id);
    }

    /// PPP is negotiated anew: no traffic until it is authenticated again.
    pub(super) fn suspend(&mut self, now: Duration, id: SessionId, authenticated: bool) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if link.is_leaving() {
            return;
        }
        link.phase = if authenticated {
            Phase::Authenticated
        } else {
            Phase::Negotiating
        };
        link.next_report = None;
        link.spec.receive = authenticated;
        let spec = Arc::new(link.spec.clone());
        let group = link.group;
        if let Some(group) = group {
            self.groups.get_mut(group).close(id);
            self.refresh_group(group);
        }
        self.command(Command::SetSession(spec));
        log::info!("{}: the peer negotiates anew", self.link_name(id));
        self.settle_link(now, id);
    }

    fn grace(&self, id: SessionId) -> Duration {
        self.links
            .get(&id)
            .and_then(|link| self.sets.get(link.set?))
            .map_or(GRACE_WITHOUT_SET, |instance| {
                self.config.ha_sets[instance.set].grace
            })
    }

    /// A link's timer is due.
    pub(super) fn link_timeout(&mut self, now: Duration, id: SessionId) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        match link.phase {
            Phase::Leaving { until } if until <= now => return self.remove_link(id),
            Phase::Held { until } if until <= now => self.hold_ended(now, id),
            Phase::Leaving { .. } | Phase::Held { .. } => (),
            _ => {
                link.ppp.handle_timeout(now);
                if link.next_report.is_some_and(|due| due <= now) {
                    self.send_report(now, id);
                }
            }
        }
        self.settle_link(now, id);
    }

    fn remove_link(&mut self, id: SessionId) {
        let name = self.link_name(id);
        let Some(link) = self.links.remove(&id) else {
            return;
        };
        if let Some(due) = link.scheduled {
            self.deadlines.remove(&(due, id));
        }
        self.history
            .entry(name)
            .or_default()
            .add(&snapshot::Carried::of(&link));
        self.command(Command::RemoveSession(id));
        if let Some(set) = link.set {
            self.remove_set_if_unused(set);
        }
    }

    /// Instances of our own sets live as long as the process; those of callers
    /// until they are displaced, or were never more than provisional.
    fn remove_set_if_unused(&mut self, set: SetId) {
        let Some(instance) = self.sets.get(set) else {
            return;
        };
        let current = instance
            .group
            .is_some_and(|group| self.groups.get(group).current == Some(set));
        let used = self.links.values().any(|link| link.set == Some(set));
        if matches!(instance.key, Key::Incoming { .. }) && !current && !used {
            self.sets.remove(set);
            self.command(Command::RemoveSet(set));
        }
    }

    pub(super) fn retire_epochs(&mut self, now: Duration) {
        let changed: Vec<_> = self
            .sets
            .iter_mut()
            .filter_map(|set| set.retire_epochs(now).then(|| set.spec()))
            .collect();
        for spec in changed {
            self.command(Command::SetSet(spec));
        }
    }

    /// Good HA data came from another address: the peer is asked there, and our
    /// packets follow once it answers.
    pub(super) fn peer_moved(&mut self, now: Duration, id: SessionId, source: SocketAddrV4) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let asked = link.candidate.is_some_and(|candidate| {
            candidate.address == source && now < candidate.probed_at + CANDIDATE_RETRY
        });
        if asked || !link.is_open() || source == link.spec.peer {
            return;
        }
        link.candidate = Some(Candidate {
            address: source,
            probed_at: now,
        });
        link.ppp.send_echo(now);
        self.settle_link(now, id);
    }

    /// The peer answered from its new address.
    pub(super) fn accept_peer(&mut self, now: Duration, id: SessionId, peer: SocketAddrV4) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.candidate = None;
        link.spec.peer = peer;
        let (tunnel, spec) = (link.tunnel, Arc::new(link.spec.clone()));
        self.endpoint.set_peer(tunnel, peer);
        self.command(Command::SetSession(spec));
        self.settle_endpoint(now);
    }
}
