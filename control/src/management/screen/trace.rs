//! The last minutes of a link or a set, second by second, for sparklines.

use std::collections::VecDeque;

use history::Sample;

/// Seconds that are kept.
pub(super) const KEPT: usize = 180;
/// More seconds than that between two looks leave a hole; fewer are no more than looks that came early or late.
const MOST_S: u32 = 3;

/// A second, or several of them together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Point {
    /// Part of the copies, or of the echoes where there are no copies, that was lost.
    pub(super) loss: Option<f32>,
    pub(super) latency_us: Option<u32>,
    pub(super) sent_bit_s: u64,
    pub(super) received_bit_s: u64,
    pub(super) offline: bool,
}

impl Point {
    fn of(sample: &Sample) -> Self {
        let per_s = |octets: u64| octets.saturating_mul(8) / u64::from(sample.measured_s.max(1));
        Self {
            loss: loss(sample),
            latency_us: sample
                .latency
                .map(|it| u32::try_from(it.mean_us()).unwrap_or(u32::MAX)),
            sent_bit_s: per_s(sample.sent_octets),
            received_bit_s: per_s(sample.received_octets),
            offline: sample.offline_s > 0,
        }
    }

    /// The worst of both.
    fn with(self, other: Self) -> Self {
        let more = |one: Option<f32>, other: Option<f32>| match (one, other) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        };
        Self {
            loss: more(self.loss, other.loss),
            latency_us: self.latency_us.max(other.latency_us),
            sent_bit_s: self.sent_bit_s.max(other.sent_bit_s),
            received_bit_s: self.received_bit_s.max(other.received_bit_s),
            offline: self.offline || other.offline,
        }
    }
}

/// Part of what was sent that did not arrive.
fn loss(sample: &Sample) -> Option<f32> {
    let part = |lost: u64, of: u64| (of > 0).then(|| lost.min(of) as f32 / of as f32);
    let lost = u64::try_from(sample.lost_packets).unwrap_or(0);
    part(lost, sample.settled_packets).or_else(|| part(sample.echoes_lost, sample.echoes_sent))
}

/// The last [`KEPT`] seconds; nothing where it is not known.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace(VecDeque<Option<Point>>);

impl Trace {
    pub(super) fn add(&mut self, sample: &Sample) {
        if sample.measured_s > MOST_S {
            let hole = (sample.measured_s as usize - 1).min(KEPT);
            (0..hole).for_each(|_| self.push(None));
        }
        self.push(Some(Point::of(sample)));
    }

    fn push(&mut self, point: Option<Point>) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(point);
    }

    /// The last seconds in so many columns, `seconds` in each, the newest last; the worst of a column stands for it.
    /// Columns hold the same seconds from one second to the next, so the picture moves without flickering: `now` is
    /// the number of the newest second.
    pub(super) fn columns(&self, columns: usize, seconds: usize, now: u64) -> Vec<Option<Point>> {
        let seconds = seconds.max(1);
        let mut out = vec![None; columns];
        // Seconds of the newest column that have not come yet.
        let ahead = seconds - 1 - (now % seconds as u64) as usize;
        for (age, point) in self.0.iter().rev().enumerate() {
            let Some(column) = columns.checked_sub(1 + (age + ahead) / seconds) else {
                break;
            };
            if let Some(point) = point {
                out[column] = Some(out[column].map_or(*point, |it: Point| it.with(*point)));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use history::Spread;

    use super::*;

    fn second(latency_us: u64) -> Sample {
        Sample {
            measured_s: 1,
            latency: Some(Spread::of(latency_us)),
            ..Sample::default()
        }
    }

    fn latencies(columns: Vec<Option<Point>>) -> Vec<Option<u32>> {
        let latency = |point: Option<Point>| point.and_then(|it| it.latency_us);
        columns.into_iter().map(latency).collect()
    }

    #[test]
    fn columns_hold_the_same_seconds_as_time_goes_on() {
        let mut trace = Trace::default();
        let mut shown = Vec::new();
        for now in 1..=7 {
            trace.add(&second(now * 10));
            shown.push(latencies(trace.columns(3, 3, now)));
        }
        // The seconds 0 to 2, 3 to 5 and 6 to 8 are one column each.
        assert_eq!(shown[1], [None, None, Some(20)]);
        assert_eq!(shown[2], [None, Some(20), Some(30)]);
        assert_eq!(shown[4], [None, Some(20), Some(50)]);
        assert_eq!(shown[6], [Some(20), Some(50), Some(70)]);
        assert_eq!(trace.columns(0, 3, 7), []);
    }

    #[test]
    fn no_more_is_kept_than_is_shown() {
        let mut trace = Trace::default();
        (0..1000).for_each(|at| trace.add(&second(at)));
        assert_eq!(trace.0.len(), KEPT);
        let shown = latencies(trace.columns(KEPT + 5, 1, 999));
        assert_eq!(shown[4], None);
        assert_eq!((shown[5], shown[KEPT + 4]), (Some(820), Some(999)));
    }

    #[test]
    fn seconds_that_nobody_saw_are_a_hole() {
        let mut trace = Trace::default();
        trace.add(&second(1));
        let late = Sample {
            measured_s: 3,
            ..second(2)
        };
        trace.add(&late);
        let away = Sample {
            measured_s: 5,
            ..second(3)
        };
        trace.add(&away);
        let shown = latencies(trace.columns(7, 1, 0));
        let hole = [None; 4];
        assert_eq!(shown, [&[Some(1), Some(2)], &hole[..], &[Some(3)]].concat());
        trace.add(&Sample {
            measured_s: u32::MAX,
            ..second(4)
        });
        assert_eq!(trace.0.len(), KEPT);
    }

    #[test]
    fn loss_is_of_copies_or_of_echoes() {
        let sample = Sample {
            echoes_sent: 2,
            echoes_lost: 1,
            ..Sample::default()
        };
        assert_eq!(loss(&sample), Some(0.5));
        let carrying = Sample {
            settled_packets: 10,
            lost_packets: 1,
            ..sample
        };
        assert_eq!(loss(&carrying), Some(0.1));
        let taken_back = Sample {
            lost_packets: -4,
            ..carrying
        };
        assert_eq!(loss(&taken_back), Some(0.0));
        assert_eq!(loss(&Sample::default()), None);
    }
}
