//! Lines over a quantity.

use std::ops::Range;
use std::path::Path;

use plotters::prelude::*;

use super::{Axis, Chart, INK, Legend, PALETTE, PlotError, SIZE, chart, draw_legend, swatch};

/// One line of a plot.
#[derive(Clone, Debug)]
pub struct Series {
    /// As it stands in the legend.
    pub name: String,
    /// Ascending in x. The line breaks at a point that is not finite.
    pub points: Vec<(f64, f64)>,
}

/// A stretch of the x axis in which something was different.
#[derive(Clone, Debug)]
pub struct Span {
    /// As it stands in the legend; spans of the same name stand there once.
    pub name: String,
    pub range: Range<f64>,
}

/// Lines over a quantity, in one colour each.
#[derive(Clone, Debug)]
pub struct LinePlot {
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    pub series: Vec<Series>,
    /// Shaded behind the lines.
    pub spans: Vec<Span>,
    pub legend: Legend,
}

const SHADE: f64 = 0.12;

/// Points of a cumulative distribution: each value, and the share of all values that are not larger. No more than `points`
/// of them, so that a million packets make a small file.
pub fn cumulative(mut values: Vec<f64>, points: usize) -> Vec<(f64, f64)> {
    values.sort_unstable_by(f64::total_cmp);
    let count = values.len();
    let points = points.min(count);
    (1..=points)
        .map(|point| point * count / points)
        .map(|rank| (values[rank - 1], rank as f64 / count as f64))
        .collect()
}

impl LinePlot {
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
        let points = || self.series.iter().flat_map(|series| &series.points);
        let x = self.x.places(points().map(|point| point.0))?;
        let y = self.y.places(points().map(|point| point.1))?;
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            let mut chart = chart(&area, &self.title, x, y)?;
            self.draw_spans(&mut chart)?;
            super::draw_axes(&mut chart, &self.x, &self.y, &|place| {
                self.x.number_at(place)
            })?;
            for (series, colour) in self.series.iter().zip(PALETTE.iter().cycle()) {
                self.draw_series(&mut chart, series, *colour)?;
            }
            draw_legend(&mut chart, self.legend)?;
            area.present()?;
        }
        Ok(svg)
    }

    fn draw_spans(&self, chart: &mut Chart<'_>) -> Result<(), PlotError> {
        let [bottom, top] = [chart.y_range().start, chart.y_range().end];
        let mut names: Vec<&str> = Vec::new();
        for Span { name, range } in &self.spans {
            let [from, to] = [range.start, range.end].map(|value| self.x.place(value));
            let shade = INK.mix(SHADE).filled();
            let drawn = chart.draw_series([Rectangle::new([(from, bottom), (to, top)], shade)])?;
            if !names.contains(&name.as_str()) {
                drawn.label(name).legend(move |at| swatch(at, shade));
                names.push(name);
            }
        }
        Ok(())
    }

    fn draw_series(
        &self,
        chart: &mut Chart<'_>,
        series: &Series,
        colour: RGBColor,
    ) -> Result<(), PlotError> {
        let places: Vec<(f64, f64)> = series
            .points
            .iter()
            .map(|&(x, y)| (self.x.place(x), self.y.place(y)))
            .collect();
        let lines = places
            .split(|(x, y)| !(x.is_finite() && y.is_finite()))
            .filter(|line| !line.is_empty())
            .map(|line| PathElement::new(line.to_vec(), colour.stroke_width(2)));
        chart
            .draw_series(lines)?
            .label(&series.name)
            .legend(move |at| swatch(at, colour.filled()));
        Ok(())
    }
}
