//! What an emulated ISP does to frames, as a pure, seeded function of time: the inside of the WAN emulator, and the
//! links of the simulations.
//!
//! - [`impairment`]: the settings of one direction of a link, and the words for them.
//! - [`path`]: one direction of a link.
//! - [`ha_frame`]: which frames are copies of an HA set, and which are reports.

#![forbid(unsafe_code)]

pub mod ha_frame;
pub mod impairment;
pub mod path;
