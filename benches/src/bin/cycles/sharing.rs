//! Two workers on one set, each on a core of its own: what it costs that they share its window or its numbers, beside what it
//! takes the two cores to pass one cache line to and fro.

use std::error::Error;
use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use benches::figure::Figure;
use benches::machine::cache_line_round_trip;
use crossbeam::utils::CachePadded;
use dpdk::{BURST, Eal, lcore};

use crate::bed::{Bed, Pools};
use crate::compare::Effort;
use crate::network::{Kind, Network};
use crate::walk::{Case, Direction, Tally, Walk};

/// In place of a count: somebody is gone.
const GONE: u64 = u64::MAX;

/// What it costs two workers to share a set.
#[derive(Clone, Debug)]
pub(crate) struct Sharing {
    pub(crate) cores: [u32; 2],
    /// A cache line from one core to the other and back, TSC cycles.
    pub(crate) round_trip: Figure,
    pub(crate) lines: Vec<Shared>,
}

/// One way through two workers, TSC cycles per packet: the mean of both.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) inner_octets: usize,
    /// Both work at the same time.
    pub(crate) together: Figure,
    /// The second starts when the first is done.
    pub(crate) by_turns: Figure,
}

/// Measures both directions of a set of two links.
pub(crate) fn measure(
    eal: &Arc<Eal>,
    pools: &Pools,
    cores: [u32; 2],
    Effort { rounds, bursts }: Effort,
    clock_cycles: u64,
) -> Result<Sharing, Box<dyn Error>> {
    let round_trip = cache_line_round_trip(cores.map(|core| core as usize), rounds)?;
    let network = Network::new([Kind::set(2)], 2);
    let mut beds = [
        Bed::new(eal, "left", pools, &network, 0)?,
        Bed::new(eal, "right", pools, &network, 1)?,
    ];
    let mut lines = Vec::new();
    for direction in [Direction::Send, Direction::Receive] {
        let case = Case::new(direction, Kind::set(2), 64);
        let (mut together, mut by_turns) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            for (pace, costs) in [
                (Pace::Together, &mut together),
                (Pace::ByTurns, &mut by_turns),
            ] {
                costs.push(both(&mut beds, case, cores, bursts, clock_cycles, pace)?);
            }
        }
        lines.push(Shared {
            name: case.to_string(),
            unit: case.unit(),
            inner_octets: case.inner_octets,
            together: Figure::new(&together),
            by_turns: Figure::new(&by_turns),
        });
    }
    Ok(Sharing {
        cores,
        round_trip,
        lines,
    })
}

impl Shared {
    /// What it costs a burst that both work at the same time, in round trips of a cache line.
    pub(crate) fn round_trips_a_burst(&self, round_trip: Figure) -> f64 {
        (self.together.median - self.by_turns.median) * BURST as f64 / round_trip.median
    }
}

/// When the workers are polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// Both at once, burst by burst.
    Together,
    ByTurns,
}

/// One round of both workers.
///
/// Sending, each has packets of its own. Receiving, each has one link's copies of the same packets.
fn both(
    beds: &mut [Bed; 2],
    case: Case,
    cores: [u32; 2],
    bursts: usize,
    clock_cycles: u64,
    pace: Pace,
) -> Result<f64, Box<dyn Error>> {
    let walk = |bed: &Bed, uplink| match case.direction {
        Direction::Send => Walk::new(case, &bed.remotes),
        Direction::Receive => Walk::of_uplink(case, &bed.remotes, uplink),
    };
    let walks = [walk(&beds[0], 0)?, walk(&beds[1], 1)?];
    let meeting = Meeting::default();
    let run = |index: usize, bed: &mut Bed| {
        let mut seat = meeting.seat(index);
        let mut run = || -> Result<Tally, Box<dyn Error>> {
            let _lcore = lcore::register(Some(cores[index]))?;
            let walk = &walks[index];
            match pace {
                Pace::Together => walk.run(bed, bursts, clock_cycles, || seat.meet()),
                Pace::ByTurns => walk.run(bed, bursts, clock_cycles, || {}),
            }
        };
        // A text, as others cannot leave the thread.
        run().map_err(|problem| problem.to_string())
    };
    let [left, right] = beds;
    let tallies = thread::scope(|scope| {
        let first = scope.spawn(|| run(0, left));
        match pace {
            Pace::Together => {
                let second = scope.spawn(|| run(1, right));
                [first.join(), second.join()]
            }
            Pace::ByTurns => [first.join(), scope.spawn(|| run(1, right)).join()],
        }
    });
    let mut sum = Tally::default();
    for tally in tallies {
        sum.add(&tally.map_err(|_| "a worker's thread panicked")??);
    }
    if case.direction == Direction::Receive {
        // Of each packet there are two copies, one for each worker: one of them leaves.
        sum.expected[0].0 /= 2;
        sum.expected[0].1 /= 2;
    }
    sum.check(case)?;
    Ok(sum.worker_cycles as f64 / sum.units as f64)
}

/// Where two threads wait for each other, over and over.
#[derive(Default)]
struct Meeting([CachePadded<AtomicU64>; 2]);

/// One thread's place; whoever leaves keeps the other from waiting.
struct Seat<'a> {
    own: &'a AtomicU64,
    other: &'a AtomicU64,
    meetings: u64,
}

impl Meeting {
    fn seat(&self, index: usize) -> Seat<'_> {
        Seat {
            own: &self.0[index],
            other: &self.0[1 - index],
            meetings: 0,
        }
    }
}

impl Seat<'_> {
    fn meet(&mut self) {
        self.meetings += 1;
        self.own.store(self.meetings, Ordering::Release);
        while self.other.load(Ordering::Acquire) < self.meetings {
            spin_loop();
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.own.store(GONE, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_does_not_keep_the_other_waiting() {
        let meeting = Meeting::default();
        thread::scope(|scope| {
            scope.spawn(|| meeting.seat(0).meet());
            let mut seat = meeting.seat(1);
            for _ in 0..1000 {
                seat.meet();
            }
        });
    }
}
