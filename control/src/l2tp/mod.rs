//! L2TPv2 control connections (RFC 2661), sans-IO.
//!
//! [`Endpoint`] holds every tunnel of the appliance, as LAC ([`Endpoint::dial`])
//! and as LNS ([`Incoming`]). It is given datagrams and the time, and is polled
//! for [`Output`]s, which are strictly in order: an [`Event`] that precedes a
//! datagram is to be acted on before the datagram leaves.
//!
//! Layers, from the wire up: [`header`] and [`avp`] (with [`hiding`]) make up
//! [`message`]; [`channel`] delivers messages reliably; `tunnel` and `call` are
//! the state machines of RFC 2661 sections 7.2 and 7.4; `endpoint` finds the
//! tunnel of a datagram and admits new ones.

pub mod avp;
mod call;
pub mod channel;
mod code;
mod endpoint;
pub mod header;
pub mod hiding;
mod index;
pub mod message;
mod tunnel;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use dataplane::command::Prefix;

pub use avp::VendorAvp;
pub use channel::Retransmission;
pub use code::{CallClose, CallResult, ErrorCode, StopResult, TunnelClose};
pub use endpoint::{Endpoint, Statistics};

use crate::secret::Secret;

/// The UDP port of L2TP (RFC 2661 section 8.1).
pub const PORT: u16 = 1701;

/// A tunnel of an [`Endpoint`]; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelId(pub u64);

/// A call (a session, once it is connected) of an [`Endpoint`]; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// How one peer is treated, where implementations differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peering {
    /// Idle time after which HELLO is sent; never when zero.
    pub hello_interval: Duration,
    /// Messages the peer may send ahead of our acknowledgement: our Receive
    /// Window Size AVP.
    pub receive_window: u16,
    /// Retransmissions of a message before the peer counts as dead.
    pub retries: u32,
    /// Hide every AVP that may be hidden (RFC 2661 section 4.3); only with a secret.
    pub hide_avps: bool,
    /// Send AVPs that a peer can do without: Firmware Revision, Vendor Name, and
    /// those of vendors, which are otherwise not looked at either.
    pub vendor_avps: bool,
    /// The peer asks and answers from port 1701 and no other. RFC 2661
    /// section 8.1 leaves it the choice.
    pub fixed_port: bool,
    /// Ask for sequence numbers in data messages, and send them (section 5.4).
    pub sequencing: bool,
}

impl Default for Peering {
    fn default() -> Self {
        Self {
            hello_interval: Duration::from_secs(60),
            receive_window: 16,
            retries: Retransmission::default().retries,
            hide_avps: false,
            vendor_avps: true,
            fixed_port: false,
            sequencing: false,
        }
    }
}

/// Who may set up tunnels to us, and with what.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// For the log.
    pub name: String,
    /// The Host Name the peer must send; any when `None`.
    pub remote_hostname: Option<String>,
    /// The Host Name we answer with.
    pub local_hostname: String,
    /// With a secret, the peer is challenged and must answer; it is also what
    /// the peer's challenge is answered with and hidden AVPs are read with.
    pub secret: Option<Secret>,
    /// Our addresses this holds for; all when empty.
    pub listen: Vec<IpAddr>,
    /// The routing table the request must arrive in; any when `None`.
    pub table: Option<u32>,
    /// Networks the request may come from; any when empty. Whom no entry
    /// allows gets no answer.
    pub allow: Vec<Prefix>,
    pub peering: Peering,
}

/// What one endpoint may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Incoming tunnels that are or were established, closed ones that linger
    /// included, which make room for others; requests beyond are refused.
    pub incoming_tunnels: usize,
    /// The same from one source address, or of IPv6 from one network of 64 bits.
    pub incoming_tunnels_per_source: usize,
    /// Incoming tunnels that are not established yet; a request beyond takes
    /// the place of the oldest.
    pub half_open: usize,
    /// The same from one source.
    pub half_open_per_source: usize,
    /// Calls in all tunnels, counted when a peer asks for another.
    pub calls: usize,
    /// Calls in one tunnel, counted then too.
    pub calls_per_tunnel: usize,
    /// Messages of one tunnel that wait for the peer: one that makes us answer
    /// and acknowledges nothing is cleared.
    pub queued_messages: usize,
    /// StopCCNs a second that answer requests for which no state is kept.
    pub refusals_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            incoming_tunnels: 32_768,
            incoming_tunnels_per_source: 1024,
            half_open: 1024,
            half_open_per_source: 64,
            calls: 64_000,
            calls_per_tunnel: 16_384,
            queued_messages: 20_000,
            refusals_per_second: 10,
        }
    }
}

/// Times of the protocol.
#[derive(Debug, Clone)]
pub struct Timing {
    /// Its retries are each peer's own: [`Peering::retries`].
    pub retransmission: Retransmission,
    /// How long a tunnel or call may take to be established.
    pub establishment: Duration,
    /// How long a closed tunnel is kept to acknowledge again: a full
    /// retransmission cycle (RFC 2661 section 5.7).
    pub linger: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            retransmission: Retransmission::default(),
            establishment: Duration::from_secs(60),
            linger: Duration::from_secs(31),
        }
    }
}

/// What an [`Endpoint`] is made from.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    pub vendor_name: String,
    pub firmware_revision: u16,
    /// In order of preference: the first that matches a request is taken.
    pub incoming: Vec<Incoming>,
    pub limits: Limits,
    pub timing: Timing,
}

impl EndpointConfig {
    /// Standard limits and times.
    #[must_use]
    pub fn new(vendor_name: String, firmware_revision: u16, incoming: Vec<Incoming>) -> Self {
        Self {
            vendor_name,
            firmware_revision,
            incoming,
            limits: Limits::default(),
            timing: Timing::default(),
        }
    }
}

/// A tunnel to set up.
#[derive(Debug, Clone)]
pub struct Dial {
    /// The Host Name we send.
    pub hostname: String,
    /// With a secret, the server is challenged and must answer; it is also what
    /// the server's challenge is answered with.
    pub secret: Option<Secret>,
    /// The routing table the tunnel's packets travel in.
    pub table: u32,
    /// Our address and port, of the server's family.
    pub source: SocketAddr,
    pub server: SocketAddr,
    pub peering: Peering,
    /// Ask for a single tunnel between the two addresses: when the server dials
    /// us at the same time, one of the two is given up (RFC 2661 section 4.4.3,
    /// Tie Breaker).
    pub tie_breaker: bool,
}

/// What an [`Endpoint`] wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a UDP datagram in routing table `table`.
    Transmit {
        table: u32,
        source: SocketAddr,
        destination: SocketAddr,
        payload: Vec<u8>,
    },
    Event(Event),
}

/// What happened to tunnels and calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// `incoming` is the index of the [`Incoming`], `None` for a dialled tunnel.
    TunnelEstablished {
        tunnel: TunnelId,
        incoming: Option<usize>,
    },
    /// A dialled or established tunnel is gone; its calls were closed before.
    TunnelClosed {
        tunnel: TunnelId,
        cause: TunnelCause,
    },
    /// ICRQ: waits for [`Endpoint::accept_call`] or [`Endpoint::close_call`].
    CallIncoming {
        tunnel: TunnelId,
        call: CallId,
        vendor_avps: Vec<VendorAvp>,
    },
    /// ICRP: waits for [`Endpoint::connect_call`] or [`Endpoint::close_call`].
    CallAnswered {
        call: CallId,
        vendor_avps: Vec<VendorAvp>,
    },
    /// ICCN was received, or is about to be sent. `sequenced` says that data
    /// messages must have sequence numbers (RFC 2661 section 5.4).
    CallConnected {
        call: CallId,
        /// What the peer's ICCN says; nothing when it is ours.
        attributes: Vec<avp::Attribute>,
        sequenced: bool,
    },
    CallClosed {
        call: CallId,
        cause: CallCause,
    },
}

/// Why a tunnel is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TunnelCause {
    /// [`Endpoint::close_tunnel`].
    Requested(TunnelClose),
    /// The peer sent StopCCN.
    Peer(TunnelClose),
    /// We found fault with the peer, and said so in a StopCCN.
    Fault(TunnelClose),
    /// The peer did not acknowledge within the retries.
    Unreachable,
    /// The peer's simultaneous request won (RFC 2661 section 4.4.3, Tie Breaker).
    TieBreaker,
    /// The peer has given its id to another tunnel: it restarted.
    Superseded,
    /// No tunnel id was free.
    NoId,
}

/// Why a call is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallCause {
    /// [`Endpoint::close_call`].
    Requested(CallClose),
    /// The peer sent CDN.
    Peer(CallClose),
    /// We found fault with the peer, and said so in a CDN.
    Fault(CallClose),
    /// The tunnel closed, or did not exist.
    Tunnel,
    /// No session id was free.
    NoId,
}

impl core::fmt::Display for TunnelId {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "tunnel {}", self.0)
    }
}

impl core::fmt::Display for CallId {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "call {}", self.0)
    }
}

impl core::fmt::Display for TunnelCause {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Requested(close) => write!(formatter, "closed: {close}"),
            Self::Peer(close) => write!(formatter, "closed by the peer: {close}"),
            Self::Fault(close) => write!(formatter, "closed for the peer's fault: {close}"),
            Self::Unreachable => formatter.write_str("the peer does not answer"),
            Self::TieBreaker => formatter.write_str("the peer's simultaneous request won"),
            Self::Superseded => formatter.write_str("the peer restarted"),
            Self::NoId => formatter.write_str("no tunnel id is free"),
        }
    }
}

impl core::fmt::Display for CallCause {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Requested(close) => write!(formatter, "closed: {close}"),
            Self::Peer(close) => write!(formatter, "closed by the peer: {close}"),
            Self::Fault(close) => write!(formatter, "closed for the peer's fault: {close}"),
            Self::Tunnel => formatter.write_str("the tunnel is gone"),
            Self::NoId => formatter.write_str("no session id is free"),
        }
    }
}

/// A tunnel as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelInfo {
    pub state: TunnelState,
    /// Index of the [`Incoming`], `None` for a dialled tunnel.
    pub incoming: Option<usize>,
    pub table: u32,
    pub local: SocketAddr,
    pub peer: SocketAddr,
    /// The tunnel id in what we receive.
    pub local_id: u16,
    /// The tunnel id in what we send; 0 until the peer assigned one.
    pub peer_id: u16,
    /// The peer's Host Name; empty until it is known.
    pub peer_hostname: String,
    /// `None` until it is; stays when it is closed.
    pub established_at: Option<Duration>,
    pub calls: usize,
}

/// A call as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallInfo {
    pub tunnel: TunnelId,
    pub state: CallState,
    /// The session id in what we receive; 0 while the tunnel is not established.
    pub local_id: u16,
    /// The session id in what we send; 0 until the peer assigned one.
    pub peer_id: u16,
}

pub use call::CallState;
pub use tunnel::TunnelState;

#[cfg(test)]
mod simulation;
