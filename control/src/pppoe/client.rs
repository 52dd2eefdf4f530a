//! One line: discovery, then PPP, then both again.

use std::collections::VecDeque;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::discovery::{Discovery, Found, PLAIN_PAYLOAD_OCTETS, Step, Wish, error_of};
use super::link::Link;
use super::packet::{self, Code, Packet, tag};
use super::{Concentrator, PppoeAction, PppoeCounters, PppoeSettings, PppoeState};
use crate::addressing::Assignment;
use crate::ppp::{CloseReason, EchoStatistics, Event, Family, Output};

const FIRST_PAUSE_MS: u64 = 1_000;
const PAUSE_MAX_MS: u64 = 60_000;
/// A concentrator that refuses our password is asked less often: some lock a
/// line after a few attempts.
const REFUSED_FIRST_PAUSE_MS: u64 = 10_000;
const REFUSED_PAUSE_MAX_MS: u64 = 300_000;
/// A session that was open for so long ends the count of failures.
const STABLE: Duration = Duration::from_secs(10);

/// Why an attempt or a session ended, as far as the next one is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// The peer ended what was open: it is expected back.
    Ended,
    /// Nothing was agreed, or the session went silent.
    Broken,
    /// We are not let in.
    Refused,
}

const fn failure_of(reason: &CloseReason, was_open: bool) -> Failure {
    match reason {
        CloseReason::PeerTerminated(_) | CloseReason::LowerLayerDown if was_open => Failure::Ended,
        CloseReason::AuthenticationRefused | CloseReason::AuthenticationFailed { .. } => {
            Failure::Refused
        }
        _ => Failure::Broken,
    }
}

enum Stage {
    Idle,
    Waiting { until: Duration },
    Discovery(Box<Discovery>),
    Session(Box<Link>),
}

/// The PPPoE client of one line.
pub struct PppoeClient {
    settings: PppoeSettings,
    wish: Wish,
    rng: StdRng,
    is_up: bool,
    is_closed: bool,
    stage: Stage,
    /// Attempts and short sessions in a row.
    failures: u32,
    /// The concentrator of the last attempt, if nothing came of it.
    avoided: Option<[u8; 6]>,
    assignment: Assignment,
    concentrator: Option<Concentrator>,
    last_error: Option<String>,
    counters: PppoeCounters,
    actions: VecDeque<PppoeAction>,
}

impl PppoeClient {
    /// The client of the line at `mac`, which is down until
    /// [`PppoeClient::set_link`] says otherwise. All it ever does by chance
    /// comes from `rng`.
    #[must_use]
    pub fn new(_now: Duration, mac: [u8; 6], settings: PppoeSettings, rng: StdRng) -> Self {
        Self {
            wish: Wish {
                mac,
                service_name: settings.service_name.clone(),
                ac_name: settings.ac_name.clone(),
                max_payload: Some(settings.mtu).filter(|&mtu| mtu > PLAIN_PAYLOAD_OCTETS),
            },
            settings,
            rng,
            is_up: false,
            is_closed: false,
            stage: Stage::Idle,
            failures: 0,
            avoided: None,
            assignment: Assignment::default(),
            concentrator: None,
            last_error: None,
            counters: PppoeCounters::default(),
            actions: VecDeque::new(),
        }
    }

    /// The carrier went down, which ends the session at once, or up, which
    /// begins discovery.
    pub fn set_link(&mut self, now: Duration, up: bool) {
        if self.is_closed || std::mem::replace(&mut self.is_up, up) == up {
            return;
        }
        self.failures = 0;
        self.avoided = None;
        if up {
            self.discover(now);
        } else {
            self.last_error = Some("the port is down".to_owned());
            self.leave_session();
            self.stage = Stage::Idle;
        }
    }

    /// A frame with EtherType 0x8863, from its Ethernet header on, without a
    /// VLAN tag.
    pub fn handle_discovery(&mut self, now: Duration, frame: &[u8]) {
        let Ok(packet) = Packet::parse(frame) else {
            self.counters.malformed += 1;
            return;
        };
        let source = packet.ethernet.source;
        if packet.ethernet.destination != self.wish.mac
            || source == self.wish.mac
            || source[0] & 1 != 0
        {
            self.counters.not_for_us += 1;
            return;
        }
        match (&mut self.stage, packet.code) {
            (Stage::Discovery(discovery), Code::Offer | Code::Confirmation) => {
                let step =
                    discovery.handle(now, &packet, &self.wish, &mut self.rng, &mut self.counters);
                self.take_step(now, step);
            }
            (Stage::Session(link), Code::Confirmation | Code::Termination)
                if link.found.mac != source =>
            {
                self.counters.wrong_source += 1;
            }
            (Stage::Session(_), Code::Confirmation) => self.confirmed_again(&packet),
            (Stage::Session(link), Code::Termination) if link.found.session == packet.session => {
                self.counters.terminations_received += 1;
                let why = error_of(&packet).map_or_else(String::new, |error| format!(": {error}"));
                link.terminated = Some(format!("access concentrator ended the session{why}"));
                link.ppp.close(now, CloseReason::LowerLayerDown);
                self.settle(now);
            }
            _ => self.counters.unexpected += 1,
        }
    }

    /// A frame with EtherType 0x8864 that carries no IP, from its Ethernet
    /// header on, without a VLAN tag.
    pub fn handle_session(&mut self, now: Duration, frame: &[u8]) {
        let Ok((ethernet, session, ppp)) = packet::parse_session(frame) else {
            self.counters.malformed += 1;
            return;
        };
        match &mut self.stage {
            Stage::Session(link)
                if ethernet.source == link.found.mac
                    && ethernet.destination == self.wish.mac
                    && session == link.found.session =>
            {
                self.counters.session_frames_received += 1;
                link.ppp.handle_frame(now, ppp);
                self.settle(now);
            }
            _ => self.counters.unknown_session += 1,
        }
    }

    /// Does what is due by now. Frames that have arrived are to be handled first.
    pub fn handle_timeout(&mut self, now: Duration) {
        match &mut self.stage {
            Stage::Idle => {}
            Stage::Waiting { until } if *until <= now => self.discover(now),
            Stage::Waiting { .. } => {}
            Stage::Discovery(discovery) => {
                let step =
                    discovery.handle_timeout(now, &self.wish, &mut self.rng, &mut self.counters);
                if discovery.is_unanswered() {
                    self.last_error = Some("no access concentrator answers".to_owned());
                }
                self.take_step(now, step);
            }
            Stage::Session(link) => {
                link.ppp.handle_timeout(now);
                self.settle(now);
            }
        }
    }

    /// When [`PppoeClient::handle_timeout`] is to be called.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        match &self.stage {
            Stage::Idle => None,
            Stage::Waiting { until } => Some(*until),
            Stage::Discovery(discovery) => Some(discovery.due()),
            Stage::Session(link) => link.ppp.next_timeout(),
        }
    }

    /// The next thing to do, in order.
    pub fn poll_action(&mut self) -> Option<PppoeAction> {
        self.actions.pop_front()
    }

    /// Ends the session for good: the peer is told by PPP and by PADT at once,
    /// and nothing is waited for.
    pub fn close(&mut self, now: Duration) {
        if let Stage::Session(link) = &mut self.stage {
            link.ppp.close(now, CloseReason::Administrative);
            while let Some(output) = link.ppp.poll_output() {
                if let Output::Frame(frame) = output {
                    let frame = link.encapsulate(self.wish.mac, &frame);
                    self.actions.push_back(PppoeAction::Frame(frame));
                }
            }
            self.terminate();
        }
        self.leave_session();
        self.stage = Stage::Idle;
        self.is_closed = true;
    }

    #[must_use]
    pub fn state(&self) -> PppoeState {
        match &self.stage {
            Stage::Idle | Stage::Waiting { .. } => PppoeState::Idle,
            Stage::Discovery(discovery) if discovery.is_requesting() => PppoeState::Requesting,
            Stage::Discovery(_) => PppoeState::Discovering,
            Stage::Session(link) if link.is_open() => PppoeState::Open,
            Stage::Session(_) => PppoeState::Negotiating,
        }
    }

    /// What IPCP gave: our address, by itself, with the peer's as router; of
    /// IPv6 the two link-local addresses alone. Empty unless the line is open.
    #[must_use]
    pub fn assignment(&self) -> &Assignment {
        &self.assignment
    }

    /// The other end, as long as there is a session.
    #[must_use]
    pub fn concentrator(&self) -> Option<&Concentrator> {
        self.concentrator.as_ref()
    }

    /// What ended the last attempt or session, or keeps the present one from
    /// opening. It stays when the line is open again.
    #[must_use]
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// What our LCP echoes have shown, as long as there is a session.
    #[must_use]
    pub fn echo_statistics(&self) -> Option<EchoStatistics> {
        match &self.stage {
            Stage::Session(link) => Some(link.ppp.echo_statistics()),
            _ => None,
        }
    }

    #[must_use]
    pub fn counters(&self) -> &PppoeCounters {
        &self.counters
    }

    fn discover(&mut self, now: Duration) {
        let avoided = self.avoided.take();
        let (discovery, step) =
            Discovery::begin(now, &self.wish, avoided, &mut self.rng, &mut self.counters);
        self.stage = Stage::Discovery(Box::new(discovery));
        self.take_step(now, step);
    }

    fn take_step(&mut self, now: Duration, step: Step) {
        match step {
            Step::Nothing => {}
            Step::Send(frame) => self.actions.push_back(PppoeAction::Frame(frame)),
            Step::Refused(why) => self.last_error = Some(why),
            Step::Found(found) => self.begin_session(now, found),
            Step::Failed { concentrator, why } => {
                self.avoided = Some(concentrator);
                self.last_error = Some(why);
                self.try_again(now, Failure::Broken);
            }
        }
    }

    fn begin_session(&mut self, now: Duration, found: Found) {
        self.concentrator = Some(Concentrator {
            mac: found.mac,
            name: found.ac_name.clone(),
            session: found.session,
        });
        self.actions.push_back(PppoeAction::SessionUp {
            id: found.session,
            access_concentrator: found.mac,
        });
        let rng = StdRng::from_rng(&mut self.rng);
        let link = Link::start(now, &self.settings, found, rng);
        self.stage = Stage::Session(Box::new(link));
        self.settle(now);
    }

    /// A PADR that we repeated is answered once more, perhaps by a session that
    /// nobody will use. Only so many are believed as there may be.
    fn confirmed_again(&mut self, packet: &Packet<'_>) {
        self.counters.unexpected += 1;
        let Stage::Session(link) = &mut self.stage else {
            return;
        };
        let found = &mut link.found;
        let is_another = ![0, 0xffff, found.session].contains(&packet.session);
        if packet.tag(tag::HOST_UNIQ) == Some(&found.host_uniq)
            && is_another
            && found.spare_requests > 0
        {
            found.spare_requests -= 1;
            let concentrator = found.mac;
            self.send_termination(concentrator, packet.session);
        }
    }

    /// Carries out what PPP wants, in its order.
    fn settle(&mut self, now: Duration) {
        while let Stage::Session(link) = &mut self.stage
            && let Some(output) = link.ppp.poll_output()
        {
            match output {
                Output::Frame(frame) => {
                    let frame = link.encapsulate(self.wish.mac, &frame);
                    self.actions.push_back(PppoeAction::Frame(frame));
                }
                Output::Event(event) => self.handle_event(now, event),
            }
        }
    }

    fn handle_event(&mut self, now: Duration, event: Event) {
        let Stage::Session(link) = &mut self.stage else {
            return;
        };
        match event {
            Event::Authenticated { .. } => return,
            Event::Opened(network) => {
                if link.opened_at.is_none() {
                    self.counters.sessions_opened += 1;
                }
                link.opened(now, network);
            }
            Event::NetworkDown(family) => link.closed(family),
            Event::Suspended => {
                link.closed(Family::Ipv4);
                link.closed(Family::Ipv6);
            }
            Event::Closed { reason } => return self.end_session(now, &reason),
        }
        let assignment = link.assignment();
        self.become_assigned(assignment);
    }

    /// PPP has ended, and the session with it. What PPP was ending for already
    /// counts for more than the concentrator's PADT.
    fn end_session(&mut self, now: Duration, reason: &CloseReason) {
        let Stage::Session(link) = &mut self.stage else {
            return;
        };
        let terminated = link.terminated.take();
        let opened_at = link.opened_at;
        if opened_at.is_some_and(|opened_at| now.saturating_sub(opened_at) >= STABLE) {
            self.failures = 0;
        } else if opened_at.is_none() {
            self.avoided = Some(link.found.mac);
        }
        if terminated.is_none() {
            self.terminate();
        }
        self.leave_session();
        self.last_error = match terminated {
            Some(why) if *reason == CloseReason::LowerLayerDown => Some(why),
            _ => Some(reason.to_string()),
        };
        self.try_again(now, failure_of(reason, opened_at.is_some()));
    }

    /// Tells the concentrator that the session is over.
    fn terminate(&mut self) {
        if let Some(Concentrator { mac, session, .. }) = self.concentrator {
            self.send_termination(mac, session);
        }
    }

    fn send_termination(&mut self, concentrator: [u8; 6], session: u16) {
        let mac = self.wish.mac;
        let frame = packet::discovery_frame(mac, concentrator, Code::Termination, session, &[]);
        self.counters.terminations_sent += 1;
        self.actions.extend(frame.map(PppoeAction::Frame));
    }

    /// What there was by the session is gone.
    fn leave_session(&mut self) {
        if self.concentrator.take().is_some() {
            self.actions.push_back(PppoeAction::SessionDown);
        }
        self.become_assigned(Assignment::default());
    }

    /// The next attempt: after a pause that doubles; at once when the peer ended
    /// a session in order, but not again and again.
    fn try_again(&mut self, now: Duration, failure: Failure) {
        let doublings = self.failures.min(16);
        let pause_ms = match failure {
            Failure::Ended if self.failures == 0 => 0,
            Failure::Ended => (FIRST_PAUSE_MS << (doublings - 1)).min(PAUSE_MAX_MS),
            Failure::Broken => (FIRST_PAUSE_MS << doublings).min(PAUSE_MAX_MS),
            Failure::Refused => (REFUSED_FIRST_PAUSE_MS << doublings).min(REFUSED_PAUSE_MAX_MS),
        };
        self.failures = self.failures.saturating_add(1);
        if pause_ms == 0 {
            self.discover(now);
        } else {
            let jittered_ms = pause_ms - self.rng.random_range(0..=pause_ms / 4);
            let until = now + Duration::from_millis(jittered_ms);
            self.stage = Stage::Waiting { until };
        }
    }

    fn become_assigned(&mut self, assignment: Assignment) {
        if self.assignment != assignment {
            self.assignment = assignment;
            self.actions.push_back(PppoeAction::Changed);
        }
    }
}
