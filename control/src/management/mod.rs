//! How a running appliance is asked what it does: a Unix socket, the answer as
//! JSON, and its views for people.

pub mod drawing;
pub mod drops;
pub mod events;
pub mod history;
pub mod reload;
pub mod request;
pub mod screen;
pub mod socket;
pub mod span;
pub mod status;
mod table;
pub mod watch;
