//! Bars side by side.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::{Places, number};
use super::{
    Axis, Chart, Legend, PALETTE, PlotError, SIZE, chart, draw_axes, draw_legend, swatch, text,
};

/// One group of bars for each case, in it one bar for each series.
#[derive(Clone, Debug)]
pub struct BarPlot {
    pub title: String,
    /// What the cases have in common.
    pub x_label: String,
    /// Linear: a bar's length is its value.
    pub y: Axis,
    /// What stands below each group.
    pub cases: Vec<String>,
    /// Name, and one value for each case.
    pub series: Vec<(String, Vec<f64>)>,
    pub legend: Legend,
}

/// Of the distance between two groups, what bars take.
const FILLED: f64 = 0.8;
/// What the legend needs above the bars.
const HEADROOM: f64 = 1.25;

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
        let values = self.series.iter().flat_map(|(_, values)| values);
        let most = values.copied().fold(f64::NAN, f64::max);
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

    fn draw_series(&self, chart: &mut Chart<'_>, index: usize) -> Result<(), PlotError> {
        let (name, values) = &self.series[index];
        let colour = PALETTE[index % PALETTE.len()];
        let width = FILLED / self.series.len() as f64;
        let left = |case: usize| case as f64 + (1.0 - FILLED) / 2.0 + index as f64 * width;
        let bars = (0..).zip(values).map(|(case, value)| {
            let corners = [(left(case), 0.0), (left(case) + width * 0.94, *value)];
            Rectangle::new(corners, colour.filled())
        });
        chart
            .draw_series(bars)?
            .label(name)
            .legend(move |at| swatch(at, colour.filled()));
        let above = text(13).pos(Pos::new(HPos::Center, VPos::Bottom));
        let numbers = (0..).zip(values).map(|(case, value)| {
            let at = (left(case) + width * 0.47, *value);
            Text::new(number(*value), at, above.clone())
        });
        chart.draw_series(numbers)?;
        Ok(())
    }
}
