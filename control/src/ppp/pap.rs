//! PAP (RFC 1334 2), both roles.
use std::time::Duration;

use subtle::ConstantTimeEq;

use super::auth::{Credentials, Retry, Step, UNWELCOME, WELCOME};
use super::packet::{Packet, frame, protocol, text};
use super::{Login, Logins, Timers};

const AUTHENTICATE_REQUEST: u8 = 1;
const AUTHENTICATE_ACK: u8 = 2;
const AUTHENTICATE_NAK: u8 = 3;

/// A field with one octet of length before it.
fn field(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (octets, rest) = data.split_first()?;
    rest.split_at_checked(usize::from(*octets))
}

fn reply(code: u8, id: u8, message: &str) -> Vec<u8> {
    let octets = u8::try_from(message.len()).expect("our messages are short");
    frame(
        protocol::PAP,
        code,
        id,
        &[&[octets], message.as_bytes()].concat(),
    )
}

/// The end that logs in.
pub(super) struct Peer {
    pub(super) retry: Retry,
    first_id: u8,
    sent: u8,
    answered: bool,
}

impl Peer {
    pub(super) fn new(timers: &Timers, first_id: u8) -> Self {
        Self {
            retry: Retry::new(timers),
            first_id,
            sent: 0,
            answered: false,
        }
    }

    /// The next Authenticate-Request; its identifier changes each time (RFC 1334 2.2.1).
    pub(super) fn request(&mut self, now: Duration, credentials: &Credentials<'_>) -> Step {
        let fields = [
            credentials.username.as_bytes(),
            credentials.password.as_bytes(),
        ];
        let mut data = Vec::new();
        for field in fields {
            let Ok(octets) = u8::try_from(field.len()) else {
                return Step::Refused {
                    username: credentials.username.to_owned(),
                    message: "PAP takes names and passwords of at most 255 octets".to_owned(),
                    reply: None,
                };
            };
            data.push(octets);
            data.extend_from_slice(field);
        }
        let id = self.first_id.wrapping_add(self.sent);
        self.sent = self.sent.saturating_add(1);
        self.retry.sent(now);
        Step::Send(frame(protocol::PAP, AUTHENTICATE_REQUEST, id, &data))
    }

    /// The answer to any of our requests is good: they all say the same.
    pub(super) fn receive(&mut self, packet: &Packet<'_>, credentials: &Credentials<'_>) -> Step {
        let verdict = matches!(packet.code, AUTHENTICATE_ACK | AUTHENTICATE_NAK);
        let ours = packet.id.wrapping_sub(self.first_id) < self.sent;
        if !verdict || !ours || std::mem::replace(&mut self.answered, true) {
            return Step::Nothing;
        }
        self.retry.stop();
        let username = credentials.username.to_owned();
        if packet.code == AUTHENTICATE_ACK {
            return Step::Accepted {
                username,
                login: None,
                reply: None,
            };
        }
        let message = field(packet.data).map_or_else(String::new, |(message, _)| text(message));
        Step::Refused {
            username,
            message,
            reply: None,
        }
    }
}

/// The end that is logged in to.
pub(super) struct Authenticator {
    pub(super) retry: Retry,
    verdict: Option<(u8, &'static str)>,
}

impl Authenticator {
    pub(super) fn new(timers: &Timers) -> Self {
        Self {
            retry: Retry::new(timers),
            verdict: None,
        }
    }

    /// It is the peer's turn; it has as long as a Challenge would have.
    pub(super) fn wait(&mut self, now: Duration) {
        self.retry.sent(now);
    }

    /// A request that another received (RFC 2661 4.4.5): it is judged as if it
    /// had come here.
    pub(super) fn receive_proxy(
        &mut self,
        id: u8,
        name: &[u8],
        password: &[u8],
        logins: &Logins,
    ) -> Step {
        let octets = [name, password].map(|field| u8::try_from(field.len()));
        let [Ok(name_octets), Ok(password_octets)] = octets else {
            return Step::Nothing;
        };
        let packet = Packet {
            code: AUTHENTICATE_REQUEST,
            id,
            data: &[&[name_octets], name, &[password_octets], password].concat(),
        };
        self.receive(&packet, logins)
    }

    /// Judges the first request; every other gets the same answer, also after
    /// authentication (RFC 1334 2.2.1).
    pub(super) fn receive(&mut self, packet: &Packet<'_>, logins: &Logins) -> Step {
        if packet.code != AUTHENTICATE_REQUEST {
            return Step::Nothing;
        }
        if let Some((code, message)) = self.verdict {
            return Step::Send(reply(code, packet.id, message));
        }
        let Some((name, rest)) = field(packet.data) else {
            return Step::Nothing;
        };
        let Some((password, _)) = field(rest) else {
            return Step::Nothing;
        };
        self.retry.stop();
        let fits = |login: &Login| -> bool { login.password.as_bytes().ct_eq(password).into() };
        let mut named = logins.named(name);
        let login = named.find_map(|(place, login)| fits(login).then_some(place));
        let (code, message) = if login.is_some() {
            (AUTHENTICATE_ACK, WELCOME)
        } else {
            (AUTHENTICATE_NAK, UNWELCOME)
        };
        self.verdict = Some((code, message));
        let (username, reply) = (text(name), Some(reply(code, packet.id, message)));
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

#[cfg(test)]
mod tests;
