//! What was measured of links and sets: one sample a graph and second.
#![forbid(unsafe_code)]

mod sample;

pub use sample::{Sample, Spread};
