//! The sets in `status`, one line for each remote.

use std::time::Duration;

use dataplane::counters::SetCounters;

use super::links::Former;
use crate::engine::Engine;
use crate::engine::group::{Conflict, Group, GroupKey};
use crate::engine::link::Origin;
use crate::engine::membership::CONFLICT_FORGOTTEN;
use crate::ha::SetInstance;
use crate::management::status::{Alarm, Ordering, Set};

/// What the links of one set come to together.
#[derive(Default)]
struct LinksOfSet {
    /// Packets that the best single link delivered.
    best_packets: u64,
    unknown_epoch: u64,
}

impl Engine {
    /// As the books have them now: of one moment with what the set's line says of them.
    fn links_of_set(&self, links: &[Origin], former: &Former) -> LinksOfSet {
        let mut together = LinksOfSet::default();
        for &origin in links {
            let carried = self.carried(origin, former).unwrap_or_default();
            // A drill of the best link is nothing that the others saved.
            let packets = carried.books.settled_packets + carried.books.excused_packets;
            together.best_packets = together.best_packets.max(packets);
            together.unknown_epoch += carried.unknown_epoch;
        }
        together
    }

    /// The line of a group with these links; none of one without a set.
    pub(super) fn line_of_set(
        &self,
        now: Duration,
        group: &Group,
        links: &[Origin],
        former: &Former,
    ) -> Option<Set> {
        let (set, remote) = self.set_and_remote(group.key)?;
        let instance = group.current.and_then(|current| self.sets.get(current));
        let links = self.links_of_set(links, former);
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
    pub(in crate::engine) fn set_and_remote(&self, key: GroupKey) -> Option<(usize, String)> {
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
