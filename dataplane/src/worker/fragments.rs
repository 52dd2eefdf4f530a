//! Packets to our own addresses that come in fragments (RFC 791 3.2, RFC 8200
//! 4.5): a line on the way was smaller than the sender knew. Which worker gets
//! a fragment hangs on its port's hash, so those of one datagram are handed
//! to one worker.

use std::sync::Arc;

use dpdk::{Datagram, Eal, FragmentTable, Mbuf, Refusal};

use crate::command::TableId;
use crate::counters::Drop;
use crate::headers::ipv4::{self, Ipv4};
use crate::headers::ipv6::Ipv6;
use crate::tables::{Address, TableSlot};

use super::family::Header;
use super::forward::Origin;
use super::inbox::Handed;
use super::{REASSEMBLY_TIMEOUT_S, Worker};

/// Datagrams of one worker whose fragments may wait.
const DATAGRAMS: u32 = 256;
/// With more fragments than this, they wait an eighth of the time.
const CROWDED_FRAGMENTS: usize = 128;

/// The most fragments that one worker keeps: the table has room for eight of a datagram.
pub(crate) const MAX_FRAGMENTS: u32 = 8 * DATAGRAMS;

/// A table for one worker.
///
/// # Errors
/// When there is too little memory.
pub fn fragment_table(eal: &Arc<Eal>, tsc_hz: u64) -> Result<FragmentTable, dpdk::Error> {
    FragmentTable::new(eal, DATAGRAMS, REASSEMBLY_TIMEOUT_S * tsc_hz)
}

/// A fragment on its way to the worker that has the others.
pub(super) struct Fragment {
    /// From its IP header on.
    packet: Mbuf,
    table: TableId,
    pub(super) origin: Origin,
}

impl Worker {
    /// A fragment of a packet to one of our own addresses.
    pub(super) fn fragment<H: Header>(
        &mut self,
        packet: Mbuf,
        header: &H,
        identification: u32,
        table: TableSlot,
        origin: &Origin,
    ) {
        let addresses = header.source().key() ^ header.destination().key().rotate_left(16);
        // Fibonacci hashing: the high bits depend on all bits of the key.
        let worker = (addresses ^ identification).wrapping_mul(0x9e37_79b9) >> 16;
        let fragment = Fragment {
            packet,
            table: self.tables.table_id(table),
            origin: *origin,
        };
        if self.mail.is_own(worker as usize) {
            self.take_fragment(fragment);
        } else {
            self.hand_over(worker as usize, Handed::Fragment(fragment));
        }
    }

    /// A fragment of a datagram whose other ones come here, too.
    pub(super) fn take_fragment(&mut self, fragment: Fragment) {
        self.expire_fragments();
        let Fragment {
            packet,
            table,
            origin,
        } = fragment;
        let io = &self.io;
        let refuse = &mut |port: u16, refusal| io.drop(port.into(), reason(refusal));
        let tag = origin.source as u16;
        let (now, pool) = (io.now, &self.copies);
        let Some(Datagram {
            mut packet,
            fragments,
        }) = self.fragments.insert(packet, tag, now, pool, refuse)
        else {
            return;
        };
        self.io.reassembled(origin.source, fragments as u64);
        let table = self.tables.table_slot(table);
        let taken = match packet.first().map(|octet| octet >> 4) {
            Some(4) => {
                ipv4::write_checksum(&mut packet);
                self.whole_datagram::<Ipv4>(packet, table, &origin)
            }
            _ => self.whole_datagram::<Ipv6>(packet, table, &origin),
        };
        if let Err(reason) = taken {
            self.io.drop(origin.source, reason);
        }
    }

    fn whole_datagram<H: Header>(
        &mut self,
        packet: Mbuf,
        table: TableSlot,
        origin: &Origin,
    ) -> Result<(), Drop> {
        let header = H::parse(&packet)?;
        // Fragments of fragments are nobody's.
        if header.upper(&packet)?.fragment.is_some() {
            return Err(Drop::BadFragment);
        }
        self.local(packet, &header, table, origin);
        Ok(())
    }

    /// Gives up datagrams whose other fragments do not come.
    pub(super) fn expire_fragments(&mut self) {
        let held = self.fragments.held();
        if held == 0 {
            return;
        }
        let timeout = REASSEMBLY_TIMEOUT_S * self.io.tsc_hz;
        let early = if held > CROWDED_FRAGMENTS {
            timeout / 8 * 7
        } else {
            0
        };
        let io = &self.io;
        let refuse = &mut |port: u16, refusal| io.drop(port.into(), reason(refusal));
        self.fragments.expire(io.now + early, refuse);
    }
}

fn reason(refusal: Refusal) -> Drop {
    match refusal {
        Refusal::Malformed | Refusal::Bad => Drop::BadFragment,
        Refusal::Full => Drop::FragmentsFull,
        Refusal::Expired => Drop::FragmentTimeout,
        Refusal::Oversized => Drop::Oversized,
    }
}
