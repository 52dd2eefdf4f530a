//! HA sets and their live members.

use std::mem::offset_of;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::command::{Epoch, Epochs, SessionId, SetId, SetSpec};
use crate::counters::{SessionCounters, SetCounters};
use crate::headers::ha_frame::HaFrame;
use crate::speed::SpeedLimit;
use crate::window::Window;

use super::{Link, Session, TableSlot};

/// Slots are dense: an id beyond this is refused rather than made room for.
const MAX_SLOTS: usize = 1 << 20;

/// A session that gets a copy, and how it leaves.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Member {
    /// All headers, when they are of the usual form, the neighbour is known and
    /// the checksums are ours to make.
    pub(crate) frame: Option<HaFrame>,
    pub(crate) counters: Arc<SessionCounters>,
    pub(crate) speed: Option<Arc<SpeedLimit>>,
    pub(crate) link: Link,
    pub(crate) session: SessionId,
    /// Before the inner packet, without Ethernet's.
    pub(crate) headers_octets: u16,
    needs_sum: bool,
}

impl Member {
    pub(super) fn new(session: &Session, link: Link, epoch: u32) -> Self {
        let ethernet = link.ethernet.filter(|_| !link.fills_in_checksums);
        let frame = |ethernet| HaFrame::new(&session.template, &ethernet, epoch);
        Self {
            frame: ethernet.and_then(frame),
            counters: Arc::clone(&session.counters),
            speed: session.spec.speed.clone(),
            session: session.spec.id,
            headers_octets: session.template.octets() as u16,
            needs_sum: session.template.has_udp_checksum() && !link.fills_in_checksums,
            link,
        }
    }

    /// Whether its copies differ from others' in nothing but the prebuilt headers and
    /// the port, which has a bit among a set's [`ports`](Set::ports).
    fn is_usual(&self) -> bool {
        self.frame.is_some() && self.speed.is_none() && self.port_bit() != 0
    }

    #[inline(always)]
    fn prefetch_usual(&self) {
        dpdk::prefetch_start(self, USUAL_MEMBER_OCTETS);
    }

    fn port_bit(&self) -> u64 {
        u32::try_from(self.link.port)
            .ok()
            .and_then(|port| 1_u64.checked_shl(port))
            .unwrap_or(0)
    }
}

/// What sending takes is in the first cache line.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Set {
    pub(super) generation: u64,
    pub(crate) next_number: Arc<AtomicU64>,
    pub(crate) counters: Arc<SetCounters>,
    /// Members whose session is there, whose peer has a route and whose port is up.
    pub(crate) members: Vec<Member>,
    /// Their ports, a bit for each of the first 64.
    pub(crate) ports: u64,
    /// There are members, and each is [usual](Member::is_usual).
    pub(super) is_usual: bool,
    /// Not all members are among `members`.
    pub(crate) is_incomplete: bool,
    /// Some member has a prebuilt frame.
    pub(crate) has_frames: bool,
    /// Some member's UDP checksums are ours to make.
    pub(crate) needs_sums: bool,
    pub(crate) spec: Arc<SetSpec>,
    /// Those of the specification: at hand.
    epochs: Epochs,
    pub(crate) payload_table: TableSlot,
    /// Packets leave in the order of their numbers.
    pub(crate) ordered: bool,
    /// Those that would be, but carry less than a member must.
    pub(crate) too_small: Vec<Member>,
    /// The other members.
    pub(crate) absent: Vec<SessionId>,
    /// Largest inner packet that every live member carries whole, octets.
    /// Larger ones, up to the set's own MTU, are cut into pieces.
    pub(crate) mtu: u16,
    /// The port by which packets in order left last, when it had no room for more.
    pub(crate) full_way_out: Option<u16>,
}

/// What sending takes of a set, and of a member that is [usual](Member::is_usual).
const SENDING_OCTETS: usize = 64;
const USUAL_MEMBER_OCTETS: usize = 128;

const _: () = {
    assert!(offset_of!(Set, needs_sums) < SENDING_OCTETS);
    assert!(offset_of!(Member, link) + offset_of!(Link, port) < USUAL_MEMBER_OCTETS);
};

impl Set {
    pub(super) fn new(spec: Arc<SetSpec>, worker: usize, payload_table: TableSlot) -> Self {
        Self {
            epochs: Epochs::newest(&spec.epochs),
            counters: spec.counters.get(worker).cloned().unwrap_or_default(),
            next_number: Arc::clone(&spec.next_number),
            ports: 0,
            is_usual: false,
            is_incomplete: false,
            has_frames: false,
            needs_sums: false,
            members: Vec::with_capacity(spec.members.len()),
            absent: Vec::new(),
            too_small: Vec::with_capacity(spec.members.len()),
            mtu: spec.mtu,
            payload_table,
            ordered: spec.ordering.is_some(),
            full_way_out: None,
            spec,
            generation: 0,
        }
    }

    /// Adds a member that gets copies.
    pub(super) fn push_member(&mut self, member: Member, mtu: u16) {
        self.mtu = self.mtu.min(mtu);
        self.has_frames |= member.frame.is_some();
        self.needs_sums |= member.needs_sum;
        self.ports |= member.port_bit();
        self.is_usual &= member.is_usual();
        self.members.push(member);
    }

    /// Forgets all members.
    pub(super) fn clear_members(&mut self) {
        self.members.clear();
        self.absent.clear();
        self.too_small.clear();
        self.ports = 0;
        self.is_usual = true;
        self.has_frames = false;
        self.needs_sums = false;
        self.mtu = self.spec.mtu;
    }

    /// Has what sending takes brought into the cache, but for what the members
    /// refer to.
    #[inline]
    pub(crate) fn prefetch_sending(&self) {
        dpdk::prefetch(&*self.counters);
        dpdk::prefetch(&*self.next_number);
        match self.members.as_slice() {
            [] => {}
            [only] => only.prefetch_usual(),
            [first, second, others @ ..] => {
                first.prefetch_usual();
                second.prefetch_usual();
                if !others.is_empty() {
                    prefetch_others(others);
                }
            }
        }
    }

    /// Has what the members count brought into the cache.
    #[inline]
    pub(crate) fn prefetch_members(&self) {
        for member in &self.members {
            dpdk::prefetch(&*member.counters);
        }
    }

    /// What is received of this epoch.
    #[inline]
    pub(crate) fn epoch(&self, epoch: u32) -> Option<&Epoch> {
        self.epochs.get(epoch)
    }
}

/// Has what sending takes of members beyond the second brought into the cache: a loop, which
/// hardly any set needs.
#[cold]
#[inline(never)]
fn prefetch_others(members: &[Member]) {
    members.iter().for_each(Member::prefetch_usual);
}

/// What copies are judged by, and counted in besides their session's.
#[derive(Clone, Copy)]
pub(crate) struct Judge<'a> {
    pub(crate) window: &'a Window,
    pub(crate) counters: &'a SetCounters,
}

/// What a set has for copies of its newest epoch: two of them in a cache line.
#[derive(Debug)]
#[repr(align(32))]
struct Newest {
    window: Window,
    counters: Arc<SetCounters>,
    epoch: u32,
}

const _: () = assert!(size_of::<Option<Newest>>() == 32);

/// By their ids.
#[derive(Debug, Default)]
pub(super) struct Sets {
    slots: Vec<Option<Set>>,
    /// Of each slot, apart from what is seldom needed.
    newest: Vec<Option<Newest>>,
}

impl Sets {
    pub(super) fn set(&mut self, set: Set) {
        let slot = set.spec.id.0 as usize;
        if slot >= MAX_SLOTS {
            return;
        }
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
            self.newest.resize_with(slot + 1, || None);
        }
        let newest = set.spec.epochs.first();
        self.newest[slot] = newest.map(|newest| Newest {
            window: newest.window.clone(),
            counters: Arc::clone(&set.counters),
            epoch: newest.epoch,
        });
        self.slots[slot] = Some(set);
    }

    /// Gives back what was [taken](Self::take).
    pub(super) fn give_back(&mut self, set: Set) {
        if let Some(slot) = self.slots.get_mut(set.spec.id.0 as usize) {
            *slot = Some(set);
        }
    }

    pub(super) fn remove(&mut self, id: SetId) {
        drop(self.take(id));
        if let Some(newest) = self.newest.get_mut(id.0 as usize) {
            *newest = None;
        }
    }

    /// What the copies of an epoch are judged by; `None` when nothing is received of it.
    #[inline(always)]
    pub(super) fn judge(&self, id: SetId, epoch: u32) -> Option<Judge<'_>> {
        match self.newest.get(id.0 as usize)? {
            Some(newest) if newest.epoch == epoch => Some(Judge {
                window: &newest.window,
                counters: &newest.counters,
            }),
            _ => self.judge_of_old(id, epoch),
        }
    }

    /// Has what copies of the newest epoch are judged by brought into the cache, but for what that
    /// refers to.
    #[inline(always)]
    pub(super) fn prefetch_newest(&self, id: SetId) {
        if let Some(newest) = self.newest.get(id.0 as usize) {
            dpdk::prefetch(newest);
        }
    }

    #[cold]
    fn judge_of_old(&self, id: SetId, epoch: u32) -> Option<Judge<'_>> {
        let set = self.get(id)?;
        Some(Judge {
            window: &set.epoch(epoch)?.window,
            counters: &set.counters,
        })
    }

    pub(super) fn take(&mut self, id: SetId) -> Option<Set> {
        self.slots.get_mut(id.0 as usize)?.take()
    }

    #[inline]
    pub(super) fn get(&self, id: SetId) -> Option<&Set> {
        self.slots.get(id.0 as usize)?.as_ref()
    }

    #[inline]
    pub(super) fn prefetch(&self, id: SetId) {
        if let Some(slot) = self.slots.get(id.0 as usize) {
            dpdk::prefetch_start(slot, SENDING_OCTETS);
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: SetId) -> Option<&mut Set> {
        self.slots.get_mut(id.0 as usize)?.as_mut()
    }
}
