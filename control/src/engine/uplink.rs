//! Those who are asked for an interface's addresses, and those who are told: what
//! the workers hand over goes to them, and what they want is carried out.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use dataplane::command::{Command, InterfaceId, PortId, PppoeSession, TableId};
use dataplane::headers::{ipv4, ipv6};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::interfaces::OwnAddress;
use super::{Engine, Output};
use crate::addressing::{
    Action, AdvertisedPrefix, Advertiser, AdvertiserSettings, Assignment, DelegatedPrefix,
    DhcpClient, Dhcpv6Client, Relay, RouterDiscovery,
};
use crate::config::{Advertisements, DEFAULT_ROUTE_IPV6, Interface};
use crate::pppoe::{PppoeAction, PppoeClient, PppoeSettings};

/// UDP ports of DHCP's two ends (RFC 2131, 4.1).
const DHCP_SERVER: u16 = 67;
const DHCP_CLIENT: u16 = 68;
/// The same of DHCPv6's client (RFC 8415, 7.2).
const DHCPV6_CLIENT: u16 = 546;

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

    fn set_link(&mut self, now: Duration, up: bool) {
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
    fn set_ipv6_link(&mut self, now: Duration, up: bool) {
        if let Some(client) = &mut self.routers {
            client.set_link(now, up);
        }
        if let Some(client) = &mut self.dhcpv6 {
            client.set_link(now, up);
        }
    }

    /// Has the clients ask whether what they have still holds.
    fn verify(&mut self, now: Duration) {
        if let Some(client) = &mut self.dhcp {
            client.verify(now);
        }
        self.set_ipv6_link(now, false);
        self.set_ipv6_link(now, true);
    }

    fn handle_timeout(&mut self, now: Duration) {
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

    fn next_timeout(&self) -> Option<Duration> {
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

    fn poll_action(&mut self) -> Option<Action> {
        let dhcp = self.dhcp.as_mut().and_then(DhcpClient::poll_action);
        dhcp.or_else(|| self.routers.as_mut()?.poll_action())
            .or_else(|| self.dhcpv6.as_mut()?.poll_action())
            .or_else(|| self.advertiser.as_mut()?.poll_action())
    }

    fn is_given(&self, address: IpAddr) -> bool {
        let mut addresses = self.assignments().flat_map(|(_, it)| &it.addresses);
        addresses.any(|own| own.address == address)
    }

    fn handle_conflict(&mut self, now: Duration, address: IpAddr) {
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
    fn release(&mut self, now: Duration) {
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

impl Engine {
    /// Everybody of an interface, from now on.
    pub(super) fn ask_networks(&mut self, now: Duration) {
        for place in 0..self.interfaces.len() {
            let port = self.interfaces[place].port;
            let (interface, port) = (&self.config.interfaces[place], &self.ports[port]);
            let mtu = interface.mtu.map_or(port.mtu, |mtu| mtu.min(port.mtu));
            self.interfaces[place].uplink =
                Uplink::of(now, interface, port.mac, mtu, &mut self.rng);
        }
    }

    /// The interface that is on a port.
    fn interface_on(&self, port: PortId) -> Option<usize> {
        let mut states = self.interfaces.iter();
        states.position(|state| self.ports[state.port].id == port)
    }

    /// A packet of DHCP that is not to an address of ours, from its IP header on.
    pub(super) fn handle_dhcp(&mut self, now: Duration, port: PortId, packet: &[u8]) {
        let Some(place) = self.interface_on(port) else {
            return;
        };
        let own = self.ipv4_addresses(place);
        let state = &mut self.interfaces[place];
        let uplink = &mut state.uplink;
        match (
            destination_port(packet),
            &mut uplink.dhcp,
            &mut uplink.relay,
        ) {
            (Some(DHCP_CLIENT), Some(client), _) => client.handle_packet(now, packet),
            (Some(DHCP_SERVER), _, Some(relay)) => {
                for action in relay.handle_client(&own, packet) {
                    self.carry_out(place, action);
                }
            }
            _ => state.unasked += 1,
        }
        self.settle_uplink(now, place);
    }

    /// Takes a packet to an address of ours if it is for one of the clients.
    pub(super) fn handle_local_dhcp(
        &mut self,
        now: Duration,
        interface: Option<InterfaceId>,
        packet: &[u8],
    ) -> bool {
        let place = interface.map(|id| usize::from(id.0));
        match (destination_port(packet), place) {
            (Some(DHCP_CLIENT), Some(place)) => {
                let Some(client) = &mut self.interfaces[place].uplink.dhcp else {
                    return false;
                };
                client.handle_packet(now, packet);
                self.settle_uplink(now, place);
                true
            }
            (Some(DHCPV6_CLIENT), Some(place)) => {
                let Some(client) = &mut self.interfaces[place].uplink.dhcpv6 else {
                    return false;
                };
                client.handle_packet(now, packet);
                self.settle_uplink(now, place);
                true
            }
            (Some(DHCP_SERVER), _) => self.handle_relayed(packet),
            _ => false,
        }
    }

    /// An answer of a server, which says by its destination whose LAN it is for.
    fn handle_relayed(&mut self, packet: &[u8]) -> bool {
        let Some(header) = ipv4::known(packet) else {
            return false;
        };
        let to = IpAddr::V4(header.destination);
        let relays = |place: &usize| {
            let state = &self.interfaces[*place];
            state.uplink.relay.is_some() && state.has(to)
        };
        let Some(place) = (0..self.interfaces.len()).find(relays) else {
            return false;
        };
        let own = self.ipv4_addresses(place);
        let mac = self.ports[self.interfaces[place].port].mac;
        let relay = self.interfaces[place].uplink.relay.as_mut();
        if let Some(action) = relay.and_then(|it| it.handle_server(&own, mac, packet)) {
            self.carry_out(place, action);
        }
        true
    }

    fn ipv4_addresses(&self, place: usize) -> Vec<Ipv4Addr> {
        let own = self.interfaces[place].addresses.iter();
        own.filter_map(|own| match own.address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        })
        .collect()
    }

    /// A message of neighbour discovery. Says whether it is between routers and
    /// hosts, and so not about neighbours.
    pub(super) fn handle_router_discovery(
        &mut self,
        now: Duration,
        port: PortId,
        frame: &[u8],
    ) -> bool {
        const ROUTER_SOLICITATION: u8 = 133;
        const ROUTER_ADVERTISEMENT: u8 = 134;
        const TYPE: usize = 14 + 40;
        if !matches!(
            frame.get(TYPE),
            Some(&(ROUTER_SOLICITATION | ROUTER_ADVERTISEMENT))
        ) {
            return false;
        }
        let Some(place) = self.interface_on(port) else {
            return false;
        };
        let uplink = &mut self.interfaces[place].uplink;
        match (&mut uplink.routers, &mut uplink.advertiser) {
            (Some(client), _) => client.handle_frame(now, frame),
            (None, Some(advertiser)) => advertiser.handle_frame(now, frame),
            (None, None) => return false,
        }
        self.settle_uplink(now, place);
        true
    }

    /// Tells the hosts of a LAN of the networks there, and whether we lead on.
    pub(super) fn tell_lan(&mut self, now: Duration, place: usize) {
        let table = TableId(self.config.interfaces[place].table);
        let leads_on = self.rib.leads(table, DEFAULT_ROUTE_IPV6);
        let wanted = &self.config.interfaces[place].advertisements;
        let is_router = leads_on && wanted.as_ref().is_some_and(|it| it.default_router);
        let state = &mut self.interfaces[place];
        let Some(advertiser) = &mut state.uplink.advertiser else {
            return;
        };
        let of_hosts = |own: &&OwnAddress| own.address.is_ipv6() && own.prefix_length == 64;
        let own = state.addresses.iter().filter(of_hosts);
        let prefixes: Vec<AdvertisedPrefix> = own
            .map(|own| AdvertisedPrefix {
                prefix: own.network(),
                preferred_until: own.preferred_until,
                valid_until: own.valid_until,
            })
            .collect();
        advertiser.set_prefixes(now, &prefixes);
        advertiser.set_router(now, is_router);
        self.settle_uplink(now, place);
    }

    /// The same for all LANs of the tables whose default route came or went.
    pub(super) fn tell_lans(&mut self, now: Duration) {
        for table in std::mem::take(&mut self.lead_changed) {
            let places = 0..self.interfaces.len();
            let of_table = |place: &usize| self.config.interfaces[*place].table == table.0;
            for place in places.filter(of_table).collect::<Vec<_>>() {
                self.tell_lan(now, place);
            }
        }
    }

    /// A frame of PPPoE's discovery, from the port that carries the line.
    pub(super) fn handle_pppoe_discovery(&mut self, now: Duration, port: PortId, frame: &[u8]) {
        let lines: Vec<usize> = (0..self.interfaces.len())
            .filter(|&place| self.carrier(place) == Some(port))
            .collect();
        for place in lines {
            if let Some(client) = &mut self.interfaces[place].uplink.pppoe {
                client.handle_discovery(now, frame);
            }
            self.settle_uplink(now, place);
        }
    }

    /// A PPP frame other than IP, from a line.
    pub(super) fn handle_pppoe_session(&mut self, now: Duration, port: PortId, frame: &[u8]) {
        let Some(place) = self.interface_on(port) else {
            return;
        };
        if let Some(client) = &mut self.interfaces[place].uplink.pppoe {
            client.handle_session(now, frame);
        }
        self.settle_uplink(now, place);
    }

    /// The port below the logical one that a line is.
    fn carrier(&self, place: usize) -> Option<PortId> {
        self.interfaces[place].uplink.pppoe.as_ref()?;
        self.ports[self.interfaces[place].port].carrier
    }

    /// Follows a port's link.
    pub(super) fn set_uplink_link(&mut self, now: Duration, port: PortId, up: bool) {
        if let Some(place) = self.interface_on(port) {
            self.interfaces[place].uplink.set_link(now, up);
            self.settle_uplink(now, place);
        }
    }

    /// Another network may be behind the cable: the clients ask whether what they
    /// have still holds, and keep it until somebody says no.
    fn verify_uplink(&mut self, now: Duration, place: usize) {
        let uplink = &mut self.interfaces[place].uplink;
        if uplink.pppoe.is_none() {
            uplink.verify(now);
            self.settle_uplink(now, place);
        }
    }

    /// A gateway that the network told us of answers no more.
    pub(super) fn gateway_lost(&mut self, now: Duration, interface: InterfaceId, address: IpAddr) {
        let place = usize::from(interface.0);
        let gateways = &self.interfaces[place].gateways;
        let is_given = gateways.iter().any(|gateway| {
            gateway.address == address && gateway.given_by != GivenBy::Configuration
        });
        if is_given {
            let name = &self.config.interfaces[place].name;
            log::warn!("{name}: the gateway {address} does not answer: asking anew");
            self.verify_uplink(now, place);
        }
    }

    /// Somebody else has our address: what was given is asked for anew.
    pub(super) fn uplink_conflict(&mut self, now: Duration, place: usize, address: IpAddr) {
        if self.interfaces[place].uplink.is_given(address) {
            self.interfaces[place].uplink.handle_conflict(now, address);
            self.settle_uplink(now, place);
        }
    }

    pub(super) fn uplink_timeouts(&mut self, now: Duration) {
        for place in 0..self.interfaces.len() {
            let uplink = &mut self.interfaces[place].uplink;
            if uplink.next_timeout().is_some_and(|due| due <= now) {
                uplink.handle_timeout(now);
                self.settle_uplink(now, place);
            }
        }
    }

    pub(super) fn next_uplink_timeout(&self) -> Option<Duration> {
        let states = self.interfaces.iter();
        states.filter_map(|it| it.uplink.next_timeout()).min()
    }

    /// Gives back what the networks have given. To be called when the tunnels are
    /// gone, as the last: the workers keep the addresses until they are stopped, or
    /// what is sent would find no way out.
    pub fn release(&mut self, now: Duration) {
        for place in 0..self.interfaces.len() {
            self.interfaces[place].uplink.release(now);
            while let Some(action) = self.interfaces[place].uplink.poll_action() {
                self.carry_out(place, action);
            }
            while let Some(action) = self.poll_line(place) {
                if let PppoeAction::Frame(frame) = action {
                    let port = self.ports[self.interfaces[place].port].id;
                    self.outputs.push_back(Output::LineFrame { port, frame });
                }
            }
        }
    }

    /// Carries out what the clients of an interface want.
    fn settle_uplink(&mut self, now: Duration, place: usize) {
        let mut is_changed = false;
        while let Some(action) = self.interfaces[place].uplink.poll_action() {
            is_changed |= action == Action::Changed;
            self.carry_out(place, action);
        }
        while let Some(action) = self.poll_line(place) {
            match action {
                PppoeAction::Frame(frame) => {
                    let port = self.ports[self.interfaces[place].port].id;
                    self.outputs.push_back(Output::LineFrame { port, frame });
                }
                PppoeAction::SessionUp {
                    id,
                    access_concentrator,
                } => {
                    let session = PppoeSession {
                        id,
                        access_concentrator,
                    };
                    self.set_line(now, place, Some(session));
                }
                PppoeAction::SessionDown => self.set_line(now, place, None),
                PppoeAction::Changed => is_changed = true,
            }
        }
        if is_changed || self.interfaces[place].has_news() {
            self.refresh_interface(now, place);
        }
        if is_changed {
            self.log_addresses(place);
        }
    }

    fn poll_line(&mut self, place: usize) -> Option<PppoeAction> {
        let client = self.interfaces[place].uplink.pppoe.as_mut()?;
        client.poll_action()
    }

    fn set_line(&mut self, now: Duration, place: usize, session: Option<PppoeSession>) {
        let port = self.ports[self.interfaces[place].port].id;
        let is_up = session.is_some();
        self.command(Command::SetPppoe { port, session });
        self.interfaces[place].uplink.set_ipv6_link(now, is_up);
    }

    fn carry_out(&mut self, place: usize, action: Action) {
        match action {
            Action::Frame(frame) => {
                let port = self.ports[self.interfaces[place].port].id;
                self.outputs.push_back(Output::Frame { port, frame });
            }
            Action::Packet(packet) => {
                let table = TableId(self.config.interfaces[place].table);
                self.outputs.push_back(Output::Ip { table, packet });
            }
            Action::Changed => {}
        }
    }

    fn log_addresses(&self, place: usize) {
        let name = &self.config.interfaces[place].name;
        let state = &self.interfaces[place];
        let addresses: Vec<String> = state
            .addresses
            .iter()
            .map(|own| {
                let word = own.given_by.word();
                format!("{}/{} ({word})", own.address, own.prefix_length)
            })
            .collect();
        let gateways: Vec<String> = state
            .gateways
            .iter()
            .map(|gateway| gateway.address.to_string())
            .collect();
        let all = |list: Vec<String>| match list.is_empty() {
            true => "none".to_owned(),
            false => list.join(", "),
        };
        log::info!(
            "{name}: addresses {}; gateway {}; mtu {}",
            all(addresses),
            all(gateways),
            state.mtu
        );
    }
}

/// The UDP port that a packet is for.
fn destination_port(packet: &[u8]) -> Option<u16> {
    const UDP: u8 = 17;
    let (protocol, offset) = if packet.first()? >> 4 == 6 {
        (*packet.get(6)?, ipv6::HEADER_OCTETS)
    } else {
        let header_octets = usize::from(packet.first()? & 0xf) * 4;
        (*packet.get(9)?, header_octets)
    };
    let port = packet.get(offset + 2..)?.first_chunk()?;
    (protocol == UDP).then_some(u16::from_be_bytes(*port))
}
