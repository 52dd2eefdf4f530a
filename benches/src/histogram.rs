//! Numbers in buckets whose width grows with the value, so that hours of traffic take no more memory than minutes.

use std::fmt;

/// 128 buckets per power of two: a value is known to better than 1 %.
const STEPS_PER_OCTAVE_BITS: u32 = 7;
const STEPS: u64 = 1 << STEPS_PER_OCTAVE_BITS;
const BUCKETS: usize = ((64 - STEPS_PER_OCTAVE_BITS as usize) + 1) << STEPS_PER_OCTAVE_BITS;

/// A histogram: of nanoseconds, or of what else is counted.
#[derive(Clone)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    sum: u128,
    least: u64,
    most: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: vec![0; BUCKETS],
            count: 0,
            sum: 0,
            least: u64::MAX,
            most: 0,
        }
    }
}

/// Without the buckets, which are thousands.
impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, least, most) = (self.count, self.least(), self.most);
        write!(f, "{count} values, {least} to {most}")
    }
}

impl Histogram {
    pub fn record(&mut self, value: u64) {
        self.buckets[bucket(value)] += 1;
        self.count += 1;
        self.sum += u128::from(value);
        self.least = self.least.min(value);
        self.most = self.most.max(value);
    }

    pub fn least(&self) -> u64 {
        self.least.min(self.most)
    }

    pub fn most(&self) -> u64 {
        self.most
    }

    pub fn mean(&self) -> u64 {
        (self.sum / u128::from(self.count.max(1))) as u64
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// A value that `share` of all values do not exceed, 1 % above the true one at most.
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = (self.count as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return upper_bound(index).clamp(self.least(), self.most);
            }
        }
        self.most
    }

    /// Points of the cumulative distribution: a value, at most 1 % above the true one, and the share of all that do not
    /// exceed it.
    pub fn cumulative(&self) -> Vec<(u64, f64)> {
        let mut seen = 0;
        let filled = self.buckets.iter().enumerate();
        filled
            .filter(|(_, count)| **count > 0)
            .map(|(index, count)| {
                seen += count;
                let value = upper_bound(index).clamp(self.least(), self.most);
                (value, seen as f64 / self.count as f64)
            })
            .collect()
    }
}

fn bucket(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let shift = value.ilog2() - STEPS_PER_OCTAVE_BITS;
    // The leading one falls away into the octave's number.
    ((u64::from(shift) << STEPS_PER_OCTAVE_BITS) + (value >> shift)) as usize
}

fn upper_bound(index: usize) -> u64 {
    let index = index as u64;
    if index < 2 * STEPS {
        return index;
    }
    let shift = (index >> STEPS_PER_OCTAVE_BITS) - 1;
    let step = (index & (STEPS - 1)) + STEPS;
    ((u128::from(step + 1) << shift) - 1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_into_a_bucket_that_ends_little_above_it() {
        let mut previous = 0;
        for value in
            (0..2000).chain((11..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1]))
        {
            let index = bucket(value);
            assert!(index >= previous && index < BUCKETS, "{value}");
            previous = index;
            let bound = upper_bound(index);
            assert!(
                bound >= value && bound - value <= value / 128,
                "{value} {bound}"
            );
        }
        assert_eq!(upper_bound(bucket(u64::MAX)), u64::MAX);
    }

    #[test]
    fn quantiles_and_mean_of_a_known_set() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|value| histogram.record(value * 1000));
        assert_eq!((histogram.least(), histogram.most()), (1000, 1_000_000));
        assert_eq!(histogram.mean(), 500_500);
        let p99 = histogram.quantile(0.99);
        assert!((990_000..=1_000_000).contains(&p99), "{p99}");
        let half = histogram
            .cumulative()
            .into_iter()
            .find(|(value, _)| *value >= 500_000);
        let (value, share) = half.unwrap();
        assert!(
            value < 504_000 && (0.5..0.504).contains(&share),
            "{value} {share}"
        );
        assert_eq!(histogram.cumulative().last(), Some(&(1_000_000, 1.0)));
        assert_eq!(Histogram::default().quantile(0.99), 0);
        assert_eq!(Histogram::default().cumulative(), []);
    }
}
