use super::*;
use crate::secret::Secret;

const NOW: Duration = Duration::from_secs(7);

fn logins() -> Logins {
    let login = |username: &str, password: &str| Login {
        username: username.into(),
        password: password.into(),
        remote_ip: [10, 0, 0, 1].into(),
    };
    Logins::from([login("a", "one"), login("b", "two")])
}

fn packet(frame: &[u8]) -> Packet<'_> {
    assert_eq!(frame[..2], [0xc0, 0x23]);
    Packet::parse(&frame[2..]).unwrap()
}

fn request(peer: &mut Peer, username: &str, password: &str) -> Vec<u8> {
    match peer.request(
        NOW,
        &Credentials {
            username,
            password: &Secret::from(password),
        },
    ) {
        Step::Send(frame) => frame,
        other => panic!("{other:?}"),
    }
}

#[test]
fn packets_as_they_stand_on_the_wire() {
    let mut peer = Peer::new(&Timers::default(), 5);
    assert_eq!(
        request(&mut peer, "a", "one"),
        [0xc0, 0x23, 1, 5, 0, 10, 1, b'a', 3, b'o', b'n', b'e']
    );
    assert_eq!(
        reply(AUTHENTICATE_ACK, 5, "hi"),
        [0xc0, 0x23, 2, 5, 0, 7, 2, b'h', b'i']
    );
}

#[test]
fn requests_are_judged_once_and_repeats_answered_alike() {
    for (password, code) in [
        ("one", AUTHENTICATE_ACK),
        ("two", AUTHENTICATE_NAK),
        ("", AUTHENTICATE_NAK),
    ] {
        let mut peer = Peer::new(&Timers::default(), 0xff);
        let mut authenticator = Authenticator::new(&Timers::default());
        let (first, second) = (
            request(&mut peer, "a", password),
            request(&mut peer, "a", password),
        );
        assert_eq!((packet(&first).id, packet(&second).id), (0xff, 0));
        let step = authenticator.receive(&packet(&first), &logins());
        let told = match &step {
            Step::Accepted { login, reply, .. } => {
                assert_eq!(*login, Some(0));
                reply.clone().unwrap()
            }
            Step::Refused { reply, .. } => reply.clone().unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            (packet(&told).code, packet(&told).id),
            (code, 0xff),
            "{password}"
        );
        let Step::Send(again) = authenticator.receive(&packet(&second), &logins()) else {
            panic!()
        };
        assert_eq!((packet(&again).code, packet(&again).id), (code, 0));
        assert_eq!(packet(&again).data, packet(&told).data);
    }
}

#[test]
fn a_verdict_counts_when_it_answers_one_of_our_requests_and_once() {
    let (password, mut peer) = (Secret::from("one"), Peer::new(&Timers::default(), 10));
    let me = Credentials {
        username: "a",
        password: &password,
    };
    assert_eq!(
        peer.receive(
            &Packet {
                code: AUTHENTICATE_ACK,
                id: 10,
                data: &[]
            },
            &me
        ),
        Step::Nothing
    );
    for _ in 0..3 {
        request(&mut peer, "a", "one");
    }
    for id in [9, 13] {
        assert_eq!(
            peer.receive(
                &Packet {
                    code: AUTHENTICATE_ACK,
                    id,
                    data: &[]
                },
                &me
            ),
            Step::Nothing
        );
    }
    assert_eq!(
        peer.receive(
            &Packet {
                code: 4,
                id: 11,
                data: &[]
            },
            &me
        ),
        Step::Nothing
    );
    // An empty Ack, without even the length of a message, is tolerated.
    let accepted = Step::Accepted {
        username: "a".into(),
        login: None,
        reply: None,
    };
    assert_eq!(
        peer.receive(
            &Packet {
                code: AUTHENTICATE_ACK,
                id: 11,
                data: &[]
            },
            &me
        ),
        accepted
    );
    assert_eq!(
        peer.receive(
            &Packet {
                code: AUTHENTICATE_NAK,
                id: 12,
                data: &[]
            },
            &me
        ),
        Step::Nothing
    );
    assert_eq!(peer.retry.deadline(), None);
}

#[test]
fn the_servers_words_are_told() {
    for (data, message) in [(&b"\x02no"[..], "no"), (b"\x05no", ""), (b"", "")] {
        let (password, mut peer) = (Secret::from("one"), Peer::new(&Timers::default(), 0));
        let me = Credentials {
            username: "a",
            password: &password,
        };
        request(&mut peer, "a", "one");
        let refused = Step::Refused {
            username: "a".into(),
            message: message.into(),
            reply: None,
        };
        assert_eq!(
            peer.receive(
                &Packet {
                    code: AUTHENTICATE_NAK,
                    id: 0,
                    data
                },
                &me
            ),
            refused
        );
    }
}

#[test]
fn malformed_requests_are_discarded() {
    let mut authenticator = Authenticator::new(&Timers::default());
    authenticator.wait(NOW);
    for data in [
        &[][..],
        &[1],
        &[1, b'a'],
        &[1, b'a', 3, b'o', b'n'],
        &[255; 200],
    ] {
        let packet = Packet {
            code: AUTHENTICATE_REQUEST,
            id: 1,
            data,
        };
        assert_eq!(
            authenticator.receive(&packet, &logins()),
            Step::Nothing,
            "{data:?}"
        );
    }
    let packet = Packet {
        code: AUTHENTICATE_ACK,
        id: 1,
        data: b"\x01a\x03one",
    };
    assert_eq!(authenticator.receive(&packet, &logins()), Step::Nothing);
    assert!(authenticator.retry.deadline().is_some(), "it still waits");
}

#[test]
fn what_does_not_fit_is_not_sent() {
    let (long, mut peer) = ("x".repeat(256), Peer::new(&Timers::default(), 0));
    let step = peer.request(
        NOW,
        &Credentials {
            username: &long,
            password: &Secret::from("one"),
        },
    );
    assert!(matches!(step, Step::Refused { .. }), "{step:?}");
}
