//! A clock that is put back or forward destroys nothing.

use super::*;

const YEAR_S: u64 = 365 * 86_400;

fn record_hour(recorder: &mut Recorder, from_s: u64) {
    for at in from_s..from_s + 3600 {
        recorder.record(at, [("a", second(1))]).unwrap();
    }
}

#[test]
fn a_year_that_was_never_there_does_not_push_out_those_that_were() {
    let (mut recorder, reader) = new(Limits::ON_DISK);
    record_hour(&mut recorder, BASE_S);
    // A minute in the wrong century, then the right time again.
    let wrong_s = BASE_S + 80 * YEAR_S;
    for at in wrong_s..wrong_s + 60 {
        recorder.record(at, [("a", second(1))]).unwrap();
    }
    for at in BASE_S + 3600..BASE_S + 3660 {
        recorder.record(at, [("a", second(1))]).unwrap();
    }
    assert_eq!(
        sent(&reader, "a", Tier::Hours),
        [(BASE_S, 3600), (BASE_S + 3600, 60), (wrong_s, 60)]
    );
    let right = reader.rows("a", Tier::Seconds, BASE_S..BASE_S + YEAR_S);
    assert!(right.unwrap().len() >= 3540);
}

/// No battery: each start is in 1970, until somebody tells the time.
#[test]
fn what_is_newest_stays_though_its_time_is_the_oldest() {
    let (mut recorder, reader) = new(Limits::ON_DISK);
    record_hour(&mut recorder, BASE_S + YEAR_S);
    record_hour(&mut recorder, BASE_S + YEAR_S + 3600);
    record_hour(&mut recorder, 0);
    let seconds = sent(&reader, "a", Tier::Seconds);
    let of_1970 = seconds.iter().filter(|(at, _)| *at < 3600).count();
    assert_eq!(of_1970, 3600);
    let hours = sent(&reader, "a", Tier::Hours);
    let expected = [0, BASE_S + YEAR_S, BASE_S + YEAR_S + 3600].map(|start| (start, 3600));
    assert_eq!(hours, expected);
}

#[test]
fn a_second_that_comes_again_is_added_to() {
    let (mut recorder, reader) = new(FEW);
    for at in BASE_S..BASE_S + 250 {
        recorder.record(at, [("a", second(1))]).unwrap();
    }
    // Two minutes back, and on from there.
    for at in BASE_S + 130..BASE_S + 300 {
        recorder.record(at, [("a", second(1))]).unwrap();
    }
    let hundreds = [(0, 100), (100, 170), (200, 150)];
    let hundreds = hundreds.map(|(start, sent)| (BASE_S + start, sent));
    assert_eq!(sent(&reader, "a", Tier::Hundreds), hundreds);
    assert_eq!(sent(&reader, "a", Tier::Hours), [(BASE_S, 420)]);
    assert_eq!(sent(&reader, "a", Tier::Seconds)[249], (BASE_S + 249, 2));
}

#[test]
fn the_ends_of_time_are_times_too() {
    let (mut recorder, reader) = new(FEW);
    for at in [0, u64::MAX, 5, u64::MAX] {
        recorder.record(at, [("a", second(1))]).unwrap();
    }
    recorder.flush().unwrap();
    // The range ends before the last second of all.
    assert_eq!(total(&reader, "a", Tier::Seconds), 2);
    assert_eq!(total(&reader, "a", Tier::Hundreds), 4);
    assert_eq!(total(&reader, "a", Tier::Hours), 4);
}
