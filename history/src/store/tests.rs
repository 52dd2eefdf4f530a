mod clock;
mod damage;
mod oracle;

use redb::Database;
use redb::backends::InMemoryBackend;

use super::*;
use crate::live::Counts;
use crate::notes::{MOST_NOTES, Note};
use crate::sample::Sample;

/// A quiet Thursday, at the beginning of a day.
const BASE_S: u64 = 1_764_201_600;
const EVER: std::ops::Range<u64> = 0..u64::MAX;
const FEW: Limits = Limits { names: 3, days: 3 };

fn new(limits: Limits) -> (Recorder, Reader) {
    let backend = InMemoryBackend::new();
    let database = Database::builder().create_with_backend(backend).unwrap();
    attach(database, None, limits).unwrap()
}

/// The process dies, and the next one goes on.
fn again(recorder: Recorder, reader: Reader, limits: Limits) -> (Recorder, Reader) {
    drop(reader);
    attach(recorder.into_database(), None, limits).unwrap()
}

fn second(sent_packets: u64) -> Sample {
    Sample {
        measured_s: 1,
        sent_packets,
        ..Sample::default()
    }
}

/// Beginning and packets of each sample.
fn sent(reader: &Reader, name: &str, tier: Tier) -> Vec<(u64, u64)> {
    let rows = reader.rows(name, tier, EVER).unwrap();
    rows.iter().map(|(at, it)| (*at, it.sent_packets)).collect()
}

fn total(reader: &Reader, name: &str, tier: Tier) -> u64 {
    sent(reader, name, tier).iter().map(|(_, sent)| sent).sum()
}

#[test]
fn an_hour_of_seconds_and_all_of_the_rest() {
    let (mut recorder, reader) = new(Limits::ON_DISK);
    const LENGTH_S: u64 = 7300;
    for at in BASE_S..BASE_S + LENGTH_S {
        recorder.record(at, [("a", second(1))]).unwrap();
    }
    let seconds = sent(&reader, "a", Tier::Seconds);
    assert!((3600..=3620).contains(&seconds.len()), "{}", seconds.len());
    assert_eq!(seconds.last(), Some(&(BASE_S + LENGTH_S - 1, 1)));
    let hundreds = sent(&reader, "a", Tier::Hundreds);
    let starts = (0..73).map(|it| (BASE_S + it * 100, 100));
    assert_eq!(hundreds, starts.collect::<Vec<_>>());
    let hours = [(BASE_S, 3600), (BASE_S + 3600, 3600), (BASE_S + 7200, 100)];
    assert_eq!(sent(&reader, "a", Tier::Hours), hours);
    // A part of it.
    let range = BASE_S + 150..BASE_S + 300;
    let part = reader.rows("a", Tier::Hundreds, range).unwrap();
    let starts: Vec<u64> = part.iter().map(|(at, _)| *at - BASE_S).collect();
    assert_eq!(starts, [100, 200]);
    assert_eq!(reader.rows("a", Tier::Hours, 0..BASE_S).unwrap(), []);
    assert_eq!(reader.rows("b", Tier::Hours, EVER).unwrap(), []);
    assert_eq!(reader.counts(), Counts::default());
}

/// Wherever it begins and ends, in blocks that are written and in the one that is not.
#[test]
fn a_range_has_the_seconds_from_its_beginning_to_before_its_end() {
    let (mut recorder, reader) = new(FEW);
    for at in BASE_S..BASE_S + 45 {
        recorder.record(at, [("a", second(1))]).unwrap();
    }
    for start in 0..45 {
        for end in start + 1..=45 {
            let range = BASE_S + start..BASE_S + end;
            let rows = reader.rows("a", Tier::Seconds, range).unwrap();
            let starts: Vec<u64> = rows.iter().map(|(at, _)| *at - BASE_S).collect();
            assert_eq!(starts, (start..end).collect::<Vec<_>>());
        }
    }
}

/// With the block that is not over, which may have just begun.
#[test]
fn a_tier_keeps_as_long_as_it_says() {
    for tier in Tier::ALL {
        let whole = Limits::ON_DISK.blocks(tier) as u64 - 1;
        assert!(whole * tier.block_s() >= tier.kept_s(), "{tier:?}");
    }
}

#[test]
fn a_crash_loses_what_was_recorded_since_the_last_block() {
    let (mut recorder, reader) = new(FEW);
    for at in BASE_S..BASE_S + 3719 {
        recorder.record(at, [("a", second(1))]).unwrap();
    }
    let (mut recorder, reader) = again(recorder, reader, FEW);
    for tier in Tier::ALL {
        let kept = if tier == Tier::Seconds { 3610 } else { 3710 };
        assert_eq!(total(&reader, "a", tier), kept, "{tier:?}");
    }
    // The same block, the same 100 seconds and the same hour go on.
    recorder.record(BASE_S + 3719, [("a", second(1))]).unwrap();
    recorder.flush().unwrap();
    let (mut recorder, reader) = again(recorder, reader, FEW);
    recorder.record(BASE_S + 3719, [("a", second(5))]).unwrap();
    recorder.record(BASE_S + 3720, [("a", second(1))]).unwrap();
    let (recorder, reader) = again(recorder, reader, FEW);
    let last = sent(&reader, "a", Tier::Seconds).pop();
    assert_eq!(last, Some((BASE_S + 3719, 6)));
    let hours = [(BASE_S, 3600), (BASE_S + 3600, 116)];
    assert_eq!(sent(&reader, "a", Tier::Hours), hours);
    drop(recorder);
}

#[test]
fn names_have_a_limit_and_those_unseen_go() {
    let (mut recorder, reader) = new(FEW);
    let names = ["a", "b", "", "c", "d"];
    let all = names.map(|name| (name, second(1)));
    recorder.record(BASE_S, all).unwrap();
    recorder
        .record(BASE_S, [(&*"x".repeat(256), second(1))])
        .unwrap();
    assert_eq!(reader.names(), ["a", "b", "c"]);
    assert_eq!(reader.counts().refused_samples, 3);
    for day in 1..4 {
        assert_eq!(reader.count(), 3, "day {day}");
        let at = BASE_S + day * 86_400;
        recorder.record(at, [("b", second(1))]).unwrap();
        recorder.flush().unwrap();
    }
    assert_eq!(reader.names(), ["b"]);
    assert_eq!(total(&reader, "b", Tier::Hours), 3);
    assert_eq!(total(&reader, "a", Tier::Seconds), 0);
    // There is room again, and nothing of the old name comes back with it.
    recorder
        .record(BASE_S + 4 * 86_400, [("a", second(7))])
        .unwrap();
    recorder.flush().unwrap();
    let (_recorder, reader) = again(recorder, reader, FEW);
    assert_eq!(reader.names(), ["a", "b"]);
    assert_eq!(total(&reader, "a", Tier::Seconds), 7);
}

#[test]
fn notes_come_back_newest_first_and_the_oldest_go() {
    let (mut recorder, reader) = new(FEW);
    recorder.note(1, &["a", "set/A/1"], "down");
    recorder.flush().unwrap();
    for at in 2..12 {
        recorder.note(at, &["b"], "up");
    }
    recorder.note(12, &["b"], &"x".repeat(20_000));
    recorder.record(BASE_S, []).unwrap();
    let (mut recorder, reader) = again(recorder, reader, FEW);
    let times = |notes: Vec<Note>| notes.iter().map(|it| it.at_unix_ms).collect::<Vec<_>>();
    assert_eq!(times(reader.notes(None, 3).unwrap()), [11, 10, 9]);
    let of_set = reader.notes(Some("set/A/1"), 3).unwrap();
    let note = Note {
        at_unix_ms: 1,
        subject: vec!["a".to_owned(), "set/A/1".to_owned()],
        payload: "down".to_owned(),
    };
    assert_eq!(of_set, [note]);
    for at in 100..100 + MOST_NOTES - 5 {
        recorder.note(at, &[], "");
    }
    recorder.flush().unwrap();
    let notes = times(reader.notes(None, usize::MAX).unwrap());
    assert_eq!(notes.len() as u64, MOST_NOTES);
    assert_eq!(notes.last(), Some(&7));
    assert_eq!(reader.notes(Some("a"), 1).unwrap(), []);
}

#[test]
fn a_long_note_is_refused_and_counted() {
    let (mut recorder, reader) = new(FEW);
    recorder.note(1, &["a"], &"x".repeat(20_000));
    recorder.flush().unwrap();
    assert_eq!(reader.counts().refused_notes, 1);
    assert_eq!(reader.notes(None, 1).unwrap(), []);
}

/// Between a commit and what follows it in memory, both have the same seconds: whoever reads then counts them once.
#[test]
fn readers_see_each_second_once_at_any_time() {
    use std::sync::atomic::{AtomicU64, Ordering};
    let (mut recorder, reader) = new(FEW);
    recorder.record(BASE_S, [("a", second(1))]).unwrap();
    let begun = AtomicU64::new(1);
    const LAST: u64 = 1500;
    std::thread::scope(|scope| {
        for tier in Tier::ALL {
            let (reader, begun) = (reader.clone(), &begun);
            scope.spawn(move || {
                let mut seen = 0;
                while seen < LAST {
                    let least = begun.load(Ordering::Acquire);
                    let now = total(&reader, "a", tier);
                    let most = begun.load(Ordering::Acquire) + 1;
                    assert!(
                        least <= now && now <= most,
                        "{least} {now} {most}, {tier:?}"
                    );
                    seen = now;
                }
            });
        }
        for at in 1..LAST {
            recorder.record(BASE_S + at, [("a", second(1))]).unwrap();
            begun.store(at + 1, Ordering::Release);
        }
    });
}

#[test]
fn rows_of_another_version_are_skipped_and_counted() {
    let (mut recorder, reader) = new(FEW);
    for at in BASE_S..BASE_S + 20 {
        recorder.record(at, [("a", second(1))]).unwrap();
    }
    drop(reader);
    let database = recorder.into_database();
    let transaction = database.begin_write().unwrap();
    {
        let mut table = transaction.open_table(rows(Tier::Seconds)).unwrap();
        table.insert((0, 0), &[9_u8, 1, 2][..]).unwrap();
        let mut sums = transaction.open_table(OPEN_HUNDREDS).unwrap();
        sums.insert(0, &[9_u8][..]).unwrap();
    }
    transaction.commit().unwrap();
    let (mut recorder, reader) = attach(database, None, FEW).unwrap();
    assert_eq!(reader.counts().damaged_rows, 1);
    assert_eq!(total(&reader, "a", Tier::Seconds), 0);
    assert_eq!(reader.counts().damaged_rows, 2);
    // What is added to it takes its place.
    recorder.record(BASE_S + 1, [("a", second(3))]).unwrap();
    recorder.flush().unwrap();
    assert_eq!(total(&reader, "a", Tier::Seconds), 3);
    assert_eq!(total(&reader, "a", Tier::Hours), 3);
}
