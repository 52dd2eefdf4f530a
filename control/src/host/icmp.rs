//! ICMP as a router and a host owe it, of both families: who is answered and how
//! often. `ipv4` and `ipv6` hold the forms.

mod ipv4;
mod ipv6;
mod limit;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use dataplane::event::IcmpCause;

pub use ipv6::{TooBig, too_big};
use limit::Limit;

/// Octets of the header of an error and of an echo.
const ICMP_HEADER_OCTETS: usize = 8;
/// Precedence 6, internetwork control (RFC 1812, 4.3.2.5), which is DSCP CS6.
const ERROR_TOS: u8 = 0xc0;
/// Two bits of the type of service are ECN's, which is not echoed (RFC 3168, 5).
const DSCP_MASK: u8 = 0xfc;
/// Hop limit, or time to live, of what starts here.
const HOP_LIMIT: u8 = 64;

/// Errors of one cause: 100 a second, 50 at once (RFC 1812, 4.3.2.8; RFC 4443, 2.4 f).
const ERRORS_PER_SECOND: u32 = 100;
const ERROR_BURST: u32 = 50;
/// Echo replies are what pings measure, so they get more room.
const ECHOES_PER_SECOND: u32 = 5000;
const ECHO_BURST: u32 = 1000;

/// What an ICMP error says about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    TimeExceeded,
    NetUnreachable,
    /// Over IPv6: address unreachable.
    HostUnreachable,
    /// The destination is beyond the scope of the source address: IPv4 has no
    /// scopes, and calls the host unreachable.
    BeyondScope,
    /// Over IPv6: an unrecognised next header.
    ProtocolUnreachable,
    PortUnreachable,
    /// RFC 1191; over IPv6: packet too big. `mtu` is the largest packet, in
    /// octets, that would have passed.
    FragmentationNeeded {
        mtu: u16,
    },
}

impl From<IcmpCause> for Cause {
    fn from(cause: IcmpCause) -> Self {
        match cause {
            IcmpCause::TimeExceeded => Self::TimeExceeded,
            IcmpCause::NetUnreachable => Self::NetUnreachable,
            IcmpCause::HostUnreachable => Self::HostUnreachable,
            IcmpCause::BeyondScope => Self::BeyondScope,
            IcmpCause::FragmentationNeeded { mtu } => Self::FragmentationNeeded { mtu },
        }
    }
}

impl Cause {
    /// How many there are, for tables by [`Self::index`].
    pub const COUNT: usize = 7;

    /// The names used in `status`, by [`Self::index`].
    pub const NAMES: [&'static str; Self::COUNT] = [
        "time-exceeded",
        "net-unreachable",
        "host-unreachable",
        "beyond-scope",
        "protocol-unreachable",
        "port-unreachable",
        "fragmentation-needed",
    ];

    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::TimeExceeded => 0,
            Self::NetUnreachable => 1,
            Self::HostUnreachable => 2,
            Self::BeyondScope => 3,
            Self::ProtocolUnreachable => 4,
            Self::PortUnreachable => 5,
            Self::FragmentationNeeded { .. } => 6,
        }
    }
}

/// Why a packet got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not a whole IP packet, or a checksum of it is wrong.
    Malformed,
    /// A fragment: errors are about the first one only (RFC 1812, 4.3.2.7; of a
    /// later one it is not known whether it carries an error itself), and own
    /// addresses take none (there is no reassembly).
    Fragment,
    /// Its source names no single host (RFC 1812, 4.3.2.7; RFC 4443, 2.4 e).
    Source,
    /// It went to a multicast or broadcast address (the same).
    Destination,
    /// It is an ICMP error itself, or may be one (the same).
    AboutError,
    /// A message to us that is not a request that we answer.
    NoRequest,
    /// The token bucket of its cause is empty.
    Limited,
}

impl Refusal {
    pub const ALL: [Self; 7] = [
        Self::Malformed,
        Self::Fragment,
        Self::Source,
        Self::Destination,
        Self::AboutError,
        Self::NoRequest,
        Self::Limited,
    ];

    /// The name used in `status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Fragment => "fragment",
            Self::Source => "source",
            Self::Destination => "destination",
            Self::AboutError => "about-error",
            Self::NoRequest => "no-request",
            Self::Limited => "limited",
        }
    }
}

/// What has been counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IcmpCounters {
    pub echo_replies_sent: u64,
    /// By [`Cause::index`].
    pub errors_sent: [u64; Cause::COUNT],
    /// By [`Cause::index`]; they are among the `refused` too.
    pub errors_limited: [u64; Cause::COUNT],
    refused: [u64; Refusal::ALL.len()],
}

impl IcmpCounters {
    /// Packets that got no answer for this reason.
    #[must_use]
    pub const fn refused(&self, refusal: Refusal) -> u64 {
        self.refused[refusal as usize]
    }
}

/// Answers packets with ICMP, at a limited rate.
///
/// Of the packets to own addresses, pings are answered. UDP gets "port
/// unreachable"; TCP, like every other protocol that nothing here speaks,
/// "protocol unreachable" (RFC 1122, 3.2.2.1; RFC 4443, 3.4), upon which a
/// connection attempt fails at once.
#[derive(Debug)]
pub struct Icmp {
    errors: [Limit; Cause::COUNT],
    echoes: Limit,
    identification: u16,
    counters: IcmpCounters,
}

impl Default for Icmp {
    fn default() -> Self {
        Self::new()
    }
}

impl Icmp {
    #[must_use]
    pub fn new() -> Self {
        Self {
            errors: std::array::from_fn(|_| Limit::new(ERRORS_PER_SECOND, ERROR_BURST)),
            echoes: Limit::new(ECHOES_PER_SECOND, ECHO_BURST),
            identification: 0,
            counters: IcmpCounters::default(),
        }
    }

    #[must_use]
    pub fn counters(&self) -> &IcmpCounters {
        &self.counters
    }

    /// Answers a packet that went to one of our own addresses (its destination;
    /// the caller has checked that). The answer is a whole IP packet.
    pub fn handle_local(&mut self, now: Duration, packet: &[u8]) -> Option<Vec<u8>> {
        let answer = match version(packet) {
            6 => ipv6::parse(packet).and_then(|about| match ipv6::request(&about)? {
                Request::Echo => self.echo(now).map(|_| ipv6::echo_reply(&about)),
                Request::Refused(cause) => {
                    let own = about.destination();
                    self.error(now, cause, &About::Ipv6(about, own))
                }
            }),
            _ => ipv4::parse(packet).and_then(|about| match ipv4::request(&about)? {
                Request::Echo => self.echo(now).map(|id| ipv4::echo_reply(&about, id)),
                Request::Refused(cause) => {
                    let own = about.dst_addr();
                    self.error(now, cause, &About::Ipv4(about, own))
                }
            }),
        };
        self.count(answer)
    }

    /// The ICMP error about a packet that could not be forwarded, from the own
    /// address `source`, of the packet's family: a whole IP packet.
    pub fn handle_cause(
        &mut self,
        now: Duration,
        cause: impl Into<Cause>,
        packet: &[u8],
        source: IpAddr,
    ) -> Option<Vec<u8>> {
        let about = match (version(packet), source) {
            (4, IpAddr::V4(source)) => ipv4::parse(packet).map(|it| About::Ipv4(it, source)),
            (6, IpAddr::V6(source)) => ipv6::parse(packet).map(|it| About::Ipv6(it, source)),
            _ => Err(Refusal::Malformed),
        };
        let answer = about.and_then(|about| self.error(now, cause.into(), &about));
        self.count(answer)
    }

    fn count(&mut self, answer: Result<Vec<u8>, Refusal>) -> Option<Vec<u8>> {
        if let Err(refusal) = answer {
            self.counters.refused[refusal as usize] += 1;
        }
        answer.ok()
    }

    /// Whether an echo may be answered now; the identification of the answer.
    fn echo(&mut self, now: Duration) -> Result<u16, Refusal> {
        if !self.echoes.take(now) {
            return Err(Refusal::Limited);
        }
        self.counters.echo_replies_sent += 1;
        Ok(self.next_identification())
    }

    fn error(
        &mut self,
        now: Duration,
        cause: Cause,
        about: &About<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        match about {
            About::Ipv4(packet, source) => ipv4::check_tellable(packet, *source)?,
            About::Ipv6(packet, source) => ipv6::check_tellable(packet, *source)?,
        }
        if !self.errors[cause.index()].take(now) {
            self.counters.errors_limited[cause.index()] += 1;
            return Err(Refusal::Limited);
        }
        self.counters.errors_sent[cause.index()] += 1;
        Ok(match about {
            About::Ipv4(packet, source) => {
                ipv4::error(cause, packet, *source, self.next_identification())
            }
            About::Ipv6(packet, source) => ipv6::error(cause, packet, *source),
        })
    }

    fn next_identification(&mut self) -> u16 {
        self.identification = self.identification.wrapping_add(1);
        self.identification
    }
}

/// What somebody wants of an own address.
enum Request {
    Echo,
    /// Nothing that we have.
    Refused(Cause),
}

/// The packet that an error is about, and the own address that tells.
enum About<'p> {
    Ipv4(ipv4::Packet<'p>, Ipv4Addr),
    Ipv6(ipv6::Packet<'p>, Ipv6Addr),
}

fn version(packet: &[u8]) -> u8 {
    packet.first().map_or(0, |octet| octet >> 4)
}
