//! Section `again`: whether a run finds the ratios of an earlier one.

use benches::report::{Cell, Column, Report, Section, Table};

/// How far a ratio without a spread of its own may be off, as a share.
const TOLERANCE: f64 = 0.10;

/// The ratios of both runs beside each other.
pub(crate) fn section(earlier: &Report, now: &Report) -> Section {
    let pairs = pairs(earlier, now);
    let columns = vec![
        Column::new("ratios", 0),
        Column::new("within the spread", 0),
        Column::new("half of all apart at most, %", 1),
        Column::new("furthest apart, %", 1),
    ];
    let mut summary = Table::new("ratios", "Ratios found again", "section", columns);
    let columns = vec![
        Column::new("earlier", 0),
        Column::new("now", 0),
        Column::new("apart, %", 1),
    ];
    let mut outside = Table::new("outside", "Outside of the spread", "ratio", columns);
    for section in &now.sections {
        let of_section = |pair: &&Pair<'_>| pair.section == section.name;
        let mut apart: Vec<f64> = Vec::new();
        let mut within = 0;
        for pair in pairs.iter().filter(of_section) {
            apart.push(pair.apart_percent());
            if pair.is_within_spread() {
                within += 1;
            } else {
                outside.push(&pair.name, pair.cells());
            }
        }
        apart.sort_by(f64::total_cmp);
        if let (Some(middle), Some(most)) = (apart.get(apart.len() / 2), apart.last()) {
            summary.push(
                &section.name,
                vec![
                    Cell::Count(apart.len() as u64),
                    Cell::Count(within),
                    Cell::Value(*middle),
                    Cell::Value(*most),
                ],
            );
        }
    }
    Section {
        name: "again".to_owned(),
        title: "The same command, run twice".to_owned(),
        introduction: format!(
            "Every ratio of this run beside the one of an earlier run on the same machine ({}, hal2tp {}). Within the spread are ratios whose least-most \
             overlap; one without a spread of its own may be {:.0} % off.",
            earlier.machine.date,
            earlier.machine.commit,
            TOLERANCE * 100.0
        ),
        tables: vec![summary, outside],
        pictures: Vec::new(),
        notes: Vec::new(),
        seconds: 0.0,
    }
}

/// One ratio in both runs.
struct Pair<'a> {
    section: &'a str,
    name: String,
    earlier: &'a Cell,
    now: &'a Cell,
    column: &'a Column,
}

impl Pair<'_> {
    fn apart_percent(&self) -> f64 {
        match (self.earlier.number(), self.now.number()) {
            (Some(earlier), Some(now)) => (now / earlier - 1.0).abs() * 100.0,
            _ => f64::NAN,
        }
    }

    fn is_within_spread(&self) -> bool {
        let [earlier, now] = [self.earlier, self.now].map(|cell| match cell {
            Cell::Figure(figure) => Some((figure.least, figure.most)),
            _ => None,
        });
        match (earlier, now) {
            (Some((least, most)), Some((now_least, now_most))) => {
                now_least <= most && least <= now_most
            }
            _ => self.apart_percent() <= TOLERANCE * 100.0,
        }
    }

    fn cells(&self) -> Vec<Cell> {
        let text = |cell: &Cell| Cell::Text(cell.text(self.column));
        let apart = self.apart_percent();
        vec![text(self.earlier), text(self.now), Cell::Value(apart)]
    }
}

/// All ratios that both runs have as numbers.
fn pairs<'a>(earlier: &'a Report, now: &'a Report) -> Vec<Pair<'a>> {
    let mut pairs = Vec::new();
    for figure in now.figures() {
        let Some(before) = earlier.cell(figure.name) else {
            continue;
        };
        if figure.column.is_ratio && before.number().is_some() && figure.cell.number().is_some() {
            pairs.push(Pair {
                section: figure.name.section,
                name: figure.name.to_string(),
                earlier: before,
                now: figure.cell,
                column: figure.column,
            });
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use benches::figure::Figure;
    use benches::machine::Machine;

    use super::*;

    fn report(of_5tswap: &[f64], of_mac: f64) -> Report {
        let columns = vec![
            Column::ratio("of 5tswap"),
            Column::ratio("of mac"),
            Column::new("Mpps", 1),
        ];
        let mut table = Table::new("memif", "Memif", "frames", columns);
        table.push(
            "64 octets",
            vec![
                Cell::Figure(Figure::new(of_5tswap)),
                Cell::Value(of_mac),
                Cell::Value(of_mac * 7.0),
            ],
        );
        Report {
            command: String::new(),
            effort: "full".to_owned(),
            machine: Machine::read("abc"),
            sections: vec![Section {
                name: "throughput".to_owned(),
                title: String::new(),
                introduction: String::new(),
                tables: vec![table],
                pictures: Vec::new(),
                notes: Vec::new(),
                seconds: 1.0,
            }],
        }
    }

    fn outside(earlier: &Report, now: &Report) -> Vec<String> {
        let section = section(earlier, now);
        let rows = &section.tables[1].rows;
        rows.iter().map(|row| row.name.clone()).collect()
    }

    #[test]
    fn ratios_that_overlap_or_are_near_are_within_the_spread() {
        let earlier = report(&[0.5, 0.6, 0.7], 1.0);
        assert!(outside(&earlier, &report(&[0.65, 0.8, 0.9], 1.09)).is_empty());
        assert_eq!(
            outside(&earlier, &report(&[0.71, 0.8, 0.9], 1.0)),
            ["throughput/memif/64 octets/of 5tswap"]
        );
        assert_eq!(
            outside(&earlier, &report(&[0.6], 1.2)),
            ["throughput/memif/64 octets/of mac"],
            "and never the rate by itself"
        );
    }

    #[test]
    fn all_ratios_are_counted() {
        let earlier = report(&[0.5], 1.0);
        let summary = &section(&earlier, &report(&[0.5], 2.0)).tables[0];
        let cells = &summary.rows[0].cells;
        assert_eq!(cells[..2], [Cell::Count(2), Cell::Count(1)]);
        assert_eq!(cells[3], Cell::Value(100.0));
    }
}
