//! A figure that was measured several times, and counts as people read them.

use serde::{Deserialize, Serialize};

/// Several measurements of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Figure {
    /// Of at least one measurement.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn new(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        };
        Self {
            median,
            least: sorted[0],
            most: sorted[sorted.len() - 1],
        }
    }

    /// As in the tables: `12.3 (11.0-14.0)`.
    #[must_use]
    pub fn text(self) -> String {
        let Self {
            least,
            median,
            most,
        } = self;
        let decimals = usize::from(most < 100.0);
        format!("{median:.1} ({least:.decimals$}-{most:.decimals$})")
    }
}

/// `1 234 567`.
#[must_use]
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let figure = Figure::new(&[3.0, 1.0, 10.0]);
        assert_eq!((figure.median, figure.least, figure.most), (3.0, 1.0, 10.0));
        assert_eq!(Figure::new(&[4.0, 1.0, 2.0, 9.0]).median, 3.0);
    }

    #[test]
    fn both_ends_have_the_same_decimals() {
        let text = |values: &[f64]| Figure::new(values).text();
        assert_eq!(text(&[12.34, 11.0, 14.0]), "12.3 (11.0-14.0)");
        assert_eq!(text(&[99.5, 90.4, 130.0]), "99.5 (90-130)");
    }

    #[test]
    fn counts_are_grouped() {
        for (count, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1 000"),
            (1_234_567, "1 234 567"),
        ] {
            assert_eq!(grouped(count), text);
        }
    }
}
