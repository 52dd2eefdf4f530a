//! One PPP link: its phases (RFC 1661 3), and what goes on in each.
mod network;
mod proxy;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use self::proxy::Judged;
use super::auth::{Auth, Credentials, Party, Step};
use super::echo::{Due, Echo};
use super::fsm::State;
use super::layer::{Effect, Layer};
use super::lcp::Lcp;
use super::networks::{Networks, failure_of, family_of};
use super::packet::{self, Packet, code, protocol};
use super::{
    AuthProtocol, CloseReason, Config, EchoStatistics, Event, Logins, NameServers, Output, Role,
    Timers,
};

/// Frames kept for a phase that the peer is already in: what overtakes the
/// packet that gets us there too.
const MAX_EARLY_FRAMES: usize = 6;

/// A frame longer than this is no early login packet.
const MAX_EARLY_OCTETS: usize = 1024;

/// RFC 1661 3.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Dead,
    Establish,
    Authenticate,
    Network,
    Terminate,
    /// Dead again, for good.
    Closed,
}

/// One PPP link over one L2TP or PPPoE session. It never reads a clock, and sends
/// nothing itself.
pub struct Session {
    role: Role,
    ipv6: bool,
    timers: Timers,
    rng: StdRng,
    phase: Phase,
    lcp: Layer<Lcp>,
    auth: Auth,
    /// What the peer answered to a LAC, until LCP is up.
    judged: Option<Judged>,
    networks: Option<Networks>,
    echo: Echo,
    login_deadline: Option<Duration>,
    early: Vec<Vec<u8>>,
    /// Whether `Authenticated` was told and not withdrawn.
    announced: bool,
    reason: Option<CloseReason>,
    output: VecDeque<Output>,
}

impl Session {
    /// A session that has not begun. All it ever does by chance comes from `rng`.
    pub fn new(config: Config, mut rng: StdRng) -> Self {
        let Config {
            role,
            lower_layer,
            ipv6,
            mru,
            lcp_rate,
            lcp_timeout,
            ignore_magic,
            timers,
        } = config;
        let (demanded, offered) = match &role {
            Role::Client { protocols, .. } => (Vec::new(), protocols.clone()),
            Role::Server { protocols, .. } => (protocols.clone(), Vec::new()),
        };
        let lcp_rng = StdRng::from_rng(&mut rng);
        let lcp = Lcp::new(lower_layer, mru, demanded, offered, ignore_magic, lcp_rng);
        Self {
            lcp: Layer::new(lcp, timers, rng.random()),
            role,
            ipv6,
            timers,
            rng,
            phase: Phase::Dead,
            auth: Auth::None,
            judged: None,
            networks: None,
            echo: Echo::new(lcp_rate, lcp_timeout),
            login_deadline: None,
            early: Vec::new(),
            announced: false,
            reason: None,
            output: VecDeque::new(),
        }
    }

    /// The session below is there: negotiation begins.
    pub fn start(&mut self, now: Duration) {
        if self.phase == Phase::Dead {
            self.phase = Phase::Establish;
            self.login_deadline = Some(now + self.timers.login);
            self.lcp.open(now);
            self.pump(now);
            self.replay_early(now);
            self.pump(now);
        }
    }

    /// A frame of the peer, from the PPP protocol field on (FF 03 before it and
    /// a compressed protocol are understood too). Frames that mean nothing
    /// here are silently discarded, as RFC 1661 has it.
    pub fn handle_frame(&mut self, now: Duration, frame: &[u8]) {
        if self.awaits_proxy() {
            self.keep_for_later(frame);
        } else if self.phase != Phase::Dead {
            self.dispatch(now, frame);
            self.pump(now);
        }
    }

    /// Does what is due by now. Frames that have arrived are to be handled
    /// first: an echo may be among them that keeps the link.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.lcp.handle_timeout(now);
        if let Some(networks) = &mut self.networks {
            networks.handle_timeout(now);
        }
        self.pump(now);
        self.authentication_timeout(now);
        self.keep_alive(now);
        if self.login_deadline.is_some_and(|deadline| deadline <= now) {
            self.begin_close(now, CloseReason::LoginTimeout);
        }
        self.pump(now);
    }

    /// When [`Session::handle_timeout`] is to be called.
    pub fn next_timeout(&self) -> Option<Duration> {
        [
            self.lcp.deadline(),
            self.networks.as_ref().and_then(Networks::deadline),
            self.auth.deadline(),
            self.echo.deadline(),
            self.login_deadline,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    /// Closes the link: the peer is told by Terminate-Request, and
    /// [`Event::Closed`] with this reason comes when it has answered or has
    /// had its time (Max-Terminate restart timers); at once for
    /// [`CloseReason::LowerLayerDown`]. The first reason given is the one that
    /// is told, and a closed session stays so.
    pub fn close(&mut self, now: Duration, reason: CloseReason) {
        self.begin_close(now, reason);
        self.pump(now);
    }

    /// Sends an Echo-Request now, besides those of `lcp_rate`. Nothing happens
    /// unless LCP is open.
    pub fn send_echo(&mut self, now: Duration) {
        if self.lcp.state() == State::Opened {
            self.send_echo_request(now);
            self.pump(now);
        }
    }

    /// What the echoes have shown so far.
    pub fn echo_statistics(&self) -> EchoStatistics {
        self.echo.statistics()
    }

    /// The longest information field the peer takes, in octets; 1500 until it
    /// said otherwise.
    pub fn peer_mru(&self) -> u16 {
        self.lcp.negotiator.peer().mru
    }

    /// Our magic number, 0 if the peer rejected it, while LCP is open: whoever
    /// answers the peer's Echo-Requests needs it.
    pub fn open_magic(&self) -> Option<u32> {
        (self.lcp.state() == State::Opened).then(|| self.lcp.negotiator.magic())
    }

    /// The name servers that the peer has told us, if we asked.
    pub fn name_servers(&self) -> NameServers {
        self.networks
            .as_ref()
            .map(Networks::name_servers)
            .unwrap_or_default()
    }

    /// Whether IPv4 or IPv6 may pass both ways.
    pub fn is_open(&self) -> bool {
        self.networks.as_ref().is_some_and(Networks::any_is_open)
    }

    /// Whether the link has ended or is being terminated: it never comes up again.
    pub fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Terminate | Phase::Closed)
    }

    /// Whether it opens IPv6 where the peer does.
    pub fn offers_ipv6(&self) -> bool {
        self.ipv6
    }

    /// A server takes other logins from now on. `place_now` says where each of before is;
    /// who has logged in as one that is not there any more is to be sent away.
    pub fn set_logins(&mut self, now: &Logins, place_now: impl Fn(usize) -> Option<usize>) {
        let Role::Server { logins, .. } = &mut self.role else {
            return;
        };
        logins.clone_from(now);
        if let Auth::ChapAuthenticator(chap) = &mut self.auth {
            chap.renumber(&place_now);
        }
        for output in &mut self.output {
            if let Output::Event(Event::Authenticated { login, .. }) = output {
                *login = login.and_then(&place_now);
            }
        }
    }

    /// Why it has ended or is about to.
    pub fn close_reason(&self) -> Option<&CloseReason> {
        self.reason.as_ref()
    }

    fn party(role: &Role) -> Party<'_> {
        match role {
            Role::Client {
                username, password, ..
            } => Party::Peer(Credentials { username, password }),
            Role::Server {
                name,
                logins,
                rechallenge,
                ..
            } => Party::Authenticator {
                name,
                logins,
                rechallenge: *rechallenge,
            },
        }
    }

    /// What a frame is, in this phase (RFC 1661 3.4 to 3.7).
    fn dispatch(&mut self, now: Duration, frame: &[u8]) {
        let Some((number, information)) = packet::split(frame) else {
            return;
        };
        if number == protocol::LCP {
            if let Ok(packet) = Packet::parse(information) {
                self.receive_lcp(now, packet);
            }
            return;
        }
        match (self.phase, number) {
            (
                Phase::Establish,
                protocol::PAP | protocol::CHAP | protocol::IPCP | protocol::IPV6CP,
            ) if self.lcp.state() == State::AckSent => self.keep_for_later(frame),
            (Phase::Authenticate, protocol::IPCP | protocol::IPV6CP) => self.keep_for_later(frame),
            (Phase::Authenticate | Phase::Network, protocol::PAP | protocol::CHAP) => {
                if let Ok(packet) = Packet::parse(information) {
                    self.receive_authentication(now, number, packet);
                }
            }
            // The data plane's, or what slipped past it.
            (Phase::Network, protocol::IPV4) => {}
            (Phase::Network, protocol::IPV6) if self.ipv6 => {}
            (Phase::Network, number) => match (family_of(number), &mut self.networks) {
                (Some(family), Some(networks)) if networks.has(family) => {
                    if let Ok(packet) = Packet::parse(information) {
                        networks.receive(now, family, packet);
                    }
                }
                _ => self.reject_protocol(number, information),
            },
            _ => {}
        }
    }

    fn receive_lcp(&mut self, now: Duration, packet: Packet<'_>) {
        let before = self.lcp.state();
        if packet.code == code::CONFIGURE_REQUEST {
            self.early.clear();
        }
        let mirrored = self.lcp.negotiator.is_ours(packet.data);
        if packet.code == code::ECHO_REQUEST && mirrored {
            return;
        }
        self.lcp.receive(now, packet);
        match packet.code {
            code::TERMINATE_REQUEST => self.peer_terminated(before, packet.data),
            code::CODE_REJECT => self.code_rejected(now, before, packet.data),
            code::PROTOCOL_REJECT if before == State::Opened => {
                self.protocol_rejected(now, packet.data)
            }
            code::ECHO_REPLY if before == State::Opened && packet.data.len() >= 4 && !mirrored => {
                self.echo.answered(now, packet.id);
            }
            _ => {}
        }
        if let Some(reason) = self.lcp.negotiator.take_failure() {
            self.begin_close(now, reason);
        } else if self.lcp.diverges() {
            self.begin_close(now, CloseReason::LcpFailed);
        }
    }

    /// The session below carries one PPP link: once the peer has had enough,
    /// there is nothing to wait for but our Terminate-Ack on its way.
    fn peer_terminated(&mut self, before: State, data: &[u8]) {
        if matches!(
            before,
            State::ReqSent | State::AckRcvd | State::AckSent | State::Opened
        ) {
            let text = packet::text(data);
            self.reason.get_or_insert(CloseReason::PeerTerminated(text));
            self.drain_lcp_frames();
            self.finish();
        }
    }

    fn code_rejected(&mut self, now: Duration, before: State, data: &[u8]) {
        match data.first() {
            Some(code::CONFIGURE_REQUEST..=code::CODE_REJECT) if before != State::Closed => {
                self.reason
                    .get_or_insert(CloseReason::Rejected(protocol::LCP));
            }
            // A peer without echoes is at least alive.
            Some(&code::ECHO_REQUEST) if before == State::Opened => self.echo.alive(now),
            _ => {}
        }
    }

    /// RFC 1661 5.7: heeded in Opened only.
    fn protocol_rejected(&mut self, now: Duration, data: &[u8]) {
        let [high, low, ..] = data else {
            return;
        };
        let number = u16::from_be_bytes([*high, *low]);
        match number {
            protocol::LCP => {
                self.reason.get_or_insert(CloseReason::Rejected(number));
                self.lcp.rejected_for_good(now);
            }
            protocol::IPCP | protocol::IPV6CP => {
                if let Some(family) = family_of(number) {
                    self.end_network(now, family, CloseReason::Rejected(number));
                }
            }
            protocol::PAP | protocol::CHAP if self.phase == Phase::Authenticate => {
                self.begin_close(now, CloseReason::Rejected(number));
            }
            _ => {}
        }
    }

    fn reject_protocol(&mut self, number: u16, information: &[u8]) {
        let mut data = number.to_be_bytes().to_vec();
        data.extend_from_slice(self.lcp.truncated(information, 2));
        self.lcp.send_new(code::PROTOCOL_REJECT, &data);
    }

    fn keep_for_later(&mut self, frame: &[u8]) {
        if self.early.len() < MAX_EARLY_FRAMES && frame.len() <= MAX_EARLY_OCTETS {
            self.early.push(frame.to_vec());
        }
    }

    fn replay_early(&mut self, now: Duration) {
        for frame in std::mem::take(&mut self.early) {
            self.dispatch(now, &frame);
        }
    }

    /// Carries out what the layers want until they want nothing more.
    fn pump(&mut self, now: Duration) {
        loop {
            if let Some(effect) = self.lcp.next_effect() {
                match effect {
                    Effect::Frame(frame) => self.output.push_back(Output::Frame(frame)),
                    Effect::Up => self.lcp_up(now),
                    Effect::Down => self.lcp_down(now),
                    Effect::Finished => {
                        self.reason.get_or_insert(CloseReason::LcpFailed);
                        self.finish();
                    }
                }
            } else if let Some((family, effect)) =
                self.networks.as_mut().and_then(Networks::next_effect)
            {
                match effect {
                    Effect::Frame(frame) => self.output.push_back(Output::Frame(frame)),
                    Effect::Up => self.network_up(now, family),
                    Effect::Down => self.network_down(now, family),
                    Effect::Finished => self.network_finished(now, family),
                }
            } else if let Some(family) = self.networks.as_ref().and_then(Networks::diverging) {
                self.end_network(now, family, failure_of(family));
            } else {
                return;
            }
        }
    }

    fn lcp_up(&mut self, now: Duration) {
        self.lcp.peer_mru = self.peer_mru();
        self.echo.start(now);
        let asked = match &self.role {
            Role::Client { .. } => self.lcp.negotiator.peer().authentication,
            Role::Server { .. } => self.lcp.negotiator.demanded(),
        };
        if let Some(judged) = self.judged.take() {
            self.tell_judged(now, judged);
            return self.replay_early(now);
        }
        match (asked, &self.role) {
            (Some(protocol), _) => self.authenticate(now, protocol),
            (None, Role::Client { username, .. }) => {
                let username = username.clone();
                self.enter_network(now, username, None, None);
            }
            (None, Role::Server { .. }) => {
                self.begin_close(now, CloseReason::AuthenticationRefused)
            }
        }
        self.replay_early(now);
    }

    fn authenticate(&mut self, now: Duration, protocol: AuthProtocol) {
        self.phase = Phase::Authenticate;
        let party = Self::party(&self.role);
        self.auth = Auth::new(protocol, &party, &self.timers, &mut self.rng);
        let step = self.auth.start(now, &party, &mut self.rng);
        self.authentication_step(now, step);
    }

    fn receive_authentication(&mut self, now: Duration, protocol: u16, packet: Packet<'_>) {
        let step = self.auth.receive(
            now,
            protocol,
            &packet,
            &Self::party(&self.role),
            &mut self.rng,
        );
        if self.phase == Phase::Network {
            // Whoever challenges an open link asks again if it wants to.
            self.auth.stop_answering();
        }
        self.authentication_step(now, step);
    }

    fn authentication_timeout(&mut self, now: Duration) {
        let step = self
            .auth
            .handle_timeout(now, &Self::party(&self.role), &mut self.rng);
        self.authentication_step(now, step);
    }

    fn authentication_step(&mut self, now: Duration, step: Step) {
        match step {
            Step::Nothing => {}
            Step::Send(frame) => self.output.push_back(Output::Frame(frame)),
            Step::Accepted {
                username,
                login,
                reply,
            } => {
                if self.phase == Phase::Authenticate {
                    self.enter_network(now, username, login, reply);
                    self.replay_early(now);
                } else {
                    // It has proved itself again: nothing changes.
                    self.output.extend(reply.map(Output::Frame));
                }
            }
            Step::Refused {
                username,
                message,
                reply,
            } => {
                self.output.extend(reply.map(Output::Frame));
                self.begin_close(now, CloseReason::AuthenticationFailed { username, message });
            }
            Step::GaveUp => self.begin_close(now, CloseReason::AuthenticationTimeout),
        }
    }

    fn lcp_down(&mut self, now: Duration) {
        self.leave_network();
        match self.lcp.state() {
            State::Closing | State::Stopping => {
                // The restart timer ends it now; the login's time no longer counts.
                self.phase = Phase::Terminate;
                self.login_deadline = None;
            }
            _ => {
                self.phase = Phase::Establish;
                self.login_again(now);
            }
        }
    }

    /// A renegotiation has its time too; one that begins again in the middle
    /// has no more.
    fn login_again(&mut self, now: Duration) {
        self.login_deadline.get_or_insert(now + self.timers.login);
    }

    /// Everything above LCP ends.
    fn leave_network(&mut self) {
        if std::mem::take(&mut self.announced) {
            self.output.push_back(Output::Event(Event::Suspended));
        }
        self.auth = Auth::None;
        self.networks = None;
        self.early.clear();
        self.echo.stop();
        self.lcp.peer_mru = super::layer::DEFAULT_MRU;
    }

    fn send_echo_request(&mut self, now: Duration) {
        let magic = self.lcp.negotiator.magic().to_be_bytes();
        let id = self.lcp.send_new(code::ECHO_REQUEST, &magic);
        self.echo.sent(now, id);
    }

    fn keep_alive(&mut self, now: Duration) {
        match self.echo.due(now) {
            Due::Nothing => {}
            Due::Send => self.send_echo_request(now),
            Due::Dead => {
                // One Terminate-Request in case only our ears are dead.
                self.begin_close(now, CloseReason::EchoTimeout);
                self.drain_lcp_frames();
                self.finish();
            }
        }
    }

    fn begin_close(&mut self, now: Duration, reason: CloseReason) {
        match self.phase {
            Phase::Closed => {}
            Phase::Dead => {
                self.reason = Some(reason);
                self.finish();
            }
            _ if reason == CloseReason::LowerLayerDown => {
                self.reason.get_or_insert(reason);
                self.lcp.lower_layer_down(now);
                self.finish();
            }
            Phase::Terminate => {}
            Phase::Establish | Phase::Authenticate | Phase::Network => {
                let text = reason.to_string();
                self.reason.get_or_insert(reason);
                self.phase = Phase::Terminate;
                self.login_deadline = None;
                self.leave_network();
                self.lcp.close(now, text);
            }
        }
    }

    /// Frames that LCP still wants sent before the end.
    fn drain_lcp_frames(&mut self) {
        while let Some(effect) = self.lcp.next_effect() {
            if let Effect::Frame(frame) = effect {
                self.output.push_back(Output::Frame(frame));
            }
        }
    }

    /// The end: no timer is left, and nothing but Terminate-Acks is said any more.
    fn finish(&mut self) {
        if self.phase == Phase::Closed {
            return;
        }
        self.leave_network();
        self.phase = Phase::Closed;
        self.login_deadline = None;
        self.lcp.halt();
        let reason = self.reason.clone().unwrap_or(CloseReason::Administrative);
        self.output
            .push_back(Output::Event(Event::Closed { reason }));
    }
}
