//! What a packet costs whatever is measured, in TSC cycles of a CPU.

use std::error::Error;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use benches::usage::thread_cpu_time;

use super::comparator::Comparator;

/// Read while nothing flows: before a trial, and when everything that was accepted in it has come.
pub(super) enum Meter<'a> {
    Appliances {
        /// Process and thread of each worker.
        threads: &'a [[u32; 2]],
        tsc_hz: f64,
        /// CPU time of all of them, each time that it was read.
        read_ns: Vec<u64>,
    },
    Comparator(&'a mut Comparator),
}

impl Meter<'_> {
    /// Before a trial, and after it, when nothing is under way any more: it is divided by all frames that were accepted.
    pub(super) fn at_valve(&mut self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Appliances {
                threads, read_ns, ..
            } => read_ns.push(cpu_time_ns(threads)?),
            // What it did before is forgotten; afterwards nothing comes that would count.
            Self::Comparator(_) => {}
        }
        Ok(())
    }

    /// Begins a trial.
    pub(super) fn reset(&mut self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Appliances { read_ns, .. } => read_ns.clear(),
            Self::Comparator(comparator) => comparator.clear_cycles()?,
        }
        Ok(())
    }

    /// Of each of the frames of the last trial.
    pub(super) fn cycles_per_frame(&mut self, frames: u64) -> Result<f64, Box<dyn Error>> {
        match self {
            Self::Appliances {
                tsc_hz, read_ns, ..
            } => {
                let [before, after] = read_ns[..] else {
                    return Err("CPU time was not read before and after".into());
                };
                Ok((after - before) as f64 * *tsc_hz / 1e9 / (frames as f64).max(1.0))
            }
            Self::Comparator(comparator) => comparator.cycles_per_frame(),
        }
    }
}

/// For which threads were on a CPU, as Linux accounts for it.
fn cpu_time_ns(threads: &[[u32; 2]]) -> io::Result<u64> {
    let mut sum = 0;
    for &[process, thread] in threads {
        sum += thread_cpu_time(process, thread)?.as_nanos() as u64;
    }
    Ok(sum)
}

/// TSC cycles a second, by the system's clock.
pub(super) fn tsc_hz() -> f64 {
    let (start, cycles) = (Instant::now(), dpdk::tsc());
    thread::sleep(Duration::from_millis(200));
    (dpdk::tsc() - cycles) as f64 / start.elapsed().as_secs_f64()
}
