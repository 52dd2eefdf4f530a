//! What happens in one run: a cell of the matrix, and what its seed adds to it.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Each copy by itself.
    Percent(u8),
    /// All copies of one link at a time, now of this one and now of that.
    AlternatingBursts,
}

/// Which links carry nothing for a while, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outage {
    None,
    /// One, so long that it leaves the set; it is dialled anew afterwards.
    One,
    /// One after the other.
    Rotating,
    /// All of them for five seconds.
    All,
}

/// Whose process ends and starts again: all directions have a sender and a
/// receiver at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restart {
    None,
    /// The end that dials.
    Dialling,
    /// The end that is dialled.
    Dialled,
    Both,
}

/// Inner packets, octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sizes {
    Small,
    /// 1400, with DF where that exists.
    Large,
    Mixed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scenario {
    pub(crate) cell: usize,
    pub(crate) seed: u64,
    pub(crate) links: usize,
    /// From the quickest link to the slowest.
    pub(crate) skew_ms: u64,
    pub(crate) loss: Loss,
    pub(crate) reorder: bool,
    pub(crate) outage: Outage,
    pub(crate) restart: Restart,
    /// Of the end that dials, and of the other.
    pub(crate) workers: [usize; 2],
    pub(crate) sizes: Sizes,
    /// What the links carry whole: too little for larger packets, which go in pieces.
    pub(crate) small_links: bool,
    /// Tunnels over IPv6.
    pub(crate) outer_ipv6: bool,
    /// Every other packet inside is IPv6.
    pub(crate) inner_ipv6: bool,
    /// The network doubles some copies and flips bits of others.
    pub(crate) noise: bool,
    /// The last link has a `speed` that is less than what there is to send.
    pub(crate) slow_link: bool,
    /// Packets leave in order: what is missing is waited for so long at most.
    pub(crate) ordering_ms: Option<u32>,
    /// A process is back while copies of its predecessor's are still on their way.
    pub(crate) quick_restart: bool,
    /// The sender leaves numbers out, so many that copies may be too late.
    pub(crate) number_gaps: bool,
}

const LINKS: [usize; 3] = [2, 3, 4];
const SKEWS_MS: [u64; 4] = [0, 10, 50, 450];
const LOSSES: [Loss; 5] = [
    Loss::Percent(0),
    Loss::Percent(1),
    Loss::Percent(10),
    Loss::Percent(50),
    Loss::AlternatingBursts,
];
const OUTAGES: [Outage; 4] = [Outage::None, Outage::One, Outage::Rotating, Outage::All];
const RESTARTS: [Restart; 4] = [
    Restart::None,
    Restart::Dialling,
    Restart::Dialled,
    Restart::Both,
];

impl Scenario {
    /// Of the matrix.
    pub(crate) const CELLS: usize =
        LINKS.len() * SKEWS_MS.len() * LOSSES.len() * 2 * OUTAGES.len() * RESTARTS.len();

    /// A cell of the matrix; what it leaves open follows from the seed.
    pub(crate) fn new(cell: usize, seed: u64) -> Self {
        let mut rest = cell;
        let mut digit = |base: usize| {
            let digit = rest % base;
            rest /= base;
            digit
        };
        let mut rng = StdRng::seed_from_u64(seed << 16 | cell as u64);
        let mut workers = || *[1, 2].choose(&mut rng).expect("there are some");
        Self {
            cell,
            seed,
            restart: RESTARTS[digit(RESTARTS.len())],
            outage: OUTAGES[digit(OUTAGES.len())],
            reorder: digit(2) == 1,
            loss: LOSSES[digit(LOSSES.len())],
            skew_ms: SKEWS_MS[digit(SKEWS_MS.len())],
            links: LINKS[digit(LINKS.len())],
            workers: [workers(), workers()],
            sizes: *[Sizes::Small, Sizes::Large, Sizes::Mixed]
                .choose(&mut rng)
                .expect("there are some"),
            small_links: rng.random(),
            outer_ipv6: rng.random(),
            inner_ipv6: rng.random(),
            noise: rng.random(),
            slow_link: rng.random_ratio(1, 4),
            ordering_ms: *[None, None, Some(5), Some(30), Some(300)]
                .choose(&mut rng)
                .expect("there are some"),
            quick_restart: rng.random(),
            number_gaps: rng.random_ratio(1, 8),
        }
    }

    /// A stream of chances of its own for each `purpose`.
    pub(crate) fn rng(&self, purpose: u64) -> StdRng {
        StdRng::seed_from_u64(self.derived_seed(purpose))
    }

    pub(crate) fn derived_seed(&self, purpose: u64) -> u64 {
        self.seed << 32 | (self.cell as u64) << 8 | purpose
    }
}
