//! What servers say of an address, and what becomes of it.

use super::*;
use dataplane::command::Prefix;
use std::net::IpAddr;

/// A client that has asked for [`ADDRESS`], and its transaction.
fn asking() -> (Bench, u32) {
    let mut bench = Bench::new();
    let xid = bench.sent(MessageType::Discover).message.xid();
    bench.answer(MessageType::Offer, xid, ADDRESS, 600);
    bench.sent(MessageType::Request);
    (bench, xid)
}

/// A client whose T1 has come, and its transaction.
fn renewing() -> (Bench, u32) {
    let mut bench = Bench::bound(600);
    bench.wait();
    let xid = bench.sent(MessageType::Request).message.xid();
    (bench, xid)
}

fn ack(xid: u32) -> Answer {
    Answer::new(MessageType::Ack, xid, ADDRESS, 600)
}

/// The assignment that an ack makes.
fn given(change: impl Fn(Answer) -> Answer) -> Bench {
    let (mut bench, xid) = asking();
    bench.hear(&change(ack(xid)));
    bench.assert_changed();
    bench
}

fn routers(bench: &Bench) -> Vec<IpAddr> {
    let routers = bench.client.assignment().routers.iter();
    routers.map(|router| router.address).collect()
}

#[test]
fn a_renewal_of_the_same_moves_the_times_without_a_word() {
    let (mut bench, xid) = renewing();
    bench.hear(&ack(xid));
    bench.assert_quiet();
    assert_eq!(bench.client.state(), DhcpState::Bound);
    let until = Some(START + s(900));
    assert_eq!(bench.client.assignment().addresses[0].valid_until, until);
    assert_eq!(bench.client.assignment().routers[0].valid_until, until);
    assert_eq!(bench.client.renewal(), Some(START + s(600)));
}

#[test]
fn a_renewal_that_says_something_else_is_a_change() {
    let changes: [fn(Answer) -> Answer; 4] = [
        |answer| answer.with(DhcpOption::InterfaceMtu(1400)),
        |answer| answer.with(DhcpOption::Router(vec![OTHER_SERVER])),
        |answer| answer.with(DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 0, 0))),
        |answer| answer.with(DhcpOption::DomainNameServer(vec![SERVER])),
    ];
    for change in changes {
        let (mut bench, xid) = renewing();
        bench.hear(&change(ack(xid)));
        bench.assert_changed();
        bench.assert_quiet();
        assert_eq!(bench.held(), Some(ADDRESS));
    }
}

#[test]
fn the_server_that_is_asked_may_give_another_address() {
    for (mut bench, xid) in [asking(), renewing()] {
        bench.answer(MessageType::Ack, xid, OTHER_ADDRESS, 600);
        bench.assert_changed();
        assert_eq!(bench.held(), Some(OTHER_ADDRESS));
        assert_eq!(bench.client.state(), DhcpState::Bound);
    }
}

#[test]
fn only_the_server_that_is_asked_is_heard() {
    for (mut bench, xid) in [asking(), renewing()] {
        let (state, held) = (bench.client.state(), bench.held());
        for kind in [MessageType::Ack, MessageType::Nak] {
            let answer = Answer::new(kind, xid, ADDRESS, 600);
            bench.hear(&answer.with(DhcpOption::ServerIdentifier(OTHER_SERVER)));
        }
        bench.assert_quiet();
        assert_eq!((bench.client.state(), bench.held()), (state, held));
        assert_eq!(bench.client.counters().other_server, 2);
    }
}

#[test]
fn any_server_may_rebind() {
    let mut bench = Bench::bound(600);
    while bench.client.state() != DhcpState::Rebinding {
        bench.wait();
    }
    let asked_at = bench.now;
    while bench.client.poll_action().is_some() {}
    let other = |answer: Answer| answer.with(DhcpOption::ServerIdentifier(OTHER_SERVER));
    let xid = bench.xid();
    bench.hear(&other(Answer::new(
        MessageType::Ack,
        xid,
        OTHER_ADDRESS,
        600,
    )));
    assert_eq!(bench.client.counters().other_address, 1);
    bench.now += s(1);
    bench.hear(&other(ack(xid)));
    bench.assert_quiet();
    assert_eq!(bench.client.state(), DhcpState::Bound);
    assert_eq!(bench.client.assignment().server, Some(OTHER_SERVER.into()));
    // The next renewal goes to the new one.
    bench.wait();
    assert_eq!(bench.now, asked_at + s(300));
    assert_eq!(bench.sent(MessageType::Request).destination, OTHER_SERVER);
}

#[test]
fn a_nak_takes_the_address() {
    let (mut bench, xid) = renewing();
    bench.answer(MessageType::Nak, xid, Ipv4Addr::UNSPECIFIED, 0);
    bench.assert_changed();
    assert_eq!(bench.held(), None);
    assert_eq!(bench.sent(MessageType::Discover).requested(), None);
    assert_eq!(bench.client.counters().naks, 1);
}

#[test]
fn the_first_good_offer_is_taken() {
    let mut bench = Bench::new();
    let xid = bench.sent(MessageType::Discover).message.xid();
    let offer = |address| Answer::new(MessageType::Offer, xid, address, 600);
    bench.hear(&offer(ADDRESS).without(OptionCode::SubnetMask));
    assert_eq!(bench.client.state(), DhcpState::Selecting);
    let second = offer(OTHER_ADDRESS).with(DhcpOption::ServerIdentifier(OTHER_SERVER));
    bench.hear(&second);
    bench.hear(&offer(ADDRESS));
    let request = bench.sent(MessageType::Request);
    assert_eq!(request.requested(), Some(OTHER_ADDRESS));
    assert_eq!(request.server(), Some(OTHER_SERVER));
    bench.assert_quiet();
    let counters = bench.client.counters();
    assert_eq!((counters.bad_mask, counters.unexpected), (1, 1));
}

#[test]
fn an_ack_comes_once() {
    let (mut bench, xid) = asking();
    bench.hear(&ack(xid));
    bench.assert_changed();
    let renewal = bench.client.renewal();
    bench.now += s(100);
    bench.hear(&ack(xid));
    bench.answer(MessageType::Nak, xid, Ipv4Addr::UNSPECIFIED, 0);
    bench.assert_quiet();
    assert_eq!(bench.client.renewal(), renewal);
    assert_eq!(bench.client.counters().unexpected, 2);
}

#[test]
fn a_lease_counts_from_when_it_was_asked_for() {
    let (mut bench, xid) = asking();
    // Asked for twice: the answer may be to the first.
    bench.wait();
    bench.sent(MessageType::Request);
    bench.hear(&ack(xid));
    let until = bench.client.assignment().addresses[0].valid_until;
    assert_eq!(until, Some(START + s(600)));

    let (mut bench, xid) = asking();
    bench.now += s(3);
    bench.answer(MessageType::Ack, xid, ADDRESS, 3);
    bench.assert_quiet();
    assert_eq!(bench.client.counters().late, 1);
    assert_eq!(bench.client.state(), DhcpState::Requesting);
}

#[test]
fn classless_routes_stand_for_routers() {
    // The default route, one by a router that is of no use to us, one to a neighbour.
    let routes = [
        &[0, 100, 64, 0, 9][..],
        &[8, 10, 100, 64, 0, 5],
        &[20, 172, 16, 255, 0, 0, 0, 0],
    ];
    let bench =
        given(|answer| answer.with_octets(OptionCode::ClasslessStaticRoute, &routes.concat()));
    assert_eq!(routers(&bench), [IpAddr::from([100, 64, 0, 9])]);
    let on_link = [Prefix::new(Ipv4Addr::new(172, 16, 240, 0), 20)];
    assert_eq!(bench.client.assignment().on_link, on_link);

    // None of them is a default route: option 3 does not count either.
    let bench = given(|answer| {
        answer.with_octets(OptionCode::ClasslessStaticRoute, &[8, 10, 100, 64, 0, 5])
    });
    assert_eq!(routers(&bench), [] as [IpAddr; 0]);

    for unreadable in [&[33, 1, 2, 3, 4, 5, 6, 7, 8, 9][..], &[8, 10, 1], &[24, 10]] {
        let bench =
            given(|answer| answer.with_octets(OptionCode::ClasslessStaticRoute, unreadable));
        assert_eq!(routers(&bench), [IpAddr::V4(SERVER)], "{unreadable:?}");
        assert_eq!(bench.client.counters().bad_routes, 1);
    }
}

#[test]
fn a_router_elsewhere_is_a_neighbour() {
    let elsewhere = Ipv4Addr::new(10, 255, 0, 1);
    let bench = given(|answer| {
        let routers = vec![elsewhere, ADDRESS, Ipv4Addr::BROADCAST, elsewhere, SERVER];
        answer
            .with(DhcpOption::SubnetMask(Ipv4Addr::BROADCAST))
            .with(DhcpOption::Router(routers))
    });
    assert_eq!(routers(&bench), [IpAddr::V4(elsewhere), SERVER.into()]);
    let assignment = bench.client.assignment();
    assert_eq!(assignment.addresses[0].prefix_length, 32);
    assert_eq!(
        assignment.on_link,
        [Prefix::host(elsewhere), Prefix::host(SERVER)]
    );
}

#[test]
fn an_mtu_that_is_too_small_is_not_used() {
    for (octets, expected, bad) in [
        (&[5, 212][..], Some(1492), 0),
        (&[2, 64], Some(576), 0),
        (&[2, 63], None, 1),
        (&[0], None, 1),
        (&[0, 0, 5, 212], None, 1),
    ] {
        let bench = given(|answer| answer.with_octets(OptionCode::InterfaceMtu, octets));
        assert_eq!(bench.client.assignment().mtu, expected, "{octets:?}");
        assert_eq!(bench.client.counters().bad_mtu, bad, "{octets:?}");
    }
}

/// How an answer differs, and the counter that it ends in.
type Case = (fn(Answer) -> Answer, fn(&mut DhcpCounters) -> &mut u64);

#[test]
fn every_answer_that_is_refused_has_its_counter() {
    fn at(address: [u8; 4], mask: [u8; 4], mut answer: Answer) -> Answer {
        answer.message.set_yiaddr(address);
        answer.with(DhcpOption::SubnetMask(mask.into()))
    }
    let cases: [Case; 24] = [
        (
            |answer| answer.without(OptionCode::MessageType),
            |counters| &mut counters.malformed,
        ),
        (
            |answer| answer.with(DhcpOption::MessageType(MessageType::Request)),
            |counters| &mut counters.malformed,
        ),
        (
            |mut answer| {
                answer.message.set_opcode(Opcode::BootRequest);
                answer
            },
            |counters| &mut counters.malformed,
        ),
        (
            |mut answer| {
                answer.message.set_htype(dhcproto::v4::HType::ARCNET);
                answer
            },
            |counters| &mut counters.malformed,
        ),
        (
            |mut answer| {
                answer.message.set_chaddr(&MAC[..5]);
                answer
            },
            |counters| &mut counters.malformed,
        ),
        (
            |mut answer| {
                answer.message.set_chaddr(&[2, 0, 0, 0, 0, 1]);
                answer
            },
            |counters| &mut counters.other_hardware,
        ),
        (
            |answer| answer.with(DhcpOption::ClientIdentifier(vec![1, 2, 3])),
            |counters| &mut counters.other_client_id,
        ),
        (
            |answer| answer.without(OptionCode::ServerIdentifier),
            |counters| &mut counters.no_server_id,
        ),
        (
            |answer| answer.with(DhcpOption::ServerIdentifier(Ipv4Addr::BROADCAST)),
            |counters| &mut counters.no_server_id,
        ),
        (
            |answer| answer.with_octets(OptionCode::ServerIdentifier, &[1, 2, 3]),
            |counters| &mut counters.no_server_id,
        ),
        (
            |mut answer| {
                let xid = answer.message.xid();
                answer.message.set_xid(xid ^ 1);
                answer
            },
            |counters| &mut counters.other_transaction,
        ),
        (
            |answer| answer.without(OptionCode::SubnetMask),
            |counters| &mut counters.bad_mask,
        ),
        (
            |answer| answer.with_octets(OptionCode::SubnetMask, &[255, 255, 255]),
            |counters| &mut counters.bad_mask,
        ),
        (
            |answer| at([100, 64, 0, 77], [0, 0, 0, 0], answer),
            |counters| &mut counters.bad_mask,
        ),
        (
            |answer| at([100, 64, 0, 77], [255, 0, 255, 0], answer),
            |counters| &mut counters.bad_mask,
        ),
        (
            |answer| at([0, 0, 0, 0], [255, 255, 255, 0], answer),
            |counters| &mut counters.bad_address,
        ),
        (
            |answer| at([127, 0, 0, 5], [255, 255, 255, 0], answer),
            |counters| &mut counters.bad_address,
        ),
        (
            |answer| at([224, 0, 0, 5], [255, 255, 255, 0], answer),
            |counters| &mut counters.bad_address,
        ),
        (
            |answer| at([255, 255, 255, 255], [255, 255, 255, 255], answer),
            |counters| &mut counters.bad_address,
        ),
        (
            |answer| at([100, 64, 0, 0], [255, 255, 255, 0], answer),
            |counters| &mut counters.bad_address,
        ),
        (
            |answer| at([100, 64, 0, 255], [255, 255, 255, 0], answer),
            |counters| &mut counters.bad_address,
        ),
        (
            |answer| at([100, 64, 0, 1], [255, 255, 255, 0], answer),
            |counters| &mut counters.bad_address,
        ),
        (
            |answer| answer.without(OptionCode::AddressLeaseTime),
            |counters| &mut counters.no_lease_time,
        ),
        (
            |answer| answer.with(DhcpOption::AddressLeaseTime(0)),
            |counters| &mut counters.no_lease_time,
        ),
    ];
    for (number, (change, counter)) in cases.into_iter().enumerate() {
        let (mut bench, xid) = asking();
        let before = *bench.client.counters();
        bench.hear(&change(ack(xid)));
        bench.assert_quiet();
        assert_eq!(bench.client.state(), DhcpState::Requesting, "{number}");
        let mut after = *bench.client.counters();
        let counted = *counter(&mut after);
        assert_eq!(counted, 1, "{number}: {after:?}");
        *counter(&mut after) = 0;
        after.received_ack = before.received_ack;
        assert_eq!(after, before, "{number}");
        // The right one is still welcome.
        bench.hear(&ack(xid).with(DhcpOption::ClientIdentifier(client_id(MAC))));
        bench.assert_changed();
    }
}

#[test]
fn two_addresses_of_a_link_are_both_usable() {
    for (last, length) in [(76, 31), (77, 31), (76, 32)] {
        let mask = Ipv4Addr::from_bits(u32::MAX << (32 - length));
        let (mut bench, xid) = asking();
        let address = Ipv4Addr::new(100, 64, 0, last);
        let answer = Answer::new(MessageType::Ack, xid, address, 600);
        bench.hear(&answer.with(DhcpOption::SubnetMask(mask)));
        assert_eq!(bench.held(), Some(address));
    }
}
