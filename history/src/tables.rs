//! What lies where in the file.
//!
//! Rows are found by the number of their block, not by its time: blocks are numbered in the order in which they were begun, so
//! that what goes is what was begun longest ago, whatever the clock said. What is written together lies together.

use redb::TableDefinition;

use crate::tier::Tier;

/// Version of this arrangement, under [`FORMAT`].
pub(crate) const FORMAT_VERSION: u64 = 1;

pub(crate) const FACTS: TableDefinition<'_, &str, u64> = TableDefinition::new("facts");
pub(crate) const FORMAT: &str = "format";
/// How many times what was pending was written.
pub(crate) const FLUSHES: &str = "flushes";
/// Beginning of the 100 seconds that are not finished; its hour is the hour that is not finished.
pub(crate) const OPEN_HUNDRED: &str = "open-hundred";
/// The id of the next new name.
pub(crate) const NEXT_ID: &str = "next-id";

/// Id of each name, and the number of the last day's block in which it was seen.
pub(crate) const NAMES: TableDefinition<'_, &str, (u32, u64)> = TableDefinition::new("names");

/// The beginning of each block that is kept, by tier and number.
pub(crate) const BLOCKS: TableDefinition<'_, (u8, u64), u64> = TableDefinition::new("blocks");

/// [`crate::codec::Row`]s, by block number and id.
pub(crate) type Rows = TableDefinition<'static, (u64, u32), &'static [u8]>;
const SECONDS: Rows = TableDefinition::new("seconds");
const HUNDREDS: Rows = TableDefinition::new("hundreds");
const HOURS: Rows = TableDefinition::new("hours");

pub(crate) const fn rows(tier: Tier) -> Rows {
    match tier {
        Tier::Seconds => SECONDS,
        Tier::Hundreds => HUNDREDS,
        Tier::Hours => HOURS,
    }
}

/// Sums of what is not finished, by id.
pub(crate) type Sums = TableDefinition<'static, u32, &'static [u8]>;
/// Since the beginning of the open 100 seconds.
pub(crate) const OPEN_HUNDREDS: Sums = TableDefinition::new("open-hundreds");
/// Of the finished 100 seconds of the open hour.
pub(crate) const OPEN_HOURS: Sums = TableDefinition::new("open-hours");

/// [`crate::Note`]s, counted from 0.
pub(crate) const NOTES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("notes");
