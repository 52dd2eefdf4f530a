//! How many seeds the simulations try, and which.

/// `count` seeds, or as many times more as HAL2TP_SEEDS says; one alone, to see it
/// again, if HAL2TP_SEED says which.
pub(crate) fn seeds(count: u64) -> std::ops::Range<u64> {
    if let Some(seed) = number("HAL2TP_SEED") {
        return seed..seed + 1;
    }
    0..count * number("HAL2TP_SEEDS").unwrap_or(1)
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a whole number")),
    )
}
