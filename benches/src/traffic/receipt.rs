//! Which numbers arrived, how often, when.

use std::ops::Range;
use std::time::Duration;

use super::timeline::Timeline;
use super::{FlowReport, Latency};
use crate::histogram::Histogram;

/// No flow sends as many; keeps a damaged number from asking for all memory.
const MAX_NUMBER: u64 = 1 << 32;

/// The receiver's book of one flow. Times are nanoseconds of the caller's clock.
#[derive(Default)]
pub(super) struct Receipt {
    seen: Vec<u64>,
    received: u64,
    delivered_twice: u64,
    out_of_order: u64,
    foreign: u64,
    highest: u64,
    last_new_at_ns: Option<u64>,
    longest_gap_ns: u64,
    latency: Histogram,
    timeline: Timeline,
}

impl Receipt {
    pub(super) fn new(timeline_step: Duration) -> Self {
        Self {
            timeline: Timeline::new(timeline_step),
            ..Self::default()
        }
    }

    pub(super) fn take(&mut self, number: u64, sent_at_ns: u64, now_ns: u64) {
        if number >= MAX_NUMBER {
            self.foreign += 1;
            return;
        }
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if word >= self.seen.len() {
            self.seen.resize(word + 1, 0);
        }
        if self.seen[word] & bit != 0 {
            self.delivered_twice += 1;
            return;
        }
        self.seen[word] |= bit;
        self.received += 1;
        self.out_of_order += u64::from(number < self.highest);
        self.highest = self.highest.max(number);
        let before = self.last_new_at_ns.replace(now_ns).unwrap_or(now_ns);
        self.longest_gap_ns = self.longest_gap_ns.max(now_ns.saturating_sub(before));
        let latency_ns = now_ns.saturating_sub(sent_at_ns);
        self.latency.record(latency_ns);
        self.timeline.record(sent_at_ns, latency_ns);
    }

    pub(super) fn take_foreign(&mut self) {
        self.foreign += 1;
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    pub(super) fn delivered_twice(&self) -> u64 {
        self.delivered_twice
    }

    /// The numbers below `end` that have not arrived.
    pub(super) fn missing(&self, end: u64) -> Vec<Range<u64>> {
        let mut missing: Vec<Range<u64>> = Vec::new();
        let mut number = 0;
        while number < end {
            let word = self.seen.get((number / 64) as usize).copied().unwrap_or(0);
            if word == u64::MAX {
                number = (number / 64 + 1) * 64;
                continue;
            }
            if word & (1 << (number % 64)) == 0 {
                match missing.last_mut().filter(|range| range.end == number) {
                    Some(range) => range.end += 1,
                    None => missing.push(number..number + 1),
                }
            }
            number += 1;
        }
        missing
    }

    /// `sending_ns` is from the first sending to the last.
    pub(super) fn report(&self, sent: u64, sending_ns: Range<u64>) -> FlowReport {
        // Who falls silent for good has no next arrival that would end the gap.
        let heard_ns = self.last_new_at_ns.unwrap_or(sending_ns.start);
        let silence_ns = sending_ns.end.saturating_sub(heard_ns);
        FlowReport {
            sent,
            received: self.received,
            delivered_twice: self.delivered_twice,
            out_of_order: self.out_of_order,
            longest_gap: Duration::from_nanos(self.longest_gap_ns.max(silence_ns)),
            latency: Latency {
                least: Duration::from_nanos(self.latency.least()),
                mean: Duration::from_nanos(self.latency.mean()),
                p50: Duration::from_nanos(self.latency.quantile(0.5)),
                p99: Duration::from_nanos(self.latency.quantile(0.99)),
                p999: Duration::from_nanos(self.latency.quantile(0.999)),
                most: Duration::from_nanos(self.latency.most()),
            },
            latencies: self.latency.clone(),
            timeline: self.timeline.clone(),
            missing: self.missing(sent),
            foreign: self.foreign,
            ..FlowReport::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_account_of_losses_duplicates_and_order() {
        let mut receipt = Receipt::default();
        let arrivals = [0, 1, 3, 2, 3, 3, 200, 199];
        for (time, number) in (0..).zip(arrivals) {
            receipt.take(number, time * 1000, time * 1000 + 500);
        }
        receipt.take(u64::MAX, 0, 0);
        let report = receipt.report(202, 0..7000);
        assert_eq!(report.received, 6);
        assert_eq!(report.delivered_twice, 2);
        assert_eq!(report.out_of_order, 2);
        assert_eq!(report.foreign, 1);
        assert_eq!(report.missing, [4..199, 201..202]);
        assert_eq!(report.lost(), 196);
        assert_eq!(report.lost_in(0..10), 6);
        assert_eq!(report.lost_in(198..300), 2);
        assert_eq!(report.longest_gap, Duration::from_nanos(3000));
        assert_eq!(report.latency.mean, Duration::from_nanos(500));
    }

    #[test]
    fn nothing_received_is_everything_lost_and_one_gap() {
        let report = Receipt::default().report(1000, 500..2500);
        assert_eq!(report.lost(), 1000);
        assert_eq!(report.loss(), 1.0);
        assert_eq!(report.longest_gap, Duration::from_nanos(2000));
        let report = Receipt::default().report(0, 0..0);
        assert_eq!(report.longest_gap, Duration::ZERO);
    }

    #[test]
    fn silence_until_the_last_sending_is_a_gap() {
        let mut receipt = Receipt::default();
        for (number, now_ns) in [(0, 1500), (1, 2500)] {
            receipt.take(number, now_ns - 500, now_ns);
        }
        let gap_ns = |last_ns| receipt.report(2, 1000..last_ns).longest_gap.as_nanos();
        assert_eq!(gap_ns(2000), 1000);
        assert_eq!(gap_ns(3000), 1000);
        assert_eq!(gap_ns(9000), 6500);
    }

    #[test]
    fn whole_words_are_skipped_rightly() {
        let mut receipt = Receipt::default();
        (0..192)
            .filter(|number| *number != 130)
            .for_each(|n| receipt.take(n, 0, 0));
        assert_eq!(receipt.missing(192), vec![130..131; 1]);
        assert_eq!(receipt.missing(193), [130..131, 192..193]);
        assert_eq!(receipt.missing(130), []);
    }
}
