//! What the operator ends by hand, by name.

use std::time::Duration;

use dataplane::command::SessionId;

use super::Engine;
use super::happening::Ending;
use crate::l2tp::{TunnelId, TunnelState};
use crate::management::status::Kicked;

/// Names that are told to whoever mistyped one.
const NAMES_TOLD: usize = 20;

impl Engine {
    /// Ends what has this name: the tunnels of an `outgoing` or `incoming`, or
    /// the sessions of a `graph`. What we dialled is dialled again at once.
    ///
    /// # Errors
    /// When the configuration has no such name; the text names some that it has.
    pub fn kick(&mut self, now: Duration, name: &str) -> Result<Kicked, String> {
        self.check_name(name)?;
        let tunnels = self.tunnels_named(name);
        for &tunnel in &tunnels {
            self.end_tunnel(now, tunnel, &Ending::Kicked);
        }
        let sessions = self.sessions_named(name);
        for &session in &sessions {
            self.end_link(now, session, &Ending::Kicked);
        }
        self.settle_endpoint(now);
        Ok(Kicked {
            name: name.to_owned(),
            tunnels: tunnels.len(),
            sessions: sessions.len(),
        })
    }

    /// Whether a tunnel or a session of the configuration has this name.
    ///
    /// # Errors
    /// When none has; the text names some that there are.
    pub(super) fn check_name(&self, name: &str) -> Result<(), String> {
        if self.names_to_kick().any(|known| known == name) {
            Ok(())
        } else {
            Err(self.unknown_name(name))
        }
    }

    /// All names, as often as they stand in the file.
    fn names_to_kick(&self) -> impl Iterator<Item = &str> {
        let l2tp = &self.config.l2tp;
        let outgoing = l2tp
            .outgoing
            .iter()
            .flat_map(|outgoing| [&outgoing.name, &outgoing.graph]);
        let incoming = l2tp.incoming.iter().flat_map(|incoming| {
            let graphs = incoming.matches.iter().map(|login| &login.graph);
            std::iter::once(&incoming.name).chain(graphs)
        });
        outgoing.chain(incoming).map(String::as_str)
    }

    fn unknown_name(&self, name: &str) -> String {
        let mut names: Vec<&str> = Vec::new();
        for known in self.names_to_kick() {
            if names.len() == NAMES_TOLD {
                names.push("and others: see `hal2tp tunnels` and `hal2tp sessions`");
                break;
            }
            if !names.contains(&known) {
                names.push(known);
            }
        }
        let names = names.join(", ");
        format!("no tunnel or session is called {name:?}; there are: {names}")
    }

    pub(super) fn tunnels_named(&self, name: &str) -> Vec<TunnelId> {
        let l2tp = &self.config.l2tp;
        let has_name = |&tunnel: &TunnelId| {
            let Some(info) = self.endpoint.tunnel(tunnel) else {
                return false;
            };
            let dialled = self.by_tunnel.get(&tunnel);
            let dialled = dialled.map(|dialled| &l2tp.outgoing[dialled.outgoing].name);
            let answered = info.incoming.map(|incoming| &l2tp.incoming[incoming].name);
            info.state != TunnelState::Closed
                && dialled.or(answered).is_some_and(|known| known == name)
        };
        self.endpoint.tunnels().filter(has_name).collect()
    }

    pub(super) fn sessions_named(&self, name: &str) -> Vec<SessionId> {
        let alive = self.links.values().filter(|link| !link.is_leaving());
        alive
            .map(|link| link.id)
            .filter(|&id| self.link_name(id) == name)
            .collect()
    }
}
