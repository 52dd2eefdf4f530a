//! Configuration options (RFC 1661 6).

/// One option as it stands in a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConfigOption<'a> {
    pub(super) kind: u8,
    pub(super) data: &'a [u8],
}

/// An option's Length is below two or goes past the end of the packet: the
/// whole packet is silently discarded (RFC 1661 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadOptionLength;

/// Reads the options of a Configure packet.
pub(super) fn parse(mut octets: &[u8]) -> Result<Vec<ConfigOption<'_>>, BadOptionLength> {
    let mut options = Vec::new();
    while let [kind, rest @ ..] = octets {
        let [length, rest @ ..] = rest else {
            return Err(BadOptionLength);
        };
        let data_octets = usize::from(*length).checked_sub(2).ok_or(BadOptionLength)?;
        let (data, behind) = rest.split_at_checked(data_octets).ok_or(BadOptionLength)?;
        options.push(ConfigOption { kind: *kind, data });
        octets = behind;
    }
    Ok(options)
}

/// Appends an option. Data longer than an option can hold (253 octets) cannot
/// occur: what is written is one of our own options, or was read from one.
pub(super) fn push(out: &mut Vec<u8>, kind: u8, data: &[u8]) {
    let length = u8::try_from(data.len() + 2).expect("an option's data is at most 253 octets");
    out.extend_from_slice(&[kind, length]);
    out.extend_from_slice(data);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_bad_length_is_refused() {
        for octets in [
            &[1][..],
            &[1, 0],
            &[1, 1],
            &[1, 3],
            &[1, 255, 0],
            &[1, 2, 5],
            &[1, 2, 5, 1],
        ] {
            assert_eq!(parse(octets), Err(BadOptionLength), "{octets:?}");
        }
    }

    #[test]
    fn options_keep_their_order_and_repeats() {
        let octets = [1, 4, 5, 0xdc, 7, 2, 1, 4, 0, 1];
        let read: Vec<_> = parse(&octets)
            .unwrap()
            .iter()
            .map(|o| (o.kind, o.data.to_vec()))
            .collect();
        assert_eq!(read, [(1, vec![5, 0xdc]), (7, vec![]), (1, vec![0, 1])]);
        assert_eq!(parse(&[]), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn any_octets_parse_or_fail_and_read_options_write_back(octets: Vec<u8>) {
            if let Ok(options) = parse(&octets) {
                let mut out = Vec::new();
                for option in options {
                    push(&mut out, option.kind, option.data);
                }
                prop_assert_eq!(out, octets);
            }
        }
    }
}
