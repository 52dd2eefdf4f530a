//! The rows of a graph, added up to no more cells than the picture has places for.

use history::Sample;

use crate::Graph;
use crate::clock::Wall;

const DAY_S: u64 = 86_400;
/// Longer cells are whole days: else they would show which part of the day each is.
const LONGEST_IN_DAY_S: u64 = DAY_S / 4;

/// Cells of one length, side by side from one end of the time to the other.
pub(crate) struct Cells {
    pub(crate) from_s: u64,
    pub(crate) to_s: u64,
    layout: Layout,
    samples: Vec<Option<Sample>>,
}

struct Layout {
    /// Where the first cell begins: at the start of the graph's time, or less than a cell before.
    origin_s: u64,
    length_s: u64,
}

impl Layout {
    /// Cells end where rows end, so that each row is in one cell.
    fn new(graph: &Graph<'_>, rows_each: u64) -> Self {
        let (from_s, _) = window(graph);
        let step_s = step_s(graph);
        let phase_s = rows(graph)
            .next()
            .map_or(0, |(start_s, _)| start_s % step_s);
        let length_s = rows_each.saturating_mul(step_s);
        let (phase_s, length_s) = if length_s > LONGEST_IN_DAY_S && DAY_S.is_multiple_of(step_s) {
            let midnight_s = Wall::new(graph.utc_offset_s).midnight_s();
            let first_row_s = midnight_s - midnight_s % step_s + phase_s;
            (first_row_s, length_s.div_ceil(DAY_S) * DAY_S)
        } else {
            (phase_s, length_s)
        };
        let before_s = (from_s % length_s + length_s - phase_s % length_s) % length_s;
        Self {
            origin_s: from_s.saturating_sub(before_s),
            length_s,
        }
    }

    fn cells(&self, to_s: u64) -> u64 {
        (to_s - self.origin_s).div_ceil(self.length_s)
    }
}

/// A cell as far as it lies in the time shown.
#[derive(Clone, Copy)]
pub(crate) struct Cell<'a> {
    pub(crate) from_s: u64,
    pub(crate) to_s: u64,
    /// `None` when nobody measured.
    pub(crate) sample: Option<&'a Sample>,
}

/// The time that a graph shows: at least a second.
pub(crate) fn window(graph: &Graph<'_>) -> (u64, u64) {
    let from_s = graph.from_unix_s.min(u64::MAX - 1);
    (from_s, graph.to_unix_s.max(from_s + 1))
}

/// The rows of the time that a graph shows.
pub(crate) fn rows<'a>(graph: &Graph<'a>) -> impl Iterator<Item = &'a (u64, Sample)> {
    let (from_s, to_s) = window(graph);
    let step_s = step_s(graph);
    let rows = graph.rows.iter();
    rows.filter(move |(start_s, _)| *start_s < to_s && start_s.saturating_add(step_s) > from_s)
}

fn step_s(graph: &Graph<'_>) -> u64 {
    u64::from(graph.step_s.max(1))
}

impl Cells {
    /// At most so many cells, two at least. They begin at the same times however far the graph reaches, so that a picture that is drawn again a little later
    /// is the same but for its ends.
    pub(crate) fn of(graph: &Graph<'_>, most: usize) -> Self {
        let (from_s, to_s) = window(graph);
        let most = most.max(2) as u64;
        let whole_rows = (to_s - from_s).div_ceil(step_s(graph));
        let exact = Layout::new(graph, whole_rows.div_ceil(most));
        // A little longer where the ends are in cells of which only a part is seen.
        let layout = if exact.cells(to_s) <= most {
            exact
        } else {
            Layout::new(graph, whole_rows.div_ceil(most - 1))
        };
        let mut samples = vec![None; layout.cells(to_s) as usize];
        for (start_s, sample) in rows(graph) {
            let index = start_s.saturating_sub(layout.origin_s) / layout.length_s;
            let cell: &mut Option<Sample> = &mut samples[index as usize];
            cell.get_or_insert_default().add(sample);
        }
        Self {
            from_s,
            to_s,
            layout,
            samples,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Cell<'_>> {
        let mut start_s = self.layout.origin_s;
        self.samples.iter().map(move |sample| {
            let from_s = start_s.max(self.from_s);
            start_s = start_s.saturating_add(self.layout.length_s);
            Cell {
                from_s,
                to_s: start_s.min(self.to_s),
                sample: sample.as_ref().filter(|sample| sample.measured_s > 0),
            }
        })
    }

    /// What is in the middle of each of so many columns, side by side from one end of the time to the other.
    pub(crate) fn spread_over(&self, columns: usize) -> Vec<Option<&Sample>> {
        let cells: Vec<_> = self.iter().collect();
        let span_s = (self.to_s - self.from_s) as f64;
        let columns = (0..columns).map(|column| {
            let middle = (column as f64 + 0.5) / columns as f64;
            let middle_s = self.from_s + (span_s * middle) as u64;
            let index = cells.partition_point(|cell| cell.to_s <= middle_s);
            cells.get(index).and_then(|cell| cell.sample)
        });
        columns.collect()
    }

    pub(crate) fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.iter().filter_map(|cell| cell.sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    fn graph(from_unix_s: u64, to_unix_s: u64, rows: &[(u64, Sample)]) -> Graph<'_> {
        Graph {
            title: "",
            subtitle: "",
            kind: Kind::Link,
            from_unix_s,
            to_unix_s,
            step_s: 10,
            rows,
            utc_offset_s: 0,
        }
    }

    fn measured(echoes_sent: u64) -> Sample {
        Sample {
            measured_s: 10,
            echoes_sent,
            ..Sample::default()
        }
    }

    fn shown(cells: &Cells) -> Vec<(u64, u64, Option<u64>)> {
        let shown = |cell: Cell<'_>| (cell.from_s, cell.to_s, cell.sample.map(|s| s.echoes_sent));
        cells.iter().map(shown).collect()
    }

    #[test]
    fn rows_add_up_to_as_many_cells_as_there_is_room_for() {
        let rows: Vec<_> = (0..10).map(|i| (100 + 10 * i, measured(i))).collect();
        let cells = Cells::of(&graph(100, 200, &rows), 4);
        let expected = [
            (100, 120, Some(1)),
            (120, 150, Some(9)),
            (150, 180, Some(18)),
            (180, 200, Some(17)),
        ];
        assert_eq!(shown(&cells), expected);
    }

    #[test]
    fn cells_end_where_rows_end() {
        let rows = [(97, measured(1)), (117, measured(3)), (87, measured(9))];
        let cells = Cells::of(&graph(100, 130, &rows), 100);
        let expected = [
            (100, 107, Some(1)),
            (107, 117, None),
            (117, 127, Some(3)),
            (127, 130, None),
        ];
        assert_eq!(shown(&cells), expected);
    }

    #[test]
    fn long_cells_are_days_where_the_clock_hangs() {
        let (day_s, noon_s) = (DAY_S, 1_795_780_800);
        let rows: Vec<_> = (0..30 * 24)
            .map(|hour| (noon_s + hour * 3600, measured(1)))
            .collect();
        let month = Graph {
            step_s: 3600,
            utc_offset_s: 19_800,
            ..graph(noon_s, noon_s + 30 * day_s, &rows)
        };
        let cells = shown(&Cells::of(&month, 60));
        // Midnight in India is at 18:30; rows begin at whole hours.
        assert_eq!(cells[0], (noon_s, noon_s + 6 * 3600, Some(6)));
        let second_s = noon_s + 6 * 3600;
        assert_eq!(cells[1], (second_s, second_s + day_s, Some(24)));
        assert_eq!(cells.len(), 31);
    }

    #[test]
    fn a_row_in_which_nobody_measured_is_unknown() {
        let rows = [(100, Sample::default())];
        assert_eq!(
            shown(&Cells::of(&graph(100, 110, &rows), 9)),
            [(100, 110, None)]
        );
    }

    #[test]
    fn the_ends_of_time_have_cells_too() {
        for (from_s, to_s) in [
            (0, u64::MAX),
            (u64::MAX / 3, u64::MAX),
            (u64::MAX, u64::MAX),
            (u64::MAX, 0),
            (7, 7),
        ] {
            let rows = [(0, measured(1)), (7, measured(2)), (u64::MAX, measured(3))];
            let cells = Cells::of(&graph(from_s, to_s, &rows), 960);
            assert!((1..=960).contains(&cells.samples.len()), "{from_s} {to_s}");
            assert!(
                cells.iter().all(|cell| cell.from_s < cell.to_s),
                "{from_s} {to_s}"
            );
        }
    }
}
