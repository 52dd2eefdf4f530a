//! What the tester is told and answers, one line of JSON each.

use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Forward between the ports, pair by pair, until the next order.
    Forward,
    /// Stop that.
    Rest,
    /// Send, and see what comes.
    Run(Trial),
}

/// How frames are spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Pacing {
    /// One by one, evenly.
    Singles,
    /// 32 at once, evenly.
    Bursts,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Trial {
    /// Whose last octets are the stamp's.
    pub(super) frame: Vec<u8>,
    pub(super) pacing: Pacing,
    /// Frames a second.
    pub(super) rate: f64,
    pub(super) milliseconds: u64,
    /// Ports by their places.
    pub(super) send: usize,
    /// Each frame comes out of all of them.
    pub(super) receive: Vec<usize>,
}

/// An exact account of a trial.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) sent: u64,
    /// Of those, what the first wire had no room for.
    pub(super) refused: u64,
    /// Copies that came out, each port's first of a frame.
    pub(super) received_copies: u64,
    /// Those that did not come out of their port.
    pub(super) lost_copies: u64,
    /// Frames that came out of one port more than once, each time counted.
    pub(super) twice: u64,
    /// The tester did not keep the pace.
    pub(super) is_late: bool,
    /// From the last frame sent to the last received, nanoseconds.
    pub(super) drain_ns: u64,
    /// The longest time between two looks of the tester at its ports, nanoseconds.
    pub(super) longest_gap_ns: u64,
    pub(super) first: Spread,
    /// Of the last copies.
    pub(super) last: Spread,
}

/// Times from the first wire to the last, nanoseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Spread {
    pub(super) count: u64,
    /// What the shares of [`SHARES`] do not exceed.
    pub(super) quantiles: Vec<u64>,
}

/// Of all frames.
pub(super) const SHARES: [f64; 17] = [
    0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.995, 0.999, 1.0,
];

impl Spread {
    /// Of one of [`SHARES`]; `None` when nothing came.
    pub(super) fn quantile_us(&self, share: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let place = SHARES.iter().position(|&of| of == share);
        let value = place.and_then(|place| self.quantiles.get(place));
        value.map(|&ns| ns as f64 / 1000.0)
    }
}
