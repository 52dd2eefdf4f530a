//! Makes the store check a file whole before it is used.
//!
//! redb trusts a file that was closed cleanly, and panics over what is not as it left it; a panic ends an appliance, each time it
//! is started anew. It checks a file whole, by the checksums that every page has, when it finds it was not closed cleanly. So a
//! file is marked as not closed cleanly before it is opened, and what no checksum covers, its first 64 octets, is looked at here.
//! Where things lie there, and what they mean: redb's `docs/design.md`, format version 3.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";
/// Flags.
const GOD_OCTET: usize = 9;
const RECOVERY_REQUIRED: u8 = 2;
/// The newest commit slot is trusted without its checksum.
const TWO_PHASE_COMMIT: u8 = 4;
const PAGE_SIZE: usize = 12;
const REGION_HEADER_PAGES: usize = 16;
const REGION_DATA_PAGES: usize = 20;
const FULL_REGIONS: usize = 24;
const TRAILING_PAGES: usize = 28;
/// Versions of the two commit slots.
const SLOT_VERSIONS: [usize; 2] = [64, 192];
const HEADER_OCTETS: usize = 320;

/// What the store writes there: it cannot be changed.
const VERSION: u8 = 3;
const PAGE_OCTETS: u64 = 4096;
const PAGES_OF_REGION: u64 = 1 << 20;

pub(crate) enum Error {
    Io(io::Error),
    Damaged(String),
}

/// Marks a file as not closed cleanly. A new, empty one is left alone.
///
/// # Errors
/// When the file cannot be read or written, or its beginning is not what the store writes.
pub(crate) fn arouse(file: &File) -> Result<(), Error> {
    let length = file.metadata().map_err(Error::Io)?.len();
    if length == 0 {
        return Ok(());
    }
    let damaged = |what: &str| Err(Error::Damaged(what.to_owned()));
    if length < PAGE_OCTETS {
        return damaged("the file is cut off in its first page");
    }
    let mut header = [0; HEADER_OCTETS];
    file.read_exact_at(&mut header, 0).map_err(Error::Io)?;
    let number = |at: usize| {
        let octets = [header[at], header[at + 1], header[at + 2], header[at + 3]];
        u64::from(u32::from_le_bytes(octets))
    };
    if !header.starts_with(&MAGIC) {
        return damaged("the file does not begin like a history");
    }
    if SLOT_VERSIONS.iter().any(|&at| header[at] != VERSION) {
        return damaged("the file is of another version of the store");
    }
    let regions = [PAGE_SIZE, REGION_HEADER_PAGES, REGION_DATA_PAGES].map(number);
    if regions != [PAGE_OCTETS, 0, PAGES_OF_REGION] || number(TRAILING_PAGES) >= PAGES_OF_REGION {
        return damaged("the file's header is damaged");
    }
    let pages = 1 + number(FULL_REGIONS) * PAGES_OF_REGION + number(TRAILING_PAGES);
    // It may be longer: space that was asked for when the power failed.
    if pages < 2 || length < pages * PAGE_OCTETS || !length.is_multiple_of(PAGE_OCTETS) {
        return damaged("the file is not as long as it says");
    }
    let flags = (header[GOD_OCTET] | RECOVERY_REQUIRED) & !TWO_PHASE_COMMIT;
    file.write_all_at(&[flags], GOD_OCTET as u64)
        .map_err(Error::Io)
}
