use super::*;

#[test]
fn the_first_request_as_it_stands_on_the_wire() {
    let mut script = Script::new(Config {
        mru: 1400,
        ..server(&[AuthProtocol::Chap])
    });
    let Some(Output::Frame(frame)) = script.session.poll_output() else {
        panic!()
    };
    let id = frame[3];
    assert_eq!(
        frame[..17],
        [
            0xc0, 0x21, 1, id, 0, 19, 1, 4, 0x05, 0x78, 3, 5, 0xc2, 0x23, 5, 5, 6
        ]
    );
    assert_eq!(frame.len(), 21);
    assert_ne!(frame[17..], [0; 4], "a magic number is not 0");

    let mut script = Script::new(server(&[AuthProtocol::Pap]));
    assert_eq!(
        script.frame().data[..6],
        [3, 4, 0xc0, 0x23, 5, 6],
        "1500 is not asked for"
    );
    let mut script = Script::new(client());
    assert_eq!(
        script.frame().data[..2],
        [5, 6],
        "a client asks for no authentication"
    );
}

/// What a fresh session answers to a Configure-Request.
fn answer(config: Config, options: &[u8]) -> (u8, Vec<u8>) {
    let mut script = Script::new(config);
    script.outputs();
    script.lcp(REQUEST, 77, options);
    let answer = script.frame();
    assert_eq!((answer.protocol, answer.id), (protocol::LCP, 77));
    (answer.code, answer.data)
}

#[test]
fn wishes_of_the_peer_are_granted_octet_for_octet() {
    // MRU, ACCM, Magic-Number, PFC, ACFC; then in another order, none, and extreme MRUs.
    let wishes = [
        &[1, 4, 0x05, 0x78][..],
        &[2, 6, 0, 0x0a, 0, 0],
        &[5, 6, 9, 9, 9, 9],
        &[7, 2],
        &[8, 2],
        &[8, 2, 2, 6, 0xff, 0xff, 0xff, 0xff, 7, 2],
        &[],
        &[1, 4, 0, 128],
        &[1, 4, 0xff, 0xff],
    ];
    for wish in wishes {
        assert_eq!(answer(client(), wish), (ACK, wish.to_vec()));
    }
    let all = wishes[..5].concat();
    assert_eq!(answer(server(&AuthProtocol::ALL), &all), (ACK, all));
}

/// RFC 2516 7.
#[test]
fn over_pppoe_the_fields_have_one_form_and_the_mru_is_always_told() {
    let pppoe = || Config {
        lower_layer: LowerLayer::Pppoe,
        ..client()
    };
    for option in [&[2, 6, 0, 0, 0, 0][..], &[2, 3, 9], &[7, 2], &[8, 2]] {
        assert_eq!(answer(pppoe(), option), (REJECT, option.to_vec()));
    }
    let granted = [&[1, 4, 0x05, 0xd4][..], &MAGIC].concat();
    assert_eq!(answer(pppoe(), &granted), (ACK, granted));
    for mru in [1492, 1500] {
        let mut script = Script::new(Config { mru, ..pppoe() });
        let [high, low] = mru.to_be_bytes();
        assert_eq!(script.frame().data[..6], [1, 4, high, low, 5, 6]);
    }
}

#[test]
fn unknown_options_are_rejected_before_anything_is_naked() {
    let request = [
        &[1, 4, 0, 1][..],
        &[17, 4, 5, 6],
        &[7, 2],
        &[4, 6, 0xc0, 0x25, 0, 0],
        &[0, 2],
        &[7, 3, 0],
    ];
    let rejected = [
        &[17, 4, 5, 6][..],
        &[4, 6, 0xc0, 0x25, 0, 0],
        &[0, 2],
        &[7, 3, 0],
    ];
    assert_eq!(
        answer(client(), &request.concat()),
        (REJECT, rejected.concat())
    );
}

#[test]
fn known_options_of_a_bad_length_or_value_are_naked_with_a_good_one() {
    // Among the authentication protocols: MS-CHAP, EAP, and none at all.
    for (bad, good) in [
        (&[1, 2][..], &[1, 4, 0x05, 0xdc][..]),
        (&[1, 3, 5], &[1, 4, 0x05, 0xdc]),
        (&[1, 4, 0, 127], &[1, 4, 0x05, 0xdc]),
        (&[2, 5, 0, 0, 0], &[2, 6, 0, 0, 0, 0]),
        (&[3, 5, 0xc2, 0x23, 0x80], &[3, 5, 0xc2, 0x23, 5]),
        (&[3, 4, 0xc2, 0x27], &[3, 5, 0xc2, 0x23, 5]),
        (&[3, 2], &[3, 5, 0xc2, 0x23, 5]),
    ] {
        assert_eq!(answer(client(), bad), (NAK, good.to_vec()), "{bad:?}");
    }
    for bad in [&[5, 6, 0, 0, 0, 0][..], &[5, 2], &[5, 5, 1, 2, 3]] {
        let (code, good) = answer(client(), bad);
        assert_eq!((code, &good[..2]), (NAK, &[5, 6][..]));
        assert_ne!(good[2..], [0; 4]);
    }
}

#[test]
fn a_client_takes_what_it_may_and_a_server_authenticates_itself_to_nobody() {
    use AuthProtocol::{Chap, MsChapV2, Pap};
    let options = [
        (Chap, &[3, 5, 0xc2, 0x23, 5][..]),
        (MsChapV2, &[3, 5, 0xc2, 0x23, 0x81]),
        (Pap, &[3, 4, 0xc0, 0x23]),
    ];
    for (protocol, asked) in options {
        assert_eq!(answer(client(), asked), (ACK, asked.to_vec()));
        assert_eq!(
            answer(server(&AuthProtocol::ALL), asked),
            (REJECT, asked.to_vec())
        );
        for (only, wanted) in options {
            let mut config = client();
            if let Role::Client { protocols, .. } = &mut config.role {
                *protocols = vec![only];
            }
            let expected = if only == protocol { ACK } else { NAK };
            assert_eq!(
                answer(config, asked),
                (expected, wanted.to_vec()),
                "{only} asked for {protocol}"
            );
        }
    }
    // EAP, MS-CHAP and what nobody knows.
    for asked in [&[3, 4, 0xc2, 0x27][..], &[3, 5, 0xc2, 0x23, 0x80], &[3, 2]] {
        assert_eq!(answer(client(), asked), (NAK, options[0].1.to_vec()));
    }
}

#[test]
fn magic_numbers_that_are_ignored_are_still_told() {
    let mut config = client();
    config.ignore_magic = true;
    let mut script = Script::new(config);
    let ours = script.frame();
    assert_eq!(ours.data[..2], [5, 6]);
    for (id, magic) in [(1, ours.data[2..].to_vec()), (2, vec![0; 4])] {
        script.lcp(REQUEST, id, &[&[5, 6], &magic[..]].concat());
        assert_eq!(script.frame().code, ACK);
    }
    script.lcp(ACK, ours.id, &ours.data);
    script.open_ipcp();
    // A peer that sends our own number back in its replies is alive.
    script.wait(Duration::from_secs(1));
    let frames = script.frames();
    let echo = frames
        .iter()
        .find(|f| f.code == code::ECHO_REQUEST)
        .unwrap();
    assert_eq!(echo.data, ours.data[2..]);
    script.lcp(code::ECHO_REPLY, echo.id, &echo.data);
    assert_eq!(script.session.echo_statistics().answered, 1);
}

#[test]
fn our_own_magic_number_is_naked_with_another_and_then_the_link_is_looped() {
    let mut script = Script::new(client());
    let ours = script.frame();
    for id in 1..=2 {
        script.lcp(REQUEST, id, &ours.data);
        let nak = script.frame();
        assert_eq!((nak.code, nak.id), (NAK, id));
        assert_ne!(nak.data, ours.data);
    }
    script.lcp(REQUEST, 3, &MAGIC);
    assert_eq!(script.frame().code, ACK, "chance, then");
    for id in 4..=5 {
        script.lcp(REQUEST, id, &ours.data);
        assert_eq!(script.frame().code, NAK, "counted anew");
    }
    script.lcp(REQUEST, 6, &ours.data);
    script.wait(Duration::from_secs(6));
    assert_eq!(script.closed(), Some(CloseReason::LoopedBack));
}

#[test]
fn naks_and_rejects_of_the_peer_are_heeded() {
    let mut script = Script::new(Config {
        mru: 1400,
        ..client()
    });
    let first = script.frame();
    let magic = first.data[4..].to_vec();
    script.lcp(NAK, first.id, &[1, 4, 0x05, 0x00]);
    let second = script.frame();
    assert_eq!(second.data, [&[1, 4, 0x05, 0x00][..], &magic].concat());
    assert_ne!(second.id, first.id);
    script.lcp(NAK, second.id, &[1, 4, 0x05, 0xdc]);
    let third = script.frame();
    assert_eq!(third.data[..4], [1, 4, 0x05, 0x78], "no more than we take");
    script.lcp(NAK, third.id, &magic);
    let fourth = script.frame();
    assert_ne!(
        fourth.data[4..],
        magic,
        "a Naked magic number is not used again"
    );
    script.lcp(REJECT, fourth.id, &fourth.data);
    let fifth = script.frame();
    assert!(fifth.data.is_empty(), "{fifth:?}");
    script.lcp(NAK, fifth.id, &[19, 3, 9, 1, 4, 0x05, 0xdc]);
    assert!(
        script.frame().data.is_empty(),
        "options a peer would like are not ours"
    );
}

#[test]
fn a_rejected_magic_number_is_0_in_echoes() {
    let mut script = Script::new(client());
    let ours = script.frame();
    script.lcp(REJECT, ours.id, &ours.data);
    script.open_lcp(&MAGIC);
    script.outputs();
    script.lcp(code::ECHO_REQUEST, 5, &[1, 2, 3, 4, 9]);
    assert_eq!(script.frame().data, [0, 0, 0, 0, 9]);
}

#[test]
fn echoes_are_answered_in_opened_only_and_fit_the_mru() {
    let mut script = Script::new(client());
    script.lcp(code::ECHO_REQUEST, 5, &[1, 2, 3, 4]);
    let ours = script.frame();
    assert_eq!(ours.code, REQUEST, "not open: no reply");
    script.lcp(REQUEST, 1, &[&[1, 4, 0, 128][..], &MAGIC].concat());
    script.lcp(ACK, ours.id, &ours.data);
    script.outputs();
    assert_eq!(script.session.peer_mru(), 128);
    script.lcp(
        code::ECHO_REQUEST,
        6,
        &[&[1, 2, 3, 4][..], &[7; 300]].concat(),
    );
    let reply = script.frame();
    assert_eq!((reply.code, reply.id), (code::ECHO_REPLY, 6));
    assert_eq!(reply.data, [&ours.data[2..6], &[7; 120]].concat());
    script.lcp(code::ECHO_REQUEST, 7, &ours.data[2..6]);
    assert_eq!(script.frames(), [], "that was our own");
    script.lcp(99, 8, &[7; 300]);
    let reject = script.frame();
    assert_eq!((reject.code, reject.data.len()), (code::CODE_REJECT, 124));
    assert_eq!(reject.data[..5], [99, 8, 1, 48, 7]);
}

#[test]
fn identification_discard_request_and_time_remaining_are_silently_taken() {
    let mut script = Script::open_client();
    for code in 11..=13 {
        script.lcp(code, 9, b"\x01\x02\x03\x04 who cares");
    }
    assert_eq!(script.outputs(), []);
    assert!(script.session.is_open());
}

#[test]
fn a_terminate_request_ends_the_link_at_once() {
    let mut script = Script::open_server();
    script.lcp(code::TERMINATE_REQUEST, 9, b"bye\n");
    let outputs = script.outputs();
    let ack = Seen {
        protocol: protocol::LCP,
        code: code::TERMINATE_ACK,
        id: 9,
        data: vec![],
    };
    assert_eq!(frame_of(&outputs[0]), Some(ack.clone()));
    assert_eq!(outputs[1], Output::Event(Event::Suspended));
    assert_eq!(
        script.closed(),
        Some(CloseReason::PeerTerminated("bye\u{fffd}".into()))
    );
    // Its repetition is still answered, and nothing else is.
    script.lcp(code::TERMINATE_REQUEST, 9, b"bye");
    assert_eq!(script.frame(), ack);
    script.send(protocol::IPCP, REQUEST, 9, &[]);
    script.session.start(script.now);
    script
        .session
        .close(script.now, CloseReason::Administrative);
    script
        .session
        .handle_timeout(script.now + Duration::from_secs(100));
    assert_eq!(script.outputs(), []);
}

#[test]
fn closing_tells_the_peer_and_waits_for_its_ack_for_a_while() {
    let mut script = Script::open_client();
    script
        .session
        .close(script.now, CloseReason::Administrative);
    let outputs = script.outputs();
    assert_eq!(outputs[0], Output::Event(Event::Suspended));
    let request = frame_of(&outputs[1]).unwrap();
    assert_eq!((request.code, outputs.len()), (code::TERMINATE_REQUEST, 2));
    script.session.close(script.now, CloseReason::LcpFailed);
    script.wait(Duration::from_secs(3));
    assert_eq!(script.frame(), request, "the same once more");
    script.lcp(code::TERMINATE_ACK, request.id, &[]);
    assert_eq!(
        script.closed(),
        Some(CloseReason::Administrative),
        "the first reason is the reason"
    );

    let mut script = Script::open_client();
    script
        .session
        .close(script.now, CloseReason::Administrative);
    script.wait(Duration::from_millis(5_999));
    assert_eq!(script.closed(), None);
    script.wait(Duration::from_millis(1));
    assert_eq!(script.closed(), Some(CloseReason::Administrative));
}

#[test]
fn closing_without_a_lower_layer_or_before_the_start_is_immediate() {
    let mut script = Script::open_client();
    script
        .session
        .close(script.now, CloseReason::LowerLayerDown);
    assert_eq!(script.frames(), []);
    assert_eq!(script.closed(), Some(CloseReason::LowerLayerDown));
    let mut session = Session::new(client(), StdRng::seed_from_u64(1));
    session.handle_frame(Duration::ZERO, &[0xc0, 0x21, 1, 1, 0, 4]);
    assert_eq!(session.poll_output(), None, "not started");
    session.close(Duration::ZERO, CloseReason::Administrative);
    let closed = Event::Closed {
        reason: CloseReason::Administrative,
    };
    assert_eq!(session.poll_output(), Some(Output::Event(closed)));
    assert_eq!(
        (session.poll_output(), session.next_timeout()),
        (None, None)
    );
}

#[test]
fn rejects_we_cannot_live_with_close_and_others_do_not() {
    let mut script = Script::open_client();
    script.lcp(code::CODE_REJECT, 1, &[12, 1, 0, 4]);
    script.lcp(code::CODE_REJECT, 1, &[]);
    script.lcp(code::PROTOCOL_REJECT, 1, &[0x80, 0x57, 1]);
    script.lcp(code::PROTOCOL_REJECT, 1, &[0xc2, 0x23, 1]);
    script.lcp(code::PROTOCOL_REJECT, 1, &[0xc0]);
    assert_eq!(script.outputs(), []);
    for (code, data, number) in [
        (code::CODE_REJECT, &[5, 1, 0, 4][..], protocol::LCP),
        (code::PROTOCOL_REJECT, &[0xc0, 0x21], protocol::LCP),
        (code::PROTOCOL_REJECT, &[0x80, 0x21, 1], protocol::IPCP),
    ] {
        let mut script = Script::open_client();
        script.lcp(code, 1, data);
        let request = script.frame();
        assert_eq!(request.code, code::TERMINATE_REQUEST);
        script.lcp(code::TERMINATE_ACK, request.id, &[]);
        assert_eq!(script.closed(), Some(CloseReason::Rejected(number)));
    }
    // Not heeded before LCP is open.
    let mut script = Script::new(client());
    script.outputs();
    script.lcp(code::PROTOCOL_REJECT, 1, &[0xc0, 0x21]);
    assert_eq!(script.outputs(), []);
}
