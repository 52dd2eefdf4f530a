//! The highest rate at which nothing is lost (RFC 2544, 26.1), by trials at ever closer rates.
//!
//! A source is slowed down by a number of steps before each frame; what rate that makes is measured in every trial and
//! never assumed.

/// Of a search, at most.
const MAX_TRIALS: usize = 14;
/// A passing and a failing rate are as close as that when the search ends.
const RESOLUTION: f64 = 1.03;
/// How much faster the next trial is when nothing failed yet, or what failed is far off.
const STEP: f64 = 1.05;

/// What was offered for a while, and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Trial {
    pub(super) pace: u32,
    /// Frames that the source had, whether the wire took them or not.
    pub(super) offered: u64,
    /// Of these, what the wire had no room for.
    pub(super) refused: u64,
    /// Of what the wire took, what did not come out, in frames on one of the ways.
    pub(super) lost: u64,
    /// Frames that the source had, a second.
    pub(super) offered_pps: f64,
    /// Frames that came out, a second.
    pub(super) delivered_pps: f64,
}

impl Trial {
    /// Of what was offered.
    pub(super) fn loss(&self) -> f64 {
        if self.offered == 0 {
            return 1.0;
        }
        (self.refused + self.lost) as f64 / self.offered as f64
    }
}

/// Where a search begins, and what a step costs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) pace: u32,
    /// What one step of the pace adds to the time between two frames.
    pub(super) step_ns: f64,
    pub(super) tolerance: f64,
}

/// Finds the quickest pace that passes: its trial, if there is one. Pace 0 is the source's own speed.
pub(super) fn quickest<E>(
    start: Start,
    mut trial: impl FnMut(u32) -> Result<Trial, E>,
) -> Result<Option<Trial>, E> {
    let (mut passed, mut failed): (Option<Trial>, Option<Trial>) = (None, None);
    let mut failures = 0;
    let mut pace = start.pace;
    for _ in 0..MAX_TRIALS {
        let made = trial(pace)?;
        if made.loss() <= start.tolerance {
            passed = Some(made);
        } else {
            failed = Some(made);
            failures += 1;
        }
        let Some(next) = next(start.step_ns, passed, failed, failures) else {
            break;
        };
        pace = next;
    }
    Ok(passed)
}

/// The pace of the next trial; none when passing and failing are close.
fn next(step_ns: f64, passed: Option<Trial>, failed: Option<Trial>, failures: u32) -> Option<u32> {
    match (passed, failed) {
        (Some(passed), None) if passed.pace == 0 => None,
        (Some(passed), None) => Some(quicker(step_ns, passed)),
        (None, Some(failed)) => {
            // Ever larger steps: something else than the rate is at work then.
            let step = STEP.powi(1 << (failures - 1).min(4));
            let wanted = (0.98 * failed.delivered_pps).min(failed.offered_pps / step);
            Some(at_rate(step_ns, failed, wanted).max(failed.pace + 1))
        }
        (Some(passed), Some(failed)) => {
            if passed.pace <= failed.pace + 1
                || failed.offered_pps < passed.offered_pps * RESOLUTION
            {
                return None;
            }
            let middle = failed.pace.midpoint(passed.pace);
            Some(middle.max(quicker(step_ns, passed)))
        }
        (None, None) => None,
    }
}

fn quicker(step_ns: f64, passed: Trial) -> u32 {
    at_rate(step_ns, passed, passed.offered_pps * STEP).min(passed.pace.saturating_sub(1))
}

/// The pace that makes a rate, judged by that of another.
fn at_rate(step_ns: f64, known: Trial, pps: f64) -> u32 {
    let more_ns = 1e9 / pps.max(1.0) - 1e9 / known.offered_pps.max(1.0);
    (f64::from(known.pace) + more_ns / step_ns).round().max(0.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Start = Start {
        pace: 0,
        step_ns: 0.8,
        tolerance: 1e-4,
    };

    /// A source with 70 ns for a frame, and a device that takes so many a second.
    fn device(pace: u32, limit_pps: f64) -> Trial {
        let offered_pps = 1e9 / (70.0 + 0.85 * f64::from(pace));
        let offered = (offered_pps / 10.0) as u64;
        let delivered_pps = offered_pps.min(limit_pps);
        Trial {
            pace,
            offered,
            refused: offered - offered.min((limit_pps / 10.0) as u64),
            lost: 0,
            offered_pps,
            delivered_pps,
        }
    }

    fn found(start: Start, limit_pps: f64) -> (Trial, usize) {
        let mut trials = 0;
        let found = quickest(start, |pace| {
            trials += 1;
            Ok::<_, ()>(device(pace, limit_pps))
        });
        (found.unwrap().unwrap(), trials)
    }

    #[test]
    fn comes_close_to_the_limit_in_few_trials() {
        for limit_pps in [0.3e6, 1e6, 4e6, 9e6, 13.9e6] {
            let known = (1e9 / limit_pps - 70.0) / 0.85;
            for pace in [0.0, 0.9 * known, known, 1.1 * known] {
                let pace = pace as u32;
                let (trial, trials) = found(Start { pace, ..START }, limit_pps);
                let is_close = trial.offered_pps > limit_pps / RESOLUTION / 1.01;
                let passes = trial.offered_pps <= limit_pps * 1.0002;
                assert!(is_close && passes, "{limit_pps} {pace} {trial:?}");
                assert!(trials < 10, "{limit_pps} {pace}: {trials}");
            }
        }
    }

    #[test]
    fn a_device_as_quick_as_the_source_takes_one_trial() {
        let (trial, trials) = found(START, 20e6);
        assert_eq!((trial.pace, trials), (0, 1));
    }

    #[test]
    fn a_device_that_always_loses_has_no_rate() {
        let lossy = |pace| {
            let trial = device(pace, 1e6);
            Ok::<_, ()>(Trial {
                lost: trial.offered / 2,
                ..trial
            })
        };
        assert_eq!(quickest(START, lossy), Ok(None));
    }

    #[test]
    fn refused_and_lost_frames_are_both_losses() {
        let trial = Trial {
            offered: 1000,
            refused: 3,
            lost: 2,
            ..Trial::default()
        };
        assert!((trial.loss() - 0.005).abs() < 1e-12);
        assert!((Trial::default().loss() - 1.0).abs() < 1e-12);
    }
}
