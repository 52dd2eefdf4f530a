//! All tunnels of the appliance: which tunnel a datagram is for, who may set
//! one up, and when each wants to be woken.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use dataplane::command::Prefix;
use rand::rngs::StdRng;

use super::avp::VendorAvp;
use super::code::{CallClose, ErrorCode, StopResult, TunnelClose};
use super::header::ControlHeader;
use super::index::TunnelIndex;
use super::message::{Message, MessageType, host_name_of_sccrq, value_of};
use super::tunnel::{
    CallIndex, Context, Path, Request, Room, Tunnel, check_can_answer, check_version, free_id,
    no_room, stop_message,
};
use super::{
    CallCause, CallId, CallInfo, Dial, EndpointConfig, Event, Incoming, Output, PORT, TunnelCause,
    TunnelId, TunnelInfo,
};
use crate::secret::Secret;

/// Datagrams that had no effect, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// No L2TPv2 control message, or not the start of a tunnel.
    pub malformed: u64,
    /// For a tunnel id we did not assign.
    pub unknown_tunnel: u64,
    /// For one of our tunnels, but not from its peer.
    pub wrong_peer: u64,
    /// Requests from where none may come.
    pub not_allowed: u64,
    /// Requests that were not acceptable.
    pub refused: u64,
    /// Requests over a limit, and half-open tunnels that made room for others.
    pub limited: u64,
}

/// The L2TP control plane of the appliance.
pub struct Endpoint {
    config: EndpointConfig,
    rng: StdRng,
    tunnels: BTreeMap<TunnelId, Tunnel>,
    index: TunnelIndex,
    timers: BTreeSet<(Duration, TunnelId)>,
    calls: CallIndex,
    next_tunnel: u64,
    outputs: VecDeque<Output>,
    refusals: Refusals,
    statistics: Statistics,
}

impl Incoming {
    /// Whether a request may come by this path, whatever it says.
    fn admits(&self, path: &Path) -> bool {
        (self.listen.is_empty() || self.listen.contains(&path.local.ip()))
            && self.table.is_none_or(|table| table == path.table)
            && self.allows(path.peer)
    }

    /// Whether it would have taken a tunnel that there is.
    #[must_use]
    pub fn takes(&self, tunnel: &TunnelInfo) -> bool {
        let path = Path {
            table: tunnel.table,
            local: tunnel.local,
            peer: tunnel.peer,
        };
        self.is_for(tunnel.peer_hostname.as_bytes()) && self.admits(&path)
    }

    fn is_for(&self, host_name: &[u8]) -> bool {
        let name = self.remote_hostname.as_ref();
        name.is_none_or(|name| name.as_bytes() == host_name)
    }

    /// Whether a request may come from there at all.
    fn allows(&self, peer: SocketAddr) -> bool {
        (!self.peering.fixed_port || peer.port() == PORT)
            && (self.allow.is_empty()
                || self.allow.iter().any(|network| network.contains(peer.ip())))
    }
}

/// Limits how many refusals are sent in one second.
#[derive(Debug, Default)]
struct Refusals {
    second: u64,
    sent: u32,
}

impl Refusals {
    fn may_send(&mut self, now: Duration, per_second: u32) -> bool {
        if self.second != now.as_secs() {
            *self = Self {
                second: now.as_secs(),
                sent: 0,
            };
        }
        self.sent += 1;
        self.sent <= per_second
    }
}

impl Endpoint {
    /// An endpoint without tunnels. `rng` makes ids and challenges: seed it from
    /// the system's source outside tests (RFC 2661 section 9.1).
    #[must_use]
    pub fn new(config: EndpointConfig, rng: StdRng) -> Self {
        Self {
            config,
            rng,
            tunnels: BTreeMap::new(),
            index: TunnelIndex::default(),
            timers: BTreeSet::new(),
            calls: CallIndex::default(),
            next_tunnel: 0,
            outputs: VecDeque::new(),
            refusals: Refusals::default(),
            statistics: Statistics::default(),
        }
    }

    /// From now on others may call, and hold other amounts. `place_now` says where each
    /// [`Incoming`] of before is now; the tunnels of one that is not there any more are to
    /// be closed before.
    pub fn follow(&mut self, config: EndpointConfig, place_now: impl Fn(usize) -> Option<usize>) {
        self.config = config;
        for tunnel in self.tunnels.values_mut() {
            tunnel.renumber(&place_now);
        }
    }

    /// What is to be done next, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] is to be called.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        self.timers.first().map(|&(at, _)| at)
    }

    /// Whether no tunnel, call or timer is left, lingering ones included.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tunnels.is_empty()
            && self.index.is_empty()
            && self.timers.is_empty()
            && self.calls.tunnels.is_empty()
    }

    /// Whether every message was acknowledged: nothing is to be sent again.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.tunnels.values().all(Tunnel::is_quiet)
    }

    #[must_use]
    pub const fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// `None` once the tunnel is forgotten, a linger time after it closed.
    #[must_use]
    pub fn tunnel(&self, tunnel: TunnelId) -> Option<TunnelInfo> {
        self.tunnels.get(&tunnel).map(Tunnel::info)
    }

    /// `None` once the call is closed.
    #[must_use]
    pub fn call(&self, call: CallId) -> Option<CallInfo> {
        let tunnel = self.calls.tunnels.get(&call)?;
        self.tunnels.get(tunnel)?.call_info(call)
    }

    /// Every tunnel, those that linger included.
    pub fn tunnels(&self) -> impl Iterator<Item = TunnelId> + '_ {
        self.tunnels.keys().copied()
    }

    /// The one of [`Self::tunnels`] that comes after another, or the first.
    #[must_use]
    pub fn tunnel_after(&self, before: Option<TunnelId>) -> Option<TunnelId> {
        let after = before.map_or(Bound::Unbounded, Bound::Excluded);
        let mut tunnels = self.tunnels.range((after, Bound::Unbounded));
        tunnels.next().map(|(&tunnel, _)| tunnel)
    }

    /// Sets up a tunnel. Ends with [`Event::TunnelEstablished`] or
    /// [`Event::TunnelClosed`].
    pub fn dial(&mut self, now: Duration, dial: Dial) -> TunnelId {
        let handle = self.new_handle();
        match self.free_tunnel_id() {
            Some(local_id) => {
                let (mut cx, _) = self.split(now);
                let tunnel = Tunnel::dial(&mut cx, handle, local_id, dial);
                self.insert(tunnel);
            }
            None => self.outputs.push_back(Output::Event(Event::TunnelClosed {
                tunnel: handle,
                cause: TunnelCause::NoId,
            })),
        }
        handle
    }

    /// Indicates a call to the peer (ICRQ), now or once the tunnel is
    /// established. Ends with [`Event::CallAnswered`] or [`Event::CallClosed`].
    pub fn place_call(
        &mut self,
        now: Duration,
        tunnel: TunnelId,
        vendor_avps: Vec<VendorAvp>,
    ) -> CallId {
        let placed = self.with_tunnel(now, tunnel, |tunnel, cx| tunnel.place_call(cx, vendor_avps));
        placed.unwrap_or_else(|| {
            let call = self.calls.unused();
            self.outputs.push_back(Output::Event(Event::CallClosed {
                call,
                cause: CallCause::Tunnel,
            }));
            call
        })
    }

    /// Answers [`Event::CallIncoming`] with ICRP; without effect in any other state.
    pub fn accept_call(&mut self, now: Duration, call: CallId, vendor_avps: Vec<VendorAvp>) {
        self.with_call(now, call, |tunnel, cx| {
            tunnel.accept_call(cx, call, vendor_avps)
        });
    }

    /// Answers [`Event::CallAnswered`] with ICCN; without effect in any other state.
    pub fn connect_call(&mut self, now: Duration, call: CallId) {
        self.with_call(now, call, |tunnel, cx| tunnel.connect_call(cx, call));
    }

    /// Clears a call in any state with CDN.
    pub fn close_call(&mut self, now: Duration, call: CallId, close: CallClose) {
        self.with_call(now, call, |tunnel, cx| tunnel.close_call(cx, call, close));
    }

    /// Clears a tunnel in any state, and all its calls, with one StopCCN.
    pub fn close_tunnel(&mut self, now: Duration, tunnel: TunnelId, close: TunnelClose) {
        self.with_tunnel(now, tunnel, |tunnel, cx| {
            tunnel.stop(cx, close.clone(), TunnelCause::Requested(close));
            tunnel.flush(cx);
        });
    }

    /// Follows a peer whose NAT gave it another address.
    pub fn set_peer(&mut self, tunnel: TunnelId, peer: SocketAddr) {
        if let Some(of) = self.tunnels.get_mut(&tunnel) {
            of.set_peer(peer);
            self.index.update(tunnel, Some(of.facts()));
        }
    }

    /// The peer sent data: it needs no HELLO.
    pub fn note_data(&mut self, now: Duration, tunnel: TunnelId) {
        if let Some(tunnel) = self.tunnels.get_mut(&tunnel) {
            tunnel.note_data(now);
        }
    }

    /// Tunnels that are about to be asked by HELLO whether the peer is there. Whoever
    /// knows better says so by [`Self::note_data`] before [`Self::handle_timeout`].
    pub fn hellos_due(&self, now: Duration) -> impl Iterator<Item = TunnelId> {
        let due = self.timers.iter().take_while(move |&&(at, _)| at <= now);
        let tunnels = due.filter_map(|(_, handle)| self.tunnels.get(handle));
        let asking = tunnels.filter(move |tunnel| tunnel.hello_at().is_some_and(|at| at <= now));
        asking.map(Tunnel::handle)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Duration) {
        let due = self.timers.iter().take_while(|&&(at, _)| at <= now);
        for (at, handle) in due.copied().collect::<Vec<_>>() {
            self.timers.remove(&(at, handle));
            self.with_tunnel(now, handle, |tunnel, cx| {
                tunnel.scheduled = None;
                tunnel.handle_timeout(cx);
            });
        }
    }

    /// Takes the payload of a UDP datagram that came to one of our addresses.
    pub fn handle_datagram(
        &mut self,
        now: Duration,
        table: u32,
        source: SocketAddr,
        destination: SocketAddr,
        payload: &[u8],
    ) {
        let path = Path {
            table,
            local: destination,
            peer: source,
        };
        match ControlHeader::parse(payload) {
            Ok((header, body)) if header.tunnel_id == 0 => {
                self.handle_unaddressed(now, path, header, body)
            }
            Ok((header, body)) => self.handle_addressed(now, path, header, body),
            Err(error) => {
                log::debug!("L2TP: datagram from {source}: {error}");
                self.statistics.malformed += 1;
            }
        }
    }

    fn handle_addressed(&mut self, now: Duration, path: Path, header: ControlHeader, body: &[u8]) {
        let handle = self.index.by_local_id(header.tunnel_id);
        let Some(tunnel) = handle.and_then(|handle| self.tunnels.get(&handle)) else {
            self.statistics.unknown_tunnel += 1;
            return;
        };
        if !tunnel.may_come_from(&path) {
            self.statistics.wrong_peer += 1;
            return;
        }
        let handle = tunnel.handle();
        let half_open = tunnel.facts().half_open;
        let room = half_open.map_or(Some(Vec::new()), |source| self.room(source));
        let is_free = room.is_some();
        let after = self.with_tunnel(now, handle, |tunnel, cx| {
            if !is_free {
                cx.room = Room::Full;
            }
            tunnel.handle_packet(cx, path.peer, header, body);
            (cx.room, tunnel.is_half_open())
        });
        match after {
            Some((Room::Refused, _)) => self.statistics.limited += 1,
            // It was established, if it was not before.
            Some((_, false)) => self.displace(room.unwrap_or_default()),
            _ => {}
        }
    }

    /// Tunnel id 0: the peer does not know ours yet. It asks for a tunnel, or
    /// gives up one it asked for.
    fn handle_unaddressed(
        &mut self,
        now: Duration,
        path: Path,
        header: ControlHeader,
        body: &[u8],
    ) {
        if host_name_of_sccrq(body).is_some() {
            self.handle_sccrq(now, path, header, body);
            return;
        }
        match self.stopped_by(&path, body) {
            Some(handle) => {
                self.with_tunnel(now, handle, |tunnel, cx| {
                    tunnel.handle_packet(cx, path.peer, header, body)
                });
            }
            None => self.statistics.malformed += 1,
        }
    }

    /// The tunnel that the peer asked for and gives up before it knows our id.
    fn stopped_by(&self, path: &Path, body: &[u8]) -> Option<TunnelId> {
        let assigned =
            |message: &Message| value_of!(message.attributes(), AssignedTunnelId).copied();
        let assigned_any = self.index.assigned_over(path);
        let mut half_open = assigned_any
            .filter_map(|handle| self.tunnels.get(&handle))
            .filter(|tunnel| tunnel.is_half_open());
        let stopped = half_open.find(|tunnel| {
            Message::decode(body, tunnel.secret()).is_ok_and(|message| {
                message.kind() == MessageType::StopCcn
                    && assigned(&message).is_some_and(|id| tunnel.is_assigned_by_peer(id))
            })
        });
        stopped.map(Tunnel::handle)
    }

    /// No state is made before the whole request was found acceptable.
    fn handle_sccrq(&mut self, now: Duration, path: Path, header: ControlHeader, body: &[u8]) {
        if header.session_id != 0 || header.ns != 0 {
            self.statistics.malformed += 1;
            return;
        }
        if !self.may_ask(path.peer) {
            self.statistics.not_allowed += 1;
            return;
        }
        let incoming = self.matching_incoming(&path, body);
        let secret = incoming.and_then(|(_, incoming)| incoming.secret.as_ref());
        let decoded = Message::decode(body, secret.map(Secret::as_bytes));
        let message = match decoded {
            Ok(message) => message,
            Err(bad) => {
                let assigned = value_of!(bad.readable, AssignedTunnelId).copied();
                self.refuse(now, &path, assigned.unwrap_or(0), &bad.error.stop());
                return;
            }
        };
        let assigned = value_of!(message.attributes(), AssignedTunnelId)
            .copied()
            .unwrap_or(0);
        if let Some(handle) = self.requested_by(&path, assigned, body) {
            self.with_tunnel(now, handle, |tunnel, cx| {
                tunnel.handle_packet(cx, path.peer, header, body)
            });
            return;
        }
        let acceptable = incoming
            .ok_or_else(|| {
                TunnelClose::new(
                    StopResult::NOT_AUTHORISED,
                    ErrorCode::NONE,
                    "no tunnels for this host name, address and port",
                )
            })
            .and_then(|incoming| {
                check_version(&message)?;
                check_can_answer(incoming.1.secret.as_ref(), &message)?;
                Ok(incoming.0)
            });
        match acceptable {
            Err(close) => self.refuse(now, &path, assigned, &close),
            Ok(incoming) => {
                if !self.settle_tie(now, &path, &message) {
                    return;
                }
                if self.make_room(&path) {
                    self.accept(now, path, incoming, header, &message, body);
                } else {
                    self.statistics.limited += 1;
                    self.refuse(now, &path, assigned, &no_room());
                }
            }
        }
    }

    /// Whether requests are answered to there: with a refusal at least.
    fn may_ask(&self, peer: SocketAddr) -> bool {
        let incoming = &self.config.incoming;
        incoming.is_empty() || incoming.iter().any(|incoming| incoming.allows(peer))
    }

    /// The first [`Incoming`] that holds for a request.
    fn matching_incoming(&self, path: &Path, body: &[u8]) -> Option<(usize, &Incoming)> {
        let host_name = host_name_of_sccrq(body)?;
        let mut incoming = self.config.incoming.iter().enumerate();
        incoming.find(|(_, incoming)| incoming.is_for(host_name) && incoming.admits(path))
    }

    fn requested_by(&self, path: &Path, assigned: u16, body: &[u8]) -> Option<TunnelId> {
        let mut tunnels = self.index.assigned(path, assigned);
        tunnels.find(|handle| {
            let tunnel = self.tunnels.get(handle);
            tunnel.is_some_and(|tunnel| tunnel.was_requested_by(path, assigned, body))
        })
    }

    /// Forgets the oldest half-open tunnel when there are too many, so that a
    /// flood of requests from invented addresses does not keep others out: who
    /// answers within the time the flood needs to come round gets through. Closed
    /// tunnels that linger make room too. `false` when established tunnels take
    /// all the room there is.
    fn make_room(&mut self, path: &Path) -> bool {
        let limits = &self.config.limits;
        let (all, source) = (&self.index, path.source());
        let Some(mut displaced) = self.room(source) else {
            return false;
        };
        let (mut half_open, mut of_source) = (all.half_open(), all.half_open_from(source));
        if of_source.len() >= limits.half_open_per_source {
            displaced.extend(of_source.next());
            self.statistics.limited += 1;
        } else if half_open.len() >= limits.half_open {
            displaced.extend(half_open.next());
            self.statistics.limited += 1;
        }
        self.displace(displaced);
        true
    }

    /// The closed tunnels in whose place one more of this source may be
    /// established; `None` when there is no room. Looked at when a tunnel is asked
    /// for and when it is established: between the two come others.
    fn room(&self, source: Prefix) -> Option<Vec<TunnelId>> {
        let (all, limits) = (&self.index, &self.config.limits);
        let rooms = [
            (
                all.established_from(source),
                all.lingering_from(source),
                limits.incoming_tunnels_per_source,
            ),
            (all.established(), all.lingering(), limits.incoming_tunnels),
        ];
        let mut displaced = Vec::new();
        for (established, mut lingering, limit) in rooms {
            if established < limit {
                continue;
            }
            displaced.push(lingering.next()?);
        }
        Some(displaced)
    }

    fn displace(&mut self, tunnels: Vec<TunnelId>) {
        for handle in tunnels {
            if let Some(tunnel) = self.tunnels.get_mut(&handle) {
                tunnel.displace();
            }
            self.reschedule(handle);
        }
    }

    /// RFC 2661 section 4.4.3, Tie Breaker: when both sides ask for one tunnel
    /// at once, the lower value wins, one alone wins, equal ones both lose.
    /// `false` when the peer's request is to be discarded.
    fn settle_tie(&mut self, now: Duration, path: &Path, message: &Message) -> bool {
        let theirs = value_of!(message.attributes(), TieBreaker).copied();
        let dialling = self.index.dialling(path.ends());
        let dialling = dialling.filter_map(|handle| self.tunnels.get(&handle));
        let ours = dialling.filter_map(|tunnel| {
            let ours = tunnel.outstanding_tie_breaker()?;
            Some((tunnel.handle(), ours))
        });
        let mut acceptable = true;
        for (handle, ours) in ours.collect::<Vec<_>>() {
            let (we_keep, they_keep) = match (ours, theirs) {
                (None, None) => (true, true),
                (Some(_), None) => (true, false),
                (None, Some(_)) => (false, true),
                (Some(ours), Some(theirs)) => (ours < theirs, theirs < ours),
            };
            acceptable &= they_keep;
            if !we_keep {
                self.with_tunnel(now, handle, Tunnel::lose_tie);
            }
        }
        acceptable
    }

    fn accept(
        &mut self,
        now: Duration,
        path: Path,
        incoming: usize,
        header: ControlHeader,
        message: &Message,
        body: &[u8],
    ) {
        let Some(local_id) = self.free_tunnel_id() else {
            // Nor is there one to say so with.
            self.statistics.limited += 1;
            return;
        };
        let handle = self.new_handle();
        let (mut cx, config) = self.split(now);
        let request = Request {
            message,
            header,
            body,
            incoming: (incoming, &config.incoming[incoming]),
        };
        log::debug!(
            "L2TP: {handle} requested by {} for {}",
            path.peer,
            request.incoming.1.name
        );
        let tunnel = Tunnel::accept(&mut cx, handle, local_id, path, &request);
        self.insert(tunnel);
    }

    /// One StopCCN, never sent again, and nothing kept.
    fn refuse(&mut self, now: Duration, path: &Path, peer_id: u16, close: &TunnelClose) {
        log::debug!("L2TP: request from {} refused: {close}", path.peer);
        self.statistics.refused += 1;
        let per_second = self.config.limits.refusals_per_second;
        if peer_id == 0 || !self.refusals.may_send(now, per_second) {
            return;
        }
        let Some(assigned_id) = self.free_tunnel_id() else {
            return;
        };
        let header = ControlHeader {
            tunnel_id: peer_id,
            session_id: 0,
            ns: 0,
            nr: 1,
        };
        self.outputs.push_back(Output::Transmit {
            table: path.table,
            source: path.local,
            destination: path.peer,
            payload: header.datagram(&stop_message(assigned_id, close).encode()),
        });
    }

    const fn new_handle(&mut self) -> TunnelId {
        self.next_tunnel += 1;
        TunnelId(self.next_tunnel)
    }

    fn free_tunnel_id(&mut self) -> Option<u16> {
        free_id(&mut self.rng, |id| self.index.by_local_id(id).is_some())
    }

    fn split(&mut self, now: Duration) -> (Context<'_>, &EndpointConfig) {
        let cx = Context {
            now,
            rng: &mut self.rng,
            config: &self.config,
            outputs: &mut self.outputs,
            calls: &mut self.calls,
            room: Room::Free,
        };
        (cx, &self.config)
    }

    fn insert(&mut self, tunnel: Tunnel) {
        let handle = tunnel.handle();
        self.tunnels.insert(handle, tunnel);
        self.reschedule(handle);
    }

    fn with_call(
        &mut self,
        now: Duration,
        call: CallId,
        work: impl FnOnce(&mut Tunnel, &mut Context<'_>),
    ) {
        if let Some(&tunnel) = self.calls.tunnels.get(&call) {
            self.with_tunnel(now, tunnel, work);
        }
    }

    /// Works on a tunnel, then sets its timer, or forgets it when it is done.
    fn with_tunnel<T>(
        &mut self,
        now: Duration,
        handle: TunnelId,
        work: impl FnOnce(&mut Tunnel, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let tunnel = self.tunnels.get_mut(&handle)?;
        let mut cx = Context {
            now,
            rng: &mut self.rng,
            config: &self.config,
            outputs: &mut self.outputs,
            calls: &mut self.calls,
            room: Room::Free,
        };
        let was_established = tunnel.is_established();
        let outcome = work(tunnel, &mut cx);
        let is_new = tunnel.is_established() && !was_established;
        self.reschedule(handle);
        if is_new {
            self.supersede(now, handle);
        }
        Some(outcome)
    }

    /// A peer that gives an id twice has restarted and forgotten the first
    /// tunnel. What we still say to that one would end the new one.
    fn supersede(&mut self, now: Duration, by: TunnelId) {
        let facts = self.tunnels.get(&by).map(Tunnel::facts);
        let Some((path, peer_id)) = facts.and_then(|facts| facts.peer) else {
            return;
        };
        let same = self.index.assigned(&path, peer_id);
        for handle in same.filter(|&handle| handle != by).collect::<Vec<_>>() {
            self.with_tunnel(now, handle, Tunnel::supersede);
        }
    }

    fn reschedule(&mut self, handle: TunnelId) {
        let Some(tunnel) = self.tunnels.get_mut(&handle) else {
            return;
        };
        let next = tunnel.next_timeout().filter(|_| !tunnel.is_finished());
        if tunnel.scheduled != next {
            if let Some(at) = tunnel.scheduled {
                self.timers.remove(&(at, handle));
            }
            self.timers.extend(next.map(|at| (at, handle)));
            tunnel.scheduled = next;
        }
        let facts = (!tunnel.is_finished()).then(|| tunnel.facts());
        self.index.update(handle, facts);
        if facts.is_none() {
            self.tunnels.remove(&handle);
        }
    }
}
