//! Lines of characters that have tints.

use std::fmt::Write;

use super::LABELS;

/// What a character is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tint {
    Plain,
    Bold,
    Faint,
    Loss,
    Latency,
    Range,
    Received,
    Sent,
    Offline,
}

impl Tint {
    /// The parameter of "select graphic rendition".
    fn rendition(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Bold => "1",
            Self::Faint => "2",
            Self::Loss => "31",
            Self::Latency => "34",
            Self::Range => "32",
            Self::Received => "36",
            Self::Sent => "33",
            Self::Offline => "35",
        }
    }
}

/// Between phrases.
const BETWEEN: usize = 2;

pub(super) struct Page {
    columns: usize,
    lines: Vec<Vec<(char, Tint)>>,
}

impl Page {
    pub(super) fn new(columns: usize) -> Self {
        Self {
            columns,
            lines: Vec::new(),
        }
    }

    /// How wide what stands right of the labels is.
    pub(super) fn panel_columns(&self) -> usize {
        self.columns - LABELS
    }

    /// A line with a label before it.
    pub(super) fn row(&mut self, label: &str, row: Vec<(char, Tint)>) {
        let label = format!("{label:>width$} ", width = LABELS - 1);
        let label = label.chars().map(|letter| (letter, Tint::Plain));
        self.lines.push(label.chain(row).collect());
    }

    /// Phrases one after the other, each whole on a line if it fits one.
    pub(super) fn phrases<'a>(&mut self, phrases: impl IntoIterator<Item = Vec<(Tint, &'a str)>>) {
        let mut line: Vec<(char, Tint)> = Vec::new();
        for phrase in phrases {
            let mut phrase = characters(&phrase);
            if !line.is_empty() && line.len() + BETWEEN + phrase.len() > self.columns {
                self.lines.push(std::mem::take(&mut line));
            }
            while phrase.len() > self.columns {
                let last_space = phrase[..self.columns]
                    .iter()
                    .rposition(|(letter, _)| *letter == ' ');
                let rest = phrase.split_off(last_space.map_or(self.columns, |place| place + 1));
                self.lines.push(phrase);
                phrase = rest;
            }
            if !line.is_empty() {
                line.extend([(' ', Tint::Plain); BETWEEN]);
            }
            line.extend(phrase);
        }
        self.lines.push(line);
    }

    pub(super) fn render(&self, colour: bool) -> String {
        let mut text = String::new();
        for line in &self.lines {
            let end = line
                .iter()
                .rposition(|(letter, _)| *letter != ' ')
                .map_or(0, |last| last + 1);
            let mut tint = Tint::Plain;
            for (letter, own_tint) in &line[..end] {
                if colour && *own_tint != tint {
                    tint = *own_tint;
                    let rendition = match tint {
                        Tint::Plain => "0".to_owned(),
                        tint => format!("0;{}", tint.rendition()),
                    };
                    write!(text, "\u{1b}[{rendition}m").expect("a string takes everything");
                }
                text.push(*letter);
            }
            if tint != Tint::Plain {
                text.push_str("\u{1b}[0m");
            }
            text.push('\n');
        }
        text
    }
}

/// Texts with a space between.
fn characters(phrase: &[(Tint, &str)]) -> Vec<(char, Tint)> {
    let mut characters = Vec::new();
    for (tint, text) in phrase {
        if !characters.is_empty() && !text.is_empty() {
            characters.push((' ', Tint::Plain));
        }
        characters.extend(text.chars().map(|letter| (harmless(letter), *tint)));
    }
    characters
}

/// Names come from elsewhere: what a terminal would take for an order is shown as what it is, unknown.
fn harmless(letter: char) -> char {
    if letter.is_control() {
        '\u{fffd}'
    } else {
        letter
    }
}
