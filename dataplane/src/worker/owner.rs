//! What one worker does for all, of the sets that it owns, whichever links and
//! workers the copies came by: putting together the packets that came in
//! pieces, then ordering (`order`).

use dpdk::{Mbuf, Mempool};

use crate::counters::Drop;
use crate::reassembly::{Key, Place};

use super::Worker;
use super::candidates::Candidate;
use super::inbox::Handed;

/// Bursts taken from the other workers between two looks at the ports.
const BURSTS_PER_POLL: usize = 8;

/// A piece that waits for the others of its packet.
pub(super) struct Piece(Candidate);

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.0.packet
    }
}

impl Worker {
    /// Carries on with a first copy where its set's owner is to do it.
    pub(super) fn hand_to_owner(&mut self, copy: Candidate) {
        let Some(set) = self.tables.set(copy.set) else {
            self.io.drop(copy.port.into(), Drop::UnknownSession);
            return;
        };
        let owner = set.spec.owner;
        if self.mail.is_own(owner) {
            self.own(copy);
            return;
        }
        self.hand_over(owner, Handed::Copy(copy));
    }

    /// Hands something over with the next [`Self::send_mail`].
    pub(super) fn hand_over(&mut self, worker: usize, handed: Handed) {
        let refused = &mut self.refused;
        self.mail
            .send(worker, handed, |handed| refused.push(handed));
        self.carry_on_refused();
    }

    /// Hands over what is for other workers.
    pub(super) fn send_mail(&mut self) {
        let refused = &mut self.refused;
        self.mail.send_all(|handed| refused.push(handed));
        if !self.refused.is_empty() {
            self.take_back_refused();
        }
    }

    #[cold]
    #[inline(never)]
    fn take_back_refused(&mut self) {
        self.carry_on_refused();
        self.number_all();
    }

    /// What another worker has no room for: a whole packet leaves out of order,
    /// with the rest nobody else can do anything.
    fn carry_on_refused(&mut self) {
        if self.refused.is_empty() {
            return;
        }
        let looked_at = self.io.witness.look_away();
        let mut refused = std::mem::take(&mut self.refused);
        for handed in refused.drain(..) {
            match handed {
                Handed::Copy(copy) if copy.place.is_none() => self.deliver(copy),
                other => self.io.drop(other.port(), Drop::HandOverFull),
            }
        }
        self.refused = refused;
        self.io.witness.look_back(looked_at);
    }

    /// Takes what other workers handed over, and looks at what waits too long.
    pub(super) fn receive_mail(&mut self) -> usize {
        let mut work = 0;
        for _ in 0..BURSTS_PER_POLL {
            let Some(mut burst) = self.mail.receive() else {
                break;
            };
            work += burst.len();
            for handed in burst.drain(..) {
                let port = handed.port();
                match handed {
                    Handed::Copy(copy) => self.own(copy),
                    Handed::Fragment(fragment) => self.take_fragment(fragment),
                }
                self.eliminate(port);
            }
            self.mail.give_back(burst);
        }
        self.expire_fragments();
        work += self.check_order();
        if work > 0 {
            self.send_mail();
            self.number_all();
        }
        if !self.reassembly.is_empty() {
            let io = &self.io;
            self.reassembly.expire(io.now, &mut |Piece(piece), reason| {
                io.drop(piece.port.into(), reason);
            });
        }
        work
    }

    /// A first copy of a set that this worker owns.
    fn own(&mut self, copy: Candidate) {
        match copy.place {
            None => self.in_order(copy, 1),
            Some(place) => self.piece(copy, place),
        }
    }

    fn piece(&mut self, copy: Candidate, place: Place) {
        let key = Key {
            set: copy.set,
            epoch: copy.epoch,
            number: copy.number,
        };
        let mut whole = std::mem::take(&mut self.whole);
        let io = &self.io;
        let number = copy.number;
        let refuse = &mut |Piece(piece): Piece, reason| {
            // Older ones, which it takes the room of, have a fate of their own.
            let looked_at = (piece.number != number).then(|| io.witness.look_away());
            io.drop(piece.port.into(), reason);
            io.witness.look_back(looked_at.flatten());
        };
        let now = io.now;
        if self
            .reassembly
            .insert(now, key, place, Piece(copy), &mut whole, refuse)
        {
            self.put_together(&mut whole);
        }
        whole.clear();
        self.whole = whole;
    }

    /// Makes one packet of its pieces, which are in order, and lets it go on.
    fn put_together(&mut self, pieces: &mut Vec<Piece>) {
        let count = pieces.len() as u64;
        let octets = pieces.iter().map(|piece| piece.as_ref().len()).sum();
        let mut rest = pieces.drain(..);
        let Some(Piece(mut first)) = rest.next() else {
            return;
        };
        let Some(packet) = joined(&self.copies, first.packet, octets, rest.by_ref()) else {
            drop(rest);
            self.io.drop_many(first.port.into(), Drop::NoBuffer, count);
            return;
        };
        drop(rest);
        first.packet = packet;
        first.place = None;
        if let Some(set) = self.tables.set(first.set) {
            let counters = &set.counters;
            counters.reassembled_packets.add(1);
            counters.reassembled_pieces.add(count);
            counters.delivered_packets.add(1);
            counters.delivered_octets.add(octets as u64);
        }
        self.in_order(first, count);
    }
}

/// The first piece with the others behind it, in its own buffer if they fit,
/// else in a fresh one; `None` when there is none.
fn joined(
    copies: &Mempool,
    mut first: Mbuf,
    octets: usize,
    rest: impl Iterator<Item = Piece>,
) -> Option<Mbuf> {
    if first.tailroom() < octets - first.len() {
        let mut fresh = copies.alloc()?;
        if !fresh.extend_from_slice(&first) {
            return None;
        }
        first = fresh;
    }
    for piece in rest {
        if !first.extend_from_slice(piece.as_ref()) {
            return None;
        }
    }
    Some(first)
}
