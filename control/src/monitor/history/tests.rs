use std::ops::Range;
use std::time::Instant;

use history::{Sample, Tier};
use tempfile::TempDir;

use super::*;
use crate::management::request::{self, Answer};
use crate::management::status::{Session, Status};
use crate::monitor::{Board, Event, EventKind, Monitor, Reading};

const BASE_S: u64 = 1_764_201_600;

fn moment(at_s: u64) -> Arc<Moment> {
    let reading = Reading {
        graph: "head1".to_owned(),
        sample: Sample {
            measured_s: 1,
            sent_packets: 1,
            ..Sample::default()
        },
    };
    Arc::new(Moment {
        at: Duration::from_secs(at_s),
        readings: vec![reading],
        ..Moment::default()
    })
}

fn event(at_unix_ms: u64) -> Event {
    Event {
        at_unix_ms,
        event: EventKind::LinkDown,
        link: Some("head1".to_owned()),
        set: Some("A".to_owned()),
        remote: Some("192.0.2.1".to_owned()),
        reason: None,
        text: "the peer does not answer".to_owned(),
    }
}

fn times(events: &Events) -> Vec<u64> {
    let newest = events.newest(usize::MAX, |_| true);
    newest.iter().map(|event| event.at_unix_ms).collect()
}

/// Records so many seconds, each when the one before is written, and ends.
fn life(directory: Option<PathBuf>, events: &Arc<Events>, seconds: Range<u64>) -> History {
    let (historian, history) = Historian::start(directory, Arc::clone(events)).unwrap();
    for at_s in seconds {
        while history.moments.is_full() {
            thread::sleep(Duration::from_millis(1));
        }
        history.keep(&moment(at_s));
        if at_s % 100 == 0 {
            events.add(event(at_s * 1000));
        }
    }
    drop(historian);
    history
}

fn sent(history: &History, name: &str) -> u64 {
    let reader = history.reader().unwrap();
    let rows = reader.rows(name, Tier::Hours, 0..u64::MAX).unwrap();
    rows.iter().map(|(_, sample)| sample.sent_packets).sum()
}

#[test]
fn readings_and_events_survive_a_restart() {
    let place = TempDir::new().unwrap();
    let directory = Some(place.path().join("a").join("b"));
    let events = Arc::<Events>::default();
    let history = life(directory.clone(), &events, BASE_S..BASE_S + 205);
    assert_eq!(sent(&history, "head1"), 205);
    let status = history.status();
    assert_eq!(
        status.directory,
        directory.as_ref().map(|it| it.display().to_string())
    );
    assert!(
        status.on_disk && status.file_octets > Some(4096),
        "{status:?}"
    );
    assert_eq!(
        (status.graphs, status.dropped_seconds, status.error),
        (1, 0, None)
    );
    let notes = history.reader().unwrap().notes(Some("set/A/192.0.2.1"), 9);
    assert_eq!(notes.unwrap().len(), 3);
    drop(history);

    let events = Arc::<Events>::default();
    events.add(event(1));
    let history = life(directory, &events, BASE_S + 205..BASE_S + 210);
    assert_eq!(sent(&history, "head1"), 210);
    let earlier = [200, 100, 0].map(|ago_s| (BASE_S + ago_s) * 1000);
    assert_eq!(times(&events), [1, earlier[0], earlier[1], earlier[2]]);
    // Those of the earlier process are not noted twice.
    let notes = history.reader().unwrap().notes(Some("head1"), 9);
    assert_eq!(notes.unwrap().len(), 4);
}

/// A disk that stands still does not keep the process from its end.
#[test]
fn the_end_waits_for_the_disk_but_not_for_ever() {
    let stop = Arc::<AtomicBool>::default();
    let thread = thread::spawn(|| thread::sleep(Duration::from_secs(3600)));
    let historian = Historian {
        stop: Arc::clone(&stop),
        thread: Some(thread),
    };
    let began = Instant::now();
    drop(historian);
    assert!(stop.load(Ordering::Relaxed));
    let range = FAREWELL..FAREWELL + Duration::from_secs(2);
    assert!(range.contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[test]
fn without_a_directory_it_is_in_memory() {
    let history = life(None, &Arc::default(), BASE_S..BASE_S + 30);
    assert_eq!(sent(&history, "head1"), 30);
    let status = history.status();
    assert_eq!(
        (status.directory, status.on_disk, status.graphs),
        (None, false, 1)
    );
}

#[test]
fn a_directory_that_cannot_be_is_said_and_graphs_go_on() {
    let place = TempDir::new().unwrap();
    let file = place.path().join("file");
    std::fs::write(&file, "").unwrap();
    let history = life(Some(file.join("x")), &Arc::default(), BASE_S..BASE_S + 30);
    assert_eq!(sent(&history, "head1"), 30);
    let status = history.status();
    assert!(!status.on_disk);
    let error = status.error.unwrap();
    assert!(error.contains("file/x"), "{error}");
}

#[test]
fn a_damaged_file_is_set_aside_and_said() {
    let place = TempDir::new().unwrap();
    std::fs::write(place.path().join("history.redb"), "x").unwrap();
    let directory = Some(place.path().to_owned());
    let history = life(directory, &Arc::default(), BASE_S..BASE_S + 30);
    assert_eq!(sent(&history, "head1"), 30);
    let status = history.status();
    assert!(status.on_disk);
    let error = status.error.unwrap();
    assert!(error.contains("history.redb.damaged"), "{error}");
}

#[test]
fn the_monitor_hands_its_moments_in() {
    let (historian, history) = Historian::start(None, Arc::default()).unwrap();
    let (asker, questions) = request::channel();
    let status = Status {
        sessions: vec![Session {
            name: "head1".to_owned(),
            ..Session::default()
        }],
        ..Status::default()
    };
    let control = thread::spawn(move || {
        for question in questions {
            question.answer(Answer::Status(Arc::new(status.clone())));
        }
    });
    let board = Arc::<Board>::default();
    let monitor = Monitor::start(asker, Arc::clone(&board), history.clone()).unwrap();
    let second = board.after(1, Duration::from_secs(20)).unwrap();
    drop((monitor, historian));
    control.join().unwrap();
    let rows = history
        .reader()
        .unwrap()
        .rows("head1", Tier::Seconds, 0..u64::MAX);
    let rows = rows.unwrap();
    // The first moment has no readings.
    let at_s = second.at.as_secs();
    assert!((at_s - 1..=at_s + 1).contains(&rows[0].0), "{rows:?}");
    // Two readings may fall into one second of the clock.
    let first = &rows[0].1;
    assert!(first.measured_s >= 1, "{rows:?}");
    assert_eq!(first.offline_s, first.measured_s);
}

#[test]
fn the_monitor_never_waits_for_the_disk() {
    let (moments, _queue) = bounded(QUEUE);
    let history = History {
        shared: Arc::default(),
        moments,
    };
    let began = Instant::now();
    for at_s in 0..QUEUE as u64 + 3 {
        history.keep(&moment(at_s));
    }
    assert!(began.elapsed() < Duration::from_millis(500));
    assert_eq!(history.status().dropped_seconds, 3);
    assert!(history.reader().is_none());
}

fn keeper(directory: PathBuf) -> Keeper {
    Keeper {
        shared: Arc::default(),
        directory: Some(directory),
        events: Arc::default(),
        restored: false,
        noted: 0,
        second: None,
        store: None,
        retry: None,
        error: None,
        past: Counts::default(),
    }
}

#[test]
fn a_store_that_fails_is_opened_anew_after_a_while() {
    let place = TempDir::new().unwrap();
    let mut keeper = keeper(place.path().to_owned());
    keeper.open();
    for at_s in BASE_S..BASE_S + 15 {
        keeper.keep(&moment(at_s));
    }
    keeper.past.lost_samples = 7;
    keeper.give_up("no space left");
    keeper.keep(&moment(BASE_S + 15));
    let status = held(&keeper.shared.status).clone();
    assert!(!status.on_disk && status.graphs == 1, "{status:?}");
    keeper.retry = Some(Instant::now());
    keeper.keep(&moment(BASE_S + 16));
    let status = held(&keeper.shared.status).clone();
    assert!(status.on_disk);
    assert_eq!(status.lost_samples, 7);
    assert!(status.error.unwrap().contains("no space left"));
    let reader = held(&keeper.shared.reader).clone().unwrap();
    let rows = reader.rows("head1", Tier::Hours, 0..u64::MAX).unwrap();
    // What was written, and what came after.
    assert_eq!(rows[0].1.sent_packets, 11);
}

/// As redb's is, when it reads what it has not written.
#[test]
fn a_panic_of_the_store_costs_that_file_alone() {
    let place = TempDir::new().unwrap();
    let mut keeper = keeper(place.path().to_owned());
    keeper.guarded(Keeper::open);
    for at_s in BASE_S..BASE_S + 15 {
        keeper.guarded(|keeper| keeper.keep(&moment(at_s)));
    }
    assert!(held(&keeper.shared.status).on_disk);
    keeper.guarded(|_| panic!("as redb does"));
    keeper.guarded(|keeper| keeper.keep(&moment(BASE_S + 15)));
    let status = held(&keeper.shared.status).clone();
    assert!(!status.on_disk && status.graphs == 1, "{status:?}");
    assert!(status.error.unwrap().contains("at the next start"));
    assert_eq!(keeper.retry, None);
    let reader = held(&keeper.shared.reader).clone().unwrap();
    let rows = reader.rows("head1", Tier::Hours, 0..u64::MAX).unwrap();
    assert_eq!(rows[0].1.sent_packets, 1, "in memory");
    // It is not touched any more, not even to close it.
    let again = history::open(place.path());
    assert!(matches!(again, Err(history::OpenError::Locked(_))));
}

#[test]
fn a_directory_that_comes_back_is_used_again() {
    let place = TempDir::new().unwrap();
    let elsewhere = history::open(place.path()).unwrap();
    let mut keeper = keeper(place.path().to_owned());
    keeper.open();
    keeper.keep(&moment(BASE_S));
    let status = held(&keeper.shared.status).clone();
    assert!(!status.on_disk && status.graphs == 1, "{status:?}");
    assert!(status.error.unwrap().contains("another process"));
    keeper.events.add(event(5));
    drop(elsewhere);
    // Not before its time.
    keeper.keep(&moment(BASE_S + 1));
    assert!(!held(&keeper.shared.status).on_disk);
    keeper.retry = Some(Instant::now());
    keeper.keep(&moment(BASE_S + 2));
    assert!(held(&keeper.shared.status).on_disk);
    let reader = held(&keeper.shared.reader).clone().unwrap();
    assert_eq!(reader.names(), ["head1"]);
    // What happened meanwhile is noted now.
    keeper.keep(&moment(BASE_S + 3));
    assert_eq!(reader.notes(None, 9).unwrap().len(), 1);
}

#[test]
fn each_moment_has_a_second_of_its_own() {
    let seconds = |times_ms: &[u64]| {
        let mut last = None;
        let times = times_ms.iter();
        times
            .map(|&at_ms| {
                let second = following(last, Duration::from_millis(at_ms));
                last = Some(second);
                second
            })
            .collect::<Vec<_>>()
    };
    // Just before and just after the turn.
    assert_eq!(
        seconds(&[9_999, 11_000, 11_999, 12_999, 14_001]),
        [9, 10, 11, 12, 13]
    );
    assert_eq!(seconds(&[10_000, 10_999, 12_000]), [10, 11, 12]);
    // A machine that stood still, and a clock that was put back.
    assert_eq!(seconds(&[10_500, 15_500, 16_400]), [10, 15, 16]);
    assert_eq!(seconds(&[10_500, 4_500, 5_500]), [10, 4, 5]);
    assert_eq!(following(Some(u64::MAX), Duration::from_secs(7)), 7);
    // Half a second early, and a second and a half late.
    for (at_ms, second) in [(10_499, 10), (10_500, 11), (12_499, 11), (12_500, 12)] {
        let followed = following(Some(10), Duration::from_millis(at_ms));
        assert_eq!(followed, second, "{at_ms}");
    }
}
