//! What a run of measurements found, as data: sections of tables and pictures, in JSON and in Markdown.
//!
//! Every figure has a name made of four: `section/table/row/column`. What stands elsewhere, in the README first of all,
//! is taken from here by this name and never typed.

use std::fmt;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::figure::{Figure, grouped};
use crate::machine::Machine;

mod markdown;

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// As it was typed.
    pub command: String,
    /// `smoke`, `quick` or `full`.
    pub effort: String,
    pub machine: Machine,
    pub sections: Vec<Section>,
}

/// One thing that was measured, in all its tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// First part of its figures' names: `throughput`.
    pub name: String,
    pub title: String,
    /// What was measured, how, and what ran on which CPU; Markdown.
    pub introduction: String,
    pub tables: Vec<Table>,
    pub pictures: Vec<Picture>,
    /// What to know of the figures; a line of Markdown each.
    pub notes: Vec<String>,
    /// How long the section took.
    pub seconds: f64,
}

/// A table; every row has one cell for each column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Second part of its figures' names: `memif`.
    pub name: String,
    pub title: String,
    /// What the rows' names are: "frames and links".
    pub row_title: String,
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Last part of its figures' names, with the unit in it: `Mpps`, `lost packets`.
    pub name: String,
    /// Of numbers that are no whole ones.
    pub decimals: u8,
    /// A ratio of two figures of the same run: what a second run must find again.
    pub is_ratio: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Third part of its figures' names.
    pub name: String,
    pub cells: Vec<Cell>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// Counted.
    Count(u64),
    /// Measured once.
    Value(f64),
    /// Measured several times.
    Figure(Figure),
    /// A word; what was not measured says why.
    Text(String),
}

/// A picture beside the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// Of an SVG file in the report's folder.
    pub file: String,
    /// What is to be seen, in a sentence.
    pub caption: String,
}

/// A figure's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    pub section: &'a str,
    pub table: &'a str,
    pub row: &'a str,
    pub column: &'a str,
}

/// A cell with its name.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    pub name: Name<'a>,
    pub column: &'a Column,
    pub cell: &'a Cell,
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            section,
            table,
            row,
            column,
        } = self;
        write!(f, "{section}/{table}/{row}/{column}")
    }
}

impl Column {
    pub fn new(name: &str, decimals: u8) -> Self {
        Self {
            name: name.to_owned(),
            decimals,
            is_ratio: false,
        }
    }

    /// A ratio of two figures of the run, with two decimals.
    pub fn ratio(name: &str) -> Self {
        Self {
            is_ratio: true,
            ..Self::new(name, 2)
        }
    }
}

impl Table {
    pub fn new(name: &str, title: &str, row_title: &str, columns: Vec<Column>) -> Self {
        Self {
            name: name.to_owned(),
            title: title.to_owned(),
            row_title: row_title.to_owned(),
            columns,
            rows: Vec::new(),
        }
    }

    /// # Panics
    /// When there are not as many cells as columns, when one is no finite number, which JSON cannot hold, and when there is
    /// a row of this name.
    pub fn push(&mut self, name: &str, cells: Vec<Cell>) {
        assert_eq!(cells.len(), self.columns.len(), "cells of {name:?}");
        let is_finite = cells.iter().all(Cell::is_finite);
        assert!(is_finite, "a number that is none in {name:?}: {cells:?}");
        let is_new = self.rows.iter().all(|row| row.name != name);
        assert!(is_new, "a second row {name:?}");
        self.rows.push(Row {
            name: name.to_owned(),
            cells,
        });
    }
}

impl Report {
    /// All cells of all tables.
    pub fn figures(&self) -> Vec<Named<'_>> {
        let mut figures = Vec::new();
        for section in &self.sections {
            for table in &section.tables {
                for row in &table.rows {
                    figures.extend(table.columns.iter().zip(&row.cells).map(|(column, cell)| {
                        Named {
                            name: Name {
                                section: &section.name,
                                table: &table.name,
                                row: &row.name,
                                column: &column.name,
                            },
                            column,
                            cell,
                        }
                    }));
                }
            }
        }
        figures
    }

    pub fn cell(&self, name: Name<'_>) -> Option<&Cell> {
        self.find(name).map(|figure| figure.cell)
    }

    /// As it stands in the report's tables.
    pub fn text(&self, name: Name<'_>) -> Option<String> {
        self.find(name)
            .map(|figure| figure.cell.text(figure.column))
    }

    fn find(&self, name: Name<'_>) -> Option<Named<'_>> {
        self.figures()
            .into_iter()
            .find(|figure| figure.name == name)
    }

    /// # Errors
    /// When the file cannot be read, or is no report.
    pub fn read(file: &Path) -> io::Result<Self> {
        let of_file =
            |problem: &dyn fmt::Display| io::Error::other(format!("{}: {problem}", file.display()));
        let text = std::fs::read_to_string(file).map_err(|problem| of_file(&problem))?;
        serde_json::from_str(&text).map_err(|problem| of_file(&problem))
    }

    /// Writes `report.json` and `report.md` into a folder.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut json = serde_json::to_string_pretty(self)?;
        json.push('\n');
        std::fs::write(folder.join("report.json"), json)?;
        std::fs::write(folder.join("report.md"), self.markdown())
    }
}

impl Cell {
    pub fn text(&self, column: &Column) -> String {
        let decimals = usize::from(column.decimals);
        match self {
            Self::Count(count) => grouped(*count),
            Self::Value(value) => format!("{value:.decimals$}"),
            Self::Figure(Figure {
                median,
                least,
                most,
            }) => format!("{median:.decimals$} ({least:.decimals$}-{most:.decimals$})"),
            Self::Text(text) => text.clone(),
        }
    }

    fn is_finite(&self) -> bool {
        match self {
            Self::Count(_) | Self::Text(_) => true,
            Self::Value(value) => value.is_finite(),
            Self::Figure(Figure {
                median,
                least,
                most,
            }) => [median, least, most].iter().all(|it| it.is_finite()),
        }
    }

    /// Its middle, when it is a number.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Count(count) => Some(*count as f64),
            Self::Value(value) => Some(*value),
            Self::Figure(figure) => Some(figure.median),
            Self::Text(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
