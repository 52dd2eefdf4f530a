//! What the recorder and the readers have in common.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use redb::Database;

use crate::codec::Row;
use crate::sample::Sample;

/// The store, and what is not in it yet.
pub(crate) struct Shared {
    pub(crate) database: Database,
    /// The file, unless everything is in memory.
    pub(crate) path: Option<PathBuf>,
    live: RwLock<Live>,
    pub(crate) counters: Counters,
}

/// What is in memory.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// As many times as what was pending here was written. The file's own count says whether it has what is pending here.
    pub(crate) flushes: u64,
    /// Beginning of the block of seconds that everything pending is of.
    pub(crate) block_s: u64,
    pub(crate) ids: HashMap<Box<str>, u32>,
    pub(crate) graphs: BTreeMap<u32, Graph>,
}

/// One name.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// The seconds that are not written.
    pub(crate) pending: Row,
    /// As the file has them: of the open 100 seconds, and of the finished ones of the open hour.
    pub(crate) hundred: Option<Sample>,
    pub(crate) hour: Option<Sample>,
    /// Number of the last day's block that the file has of it.
    pub(crate) seen: Option<u64>,
}

/// Counted since the store was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) refused_samples: AtomicU64,
    pub(crate) refused_notes: AtomicU64,
    pub(crate) lost_samples: AtomicU64,
    pub(crate) damaged_rows: AtomicU64,
}

/// What did not go as it should since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Samples of new names beyond the limit, or of names that are empty or too long.
    pub refused_samples: u64,
    /// Notes that are too long.
    pub refused_notes: u64,
    /// Samples that could not be written.
    pub lost_samples: u64,
    /// Rows, sums and notes that were met and are of another version, or damaged; one may be met more than once.
    pub damaged_rows: u64,
}

impl Shared {
    pub(crate) const fn new(
        database: Database,
        path: Option<PathBuf>,
        live: Live,
        counters: Counters,
    ) -> Self {
        Self {
            database,
            path,
            live: RwLock::new(live),
            counters,
        }
    }

    /// Nothing is half done when a holder panics: what is here is changed in one go.
    pub(crate) fn live(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn live_mut(&self) -> RwLockWriteGuard<'_, Live> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("path", &self.path)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl Counters {
    pub(crate) fn read(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            refused_samples: read(&self.refused_samples),
            refused_notes: read(&self.refused_notes),
            lost_samples: read(&self.lost_samples),
            damaged_rows: read(&self.damaged_rows),
        }
    }
}

pub(crate) fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// What these octets say; counted when they say nothing.
pub(crate) fn readable<T, E>(counters: &Counters, read: Result<T, E>) -> Option<T> {
    if read.is_err() {
        count(&counters.damaged_rows, 1);
    }
    read.ok()
}
