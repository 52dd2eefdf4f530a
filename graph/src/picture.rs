//! The picture: what lies where. How it becomes SVG or PNG is in `svg` and `png`; both draw the same scene.

use crate::cells::{self, Cells};
use crate::clock::Wall;
use crate::summary::{self, Figure};
use crate::{Graph, Kind};
use axes::Axes;
use scene::{Anchor, Frame, Place, Scene, Text};
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
const LEFT: f64 = 92.0;
const RIGHT: f64 = LEFT + 932.0;
const PLOT_HEIGHT: f64 = 280.0;
/// Free at either side of the picture.
const MARGIN: f64 = 16.0;
/// As many cells as the picture has columns, so that none is narrower than a unit.
const CELLS: usize = 932;

const TITLE_SIZE: f64 = 19.0;
const TEXT_SIZE: f64 = 13.0;
const LINE: f64 = 19.0;

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
        top: head_end + 30.0,
        bottom: head_end + 30.0 + PLOT_HEIGHT,
    };
    let cells = Cells::of(graph, CELLS);
    let axes = Axes::new(graph.kind, &cells, frame);
    axes.draw_grid(&mut scene, wall);
    let marked = data::draw(&mut scene, graph.kind, &cells, &axes);
    axes.draw_frame(&mut scene);
    let legend_end = legend::draw(&mut scene, graph.kind, marked, frame.bottom + 62.0);
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
    let line = |class, text: &str, x, anchor| Text {
        class,
        at: Place { x, y: baseline },
        anchor,
        size: TEXT_SIZE,
        text: text.to_owned(),
    };
    scene.text(line(Class::Faint, time, WIDTH - MARGIN, Anchor::End));
    let time_start = WIDTH - MARGIN - font::width(time, TEXT_SIZE) - 24.0;

    let title = font::shortened(graph.title, TITLE_SIZE, (time_start - MARGIN) * 0.7);
    let title_end = MARGIN + font::width(&title, TITLE_SIZE) + 14.0;
    scene.text(Text {
        size: TITLE_SIZE,
        ..line(Class::Title, &title, MARGIN, Anchor::Start)
    });
    let subtitle = font::shortened(graph.subtitle, TEXT_SIZE, time_start - title_end);
    scene.text(line(Class::Faint, &subtitle, title_end, Anchor::Start));
    draw_figures(scene, figures, baseline + LINE + 5.0)
}

/// In as many lines as they need.
fn draw_figures(scene: &mut Scene, figures: &[Figure], first_baseline: f64) -> f64 {
    const BETWEEN: f64 = 22.0;
    const AFTER_NAME: f64 = 6.0;
    let mut at = Place {
        x: MARGIN,
        y: first_baseline,
    };
    for figure in figures {
        let name_width = font::width(figure.name, TEXT_SIZE) + AFTER_NAME;
        let width = name_width + font::width(&figure.value, TEXT_SIZE);
        if at.x > MARGIN && at.x + width > WIDTH - MARGIN {
            at = Place {
                x: MARGIN,
                y: at.y + LINE,
            };
        }
        let value_at = Place {
            x: at.x + name_width,
            y: at.y,
        };
        for (class, at, text) in [
            (Class::Faint, at, figure.name),
            (Class::Label, value_at, &figure.value),
        ] {
            let text = text.to_owned();
            scene.text(Text {
                class,
                at,
                anchor: Anchor::Start,
                size: TEXT_SIZE,
                text,
            });
        }
        at.x += width + BETWEEN;
    }
    at.y
}

#[cfg(test)]
mod tests;
