//! What a server has lent us, and until when.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use dataplane::command::Prefix;

use super::super::shape::{end_of, is_ahead};
use super::super::{Address, Assignment, DelegatedPrefix};
use super::Dhcpv6Counters;
use super::message::{Association, Incoming, Lent};

/// Addresses, prefixes and name servers that a lease may have.
pub(super) const LIMIT: usize = 8;
/// Sooner nothing is renewed, whatever a server says.
const SHORTEST_RENEWAL: Duration = Duration::from_secs(1);

/// An address or a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    prefix: Prefix,
    preferred_until: Option<Duration>,
    valid_until: Option<Duration>,
}

/// Who lent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) id: Vec<u8>,
    pub(super) address: Ipv6Addr,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Lease {
    addresses: Vec<Held>,
    prefixes: Vec<Held>,
    name_servers: Vec<Ipv6Addr>,
    server: Option<Server>,
    /// When it is renewed with its server, and when with any.
    pub(super) t1: Option<Duration>,
    pub(super) t2: Option<Duration>,
}

impl Lease {
    pub(super) fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.prefixes.is_empty()
    }

    pub(super) fn has_prefixes(&self) -> bool {
        !self.prefixes.is_empty()
    }

    pub(super) fn addresses(&self) -> Vec<Ipv6Addr> {
        let addresses = self.addresses.iter();
        addresses
            .filter_map(|held| ipv6(held.prefix.address))
            .collect()
    }

    pub(super) fn prefixes(&self) -> Vec<Prefix> {
        self.prefixes.iter().map(|held| held.prefix).collect()
    }

    pub(super) fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    /// Gives everything up.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Gives up one address.
    pub(super) fn remove(&mut self, address: Ipv6Addr) {
        self.addresses.retain(|held| held.prefix.address != address);
        self.clear_if_empty();
    }

    /// Gives up what has run out, and says how much that was.
    pub(super) fn remove_expired(&mut self, now: Duration) -> u64 {
        let before = self.addresses.len() + self.prefixes.len();
        for list in [&mut self.addresses, &mut self.prefixes] {
            list.retain(|held| is_ahead(held.valid_until, now));
        }
        let removed = before - self.addresses.len() - self.prefixes.len();
        self.clear_if_empty();
        removed as u64
    }

    /// Without anything lent there is no server, and no time to renew.
    fn clear_if_empty(&mut self) {
        if self.is_empty() {
            self.clear();
        }
    }

    /// When the first of it runs out, or is no longer preferred.
    pub(super) fn next_end(&self, now: Duration) -> Option<Duration> {
        let held = self.addresses.iter().chain(&self.prefixes);
        held.flat_map(|held| {
            let preferred = held.preferred_until.filter(|until| *until > now);
            [preferred, held.valid_until]
        })
        .flatten()
        .min()
    }

    /// Takes what a server lends (RFC 8415, 18.2.10.1). What it does not name
    /// stays as it is, or goes, if `replaces`. False when it lends nothing; what
    /// it takes away is gone all the same. What there is no room for is counted.
    pub(super) fn take(
        &mut self,
        now: Duration,
        told: &Incoming<'_>,
        replaces: bool,
        counters: &mut Dhcpv6Counters,
    ) -> bool {
        let associations = [told.addresses.as_ref(), told.prefixes.as_ref()];
        let usable = associations.map(|told| told.filter(|told| is_usable(told)));
        let is_lent = usable.iter().any(Option::is_some);
        if replaces && is_lent {
            self.clear();
        }
        let lists = [&mut self.addresses, &mut self.prefixes];
        for (list, association) in lists.into_iter().zip(associations) {
            for lent in association.into_iter().flat_map(|told| &told.lent) {
                counters.table_full += u64::from(!take_one(now, list, lent));
            }
        }
        if !is_lent {
            self.clear_if_empty();
            return false;
        }
        let t1 = usable.iter().flatten().filter_map(|told| t1(now, told));
        self.t1 = t1.min();
        let t2 = usable.iter().flatten().filter_map(|told| t2(now, told));
        self.t2 = t2.min();
        self.name_servers.clone_from(&told.name_servers);
        let surplus = self.name_servers.len().saturating_sub(LIMIT);
        counters.table_full += surplus as u64;
        self.name_servers.truncate(LIMIT);
        self.server = Some(Server {
            id: told.server_id.unwrap_or_default().to_vec(),
            address: told.source,
        });
        true
    }

    pub(super) fn assignment(&self, now: Duration) -> Assignment {
        let mut assignment = Assignment {
            addresses: self
                .addresses
                .iter()
                .map(|held| Address {
                    address: held.prefix.address,
                    prefix_length: 128,
                    preferred_until: held.preferred_until,
                    valid_until: held.valid_until,
                })
                .collect(),
            delegated: self
                .prefixes
                .iter()
                .map(|held| DelegatedPrefix {
                    prefix: held.prefix,
                    preferred_until: held.preferred_until,
                    valid_until: held.valid_until,
                })
                .collect(),
            server: self.server.as_ref().map(|server| server.address.into()),
            name_servers: self.name_servers.iter().copied().map(IpAddr::V6).collect(),
            ..Assignment::default()
        };
        let addresses = &mut assignment.addresses;
        addresses.sort_by_key(|own| !is_ahead(own.preferred_until, now));
        let delegated = &mut assignment.delegated;
        delegated.sort_by_key(|it| !is_ahead(it.preferred_until, now));
        assignment
    }
}

/// Takes an address or a prefix, or takes it away. False when there is no room.
fn take_one(now: Duration, list: &mut Vec<Held>, lent: &Lent) -> bool {
    let place = list.iter().position(|held| held.prefix == lent.prefix);
    let held = Held {
        prefix: lent.prefix,
        preferred_until: end_of(now, lent.preferred_s),
        valid_until: end_of(now, lent.valid_s),
    };
    match place {
        Some(place) if lent.valid_s == 0 => drop(list.remove(place)),
        Some(place) => list[place] = held,
        None if lent.valid_s == 0 => {}
        None if list.len() < LIMIT => list.push(held),
        None => return false,
    }
    true
}

pub(super) fn ipv6(address: IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V6(address) => Some(address),
        IpAddr::V4(_) => None,
    }
}

/// Whether something is lent in it.
pub(super) fn is_usable(told: &Association) -> bool {
    told.lent.iter().any(|lent| lent.valid_s > 0)
}

/// RFC 8415, 21.4: what the server says or, when it leaves it to us, half the
/// shortest preferred lifetime. Never later than half of what is valid.
fn t1(now: Duration, told: &Association) -> Option<Duration> {
    time(now, told, told.t1_s, 5)
}

/// The same with four fifths.
fn t2(now: Duration, told: &Association) -> Option<Duration> {
    time(now, told, told.t2_s, 8)
}

fn time(now: Duration, told: &Association, named_s: u32, tenths: u32) -> Option<Duration> {
    let shortest = |lifetime: fn(&Lent) -> u32| {
        let lifetimes = told.lent.iter().map(lifetime);
        lifetimes.filter(|lifetime_s| *lifetime_s > 0).min()
    };
    let part = |lifetime_s: u32| {
        let is_finite = lifetime_s != u32::MAX;
        is_finite.then(|| Duration::from_secs(lifetime_s.into()) * tenths / 10)
    };
    let valid = shortest(|lent| lent.valid_s).and_then(part);
    let wait = match named_s {
        0 => shortest(|lent| lent.preferred_s).and_then(part).or(valid),
        u32::MAX => None,
        _ => Some(Duration::from_secs(named_s.into())),
    };
    let wait = [wait, valid].into_iter().flatten().min()?;
    Some(now + wait.max(SHORTEST_RENEWAL))
}
