//! What each link and set did in the last minute.

use std::collections::HashMap;

use history::Sample;

use super::reading::Reading;

/// Readings that are added up before the next block begins.
const READINGS_A_BLOCK: u64 = 5;
/// Blocks of a minute, the one that is being filled among them.
const BLOCKS: usize = 12;

/// Adds up the last 60 readings of every graph. A minute moves on by five readings at a time: it spans 56 to 60 of
/// them, and costs a twelfth of the memory that a minute to the second would.
#[derive(Debug, Default)]
pub(super) struct Minutes {
    /// Times that readings came.
    turn: u64,
    /// Those of the last readings, in their order.
    graphs: Vec<(String, Box<Minute>)>,
}

#[derive(Debug, Default)]
struct Minute {
    blocks: [Sample; BLOCKS],
    /// Of all blocks but the one that is being filled.
    earlier: Sample,
}

impl Minutes {
    /// Takes the readings of a second, and gives the minute of each in their order. Graphs without a reading are forgotten.
    pub(super) fn add(&mut self, readings: &[Reading]) -> Vec<Sample> {
        let begins = self.turn.is_multiple_of(READINGS_A_BLOCK);
        let block = (self.turn / READINGS_A_BLOCK) as usize % BLOCKS;
        self.turn += 1;
        self.follow(readings);
        let minutes = self.graphs.iter_mut().zip(readings);
        let minutes = minutes.map(|((_, minute), reading)| {
            if begins {
                minute.begin(block);
            }
            minute.add(block, &reading.sample)
        });
        minutes.collect()
    }

    /// Has the graphs be those of the readings. They mostly are: a set may come, or another configuration.
    fn follow(&mut self, readings: &[Reading]) {
        let known = self.graphs.iter().map(|(graph, _)| graph);
        if known.eq(readings.iter().map(|reading| &reading.graph)) {
            return;
        }
        let mut known: HashMap<String, Box<Minute>> = self.graphs.drain(..).collect();
        let graphs = readings.iter().map(|reading| {
            let minute = known.remove(&reading.graph).unwrap_or_default();
            (reading.graph.clone(), minute)
        });
        self.graphs = graphs.collect();
    }
}

impl Minute {
    fn begin(&mut self, block: usize) {
        self.blocks[block] = Sample::default();
        self.earlier = Sample::default();
        for block in &self.blocks {
            self.earlier.add(block);
        }
    }

    /// Adds a reading to the block that is being filled, and gives the sum of all.
    fn add(&mut self, block: usize, reading: &Sample) -> Sample {
        self.blocks[block].add(reading);
        let mut sum = self.earlier;
        sum.add(&self.blocks[block]);
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use history::Spread;
    use proptest::prelude::*;

    fn reading(graph: &str, number: u64) -> Reading {
        Reading {
            graph: graph.to_owned(),
            sample: Sample {
                measured_s: 1,
                settled_packets: number,
                lost_packets: number as i64 / 7,
                latency: (!number.is_multiple_of(3)).then(|| Spread::of(number)),
                ..Sample::default()
            },
        }
    }

    proptest! {
        /// Against the sum of all readings that it should span.
        #[test]
        fn a_minute_is_the_sum_of_its_readings(numbers in prop::collection::vec(0u64..1000, 1..200)) {
            let mut minutes = Minutes::default();
            for (turn, &number) in numbers.iter().enumerate() {
                let sums = minutes.add(&[reading("other", 1), reading("head1", number)]);
                let spanned = if turn < 60 { turn + 1 } else { 56 + turn % 5 };
                let mut expected = Sample::default();
                for &number in &numbers[turn + 1 - spanned..=turn] {
                    expected.add(&reading("head1", number).sample);
                }
                prop_assert_eq!(sums[1], expected, "turn {}", turn);
                prop_assert_eq!(sums[0].measured_s as usize, spanned);
            }
        }
    }

    #[test]
    fn a_graph_that_went_away_begins_anew() {
        let mut minutes = Minutes::default();
        minutes.add(&[reading("a", 5), reading("b", 6)]);
        minutes.add(&[reading("b", 6)]);
        assert_eq!(minutes.graphs.len(), 1);
        let sums = minutes.add(&[reading("b", 6), reading("a", 5)]);
        assert_eq!((sums[0].measured_s, sums[1].measured_s), (3, 1));
        // In another order they are the same.
        let sums = minutes.add(&[reading("a", 5), reading("b", 6)]);
        assert_eq!((sums[0].measured_s, sums[1].measured_s), (2, 4));
        assert_eq!((sums[0].settled_packets, sums[1].settled_packets), (10, 24));
    }
}
