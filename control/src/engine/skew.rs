//! The skew of a link over the last seconds.

use std::time::Duration;

use dataplane::skew::Histogram;

use super::link::Link;

/// The figures go back by one or two of these.
const MARK_PERIOD: Duration = Duration::from_secs(5);

/// What was measured on a link, in all and lately.
#[derive(Debug, Default)]
pub(super) struct LinkSkew {
    total: Histogram,
    /// What was measured up to one or two periods ago, the older first.
    marks: [Histogram; 2],
    next_mark: Duration,
}

impl LinkSkew {
    /// Takes what was measured so far.
    fn update(&mut self, now: Duration, total: Histogram) {
        if now >= self.next_mark {
            self.next_mark = now + MARK_PERIOD;
            self.marks.swap(0, 1);
            self.marks[1] = std::mem::take(&mut self.total);
        }
        self.total = total;
    }

    #[must_use]
    pub(super) fn total(&self) -> &Histogram {
        &self.total
    }

    /// Of the last seconds or, when nothing was measured in them, of all time.
    #[must_use]
    pub(super) fn live(&self) -> Histogram {
        let live = self.total.since(&self.marks[0]);
        if live.count() > 0 {
            live
        } else {
            self.total.clone()
        }
    }
}

impl Link {
    /// Takes what the workers have measured.
    pub(super) fn update_skew(&mut self, now: Duration) {
        let mut total = Histogram::default();
        for arrivals in &self.spec.arrivals {
            arrivals.skew.add_to(&mut total);
        }
        self.skew.get_or_insert_default().update(now, total);
    }
}

/// How far the second quickest link is behind the first copies in 99 of 100
/// cases, µs; `None` when there are not two that were measured.
#[must_use]
pub(super) fn next_best_us<'a>(links: impl Iterator<Item = &'a Link>) -> Option<u64> {
    let mut live: Vec<(u64, u64)> = links
        .filter_map(|link| {
            let live = link.skew.as_ref()?.live();
            Some((live.mean_ns()?, live.p99_ns()?))
        })
        .collect();
    live.sort_unstable();
    // A figure of zero says that there is none.
    live.get(1).map(|&(_, p99_ns)| (p99_ns / 1000).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataplane::skew::Skew;

    #[test]
    fn what_is_long_past_does_not_count_for_now() {
        let measured = Skew::default();
        let total = || {
            let mut total = Histogram::default();
            measured.add_to(&mut total);
            total
        };
        let mut skew = LinkSkew::default();
        for second in 0..30 {
            let of_now = if second < 15 { 50_000_000 } else { 5_000_000 };
            measured.note(of_now);
            skew.update(Duration::from_secs(second), total());
            let live = skew.live();
            assert!(live.count() <= 10, "{live:?} after {second} s");
        }
        assert_eq!(skew.live().mean_ns(), Some(5_000_000));
        assert_eq!(skew.total().count(), 30);
        for second in 30..60 {
            skew.update(Duration::from_secs(second), total());
        }
        assert_eq!(
            skew.live().count(),
            30,
            "nothing new: the figures of before"
        );
    }
}
