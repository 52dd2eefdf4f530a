//! Cutting a packet into pieces that every link of a set carries.
//!
//! Not fragmentation: the pieces are octets of the packet and nothing else,
//! so DF does not matter, and hosts see no trace of it. The pieces of a packet
//! are about equally long, so that they leave room for a link that turns out
//! a little smaller than it said.

use std::ops::Range;

use crate::reassembly::{MAX_PIECES, Place};

/// The least that a member of a set must carry, inner octets: what an IPv4
/// link of 576 octets (RFC 791, 3.1) leaves beside our headers. A packet of
/// the largest size is then cut into no more than [`MAX_PIECES`], the first of
/// which holds any header.
pub const MIN_MEMBER_MTU: u16 = 576 - 50;

/// The largest packet that a set may present, octets.
pub const MAX_SET_MTU: u16 = 9600;

const _: () = assert!(MAX_SET_MTU as usize <= MAX_PIECES * MIN_MEMBER_MTU as usize);

/// One piece of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub place: Place,
    pub range: Range<usize>,
}

/// The pieces of one packet, in order.
#[derive(Clone, Debug)]
pub struct Pieces {
    piece_octets: usize,
    rest: Range<usize>,
}

/// Cuts a packet of so many octets into pieces of `mtu` octets at most. `None`
/// when it fits whole, when it takes more than [`MAX_PIECES`], and when nothing
/// is carried at all.
#[inline]
#[must_use]
pub fn split(packet_octets: usize, mtu: u16) -> Option<Pieces> {
    let count = match usize::from(mtu) {
        0 => return None,
        mtu => packet_octets.div_ceil(mtu),
    };
    (2..=MAX_PIECES).contains(&count).then(|| Pieces {
        piece_octets: packet_octets.div_ceil(count),
        rest: 0..packet_octets,
    })
}

impl Iterator for Pieces {
    type Item = Piece;

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.rest.len().div_ceil(self.piece_octets);
        (count, Some(count))
    }

    fn next(&mut self) -> Option<Piece> {
        let Range { start, end } = self.rest;
        if start == end {
            return None;
        }
        let cut = end.min(start + self.piece_octets);
        self.rest.start = cut;
        let place = match (start, cut == end) {
            (0, _) => Place::First,
            (_, true) => Place::Last,
            _ => Place::Middle,
        };
        Some(Piece {
            place,
            range: start..cut,
        })
    }
}

impl ExactSizeIterator for Pieces {}
