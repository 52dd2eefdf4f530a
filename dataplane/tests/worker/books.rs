//! What workers note of each copy for the control thread's books.

use std::sync::Arc;

use dataplane::arrivals::Arrivals;
use dataplane::command::{Command, Epoch, PortId};
use dataplane::skew::Histogram;
use dataplane::window::Window;

use crate::rig::*;

/// All numbers that a link's rings hold, over its workers.
fn noted(of_link: &[Arc<Arrivals>]) -> Vec<u64> {
    let end = of_link.iter().map(|it| it.end_group()).max().unwrap_or(0);
    let first = end.saturating_sub(Arrivals::GROUPS);
    let bits = |group| {
        let of_workers = of_link.iter().filter_map(|it| it.numbers(group));
        of_workers.fold(0, |all, bits| all | bits)
    };
    (first..end)
        .flat_map(|group| (0..32_u32).map(move |bit| (group, bit)))
        .filter(|&(group, bit)| bits(group) >> bit & 1 == 1)
        .map(|(group, bit)| group * 32 + u64::from(bit))
        .collect()
}

fn skew(of_link: &[Arc<Arrivals>]) -> Histogram {
    let mut total = Histogram::default();
    of_link.iter().for_each(|it| it.skew.add_to(&mut total));
    total
}

fn repeated(of_link: &[Arc<Arrivals>]) -> u64 {
    of_link.iter().map(|it| it.repeated()).sum()
}

#[test]
fn each_link_has_its_own_numbers_whichever_copy_was_first() {
    let mut rig = Rig::new();
    let arrives = |link: u64, number: u64| !(number + link).is_multiple_of(5);
    for number in 1000..1500 {
        for link in 1..=3 {
            if arrives(link, number) {
                let packet = copy(link as u16, number, &inner(b"x"));
                rig.send(link as usize, &packet);
            }
        }
        rig.received(0);
    }
    for link in 1..=3_u64 {
        let expected: Vec<u64> = (1000..1500).filter(|&it| arrives(link, it)).collect();
        assert_eq!(noted(&rig.arrivals[link as usize - 1]), expected);
    }
}

#[test]
fn what_the_network_doubled_is_noted_once_and_counted() {
    let mut rig = Rig::with(2, 1024, 4096);
    for number in 0..100 {
        for worker in [0, 0, 0, 1] {
            rig.offer(1, worker, &copy(1, number, &inner(b"x")));
        }
        rig.poll();
        rig.received(0);
    }
    let arrivals = &rig.arrivals[0];
    assert_eq!(noted(arrivals), (0..100).collect::<Vec<_>>());
    assert_eq!(
        repeated(arrivals),
        200,
        "the other worker's is found by the reader"
    );
    assert_eq!(arrivals[1].numbers(0), Some(u32::MAX));
}

#[test]
fn the_rings_of_two_workers_hold_together_what_came() {
    let mut rig = Rig::with(2, 1024, 4096);
    for number in 0..1000 {
        let worker = usize::from(number % 3 == 0);
        rig.offer(1, worker, &copy(1, number, &inner(b"x")));
        rig.poll();
        rig.received(0);
    }
    assert_eq!(noted(&rig.arrivals[0]), (0..1000).collect::<Vec<_>>());
    assert_eq!(noted(&rig.arrivals[0][1..]).len(), 334);
    assert_eq!(repeated(&rig.arrivals[0]), 0);
}

#[test]
fn what_is_too_late_or_of_another_epoch_is_not_noted() {
    let mut rig = Rig::new();
    let mut spec = rig.set_spec();
    spec.epochs.insert(0, Epoch::new(9, Window::MIN_NUMBERS));
    rig.command(Command::SetSet(Arc::new(spec)));
    rig.send(1, &copy(1, 200_000, &inner(b"x")));
    rig.send(2, &copy(2, 200_000 - Window::MIN_NUMBERS, &inner(b"x")));
    rig.send(
        1,
        &l2tp_frame(1, &ha_message(1, 9, 200_001, &ppp_ipv4(&inner(b"x")))),
    );
    assert_eq!(rig.received(0).len(), 2);
    assert_eq!(noted(&rig.arrivals[0]), [200_000]);
    assert!(noted(&rig.arrivals[1]).is_empty());
}

#[test]
fn later_copies_of_sampled_numbers_are_measured_on_any_worker() {
    let mut rig = Rig::with(2, 1024, 4096);
    let ms = TSC_HZ / 1000;
    for number in 0..320 {
        rig.offer(1, 0, &copy(1, number, &inner(b"x")));
        rig.poll();
        rig.now += 10 * ms;
        rig.offer(2, 1, &copy(2, number, &inner(b"x")));
        rig.poll();
        rig.now += 20 * ms;
        rig.offer(3, 0, &copy(3, number, &inner(b"x")));
        rig.poll();
        rig.now += ms;
        rig.received(0);
    }
    let [first, second, third] = [0, 1, 2].map(|link| skew(&rig.arrivals[link]));
    assert_eq!([&first, &second, &third].map(Histogram::count), [10; 3]);
    assert_eq!((first.min_ns(), first.p99_ns()), (Some(0), Some(0)));
    for (skew, expected) in [(second, 10_000_000), (third, 30_000_000)] {
        let near = |ns: Option<u64>| ns.is_some_and(|ns| ns.abs_diff(expected) <= expected / 16);
        assert!(
            near(skew.min_ns()) && near(skew.mean_ns()) && near(skew.p99_ns()),
            "{skew:?}"
        );
    }
}

#[test]
fn a_copy_whose_first_time_is_forgotten_is_a_missed_sample() {
    let mut rig = Rig::new();
    let mut spec = rig.set_spec();
    // A window that outlasts the times.
    spec.epochs[0].window = Window::new(4 * Window::MIN_NUMBERS);
    rig.command(Command::SetSet(Arc::new(spec)));
    rig.send(1, &copy(1, 32, &inner(b"x")));
    rig.send(1, &copy(1, 32 + 65_536, &inner(b"x")));
    rig.send(2, &copy(2, 32, &inner(b"x")));
    let second = &rig.arrivals[1][0].skew;
    assert_eq!(second.missed(), 1);
    assert_eq!(skew(&rig.arrivals[1]).count(), 0);
}

/// What a member is not given is its sender's doing, and known as that.
#[test]
fn a_member_without_a_way_is_counted_as_not_sent_to() {
    let mut rig = Rig::new();
    let port = PortId(2);
    rig.command(Command::SetPortLink { port, up: false });
    for _ in 0..40 {
        rig.offer(0, 0, &frame(0, &udp(LAN_HOST, FAR_HOST, b"x")));
    }
    rig.poll();
    let told = [0, 1, 2].map(|link| {
        let counters = &rig.sessions[link][0];
        let sent = counters.sent_packets.read();
        (sent, counters.send_dropped_packets.read())
    });
    assert_eq!(told, [(40, 0), (0, 40), (40, 0)]);
}
