//! Who carries the traffic: sessions join and leave their groups, a restarted
//! peer's new instance displaces its old one, and routes follow.

use std::sync::Arc;
use std::time::Duration;

use dataplane::arrivals::Arrivals;
use dataplane::command::{Command, NextHop, Prefix, SessionId, SetId, TableId};
use dataplane::speed::SpeedLimit;
use dataplane::transform::split::MIN_MEMBER_MTU;

use super::Engine;
use super::carried::Carried;
use super::group::{Conflict, GroupKey, OpenSession};
use super::happening::{Ending, Unmasking};
use super::link::{Link, Networks, Origin, Phase};
use super::rib::Source;
use crate::config::{Config, Via};
use crate::ha::Agreement;
use crate::ha::instance::Key;
use crate::ppp::{Family, NameServers, Network};

/// How long a remote's present instance has to answer an echo when a new one
/// wants its place: longer than the round trip of any terrestrial line, short
/// enough that a restarted box is back within seconds.
const HOLD: Duration = Duration::from_millis(1000);
/// How long a second box with the same credentials is refused while the first
/// one answers.
const CONFLICT: Duration = Duration::from_secs(60);
/// A second box that has not come for so long is another one when it comes:
/// longer than any pause between two attempts.
pub(super) const CONFLICT_FORGOTTEN: Duration = Duration::from_secs(180);
/// How long a leaving session of no set still receives.
const GRACE_WITHOUT_SET: Duration = Duration::from_secs(2);

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
        let remote = self.set_and_remote(key).map(|(_, remote)| remote);
        let group = self.groups.group_for(key, table);
        // Links that come before the first one later do not rename it.
        group.remote = group.remote.take().or(remote);
        let (group_id, conflict) = (group.id, group.conflict);
        let replaced_lately = group.replaced_at.is_some_and(|at| now < at + CONFLICT);
        self.links.set_group(id, group_id);
        let Some(set) = self.links[&id].set else {
            return Admission::Now;
        };
        let (GroupKey::Set { set: place }
        | GroupKey::Remote {
            set: Some(place), ..
        }) = key
        else {
            return Admission::Refused("this login has no ha-set");
        };
        let instance = self
            .sets
            .get_mut(set)
            .expect("a link's set lives as long as the link");
        if instance.group.is_none() {
            // The logins of one `incoming` may lead into several sets.
            instance.set = place;
            let config = &self.config.ha_sets[place];
            (instance.mtu, instance.grace) = (config.mtu, config.grace);
        }
        if self.sets.tie(set, group_id) != Some(group_id) {
            return Admission::Refused("this set instance belongs to another remote");
        }
        let waited = conflict.is_some_and(|conflict| {
            now >= conflict.since + CONFLICT && now < conflict.seen + CONFLICT_FORGOTTEN
        });
        let present = self.present_links(id);
        let at_once = !replaced_lately && self.has_address_of(id, &present);
        if waited || present.is_empty() || at_once {
            Admission::Now
        } else {
            Admission::AskPresent
        }
    }

    /// The group that an authenticated link belongs to, and its payload table.
    fn group_key(&self, id: SessionId) -> Option<(GroupKey, TableId)> {
        self.key_of(self.links.get(&id)?.origin)
    }

    /// The same of a link of the configuration.
    pub(super) fn key_of(&self, origin: Origin) -> Option<(GroupKey, TableId)> {
        key_in(&self.config, origin)
    }

    /// Asks the present instance's links for an echo, and lets the newcomer wait.
    pub(super) fn hold(&mut self, now: Duration, id: SessionId) {
        for present in self.present_links(id) {
            if let Some(link) = self.links.get_mut(&present) {
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

    /// Open links of the same remote with another process of the peer.
    fn present_links(&self, newcomer: SessionId) -> Vec<SessionId> {
        let Some(link) = self.links.get(&newcomer) else {
            return Vec::new();
        };
        let Some(group) = link.group.map(|group| self.groups.get(group)) else {
            return Vec::new();
        };
        let of_another = |id| {
            let present = self.links.get(&id).and_then(Link::peer_instance);
            present.is_some() && present != link.peer_instance()
        };
        group
            .sessions()
            .map(|open| open.id)
            .filter(|&id| of_another(id))
            .collect()
    }

    /// Whether a caller has the address and port of one of the present instance's links, in the same table. Two processes
    /// cannot have them at the same time: the present instance is gone, and need not be asked. A NAT that forgot its mappings
    /// may give one to another box, so it is believed once in a while only. Whom we have dialled may be one of
    /// several behind an address.
    fn has_address_of(&self, caller: SessionId, present: &[SessionId]) -> bool {
        let Some(link) = self.links.get(&caller) else {
            return false;
        };
        let place = |link: &Link| (link.spec.table, link.spec.peer);
        let mut present = present.iter().filter_map(|id| self.links.get(id));
        matches!(link.origin, Origin::Incoming { .. })
            && present.any(|present| place(present) == place(link))
    }

    fn hold_ended(&mut self, now: Duration, id: SessionId, until: Duration) {
        let asked_at = until.saturating_sub(HOLD);
        let alive = self.present_links(id).into_iter().any(|present| {
            self.links
                .get(&present)
                .is_some_and(|link| link.lives_since(asked_at))
        });
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.phase = Phase::Negotiating;
        let Some(group) = link.group else { return };
        if alive && self.refuses_newcomer(now, group) {
            self.end_link(now, id, &Ending::Conflict);
        } else {
            self.admit(now, id);
        }
    }

    /// Notes that a second box came while the first one answers. It is refused
    /// for [`CONFLICT`], whatever the first one's links do meanwhile.
    fn refuses_newcomer(&mut self, now: Duration, group: u32) -> bool {
        self.forget_conflicts(now);
        let before = self.groups.get(group).conflict;
        let since = before.map_or(now, |conflict| conflict.since);
        self.groups.get_mut(group).conflict = Some(Conflict { since, seen: now });
        if before.is_none() {
            self.tell_conflict(group);
        }
        now < since + CONFLICT
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
        link.spec.echo = link.echo_answer();
        link.spec.speed = match link.origin {
            Origin::Outgoing(index) => self.config.l2tp.outgoing[index].speed,
            Origin::Incoming { incoming, login } => login.and_then(|login| {
                let matches = &self.config.l2tp.incoming[incoming].matches;
                matches[login].speed
            }),
            Origin::Former => None,
        }
        .map(|speed_bit_s| Arc::new(SpeedLimit::new(speed_bit_s)));
        if let (Some(_), Some(agreement), true) = (
            link.set,
            &link.peer_agreement,
            link.spec.arrivals.is_empty(),
        ) {
            let rings = (0..self.workers).map(|_| Arc::new(Arrivals::new(agreement.epoch)));
            link.spec.arrivals = rings.collect();
        }
        let spec = Arc::new(link.spec.clone());
        if let (Some(set), Some(agreement)) = (link.set, link.peer_agreement.clone()) {
            let instance = self
                .sets
                .get_mut(set)
                .expect("a link's set lives as long as the link");
            instance.tcp_mss_fix |= spec.tcp_mss_fix;
            instance.receive_epoch(now, agreement.epoch);
            let spec = instance.spec();
            self.sets.reschedule(set);
            self.command(Command::SetSet(spec));
        }
        self.command(Command::SetSession(spec));
        self.enter_books(now, id);
        self.settle_link(now, id);
    }

    /// An NCP is open: the link sends, too.
    pub(super) fn opened(&mut self, now: Duration, id: SessionId, network: Network) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if let Phase::Open { networks, .. } = &mut link.phase {
            networks.opened(network);
            log::info!("{}: {network}, too", self.link_name(id));
            self.refresh_session(now, id);
            return;
        }
        let Some(group) = link.group else { return };
        let mut networks = Networks::default();
        networks.opened(network);
        link.phase = Phase::Open {
            networks,
            since: now,
        };
        let (set, agreement) = (link.set, link.peer_agreement.clone());
        let name_servers = link.ppp.name_servers();
        if link.ppp.peer_mru() < link.spec.mtu {
            link.spec.mtu = link.ppp.peer_mru();
            let spec = Arc::new(link.spec.clone());
            self.command(Command::SetSession(spec));
        }
        if let Origin::Outgoing(index) = self.links[&id].origin {
            self.dialers[index].opened();
        }
        if name_servers != NameServers::default() {
            log::info!("{}: the peer's {name_servers}", self.link_name(id));
        }
        let mtu = self.links[&id].spec.mtu;
        if set.is_some() && mtu < MIN_MEMBER_MTU {
            log::warn!(
                "{}: carries packets of {mtu} octets, and a set's links must carry {MIN_MEMBER_MTU}: it gets no copies",
                self.link_name(id)
            );
        }
        let before = self.groups.get(group).current;
        let mut replaced = self.replaced_by(id);
        if let (Some(set), Some(agreement)) = (set, agreement) {
            replaced.extend(self.make_current(now, group, set, &agreement));
            if let Some(link) = self.links.get_mut(&id) {
                link.hearing.begin(now);
            }
            self.begin_path_search(id);
        }
        // Our own end dials anew at once; a peer is not told to.
        let displaced = |old: &Link| Ending::Displaced {
            redial: matches!(old.origin, Origin::Outgoing(_)),
        };
        let replaced: Vec<(SessionId, Ending)> = replaced
            .into_iter()
            .map(|old| (old, displaced(&self.links[&old])))
            .collect();
        for (old, why) in &replaced {
            self.end_mask(*old, Unmasking::LinkDown);
            self.tell_down(now, *old, why);
        }
        self.tell_up(id, network.to_string(), set.is_some());
        let session = self.open_session(id, networks);
        // One step: the workers switch to the new members before the old ones go.
        self.groups.get_mut(group).open(session);
        for (old, _) in &replaced {
            self.groups.get_mut(group).close(*old);
        }
        self.refresh_group(now, group);
        self.moving.push_back((self.commands, id));
        if let Some(before) = before.filter(|&before| Some(before) != set) {
            self.retire_instance(group, before);
        }
        for (old, why) in replaced {
            self.end_link(now, old, &why);
        }
    }

    /// What a link carries has changed, and it is still open.
    pub(super) fn refresh_session(&mut self, now: Duration, id: SessionId) {
        let Some(link) = self.links.get(&id) else {
            return;
        };
        if let (Phase::Open { networks, .. }, Some(group)) = (link.phase, link.group) {
            let session = self.open_session(id, networks);
            self.groups.get_mut(group).open(session);
            self.refresh_group(now, group);
        }
    }

    pub(super) fn open_session(&self, id: SessionId, networks: Networks) -> OpenSession {
        OpenSession {
            id,
            rank: self.rank(id),
            set: self.links[&id].set,
            masked: self.links[&id].mask.is_some(),
            networks,
            routes: self.routes_of(id, networks),
        }
    }

    /// A displaced instance has no members any more; one whose links have all
    /// gone before is forgotten.
    fn retire_instance(&mut self, group: u32, before: SetId) {
        if self.groups.get(group).current != Some(before) {
            self.set_members(before, Vec::new());
            self.remove_set_if_unused(before);
        }
    }

    /// Open links that this one takes the place of: the same login or tunnel again.
    fn replaced_by(&self, id: SessionId) -> Vec<SessionId> {
        let link = &self.links[&id];
        let group = link.group.into_iter();
        group
            .flat_map(|group| self.links.of_group(group))
            .filter(|other| other.id != id && !other.is_leaving() && other.origin == link.origin)
            .filter(|other| other.is_open() || other.id < id)
            .map(|other| other.id)
            .collect()
    }

    /// Makes `set` the group's current instance, met as the peer's process of
    /// `agreement`; the answer is the links of what it displaces.
    fn make_current(
        &mut self,
        now: Duration,
        group: u32,
        set: SetId,
        agreement: &Agreement,
    ) -> Vec<SessionId> {
        let peer_instance = agreement.instance;
        let instance = self
            .sets
            .get_mut(set)
            .expect("a link's set lives as long as the link");
        let grace = instance.grace;
        let new_peer = instance.peer_instance.replace(peer_instance) != Some(peer_instance);
        if instance.prefer_epoch(now, agreement.epoch, grace) {
            let spec = instance.spec();
            self.sets.reschedule(set);
            self.command(Command::SetSet(spec));
        }
        let group = self.groups.get_mut(group);
        let displaced = group
            .current
            .replace(set)
            .is_some_and(|before| before != set);
        if !new_peer && !displaced {
            return Vec::new();
        }
        let group_id = group.id;
        self.end_conflict(group_id, true);
        let old: Vec<SessionId> = self
            .links
            .of_group(group_id)
            .filter(|link| !link.is_leaving())
            .filter(|link| {
                link.peer_instance()
                    .is_some_and(|theirs| theirs != peer_instance)
            })
            .map(|link| link.id)
            .collect();
        if !old.is_empty() {
            log::warn!(
                "the peer restarted: its new instance displaces {} links of the old one",
                old.len()
            );
            self.groups.get_mut(group_id).replaced_at = Some(now);
        }
        old
    }

    fn rank(&self, id: SessionId) -> usize {
        match self.links.get(&id).map(|link| link.origin) {
            Some(Origin::Outgoing(index)) => index,
            Some(Origin::Incoming { login, .. }) => login.unwrap_or(usize::MAX),
            Some(Origin::Former) | None => usize::MAX,
        }
    }

    /// What is routed into the group of an open link: what the file says, and
    /// the peer's own address.
    fn routes_of(&self, id: SessionId, networks: Networks) -> Vec<Prefix> {
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
            Origin::Former => Vec::new(),
        };
        let remote = networks.ipv4.map(|ends| Prefix::host(ends.remote));
        routes.extend(remote.filter(|remote| !routes.contains(remote)));
        routes
    }

    /// Brings the workers' set and routes in line with a group's sessions. Links that
    /// are masked carry again when no other does: in the same step.
    pub(super) fn refresh_group(&mut self, now: Duration, id: u32) {
        let needed = self.unmask_needed(now, id);
        let group = self.groups.get(id);
        let (members, current) = (group.members(), group.current);
        // Nothing may be routed into a set without members: they are there
        // before the routes, and go after them.
        match current {
            Some(set) if members.is_empty() => {
                self.refresh_routes(id);
                self.set_members(set, members);
            }
            Some(set) => {
                self.set_members(set, members);
                self.refresh_routes(id);
            }
            None => self.refresh_routes(id),
        }
        for link in needed {
            self.moving.push_back((self.commands, link));
        }
        self.tell_protection(id);
        self.ask_for_masked(now, id);
    }

    fn refresh_routes(&mut self, id: u32) {
        self.offer_routes_into(id);
        let group = self.groups.get_mut(id);
        let (table, routes) = (group.table, group.routes());
        let offered = routes.into_keys().collect();
        let before = std::mem::replace(&mut group.offered, offered);
        let gone: Vec<Prefix> = before.difference(&group.offered).copied().collect();
        for prefix in gone {
            self.withdraw(table, prefix, Source::Sessions(id));
        }
        for (table, prefix) in self.static_routes_into(id) {
            let family = Family::of(prefix.address);
            if self.groups.get(id).next_hop(family).is_none() {
                self.withdraw(table, prefix, Source::StaticInto(id));
            }
        }
        self.refresh_locals(id);
    }

    /// Offers what leads into a group now, and takes nothing back.
    pub(super) fn offer_routes_into(&mut self, id: u32) {
        let group = self.groups.get_mut(id);
        let (table, routes) = (group.table, group.routes());
        // What is offered is to be taken back some time.
        group.offered.extend(routes.keys());
        for (table, prefix) in self.static_routes_into(id) {
            let family = Family::of(prefix.address);
            if let Some(next_hop) = self.groups.get(id).next_hop(family) {
                self.offer(table, prefix, Source::StaticInto(id), next_hop);
            }
        }
        for (prefix, next_hop) in routes {
            self.offer(table, prefix, Source::Sessions(id), next_hop);
        }
    }

    /// Our PPP addresses are our own while a session has them.
    fn refresh_locals(&mut self, id: u32) {
        let group = self.groups.get_mut(id);
        let (table, locals) = (group.table, group.locals());
        let gone = std::mem::replace(&mut group.offered_locals, locals.clone());
        for &local in gone.difference(&locals) {
            self.withdraw(table, Prefix::host(local), Source::PppAddress(id));
        }
        for local in locals {
            let source = Source::PppAddress(id);
            self.offer(table, Prefix::host(local), source, NextHop::Local);
        }
    }

    /// `routes:` of the file that lead into a group's set.
    pub(super) fn static_routes_into(&self, id: u32) -> Vec<(TableId, Prefix)> {
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
        let Some(instance) = self.sets.get_mut(set) else {
            return;
        };
        if instance.members == members {
            return;
        }
        instance.members = members;
        let spec = instance.spec();
        self.command(Command::SetSet(spec));
    }

    /// The link stops sending now, and receives until its grace time ends. Its
    /// echoes are answered no more: the peer is to know that it is gone.
    pub(super) fn leave(&mut self, now: Duration, id: SessionId, why: &Ending) {
        if self.links.get(&id).is_none_or(Link::is_leaving) {
            return;
        }
        let grace = self.grace(id);
        self.end_mask(id, Unmasking::LinkDown);
        if !self.tell_down(now, id, why) {
            log::info!("{}: ends: {why}", self.link_name(id));
        }
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.phase = Phase::Leaving { until: now + grace };
        let group = link.group;
        let answered = link.spec.echo.take().map(|_| Arc::new(link.spec.clone()));
        self.by_call.remove(&link.call);
        if let Some(spec) = answered {
            self.command(Command::SetSession(spec));
        }
        self.leave_books(now, id);
        if let Some(group) = group {
            self.groups.get_mut(group).close(id);
            self.refresh_group(now, group);
        }
        self.moving.push_back((self.commands, id));
        self.reschedule(id);
    }

    /// PPP is negotiated anew: no traffic until it is authenticated again. When
    /// it is about to end, the link only stops sending: what the peer has sent
    /// is received until the grace time ends.
    pub(super) fn suspend(&mut self, now: Duration, id: SessionId) {
        let Some(link) = self.links.get_mut(&id).filter(|link| !link.is_leaving()) else {
            return;
        };
        link.spec.receive &= link.ppp.is_ending();
        let why = link.ppp.close_reason();
        let why = why.map_or(Ending::Renegotiated, |why| Ending::Ppp(why.clone()));
        self.stop_sending(now, id, Phase::Negotiating, &why);
    }

    /// An NCP is closed. With the last one, the link stops sending.
    pub(super) fn network_down(&mut self, now: Duration, id: SessionId, family: Family) {
        let Some(link) = self.links.get_mut(&id).filter(|link| !link.is_leaving()) else {
            return;
        };
        match &mut link.phase {
            Phase::Open { networks, .. } => networks.closed(family),
            _ => return,
        }
        match link.phase {
            Phase::Open { networks, .. } if !networks.is_empty() => {
                log::info!("{}: {family} is down", self.link_name(id));
                self.refresh_session(now, id);
            }
            _ => self.stop_sending(now, id, Phase::Authenticated, &Ending::NetworksClosed),
        }
    }

    fn stop_sending(&mut self, now: Duration, id: SessionId, phase: Phase, why: &Ending) {
        self.end_mask(id, Unmasking::LinkDown);
        let was_up = self.tell_down(now, id, why);
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.phase = phase;
        link.next_report = None;
        link.spec.echo = link.echo_answer();
        let spec = Arc::new(link.spec.clone());
        let group = link.group;
        if let Some(group) = group {
            self.groups.get_mut(group).close(id);
            self.refresh_group(now, group);
        }
        self.command(Command::SetSession(spec));
        self.moving.push_back((self.commands, id));
        if !was_up {
            log::info!("{}: not up yet: {why}", self.link_name(id));
        }
        self.settle_link(now, id);
    }

    fn grace(&self, id: SessionId) -> Duration {
        self.links
            .get(&id)
            .and_then(|link| self.sets.get(link.set?))
            .map_or(GRACE_WITHOUT_SET, |instance| instance.grace)
    }

    /// A link's timer is due.
    pub(super) fn link_timeout(&mut self, now: Duration, id: SessionId) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        match link.phase {
            Phase::Leaving { until } if until <= now => return self.remove_link(now, id),
            Phase::Held { until } if until <= now => self.hold_ended(now, id, until),
            Phase::Leaving { .. } | Phase::Held { .. } => (),
            _ => {
                link.ppp.handle_timeout(now);
                self.raise_mtu(now, id);
                self.mask_due(now, id);
                self.report_due(now, id);
            }
        }
        self.settle_link(now, id);
    }

    pub(super) fn remove_link(&mut self, now: Duration, id: SessionId) {
        let name = self.link_name(id);
        let Some(link) = self.links.remove(id) else {
            return;
        };
        if let Some(due) = link.scheduled {
            self.deadlines.remove(&(due, id));
        }
        let books = self.close_books(now, &link);
        let carried = Carried::of(&link, books);
        if link.former.as_ref().is_none_or(|it| it.is_graph_known) {
            self.history.entry(name).or_default().add(&carried);
        }
        self.command(Command::RemoveSession(id));
        self.session_slots.give_back(id.0);
        if let Some(set) = link.set {
            self.remove_set_if_unused(set);
        }
        if let Some(group) = link.group {
            self.remove_group_if_unused(group);
        }
    }

    /// Instances of our own sets live as long as the configuration has those; those
    /// of callers until they are displaced, or were never more than provisional.
    pub(super) fn remove_set_if_unused(&mut self, set: SetId) {
        let Some(instance) = self.sets.get(set) else {
            return;
        };
        let current = instance
            .group
            .is_some_and(|group| self.groups.get(group).current == Some(set));
        let used = self.links.use_set(set);
        let is_lasting = matches!(instance.key, Some(Key::Outgoing { .. }));
        if !is_lasting && !current && !used {
            let group = instance.group;
            self.drop_instance_books(set);
            self.sets.remove(set);
            self.command(Command::RemoveSet(set));
            if let Some(group) = group {
                self.remove_group_if_unused(group);
            }
        }
    }

    /// A group that the configuration has no more is forgotten with its last link and instance.
    pub(super) fn remove_group_if_unused(&mut self, id: u32) {
        if !self.groups.is_former(id) || self.links.of_group(id).next().is_some() {
            return;
        }
        if self.sets.of_group(id).next().is_none() {
            self.groups.remove(id);
        }
    }

    pub(super) fn retire_epochs(&mut self, now: Duration) {
        for id in self.sets.retire_epochs(now) {
            if let Some(instance) = self.sets.get(id) {
                let spec = instance.spec();
                self.command(Command::SetSet(spec));
            }
        }
    }
}

/// The group that a link of a configuration belongs to, and its payload table.
pub(super) fn key_in(config: &Config, origin: Origin) -> Option<(GroupKey, TableId)> {
    match origin {
        Origin::Outgoing(outgoing) => {
            let config = &config.l2tp.outgoing[outgoing];
            let key = match config.ha_set {
                Some(set) => GroupKey::Set { set },
                None => GroupKey::Outgoing { outgoing },
            };
            Some((key, TableId(config.payload_table)))
        }
        Origin::Incoming { incoming, login } => {
            let config = &config.l2tp.incoming[incoming];
            let login = config.matches.get(login?)?;
            let key = GroupKey::Remote {
                incoming,
                set: login.ha_set,
                remote_ip: login.remote_ip,
            };
            Some((key, TableId(config.payload_table)))
        }
        Origin::Former => None,
    }
}
