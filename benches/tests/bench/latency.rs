use benches::report::Report;

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
    for (table, copies) in [("5tswap", 1.0), ("one appliance", 2.0), ("pair", 1.0)] {
        let rows = rows(&report, table);
        assert!(!rows.is_empty(), "{table}");
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
    assert_eq!(rows(&report, "rates").len(), 3);
    assert!(
        folder
            .0
            .join(&report.sections[0].pictures[0].file)
            .is_file()
    );
}
