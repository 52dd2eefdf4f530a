//! The one writer.
//!
//! Seconds wait in memory until their block of ten is over. Then one transaction writes them, the sums of the 100 seconds that
//! they belong to, and, when time has left a 100 seconds or an hour, its sum as a row. A sum leaves `open-...` in the
//! transaction that adds it to a row, so that each second counts once in each tier, whenever the process ends.

use std::collections::VecDeque;
use std::sync::Arc;

use redb::{ReadableTable as _, Table, WriteTransaction};

use crate::codec::{self, Row};
use crate::live::{Counters, Live, Shared, count, readable};
use crate::notes::{MOST_NOTES, MOST_OCTETS, Note};
use crate::sample::Sample;
use crate::store::{Limits, StoreError};
use crate::tables::{
    BLOCKS, FACTS, FLUSHES, NAMES, NEXT_ID, NOTES, OPEN_HOURS, OPEN_HUNDRED, OPEN_HUNDREDS, Sums,
    rows,
};
use crate::tier::Tier;

/// Longest name, octets.
const LONGEST_NAME: usize = 255;

/// Writes samples and notes. There is one for each store.
#[derive(Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    limits: Limits,
    book: Book,
    /// The next new name's.
    next_id: u32,
    /// Those that are not written.
    notes: Vec<Vec<u8>>,
}

/// What the recorder knows of the file beside [`Live`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    /// Number and beginning of the blocks of each tier, oldest first.
    pub(crate) blocks: [VecDeque<(u64, u64)>; 3],
    /// Beginning of the open 100 seconds.
    pub(crate) open_hundred_s: Option<u64>,
}

/// What a transaction changes of what is in memory, once it is durable.
struct Flushed {
    book: Book,
    /// The sums of each graph, and the number of the day in which it was seen.
    graphs: Vec<(u32, Open)>,
    /// Names that were not seen for as long as hours are kept.
    gone: Vec<String>,
}

/// What is open of one graph.
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    hundred: Option<Sample>,
    hour: Option<Sample>,
    seen: Option<u64>,
}

impl Recorder {
    pub(crate) fn new(shared: Arc<Shared>, limits: Limits, book: Book, next_id: u32) -> Self {
        Self {
            shared,
            limits,
            book,
            next_id,
            notes: Vec::new(),
        }
    }

    /// Records what was measured in the second `at_unix_s`, for each name. What is there for that second already is added to:
    /// a clock may be put back, or forward, and that destroys nothing.
    ///
    /// A crash loses what was recorded since the last second divisible by ten; notes are written before this returns.
    ///
    /// # Errors
    /// When the disk is full or fails. What was not written is counted as lost; a store that failed is to be opened anew.
    pub fn record<'s>(
        &mut self,
        at_unix_s: u64,
        samples: impl IntoIterator<Item = (&'s str, Sample)>,
    ) -> Result<(), StoreError> {
        let block_s = Tier::Seconds.block_of(at_unix_s);
        let before_s = self.shared.live().block_s;
        let written = if before_s == block_s {
            self.write_notes()
        } else {
            self.flush()
        };
        let place = Tier::Seconds.place_of(at_unix_s);
        let shared = Arc::clone(&self.shared);
        let mut live = shared.live_mut();
        live.block_s = block_s;
        for (name, sample) in samples {
            match self.id_of(&mut live, name) {
                Some(id) => live
                    .graphs
                    .entry(id)
                    .or_default()
                    .pending
                    .add(place, &sample),
                None => count(&shared.counters.refused_samples, 1),
            }
        }
        written
    }

    /// Notes something that concerns these names; it is written with the next [`Self::record`] or [`Self::flush`]. The newest
    /// 10 000 are kept. One longer than 16 KiB is refused, and counted.
    pub fn note(&mut self, at_unix_ms: u64, subject: &[&str], payload: &str) {
        let note = Note::encode(at_unix_ms, subject, payload);
        if note.len() > MOST_OCTETS || self.notes.len() as u64 == MOST_NOTES {
            count(&self.shared.counters.refused_notes, 1);
        } else {
            self.notes.push(note);
        }
    }

    /// Writes everything that waits.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub fn flush(&mut self) -> Result<(), StoreError> {
        let notes = self.write_notes();
        // What is pending does not wait for notes that cannot be written.
        self.write_pending()?;
        notes
    }

    fn write_pending(&mut self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let pending = {
            let live = shared.live();
            let graphs = live.graphs.values();
            graphs.map(|it| it.pending.samples().len() as u64).sum()
        };
        if pending == 0 {
            return Ok(());
        }
        let written = self.write(&shared.live());
        let mut live = shared.live_mut();
        match written {
            Ok(flushed) => {
                self.take_over(&mut live, flushed);
                Ok(())
            }
            Err(error) => {
                count(&shared.counters.lost_samples, pending);
                live.graphs.values_mut().for_each(|it| it.pending.clear());
                Err(error)
            }
        }
    }

    /// The store, when no reader is left: as a process that dies leaves it, for the next to open.
    #[cfg(test)]
    pub(crate) fn into_database(self) -> redb::Database {
        Arc::into_inner(self.shared).unwrap().database
    }

    /// The id of a name, a new one if it may have one.
    fn id_of(&mut self, live: &mut Live, name: &str) -> Option<u32> {
        if let Some(&id) = live.ids.get(name) {
            return Some(id);
        }
        let fits = (1..=LONGEST_NAME).contains(&name.len());
        if !fits || live.ids.len() >= self.limits.names {
            return None;
        }
        let id = self.next_id;
        self.next_id = id.checked_add(1)?;
        live.ids.insert(name.into(), id);
        Some(id)
    }

    fn write_notes(&mut self) -> Result<(), StoreError> {
        if self.notes.is_empty() {
            return Ok(());
        }
        let transaction = self.shared.database.begin_write()?;
        {
            let mut notes = transaction.open_table(NOTES)?;
            let next = notes.last()?.map_or(0, |(number, _)| number.value() + 1);
            for (number, note) in (next..).zip(&self.notes) {
                notes.insert(number, note.as_slice())?;
            }
            while redb::ReadableTableMetadata::len(&notes)? > MOST_NOTES {
                notes.pop_first()?;
            }
        }
        transaction.commit()?;
        self.notes.clear();
        Ok(())
    }

    /// One transaction with everything pending. What it changes here is only true when it succeeded.
    fn write(&self, live: &Live) -> Result<Flushed, StoreError> {
        let transaction = self.shared.database.begin_write()?;
        let flushed = Flush {
            transaction: &transaction,
            counters: &self.shared.counters,
            limits: self.limits,
            live,
            book: self.book.clone(),
            gone: Vec::new(),
        }
        .write()?;
        {
            let mut facts = transaction.open_table(FACTS)?;
            facts.insert(FLUSHES, live.flushes + 1)?;
            facts.insert(NEXT_ID, u64::from(self.next_id))?;
        }
        transaction.commit()?;
        Ok(flushed)
    }

    fn take_over(&mut self, live: &mut Live, flushed: Flushed) {
        self.book = flushed.book;
        live.flushes += 1;
        for (id, open) in flushed.graphs {
            let graph = live.graphs.entry(id).or_default();
            graph.pending.clear();
            graph.hundred = open.hundred;
            graph.hour = open.hour;
            graph.seen = open.seen;
        }
        for name in flushed.gone {
            if let Some(id) = live.ids.remove(name.as_str()) {
                live.graphs.remove(&id);
            }
        }
    }
}

/// One transaction that is being made.
struct Flush<'t> {
    transaction: &'t WriteTransaction,
    counters: &'t Counters,
    limits: Limits,
    live: &'t Live,
    book: Book,
    gone: Vec<String>,
}

impl Flush<'_> {
    fn write(mut self) -> Result<Flushed, StoreError> {
        let block_s = self.live.block_s;
        let hundred_s = Tier::Hundreds.start_of(block_s);
        let hour_s = Tier::Hours.start_of(block_s);
        let graphs = self.live.graphs.iter();
        let mut open: Vec<(u32, Open)> = graphs
            .map(|(&id, graph)| {
                let open = Open {
                    hundred: graph.hundred,
                    hour: graph.hour,
                    seen: graph.seen,
                };
                (id, open)
            })
            .collect();
        if let Some(before_s) = self.book.open_hundred_s.filter(|&it| it != hundred_s) {
            self.close_hundred(before_s, &mut open)?;
            if Tier::Hours.start_of(before_s) != hour_s {
                self.close_hour(Tier::Hours.start_of(before_s), &mut open)?;
            }
        }
        self.open_hundred(hundred_s)?;
        self.add_pending(&mut open)?;
        self.mark_seen(&mut open)?;
        Ok(Flushed {
            book: self.book,
            graphs: open,
            gone: self.gone,
        })
    }

    /// The 100 seconds that began then become rows, and part of the open hour.
    fn close_hundred(&mut self, start_s: u64, open: &mut [(u32, Open)]) -> Result<(), StoreError> {
        let sums = open
            .iter_mut()
            .filter_map(|(id, it)| Some((*id, it.hundred.take()?, &mut it.hour)));
        let mut closed = Vec::new();
        let mut hours = self.transaction.open_table(OPEN_HOURS)?;
        for (id, hundred, hour) in sums {
            let hour = hour.get_or_insert_default();
            hour.add(&hundred);
            hours.insert(id, codec::encode(hour).as_slice())?;
            closed.push((id, hundred));
        }
        drop(hours);
        self.add_to_rows(Tier::Hundreds, start_s, &closed)?;
        self.transaction.delete_table(OPEN_HUNDREDS)?;
        Ok(())
    }

    /// The hour that began then becomes rows.
    fn close_hour(&mut self, start_s: u64, open: &mut [(u32, Open)]) -> Result<(), StoreError> {
        let sums = open
            .iter_mut()
            .filter_map(|(id, it)| Some((*id, it.hour.take()?)));
        let closed: Vec<_> = sums.collect();
        self.add_to_rows(Tier::Hours, start_s, &closed)?;
        self.transaction.delete_table(OPEN_HOURS)?;
        Ok(())
    }

    fn open_hundred(&mut self, start_s: u64) -> Result<(), StoreError> {
        if self.book.open_hundred_s != Some(start_s) {
            self.book.open_hundred_s = Some(start_s);
            let mut facts = self.transaction.open_table(FACTS)?;
            facts.insert(OPEN_HUNDRED, start_s)?;
        }
        Ok(())
    }

    /// The seconds become rows, and part of the open 100 seconds.
    fn add_pending(&mut self, open: &mut [(u32, Open)]) -> Result<(), StoreError> {
        let (number, new) = self.block(Tier::Seconds, self.live.block_s)?;
        let mut seconds = self.transaction.open_table(rows(Tier::Seconds))?;
        let mut hundreds: Table<'_, u32, &[u8]> = open_sums(self.transaction, OPEN_HUNDREDS)?;
        let graphs = open.iter_mut().zip(self.live.graphs.values());
        let mut due: Vec<_> = graphs
            .filter(|(_, graph)| !graph.pending.is_empty())
            .collect();
        // A page that is full is cut in the middle. In the order of the ids every page would stay half empty; so 40 of 100 come
        // when the others have their places, and fill them up.
        due.sort_by_key(|((id, _), _)| id % 5 >= 3);
        for ((id, open), graph) in due {
            let key = (number, *id);
            let before = if new {
                None
            } else {
                existing(&seconds, key, self.counters)?
            };
            let octets = match before {
                Some(row) => merged(row, graph.pending.samples()).encode(),
                None => graph.pending.encode(),
            };
            seconds.insert(key, octets.as_slice())?;
            let hundred = open.hundred.get_or_insert_default();
            hundred.add(&graph.pending.sum());
            hundreds.insert(*id, codec::encode(hundred).as_slice())?;
        }
        Ok(())
    }

    /// Adds one sample a graph to the rows of its block.
    fn add_to_rows(
        &mut self,
        tier: Tier,
        start_s: u64,
        samples: &[(u32, Sample)],
    ) -> Result<(), StoreError> {
        let (number, _) = self.block(tier, tier.block_of(start_s))?;
        let place = tier.place_of(start_s);
        let mut table = self.transaction.open_table(rows(tier))?;
        for (id, sample) in samples {
            let key = (number, *id);
            let before = existing(&table, key, self.counters)?;
            let row = merged(before.unwrap_or_default(), &[(place, *sample)]);
            table.insert(key, row.encode().as_slice())?;
        }
        Ok(())
    }

    /// Writes for each name that has something pending in which day that was.
    fn mark_seen(&mut self, open: &mut [(u32, Open)]) -> Result<(), StoreError> {
        let (day, _) = self.block(Tier::Hours, Tier::Hours.block_of(self.live.block_s))?;
        let pending = |id: &u32| {
            let graph = self.live.graphs.get(id);
            graph.is_some_and(|graph| !graph.pending.is_empty())
        };
        let mut unmarked: Vec<&mut (u32, Open)> = open
            .iter_mut()
            .filter(|(id, open)| open.seen != Some(day) && pending(id))
            .collect();
        if unmarked.is_empty() {
            return Ok(());
        }
        let names = self.live.ids.iter();
        let names: std::collections::HashMap<u32, &str> =
            names.map(|(name, &id)| (id, &**name)).collect();
        let mut table = self.transaction.open_table(NAMES)?;
        for (id, open) in &mut unmarked {
            if let Some(&name) = names.get(id) {
                table.insert(name, (*id, day))?;
                open.seen = Some(day);
            }
        }
        Ok(())
    }

    /// The number of the block that begins then, and whether it is new. For a new one the oldest may have to go.
    fn block(&mut self, tier: Tier, start_s: u64) -> Result<(u64, bool), StoreError> {
        let blocks = &mut self.book.blocks[tier as usize];
        if let Some(&(number, _)) = blocks.iter().rev().find(|&&(_, start)| start == start_s) {
            return Ok((number, false));
        }
        let number = blocks.back().map_or(0, |&(last, _)| last + 1);
        blocks.push_back((number, start_s));
        let excess = blocks.len().saturating_sub(self.limits.blocks(tier));
        let oldest: Vec<(u64, u64)> = blocks.drain(..excess).collect();
        self.transaction
            .open_table(BLOCKS)?
            .insert((tier as u8, number), start_s)?;
        for (number, _) in oldest {
            self.forget(tier, number)?;
        }
        Ok((number, true))
    }

    /// Removes a block, and with a day the names that were not seen since.
    fn forget(&mut self, tier: Tier, number: u64) -> Result<(), StoreError> {
        self.transaction
            .open_table(BLOCKS)?
            .remove((tier as u8, number))?;
        let mut table = self.transaction.open_table(rows(tier))?;
        let keys = table.range((number, 0)..=(number, u32::MAX))?;
        let keys = keys.map(|row| row.map(|(key, _)| key.value()));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        for key in keys {
            table.remove(key)?;
        }
        if tier == Tier::Hours {
            self.forget_names(number)?;
        }
        Ok(())
    }

    /// Names that were last seen in this day, or before it, and have nothing pending.
    fn forget_names(&mut self, day: u64) -> Result<(), StoreError> {
        for (name, id) in &self.live.ids {
            let graph = self.live.graphs.get(id);
            let unseen = graph.is_some_and(|graph| {
                graph.pending.is_empty() && graph.seen.is_none_or(|seen| seen <= day)
            });
            if unseen {
                self.gone.push(name.to_string());
            }
        }
        let mut names = self.transaction.open_table(NAMES)?;
        let (mut hundreds, mut hours) = (
            open_sums(self.transaction, OPEN_HUNDREDS)?,
            open_sums(self.transaction, OPEN_HOURS)?,
        );
        for name in &self.gone {
            names.remove(name.as_str())?;
            if let Some(id) = self.live.ids.get(name.as_str()) {
                hundreds.remove(id)?;
                hours.remove(id)?;
            }
        }
        Ok(())
    }
}

fn open_sums(
    transaction: &WriteTransaction,
    sums: Sums,
) -> Result<Table<'_, u32, &'static [u8]>, StoreError> {
    Ok(transaction.open_table(sums)?)
}

/// The row that is there, if it can be read.
fn existing(
    table: &Table<'_, (u64, u32), &'static [u8]>,
    key: (u64, u32),
    counters: &Counters,
) -> Result<Option<Row>, StoreError> {
    let row = table.get(key)?;
    Ok(row.and_then(|octets| readable(counters, Row::decode(octets.value()))))
}

fn merged(mut row: Row, samples: &[(u8, Sample)]) -> Row {
    for (place, sample) in samples {
        row.add(*place, sample);
    }
    row
}
