//! What a history costs: octets that the process has the disk write, length of the file, time of a second, and of a start.
//!
//! `cargo run --release -p history --example wear -- GRAPHS HOURS DIRECTORY [STEP_S]`; the time is virtual, as fast as it goes. With
//! a step, one second of so many is recorded, with what all of them had: a whole year takes minutes. The directory `memory` is none.

use std::path::Path;
use std::time::{Duration, Instant};

use history::{Opened, Sample, Spread, Tier};

const BASE_S: u64 = 1_764_201_600;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (graphs, hours, directory, step_s) = match arguments.as_slice() {
        [graphs, hours, directory] => (graphs, hours, directory, 1),
        [graphs, hours, directory, step_s] => {
            let step_s = step_s.parse().expect("a number of seconds");
            (graphs, hours, directory, step_s)
        }
        _ => {
            eprintln!("usage: wear GRAPHS HOURS DIRECTORY [STEP_S]");
            std::process::exit(2);
        }
    };
    let graphs: u64 = graphs.parse().expect("a number of graphs");
    let hours: u64 = hours.parse().expect("a number of hours");
    let names: Vec<String> = (0..graphs).map(|it| format!("L2TP-remote-{it}")).collect();
    let mut opened = opened(Path::new(directory));
    for hour in 0..hours {
        let before = written_octets();
        let (mut spent, mut longest) = (Duration::ZERO, Duration::ZERO);
        for at in (BASE_S + hour * 3600..BASE_S + (hour + 1) * 3600).step_by(step_s) {
            let samples = (0..)
                .zip(&names)
                .map(|(it, name)| (name.as_str(), busy(it, at, step_s)));
            let began = Instant::now();
            opened
                .recorder
                .record(at, samples)
                .expect("a disk with room");
            let passed = began.elapsed();
            spent += passed;
            longest = longest.max(passed);
        }
        let written = written_octets() - before;
        if hour > 2 && hour + 1 < hours && hour % 500 != 0 {
            continue;
        }
        println!(
            "hour {hour}: {:.1} KiB/s written, file {:.1} MiB, {:.2} ms a second, at most {} ms",
            written as f64 / 1024.0 / 3600.0,
            opened.reader.file_octets().unwrap_or(0) as f64 / f64::from(1 << 20),
            spent.as_secs_f64() * 1000.0 / 3600.0,
            longest.as_millis(),
        );
    }
    for tier in Tier::ALL {
        let began = Instant::now();
        let rows = opened
            .reader
            .rows(&names[0], tier, 0..u64::MAX)
            .expect("rows");
        println!("{} rows of {tier:?} in {:?}", rows.len(), began.elapsed());
    }
    opened.recorder.flush().expect("a disk with room");
    println!("memory of the process {} MiB", memory_mib());
    drop(opened);
    let began = Instant::now();
    let opened = self::opened(Path::new(directory));
    println!(
        "opened in {:?}, {} graphs",
        began.elapsed(),
        opened.reader.count()
    );
}

fn opened(directory: &Path) -> Opened {
    if directory == Path::new("memory") {
        return history::in_memory().expect("memory for it");
    }
    let opened = history::open(directory).expect("a directory for it");
    if let Some(set_aside) = &opened.set_aside {
        println!("set aside: {set_aside:?}");
    }
    opened
}

/// A link with 9000 packets a second, more or less, and all that is measured.
fn busy(graph: u64, at_s: u64, seconds: usize) -> Sample {
    let noise = (graph ^ at_s).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50;
    let second = Sample {
        measured_s: 1,
        echoes_sent: 1,
        latency: Some(Spread::of(20_000 + noise)),
        sent_packets: 9000 + noise / 16,
        sent_octets: 11_000_000 + noise * 400,
        received_packets: 9000 + noise / 32,
        received_octets: 11_000_000 + noise * 300,
        settled_packets: 9000 + noise / 32,
        lost_packets: i64::from(noise.is_multiple_of(50)),
        wins: 4000 + noise / 8,
        skew: Some(Spread::of(3000 + noise / 4)),
        ..Sample::default()
    };
    let mut sum = second;
    (1..seconds).for_each(|_| sum.add(&second));
    sum
}

/// Memory that this process has (proc(5), `VmRSS`).
fn memory_mib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|kib| kib.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

/// What this process had written to disk so far (proc(5), `write_bytes`).
fn written_octets() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|octets| octets.trim().parse().ok())
        .unwrap_or(0)
}
