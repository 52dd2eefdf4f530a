//! A NAT that gives the peer another address: its packets are followed once it
//! has answered from there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dataplane::command::{Command, SessionId};
use dataplane::headers::lcp::ECHO_REPLY;

use super::Engine;
use super::calls::LCP;
use super::link::Candidate;

/// An address that HA data comes from is asked again at most this often.
const CANDIDATE_RETRY: Duration = Duration::from_secs(1);

impl Engine {
    /// Good HA data came from another address: the peer is asked there, and our
    /// packets follow once it answers.
    pub(super) fn peer_moved(&mut self, now: Duration, id: SessionId, source: SocketAddr) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        // Whoever comes first is asked: a flood of sources costs one echo a second.
        let asked = link
            .candidate
            .is_some_and(|candidate| now < candidate.probed_at + CANDIDATE_RETRY);
        if asked || !link.is_open() || source == link.spec.peer {
            return;
        }
        link.candidate = Some(Candidate {
            address: source,
            probed_at: now,
        });
        link.ppp.send_echo(now);
        self.settle_link(now, id);
    }

    /// The peer answered from its new address: the tunnel is there now, with
    /// all its sessions.
    fn accept_peer(&mut self, id: SessionId, peer: SocketAddr) {
        let Some(tunnel) = self.links.get(&id).map(|link| link.tunnel) else {
            return;
        };
        self.endpoint.set_peer(tunnel, peer);
        let links = self.links.of_tunnel(tunnel);
        let staying = links.filter(|link| !link.is_leaving());
        let moved: Vec<SessionId> = staying.map(|link| link.id).collect();
        for id in moved {
            let Some(link) = self.links.get_mut(&id) else {
                continue;
            };
            link.candidate = None;
            link.spec.peer = peer;
            let spec = Arc::new(link.spec.clone());
            self.command(Command::SetSession(spec));
        }
    }

    pub(super) fn handle_ppp_from_elsewhere(
        &mut self,
        now: Duration,
        id: SessionId,
        source: SocketAddr,
        frame: &[u8],
    ) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let proving = link
            .candidate
            .is_some_and(|candidate| candidate.address == source);
        if !proving || frame.get(..3) != Some(&[LCP[0], LCP[1], ECHO_REPLY]) {
            return;
        }
        if link.handle_frame(now, frame) {
            log::info!(
                "{}: the peer moved from {} to {source}",
                self.link_name(id),
                self.links[&id].spec.peer
            );
            self.accept_peer(id, source);
        }
        self.settle_link(now, id);
    }
}
