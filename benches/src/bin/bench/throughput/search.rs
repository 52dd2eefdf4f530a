//! The highest rate at which nothing is lost (RFC 2544, 26.1), by trials at ever closer rates.
//!
//! A source is slowed down by a number of steps before each frame; what rate that makes is measured in every trial and
//! never assumed.

/// Of a search, at most.
const MAX_TRIALS: usize = 14;
/// A passing and a failing rate are as close as that when the search ends.
const RESOLUTION: f64 = 1.03;
/// How much faster the trial after one that passed is. The step doubles with each more that passes in a row, so that a
/// search which begins far below the limit gets there; slower ones after failures do the same.
const STEP: f64 = 1.05;
const MOST_DOUBLINGS: u32 = 4;
/// Of what came out at a rate that failed, what ought to pass.
const BELOW_LIMIT: f64 = 0.98;

/// How often the last trial is made at most, each time slower by this share of the rate, which doubles.
pub(super) const LAST_TRIALS: u32 = 5;
pub(super) const SLOWER: f64 = 0.04;

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
    /// Frames that the wire took, a second.
    pub(super) accepted_pps: f64,
    /// Frames that came out, a second; over the same time as those that the wire took.
    pub(super) delivered_pps: f64,
}

/// What a trial that passes may show at most, as shares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) loss: f64,
    pub(super) behind: f64,
}

impl Trial {
    pub(super) fn passes(&self, limits: Limits) -> bool {
        self.loss() <= limits.loss && self.behind() <= limits.behind
    }

    /// Of what the wire took each second, what did not come out: what a ring of thousands of frames hides for a while.
    pub(super) fn behind(&self) -> f64 {
        1.0 - self.delivered_pps / self.accepted_pps.max(1.0)
    }

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
    pub(super) limits: Limits,
}

/// How far a search is.
#[derive(Clone, Copy, Debug, Default)]
struct Bracket {
    /// The quickest one.
    passed: Option<Trial>,
    /// The slowest one.
    failed: Option<Trial>,
    /// In a row, up to now.
    passes: u32,
    /// Of all trials.
    failures: u32,
}

/// Finds the quickest pace that passes: its trial, if there is one. Pace 0 is the source's own speed.
pub(super) fn quickest<E>(
    start: Start,
    mut trial: impl FnMut(u32) -> Result<Trial, E>,
) -> Result<Option<Trial>, E> {
    let mut bracket = Bracket::default();
    let mut pace = start.pace;
    for _ in 0..MAX_TRIALS {
        let made = trial(pace)?;
        if made.passes(start.limits) {
            bracket.passed = Some(made);
            bracket.passes += 1;
        } else {
            bracket.failed = Some(made);
            bracket.passes = 0;
            bracket.failures += 1;
        }
        let Some(next) = bracket.next(start.step_ns) else {
            break;
        };
        pace = next;
    }
    Ok(bracket.passed)
}

/// The last trial at the pace that was found, or at a slower one when it fails.
pub(super) fn confirmed<E>(
    start: Start,
    found: Trial,
    mut trial: impl FnMut(u32) -> Result<Trial, E>,
) -> Result<Option<Trial>, E> {
    let mut pace = found.pace;
    for failures in 0..LAST_TRIALS {
        let made = trial(pace)?;
        if made.passes(start.limits) {
            return Ok(Some(made));
        }
        let share = SLOWER * f64::from(1 << failures);
        pace += (share * 1e9 / found.offered_pps / start.step_ns).ceil() as u32;
    }
    Ok(None)
}

/// A trial that passes, or the last that was made. One that failed by little, which something else than the rate may
/// have done, is made again.
pub(super) fn repeated<E>(
    limits: Limits,
    repeatable: Limits,
    attempts: usize,
    mut trial: impl FnMut() -> Result<Trial, E>,
) -> Result<Trial, E> {
    let mut made = trial()?;
    for _ in 1..attempts {
        if made.passes(limits) || !made.passes(repeatable) {
            break;
        }
        made = trial()?;
    }
    Ok(made)
}

impl Bracket {
    /// The pace of the next trial; none when passing and failing are close.
    fn next(self, step_ns: f64) -> Option<u32> {
        match (self.passed, self.failed) {
            (Some(passed), None) if passed.pace == 0 => None,
            (Some(passed), None) => Some(self.quicker(step_ns, passed)),
            (None, Some(failed)) => {
                // Ever larger steps: something else than the rate is at work then.
                let step = step(self.failures);
                let wanted = (BELOW_LIMIT * failed.delivered_pps).min(failed.offered_pps / step);
                Some(at_rate(step_ns, failed, wanted).max(failed.pace + 1))
            }
            (Some(passed), Some(failed)) => {
                if passed.pace <= failed.pace + 1
                    || failed.offered_pps < passed.offered_pps * RESOLUTION
                {
                    return None;
                }
                // What failed is far off, and says what would not.
                let wanted = BELOW_LIMIT * failed.delivered_pps;
                if wanted > passed.offered_pps * RESOLUTION && wanted < failed.offered_pps / STEP {
                    return Some(between(failed, passed, wanted));
                }
                let middle = failed.pace.midpoint(passed.pace);
                Some(middle.max(self.quicker(step_ns, passed)))
            }
            (None, None) => None,
        }
    }

    fn quicker(self, step_ns: f64, passed: Trial) -> u32 {
        let pps = passed.offered_pps * step(self.passes);
        at_rate(step_ns, passed, pps).min(passed.pace.saturating_sub(1))
    }
}

/// [`STEP`], doubled as a power with each trial in a row that ended in the same way.
fn step(trials: u32) -> f64 {
    STEP.powi(1 << trials.saturating_sub(1).min(MOST_DOUBLINGS))
}

/// The pace that makes a rate between two others, whose paces are not neighbours.
fn between(quick: Trial, slow: Trial, pps: f64) -> u32 {
    let frame_ns = |pps: f64| 1e9 / pps.max(1.0);
    let [quick_ns, slow_ns] = [quick, slow].map(|it| frame_ns(it.offered_pps));
    let share = (frame_ns(pps) - quick_ns) / (slow_ns - quick_ns);
    let pace = f64::from(quick.pace) + share * f64::from(slow.pace - quick.pace);
    (pace.round() as u32).clamp(quick.pace + 1, slow.pace - 1)
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
        limits: Limits {
            loss: 1e-4,
            behind: 0.01,
        },
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
            accepted_pps: delivered_pps,
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
    fn a_search_that_begins_far_below_the_limit_ends_at_it() {
        for (limit_pps, begins_at) in [(1e6, 0.6), (4e6, 0.25), (9e6, 0.1)] {
            let pace = ((1e9 / (begins_at * limit_pps) - 70.0) / 0.85) as u32;
            let (trial, trials) = found(Start { pace, ..START }, limit_pps);
            let is_close = trial.offered_pps > limit_pps / RESOLUTION / 1.01;
            assert!(is_close && trials < MAX_TRIALS, "{trials} {trial:?}");
        }
    }

    /// At twice the limit, which a ring hides.
    #[test]
    fn what_a_ring_hides_is_behind() {
        let hidden = |pace| {
            let trial = device(pace, 20e6);
            Ok::<_, ()>(Trial {
                delivered_pps: trial.offered_pps.min(4e6),
                ..trial
            })
        };
        let found = quickest(START, hidden).unwrap().unwrap();
        assert!(found.loss() == 0.0 && found.behind() <= 0.01);
        let is_close = found.offered_pps > 4e6 / RESOLUTION / 1.01;
        assert!(is_close && found.offered_pps < 4.05e6, "{found:?}");
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
    fn what_is_not_confirmed_is_tried_slower_in_growing_steps() {
        let found = device(100, 20e6);
        let confirm = |limit_pps: f64| {
            let mut frame_ns = Vec::new();
            let last = confirmed(START, found, |pace| {
                let trial = device(pace, limit_pps);
                frame_ns.push(1e9 / trial.offered_pps);
                Ok::<_, ()>(trial)
            });
            (last.unwrap(), frame_ns)
        };
        let (last, frame_ns) = confirm(20e6);
        assert_eq!((last, frame_ns.len()), (Some(found), 1));

        let limit_pps = 0.8 * found.offered_pps;
        let (last, frame_ns) = confirm(limit_pps);
        assert!(last.unwrap().offered_pps <= limit_pps * 1.0002);
        assert_eq!(frame_ns.len(), 4, "4, 12 and 28 %");

        let (last, frame_ns) = confirm(1.0);
        assert_eq!((last, frame_ns.len()), (None, LAST_TRIALS as usize));
        let slower = frame_ns[4] / frame_ns[0] - 1.0;
        assert!((0.6..0.66).contains(&slower), "{slower}");
    }

    #[test]
    fn a_trial_that_fails_by_little_is_made_again_and_no_other() {
        let repeatable = Limits {
            loss: 0.25,
            behind: 0.25,
        };
        let trials = |refused: &[u64], attempts| {
            let mut made = 0;
            let trial = repeated(START.limits, repeatable, attempts, || {
                made += 1;
                Ok::<_, ()>(Trial {
                    offered: 1000,
                    refused: refused[made - 1],
                    accepted_pps: 1e6,
                    delivered_pps: 1e6,
                    ..Trial::default()
                })
            });
            (trial.unwrap().refused, made)
        };
        assert_eq!(trials(&[0], 3), (0, 1));
        assert_eq!(trials(&[10, 200, 0], 3), (0, 3));
        assert_eq!(trials(&[10, 20, 30], 3), (30, 3));
        assert_eq!(trials(&[300], 3), (300, 1), "that is the rate");
        assert_eq!(trials(&[10, 300], 3), (300, 2));
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
