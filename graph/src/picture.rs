//! The picture: what lies where. How it becomes SVG or PNG is in `svg` and `png`; both draw the same scene.

use crate::cells::{self, Cells};
use crate::clock::Wall;
use crate::summary::{self, Figure};
use crate::{Graph, Kind};
use axes::Axes;
use scene::{Anchor, Frame, Place, Scene, Span};
use style::Class;

pub(crate) use png::png;
pub(crate) use svg::svg;

mod axes;
mod data;
mod font;
mod legend;
mod png;
mod scene;
mod style;
mod svg;

/// The units of the picture, one pixel each where it is not scaled.
const WIDTH: f64 = 1100.0;
const LEFT: f64 = 104.0;
const RIGHT: f64 = LEFT + 920.0;
const PLOT_HEIGHT: f64 = 280.0;
/// Free at either side of the picture.
const MARGIN: f64 = 16.0;
/// As many cells as the picture has columns, so that none is narrower than a unit.
const CELLS: usize = 920;

const TITLE_SIZE: f64 = 19.0;
const TEXT_SIZE: f64 = 13.0;
const LINE: f64 = 19.0;
const AFTER_TITLE: f64 = 14.0;
const AFTER_NAME: f64 = 5.0;
const BETWEEN_FIGURES: f64 = 22.0;

/// Everything that is drawn.
pub(crate) fn scene(graph: &Graph<'_>) -> Scene {
    let wall = Wall::new(graph.utc_offset_s);
    let (from_s, to_s) = cells::window(graph);
    let figures = summary::figures(graph);
    let time = format!("{} to {}", wall.write(from_s), wall.write(to_s));
    let mut scene = Scene::new(WIDTH, graph.title, description(graph, &time, &figures));
    let head_end = head(&mut scene, graph, &time, &figures);

    let frame = Frame {
        left: LEFT,
        right: RIGHT,
        top: head_end + 34.0,
        bottom: head_end + 34.0 + PLOT_HEIGHT,
    };
    let cells = Cells::of(graph, CELLS);
    let axes = Axes::new(graph.kind, &cells, frame);
    axes.draw_grid(&mut scene, wall);
    let partly_offline = data::draw(&mut scene, graph.kind, &cells, &axes);
    axes.draw_frame(&mut scene);
    let legend_end = legend::draw(&mut scene, graph.kind, partly_offline, frame.bottom + 65.0);
    scene.height = legend_end + MARGIN;
    scene
}

fn description(graph: &Graph<'_>, time: &str, figures: &[Figure]) -> String {
    let what = match graph.kind {
        Kind::Link => "Loss, latency and throughput of a link",
        Kind::Set => "Lost and saved packets and throughput of a set",
    };
    let figures: Vec<_> = figures
        .iter()
        .map(|f| format!("{}: {}", f.name, f.value))
        .collect();
    format!("{what}, {time}. {}.", figures.join("; "))
}

/// Title, subtitle, time and figures; says where they end.
fn head(scene: &mut Scene, graph: &Graph<'_>, time: &str, figures: &[Figure]) -> f64 {
    let baseline = MARGIN + TITLE_SIZE - 2.0;
    let end = Place {
        x: WIDTH - MARGIN,
        y: baseline,
    };
    scene.text(
        end,
        Anchor::End,
        vec![Span::new(Class::Faint, TEXT_SIZE, time)],
    );
    let room = end.x - font::width(time, TEXT_SIZE) - 24.0 - MARGIN;
    let title = font::shortened(graph.title, TITLE_SIZE, room * 0.7);
    let rest = room - font::width(&title, TITLE_SIZE) - AFTER_TITLE;
    let subtitle = font::shortened(graph.subtitle, TEXT_SIZE, rest);
    let spans = vec![
        Span::new(Class::Title, TITLE_SIZE, title),
        Span::new(Class::Faint, TEXT_SIZE, subtitle).after(AFTER_TITLE),
    ];
    scene.text(
        Place {
            x: MARGIN,
            y: baseline,
        },
        Anchor::Start,
        spans,
    );
    draw_figures(scene, figures, baseline + LINE + 5.0)
}

/// In as many lines as they need; says where they end.
fn draw_figures(scene: &mut Scene, figures: &[Figure], first_baseline: f64) -> f64 {
    let mut at = Place {
        x: MARGIN,
        y: first_baseline,
    };
    let (mut line, mut line_width) = (Vec::new(), 0.0);
    for Figure { name, value } in figures {
        let spans = [
            Span::new(Class::Faint, TEXT_SIZE, *name).after(BETWEEN_FIGURES),
            Span::new(Class::Label, TEXT_SIZE, value).after(AFTER_NAME),
        ];
        let width = |span: &Span| span.space + font::width(&span.text, span.size);
        let width = spans.iter().map(width).sum::<f64>();
        if line_width + width > WIDTH - MARGIN - MARGIN {
            scene.text(at, Anchor::Start, std::mem::take(&mut line));
            at.y += LINE;
            line_width = 0.0;
        }
        line_width += width;
        line.extend(spans);
        line[0].space = 0.0;
    }
    scene.text(at, Anchor::Start, line);
    at.y
}

#[cfg(test)]
mod tests;
