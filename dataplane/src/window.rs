//! Elimination of copies: which numbers of one epoch were delivered.
/// See the crate's design.
#[derive(Debug)]
pub struct Window {}
