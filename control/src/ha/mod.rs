//! HA sets: what both ends agree, and which instance of a set is current.

pub mod agreement;
pub mod instance;

pub use agreement::Agreement;
pub use instance::{SetInstance, Sets};
