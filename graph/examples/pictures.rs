//! Draws pictures of made-up links and sets into a directory: `cargo run -p graph --example pictures -- DIRECTORY`.

use std::path::Path;
use std::{env, fs, io};

use graph::{Graph, Kind};
use history::{Sample, Spread};

/// Friday, 27 November 2026, in UTC.
const MIDNIGHT_S: u64 = 1_795_737_600;
const HOUR_S: u64 = 3600;
const DAY_S: u64 = 24 * HOUR_S;

/// Numbers that look like chance, and are the same each time.
struct Chance(u64);

impl Chance {
    /// 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1_u32 << 31)
    }
}

/// What a link is like in a second.
#[derive(Clone, Copy)]
struct Line {
    loss: f64,
    latency_us: f64,
    jitter_us: f64,
    up: bool,
    /// Nobody measured.
    known: bool,
}

const GOOD: Line = Line {
    loss: 0.0,
    latency_us: 9_000.0,
    jitter_us: 4_000.0,
    up: true,
    known: true,
};

/// More in the evening than at night.
fn load(second: u64, chance: &mut Chance) -> f64 {
    let hour = (second % DAY_S) as f64 / 3600.0;
    let day = (0.5 - 0.5 * ((hour - 3.0) / 24.0 * std::f64::consts::TAU).cos()).powi(2);
    (0.05 + day) * (0.4 + 0.6 * chance.next())
}

fn row(start_s: u64, step_s: u64, line: impl Fn(u64) -> Line, chance: &mut Chance) -> Sample {
    let mut row = Sample::default();
    let load = load(start_s, chance);
    for second in start_s..start_s + step_s {
        let line = line(second);
        if line.known {
            row.add(&second_of(line, load, chance));
        }
    }
    row
}

fn second_of(line: Line, load: f64, chance: &mut Chance) -> Sample {
    if !line.up {
        return Sample {
            measured_s: 1,
            offline_s: 1,
            ..Sample::default()
        };
    }
    let packets = 9_000.0 * load * (0.7 + 0.6 * chance.next());
    let answered = chance.next() >= line.loss;
    let late = chance.next().powi(6);
    let latency = line.latency_us + line.jitter_us * (late + 0.3 * load * chance.next());
    let settled = (packets * 0.9) as u64;
    Sample {
        measured_s: 1,
        echoes_sent: 1,
        echoes_lost: u64::from(!answered),
        latency: answered.then(|| Spread::of(latency as u64)),
        sent_packets: (packets * 0.3) as u64,
        sent_octets: (packets * 0.3 * 400.0) as u64,
        received_packets: settled,
        received_octets: settled * 1200,
        settled_packets: settled,
        lost_packets: (packets * line.loss + chance.next() * f64::from(u8::from(line.loss > 0.0)))
            as i64,
        saved_packets: (packets * line.loss * 0.8) as u64,
        ..Sample::default()
    }
}

/// A day with loss, a slow while, an outage, and a while of which nothing is known.
fn eventful(second: u64) -> Line {
    let hours = (second - MIDNIGHT_S) as f64 / 3600.0;
    match hours {
        h if (2.0..2.9).contains(&h) => Line {
            known: false,
            ..GOOD
        },
        h if (6.0..8.5).contains(&h) => Line { loss: 0.03, ..GOOD },
        h if (10.5..11.2).contains(&h) => Line { up: false, ..GOOD },
        h if (13.0..15.0).contains(&h) => Line {
            latency_us: 45_000.0,
            jitter_us: 35_000.0,
            ..GOOD
        },
        h if (17.0..17.02).contains(&h) => Line {
            latency_us: 700_000.0,
            jitter_us: 112_000.0,
            ..GOOD
        },
        h if (18.3..18.302).contains(&h) => Line { up: false, ..GOOD },
        h if (19.5..20.0).contains(&h) => Line { loss: 0.35, ..GOOD },
        h if (21.0..21.03).contains(&h) => Line { loss: 1e-4, ..GOOD },
        _ => GOOD,
    }
}

fn rows(from_s: u64, to_s: u64, step_s: u64, line: impl Fn(u64) -> Line) -> Vec<(u64, Sample)> {
    let mut chance = Chance(from_s);
    let starts = (from_s..to_s).step_by(step_s as usize);
    let rows = starts.map(|start_s| (start_s, row(start_s, step_s, &line, &mut chance)));
    rows.filter(|(_, row)| row.measured_s > 0).collect()
}

/// Rows as they would be after longer times, without a second look at each second.
fn long_rows(
    from_s: u64,
    to_s: u64,
    step_s: u64,
    line: impl Fn(u64) -> Line,
) -> Vec<(u64, Sample)> {
    let mut chance = Chance(from_s);
    let starts = (from_s..to_s).step_by(step_s as usize);
    let rows = starts.map(|start_s| {
        let mut sample = row(start_s, 60, &line, &mut chance);
        let minute = sample;
        (1..step_s / 60).for_each(|_| sample.add(&minute));
        (start_s, sample)
    });
    rows.filter(|(_, row)| row.measured_s > 0).collect()
}

fn main() -> io::Result<()> {
    let Some(directory) = env::args().nth(1) else {
        return Err(io::Error::other("which directory? pictures DIRECTORY"));
    };
    let directory = Path::new(&directory);
    fs::create_dir_all(directory)?;
    let day = rows(MIDNIGHT_S, MIDNIGHT_S + DAY_S, 60, eventful);
    let quiet = rows(MIDNIGHT_S, MIDNIGHT_S + DAY_S, 60, |_| GOOD);
    let long_day = rows(MIDNIGHT_S - 4 * HOUR_S, MIDNIGHT_S + DAY_S, 100, |second| {
        eventful(second.max(MIDNIGHT_S))
    });
    let hour_start_s = MIDNIGHT_S + 19 * HOUR_S;
    let hour = rows(hour_start_s, hour_start_s + HOUR_S, 1, eventful);
    let minutes = rows(hour_start_s + 1500, hour_start_s + 2100, 1, eventful);
    let week = long_rows(MIDNIGHT_S, MIDNIGHT_S + 7 * DAY_S, 600, |second| {
        eventful(MIDNIGHT_S + second % DAY_S)
    });
    let year = long_rows(
        MIDNIGHT_S,
        MIDNIGHT_S + 366 * DAY_S,
        HOUR_S,
        |second| match second / DAY_S % 90 {
            30..35 => Line {
                known: false,
                ..GOOD
            },
            _ => eventful(MIDNIGHT_S + second % DAY_S),
        },
    );
    let link = Graph {
        title: "L2TP-remote-1",
        subtitle: "tunnel head1, FTTP, set A",
        kind: Kind::Link,
        from_unix_s: MIDNIGHT_S,
        to_unix_s: MIDNIGHT_S + DAY_S,
        step_s: 60,
        rows: &day,
        utc_offset_s: 0,
    };
    let set = Graph {
        title: "set/A/198.51.100.1",
        subtitle: "two links",
        kind: Kind::Set,
        ..link
    };
    let hour_end_s = hour_start_s + HOUR_S;
    let graphs = [
        ("day", link),
        (
            "quiet-day",
            Graph {
                rows: &quiet,
                ..link
            },
        ),
        (
            "28-hours",
            Graph {
                rows: &long_day,
                from_unix_s: MIDNIGHT_S - 4 * HOUR_S,
                step_s: 100,
                utc_offset_s: 3600,
                ..link
            },
        ),
        (
            "hour",
            Graph {
                rows: &hour,
                from_unix_s: hour_start_s,
                to_unix_s: hour_end_s,
                step_s: 1,
                ..link
            },
        ),
        (
            "ten-minutes",
            Graph {
                rows: &minutes,
                from_unix_s: hour_start_s + 1500,
                to_unix_s: hour_start_s + 2100,
                step_s: 1,
                ..link
            },
        ),
        (
            "week",
            Graph {
                rows: &week,
                to_unix_s: MIDNIGHT_S + 7 * DAY_S,
                step_s: 600,
                ..link
            },
        ),
        (
            "year",
            Graph {
                rows: &year,
                to_unix_s: MIDNIGHT_S + 366 * DAY_S,
                step_s: 3600,
                ..link
            },
        ),
        ("set-day", set),
        (
            "empty",
            Graph {
                rows: &[],
                title: "<nothing> & \"nobody\"",
                ..link
            },
        ),
        (
            "one-row",
            Graph {
                rows: &day[600..601],
                to_unix_s: MIDNIGHT_S + 11 * HOUR_S,
                from_unix_s: MIDNIGHT_S + 10 * HOUR_S,
                ..link
            },
        ),
    ];
    for (name, graph) in graphs {
        let write = |ending: &str, octets: &[u8]| {
            fs::write(directory.join(format!("{name}.{ending}")), octets)
        };
        let timed = std::time::Instant::now();
        let svg = graph::svg(&graph);
        let svg_time = timed.elapsed();
        let png = graph::png(&graph, 1100);
        let png_time = timed.elapsed() - svg_time;
        println!(
            "{name}: {} rows; SVG {} octets in {svg_time:?}; PNG {} octets in {png_time:?}",
            graph.rows.len(),
            svg.len(),
            png.len()
        );
        write("svg", svg.as_bytes())?;
        write("png", &png)?;
        write("csv", graph::csv(&graph).as_bytes())?;
        write("json", graph::json(&graph).as_bytes())?;
        write("txt", graph::text(&graph, 100, false).as_bytes())?;
    }
    Ok(())
}
