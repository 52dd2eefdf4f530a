//! PPP over L2TP and PPPoE, sans-IO: LCP (RFC 1661), PAP (RFC 1334), CHAP with MD5 (RFC
//! 1994), MS-CHAPv2 (RFC 2759), IPCP (RFC 1332, 1877), IPV6CP (RFC 5072), LCP
//! echoes as keepalive, and what a LAC negotiated for us (RFC 2661 4.4.5).
//!
//! One [`Session`] per L2TP or PPPoE session. The caller passes in the time and the
//! frames, and takes [`Output`]s, strictly in order: an [`Event`] that
//! stands before a frame is to be acted on before the frame leaves.
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::secret::Secret;

mod auth;
mod chap;
mod echo;
mod fsm;
mod ipcp;
mod ipv6cp;
mod layer;
mod lcp;
mod logins;
mod networks;
mod option;
mod packet;
mod pap;
mod proxy;
mod session;
#[cfg(test)]
mod simulation;

pub use echo::EchoStatistics;
pub use logins::Logins;
pub(crate) use packet::text as peer_text;
pub use proxy::{Proxy, ProxyAuthentication, ProxyLcp, ProxyPolicy};
pub use session::Session;

/// What a session is and wants.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which end we are.
    pub role: Role,
    /// What carries the link's frames.
    pub lower_layer: LowerLayer,
    /// Whether IPv6 is to be carried, too. One family does without the other:
    /// the link is open while either is.
    pub ipv6: bool,
    /// The largest information field we take, in octets; told to the peer when
    /// it is not 1500, and over PPPoE always.
    pub mru: u16,
    /// Time between LCP Echo-Requests; zero sends none.
    pub lcp_rate: Duration,
    /// The link is dead when no echo was answered for so long.
    pub lcp_timeout: Duration,
    /// Magic numbers are told but not looked at: for peers that get them wrong.
    /// A looped link is not recognised then.
    pub ignore_magic: bool,
    /// Limits of the negotiation.
    pub timers: Timers,
}

/// What carries a link's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LowerLayer {
    /// The peer may compress PPP's fields as it likes.
    L2tp,
    /// The fields have one form (RFC 2516 7), and there is no MRU that goes
    /// without saying: 1492 by RFC 2516, 1500 by RFC 1661.
    Pppoe,
}

/// Which end of the link we are.
#[derive(Debug, Clone)]
pub enum Role {
    /// We log in (LAC client); the server is not asked to authenticate itself.
    Client {
        /// The name to log in with.
        username: String,
        /// The password to log in with.
        password: Secret,
        /// The address to ask for; `None` leaves it to the server. An address
        /// the server insists on is taken.
        local_ip: Option<Ipv4Addr>,
        /// How we authenticate ourselves to a server that asks, best first.
        protocols: Vec<AuthProtocol>,
        /// What to ask for besides an address.
        wanted: Wanted,
    },
    /// The peer logs in (LNS).
    Server {
        /// Our name in CHAP Challenges.
        name: String,
        /// Who may log in, and the address each gets.
        logins: Logins,
        /// Our address.
        local_ip: Ipv4Addr,
        /// How the peer may authenticate itself, best first; at least one.
        protocols: Vec<AuthProtocol>,
        /// Time after which a peer on an open link proves itself again, by
        /// CHAP or MS-CHAPv2; `None` asks once.
        rechallenge: Option<Duration>,
        /// What peers are told that ask.
        name_servers: NameServers,
        /// What a LAC negotiated before.
        proxy: ProxyPolicy,
    },
}

/// Name servers: at most two of each kind, the first one first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameServers {
    /// Of the domain name system.
    pub dns: Vec<Ipv4Addr>,
    /// Of NetBIOS (WINS).
    pub nbns: Vec<Ipv4Addr>,
}

impl fmt::Display for NameServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |servers: &[Ipv4Addr]| {
            let all: Vec<String> = servers.iter().map(ToString::to_string).collect();
            all.join(", ")
        };
        write!(f, "DNS [{}], NBNS [{}]", list(&self.dns), list(&self.nbns))
    }
}

/// The name servers that a client asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Those of the domain name system.
    pub dns: bool,
    /// Those of NetBIOS (WINS).
    pub nbns: bool,
}

/// One peer that may log in.
#[derive(Debug, Clone)]
pub struct Login {
    /// The name it logs in with.
    pub username: String,
    /// The password it logs in with.
    pub password: Secret,
    /// The address it is assigned.
    pub remote_ip: Ipv4Addr,
}

/// An authentication protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthProtocol {
    /// CHAP with MD5 (RFC 1994).
    Chap,
    /// MS-CHAPv2 (RFC 2759): the authenticator proves itself, too.
    MsChapV2,
    /// PAP (RFC 1334): the password travels in the clear.
    Pap,
}

impl AuthProtocol {
    /// All of them, best first: MD5 hides a password better than DES does.
    pub const ALL: [Self; 3] = [Self::Chap, Self::MsChapV2, Self::Pap];
}

impl fmt::Display for AuthProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chap => "CHAP",
            Self::MsChapV2 => "MS-CHAPv2",
            Self::Pap => "PAP",
        })
    }
}

/// Timers and counters of the negotiation (RFC 1661 4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// The Restart timer.
    pub restart: Duration,
    /// Configure-Requests, Challenges, Authenticate-Requests sent without an answer.
    pub max_configure: u32,
    /// Terminate-Requests sent without an answer.
    pub max_terminate: u32,
    /// Configure-Naks sent without an Ack before they become Rejects.
    pub max_failure: u32,
    /// Longest time from the start, or from a renegotiation, to IPv4 or IPv6 being up.
    pub login: Duration,
}

impl Default for Timers {
    /// The RFC's defaults, and a minute to log in.
    fn default() -> Self {
        Self {
            restart: Duration::from_secs(3),
            max_configure: 10,
            max_terminate: 2,
            max_failure: 5,
            login: Duration::from_secs(60),
        }
    }
}

/// What a session wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A frame for the peer, from the PPP protocol field on, not compressed
    /// and without FF 03.
    Frame(Vec<u8>),
    /// Something happened.
    Event(Event),
}

/// What happened in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The peer has authenticated itself (server), or has accepted us
    /// (client): IP may be received. Comes again after a renegotiation,
    /// perhaps with another login.
    Authenticated {
        /// The name that was used.
        username: String,
        /// Which of the server's logins it is; `None` on a client.
        login: Option<usize>,
    },
    /// The network protocol's NCP is open: its packets may be sent.
    Opened(Network),
    /// What `Opened` allowed is withdrawn for one family; the link stays
    /// authenticated.
    NetworkDown(Family),
    /// What `Authenticated` and `Opened` allowed is withdrawn: the link is being
    /// renegotiated, or is about to close. Nothing may pass before a new
    /// `Authenticated`.
    Suspended,
    /// The session is over; it has no timers left.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// A network protocol that a link carries, and the ends' addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// By IPCP.
    Ipv4 {
        /// Our address.
        local: Ipv4Addr,
        /// The peer's address; 0.0.0.0 when it told none.
        remote: Ipv4Addr,
    },
    /// By IPV6CP, which is about link-local addresses only.
    Ipv6 {
        /// Our address; `::` when the peer would not talk about it.
        local: Ipv6Addr,
        /// The peer's address; `::` when it told none.
        remote: Ipv6Addr,
    },
}

impl Network {
    /// Which of the two it is.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Self::Ipv4 { .. } => Family::Ipv4,
            Self::Ipv6 { .. } => Family::Ipv6,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv4 { local, remote } => write!(f, "{local} to {remote}"),
            Self::Ipv6 { local, remote } => write!(f, "{local} to {remote}"),
        }
    }
}

/// A network protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// PPP protocol 0021.
    Ipv4,
    /// PPP protocol 0057.
    Ipv6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }
}

impl Family {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a session closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseReason {
    /// We were asked to close it.
    Administrative,
    /// The L2TP or PPPoE session below went away.
    LowerLayerDown,
    /// The peer sent a Terminate-Request, with this text.
    PeerTerminated(String),
    /// No LCP echo was answered for `lcp_timeout`.
    EchoTimeout,
    /// The peer never agreed to LCP, or never answered.
    LcpFailed,
    /// The peer never agreed to IPCP, or never answered, and there is no IPv6.
    IpcpFailed,
    /// The same of IPV6CP, and there is no IPv4.
    Ipv6cpFailed,
    /// The peer rejected a protocol (its number) or a code we cannot do without.
    Rejected(u16),
    /// Our own frames come back.
    LoopedBack,
    /// The peer will not authenticate itself in any way we accept.
    AuthenticationRefused,
    /// The name or password is wrong; the server's text, or ours.
    AuthenticationFailed {
        /// The name that was used.
        username: String,
        /// What the server said.
        message: String,
    },
    /// Authentication was begun and not answered.
    AuthenticationTimeout,
    /// The session was not open within [`Timers::login`].
    LoginTimeout,
    /// We have no address of our own and the server gave none.
    NoAddress,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Administrative => f.write_str("closed by the administrator"),
            Self::LowerLayerDown => f.write_str("session below PPP is down"),
            Self::PeerTerminated(text) if text.is_empty() => {
                f.write_str("peer terminated the link")
            }
            Self::PeerTerminated(text) => write!(f, "peer terminated the link: {text}"),
            Self::EchoTimeout => f.write_str("LCP echoes are not answered"),
            Self::LcpFailed => f.write_str("LCP negotiation failed"),
            Self::IpcpFailed => f.write_str("IPCP negotiation failed"),
            Self::Ipv6cpFailed => f.write_str("IPV6CP negotiation failed"),
            Self::Rejected(protocol) => write!(f, "peer rejected protocol {protocol:04x}"),
            Self::LoopedBack => f.write_str("link is looped back"),
            Self::AuthenticationRefused => f.write_str("peer refuses to authenticate itself"),
            Self::AuthenticationFailed { username, message } => {
                write!(f, "authentication of \"{username}\" failed: {message}")
            }
            Self::AuthenticationTimeout => f.write_str("authentication is not answered"),
            Self::LoginTimeout => f.write_str("login took too long"),
            Self::NoAddress => f.write_str("no IP address was assigned"),
        }
    }
}
