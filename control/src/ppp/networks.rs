//! The network phase: IPCP and, when it is wanted, IPV6CP beside it. Each goes
//! its own way: one that fails leaves the other alone.
use std::time::Duration;

use super::fsm::State;
use super::ipcp::Ipcp;
use super::ipv6cp::Ipv6cp;
use super::layer::{Effect, Layer, Negotiator};
use super::packet::{Packet, protocol};
use super::{CloseReason, Family, NameServers, Network};

/// Options of which a network protocol comes out.
trait NetworkNegotiator: Negotiator {
    fn network(&self) -> Network;
    fn name_servers(&self) -> NameServers {
        NameServers::default()
    }
}

impl NetworkNegotiator for Ipcp {
    fn network(&self) -> Network {
        Network::Ipv4 {
            local: self.local(),
            remote: self.remote(),
        }
    }
    fn name_servers(&self) -> NameServers {
        Self::name_servers(self)
    }
}

impl NetworkNegotiator for Ipv6cp {
    fn network(&self) -> Network {
        Network::Ipv6 {
            local: self.local(),
            remote: self.remote(),
        }
    }
}

/// A layer, whatever its options.
trait Control {
    fn network(&self) -> Network;
    fn name_servers(&self) -> NameServers;
    fn state(&self) -> State;
    fn deadline(&self) -> Option<Duration>;
    fn diverges(&self) -> bool;
    fn ended_by_peer(&self) -> bool;
    fn receive(&mut self, now: Duration, packet: Packet<'_>);
    fn handle_timeout(&mut self, now: Duration);
    fn next_effect(&mut self) -> Option<Effect>;
    fn halt(&mut self);
}

impl<N: NetworkNegotiator> Control for Layer<N> {
    fn network(&self) -> Network {
        self.negotiator.network()
    }
    fn name_servers(&self) -> NameServers {
        self.negotiator.name_servers()
    }
    fn state(&self) -> State {
        Self::state(self)
    }
    fn deadline(&self) -> Option<Duration> {
        Self::deadline(self)
    }
    fn diverges(&self) -> bool {
        Self::diverges(self)
    }
    fn ended_by_peer(&self) -> bool {
        Self::ended_by_peer(self)
    }
    fn receive(&mut self, now: Duration, packet: Packet<'_>) {
        Self::receive(self, now, packet);
    }
    fn handle_timeout(&mut self, now: Duration) {
        Self::handle_timeout(self, now);
    }
    fn next_effect(&mut self) -> Option<Effect> {
        Self::next_effect(self)
    }
    fn halt(&mut self) {
        Self::halt(self);
    }
}

/// One NCP.
struct Ncp {
    layer: Box<dyn Control + Send>,
    /// It will not come up by itself, though the peer may begin anew.
    failed: bool,
}

/// The NCPs of a link, IPv4 first.
pub(super) struct Networks(Vec<Ncp>);

/// The NCP's family.
pub(super) fn family_of(number: u16) -> Option<Family> {
    match number {
        protocol::IPCP => Some(Family::Ipv4),
        protocol::IPV6CP => Some(Family::Ipv6),
        _ => None,
    }
}

/// Why a link ends that has no NCP left but this one, which gave up.
pub(super) fn failure_of(family: Family) -> CloseReason {
    match family {
        Family::Ipv4 => CloseReason::IpcpFailed,
        Family::Ipv6 => CloseReason::Ipv6cpFailed,
    }
}

impl Networks {
    /// Over layers that were just opened.
    pub(super) fn new(ipcp: Layer<Ipcp>, ipv6cp: Option<Layer<Ipv6cp>>) -> Self {
        let ncp = |layer| Ncp {
            layer,
            failed: false,
        };
        let mut ncps = vec![ncp(Box::new(ipcp) as Box<dyn Control + Send>)];
        ncps.extend(ipv6cp.map(|ipv6cp| ncp(Box::new(ipv6cp))));
        Self(ncps)
    }

    fn ncp(&self, family: Family) -> Option<&Ncp> {
        self.0.get(family as usize)
    }

    fn ncp_mut(&mut self, family: Family) -> Option<&mut Ncp> {
        self.0.get_mut(family as usize)
    }

    /// Whether this family is wanted at all.
    pub(super) fn has(&self, family: Family) -> bool {
        self.ncp(family).is_some()
    }

    /// What was agreed on.
    pub(super) fn network(&self, family: Family) -> Option<Network> {
        self.ncp(family).map(|ncp| ncp.layer.network())
    }

    /// What the peer has told us of name servers.
    pub(super) fn name_servers(&self) -> NameServers {
        let ipcp = self.ncp(Family::Ipv4);
        ipcp.map(|ncp| ncp.layer.name_servers()).unwrap_or_default()
    }

    /// Whether packets of either family may pass.
    pub(super) fn any_is_open(&self) -> bool {
        self.0.iter().any(|ncp| ncp.layer.state() == State::Opened)
    }

    /// Whether every NCP has given up.
    pub(super) fn all_failed(&self) -> bool {
        self.0.iter().all(|ncp| ncp.failed)
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.0.iter().filter_map(|ncp| ncp.layer.deadline()).min()
    }

    pub(super) fn handle_timeout(&mut self, now: Duration) {
        for ncp in &mut self.0 {
            ncp.layer.handle_timeout(now);
        }
    }

    pub(super) fn receive(&mut self, now: Duration, family: Family, packet: Packet<'_>) {
        if let Some(ncp) = self.ncp_mut(family) {
            ncp.layer.receive(now, packet);
        }
    }

    /// What an NCP wants of the session.
    pub(super) fn next_effect(&mut self) -> Option<(Family, Effect)> {
        self.0.iter_mut().find_map(|ncp| {
            let effect = ncp.layer.next_effect()?;
            if effect == Effect::Up {
                ncp.failed = false;
            }
            Some((ncp.layer.network().family(), effect))
        })
    }

    /// An NCP that will not agree with its peer.
    pub(super) fn diverging(&self) -> Option<Family> {
        let diverging = self.0.iter().find(|ncp| ncp.layer.diverges());
        diverging.map(|ncp| ncp.layer.network().family())
    }

    /// An NCP has finished. Whether it has given up: not when the peer took it
    /// down, who may bring it up again.
    pub(super) fn finished(&mut self, family: Family) -> bool {
        let Some(ncp) = self.ncp_mut(family) else {
            return false;
        };
        ncp.failed |= !ncp.layer.ended_by_peer();
        ncp.failed
    }

    /// Ends an NCP at once. Whether it was open.
    pub(super) fn end(&mut self, family: Family) -> bool {
        let Some(ncp) = self.ncp_mut(family) else {
            return false;
        };
        let was_open = ncp.layer.state() == State::Opened;
        ncp.layer.halt();
        ncp.failed = true;
        was_open
    }
}
