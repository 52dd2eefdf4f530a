use benches::report::{Name, Report};

use super::{Folder, measured, number};

fn rows(report: &Report, table: &str) -> Vec<String> {
    let tables = report.sections.iter().flat_map(|section| &section.tables);
    let rows = tables.filter(|of| of.name == table).flat_map(|of| &of.rows);
    rows.map(|row| row.name.clone()).collect()
}

#[test]
fn every_frame_of_the_latency_section_is_accounted_for() {
    let folder = Folder::new("latency");
    let report = measured("latency", &folder.0);
    let mut found = 0;
    for (table, copies) in [("5tswap", 1.0), ("one appliance", 2.0), ("pair", 1.0)] {
        let rows = rows(&report, table);
        let name = Name {
            section: "latency",
            table: "rates",
            row: &format!("{table}, 64 octets"),
            column: "kpps",
        };
        // On a machine that does other things besides there may be no rate, and so no loads.
        let has_rate = report.cell(name).expect("a rate").number().is_some();
        assert_eq!(!rows.is_empty(), has_rate, "{table}");
        found += usize::from(has_rate);
        for row in rows {
            let value = |column| number(&report, "latency", table, &row, column);
            let ended = value("received") + value("lost");
            assert_eq!(ended, value("sent") * copies, "{table}");
            assert_eq!(value("twice"), 0.0, "{table}");
            // A machine that is busy otherwise may lose some, but something arrives.
            assert!(value("received") > 0.0, "{table}");
            let times = ["p50, µs", "p99, µs", "p99.9, µs", "max, µs"].map(value);
            assert!(times[0] > 0.0 && times.is_sorted(), "{table}: {times:?}");
        }
    }
    assert!(found > 0, "no search has found anything");
    assert_eq!(rows(&report, "rates").len(), 3);
    let pictures = &report.sections[0].pictures;
    assert!(!pictures.is_empty());
    let is_there = |file: &str| folder.0.join(file).is_file();
    assert!(pictures.iter().all(|picture| is_there(&picture.file)));
}
