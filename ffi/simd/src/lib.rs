//! Loops over octets with instructions that not every processor has: chosen
//! when the program runs, which takes an unsafe call each. And instructions for
//! what the compiler finds none for.

#[cfg(target_arch = "x86_64")]
use std::sync::atomic::{AtomicU8, Ordering};

/// The sum of `data` as 16-bit words in the machine's order, an odd last octet
/// filled up with a zero behind it. Folded to 16 bits it is the sum of RFC 1071
/// (2 B: the order of octets within words does not matter to it). Below 2^48.
#[inline]
#[must_use]
pub fn sum(data: &[u8]) -> u64 {
    run(Sum(data))
}

struct Sum<'a>(&'a [u8]);

impl Work for Sum<'_> {
    type Output = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        sum_any(self.0)
    }
}

/// Something to do that is compiled for several kinds of processor. A type of its own for each: a function
/// given by name is called by way of another one, which cost a packet 8 % more instructions.
pub trait Work {
    type Output;

    /// Does it. To be of use this has to be `#[inline(always)]`, as has whatever
    /// it calls to do the work: what is not inlined is compiled for any processor.
    fn run(self) -> Self::Output;
}

/// Does the work with the best instructions that this processor has.
#[inline]
pub fn run<W: Work>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    if is_v3() {
        // SAFETY: the processor has been asked for all that it takes.
        return unsafe { run_v3(work) };
    }
    work.run()
}

/// Whether the processor has what [`run_v3`] takes. Asked once: six questions at
/// each call are more work than a short sum.
#[cfg(target_arch = "x86_64")]
#[inline]
fn is_v3() -> bool {
    const UNKNOWN: u8 = 0;
    const NO: u8 = 1;
    const YES: u8 = 2;
    static ANSWER: AtomicU8 = AtomicU8::new(UNKNOWN);

    #[cold]
    fn ask() -> bool {
        let has_all = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("movbe")
            && is_x86_feature_detected!("popcnt");
        // Relaxed: whoever does not see it asks again.
        ANSWER.store(if has_all { YES } else { NO }, Ordering::Relaxed);
        has_all
    }

    match ANSWER.load(Ordering::Relaxed) {
        UNKNOWN => ask(),
        answer => answer == YES,
    }
}

/// As on every x86-64 processor since about 2015 ("x86-64-v3").
///
/// # Safety
/// The processor must have the features.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,movbe,popcnt")]
// Work within work stays apart: a loop by itself has all registers.
#[inline(never)]
unsafe fn run_v3<W: Work>(work: W) -> W::Output {
    work.run()
}

/// How many numbers [`places`] looks at.
pub const PLACES: usize = 32;

/// The places of a number among others, a bit for each.
#[inline(always)]
#[must_use]
pub fn places(among: &[u32; PLACES], wanted: u32) -> u32 {
    // Every processor of the kind can do this; of a loop the compiler makes four times as much.
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{
            _mm_cmpeq_epi32, _mm_loadu_si128, _mm_movemask_epi8, _mm_packs_epi16, _mm_packs_epi32,
            _mm_set1_epi32,
        };
        // SAFETY: every x86-64 processor has SSE2. The four numbers that are read at a time are
        // there, as `fours[at]` sees to, and need not be aligned.
        unsafe {
            let (fours, _) = among.as_chunks::<4>();
            let wanted = _mm_set1_epi32(wanted.cast_signed());
            let four = |at: usize| _mm_loadu_si128((&raw const fours[at]).cast());
            let equal = |at: usize| _mm_cmpeq_epi32(four(at), wanted);
            let eight = |at: usize| _mm_packs_epi32(equal(at), equal(at + 1));
            let sixteen = |at: usize| _mm_packs_epi16(eight(at), eight(at + 2));
            // A bit for each of sixteen octets.
            let bits = |at: usize| _mm_movemask_epi8(sixteen(at)).cast_unsigned();
            bits(0) | bits(4) << 16
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    places_any(among, wanted)
}

#[cfg(any(test, not(target_arch = "x86_64")))]
fn places_any(among: &[u32; PLACES], wanted: u32) -> u32 {
    let places = among.iter().enumerate();
    let holding = places.map(|(place, &number)| u32::from(number == wanted) << place);
    holding.fold(0, |places, place| places | place)
}

/// Octets that are added up at a time.
const BLOCK: usize = 32;

/// Zeros, then ones: a window into it keeps the last octets of a block.
static KEEP_LAST: [u8; 2 * BLOCK] = {
    let mut mask = [0; 2 * BLOCK];
    let mut at = BLOCK;
    while at < mask.len() {
        mask[at] = 0xff;
        at += 1;
    }
    mask
};

/// [`sum`]: of 16 to 65 octets, where a call would cost more than it does, for whatever
/// processor the caller is compiled for.
#[inline(always)]
#[must_use]
pub fn sum_inline(data: &[u8]) -> u64 {
    let (even, last) = pairs(data);
    let sum = sum_of_ends::<BLOCK>(even).or_else(|| sum_of_ends::<{ BLOCK / 2 }>(even));
    match sum {
        Some(sum) => sum + last,
        None => sum_apart(data),
    }
}

/// The sum of `N` octets, or up to twice as many: of the start, and of the end without it.
#[inline(always)]
fn sum_of_ends<const N: usize>(even: &[u8]) -> Option<u64> {
    let (start, end) = (even.first_chunk::<N>()?, even.last_chunk::<N>()?);
    let behind_start = even.len() - N;
    if behind_start > N {
        return None;
    }
    let mask = KEEP_LAST[BLOCK - N + behind_start..].first_chunk()?;
    let mut lanes = [0; LANES];
    add(&mut lanes, start, &[0xff; N]);
    add(&mut lanes, end, mask);
    Some(lanes[..N / 4].iter().sum())
}

/// [`sum`] of what is not summed inline. Cold, so that what is takes the straight way.
#[cold]
fn sum_apart(data: &[u8]) -> u64 {
    sum(data)
}

/// The pairs of octets, and what an odd last octet adds to their sum.
#[inline(always)]
fn pairs(data: &[u8]) -> (&[u8], u64) {
    match data {
        [even @ .., last] if data.len() % 2 == 1 => (even, word([*last, 0])),
        even => (even, 0),
    }
}

/// The sum of any number of octets: in lanes that the compiler makes vectors of.
#[inline(always)]
fn sum_any(data: &[u8]) -> u64 {
    let (even, last) = pairs(data);
    let Some(end) = even.last_chunk::<BLOCK>() else {
        return sum_short(even) + last;
    };
    let mut lanes = [0; LANES];
    let (fours, rest) = even.as_chunks::<{ 4 * BLOCK }>();
    for blocks in fours {
        add_all::<4>(&mut lanes, blocks);
    }
    // No loop for the rest, which is all of a short packet.
    let (twos, rest) = rest.as_chunks::<{ 2 * BLOCK }>();
    if let [blocks, ..] = twos {
        add_all::<2>(&mut lanes, blocks);
    }
    let (ones, rest) = rest.as_chunks::<BLOCK>();
    if let [block, ..] = ones {
        add(&mut lanes, block, &[0xff; BLOCK]);
    }
    // The last block again, without what was added already.
    if let Some(mask) = KEEP_LAST[rest.len()..].first_chunk() {
        add(&mut lanes, end, mask);
    }
    lanes.iter().sum::<u64>() + last
}

const LANES: usize = BLOCK / 4;

#[inline(always)]
fn add_all<const COUNT: usize>(lanes: &mut [u64; LANES], blocks: &[u8]) {
    for block in &blocks.as_chunks().0[..COUNT] {
        add(lanes, block, &[0xff; BLOCK]);
    }
}

/// Adds those octets of a block that the mask keeps to the lanes.
#[inline(always)]
fn add<const N: usize>(lanes: &mut [u64; LANES], block: &[u8; N], mask: &[u8; N]) {
    // By index: of iterators over both the compiler makes no vectors everywhere.
    for (lane, sum) in lanes[..N / 4].iter_mut().enumerate() {
        *sum += u64::from(word_of_four(block, lane) & word_of_four(mask, lane));
    }
}

/// Four octets of a block.
#[inline(always)]
fn word_of_four<const N: usize>(block: &[u8; N], lane: usize) -> u32 {
    let at = 4 * lane;
    u32::from_ne_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

/// Fewer octets than a block.
#[inline(always)]
fn sum_short(data: &[u8]) -> u64 {
    let fours = data.chunks_exact(4);
    let last = match *fours.remainder() {
        [] => 0,
        [a] => word([a, 0]),
        [a, b] => word([a, b]),
        [a, b, c, ..] => word([a, b]) + word([c, 0]),
    };
    fours.map(four_octets).sum::<u64>() + last
}

#[inline(always)]
fn word(octets: [u8; 2]) -> u64 {
    u64::from(u16::from_ne_bytes(octets))
}

/// The first four octets.
#[inline(always)]
fn four_octets(octets: &[u8]) -> u64 {
    octets
        .first_chunk()
        .map_or(0, |&four| u64::from(u32::from_ne_bytes(four)))
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
                    assert_eq!(fold(sum_inline(part)), expected, "{start}..{end}");
                }
            }
        }
    }

    #[test]
    fn a_number_is_found_in_all_its_places() {
        let numbers = [0, 1, 0xffff, 0x1_0000, 0x8000_0000, u32::MAX];
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            numbers[(state >> 16) as usize % numbers.len()]
        };
        for _ in 0..200 {
            let among = std::array::from_fn(|_| next());
            for wanted in numbers {
                assert_eq!(places(&among, wanted), places_any(&among, wanted));
            }
            let all = numbers.iter().map(|&wanted| places(&among, wanted));
            assert_eq!(all.sum::<u32>(), u32::MAX, "each place once");
        }
        for place in 0..PLACES {
            let mut among = [7; PLACES];
            among[place] = 8;
            assert_eq!(places(&among, 8), 1 << place);
        }
    }

    #[test]
    fn the_longest_packet_does_not_overflow() {
        let data = vec![0xff; 65_535];
        assert_eq!(fold(sum(&data)), fold(simple(&data)));
        assert_eq!(fold(sum_inline(&data)), fold(simple(&data)));
    }
}
