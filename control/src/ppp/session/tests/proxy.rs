//! What a LAC has negotiated before (RFC 2661 4.4.5).
use md5::{Digest, Md5};

use super::*;
use crate::ppp::chap::tests::microsoft_response;

const CHAP: [u8; 5] = [3, 5, 0xc2, 0x23, 5];
const MS_CHAP_V2: [u8; 5] = [3, 5, 0xc2, 0x23, 0x81];
const PAP: [u8; 4] = [3, 4, 0xc0, 0x23];
const OUR_MAGIC: [u8; 6] = [5, 6, 9, 9, 9, 9];
const CHALLENGE: &[u8] = b"what the LAC had asked";

fn lns(lcp: ProxyLcp, authentication: bool) -> Config {
    let mut config = server(&[
        AuthProtocol::Chap,
        AuthProtocol::MsChapV2,
        AuthProtocol::Pap,
    ]);
    config.lcp_rate = Duration::ZERO;
    if let Role::Server { proxy, .. } = &mut config.role {
        *proxy = ProxyPolicy {
            lcp,
            authentication,
        };
    }
    config
}

/// Options of a request, each whole.
type Options<'a> = &'a [&'a [u8]];

fn told(sent: Options<'_>, received: Options<'_>) -> Proxy {
    Proxy {
        last_sent: Some(sent.concat()),
        last_received: Some(received.concat()),
        authentication: None,
    }
}

/// An authentication by CHAP with identifier 77, of whoever has this password.
fn by_chap(password: &str) -> ProxyAuthentication {
    let digest = Md5::digest([&[77], password.as_bytes(), CHALLENGE].concat());
    ProxyAuthentication::Chap {
        name: b"me".to_vec(),
        challenge: CHALLENGE.to_vec(),
        id: 77,
        response: digest.to_vec(),
    }
}

fn by_pap(password: &str) -> ProxyAuthentication {
    ProxyAuthentication::Pap {
        name: b"me".to_vec(),
        id: 7,
        password: password.as_bytes().to_vec(),
    }
}

fn with(proxy: Proxy, authentication: ProxyAuthentication) -> Proxy {
    Proxy {
        authentication: Some(authentication),
        ..proxy
    }
}

/// A session that begins after what the LAC told, and whether that stands.
fn begun(config: Config, proxy: &Proxy) -> (Script, Result<(), &'static str>) {
    let session = Session::new(config, StdRng::seed_from_u64(5));
    let mut script = Script {
        session,
        now: Duration::from_secs(50),
        events: Vec::new(),
    };
    let negotiated = script.session.start_after(script.now, proxy);
    (script, negotiated)
}

/// LCP begins with a request of ours.
fn renegotiates(config: Config, proxy: &Proxy) {
    let (mut script, negotiated) = begun(config, proxy);
    assert!(negotiated.is_err());
    let request = script.frame();
    assert_eq!((request.protocol, request.code), (protocol::LCP, REQUEST));
    // And is ours alone: nothing of what the LAC told is left.
    assert!(request.data.starts_with(&CHAP), "{request:?}");
    assert!(!request.data.ends_with(&OUR_MAGIC), "{request:?}");
    assert_eq!(script.session.peer_mru(), 1500);
    script.lcp(REQUEST, 1, &MAGIC);
    script.frame();
    script.lcp(ACK, request.id, &request.data);
    assert_eq!(script.frame().protocol, protocol::CHAP);
}

/// What has to be right for `on-mismatch`.
fn fitting() -> Proxy {
    told(&[&CHAP, &OUR_MAGIC], &[&[1, 4, 5, 0xd4], &MAGIC])
}

#[test]
fn nothing_is_taken_from_a_lac_where_that_is_not_wanted() {
    let proxy = with(fitting(), by_chap("secret"));
    renegotiates(lns(ProxyLcp::Renegotiate, true), &proxy);
    let session = Session::new(lns(ProxyLcp::Renegotiate, true), StdRng::seed_from_u64(5));
    assert!(!session.awaits_proxy());
}

#[test]
fn an_accepted_lcp_with_its_authentication_goes_on_at_the_network_protocols() {
    for mode in [ProxyLcp::OnMismatch, ProxyLcp::Accept] {
        let (mut script, negotiated) = begun(lns(mode, true), &with(fitting(), by_chap("secret")));
        assert_eq!(negotiated, Ok(()));
        let outputs = script.outputs();
        assert_eq!(outputs[0], Output::Event(authenticated(Some(0))));
        let success = frame_of(&outputs[1]).unwrap();
        assert_eq!(
            (success.protocol, success.code, success.id),
            (protocol::CHAP, 3, 77),
            "the verdict is about the LAC's Challenge"
        );
        let request = frame_of(&outputs[2]).unwrap();
        assert_eq!((request.protocol, request.code), (protocol::IPCP, REQUEST));
        assert_eq!(outputs.len(), 3);
        assert_eq!(script.session.peer_mru(), 1492);
        // The peer did not hear of it: its Response comes again.
        let data = [&[16][..], &[0; 16], b"me"].concat();
        script.send(protocol::CHAP, 2, 77, &data);
        assert_eq!(script.frame(), success);
        script.finish_ipcp(&request);
        // Echoes have the LAC's magic number.
        script.session.send_echo(script.now);
        let frames = script.frames();
        let echo = frames.iter().find(|f| f.protocol == protocol::LCP).unwrap();
        assert_eq!(echo.data, OUR_MAGIC[2..]);
    }
}

#[test]
fn pap_and_ms_chap_v2_are_judged_alike() {
    let pap = with(told(&[&PAP, &OUR_MAGIC], &[&MAGIC]), by_pap("secret"));
    let (mut script, negotiated) = begun(lns(ProxyLcp::OnMismatch, true), &pap);
    assert_eq!(negotiated, Ok(()));
    let frames = script.frames();
    assert_eq!(
        (frames[0].protocol, frames[0].code, frames[0].id),
        (protocol::PAP, 2, 7)
    );

    let challenge = [3; 16];
    let microsoft = ProxyAuthentication::Chap {
        name: b"me".to_vec(),
        challenge: challenge.to_vec(),
        id: 78,
        response: microsoft_response(&challenge, "me", "secret"),
    };
    let microsoft = with(told(&[&MS_CHAP_V2, &OUR_MAGIC], &[&MAGIC]), microsoft);
    let (mut script, negotiated) = begun(lns(ProxyLcp::OnMismatch, true), &microsoft);
    assert_eq!(negotiated, Ok(()));
    let frames = script.frames();
    assert_eq!(
        (frames[0].protocol, frames[0].code, frames[0].id),
        (protocol::CHAP, 3, 78)
    );
    assert!(frames[0].data.starts_with(b"S="));
}

#[test]
fn a_wrong_authentication_begins_lcp_anew() {
    for proxy in [
        with(fitting(), by_chap("Secret")),
        with(told(&[&PAP, &OUR_MAGIC], &[&MAGIC]), by_pap("wrong")),
        with(
            told(&[&PAP, &OUR_MAGIC], &[&MAGIC]),
            by_pap(&"x".repeat(256)),
        ),
    ] {
        renegotiates(lns(ProxyLcp::Accept, true), &proxy);
    }
}

/// Switched off, not told, or told of another protocol than LCP has: the LCP
/// stands, and the peer is asked by us.
#[test]
fn an_accepted_lcp_without_its_authentication_asks_again() {
    let cases = [
        (false, with(fitting(), by_chap("secret"))),
        (true, fitting()),
        (true, with(fitting(), by_pap("secret"))),
    ];
    for (judged, proxy) in cases {
        let (mut script, negotiated) = begun(lns(ProxyLcp::Accept, judged), &proxy);
        assert_eq!(negotiated, Ok(()));
        let challenge = script.frame();
        assert_eq!((challenge.protocol, challenge.code), (protocol::CHAP, 1));
        let value = &challenge.data[1..17];
        let digest = Md5::digest([&[challenge.id], &b"secret"[..], value].concat());
        let response = [&[16], digest.as_slice(), b"me"].concat();
        script.send(protocol::CHAP, 2, challenge.id, &response);
        script.open_ipcp();
        script.outputs();
        assert_eq!(
            script.events,
            [authenticated(Some(0)), opened(LOCAL, REMOTE)]
        );
    }
}

/// Nokia's rules: what is not there, and what is harmless, is no reason to
/// begin anew. BT's: a wrong MRU is one.
#[test]
fn what_fits_and_what_does_not() {
    let harmless: [(Options<'_>, Options<'_>); 5] = [
        (&[&CHAP], &[]),
        (&[&CHAP, &OUR_MAGIC], &[&MAGIC]),
        (
            &[&[1, 4, 5, 0xdc], &CHAP, &OUR_MAGIC],
            &[&[1, 4, 5, 0xd4], &MAGIC],
        ),
        (
            &[&[2, 6, 0, 0, 0, 0], &CHAP],
            &[&[2, 6, 0, 0, 0, 0], &MAGIC],
        ),
        (&[&[7, 2], &[8, 2], &CHAP], &[&[7, 2], &[8, 2]]),
    ];
    for (sent, received) in harmless {
        for mode in [ProxyLcp::OnMismatch, ProxyLcp::Accept] {
            let proxy = with(told(sent, received), by_chap("secret"));
            let (_, negotiated) = begun(lns(mode, true), &proxy);
            assert_eq!(negotiated, Ok(()), "{sent:?} {received:?}");
        }
    }
    let doubtful: [(Options<'_>, Options<'_>); 3] = [
        // BT.
        (&[&[1, 4, 5, 0xd4], &CHAP, &OUR_MAGIC], &[&MAGIC]),
        // Multilink, and an option that only the peer has.
        (&[&CHAP, &[17, 4, 5, 0xdc], &OUR_MAGIC], &[&MAGIC]),
        (&[&CHAP, &OUR_MAGIC], &[&[13, 3, 6], &MAGIC]),
    ];
    for (sent, received) in doubtful {
        let proxy = with(told(sent, received), by_chap("secret"));
        renegotiates(lns(ProxyLcp::OnMismatch, true), &proxy);
        let (_, negotiated) = begun(lns(ProxyLcp::Accept, true), &proxy);
        assert_eq!(negotiated, Ok(()), "{sent:?} {received:?}");
    }
    let mut easy = lns(ProxyLcp::Accept, true);
    easy.ignore_magic = true;
    let looped = with(told(&[&CHAP, &OUR_MAGIC], &[&OUR_MAGIC]), by_chap("secret"));
    assert_eq!(begun(easy, &looped).1, Ok(()), "magic numbers say nothing");
    let useless: [(Options<'_>, Options<'_>); 7] = [
        // No authentication, and one that is not ours.
        (&[&OUR_MAGIC], &[&MAGIC]),
        (&[&[3, 5, 0xc2, 0x23, 0x80], &OUR_MAGIC], &[&MAGIC]),
        // Looped.
        (&[&CHAP, &OUR_MAGIC], &[&OUR_MAGIC]),
        (&[&CHAP, &OUR_MAGIC], &[&[1, 4, 0, 10], &MAGIC]),
        (&[&[1, 3, 5], &CHAP], &[]),
        (&[&CHAP, &[5, 3, 1]], &[]),
        (&[&CHAP], &[&[1, 1]]),
    ];
    for (sent, received) in useless {
        let proxy = with(told(sent, received), by_chap("secret"));
        renegotiates(lns(ProxyLcp::Accept, true), &proxy);
    }
    for proxy in [
        Proxy::default(),
        Proxy {
            last_received: None,
            ..fitting()
        },
        Proxy {
            last_sent: None,
            ..fitting()
        },
    ] {
        renegotiates(lns(ProxyLcp::Accept, true), &proxy);
    }
}

#[test]
fn the_peers_request_comes_again_and_does_not_begin_lcp_anew() {
    let (mut script, _) = begun(
        lns(ProxyLcp::OnMismatch, true),
        &with(fitting(), by_chap("secret")),
    );
    script.outputs();
    // The LAC's Ack was lost; its identifier is not known.
    let request = fitting().last_received.unwrap();
    script.lcp(REQUEST, 200, &request);
    let ack = script.frame();
    assert_eq!((ack.code, ack.id, &ack.data), (ACK, 200, &request));
    // Another request is another matter.
    script.lcp(REQUEST, 201, &MAGIC);
    let codes: Vec<_> = script.frames().iter().map(|frame| frame.code).collect();
    assert_eq!(codes, [REQUEST, ACK]);
    assert_eq!(script.events.last(), Some(&Event::Suspended));
}

#[test]
fn frames_that_overtake_iccn_are_kept() {
    let config = lns(ProxyLcp::OnMismatch, true);
    for (proxy, stands) in [
        (with(fitting(), by_chap("secret")), true),
        (Proxy::default(), false),
    ] {
        let mut script = Script {
            session: Session::new(config.clone(), StdRng::seed_from_u64(5)),
            now: Duration::from_secs(50),
            events: Vec::new(),
        };
        assert!(script.session.awaits_proxy());
        script.lcp(REQUEST, 3, &fitting().last_received.unwrap());
        script.send(protocol::IPCP, REQUEST, 9, &[3, 6, 10, 0, 0, 2]);
        for id in 0..100 {
            script.send(protocol::IPV6CP, REQUEST, id, &[0; 900]);
        }
        assert_eq!(script.outputs(), []);
        assert_eq!(script.session.next_timeout(), None);
        let _ = script.session.start_after(script.now, &proxy);
        assert!(!script.session.awaits_proxy());
        let frames = script.frames();
        let acked = |number: u16, id: u8| {
            let ack = |f: &Seen| (f.protocol, f.code, f.id) == (number, ACK, id);
            frames.iter().any(ack)
        };
        assert!(acked(protocol::LCP, 3), "{frames:?}");
        assert_eq!(acked(protocol::IPCP, 9), stands, "{frames:?}");
    }
}

#[test]
fn a_client_has_no_lac_before_it() {
    let session = Session::new(client(), StdRng::seed_from_u64(5));
    assert!(!session.awaits_proxy());
    let (mut script, negotiated) = begun(client(), &with(fitting(), by_chap("secret")));
    assert!(negotiated.is_err());
    assert_eq!(script.frame().code, REQUEST);
}
