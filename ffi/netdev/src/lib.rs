//! The Linux interface behind an AF_PACKET port. It belongs to the appliance: the
//! kernel may neither answer on it nor change frames before we see them.
//!
//! Besides, what packet sockets on such interfaces may be told. What it does not do: packets, addresses, routes.

mod addresses;
mod claim;
mod device;
mod error;
mod packet_socket;

pub use claim::{Claim, claim};
pub use error::Error;
pub use packet_socket::ignore_outgoing;
