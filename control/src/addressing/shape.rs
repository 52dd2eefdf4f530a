//! What of an [`Assignment`] matters to those who use it.

use std::net::IpAddr;
use std::time::Duration;

use dataplane::command::Prefix;

use super::Assignment;

/// An assignment without its times, but for whether an address or a network may
/// be used for what is new. While this stays the same, nobody need be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    addresses: Vec<(IpAddr, u8, bool)>,
    on_link: Vec<Prefix>,
    routers: Vec<IpAddr>,
    mtu: Option<u16>,
    name_servers: Vec<IpAddr>,
    delegated: Vec<(Prefix, bool)>,
}

impl Shape {
    pub(super) fn of(assignment: &Assignment, now: Duration) -> Self {
        let addresses = assignment.addresses.iter().map(|own| {
            let is_preferred = is_ahead(own.preferred_until, now);
            (own.address, own.prefix_length, is_preferred)
        });
        let delegated = assignment.delegated.iter();
        Self {
            addresses: addresses.collect(),
            on_link: assignment.on_link.clone(),
            routers: assignment.routers.iter().map(|it| it.address).collect(),
            mtu: assignment.mtu,
            name_servers: assignment.name_servers.clone(),
            delegated: delegated
                .map(|it| (it.prefix, is_ahead(it.preferred_until, now)))
                .collect(),
        }
    }

    /// Takes the shape of an assignment, and says whether that is another one.
    pub(super) fn follow(&mut self, assignment: &Assignment, now: Duration) -> bool {
        let shape = Self::of(assignment, now);
        let is_another = shape != *self;
        *self = shape;
        is_another
    }

    /// Whether there was an address, and it was preferred.
    pub(super) fn is_preferred(&self, address: IpAddr) -> bool {
        let mut addresses = self.addresses.iter();
        addresses.any(|&(own, _, is_preferred)| own == address && is_preferred)
    }
}

/// Whether a time has not come; `None` never does.
pub(super) fn is_ahead(until: Option<Duration>, now: Duration) -> bool {
    until.is_none_or(|until| now < until)
}

/// The time at which a lifetime that starts now has passed.
pub(super) fn end_of(now: Duration, lifetime_s: u32) -> Option<Duration> {
    (lifetime_s != u32::MAX).then(|| now + Duration::from_secs(lifetime_s.into()))
}
