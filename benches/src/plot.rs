//! Plots of experiments as SVG: lines over a quantity, and bars.
//!
//! A picture has a ground of its own, so that it reads the same on a dark page and on a light one; its colours are those
//! of Okabe and Ito, which people who see few colours tell apart as well; numbers have their unit on the axis.

use std::fmt;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::TextStyle;

use axis::Places;
pub use axis::{Axis, Scale};
pub use bars::{BarPlot, Bars};
pub use lines::{LinePlot, Series, Span, cumulative};

mod axis;
mod bars;
mod lines;

/// Width and height, in pixels that whoever shows it is free to scale.
const SIZE: (u32, u32) = (900, 460);
const GROUND: RGBColor = WHITE;
const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
const FAINT_INK: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
/// Blue, vermilion, bluish green, reddish purple, orange, sky blue.
const PALETTE: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
];

/// Where the legend covers least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Legend {
    UpperLeft,
    #[default]
    UpperRight,
    LowerRight,
    LowerLeft,
}

/// Why there is no picture.
#[derive(Debug)]
pub struct PlotError(String);

impl fmt::Display for PlotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PlotError {}

impl<E: std::error::Error + Send + Sync> From<DrawingAreaErrorKind<E>> for PlotError {
    fn from(error: DrawingAreaErrorKind<E>) -> Self {
        Self(error.to_string())
    }
}

impl From<PlotError> for std::io::Error {
    fn from(error: PlotError) -> Self {
        Self::other(error)
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<Places, Places>>;

fn text(height: i32) -> TextStyle<'static> {
    ("sans-serif", height).into_font().color(&INK)
}

/// An empty picture with these axes, given in places.
fn chart<'a>(area: &Area<'a>, title: &str, x: Places, y: Places) -> Result<Chart<'a>, PlotError> {
    area.fill(&GROUND)?;
    let mut builder = ChartBuilder::on(area);
    builder.caption(title, text(19)).margin(14).margin_right(24);
    builder.x_label_area_size(50).y_label_area_size(76);
    Ok(builder.build_cartesian_2d(x, y)?)
}

/// `x_text`: what stands at a numbered place of the x axis.
fn draw_axes(
    chart: &mut Chart<'_>,
    x: &Axis,
    y: &Axis,
    x_text: &dyn Fn(f64) -> String,
) -> Result<(), PlotError> {
    chart
        .configure_mesh()
        .axis_style(INK)
        .bold_line_style(FAINT_INK)
        .light_line_style(TRANSPARENT)
        .label_style(text(14))
        .axis_desc_style(text(15))
        .x_desc(&x.label)
        .y_desc(&y.label)
        .x_label_formatter(&|place| x_text(*place))
        .y_label_formatter(&|place| y.number_at(*place))
        .draw()?;
    Ok(())
}

fn draw_legend(chart: &mut Chart<'_>, legend: Legend) -> Result<(), PlotError> {
    let position = match legend {
        Legend::UpperLeft => SeriesLabelPosition::UpperLeft,
        Legend::UpperRight => SeriesLabelPosition::UpperRight,
        Legend::LowerRight => SeriesLabelPosition::LowerRight,
        Legend::LowerLeft => SeriesLabelPosition::LowerLeft,
    };
    chart
        .configure_series_labels()
        .position(position)
        .margin(10)
        .label_font(text(14))
        .background_style(GROUND.mix(0.85))
        .border_style(FAINT_INK)
        .draw()?;
    Ok(())
}

/// The square before a name in the legend.
fn swatch(at: (i32, i32), style: ShapeStyle) -> Rectangle<(i32, i32)> {
    let (x, y) = at;
    Rectangle::new([(x + 2, y - 5), (x + 16, y + 5)], style)
}

#[cfg(test)]
mod tests;
