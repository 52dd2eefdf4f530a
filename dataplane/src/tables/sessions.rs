//! L2TP sessions, by the control thread's slot and by the ids of the wire.

use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::arrivals::Arrivals;
use crate::command::{SessionId, SessionSpec};
use crate::counters::SessionCounters;
use crate::headers::encapsulation::Template;
use crate::sequence::Received;
use crate::worker::OfSession;

use super::wire_index::WireIndex;
use super::{Link, TableSlot};

/// Slots are dense: an id beyond this is refused rather than made room for.
const MAX_SLOTS: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) spec: Arc<SessionSpec>,
    pub(crate) counters: Arc<SessionCounters>,
    pub(crate) arrivals: Option<Arc<Arrivals>>,
    /// Headers as the session sends them: with HA when it is in a set.
    pub(crate) template: Template,
    /// Headers without HA, and those with a sequence number.
    pub(crate) plain: Template,
    pub(crate) sequenced: Template,
    pub(crate) table: TableSlot,
    pub(crate) payload_table: TableSlot,
    /// Sequence numbers from the peer.
    pub(crate) received: Received,
    /// Not before this moment (TSC) is it said again that the peer moved.
    pub(crate) moved_quiet_until: u64,
    /// What it may hand to the control thread.
    pub(crate) allowance: OfSession,
    pub(super) link: Option<Link>,
    pub(super) link_generation: u64,
}

impl Session {
    /// `None` when there are no headers for it: see [`Template::new`].
    pub(super) fn new(
        spec: Arc<SessionSpec>,
        worker: usize,
        table: TableSlot,
        payload_table: TableSlot,
    ) -> Option<Self> {
        let template = Template::new(&spec)?;
        let without_set = SessionSpec {
            set: None,
            counters: Vec::new(),
            arrivals: Vec::new(),
            ..SessionSpec::clone(&spec)
        };
        let plain = Template::new(&without_set)?;
        let sequenced = Template::sequenced(&without_set)?;
        Some(Self {
            counters: spec.counters.get(worker).cloned().unwrap_or_default(),
            arrivals: spec.arrivals.get(worker).cloned(),
            template,
            plain,
            sequenced,
            received: Received::default(),
            spec,
            table,
            payload_table,
            moved_quiet_until: 0,
            allowance: OfSession::default(),
            link: None,
            link_generation: 0,
        })
    }

    /// The way to the peer, as [`super::Tables::session_link`] found it last.
    #[inline]
    pub(crate) fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// Largest inner packet that fits the session's path and its link, octets.
    pub(crate) fn inner_mtu(&self, link: &Link) -> u16 {
        let numbered = self.spec.set.is_none() && self.spec.sequence.is_sent();
        let template = if numbered {
            &self.sequenced
        } else {
            &self.template
        };
        self.inner_mtu_with(template, link)
    }

    /// The same of packets with these headers.
    pub(crate) fn inner_mtu_with(&self, template: &Template, link: &Link) -> u16 {
        let overhead = template.octets() as u16;
        self.spec.mtu.min(link.mtu.saturating_sub(overhead))
    }
}

#[derive(Debug, Default)]
pub(super) struct Sessions {
    slots: Vec<Option<Box<Session>>>,
    by_wire: WireIndex,
    /// The peers' addresses of each local tunnel id, with how many sessions have it.
    peers: HashMap<(u16, IpAddr), u32>,
}

impl Sessions {
    pub(super) fn set(&mut self, mut session: Session) {
        let id = session.spec.id;
        let slot = id.0 as usize;
        if slot >= MAX_SLOTS {
            return;
        }
        if let Some(before) = self.get(id) {
            session.moved_quiet_until = before.moved_quiet_until;
            session.received = before.received;
            session.allowance = before.allowance;
        }
        self.remove(id);
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        let spec = &session.spec;
        self.by_wire
            .insert(wire(spec.local_tunnel, spec.local_session), id);
        *self
            .peers
            .entry((spec.local_tunnel, spec.peer.ip()))
            .or_insert(0) += 1;
        self.slots[slot] = Some(Box::new(session));
    }

    pub(super) fn remove(&mut self, id: SessionId) {
        let Some(session) = self.slots.get_mut(id.0 as usize).and_then(Option::take) else {
            return;
        };
        let wire = wire(session.spec.local_tunnel, session.spec.local_session);
        self.by_wire.remove(wire, id);
        let peer = (session.spec.local_tunnel, session.spec.peer.ip());
        if let Some(count) = self.peers.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.peers.remove(&peer);
            }
        }
    }

    #[inline]
    pub(super) fn get(&self, id: SessionId) -> Option<&Session> {
        self.slots.get(id.0 as usize)?.as_deref()
    }

    #[inline]
    pub(super) fn prefetch_slot(&self, id: SessionId) {
        if let Some(slot) = self.slots.get(id.0 as usize) {
            dpdk::prefetch(slot);
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.slots.get_mut(id.0 as usize)?.as_deref_mut()
    }

    #[inline]
    pub(super) fn by_wire(&self, tunnel: u16, session: u16) -> Option<&Session> {
        self.get(self.by_wire.get(wire(tunnel, session))?)
    }

    /// The index of the sessions by [`wire`].
    #[inline]
    pub(super) fn wire_index(&self) -> &WireIndex {
        &self.by_wire
    }

    pub(super) fn is_peer(&self, tunnel: u16, address: IpAddr) -> bool {
        self.peers.contains_key(&(tunnel, address))
    }
}

/// The ids of the wire as one key, which is quicker to hash than two.
#[inline]
fn wire(tunnel: u16, session: u16) -> u32 {
    u32::from(tunnel) << 16 | u32::from(session)
}
