//! One L2TP session with its PPP: a link of a set, or a plain session.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dataplane::command::{EchoAnswer, SessionId, SessionSpec, SetId};
use dataplane::counters::SessionCounters;
use dataplane::headers::l2tp;
use dataplane::headers::lcp::{ECHO_REPLY, ECHO_REQUEST};

use super::hearing::Hearing;
use super::mask::Mask;
use super::path_mtu::Lowered;
use super::path_search::PathSearch;
use super::report::Given;
use super::skew::LinkSkew;
use crate::ha::Agreement;
use crate::l2tp::{CallId, TunnelId};
use crate::ppp::{self, Family, Network};

/// Whose configuration a link follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// We dialled this `outgoing`.
    Outgoing(usize),
    /// The peer dialled; `login` is the `match` it authenticated as.
    Incoming {
        incoming: usize,
        login: Option<usize>,
    },
    /// What is not in the configuration any more: the link leaves, with the names
    /// that it had ([`Link::former`]).
    Former,
}

/// The names of a link that the configuration does not have any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FormerNames {
    pub(super) graph: String,
    pub(super) tunnel: String,
    /// Whether a link of the configuration has this `graph`, and all that was carried under it.
    pub(super) is_graph_known: bool,
}

/// How far a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The call is not connected yet.
    Calling,
    /// LCP and authentication.
    Negotiating,
    /// Authenticated as a remote whose present instance is being asked whether
    /// it still lives; PPP's frames wait.
    Held { until: Duration },
    /// IP packets from the peer are taken.
    Authenticated,
    /// An NCP is open: traffic is sent.
    Open { networks: Networks, since: Duration },
    /// Nothing is sent any more; what is still under way is received.
    Leaving { until: Duration },
}

/// The addresses of a link's two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends<A> {
    pub(super) local: A,
    pub(super) remote: A,
}

/// Which NCPs of a link are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Networks {
    pub(super) ipv4: Option<Ends<Ipv4Addr>>,
    /// Link-local addresses.
    pub(super) ipv6: Option<Ends<Ipv6Addr>>,
}

impl Networks {
    pub(super) fn opened(&mut self, network: Network) {
        match network {
            Network::Ipv4 { local, remote } => self.ipv4 = Some(Ends { local, remote }),
            Network::Ipv6 { local, remote } => self.ipv6 = Some(Ends { local, remote }),
        }
    }

    pub(super) fn closed(&mut self, family: Family) {
        match family {
            Family::Ipv4 => self.ipv4 = None,
            Family::Ipv6 => self.ipv6 = None,
        }
    }

    #[must_use]
    pub(super) fn has(&self, family: Family) -> bool {
        match family {
            Family::Ipv4 => self.ipv4.is_some(),
            Family::Ipv6 => self.ipv6.is_some(),
        }
    }

    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.ipv4.is_none() && self.ipv6.is_none()
    }
}

/// What the peer's last report said, and when it came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PeerReport {
    /// Copies that the peer says it handed to this link.
    pub(super) copies: u64,
    /// Those that its speed had no room for, and those that did not leave for another reason.
    pub(super) over_speed: u64,
    pub(super) not_sent: u64,
    /// The peer's clock, to be echoed.
    pub(super) sent_at_us: u64,
    pub(super) received_at: Duration,
}

/// A link's entry into its set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joined {
    /// The first number that was the link's to carry on every worker.
    pub(super) number: u64,
    /// What had become of its copies by then.
    pub(super) given: Given,
}

pub(super) struct Link {
    pub(super) id: SessionId,
    pub(super) call: CallId,
    pub(super) tunnel: TunnelId,
    pub(super) origin: Origin,
    pub(super) former: Option<Box<FormerNames>>,
    pub(super) group: Option<u32>,
    pub(super) phase: Phase,
    /// An open link that carries nothing, for a drill.
    pub(super) mask: Option<Mask>,
    pub(super) ppp: ppp::Session,
    /// As the workers last heard it.
    pub(super) spec: SessionSpec,
    /// The instance this link is a member of, when both ends sent the AVP.
    pub(super) set: Option<SetId>,
    pub(super) peer_agreement: Option<Agreement>,
    pub(super) username: String,
    /// Since when all workers give it copies of the set's packets.
    pub(super) joined: Option<Joined>,
    pub(super) next_report: Option<Duration>,
    /// What the last report said of the copies.
    pub(super) reported: Option<Given>,
    /// It said that the peer is to end its drill.
    pub(super) said_needed: bool,
    pub(super) peer_report: Option<PeerReport>,
    pub(super) hearing: Hearing,
    /// Packets received and echoes answered by the workers, when last asked.
    pub(super) heard: u64,
    /// Of a member of a set, from the first look at it while it is open.
    pub(super) skew: Option<Box<LinkSkew>>,
    /// What its path carries, as far as our reports have shown.
    pub(super) path: PathSearch,
    /// When the peer sent the last report that was to show the same of its direction.
    pub(super) heard_probe_us: u64,
    /// A router said that its path carries less.
    pub(super) lowered: Option<Lowered>,
    /// Where a NAT seems to have moved the peer; not believed until it answers there.
    pub(super) candidate: Option<Candidate>,
    /// When the engine's timer queue has this link.
    pub(super) scheduled: Option<Duration>,
    /// When the newest echo that was answered had been sent.
    pub(super) answered_echo_sent_at: Option<Duration>,
}

/// An address that good HA data came from, to be proved by an LCP echo.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) address: SocketAddr,
    pub(super) probed_at: Duration,
}

impl Link {
    #[must_use]
    pub(super) fn counters(&self) -> &[Arc<SessionCounters>] {
        &self.spec.counters
    }

    /// One of the counters, over all workers.
    #[must_use]
    pub(super) fn total(&self, read: impl Fn(&SessionCounters) -> u64) -> u64 {
        self.counters().iter().map(|counters| read(counters)).sum()
    }

    /// The books that this link is in: of its set instance and the peer's epoch.
    #[must_use]
    pub(super) fn books_key(&self) -> Option<(SetId, u32)> {
        let set = self.spec.set?;
        Some((set, self.peer_agreement.as_ref()?.epoch))
    }

    #[must_use]
    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open { .. })
    }

    /// Whether it is open and not masked.
    #[must_use]
    pub(super) fn carries_at_all(&self) -> bool {
        self.is_open() && self.mask.is_none()
    }

    #[must_use]
    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Leaving { .. })
    }

    /// Gives PPP a frame; says whether it answered an echo of ours.
    pub(super) fn handle_frame(&mut self, now: Duration, frame: &[u8]) -> bool {
        let before = self.ppp.echo_statistics().answered;
        self.ppp.handle_frame(now, frame);
        let echo = self.ppp.echo_statistics();
        let answered = echo.answered > before;
        if answered {
            let sent_at = now.saturating_sub(Duration::from_micros(echo.last_us));
            self.answered_echo_sent_at = self.answered_echo_sent_at.max(Some(sent_at));
        }
        answered
    }

    /// Whether an echo that was sent at `since` or later has been answered.
    #[must_use]
    pub(super) fn lives_since(&self, since: Duration) -> bool {
        self.answered_echo_sent_at
            .is_some_and(|sent_at| sent_at >= since)
    }

    /// How the workers answer the peer's echoes, as long as they are answered.
    #[must_use]
    pub(super) fn echo_answer(&self) -> Option<EchoAnswer> {
        let magic = self.ppp.open_magic()?;
        let mru = self.ppp.peer_mru();
        Some(EchoAnswer { magic, mru })
    }

    /// Whether the workers have received or answered anything since last asked.
    pub(super) fn take_heard(&mut self) -> bool {
        let heard = self.total(|counters| {
            let packets = counters.received_packets.read();
            packets.wrapping_add(counters.echoes_answered.read())
        });
        std::mem::replace(&mut self.heard, heard) != heard
    }

    /// The peer's process at the other end of this member.
    #[must_use]
    pub(super) fn peer_instance(&self) -> Option<u64> {
        self.peer_agreement
            .as_ref()
            .map(|agreement| agreement.instance)
    }

    /// When this link wants the engine's attention next.
    #[must_use]
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        match self.phase {
            Phase::Leaving { until } => Some(until),
            Phase::Held { until } => Some(until),
            _ => [
                self.ppp.next_timeout(),
                self.next_report,
                self.lowered_until(),
                self.mask.map(|mask| mask.until),
                self.joined.and_then(|_| self.path.next_timeout()),
            ]
            .into_iter()
            .flatten()
            .min(),
        }
    }

    /// The UDP payload that carries a PPP frame of this session (RFC 2661, 3.1):
    /// never duplicated, no offset, and a number only where all messages of the
    /// session have one. Echoes are to be preferred in queues: P.
    #[must_use]
    pub(super) fn encapsulate(&self, frame: &[u8]) -> Vec<u8> {
        let mut payload = Vec::with_capacity(12 + frame.len());
        let ns = self.spec.sequence.take();
        let is_echo = matches!(frame, [0xc0, 0x21, ECHO_REQUEST | ECHO_REPLY, ..]);
        let flags = l2tp::VERSION
            | if is_echo { l2tp::FLAG_PRIORITY } else { 0 }
            | if ns.is_some() { l2tp::FLAG_SEQUENCE } else { 0 };
        payload.extend_from_slice(&flags.to_be_bytes());
        payload.extend_from_slice(&self.spec.peer_tunnel.to_be_bytes());
        payload.extend_from_slice(&self.spec.peer_session.to_be_bytes());
        if let Some(ns) = ns {
            payload.extend_from_slice(&ns.to_be_bytes());
            // Nr is reserved in data messages.
            payload.extend_from_slice(&[0, 0]);
        }
        if self.spec.address_control {
            payload.extend_from_slice(&[0xff, 0x03]);
        }
        payload.extend_from_slice(frame);
        payload
    }
}
