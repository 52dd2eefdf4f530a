//! Whole workers, stepped by hand over in-process wires.

mod books;
mod forwarding;
mod malformed;
mod pieces;
mod receiving;
mod rig;
mod sending;
mod slow;
