//! Putting IP datagrams together of their fragments (RFC 791 3.2, RFC 8200 4.5),
//! by DPDK's table.
//!
//! The library trusts what a fragment says of itself, so each one is looked at
//! before it goes in. It finds out by itself about fragments that repeat,
//! overlap (RFC 5722) or leave a hole: then all of a datagram's are given up.

use std::ptr::NonNull;
use std::sync::Arc;

use dpdk_sys::{rte_ip_frag_death_row, rte_ip_frag_tbl};

use crate::control;
use crate::eal::Eal;
use crate::error::Error;
use crate::mbuf::{Mbuf, into_one_segment};
use crate::mempool::Mempool;

/// Places that one hash value can choose from.
const BUCKET_ENTRIES: u32 = 4;

const IPV4_OCTETS: usize = 20;
const IPV4_MAX_OCTETS: usize = 60;
const IPV6_OCTETS: usize = 40;
const IPV6_FRAGMENT_OCTETS: usize = 8;
const NEXT_FRAGMENT: u8 = 44;
/// The largest length that an IP header can give.
const MAX_LENGTH: usize = u16::MAX as usize;

/// Why a fragment was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is no fragment, or can be none of a datagram.
    Malformed,
    /// There was no place for another datagram.
    Full,
    /// It and the others of its datagram do not fit together.
    Bad,
    /// The others did not come in time.
    Expired,
    /// The datagram was whole, and fits no buffer.
    Oversized,
}

/// A datagram put together.
#[derive(Debug)]
pub struct Datagram {
    /// From its IP header on. The checksum of an IPv4 header is 0.
    pub packet: Mbuf,
    /// How many fragments it came in.
    pub fragments: usize,
}

/// Fragments that wait for the others of their datagrams. A datagram has at
/// most eight of them.
pub struct FragmentTable {
    table: NonNull<rte_ip_frag_tbl>,
    row: Box<rte_ip_frag_death_row>,
    /// Fragments in the table.
    held: usize,
    _eal: Arc<Eal>,
}

// SAFETY: the table has one owner, and may be used by any one thread at a time.
unsafe impl Send for FragmentTable {}

/// A fragment's family, and how many octets stand before its part of the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Ipv4(usize),
    Ipv6(usize),
}

impl FragmentTable {
    /// A table for so many datagrams at a time, whose fragments are given up
    /// `timeout_ticks` after the first of them came.
    ///
    /// # Errors
    /// When there is too little memory.
    pub fn new(eal: &Arc<Eal>, datagrams: u32, timeout_ticks: u64) -> Result<Self, Error> {
        let _control = control::lock();
        // Half full at most.
        let buckets = datagrams.div_ceil(BUCKET_ENTRIES).max(1);
        // SAFETY: an allocation; the arguments are checked by the function.
        let table = unsafe {
            dpdk_sys::rte_ip_frag_table_create(
                buckets,
                BUCKET_ENTRIES,
                datagrams,
                timeout_ticks,
                dpdk_sys::SHIM_SOCKET_ID_ANY,
            )
        };
        let table = NonNull::new(table)
            .ok_or_else(|| Error::last("rte_ip_frag_table_create", "fragments"))?;
        Ok(Self {
            table,
            row: Box::default(),
            held: 0,
            _eal: Arc::clone(eal),
        })
    }

    /// How many fragments are kept.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held
    }

    /// Adds a fragment that came at `now`: a packet that starts at its IP
    /// header and ends with it. [`Self::expire`] comes first. Gives the
    /// datagram if it was the last fragment that was missing, in a buffer of
    /// `pool` when it does not fit that of its first fragment. Of each
    /// fragment that is given up `refuse` gets its `tag`, and why.
    pub fn insert(
        &mut self,
        mut fragment: Mbuf,
        tag: u16,
        now: u64,
        pool: &Mempool,
        refuse: &mut impl FnMut(u16, Refusal),
    ) -> Option<Datagram> {
        let Some(form) = form(&fragment) else {
            refuse(tag, Refusal::Malformed);
            return None;
        };
        let (Form::Ipv4(header_octets) | Form::Ipv6(header_octets)) = form;
        fragment.set_network_header(header_octets as u16, tag);
        let (table, mbuf) = (self.table.as_ptr(), fragment.into_raw().as_ptr());
        let row: *mut _ = &mut *self.row;
        // SAFETY: the table and the row are alive and used by nobody else. The buffer is ours and
        // given away here: a single segment of its own, that holds a whole header of
        // the form, at an even address, and whose lengths are those of the header. The row is empty,
        // and has room for far more than the fragments of the two datagrams that a call can give up.
        let whole = unsafe {
            match form {
                Form::Ipv4(_) => dpdk_sys::shim_ipv4_reassemble(table, row, mbuf, now),
                Form::Ipv6(_) => dpdk_sys::shim_ipv6_reassemble(table, row, mbuf, now),
            }
        };
        self.held += 1;
        let alone = self.row.cnt == 1 && self.row.row[0] == mbuf;
        let reason = if alone { Refusal::Full } else { Refusal::Bad };
        self.bury(reason, refuse);
        let whole = NonNull::new(whole)?;
        // SAFETY: valid, and ours since the table gave it up.
        let fragments = usize::from(unsafe { whole.as_ref() }.nb_segs);
        self.held -= fragments;
        // SAFETY: as above; its segments were single buffers of ours when they went in.
        let Some(mbuf) = (unsafe { into_one_segment(whole, pool.as_ptr()) }) else {
            (0..fragments).for_each(|_| refuse(tag, Refusal::Oversized));
            return None;
        };
        // SAFETY: one segment, one owner: see `into_one_segment`.
        let mut packet = unsafe { Mbuf::from_raw(mbuf) };
        packet.forget_offloads();
        Some(Datagram { packet, fragments })
    }

    /// Gives up datagrams whose first fragment came more than `timeout_ticks`
    /// before `now`.
    pub fn expire(&mut self, now: u64, refuse: &mut impl FnMut(u16, Refusal)) {
        while self.held > 0 {
            let row: *mut _ = &mut *self.row;
            // SAFETY: the table and the row are alive and used by nobody else; the
            // function looks at the room in the row.
            unsafe {
                dpdk_sys::rte_ip_frag_table_del_expired_entries(self.table.as_ptr(), row, now);
            }
            if self.row.cnt == 0 {
                return;
            }
            self.bury(Refusal::Expired, refuse);
        }
    }

    /// Frees what is on the death row.
    fn bury(&mut self, reason: Refusal, refuse: &mut impl FnMut(u16, Refusal)) {
        let count = self.row.cnt as usize;
        if count == 0 {
            return;
        }
        for &mbuf in &self.row.row[..count] {
            // SAFETY: the row holds so many valid buffers, which nobody else owns.
            let tag = unsafe { (*mbuf).port };
            refuse(tag, reason);
        }
        // SAFETY: as above; they are given up here.
        unsafe { dpdk_sys::rte_ip_frag_free_death_row(&mut *self.row, 0) }
        self.held -= count;
    }
}

impl Drop for FragmentTable {
    fn drop(&mut self) {
        let _control = control::lock();
        // SAFETY: made by rte_ip_frag_table_create, freed once; it frees the fragments in it.
        unsafe { dpdk_sys::rte_ip_frag_table_destroy(self.table.as_ptr()) }
    }
}

impl std::fmt::Debug for FragmentTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FragmentTable")
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

/// What a packet is, if it is a fragment that may go into the table.
fn form(packet: &[u8]) -> Option<Form> {
    // DPDK's structures of headers want it.
    if !packet.as_ptr().addr().is_multiple_of(2) {
        return None;
    }
    let word = |at: usize| {
        let octets = packet.get(at..)?.first_chunk()?;
        Some(usize::from(u16::from_be_bytes(*octets)))
    };
    match packet.first()? >> 4 {
        4 => {
            let header_octets = usize::from(packet[0] & 0xf) * 4;
            let flags = word(6)?;
            let (offset, more) = ((flags & 0x1fff) * 8, flags & 0x2000 != 0);
            let sound = header_octets >= IPV4_OCTETS
                && word(2)? == packet.len()
                // The first fragment's header may be longer than this one's.
                && is_part(packet.len(), header_octets, offset, more, MAX_LENGTH - IPV4_MAX_OCTETS);
            sound.then_some(Form::Ipv4(header_octets))
        }
        6 => {
            let header_octets = IPV6_OCTETS + IPV6_FRAGMENT_OCTETS;
            let field = word(IPV6_OCTETS + 2)?;
            let (offset, more) = (field & 0xfff8, field & 1 != 0);
            let sound = packet[6] == NEXT_FRAGMENT
                && word(4)? + IPV6_OCTETS == packet.len()
                && is_part(packet.len(), header_octets, offset, more, MAX_LENGTH);
            sound.then_some(Form::Ipv6(header_octets))
        }
        _ => None,
    }
}

/// Whether something stands behind the header that can be a part, and not all, of
/// a datagram's payload of at most `most` octets.
fn is_part(octets: usize, header_octets: usize, offset: usize, more: bool, most: usize) -> bool {
    let Some(part_octets) = octets.checked_sub(header_octets) else {
        return false;
    };
    part_octets > 0
        && (more || offset > 0)
        && (!more || part_octets.is_multiple_of(8))
        && offset + part_octets <= most
}

#[cfg(test)]
mod tests;
