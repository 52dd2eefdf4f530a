//! The tunnels in `status`.

use std::collections::HashMap;
use std::time::Duration;

use crate::engine::Engine;
use crate::l2tp::{TunnelId, TunnelState};
use crate::management::status::{Role, Tunnel};

impl Engine {
    /// Which tunnel each `outgoing` has, by its place.
    pub(super) fn dialled_tunnels(&self) -> HashMap<usize, TunnelId> {
        let dialled = self.by_tunnel.iter();
        dialled
            .map(|(&tunnel, dialled)| (dialled.outgoing, tunnel))
            .collect()
    }

    /// An `outgoing`, whether it has a tunnel or not.
    pub(super) fn outgoing_line(
        &self,
        now: Duration,
        place: usize,
        tunnel: Option<TunnelId>,
    ) -> Option<Tunnel> {
        let outgoing = self.config.l2tp.outgoing.get(place)?;
        let dialer = self.dialers.get(place)?;
        Some(Tunnel {
            name: outgoing.name.clone(),
            role: Role::Outgoing,
            table: outgoing.table,
            last_result: dialer.last_result.clone(),
            next_attempt_s: dialer
                .next_attempt()
                .map(|at| at.saturating_sub(now).as_secs()),
            ..self.tunnel_line(now, tunnel)
        })
    }

    /// A tunnel that a peer set up; none of one that we did, or that lingers.
    pub(super) fn incoming_line(&self, now: Duration, tunnel: TunnelId) -> Option<Tunnel> {
        let info = self.endpoint.tunnel(tunnel)?;
        let config = &self.config.l2tp.incoming[info.incoming?];
        (info.state != TunnelState::Closed).then(|| Tunnel {
            name: config.name.clone(),
            role: Role::Incoming,
            ..self.tunnel_line(now, Some(tunnel))
        })
    }

    fn tunnel_line(&self, now: Duration, tunnel: Option<TunnelId>) -> Tunnel {
        let Some(info) = tunnel.and_then(|tunnel| self.endpoint.tunnel(tunnel)) else {
            return Tunnel {
                state: "waiting".into(),
                ..Tunnel::default()
            };
        };
        Tunnel {
            state: tunnel_state(info.state).into(),
            table: info.table,
            local_address: Some(info.local),
            peer_address: Some(info.peer),
            local_tunnel_id: info.local_id,
            peer_tunnel_id: info.peer_id,
            peer_hostname: Some(info.peer_hostname).filter(|name| !name.is_empty()),
            up_s: match (info.state, info.established_at) {
                (TunnelState::Established, Some(at)) => now.saturating_sub(at).as_secs(),
                _ => 0,
            },
            ..Tunnel::default()
        }
    }
}

/// The states of RFC 2661, 7.2.1.
fn tunnel_state(state: TunnelState) -> &'static str {
    match state {
        TunnelState::WaitReply => "wait-ctl-reply",
        TunnelState::WaitConnect => "wait-ctl-conn",
        TunnelState::Established => "established",
        TunnelState::Closed => "idle",
    }
}
