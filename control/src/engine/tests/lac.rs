//! A provider's LAC, played message by message against the demo's head end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dataplane::command::{PortId, SessionSpec, TableId};
use dataplane::event::Event;

use super::families::datagram;
use super::workers::Workers;
use super::world::{config, seconds};
use crate::config::{Config, Incoming};
use crate::engine::{Engine, Output, PortFacts};
use crate::l2tp::avp::{Attribute, NonEmpty, ProtocolVersion};
use crate::l2tp::header::ControlHeader;
use crate::l2tp::message::{Message, MessageType};

/// Line 1 of the demo.
const LNS: &str = "10.1.0.1:1701";
const LAC: &str = "10.1.0.2:1701";
/// What the LAC assigns.
const TUNNEL: u16 = 0x1111;
const SESSION: u16 = 0x2222;

/// The demo's head end with one thing changed, patient with a peer that does
/// not answer echoes, and without a tunnel secret.
pub(super) fn head(change: impl FnOnce(&mut Incoming)) -> Config {
    let mut config = config("head");
    let incoming = &mut config.l2tp.incoming[0];
    incoming.secret = None;
    (incoming.lcp_rate, incoming.lcp_timeout) = (seconds(60), seconds(600));
    change(incoming);
    config
}

/// The LAC, and the head end that it calls.
pub(super) struct Lac {
    pub(super) now: Duration,
    pub(super) engine: Engine,
    pub(super) workers: Workers,
    commands: u64,
    ns: u16,
    nr: u16,
    /// What the head end assigned.
    tunnel: u16,
    session: u16,
    /// What came in data messages, from behind the L2TP header on.
    frames: Vec<Vec<u8>>,
    /// How often it was asked whether it is there.
    pub(super) hellos: usize,
}

impl Lac {
    /// A tunnel with a call that waits for ICCN.
    pub(super) fn calling(config: Config) -> Self {
        let ports = (0..4u16).map(|id| PortFacts {
            id: PortId(id),
            mac: [2, 0, 0, 0, 0, id as u8],
            mtu: 1500,
            carrier: None,
        });
        let now = seconds(1);
        let mut lac = Self {
            now,
            engine: Engine::new(now, config, ports.collect(), [7; 32]),
            workers: Workers::default(),
            commands: 0,
            ns: 0,
            nr: 0,
            tunnel: 0,
            session: 0,
            frames: Vec::new(),
            hellos: 0,
        };
        lac.settle();
        let name = NonEmpty::new(b"remote".to_vec()).expect("it has letters");
        let version = ProtocolVersion {
            version: 1,
            revision: 0,
        };
        lac.say(
            MessageType::Sccrq,
            vec![
                Attribute::ProtocolVersion(version),
                Attribute::HostName(name),
                Attribute::FramingCapabilities(3),
                Attribute::AssignedTunnelId(TUNNEL),
            ],
        );
        assert_ne!(lac.tunnel, 0, "no SCCRP");
        lac.say(MessageType::Scccn, vec![]);
        lac.say(
            MessageType::Icrq,
            vec![
                Attribute::AssignedSessionId(SESSION),
                Attribute::CallSerialNumber(1),
            ],
        );
        assert_ne!(lac.session, 0, "no ICRP");
        lac
    }

    /// ICCN, with what the LAC negotiated.
    pub(super) fn connect(&mut self, proxy: Vec<Attribute>) {
        let line = [Attribute::TxConnectSpeed(1), Attribute::FramingType(1)];
        self.say(MessageType::Iccn, [line.to_vec(), proxy].concat());
    }

    pub(super) fn say(&mut self, kind: MessageType, attributes: Vec<Attribute>) {
        let header = ControlHeader {
            tunnel_id: self.tunnel,
            session_id: self.session,
            ns: self.ns,
            nr: self.nr,
        };
        self.ns += 1;
        let body = Message::new(kind, attributes, Vec::new()).encode();
        self.hand(Event::L2tpControl {
            table: TableId(1),
            source: address(LAC),
            destination: address(LNS),
            payload: header.datagram(&body),
        });
    }

    /// A PPP frame of the peer, from the protocol on.
    pub(super) fn say_ppp(&mut self, frame: &[u8]) {
        let session = self.spec().id;
        self.hand(Event::Ppp {
            session,
            source: address(LAC),
            frame: frame.to_vec(),
        });
    }

    fn hand(&mut self, event: Event<Vec<u8>>) {
        self.engine.handle_event(self.now, event);
        self.settle();
    }

    pub(super) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.engine.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.engine.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    fn settle(&mut self) {
        self.engine.handle_applied(self.now, self.commands);
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Command(command) => {
                    self.workers.apply(command);
                    self.commands += 1;
                }
                Output::Ip { packet, .. } => {
                    if let Some((_, _, payload)) = datagram(&packet) {
                        self.receive(&payload);
                    }
                }
                _ => {}
            }
            self.engine.handle_applied(self.now, self.commands);
        }
    }

    fn receive(&mut self, payload: &[u8]) {
        if payload[0] & 0x80 == 0 {
            assert_eq!(payload[2..6], [0x11, 0x11, 0x22, 0x22]);
            return self.frames.push(payload[6..].to_vec());
        }
        let (header, body) = ControlHeader::parse(payload).expect("our own message");
        if body.is_empty() || header.ns != self.nr {
            return;
        }
        self.nr += 1;
        let message = Message::decode(body, None).expect("our own message");
        self.hellos += usize::from(message.kind() == MessageType::Hello);
        for attribute in message.attributes() {
            match attribute {
                Attribute::AssignedTunnelId(id) => self.tunnel = *id,
                Attribute::AssignedSessionId(id) => self.session = *id,
                _ => {}
            }
        }
    }

    /// What came since the last time, as it stands behind the L2TP header.
    pub(super) fn raw_frames(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.frames)
    }

    /// The same from the PPP protocol on.
    pub(super) fn frames(&mut self) -> Vec<Vec<u8>> {
        let strip = |frame: Vec<u8>| match frame.strip_prefix(&[0xff, 0x03]) {
            Some(rest) => rest.to_vec(),
            None => frame,
        };
        self.raw_frames().into_iter().map(strip).collect()
    }

    /// Whether the peer may send packets.
    pub(super) fn receives(&self) -> bool {
        self.spec().receive
    }

    /// The session as the workers know it.
    pub(super) fn spec(&self) -> Arc<SessionSpec> {
        let ids = (self.tunnel, self.session);
        self.workers.session_of(ids).expect("it was set up")
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}
