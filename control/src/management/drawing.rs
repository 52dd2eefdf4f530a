//! A part of the history as a picture or a table.

use std::ops::Range;

use graph::{Graph, Kind};

use super::history::Part;
use crate::monitor::SET_GRAPHS;

/// Pixels from left to right of a PNG.
const PNG_WIDTH: u32 = 1100;

/// What it is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Svg,
    Png,
    Csv,
    Json,
}

impl Form {
    /// All of them, each with its ending of a file's name.
    pub const ENDINGS: [(&'static str, Self); 4] = [
        ("svg", Self::Svg),
        ("png", Self::Png),
        ("csv", Self::Csv),
        ("json", Self::Json),
    ];

    /// The form that a file's name asks for, and the name before the ending.
    #[must_use]
    pub fn of_file(name: &str) -> Option<(&str, Self)> {
        let (name, ending) = name.rsplit_once('.')?;
        let mut endings = Self::ENDINGS.iter();
        let (_, form) = endings.find(|(known, _)| *known == ending)?;
        Some((name, *form))
    }

    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Svg => "image/svg+xml",
            Self::Png => "image/png",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

/// The graph of this name, for drawing.
#[must_use]
pub fn graph<'a>(name: &'a str, range_s: &Range<u64>, part: &'a Part) -> Graph<'a> {
    let kind = if name.starts_with(SET_GRAPHS) {
        Kind::Set
    } else {
        Kind::Link
    };
    Graph {
        title: name,
        subtitle: "",
        kind,
        from_unix_s: range_s.start,
        to_unix_s: range_s.end,
        step_s: part.step_s,
        rows: &part.rows,
        utc_offset_s: 0,
    }
}

/// Draws, or writes down.
#[must_use]
pub fn drawn(graph: &Graph<'_>, form: Form) -> Vec<u8> {
    match form {
        Form::Svg => graph::svg(graph).into_bytes(),
        Form::Png => graph::png(graph, PNG_WIDTH),
        Form::Csv => graph::csv(graph).into_bytes(),
        Form::Json => graph::json(graph).into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_of_a_name_says_the_form() {
        for (ending, form) in Form::ENDINGS {
            let name = format!("set/A/192.0.2.1.{ending}");
            assert_eq!(Form::of_file(&name), Some(("set/A/192.0.2.1", form)));
        }
        for name in ["head1", "head1.gif", "svg", "head1.SVG", ""] {
            assert_eq!(Form::of_file(name), None, "{name}");
        }
    }

    #[test]
    fn each_form_is_what_it_says() {
        let part = Part {
            step_s: 1,
            rows: vec![(
                1_764_215_000,
                history::Sample {
                    measured_s: 1,
                    ..history::Sample::default()
                },
            )],
        };
        let graph = graph("set/A/192.0.2.1", &(1_764_214_990..1_764_215_010), &part);
        assert_eq!(graph.kind, Kind::Set);
        let begins = |form, with: &[u8]| assert!(drawn(&graph, form).starts_with(with), "{form:?}");
        begins(Form::Svg, b"<svg");
        begins(Form::Png, b"\x89PNG");
        begins(Form::Csv, b"graph,");
        begins(Form::Json, b"[{");
    }
}
