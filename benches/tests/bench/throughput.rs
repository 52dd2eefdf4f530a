//! Throughput beside testpmd.

use super::{Folder, measured, number};

const SECTION: &str = "throughput";
const ROW: &str = "64 octets, 2 links";

#[test]
fn one_appliance_and_a_pair_have_a_rate_at_which_nothing_is_lost() {
    let folder = Folder::new(SECTION);
    let report = measured(SECTION, &folder.0);
    for table in ["memif", "memif-pair"] {
        let of = |column: &str| number(&report, SECTION, table, ROW, column);
        // There are figures only of trials in which every link brought every frame, with so few exceptions.
        assert!(of("Mpps") > 0.0 && of("lost of a million") <= 100.0);
        assert!(of("cycles a packet") > 0.0);
        let gigabits = of("Mpps") * 64.0 * 8.0 / 1000.0;
        assert!((of("Gb/s (inner, layer 2)") - gigabits).abs() < 1e-6 * gigabits);
        for testpmd in ["5tswap", "mac"] {
            let ratio = of("Mpps") / of(&format!("testpmd {testpmd} Mpps"));
            assert!((of(&format!("of {testpmd}")) - ratio).abs() < 1e-6 * ratio);
        }
    }
    assert!(number(&report, SECTION, "source", "64 octets, memif", "Mpps") > 0.0);
    let tables = report.sections.iter().flat_map(|section| &section.tables);
    let cells = tables
        .flat_map(|table| &table.rows)
        .flat_map(|row| &row.cells);
    assert!(cells.filter_map(|cell| cell.number()).all(f64::is_finite));
}
