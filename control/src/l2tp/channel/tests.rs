use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const NOW: Duration = Duration::from_secs(100);
const DELAY: Duration = Duration::from_millis(50);

fn channel() -> Channel {
    Channel::new(Retransmission::default(), 16)
}

/// A channel whose next number each way is `first`.
fn channel_at(first: u16) -> Channel {
    Channel {
        oldest: first,
        expected: first,
        ..channel()
    }
}

fn packet(octet: u8) -> Packet {
    Packet {
        session_id: u16::from(octet),
        body: vec![octet],
    }
}

fn zlb() -> Packet {
    Packet {
        session_id: 0,
        body: Vec::new(),
    }
}

/// Ns of everything that may be sent now.
fn sent(channel: &mut Channel, now: Duration) -> Vec<u16> {
    let transmissions = core::iter::from_fn(|| channel.poll_transmit(now));
    transmissions.map(|transmission| transmission.ns).collect()
}

fn delivered(channel: &mut Channel) -> Vec<u8> {
    core::iter::from_fn(|| channel.deliver())
        .map(|packet| packet.body[0])
        .collect()
}

fn secs(now: Duration) -> u64 {
    (now - NOW).as_secs()
}

#[test]
fn retransmissions_come_after_1_2_4_8_8_s_and_the_peer_is_dead_after_31() {
    let mut channel = channel();
    channel.send(packet(1));
    assert_eq!(sent(&mut channel, NOW), [0]);
    let mut at = Vec::new();
    let died = loop {
        let now = channel.next_timeout().unwrap();
        assert_eq!(
            channel.handle_timeout(now - Duration::from_nanos(1)),
            Ok(())
        );
        assert_eq!(
            channel.poll_transmit(now - Duration::from_nanos(1)),
            None,
            "too early"
        );
        if channel.handle_timeout(now) == Err(PeerDead) {
            break now;
        }
        assert_eq!(sent(&mut channel, now), [0]);
        at.push(secs(now));
    };
    assert_eq!(at, [1, 3, 7, 15, 23]);
    assert_eq!(secs(died), 31);
    assert_eq!(Retransmission::default().cycle(), Duration::from_secs(31));
}

#[test]
fn an_acknowledgement_starts_the_next_packet_at_one_second_again() {
    let mut channel = channel();
    channel.send(packet(1));
    channel.send(packet(2));
    assert_eq!(sent(&mut channel, NOW), [0], "slow start: one packet");
    let now = NOW + Duration::from_secs(1);
    channel.handle_timeout(now).unwrap();
    assert_eq!(sent(&mut channel, now), [0]);
    assert_eq!(channel.receive(now, 0, 1, zlb()), Arrival::Zlb);
    assert_eq!(sent(&mut channel, now), [1]);
    assert_eq!(channel.next_timeout(), Some(now + Duration::from_secs(1)));
    channel.receive(now, 0, 2, zlb());
    assert!(channel.is_idle());
    assert_eq!(channel.next_timeout(), None);
}

#[test]
fn the_window_opens_packet_by_packet_and_collapses_on_a_timeout() {
    let mut channel = channel();
    channel.set_peer_window(8);
    for octet in 0..30 {
        channel.send(packet(octet));
    }
    assert_eq!(sent(&mut channel, NOW), [0]);
    channel.receive(NOW, 0, 1, zlb());
    assert_eq!(sent(&mut channel, NOW), [1, 2], "CWND 2");
    channel.receive(NOW, 0, 3, zlb());
    assert_eq!(sent(&mut channel, NOW), [3, 4, 5, 6], "CWND 4");
    channel.receive(NOW, 0, 7, zlb());
    assert_eq!(
        sent(&mut channel, NOW),
        (7..15).collect::<Vec<_>>(),
        "CWND 8"
    );
    channel.receive(NOW, 0, 15, zlb());
    assert_eq!(
        sent(&mut channel, NOW).len(),
        8,
        "never over the peer's window"
    );
    let now = NOW + Duration::from_secs(1);
    channel.handle_timeout(now).unwrap();
    assert_eq!(sent(&mut channel, now), [15], "CWND 1");
    // SSTHRESH is 4: slow start up to there, then one more per window.
    channel.receive(now, 0, 16, zlb());
    assert_eq!(sent(&mut channel, now), [16, 17]);
    channel.receive(now, 0, 18, zlb());
    assert_eq!(sent(&mut channel, now), [18, 19, 20, 21]);
    channel.receive(now, 0, 20, zlb());
    assert_eq!(
        sent(&mut channel, now),
        [22, 23],
        "congestion avoidance: still 4"
    );
    channel.receive(now, 0, 22, zlb());
    assert_eq!(
        sent(&mut channel, now),
        [24, 25, 26],
        "a window was acknowledged: 5"
    );
}

#[test]
fn a_peer_that_names_no_window_gets_four() {
    let mut channel = channel();
    for octet in 0..20 {
        channel.send(packet(octet));
    }
    for nr in 1..9 {
        assert!(sent(&mut channel, NOW).len() <= 4);
        channel.receive(NOW, 0, nr, zlb());
    }
    let on_the_way = channel.in_flight;
    assert_eq!(
        on_the_way + sent(&mut channel, NOW).len(),
        4,
        "and may use all of it"
    );
}

#[test]
fn an_acknowledgement_waits_a_little_and_rides_on_a_packet() {
    let mut channel = channel();
    assert_eq!(channel.receive(NOW, 0, 0, packet(1)), Arrival::New);
    assert_eq!(channel.poll_transmit(NOW), None);
    assert_eq!(channel.next_timeout(), Some(NOW + DELAY));
    channel.send(packet(9));
    let riding = channel.poll_transmit(NOW).unwrap();
    assert_eq!((riding.ns, riding.nr), (0, 1));
    assert_eq!(
        channel.poll_transmit(NOW + DELAY),
        None,
        "acknowledged already"
    );

    channel.receive(NOW, 1, 1, packet(2));
    let zlb = channel.poll_transmit(NOW + DELAY).unwrap();
    let expected = Transmission {
        session_id: 0,
        ns: 1,
        nr: 2,
        body: Vec::new(),
    };
    assert_eq!(zlb, expected, "a ZLB carries the next Ns");
    assert_eq!(channel.next_ns(), 1, "and does not use it up");
}

#[test]
fn a_zlb_is_never_acknowledged() {
    let mut channel = channel();
    channel.receive(NOW, 0, 0, zlb());
    channel.receive(NOW, 5, 0, zlb());
    assert_eq!(channel.next_timeout(), None);
    assert_eq!(channel.nr(), 0);
}

#[test]
fn a_duplicate_is_acknowledged_again_at_once_and_not_delivered() {
    let mut channel = channel();
    channel.receive(NOW, 0, 0, packet(1));
    assert_eq!(sent(&mut channel, NOW + DELAY).len(), 1);
    assert_eq!(delivered(&mut channel), [1]);
    assert_eq!(
        channel.receive(NOW + DELAY, 0, 0, packet(1)),
        Arrival::Duplicate
    );
    assert!(delivered(&mut channel).is_empty());
    let again = channel.poll_transmit(NOW + DELAY).unwrap();
    assert_eq!((again.nr, again.body.len()), (1, 0));
}

#[test]
fn after_15_the_numbers_0_to_15_and_32784_to_65535_are_old() {
    // The example of RFC 2661 section 5.8.
    for ns in 0..=u16::MAX {
        let mut channel = Channel {
            expected: 16,
            ..channel()
        };
        let old = channel.receive(NOW, ns, 0, packet(1)) == Arrival::Duplicate;
        assert_eq!(old, ns <= 15 || ns >= 32784, "Ns {ns}");
    }
}

#[test]
fn packets_ahead_are_kept_within_the_window_and_delivered_in_order() {
    let mut channel = channel();
    for ns in [3, 1, 15, 2, 2] {
        assert_eq!(channel.receive(NOW, ns, 0, packet(ns as u8)), Arrival::New);
    }
    assert_eq!(channel.receive(NOW, 16, 0, packet(16)), Arrival::Outside);
    assert!(delivered(&mut channel).is_empty());
    channel.receive(NOW, 0, 0, packet(0));
    assert_eq!(delivered(&mut channel), [0, 1, 2, 3]);
    assert_eq!(channel.nr(), 4);
    assert_eq!(channel.receive(NOW, 3, 0, packet(3)), Arrival::Duplicate);
    for ns in 4..15 {
        channel.receive(NOW, ns, 0, packet(ns as u8));
    }
    assert_eq!(delivered(&mut channel), (4..=15).collect::<Vec<_>>());
    assert!(channel.early.is_empty());
}

#[test]
fn numbers_wrap_at_65535_both_ways() {
    let mut channel = channel_at(65534);
    for (ns, octet) in [(0, 2), (65535, 1), (65534, 0), (1, 3)] {
        channel.receive(NOW, ns, 65534, packet(octet));
    }
    assert_eq!(delivered(&mut channel), [0, 1, 2, 3]);
    assert_eq!(channel.nr(), 2);
    assert_eq!(
        channel.receive(NOW, 65535, 65534, packet(1)),
        Arrival::Duplicate
    );

    channel.set_peer_window(8);
    for octet in 0..6 {
        channel.send(packet(octet));
    }
    assert_eq!(sent(&mut channel, NOW), [65534]);
    channel.receive(NOW, 2, 65535, zlb());
    assert_eq!(sent(&mut channel, NOW), [65535, 0]);
    channel.receive(NOW, 2, 1, zlb());
    assert_eq!(sent(&mut channel, NOW), [1, 2, 3]);
    channel.receive(NOW, 2, 4, zlb());
    assert!(channel.is_idle());
    assert_eq!(channel.next_ns(), 4);
}

#[test]
fn an_nr_that_acknowledges_what_was_never_sent_says_nothing() {
    let mut channel = channel_at(65535);
    channel.send(packet(1));
    channel.send(packet(2));
    assert_eq!(sent(&mut channel, NOW), [65535]);
    for nr in [65535, 1, 2, 100, 32768, 65534] {
        channel.receive(NOW, 0, nr, zlb());
        assert_eq!(channel.outbox.len(), 2, "Nr {nr}");
    }
    channel.receive(NOW, 0, 0, zlb());
    assert_eq!(channel.outbox.len(), 1);
}

#[test]
fn nr_is_fresh_in_every_retransmission() {
    let mut channel = channel();
    channel.send(packet(1));
    assert_eq!(channel.poll_transmit(NOW).unwrap().nr, 0);
    channel.receive(NOW, 0, 0, packet(7));
    let now = NOW + Duration::from_secs(1);
    channel.handle_timeout(now).unwrap();
    let again = channel.poll_transmit(now).unwrap();
    assert_eq!((again.ns, again.nr), (0, 1));
}

#[test]
fn the_last_packet_goes_before_what_waits_and_past_the_congestion_window() {
    let mut channel = channel();
    channel.send(packet(1));
    channel.send(packet(2));
    channel.send(packet(3));
    assert_eq!(sent(&mut channel, NOW), [0]);
    channel.send_last(packet(99));
    let last = channel.poll_transmit(NOW).unwrap();
    assert_eq!((last.ns, last.body), (1, vec![99]));
    assert_eq!(channel.poll_transmit(NOW), None);
    assert_eq!(channel.outbox.len(), 2);
}

#[test]
fn after_abandoning_nothing_is_sent_but_acknowledgements() {
    let mut channel = channel();
    channel.send(packet(1));
    channel.send(packet(2));
    assert_eq!(sent(&mut channel, NOW), [0]);
    channel.receive(NOW, 0, 0, packet(7));
    channel.abandon();
    channel.hasten_ack(NOW);
    let ack = channel.poll_transmit(NOW).unwrap();
    assert_eq!((ack.ns, ack.nr, ack.body.len()), (1, 1, 0));
    assert_eq!(channel.next_timeout(), None);
}

/// Sends `count` packets each way over a network that loses `loss`, repeats a
/// tenth and reorders, starting at `first`; the time it took.
fn exchange(seed: u64, first: u16, count: usize, loss: f64) -> Duration {
    let mut rng = StdRng::seed_from_u64(seed);
    let patient = Retransmission {
        retries: 30,
        ..Retransmission::default()
    };
    let mut ends = [channel_at(first), channel_at(first)].map(|channel| Channel {
        retransmission: patient.clone(),
        ..channel
    });
    for end in &mut ends {
        end.set_peer_window(16);
        (0..count).for_each(|at| end.send(packet(at as u8)));
    }
    let mut network: BTreeMap<(Duration, u32), (usize, Transmission)> = BTreeMap::new();
    let (mut got, mut now, mut serial) = ([Vec::new(), Vec::new()], NOW, 0);
    while got.iter().any(|got| got.len() < count) || ends.iter().any(|end| !end.is_idle()) {
        for (from, end) in ends.iter_mut().enumerate() {
            end.handle_timeout(now)
                .unwrap_or_else(|_| panic!("seed {seed}: dead"));
            while let Some(transmission) = end.poll_transmit(now) {
                for _ in 0..=u8::from(rng.random_bool(0.1)) {
                    let at = now + Duration::from_millis(rng.random_range(1..300));
                    serial += 1;
                    if !rng.random_bool(loss) {
                        network.insert((at, serial), (1 - from, transmission.clone()));
                    }
                }
            }
        }
        let arrival = network.first_key_value().map(|((at, _), _)| *at);
        let timers = [ends[0].next_timeout(), ends[1].next_timeout(), arrival];
        let Some(next) = timers.into_iter().flatten().min() else {
            break;
        };
        now = now.max(next);
        while let Some(entry) = network.first_entry().filter(|entry| entry.key().0 <= now) {
            let (
                to,
                Transmission {
                    session_id,
                    ns,
                    nr,
                    body,
                },
            ) = entry.remove();
            ends[to].receive(now, ns, nr, Packet { session_id, body });
            got[to].extend(delivered(&mut ends[to]));
        }
    }
    let expected: Vec<u8> = (0..count).map(|at| at as u8).collect();
    assert_eq!(got, [expected.clone(), expected], "seed {seed}");
    now - NOW
}

#[test]
fn everything_arrives_once_and_in_order_over_a_network_that_loses_30_percent() {
    for seed in 0..40 {
        exchange(seed, 65500, 100, 0.3);
    }
}

#[test]
fn without_loss_a_hundred_packets_need_no_retransmission() {
    for seed in 0..10 {
        let took = exchange(seed, 0, 100, 0.0);
        assert!(took < Duration::from_secs(20), "seed {seed}: {took:?}");
    }
}
