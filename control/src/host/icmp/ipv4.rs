//! The forms of ICMP for IPv4 (RFC 792, RFC 1122 3.2.2, RFC 1812 4.3).

use std::net::Ipv4Addr;

use smoltcp::wire::{
    Icmpv4DstUnreachable, Icmpv4Message, Icmpv4Packet, Icmpv4TimeExceeded, IpAddress, IpProtocol,
    Ipv4Packet, UdpPacket,
};

use super::{Cause, DSCP_MASK, ERROR_TOS, HOP_LIMIT, ICMP_HEADER_OCTETS, Refusal, Request};

const HEADER_OCTETS: usize = 20;
/// Largest ICMP error, its IPv4 header counted (RFC 1812, 4.3.2.3).
const ERROR_OCTETS: usize = 576;

pub(super) type Packet<'p> = Ipv4Packet<&'p [u8]>;

/// Reads an IPv4 packet whose header and length are right; its checksum is not looked at.
pub(super) fn parse(packet: &[u8]) -> Result<Packet<'_>, Refusal> {
    let ipv4 = Ipv4Packet::new_checked(packet).map_err(|_| Refusal::Malformed)?;
    if ipv4.version() != 4 || usize::from(ipv4.header_len()) < HEADER_OCTETS {
        return Err(Refusal::Malformed);
    }
    Ok(ipv4)
}

/// What a packet to an own address wants.
pub(super) fn request(ipv4: &Packet<'_>) -> Result<Request, Refusal> {
    if !ipv4.verify_checksum() {
        return Err(Refusal::Malformed);
    }
    check_addresses(ipv4)?;
    if ipv4.more_frags() || ipv4.frag_offset() != 0 {
        return Err(Refusal::Fragment);
    }
    match ipv4.next_header() {
        IpProtocol::Icmp => check_echo(ipv4).map(|()| Request::Echo),
        IpProtocol::Udp => check_udp(ipv4).map(|()| Request::Refused(Cause::PortUnreachable)),
        _ => Ok(Request::Refused(Cause::ProtocolUnreachable)),
    }
}

fn check_echo(ipv4: &Packet<'_>) -> Result<(), Refusal> {
    let icmp = Icmpv4Packet::new_checked(ipv4.payload()).map_err(|_| Refusal::Malformed)?;
    if !icmp.verify_checksum() {
        return Err(Refusal::Malformed);
    }
    if icmp.msg_type() != Icmpv4Message::EchoRequest || icmp.msg_code() != 0 {
        return Err(Refusal::NoRequest);
    }
    Ok(())
}

/// RFC 792, "Echo or Echo Reply Message"; RFC 1122, 3.2.2.6.
pub(super) fn echo_reply(ipv4: &Packet<'_>, identification: u16) -> Vec<u8> {
    let mut message = ipv4.payload().to_vec();
    let mut reply = Icmpv4Packet::new_unchecked(&mut message);
    reply.set_msg_type(Icmpv4Message::EchoReply);
    reply.fill_checksum();
    let tos = ipv4.as_ref()[1] & DSCP_MASK;
    packet(
        tos,
        ipv4.dst_addr(),
        ipv4.src_addr(),
        identification,
        &message,
    )
}

/// Whether an error from `source` may be sent about a packet.
pub(super) fn check_tellable(about: &Packet<'_>, source: Ipv4Addr) -> Result<(), Refusal> {
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
    Ok(())
}

/// The error, with as much of the packet as fits.
pub(super) fn error(
    cause: Cause,
    about: &Packet<'_>,
    source: Ipv4Addr,
    identification: u16,
) -> Vec<u8> {
    let whole = usize::from(about.total_len());
    let quoted = whole.min(ERROR_OCTETS - HEADER_OCTETS - ICMP_HEADER_OCTETS);
    let mut message = vec![0; ICMP_HEADER_OCTETS + quoted];
    message[4..ICMP_HEADER_OCTETS].copy_from_slice(&second_word(cause));
    message[ICMP_HEADER_OCTETS..].copy_from_slice(&about.as_ref()[..quoted]);
    let (kind, code) = kind(cause);
    let mut icmp = Icmpv4Packet::new_unchecked(&mut message);
    icmp.set_msg_type(kind);
    icmp.set_msg_code(code);
    icmp.fill_checksum();
    packet(
        ERROR_TOS,
        source,
        about.src_addr(),
        identification,
        &message,
    )
}

fn kind(cause: Cause) -> (Icmpv4Message, u8) {
    let code = match cause {
        Cause::TimeExceeded => {
            let code = Icmpv4TimeExceeded::TtlExpired.into();
            return (Icmpv4Message::TimeExceeded, code);
        }
        Cause::NetUnreachable => Icmpv4DstUnreachable::NetUnreachable,
        Cause::HostUnreachable | Cause::BeyondScope => Icmpv4DstUnreachable::HostUnreachable,
        Cause::ProtocolUnreachable => Icmpv4DstUnreachable::ProtoUnreachable,
        Cause::PortUnreachable => Icmpv4DstUnreachable::PortUnreachable,
        Cause::FragmentationNeeded { .. } => Icmpv4DstUnreachable::FragRequired,
    };
    (Icmpv4Message::DstUnreachable, code.into())
}

/// The second word of the ICMP header (RFC 1191, 4).
fn second_word(cause: Cause) -> [u8; 4] {
    match cause {
        Cause::FragmentationNeeded { mtu } => u32::from(mtu).to_be_bytes(),
        _ => [0; 4],
    }
}

/// An IPv4 packet around an ICMP message of at most 65515 octets.
fn packet(
    tos: u8,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    identification: u16,
    message: &[u8],
) -> Vec<u8> {
    let total_octets = HEADER_OCTETS + message.len();
    let mut octets = vec![0; total_octets];
    octets[1] = tos;
    octets[HEADER_OCTETS..].copy_from_slice(message);
    let mut packet = Ipv4Packet::new_unchecked(&mut octets);
    packet.set_version(4);
    packet.set_header_len(HEADER_OCTETS as u8);
    packet.set_total_len(u16::try_from(total_octets).expect("quoted or echoed from IPv4"));
    packet.set_ident(identification);
    packet.set_hop_limit(HOP_LIMIT);
    packet.set_next_header(IpProtocol::Icmp);
    packet.set_src_addr(source);
    packet.set_dst_addr(destination);
    packet.fill_checksum();
    octets
}

/// RFC 1812, 4.3.2.7: no answer to what came from, or went to, no single host.
fn check_addresses(ipv4: &Packet<'_>) -> Result<(), Refusal> {
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
fn check_udp(ipv4: &Packet<'_>) -> Result<(), Refusal> {
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
