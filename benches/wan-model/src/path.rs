//! One direction of an emulated link: a pure, seeded function of the frames offered and the times at which they were.
//!
//! A frame passes, in this order: outage, outage of HA frames, the MTU, loss (independent, then bursty), corruption, duplication, the queue of the
//! bottleneck, delay with jitter, reordering, a stall. Time is passed in by the caller and never runs backwards.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::ha_frame::{ETHERNET_OCTETS, HaFrame};
use crate::impairment::Impairments;

/// What happened to the frames of one direction.
///
/// At any time `received + duplicated = forwarded + lost + queue_drops + outage_drops + oversized_drops
/// + in_flight`, and
/// the same holds for what is counted in `ha_data`, whose `lost` is all of these drops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathCounters {
    /// Frames offered.
    pub received: u64,
    pub received_octets: u64,
    /// Frames that came out.
    pub forwarded: u64,
    /// Frames lost by `loss` and `burst-loss`.
    pub lost: u64,
    /// Frames that found the queue of `rate` full, or [`MAX_IN_FLIGHT`] frames on the way.
    pub queue_drops: u64,
    /// Frames that arrived, or would have come out, during an outage of theirs.
    pub outage_drops: u64,
    /// Frames whose packet was larger than `mtu`.
    pub oversized_drops: u64,
    /// Second copies made.
    pub duplicated: u64,
    /// Frames held back so that others could overtake them.
    pub reordered: u64,
    /// Frames with a flipped bit.
    pub corrupted: u64,
    /// The same of the copies of packets of HA sets alone.
    pub ha_data: HaDataCounters,
}

/// What happened to the copies of packets of HA sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaDataCounters {
    pub received: u64,
    pub forwarded: u64,
    /// Copies that did not come out, for whatever reason.
    pub lost: u64,
    pub duplicated: u64,
}

/// No more frames than this wait in one direction (five seconds of 100 000 frames a second), so that a long delay
/// under a flood does not eat the machine.
pub const MAX_IN_FLIGHT: usize = 500_000;

/// One direction of an emulated link.
pub struct Path {
    settings: Impairments,
    rng: StdRng,
    wander: Wander,
    in_bad_state: bool,
    /// When the bottleneck has sent what waits for it.
    busy_until: Duration,
    /// Nothing that keeps its place comes out before this.
    newest_due: Duration,
    in_flight: BinaryHeap<Reverse<InFlight>>,
    offered: u64,
    counters: PathCounters,
}

impl Path {
    /// A path whose chance events all follow from `seed`.
    pub fn new(settings: Impairments, seed: u64) -> Self {
        Self {
            settings,
            rng: StdRng::seed_from_u64(seed),
            wander: Wander::default(),
            in_bad_state: false,
            busy_until: Duration::ZERO,
            newest_due: Duration::ZERO,
            in_flight: BinaryHeap::new(),
            offered: 0,
            counters: PathCounters::default(),
        }
    }

    pub fn settings(&self) -> &Impairments {
        &self.settings
    }

    /// Changes what happens to frames offered from now on. An outage also takes those on the way.
    pub fn set(&mut self, settings: Impairments) {
        self.settings = settings;
    }

    pub fn counters(&self) -> PathCounters {
        self.counters
    }

    /// How many frames are on the way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// A frame enters at `now`.
    pub fn offer(&mut self, now: Duration, mut frame: Vec<u8>) {
        self.counters.received += 1;
        self.counters.received_octets += frame.len() as u64;
        // Before anything is damaged.
        let kind = HaFrame::of(&frame);
        let is_data = kind == Some(HaFrame::Data);
        self.counters.ha_data.received += u64::from(is_data);
        if self.settings.outage || self.settings.ha_outage.takes(kind) {
            self.counters.outage_drops += 1;
            self.counters.ha_data.lost += u64::from(is_data);
            return;
        }
        if self.is_oversized(&frame) {
            self.counters.oversized_drops += 1;
            self.counters.ha_data.lost += u64::from(is_data);
            return;
        }
        if self.is_lost() {
            self.counters.lost += 1;
            self.counters.ha_data.lost += u64::from(is_data);
            return;
        }
        if self.happens(self.settings.corrupt) {
            self.flip_a_bit(&mut frame);
        }
        if self.happens(self.settings.duplicate) {
            self.counters.duplicated += 1;
            self.counters.ha_data.duplicated += u64::from(is_data);
            self.enqueue(now, frame.clone(), kind);
        }
        self.enqueue(now, frame, kind);
    }

    /// When the next frame comes out; `None` when nothing is on the way, or all of it waits for the end of a stall.
    pub fn next_due(&self) -> Option<Duration> {
        let head = self.in_flight.peek().filter(|_| !self.settings.stall);
        head.map(|Reverse(frame)| frame.due)
    }

    /// The next frame that comes out at or before `now`.
    pub fn take_due(&mut self, now: Duration) -> Option<Vec<u8>> {
        while self.next_due().is_some_and(|due| due <= now) {
            let Reverse(frame) = self.in_flight.pop()?;
            let is_data = u64::from(frame.kind == Some(HaFrame::Data));
            if self.settings.outage || self.settings.ha_outage.takes(frame.kind) {
                self.counters.outage_drops += 1;
                self.counters.ha_data.lost += is_data;
                continue;
            }
            self.counters.forwarded += 1;
            self.counters.ha_data.forwarded += is_data;
            return Some(frame.octets);
        }
        None
    }

    fn is_oversized(&self, frame: &[u8]) -> bool {
        let packet_octets = frame.len().saturating_sub(ETHERNET_OCTETS);
        let most = self.settings.mtu_octets.map_or(usize::MAX, usize::from);
        packet_octets > most
    }

    fn happens(&mut self, probability: f64) -> bool {
        // No draw for what is switched off: the stream of chances then depends on what is switched on only.
        probability > 0.0 && self.rng.random::<f64>() < probability
    }

    fn is_lost(&mut self) -> bool {
        let alone = self.happens(self.settings.loss);
        let in_burst = self.settings.burst_loss > 0.0 && self.is_lost_in_burst();
        alone || in_burst
    }

    /// Gilbert-Elliott: two states; the share of frames in the bad one and its mean length follow from the settings.
    fn is_lost_in_burst(&mut self) -> bool {
        let bad_share = self.settings.burst_loss / self.settings.burst_density;
        let leave_bad = 1.0 / self.settings.burst_length;
        let enter_bad = (leave_bad * bad_share / (1.0 - bad_share)).min(1.0);
        self.in_bad_state = if self.in_bad_state {
            !self.happens(leave_bad)
        } else {
            self.happens(enter_bad)
        };
        self.in_bad_state && self.happens(self.settings.burst_density)
    }

    fn flip_a_bit(&mut self, frame: &mut [u8]) {
        let first = self.settings.corrupt_from_octets;
        if first >= frame.len() {
            return;
        }
        let octet = self.rng.random_range(first..frame.len());
        frame[octet] ^= 1 << self.rng.random_range(0..8);
        self.counters.corrupted += 1;
    }

    fn enqueue(&mut self, now: Duration, octets: Vec<u8>, kind: Option<HaFrame>) {
        let Some(departure) = self.pass_bottleneck(now, octets.len()) else {
            self.counters.queue_drops += 1;
            self.counters.ha_data.lost += u64::from(kind == Some(HaFrame::Data));
            return;
        };
        let jitter = self.settings.jitter;
        let travel = if jitter.is_zero() {
            self.settings.delay
        } else {
            let offset = self.wander.at(departure, jitter, &mut self.rng);
            add_signed(self.settings.delay, offset)
        };
        let mut due = (departure + travel).max(self.newest_due);
        self.newest_due = due;
        if self.happens(self.settings.reorder) {
            self.counters.reordered += 1;
            due += self.settings.reorder_by.mul_f64(self.rng.random::<f64>());
        }
        self.offered += 1;
        self.in_flight.push(Reverse(InFlight {
            due,
            order: self.offered,
            kind,
            octets,
        }));
    }

    /// When the bottleneck has sent the frame; `None` when its queue is full.
    fn pass_bottleneck(&mut self, now: Duration, octets: usize) -> Option<Duration> {
        if self.in_flight.len() >= MAX_IN_FLIGHT {
            return None;
        }
        let Some(rate_bit_s) = self.settings.rate_bit_s else {
            return Some(now);
        };
        let start = self.busy_until.max(now);
        let waiting_octets = (start - now).as_secs_f64() * rate_bit_s as f64 / 8.0;
        // A frame that finds the queue empty always fits: it goes straight to the wire.
        if waiting_octets > 0.0
            && waiting_octets + octets as f64 > self.settings.queue_octets as f64
        {
            return None;
        }
        self.busy_until = start + Duration::from_secs_f64(octets as f64 * 8.0 / rate_bit_s as f64);
        Some(self.busy_until)
    }
}

struct InFlight {
    due: Duration,
    /// Breaks ties: frames due together come out as they came in.
    order: u64,
    kind: Option<HaFrame>,
    octets: Vec<u8>,
}

impl InFlight {
    fn key(&self) -> (Duration, u64) {
        (self.due, self.order)
    }
}

impl PartialEq for InFlight {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for InFlight {}

impl PartialOrd for InFlight {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for InFlight {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// Jitter that keeps the order: the delay walks along straight lines between points drawn uniformly from
/// `-jitter..jitter`. A line is four times as long as the jitter is large, so the delay never falls faster than half
/// the speed of time, and no frame catches up with the one before it. Independent draws for each frame with the order
/// restored afterwards would push the mean delay up to `delay + jitter` as soon as frames are close together.
#[derive(Default)]
struct Wander {
    from: Duration,
    until: Duration,
    /// Offsets at both ends of the line, as a share of the jitter.
    start: f64,
    end: f64,
}

impl Wander {
    const SHORTEST_LINE: Duration = Duration::from_millis(1);

    /// The offset from the mean delay at `now`, in seconds.
    fn at(&mut self, now: Duration, jitter: Duration, rng: &mut StdRng) -> f64 {
        let line = (4 * jitter).max(Self::SHORTEST_LINE);
        if now >= self.until {
            let idle = now - self.until;
            self.start = if idle < line { self.end } else { draw(rng) };
            self.from = if idle < line { self.until } else { now };
            self.until = self.from + line;
            self.end = draw(rng);
        }
        let length = self.until.saturating_sub(self.from).as_secs_f64();
        let along = (now.saturating_sub(self.from).as_secs_f64() / length).clamp(0.0, 1.0);
        (self.start + (self.end - self.start) * along) * jitter.as_secs_f64()
    }
}

fn draw(rng: &mut StdRng) -> f64 {
    rng.random_range(-1.0..=1.0)
}

fn add_signed(time: Duration, seconds: f64) -> Duration {
    let change = Duration::from_secs_f64(seconds.abs());
    if seconds < 0.0 {
        time.saturating_sub(change)
    } else {
        time + change
    }
}

#[cfg(test)]
mod tests;
