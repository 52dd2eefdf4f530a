//! The arithmetic of MS-CHAPv2 (RFC 2759 8). Names are the RFC's own.
//!
//! MD4 and DES are broken long since: whoever sees an exchange can find the
//! password. It is here because peers have nothing better.
use des::Des;
use des::cipher::{BlockEncrypt, KeyInit};
use md4::{Digest, Md4};
use sha1::Sha1;

use crate::secret::Secret;

pub(super) const CHALLENGE_OCTETS: usize = 16;
/// Peer-Challenge, eight reserved octets, NT-Response, flags (RFC 2759 4).
pub(super) const RESPONSE_OCTETS: usize = 49;
const NT_RESPONSE_OCTETS: usize = 24;
const RESERVED_OCTETS: usize = 8;

/// "Magic server to client signing constant" (RFC 2759 8.7).
const SIGNING: &[u8] = b"Magic server to client signing constant";
/// "Pad to make it do more than one iteration" (RFC 2759 8.7).
const PADDING: &[u8] = b"Pad to make it do more than one iteration";

type Challenge = [u8; CHALLENGE_OCTETS];
type NtResponse = [u8; NT_RESPONSE_OCTETS];

/// One end's view of an exchange: what both proofs are made of.
pub(super) struct Exchange<'a> {
    pub(super) authenticator_challenge: &'a Challenge,
    pub(super) peer_challenge: &'a Challenge,
    /// The peer's name, with or without a domain before it.
    pub(super) name: &'a [u8],
    pub(super) password: &'a Secret,
}

impl Exchange<'_> {
    /// ChallengeHash (8.2): the domain is no part of the name here.
    fn challenge_hash(&self) -> [u8; 8] {
        let domain = self.name.iter().position(|octet| *octet == b'\\');
        let user = domain.map_or(self.name, |at| &self.name[at + 1..]);
        let digest = Sha1::new()
            .chain_update(self.peer_challenge)
            .chain_update(self.authenticator_challenge)
            .chain_update(user)
            .finalize();
        std::array::from_fn(|at| digest[at])
    }

    /// GenerateNTResponse (8.1): the peer's proof.
    pub(super) fn nt_response(&self) -> NtResponse {
        challenge_response(self.challenge_hash(), nt_password_hash(self.password))
    }

    /// GenerateAuthenticatorResponse (8.7): the authenticator's proof, as it
    /// stands in a Success.
    pub(super) fn authenticator_response(&self) -> String {
        let hash_of_hash = Md4::digest(nt_password_hash(self.password));
        let digest = Sha1::new()
            .chain_update(hash_of_hash)
            .chain_update(self.nt_response())
            .chain_update(SIGNING)
            .finalize();
        let proof = Sha1::new()
            .chain_update(digest)
            .chain_update(self.challenge_hash())
            .chain_update(PADDING)
            .finalize();
        format!("S={}", hexadecimal(&proof))
    }

    /// The Value of a Response.
    pub(super) fn response(&self) -> Vec<u8> {
        let reserved = [0; RESERVED_OCTETS];
        [
            &self.peer_challenge[..],
            &reserved,
            &self.nt_response(),
            &[0],
        ]
        .concat()
    }
}

/// The Peer-Challenge and NT-Response of a Response's Value.
pub(super) fn parse_response(value: &[u8]) -> Option<(&Challenge, &NtResponse)> {
    if value.len() != RESPONSE_OCTETS {
        return None;
    }
    let (challenge, rest) = value.split_first_chunk()?;
    let (response, _) = rest.get(RESERVED_OCTETS..)?.split_first_chunk()?;
    Some((challenge, response))
}

/// Octets as in an MS-CHAPv2 message, in capitals (RFC 2759 5).
pub(super) fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02X}")).collect()
}

/// NtPasswordHash (8.3): over UTF-16, little end first.
fn nt_password_hash(password: &Secret) -> [u8; 16] {
    let text = String::from_utf8_lossy(password.as_bytes());
    let octets: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    Md4::digest(octets).into()
}

/// ChallengeResponse (8.5): the hash is the key of three encryptions.
fn challenge_response(challenge: [u8; 8], password_hash: [u8; 16]) -> NtResponse {
    let mut keys = [0; 21];
    keys[..16].copy_from_slice(&password_hash);
    let mut response = [0; NT_RESPONSE_OCTETS];
    for (key, out) in keys.chunks_exact(7).zip(response.chunks_exact_mut(8)) {
        let mut block = challenge.into();
        Des::new(&des_key(key).into()).encrypt_block(&mut block);
        out.copy_from_slice(&block);
    }
    response
}

/// Seven octets, a bit of parity behind every seven bits; what it says is
/// ignored by DES (8.6).
fn des_key(octets: &[u8]) -> [u8; 8] {
    let bits = octets
        .iter()
        .fold(0u64, |bits, octet| bits << 8 | u64::from(*octet));
    std::array::from_fn(|at| {
        let seven = bits >> (49 - 7 * at) & 0x7f;
        u8::try_from(seven << 1).unwrap_or(u8::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 2759 9.2.
    const AUTHENTICATOR_CHALLENGE: Challenge = [
        0x5b, 0x5d, 0x7c, 0x7d, 0x7b, 0x3f, 0x2f, 0x3e, 0x3c, 0x2c, 0x60, 0x21, 0x32, 0x26, 0x26,
        0x28,
    ];
    const PEER_CHALLENGE: Challenge = [
        0x21, 0x40, 0x23, 0x24, 0x25, 0x5e, 0x26, 0x2a, 0x28, 0x29, 0x5f, 0x2b, 0x3a, 0x33, 0x7c,
        0x7e,
    ];
    const NT_RESPONSE: &str = "82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF";

    fn of_the_rfc(password: &Secret, check: impl Fn(&Exchange<'_>)) {
        for name in [&b"User"[..], b"DOMAIN\\User"] {
            check(&Exchange {
                authenticator_challenge: &AUTHENTICATOR_CHALLENGE,
                peer_challenge: &PEER_CHALLENGE,
                name,
                password,
            });
        }
    }

    #[test]
    fn the_exchange_of_the_rfc() {
        let password = Secret::from("clientPass");
        let hash = nt_password_hash(&password);
        assert_eq!(hexadecimal(&hash), "44EBBA8D5312B8D611474411F56989AE");
        assert_eq!(
            hexadecimal(&Md4::digest(hash)),
            "41C00C584BD2D91C4017A2A12FA59F3F"
        );
        of_the_rfc(&password, |exchange| {
            assert_eq!(hexadecimal(&exchange.challenge_hash()), "D02E4386BCE91226");
            assert_eq!(hexadecimal(&exchange.nt_response()), NT_RESPONSE);
            assert_eq!(
                exchange.authenticator_response(),
                "S=407A5589115FD0D6209F510FE9C04566932CDA56"
            );
            let value = exchange.response();
            let (challenge, response) = parse_response(&value).unwrap();
            assert_eq!(challenge, &PEER_CHALLENGE);
            assert_eq!(hexadecimal(response), NT_RESPONSE);
            assert_eq!((&value[16..24], value[48]), (&[0; 8][..], 0));
            assert_eq!(parse_response(&value[1..]), None);
        });
    }

    /// RFC 2759 9.3; its keys have their parity, ours have none.
    #[test]
    fn the_keys_of_the_rfc() {
        let hash = nt_password_hash(&Secret::from("MyPw"));
        assert_eq!(hexadecimal(&hash), "FC156AF7EDCD6C0EDDE3337D427F4EAC");
        let mut octets = hash.to_vec();
        octets.resize(21, 0);
        let keys = [
            [0xfd, 0x0b, 0x5b, 0x5e, 0x7f, 0x6e, 0x34, 0xd9],
            [0x0e, 0x6e, 0x79, 0x67, 0x37, 0xea, 0x08, 0xfe],
            [0x4f, 0x57, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01],
        ];
        for (octets, key) in octets.chunks(7).zip(keys) {
            assert_eq!(des_key(octets), key.map(|octet| octet & 0xfe));
        }
    }

    #[test]
    fn a_password_is_hashed_in_utf_16() {
        // Computed with another implementation of MD4.
        assert_eq!(
            hexadecimal(&nt_password_hash(&Secret::from("h\u{e4}l"))),
            "816C1C91000C67299EB21AFEE40804B1"
        );
    }
}
