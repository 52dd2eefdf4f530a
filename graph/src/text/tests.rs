use history::Spread;

use super::*;

const START_S: u64 = 1_795_737_600;
const HOUR_S: u64 = 3600;

fn good() -> Sample {
    Sample {
        measured_s: 900,
        echoes_sent: 900,
        latency: Some(Spread {
            count: 900,
            total_us: 9_000_000,
            least_us: 9_000,
            most_us: 14_000,
        }),
        sent_octets: 900 * 125_000,
        received_octets: 900 * 1_250_000,
        settled_packets: 1_000_000,
        ..Sample::default()
    }
}

/// Twelve hours in quarters: loss, an outage, something slow, and nothing known.
fn rows() -> Vec<(u64, Sample)> {
    let quarter = |index| {
        let sample = match index {
            4 => Sample {
                lost_packets: 1,
                ..good()
            },
            8 => Sample {
                lost_packets: 31_000,
                ..good()
            },
            12..15 => Sample {
                measured_s: 900,
                offline_s: 900,
                ..Sample::default()
            },
            15 => Sample {
                offline_s: 3,
                ..good()
            },
            20 => Sample {
                latency: Some(Spread::of(900_000)),
                ..good()
            },
            24..28 => return None,
            32 => Sample {
                saved_packets: 250_000,
                ..good()
            },
            _ => good(),
        };
        Some((START_S + index * 900, sample))
    };
    (0..48).filter_map(quarter).collect()
}

fn graph(rows: &[(u64, Sample)]) -> Graph<'_> {
    Graph {
        title: "L2TP-remote-1",
        subtitle: "head1",
        kind: Kind::Link,
        from_unix_s: START_S,
        to_unix_s: START_S + 12 * HOUR_S,
        step_s: 900,
        rows,
        utc_offset_s: 0,
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.replace('\u{a0}', " "))
        .collect()
}

#[test]
fn a_link_in_characters() {
    let rows = rows();
    let text = draw(&graph(&rows), LABELS + 48, false);
    let expected = [
        "L2TP-remote-1  head1",
        "2026-11-27 00:00 UTC to 2026-11-27 12:00 UTC",
        "lost packets 0.076 % (31 001 of 41 000 000)",
        "lost echoes 0 % (0 of 36 900)",
        "latency 9 ms least, 10 ms mean, 900 ms most",
        "off-line 45 min 3 s  most received 10 Mbit/s",
        "most sent 1 Mbit/s  unknown 1 h",
        "        loss     ▁   ▅               ····",
        "       20 ms                     ▲",
        "             ░░░░░░░░░░░░   ░░░░░█░░░    ░░░░░░░░░░░░░░░░░░░░",
        "             ░░░░░░░░░░░░   ░░░░░█░░░    ░░░░░░░░░░░░░░░░░░░░",
        "             ████████████   █████████    ████████████████████",
        "             ████████████   █████████    ████████████████████",
        "     latency ████████████   █████████····████████████████████",
        "   10 Mbit/s ████████████   █████████    ████████████████████",
        "             ████████████   █████████    ████████████████████",
        "    received ████████████   █████████····████████████████████",
        "    1 Mbit/s ████████████   █████████    ████████████████████",
        "             ████████████   █████████    ████████████████████",
        "        sent ████████████   █████████····████████████████████",
        "    off-line             ███▄        ····",
        "             ┬───────────┬───────────┬───────────┬───────────",
        "         UTC 00:00       03:00       06:00       09:00",
        "             Fri 27 Nov 2026",
        "loss ▁ any ▂ 0.1 % ▃ 0.3 % ▄ 1 % ▅ 3 % ▆ 10 % ▇ 30 % █ 90 %",
        "or more  █ mean latency  ░ up to the most  ▲ beyond the scale",
        "█ off-line  ▄ partly  · unknown",
    ];
    let shown = lines(&text);
    assert_eq!(shown, expected, "{text}");
}

#[test]
fn a_set_shows_what_it_saved() {
    let rows = rows();
    let set = Graph {
        kind: Kind::Set,
        ..graph(&rows)
    };
    let shown = lines(&draw(&set, LABELS + 48, false));
    let saved = shown
        .iter()
        .position(|line| line.contains("saved "))
        .unwrap();
    assert!(
        shown[saved].contains("saved packets 0.61 % (250 000 of 41 000 000)"),
        "{shown:?}"
    );
    let panel = shown
        .iter()
        .position(|line| line.starts_with("       saved"))
        .unwrap();
    let column = |line: &str| line.chars().nth(LABELS + 32);
    assert_eq!(
        [column(&shown[panel]), column(&shown[panel - 1])],
        [Some('█'), Some('▄')]
    );
    assert!(shown[panel - 2].contains("50 %"));
    assert!(!shown.iter().any(|line| line.contains("latency")));
}

#[test]
fn colour_is_there_when_asked_for_and_ends_with_each_line() {
    let rows = rows();
    let plain = draw(&graph(&rows), 100, false);
    assert!(!plain.contains('\u{1b}'));
    let coloured = draw(&graph(&rows), 100, true);
    assert!(coloured.contains("\u{1b}[0;31m") && coloured.contains("\u{1b}[0;35m███"));
    for line in coloured.lines().filter(|line| line.contains('\u{1b}')) {
        assert!(
            line.ends_with("\u{1b}[0m") || line.contains("\u{1b}[0m"),
            "{line:?}"
        );
    }
    let mut without = String::new();
    for (index, part) in coloured.split("\u{1b}[").enumerate() {
        let part = if index == 0 {
            part
        } else {
            part.split_once('m').unwrap().1
        };
        without.push_str(part);
    }
    assert_eq!(without, plain);
}

#[test]
fn no_line_is_longer_than_the_terminal_and_no_name_is_an_order_to_it() {
    let rows = rows();
    let title = "\u{1b}[2J\u{7}name ".repeat(30);
    for columns in [0, 40, 61, 80, 100, 200, 1000] {
        for kind in [Kind::Link, Kind::Set] {
            let graph = Graph {
                title: &title,
                kind,
                ..graph(&rows)
            };
            let text = draw(&graph, columns, false);
            assert!(!text.contains(['\u{1b}', '\u{7}']));
            let longest = text.lines().map(|line| line.chars().count()).max();
            assert!(
                longest <= Some(columns.clamp(40, 400)),
                "{columns}: {longest:?}\n{text}"
            );
        }
    }
}
