//! Packets of one burst on their way into sets: they wait until the burst is
//! through, so that all that go to one set take their numbers at once.

use dpdk::{BURST, Burst, Mbuf};

use crate::command::SetId;
use crate::counters::Drop;
use crate::transform::split;

use super::{Worker, keep};

/// What waits, in order.
pub(super) struct Outgoing {
    pub(super) packets: Burst,
    /// Of each packet, where it goes.
    pub(super) sets: [SetId; BURST],
    /// Of each packet, what the HA header says of pieces.
    pub(super) flags: [u8; BURST],
}

impl Outgoing {
    pub(super) fn new() -> Self {
        Self {
            packets: Burst::new(),
            sets: [SetId(0); BURST],
            flags: [0; BURST],
        }
    }

    /// The places of pieces, as bits.
    #[inline(always)]
    pub(super) fn pieces(&self) -> u32 {
        // Behind what waits are flags of earlier bursts.
        if self.flags == [0; BURST] {
            0
        } else {
            self.find_pieces()
        }
    }

    #[cold]
    #[inline(never)]
    fn find_pieces(&self) -> u32 {
        let places = self.flags.iter().enumerate();
        let pieces = places.map(|(place, &flags)| u32::from(flags != 0) << place);
        pieces.fold(0, |pieces, piece| pieces | piece)
    }

    #[inline(always)]
    fn room(&self) -> usize {
        BURST - self.packets.len()
    }

    /// Adds a packet or a piece. Gives it back when there is no room.
    #[inline(always)]
    fn push(&mut self, set: SetId, packet: Mbuf, flags: u8) -> Result<(), Mbuf> {
        let place = self.packets.len() % BURST;
        self.packets.push(packet)?;
        self.sets[place] = set;
        self.flags[place] = flags;
        Ok(())
    }
}

/// Places that hold this set, a bit for each.
#[inline(always)]
pub(super) fn places(sets: &[SetId; BURST], set: SetId) -> u32 {
    simd::places(&sets.map(|set| set.0), set.0)
}

impl Worker {
    /// Keeps a packet until its burst is through. One that is larger than
    /// `whole_mtu` is cut first.
    #[inline(always)]
    pub(super) fn stage(&mut self, set: SetId, packet: Mbuf, whole_mtu: u16, source: usize) {
        if packet.len() > usize::from(whole_mtu) {
            if let Err(reason) = self.stage_pieces(set, packet, whole_mtu) {
                self.io.drop(source, reason);
            }
            return;
        }
        self.stage_whole(set, packet);
    }

    /// The same for a packet that fits.
    #[inline(always)]
    pub(super) fn stage_whole(&mut self, set: SetId, packet: Mbuf) {
        if let Err(packet) = self.outgoing.push(set, packet, 0) {
            self.stage_in_next(set, packet);
        }
    }

    /// Makes room first.
    #[inline(never)]
    fn stage_in_next(&mut self, set: SetId, packet: Mbuf) {
        self.number_all();
        let _ = self.outgoing.push(set, packet, 0);
    }

    /// Cuts a packet. The first piece keeps its buffer, the others get copies.
    #[inline(never)]
    fn stage_pieces(&mut self, set: SetId, mut packet: Mbuf, mtu: u16) -> Result<(), Drop> {
        let mut cut = split(packet.len(), mtu).ok_or(Drop::FragmentationNeeded)?;
        let first = cut.next().ok_or(Drop::FragmentationNeeded)?;
        let mut later = Burst::new();
        let count = cut.len();
        if !self.copies.alloc_bulk(&mut later, count) {
            return Err(Drop::NoBuffer);
        }
        for (buffer, piece) in later.iter_mut().zip(cut.clone()) {
            if !buffer.extend_from_slice(&packet[piece.range]) {
                return Err(Drop::NoBuffer);
            }
        }
        keep(&mut packet, first.range);
        if self.outgoing.room() < 1 + count {
            self.number_all();
        }
        // There is room, as just seen.
        let _ = self.outgoing.push(set, packet, first.place.flags());
        for (buffer, piece) in later.drain(..).zip(cut) {
            let _ = self.outgoing.push(set, buffer, piece.place.flags());
        }
        Ok(())
    }

    /// Numbers what waits and sends it.
    #[inline(always)]
    pub(super) fn number_all(&mut self) {
        let count = self.outgoing.packets.len();
        if count == 0 {
            return;
        }
        let all = u32::MAX >> (BURST - count);
        let first = self.outgoing.sets[0];
        if places(&self.outgoing.sets, first) & all == all {
            simd::run(OfOneSet {
                worker: self,
                set: first,
            });
        } else {
            self.number_mixed();
        }
    }

    /// Numbers and sends all that waits, which is for one set.
    #[inline(always)]
    fn number_set(&mut self, set: SetId) {
        let mut packets = std::mem::take(&mut self.outgoing.packets);
        let flags = self.outgoing.flags;
        self.replicate(set, &mut packets, &flags);
    }
}

/// The numbering of a burst for one set, for the processor at hand: a function by itself.
struct OfOneSet<'a> {
    worker: &'a mut Worker,
    set: SetId,
}

impl simd::Work for OfOneSet<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.worker.number_set(self.set);
    }
}
