//! The Internet checksum (RFC 1071) and its incremental form (RFC 1624).
//!
//! A partial sum is a `u32` that is added to with plain `+`: what the functions
//! here return is small enough for thousands of them to fit.

/// The ones-complement sum of `data` as 16-bit words in network order; an odd
/// last octet is the high half of a word (RFC 1071, 1). At most 0xffff.
#[inline]
#[must_use]
pub fn sum(data: &[u8]) -> u32 {
    // The order of octets within words does not matter as long as the result
    // is swapped back (RFC 1071, 2 B), so the sum is taken in the machine's
    // order, eight octets at a time. Two sums, since each waits for its carry;
    // to a u128 the compiler adds with carry, which beats lanes of baseline SSE2.
    let (mut even, mut odd) = (0_u128, 0_u128);
    let mut blocks = data.chunks_exact(16);
    for block in &mut blocks {
        even += u128::from(word(block));
        odd += u128::from(word(&block[8..]));
    }
    let mut rest = blocks.remainder();
    if rest.len() >= 8 {
        even += u128::from(word(rest));
        rest = &rest[8..];
    }
    if let Some((&four, tail)) = rest.split_first_chunk() {
        odd += u128::from(u32::from_ne_bytes(four));
        rest = tail;
    }
    if let Some((&two, tail)) = rest.split_first_chunk() {
        even += u128::from(u16::from_ne_bytes(two));
        rest = tail;
    }
    if let Some(&last) = rest.first() {
        odd += u128::from(u16::from_ne_bytes([last, 0]));
    }
    let total = even + odd;
    let (mut total, carry) = ((total >> 64) as u64).overflowing_add(total as u64);
    total += u64::from(carry);
    total = (total >> 32) + (total & 0xffff_ffff);
    total = (total >> 32) + (total & 0xffff_ffff);
    u32::from(u16::from_be(fold(total as u32)))
}

/// The first eight octets, in the machine's order.
#[inline]
fn word(octets: &[u8]) -> u64 {
    octets
        .first_chunk()
        .map_or(0, |&octets| u64::from_ne_bytes(octets))
}

/// Brings a partial sum to 16 bits, carries added back in.
#[inline]
#[must_use]
pub fn fold(sum: u32) -> u16 {
    let once = (sum >> 16) + (sum & 0xffff);
    ((once >> 16) + once) as u16
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
