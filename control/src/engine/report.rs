//! Reports: once a second each end says on each link what it handed to that
//! link, so that the other end knows exactly what was lost.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dataplane::command::SessionId;
use dataplane::counters::SessionCounters;
use dataplane::headers::ha::Report;
use dataplane::headers::{ipv4, ipv6};

use super::Engine;
use super::hearing::PeerSays;
use super::link::{Joined, Link, PeerReport};
use super::path_mtu::overhead;
use super::path_search::PathSearch;

/// Between two reports of a link.
const PERIOD: Duration = Duration::from_secs(1);
/// The same of a link that was given nothing meanwhile: reports alone prove
/// its path, and some may be lost on it.
const IDLE_PERIOD: Duration = Duration::from_millis(500);
/// What every path over IPv4 is taken to carry (RFC 8899, 5.1.2: BASE_PLPMTU would
/// be 1200, which a line may be set below).
const IPV4_FLOOR: u16 = 576;
/// From a link's joining to its first report.
const FIRST_AFTER: Duration = Duration::from_millis(50);

impl Engine {
    /// Every worker has carried out so many commands: who joined or left a
    /// set before has done so for all of them, and the peer is told from which
    /// number on.
    pub fn handle_applied(&mut self, now: Duration, commands: u64) {
        while let Some(&(behind, id)) = self.moving.front()
            && behind <= commands
        {
            self.moving.pop_front();
            if self.links.get(&id).is_some_and(Link::carries_at_all) {
                self.joined(now, id);
            } else {
                self.send_report(now, id, Purpose::Farewell);
            }
        }
    }

    fn joined(&mut self, now: Duration, id: SessionId) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let Some(instance) = link.set.and_then(|set| self.sets.get(set)) else {
            return;
        };
        link.joined = Some(Joined {
            number: instance.next_number(),
            given: Given::of(link),
        });
        link.next_report = Some(now + FIRST_AFTER);
        if let Some(books) = link.books_key().and_then(|key| self.books.get_mut(&key)) {
            books.resume(now + FIRST_AFTER, id);
        }
        self.reschedule(id);
    }

    /// A link opens: what its path carries is to be found out.
    pub(super) fn begin_path_search(&mut self, id: SessionId) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let around = overhead(link.spec.local.ip(), true, false);
        let floor = match link.spec.local.ip() {
            IpAddr::V4(_) => IPV4_FLOOR,
            IpAddr::V6(_) => ipv6::MIN_MTU,
        };
        link.path = PathSearch::new(floor, link.spec.mtu.saturating_add(around));
    }

    /// The peer is to know at once how the link is here, if it is told anything.
    pub(super) fn report_now(&mut self, now: Duration, id: SessionId) {
        let tells = |link: &Link| link.joined.is_some() || link.mask.is_some();
        if self.links.get(&id).is_some_and(tells) {
            self.send_report(now, id, Purpose::Books);
        }
    }

    /// Sends what is due of a link: a report, or one that shows what its path carries.
    pub(super) fn report_due(&mut self, now: Duration, id: SessionId) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if link.joined.is_some()
            && let Some(octets) = link.path.poll(now)
        {
            self.send_report(now, id, Purpose::Probe { octets });
        } else if link.next_report.is_some_and(|due| due <= now) {
            self.send_report(now, id, Purpose::Books);
        }
    }

    /// Tells the peer what the link was given.
    fn send_report(&mut self, now: Duration, id: SessionId, purpose: Purpose) {
        let is_needed = self.needs_of_peer(now, id);
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.next_report = None;
        let Some(instance) = link.set.and_then(|set| self.sets.get(set)) else {
            return;
        };
        let is_farewell = purpose == Purpose::Farewell;
        // Of a masked link each report is the last: any of them may be the first that
        // gets through.
        let is_last = is_farewell || link.mask.is_some();
        // Before the counters: what is counted for later numbers is made up for by
        // the next report, what is not counted yet would look like a loss until then.
        let next_number = instance.next_number();
        let Some(told) = Told::of(link) else {
            return;
        };
        // What numbers workers took since it was masked is not the link's.
        let parted = link.mask.map(|mask| mask.parted.max(told.joined_number));
        let next_number = parted.unwrap_or(next_number);
        let given = told.given;
        let report = Report {
            epoch: instance.ours.epoch,
            next_number,
            joined_number: told.joined_number,
            copies: given.copies,
            sent_at_us: micros(now),
            echo_us: link.peer_report.map_or(0, |theirs| theirs.sent_at_us),
            echo_delay_us: link.peer_report.map_or(0, |theirs| {
                u32::try_from(now.saturating_sub(theirs.received_at).as_micros())
                    .unwrap_or(u32::MAX)
            }),
            over_speed: given.over_speed,
            not_sent: given.not_sent,
            is_last,
            is_probe: matches!(purpose, Purpose::Probe { .. }),
            heard_probe_us: Some(link.heard_probe_us),
            is_masked: link.mask.is_some(),
            is_deaf: link.hearing.is_deaf(),
            is_needed,
        };
        link.said_needed = is_needed;
        let before = link.reported.replace(given);
        if is_farewell {
            link.joined = None;
            if let Some(mask) = &mut link.mask {
                mask.farewell = Some(told);
            }
        }
        if link.mask.is_some() || !is_farewell {
            let idle = before.is_some_and(|before| before.copies == given.copies);
            link.next_report = Some(now + if idle { IDLE_PERIOD } else { PERIOD });
        }
        let (table, local, peer) = (link.spec.table, link.spec.local, link.spec.peer);
        let ids = (link.spec.peer_tunnel, link.spec.peer_session);
        let message = |filling| report.message(ids.0, ids.1, 0, filling);
        if let Purpose::Probe { octets } = purpose {
            link.path.sent(now, octets, report.sent_at_us);
            let header = if local.is_ipv4() {
                ipv4::HEADER_OCTETS
            } else {
                ipv6::HEADER_OCTETS
            };
            let filling = usize::from(octets).saturating_sub(header + Report::PACKET_OCTETS);
            self.send_whole(table, local, peer, &message(filling));
        } else {
            self.send_udp(table, local, peer, &message(0));
        }
        self.reschedule(id);
    }

    pub(super) fn handle_report(
        &mut self,
        now: Duration,
        id: SessionId,
        source: SocketAddr,
        frame: &[u8],
    ) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let Ok(report) = Report::parse(frame) else {
            return;
        };
        let ours = link.set.and_then(|set| self.sets.get(set));
        if !ours.is_some_and(|set| set.received_epochs().any(|epoch| epoch == report.epoch)) {
            return;
        }
        if source != link.spec.peer {
            return self.peer_moved(now, id, source);
        }
        if link
            .peer_report
            .is_some_and(|last| report.sent_at_us < last.sent_at_us)
        {
            // Overtaken on its way: it knows less than the one before it.
            return;
        }
        self.endpoint.note_data(now, link.tunnel);
        let received = link.total(|counters| counters.received_packets.read());
        link.hearing.report(now, report.copies, received);
        let peer = PeerSays {
            is_masked: report.is_masked,
            is_deaf: report.is_deaf,
            is_needed: report.is_needed,
            has_left: report.is_last && !report.is_masked,
        };
        let is_news = link.hearing.peer() != peer;
        link.hearing.told(peer);
        link.peer_report = Some(PeerReport {
            copies: report.copies,
            over_speed: report.over_speed,
            not_sent: report.not_sent,
            sent_at_us: report.sent_at_us,
            received_at: now,
        });
        if report.is_probe {
            link.heard_probe_us = report.sent_at_us;
        }
        let carries_other = report.heard_probe_us.is_some_and(|heard| {
            link.path.begin(now);
            link.path.told(now, heard, report.echo_us)
        });
        let key = link.books_key();
        if let Some(books) = key.and_then(|key| self.books.get_mut(&key)) {
            books.tell(now, id, &report);
        }
        if is_news {
            self.guard_masks_of(now, id);
        }
        if carries_other {
            self.follow_path(now, id);
        }
        if report.is_probe && !report.is_last {
            // So that it is known at once.
            self.send_report(now, id, Purpose::Books);
        }
        self.reschedule(id);
    }
}

/// Why a report is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// The peer's books.
    Books,
    /// To see whether the path carries an IP packet of so many octets.
    Probe { octets: u16 },
    /// The link is given nothing more.
    Farewell,
}

/// What became of the copies that were a link's to carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Given {
    /// Really handed to the link.
    copies: u64,
    over_speed: u64,
    /// Refused by its port, ring or neighbour: known lost here.
    not_sent: u64,
}

impl Given {
    fn of(link: &Link) -> Self {
        let total = |read: fn(&SessionCounters) -> u64| link.total(read);
        Self {
            copies: total(|counters| counters.sent_packets.read()),
            over_speed: total(|counters| counters.over_speed_packets.read()),
            not_sent: total(|counters| counters.send_dropped_packets.read()),
        }
    }

    fn since(&self, earlier: &Self) -> Self {
        Self {
            copies: self.copies.saturating_sub(earlier.copies),
            over_speed: self.over_speed.saturating_sub(earlier.over_speed),
            not_sent: self.not_sent.saturating_sub(earlier.not_sent),
        }
    }
}

/// What a report tells the peer's books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    joined_number: u64,
    given: Given,
}

impl Told {
    /// None of a link that is given nothing and is not masked.
    fn of(link: &Link) -> Option<Self> {
        if let Some(farewell) = link.mask.and_then(|mask| mask.farewell) {
            return Some(farewell);
        }
        match (&link.joined, link.mask) {
            (Some(joined), _) => Some(Self {
                joined_number: joined.number,
                given: Given::of(link).since(&joined.given),
            }),
            // It was masked before all workers gave it anything.
            (None, Some(mask)) => Some(Self {
                joined_number: mask.parted,
                given: Given::default(),
            }),
            (None, None) => None,
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
