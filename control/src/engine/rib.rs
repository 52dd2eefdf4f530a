//! The routes that the workers should have. Several sources may offer the same
//! prefix; the best one is in force, and the workers hear only of changes.

use std::collections::BTreeMap;
use std::ops::Bound;

use dataplane::command::{Command, InterfaceId, NextHop, Prefix, TableId};

/// Who offers a route, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// An address of our own, and the broadcast addresses of its network.
    Own(InterfaceId),
    /// Our PPP address in a group of L2TP sessions; the number tells one from another.
    PppAddress(u32),
    /// The network that an interface is on.
    Connected(InterfaceId),
    /// `routes:` of the configuration into a set, while the group has sessions.
    StaticInto(u32),
    /// Other `routes:`, and `gateway`.
    Static,
    /// A router that the network told us of.
    Gateway(InterfaceId),
    /// What a group of L2TP sessions leads to.
    Sessions(u32),
}

/// All routes offered, by table and prefix.
#[derive(Debug, Default)]
pub(super) struct Rib {
    offers: BTreeMap<(TableId, Prefix), BTreeMap<Source, NextHop>>,
}

impl Rib {
    /// Adds or changes an offer; the command is what the workers must hear, if anything.
    pub(super) fn offer(
        &mut self,
        table: TableId,
        prefix: Prefix,
        source: Source,
        next_hop: NextHop,
    ) -> Option<Command> {
        let offers = self.offers.entry((table, prefix)).or_default();
        let before = best(offers);
        offers.insert(source, next_hop);
        change(table, prefix, before, best(offers))
    }

    /// Takes an offer back.
    pub(super) fn withdraw(
        &mut self,
        table: TableId,
        prefix: Prefix,
        source: Source,
    ) -> Option<Command> {
        let offers = self.offers.get_mut(&(table, prefix))?;
        let before = best(offers);
        offers.remove(&source);
        let after = best(offers);
        if offers.is_empty() {
            self.offers.remove(&(table, prefix));
        }
        change(table, prefix, before, after)
    }

    /// Whether anything of the prefix is routed onwards.
    pub(super) fn leads(&self, table: TableId, prefix: Prefix) -> bool {
        let offers = self.offers.get(&(table, prefix));
        let next_hop = offers.and_then(best);
        next_hop.is_some_and(|next_hop| next_hop != NextHop::Blackhole)
    }

    /// The first route in force after a prefix of a table, or of all, and who offers it.
    pub(super) fn route_after(
        &self,
        before: Option<(TableId, Prefix)>,
    ) -> Option<(TableId, Prefix, Source, NextHop)> {
        let after = before.map_or(Bound::Unbounded, Bound::Excluded);
        let mut routes = self.offers.range((after, Bound::Unbounded));
        routes.find_map(|(&(table, prefix), offers)| {
            let (&source, &next_hop) = offers.first_key_value()?;
            Some((table, prefix, source, next_hop))
        })
    }

    #[cfg(test)]
    pub(super) fn routes(&self) -> impl Iterator<Item = (TableId, Prefix, Source, NextHop)> + '_ {
        std::iter::successors(self.route_after(None), |&(table, prefix, ..)| {
            self.route_after(Some((table, prefix)))
        })
    }

    /// How many routes there are.
    pub(super) fn len(&self) -> usize {
        self.offers.len()
    }
}

fn best(offers: &BTreeMap<Source, NextHop>) -> Option<NextHop> {
    offers.values().next().copied()
}

fn change(
    table: TableId,
    prefix: Prefix,
    before: Option<NextHop>,
    after: Option<NextHop>,
) -> Option<Command> {
    match after {
        _ if before == after => None,
        Some(next_hop) => Some(Command::SetRoute {
            table,
            prefix,
            next_hop,
        }),
        None => Some(Command::RemoveRoute { table, prefix }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataplane::command::{SessionId, SetId};
    use std::net::Ipv4Addr;

    const TABLE: TableId = TableId(0);

    fn net(length: u8) -> Prefix {
        Prefix::new(Ipv4Addr::new(192, 168, 1, 0), length)
    }

    #[test]
    fn the_better_source_wins_and_the_other_returns() {
        let mut rib = Rib::default();
        let lan = NextHop::Interface {
            interface: InterfaceId(0),
            via: None,
        };
        let set = NextHop::Set(SetId(3));
        let sessions = Source::Sessions(1);
        assert!(
            matches!(rib.offer(TABLE, net(24), sessions, set), Some(Command::SetRoute { next_hop, .. }) if next_hop == set)
        );
        assert!(
            matches!(rib.offer(TABLE, net(24), Source::Connected(InterfaceId(0)), lan), Some(Command::SetRoute { next_hop, .. }) if next_hop == lan)
        );
        assert!(
            rib.offer(TABLE, net(24), sessions, NextHop::Session(SessionId(9)))
                .is_none()
        );
        assert!(matches!(
            rib.withdraw(TABLE, net(24), Source::Connected(InterfaceId(0))),
            Some(Command::SetRoute {
                next_hop: NextHop::Session(SessionId(9)),
                ..
            })
        ));
        assert!(matches!(
            rib.withdraw(TABLE, net(24), sessions),
            Some(Command::RemoveRoute { .. })
        ));
        assert!(rib.withdraw(TABLE, net(24), sessions).is_none());
        assert_eq!(rib.routes().count(), 0);
    }
}
