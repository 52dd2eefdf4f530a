//! Groups: the sessions that lead to one place. A set that we dial, a remote
//! that dials us, or a single session without a set is a group; its routes
//! lead into the set's current instance, or, when the peer has no HA, into the
//! first open session in the file's order while the others stand by.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::management::status::Set;
use dataplane::command::{NextHop, Prefix, SessionId, SetId, TableId};

/// What makes two sessions belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum GroupKey {
    /// The outgoing tunnels of one `ha-set`.
    Set { set: usize },
    /// An outgoing tunnel without a set.
    Outgoing { outgoing: usize },
    /// What `incoming`, `ha-set` and the matched `remote-ip` name together.
    Remote {
        incoming: usize,
        set: Option<usize>,
        remote_ip: Ipv4Addr,
    },
}

/// A second box that came with the credentials of one that answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conflict {
    /// When it was refused first.
    pub(super) since: Duration,
    /// When it was refused last.
    pub(super) seen: Duration,
}

/// One open session, as a group sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OpenSession {
    pub(super) id: SessionId,
    /// Place in the configuration: the first one carries plain traffic.
    pub(super) rank: usize,
    /// The set instance it is a member of, when both ends agreed.
    pub(super) set: Option<SetId>,
    /// Our PPP address.
    pub(super) local: Ipv4Addr,
    /// What is routed into the group because of this session.
    pub(super) routes: Vec<Prefix>,
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: u32,
    pub(super) key: GroupKey,
    pub(super) table: TableId,
    /// Routes that were offered for the group and not withdrawn.
    pub(super) offered: BTreeSet<Prefix>,
    /// The same of our PPP addresses.
    pub(super) offered_locals: BTreeSet<Ipv4Addr>,
    /// The instance whose members carry the traffic.
    pub(super) current: Option<SetId>,
    pub(super) conflict: Option<Conflict>,
    open: Vec<OpenSession>,
}

impl Group {
    pub(super) fn open(&mut self, session: OpenSession) {
        self.open.retain(|open| open.id != session.id);
        let place = self.open.partition_point(|open| open.rank <= session.rank);
        self.open.insert(place, session);
    }

    pub(super) fn close(&mut self, id: SessionId) {
        self.open.retain(|open| open.id != id);
    }

    pub(super) fn sessions(&self) -> impl Iterator<Item = &OpenSession> {
        self.open.iter()
    }

    /// The members of the current instance, in the file's order.
    #[must_use]
    pub(super) fn members(&self) -> Vec<SessionId> {
        self.open
            .iter()
            .filter(|open| open.set.is_some() && open.set == self.current)
            .map(|open| open.id)
            .collect()
    }

    /// Where the group's routes lead now; `None` withdraws them.
    #[must_use]
    pub(super) fn next_hop(&self) -> Option<NextHop> {
        if let (Some(set), false) = (self.current, self.members().is_empty()) {
            return Some(NextHop::Set(set));
        }
        self.open
            .iter()
            .find(|open| open.set.is_none())
            .map(|open| NextHop::Session(open.id))
    }

    /// What is to be routed into the group while it leads somewhere.
    #[must_use]
    pub(super) fn routes(&self) -> BTreeSet<Prefix> {
        let routes = self.open.iter().flat_map(|open| &open.routes);
        routes.copied().collect()
    }

    #[must_use]
    pub(super) fn locals(&self) -> BTreeSet<Ipv4Addr> {
        self.open.iter().map(|open| open.local).collect()
    }

    /// What the operator should know about how the group is protected.
    #[must_use]
    pub(super) fn protection(&self) -> &'static str {
        match (self.next_hop(), self.members().len()) {
            (None, _) => Set::DOWN,
            (Some(NextHop::Session(_)), _)
                if matches!(
                    self.key,
                    GroupKey::Set { .. } | GroupKey::Remote { set: Some(_), .. }
                ) =>
            {
                Set::NO_HA
            }
            (Some(NextHop::Session(_)), _) => "none",
            (Some(_), 1) => Set::ONE_LINK,
            (Some(_), _) => Set::HA,
        }
    }
}

/// All groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: Vec<Group>,
    by_key: BTreeMap<GroupKey, u32>,
}

impl Groups {
    pub(super) fn group_for(&mut self, key: GroupKey, table: TableId) -> &mut Group {
        let next = u32::try_from(self.groups.len()).expect("fewer groups than u32 counts");
        let id = *self.by_key.entry(key).or_insert(next);
        if id == next {
            self.groups.push(Group {
                id,
                key,
                table,
                offered: BTreeSet::new(),
                offered_locals: BTreeSet::new(),
                current: None,
                conflict: None,
                open: Vec::new(),
            });
        }
        &mut self.groups[id as usize]
    }

    /// A group by the id it was given; groups are never removed: they are as
    /// many as the configuration names.
    pub(super) fn get_mut(&mut self, id: u32) -> &mut Group {
        &mut self.groups[id as usize]
    }

    #[must_use]
    pub(super) fn get(&self, id: u32) -> &Group {
        &self.groups[id as usize]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: u32, rank: usize, set: Option<u32>) -> OpenSession {
        OpenSession {
            id: SessionId(id),
            rank,
            set: set.map(SetId),
            local: Ipv4Addr::LOCALHOST,
            routes: Vec::new(),
        }
    }

    #[test]
    fn the_current_instance_carries_and_the_file_orders_its_members() {
        let mut groups = Groups::default();
        let group = groups.group_for(GroupKey::Set { set: 0 }, TableId(0));
        assert_eq!((group.next_hop(), group.protection()), (None, "down"));
        group.open(session(7, 2, Some(0)));
        assert_eq!(group.next_hop(), None, "no instance is current yet");
        group.current = Some(SetId(0));
        assert_eq!(group.protection(), "one link: no protection");
        group.open(session(8, 0, Some(0)));
        group.open(session(9, 1, Some(1)));
        assert_eq!(group.members(), [SessionId(8), SessionId(7)]);
        assert_eq!(
            (group.next_hop(), group.protection()),
            (Some(NextHop::Set(SetId(0))), "ha")
        );
        group.close(SessionId(8));
        group.close(SessionId(7));
        assert_eq!(
            group.next_hop(),
            None,
            "the other instance's member is not ours"
        );
    }

    #[test]
    fn of_plain_sessions_one_carries_and_the_others_stand_by() {
        let mut groups = Groups::default();
        let group = groups.group_for(GroupKey::Set { set: 0 }, TableId(0));
        group.open(session(2, 1, None));
        group.open(session(1, 0, None));
        assert_eq!(group.next_hop(), Some(NextHop::Session(SessionId(1))));
        assert_eq!(group.protection(), "peer has no HA: no protection");
        group.close(SessionId(1));
        assert_eq!(group.next_hop(), Some(NextHop::Session(SessionId(2))));
    }

    #[test]
    fn a_key_names_one_group() {
        let mut groups = Groups::default();
        let id = groups.group_for(GroupKey::Set { set: 0 }, TableId(0)).id;
        assert_eq!(
            groups.group_for(GroupKey::Set { set: 0 }, TableId(0)).id,
            id
        );
        assert_ne!(
            groups
                .group_for(GroupKey::Outgoing { outgoing: 0 }, TableId(0))
                .id,
            id
        );
    }
}
