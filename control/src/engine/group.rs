//! Groups: the sessions that lead to one place. A set that we dial, a remote
//! that dials us, or a single session without a set is a group; its routes
//! lead into the set's current instance, or, when the peer has no HA, into the
//! first open session in the file's order while the others stand by.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use super::carried::SetCarried;
use super::link::Networks;
use crate::management::status::Set;
use crate::ppp::Family;
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
    /// Nothing in the configuration any more: its sessions leave.
    Former,
}

/// A second box that came with the credentials of one that answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conflict {
    /// When it was refused first.
    pub(super) since: Duration,
    /// When it was refused last.
    pub(super) seen: Duration,
}

/// What the operator should know about how a group is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    /// Two links or more, all with the HA header.
    Ha,
    /// One live link of the set.
    OneLink,
    /// The peer does not speak HA.
    NoHa,
    /// A link that is in no set.
    NoSet,
    /// No live link.
    Down,
}

impl Protection {
    /// As `status` has it.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Ha => Set::HA,
            Self::OneLink => Set::ONE_LINK,
            Self::NoHa => Set::NO_HA,
            Self::NoSet => "none",
            Self::Down => Set::DOWN,
        }
    }
}

/// One open session, as a group sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OpenSession {
    pub(super) id: SessionId,
    /// Place in the configuration: the first one carries plain traffic.
    pub(super) rank: usize,
    /// The set instance it is a member of, when both ends agreed.
    pub(super) set: Option<SetId>,
    /// What it carries.
    pub(super) networks: Networks,
    /// It gets no packets and none are taken from it, for a drill.
    pub(super) masked: bool,
    /// What is routed into the group because of this session, as far as it
    /// carries it.
    pub(super) routes: Vec<Prefix>,
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: u32,
    pub(super) key: GroupKey,
    pub(super) table: TableId,
    /// Who its links lead to: what it is called by besides its set, for as long as it is there.
    pub(super) remote: Option<String>,
    /// Routes that were offered for the group and not withdrawn.
    pub(super) offered: BTreeSet<Prefix>,
    /// The same of our PPP addresses.
    pub(super) offered_locals: BTreeSet<Ipv4Addr>,
    /// The instance whose members carry the traffic.
    pub(super) current: Option<SetId>,
    pub(super) conflict: Option<Conflict>,
    /// When a new instance of the peer last took the place of one with links.
    pub(super) replaced_at: Option<Duration>,
    /// What set instances carried that are not there any more.
    pub(super) carried: SetCarried,
    /// What was said last of how it is protected.
    pub(super) told: Protection,
    open: Vec<OpenSession>,
}

impl Group {
    pub(super) fn open(&mut self, session: OpenSession) {
        self.open.retain(|open| open.id != session.id);
        let place = self.open.partition_point(|open| open.rank <= session.rank);
        self.open.insert(place, session);
    }

    /// The same sessions, with what another configuration makes of them.
    pub(super) fn reopen(&mut self, mut sessions: Vec<OpenSession>) {
        sessions.sort_by_key(|open| open.rank);
        self.open = sessions;
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
        let members = self.open.iter().filter(|open| self.is_member(open));
        members.map(|open| open.id).collect()
    }

    fn is_member(&self, open: &OpenSession) -> bool {
        open.set.is_some() && open.set == self.current && !open.masked
    }

    fn has_members(&self) -> bool {
        self.open.iter().any(|open| self.is_member(open))
    }

    /// Where the group's routes of a family lead now; `None` withdraws them. A
    /// set takes a family as soon as one of its members has: the other end takes
    /// from every member whatever the set carries.
    #[must_use]
    pub(super) fn next_hop(&self, family: Family) -> Option<NextHop> {
        let mut carriers = self.open.iter().filter(|open| open.networks.has(family));
        let in_set = |open: &OpenSession| open.set.is_some() && open.set == self.current;
        match self.current {
            Some(set) if carriers.clone().any(in_set) && self.has_members() => {
                Some(NextHop::Set(set))
            }
            _ => carriers
                .find(|open| open.set.is_none() && !open.masked)
                .map(|open| NextHop::Session(open.id)),
        }
    }

    /// Where anything at all leads: IPv4 first.
    fn next_hops(&self) -> impl Iterator<Item = NextHop> {
        let families = [Family::Ipv4, Family::Ipv6];
        families
            .into_iter()
            .filter_map(|family| self.next_hop(family))
    }

    /// Whether a session gets packets that are routed into the group.
    #[must_use]
    pub(super) fn carries(&self, id: SessionId) -> bool {
        let mut open = self.open.iter();
        let member = open.any(|open| open.id == id && self.is_member(open));
        member || self.next_hops().any(|hop| hop == NextHop::Session(id))
    }

    /// What is to be routed into the group, and where it leads.
    #[must_use]
    pub(super) fn routes(&self) -> BTreeMap<Prefix, NextHop> {
        let mut routes = BTreeMap::new();
        for open in &self.open {
            for &prefix in &open.routes {
                let family = Family::of(prefix.address);
                if let Some(next_hop) = self.next_hop(family).filter(|_| open.networks.has(family))
                {
                    routes.insert(prefix, next_hop);
                }
            }
        }
        routes
    }

    /// Our PPP addresses.
    #[must_use]
    pub(super) fn locals(&self) -> BTreeSet<Ipv4Addr> {
        let ipv4 = self.open.iter().filter_map(|open| open.networks.ipv4);
        ipv4.map(|ends| ends.local).collect()
    }

    /// How the group is protected.
    #[must_use]
    pub(super) fn protection(&self) -> Protection {
        match (self.next_hops().next(), self.members().len()) {
            (None, _) => Protection::Down,
            (Some(NextHop::Session(_)), _)
                if matches!(
                    self.key,
                    GroupKey::Set { .. } | GroupKey::Remote { set: Some(_), .. }
                ) =>
            {
                Protection::NoHa
            }
            (Some(NextHop::Session(_)), _) => Protection::NoSet,
            (Some(_), 1) => Protection::OneLink,
            (Some(_), _) => Protection::Ha,
        }
    }
}

/// All groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: BTreeMap<u32, Group>,
    by_key: BTreeMap<GroupKey, u32>,
    next: u32,
}

impl Groups {
    pub(super) fn group_for(&mut self, key: GroupKey, table: TableId) -> &mut Group {
        let next = self.next;
        let id = *self.by_key.entry(key).or_insert(next);
        if id == next {
            self.next = next.checked_add(1).expect("fewer groups than u32 counts");
        }
        self.groups.entry(id).or_insert_with(|| Group {
            id,
            key,
            table,
            remote: None,
            offered: BTreeSet::new(),
            offered_locals: BTreeSet::new(),
            current: None,
            conflict: None,
            replaced_at: None,
            carried: SetCarried::default(),
            told: Protection::Down,
            open: Vec::new(),
        })
    }

    /// A group by the id it was given; groups are there as long as the
    /// configuration names them, or a link or set instance is theirs.
    pub(super) fn get_mut(&mut self, id: u32) -> &mut Group {
        self.groups
            .get_mut(&id)
            .expect("a group is there as long as anything is its")
    }

    #[must_use]
    pub(super) fn get(&self, id: u32) -> &Group {
        &self.groups[&id]
    }

    #[must_use]
    pub(super) fn of_key(&self, key: GroupKey) -> Option<&Group> {
        Some(&self.groups[self.by_key.get(&key)?])
    }

    /// The group with this id or, if there is none, the next one.
    pub(super) fn at_or_after(&self, id: u32) -> Option<&Group> {
        self.groups.range(id..).next().map(|(_, group)| group)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    /// Gives all groups the keys that they have in another configuration; those
    /// that get none are former ones.
    pub(super) fn rekey(&mut self, key_now: impl Fn(GroupKey) -> Option<GroupKey>) {
        self.by_key.clear();
        for group in self.groups.values_mut() {
            match key_now(group.key) {
                Some(key) => {
                    group.key = key;
                    self.by_key.insert(key, group.id);
                }
                None => {
                    group.key = GroupKey::Former;
                    group.current = None;
                }
            }
        }
    }

    /// Whether it is there, and the configuration does not have it.
    #[must_use]
    pub(super) fn is_former(&self, id: u32) -> bool {
        let group = self.groups.get(&id);
        group.is_some_and(|group| group.key == GroupKey::Former)
    }

    /// Forgets a group of which nothing is left.
    pub(super) fn remove(&mut self, id: u32) {
        self.groups.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv6Addr};

    use super::super::link::Ends;
    use super::*;

    const IPV4_ROUTE: Prefix = Prefix {
        address: IpAddr::V4(Ipv4Addr::new(192, 168, 1, 0)),
        length: 24,
    };
    const IPV6_ROUTE: Prefix = Prefix {
        address: IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0)),
        length: 48,
    };

    fn session(id: u32, rank: usize, set: Option<u32>) -> OpenSession {
        let local = Ipv4Addr::LOCALHOST;
        let ends = Ends {
            local,
            remote: local,
        };
        OpenSession {
            id: SessionId(id),
            rank,
            set: set.map(SetId),
            masked: false,
            networks: Networks {
                ipv4: Some(ends),
                ipv6: None,
            },
            routes: vec![IPV4_ROUTE, IPV6_ROUTE],
        }
    }

    fn with_ipv6(mut session: OpenSession) -> OpenSession {
        let local = Ipv6Addr::LOCALHOST;
        session.networks.ipv6 = Some(Ends {
            local,
            remote: local,
        });
        session
    }

    fn ipv4_hop(group: &Group) -> Option<NextHop> {
        group.next_hop(Family::Ipv4)
    }

    #[test]
    fn each_family_goes_where_it_is_carried() {
        let mut groups = Groups::default();
        let group = groups.group_for(GroupKey::Set { set: 0 }, TableId(0));
        group.open(session(1, 0, None));
        assert_eq!(group.routes().keys().collect::<Vec<_>>(), [&IPV4_ROUTE]);
        // The first that carries IPv6, though another comes first for IPv4.
        group.open(with_ipv6(session(2, 1, None)));
        let expected = [
            (IPV4_ROUTE, NextHop::Session(SessionId(1))),
            (IPV6_ROUTE, NextHop::Session(SessionId(2))),
        ];
        assert_eq!(group.routes(), expected.into());
        assert!(group.carries(SessionId(1)) && group.carries(SessionId(2)));
        // A set takes a family when one of its members does.
        group.current = Some(SetId(0));
        group.open(session(3, 2, Some(0)));
        assert_eq!(group.next_hop(Family::Ipv4), Some(NextHop::Set(SetId(0))));
        assert_eq!(
            group.next_hop(Family::Ipv6),
            Some(NextHop::Session(SessionId(2)))
        );
        group.open(with_ipv6(session(4, 3, Some(0))));
        assert_eq!(group.next_hop(Family::Ipv6), Some(NextHop::Set(SetId(0))));
        assert!(!group.carries(SessionId(2)));
        // IPv6 alone is enough to lead somewhere.
        let mut only_ipv6 = with_ipv6(session(4, 3, Some(0)));
        only_ipv6.networks.ipv4 = None;
        group.open(only_ipv6);
        group.close(SessionId(3));
        group.close(SessionId(2));
        group.close(SessionId(1));
        assert_eq!(
            group.routes(),
            [(IPV6_ROUTE, NextHop::Set(SetId(0)))].into()
        );
        assert_eq!(group.protection(), Protection::OneLink);
    }

    #[test]
    fn the_current_instance_carries_and_the_file_orders_its_members() {
        let mut groups = Groups::default();
        let group = groups.group_for(GroupKey::Set { set: 0 }, TableId(0));
        assert_eq!(
            (ipv4_hop(group), group.protection()),
            (None, Protection::Down)
        );
        group.open(session(7, 2, Some(0)));
        assert_eq!(ipv4_hop(group), None, "no instance is current yet");
        group.current = Some(SetId(0));
        assert_eq!(group.protection(), Protection::OneLink);
        group.open(session(8, 0, Some(0)));
        group.open(session(9, 1, Some(1)));
        assert_eq!(group.members(), [SessionId(8), SessionId(7)]);
        assert_eq!(
            (ipv4_hop(group), group.protection()),
            (Some(NextHop::Set(SetId(0))), Protection::Ha)
        );
        group.close(SessionId(8));
        group.close(SessionId(7));
        assert_eq!(
            ipv4_hop(group),
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
        assert_eq!(ipv4_hop(group), Some(NextHop::Session(SessionId(1))));
        assert_eq!(group.protection(), Protection::NoHa);
        group.close(SessionId(1));
        assert_eq!(ipv4_hop(group), Some(NextHop::Session(SessionId(2))));
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
