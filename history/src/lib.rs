//! What was measured of links and sets: one sample a graph and second, kept for an hour, a day and a year, and what happened to
//! them.
//!
//! A [`Recorder`] writes, any number of [`Reader`]s read, in one process; [`open`] gives both. Time is passed in.
#![forbid(unsafe_code)]

mod codec;
mod live;
mod notes;
mod reader;
mod recorder;
mod sample;
mod score;
mod store;
mod suspicion;
mod tables;
mod tier;

pub use live::Counts;
pub use notes::Note;
pub use reader::Reader;
pub use recorder::Recorder;
pub use sample::{Sample, Spread};
pub use store::{Limits, OpenError, Opened, SetAside, StoreError, in_memory, open};
pub use tier::Tier;
