//! Throughput at zero loss (RFC 2544, 26.1) with testpmd as source and sink, and with testpmd in hal2tp's place.

use std::error::Error;
use std::fs;
use std::thread;
use std::time::Duration;

use benches::figure::Figure;
use benches::machine;
use benches::report::Section;

use crate::bed::{Bed, Shape, Watched, Wire};
use crate::run::{Effort, Run};

use comparator::{Comparator, Mode, Place};
use meter::Meter;
use plan::{Setup, Traffic};
use search::{Limits, Start};
use tester::{Parts, Tester, Way};

mod comparator;
mod meter;
mod plan;
mod search;
mod tables;
mod tester;

const NAME: &str = "throughput";
/// Of what is offered, what may be lost at a rate that counts as lossless.
const LOSS_TOLERANCE: f64 = 1e-4;
/// Of what goes in each second, what need not come out in the same second: rings are empty at the beginning, the tester's
/// looks take CPU time from its forwarding, and workers on one CPU take turns. The rate that counts is that of what came out.
const BEHIND_TOLERANCE: f64 = 0.1;
const LIMITS: Limits = Limits {
    loss: LOSS_TOLERANCE,
    behind: BEHIND_TOLERANCE,
};
/// What a trial that the host disturbed loses, or is behind, is no more than that: it is made again.
const REPEATABLE: Limits = Limits {
    loss: 0.25,
    behind: 0.25,
};
/// A trial is made so often at most.
const ATTEMPTS: usize = 2;
/// The last trial of a search is so many times as long as the others, and disturbed as much more often.
const LAST_TRIAL: u32 = 2;
const SET_UP_LIMIT: Duration = Duration::from_secs(60);
/// Besides the appliances: the tester and testpmd in their place.
const TESTPMDS_MIB: u64 = 448;
/// Above that it takes an appliance long to say how it is.
const MOST_SETS_FOR_STATUS: usize = 100;
/// From so many on, what hal2tp sends by itself is more than what may be lost.
const SETS_THAT_HIDE_LOSS: usize = 100;

/// One search's end.
#[derive(Clone, Copy, Debug)]
struct Found {
    pps: f64,
    cycles: f64,
    loss: f64,
    /// It took all that the source had.
    is_all_of_source: bool,
    pace: u32,
}

/// A row: what was found in each round.
struct Point {
    table: &'static str,
    row: String,
    traffic: Traffic,
    /// hal2tp's own frames are so many that a loss behind the source's ring would not be seen.
    hides_loss: bool,
    appliance: Vec<Option<Found>>,
    five_tuple_swap: Vec<Option<Found>>,
    mac: Vec<Option<Found>>,
    /// Source and sink alone; none: was not measured.
    source: Vec<Option<Found>>,
    /// Of a million, at half of the appliance's rate.
    lost_at_half: Vec<f64>,
}

impl Point {
    /// Of which nothing is known yet.
    fn new(setup: &Setup, traffic: Traffic) -> Self {
        Self {
            table: setup.table(),
            row: setup.row(traffic),
            traffic,
            hides_loss: setup.plan.sets >= SETS_THAT_HIDE_LOSS,
            appliance: Vec::new(),
            five_tuple_swap: Vec::new(),
            mac: Vec::new(),
            source: Vec::new(),
            lost_at_half: Vec::new(),
        }
    }
}

/// Everything that was found.
#[derive(Default)]
struct Findings {
    points: Vec<Point>,
    notes: Vec<String>,
}

/// How long and how often.
#[derive(Clone, Copy)]
struct Pains {
    rounds: usize,
    trial: Duration,
    /// The last trial of a search is made so often at most.
    last_attempts: usize,
}

pub(crate) fn measure(run: &Run) -> Result<Section, Box<dyn Error>> {
    tester::check()?;
    let cpus = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let [tester, tested] = [0, u32::from(cpus > 1)];
    // What is started from here stays on the tester's CPU, but for what pins itself: workers, and testpmd's lcores.
    thread::scope(|scope| {
        let measuring = scope.spawn(|| {
            machine::pin(tester as usize).map_err(|problem| problem.to_string())?;
            on_cpus(run, [tester, tested]).map_err(|problem| problem.to_string())
        });
        let ended = measuring.join().map_err(|_| "the measurement panicked")?;
        ended.map_err(Into::into)
    })
}

fn on_cpus(run: &Run, cpus: [u32; 2]) -> Result<Section, Box<dyn Error>> {
    let pains = Pains {
        rounds: run.effort.pick(1, 1, 3),
        trial: Duration::from_millis(run.effort.pick(30, 60, 80)),
        last_attempts: run.effort.pick(2, 3, 6),
    };
    let mut findings = Findings::default();
    let before = cache_line(run.effort, cpus);
    let setups = plan::setups(run.effort, cpus).into_iter();
    let setups: Vec<Setup> = setups
        .map(|setup| with_hugepages(setup, &mut findings.notes))
        .collect();
    for setup in &setups {
        let points = setup.traffic.iter().map(|it| Point::new(setup, *it));
        findings.points.extend(points);
    }
    // What a round differs in from the one before, another run does too: so each has beds of its own.
    for round in 1..=pains.rounds {
        let mut points = findings.points.iter_mut();
        for setup in &setups {
            let of_setup: Vec<&mut Point> = points.by_ref().take(setup.traffic.len()).collect();
            measure_bed(
                run,
                pains,
                round,
                cpus,
                setup,
                of_setup,
                &mut findings.notes,
            )?;
        }
    }
    let after = cache_line(run.effort, cpus);
    findings.notes.push(format!(
        "A cache line's way from one CPU to the other and back, TSC cycles: {before} before, {after} after."
    ));
    Ok(tables::section(run, cpus, pains, findings))
}

fn cache_line(effort: Effort, cpus: [u32; 2]) -> String {
    let rounds = effort.pick(20, 50, 100);
    let figure = machine::cache_line_round_trip(cpus.map(|cpu| cpu as usize), rounds);
    figure.map_or_else(|_| "not measured".to_owned(), Figure::text)
}

/// Uses hugepages when there are enough, and says so when there are not.
fn with_hugepages(mut setup: Setup, notes: &mut Vec<String>) -> Setup {
    let sites = if setup.plan.shape == Shape::Pair {
        2
    } else {
        1
    };
    let wanted = setup.plan.memory_mib() * sites + TESTPMDS_MIB;
    let free = free_hugepages_mib();
    setup.plan.hugepages = free >= wanted;
    if !setup.plan.hugepages {
        let rows: Vec<String> = setup.traffic.iter().map(|it| setup.row(*it)).collect();
        notes.push(format!(
            "Without hugepages, of which {wanted} MiB were wanted and {free} MiB free: {}, {}.",
            setup.table(),
            rows.join("; ")
        ));
    }
    setup
}

fn free_hugepages_mib() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let value = |name| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let pages = value("HugePages_Free:").zip(value("Hugepagesize:"));
    pages.map_or(0, |(count, kib)| (count * kib) >> 10)
}

/// One round of a bed.
fn measure_bed(
    run: &Run,
    pains: Pains,
    round: usize,
    [tester_cpu, _]: [u32; 2],
    setup: &Setup,
    points: Vec<&mut Point>,
    notes: &mut Vec<String>,
) -> Result<(), Box<dyn Error>> {
    let what = format!("{}, {}", setup.table(), setup.row(setup.traffic[0]));
    run.say(NAME, &format!("{what}, round {round}: starts"));
    let mut stand = Stand::start(run, tester_cpu, setup)?;
    for (index, point) in points.into_iter().enumerate() {
        measure_point(pains, &mut stand, setup, index, point, notes)?;
        let mpps = |found: &[Option<Found>]| {
            let found = found.last().copied().flatten();
            found.map_or_else(|| "none".to_owned(), |it| format!("{:.2}", it.pps / 1e6))
        };
        run.say(
            NAME,
            &format!(
                "{}, {}, round {round}: hal2tp {}, 5tswap {}, mac {} Mpps",
                point.table,
                point.row,
                mpps(&point.appliance),
                mpps(&point.five_tuple_swap),
                mpps(&point.mac)
            ),
        );
    }
    Ok(())
}

/// One round of a row.
fn measure_point(
    pains: Pains,
    stand: &mut Stand,
    setup: &Setup,
    traffic: usize,
    point: &mut Point,
    notes: &mut Vec<String>,
) -> Result<(), Box<dyn Error>> {
    let found = stand.search_appliance(pains, traffic, last_pace(&point.appliance))?;
    point.appliance.push(found);
    if let Some(found) = found {
        let lost = stand.at_half_rate(pains, setup, found, &point.row, notes)?;
        point.lost_at_half.push(lost);
    }
    let mut modes = vec![
        (Mode::FiveTupleSwap, &mut point.five_tuple_swap),
        (Mode::Mac, &mut point.mac),
    ];
    if setup.with_source {
        modes.push((Mode::Io, &mut point.source));
    }
    for (mode, rounds) in modes {
        let found = stand.search_comparator(pains, traffic, mode, last_pace(rounds))?;
        rounds.push(found);
    }
    Ok(())
}

/// Where the search of the next round begins.
fn last_pace(rounds: &[Option<Found>]) -> u32 {
    rounds.iter().rev().flatten().next().map_or(0, |it| it.pace)
}

/// What stands around one bed.
struct Stand {
    tester: Tester,
    comparator: Comparator,
    by_appliance: Way,
    by_comparator: Way,
    threads: Vec<[u32; 2]>,
    tsc_hz: f64,
    // After the testpmds.
    _watched: [Watched; 2],
    // Last: its folder holds what the others use.
    bed: Bed,
}

impl Stand {
    /// Starts everything, and waits until the tunnels are up.
    fn start(run: &Run, cpu: u32, setup: &Setup) -> Result<Self, Box<dyn Error>> {
        let plan = &setup.plan;
        let mut bed = Bed::start(&run.programs, plan)?;
        let folder = bed.file("");
        let mut comparator = Comparator::start(&Place {
            folder: &folder,
            wire: plan.wire,
            cpus: &plan.workers,
            is_pair: plan.shape == Shape::Pair,
            hugepages: plan.hugepages,
        })?;
        let of_comparator = bed.watch(comparator.id())?;
        // Who waits on a memif must be there first; with vhost-user one waits for the other anyway.
        if plan.wire == Wire::Memif {
            comparator.prepare()?;
        }
        let of_bed = bed.tester_ports().len();
        let mut wires: Vec<String> = bed
            .tester_ports()
            .iter()
            .map(|it| it.vdev.clone())
            .collect();
        wires.extend(comparator::tester_wires(plan.wire, &folder, of_bed));
        let traffic = setup.traffic.iter().map(|it| it.frames(plan.sets));
        let mut tester = Tester::start(Parts {
            folder: &folder,
            cpu,
            queues: plan.workers.len(),
            hugepages: plan.hugepages,
            wires,
            traffic: traffic.collect(),
        })?;
        let watched = [of_comparator, bed.watch(tester.id())?];
        tester.prepare()?;
        comparator.prepare()?;
        // A pair's tunnels need nobody between the two, and over vhost-user its far end starts once the near one is there.
        if plan.shape == Shape::Pair {
            bed.wait_until_set_up(SET_UP_LIMIT)?;
            tester.connect(of_bed)?;
        } else {
            tester.connect(of_bed)?;
            bed.wait_until_set_up(SET_UP_LIMIT)?;
        }
        let port = |name: String| {
            let found = bed.tester_port(&name);
            found.ok_or_else(|| format!("a bed without {name}"))
        };
        let out_of = if plan.shape == Shape::Alone {
            (1..=plan.links)
                .map(|link| port(format!("a-link{link}")))
                .collect()
        } else {
            port("b-lan".to_owned()).map(|port| vec![port])
        };
        let by_appliance = Way {
            traffic: 0,
            into: port("a-lan".to_owned())?,
            out_of: out_of?,
        };
        let by_comparator = Way {
            traffic: 0,
            into: of_bed,
            out_of: vec![of_bed + 1],
        };
        let mut threads = Vec::new();
        for &site in plan.measured_sites() {
            let process = bed.pid(site).ok_or("an appliance without a process")?;
            let of_site = bed.worker_threads(site)?;
            threads.extend(of_site.into_iter().map(|thread| [process, thread]));
        }
        if plan.shape == Shape::Alone {
            bed.freeze_peer()?;
        }
        Ok(Self {
            tester,
            comparator,
            by_appliance,
            by_comparator,
            threads,
            tsc_hz: meter::tsc_hz(),
            _watched: watched,
            bed,
        })
    }

    fn search_appliance(
        &mut self,
        pains: Pains,
        traffic: usize,
        pace: u32,
    ) -> Result<Option<Found>, Box<dyn Error>> {
        let way = Way {
            traffic,
            ..self.by_appliance.clone()
        };
        self.tester.take(way)?;
        let meter = Meter::Appliances {
            threads: &self.threads,
            tsc_hz: self.tsc_hz,
            read_ns: Vec::new(),
        };
        search(&mut self.tester, meter, pains, pace)
    }

    fn search_comparator(
        &mut self,
        pains: Pains,
        traffic: usize,
        mode: Mode,
        pace: u32,
    ) -> Result<Option<Found>, Box<dyn Error>> {
        let way = Way {
            traffic,
            ..self.by_comparator.clone()
        };
        self.tester.take(way)?;
        self.comparator.forward(mode)?;
        let meter = Meter::Comparator(&mut self.comparator);
        let found = search(&mut self.tester, meter, pains, pace)?;
        self.comparator.stop()?;
        Ok(found)
    }

    /// Of a million, what is lost at half of a rate, at which nothing should be. Who counted it is noted.
    fn at_half_rate(
        &mut self,
        pains: Pains,
        setup: &Setup,
        found: Found,
        row: &str,
        notes: &mut Vec<String>,
    ) -> Result<f64, Box<dyn Error>> {
        let asks = setup.plan.sets <= MOST_SETS_FOR_STATUS;
        let before = if asks { self.drops()? } else { Vec::new() };
        let more_ns = 1e9 / found.pps;
        let pace = found.pace + (more_ns / self.tester.step_ns()) as u32;
        let trial = self
            .tester
            .trial(pace, pains.trial * LAST_TRIAL, || Ok(()))?;
        let lost = trial.refused + trial.lost;
        if lost > 0 {
            let counted = if asks {
                let after = self.drops()?;
                drops_since(&before, &after)
            } else {
                "was not asked".to_owned()
            };
            notes.push(format!(
                "{}, {row}, at half of its rate ({:.2} Mpps): of {} frames {} did not fit into the source's ring and {} \
                 were lost afterwards; hal2tp's counters: {counted}.",
                setup.table(),
                trial.offered_pps / 1e6,
                trial.offered,
                trial.refused,
                trial.lost,
            ));
        }
        Ok(1e6 * trial.loss())
    }

    /// Every reason to drop with its count, of all ports of what is measured.
    fn drops(&self) -> Result<Vec<(String, u64)>, Box<dyn Error>> {
        let mut drops = Vec::new();
        for &site in self.bed.plan().measured_sites() {
            for port in self.bed.status(site)?.ports {
                for (reason, count) in port.drops {
                    drops.push((format!("{} {} {reason}", site.name(), port.name), count));
                }
            }
        }
        Ok(drops)
    }
}

fn drops_since(before: &[(String, u64)], after: &[(String, u64)]) -> String {
    let changed = after.iter().filter_map(|(name, count)| {
        let earlier = before.iter().find(|(of, _)| of == name);
        let more = count - earlier.map_or(0, |(_, count)| *count);
        (more > 0).then(|| format!("{name} {more}"))
    });
    let changed: Vec<String> = changed.collect();
    if changed.is_empty() {
        return "none rose".to_owned();
    }
    changed.join(", ")
}

/// The highest rate without loss, and what a packet costs there.
fn search(
    tester: &mut Tester,
    mut meter: Meter<'_>,
    pains: Pains,
    pace: u32,
) -> Result<Option<Found>, Box<dyn Error>> {
    let start = Start {
        pace,
        step_ns: tester.step_ns(),
        limits: LIMITS,
    };
    let mut attempts = |attempts, time, pace| {
        search::repeated(LIMITS, REPEATABLE, attempts, || {
            meter.reset()?;
            tester.trial(pace, time, || meter.at_valve())
        })
    };
    let passed = search::quickest(start, |pace| attempts(ATTEMPTS, pains.trial, pace))?;
    let Some(passed) = passed else {
        return Ok(None);
    };
    let time = pains.trial * LAST_TRIAL;
    let last = search::confirmed(start, passed, |pace| {
        attempts(pains.last_attempts, time, pace)
    })?;
    let Some(last) = last else {
        return Ok(None);
    };
    Ok(Some(Found {
        pps: last.delivered_pps,
        // A trial that passes had frames, and testpmd something to say of them; it is the last that was made.
        cycles: meter.cycles_per_frame(last.offered - last.refused)?,
        loss: last.loss(),
        is_all_of_source: last.pace == 0,
        pace: last.pace,
    }))
}
