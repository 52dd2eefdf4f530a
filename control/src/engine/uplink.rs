//! Those who are asked for an interface's addresses, and those who tell its hosts.

use std::net::IpAddr;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::addressing::{
    Action, Advertiser, AdvertiserSettings, Assignment, DelegatedPrefix, DhcpClient, Dhcpv6Client,
    Relay, RouterDiscovery,
};
use crate::config::{Advertisements, Interface};
use crate::pppoe::{PppoeClient, PppoeSettings};

/// Who gave an address or a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivenBy {
    Configuration,
    Dhcp,
    RouterAdvertisement,
    Dhcpv6,
    Delegation,
    Pppoe,
}

impl GivenBy {
    /// The word for `status`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Dhcp => "dhcp",
            Self::RouterAdvertisement => "ra",
            Self::Dhcpv6 => "dhcpv6",
            Self::Delegation => "delegated",
            Self::Pppoe => "pppoe",
        }
    }
}

/// The clients of one interface.
#[derive(Default)]
pub(super) struct Uplink {
    pub(super) dhcp: Option<DhcpClient>,
    pub(super) routers: Option<RouterDiscovery>,
    pub(super) dhcpv6: Option<Dhcpv6Client>,
    pub(super) pppoe: Option<PppoeClient>,
    /// Whom the hosts here hear of IPv6.
    pub(super) advertiser: Option<Advertiser>,
    /// Whom they reach DHCP servers by.
    pub(super) relay: Option<Relay>,
}

impl Uplink {
    /// What was given, and by whom.
    pub(super) fn assignments(&self) -> impl Iterator<Item = (GivenBy, &Assignment)> {
        let dhcp = self.dhcp.as_ref().map(DhcpClient::assignment);
        let routers = self.routers.as_ref().map(RouterDiscovery::assignment);
        let dhcpv6 = self.dhcpv6.as_ref().map(Dhcpv6Client::assignment);
        let pppoe = self.pppoe.as_ref().map(PppoeClient::assignment);
        let named = |given_by| move |assignment| (given_by, assignment);
        [
            pppoe.map(named(GivenBy::Pppoe)),
            dhcp.map(named(GivenBy::Dhcp)),
            dhcpv6.map(named(GivenBy::Dhcpv6)),
            routers.map(named(GivenBy::RouterAdvertisement)),
        ]
        .into_iter()
        .flatten()
    }

    /// Networks for other interfaces.
    pub(super) fn delegated(&self) -> impl Iterator<Item = &DelegatedPrefix> {
        self.assignments().flat_map(|(_, it)| &it.delegated)
    }

    /// The hardware address at the other end of a line.
    pub(super) fn far_end(&self) -> Option<[u8; 6]> {
        self.pppoe.as_ref()?.concentrator().map(|it| it.mac)
    }

    /// The clients that the configuration wants for an interface with this
    /// hardware address.
    pub(super) fn of(
        now: Duration,
        interface: &Interface,
        mac: [u8; 6],
        mtu: u16,
        rng: &mut StdRng,
    ) -> Self {
        let mut seed = || StdRng::from_rng(rng);
        let dhcp = interface.asked.dhcp.clone();
        let relay = &interface.dhcp_relay;
        Self {
            dhcp: dhcp.map(|settings| DhcpClient::new(now, mac, settings, seed())),
            routers: interface
                .asked
                .router_advertisements
                .then(|| RouterDiscovery::new(now, mac, seed())),
            dhcpv6: interface
                .asked
                .dhcpv6
                .map(|settings| Dhcpv6Client::new(now, mac, settings, seed())),
            pppoe: pppoe_settings(interface)
                .map(|settings| PppoeClient::new(now, mac, settings, seed())),
            advertiser: interface.advertisements.as_ref().map(|wanted| {
                let settings = advertiser_settings(wanted, mtu);
                Advertiser::new(now, mac, settings, seed())
            }),
            relay: (!relay.is_empty()).then(|| Relay::new(relay.clone())),
        }
    }

    pub(super) fn set_link(&mut self, now: Duration, up: bool) {
        if let Some(client) = &mut self.dhcp {
            client.set_link(now, up);
        }
        match &mut self.pppoe {
            Some(client) => client.set_link(now, up),
            None => self.set_ipv6_link(now, up),
        }
        if let Some(advertiser) = &mut self.advertiser {
            advertiser.set_link(now, up);
        }
    }

    /// The same for those who ask over IPv6. On a line the session is their link:
    /// without one nobody hears them, and another may lead to other routers.
    pub(super) fn set_ipv6_link(&mut self, now: Duration, up: bool) {
        if let Some(client) = &mut self.routers {
            client.set_link(now, up);
        }
        if let Some(client) = &mut self.dhcpv6 {
            client.set_link(now, up);
        }
    }

    /// Has the clients ask whether what they have still holds.
    pub(super) fn verify(&mut self, now: Duration) {
        if let Some(client) = &mut self.dhcp {
            client.verify(now);
        }
        self.set_ipv6_link(now, false);
        self.set_ipv6_link(now, true);
    }

    pub(super) fn handle_timeout(&mut self, now: Duration) {
        if let Some(client) = &mut self.dhcp {
            client.handle_timeout(now);
        }
        if let Some(client) = &mut self.routers {
            client.handle_timeout(now);
        }
        if let Some(client) = &mut self.dhcpv6 {
            client.handle_timeout(now);
        }
        if let Some(client) = &mut self.pppoe {
            client.handle_timeout(now);
        }
        if let Some(advertiser) = &mut self.advertiser {
            advertiser.handle_timeout(now);
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Duration> {
        [
            self.dhcp.as_ref().and_then(DhcpClient::next_timeout),
            self.routers
                .as_ref()
                .and_then(RouterDiscovery::next_timeout),
            self.dhcpv6.as_ref().and_then(Dhcpv6Client::next_timeout),
            self.pppoe.as_ref().and_then(PppoeClient::next_timeout),
            self.advertiser.as_ref().and_then(Advertiser::next_timeout),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub(super) fn poll_action(&mut self) -> Option<Action> {
        let dhcp = self.dhcp.as_mut().and_then(DhcpClient::poll_action);
        dhcp.or_else(|| self.routers.as_mut()?.poll_action())
            .or_else(|| self.dhcpv6.as_mut()?.poll_action())
            .or_else(|| self.advertiser.as_mut()?.poll_action())
    }

    pub(super) fn is_given(&self, address: IpAddr) -> bool {
        let mut addresses = self.assignments().flat_map(|(_, it)| &it.addresses);
        addresses.any(|own| own.address == address)
    }

    pub(super) fn handle_conflict(&mut self, now: Duration, address: IpAddr) {
        match address {
            IpAddr::V4(address) => {
                if let Some(client) = &mut self.dhcp {
                    client.handle_conflict(now, address);
                }
            }
            IpAddr::V6(address) => {
                if let Some(client) = &mut self.routers {
                    client.handle_conflict(now, address);
                }
                if let Some(client) = &mut self.dhcpv6 {
                    client.handle_conflict(now, address);
                }
            }
        }
    }

    /// Gives back what can be given back.
    pub(super) fn release(&mut self, now: Duration) {
        if let Some(client) = &mut self.dhcp {
            client.release(now);
        }
        if let Some(client) = &mut self.dhcpv6 {
            client.release(now);
        }
        if let Some(client) = &mut self.pppoe {
            client.close(now);
        }
        if let Some(advertiser) = &mut self.advertiser {
            advertiser.cease(now);
        }
    }
}

fn advertiser_settings(wanted: &Advertisements, mtu: u16) -> AdvertiserSettings {
    AdvertiserSettings {
        // RFC 4861, 6.2.1: MinRtrAdvInterval and AdvDefaultLifetime.
        min_interval: wanted.interval / 3,
        max_interval: wanted.interval,
        router_lifetime: wanted.interval * 3,
        mtu: Some(mtu),
        dns: wanted.dns.clone(),
        managed: wanted.managed,
        other: wanted.other,
    }
}

fn pppoe_settings(interface: &Interface) -> Option<PppoeSettings> {
    let line = interface.pppoe.as_ref()?;
    Some(PppoeSettings {
        username: line.username.clone(),
        password: line.password.clone(),
        service_name: line.service_name.clone(),
        ac_name: line.access_concentrator.clone(),
        mtu: line.mtu,
        ipv6: interface.asks_for_ipv6(),
        lcp_rate: line.lcp_rate,
        lcp_timeout: line.lcp_timeout,
        authentication: line.ppp.link.authentication.clone(),
        timers: line.ppp.link.timers,
        ignore_magic: line.ppp.link.ignore_magic,
        wanted: line.ppp.wanted,
    })
}
