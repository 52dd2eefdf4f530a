//! Instructions that a worker takes for a packet, counted by callgrind: the same in every run, whatever else the machine does,
//! and compared with those in a file.
//!
//! This program runs itself under callgrind, which writes a file for each call of [`counted`] with what was carried out in
//! [`Worker::poll_once`](dataplane::worker::Worker::poll_once) meanwhile. Time is made up, so that nothing hangs on the clock.

mod figures;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use dpdk::{Eal, tsc, tsc_hz};

use crate::bed::Bed;
use crate::plan::{self, Beds};
use crate::walk::{Tally, Walk};

use figures::{Counts, Figures, Verdict};

/// Bursts that are counted, after others.
const BURSTS: usize = 64;
const WARM_UP: usize = 64;
/// Bursts a second, in made-up time.
const RATE: u64 = 100_000;

/// Names that callgrind looks for.
const COUNTED: &str = "cycles::instructions::counted";
const WORKER: &str = "dataplane::worker::Worker::poll_once";

/// What comes before the lines that [`count`] prints.
const MARK: &str = "counted: ";
/// What [`count`] says of a processor that the figures are not for.
const OTHER_PROCESSOR: &str = "other processor";

/// Carries out every case that is counted, and prints how many packets were counted in each; to be run under callgrind.
pub(crate) fn count(eal: &Arc<Eal>) -> Result<(), Box<dyn Error>> {
    if !processor_is_usual() {
        println!("{MARK}{OTHER_PROCESSOR}");
        return Ok(());
    }
    println!("{MARK}{}", eal.version());
    let mut beds = Beds::new(eal)?;
    let mut clock = Clock {
        now: tsc(),
        step: tsc_hz(eal) / RATE,
    };
    for place in plan::counted() {
        let bed = beds.bed(place.setting)?;
        let walk = Walk::new(place.case, &bed.remotes)?;
        walk.run_at(bed, WARM_UP, || clock.tick())?;
        let tally = counted(&walk, bed, &mut clock)?;
        tally.check(place.case)?;
        println!("{MARK}{} {}", tally.units, place.name());
    }
    Ok(())
}

/// What callgrind counts.
#[inline(never)]
fn counted(walk: &Walk, bed: &mut Bed, clock: &mut Clock) -> Result<Tally, Box<dyn Error>> {
    walk.run_at(bed, BURSTS, || clock.tick())
}

/// Made-up time.
struct Clock {
    now: u64,
    step: u64,
}

impl Clock {
    fn tick(&mut self) -> u64 {
        self.now += self.step;
        self.now
    }
}

/// Whether the instructions are those of nearly every processor since 2015: others are compiled for others.
fn processor_is_usual() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Counts, and compares with the figures in a file. False when there are more instructions than there, or other cases.
pub(crate) fn check(file: &Path) -> Result<bool, Box<dyn Error>> {
    let Some(now) = count_all()? else {
        println!("not compared: the figures are for processors with AVX2");
        return Ok(true);
    };
    let text = fs::read_to_string(file).map_err(|problem| of_file(file, &problem))?;
    let kept: Figures = serde_json::from_str(&text).map_err(|problem| of_file(file, &problem))?;
    let comparison = kept.compare(&now);
    print!("{}", comparison.text());
    Ok(comparison.verdict() != Verdict::Bad)
}

/// Counts, and makes the file.
pub(crate) fn write(file: &Path) -> Result<(), Box<dyn Error>> {
    let now = count_all()?.ok_or("this processor has no AVX2")?;
    let text = serde_json::to_string_pretty(&now)? + "\n";
    fs::write(file, text).map_err(|problem| of_file(file, &problem))?;
    println!("{} has the figures as they are now", file.display());
    Ok(())
}

fn of_file(file: &Path, problem: &dyn Error) -> String {
    format!("{}: {problem}", file.display())
}

/// Runs this program under callgrind. `None` when the processor is another one.
fn count_all() -> Result<Option<Figures>, Box<dyn Error>> {
    let directory = Directory::new()?;
    let out = directory.0.join("out");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .arg(format!("--toggle-collect={WORKER}"))
        .arg(format!("--zero-before={COUNTED}"))
        .arg(format!("--dump-after={COUNTED}"))
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe()?)
        .args(["--count", "--no-huge"])
        .stdin(Stdio::null())
        .output()
        .map_err(|problem| format!("valgrind: {problem}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("under valgrind: {}\n{said}{errors}", output.status).into());
    }
    let mut lines = said.lines().filter_map(|line| line.strip_prefix(MARK));
    let dpdk = lines.next().ok_or("nothing was counted")?;
    if dpdk == OTHER_PROCESSOR {
        return Ok(None);
    }
    let mut counts = Counts::new();
    for (place, line) in lines.enumerate() {
        let (packets, name) = line.split_once(' ').ok_or("a line without a name")?;
        let packets: f64 = packets.parse()?;
        let dump = out.with_extension((place + 1).to_string());
        let dump = fs::read_to_string(&dump).map_err(|problem| of_file(&dump, &problem))?;
        let total = total(&dump).ok_or("callgrind has counted nothing")?;
        counts.insert(name.to_owned(), total as f64 / packets);
    }
    Ok(Some(Figures::new(compiler(), dpdk.to_owned(), counts)))
}

/// The sum of what was counted; `None` when there was nothing.
fn total(dump: &str) -> Option<u64> {
    let mut lines = dump.lines().filter_map(|line| {
        line.strip_prefix("summary:")
            .or_else(|| line.strip_prefix("totals:"))
    });
    let total = lines.next()?.trim().parse().ok()?;
    (total > 0).then_some(total)
}

/// The compiler at hand, which has made this program when it is called as it should be.
fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let version = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    version.unwrap_or_else(|_| "unknown".to_owned())
}

/// For callgrind's files; removed with them.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Result<Self, std::io::Error> {
        let name = format!("cycles-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory)?;
        Ok(Self(directory))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left of it bothers nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_callgrind_writes() {
        let dump = "version: 1\ncreator: callgrind-3.19.0\nevents: Ir\nsummary: 262144\n\nfn=(1)\n1 2\n\ntotals: 262144\n";
        assert_eq!(total(dump), Some(262_144));
        assert_eq!(total("events: Ir\nsummary: 0\n"), None);
        assert_eq!(total("events: Ir\n"), None);
    }
}
