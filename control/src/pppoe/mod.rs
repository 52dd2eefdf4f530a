//! PPP over Ethernet, the host's side, sans-IO: discovery (RFC 2516, RFC 4638)
//! and the PPP link in the session that it finds.
//!
//! One [`PppoeClient`] per line. The caller passes in the time and the frames
//! other than IP, and takes [`PppoeAction`]s, strictly in order.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::ppp::{self, AuthProtocol};
use crate::secret::Secret;

mod client;
mod discovery;
mod link;
#[cfg(test)]
pub(crate) mod model;
mod packet;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use client::PppoeClient;

/// What a line is to be.
#[derive(Clone, Debug)]
pub struct PppoeSettings {
    /// The name to log in with.
    pub username: String,
    /// The password to log in with.
    pub password: Secret,
    /// The service to ask for; `None` takes any.
    pub service_name: Option<String>,
    /// The concentrator to take; `None` takes the first that offers the service.
    pub ac_name: Option<String>,
    /// The largest IP packet, octets: 1492, or up to 1500 where the concentrator
    /// agrees to it by RFC 4638.
    pub mtu: u16,
    /// Whether IPv6 is to be carried, too.
    pub ipv6: bool,
    /// Time between LCP Echo-Requests; zero sends none.
    pub lcp_rate: Duration,
    /// The session is dead when no echo was answered for so long.
    pub lcp_timeout: Duration,
    /// How we authenticate ourselves, best first.
    pub authentication: Vec<AuthProtocol>,
    /// Limits of PPP's negotiation.
    pub timers: ppp::Timers,
    /// Magic numbers are told but not looked at.
    pub ignore_magic: bool,
    /// What to ask for besides an address.
    pub wanted: ppp::Wanted,
}

/// What a client wants done, strictly in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PppoeAction {
    /// Send a whole Ethernet frame out of the carrier.
    Frame(Vec<u8>),
    /// The session is there: the workers are to know it before the next frame
    /// leaves, which may let the peer send IP.
    SessionUp {
        /// Its id, the same in both directions.
        id: u16,
        /// The other end's MAC address.
        access_concentrator: [u8; 6],
    },
    /// The session is over.
    SessionDown,
    /// The assignment is another one.
    Changed,
}

/// How far a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PppoeState {
    /// The carrier is down, or the next attempt is waited for.
    Idle,
    /// A concentrator is looked for.
    Discovering,
    /// A concentrator is asked for a session.
    Requesting,
    /// PPP negotiates in the session.
    Negotiating,
    /// IPv4 or IPv6 may pass.
    Open,
}

impl fmt::Display for PppoeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::Discovering => "discovering",
            Self::Requesting => "requesting",
            Self::Negotiating => "negotiating",
            Self::Open => "open",
        })
    }
}

/// The other end of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concentrator {
    pub mac: [u8; 6],
    /// What it calls itself (AC-Name), fit for a log line.
    pub name: String,
    pub session: u16,
}

/// What a line has sent and received, and what became of it. Every frame that
/// is not acted on has its reason here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PppoeCounters {
    /// PADI.
    pub initiations_sent: u64,
    /// PADO with our Host-Uniq while they were waited for.
    pub offers_received: u64,
    /// Of these: without the name or the service asked for, or with an error.
    pub offers_refused: u64,
    /// PADR.
    pub requests_sent: u64,
    /// PADS of the chosen concentrator.
    pub confirmations_received: u64,
    /// PADT.
    pub terminations_sent: u64,
    /// PADT of our session.
    pub terminations_received: u64,
    /// Sessions in which IPv4 or IPv6 opened.
    pub sessions_opened: u64,
    /// PPP frames of our session, other than IP.
    pub session_frames_received: u64,
    /// Frames that are none of PPPoE, or not whole.
    pub malformed: u64,
    /// Discovery to others, or from an address that nobody has.
    pub not_for_us: u64,
    /// PADO or PADS that answer another host, or an earlier attempt.
    pub wrong_host_uniq: u64,
    /// PADS or PADT of another concentrator than the chosen one.
    pub wrong_source: u64,
    /// Discovery that nothing was asked for, or not any more.
    pub unexpected: u64,
    /// PPP frames of a session, or from a source, that is not ours.
    pub unknown_session: u64,
}
