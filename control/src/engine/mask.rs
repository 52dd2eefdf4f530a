//! Drills: links that carry nothing for a while though they are up, so that it is seen
//! what their failing would do. A mask ends by itself, and it ends at once when no
//! other link of the set is known to carry: a drill cuts nobody off.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dataplane::command::{Command, SessionId};
use dataplane::transform::split::MIN_MEMBER_MTU;

use super::Engine;
use super::group::{Group, OpenSession};
use super::happening::{FaultEnd, Unmasking, What};
use super::link::{Link, Phase};
use super::report::Told;
use crate::ha::SetInstance;
use crate::management::status::{Masked, Unmasked};
use crate::ppp::Family;

/// How long a link may be masked.
pub const SHORTEST_MASK: Duration = Duration::from_secs(1);
pub const LONGEST_MASK: Duration = Duration::from_secs(3600);

/// A link's drill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mask {
    pub(super) until: Duration,
    /// The set's next number when the workers were not told yet: all before were the
    /// link's to carry on each of them.
    pub(super) parted: u64,
    /// What the peer was told of the link's copies when the workers gave it no more.
    pub(super) farewell: Option<Told>,
}

/// Why nothing was masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MaskRefusal {
    /// The configuration has no such name; the text names some that it has.
    UnknownName(String),
    /// It would be too short or too long.
    Time,
    /// It cannot be now.
    NotNow(String),
}

impl fmt::Display for MaskRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownName(why) | Self::NotNow(why) => formatter.write_str(why),
            Self::Time => write!(
                formatter,
                "a drill takes from {} s to {} s",
                SHORTEST_MASK.as_secs(),
                LONGEST_MASK.as_secs()
            ),
        }
    }
}

impl Engine {
    /// Masks what has this name for so long: a link by its `graph`, or those that are up
    /// of an `outgoing` or `incoming`. One that is masked already is from now on for so
    /// long. Either all of them are masked or none is.
    ///
    /// # Errors
    /// When that would leave a set without a link that is known to carry, or when there
    /// is nothing to mask.
    pub fn mask(
        &mut self,
        now: Duration,
        name: &str,
        time: Duration,
    ) -> Result<Masked, MaskRefusal> {
        let named = self.links_named(name).map_err(MaskRefusal::UnknownName)?;
        if !(SHORTEST_MASK..=LONGEST_MASK).contains(&time) {
            return Err(MaskRefusal::Time);
        }
        let is_open = |id: &SessionId| self.links.get(id).is_some_and(Link::is_open);
        let open: Vec<SessionId> = named.into_iter().filter(is_open).collect();
        if open.is_empty() {
            let why = format!("{name} is not up: there is nothing to rehearse");
            return Err(MaskRefusal::NotNow(why));
        }
        for &id in &open {
            self.check_mask(now, id, &open)
                .map_err(MaskRefusal::NotNow)?;
        }
        for &id in &open {
            self.mask_link(now, id, time);
        }
        Ok(Masked {
            name: name.to_owned(),
            links: open.iter().map(|&id| self.link_name(id)).collect(),
            for_s: time.as_secs(),
        })
    }

    /// Ends the drills of what has this name; there may be none.
    ///
    /// # Errors
    /// When the configuration has no such name; the text names some that it has.
    pub fn unmask(&mut self, now: Duration, name: &str) -> Result<Unmasked, String> {
        let masked = |id: &SessionId| self.links.get(id).is_some_and(|it| it.mask.is_some());
        let ids = self.links_named(name)?;
        let ids: Vec<SessionId> = ids.into_iter().filter(masked).collect();
        for &id in &ids {
            self.unmask_link(now, id, Unmasking::Operator);
        }
        Ok(Unmasked {
            name: name.to_owned(),
            links: ids.iter().map(|&id| self.link_name(id)).collect(),
        })
    }

    /// The links that have this name, or whose tunnel has it.
    fn links_named(&self, name: &str) -> Result<Vec<SessionId>, String> {
        self.check_name(name)?;
        let mut ids = self.sessions_named(name);
        for tunnel in self.tunnels_named(name) {
            let links = self.links.of_tunnel(tunnel);
            let links = links.filter(|link| !link.is_leaving());
            ids.extend(links.map(|link| link.id));
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// Whether a link's set is still carried when `masked` are masked with it.
    fn check_mask(&self, now: Duration, id: SessionId, masked: &[SessionId]) -> Result<(), String> {
        let name = self.link_name(id);
        let group = self.links.get(&id).and_then(|link| link.group);
        let group = group.map(|group| self.groups.get(group));
        let set = group.and_then(|group| self.set_name(group.key));
        let (Some(group), Some(set)) = (group, set) else {
            return Err(format!(
                "{name} is in no set: nothing would carry in its place"
            ));
        };
        let is_masked = |open: &OpenSession| open.masked || masked.contains(&open.id);
        let mut sessions = group.sessions();
        let Some(session) = sessions.find(|open| open.id == id) else {
            return Ok(());
        };
        if self.peer_needs(id) {
            return Err(format!(
                "the other end has no link but {name} that is known to carry"
            ));
        }
        if self.is_covered(now, group, session, is_masked) {
            return Ok(());
        }
        let others = group.sessions().filter(|open| open.id != id);
        let others = others.filter_map(|open| {
            let why = match is_masked(open) {
                true => "is masked",
                false => self.weakness(now, open)?,
            };
            Some(format!("; {}: {why}", self.link_name(open.id)))
        });
        let others: String = others.collect();
        Err(format!(
            "{name} is the only link that carries set {}{others}",
            set.name
        ))
    }

    /// Whether another link carries what one does that is masked. The copies of an HA
    /// link come over any other one of its instance; without HA, a family goes over
    /// whichever link has it open.
    fn is_covered(
        &self,
        now: Duration,
        group: &Group,
        session: &OpenSession,
        is_masked: impl Fn(&OpenSession) -> bool,
    ) -> bool {
        let others = group.sessions().filter(|other| {
            other.id != session.id
                && other.set == session.set
                && !is_masked(other)
                && self.weakness(now, other).is_none()
        });
        let others: Vec<&OpenSession> = others.collect();
        if session.set.is_some() {
            return !others.is_empty();
        }
        [Family::Ipv4, Family::Ipv6].into_iter().all(|family| {
            let has = |open: &OpenSession| open.networks.has(family);
            !has(session) || others.iter().any(|other| has(other))
        })
    }

    /// Why an open link cannot be relied on.
    fn weakness(&self, now: Duration, open: &OpenSession) -> Option<&'static str> {
        let link = self.links.get(&open.id)?;
        // Nothing tells how a link without HA is, but its echoes.
        let heard = open.set.and_then(|_| link.hearing.weakness(now));
        if heard.is_some() {
            heard
        } else if open.set.is_some() && link.spec.mtu < MIN_MEMBER_MTU {
            Some("carries too little")
        } else {
            self.port_down(link).map(|_| "its port is down")
        }
    }

    fn mask_link(&mut self, now: Duration, id: SessionId, time: Duration) {
        let until = now + time;
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if let Some(mask) = &mut link.mask {
            mask.until = until;
            let name = self.link_name(id);
            log::info!("{name}: masked for {} s from now on", time.as_secs());
            return self.reschedule(id);
        }
        let instance = link.set.and_then(|set| self.sets.get(set));
        let parted = instance.map_or(0, SetInstance::next_number);
        link.mask = Some(Mask {
            until,
            parted,
            farewell: None,
        });
        let key = link.books_key();
        let fault = link.hearing.pause(now);
        if let Some(lasted) = fault {
            self.tell_fault_ended(id, lasted, FaultEnd::Masked);
        }
        self.tell_of_link(id, What::LinkMasked { time });
        // It sends nothing before it takes nothing.
        self.refresh_session(now, id);
        if self.links.get(&id).is_none_or(|link| link.mask.is_none()) {
            // It was found to be needed, and carries again already.
            return;
        }
        self.set_masked(id, true);
        if let Some(books) = key.and_then(|key| self.books.get_mut(&key)) {
            books.pause(now, id);
        }
        self.moving.push_back((self.commands, id));
        self.reschedule(id);
    }

    /// Whether the workers take copies from a link. Without HA they go on to take its
    /// packets: the peer sends them over no other.
    fn set_masked(&mut self, id: SessionId, masked: bool) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if link.set.is_some() {
            link.spec.masked = masked;
            let spec = Arc::new(link.spec.clone());
            self.command(Command::SetSession(spec));
        }
    }

    /// A link's drill is over: what comes over it is taken. Says whether there was one.
    pub(super) fn end_mask(&mut self, id: SessionId, why: Unmasking) -> bool {
        let mask = self.links.get_mut(&id).and_then(|link| link.mask.take());
        if mask.is_none() {
            return false;
        }
        self.set_masked(id, false);
        self.tell_of_link(id, What::LinkUnmasked(why));
        true
    }

    /// The same of an open link, which its group knows to carry again.
    fn end_mask_of_open(&mut self, id: SessionId, why: Unmasking) {
        if !self.end_mask(id, why) {
            return;
        }
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let received = link.total(|counters| counters.received_packets.read());
        link.hearing.resume(received);
        if let (Phase::Open { networks, .. }, Some(group)) = (link.phase, link.group) {
            let session = self.open_session(id, networks);
            self.groups.get_mut(group).open(session);
        }
        self.reschedule(id);
    }

    fn unmask_link(&mut self, now: Duration, id: SessionId, why: Unmasking) {
        self.end_mask_of_open(id, why);
        if let Some(group) = self.links.get(&id).and_then(|link| link.group) {
            self.refresh_group(now, group);
        }
        self.moving.push_back((self.commands, id));
    }

    /// Ends a drill whose time is up.
    pub(super) fn mask_due(&mut self, now: Duration, id: SessionId) {
        let mask = self.links.get(&id).and_then(|link| link.mask);
        if mask.is_some_and(|mask| mask.until <= now) {
            self.unmask_link(now, id, Unmasking::Time);
        }
    }

    /// Ends a group's drills when something masked is carried by no other link; the
    /// links that carry again, for the group to be refreshed.
    pub(super) fn unmask_needed(&mut self, now: Duration, group: u32) -> Vec<SessionId> {
        if self.stopping || !self.needs_masked(now, group) {
            return Vec::new();
        }
        let masked = self.groups.get(group).sessions().filter(|open| open.masked);
        let masked: Vec<SessionId> = masked.map(|open| open.id).collect();
        for &id in &masked {
            self.end_mask_of_open(id, Unmasking::Needed);
        }
        masked
    }

    fn needs_masked(&self, now: Duration, group: u32) -> bool {
        let group = self.groups.get(group);
        let mut masked = group.sessions().filter(|open| open.masked);
        masked.any(|session| {
            let is_covered = self.is_covered(now, group, session, |open| open.masked);
            !is_covered || self.peer_needs(session.id)
        })
    }

    /// Whether the other end relies on a link that we have masked.
    fn peer_needs(&self, id: SessionId) -> bool {
        let link = self.links.get(&id);
        link.is_some_and(|link| link.hearing.peer().is_needed)
    }

    /// Whether the other end has masked a link that no other stands in for here.
    pub(super) fn needs_of_peer(&self, now: Duration, id: SessionId) -> bool {
        let masked = self.links.get(&id);
        let masked = masked.filter(|link| link.is_open() && link.hearing.peer().is_masked);
        let Some(group) = masked.and_then(|link| link.group) else {
            return false;
        };
        let group = self.groups.get(group);
        let session = group.sessions().find(|open| open.id == id);
        session.is_some_and(|session| !self.is_covered(now, group, session, |open| open.masked))
    }

    /// Tells the other end at once, over what it has masked, that this is all that a
    /// group has.
    pub(super) fn ask_for_masked(&mut self, now: Duration, group: u32) {
        if self.stopping {
            return;
        }
        let sessions = self.groups.get(group).sessions();
        let needed = sessions.map(|open| open.id).filter(|&id| {
            let is_said = self.links.get(&id).is_some_and(|link| link.said_needed);
            !is_said && self.needs_of_peer(now, id)
        });
        let needed: Vec<SessionId> = needed.collect();
        for id in needed {
            self.report_now(now, id);
        }
    }

    /// Something is known of a link that may end its group's drills, or the other end's.
    pub(super) fn guard_masks_of(&mut self, now: Duration, id: SessionId) {
        if let Some(group) = self.links.get(&id).and_then(|link| link.group) {
            self.guard_masks_in(now, group);
        }
    }

    /// The same of links that may be anywhere.
    pub(super) fn guard_masks(&mut self, now: Duration) {
        let groups: Vec<u32> = self.groups.iter().map(|group| group.id).collect();
        for group in groups {
            self.guard_masks_in(now, group);
        }
    }

    fn guard_masks_in(&mut self, now: Duration, group: u32) {
        if self.needs_masked(now, group) {
            self.refresh_group(now, group);
        } else {
            self.ask_for_masked(now, group);
        }
    }
}
