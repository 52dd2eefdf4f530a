use rand::SeedableRng;

use super::*;
use crate::ppp::Login;

const NOW: Duration = Duration::from_secs(7);

/// The end that answers, by MD5.
fn peer() -> Peer {
    peer_by(Algorithm::Md5)
}

fn peer_by(algorithm: Algorithm) -> Peer {
    Peer::new(algorithm, &Timers::default())
}

/// The end that asks, by MD5 and once.
fn authenticator(first_id: u8) -> Authenticator {
    authenticator_by(Algorithm::Md5, first_id)
}

fn authenticator_by(algorithm: Algorithm, first_id: u8) -> Authenticator {
    Authenticator::new(algorithm, &Timers::default(), None, first_id)
}

/// Where an answering end has its challenges from.
fn chance() -> StdRng {
    StdRng::seed_from_u64(8)
}

fn credentials<'a>(username: &'a str, password: &'a Secret) -> Credentials<'a> {
    Credentials { username, password }
}

fn logins() -> Logins {
    let login = |username: &str, password: &str, octet| Login {
        username: username.into(),
        password: password.into(),
        remote_ip: [10, 0, 0, octet].into(),
    };
    Logins::from([
        login("a", "one", 1),
        login("b", "two", 2),
        login("b", "three", 3),
        login("", "anyone", 4),
    ])
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
    let mut peer = peer();
    let challenge = [&[16][..], &(0..16).collect::<Vec<u8>>(), b"head"].concat();
    let step = peer.receive(
        NOW,
        &Packet {
            code: CHALLENGE,
            id: 1,
            data: &challenge,
        },
        &credentials("me", &secret),
        &mut chance(),
    );
    let mut golden = vec![0xc2, 0x23, 2, 1, 0, 23, 16];
    golden.extend(digest(1, &secret, &challenge[1..17]));
    golden.extend(b"me");
    assert_eq!(sent(step), golden);
}

/// An authenticator's verdict over a peer with this name and password.
fn verdict(algorithm: Algorithm, username: &str, password: &str) -> Step {
    let mut rng = StdRng::seed_from_u64(1);
    let mut authenticator = authenticator_by(algorithm, 9);
    let challenge = authenticator.challenge(NOW, "", &mut rng);
    let password = Secret::from(password);
    let mut peer = peer_by(algorithm);
    let response = sent(peer.receive(
        NOW,
        &packet(&challenge),
        &credentials(username, &password),
        &mut chance(),
    ));
    let step = authenticator.receive(NOW, &packet(&response), &logins());
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
        authenticator.receive(NOW, &packet(&response), &logins()),
        Step::Send(reply.clone().unwrap())
    );
    let mut other = response.clone();
    other[8] ^= 1;
    assert_eq!(
        authenticator.receive(NOW, &packet(&other), &logins()),
        Step::Send(reply.clone().unwrap())
    );
    step
}

#[test]
fn name_and_secret_choose_the_login() {
    for algorithm in [Algorithm::Md5, Algorithm::MicrosoftV2] {
        chooses_the_login(algorithm);
    }
}

fn chooses_the_login(algorithm: Algorithm) {
    let accepted = |username, password| match verdict(algorithm, username, password) {
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
    let mut authenticator = authenticator(0xff);
    let first = authenticator.challenge(NOW, "head", &mut rng);
    let second = authenticator.challenge(NOW, "head", &mut rng);
    assert_eq!((packet(&first).id, packet(&second).id), (0xff, 0));
    assert_ne!(packet(&first).data, packet(&second).data);
    assert_eq!(packet(&first).data[17..], *b"head");
    let secret = Secret::from("one");
    let mut peer = peer();
    let late = sent(peer.receive(
        NOW,
        &packet(&first),
        &credentials("a", &secret),
        &mut chance(),
    ));
    assert_eq!(
        authenticator.receive(NOW, &packet(&late), &logins()),
        Step::Nothing
    );
}

#[test]
fn malformed_values_are_discarded() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut authenticator = authenticator(3);
    assert_eq!(
        authenticator.receive(
            NOW,
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
            authenticator.receive(NOW, &response, &logins()),
            Step::Nothing,
            "{data:?}"
        );
    }
    let mut peer = peer();
    for data in [&[][..], &[0], &[0, 1], &[1], &[255; 255]] {
        let challenge = Packet {
            code: CHALLENGE,
            id: 3,
            data,
        };
        assert_eq!(
            peer.receive(NOW, &challenge, &credentials("a", &secret), &mut chance()),
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
            peer.receive(NOW, &packet, &credentials("a", &secret), &mut chance()),
            Step::Nothing
        );
    }
}

#[test]
fn only_the_verdict_of_a_response_counts_and_once() {
    let secret = Secret::from("one");
    let me = credentials("a", &secret);
    let mut peer = peer();
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
        peer.receive(NOW, &success(1), &me, &mut chance()),
        Step::Nothing,
        "nothing was asked"
    );
    // The second, of an earlier negotiation, came late; the third is a copy.
    for id in [1, 2, 1] {
        sent(peer.receive(NOW, &challenge(id), &me, &mut chance()));
    }
    assert_eq!(
        peer.receive(NOW, &success(3), &me, &mut chance()),
        Step::Nothing
    );
    let repeated: Vec<_> = (0..4).map(|_| packet(&sent(peer.repeat(NOW))).id).collect();
    assert_eq!(repeated, [1, 2, 1, 2]);
    let accepted = Step::Accepted {
        username: "a".into(),
        login: None,
        reply: None,
    };
    assert_eq!(peer.receive(NOW, &success(1), &me, &mut chance()), accepted);
    assert_eq!(
        peer.receive(NOW, &success(1), &me, &mut chance()),
        Step::Nothing
    );
    assert_eq!(
        peer.receive(NOW, &success(2), &me, &mut chance()),
        Step::Nothing
    );
    assert_eq!(peer.retry.deadline(), None);
    assert_eq!(peer.repeat(NOW), Step::Nothing);

    for id in 3..20 {
        sent(peer.receive(NOW, &challenge(id), &me, &mut chance()));
    }
    assert_eq!(peer.answers.len(), MAX_RESPONSES);
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
    assert_eq!(peer.receive(NOW, &failure, &me, &mut chance()), refused);
}

/// A Challenge of MS-CHAPv2, and what a peer with this password answers.
fn microsoft_exchange(password: &Secret) -> (Authenticator, Peer, Vec<u8>, Vec<u8>) {
    let mut authenticator = authenticator_by(Algorithm::MicrosoftV2, 9);
    let challenge = authenticator.challenge(NOW, "head", &mut StdRng::seed_from_u64(1));
    let mut peer = peer_by(Algorithm::MicrosoftV2);
    let response = sent(peer.receive(
        NOW,
        &packet(&challenge),
        &credentials("a", password),
        &mut chance(),
    ));
    (authenticator, peer, challenge, response)
}

#[test]
fn ms_chap_v2_proves_both_ends() {
    let secret = Secret::from("one");
    let me = credentials("a", &secret);
    let (mut authenticator, mut peer, _, response) = microsoft_exchange(&secret);
    let Packet { data, .. } = packet(&response);
    assert_eq!((data.len(), data[0], &data[50..]), (51, 49, &b"a"[..]));
    assert_eq!(
        (&data[17..25], data[49]),
        (&[0; 8][..], 0),
        "reserved, flags"
    );
    let Step::Accepted {
        reply: Some(success),
        ..
    } = authenticator.receive(NOW, &packet(&response), &logins())
    else {
        panic!("not accepted");
    };
    let words = text(packet(&success).data);
    assert!(
        words.starts_with("S=") && words.ends_with(" M=welcome"),
        "{words}"
    );
    assert_eq!(words.len(), PROOF_OCTETS + " M=welcome".len());
    let accepted = Step::Accepted {
        username: "a".into(),
        login: None,
        reply: None,
    };
    // As other implementations write it: small letters, and no message.
    let small = words.to_lowercase().replace("s=", "S=");
    let other = frame(
        protocol::CHAP,
        SUCCESS,
        9,
        &small.as_bytes()[..PROOF_OCTETS],
    );
    assert_eq!(
        peer.receive(NOW, &packet(&other), &me, &mut chance()),
        accepted
    );
}

#[test]
fn a_server_that_does_not_know_the_password_is_not_believed() {
    let secret = Secret::from("one");
    for words in [
        "",
        "welcome",
        "S=",
        "S=0000000000000000000000000000000000000000 M=hi",
    ] {
        let (_, mut peer, _, _) = microsoft_exchange(&secret);
        let success = frame(protocol::CHAP, SUCCESS, 9, words.as_bytes());
        let refused = Step::Refused {
            username: "a".into(),
            message: "the peer does not know the password".into(),
            reply: None,
        };
        let step = peer.receive(
            NOW,
            &packet(&success),
            &credentials("a", &secret),
            &mut chance(),
        );
        assert_eq!(step, refused, "{words}");
    }
}

/// The Success says which Response it is for only by what it proves: two
/// different ones to one Challenge would not do.
#[test]
fn a_copy_of_a_challenge_gets_the_same_response() {
    let secret = Secret::from("one");
    let (_, mut peer, challenge, response) = microsoft_exchange(&secret);
    let again = sent(peer.receive(
        NOW,
        &packet(&challenge),
        &credentials("a", &secret),
        &mut chance(),
    ));
    assert_eq!(again, response);
}

#[test]
fn a_refusal_of_ms_chap_v2_has_the_form_of_the_rfc() {
    let (mut authenticator, _, challenge, response) = microsoft_exchange(&Secret::from("two"));
    let Step::Refused {
        reply: Some(failure),
        ..
    } = authenticator.receive(NOW, &packet(&response), &logins())
    else {
        panic!("not refused");
    };
    let challenge = hexadecimal(&packet(&challenge).data[1..17]);
    let words = format!("E=691 R=0 C={challenge} V=3 M={UNWELCOME}");
    assert_eq!(text(packet(&failure).data), words);
    assert_eq!(packet(&failure).code, FAILURE);
}

#[test]
fn values_of_the_other_algorithm_are_discarded() {
    let secret = Secret::from("one");
    let mut rng = StdRng::seed_from_u64(1);
    let pairs = [
        (Algorithm::Md5, Algorithm::MicrosoftV2),
        (Algorithm::MicrosoftV2, Algorithm::Md5),
    ];
    for (ours, theirs) in pairs {
        let mut authenticator = authenticator_by(ours, 9);
        let challenge = authenticator.challenge(NOW, "head", &mut rng);
        let me = credentials("a", &secret);
        let response = sent(peer_by(theirs).receive(NOW, &packet(&challenge), &me, &mut chance()));
        let step = authenticator.receive(NOW, &packet(&response), &logins());
        assert_eq!(step, Step::Nothing, "{ours:?}");
    }
    // A challenge that has not sixteen octets is none of MS-CHAPv2.
    let short = Packet {
        code: CHALLENGE,
        id: 1,
        data: b"\x04abcd",
    };
    let mut peer = peer_by(Algorithm::MicrosoftV2);
    let step = peer.receive(NOW, &short, &credentials("a", &secret), &mut chance());
    assert_eq!(step, Step::Nothing);
}

/// What a peer answers to this challenge by MS-CHAPv2.
pub(in crate::ppp) fn microsoft_response(
    challenge: &[u8; 16],
    name: &str,
    password: &str,
) -> Vec<u8> {
    Exchange {
        authenticator_challenge: challenge,
        peer_challenge: &[4; 16],
        name: name.as_bytes(),
        password: &password.into(),
    }
    .response()
}
