//! The server as its clients meet it, over real connections.

mod appliance;
mod client;
mod connections;
mod dashboard;
mod documents;
mod openapi;
mod schema;
mod secrets;
mod stream;

pub(super) use openapi::status;
