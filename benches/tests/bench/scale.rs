//! A hundred LACs, fifty sets, and a worker among 32.

use benches::report::{Cell, Report};

use super::{Folder, measured, number};

const SECTION: &str = "scale";

#[test]
fn all_are_set_up_and_stay_and_take_memory() {
    let folder = Folder::new(SECTION);
    let report = measured(SECTION, &folder.0);

    let sessions = |column: &str| {
        let row = "100 tunnels, 100 sessions";
        number(&report, SECTION, "sessions", row, column)
    };
    assert_eq!(sessions("open"), 100.0);
    assert_eq!(sessions("least open while held"), 100.0);
    assert_eq!(sessions("attempts that failed"), 0.0);
    assert!(sessions("set-ups a second") > 0.0);
    assert!(sessions("CPU time for a set-up, µs") >= sessions("of which control thread, µs"));
    assert!(sessions("of which control thread, µs") > 0.0);
    assert!(sessions("memory with all, MiB") > sessions("memory before, MiB"));
    assert!(sessions("memory before, MiB") > 0.0);
    assert!(sessions("packet buffers, MiB") > 0.0);

    let sets = |row: &str, column: &str| number(&report, SECTION, "sets", row, column);
    let [few, many] = ["1 set, 2 links", "50 sets, 2 links"];
    assert_eq!(sets(few, "open links"), 2.0);
    assert_eq!(sets(many, "open links"), 100.0);
    for row in [few, many] {
        let of = |column: &str| sets(row, column);
        for column in ["least open while held", "links with every ring written"] {
            assert_eq!(of(column), of("open links"), "{row}: {column}");
        }
        assert!(
            of("memory with all up, MiB") > of("memory before, MiB"),
            "{row}"
        );
        let written = of("memory with every ring written, MiB");
        let computed = of("of which windows, computed, MiB") + of("of which books, computed, MiB");
        assert!(
            written - of("memory before, MiB") > computed,
            "{row}: {written}"
        );
    }
    // A window of 262 144 numbers is 64 KiB.
    assert_eq!(sets(many, "of which windows, computed, MiB"), 50.0 / 16.0);

    for what in [
        "window of 65536 numbers, a set",
        "window of 262144 numbers, a set",
        "window of 16777216 numbers, a set",
        "times of first copies, a set",
        "ring of what came, a link",
    ] {
        let ratio = number(&report, SECTION, "windows", what, "measured to computed");
        // What the allocator needs to find it again, and no more.
        assert!((0.97..1.1).contains(&ratio), "{what}: {ratio}");
    }

    let cycles = |row: &str, column: &str| number(&report, SECTION, "cycles", row, column);
    assert_eq!(cycles("1 set", "send, to one set"), 1.0);
    assert_eq!(cycles("32 sets", "sessions"), 64.0);
    for way in ["send, cycles a packet", "receive, cycles a copy"] {
        assert!(cycles("32 sets", way) > 0.0, "{way}");
    }
    assert!(all_rounds_count(&report));
    for picture in &report.sections[0].pictures {
        assert!(folder.0.join(&picture.file).is_file(), "{}", picture.file);
    }
}

/// Cycles stand with their spread.
fn all_rounds_count(report: &Report) -> bool {
    let tables = &report.sections[0].tables;
    let cycles = tables.iter().find(|table| table.name == "cycles");
    cycles.is_some_and(|table| {
        let mut rows = table.rows.iter();
        rows.all(|row| matches!(row.cells[1], Cell::Figure(_)))
    })
}
