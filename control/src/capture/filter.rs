//! Which frames are wanted, in the words of tcpdump as far as they go:
//!
//! ```text
//! host ADDRESS, net PREFIX, port NUMBER   with `src` or `dst`, and with `inner` or `outer`, before it if wanted
//! udp, tcp, icmp, arp, l2tp               `udp port 5004` is `udp and port 5004`
//! first, duplicate, late, dropped         what became of it
//! and, or, not, ( )
//! ```
//!
//! `outer` is the packet that carries L2TP, `inner` the one that is carried: in a
//! tunnel, or on a LAN by itself. Without either, both are looked at.

use std::fmt;
use std::net::IpAddr;

use dataplane::command::Prefix;
use dataplane::headers::ipv4;

use super::packet::{Ip, Packet};

/// ICMPv6 (RFC 4443, 1).
const PROTOCOL_ICMPV6: u8 = 58;
/// Parentheses and `not` in each other.
const MOST_DEPTH: usize = 32;
/// More words than that are no filter of a person.
const MOST_WORDS: usize = 500;

const KNOWN: &str = "host, net, port (after inner, outer, src, dst), udp, tcp, icmp, arp, l2tp, first, duplicate, late, dropped, and, or, not, ( )";

/// Which frames are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(Option<Expression>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Expression {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Address(Layer, End, Prefix),
    Port(Layer, End, u16),
    Protocol(Protocol),
    Outcome(Outcome),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    Both,
    Inner,
    Outer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Either,
    Source,
    Destination,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Udp,
    Tcp,
    Icmp,
    Arp,
    L2tp,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    First,
    Duplicate,
    TooLate,
    /// For another reason than the two before.
    Dropped,
}

/// What is wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterError {
    /// Nothing begins with this word.
    Unknown(String),
    /// It ends where this was expected.
    Ends(&'static str),
    /// This stands where something else was expected.
    Expected(&'static str, String),
    /// No address.
    Address(String),
    /// No network.
    Prefix(String),
    /// No port.
    Port(String),
    /// There is no `)` to the `(`.
    Open,
    /// Something follows what is whole.
    Left(String),
    Deep,
    Long,
}

impl fmt::Display for FilterError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(word) => {
                write!(formatter, "{word:?} is no word of a filter; known: {KNOWN}")
            }
            Self::Ends(expected) => {
                write!(formatter, "the filter ends where {expected} should follow")
            }
            Self::Expected(expected, word) => {
                write!(formatter, "{word:?} stands where {expected} should")
            }
            Self::Address(word) => write!(
                formatter,
                "{word:?} is no address; `host` takes one of IPv4 or IPv6, as 192.0.2.1, no name"
            ),
            Self::Prefix(word) => write!(
                formatter,
                "{word:?} is no network; `net` takes one as 192.0.2.0/24"
            ),
            Self::Port(word) => write!(
                formatter,
                "{word:?} is no port; `port` takes a number up to 65535"
            ),
            Self::Open => write!(formatter, "a `(` has no `)`"),
            Self::Left(word) => write!(
                formatter,
                "{word:?} follows what is whole; `and` or `or` should stand before it"
            ),
            Self::Deep => write!(
                formatter,
                "more than {MOST_DEPTH} `(` and `not` in each other"
            ),
            Self::Long => write!(formatter, "more than {MOST_WORDS} words"),
        }
    }
}

impl std::error::Error for FilterError {}

impl Filter {
    /// Reads a filter. Without a word it wants everything.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let text = text.replace('(', " ( ").replace(')', " ) ");
        let words: Vec<&str> = text.split_whitespace().collect();
        if words.len() > MOST_WORDS {
            return Err(FilterError::Long);
        }
        if words.is_empty() {
            return Ok(Self(None));
        }
        let mut parser = Parser {
            words: &words,
            depth: 0,
        };
        let expression = parser.any()?;
        match parser.words.first() {
            None => Ok(Self(Some(expression))),
            Some(word) => Err(FilterError::Left((*word).to_owned())),
        }
    }

    /// Whether a frame is wanted of which nothing is known but its first octets, and how many it had.
    #[must_use]
    pub fn wants_octets(&self, kept: &[u8], octets: usize) -> bool {
        self.wants(&Packet::read(kept, octets), None)
    }

    /// Whether a frame is wanted.
    pub(super) fn wants(&self, packet: &Packet, outcome: Option<Outcome>) -> bool {
        let expression = self.0.as_ref();
        expression.is_none_or(|expression| expression.holds(packet, outcome))
    }
}

impl Expression {
    fn holds(&self, packet: &Packet, outcome: Option<Outcome>) -> bool {
        match self {
            Self::All(all) => all.iter().all(|it| it.holds(packet, outcome)),
            Self::Any(any) => any.iter().any(|it| it.holds(packet, outcome)),
            Self::Not(it) => !it.holds(packet, outcome),
            Self::Address(layer, end, prefix) => layer.of(packet).any(|ip| {
                let ends = (prefix.contains(ip.source), prefix.contains(ip.destination));
                end.holds(ends)
            }),
            Self::Port(layer, end, port) => layer.of(packet).any(|ip| {
                let ends = |(source, destination)| (source == *port, destination == *port);
                ip.ports.is_some_and(|ports| end.holds(ends(ports)))
            }),
            Self::Protocol(protocol) => protocol.holds(packet),
            Self::Outcome(wanted) => outcome == Some(*wanted),
        }
    }
}

impl Layer {
    fn of(self, packet: &Packet) -> impl Iterator<Item = &Ip> {
        let inner = packet.inner.as_ref().filter(|_| self != Self::Outer);
        let outer = packet.outer.as_ref().filter(|_| self != Self::Inner);
        inner.into_iter().chain(outer)
    }
}

impl End {
    fn holds(self, (source, destination): (bool, bool)) -> bool {
        match self {
            Self::Either => source || destination,
            Self::Source => source,
            Self::Destination => destination,
        }
    }
}

impl Protocol {
    /// Of what is carried; of what carries only L2TP.
    fn holds(self, packet: &Packet) -> bool {
        let carried = packet.inner.map(|ip| ip.protocol);
        match self {
            Self::Udp => carried == Some(ipv4::PROTOCOL_UDP),
            Self::Tcp => carried == Some(ipv4::PROTOCOL_TCP),
            Self::Icmp => matches!(carried, Some(ipv4::PROTOCOL_ICMP | PROTOCOL_ICMPV6)),
            Self::Arp => packet.is_arp,
            Self::L2tp => packet.tunnelled.is_some(),
        }
    }
}

struct Parser<'a> {
    words: &'a [&'a str],
    depth: usize,
}

impl<'a> Parser<'a> {
    /// The next word, if it is this one.
    fn take(&mut self, word: &str) -> bool {
        let is_next = self.words.first() == Some(&word);
        if is_next {
            self.words = &self.words[1..];
        }
        is_next
    }

    fn next(&mut self, expected: &'static str) -> Result<&'a str, FilterError> {
        let (word, rest) = self
            .words
            .split_first()
            .ok_or(FilterError::Ends(expected))?;
        self.words = rest;
        Ok(word)
    }

    fn any(&mut self) -> Result<Expression, FilterError> {
        let mut any = vec![self.all()?];
        while self.take("or") {
            any.push(self.all()?);
        }
        Ok(one_or(any, Expression::Any))
    }

    fn all(&mut self) -> Result<Expression, FilterError> {
        let mut all = vec![self.one()?];
        while self.take("and") {
            all.push(self.one()?);
        }
        Ok(one_or(all, Expression::All))
    }

    fn one(&mut self) -> Result<Expression, FilterError> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(FilterError::Deep);
        }
        let expression = if self.take("not") {
            Expression::Not(Box::new(self.one()?))
        } else if self.take("(") {
            let expression = self.any()?;
            if !self.take(")") {
                return Err(match self.words.first() {
                    None => FilterError::Open,
                    Some(word) => FilterError::Left((*word).to_owned()),
                });
            }
            expression
        } else {
            self.primitive()?
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn primitive(&mut self) -> Result<Expression, FilterError> {
        let word = *self
            .words
            .first()
            .ok_or(FilterError::Ends("a condition, as `host 192.0.2.1`,"))?;
        let protocol = match word {
            "udp" => Some(Protocol::Udp),
            "tcp" => Some(Protocol::Tcp),
            "icmp" => Some(Protocol::Icmp),
            "arp" => Some(Protocol::Arp),
            "l2tp" => Some(Protocol::L2tp),
            _ => None,
        };
        if let Some(protocol) = protocol {
            self.words = &self.words[1..];
            let expression = Expression::Protocol(protocol);
            let has_ports = matches!(protocol, Protocol::Udp | Protocol::Tcp);
            if has_ports && matches!(self.words.first(), Some(&("port" | "src" | "dst"))) {
                // Its own ports, not those of what carries it.
                let address = self.address(Layer::Inner)?;
                return Ok(Expression::All(vec![expression, address]));
            }
            return Ok(expression);
        }
        let outcome = match word {
            "first" => Some(Outcome::First),
            "duplicate" => Some(Outcome::Duplicate),
            "late" => Some(Outcome::TooLate),
            "dropped" => Some(Outcome::Dropped),
            _ => None,
        };
        if let Some(outcome) = outcome {
            self.words = &self.words[1..];
            return Ok(Expression::Outcome(outcome));
        }
        if self.take("inner") {
            self.address(Layer::Inner)
        } else if self.take("outer") {
            self.address(Layer::Outer)
        } else {
            self.address(Layer::Both)
        }
    }

    fn address(&mut self, layer: Layer) -> Result<Expression, FilterError> {
        let mut is_begun = layer != Layer::Both;
        let end = if self.take("src") {
            End::Source
        } else if self.take("dst") {
            End::Destination
        } else {
            End::Either
        };
        is_begun |= end != End::Either;
        match self.next("`host`, `net` or `port`")? {
            "host" => {
                let word = self.next("an address")?;
                let address: IpAddr = word
                    .parse()
                    .map_err(|_| FilterError::Address(word.to_owned()))?;
                Ok(Expression::Address(layer, end, Prefix::host(address)))
            }
            "net" => {
                let word = self.next("a network")?;
                let prefix = prefix(word).ok_or_else(|| FilterError::Prefix(word.to_owned()))?;
                Ok(Expression::Address(layer, end, prefix))
            }
            "port" => {
                let word = self.next("a port")?;
                let port = word
                    .parse()
                    .map_err(|_| FilterError::Port(word.to_owned()))?;
                Ok(Expression::Port(layer, end, port))
            }
            word if is_begun => Err(FilterError::Expected(
                "`host`, `net` or `port`",
                word.to_owned(),
            )),
            word => Err(FilterError::Unknown(word.to_owned())),
        }
    }
}

fn one_or(mut all: Vec<Expression>, of: fn(Vec<Expression>) -> Expression) -> Expression {
    match all.pop() {
        Some(only) if all.is_empty() => only,
        last => {
            all.extend(last);
            of(all)
        }
    }
}

fn prefix(text: &str) -> Option<Prefix> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let length: u8 = length.parse().ok()?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    (length <= bits).then(|| Prefix::new(address, length))
}

#[cfg(test)]
mod tests;
