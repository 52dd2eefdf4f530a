//! Renewing, rebinding and running out (RFC 8415, 14.2, 18.2.4 and 18.2.5).

use dhcproto::v6::Status as Code;

use super::server::addresses;
use super::*;

#[test]
fn a_lease_is_renewed_without_a_word() {
    let mut server = Server::new(1);
    let mut host = Host::bound(BOTH, &mut server);
    host.pass_with(seconds(100_000), &mut server);
    assert!(!host.take_changed());
    assert!(host.kinds().iter().all(|kind| *kind == MessageType::Renew));
    assert_eq!(host.sent.len(), 100_000 / 1500);
    assert_eq!(addresses(host.last()), [server.address()]);
    let renewed_at = host.sent.last().unwrap().0;
    let valid_until = host.client.assignment().addresses[0].valid_until;
    assert_eq!(valid_until, Some(renewed_at + seconds(6000)));
    assert_eq!(host.client.counters().expired, 0);
}

/// REN_TIMEOUT and REN_MAX_RT until T2, REB_TIMEOUT and REB_MAX_RT until the end.
#[test]
fn a_silent_server_is_asked_then_all_are_and_then_the_lease_ends() {
    let mut server = Server::new(1);
    server.preferred_s = 30_000;
    server.valid_s = 60_000;
    let mut host = Host::bound(BOTH, &mut server);
    let bound_at = host.client.renewal().unwrap() - seconds(15_000);
    host.pass_until(bound_at + seconds(24_000), &mut []);
    assert_eq!(host.client.state().to_string(), "rebinding");
    let renews = host
        .kinds()
        .iter()
        .filter(|kind| **kind == MessageType::Renew)
        .count();
    assert_eq!(host.sent[0].0, bound_at + seconds(15_000));
    assert_waits(&host.waits()[..renews - 1], 10.0, 600.0);
    assert!(renews > 15, "{renews}");
    assert!(!options_of(host.last()).contains(&OptionCode::ServerId));
    assert_eq!(host.sent[renews].0, bound_at + seconds(24_000));
    host.pass_until(
        bound_at + seconds(60_000) - Duration::from_millis(1),
        &mut [],
    );
    assert_waits(&host.waits()[renews..], 10.0, 600.0);
    assert!(host.take_changed(), "no longer preferred");
    assert_eq!(host.addresses().len(), 1);
    host.pass(Duration::from_millis(1));
    assert!(host.take_changed());
    assert_eq!(host.client.assignment(), &Assignment::default());
    assert_eq!(host.client.state().to_string(), "soliciting");
    assert_eq!(host.client.counters().expired, 2);
    assert_eq!(host.client.renewal(), None);
}

#[test]
fn another_server_may_take_the_lease_over() {
    let mut server = Server::new(1);
    let mut host = Host::bound(BOTH, &mut server);
    let mut other = Server::new(2);
    other.network = server.network;
    other.knows_us = true;
    host.pass_with(seconds(2000), &mut other);
    assert_eq!(
        host.client.state(),
        Dhcpv6State::Renewing,
        "only its own is asked"
    );
    host.pass_with(seconds(1000), &mut other);
    assert_eq!(host.client.state(), Dhcpv6State::Bound);
    assert_eq!(host.client.assignment().server, Some(other.source().into()));
    assert!(!host.take_changed(), "the lease is the same");
}

/// RFC 8415, 18.2.10.1: NoBinding is answered by a request.
#[test]
fn a_server_that_forgot_us_is_asked_anew() {
    let mut server = Server::new(1);
    let mut host = Host::bound(BOTH, &mut server);
    server.knows_us = false;
    host.pass_with(seconds(1600), &mut server);
    assert_eq!(host.kinds(), [MessageType::Renew, MessageType::Request]);
    assert_eq!(host.client.state(), Dhcpv6State::Bound);
    assert!(!host.take_changed(), "it lends the same");
    // Another one, from whom it comes: the old one goes.
    server.knows_us = false;
    server.host = 7;
    server.network = 9;
    host.pass_with(seconds(1600), &mut server);
    assert_eq!(host.addresses(), [IpAddr::from(server.address())]);
    assert_eq!(host.delegated(), [server.prefix()]);
    assert!(host.take_changed());
}

#[test]
fn a_renumbered_lease_changes_in_one_step() {
    let mut server = Server::new(1);
    let mut host = Host::bound(BOTH, &mut server);
    server.network = 5;
    host.pass_with(seconds(1600), &mut server);
    assert_eq!(host.changes, 1);
    assert_eq!(host.addresses(), [IpAddr::from(server.address())]);
    assert_eq!(host.delegated(), [server.prefix()]);
}

#[test]
fn a_lease_taken_back_is_gone_at_once() {
    let mut server = Server::new(1);
    let mut host = Host::bound(BOTH, &mut server);
    server.preferred_s = 0;
    server.valid_s = 0;
    host.pass_with(seconds(1600), &mut server);
    assert!(host.take_changed());
    assert_eq!(host.client.assignment(), &Assignment::default());
    assert_eq!(host.client.state(), Dhcpv6State::Soliciting);
}

#[test]
fn an_answer_that_extends_nothing_does_not_end_the_asking() {
    let mut server = Server::new(1);
    let mut host = Host::bound(BOTH, &mut server);
    server.says = Some((MessageType::Renew, Code::Success));
    host.pass_with(seconds(1600), &mut server);
    assert_eq!(host.client.state(), Dhcpv6State::Renewing);
    assert!((2..10).contains(&host.sent.len()), "{}", host.sent.len());
    assert_eq!(host.client.counters().refusals, host.sent.len() as u64);
    server.says = None;
    host.pass_with(seconds(600), &mut server);
    assert_eq!(host.client.state(), Dhcpv6State::Bound);
}

/// T1, T2, preferred, valid: T1 and T2 that come of it (RFC 8415, 14.2 and 21.4).
#[test]
fn renewal_is_when_the_server_says_or_when_it_is_sensible() {
    let cases = [
        ("named", (1000, 2000, 3000, 6000), Some((1000, 2000))),
        ("left to us", (0, 0, 3000, 6000), Some((1500, 2400))),
        ("T2 left to us", (1000, 0, 3000, 6000), Some((1000, 2400))),
        ("never preferred", (0, 0, 0, 1000), Some((500, 800))),
        ("for ever", (0, 0, u32::MAX, u32::MAX), None),
        ("never", (u32::MAX, u32::MAX, u32::MAX, u32::MAX), None),
        (
            "too late to save it",
            (7000, 8000, 3000, 6000),
            Some((3000, 4800)),
        ),
        ("at once", (0, 0, 1, 1), Some((1, 1))),
    ];
    for (what, (t1_s, t2_s, preferred_s, valid_s), expected) in cases {
        let mut server = Server::new(1);
        (server.t1_s, server.t2_s) = (t1_s, t2_s);
        (server.preferred_s, server.valid_s) = (preferred_s, valid_s);
        server.preference = Some(255);
        let mut host = Host::new(BOTH);
        let first = host.client.next_timeout().unwrap();
        host.pass_until(first, &mut [&mut server]);
        let times = [host.client.lease.t1, host.client.lease.t2];
        let expected = expected.map(|(t1, t2)| (first + seconds(t1), first + seconds(t2)));
        assert_eq!(
            times,
            [expected.map(|it| it.0), expected.map(|it| it.1)],
            "{what}"
        );
    }
}

#[test]
fn an_infinite_lease_is_left_alone() {
    let mut server = Server::new(1);
    (server.preferred_s, server.valid_s) = (u32::MAX, u32::MAX);
    let mut host = Host::bound(BOTH, &mut server);
    host.pass(seconds(1_000_000_000));
    assert_eq!(host.sent.len(), 0);
    assert_eq!(host.client.state(), Dhcpv6State::Bound);
    let address = host.client.assignment().addresses[0];
    assert_eq!((address.preferred_until, address.valid_until), (None, None));
}
