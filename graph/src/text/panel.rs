//! Bars of block characters, several rows high.

use super::UNKNOWN;
use super::page::{Page, Tint};

/// From an eighth to a whole character.
pub(super) const EIGHTHS: [char; 8] = [
    '\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}',
];

/// So many eighths; a whole one for more.
pub(super) fn block(eighths: usize) -> char {
    match eighths {
        0 => ' ',
        eighths => EIGHTHS[eighths.min(8) - 1],
    }
}

/// How high a bar is, and how high what stands on it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Reach {
    pub(super) solid: f64,
    pub(super) light: f64,
}

impl Reach {
    pub(super) fn solid(solid: f64) -> Self {
        Self { solid, light: 0.0 }
    }
}

pub(super) struct Panel {
    pub(super) name: &'static str,
    /// What stands beside the top, and its value.
    pub(super) top: String,
    pub(super) top_value: f64,
    pub(super) rows: usize,
    pub(super) solid_tint: Tint,
    /// `None` where nobody measured.
    pub(super) columns: Vec<Option<Reach>>,
}

impl Panel {
    pub(super) fn write(&self, page: &mut Page) {
        for row in (0..self.rows).rev() {
            let label = match row {
                row if row + 1 == self.rows => &self.top,
                0 => self.name,
                _ => "",
            };
            let columns = self.columns.iter().map(|reach| self.character(*reach, row));
            page.row(label, columns.collect());
        }
    }

    /// Rows count from the bottom.
    fn character(&self, reach: Option<Reach>, row: usize) -> (char, Tint) {
        let Some(reach) = reach else {
            return if row == 0 {
                UNKNOWN
            } else {
                (' ', Tint::Plain)
            };
        };
        let top_row = row + 1 == self.rows;
        if top_row && reach.solid.max(reach.light) > self.top_value {
            return ('\u{25b2}', Tint::Range);
        }
        let solid = self.eighths(reach.solid).saturating_sub(8 * row);
        if solid > 0 {
            (block(solid), self.solid_tint)
        } else if self.eighths(reach.light) > 8 * row {
            ('\u{2591}', Tint::Range)
        } else {
            (' ', Tint::Plain)
        }
    }

    /// What there is at all has one at least.
    fn eighths(&self, value: f64) -> usize {
        let whole = (8 * self.rows) as f64;
        let eighths = (whole * (value / self.top_value).min(1.0)).round() as usize;
        eighths.max(usize::from(value > 0.0))
    }
}
