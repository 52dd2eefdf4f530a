//! `hal2tp capture`: frames of a running appliance, each with what became of it,
//! as a file that Wireshark opens.
//!
//! Workers note frames and fates (`dataplane/src/capture.rs`). The thread of the
//! client's connection (`server`) takes them, puts them into order (`sweep`), finds
//! the names (`names`) and the words (`explain`), leaves out what the `filter` does
//! not want, and writes the file's octets into the management socket. The
//! command (`client`) puts them into the file. Whoever is slow loses frames, which
//! are counted, and hold up nobody. Workers take captured frames one at a time; one that does
//! not keep up lets them go as always, and they are counted as well.

pub mod client;
mod explain;
pub mod filter;
mod lease;
pub mod names;
mod packet;
mod pcapng;
mod server;
mod sweep;

use std::sync::Arc;

use dataplane::capture::CaptureSpec;
use serde::{Deserialize, Serialize};

pub(crate) use lease::Lease;
pub use names::Names;
pub(crate) use server::serve;

/// Octets that are kept of each frame if nobody says: all headers, and some more.
pub const SNAP_OCTETS: u16 = 256;

/// What somebody wants to see. Nothing named is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Names of HA sets.
    pub sets: Vec<String>,
    /// Links: names of an `outgoing` or `incoming`, or the `graph` of a session.
    pub links: Vec<String>,
    pub ports: Vec<String>,
    /// See [`filter::Filter`].
    pub filter: String,
    /// Octets of each frame.
    pub snap_octets: u16,
    /// It ends after so many frames; 0 for no end.
    pub most_packets: u64,
}

/// A capture that has begun.
#[derive(Clone, Debug)]
pub struct Capturing {
    /// Which one it is, to be named when it ends.
    pub id: u64,
    pub spec: Arc<CaptureSpec>,
    pub names: Names,
}

impl PartialEq for Capturing {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// What the last chunk of a capture says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub packets: u64,
    /// Frames that were wanted, and for which there was no room.
    pub missed_packets: u64,
    /// Why, if the client did not ask for it.
    pub because: Option<String>,
}

/// What a chunk between appliance and client holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    /// Octets of the file.
    File = 1,
    /// [`Ended`] as JSON; the last one.
    End = 2,
}

impl Chunk {
    /// Kind, and length in network order.
    const HEADER_OCTETS: usize = 5;
    /// No chunk is longer.
    const MOST_OCTETS: usize = 8 << 20;

    fn header(self, octets: usize) -> [u8; Self::HEADER_OCTETS] {
        let [l0, l1, l2, l3] = (octets as u32).to_be_bytes();
        [self as u8, l0, l1, l2, l3]
    }

    /// Kind and length; `None` when it is none of ours.
    fn parse(header: [u8; Self::HEADER_OCTETS]) -> Option<(Self, usize)> {
        let [kind, length @ ..] = header;
        let octets = u32::from_be_bytes(length) as usize;
        let kind = match kind {
            1 => Self::File,
            2 => Self::End,
            _ => return None,
        };
        (octets <= Self::MOST_OCTETS).then_some((kind, octets))
    }
}
