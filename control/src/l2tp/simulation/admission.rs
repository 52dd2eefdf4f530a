//! Who gets a tunnel: secrets, host names, addresses, limits, ties.

use super::script::{PEER_TUNNEL, Script, Sent, codes, message, start};
use super::*;
use crate::l2tp::avp::{Attribute, NonEmpty, ProtocolVersion};
use crate::l2tp::hiding::challenge_response;
use crate::l2tp::message::{Message, MessageType, value_of};

const OTHER_PORT: u16 = 40000;

fn challenge() -> Attribute {
    Attribute::Challenge(NonEmpty::new(vec![7; 16]).unwrap())
}

fn challenge_of(message: &Message) -> Option<&[u8]> {
    value_of!(message.attributes(), Challenge).map(NonEmpty::as_bytes)
}

fn answer_to(id: u8, message: &Message, secret: &[u8]) -> Attribute {
    let challenge = challenge_of(message).expect("a challenge");
    Attribute::ChallengeResponse(challenge_response(id, secret, challenge))
}

#[test]
fn both_sides_need_the_same_secret_or_none() {
    let secrets = ["", "test", "other"];
    for lac in secrets {
        for lns in secrets {
            let mut world = World::new(3, Weather::FINE, vec![incoming(lns)]);
            let tunnel = world.lac.endpoint.dial(world.now, dial(lac));
            world.run(Duration::from_secs(2));
            let established = Event::TunnelEstablished {
                tunnel,
                incoming: None,
            };
            assert_eq!(
                world.lac.events.contains(&established),
                lac == lns,
                "{lac:?} {lns:?}"
            );
            if lac != lns {
                assert_eq!(world.lns.events, [], "{lac:?} {lns:?}");
                let [TunnelCause::Fault(close) | TunnelCause::Peer(close)] =
                    &world.lac.tunnel_causes()[..]
                else {
                    panic!("{:?}", world.lac.events);
                };
                assert_eq!(close.result, StopResult::NOT_AUTHORISED, "{lac:?} {lns:?}");
            }
            world
                .lac
                .endpoint
                .close_tunnel(world.now, tunnel, shutdown());
            world.run(Duration::from_secs(70));
            assert!(world.lac.endpoint.is_empty() && world.lns.endpoint.is_empty());
        }
    }
}

#[test]
fn the_lns_wants_its_challenge_answered() {
    for (answer, expected) in [
        (Some(&b"test"[..]), None),
        (Some(b"Test"), Some((4, 0))),
        (None, Some((4, 0))),
    ] {
        let mut script = Script::new(vec![incoming("test")]);
        let reply = script.request(Vec::new());
        assert_eq!(
            value_of!(reply.attributes(), ChallengeResponse),
            None,
            "nothing was asked"
        );
        let answer = answer.map(|secret| answer_to(3, &reply, secret));
        script.say(
            0,
            &message(MessageType::Scccn, answer.into_iter().collect()),
        );
        let stop = script.messages();
        assert_eq!(stop.first().map(codes), expected);
        assert_eq!(script.events.is_empty(), expected.is_some());
    }
}

#[test]
fn a_peer_that_challenges_is_answered_or_refused() {
    let mut script = Script::new(vec![incoming("test")]);
    let reply = script.request(vec![challenge()]);
    let expected = challenge_response(2, b"test", &[7; 16]);
    assert_eq!(
        value_of!(reply.attributes(), ChallengeResponse),
        Some(&expected)
    );

    let mut script = Script::new(vec![incoming("")]);
    script.say(0, &start(MessageType::Sccrq, "remote", vec![challenge()]));
    assert_eq!(codes(&script.only_message()), (4, 0));
    assert!(script.endpoint.is_empty());
}

#[test]
fn the_lac_wants_its_challenge_answered_and_answers_the_server_s() {
    let (mut script, _, request) = Script::dialling(dial("test"));
    let answer = answer_to(2, &request, b"test");
    script.say(
        0,
        &start(MessageType::Sccrp, "head", vec![answer, challenge()]),
    );
    let connected = script.only_message();
    let expected = challenge_response(3, b"test", &[7; 16]);
    assert_eq!(
        value_of!(connected.attributes(), ChallengeResponse),
        Some(&expected)
    );

    let (mut script, _, request) = Script::dialling(dial("test"));
    let wrong = answer_to(3, &request, b"test");
    script.say(0, &start(MessageType::Sccrp, "head", vec![wrong]));
    assert_eq!(
        codes(&script.only_message()),
        (4, 0),
        "the id of another message"
    );

    let (mut script, _, _) = Script::dialling(dial("test"));
    script.say(0, &start(MessageType::Sccrp, "head", Vec::new()));
    assert_eq!(codes(&script.only_message()), (4, 0), "no answer at all");

    let (mut script, _, request) = Script::dialling(dial(""));
    assert_eq!(challenge_of(&request), None);
    script.say(0, &start(MessageType::Sccrp, "head", vec![challenge()]));
    assert_eq!(
        codes(&script.only_message()),
        (4, 0),
        "no secret to answer with"
    );
}

#[test]
fn challenges_and_ids_are_fresh() {
    let mut script = Script::new(Vec::new());
    (script.local, script.peer) = (LAC, LNS);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..200 {
        script.endpoint.dial(script.now, dial("test"));
        let request = script.only_message();
        let id = *value_of!(request.attributes(), AssignedTunnelId).unwrap();
        assert!(id != 0 && seen.insert((id, challenge_of(&request).unwrap().to_vec())));
    }
    let ids: Vec<u16> = seen.iter().map(|(id, _)| *id).collect();
    let neighbours = ids.windows(2).filter(|pair| pair[1] == pair[0] + 1).count();
    assert!(neighbours < 20, "{neighbours} ids follow each other");
}

#[test]
fn an_unknown_host_name_is_refused_once_and_nothing_is_kept() {
    let mut script = Script::new(vec![incoming("test")]);
    script.say(0, &start(MessageType::Sccrq, "stranger", Vec::new()));
    let sent = script.sent();
    assert_eq!(sent.len(), 1);
    let Sent {
        header, message, ..
    } = &sent[0];
    assert_eq!(
        (header.tunnel_id, header.ns, header.nr),
        (PEER_TUNNEL, 0, 1)
    );
    assert_eq!(codes(message.as_ref().unwrap()), (4, 0));
    assert!(script.endpoint.is_empty() && script.events.is_empty());
    assert_eq!(script.endpoint.next_timeout(), None);
    assert_eq!(script.endpoint.statistics().refused, 1);
}

#[test]
fn the_address_and_the_table_choose_the_incoming_too() {
    let elsewhere = Incoming {
        listen: vec![Ipv4Addr::new(203, 0, 113, 9).into()],
        ..incoming("")
    };
    let other_table = Incoming {
        table: Some(TABLE + 1),
        ..incoming("")
    };
    let anyone = Incoming {
        remote_hostname: None,
        listen: Vec::new(),
        table: None,
        ..incoming("")
    };
    let mut script = Script::new(vec![elsewhere.clone(), other_table.clone(), anyone]);
    script.request(Vec::new());
    assert_eq!(script.only_tunnel().incoming, Some(2));
    let mut script = Script::new(vec![elsewhere, other_table]);
    script.say(0, &start(MessageType::Sccrq, "remote", Vec::new()));
    assert_eq!(codes(&script.only_message()), (4, 0));
}

#[test]
fn refusals_are_limited_per_second() {
    let mut script = Script::new(Vec::new());
    for _ in 0..100 {
        script.ns = 0;
        script.say(0, &start(MessageType::Sccrq, "remote", Vec::new()));
    }
    assert_eq!(script.messages().len(), 10);
    script.now += Duration::from_secs(1);
    script.ns = 0;
    script.say(0, &start(MessageType::Sccrq, "remote", Vec::new()));
    assert_eq!(script.messages().len(), 1);
}

#[test]
fn nothing_but_a_whole_request_makes_state() {
    let mut script = Script::new(vec![incoming("")]);
    let whole = start(MessageType::Sccrq, "remote", Vec::new()).encode();
    for octets in 0..whole.len() {
        script.ns = 0;
        script.now += Duration::from_secs(1);
        script.say_body(0, &whole[..octets]);
        for sent in script.sent() {
            assert_eq!(
                sent.message.unwrap().kind(),
                MessageType::StopCcn,
                "{octets} octets"
            );
        }
    }
    for &kind in MessageType::ALL
        .iter()
        .filter(|&&kind| kind != MessageType::Sccrq)
    {
        script.ns = 0;
        script.say(0, &message::tests::whole_message(kind));
    }
    (script.ns, script.tunnel_id) = (1, 0);
    script.say_body(0, &whole);
    script.ns = 0;
    script.say_body(5, &whole);
    script.tunnel_id = 99;
    script.say_body(0, &whole);
    for junk in [&b""[..], b"\xc8", b"\xc8\x01\x00\x0c", &[0xff; 1400]] {
        script.raw(junk);
    }
    assert!(script.sent().is_empty() && script.endpoint.is_empty());
    assert_eq!(script.endpoint.statistics().unknown_tunnel, 1);
}

#[test]
fn another_protocol_version_is_answered_with_ours() {
    let version = Attribute::ProtocolVersion(ProtocolVersion {
        version: 2,
        revision: 0,
    });
    let with = |kind| {
        let mut attributes = start(kind, "remote", Vec::new()).attributes().to_vec();
        attributes[0] = version.clone();
        message(kind, attributes)
    };
    let mut script = Script::new(vec![incoming("")]);
    script.say(0, &with(MessageType::Sccrq));
    assert_eq!(codes(&script.only_message()), (5, 0x0100));
    assert!(script.endpoint.is_empty());
    let (mut script, _, _) = Script::dialling(dial(""));
    script.say(0, &with(MessageType::Sccrp));
    assert_eq!(codes(&script.only_message()), (5, 0x0100));
}

#[test]
fn a_repeated_request_makes_no_second_tunnel_and_gets_its_reply_again() {
    let mut script = Script::new(vec![incoming("test")]);
    let request = start(MessageType::Sccrq, "remote", Vec::new());
    let reply = script.request(Vec::new());
    let (tunnel_id, ns) = (script.tunnel_id, script.ns);
    for _ in 0..5 {
        (script.tunnel_id, script.ns, script.nr) = (0, 0, 0);
        script.say(0, &request);
        assert_eq!(script.only_message(), reply);
        assert_eq!(script.only_tunnel().local_id, tunnel_id);
    }
    // Once the tunnel stands, a late copy is only acknowledged.
    (script.tunnel_id, script.ns) = (tunnel_id, ns);
    let answer = answer_to(3, &reply, b"test");
    script.say(0, &message(MessageType::Scccn, vec![answer]));
    script.sent();
    (script.tunnel_id, script.ns) = (0, 0);
    script.say(0, &request);
    let sent = script.sent();
    assert!(sent.len() == 1 && sent[0].message.is_none() && sent[0].header.nr == 2);
    // A restarted peer that counts its ids from the start asks for another.
    script.ns = 0;
    script.request(vec![Attribute::TieBreaker(1)]);
    assert_eq!(script.endpoint.tunnels().count(), 2);
}

#[test]
fn replies_come_from_the_address_that_was_hit_and_go_where_the_request_came_from() {
    let mut script = Script::new(vec![incoming("")]);
    script.peer.set_port(OTHER_PORT);
    script.say(0, &start(MessageType::Sccrq, "remote", Vec::new()));
    let sent = script.sent().remove(0);
    assert_eq!((sent.source, sent.destination), (LNS, script.peer));
    script.tunnel_id = script.only_tunnel().local_id;
    // Two behind one NAT with the same id of theirs are two tunnels.
    let mut second = SocketAddr::new(script.peer.ip(), OTHER_PORT + 1);
    core::mem::swap(&mut script.peer, &mut second);
    (script.ns, script.tunnel_id) = (0, 0);
    script.request(Vec::new());
    assert_eq!(script.endpoint.tunnels().count(), 2);
}

#[test]
fn a_tunnel_hears_only_its_peer_until_the_peer_is_moved() {
    let mut script = Script::established();
    let tunnel = script.endpoint.tunnels().next().unwrap();
    let hello = message(MessageType::Hello, Vec::new());
    let moved = SocketAddr::new(LAC.ip(), OTHER_PORT);
    script.peer = moved;
    script.say(0, &hello);
    script.wait(Duration::from_millis(200));
    assert_eq!(script.endpoint.statistics().wrong_peer, 1);
    assert!(script.sent().iter().all(|sent| sent.header.nr == 2));
    script.ns -= 1;
    script.endpoint.set_peer(tunnel, moved);
    script.say(0, &hello);
    script.wait(Duration::from_millis(200));
    let sent = script.sent();
    assert_eq!((sent[0].destination, sent[0].header.nr), (moved, 3));
}

#[test]
fn the_server_may_answer_from_another_port_once() {
    let (mut script, tunnel, _) = Script::dialling(dial(""));
    let reply = start(MessageType::Sccrp, "head", Vec::new());
    script.peer = SocketAddr::new(Ipv4Addr::new(203, 0, 113, 2).into(), PORT);
    script.say(0, &reply);
    assert!(script.messages().is_empty(), "another host may not");
    script.ns = 0;
    script.peer = SocketAddr::new(LNS.ip(), OTHER_PORT);
    script.say(0, &reply);
    assert_eq!(script.sent()[0].destination, script.peer);
    assert_eq!(script.endpoint.tunnel(tunnel).unwrap().peer, script.peer);
    script.peer = LNS;
    script.say(0, &message(MessageType::StopCcn, Vec::new()));
    assert_eq!(script.endpoint.statistics().wrong_peer, 2);
}

#[test]
fn a_silent_peer_gets_one_sccrp_for_each_request_and_is_forgotten_without_a_word() {
    let mut script = Script::new(vec![incoming("test")]);
    script.request(Vec::new());
    script.wait(Duration::from_secs(30));
    assert!(script.sent().is_empty(), "nothing is sent again by itself");
    for _ in 0..3 {
        (script.ns, script.nr, script.tunnel_id) = (0, 0, 0);
        script.request(Vec::new());
        assert_eq!(script.endpoint.tunnels().count(), 1);
    }
    script.wait(Duration::from_secs(60));
    assert!(script.sent().is_empty());
    assert!(script.endpoint.is_empty() && script.events.is_empty());
}

#[test]
fn half_open_tunnels_are_limited_and_the_oldest_makes_room() {
    let Limits {
        half_open,
        half_open_per_source,
        ..
    } = Limits::default();
    let request_from = |script: &mut Script, peer: IpAddr, port: u16| {
        script.peer = SocketAddr::new(peer, port);
        (script.ns, script.tunnel_id) = (0, 0);
        script.request(Vec::new());
    };

    let mut script = Script::new(vec![incoming("")]);
    for host in 0..half_open as u32 + 100 {
        let address = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + host;
        request_from(&mut script, Ipv4Addr::from(address).into(), PORT);
    }
    assert_eq!(script.endpoint.tunnels().count(), half_open);
    // The newest still gets in.
    script.say(0, &message(MessageType::Scccn, Vec::new()));
    script.sent();
    assert!(matches!(
        script.events[..],
        [Event::TunnelEstablished { .. }]
    ));

    let mut script = Script::new(vec![incoming("")]);
    for port in 1..=half_open_per_source as u16 + 83 {
        let peer = script.peer.ip();
        request_from(&mut script, peer, port);
    }
    assert_eq!(script.endpoint.tunnels().count(), half_open_per_source);
    assert_eq!(script.endpoint.statistics().limited, 83);

    // Of IPv6, whoever has a network of 64 bits is one source.
    let requests = half_open as u16 + 100;
    for (networks, expected) in [(1, half_open_per_source), (requests, half_open)] {
        let mut script = Script::new(vec![incoming("")]);
        for number in 0..requests {
            let network = number % networks;
            let address = Ipv6Addr::new(0x2001, 0xdb8, 0, network, number, 0, 0, 1);
            request_from(&mut script, address.into(), PORT);
        }
        assert_eq!(script.endpoint.tunnels().count(), expected);
    }
}

#[test]
fn the_reply_is_not_much_larger_than_the_smallest_request() {
    let mut script = Script::new(vec![incoming("test")]);
    let reply = script.request(Vec::new());
    assert!(
        reply.encode().len() + 12 <= 2 * 53 + 6,
        "{}",
        reply.encode().len()
    );
}

#[test]
fn ties_are_settled_as_the_rfc_says() {
    // Our tie breaker is random: the extremes lose and win against it.
    let cases = [
        (false, None, true, true),
        (false, Some(5), false, true),
        (true, None, true, false),
        (true, Some(0), false, true),
        (true, Some(u64::MAX), true, false),
    ];
    for (ours, theirs, we_keep, they_keep) in cases {
        let at_home = Incoming {
            listen: Vec::new(),
            ..incoming("")
        };
        let mut script = Script::new(vec![at_home]);
        (script.local, script.peer) = (LAC, LNS);
        let tie_breaker = ours;
        let dial = Dial {
            tie_breaker,
            ..dial("")
        };
        let tunnel = script.endpoint.dial(script.now, dial);
        let request = script.only_message();
        assert_eq!(value_of!(request.attributes(), TieBreaker).is_some(), ours);
        let theirs_avp = theirs.map(Attribute::TieBreaker).into_iter().collect();
        script.say(0, &start(MessageType::Sccrq, "remote", theirs_avp));
        let kinds: Vec<_> = script.messages().iter().map(Message::kind).collect();
        assert_eq!(
            kinds.contains(&MessageType::Sccrp),
            they_keep,
            "{ours} {theirs:?}"
        );
        assert!(
            !kinds.contains(&MessageType::StopCcn),
            "the loser goes silently"
        );
        assert_eq!(
            script.endpoint.tunnel(tunnel).is_some(),
            we_keep,
            "{ours} {theirs:?}"
        );
        let cause = TunnelCause::TieBreaker;
        assert_eq!(
            script
                .events
                .contains(&Event::TunnelClosed { tunnel, cause }),
            !we_keep
        );
    }
}

#[test]
fn equal_tie_breakers_cost_both() {
    let at_home = Incoming {
        listen: Vec::new(),
        ..incoming("")
    };
    let mut script = Script::new(vec![at_home]);
    (script.local, script.peer) = (LAC, LNS);
    let dial = Dial {
        tie_breaker: true,
        ..dial("")
    };
    script.endpoint.dial(script.now, dial);
    let request = script.only_message();
    let same = *value_of!(request.attributes(), TieBreaker).unwrap();
    script.say(
        0,
        &start(
            MessageType::Sccrq,
            "remote",
            vec![Attribute::TieBreaker(same)],
        ),
    );
    assert!(script.sent().is_empty() && script.endpoint.is_empty());
}
