//! Packets that wait for a neighbour.

use std::collections::{BTreeMap, VecDeque};

use super::Key;

/// Packets that may wait for one address.
const PER_ADDRESS: usize = 64;
/// Packets that may wait for all addresses together.
const TOTAL: usize = 1024;

/// Waiting packets, in the order of their arrival. When there are too many,
/// the oldest goes.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// By a rising number, so that the first is the oldest.
    packets: BTreeMap<u64, (Key, Vec<u8>)>,
    numbers: BTreeMap<Key, VecDeque<u64>>,
    next_number: u64,
}

impl Queue {
    /// Adds a packet. Returns whether another had to make room.
    pub(super) fn push(&mut self, key: Key, packet: Vec<u8>) -> bool {
        let number = self.next_number;
        self.next_number += 1;
        self.packets.insert(number, (key, packet));
        let waiting = self.numbers.entry(key).or_default();
        waiting.push_back(number);
        let oldest = if waiting.len() > PER_ADDRESS {
            waiting.front().copied()
        } else if self.packets.len() > TOTAL {
            self.packets.keys().next().copied()
        } else {
            None
        };
        oldest.is_some_and(|number| self.drop_oldest(number))
    }

    /// Takes all that waits for a neighbour.
    pub(super) fn take(&mut self, key: Key) -> Vec<Vec<u8>> {
        let numbers = self.numbers.remove(&key).unwrap_or_default();
        let packets = numbers
            .into_iter()
            .filter_map(|number| self.packets.remove(&number));
        packets.map(|(_, packet)| packet).collect()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(
            self.packets.len(),
            self.numbers.values().map(VecDeque::len).sum::<usize>()
        );
        self.packets.len()
    }

    /// Drops the packet of this number, the first of its address.
    fn drop_oldest(&mut self, number: u64) -> bool {
        let Some((key, _)) = self.packets.remove(&number) else {
            return false;
        };
        if let Some(waiting) = self.numbers.get_mut(&key) {
            waiting.pop_front();
            if waiting.is_empty() {
                self.numbers.remove(&key);
            }
        }
        true
    }
}
