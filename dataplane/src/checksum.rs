//! The Internet checksum (RFC 1071) and its incremental form (RFC 1624).
//!
//! A partial sum is a `u32` that is added to with plain `+`: what the functions
//! here return is small enough for thousands of them to fit.

/// The ones-complement sum of `data` as 16-bit words in network order; an odd
/// last octet is the high half of a word (RFC 1071, 1). At most 0xffff.
#[inline]
#[must_use]
pub fn sum(data: &[u8]) -> u32 {
    in_network_order(simd::sum(data))
}

/// A [`simd::sum`], which is in the machine's order, as [`sum`] has it: swapped
/// back (RFC 1071, 2 B).
#[inline]
pub(crate) fn in_network_order(sum: u64) -> u32 {
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 32) as u32 + (sum & 0xffff_ffff) as u32;
    u32::from(u16::from_be(fold(sum)))
}

/// Whether a sum in the machine's order, checksum included, is that of a right
/// checksum: 0 in ones-complement arithmetic, where numbers that differ by
/// 0xffff are the same. Only for sums of something that is not all zeros.
#[inline(always)]
#[must_use]
pub(crate) fn is_right(sum: u64) -> bool {
    // A multiple of 0xffff times its inverse modulo 2^64 is the quotient, and
    // anything else is above all quotients: no division, whatever is around it.
    const INVERSE: u64 = 0xfffe_fffe_fffe_ffff;
    sum.wrapping_mul(INVERSE) <= u64::MAX / 0xffff
}

/// Brings a partial sum to 16 bits, carries added back in.
#[inline]
#[must_use]
pub fn fold(sum: u32) -> u16 {
    // Both halves added, in the upper one with the carry out of the lower.
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}

/// The checksum of everything that went into `sum`: its complement.
#[inline]
#[must_use]
pub fn finish(sum: u32) -> u16 {
    !fold(sum)
}

/// The checksum after the 16-bit word `old` under it became `new`, without
/// looking at the rest (RFC 1624, 3, equation 3). For two octets that stand at
/// an odd offset, give both words with their octets swapped.
#[inline]
#[must_use]
pub fn update(checksum: u16, old: u16, new: u16) -> u16 {
    finish(u32::from(!checksum) + u32::from(!old) + u32::from(new))
}

/// The sum of the pseudo-header of UDP and TCP over IPv4 (RFC 768, RFC 9293
/// 3.1), at most 0x4_ffff. `length` is that of the UDP or TCP header and its
/// payload, octets.
#[inline]
#[must_use]
pub fn pseudo_header_sum(source: [u8; 4], destination: [u8; 4], protocol: u8, length: u16) -> u32 {
    let words = |address| {
        let address = u32::from_be_bytes(address);
        (address >> 16) + (address & 0xffff)
    };
    words(source) + words(destination) + u32::from(protocol) + u32::from(length)
}

/// The same over IPv6 (RFC 8200, 8.1), at most 0x3_0000. `length` is below 2^16
/// for all that a packet without jumbo payload carries.
#[inline]
#[must_use]
pub fn pseudo_header_sum_ipv6(
    source: &[u8; 16],
    destination: &[u8; 16],
    protocol: u8,
    length: u16,
) -> u32 {
    sum(source) + sum(destination) + u32::from(protocol) + u32::from(length)
}
