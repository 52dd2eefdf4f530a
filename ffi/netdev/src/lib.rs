//! The Linux interface behind an AF_PACKET port. It belongs to the appliance: the
//! kernel may neither answer on it nor change frames before we see them.
//!
//! What it does not do: packets, addresses, routes.

mod claim;
mod device;
mod error;

pub use claim::{Claim, claim};
pub use error::Error;
