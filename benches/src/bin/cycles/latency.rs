//! How long a packet takes through one worker that has a core to itself, at half the rate at which it loses nothing.
//!
//! The tester, on another core, sends packets one by one at an even pace, each with the time at its end, and looks for them on
//! the other wires without a pause. An echo, which moves frames from wire to wire untouched, shows what the way to
//! another core and back takes by itself.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use benches::figure::Figure;
use benches::histogram::Histogram;
use dataplane::worker::{Outlet, WorkerPort};
use dpdk::{BURST, Burst, Eal, Mempool, lcore, tsc, tsc_hz};
use serde::Serialize;

use crate::bed::{Bed, Feed};
use crate::network::{Kind, LINKS, mac};
use crate::plan::{Beds, Setting};
use crate::walk::{Case, Direction, Walk};
use crate::wire::Wire;

/// Of the inner packets.
const INNER_OCTETS: usize = 64;

/// A trial in the search for the highest rate.
const TRIAL: Duration = Duration::from_millis(25);
/// A rate is too high when so many trials in a row lost something: a CPU that was taken away for a moment is no verdict.
const TRIALS: usize = 15;
/// Packets a second between which the rate is looked for, and how exactly.
const LEAST_RATE: f64 = 1e4;
const MOST_RATE: f64 = 4e7;
const EXACTNESS: f64 = 1.02;
/// How long latency is measured, and how often; figures are medians of these. So short that most are over before anything
/// disturbs them: one CPU that is taken away for 4 ms is all that the last thousandth of half a second shows.
const MEASURED: Duration = Duration::from_millis(50);
const MEASUREMENTS: usize = 101;
/// Nothing takes longer.
const PATIENCE: Duration = Duration::from_millis(100);

/// What one way took.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Latency {
    name: String,
    inner_octets: usize,
    /// The highest rate without a loss, inner packets a second.
    highest_rate: u64,
    /// The rate at which latency was measured.
    rate: u64,
    /// Frames that came out while it was, all copies together.
    frames: u64,
    lost_frames: u64,
    p50_us: Figure,
    p99_us: Figure,
    p999_us: Figure,
    longest_us: Figure,
}

/// Measures every way with the worker on `core` and the tester on `tester`.
pub(crate) fn measure(
    eal: &Arc<Eal>,
    core: u32,
    tester: u32,
) -> Result<Vec<Latency>, Box<dyn Error>> {
    let _lcore = lcore::register(Some(tester))?;
    let mut results = vec![measure_echo(eal, core)?];
    let mut beds = Beds::new(eal)?;
    let Bed {
        worker,
        feed,
        remotes,
        ..
    } = beds.bed(Setting::Few)?;
    let sets = (1..=LINKS).flat_map(|links| {
        [Direction::Send, Direction::Receive]
            .map(|direction| Case::new(direction, Kind::set(links), INNER_OCTETS))
    });
    let poll = || {
        worker.poll_once(tsc());
    };
    let of_worker = on_core(core, poll, || {
        let measure = |case| {
            let mut tester = Tester {
                walk: Walk::new(case, remotes)?,
                feed: &mut *feed,
                hz: tsc_hz(eal) as f64,
            };
            tester.measure(case.to_string())
        };
        std::iter::once(Case::plain(INNER_OCTETS))
            .chain(sets)
            .map(measure)
            .collect::<Result<Vec<_>, _>>()
    })?;
    results.extend(of_worker?);
    Ok(results)
}

/// The first two wires of a bed without a worker.
fn measure_echo(eal: &Arc<Eal>, core: u32) -> Result<Latency, Box<dyn Error>> {
    let frames = Mempool::new(eal, "echo", 4096, 256, 2048 + dpdk::HEADROOM_OCTETS)?;
    let (lan, from) = Wire::new(eal, "echo0", mac(0), &frames)?;
    let (uplink, to) = Wire::new(eal, "echo1", mac(1), &frames)?;
    let (WorkerPort { mut receive, .. }, Outlet::Own { mut queue, .. }) = (from, to.send) else {
        return Err("a wire without a queue".into());
    };
    let poll = move || {
        let mut burst = Burst::new();
        for from in &mut receive {
            from.rx_burst(&mut burst);
            queue.tx_burst(&mut burst);
        }
    };
    let mut feed = Feed::new(frames, vec![lan, uplink], 0);
    let walk = Walk::new(Case::plain(INNER_OCTETS), &[])?;
    on_core(core, poll, || {
        Tester {
            walk,
            feed: &mut feed,
            hz: tsc_hz(eal) as f64,
        }
        .measure("echo".to_owned())
    })?
}

/// Calls `poll` without a pause on another core while `work` is done on this one.
fn on_core<T>(
    core: u32,
    mut poll: impl FnMut() + Send,
    work: impl FnOnce() -> T,
) -> Result<T, Box<dyn Error>> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let polling = scope.spawn(|| {
            let lcore = lcore::register(Some(core));
            while lcore.is_ok() && !stop.load(Ordering::Relaxed) {
                poll();
            }
            lcore.map(drop)
        });
        let result = work();
        stop.store(true, Ordering::Relaxed);
        let ended = polling
            .join()
            .map_err(|_| "the other core's thread panicked")?;
        ended?;
        Ok(result)
    })
}

/// Sends what a case sends, packet by packet.
struct Tester<'a> {
    walk: Walk,
    feed: &'a mut Feed,
    /// Of the time stamp counter.
    hz: f64,
}

/// What became of a trial's frames.
struct Trial {
    lost_frames: u64,
    latency_cycles: Histogram,
    /// The tester itself did not keep the pace.
    is_late: bool,
}

impl Tester<'_> {
    fn measure(&mut self, name: String) -> Result<Latency, Box<dyn Error>> {
        let highest_rate = self.highest_rate()?;
        let rate = highest_rate / 2.0;
        let trials = (0..MEASUREMENTS)
            .map(|_| self.run(rate, MEASURED))
            .collect::<Result<Vec<_>, _>>()?;
        let us = |cycles: u64| cycles as f64 * 1e6 / self.hz;
        let figure = |of: &dyn Fn(&Histogram) -> u64| {
            let values = trials.iter().map(|trial| us(of(&trial.latency_cycles)));
            Figure::new(&values.collect::<Vec<_>>())
        };
        Ok(Latency {
            name,
            inner_octets: self.walk.case.inner_octets,
            highest_rate: highest_rate as u64,
            rate: rate as u64,
            frames: trials
                .iter()
                .map(|trial| trial.latency_cycles.count())
                .sum(),
            lost_frames: trials.iter().map(|trial| trial.lost_frames).sum(),
            p50_us: figure(&|cycles| cycles.quantile(0.5)),
            p99_us: figure(&|cycles| cycles.quantile(0.99)),
            p999_us: figure(&|cycles| cycles.quantile(0.999)),
            longest_us: figure(&Histogram::most),
        })
    }

    /// Packets a second, by bisection as RFC 2544 (26.1) does.
    fn highest_rate(&mut self) -> Result<f64, Box<dyn Error>> {
        let (mut good, mut bad) = (LEAST_RATE, MOST_RATE);
        while bad / good > EXACTNESS {
            let rate = (good * bad).sqrt();
            let mut is_kept = false;
            for _ in 0..TRIALS {
                let trial = self.run(rate, TRIAL)?;
                is_kept = trial.lost_frames == 0 && !trial.is_late;
                if is_kept {
                    break;
                }
            }
            if is_kept {
                good = rate;
            } else {
                bad = rate;
            }
        }
        Ok(good)
    }

    fn run(&mut self, rate: f64, time: Duration) -> Result<Trial, Box<dyn Error>> {
        let packets = (rate * time.as_secs_f64()) as u64;
        let cycles_a_packet = self.hz / rate;
        let mut latency_cycles = Histogram::default();
        let (mut sent, mut came) = (0, 0);
        let start = tsc();
        while sent < packets {
            let due = ((tsc() - start) as f64 / cycles_a_packet) as u64;
            let burst = (due.min(packets) - sent).min(BURST as u64);
            for _ in 0..burst {
                let index = (sent % BURST as u64) as usize;
                self.walk.send_one(self.feed, index)?;
                sent += 1;
            }
            came += self.collect(&mut latency_cycles);
        }
        let took = (tsc() - start) as f64;
        let expected = packets * self.walk.frames_a_packet();
        let deadline = tsc() + (PATIENCE.as_secs_f64() * self.hz) as u64;
        while came < expected && tsc() < deadline {
            came += self.collect(&mut latency_cycles);
        }
        Ok(Trial {
            lost_frames: expected.saturating_sub(came),
            latency_cycles,
            is_late: took > packets as f64 * cycles_a_packet * 1.01,
        })
    }

    /// Takes what came out.
    fn collect(&mut self, latency_cycles: &mut Histogram) -> u64 {
        let mut came = 0;
        let mut burst = Burst::new();
        for wire in &mut self.feed.wires {
            if wire.receive(&mut burst) == 0 {
                continue;
            }
            let now = tsc();
            for frame in &burst {
                if let Some(stamp) = frame.last_chunk() {
                    latency_cycles.record(now.saturating_sub(u64::from_be_bytes(*stamp)));
                }
            }
            came += burst.len() as u64;
            burst.clear();
        }
        came
    }
}

/// A table in Markdown.
pub(crate) fn text(results: &[Latency]) -> String {
    let mut text = "| way, 64 octets inside | highest rate without a loss, kpps | load, kpps | lost | p50, µs | p99, µs \
                    | p99.9, µs | longest, µs |\n|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    let kpps = |rate: u64| rate / 1000;
    for of in results {
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} of {} | {} | {} | {} | {} |",
            of.name,
            kpps(of.highest_rate),
            kpps(of.rate),
            of.lost_frames,
            of.frames + of.lost_frames,
            of.p50_us.text(),
            of.p99_us.text(),
            of.p999_us.text(),
            of.longest_us.text(),
        );
    }
    text
}
