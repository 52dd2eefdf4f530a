//! Packets leave in the order of their numbers where a set asks for it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use dataplane::command::{Command, Epoch, Ordering, SessionId, SetSpec};
use dataplane::counters::{Counter, Drop, OrderingCounters};
use dataplane::window::Window;

use crate::pieces::large;
use crate::rig::*;

const MAX_DELAY_US: u32 = 30_000;
const MS: u64 = TSC_HZ / 1000;

fn ordered(rig: &Rig) -> SetSpec {
    SetSpec {
        ordering: Some(Ordering {
            max_delay_us: MAX_DELAY_US,
            adaptive: true,
        }),
        ..rig.set_spec()
    }
}

fn set_to(spec: SetSpec) -> Command {
    Command::SetSet(Arc::new(spec))
}

fn set(rig: &mut Rig, spec: SetSpec) {
    rig.command(set_to(spec));
    rig.poll();
}

/// One of which nothing came, number 99.
fn newer_epoch() -> Epoch {
    Epoch::new(99, Window::MIN_NUMBERS)
}

/// A rig whose set asks for order; its clock stands at some later moment.
fn ordering(workers: usize) -> Rig {
    let mut rig = Rig::with(workers, 1024, 4096);
    rig.now = 10 * TSC_HZ;
    let spec = ordered(&rig);
    set(&mut rig, spec);
    rig
}

/// The packet that has this number.
fn packet(number: u64) -> Vec<u8> {
    inner(&number.to_be_bytes())
}

/// Copies of these numbers come over a link, to worker 0.
fn come(rig: &mut Rig, link: u16, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        rig.offer(link.into(), 0, &copy(link, number, &packet(number)));
    }
    rig.poll();
}

fn pass(rig: &mut Rig, ticks: u64) {
    rig.now += ticks;
    rig.poll();
}

/// The numbers of what came out of the LAN port, in order.
fn left(rig: &mut Rig) -> Vec<u64> {
    let frames = rig.received(0);
    let number = |frame: &Vec<u8>| {
        let payload = frame[42..50].try_into().expect("eight octets");
        let number = u64::from_be_bytes(payload);
        assert_eq!(frame, &delivered(&packet(number)));
        number
    };
    frames.iter().map(number).collect()
}

fn count(rig: &Rig, counter: fn(&OrderingCounters) -> &Counter) -> u64 {
    let of_set = rig.set.iter().map(|set| counter(&set.ordering).read());
    of_set.sum()
}

#[test]
fn a_copy_over_the_slower_link_takes_its_place() {
    let mut rig = ordering(1);
    come(&mut rig, 1, [0, 1, 3, 4, 6]);
    assert_eq!(left(&mut rig), [0, 1]);
    pass(&mut rig, 20 * MS);
    come(&mut rig, 2, 0..=7);
    assert_eq!(left(&mut rig), [2, 3, 4, 5, 6, 7]);
    assert_eq!(count(&rig, |it| &it.held_packets), 3);
    assert_eq!(count(&rig, |it| &it.released_packets), 3);
    assert_eq!(count(&rig, |it| &it.most_held_packets), 3);
    assert_eq!(count(&rig, |it| &it.held_us), 3 * 20_000);
    assert_eq!(count(&rig, |it| &it.timed_out_gaps), 0);
    assert_eq!(rig.all_drops(), rig.drops(2, Drop::Duplicate));
}

#[test]
fn without_being_asked_packets_leave_as_they_come() {
    let mut rig = Rig::new();
    come(&mut rig, 1, [0, 2, 1, 5]);
    assert_eq!(left(&mut rig), [0, 2, 1, 5]);
}

#[test]
fn a_gap_is_given_up_in_time_and_what_is_late_is_not_dropped() {
    let mut rig = ordering(1);
    come(&mut rig, 1, [0, 2, 3, 7]);
    pass(&mut rig, u64::from(MAX_DELAY_US) * 1000 - 1);
    assert_eq!(left(&mut rig), [0]);
    pass(&mut rig, 1);
    assert_eq!(left(&mut rig), [2, 3, 7]);
    come(&mut rig, 2, [1, 5, 8]);
    assert_eq!(left(&mut rig), [1, 5, 8]);
    assert_eq!(count(&rig, |it| &it.timed_out_gaps), 2);
    assert_eq!(count(&rig, |it| &it.late_packets), 2);
    assert_eq!(rig.all_drops(), 0);
}

#[test]
fn a_gap_is_waited_for_as_long_as_the_next_best_link_is_behind() {
    let mut rig = ordering(1);
    let skew_us = Arc::new(AtomicU64::new(8000));
    let spec = SetSpec {
        next_best_skew_us: Arc::clone(&skew_us),
        ..ordered(&rig)
    };
    set(&mut rig, spec);
    come(&mut rig, 1, [0, 2]);
    pass(&mut rig, 10 * MS - 1);
    assert_eq!(left(&mut rig), [0]);
    pass(&mut rig, 1);
    assert_eq!(left(&mut rig), [2]);
    // The figure is looked at while packets wait.
    come(&mut rig, 1, [4]);
    skew_us.store(16_000, std::sync::atomic::Ordering::Relaxed);
    pass(&mut rig, 19 * MS - 1);
    assert!(left(&mut rig).is_empty());
    pass(&mut rig, 1);
    assert_eq!(left(&mut rig), [4]);
}

#[test]
fn what_every_link_has_passed_is_not_waited_for() {
    let mut rig = ordering(2);
    come(&mut rig, 1, [0, 2]);
    come(&mut rig, 2, [0, 2]);
    pass(&mut rig, 5 * MS);
    assert_eq!(left(&mut rig), [0], "the third link may have it");
    // By the other worker.
    rig.offer(3, 1, &copy(3, 2, &packet(2)));
    rig.poll();
    pass(&mut rig, MS);
    pass(&mut rig, MS);
    assert_eq!(left(&mut rig), [2]);
    assert_eq!(count(&rig, |it| &it.passed_gaps), 1);
    // A link that is no member any more brings nothing.
    let spec = SetSpec {
        members: vec![SessionId(2)],
        ..ordered(&rig)
    };
    set(&mut rig, spec);
    come(&mut rig, 2, [4]);
    pass(&mut rig, MS);
    pass(&mut rig, MS);
    assert_eq!(left(&mut rig), [4]);
}

#[test]
fn packets_of_all_workers_leave_in_order() {
    for workers in [2, 3] {
        for owner in 0..workers {
            let mut rig = ordering(workers);
            let spec = SetSpec {
                owner,
                ..ordered(&rig)
            };
            set(&mut rig, spec);
            // A jumble of 60 numbers at a time, each over some links to some workers.
            come(&mut rig, 1, [0]);
            let mut seed = 7_u64;
            for round in 0..20 {
                let mut numbers: Vec<u64> = (1..=60).map(|at| round * 60 + at).collect();
                shuffle(&mut numbers, &mut seed);
                for number in numbers {
                    for link in 1..=1 + number as u16 % 3 {
                        let worker = (number as usize + usize::from(link)) % workers;
                        let frame = copy(link, number, &packet(number));
                        rig.offer(link.into(), worker, &frame);
                    }
                }
                pass(&mut rig, MS);
            }
            assert!(left(&mut rig).into_iter().eq(0..=1200), "owner {owner}");
            let duplicates: u64 = (1..=3).map(|port| rig.drops(port, Drop::Duplicate)).sum();
            assert_eq!(rig.all_drops(), duplicates);
        }
    }
}

fn shuffle(numbers: &mut [u64], seed: &mut u64) {
    for place in (1..numbers.len()).rev() {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        numbers.swap(place, (*seed >> 33) as usize % (place + 1));
    }
}

#[test]
fn packets_in_pieces_have_their_place() {
    for owner in 0..2 {
        let mut rig = ordering(2);
        let spec = SetSpec {
            owner,
            ..ordered(&rig)
        };
        set(&mut rig, spec);
        let big = large(1500, 1);
        let cut = pieces(1, PEER_EPOCH, 11, &big, 526);
        assert_eq!(cut.len(), 3);
        come(&mut rig, 1, [10, 14]);
        for (worker, message) in [(0, &cut[2]), (1, &cut[0])] {
            rig.offer(1, worker, &l2tp_frame(1, message));
        }
        rig.poll();
        assert_eq!(left(&mut rig), [10]);
        rig.offer(1, 1, &l2tp_frame(1, &cut[1]));
        rig.poll();
        let expected = [delivered(&big), delivered(&packet(14))];
        assert_eq!(rig.received(0), expected);
    }
}

#[test]
fn packets_leave_when_nobody_puts_them_into_order_any_more() {
    type Change = fn(&Rig) -> Command;
    let changes: [(&str, Change); 4] = [
        ("removed", |_| Command::RemoveSet(SET)),
        ("in no order any more", |rig| set_to(rig.set_spec())),
        ("another owner", |rig| {
            set_to(SetSpec {
                owner: 1,
                ..ordered(rig)
            })
        }),
        ("another epoch", |rig| {
            set_to(SetSpec {
                epochs: vec![newer_epoch()],
                ..ordered(rig)
            })
        }),
    ];
    for (name, change) in changes {
        let mut rig = ordering(2);
        come(&mut rig, 1, [0, 3, 5, 2]);
        assert_eq!(left(&mut rig), [0], "{name}");
        let command = change(&rig);
        rig.command(command);
        rig.poll();
        assert_eq!(left(&mut rig), [2, 3, 5], "{name}");
        assert_eq!(rig.all_drops(), 0, "{name}");
    }
}

#[test]
fn an_epoch_more_leaves_the_order_of_the_other_alone() {
    let mut rig = ordering(1);
    come(&mut rig, 1, [0, 2]);
    let mut spec = ordered(&rig);
    spec.epochs.insert(0, newer_epoch());
    set(&mut rig, spec);
    let message = ha_message(1, 99, 70, &ppp_ipv4(&packet(70)));
    rig.send(1, &l2tp_frame(1, &message));
    assert_eq!(left(&mut rig), [0, 70]);
    come(&mut rig, 2, [1]);
    assert_eq!(left(&mut rig), [1, 2]);
}

#[test]
fn a_link_that_leaves_takes_no_packet_with_it() {
    let mut rig = ordering(1);
    come(&mut rig, 1, [0, 2]);
    rig.command(Command::RemoveSession(SessionId(1)));
    rig.poll();
    come(&mut rig, 2, [1, 2, 3]);
    assert_eq!(left(&mut rig), [0, 1, 2, 3]);
}

#[test]
fn what_the_owner_has_no_room_for_leaves_out_of_order() {
    let mut rig = Rig::with(2, 1024, 65_536);
    rig.now = 10 * TSC_HZ;
    let spec = ordered(&rig);
    set(&mut rig, spec);
    // The owner, worker 0, does not run; its inbox has room for 512 bursts.
    let (mut sent, mut out) = (0_u64, Vec::new());
    for _ in 0..600 {
        for _ in 0..32 {
            rig.offer(1, 1, &copy(1, sent, &packet(sent)));
            sent += 1;
        }
        let now = rig.now;
        while rig.workers[1].poll_once(now) > 0 {}
        out.extend(left(&mut rig));
    }
    assert!(!out.is_empty(), "worker 1 delivers what is refused");
    for _ in 0..100 {
        let now = rig.now;
        rig.workers[0].poll_once(now);
        out.extend(left(&mut rig));
    }
    out.sort_unstable();
    assert!(out.into_iter().eq(0..sent), "each once");
    assert_eq!(rig.all_drops(), 0);
}

#[test]
fn a_gap_that_ends_floods_no_way_out() {
    // The LAN takes 127 frames; behind it is room for 1024.
    let mut rig = Rig::with(1, 64, 8192);
    rig.now = 10 * TSC_HZ;
    let spec = ordered(&rig);
    set(&mut rig, spec);
    for number in (0..1000).chain(1001..1400) {
        rig.offer(1, 0, &copy(1, number, &packet(number)));
        if number % 32 == 0 {
            let now = rig.now;
            rig.workers[0].poll_once(now);
        }
    }
    rig.poll();
    come(&mut rig, 2, [1000]);
    let mut out = left(&mut rig);
    assert_eq!(out.len(), 127);
    // New packets do not overtake those that wait for room.
    come(&mut rig, 2, [1400]);
    for _ in 0..100 {
        rig.poll();
        out.extend(left(&mut rig));
    }
    assert!(out.into_iter().eq(0..=1400));
    assert_eq!(rig.all_drops(), 0);
}
