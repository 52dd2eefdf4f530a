//! What a server offers or gives, checked.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use dataplane::command::Prefix;
use dhcproto::v4::OptionCode;

use crate::addressing::{Address, Assignment, Router};

use super::counters::{DhcpCounters, Refusal};
use super::message::{Options, Reply, is_unicast};

/// The lease time that means for ever (RFC 2131, 3.3).
const INFINITE_S: u32 = u32::MAX;
/// What every IPv4 network carries (RFC 791, 3.1: the size that any host takes).
const MIN_MTU_OCTETS: u16 = 576;

/// An address and what goes with it, for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) address: Ipv4Addr,
    pub(super) server: Ipv4Addr,
    /// `None` is for ever.
    pub(super) times: Option<Times>,
    prefix_length: u8,
    routers: Vec<Ipv4Addr>,
    on_link: Vec<Prefix>,
    mtu: Option<u16>,
    name_servers: Vec<Ipv4Addr>,
}

/// From when the lease was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    /// T1, at which it is renewed.
    pub(super) renewal: Duration,
    /// T2, at which any server will do.
    pub(super) rebinding: Duration,
    pub(super) lease: Duration,
}

impl Lease {
    /// What an OFFER or ACK says. What is not needed and wrong is counted and left out.
    pub(super) fn read(reply: &Reply, counters: &mut DhcpCounters) -> Result<Self, Refusal> {
        let options = &reply.options;
        let address = reply.address;
        let prefix_length = options
            .address(OptionCode::SubnetMask)
            .and_then(prefix_length)
            .ok_or(Refusal::BadMask)?;
        let network = Prefix::new(address, prefix_length);
        let is_usable = is_unicast(address)
            && address != reply.server
            && (prefix_length > 30
                || (network.address != address && network.last() != IpAddr::V4(address)));
        if !is_usable {
            return Err(Refusal::BadAddress);
        }
        let times = Times::read(options)?;
        let (mut routers, mut on_link) = (Vec::new(), Vec::new());
        match options
            .get(OptionCode::ClasslessStaticRoute)
            .map(classless_routes)
        {
            // RFC 3442: where there is this option, the other is not looked at.
            Some(Some(routes)) => {
                for (destination, router) in routes {
                    if router.is_unspecified() && destination.length > 0 {
                        on_link.push(destination);
                    } else if destination.length == 0 && is_unicast(router) {
                        routers.push(router);
                    }
                }
            }
            unreadable => {
                counters.bad_routes += u64::from(unreadable.is_some());
                routers = options.stations(OptionCode::Router);
            }
        }
        routers.retain(|&router| router != address);
        // A router outside of the network is a neighbour all the same, or it could not be used.
        for &router in &routers {
            let is_neighbour = |prefix: &Prefix| prefix.contains(router);
            if !network.contains(router) && !on_link.iter().any(is_neighbour) {
                on_link.push(Prefix::host(router));
            }
        }
        let mtu = options.get(OptionCode::InterfaceMtu).and_then(|_| {
            let mtu = options
                .short_number(OptionCode::InterfaceMtu)
                .filter(|&octets| octets >= MIN_MTU_OCTETS);
            counters.bad_mtu += u64::from(mtu.is_none());
            mtu
        });
        Ok(Self {
            address,
            server: reply.server,
            times,
            prefix_length,
            routers,
            on_link,
            mtu,
            name_servers: options.stations(OptionCode::DomainNameServer),
        })
    }

    /// When it runs out, if it was asked for at `since`.
    pub(super) fn expiry(&self, since: Duration) -> Option<Duration> {
        self.times.map(|times| since + times.lease)
    }

    pub(super) fn assignment(&self, since: Duration) -> Assignment {
        let valid_until = self.expiry(since);
        let router = |&address: &Ipv4Addr| Router {
            address: address.into(),
            valid_until,
        };
        Assignment {
            addresses: vec![Address {
                address: self.address.into(),
                prefix_length: self.prefix_length,
                preferred_until: valid_until,
                valid_until,
            }],
            on_link: self.on_link.clone(),
            routers: self.routers.iter().map(router).collect(),
            mtu: self.mtu,
            name_servers: self.name_servers.iter().copied().map(IpAddr::V4).collect(),
            delegated: Vec::new(),
            server: Some(self.server.into()),
        }
    }

    /// Whether the two differ in nothing but their times and who gave them.
    pub(super) fn gives_the_same(&self, other: &Self) -> bool {
        let (times, server) = (self.times, self.server);
        let other = other.clone();
        *self
            == Self {
                times,
                server,
                ..other
            }
    }
}

impl Times {
    fn read(options: &Options) -> Result<Option<Self>, Refusal> {
        let lease_s = match options.number(OptionCode::AddressLeaseTime) {
            None | Some(0) => return Err(Refusal::NoLeaseTime),
            Some(INFINITE_S) => return Ok(None),
            Some(lease_s) => lease_s,
        };
        let lease = Duration::from_secs(lease_s.into());
        let seconds = |code| {
            let seconds = options.number(code)?;
            Some(Duration::from_secs(seconds.into()))
        };
        // RFC 2131, 4.4.5: one half, and seven eighths.
        let usual = Self {
            renewal: lease / 2,
            rebinding: lease / 8 * 7,
            lease,
        };
        let said = Self {
            renewal: seconds(OptionCode::Renewal).unwrap_or(usual.renewal),
            rebinding: seconds(OptionCode::Rebinding).unwrap_or(usual.rebinding),
            lease,
        };
        Ok(Some(if said.is_sensible() { said } else { usual }))
    }

    fn is_sensible(&self) -> bool {
        !self.renewal.is_zero() && self.renewal < self.rebinding && self.rebinding < self.lease
    }
}

/// Of a mask whose ones are all at the front, and which has some.
fn prefix_length(mask: Ipv4Addr) -> Option<u8> {
    let ones = mask.to_bits().leading_ones();
    let is_mask = ones > 0 && mask.to_bits().count_ones() == ones;
    is_mask.then_some(ones as u8)
}

/// Destinations and their routers (RFC 3442); `None` when it is not exactly a list of them.
fn classless_routes(mut octets: &[u8]) -> Option<Vec<(Prefix, Ipv4Addr)>> {
    let mut routes = Vec::new();
    while let Some((&length, rest)) = octets.split_first() {
        let significant = usize::from(length.div_ceil(8));
        if length > 32 {
            return None;
        }
        let (destination, rest) = rest.split_at_checked(significant)?;
        let (&router, rest) = rest.split_first_chunk::<4>()?;
        let mut address = [0; 4];
        address[..significant].copy_from_slice(destination);
        let destination = Prefix::new(Ipv4Addr::from(address), length);
        routes.push((destination, Ipv4Addr::from(router)));
        octets = rest;
    }
    (!routes.is_empty()).then_some(routes)
}
