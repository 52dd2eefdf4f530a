//! The appliance by HTTP: what it does as JSON, as metrics and as a stream of events; and the actions there are.
//!
//! A thread of its own, `http`, serves all clients by a runtime with one thread. What is shown is taken from the monitor's
//! board, and written once for all who ask (`documents`). Reading is open to whoever reaches the addresses, which are
//! loopback ones unless the configuration says otherwise; actions need the token (`guard`). A client that is slow, or asks
//! for too much, costs a bounded amount of memory and is left in the end (`limits`, `connection`).

mod answer;
mod connection;
mod documents;
mod graphs;
mod guard;
mod handler;
mod limits;
mod metrics;
mod page;
mod query;
mod routes;
mod server;
mod stream;
mod token;

pub use server::{Server, Sources, StartError};
pub use token::TokenError;

#[cfg(test)]
mod tests;
