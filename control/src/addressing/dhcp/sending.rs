//! What a client sends in which state, and when again.

use std::net::Ipv4Addr;
use std::time::Duration;

use dataplane::headers::ethernet::BROADCAST;
use dhcproto::v4::MessageType;
use rand::Rng;

use super::message::{self, Outgoing};
use super::{DhcpClient, DhcpState};
use crate::addressing::Action;

/// How long the first answer is waited for; each time twice as long as before (4.1).
const FIRST_WAIT: Duration = Duration::from_secs(4);
const LONGEST_WAIT: Duration = Duration::from_secs(64);
/// The least between two attempts to renew (4.4.5), of a lease that lasts twenty
/// times as long; shorter ones are renewed more often.
const LONGEST_RENEWAL_WAIT: Duration = Duration::from_secs(60);
const SHORTEST_RENEWAL_WAIT: Duration = Duration::from_secs(1);

impl DhcpClient {
    pub(super) fn send_discover(&mut self, now: Duration) {
        self.seconds = self.seconds_since_beginning(now);
        let discover = Outgoing {
            broadcast: true,
            requested: self.known,
            ..self.outgoing(MessageType::Discover)
        };
        self.counters.sent_discover += 1;
        self.send_to_all(Ipv4Addr::UNSPECIFIED, &discover);
        self.wait_for_an_answer(now);
    }

    /// As the state wants it (4.3.2 and 4.3.6).
    pub(super) fn send_request(&mut self, now: Duration) {
        // The answer to an offer says what the DHCPDISCOVER said (4.4.1).
        if self.state != DhcpState::Requesting {
            self.seconds = self.seconds_since_beginning(now);
        }
        let (asked, server) = (self.asked, self.server);
        let request = self.outgoing(MessageType::Request);
        let first = Outgoing {
            broadcast: true,
            requested: Some(asked),
            ..request
        };
        let again = Outgoing {
            client_address: asked,
            ..request
        };
        self.counters.sent_request += 1;
        if self.attempts == 0 {
            self.requested_at = now;
        }
        match self.state {
            DhcpState::Renewing => self.send_to(server, asked, &again),
            DhcpState::Rebinding => self.send_to_all(asked, &again),
            DhcpState::Requesting => {
                let server = Some(server);
                self.send_to_all(Ipv4Addr::UNSPECIFIED, &Outgoing { server, ..first });
            }
            _ => self.send_to_all(Ipv4Addr::UNSPECIFIED, &first),
        }
        self.wait_for_an_answer(now);
    }

    fn seconds_since_beginning(&self, now: Duration) -> u16 {
        let seconds = now.saturating_sub(self.began).as_secs();
        seconds.try_into().unwrap_or(u16::MAX)
    }

    pub(super) fn outgoing(&self, kind: MessageType) -> Outgoing {
        Outgoing {
            kind,
            xid: self.xid,
            seconds: self.seconds,
            broadcast: false,
            client_address: Ipv4Addr::UNSPECIFIED,
            requested: None,
            server: None,
        }
    }

    pub(super) fn send_to(&mut self, destination: Ipv4Addr, source: Ipv4Addr, message: &Outgoing) {
        let packet = self.packet(source, destination, message);
        self.actions.push_back(Action::Packet(packet));
    }

    pub(super) fn send_to_all(&mut self, source: Ipv4Addr, message: &Outgoing) {
        let packet = self.packet(source, Ipv4Addr::BROADCAST, message);
        let frame = message::frame(BROADCAST, self.identity.mac, &packet);
        self.actions.push_back(Action::Frame(frame));
    }

    fn packet(&mut self, source: Ipv4Addr, destination: Ipv4Addr, message: &Outgoing) -> Vec<u8> {
        self.identification = self.identification.wrapping_add(1);
        message.packet(&self.identity, source, destination, self.identification)
    }

    /// One more message was sent: when the next is due.
    fn wait_for_an_answer(&mut self, now: Duration) {
        let end = match self.state {
            DhcpState::Renewing => self.rebinding(),
            DhcpState::Rebinding => self.expiry(),
            _ => None,
        };
        let lease = self.held.as_ref().and_then(|held| held.lease.times);
        self.due = Some(match end.zip(lease) {
            // 4.4.5: half of what is left.
            Some((end, times)) => {
                let least = (times.lease / 20).clamp(SHORTEST_RENEWAL_WAIT, LONGEST_RENEWAL_WAIT);
                let wait = (end.saturating_sub(now) / 2).max(least);
                end.min(now + wait)
            }
            None => now + self.wait(self.attempts),
        });
        self.attempts = self.attempts.saturating_add(1);
    }

    /// After so many waits in a row, with up to a second more or less (4.1).
    pub(super) fn wait(&mut self, waits: u32) -> Duration {
        let usual = LONGEST_WAIT.min(FIRST_WAIT * 2_u32.pow(waits.min(4)));
        let shift = Duration::from_millis(self.rng.random_range(0..=2000));
        LONGEST_WAIT.min(usual + shift - Duration::from_secs(1))
    }
}
