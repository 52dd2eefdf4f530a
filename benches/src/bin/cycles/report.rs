//! Medians, ratios, and the table.

use serde::Serialize;

use crate::bed::SetKind;
use crate::walk::{Case, Way};

/// The aims, as multiples of testpmd 5tswap: one received copy, and one packet sent on two links.
const RECEIVE_AIM: f64 = 1.5;
const SEND_AIM: f64 = 2.5;

/// Several rounds of one figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Figure {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Figure {
    /// Of at least one round.
    pub(crate) fn new(rounds: &[f64]) -> Self {
        let mut sorted = rounds.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        };
        Self {
            median,
            least: sorted[0],
            most: sorted[sorted.len() - 1],
        }
    }

    fn text(self) -> String {
        let Self {
            least,
            median,
            most,
        } = self;
        format!("{median:.1} ({least:.1}-{most:.0})")
    }
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) inner_octets: usize,
    pub(crate) outer_frame_octets: usize,
    /// TSC cycles.
    pub(crate) worker: Figure,
    pub(crate) equipment: Figure,
    pub(crate) testpmd_ring: Figure,
    pub(crate) testpmd_null: Figure,
    /// Of the least rounds, which nothing disturbed: testpmd's rounds are longer, so that noise in its median would flatter us.
    pub(crate) ratio_to_ring: f64,
    pub(crate) ratio_to_null: f64,
    /// The most that the ratio may be, where there is an aim.
    pub(crate) aim: Option<f64>,
}

impl Line {
    pub(crate) fn new(
        case: Case,
        worker: Figure,
        equipment: Figure,
        ring: Figure,
        null: Figure,
    ) -> Self {
        Self {
            name: case.to_string(),
            unit: case.unit(),
            inner_octets: case.inner_octets,
            outer_frame_octets: case.outer_frame_octets(),
            worker,
            equipment,
            testpmd_ring: ring,
            testpmd_null: null,
            ratio_to_ring: worker.least / ring.least,
            ratio_to_null: worker.least / null.least,
            aim: aim(case),
        }
    }
}

/// The aims are for packets of 64 octets.
fn aim(case: Case) -> Option<f64> {
    let on_two = |kind: SetKind| kind.links == 2;
    match case.way {
        _ if case.inner_octets != 64 => None,
        Way::Receive(kind) if on_two(kind) => Some(RECEIVE_AIM),
        Way::Send(kind) if on_two(kind) => Some(SEND_AIM),
        _ => None,
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
    pub(crate) dpdk: String,
    pub(crate) hugepages: bool,
    pub(crate) core: u32,
    pub(crate) tsc_mhz: u64,
    pub(crate) rounds: usize,
    pub(crate) noise: Noise,
    pub(crate) lines: Vec<Line>,
}

impl Report {
    /// As Markdown.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "TSC cycles ({} MHz) on one core; {}, {}; median of {} rounds (least-most); ratios of the least\n\n",
            self.tsc_mhz,
            self.dpdk,
            if self.hugepages {
                "hugepages"
            } else {
                "NO hugepages: slower, and not what the aims are for"
            },
            self.rounds,
        );
        text += "| hal2tp | inner | cycles per | hal2tp | (equipment) | testpmd net_ring | ratio | testpmd net_null | ratio |\n";
        text += "|---|---|---|---|---|---|---|---|---|\n";
        for line in &self.lines {
            text += &format!(
                "| {} | {} | {} | {} | {:.0} | {} | **{:.2}** | {} | {:.2} |\n",
                line.name,
                line.inner_octets,
                line.unit,
                line.worker.text(),
                line.equipment.median,
                line.testpmd_ring.text(),
                line.ratio_to_ring,
                line.testpmd_null.text(),
                line.ratio_to_null,
            );
        }
        text += "\ntestpmd: 5tswap, frames as long as those in the tunnel. net_ring passes buffers, as hal2tp's wires do; net_null (copy=1) also\n";
        text += "makes, fills and frees them. (equipment) is what making frames and freeing results cost beside it; it is not in hal2tp's figure.\n\n";
        for line in &self.lines {
            if let Some(aim) = line.aim {
                text += &format!(
                    "- {}, {} octets: at most {aim} x testpmd: {} on net_ring ({:.2}), {} on net_null ({:.2})\n",
                    line.name,
                    line.inner_octets,
                    verdict(line.ratio_to_ring, aim),
                    line.ratio_to_ring,
                    verdict(line.ratio_to_null, aim),
                    line.ratio_to_null,
                );
            }
        }
        text += &format!(
            "- noise: a fixed computation took {:.0} % longer in the middle round than in the best, {:.0} % in the worst; longest gap {:.2} ms{}\n",
            self.noise.percent(),
            (self.noise.fixed_work.most / self.noise.fixed_work.least - 1.0) * 100.0,
            self.noise.longest_gap as f64 / self.tsc_mhz as f64 / 1000.0,
            if self.noise.percent() > 10.0 {
                ": NOISY, run it again when the machine is idle"
            } else {
                ""
            },
        );
        text
    }
}

fn verdict(ratio: f64, aim: f64) -> &'static str {
    if ratio <= aim { "met" } else { "NOT met" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let figure = Figure::new(&[3.0, 1.0, 10.0]);
        assert_eq!((figure.median, figure.least, figure.most), (3.0, 1.0, 10.0));
        assert_eq!(Figure::new(&[4.0, 1.0, 2.0, 9.0]).median, 3.0);
    }

    #[test]
    fn an_aim_is_met_up_to_its_value() {
        assert_eq!(verdict(1.5, 1.5), "met");
        assert_eq!(verdict(1.51, 1.5), "NOT met");
    }
}
