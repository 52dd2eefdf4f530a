//! ARP frames: Ethernet and ARP together (RFC 826), by smoltcp's formats.

use std::net::Ipv4Addr;

use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr,
};

/// Shortest Ethernet frame without its check sequence. Shorter ones are padded
/// here because not every device does it.
const MIN_FRAME_OCTETS: usize = 60;
const BROADCAST: [u8; 6] = [0xff; 6];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Request,
    Reply,
}

/// An ARP packet for IPv4 over Ethernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arp {
    pub(super) operation: Operation,
    pub(super) sender_mac: [u8; 6],
    pub(super) sender: Ipv4Addr,
    pub(super) target_mac: [u8; 6],
    pub(super) target: Ipv4Addr,
}

/// Reads a frame from its Ethernet header on: the hardware address it was sent
/// to and the ARP packet, or nothing when it is not whole, not ARP for IPv4
/// over Ethernet, or neither a request nor a reply.
pub(super) fn parse(frame: &[u8]) -> Option<([u8; 6], Arp)> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    if ethernet.ethertype() != EthernetProtocol::Arp {
        return None;
    }
    let packet = ArpPacket::new_checked(ethernet.payload()).ok()?;
    let ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr,
        source_protocol_addr,
        target_hardware_addr,
        target_protocol_addr,
    } = ArpRepr::parse(&packet).ok()?
    else {
        return None;
    };
    let operation = match operation {
        ArpOperation::Request => Operation::Request,
        ArpOperation::Reply => Operation::Reply,
        ArpOperation::Unknown(_) => return None,
    };
    let arp = Arp {
        operation,
        sender_mac: source_hardware_addr.0,
        sender: source_protocol_addr,
        target_mac: target_hardware_addr.0,
        target: target_protocol_addr,
    };
    Some((ethernet.dst_addr().0, arp))
}

/// The frame that carries `arp` to `destination`.
fn build(destination: [u8; 6], arp: Arp) -> Vec<u8> {
    let ethernet = EthernetRepr {
        src_addr: EthernetAddress(arp.sender_mac),
        dst_addr: EthernetAddress(destination),
        ethertype: EthernetProtocol::Arp,
    };
    let packet = ArpRepr::EthernetIpv4 {
        operation: match arp.operation {
            Operation::Request => ArpOperation::Request,
            Operation::Reply => ArpOperation::Reply,
        },
        source_hardware_addr: EthernetAddress(arp.sender_mac),
        source_protocol_addr: arp.sender,
        target_hardware_addr: EthernetAddress(arp.target_mac),
        target_protocol_addr: arp.target,
    };
    let mut frame = vec![0; MIN_FRAME_OCTETS];
    let mut ethernet_frame = EthernetFrame::new_unchecked(&mut frame[..]);
    ethernet.emit(&mut ethernet_frame);
    packet.emit(&mut ArpPacket::new_unchecked(ethernet_frame.payload_mut()));
    frame
}

/// "Who has `target`?", to everybody or, as a refresh, to the one asked before
/// (RFC 1122, 2.3.2.1).
pub(super) fn request(
    mac: [u8; 6],
    sender: Ipv4Addr,
    target: Ipv4Addr,
    destination: Option<[u8; 6]>,
) -> Vec<u8> {
    let arp = Arp {
        operation: Operation::Request,
        sender_mac: mac,
        sender,
        target_mac: [0; 6],
        target,
    };
    build(destination.unwrap_or(BROADCAST), arp)
}

/// The announcement of an own address (RFC 5227, 1.1 and 3).
pub(super) fn announcement(mac: [u8; 6], address: Ipv4Addr) -> Vec<u8> {
    request(mac, address, address, None)
}

/// The answer to `request`, saying that its target is at `mac`.
pub(super) fn reply(mac: [u8; 6], request: &Arp) -> Vec<u8> {
    let arp = Arp {
        operation: Operation::Reply,
        sender_mac: mac,
        sender: request.target,
        target_mac: request.sender_mac,
        target: request.sender,
    };
    build(request.sender_mac, arp)
}

pub(super) fn is_broadcast(mac: [u8; 6]) -> bool {
    mac == BROADCAST
}
