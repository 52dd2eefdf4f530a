//! Runs of numbers that a link did not deliver.

use std::time::Duration;

use super::timeline::Timeline;

/// The numbers that a link missed last, all in a row.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: u64,
    last: u64,
    packets: u64,
    /// When the first and the last one were new; asked for when it is needed.
    began: Option<Duration>,
    until: Option<Duration>,
}

/// The longest time in which the set carried packets and a link delivered
/// none of them: from the first one that it missed to the last.
#[derive(Debug, Default)]
pub(super) struct Outages {
    run: Option<Run>,
    pub(super) longest: Duration,
    pub(super) longest_packets: u64,
}

impl Outages {
    /// A link missed `packets` numbers from `first` to `last`.
    pub(super) fn miss(&mut self, first: u64, last: u64, packets: u64) {
        match &mut self.run {
            Some(run) => {
                run.last = last;
                run.packets += packets;
                run.until = None;
            }
            None => {
                self.run = Some(Run {
                    first,
                    last,
                    packets,
                    began: None,
                    until: None,
                });
            }
        }
    }

    /// A link delivered a number, and so ended what it had missed before.
    pub(super) fn deliver(&mut self, timeline: &Timeline) {
        self.measure(timeline);
        self.run = None;
    }

    /// Measures a run that may go on, while the timeline goes back to its end.
    pub(super) fn measure(&mut self, timeline: &Timeline) {
        let Some(run) = &mut self.run else { return };
        self.longest_packets = self.longest_packets.max(run.packets);
        if run.first == run.last {
            return;
        }
        let (first, last) = (run.first, run.last);
        let began = *run.began.get_or_insert_with(|| timeline.time_of(first));
        let until = *run.until.get_or_insert_with(|| timeline.time_of(last));
        let lasted = until.saturating_sub(began);
        self.longest = self.longest.max(lasted);
    }

    /// What a link did with some numbers of a group, each a bit: `expected`
    /// were to be delivered and `delivered` came.
    pub(super) fn group(&mut self, first: u64, expected: u32, delivered: u32, timeline: &Timeline) {
        let missing = expected & !delivered;
        if missing == 0 {
            if delivered != 0 {
                self.deliver(timeline);
            }
            return;
        }
        let mut left = missing | delivered;
        while left != 0 {
            let start = left.trailing_zeros();
            // Everything up to the next number of the other kind.
            let other = if missing >> start & 1 == 1 {
                delivered
            } else {
                missing
            };
            let end = (other >> start << start).trailing_zeros();
            let run = left & below(end);
            if missing >> start & 1 == 1 {
                let last = u64::from(31 - run.leading_zeros());
                let packets = u64::from(run.count_ones());
                self.miss(first + u64::from(start), first + last, packets);
            } else {
                self.deliver(timeline);
            }
            left &= !run;
        }
    }
}

fn below(bit: u32) -> u32 {
    1_u32.checked_shl(bit).map_or(u32::MAX, |bit| bit - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Number n is new after n milliseconds.
    fn timeline() -> Timeline {
        let mut timeline = Timeline::default();
        for step in 0..=100 {
            timeline.note(Duration::from_millis(step * 10), step * 10);
        }
        timeline
    }

    #[test]
    fn a_run_over_groups_is_one() {
        let (mut outages, timeline) = (Outages::default(), timeline());
        outages.group(0, u32::MAX, 0xffff, &timeline);
        outages.group(32, u32::MAX, 0, &timeline);
        outages.measure(&timeline);
        assert_eq!(outages.longest_packets, 48);
        outages.group(64, u32::MAX, 0xffff_fff0, &timeline);
        assert_eq!(outages.longest_packets, 52);
        assert_eq!(outages.longest, Duration::from_millis(51));
        outages.group(96, u32::MAX, u32::MAX, &timeline);
        assert_eq!(outages.longest_packets, 52);
    }

    #[test]
    fn one_packet_is_no_time() {
        let (mut outages, timeline) = (Outages::default(), timeline());
        outages.group(0, u32::MAX, !4, &timeline);
        outages.deliver(&timeline);
        assert_eq!(
            (outages.longest_packets, outages.longest),
            (1, Duration::ZERO)
        );
    }

    proptest! {
        #[test]
        fn agrees_with_looking_at_each_number(
            groups in proptest::collection::vec((any::<u32>(), any::<u32>(), any::<u32>()), 1..20),
        ) {
            let (mut outages, timeline) = (Outages::default(), timeline());
            let (mut run, mut longest) = (Vec::new(), 0);
            let mut span = 0;
            for (place, (expected, thinned, more)) in (0_u64..).zip(groups) {
                // Mostly one kind, so that runs go over groups.
                let delivered = if place % 3 == 0 { thinned & more } else { 0 };
                outages.group(place * 32, expected, delivered, &timeline);
                for bit in 0..32 {
                    let number = place * 32 + bit;
                    if delivered >> bit & 1 == 1 {
                        run.clear();
                    } else if expected >> bit & 1 == 1 {
                        run.push(number);
                        longest = longest.max(run.len() as u64);
                        span = span.max(number - run[0]);
                    }
                }
            }
            outages.measure(&timeline);
            prop_assert_eq!(outages.longest_packets, longest);
            let error = outages.longest.abs_diff(Duration::from_millis(span));
            prop_assert!(error <= Duration::from_millis(1), "{:?} {}", outages.longest, span);
        }
    }
}
