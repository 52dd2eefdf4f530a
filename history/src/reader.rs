//! Reads beside the recorder.

use std::collections::BTreeMap;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use redb::{ReadTransaction, ReadableDatabase as _, ReadableTable as _};

use crate::codec::{self, Row};
use crate::live::{Counts, Shared, readable};
use crate::notes::Note;
use crate::sample::Sample;
use crate::store::StoreError;
use crate::tables::{
    BLOCKS, FACTS, FLUSHES, NOTES, OPEN_HOURS, OPEN_HUNDRED, OPEN_HUNDREDS, Sums, rows,
};
use crate::tier::Tier;

/// Reads what was recorded, the last second too. Any number of clones may read at a time; none holds the recorder up.
#[derive(Clone, Debug)]
pub struct Reader(Arc<Shared>);

/// What there is of one graph at one moment.
struct Snapshot<'s> {
    shared: &'s Shared,
    transaction: ReadTransaction,
    id: u32,
    /// Seconds that the transaction does not see, and the beginning of their block.
    pending: Row,
    block_s: u64,
}

impl Reader {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// The names that something is known of, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let live = self.0.live();
        let mut names: Vec<String> = live.ids.keys().map(|name| name.to_string()).collect();
        names.sort_unstable();
        names
    }

    /// How many names something is known of.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.live().ids.len()
    }

    /// The samples of a graph whose time overlaps the range, each with its beginning, oldest first. Of what is not finished, the
    /// sample says what is known so far; a while of which nothing is known has none.
    ///
    /// # Errors
    /// When the disk fails. Of an unknown name there are no samples.
    pub fn rows(
        &self,
        name: &str,
        tier: Tier,
        range_s: Range<u64>,
    ) -> Result<Vec<(u64, Sample)>, StoreError> {
        let Some(snapshot) = self.snapshot(name)? else {
            return Ok(Vec::new());
        };
        let wanted = |start_s: u64| {
            start_s < range_s.end && start_s.saturating_add(tier.step_s()) > range_s.start
        };
        let mut samples = BTreeMap::new();
        snapshot.finished(tier, &range_s, &mut samples)?;
        snapshot.open(tier, &mut samples)?;
        samples.retain(|&start_s, _| wanted(start_s));
        Ok(samples.into_iter().collect())
    }

    /// What was noted, of everything or of one name, the newest first, at most `most` of them.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn notes(&self, name: Option<&str>, most: usize) -> Result<Vec<Note>, StoreError> {
        let transaction = self.0.database.begin_read()?;
        let table = transaction.open_table(NOTES)?;
        let mut notes = Vec::new();
        for row in table.iter()?.rev() {
            if notes.len() == most {
                break;
            }
            let (_, octets) = row?;
            let note = readable(&self.0.counters, Note::decode(octets.value()));
            let concerns = |note: &Note| {
                name.is_none_or(|name| note.subject.iter().any(|subject| subject == name))
            };
            notes.extend(note.filter(concerns));
        }
        Ok(notes)
    }

    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.counters.read()
    }

    /// What the file takes on disk; none in memory, or when it cannot be asked.
    #[must_use]
    pub fn file_octets(&self) -> Option<u64> {
        let metadata = std::fs::metadata(self.0.path.as_ref()?).ok()?;
        // Of 512 octets (stat(2)). The file is longer: space is asked for in large steps.
        Some(metadata.blocks() * 512)
    }

    /// The store and what is pending, of one moment.
    fn snapshot(&self, name: &str) -> Result<Option<Snapshot<'_>>, StoreError> {
        let live = self.0.live();
        let Some(&id) = live.ids.get(name) else {
            return Ok(None);
        };
        let transaction = self.0.database.begin_read()?;
        let facts = transaction.open_table(FACTS)?;
        let flushes = facts.get(FLUSHES)?.map_or(0, |flushes| flushes.value());
        // Between its commit and the moment at which the recorder clears what was pending, both have it.
        let unwritten = flushes == live.flushes;
        let pending = live.graphs.get(&id).map(|graph| &graph.pending);
        Ok(Some(Snapshot {
            shared: &self.0,
            id,
            pending: pending.filter(|_| unwritten).cloned().unwrap_or_default(),
            block_s: live.block_s,
            transaction,
        }))
    }
}

impl Snapshot<'_> {
    /// What lies in rows, of the blocks that overlap the range.
    fn finished(
        &self,
        tier: Tier,
        range_s: &Range<u64>,
        samples: &mut BTreeMap<u64, Sample>,
    ) -> Result<(), StoreError> {
        let blocks = self.transaction.open_table(BLOCKS)?;
        let table = self.transaction.open_table(rows(tier))?;
        let tier_number = tier as u8;
        for block in blocks.range((tier_number, 0)..=(tier_number, u64::MAX))? {
            let (key, start) = block?;
            let (number, block_s) = (key.value().1, start.value());
            if block_s >= range_s.end || block_s.saturating_add(tier.block_s()) <= range_s.start {
                continue;
            }
            let Some(octets) = table.get((number, self.id))? else {
                continue;
            };
            let row = readable(&self.shared.counters, Row::decode(octets.value()));
            add_row(samples, tier, block_s, &row.unwrap_or_default());
        }
        Ok(())
    }

    /// What is not finished: it is in the sums and pending.
    fn open(&self, tier: Tier, samples: &mut BTreeMap<u64, Sample>) -> Result<(), StoreError> {
        if tier == Tier::Seconds {
            add_row(samples, tier, self.block_s, &self.pending);
            return Ok(());
        }
        let facts = self.transaction.open_table(FACTS)?;
        let hundred_s = facts.get(OPEN_HUNDRED)?.map(|start| start.value());
        if let Some(hundred_s) = hundred_s {
            let hour = self.sum(OPEN_HOURS)?.filter(|_| tier == Tier::Hours);
            for sum in [hour, self.sum(OPEN_HUNDREDS)?].into_iter().flatten() {
                add(samples, tier.start_of(hundred_s), &sum);
            }
        }
        if !self.pending.is_empty() {
            add(samples, tier.start_of(self.block_s), &self.pending.sum());
        }
        Ok(())
    }

    fn sum(&self, sums: Sums) -> Result<Option<Sample>, StoreError> {
        let table = match self.transaction.open_table(sums) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let octets = table.get(self.id)?;
        Ok(
            octets
                .and_then(|octets| readable(&self.shared.counters, codec::decode(octets.value()))),
        )
    }
}

fn add(samples: &mut BTreeMap<u64, Sample>, start_s: u64, sample: &Sample) {
    samples.entry(start_s).or_default().add(sample);
}

fn add_row(samples: &mut BTreeMap<u64, Sample>, tier: Tier, block_s: u64, row: &Row) {
    for (place, sample) in row.samples() {
        let start_s = block_s.saturating_add(u64::from(*place) * tier.step_s());
        add(samples, start_s, sample);
    }
}
