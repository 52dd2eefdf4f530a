//! An endpoint and a peer played by the test, message by message.

use super::*;
use crate::l2tp::avp::{Attribute, NonEmpty, ProtocolVersion, ResultCode};
use crate::l2tp::header::ControlHeader;
use crate::l2tp::message::{Message, MessageType, value_of};

/// The ids the scripted peer assigns.
pub(super) const PEER_TUNNEL: u16 = 0x1111;
pub(super) const PEER_SESSION: u16 = 0x2222;

/// A datagram the endpoint sent, taken apart.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) destination: SocketAddr,
    pub(super) source: SocketAddr,
    pub(super) header: ControlHeader,
    /// `None` for a ZLB.
    pub(super) message: Option<Message>,
}

pub(super) struct Script {
    pub(super) endpoint: Endpoint,
    pub(super) now: Duration,
    /// Where the endpoint is, and where the scripted peer is.
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    /// What the peer sends in the next header.
    pub(super) tunnel_id: u16,
    pub(super) ns: u16,
    pub(super) nr: u16,
    pub(super) events: Vec<Event>,
}

pub(super) fn host_name(name: &str) -> Attribute {
    Attribute::HostName(NonEmpty::new(name.as_bytes().to_vec()).unwrap())
}

/// SCCRQ or SCCRP of the scripted peer.
pub(super) fn start(kind: MessageType, name: &str, more: Vec<Attribute>) -> Message {
    let mut attributes = vec![
        Attribute::ProtocolVersion(ProtocolVersion {
            version: 1,
            revision: 0,
        }),
        host_name(name),
        Attribute::FramingCapabilities(3),
        Attribute::AssignedTunnelId(PEER_TUNNEL),
    ];
    attributes.extend(more);
    Message::new(kind, attributes, Vec::new())
}

pub(super) fn message(kind: MessageType, attributes: Vec<Attribute>) -> Message {
    Message::new(kind, attributes, Vec::new())
}

pub(super) fn icrq(session: u16) -> Message {
    message(
        MessageType::Icrq,
        vec![
            Attribute::AssignedSessionId(session),
            Attribute::CallSerialNumber(1),
        ],
    )
}

pub(super) fn icrp() -> Message {
    message(
        MessageType::Icrp,
        vec![Attribute::AssignedSessionId(PEER_SESSION)],
    )
}

pub(super) fn iccn() -> Message {
    message(
        MessageType::Iccn,
        vec![Attribute::TxConnectSpeed(1), Attribute::FramingType(1)],
    )
}

pub(super) fn result(result: u16) -> Attribute {
    Attribute::ResultCode(ResultCode {
        result,
        error: 0,
        message: Vec::new(),
    })
}

/// Result and error code of a StopCCN or CDN.
pub(super) fn codes(message: &Message) -> (u16, u16) {
    let code = value_of!(message.attributes(), ResultCode).expect("StopCCN and CDN have one");
    (code.result, code.error)
}

impl Script {
    pub(super) fn new(incoming: Vec<Incoming>) -> Self {
        let config = EndpointConfig::new("hal2tp".to_owned(), 1, incoming);
        Self {
            endpoint: Endpoint::new(config, StdRng::seed_from_u64(7)),
            now: Duration::from_secs(1000),
            local: LNS,
            peer: LAC,
            tunnel_id: 0,
            ns: 0,
            nr: 0,
            events: Vec::new(),
        }
    }

    /// An endpoint that dialled the scripted peer; its SCCRQ is returned.
    pub(super) fn dialling(dial: Dial) -> (Self, TunnelId, Message) {
        let mut script = Self {
            local: LAC,
            peer: LNS,
            ..Self::new(Vec::new())
        };
        let tunnel = script.endpoint.dial(script.now, dial);
        let request = script.only_message();
        assert_eq!(request.kind(), MessageType::Sccrq);
        script.tunnel_id = *value_of!(request.attributes(), AssignedTunnelId).unwrap();
        (script, tunnel, request)
    }

    /// What the endpoint sent since the last time; the events are kept.
    pub(super) fn sent(&mut self) -> Vec<Sent> {
        let mut sent = Vec::new();
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Event(event) => self.events.push(event),
                Output::Transmit {
                    table,
                    source,
                    destination,
                    payload,
                } => {
                    assert_eq!(table, TABLE);
                    let (header, body) = ControlHeader::parse(&payload).unwrap();
                    let message = (!body.is_empty()).then(|| Message::decode(body, None).unwrap());
                    if message.is_some() {
                        self.nr = header.ns.wrapping_add(1);
                    }
                    sent.push(Sent {
                        destination,
                        source,
                        header,
                        message,
                    });
                }
            }
        }
        sent
    }

    pub(super) fn messages(&mut self) -> Vec<Message> {
        self.sent()
            .into_iter()
            .filter_map(|sent| sent.message)
            .collect()
    }

    pub(super) fn only_message(&mut self) -> Message {
        let mut messages = self.messages();
        assert_eq!(messages.len(), 1, "{messages:?}");
        messages.remove(0)
    }

    pub(super) fn raw(&mut self, payload: &[u8]) {
        self.endpoint
            .handle_datagram(self.now, TABLE, self.peer, self.local, payload);
    }

    /// The peer sends the next message of its channel.
    pub(super) fn say(&mut self, session_id: u16, message: &Message) {
        self.say_body(session_id, &message.encode());
    }

    pub(super) fn say_body(&mut self, session_id: u16, body: &[u8]) {
        let header = ControlHeader {
            tunnel_id: self.tunnel_id,
            session_id,
            ns: self.ns,
            nr: self.nr,
        };
        self.ns = self.ns.wrapping_add(1);
        self.raw(&header.datagram(body));
    }

    /// The peer requests a tunnel and learns our id from the SCCRP.
    pub(super) fn request(&mut self, more: Vec<Attribute>) -> Message {
        self.say(0, &start(MessageType::Sccrq, "remote", more));
        let reply = self.only_message();
        assert_eq!(reply.kind(), MessageType::Sccrp);
        self.tunnel_id = *value_of!(reply.attributes(), AssignedTunnelId).unwrap();
        reply
    }

    /// An incoming tunnel without secret, established.
    pub(super) fn established() -> Self {
        let mut script = Self::new(vec![incoming("")]);
        script.request(Vec::new());
        script.say(0, &message(MessageType::Scccn, Vec::new()));
        assert!(script.messages().is_empty());
        script
    }

    /// A dialled tunnel without secret, established.
    pub(super) fn established_by_dialling() -> (Self, TunnelId) {
        let (mut script, tunnel, _) = Self::dialling(dial(""));
        script.say(0, &start(MessageType::Sccrp, "head", Vec::new()));
        assert_eq!(script.only_message().kind(), MessageType::Scccn);
        (script, tunnel)
    }

    pub(super) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.endpoint.next_timeout().filter(|&at| at <= until) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
        }
        self.now = until;
    }

    pub(super) fn only_tunnel(&self) -> TunnelInfo {
        let tunnels: Vec<TunnelId> = self.endpoint.tunnels().collect();
        assert_eq!(tunnels.len(), 1);
        self.endpoint.tunnel(tunnels[0]).unwrap()
    }

    pub(super) fn call_causes(&mut self) -> Vec<CallCause> {
        let closed = |event| match event {
            Event::CallClosed { cause, .. } => Some(cause),
            _ => None,
        };
        core::mem::take(&mut self.events)
            .into_iter()
            .filter_map(closed)
            .collect()
    }
}
