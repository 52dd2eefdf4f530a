use md5::{Digest, Md5};

use super::*;

const CHAP: [u8; 5] = [3, 5, 0xc2, 0x23, 5];
const PAP: [u8; 4] = [3, 4, 0xc0, 0x23];

#[test]
fn a_server_takes_the_next_protocol_for_a_nak_or_a_reject_but_never_none() {
    use AuthProtocol::{Chap, Pap};
    for (protocols, code, hint, next) in [
        (&[Chap, Pap][..], NAK, &PAP[..], Some(&PAP[..])),
        (&[Chap, Pap], NAK, &[3, 5, 0xc2, 0x23, 0x80], Some(&PAP)),
        (&[Pap, Chap], NAK, &CHAP, Some(&CHAP)),
        (&[Chap, Pap], REJECT, &CHAP, Some(&PAP)),
        (&[Chap], NAK, &PAP, None),
        (&[Chap], REJECT, &CHAP, None),
        (&[Pap], NAK, &CHAP, None),
    ] {
        let mut script = Script::new(server(protocols));
        let first = script.frame();
        script.lcp(code, first.id, hint);
        if let Some(next) = next {
            let second = script.frame();
            assert_eq!(second.code, REQUEST);
            assert!(second.data.starts_with(next), "{protocols:?}: {second:?}");
            // And that was the last of the list.
            script.lcp(REJECT, second.id, next);
        }
        script.wait(Duration::from_secs(6));
        assert_eq!(
            script.closed(),
            Some(CloseReason::AuthenticationRefused),
            "{protocols:?}"
        );
    }
}

/// A server that asked for CHAP, and its Challenge.
fn challenged() -> (Script, Seen) {
    let mut script = Script::new(Config {
        lcp_rate: Duration::ZERO,
        ..server(&[AuthProtocol::Chap])
    });
    script.open_lcp(&MAGIC);
    let challenge = script.frame();
    assert_eq!((challenge.protocol, challenge.code), (protocol::CHAP, 1));
    (script, challenge)
}

/// The Response of a peer with this password.
fn response(challenge: &Seen, password: &str) -> Vec<u8> {
    let value = &challenge.data[1..17];
    let digest = Md5::digest([&[challenge.id], password.as_bytes(), value].concat());
    [&[16], digest.as_slice(), b"me"].concat()
}

#[test]
fn chap_is_told_before_success_leaves_and_repeats_get_the_same_verdict() {
    let (mut script, challenge) = challenged();
    let good = response(&challenge, "secret");
    script.send(protocol::CHAP, 2, challenge.id, &good);
    let outputs = script.outputs();
    assert_eq!(outputs[0], Output::Event(authenticated(Some(0))));
    let success = frame_of(&outputs[1]).unwrap();
    assert_eq!(
        (success.protocol, success.code, success.id),
        (protocol::CHAP, 3, challenge.id)
    );
    let ipcp = frame_of(&outputs[2]).unwrap();
    assert_eq!((ipcp.protocol, ipcp.code), (protocol::IPCP, REQUEST));
    assert_eq!(outputs.len(), 3);
    script.send(protocol::CHAP, 2, challenge.id, &good);
    assert_eq!(
        script.outputs().iter().map(frame_of).collect::<Vec<_>>(),
        [Some(success)]
    );
}

#[test]
fn a_wrong_response_is_told_and_closes() {
    let (mut script, challenge) = challenged();
    script.send(
        protocol::CHAP,
        2,
        challenge.id,
        &response(&challenge, "Secret"),
    );
    let frames = script.frames();
    assert_eq!((frames[0].protocol, frames[0].code), (protocol::CHAP, 4));
    assert_eq!(
        (frames[1].protocol, frames[1].code),
        (protocol::LCP, code::TERMINATE_REQUEST)
    );
    script.lcp(code::TERMINATE_ACK, frames[1].id, &[]);
    let reason = script.closed().unwrap();
    assert!(
        matches!(&reason, CloseReason::AuthenticationFailed { username, .. } if username == "me")
    );
    assert_eq!(script.events.len(), 1, "{:?}", script.events);
}

#[test]
fn an_unanswered_challenge_is_repeated_afresh_and_then_given_up() {
    let (mut script, first) = challenged();
    script.wait(Duration::from_secs(3));
    let second = script.frame();
    assert_ne!(first.id, second.id);
    assert_ne!(first.data, second.data);
    script.send(protocol::CHAP, 2, first.id, &response(&first, "secret"));
    assert_eq!(script.outputs(), [], "an old Response");
    script.send(protocol::CHAP, 2, second.id, &response(&second, "secret"));
    script.outputs();
    assert_eq!(script.events, [authenticated(Some(0))]);

    let (mut script, _) = challenged();
    script.wait(Duration::from_millis(29_999));
    assert_eq!(script.frames().len(), 9);
    script.wait(Duration::from_secs(7));
    assert_eq!(script.closed(), Some(CloseReason::AuthenticationTimeout));
}

#[test]
fn nothing_but_authentication_is_answered_before_authentication() {
    let (mut script, _) = challenged();
    script.send(protocol::IPCP, REQUEST, 1, &[3, 6, 10, 0, 0, 2]);
    script.send(protocol::PAP, 1, 1, b"\x02me\x06secret");
    script.send(0x80fd, REQUEST, 1, &[]);
    assert_eq!(script.outputs(), []);
}

#[test]
fn pap_is_told_before_the_ack_leaves_and_repeats_are_answered_alike() {
    let mut script = Script::new(server(&[AuthProtocol::Pap]));
    script.open_lcp(&MAGIC);
    script.send(protocol::PAP, 1, 7, b"\x02me\x06secret");
    let outputs = script.outputs();
    assert_eq!(outputs[0], Output::Event(authenticated(Some(0))));
    let ack = frame_of(&outputs[1]).unwrap();
    assert_eq!((ack.protocol, ack.code, ack.id), (protocol::PAP, 2, 7));
    script.send(protocol::PAP, 1, 8, b"\x02me\x06secret");
    assert_eq!(script.frame(), Seen { id: 8, ..ack });
    assert_eq!(script.events, [authenticated(Some(0))]);
}

#[test]
fn a_client_logs_in_by_pap_and_repeats_its_request() {
    let mut script = Script::new(client());
    script.open_lcp(&PAP);
    let first = script.frame();
    assert_eq!(
        (first.protocol, first.code, &first.data[..]),
        (protocol::PAP, 1, &b"\x02me\x06secret"[..])
    );
    script.wait(Duration::from_secs(3));
    let frames = script.frames();
    let second = frames
        .iter()
        .find(|frame| frame.protocol == protocol::PAP)
        .unwrap();
    assert_eq!(second.data, first.data);
    script.send(protocol::PAP, 2, first.id, b"\x00");
    script.outputs();
    assert_eq!(script.events, [authenticated(None)]);

    let mut script = Script::new(client());
    script.open_lcp(&PAP);
    let request = script.frame();
    script.send(protocol::PAP, 3, request.id, b"\x02no");
    script.wait(Duration::from_secs(6));
    let reason = CloseReason::AuthenticationFailed {
        username: "me".into(),
        message: "no".into(),
    };
    assert_eq!(script.closed(), Some(reason));
}

/// A client on an open link that logged in by CHAP.
fn open_by_chap() -> Script {
    let mut script = Script::new(client());
    script.open_lcp(&CHAP);
    script.send(protocol::CHAP, 1, 30, b"\x04abcd");
    assert_eq!(script.frame().id, 30);
    script.send(protocol::CHAP, 3, 30, b"");
    script.open_ipcp();
    script.outputs();
    script
}

#[test]
fn challenges_of_an_open_link_are_answered_and_disturb_nothing() {
    let mut script = open_by_chap();
    let events = script.events.clone();
    script.send(protocol::CHAP, 1, 31, b"\x04wxyzhead");
    let answer = script.frame();
    let digest = Md5::digest([&[31], &b"secretwxyz"[..]].concat());
    assert_eq!((answer.code, answer.id), (2, 31));
    assert_eq!(answer.data, [&[16], digest.as_slice(), b"me"].concat());
    script.send(protocol::CHAP, 3, 31, b"fine");
    script.send(protocol::CHAP, 3, 31, b"fine");
    assert_eq!(script.outputs(), []);
    script.send(protocol::CHAP, 1, 32, b"\x04wxyz");
    script.frame();
    let others: Vec<_> = script.lcp_answers_for(Duration::from_secs(20));
    assert_eq!(others, [], "the Response is not repeated");
    assert!(script.session.is_open());
    assert_eq!(script.events, events);

    script.send(protocol::CHAP, 1, 33, b"\x04wxyz");
    script.send(protocol::CHAP, 4, 33, b"changed");
    script.wait(Duration::from_secs(6));
    let reason = CloseReason::AuthenticationFailed {
        username: "me".into(),
        message: "changed".into(),
    };
    assert_eq!(script.closed(), Some(reason));
}

#[test]
fn a_challenge_that_overtakes_the_last_ack_is_answered_after_it() {
    let mut script = Script::new(client());
    let ours = script.frame();
    script.lcp(REQUEST, 1, &CHAP);
    script.send(protocol::CHAP, 1, 30, b"\x04abcd");
    assert_eq!(script.frame().code, ACK);
    script.lcp(ACK, ours.id, &ours.data);
    let answer = script.frame();
    assert_eq!(
        (answer.protocol, answer.code, answer.id),
        (protocol::CHAP, 2, 30)
    );
    // As is an IPCP request that overtakes Success.
    script.send(protocol::IPCP, REQUEST, 9, &[3, 6, 10, 0, 0, 1]);
    assert_eq!(script.outputs(), []);
    script.send(protocol::CHAP, 3, 30, b"");
    let frames = script.frames();
    assert!(
        frames
            .iter()
            .any(|f| (f.protocol, f.code, f.id) == (protocol::IPCP, ACK, 9)),
        "{frames:?}"
    );
}

#[test]
fn a_lost_verdict_is_asked_for_by_the_same_response() {
    let mut script = Script::new(Config {
        lcp_rate: Duration::ZERO,
        ..client()
    });
    script.open_lcp(&CHAP);
    assert_eq!(script.outputs(), [], "a peer waits for its Challenge");
    script.send(protocol::CHAP, 1, 30, b"\x04abcd");
    let answer = script.frame();
    script.wait(Duration::from_secs(3));
    assert_eq!(script.frame(), answer);
}

#[test]
fn a_login_that_takes_too_long_is_ended() {
    let mut script = Script::new(Config {
        lcp_rate: Duration::ZERO,
        ..client()
    });
    script.open_lcp(&CHAP);
    script.wait(Duration::from_millis(59_999));
    assert_eq!(script.outputs(), []);
    script.wait(Duration::from_millis(1 + 6_000));
    assert_eq!(script.closed(), Some(CloseReason::LoginTimeout));
}

#[test]
fn a_renegotiation_asks_for_the_best_protocol_again() {
    let mut script = Script::new(server(&AuthProtocol::ALL));
    let first = script.frame();
    script.lcp(NAK, first.id, &PAP);
    script.open_lcp(&MAGIC);
    script.lcp(REQUEST, 9, &MAGIC);
    let request = script.frames().remove(0);
    assert_eq!((request.code, &request.data[..5]), (REQUEST, &CHAP[..]));
}
