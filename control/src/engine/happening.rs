//! What happens to links and sets, for whoever is to know of it: each thing once.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::dialer::{Failure, failure_of_call, failure_of_ppp, failure_of_tunnel};
use crate::l2tp::{CallCause, StopResult, TunnelCause};
use crate::ppp::CloseReason;

/// Something that happened to a link or a set, or to the appliance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// The link's `graph`; absent when it happened to a set or the appliance.
    pub link: Option<String>,
    /// The set, if the link has one.
    pub set: Option<SetName>,
    pub what: What,
}

/// How `status` calls a set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetName {
    pub name: String,
    /// The `remote-ip` on the incoming side, the server on the outgoing side.
    pub remote: String,
}

/// What happened. A link is up or down, has a fault or none, and a set is protected in one
/// of four ways: an event of a kind is never followed by another that says the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The first network protocol is open, this one.
    LinkUp {
        network: String,
        ha: bool,
    },
    LinkDown(Ending),
    /// A link that is up delivers nothing.
    FaultBegan(Fault),
    FaultEnded {
        lasted: Duration,
        how: FaultEnd,
    },
    /// The operator has masked a link for so long: it carries nothing, though it is up.
    LinkMasked {
        time: Duration,
    },
    LinkUnmasked(Unmasking),
    /// So many links carry the set, more than one.
    SetProtected {
        links: usize,
    },
    /// This link alone carries the set.
    SetOneLink {
        link: String,
    },
    /// The peer does not speak HA: one link carries, the others stand by.
    SetUnprotected,
    /// No link carries the set.
    SetDown {
        stopping: bool,
    },
    /// Two boxes use the same credentials.
    ConflictBegan,
    ConflictEnded {
        /// The newcomer is in; otherwise it has not come for long.
        taken_over: bool,
    },
    /// The configuration was read again, and is followed; what that changed.
    Reloaded(String),
    /// It was read again, and is not followed.
    ReloadRefused(String),
}

/// How a fault ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultEnd {
    Delivers,
    /// Not because anything arrives: the link went down.
    LinkDown,
    /// Nothing is expected of the link: it was masked.
    Masked,
}

/// Why a link is masked no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmasking {
    /// The drill's time was up.
    Time,
    Operator,
    /// No other link of its set would have carried.
    Needed,
    LinkDown,
}

/// What is wrong with a link that is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Neither packets nor reports arrive.
    Silent,
    /// Reports arrive, and say that packets were sent, none of which arrives.
    NoData,
    /// The other end has masked it for a drill.
    PeerMasked,
}

impl Fault {
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Silent => "nothing arrives, not even reports",
            Self::NoData => "reports arrive, packets do not",
            Self::PeerMasked => "masked at the other end, for a drill",
        }
    }
}

/// Why a link is down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// We stop.
    Shutdown,
    /// The operator here ended it.
    Kicked,
    /// The configuration that it followed is another, or there is none any more.
    Reconfigured,
    /// A new session of the peer, or its new process, took its place.
    Displaced {
        /// It is ours to dial again.
        redial: bool,
    },
    /// Our end of the tunnel had this address.
    AddressGone(IpAddr),
    /// Who called has no place here.
    Refused(&'static str),
    /// Another box with the same credentials is up.
    Conflict,
    Tunnel(TunnelCause),
    Call(CallCause),
    Ppp(CloseReason),
    /// PPP begins anew.
    Renegotiated,
    /// All network protocols are closed.
    NetworksClosed,
    /// The port that it goes by is down; that is how it was noticed.
    PortDown {
        port: String,
        noticed: Box<Self>,
    },
}

impl Ending {
    /// What it means for the next attempt.
    pub(super) fn failure(&self) -> Failure {
        match self {
            Self::Kicked | Self::Reconfigured => Failure::Kicked,
            Self::Refused(_) | Self::Conflict | Self::Displaced { redial: false } => {
                Failure::Refused
            }
            Self::Tunnel(cause) => failure_of_tunnel(cause),
            Self::Call(cause) => failure_of_call(cause),
            Self::Ppp(reason) => failure_of_ppp(reason),
            Self::Shutdown
            | Self::Displaced { redial: true }
            | Self::AddressGone(_)
            | Self::Renegotiated
            | Self::NetworksClosed
            | Self::PortDown { .. } => Failure::Silent,
        }
    }

    /// Whether it is what one sees of a line that is cut.
    pub(super) fn is_silence(&self) -> bool {
        matches!(
            self,
            Self::Ppp(CloseReason::EchoTimeout) | Self::Tunnel(TunnelCause::Unreachable)
        )
    }

    /// A word for programs.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::Kicked => "kicked",
            Self::Reconfigured => "reconfigured",
            Self::Displaced { .. } => "displaced",
            Self::AddressGone(_) => "address-gone",
            Self::Refused(_) => "refused",
            Self::Conflict => "conflict",
            Self::Tunnel(cause) => word_of_tunnel(cause),
            Self::Call(cause) => word_of_call(cause),
            Self::Ppp(reason) => word_of_ppp(reason),
            Self::Renegotiated => "renegotiated",
            Self::NetworksClosed => "networks-closed",
            Self::PortDown { .. } => "port-down",
        }
    }
}

fn word_of_tunnel(cause: &TunnelCause) -> &'static str {
    match cause {
        TunnelCause::Requested(_) => "closed",
        TunnelCause::Peer(close) if close.result == StopResult::SHUTTING_DOWN => "peer-shutdown",
        TunnelCause::Peer(_) => "peer-closed",
        TunnelCause::Fault(_) => "peer-fault",
        TunnelCause::Unreachable => "no-answer",
        TunnelCause::TieBreaker => "tie-breaker",
        TunnelCause::Superseded => "peer-restarted",
        TunnelCause::NoId => "no-id",
    }
}

fn word_of_call(cause: &CallCause) -> &'static str {
    match cause {
        CallCause::Requested(_) | CallCause::Tunnel => "closed",
        CallCause::Peer(_) => "peer-closed",
        CallCause::Fault(_) => "peer-fault",
        CallCause::NoId => "no-id",
    }
}

fn word_of_ppp(reason: &CloseReason) -> &'static str {
    match reason {
        CloseReason::Administrative | CloseReason::LowerLayerDown => "closed",
        CloseReason::PeerTerminated(_) => "peer-closed",
        CloseReason::EchoTimeout => "lcp-timeout",
        CloseReason::LcpFailed
        | CloseReason::IpcpFailed
        | CloseReason::Ipv6cpFailed
        | CloseReason::Rejected(_) => "negotiation",
        CloseReason::LoopedBack => "looped-back",
        CloseReason::AuthenticationRefused
        | CloseReason::AuthenticationFailed { .. }
        | CloseReason::AuthenticationTimeout => "authentication",
        CloseReason::LoginTimeout => "login-timeout",
        CloseReason::NoAddress => "no-address",
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shutdown => formatter.write_str("the appliance stops"),
            Self::Kicked => formatter.write_str("kicked by the operator"),
            Self::Reconfigured => formatter.write_str("the configuration changed"),
            Self::Displaced { .. } => formatter.write_str("replaced by the peer's new session"),
            Self::AddressGone(address) => write!(formatter, "our address {address} is gone"),
            Self::Refused(why) => formatter.write_str(why),
            Self::Conflict => formatter.write_str("another box with these credentials is up"),
            Self::Tunnel(cause) => cause.fmt(formatter),
            Self::Call(cause) => cause.fmt(formatter),
            Self::Ppp(reason) => reason.fmt(formatter),
            Self::Renegotiated => formatter.write_str("PPP is negotiated anew"),
            Self::NetworksClosed => formatter.write_str("no network protocol is open any more"),
            Self::PortDown { port, noticed } => {
                write!(formatter, "port {port} is down: {noticed}")
            }
        }
    }
}

impl What {
    /// Why, as a word for programs, where there is something to tell apart.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        Some(match self {
            Self::LinkDown(ending) => ending.word(),
            Self::FaultBegan(Fault::Silent) => "silent",
            Self::FaultBegan(Fault::NoData) => "no-data",
            Self::FaultBegan(Fault::PeerMasked) => "peer-masked",
            Self::FaultEnded { how, .. } => match how {
                FaultEnd::Delivers => "delivers",
                FaultEnd::LinkDown => "link-down",
                FaultEnd::Masked => "masked",
            },
            Self::LinkUnmasked(why) => match why {
                Unmasking::Time => "time",
                Unmasking::Operator => "operator",
                Unmasking::Needed => "needed",
                Unmasking::LinkDown => "link-down",
            },
            Self::SetDown { stopping: true } => "shutdown",
            Self::ConflictEnded { taken_over: true } => "taken-over",
            Self::ConflictEnded { taken_over: false } => "not-seen",
            Self::LinkUp { .. }
            | Self::LinkMasked { .. }
            | Self::SetProtected { .. }
            | Self::SetOneLink { .. }
            | Self::SetUnprotected
            | Self::SetDown { stopping: false }
            | Self::ConflictBegan
            | Self::Reloaded(_)
            | Self::ReloadRefused(_) => return None,
        })
    }
}

impl fmt::Display for What {
    /// For people.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinkUp { network, ha } => {
                write!(
                    formatter,
                    "{network}{}",
                    if *ha { ", HA" } else { ", no HA" }
                )
            }
            Self::LinkDown(ending) => ending.fmt(formatter),
            Self::FaultBegan(fault) => formatter.write_str(fault.text()),
            Self::FaultEnded { lasted, how } => {
                let how = match how {
                    FaultEnd::Delivers => "delivers again",
                    FaultEnd::LinkDown => "ended with the link",
                    FaultEnd::Masked => "the link is masked",
                };
                write!(formatter, "{how}, after {} ms", lasted.as_millis())
            }
            Self::LinkMasked { time } => {
                write!(formatter, "masked for a drill, for {} s", time.as_secs())
            }
            Self::LinkUnmasked(why) => formatter.write_str(match why {
                Unmasking::Time => "the drill's time is up",
                Unmasking::Operator => "the operator ended the drill",
                Unmasking::Needed => "no other link of the set carries",
                Unmasking::LinkDown => "the link goes down",
            }),
            Self::SetProtected { links } => write!(formatter, "{links} links carry the set"),
            Self::SetOneLink { link } => {
                write!(formatter, "{link} alone carries the set: no protection")
            }
            Self::SetUnprotected => {
                formatter.write_str("the peer has no HA: one link carries, others stand by")
            }
            Self::SetDown { stopping: false } => formatter.write_str("no link carries the set"),
            Self::SetDown { stopping: true } => formatter.write_str("the appliance stops"),
            Self::ConflictBegan => {
                formatter.write_str("two boxes use the same credentials; the newcomer waits")
            }
            Self::ConflictEnded { taken_over: true } => {
                formatter.write_str("of two boxes with the same credentials the newcomer is in")
            }
            Self::ConflictEnded { taken_over: false } => {
                formatter.write_str("the second box with the same credentials comes no more")
            }
            Self::Reloaded(text) | Self::ReloadRefused(text) => formatter.write_str(text),
        }
    }
}
