//! ICMP as a router and a host owe it (RFC 792, RFC 1122 3.2.2, RFC 1812 4.3).

mod limit;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;
use std::time::Duration;

use dataplane::event::IcmpCause;
use smoltcp::wire::{
    Icmpv4DstUnreachable, Icmpv4Message, Icmpv4Packet, Icmpv4TimeExceeded, IpAddress, IpProtocol,
    Ipv4Packet, UdpPacket,
};

use limit::Limit;

const IPV4_HEADER_OCTETS: usize = 20;
const ICMP_HEADER_OCTETS: usize = 8;
/// Largest ICMP error, its IPv4 header counted (RFC 1812, 4.3.2.3).
const ERROR_OCTETS: usize = 576;
const TTL: u8 = 64;
/// Precedence 6, internetwork control (RFC 1812, 4.3.2.5).
const ERROR_TOS: u8 = 0xc0;
/// Two bits of the type of service are ECN's, which is not echoed (RFC 3168, 5).
const DSCP_MASK: u8 = 0xfc;

/// Errors of one cause: 100 a second, 50 at once (RFC 1812, 4.3.2.8).
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
    HostUnreachable,
    ProtocolUnreachable,
    PortUnreachable,
    /// RFC 1191: `mtu` is the largest packet, in octets, that would have passed.
    FragmentationNeeded {
        mtu: u16,
    },
}

impl From<IcmpCause> for Cause {
    fn from(cause: IcmpCause) -> Self {
        match cause {
            IcmpCause::TimeExceeded => Self::TimeExceeded,
            IcmpCause::NetUnreachable => Self::NetUnreachable,
            // IPv4 has no scopes.
            IcmpCause::HostUnreachable | IcmpCause::BeyondScope => Self::HostUnreachable,
            IcmpCause::FragmentationNeeded { mtu } => Self::FragmentationNeeded { mtu },
        }
    }
}

impl Cause {
    /// How many there are, for tables by [`Self::index`].
    pub const COUNT: usize = 6;

    /// The names used in `status`, by [`Self::index`].
    pub const NAMES: [&'static str; Self::COUNT] = [
        "time-exceeded",
        "net-unreachable",
        "host-unreachable",
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
            Self::ProtocolUnreachable => 3,
            Self::PortUnreachable => 4,
            Self::FragmentationNeeded { .. } => 5,
        }
    }

    fn message(self) -> (Icmpv4Message, u8) {
        let code = match self {
            Self::TimeExceeded => {
                let code = Icmpv4TimeExceeded::TtlExpired.into();
                return (Icmpv4Message::TimeExceeded, code);
            }
            Self::NetUnreachable => Icmpv4DstUnreachable::NetUnreachable,
            Self::HostUnreachable => Icmpv4DstUnreachable::HostUnreachable,
            Self::ProtocolUnreachable => Icmpv4DstUnreachable::ProtoUnreachable,
            Self::PortUnreachable => Icmpv4DstUnreachable::PortUnreachable,
            Self::FragmentationNeeded { .. } => Icmpv4DstUnreachable::FragRequired,
        };
        (Icmpv4Message::DstUnreachable, code.into())
    }

    /// The second word of the ICMP header.
    fn second_word(self) -> [u8; 4] {
        match self {
            Self::FragmentationNeeded { mtu } => {
                let [high, low] = mtu.to_be_bytes();
                [0, 0, high, low]
            }
            _ => [0; 4],
        }
    }
}

/// Why a packet got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not a whole IPv4 packet, or a checksum of it is wrong.
    Malformed,
    /// A fragment: errors are about the first one only, and own addresses
    /// take none (there is no reassembly).
    Fragment,
    /// Its source names no single host (RFC 1812, 4.3.2.7).
    Source,
    /// It went to a multicast or broadcast address (RFC 1812, 4.3.2.7).
    Destination,
    /// It is an ICMP error itself, or may be one (RFC 1812, 4.3.2.7).
    AboutError,
    /// An ICMP message to us that is not a request that we answer.
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
/// "protocol unreachable" (RFC 1122, 3.2.2.1), upon which a connection attempt
/// fails at once.
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

    /// Answers an IPv4 packet that went to one of our own addresses (its
    /// destination; the caller has checked that). The answer is a whole IPv4 packet.
    pub fn handle_local(&mut self, now: Duration, packet: &[u8]) -> Option<Vec<u8>> {
        let answer = self.answer_local(now, packet);
        self.count(answer)
    }

    /// The ICMP error about an IPv4 packet that could not be forwarded, from
    /// the own address `source`: a whole IPv4 packet.
    pub fn handle_cause(
        &mut self,
        now: Duration,
        cause: impl Into<Cause>,
        packet: &[u8],
        source: Ipv4Addr,
    ) -> Option<Vec<u8>> {
        let answer = parse(packet).and_then(|ipv4| self.error(now, cause.into(), &ipv4, source));
        self.count(answer)
    }

    fn count(&mut self, answer: Result<Vec<u8>, Refusal>) -> Option<Vec<u8>> {
        if let Err(refusal) = answer {
            self.counters.refused[refusal as usize] += 1;
        }
        answer.ok()
    }

    fn answer_local(&mut self, now: Duration, packet: &[u8]) -> Result<Vec<u8>, Refusal> {
        let ipv4 = parse(packet)?;
        if !ipv4.verify_checksum() {
            return Err(Refusal::Malformed);
        }
        check_addresses(&ipv4)?;
        if ipv4.more_frags() || ipv4.frag_offset() != 0 {
            return Err(Refusal::Fragment);
        }
        let own = ipv4.dst_addr();
        match ipv4.next_header() {
            IpProtocol::Icmp => self.echo_reply(now, &ipv4),
            IpProtocol::Udp => {
                check_udp(&ipv4)?;
                self.error(now, Cause::PortUnreachable, &ipv4, own)
            }
            _ => self.error(now, Cause::ProtocolUnreachable, &ipv4, own),
        }
    }

    /// RFC 792, "Echo or Echo Reply Message"; RFC 1122, 3.2.2.6.
    fn echo_reply(&mut self, now: Duration, ipv4: &Ipv4Packet<&[u8]>) -> Result<Vec<u8>, Refusal> {
        let icmp = Icmpv4Packet::new_checked(ipv4.payload()).map_err(|_| Refusal::Malformed)?;
        if !icmp.verify_checksum() {
            return Err(Refusal::Malformed);
        }
        if icmp.msg_type() != Icmpv4Message::EchoRequest || icmp.msg_code() != 0 {
            return Err(Refusal::NoRequest);
        }
        if !self.echoes.take(now) {
            return Err(Refusal::Limited);
        }
        self.counters.echo_replies_sent += 1;
        let mut message = ipv4.payload().to_vec();
        let mut reply = Icmpv4Packet::new_unchecked(&mut message);
        reply.set_msg_type(Icmpv4Message::EchoReply);
        reply.fill_checksum();
        let tos = ipv4.as_ref()[1] & DSCP_MASK;
        Ok(self.packet(tos, ipv4.dst_addr(), ipv4.src_addr(), &message))
    }

    fn error(
        &mut self,
        now: Duration,
        cause: Cause,
        about: &Ipv4Packet<&[u8]>,
        source: Ipv4Addr,
    ) -> Result<Vec<u8>, Refusal> {
        check_addresses(about)?;
        if about.src_addr() == source {
            return Err(Refusal::Source);
        }
        if about.frag_offset() != 0 {
            return Err(Refusal::Fragment);
        }
        if about.next_header() == IpProtocol::Icmp && !is_query(about.payload()) {
            return Err(Refusal::AboutError);
        }
        if !self.errors[cause.index()].take(now) {
            self.counters.errors_limited[cause.index()] += 1;
            return Err(Refusal::Limited);
        }
        self.counters.errors_sent[cause.index()] += 1;
        let message = error_message(cause, about);
        Ok(self.packet(ERROR_TOS, source, about.src_addr(), &message))
    }

    /// An IPv4 packet around an ICMP message of at most 65515 octets.
    fn packet(
        &mut self,
        tos: u8,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        message: &[u8],
    ) -> Vec<u8> {
        self.identification = self.identification.wrapping_add(1);
        let total_octets = IPV4_HEADER_OCTETS + message.len();
        let mut octets = vec![0; total_octets];
        octets[1] = tos;
        octets[IPV4_HEADER_OCTETS..].copy_from_slice(message);
        let mut packet = Ipv4Packet::new_unchecked(&mut octets);
        packet.set_version(4);
        packet.set_header_len(IPV4_HEADER_OCTETS as u8);
        packet.set_total_len(u16::try_from(total_octets).expect("quoted or echoed from IPv4"));
        packet.set_ident(self.identification);
        packet.set_hop_limit(TTL);
        packet.set_next_header(IpProtocol::Icmp);
        packet.set_src_addr(source);
        packet.set_dst_addr(destination);
        packet.fill_checksum();
        octets
    }
}

/// Reads an IPv4 packet whose header and length are right; its checksum is not looked at.
fn parse(packet: &[u8]) -> Result<Ipv4Packet<&[u8]>, Refusal> {
    let ipv4 = Ipv4Packet::new_checked(packet).map_err(|_| Refusal::Malformed)?;
    if ipv4.version() != 4 || usize::from(ipv4.header_len()) < IPV4_HEADER_OCTETS {
        return Err(Refusal::Malformed);
    }
    Ok(ipv4)
}

/// RFC 1812, 4.3.2.7: no answer to what came from, or went to, no single host.
fn check_addresses(ipv4: &Ipv4Packet<&[u8]>) -> Result<(), Refusal> {
    let source = ipv4.src_addr();
    let is_reserved = source.octets()[0] >= 240;
    if source.octets()[0] == 0 || source.is_loopback() || source.is_multicast() || is_reserved {
        return Err(Refusal::Source);
    }
    let destination = ipv4.dst_addr();
    if destination.is_multicast() || destination.is_broadcast() || destination.is_unspecified() {
        return Err(Refusal::Destination);
    }
    if source == destination {
        return Err(Refusal::Source);
    }
    Ok(())
}

/// A damaged datagram is not worth an answer (RFC 1122, 4.1.3.4).
fn check_udp(ipv4: &Ipv4Packet<&[u8]>) -> Result<(), Refusal> {
    let udp = UdpPacket::new_checked(ipv4.payload()).map_err(|_| Refusal::Malformed)?;
    let source = IpAddress::Ipv4(ipv4.src_addr());
    let destination = IpAddress::Ipv4(ipv4.dst_addr());
    if udp.checksum() != 0 && !udp.verify_checksum(&source, &destination) {
        return Err(Refusal::Malformed);
    }
    Ok(())
}

/// Whether an ICMP message surely is no error: a type known for a query or
/// the answer to one (RFC 1122, 3.2.2; RFC 1256).
fn is_query(message: &[u8]) -> bool {
    matches!(message.first(), Some(0 | 8..=10 | 13..=18))
}

/// The ICMP message, with as much of the packet as fits.
fn error_message(cause: Cause, about: &Ipv4Packet<&[u8]>) -> Vec<u8> {
    let whole = usize::from(about.total_len());
    let quoted = whole.min(ERROR_OCTETS - IPV4_HEADER_OCTETS - ICMP_HEADER_OCTETS);
    let mut message = vec![0; ICMP_HEADER_OCTETS + quoted];
    message[4..ICMP_HEADER_OCTETS].copy_from_slice(&cause.second_word());
    message[ICMP_HEADER_OCTETS..].copy_from_slice(&about.as_ref()[..quoted]);
    let (kind, code) = cause.message();
    let mut icmp = Icmpv4Packet::new_unchecked(&mut message);
    icmp.set_msg_type(kind);
    icmp.set_msg_code(code);
    icmp.fill_checksum();
    message
}
