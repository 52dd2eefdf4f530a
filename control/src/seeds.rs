//! How many seeds the simulations try.

/// `count` seeds, or as many times more as HAL2TP_SEEDS says.
pub(crate) fn seeds(count: u64) -> std::ops::Range<u64> {
    let times = std::env::var("HAL2TP_SEEDS").map_or(1, |times| {
        times.parse().expect("HAL2TP_SEEDS is a whole number")
    });
    0..count * times
}
