//! The `hal2tp` command.
#![forbid(unsafe_code)]

fn main() {}
