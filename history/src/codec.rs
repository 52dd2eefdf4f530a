//! Samples as octets.
//!
//! A row is a version octet and, for each sample, its place in the block and what is not zero of it: two octets that say which
//! figures follow, little-endian, and the figures as varints in the order of the bits. A spread is one octet 0 and the one time
//! it is of, or an octet 1, count, total, least and what the most is above that.

use integer_encoding::VarInt as _;

use crate::sample::{Sample, Spread};

/// Rows of another version are left alone.
const VERSION: u8 = 1;
const FIGURES: usize = 12;
const LATENCY: u16 = 1 << FIGURES;
const SKEW: u16 = LATENCY << 1;
const ONE_TIME: u8 = 0;
const SEVERAL_TIMES: u8 = 1;

/// Octets that this version does not read: damaged, or written by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// The samples of a block, by their place in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row(Vec<(u8, Sample)>);

impl Row {
    /// Adds to what the row has at this place.
    pub(crate) fn add(&mut self, place: u8, sample: &Sample) {
        match self.0.binary_search_by_key(&place, |&(place, _)| place) {
            Ok(found) => self.0[found].1.add(sample),
            Err(gap) => self.0.insert(gap, (place, *sample)),
        }
    }

    pub(crate) fn samples(&self) -> &[(u8, Sample)] {
        &self.0
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn sum(&self) -> Sample {
        self.0.iter().fold(Sample::default(), |mut sum, (_, it)| {
            sum.add(it);
            sum
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for (place, sample) in &self.0 {
            out.push(*place);
            put_sample(&mut out, sample);
        }
        out
    }

    /// # Errors
    /// When the octets are damaged, or of another version.
    pub(crate) fn decode(octets: &[u8]) -> Result<Self, Unreadable> {
        let mut input = Input::open(octets)?;
        let mut row = Self::default();
        while !input.0.is_empty() {
            let place = input.octet()?;
            let sample = input.sample()?;
            row.add(place, &sample);
        }
        Ok(row)
    }
}

/// One sample by itself, with its version.
pub(crate) fn encode(sample: &Sample) -> Vec<u8> {
    let mut out = vec![VERSION];
    put_sample(&mut out, sample);
    out
}

/// # Errors
/// When the octets are damaged, or of another version.
pub(crate) fn decode(octets: &[u8]) -> Result<Sample, Unreadable> {
    let mut input = Input::open(octets)?;
    let sample = input.sample()?;
    input.end()?;
    Ok(sample)
}

/// Begins a record of this version.
pub(crate) fn begin() -> Vec<u8> {
    vec![VERSION]
}

pub(crate) fn put_number(out: &mut Vec<u8>, number: u64) {
    let mut octets = [0; 10];
    let length = number.encode_var(&mut octets);
    out.extend_from_slice(&octets[..length]);
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn put_sample(out: &mut Vec<u8>, sample: &Sample) {
    let figures = figures(sample);
    let mut present = 0_u16;
    for (bit, &figure) in figures.iter().enumerate() {
        present |= u16::from(figure != 0) << bit;
    }
    let spreads = [(LATENCY, sample.latency), (SKEW, sample.skew)];
    for (bit, spread) in spreads {
        present |= if spread.is_some() { bit } else { 0 };
    }
    out.extend_from_slice(&present.to_le_bytes());
    for figure in figures.into_iter().filter(|&figure| figure != 0) {
        put_number(out, figure);
    }
    for spread in spreads.into_iter().filter_map(|(_, spread)| spread) {
        put_spread(out, &spread);
    }
}

fn put_spread(out: &mut Vec<u8>, spread: &Spread) {
    if *spread == Spread::of(spread.total_us) {
        out.push(ONE_TIME);
        put_number(out, spread.total_us);
        return;
    }
    out.push(SEVERAL_TIMES);
    for number in [
        spread.count,
        spread.total_us,
        spread.least_us,
        spread.most_us.wrapping_sub(spread.least_us),
    ] {
        put_number(out, number);
    }
}

/// What is not a spread, in the order of the bits; loss, which may be negative, zigzag.
fn figures(sample: &Sample) -> [u64; FIGURES] {
    let lost = sample.lost_packets;
    [
        sample.measured_s.into(),
        sample.offline_s.into(),
        sample.echoes_sent,
        sample.echoes_lost,
        sample.sent_packets,
        sample.sent_octets,
        sample.received_packets,
        sample.received_octets,
        sample.settled_packets,
        ((lost << 1) ^ (lost >> 63)).cast_unsigned(),
        sample.wins,
        sample.saved_packets,
    ]
}

/// Octets that are being read.
pub(crate) struct Input<'o>(&'o [u8]);

impl<'o> Input<'o> {
    /// Of a record of this version.
    pub(crate) fn open(octets: &'o [u8]) -> Result<Self, Unreadable> {
        match octets.split_first() {
            Some((&VERSION, rest)) => Ok(Self(rest)),
            _ => Err(Unreadable),
        }
    }

    pub(crate) fn end(&self) -> Result<(), Unreadable> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Unreadable)
        }
    }

    fn take(&mut self, count: usize) -> Result<&'o [u8], Unreadable> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Unreadable)?;
        self.0 = rest;
        Ok(taken)
    }

    fn octet(&mut self) -> Result<u8, Unreadable> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn number(&mut self) -> Result<u64, Unreadable> {
        let (number, length) = u64::decode_var(self.0).ok_or(Unreadable)?;
        self.take(length)?;
        Ok(number)
    }

    pub(crate) fn text(&mut self) -> Result<&'o str, Unreadable> {
        let length = usize::try_from(self.number()?).map_err(|_| Unreadable)?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Unreadable)
    }

    fn sample(&mut self) -> Result<Sample, Unreadable> {
        let present = self.take(2)?;
        let present = u16::from_le_bytes([present[0], present[1]]);
        if present >= SKEW << 1 {
            return Err(Unreadable);
        }
        let mut figures = [0; FIGURES];
        for (bit, figure) in figures.iter_mut().enumerate() {
            if present & (1 << bit) != 0 {
                *figure = self.number()?;
            }
        }
        let lost = figures[9];
        Ok(Sample {
            measured_s: u32::try_from(figures[0]).map_err(|_| Unreadable)?,
            offline_s: u32::try_from(figures[1]).map_err(|_| Unreadable)?,
            echoes_sent: figures[2],
            echoes_lost: figures[3],
            sent_packets: figures[4],
            sent_octets: figures[5],
            received_packets: figures[6],
            received_octets: figures[7],
            settled_packets: figures[8],
            lost_packets: (lost >> 1).cast_signed() ^ -(lost & 1).cast_signed(),
            wins: figures[10],
            saved_packets: figures[11],
            latency: self.spread(present & LATENCY != 0)?,
            skew: self.spread(present & SKEW != 0)?,
        })
    }

    fn spread(&mut self, present: bool) -> Result<Option<Spread>, Unreadable> {
        if !present {
            return Ok(None);
        }
        match self.octet()? {
            ONE_TIME => Ok(Some(Spread::of(self.number()?))),
            SEVERAL_TIMES => {
                let (count, total_us, least_us) = (self.number()?, self.number()?, self.number()?);
                Ok(Some(Spread {
                    count,
                    total_us,
                    least_us,
                    most_us: least_us.wrapping_add(self.number()?),
                }))
            }
            _ => Err(Unreadable),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Mostly small figures, as samples have, and now and then any.
    fn figure() -> impl Strategy<Value = u64> {
        prop_oneof![4 => Just(0), 4 => 0..5000_u64, 1 => any::<u64>()]
    }

    fn spread() -> impl Strategy<Value = Option<Spread>> {
        let several = (figure(), figure(), figure(), figure()).prop_map(
            |(count, total_us, least_us, most_us)| Spread {
                count,
                total_us,
                least_us,
                most_us,
            },
        );
        proptest::option::of(prop_oneof![figure().prop_map(Spread::of), several])
    }

    pub(crate) fn any_sample() -> impl Strategy<Value = Sample> {
        let times = (any::<u32>(), 0..3_u32);
        let lost = prop_oneof![3 => Just(0), 3 => -9..9_i64, 1 => any::<i64>()];
        let figures = proptest::array::uniform9(figure());
        (times, figures, lost, spread(), spread()).prop_map(
            |((measured_s, offline_s), figures, lost_packets, latency, skew)| Sample {
                measured_s,
                offline_s,
                echoes_sent: figures[0],
                echoes_lost: figures[1],
                sent_packets: figures[2],
                sent_octets: figures[3],
                received_packets: figures[4],
                received_octets: figures[5],
                settled_packets: figures[6],
                wins: figures[7],
                saved_packets: figures[8],
                lost_packets,
                latency,
                skew,
            },
        )
    }

    proptest! {
        #[test]
        fn a_row_comes_back_as_it_was(samples in proptest::collection::vec((0..36_u8, any_sample()), 0..8)) {
            let mut row = Row::default();
            for (place, sample) in &samples {
                row.add(*place, sample);
            }
            prop_assert_eq!(Row::decode(&row.encode()), Ok(row));
        }

        #[test]
        fn one_sample_comes_back_as_it_was(sample in any_sample()) {
            prop_assert_eq!(decode(&encode(&sample)), Ok(sample));
        }

        #[test]
        fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Row::decode(&octets);
            let versioned: Vec<u8> = [VERSION].into_iter().chain(octets).collect();
            let _ = decode(&versioned);
            let _ = Row::decode(&versioned);
        }

        /// A row that lost its end does not pass for another.
        #[test]
        fn a_cut_sample_is_refused(sample in any_sample(), cut in any::<prop::sample::Index>()) {
            let octets = encode(&sample);
            prop_assert_eq!(decode(&octets[..cut.index(octets.len())]), Err(Unreadable));
        }
    }

    #[test]
    fn another_version_is_not_guessed_at() {
        let mut octets = encode(&Sample::default());
        octets[0] = 2;
        assert_eq!(decode(&octets), Err(Unreadable));
        assert_eq!(Row::decode(&octets), Err(Unreadable));
        assert_eq!(Row::decode(&[]), Err(Unreadable));
        // A figure that this version does not know.
        assert_eq!(decode(&[VERSION, 0, 0x80]), Err(Unreadable));
    }

    #[test]
    fn an_idle_second_takes_five_octets_and_a_busy_one_28() {
        let mut row = Row::default();
        let idle = Sample {
            measured_s: 1,
            echoes_sent: 1,
            ..Sample::default()
        };
        row.add(3, &idle);
        assert_eq!(row.encode().len(), 1 + 5);
        let busy = Sample {
            measured_s: 1,
            echoes_sent: 1,
            latency: Some(Spread::of(31_200)),
            sent_packets: 9000,
            sent_octets: 11_000_000,
            received_packets: 9000,
            received_octets: 11_000_000,
            settled_packets: 9000,
            lost_packets: 3,
            wins: 5000,
            skew: Some(Spread::of(4500)),
            ..Sample::default()
        };
        assert_eq!(encode(&busy).len(), 1 + 28);
    }
}
