//! Cycles of one worker for a packet, among more and more sets and sessions.

use std::error::Error;
use std::process::Command;

use benches::figure::Figure;
use benches::plot::{Axis, Legend, LinePlot, Series};
use benches::report::{Cell, Column, Picture, Table};
use benches::scale::{Crowd, Crowds};

use super::{json_of, mebibytes, so_many};
use crate::run::{Effort, Run};

/// Has jemalloc ask for no large pages, as it otherwise does.
const SMALL_PAGES: (&str, &str) = ("_RJEM_MALLOC_CONF", "thp:never");

/// Crowds that take turns in one process; the first is one set.
struct Group {
    /// `SETS+SESSIONS`.
    sizes: &'static [&'static str],
    has_small_pages: bool,
}

const SMOKE: &[Group] = &[Group {
    sizes: &["1", "32"],
    has_small_pages: false,
}];
const QUICK: &[Group] = &[Group {
    sizes: &["1", "100", "4000", "4000+56000"],
    has_small_pages: false,
}];
const FULL: &[Group] = &[
    Group {
        sizes: &["1", "32", "100", "1000"],
        has_small_pages: false,
    },
    Group {
        sizes: &["1", "4000", "4000+12000", "4000+56000"],
        has_small_pages: false,
    },
    Group {
        sizes: &["1", "32", "100", "1000"],
        has_small_pages: true,
    },
    Group {
        sizes: &["1", "4000", "4000+12000", "4000+56000"],
        has_small_pages: true,
    },
];

/// What the groups came to.
pub(super) struct Measured {
    rounds: u32,
    groups: Vec<(bool, Crowds)>,
}

pub(super) fn measure(run: &Run) -> Result<Measured, Box<dyn Error>> {
    let rounds = run.effort.pick(7, 9, 31);
    let groups = run.effort.pick(SMOKE, QUICK, FULL).iter().map(|group| {
        let sizes = group.sizes.join(",");
        let pages = if group.has_small_pages {
            ", small pages"
        } else {
            ""
        };
        run.say(super::NAME, &format!("cycles, sets {sizes}{pages}"));
        let mut cycles = Command::new(run.program("cycles"));
        cycles.args(["--crowds", &sizes, "--rounds", &rounds.to_string()]);
        if run.effort == Effort::Smoke {
            cycles.args(["--bursts", "20"]);
        }
        if group.has_small_pages {
            cycles.env(SMALL_PAGES.0, SMALL_PAGES.1);
        } else {
            cycles.env_remove(SMALL_PAGES.0);
        }
        let crowds: Crowds = json_of(&mut cycles)?;
        Ok((group.has_small_pages, crowds))
    });
    let groups = groups.collect::<Result<_, Box<dyn Error>>>()?;
    Ok(Measured { rounds, groups })
}

/// Ratios to one set of the same rounds.
fn ratios(crowd: &[f64], alone: &[f64]) -> Cell {
    let ratios: Vec<f64> = crowd
        .iter()
        .zip(alone)
        .map(|(crowd, alone)| crowd / alone)
        .collect();
    Cell::Figure(Figure::new(&ratios))
}

fn name(crowd: &Crowd, has_small_pages: bool) -> String {
    let Crowd {
        sets,
        plain_sessions,
        ..
    } = crowd;
    let pages = if has_small_pages { ", small pages" } else { "" };
    let sets = so_many(*sets, "set");
    match plain_sessions {
        0 => format!("{sets}{pages}"),
        _ => format!("{sets}, {plain_sessions} plain sessions{pages}"),
    }
}

impl Measured {
    /// Each with the one set beside which it was measured.
    fn crowds(&self) -> Result<Vec<(bool, &Crowd, &Crowd)>, &'static str> {
        let mut crowds = Vec::new();
        for (has_small_pages, group) in &self.groups {
            let alone = group.crowds.first().ok_or("cycles: no crowds")?;
            let of_group = group.crowds.iter();
            crowds.extend(of_group.map(|crowd| (*has_small_pages, crowd, alone)));
        }
        Ok(crowds)
    }

    pub(super) fn table(&self) -> Result<Table, Box<dyn Error>> {
        let columns = vec![
            Column::new("sessions", 0),
            Column::new("send, cycles a packet", 0),
            Column::ratio("send, to one set"),
            Column::new("receive, cycles a copy", 0),
            Column::ratio("receive, to one set"),
            Column::new("windows and books, computed, MiB", 1),
            Column::new("memory of it all, MiB", 1),
        ];
        let title = "Cycles of one worker for a packet of 64 octets, sets drawn at random";
        let mut table = Table::new("cycles", title, "crowd", columns);
        for (has_small_pages, crowd, alone) in self.crowds()? {
            let name = name(crowd, has_small_pages);
            // One set stands beside each group; once in the table.
            if table.rows.iter().any(|row| row.name == name) {
                continue;
            }
            table.push(
                &name,
                vec![
                    Cell::Count(crowd.sessions as u64),
                    Cell::Figure(Figure::new(&crowd.send_cycles)),
                    ratios(&crowd.send_cycles, &alone.send_cycles),
                    Cell::Figure(Figure::new(&crowd.receive_cycles)),
                    ratios(&crowd.receive_cycles, &alone.receive_cycles),
                    Cell::Value(mebibytes(crowd.window_octets)),
                    Cell::Value(mebibytes(crowd.own_octets)),
                ],
            );
        }
        Ok(table)
    }

    /// What to know of the table.
    pub(super) fn notes(&self) -> Vec<String> {
        let Some((_, first)) = self.groups.first() else {
            return Vec::new();
        };
        let buffers = if first.hugepages {
            "hugepages"
        } else {
            "ordinary pages, as there are no hugepages"
        };
        let mut notes = vec![format!(
            "`cycles`: CPU {}, TSC at {} MHz, {} rounds; packet buffers in {buffers}. Sets and sessions lie in transparent large pages, as far as the system has them, or with \"small pages\" in ordinary ones \
             (`_RJEM_MALLOC_CONF=thp:never`).",
            first.core, first.tsc_mhz, self.rounds
        )];
        let alone = self.groups.iter().skip(1).filter_map(|(_, group)| {
            let crowd = group.crowds.first()?;
            let [send, receive] = [&crowd.send_cycles, &crowd.receive_cycles]
                .map(|cycles| Figure::new(cycles).text());
            Some(format!("{send} and {receive}"))
        });
        let alone: Vec<String> = alone.collect();
        if !alone.is_empty() {
            notes.push(format!(
                "`cycles`: one set in the other processes took, sending and receiving: {}. The ratios are to these.",
                alone.join("; ")
            ));
        }
        notes
    }

    pub(super) fn picture(&self, run: &Run) -> Result<Picture, Box<dyn Error>> {
        const FILE: &str = "scale-cycles.svg";
        let crowds = self.crowds()?;
        let series = |text: &str, has_small_pages: bool, cycles: fn(&Crowd) -> &Vec<f64>| {
            let chosen = crowds
                .iter()
                .filter(|(pages, crowd, _)| *pages == has_small_pages && crowd.plain_sessions == 0);
            let mut points: Vec<(f64, f64)> = chosen
                .map(|(_, crowd, _)| (crowd.sets as f64, Figure::new(cycles(crowd)).median))
                .collect();
            points.sort_by(|one, other| one.0.total_cmp(&other.0));
            points.dedup_by_key(|(sets, _)| *sets as u64);
            let pages = if has_small_pages { ", small pages" } else { "" };
            Series {
                name: format!("{text}{pages}"),
                points,
            }
        };
        let both = [false, true].into_iter().flat_map(|has_small_pages| {
            [
                series("send to two links", has_small_pages, |crowd| {
                    &crowd.send_cycles
                }),
                series("receive a copy", has_small_pages, |crowd| {
                    &crowd.receive_cycles
                }),
            ]
        });
        let plot = LinePlot {
            title: "Cycles for a packet against the number of sets".to_owned(),
            x: Axis::logarithmic("sets"),
            y: Axis::linear("TSC cycles"),
            series: both.filter(|series| !series.points.is_empty()).collect(),
            spans: Vec::new(),
            legend: Legend::UpperLeft,
        };
        plot.write(&run.output().join(FILE))?;
        Ok(Picture {
            file: FILE.to_owned(),
            caption: "TSC cycles of one worker for a packet of 64 octets, sent to two links or received as one copy, against the number of sets that packets are for at random"
                .to_owned(),
        })
    }
}
