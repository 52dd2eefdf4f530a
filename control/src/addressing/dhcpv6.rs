//! The client of DHCPv6 (RFC 8415): an address, a delegated prefix, or both, for
//! one interface. Rapid commit, reconfiguration and unicast are not used.

mod exchange;
mod lease;
mod message;
mod retransmission;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

use dataplane::command::Prefix;
use dhcproto::v6::MessageType;
use rand::Rng;
use rand::rngs::StdRng;
use serde::Serialize;

use super::shape::Shape;
use super::{Action, Assignment};

use exchange::{Binding, Exchange, Kind};
use lease::{Lease, is_usable};
use message::{Incoming, Outgoing, Refused, Status, duid};
use retransmission::Due;

/// RFC 8415, 7.6: SOL_MAX_DELAY and CNF_MAX_DELAY.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// RFC 8415, 7.6: SOL_MAX_RT, until a server says otherwise, and what it may say
/// (21.24).
const SOL_MAX_RT: Duration = Duration::from_secs(3600);
const SOL_MAX_RT_S: std::ops::RangeInclusive<u32> = 60..=86_400;
/// After a server took back what it offered we wait before we ask again: so
/// long, twice as long each time, and no longer than this.
const FIRST_PENALTY: Duration = Duration::from_secs(1);
const LONGEST_PENALTY: Duration = Duration::from_secs(120);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dhcpv6Settings {
    /// An address (IA_NA).
    pub address: bool,
    /// A prefix (IA_PD) of about so many bits; 0 leaves that to the server.
    pub prefix: Option<u8>,
}

/// Where the client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dhcpv6State {
    /// The link is down, or there is nothing to ask for.
    Idle,
    Soliciting,
    Requesting,
    Bound,
    Renewing,
    Rebinding,
    /// The link came up: whether what we have is still right is being asked.
    Confirming,
    Declining,
    Releasing,
}

impl fmt::Display for Dhcpv6State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::Soliciting => "soliciting",
            Self::Requesting => "requesting",
            Self::Bound => "bound",
            Self::Renewing => "renewing",
            Self::Rebinding => "rebinding",
            Self::Confirming => "confirming",
            Self::Declining => "declining",
            Self::Releasing => "releasing",
        })
    }
}

/// What has been counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Dhcpv6Counters {
    pub sent: u64,
    /// Answers to what we asked, from whom we asked.
    pub received: u64,
    /// Packets or messages that are not whole.
    pub malformed: u64,
    /// No UDP packets to a DHCPv6 client.
    pub ignored: u64,
    /// Messages that do not belong to what is being asked: of another kind, or
    /// while nothing is asked.
    pub unexpected: u64,
    pub wrong_transaction: u64,
    pub wrong_client: u64,
    pub wrong_server: u64,
    /// Answers by which nothing is lent, or that say that something failed.
    pub refusals: u64,
    /// Options of good messages that say what cannot be.
    pub options_refused: u64,
    /// Addresses, prefixes and name servers for which there was no room.
    pub table_full: u64,
    /// Addresses that somebody else had.
    pub declined: u64,
    /// Addresses and prefixes that ran out.
    pub expired: u64,
    /// Attempts that ended without a usable answer.
    pub given_up: u64,
}

/// DHCPv6 on one interface.
///
/// [`Action::Changed`] says that there is another address, prefix or name
/// server, or that one is no longer preferred, or again. A lease that is renewed
/// changes the times in the assignment and nothing else.
///
/// When the link comes back the lease stays in use while it is confirmed (RFC
/// 8415, 18.2.12). If nobody answers, it stays in use and a server is looked
/// for: the first that lends something replaces all of it.
#[derive(Debug)]
pub struct Dhcpv6Client {
    mac: [u8; 6],
    settings: Dhcpv6Settings,
    rng: StdRng,
    link_up: bool,
    exchange: Option<Exchange>,
    lease: Lease,
    sol_max_rt: Duration,
    /// Times in a row that what was offered was not given, or was no good.
    failures: u32,
    /// Whether the lease still holds is not known: another one is looked for.
    is_doubted: bool,
    /// We gave everything back and ask for nothing until the link comes up again.
    is_released: bool,
    /// The last time that we were told.
    seen_at: Duration,
    assignment: Assignment,
    shape: Shape,
    actions: VecDeque<Action>,
    counters: Dhcpv6Counters,
}

impl Dhcpv6Client {
    /// For the interface with this hardware address; its link is down.
    #[must_use]
    pub fn new(now: Duration, mac: [u8; 6], settings: Dhcpv6Settings, rng: StdRng) -> Self {
        Self {
            mac,
            settings,
            rng,
            link_up: false,
            exchange: None,
            lease: Lease::default(),
            sol_max_rt: SOL_MAX_RT,
            failures: 0,
            is_doubted: false,
            is_released: false,
            seen_at: now,
            assignment: Assignment::default(),
            shape: Shape::default(),
            actions: VecDeque::new(),
            counters: Dhcpv6Counters::default(),
        }
    }

    /// Follows the link. When it comes up a server is looked for, or the lease
    /// confirmed.
    pub fn set_link(&mut self, now: Duration, up: bool) {
        if self.link_up == up {
            return;
        }
        self.link_up = up;
        self.exchange = None;
        self.is_released = false;
        self.failures = 0;
        self.is_doubted = false;
        if up && !self.lease.is_empty() {
            let kind = if self.lease.has_prefixes() {
                Kind::ConfirmByRebind
            } else {
                Kind::Confirm
            };
            let delay = self.rng.random_range(Duration::ZERO..=FIRST_DELAY);
            self.start(now + delay, kind);
        }
        self.handle_timeout(now);
    }

    /// Takes an IPv6 packet, from its header on.
    pub fn handle_packet(&mut self, now: Duration, packet: &[u8]) {
        let mut told = match message::parse(self.mac, packet) {
            Ok(told) => told,
            Err(Refused::Malformed) => {
                self.counters.malformed += 1;
                return;
            }
            Err(Refused::NotForUs) => {
                self.counters.ignored += 1;
                return;
            }
        };
        if self.is_answer(&told) {
            // What we did not ask for.
            told.addresses.take_if(|_| !self.settings.address);
            told.prefixes.take_if(|_| self.settings.prefix.is_none());
            self.counters.received += 1;
            self.counters.options_refused += told.refused;
            self.note_sol_max_rt(&told);
            match told.kind {
                MessageType::Advertise => self.handle_advertise(now, &told),
                _ => self.handle_reply(now, &told),
            }
            self.handle_timeout(now);
        }
    }

    /// Gives back an address that somebody else has (RFC 8415, 18.2.8).
    pub fn handle_conflict(&mut self, now: Duration, address: Ipv6Addr) {
        if !self.lease.addresses().contains(&address) {
            return;
        }
        let declined = Binding::of_address(&self.lease, address);
        self.lease.remove(address);
        self.counters.declined += 1;
        self.failures = self.failures.saturating_add(1);
        if self.link_up {
            self.start(now, Kind::Decline(declined));
        }
        self.handle_timeout(now);
    }

    /// Gives everything back (RFC 8415, 18.2.7). Nothing more is asked for until
    /// the link comes up again.
    pub fn release(&mut self, now: Duration) {
        self.is_released = true;
        self.exchange = None;
        if self.link_up && !self.lease.is_empty() {
            self.start(now, Kind::Release(Binding::of(&self.lease)));
        }
        self.lease.clear();
        self.handle_timeout(now);
    }

    pub fn handle_timeout(&mut self, now: Duration) {
        let expired = self.lease.remove_expired(now);
        self.counters.expired += expired;
        if self.link_up && !self.is_released {
            self.choose_exchange(now);
        }
        self.run_exchange(now);
        self.refresh(now);
    }

    /// When [`Self::handle_timeout`] is to be called.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        let exchange = self.exchange.as_ref();
        let is_quiet = self.link_up && exchange.is_none();
        let is_renewing = exchange.is_some_and(|exchange| exchange.kind == Kind::Renew);
        let renewal = [
            self.lease.t1.filter(|_| is_quiet),
            self.lease.t2.filter(|_| is_quiet || is_renewing),
            exchange.map(|exchange| exchange.retransmission.next_timeout()),
            self.lease.next_end(self.seen_at),
        ];
        renewal.into_iter().flatten().min()
    }

    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    #[must_use]
    pub fn assignment(&self) -> &Assignment {
        &self.assignment
    }

    /// When the lease is renewed (T1).
    #[must_use]
    pub fn renewal(&self) -> Option<Duration> {
        self.lease.t1
    }

    #[must_use]
    pub fn state(&self) -> Dhcpv6State {
        match self.exchange.as_ref().map(|exchange| &exchange.kind) {
            Some(kind) => kind.state(),
            None if self.link_up && !self.lease.is_empty() => Dhcpv6State::Bound,
            None => Dhcpv6State::Idle,
        }
    }

    #[must_use]
    pub fn counters(&self) -> &Dhcpv6Counters {
        &self.counters
    }
}
