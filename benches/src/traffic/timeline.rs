//! Latency over time, in steps.

use std::time::Duration;

/// A flow of hours in steps of a millisecond would take no more steps than this; later ones are left out.
const MOST_STEPS: usize = 1 << 20;

/// What a flow's packets took, by when they were sent.
#[derive(Clone, Debug)]
pub struct Timeline {
    step: Duration,
    /// When the first packet that arrived was sent, nanoseconds of the sender's clock.
    start_ns: Option<u64>,
    steps: Vec<Step>,
}

/// The packets sent in one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// How many of them arrived.
    pub packets: u64,
    pub latency_sum: Duration,
    pub longest_latency: Duration,
}

impl Step {
    /// `None` when no packet of the step arrived.
    pub fn mean_latency(&self) -> Option<Duration> {
        let packets = u32::try_from(self.packets).unwrap_or(u32::MAX);
        self.latency_sum.checked_div(packets)
    }
}

impl Default for Timeline {
    fn default() -> Self {
        Self::new(Duration::from_millis(100))
    }
}

impl Timeline {
    pub(super) fn new(step: Duration) -> Self {
        Self {
            step: step.max(Duration::from_micros(1)),
            start_ns: None,
            steps: Vec::new(),
        }
    }

    pub(super) fn record(&mut self, sent_at_ns: u64, latency_ns: u64) {
        let start_ns = *self.start_ns.get_or_insert(sent_at_ns);
        // What was sent before the first arrival and came after it belongs to the first step.
        let since_ns = u128::from(sent_at_ns.saturating_sub(start_ns));
        let index = (since_ns / self.step.as_nanos()) as usize;
        if index >= MOST_STEPS {
            return;
        }
        if index >= self.steps.len() {
            self.steps.resize(index + 1, Step::default());
        }
        let (step, latency) = (&mut self.steps[index], Duration::from_nanos(latency_ns));
        step.packets += 1;
        step.latency_sum += latency;
        step.longest_latency = step.longest_latency.max(latency);
    }

    /// Each step with when it began, counted from the first packet.
    pub fn steps(&self) -> impl Iterator<Item = (Duration, &Step)> {
        (0..)
            .zip(&self.steps)
            .map(|(index, step)| (self.step * index, step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_fall_into_the_step_in_which_they_were_sent() {
        let mut timeline = Timeline::new(Duration::from_millis(1));
        for (sent_at_us, latency_us) in [(5_000, 10), (5_999, 30), (7_000, 50), (4_000, 20)] {
            timeline.record(sent_at_us * 1000, latency_us * 1000);
        }
        let us = Duration::from_micros;
        let steps: Vec<_> = timeline
            .steps()
            .map(|(at, step)| (at, step.packets, step.mean_latency(), step.longest_latency))
            .collect();
        let expected = [
            (us(0), 3, Some(us(20)), us(30)),
            (us(1000), 0, None, us(0)),
            (us(2000), 1, Some(us(50)), us(50)),
        ];
        assert_eq!(steps, expected);
    }
}
