//! Links that are slow, or that take nothing: their own copies suffer, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use dataplane::command::Command;
use dataplane::counters::Drop;
use dataplane::speed::SpeedLimit;
use dataplane::worker::HandOver;

use crate::rig::*;

fn to_far(octets: usize) -> Vec<u8> {
    frame(0, &udp(LAN_HOST, FAR_HOST, &vec![0; octets - 28]))
}

fn limit(rig: &mut Rig, link: u16, speed_bit_s: u64) {
    let mut spec = rig.session_spec(link);
    spec.speed = Some(Arc::new(SpeedLimit::new(speed_bit_s)));
    rig.command(Command::SetSession(Arc::new(spec)));
}

/// For a second, a packet each millisecond; how many came out of each link.
fn second_of(rig: &mut Rig, octets: usize, worker: impl Fn(u64) -> usize) -> [usize; 3] {
    let mut came = [0; 3];
    for ms in 0..1000 {
        rig.offer(0, worker(ms), &to_far(octets));
        rig.poll();
        rig.now += TSC_HZ / 1000;
        for (link, came) in came.iter_mut().enumerate() {
            *came += rig.received(link + 1).len();
        }
    }
    came
}

#[test]
fn what_is_above_a_links_speed_is_refused_there_and_nowhere_else() {
    for workers in [1, 2] {
        let mut rig = Rig::with(workers, 1024, 4096);
        // 1250 packets of 1000 octets with their 50 of headers.
        limit(&mut rig, 2, 8 * 1050 * 500);
        let [first, second, third] = second_of(&mut rig, 1000, |ms| ms as usize % workers);
        assert_eq!((first, third), (1000, 1000));
        // Half of the rate, and what the bucket held at first.
        assert!(
            (500..520).contains(&second),
            "{second} with {workers} workers"
        );
        let refused = 1000 - second as u64;
        assert_eq!(rig.drops(2, Drop::OverSpeed), refused);
        let counted = rig.sessions[1]
            .iter()
            .map(|it| it.over_speed_packets.read());
        assert_eq!(counted.sum::<u64>(), refused);
        assert_eq!(rig.all_drops(), refused, "nothing else was dropped");
        let dropped = rig.sessions[1]
            .iter()
            .map(|it| it.send_dropped_packets.read());
        assert_eq!(dropped.sum::<u64>(), 0);
    }
}

/// The last link is given the packets themselves.
#[test]
fn the_last_link_can_be_slow_too() {
    let mut rig = Rig::new();
    limit(&mut rig, 3, 8 * 1050 * 500);
    let [first, second, third] = second_of(&mut rig, 1000, |_| 0);
    assert_eq!((first, second), (1000, 1000));
    assert!((500..520).contains(&third), "{third}");
    assert_eq!(rig.drops(3, Drop::OverSpeed), 1000 - third as u64);
}

#[test]
fn small_packets_get_through_a_slow_link_that_is_flooded() {
    let mut rig = Rig::new();
    limit(&mut rig, 1, 1_000_000);
    let mut small = 0;
    for ms in 0..1000 {
        for _ in 0..4 {
            rig.offer(0, 0, &to_far(1400));
        }
        if ms % 20 == 0 {
            rig.offer(0, 0, &to_far(100));
        }
        rig.poll();
        rig.now += TSC_HZ / 1000;
        small += rig
            .received(1)
            .iter()
            .filter(|frame| frame.len() < 200)
            .count();
        (2..=3).for_each(|link| drop(rig.received(link)));
    }
    assert_eq!(small, 50);
}

/// Polls with a burst of packets each, one worker; what left on each link in
/// the same poll. A stalled link's wire is never emptied.
fn polls(stalled: Option<usize>, bursts: usize) -> (Rig, Vec<[usize; 3]>) {
    const BURST: usize = 32;
    let mut rig = Rig::with(1, 256, 8192);
    let mut left = Vec::new();
    for _ in 0..bursts {
        for _ in 0..BURST {
            rig.offer(0, 0, &to_far(200));
        }
        let now = rig.now;
        rig.workers[0].poll_once(now);
        left.push([1, 2, 3].map(|link| {
            if stalled == Some(link) {
                0
            } else {
                rig.received(link).len()
            }
        }));
    }
    (rig, left)
}

/// Whichever link stalls, and from the first frame that its queue refuses to
/// long after its ring is full: every other link's copies leave in the very
/// poll that their packets came in.
#[test]
fn a_stalled_link_costs_the_others_nothing() {
    // Wire and ring hold less than half of what is sent.
    let bursts = 100;
    let (_, unstalled) = polls(None, bursts);
    assert_eq!(unstalled, vec![[32; 3]; bursts]);
    for stalled in 1..=3 {
        let (mut rig, left) = polls(Some(stalled), bursts);
        let mut expected = [32; 3];
        expected[stalled - 1] = 0;
        assert_eq!(left, vec![expected; bursts], "link {stalled} stalled");
        let refused = rig.drops(stalled, Drop::TxRingFull);
        assert_eq!(rig.all_drops(), refused);
        let kept = (bursts * 32) as u64 - refused;
        let on_the_wire = rig.received(stalled).len() as u64;
        assert_eq!(kept, on_the_wire + 1024, "what the ring holds");
        assert_eq!(
            rig.sessions[stalled - 1][0].send_dropped_packets.read(),
            refused
        );
    }
}

/// The ring has less room than a burst when the worker looks, and may have more
/// a moment later.
#[test]
fn a_ring_that_another_thread_empties_at_any_moment_costs_only_what_is_refused() {
    const BURSTS: usize = 40_000;
    let ring = Arc::new(HandOver::new(1));
    let mut rig = Rig::handing_over(Arc::clone(&ring));
    let done = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&done);
    let sender = thread::spawn(move || {
        let mut sent = 0;
        loop {
            let last = ended.load(Ordering::Acquire);
            match ring.pop() {
                Some(burst) => sent += burst.len() as u64,
                None if last => return sent,
                None => std::hint::spin_loop(),
            }
        }
    });
    for _ in 0..BURSTS {
        for _ in 0..20 {
            rig.offer(0, 0, &to_far(60));
        }
        rig.poll();
    }
    done.store(true, Ordering::Release);
    let sent = sender.join().expect("the sender ends");
    let copies = 3 * 20 * BURSTS as u64;
    assert!(sent > copies / 100, "{sent} of {copies}");
    assert_eq!(
        sent + rig.all_drops(),
        copies,
        "each has a place to be counted in"
    );
}
