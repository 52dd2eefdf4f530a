//! IPV6CP (RFC 5072), beside IPCP and without it.
use std::net::Ipv6Addr;

use super::*;

/// The scripted peer's interface identifier.
const PEER: [u8; 10] = [1, 10, 0, 0, 0, 0, 0, 0, 0, 7];
const PEER_ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 7);

/// A client in the network phase, and its two requests: IPCP's and IPV6CP's.
fn negotiating() -> (Script, Seen, Seen) {
    let mut script = Script::new(with_ipv6(client()));
    script.open_lcp(&MAGIC);
    let frames = script.frames();
    let request = |number| {
        let mut of = frames.iter().filter(|frame| frame.protocol == number);
        of.next().unwrap().clone()
    };
    let both = (request(protocol::IPCP), request(protocol::IPV6CP));
    assert_eq!(frames.len(), 2, "{frames:?}");
    (script, both.0, both.1)
}

/// IPV6CP opens after this request of ours. Returns our address.
fn open_ipv6cp(script: &mut Script, ours: &Seen) -> Ipv6Addr {
    script.send(protocol::IPV6CP, ACK, ours.id, &ours.data);
    script.send(protocol::IPV6CP, REQUEST, 1, &PEER);
    let outputs = script.outputs();
    let local = address(&ours.data);
    let up = Event::Opened(Network::Ipv6 {
        local,
        remote: PEER_ADDRESS,
    });
    // The event is acted on before the Ack that lets the peer send.
    assert_eq!(outputs[0], Output::Event(up));
    assert_eq!(frame_of(&outputs[1]).unwrap().code, ACK);
    local
}

/// A client that is up with both families.
pub(super) fn open_both() -> Script {
    let (mut script, ipcp, ipv6cp) = negotiating();
    script.finish_ipcp(&ipcp);
    script.outputs();
    open_ipv6cp(&mut script, &ipv6cp);
    script
}

/// The link-local address of an Interface-Identifier option.
fn address(option: &[u8]) -> Ipv6Addr {
    assert_eq!(option[..2], [1, 10]);
    let mut octets = [0; 16];
    octets[..2].copy_from_slice(&[0xfe, 0x80]);
    octets[8..].copy_from_slice(&option[2..10]);
    octets.into()
}

fn is_up(script: &Script) -> [bool; 2] {
    let mut up = [false; 2];
    for event in &script.events {
        match event {
            Event::Opened(network) => up[network.family() as usize] = true,
            Event::NetworkDown(family) => up[*family as usize] = false,
            Event::Suspended | Event::Closed { .. } => up = [false; 2],
            Event::Authenticated { .. } => {}
        }
    }
    up
}

#[test]
fn both_families_open_beside_each_other() {
    let (mut script, ipcp, ipv6cp) = negotiating();
    assert_eq!(ipv6cp.data.len(), 10);
    // No identifier of ours claims to be unique everywhere (RFC 4291, 2.5.1).
    assert_eq!(ipv6cp.data[2] & 2, 0);
    open_ipv6cp(&mut script, &ipv6cp);
    assert_eq!(is_up(&script), [false, true]);
    assert!(script.session.is_open());
    script.finish_ipcp(&ipcp);
    script.outputs();
    assert_eq!(is_up(&script), [true, true]);
    // Neither is asked for again, and the data plane's packets are nobody's here.
    assert_eq!(script.lcp_answers_for(Duration::from_secs(600)), []);
    script.session.handle_frame(script.now, &[0x00, 0x57, 0x60]);
    assert_eq!(script.outputs(), []);
}

#[test]
fn identifiers_differ_and_are_not_zero() {
    let (mut script, _, ours) = negotiating();
    let mut answer = |id, options: &[u8]| {
        script.send(protocol::IPV6CP, REQUEST, id, options);
        let answer = script.frame();
        assert_eq!((answer.protocol, answer.id), (protocol::IPV6CP, id));
        (answer.code, answer.data)
    };
    let zero = [1, 10, 0, 0, 0, 0, 0, 0, 0, 0];
    for (id, option) in [(1, &zero[..]), (2, &ours.data), (3, &[1, 4, 9, 9])] {
        let (code, proposed) = answer(id, option);
        assert_eq!((code, proposed.len()), (NAK, 10));
        assert!(proposed != zero && proposed != ours.data);
    }
    // Compression (RFC 5072, 4.2) is refused; an identifier is not insisted on.
    let compression = [2, 4, 0, 0x4f];
    let wishes = [&compression[..], &PEER].concat();
    assert_eq!(answer(4, &wishes), (REJECT, compression.to_vec()));
    assert_eq!(answer(5, &[]), (ACK, vec![]));
}

#[test]
fn a_proposed_identifier_is_taken_unless_it_cannot_be() {
    let (mut script, _, ours) = negotiating();
    script.send(protocol::IPV6CP, REQUEST, 1, &PEER);
    script.outputs();
    let proposed = [1, 10, 0, 0, 0, 0, 0, 0, 0, 9];
    script.send(protocol::IPV6CP, NAK, ours.id, &proposed);
    let ask = script.frame();
    assert_eq!((ask.code, &ask.data[..]), (REQUEST, &proposed[..]));
    // Zero, the peer's own, and what is none at all: another by chance.
    let zero = [1, 10, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut last = ask;
    for option in [&zero[..], &PEER, &[1, 3, 5]] {
        script.send(protocol::IPV6CP, NAK, last.id, option);
        let ask = script.frame();
        assert_eq!(ask.data.len(), 10);
        assert!(ask.data != option && ask.data != last.data && ask.data[2..] != zero[2..]);
        last = ask;
    }
    // The option is rejected: we have no address, and the family is open.
    script.send(protocol::IPV6CP, REJECT, last.id, &last.data);
    let ask = script.frame();
    assert!(ask.data.is_empty(), "{ask:?}");
    script.send(protocol::IPV6CP, ACK, ask.id, &[]);
    script.outputs();
    let up = Event::Opened(Network::Ipv6 {
        local: Ipv6Addr::UNSPECIFIED,
        remote: PEER_ADDRESS,
    });
    assert_eq!(script.events.last(), Some(&up));
}

/// RFC 1661, 5.7: a peer that does not know one protocol says so.
fn reject_protocol(script: &mut Script, number: u16) {
    let rejected = [&number.to_be_bytes()[..], &[REQUEST, 1, 0, 4]].concat();
    script.lcp(code::PROTOCOL_REJECT, 77, &rejected);
}

#[test]
fn a_rejected_family_harms_the_other_in_no_order() {
    for rejected in [Family::Ipv4, Family::Ipv6] {
        let number = [protocol::IPCP, protocol::IPV6CP][rejected as usize];
        for before in [true, false] {
            let (mut script, ipcp, ipv6cp) = negotiating();
            if before {
                reject_protocol(&mut script, number);
            }
            match rejected {
                Family::Ipv4 => drop(open_ipv6cp(&mut script, &ipv6cp)),
                Family::Ipv6 => script.finish_ipcp(&ipcp),
            }
            script.outputs();
            if !before {
                reject_protocol(&mut script, number);
            }
            // It is not asked for any more.
            assert_eq!(script.lcp_answers_for(Duration::from_secs(600)), []);
            assert_eq!(
                is_up(&script),
                [rejected == Family::Ipv6, rejected == Family::Ipv4]
            );
            // When the other is rejected, too, nothing is left.
            let other = [protocol::IPV6CP, protocol::IPCP][rejected as usize];
            reject_protocol(&mut script, other);
            script.wait(Duration::from_secs(6));
            assert_eq!(script.closed(), Some(CloseReason::Rejected(other)));
        }
    }
}

#[test]
fn a_rejected_open_family_goes_down_alone() {
    for family in [Family::Ipv4, Family::Ipv6] {
        let mut script = open_both();
        reject_protocol(
            &mut script,
            [protocol::IPCP, protocol::IPV6CP][family as usize],
        );
        script.outputs();
        assert_eq!(script.events.last(), Some(&Event::NetworkDown(family)));
        assert!(script.session.is_open());
    }
}

#[test]
fn a_peer_that_never_answers_for_one_family_keeps_the_other() {
    let (mut script, ipcp, _) = negotiating();
    script.finish_ipcp(&ipcp);
    script.outputs();
    let others = script.lcp_answers_for(Duration::from_secs(600));
    // Nine repetitions and no more.
    assert_eq!(others.len(), 9, "{others:?}");
    assert_eq!(is_up(&script), [true, false]);
    // It may still come later.
    script.send(protocol::IPV6CP, REQUEST, 9, &PEER);
    let frames = script.frames();
    assert_eq!((frames[0].code, frames[1].code), (REQUEST, ACK));
    script.send(protocol::IPV6CP, ACK, frames[0].id, &frames[0].data);
    script.outputs();
    assert_eq!(is_up(&script), [true, true]);

    let (mut script, _, ipv6cp) = negotiating();
    open_ipv6cp(&mut script, &ipv6cp);
    script.lcp_answers_for(Duration::from_secs(600));
    assert_eq!(is_up(&script), [false, true]);
    assert_eq!(script.closed(), None);
}

#[test]
fn without_any_answer_the_link_ends() {
    let (mut script, ..) = negotiating();
    script.lcp_answers_for(Duration::from_secs(40));
    assert!(matches!(
        script.closed(),
        Some(CloseReason::IpcpFailed | CloseReason::Ipv6cpFailed)
    ));
}

#[test]
fn a_family_that_does_not_agree_is_given_up_alone() {
    let (mut script, ipcp, ours) = negotiating();
    script.finish_ipcp(&ipcp);
    script.outputs();
    let mut id = ours.id;
    let mut asked = 0;
    for number in 0..30 {
        let proposed = [1, 10, 0, 0, 0, 0, 0, 0, 1, number];
        script.send(protocol::IPV6CP, NAK, id, &proposed);
        let frames = script.frames();
        if let Some(ask) = frames.iter().find(|frame| frame.code == REQUEST) {
            (id, asked) = (ask.id, asked + 1);
        }
    }
    // Twice as often as Max-Failure allows is too often.
    assert_eq!(asked, 11);
    assert_eq!(is_up(&script), [true, false]);
    assert_eq!(script.lcp_answers_for(Duration::from_secs(60)), []);
}

#[test]
fn no_ipv4_address_is_no_end_while_ipv6_is_there() {
    let (mut script, ipcp, ipv6cp) = negotiating();
    open_ipv6cp(&mut script, &ipv6cp);
    // A server that will not talk about addresses.
    script.send(protocol::IPCP, REQUEST, 1, &[]);
    script.send(protocol::IPCP, ACK, ipcp.id, &ipcp.data);
    script.lcp_answers_for(Duration::from_secs(60));
    assert_eq!(is_up(&script), [false, true]);
}

#[test]
fn the_peer_takes_families_down_and_up() {
    let mut script = open_both();
    script.send(protocol::IPCP, code::TERMINATE_REQUEST, 91, &[]);
    script.lcp_answers_for(Duration::from_secs(300));
    assert_eq!(
        is_up(&script),
        [false, true],
        "a login's time is for the link"
    );
    script.send(protocol::IPV6CP, code::TERMINATE_REQUEST, 92, &[]);
    script.lcp_answers_for(Duration::from_secs(59));
    assert_eq!(script.closed(), None);
    script.lcp_answers_for(Duration::from_secs(7));
    assert_eq!(script.closed(), Some(CloseReason::LoginTimeout));
}

#[test]
fn renegotiation_keeps_the_identifier() {
    let (mut script, ipcp, ipv6cp) = negotiating();
    script.finish_ipcp(&ipcp);
    script.outputs();
    let local = open_ipv6cp(&mut script, &ipv6cp);
    let other = [1, 10, 0, 0, 0, 0, 0, 0, 0, 8];
    script.send(protocol::IPV6CP, REQUEST, 90, &other);
    let frames = script.frames();
    assert_eq!((frames[0].code, frames[1].code), (REQUEST, ACK));
    assert_eq!(address(&frames[0].data), local);
    assert_eq!(
        script.events.last(),
        Some(&Event::NetworkDown(Family::Ipv6))
    );
    script.send(protocol::IPV6CP, ACK, frames[0].id, &frames[0].data);
    script.outputs();
    assert_eq!(is_up(&script), [true, true]);
}

/// What a peer sends that is ahead of us waits for its phase.
#[test]
fn early_requests_are_kept() {
    let mut script = Script::new(with_ipv6(server(&[AuthProtocol::Pap])));
    script.open_lcp(&MAGIC);
    script.send(protocol::IPV6CP, REQUEST, 1, &PEER);
    assert_eq!(script.frames(), []);
    script.send(protocol::PAP, 1, 1, b"\x02me\x06secret");
    let frames = script.frames();
    let ack = |frame: &Seen| (frame.protocol, frame.code) == (protocol::IPV6CP, ACK);
    assert!(frames.iter().any(ack), "{frames:?}");
}
