//! The DHCP client of one interface (RFC 2131, with the options of RFC 2132, RFC
//! 3396, RFC 3442, RFC 4361 and RFC 6842).
//!
//! Clauses in comments are those of RFC 2131.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Duration;

use dhcproto::v4::MessageType;
use rand::Rng;
use rand::rngs::StdRng;

use super::{Action, Assignment};

mod counters;
mod lease;
pub(super) mod message;
mod sending;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use counters::DhcpCounters;

use counters::Refusal;
use lease::Lease;
use message::{Identity, Kind, Outgoing, Reply};

/// How often an offered address is asked for before the client starts anew: in
/// half a minute another server may have been found.
const MAX_REQUESTS: u32 = 3;
/// How long nothing is asked for after an address was declined (3.1, 5).
const DECLINE_WAIT: Duration = Duration::from_secs(10);

/// What the administrator says of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DhcpSettings {
    /// Told to the server (RFC 2132, 3.14).
    pub hostname: Option<String>,
    /// The client identifier, from its type octet on (RFC 2132, 9.14); otherwise one
    /// of RFC 4361 is made of the MAC address.
    pub client_id: Option<Vec<u8>>,
    /// The class identifier (RFC 2132, 9.13).
    pub vendor_class: Option<String>,
}

/// The states of figure 5. INIT-REBOOT and REBOOTING are one here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DhcpState {
    /// Nothing is asked for: the link is down, or a wait is not over.
    Init,
    Selecting,
    Requesting,
    /// The known address is asked for on a link that has come up.
    InitReboot,
    Bound,
    Renewing,
    Rebinding,
}

impl std::fmt::Display for DhcpState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Init => "init",
            Self::Selecting => "selecting",
            Self::Requesting => "requesting",
            Self::InitReboot => "init-reboot",
            Self::Bound => "bound",
            Self::Renewing => "renewing",
            Self::Rebinding => "rebinding",
        })
    }
}

/// What moves the machine.
#[derive(Debug)]
enum Event {
    LinkUp,
    LinkDown,
    /// [`DhcpClient::due`] has come.
    Timeout,
    /// The lease has run out.
    Expired,
    Offer(Reply),
    Ack(Reply),
    Nak(Reply),
    /// Somebody else has our address.
    Conflict,
    /// The network may be another one.
    Doubt,
}

/// A lease, and when it was asked for.
#[derive(Debug)]
struct Held {
    lease: Lease,
    since: Duration,
}

impl Held {
    fn expiry(&self) -> Option<Duration> {
        self.lease.expiry(self.since)
    }
}

/// The client. Its link counts as down until [`DhcpClient::set_link`].
///
/// An address is held until its lease ends, also over cuts of the link and while
/// no server answers; a Nak or a conflict ends it earlier. After a cut it is asked
/// for again, once: when nobody answers to that, the network may be another one,
/// and any address will do. The one held stays until there is another.
///
/// [`Action::Changed`] says that another address, router, MTU or name server is
/// there, or none. A renewal that only moves the times, or comes from another
/// server, changes [`DhcpClient::assignment`] without a word.
#[derive(Debug)]
pub struct DhcpClient {
    identity: Identity,
    rng: StdRng,
    link_is_up: bool,
    is_released: bool,
    state: DhcpState,
    /// When the state has something to do.
    due: Option<Duration>,
    xid: u32,
    /// When the transaction began.
    began: Duration,
    /// The first DHCPREQUEST of the transaction: a lease counts from there (4.4.1).
    requested_at: Duration,
    /// Messages sent in this state.
    attempts: u32,
    /// Of the last message, since the transaction began.
    seconds: u16,
    /// What is asked for, and of whom.
    asked: Ipv4Addr,
    server: Ipv4Addr,
    held: Option<Held>,
    /// The last address that was held, to be asked for again.
    known: Option<Ipv4Addr>,
    /// Naks since the last lease.
    naks_in_a_row: u32,
    identification: u16,
    assignment: Assignment,
    actions: VecDeque<Action>,
    counters: DhcpCounters,
}

impl DhcpClient {
    pub fn new(now: Duration, mac: [u8; 6], settings: DhcpSettings, mut rng: StdRng) -> Self {
        let identity = Identity {
            mac,
            client_id: settings.client_id.unwrap_or_else(|| client_id(mac)),
            hostname: settings.hostname.filter(|name| !name.is_empty()),
            vendor_class: settings.vendor_class.filter(|class| !class.is_empty()),
        };
        Self {
            identity,
            identification: rng.random(),
            rng,
            link_is_up: false,
            is_released: false,
            state: DhcpState::Init,
            due: None,
            xid: 0,
            began: now,
            requested_at: now,
            attempts: 0,
            seconds: 0,
            asked: Ipv4Addr::UNSPECIFIED,
            server: Ipv4Addr::UNSPECIFIED,
            held: None,
            known: None,
            naks_in_a_row: 0,
            assignment: Assignment::default(),
            actions: VecDeque::new(),
            counters: DhcpCounters::default(),
        }
    }

    /// The port's link. Nothing is sent while it is down.
    pub fn set_link(&mut self, now: Duration, up: bool) {
        if up != self.link_is_up && !self.is_released {
            self.expire(now);
            self.link_is_up = up;
            self.step(now, if up { Event::LinkUp } else { Event::LinkDown });
        }
    }

    /// An IPv4 packet from its header on, which has not been looked at: one that is
    /// not for us is counted.
    pub fn handle_packet(&mut self, now: Duration, packet: &[u8]) {
        let reply = match message::parse(packet, &self.identity) {
            Ok(reply) if reply.xid == self.xid && self.attempts > 0 => reply,
            Ok(_) => return self.counters.refuse(Refusal::OtherTransaction),
            Err(refusal) => return self.counters.refuse(refusal),
        };
        let (event, counter): (fn(Reply) -> Event, _) = match reply.kind {
            Kind::Offer => (Event::Offer, &mut self.counters.received_offer),
            Kind::Ack => (Event::Ack, &mut self.counters.received_ack),
            Kind::Nak => (Event::Nak, &mut self.counters.received_nak),
        };
        *counter += 1;
        self.step(now, event(reply));
    }

    /// Somebody else answers for `address` (RFC 5227). If it is ours it is given
    /// back and not asked for again at once.
    pub fn handle_conflict(&mut self, now: Duration, address: Ipv4Addr) {
        if self.held_address() == Some(address) {
            self.step(now, Event::Conflict);
        }
    }

    /// Something says that another network is behind the cable, though the link was
    /// never seen to be down: the router has fallen silent. What is held is asked for
    /// again, at once; what is being asked for already is not.
    pub fn verify(&mut self, now: Duration) {
        self.expire(now);
        self.step(now, Event::Doubt);
    }

    pub fn handle_timeout(&mut self, now: Duration) {
        self.expire(now);
        if self.due.is_some_and(|at| at <= now) {
            self.step(now, Event::Timeout);
        }
    }

    pub fn next_timeout(&self) -> Option<Duration> {
        self.due.into_iter().chain(self.expiry()).min()
    }

    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Gives the address back and stops for ever. The packet that says so comes
    /// before [`Action::Changed`], while there is still a way to the server (4.4.6).
    pub fn release(&mut self, now: Duration) {
        self.expire(now);
        if let Some(held) = self.held.as_ref().filter(|_| self.link_is_up) {
            let (address, server) = (held.lease.address, held.lease.server);
            self.begin(now);
            let release = Outgoing {
                client_address: address,
                server: Some(server),
                ..self.outgoing(MessageType::Release)
            };
            self.counters.sent_release += 1;
            self.send_to(server, address, &release);
        }
        self.lose();
        self.link_is_up = false;
        self.is_released = true;
        self.rest(None);
    }

    /// Empty while nothing is held.
    pub fn assignment(&self) -> &Assignment {
        &self.assignment
    }

    pub fn state(&self) -> DhcpState {
        self.state
    }

    pub fn counters(&self) -> &DhcpCounters {
        &self.counters
    }

    /// When what is held is to be renewed, or the next attempt of that is due.
    pub fn renewal(&self) -> Option<Duration> {
        use DhcpState::{Bound, Rebinding, Renewing};
        self.due
            .filter(|_| matches!(self.state, Bound | Renewing | Rebinding))
    }

    fn held_address(&self) -> Option<Ipv4Addr> {
        self.held.as_ref().map(|held| held.lease.address)
    }

    fn expiry(&self) -> Option<Duration> {
        self.held.as_ref().and_then(Held::expiry)
    }

    fn expire(&mut self, now: Duration) {
        if self.expiry().is_some_and(|at| at <= now) {
            self.step(now, Event::Expired);
        }
    }

    fn step(&mut self, now: Duration, event: Event) {
        if let Err(refusal) = self.transition(now, event) {
            self.counters.refuse(refusal);
        }
    }

    /// Figure 5, and what it leaves out.
    fn transition(&mut self, now: Duration, event: Event) -> Result<(), Refusal> {
        use DhcpState::{Bound, Init, InitReboot, Rebinding, Renewing, Requesting, Selecting};
        match (self.state, event) {
            // A link that was down may lead to another network now (3.7, 4.4.2).
            (_, Event::LinkDown) => self.rest(None),
            (_, Event::LinkUp) => match self.held_address() {
                Some(address) => self.reboot(now, address),
                None => self.discover(now),
            },

            // 4.4.1. The first DHCPDISCOVER is not put off for up to ten seconds: few
            // clients of a network start together, and traffic waits for this one.
            (Init, Event::Timeout) => self.discover(now),
            (Selecting, Event::Timeout) => self.send_discover(now),
            (Selecting, Event::Offer(offer)) => self.select(now, &offer)?,

            // 3.1, 5.
            (Requesting, Event::Timeout) if self.attempts >= MAX_REQUESTS => self.discover(now),
            (Requesting, Event::Timeout) => self.send_request(now),
            (Requesting | Renewing, Event::Ack(reply) | Event::Nak(reply))
                if reply.server != self.server =>
            {
                return Err(Refusal::OtherServer);
            }
            // From the server that was asked another address will do, too.
            (Requesting | Renewing, Event::Ack(ack)) => self.bind(now, &ack)?,

            // 3.2: a server that does not know us keeps silent. Whoever knows us may answer.
            (InitReboot, Event::Timeout) => self.discover(now),
            (InitReboot | Rebinding, Event::Ack(ack)) if ack.address != self.asked => {
                return Err(Refusal::OtherAddress);
            }
            (InitReboot | Rebinding, Event::Ack(ack)) => self.bind(now, &ack)?,

            (Bound | Renewing | Rebinding, Event::Doubt) => {
                if let Some(address) = self.held_address() {
                    self.reboot(now, address);
                }
            }
            // Neither the server nor the router says anything: it is another network.
            (InitReboot, Event::Doubt) => self.discover(now),
            (Init | Selecting | Requesting, Event::Doubt) => {}

            // 4.4.5.
            (Bound | Renewing, Event::Timeout) if self.is_time_to_rebind(now) => self.rebind(now),
            (Bound, Event::Timeout) => self.renew(now),
            (Renewing | Rebinding, Event::Timeout) => self.send_request(now),

            (Requesting | InitReboot | Renewing | Rebinding, Event::Nak(_)) => self.start_anew(now),

            // 4.4.5: the address is not used from here on.
            (state, Event::Expired) => {
                self.counters.expired += 1;
                self.lose();
                if matches!(state, InitReboot | Bound | Renewing | Rebinding) {
                    self.discover(now);
                }
            }

            // 3.1, 5, and 4.4.4.
            (_, Event::Conflict) => self.decline(now),

            (_, Event::Offer(_) | Event::Ack(_) | Event::Nak(_)) => {
                return Err(Refusal::Unexpected);
            }
        }
        Ok(())
    }

    /// Nothing is to be done, or nothing before that time.
    fn rest(&mut self, due: Option<Duration>) {
        self.state = DhcpState::Init;
        self.due = due;
    }

    /// A new transaction.
    fn begin(&mut self, now: Duration) {
        self.xid = self.rng.random();
        self.began = now;
        self.seconds = 0;
        self.attempts = 0;
    }

    fn discover(&mut self, now: Duration) {
        self.begin(now);
        self.state = DhcpState::Selecting;
        self.send_discover(now);
    }

    /// Takes an offer that holds everything that is needed; others go on being waited for.
    fn select(&mut self, now: Duration, offer: &Reply) -> Result<(), Refusal> {
        let lease = Lease::read(offer, &mut self.counters)?;
        (self.asked, self.server) = (lease.address, lease.server);
        self.state = DhcpState::Requesting;
        // 4.4.1: the transaction goes on.
        self.attempts = 0;
        self.send_request(now);
        Ok(())
    }

    fn reboot(&mut self, now: Duration, address: Ipv4Addr) {
        self.begin(now);
        self.asked = address;
        self.state = DhcpState::InitReboot;
        self.send_request(now);
    }

    fn renew(&mut self, now: Duration) {
        self.ask_again(now, DhcpState::Renewing);
    }

    fn rebind(&mut self, now: Duration) {
        self.ask_again(now, DhcpState::Rebinding);
    }

    fn ask_again(&mut self, now: Duration, state: DhcpState) {
        if let Some(held) = &self.held {
            (self.asked, self.server) = (held.lease.address, held.lease.server);
            self.begin(now);
            self.state = state;
            self.send_request(now);
        }
    }

    fn is_time_to_rebind(&self, now: Duration) -> bool {
        self.rebinding().is_some_and(|at| at <= now)
    }

    fn rebinding(&self) -> Option<Duration> {
        let held = self.held.as_ref()?;
        Some(held.since + held.lease.times?.rebinding)
    }

    fn bind(&mut self, now: Duration, ack: &Reply) -> Result<(), Refusal> {
        let lease = Lease::read(ack, &mut self.counters)?;
        let since = self.requested_at;
        if lease.expiry(since).is_some_and(|at| at <= now) {
            return Err(Refusal::Late);
        }
        let is_new = |held: &Held| !held.lease.gives_the_same(&lease);
        if self.held.as_ref().is_none_or(is_new) {
            self.actions.push_back(Action::Changed);
        }
        self.assignment = lease.assignment(since);
        self.state = DhcpState::Bound;
        // At once, if the answer was long on its way.
        self.due = lease.times.map(|times| now.max(since + times.renewal));
        self.known = Some(lease.address);
        self.naks_in_a_row = 0;
        self.held = Some(Held { lease, since });
        Ok(())
    }

    fn lose(&mut self) {
        if self.held.take().is_some() {
            self.assignment = Assignment::default();
            self.actions.push_back(Action::Changed);
        }
    }

    /// After a Nak: at once (3.1, 4), but a server that goes on refusing what it has
    /// offered is not asked without end.
    fn start_anew(&mut self, now: Duration) {
        self.counters.naks += 1;
        self.lose();
        self.known = None;
        let naks = self.naks_in_a_row;
        self.naks_in_a_row = naks.saturating_add(1);
        match naks.checked_sub(1) {
            None => self.discover(now),
            Some(waits) => {
                let wait = self.wait(waits);
                self.rest(Some(now + wait));
            }
        }
    }

    fn decline(&mut self, now: Duration) {
        let Some((address, server)) = self
            .held
            .as_ref()
            .map(|held| (held.lease.address, held.lease.server))
        else {
            return;
        };
        self.counters.declined += 1;
        self.lose();
        self.known = None;
        if !self.link_is_up {
            return;
        }
        self.begin(now);
        let decline = Outgoing {
            requested: Some(address),
            server: Some(server),
            ..self.outgoing(MessageType::Decline)
        };
        self.counters.sent_decline += 1;
        self.send_to_all(Ipv4Addr::UNSPECIFIED, &decline);
        self.rest(Some(now + DECLINE_WAIT));
    }
}

/// The identifier of a client that was given none (RFC 4361, 6.1): type 255, an
/// IAID, and a DUID of the link-layer address (RFC 8415, 11.4).
fn client_id(mac: [u8; 6]) -> Vec<u8> {
    let [_, _, iaid @ ..] = mac;
    let mut id = vec![255];
    id.extend(iaid);
    id.extend([0, 3, 0, 1]);
    id.extend(mac);
    id
}
