//! Octets that a worker handed to the control thread.

use std::fmt;
use std::ops::Deref;

use dpdk::Mbuf;

/// A packet or a part of one, in the buffer that it was received in. Dropping
/// it gives the buffer back to the port's pool, so it is not for keeping long.
pub struct Frame(Mbuf);

impl From<Mbuf> for Frame {
    fn from(mbuf: Mbuf) -> Self {
        Self(mbuf)
    }
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Frame({} octets)", self.0.len())
    }
}
