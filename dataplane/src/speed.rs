//! What a link is given at most: a token bucket that never delays. A copy goes
//! at once or not at all; on a slow link a late copy is worth nothing, and it
//! would hold up those behind it.

use std::sync::atomic::{AtomicU64, Ordering};

/// What may go at once after a pause, in time at the configured speed.
const DEPTH_MS: u64 = 50;
/// The same in octets, at the least: eight large packets.
const MIN_DEPTH_OCTETS: u64 = 8 * LARGE_OCTETS;
/// From this size on a packet leaves half of the bucket to smaller ones.
const LARGE_OCTETS: u64 = 1500;

/// Time is counted in sixteenths of a nanosecond, so that an octet at 100 Gbit/s is more than one.
const TICKS_PER_NS: u64 = 16;
const TICKS_PER_S: u128 = TICKS_PER_NS as u128 * 1_000_000_000;
const COST_LOG2: u32 = 16;

/// The tokens of one link, shared by all workers. Each draws once for a burst.
///
/// A packet of n octets passes if the bucket holds n and a reserve that grows
/// with n: nothing for the smallest, half of the bucket for 1500. When there is
/// too much for the link, large packets are refused first, and what is small
/// (voice, acknowledgements) is carried to the end.
#[derive(Debug)]
pub struct SpeedLimit {
    speed_bit_s: u64,
    /// What one octet takes, in 65 536ths of a tick.
    octet_cost: u64,
    depth: u64,
    /// When the bucket will be full again: the one thing that changes.
    full_at: AtomicU64,
}

impl SpeedLimit {
    /// A full bucket; `speed_bit_s` is that of outer IP packets, at least 1.
    #[must_use]
    pub fn new(speed_bit_s: u64) -> Self {
        let speed_bit_s = speed_bit_s.max(1);
        let octet_cost = ((8 * TICKS_PER_S) << COST_LOG2).div_ceil(u128::from(speed_bit_s));
        let mut limit = Self {
            speed_bit_s,
            octet_cost: u64::try_from(octet_cost).unwrap_or(u64::MAX),
            depth: DEPTH_MS * TICKS_PER_NS * 1_000_000,
            full_at: AtomicU64::new(0),
        };
        limit.depth = limit.depth.max(limit.cost(MIN_DEPTH_OCTETS));
        limit
    }

    #[must_use]
    pub fn speed_bit_s(&self) -> u64 {
        self.speed_bit_s
    }

    /// Which packets of a burst pass, the first of them in the lowest bit:
    /// `octets` are their lengths, at most 64 of them. `now_ns` is a clock that
    /// all workers share.
    #[must_use]
    pub fn admit(&self, now_ns: u64, octets: impl Iterator<Item = usize> + Clone) -> u64 {
        let now = now_ns.wrapping_mul(TICKS_PER_NS);
        // Relaxed: the tokens are this one number, and order nothing else.
        let mut before = self.full_at.load(Ordering::Relaxed);
        loop {
            let (passing, after) = self.draw(before.max(now), now, octets.clone());
            if passing == 0 {
                return 0;
            }
            match self.full_at.compare_exchange_weak(
                before,
                after,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return passing,
                Err(drawn_meanwhile) => before = drawn_meanwhile,
            }
        }
    }

    fn draw(&self, mut full_at: u64, now: u64, octets: impl Iterator<Item = usize>) -> (u64, u64) {
        let mut passing = 0;
        for (index, octets) in octets.take(64).enumerate() {
            let octets = octets as u64;
            let cost = self.cost(octets);
            let reserve = self.depth / 2 * octets.min(LARGE_OCTETS) / LARGE_OCTETS;
            let used = full_at - now;
            if used.saturating_add(cost).saturating_add(reserve) <= self.depth {
                passing |= 1 << index;
                full_at += cost;
            }
        }
        (passing, full_at)
    }

    /// How long so many octets take at the link's speed.
    fn cost(&self, octets: u64) -> u64 {
        let ticks = (u128::from(octets) * u128::from(self.octet_cost)) >> COST_LOG2;
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MBIT: u64 = 1_000_000;
    const MS: u64 = 1_000_000;

    fn depth_octets(limit: &SpeedLimit) -> u64 {
        let depth = (u128::from(limit.depth) << COST_LOG2) / u128::from(limit.octet_cost);
        u64::try_from(depth).expect("no more than was put in")
    }

    fn passes(limit: &SpeedLimit, now_ns: u64, octets: usize) -> bool {
        limit.admit(now_ns, std::iter::once(octets)) == 1
    }

    #[test]
    fn what_is_within_the_speed_passes() {
        let limit = SpeedLimit::new(12 * MBIT);
        // 1500 octets are 12 000 bits: one packet each millisecond.
        for ms in 0..10_000 {
            assert!(passes(&limit, ms * MS, 1500), "after {ms} ms");
        }
    }

    #[test]
    fn of_twice_the_speed_half_passes() {
        let limit = SpeedLimit::new(12 * MBIT);
        let passed = (0..20_000).filter(|&half_ms| passes(&limit, half_ms * MS / 2, 1500));
        let passed = passed.count();
        assert!((10_000..10_060).contains(&passed), "{passed}");
    }

    #[test]
    fn small_packets_survive_a_flood_of_large_ones() {
        let limit = SpeedLimit::new(10 * MBIT);
        let (mut small, mut large) = (0, 0);
        for ms in 0..10_000 {
            // 60 Mbit/s of large packets, and a voice call every 20 ms.
            let burst = [1500; 5].iter().copied();
            large += limit.admit(ms * MS, burst).count_ones();
            if ms % 20 == 0 {
                small += u64::from(passes(&limit, ms * MS, 250));
            }
        }
        assert_eq!(small, 500, "all calls are carried");
        // 10 Mbit/s for 10 s are 12.5 MB, less what the calls take.
        let octets = u64::from(large) * 1500;
        assert!((12_300_000..12_440_000).contains(&octets), "{octets}");
    }

    #[test]
    fn a_burst_after_a_pause_is_bounded() {
        let limit = SpeedLimit::new(100 * MBIT);
        let hour_ns = 3_600_000_000_000;
        let burst = (0..10_000).filter(|_| passes(&limit, hour_ns, 64)).count();
        // 50 ms of 100 Mbit/s are 625 000 octets, of which the smallest leave next to nothing.
        assert!((9_000..=9_766).contains(&burst), "{burst}");
    }

    #[test]
    fn the_slowest_and_the_fastest_link_are_counted_right() {
        let slow = SpeedLimit::new(0);
        assert!(passes(&slow, 0, 1500));
        let fast = SpeedLimit::new(100_000 * MBIT);
        let passed = (0..4_000_000_u64)
            .filter(|packet| passes(&fast, packet * 50, 1500))
            .count() as u64;
        // 200 ms of 12.5 octets a nanosecond, and what the bucket held beyond its reserve.
        let octets = passed * 1500;
        let allowed = 12_500 * 200_000 + depth_octets(&fast) / 2;
        assert!(
            octets.abs_diff(allowed) < allowed / 1000,
            "{octets} of {allowed}"
        );
    }

    #[test]
    fn workers_share_one_bucket() {
        let limit = SpeedLimit::new(8 * MBIT);
        let draw = || -> u64 {
            let octets = |ms: u64| limit.admit(ms * MS, [1000; 8].iter().copied());
            (0..1000)
                .map(|ms| u64::from(octets(ms).count_ones()) * 1000)
                .sum()
        };
        let total: u64 = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(draw)).collect();
            workers
                .into_iter()
                .map(|it| it.join().expect("it counts"))
                .sum()
        });
        // One second at a million octets each, though their clocks run apart.
        let most = 1_000_000 + depth_octets(&limit);
        assert!(total <= most && total >= 900_000, "{total} of {most}");
    }

    proptest! {
        /// In any time no more passes than the speed gives, and the bucket.
        #[test]
        fn never_more_than_the_speed_and_the_bucket(
            speed_bit_s in 1_000_u64..1_000_000_000,
            arrivals in proptest::collection::vec((0_u64..50_000_000, 20_usize..9000), 1..300),
        ) {
            let limit = SpeedLimit::new(speed_bit_s);
            let mut now_ns = 0;
            let mut passed = Vec::new();
            for (pause_ns, octets) in arrivals {
                now_ns += pause_ns;
                if passes(&limit, now_ns, octets) {
                    passed.push((now_ns, octets as u64));
                }
            }
            for first in 0..passed.len() {
                let mut sum = 0;
                for &(at, octets) in &passed[first..] {
                    sum += octets;
                    let passed_ns = u128::from(at - passed[first].0);
                    let earned = passed_ns * u128::from(speed_bit_s) / 8 / 1_000_000_000;
                    let most = earned + u128::from(depth_octets(&limit)) + 1;
                    prop_assert!(u128::from(sum) <= most, "{sum} octets in {passed_ns} ns");
                }
            }
        }

        /// Whatever passes, a smaller packet in its place would have passed.
        #[test]
        fn the_smaller_the_sooner(
            used in 0_usize..100_000,
            octets in 1_usize..3000,
            less in 0_usize..3000,
        ) {
            let drained = || {
                let limit = SpeedLimit::new(10 * MBIT);
                (0..used / 40).for_each(|_| { let _ = passes(&limit, 0, 40); });
                limit
            };
            if passes(&drained(), 0, octets) {
                prop_assert!(passes(&drained(), 0, octets.saturating_sub(less).max(1)));
            }
        }
    }
}
