//! Messages of neighbour discovery that ask for a neighbour or tell of one
//! (RFC 4861, 4.3 and 4.4), with their Ethernet and IPv6 headers, by smoltcp's
//! formats.

use std::net::Ipv6Addr;

use dataplane::headers::icmpv6::NEIGHBOUR_DISCOVERY_HOP_LIMIT;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, Icmpv6Packet, IpProtocol,
    Ipv6Packet, NdiscNeighborFlags, NdiscRepr, RawHardwareAddress,
};

const ETHERNET_OCTETS: usize = 14;
const IPV6_OCTETS: usize = 40;

pub(crate) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const SOLICITED_NODE: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0);

/// The group in which `address` is asked for (RFC 4291, 2.7.1).
pub(super) fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(SOLICITED_NODE.to_bits() | address.to_bits() & 0xff_ffff)
}

/// The hardware address of a multicast group (RFC 2464, 7).
pub(crate) fn group_mac(group: Ipv6Addr) -> [u8; 6] {
    let [.., a, b, c, d] = group.octets();
    [0x33, 0x33, a, b, c, d]
}

/// A neighbour solicitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Solicitation {
    /// Unspecified when the sender asks whether it may have `target` itself.
    pub(super) source: Ipv6Addr,
    pub(super) target: Ipv6Addr,
    /// The source link-layer address.
    pub(super) mac: Option<[u8; 6]>,
}

/// A neighbour advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Advertisement {
    pub(super) target: Ipv6Addr,
    /// The target link-layer address.
    pub(super) mac: Option<[u8; 6]>,
    /// The target is a router.
    pub(super) router: bool,
    /// It answers a solicitation.
    pub(super) solicited: bool,
    /// What is known of the target's hardware is to be replaced.
    pub(super) overrides: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Solicitation(Solicitation),
    Advertisement(Advertisement),
}

/// A message, and between which hardware it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Discovery {
    pub(super) source_mac: [u8; 6],
    pub(super) destination_mac: [u8; 6],
    pub(super) message: Message,
}

/// Why a frame is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Not as RFC 4861, 7.1 wants it.
    Malformed,
    /// Of routers and their hosts: `addressing` has to do with those.
    NotForNeighbours,
}

/// A frame with a message that passed the checks which all have in common.
pub(crate) struct Received<'a> {
    pub(crate) source_mac: [u8; 6],
    pub(crate) destination_mac: [u8; 6],
    pub(crate) source: Ipv6Addr,
    pub(crate) destination: Ipv6Addr,
    /// With all octets that its type needs, without options.
    pub(crate) icmp: Icmpv6Packet<&'a [u8]>,
}

/// Reads a frame from its Ethernet header on and checks what every message must
/// have (RFC 4861, 6.1 and 7.1), but for its options. `None` when it has not.
pub(crate) fn receive(frame: &[u8]) -> Option<Received<'_>> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let ipv6 = Ipv6Packet::new_checked(ethernet.payload()).ok()?;
    let (source, destination) = (ipv6.src_addr(), ipv6.dst_addr());
    let icmp = Icmpv6Packet::new_checked(ipv6.payload()).ok()?;
    let is_right = ethernet.ethertype() == EthernetProtocol::Ipv6
        && ipv6.version() == 6
        && ipv6.next_header() == IpProtocol::Icmpv6
        && ipv6.hop_limit() == NEIGHBOUR_DISCOVERY_HOP_LIMIT
        && !source.is_multicast()
        && icmp.verify_checksum(&source, &destination)
        && icmp.msg_code() == 0;
    is_right.then(|| Received {
        source_mac: ethernet.src_addr().0,
        destination_mac: ethernet.dst_addr().0,
        source,
        destination,
        icmp,
    })
}

/// Reads and checks a frame from its Ethernet header on (RFC 4861, 7.1).
pub(super) fn parse(frame: &[u8]) -> Result<Discovery, Refused> {
    let received = receive(frame).ok_or(Refused::Malformed)?;
    let (source, destination) = (received.source, received.destination);
    let parsed = NdiscRepr::parse(&received.icmp).map_err(|_| Refused::Malformed)?;
    let message = match parsed {
        NdiscRepr::NeighborSolicit {
            target_addr,
            lladdr,
        } => {
            // RFC 4861, 7.1.1: one without a source is multicast, and says no hardware address.
            let without_source = destination == solicited_node(target_addr) && lladdr.is_none();
            if source.is_unspecified() && !without_source {
                return Err(Refused::Malformed);
            }
            Message::Solicitation(Solicitation {
                source,
                target: target_addr,
                mac: mac(lladdr)?,
            })
        }
        NdiscRepr::NeighborAdvert {
            flags,
            target_addr,
            lladdr,
        } => {
            let solicited = flags.contains(NdiscNeighborFlags::SOLICITED);
            if source.is_unspecified() || (solicited && destination.is_multicast()) {
                return Err(Refused::Malformed);
            }
            Message::Advertisement(Advertisement {
                target: target_addr,
                mac: mac(lladdr)?,
                router: flags.contains(NdiscNeighborFlags::ROUTER),
                solicited,
                overrides: flags.contains(NdiscNeighborFlags::OVERRIDE),
            })
        }
        _ => return Err(Refused::NotForNeighbours),
    };
    let (Message::Solicitation(Solicitation { target, .. })
    | Message::Advertisement(Advertisement { target, .. })) = message;
    if target.is_multicast() || target.is_unspecified() {
        return Err(Refused::Malformed);
    }
    Ok(Discovery {
        source_mac: received.source_mac,
        destination_mac: received.destination_mac,
        message,
    })
}

/// What a link-layer address option says; of Ethernet's it has six octets.
fn mac(option: Option<RawHardwareAddress>) -> Result<Option<[u8; 6]>, Refused> {
    let octets = |raw: RawHardwareAddress| raw.as_bytes().try_into().ok();
    option
        .map(|raw| octets(raw).ok_or(Refused::Malformed))
        .transpose()
}

/// The IPv6 packet that asks for `target`: everybody or, when it is known,
/// `destination` alone is to get it.
pub(super) fn solicitation(
    mac: [u8; 6],
    source: Ipv6Addr,
    target: Ipv6Addr,
    destination: Ipv6Addr,
) -> Vec<u8> {
    let message = NdiscRepr::NeighborSolicit {
        target_addr: target,
        lladdr: (!source.is_unspecified()).then_some(EthernetAddress(mac).into()),
    };
    packet(source, destination, &message)
}

/// The IPv6 packet that tells `destination` of a target.
pub(super) fn advertisement(
    told: &Advertisement,
    source: Ipv6Addr,
    destination: Ipv6Addr,
) -> Vec<u8> {
    let mut flags = NdiscNeighborFlags::empty();
    flags.set(NdiscNeighborFlags::ROUTER, told.router);
    flags.set(NdiscNeighborFlags::SOLICITED, told.solicited);
    flags.set(NdiscNeighborFlags::OVERRIDE, told.overrides);
    let message = NdiscRepr::NeighborAdvert {
        flags,
        target_addr: told.target,
        lladdr: told.mac.map(|mac| EthernetAddress(mac).into()),
    };
    packet(source, destination, &message)
}

fn packet(source: Ipv6Addr, destination: Ipv6Addr, message: &NdiscRepr<'_>) -> Vec<u8> {
    let mut octets = vec![0; message.buffer_len()];
    message.emit(&mut Icmpv6Packet::new_unchecked(&mut octets[..]));
    message_packet(source, destination, &octets)
}

/// The IPv6 packet that carries a message, whose checksum is filled in.
pub(crate) fn message_packet(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; IPV6_OCTETS + message.len()];
    let mut ipv6 = Ipv6Packet::new_unchecked(&mut packet[..]);
    ipv6.set_version(6);
    ipv6.set_payload_len(u16::try_from(message.len()).expect("a message fits a frame"));
    ipv6.set_next_header(IpProtocol::Icmpv6);
    ipv6.set_hop_limit(NEIGHBOUR_DISCOVERY_HOP_LIMIT);
    ipv6.set_src_addr(source);
    ipv6.set_dst_addr(destination);
    ipv6.payload_mut().copy_from_slice(message);
    Icmpv6Packet::new_unchecked(ipv6.payload_mut()).fill_checksum(&source, &destination);
    packet
}

/// The frame that carries an IPv6 packet from one station to another.
pub(crate) fn frame(source: [u8; 6], destination: [u8; 6], packet: &[u8]) -> Vec<u8> {
    let ethernet = EthernetRepr {
        src_addr: EthernetAddress(source),
        dst_addr: EthernetAddress(destination),
        ethertype: EthernetProtocol::Ipv6,
    };
    let mut frame = vec![0; ETHERNET_OCTETS + packet.len()];
    let mut ethernet_frame = EthernetFrame::new_unchecked(&mut frame[..]);
    ethernet.emit(&mut ethernet_frame);
    ethernet_frame.payload_mut().copy_from_slice(packet);
    frame
}

#[cfg(test)]
mod tests;
