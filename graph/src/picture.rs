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
    let mut write = |x, anchor, size, class, text| {
        let at = Place { x, y: baseline };
        scene.text(Text::new(at, anchor, size, vec![(class, text)]));
    };
    let time_end = WIDTH - MARGIN;
    write(
        time_end,
        Anchor::End,
        TEXT_SIZE,
        Class::Faint,
        time.to_owned(),
    );
    let time_start = time_end - font::width(time, TEXT_SIZE) - 24.0;

    let title = font::shortened(graph.title, TITLE_SIZE, (time_start - MARGIN) * 0.7);
    let title_end = MARGIN + font::width(&title, TITLE_SIZE) + 14.0;
    let subtitle = font::shortened(graph.subtitle, TEXT_SIZE, time_start - title_end);
    write(MARGIN, Anchor::Start, TITLE_SIZE, Class::Title, title);
    write(title_end, Anchor::Start, TEXT_SIZE, Class::Faint, subtitle);
    draw_figures(scene, figures, baseline + LINE + 5.0)
}

/// In as many lines as they need.
fn draw_figures(scene: &mut Scene, figures: &[Figure], first_baseline: f64) -> f64 {
    const BETWEEN: f64 = 20.0;
    let mut at = Place {
        x: MARGIN,
        y: first_baseline,
    };
    for Figure { name, value } in figures {
        let name = format!("{name} ");
        let width = font::width(&name, TEXT_SIZE) + font::width(value, TEXT_SIZE);
        if at.x > MARGIN && at.x + width > WIDTH - MARGIN {
            at = Place {
                x: MARGIN,
                y: at.y + LINE,
            };
        }
        let spans = vec![(Class::Faint, name), (Class::Label, value.clone())];
        scene.text(Text::new(at, Anchor::Start, TEXT_SIZE, spans));
        at.x += width + BETWEEN;
    }
    at.y
}

#[cfg(test)]
mod tests;
