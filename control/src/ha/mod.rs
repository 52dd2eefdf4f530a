//! HA sets: what both ends agree, and which instance of a set is current.

pub mod agreement;
pub mod books;
pub mod instance;

pub use agreement::Agreement;
pub use books::Books;
pub use instance::{SetInstance, Sets};
