//! Loops over octets with instructions that not every processor has: chosen
//! when the program runs, which takes an unsafe call each.

/// The sum of `data` as 16-bit words in the machine's order, an odd last octet
/// filled up with a zero behind it. Folded to 16 bits it is the sum of RFC 1071
/// (2 B: the order of octets within words does not matter to it). Below 2^48.
#[inline]
#[must_use]
pub fn sum(data: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if data.len() >= BLOCK && is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has been asked.
        return unsafe { sum_avx2(data) };
    }
    sum_portable(data)
}

/// Octets that are added up at a time with AVX2.
const BLOCK: usize = 32;

/// Zeros, then ones: a window into it keeps the last octets of a block.
#[cfg(target_arch = "x86_64")]
static KEEP_LAST: [u8; 2 * BLOCK] = {
    let mut mask = [0; 2 * BLOCK];
    let mut at = BLOCK;
    while at < mask.len() {
        mask[at] = 0xff;
        at += 1;
    }
    mask
};

/// # Safety
/// The processor must have AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn sum_avx2(data: &[u8]) -> u64 {
    use std::arch::x86_64::{
        __m256i, _mm_add_epi64, _mm_cvtsi128_si64, _mm_unpackhi_epi64, _mm256_add_epi64,
        _mm256_and_si256, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_loadu_si256,
        _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_srli_epi64,
    };
    let even = &data[..data.len() & !1];
    let last = if data.len() % 2 == 1 {
        u64::from(u16::from_ne_bytes([data[data.len() - 1], 0]))
    } else {
        0
    };
    let low_half = _mm256_set1_epi64x(0xffff_ffff);
    let mut low = _mm256_setzero_si256();
    let mut high = _mm256_setzero_si256();
    let mut add = |block: __m256i| {
        low = _mm256_add_epi64(low, _mm256_and_si256(block, low_half));
        high = _mm256_add_epi64(high, _mm256_srli_epi64::<32>(block));
    };
    // SAFETY: a load without alignment from a block's own octets.
    let load = |block: &[u8; BLOCK]| unsafe { _mm256_loadu_si256(block.as_ptr().cast()) };
    let mut blocks = even.chunks_exact(BLOCK);
    for block in &mut blocks {
        if let Some(block) = block.first_chunk() {
            add(load(block));
        }
    }
    let rest = blocks.remainder().len();
    // The last block again, without what was added already.
    if let (Some(block), Some(mask)) = (even.last_chunk(), KEEP_LAST[rest..].first_chunk()) {
        add(_mm256_and_si256(load(block), load(mask)));
    }
    let both = _mm256_add_epi64(low, high);
    let half = _mm_add_epi64(
        _mm256_castsi256_si128(both),
        _mm256_extracti128_si256::<1>(both),
    );
    let total = _mm_add_epi64(half, _mm_unpackhi_epi64(half, half));
    _mm_cvtsi128_si64(total) as u64 + last
}

fn sum_portable(data: &[u8]) -> u64 {
    // Two sums, since each waits for its carry; to a u128 the compiler adds
    // with carry, which beats lanes of baseline SSE2.
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
    let (high, low) = ((total >> 64) as u64, total as u64);
    // 2^32 and 2^64 are 1 in this arithmetic.
    (low >> 32) + (low & 0xffff_ffff) + (high & 0xffff_ffff) + (high >> 32)
}

/// The first eight octets, in the machine's order.
#[inline]
fn word(octets: &[u8]) -> u64 {
    octets
        .first_chunk()
        .map_or(0, |&octets| u64::from_ne_bytes(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Word by word, as RFC 1071 has it.
    fn simple(data: &[u8]) -> u64 {
        data.chunks(2)
            .map(|word| u64::from(u16::from_ne_bytes([word[0], *word.get(1).unwrap_or(&0)])))
            .sum()
    }

    fn fold(mut sum: u64) -> u64 {
        assert!(sum < 1 << 48);
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        sum
    }

    #[test]
    fn every_length_and_alignment_has_the_simple_sum() {
        let mut state = 1_u32;
        let noise: Vec<u8> = (0..400)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        for data in [&noise, &vec![0xff; 400], &vec![0; 400]] {
            for start in 0..33 {
                for end in start..data.len() {
                    let part = &data[start..end];
                    let expected = fold(simple(part));
                    assert_eq!(fold(sum(part)), expected, "{start}..{end}");
                    assert_eq!(fold(sum_portable(part)), expected, "{start}..{end}");
                }
            }
        }
    }

    #[test]
    fn the_longest_packet_does_not_overflow() {
        let data = vec![0xff; 65_535];
        assert_eq!(fold(sum(&data)), fold(simple(&data)));
        assert_eq!(fold(sum_portable(&data)), fold(simple(&data)));
    }
}
