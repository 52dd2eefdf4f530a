//! When something is sent again, renewed, or over.

use super::*;

/// Waits of these lengths, a second more or less.
#[track_caller]
fn assert_waits(bench: &mut Bench, kind: MessageType, expected_s: &[u64]) {
    for &expected in expected_s {
        let waited = bench.wait();
        assert!(
            waited + s(1) >= s(expected) && waited <= s(expected + 1) && waited <= s(64),
            "{waited:?} instead of {expected} s"
        );
        bench.sent(kind);
        bench.assert_quiet();
    }
}

#[test]
fn a_server_is_looked_for_without_end() {
    let mut bench = Bench::new();
    let first = bench.sent(MessageType::Discover);
    assert_eq!(first.message.secs(), 0);
    assert_waits(
        &mut bench,
        MessageType::Discover,
        &[4, 8, 16, 32, 64, 64, 64, 64, 64],
    );
    bench.wait();
    let last = bench.sent(MessageType::Discover);
    assert_eq!(last.message.xid(), first.message.xid());
    let seconds = (bench.now - START).as_secs();
    assert_eq!(u64::from(last.message.secs()), seconds);
    // The request says what was said before.
    let xid = last.message.xid();
    bench.now += s(3);
    bench.answer(MessageType::Offer, xid, ADDRESS, 600);
    let request = bench.sent(MessageType::Request);
    assert_eq!(u64::from(request.message.secs()), seconds);
}

#[test]
fn an_offer_that_is_not_kept_is_given_up() {
    let mut bench = Bench::new();
    let xid = bench.sent(MessageType::Discover).message.xid();
    bench.answer(MessageType::Offer, xid, ADDRESS, 600);
    bench.sent(MessageType::Request);
    assert_waits(&mut bench, MessageType::Request, &[4, 8]);
    assert_waits(&mut bench, MessageType::Discover, &[16, 4, 8]);
    assert_ne!(bench.xid(), xid);
    // Too late.
    bench.answer(MessageType::Ack, xid, ADDRESS, 600);
    assert_eq!(bench.client.counters().other_transaction, 1);
}

#[test]
fn a_nak_starts_anew_at_once_and_many_naks_do_not() {
    let mut bench = Bench::new();
    let mut waits = Vec::new();
    for _ in 0..8 {
        let xid = bench.sent(MessageType::Discover).message.xid();
        bench.answer(MessageType::Offer, xid, ADDRESS, 600);
        bench.sent(MessageType::Request);
        bench.answer(MessageType::Nak, xid, Ipv4Addr::UNSPECIFIED, 0);
        if bench.client.state() == DhcpState::Init {
            waits.push(bench.wait());
        }
    }
    assert_eq!(bench.client.counters().naks, 8);
    let expected = [4, 8, 16, 32, 64, 64, 64];
    assert_eq!(waits.len(), expected.len());
    for (waited, expected) in waits.into_iter().zip(expected) {
        assert!(waited + s(1) >= s(expected) && waited <= s(64.min(expected + 1)));
    }
    // A lease ends the row.
    bench.bind(ADDRESS, 600);
    bench.wait();
    let xid = bench.sent(MessageType::Request).message.xid();
    bench.answer(MessageType::Nak, xid, Ipv4Addr::UNSPECIFIED, 0);
    bench.assert_changed();
    bench.sent(MessageType::Discover);
}

/// At which seconds of an unanswered lease something is sent: to its server, and to all.
fn attempts(lease_s: u32) -> (Vec<f64>, Vec<f64>) {
    let mut bench = Bench::bound(lease_s);
    let (mut renewals, mut rebindings) = (Vec::new(), Vec::new());
    loop {
        assert_eq!(bench.client.renewal(), bench.client.next_timeout());
        bench.wait();
        let second = (bench.now - START).as_secs_f64();
        if bench.held().is_none() {
            assert_eq!(second, f64::from(lease_s));
            bench.assert_changed();
            bench.sent(MessageType::Discover);
            bench.assert_quiet();
            return (renewals, rebindings);
        }
        let request = bench.sent(MessageType::Request);
        bench.assert_quiet();
        assert_eq!(request.source, ADDRESS);
        assert_eq!(request.message.ciaddr(), ADDRESS);
        assert!(!request.message.flags().broadcast());
        assert_eq!((request.requested(), request.server()), (None, None));
        if request.is_frame {
            assert_eq!(bench.client.state(), DhcpState::Rebinding);
            assert_eq!(request.destination, Ipv4Addr::BROADCAST);
            rebindings.push(second);
        } else {
            assert_eq!(bench.client.state(), DhcpState::Renewing);
            assert_eq!(request.destination, SERVER);
            renewals.push(second);
        }
    }
}

#[test]
fn a_lease_is_renewed_then_rebound_then_over() {
    let (renewals, rebindings) = attempts(3600);
    assert_eq!(renewals[..4], [1800.0, 2475.0, 2812.5, 2981.25]);
    assert_eq!(rebindings[..3], [3150.0, 3375.0, 3487.5]);
    let all: Vec<f64> = renewals.into_iter().chain(rebindings).collect();
    let gaps = all.windows(2).map(|pair| pair[1] - pair[0]);
    // The last of each row is as long as there is time.
    assert_eq!(gaps.filter(|&gap| gap < 60.0).count(), 1, "{all:?}");

    let (renewals, rebindings) = attempts(120);
    assert_eq!(renewals, [60.0, 82.5, 93.75, 99.75]);
    assert_eq!(rebindings, [105.0, 112.5, 118.5]);
    let (renewals, rebindings) = attempts(10);
    assert_eq!(renewals, [5.0, 6.875, 7.875]);
    assert_eq!(rebindings, [8.75, 9.75]);
    let (renewals, rebindings) = attempts(1);
    assert_eq!((renewals, rebindings), (vec![0.5], vec![0.875]));
}

#[test]
fn a_lease_for_ever_is_not_renewed() {
    let mut bench = Bench::bound(u32::MAX);
    assert_eq!(bench.client.next_timeout(), None);
    assert_eq!(bench.client.renewal(), None);
    assert_eq!(bench.client.assignment().addresses[0].valid_until, None);
    bench.pass(s(1 << 33));
    bench.assert_quiet();
    assert_eq!(bench.held(), Some(ADDRESS));
    // But for another cable.
    bench.cut(s(1));
    bench.sent(MessageType::Request);
    bench.wait();
    bench.sent(MessageType::Discover);
}

#[test]
fn the_servers_times_are_taken_if_they_are_in_order() {
    let cases: [(Option<u32>, Option<u32>, u64, u64); 7] = [
        (Some(10), Some(20), 10, 20),
        (Some(20), Some(10), 50, 87),
        (Some(0), Some(20), 50, 87),
        (Some(10), Some(100), 50, 87),
        (Some(10), None, 10, 87),
        (None, Some(60), 50, 60),
        (Some(u32::MAX), Some(u32::MAX), 50, 87),
    ];
    for (renewal, rebinding, expected_renewal, expected_rebinding) in cases {
        let mut bench = Bench::new();
        let xid = bench.sent(MessageType::Discover).message.xid();
        bench.answer(MessageType::Offer, xid, ADDRESS, 100);
        bench.sent(MessageType::Request);
        let mut answer = Answer::new(MessageType::Ack, xid, ADDRESS, 100);
        if let Some(seconds) = renewal {
            answer = answer.with(DhcpOption::Renewal(seconds));
        }
        if let Some(seconds) = rebinding {
            answer = answer.with(DhcpOption::Rebinding(seconds));
        }
        bench.hear(&answer);
        bench.assert_changed();
        let renewal = bench.client.renewal().unwrap() - START;
        assert_eq!(renewal, s(expected_renewal), "{answer:?}");
        while bench.client.state() != DhcpState::Rebinding {
            bench.wait();
        }
        assert_eq!((bench.now - START).as_secs(), expected_rebinding);
    }
}

#[test]
fn a_caller_that_was_asleep_finds_the_right_state() {
    let mut bench = Bench::bound(100);
    bench.pass(s(90));
    assert_eq!(bench.client.state(), DhcpState::Rebinding);
    assert!(bench.sent(MessageType::Request).is_frame);
    bench.assert_quiet();
    let mut bench = Bench::bound(100);
    bench.pass(s(500));
    bench.assert_changed();
    bench.sent(MessageType::Discover);
    bench.assert_quiet();
    // The same if the link speaks first.
    let mut bench = Bench::bound(100);
    bench.client.set_link(bench.now, false);
    bench.now += s(500);
    bench.client.set_link(bench.now, true);
    bench.assert_changed();
    bench.sent(MessageType::Discover);
    bench.assert_quiet();
}
