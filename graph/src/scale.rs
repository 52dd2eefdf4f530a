//! Scales: where they end, and how many lines lie across a picture.

use history::{Sample, Spread};

/// The numbers of the axes: from 0 by `divisions` steps, each 1, 2 or 5 times a power of ten, on either side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scales {
    pub(crate) divisions: u32,
    pub(crate) left_step: f64,
    pub(crate) right_step: f64,
}

/// So many that a percentage is a round one at each line, too.
const DIVISIONS: [u32; 3] = [4, 5, MANY];
/// Lines are in the way of the data.
const MANY: u32 = 10;
const MANY_IS_WORSE: f64 = 1.3;

impl Scales {
    /// The scales on which these values, both more than 0, take most of the height.
    pub(crate) fn over(left: f64, right: f64) -> Self {
        let all = DIVISIONS.map(|divisions| Self {
            divisions,
            left_step: step(left / f64::from(divisions)),
            right_step: step(right / f64::from(divisions)),
        });
        let height = |scales: &Self| {
            let area = scales.left_top() * scales.right_top();
            if scales.divisions == MANY {
                area * MANY_IS_WORSE
            } else {
                area
            }
        };
        let best = all
            .into_iter()
            .min_by(|one, other| height(one).total_cmp(&height(other)));
        best.expect("there are some")
    }

    pub(crate) fn left_top(&self) -> f64 {
        self.left_step * f64::from(self.divisions)
    }

    pub(crate) fn right_top(&self) -> f64 {
        self.right_step * f64::from(self.divisions)
    }
}

/// A round number that is not below; 1 for 0.
pub(crate) fn round_up(value: f64) -> f64 {
    if value > 0.0 { step(value) } else { 1.0 }
}

/// The least of 1, 2 or 5 times a power of ten that is not below.
fn step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    // A power of ten may come out a little small.
    let fitting = steps.into_iter().find(|step| *step >= least * (1.0 - 1e-9));
    fitting.unwrap_or(10.0 * power)
}

/// Up to where the latencies of these samples are worth a picture's height: their means must not lie at the bottom because each has a peak.
pub(crate) fn latency_worth_showing_us<'a>(samples: impl Iterator<Item = &'a Sample>) -> u64 {
    /// Times the usual mean.
    const PEAK: u64 = 5;
    let spreads: Vec<_> = samples.filter_map(|sample| sample.latency).collect();
    let most_us = worth_showing(spreads.iter().map(|spread| spread.most_us).collect());
    let mean_us = worth_showing(spreads.iter().map(Spread::mean_us).collect());
    match mean_us {
        0 => most_us,
        mean_us => most_us.min(mean_us.saturating_mul(PEAK)),
    }
}

/// Of some values, up to where they are worth a picture's height. What is far beyond nearly all of them is left to be marked.
fn worth_showing(mut values: Vec<u64>) -> u64 {
    /// Of so few, each is worth it.
    const FEW: usize = 10;
    /// The largest two of a hundred may be cut off,
    const USUAL_PERCENT: usize = 98;
    /// but only if they are so many times larger than the next.
    const FAR: u64 = 3;
    values.sort_unstable();
    let most = values.last().copied().unwrap_or(0);
    if values.len() < FEW {
        return most;
    }
    let usual = values[(values.len() - 1) * USUAL_PERCENT / 100];
    if most > usual.saturating_mul(FAR) && usual > 0 {
        usual
    } else {
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_one_two_or_five() {
        let least = [0.000_01, 1.0, 1.1, 2.0, 3.0, 5.1, 1000.0, 4e18];
        let steps = least.map(step);
        for (step, expected) in steps
            .into_iter()
            .zip([0.000_01, 1.0, 2.0, 2.0, 5.0, 10.0, 1000.0, 5e18])
        {
            assert!((step / expected - 1.0).abs() < 1e-9, "{step} {expected}");
        }
    }

    #[test]
    fn both_sides_take_most_of_the_height() {
        let scales = Scales::over(41.0, 93e6);
        assert_eq!(
            scales,
            Scales {
                divisions: 5,
                left_step: 10.0,
                right_step: 20e6
            }
        );
        for left in 1..200 {
            for right in 1..200 {
                let (left, right) = (f64::from(left), f64::from(right));
                let scales = Scales::over(left, right);
                let (left_part, right_part) =
                    (left / scales.left_top(), right / scales.right_top());
                assert!(left_part <= 1.0 + 1e-9 && right_part <= 1.0 + 1e-9);
                assert!(left_part * right_part >= 0.24, "{left} {right}: {scales:?}");
            }
        }
    }

    #[test]
    fn peaks_do_not_flatten_the_means() {
        let samples = [9_000, 10_000, 11_000].map(|mean_us| Sample {
            latency: Some(Spread {
                count: 1,
                total_us: mean_us,
                least_us: 1,
                most_us: 800_000,
            }),
            ..Sample::default()
        });
        assert_eq!(latency_worth_showing_us(samples.iter()), 55_000);
        let calm = samples.map(|sample| Sample {
            latency: sample.latency.map(|spread| Spread {
                most_us: 12_000,
                ..spread
            }),
            ..sample
        });
        assert_eq!(latency_worth_showing_us(calm.iter()), 12_000);
        assert_eq!(latency_worth_showing_us([Sample::default()].iter()), 0);
    }

    #[test]
    fn a_few_far_values_do_not_flatten_the_rest() {
        let usual = vec![10; 99];
        assert_eq!(worth_showing([usual.clone(), vec![900]].concat()), 10);
        assert_eq!(worth_showing([usual.clone(), vec![30]].concat()), 30);
        assert_eq!(worth_showing([usual, vec![900; 5]].concat()), 900);
        assert_eq!(worth_showing(vec![10, 900]), 900);
        assert_eq!(worth_showing(Vec::new()), 0);
    }
}
