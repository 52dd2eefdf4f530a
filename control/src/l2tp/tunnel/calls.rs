//! The calls of a tunnel: which call a session message is for, and what its
//! state machine ([`Call::receive`]) wants done.

use super::{Context, Tunnel, TunnelState, free_id};
use crate::l2tp::avp::{Attribute, VendorAvp};
use crate::l2tp::call::{Call, CallAction, CallState};
use crate::l2tp::channel::Packet;
use crate::l2tp::code::{CallClose, CallResult, ErrorCode};
use crate::l2tp::message::{BadMessage, Message, MessageType, value_of};
use crate::l2tp::{CallCause, CallId, CallInfo, Event};

/// What ICCN says of the line (RFC 2661 section 6.8): there is none.
const TX_CONNECT_SPEED_BPS: u32 = 1_000_000_000;
/// Synchronous framing (RFC 2661 section 4.4.4).
const FRAMING_TYPE: u32 = 1;

impl Tunnel {
    /// RFC 2661 7.4.1 idle: a call is to be indicated -> wait-tunnel, and on at
    /// once when the tunnel is established.
    pub(in crate::l2tp) fn place_call(
        &mut self,
        cx: &mut Context<'_>,
        vendor_avps: Vec<VendorAvp>,
    ) -> CallId {
        if self.state == TunnelState::Closed {
            let call = cx.calls.unused();
            let cause = CallCause::Tunnel;
            cx.event(Event::CallClosed { call, cause });
            return call;
        }
        let handle = cx.calls.allocate(self.handle);
        let call = Call {
            handle,
            state: CallState::WaitTunnel,
            local_id: 0,
            peer_id: 0,
            vendor_avps,
            establish_by: None,
        };
        if self.state == TunnelState::Established {
            self.request_call(cx, call);
            self.flush(cx);
        } else {
            self.waiting_calls.push(call);
        }
        handle
    }

    /// RFC 2661 7.4.1 wait-tunnel: tunnel open -> ICRQ, wait-reply.
    pub(super) fn request_call(&mut self, cx: &mut Context<'_>, mut call: Call) {
        let Some(local_id) = free_id(cx.rng, |id| self.calls.contains(id)) else {
            cx.calls.tunnels.remove(&call.handle);
            cx.event(Event::CallClosed {
                call: call.handle,
                cause: CallCause::NoId,
            });
            return;
        };
        let attributes = vec![
            Attribute::AssignedSessionId(local_id),
            Attribute::CallSerialNumber(self.next_serial),
        ];
        self.next_serial = self.next_serial.wrapping_add(1);
        let mut vendor_avps = core::mem::take(&mut call.vendor_avps);
        vendor_avps.retain(|_| self.peering.vendor_avps);
        let request = Message::new(MessageType::Icrq, attributes, vendor_avps);
        self.send_of_session(cx, 0, &request);
        call.state = CallState::WaitReply;
        call.local_id = local_id;
        call.establish_by = Some(cx.now + cx.config.timing.establishment);
        self.calls.insert(call);
    }

    fn send_of_session(&mut self, cx: &mut Context<'_>, session_id: u16, message: &Message) {
        let body = self.encode(cx, message);
        self.channel.send(Packet { session_id, body });
    }

    /// The AVPs of vendors that the owner is told of.
    fn vendor_avps_of(&self, message: &Message) -> Vec<VendorAvp> {
        let avps = message.vendor_avps().iter();
        avps.filter(|_| self.peering.vendor_avps).cloned().collect()
    }

    /// CDN (6.12). `assigned_id` is our id of the call, so that a peer that
    /// never told us its own can find the call by it.
    fn send_cdn(
        &mut self,
        cx: &mut Context<'_>,
        session_id: u16,
        assigned_id: u16,
        close: &CallClose,
    ) {
        let attributes = vec![
            Attribute::ResultCode(close.to_avp()),
            Attribute::AssignedSessionId(assigned_id),
        ];
        let message = Message::new(MessageType::Cdn, attributes, Vec::new());
        self.send_of_session(cx, session_id, &message);
    }

    pub(in crate::l2tp) fn call_info(&self, handle: CallId) -> Option<CallInfo> {
        let mut waiting = self.waiting_calls.iter();
        let waiting = || waiting.find(|call| call.handle == handle);
        let call = self.calls.of_handle(handle).or_else(waiting)?;
        Some(CallInfo {
            tunnel: self.handle,
            state: call.state,
            local_id: call.local_id,
            peer_id: call.peer_id,
        })
    }

    /// RFC 2661 7.4.2 idle: ICRQ, acceptable -> ICRP, wait-connect.
    pub(in crate::l2tp) fn accept_call(
        &mut self,
        cx: &mut Context<'_>,
        handle: CallId,
        mut vendor_avps: Vec<VendorAvp>,
    ) {
        vendor_avps.retain(|_| self.peering.vendor_avps);
        let Some(call) = self
            .calls
            .of_handle_mut(handle)
            .filter(|call| call.state == CallState::Offered)
        else {
            return;
        };
        call.state = CallState::WaitConnect;
        let (peer_id, local_id) = (call.peer_id, call.local_id);
        let attributes = vec![Attribute::AssignedSessionId(local_id)];
        let reply = Message::new(MessageType::Icrp, attributes, vendor_avps);
        self.send_of_session(cx, peer_id, &reply);
        self.flush(cx);
    }

    /// RFC 2661 7.4.1 wait-reply: ICRP, acceptable -> ICCN, established.
    pub(in crate::l2tp) fn connect_call(&mut self, cx: &mut Context<'_>, handle: CallId) {
        let Some(call) = self
            .calls
            .of_handle_mut(handle)
            .filter(|call| call.state == CallState::Answered)
        else {
            return;
        };
        call.state = CallState::Established;
        call.establish_by = None;
        let peer_id = call.peer_id;
        let sequenced = self.peering.sequencing;
        cx.event(Event::CallConnected {
            call: handle,
            attributes: Vec::new(),
            sequenced,
        });
        let mut attributes = vec![
            Attribute::TxConnectSpeed(TX_CONNECT_SPEED_BPS),
            Attribute::FramingType(FRAMING_TYPE),
        ];
        attributes.extend(sequenced.then_some(Attribute::SequencingRequired(())));
        let connected = Message::new(MessageType::Iccn, attributes, Vec::new());
        self.send_of_session(cx, peer_id, &connected);
        self.flush(cx);
    }

    /// RFC 2661 7.4.1, 7.4.2: local close request -> CDN, clean up; without a
    /// CDN in wait-tunnel.
    pub(in crate::l2tp) fn close_call(
        &mut self,
        cx: &mut Context<'_>,
        handle: CallId,
        close: CallClose,
    ) {
        if let Some(at) = self
            .waiting_calls
            .iter()
            .position(|call| call.handle == handle)
        {
            let call = self.waiting_calls.remove(at);
            self.forget_call(cx, &call, CallCause::Requested(close));
        } else if let Some(local_id) = self.calls.of_handle(handle).map(|call| call.local_id) {
            self.clear_call(cx, local_id, &close, CallCause::Requested(close.clone()));
            self.flush(cx);
        }
    }

    fn forget_call(&self, cx: &mut Context<'_>, call: &Call, cause: CallCause) {
        log::info!("L2TP {} of {}: {cause}", call.handle, self.handle);
        cx.calls.tunnels.remove(&call.handle);
        cx.event(Event::CallClosed {
            call: call.handle,
            cause,
        });
    }

    /// Forgets a call and sends CDN.
    fn clear_call(
        &mut self,
        cx: &mut Context<'_>,
        local_id: u16,
        close: &CallClose,
        cause: CallCause,
    ) {
        if let Some(call) = self.calls.remove(local_id) {
            self.forget_call(cx, &call, cause);
            self.send_cdn(cx, call.peer_id, local_id, close);
        }
    }

    /// The call a message is for: by the session id of the header, or by the
    /// id the peer assigned when the header has none.
    fn call_of(&self, session_id: u16, attributes: &[Attribute]) -> Option<u16> {
        if session_id != 0 {
            return self.calls.contains(session_id).then_some(session_id);
        }
        let assigned = *value_of!(attributes, AssignedSessionId)?;
        let call = self.calls.of_peer_id(assigned).filter(|_| assigned != 0);
        call.map(|call| call.local_id)
    }

    pub(super) fn handle_session_message(
        &mut self,
        cx: &mut Context<'_>,
        session_id: u16,
        message: &Message,
    ) {
        match self.call_of(session_id, message.attributes()) {
            Some(local_id) => self.handle_call_message(cx, local_id, message),
            None => self.handle_callless(cx, session_id, message),
        }
    }

    fn handle_call_message(&mut self, cx: &mut Context<'_>, local_id: u16, message: &Message) {
        let Some(call) = self.calls.get_mut(local_id) else {
            return;
        };
        let (handle, action) = (call.handle, call.receive(message));
        match action {
            CallAction::None => {}
            CallAction::Answered => cx.event(Event::CallAnswered {
                call: handle,
                vendor_avps: self.vendor_avps_of(message),
            }),
            CallAction::Connected => {
                let required = value_of!(message.attributes(), SequencingRequired).is_some();
                cx.event(Event::CallConnected {
                    call: handle,
                    attributes: message.attributes().to_vec(),
                    sequenced: required || self.peering.sequencing,
                });
            }
            CallAction::Closed(close) => self.remove_call(cx, local_id, CallCause::Peer(close)),
            CallAction::CleanUp(close) => self.remove_call(cx, local_id, CallCause::Fault(close)),
            CallAction::Refuse(close) => {
                self.clear_call(cx, local_id, &close, CallCause::Fault(close.clone()))
            }
        }
    }

    fn remove_call(&mut self, cx: &mut Context<'_>, local_id: u16, cause: CallCause) {
        if let Some(call) = self.calls.remove(local_id) {
            self.forget_call(cx, &call, cause);
        }
    }

    /// A session message that is for no call: ICRQ makes one, CDN is for one
    /// that is gone already, the rest is answered with CDN.
    fn handle_callless(&mut self, cx: &mut Context<'_>, session_id: u16, message: &Message) {
        let assigned = value_of!(message.attributes(), AssignedSessionId).copied();
        match (message.kind(), assigned) {
            (MessageType::Cdn, _) => {}
            (MessageType::Icrq, Some(peer_id)) if session_id == 0 => {
                self.handle_icrq(cx, peer_id, message)
            }
            // 7.5.2: we place no calls for others.
            (MessageType::Ocrq, Some(peer_id)) => {
                let message = "no outgoing calls";
                let close = CallClose::new(CallResult::NO_FACILITIES, ErrorCode::NONE, message);
                self.refuse_call(cx, peer_id, &close);
            }
            (kind, assigned) => {
                let message = format!("{} for unknown session {session_id}", kind.name());
                let close = CallClose::new(CallResult::ERROR, ErrorCode::BAD_SESSION_ID, &message);
                if session_id != 0 {
                    self.send_cdn(cx, assigned.unwrap_or(0), session_id, &close);
                }
            }
        }
    }

    /// CDN to a call for which no state is kept.
    fn refuse_call(&mut self, cx: &mut Context<'_>, peer_id: u16, close: &CallClose) {
        log::info!("L2TP {}: call refused: {close}", self.handle);
        if let Some(local_id) = free_id(cx.rng, |id| self.calls.contains(id)) {
            self.send_cdn(cx, peer_id, local_id, close);
        }
    }

    /// RFC 2661 7.4.2 idle: ICRQ, acceptable -> a call the owner decides on;
    /// not acceptable -> CDN.
    fn handle_icrq(&mut self, cx: &mut Context<'_>, peer_id: u16, message: &Message) {
        if !self.is_incoming() {
            let close = CallClose::new(
                CallResult::NO_FACILITIES,
                ErrorCode::NONE,
                "no calls on this tunnel",
            );
            self.refuse_call(cx, peer_id, &close);
            return;
        }
        let limits = &cx.config.limits;
        let full =
            self.calls.len() >= limits.calls_per_tunnel || cx.calls.tunnels.len() >= limits.calls;
        let local_id = free_id(cx.rng, |id| self.calls.contains(id)).filter(|_| !full);
        let Some(local_id) = local_id else {
            let close =
                CallClose::new(CallResult::ERROR, ErrorCode::NO_RESOURCES, "too many calls");
            self.refuse_call(cx, peer_id, &close);
            return;
        };
        let handle = cx.calls.allocate(self.handle);
        let call = Call {
            handle,
            state: CallState::Offered,
            local_id,
            peer_id,
            vendor_avps: Vec::new(),
            establish_by: Some(cx.now + cx.config.timing.establishment),
        };
        self.calls.insert(call);
        cx.event(Event::CallIncoming {
            tunnel: self.handle,
            call: handle,
            vendor_avps: self.vendor_avps_of(message),
        });
    }

    /// RFC 2661 section 4.2: a bad AVP with M = 1 in a session message clears
    /// the session.
    pub(super) fn handle_bad_of_session(
        &mut self,
        cx: &mut Context<'_>,
        session_id: u16,
        bad: &BadMessage,
    ) {
        let close = CallClose::new(
            CallResult::ERROR,
            bad.error.error_code(),
            &bad.error.to_string(),
        );
        if self.state != TunnelState::Established {
            return;
        }
        if let Some(local_id) = self.call_of(session_id, &bad.readable) {
            self.clear_call(cx, local_id, &close, CallCause::Fault(close.clone()));
            return;
        }
        // A call that is gone already needs no CDN.
        let assigned = value_of!(bad.readable, AssignedSessionId).copied();
        let unanswered = assigned.filter(|&id| id != 0 && bad.kind != Some(MessageType::Cdn));
        if let Some(peer_id) = unanswered {
            self.refuse_call(cx, peer_id, &close);
        }
    }

    /// Calls that were not established in time.
    pub(super) fn give_up_calls(&mut self, cx: &mut Context<'_>) {
        while let Some(local_id) = self.calls.late(cx.now) {
            let close = CallClose::new(
                CallResult::TIMEOUT,
                ErrorCode::NONE,
                "not established in time",
            );
            self.clear_call(cx, local_id, &close, CallCause::Fault(close.clone()));
        }
    }
}
