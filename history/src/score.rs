//! A while in one number.

use crate::sample::Sample;

/// A tenth of a line's score is left when it loses one packet in ten: `(1 - 0.1)^20` is 0.12.
const LOSS_WEIGHT: i32 = 20;
/// Mean round trip that halves the score.
const HALVING_LATENCY_US: f64 = 500_000.0;

impl Sample {
    /// How good the while was, from 0 to 100; nothing when nobody measured.
    ///
    /// The share of the time in which it was up, times `(1 - loss)^20`, times `0.5 s / (0.5 s + mean latency)`. Loss is that of
    /// the packets or of the echoes, whichever is worse. So 1 % of loss costs 18 points, 100 ms of latency 17, and a tenth of
    /// the time off-line 10.
    #[must_use]
    pub fn score(&self) -> Option<u8> {
        if self.measured_s == 0 {
            return None;
        }
        let online = 1.0 - ratio(self.offline_s.into(), self.measured_s.into());
        let lost_packets = u64::try_from(self.lost_packets).unwrap_or(0);
        let loss = ratio(lost_packets, self.settled_packets)
            .max(ratio(self.echoes_lost, self.echoes_sent));
        let latency_us = self.latency.map_or(0, |latency| latency.mean_us()) as f64;
        let nearness = HALVING_LATENCY_US / (HALVING_LATENCY_US + latency_us);
        let score = 100.0 * online * (1.0 - loss).powi(LOSS_WEIGHT) * nearness;
        // From 0 to 100, so nothing is cut off.
        Some(score.round() as u8)
    }
}

/// From 0 to 1; 0 of nothing.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    (part as f64 / whole as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::Spread;

    fn second() -> Sample {
        Sample {
            measured_s: 100,
            settled_packets: 1000,
            echoes_sent: 100,
            ..Sample::default()
        }
    }

    #[test]
    fn the_figures_of_its_documentation() {
        assert_eq!(Sample::default().score(), None);
        assert_eq!(second().score(), Some(100));
        let losing = |lost_packets| Sample {
            lost_packets,
            ..second()
        };
        assert_eq!(losing(10).score(), Some(82));
        assert_eq!(losing(100).score(), Some(12));
        assert_eq!(losing(1000).score(), Some(0));
        // More came after all than was lost.
        assert_eq!(losing(-5).score(), Some(100));
        let slow = Sample {
            latency: Some(Spread::of(100_000)),
            ..second()
        };
        assert_eq!(slow.score(), Some(83));
        let away = |offline_s| Sample {
            offline_s,
            ..second()
        };
        assert_eq!(away(10).score(), Some(90));
        assert_eq!(away(100).score(), Some(0));
    }

    fn any_while() -> impl Strategy<Value = Sample> {
        let times = (1..4000_u32, 0..4000_u32);
        let packets = (0..5000_u64, -50..5000_i64, 0..500_u64, 0..500_u64);
        (times, packets, proptest::option::of(0..5_000_000_u64)).prop_map(
            |((measured_s, offline_s), packets, latency_us)| Sample {
                measured_s,
                offline_s,
                settled_packets: packets.0,
                lost_packets: packets.1,
                echoes_sent: packets.2,
                echoes_lost: packets.3,
                latency: latency_us.map(Spread::of),
                ..Sample::default()
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_worse_never_scores_higher(sample in any_while(), more in 1..2000_u32) {
            let score = sample.score().unwrap();
            prop_assert!(score <= 100);
            let mut worse = [sample; 4];
            worse[0].lost_packets += i64::from(more);
            worse[1].echoes_lost += u64::from(more);
            worse[2].offline_s += more;
            let latency_us = sample.latency.map_or(0, |latency| latency.mean_us());
            worse[3].latency = Some(Spread::of(latency_us + u64::from(more) * 1000));
            for worse in worse {
                prop_assert!(worse.score().unwrap() <= score, "{worse:?} after {sample:?}");
            }
        }

        /// One part in a hundred of each.
        #[test]
        fn loss_weighs_most(percent in 1..20_u32) {
            let mut lossy = second();
            lossy.lost_packets = i64::from(percent) * 10;
            let mut away = second();
            away.offline_s = percent;
            prop_assert!(lossy.score() < away.score());
        }
    }
}
