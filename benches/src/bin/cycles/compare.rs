//! The rounds: everything takes turns in each, so that whatever disturbs the machine disturbs a round of something and
//! not a whole column.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use benches::figure::Figure;
use dpdk::{Eal, tsc, tsc_hz};

use crate::network::{Kind, LINKS};
use crate::plan::{self, Beds, Place, Setting};
use crate::report::{Beside, BesideCopying, BesideTestpmd, Copying, Line, Noise, Report};
use crate::testpmd::{Device, Testpmd};
use crate::walk::{Case, Direction, Walk};
use crate::{copying, sharing};

/// Long enough that its start, with cold caches, does not count.
const TESTPMD_TIME: Duration = Duration::from_millis(50);

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: u16,
    /// Bursts of 32 packets in each round of a case.
    pub(crate) bursts: usize,
}

/// What one case cost in each round.
struct Measured {
    place: Place,
    walk: Walk,
    worker: Vec<f64>,
    equipment: Vec<f64>,
}

impl Measured {
    fn line(&self) -> Line {
        let figures = [&self.worker, &self.equipment].map(|rounds| Figure::new(rounds));
        Line::new(self.place.case, figures[0], figures[1])
    }
}

/// A testpmd with the frames that it forwards, and what they cost in each round.
struct Yardstick {
    device: Device,
    frame_octets: usize,
    cycles: Vec<f64>,
}

/// Copying of packets of one size, and what it cost in each round.
struct Memcpy {
    inner_octets: usize,
    copies: usize,
    cycles: Vec<f64>,
}

/// Measures everything, on `core` and, with two workers, on `other` too.
pub(crate) fn compare(
    eal: &Arc<Eal>,
    effort: Effort,
    core: u32,
    other: Option<u32>,
) -> Result<Report, Box<dyn Error>> {
    let clock_cycles = clock_cycles();
    let mut beds = Beds::new(eal)?;
    let mut rounds = Rounds::new(&mut beds, core, eal.uses_hugepages())?;
    for round in 1..=effort.rounds {
        if round % 10 == 1 {
            eprintln!("round {round} of {}", effort.rounds);
        }
        rounds.run(&mut beds, effort, clock_cycles)?;
    }
    let crowd_extent = beds.extent(Setting::Crowd).ok_or("there was no crowd")?;
    // DPDK has room for so many ports.
    let pools = beds.pools.clone();
    drop(beds);
    let sharing = match other {
        Some(other) => Some(sharing::measure(
            eal,
            &pools,
            [other, core],
            effort,
            clock_cycles,
        )?),
        None => None,
    };
    Ok(Report {
        dpdk: eal.version(),
        hugepages: eal.uses_hugepages(),
        core,
        tsc_mhz: tsc_hz(eal) / 1_000_000,
        rounds: usize::from(effort.rounds),
        noise: Noise {
            fixed_work: Figure::new(&rounds.fixed_work),
            longest_gap: rounds.longest_gap,
        },
        ordinary: rounds.ordinary()?,
        unusual: rounds.beside(plan::unusual())?,
        crowd: rounds.beside(plan::crowd())?,
        crowd_extent,
        copying: rounds.beside_copying()?,
        sharing,
    })
}

/// All that takes turns.
struct Rounds {
    measured: Vec<Measured>,
    testpmds: Vec<Testpmd>,
    yardsticks: Vec<Yardstick>,
    memcpys: Vec<Memcpy>,
    fixed_work: Vec<f64>,
    longest_gap: u64,
}

impl Rounds {
    fn new(beds: &mut Beds, core: u32, hugepages: bool) -> Result<Self, Box<dyn Error>> {
        let measured = plan::all().into_iter().map(|place| {
            Ok(Measured {
                place,
                walk: Walk::new(place.case, &beds.bed(place.setting)?.remotes)?,
                worker: Vec::new(),
                equipment: Vec::new(),
            })
        });
        let measured = measured.collect::<Result<_, Box<dyn Error>>>()?;
        let mut yardsticks = Vec::new();
        let mut testpmds = vec![Testpmd::start(Device::Ring, core, hugepages)?];
        for place in plan::ordinary() {
            let frame_octets = place.case.outer_frame_octets();
            let null = Device::Null { frame_octets };
            if testpmds.iter().any(|testpmd| testpmd.device() == null) {
                continue;
            }
            testpmds.push(Testpmd::start(null, core, hugepages)?);
            for device in [Device::Ring, null] {
                yardsticks.push(Yardstick {
                    device,
                    frame_octets,
                    cycles: Vec::new(),
                });
            }
        }
        let memcpys = plan::SIZES.into_iter().flat_map(|inner_octets| {
            (1..LINKS).map(move |copies| Memcpy {
                inner_octets,
                copies,
                cycles: Vec::new(),
            })
        });
        Ok(Self {
            measured,
            testpmds,
            yardsticks,
            memcpys: memcpys.collect(),
            fixed_work: Vec::new(),
            longest_gap: 0,
        })
    }

    fn run(
        &mut self,
        beds: &mut Beds,
        effort: Effort,
        clock_cycles: u64,
    ) -> Result<(), Box<dyn Error>> {
        let (cycles, gap) = work();
        self.fixed_work.push(cycles);
        self.longest_gap = gap.max(self.longest_gap);
        for yardstick in &mut self.yardsticks {
            let mut testpmds = self.testpmds.iter_mut();
            let testpmd = testpmds
                .find(|testpmd| testpmd.device() == yardstick.device)
                .ok_or("no testpmd for a device")?;
            let cycles = testpmd.round(yardstick.frame_octets, TESTPMD_TIME)?;
            yardstick.cycles.push(cycles);
        }
        for case in &mut self.measured {
            let bed = beds.bed(case.place.setting)?;
            let cost = case.walk.round(bed, effort.bursts, clock_cycles)?;
            case.worker.push(cost.worker);
            case.equipment.push(cost.equipment);
        }
        for memcpy in &mut self.memcpys {
            let Memcpy {
                inner_octets,
                copies,
                cycles,
            } = memcpy;
            let pools = &beds.pools;
            let cost = copying::round(pools, *inner_octets, *copies, effort.bursts, clock_cycles)?;
            cycles.push(cost);
        }
        Ok(())
    }

    fn line(&self, place: Place) -> Result<Line, String> {
        let found = self.measured.iter().find(|case| case.place == place);
        let found = found.ok_or_else(|| format!("not measured: {}", place.name()))?;
        Ok(found.line())
    }

    fn ordinary(&self) -> Result<Vec<BesideTestpmd>, String> {
        let figure = |device, frame_octets| {
            let mut yardsticks = self.yardsticks.iter();
            yardsticks
                .find(|of| of.device == device && of.frame_octets == frame_octets)
                .map(|of| Figure::new(&of.cycles))
                .ok_or("no testpmd for a case")
        };
        let lines = plan::ordinary().into_iter().map(|place| {
            let frame_octets = place.case.outer_frame_octets();
            let ring = figure(Device::Ring, frame_octets)?;
            let null = figure(Device::Null { frame_octets }, frame_octets)?;
            Ok(BesideTestpmd::new(self.line(place)?, ring, null))
        });
        lines.collect()
    }

    fn beside(&self, pairs: Vec<(Place, Place)>) -> Result<Vec<Beside>, String> {
        let lines = pairs.into_iter().map(|(place, beside)| {
            let is_crowd = place.setting == Setting::Crowd;
            Ok(Beside::new(self.line(place)?, self.line(beside)?, is_crowd))
        });
        lines.collect()
    }

    /// Sending to sets where copies are made, with and without UDP checksum.
    fn beside_copying(&self) -> Result<Vec<BesideCopying>, String> {
        let mut lines = Vec::new();
        for udp_checksum in [true, false] {
            for copies in 1..LINKS {
                let kind = Kind {
                    udp_checksum,
                    ..Kind::set(copies + 1)
                };
                let [small, large] = plan::SIZES.map(|inner_octets| {
                    let case = Case::new(Direction::Send, kind, inner_octets);
                    let place = Place {
                        setting: Setting::Few,
                        case,
                    };
                    let mut memcpys = self.memcpys.iter();
                    let memcpy = memcpys
                        .find(|of| of.inner_octets == inner_octets && of.copies == copies)
                        .ok_or("no copying for a case")?;
                    Ok::<_, String>(Copying {
                        inner_octets,
                        worker: self.line(place)?.worker,
                        copying: Figure::new(&memcpy.cycles),
                    })
                });
                let name = Case::new(Direction::Send, kind, 0).to_string();
                lines.push(BesideCopying::new(name, copies, small?, large?));
            }
        }
        Ok(lines)
    }
}

/// What reading the clock costs, which is in every burst once.
pub(crate) fn clock_cycles() -> u64 {
    (0..10_000)
        .map(|_| {
            let start = tsc();
            tsc() - start
        })
        .min()
        .unwrap_or(0)
}

/// The same computation, half a millisecond long or so: its cycles, and the longest time between two looks at the clock.
fn work() -> (f64, u64) {
    let start = tsc();
    let (mut last, mut gap) = (start, 0);
    let mut value = 1_u64;
    for _ in 0..1_000 {
        for _ in 0..200 {
            value = black_box(value.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1));
        }
        let now = tsc();
        gap = gap.max(now - last);
        last = now;
    }
    ((last - start) as f64, gap)
}
