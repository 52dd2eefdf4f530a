//! Reports: once a second each end says on each link what it handed to that
//! link, so that the other end knows exactly what was lost.

use std::net::SocketAddr;
use std::time::Duration;

use dataplane::command::SessionId;
use dataplane::headers::ha::Report;

use super::Engine;
use super::link::{Link, PeerReport};

/// Between two reports of a link.
const PERIOD: Duration = Duration::from_secs(1);
/// From a link's joining to its first report.
pub(super) const FIRST_AFTER: Duration = Duration::from_millis(50);

impl Engine {
    pub(super) fn send_report(&mut self, now: Duration, id: SessionId) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let Some(instance) = link.set.and_then(|set| self.sets.get(set)) else {
            link.next_report = None;
            return;
        };
        link.next_report = Some(now + PERIOD);
        let report = Report {
            epoch: instance.ours.epoch,
            next_number: instance.next_number(),
            joined_number: link.joined_number,
            copies: copies_sent(link),
            sent_at_us: micros(now),
            echo_us: link.peer_report.map_or(0, |theirs| theirs.sent_at_us),
            echo_delay_us: link.peer_report.map_or(0, |theirs| {
                u32::try_from(now.saturating_sub(theirs.received_at).as_micros())
                    .unwrap_or(u32::MAX)
            }),
        };
        let payload = report.message(link.spec.peer_tunnel, link.spec.peer_session, 0, 0);
        let (table, local, peer) = (link.spec.table, link.spec.local, link.spec.peer);
        self.send_udp(table, local, peer, &payload);
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
        let arrived = link.total(|counters| counters.received_packets.read());
        link.peer_report = Some(PeerReport {
            copies: report.copies,
            arrived,
            sent_at_us: report.sent_at_us,
            received_at: now,
        });
    }
}

/// Copies that really were handed to the link: those that its port, ring or
/// neighbour refused are known lost here and are the sender's own drops.
fn copies_sent(link: &Link) -> u64 {
    link.total(|counters| counters.sent_packets.read())
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
