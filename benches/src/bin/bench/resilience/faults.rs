//! What each fault costs each way of using two ISPs, all of them at the same moment.

use std::io;
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use benches::emulator::Direction;
use benches::lab::Site;
use benches::traffic::FlowReport;

use super::bed::{Bed, SET_UP_LIMIT};
use super::ways::{Reports, Ways};
use crate::run::{Effort, Run};

mod pictures;
mod table;

pub(super) use pictures::write as pictures;
pub(super) use table::{notes, table};

/// The ISPs: the first is the quickest, and is the one that has the faults.
pub(super) const LINKS: [&str; 2] = ["delay=10ms jitter=1ms", "delay=20ms jitter=2ms"];
const FAULTY: usize = 1;
/// Half of all frames, in bursts of 100 ms on average at the rate that the first ISP carries here.
const BURSTS_ON: &str = "burst-loss=50% burst-length=350";
const BURSTS_OFF: &str = "burst-loss=0%";
/// Half a period of the link that flaps.
const FLAP: Duration = Duration::from_millis(500);
/// From the end of an appliance to the start of the next.
const POWER_OFF: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// What the machine itself does to the traffic.
    Nothing,
    /// The first link loses everything.
    Cut,
    /// It does so every other half second.
    Flap,
    /// It loses every other frame, many in a row.
    Bursts,
    /// It takes frames and delivers them at the end of the fault.
    Stall,
    /// An appliance is killed and started anew.
    Restart(Site),
}

impl Fault {
    pub(super) const ALL: [Self; 7] = [
        Self::Nothing,
        Self::Cut,
        Self::Flap,
        Self::Bursts,
        Self::Stall,
        Self::Restart(Site::Remote),
        Self::Restart(Site::Head),
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "no fault",
            Self::Cut => "cut",
            Self::Flap => "flap at 1 Hz",
            Self::Bursts => "bursts of loss",
            Self::Stall => "stalled link",
            Self::Restart(Site::Remote) => "remote restarts",
            Self::Restart(Site::Head) => "head restarts",
        }
    }

    /// How long it lasts; `None`: this effort leaves it out. A restart takes what it takes.
    pub(super) fn length(self, effort: Effort) -> Option<Duration> {
        let seconds = match (self, effort) {
            (Self::Cut, Effort::Smoke) => 2,
            (_, Effort::Smoke) | (Self::Restart(Site::Head), Effort::Quick) => return None,
            // Longer than `lcp-timeout`.
            (Self::Cut, _) | (Self::Stall, Effort::Full) => 12,
            (Self::Restart(_), _) => 0,
            (Self::Flap | Self::Bursts, Effort::Full) => 4,
            (Self::Flap | Self::Bursts | Self::Stall, _) | (Self::Nothing, Effort::Full) => 2,
            (Self::Nothing, _) => 1,
        };
        Some(Duration::from_secs(seconds))
    }

    /// Lets it come and go. Of a restart: for how long no appliance was there to answer.
    fn carry_out(self, bed: &mut Bed, length: Duration) -> io::Result<Option<Duration>> {
        match self {
            Self::Nothing => thread::sleep(length),
            Self::Cut => {
                bed.lab.set_outage(FAULTY, true)?;
                thread::sleep(length);
                bed.lab.set_outage(FAULTY, false)?;
            }
            Self::Flap => {
                let start = Instant::now();
                while start.elapsed() < length {
                    bed.lab.set_outage(FAULTY, true)?;
                    thread::sleep(FLAP);
                    bed.lab.set_outage(FAULTY, false)?;
                    thread::sleep(FLAP);
                }
            }
            Self::Bursts => for_so_long(bed, length, [BURSTS_ON, BURSTS_OFF])?,
            Self::Stall => for_so_long(bed, length, ["stall=on", "stall=off"])?,
            Self::Restart(site) => return restart(bed, site).map(Some),
        }
        Ok(None)
    }
}

fn for_so_long(bed: &mut Bed, length: Duration, [on, off]: [&str; 2]) -> io::Result<()> {
    bed.lab.change_link(FAULTY, Direction::Both, on)?;
    thread::sleep(length);
    bed.lab.change_link(FAULTY, Direction::Both, off)
}

fn restart(bed: &mut Bed, site: Site) -> io::Result<Duration> {
    let start = Instant::now();
    bed.lab.kill(site)?;
    thread::sleep(POWER_OFF);
    bed.lab.start(site)?;
    while bed.lab.status(site).is_err() {
        bed.lab.assert_running(site)?;
        thread::sleep(Duration::from_millis(10));
    }
    Ok(start.elapsed())
}

/// One run of a fault.
pub(super) struct Outcome {
    pub(super) fault: Fault,
    /// Of all ways, in their order.
    reports: Vec<Reports>,
    /// When the fault was there, counted from the start of the traffic.
    lasted: Range<Duration>,
    /// Of a restart.
    nobody_there: Option<Duration>,
}

impl Outcome {
    /// Every account of every way.
    pub(super) fn all_reports(&self) -> impl Iterator<Item = &FlowReport> {
        self.reports.iter().flatten()
    }
}

/// Every fault as often as there are rounds.
pub(super) fn measure(run: &Run, bed: &mut Bed, rounds: u32) -> io::Result<Vec<Outcome>> {
    bed.set_links(&LINKS)?;
    let mut outcomes = Vec::new();
    for round in 1..=rounds {
        for fault in Fault::ALL {
            let Some(length) = fault.length(run.effort) else {
                continue;
            };
            let lasts = match length {
                Duration::ZERO => String::new(),
                _ => format!(", {} s", length.as_secs()),
            };
            let text = format!("round {round} of {rounds}: {}{lasts}", fault.name());
            run.say(super::NAME, &text);
            outcomes.push(measure_one(run, bed, fault, length)?);
        }
    }
    Ok(outcomes)
}

/// Traffic before a fault, and once all is as before.
const AROUND: Duration = Duration::from_millis(700);

fn measure_one(run: &Run, bed: &mut Bed, fault: Fault, length: Duration) -> io::Result<Outcome> {
    bed.wait_until_up(SET_UP_LIMIT)?;
    let ways = Ways::start(bed)?;
    let start = Instant::now();
    thread::sleep(AROUND);
    let from = start.elapsed();
    let nobody_there = fault.carry_out(bed, length)?;
    let lasted = from..start.elapsed();
    run.say(super::NAME, "it is over; until all is up again");
    bed.wait_until_up(SET_UP_LIMIT)?;
    ways.wait_for_the_first(SET_UP_LIMIT)?;
    thread::sleep(AROUND);
    Ok(Outcome {
        fault,
        reports: ways.stop()?,
        lasted,
        nobody_there,
    })
}
