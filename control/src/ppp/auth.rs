//! The authentication of one link, in whichever role and protocol.
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

use super::chap::Algorithm;
use super::packet::{Packet, protocol};
use super::proxy::ProxyAuthentication;
use super::{AuthProtocol, Logins, Timers, chap, pap};
use crate::secret::Secret;

/// What the server says to a peer it accepts.
pub(super) const WELCOME: &str = "welcome";
/// What the server says to a peer it does not, whatever was wrong.
pub(super) const UNWELCOME: &str = "name or password is wrong";

/// What an authentication protocol asks of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    Send(Vec<u8>),
    /// The peer is who it says (a server's view, with the frame that tells
    /// it), or it accepted us.
    Accepted {
        username: String,
        login: Option<usize>,
        reply: Option<Vec<u8>>,
    },
    Refused {
        username: String,
        message: String,
        reply: Option<Vec<u8>>,
    },
    GaveUp,
}

/// Repetitions of something until it is answered.
#[derive(Debug, Clone)]
pub(super) struct Retry {
    interval: Duration,
    left: u32,
    deadline: Option<Duration>,
}

impl Retry {
    /// Nothing is sent yet.
    pub(super) fn new(timers: &Timers) -> Self {
        Self {
            interval: timers.restart,
            left: timers.max_configure,
            deadline: None,
        }
    }

    /// Something was sent.
    pub(super) fn sent(&mut self, now: Duration) {
        self.left = self.left.saturating_sub(1);
        self.deadline = Some(now + self.interval);
    }

    pub(super) fn stop(&mut self) {
        self.deadline = None;
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Whether it is to be sent again, `None` while it is not yet time.
    pub(super) fn due(&mut self, now: Duration) -> Option<bool> {
        self.deadline.filter(|deadline| *deadline <= now)?;
        self.deadline = None;
        Some(self.left > 0)
    }
}

/// What we log in with.
pub(super) struct Credentials<'a> {
    pub(super) username: &'a str,
    pub(super) password: &'a Secret,
}

/// The authentication of one link.
pub(super) enum Auth {
    /// None was asked for, or LCP is not open.
    None,
    ChapPeer(chap::Peer),
    ChapAuthenticator(chap::Authenticator),
    PapPeer(pap::Peer),
    PapAuthenticator(pap::Authenticator),
}

/// What each end brings along.
pub(super) enum Party<'a> {
    Peer(Credentials<'a>),
    Authenticator {
        name: &'a str,
        logins: &'a Logins,
        /// Time between CHAP's Challenges of an accepted peer.
        rechallenge: Option<Duration>,
    },
}

/// CHAP with which arithmetic; `None` for PAP.
const fn algorithm(protocol: AuthProtocol) -> Option<Algorithm> {
    match protocol {
        AuthProtocol::Chap => Some(Algorithm::Md5),
        AuthProtocol::MsChapV2 => Some(Algorithm::MicrosoftV2),
        AuthProtocol::Pap => None,
    }
}

impl Auth {
    pub(super) fn new(
        protocol: AuthProtocol,
        party: &Party<'_>,
        timers: &Timers,
        rng: &mut StdRng,
    ) -> Self {
        match (algorithm(protocol), party) {
            (Some(algorithm), Party::Peer(_)) => Self::ChapPeer(chap::Peer::new(algorithm, timers)),
            (None, Party::Peer(_)) => Self::PapPeer(pap::Peer::new(timers, rng.random())),
            (Some(algorithm), Party::Authenticator { rechallenge, .. }) => {
                let chap = chap::Authenticator::new(algorithm, timers, *rechallenge, rng.random());
                Self::ChapAuthenticator(chap)
            }
            (None, Party::Authenticator { .. }) => {
                Self::PapAuthenticator(pap::Authenticator::new(timers))
            }
        }
    }

    /// The first thing to send, where it is our turn.
    pub(super) fn start(&mut self, now: Duration, party: &Party<'_>, rng: &mut StdRng) -> Step {
        match (self, party) {
            (Self::ChapAuthenticator(chap), Party::Authenticator { name, .. }) => {
                Step::Send(chap.challenge(now, name, rng))
            }
            (Self::PapAuthenticator(pap), _) => {
                pap.wait(now);
                Step::Nothing
            }
            (Self::PapPeer(pap), Party::Peer(credentials)) => pap.request(now, credentials),
            _ => Step::Nothing,
        }
    }

    pub(super) fn receive(
        &mut self,
        now: Duration,
        protocol: u16,
        packet: &Packet<'_>,
        party: &Party<'_>,
        rng: &mut StdRng,
    ) -> Step {
        match (self, protocol, party) {
            (Self::ChapPeer(chap), protocol::CHAP, Party::Peer(credentials)) => {
                chap.receive(now, packet, credentials, rng)
            }
            (
                Self::ChapAuthenticator(chap),
                protocol::CHAP,
                Party::Authenticator { logins, .. },
            ) => chap.receive(now, packet, logins),
            (Self::PapPeer(pap), protocol::PAP, Party::Peer(credentials)) => {
                pap.receive(packet, credentials)
            }
            (Self::PapAuthenticator(pap), protocol::PAP, Party::Authenticator { logins, .. }) => {
                pap.receive(packet, logins)
            }
            _ => Step::Nothing,
        }
    }

    /// What the peer answered to a LAC, as if it had answered us. The verdict
    /// has the identifier of that exchange.
    pub(super) fn receive_proxy(
        &mut self,
        now: Duration,
        told: &ProxyAuthentication,
        party: &Party<'_>,
    ) -> Step {
        let Party::Authenticator { logins, .. } = party else {
            return Step::Nothing;
        };
        match (self, told) {
            (
                Self::ChapAuthenticator(chap),
                ProxyAuthentication::Chap {
                    name,
                    challenge,
                    id,
                    response,
                },
            ) => chap.receive_proxy(now, (*id, challenge), (response, name), logins),
            (Self::PapAuthenticator(pap), ProxyAuthentication::Pap { name, id, password }) => {
                pap.receive_proxy(*id, name, password, logins)
            }
            _ => Step::Nothing,
        }
    }

    pub(super) fn handle_timeout(
        &mut self,
        now: Duration,
        party: &Party<'_>,
        rng: &mut StdRng,
    ) -> Step {
        if let (Self::ChapAuthenticator(chap), Party::Authenticator { name, .. }) =
            (&mut *self, party)
            && let Some(challenge) = chap.challenge_again(now, name, rng)
        {
            return Step::Send(challenge);
        }
        match self.retry_mut().and_then(|retry| retry.due(now)) {
            None => Step::Nothing,
            Some(false) => Step::GaveUp,
            Some(true) => match self {
                Self::ChapPeer(chap) => chap.repeat(now),
                other => other.start(now, party, rng),
            },
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        match self {
            Self::None => None,
            Self::ChapPeer(chap) => chap.retry.deadline(),
            Self::ChapAuthenticator(chap) => chap.deadline(),
            Self::PapPeer(pap) => pap.retry.deadline(),
            Self::PapAuthenticator(pap) => pap.retry.deadline(),
        }
    }

    /// An answer of ours is not sent again.
    pub(super) fn stop_answering(&mut self) {
        if let Self::ChapPeer(chap) = self {
            chap.retry.stop();
        }
    }

    fn retry_mut(&mut self) -> Option<&mut Retry> {
        match self {
            Self::None => None,
            Self::ChapPeer(chap) => Some(&mut chap.retry),
            Self::ChapAuthenticator(chap) => Some(&mut chap.retry),
            Self::PapPeer(pap) => Some(&mut pap.retry),
            Self::PapAuthenticator(pap) => Some(&mut pap.retry),
        }
    }
}
