//! Axes, their numbers, and the lines across the picture.

use super::font;
use super::scene::{Anchor, Frame, Place, Scene, Span, rectangle};
use super::style::Class;
use crate::Kind;
use crate::cells::Cells;
use crate::clock::{Ticks, Wall};
use crate::measures;
use crate::numbers::{self, Prefix};
use crate::scale::{Scales, latency_worth_showing_us};

const LABEL_SIZE: f64 = 12.0;
/// From the plot to its numbers.
const GAP: f64 = 7.0;
/// Where the numbers of the loss end, left of those of the left axis.
const LOSS_END: f64 = 42.0;
/// A line along the very top would not be seen.
const AIR: f64 = 1.03;
const MOST_TICKS: usize = 16;

/// On the scale of a graph that has nothing, or only noughts.
const EMPTY_LATENCY_US: f64 = 10_000.0;
const EMPTY_SAVED: f64 = 0.01;
const EMPTY_BIT_S: f64 = 9e5;

/// Where values lie.
pub(super) struct Axes {
    pub(super) frame: Frame,
    from_s: u64,
    span_s: f64,
    scales: Scales,
    left_unit: Unit,
    right_unit: Unit,
}

/// What the numbers of an axis count.
struct Unit {
    name: String,
    size: f64,
}

impl Unit {
    fn latency(top_us: f64) -> Self {
        match top_us {
            us if us <= 1e7 => Self {
                name: "ms".to_owned(),
                size: 1e3,
            },
            us => {
                let Prefix { factor, letter } = numbers::prefix(us / 1e6);
                Self {
                    name: format!("{letter}s"),
                    size: factor * 1e6,
                }
            }
        }
    }

    fn saved() -> Self {
        Self {
            name: "saved %".to_owned(),
            size: 0.01,
        }
    }

    fn rate(top_bit_s: f64) -> Self {
        let Prefix { factor, letter } = numbers::prefix(top_bit_s);
        Self {
            name: format!("{letter}bit/s"),
            size: factor,
        }
    }
}

impl Axes {
    pub(super) fn new(kind: Kind, cells: &Cells, frame: Frame) -> Self {
        let left = match kind {
            Kind::Link => {
                let most_us = latency_worth_showing_us(cells.samples());
                some(most_us as f64, EMPTY_LATENCY_US)
            }
            Kind::Set => {
                let most = cells
                    .samples()
                    .filter_map(measures::saved)
                    .fold(0.0, f64::max);
                some(most, EMPTY_SAVED)
            }
        };
        let rates = |of: fn(&_) -> _| cells.samples().filter_map(of).max().unwrap_or(0);
        let right = rates(measures::sent_bit_s).max(rates(measures::received_bit_s));
        let scales = Scales::over(left, some(right as f64, EMPTY_BIT_S) * AIR);
        Self {
            frame,
            from_s: cells.from_s,
            span_s: (cells.to_s - cells.from_s) as f64,
            left_unit: match kind {
                Kind::Link => Unit::latency(scales.left_top()),
                Kind::Set => Unit::saved(),
            },
            right_unit: Unit::rate(scales.right_top()),
            scales,
        }
    }

    pub(super) fn x(&self, unix_s: u64) -> f64 {
        let along = unix_s.saturating_sub(self.from_s) as f64 / self.span_s;
        self.frame.left + (self.frame.right - self.frame.left) * along
    }

    /// Of a value of the left axis; `None` when it is beyond the top.
    pub(super) fn left_y(&self, value: f64) -> Option<f64> {
        let part = value / self.scales.left_top();
        (part <= 1.0).then(|| self.y(part))
    }

    pub(super) fn right_y(&self, value: f64) -> f64 {
        self.y(value / self.scales.right_top())
    }

    /// From the bottom, 0, to the top, 1.
    fn y(&self, part: f64) -> f64 {
        self.frame.bottom - self.frame.height() * part.min(1.0)
    }

    /// What lies below the data, and the numbers beside it.
    pub(super) fn draw_grid(&self, scene: &mut Scene, wall: Wall) {
        let ticks = wall.ticks(
            self.from_s,
            self.from_s.saturating_add(self.span_s as u64),
            MOST_TICKS,
        );
        self.draw_lines(scene, &ticks);
        self.draw_times(scene, &ticks);
        for division in 0..=self.scales.divisions {
            self.draw_numbers(scene, division);
        }
        self.draw_units(scene);
    }

    fn draw_lines(&self, scene: &mut Scene, ticks: &Ticks) {
        let Frame {
            left,
            right,
            top,
            bottom,
        } = self.frame;
        let upright = |x| vec![Place { x, y: top }, Place { x, y: bottom + 4.0 }];
        let level = |y| vec![Place { x: left, y }, Place { x: right, y }];
        let divisions = self.scales.divisions;
        let levels = (1..divisions).map(|d| level(self.y(f64::from(d) / f64::from(divisions))));
        let usual = ticks.ticks.iter().filter(|tick| tick.period.is_none());
        let uprights = usual.map(|tick| upright(self.x(tick.at_unix_s)));
        scene.shape(Class::Grid, levels.chain(uprights).collect());
        let changes = ticks.ticks.iter().filter(|tick| tick.period.is_some());
        let lines = changes.map(|tick| upright(self.x(tick.at_unix_s)));
        scene.shape(Class::DayChange, lines.collect());
    }

    fn draw_times(&self, scene: &mut Scene, ticks: &Ticks) {
        let Frame {
            left,
            right,
            bottom,
            ..
        } = self.frame;
        let mut write = |class, x, line, anchor, text: &str| {
            let y = bottom + 22.0 + 16.0 * line;
            scene.text(
                Place { x, y },
                anchor,
                vec![Span::new(class, LABEL_SIZE, text)],
            );
        };
        let mut free_from = left;
        let first_change = ticks.ticks.iter().find(|tick| tick.period.is_some());
        let room = first_change.map_or(right, |tick| self.x(tick.at_unix_s)) - left;
        let width = font::width(&ticks.first_period, LABEL_SIZE) + 10.0;
        if width < room {
            write(Class::Label, left, 1.0, Anchor::Start, &ticks.first_period);
            free_from += width;
        }
        for tick in &ticks.ticks {
            let x = self.x(tick.at_unix_s);
            write(Class::Label, x, 0.0, Anchor::Middle, &tick.label);
            let Some(period) = &tick.period else { continue };
            let half = font::width(period, LABEL_SIZE) / 2.0;
            let x = x.max(free_from + half);
            if x + half <= right + 20.0 {
                write(Class::Label, x, 1.0, Anchor::Middle, period);
                free_from = x + half + 10.0;
            }
        }
        write(
            Class::Faint,
            super::WIDTH - super::MARGIN,
            1.0,
            Anchor::End,
            &ticks.zone,
        );
    }

    fn draw_numbers(&self, scene: &mut Scene, division: u32) {
        let part = f64::from(division) / f64::from(self.scales.divisions);
        let Frame { left, right, .. } = self.frame;
        let left_value = self.scales.left_step * f64::from(division) / self.left_unit.size;
        let right_value = self.scales.right_step * f64::from(division) / self.right_unit.size;
        let loss = 100.0 * (1.0 - part);
        for (class, x, anchor, value) in [
            (Class::LossLabel, LOSS_END, Anchor::End, loss),
            (Class::LeftLabel, left - GAP, Anchor::End, left_value),
            (Class::Label, right + GAP, Anchor::Start, right_value),
        ] {
            let y = self.y(part) + 4.0;
            let number = Span::new(class, LABEL_SIZE, numbers::number(value));
            scene.text(Place { x, y }, anchor, vec![number]);
        }
    }

    /// Above the numbers.
    fn draw_units(&self, scene: &mut Scene) {
        let Frame {
            left, right, top, ..
        } = self.frame;
        for (class, x, anchor, text) in [
            (Class::LossLabel, LOSS_END, Anchor::End, "loss %"),
            (
                Class::LeftLabel,
                left - GAP,
                Anchor::End,
                &self.left_unit.name,
            ),
            (
                Class::Label,
                right + GAP,
                Anchor::Start,
                &self.right_unit.name,
            ),
        ] {
            let at = Place { x, y: top - 12.0 };
            scene.text(at, anchor, vec![Span::new(class, LABEL_SIZE, text)]);
        }
    }

    pub(super) fn draw_frame(&self, scene: &mut Scene) {
        let Frame {
            left,
            right,
            top,
            bottom,
        } = self.frame;
        let mut edge = rectangle(
            Place { x: left, y: top },
            Place {
                x: right,
                y: bottom,
            },
        );
        edge.push(edge[0]);
        scene.shape(Class::Edge, vec![edge]);
    }
}

fn some(value: f64, if_none: f64) -> f64 {
    if value > 0.0 { value } else { if_none }
}
