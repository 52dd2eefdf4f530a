//! What the workers hand over for the clients of the interfaces goes to them, and
//! what they want is carried out.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use dataplane::command::{Command, InterfaceId, PortId, PppoeSession, TableId};
use dataplane::headers::{ipv4, ipv6};

use super::interfaces::OwnAddress;
use super::uplink::{GivenBy, Uplink};
use super::{Engine, Output};
use crate::addressing::{Action, AdvertisedPrefix};
use crate::config::DEFAULT_ROUTE_IPV6;
use crate::pppoe::PppoeAction;

/// UDP ports of DHCP's two ends (RFC 2131, 4.1).
const DHCP_SERVER: u16 = 67;
const DHCP_CLIENT: u16 = 68;
/// The same of DHCPv6's client (RFC 8415, 7.2).
const DHCPV6_CLIENT: u16 = 546;

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
