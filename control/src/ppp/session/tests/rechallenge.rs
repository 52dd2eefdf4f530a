//! A peer on an open link proves itself again.
use super::*;
use crate::ppp::auth::{Auth, Credentials, Party, Step};

const INTERVAL: Duration = Duration::from_secs(60);

/// A server that asks again, and the peer's side of the authentication.
struct Rig {
    script: Script,
    peer: Auth,
    rng: StdRng,
}

impl Rig {
    fn new(protocol: AuthProtocol, asked: &[u8]) -> Self {
        let mut config = server(&[protocol]);
        config.lcp_rate = Duration::ZERO;
        if let Role::Server {
            rechallenge,
            logins,
            ..
        } = &mut config.role
        {
            *rechallenge = Some(INTERVAL);
            let other = Login {
                username: "other".into(),
                password: "secret".into(),
                remote_ip: LOCAL,
            };
            *logins = [other, logins[0].clone()].into();
        }
        let mut script = Script::new(config);
        let ours = script.frame();
        assert!(ours.data.starts_with(asked), "{ours:?}");
        script.lcp(REQUEST, 1, &MAGIC);
        script.frame();
        script.lcp(ACK, ours.id, &ours.data);
        let mut rng = StdRng::seed_from_u64(9);
        let secret = "secret".into();
        let peer = Auth::new(
            protocol,
            &party("me", &secret),
            &Timers::default(),
            &mut rng,
        );
        Self { script, peer, rng }
    }

    /// The peer's answer to the Challenge that was just sent.
    fn response(&mut self, challenge: &Seen, name: &str, password: &str) -> Vec<u8> {
        assert_eq!((challenge.protocol, challenge.code), (protocol::CHAP, 1));
        let packet = Packet {
            code: challenge.code,
            id: challenge.id,
            data: &challenge.data,
        };
        let (now, password) = (self.script.now, password.into());
        let party = party(name, &password);
        match self
            .peer
            .receive(now, protocol::CHAP, &packet, &party, &mut self.rng)
        {
            Step::Send(frame) => frame,
            other => panic!("{other:?}"),
        }
    }

    fn respond(&mut self, challenge: &Seen, name: &str, password: &str) {
        let response = self.response(challenge, name, password);
        self.script.session.handle_frame(self.script.now, &response);
    }

    fn opened(protocol: AuthProtocol, asked: &[u8]) -> Self {
        let mut rig = Self::new(protocol, asked);
        let challenge = rig.script.frame();
        rig.respond(&challenge, "me", "secret");
        rig.script.open_ipcp();
        rig.script.outputs();
        assert_eq!(
            rig.script.events,
            [authenticated(Some(1)), opened(LOCAL, REMOTE)]
        );
        rig
    }
}

fn party<'a>(username: &'a str, password: &'a Secret) -> Party<'a> {
    Party::Peer(Credentials { username, password })
}

const WAYS: [(AuthProtocol, &[u8]); 2] = [
    (AuthProtocol::Chap, &[3, 5, 0xc2, 0x23, 5]),
    (AuthProtocol::MsChapV2, &[3, 5, 0xc2, 0x23, 0x81]),
];

#[test]
fn it_is_asked_again_and_again_and_nothing_else_changes() {
    for (protocol, asked) in WAYS {
        let mut rig = Rig::opened(protocol, asked);
        let events = rig.script.events.clone();
        let mut challenges = Vec::new();
        for _ in 0..3 {
            rig.script.wait(INTERVAL - Duration::from_millis(1));
            assert_eq!(rig.script.outputs(), []);
            rig.script.wait(Duration::from_millis(1));
            let challenge = rig.script.frame();
            let response = rig.response(&challenge, "me", "secret");
            for _ in 0..2 {
                rig.script.session.handle_frame(rig.script.now, &response);
                let verdict = rig.script.frame();
                assert_eq!((verdict.code, verdict.id), (3, challenge.id));
            }
            challenges.push(challenge.data);
        }
        assert!(challenges.windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!(rig.script.events, events, "{protocol}");
        assert!(rig.script.session.is_open());
    }
}

#[test]
fn a_lost_challenge_is_repeated_and_silence_is_the_end() {
    let mut rig = Rig::opened(AuthProtocol::Chap, WAYS[0].1);
    rig.script.wait(INTERVAL);
    let lost = rig.script.frame();
    rig.script.wait(Duration::from_secs(3));
    let challenge = rig.script.frame();
    assert_ne!((lost.id, &lost.data), (challenge.id, &challenge.data));
    // What is no answer keeps nobody from asking on.
    rig.script.send(protocol::CHAP, 2, lost.id, &[16; 17]);
    assert_eq!(rig.script.outputs(), []);
    rig.respond(&challenge, "me", "secret");
    assert_eq!(rig.script.frame().code, 3);

    rig.script.wait(INTERVAL);
    rig.script.wait(Duration::from_secs(30 + 6));
    assert_eq!(
        rig.script.closed(),
        Some(CloseReason::AuthenticationTimeout)
    );
}

#[test]
fn whoever_fails_or_is_somebody_else_by_now_is_put_out() {
    for (protocol, asked) in WAYS {
        for (name, password) in [("me", "stolen"), ("other", "secret")] {
            let mut rig = Rig::opened(protocol, asked);
            rig.script.wait(INTERVAL);
            let challenge = rig.script.frame();
            rig.respond(&challenge, name, password);
            let frames = rig.script.frames();
            assert_eq!((frames[0].protocol, frames[0].code), (protocol::CHAP, 4));
            assert_eq!(frames[1].code, code::TERMINATE_REQUEST);
            rig.script.lcp(code::TERMINATE_ACK, frames[1].id, &[]);
            let reason = rig.script.closed();
            assert!(
                matches!(&reason, Some(CloseReason::AuthenticationFailed { username, .. }) if username == name),
                "{protocol}: {reason:?}"
            );
            assert!(rig.script.events.contains(&Event::Suspended));
        }
    }
}

#[test]
fn a_renegotiated_link_counts_anew() {
    let mut rig = Rig::opened(AuthProtocol::Chap, WAYS[0].1);
    rig.script.wait(INTERVAL / 2);
    rig.script.lcp(REQUEST, 7, &MAGIC);
    let frames = rig.script.frames();
    let ours = frames.iter().find(|frame| frame.code == REQUEST).unwrap();
    rig.script.lcp(ACK, ours.id, &ours.data);
    let challenge = rig.script.frame();
    rig.peer = Auth::new(
        AuthProtocol::Chap,
        &party("me", &"secret".into()),
        &Timers::default(),
        &mut rig.rng,
    );
    rig.respond(&challenge, "me", "secret");
    rig.script.open_ipcp();
    rig.script.outputs();
    rig.script.wait(INTERVAL - Duration::from_millis(1));
    assert_eq!(rig.script.outputs(), []);
    rig.script.wait(Duration::from_millis(1));
    assert_eq!(rig.script.frame().protocol, protocol::CHAP);
}
