//! Medians, ratios, and the tables.

use std::fmt::Write as _;

use benches::figure::Figure;
use dpdk::BURST;
use serde::Serialize;

use crate::plan::Extent;
use crate::sharing::Sharing;
use crate::walk::{Case, Direction, Far};

/// The aims, as multiples of testpmd 5tswap: one received copy, and one packet sent on two links.
const RECEIVE_AIM: f64 = 1.5;
const SEND_AIM: f64 = 2.5;
/// How much more a packet may take among thousands of sets, as a multiple.
const CROWD_AIM: f64 = 1.3;

/// One case.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) inner_octets: usize,
    /// TSC cycles.
    pub(crate) worker: Figure,
    pub(crate) equipment: Figure,
    #[serde(skip)]
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

    /// The columns that all tables have.
    fn columns(&self) -> String {
        let Self {
            name,
            unit,
            inner_octets,
            worker,
            equipment,
            ..
        } = self;
        let worker = worker.text();
        format!(
            "| {name} | {inner_octets} | {unit} | {worker} | {:.0} |",
            equipment.median
        )
    }
}

const COLUMNS: &str = "| hal2tp | inner | cycles per | hal2tp | (equipment) |";

/// A case beside testpmd.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct BesideTestpmd {
    #[serde(flatten)]
    pub(crate) line: Line,
    pub(crate) outer_frame_octets: usize,
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
            outer_frame_octets: line.case.outer_frame_octets(),
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
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Beside {
    #[serde(flatten)]
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
#[derive(Clone, Debug, Serialize)]
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
#[derive(Clone, Copy, Debug, Serialize)]
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
#[derive(Clone, Copy, Debug, Serialize)]
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

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) processor: String,
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
    /// As Markdown.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{}; TSC cycles ({} MHz) on one core; {}, {}; median of {} rounds (least-most); ratios of the least\n\n",
            self.processor,
            self.tsc_mhz,
            self.dpdk,
            if self.hugepages {
                "hugepages"
            } else {
                "NO hugepages: slower, and not what the aims are for"
            },
            self.rounds,
        );
        // Writing to a text cannot fail.
        let _ = self.write_ordinary(&mut text);
        let _ = self.write_crowd(&mut text);
        let _ = self.write_copying(&mut text);
        let _ = self.write_unusual(&mut text);
        let _ = self.write_sharing(&mut text);
        let _ = self.write_verdicts(&mut text);
        text
    }

    fn write_ordinary(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "**Beside testpmd**\n")?;
        writeln!(
            text,
            "{COLUMNS} testpmd net_ring | ratio | testpmd net_null | ratio |"
        )?;
        writeln!(text, "|---|---|---|---|---|---|---|---|---|")?;
        for beside in &self.ordinary {
            writeln!(
                text,
                "{} {} | **{:.2}** | {} | {:.2} |",
                beside.line.columns(),
                beside.testpmd_ring.text(),
                beside.ratio_to_ring,
                beside.testpmd_null.text(),
                beside.ratio_to_null,
            )?;
        }
        writeln!(
            text,
            "\ntestpmd: 5tswap, frames as long as those in the tunnel. net_ring passes buffers, as hal2tp's wires do; net_null (copy=1) also\n\
             makes, fills and frees them. (equipment) is what making frames and freeing results cost beside it; it is not in hal2tp's figure.\n"
        )
    }

    fn write_crowd(&self, text: &mut String) -> std::fmt::Result {
        let Extent {
            sets,
            sessions,
            window_octets,
        } = self.crowd_extent;
        writeln!(
            text,
            "**In random order**: {sessions} sessions, {sets} sets of 2 links among them, {} MiB of windows and books in ordinary pages\n",
            window_octets >> 20
        )?;
        write_beside(text, &self.crowd, "beside")
    }

    fn write_copying(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "**Large packets beside memcpy**\n")?;
        writeln!(
            text,
            "| hal2tp | copies | inner | hal2tp | memcpy of the copies | hal2tp from 64 on | memcpy from 64 on | ratio |\n\
             |---|---|---|---|---|---|---|---|"
        )?;
        for BesideCopying {
            name,
            copies,
            small,
            large,
            growth_ratio,
        } in &self.copying
        {
            writeln!(
                text,
                "| {name} | {copies} | {} | {} | {} | {:+.1} | {:+.1} | {growth_ratio:.2} |",
                large.inner_octets,
                large.worker.text(),
                large.copying.text(),
                large.worker.least - small.worker.least,
                large.copying.least - small.copying.least,
            )?;
        }
        writeln!(
            text,
            "\nmemcpy: the same octets as often, between buffers of the same pools. \"From 64 on\" is what a packet takes more than one of 64\n\
             octets (least rounds); the last column is the one by the other. A UDP checksum reads every octet once more.\n"
        )
    }

    fn write_unusual(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "**Out of the ordinary**\n")?;
        write_beside(text, &self.unusual, "beside")
    }

    fn write_sharing(&self, text: &mut String) -> std::fmt::Result {
        let Some(sharing) = &self.sharing else {
            return writeln!(
                text,
                "**Two workers on one set**: not measured, there is one CPU\n"
            );
        };
        writeln!(
            text,
            "**Two workers on one set**, CPUs {} and {}: a cache line takes {} cycles from one to the other and back\n",
            sharing.cores[0],
            sharing.cores[1],
            sharing.round_trip.text(),
        )?;
        writeln!(
            text,
            "| hal2tp | inner | cycles per | both at once | by turns | ratio | one worker alone | ratio | more for a burst, round trips |\n\
             |---|---|---|---|---|---|---|---|---|"
        )?;
        for line in &sharing.lines {
            let alone = self.alone(&line.name, line.inner_octets);
            writeln!(
                text,
                "| {} | {} | {} | {} | {} | {:.2} | {} | {:.2} | {:.1} |",
                line.name,
                line.inner_octets,
                line.unit,
                line.together.text(),
                line.by_turns.text(),
                line.together.median / line.by_turns.median,
                alone.map_or_else(String::new, Figure::text),
                alone.map_or(f64::NAN, |alone| line.together.median / alone.median),
                line.round_trips_a_burst(sharing.round_trip),
            )?;
        }
        writeln!(
            text,
            "\nSending, each worker has packets of its own for the set; receiving, each has one link's copies of the same packets, {BURST} at the same\n\
             moment. One worker alone needs no atomic changes. Ratios of the medians, as what is shared costs more or less by chance.\n"
        )
    }

    /// The same case with one worker that knows it is alone.
    fn alone(&self, name: &str, inner_octets: usize) -> Option<Figure> {
        let mut lines = self.ordinary.iter().map(|beside| &beside.line);
        let found = lines.find(|line| line.name == name && line.inner_octets == inner_octets);
        found.map(|line| line.worker)
    }

    fn write_verdicts(&self, text: &mut String) -> std::fmt::Result {
        for beside in &self.ordinary {
            if let Some(aim) = beside.aim {
                writeln!(
                    text,
                    "- {}, {} octets: at most {aim} x testpmd: {} on net_ring ({:.2}), {} on net_null ({:.2})",
                    beside.line.name,
                    beside.line.inner_octets,
                    verdict(beside.ratio_to_ring, aim),
                    beside.ratio_to_ring,
                    verdict(beside.ratio_to_null, aim),
                    beside.ratio_to_null,
                )?;
            }
        }
        for beside in &self.crowd {
            if let Some(aim) = beside.aim {
                writeln!(
                    text,
                    "- {}, {} octets: at most {aim} x {}: {} ({:.2})",
                    beside.line.name,
                    beside.line.inner_octets,
                    beside.beside.name,
                    verdict(beside.ratio, aim),
                    beside.ratio,
                )?;
            }
        }
        writeln!(
            text,
            "- noise: a fixed computation took {:.0} % longer in the middle round than in the best, {:.0} % in the worst; longest gap {:.2} ms{}",
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

fn write_beside(text: &mut String, lines: &[Beside], heading: &str) -> std::fmt::Result {
    writeln!(text, "{COLUMNS} {heading} | ratio |")?;
    writeln!(text, "|---|---|---|---|---|---|---|")?;
    for Beside {
        line,
        beside,
        ratio,
        ..
    } in lines
    {
        let Line {
            name,
            inner_octets,
            worker,
            ..
        } = beside;
        let columns = line.columns();
        let worker = worker.text();
        writeln!(
            text,
            "{columns} {name}, {inner_octets}: {worker} | **{ratio:.2}** |"
        )?;
    }
    writeln!(text)
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
