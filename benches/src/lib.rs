//! Test equipment of hal2tp: what stands around two appliances when they are shown or tested on one machine.
//!
//! - [`impairment`] and [`path`]: what an emulated ISP does to frames, as a pure, seeded function of time.
//! - [`ha_frame`]: which frames are copies of an HA set, and which are reports.
//! - [`frame_socket`], [`wan`]: the emulator itself (binary `wan`), which carries Ethernet frames between two Linux interfaces.
//! - [`lab`]: two sites with their LAN hosts and uplinks in network namespaces, and everything that can be done to them.
//! - [`traffic`], [`transfer`], [`ping`]: what the LAN hosts send each other, and what arrived.
//!
//! It knows nothing of how an appliance works inside: it starts one, reads its status and looks at frames.

#![forbid(unsafe_code)]

pub mod emulator;
pub mod frame_socket;
pub mod ha_frame;
pub mod impairment;
pub mod lab;
pub mod netns;
pub mod path;
pub mod ping;
pub mod status;
pub mod traffic;
pub mod transfer;
pub mod wan;
