//! Thousands of LACs that log in to one appliance.

use std::error::Error;
use std::process::Command;

use benches::report::{Cell, Column, Table};
use benches::scale::Logins;

use super::{cell, json_of, mebibytes};
use crate::run::{Effort, Run};

/// Who logs in.
#[derive(Clone, Copy)]
struct Point {
    tunnels: u32,
    sessions: u32,
    /// Between the LCP echoes of a LAC; one process of LACs has no time for more.
    echo_ms: u32,
    hold_s: u32,
    repeats: u32,
}

/// What came of one point, as often as it was measured.
pub(super) struct Measured {
    point: Point,
    pub(super) logins: Vec<Logins>,
}

fn points(effort: Effort) -> Vec<Point> {
    let of_one = |tunnels, hold_s, repeats| Point {
        tunnels,
        sessions: tunnels,
        echo_ms: 1000,
        hold_s,
        repeats,
    };
    let most = Point {
        sessions: 64_000,
        echo_ms: 3000,
        ..of_one(20_000, 10, 1)
    };
    effort.pick(
        vec![of_one(100, 1, 1)],
        vec![of_one(100, 1, 1), of_one(1000, 3, 1)],
        vec![
            of_one(1000, 3, 3),
            of_one(4000, 5, 3),
            of_one(20_000, 10, 1),
            most,
        ],
    )
}

pub(super) fn measure(run: &Run) -> Result<Vec<Measured>, Box<dyn Error>> {
    points(run.effort)
        .into_iter()
        .map(|point| {
            let logins = (0..point.repeats).map(|_| point.measure(run));
            let logins = logins.collect::<Result<_, _>>()?;
            Ok(Measured { point, logins })
        })
        .collect()
}

impl Point {
    fn name(&self) -> String {
        let Self {
            tunnels, sessions, ..
        } = self;
        format!("{tunnels} tunnels, {sessions} sessions")
    }

    fn measure(&self, run: &Run) -> Result<Logins, Box<dyn Error>> {
        run.say(super::NAME, &self.name());
        let mut lacs = Command::new(run.program("lacs"));
        lacs.arg("--json")
            .arg("--appliance")
            .arg(&run.programs.hal2tp);
        lacs.args(["--lacs", &self.tunnels.to_string()]);
        lacs.args(["--sessions", &self.sessions.to_string()]);
        lacs.args(["--echo-ms", &self.echo_ms.to_string()]);
        lacs.args(["--hold-s", &self.hold_s.to_string()]);
        json_of(&mut lacs)
    }
}

pub(super) fn table(all: &[Measured]) -> Table {
    let columns = vec![
        Column::new("open", 0),
        Column::new("set-ups a second", 0),
        Column::new("one set-up p50, ms", 1),
        Column::new("one set-up p99, ms", 1),
        Column::new("attempts that failed", 0),
        Column::new("CPU time for a set-up, µs", 0),
        Column::new("of which control thread, µs", 0),
        Column::new("LACs' echoes every, s", 0),
        Column::new("least open while held", 0),
        Column::new("CPU while held, %", 0),
        Column::new("of which control thread, %", 0),
        Column::new("memory before, MiB", 1),
        Column::new("memory with all, MiB", 1),
        Column::new("memory for a session, KiB", 1),
        Column::new("packet buffers, MiB", 0),
        Column::new("status of all, s", 2),
    ];
    let title = "LACs that log in to one appliance, and stay";
    let mut table = Table::new("sessions", title, "far ends", columns);
    for measured in all {
        table.push(&measured.point.name(), measured.cells());
    }
    table
}

impl Measured {
    fn cells(&self) -> Vec<Cell> {
        let figure = |of: &dyn Fn(&Logins) -> f64| {
            let values: Vec<f64> = self.logins.iter().map(of).collect();
            cell(&values)
        };
        let least = |of: fn(&Logins) -> u64| {
            let least = self.logins.iter().map(of).min();
            Cell::Count(least.unwrap_or(0))
        };
        let microseconds = |time: std::time::Duration, it: &Logins| {
            time.as_secs_f64() * 1e6 / it.open.max(1) as f64
        };
        let percent =
            |time: std::time::Duration, it: &Logins| time.as_secs_f64() / it.hold_s * 100.0;
        let rate = if self.logins.iter().all(|it| it.setup_s.is_some()) {
            figure(&|it| it.open as f64 / it.setup_s.unwrap_or(f64::NAN))
        } else {
            Cell::Text("not all were open in time".to_owned())
        };
        vec![
            least(|it| it.open),
            rate,
            figure(&|it| it.setup_p50_ms),
            figure(&|it| it.setup_p99_ms),
            Cell::Count(self.logins.iter().map(|it| it.failures).sum()),
            figure(&|it| microseconds(it.setup_cpu.all, it)),
            figure(&|it| microseconds(it.setup_cpu.control, it)),
            Cell::Count(u64::from(self.point.echo_ms / 1000)),
            least(|it| it.least_open),
            figure(&|it| percent(it.hold_cpu.all, it)),
            figure(&|it| percent(it.hold_cpu.control, it)),
            figure(&|it| mebibytes(it.before.own_octets)),
            figure(&|it| mebibytes(it.full.own_octets)),
            figure(&|it| {
                let grown = it.full.own_octets.saturating_sub(it.before.own_octets);
                grown as f64 / 1024.0 / it.sessions as f64
            }),
            figure(&|it| mebibytes(it.full.buffers_octets)),
            figure(&|it| it.status_s),
        ]
    }
}
