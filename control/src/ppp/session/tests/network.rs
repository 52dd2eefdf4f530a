use proptest::prelude::*;

use super::*;

#[test]
fn a_client_takes_the_address_it_is_given() {
    let mut script = Script::new(client());
    script.open_lcp(&MAGIC);
    let ask = script.frame();
    assert_eq!(
        (ask.code, &ask.data[..]),
        (REQUEST, &[3, 6, 0, 0, 0, 0][..])
    );
    script.send(protocol::IPCP, REQUEST, 1, &[3, 6, 10, 0, 0, 1]);
    script.send(protocol::IPCP, NAK, ask.id, &[3, 6, 10, 0, 0, 2]);
    let frames = script.frames();
    assert_eq!((frames[0].code, frames[1].code), (ACK, REQUEST));
    assert_eq!(frames[1].data, [3, 6, 10, 0, 0, 2]);
    script.send(protocol::IPCP, ACK, frames[1].id, &frames[1].data);
    script.outputs();
    assert_eq!(script.events, [authenticated(None), opened(REMOTE, LOCAL)]);
}

#[test]
fn a_client_with_an_address_asks_for_it_and_without_one_at_the_end_closes() {
    let role = |local_ip| Role::Client {
        username: "me".into(),
        password: "x".into(),
        local_ip,
        protocols: AuthProtocol::ALL.to_vec(),
        wanted: Wanted::default(),
    };
    let mut script = Script::new(config(role(Some(REMOTE))));
    script.open_lcp(&MAGIC);
    let ask = script.frame();
    assert_eq!(ask.data, [3, 6, 10, 0, 0, 2]);
    // A server that will not talk about addresses, and has none.
    script.send(protocol::IPCP, REJECT, ask.id, &ask.data);
    let ask = script.frame();
    assert!(ask.data.is_empty(), "{ask:?}");
    script.send(protocol::IPCP, REQUEST, 1, &[]);
    script.send(protocol::IPCP, ACK, ask.id, &[]);
    script.outputs();
    let up = opened(REMOTE, Ipv4Addr::UNSPECIFIED);
    assert_eq!(script.events.last(), Some(&up));

    let mut script = Script::new(config(role(None)));
    script.open_lcp(&MAGIC);
    let ask = script.frame();
    script.send(protocol::IPCP, REQUEST, 1, &[3, 6, 10, 0, 0, 1]);
    script.send(protocol::IPCP, ACK, ask.id, &ask.data);
    script.wait(Duration::from_secs(6));
    assert_eq!(script.closed(), Some(CloseReason::NoAddress));
}

#[test]
fn no_address_is_no_assignment() {
    let mut script = Script::new(config(Role::Client {
        username: "me".into(),
        password: "x".into(),
        local_ip: Some(REMOTE),
        protocols: AuthProtocol::ALL.to_vec(),
        wanted: Wanted::default(),
    }));
    script.open_lcp(&MAGIC);
    let ask = script.frame();
    script.send(protocol::IPCP, NAK, ask.id, &[3, 6, 0, 0, 0, 0]);
    assert_eq!(script.frame().data, [3, 6, 10, 0, 0, 2]);
}

#[test]
fn an_open_link_stays_open() {
    for mut script in [Script::open_client(), Script::open_server()] {
        let others = script.lcp_answers_for(Duration::from_secs(3600));
        assert_eq!(others, []);
        assert!(script.session.is_open());
        assert_eq!(script.session.echo_statistics().answered, 3600);
    }
}

#[test]
fn a_server_assigns_the_logins_address() {
    let mut script = Script::new(server(&[AuthProtocol::Pap]));
    script.open_lcp(&MAGIC);
    script.send(protocol::PAP, 1, 1, b"\x02me\x06secret");
    let ours = script.frames().pop().unwrap();
    assert_eq!(
        (ours.protocol, &ours.data[..]),
        (protocol::IPCP, &[3, 6, 10, 0, 0, 1][..])
    );
    let answer = |script: &mut Script, id, options: &[u8]| {
        script.send(protocol::IPCP, REQUEST, id, options);
        let answer = script.frame();
        assert_eq!((answer.protocol, answer.id), (protocol::IPCP, id));
        (answer.code, answer.data)
    };
    let assigned = [3, 6, 10, 0, 0, 2];
    assert_eq!(
        answer(&mut script, 1, &[3, 6, 0, 0, 0, 0]),
        (NAK, assigned.to_vec())
    );
    assert_eq!(
        answer(&mut script, 2, &[3, 6, 10, 0, 0, 9]),
        (NAK, assigned.to_vec())
    );
    assert_eq!(answer(&mut script, 3, &[3, 3, 1]), (NAK, assigned.to_vec()));
    assert_eq!(
        answer(&mut script, 4, &[]),
        (NAK, assigned.to_vec()),
        "asked to ask"
    );
    let wishes = [
        &[2, 6, 0, 0x2d, 15, 1][..],
        &[129, 6, 0, 0, 0, 0],
        &[130, 6, 0, 0, 0, 0],
        &assigned,
    ];
    assert_eq!(
        answer(&mut script, 5, &wishes.concat()),
        (REJECT, wishes[..3].concat())
    );
    // The answer is acted on before the Ack that lets the peer send.
    script.send(protocol::IPCP, ACK, ours.id, &ours.data);
    script.send(protocol::IPCP, REQUEST, 6, &assigned);
    let outputs = script.outputs();
    assert_eq!(outputs[0], Output::Event(opened(LOCAL, REMOTE)));
    let ack = Seen {
        protocol: protocol::IPCP,
        code: ACK,
        id: 6,
        data: assigned.to_vec(),
    };
    assert_eq!(frame_of(&outputs[1]), Some(ack));
    assert_eq!(outputs.len(), 2);
}

#[test]
fn other_network_protocols_are_rejected_and_the_link_lives() {
    let mut script = Script::open_client();
    for number in [0x80fd_u16, 0x8057, 0x0057, 0x00fd, 0x8281] {
        script.send(number, REQUEST, 3, &[1, 2]);
        let reject = script.frame();
        assert_eq!(
            (reject.protocol, reject.code),
            (protocol::LCP, code::PROTOCOL_REJECT)
        );
        assert_eq!(
            reject.data,
            [&number.to_be_bytes()[..], &[REQUEST, 3, 0, 6, 1, 2]].concat()
        );
    }
    // The rejected packet is cut to the peer's MRU.
    script.send(0x80fd, REQUEST, 3, &[0; 1600]);
    assert_eq!(script.frame().data.len(), 1496);
    script.session.handle_frame(script.now, &[0x00, 0x21, 0x45]);
    script.session.handle_frame(script.now, &[0x21, 0x45]);
    assert_eq!(script.outputs(), []);
    assert!(script.session.is_open());
}

#[test]
fn lcp_renegotiation_does_everything_again() {
    let mut script = Script::open_server();
    assert_eq!(script.events.len(), 2);
    script.lcp(REQUEST, 90, &MAGIC);
    let outputs = script.outputs();
    assert_eq!(outputs[0], Output::Event(Event::Suspended));
    let frames: Vec<_> = outputs[1..].iter().filter_map(frame_of).collect();
    assert_eq!((frames[0].code, frames[1].code), (REQUEST, ACK));
    script.send(protocol::IPCP, REQUEST, 91, &[]);
    script.send(protocol::PAP, 1, 3, b"\x02me\x05wrong");
    assert_eq!(script.outputs(), [], "LCP is not open");
    script.lcp(REQUEST, 92, &MAGIC);
    script.lcp(ACK, frames[0].id, &frames[0].data);
    script.outputs();
    script.send(protocol::PAP, 1, 3, b"\x02me\x06secret");
    script.open_ipcp();
    script.outputs();
    let up = opened(LOCAL, REMOTE);
    assert_eq!(script.events[3..], [authenticated(Some(0)), up]);
}

#[test]
fn ipcp_renegotiation_leaves_authentication_alone() {
    let mut script = Script::open_client();
    script.send(protocol::IPCP, REQUEST, 90, &[3, 6, 10, 0, 0, 7]);
    let frames = script.frames();
    assert_eq!((frames[0].code, frames[1].code), (REQUEST, ACK));
    assert_eq!(
        frames[0].data,
        [3, 6, 10, 0, 0, 2],
        "the address we were given"
    );
    script.send(protocol::IPCP, ACK, frames[0].id, &frames[0].data);
    script.outputs();
    let up = opened(REMOTE, Ipv4Addr::new(10, 0, 0, 7));
    assert_eq!(script.events[2..], [Event::NetworkDown(Family::Ipv4), up]);

    // The peer takes IPCP down, does not come back, and runs out of time.
    let mut script = Script::open_client();
    script.send(protocol::IPCP, code::TERMINATE_REQUEST, 91, &[]);
    script.lcp_answers_for(Duration::from_millis(59_999));
    assert_eq!(script.closed(), None);
    script.lcp_answers_for(Duration::from_secs(7));
    assert_eq!(script.closed(), Some(CloseReason::LoginTimeout));
}

#[test]
fn an_unanswered_ipcp_ends_the_link() {
    let mut script = Script::new(client());
    script.open_lcp(&MAGIC);
    script.lcp_answers_for(Duration::from_millis(29_999));
    assert_eq!(script.closed(), None);
    script.lcp_answers_for(Duration::from_secs(7));
    assert_eq!(script.closed(), Some(CloseReason::IpcpFailed));
}

#[test]
fn echoes_measure_and_their_absence_closes() {
    let mut script = Script::open_client();
    script.lcp_answers_for(Duration::from_secs(10));
    let echoes = script.session.echo_statistics();
    assert_eq!((echoes.sent, echoes.answered, echoes.lost), (10, 10, 0));
    let times_us = [echoes.last_us, echoes.min_us, echoes.max_us, echoes.mean_us];
    assert_eq!(times_us, [30_000; 4]);
    // The last answer came at 10.03 s.
    script.wait(Duration::from_millis(5_029));
    assert_eq!(script.closed(), None);
    script.wait(Duration::from_millis(1));
    let frames = script.frames();
    assert_eq!(
        frames.last().unwrap().code,
        code::TERMINATE_REQUEST,
        "perhaps the peer still hears us"
    );
    assert_eq!(script.closed(), Some(CloseReason::EchoTimeout));
    assert_eq!(script.session.echo_statistics().lost, 5);
}

#[test]
fn replies_that_answer_nothing_keep_nothing_alive() {
    let mut script = Script::open_client();
    let own = script.session.lcp.negotiator.magic().to_be_bytes();
    script.wait(Duration::from_secs(1));
    let id = script.frame().id;
    for (id, data) in [
        (id.wrapping_add(1), &[1, 2, 3, 4][..]),
        (id, &own),
        (id, &[1, 2, 3]),
    ] {
        script.lcp(code::ECHO_REPLY, id, data);
    }
    assert_eq!(script.session.echo_statistics().answered, 0);
    script.lcp(code::ECHO_REPLY, id, &[1, 2, 3, 4]);
    script.lcp(code::ECHO_REPLY, id, &[1, 2, 3, 4]);
    assert_eq!(script.session.echo_statistics().answered, 1);
    script.wait(Duration::from_secs(5));
    assert_eq!(script.closed(), Some(CloseReason::EchoTimeout));
}

/// Frames of any kind, mostly of a kind that gets somewhere.
fn any_frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let number = prop_oneof![
        4 => Just(protocol::LCP),
        3 => Just(protocol::IPCP),
        3 => Just(protocol::IPV6CP),
        1 => Just(protocol::PAP),
        1 => Just(protocol::CHAP),
        1 => any::<u16>(),
    ];
    let option = (0..12u8, prop::collection::vec(any::<u8>(), 0..6)).prop_map(|(kind, data)| {
        let mut out = Vec::new();
        option::push(&mut out, kind, &data);
        out
    });
    let data = prop_oneof![
        2 => prop::collection::vec(option, 0..4).prop_map(|options| options.concat()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ];
    let good = (number, 0..15u8, 0..4u8, data)
        .prop_map(|(number, code, id, data)| packet::frame(number, code, id, &data));
    let junk = prop::collection::vec(any::<u8>(), 0..30);
    prop::collection::vec(prop_oneof![4 => good, 1 => junk], 0..40)
}

proptest! {
    #[test]
    fn no_frame_makes_a_session_panic_or_talk_without_end(
        frames in any_frames(), which in 0..6, gap_ms in 0..4000u64,
    ) {
        let mut script = match which {
            0 => Script::new(client()),
            1 => Script::new(server(&AuthProtocol::ALL)),
            2 => Script::open_client(),
            3 => Script::open_server(),
            4 => Script::new(with_ipv6(client())),
            _ => ipv6::open_both(),
        };
        script.outputs();
        for frame in frames {
            script.session.handle_frame(script.now, &frame);
            let outputs = script.outputs();
            prop_assert!(outputs.len() < 16, "{outputs:?}");
            script.wait(Duration::from_millis(gap_ms));
            script.outputs();
        }
        script.wait(Duration::from_secs(300));
        script.outputs();
        let closed = script.events.iter().filter(|event| matches!(event, Event::Closed { .. })).count();
        prop_assert_eq!(closed, 1, "{:?}", script.events);
        prop_assert_eq!(script.session.next_timeout(), None);
    }
}
