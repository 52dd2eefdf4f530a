//! What a packet costs among more and more sets and sessions: each crowd has a worker of its own, and they take turns.

use std::error::Error;
use std::process;
use std::str::FromStr;
use std::sync::Arc;

use benches::scale::{Crowd, Crowds};
use benches::usage::Memory;
use dpdk::{Eal, tsc_hz};
use nix::sys::prctl;
use nix::sys::signal::Signal;

use crate::bed::{Bed, Pools};
use crate::compare::{Effort, clock_cycles};
use crate::network::{Family, Kind, Network};
use crate::walk::{Case, Direction, Far, Walk};

/// DPDK has room for so many beds' ports.
pub(crate) const MOST: usize = 4;
/// Of each set.
const LINKS: usize = 2;
const INNER_OCTETS: usize = 64;
/// Sessions that have ids of their own.
const SESSIONS_MAX: usize = 64_000;

/// `4000+56000`: sets, and plain sessions beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    sets: usize,
    plain_sessions: usize,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (sets, plain) = text.split_once('+').unwrap_or((text, "0"));
        let number = |text: &str| text.parse().map_err(|error| format!("{text:?}: {error}"));
        let size = Self {
            sets: number(sets)?,
            plain_sessions: number(plain)?,
        };
        let sessions = size.sets.saturating_mul(LINKS) + size.plain_sessions;
        if size.sets == 0 || sessions > SESSIONS_MAX {
            let text = format!("at least one set, and at most {SESSIONS_MAX} sessions");
            return Err(text);
        }
        Ok(size)
    }
}

impl Size {
    /// Sets and plain sessions in turn, as they would come, and not one after the other.
    fn kinds(self) -> Vec<Kind> {
        let Self {
            sets,
            plain_sessions,
        } = self;
        let until = |set: usize| plain_sessions * set / sets;
        let kinds = (0..sets).flat_map(|set| {
            let plain = until(set + 1) - until(set);
            std::iter::once(Kind::set(LINKS)).chain(std::iter::repeat_n(Kind::session(), plain))
        });
        kinds.collect()
    }

    fn case(self, direction: Direction) -> Case {
        let far = match self {
            Self {
                sets,
                plain_sessions: 0,
            } => Far::Many(Kind::set(LINKS), sets),
            Self {
                sets,
                plain_sessions,
            } => Far::Mixed {
                sets,
                sessions: plain_sessions,
            },
        };
        Case {
            direction,
            far,
            inner: Family::Ipv4,
            inner_octets: INNER_OCTETS,
        }
    }
}

/// A crowd's worker, and what goes through it.
struct Place {
    bed: Bed,
    walks: [Walk; 2],
    crowd: Crowd,
}

impl Place {
    fn new(
        eal: &Arc<Eal>,
        pools: &Pools,
        index: usize,
        size: Size,
    ) -> Result<Self, Box<dyn Error>> {
        let before = Memory::of(process::id())?.own_octets;
        let network = Network::new(size.kinds(), 1);
        let bed = Bed::new(eal, &format!("crowd{index}"), pools, &network, 0)?;
        let own_octets = Memory::of(process::id())?.own_octets.saturating_sub(before);
        let walk = |direction| Walk::new(size.case(direction), &bed.remotes);
        Ok(Self {
            walks: [walk(Direction::Send)?, walk(Direction::Receive)?],
            crowd: Crowd {
                sets: network.sets(),
                plain_sessions: size.plain_sessions,
                sessions: network.sessions(),
                window_octets: network.window_octets(),
                own_octets,
                send_cycles: Vec::new(),
                receive_cycles: Vec::new(),
            },
            bed,
        })
    }

    fn round(&mut self, effort: Effort, clock_cycles: u64) -> Result<(), Box<dyn Error>> {
        let Self { bed, walks, crowd } = self;
        let rounds = [&mut crowd.send_cycles, &mut crowd.receive_cycles];
        for (walk, cycles) in walks.iter().zip(rounds) {
            cycles.push(walk.round(bed, effort.bursts, clock_cycles)?.worker);
        }
        Ok(())
    }
}

/// Counts, round by round.
pub(crate) fn measure(
    eal: &Arc<Eal>,
    effort: Effort,
    sizes: &[Size],
    core: u32,
) -> Result<Crowds, Box<dyn Error>> {
    // Who started this for its figures has no use for it any more.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let pools = Pools::new(eal)?;
    let mut places = Vec::new();
    for (index, &size) in sizes.iter().enumerate() {
        places.push(Place::new(eal, &pools, index, size)?);
    }
    let clock_cycles = clock_cycles();
    for _ in 0..effort.rounds {
        for place in &mut places {
            place.round(effort, clock_cycles)?;
        }
    }
    Ok(Crowds {
        core,
        tsc_mhz: tsc_hz(eal) / 1_000_000,
        hugepages: eal.uses_hugepages(),
        crowds: places.into_iter().map(|place| place.crowd).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_sets_and_sessions() {
        let size: Size = "4+9".parse().unwrap();
        let kinds = size.kinds();
        let sets = kinds.iter().filter(|kind| kind.links.is_some()).count();
        assert_eq!((sets, kinds.len()), (4, 13));
        assert_eq!(kinds.first(), Some(&Kind::set(LINKS)));
        assert_eq!("7".parse::<Size>().unwrap().kinds().len(), 7);
        assert!("4000+56000".parse::<Size>().is_ok());
        for text in ["", "0", "0+5", "4000+56001", "1+", "x+1"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
