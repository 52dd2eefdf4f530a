//! A handful of packets that are received, worked on and sent together.

use std::fmt;
use std::hint;
use std::mem::MaybeUninit;
use std::ops::{Bound, Index, IndexMut, RangeBounds};
use std::ptr;
use std::slice;

use dpdk_sys::rte_mbuf;

use crate::mbuf::Mbuf;

/// The most packets in a burst.
pub const BURST: usize = 32;

/// Up to [`BURST`] packets in order, in place: nothing is allocated.
pub struct Burst {
    /// The first `len` are initialised.
    mbufs: [MaybeUninit<Mbuf>; BURST],
    len: usize,
}

impl Burst {
    #[must_use]
    pub const fn new() -> Self {
        Self {
            mbufs: [const { MaybeUninit::uninit() }; BURST],
            len: 0,
        }
    }

    #[inline(always)]
    #[must_use]
    pub const fn len(&self) -> usize {
        // SAFETY: every method keeps it so.
        unsafe { hint::assert_unchecked(self.len <= BURST) };
        self.len
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.len >= BURST
    }

    /// Adds a packet at the end.
    ///
    /// # Errors
    /// Gives the packet back when the burst is full.
    #[inline]
    pub fn push(&mut self, mbuf: Mbuf) -> Result<(), Mbuf> {
        if self.is_full() {
            return Err(mbuf);
        }
        self.mbufs[self.len].write(mbuf);
        self.len += 1;
        Ok(())
    }

    /// Takes all packets over from another burst. False, and no change, without
    /// the room.
    #[inline]
    #[must_use]
    pub fn append(&mut self, other: &mut Self) -> bool {
        if other.len > BURST - self.len {
            return false;
        }
        // SAFETY: there is room for the first `len` of the other, which are
        // initialised; it forgets them here.
        unsafe {
            let end = self.mbufs.as_mut_ptr().add(self.len);
            ptr::copy_nonoverlapping(other.mbufs.as_ptr(), end, other.len);
        }
        self.len += other.len;
        other.len = 0;
        true
    }

    /// Takes the last packet.
    pub fn pop(&mut self) -> Option<Mbuf> {
        self.len = self.len.checked_sub(1)?;
        // SAFETY: it was below the old length, and is above the new one.
        Some(unsafe { self.mbufs[self.len].assume_init_read() })
    }

    /// Takes a packet and puts the last one in its place; `None` without such a packet.
    pub fn swap_remove(&mut self, index: usize) -> Option<Mbuf> {
        if index >= self.len {
            return None;
        }
        let last = self.len - 1;
        self.as_mut_slice().swap(index, last);
        self.pop()
    }

    /// Puts the packets in another order: each place gets the packet of the place that `order`
    /// has there. False, and no change, unless that names each of the first `len` places once.
    #[inline]
    pub fn arrange(&mut self, order: &[u8; BURST]) -> bool {
        let order = &order[..self.len()];
        let named = order.iter().fold(0_u64, |named, &from| {
            named | 1_u64.checked_shl(from.into()).unwrap_or(0)
        });
        // So many bits, all of them below `len`, are each of them once.
        if named != (1 << order.len()) - 1 {
            return false;
        }
        let mut before = [const { MaybeUninit::uninit() }; BURST];
        // SAFETY: both have room for `len` packets. Each is moved out here, and back once.
        unsafe {
            ptr::copy_nonoverlapping(self.mbufs.as_ptr(), before.as_mut_ptr(), order.len());
            for (place, &from) in self.mbufs.iter_mut().zip(order) {
                ptr::copy_nonoverlapping(before.as_ptr().add(from.into()), place, 1);
            }
        }
        true
    }

    /// Takes the packets of the range, in order; those not taken from the iterator are freed.
    ///
    /// # Panics
    /// When the range is not within the burst, as `Vec::drain`.
    #[inline]
    pub fn drain(&mut self, range: impl RangeBounds<usize>) -> Drain<'_> {
        let start = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&before) => before + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&last) => last + 1,
            Bound::Excluded(&end) => end,
            Bound::Unbounded => self.len,
        };
        assert!(start <= end && end <= self.len, "range outside the burst");
        let tail = self.len - end;
        // Should the iterator be forgotten, its packets and the tail leak; nothing is freed twice.
        self.len = start;
        Drain {
            burst: self,
            next: start,
            end,
            tail,
        }
    }

    /// Frees all packets.
    #[inline]
    pub fn clear(&mut self) {
        if self.len == 0 {
            return;
        }
        let count = self.len as u32;
        self.len = 0;
        // SAFETY: the first `count` were initialised and are forgotten now; each
        // has one owner and one segment.
        unsafe { dpdk_sys::shim_mbuf_free_single_bulk(self.mbufs.as_mut_ptr().cast(), count) }
    }

    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[Mbuf] {
        // SAFETY: the first `len` are initialised.
        unsafe { slice::from_raw_parts(self.mbufs.as_ptr().cast(), self.len()) }
    }

    #[inline]
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [Mbuf] {
        // SAFETY: the first `len` are initialised.
        unsafe { slice::from_raw_parts_mut(self.mbufs.as_mut_ptr().cast(), self.len()) }
    }

    #[inline]
    pub fn iter(&self) -> slice::Iter<'_, Mbuf> {
        self.as_slice().iter()
    }

    #[inline]
    pub fn iter_mut(&mut self) -> slice::IterMut<'_, Mbuf> {
        self.as_mut_slice().iter_mut()
    }

    /// All packets as DPDK takes them.
    #[inline]
    pub(crate) fn as_raw(&mut self) -> *mut *mut rte_mbuf {
        self.mbufs.as_mut_ptr().cast()
    }

    /// The first unused place, with room for `BURST - len` pointers.
    #[inline]
    pub(crate) fn spare(&mut self) -> *mut *mut rte_mbuf {
        self.mbufs[self.len..].as_mut_ptr().cast()
    }

    /// # Safety
    /// The first `count` places of [`spare`](Self::spare) hold buffers as
    /// `Mbuf::from_raw` wants them.
    #[inline]
    pub(crate) unsafe fn grow(&mut self, count: usize) {
        debug_assert!(count <= BURST - self.len);
        self.len += count;
    }

    /// Forgets the first `count` packets and moves the others up.
    ///
    /// # Safety
    /// Someone else owns those packets now.
    pub(crate) unsafe fn forget_front(&mut self, count: usize) {
        debug_assert!(count <= self.len);
        self.len -= count;
        if count > 0 && self.len > 0 {
            let start = self.mbufs.as_mut_ptr();
            // SAFETY: both ranges are within the array.
            unsafe { ptr::copy(start.add(count), start, self.len) }
        }
    }
}

impl Default for Burst {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Burst {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Burst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Index<usize> for Burst {
    type Output = Mbuf;

    fn index(&self, index: usize) -> &Mbuf {
        &self.as_slice()[index]
    }
}

impl IndexMut<usize> for Burst {
    fn index_mut(&mut self, index: usize) -> &mut Mbuf {
        &mut self.as_mut_slice()[index]
    }
}

impl<'a> IntoIterator for &'a Burst {
    type Item = &'a Mbuf;
    type IntoIter = slice::Iter<'a, Mbuf>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a mut Burst {
    type Item = &'a mut Mbuf;
    type IntoIter = slice::IterMut<'a, Mbuf>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

/// Packets on their way out of a [`Burst`].
#[derive(Debug)]
pub struct Drain<'a> {
    /// Its length is the start of the range.
    burst: &'a mut Burst,
    next: usize,
    end: usize,
    /// How many packets follow the range.
    tail: usize,
}

impl Iterator for Drain<'_> {
    type Item = Mbuf;

    #[inline]
    fn next(&mut self) -> Option<Mbuf> {
        if self.next == self.end {
            return None;
        }
        let place = self.next;
        self.next += 1;
        // SAFETY: within the array, initialised, and each place is read once.
        Some(unsafe { self.burst.mbufs.get_unchecked(place).assume_init_read() })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Drain<'_> {}

impl Drop for Drain<'_> {
    #[inline]
    fn drop(&mut self) {
        self.by_ref().for_each(drop);
        let places = self.burst.mbufs.as_mut_ptr();
        // SAFETY: the tail's places are initialised and within the array; after
        // the move they follow the burst's length without a gap.
        unsafe { ptr::copy(places.add(self.end), places.add(self.burst.len), self.tail) };
        self.burst.len += self.tail;
    }
}

#[cfg(test)]
mod tests;
