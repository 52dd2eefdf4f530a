//! What is drawn of a sample: ratios and rates.

use history::Sample;

/// Of the packets whose fate is known, the lost ones: 0 to 1. `None` when no fate became known.
pub(crate) fn loss(sample: &Sample) -> Option<f64> {
    ratio(sample.lost_packets.max(0) as u64, sample.settled_packets)
}

/// Of the LCP echoes, those without an answer: 0 to 1.
pub(crate) fn echo_loss(sample: &Sample) -> Option<f64> {
    ratio(sample.echoes_lost, sample.echoes_sent)
}

/// Of a set's packets, those that its best link by itself would have lost: 0 to 1.
pub(crate) fn saved(sample: &Sample) -> Option<f64> {
    ratio(sample.saved_packets, sample.settled_packets)
}

/// More than all is all: the two counts are not of the same instant.
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64).min(1.0))
}

/// The mean over the seconds in which somebody measured. `None` when nobody did.
pub(crate) fn sent_bit_s(sample: &Sample) -> Option<u64> {
    bit_s(sample.sent_octets, sample)
}

pub(crate) fn received_bit_s(sample: &Sample) -> Option<u64> {
    bit_s(sample.received_octets, sample)
}

fn bit_s(octets: u64, sample: &Sample) -> Option<u64> {
    octets
        .saturating_mul(8)
        .checked_div(u64::from(sample.measured_s))
}
