//! The calls of one tunnel: a tunnel may carry a whole provider's.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use crate::l2tp::CallId;
use crate::l2tp::call::Call;

/// Calls by the session id that we assigned.
#[derive(Debug, Default)]
pub(super) struct CallTable {
    calls: BTreeMap<u16, Call>,
    by_handle: BTreeMap<CallId, u16>,
    /// When calls are given up, in order, as all have the same time. Those that were
    /// established or are gone stay until their turn comes.
    deadlines: VecDeque<(Duration, u16)>,
}

impl CallTable {
    pub(super) fn insert(&mut self, call: Call) {
        self.by_handle.insert(call.handle, call.local_id);
        let deadline = call.establish_by.map(|at| (at, call.local_id));
        self.deadlines.extend(deadline);
        self.calls.insert(call.local_id, call);
    }

    pub(super) fn remove(&mut self, local_id: u16) -> Option<Call> {
        let call = self.calls.remove(&local_id)?;
        self.by_handle.remove(&call.handle);
        Some(call)
    }

    /// All calls; the table is empty then.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Call> + use<> {
        core::mem::take(self).calls.into_values()
    }

    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn contains(&self, local_id: u16) -> bool {
        self.calls.contains_key(&local_id)
    }

    pub(super) fn get_mut(&mut self, local_id: u16) -> Option<&mut Call> {
        self.calls.get_mut(&local_id)
    }

    pub(super) fn of_handle(&self, handle: CallId) -> Option<&Call> {
        self.calls.get(self.by_handle.get(&handle)?)
    }

    pub(super) fn of_handle_mut(&mut self, handle: CallId) -> Option<&mut Call> {
        self.calls.get_mut(self.by_handle.get(&handle)?)
    }

    /// The call that has this id in what we send.
    pub(super) fn of_peer_id(&self, peer_id: u16) -> Option<&Call> {
        let mut calls = self.calls.values();
        calls.find(|call| call.peer_id == peer_id)
    }

    /// When the first call is to be given up.
    pub(super) fn deadline(&mut self) -> Option<Duration> {
        while let Some(&(at, local_id)) = self.deadlines.front() {
            let call = self.calls.get(&local_id);
            if call.is_some_and(|call| call.establish_by == Some(at)) {
                return Some(at);
            }
            self.deadlines.pop_front();
        }
        None
    }

    /// A call that was not established in time.
    pub(super) fn late(&mut self, now: Duration) -> Option<u16> {
        self.deadline().filter(|&at| at <= now)?;
        self.deadlines.front().map(|&(_, local_id)| local_id)
    }
}
