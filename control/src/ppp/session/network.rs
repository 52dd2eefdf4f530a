//! The network phase (RFC 1661 3.7): IPv4 and IPv6 come and go.
use std::net::Ipv4Addr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Phase, Session};
use crate::ppp::ipcp::Ipcp;
use crate::ppp::ipv6cp::Ipv6cp;
use crate::ppp::layer::{Layer, Negotiator};
use crate::ppp::networks::{Networks, failure_of};
use crate::ppp::{CloseReason, Event, Family, Network, Output, Role};

impl Session {
    /// Authentication is done: told before `reply` tells the peer.
    pub(super) fn enter_network(
        &mut self,
        now: Duration,
        username: String,
        login: Option<usize>,
        reply: Option<Vec<u8>>,
    ) {
        self.phase = Phase::Network;
        self.announced = true;
        self.output
            .push_back(Output::Event(Event::Authenticated { username, login }));
        self.output.extend(reply.map(Output::Frame));
        let ipcp = match &self.role {
            Role::Client {
                local_ip, wanted, ..
            } => Ipcp::client(local_ip.unwrap_or(Ipv4Addr::UNSPECIFIED), *wanted),
            Role::Server {
                logins,
                local_ip,
                name_servers,
                ..
            } => {
                let assigned = login
                    .and_then(|login| logins.get(login))
                    .map(|login| login.remote_ip);
                let assigned = assigned.unwrap_or(Ipv4Addr::UNSPECIFIED);
                Ipcp::server(*local_ip, assigned, name_servers)
            }
        };
        let ipcp = self.opened_layer(now, ipcp);
        let ipv6cp = self.ipv6.then(|| {
            let negotiator = Ipv6cp::new(StdRng::from_rng(&mut self.rng));
            self.opened_layer(now, negotiator)
        });
        self.networks = Some(Networks::new(ipcp, ipv6cp));
    }

    fn opened_layer<N: Negotiator>(&mut self, now: Duration, negotiator: N) -> Layer<N> {
        let mut layer = Layer::new(negotiator, self.timers, self.rng.random());
        layer.peer_mru = self.peer_mru();
        layer.open(now);
        layer
    }

    pub(super) fn network_up(&mut self, now: Duration, family: Family) {
        let Some(network) = self.networks.as_ref().and_then(|it| it.network(family)) else {
            return;
        };
        if matches!(network, Network::Ipv4 { local, .. } if local.is_unspecified()) {
            return self.give_up_network(now, family, CloseReason::NoAddress);
        }
        self.login_deadline = None;
        self.output.push_back(Output::Event(Event::Opened(network)));
    }

    pub(super) fn network_down(&mut self, now: Duration, family: Family) {
        if !self.is_open() {
            self.login_again(now);
        }
        self.output
            .push_back(Output::Event(Event::NetworkDown(family)));
    }

    /// An NCP has given up, unless the peer only took it down, and may bring it
    /// up again: in the time of a login, when there is no other.
    pub(super) fn network_finished(&mut self, now: Duration, family: Family) {
        if let Some(networks) = &mut self.networks
            && networks.finished(family)
            && networks.all_failed()
        {
            self.begin_close(now, failure_of(family));
        }
    }

    /// One NCP is of no use any more. When that was the last one, the link is not either.
    pub(super) fn end_network(&mut self, now: Duration, family: Family, reason: CloseReason) {
        let Some(networks) = &mut self.networks else {
            return;
        };
        if networks.has(family) && networks.end(family) {
            self.network_down(now, family);
        }
        self.close_without_network(now, reason);
    }

    /// The same for an NCP that was not told to be open.
    fn give_up_network(&mut self, now: Duration, family: Family, reason: CloseReason) {
        if let Some(networks) = &mut self.networks {
            networks.end(family);
        }
        self.close_without_network(now, reason);
    }

    fn close_without_network(&mut self, now: Duration, reason: CloseReason) {
        if self.networks.as_ref().is_some_and(Networks::all_failed) {
            self.begin_close(now, reason);
        }
    }
}
