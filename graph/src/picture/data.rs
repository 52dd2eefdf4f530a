//! What is drawn of the data, layer by layer.

use history::Sample;

use super::axes::Axes;
use super::font;
use super::scene::{Anchor, Frame, Place, Scene, Span};
use super::style::Class;
use crate::cells::{Cell, Cells};
use crate::{Kind, measures, numbers};

/// A loss of one packet of a million is as high as this.
const LEAST_HEIGHT: f64 = 2.5;
/// A second off-line is as high as this.
const LEAST_OFFLINE_HEIGHT: f64 = 16.0;
/// So wide is what marks values beyond the scale.
const MARK_WIDTH: f64 = 9.0;
const MARK_HEIGHT: f64 = 7.0;
const MARK_SIZE: f64 = 12.0;

/// Draws it all, and says whether something was off-line for a part of a cell.
pub(super) fn draw(scene: &mut Scene, kind: Kind, cells: &Cells, axes: &Axes) -> bool {
    let layers = Layers { cells, axes };
    layers.draw_columns(scene);
    match kind {
        Kind::Link => layers.draw_latency(scene),
        Kind::Set => layers.draw_saved(scene),
    }
    let partly_offline = layers.draw_partly_offline(scene);
    layers.draw_loss(scene, kind);
    layers.draw_throughput(scene);
    partly_offline
}

/// The part of the measured time in which it was down: 0 to 1.
fn offline(sample: &Sample) -> f64 {
    f64::from(sample.offline_s) / f64::from(sample.measured_s.max(1))
}

struct Layers<'a> {
    cells: &'a Cells,
    axes: &'a Axes,
}

impl Layers<'_> {
    /// Where there is nothing else to draw: unknown, and off-line all the time.
    fn draw_columns(&self, scene: &mut Scene) {
        let top = self.axes.frame.top;
        let unknown = self.standing(|cell| cell.sample.is_none().then_some(top));
        scene.data(Class::Unknown, unknown.clone());
        scene.shape(Class::UnknownStripes, unknown);
        let offline = self.standing(|cell| (offline(cell.sample?) >= 1.0).then_some(top));
        scene.data(Class::Offline, offline.clone());
        scene.shape(Class::OfflineStripes, offline);
    }

    /// As high as its part of the time, as days that all have a second of it must not hide the rest; marked below, as a second is easily overlooked.
    fn draw_partly_offline(&self, scene: &mut Scene) -> bool {
        let frame = self.axes.frame;
        let part = |cell: Cell<'_>| {
            let part = offline(cell.sample?);
            (part > 0.0 && part < 1.0).then_some(part)
        };
        let partly = self.standing(|cell| {
            let height = (frame.height() * part(cell)?).max(LEAST_OFFLINE_HEIGHT);
            Some(frame.bottom - height)
        });
        let some = !partly.is_empty();
        scene.data(Class::PartlyOffline, partly);
        let marked = self.cells.iter().filter(|cell| part(*cell).is_some());
        let marks = self.marks(marked, frame.bottom + MARK_HEIGHT + 1.0);
        scene.shape(Class::PartlyOffline, marks);
        some
    }

    fn draw_saved(&self, scene: &mut Scene) {
        let Frame { top, bottom, .. } = self.axes.frame;
        let saved = self.standing(|cell| {
            let ratio = measures::saved(cell.sample?).filter(|ratio| *ratio > 0.0)?;
            let y = self.axes.left_y(ratio).unwrap_or(top);
            Some(y.min(bottom - LEAST_HEIGHT))
        });
        scene.data(Class::Saved, saved);
    }

    fn draw_latency(&self, scene: &mut Scene) {
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
        self.draw_beyond(scene);
    }

    /// Marks above the plot, where latency goes beyond it, and how far it goes.
    fn draw_beyond(&self, scene: &mut Scene) {
        let Frame {
            left, right, top, ..
        } = self.axes.frame;
        let most_us = |cell: &Cell<'_>| {
            let most_us = cell.sample?.latency?.most_us;
            self.axes
                .left_y(most_us as f64)
                .is_none()
                .then_some(most_us)
        };
        let beyond = || self.cells.iter().filter(|cell| most_us(cell).is_some());
        let Some(farthest) = beyond().max_by_key(most_us) else {
            return;
        };
        let foot = top - 4.0;
        scene.data(Class::Beyond, self.marks(beyond(), foot));
        let most_us = most_us(&farthest).unwrap_or_default();
        let text = format!("up to {}", numbers::latency(most_us));
        let half = font::width(&text, MARK_SIZE) / 2.0;
        let at = Place {
            x: self.middle(farthest).clamp(left + half, right - half),
            y: foot - MARK_HEIGHT - 3.0,
        };
        let label = Span::new(Class::BeyondLabel, MARK_SIZE, text);
        scene.text(at, Anchor::Middle, vec![label]);
    }

    /// A triangle on each of these cells; where they are close, on the first.
    fn marks<'a>(&self, cells: impl Iterator<Item = Cell<'a>>, foot: f64) -> Vec<Vec<Place>> {
        let mut free_from = f64::NEG_INFINITY;
        let mut marks = Vec::new();
        for cell in cells {
            let middle = self.middle(cell);
            let (left, right) = (middle - MARK_WIDTH / 2.0, middle + MARK_WIDTH / 2.0);
            if left < free_from {
                continue;
            }
            free_from = right;
            let corners = [(left, foot), (right, foot), (middle, foot - MARK_HEIGHT)];
            marks.push(corners.map(|(x, y)| Place { x, y }).to_vec());
        }
        marks
    }

    fn middle(&self, cell: Cell<'_>) -> f64 {
        (self.axes.x(cell.from_s) + self.axes.x(cell.to_s)) / 2.0
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
