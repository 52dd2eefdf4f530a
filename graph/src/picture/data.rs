//! What is drawn of the data, layer by layer.

use history::Sample;

use super::axes::Axes;
use super::font;
use super::scene::{Anchor, Frame, Place, Scene, Text};
use super::style::Class;
use crate::cells::{Cell, Cells};
use crate::{Kind, measures, numbers};

/// A loss of one packet of a million is as high as this.
const LEAST_HEIGHT: f64 = 2.5;
/// So wide is what marks values beyond the scale.
const MARK_WIDTH: f64 = 9.0;
const MARK_HEIGHT: f64 = 7.0;
const MARK_SIZE: f64 = 12.0;

/// What is in the picture only now and then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marked {
    pub(super) beyond: bool,
    pub(super) partly_offline: bool,
}

pub(super) fn draw(scene: &mut Scene, kind: Kind, cells: &Cells, axes: &Axes) -> Marked {
    let layers = Layers { cells, axes };
    let column = |when: fn(&Sample) -> bool| {
        move |cell: Cell<'_>| cell.sample.is_some_and(when).then_some(axes.frame.top)
    };
    let whole = |sample: &Sample| sample.offline_s >= sample.measured_s;
    let part = |sample: &Sample| sample.offline_s > 0 && sample.offline_s < sample.measured_s;
    let unknown = |cell: Cell<'_>| cell.sample.is_none().then_some(axes.frame.top);
    let unknown = layers.standing(unknown);
    scene.data(Class::Unknown, unknown.clone());
    scene.shape(Class::UnknownStripes, unknown);
    let offline = layers.standing(column(whole));
    scene.data(Class::Offline, offline.clone());
    scene.shape(Class::OfflineStripes, offline);
    let partly_offline = layers.standing(column(part));
    let marked = Marked {
        partly_offline: !partly_offline.is_empty(),
        beyond: false,
    };
    scene.data(Class::PartlyOffline, partly_offline);

    let beyond = match kind {
        Kind::Link => layers.draw_latency(scene),
        Kind::Set => {
            let high = |ratio| axes.left_y(ratio).map(|y| layers.at_least(y));
            let saved = |sample: &Sample| measures::saved(sample).filter(|ratio| *ratio > 0.0);
            scene.data(
                Class::Saved,
                layers.standing(|cell| high(saved(cell.sample?)?)),
            );
            false
        }
    };
    layers.draw_loss(scene, kind);
    layers.draw_throughput(scene);
    Marked { beyond, ..marked }
}

struct Layers<'a> {
    cells: &'a Cells,
    axes: &'a Axes,
}

impl Layers<'_> {
    fn draw_latency(&self, scene: &mut Scene) -> bool {
        let top = self.axes.frame.top;
        let y = |time_us: u64| self.axes.left_y(time_us as f64).unwrap_or(top);
        let spread = |cell: Cell<'_>| cell.sample?.latency;
        let least = |cell: Cell<'_>| Some(y(spread(cell)?.least_us));
        let mean = |cell: Cell<'_>| Some(y(spread(cell)?.mean_us()));
        let range = |cell: Cell<'_>| {
            let spread = spread(cell)?;
            Some((y(spread.most_us), y(spread.least_us)))
        };
        scene.data(Class::Least, self.standing(least));
        scene.data(Class::Range, self.areas(range));
        scene.data(Class::Mean, self.lines(mean));
        self.draw_beyond(scene)
    }

    /// Marks above the plot, where latency goes beyond it, and how far it goes.
    fn draw_beyond(&self, scene: &mut Scene) -> bool {
        let Frame {
            left, right, top, ..
        } = self.axes.frame;
        let foot = top - 4.0;
        let mut marks: Vec<Vec<Place>> = Vec::new();
        let mut most = (0, left);
        for cell in self.cells.iter() {
            let Some(latency) = cell.sample.and_then(|sample| sample.latency) else {
                continue;
            };
            if self.axes.left_y(latency.most_us as f64).is_some() {
                continue;
            }
            let middle = (self.axes.x(cell.from_s) + self.axes.x(cell.to_s)) / 2.0;
            if latency.most_us > most.0 {
                most = (latency.most_us, middle);
            }
            let half = MARK_WIDTH / 2.0;
            if marks.last().is_some_and(|mark| mark[1].x + half > middle) {
                continue;
            }
            marks.push(vec![
                Place {
                    x: middle - half,
                    y: foot,
                },
                Place {
                    x: middle + half,
                    y: foot,
                },
                Place {
                    x: middle,
                    y: foot - MARK_HEIGHT,
                },
            ]);
        }
        let (most_us, x) = most;
        if marks.is_empty() {
            return false;
        }
        scene.data(Class::Beyond, marks);
        let text = format!("up to {}", numbers::latency(most_us));
        let half = font::width(&text, MARK_SIZE) / 2.0;
        let at = Place {
            x: x.clamp(left + half, right - half),
            y: foot - MARK_HEIGHT - 3.0,
        };
        let spans = vec![(Class::BeyondLabel, text)];
        scene.text(Text::new(at, Anchor::Middle, MARK_SIZE, spans));
        true
    }

    /// From the top; what is lost at all can be seen.
    fn draw_loss(&self, scene: &mut Scene, kind: Kind) {
        let frame = self.axes.frame;
        let hanging = |of: fn(&Sample) -> Option<f64>| {
            self.areas(move |cell| {
                let ratio = of(cell.sample?).filter(|ratio| *ratio > 0.0)?;
                Some((
                    frame.top,
                    frame.top + (frame.height() * ratio).max(LEAST_HEIGHT),
                ))
            })
        };
        if kind == Kind::Link {
            scene.data(Class::Echoes, hanging(measures::echo_loss));
        }
        scene.data(Class::Loss, hanging(measures::loss));
    }

    fn draw_throughput(&self, scene: &mut Scene) {
        for (class, of) in [
            (
                Class::Received,
                measures::received_bit_s as fn(&Sample) -> Option<u64>,
            ),
            (Class::Sent, measures::sent_bit_s),
        ] {
            let y = |cell: Cell<'_>| Some(self.axes.right_y(of(cell.sample?)? as f64));
            let lines = self.lines(y);
            scene.shape(Class::Halo, lines.clone());
            scene.data(class, lines);
        }
    }

    fn at_least(&self, y: f64) -> f64 {
        y.min(self.axes.frame.bottom - LEAST_HEIGHT)
    }

    /// Areas from the bottom up to what is given of each cell.
    fn standing(&self, high: impl Fn(Cell<'_>) -> Option<f64>) -> Vec<Vec<Place>> {
        let bottom = self.axes.frame.bottom;
        self.areas(|cell| Some((high(cell)?, bottom)))
    }

    /// Areas between two heights, one for each run of cells that have them.
    fn areas(&self, between: impl Fn(Cell<'_>) -> Option<(f64, f64)>) -> Vec<Vec<Place>> {
        let runs = self.runs(between);
        let areas = runs.into_iter().map(|run| {
            let upper = Steps::over(
                run.iter()
                    .map(|(from, to, (upper, _))| (*from, *to, *upper)),
            );
            let lower = Steps::over(
                run.iter()
                    .map(|(from, to, (_, lower))| (*from, *to, *lower)),
            );
            upper.into_iter().chain(lower.into_iter().rev()).collect()
        });
        areas.collect()
    }

    /// Lines, one for each run of cells that have a height.
    fn lines(&self, height: impl Fn(Cell<'_>) -> Option<f64>) -> Vec<Vec<Place>> {
        self.runs(height).into_iter().map(Steps::over).collect()
    }

    /// Cells side by side that have a value: from where to where, and the value.
    fn runs<T>(&self, value: impl Fn(Cell<'_>) -> Option<T>) -> Vec<Vec<(f64, f64, T)>> {
        let mut runs = Vec::new();
        let mut run = Vec::new();
        for cell in self.cells.iter() {
            match value(cell) {
                Some(value) => run.push((self.axes.x(cell.from_s), self.axes.x(cell.to_s), value)),
                None if run.is_empty() => {}
                None => runs.push(std::mem::take(&mut run)),
            }
        }
        if !run.is_empty() {
            runs.push(run);
        }
        runs
    }
}

/// A line that is level in each cell.
struct Steps;

impl Steps {
    fn over(cells: impl IntoIterator<Item = (f64, f64, f64)>) -> Vec<Place> {
        let mut line: Vec<Place> = Vec::new();
        for (from, to, y) in cells {
            match line.last_mut() {
                Some(last) if (last.y - y).abs() < 0.05 => last.x = to,
                _ => line.extend([Place { x: from, y }, Place { x: to, y }]),
            }
        }
        line
    }
}
