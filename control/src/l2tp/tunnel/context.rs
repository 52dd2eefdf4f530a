//! What a tunnel works with that belongs to its endpoint.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use rand::Rng;
use rand::rngs::StdRng;

use crate::l2tp::{CallId, EndpointConfig, Event, Output, TunnelId};

/// What a tunnel works with that belongs to its endpoint.
pub(in crate::l2tp) struct Context<'a> {
    pub(in crate::l2tp) now: Duration,
    pub(in crate::l2tp) rng: &'a mut StdRng,
    pub(in crate::l2tp) config: &'a EndpointConfig,
    pub(in crate::l2tp) outputs: &'a mut VecDeque<Output>,
    pub(in crate::l2tp) calls: &'a mut CallIndex,
    pub(in crate::l2tp) room: Room,
}

/// Whether a half-open tunnel may be established.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::l2tp) enum Room {
    Free,
    Full,
    /// It asked to be, and was refused.
    Refused,
}

impl Context<'_> {
    pub(super) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

/// Finds the tunnel of a call, and hands out call handles.
#[derive(Debug, Default)]
pub(in crate::l2tp) struct CallIndex {
    next: u64,
    pub(in crate::l2tp) tunnels: BTreeMap<CallId, TunnelId>,
}

impl CallIndex {
    pub(in crate::l2tp) fn allocate(&mut self, tunnel: TunnelId) -> CallId {
        let call = self.unused();
        self.tunnels.insert(call, tunnel);
        call
    }

    /// A handle for a call that never came to be.
    pub(in crate::l2tp) fn unused(&mut self) -> CallId {
        self.next += 1;
        CallId(self.next)
    }
}

/// An unpredictable id that is not 0 and not taken (RFC 2661 section 9.1);
/// `None` when all are taken.
pub(in crate::l2tp) fn free_id(rng: &mut StdRng, taken: impl Fn(u16) -> bool) -> Option<u16> {
    let start = rng.random_range(1..=u16::MAX);
    (0..u16::MAX)
        .map(|step| ((u32::from(start) - 1 + u32::from(step)) % u32::from(u16::MAX)) as u16 + 1)
        .find(|&id| !taken(id))
}
