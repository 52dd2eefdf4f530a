//! Neighbours of IPv6, by neighbour discovery (RFC 4861).
//!
//! Solicitations and advertisements of routers are for `addressing`; redirects
//! mean nothing to us.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use dataplane::command::PortId;

use super::super::discovery::{
    self, ALL_NODES, Advertisement, Message, Refused, Solicitation, group_mac, solicited_node,
};
use super::{Action, Claim, Interface, Neighbours, is_station};

impl Neighbours {
    /// Takes a message of neighbour discovery, from its Ethernet header on,
    /// that arrived on `port`.
    pub fn handle_discovery(&mut self, now: Duration, port: PortId, frame: &[u8]) {
        let message = match discovery::parse(frame) {
            Ok(message) => message,
            Err(Refused::Malformed) => {
                self.counters.malformed += 1;
                return;
            }
            Err(Refused::NotForNeighbours) => {
                self.counters.ignored += 1;
                return;
            }
        };
        let Some(interface) = self.interface_on(port) else {
            self.counters.ignored += 1;
            return;
        };
        let interface = interface.spec.clone();
        let to = message.destination_mac;
        let to_us = to == interface.mac || to.starts_with(&[0x33, 0x33]);
        let from_us = message.source_mac == interface.mac;
        let (Message::Solicitation(Solicitation { mac, .. })
        | Message::Advertisement(Advertisement { mac, .. })) = message.message;
        if !to_us
            || from_us
            || !is_station(message.source_mac)
            || mac.is_some_and(|mac| !is_station(mac))
        {
            self.counters.ignored += 1;
            return;
        }
        match message.message {
            Message::Solicitation(asked) => {
                self.handle_solicitation(now, &interface, &asked, message.source_mac);
            }
            Message::Advertisement(told) => {
                self.handle_advertisement(now, &interface, &told, message.source_mac);
            }
        }
    }

    /// RFC 4861, 7.2.3.
    fn handle_solicitation(
        &mut self,
        now: Duration,
        interface: &Interface,
        asked: &Solicitation,
        source_mac: [u8; 6],
    ) {
        let (source, target) = (asked.source.into(), asked.target.into());
        if interface.owns(source) {
            self.handle_conflict(now, interface, source, source_mac);
            return;
        }
        let own = interface.owns(target);
        if !own && !self.is_proxied(interface, source, target) {
            self.counters.ignored += 1;
            return;
        }
        if let Some(mac) = asked.mac
            && interface.own_address_towards(source).is_some()
        {
            let claim = Claim {
                mac,
                to_us: true,
                asks: true,
                overrides: true,
            };
            self.learn(now, (interface.id, source), claim);
        }
        self.answer_solicitation(now, interface, asked, own);
    }

    /// RFC 4861, 7.2.4, and for addresses behind a tunnel 7.2.8. Who asks
    /// whether it may have an address of ours is told as everybody is.
    fn answer_solicitation(
        &mut self,
        now: Duration,
        interface: &Interface,
        asked: &Solicitation,
        own: bool,
    ) {
        self.counters.replies_sent += 1;
        self.counters.proxy_replies_sent += u64::from(!own);
        if asked.source.is_unspecified() {
            let frame = announcement(interface, asked.target);
            let port = interface.port;
            self.actions.push_back(Action::SendFrame { port, frame });
            return;
        }
        let told = Advertisement {
            target: asked.target,
            mac: Some(interface.mac),
            router: interface.forward,
            solicited: true,
            overrides: own,
        };
        let source = if own {
            asked.target
        } else {
            interface.link_local()
        };
        let packet = discovery::advertisement(&told, source, asked.source);
        match asked.mac {
            Some(mac) => {
                let frame = discovery::frame(interface.mac, mac, &packet);
                let port = interface.port;
                self.actions.push_back(Action::SendFrame { port, frame });
            }
            None => self.send(now, interface.id, asked.source.into(), packet),
        }
    }

    /// RFC 4861, 7.2.5.
    fn handle_advertisement(
        &mut self,
        now: Duration,
        interface: &Interface,
        told: &Advertisement,
        source_mac: [u8; 6],
    ) {
        let target = IpAddr::from(told.target);
        if interface.owns(target) {
            self.handle_conflict(now, interface, target, told.mac.unwrap_or(source_mac));
            return;
        }
        let key = (interface.id, target);
        let known = self.entries.get(&key).and_then(|entry| entry.state.mac());
        // Without a hardware address it only says that the known one is right.
        let Some(mac) = told.mac.or(known) else {
            self.counters.ignored += 1;
            return;
        };
        let claim = Claim {
            mac,
            to_us: told.solicited,
            asks: false,
            overrides: told.overrides,
        };
        self.learn(now, key, claim);
    }
}

/// Tells everybody of an own address (RFC 4861, 7.2.6).
pub(super) fn announcement(interface: &Interface, address: Ipv6Addr) -> Vec<u8> {
    let told = Advertisement {
        target: address,
        mac: Some(interface.mac),
        router: interface.forward,
        solicited: false,
        overrides: true,
    };
    let packet = discovery::advertisement(&told, address, ALL_NODES);
    discovery::frame(interface.mac, group_mac(ALL_NODES), &packet)
}

/// RFC 4861, 7.2.2 and 7.3.3.
pub(super) fn request(
    interface: &Interface,
    target: Ipv6Addr,
    destination: Option<[u8; 6]>,
) -> Vec<u8> {
    let group = solicited_node(target);
    let (mac, address) = match destination {
        Some(mac) => (mac, target),
        None => (group_mac(group), group),
    };
    let source = interface.link_local();
    let packet = discovery::solicitation(interface.mac, source, target, address);
    discovery::frame(interface.mac, mac, &packet)
}
