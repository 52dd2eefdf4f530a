//! Medians, ratios, and the tables.

use benches::figure::Figure;
use benches::report::{Cell, Column, Section, Table};
use dpdk::BURST;

use crate::plan::Extent;
use crate::sharing::Sharing;
use crate::walk::{Case, Direction, Far};

/// The aims, as multiples of testpmd 5tswap: one received copy, and one packet sent on two links.
const RECEIVE_AIM: f64 = 1.5;
const SEND_AIM: f64 = 2.5;
/// How much more a packet may take among thousands of sets, as a multiple.
const CROWD_AIM: f64 = 1.3;

/// One case.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) inner_octets: usize,
    /// TSC cycles.
    pub(crate) worker: Figure,
    pub(crate) equipment: Figure,
    case: Case,
}

impl Line {
    pub(crate) fn new(case: Case, worker: Figure, equipment: Figure) -> Self {
        Self {
            name: case.to_string(),
            unit: case.unit(),
            inner_octets: case.inner_octets,
            worker,
            equipment,
            case,
        }
    }

    /// Its row's name.
    fn row(&self) -> String {
        format!("{}, {} octets", self.name, self.inner_octets)
    }

    /// The cells that all tables begin with.
    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Text(self.unit.to_owned()),
            Cell::Figure(self.worker),
            Cell::Figure(self.equipment),
        ]
    }
}

/// The columns that all tables begin with.
fn columns(further: Vec<Column>) -> Vec<Column> {
    let mut columns = vec![
        Column::new("per", 0),
        Column::new("hal2tp, cycles", 1),
        Column::new("equipment, cycles", 0),
    ];
    columns.extend(further);
    columns
}

/// A case beside testpmd.
#[derive(Clone, Debug)]
pub(crate) struct BesideTestpmd {
    pub(crate) line: Line,
    pub(crate) testpmd_ring: Figure,
    pub(crate) testpmd_null: Figure,
    /// Of the least rounds, which nothing disturbed: testpmd's rounds are longer, so that noise in its median would flatter us.
    pub(crate) ratio_to_ring: f64,
    pub(crate) ratio_to_null: f64,
    /// The most that the ratio may be, where there is an aim.
    pub(crate) aim: Option<f64>,
}

impl BesideTestpmd {
    pub(crate) fn new(line: Line, ring: Figure, null: Figure) -> Self {
        Self {
            ratio_to_ring: line.worker.least / ring.least,
            ratio_to_null: line.worker.least / null.least,
            aim: aim(line.case),
            testpmd_ring: ring,
            testpmd_null: null,
            line,
        }
    }
}

/// The aims are for packets of 64 octets.
fn aim(case: Case) -> Option<f64> {
    let on_two = matches!(case.far, Far::One(kind) if kind.links == Some(2));
    if case.inner_octets != 64 || !on_two {
        return None;
    }
    Some(match case.direction {
        Direction::Receive => RECEIVE_AIM,
        Direction::Send => SEND_AIM,
    })
}

/// A case beside a more ordinary one.
#[derive(Clone, Debug)]
pub(crate) struct Beside {
    pub(crate) line: Line,
    pub(crate) beside: Line,
    /// Of the least rounds.
    pub(crate) ratio: f64,
    /// The most that the ratio may be, where there is an aim.
    pub(crate) aim: Option<f64>,
}

impl Beside {
    pub(crate) fn new(line: Line, beside: Line, is_crowd: bool) -> Self {
        Self {
            ratio: line.worker.least / beside.worker.least,
            aim: is_crowd.then_some(CROWD_AIM),
            line,
            beside,
        }
    }
}

/// A set's sending beside the copying that is in it.
#[derive(Clone, Debug)]
pub(crate) struct BesideCopying {
    pub(crate) name: String,
    /// How many copies are made: the last link gets the packet itself.
    pub(crate) copies: usize,
    pub(crate) small: Copying,
    pub(crate) large: Copying,
    /// What a large packet takes more than a small one, as a multiple of what its copying takes more.
    pub(crate) growth_ratio: f64,
}

/// Packets of one size, TSC cycles for each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copying {
    pub(crate) inner_octets: usize,
    pub(crate) worker: Figure,
    /// Copying by itself, all copies of a packet.
    pub(crate) copying: Figure,
}

impl BesideCopying {
    pub(crate) fn new(name: String, copies: usize, small: Copying, large: Copying) -> Self {
        let more = large.worker.least - small.worker.least;
        Self {
            name,
            copies,
            small,
            large,
            growth_ratio: more / (large.copying.least - small.copying.least),
        }
    }
}

/// How still the machine was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise {
    /// TSC cycles of the same computation, each round.
    pub(crate) fixed_work: Figure,
    /// Longest time that the core was away, TSC cycles.
    pub(crate) longest_gap: u64,
}

impl Noise {
    /// How much slower the middle round was than the best.
    fn percent(self) -> f64 {
        (self.fixed_work.median / self.fixed_work.least - 1.0) * 100.0
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) dpdk: String,
    pub(crate) hugepages: bool,
    pub(crate) core: u32,
    pub(crate) tsc_mhz: u64,
    pub(crate) rounds: usize,
    pub(crate) noise: Noise,
    pub(crate) ordinary: Vec<BesideTestpmd>,
    pub(crate) unusual: Vec<Beside>,
    pub(crate) crowd: Vec<Beside>,
    pub(crate) crowd_extent: Extent,
    pub(crate) copying: Vec<BesideCopying>,
    /// Not on a machine with one CPU.
    pub(crate) sharing: Option<Sharing>,
}

impl Report {
    /// As a section of a report.
    pub(crate) fn section(&self) -> Section {
        Section {
            name: "cycles".to_owned(),
            title: "Cycles of one core for a packet".to_owned(),
            introduction: self.introduction(),
            tables: [
                Some(self.ordinary_table()),
                Some(self.crowd_table()),
                Some(self.copying_table()),
                Some(beside_table(
                    "unusual",
                    "Out of the ordinary",
                    &self.unusual,
                )),
                self.sharing
                    .as_ref()
                    .map(|sharing| self.sharing_table(sharing)),
            ]
            .into_iter()
            .flatten()
            .collect(),
            pictures: Vec::new(),
            notes: self.notes(),
            seconds: 0.0,
        }
    }

    fn introduction(&self) -> String {
        format!(
            "Time-stamp-counter cycles ({} MHz) that one worker takes, polled by hand on CPU {} over in-process wires ({}, {}), beside testpmd \
             5tswap on the same CPU. Octets are of the inner IP packet here (in `throughput` and `latency` they are of the Ethernet frame); testpmd's frames \
             are as long as the whole frame with that packet in the tunnel. Everything took turns in each of {} rounds; ratios are of the least rounds: \
             testpmd's rounds are longer, so that noise in its median would flatter hal2tp.\n\n\
             net_ring passes buffers, as hal2tp's wires do; net_null (copy=1) also makes, fills and frees them. What making frames and freeing results \
             cost (equipment) is not in hal2tp's figure.",
            self.tsc_mhz,
            self.core,
            self.dpdk,
            if self.hugepages {
                "hugepages"
            } else {
                "NO hugepages: slower, and not what the aims are for"
            },
            self.rounds,
        )
    }

    fn ordinary_table(&self) -> Table {
        let mut table = Table::new(
            "testpmd",
            "Beside testpmd",
            "hal2tp, inner packet",
            columns(vec![
                Column::new("testpmd net_ring, cycles", 1),
                Column::ratio("of net_ring"),
                Column::new("testpmd net_null, cycles", 1),
                Column::ratio("of net_null"),
            ]),
        );
        for beside in &self.ordinary {
            let mut cells = beside.line.cells();
            cells.extend([
                Cell::Figure(beside.testpmd_ring),
                Cell::Value(beside.ratio_to_ring),
                Cell::Figure(beside.testpmd_null),
                Cell::Value(beside.ratio_to_null),
            ]);
            table.push(&beside.line.row(), cells);
        }
        table
    }

    fn crowd_table(&self) -> Table {
        let Extent {
            sets,
            sessions,
            window_octets,
        } = self.crowd_extent;
        let title = format!(
            "In random order: {sessions} sessions, {sets} sets of 2 links among them, {} MiB of windows and books",
            window_octets >> 20
        );
        beside_table("random-order", &title, &self.crowd)
    }

    fn copying_table(&self) -> Table {
        let mut table = Table::new(
            "memcpy",
            "Large packets beside copying the same octets as often between buffers of the same pools; what a packet takes more than one of 64 octets",
            "hal2tp, inner packet",
            vec![
                Column::new("copies", 0),
                Column::new("hal2tp, cycles", 1),
                Column::new("memcpy, cycles", 1),
                Column::new("hal2tp from 64 octets on, cycles", 1),
                Column::new("memcpy from 64 octets on, cycles", 1),
                Column::ratio("of memcpy"),
            ],
        );
        for BesideCopying {
            name,
            copies,
            small,
            large,
            growth_ratio,
        } in &self.copying
        {
            table.push(
                &format!("{name}, {} octets", large.inner_octets),
                vec![
                    Cell::Count(*copies as u64),
                    Cell::Figure(large.worker),
                    Cell::Figure(large.copying),
                    Cell::Value(large.worker.least - small.worker.least),
                    Cell::Value(large.copying.least - small.copying.least),
                    Cell::Value(*growth_ratio),
                ],
            );
        }
        table
    }

    fn sharing_table(&self, sharing: &Sharing) -> Table {
        let title = format!(
            "Two workers on one set, CPUs {} and {}: a cache line takes {} cycles from one to the other and back",
            sharing.cores[0],
            sharing.cores[1],
            sharing.round_trip.text(),
        );
        let mut table = Table::new(
            "two-workers",
            &title,
            "hal2tp, inner packet",
            vec![
                Column::new("per", 0),
                Column::new("both at once, cycles", 1),
                Column::new("by turns, cycles", 1),
                Column::new("at once / by turns", 2),
                Column::new("one worker alone, cycles", 1),
                Column::new("at once / alone", 2),
                Column::new("more for a burst, round trips", 1),
            ],
        );
        for line in &sharing.lines {
            let alone = self.alone(&line.name, line.inner_octets);
            let not_measured = || Cell::Text("not measured".to_owned());
            table.push(
                &format!("{}, {} octets", line.name, line.inner_octets),
                vec![
                    Cell::Text(line.unit.to_owned()),
                    Cell::Figure(line.together),
                    Cell::Figure(line.by_turns),
                    Cell::Value(line.together.median / line.by_turns.median),
                    alone.map_or_else(not_measured, Cell::Figure),
                    alone.map_or_else(not_measured, |alone| {
                        Cell::Value(line.together.median / alone.median)
                    }),
                    Cell::Value(line.round_trips_a_burst(sharing.round_trip)),
                ],
            );
        }
        table
    }

    /// The same case with one worker that knows it is alone.
    fn alone(&self, name: &str, inner_octets: usize) -> Option<Figure> {
        let mut lines = self.ordinary.iter().map(|beside| &beside.line);
        let found = lines.find(|line| line.name == name && line.inner_octets == inner_octets);
        found.map(|line| line.worker)
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            "memcpy: a UDP checksum reads every octet once more.".to_owned(),
            match &self.sharing {
                None => "Two workers on one set: not measured, there is one CPU.".to_owned(),
                Some(_) => format!(
                    "Two workers: sending, each has packets of its own for the set; receiving, each has one link's copies of the same packets, {BURST} at \
                     the same moment. One worker alone needs no atomic changes. These ratios are of medians, and swing with where a hypervisor puts the CPUs."
                ),
            },
        ];
        for beside in &self.ordinary {
            if let Some(aim) = beside.aim {
                notes.push(format!(
                    "{}: at most {aim} x testpmd: {} on net_ring ({:.2}), {} on net_null ({:.2}).",
                    beside.line.row(),
                    verdict(beside.ratio_to_ring, aim),
                    beside.ratio_to_ring,
                    verdict(beside.ratio_to_null, aim),
                    beside.ratio_to_null,
                ));
            }
        }
        for beside in &self.crowd {
            if let Some(aim) = beside.aim {
                notes.push(format!(
                    "{}: at most {aim} x {}: {} ({:.2}).",
                    beside.line.row(),
                    beside.beside.name,
                    verdict(beside.ratio, aim),
                    beside.ratio,
                ));
            }
        }
        notes.push(self.noise_text());
        notes
    }

    fn noise_text(&self) -> String {
        format!(
            "Noise: a fixed computation took {:.0} % longer in the middle round than in the best, {:.0} % in the worst; longest gap {:.2} ms{}.",
            self.noise.percent(),
            (self.noise.fixed_work.most / self.noise.fixed_work.least - 1.0) * 100.0,
            self.noise.longest_gap as f64 / self.tsc_mhz as f64 / 1000.0,
            if self.noise.percent() > 10.0 {
                ": NOISY, run it again when the machine is idle"
            } else {
                ""
            },
        )
    }
}

fn beside_table(name: &str, title: &str, lines: &[Beside]) -> Table {
    let mut table = Table::new(
        name,
        title,
        "hal2tp, inner packet",
        columns(vec![
            Column::new("beside", 0),
            Column::new("that, cycles", 1),
            Column::ratio("of that"),
        ]),
    );
    for Beside {
        line,
        beside,
        ratio,
        ..
    } in lines
    {
        let mut cells = line.cells();
        cells.extend([
            Cell::Text(beside.row()),
            Cell::Figure(beside.worker),
            Cell::Value(*ratio),
        ]);
        table.push(&line.row(), cells);
    }
    table
}

fn verdict(ratio: f64, aim: f64) -> &'static str {
    if ratio <= aim { "met" } else { "NOT met" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Kind;

    #[test]
    fn an_aim_is_met_up_to_its_value() {
        assert_eq!(verdict(1.5, 1.5), "met");
        assert_eq!(verdict(1.51, 1.5), "NOT met");
    }

    #[test]
    fn aims_are_for_small_packets_on_two_links() {
        let case = |links, octets| Case::new(Direction::Send, Kind::set(links), octets);
        assert_eq!(aim(case(2, 64)), Some(SEND_AIM));
        assert_eq!(aim(case(2, 1400)), None);
        assert_eq!(aim(case(3, 64)), None);
        assert_eq!(aim(Case::plain(64)), None);
    }

    #[test]
    fn growth_is_compared_with_the_growth_of_copying() {
        let figure = |cycles| Figure::new(&[cycles]);
        let of = |inner_octets, worker, copying| Copying {
            inner_octets,
            worker: figure(worker),
            copying: figure(copying),
        };
        let beside = BesideCopying::new(
            "send".to_owned(),
            1,
            of(64, 100.0, 5.0),
            of(1400, 190.0, 50.0),
        );
        assert_eq!(beside.growth_ratio, 2.0);
    }
}
