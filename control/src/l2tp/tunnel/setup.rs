//! Setting a tunnel up: requests, replies and authentication (RFC 2661
//! sections 5.1 and 6.1 to 6.3).

use core::net::SocketAddr;
use core::num::NonZeroU16;

use rand::{Rng, RngCore};

use super::{Context, Path, Room, Tunnel, TunnelState};
use crate::l2tp::avp::{Attribute, NonEmpty, ProtocolVersion};
use crate::l2tp::channel::Packet;
use crate::l2tp::code::{ErrorCode, StopResult, TunnelClose};
use crate::l2tp::header::ControlHeader;
use crate::l2tp::hiding;
use crate::l2tp::message::{Message, MessageType, value_of};
use crate::l2tp::{Dial, Event, Incoming, TunnelId};
use crate::secret::Secret;

/// The protocol version of RFC 2661, and the highest we speak.
pub(in crate::l2tp) const PROTOCOL_VERSION: ProtocolVersion = ProtocolVersion {
    version: 1,
    revision: 0,
};
/// Synchronous and asynchronous framing (RFC 2661 section 4.4.3).
const FRAMING_CAPABILITIES: u32 = 3;
/// The id of a Challenge Response is the type of the message it stands in.
const SCCRP_ID: u8 = MessageType::Sccrp.code() as u8;
const SCCCN_ID: u8 = MessageType::Scccn.code() as u8;

/// A request that was found acceptable.
pub(in crate::l2tp) struct Request<'a> {
    pub(in crate::l2tp) message: &'a Message,
    pub(in crate::l2tp) header: ControlHeader,
    pub(in crate::l2tp) body: &'a [u8],
    pub(in crate::l2tp) incoming: (usize, &'a Incoming),
}

impl Tunnel {
    /// RFC 2661 7.2.1 idle: local open request -> SCCRQ, wait-ctl-reply.
    pub(in crate::l2tp) fn dial(
        cx: &mut Context<'_>,
        handle: TunnelId,
        local_id: u16,
        dial: Dial,
    ) -> Self {
        let path = Path {
            table: dial.table,
            local: dial.source,
            peer: dial.server,
        };
        let state = TunnelState::WaitReply;
        let mut tunnel = Self::new(cx, handle, local_id, path, state, dial.peering);
        tunnel.local_hostname = dial.hostname;
        tunnel.tie_breaker = dial.tie_breaker.then(|| cx.rng.random());
        tunnel.set_secret(cx, dial.secret);
        let mut attributes = tunnel.start_attributes();
        attributes.extend(tunnel.tie_breaker.map(Attribute::TieBreaker));
        // Not in SCCRP, which is to be small: it goes to unproven addresses.
        if tunnel.peering.vendor_avps {
            let name = cx.config.vendor_name.clone().into_bytes();
            attributes.push(Attribute::FirmwareRevision(cx.config.firmware_revision));
            attributes.push(Attribute::VendorName(name));
        }
        tunnel.send(cx, MessageType::Sccrq, attributes);
        tunnel.flush(cx);
        tunnel
    }

    /// RFC 2661 7.2.1 idle: SCCRQ, acceptable -> SCCRP, wait-ctl-conn.
    pub(in crate::l2tp) fn accept(
        cx: &mut Context<'_>,
        handle: TunnelId,
        local_id: u16,
        path: Path,
        request: &Request<'_>,
    ) -> Self {
        let (index, incoming) = request.incoming;
        let (state, peering) = (TunnelState::WaitConnect, incoming.peering.clone());
        let mut tunnel = Self::new(cx, handle, local_id, path, state, peering);
        tunnel.answers = true;
        tunnel.incoming = Some(index);
        tunnel.local_hostname.clone_from(&incoming.local_hostname);
        tunnel.set_secret(cx, incoming.secret.clone());
        tunnel.request = request.body.to_vec();
        // One SCCRP for each SCCRQ that comes, and no more until the peer has
        // shown that it gets them: whoever invents addresses gains nothing.
        tunnel.channel.set_passive(true);
        let packet = Packet {
            session_id: 0,
            body: request.body.to_vec(),
        };
        let ControlHeader { ns, nr, .. } = request.header;
        tunnel.channel.receive(cx.now, ns, nr, packet);
        while tunnel.channel.deliver().is_some() {}
        tunnel.learn_peer(request.message);
        let mut attributes = tunnel.start_attributes();
        attributes.extend(tunnel.challenge_response(SCCRP_ID, request.message));
        tunnel.send(cx, MessageType::Sccrp, attributes);
        tunnel.flush(cx);
        tunnel
    }

    pub(super) fn set_secret(&mut self, cx: &mut Context<'_>, secret: Option<Secret>) {
        if secret.is_some() {
            let mut challenge = vec![0; hiding::DIGEST_OCTETS];
            cx.rng.fill_bytes(&mut challenge);
            self.challenge = NonEmpty::new(challenge);
        }
        self.secret = secret;
    }

    /// The AVPs SCCRQ and SCCRP share (RFC 2661 sections 6.1 and 6.2).
    pub(super) fn start_attributes(&self) -> Vec<Attribute> {
        let mut attributes = vec![Attribute::ProtocolVersion(PROTOCOL_VERSION)];
        // An empty host name is a mistake of configuration; the AVP cannot carry it.
        let host_name = NonEmpty::new(self.local_hostname.clone().into_bytes());
        attributes.extend(
            host_name
                .or_else(|| NonEmpty::new(b"-".to_vec()))
                .map(Attribute::HostName),
        );
        attributes.push(Attribute::FramingCapabilities(FRAMING_CAPABILITIES));
        attributes.push(Attribute::AssignedTunnelId(self.local_id));
        let window = NonZeroU16::new(self.peering.receive_window);
        attributes.extend(window.map(Attribute::ReceiveWindowSize));
        attributes.extend(self.challenge.clone().map(Attribute::Challenge));
        attributes
    }

    pub(super) fn learn_peer(&mut self, message: &Message) {
        let attributes = message.attributes();
        if let Some(&peer_id) = value_of!(attributes, AssignedTunnelId) {
            self.peer_id = peer_id;
        }
        if let Some(host_name) = value_of!(attributes, HostName) {
            self.peer_hostname = String::from_utf8_lossy(host_name.as_bytes()).into_owned();
        }
        if let Some(window) = value_of!(attributes, ReceiveWindowSize) {
            self.channel.set_peer_window(window.get());
        }
    }

    pub(super) fn handle_sccrp(
        &mut self,
        cx: &mut Context<'_>,
        source: SocketAddr,
        message: &Message,
    ) {
        // From here on the port the server chose is its port (8.1).
        self.path.peer = source;
        self.learn_peer(message);
        if let Err(close) = self.check_sccrp(message) {
            self.fault(cx, close);
            return;
        }
        let response = self.challenge_response(SCCCN_ID, message);
        self.send(cx, MessageType::Scccn, response.into_iter().collect());
        self.established(cx);
    }

    pub(super) fn check_sccrp(&self, message: &Message) -> Result<(), TunnelClose> {
        check_version(message)?;
        self.check_response(SCCRP_ID, message)?;
        check_can_answer(self.secret.as_ref(), message)
    }

    pub(super) fn handle_scccn(&mut self, cx: &mut Context<'_>, message: &Message) {
        if let Err(close) = self.check_response(SCCCN_ID, message) {
            self.fault(cx, close);
            return;
        }
        self.channel.set_passive(false);
        if cx.room == Room::Full {
            // Others were quicker since it asked.
            cx.room = Room::Refused;
            self.fault(cx, no_room());
            return;
        }
        self.established(cx);
    }

    pub(super) fn established(&mut self, cx: &mut Context<'_>) {
        self.state = TunnelState::Established;
        self.established_at = Some(cx.now);
        self.deadline = None;
        log::info!(
            "L2TP {} to {} ({:?}) is established: ids {}/{}",
            self.handle,
            self.path.peer,
            self.peer_hostname,
            self.local_id,
            self.peer_id
        );
        cx.event(Event::TunnelEstablished {
            tunnel: self.handle,
            incoming: self.incoming,
        });
        for call in core::mem::take(&mut self.waiting_calls) {
            self.request_call(cx, call);
        }
    }

    /// The answer to the peer's challenge, if it sent one (5.1.1).
    pub(super) fn challenge_response(&self, id: u8, message: &Message) -> Option<Attribute> {
        let challenge = value_of!(message.attributes(), Challenge)?;
        let response = hiding::challenge_response(id, self.secret()?, challenge.as_bytes());
        Some(Attribute::ChallengeResponse(response))
    }

    /// Whether the peer answered our challenge, if we sent one (5.1.1).
    pub(super) fn check_response(&self, id: u8, message: &Message) -> Result<(), TunnelClose> {
        let Some((challenge, secret)) = self.challenge.as_ref().zip(self.secret()) else {
            return Ok(());
        };
        match value_of!(message.attributes(), ChallengeResponse) {
            Some(response)
                if hiding::response_is_right(id, secret, challenge.as_bytes(), response) =>
            {
                Ok(())
            }
            Some(_) => Err(not_authorised("wrong Challenge Response")),
            None => Err(not_authorised("Challenge Response missing")),
        }
    }
}

/// A limit on tunnels is reached.
pub(in crate::l2tp) fn no_room() -> TunnelClose {
    let (result, error) = (StopResult::ERROR, ErrorCode::NO_RESOURCES);
    TunnelClose::new(result, error, "too many tunnels")
}

fn not_authorised(message: &str) -> TunnelClose {
    TunnelClose::new(StopResult::NOT_AUTHORISED, ErrorCode::NONE, message)
}

/// Result 5 carries the highest version we speak as error code (4.4.2).
pub(in crate::l2tp) fn check_version(message: &Message) -> Result<(), TunnelClose> {
    match value_of!(message.attributes(), ProtocolVersion) {
        Some(version) if version.version != PROTOCOL_VERSION.version => {
            let highest = u16::from_be_bytes([PROTOCOL_VERSION.version, PROTOCOL_VERSION.revision]);
            Err(TunnelClose::new(
                StopResult::VERSION,
                ErrorCode(highest),
                "protocol version",
            ))
        }
        _ => Ok(()),
    }
}

/// A challenge cannot be answered without a secret (5.1.1).
pub(in crate::l2tp) fn check_can_answer(
    secret: Option<&Secret>,
    message: &Message,
) -> Result<(), TunnelClose> {
    if secret.is_none() && value_of!(message.attributes(), Challenge).is_some() {
        return Err(not_authorised("no secret to answer the challenge with"));
    }
    Ok(())
}
