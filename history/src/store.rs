//! Opens the file, whatever has become of it.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::InMemoryBackend;
use redb::{Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, StorageError};

use crate::codec;
use crate::live::{Counters, Graph, Live, Shared, readable};
use crate::reader::Reader;
use crate::recorder::{Book, Recorder};
use crate::suspicion;
use crate::tables::{
    BLOCKS, FACTS, FLUSHES, FORMAT, FORMAT_VERSION, NAMES, NEXT_ID, NOTES, OPEN_HOURS,
    OPEN_HUNDRED, OPEN_HUNDREDS, Sums, rows,
};
use crate::tier::Tier;

const FILE: &str = "history.redb";
/// What a damaged file is called from then on. One is kept, the last.
const DAMAGED: &str = "history.redb.damaged";
/// Pages that the store keeps at hand beside the system's cache, octets.
const CACHE_OCTETS: usize = 32 << 20;
/// The same in memory, where a page at hand is only one more copy.
const MEMORY_CACHE_OCTETS: usize = 1 << 20;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Names at a time; samples of further ones are refused.
    pub names: usize,
    /// Days for which hours are kept, the one that is not over among them.
    pub days: usize,
}

impl Limits {
    /// A year.
    pub const ON_DISK: Self = Self {
        names: 65_536,
        days: 366,
    };
    /// A week, of as many as fit a few hundred MiB.
    pub const IN_MEMORY: Self = Self {
        names: 2048,
        days: 8,
    };

    /// Blocks of a tier that are kept, the one that is not over among them.
    pub(crate) const fn blocks(self, tier: Tier) -> usize {
        match tier {
            Tier::Seconds | Tier::Hundreds => (tier.kept_s() / tier.block_s()) as usize + 1,
            Tier::Hours => self.days,
        }
    }
}

/// A store that is ready.
#[derive(Debug)]
pub struct Opened {
    pub recorder: Recorder,
    pub reader: Reader,
    /// The file that was there, when it could not be used.
    pub set_aside: Option<SetAside>,
}

/// A file that was renamed, because it is damaged or of another version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Its new name.
    pub to: PathBuf,
    pub why: String,
}

/// Why there is no store.
#[derive(Debug)]
pub enum OpenError {
    /// Another process has it open.
    Locked(PathBuf),
    /// The directory or the file cannot be made, read or written.
    Io(PathBuf, io::Error),
    /// The file is damaged, and so is the new one in its place, or it cannot be renamed.
    Damaged(PathBuf, String),
}

impl fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked(path) => write!(
                formatter,
                "{}: another process has this history open",
                path.display()
            ),
            Self::Io(path, error) => write!(formatter, "{}: {error}", path.display()),
            Self::Damaged(path, why) => {
                write!(formatter, "{}: damaged: {why}", path.display())
            }
        }
    }
}

impl std::error::Error for OpenError {}

/// Why the store could not be read or written.
#[derive(Debug)]
pub struct StoreError(Box<redb::Error>);

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        Self(Box::new(error.into()))
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// Why a file was not opened.
enum Failure {
    Locked,
    Io(io::Error),
    Unusable(String),
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        match error {
            // What the system says no to for a reason of its own, not for what the file holds.
            StorageError::Io(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::StorageFull
                        | io::ErrorKind::QuotaExceeded
                        | io::ErrorKind::FileTooLarge
                        | io::ErrorKind::PermissionDenied
                        | io::ErrorKind::ReadOnlyFilesystem
                        | io::ErrorKind::OutOfMemory
                ) =>
            {
                Self::Io(error)
            }
            error => Self::Unusable(error.to_string()),
        }
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen => Self::Locked,
            DatabaseError::Storage(error) => error.into(),
            error => Self::Unusable(error.to_string()),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match *error.0 {
            redb::Error::Io(error) => StorageError::Io(error).into(),
            error => Self::Unusable(error.to_string()),
        }
    }
}

/// Opens the history in a directory, or begins it there. The whole file is checked, which takes a second for some hundred MiB; one
/// that is damaged is set aside, and a new one begun.
///
/// # Errors
/// When the directory or the file may not be written, the disk is full, or another process has the file open.
pub fn open(directory: &Path) -> Result<Opened, OpenError> {
    let path = directory.join(FILE);
    let mut builder = DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o755)
        .create(directory)
        .map_err(|error| OpenError::Io(directory.to_owned(), error))?;
    let why = match open_file(&path) {
        Ok((recorder, reader)) => {
            return Ok(Opened {
                recorder,
                reader,
                set_aside: None,
            });
        }
        Err(Failure::Unusable(why)) => why,
        Err(failure) => return Err(refusal(path, failure)),
    };
    let to = directory.join(DAMAGED);
    fs::rename(&path, &to).map_err(|error| OpenError::Io(path.clone(), error))?;
    let (recorder, reader) = open_file(&path).map_err(|failure| refusal(path, failure))?;
    Ok(Opened {
        recorder,
        reader,
        set_aside: Some(SetAside { to, why }),
    })
}

/// A history that ends with the process.
///
/// # Errors
/// Never, unless memory cannot be had.
pub fn in_memory() -> Result<Opened, StoreError> {
    let mut builder = Database::builder();
    builder.set_cache_size(MEMORY_CACHE_OCTETS);
    let database = builder.create_with_backend(InMemoryBackend::new())?;
    let (recorder, reader) = attach(database, None, Limits::IN_MEMORY)?;
    Ok(Opened {
        recorder,
        reader,
        set_aside: None,
    })
}

fn refusal(path: PathBuf, failure: Failure) -> OpenError {
    match failure {
        Failure::Locked => OpenError::Locked(path),
        Failure::Io(error) => OpenError::Io(path, error),
        Failure::Unusable(why) => OpenError::Damaged(path, why),
    }
}

fn open_file(path: &Path) -> Result<(Recorder, Reader), Failure> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .open(path)
        .map_err(Failure::Io)?;
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => Failure::Locked,
        TryLockError::Error(error) => Failure::Io(error),
    })?;
    suspicion::arouse(&file).map_err(|error| match error {
        suspicion::Error::Io(error) => StorageError::Io(error).into(),
        suspicion::Error::Damaged(why) => Failure::Unusable(why),
    })?;
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_OCTETS);
    let database = builder.create_file(file)?;
    sync_directory(path).map_err(Failure::Io)?;
    Ok(attach(database, Some(path.to_owned()), Limits::ON_DISK)?)
}

/// A new name in a directory survives a power cut when the directory was written.
fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// Goes on with what the database holds.
pub(crate) fn attach(
    database: Database,
    path: Option<PathBuf>,
    limits: Limits,
) -> Result<(Recorder, Reader), StoreError> {
    prepare(&database)?;
    let counters = Counters::default();
    let (live, book, next_id) = load(&database, &counters)?;
    let shared = Arc::new(Shared::new(database, path, live, counters));
    let recorder = Recorder::new(Arc::clone(&shared), limits, book, next_id);
    Ok((recorder, Reader::new(shared)))
}

/// Makes what is not there, so that readers find every table but those of the open sums.
///
/// # Errors
/// As a type of another version, when the file is of one.
fn prepare(database: &Database) -> Result<(), StoreError> {
    let transaction = database.begin_write()?;
    {
        let mut facts = transaction.open_table(FACTS)?;
        let format = facts.get(FORMAT)?.map(|format| format.value());
        match format {
            None => {
                facts.insert(FORMAT, FORMAT_VERSION)?;
            }
            Some(FORMAT_VERSION) => {}
            Some(other) => {
                let text = format!("it is of format {other}; this version reads {FORMAT_VERSION}");
                return Err(StorageError::Corrupted(text).into());
            }
        }
        transaction.open_table(NAMES)?;
        transaction.open_table(BLOCKS)?;
        transaction.open_table(NOTES)?;
        for tier in Tier::ALL {
            transaction.open_table(rows(tier))?;
        }
    }
    transaction.commit()?;
    Ok(())
}

fn load(database: &Database, counters: &Counters) -> Result<(Live, Book, u32), StoreError> {
    let transaction = database.begin_read()?;
    let facts = transaction.open_table(FACTS)?;
    let fact = |name| -> Result<Option<u64>, StoreError> {
        Ok(facts.get(name)?.map(|value| value.value()))
    };
    let mut live = Live {
        flushes: fact(FLUSHES)?.unwrap_or(0),
        ..Live::default()
    };
    for row in transaction.open_table(NAMES)?.iter()? {
        let (name, row) = row?;
        let (id, seen) = row.value();
        live.ids.insert(name.value().into(), id);
        live.graphs.entry(id).or_default().seen = Some(seen);
    }
    let open = |sums: Sums, live: &mut Live, place: fn(&mut Graph) -> &mut Option<_>| {
        let table = match transaction.open_table(sums) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
            Err(error) => return Err(StoreError::from(error)),
        };
        for row in table.iter()? {
            let (id, octets) = row?;
            if let Some(graph) = live.graphs.get_mut(&id.value()) {
                *place(graph) = readable(counters, codec::decode(octets.value()));
            }
        }
        Ok(())
    };
    open(OPEN_HUNDREDS, &mut live, |graph| &mut graph.hundred)?;
    open(OPEN_HOURS, &mut live, |graph| &mut graph.hour)?;
    let mut book = Book {
        open_hundred_s: fact(OPEN_HUNDRED)?,
        ..Book::default()
    };
    let blocks = transaction.open_table(BLOCKS)?;
    for tier in Tier::ALL {
        for row in blocks.range((tier as u8, 0)..=(tier as u8, u64::MAX))? {
            let (key, start) = row?;
            book.blocks[tier as usize].push_back((key.value().1, start.value()));
        }
    }
    let next_id = fact(NEXT_ID)?.unwrap_or(0);
    Ok((live, book, u32::try_from(next_id).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests;
