//! Keepalive, time limits and clearing.

use super::script::{
    PEER_SESSION, PEER_TUNNEL, Script, codes, iccn, icrp, icrq, message, result, start,
};
use super::*;
use crate::l2tp::avp::Attribute;
use crate::l2tp::message::{MessageType, value_of};

fn stop_ccn(code: u16) -> message::Message {
    message(
        MessageType::StopCcn,
        vec![Attribute::AssignedTunnelId(PEER_TUNNEL), result(code)],
    )
}

fn hellos(script: &mut Script) -> usize {
    let messages = script.messages();
    messages
        .iter()
        .filter(|message| message.kind() == MessageType::Hello)
        .count()
}

#[test]
fn hello_is_sent_after_a_minute_without_control_or_data() {
    let mut script = Script::established();
    let tunnel = script.endpoint.tunnels().next().unwrap();
    script.wait(Duration::from_millis(59_900));
    assert_eq!(hellos(&mut script), 0);
    script.endpoint.note_data(script.now, tunnel);
    script.wait(Duration::from_millis(59_900));
    assert_eq!(hellos(&mut script), 0, "data came");
    script.say(0, &message(MessageType::Hello, Vec::new()));
    script.wait(Duration::from_millis(59_900));
    assert_eq!(hellos(&mut script), 0, "control came");
    script.wait(Duration::from_millis(200));
    assert_eq!(hellos(&mut script), 1);
}

/// The peer places a call, and it is established.
fn connect_call(script: &mut Script) {
    script.say(0, &icrq(PEER_SESSION));
    script.sent();
    let Some(&Event::CallIncoming { call, .. }) = script.events.last() else {
        panic!("{:?}", script.events);
    };
    script.endpoint.accept_call(script.now, call, Vec::new());
    script.sent();
    let session = script.endpoint.call(call).unwrap().local_id;
    script.say(session, &iccn());
}

#[test]
fn an_unanswered_hello_ends_the_tunnel_after_31_s() {
    let mut script = Script::established();
    connect_call(&mut script);
    script.wait(Duration::from_millis(90_900));
    assert_eq!(hellos(&mut script), 6, "the first and five retransmissions");
    script.wait(Duration::from_millis(200));
    let stop = script.only_message();
    assert_eq!((stop.kind(), codes(&stop)), (MessageType::StopCcn, (1, 0)));
    let [
        ..,
        Event::CallClosed { cause, .. },
        Event::TunnelClosed { cause: last, .. },
    ] = &script.events[..]
    else {
        panic!("{:?}", script.events);
    };
    assert_eq!(
        (cause, last),
        (&CallCause::Tunnel, &TunnelCause::Unreachable)
    );
    assert!(script.endpoint.is_empty());
}

#[test]
fn a_hello_interval_of_zero_means_never() {
    let quiet = Incoming {
        peering: Peering {
            hello_interval: Duration::ZERO,
            ..Peering::default()
        },
        ..incoming("")
    };
    let mut script = Script::new(vec![quiet.clone()]);
    script.request(Vec::new());
    script.say(0, &message(MessageType::Scccn, Vec::new()));
    connect_call(&mut script);
    script.wait(Duration::from_secs(10_000));
    assert_eq!(script.messages(), [], "no HELLO, and the call stands");
    assert_eq!(script.endpoint.next_timeout(), None);

    // Without a call nobody would ever find that the peer is gone.
    let mut script = Script::new(vec![quiet]);
    script.request(Vec::new());
    script.say(0, &message(MessageType::Scccn, Vec::new()));
    script.wait(Duration::from_millis(59_900));
    assert_eq!(script.messages(), []);
    script.wait(Duration::from_millis(200));
    let stop = script.only_message();
    assert_eq!((stop.kind(), codes(&stop)), (MessageType::StopCcn, (1, 0)));
    script.wait(Duration::from_secs(40));
    assert!(script.endpoint.is_empty());
}

#[test]
fn an_unanswered_dial_ends_after_31_s() {
    let (mut script, tunnel, _) = Script::dialling(dial("test"));
    let call = script.endpoint.place_call(script.now, tunnel, Vec::new());
    script.wait(Duration::from_millis(30_900));
    assert_eq!(script.messages().len(), 5);
    script.wait(Duration::from_millis(200));
    let closed = [
        Event::CallClosed {
            call,
            cause: CallCause::Tunnel,
        },
        Event::TunnelClosed {
            tunnel,
            cause: TunnelCause::Unreachable,
        },
    ];
    script.messages();
    assert_eq!(script.events, closed);
    assert!(script.endpoint.is_empty());
}

#[test]
fn a_tunnel_that_is_acknowledged_but_not_answered_is_given_up_after_a_minute() {
    let (mut script, tunnel, _) = Script::dialling(dial("test"));
    script.ns = 0;
    script.say_body(0, &[]);
    script.wait(Duration::from_millis(59_900));
    assert!(script.messages().is_empty());
    script.wait(Duration::from_millis(200));
    let stop = script.sent().remove(0);
    assert_eq!(stop.header.tunnel_id, 0, "we were told none");
    assert_eq!(codes(&stop.message.unwrap()), (1, 0));
    let [Event::TunnelClosed { tunnel: closed, .. }] = script.events[..] else {
        panic!("{:?}", script.events);
    };
    assert_eq!(closed, tunnel);
}

#[test]
fn calls_are_given_up_after_a_minute_with_result_10() {
    let (mut script, tunnel) = Script::established_by_dialling();
    script.endpoint.place_call(script.now, tunnel, Vec::new());
    script.messages();
    script.say_body(0, &[]);
    script.ns -= 1;
    script.wait(Duration::from_millis(60_100));
    let cdn = script.messages();
    assert!(
        cdn.iter()
            .any(|message| message.kind() == MessageType::Cdn && codes(message) == (10, 0))
    );

    let mut script = Script::established();
    script.say(0, &icrq(PEER_SESSION));
    script.wait(Duration::from_millis(60_100));
    let cdn = script.messages();
    assert!(
        cdn.iter()
            .any(|message| message.kind() == MessageType::Cdn && codes(message) == (10, 0))
    );
    let [CallCause::Fault(close)] = &script.call_causes()[..] else {
        panic!("one call was closed");
    };
    assert_eq!(close.result, CallResult::TIMEOUT);
}

#[test]
fn a_stopccn_is_acknowledged_again_for_31_s() {
    let mut script = Script::established();
    script.say(0, &stop_ccn(6));
    let acked = |script: &mut Script| {
        let sent = script.sent();
        sent.len() == 1 && sent[0].message.is_none() && sent[0].header.nr == 3
    };
    assert!(acked(&mut script), "at once");
    let [
        ..,
        Event::TunnelClosed {
            cause: TunnelCause::Peer(close),
            ..
        },
    ] = &script.events[..]
    else {
        panic!("{:?}", script.events);
    };
    assert_eq!(close.result, StopResult::SHUTTING_DOWN);
    for _ in 0..30 {
        script.wait(Duration::from_secs(1));
        script.ns = 2;
        script.say(0, &stop_ccn(6));
        assert!(acked(&mut script));
    }
    script.wait(Duration::from_secs(1));
    assert!(script.endpoint.is_empty());
}

#[test]
fn one_stopccn_clears_all_calls_without_a_cdn_and_nothing_more_is_sent() {
    let mut script = Script::established();
    for session in 1..20 {
        script.say(0, &icrq(session));
    }
    script.messages();
    let tunnel = script.endpoint.tunnels().next().unwrap();
    script.events.clear();
    script.endpoint.close_tunnel(script.now, tunnel, shutdown());
    script.endpoint.close_tunnel(script.now, tunnel, shutdown());
    let stop = script.only_message();
    assert_eq!((stop.kind(), codes(&stop)), (MessageType::StopCcn, (6, 0)));
    assert_eq!(
        value_of!(stop.attributes(), AssignedTunnelId),
        Some(&script.tunnel_id)
    );
    assert_eq!(script.events.len(), 20);
    assert!(matches!(script.events[19], Event::TunnelClosed { .. }));
    let call = script.endpoint.place_call(script.now, tunnel, Vec::new());
    assert!(script.messages().is_empty());
    assert_eq!(
        script.events.last(),
        Some(&Event::CallClosed {
            call,
            cause: CallCause::Tunnel
        })
    );
}

#[test]
fn every_stopccn_and_cdn_code_passes_both_ways() {
    for code in 1..=7 {
        let mut world = World::new(u64::from(code), Weather::FINE, vec![incoming("")]);
        let (tunnel, _) = world.connect(dial(""));
        let close = TunnelClose::new(StopResult(code), ErrorCode(code), "why");
        world
            .lac
            .endpoint
            .close_tunnel(world.now, tunnel, close.clone());
        world.run(Duration::from_secs(1));
        assert_eq!(
            world.lns.tunnel_causes(),
            [TunnelCause::Peer(close.clone())]
        );
        assert_eq!(world.lac.tunnel_causes(), [TunnelCause::Requested(close)]);
    }
    for code in 1..=11 {
        let mut world = World::new(u64::from(code), Weather::FINE, vec![incoming("")]);
        let _ = world.connect(dial(""));
        let call = world.lns.events.iter().find_map(|event| match event {
            Event::CallConnected { call, .. } => Some(*call),
            _ => None,
        });
        let close = CallClose::new(CallResult(code), ErrorCode::NONE, "why");
        world
            .lns
            .endpoint
            .close_call(world.now, call.unwrap(), close.clone());
        world.run(Duration::from_secs(1));
        assert_eq!(world.lac.call_causes(), [CallCause::Peer(close.clone())]);
        assert_eq!(world.lns.call_causes(), [CallCause::Requested(close)]);
        assert_eq!(world.lac.tunnel_causes(), [], "the tunnel lives on");
    }
}

#[test]
fn a_call_can_be_closed_in_every_state() {
    // Before the tunnel stands: nothing is sent.
    let (mut script, tunnel, _) = Script::dialling(dial(""));
    let call = script.endpoint.place_call(script.now, tunnel, Vec::new());
    script.endpoint.close_call(script.now, call, hang_up());
    script.say(0, &start(MessageType::Sccrp, "head", Vec::new()));
    assert_eq!(script.only_message().kind(), MessageType::Scccn);
    assert_eq!(script.call_causes(), [CallCause::Requested(hang_up())]);
    // After ICRQ: the peer's id is not known. After ICRP: it is.
    for (answered, session_id) in [(false, 0), (true, PEER_SESSION)] {
        let (mut script, tunnel) = Script::established_by_dialling();
        script.say_body(0, &[]);
        script.ns -= 1;
        let call = script.endpoint.place_call(script.now, tunnel, Vec::new());
        let local_id = script.endpoint.call(call).unwrap().local_id;
        script.messages();
        if answered {
            script.say(local_id, &icrp());
        }
        script.endpoint.close_call(script.now, call, hang_up());
        let sent = script.sent().pop().unwrap();
        let cdn = sent.message.unwrap();
        assert_eq!(
            (cdn.kind(), sent.header.session_id),
            (MessageType::Cdn, session_id)
        );
        assert_eq!(
            value_of!(cdn.attributes(), AssignedSessionId),
            Some(&local_id)
        );
        assert_eq!(codes(&cdn), (3, 0));
        assert_eq!(script.endpoint.call(call), None);
    }
}

#[test]
fn a_caller_that_gives_up_before_it_knows_our_id_is_understood() {
    let mut script = Script::new(vec![incoming("")]);
    script.request(Vec::new());
    script.tunnel_id = 0;
    script.say(0, &stop_ccn(1));
    assert!(script.messages().is_empty());
    assert_eq!(script.only_tunnel().state, TunnelState::Closed);
    assert_eq!(script.events, [], "the owner never heard of it");
}

#[test]
fn a_dial_that_is_closed_at_once_sends_its_stopccn_where_the_reply_says() {
    let (mut script, tunnel, _) = Script::dialling(dial(""));
    script.endpoint.close_tunnel(script.now, tunnel, shutdown());
    assert_eq!(script.only_message().kind(), MessageType::StopCcn);
    script.nr = 1;
    script.say(0, &start(MessageType::Sccrp, "head", Vec::new()));
    script.wait(Duration::from_secs(2));
    let again = script
        .sent()
        .into_iter()
        .find(|sent| sent.message.is_some())
        .unwrap();
    assert_eq!(again.header.tunnel_id, PEER_TUNNEL);
}

#[test]
fn calls_over_the_limit_are_refused_for_want_of_resources() {
    let mut config = EndpointConfig::new("hal2tp".to_owned(), 1, vec![incoming("")]);
    config.limits.calls_per_tunnel = 2;
    let mut script = Script::new(Vec::new());
    script.endpoint = Endpoint::new(config, StdRng::seed_from_u64(1));
    script.request(Vec::new());
    script.say(0, &message(MessageType::Scccn, Vec::new()));
    for session in 1..=3 {
        script.say(0, &icrq(session));
    }
    assert_eq!(codes(&script.only_message()), (2, 4));
    assert_eq!(script.only_tunnel().calls, 2);
}

#[test]
fn acting_twice_or_on_what_is_gone_has_no_effect() {
    let (mut script, tunnel) = Script::established_by_dialling();
    let (now, gone) = (script.now, CallId(999));
    script.endpoint.accept_call(now, gone, Vec::new());
    script.endpoint.connect_call(now, gone);
    script.endpoint.close_call(now, gone, hang_up());
    script.endpoint.note_data(now, TunnelId(999));
    script.endpoint.close_tunnel(now, TunnelId(999), shutdown());
    let call = script.endpoint.place_call(now, tunnel, Vec::new());
    script.endpoint.accept_call(now, call, Vec::new());
    script.endpoint.connect_call(now, call);
    let kinds: Vec<_> = script
        .messages()
        .iter()
        .map(|message| message.kind())
        .collect();
    assert_eq!(kinds, [MessageType::Icrq]);
    assert!(
        script
            .events
            .iter()
            .all(|event| matches!(event, Event::TunnelEstablished { .. }))
    );
}

fn assert_no_stop_ccn_within_a_minute(script: &mut Script) {
    script.wait(Duration::from_secs(60));
    let messages = script.messages();
    let mut kinds = messages.iter().map(message::Message::kind);
    assert!(kinds.all(|kind| kind != MessageType::StopCcn));
}

/// The peer restarted, counts its ids from the start and heard nothing of the end of our old tunnel: a StopCCN that is sent
/// again would end the new one.
#[test]
fn nothing_more_is_said_to_a_tunnel_whose_id_the_peer_gives_again() {
    let (mut script, old) = Script::established_by_dialling();
    script.endpoint.close_tunnel(script.now, old, shutdown());
    assert_eq!(script.only_message().kind(), MessageType::StopCcn);
    let new = script.endpoint.dial(script.now, dial(""));
    let request = script.only_message();
    script.tunnel_id = *value_of!(request.attributes(), AssignedTunnelId).unwrap();
    script.ns = 0;
    script.say(0, &start(MessageType::Sccrp, "head", Vec::new()));
    assert_eq!(script.only_message().kind(), MessageType::Scccn);
    assert!(script.endpoint.tunnels().eq([new]));
    // The SCCCN has arrived.
    script.say(0, &message(MessageType::Hello, Vec::new()));
    assert_no_stop_ccn_within_a_minute(&mut script);
}

#[test]
fn a_restarted_peer_that_gives_an_id_again_ends_its_old_tunnel() {
    let mut script = Script::established();
    let old = script.endpoint.tunnels().next().unwrap();
    (script.tunnel_id, script.ns) = (0, 0);
    script.request(vec![Attribute::TieBreaker(1)]);
    assert_eq!(
        script.endpoint.tunnels().count(),
        2,
        "it has proved nothing"
    );
    script.say(0, &message(MessageType::Scccn, Vec::new()));
    assert!(script.messages().is_empty());
    let closed = Event::TunnelClosed {
        tunnel: old,
        cause: TunnelCause::Superseded,
    };
    assert!(script.events.contains(&closed), "{:?}", script.events);
    assert_ne!(script.endpoint.tunnels().next(), Some(old));
    assert_no_stop_ccn_within_a_minute(&mut script);
}
