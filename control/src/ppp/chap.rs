//! CHAP (RFC 1994), both roles, with MD5 or as MS-CHAPv2 (RFC 2759).
mod microsoft;

use std::collections::VecDeque;
use std::time::Duration;

use md5::{Digest, Md5};
use rand::Rng;
use rand::rngs::StdRng;
use subtle::ConstantTimeEq;

use self::microsoft::{Exchange, hexadecimal, parse_response};
use super::auth::{Credentials, Retry, Step, UNWELCOME, WELCOME};
use super::packet::{Packet, frame, protocol, text};
use super::{Logins, Timers};
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

/// What a Success of MS-CHAPv2 begins with, and how long that is (RFC 2759 5).
const PROOF_OCTETS: usize = 42;

/// MD5 over identifier, secret and challenge (RFC 1994 4.1).
fn digest(id: u8, secret: &Secret, challenge: &[u8]) -> [u8; DIGEST_OCTETS] {
    Md5::new()
        .chain_update([id])
        .chain_update(secret.as_bytes())
        .chain_update(challenge)
        .finalize()
        .into()
}

/// How a Challenge is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Md5,
    MicrosoftV2,
}

/// A Response as it came, and what it answers.
struct Given<'a> {
    id: u8,
    challenge: &'a [u8],
    value: &'a [u8],
    name: &'a [u8],
}

impl Algorithm {
    const fn value_octets(self) -> usize {
        match self {
            Self::Md5 => DIGEST_OCTETS,
            Self::MicrosoftV2 => microsoft::RESPONSE_OCTETS,
        }
    }

    /// The words of a Success, if the peer knows the password.
    fn accept(self, given: &Given<'_>, password: &Secret) -> Option<String> {
        match self {
            Self::Md5 => {
                let expected = digest(given.id, password, given.challenge);
                bool::from(expected.ct_eq(given.value)).then(|| WELCOME.to_owned())
            }
            Self::MicrosoftV2 => {
                let (peer_challenge, response) = parse_response(given.value)?;
                let exchange = Exchange {
                    authenticator_challenge: given.challenge.try_into().ok()?,
                    peer_challenge,
                    name: given.name,
                    password,
                };
                let proof = || format!("{} M={WELCOME}", exchange.authenticator_response());
                bool::from(exchange.nt_response().ct_eq(response)).then(proof)
            }
        }
    }

    /// The words of a Failure. There is no other try (R=0), so nobody needs
    /// the challenge that has its place there (RFC 2759 6).
    fn refusal(self, challenge: &[u8]) -> String {
        match self {
            Self::Md5 => UNWELCOME.to_owned(),
            Self::MicrosoftV2 => {
                let challenge = hexadecimal(challenge);
                format!("E=691 R=0 C={challenge} V=3 M={UNWELCOME}")
            }
        }
    }
}

/// Value and Name of a Challenge or Response (RFC 1994 4.1); either may be
/// anything but longer than the packet, the Name may be empty.
fn value_and_name(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (octets, rest) = data.split_first()?;
    rest.split_at_checked(usize::from(*octets))
        .filter(|(value, _)| !value.is_empty())
}

fn value_packet(code: u8, id: u8, value: &[u8], name: &[u8]) -> Vec<u8> {
    let octets =
        u8::try_from(value.len()).expect("challenges and responses of ours have 49 octets at most");
    let data = [&[octets], value, name].concat();
    frame(protocol::CHAP, code, id, &data)
}

/// The end that asks.
pub(super) struct Authenticator {
    pub(super) retry: Retry,
    algorithm: Algorithm,
    timers: Timers,
    /// Time between the Challenges of an accepted peer.
    interval: Option<Duration>,
    again_at: Option<Duration>,
    next_id: u8,
    id: u8,
    challenge: Option<Vec<u8>>,
    verdict: Option<Vec<u8>>,
    /// Whom the peer has proved to be.
    accepted: Option<usize>,
}

impl Authenticator {
    pub(super) fn new(
        algorithm: Algorithm,
        timers: &Timers,
        interval: Option<Duration>,
        first_id: u8,
    ) -> Self {
        Self {
            retry: Retry::new(timers),
            algorithm,
            timers: *timers,
            interval,
            again_at: None,
            next_id: first_id,
            id: first_id,
            challenge: None,
            verdict: None,
            accepted: None,
        }
    }

    /// A new Challenge; identifier and value differ each time (RFC 1994 4.1).
    pub(super) fn challenge(&mut self, now: Duration, name: &str, rng: &mut StdRng) -> Vec<u8> {
        let challenge: [u8; CHALLENGE_OCTETS] = rng.random();
        self.id = self.next_id;
        self.next_id = self.id.wrapping_add(1);
        self.challenge = Some(challenge.to_vec());
        self.retry.sent(now);
        value_packet(CHALLENGE, self.id, &challenge, name.as_bytes())
    }

    /// An accepted peer has to prove itself again (RFC 1994 2), if it is time.
    pub(super) fn challenge_again(
        &mut self,
        now: Duration,
        name: &str,
        rng: &mut StdRng,
    ) -> Option<Vec<u8>> {
        self.again_at.take_if(|at| *at <= now)?;
        self.verdict = None;
        self.retry = Retry::new(&self.timers);
        Some(self.challenge(now, name, rng))
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        let deadlines = [self.retry.deadline(), self.again_at];
        deadlines.into_iter().flatten().min()
    }

    /// A Response to another's Challenge (RFC 2661 4.4.5): it is judged as if
    /// that had been ours.
    pub(super) fn receive_proxy(
        &mut self,
        now: Duration,
        (id, challenge): (u8, &[u8]),
        (value, name): (&[u8], &[u8]),
        logins: &Logins,
    ) -> Step {
        let Ok(octets) = u8::try_from(value.len()) else {
            return Step::Nothing;
        };
        (self.id, self.next_id) = (id, id.wrapping_add(1));
        self.challenge = Some(challenge.to_vec());
        let packet = Packet {
            code: RESPONSE,
            id,
            data: &[&[octets], value, name].concat(),
        };
        self.receive(now, &packet, logins)
    }

    /// The list of logins is another.
    pub(super) fn renumber(&mut self, place_now: impl Fn(usize) -> Option<usize>) {
        self.accepted = self.accepted.and_then(place_now);
    }

    /// A Response to the current Challenge is judged once; repeats get the
    /// same verdict, also after authentication (RFC 1994 4.1). Whoever was
    /// accepted cannot become another.
    pub(super) fn receive(&mut self, now: Duration, packet: &Packet<'_>, logins: &Logins) -> Step {
        let Some(challenge) = self
            .challenge
            .as_deref()
            .filter(|_| packet.code == RESPONSE && packet.id == self.id)
        else {
            return Step::Nothing;
        };
        if let Some(verdict) = &self.verdict {
            return Step::Send(verdict.clone());
        }
        let Some((value, name)) = value_and_name(packet.data)
            .filter(|(value, _)| value.len() == self.algorithm.value_octets())
        else {
            return Step::Nothing;
        };
        let given = Given {
            id: packet.id,
            challenge,
            value,
            name,
        };
        let possible = |login: &usize| self.accepted.is_none_or(|before| before == *login);
        let mut named = logins.named(name).filter(|(place, _)| possible(place));
        let found = named.find_map(|(place, login)| {
            let words = self.algorithm.accept(&given, &login.password)?;
            Some((place, words))
        });
        let (code, words) = match &found {
            Some((_, words)) => (SUCCESS, words.clone()),
            None => (FAILURE, self.algorithm.refusal(challenge)),
        };
        self.retry.stop();
        let verdict = frame(protocol::CHAP, code, packet.id, words.as_bytes());
        self.verdict = Some(verdict.clone());
        let (username, reply) = (text(name), Some(verdict));
        match found {
            Some((login, _)) => {
                self.accepted = Some(login);
                self.again_at = self.interval.map(|interval| now + interval);
                Step::Accepted {
                    username,
                    login: Some(login),
                    reply,
                }
            }
            None => Step::Refused {
                username,
                message: UNWELCOME.to_owned(),
                reply,
            },
        }
    }
}

/// A Response of ours that waits for its verdict.
struct Answer {
    id: u8,
    challenge: Vec<u8>,
    frame: Vec<u8>,
    /// What the Success must begin with.
    proof: Option<String>,
}

/// Our Response; `None` to a challenge that the algorithm has not.
fn answer(
    algorithm: Algorithm,
    id: u8,
    challenge: &[u8],
    credentials: &Credentials<'_>,
    rng: &mut StdRng,
) -> Option<Answer> {
    let name = credentials.username.as_bytes();
    let (value, proof) = match algorithm {
        Algorithm::Md5 => (digest(id, credentials.password, challenge).to_vec(), None),
        Algorithm::MicrosoftV2 => {
            let exchange = Exchange {
                authenticator_challenge: challenge.try_into().ok()?,
                peer_challenge: &rng.random(),
                name,
                password: credentials.password,
            };
            (exchange.response(), Some(exchange.authenticator_response()))
        }
    };
    Some(Answer {
        id,
        challenge: challenge.to_vec(),
        frame: value_packet(RESPONSE, id, &value, name),
        proof,
    })
}

/// The end that answers.
pub(super) struct Peer {
    pub(super) retry: Retry,
    algorithm: Algorithm,
    timers: Timers,
    /// Until a verdict comes, the next to be repeated last.
    answers: VecDeque<Answer>,
}

impl Peer {
    pub(super) fn new(algorithm: Algorithm, timers: &Timers) -> Self {
        Self {
            retry: Retry::new(timers),
            algorithm,
            timers: *timers,
            answers: VecDeque::new(),
        }
    }

    /// Every Challenge is answered, at any time; a verdict counts when it is
    /// that of one of our Responses, and only the first does. `rng` gives the
    /// challenge with which the authenticator has to prove itself.
    pub(super) fn receive(
        &mut self,
        now: Duration,
        packet: &Packet<'_>,
        credentials: &Credentials<'_>,
        rng: &mut StdRng,
    ) -> Step {
        match packet.code {
            CHALLENGE => self.respond(now, packet, credentials, rng),
            SUCCESS | FAILURE => self.verdict(packet, credentials),
            _ => Step::Nothing,
        }
    }

    /// A copy of a Challenge gets a copy of its Response: which of two the
    /// authenticator judges could not be told.
    fn respond(
        &mut self,
        now: Duration,
        packet: &Packet<'_>,
        credentials: &Credentials<'_>,
        rng: &mut StdRng,
    ) -> Step {
        let Some((challenge, _)) = value_and_name(packet.data) else {
            return Step::Nothing;
        };
        let same = |answer: &Answer| answer.id == packet.id && answer.challenge == challenge;
        let answer = match self.answers.iter().position(same) {
            Some(known) => self.answers.remove(known),
            None => answer(self.algorithm, packet.id, challenge, credentials, rng),
        };
        let Some(answer) = answer else {
            return Step::Nothing;
        };
        let response = answer.frame.clone();
        self.answers.retain(|answer| answer.id != packet.id);
        self.answers.push_back(answer);
        if self.answers.len() > MAX_RESPONSES {
            self.answers.pop_front();
        }
        self.retry = Retry::new(&self.timers);
        self.retry.sent(now);
        Step::Send(response)
    }

    fn verdict(&mut self, packet: &Packet<'_>, credentials: &Credentials<'_>) -> Step {
        let Some(answer) = self.answers.iter().find(|answer| answer.id == packet.id) else {
            return Step::Nothing;
        };
        // RFC 2759 5: a peer that cannot prove itself is not talked to.
        let proved = answer.proof.as_ref().is_none_or(|proof| {
            let begins = packet.data.get(..PROOF_OCTETS).unwrap_or_default();
            begins.eq_ignore_ascii_case(proof.as_bytes())
        });
        self.answers.clear();
        self.retry.stop();
        let username = credentials.username.to_owned();
        let message = match packet.code {
            SUCCESS if proved => {
                return Step::Accepted {
                    username,
                    login: None,
                    reply: None,
                };
            }
            SUCCESS => "the peer does not know the password".to_owned(),
            _ => text(packet.data),
        };
        Step::Refused {
            username,
            message,
            reply: None,
        }
    }

    /// The same Response again, to the Challenge it was for: its verdict may
    /// have been lost. Several take turns.
    pub(super) fn repeat(&mut self, now: Duration) -> Step {
        self.answers.rotate_right(self.answers.len().min(1));
        let Some(answer) = self.answers.front() else {
            return Step::Nothing;
        };
        self.retry.sent(now);
        Step::Send(answer.frame.clone())
    }
}

#[cfg(test)]
pub(super) mod tests;
