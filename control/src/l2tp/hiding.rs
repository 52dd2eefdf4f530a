//! Hidden AVPs and tunnel authentication (RFC 2661 sections 4.3 and 5.1.1).

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

/// Octets of an MD5 digest: a block of the hiding stream, a Challenge Response.
pub const DIGEST_OCTETS: usize = 16;

fn md5(parts: &[&[u8]]) -> [u8; DIGEST_OCTETS] {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// Why a hidden value could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnhideError {
    /// Too short for the inner length.
    TooShort,
    /// The inner length runs past the end: most often, another secret.
    InnerLength,
}

/// Hides `value` of attribute `kind` with `padding` octets of zero after it
/// (RFC 2661 section 4.3).
#[must_use]
pub fn hide(
    kind: u16,
    value: &[u8],
    padding: usize,
    secret: &[u8],
    random_vector: &[u8],
) -> Vec<u8> {
    let mut octets = Vec::with_capacity(2 + value.len() + padding);
    octets.extend_from_slice(&(value.len() as u16).to_be_bytes());
    octets.extend_from_slice(value);
    octets.resize(octets.len() + padding, 0);
    let mut key = md5(&[&kind.to_be_bytes(), secret, random_vector]);
    for block in octets.chunks_mut(DIGEST_OCTETS) {
        xor(block, &key);
        key = md5(&[secret, block]);
    }
    octets
}

/// The value hidden in `hidden`. Any padding is accepted: implementations
/// differ, and the RFC contradicts itself.
///
/// # Errors
/// [`UnhideError`] when the inner length cannot be right.
pub fn unhide(
    kind: u16,
    hidden: &[u8],
    secret: &[u8],
    random_vector: &[u8],
) -> Result<Vec<u8>, UnhideError> {
    let mut octets = hidden.to_vec();
    let mut key = md5(&[&kind.to_be_bytes(), secret, random_vector]);
    for (block, cipher) in octets
        .chunks_mut(DIGEST_OCTETS)
        .zip(hidden.chunks(DIGEST_OCTETS))
    {
        xor(block, &key);
        key = md5(&[secret, cipher]);
    }
    let (inner, rest) = octets
        .split_first_chunk::<2>()
        .ok_or(UnhideError::TooShort)?;
    let value = rest
        .get(..usize::from(u16::from_be_bytes(*inner)))
        .ok_or(UnhideError::InnerLength)?;
    Ok(value.to_vec())
}

fn xor(block: &mut [u8], key: &[u8; DIGEST_OCTETS]) {
    for (octet, key) in block.iter_mut().zip(key) {
        *octet ^= key;
    }
}

/// The answer to `challenge`: `id` is the message type that carries the answer,
/// 2 in SCCRP and 3 in SCCCN (RFC 2661 section 4.4.3, Challenge Response).
#[must_use]
pub fn challenge_response(id: u8, secret: &[u8], challenge: &[u8]) -> [u8; DIGEST_OCTETS] {
    md5(&[&[id], secret, challenge])
}

/// Whether `response` answers `challenge`, compared in constant time.
#[must_use]
pub fn response_is_right(id: u8, secret: &[u8], challenge: &[u8], response: &[u8]) -> bool {
    challenge_response(id, secret, challenge)
        .ct_eq(response)
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VECTOR: [u8; 16] = [
        0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee,
        0xff,
    ];

    fn hex(octets: &[u8]) -> String {
        octets.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    #[test]
    fn challenge_responses_are_those_of_other_implementations() {
        let challenge: Vec<u8> = (0..16).collect();
        let response = |id| hex(&challenge_response(id, b"secret", &challenge));
        assert_eq!(response(2), "dd4186e2196f00124a9d588f02701259");
        assert_eq!(response(3), "8f3c2fa6fcfea72215ae83ea89ec2b77");
        let right = challenge_response(2, b"secret", &challenge);
        assert!(response_is_right(2, b"secret", &challenge, &right));
        assert!(!response_is_right(3, b"secret", &challenge, &right));
        assert!(!response_is_right(2, b"Secret", &challenge, &right));
        assert!(!response_is_right(2, b"secret", &challenge, &right[..15]));
    }

    #[test]
    fn hidden_values_are_those_of_other_implementations() {
        let number = hide(22, b"01234567890", 0, b"secret", &VECTOR);
        assert_eq!(hex(&number), "366861bb22d1b11b85317a0e41");
        let password = hide(33, b"password-longer-than-16-bytes", 3, b"secret", &VECTOR);
        assert_eq!(
            hex(&password),
            "3b0c92ec7fc00999fc53a807d6ce1947feff484a756e4f2dd7d1d1a67ce3c9a59eea"
        );
        assert_eq!(
            unhide(22, &number, b"secret", &VECTOR).unwrap(),
            b"01234567890"
        );
        assert_eq!(
            unhide(33, &password, b"secret", &VECTOR).unwrap(),
            b"password-longer-than-16-bytes"
        );
    }

    #[test]
    fn the_inner_length_is_checked_after_deciphering() {
        let mut hidden = hide(22, b"123", 0, b"secret", &VECTOR);
        assert_eq!(
            unhide(22, &hidden[..1], b"secret", &VECTOR),
            Err(UnhideError::TooShort)
        );
        assert_eq!(
            unhide(22, &[], b"secret", &VECTOR),
            Err(UnhideError::TooShort)
        );
        assert_eq!(
            unhide(22, &hidden[..4], b"secret", &VECTOR),
            Err(UnhideError::InnerLength)
        );
        hidden[0] ^= 0x80;
        assert_eq!(
            unhide(22, &hidden, b"secret", &VECTOR),
            Err(UnhideError::InnerLength)
        );
    }

    #[test]
    fn any_padding_and_any_random_vector_round_trip() {
        for padding in 0..40 {
            let value = vec![7; padding * 3];
            let hidden = hide(37, &value, padding, b"s", &VECTOR[..padding % 5]);
            assert_eq!(
                unhide(37, &hidden, b"s", &VECTOR[..padding % 5]).unwrap(),
                value
            );
        }
    }
}
