//! A process that is killed in the middle of its writing loses what the documentation says, and no more.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use history::{Sample, Tier};

const BASE_S: u64 = 1_764_201_600;
/// Tells the child where to write.
const DIRECTORY: &str = "HISTORY_TEST_DIRECTORY";
const NAMES: [&str; 3] = ["a", "b", "c"];

/// What the child does until it is killed: seconds as fast as they can be written, and says which it has recorded.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let history::Opened {
        mut recorder,
        reader,
        set_aside,
    } = history::open(directory.as_ref()).unwrap();
    assert_eq!(set_aside, None);
    // Goes on where the last one was killed.
    let hours = reader.rows("a", Tier::Hours, 0..u64::MAX).unwrap();
    let recorded: u64 = hours.iter().map(|(_, it)| it.sent_packets).sum();
    for at in BASE_S + recorded.. {
        let sample = Sample {
            measured_s: 1,
            sent_packets: 1,
            ..Sample::default()
        };
        recorder
            .record(at, NAMES.map(|name| (name, sample)))
            .unwrap();
        recorder.note(at * 1000, &["a"], "second");
        println!("recorded {}", at - BASE_S);
    }
}

#[test]
fn what_was_recorded_before_the_last_block_survives_a_kill() {
    let place = tempfile::tempdir().unwrap();
    let mut most = 0;
    for kill_after in [35, 170, 3, 260] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(DIRECTORY, place.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let recorded = lines.filter_map(|line| {
            let line = line.ok()?;
            // The first stands behind what the test runner says.
            let (_, second) = line.split_once("recorded ")?;
            second.parse::<u64>().ok()
        });
        most = recorded.take(kill_after).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        check(place.path(), most);
    }
    // The hundreds were left, and the blocks of each life joined.
    assert!(most > 400, "{most}");
}

/// Each second up to the last block before `recorded` is there, once, in each tier.
fn check(place: &std::path::Path, recorded: u64) {
    let opened = history::open(place).unwrap();
    assert_eq!(opened.set_aside, None);
    let least = recorded - recorded % 10;
    for name in NAMES {
        let rows = |tier| opened.reader.rows(name, tier, 0..u64::MAX).unwrap();
        let seconds = rows(Tier::Seconds);
        for (expected, (at, sample)) in (BASE_S..).zip(&seconds) {
            assert_eq!((*at, sample.sent_packets), (expected, 1));
        }
        let kept = seconds.len() as u64;
        assert!(kept >= least, "{kept} of {recorded}");
        for tier in [Tier::Hundreds, Tier::Hours] {
            let sum: u64 = rows(tier).iter().map(|(_, it)| it.sent_packets).sum();
            assert_eq!(sum, kept, "{tier:?}");
        }
    }
    // A note is written with the record after it.
    let notes = opened.reader.notes(Some("a"), usize::MAX).unwrap();
    assert!(notes[0].at_unix_ms >= (BASE_S + recorded - 1) * 1000);
    assert_eq!(opened.reader.counts(), history::Counts::default());
}
