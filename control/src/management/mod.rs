//! How a running appliance is asked what it does: a Unix socket, the answer as
//! JSON, and its view for people.

pub mod request;
pub mod socket;
pub mod status;
pub mod watch;
