//! What links and sets carried, over all workers and all their sessions.

use dataplane::counters::{SessionCounters, SetCounters};

use super::Engine;
use super::group::Group;
use super::link::Link;
use crate::ha::SetInstance;
use crate::ha::books::{LinkTotals, SetTotals};
use crate::management::status::SessionWorker;

/// What the sessions of one link carried.
#[derive(Clone, Debug, Default)]
pub(super) struct Carried {
    pub(super) sent_packets: u64,
    pub(super) sent_octets: u64,
    pub(super) send_dropped_packets: u64,
    pub(super) over_speed_packets: u64,
    pub(super) received_packets: u64,
    pub(super) received_octets: u64,
    pub(super) wins: u64,
    pub(super) duplicates: u64,
    pub(super) too_late: u64,
    pub(super) unknown_epoch: u64,
    pub(super) books: LinkTotals,
    pub(super) per_worker: Vec<SessionWorker>,
    pub(super) echo_sent: u64,
    pub(super) echo_lost: u64,
}

impl Carried {
    pub(super) fn of(link: &Link, books: LinkTotals) -> Self {
        let total = |read: fn(&SessionCounters) -> u64| link.total(read);
        let echo = link.ppp.echo_statistics();
        Self {
            sent_packets: total(|counters| counters.sent_packets.read()),
            sent_octets: total(|counters| counters.sent_octets.read()),
            send_dropped_packets: total(|counters| counters.send_dropped_packets.read()),
            over_speed_packets: total(|counters| counters.over_speed_packets.read()),
            received_packets: total(|counters| counters.received_packets.read()),
            received_octets: total(|counters| counters.received_octets.read()),
            wins: total(|counters| counters.wins.read()),
            duplicates: total(|counters| counters.duplicates.read()),
            too_late: total(|counters| counters.too_late.read()),
            unknown_epoch: total(|counters| counters.unknown_epoch.read()),
            books,
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
        self.over_speed_packets += other.over_speed_packets;
        self.received_packets += other.received_packets;
        self.received_octets += other.received_octets;
        self.wins += other.wins;
        self.duplicates += other.duplicates;
        self.too_late += other.too_late;
        self.unknown_epoch += other.unknown_epoch;
        self.books.add(&other.books);
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

/// What the instances of one group's set carried.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SetCarried {
    pub(super) sent_packets: u64,
    pub(super) sent_octets: u64,
    pub(super) split_packets: u64,
    pub(super) split_pieces: u64,
    pub(super) delivered_packets: u64,
    pub(super) delivered_octets: u64,
    pub(super) reassembled_packets: u64,
    pub(super) reassembled_pieces: u64,
    pub(super) duplicates: u64,
    pub(super) too_late: u64,
    pub(super) books: SetTotals,
}

impl SetCarried {
    pub(super) fn add_instance(&mut self, instance: &SetInstance) {
        let total = |read: fn(&SetCounters) -> u64| -> u64 {
            let workers = instance.counters.iter();
            workers.map(|counters| read(counters)).sum()
        };
        self.sent_packets += total(|counters| counters.sent_packets.read());
        self.sent_octets += total(|counters| counters.sent_octets.read());
        self.split_packets += total(|counters| counters.split_packets.read());
        self.split_pieces += total(|counters| counters.split_pieces.read());
        self.delivered_packets += total(|counters| counters.delivered_packets.read());
        self.delivered_octets += total(|counters| counters.delivered_octets.read());
        self.reassembled_packets += total(|counters| counters.reassembled_packets.read());
        self.reassembled_pieces += total(|counters| counters.reassembled_pieces.read());
        self.duplicates += total(|counters| counters.duplicates.read());
        self.too_late += total(|counters| counters.too_late.read());
    }
}

impl Engine {
    /// What the books have of a link; nothing for one that is in no set.
    pub(super) fn link_totals(&self, link: &Link) -> LinkTotals {
        let books = link.books_key().and_then(|key| self.books.get(&key));
        books
            .and_then(|books| books.link_totals(link.id))
            .unwrap_or_default()
    }

    /// What a group's instances carried, those of before too.
    pub(super) fn set_carried(&self, group: &Group) -> SetCarried {
        let mut carried = group.carried;
        for instance in self.sets.of_group(group.id) {
            carried.add_instance(instance);
            let epochs = (instance.id, u32::MIN)..=(instance.id, u32::MAX);
            for (_, books) in self.books.range(epochs) {
                carried.books.add(&books.totals());
            }
        }
        carried
    }
}
