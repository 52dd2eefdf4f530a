//! Wire formats of the data path.
