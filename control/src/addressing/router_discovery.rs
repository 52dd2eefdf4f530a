//! The host's side of router discovery (RFC 4861, 6.3) and the addresses that
//! are made of what routers advertise (RFC 4862, 5.5; RFC 4191; RFC 8106), for
//! one interface.

use serde::Serialize;
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use dataplane::command::Prefix;
use dataplane::headers::ipv6::{MIN_MTU, is_martian_source};
use rand::rngs::StdRng;

use crate::host::link_local;

use super::known::Known;
use super::router_message::{
    self, Message, Preference, PrefixInformation, Refused, RouterAdvertisement, RouterOption,
};
use super::shape::{Shape, end_of, is_ahead};
use super::solicitor::Solicitor;
use super::{Action, Address, Assignment, Router};

/// What was known is dropped when nobody has advertised it for so long after
/// the first answer on a link that came up. All routers have answered by then:
/// an answer by multicast may wait for MIN_DELAY_BETWEEN_RAS and, before that,
/// MAX_RA_DELAY_TIME (RFC 4861, 10).
const CONFIRM: Duration = Duration::from_millis(3500);
/// RFC 4862, 5.5.3 e: what strangers may shorten a valid lifetime to.
const TWO_HOURS: Duration = Duration::from_secs(2 * 3600);
/// Bits of a prefix that leave room for an interface identifier (RFC 4291, 2.5.1).
const SUBNET_BITS: u8 = 64;

/// What has been counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RouterDiscoveryCounters {
    pub solicitations_sent: u64,
    /// Valid ones.
    pub advertisements: u64,
    /// Frames that are no messages as RFC 4861, 6.1 wants them.
    pub malformed: u64,
    /// Not for us, from us, or not advertisements.
    pub ignored: u64,
    /// Options of valid advertisements that say what cannot be.
    pub options_refused: u64,
    /// Routers, networks, addresses and name servers for which there was no room.
    pub table_full: u64,
    /// Own addresses that somebody else has.
    pub duplicates: u64,
    /// Routers, networks, addresses and name servers that nobody advertised any
    /// more after the link came up.
    pub unconfirmed: u64,
    /// Addresses no longer preferred because their router left them out.
    pub left_out: u64,
}

#[derive(Clone, Copy, Debug)]
struct DefaultRouter {
    address: Ipv6Addr,
    preference: Preference,
    mtu: Option<u16>,
    managed: bool,
    other: bool,
}

#[derive(Clone, Copy, Debug)]
struct OwnAddress {
    prefix: Prefix,
    address: Ipv6Addr,
    preferred_until: Option<Duration>,
    /// Who advertised it last.
    router: Ipv6Addr,
    /// When it is no longer preferred, unless it is advertised before that.
    left_out_at: Option<Duration>,
    /// Somebody else has it.
    is_duplicate: bool,
}

/// Router discovery on one interface.
///
/// [`Action::Changed`] says that there is another address, network, router, MTU
/// or name server, that the order of routers is another one, or that an address
/// is no longer preferred, or again. Lifetimes that are only advertised anew
/// change the times in the assignment and nothing else.
///
/// When the link comes back everything stays in use and is to be confirmed:
/// what nobody advertises within a few seconds of the first answer is dropped,
/// so that a cable that was moved to another network does not stay with the old
/// one. While nobody answers at all everything is kept: a modem that restarts
/// takes longer than any of this.
///
/// A router that advertises networks but leaves out one that it advertised
/// before has probably lost it (RFC 9096, 1): addresses there are no longer
/// preferred until it is advertised again.
#[derive(Debug)]
pub struct RouterDiscovery {
    mac: [u8; 6],
    rng: StdRng,
    link_up: bool,
    solicitor: Solicitor,
    routers: Known<DefaultRouter>,
    on_link: Known<Prefix>,
    addresses: Known<OwnAddress>,
    name_servers: Known<Ipv6Addr>,
    /// When what was not confirmed is dropped.
    judge_at: Option<Duration>,
    assignment: Assignment,
    shape: Shape,
    actions: VecDeque<Action>,
    counters: RouterDiscoveryCounters,
}

impl RouterDiscovery {
    /// For the interface with this hardware address; its link is down.
    #[must_use]
    pub fn new(_now: Duration, mac: [u8; 6], rng: StdRng) -> Self {
        Self {
            mac,
            rng,
            link_up: false,
            solicitor: Solicitor::default(),
            routers: Known::new(),
            on_link: Known::new(),
            addresses: Known::new(),
            name_servers: Known::new(),
            judge_at: None,
            assignment: Assignment::default(),
            shape: Shape::default(),
            actions: VecDeque::new(),
            counters: RouterDiscoveryCounters::default(),
        }
    }

    /// Follows the link. When it comes up routers are asked for, at once if
    /// something is to be confirmed.
    pub fn set_link(&mut self, now: Duration, up: bool) {
        if self.link_up == up {
            return;
        }
        self.link_up = up;
        self.judge_at = None;
        if !up {
            self.solicitor.stop();
            return;
        }
        self.routers.doubt();
        self.on_link.doubt();
        self.addresses.doubt();
        self.name_servers.doubt();
        for own in self.addresses.iter_mut() {
            own.what.is_duplicate = false;
            own.what.left_out_at = None;
        }
        let at_once = self.has_doubted();
        self.solicitor.start(now, at_once, &mut self.rng);
        self.refresh(now);
        self.handle_timeout(now);
    }

    /// Takes a message of neighbour discovery, from its Ethernet header on.
    pub fn handle_frame(&mut self, now: Duration, frame: &[u8]) {
        match router_message::parse(self.mac, frame) {
            Ok(Message::Advertisement(told)) if self.link_up => self.handle(now, &told),
            Ok(_) | Err(Refused::NotForUs) => self.counters.ignored += 1,
            Err(Refused::Malformed) => self.counters.malformed += 1,
        }
    }

    /// Takes away an address that somebody else has (RFC 4862, 5.4.5), until the
    /// link comes up again or its lifetime ends.
    pub fn handle_conflict(&mut self, now: Duration, address: Ipv6Addr) {
        match self.addresses.find(|own| own.address == address) {
            Some(own) if !own.what.is_duplicate => {
                own.what.is_duplicate = true;
                self.counters.duplicates += 1;
                self.refresh(now);
            }
            _ => self.counters.ignored += 1,
        }
    }

    pub fn handle_timeout(&mut self, now: Duration) {
        if self.judge_at.is_some_and(|at| at <= now) {
            self.drop_unconfirmed();
        }
        self.deprecate_left_out(now);
        self.routers.remove_expired(now);
        self.on_link.remove_expired(now);
        self.addresses.remove_expired(now);
        self.name_servers.remove_expired(now);
        self.refresh(now);
        if self.solicitor.handle_timeout(now, &mut self.rng) {
            self.counters.solicitations_sent += 1;
            let frame = router_message::solicit(self.mac);
            self.actions.push_back(Action::Frame(frame));
        }
    }

    /// When [`Self::handle_timeout`] is to be called.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        let preferred = self.addresses.iter().filter_map(|own| {
            // One that has passed already does not pass again.
            let until = own.what.preferred_until;
            until.filter(|_| self.is_shown_preferred(own.what.address))
        });
        let ends = [
            self.judge_at,
            self.solicitor.next_timeout(),
            self.routers.next_end(),
            self.on_link.next_end(),
            self.addresses.next_end(),
            self.name_servers.next_end(),
        ];
        let left_out = self.addresses.iter().filter_map(|own| own.what.left_out_at);
        preferred
            .chain(left_out)
            .chain(ends.into_iter().flatten())
            .min()
    }

    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    #[must_use]
    pub fn assignment(&self) -> &Assignment {
        &self.assignment
    }

    /// Whether a default router says that there are addresses by DHCPv6 (RFC
    /// 4861, 4.2: the M flag).
    #[must_use]
    pub fn managed(&self) -> bool {
        self.routers.iter().any(|router| router.what.managed)
    }

    /// Whether a default router says that there is other information by DHCPv6
    /// (RFC 4861, 4.2: the O flag).
    #[must_use]
    pub fn other(&self) -> bool {
        self.routers.iter().any(|router| router.what.other)
    }

    #[must_use]
    pub fn counters(&self) -> &RouterDiscoveryCounters {
        &self.counters
    }

    /// RFC 4861, 6.3.4.
    fn handle(&mut self, now: Duration, told: &RouterAdvertisement) {
        self.counters.advertisements += 1;
        self.counters.options_refused += told.options_refused;
        self.handle_router(now, told);
        let mut brings_address = false;
        for option in &told.options {
            match option {
                RouterOption::Prefix(prefix) => {
                    brings_address |= self.handle_prefix(now, told.source, prefix);
                }
                RouterOption::RecursiveDns {
                    servers,
                    lifetime_s,
                } => self.handle_name_servers(now, servers, *lifetime_s),
                RouterOption::Mtu(_) => {}
            }
        }
        if brings_address {
            self.note_left_out(now, told);
        }
        if self.has_doubted() && self.judge_at.is_none() {
            self.judge_at = Some(now + CONFIRM);
        }
        self.refresh(now);
    }

    fn handle_router(&mut self, now: Duration, told: &RouterAdvertisement) {
        let mtu = self.mtu_of(told);
        let is_it = |router: &DefaultRouter| router.address == told.source;
        if told.lifetime_s == 0 {
            self.routers.remove(is_it);
            return;
        }
        // RFC 4861, 6.3.4: what is not said does not change.
        let known_mtu = self.routers.find(is_it).and_then(|known| known.what.mtu);
        let router = DefaultRouter {
            address: told.source,
            preference: told.preference,
            mtu: mtu.or(known_mtu),
            managed: told.managed,
            other: told.other,
        };
        let valid_until = end_of(now, told.lifetime_s.into());
        let has_room = self.routers.tell(router, valid_until, is_it);
        self.counters.table_full += u64::from(!has_room);
        // RFC 7559, 2: only such an answer ends the asking.
        self.solicitor.stop();
    }

    /// RFC 4861, 4.6.4; what IPv6 cannot do with is refused.
    fn mtu_of(&mut self, told: &RouterAdvertisement) -> Option<u16> {
        let mut mtu = None;
        for option in &told.options {
            let RouterOption::Mtu(octets) = option else {
                continue;
            };
            match u16::try_from(*octets) {
                Ok(octets) if octets >= MIN_MTU => mtu = Some(octets),
                _ => self.counters.options_refused += 1,
            }
        }
        mtu
    }

    /// RFC 4861, 6.3.4, and RFC 4862, 5.5.3. True when it is one for addresses.
    fn handle_prefix(&mut self, now: Duration, router: Ipv6Addr, told: &PrefixInformation) -> bool {
        let is_wrong = told.length > 128
            || is_martian_source(told.prefix)
            || told.prefix.is_unicast_link_local()
            || told.preferred_s > told.valid_s;
        if is_wrong {
            self.counters.options_refused += 1;
            return false;
        }
        let prefix = Prefix::new(told.prefix, told.length);
        if told.on_link {
            self.handle_on_link(now, prefix, told.valid_s);
        }
        if !told.autonomous {
            return false;
        }
        if told.length != SUBNET_BITS {
            self.counters.options_refused += 1;
            return false;
        }
        self.handle_autonomous(now, router, prefix, told);
        told.valid_s > 0 && told.preferred_s > 0
    }

    fn handle_on_link(&mut self, now: Duration, prefix: Prefix, valid_s: u32) {
        if valid_s == 0 {
            self.on_link.remove(|known| *known == prefix);
            return;
        }
        let valid_until = end_of(now, valid_s);
        let has_room = self
            .on_link
            .tell(prefix, valid_until, |known| *known == prefix);
        self.counters.table_full += u64::from(!has_room);
    }

    /// RFC 4862, 5.5.3 d and e.
    fn handle_autonomous(
        &mut self,
        now: Duration,
        router: Ipv6Addr,
        prefix: Prefix,
        told: &PrefixInformation,
    ) {
        let is_it = |own: &OwnAddress| own.prefix == prefix;
        let known = self.addresses.find(is_it);
        let valid_until = match &known {
            Some(own) => valid_until(now, own.valid_until, told.valid_s),
            None if told.valid_s == 0 => return,
            None => end_of(now, told.valid_s),
        };
        let own = OwnAddress {
            prefix,
            address: with_identifier(told.prefix, self.mac),
            preferred_until: end_of(now, told.preferred_s),
            router,
            left_out_at: None,
            is_duplicate: known.is_some_and(|own| own.what.is_duplicate),
        };
        let has_room = self.addresses.tell(own, valid_until, is_it);
        self.counters.table_full += u64::from(!has_room);
    }

    /// RFC 8106, 5.3.1.
    fn handle_name_servers(&mut self, now: Duration, servers: &[Ipv6Addr], lifetime_s: u32) {
        for &server in servers {
            if server.is_multicast() || server.is_unspecified() || server.is_loopback() {
                self.counters.options_refused += 1;
                continue;
            }
            if lifetime_s == 0 {
                self.name_servers.remove(|known| *known == server);
                continue;
            }
            let valid_until = end_of(now, lifetime_s);
            let has_room = self
                .name_servers
                .tell(server, valid_until, |known| *known == server);
            self.counters.table_full += u64::from(!has_room);
        }
    }

    /// Notes the addresses whose router advertised networks without theirs. The
    /// rest may come in another message (RFC 4861, 6.2.3), so that it is judged
    /// a little later.
    fn note_left_out(&mut self, now: Duration, told: &RouterAdvertisement) {
        let is_told = |prefix: Prefix| {
            told.options.iter().any(|option| {
                matches!(option, RouterOption::Prefix(told)
                    if Prefix::new(told.prefix, told.length) == prefix)
            })
        };
        for own in self.addresses.iter_mut() {
            let own = &mut own.what;
            let is_left_out = own.router == told.source && !is_told(own.prefix);
            if is_left_out && is_ahead(own.preferred_until, now) {
                own.left_out_at.get_or_insert(now + CONFIRM);
            }
        }
    }

    /// Nobody advertised these in time.
    fn drop_unconfirmed(&mut self) {
        self.judge_at = None;
        self.counters.unconfirmed += self.routers.remove_doubted()
            + self.on_link.remove_doubted()
            + self.addresses.remove_doubted()
            + self.name_servers.remove_doubted();
    }

    fn deprecate_left_out(&mut self, now: Duration) {
        for own in self.addresses.iter_mut() {
            let own = &mut own.what;
            if own.left_out_at.is_some_and(|at| at <= now) {
                own.left_out_at = None;
                own.preferred_until = Some(now);
                self.counters.left_out += 1;
            }
        }
    }

    fn has_doubted(&self) -> bool {
        self.routers.has_doubted()
            || self.on_link.has_doubted()
            || self.addresses.has_doubted()
            || self.name_servers.has_doubted()
    }

    fn is_shown_preferred(&self, address: Ipv6Addr) -> bool {
        self.shape.is_preferred(address.into())
    }

    /// Makes the assignment of what is known, says so if it is another one, and
    /// asks for routers when there is none.
    fn refresh(&mut self, now: Duration) {
        self.assignment = self.assign(now);
        if self.shape.follow(&self.assignment, now) {
            self.actions.push_back(Action::Changed);
        }
        if self.link_up && self.routers.is_empty() && !self.solicitor.is_running() {
            self.solicitor.start(now, false, &mut self.rng);
        }
    }

    fn assign(&self, now: Duration) -> Assignment {
        let is_on_link = |prefix| self.on_link.iter().any(|known| known.what == prefix);
        let own = self.addresses.iter().filter(|own| !own.what.is_duplicate);
        let mut addresses: Vec<Address> = own
            .map(|own| Address {
                address: own.what.address.into(),
                prefix_length: if is_on_link(own.what.prefix) {
                    SUBNET_BITS
                } else {
                    128
                },
                preferred_until: own.what.preferred_until,
                valid_until: own.valid_until,
            })
            .collect();
        addresses.sort_by_key(|own| !is_ahead(own.preferred_until, now));
        let known = self.on_link.iter().map(|known| known.what);
        let is_of_address = |prefix: &Prefix| {
            let mut own = addresses.iter();
            own.any(|own| Prefix::new(own.address, own.prefix_length) == *prefix)
        };
        let on_link = known.filter(|prefix| !is_of_address(prefix)).collect();
        let mut routers: Vec<_> = self.routers.iter().collect();
        routers.sort_by_key(|router| Reverse(router.what.preference));
        Assignment {
            addresses,
            on_link,
            server: routers.first().map(|router| router.what.address.into()),
            mtu: routers.iter().filter_map(|router| router.what.mtu).min(),
            routers: routers
                .into_iter()
                .map(|router| Router {
                    address: router.what.address.into(),
                    valid_until: router.valid_until,
                })
                .collect(),
            name_servers: self
                .name_servers
                .iter()
                .map(|known| IpAddr::V6(known.what))
                .collect(),
            delegated: Vec::new(),
        }
    }
}

/// RFC 4862, 5.5.3 e: nobody who does not prove himself may take an address
/// away in less than two hours.
fn valid_until(now: Duration, known: Option<Duration>, told_s: u32) -> Option<Duration> {
    let two_hours = now + TWO_HOURS;
    let told = end_of(now, told_s)?;
    let is_longer = known.is_some_and(|known| told > known);
    if told > two_hours || is_longer {
        return Some(told);
    }
    Some(known.map_or(two_hours, |known| known.min(two_hours)))
}

/// The address that the station `mac` has in a network of 64 bits (RFC 4291,
/// appendix A).
fn with_identifier(prefix: Ipv6Addr, mac: [u8; 6]) -> Ipv6Addr {
    let identifier = u128::from(u64::MAX);
    Ipv6Addr::from_bits(prefix.to_bits() & !identifier | link_local(mac).to_bits() & identifier)
}

#[cfg(test)]
mod tests;
