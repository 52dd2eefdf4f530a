//! Pieces of packets, sound or not, in any order: what is put together is as
//! long as it says and made of consecutive numbers, what is kept is bounded,
//! and no piece vanishes.
#![no_main]

use dataplane::command::SetId;
use dataplane::headers::packet_octets;
use dataplane::reassembly::{Key, Limits, MAX_PIECES, Place, Reassembly};
use dataplane::transform::split;
use fuzz::Input;
use libfuzzer_sys::fuzz_target;

const PIECES: usize = 24;
const TIMEOUT_TICKS: u64 = 40;

struct Piece {
    number: u64,
    octets: Vec<u8>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

fuzz_target!(|octets: &[u8]| {
    cut(octets);
    let mut input = Input::new(octets);
    let mut reassembly = Reassembly::new(Limits {
        pieces: PIECES,
        timeout_ticks: TIMEOUT_TICKS,
    });
    let (mut now, mut taken, mut given) = (0, 0, 0);
    while !input.is_empty() {
        let control = input.octet();
        now += u64::from(control >> 4);
        let mut refuse = |_: Piece, _| given += 1;
        reassembly.expire(now, &mut refuse);
        let Some(place) = Place::from_flags(control & 3) else {
            continue;
        };
        let number = u64::from(input.octet() & 0x3f);
        let key = Key {
            set: SetId(u32::from(control >> 2 & 1)),
            epoch: u32::from(control >> 3 & 1),
            number,
        };
        let octets = input.short().to_vec();
        let mut whole = Vec::new();
        taken += 1;
        let piece = Piece { number, octets };
        if reassembly.insert(now, key, place, piece, &mut whole, &mut refuse) {
            assert!((2..=MAX_PIECES).contains(&whole.len()));
            let first = whole[0].number;
            assert!(whole.iter().zip(first..).all(|(piece, number)| piece.number == number));
            let octets: usize = whole.iter().map(|piece| piece.octets.len()).sum();
            assert_eq!(packet_octets(&whole[0].octets), Some(octets));
        }
        given += whole.len();
        assert!(reassembly.len() <= PIECES);
        assert_eq!(given + reassembly.len(), taken);
    }
    reassembly.expire(now + TIMEOUT_TICKS, &mut |_, _| ());
    assert!(reassembly.is_empty());
});

/// Any length over a link of any size.
fn cut(octets: &[u8]) {
    let Some(&[l0, l1, m0, m1]) = octets.first_chunk() else {
        return;
    };
    let (length, mtu) = (u16::from_be_bytes([l0, l1]), u16::from_be_bytes([m0, m1]));
    let Some(pieces) = split(length.into(), mtu) else {
        return;
    };
    let mut end = 0;
    for (index, piece) in pieces.clone().enumerate() {
        assert_eq!(piece.range.start, end, "a hole");
        assert!(!piece.range.is_empty() && piece.range.len() <= mtu.into());
        end = piece.range.end;
        let place = match (index, end == usize::from(length)) {
            (0, _) => Place::First,
            (_, true) => Place::Last,
            _ => Place::Middle,
        };
        assert_eq!(piece.place, place);
        assert_eq!(Place::from_flags(place.flags()), Some(place));
    }
    assert_eq!(end, usize::from(length));
}
