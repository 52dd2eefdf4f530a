use super::*;
use crate::management::status::{Dataplane, PortWorker};

fn some(reason: &str, count: u64) -> BTreeMap<String, u64> {
    [(reason.to_owned(), count)].into()
}

fn status() -> Status {
    let worker = |count| PortWorker {
        drops: some("no-route", count),
    };
    Status {
        ports: vec![Port {
            name: "isp1".to_owned(),
            drops: some("no-route", 1500),
            per_worker: vec![worker(1000), worker(500)],
            ..Port::default()
        }],
        dataplane: Dataplane {
            drops: some("port-down", 4),
            ..Dataplane::default()
        },
        l2tp_drops: some("limited", 7),
        sets: vec![Set {
            name: "A".to_owned(),
            remote: "192.0.2.1".to_owned(),
            duplicates: 9,
            ..Set::default()
        }],
        sessions: vec![Session {
            name: "remote.1".to_owned(),
            over_speed_packets: 3,
            ..Session::default()
        }],
        ..Status::default()
    }
}

fn after(change: impl FnOnce(&mut Status)) -> Status {
    let mut status = status();
    change(&mut status);
    status
}

#[test]
fn every_place_has_its_line_and_its_meaning() {
    let later = after(|it| {
        it.ports[0].drops = some("no-route", 1600);
        it.ports[0].per_worker[1].drops = some("no-route", 600);
    });
    let dropped = Drops::new(&status(), &later, Duration::from_secs(2), false);
    assert_eq!(dropped.measured_ms, 2000);
    let lines: Vec<(String, &str, u64, Option<f64>)> = dropped
        .drops
        .iter()
        .map(|it| (it.place.text(), it.reason.as_str(), it.count, it.per_s))
        .collect();
    let expected = [
        ("port isp1", "no-route", 1600, 50.0),
        ("port isp1 worker 0", "no-route", 1000, 0.0),
        ("port isp1 worker 1", "no-route", 600, 50.0),
        ("own packets", "port-down", 4, 0.0),
        ("L2TP", "limited", 7, 0.0),
        ("set A 192.0.2.1", "duplicate", 9, 0.0),
        ("link remote.1", "over-speed", 3, 0.0),
    ];
    let expected = expected
        .map(|(place, reason, count, per_s)| (place.to_owned(), reason, count, Some(per_s)));
    assert_eq!(lines, expected);
    assert!(dropped.drops.iter().all(|it| it.meaning.ends_with('.')));
}

#[test]
fn the_document_is_this() {
    let status = after(|it| {
        it.dataplane.drops.clear();
        it.l2tp_drops.clear();
        it.sets.clear();
        it.sessions.clear();
        it.ports[0].per_worker.pop();
    });
    let dropped = Drops::new(&status, &status, Duration::from_millis(1001), false);
    assert_eq!(
        serde_json::to_string(&dropped).unwrap(),
        r#"{"measured_ms":1001,"drops":[{"place":"port","port":"isp1","reason":"no-route","count":1500,"per_s":0.0,"meaning":"No route leads to the destination."}]}"#
    );
    let set = Place::Set {
        set: "A".to_owned(),
        remote: "192.0.2.1".to_owned(),
    };
    assert_eq!(
        serde_json::to_string(&set).unwrap(),
        r#"{"place":"set","set":"A","remote":"192.0.2.1"}"#
    );
}

#[test]
fn all_means_every_reason_of_every_place() {
    let dropped = Drops::new(&status(), &status(), Duration::from_secs(1), true);
    let of = |wanted: &str| {
        let lines = dropped.drops.iter();
        lines.filter(|it| it.place.text() == wanted).count()
    };
    let workers = reasons::of_workers().count();
    assert_eq!(of("port isp1"), workers + 4);
    assert_eq!(of("port isp1 worker 1"), workers);
    assert_eq!(of("own packets"), workers);
    assert_eq!(of("L2TP"), 6);
    assert_eq!(of("set A 192.0.2.1"), 3);
    assert_eq!(of("link remote.1"), 5);
}

#[test]
fn a_restart_between_the_looks_gives_no_rate() {
    let later = after(|it| it.ports[0].drops = some("no-route", 5));
    let dropped = Drops::new(&status(), &later, Duration::from_secs(1), false);
    assert_eq!(dropped.drops[0].per_s, None);
    let text = dropped.text(false);
    let row = text.lines().find(|it| it.contains("port isp1 ")).unwrap();
    assert!(row.contains("no-route       5   -  No"), "{text}");
}

#[test]
fn what_this_version_does_not_know_is_shown_all_the_same() {
    let later = after(|it| it.ports[0].drops = some("cosmic-ray", 2));
    let dropped = Drops::new(&status(), &later, Duration::from_secs(1), false);
    let line = &dropped.drops[0];
    assert_eq!((line.reason.as_str(), line.count), ("cosmic-ray", 2));
    assert_eq!((line.per_s, line.meaning.as_str()), (Some(2.0), ""));
}

#[test]
fn the_tables_say_that_they_repeat_each_other() {
    let dropped = Drops::new(&status(), &status(), Duration::from_secs(1), false);
    let text = dropped.text(false);
    let titles: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with(' ') && !line.is_empty())
        .collect();
    let expected = ["DROPS", "THE SAME, BY WORKER", "THE SAME, BY SET AND LINK"];
    assert_eq!(titles, expected, "{text}");
    let nothing = Drops::default();
    assert_eq!(nothing.text(false), "nothing was dropped\n");
}

#[test]
fn slow_rates_keep_a_decimal() {
    assert_eq!(shown_rate(0.0), "0");
    assert_eq!(shown_rate(0.3), "0.3");
    assert_eq!(shown_rate(12_345.6), "12 346");
}
