//! Several values for a key, each once, in order.

use std::collections::btree_set::Iter;
use std::collections::{BTreeMap, BTreeSet};
use std::iter::Copied;
use std::ops::RangeInclusive;

/// An index. A key without values takes no room.
#[derive(Debug)]
pub(crate) struct Multimap<K, V>(BTreeMap<K, BTreeSet<V>>);

impl<K, V> Default for Multimap<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, V: Ord + Copy> Multimap<K, V> {
    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.0.entry(key).or_default().insert(value);
    }

    pub(crate) fn remove(&mut self, key: &K, value: V) {
        let Some(values) = self.0.get_mut(key) else {
            return;
        };
        values.remove(&value);
        if values.is_empty() {
            self.0.remove(key);
        }
    }

    /// The values of a key, the lowest first.
    pub(crate) fn of(&self, key: K) -> Copied<Iter<'_, V>> {
        let values = self.0.get(&key).map(|values| values.iter().copied());
        values.unwrap_or_default()
    }

    /// The values of several keys, in the order of the keys.
    pub(crate) fn within(&self, keys: RangeInclusive<K>) -> impl Iterator<Item = V> {
        self.0
            .range(keys)
            .flat_map(|(_, values)| values.iter().copied())
    }

    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_in_order_and_an_emptied_key_is_gone() {
        let mut map = Multimap::default();
        for value in [3, 1, 2, 3] {
            map.insert("a", value);
        }
        map.insert("b", 1);
        assert_eq!(map.within("a"..="b").collect::<Vec<_>>(), [1, 2, 3, 1]);
        assert_eq!(map.of("a").collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(map.of("c").len(), 0);
        for value in [1, 2, 3, 4] {
            map.remove(&"a", value);
        }
        assert_eq!(map.of("a").len(), 0);
        map.remove(&"b", 1);
        assert!(map.is_empty());
    }
}
