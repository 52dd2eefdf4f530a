//! An axis: what stands on it, and where its numbers are.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::prelude::Ranged;

use super::PlotError;

/// What an axis shows.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Quantity and unit: `latency, ms`.
    pub label: String,
    pub scale: Scale,
    /// `None`: what the values need.
    pub range: Option<Range<f64>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Linear,
    /// For positive values alone; others are left out.
    Logarithmic,
}

/// The places of an axis from one end to the other, and those that have a number.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) range: Range<f64>,
    pub(super) numbered: Vec<f64>,
}

impl Ranged for Places {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, place: &f64, (first, last): (i32, i32)) -> i32 {
        let along = (place - self.range.start) / (self.range.end - self.range.start);
        first + (along * f64::from(last - first)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.numbered.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// About as many numbers stand on an axis.
const NUMBERS: f64 = 7.0;

impl Axis {
    pub fn linear(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            scale: Scale::Linear,
            range: None,
        }
    }

    pub fn logarithmic(label: &str) -> Self {
        Self {
            scale: Scale::Logarithmic,
            ..Self::linear(label)
        }
    }

    #[must_use]
    pub fn over(self, range: Range<f64>) -> Self {
        Self {
            range: Some(range),
            ..self
        }
    }

    /// Where a value lies on the axis; not finite where it has no place.
    pub(super) fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Logarithmic => value.log10(),
        }
    }

    /// The number at a place.
    pub(super) fn number_at(&self, place: f64) -> String {
        number(match self.scale {
            Scale::Linear => place,
            Scale::Logarithmic => 10_f64.powf(place),
        })
    }

    /// The places that these values need, unless a range was given.
    pub(super) fn places(&self, values: impl Iterator<Item = f64>) -> Result<Places, PlotError> {
        let range = match &self.range {
            Some(range) => self.place(range.start)..self.place(range.end),
            None => self.needed(values),
        };
        if !(range.start.is_finite() && range.end.is_finite() && range.start < range.end) {
            let text = format!("{}: nothing to draw from {range:?}", self.label);
            return Err(PlotError(text));
        }
        let numbered = self.numbered(&range);
        Ok(Places { range, numbered })
    }

    /// From the least to the largest; on a linear axis from nought, with a little air above.
    fn needed(&self, values: impl Iterator<Item = f64>) -> Range<f64> {
        let places = values.map(|value| self.place(value));
        let (least, most) = places.filter(|place| place.is_finite()).fold(
            (f64::INFINITY, f64::NEG_INFINITY),
            |(least, most), place| (least.min(place), most.max(place)),
        );
        match self.scale {
            Scale::Linear => least.min(0.0)..most * 1.08,
            Scale::Logarithmic => least - 0.05..most + 0.1,
        }
    }

    fn numbered(&self, places: &Range<f64>) -> Vec<f64> {
        match self.scale {
            Scale::Linear => multiples(step(places.end - places.start), places),
            Scale::Logarithmic => {
                let factors: &[f64] = match places.end - places.start {
                    length if length > 4.0 => &[1.0],
                    length if length > 2.0 => &[1.0, 3.0],
                    _ => &[1.0, 2.0, 5.0],
                };
                let decades = places.start.floor() as i32..=places.end.ceil() as i32;
                let all = decades
                    .flat_map(|decade| factors.iter().map(move |f| f64::from(decade) + f.log10()));
                all.filter(|place| places.contains(place)).collect()
            }
        }
    }
}

/// A step of 1, 2 or 5 times a power of ten.
fn step(length: f64) -> f64 {
    let rough = length / NUMBERS;
    let power = 10_f64.powf(rough.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let fitting = factors.into_iter().find(|step| *step >= rough);
    fitting.unwrap_or(10.0 * power)
}

fn multiples(step: f64, places: &Range<f64>) -> Vec<f64> {
    let first = (places.start / step).ceil() as i64;
    let last = (places.end / step).floor() as i64;
    (first..=last).map(|index| index as f64 * step).collect()
}

/// A number in as few digits as it takes.
pub(super) fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        size if size >= 0.01 => 3,
        _ => 6,
    };
    let text = format!("{value:.digits$}");
    let text = match text.split_once('.') {
        Some(_) => text.trim_end_matches('0').trim_end_matches('.'),
        None => &text,
    };
    if text == "-0" {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_the_digits_they_need() {
        let numbers = [0.0, -0.0, 0.001, 0.25, 2.5, 20.0, 33.3, 1000.0, 12345.6].map(number);
        let expected = [
            "0", "0", "0.001", "0.25", "2.5", "20", "33.3", "1000", "12346",
        ];
        assert_eq!(numbers, expected);
    }

    #[test]
    fn numbers_stand_at_round_places() {
        let linear = Axis::linear("x");
        assert_eq!(
            linear.numbered(&(0.0..30.0)),
            [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]
        );
        let log = Axis::logarithmic("x");
        let values: Vec<String> = log
            .numbered(&(0.5..2.4))
            .into_iter()
            .map(|place| log.number_at(place))
            .collect();
        assert_eq!(values, ["5", "10", "20", "50", "100", "200"]);
    }

    #[test]
    fn nothing_to_draw_is_said() {
        let axis = Axis::logarithmic("latency, ms");
        assert!(axis.places(std::iter::empty()).is_err());
        assert!(axis.places([-1.0, 0.0].into_iter()).is_err());
        assert!(axis.places([1.0].into_iter()).is_ok());
    }
}
