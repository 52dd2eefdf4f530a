//! Neighbours of IPv4, by ARP (RFC 826, RFC 5227).

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use dataplane::command::PortId;

use super::super::arp::{self, Arp, Operation};
use super::{Action, Claim, Interface, Neighbours, is_station};

impl Neighbours {
    /// Takes an ARP frame, from its Ethernet header on, that arrived on `port`.
    pub fn handle_arp(&mut self, now: Duration, port: PortId, frame: &[u8]) {
        let Some((destination, arp)) = arp::parse(frame) else {
            self.counters.malformed += 1;
            return;
        };
        let Some(interface) = self.interface_on(port) else {
            self.counters.ignored += 1;
            return;
        };
        let interface = interface.spec.clone();
        let to_us = destination == interface.mac || arp::is_broadcast(destination);
        let from_us = arp.sender_mac == interface.mac;
        if !to_us || from_us || !is_station(arp.sender_mac) {
            self.counters.ignored += 1;
            return;
        }
        if interface.owns(arp.sender.into()) {
            self.handle_conflict(now, &interface, arp.sender.into(), arp.sender_mac);
            return;
        }
        let is_request = arp.operation == Operation::Request;
        let own = interface.owns(arp.target.into());
        let answered = is_request
            && (own || self.is_proxied(&interface, arp.sender.into(), arp.target.into()));
        // A probe (RFC 5227, 1.1) has no sender yet; others may only speak for
        // hosts of the subnets that we share with them.
        if interface.own_address_towards(arp.sender.into()).is_some() {
            let claim = Claim {
                mac: arp.sender_mac,
                to_us: own || answered,
                // An unasked reply tells us nothing that we want to know.
                asks: answered,
                overrides: true,
            };
            self.learn(now, (interface.id, arp.sender.into()), claim);
        }
        if answered {
            self.answer_arp(&interface, &arp, own);
        }
    }

    fn answer_arp(&mut self, interface: &Interface, arp: &Arp, own: bool) {
        self.counters.replies_sent += 1;
        self.counters.proxy_replies_sent += u64::from(!own);
        let frame = arp::reply(interface.mac, arp);
        let port = interface.port;
        self.actions.push_back(Action::SendFrame { port, frame });
    }
}

pub(super) fn announcement(interface: &Interface, address: Ipv4Addr) -> Vec<u8> {
    arp::announcement(interface.mac, address)
}

/// Nothing when the target is in no subnet of ours.
pub(super) fn request(
    interface: &Interface,
    target: Ipv4Addr,
    destination: Option<[u8; 6]>,
) -> Option<Vec<u8>> {
    match interface.own_address_towards(target.into())? {
        IpAddr::V4(own) => Some(arp::request(interface.mac, own, target, destination)),
        IpAddr::V6(_) => None,
    }
}
