//! The cache's own instructions.

/// Has a value's first cache line brought into the cache, for use soon.
#[inline]
pub fn prefetch<T>(value: &T) {
    prefetch_octets(std::ptr::from_ref(value).cast());
}

/// The same for all cache lines of a value.
#[inline]
pub fn prefetch_all<T: ?Sized>(value: &T) {
    prefetch_start(value, size_of_val(value));
}

/// The same for its first octets.
#[inline]
pub fn prefetch_start<T: ?Sized>(value: &T, octets: usize) {
    const LINE_OCTETS: usize = 64;
    let start = std::ptr::from_ref(value).cast::<u8>();
    for at in (0..octets).step_by(LINE_OCTETS) {
        prefetch_octets(start.wrapping_add(at));
    }
}

/// The same for any address: it is a hint, which faults nowhere.
#[inline]
pub(crate) fn prefetch_octets(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 processor has it, and it reads nothing that shows.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
