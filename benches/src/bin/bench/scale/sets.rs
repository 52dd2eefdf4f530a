//! One appliance with more and more sets, of more and more links.

use std::error::Error;
use std::process::Command;

use benches::plot::{Axis, Legend, LinePlot, Series};
use benches::report::{Cell, Column, Picture, Table};
use benches::scale::Logins;
use dataplane::arrivals::Arrivals;
use dataplane::skew::FirstTimes;
use dataplane::window::Window;

use super::{json_of, mebibytes, sessions, so_many};
use crate::run::{Effort, Run};

/// As a configuration has it by default.
pub(super) const DEFAULT_WINDOW: u32 = 262_144;
const HOLD_S: u32 = 1;
/// Between the LCP echoes of a LAC: one process of LACs has no time for more when there are reports of 16 000 links, too.
const ECHO_MS: u32 = 3000;

/// What is set up.
#[derive(Clone, Copy)]
struct Point {
    sets: u32,
    links: u32,
    window: u32,
}

pub(super) struct Measured {
    point: Point,
    logins: Logins,
}

fn points(effort: Effort) -> Vec<Point> {
    let point = |sets, links| Point {
        sets,
        links,
        window: DEFAULT_WINDOW,
    };
    let of = |sets: u32, links: &[u32]| links.iter().map(|links| point(sets, *links)).collect();
    let smallest = |sets, links| Point {
        window: Window::MIN_NUMBERS as u32,
        ..point(sets, links)
    };
    let largest = |sets, links| Point {
        window: Window::MAX_NUMBERS as u32,
        ..point(sets, links)
    };
    effort.pick(
        vec![point(1, 2), point(50, 2)],
        vec![point(100, 2), point(1000, 2)],
        [
            of(1, &[2]),
            of(100, &[1, 2, 4]),
            of(1000, &[1, 2, 3, 4]),
            of(4000, &[1, 2, 4]),
            vec![smallest(1000, 2), largest(100, 2)],
        ]
        .concat(),
    )
}

pub(super) fn measure(run: &Run) -> Result<Vec<Measured>, Box<dyn Error>> {
    points(run.effort)
        .into_iter()
        .map(|point| {
            let logins = point.measure(run)?;
            Ok(Measured { point, logins })
        })
        .collect()
}

impl Point {
    fn name(&self) -> String {
        let Self {
            sets,
            links,
            window,
        } = *self;
        let [sets, links] =
            [(sets, "set"), (links, "link")].map(|(count, what)| so_many(count as usize, what));
        match window {
            DEFAULT_WINDOW => format!("{sets}, {links}"),
            _ => format!("{sets}, {links}, window {window}"),
        }
    }

    fn measure(&self, run: &Run) -> Result<Logins, Box<dyn Error>> {
        run.say(super::NAME, &self.name());
        let mut lacs = Command::new(run.program("lacs"));
        lacs.arg("--json")
            .arg("--appliance")
            .arg(&run.programs.hal2tp);
        lacs.args(["--lacs", &(self.sets * self.links).to_string()]);
        lacs.args(["--links", &self.links.to_string()]);
        lacs.args(["--window", &self.window.to_string()]);
        lacs.args(["--echo-ms", &ECHO_MS.to_string()]);
        lacs.args(["--hold-s", &HOLD_S.to_string()]);
        json_of(&mut lacs)
    }

    fn windows_octets(&self) -> u64 {
        u64::from(self.sets) * Window::memory_octets(self.window.into())
    }

    /// Times of first copies, one ring for each set, and what came, one for each link.
    fn books_octets(&self) -> u64 {
        u64::from(self.sets)
            * (FirstTimes::MEMORY_OCTETS + u64::from(self.links) * Arrivals::MEMORY_OCTETS)
    }
}

pub(super) fn table(all: &[Measured]) -> Table {
    let columns = vec![
        Column::new("open links", 0),
        Column::new("least open while held", 0),
        Column::new("links with every ring written", 0),
        Column::new("memory before, MiB", 1),
        Column::new("memory with all up, MiB", 1),
        Column::new("memory with every ring written, MiB", 1),
        Column::new("of which windows, computed, MiB", 1),
        Column::new("of which books, computed, MiB", 1),
        Column::new("the rest for a link, KiB", 1),
        Column::new("packet buffers, MiB", 0),
    ];
    let title = "Memory of one appliance with sets";
    let mut table = Table::new("sets", title, "sets and links of each", columns);
    for Measured { point, logins } in all {
        let Logins {
            open,
            least_open,
            before,
            full,
            written,
            written_links,
            ..
        } = logins;
        let (windows, books) = (point.windows_octets(), point.books_octets());
        let written = match written {
            Some(written) => *written,
            None => *full,
        };
        let grown = written.own_octets as f64 - before.own_octets as f64;
        let rest = grown - (windows + books) as f64;
        table.push(
            &point.name(),
            vec![
                Cell::Count(*open),
                Cell::Count(*least_open),
                Cell::Count(*written_links),
                Cell::Value(mebibytes(before.own_octets)),
                Cell::Value(mebibytes(full.own_octets)),
                Cell::Value(mebibytes(written.own_octets)),
                Cell::Value(mebibytes(windows)),
                Cell::Value(mebibytes(books)),
                Cell::Value(rest / 1024.0 / f64::from(point.sets * point.links)),
                Cell::Value(mebibytes(written.buffers_octets)),
            ],
        );
    }
    table
}

/// What to know of the table.
pub(super) fn notes() -> impl Iterator<Item = &'static str> {
    [
        "`sets`: books are one ring of first copies' times for each set and one ring of what came for each link (of one worker; every worker has its own). \
         The rest for a link is its tunnel, session, PPP, counters and the control plane's books; one that was written once may lie in the memory of another, so it is exact to some KiB where there are many, \
         and says nothing of a handful of links.",
        "An epoch that is replaced has its window for `grace-ms` more: while all far ends begin anew at once, windows and books take twice as much.",
    ]
    .into_iter()
}

/// Memory against sessions, with sets and without.
pub(super) fn memory_picture(
    run: &Run,
    plain: &[sessions::Measured],
    sets: &[Measured],
) -> Result<Picture, Box<dyn Error>> {
    const FILE: &str = "scale-memory.svg";
    let grown = |logins: &Logins| {
        let with_all = logins.written.unwrap_or(logins.full).own_octets;
        mebibytes(with_all.saturating_sub(logins.before.own_octets))
    };
    let point = |logins: &Logins| (logins.sessions as f64, grown(logins));
    let plain = Series {
        name: "plain sessions".to_owned(),
        points: plain
            .iter()
            .filter_map(|of| of.logins.first().map(point))
            .collect(),
    };
    let of_links = |links: u32| {
        let of_links = sets
            .iter()
            .filter(|of| of.point.links == links && of.point.window == DEFAULT_WINDOW);
        Series {
            name: format!("links of sets of {links}"),
            points: of_links.map(|of| point(&of.logins)).collect(),
        }
    };
    let mut series = vec![plain];
    let of_sets = [1, 2, 4].map(of_links).into_iter();
    series.extend(of_sets.filter(|series| !series.points.is_empty()));
    let plot = LinePlot {
        title: "What sessions take of an appliance's memory".to_owned(),
        x: Axis::logarithmic("sessions"),
        y: Axis::logarithmic("memory, MiB"),
        series,
        spans: Vec::new(),
        legend: Legend::UpperLeft,
    };
    plot.write(&run.output().join(FILE))?;
    Ok(Picture {
        file: FILE.to_owned(),
        caption: "Memory of an appliance, beyond what it has without anybody, against its sessions: plain ones, and links of sets with the default window"
            .to_owned(),
    })
}
