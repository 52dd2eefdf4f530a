//! What strangers send changes nothing.

use proptest::prelude::*;

use super::*;

const STATES: [DhcpState; 7] = [
    DhcpState::Init,
    DhcpState::Selecting,
    DhcpState::Requesting,
    DhcpState::InitReboot,
    DhcpState::Bound,
    DhcpState::Renewing,
    DhcpState::Rebinding,
];

/// A client in each state, with nothing left to be done.
fn in_state(state: DhcpState) -> Bench {
    let mut bench = match state {
        DhcpState::Init | DhcpState::Selecting | DhcpState::Requesting => Bench::new(),
        _ => Bench::bound(600),
    };
    match state {
        DhcpState::Init => bench.client.set_link(START, false),
        DhcpState::Requesting => {
            let xid = bench.xid();
            bench.answer(MessageType::Offer, xid, ADDRESS, 600);
        }
        DhcpState::InitReboot => bench.cut(s(1)),
        _ => {
            while bench.client.state() != state {
                bench.wait();
            }
        }
    }
    while bench.client.poll_action().is_some() {}
    assert_eq!(bench.client.state(), state);
    bench
}

/// Everything but the counters.
fn snapshot(bench: &Bench) -> (DhcpState, Assignment, Option<Duration>, u32) {
    let client = &bench.client;
    (
        client.state(),
        client.assignment().clone(),
        client.next_timeout(),
        client.xid,
    )
}

#[track_caller]
fn assert_nothing_happens(bench: &mut Bench, packet: &[u8]) {
    let before = snapshot(bench);
    bench.client.handle_packet(bench.now, packet);
    assert_eq!(bench.client.poll_action(), None);
    assert_eq!(snapshot(bench), before);
}

#[test]
fn what_is_cut_off_anywhere_has_no_effect() {
    for state in STATES {
        let mut bench = in_state(state);
        let xid = bench.xid();
        for kind in [MessageType::Offer, MessageType::Ack, MessageType::Nak] {
            let whole = Answer::new(kind, xid, ADDRESS, 600).packet();
            for octets in 0..whole.len() {
                assert_nothing_happens(&mut bench, &whole[..octets]);
            }
        }
        let malformed = bench.client.counters().malformed;
        assert!(malformed > 700, "{malformed}");
    }
}

#[test]
fn a_payload_that_is_cut_off_does_not_panic() {
    for state in STATES {
        let xid = in_state(state).xid();
        let answer = Answer::new(MessageType::Ack, xid, ADDRESS, 600);
        let payload = answer.message.to_vec().unwrap();
        for octets in 0..payload.len() {
            let mut bench = in_state(state);
            let packet = packet(&payload[..octets]);
            bench.client.handle_packet(bench.now, &packet);
        }
    }
}

proptest! {
    #[test]
    fn junk_changes_nothing(
        state in proptest::sample::select(&STATES[..]),
        junk in proptest::collection::vec(any::<u8>(), 0..700),
    ) {
        let mut bench = in_state(state);
        assert_nothing_happens(&mut bench, &junk);
        assert_nothing_happens(&mut bench, &packet(&junk));
    }

    /// Everything is right but the transaction.
    #[test]
    fn whoever_does_not_know_the_transaction_is_not_heard(
        state in proptest::sample::select(&STATES[..]),
        kind in proptest::sample::select(&[MessageType::Offer, MessageType::Ack, MessageType::Nak][..]),
        guess in any::<u32>(),
    ) {
        let mut bench = in_state(state);
        prop_assume!(guess != bench.xid());
        let before = bench.client.counters().other_transaction;
        let answer = Answer::new(kind, guess, OTHER_ADDRESS, 600);
        assert_nothing_happens(&mut bench, &answer.packet());
        prop_assert_eq!(bench.client.counters().other_transaction, before + 1);
    }

    /// One octet was damaged on the way; not the checksum itself, where 0 says that there is none.
    #[test]
    fn a_damaged_answer_is_not_heard(
        state in proptest::sample::select(&STATES[..]),
        kind in proptest::sample::select(&[MessageType::Offer, MessageType::Ack, MessageType::Nak][..]),
        at in any::<proptest::sample::Index>(),
        flip in 1_u8..,
    ) {
        let mut bench = in_state(state);
        let mut packet = Answer::new(kind, bench.xid(), OTHER_ADDRESS, 600).packet();
        let at = at.index(packet.len());
        prop_assume!(!(26..28).contains(&at));
        packet[at] ^= flip;
        assert_nothing_happens(&mut bench, &packet);
    }

    /// Options of any contents, in a message of the right transaction: it may change much, but never to nonsense.
    #[test]
    fn any_options_make_a_usable_lease_or_none(
        state in proptest::sample::select(&STATES[..]),
        kind in proptest::sample::select(&[2_u8, 5, 6][..]),
        address in any::<[u8; 4]>(),
        options in proptest::collection::vec(
            (
                proptest::sample::select(&[1_u8, 3, 6, 26, 51, 52, 54, 58, 59, 61, 80, 121][..]),
                proptest::collection::vec(any::<u8>(), 0..12),
            ),
            0..12,
        ),
    ) {
        let mut bench = in_state(state);
        let answer = Answer::new(MessageType::Ack, bench.xid(), address.into(), 600);
        let mut payload = answer.message.to_vec().unwrap();
        payload.truncate(240);
        payload.extend([53, 1, kind, 54, 4, 100, 64, 0, 1, 1, 4, 255, 255, 255, 0, 51, 4, 0, 0, 2, 88]);
        for (code, octets) in options {
            payload.extend([code, octets.len() as u8]);
            payload.extend(octets);
        }
        bench.client.handle_packet(bench.now, &packet(&payload));
        while bench.client.poll_action().is_some() {}
        let assignment = bench.client.assignment().clone();
        if let Some(held) = bench.held() {
            let length = assignment.addresses[0].prefix_length;
            prop_assert!(message::is_unicast(held) && (1..=32).contains(&length));
            prop_assert!(assignment.addresses[0].valid_until > Some(bench.now));
        } else {
            prop_assert_eq!(&assignment, &Assignment::default());
        }
        prop_assert!(assignment.mtu.is_none_or(|mtu| mtu >= 576));
        for router in assignment.routers {
            prop_assert!(Some(router.address) != bench.held().map(Into::into));
        }
    }
}
