//! What the path of a tunnel over IPv6 carries. Over IPv4 routers fragment, as DF
//! is clear outside; over IPv6 none does, and says so by Packet Too Big (RFC 8201).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dataplane::command::{Command, SessionId};
use dataplane::headers::{encapsulation, ipv6, l2tp};

use super::Engine;
use super::link::Link;
use crate::host::{TooBig, too_big};

/// A path is tried whole again after this (RFC 8201, 4).
const LOWERED: Duration = Duration::from_secs(600);

/// A link's MTU that a router's word has lowered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lowered {
    /// What it was before, octets.
    whole: u16,
    pub(super) until: Duration,
}

/// What stands before an inner packet of a link at most, octets.
pub(super) fn overhead(local: IpAddr, ha: bool, sequencing: bool) -> u16 {
    let octets = match (ha, sequencing) {
        (true, _) => encapsulation::HA_OCTETS,
        (false, true) => encapsulation::PLAIN_MAX_OCTETS + encapsulation::SEQUENCE_OCTETS,
        (false, false) => encapsulation::PLAIN_MAX_OCTETS,
    };
    let octets = match local {
        IpAddr::V4(_) => octets,
        IpAddr::V6(_) => octets + encapsulation::IPV6_EXTRA_OCTETS,
    };
    u16::try_from(octets).unwrap_or(u16::MAX)
}

impl Engine {
    /// Takes a packet to one of our addresses; says whether it was about a link's path.
    pub(super) fn handle_too_big(&mut self, now: Duration, packet: &[u8]) -> bool {
        let Some(told) = too_big(packet) else {
            return false;
        };
        // No path has less than the minimum, whoever says so (RFC 8201, 4).
        if let Some(id) = self.link_of(&told)
            && let Ok(path) = u16::try_from(told.mtu)
            && path >= ipv6::MIN_MTU
        {
            self.lower_mtu(now, id, path);
        }
        true
    }

    /// The link whose packet is quoted. Who guesses has to guess 32 bits of ids.
    fn link_of(&self, told: &TooBig<'_>) -> Option<SessionId> {
        let &[f0, f1, t0, t1, s0, s1] = told.payload.first_chunk()?;
        let word = |a, b| u16::from_be_bytes([a, b]);
        // The form that data of ours has: no length before the ids.
        if word(f0, f1) & (l2tp::FLAG_CONTROL | l2tp::FLAG_LENGTH) != 0 {
            return None;
        }
        let mut links = self.links.of_peer_ids((word(t0, t1), word(s0, s1)));
        let ends = (told.source, told.destination);
        let link = links.find(|link| (link.spec.local, link.spec.peer) == ends)?;
        (!link.is_leaving()).then_some(link.id)
    }

    fn lower_mtu(&mut self, now: Duration, id: SessionId, path: u16) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        // Where the peer wants sequence numbers, they are before the packet, too.
        let fits = path - overhead(link.spec.local.ip(), link.set.is_some(), true);
        if fits >= link.spec.mtu {
            return;
        }
        let whole = link.lowered.map_or(link.spec.mtu, |lowered| lowered.whole);
        let until = now + LOWERED;
        link.lowered = Some(Lowered { whole, until });
        self.set_link_mtu(now, id, fits);
        log::info!(
            "{}: its path carries {path} octets: packets of {fits}",
            self.link_name(id)
        );
        self.reschedule(id);
    }

    /// The path may have become another.
    pub(super) fn raise_mtu(&mut self, now: Duration, id: SessionId) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if let Some(lowered) = link.lowered.take_if(|lowered| lowered.until <= now) {
            let whole = lowered.whole.min(link.ppp.peer_mru());
            self.set_link_mtu(now, id, whole);
        }
    }

    /// The interface below carries another size: what a router has said of the
    /// path behind it holds on if it is smaller.
    pub(super) fn set_whole_mtu(&mut self, now: Duration, id: SessionId, mtu: u16) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        match &mut link.lowered {
            Some(lowered) if link.spec.mtu < mtu => lowered.whole = mtu,
            _ => {
                link.lowered = None;
                if link.spec.mtu != mtu {
                    self.set_link_mtu(now, id, mtu);
                }
                self.reschedule(id);
            }
        }
    }

    /// Our reports have shown that its path carries another size.
    pub(super) fn follow_path(&mut self, now: Duration, id: SessionId) {
        let Some(link) = self.links.get(&id) else {
            return;
        };
        let path = link.path.usable();
        let fits = path.saturating_sub(overhead(link.spec.local.ip(), true, false));
        log::info!(
            "{}: its path carries {path} octets: packets of {fits}",
            self.link_name(id)
        );
        self.set_whole_mtu(now, id, fits);
    }

    fn set_link_mtu(&mut self, now: Duration, id: SessionId, mtu: u16) {
        if let Some(link) = self.links.get_mut(&id) {
            link.spec.mtu = mtu;
            let spec = Arc::new(link.spec.clone());
            self.command(Command::SetSession(spec));
            self.guard_masks_of(now, id);
        }
    }
}

impl Link {
    /// When its path is tried whole again.
    pub(super) fn lowered_until(&self) -> Option<Duration> {
        self.lowered.map(|lowered| lowered.until)
    }
}
