//! One packet buffer.

use std::fmt;
use std::mem::{ManuallyDrop, offset_of};
use std::ops::{Deref, DerefMut, Range};
use std::ptr::{self, NonNull};
use std::slice;

use dpdk_sys::{rte_mbuf, rte_mempool};

use crate::cache::prefetch_octets;
use crate::mempool::HEADROOM_OCTETS;

/// What the port found out about a checksum of a received frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// Nothing: verify it.
    Unknown,
    Good,
    Bad,
    /// Not filled in, but the frame never left memory (virtio).
    Absent,
}

/// A packet in a buffer of its own: one owner, one segment. Dereferences to the
/// packet's octets; dropping it gives the buffer back to its pool.
#[repr(transparent)]
pub struct Mbuf(NonNull<rte_mbuf>);

// SAFETY: it is the only owner, and pools take buffers back from any thread.
unsafe impl Send for Mbuf {}
// SAFETY: `&Mbuf` only reads.
unsafe impl Sync for Mbuf {}

const TX_CHECKSUMS_IPV4: u64 = dpdk_sys::SHIM_MBUF_TX_IPV4
    | dpdk_sys::SHIM_MBUF_TX_IP_CKSUM
    | dpdk_sys::SHIM_MBUF_TX_UDP_CKSUM;
const TX_CHECKSUMS_IPV6: u64 = dpdk_sys::SHIM_MBUF_TX_IPV6 | dpdk_sys::SHIM_MBUF_TX_UDP_CKSUM;
const TX_CHECKSUMS: u64 = TX_CHECKSUMS_IPV4 | TX_CHECKSUMS_IPV6;

impl Mbuf {
    /// # Safety
    /// The buffer must be valid, have one segment, of which the packet consists, a reference
    /// count of 1, data within its own memory (not attached to another buffer), and no other owner.
    pub(crate) unsafe fn from_raw(mbuf: NonNull<rte_mbuf>) -> Self {
        Self(mbuf)
    }

    /// Gives the ownership of the buffer away.
    pub(crate) fn into_raw(self) -> NonNull<rte_mbuf> {
        ManuallyDrop::new(self).0
    }

    #[cfg(test)]
    pub(crate) fn as_raw(&self) -> NonNull<rte_mbuf> {
        self.0
    }

    #[inline]
    fn header(&self) -> &rte_mbuf {
        // SAFETY: valid and owned, and `&self` excludes writers.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    fn header_mut(&mut self) -> &mut rte_mbuf {
        // SAFETY: valid and owned, and `&mut self` excludes all others. The
        // packet's octets are elsewhere.
        unsafe { self.0.as_mut() }
    }

    /// Octets of the packet.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.header().data_len)
    }

    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.header().data_len == 0
    }

    /// Unused octets in front of the packet.
    #[inline]
    #[must_use]
    pub fn headroom(&self) -> usize {
        usize::from(self.header().data_off)
    }

    /// Unused octets behind the packet.
    #[inline]
    #[must_use]
    pub fn tailroom(&self) -> usize {
        let header = self.header();
        usize::from(header.buf_len)
            .saturating_sub(usize::from(header.data_off) + usize::from(header.data_len))
    }

    /// Makes the packet longer at its front. The new octets hold anything; they
    /// are returned for writing. `None`, and no change, without the headroom.
    #[inline(always)]
    pub fn prepend(&mut self, octets: usize) -> Option<&mut [u8]> {
        if octets > self.headroom() {
            return None;
        }
        let header = self.header_mut();
        // The headroom fits 16 bits, so the count does.
        header.data_off -= octets as u16;
        header.data_len += octets as u16;
        header.pkt_len = u32::from(header.data_len);
        Some(&mut self[..octets])
    }

    /// Makes the packet longer at its end. The new octets hold anything; they
    /// are returned for writing. `None`, and no change, without the tailroom.
    #[inline]
    pub fn append(&mut self, octets: usize) -> Option<&mut [u8]> {
        if octets > self.tailroom() {
            return None;
        }
        let before = self.len();
        let header = self.header_mut();
        // The tailroom fits 16 bits, so the count does.
        header.data_len += octets as u16;
        header.pkt_len = u32::from(header.data_len);
        Some(&mut self[before..])
    }

    /// Takes octets off the front; false, and no change, when there are not so many.
    #[inline]
    #[must_use]
    pub fn trim_front(&mut self, octets: usize) -> bool {
        let ok = self.trim_end(octets);
        if ok {
            self.header_mut().data_off += octets as u16;
        }
        ok
    }

    /// Takes octets off the end; false, and no change, when there are not so many.
    #[inline]
    #[must_use]
    pub fn trim_end(&mut self, octets: usize) -> bool {
        if octets > self.len() {
            return false;
        }
        let header = self.header_mut();
        // The length fits 16 bits, so the count does.
        header.data_len -= octets as u16;
        header.pkt_len = u32::from(header.data_len);
        // The headers that were to be checksummed may be gone.
        header.ol_flags &= !TX_CHECKSUMS;
        true
    }

    /// Keeps these octets of the packet and cuts the others off; false, and no
    /// change, when it has not all of them.
    #[inline(always)]
    #[must_use]
    pub fn keep(&mut self, range: Range<usize>) -> bool {
        if range.start > range.end || range.end > self.len() {
            return false;
        }
        let header = self.header_mut();
        // The length fits 16 bits, so both counts do.
        header.data_off += range.start as u16;
        header.data_len = (range.end - range.start) as u16;
        header.pkt_len = u32::from(header.data_len);
        // The headers that were to be checksummed may be gone.
        header.ol_flags &= !TX_CHECKSUMS;
        true
    }

    /// Replaces octets at the front by `N` others, which are returned for writing.
    /// `None`, and no change, when there are not so many or there is no room.
    #[inline(always)]
    pub fn replace_front<const N: usize>(&mut self, octets: usize) -> Option<&mut [u8; N]> {
        if octets > self.len() || N > octets + self.headroom() {
            return None;
        }
        let header = self.header_mut();
        // Both are within the buffer, whose octets fit 16 bits.
        let (less, more) = (octets as u16, N as u16);
        header.data_off = header.data_off.wrapping_add(less).wrapping_sub(more);
        header.data_len = header.data_len.wrapping_sub(less).wrapping_add(more);
        header.pkt_len = u32::from(header.data_len);
        // The headers that were to be checksummed may be gone.
        header.ol_flags &= !TX_CHECKSUMS;
        // SAFETY: the packet begins with so many octets now, and a packet lies somewhere.
        Some(unsafe { NonNull::new_unchecked(self.as_mut_ptr()).cast().as_mut() })
    }

    /// As [`prepend`](Self::prepend), for a number of octets that is known beforehand.
    #[inline(always)]
    pub fn prepend_array<const N: usize>(&mut self) -> Option<&mut [u8; N]> {
        if N > self.headroom() {
            return None;
        }
        let header = self.header_mut();
        // The headroom fits 16 bits, so the count does.
        header.data_off -= N as u16;
        header.data_len += N as u16;
        // The same, as the packet is one segment.
        header.pkt_len += N as u32;
        // SAFETY: the packet begins with so many octets now, and a packet lies somewhere.
        Some(unsafe { NonNull::new_unchecked(self.as_mut_ptr()).cast().as_mut() })
    }

    /// Appends a copy of the octets; false, and no change, without the tailroom.
    #[inline]
    #[must_use]
    pub fn extend_from_slice(&mut self, octets: &[u8]) -> bool {
        match self.append(octets.len()) {
            Some(room) => {
                room.copy_from_slice(octets);
                true
            }
            None => false,
        }
    }

    /// Makes it as a fresh buffer: empty, with its headroom, nothing known about it.
    pub fn reset(&mut self) {
        // SAFETY: one owner, one segment.
        unsafe { dpdk_sys::shim_pktmbuf_reset(self.0.as_ptr()) }
    }

    /// Makes a buffer as it lies in its pool empty, with its headroom and nothing
    /// known about it. Of the second cache line nothing counts without a flag.
    #[inline]
    pub(crate) fn make_empty(&mut self) {
        self.be_fresh(HEADROOM_OCTETS.min(self.header().buf_len), 0);
    }

    /// Makes a buffer as it lies in its pool a copy of a packet, with `N` octets
    /// of anything before it, which are returned for writing. `None` when the packet has
    /// more octets than `room`: then it is empty.
    ///
    /// # Safety
    /// Behind its headroom the buffer has this room.
    #[inline(always)]
    pub(crate) unsafe fn become_copy<const N: usize>(
        &mut self,
        packet: &Self,
        room: usize,
    ) -> Option<&mut [u8; N]> {
        const { assert!(N <= HEADROOM_OCTETS as usize) };
        let octets = packet.len();
        // Read before anything is written: it stays the same.
        let buffer = self.header().buf_addr.cast::<u8>();
        if octets > room {
            self.make_empty();
            return None;
        }
        self.be_fresh(HEADROOM_OCTETS - N as u16, (N + octets) as u16);
        // SAFETY: as just seen, the buffer has room for the packet behind its
        // headroom, and two owned buffers do not overlap. The `N` octets before it
        // are the headroom's, nobody else's, and the copy begins with them.
        unsafe {
            let target = buffer.add(usize::from(HEADROOM_OCTETS));
            copy_octets(packet.as_ptr(), target, octets);
            Some(NonNull::new_unchecked(target.sub(N)).cast().as_mut())
        }
    }

    /// Makes a buffer as it lies in its pool one with so many octets from an offset on,
    /// of which nothing is known. All fields of the first cache line that count are
    /// written, several at once.
    #[inline(always)]
    fn be_fresh(&mut self, data_off: u16, data_len: u16) {
        const _: () = {
            assert!(offset_of!(rte_mbuf, refcnt) == offset_of!(rte_mbuf, data_off) + 2);
            assert!(offset_of!(rte_mbuf, nb_segs) == offset_of!(rte_mbuf, data_off) + 4);
            assert!(offset_of!(rte_mbuf, port) == offset_of!(rte_mbuf, data_off) + 6);
            assert!(offset_of!(rte_mbuf, pkt_len) == offset_of!(rte_mbuf, packet_type) + 4);
            assert!(offset_of!(rte_mbuf, vlan_tci) == offset_of!(rte_mbuf, data_len) + 2);
        };
        let header = self.0.as_ptr();
        // One owner, one segment, from no port; no type of packet before the length, and no
        // VLAN behind it. As numbers, since an array is stored one by one.
        let _: () = const { assert!(cfg!(target_endian = "little"), "the first field is lowest") };
        let start = 0xffff_0001_0001_0000 | u64::from(data_off);
        let lengths = u64::from(data_len) << 32;
        let length = u32::from(data_len);
        // SAFETY: valid and owned, and `&mut self` excludes all others; the fields stand
        // beside each other as just seen.
        unsafe {
            (&raw mut (*header).data_off)
                .cast::<u64>()
                .write_unaligned(start);
            (*header).ol_flags = 0;
            (&raw mut (*header).packet_type)
                .cast::<u64>()
                .write_unaligned(lengths);
            (&raw mut (*header).data_len)
                .cast::<u32>()
                .write_unaligned(length);
        }
    }

    /// For a driver that hands the sender's buffers over: makes it a buffer that
    /// was received on this port, of which nothing else is known.
    #[inline(always)]
    pub(crate) fn forget_sender(&mut self, port: u16) {
        self.header_mut().port = port;
        self.forget_flags();
    }

    #[inline(always)]
    fn forget_flags(&mut self) {
        let flags = &mut self.header_mut().ol_flags;
        // Hardly any sender knew anything.
        if *flags != 0 {
            // Where its memory is stays true.
            *flags &= dpdk_sys::SHIM_MBUF_EXTERNAL;
        }
    }

    /// Says how many octets the packet's IP header has, that nothing stands before
    /// it, and what the packet is to be known by in place of a port.
    pub(crate) fn set_network_header(&mut self, octets: u16, tag: u16) {
        let header = self.header_mut();
        header.tx_offload = u64::from(octets) << 7;
        header.port = tag;
    }

    /// Forgets what is known of the headers: they are others now.
    pub(crate) fn forget_offloads(&mut self) {
        self.header_mut().tx_offload = 0;
        self.forget_flags();
    }

    /// Has the start of the packet brought into the cache.
    #[inline]
    pub fn prefetch(&self) {
        prefetch_octets(self.as_ptr());
    }

    /// The port that the packet was received on, DPDK's number.
    #[inline]
    #[must_use]
    pub fn port(&self) -> u16 {
        self.header().port
    }

    /// The port's hash over the packet's addresses, if it made one.
    #[inline]
    #[must_use]
    pub fn rss_hash(&self) -> Option<u32> {
        let header = self.header();
        (header.ol_flags & dpdk_sys::SHIM_MBUF_RX_RSS_HASH != 0).then_some(header.hash_rss)
    }

    /// What the port says about the IPv4 header checksum.
    #[must_use]
    pub fn ip_checksum(&self) -> Checksum {
        match self.header().ol_flags & dpdk_sys::SHIM_MBUF_RX_IP_CKSUM_MASK {
            dpdk_sys::SHIM_MBUF_RX_IP_CKSUM_GOOD => Checksum::Good,
            dpdk_sys::SHIM_MBUF_RX_IP_CKSUM_BAD => Checksum::Bad,
            dpdk_sys::SHIM_MBUF_RX_IP_CKSUM_NONE => Checksum::Absent,
            _ => Checksum::Unknown,
        }
    }

    /// What the port says about the UDP or TCP checksum.
    #[must_use]
    pub fn l4_checksum(&self) -> Checksum {
        match self.header().ol_flags & dpdk_sys::SHIM_MBUF_RX_L4_CKSUM_MASK {
            dpdk_sys::SHIM_MBUF_RX_L4_CKSUM_GOOD => Checksum::Good,
            dpdk_sys::SHIM_MBUF_RX_L4_CKSUM_BAD => Checksum::Bad,
            dpdk_sys::SHIM_MBUF_RX_L4_CKSUM_NONE => Checksum::Absent,
            _ => Checksum::Unknown,
        }
    }

    #[must_use]
    pub fn ip_checksum_good(&self) -> bool {
        self.ip_checksum() == Checksum::Good
    }

    #[must_use]
    pub fn ip_checksum_bad(&self) -> bool {
        self.ip_checksum() == Checksum::Bad
    }

    #[must_use]
    pub fn l4_checksum_good(&self) -> bool {
        self.l4_checksum() == Checksum::Good
    }

    #[must_use]
    pub fn l4_checksum_bad(&self) -> bool {
        self.l4_checksum() == Checksum::Bad
    }

    /// Asks the port that sends it for the IPv4 header checksum and the UDP
    /// checksum of an Ethernet frame with these header lengths. The IPv4 checksum
    /// field must be 0 and the UDP one hold the sum of the pseudo-header. Only for
    /// queues with [`TxQueue::offloads_checksums`](crate::TxQueue::offloads_checksums).
    /// Trimming takes it back. False, and no change, when the packet is too short for the headers.
    #[must_use]
    pub fn request_checksums(&mut self, ethernet_octets: u8, ipv4_octets: u16) -> bool {
        self.request(ethernet_octets, ipv4_octets, TX_CHECKSUMS_IPV4)
    }

    /// The same for the UDP checksum of an Ethernet frame with IPv6, whose header
    /// has none. `ipv6_octets` are those of its extension headers, too.
    #[must_use]
    pub fn request_checksum_ipv6(&mut self, ethernet_octets: u8, ipv6_octets: u16) -> bool {
        self.request(ethernet_octets, ipv6_octets, TX_CHECKSUMS_IPV6)
    }

    fn request(&mut self, ethernet_octets: u8, ip_octets: u16, flags: u64) -> bool {
        const UDP_OCTETS: usize = 8;
        let headers = usize::from(ethernet_octets) + usize::from(ip_octets);
        if ethernet_octets >= 1 << 7 || ip_octets >= 1 << 9 || headers + UDP_OCTETS > self.len() {
            return false;
        }
        let header = self.header_mut();
        header.tx_offload = u64::from(ethernet_octets) | u64::from(ip_octets) << 7;
        header.ol_flags = header.ol_flags & !TX_CHECKSUMS | flags;
        true
    }
}

impl Deref for Mbuf {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        let header = self.header();
        // SAFETY: data_off + data_len <= buf_len holds for what drivers and pools give and is kept
        // by every method; the memory is mapped (thus initialised) and owned by this buffer.
        unsafe {
            let start = header
                .buf_addr
                .cast::<u8>()
                .add(usize::from(header.data_off));
            slice::from_raw_parts(start, usize::from(header.data_len))
        }
    }
}

impl DerefMut for Mbuf {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        let header = self.header();
        // SAFETY: as for `deref`; `&mut self` excludes all others.
        unsafe {
            let start = header
                .buf_addr
                .cast::<u8>()
                .add(usize::from(header.data_off));
            slice::from_raw_parts_mut(start, usize::from(header.data_len))
        }
    }
}

impl AsRef<[u8]> for Mbuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Mbuf {
    // A call would want the pointer in memory wherever a packet may have to be freed.
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the only owner gives it up. Its pool is alive, since a pool
        // whose buffer is out is not freed.
        unsafe { dpdk_sys::shim_pktmbuf_free(self.0.as_ptr()) }
    }
}

impl fmt::Debug for Mbuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mbuf")
            .field("len", &self.len())
            .field("port", &self.port())
            .finish_non_exhaustive()
    }
}

/// Copies octets; few of them without a loop.
///
/// # Safety
/// Both places have so many, and do not overlap.
#[inline(always)]
unsafe fn copy_octets(source: *const u8, target: *mut u8, octets: usize) {
    // SAFETY: see above, and the number is no less than what is said in angles.
    unsafe {
        // Most packets of a call, asked for first.
        if (32..=64).contains(&octets) {
            copy_ends::<32>(source, target, octets);
            return;
        }
        match octets {
            16..32 => copy_ends::<16>(source, target, octets),
            65..=128 => copy_ends::<64>(source, target, octets),
            129..=256 => copy_ends::<128>(source, target, octets),
            // The C library's copying is as quick.
            _ => ptr::copy_nonoverlapping(source, target, octets),
        }
    }
}

/// Copies the first and the last `N` of so many octets, at most twice as many.
///
/// # Safety
/// Both places have `octets`, at least `N`, and do not overlap.
#[inline(always)]
unsafe fn copy_ends<const N: usize>(source: *const u8, target: *mut u8, octets: usize) {
    // SAFETY: see above.
    unsafe {
        ptr::copy_nonoverlapping(source, target, N);
        let last = octets - N;
        ptr::copy_nonoverlapping(source.add(last), target.add(last), N);
    }
}

/// Whether it is one segment with one owner and memory of its own.
///
/// # Safety
/// The buffer must be valid.
#[inline(always)]
pub(crate) unsafe fn is_plain(mbuf: *const rte_mbuf) -> bool {
    const ONE_OF_EACH: u32 = 0x0001_0001;
    const _: () = assert!(offset_of!(rte_mbuf, nb_segs) == offset_of!(rte_mbuf, refcnt) + 2);
    // SAFETY: see above; reference count and segments stand beside each other, and are
    // compared at once.
    let counts = unsafe { (&raw const (*mbuf).refcnt).cast::<u32>().read_unaligned() };
    // SAFETY: see above.
    let flags = unsafe { (*mbuf).ol_flags };
    counts == ONE_OF_EACH && flags & dpdk_sys::SHIM_MBUF_INDIRECT == 0
}

/// Makes a packet one segment with one owner, in a buffer of `pool` when there is no
/// other way, or frees it.
///
/// # Safety
/// The packet must be valid and the caller's to give away, and the pool alive.
pub(crate) unsafe fn into_one_segment(
    mbuf: NonNull<rte_mbuf>,
    pool: *mut rte_mempool,
) -> Option<NonNull<rte_mbuf>> {
    // SAFETY: see above.
    let header = unsafe { mbuf.as_ref() };
    // SAFETY: as above.
    if unsafe { is_plain(mbuf.as_ptr()) } {
        return Some(mbuf);
    }
    let shared = header.refcnt != 1 || header.ol_flags & dpdk_sys::SHIM_MBUF_INDIRECT != 0;
    // SAFETY: as above; segments are only moved when all of them are ours.
    if !shared && unsafe { dpdk_sys::shim_pktmbuf_linearize(mbuf.as_ptr()) } == 0 {
        return Some(mbuf);
    }
    // SAFETY: as above.
    let copy = unsafe { dpdk_sys::rte_pktmbuf_copy(mbuf.as_ptr(), pool, 0, u32::MAX) };
    // SAFETY: ours, and given up here.
    unsafe { dpdk_sys::shim_pktmbuf_free(mbuf.as_ptr()) };
    let copy = NonNull::new(copy)?;
    // SAFETY: a copy is fresh, and ours.
    if unsafe { is_plain(copy.as_ptr()) } {
        return Some(copy);
    }
    // SAFETY: as above.
    unsafe { dpdk_sys::shim_pktmbuf_free(copy.as_ptr()) };
    None
}

#[cfg(test)]
mod tests;
