//! On what something was measured: the machine, and how quiet it was.

use std::hint::spin_loop;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::utils::CachePadded;
use dpdk::tsc;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::figure::Figure;

/// A machine, and the programs on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    pub cpus: usize,
    pub memory_gib: u64,
    pub kernel: String,
    pub dpdk: String,
    pub rustc: String,
    /// hal2tp's, with a `+` when it was changed since.
    pub commit: String,
    /// The day, ISO 8601.
    pub date: String,
    pub hugepages: String,
}

impl Machine {
    /// This one. `commit` is of what is measured.
    pub fn read(commit: &str) -> Self {
        Self {
            cpu: value("/proc/cpuinfo", "model name"),
            cpus: thread::available_parallelism().map_or(0, std::num::NonZero::get),
            // To the nearest: the kernel has taken some of it.
            memory_gib: (kibibytes("MemTotal") + (1 << 19)) >> 20,
            kernel: file("/proc/sys/kernel/osrelease"),
            dpdk: first_line(Command::new("pkg-config").args(["--modversion", "libdpdk"])),
            rustc: first_line(Command::new("rustc").arg("--version")),
            commit: commit.to_owned(),
            date: first_line(Command::new("date").arg("--iso-8601")),
            hugepages: format!(
                "{} of {}",
                value("/proc/meminfo", "HugePages_Total"),
                value("/proc/meminfo", "Hugepagesize")
            ),
        }
    }

    pub(crate) fn markdown(&self) -> String {
        let Self {
            cpu,
            cpus,
            memory_gib,
            kernel,
            dpdk,
            rustc,
            commit,
            date,
            hugepages,
        } = self;
        format!(
            "| machine | {cpu}, {cpus} CPUs, {memory_gib} GiB |\n|---|---|\n\
             | hugepages | {hugepages} |\n| kernel | Linux {kernel} |\n| DPDK | {dpdk} |\n\
             | compiler | {rustc} |\n| hal2tp | {commit} |\n| day | {date} |\n"
        )
    }
}

/// The commit that a folder has, with a `+` when something was changed since.
pub fn commit(folder: &Path) -> String {
    let git =
        |arguments: &[&str]| first_line(Command::new("git").arg("-C").arg(folder).args(arguments));
    let commit = git(&["rev-parse", "--short=10", "HEAD"]);
    let is_changed = git(&["status", "--porcelain", "--untracked-files=no"]) != UNKNOWN;
    format!("{commit}{}", if is_changed { "+" } else { "" })
}

const UNKNOWN: &str = "unknown";

fn file(path: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.trim().to_owned()
}

/// The value of `name : value`.
fn value(path: &str, name: &str) -> String {
    let text = file(path);
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_once(':'));
    value.map_or(UNKNOWN, |(_, value)| value.trim()).to_owned()
}

fn kibibytes(name: &str) -> u64 {
    let value = value("/proc/meminfo", name);
    let number = value.split_whitespace().next();
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn first_line(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout);
    let text = String::from_utf8(output.unwrap_or_default()).unwrap_or_default();
    text.lines().next().unwrap_or(UNKNOWN).to_owned()
}

/// Has the calling thread, and what it starts, run on this CPU alone.
///
/// # Errors
/// When there is no such CPU.
pub fn pin(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// The longest time for which a CPU was taken away from a loop that does nothing but look at the clock.
///
/// # Errors
/// When there is no such CPU.
pub fn longest_gap(cpu: usize, time: Duration) -> io::Result<Duration> {
    let watch = || {
        pin(cpu)?;
        let start = Instant::now();
        let (mut last, mut longest) = (start, Duration::ZERO);
        while last - start < time {
            let now = Instant::now();
            longest = longest.max(now - last);
            last = now;
        }
        Ok(longest)
    };
    let watched = thread::scope(|scope| scope.spawn(watch).join());
    watched.map_err(|_| io::Error::other("a thread panicked"))?
}

/// How often the line goes to and fro for one figure.
const ROUND_TRIPS: u64 = 2000;

/// What it takes a cache line to go from one CPU to the other, to be changed there, and to come back, TSC cycles.
///
/// # Errors
/// When there are no such CPUs.
pub fn cache_line_round_trip(cpus: [usize; 2], rounds: u16) -> io::Result<Figure> {
    let line = CachePadded::new(AtomicU64::new(0));
    // Not on the line itself, where the other side's next number would replace it.
    let is_gone = CachePadded::new(AtomicBool::new(false));
    // Each side answers the other's numbers with the next ones, which are odd on the left.
    let wait_for = |number| {
        loop {
            if line.load(Ordering::Acquire) == number {
                return true;
            }
            if is_gone.load(Ordering::Relaxed) {
                return false;
            }
            spin_loop();
        }
    };
    let trips = ROUND_TRIPS * u64::from(rounds.max(1));
    let on = |cpu: usize, work: &mut dyn FnMut() -> bool| {
        let pinned = pin(cpu);
        if pinned.is_err() || !work() {
            is_gone.store(true, Ordering::Relaxed);
        }
        pinned
    };
    let mut figures = Vec::new();
    let mut start_rounds = || {
        let mut start = tsc();
        for trip in 0..trips {
            line.store(2 * trip + 1, Ordering::Release);
            if !wait_for(2 * trip + 2) {
                return false;
            }
            if (trip + 1).is_multiple_of(ROUND_TRIPS) {
                let now = tsc();
                figures.push((now - start) as f64 / ROUND_TRIPS as f64);
                start = now;
            }
        }
        true
    };
    let mut answer = || {
        (0..trips).all(|trip| {
            let here = wait_for(2 * trip + 1);
            if here {
                line.store(2 * trip + 2, Ordering::Release);
            }
            here
        })
    };
    let results = thread::scope(|scope| {
        let right = scope.spawn(|| on(cpus[1], &mut answer));
        let left = scope.spawn(|| on(cpus[0], &mut start_rounds));
        [right.join(), left.join()]
    });
    for result in results {
        result.map_err(|_| io::Error::other("a thread panicked"))??;
    }
    Ok(Figure::new(&figures))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_name() {
        let machine = Machine::read("abc");
        assert_ne!(machine.cpu, UNKNOWN);
        assert!(machine.cpus > 0 && machine.memory_gib > 0);
        assert!(machine.markdown().contains("| hal2tp | abc |"));
    }

    #[test]
    fn a_cpu_that_is_not_there_is_an_error_and_keeps_nobody_waiting() {
        let far = CpuSet::count() - 1;
        assert!(cache_line_round_trip([0, far], 1).is_err());
        assert!(cache_line_round_trip([far, 0], 1).is_err());
    }

    #[test]
    fn a_gap_is_part_of_the_time() {
        let time = Duration::from_millis(5);
        let start = Instant::now();
        let gap = longest_gap(0, time).unwrap();
        let all = start.elapsed();
        assert!(gap > Duration::ZERO && gap <= all, "{gap:?} of {all:?}");
        assert!(longest_gap(CpuSet::count() - 1, time).is_err());
    }

    #[test]
    fn a_line_takes_time_from_one_cpu_to_the_other() {
        if thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1) {
            let figure = cache_line_round_trip([0, 1], 3).unwrap();
            assert!(figure.least > 1.0, "{figure:?}");
        }
    }
}
