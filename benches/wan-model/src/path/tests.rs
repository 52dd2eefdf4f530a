use super::*;

const SEED: u64 = 0x6861_6c32_7470;

fn path(words: &str) -> Path {
    Path::new(words.parse().unwrap(), SEED)
}

/// Offers `count` numbered frames of 200 octets, one every `gap`, and gives back when which came out.
fn run(path: &mut Path, count: u64, gap: Duration) -> Vec<(Duration, Vec<u8>)> {
    let mut out = Vec::new();
    for number in 0..count {
        let now = gap * number as u32;
        collect(path, now, &mut out);
        path.offer(now, frame(number));
    }
    while let Some(due) = path.next_due() {
        collect(path, due, &mut out);
    }
    out
}

fn collect(path: &mut Path, now: Duration, out: &mut Vec<(Duration, Vec<u8>)>) {
    while let Some(due) = path.next_due().filter(|due| *due <= now) {
        match path.take_due(due) {
            Some(frame) => out.push((due, frame)),
            None => break,
        }
    }
}

fn frame(number: u64) -> Vec<u8> {
    let mut frame = vec![0x5a; 200];
    frame[..8].copy_from_slice(&number.to_be_bytes());
    frame
}

fn number(frame: &[u8]) -> u64 {
    u64::from_be_bytes(frame[..8].try_into().unwrap())
}

const GAP: Duration = Duration::from_micros(200);

fn assert_share(seen: u64, of: u64, expected: f64) {
    let deviation = (of as f64 * expected * (1.0 - expected)).sqrt();
    let error = (seen as f64 - of as f64 * expected).abs();
    assert!(
        error < 4.0 * deviation,
        "{seen} of {of}, expected {expected}, seed {SEED:#x}"
    );
}

#[test]
fn a_perfect_wire_passes_everything_at_once_and_in_order() {
    let mut path = path("");
    let out = run(&mut path, 10_000, GAP);
    assert_eq!(out.len(), 10_000);
    for (expected, (due, frame)) in (0..).zip(&out) {
        assert_eq!(number(frame), expected);
        assert_eq!(*due, GAP * expected as u32);
        assert_eq!(frame[8..], [0x5a; 192]);
    }
}

#[test]
fn nothing_comes_out_before_its_delay() {
    let mut path = path("delay=20ms");
    path.offer(Duration::ZERO, frame(1));
    assert_eq!(path.next_due(), Some(Duration::from_millis(20)));
    assert_eq!(path.take_due(Duration::from_micros(19_999)), None);
    assert_eq!(path.take_due(Duration::from_millis(20)), Some(frame(1)));
    assert_eq!(path.next_due(), None);
}

#[test]
fn jitter_stays_within_its_bounds_keeps_the_mean_and_the_order() {
    for words in ["delay=20ms jitter=5ms", "delay=60ms jitter=50us"] {
        let mut path = path(words);
        let (delay, jitter) = (path.settings().delay, path.settings().jitter);
        let out = run(&mut path, 200_000, GAP);
        let mut sum = 0.0;
        let (mut least, mut most) = (Duration::MAX, Duration::ZERO);
        for (expected, (due, frame)) in (0..).zip(&out) {
            assert_eq!(number(frame), expected, "order, seed {SEED:#x}");
            let travel = *due - GAP * expected as u32;
            least = least.min(travel);
            most = most.max(travel);
            sum += travel.as_secs_f64();
        }
        let slack = Duration::from_nanos(100);
        assert!(least + slack >= delay - jitter && most <= delay + jitter + slack);
        assert!(
            most - least > jitter,
            "it really varies: {least:?} {most:?}"
        );
        let mean = sum / out.len() as f64;
        let error = (mean - delay.as_secs_f64()).abs();
        assert!(
            error < 0.05 * jitter.as_secs_f64(),
            "mean {mean}, seed {SEED:#x}"
        );
    }
}

#[test]
fn a_shorter_delay_does_not_reorder() {
    let mut path = path("delay=60ms");
    path.offer(Duration::ZERO, frame(0));
    path.set("delay=5ms".parse().unwrap());
    path.offer(GAP, frame(1));
    let late = Duration::from_millis(60);
    assert_eq!(path.take_due(late), Some(frame(0)));
    assert_eq!(path.take_due(late), Some(frame(1)));
}

#[test]
fn independent_loss_has_its_share_and_no_memory() {
    let mut path = path("loss=5%");
    let out = run(&mut path, 100_000, GAP);
    let lost = path.counters().lost;
    assert_eq!(out.len() as u64 + lost, 100_000);
    assert_share(lost, 100_000, 0.05);
    let pairs = adjacent_losses(&out, 100_000);
    assert_share(pairs, lost, 0.05);
}

/// How many lost frames were followed by another lost one.
fn adjacent_losses(out: &[(Duration, Vec<u8>)], count: usize) -> u64 {
    let mut arrived = vec![false; count];
    for (_, frame) in out {
        arrived[number(frame) as usize] = true;
    }
    arrived.windows(2).filter(|two| !two[0] && !two[1]).count() as u64
}

#[test]
fn bursty_loss_has_its_share_and_its_burst_length() {
    let mut path = path("burst-loss=5% burst-length=10");
    let out = run(&mut path, 1_000_000, Duration::from_micros(1));
    let lost = path.counters().lost;
    let share = lost as f64 / 1e6;
    assert!((0.045..0.055).contains(&share), "{share}, seed {SEED:#x}");
    let bursts = lost - adjacent_losses(&out, 1_000_000);
    let length = lost as f64 / bursts as f64;
    assert!((9.0..11.0).contains(&length), "{length}, seed {SEED:#x}");
}

#[test]
fn a_thin_burst_loses_only_part_of_its_frames() {
    let mut path = path("burst-loss=5% burst-length=10 burst-density=50%");
    run(&mut path, 1_000_000, Duration::from_micros(1));
    let share = path.counters().lost as f64 / 1e6;
    assert!((0.045..0.055).contains(&share), "{share}, seed {SEED:#x}");
}

#[test]
fn duplicates_follow_their_original_and_are_whole() {
    let mut path = path("duplicate=10% delay=3ms");
    let out = run(&mut path, 50_000, GAP);
    let made = path.counters().duplicated;
    assert_eq!(out.len() as u64, 50_000 + made);
    assert_share(made, 50_000, 0.1);
    let twins = out.windows(2).filter(|two| two[0] == two[1]).count() as u64;
    assert_eq!(twins, made);
}

#[test]
fn reordering_happens_only_when_asked_and_is_bounded() {
    let mut path = path("delay=10ms jitter=2ms reorder=5% reorder-by=4ms");
    let out = run(&mut path, 50_000, GAP);
    assert_eq!(out.len(), 50_000);
    assert_share(path.counters().reordered, 50_000, 0.05);
    let overtaken = out
        .windows(2)
        .filter(|two| number(&two[0].1) > number(&two[1].1));
    assert!(overtaken.count() > 1000);
    for (due, frame) in &out {
        let travel = *due - GAP * number(frame) as u32;
        assert!(travel <= Duration::from_micros(16_001), "{travel:?}");
    }
}

#[test]
fn corruption_flips_one_bit_behind_the_chosen_octet() {
    let mut path = path("corrupt=20% corrupt-from=42");
    let out = run(&mut path, 20_000, GAP);
    let mut damaged = 0;
    for (expected, (_, got)) in (0..).zip(&out) {
        let whole = frame(expected);
        let flipped: u32 = got
            .iter()
            .zip(&whole)
            .map(|(a, b)| (a ^ b).count_ones())
            .sum();
        assert!(flipped <= 1);
        assert_eq!(got[..42], whole[..42]);
        damaged += u64::from(flipped);
    }
    assert_eq!(damaged, path.counters().corrupted);
    assert_share(damaged, 20_000, 0.2);
}

#[test]
fn a_frame_too_short_to_damage_passes_whole() {
    let mut path = path("corrupt=100% corrupt-from=200");
    let out = run(&mut path, 3, GAP);
    assert_eq!(out[2].1, frame(2));
    assert_eq!(path.counters().corrupted, 0);
}

#[test]
fn rate_spaces_frames_and_its_queue_is_bounded() {
    // 200 octets at 1.6 Mbit/s take 1 ms; 10 frames fit the queue.
    let mut path = path("rate=1600kbit queue=2000");
    for number in 0..100 {
        path.offer(Duration::ZERO, frame(number));
    }
    let mut out = Vec::new();
    collect(&mut path, Duration::from_secs(1), &mut out);
    let times: Vec<u128> = out.iter().map(|(due, _)| due.as_micros()).collect();
    assert_eq!(times, (1..=10).map(|n| n * 1000).collect::<Vec<_>>());
    assert_eq!(path.counters().queue_drops, 90);
    // Once it has drained, frames fit again.
    path.offer(Duration::from_millis(10), frame(100));
    assert_eq!(path.next_due(), Some(Duration::from_millis(11)));
}

#[test]
fn a_queue_smaller_than_a_frame_still_passes_one_at_a_time() {
    let mut path = path("rate=1600kbit queue=0");
    path.offer(Duration::ZERO, frame(0));
    path.offer(Duration::ZERO, frame(1));
    path.offer(Duration::from_millis(1), frame(2));
    assert_eq!(path.in_flight(), 2);
    assert_eq!(path.counters().queue_drops, 1);
}

#[test]
fn an_outage_swallows_what_arrives_and_what_is_on_the_way() {
    let mut path = path("delay=10ms");
    let at = Duration::from_millis;
    path.offer(at(0), frame(0)); // due during the outage
    path.offer(at(8), frame(1)); // due after it
    let whole = path.settings().clone();
    path.set(Impairments {
        outage: true,
        ..whole.clone()
    });
    path.offer(at(9), frame(2));
    assert_eq!(path.take_due(at(12)), None);
    path.set(whole);
    path.offer(at(15), frame(3));
    assert_eq!(path.take_due(at(18)), Some(frame(1)));
    assert_eq!(path.take_due(at(25)), Some(frame(3)));
    assert_eq!(path.counters().outage_drops, 2);
}

#[test]
fn a_stall_holds_everything_back_and_loses_nothing() {
    let mut path = path("delay=20ms");
    let ms = Duration::from_millis;
    path.offer(ms(0), frame(0));
    path.set("delay=20ms stall=on".parse().unwrap());
    path.offer(ms(10), frame(1));
    assert_eq!(path.next_due(), None);
    assert!(path.take_due(ms(500)).is_none());
    assert_eq!((path.in_flight(), path.counters().forwarded), (2, 0));
    path.set("delay=20ms".parse().unwrap());
    path.offer(ms(495), frame(2));
    let out = std::iter::from_fn(|| path.take_due(ms(500)));
    let out: Vec<u64> = out.map(|frame| number(&frame)).collect();
    assert_eq!(out, [0, 1]);
    assert_eq!(path.next_due(), Some(ms(515)));
}

#[test]
fn packets_larger_than_the_mtu_are_dropped() {
    let mut path = path("mtu=1400");
    for (octets, passes) in [(1414, true), (1415, false)] {
        path.offer(Duration::ZERO, vec![0; octets]);
        assert_eq!(path.take_due(Duration::ZERO).is_some(), passes, "{octets}");
    }
    assert_eq!(path.counters().oversized_drops, 1);
}

#[test]
fn the_same_seed_gives_the_same_result_and_another_seed_another() {
    let words = "delay=20ms jitter=5ms loss=3% burst-loss=2% reorder=2% duplicate=1% corrupt=1% rate=5mbit queue=20k";
    let settings: Impairments = words.parse().unwrap();
    let mut results = [SEED, SEED, SEED + 1].map(|seed| {
        let mut path = Path::new(settings.clone(), seed);
        let out = run(&mut path, 20_000, GAP);
        (out, path.counters())
    });
    assert!(results[0] == results[1]);
    assert!(results[1] != results[2]);
    let (_, counters) = &mut results[0];
    let out = counters.forwarded + counters.lost + counters.queue_drops + counters.outage_drops;
    assert_eq!(counters.received + counters.duplicated, out);
    assert!(counters.queue_drops > 0 && counters.lost > 0);
}

#[test]
fn the_number_of_frames_on_the_way_is_bounded() {
    let mut path = path("delay=60s");
    for _ in 0..MAX_IN_FLIGHT + 5 {
        path.offer(Duration::ZERO, Vec::new());
    }
    assert_eq!(path.in_flight(), MAX_IN_FLIGHT);
    assert_eq!(path.counters().queue_drops, 5);
}

/// LCP and control messages pass a link that loses the copies, and the copies' books are their own.
#[test]
fn a_link_can_lose_the_ha_frames_alone() {
    use crate::ha_frame::tests::{DATA, REPORT, frame};
    for (setting, passing, data_lost) in [
        ("off", 3, 0),
        ("data", 2, 1),
        ("on", 1, 1),
        ("others", 2, 0),
    ] {
        let mut path = path(&format!("ha-outage={setting} duplicate=100%"));
        for message in [&DATA[..], &REPORT, &[0x00, 0x02, 0, 1, 0, 2, 0xff, 0x03]] {
            path.offer(Duration::ZERO, frame(false, message));
        }
        let out = std::iter::from_fn(|| path.take_due(Duration::ZERO)).count();
        assert_eq!(out, 2 * passing, "{setting}");
        let data = path.counters().ha_data;
        assert_eq!(data.received + data.duplicated, data.forwarded + data.lost);
        assert_eq!((data.received, data.lost), (1, data_lost));
    }
}

#[test]
fn copies_on_the_way_are_lost_when_their_outage_begins() {
    use crate::ha_frame::tests::{DATA, frame};
    let mut path = path("delay=20ms");
    path.offer(Duration::ZERO, frame(true, &DATA));
    path.set("delay=20ms ha-outage=data".parse().unwrap());
    assert!(path.take_due(Duration::from_secs(1)).is_none());
    assert_eq!(path.counters().ha_data.lost, 1);
    assert_eq!(path.counters().outage_drops, 1);
}
