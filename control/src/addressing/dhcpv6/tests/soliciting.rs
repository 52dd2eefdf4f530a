//! From the link's coming up to the lease (RFC 8415, 18.2.1, 18.2.2 and 18.2.9).

use dhcproto::v6::Status as Code;

use super::server::{addresses, prefixes};
use super::*;

#[test]
fn an_address_and_a_prefix_are_lent() {
    let mut server = Server::new(1);
    let mut host = Host::new(BOTH);
    assert_eq!(host.client.state().to_string(), "soliciting");
    host.pass_with(seconds(5), &mut server);
    assert_eq!(host.kinds(), [MessageType::Solicit, MessageType::Request]);
    assert_eq!(host.client.state().to_string(), "bound");
    let bound_at = host.sent[1].0;
    let expected = Assignment {
        addresses: vec![Address {
            address: server.address().into(),
            prefix_length: 128,
            preferred_until: Some(bound_at + seconds(3000)),
            valid_until: Some(bound_at + seconds(6000)),
        }],
        delegated: vec![DelegatedPrefix {
            prefix: server.prefix(),
            preferred_until: Some(bound_at + seconds(3000)),
            valid_until: Some(bound_at + seconds(6000)),
        }],
        name_servers: server
            .name_servers
            .iter()
            .copied()
            .map(IpAddr::V6)
            .collect(),
        server: Some(server.source().into()),
        ..Assignment::default()
    };
    assert_eq!(host.client.assignment(), &expected);
    assert_eq!(host.changes, 1);
    assert_eq!(host.client.renewal(), Some(bound_at + seconds(1500)));
    // What was offered is what was asked for.
    let requested = &host.sent[1].1;
    assert_eq!(addresses(requested), [server.address()]);
    assert_eq!(prefixes(requested), [server.prefix()]);
    let counters = host.client.counters();
    assert_eq!((counters.sent, counters.received), (2, 2));
}

#[test]
fn what_is_not_wanted_is_neither_asked_for_nor_taken() {
    let mut server = Server::new(1);
    let mut host = Host::bound(ADDRESS, &mut server);
    assert!(host.delegated().is_empty());
    host.pass_with(seconds(2000), &mut server);
    assert!(!options_of(host.last()).contains(&OptionCode::IAPD));
    let only_prefix = Dhcpv6Settings {
        address: false,
        prefix: Some(0),
    };
    let host = Host::bound(only_prefix, &mut server);
    assert!(host.addresses().is_empty());
    assert_eq!(host.delegated(), [server.prefix()]);
    let nothing = Dhcpv6Settings {
        address: false,
        prefix: None,
    };
    let mut host = Host::new(nothing);
    host.pass(seconds(10_000));
    assert_eq!(
        (host.sent.len(), host.client.state()),
        (0, Dhcpv6State::Idle)
    );
}

/// RFC 8415, 18.2.1: SOL_MAX_DELAY, SOL_TIMEOUT and SOL_MAX_RT.
#[test]
fn servers_are_looked_for_without_an_end() {
    let mut host = Host::new(BOTH);
    host.pass(seconds(24 * 3600));
    assert!(host.sent[0].0 <= seconds(1));
    let waits = host.waits();
    assert!(waits[0] >= 1.0, "{}", waits[0]);
    assert!(waits.len() > 30, "{waits:?}");
    assert_waits(&waits, 1.0, 3600.0);
    // RFC 8415, 21.9: how long it has been, in hundredths of a second.
    let (first, second) = (&host.sent[0], &host.sent[1]);
    let elapsed = |message: &Message| match message.opts().get(OptionCode::ElapsedTime) {
        Some(DhcpOption::ElapsedTime(elapsed)) => *elapsed,
        other => panic!("{other:?}"),
    };
    assert_eq!(elapsed(&first.1), 0);
    assert_eq!(
        u128::from(elapsed(&second.1)),
        (second.0 - first.0).as_millis() / 10
    );
    assert_eq!(elapsed(host.last()), u16::MAX);
    assert_eq!(first.1.xid(), host.last().xid());
}

#[test]
fn the_longest_wait_is_what_a_server_says() {
    let mut server = Server::new(1);
    server.has_addresses = false;
    server.has_prefixes = false;
    // What is said, what comes of it, and the days that it takes to show.
    let cases = [
        (60, 60.0, 1),
        (86_400, 86_400.0, 20),
        (59, 3600.0, 1),
        (86_401, 3600.0, 1),
    ];
    for (told_s, longest, days) in cases {
        server.sol_max_rt_s = Some(told_s);
        let mut host = Host::new(BOTH);
        host.pass_with(seconds(days * 86_400), &mut server);
        let waits = host.waits();
        assert_waits(&waits, 1.0, longest);
        assert!(waits.last().unwrap() >= &(longest * 0.9), "{told_s}");
    }
}

#[test]
fn the_best_offer_is_taken() {
    let mut modest = Server::new(1);
    let mut preferred = Server::new(2);
    preferred.preference = Some(10);
    let mut half = Server::new(3);
    half.preference = Some(200);
    half.has_prefixes = false;
    let mut host = Host::new(BOTH);
    host.pass_until(seconds(5), &mut [&mut half, &mut modest, &mut preferred]);
    assert_eq!(host.addresses(), [IpAddr::from(preferred.address())]);
    // RFC 8415, 18.2.1: the greatest preference is not waited for.
    let mut urgent = Server::new(4);
    urgent.preference = Some(255);
    let mut host = Host::new(BOTH);
    host.pass_until(seconds(5), &mut [&mut modest, &mut urgent, &mut preferred]);
    assert_eq!(host.addresses(), [IpAddr::from(urgent.address())]);
    assert_eq!(host.sent[0].0, host.sent[1].0);
    assert_eq!(
        host.client.counters().unexpected + host.client.counters().wrong_transaction,
        1
    );
}

/// RFC 8415, 18.2.1: after the first wait the first offer is taken.
#[test]
fn a_late_offer_is_taken_at_once() {
    let mut server = Server::new(1);
    let mut host = Host::new(BOTH);
    host.pass(seconds(5));
    let asked = host.sent.len();
    assert!(asked >= 2);
    let (_, solicit) = host.sent[0].clone();
    let offer = server.answer(host.now, &solicit).unwrap();
    host.receive(&offer);
    assert_eq!(host.client.state().to_string(), "requesting");
    assert_eq!(host.last().msg_type(), MessageType::Request);
}

#[test]
fn half_of_what_is_wanted_is_better_than_nothing() {
    let mut server = Server::new(1);
    server.has_prefixes = false;
    let mut host = Host::bound(BOTH, &mut server);
    assert_eq!(host.addresses(), [IpAddr::from(server.address())]);
    assert!(host.delegated().is_empty());
    // The rest is asked for with every renewal.
    server.has_prefixes = true;
    host.pass_with(seconds(1600), &mut server);
    assert_eq!(host.kinds(), [MessageType::Renew]);
    assert_eq!(host.delegated(), [server.prefix()]);
    assert!(host.take_changed());
}

/// RFC 8415, 18.2.2: REQ_TIMEOUT, REQ_MAX_RT and REQ_MAX_RC.
#[test]
fn a_server_that_does_not_answer_any_more_is_given_up() {
    let mut server = Server::new(1);
    server.preference = Some(255);
    let mut host = Host::new(BOTH);
    host.pass_with(Duration::from_millis(0), &mut server);
    let first = host.client.next_timeout().unwrap();
    host.pass_until(first, &mut []);
    let (_, solicit) = host.sent[0].clone();
    let offer = server.answer(host.now, &solicit).unwrap();
    host.sent.clear();
    host.receive(&offer);
    host.pass(seconds(300));
    let requests = host.kinds();
    let requests = requests
        .iter()
        .filter(|kind| **kind == MessageType::Request);
    assert_eq!(requests.count(), 10);
    assert_waits(&host.waits()[..9], 1.0, 30.0);
    assert_eq!(host.sent[10].1.msg_type(), MessageType::Solicit);
    assert_ne!(host.sent[10].1.xid(), host.sent[0].1.xid());
    assert_eq!(host.client.counters().given_up, 1);
}

/// However a server refuses what it offered, it is not asked without a pause.
#[test]
fn a_server_that_takes_back_its_offer_is_asked_less_and_less() {
    for code in [
        Code::NoAddrsAvail,
        Code::NotOnLink,
        Code::NoBinding,
        Code::NoPrefixAvail,
    ] {
        let mut server = Server::new(1);
        server.preference = Some(255);
        server.says = Some((MessageType::Request, code));
        let mut host = Host::new(BOTH);
        host.pass_with(seconds(3600), &mut server);
        assert!(host.addresses().is_empty() && !host.take_changed());
        let asked = host.sent.len();
        assert!((60..90).contains(&asked), "{code:?}: {asked}");
        let refusals = host.client.counters().refusals;
        assert_eq!(refusals, asked as u64 / 2, "{code:?}");
    }
}

/// RFC 8415, 18.2.10: the message is sent again.
#[test]
fn a_server_that_fails_is_asked_again() {
    for code in [Code::UnspecFail, Code::UseMulticast] {
        let mut server = Server::new(1);
        server.says = Some((MessageType::Request, code));
        let mut host = Host::new(BOTH);
        host.pass_with(seconds(6), &mut server);
        let requests = host.kinds()[1..].to_vec();
        assert!(requests.len() >= 2, "{requests:?}");
        assert!(requests.iter().all(|kind| *kind == MessageType::Request));
        server.says = None;
        host.pass_with(seconds(10), &mut server);
        assert_eq!(host.client.state(), Dhcpv6State::Bound);
    }
}

#[test]
fn an_offer_of_nothing_is_no_offer() {
    let mut server = Server::new(1);
    server.has_addresses = false;
    server.has_prefixes = false;
    let mut host = Host::new(BOTH);
    host.pass_with(seconds(20), &mut server);
    assert!(
        host.kinds()
            .iter()
            .all(|kind| *kind == MessageType::Solicit)
    );
    assert_eq!(host.client.counters().refusals, host.sent.len() as u64);
    server.has_addresses = true;
    server.valid_s = 0;
    server.preferred_s = 0;
    host.pass_with(seconds(60), &mut server);
    assert!(
        host.kinds()
            .iter()
            .all(|kind| *kind == MessageType::Solicit)
    );
    server.says = Some((MessageType::Solicit, Code::UnspecFail));
    server.valid_s = 10;
    host.pass_with(seconds(60), &mut server);
    assert!(
        host.kinds()
            .iter()
            .all(|kind| *kind == MessageType::Solicit)
    );
}

/// RFC 8415, 18.2.8 and 7.6: DEC_TIMEOUT and DEC_MAX_RC.
#[test]
fn an_address_of_somebody_else_is_declined() {
    let mut server = Server::new(1);
    let mut host = Host::bound(BOTH, &mut server);
    let taken = server.address();
    host.client.handle_conflict(host.now, taken);
    host.poll();
    assert!(host.take_changed() && host.addresses().is_empty());
    assert_eq!(host.delegated(), [server.prefix()]);
    assert_eq!(host.client.state().to_string(), "declining");
    assert_eq!(
        options_of(host.last()),
        [
            OptionCode::ClientId,
            OptionCode::ServerId,
            OptionCode::IANA,
            OptionCode::ElapsedTime,
        ]
    );
    host.answer_by(&mut [&mut server]);
    assert_eq!(server.declined, [taken]);
    // The prefix is left, and an address comes with the next renewal.
    assert_eq!(host.client.state(), Dhcpv6State::Bound);
    host.pass_with(seconds(2000), &mut server);
    assert_eq!(host.addresses(), [IpAddr::from(server.address())]);
    assert_ne!(server.address(), taken);
    assert_eq!(host.client.counters().declined, 1);
    // Nobody answers: four times in all.
    host.sent.clear();
    let IpAddr::V6(address) = host.addresses()[0] else {
        panic!()
    };
    host.client.handle_conflict(host.now, address);
    host.poll();
    host.pass(seconds(60));
    assert_eq!(host.kinds(), [MessageType::Decline; 4]);
    host.client.handle_conflict(host.now, address);
    assert_eq!(
        host.client.counters().declined,
        2,
        "it is not ours any more"
    );
}

/// Somebody has every address that we are lent: no storm.
#[test]
fn conflicts_without_an_end_come_slower_and_slower() {
    let mut server = Server::new(1);
    server.preference = Some(255);
    let mut host = Host::new(ADDRESS);
    for _ in 0..3600 {
        host.pass_with(seconds(1), &mut server);
        for address in host.addresses() {
            let IpAddr::V6(address) = address else {
                panic!()
            };
            host.client.handle_conflict(host.now, address);
            host.poll();
            host.answer_by(&mut [&mut server]);
        }
    }
    let declined = host.client.counters().declined;
    assert!((20..50).contains(&declined), "{declined}");
}

/// RFC 8415, 18.2.7 and 7.6: REL_TIMEOUT and REL_MAX_RC.
#[test]
fn everything_is_given_back() {
    let mut server = Server::new(1);
    let mut host = Host::bound(BOTH, &mut server);
    host.client.release(host.now);
    host.poll();
    assert!(host.take_changed());
    assert_eq!(host.client.assignment(), &Assignment::default());
    assert_eq!(host.client.state().to_string(), "releasing");
    assert_eq!(addresses(host.last()), [server.address()]);
    assert_eq!(prefixes(host.last()), [server.prefix()]);
    host.pass(seconds(100));
    assert_eq!(host.kinds(), [MessageType::Release; 4]);
    assert_waits(&host.waits(), 1.0, f64::MAX);
    host.pass_with(seconds(10_000), &mut server);
    assert_eq!(
        (host.sent.len(), host.client.state()),
        (4, Dhcpv6State::Idle)
    );
    host.set_link(false);
    host.set_link(true);
    host.pass_with(seconds(5), &mut server);
    assert_eq!(host.client.state(), Dhcpv6State::Bound);
    // One that is answered.
    host.client.release(host.now);
    host.poll();
    host.answer_by(&mut [&mut server]);
    assert_eq!(
        (server.released, host.client.state()),
        (1, Dhcpv6State::Idle)
    );
    host.client.release(host.now);
    host.pass(seconds(100));
    assert_eq!(server.released, 1, "there is nothing to give back");
}
