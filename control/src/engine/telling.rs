//! Says what happens, each thing once: what was said last of every link, fault, set and
//! conflict is kept.

use std::collections::BTreeMap;
use std::time::Duration;

use dataplane::command::{PortId, SessionId};

use super::group::{GroupKey, Protection};
use super::happening::{Ending, Fault, FaultEnd, Happening, SetName, What};
use super::link::{Link, Origin};
use super::membership::CONFLICT_FORGOTTEN;
use super::{Engine, Output};

/// The links that were said to be up, and by which session each is.
#[derive(Debug, Default)]
pub(super) struct Online(pub(super) BTreeMap<Origin, SessionId>);

impl Online {
    fn came(&mut self, origin: Origin, id: SessionId) {
        self.0.insert(origin, id);
    }

    /// The places of links are others.
    pub(super) fn renumber(&mut self, origin_now: impl Fn(Origin) -> Option<Origin>) {
        let online = std::mem::take(&mut self.0).into_iter();
        let now = online.filter_map(|(origin, id)| Some((origin_now(origin)?, id)));
        self.0 = now.collect();
    }

    /// Whether it was this session by which the link was up.
    fn went(&mut self, origin: Origin, id: SessionId) -> bool {
        let was_up = self.0.get(&origin) == Some(&id);
        if was_up {
            self.0.remove(&origin);
        }
        was_up
    }
}

impl Engine {
    fn tell(&mut self, link: Option<String>, set: Option<SetName>, what: What) {
        let happening = Happening { link, set, what };
        self.outputs
            .push_back(Output::Happened(Box::new(happening)));
    }

    pub(super) fn tell_of_link(&mut self, id: SessionId, what: What) {
        let origin = self.links.get(&id).map(|link| link.origin);
        let key = origin.and_then(|origin| self.key_of(origin));
        let set = key.and_then(|(key, _)| self.set_name(key));
        self.tell(Some(self.link_name(id)), set, what);
    }

    fn tell_of_group(&mut self, group: u32, what: What) {
        let set = self.set_name(self.groups.get(group).key);
        self.tell(None, set, what);
    }

    /// The set of a group, if it has one.
    pub(super) fn set_name(&self, key: GroupKey) -> Option<SetName> {
        let (set, remote) = self.set_and_remote(key)?;
        Some(SetName {
            name: self.config.ha_sets[set].name.clone(),
            remote,
        })
    }

    /// A link is open.
    pub(super) fn tell_up(&mut self, id: SessionId, network: String, ha: bool) {
        let Some(link) = self.links.get(&id) else {
            return;
        };
        self.online.came(link.origin, id);
        self.tell_of_link(id, What::LinkUp { network, ha });
    }

    /// A link is open no more, and with it ends what fault it had. Says whether it was up.
    pub(super) fn tell_down(&mut self, now: Duration, id: SessionId, why: &Ending) -> bool {
        let Some(link) = self.links.get_mut(&id) else {
            return false;
        };
        if !self.online.went(link.origin, id) {
            return false;
        }
        if let Some(lasted) = link.hearing.end(now) {
            self.tell_fault_ended(id, lasted, FaultEnd::LinkDown);
        }
        let port = self.links.get(&id).and_then(|link| self.port_down(link));
        let why = match port.filter(|_| why.is_silence()) {
            Some(port) => Ending::PortDown {
                port,
                noticed: Box::new(why.clone()),
            },
            None => why.clone(),
        };
        self.tell_of_link(id, What::LinkDown(why));
        true
    }

    /// The name of the port that a link goes by, if it is down.
    pub(super) fn port_down(&self, link: &Link) -> Option<String> {
        let place = self.interface_of(link.spec.table.0, link.spec.local.ip())?;
        let port = &self.ports[self.interfaces[place].port];
        let carrier = port.carrier.unwrap_or(port.id);
        let is_down = |port: PortId| self.ports_down.contains(&port);
        (is_down(port.id) || is_down(carrier)).then(|| {
            let configured = self.config.interfaces[place].port;
            self.config.ports[configured].name.clone()
        })
    }

    pub(super) fn tell_fault(&mut self, id: SessionId, fault: Fault) {
        self.tell_of_link(id, What::FaultBegan(fault));
    }

    pub(super) fn tell_fault_ended(&mut self, id: SessionId, lasted: Duration, how: FaultEnd) {
        self.tell_of_link(id, What::FaultEnded { lasted, how });
    }

    /// Says how a group's set is protected, when that is not what was said last. An
    /// appliance that stops only says that its sets are down.
    pub(super) fn tell_protection(&mut self, id: u32) {
        let group = self.groups.get_mut(id);
        let protection = group.protection();
        if protection == group.told || (self.stopping && protection != Protection::Down) {
            return;
        }
        group.told = protection;
        let members = group.members();
        let what = match protection {
            Protection::Ha => What::SetProtected {
                links: members.len(),
            },
            Protection::OneLink => What::SetOneLink {
                link: members
                    .first()
                    .map(|&id| self.link_name(id))
                    .unwrap_or_default(),
            },
            Protection::NoHa => What::SetUnprotected,
            Protection::Down => What::SetDown {
                stopping: self.stopping,
            },
            Protection::NoSet => return,
        };
        if self.set_name(self.groups.get(id).key).is_some() {
            self.tell_of_group(id, what);
        }
    }

    pub(super) fn tell_conflict(&mut self, group: u32) {
        self.conflicts.insert(group);
        self.tell_of_group(group, What::ConflictBegan);
    }

    /// The newcomer is in, or has not come for long.
    pub(super) fn end_conflict(&mut self, group: u32, taken_over: bool) {
        let conflict = self.groups.get_mut(group).conflict.take();
        if conflict.is_some() && self.conflicts.remove(&group) {
            self.tell_of_group(group, What::ConflictEnded { taken_over });
        }
    }

    /// Forgets the second boxes that have not come for long.
    pub(super) fn forget_conflicts(&mut self, now: Duration) {
        let is_over = |&&group: &&u32| self.forgets_conflict_at(group) <= Some(now);
        let over: Vec<u32> = self.conflicts.iter().filter(is_over).copied().collect();
        for group in over {
            self.end_conflict(group, false);
        }
    }

    fn forgets_conflict_at(&self, group: u32) -> Option<Duration> {
        let conflict = self.groups.get(group).conflict?;
        Some(conflict.seen + CONFLICT_FORGOTTEN)
    }

    /// When [`Self::forget_conflicts`] is to be called next.
    pub(super) fn next_forgotten_conflict(&self) -> Option<Duration> {
        let conflicts = self.conflicts.iter();
        conflicts
            .filter_map(|&group| self.forgets_conflict_at(group))
            .min()
    }
}
