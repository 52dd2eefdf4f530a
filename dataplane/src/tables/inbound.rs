//! What the arrival of a copy needs to know of its session, at hand in two
//! cache lines, or in all four over IPv6: found again from the other tables when they have changed.

use std::mem::offset_of;
use std::net::IpAddr;
use std::sync::Arc;

use crate::arrivals::Arrivals;
use crate::command::{SessionId, SetId};
use crate::counters::SessionCounters;
use crate::headers::decapsulation::Expected;
use crate::headers::decapsulation_ipv6::ExpectedIpv6;
use crate::headers::{ipv4, ipv6};
use crate::skew::{FirstTimes, Skew};

use super::{Address, Hop, Judge, TableSlot, Tables};

/// A session of a set, as its copies arrive.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Inbound {
    /// Copies in the newest epoch, on the port that leads to the peer.
    pub(crate) expected: Expected,
    generation: u64,
    pub(crate) counters: Arc<SessionCounters>,
    pub(crate) arrivals: Option<Arc<Arrivals>>,
    pub(crate) session: SessionId,
    pub(crate) set: SetId,
    /// The epoch of `expected`.
    pub(crate) epoch: u32,
    /// Where the inner packets are routed.
    pub(crate) payload_table: TableSlot,
    /// The port that `expected` is for.
    pub(crate) port: u16,
    /// Packets of the set leave in the order of their numbers.
    pub(crate) ordered: bool,
    /// The same as `expected` for a session over IPv6.
    pub(crate) expected_ipv6: ExpectedIpv6,
}

const _: () = assert!(size_of::<Inbound>() == 256);

/// What there is without `expected_ipv6`.
const OVER_IPV4_OCTETS: usize = 128;

const _: () = assert!(offset_of!(Inbound, ordered) < OVER_IPV4_OCTETS);

/// What copies look like, over either family.
#[derive(Clone, Copy)]
enum Expectation {
    Ipv4(Expected),
    Ipv6(ExpectedIpv6),
}

/// Of one session; empty when that is a plain one.
#[derive(Debug, Default)]
pub(crate) struct InboundSlot(Option<Inbound>);

/// In the order of the sessions' slots.
#[derive(Debug, Default)]
pub(super) struct Inbounds(Vec<InboundSlot>);

impl Inbounds {
    pub(super) fn remove(&mut self, id: SessionId) {
        if let Some(slot) = self.0.get_mut(id.0 as usize) {
            slot.0 = None;
        }
    }

    #[inline]
    pub(super) fn get(&self, id: SessionId) -> Option<&Inbound> {
        self.0.get(id.0 as usize)?.0.as_ref()
    }

    fn set(&mut self, id: SessionId, inbound: Inbound) {
        let slot = id.0 as usize;
        if self.0.len() <= slot {
            self.0.resize_with(slot + 1, InboundSlot::default);
        }
        self.0[slot].0 = Some(inbound);
    }
}

impl Tables {
    /// The session of a set that the peer addresses by these ids, tunnel first.
    /// `None` also when it has to be found again.
    #[inline(always)]
    pub(crate) fn inbound_by_wire(&self, ids: u32) -> Option<&Inbound> {
        let id = self.sessions.wire_index().get(ids)?;
        self.known(self.inbounds.0.get(id.0 as usize))
    }

    /// Has the start of the search for these ids brought into the cache.
    #[inline]
    pub(crate) fn prefetch_wire(&self, ids: u32) {
        self.sessions.wire_index().prefetch(ids);
    }

    /// Finds the session with these ids, and has what its copies need brought into the cache, which is
    /// [`known`](Self::known) there. `None` also when that was never found.
    #[inline(always)]
    pub(crate) fn prefetch_inbound(&self, ids: u32) -> Option<&InboundSlot> {
        let id = self.sessions.wire_index().get(ids)?;
        let slot = self.inbounds.0.get(id.0 as usize)?;
        dpdk::prefetch_start(slot, OVER_IPV4_OCTETS);
        Some(slot)
    }

    /// What is in a slot; `None` also when it has to be found again.
    #[inline(always)]
    pub(crate) fn known<'a>(&self, slot: Option<&'a InboundSlot>) -> Option<&'a Inbound> {
        let inbound = slot?.0.as_ref()?;
        (inbound.generation == self.generation).then_some(inbound)
    }

    /// Whether these ids are of a session of a set.
    pub(crate) fn is_of_set(&self, ids: u32) -> bool {
        let session = self.sessions.wire_index().get(ids);
        let session = session.and_then(|id| self.sessions.get(id));
        session.is_some_and(|session| session.spec.set.is_some())
    }

    /// A session of a set.
    #[inline]
    pub(crate) fn inbound(&mut self, id: SessionId) -> Option<&Inbound> {
        let generation = self.generation;
        let is_fresh = |inbound: &Inbound| inbound.generation == generation;
        if !self.inbounds.get(id).is_some_and(is_fresh) {
            self.refresh_inbound(id);
        }
        self.inbounds.get(id)
    }

    /// The session that a copy came over, and what such a copy is judged by.
    #[inline(always)]
    pub(crate) fn of_copy(
        &mut self,
        session: SessionId,
        set: SetId,
        epoch: u32,
    ) -> Option<(&Inbound, Judge<'_>)> {
        self.inbound(session)?;
        Some((self.inbounds.get(session)?, self.sets.judge(set, epoch)?))
    }

    /// What tells how far a session's copies are behind the first ones of an epoch.
    pub(crate) fn skew_of(&self, id: SessionId, epoch: u32) -> Option<(&FirstTimes, &Skew)> {
        let inbound = self.inbounds.get(id)?;
        let epoch = self.sets.get(inbound.set)?.epoch(epoch)?;
        Some((&epoch.first_times, &inbound.arrivals.as_ref()?.skew))
    }

    /// What copies of an epoch are judged by; `None` when nothing is received of it.
    #[inline(always)]
    pub(crate) fn judge(&self, set: SetId, epoch: u32) -> Option<Judge<'_>> {
        self.sets.judge(set, epoch)
    }

    /// Has what the copies of a session are judged by and counted in brought into the cache, but for
    /// what that refers to.
    #[inline(always)]
    pub(crate) fn prefetch_books(&self, slot: Option<&InboundSlot>) {
        if let Some(InboundSlot(Some(inbound))) = slot {
            self.sets.prefetch_newest(inbound.set);
            dpdk::prefetch(&*inbound.counters);
            if let Some(arrivals) = &inbound.arrivals {
                dpdk::prefetch(&**arrivals);
            }
        }
    }

    #[cold]
    fn refresh_inbound(&mut self, id: SessionId) {
        self.inbounds.remove(id);
        let port = self.session_link(id).map(|link| link.port);
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        let Some(set) = session.spec.set else {
            return;
        };
        let known = self.sets.get(set);
        let mut inbound = Inbound {
            expected: Expected::NOTHING,
            generation: self.generation,
            counters: Arc::clone(&session.counters),
            arrivals: session.arrivals.clone(),
            session: id,
            set,
            epoch: 0,
            payload_table: session.payload_table,
            port: 0,
            ordered: known.is_some_and(|set| set.ordered),
            expected_ipv6: ExpectedIpv6::NOTHING,
        };
        if let Some((port, epoch, expected)) = self.expect(id, set, port) {
            match expected {
                Expectation::Ipv4(expected) => inbound.expected = expected,
                Expectation::Ipv6(expected) => inbound.expected_ipv6 = expected,
            }
            inbound.epoch = epoch;
            inbound.port = port;
        }
        self.inbounds.set(id, inbound);
    }

    /// What copies are like that may be taken without a look at anything else:
    /// of a session that is authenticated and not masked, on the port that leads to its peer, when
    /// what arrives there from the peer's address to ours reaches L2TP.
    fn expect(
        &self,
        id: SessionId,
        set: SetId,
        port: Option<usize>,
    ) -> Option<(u16, u32, Expectation)> {
        let session = self.sessions.get(id)?;
        let spec = &session.spec;
        let newest = self.sets.get(set)?.spec.epochs.first()?;
        let port = port.filter(|_| spec.receive && !spec.masked)?;
        let mac = self.ports.get(port)?.mac;
        let expected = match (spec.peer.ip(), spec.local.ip()) {
            (IpAddr::V4(peer), IpAddr::V4(local)) => {
                let may_come = !ipv4::is_martian_source(peer)
                    && self.reaches_l2tp(port, session.table, peer, local);
                may_come.then(|| Expectation::Ipv4(Expected::new(spec, mac, newest.epoch)))
            }
            (IpAddr::V6(peer), IpAddr::V6(local)) => {
                let may_come = !ipv6::is_martian_source(peer)
                    && !peer.is_unicast_link_local()
                    && !local.is_unicast_link_local()
                    && self.reaches_l2tp(port, session.table, peer, local);
                may_come.then(|| Expectation::Ipv6(ExpectedIpv6::new(spec, mac, newest.epoch)))
            }
            _ => None,
        };
        Some((port as u16, newest.epoch, expected?))
    }

    /// Whether what arrives at the port from one address to the other is looked up in
    /// this table and found to be for us, at an address that an interface has.
    fn reaches_l2tp<A: Address>(&self, port: usize, table: TableSlot, peer: A, local: A) -> bool {
        let arrival = self.arrival(port, peer, local);
        arrival.is_some_and(|arrival| arrival.table == table)
            && self.interfaces.own(table, local.into())
            && self.look_up(table, local) == Hop::Local
    }
}
