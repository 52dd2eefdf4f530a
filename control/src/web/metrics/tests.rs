//! The metrics as a strict reader of OpenMetrics 1.0 takes them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::management::status::Status;
use crate::web::tests::status;

/// A family as it was read: its kind, and the samples with their labels.
#[derive(Debug, Default)]
pub(in super::super) struct Read {
    pub(in super::super) kind: String,
    pub(in super::super) samples: BTreeMap<String, f64>,
}

/// Reads a text, and fails at whatever the format does not allow.
pub(in super::super) fn read(text: &str) -> BTreeMap<String, Read> {
    let body = text.strip_suffix("# EOF\n").expect("it ends with # EOF");
    let mut families: BTreeMap<String, Read> = BTreeMap::new();
    let mut current = String::new();
    // What has been said of the family; a sample ends that.
    let mut said: BTreeSet<&str> = BTreeSet::new();
    let mut series = BTreeSet::new();
    for line in body.lines() {
        if let Some(words) = line.strip_prefix("# ") {
            let [what, name, rest] = words.splitn(3, ' ').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            if what == "TYPE" {
                assert!(is_name(name), "{line}");
                assert!(["counter", "gauge", "info"].contains(&rest), "{line}");
                current = name.to_owned();
                said.clear();
                let family = Read {
                    kind: rest.to_owned(),
                    ..Read::default()
                };
                assert!(
                    families.insert(current.clone(), family).is_none(),
                    "a second {line}"
                );
            }
            assert_eq!(name, current, "{line}");
            assert!(["TYPE", "UNIT", "HELP"].contains(&what), "{line}");
            assert!(said.insert(what), "a second {line}");
            assert!(
                families[&current].samples.is_empty(),
                "{line} after a sample"
            );
            assert!(
                what != "UNIT" || name.ends_with(&format!("_{rest}")),
                "{line}"
            );
            assert!(what != "HELP" || !rest.contains(['\\', '"']), "{line}");
            continue;
        }
        assert!(said.contains("HELP"), "{line} without a help");
        let (id, value) = line.rsplit_once(' ').unwrap();
        let name = id.split('{').next().unwrap();
        let family = families.get_mut(&current).unwrap();
        let suffix = match family.kind.as_str() {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        assert_eq!(name, format!("{current}{suffix}"), "{line}");
        check_labels(&id[name.len()..]);
        let value: f64 = value.parse().unwrap();
        assert!(value.is_finite(), "{line}");
        assert!(family.kind == "gauge" || value >= 0.0, "{line}");
        assert!(series.insert(id.to_owned()), "{id} stands there twice");
        family.samples.insert(id.to_owned(), value);
    }
    families
}

fn is_name(name: &str) -> bool {
    name.starts_with("hal2tp_")
        && name
            .bytes()
            .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_')
}

fn check_labels(text: &str) {
    if text.is_empty() {
        return;
    }
    let inside = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'))
        .unwrap();
    let mut names = BTreeSet::new();
    let mut rest = inside;
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"").unwrap();
        assert!(names.insert(name), "{text}");
        assert!(name.bytes().all(|it| it.is_ascii_lowercase()), "{text}");
        let mut end = 0;
        while value.as_bytes()[end] != b'"' {
            end += if value.as_bytes()[end] == b'\\' { 2 } else { 1 };
        }
        assert!(end > 0, "an empty label in {text}");
        let after = &value[end + 1..];
        rest = after.strip_prefix(',').unwrap_or(after);
        assert!(
            after.is_empty() || (after.starts_with(',') && !rest.is_empty()),
            "{text}"
        );
    }
}

/// What is written of two moments of an appliance that has everything there is.
pub(in super::super) fn written(format: Format) -> [String; 2] {
    let board = crate::monitor::Board::default();
    let mut status = varied();
    let first = board.pin(Moment::new(Duration::ZERO, status.clone(), None));
    status.uptime_s += 1;
    for session in &mut status.sessions {
        session.sent_packets += 10;
        session.wins += 5;
        session.lost_packets += 1;
        session.unique_packets += 4;
        session.round_trip.answered += 1;
    }
    let second = board.pin(Moment::new(Duration::ZERO, status, Some(&first)));
    [first, second].map(|moment| write(&moment, &Site::of(&moment), format))
}

/// Two of everything, with names that are hard to write.
fn varied() -> Status {
    let mut status = status(true);
    let mut session = status.sessions[0].clone();
    session.name = "quoted \"\\\n".to_owned();
    session.table = None;
    session.set = None;
    session.set_remote = None;
    status.sessions.push(session);
    status.tunnels.push(status.tunnels[0].clone());
    status
}

#[test]
fn the_text_is_open_metrics() {
    let families = written(Format::OpenMetrics).map(|text| read(&text));
    assert!(
        families[1].len() > 60,
        "only {} families",
        families[1].len()
    );
    assert_eq!(
        families[1]["hal2tp_tunnels"].samples.values().sum::<f64>(),
        2.0
    );
    let sent = "hal2tp_link_sent_packets_total{set=\"text\",remote=\"text\",link=\"text\",tunnel=\"text\",table=\"3\"}";
    assert_eq!(families[1]["hal2tp_link_sent_packets"].samples[sent], 13.0);
    let loss = &families[1]["hal2tp_link_minute_loss_ratio"].samples;
    assert_eq!(loss.values().next(), Some(&0.2));
    for (name, first) in &families[0] {
        let second = &families[1][name];
        for (series, value) in &first.samples {
            let later = second.samples.get(series);
            let later = later.unwrap_or_else(|| panic!("{series} went away"));
            assert!(first.kind != "counter" || later >= value, "{series} shrank");
        }
    }
}

#[test]
fn the_older_format_has_the_same_samples() {
    let samples = |format| -> Vec<String> {
        let [_, text] = written(format);
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    };
    let new = samples(Format::OpenMetrics);
    assert_eq!(new, samples(Format::Prometheus));
    assert!(new.len() > 100);
    let [_, old] = written(Format::Prometheus);
    assert!(!old.contains("# EOF") && !old.contains("# UNIT") && !old.contains(" info\n"));
}
