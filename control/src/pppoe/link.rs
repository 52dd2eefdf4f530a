//! A session's PPP link, and what an interface gets by it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use rand::rngs::StdRng;

use super::PppoeSettings;
use super::discovery::Found;
use super::packet::session_frame;
use crate::addressing::{Address, Assignment, Router};
use crate::ppp::{Config, Family, LowerLayer, Network, Role, Session};

/// Stands for a concentrator that tells no address of its own: routes need one,
/// packets do not. The IPv4 dummy address (RFC 7600).
const DUMMY_PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);

/// The addresses of the two ends.
type Ends<A> = (A, A);

/// A session and the PPP link in it.
pub(super) struct Link {
    pub(super) found: Found,
    pub(super) ppp: Session,
    /// The largest IP packet that we may send by what discovery agreed on, octets.
    mtu: u16,
    ipv4: Option<Ends<Ipv4Addr>>,
    ipv6: Option<Ends<Ipv6Addr>>,
    /// When a network protocol first opened.
    pub(super) opened_at: Option<Duration>,
    /// What the concentrator's PADT said, once it came.
    pub(super) terminated: Option<String>,
}

impl Link {
    /// Negotiation begins.
    pub(super) fn start(
        now: Duration,
        settings: &PppoeSettings,
        found: Found,
        rng: StdRng,
    ) -> Self {
        let mtu = settings.mtu.min(found.max_payload);
        let config = Config {
            role: Role::Client {
                username: settings.username.clone(),
                password: settings.password.clone(),
                local_ip: None,
                protocols: settings.authentication.clone(),
                wanted: settings.wanted,
            },
            lower_layer: LowerLayer::Pppoe,
            ipv6: settings.ipv6,
            mru: mtu,
            lcp_rate: settings.lcp_rate,
            lcp_timeout: settings.lcp_timeout,
            ignore_magic: settings.ignore_magic,
            timers: settings.timers,
        };
        let mut ppp = Session::new(config, rng);
        ppp.start(now);
        Self {
            found,
            ppp,
            mtu,
            ipv4: None,
            ipv6: None,
            opened_at: None,
            terminated: None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.ipv4.is_some() || self.ipv6.is_some()
    }

    /// The Ethernet frame that carries a PPP frame from `mac`.
    pub(super) fn encapsulate(&self, mac: [u8; 6], ppp: &[u8]) -> Vec<u8> {
        session_frame(mac, self.found.mac, self.found.session, ppp)
    }

    pub(super) fn opened(&mut self, now: Duration, network: Network) {
        match network {
            Network::Ipv4 { local, remote } => self.ipv4 = Some((local, remote)),
            Network::Ipv6 { local, remote } => self.ipv6 = Some((local, remote)),
        }
        self.opened_at.get_or_insert(now);
    }

    pub(super) fn closed(&mut self, family: Family) {
        match family {
            Family::Ipv4 => self.ipv4 = None,
            Family::Ipv6 => self.ipv6 = None,
        }
    }

    /// What is open makes the assignment.
    pub(super) fn assignment(&self) -> Assignment {
        let mut assignment = Assignment::default();
        if let Some((local, remote)) = self.ipv4 {
            let told = Some(remote).filter(|remote| !remote.is_unspecified());
            let gateway = told.unwrap_or(DUMMY_PEER);
            let servers = self.ppp.name_servers().dns.into_iter();
            assignment.addresses.push(own(local.into()));
            assignment.routers.push(router(gateway.into()));
            assignment.name_servers = servers.map(IpAddr::V4).collect();
            // Some that have one tell it twice.
            assignment.name_servers.dedup();
            assignment.server = told.map(IpAddr::V4);
        }
        if let Some((local, remote)) = self.ipv6 {
            let told = Some(remote).filter(|remote| !remote.is_unspecified());
            if !local.is_unspecified() {
                assignment.addresses.push(own(local.into()));
            }
            assignment
                .routers
                .extend(told.map(|remote| router(remote.into())));
            assignment.server = assignment.server.or_else(|| told.map(IpAddr::V6));
        }
        if self.is_open() {
            assignment.mtu = Some(self.mtu.min(self.ppp.peer_mru()));
        }
        assignment
    }
}

/// An address of ours that no neighbour is known by.
const fn own(address: IpAddr) -> Address {
    Address {
        address,
        prefix_length: if address.is_ipv4() { 32 } else { 128 },
        preferred_until: None,
        valid_until: None,
    }
}

const fn router(address: IpAddr) -> Router {
    Router {
        address,
        valid_until: None,
    }
}
