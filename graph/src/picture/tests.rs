use std::{env, fs};

use history::{Sample, Spread};
use proptest::prelude::*;
use roxmltree::{Document, Node};
use tiny_skia::Pixmap;

use super::style::{Colour, Fill};
use super::*;

const START_S: u64 = 1_795_737_600;
const ROWS: u64 = 20;

fn good() -> Sample {
    Sample {
        measured_s: 60,
        echoes_sent: 60,
        latency: Some(Spread {
            count: 60,
            total_us: 600_000,
            least_us: 8_000,
            most_us: 14_000,
        }),
        sent_octets: 60 * 125_000,
        received_octets: 60 * 1_125_000,
        settled_packets: 100_000,
        ..Sample::default()
    }
}

fn offline_for(offline_s: u32) -> Sample {
    Sample {
        measured_s: 60,
        offline_s,
        ..Sample::default()
    }
}

/// Twenty minutes of which each that is not good is so in its own way.
fn rows() -> Vec<(u64, Sample)> {
    let minute = |index| {
        let sample = match index {
            2 => Sample {
                lost_packets: 1,
                ..good()
            },
            4 => Sample {
                lost_packets: 50_000,
                ..good()
            },
            6 => offline_for(60),
            8 => offline_for(1),
            10 => return None,
            12 => Sample {
                latency: Some(Spread::of(700_000)),
                ..good()
            },
            14 => Sample {
                echoes_lost: 30,
                ..good()
            },
            16 => Sample {
                saved_packets: 3_000,
                ..good()
            },
            _ => good(),
        };
        Some((START_S + 60 * index, sample))
    };
    (0..ROWS).filter_map(minute).collect()
}

fn graph<'a>(kind: Kind, title: &'a str, rows: &'a [(u64, Sample)]) -> Graph<'a> {
    Graph {
        title,
        subtitle: "tunnel head1",
        kind,
        from_unix_s: START_S,
        to_unix_s: START_S + 60 * ROWS,
        step_s: 60,
        rows,
        utc_offset_s: 0,
    }
}

/// `UPDATE_GOLDEN=1` writes the picture anew: look at it before you keep it.
#[test]
fn the_picture_is_as_it_was() {
    let rows = rows();
    for (kind, name) in [(Kind::Link, "link.svg"), (Kind::Set, "set.svg")] {
        let path = format!("{}/src/picture/tests/{name}", env!("CARGO_MANIFEST_DIR"));
        let drawn = crate::svg(&graph(kind, "L2TP-remote-1", &rows));
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &drawn).unwrap();
        }
        let golden = fs::read_to_string(&path).unwrap();
        let difference = drawn
            .lines()
            .zip(golden.lines())
            .find(|(drawn, golden)| drawn != golden);
        assert_eq!(difference, None, "{name}");
        assert_eq!(drawn.len(), golden.len(), "{name}");
    }
}

/// What colour the picture has, in the middle of a minute, so many units below the plot's top.
struct Pixels {
    pixels: Pixmap,
    top: f64,
}

impl Pixels {
    fn of(graph: &Graph<'_>) -> Self {
        let scene = scene(graph);
        let frame = scene.items.iter().rev().find_map(|item| match item {
            scene::Item::Shape(shape) if shape.class == Class::Edge => Some(shape.lines[0][0]),
            _ => None,
        });
        Self {
            pixels: Pixmap::decode_png(&png(&scene, WIDTH as u32)).unwrap(),
            top: frame.unwrap().y,
        }
    }

    fn at(&self, minute: u64, below_top: f64) -> Colour {
        let x = LEFT + (RIGHT - LEFT) * (minute as f64 + 0.5) / ROWS as f64;
        let pixel = self
            .pixels
            .pixel(x as u32, (self.top + below_top) as u32)
            .unwrap();
        Colour(pixel.red(), pixel.green(), pixel.blue())
    }
}

fn fill(class: Class) -> Colour {
    let Some(Fill::Plain { ink, .. }) = class.style().fill else {
        panic!("{class:?} has no plain fill");
    };
    ink.light
}

#[test]
fn what_happened_is_where_it_should_be() {
    let rows = rows();
    let pixels = Pixels::of(&graph(Kind::Link, "A", &rows));
    let ground = fill(Class::Ground);
    assert_eq!(pixels.at(1, 1.0), ground);
    assert_eq!(
        pixels.at(2, 1.0),
        fill(Class::Loss),
        "a packet of a hundred thousand"
    );
    assert_eq!(pixels.at(2, 4.0), ground);
    assert_eq!(pixels.at(4, 100.0), fill(Class::Loss), "half of them");
    assert_ne!(pixels.at(4, 145.0), fill(Class::Loss));
    let purples = [fill(Class::Offline), Colour(0xb8, 0x60, 0x9a)];
    let column: Vec<_> = (3..270).map(|y| pixels.at(6, f64::from(y))).collect();
    assert!(purples.iter().all(|purple| column.contains(purple)));
    assert_eq!(
        pixels.at(8, PLOT_HEIGHT - 12.0),
        fill(Class::PartlyOffline),
        "a second"
    );
    assert_eq!(
        pixels.at(8, PLOT_HEIGHT + 5.0),
        fill(Class::PartlyOffline),
        "its mark"
    );
    assert_ne!(pixels.at(10, 1.0), ground, "unknown");
    assert_eq!(pixels.at(12, -7.0), fill(Class::Beyond), "its mark");
    assert_eq!(pixels.at(13, -7.0), ground);
    let echoes: Vec<_> = (3..135).map(|y| pixels.at(14, f64::from(y))).collect();
    assert!(
        echoes.contains(&fill(Class::Loss)) && echoes.contains(&ground),
        "in stripes"
    );
}

#[test]
fn a_set_has_no_latency_but_what_it_saved() {
    let rows = rows();
    let set = graph(Kind::Set, "A", &rows);
    let pixels = Pixels::of(&set);
    let ground = fill(Class::Ground);
    assert_ne!(pixels.at(16, PLOT_HEIGHT - 40.0), ground);
    assert_eq!(pixels.at(17, PLOT_HEIGHT - 40.0), ground);
    let drawn = crate::svg(&set);
    assert!(drawn.contains("id=\"saved\"") && !drawn.contains("id=\"latency"));
}

#[test]
fn sizes_are_bounded() {
    let noise = |index: u64| index.wrapping_mul(6_364_136_223_846_793_005) >> 40;
    let row = |index| Sample {
        latency: Some(Spread {
            count: 1,
            total_us: noise(index),
            least_us: noise(index) / 2,
            most_us: noise(index) * 2,
        }),
        lost_packets: (noise(index + 1) % 100_000) as i64,
        echoes_lost: noise(index + 2) % 60,
        sent_octets: noise(index + 3),
        received_octets: noise(index + 4),
        offline_s: (noise(index + 5) % 2) as u32,
        ..good()
    };
    for count in [3600, 8784] {
        let rows: Vec<_> = (0..count)
            .filter(|index| noise(index + 6) % 5 > 0)
            .map(|index| (START_S + 60 * index, row(index)))
            .collect();
        let graph = Graph {
            to_unix_s: START_S + 60 * count,
            ..graph(Kind::Link, "A", &rows)
        };
        let octets = crate::svg(&graph).len();
        assert!(octets < 400_000, "{octets}");
    }
}

#[test]
fn the_png_is_as_wide_as_asked_for() {
    let rows = rows();
    let octets = crate::png(&graph(Kind::Link, "A", &rows), 550);
    assert_eq!(Pixmap::decode_png(&octets).unwrap().width(), 550);
    assert_eq!([0, 550, u32::MAX].map(png::possible), [200, 550, 4400]);
}

#[test]
fn names_are_only_names() {
    let title = "<script>alert('&\"]]>\u{0}\u{1b}\u{ffff}</script>";
    let drawn = crate::svg(&graph(Kind::Link, title, &[]));
    let document = Document::parse(&drawn).unwrap();
    assert!(
        !document
            .descendants()
            .any(|node| node.has_tag_name("script"))
    );
    let shown = title.replace(['\u{0}', '\u{1b}', '\u{ffff}'], "\u{fffd}");
    let titles = document
        .descendants()
        .filter(|node| node.text() == Some(&shown));
    assert_eq!(
        titles.filter(Node::is_element).count(),
        2,
        "as <title>, and to be read"
    );
}

#[test]
fn every_class_has_its_own_name_and_looks() {
    for (index, class) in Class::ALL.into_iter().enumerate() {
        let others = &Class::ALL[index + 1..];
        assert!(
            others.iter().all(|other| other.name() != class.name()),
            "{class:?}"
        );
    }
    let data = [
        Class::Loss,
        Class::Echoes,
        Class::Least,
        Class::Range,
        Class::Offline,
        Class::Unknown,
    ];
    for (index, class) in data.iter().enumerate() {
        let others = &data[index + 1..];
        assert!(
            others.iter().all(|other| other.style() != class.style()),
            "{class:?}"
        );
    }
}

/// Every coordinate of the drawing is a number, and in the picture.
fn check(svg: &str) -> Result<(), TestCaseError> {
    let document = Document::parse(svg).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let root = document.root_element();
    let size = |name| {
        root.attribute(name)
            .and_then(|size| size.parse::<f64>().ok())
    };
    let (width, height) = (size("width").unwrap_or(0.0), size("height").unwrap_or(0.0));
    prop_assert!(width == WIDTH && (300.0..=600.0).contains(&height));
    for text in document
        .descendants()
        .filter(|node| node.has_tag_name("text"))
    {
        let place = |name| {
            text.attribute(name)
                .and_then(|place| place.parse::<f64>().ok())
        };
        prop_assert!(
            place("x").is_some_and(|x| (0.0..=width).contains(&x)),
            "{text:?}"
        );
        prop_assert!(
            place("y").is_some_and(|y| (0.0..=height).contains(&y)),
            "{text:?}"
        );
    }
    for path in document
        .descendants()
        .filter(|node| node.has_tag_name("path"))
    {
        check_path(path.attribute("d").unwrap_or_default(), width, height)?;
    }
    Ok(())
}

fn check_path(path: &str, width: f64, height: f64) -> Result<(), TestCaseError> {
    prop_assert!(path.starts_with('M'));
    for step in path.split_inclusive(|letter: char| letter.is_ascii_alphabetic()) {
        // The letter that ends a part begins the next.
        let numbers = step.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        for number in numbers.split_whitespace() {
            let number: Result<f64, _> = number.parse();
            prop_assert!(
                number.is_ok_and(|n| (0.0..=width.max(height)).contains(&n)),
                "{step}"
            );
        }
    }
    Ok(())
}

/// Small numbers, and those at the ends.
fn count() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        any::<u64>(),
        0..100_000_u64
    ]
}

fn spread() -> impl Strategy<Value = Option<Spread>> {
    let spread = (count(), count(), count(), count());
    prop::option::of(
        spread.prop_map(|(count, total_us, least_us, most_us)| Spread {
            count,
            total_us,
            least_us,
            most_us,
        }),
    )
}

fn sample() -> impl Strategy<Value = Sample> {
    let seconds = || prop_oneof![Just(0), Just(u32::MAX), 0..100_u32];
    let lost = prop_oneof![
        Just(i64::MIN),
        Just(i64::MAX),
        any::<i64>(),
        -5..100_000_i64
    ];
    let counts = proptest::array::uniform8(count());
    (seconds(), seconds(), counts, lost, spread(), spread()).prop_map(
        |(measured_s, offline_s, counts, lost_packets, latency, skew)| {
            let [
                echoes_sent,
                echoes_lost,
                sent_octets,
                received_octets,
                settled_packets,
                wins,
                saved_packets,
                packets,
            ] = counts;
            Sample {
                measured_s,
                offline_s,
                echoes_sent,
                echoes_lost,
                latency,
                sent_packets: packets,
                sent_octets,
                received_packets: packets,
                received_octets,
                settled_packets,
                lost_packets,
                wins,
                saved_packets,
                skew,
            }
        },
    )
}

/// Owns what a `Graph` borrows.
#[derive(Clone, Debug)]
struct Anything {
    texts: [String; 2],
    kind: Kind,
    times: [u64; 2],
    step_s: u32,
    rows: Vec<(u64, Sample)>,
    utc_offset_s: i32,
}

impl Anything {
    fn graph(&self) -> Graph<'_> {
        Graph {
            title: &self.texts[0],
            subtitle: &self.texts[1],
            kind: self.kind,
            from_unix_s: self.times[0],
            to_unix_s: self.times[1],
            step_s: self.step_s,
            rows: &self.rows,
            utc_offset_s: self.utc_offset_s,
        }
    }
}

fn anything() -> impl Strategy<Value = Anything> {
    let start = || prop_oneof![START_S..START_S + 100_000, count()];
    (
        proptest::array::uniform2(any::<String>()),
        prop_oneof![Just(Kind::Link), Just(Kind::Set)],
        proptest::array::uniform2(start()),
        prop_oneof![Just(0), Just(u32::MAX), 1..5000_u32],
        prop::collection::vec((start(), sample()), 0..40),
        prop_oneof![Just(0), -50_000..50_000_i32, any::<i32>()],
    )
        .prop_map(
            |(texts, kind, times, step_s, rows, utc_offset_s)| Anything {
                texts,
                kind,
                times,
                step_s,
                rows,
                utc_offset_s,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn whatever_there_is_can_be_drawn(anything in anything(), columns in 0..500_usize) {
        let graph = anything.graph();
        check(&crate::svg(&graph))?;
        prop_assert!(!crate::text(&graph, columns, true).is_empty());
        let table = crate::csv(&graph);
        let mut reader = csv::Reader::from_reader(table.as_bytes());
        let in_csv = reader.records().filter(Result::is_ok).count();
        let in_json: Vec<serde_json::Value> = serde_json::from_str(&crate::json(&graph)).unwrap();
        prop_assert_eq!(in_csv, in_json.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 20, ..ProptestConfig::default() })]

    /// Few: each takes as long as a hundred of the others.
    #[test]
    fn whatever_there_is_has_pixels(anything in anything()) {
        let octets = crate::png(&anything.graph(), 200);
        prop_assert!(Pixmap::decode_png(&octets).is_ok());
    }
}
