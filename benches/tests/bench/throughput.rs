//! Throughput beside testpmd. Whether there is a rate without loss depends on who else wants the CPUs; what is told of it does not.

use benches::report::{Cell, Name, Report};

use super::{Folder, measured, number};

const SECTION: &str = "throughput";
const ROW: &str = "64 octets, 2 links";
/// What a search says that found none, on a machine that does other things besides.
const NONE: &str = "no rate without loss";

/// Whether each of the columns holds a figure; none holds anything else but that there is none.
fn has_rates(report: &Report, table: &str, columns: &[&str]) -> bool {
    columns.iter().all(|column| {
        let name = Name {
            section: SECTION,
            table,
            row: ROW,
            column,
        };
        match report.cell(name) {
            Some(Cell::Text(text)) if text == NONE => false,
            Some(cell) if cell.number().is_some() => true,
            other => panic!("{name}: {other:?}"),
        }
    })
}

#[test]
fn the_figures_of_one_appliance_and_a_pair_fit_each_other() {
    let folder = Folder::new(SECTION);
    let report = measured(SECTION, &folder.0);
    let mut found = 0;
    for table in ["memif", "memif-pair"] {
        let of = |column: &str| number(&report, SECTION, table, ROW, column);
        if has_rates(&report, table, &["Mpps"]) {
            found += 1;
            // There are figures only of trials in which every link brought every frame, with so few exceptions.
            assert!(of("Mpps") > 0.0 && of("lost of a million") <= 100.0);
            assert!(of("cycles a packet") > 0.0);
            let gigabits = of("Mpps") * 64.0 * 8.0 / 1000.0;
            assert!((of("Gb/s (inner, layer 2)") - gigabits).abs() < 1e-6 * gigabits);
        }
        for testpmd in ["5tswap", "mac"] {
            let rate = format!("testpmd {testpmd} Mpps");
            found += usize::from(has_rates(&report, table, &[&rate]));
            if has_rates(&report, table, &["Mpps", &rate]) {
                let ratio = of("Mpps") / of(&rate);
                assert!((of(&format!("of {testpmd}")) - ratio).abs() < 1e-6 * ratio);
            }
        }
    }
    assert!(found > 0, "no search has found anything");
    let tables = report.sections.iter().flat_map(|section| &section.tables);
    let cells = tables
        .flat_map(|table| &table.rows)
        .flat_map(|row| &row.cells);
    assert!(cells.filter_map(|cell| cell.number()).all(f64::is_finite));
}
