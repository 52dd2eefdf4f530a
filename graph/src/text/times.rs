//! The time axis.

use super::page::{Page, Tint};
use crate::clock::{Tick, Wall};

/// A label and the space to the next.
const TICK_COLUMNS: usize = 9;

pub(super) fn write(page: &mut Page, wall: Wall, (from_s, to_s): (u64, u64)) {
    let columns = page.panel_columns();
    let ticks = wall.ticks(from_s, to_s, columns / TICK_COLUMNS);
    let span_s = (to_s - from_s) as f64;
    let column = |tick: &Tick| {
        let along = (tick.at_unix_s - from_s) as f64 / span_s;
        ((along * columns as f64) as usize).min(columns - 1)
    };
    let mut axis = vec!['\u{2500}'; columns];
    let mut labels = vec![' '; columns];
    let mut periods = vec![' '; columns];
    let changes = ticks
        .ticks
        .iter()
        .filter_map(|tick| Some((column(tick), tick.period.as_ref()?)));
    let first_change = changes.clone().next().map_or(columns, |(at, _)| at);
    if ticks.first_period.len() < first_change {
        put(&mut periods, 0, &ticks.first_period);
    }
    changes.for_each(|(at, period)| put(&mut periods, at, period));
    for tick in &ticks.ticks {
        axis[column(tick)] = '\u{252c}';
        put(&mut labels, column(tick), &tick.label);
    }
    for (name, line) in [("", axis), (ticks.zone.as_str(), labels), ("", periods)] {
        page.row(
            name,
            line.into_iter()
                .map(|letter| (letter, Tint::Faint))
                .collect(),
        );
    }
}

/// Writes a text from a column on, unless it would run into another, or over the end.
fn put(line: &mut [char], at: usize, text: &str) {
    let end = at + text.chars().count();
    let before = at.saturating_sub(1);
    let Some(place) = line.get_mut(before..end) else {
        return;
    };
    if place.iter().all(|letter| *letter == ' ') {
        let letters = place[at - before..].iter_mut().zip(text.chars());
        letters.for_each(|(letter, new)| *letter = new);
    }
}
