//! Bars side by side.

use std::ops::Range;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::{Places, number};
use super::{
    Axis, Chart, INK, Legend, PALETTE, PlotError, SIZE, Scale, chart, draw_axes, draw_legend,
    swatch, text,
};

/// One group of bars for each case, in it one bar for each series.
#[derive(Clone, Debug)]
pub struct BarPlot {
    pub title: String,
    /// What the cases have in common.
    pub x_label: String,
    /// On a linear axis a bar's length is its value; on a logarithmic one, which should have a range, bars stand on its lower
    /// end.
    pub y: Axis,
    /// What stands below each group.
    pub cases: Vec<String>,
    pub series: Vec<Bars>,
    pub legend: Legend,
}

/// The bars of one colour.
#[derive(Clone, Debug)]
pub struct Bars {
    /// As it stands in the legend.
    pub name: String,
    /// One for each case.
    pub values: Vec<f64>,
    /// From the least to the most that was measured, one for each case; none: no marks.
    pub spreads: Vec<Range<f64>>,
}

/// Of the distance between two groups, what bars take.
const FILLED: f64 = 0.8;
/// What the legend needs above the bars.
const HEADROOM: f64 = 1.25;
/// What margins and the numbers of the y axis leave of the picture's width, pixels.
const ROOM: f64 = 786.0;
/// Of a number above a bar, pixels.
const DIGIT_WIDTH: f64 = 7.0;

impl Bars {
    /// Where a bar or its spread ends.
    fn top(&self, case: usize) -> f64 {
        let value = self.values.get(case).copied().unwrap_or(f64::NAN);
        let most = self.spreads.get(case).map_or(value, |spread| spread.end);
        value.max(most)
    }
}

impl BarPlot {
    /// Writes the picture.
    ///
    /// # Errors
    /// When there is nothing to draw, and when the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), PlotError> {
        std::fs::write(path, self.svg()?).map_err(|error| PlotError(error.to_string()))
    }

    /// The picture as text.
    ///
    /// # Errors
    /// When there is nothing to draw.
    pub fn svg(&self) -> Result<String, PlotError> {
        let tops =
            (0..self.cases.len()).flat_map(|case| self.series.iter().map(move |it| it.top(case)));
        let most = tops.fold(f64::NAN, f64::max);
        let y = self.y.places([most * HEADROOM].into_iter())?;
        let x = Places {
            range: 0.0..self.cases.len() as f64,
            numbered: (0..self.cases.len())
                .map(|case| case as f64 + 0.5)
                .collect(),
        };
        let x_axis = Axis::linear(&self.x_label);
        let name = |place: f64| self.cases.get(place as usize).cloned().unwrap_or_default();
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            let mut chart = chart(&area, &self.title, x, y)?;
            draw_axes(&mut chart, &x_axis, &self.y, &name)?;
            for index in 0..self.series.len() {
                self.draw_series(&mut chart, index)?;
            }
            draw_legend(&mut chart, self.legend)?;
            area.present()?;
        }
        Ok(svg)
    }

    /// Of a bar and the gap beside it, in groups.
    fn width(&self) -> f64 {
        FILLED / self.series.len() as f64
    }

    /// Whether the numbers fit above bars that stand so close.
    fn have_room(&self) -> bool {
        let numbers = self.series.iter().flat_map(|bars| &bars.values);
        let digits = numbers.map(|value| number(*value).len()).max();
        let bar = ROOM * self.width() / self.cases.len() as f64;
        digits.unwrap_or(0) as f64 * DIGIT_WIDTH <= bar
    }

    fn draw_series(&self, chart: &mut Chart<'_>, index: usize) -> Result<(), PlotError> {
        let bars = &self.series[index];
        let colour = PALETTE[index % PALETTE.len()];
        let width = self.width();
        let foot = match self.y.scale {
            Scale::Linear => 0.0,
            Scale::Logarithmic => chart.y_range().start,
        };
        let height = |value: f64| self.y.place(value).max(foot);
        let left = |case: usize| case as f64 + (1.0 - FILLED) / 2.0 + index as f64 * width;
        let middle = |case: usize| left(case) + width * 0.47;
        let rectangles = (0..).zip(&bars.values).map(|(case, value)| {
            let corners = [
                (left(case), foot),
                (left(case) + width * 0.94, height(*value)),
            ];
            Rectangle::new(corners, colour.filled())
        });
        chart
            .draw_series(rectangles)?
            .label(&bars.name)
            .legend(move |at| swatch(at, colour.filled()));
        if self.have_room() {
            let above = text(13).pos(Pos::new(HPos::Center, VPos::Bottom));
            let numbers = (0..).zip(&bars.values).map(|(case, value)| {
                let place = (middle(case), height(bars.top(case)));
                Text::new(number(*value), place, above.clone())
            });
            chart.draw_series(numbers)?;
        }
        let whiskers = (0..).zip(&bars.spreads).map(|(case, spread)| {
            let ends = [spread.start, spread.end].map(|value| (middle(case), height(value)));
            PathElement::new(ends, INK.stroke_width(2))
        });
        chart.draw_series(whiskers)?;
        Ok(())
    }
}
