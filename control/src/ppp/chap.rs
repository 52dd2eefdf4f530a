//! CHAP with MD5 (RFC 1994), both roles.
use std::collections::VecDeque;
use std::time::Duration;

use md5::{Digest, Md5};
use rand::Rng;
use rand::rngs::StdRng;
use subtle::ConstantTimeEq;

use super::auth::{Credentials, Retry, Step, UNWELCOME, WELCOME};
use super::packet::{Packet, frame, protocol, text};
use super::{Login, Timers};
use crate::secret::Secret;

const CHALLENGE: u8 = 1;
const RESPONSE: u8 = 2;
const SUCCESS: u8 = 3;
const FAILURE: u8 = 4;

const CHALLENGE_OCTETS: usize = 16;
const DIGEST_OCTETS: usize = 16;

/// Responses that wait for a verdict. A Challenge from before a renegotiation
/// may overtake the one that counts, and nothing in it tells.
const MAX_RESPONSES: usize = 4;

/// MD5 over identifier, secret and challenge (RFC 1994 4.1).
fn digest(id: u8, secret: &Secret, challenge: &[u8]) -> [u8; DIGEST_OCTETS] {
    Md5::new()
        .chain_update([id])
        .chain_update(secret.as_bytes())
        .chain_update(challenge)
        .finalize()
        .into()
}

/// Value and Name of a Challenge or Response (RFC 1994 4.1); either may be
/// anything but longer than the packet, the Name may be empty.
fn value_and_name(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (octets, rest) = data.split_first()?;
    rest.split_at_checked(usize::from(*octets))
        .filter(|(value, _)| !value.is_empty())
}

fn value_packet(code: u8, id: u8, value: &[u8], name: &[u8]) -> Vec<u8> {
    let octets = u8::try_from(value.len()).expect("challenges and digests of ours have 16 octets");
    let data = [&[octets], value, name].concat();
    frame(protocol::CHAP, code, id, &data)
}

/// The end that asks.
pub(super) struct Authenticator {
    pub(super) retry: Retry,
    next_id: u8,
    id: u8,
    challenge: Option<[u8; CHALLENGE_OCTETS]>,
    verdict: Option<Vec<u8>>,
}

impl Authenticator {
    pub(super) fn new(timers: &Timers, first_id: u8) -> Self {
        Self {
            retry: Retry::new(timers),
            next_id: first_id,
            id: first_id,
            challenge: None,
            verdict: None,
        }
    }

    /// A new Challenge; identifier and value differ each time (RFC 1994 4.1).
    pub(super) fn challenge(&mut self, now: Duration, name: &str, rng: &mut StdRng) -> Vec<u8> {
        let challenge: [u8; CHALLENGE_OCTETS] = rng.random();
        self.id = self.next_id;
        self.next_id = self.id.wrapping_add(1);
        self.challenge = Some(challenge);
        self.retry.sent(now);
        value_packet(CHALLENGE, self.id, &challenge, name.as_bytes())
    }

    /// A Response to the current Challenge is judged once; repeats get the
    /// same verdict, also after authentication (RFC 1994 4.1).
    pub(super) fn receive(&mut self, packet: &Packet<'_>, logins: &[Login]) -> Step {
        let Some(challenge) = self
            .challenge
            .filter(|_| packet.code == RESPONSE && packet.id == self.id)
        else {
            return Step::Nothing;
        };
        if let Some(verdict) = &self.verdict {
            return Step::Send(verdict.clone());
        }
        let Some((value, name)) =
            value_and_name(packet.data).filter(|(value, _)| value.len() == DIGEST_OCTETS)
        else {
            return Step::Nothing;
        };
        self.retry.stop();
        let fits = |login: &Login| {
            let expected = || digest(packet.id, &login.password, &challenge);
            login.username.as_bytes() == name && bool::from(expected().ct_eq(value))
        };
        let login = logins.iter().position(fits);
        let (code, message) = if login.is_some() {
            (SUCCESS, WELCOME)
        } else {
            (FAILURE, UNWELCOME)
        };
        let verdict = frame(protocol::CHAP, code, packet.id, message.as_bytes());
        self.verdict = Some(verdict.clone());
        let (username, reply) = (text(name), Some(verdict));
        match login {
            Some(_) => Step::Accepted {
                username,
                login,
                reply,
            },
            None => Step::Refused {
                username,
                message: message.to_owned(),
                reply,
            },
        }
    }
}

/// The end that answers.
pub(super) struct Peer {
    pub(super) retry: Retry,
    timers: Timers,
    /// Responses and their identifiers, the next to be repeated last; until a
    /// verdict comes.
    responses: VecDeque<(u8, Vec<u8>)>,
}

impl Peer {
    pub(super) fn new(timers: &Timers) -> Self {
        Self {
            retry: Retry::new(timers),
            timers: *timers,
            responses: VecDeque::new(),
        }
    }

    /// Every Challenge is answered, at any time; a verdict counts when it is
    /// that of one of our Responses, and only the first does.
    pub(super) fn receive(
        &mut self,
        now: Duration,
        packet: &Packet<'_>,
        credentials: &Credentials<'_>,
    ) -> Step {
        match packet.code {
            CHALLENGE => self.respond(now, packet, credentials),
            SUCCESS | FAILURE => self.verdict(packet, credentials),
            _ => Step::Nothing,
        }
    }

    fn respond(
        &mut self,
        now: Duration,
        packet: &Packet<'_>,
        credentials: &Credentials<'_>,
    ) -> Step {
        let Some((challenge, _)) = value_and_name(packet.data) else {
            return Step::Nothing;
        };
        let value = digest(packet.id, credentials.password, challenge);
        let response = value_packet(RESPONSE, packet.id, &value, credentials.username.as_bytes());
        self.responses.retain(|(id, _)| *id != packet.id);
        self.responses.push_back((packet.id, response.clone()));
        if self.responses.len() > MAX_RESPONSES {
            self.responses.pop_front();
        }
        self.retry = Retry::new(&self.timers);
        self.retry.sent(now);
        Step::Send(response)
    }

    fn verdict(&mut self, packet: &Packet<'_>, credentials: &Credentials<'_>) -> Step {
        if self.responses.iter().all(|(id, _)| *id != packet.id) {
            return Step::Nothing;
        }
        self.responses.clear();
        self.retry.stop();
        let username = credentials.username.to_owned();
        if packet.code == SUCCESS {
            Step::Accepted {
                username,
                login: None,
                reply: None,
            }
        } else {
            Step::Refused {
                username,
                message: text(packet.data),
                reply: None,
            }
        }
    }

    /// The same Response again, to the Challenge it was for: its verdict may
    /// have been lost. Several take turns.
    pub(super) fn repeat(&mut self, now: Duration) -> Step {
        self.responses.rotate_right(self.responses.len().min(1));
        let Some((_, response)) = self.responses.front() else {
            return Step::Nothing;
        };
        self.retry.sent(now);
        Step::Send(response.clone())
    }
}

#[cfg(test)]
mod tests;
