//! What happened, in the words of whoever noted it.

use crate::codec::{self, Input, Unreadable};

/// Notes that are kept.
pub(crate) const MOST_NOTES: u64 = 10_000;
/// Octets of a note, all in all.
pub(crate) const MOST_OCTETS: usize = 16_384;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Since 1970.
    pub at_unix_ms: u64,
    /// The names that it concerns.
    pub subject: Vec<String>,
    /// Whatever was noted.
    pub payload: String,
}

impl Note {
    pub(crate) fn encode(at_unix_ms: u64, subject: &[&str], payload: &str) -> Vec<u8> {
        let mut out = codec::begin();
        codec::put_number(&mut out, at_unix_ms);
        codec::put_number(&mut out, subject.len() as u64);
        for name in subject {
            codec::put_text(&mut out, name);
        }
        codec::put_text(&mut out, payload);
        out
    }

    /// # Errors
    /// When the octets are damaged, or of another version.
    pub(crate) fn decode(octets: &[u8]) -> Result<Self, Unreadable> {
        let mut input = Input::open(octets)?;
        let (at_unix_ms, names) = (input.number()?, input.number()?);
        let subject = (0..names).map(|_| input.text().map(str::to_owned));
        let subject = subject.collect::<Result<_, _>>()?;
        let payload = input.text()?.to_owned();
        input.end()?;
        Ok(Self {
            at_unix_ms,
            subject,
            payload,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_note_comes_back_as_it_was(at in any::<u64>(), names in proptest::collection::vec(".*", 0..4), payload in ".*") {
            let subject: Vec<&str> = names.iter().map(String::as_str).collect();
            let octets = Note::encode(at, &subject, &payload);
            let note = Note { at_unix_ms: at, subject: names.clone(), payload: payload.clone() };
            prop_assert_eq!(Note::decode(&octets), Ok(note));
            prop_assert_eq!(Note::decode(&octets[..octets.len() - 1]), Err(Unreadable));
        }

        #[test]
        fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..60)) {
            let versioned: Vec<u8> = [1].into_iter().chain(octets).collect();
            let _ = Note::decode(&versioned);
        }
    }
}
