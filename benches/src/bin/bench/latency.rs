//! How long a packet takes through one appliance and through a pair, beside testpmd's 5tswap over the same wire.

use std::error::Error;
use std::io;
use std::time::Duration;

use benches::figure::Figure;
use benches::machine::longest_gap;
use benches::report::Section;

use crate::bed::{Bed, Flow, Plan, Poll, Shape, Site, Wire};
use crate::run::Run;

pub(crate) use child::serve;

use orders::{Outcome, Pacing, Trial};
use tester::Tester;

mod child;
mod orders;
mod tables;
mod tester;

/// A tester's command line.
#[derive(clap::Args)]
pub(crate) struct TesterArguments {
    /// That it has to itself.
    cpu: u32,
    /// Its ports, as DPDK's EAL takes them.
    vdevs: Vec<String>,
}

/// The word before it.
const TESTER: &str = "latency-tester";
const NAME: &str = "latency";

const TESTER_CPU: u32 = 0;
/// Of whatever is measured.
const WORKER_CPU: u32 = 1;
const LINKS: usize = 2;
const SET_UP_LIMIT: Duration = Duration::from_secs(30);

/// Frames a second between which the highest rate is looked for.
const LEAST_RATE: f64 = 2e4;
const MOST_RATE: f64 = 1e7;
const SEARCH_MS: u64 = 100;
/// How long a CPU is watched in each round.
const WATCHED: Duration = Duration::from_millis(300);
/// The most that may still be under way when the last frame of a search's trial was sent: what a ring hides is no rate.
const DRAIN: Duration = Duration::from_millis(3);
/// Two workers that share a CPU wait for each other.
const SHARED_DRAIN: Duration = Duration::from_millis(10);

/// What is measured, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Testpmd,
    Alone(Poll),
    Pair(Poll),
}

/// How much of it.
struct Extent {
    kinds: Vec<Kind>,
    frames_octets: Vec<usize>,
    pacings: Vec<Pacing>,
    loads_percent: Vec<u32>,
    rounds: usize,
    /// Measurements of a point in each round.
    pieces: usize,
    milliseconds: u64,
    /// Of the search for the highest rate.
    exactness: f64,
    tries: usize,
}

/// Something that is measured, and its tester. Both rest when it is not their turn.
struct Subject {
    kind: Kind,
    // Before the bed, whose folder it uses.
    tester: Tester,
    bed: Bed,
    flow: Flow,
    send: usize,
    receive: Vec<usize>,
}

/// What is measured in each round.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    kind: Kind,
    frame_octets: usize,
    pacing: Pacing,
    load_percent: u32,
    /// Frames a second.
    rate: f64,
}

/// A point in all rounds, piece by piece.
struct Measured {
    point: Point,
    outcomes: Vec<Outcome>,
}

/// The highest rate without a loss.
#[derive(Clone, Copy, Debug)]
struct Highest {
    kind: Kind,
    frame_octets: usize,
    /// None: something was lost at every rate that was tried.
    rate: Option<f64>,
}

/// Everything that was found.
struct Findings {
    highest: Vec<Highest>,
    measured: Vec<Measured>,
    /// Of loops that only look at the clock, on the tester's CPU and on the worker's, microseconds.
    gaps_us: [Figure; 2],
    rounds: usize,
    pieces: usize,
    milliseconds: u64,
    /// Of the search for the highest rate.
    exactness: f64,
    tries: usize,
}

pub(crate) fn measure(run: &Run) -> Result<Section, Box<dyn Error>> {
    let extent = Extent::of(run);
    let mut subjects = Vec::new();
    for &kind in &extent.kinds {
        run.say(NAME, &format!("starts {}", kind.title()));
        let subject = Subject::start(run, kind)?;
        subject.bed.pause()?;
        subjects.push(subject);
    }
    let mut highest = Vec::new();
    for &frame_octets in &extent.frames_octets {
        for subject in subjects.iter_mut().filter(|of| of.kind.is_searched()) {
            let rate = subject.highest_rate(&extent, frame_octets)?;
            let kind = subject.kind;
            let found = match rate {
                Some(rate) => format!("{:.0} kpps at most", rate / 1e3),
                None => "no rate without loss".to_owned(),
            };
            let text = format!("{}, {frame_octets} octets: {found}", kind.title());
            run.say(NAME, &text);
            highest.push(Highest {
                kind,
                frame_octets,
                rate,
            });
        }
    }
    let mut measured: Vec<Measured> = points(&extent, &highest)
        .map(|point| Measured {
            point,
            outcomes: Vec::new(),
        })
        .collect();
    let mut gaps_us = [Vec::new(), Vec::new()];
    for round in 1..=extent.rounds {
        run.say(NAME, &format!("round {round} of {}", extent.rounds));
        for (cpu, gaps) in [TESTER_CPU, WORKER_CPU].into_iter().zip(&mut gaps_us) {
            let gap = longest_gap(cpu as usize, WATCHED)?;
            gaps.push(gap.as_secs_f64() * 1e6);
        }
        for subject in &mut subjects {
            subject.bed.resume()?;
            let of_subject = |of: &&mut Measured| of.point.kind == subject.kind;
            for Measured { point, outcomes } in measured.iter_mut().filter(of_subject) {
                for _ in 0..extent.pieces {
                    let trial = subject.trial(*point, extent.milliseconds);
                    outcomes.push(subject.tester.run(trial)?);
                }
            }
            subject.bed.pause()?;
        }
    }
    let findings = Findings {
        highest,
        measured,
        gaps_us: gaps_us.map(|gaps| Figure::new(&gaps)),
        rounds: extent.rounds,
        pieces: extent.pieces,
        milliseconds: extent.milliseconds,
        exactness: extent.exactness,
        tries: extent.tries,
    };
    Ok(findings.section(run.output()))
}

impl Extent {
    fn of(run: &Run) -> Self {
        let effort = run.effort;
        let all = vec![
            Kind::Testpmd,
            Kind::Alone(Poll::Busy),
            Kind::Alone(Poll::Adaptive),
            Kind::Pair(Poll::Adaptive),
            Kind::Pair(Poll::Busy),
        ];
        let few = vec![
            Kind::Testpmd,
            Kind::Alone(Poll::Busy),
            Kind::Pair(Poll::Adaptive),
        ];
        Self {
            kinds: effort.pick(few.clone(), few, all),
            frames_octets: effort.pick(vec![64], vec![64], vec![64, 1400]),
            pacings: effort.pick(
                vec![Pacing::Singles],
                vec![Pacing::Singles],
                vec![Pacing::Singles, Pacing::Bursts],
            ),
            loads_percent: effort.pick(vec![10], vec![10, 50, 90], vec![10, 50, 90]),
            rounds: effort.pick(1, 1, 3),
            pieces: effort.pick(1, 5, 8),
            // So short that most are over before anything disturbs them.
            milliseconds: 50,
            exactness: effort.pick(3.0, 1.1, 1.1),
            tries: effort.pick(2, 4, 5),
        }
    }
}

/// Where a worker that would poll sleeps, the lightest load shows it. What has no highest rate has no loads.
fn points(extent: &Extent, highest: &[Highest]) -> impl Iterator<Item = Point> {
    let mut points = Vec::new();
    for &kind in &extent.kinds {
        for &frame_octets in &extent.frames_octets {
            let fits =
                |of: &&Highest| of.kind.like() == kind.like() && of.frame_octets == frame_octets;
            let Some(most) = highest.iter().find(fits).and_then(|of| of.rate) else {
                continue;
            };
            for &pacing in &extent.pacings {
                for &load_percent in &extent.loads_percent {
                    if kind.is_searched() || load_percent == extent.loads_percent[0] {
                        points.push(Point {
                            kind,
                            frame_octets,
                            pacing,
                            load_percent,
                            rate: most * f64::from(load_percent) / 100.0,
                        });
                    }
                }
            }
        }
    }
    points.into_iter()
}

impl Kind {
    fn plan(self) -> Plan {
        let (shape, poll) = match self {
            Self::Testpmd => (Shape::Testpmd("5tswap"), Poll::Busy),
            Self::Alone(poll) => (Shape::Alone, poll),
            Self::Pair(poll) => (Shape::Pair, poll),
        };
        Plan {
            links: LINKS,
            workers: vec![WORKER_CPU],
            peer_workers: vec![WORKER_CPU],
            poll,
            ..Plan::new(shape, Wire::Memif)
        }
    }

    /// Measured at every load; the others show one thing at the lightest.
    fn is_searched(self) -> bool {
        matches!(
            self,
            Self::Testpmd | Self::Alone(Poll::Busy) | Self::Pair(Poll::Adaptive)
        )
    }

    /// Whose highest rate it gets its load from.
    fn like(self) -> u8 {
        match self {
            Self::Testpmd => 0,
            Self::Alone(_) => 1,
            Self::Pair(_) => 2,
        }
    }
}

impl Subject {
    fn start(run: &Run, kind: Kind) -> Result<Self, Box<dyn Error>> {
        let mut bed = Bed::start(&run.programs, &kind.plan())?;
        let mut tester = Tester::start(&bed, TESTER_CPU)?;
        tester.forward()?;
        bed.wait_until_set_up(SET_UP_LIMIT)?;
        tester.rest()?;
        let outputs: &[&str] = match kind {
            Kind::Alone(_) => {
                bed.freeze_peer()?;
                &["a-link1", "a-link2"]
            }
            Kind::Testpmd | Kind::Pair(_) => &["b-lan"],
        };
        let port = |name: &str| {
            let place = bed.tester_port(name);
            place.ok_or_else(|| io::Error::other(format!("no wire {name}")))
        };
        Ok(Self {
            kind,
            send: port("a-lan")?,
            receive: outputs
                .iter()
                .map(|name| port(name))
                .collect::<Result<_, _>>()?,
            flow: Site::A.flow(1),
            tester,
            bed,
        })
    }

    fn trial(&self, point: Point, milliseconds: u64) -> Trial {
        Trial {
            frame: self.flow.frame(point.frame_octets),
            pacing: point.pacing,
            rate: point.rate,
            milliseconds,
            send: self.send,
            receive: self.receive.clone(),
        }
    }

    /// By bisection (RFC 2544, 26.1), with single frames; `None` when something was lost at every rate.
    fn highest_rate(
        &mut self,
        extent: &Extent,
        frame_octets: usize,
    ) -> Result<Option<f64>, Box<dyn Error>> {
        self.bed.resume()?;
        let drain = match self.kind {
            Kind::Pair(_) => SHARED_DRAIN,
            _ => DRAIN,
        };
        let (mut good, mut bad) = (None, MOST_RATE);
        loop {
            let least = good.unwrap_or(LEAST_RATE);
            if bad / least <= extent.exactness {
                break;
            }
            let point = Point {
                kind: self.kind,
                frame_octets,
                pacing: Pacing::Singles,
                load_percent: 100,
                rate: (least * bad).sqrt(),
            };
            let mut is_kept = false;
            // A CPU that was taken away for a moment is no verdict.
            for _ in 0..extent.tries {
                let trial = self.trial(point, SEARCH_MS);
                let outcome = self.tester.run(trial)?;
                is_kept = outcome.lost_copies == 0
                    && !outcome.is_late
                    && outcome.drain_ns < drain.as_nanos() as u64;
                if is_kept {
                    break;
                }
            }
            if is_kept {
                good = Some(point.rate);
            } else {
                bad = point.rate;
            }
        }
        self.bed.pause()?;
        Ok(good)
    }
}
