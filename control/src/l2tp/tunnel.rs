//! The control connection (RFC 2661 section 7.2): set-up, authentication,
//! keepalive and clearing of one tunnel.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use dataplane::command::Prefix;
use rand::RngCore;

use super::avp::{Attribute, NonEmpty, Unhiding};
use super::call::Call;
use super::channel::{Arrival, Channel, Packet, PeerDead, Retransmission, Transmission};
use super::code::{ErrorCode, StopResult, TunnelClose};
use super::header::ControlHeader;
use super::hiding;
use super::index::{Ends, Facts};
use super::message::{BadMessage, Message, MessageError, MessageType, value_of};
use super::{CallCause, Event, Output, Peering, TunnelCause, TunnelId, TunnelInfo};
use crate::secret::Secret;

mod calls;
mod context;
mod setup;
mod table;

pub(super) use context::{CallIndex, Context, Room, free_id};
use table::CallTable;

pub(super) use setup::{Request, check_can_answer, check_version, no_room};

/// A peer that is never asked whether it lives ([`Peering::hello_interval`] of zero)
/// and has no call either may be gone: it is not waited for any longer.
const UNWATCHED: Duration = Duration::from_secs(60);

/// Where a tunnel is. RFC 2661's idle is the absence of a tunnel, or `Closed`
/// while the peer may still need acknowledgements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TunnelState {
    /// SCCRQ was sent (wait-ctl-reply).
    WaitReply,
    /// SCCRP was sent (wait-ctl-conn).
    WaitConnect,
    Established,
    /// StopCCN was sent or received.
    Closed,
}

/// Addresses of a tunnel. They are pinned when it is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Path {
    pub(super) table: u32,
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
}

impl Path {
    pub(super) fn ends(&self) -> Ends {
        (self.table, self.local.ip(), self.peer.ip())
    }

    /// Whom the limits hold responsible for what comes over the path: who has
    /// one address of an IPv6 network has as many of them as it likes.
    pub(super) fn source(&self) -> Prefix {
        match self.peer.ip() {
            IpAddr::V4(address) => Prefix::host(address),
            IpAddr::V6(address) => Prefix::new(address, 64),
        }
    }
}

pub(super) struct Tunnel {
    handle: TunnelId,
    state: TunnelState,
    /// The peer dialled.
    answers: bool,
    /// Which `incoming` took it; none when we dialled, or it is not there any more.
    incoming: Option<usize>,
    path: Path,
    local_id: u16,
    peer_id: u16,
    local_hostname: String,
    peer_hostname: String,
    secret: Option<Secret>,
    /// What we challenged the peer with.
    challenge: Option<NonEmpty>,
    tie_breaker: Option<u64>,
    peering: Peering,
    /// When anything of the peer's, control or data, last came.
    heard_at: Duration,
    /// Ends the wait for establishment, or the lingering of a closed tunnel.
    deadline: Option<Duration>,
    channel: Channel,
    calls: CallTable,
    /// Calls placed before the tunnel was established.
    waiting_calls: Vec<Call>,
    next_serial: u32,
    /// The request as it came, to tell a retransmission from a new request.
    request: Vec<u8>,
    established_at: Option<Duration>,
    /// May be forgotten.
    finished: bool,
    /// What the endpoint's timer is set to.
    pub(super) scheduled: Option<Duration>,
}

impl Tunnel {
    fn new(
        cx: &Context<'_>,
        handle: TunnelId,
        local_id: u16,
        path: Path,
        state: TunnelState,
        peering: Peering,
    ) -> Self {
        let retransmission = Retransmission {
            retries: peering.retries,
            ..cx.config.timing.retransmission.clone()
        };
        Self {
            handle,
            state,
            answers: false,
            incoming: None,
            path,
            local_id,
            peer_id: 0,
            local_hostname: String::new(),
            peer_hostname: String::new(),
            secret: None,
            challenge: None,
            tie_breaker: None,
            heard_at: cx.now,
            deadline: Some(cx.now + cx.config.timing.establishment),
            channel: Channel::new(retransmission, peering.receive_window),
            peering,
            calls: CallTable::default(),
            waiting_calls: Vec::new(),
            next_serial: 1,
            request: Vec::new(),
            established_at: None,
            finished: false,
            scheduled: None,
        }
    }

    pub(super) const fn handle(&self) -> TunnelId {
        self.handle
    }

    pub(super) const fn is_finished(&self) -> bool {
        self.finished
    }

    pub(super) const fn is_incoming(&self) -> bool {
        self.answers
    }

    /// Whether this is an incoming tunnel that was never established: its peer
    /// proved nothing, and the owner has not heard of it.
    pub(super) const fn is_half_open(&self) -> bool {
        self.is_incoming() && self.established_at.is_none()
    }

    pub(super) fn is_established(&self) -> bool {
        self.state == TunnelState::Established
    }

    /// What the endpoint finds it by.
    pub(super) fn facts(&self) -> Facts {
        Facts {
            local_id: self.local_id,
            peer: (self.peer_id != 0).then_some((self.path, self.peer_id)),
            half_open: self.is_half_open().then(|| self.path.source()),
            established: (self.is_incoming() && !self.is_half_open()).then(|| self.path.source()),
            lingering: self.state == TunnelState::Closed,
            dialling: (self.state == TunnelState::WaitReply).then(|| self.path.ends()),
        }
    }

    /// Whether `id` is what the peer of an incoming tunnel assigned.
    pub(super) const fn is_assigned_by_peer(&self, id: u16) -> bool {
        self.is_incoming() && self.peer_id == id
    }

    pub(super) fn secret(&self) -> Option<&[u8]> {
        self.secret.as_ref().map(Secret::as_bytes)
    }

    /// The tie breaker of our request that is not answered yet:
    /// `Some(None)` when it had none.
    pub(super) fn outstanding_tie_breaker(&self) -> Option<Option<u64>> {
        (self.state == TunnelState::WaitReply).then_some(self.tie_breaker)
    }

    /// Whether a request from the peer's `assigned_id` is the one this tunnel
    /// was made for. While the tunnel is being set up the id decides; later on
    /// a peer may have restarted and counted its ids from the start.
    pub(super) fn was_requested_by(&self, path: &Path, assigned_id: u16, body: &[u8]) -> bool {
        self.is_incoming()
            && self.path == *path
            && self.peer_id == assigned_id
            && (self.state == TunnelState::WaitConnect || self.request == body)
    }

    /// Whether a datagram with our id in it may be the peer's. The server may
    /// answer a request from another port (RFC 2661 section 8.1).
    pub(super) fn may_come_from(&self, path: &Path) -> bool {
        self.path == *path
            || (self.state == TunnelState::WaitReply
                && self.path.table == path.table
                && self.path.local == path.local
                && self.path.peer.ip() == path.peer.ip()
                && !self.peering.fixed_port)
    }

    pub(super) const fn set_peer(&mut self, peer: SocketAddr) {
        self.path.peer = peer;
    }

    /// The list of those who may call is another.
    pub(super) fn renumber(&mut self, place_now: impl Fn(usize) -> Option<usize>) {
        self.incoming = self.incoming.and_then(place_now);
    }

    pub(super) fn note_data(&mut self, now: Duration) {
        self.heard_at = self.heard_at.max(now);
    }

    /// Whether the peer has acknowledged everything.
    pub(super) fn is_quiet(&self) -> bool {
        self.channel.is_idle()
    }

    pub(super) fn info(&self) -> TunnelInfo {
        TunnelInfo {
            state: self.state,
            incoming: self.incoming,
            table: self.path.table,
            local: self.path.local,
            peer: self.path.peer,
            local_id: self.local_id,
            peer_id: self.peer_id,
            peer_hostname: self.peer_hostname.clone(),
            established_at: self.established_at,
            calls: self.calls.len() + self.waiting_calls.len(),
        }
    }

    fn send(&mut self, cx: &mut Context<'_>, kind: MessageType, attributes: Vec<Attribute>) {
        let body = self.encode(cx, &Message::new(kind, attributes, Vec::new()));
        self.channel.send(Packet {
            session_id: 0,
            body,
        });
    }

    /// The AVPs of a message, hidden if this peer's are to be.
    fn encode(&self, cx: &mut Context<'_>, message: &Message) -> Vec<u8> {
        match self.secret().filter(|_| self.peering.hide_avps) {
            Some(secret) => {
                let mut random_vector = [0; hiding::DIGEST_OCTETS];
                cx.rng.fill_bytes(&mut random_vector);
                message.encode_hidden(Unhiding {
                    secret,
                    random_vector: &random_vector,
                })
            }
            None => message.encode(),
        }
    }

    fn transmit(&self, cx: &mut Context<'_>, transmission: &Transmission) {
        let header = ControlHeader {
            tunnel_id: self.peer_id,
            session_id: transmission.session_id,
            ns: transmission.ns,
            nr: transmission.nr,
        };
        cx.outputs.push_back(Output::Transmit {
            table: self.path.table,
            source: self.path.local,
            destination: self.path.peer,
            payload: header.datagram(&transmission.body),
        });
    }

    /// Sends what the channel lets go.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>) {
        while let Some(transmission) = self.channel.poll_transmit(cx.now) {
            self.transmit(cx, &transmission);
        }
    }

    /// A control message addressed to this tunnel.
    pub(super) fn handle_packet(
        &mut self,
        cx: &mut Context<'_>,
        source: SocketAddr,
        header: ControlHeader,
        body: &[u8],
    ) {
        self.note_data(cx.now);
        let packet = Packet {
            session_id: header.session_id,
            body: body.to_vec(),
        };
        let arrival = self.channel.receive(cx.now, header.ns, header.nr, packet);
        if self.state == TunnelState::WaitConnect && self.channel.is_idle() {
            // The peer has our SCCRP, so the address is its own.
            self.channel.set_passive(false);
        }
        if arrival == Arrival::Duplicate && self.state == TunnelState::WaitConnect {
            // The peer repeats its SCCRQ: our SCCRP was lost, and a bare
            // acknowledgement would only stop it asking.
            if let Some(transmission) = self.channel.repeat_oldest() {
                self.transmit(cx, &transmission);
            }
        }
        while let Some(packet) = self.channel.deliver() {
            self.handle_body(cx, source, &packet);
        }
        if self.channel.queued() > cx.config.limits.queued_messages {
            let message = "too many messages wait for acknowledgement";
            let close = TunnelClose::new(StopResult::ERROR, ErrorCode::NO_RESOURCES, message);
            self.fault(cx, close);
        }
        self.flush(cx);
    }

    fn handle_body(&mut self, cx: &mut Context<'_>, source: SocketAddr, packet: &Packet) {
        let decoded = Message::decode(&packet.body, self.secret());
        if self.state == TunnelState::Closed {
            self.handle_while_closed(cx, decoded);
            return;
        }
        match decoded {
            Ok(message) => self.handle_message(cx, source, packet.session_id, &message),
            Err(bad) => self.handle_bad(cx, packet.session_id, &bad),
        }
    }

    /// RFC 2661 section 5.7: acknowledge and nothing else. An SCCRP still tells
    /// where our StopCCN has to go.
    fn handle_while_closed(&mut self, cx: &Context<'_>, decoded: Result<Message, Box<BadMessage>>) {
        let Ok(message) = decoded else {
            return;
        };
        match message.kind() {
            MessageType::Sccrp if self.peer_id == 0 => self.learn_peer(&message),
            MessageType::StopCcn => {
                self.channel.abandon();
                self.channel.hasten_ack(cx.now);
            }
            _ => {}
        }
    }

    fn handle_bad(&mut self, cx: &mut Context<'_>, session_id: u16, bad: &BadMessage) {
        log::debug!("L2TP {}: bad message: {}", self.handle, bad.error);
        if self.peer_id == 0 {
            self.peer_id = value_of!(bad.readable, AssignedTunnelId).map_or(0, |&id| id);
        }
        match (&bad.error, bad.kind) {
            // 4.4.1: an unknown message type with M = 0 is ignored.
            (
                MessageError::UnknownType {
                    mandatory: false, ..
                },
                _,
            ) => {}
            (_, Some(MessageType::StopCcn)) => {
                let close = value_of!(bad.readable, ResultCode)
                    .map_or_else(|| bad.error.stop(), TunnelClose::from);
                self.closed_by_peer(cx, close);
            }
            // 4.2: an error in a session message clears that session.
            (_, Some(kind)) if kind.is_of_session() => {
                self.handle_bad_of_session(cx, session_id, bad)
            }
            // 4.2, 4.4.1, 7.1: any other clears the tunnel.
            _ => self.fault(cx, bad.error.stop()),
        }
    }

    /// The transitions of RFC 2661 section 7.2.1.
    fn handle_message(
        &mut self,
        cx: &mut Context<'_>,
        source: SocketAddr,
        session_id: u16,
        message: &Message,
    ) {
        use MessageType::{Hello, Scccn, Sccrp, Sccrq, StopCcn};
        use TunnelState::{Closed, Established, WaitConnect, WaitReply};
        let kind = message.kind();
        log::debug!("L2TP {}: received {}", self.handle, kind.name());
        match (self.state, kind) {
            // wait-ctl-reply: SCCRP -> SCCCN, established, or StopCCN.
            (WaitReply, Sccrp) => self.handle_sccrp(cx, source, message),
            // wait-ctl-conn: SCCCN -> established, or StopCCN.
            (WaitConnect, Scccn) => self.handle_scccn(cx, message),
            // any: StopCCN -> clean up.
            (WaitReply | WaitConnect | Established, StopCcn) => {
                let close = value_of!(message.attributes(), ResultCode).map(TunnelClose::from);
                self.closed_by_peer(cx, close.unwrap_or_else(|| self.wrong_state(kind)));
            }
            // wait-ctl-reply: SCCCN; wait-ctl-conn: SCCRP, SCCRQ; established:
            // SCCRQ, SCCRP, SCCCN -> StopCCN. (An SCCRQ that wins or loses the
            // tie is addressed to tunnel 0 and never gets here.)
            (WaitReply, Sccrq | Scccn)
            | (WaitConnect, Sccrq | Sccrp)
            | (Established, Sccrq | Sccrp | Scccn) => {
                self.fault(cx, self.wrong_state(kind));
            }
            // 6.5: HELLO needs nothing but its acknowledgement.
            (Established | WaitConnect | WaitReply, Hello) => {}
            // 7.4: calls live in an established tunnel only.
            (Established, _) => self.handle_session_message(cx, session_id, message),
            (WaitReply | WaitConnect, _) => self.fault(cx, self.wrong_state(kind)),
            (Closed, _) => {}
        }
    }

    fn wrong_state(&self, kind: MessageType) -> TunnelClose {
        let message = format!("{} in state {:?}", kind.name(), self.state);
        TunnelClose::new(StopResult::FSM, ErrorCode::NONE, &message)
    }

    /// Clears the tunnel because the peer did something wrong.
    fn fault(&mut self, cx: &mut Context<'_>, close: TunnelClose) {
        self.stop(cx, close.clone(), TunnelCause::Fault(close));
    }

    /// Clears the tunnel with a StopCCN; no CDN for its calls (5.7).
    pub(super) fn stop(&mut self, cx: &mut Context<'_>, close: TunnelClose, cause: TunnelCause) {
        if self.state == TunnelState::Closed {
            return;
        }
        self.clean_up(cx, cause);
        let body = self.stop_body(cx, &close);
        self.channel.send_last(Packet {
            session_id: 0,
            body,
        });
        self.linger(cx);
    }

    fn stop_body(&self, cx: &mut Context<'_>, close: &TunnelClose) -> Vec<u8> {
        self.encode(cx, &stop_message(self.local_id, close))
    }

    fn closed_by_peer(&mut self, cx: &mut Context<'_>, close: TunnelClose) {
        self.clean_up(cx, TunnelCause::Peer(close));
        self.channel.abandon();
        self.channel.hasten_ack(cx.now);
        self.linger(cx);
    }

    fn linger(&mut self, cx: &Context<'_>) {
        self.deadline = Some(cx.now + cx.config.timing.linger.max(self.channel.cycle()));
    }

    /// Ends the tunnel without a word (4.4.3, Tie Breaker).
    pub(super) fn lose_tie(&mut self, cx: &mut Context<'_>) {
        self.clean_up(cx, TunnelCause::TieBreaker);
        self.finished = true;
    }

    /// Ends the tunnel without a word: whoever hears of it now is another.
    pub(super) fn supersede(&mut self, cx: &mut Context<'_>) {
        if self.state != TunnelState::Closed {
            self.clean_up(cx, TunnelCause::Superseded);
        }
        self.finished = true;
    }

    /// Makes room for a new request: a half-open tunnel, of which nobody knows,
    /// is forgotten.
    pub(super) const fn displace(&mut self) {
        self.finished = true;
    }

    /// Tells the owner that all calls, then the tunnel, are gone.
    fn clean_up(&mut self, cx: &mut Context<'_>, cause: TunnelCause) {
        let level = match cause {
            TunnelCause::Unreachable if self.is_half_open() => log::Level::Debug,
            _ => log::Level::Info,
        };
        log::log!(level, "L2TP {} to {}: {cause}", self.handle, self.path.peer);
        for call in self
            .calls
            .take()
            .chain(core::mem::take(&mut self.waiting_calls))
        {
            cx.calls.tunnels.remove(&call.handle);
            cx.event(Event::CallClosed {
                call: call.handle,
                cause: CallCause::Tunnel,
            });
        }
        // The owner never heard of an incoming tunnel that was not established.
        let announced = !self.is_half_open();
        self.state = TunnelState::Closed;
        if announced {
            cx.event(Event::TunnelClosed {
                tunnel: self.handle,
                cause,
            });
        }
    }

    /// The peer acknowledges nothing any more.
    fn unreachable(&mut self, cx: &mut Context<'_>) {
        self.finished = true;
        let unproven = self.is_half_open();
        if self.state == TunnelState::Closed {
            return;
        }
        self.clean_up(cx, TunnelCause::Unreachable);
        if unproven {
            return;
        }
        // Once, in case only the way back is broken.
        let close = TunnelClose::new(StopResult::GENERAL, ErrorCode::NONE, "no acknowledgement");
        let transmission = Transmission {
            session_id: 0,
            ns: self.channel.next_ns(),
            nr: self.channel.nr(),
            body: self.stop_body(cx, &close),
        };
        self.transmit(cx, &transmission);
    }

    /// When the peer is asked whether it is there, if nothing is heard before.
    pub(super) fn hello_at(&self) -> Option<Duration> {
        let idle = self.state == TunnelState::Established && self.channel.is_idle();
        let interval = self.peering.hello_interval;
        (idle && !interval.is_zero()).then(|| self.heard_at.saturating_add(interval))
    }

    /// When an incoming tunnel that nothing keeps an eye on is given up.
    fn unwatched_until(&self) -> Option<Duration> {
        let unwatched = self.state == TunnelState::Established
            && self.is_incoming()
            && self.peering.hello_interval.is_zero()
            && self.calls.len() == 0;
        unwatched.then(|| self.heard_at.saturating_add(UNWATCHED))
    }

    pub(super) fn next_timeout(&mut self) -> Option<Duration> {
        [
            self.channel.next_timeout(),
            self.deadline,
            self.hello_at(),
            self.unwatched_until(),
            self.calls.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub(super) fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        if self.channel.handle_timeout(cx.now) == Err(PeerDead) {
            self.unreachable(cx);
            return;
        }
        if self.deadline.is_some_and(|deadline| deadline <= cx.now) {
            // Nobody has answered an SCCRP: its address may be somebody else's.
            let unproven = self.is_half_open() && !self.channel.is_idle();
            if self.state == TunnelState::Closed || unproven {
                self.finished = true;
                return;
            }
            let message = "not established in time";
            self.fault(
                cx,
                TunnelClose::new(StopResult::GENERAL, ErrorCode::NONE, message),
            );
        }
        if self.unwatched_until().is_some_and(|until| until <= cx.now) {
            let message = "no call, and no sign of life is asked for";
            let close = TunnelClose::new(StopResult::GENERAL, ErrorCode::NONE, message);
            self.fault(cx, close);
        }
        self.give_up_calls(cx);
        // 5.5: only when nothing came, and nothing else waits for its answer.
        if self.hello_at().is_some_and(|at| at <= cx.now) {
            self.send(cx, MessageType::Hello, Vec::new());
        }
        self.flush(cx);
    }
}

/// A StopCCN (6.4); `assigned_id` is the id we assigned or would have.
pub(super) fn stop_message(assigned_id: u16, close: &TunnelClose) -> Message {
    let attributes = vec![
        Attribute::AssignedTunnelId(assigned_id),
        Attribute::ResultCode(close.to_avp()),
    ];
    Message::new(MessageType::StopCcn, attributes, Vec::new())
}
