//! Every message in every state, as the tables of RFC 2661 sections 7.2 and
//! 7.4 have it.

use super::script::{PEER_SESSION, Script, codes, iccn, icrp, icrq, message, start};
use super::*;
use crate::l2tp::message::tests::whole_message;
use crate::l2tp::message::{Message, MessageType, value_of};

/// What the endpoint makes of a message.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Nothing but its acknowledgement.
    Ignored,
    Sent(MessageType),
    /// StopCCN with this result.
    Stop(u16),
    /// The tunnel is closed without a StopCCN.
    Closed,
    /// CDN with result and error.
    Cdn(u16, u16),
    /// The call is gone without a CDN.
    CallGone,
    CallOffered,
    CallAnswered,
    CallConnected,
}

fn outcome(script: &mut Script) -> Outcome {
    script.events.clear();
    let messages = script.messages();
    if let [message] = &messages[..] {
        return match message.kind() {
            MessageType::StopCcn => Outcome::Stop(codes(message).0),
            MessageType::Cdn => Outcome::Cdn(codes(message).0, codes(message).1),
            kind => Outcome::Sent(kind),
        };
    }
    assert!(messages.is_empty(), "{messages:?}");
    let of_event = script.events.iter().find_map(|event| match event {
        Event::TunnelClosed { .. } => Some(Outcome::Closed),
        Event::CallClosed { .. } => Some(Outcome::CallGone),
        Event::CallIncoming { .. } => Some(Outcome::CallOffered),
        Event::CallAnswered { .. } => Some(Outcome::CallAnswered),
        Event::CallConnected { .. } => Some(Outcome::CallConnected),
        Event::TunnelEstablished { .. } => None,
    });
    let closed = script
        .endpoint
        .tunnels()
        .all(|tunnel| script.endpoint.tunnel(tunnel).unwrap().state == TunnelState::Closed);
    of_event.unwrap_or(if closed {
        Outcome::Closed
    } else {
        Outcome::Ignored
    })
}

pub(super) fn in_tunnel_state(state: TunnelState) -> Script {
    match state {
        TunnelState::WaitReply => Script::dialling(dial("")).0,
        TunnelState::WaitConnect => {
            let mut script = Script::new(vec![incoming("")]);
            script.request(Vec::new());
            script
        }
        TunnelState::Established => Script::established(),
        TunnelState::Closed => {
            let mut script = Script::established();
            let tunnel = script.endpoint.tunnels().next().unwrap();
            script.endpoint.close_tunnel(script.now, tunnel, shutdown());
            assert_eq!(codes(&script.only_message()), (6, 0));
            script
        }
    }
}

#[test]
fn tunnel_messages_in_every_state() {
    use MessageType::{Hello, Scccn, Sccrp, Sccrq, StopCcn};
    use Outcome::{Closed, Ignored, Sent, Stop};
    use TunnelState as State;
    let table = [
        (State::WaitReply, Sccrq, Stop(7)),
        (State::WaitReply, Sccrp, Sent(Scccn)),
        (State::WaitReply, Scccn, Stop(7)),
        (State::WaitReply, StopCcn, Closed),
        (State::WaitReply, Hello, Ignored),
        (State::WaitConnect, Sccrq, Stop(7)),
        (State::WaitConnect, Sccrp, Stop(7)),
        (State::WaitConnect, Scccn, Ignored),
        (State::WaitConnect, StopCcn, Closed),
        (State::WaitConnect, Hello, Ignored),
        (State::Established, Sccrq, Stop(7)),
        (State::Established, Sccrp, Stop(7)),
        (State::Established, Scccn, Stop(7)),
        (State::Established, StopCcn, Closed),
        (State::Established, Hello, Ignored),
        (State::Closed, Sccrq, Closed),
        (State::Closed, Sccrp, Closed),
        (State::Closed, Scccn, Closed),
        (State::Closed, StopCcn, Closed),
        (State::Closed, Hello, Closed),
    ];
    for (state, kind, expected) in table {
        let mut script = in_tunnel_state(state);
        script.say(0, &whole_message(kind));
        assert_eq!(
            outcome(&mut script),
            expected,
            "{} in {state:?}",
            kind.name()
        );
    }
    let mut script = in_tunnel_state(State::WaitConnect);
    script.say(0, &message(Scccn, Vec::new()));
    assert_eq!(script.only_tunnel_state(), State::Established);
}

impl Script {
    fn only_tunnel_state(&mut self) -> TunnelState {
        self.messages();
        self.only_tunnel().state
    }
}

#[test]
fn session_messages_need_an_established_tunnel() {
    for &kind in MessageType::ALL.iter().filter(|kind| kind.is_of_session()) {
        for state in [TunnelState::WaitReply, TunnelState::WaitConnect] {
            let mut script = in_tunnel_state(state);
            script.say(0, &whole_message(kind));
            assert_eq!(
                outcome(&mut script),
                Outcome::Stop(7),
                "{} in {state:?}",
                kind.name()
            );
        }
        let mut script = in_tunnel_state(TunnelState::Closed);
        script.say(0, &whole_message(kind));
        assert_eq!(outcome(&mut script), Outcome::Closed, "{}", kind.name());
    }
}

/// A script whose endpoint has one call in `state`, and the call's id on the wire.
pub(super) fn in_call_state(state: CallState) -> (Script, u16) {
    let mut script = match state {
        CallState::WaitTunnel => panic!("not on the wire"),
        CallState::WaitReply | CallState::Answered => {
            let (mut script, tunnel) = Script::established_by_dialling();
            script.endpoint.place_call(script.now, tunnel, Vec::new());
            script
        }
        CallState::Offered | CallState::WaitConnect | CallState::Established => {
            let mut script = Script::established();
            script.say(0, &icrq(PEER_SESSION));
            script
        }
    };
    if matches!(state, CallState::WaitReply | CallState::Answered) {
        let request = last(script.messages());
        let session = *value_of!(request.attributes(), AssignedSessionId).unwrap();
        if state == CallState::Answered {
            script.say(session, &icrp());
            script.messages();
        }
        return (script, session);
    }
    script.messages();
    let call = call_of(&script);
    let session = script.endpoint.call(call).unwrap().local_id;
    if state != CallState::Offered {
        script.endpoint.accept_call(script.now, call, Vec::new());
        assert_eq!(script.only_message().kind(), MessageType::Icrp);
    }
    if state == CallState::Established {
        script.say(session, &iccn());
        script.messages();
    }
    (script, session)
}

fn last(messages: Vec<Message>) -> Message {
    messages.into_iter().last().expect("a message")
}

fn call_of(script: &Script) -> CallId {
    let incoming = |event: &Event| match event {
        Event::CallIncoming { call, .. } => Some(*call),
        _ => None,
    };
    script
        .events
        .iter()
        .find_map(incoming)
        .expect("CallIncoming")
}

#[test]
fn call_messages_in_every_state() {
    use CallState as State;
    use MessageType::{Cdn, Iccn, Icrp, Icrq, Occn, Ocrp, Ocrq, Sli, Wen};
    use Outcome::{CallAnswered, CallConnected, CallGone, Ignored};
    const REFUSED: Outcome = Outcome::Cdn(2, 5);
    let table = [
        (State::WaitReply, Icrq, REFUSED),
        (State::WaitReply, Icrp, CallAnswered),
        (State::WaitReply, Iccn, CallGone),
        (State::Answered, Icrq, REFUSED),
        (State::Answered, Icrp, REFUSED),
        (State::Answered, Iccn, REFUSED),
        (State::Offered, Icrq, REFUSED),
        (State::Offered, Icrp, REFUSED),
        (State::Offered, Iccn, REFUSED),
        (State::WaitConnect, Icrq, REFUSED),
        (State::WaitConnect, Icrp, REFUSED),
        (State::WaitConnect, Iccn, CallConnected),
        (State::Established, Icrq, REFUSED),
        (State::Established, Icrp, REFUSED),
        (State::Established, Iccn, REFUSED),
    ];
    let states = [
        State::WaitReply,
        State::Answered,
        State::Offered,
        State::WaitConnect,
        State::Established,
    ];
    let in_all = |kind, outcome: fn() -> Outcome| states.map(|state| (state, kind, outcome()));
    let anywhere = [
        in_all(Cdn, || CallGone),
        in_all(Wen, || Ignored),
        in_all(Sli, || Ignored),
        in_all(Ocrq, || REFUSED),
        in_all(Ocrp, || REFUSED),
        in_all(Occn, || REFUSED),
    ];
    for (state, kind, expected) in table.into_iter().chain(anywhere.into_iter().flatten()) {
        let (mut script, session) = in_call_state(state);
        script.say(session, &whole_message(kind));
        assert_eq!(
            outcome(&mut script),
            expected,
            "{} in {state:?}",
            kind.name()
        );
        let live = script.only_tunnel();
        assert_eq!(live.state, TunnelState::Established, "the tunnel lives on");
        let gone = matches!(expected, Outcome::Cdn(..) | CallGone);
        assert_eq!(
            live.calls,
            usize::from(!gone),
            "{} in {state:?}",
            kind.name()
        );
    }
}

#[test]
fn a_repeated_icrq_clears_the_call() {
    let (mut script, _) = in_call_state(CallState::WaitConnect);
    script.say(0, &icrq(PEER_SESSION));
    let cdn = script.sent().remove(0);
    assert_eq!(cdn.header.session_id, PEER_SESSION);
    assert_eq!(cdn.message.unwrap().kind(), MessageType::Cdn);
    assert_eq!(script.only_tunnel().calls, 0);
}

#[test]
fn messages_for_an_unknown_session_are_acknowledged_then_answered_with_cdn() {
    use MessageType::{Cdn, Iccn, Icrp, Sli, Wen};
    for (kind, to) in [(Icrp, 1), (Iccn, 0), (Sli, 0), (Wen, 0)] {
        let mut script = Script::established();
        script.say(0x7777, &whole_message(kind));
        let sent = script.sent();
        assert_eq!(sent.len(), 1);
        let (header, message) = (sent[0].header, sent[0].message.as_ref().unwrap());
        assert_eq!(
            (header.nr, header.session_id),
            (script.ns, to),
            "{}",
            kind.name()
        );
        assert_eq!((message.kind(), codes(message)), (Cdn, (2, 5)));
        assert_eq!(
            value_of!(message.attributes(), AssignedSessionId),
            Some(&0x7777)
        );
    }
    let mut script = Script::established();
    script.say(0x7777, &whole_message(Cdn));
    assert_eq!(
        outcome(&mut script),
        Outcome::Ignored,
        "a CDN is not answered"
    );
    script.say(0, &whole_message(Iccn));
    assert_eq!(outcome(&mut script), Outcome::Ignored, "nobody to answer");
}

#[test]
fn a_cdn_without_session_id_finds_the_call_by_its_avp() {
    let (mut script, _) = in_call_state(CallState::WaitConnect);
    let cdn = vec![
        script::result(3),
        avp::Attribute::AssignedSessionId(PEER_SESSION),
    ];
    script.say(0, &message(MessageType::Cdn, cdn));
    script.messages();
    let expected = CallClose::new(CallResult::ADMINISTRATIVE, ErrorCode::NONE, "");
    assert_eq!(script.call_causes(), [CallCause::Peer(expected)]);
}

#[test]
fn outgoing_calls_are_refused_for_good() {
    let mut script = Script::established();
    script.say(0, &whole_message(MessageType::Ocrq));
    let sent = script.sent().remove(0);
    assert_eq!(sent.header.session_id, 1, "what the OCRQ assigned");
    assert_eq!(codes(&sent.message.unwrap()), (5, 0));
}

#[test]
fn a_dialled_tunnel_takes_no_calls() {
    let (mut script, _) = Script::established_by_dialling();
    script.say(0, &icrq(PEER_SESSION));
    assert_eq!(outcome(&mut script), Outcome::Cdn(5, 0));
}

#[test]
fn a_bad_session_message_costs_the_call_and_a_bad_tunnel_message_the_tunnel() {
    let unknown = [0x80, 6, 0, 0, 0x77, 0x77];
    let (mut script, session) = in_call_state(CallState::WaitConnect);
    script.say_body(session, &[&iccn().encode()[..], &unknown].concat());
    assert_eq!(outcome(&mut script), Outcome::Cdn(2, 8));
    script.say_body(0, &[&icrq(9).encode()[..], &unknown].concat());
    assert_eq!(
        outcome(&mut script),
        Outcome::Cdn(2, 8),
        "no call, and the peer is told"
    );
    assert_eq!(script.only_tunnel().state, TunnelState::Established);
    script.say_body(
        0,
        &[
            &message(MessageType::Hello, Vec::new()).encode()[..],
            &unknown,
        ]
        .concat(),
    );
    assert_eq!(outcome(&mut script), Outcome::Stop(2));
}

#[test]
fn an_unknown_message_type_kills_the_tunnel_only_when_it_is_mandatory() {
    let mut script = Script::established();
    script.say_body(0, &[0, 8, 0, 0, 0, 0, 0, 99]);
    assert_eq!(outcome(&mut script), Outcome::Ignored);
    script.say_body(0, &[0x80, 8, 0, 0, 0, 0, 0, 99]);
    assert_eq!(outcome(&mut script), Outcome::Stop(2));
}

#[test]
fn scccn_with_the_avps_of_a_request_is_accepted() {
    let mut script = Script::new(vec![incoming("")]);
    script.request(Vec::new());
    let attributes = start(MessageType::Sccrq, "remote", Vec::new())
        .attributes()
        .to_vec();
    script.say(0, &message(MessageType::Scccn, attributes));
    assert_eq!(script.only_tunnel_state(), TunnelState::Established);
}
