//! The tiers beside a list of all samples.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::codec::tests::any_sample;

const NAMES: [&str; 3] = ["a", "b", "set/A/192.0.2.1"];

#[derive(Clone, Debug)]
enum Step {
    /// So many seconds later, samples of some names.
    Later(u64, Vec<(usize, Sample)>),
    /// The clock is put to another time, near one of a few.
    Jump(u64),
    Flush,
    /// The process dies and is started anew.
    Crash,
}

/// What was lost may come back, so that a sum at its limit would depend on the order.
fn ordinary_sample() -> impl Strategy<Value = Sample> {
    any_sample().prop_map(|sample| Sample {
        lost_packets: sample.lost_packets >> 16,
        ..sample
    })
}

fn step() -> impl Strategy<Value = Step> {
    let later = prop_oneof![8 => Just(1), 3 => 0..15_u64, 1 => 80..130_u64];
    let samples = proptest::collection::vec((0..NAMES.len(), ordinary_sample()), 0..4);
    let anchors = prop_oneof![
        Just(0),
        Just(90),
        Just(3590),
        Just(86_390),
        Just(20 * 86_400),
        Just(u64::MAX / 2)
    ];
    prop_oneof![
        40 => (later, samples).prop_map(|(later, samples)| Step::Later(later, samples)),
        2 => anchors.prop_map(Step::Jump),
        1 => Just(Step::Flush),
        2 => Just(Step::Crash),
    ]
}

/// Everything that was recorded.
#[derive(Default)]
struct Oracle {
    durable: Vec<(u64, usize, Sample)>,
    waiting: Vec<(u64, usize, Sample)>,
}

impl Oracle {
    fn record(&mut self, at_s: u64, samples: &[(usize, Sample)]) {
        let block = |at: u64| at / 10;
        if self
            .waiting
            .last()
            .is_some_and(|it| block(it.0) != block(at_s))
        {
            self.flush();
        }
        let samples = samples.iter();
        self.waiting
            .extend(samples.map(|&(name, it)| (at_s, name, it)));
    }

    fn flush(&mut self) {
        self.durable.append(&mut self.waiting);
    }

    fn rows(&self, name: usize, step_s: u64) -> Vec<(u64, Sample)> {
        let mut rows: BTreeMap<u64, Sample> = BTreeMap::new();
        let all = self.durable.iter().chain(&self.waiting);
        for (at_s, _, sample) in all.filter(|it| it.1 == name) {
            rows.entry(at_s / step_s * step_s).or_default().add(sample);
        }
        rows.into_iter().collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_tiers_say_what_a_list_of_all_samples_says(steps in proptest::collection::vec(step(), 1..60)) {
        let (mut recorder, mut reader) = new(Limits::ON_DISK);
        let mut oracle = Oracle::default();
        let mut now_s = BASE_S;
        for step in steps {
            match step {
                Step::Later(later_s, samples) => {
                    now_s += later_s;
                    let named = samples.iter().map(|(name, sample)| (NAMES[*name], *sample));
                    recorder.record(now_s, named).unwrap();
                    oracle.record(now_s, &samples);
                }
                Step::Jump(to_s) => now_s = BASE_S + to_s,
                Step::Flush => {
                    recorder.flush().unwrap();
                    oracle.flush();
                }
                Step::Crash => {
                    (recorder, reader) = again(recorder, reader, Limits::ON_DISK);
                    oracle.waiting.clear();
                }
            }
        }
        for tier in Tier::ALL {
            for (number, name) in NAMES.iter().enumerate() {
                let rows = reader.rows(name, tier, EVER).unwrap();
                prop_assert_eq!(rows, oracle.rows(number, tier.step_s()), "{:?} {}", tier, name);
            }
        }
        prop_assert_eq!(reader.counts(), Counts::default());
    }
}
