//! Incoming calls on both sides (RFC 2661 section 7.4).

use core::time::Duration;

use super::CallId;
use super::avp::VendorAvp;
use super::code::{CallClose, CallResult, ErrorCode};
use super::message::{Message, MessageType, value_of};

/// Where a call is. RFC 2661's wait-reply ends with ICRP and its idle (LNS)
/// with ICRQ; both have a state after them here, in which our side prepares
/// the data plane before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallState {
    /// LAC: the tunnel is not established (wait-tunnel).
    WaitTunnel,
    /// LAC: ICRQ was sent (wait-reply).
    WaitReply,
    /// LAC: ICRP was received, ICCN is to be sent.
    Answered,
    /// LNS: ICRQ was received, ICRP is to be sent.
    Offered,
    /// LNS: ICRP was sent (wait-connect).
    WaitConnect,
    /// ICCN was sent or received.
    Established,
}

/// What a message to a call calls for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CallAction {
    None,
    /// The peer took the call.
    Answered,
    /// The call is connected.
    Connected,
    /// Forget the call without a CDN: the peer sent one.
    Closed(CallClose),
    /// Forget the call without a CDN: the peer does not have it.
    CleanUp(CallClose),
    /// Forget the call and send CDN.
    Refuse(CallClose),
}

/// A call of a tunnel.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) handle: CallId,
    pub(super) state: CallState,
    /// What we assigned.
    pub(super) local_id: u16,
    /// What the peer assigned; 0 until it is known.
    pub(super) peer_id: u16,
    /// For the ICRQ, while the tunnel is not established.
    pub(super) vendor_avps: Vec<VendorAvp>,
    /// When the call is given up unless it is established.
    pub(super) establish_by: Option<Duration>,
}

fn wrong_state(state: CallState, kind: MessageType) -> CallClose {
    let message = format!("{} in state {state:?}", kind.name());
    CallClose::new(CallResult::ERROR, ErrorCode::BAD_SESSION_ID, &message)
}

impl Call {
    /// The transition for a received session message.
    pub(super) fn receive(&mut self, message: &Message) -> CallAction {
        use CallState::{Answered, Established, Offered, WaitConnect, WaitReply, WaitTunnel};
        use MessageType::{Cdn, Iccn, Icrp, Icrq, Occn, Ocrp, Ocrq, Sli, Wen};
        let fault = wrong_state(self.state, message.kind());
        match (self.state, message.kind()) {
            // 7.4.1 wait-reply: ICRP, acceptable. ICCN follows from connect_call.
            (WaitReply, Icrp) => match value_of!(message.attributes(), AssignedSessionId) {
                Some(&peer_id) => {
                    self.peer_id = peer_id;
                    self.state = Answered;
                    CallAction::Answered
                }
                None => CallAction::Refuse(fault),
            },
            // 7.4.1 wait-reply: ICCN -> clean up.
            (WaitReply, Iccn) => CallAction::CleanUp(fault),
            // 7.4.1 wait-reply: ICRQ -> CDN, clean up.
            (WaitReply, Icrq) => CallAction::Refuse(fault),
            // 7.4.1 established: ICRQ, ICRP, ICCN -> CDN, clean up. The ICCN we
            // are about to send would have put us there.
            (Answered, Icrq | Icrp | Iccn) => CallAction::Refuse(fault),
            // 7.4.1 idle: ICCN, ICRP, CDN -> clean up; the peer cannot know us.
            (WaitTunnel, Icrq | Icrp | Iccn) => CallAction::None,
            // 7.4.2 wait-connect: ICCN, acceptable -> established.
            (WaitConnect, Iccn) => {
                self.state = Established;
                self.establish_by = None;
                CallAction::Connected
            }
            // 7.4.2 wait-connect: ICRQ, ICRP -> CDN, clean up.
            (WaitConnect, Icrq | Icrp) => CallAction::Refuse(fault),
            // The same before our ICRP; an ICCN cannot answer what was not sent.
            (Offered, Icrq | Icrp | Iccn) => CallAction::Refuse(fault),
            // 7.4.1 and 7.4.2 established: ICRQ, ICRP, ICCN -> CDN, clean up.
            (Established, Icrq | Icrp | Iccn) => CallAction::Refuse(fault),
            // 7.5: outgoing call messages do not belong to an incoming call.
            (_, Ocrq | Ocrp | Occn) => CallAction::Refuse(fault),
            // 7.4: CDN -> clean up.
            (_, Cdn) => CallAction::Closed(
                value_of!(message.attributes(), ResultCode).map_or(fault, CallClose::from),
            ),
            // 6.13, 6.14: nothing to do on a line that is neither asynchronous
            // nor counted.
            (_, Wen | Sli) => CallAction::None,
            // Not session messages; the tunnel never passes them here.
            (
                _,
                MessageType::Sccrq
                | MessageType::Sccrp
                | MessageType::Scccn
                | MessageType::StopCcn
                | MessageType::Hello,
            ) => CallAction::None,
        }
    }
}
