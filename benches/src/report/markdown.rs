//! A report as people read it.

use std::fmt::Write as _;

use super::{Report, Section, Table};

impl Report {
    /// The whole report.
    pub fn markdown(&self) -> String {
        let mut text = String::from("# What hal2tp does, measured\n\n");
        let Self {
            command,
            effort,
            machine,
            sections,
        } = self;
        let _ = writeln!(
            text,
            "Made by `{command}` (effort: {effort}), in one run. The same figures for programs: \
             [report.json](report.json), each under `section/table/row/column`.\n"
        );
        text.push_str(&machine.markdown());
        text.push_str(
            "\nWhat was measured several times stands as median (least-most). \
             Ratios are of figures of this run.\n",
        );
        for section in sections {
            text.push('\n');
            text.push_str(&section.markdown());
        }
        text
    }
}

impl Section {
    /// The section by itself.
    pub fn markdown(&self) -> String {
        let Self {
            name,
            title,
            introduction,
            tables,
            pictures,
            notes,
            seconds,
        } = self;
        let mut text = format!("## {title}\n\n{}\n", introduction.trim_end());
        for table in tables {
            let _ = write!(text, "\n{}", table.markdown());
        }
        for picture in pictures {
            let _ = write!(text, "\n![{}]({})\n", picture.caption, picture.file);
        }
        if !notes.is_empty() {
            text.push('\n');
        }
        for note in notes {
            let _ = writeln!(text, "- {note}");
        }
        let _ = writeln!(text, "\n(`{name}`, {seconds:.0} s)");
        text
    }
}

impl Table {
    /// The table, with its title and its name.
    pub fn markdown(&self) -> String {
        let Self {
            name,
            title,
            row_title,
            columns,
            rows,
        } = self;
        let mut text = format!("**{title}** (`{name}`)\n\n| {row_title} |");
        for column in columns {
            let _ = write!(text, " {} |", column.name);
        }
        text.push_str("\n|---|");
        for _ in columns {
            text.push_str("---:|");
        }
        text.push('\n');
        for row in rows {
            let _ = write!(text, "| {} |", row.name);
            for (cell, column) in row.cells.iter().zip(columns) {
                let _ = write!(text, " {} |", cell.text(column));
            }
            text.push('\n');
        }
        text
    }
}
