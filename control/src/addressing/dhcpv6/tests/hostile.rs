//! Messages that are not answers, and messages that are too much.

use dhcproto::Encodable;
use dhcproto::v6::{DhcpOptions, IAAddr, IANA};
use proptest::prelude::*;

use super::*;

/// Waits for the answer to its first message, which is returned.
fn soliciting() -> (Host, Message) {
    let mut host = Host::new(BOTH);
    let first = host.client.next_timeout().unwrap();
    host.pass_until(first, &mut []);
    let (_, solicit) = host.sent[0].clone();
    (host, solicit)
}

/// Waits for the answer to its request.
fn requesting(server: &mut Server) -> (Host, Message) {
    server.preference = Some(255);
    let (mut host, solicit) = soliciting();
    let offer = server.answer(host.now, &solicit).unwrap();
    host.receive(&offer);
    assert_eq!(host.client.state(), Dhcpv6State::Requesting);
    let (_, request) = host.sent[1].clone();
    (host, request)
}

/// RFC 8415, 16.3 and 16.10, each rule broken alone.
#[test]
fn what_is_no_answer_is_counted_as_what_it_is() {
    let mut server = Server::new(1);
    let (mut host, request) = requesting(&mut server);
    let reply = server.reply(&request).unwrap();
    let mut send = |change: &dyn Fn(&mut Message)| {
        let mut reply = reply.clone();
        change(&mut reply);
        host.receive(&server.packet(&reply));
        let counters = *host.client.counters();
        (
            counters.wrong_transaction,
            counters.unexpected,
            counters.wrong_client,
            counters.wrong_server,
        )
    };
    let other_client = |reply: &mut Message| {
        reply.opts_mut().remove(OptionCode::ClientId);
        let id = DhcpOption::ClientId(vec![0, 3, 0, 1, 2, 0, 0, 0, 0, 9]);
        reply.opts_mut().insert(id);
    };
    let other_server = |reply: &mut Message| {
        reply.opts_mut().remove(OptionCode::ServerId);
        reply.opts_mut().insert(DhcpOption::ServerId(vec![1, 2, 3]));
    };
    let without = |code: OptionCode| {
        move |reply: &mut Message| {
            reply.opts_mut().remove(code);
        }
    };
    let transaction = |reply: &mut Message| {
        let [a, b, c] = reply.xid();
        reply.set_xid([a, b, c ^ 1]);
    };
    assert_eq!(send(&transaction), (1, 0, 0, 0));
    let of_kind = |kind| {
        move |reply: &mut Message| {
            reply.set_msg_type(kind);
        }
    };
    assert_eq!(send(&of_kind(MessageType::Advertise)), (1, 1, 0, 0));
    assert_eq!(send(&of_kind(MessageType::Reconfigure)), (1, 2, 0, 0));
    assert_eq!(send(&other_client), (1, 2, 1, 0));
    assert_eq!(send(&without(OptionCode::ClientId)), (1, 2, 2, 0));
    assert_eq!(send(&other_server), (1, 2, 2, 1));
    assert_eq!(send(&without(OptionCode::ServerId)), (1, 2, 2, 2));
    assert_eq!(host.client.state(), Dhcpv6State::Requesting);
    assert!(!host.take_changed());
    host.receive(&server.packet(&reply));
    assert_eq!(host.client.state(), Dhcpv6State::Bound);
    // Nothing is asked now.
    host.receive(&server.packet(&reply));
    assert_eq!(host.client.counters().unexpected, 3);
}

#[test]
fn packets_that_are_not_for_a_client_are_ignored() {
    let mut server = Server::new(1);
    let (mut host, request) = requesting(&mut server);
    let packet = server.answer(host.now, &request).unwrap();
    let change = |at: usize, octets: &[u8]| {
        let mut packet = packet.clone();
        packet[at..at + octets.len()].copy_from_slice(octets);
        packet
    };
    host.receive(&change(6, &[6]));
    let (ignored, malformed) = {
        let counters = host.client.counters();
        (counters.ignored, counters.malformed)
    };
    assert_eq!((ignored, malformed), (1, 0));
    host.receive(&change(46, &[0, 0]));
    host.receive(&change(60, &[packet[60] ^ 1]));
    host.receive(&packet[..packet.len() - 1]);
    host.receive(&packet[..40]);
    host.receive(&[]);
    assert_eq!(host.client.counters().malformed, 5);
    let source = SocketAddrV6::new(server.source(), 547, 0, 0);
    let other_port = SocketAddrV6::new(link_local(MAC), 545, 0, 0);
    let reply = server.reply(&request).unwrap().to_vec().unwrap();
    host.receive(&udp_packet(source, other_port, &reply));
    assert_eq!(host.client.counters().ignored, 2);
}

/// An offer or a lease with too much of everything.
#[test]
fn a_flood_ends_in_a_counter() {
    let mut server = Server::new(1);
    let (mut host, request) = requesting(&mut server);
    let mut reply = server.reply(&request).unwrap();
    reply.opts_mut().remove(OptionCode::IANA);
    reply.opts_mut().remove(OptionCode::DomainNameServers);
    let address = |number| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number);
    let opts: DhcpOptions = (0..100)
        .map(|number| {
            DhcpOption::IAAddr(IAAddr {
                addr: address(number),
                preferred_life: 1000,
                valid_life: 1000,
                opts: DhcpOptions::new(),
            })
        })
        .collect();
    let (id, t1, t2) = (message::iaid(MAC), 0, 0);
    reply
        .opts_mut()
        .insert(DhcpOption::IANA(IANA { id, t1, t2, opts }));
    let servers = (0..100).map(address).collect();
    reply
        .opts_mut()
        .insert(DhcpOption::DomainNameServers(servers));
    host.receive(&server.packet(&reply));
    assert_eq!(host.addresses().len(), lease::LIMIT);
    assert_eq!(host.client.assignment().name_servers.len(), lease::LIMIT);
    assert_eq!(host.client.counters().table_full, 92 + 92);
}

/// Offers by the thousand: the best is kept, and nothing else.
#[test]
fn a_flood_of_offers_costs_nothing() {
    let (mut host, solicit) = soliciting();
    for number in 0..5000_u32 {
        let mut server = Server::new((number % 200) as u8);
        server.preference = Some((number % 255) as u8);
        server.network = number as u16;
        let offer = server.answer(host.now, &solicit).unwrap();
        host.receive(&offer);
    }
    assert_eq!(host.client.counters().received, 5000);
    host.pass(seconds(2));
    assert_eq!(host.kinds()[1], MessageType::Request);
    assert_eq!(server::addresses(&host.sent[1].1).len(), 1);
}

proptest! {
    /// Junk, and answers damaged anywhere, change nothing.
    #[test]
    fn junk_never_changes_an_assignment(
        junk in prop::collection::vec(any::<u8>(), 0..200),
        at in 8..200_usize,
        bit in 0..8_u32,
    ) {
        let mut server = Server::new(1);
        let mut host = Host::bound(BOTH, &mut server);
        server.is_silent = true;
        host.pass_with(seconds(1501), &mut server);
        prop_assert_eq!(host.client.state(), Dhcpv6State::Renewing);
        let before = host.client.assignment().clone();
        server.is_silent = false;
        server.network = 9;
        let (_, renew) = host.sent[0].clone();
        let mut answer = server.answer(host.now, &renew).unwrap();
        let at = at % (answer.len() - 8) + 8;
        answer[at] ^= 1 << bit;
        host.receive(&junk);
        host.receive(&answer);
        prop_assert_eq!(host.client.assignment(), &before);
        prop_assert!(!host.take_changed());
    }

    /// Junk with a right checksum, in an answer that would count.
    #[test]
    fn junk_options_never_panic(junk in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut server = Server::new(1);
        let (mut host, request) = requesting(&mut server);
        let mut payload = server.reply(&request).unwrap().to_vec().unwrap();
        payload.extend(junk);
        let source = SocketAddrV6::new(server.source(), 547, 0, 0);
        let destination = SocketAddrV6::new(link_local(MAC), 546, 0, 0);
        host.receive(&udp_packet(source, destination, &payload));
        host.pass(seconds(10_000));
    }
}
