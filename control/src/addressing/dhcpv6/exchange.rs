//! Which message is sent when, and what the answers do (RFC 8415, 18.2).

use std::time::Duration;

use super::retransmission::{Limits, Retransmission};
use super::*;

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Longest identifier of a server (RFC 8415, 11.1).
const MOST_DUID_OCTETS: usize = 130;

/// What is asked of one server, or given back to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Binding {
    server_id: Vec<u8>,
    addresses: Vec<Ipv6Addr>,
    prefixes: Vec<Prefix>,
}

impl Binding {
    /// All of a lease.
    pub(super) fn of(lease: &Lease) -> Self {
        Self {
            server_id: lease.server().map_or_else(Vec::new, |it| it.id.clone()),
            addresses: lease.addresses(),
            prefixes: lease.prefixes(),
        }
    }

    /// One address of a lease.
    pub(super) fn of_address(lease: &Lease, address: Ipv6Addr) -> Self {
        Self {
            addresses: vec![address],
            prefixes: Vec::new(),
            ..Self::of(lease)
        }
    }
}

/// What a server offers, and how good that is: the number of associations in
/// which it has something, and its preference (RFC 8415, 18.2.9).
#[derive(Clone, Debug)]
struct Offer {
    rank: (usize, u8),
    binding: Binding,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Solicit,
    Request(Binding),
    Renew,
    Rebind,
    Confirm,
    /// Delegated prefixes are confirmed by rebinding them (RFC 8415, 18.2.12).
    ConfirmByRebind,
    Decline(Binding),
    Release(Binding),
}

impl Kind {
    pub(super) fn state(&self) -> Dhcpv6State {
        match self {
            Self::Solicit => Dhcpv6State::Soliciting,
            Self::Request(_) => Dhcpv6State::Requesting,
            Self::Renew => Dhcpv6State::Renewing,
            Self::Rebind => Dhcpv6State::Rebinding,
            Self::Confirm | Self::ConfirmByRebind => Dhcpv6State::Confirming,
            Self::Decline(_) => Dhcpv6State::Declining,
            Self::Release(_) => Dhcpv6State::Releasing,
        }
    }

    fn message_type(&self) -> MessageType {
        match self {
            Self::Solicit => MessageType::Solicit,
            Self::Request(_) => MessageType::Request,
            Self::Renew => MessageType::Renew,
            Self::Rebind | Self::ConfirmByRebind => MessageType::Rebind,
            Self::Confirm => MessageType::Confirm,
            Self::Decline(_) => MessageType::Decline,
            Self::Release(_) => MessageType::Release,
        }
    }

    /// RFC 8415, 7.6. Renewing ends at T2 and rebinding with the lease: see
    /// [`Dhcpv6Client::choose_exchange`].
    fn limits(&self, first_at: Duration, sol_max_rt: Duration) -> Limits {
        let (initial_s, longest, most_sent, longest_s) = match self {
            Self::Solicit => (1, Some(sol_max_rt), None, None),
            Self::Request(_) => (1, Some(seconds(30)), Some(10), None),
            Self::Renew | Self::Rebind => (10, Some(seconds(600)), None, None),
            Self::Confirm | Self::ConfirmByRebind => (1, Some(seconds(4)), None, Some(10)),
            Self::Decline(_) | Self::Release(_) => (1, None, Some(4), None),
        };
        Limits {
            initial: seconds(initial_s),
            longest,
            most_sent,
            ends_at: longest_s.map(|longest_s| first_at + seconds(longest_s)),
        }
    }
}

/// A message that waits for its answer.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) kind: Kind,
    transaction: [u8; 3],
    /// When the message went out first.
    began_at: Option<Duration>,
    pub(super) retransmission: Retransmission,
    /// The best so far.
    offer: Option<Offer>,
}

impl Dhcpv6Client {
    pub(super) fn start(&mut self, first_at: Duration, kind: Kind) {
        let limits = kind.limits(first_at, self.sol_max_rt);
        self.exchange = Some(Exchange {
            kind,
            transaction: self.rng.random(),
            began_at: None,
            retransmission: Retransmission::new(first_at, limits),
            offer: None,
        });
    }

    /// Begins what is to be done next, if it is not being done.
    pub(super) fn choose_exchange(&mut self, now: Duration) {
        let is_due = |at: Option<Duration>| at.is_some_and(|at| at <= now);
        let has_lease = !self.lease.is_empty();
        if !self.settings.address && self.settings.prefix.is_none() {
            return;
        }
        let exchange = self.exchange.as_ref();
        let looks_for_server = match exchange.map(|exchange| &exchange.kind) {
            None => !has_lease || self.is_doubted,
            Some(Kind::Renew | Kind::Rebind | Kind::Confirm | Kind::ConfirmByRebind) => !has_lease,
            Some(_) => false,
        };
        if looks_for_server {
            let delay = self.solicit_delay();
            self.start(now + delay, Kind::Solicit);
            return;
        }
        match self.exchange.as_ref().map(|exchange| &exchange.kind) {
            None | Some(Kind::Renew) if is_due(self.lease.t2) => self.start(now, Kind::Rebind),
            None if is_due(self.lease.t1) => self.start(now, Kind::Renew),
            _ => {}
        }
    }

    fn solicit_delay(&mut self) -> Duration {
        match self.failures.checked_sub(1) {
            None => self.rng.random_range(Duration::ZERO..=FIRST_DELAY),
            Some(doublings) => (FIRST_PENALTY * (1 << doublings.min(16))).min(LONGEST_PENALTY),
        }
    }

    /// Sends what is due, and gives up what has no hope.
    pub(super) fn run_exchange(&mut self, now: Duration) {
        while let Some(exchange) = &mut self.exchange {
            match exchange.retransmission.due(now) {
                Due::Nothing => return,
                Due::Send => {
                    if let Some(offer) = exchange.offer.take() {
                        self.start(now, Kind::Request(offer.binding));
                    }
                    self.send(now);
                }
                Due::GiveUp => self.give_up(now),
            }
        }
    }

    fn give_up(&mut self, now: Duration) {
        let Some(exchange) = self.exchange.take() else {
            return;
        };
        self.counters.given_up += 1;
        if matches!(exchange.kind, Kind::Confirm | Kind::ConfirmByRebind) {
            self.is_doubted = true;
        }
        if self.link_up && !self.is_released {
            self.choose_exchange(now);
        }
    }

    fn send(&mut self, now: Duration) {
        let Some(exchange) = &mut self.exchange else {
            return;
        };
        let began_at = *exchange.began_at.get_or_insert(now);
        let elapsed_cs = now.saturating_sub(began_at).as_millis() / 10;
        let is_solicit = exchange.kind == Kind::Solicit;
        let kind = exchange.kind.clone();
        let transaction = exchange.transaction;
        exchange
            .retransmission
            .note_sent(now, is_solicit, &mut self.rng);
        let held = Binding::of(&self.lease);
        let (server_id, asked) = match &kind {
            Kind::Request(binding) | Kind::Decline(binding) | Kind::Release(binding) => {
                (Some(binding.server_id.clone()), binding)
            }
            Kind::Renew => (Some(held.server_id.clone()), &held),
            Kind::Solicit | Kind::Rebind | Kind::Confirm | Kind::ConfirmByRebind => (None, &held),
        };
        let (addresses, prefixes) = self.associations(&kind, asked);
        let outgoing = Outgoing {
            kind: kind.message_type(),
            transaction,
            elapsed_cs: u16::try_from(elapsed_cs).unwrap_or(u16::MAX),
            server_id: server_id.as_deref(),
            addresses,
            prefixes,
            asks_for_options: !matches!(kind, Kind::Confirm | Kind::Decline(_) | Kind::Release(_)),
        };
        let frame = outgoing.frame(self.mac);
        self.counters.sent += 1;
        self.actions.push_back(Action::Frame(frame));
    }

    /// The associations of a message: what is given back and nothing else, or
    /// all that we want, whether we have it or not.
    fn associations(
        &self,
        kind: &Kind,
        asked: &Binding,
    ) -> (Option<Vec<Ipv6Addr>>, Option<Vec<Prefix>>) {
        let (addresses, mut prefixes) = (asked.addresses.clone(), asked.prefixes.clone());
        match kind {
            Kind::Confirm | Kind::Decline(_) => (Some(addresses), None),
            Kind::Release(_) => {
                let addresses = Some(addresses).filter(|it| !it.is_empty());
                (addresses, Some(prefixes).filter(|it| !it.is_empty()))
            }
            _ => {
                let hint = self.settings.prefix.filter(|length| *length > 0);
                if prefixes.is_empty() {
                    prefixes.extend(hint.map(|bits| Prefix::new(Ipv6Addr::UNSPECIFIED, bits)));
                }
                let wants_prefix = self.settings.prefix.is_some();
                (
                    self.settings.address.then_some(addresses),
                    wants_prefix.then_some(prefixes),
                )
            }
        }
    }

    /// Whether a message answers what was asked; otherwise it is counted as what
    /// it is (RFC 8415, 16.3 and 16.10).
    pub(super) fn is_answer(&mut self, told: &Incoming<'_>) -> bool {
        let counters = &mut self.counters;
        let asked = self.exchange.as_ref();
        let Some(exchange) = asked.filter(|exchange| exchange.began_at.is_some()) else {
            counters.unexpected += 1;
            return false;
        };
        let expected = match exchange.kind {
            Kind::Solicit => MessageType::Advertise,
            _ => MessageType::Reply,
        };
        let server_id = told.server_id.unwrap_or_default();
        let server_is_right = match &exchange.kind {
            Kind::Request(binding) | Kind::Decline(binding) | Kind::Release(binding) => {
                binding.server_id == server_id
            }
            Kind::Renew => {
                let server = self.lease.server();
                server.is_some_and(|server| server.id == server_id)
            }
            _ => true,
        };
        let fault = if told.transaction != exchange.transaction {
            &mut counters.wrong_transaction
        } else if told.kind != expected {
            &mut counters.unexpected
        } else if told.client_id != Some(&duid(self.mac)) {
            &mut counters.wrong_client
        } else if !server_is_right || !(1..=MOST_DUID_OCTETS).contains(&server_id.len()) {
            &mut counters.wrong_server
        } else {
            return true;
        };
        *fault += 1;
        false
    }

    /// RFC 8415, 21.24.
    pub(super) fn note_sol_max_rt(&mut self, told: &Incoming<'_>) {
        let Some(sol_max_rt_s) = told.sol_max_rt_s else {
            return;
        };
        if !SOL_MAX_RT_S.contains(&sol_max_rt_s) {
            self.counters.options_refused += 1;
            return;
        }
        self.sol_max_rt = seconds(sol_max_rt_s.into());
        if let Some(exchange) = &mut self.exchange
            && exchange.kind == Kind::Solicit
        {
            exchange.retransmission.set_longest(self.sol_max_rt);
        }
    }

    /// RFC 8415, 18.2.9: the best of those that come before the first
    /// retransmission, or the first after that.
    pub(super) fn handle_advertise(&mut self, now: Duration, told: &Incoming<'_>) {
        let offered = [&told.addresses, &told.prefixes].into_iter().flatten();
        let usable = offered.filter(|offered| is_usable(offered)).count();
        if told.status != Status::Success || usable == 0 {
            self.counters.refusals += 1;
            return;
        }
        let Some(exchange) = &mut self.exchange else {
            return;
        };
        let rank = (usable, told.preference);
        if exchange.offer.as_ref().is_none_or(|best| rank > best.rank) {
            let binding = binding(told);
            exchange.offer = Some(Offer { rank, binding });
        }
        let is_late = exchange.retransmission.sent() > 1;
        if (told.preference == u8::MAX || is_late)
            && let Some(offer) = exchange.offer.take()
        {
            self.start(now, Kind::Request(offer.binding));
        }
    }

    /// RFC 8415, 18.2.10.
    pub(super) fn handle_reply(&mut self, now: Duration, told: &Incoming<'_>) {
        let Some(exchange) = &self.exchange else {
            return;
        };
        match exchange.kind.clone() {
            Kind::Decline(_) | Kind::Release(_) => self.exchange = None,
            _ if told.status == Status::NotOnLink => {
                self.counters.refusals += 1;
                self.forget();
            }
            // Whatever these say, the message is sent again, to all.
            _ if matches!(told.status, Status::Failed | Status::UseMulticast) => {
                self.counters.refusals += 1;
            }
            Kind::Confirm => self.exchange = None,
            Kind::Request(_) => {
                self.exchange = None;
                if !self.take(now, told, true) {
                    self.failures = self.failures.saturating_add(1);
                }
            }
            kind => self.handle_renewed(now, told, kind == Kind::ConfirmByRebind),
        }
    }

    /// RFC 8415, 18.2.10.1, of messages that extend a lease.
    fn handle_renewed(&mut self, now: Duration, told: &Incoming<'_>, replaces: bool) {
        let associations = [&told.addresses, &told.prefixes];
        let mut statuses = associations.into_iter().flatten().map(|told| told.status);
        let is_unknown = statuses.any(|status| status == Status::NoBinding);
        let is_extended = self.take(now, told, replaces && !is_unknown);
        if is_unknown {
            let mut binding = Binding::of(&self.lease);
            binding.server_id = told.server_id.unwrap_or_default().to_vec();
            self.is_doubted = true;
            self.start(now, Kind::Request(binding));
        } else if is_extended {
            self.exchange = None;
            self.failures = 0;
        }
    }

    /// Takes what is lent; false, and counted, when that is nothing.
    fn take(&mut self, now: Duration, told: &Incoming<'_>, replaces: bool) -> bool {
        let is_lent = self.lease.take(now, told, replaces, &mut self.counters);
        if is_lent {
            self.is_doubted = false;
        } else {
            self.counters.refusals += 1;
        }
        is_lent
    }

    /// Gives up what a server says is not of this link.
    fn forget(&mut self) {
        self.exchange = None;
        self.is_doubted = false;
        self.lease.clear();
        self.failures = self.failures.saturating_add(1);
    }

    pub(super) fn refresh(&mut self, now: Duration) {
        self.seen_at = now;
        self.assignment = self.lease.assignment(now);
        if self.shape.follow(&self.assignment, now) {
            self.actions.push_back(Action::Changed);
        }
    }
}

/// What an offer lends, to be asked for.
fn binding(told: &Incoming<'_>) -> Binding {
    let lent = |told: &Option<message::Association>| -> Vec<Prefix> {
        let lent = told.iter().flat_map(|told| &told.lent);
        let usable = lent.filter(|lent| lent.valid_s > 0);
        usable.map(|lent| lent.prefix).take(lease::LIMIT).collect()
    };
    let addresses = lent(&told.addresses).into_iter();
    Binding {
        server_id: told.server_id.unwrap_or_default().to_vec(),
        addresses: addresses
            .filter_map(|prefix| lease::ipv6(prefix.address))
            .collect(),
        prefixes: lent(&told.prefixes),
    }
}
