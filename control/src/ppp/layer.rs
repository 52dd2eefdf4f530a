//! What LCP and the NCPs have in common: the automaton with its timer, counters
//! and identifiers, and the exchange of Configure packets.
use std::collections::VecDeque;
use std::time::Duration;

use super::Timers;
use super::fsm::{Action, Event, State, transition};
use super::option::{self, ConfigOption};
use super::packet::{HEADER_OCTETS, Packet, code, frame};

/// The largest information field every peer takes (RFC 1661 6.1).
pub(super) const DEFAULT_MRU: u16 = 1500;

/// A request whose Ack was lost is acknowledged again so often in Opened.
const MAX_REPEATED_ACKS: u32 = 3;

/// What we think of one option of the peer's Configure-Request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Ack,
    /// The option is known, but should have this data.
    Nak(Vec<u8>),
    Reject,
}

/// The options of one protocol: what we ask for and what we grant.
pub(super) trait Negotiator {
    /// The PPP protocol number.
    const PROTOCOL: u16;
    /// The last code beyond Code-Reject this protocol knows.
    const LAST_CODE: u8;
    /// Whether going up is told before the Configure-Ack that does it is sent
    /// (RFC 1661 4.1 lets actions be done in any order).
    const UP_FIRST: bool;

    /// The options we ask for now.
    fn request(&self) -> Vec<u8>;
    /// Judges one option of the peer.
    fn judge(&mut self, option: &ConfigOption<'_>) -> Verdict;
    /// Options the peer must ask for and did not.
    fn missing(&self, options: &[ConfigOption<'_>]) -> Vec<u8>;
    /// We acknowledge these options of the peer.
    fn acknowledged(&mut self, options: &[ConfigOption<'_>]);
    /// The peer would rather have these values in our request.
    fn naked(&mut self, options: &[ConfigOption<'_>]);
    /// The peer will not talk about these options of our request.
    fn rejected(&mut self, options: &[ConfigOption<'_>]);
    /// Negotiation begins again from the defaults.
    fn restart(&mut self);
    /// An Echo-Reply's data, where the protocol has echoes.
    fn echo_reply(&self, request: &[u8]) -> Vec<u8>;
}

/// What a layer asks of the session, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    Frame(Vec<u8>),
    Up,
    Down,
    Finished,
}

/// Our answer to a Configure-Request: a code and its options.
struct Answer {
    code: u8,
    options: Vec<u8>,
}

/// What caused an event, for the actions that answer it.
#[derive(Default)]
struct Cause<'a> {
    packet: Option<Packet<'a>>,
    answer: Option<Answer>,
}

/// Our Configure-Request that no answer has come to.
struct Pending {
    id: u8,
    options: Vec<u8>,
}

/// What we last answered the peer's Configure-Request with.
struct Answered {
    /// `None` where another answered it, and did not tell.
    id: Option<u8>,
    code: u8,
    request: Vec<u8>,
    /// How often the Ack was sent again without leaving Opened.
    repeats: u32,
}

/// One protocol of RFC 1661's form: LCP or an NCP.
pub(super) struct Layer<N> {
    pub(super) negotiator: N,
    /// The peer's MRU: nothing of ours is longer.
    pub(super) peer_mru: u16,
    state: State,
    timers: Timers,
    restart_counter: u32,
    deadline: Option<Duration>,
    next_id: u8,
    pending: Option<Pending>,
    answered: Option<Answered>,
    terminate_id: u8,
    terminate_message: String,
    naks_sent: u32,
    naks_received: u32,
    ended_by_peer: bool,
    effects: VecDeque<Effect>,
    /// Every pair of the automaton's table that was taken.
    #[cfg(test)]
    taken: std::collections::HashSet<(State, Event)>,
}

impl<N: Negotiator> Layer<N> {
    /// A layer in Initial; its identifiers count from `first_id`.
    pub(super) fn new(negotiator: N, timers: Timers, first_id: u8) -> Self {
        Self {
            negotiator,
            peer_mru: DEFAULT_MRU,
            state: State::Initial,
            timers,
            restart_counter: 0,
            deadline: None,
            next_id: first_id,
            pending: None,
            answered: None,
            terminate_id: 0,
            terminate_message: String::new(),
            naks_sent: 0,
            naks_received: 0,
            ended_by_peer: false,
            effects: VecDeque::new(),
            #[cfg(test)]
            taken: std::collections::HashSet::new(),
        }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// When the Restart timer runs out.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    pub(super) fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Whether the peer has Naked or Rejected so often without an Ack that the
    /// two will not agree.
    pub(super) fn diverges(&self) -> bool {
        self.naks_received > 2 * self.timers.max_failure
    }

    /// Whether the peer took this layer down by a Terminate-Request.
    pub(super) fn ended_by_peer(&self) -> bool {
        self.ended_by_peer
    }

    /// Opens the layer over a lower layer that is ready.
    pub(super) fn open(&mut self, now: Duration) {
        self.fire(now, Event::Up, Cause::default());
        self.fire(now, Event::Open, Cause::default());
    }

    /// Opens a layer in Initial that another has negotiated for us; the
    /// negotiator has what came of it. `request` is the peer's last, which may
    /// come again: the Ack to it may have been lost.
    pub(super) fn adopt(&mut self, request: Vec<u8>) {
        self.state = State::Opened;
        self.answered = Some(Answered {
            id: None,
            code: code::CONFIGURE_ACK,
            request,
            repeats: 0,
        });
        self.effects.push_back(Effect::Up);
    }

    /// Closes the layer, telling the peer why.
    pub(super) fn close(&mut self, now: Duration, message: String) {
        self.terminate_message = message;
        self.fire(now, Event::Close, Cause::default());
    }

    /// Nothing can be sent any more.
    pub(super) fn lower_layer_down(&mut self, now: Duration) {
        self.fire(now, Event::Down, Cause::default());
    }

    /// Ends the layer at once: no timer, no effect, only Terminate-Acks from
    /// here on.
    pub(super) fn halt(&mut self) {
        self.effects.clear();
        self.state = State::Closed;
        self.deadline = None;
        self.pending = None;
        self.naks_received = 0;
    }

    /// A reject from the peer that this layer cannot live with.
    pub(super) fn rejected_for_good(&mut self, now: Duration) {
        self.fire(now, Event::RxjMinus, Cause::default());
    }

    /// The Restart timer, if it has run out.
    pub(super) fn handle_timeout(&mut self, now: Duration) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            let left = self.restart_counter > 0;
            let event = if left {
                Event::TimeoutPlus
            } else {
                Event::TimeoutMinus
            };
            self.fire(now, event, Cause::default());
        }
    }

    /// A packet of this protocol. Codes above Code-Reject that the protocol
    /// knows are the session's, except that an Echo-Request is answered here.
    pub(super) fn receive(&mut self, now: Duration, packet: Packet<'_>) {
        let event = match packet.code {
            code::CONFIGURE_REQUEST => return self.receive_request(now, packet),
            code::CONFIGURE_ACK => return self.receive_ack(now, packet),
            code::CONFIGURE_NAK | code::CONFIGURE_REJECT => return self.receive_nak(now, packet),
            code::TERMINATE_REQUEST => Event::Rtr,
            code::TERMINATE_ACK => Event::Rta,
            code::CODE_REJECT => match packet.data.first() {
                Some(code::CONFIGURE_REQUEST..=code::CODE_REJECT) => Event::RxjMinus,
                Some(_) => Event::RxjPlus,
                None => return,
            },
            code::ECHO_REQUEST if code::ECHO_REQUEST <= N::LAST_CODE => Event::Rxr,
            known if (code::PROTOCOL_REJECT..=N::LAST_CODE).contains(&known) => return,
            _ => Event::Ruc,
        };
        self.fire(
            now,
            event,
            Cause {
                packet: Some(packet),
                answer: None,
            },
        );
    }

    fn receive_request(&mut self, now: Duration, packet: Packet<'_>) {
        let Ok(options) = option::parse(packet.data) else {
            return;
        };
        // Where a request is not answered, it is not judged either.
        let answered = matches!(
            self.state,
            State::Stopped | State::ReqSent | State::AckRcvd | State::AckSent | State::Opened
        );
        if !answered {
            return self.fire(
                now,
                Event::RcrPlus,
                Cause {
                    packet: Some(packet),
                    answer: None,
                },
            );
        }
        if self.repeat_ack(packet) {
            return;
        }
        let answer = self.judge(packet, &options);
        let event = if answer.code == code::CONFIGURE_ACK {
            Event::RcrPlus
        } else {
            Event::RcrMinus
        };
        self.fire(
            now,
            event,
            Cause {
                packet: Some(packet),
                answer: Some(answer),
            },
        );
    }

    /// A copy of the request that opened the layer: a duplicate, or our Ack was
    /// lost (a new request would have a new identifier, RFC 1661 5.1). The
    /// table of 4.1 would tear the layer down; the Ack again is enough. Should
    /// the peer insist, it gets what the table says.
    fn repeat_ack(&mut self, packet: Packet<'_>) -> bool {
        if self.state != State::Opened {
            return false;
        }
        let same = |answered: &&mut Answered| {
            answered.id.is_none_or(|id| id == packet.id)
                && answered.code == code::CONFIGURE_ACK
                && answered.request == packet.data
                && answered.repeats < MAX_REPEATED_ACKS
        };
        let Some(answered) = self.answered.as_mut().filter(same) else {
            return false;
        };
        answered.repeats += 1;
        self.send(code::CONFIGURE_ACK, packet.id, packet.data);
        true
    }

    /// Rejects go before Naks (RFC 1661 5.3, 5.4); after Max-Failure Naks
    /// every Nak is a Reject, and nothing is asked for any more (4.6).
    fn judge(&mut self, packet: Packet<'_>, options: &[ConfigOption<'_>]) -> Answer {
        let naked = self
            .answered
            .as_ref()
            .is_some_and(|a| a.code == code::CONFIGURE_NAK);
        let repeated = naked && self.is_answered(&packet);
        let insist = repeated || self.naks_sent < self.timers.max_failure;
        let (mut rejects, mut naks) = (Vec::new(), Vec::new());
        for wanted in options {
            match self.negotiator.judge(wanted) {
                Verdict::Ack => {}
                Verdict::Nak(data) if insist => option::push(&mut naks, wanted.kind, &data),
                Verdict::Nak(_) | Verdict::Reject => {
                    option::push(&mut rejects, wanted.kind, wanted.data);
                }
            }
        }
        if insist {
            naks.extend(self.negotiator.missing(options));
        }
        if !rejects.is_empty() {
            Answer {
                code: code::CONFIGURE_REJECT,
                options: rejects,
            }
        } else if !naks.is_empty() {
            Answer {
                code: code::CONFIGURE_NAK,
                options: naks,
            }
        } else {
            Answer {
                code: code::CONFIGURE_ACK,
                options: packet.data.to_vec(),
            }
        }
    }

    /// An Ack counts when it answers our last request octet for octet (RFC
    /// 1661 5.2), and once: a second copy must not disturb an open layer.
    fn receive_ack(&mut self, now: Duration, packet: Packet<'_>) {
        if self.negotiating() {
            let ours = |p: &mut Pending| p.id == packet.id && p.options == packet.data;
            if self.pending.take_if(ours).is_none() {
                return;
            }
            self.naks_received = 0;
        }
        self.fire(
            now,
            Event::Rca,
            Cause {
                packet: Some(packet),
                answer: None,
            },
        );
    }

    fn receive_nak(&mut self, now: Duration, packet: Packet<'_>) {
        let Ok(options) = option::parse(packet.data) else {
            return;
        };
        if self.negotiating() {
            let reject = packet.code == code::CONFIGURE_REJECT;
            let ours = |p: &mut Pending| {
                p.id == packet.id && (!reject || is_subsequence(packet.data, &p.options))
            };
            if self.pending.take_if(ours).is_none() {
                return;
            }
            self.naks_received += 1;
            if reject {
                self.negotiator.rejected(&options);
            } else {
                self.negotiator.naked(&options);
            }
        }
        self.fire(
            now,
            Event::Rcn,
            Cause {
                packet: Some(packet),
                answer: None,
            },
        );
    }

    fn negotiating(&self) -> bool {
        matches!(
            self.state,
            State::ReqSent | State::AckRcvd | State::AckSent | State::Opened
        )
    }

    /// One event through the automaton.
    fn fire(&mut self, now: Duration, event: Event, cause: Cause<'_>) {
        let Some((actions, next)) = transition(self.state, event) else {
            return;
        };
        #[cfg(test)]
        self.taken.insert((self.state, event));
        self.ended_by_peer = match event {
            Event::Rtr => next == State::Stopping,
            _ => self.ended_by_peer && next != State::Opened,
        };
        self.state = next;
        if N::UP_FIRST && actions.contains(&Action::Tlu) {
            self.effects.push_back(Effect::Up);
        }
        let retransmission = event == Event::TimeoutPlus;
        for action in actions {
            match action {
                Action::Tlu if N::UP_FIRST => {}
                Action::Tlu => self.effects.push_back(Effect::Up),
                Action::Tld => self.go_down(),
                Action::Tls => {}
                Action::Tlf => self.effects.push_back(Effect::Finished),
                Action::Irc => self.restart_counter = self.initial_count(actions),
                Action::Zrc => {
                    self.restart_counter = 0;
                    self.deadline = Some(now + self.timers.restart);
                }
                Action::Scr => self.send_request(now, retransmission),
                Action::Sca | Action::Scn => self.send_answer(&cause),
                Action::Str => self.send_terminate_request(now, retransmission),
                Action::Sta => {
                    let id = cause.packet.map_or(self.next_id, |packet| packet.id);
                    self.send(code::TERMINATE_ACK, id, &[]);
                }
                Action::Scj => self.send_code_reject(&cause),
                Action::Ser => self.send_echo_reply(&cause),
            }
        }
        if !self.state.has_timer() {
            self.deadline = None;
        }
    }

    fn initial_count(&self, actions: &[Action]) -> u32 {
        if actions.contains(&Action::Str) {
            self.timers.max_terminate
        } else {
            self.timers.max_configure
        }
    }

    fn go_down(&mut self) {
        self.naks_sent = 0;
        self.naks_received = 0;
        self.restart_counter = self.timers.max_configure;
        self.negotiator.restart();
        self.effects.push_back(Effect::Down);
    }

    /// A retransmission keeps its identifier, so that a late Ack to the first
    /// copy still counts; whatever differs has a new one (RFC 1661 5.1).
    fn send_request(&mut self, now: Duration, retransmission: bool) {
        let options = self.negotiator.request();
        let kept = self
            .pending
            .take()
            .filter(|p| retransmission && p.options == options);
        let id = kept.map_or_else(|| self.take_id(), |pending| pending.id);
        self.send(code::CONFIGURE_REQUEST, id, &options);
        self.pending = Some(Pending { id, options });
        self.count_down(now);
    }

    fn send_terminate_request(&mut self, now: Duration, retransmission: bool) {
        if !retransmission {
            self.terminate_id = self.take_id();
        }
        self.pending = None;
        let message = std::mem::take(&mut self.terminate_message);
        self.send(
            code::TERMINATE_REQUEST,
            self.terminate_id,
            self.truncated(message.as_bytes(), 0),
        );
        self.terminate_message = message;
        self.count_down(now);
    }

    fn count_down(&mut self, now: Duration) {
        self.restart_counter = self.restart_counter.saturating_sub(1);
        self.deadline = Some(now + self.timers.restart);
    }

    fn send_answer(&mut self, cause: &Cause<'_>) {
        let (Some(packet), Some(answer)) = (&cause.packet, &cause.answer) else {
            return;
        };
        match answer.code {
            code::CONFIGURE_ACK => {
                self.naks_sent = 0;
                self.negotiator
                    .acknowledged(&option::parse(packet.data).unwrap_or_default());
            }
            // A retransmission means that the Nak was lost, not that it was unheard.
            code::CONFIGURE_NAK if !self.is_answered(packet) => self.naks_sent += 1,
            _ => {}
        }
        let request = packet.data.to_vec();
        self.answered = Some(Answered {
            id: Some(packet.id),
            code: answer.code,
            request,
            repeats: 0,
        });
        self.send(answer.code, packet.id, &answer.options);
    }

    fn is_answered(&self, packet: &Packet<'_>) -> bool {
        self.answered
            .as_ref()
            .is_some_and(|a| a.id == Some(packet.id) && a.request == packet.data)
    }

    fn send_code_reject(&mut self, cause: &Cause<'_>) {
        let Some(packet) = &cause.packet else {
            return;
        };
        let mut rejected = Vec::new();
        packet.write(&mut rejected);
        let id = self.take_id();
        self.send(code::CODE_REJECT, id, self.truncated(&rejected, 0));
    }

    fn send_echo_reply(&mut self, cause: &Cause<'_>) {
        // An Echo-Request has at least its Magic-Number (RFC 1661 5.8).
        if let Some(packet) = cause
            .packet
            .filter(|p| p.code == code::ECHO_REQUEST && p.data.len() >= 4)
        {
            let data = self.negotiator.echo_reply(packet.data);
            self.send(code::ECHO_REPLY, packet.id, self.truncated(&data, 0));
        }
    }

    /// A packet of this protocol with an identifier of its own.
    pub(super) fn send_new(&mut self, code: u8, data: &[u8]) -> u8 {
        let id = self.take_id();
        self.send(code, id, data);
        id
    }

    /// As much of `data` as the peer's MRU has room for behind the packet's
    /// header and `octets` more.
    pub(super) fn truncated<'d>(&self, data: &'d [u8], octets: usize) -> &'d [u8] {
        let room = usize::from(self.peer_mru).saturating_sub(HEADER_OCTETS + octets);
        &data[..data.len().min(room)]
    }

    fn take_id(&mut self) -> u8 {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        id
    }

    fn send(&mut self, code: u8, id: u8, data: &[u8]) {
        self.effects
            .push_back(Effect::Frame(frame(N::PROTOCOL, code, id, data)));
    }
}

/// Whether the options in `part` all stand in `whole`, in the same order and
/// unchanged, as a Configure-Reject's must (RFC 1661 5.4).
fn is_subsequence(part: &[u8], whole: &[u8]) -> bool {
    let (Ok(part), Ok(whole)) = (option::parse(part), option::parse(whole)) else {
        return false;
    };
    let mut whole = whole.iter();
    !part.is_empty()
        && part
            .iter()
            .all(|option| whole.any(|candidate| candidate == option))
}

#[cfg(test)]
mod tests;
