//! LCP's echoes (RFC 1661, 5.8), which a worker can answer by itself.

use crate::command::EchoAnswer;

use super::u16_at;

pub const ECHO_REQUEST: u8 = 9;
pub const ECHO_REPLY: u8 = 10;

const LENGTH: usize = 2;
const MAGIC: usize = 4;
/// Code, identifier, length and magic number.
const LEAST_OCTETS: usize = 8;

/// Makes the Echo-Reply out of an Echo-Request, the information field of an
/// LCP frame, in its place: our magic number for the peer's, the same
/// identifier and data, cut to the peer's MRU. Returns the octets of the reply.
///
/// `None`, and no change, when it is not a request that is simply answered:
/// another packet, a malformed one, or our own that came back over a loop.
#[must_use]
pub fn answer_echo(packet: &mut [u8], answer: &EchoAnswer) -> Option<usize> {
    let length = usize::from(u16_at(packet, LENGTH)?);
    // What follows the length is padding (RFC 1661, 5).
    let packet = packet.get_mut(..length)?;
    let header: &mut [u8; LEAST_OCTETS] = packet.first_chunk_mut()?;
    let magic = answer.magic.to_be_bytes();
    let is_ours = answer.magic != 0 && header[MAGIC..] == magic;
    if header[0] != ECHO_REQUEST || is_ours {
        return None;
    }
    let octets = length.min(usize::from(answer.mru)).max(LEAST_OCTETS);
    header[0] = ECHO_REPLY;
    // No longer than `length`, which has 16 bits.
    header[LENGTH..MAGIC].copy_from_slice(&(octets as u16).to_be_bytes());
    header[MAGIC..].copy_from_slice(&magic);
    Some(octets)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANSWER: EchoAnswer = EchoAnswer {
        magic: 0x0102_0304,
        mru: 1500,
    };

    fn answered(packet: &[u8], answer: EchoAnswer) -> Option<Vec<u8>> {
        let mut octets = packet.to_vec();
        let kept = answer_echo(&mut octets, &answer);
        if kept.is_none() {
            assert_eq!(octets, packet, "changed");
        }
        octets.truncate(kept?);
        Some(octets)
    }

    #[test]
    fn identifier_and_data_come_back_with_our_magic_number() {
        let request = [9, 77, 0, 11, 0xaa, 0xbb, 0xcc, 0xdd, b'a', b'b', b'c'];
        let reply = [10, 77, 0, 11, 1, 2, 3, 4, b'a', b'b', b'c'];
        assert_eq!(answered(&request, ANSWER).unwrap(), reply);
        let padded = [&request[..], &[0; 9]].concat();
        assert_eq!(answered(&padded, ANSWER).unwrap(), reply);
    }

    #[test]
    fn a_rejected_magic_number_is_0_and_0_is_nobodys() {
        let request = [9, 1, 0, 8, 0, 0, 0, 0];
        let rejected = EchoAnswer { magic: 0, ..ANSWER };
        assert_eq!(
            answered(&request, rejected).unwrap(),
            [10, 1, 0, 8, 0, 0, 0, 0]
        );
        assert_eq!(
            answered(&request, ANSWER).unwrap(),
            [10, 1, 0, 8, 1, 2, 3, 4]
        );
    }

    #[test]
    fn the_reply_fits_the_peers_mru() {
        let mut request = vec![9, 1, 2, 0];
        request.resize(512, 0xee);
        let small = EchoAnswer { mru: 128, ..ANSWER };
        let reply = answered(&request, small).unwrap();
        assert_eq!((reply.len(), &reply[..4]), (128, &[10, 1, 0, 128][..]));
        assert_eq!(reply[8..], request[8..128]);
        let none = EchoAnswer { mru: 0, ..ANSWER };
        assert_eq!(answered(&request, none).unwrap().len(), LEAST_OCTETS);
    }

    #[test]
    fn what_is_not_simply_answered_stays_as_it_is() {
        let looped = [9, 1, 0, 8, 1, 2, 3, 4];
        let reply = [10, 1, 0, 8, 9, 9, 9, 9];
        let discard = [11, 1, 0, 8, 9, 9, 9, 9];
        let without_magic = [9, 1, 0, 7, 9, 9, 9, 9];
        let cut = [9, 1, 0, 9, 9, 9, 9, 9];
        let short = [9, 1, 0, 3, 9, 9, 9, 9];
        for packet in [looped, reply, discard, without_magic, cut, short] {
            assert_eq!(answered(&packet, ANSWER), None, "{packet:?}");
        }
        for octets in 0..LEAST_OCTETS {
            assert_eq!(answered(&[9, 1, 0, 8, 9, 9, 9, 9][..octets], ANSWER), None);
        }
    }

    proptest! {
        #[test]
        fn no_packet_makes_it_panic_or_grow(
            packet in prop::collection::vec(any::<u8>(), 0..64),
            magic: u32,
            mru: u16,
        ) {
            if let Some(reply) = answered(&packet, EchoAnswer { magic, mru }) {
                prop_assert!(reply.len() <= packet.len());
                prop_assert_eq!(reply[0], ECHO_REPLY);
            }
        }
    }
}
