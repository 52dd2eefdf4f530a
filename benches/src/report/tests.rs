use super::*;

fn report() -> Report {
    let columns = vec![
        Column::new("Mpps", 2),
        Column::ratio("of testpmd"),
        Column::new("lost packets", 0),
        Column::new("where", 0),
    ];
    let mut table = Table::new("memif", "Over memif", "frames", columns);
    table.push(
        "64 octets",
        vec![
            Cell::Value(1.234),
            Cell::Figure(Figure::new(&[0.5, 0.25, 0.75])),
            Cell::Count(1_234_567),
            Cell::Text("CPU 1".to_owned()),
        ],
    );
    Report {
        command: "scripts/bench --quick".to_owned(),
        effort: "quick".to_owned(),
        machine: Machine::read("0000000"),
        sections: vec![Section {
            name: "throughput".to_owned(),
            title: "Throughput".to_owned(),
            introduction: "What goes through.".to_owned(),
            tables: vec![table],
            pictures: vec![Picture {
                file: "throughput.svg".to_owned(),
                caption: "Rates".to_owned(),
            }],
            notes: vec!["Warm.".to_owned()],
            seconds: 12.4,
        }],
    }
}

#[test]
fn a_figure_is_found_by_its_name() {
    let report = report();
    let name = Name {
        section: "throughput",
        table: "memif",
        row: "64 octets",
        column: "of testpmd",
    };
    assert_eq!(name.to_string(), "throughput/memif/64 octets/of testpmd");
    assert_eq!(report.text(name).as_deref(), Some("0.50 (0.25-0.75)"));
    assert_eq!(report.cell(name).and_then(Cell::number), Some(0.5));
    let elsewhere = Name {
        row: "65 octets",
        ..name
    };
    assert_eq!(report.cell(elsewhere), None);
}

#[test]
fn markdown_holds_every_cell() {
    let text = report().markdown();
    let row = "| 64 octets | 1.23 | 0.50 (0.25-0.75) | 1 234 567 | CPU 1 |";
    assert!(text.contains(row), "{text}");
    assert!(text.contains("| frames | Mpps | of testpmd | lost packets | where |"));
    assert!(text.contains("![Rates](throughput.svg)"));
    assert!(text.contains("\n- Warm.\n"));
}

#[test]
fn what_was_written_is_read_again() {
    let folder = std::env::temp_dir().join(format!("hal2tp-report-{}", std::process::id()));
    let report = report();
    report.write(&folder).unwrap();
    assert_eq!(Report::read(&folder.join("report.json")).unwrap(), report);
    std::fs::write(folder.join("report.json"), "{}").unwrap();
    let problem = Report::read(&folder.join("report.json")).unwrap_err();
    assert!(problem.to_string().contains("report.json"), "{problem}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
#[should_panic(expected = "a second row")]
fn two_rows_of_one_name_could_not_be_told_apart() {
    let mut table = Table::new("a", "A", "rows", vec![]);
    table.push("one", vec![]);
    table.push("one", vec![]);
}

#[test]
#[should_panic(expected = "a number that is none")]
fn what_json_cannot_hold_is_not_told() {
    let mut table = Table::new("a", "A", "rows", vec![Column::new("Mpps", 2)]);
    table.push("one", vec![Cell::Figure(Figure::new(&[1.0, f64::NAN]))]);
}
