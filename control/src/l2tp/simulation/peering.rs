//! What can be set for each peer, and what can be limited: each has its effect.

use super::script::{PEER_TUNNEL, Script, codes, iccn, icrp, icrq, message, start};
use super::*;
use crate::l2tp::avp::RawAvps;
use crate::l2tp::message::{Message, MessageType, value_of};

fn incoming_with(secret: &str, peering: Peering) -> Incoming {
    Incoming {
        peering,
        ..incoming(secret)
    }
}

fn dial_with(secret: &str, peering: Peering) -> Dial {
    Dial {
        peering,
        ..dial(secret)
    }
}

fn limited(limits: Limits) -> Script {
    let mut config = EndpointConfig::new("hal2tp".to_owned(), 1, vec![incoming("")]);
    config.limits = limits;
    let endpoint = Endpoint::new(config, StdRng::seed_from_u64(7));
    Script {
        endpoint,
        ..Script::new(Vec::new())
    }
}

/// Another peer of the scripted one's network sets up a tunnel.
fn establish_from(script: &mut Script, host: u8, port: u16) {
    let address = Ipv4Addr::new(192, 0, 2, host);
    script.peer = SocketAddr::new(address.into(), port);
    (script.ns, script.nr, script.tunnel_id) = (0, 0, 0);
    script.request(Vec::new());
    script.say(0, &message(MessageType::Scccn, Vec::new()));
    assert!(script.messages().is_empty());
}

/// What a request is answered with.
fn answer_to_request_from(script: &mut Script, host: u8, port: u16) -> Message {
    let address = Ipv4Addr::new(192, 0, 2, host);
    script.peer = SocketAddr::new(address.into(), port);
    (script.ns, script.nr, script.tunnel_id) = (0, 0, 0);
    script.say(0, &start(MessageType::Sccrq, "remote", Vec::new()));
    script.only_message()
}

#[test]
fn hidden_avps_are_written_and_read_by_both_sides() {
    let hiding = Peering {
        hide_avps: true,
        ..Peering::default()
    };
    // One side hides, the other, both; with the same octets of ids underneath.
    for (lac, lns) in [(true, false), (false, true), (true, true)] {
        let of = |hides| Peering {
            hide_avps: hides,
            ..Peering::default()
        };
        let mut world = World::new(1, Weather::FINE, vec![incoming_with("test", of(lns))]);
        let (tunnel, call) = world.connect(dial_with("test", of(lac)));
        assert!(world.lac.is_connected(call));
        world
            .lac
            .endpoint
            .close_tunnel(world.now, tunnel, shutdown());
        world.run(Duration::from_secs(40));
        assert_eq!(world.lns.tunnel_causes(), [TunnelCause::Peer(shutdown())]);
        assert!(world.lns.endpoint.is_empty() && world.lac.endpoint.is_empty());
    }
    // With another secret nothing can be made of the request.
    let mut world = World::new(1, Weather::FINE, vec![incoming("other")]);
    let tunnel = world
        .lac
        .endpoint
        .dial(world.now, dial_with("test", hiding));
    world.run(Duration::from_secs(40));
    assert!(world.lac.endpoint.tunnel(tunnel).is_none());
    assert!(world.lns.endpoint.is_empty() && world.lns.events.is_empty());
}

#[test]
fn what_may_be_hidden_is_and_nothing_else() {
    let hiding = Peering {
        hide_avps: true,
        ..Peering::default()
    };
    let mut endpoint = Script::new(Vec::new()).endpoint;
    endpoint.dial(Duration::ZERO, dial_with("test", hiding.clone()));
    let Some(Output::Transmit { payload, .. }) = endpoint.poll_output() else {
        panic!("no SCCRQ");
    };
    let avps: Vec<_> = RawAvps::new(&payload[12..]).map(Result::unwrap).collect();
    let hidden: Vec<u16> = avps
        .iter()
        .filter(|avp| avp.hidden)
        .map(|avp| avp.kind)
        .collect();
    // Framing Capabilities, Assigned Tunnel ID, Challenge, Firmware Revision, Vendor Name.
    assert_eq!(hidden, [3, 9, 11, 6, 8]);
    let clear: Vec<u16> = avps
        .iter()
        .filter(|avp| !avp.hidden)
        .map(|avp| avp.kind)
        .collect();
    // Message Type, Random Vector, Protocol Version, Host Name, Receive Window Size.
    assert_eq!(clear, [0, 36, 2, 7, 10]);
    assert!(
        avps.iter()
            .filter(|avp| avp.hidden)
            .all(|avp| avp.value.len() % 16 == 0)
    );
    // Without a secret there is nothing to hide with.
    let (_, _, request) = Script::dialling(dial_with("", hiding));
    assert!(value_of!(request.attributes(), AssignedTunnelId).is_some());
}

#[test]
fn the_receive_window_is_advertised_and_kept() {
    let peering = Peering {
        receive_window: 3,
        ..Peering::default()
    };
    let mut script = Script::new(vec![incoming_with("", peering.clone())]);
    let reply = script.request(Vec::new());
    let window = value_of!(reply.attributes(), ReceiveWindowSize).map(|window| window.get());
    assert_eq!(window, Some(3));
    let (_, _, request) = Script::dialling(dial_with("", peering));
    let window = value_of!(request.attributes(), ReceiveWindowSize).map(|window| window.get());
    assert_eq!(window, Some(3));

    script.say(0, &message(MessageType::Scccn, Vec::new()));
    script.sent();
    let expected = script.ns;
    // Messages 1 and 2 ahead are kept until the one before them comes; 3 ahead is dropped.
    for ahead in [1, 2, 3] {
        script.ns = expected + ahead;
        script.say(0, &message(MessageType::Hello, Vec::new()));
    }
    script.ns = expected;
    script.say(0, &message(MessageType::Hello, Vec::new()));
    script.wait(Duration::from_millis(100));
    assert_eq!(script.sent()[0].header.nr, expected + 3);
}

#[test]
fn the_retries_of_a_peer_are_its_own() {
    for (retries, seconds) in [(1, 3), (5, 31), (7, 47)] {
        let peering = Peering {
            retries,
            ..Peering::default()
        };
        let (mut script, tunnel, _) = Script::dialling(dial_with("", peering.clone()));
        script.wait(Duration::from_millis(1000 * seconds - 100));
        assert_eq!(script.messages().len(), retries as usize);
        assert!(script.endpoint.tunnel(tunnel).is_some());
        script.wait(Duration::from_millis(200));
        assert!(
            script.endpoint.tunnel(tunnel).is_none(),
            "{retries} retries"
        );

        // The same of an incoming tunnel, once it is established.
        let mut script = Script::new(vec![incoming_with("", peering)]);
        script.request(Vec::new());
        script.say(0, &message(MessageType::Scccn, Vec::new()));
        script.wait(Duration::from_millis(60_000 + 1000 * seconds - 100));
        assert_eq!(script.messages().len(), 1 + retries as usize, "HELLO");
        script.wait(Duration::from_millis(200));
        assert!(script.endpoint.is_empty());
    }
}

#[test]
fn hello_comes_after_the_peer_s_own_interval() {
    let peering = Peering {
        hello_interval: Duration::from_secs(7),
        ..Peering::default()
    };
    let (mut script, _, _) = Script::dialling(dial_with("", peering));
    script.say(0, &start(MessageType::Sccrp, "head", Vec::new()));
    script.say(0, &message(MessageType::Hello, Vec::new()));
    script.messages();
    script.nr = 2;
    script.say(0, &message(MessageType::Hello, Vec::new()));
    script.wait(Duration::from_millis(6_900));
    assert!(script.messages().is_empty());
    script.wait(Duration::from_millis(200));
    assert_eq!(script.only_message().kind(), MessageType::Hello);
}

#[test]
fn a_peer_without_vendor_avps_gets_none_and_is_not_listened_to_for_any() {
    let plain = Peering {
        vendor_avps: false,
        ..Peering::default()
    };
    let (_, _, request) = Script::dialling(dial_with("", plain.clone()));
    assert!(value_of!(request.attributes(), VendorName).is_none());
    assert!(value_of!(request.attributes(), FirmwareRevision).is_none());
    let (_, _, request) = Script::dialling(dial(""));
    assert!(value_of!(request.attributes(), VendorName).is_some());

    for (lac, lns) in [(false, true), (true, false), (true, true)] {
        let of = |vendor_avps| Peering {
            vendor_avps,
            ..Peering::default()
        };
        let mut world = World::new(1, Weather::FINE, vec![incoming_with("", of(lns))]);
        let (_, call) = world.connect(dial_with("", of(lac)));
        let avps_of = |site: &Site| {
            let avps = |event: &Event| match event {
                Event::CallIncoming { vendor_avps, .. }
                | Event::CallAnswered { vendor_avps, .. } => Some(vendor_avps.len()),
                _ => None,
            };
            site.events.iter().find_map(avps)
        };
        let expected = Some(usize::from(lac && lns));
        assert!(world.lac.is_connected(call));
        assert_eq!(avps_of(&world.lns), expected, "in ICRQ");
        assert_eq!(avps_of(&world.lac), expected, "in ICRP");
    }
}

#[test]
fn a_peer_with_a_fixed_port_is_not_heard_from_another() {
    let fixed = Peering {
        fixed_port: true,
        ..Peering::default()
    };
    let mut script = Script::new(vec![incoming_with("", fixed.clone())]);
    script.peer.set_port(40_000);
    script.say(0, &start(MessageType::Sccrq, "remote", Vec::new()));
    assert!(script.sent().is_empty(), "not even a StopCCN");
    assert_eq!(script.endpoint.statistics().not_allowed, 1);
    script.peer.set_port(PORT);
    script.ns = 0;
    script.request(Vec::new());

    for (peering, state) in [
        (fixed, TunnelState::WaitReply),
        (Peering::default(), TunnelState::Established),
    ] {
        let (mut script, tunnel, _) = Script::dialling(dial_with("", peering));
        script.peer.set_port(40_000);
        script.say(0, &start(MessageType::Sccrp, "head", Vec::new()));
        assert_eq!(script.endpoint.tunnel(tunnel).unwrap().state, state);
    }
}

#[test]
fn who_is_not_allowed_gets_no_answer_and_makes_no_state() {
    let fussy = Incoming {
        allow: vec![
            Prefix::new(Ipv4Addr::new(192, 0, 2, 0), 25),
            Prefix::new(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
        ],
        ..incoming("")
    };
    let mut script = Script::new(vec![fussy]);
    for (address, allowed) in [
        ("192.0.2.127", true),
        ("192.0.2.128", false),
        ("2001:db8::7", true),
        ("2001:db9::7", false),
    ] {
        let address: IpAddr = address.parse().unwrap();
        script.peer = SocketAddr::new(address, PORT);
        (script.ns, script.tunnel_id) = (0, 0);
        let before = script.endpoint.tunnels().count();
        script.say(0, &start(MessageType::Sccrq, "remote", Vec::new()));
        assert_eq!(!script.sent().is_empty(), allowed, "{address}");
        let made = script.endpoint.tunnels().count() - before;
        assert_eq!(made, usize::from(allowed), "{address}");
    }
    assert_eq!(script.endpoint.statistics().not_allowed, 2);
}

#[test]
fn sequencing_is_asked_for_and_heard_of() {
    for (lac, lns) in [(false, false), (true, false), (false, true)] {
        let of = |sequencing| Peering {
            sequencing,
            ..Peering::default()
        };
        let mut world = World::new(1, Weather::FINE, vec![incoming_with("", of(lns))]);
        world.connect(dial_with("", of(lac)));
        let sequenced = |site: &Site| {
            let of_event = |event: &Event| match event {
                Event::CallConnected { sequenced, .. } => Some(*sequenced),
                _ => None,
            };
            site.events.iter().find_map(of_event).unwrap()
        };
        assert_eq!(sequenced(&world.lac), lac, "the LNS has no way to ask");
        assert_eq!(sequenced(&world.lns), lac || lns);
    }
}

#[test]
fn tunnels_are_limited_in_all_and_for_each_source_and_closed_ones_make_room() {
    let limits = Limits {
        incoming_tunnels: 4,
        incoming_tunnels_per_source: 2,
        ..Limits::default()
    };
    let mut script = limited(limits);
    establish_from(&mut script, 1, PORT);
    establish_from(&mut script, 1, 1000);
    let refused = answer_to_request_from(&mut script, 1, 1001);
    assert_eq!(
        (refused.kind(), codes(&refused)),
        (MessageType::StopCcn, (2, 4))
    );
    establish_from(&mut script, 2, PORT);
    establish_from(&mut script, 3, PORT);
    let refused = answer_to_request_from(&mut script, 4, PORT);
    assert_eq!(codes(&refused), (2, 4));
    assert_eq!(script.endpoint.statistics().limited, 2);
    // A closed tunnel lingers to acknowledge again, but not in the way of others.
    let oldest = script.endpoint.tunnels().next().unwrap();
    script.endpoint.close_tunnel(script.now, oldest, shutdown());
    script.sent();
    establish_from(&mut script, 1, 1001);
    assert!(script.endpoint.tunnel(oldest).is_none());
    assert_eq!(script.endpoint.tunnels().count(), 4);
}

/// Tunnels that are asked for while there is room, and established when there is none.
#[test]
fn half_open_tunnels_do_not_get_past_the_limits() {
    for (in_all, per_source) in [(3, 9), (9, 3)] {
        let limits = Limits {
            incoming_tunnels: in_all,
            incoming_tunnels_per_source: per_source,
            ..Limits::default()
        };
        let mut script = limited(limits);
        let peers = 1000..1008;
        let asked: Vec<u16> = peers
            .clone()
            .map(|port| {
                script.peer = SocketAddr::new(Ipv4Addr::new(192, 0, 2, 1).into(), port);
                (script.ns, script.nr, script.tunnel_id) = (0, 0, 0);
                script.request(Vec::new());
                script.tunnel_id
            })
            .collect();
        let mut refused = Vec::new();
        for (port, tunnel_id) in peers.zip(asked) {
            script.peer.set_port(port);
            (script.ns, script.nr, script.tunnel_id) = (1, 1, tunnel_id);
            script.say(0, &message(MessageType::Scccn, Vec::new()));
            let answers = script.messages();
            refused.extend(answers.iter().map(|stop| (stop.kind(), codes(stop))));
        }
        assert_eq!(refused, [(MessageType::StopCcn, (2, 4)); 5]);
        let established = |event: &&Event| matches!(event, Event::TunnelEstablished { .. });
        assert_eq!(script.events.iter().filter(established).count(), 3);
        assert_eq!(script.endpoint.statistics().limited, 5);
        // A closed tunnel makes room for one that is established meanwhile.
        let oldest = script.endpoint.tunnels().next().unwrap();
        script.endpoint.close_tunnel(script.now, oldest, shutdown());
        script.sent();
        establish_from(&mut script, 1, 2000);
        assert!(script.endpoint.tunnel(oldest).is_none());
    }
}

#[test]
fn calls_are_limited_in_all() {
    let limits = Limits {
        calls: 3,
        ..Limits::default()
    };
    let mut script = limited(limits);
    let mut answers = Vec::new();
    for host in [1, 2] {
        establish_from(&mut script, host, PORT);
        for session in 1..=2 {
            script.say(0, &icrq(session));
            answers.extend(script.messages().iter().map(|cdn| (cdn.kind(), codes(cdn))));
        }
    }
    assert_eq!(answers, [(MessageType::Cdn, (2, 4))]);
}

#[test]
fn a_peer_that_makes_us_answer_and_acknowledges_nothing_is_cleared() {
    let limits = Limits {
        queued_messages: 50,
        ..Limits::default()
    };
    let mut script = limited(limits);
    establish_from(&mut script, 1, PORT);
    let mut said = 0;
    while script.endpoint.tunnels().count() == 1 && said < 200 {
        // SCCRP is all that it acknowledges.
        script.nr = 1;
        script.say(0x7777, &iccn());
        said += 1;
        let stop = script
            .messages()
            .into_iter()
            .find(|sent| sent.kind() == MessageType::StopCcn);
        if let Some(stop) = stop {
            assert_eq!(codes(&stop), (2, 4));
            assert_eq!(said, 51);
            return;
        }
    }
    panic!("not cleared after {said} messages");
}

#[test]
fn an_answered_call_gets_the_vendor_avps_of_the_peer_once() {
    let (mut script, tunnel) = Script::established_by_dialling();
    script
        .endpoint
        .place_call(script.now, tunnel, vec![vendor_avp(1)]);
    let request = script.messages().pop().unwrap();
    assert_eq!(request.vendor_avps(), [vendor_avp(1)]);
    let session = *value_of!(request.attributes(), AssignedSessionId).unwrap();
    let mut reply = icrp();
    reply = Message::new(
        reply.kind(),
        reply.attributes().to_vec(),
        vec![vendor_avp(2)],
    );
    script.say(session, &reply);
    script.messages();
    let avps = |event: &Event| match event {
        Event::CallAnswered { vendor_avps, .. } => Some(vendor_avps.clone()),
        _ => None,
    };
    assert_eq!(
        script.events.iter().find_map(avps),
        Some(vec![vendor_avp(2)])
    );
}

/// RFC 3931 section 4.7.3: whoever speaks version 3 too says so in AVPs that
/// an implementation of version 2 passes over.
#[test]
fn a_request_that_offers_version_3_is_answered_in_version_2() {
    let mut script = Script::new(vec![incoming("")]);
    let mut body = start(MessageType::Sccrq, "remote", Vec::new()).encode();
    // Router ID, Assigned Control Connection ID, Pseudowire Capabilities List: M = 0.
    body.extend([0, 10, 0, 0, 0, 60, 1, 2, 3, 4]);
    body.extend([0, 10, 0, 0, 0, 61, 0, 0, 0, 9]);
    body.extend([0, 8, 0, 0, 0, 62, 0, 7]);
    script.say_body(0, &body);
    let reply = script.only_message();
    assert_eq!(reply.kind(), MessageType::Sccrp);
    assert_eq!(script.only_tunnel().peer_id, PEER_TUNNEL);
}
