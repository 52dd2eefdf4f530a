use history::Spread;
use serde_json::Value;

use super::*;
use crate::Kind;

const START_S: u64 = 1_795_752_600;

fn sample() -> Sample {
    Sample {
        measured_s: 60,
        offline_s: 1,
        echoes_sent: 60,
        echoes_lost: 2,
        latency: Some(Spread {
            count: 2,
            total_us: 30,
            least_us: 10,
            most_us: 20,
        }),
        sent_packets: 5,
        sent_octets: 7500,
        received_packets: u64::MAX,
        received_octets: u64::MAX,
        settled_packets: 1000,
        lost_packets: 31,
        wins: 400,
        saved_packets: 6,
        skew: None,
    }
}

fn graph<'a>(title: &'a str, rows: &'a [(u64, Sample)]) -> Graph<'a> {
    Graph {
        title,
        subtitle: "",
        kind: Kind::Link,
        from_unix_s: START_S,
        to_unix_s: START_S + 600,
        step_s: 60,
        rows,
        utc_offset_s: 3600,
    }
}

fn rows() -> Vec<(u64, Sample)> {
    let less = Sample {
        lost_packets: -4,
        latency: None,
        settled_packets: 0,
        ..sample()
    };
    vec![
        (START_S, sample()),
        (START_S + 60, less),
        (START_S + 900, sample()),
    ]
}

#[test]
fn csv_reads_back() {
    let rows = rows();
    let text = csv(&graph("Line, \"A\"\r\n", &rows));
    assert!(text.ends_with("\r\n"));
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(reader.headers().unwrap(), &COLUMNS[..]);
    let read: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(read.len(), 2, "the third is outside");
    let cell = |row: usize, name: &str| {
        let place = COLUMNS.iter().position(|column| *column == name).unwrap();
        read[row][place].to_owned()
    };
    assert_eq!(cell(0, "graph"), "Line, \"A\"\r\n");
    assert_eq!(cell(0, "start_utc"), "2026-11-27T04:10:00Z");
    assert_eq!(cell(1, "start_unix_s"), (START_S + 60).to_string());
    assert_eq!(cell(0, "latency_mean_us"), "15");
    assert_eq!(cell(0, "sent_bit_s"), "1000");
    assert_eq!(cell(0, "loss_ratio"), "0.031");
    assert_eq!(cell(0, "received_octets"), u64::MAX.to_string());
    assert_eq!(cell(1, "lost_packets"), "-4");
    assert_eq!(
        [
            cell(1, "latency_least_us"),
            cell(1, "loss_ratio"),
            cell(0, "skew_most_us")
        ],
        ["", "", ""]
    );
}

#[test]
fn json_has_the_columns_of_csv() {
    let rows = rows();
    let read: Vec<serde_json::Map<String, Value>> =
        serde_json::from_str(&json(&graph("=A", &rows))).unwrap();
    assert_eq!(read.len(), 2);
    let mut columns = COLUMNS;
    columns.sort_unstable();
    assert_eq!(
        read[0].keys().map(String::as_str).collect::<Vec<_>>(),
        columns
    );
    assert_eq!(read[0]["graph"], "=A");
    assert_eq!(read[0]["start_utc"], "2026-11-27T04:10:00Z");
    assert_eq!(read[0]["received_octets"], u64::MAX);
    assert_eq!(read[0]["loss_ratio"], 0.031);
    assert_eq!(read[1]["lost_packets"], -4);
    assert_eq!(read[1]["latency_least_us"], Value::Null);
}

/// The columns are in the order of the cells.
#[test]
fn serde_and_the_header_agree() {
    let row = [(START_S, sample())];
    let text = json(&graph("", &row));
    let places = COLUMNS.map(|column| text.find(&format!("\"{column}\":")));
    assert!(
        places.is_sorted() && places.iter().all(Option::is_some),
        "{places:?}"
    );
}

#[test]
fn no_name_is_a_formula() {
    let row = [(START_S, sample())];
    for name in ["=1+1", "+1", "-1", "@A", "\t=1", "\r=1"] {
        let text = csv(&graph(name, &row));
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let record = reader.records().next().unwrap().unwrap();
        assert_eq!(record[0], format!("'{name}"));
    }
}

#[test]
fn without_rows_there_is_a_header() {
    assert_eq!(csv(&graph("A", &[])), COLUMNS.join(",") + "\r\n");
    assert_eq!(json(&graph("A", &[])), "[]");
}
