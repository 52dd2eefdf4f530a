use rand::SeedableRng;

use super::*;

const NOW: Duration = Duration::from_secs(7);

fn credentials<'a>(username: &'a str, password: &'a Secret) -> Credentials<'a> {
    Credentials { username, password }
}

fn logins() -> Vec<Login> {
    let login = |username: &str, password: &str, octet| Login {
        username: username.into(),
        password: password.into(),
        remote_ip: [10, 0, 0, octet].into(),
    };
    vec![
        login("a", "one", 1),
        login("b", "two", 2),
        login("b", "three", 3),
        login("", "anyone", 4),
    ]
}

/// The packet inside a frame.
fn packet(frame: &[u8]) -> Packet<'_> {
    assert_eq!(frame[..2], [0xc2, 0x23]);
    Packet::parse(&frame[2..]).unwrap()
}

fn sent(step: Step) -> Vec<u8> {
    match step {
        Step::Send(frame) => frame,
        other => panic!("{other:?}"),
    }
}

#[test]
fn digests_are_md5_of_id_secret_challenge() {
    let challenge: Vec<u8> = (0..16).collect();
    let known = |octets: [u8; 16]| {
        octets
            .iter()
            .map(|o| format!("{o:02x}"))
            .collect::<String>()
    };
    // Computed with another implementation of MD5.
    assert_eq!(
        known(digest(1, &Secret::from("secret"), &challenge)),
        "740e86463bda3a4d7017d6e0fba0699d"
    );
    assert_eq!(
        known(digest(0xff, &Secret::from(""), &[0xaa])),
        "6c33e22e546f0c70faa7e2f674760ac4"
    );
}

#[test]
fn a_response_as_it_stands_on_the_wire() {
    let secret = Secret::from("secret");
    let mut peer = Peer::new(&Timers::default());
    let challenge = [&[16][..], &(0..16).collect::<Vec<u8>>(), b"head"].concat();
    let step = peer.receive(
        NOW,
        &Packet {
            code: CHALLENGE,
            id: 1,
            data: &challenge,
        },
        &credentials("me", &secret),
    );
    let mut golden = vec![0xc2, 0x23, 2, 1, 0, 23, 16];
    golden.extend(digest(1, &secret, &challenge[1..17]));
    golden.extend(b"me");
    assert_eq!(sent(step), golden);
}

/// An authenticator's verdict over a peer with this name and password.
fn verdict(username: &str, password: &str) -> Step {
    let mut rng = StdRng::seed_from_u64(1);
    let mut authenticator = Authenticator::new(&Timers::default(), 9);
    let challenge = authenticator.challenge(NOW, "", &mut rng);
    let password = Secret::from(password);
    let mut peer = Peer::new(&Timers::default());
    let response = sent(peer.receive(NOW, &packet(&challenge), &credentials(username, &password)));
    let step = authenticator.receive(&packet(&response), &logins());
    assert_eq!(
        authenticator.retry.deadline(),
        None,
        "a judged peer is not challenged again"
    );
    let (Step::Accepted { reply, .. } | Step::Refused { reply, .. }) = &step else {
        panic!("{step:?}")
    };
    // The repeated Response is answered alike, also with another digest.
    assert_eq!(
        authenticator.receive(&packet(&response), &logins()),
        Step::Send(reply.clone().unwrap())
    );
    let mut other = response.clone();
    other[8] ^= 1;
    assert_eq!(
        authenticator.receive(&packet(&other), &logins()),
        Step::Send(reply.clone().unwrap())
    );
    step
}

#[test]
fn name_and_secret_choose_the_login() {
    let accepted = |username, password| match verdict(username, password) {
        Step::Accepted {
            username: told,
            login,
            reply,
        } => {
            assert_eq!(
                (told.as_str(), packet(&reply.unwrap()).code),
                (username, SUCCESS)
            );
            login
        }
        Step::Refused {
            username: told,
            reply,
            ..
        } => {
            assert_eq!(
                (told.as_str(), packet(&reply.unwrap()).code),
                (username, FAILURE)
            );
            None
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(accepted("a", "one"), Some(0));
    assert_eq!(accepted("b", "two"), Some(1));
    assert_eq!(
        accepted("b", "three"),
        Some(2),
        "one name may have two passwords"
    );
    assert_eq!(accepted("", "anyone"), Some(3), "an empty name is a name");
    assert_eq!(accepted("a", "two"), None);
    assert_eq!(accepted("nobody", "one"), None);
    assert_eq!(accepted("", "one"), None);
}

#[test]
fn every_challenge_is_fresh_and_old_responses_do_not_count() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut authenticator = Authenticator::new(&Timers::default(), 0xff);
    let first = authenticator.challenge(NOW, "head", &mut rng);
    let second = authenticator.challenge(NOW, "head", &mut rng);
    assert_eq!((packet(&first).id, packet(&second).id), (0xff, 0));
    assert_ne!(packet(&first).data, packet(&second).data);
    assert_eq!(packet(&first).data[17..], *b"head");
    let secret = Secret::from("one");
    let mut peer = Peer::new(&Timers::default());
    let late = sent(peer.receive(NOW, &packet(&first), &credentials("a", &secret)));
    assert_eq!(
        authenticator.receive(&packet(&late), &logins()),
        Step::Nothing
    );
}

#[test]
fn malformed_values_are_discarded() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut authenticator = Authenticator::new(&Timers::default(), 3);
    assert_eq!(
        authenticator.receive(
            &Packet {
                code: RESPONSE,
                id: 3,
                data: &[0; 17]
            },
            &logins()
        ),
        Step::Nothing
    );
    authenticator.challenge(NOW, "head", &mut rng);
    let secret = Secret::from("one");
    for data in [&[][..], &[0], &[1], &[16], &[16; 16], &[15; 16], &[17; 18]] {
        let response = Packet {
            code: RESPONSE,
            id: 3,
            data,
        };
        assert_eq!(
            authenticator.receive(&response, &logins()),
            Step::Nothing,
            "{data:?}"
        );
    }
    let mut peer = Peer::new(&Timers::default());
    for data in [&[][..], &[0], &[0, 1], &[1], &[255; 255]] {
        let challenge = Packet {
            code: CHALLENGE,
            id: 3,
            data,
        };
        assert_eq!(
            peer.receive(NOW, &challenge, &credentials("a", &secret)),
            Step::Nothing,
            "{data:?}"
        );
    }
    for code in [0, 2, 5, 255] {
        let packet = Packet {
            code,
            id: 3,
            data: &[1, 1],
        };
        assert_eq!(
            peer.receive(NOW, &packet, &credentials("a", &secret)),
            Step::Nothing
        );
    }
}

#[test]
fn only_the_verdict_of_a_response_counts_and_once() {
    let secret = Secret::from("one");
    let me = credentials("a", &secret);
    let mut peer = Peer::new(&Timers::default());
    let success = |id| Packet {
        code: SUCCESS,
        id,
        data: &[],
    };
    let challenge = |id| Packet {
        code: CHALLENGE,
        id,
        data: &[1, 9],
    };
    assert_eq!(
        peer.receive(NOW, &success(1), &me),
        Step::Nothing,
        "nothing was asked"
    );
    // The second, of an earlier negotiation, came late; the third is a copy.
    for id in [1, 2, 1] {
        sent(peer.receive(NOW, &challenge(id), &me));
    }
    assert_eq!(peer.receive(NOW, &success(3), &me), Step::Nothing);
    let repeated: Vec<_> = (0..4).map(|_| packet(&sent(peer.repeat(NOW))).id).collect();
    assert_eq!(repeated, [1, 2, 1, 2]);
    let accepted = Step::Accepted {
        username: "a".into(),
        login: None,
        reply: None,
    };
    assert_eq!(peer.receive(NOW, &success(1), &me), accepted);
    assert_eq!(peer.receive(NOW, &success(1), &me), Step::Nothing);
    assert_eq!(peer.receive(NOW, &success(2), &me), Step::Nothing);
    assert_eq!(peer.retry.deadline(), None);
    assert_eq!(peer.repeat(NOW), Step::Nothing);

    for id in 3..20 {
        sent(peer.receive(NOW, &challenge(id), &me));
    }
    assert_eq!(peer.responses.len(), MAX_RESPONSES);
    let refused = Step::Refused {
        username: "a".into(),
        message: "no\u{fffd}".into(),
        reply: None,
    };
    let failure = Packet {
        code: FAILURE,
        id: 19,
        data: b"no\n",
    };
    assert_eq!(peer.receive(NOW, &failure, &me), refused);
}
