//! Files that are not as they were left, and places where there can be none.

use std::panic::catch_unwind;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A history of some minutes, cleanly closed, or as a process that dies leaves it.
fn file(clean: bool) -> Vec<u8> {
    let place = TempDir::new().unwrap();
    let Opened {
        mut recorder,
        reader,
        set_aside,
    } = open(place.path()).unwrap();
    assert_eq!(set_aside, None);
    for at in BASE_S..BASE_S + 300 {
        let names = (0..40).map(|it| format!("link-{it}"));
        let names: Vec<String> = names.collect();
        let samples = names.iter().map(|name| (name.as_str(), second(1)));
        recorder.record(at, samples).unwrap();
    }
    recorder.note(1, &["link-1"], "up");
    recorder.flush().unwrap();
    if clean {
        drop((recorder, reader));
        return fs::read(place.path().join(FILE)).unwrap();
    }
    fs::read(place.path().join(FILE)).unwrap()
}

/// Opens a copy. What is in it is all there, or it is set aside and nothing is; and it can be written.
fn judge(octets: &[u8]) -> Result<bool, String> {
    let place = TempDir::new().unwrap();
    fs::write(place.path().join(FILE), octets).unwrap();
    let opened = open(place.path()).map_err(|error| error.to_string())?;
    let expected = if opened.set_aside.is_some() { 0 } else { 300 };
    for tier in Tier::ALL {
        let total = total(&opened.reader, "link-7", tier);
        // The last transaction but one, when the last is damaged.
        if total != expected && total != 290 {
            return Err(format!(
                "{total} of {tier:?}, set aside: {:?}",
                opened.set_aside
            ));
        }
    }
    let mut recorder = opened.recorder;
    let new = recorder.record(BASE_S + 400, [("new", second(1))]);
    new.and_then(|()| recorder.flush())
        .map_err(|error| error.to_string())?;
    Ok(opened.set_aside.is_some())
}

fn judged(octets: &[u8]) -> bool {
    let judged = catch_unwind(|| judge(octets));
    judged.expect("a damaged file makes no panic").unwrap()
}

#[test]
fn a_whole_file_is_used() {
    for clean in [true, false] {
        assert!(!judged(&file(clean)));
    }
}

#[test]
fn a_cut_file_is_set_aside() {
    for clean in [true, false] {
        let whole = file(clean);
        for length in [
            1,
            9,
            100,
            4095,
            4096,
            8192,
            whole.len() / 2,
            whole.len() - 4096,
            whole.len() - 1,
        ] {
            assert!(judged(&whole[..length]), "{length} of {}", whole.len());
        }
    }
}

#[test]
fn every_octet_of_the_header_may_be_wrong() {
    let whole = file(true);
    let mut set_aside = 0;
    for at in (0..64).chain([64, 65, 72, 80, 100, 180, 191, 192, 193, 200, 208, 230, 319]) {
        let mut octets = whole.clone();
        octets[at] ^= 0xff;
        set_aside += usize::from(judged(&octets));
    }
    assert!(set_aside > 20, "{set_aside}");
}

/// What a page is, and how many rows it has: the store reads on by it.
#[test]
fn every_page_may_be_of_another_kind() {
    let whole = file(true);
    let mut set_aside = 0;
    for page in (4096..whole.len()).step_by(4096) {
        if whole[page..page + 4096].iter().any(|&octet| octet != 0) {
            let mut octets = whole.clone();
            octets[page] ^= 0x03;
            octets[page + 2] ^= 0xff;
            set_aside += usize::from(judged(&octets));
        }
    }
    // The others are free.
    assert!(set_aside > 10, "{set_aside}");
}

#[test]
fn what_is_no_history_is_set_aside_whole() {
    let place = TempDir::new().unwrap();
    fs::write(place.path().join(FILE), "somebody's letter").unwrap();
    let opened = open(place.path()).unwrap();
    let set_aside = opened.set_aside.unwrap();
    assert_eq!(fs::read(&set_aside.to).unwrap(), b"somebody's letter");
    assert!(set_aside.why.contains("cut off"), "{}", set_aside.why);
    drop((opened.recorder, opened.reader));
    assert_eq!(open(place.path()).unwrap().set_aside, None);
}

#[test]
fn a_file_of_a_later_version_is_set_aside() {
    let place = TempDir::new().unwrap();
    drop(open(place.path()).unwrap());
    {
        let database = Database::open(place.path().join(FILE)).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction
            .open_table(FACTS)
            .unwrap()
            .insert(FORMAT, 2)
            .unwrap();
        transaction.commit().unwrap();
    }
    let why = open(place.path()).unwrap().set_aside.unwrap().why;
    assert!(why.contains("format 2; this version reads 1"), "{why}");
}

#[test]
fn a_file_that_is_open_elsewhere_is_left_alone() {
    let place = TempDir::new().unwrap();
    let first = open(place.path()).unwrap();
    let error = open(place.path()).unwrap_err();
    assert!(matches!(error, OpenError::Locked(_)), "{error}");
    drop(first);
    open(place.path()).unwrap();
}

#[test]
fn a_place_for_no_directory_is_said() {
    let place = TempDir::new().unwrap();
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    let error = open(&file.join("history")).unwrap_err();
    assert!(
        matches!(&error, OpenError::Io(path, _) if path.starts_with(&file)),
        "{error}"
    );
    // A directory where the file should be.
    fs::create_dir_all(place.path().join("b").join(FILE)).unwrap();
    let error = open(&place.path().join("b")).unwrap_err();
    assert!(matches!(error, OpenError::Io(..)), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2))]
    /// Many at a time, for a file takes a while to make.
    #[test]
    fn octets_that_flip_make_no_panic(
        clean in any::<bool>(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 12),
    ) {
        let whole = file(clean);
        // Most of the file is free: only pages with something in them are worth it.
        let used: Vec<usize> = (0..whole.len()).filter(|&at| whole[at] != 0).collect();
        for (at, flip) in &flips {
            let mut octets = whole.clone();
            octets[used[at.index(used.len())]] ^= flip;
            judged(&octets);
        }
    }
}
