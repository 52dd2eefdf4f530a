//! A server as RFC 2131, 4.3 wants it, for one client.

use super::*;

#[derive(Debug)]
pub(super) struct Server {
    number: u8,
    lease_s: u32,
    pub(super) is_up: bool,
    /// Keeps silent about addresses it knows nothing of, instead of refusing them (4.3.2).
    pub(super) is_silent_about_strangers: bool,
    /// Answers so much later.
    pub(super) delay: Duration,
    /// The network it gives addresses of.
    pub(super) network: u8,
    /// The address that the client has, as far as it remembers.
    known: Option<Ipv4Addr>,
    /// Every address it ever gave, and until when; what it has forgotten too.
    given: BTreeMap<Ipv4Addr, Duration>,
    declined: u8,
}

impl Server {
    pub(super) fn new(number: u8, lease_s: u32) -> Self {
        Self {
            number,
            lease_s,
            is_up: true,
            is_silent_about_strangers: false,
            delay: Duration::ZERO,
            network: number,
            known: None,
            given: BTreeMap::new(),
            declined: 0,
        }
    }

    pub(super) fn address(&self) -> Ipv4Addr {
        Ipv4Addr::new(192, 0, 2, self.number)
    }

    pub(super) fn lease_until(&self, address: Ipv4Addr) -> Option<Duration> {
        self.given.get(&address).copied()
    }

    pub(super) fn forget(&mut self) {
        self.known = None;
    }

    /// The address for the client, in the network that is given now.
    fn choice(&self) -> Ipv4Addr {
        let [a, b, c, d] = [100, 64, self.network, 10 + self.declined % 100];
        Ipv4Addr::new(a, b, c, d)
    }

    pub(super) fn hear(&mut self, now: Duration, sent: &Sent) -> Option<(Duration, Answer)> {
        let is_mine = sent.server().is_none_or(|server| server == self.address());
        let is_for_all = sent.destination.is_broadcast();
        if !self.is_up || !is_mine || !(is_for_all || sent.destination == self.address()) {
            return None;
        }
        let answer = match sent.kind() {
            MessageType::Discover => self.answer(MessageType::Offer, sent, self.choice()),
            MessageType::Request => self.hear_request(now, sent)?,
            MessageType::Decline => {
                self.declined += 1;
                self.forget();
                return None;
            }
            kind => panic!("{kind:?}"),
        };
        Some((self.delay, answer))
    }

    fn hear_request(&mut self, now: Duration, sent: &Sent) -> Option<Answer> {
        let is_of_offer = sent.server().is_some();
        let asked = match sent.requested() {
            Some(address) => address,
            None => sent.message.ciaddr(),
        };
        // 4.3.2: INIT-REBOOT and REBINDING of clients of others.
        let is_unknown = self.known.is_none() && !is_of_offer;
        if is_unknown && self.is_silent_about_strangers {
            return None;
        }
        let is_right = asked == self.choice() && (is_of_offer || self.known == Some(asked));
        if !is_right {
            self.forget();
            return Some(self.answer(MessageType::Nak, sent, Ipv4Addr::UNSPECIFIED));
        }
        self.known = Some(asked);
        let until = now + s(self.lease_s.into());
        let booked = self.given.entry(asked).or_default();
        *booked = until.max(*booked);
        Some(self.answer(MessageType::Ack, sent, asked))
    }

    fn answer(&self, kind: MessageType, sent: &Sent, address: Ipv4Addr) -> Answer {
        let answer = Answer::new(kind, sent.message.xid(), address, self.lease_s);
        answer.with(DhcpOption::ServerIdentifier(self.address()))
    }
}
