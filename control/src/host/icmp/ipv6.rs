//! The forms of ICMP for IPv6 (RFC 4443).

use std::net::{Ipv6Addr, SocketAddr};

use dataplane::headers::ipv6::{self, Ipv6, UpperLayer};
use dataplane::headers::udp;
use smoltcp::wire::{
    Icmpv6DstUnreachable, Icmpv6Message, Icmpv6Packet, Icmpv6ParamProblem, Icmpv6TimeExceeded,
    IpAddress, UdpPacket,
};

use super::{Cause, DSCP_MASK, ERROR_TOS, ICMP_HEADER_OCTETS, Refusal, Request};

/// Redirect, which is told apart from the errors by its number only (RFC 4443, 2.4 e).
const REDIRECT: u8 = 137;
/// Errors have the types below (RFC 4443, 2.1).
const INFORMATIONAL: u8 = 128;

/// A whole packet, without what follows it in its frame.
pub(super) struct Packet<'p> {
    octets: &'p [u8],
    header: Ipv6,
    upper: UpperLayer,
}

impl Packet<'_> {
    pub(super) fn destination(&self) -> Ipv6Addr {
        self.header.destination
    }

    /// What the last header stands before.
    fn upper_layer(&self) -> &[u8] {
        &self.octets[self.upper.offset..]
    }
}

/// Reads a packet with its extension headers.
pub(super) fn parse(packet: &[u8]) -> Result<Packet<'_>, Refusal> {
    let header = ipv6::parse(packet).map_err(|_| Refusal::Malformed)?;
    let upper = ipv6::upper_layer(&header, packet).map_err(|_| Refusal::Malformed)?;
    Ok(Packet {
        octets: &packet[..header.total_octets],
        header,
        upper,
    })
}

/// A router's word that a datagram of ours was too big for its next line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooBig<'p> {
    /// What the line carries, octets.
    pub mtu: u32,
    /// Where the datagram was from, and where it went.
    pub source: SocketAddr,
    pub destination: SocketAddr,
    /// What it had behind its UDP header, as far as it is quoted.
    pub payload: &'p [u8],
}

/// Reads a Packet Too Big about a UDP datagram (RFC 4443, 3.2).
pub fn too_big(packet: &[u8]) -> Option<TooBig<'_>> {
    let about = parse(packet).ok()?;
    check_addresses(&about).ok()?;
    let message = about.octets.get(about.upper.offset..)?;
    let icmp = Icmpv6Packet::new_checked(message).ok()?;
    let is_it = about.upper.protocol == ipv6::NEXT_ICMPV6
        && !about.upper.is_fragment()
        && icmp.msg_type() == Icmpv6Message::PktTooBig
        && icmp.verify_checksum(&about.header.source, &about.header.destination);
    if !is_it {
        return None;
    }
    let quoted = message.get(ICMP_HEADER_OCTETS..)?;
    let header = ipv6::parse_start(quoted).ok()?;
    let [s0, s1, d0, d1, _, _, _, _] = *quoted.get(ipv6::HEADER_OCTETS..)?.first_chunk()?;
    let is_ours = header.next_header == ipv6::NEXT_UDP && header.source == about.header.destination;
    is_ours.then(|| TooBig {
        mtu: icmp.pkt_too_big_mtu(),
        source: (header.source, u16::from_be_bytes([s0, s1])).into(),
        destination: (header.destination, u16::from_be_bytes([d0, d1])).into(),
        payload: &quoted[ipv6::HEADER_OCTETS + udp::HEADER_OCTETS..],
    })
}

/// What a packet to an own address wants.
pub(super) fn request(about: &Packet<'_>) -> Result<Request, Refusal> {
    check_addresses(about)?;
    if about.upper.is_fragment() {
        return Err(Refusal::Fragment);
    }
    match about.upper.protocol {
        ipv6::NEXT_ICMPV6 => check_echo(about).map(|()| Request::Echo),
        ipv6::NEXT_UDP => check_udp(about).map(|()| Request::Refused(Cause::PortUnreachable)),
        ipv6::NEXT_NONE => Err(Refusal::NoRequest),
        _ => Ok(Request::Refused(Cause::ProtocolUnreachable)),
    }
}

fn check_echo(about: &Packet<'_>) -> Result<(), Refusal> {
    let message = about.upper_layer();
    let icmp = Icmpv6Packet::new_unchecked(message);
    if message.len() < ICMP_HEADER_OCTETS
        || !icmp.verify_checksum(&about.header.source, &about.header.destination)
    {
        return Err(Refusal::Malformed);
    }
    if icmp.msg_type() != Icmpv6Message::EchoRequest || icmp.msg_code() != 0 {
        return Err(Refusal::NoRequest);
    }
    Ok(())
}

/// RFC 4443, 4.2.
pub(super) fn echo_reply(about: &Packet<'_>) -> Vec<u8> {
    let traffic_class = about.octets[0] << 4 | about.octets[1] >> 4;
    let mut message = about.upper_layer().to_vec();
    Icmpv6Packet::new_unchecked(&mut message).set_msg_type(Icmpv6Message::EchoReply);
    packet(
        traffic_class & DSCP_MASK,
        about.header.destination,
        about.header.source,
        message,
    )
}

/// Whether an error from `source` may be sent about a packet (RFC 4443, 2.4 e).
pub(super) fn check_tellable(about: &Packet<'_>, source: Ipv6Addr) -> Result<(), Refusal> {
    check_addresses(about)?;
    if about.header.source == source {
        return Err(Refusal::Source);
    }
    let is_later = |fragment: ipv6::Fragment| fragment.fragment_offset_octets != 0;
    if about.upper.fragment.is_some_and(is_later) {
        return Err(Refusal::Fragment);
    }
    let is_query = |kind: &u8| *kind >= INFORMATIONAL && *kind != REDIRECT;
    if about.upper.protocol == ipv6::NEXT_ICMPV6
        && !about.upper_layer().first().is_some_and(is_query)
    {
        return Err(Refusal::AboutError);
    }
    Ok(())
}

/// The error, with as much of the packet as every link carries.
pub(super) fn error(cause: Cause, about: &Packet<'_>, source: Ipv6Addr) -> Vec<u8> {
    let room = usize::from(ipv6::MIN_MTU) - ipv6::HEADER_OCTETS - ICMP_HEADER_OCTETS;
    let quoted = &about.octets[..about.octets.len().min(room)];
    let (kind, code) = kind(cause);
    let mut message = vec![0; ICMP_HEADER_OCTETS];
    message[4..].copy_from_slice(&second_word(cause, about));
    message.extend_from_slice(quoted);
    let mut icmp = Icmpv6Packet::new_unchecked(&mut message);
    icmp.set_msg_type(kind);
    icmp.set_msg_code(code);
    packet(ERROR_TOS, source, about.header.source, message)
}

fn kind(cause: Cause) -> (Icmpv6Message, u8) {
    let unreachable = |code: Icmpv6DstUnreachable| (Icmpv6Message::DstUnreachable, code.into());
    match cause {
        Cause::TimeExceeded => (
            Icmpv6Message::TimeExceeded,
            Icmpv6TimeExceeded::HopLimitExceeded.into(),
        ),
        Cause::NetUnreachable => unreachable(Icmpv6DstUnreachable::NoRoute),
        Cause::HostUnreachable => unreachable(Icmpv6DstUnreachable::AddrUnreachable),
        Cause::BeyondScope => unreachable(Icmpv6DstUnreachable::BeyondScope),
        Cause::PortUnreachable => unreachable(Icmpv6DstUnreachable::PortUnreachable),
        Cause::ProtocolUnreachable => (
            Icmpv6Message::ParamProblem,
            Icmpv6ParamProblem::UnrecognizedNxtHdr.into(),
        ),
        Cause::FragmentationNeeded { .. } => (Icmpv6Message::PktTooBig, 0),
    }
}

/// The second word of the ICMP header (RFC 4443, 3.1 to 3.4).
fn second_word(cause: Cause, about: &Packet<'_>) -> [u8; 4] {
    let word = match cause {
        Cause::FragmentationNeeded { mtu } => u32::from(mtu),
        // Below the length of a packet, which has 16 bits.
        Cause::ProtocolUnreachable => about.upper.named_at as u32,
        _ => 0,
    };
    word.to_be_bytes()
}

/// An IPv6 packet around an ICMP message without its checksum.
fn packet(
    traffic_class: u8,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    mut message: Vec<u8>,
) -> Vec<u8> {
    Icmpv6Packet::new_unchecked(&mut message).fill_checksum(&source, &destination);
    let octets = u16::try_from(message.len()).expect("quoted or echoed from IPv6");
    let mut packet = ipv6::header(source, destination, ipv6::NEXT_ICMPV6, octets).to_vec();
    packet[0] |= traffic_class >> 4;
    packet[1] |= traffic_class << 4;
    packet.extend_from_slice(&message);
    packet
}

/// No answer to what came from, or went to, no single host.
fn check_addresses(about: &Packet<'_>) -> Result<(), Refusal> {
    let (source, destination) = (about.header.source, about.header.destination);
    if ipv6::is_martian_source(source) || source == destination {
        return Err(Refusal::Source);
    }
    if destination.is_multicast() || ipv6::is_martian_destination(destination) {
        return Err(Refusal::Destination);
    }
    Ok(())
}

/// A damaged datagram is not worth an answer, and one without a checksum is
/// damaged (RFC 8200, 8.1).
fn check_udp(about: &Packet<'_>) -> Result<(), Refusal> {
    let udp = UdpPacket::new_checked(about.upper_layer()).map_err(|_| Refusal::Malformed)?;
    let source = IpAddress::Ipv6(about.header.source);
    let destination = IpAddress::Ipv6(about.header.destination);
    if udp.checksum() == 0 || !udp.verify_checksum(&source, &destination) {
        return Err(Refusal::Malformed);
    }
    Ok(())
}
