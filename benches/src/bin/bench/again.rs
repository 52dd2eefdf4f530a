//! Section `again`: whether a run finds the ratios of an earlier one.

use benches::figure::Figure;
use benches::report::{Cell, Column, Name, Report, Section, Table};

/// How far a ratio without a spread of its own may be off, as a share.
const TOLERANCE: f64 = 0.10;
/// In place of what is not there.
const NONE: &str = "-";

/// The ratios of both runs beside each other.
pub(crate) fn section(earlier: &Report, now: &Report) -> Section {
    let pairs = pairs(earlier, now);
    let columns = vec![
        Column::new("ratios", 0),
        Column::new("within the spread", 0),
        Column::new("median apart, %", 1),
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
        let of_section: Vec<&Pair<'_>> = pairs
            .iter()
            .filter(|pair| pair.name.section == section.name)
            .collect();
        if of_section.is_empty() {
            continue;
        }
        let mut within = 0;
        for pair in &of_section {
            if pair.is_within_spread() {
                within += 1;
            } else {
                outside.push(&pair.name.to_string(), pair.cells());
            }
        }
        let apart: Vec<f64> = of_section
            .iter()
            .filter_map(|pair| pair.apart_percent())
            .collect();
        let figure = (!apart.is_empty()).then(|| Figure::new(&apart));
        let cells = vec![
            Cell::Count(of_section.len() as u64),
            Cell::Count(within),
            value_or_none(figure.map(|it| it.median)),
            value_or_none(figure.map(|it| it.most)),
        ];
        summary.push(&section.name, cells);
    }
    Section {
        name: "again".to_owned(),
        title: "The same command, run twice".to_owned(),
        introduction: format!(
            "The ratios of an earlier run ({}, hal2tp {}, effort {}, {}) beside those of this one (effort {}), of the sections that both have. Within the \
             spread are ratios whose least-most overlap; one without a spread of its own may be {:.0} % off. What was a number then and is none now, \
             or is gone, is outside. Two runs of the very same thing, of three rounds each, have one ratio in ten apart by chance.",
            earlier.machine.date,
            earlier.machine.commit,
            earlier.effort,
            earlier.machine.cpu,
            now.effort,
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
    name: Name<'a>,
    earlier: &'a Cell,
    /// None: there is no such row or column any more.
    now: Option<&'a Cell>,
    column: &'a Column,
}

impl Pair<'_> {
    /// None when one of them is no number, or when the earlier one is nought.
    fn apart_percent(&self) -> Option<f64> {
        let (earlier, now) = self.earlier.number().zip(self.now?.number())?;
        let apart = if earlier == now {
            0.0
        } else {
            (now / earlier - 1.0).abs() * 100.0
        };
        apart.is_finite().then_some(apart)
    }

    fn is_within_spread(&self) -> bool {
        let spread = |cell: &Cell| match cell {
            Cell::Figure(figure) => Some((figure.least, figure.most)),
            _ => None,
        };
        match (spread(self.earlier), self.now.and_then(spread)) {
            (Some((least, most)), Some((now_least, now_most))) => {
                now_least <= most && least <= now_most
            }
            _ => self
                .apart_percent()
                .is_some_and(|apart| apart <= TOLERANCE * 100.0),
        }
    }

    fn cells(&self) -> Vec<Cell> {
        let text = |cell: Option<&Cell>| {
            let text = cell.map(|cell| cell.text(self.column));
            Cell::Text(text.unwrap_or_else(|| NONE.to_owned()))
        };
        vec![
            text(Some(self.earlier)),
            text(self.now),
            value_or_none(self.apart_percent()),
        ]
    }
}

fn value_or_none(value: Option<f64>) -> Cell {
    value.map_or_else(|| Cell::Text(NONE.to_owned()), Cell::Value)
}

/// All ratios that the earlier run has as numbers, of sections that were run now too. A run of less effort need not have
/// every row.
fn pairs<'a>(earlier: &'a Report, now: &'a Report) -> Vec<Pair<'a>> {
    let was_run = |name: &str| now.sections.iter().any(|section| section.name == name);
    let has_all = earlier.effort == now.effort;
    let figures = earlier.figures().into_iter();
    let ratios = figures.filter(|figure| {
        figure.column.is_ratio
            && figure.cell.number().is_some()
            && was_run(figure.name.section)
            && (has_all || now.cell(figure.name).is_some())
    });
    ratios
        .map(|figure| Pair {
            name: figure.name,
            earlier: figure.cell,
            now: now.cell(figure.name),
            column: figure.column,
        })
        .collect()
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn what_is_no_number_any_more_is_outside() {
        let earlier = report(&[0.5], 1.0);
        let mut now = earlier.clone();
        now.sections[0].tables[0].rows[0].cells[1] = Cell::Text("no rate without loss".to_owned());
        let found = section(&earlier, &now);
        let cells = &found.tables[1].rows[0].cells;
        let texts = ["1.00", "no rate without loss", "-"].map(|text| Cell::Text(text.to_owned()));
        assert_eq!(cells[..], texts);
        assert_eq!(found.tables[0].rows[0].cells[..2], [2, 1].map(Cell::Count));

        now.sections[0].tables[0].rows.clear();
        let found = section(&earlier, &now);
        assert_eq!(found.tables[1].rows.len(), 2);
        let none = Cell::Text("-".to_owned());
        let cells = [Cell::Count(2), Cell::Count(0), none.clone(), none];
        assert_eq!(found.tables[0].rows[0].cells, cells);

        now.sections.clear();
        assert!(outside(&earlier, &now).is_empty(), "it was not run now");
    }

    #[test]
    fn what_a_run_of_less_effort_leaves_out_is_not_missed() {
        let earlier = report(&[0.5], 1.0);
        let mut now = report(&[0.5], 1.0);
        now.sections[0].tables[0].rows.clear();
        assert_eq!(outside(&earlier, &now).len(), 2);
        now.effort = "quick".to_owned();
        assert!(outside(&earlier, &now).is_empty());
    }
}
